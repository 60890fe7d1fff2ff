/* SPDX-License-Identifier: Apache-2.0 */
/* Body of the vector variants (see math/vec_x86.h): a block of columns at a time. */
#include "base/cpu.h"
#include "kernels/lowrank/lowrank.h"
#include "kernels/math/vec_x86.h"

#define WIDE (OLK_LOWRANK_BLOCK / VW)

VI vf load(const void *b, bool half, int64_t at) {
    return half ? v_load_f16((const uint16_t *)b + at) : v_load((const float *)b + at);
}

/* Odd and even ranks have sums of their own, which are added in the end. */
VI void block_sums(const olk_lowrank_args *a, bool half, const float *t, int64_t first, vf *s) {
    vf odd[WIDE];
    int64_t j = 0;
    for (int k = 0; k < WIDE; k++) s[k] = odd[k] = v_set1(0);
    for (; j + 2 <= a->rank; j += 2, first += 2 * OLK_LOWRANK_BLOCK)
        for (int k = 0; k < WIDE; k++) {
            s[k] = v_fma(v_set1(t[j]), load(a->b, half, first + k * VW), s[k]);
            odd[k] = v_fma(v_set1(t[j + 1]), load(a->b, half, first + OLK_LOWRANK_BLOCK + k * VW), odd[k]);
        }
    for (int k = 0; k < WIDE && j < a->rank; k++) s[k] = v_fma(v_set1(t[j]), load(a->b, half, first + k * VW), s[k]);
    for (int k = 0; k < WIDE; k++) s[k] = v_add(s[k], odd[k]);
}

/* Columns [c0, c1) of the block whose first column is `c`. */
VI void add_block(const olk_lowrank_args *a, bool half, const float *t, float *y, int64_t c, int64_t c0, int64_t c1) {
    vf s[WIDE];
    block_sums(a, half, t, c * a->rank, s);
    if (c0 == c && c1 == c + OLK_LOWRANK_BLOCK) {
        for (int k = 0; k < WIDE; k++) v_store(y + k * VW, v_add(v_load(y + k * VW), s[k]));
        return;
    }
    float sums[OLK_LOWRANK_BLOCK];
    for (int k = 0; k < WIDE; k++) v_store(sums + k * VW, s[k]);
    for (int64_t i = c0; i < c1; i++) y[i - c0] += sums[i - c];
}

VI void add_typed(const olk_lowrank_args *a, bool half) {
    for (int64_t c0 = a->n0, c1; c0 < a->n1; c0 = c1) {
        int64_t c = c0 / OLK_LOWRANK_BLOCK * OLK_LOWRANK_BLOCK;
        c1 = c + OLK_LOWRANK_BLOCK < a->n1 ? c + OLK_LOWRANK_BLOCK : a->n1;
        for (int64_t i = 0; i < a->m; i++) add_block(a, half, a->t + i * a->ldt, a->y + i * a->ldy + c0 - a->n0, c, c0, c1);
    }
}

static void add(const olk_lowrank_args *a) {
    if (a->dtype == OL_F16) add_typed(a, true);
    else add_typed(a, false);
}
