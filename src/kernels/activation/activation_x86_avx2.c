/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/activation/activation_vec.h"

extern const olk_activation olk_activation__avx2;
const olk_activation olk_activation__avx2 = {"olk_activation__avx2", OL_ISA_AVX2, unary, gated, swiglu_clipped};
