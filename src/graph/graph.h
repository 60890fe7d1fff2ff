/* SPDX-License-Identifier: Apache-2.0 */
/* The portable graph: what every reader produces, every pass and compressor rewrites, every writer consumes.
 *
 * Operators carry the names and semantics of the ONNX default domain at opset OL_OPSET; what ONNX cannot say is in the
 * domain "olivine" (docs/operators.md). A graph owns its nodes, values, names and attributes in one arena; constants
 * are shared by reference. Nodes form one list in topological order. Values are in SSA form: one producer each (a
 * node output, a graph input, or a constant). Subgraphs (If, Loop, Scan) are graphs in attributes that may refer to
 * values of the outer graph by pointer.
 *
 * Not thread-safe while being changed; immutable graphs may be shared. */
#ifndef OL_GRAPH_GRAPH_H
#define OL_GRAPH_GRAPH_H

#include "base/arena.h"
#include "tensor/constant.h"
#include "tensor/dim.h"

#define OL_OPSET 24 /* the pinned opset of the default domain */

typedef struct ol_op ol_op;       /* graph/op.h */
typedef struct ol_graph ol_graph;
typedef struct ol_node ol_node;
typedef struct ol_value ol_value;

typedef enum ol_value_kind { OL_VALUE_TENSOR, OL_VALUE_SEQUENCE, OL_VALUE_OPTIONAL } ol_value_kind;

/* Type and shape as far as known. rank < 0: unknown; dims[i] may be symbolic (tensor/dim.h, table of the root graph). */
typedef struct ol_type {
    ol_value_kind kind;
    bool sequence_inside; /* OPTIONAL of a SEQUENCE; with map_key: SEQUENCE of maps */
    ol_dtype map_key;     /* not NONE: a map of such keys to scalars of dtype. At run time a SEQUENCE of two tensors [n] */
    ol_dtype dtype;       /* element type of the innermost tensor; NONE: unknown */
    int rank;
    ol_dim dims[OL_MAX_RANK];
} ol_type;

struct ol_value {
    const char *name; /* unique within its graph, never NULL */
    ol_type type;
    ol_node *producer; /* NULL for inputs and constants */
    int output_index;  /* of the producer */
    ol_const *constant; /* not NULL: a constant (for an input: its default value) */
    bool is_input;
    int n_uses;      /* uses as a node input (subgraphs included) or as a graph output */
    int id;          /* dense index: graph->values[id] */
    ol_graph *graph; /* the graph that holds it */
};

typedef enum ol_attr_type {
    OL_ATTR_INT, OL_ATTR_FLOAT, OL_ATTR_STRING, OL_ATTR_TENSOR, OL_ATTR_GRAPH,
    OL_ATTR_INTS, OL_ATTR_FLOATS, OL_ATTR_STRINGS, OL_ATTR_TENSORS, OL_ATTR_GRAPHS, OL_ATTR_TYPE
} ol_attr_type;

typedef struct ol_attr {
    const char *name;
    ol_attr_type type;
    size_t count; /* of the list kinds; 1 otherwise */
    union {
        int64_t i;
        float f;
        ol_str s;
        ol_const *tensor;
        ol_graph *graph;
        const int64_t *ints;
        const float *floats;
        const ol_str *strings;
        ol_const **tensors;
        ol_graph **graphs;
        ol_type *type_proto;
    } v;
} ol_attr;

struct ol_node {
    const ol_op *op;
    const char *name; /* as in the file, or made up; never NULL */
    ol_value **inputs; /* NULL entries: omitted optional inputs */
    int n_inputs;
    ol_value **outputs; /* NULL entries: unused optional outputs */
    int n_outputs;
    ol_attr *attrs;
    int n_attrs;
    ol_node *prev, *next;
    ol_graph *graph;
    int id; /* position number, renewed by ol_graph_renumber */
};

/* State: what lives on between runs, per sequence. Operators refer to it by its index (attribute `state`). */
typedef enum ol_state_kind {
    OL_STATE_KV,    /* keys and values of attention: grows by positions; `window` > 0 lets old ones go */
    OL_STATE_FIXED, /* recurrent: one f32 tensor per sequence, read and written whole; zero at the start */
    OL_STATE_ONCE   /* written once per sequence (cross-attention) */
} ol_state_kind;

typedef struct ol_state_decl {
    const char *name;
    ol_state_kind kind;
    int kv_heads, k_dim, v_dim; /* KV, ONCE */
    int64_t window;             /* KV; 0 = keeps all */
    int64_t elements;           /* FIXED: f32 elements per sequence */
} ol_state_decl;

struct ol_graph {
    ol_arena *arena;
    ol_dim_table *dims; /* owned by the root graph, borrowed by subgraphs */
    ol_graph *parent;   /* NULL for the root */
    const char *name;
    ol_node *first, *last;
    int n_nodes;
    ol_value **values;
    int n_values, cap_values;
    ol_value **inputs;
    int n_inputs, cap_inputs;
    ol_value **outputs;
    int n_outputs, cap_outputs;
    ol_state_decl *states;
    int n_states, cap_states;
    const struct ol_op_set *ops; /* of a root graph: operators beside the registry's (graph/op.h); NULL: none */
    /* metadata: pairs of strings */
    const char **meta_keys, **meta_values;
    int n_meta, cap_meta;
    uint64_t name_counter;
    void *name_map; /* private: names in use */
    ol_graph *next_sub; /* private: chain of the subgraphs of a root */
};

ol_graph *ol_graph_create(const char *name);                    /* NULL when out of memory */
ol_graph *ol_graph_create_sub(ol_graph *parent, const char *name); /* same arena and dims; dies with the root */
void ol_graph_destroy(ol_graph *g);
/* A copy of a root graph that shares its constants; types are inferred anew. input_types, when not NULL, gives the type of
 * each input in place of its own (dims of g's table). */
