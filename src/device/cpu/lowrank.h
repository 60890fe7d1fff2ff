/* SPDX-License-Identifier: Apache-2.0 */
/* The low-rank additions (device/lowrank.h) to the linear layers of one step: a step before it brings the rows down to
 * the ranks, for all its layers together; the linear step adds the way up to each tile that it has computed. Runs
 * without additions skip the first step and its barrier. */
#ifndef OL_DEVICE_CPU_LOWRANK_H
#define OL_DEVICE_CPU_LOWRANK_H

#include "device/cpu/cpu.h"

#define OL_CPU_LOWRANK_LAYERS 8

typedef struct ol_cpu_lowrank {
    int x; /* buffer of the rows, before `norm` */
    int64_t k;
    ol_dim rows;
    ol_cpu_norm norm;
    int nodes[OL_CPU_LOWRANK_LAYERS]; /* ids of the layers' nodes */
    int n_nodes;
    bool of_outputs; /* the rows are those of `output_rows` */
    int down;        /* buffer of the rows brought down */
    const olk_lowrank *up;
} ol_cpu_lowrank;

/* Appends the step that brings rows down. lr (of the plan) has all but the last three set; they are set here. False, and
 * nothing is appended, when the rows are no rows of sequences, so that they carry no additions. */
bool ol_cpu_lower_lowrank(ol_lowering *l, ol_cpu_lowrank *lr, const char *name);
/* Asks for what the next call of ol_cpu_lowrank_add will read for these columns, while other work is done. */
void ol_cpu_lowrank_prefetch(const ol_cpu_lowrank *lr, const ol_run *r, int i, int64_t row, int64_t n0, int64_t n1);
/* Adds to the tile y[m, n1 - n0] of layer `i`, rows [row, row + m) of the run and columns [n0, n1); y is the tile's first
 * value. */
void ol_cpu_lowrank_add(const ol_cpu_lowrank *lr, const ol_run *r, int i, int64_t row, int64_t m, int64_t n0, int64_t n1,
                        float *y, int64_t ldy);

#endif
