/* SPDX-License-Identifier: Apache-2.0 */
/* Operators that choose, place, order and count elements. */
#include "formats/openvino/to.h"
#include <string.h>

/* Indices below zero count from the end of an axis; OpenVINO's Gather alone does that by itself. */
static ol_ir_out from_front(ol_to *t, const ol_node *n, int i, ol_ir_out size) {
    ol_ir_out x = ol_to_in(t, n, i);
    int64_t v[64];
    int count;
    bool negative = !ol_to_ints(n, i, v, 64, &count);
    for (int k = 0; !negative && k < count; k++) negative = v[k] < 0;
    if (!negative) return x;
    return ol_to_select(t, ol_to_two(t, "Less", x, ol_to_number(t, x, 0)), ol_to_two(t, "Add", x, ol_to_cast(t, size, ol_to_dtype_of(t, x))), x);
}

void ol_to_gather_node(ol_to *t, const ol_node *n, const ol_to_rule *r) {
    (void)r;
    const ol_ir_out in[3] = {ol_to_in(t, n, 0), ol_to_in(t, n, 1), ol_to_scalar(t, ol_node_int(n, "axis", 0))};
    const ol_ir_attr attr = ol_ir_say_text("batch_dims", "0");
    ol_to_put(t, n, "Gather", "opset8", in, 3, &attr, 1, 1);
}

void ol_to_gather_elements(ol_to *t, const ol_node *n, const ol_to_rule *r) {
    (void)r;
    int64_t axis = ol_node_int(n, "axis", 0);
    const ol_ir_attr attr = ol_ir_say_int(t->e, "axis", axis);
    const ol_ir_out x = ol_to_in(t, n, 0), in[2] = {x, from_front(t, n, 1, ol_to_size(t, x, axis, true))};
    ol_to_put(t, n, "GatherElements", "opset6", in, 2, &attr, 1, 1);
}

void ol_to_gather_nd(ol_to *t, const ol_node *n, const ol_to_rule *r) {
    (void)r;
    int64_t batch = ol_node_int(n, "batch_dims", 0), width = ol_to_dim(ol_to_type(n, 1), ol_to_type(n, 1)->rank - 1);
    const ol_ir_attr attr = ol_ir_say_int(t->e, "batch_dims", batch);
    const ol_ir_out x = ol_to_in(t, n, 0);
    ol_ir_out sizes = width < 0 ? OL_IR_NONE : ol_to_slice(t, ol_to_shape_of(t, x), batch, batch + width, 1, 0);
    const ol_ir_out in[2] = {x, width < 0 ? ol_to_in(t, n, 1) : from_front(t, n, 1, sizes)};
    ol_to_put(t, n, "GatherND", "opset8", in, 2, &attr, 1, 1);
}

static const char *reduction(ol_to *t, const ol_node *n) {
    static const char *const names[][2] = {{"none", "none"}, {"add", "sum"}, {"mul", "prod"}, {"max", "max"}, {"min", "min"}};
    ol_str s = ol_node_string(n, "reduction", "none");
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (ol_str_is(s, names[i][0])) return names[i][1];
    ol_to_refuse(t, "reduction '%.*s'", (int)s.len, s.ptr);
    return "none";
}

void ol_to_scatter_elements(ol_to *t, const ol_node *n, const ol_to_rule *r) {
    (void)r;
    int64_t axis = ol_node_int(n, "axis", 0);
    const ol_ir_out x = ol_to_in(t, n, 0);
    const ol_ir_out in[4] = {x, from_front(t, n, 1, ol_to_size(t, x, axis, true)), ol_to_in(t, n, 2), ol_to_scalar(t, axis)};
    const ol_ir_attr attrs[2] = {ol_ir_say_text("reduction", reduction(t, n)), ol_ir_say_text("use_init_val", "true")};
    ol_to_put(t, n, "ScatterElementsUpdate", "opset12", in, 4, attrs, 2, 1);
}

void ol_to_scatter_nd(ol_to *t, const ol_node *n, const ol_to_rule *r) {
    (void)r;
    const ol_ir_out in[3] = {ol_to_in(t, n, 0), ol_to_in(t, n, 1), ol_to_in(t, n, 2)};
    const ol_ir_attr attr = ol_ir_say_text("reduction", reduction(t, n));
    ol_to_put(t, n, "ScatterNDUpdate", "opset15", in, 3, &attr, 1, 1);
}

/* ---- order ---- */

