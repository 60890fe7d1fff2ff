/* SPDX-License-Identifier: Apache-2.0 */
#define ROWS 6
#define VECTORS 4
#include "kernels/int8/int8_vec.h"

extern const olk_int8 olk_int8__avx512;
const olk_int8 olk_int8__avx512 = {"olk_int8__avx512", OL_ISA_AVX512, NB, multiply, depthwise};
