/* SPDX-License-Identifier: Apache-2.0 */
/* What a plan is made of. A device lowers the nodes of a graph into steps; a run executes them in order on all lanes,
 * each step cut into tiles by shape, a barrier after each. Steps and their arguments are frozen with the plan; what
 * changes from run to run is in ol_run. */
#ifndef OL_DEVICE_STEP_H
#define OL_DEVICE_STEP_H

#include "device/lowrank.h"
#include "graph/op.h"
#include <stdatomic.h>
#include <stdbool.h>

/* Consecutive rows of one sequence in a run. */
typedef struct ol_row_span {
    int64_t row0, count;
    int64_t position0;            /* of row0 */
    int64_t length;               /* of the sequence when its present prompt is complete */
    const uint8_t *const *blocks; /* block table of the sequence (KV states) */
    const float *fixed; /* recurrent states before the run, or NULL; never written, so that a run can be undone */
    float *fixed_next;  /* and after it: written whole by the one operator of each state, unless count is 0 */
    const ol_lowrank_use *lowrank; /* additions to linear layers for these rows */
    int n_lowrank;
    int64_t pool_from; /* rows at the start that pooling leaves out */
} ol_row_span;

/* What went wrong in a run that only its data show (an index out of range, an operator's own complaint). The first to
 * come fills it; read it when the run is over. A step that fails leaves zeros behind, so that the steps after it are
 * safe. */
typedef struct ol_run_failure {
    atomic_flag taken; /* ATOMIC_FLAG_INIT */
    olv_error error;   /* status OLV_OK: none */
} ol_run_failure;

/* A value of a run that has no place in the workspace, because its kind, type or size rules that out. */
typedef struct ol_slot {
    ol_datum datum;
    bool filled;
} ol_slot;

/* Sizes and places of one run. Read-only while it executes. */
typedef struct ol_run {
    void *const *buffers;     /* resolved address of each buffer of the plan entry */
    const int64_t *symbols;   /* value of each symbol of the graph's dim table */
    const ol_dim_table *dims;
    int64_t rows, output_rows; /* symbols T and R */
    int64_t max_position;      /* of any row; when laying out, an upper bound */
    const ol_row_span *spans;
    int n_spans;
    const int32_t *position; /* [rows] */
    const int32_t *span_of;  /* [rows] index into spans */
    const int64_t *output_row; /* [output_rows] the row of each of them */
    int64_t lowrank_width;     /* most ranks of the additions of any span together; 0: there are none */
    ol_run_failure *failure; /* NULL: nobody listens */
    const ol_datum *const *given; /* OL_ENTRY_WHOLE: data of each graph input */
    ol_slot *slots;               /* OL_ENTRY_WHOLE */
} ol_run;

/* The record to fill by the step that fails first; NULL when another was first. */
static inline olv_error *ol_run_claim_failure(const ol_run *r) {
    return r->failure && !atomic_flag_test_and_set(&r->failure->taken) ? &r->failure->error : NULL;
}

typedef struct ol_step ol_step;

typedef struct ol_step_class {
    const char *name;
    /* Number of tiles for these sizes; 0 skips the step and its barrier. */
    unsigned (*tiles)(const ol_step *s, const ol_run *r);
    /* Scratch bytes of a lane; NULL: none. */
    size_t (*scratch)(const ol_step *s, const ol_run *r);
    /* Called by each lane that takes part, before its first tile; NULL: nothing to do. */
    void (*begin)(const ol_step *s, const ol_run *r, void *scratch);
    void (*run)(const ol_step *s, const ol_run *r, unsigned tile, void *scratch);
} ol_step_class;

/* Buffers that a step uses; grows in the plan's arena. */
typedef struct ol_buffer_list {
    int *items, n, cap;
} ol_buffer_list;

struct ol_step {
    const ol_step_class *cls;
    const char *name;   /* of the node it stands for, for profiles and messages */
    const char *kernel; /* chosen kernel, or NULL */
    void *args;
    ol_buffer_list reads, writes; /* for lifetimes */
    ol_buffer_list drops;         /* slots that nobody reads after this step */
    ol_arena *arena;              /* the plan's */
};

/* Address of buffer b in this run. */
static inline void *ol_run_buffer(const ol_run *r, int b) { return r->buffers[b]; }

#endif
