/* SPDX-License-Identifier: Apache-2.0 */
/* What an operator is: one const descriptor per file under src/ops, registered by one line in src/ops/ops.def. */
#ifndef OL_GRAPH_OP_H
#define OL_GRAPH_OP_H

#include "graph/graph.h"

typedef struct ol_attr_spec {
    const char *name;
    ol_attr_type type;
    bool required;
} ol_attr_spec;

/* Shape inference context of one node. Symbolic values of small integer inputs (shapes) are looked up through
 * ol_infer_ints: dims of the table, so that Shape → Gather → Concat → Reshape stays symbolic. */
typedef struct ol_infer {
    ol_graph *graph;
    const ol_node *node;
    ol_type *out; /* [node->n_outputs], preset to unknown */
} ol_infer;
/* Type of input i, NULL when omitted. */
const ol_type *ol_infer_in(const ol_infer *c, int i);
/* Elements of an integer input as dims (constant or traced); -1 when unknown, else their number (<= max). */
int ol_infer_ints(const ol_infer *c, int i, ol_dim *dims, int max);
/* The same for a shape: elements that are not known are OL_DIM_NONE, and their number may be known all the same. */
int ol_infer_sizes(const ol_infer *c, int i, ol_dim *dims, int max);
/* Handles of symbolic dims are negative numbers near zero; a negative constant among the elements that ol_infer_ints
 * gives is therefore coded below INT64_MIN / 2. Decoding leaves sizes and handles as they are. */
static inline int64_t ol_infer_decode(ol_dim d) {
    return d > INT64_MIN && d <= INT64_MIN / 2 ? INT64_MIN - d : d;
}
static inline bool ol_infer_is_negative(ol_dim d) { return d > INT64_MIN && d <= INT64_MIN / 2; }
static inline ol_dim ol_infer_code(int64_t v) {
    return v >= 0 ? v : INT64_MIN - (v < INT64_MIN / 2 ? INT64_MIN / 2 : v);
}

/* A value at run time on the reference device: a tensor, a sequence of tensors, or an optional (present == false: none). */
typedef struct ol_datum {
    ol_value_kind kind;
    bool present;
    ol_tensor tensor;
    struct ol_datum *items; /* SEQUENCE */
    size_t n_items, cap_items;
} ol_datum;
void ol_datum_deinit(ol_datum *d);
OLV_MUST_USE olv_status ol_datum_copy(ol_datum *dst, const ol_datum *src, olv_error *err);

/* Rows of a run and the state behind them; device/reference gives it, only operators with state look into it. */
typedef struct ol_state_access {
    void *ctx;
    int64_t n_rows;
    const int32_t *sequence; /* [n_rows]: sequence of each row */
    const int64_t *position; /* [n_rows]: its place there */
    const int64_t *length;   /* [n_rows]: positions of its sequence, this run's included */
    /* `width` floats kept between runs for a position of a sequence. NULL when not there yet (made when `make` is set,
     * zeroed; then NULL: out of memory or another width). */
    float *(*slot)(void *ctx, int64_t state, int32_t sequence, int64_t position, int64_t width, bool make);
} ol_state_access;

/* Evaluation context. Inputs: NULL when omitted. Outputs: empty; the operator initializes each that node->outputs[i]
 * names. */
typedef struct ol_eval {
    const ol_node *node;
    const ol_datum *const *in;
    ol_datum *out;
    /* Runs a subgraph attribute with the given inputs; outputs become the caller's. NULL when not supported. */
    olv_status (*run_graph)(struct ol_eval *c, ol_graph *g, const ol_datum *const *in, int n_in, ol_datum *out,
                            int n_out, olv_error *err);
    void *device;
    const ol_state_access *state;
} ol_eval;
/* Tensor of input i, or NULL. */
const ol_tensor *ol_eval_in(const ol_eval *c, int i);
/* Allocates output i. */
OLV_MUST_USE olv_status ol_eval_out(ol_eval *c, int i, ol_dtype dtype, int rank, const int64_t *dims, ol_tensor **out,
                                    olv_error *err);

struct ol_op {
    const char *domain; /* "" default, "olivine", "ai.onnx.ml", ... */
    const char *name;
    const char *summary; /* one line for docs/operators.md */
    int min_inputs, max_inputs;   /* max < 0: any number */
    int min_outputs, max_outputs;
    const ol_attr_spec *attrs;
    int n_attrs; /* -1: attributes of any names */
    /* Types of the outputs from those of the inputs; errors say what was found and expected. */
    olv_status (*infer)(ol_infer *c, olv_error *err);
    /* The obvious evaluation, in double where it matters. NULL for composite operators. */
    olv_status (*eval)(ol_eval *c, olv_error *err);
    /* Composite operators: builds the node's work from primitive nodes before it; sets out[i]. */
    olv_status (*decompose)(ol_graph *g, ol_node *n, ol_value **out, olv_error *err);
    bool stochastic;  /* never folded or merged */
    bool elementwise; /* output has the shape of its (broadcast) inputs */
};

/* Operators beside those of the registry, as a graph is read with them. They and the set outlive the graph. */
typedef struct ol_op_set {
    const ol_op *(*find)(const struct ol_op_set *s, const char *domain, const char *name); /* NULL: none */
} ol_op_set;
/* In the graph's set, or in the registry. */
const ol_op *ol_graph_find_op(const ol_graph *g, const char *domain, const char *name);

/* Lookup in the registry (src/ops). NULL when there is no such operator. */
const ol_op *ol_op_find(const char *domain, const char *name);
const ol_op *const *ol_op_all(size_t *count);
/* Nearest known name, for messages; may be NULL. */
const char *ol_op_nearest(const char *name);

#endif