static void topk_attrs(ol_to *t, int64_t axis, const char *mode, ol_ir_attr out[5]) {
    out[0] = ol_ir_say_int(t->e, "axis", axis);
    out[1] = ol_ir_say_text("mode", mode);
    out[2] = ol_ir_say_text("sort", "value");
    out[3] = ol_ir_say_text("index_element_type", "i64");
    out[4] = ol_ir_say_text("stable", "true");
}

void ol_to_topk(ol_to *t, const ol_node *n, const ol_to_rule *r) {
    (void)r;
    ol_ir_attr attrs[5];
    ol_ir_out k = ol_to_in(t, n, 1);
    topk_attrs(t, ol_node_int(n, "axis", -1), ol_node_int(n, "largest", 1) ? "max" : "min", attrs);
    if (n->inputs[1]->type.rank != 0) k = ol_ir_add_reshape(t->e, NULL, k, NULL, 0, false);
    const ol_ir_out in[2] = {ol_to_in(t, n, 0), k};
    ol_to_put(t, n, "TopK", "opset11", in, 2, attrs, 5, 2);
}

/* The place of the first of the largest: of the last one, seen from the other end. */
static ol_ir_out arg(ol_to *t, ol_ir_out x, const char *mode, int64_t axis, bool last) {
    ol_ir_attr attrs[5];
    topk_attrs(t, axis, mode, attrs);
    ol_ir_out of = last ? ol_to_slice(t, x, -1, INT64_MIN, -1, axis) : x;
    const ol_ir_out in[2] = {of, ol_to_scalar(t, 1)};
    const ol_ir_type *a = ol_ir_get_type(t->e, of);
    if (!a) return OL_IR_NONE;
    ol_ir_type out[2] = {*a, *a};
    if (a->rank > 0) out[0].dims[ol_to_axis(axis, a->rank)] = out[1].dims[ol_to_axis(axis, a->rank)] = 1;
    out[1].element = ol_ir_element_of(OL_I64);
    ol_ir_out i = ol_ir_nth(ol_ir_add(t->e, &(ol_ir_layer){.type = "TopK", .version = "opset11", .in = in, .n_in = 2, .attrs = attrs, .n_attrs = 5, .out = out, .n_out = 2}), 1);
    if (!last) return i;
    return ol_to_two(t, "Subtract", ol_to_two(t, "Subtract", ol_to_size(t, x, axis, true), ol_to_scalar(t, 1)), i);
}

void ol_to_arg(ol_to *t, const ol_node *n, const ol_to_rule *r) {
    int64_t axis = ol_node_int(n, "axis", 0);
    ol_ir_out x = arg(t, ol_to_in(t, n, 0), r->type, axis, ol_node_int(n, "select_last_index", 0) != 0);
    if (!ol_node_int(n, "keepdims", 1)) x = ol_ir_add_squeeze(t->e, NULL, x, &axis, 1);
    ol_to_give(t, n, 0, x);
}

void ol_to_hardmax(ol_to *t, const ol_node *n, const ol_to_rule *r) {
    (void)r;
    int64_t axis = ol_node_int(n, "axis", -1);
    int rank = ol_to_rank(t, n, 0);
    ol_ir_out x = ol_to_in(t, n, 0), at = arg(t, x, "max", axis, false), places = ol_to_range(t, ol_to_size(t, x, axis, true));
    if (rank < 1) return;
    places = ol_to_along(t, places, (int)ol_to_axis(axis, rank), rank);
    ol_to_give(t, n, 0, ol_ir_add_convert(t->e, NULL, ol_to_two(t, "Equal", places, at), ol_ir_element_of(ol_to_dtype_of(t, x))));
}

void ol_to_unique(ol_to *t, const ol_node *n, const ol_to_rule *r) {
    (void)r;
    const ol_attr *axis = ol_node_attr(n, "axis");
    ol_ir_out in[2] = {ol_to_in(t, n, 0), OL_IR_NONE};
    if (axis) in[1] = ol_to_i64(t, &axis->v.i, 1);
    const ol_ir_attr attrs[3] = {ol_ir_say_bool("sorted", ol_node_int(n, "sorted", 1) != 0), ol_ir_say_text("index_element_type", "i64"), ol_ir_say_text("count_element_type", "i64")};
    ol_to_put(t, n, "Unique", "opset10", in, axis ? 2 : 1, attrs, 3, 4);
}

/* ---- conditions and counts ---- */

