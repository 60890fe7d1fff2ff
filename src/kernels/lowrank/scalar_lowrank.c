/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/lowrank/lowrank.h"

static float element(const olk_lowrank_args *a, int64_t j, int64_t c) {
    int64_t at = olk_lowrank_at(a->rank, j, c);
    return a->dtype == OL_F16 ? ol_f16_to_f32(((const uint16_t *)a->b)[at]) : ((const float *)a->b)[at];
}

static void add(const olk_lowrank_args *a) {
    for (int64_t i = 0; i < a->m; i++)
        for (int64_t c = a->n0; c < a->n1; c++) {
            float sum = 0;
            for (int64_t j = 0; j < a->rank; j++) sum += a->t[i * a->ldt + j] * element(a, j, c);
            a->y[i * a->ldy + c - a->n0] += sum;
        }
}

extern const olk_lowrank olk_lowrank__scalar;
const olk_lowrank olk_lowrank__scalar = {"olk_lowrank__scalar", 0, add};
