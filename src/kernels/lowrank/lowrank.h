/* SPDX-License-Identifier: Apache-2.0 */
/* The second half of a low-rank addition to a linear layer: y[i, c] += sum over j of t[i, j] * b[j, c], where t holds what
 * the first half (a linear of `rank` rows) made of the inputs.
 *
 * b lies in blocks of 32 columns, [block][rank][32], the last one filled up with anything finite: a tile of columns reads
 * one run of memory. It is f32 or f16.
 *
 * Any alignment, any sizes >= 0; y overlaps nothing. Sums over j are added to y last; a row's bits do not
 * depend on the other rows, nor on how columns are cut. */
#ifndef OLK_LOWRANK_H
#define OLK_LOWRANK_H

#include "tensor/dtype.h"
#include <stdint.h>

#define OLK_LOWRANK_BLOCK 32 /* columns: a row of f16 is a cache line */

/* Elements of b for n columns. */
static inline int64_t olk_lowrank_size(int64_t rank, int64_t n) {
    return (n + OLK_LOWRANK_BLOCK - 1) / OLK_LOWRANK_BLOCK * OLK_LOWRANK_BLOCK * rank;
}
/* Index of b[j, c]. */
static inline int64_t olk_lowrank_at(int64_t rank, int64_t j, int64_t c) {
    return (c / OLK_LOWRANK_BLOCK * rank + j) * OLK_LOWRANK_BLOCK + c % OLK_LOWRANK_BLOCK;
}

typedef struct olk_lowrank_args {
    const void *b;
    ol_dtype dtype; /* of b: F32 or F16 */
    int64_t rank;
    const float *t;
    int64_t ldt;
    int64_t n0, n1; /* columns wanted */
    float *y;       /* of column n0 */
    int64_t ldy;
    int64_t m; /* rows */
} olk_lowrank_args;

typedef struct olk_lowrank {
    const char *name;
    uint64_t cpu;
    void (*add)(const olk_lowrank_args *a);
} olk_lowrank;

/* Best variant under these CPU flags; never NULL. */
const olk_lowrank *olk_lowrank_select(uint64_t cpu);
const olk_lowrank *const *olk_lowrank_variants(int *count);

#endif
