/* SPDX-License-Identifier: Apache-2.0 */
/* Inside of the reader: layers and edges of one body (read_body.c), constants (read_const.c, read_weight.c), and the
 * translation of layers (from_*.c). */
#ifndef OL_FORMATS_OPENVINO_READER_H
#define OL_FORMATS_OPENVINO_READER_H

#include "base/map.h"
#include "base/xml.h"
#include "formats/openvino/element.h"
#include "formats/openvino/openvino.h"
#include "graph/op.h"

#define OL_IR_MAX_PORTS 100000
#define OL_IR_MAX_INTS 64 /* of an attribute or of a small constant */

typedef struct ol_ir_layer ol_ir_layer;

typedef struct ol_ir_edge { /* an output of a layer; layer NULL: not connected */
    ol_ir_layer *layer;
    int port;
} ol_ir_edge;

typedef struct ol_ir_port {
    int64_t id;
    const ol_ir_element *element; /* NULL: not said */
    const char *names;            /* "a,b" with escaped commas; "" without any */
} ol_ir_port;

struct ol_ir_layer {
    int64_t id;
    const char *name, *type, *version;
    const ol_xml *xml, *data;
    ol_ir_port *in_ports, *out_ports;
    int n_in, n_out;
    ol_ir_edge *in;  /* by input */
    ol_value **out;  /* by output: what it became; NULL: nothing yet */
    int n_uses;      /* edges from its outputs */
    ol_ir_layer *user; /* of the last of them */
    uint8_t mark;    /* 0 not visited, 1 in work, 2 translated */
    int next_in;     /* while visiting */
};

typedef struct ol_ir_body {
    ol_ir_layer *layers;
    int n;
    ol_ir_layer **by_id; /* sorted by id */
} ol_ir_body;

typedef struct ol_ir_state {
    const char *id;
    ol_type type;
    ol_value *input, *next;
    int readers, writers;
    struct ol_ir_state *link;
} ol_ir_state;

typedef struct ol_ir_reader {
    ol_arena *arena; /* of the document and the layers */
    ol_file *bin;    /* NULL: there is none */
    const char *bin_name;
    ol_value *fresh;
    ol_ir_state *states; /* in the order in which they are read */
    int depth;
} ol_ir_reader;

/* The translation of one layer. A failure latches: later builders return NULL. */
typedef struct ol_ir {
    ol_ir_reader *r;
    ol_ir_body *body;
    ol_ir_layer *l;
    ol_graph *g;
    olv_error *err;
    olv_status status;
} ol_ir;

/* ---- read_body.c ---- */

/* Layers and edges of <net>, <body> and the like. */
OLV_MUST_USE olv_status ol_ir_body_read(ol_ir_reader *r, const ol_xml *net, ol_ir_body *out, olv_error *err);
ol_ir_layer *ol_ir_body_find(const ol_ir_body *b, int64_t id); /* NULL when there is none */
/* Translates everything that Results and Assigns depend on into g, in order. Parameters are there already. */
OLV_MUST_USE olv_status ol_ir_body_translate(ol_ir_reader *r, ol_ir_body *b, ol_graph *g, olv_error *err);
/* What the layer's input 0 became: the value of a Result. */
OLV_MUST_USE olv_status ol_ir_result_of(ol_ir_reader *r, ol_ir_body *b, ol_ir_layer *l, ol_graph *g, ol_value **out, olv_error *err);
/* The type that a Parameter or a ReadValue declares in these attributes of <data>. */
OLV_MUST_USE olv_status ol_ir_declared(const ol_ir_layer *l, const char *type, const char *shape, ol_dim_table *dims, ol_type *out,
                                       olv_error *err);
/* The k-th name of a port, in the graph's arena; NULL when there are fewer. */
const char *ol_ir_port_name(ol_arena *a, const char *names, int k);
/* Puts the place before a message. */
olv_status ol_ir_at(const ol_ir_layer *l, olv_error *err);

/* ---- read_const.c ---- */

/* The bytes of a Const layer. */
typedef struct ol_ir_bytes {
    const ol_ir_element *element;
    int rank;
    int64_t dims[OL_MAX_RANK], count;
    const uint8_t *data;
    size_t bytes; /* of count elements */
} ol_ir_bytes;
OLV_MUST_USE olv_status ol_ir_const_bytes(const ol_ir_reader *r, const ol_ir_layer *l, ol_ir_bytes *out, olv_error *err);
OLV_MUST_USE olv_status ol_ir_const_read(const ol_ir_reader *r, const ol_ir_layer *l, ol_const **out, olv_error *err);
bool ol_ir_is(const ol_ir_layer *l, const char *type); /* l may be NULL */

/* ---- read_weight.c ---- */

