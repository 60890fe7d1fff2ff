/* SPDX-License-Identifier: Apache-2.0 */
/* Operators of the portable graph as layers of OpenVINO: one function per operator or family, in to_<family>.c; to.def says
 * which takes what. A function reads the inputs of its node as outputs of layers, makes layers, and gives the node's outputs.
 * Failures latch in the emitter; what cannot be said is refused with ol_to_refuse. */
#ifndef OL_FORMATS_OPENVINO_TO_H
#define OL_FORMATS_OPENVINO_TO_H

#include "formats/openvino/emit.h"
#include "graph/op.h"

/* A graph on its way into the net or into a body. */
typedef struct ol_to {
    ol_ir_emit *e;
    const ol_graph *g;
    ol_ir_out *place; /* by value id */
    struct ol_to *outer;
    /* Values of outer graphs that the body uses, and their places in it. */
    const ol_value **captured;
    ol_ir_out *captured_place;
    int n_captured, cap_captured;
} ol_to;

typedef struct ol_to_rule {
    const char *domain, *op;
    void (*fn)(ol_to *t, const ol_node *n, const struct ol_to_rule *r);
    const char *type, *version; /* of the layer, for functions that serve several operators */
} ol_to_rule;

/* ---- one node ---- */

ol_ir_out ol_to_value(ol_to *t, const ol_value *v);
/* The constant that a value is, also by a Reshape, in the shape of dims (rank < 0: its own): a new reference, or NULL. */
ol_const *ol_to_const(const ol_value *v, int rank, const int64_t *dims);
bool ol_to_has(const ol_node *n, int i);
ol_ir_out ol_to_in(ol_to *t, const ol_node *n, int i); /* OL_IR_NONE when left out */
const ol_type *ol_to_type(const ol_node *n, int i);    /* of input i; NULL when left out */
ol_dtype ol_to_dtype(const ol_node *n, int i);
/* Rank of input i; refused and -1 when it is not known. */
int ol_to_rank(ol_to *t, const ol_node *n, int i);
/* An axis of `rank`, counted from the front. */
int64_t ol_to_axis(int64_t axis, int rank);
/* Known size, or -1. */
int64_t ol_to_dim(const ol_type *x, int axis);
/* Elements of a constant integer input; false when it is no constant, or longer than max. */
bool ol_to_ints(const ol_node *n, int i, int64_t *out, int max, int *count);
/* Output i of the node: names the layer and the tensor. An output that is another value too gets a layer of its own. */
void ol_to_give(ol_to *t, const ol_node *n, int i, ol_ir_out o);
/* A layer whose outputs are those of the node, `n_out` of them at least. */
ol_ir_out ol_to_put(ol_to *t, const ol_node *n, const char *type, const char *version, const ol_ir_out *in, int n_in, const ol_ir_attr *attrs,
                    int n_attrs, int n_out);
void ol_to_refuse(ol_to *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* All of a graph: constants as they are needed, nodes in their order. */
void ol_to_nodes(ol_to *t);
ol_ir_type ol_to_ir_type(ol_to *t, const ol_type *x);
const char *ol_to_names(ol_to *t, const ol_value *v);

/* ---- parts of expressions ---- */

ol_ir_out ol_to_one(ol_to *t, const char *type, ol_ir_out x);
ol_ir_out ol_to_two(ol_to *t, const char *type, ol_ir_out a, ol_ir_out b);
/* A layer of one output whose type is that of its first input, or unknown when `like` is false. */
ol_ir_out ol_to_layer(ol_to *t, const char *type, const char *version, const ol_ir_out *in, int n_in, const ol_ir_attr *attrs, int n_attrs, bool like);
ol_ir_out ol_to_number(ol_to *t, ol_ir_out like, double v); /* a scalar of that type */
ol_ir_out ol_to_i64(ol_to *t, const int64_t *v, int n);
ol_ir_out ol_to_scalar(ol_to *t, int64_t v);
ol_ir_out ol_to_cast(ol_to *t, ol_ir_out x, ol_dtype to); /* x itself when it has that type */
ol_dtype ol_to_dtype_of(ol_to *t, ol_ir_out x);
ol_ir_out ol_to_shape_of(ol_to *t, ol_ir_out x);
ol_ir_out ol_to_size(ol_to *t, ol_ir_out x, int64_t axis, bool scalar); /* i64; known ones are constants */
ol_ir_out ol_to_gather(ol_to *t, ol_ir_out x, ol_ir_out indices, int64_t axis);
ol_ir_out ol_to_reduce(ol_to *t, const char *type, ol_ir_out x, const int64_t *axes, int n, bool keep);
ol_ir_out ol_to_concat(ol_to *t, const ol_ir_out *in, int n, int64_t axis);
ol_ir_out ol_to_slice(ol_to *t, ol_ir_out x, int64_t from, int64_t to, int64_t step, int64_t axis);
ol_ir_out ol_to_reshape(ol_to *t, ol_ir_out x, ol_ir_out shape, bool special_zero);
ol_ir_out ol_to_broadcast(ol_to *t, ol_ir_out x, ol_ir_out shape);
ol_ir_out ol_to_select(ol_to *t, ol_ir_out cond, ol_ir_out a, ol_ir_out b);
ol_ir_out ol_to_matmul(ol_to *t, ol_ir_out a, ol_ir_out b, bool ta, bool tb);
ol_ir_out ol_to_softmax(ol_to *t, const char *type, ol_ir_out x, int64_t axis);
/* [start, start + 1, ..) of `count` numbers, i64 [count]. */
ol_ir_out ol_to_range(ol_to *t, ol_ir_out count);
/* x in mean 0 and variance 1 over the axes. */
ol_ir_out ol_to_mvn(ol_to *t, ol_ir_out x, const int64_t *axes, int n, double eps, bool inside);
/* A vector [C] as [1, .., C, .., 1] for tensors of that rank. */
ol_ir_out ol_to_along(ol_to *t, ol_ir_out x, int axis, int rank);

/* ---- families ---- */

#define OL_TO(domain, op, fn, type, version) void ol_to_##fn(ol_to *t, const ol_node *n, const ol_to_rule *r);
#include "formats/openvino/to.def"
#undef OL_TO

#endif
