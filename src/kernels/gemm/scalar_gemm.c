/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/gemm/pack.h"
#include <math.h>

#define NB 16

static void pack_b(const float *b, int64_t row, int64_t col, int64_t k, int64_t n, float *panel) {
    pack_columns(b, row, col, k, n, NB, panel);
}

static void multiply(const olk_gemm_tile *t) {
    for (int i = 0; i < t->m; i++)
        for (int64_t j = 0; j < t->n; j++) {
            float *c = t->c + i * t->ldc + j, sum = t->add ? *c : t->start ? t->start[i] : 0;
            for (int64_t p = 0; p < t->k; p++) sum = fmaf(t->a[p * t->mr + i], t->b[p * t->ldb + j], sum);
            if (t->range) sum = sum < t->range[0] ? t->range[0] : sum > t->range[1] ? t->range[1] : sum;
            *c = sum;
        }
}

extern const olk_gemm olk_gemm__scalar;
const olk_gemm olk_gemm__scalar = {"olk_gemm__scalar", 0, 8, NB, pack_rows, pack_b, multiply};
