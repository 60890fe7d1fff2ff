/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/rope/rope_vec.h"

extern const olk_rope olk_rope__avx2;
const olk_rope olk_rope__avx2 = {"olk_rope__avx2", OL_ISA_AVX2, apply};
