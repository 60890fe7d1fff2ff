/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/elementwise/elementwise_vec.h"

extern const olk_elementwise olk_elementwise__avx2;
const olk_elementwise olk_elementwise__avx2 = {"olk_elementwise__avx2", OL_ISA_AVX2, full, right, left, rows_right, rows_left, add_scaled};
