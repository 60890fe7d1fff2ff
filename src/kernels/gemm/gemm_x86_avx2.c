/* SPDX-License-Identifier: Apache-2.0 */
#define MR 6
#include "kernels/gemm/gemm_vec.h"

extern const olk_gemm olk_gemm__avx2;
const olk_gemm olk_gemm__avx2 = {"olk_gemm__avx2", OL_ISA_AVX2, MR, NB, pack_rows, pack_b, multiply};
