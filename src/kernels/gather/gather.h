/* SPDX-License-Identifier: Apache-2.0 */
/* Embedding rows: row ids[i] of a matrix [t->n, t->k] (f32, f16, bf16, any other numeric type, or quantized) as f32, times
 * `scale`, at y + i * ldy. A row whose id lies outside [0, n) becomes zeros. All variants give the same bits (each value
 * is exact in f32, or what ol_qconst_rows_f32 gives, and the scale rounds once). Aliasing: none. */
#ifndef OLK_GATHER_H
#define OLK_GATHER_H

#include "kernels/linear/linear.h"

typedef struct olk_gather {
    const char *name;
    uint64_t cpu;
    void (*rows)(const olk_weight *t, const int64_t *ids, int64_t count, float scale, float *y, int64_t ldy);
} olk_gather;

/* Best variant under these CPU flags; never NULL. */
const olk_gather *olk_gather_select(uint64_t cpu);
const olk_gather *const *olk_gather_variants(int *count);

#endif
