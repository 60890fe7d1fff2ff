/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/norm/norm_vec.h"

extern const olk_norm olk_norm__avx512;
const olk_norm olk_norm__avx512 = {"olk_norm__avx512", OL_ISA_AVX512, rms, layer, l2, add_rms, add_layer};
