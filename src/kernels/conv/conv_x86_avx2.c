/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/conv/conv_vec.h"

extern const olk_conv olk_conv__avx2;
const olk_conv olk_conv__avx2 = {"olk_conv__avx2", OL_ISA_AVX2, pack, depthwise, winograd_input, winograd_output, winograd_window};
