/* SPDX-License-Identifier: Apache-2.0 */
#include "device/lowrank.h"
#include "base/alloc.h"
#include "base/error.h"

ol_lowrank *ol_lowrank_create(int n_parts) {
    ol_lowrank *a = ol_calloc(1, sizeof *a);
    if (!a) return NULL;
    atomic_init(&a->refs, 1);
    a->n_parts = n_parts;
    a->parts = ol_calloc((size_t)n_parts + 1, sizeof *a->parts);
    if (a->parts) return a;
    ol_free(a);
    return NULL;
}

ol_lowrank *ol_lowrank_retain(ol_lowrank *a) {
    if (a) atomic_fetch_add(&a->refs, 1);
    return a;
}

void ol_lowrank_release(ol_lowrank *a) {
    if (!a || atomic_fetch_sub(&a->refs, 1) != 1) return;
    for (size_t i = 0; i < sizeof a->memory / sizeof a->memory[0]; i++) ol_free_aligned(a->memory[i]);
    ol_free(a->parts);
    ol_free(a);
}

olv_status ol_lowrank_choose(ol_lowrank_part *p, uint64_t cpu, olv_error *err) {
    for (int64_t m = 1; m <= OL_LOWRANK_ROWS; m++)
        if (!(p->down[m] = olk_linear_select(&p->a, m, OLK_F32, cpu, NULL, 0)))
            return ol_fail(err, OLV_UNSUPPORTED, "no kernel takes an adapter of rank %lld", (long long)p->rank);
    return OLV_OK;
}
