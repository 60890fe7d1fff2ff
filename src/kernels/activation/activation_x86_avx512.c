/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/activation/activation_vec.h"

extern const olk_activation olk_activation__avx512;
const olk_activation olk_activation__avx512 = {"olk_activation__avx512", OL_ISA_AVX512, unary, gated, swiglu_clipped};
