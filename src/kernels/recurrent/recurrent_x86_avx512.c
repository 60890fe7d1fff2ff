/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/recurrent/recurrent_vec.h"

extern const olk_recurrent olk_recurrent__avx512;
const olk_recurrent olk_recurrent__avx512 = {
    "olk_recurrent__avx512", OL_ISA_AVX512, conv, scan_head, scan_channels, delta, wkv};
