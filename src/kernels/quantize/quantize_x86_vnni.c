/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/quantize/quantize_vec.h"

extern const olk_quantize olk_quantize__vnni;
const olk_quantize olk_quantize__vnni = {
    "olk_quantize__vnni", OL_ISA_VNNI, range, spread, offsets, search, nearest_fit, nearest,
};