void ol_to_non_zero(ol_to *t, const ol_node *n, const ol_to_rule *r) {
    (void)r;
    const ol_ir_out x = ol_to_in(t, n, 0);
    const ol_ir_attr attr = ol_ir_say_text("output_type", "i64");
    ol_to_put(t, n, "NonZero", "opset3", &x, 1, &attr, 1, 1);
}

void ol_to_compress(ol_to *t, const ol_node *n, const ol_to_rule *r) {
    (void)r;
    const int64_t flat = -1, first = 0;
    ol_ir_out x = ol_to_in(t, n, 0), keep = ol_to_in(t, n, 1);
    const ol_ir_attr attr = ol_ir_say_text("output_type", "i64");
    const int64_t dims[2] = {1, -1};
    ol_ir_type places = ol_ir_type_of(OL_I64, 2, dims);
    keep = ol_ir_add(t->e, &(ol_ir_layer){.type = "NonZero", .version = "opset3", .in = &keep, .n_in = 1, .attrs = &attr, .n_attrs = 1, .out = &places, .n_out = 1});
    if (!ol_node_attr(n, "axis")) x = ol_ir_add_reshape(t->e, NULL, x, &flat, 1, false);
    ol_to_give(t, n, 0, ol_to_gather(t, x, ol_ir_add_squeeze(t->e, NULL, keep, &first, 1), ol_node_int(n, "axis", 0)));
}

void ol_to_cum_sum(ol_to *t, const ol_node *n, const ol_to_rule *r) {
    (void)r;
    ol_ir_out axis = ol_to_in(t, n, 1);
    if (n->inputs[1]->type.rank != 0) axis = ol_ir_add_reshape(t->e, NULL, axis, NULL, 0, false);
    const ol_ir_out in[2] = {ol_to_in(t, n, 0), axis};
    const ol_ir_attr attrs[2] = {ol_ir_say_bool("exclusive", ol_node_int(n, "exclusive", 0) != 0), ol_ir_say_bool("reverse", ol_node_int(n, "reverse", 0) != 0)};
    ol_to_put(t, n, "CumSum", "opset3", in, 2, attrs, 2, 1);
}

void ol_to_reverse_sequence(ol_to *t, const ol_node *n, const ol_to_rule *r) {
    (void)r;
    const ol_ir_out in[2] = {ol_to_in(t, n, 0), ol_to_cast(t, ol_to_in(t, n, 1), OL_I32)};
    const ol_ir_attr attrs[2] = {ol_ir_say_int(t->e, "batch_axis", ol_node_int(n, "batch_axis", 1)), ol_ir_say_int(t->e, "seq_axis", ol_node_int(n, "time_axis", 0))};
    ol_to_put(t, n, "ReverseSequence", NULL, in, 2, attrs, 2, 1);
}

static ol_ir_out scalar_or(ol_to *t, const ol_node *n, int i, ol_dtype type, double v) {
    if (!ol_to_has(n, i)) return ol_ir_const_number(t->e, type, v);
    ol_ir_out x = ol_to_in(t, n, i);
    return n->inputs[i]->type.rank == 0 ? x : ol_ir_add_reshape(t->e, NULL, x, NULL, 0, false);
}

void ol_to_nms(ol_to *t, const ol_node *n, const ol_to_rule *r) {
    (void)r;
    const ol_ir_attr attrs[3] = {ol_ir_say_text("box_encoding", ol_node_int(n, "center_point_box", 0) ? "center" : "corner"),
                                 ol_ir_say_bool("sort_result_descending", false), ol_ir_say_text("output_type", "i64")};
    const ol_ir_out in[5] = {ol_to_in(t, n, 0), ol_to_in(t, n, 1), scalar_or(t, n, 2, OL_I64, 0), scalar_or(t, n, 3, OL_F32, 0), scalar_or(t, n, 4, OL_F32, -3.4028234663852886e38)};
    ol_ir_type types[3] = {ol_to_ir_type(t, &n->outputs[0]->type), ol_ir_type_of(OL_F32, 2, (const int64_t[]){-1, 3}), ol_ir_type_of(OL_I64, 1, (const int64_t[]){1})};
    ol_ir_out o = ol_ir_add(t->e, &(ol_ir_layer){.type = "NonMaxSuppression", .version = "opset9", .in = in, .n_in = 5, .attrs = attrs, .n_attrs = 3, .out = types, .n_out = 3});
    ol_to_give(t, n, 0, o);
}
