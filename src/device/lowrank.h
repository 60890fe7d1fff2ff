/* SPDX-License-Identifier: Apache-2.0 */
/* Low-rank additions to linear layers (LoRA adapters), bound at run time: y += scale · (x Aᵀ) Bᵀ, row by row, whatever the
 * layer's own weight is. A plan is made without knowing them: its linear steps look up their part by the id of their node
 * in the additions that the rows of a run carry (ol_row_span). */
#ifndef OL_DEVICE_LOWRANK_H
#define OL_DEVICE_LOWRANK_H

#include "kernels/linear/linear.h"
#include "kernels/lowrank/lowrank.h"
#include <olivine/status.h>
#include <stdatomic.h>

#define OL_LOWRANK_ROWS 16 /* rows of a run that are brought down together */
#define OL_MAX_LOWRANK 4   /* additions that one sequence can have at the same time */

/* The addition to one linear layer. */
typedef struct ol_lowrank_part {
    int64_t rank;  /* 0: this layer has none */
    int64_t n;     /* outputs of the layer */
    olk_weight a;  /* [rank, k], factors of the adapter folded in; F32 or F16 */
    const void *b; /* as olk_lowrank takes it; of the same type */
    const olk_linear *down[OL_LOWRANK_ROWS + 1]; /* by rows; [0] is not used */
} ol_lowrank_part;

/* One adapter for one plan. Immutable and shared by reference count (atomic). */
typedef struct ol_lowrank {
    atomic_int refs;
    ol_lowrank_part *parts; /* by node id */
    int n_parts;
    int64_t max_rank;
    uint64_t key; /* hash of what it holds */
    size_t bytes;
    void *memory[2]; /* all A, all B */
} ol_lowrank;

/* What a sequence carries. */
typedef struct ol_lowrank_use {
    ol_lowrank *adapter;
    float scale;
} ol_lowrank_use;

/* Room for n_parts layers without additions. NULL when out of memory. */
ol_lowrank *ol_lowrank_create(int n_parts);
ol_lowrank *ol_lowrank_retain(ol_lowrank *a);
void ol_lowrank_release(ol_lowrank *a); /* NULL accepted */
/* Chooses the kernels of a part whose weights are set. */
OLV_MUST_USE olv_status ol_lowrank_choose(ol_lowrank_part *p, uint64_t cpu, olv_error *err);

#endif
