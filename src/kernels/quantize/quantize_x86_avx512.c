/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/quantize/quantize_vec.h"

extern const olk_quantize olk_quantize__avx512;
const olk_quantize olk_quantize__avx512 = {
    "olk_quantize__avx512", OL_ISA_AVX512, range, spread, offsets, search, nearest_fit, nearest,
};
