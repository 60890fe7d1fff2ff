/* SPDX-License-Identifier: Apache-2.0 */
/* A plan: the work of a graph decided for one machine. For each entry (decode, prefill) an ordered list of steps over
 * buffers; sizes are expressions in the graph's symbols and are evaluated when a run's sizes are bound. A plan is immutable
 * and shared by sessions; it keeps the graph (and with it the mapped weights) alive. */
#ifndef OL_PLAN_PLAN_H
#define OL_PLAN_PLAN_H

#include "device/device.h"

typedef struct ol_plan ol_plan;

typedef struct ol_plan_options {
    const ol_device *device;
    uint64_t cpu;
    olk_precision precision;
    ol_dtype kv_dtype; /* F32, F16, I8 */
    ol_store *store;   /* where prepared data are kept; retained; NULL: in memory */
    ol_executor *executor; /* for preparing data; NULL: the caller alone */
    bool whole;        /* one entry OL_ENTRY_WHOLE for any graph, instead of those of row-wise models */
} ol_plan_options;

/* What precision "default" means for a graph. */
olk_precision ol_plan_default_precision(const ol_graph *g);

/* One entry of a plan. */
typedef struct ol_plan_entry {
    ol_step *steps;
    int n_steps;
    ol_buffer *buffers;
    int n_buffers;
    int *first_use, *last_use; /* by buffer: step indices; first_use -1 for buffers that live outside the workspace */
    int *outputs;              /* buffer of each graph output, or -1 */
    /* Of OL_ENTRY_WHOLE. Segments are run one after the other: at the end of each, slots give values to symbols, and the
     * buffers first used in the next one get their places then. There is at least one segment. */
    int *segment_ends; /* steps */
    int n_segments;
    ol_lower_slot *slots;
    int n_slots;
    int *output_slots; /* slot of each graph output, or -1: it is in a buffer, or an input or a constant itself */
} ol_plan_entry;

/* Layout of a state block of 64 positions (all KV states together) and of the fixed states of a sequence. */
typedef struct ol_state_layout {
    size_t block_bytes;  /* 0: no KV state */
    size_t fixed_floats; /* per sequence */
    size_t *k_offset, *v_offset, *k_head_stride, *v_head_stride, *fixed_offset; /* by state */
    int64_t window; /* positions that must be kept; 0: all */
} ol_state_layout;

/* Takes the graph (also on failure). */
OLV_MUST_USE olv_status ol_plan_create(ol_graph *graph, const ol_plan_options *opt, ol_plan **out, olv_error *err);
void ol_plan_destroy(ol_plan *p);

const ol_graph *ol_plan_graph(const ol_plan *p);
const ol_plan_entry *ol_plan_get_entry(const ol_plan *p, ol_entry e);
const ol_state_layout *ol_plan_states(const ol_plan *p);
/* One line per step: entry, class, kernel, node. */
void ol_plan_dump(const ol_plan *p, ol_buf *out);

/* Workspace layout of a segment (0 in row-wise plans) for bound sizes: fills the offsets of the buffers first used in it
 * (the others are left alone; all offsets are SIZE_MAX at the start) and returns the bytes needed. false: *bytes is 0 on
 * overflow and 1 when there was no memory to work with. */
bool ol_plan_layout(const ol_plan_entry *e, int segment, const ol_run *r, size_t *offsets, size_t *bytes);
/* First step of a segment. */
static inline int ol_plan_segment_begin(const ol_plan_entry *e, int segment) {
    return segment ? e->segment_ends[segment - 1] : 0;
}

#endif
