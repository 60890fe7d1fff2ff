/* SPDX-License-Identifier: Apache-2.0 */
/* The workbench on which a device turns graph nodes into steps: buffers for values, steps in order, and marks for the
 * nodes that a fused step has covered. The planner makes one per entry and reads the result. */
#ifndef OL_DEVICE_LOWERING_H
#define OL_DEVICE_LOWERING_H

#include "base/executor.h"
#include "device/prepared.h"
#include "device/step.h"
#include "kernels/linear/linear.h"

struct ol_codes; /* 8-bit codes that stand for a value: the device's business */

/* Ways to run a graph: row-wise models in two forms, any other graph as a whole. */
typedef enum ol_entry { OL_ENTRY_DECODE, OL_ENTRY_PREFILL, OL_ENTRY_WHOLE, OL_N_ENTRIES } ol_entry;
const char *ol_entry_name(ol_entry e); /* "decode" */
#define OL_DECODE_ROWS 16   /* most rows of a decode run */
#define OL_PREFILL_ROWS 512 /* most rows of a prefill run */

typedef struct ol_lower_options {
    uint64_t cpu;            /* OL_CPU_ flags that kernels may use */
    uint64_t linear_cpu;     /* those that linear layers may use: the same, but in precision OLK_REPRO, where others use none */
    olk_precision precision; /* of linear layers */
    ol_dtype kv_dtype;       /* F32, F16, I8 */
    ol_executor *executor;   /* for preparing data; NULL: the caller alone */
    /* Where each KV state lies in a block of 64 positions, by state index. */
    const size_t *k_offset, *v_offset, *k_head_stride, *v_head_stride;
    const size_t *fixed_offset; /* floats, by state index */
} ol_lower_options;

/* A place for data: given memory (constants, run inputs), or a part of the workspace, of `element` bytes times `count`,
 * or of what `size` says. */
typedef struct ol_buffer {
    ol_dim count;
    size_t element;
    size_t (*size)(const void *ctx, const ol_run *r);
    const void *size_ctx;
    void *fixed; /* constant data */
    int input;   /* index of the graph input, or -1 */
} ol_buffer;

/* A slot while lowering. */
typedef struct ol_lower_slot {
    const ol_value *value;
    int last_step; /* that reads it, or writes it when none does */
    int segment;   /* at whose end its shape gives values to symbols, or -1 */
} ol_lower_slot;

typedef struct ol_lowering {
    ol_graph *graph;
    ol_arena *arena; /* the plan's */
    ol_prepared *prepared; /* the plan's */
    ol_entry entry;
    ol_lower_options opt;
    bool *done;         /* by node id: covered by an earlier step */
    int *buffer_of;     /* by value id: buffer, or -1 */
    ol_buffer *buffers;
    int n_buffers, cap_buffers;
    ol_step *steps;
    int n_steps, cap_steps;
    olv_status failed; /* latched: out of memory */
    /* OL_ENTRY_WHOLE only, else NULL. A plan is cut into segments: the end of one is a step that tells sizes. */
    int64_t *known; /* by symbol: not negative when its value is known at this point of a run */
    size_t n_known;
    int *slot_of; /* by value id: slot, or -1 */
    ol_lower_slot *slots;
    int n_slots, cap_slots;
    int *segment_ends; /* steps */
    int n_segments, cap_segments;
    /* Values that live as codes, by value id, or NULL while there are none; decode gives such a value the buffer that
     * ol_lower_input promises, when somebody asks for it. */
    struct ol_codes **codes;
    olv_status (*decode)(struct ol_lowering *l, ol_value *v, olv_error *err);
} ol_lowering;

/* Buffer of a value: computed earlier, a graph input, or a constant (materialized as f32, or i64 when integer; at most
 * 64 MiB). -1 on failure (err). */
int ol_lower_input(ol_lowering *l, ol_value *v, olv_error *err);
/* New buffer for a node's output, of its inferred type (f32 when float). */
int ol_lower_output(ol_lowering *l, ol_value *v);
/* Lets value v live in buffer b (in-place or view). */
void ol_lower_alias(ol_lowering *l, ol_value *v, int b);
/* New anonymous buffer. */
int ol_lower_temp(ol_lowering *l, ol_dim count, size_t element);
int ol_lower_temp_sized(ol_lowering *l, size_t (*size)(const void *ctx, const ol_run *r), const void *ctx);
/* Appends a step with zeroed args of args_bytes; NULL when out of memory (latched). */
ol_step *ol_lower_step(ol_lowering *l, const ol_step_class *cls, const char *name, size_t args_bytes);
void ol_step_reads(ol_step *s, int buffer); /* buffer < 0 is ignored */
void ol_step_writes(ol_step *s, int buffer);
void ol_step_drops(ol_step *s, int slot);
/* Marks a node as covered. */
static inline void ol_lower_cover(ol_lowering *l, const ol_node *n) { l->done[n->id] = true; }
/* Product of a value's dims but the last; and the last (which must be known, else -1). */
ol_dim ol_lower_rows(ol_lowering *l, const ol_value *v);
int64_t ol_lower_width(const ol_value *v);
/* A constant of a value as dense f32 in plan memory. NULL on failure. */
const float *ol_lower_f32(ol_lowering *l, ol_value *v, olv_error *err);
/* True if v can live in a buffer: a tensor of numbers whose sizes are known when this point of a run is reached. Always
 * true where there are no slots. */
bool ol_lower_fits_buffer(const ol_lowering *l, const ol_value *v);
/* Evaluates the node by its reference evaluation, as one tile: right but slow. NULL if the node can be, else why not
 * (in row-wise plans: states, subgraphs, sequences, sizes that depend on data). device/evaluate.c */
const char *ol_lower_evaluate_refuses(const ol_lowering *l, const ol_node *n);
olv_status ol_lower_evaluate(ol_lowering *l, ol_node *n, olv_error *err);
/* Calls fn for [0, n) on all lanes of the executor, or here when there is none: lane is below ol_lower_lanes. */
void ol_lower_for(const ol_lowering *l, size_t n, ol_item_fn *fn, void *ctx);
int ol_lower_lanes(const ol_lowering *l);
/* True if the value is computed (or constant or input) before node n in the list. */
bool ol_lower_ready(const ol_lowering *l, const ol_value *v, const ol_node *n);

#endif
