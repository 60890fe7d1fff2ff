/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/codes/codes_body.h"
CODES(avx2, OL_ISA_AVX2)
