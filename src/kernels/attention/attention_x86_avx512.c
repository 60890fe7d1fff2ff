/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/attention/attention_vec.h"

#include "kernels/attention/attention_prefill_vec.h"

#include "kernels/attention/attention_decode_vec.h"

extern const olk_attention olk_attention__avx512;
const olk_attention olk_attention__avx512 = {
    "olk_attention__avx512", OL_ISA_AVX512, scratch_bytes, run, olk_attention_part_floats, run_part, olk_attention_merge};
