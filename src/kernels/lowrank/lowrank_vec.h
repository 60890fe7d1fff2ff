/* SPDX-License-Identifier: Apache-2.0 */
/* Body of the vector variants (see math/vec_x86.h): four vectors of columns at a time, then single ones. */
#include "base/cpu.h"
#include "kernels/lowrank/lowrank.h"
#include "kernels/math/vec_x86.h"
#include <string.h>

#define WIDE 4

VI vf load(const void *b, bool half, int64_t at) {
    return half ? v_load_f16((const uint16_t *)b + at) : v_load((const float *)b + at);
}

/* The last, shorter vector of a row of b. */
VI vf load_part(const void *b, bool half, int64_t at, int64_t left) {
    uint16_t part[VW] = {0};
    if (!half) return v_load_part((const float *)b + at, v_first(left));
    memcpy(part, (const uint16_t *)b + at, (size_t)left * sizeof part[0]);
    return v_load_f16(part);
}

VI void wide_columns(const olk_lowrank_args *a, bool half, const float *t, float *y, int64_t c) {
    vf s[WIDE] = {v_set1(0), v_set1(0), v_set1(0), v_set1(0)};
    for (int64_t j = 0; j < a->rank; j++) {
        vf f = v_set1(t[j]);
        for (int k = 0; k < WIDE; k++) s[k] = v_fma(f, load(a->b, half, j * a->ldb + c + k * VW), s[k]);
    }
    for (int k = 0; k < WIDE; k++) v_store(y + c + k * VW, v_add(v_load(y + c + k * VW), s[k]));
}

VI void columns(const olk_lowrank_args *a, bool half, const float *t, float *y, int64_t c, int64_t n) {
    vf s = v_set1(0);
    for (int64_t j = 0; j < a->rank; j++) {
        int64_t at = j * a->ldb + c;
        s = v_fma(v_set1(t[j]), n < VW ? load_part(a->b, half, at, n) : load(a->b, half, at), s);
    }
    v_store_n(y + c, n, v_add(v_load_n(y + c, n), s));
}

VI void add_typed(const olk_lowrank_args *a, bool half) {
    for (int64_t i = 0; i < a->m; i++) {
        const float *t = a->t + i * a->ldt;
        float *y = a->y + i * a->ldy;
        int64_t c = 0;
        for (; c + WIDE * VW <= a->n; c += WIDE * VW) wide_columns(a, half, t, y, c);
        for (; c < a->n; c += VW) columns(a, half, t, y, c, a->n - c < VW ? a->n - c : VW);
    }
}

static void add(const olk_lowrank_args *a) {
    if (a->dtype == OL_F16) add_typed(a, true);
    else add_typed(a, false);
}
