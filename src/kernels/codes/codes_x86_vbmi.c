/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/codes/codes_body.h"
CODES(vbmi, OL_ISA_AVX512 | OL_CPU_(AVX512VBMI))
