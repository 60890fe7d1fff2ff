/* SPDX-License-Identifier: Apache-2.0 */
#define ROWS 4
#define VECTORS 2
#include "kernels/int8/int8_vec.h"

extern const olk_int8 olk_int8__avx2;
const olk_int8 olk_int8__avx2 = {"olk_int8__avx2", OL_ISA_AVX2, NB, multiply, depthwise};
