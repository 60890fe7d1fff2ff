/* SPDX-License-Identifier: Apache-2.0 */
/* The second half of a low-rank addition to a linear layer: y[i, c] += sum over j of t[i, j] * b[j, c], where t holds what
 * the first half (a linear of `rank` rows) made of the inputs. b lies transposed, a row per rank, so that columns are
 * vectors; it is f32 or f16.
 *
 * Any alignment, any sizes >= 0; y overlaps nothing. Sums go over j in order and are added to y last; a row's bits do not
 * depend on the other rows, nor on how columns are cut. */
#ifndef OLK_LOWRANK_H
#define OLK_LOWRANK_H

#include "tensor/dtype.h"
#include <stdint.h>

typedef struct olk_lowrank_args {
    const void *b; /* element (0, 0) of the columns wanted */
    ol_dtype dtype; /* of b: F32 or F16 */
    int64_t ldb;   /* elements from row to row */
    const float *t;
    int64_t ldt;
    int64_t rank;
    float *y;
    int64_t ldy;
    int64_t m, n; /* rows and columns of y */
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
