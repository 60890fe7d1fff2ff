/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/recurrent/recurrent_vec.h"

extern const olk_recurrent olk_recurrent__avx2;
const olk_recurrent olk_recurrent__avx2 = {"olk_recurrent__avx2", OL_ISA_AVX2, conv, scan_head,
                                           scan_channels,         delta,       wkv};
