/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/quantize/quantize_vec.h"

extern const olk_quantize olk_quantize__avx2;
const olk_quantize olk_quantize__avx2 = {
    "olk_quantize__avx2", OL_ISA_AVX2, range, spread, offsets, search, nearest_fit, nearest,
};
