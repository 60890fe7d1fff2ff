/* SPDX-License-Identifier: Apache-2.0 */
/* Lowering of the flat-row graph (docs/lm-graph.md) to the stateful IR that OpenVINO GenAI loads. Rows [T, n] become
 * [B, S, n]; what belongs to heads stays in the form that its node gave until somebody asks for another one. The layers are
 * spelled as exports from PyTorch have them, because OpenVINO's fusions look for those. Failures latch in the file. */
#ifndef OL_FORMATS_OPENVINO_LM_WRITE_H
#define OL_FORMATS_OPENVINO_LM_WRITE_H

#include "formats/openvino/emit.h"
#include "formats/openvino/lm.h"
#include "graph/op.h"

typedef enum ol_lmw_form {
    OL_LMW_ROWS,   /* [B, S, n] */
    OL_LMW_SPLIT,  /* [B, S, heads, d] */
    OL_LMW_HEADS,  /* [B, heads, S, d] */
    OL_LMW_EXPERTS /* [E, B S, ...] for a flat [T, A, ...]: every expert's, not yet chosen from */
} ol_lmw_form;

typedef struct ol_lmw_value {
    ol_ir_out out; /* layer < 0: not there yet */
    ol_lmw_form form;
    int64_t heads;       /* SPLIT, HEADS */
    ol_value *chosen;    /* EXPERTS: which of them [T, A] */
} ol_lmw_value;

typedef struct ol_lmw_table { /* cos and sin of a rotary table, [B, 1, S, d] */
    const ol_value *table;
    bool interleaved;
    ol_ir_out cos, sin;
} ol_lmw_table;

typedef struct ol_lmw_mask {
    int64_t window;
    ol_ir_out mask;
} ol_lmw_mask;

#define OL_LMW_MAX_TABLES 16

typedef struct ol_lmw {
    ol_graph *g;
    ol_ir_file *f;
    ol_ir_emit *e;
    ol_lmw_value *values; /* by value id */
    ol_value *ids, *positions, *output_rows;
    const ol_node *last;   /* gives the logits; its layer carries their name */
    bool named;
    const char *logits;    /* the name as layers take it */
    ol_ir_out in_ids, in_mask, in_positions, in_beam;
    ol_ir_out batch;       /* i64 [1] */
    ol_ir_out past, total; /* lengths, i64 scalars, made with the first state */
    ol_ir_out key_index, query_index; /* positions of keys [1,1,1,L] and queries [1,1,S,1] */
    ol_lmw_table tables[OL_LMW_MAX_TABLES];
    int n_tables;
    ol_lmw_mask masks[OL_LMW_MAX_TABLES];
    int n_masks, n_layers;
    ol_ir_out *assigned;   /* keys and values of the layers, in turn */
    const char **variables;
    int n_assigned;
} ol_lmw;

/* lm_write.c */
void ol_lmw_fail(ol_lmw *w, const ol_node *n, olv_status s, const char *fmt, ...) __attribute__((format(printf, 4, 5)));
bool ol_lmw_failed(const ol_lmw *w);
const char *ol_lmw_text(ol_lmw *w, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
ol_ir_out ol_lmw_add(ol_lmw *w, const char *type, const char *version, const char *name, const ol_ir_out *in, int n_in,
                     const ol_ir_attr *attrs, int n_attrs, const ol_ir_type *out);
ol_ir_type ol_lmw_type(ol_dtype t, int rank, const int64_t *dims);
ol_ir_out ol_lmw_list(ol_lmw *w, int64_t v);   /* i64 [1] */
ol_ir_out ol_lmw_scalar(ol_lmw *w, int64_t v); /* i64 */
ol_ir_out ol_lmw_number(ol_lmw *w, double v);  /* f32 */
ol_ir_out ol_lmw_gather(ol_lmw *w, const char *name, ol_ir_out data, ol_ir_out index, int64_t axis, const ol_ir_type *out);
ol_ir_out ol_lmw_concat(ol_lmw *w, const char *name, const ol_ir_out *in, int n, int64_t axis, const ol_ir_type *out);
/* Range of the last axis; end INT64_MAX: all. */
ol_ir_out ol_lmw_slice(ol_lmw *w, ol_ir_out x, int64_t start, int64_t end, int64_t step, const ol_ir_type *out);

/* Names of the output tensor of n's layer: those of the logits, or NULL. */
const char *const *ol_lmw_names(ol_lmw *w, const ol_node *n);

/* The value in a form; constants are emitted once. */
ol_ir_out ol_lmw_rows(ol_lmw *w, ol_value *v);
ol_ir_out ol_lmw_split(ol_lmw *w, ol_value *v, int64_t heads);
ol_ir_out ol_lmw_heads(ol_lmw *w, ol_value *v, int64_t heads);
void ol_lmw_set(ol_lmw *w, const ol_node *n, int output, ol_ir_out out, ol_lmw_form form, int64_t heads);
int64_t ol_lmw_width(const ol_value *v);
ol_ir_type ol_lmw_row_type(const ol_value *v); /* f32 [-1, -1, width] */
/* Integers of a constant input (absent: 0); -1 when it is none, or longer than max. */
int ol_lmw_ints(const ol_node *n, int input, int64_t *out, int max);
/* A weight or table, emitted once, as f32. */
ol_ir_out ol_lmw_weight(ol_lmw *w, ol_value *v);

/* Emit one node. lm_write_nodes.c: what works row by row; lm_write_norm.c; lm_write_rope.c; lm_write_attention.c;
 * lm_write_experts.c. */
typedef void ol_lmw_handler(ol_lmw *w, ol_node *n);
ol_lmw_handler ol_lmw_linear, ol_lmw_norm, ol_lmw_head_norm, ol_lmw_rotary, ol_lmw_attention, ol_lmw_expert_linear;
bool ol_lmw_plain(ol_lmw *w, ol_node *n); /* false: there is no such operator here */
/* Weighs and sums experts where n does that; false: n is something else. */
bool ol_lmw_weigh_experts(ol_lmw *w, ol_node *n);

#endif