OLV_MUST_USE olv_status ol_graph_clone(const ol_graph *g, const ol_type *input_types, ol_graph **out, olv_error *err);

/* Building. All return NULL when out of memory, or when a name is taken (err says so). A NULL name makes a fresh one. */
ol_value *ol_graph_add_input(ol_graph *g, const char *name, const ol_type *type, olv_error *err);
ol_value *ol_graph_add_constant(ol_graph *g, const char *name, ol_const *c /* taken, also on failure */, olv_error *err);
/* Small constants by value: i64 or f32, rank 0 when n < 0. */
ol_value *ol_graph_add_i64(ol_graph *g, const char *name, const int64_t *v, int n, olv_error *err);
ol_value *ol_graph_add_f32(ol_graph *g, const char *name, const float *v, int n, olv_error *err);
/* Appends a node (before `before`, or at the end if NULL). Inputs may hold NULLs. Output values are made with the
 * given names (names, or single entries, may be NULL: fresh; "": an unused optional output). Types are inferred by the
 * operator; on failure the node is not added. Attributes are copied. */
ol_node *ol_graph_add_node(ol_graph *g, ol_node *before, const ol_op *op, const char *name, ol_value *const *inputs,
                           int n_inputs, const char *const *output_names, int n_outputs, const ol_attr *attrs,
                           int n_attrs, olv_error *err);
olv_status ol_graph_add_output(ol_graph *g, ol_value *v, olv_error *err);
int ol_graph_add_state(ol_graph *g, const ol_state_decl *s); /* index, or -1 when out of memory */
olv_status ol_graph_set_meta(ol_graph *g, const char *key, const char *value, olv_error *err);
const char *ol_graph_get_meta(const ol_graph *g, const char *key); /* NULL when absent */
const char *ol_graph_fresh_name(ol_graph *g, const char *prefix);

/* Looking. */
#define OL_ALIAS "alias." /* metadata OL_ALIAS "NAME" = the name of the input or output that may also be called NAME */
/* Index of the input of that name or alias, -1 when there is none; likewise of the output. */
int ol_graph_find_input(const ol_graph *g, const char *name);
int ol_graph_find_output(const ol_graph *g, const char *name);
ol_value *ol_graph_find_value(const ol_graph *g, const char *name);
const ol_attr *ol_node_attr(const ol_node *n, const char *name); /* NULL when absent */
int64_t ol_node_int(const ol_node *n, const char *name, int64_t def);
float ol_node_float(const ol_node *n, const char *name, float def);
ol_str ol_node_string(const ol_node *n, const char *name, const char *def);
/* Ints of a list attribute; *count 0 and NULL when absent. */
const int64_t *ol_node_ints(const ol_node *n, const char *name, size_t *count);
/* Makers of attributes for ol_graph_add_node. */
ol_attr ol_attr_int(const char *name, int64_t v);
ol_attr ol_attr_float(const char *name, float v);
ol_attr ol_attr_string(const char *name, const char *v);
ol_attr ol_attr_ints(const char *name, const int64_t *v, size_t n);
/* Consumers of a value in this graph (and as outer value in subgraphs): calls fn for each use; stops when fn returns
 * false. input < 0: a graph output. */
void ol_value_each_use(const ol_value *v, bool (*fn)(void *ctx, ol_node *user, int input), void *ctx);
/* The only consumer node when there is exactly one use and it is a node, else NULL. */
ol_node *ol_value_only_user(const ol_value *v);
/* True when the value is a constant of at most max_bytes; materialized into out (deinit it). */
bool ol_value_const_tensor(const ol_value *v, size_t max_bytes, ol_tensor *out);
/* Bytes of the float and quantized constants in use, as they are stored or will be produced; *elements (may be NULL): how many numbers they stand for. */
uint64_t ol_graph_weight_bytes(const ol_graph *g, uint64_t *elements);

/* Changing. */
void ol_value_replace_uses(ol_value *old, ol_value *with); /* everywhere, graph outputs included */
/* The same, and where `old` is a graph output `with` takes over its name (and gives its own for it). */
void ol_value_supersede(ol_value *old, ol_value *with);
void ol_node_set_input(ol_node *n, int index, ol_value *v);
void ol_graph_remove_node(ol_graph *g, ol_node *n); /* its outputs must have no uses */
void ol_value_set_constant(ol_value *v, ol_const *c /* taken */); /* swaps the constant of a constant value */
void ol_value_drop_default(ol_value *v); /* an input loses its default value: it must be given then */
void ol_graph_renumber(ol_graph *g);
/* Removes nodes whose outputs nobody uses, then unused constants. */
void ol_graph_prune(ol_graph *g);
/* Stable topological sort; OLV_FORMAT naming a node when there is a cycle. */
olv_status ol_graph_sort(ol_graph *g, olv_error *err);

/* Checks every invariant named above, and each node's arity, attributes and types. */
OLV_MUST_USE olv_status ol_graph_verify(ol_graph *g, olv_error *err);
/* Infers all types again from the inputs' types (after those changed). */
OLV_MUST_USE olv_status ol_graph_infer(ol_graph *g, olv_error *err);

/* Text form, one line per item; round-trips through ol_graph_parse (constants above 64 elements are dumped as their
 * type and a hash and parse back as zeros). The format is documented in docs/graph-text.md. */
void ol_graph_dump(const ol_graph *g, ol_buf *out);
OLV_MUST_USE olv_status ol_graph_parse(const char *text, size_t len, ol_graph **out, olv_error *err);

#endif
