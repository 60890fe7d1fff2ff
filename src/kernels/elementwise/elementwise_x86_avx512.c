/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/elementwise/elementwise_vec.h"

extern const olk_elementwise olk_elementwise__avx512;
const olk_elementwise olk_elementwise__avx512 = {"olk_elementwise__avx512", OL_ISA_AVX512, full, right, left, rows_right, rows_left, add_scaled};
