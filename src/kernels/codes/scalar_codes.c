/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/codes/codes_body.h"
CODES(scalar, 0)
