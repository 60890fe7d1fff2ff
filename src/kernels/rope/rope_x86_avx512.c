/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/rope/rope_vec.h"

extern const olk_rope olk_rope__avx512;
const olk_rope olk_rope__avx512 = {"olk_rope__avx512", OL_ISA_AVX512, apply};
