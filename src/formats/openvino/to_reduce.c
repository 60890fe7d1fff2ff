/* SPDX-License-Identifier: Apache-2.0 */
/* Reductions and softmax. */
#include "formats/openvino/to.h"
#include <string.h>

/* The axes of a reduction as a layer; all of them where the node names none. */
static ol_ir_out axes_of(ol_to *t, const ol_node *n, ol_ir_out x) {
    int64_t all[OL_MAX_RANK];
    int rank = n->inputs[0]->type.rank, count;
    bool empty = !ol_to_has(n, 1) || (ol_to_ints(n, 1, all, OL_MAX_RANK, &count) && count == 0) || ol_to_dim(ol_to_type(n, 1), 0) == 0;
    if (!empty) return ol_to_in(t, n, 1);
    for (int i = 0; i < rank; i++) all[i] = i;
    if (rank >= 0) return ol_to_i64(t, all, rank);
    return ol_to_range(t, ol_ir_add_reshape(t->e, NULL, ol_to_shape_of(t, ol_to_shape_of(t, x)), NULL, 0, false));
}

static ol_ir_out reduce(ol_to *t, const char *type, ol_ir_out x, ol_ir_out axes, bool keep) {
    const ol_ir_out in[2] = {x, axes};
    const ol_ir_attr attr = ol_ir_say_bool("keep_dims", keep);
    return ol_to_layer(t, type, !strcmp(type, "ReduceL1") || !strcmp(type, "ReduceL2") ? "opset4" : NULL, in, 2, &attr, 1, false);
}

/* log(sum(exp(x - m))) + m, m: the maximum where it is finite. */
static ol_ir_out log_sum_exp(ol_to *t, ol_ir_out x, ol_ir_out axes, bool keep) {
    ol_ir_out m = reduce(t, "ReduceMax", x, axes, true), zero = ol_to_number(t, x, 0);
    ol_ir_out huge = ol_to_two(t, "Greater", ol_to_one(t, "Abs", m), ol_to_number(t, x, ol_to_dtype_of(t, x) == OL_F16 ? 65504 : 3.4028234663852886e38));
    m = ol_to_select(t, huge, zero, m);
    ol_ir_out y = ol_to_one(t, "Log", reduce(t, "ReduceSum", ol_to_one(t, "Exp", ol_to_two(t, "Subtract", x, m)), axes, keep));
    return ol_to_two(t, "Add", y, keep ? m : reduce(t, "ReduceSum", m, axes, false));
}

/* What a reduction over no axes does to the elements. */
static ol_ir_out over_nothing(ol_to *t, const char *op, ol_ir_out x) {
    if (!strcmp(op, "ReduceL1") || !strcmp(op, "ReduceL2")) return ol_to_one(t, "Abs", x);
    if (!strcmp(op, "ReduceLogSum")) return ol_to_one(t, "Log", x);
    if (!strcmp(op, "ReduceSumSquare")) return ol_to_two(t, "Multiply", x, x);
    return ol_ir_add_convert(t->e, NULL, x, ol_ir_element_of(ol_to_dtype_of(t, x)));
}

void ol_to_reduce_node(ol_to *t, const ol_node *n, const ol_to_rule *r) {
    ol_ir_out x = ol_to_in(t, n, 0);
    bool keep = ol_node_int(n, "keepdims", 1) != 0, noop = ol_node_int(n, "noop_with_empty_axes", 0) != 0;
    int64_t some[OL_MAX_RANK];
    int count = 0;
    bool empty = !ol_to_has(n, 1) || (ol_to_ints(n, 1, some, OL_MAX_RANK, &count) && count == 0) || ol_to_dim(ol_to_type(n, 1), 0) == 0;
    if (noop && empty) {
        ol_to_give(t, n, 0, over_nothing(t, r->op, x));
        return;
    }
    ol_ir_out axes = axes_of(t, n, x);
    if (!strcmp(r->op, "ReduceLogSumExp")) {
        ol_to_give(t, n, 0, log_sum_exp(t, x, axes, keep));
        return;
    }
    if (!strcmp(r->op, "ReduceSumSquare")) x = ol_to_two(t, "Multiply", x, x);
    if (!strcmp(r->op, "ReduceLogSum")) {
        ol_to_give(t, n, 0, ol_to_one(t, "Log", reduce(t, "ReduceSum", x, axes, keep)));
        return;
    }
    if (ol_to_dtype(n, 0) == OL_BOOL) { /* the CPU plugin has no logical reductions over axes that are no constant */
        ol_to_give(t, n, 0, ol_to_cast(t, reduce(t, r->type, ol_to_cast(t, x, OL_U8), axes, keep), OL_BOOL));
        return;
    }
    const ol_ir_out in[2] = {x, axes};
    const ol_ir_attr attr = ol_ir_say_bool("keep_dims", keep);
    ol_to_put(t, n, r->type, r->version, in, 2, &attr, 1, 1);
}

void ol_to_softmax_node(ol_to *t, const ol_node *n, const ol_to_rule *r) {
    const ol_ir_out x = ol_to_in(t, n, 0);
    const ol_ir_attr attr = ol_ir_say_int(t->e, "axis", ol_node_int(n, "axis", -1));
    ol_to_put(t, n, r->type, r->version, &x, 1, &attr, 1, 1);
}
