/* SPDX-License-Identifier: Apache-2.0 */
#define MR 14
#include "kernels/gemm/gemm_vec.h"

extern const olk_gemm olk_gemm__avx512;
const olk_gemm olk_gemm__avx512 = {"olk_gemm__avx512", OL_ISA_AVX512, MR, NB, pack_rows, pack_b, multiply};
