/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/codes/codes_body.h"
CODES(avx512, OL_ISA_AVX512)
