/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/norm/norm_vec.h"

extern const olk_norm olk_norm__avx2;
const olk_norm olk_norm__avx2 = {"olk_norm__avx2", OL_ISA_AVX2, rms, layer, l2, add_rms, add_layer};
