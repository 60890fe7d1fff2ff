/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/gemm/pack.h"
#include <math.h>

#define NB 16

static void pack_b(const float *b, int64_t row, int64_t col, int64_t k, int64_t n, float *panel) {
    pack_columns(b, row, col, k, n, NB, panel);
}

static void multiply(const float *a, int mr, const float *b, int64_t k, float *c, int64_t ldc, int m, int64_t n, bool add) {
    for (int i = 0; i < m; i++)
        for (int64_t j = 0; j < n; j++) {
            float sum = add ? c[i * ldc + j] : 0;
            for (int64_t p = 0; p < k; p++) sum = fmaf(a[p * mr + i], b[p * NB + j], sum);
            c[i * ldc + j] = sum;
        }
}

extern const olk_gemm olk_gemm__scalar;
const olk_gemm olk_gemm__scalar = {"olk_gemm__scalar", 0, 8, NB, pack_rows, pack_b, multiply};
