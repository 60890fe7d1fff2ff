/* SPDX-License-Identifier: Apache-2.0 */
#define ROWS 6
#define VECTORS 4
#include "kernels/int8/int8_vec.h"

extern const olk_int8 olk_int8__vnni;
const olk_int8 olk_int8__vnni = {"olk_int8__vnni", OL_ISA_VNNI, NB, multiply, depthwise};