/* If the Multiply is the end of a decompression of weights, its result (or that of the Reshape behind it) becomes a quantized
 * constant and *done is set. */
void ol_ir_fold_weight(ol_ir *t, bool *done);

/* ---- from.c: what translators use ---- */

olv_status ol_ir_fail(ol_ir *t, olv_status s, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
ol_value *ol_ir_in(ol_ir *t, int i);   /* NULL when not connected */
ol_value *ol_ir_need(ol_ir *t, int i); /* fails then */
bool ol_ir_has(const ol_ir *t, int i); /* connected */
/* A node of the default domain (or "olivine.NAME") and its first output; inputs may be NULL. */
ol_value *ol_ir_op(ol_ir *t, const char *op, ol_value *const *in, int n_in, const ol_attr *attrs, int n_attrs);
ol_node *ol_ir_node(ol_ir *t, const char *op, ol_value *const *in, int n_in, const char *const *names, int n_out, const ol_attr *attrs,
                    int n_attrs);
/* The same; its first output is the layer's output i and has its name. */
ol_value *ol_ir_result(ol_ir *t, int i, const char *op, ol_value *const *in, int n_in, const ol_attr *attrs, int n_attrs);
void ol_ir_set(ol_ir *t, int i, ol_value *v); /* the layer's output i is v */
/* The name that output i should have, NULL when it is taken. */
const char *ol_ir_output_name(ol_ir *t, int i);
ol_value *ol_ir_unary(ol_ir *t, const char *op, ol_value *x);
ol_value *ol_ir_binary(ol_ir *t, const char *op, ol_value *a, ol_value *b);
ol_value *ol_ir_ints(ol_ir *t, const int64_t *v, int n); /* i64 constant, a scalar when n < 0 */
ol_value *ol_ir_int1(ol_ir *t, int64_t v);               /* i64 [1] */
ol_value *ol_ir_number(ol_ir *t, double v, ol_dtype type); /* a scalar */
ol_value *ol_ir_cast(ol_ir *t, ol_value *v, ol_dtype to);
ol_value *ol_ir_i64(ol_ir *t, ol_value *v);
ol_value *ol_ir_vector(ol_ir *t, ol_value *v); /* i64 [n] of an i64 scalar or vector */
ol_value *ol_ir_transpose(ol_ir *t, ol_value *v, const int64_t *perm, int n);
ol_value *ol_ir_unsqueeze(ol_ir *t, ol_value *v, int64_t axis);
ol_value *ol_ir_squeeze(ol_ir *t, ol_value *v, int64_t axis);
ol_value *ol_ir_size(ol_ir *t, ol_value *v, int64_t axis); /* i64 [1] */
int ol_ir_rank(ol_ir *t, const ol_value *v);               /* fails when unknown */
/* Numbers of a constant input: their count, -1 when it is no constant of at most `max` numbers. */
int ol_ir_const_ints(ol_ir *t, int i, int64_t *out, int max);
bool ol_ir_const_real(ol_ir *t, int i, double *out); /* one number */
int ol_ir_value_ints(const ol_value *v, int64_t *out, int max);
/* An axis given as constant input i, not negative (rank of x added). */
int64_t ol_ir_axis(ol_ir *t, int i, const ol_value *x);

/* Attributes of <data>. Malformed ones fail the translation. */
const char *ol_ir_text(const ol_ir *t, const char *name, const char *def);
bool ol_ir_text_is(const ol_ir *t, const char *name, const char *def, const char *text); /* without regard to case */
bool ol_ir_flag(ol_ir *t, const char *name, bool def);
int64_t ol_ir_attr_int(ol_ir *t, const char *name, int64_t def);
double ol_ir_attr_real(ol_ir *t, const char *name, double def);
int ol_ir_attr_ints(ol_ir *t, const char *name, int64_t *out, int max); /* count; 0 when absent */
ol_dtype ol_ir_attr_type(ol_ir *t, const char *name, ol_dtype def);
ol_dtype ol_ir_out_type(ol_ir *t, int i); /* as the output port says */

/* ---- the table of operations ---- */

typedef void ol_ir_fn(ol_ir *t);
typedef struct ol_ir_operation {
    const char *type; /* as in the file, without regard to case */
    ol_ir_fn *run;    /* NULL: the ONNX operator `op` with the same inputs */
    const char *op;
} ol_ir_operation;
/* Translates the layer: results are set, or t->status says why not. */
void ol_ir_translate(ol_ir *t);

extern const ol_ir_operation ol_ir_math[], ol_ir_shapes[], ol_ir_indexing[], ol_ir_filters[], ol_ir_norms[], ol_ir_rnns[],
    ol_ir_controls[], ol_ir_states[]; /* each ends with a type of NULL */

#endif
