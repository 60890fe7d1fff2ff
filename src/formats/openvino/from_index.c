/* SPDX-License-Identifier: Apache-2.0 */
/* Indexing: gathers, scatters, slices, sorting, selection of boxes. */
#include "base/error.h"
#include "formats/openvino/reader.h"
#include <strings.h>

/* Rotates dim `from` of x to `to`. */
static ol_value *moved(ol_ir *t, ol_value *x, int64_t from, int64_t to, int rank) {
    int64_t perm[OL_MAX_RANK];
    int n = 0;
    if (from == to || t->status != OLV_OK) return x;
    for (int i = 0; i < rank; i++)
        if (i != from) perm[n++] = i;
    for (int i = rank - 1; i > to; i--) perm[i] = perm[i - 1];
    perm[to] = from;
    return ol_ir_transpose(t, x, perm, rank);
}

/* With batch dims b: pick dim b of the data, then bring the dims before the axis in front of those of the indices. */
static void gather_batched(ol_ir *t, ol_value *x, ol_value *ids, int64_t axis, int64_t b) {
    int rank = ol_ir_rank(t, x), ri = ol_ir_rank(t, ids);
    int64_t perm[2 * OL_MAX_RANK], own = ri - b, before = axis - b;
    ol_attr a = ol_attr_int("batch_dims", b);
    if (t->status == OLV_OK && (b > ri || axis < b || rank + ri > OL_MAX_RANK)) ol_ir_fail(t, OLV_SHAPE, "batch_dims of %lld", (long long)b);
    x = moved(t, x, axis, b, rank);
    ol_value *y = ol_ir_op(t, "GatherND", (ol_value *[]){x, ol_ir_unsqueeze(t, ids, -1)}, 2, &a, 1);
    if (t->status != OLV_OK) return;
    int n = 0, total = rank + (int)own - 1;
    for (int64_t i = 0; i < b; i++) perm[n++] = i;
    for (int64_t i = 0; i < before; i++) perm[n++] = b + own + i;
    for (int64_t i = 0; i < own; i++) perm[n++] = b + i;
    while (n < total) perm[n] = n, n++;
    ol_ir_set(t, 0, before ? ol_ir_transpose(t, y, perm, total) : y);
}

static void gather(ol_ir *t) {
    ol_value *x = ol_ir_need(t, 0), *ids = ol_ir_need(t, 1);
    int64_t b = ol_ir_attr_int(t, "batch_dims", 0), axis = 0;
    if (b < 0 && ids) b += ol_ir_rank(t, ids);
    if (b == 0 && x && x->type.rank < 0 && ol_ir_const_ints(t, 2, &axis, 1) == 1 && axis >= 0) x = ol_ir_need(t, 0);
    else axis = ol_ir_axis(t, 2, x);
    if (ids && ol_dtype_bits(ids->type.dtype) < 32) ids = ol_ir_cast(t, ids, OL_I64);
    if (ids && ol_dtype_class(ids->type.dtype) != 's') ids = ol_ir_cast(t, ids, OL_I64);
    if (b > 0) {
        gather_batched(t, x, ids, axis, b);
        return;
    }
    ol_attr a = ol_attr_int("axis", axis);
    ol_ir_result(t, 0, "Gather", (ol_value *[]){x, ids}, 2, &a, 1);
}

static void gather_elements(ol_ir *t) {
    ol_attr a = ol_attr_int("axis", ol_ir_attr_int(t, "axis", 0));
    ol_ir_result(t, 0, "GatherElements", (ol_value *[]){ol_ir_need(t, 0), ol_ir_i64(t, ol_ir_need(t, 1))}, 2, &a, 1);
}

/* Opset 5 joins the batch dims of the result. */
static void gather_nd(ol_ir *t) {
    ol_value *x = ol_ir_need(t, 0), *ids = ol_ir_i64(t, ol_ir_need(t, 1));
    int64_t b = ol_ir_attr_int(t, "batch_dims", 0);
    ol_attr a = ol_attr_int("batch_dims", b), join = ol_attr_int("axis", 0), from = ol_attr_int("start", b);
    if (strcmp(t->l->version, "opset5") || b < 2) {
        ol_ir_result(t, 0, "GatherND", (ol_value *[]){x, ids}, 2, &a, 1);
        return;
    }
    ol_value *y = ol_ir_op(t, "GatherND", (ol_value *[]){x, ids}, 2, &a, 1), *shape[2] = {ol_ir_int1(t, -1), ol_ir_op(t, "Shape", &y, 1, &from, 1)};
    ol_ir_result(t, 0, "Reshape", (ol_value *[]){y, ol_ir_op(t, "Concat", shape, 2, &join, 1)}, 2, NULL, 0);
}

static const char *reduction(ol_ir *t) {
    static const char *const names[][2] = {{"none", "none"}, {"sum", "add"}, {"prod", "mul"}, {"min", "min"}, {"max", "max"}, {"sub", "add"}};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (ol_ir_text_is(t, "reduction", "none", names[i][0])) return names[i][1];
    ol_ir_fail(t, OLV_UNSUPPORTED, "reduction=\"%.40s\"", ol_ir_text(t, "reduction", ""));
    return "none";
}

/* Whole slices along an axis. */
static void scatter_update(ol_ir *t) {
    ol_value *x = ol_ir_need(t, 0), *ids = ol_ir_i64(t, ol_ir_need(t, 1)), *u = ol_ir_need(t, 2);
    int64_t axis = ol_ir_axis(t, 3, x), perm[OL_MAX_RANK];
    int rank = ol_ir_rank(t, x), ri = ol_ir_rank(t, ids), n = 0;
    if (t->status != OLV_OK) return;
    if (rank + ri > OL_MAX_RANK) ol_ir_fail(t, OLV_LIMIT, "rank above %d", OL_MAX_RANK);
    for (int i = 0; i < ri && t->status == OLV_OK; i++) perm[n++] = axis + i;
    for (int i = 0; i < rank + ri - 1 && t->status == OLV_OK; i++)
        if (i < axis || i >= axis + ri) perm[n++] = i;
    if (axis && n) u = ol_ir_transpose(t, u, perm, n);
    ol_value *y = ol_ir_op(t, "ScatterND", (ol_value *[]){moved(t, x, axis, 0, rank), ol_ir_unsqueeze(t, ids, -1), u}, 3, NULL, 0);
    ol_ir_set(t, 0, moved(t, y, 0, axis, rank));
}

static void scatter_elements(ol_ir *t) {
    ol_value *x = ol_ir_need(t, 0);
    int64_t axis = ol_ir_axis(t, 3, x);
    const char *how = reduction(t);
    if (strcmp(how, "none") && !ol_ir_flag(t, "use_init_val", true)) ol_ir_fail(t, OLV_UNSUPPORTED, "use_init_val=\"false\"");
    ol_attr a[2] = {ol_attr_int("axis", axis), ol_attr_string("reduction", how)};
    ol_ir_result(t, 0, "ScatterElements", (ol_value *[]){x, ol_ir_i64(t, ol_ir_need(t, 1)), ol_ir_need(t, 2)}, 3, a, 2);
}

static void scatter_nd(ol_ir *t) {
    ol_value *u = ol_ir_need(t, 2);
    ol_attr a = ol_attr_string("reduction", reduction(t));
    if (ol_ir_text_is(t, "reduction", "none", "sub")) u = ol_ir_unary(t, "Neg", u);
    ol_ir_result(t, 0, "ScatterND", (ol_value *[]){ol_ir_need(t, 0), ol_ir_i64(t, ol_ir_need(t, 1)), u}, 3, &a, 1);
}

/* ---- slices ---- */

static void slice(ol_ir *t) {
    ol_value *x = ol_ir_need(t, 0), *v[4] = {NULL};
    for (int i = 0; i < 4; i++)
        if (ol_ir_has(t, i + 1)) v[i] = ol_ir_vector(t, ol_ir_in(t, i + 1));
    ol_ir_result(t, 0, "Slice", (ol_value *[]){x, v[0], v[1], v[3], v[2]}, 5, NULL, 0);
}

/* The masks of a StridedSlice, and what becomes of its entries. */
typedef struct strided {
    int64_t begin_mask[OL_IR_MAX_INTS], end_mask[OL_IR_MAX_INTS], fresh[OL_IR_MAX_INTS], shrink[OL_IR_MAX_INTS], ellipsis[OL_IR_MAX_INTS];
    int n; /* entries of begin */
    int64_t entry[OL_MAX_RANK], axis[OL_MAX_RANK]; /* of the sliced dims */
    int n_slices;
    int64_t squeeze[OL_MAX_RANK], add[OL_MAX_RANK]; /* dims of x that go; dims of the result that are new */
    int n_squeeze, n_add;
} strided;

static void read_mask(ol_ir *t, const char *name, int64_t *out) {
    memset(out, 0, OL_IR_MAX_INTS * sizeof *out);
    (void)ol_ir_attr_ints(t, name, out, OL_IR_MAX_INTS);
}

/* Which entry belongs to which dim. */
static void lay_out(ol_ir *t, strided *s, int rank) {
    int64_t axis = 0, made = 0;
    int used = 0;
    for (int i = 0; i < s->n; i++) used += !s->fresh[i] && !s->ellipsis[i];
    for (int i = 0; i < s->n && t->status == OLV_OK; i++) {
        if (s->ellipsis[i]) {
            int64_t skip = rank - used;
            if (skip < 0) ol_ir_fail(t, OLV_SHAPE, "%d entries for rank %d", used, rank);
            axis += skip;
            made += skip;
        } else if (s->fresh[i]) {
            if (s->n_add == OL_MAX_RANK) ol_ir_fail(t, OLV_LIMIT, "rank above %d", OL_MAX_RANK);
            else s->add[s->n_add++] = made++;
        } else {
            if (axis >= rank || s->n_slices == OL_MAX_RANK) {
                ol_ir_fail(t, OLV_SHAPE, "%d entries for rank %d", used, rank);
                return;
            }
            s->entry[s->n_slices] = i;
            s->axis[s->n_slices++] = axis;
            if (s->shrink[i]) s->squeeze[s->n_squeeze++] = axis;
            else made++;
            axis++;
        }
    }
}

/* The entries of a bound: those that a mask leaves open give `open`, those of shrinking ends begin + 1. */
static ol_value *bound(ol_ir *t, const strided *s, ol_value *v, const int64_t *mask, const ol_value *step, bool end, ol_value *begin) {
    int64_t c[OL_IR_MAX_INTS], st[OL_IR_MAX_INTS], b[OL_IR_MAX_INTS], out[OL_MAX_RANK];
    int n = ol_ir_value_ints(v, c, OL_IR_MAX_INTS), ns = ol_ir_value_ints(step, st, OL_IR_MAX_INTS), nb = ol_ir_value_ints(begin, b, OL_IR_MAX_INTS);
    bool known = n >= 0 && nb >= 0;
    ol_value *parts[OL_MAX_RANK];
    for (int k = 0; k < s->n_slices && t->status == OLV_OK; k++) {
        int64_t e = s->entry[k], pos = e;
        bool back = ns > e && st[e] < 0, shrink = end && s->shrink[e];
        if (shrink) {
            if (known) out[k] = e < nb ? (b[e] == -1 ? INT64_MAX : b[e] + 1) : 1;
            else parts[k] = ol_ir_binary(t, "Add", ol_ir_binary(t, "Gather", begin, ol_ir_int1(t, pos)), ol_ir_int1(t, 1));
        } else if (mask[e] && !(s->shrink[e] && !end)) {
            out[k] = back == end ? (end ? INT64_MIN : 0) : end ? INT64_MAX : 0;
            if (!end && back) out[k] = INT64_MAX;
            if (!known) parts[k] = ol_ir_int1(t, out[k]);
        } else if (known) {
            out[k] = e < n ? c[e] : 0;
        } else {
            parts[k] = ol_ir_binary(t, "Gather", v, ol_ir_int1(t, pos));
        }
    }
    if (known) return ol_ir_ints(t, out, s->n_slices);
    ol_attr a = ol_attr_int("axis", 0);
    return ol_ir_op(t, "Concat", parts, s->n_slices, &a, 1);
}

static ol_value *strides_of(ol_ir *t, const strided *s, ol_value *step) {
    int64_t st[OL_IR_MAX_INTS], out[OL_MAX_RANK];
    int n = step ? ol_ir_value_ints(step, st, OL_IR_MAX_INTS) : 0;
    if (n < 0) ol_ir_fail(t, OLV_UNSUPPORTED, "strides that are no constant");
    for (int k = 0; k < s->n_slices; k++) out[k] = s->entry[k] < n && !s->shrink[s->entry[k]] ? st[s->entry[k]] : 1;
    return ol_ir_ints(t, out, s->n_slices);
}

static void strided_slice(ol_ir *t) {
    strided s = {.n = 0};
    ol_value *x = ol_ir_need(t, 0), *begin = ol_ir_vector(t, ol_ir_need(t, 1)), *end = ol_ir_vector(t, ol_ir_need(t, 2));
    ol_value *step = ol_ir_has(t, 3) ? ol_ir_vector(t, ol_ir_in(t, 3)) : NULL;
    int rank = ol_ir_rank(t, x);
    read_mask(t, "begin_mask", s.begin_mask);
    read_mask(t, "end_mask", s.end_mask);
    read_mask(t, "new_axis_mask", s.fresh);
    read_mask(t, "shrink_axis_mask", s.shrink);
    read_mask(t, "ellipsis_mask", s.ellipsis);
    if (t->status != OLV_OK) return;
    if (begin->type.rank != 1 || begin->type.dims[0] < 0 || begin->type.dims[0] > OL_IR_MAX_INTS)
        ol_ir_fail(t, OLV_UNSUPPORTED, "an unknown number of entries");
    else s.n = (int)begin->type.dims[0];
    lay_out(t, &s, rank);
    if (s.n_slices) {
        ol_value *from = bound(t, &s, begin, s.begin_mask, step, false, begin), *to = bound(t, &s, end, s.end_mask, step, true, begin);
        x = ol_ir_op(t, "Slice", (ol_value *[]){x, from, to, ol_ir_ints(t, s.axis, s.n_slices), strides_of(t, &s, step)}, 5, NULL, 0);
    }
    if (s.n_squeeze) x = ol_ir_binary(t, "Squeeze", x, ol_ir_ints(t, s.squeeze, s.n_squeeze));
    if (s.n_add) x = ol_ir_binary(t, "Unsqueeze", x, ol_ir_ints(t, s.add, s.n_add));
    ol_ir_set(t, 0, x);
}

/* Rolls by each shift along its axis: the last `shift` elements come first. */
static void roll(ol_ir *t) {
    ol_value *x = ol_ir_need(t, 0);
    int64_t shift[OL_MAX_RANK], axes[OL_MAX_RANK];
    int n = ol_ir_const_ints(t, 1, shift, OL_MAX_RANK), m = ol_ir_const_ints(t, 2, axes, OL_MAX_RANK), rank = ol_ir_rank(t, x);
    if (n < 1 || (n != m && n != 1)) ol_ir_fail(t, OLV_UNSUPPORTED, "shifts or axes that are no constants");
    for (int i = 0; i < m && t->status == OLV_OK; i++) {
        int64_t axis = axes[i] < 0 ? axes[i] + rank : axes[i], zero = 0, far = INT64_MAX;
        ol_attr a = ol_attr_int("axis", axis);
        if (axis < 0 || axis >= rank) {
            ol_ir_fail(t, OLV_SHAPE, "axis %lld of rank %d", (long long)axes[i], rank);
            return;
        }
        ol_value *size = ol_ir_size(t, x, axis), *by = ol_ir_binary(t, "Mod", ol_ir_int1(t, shift[n == 1 ? 0 : i]), size);
        ol_value *cut = ol_ir_binary(t, "Sub", size, by), *ax = ol_ir_int1(t, axis);
        ol_value *parts[2] = {ol_ir_op(t, "Slice", (ol_value *[]){x, cut, ol_ir_ints(t, &far, 1), ax}, 4, NULL, 0),
                              ol_ir_op(t, "Slice", (ol_value *[]){x, ol_ir_ints(t, &zero, 1), cut, ax}, 4, NULL, 0)};
        x = ol_ir_op(t, "Concat", parts, 2, &a, 1);
    }
    ol_ir_set(t, 0, x);
}

/* The axes are given by number. */
static void reverse(ol_ir *t) {
    ol_value *x = ol_ir_need(t, 0);
    int64_t axes[OL_MAX_RANK], back[OL_MAX_RANK], far[OL_MAX_RANK];
    int n = ol_ir_const_ints(t, 1, axes, OL_MAX_RANK);
    if (n < 0 || ol_ir_text_is(t, "mode", "index", "mask")) ol_ir_fail(t, OLV_UNSUPPORTED, "axes that are no constant list");
    for (int i = 0; i < n; i++) {
        back[i] = -1;
        far[i] = INT64_MIN;
    }
    if (t->status != OLV_OK) return;
    ol_value *step = ol_ir_ints(t, back, n), *in[5] = {x, step, ol_ir_ints(t, far, n), ol_ir_ints(t, axes, n), step};
    ol_ir_result(t, 0, n ? "Slice" : "Identity", in, n ? 5 : 1, NULL, 0);
}

static void reverse_sequence(ol_ir *t) {
    ol_value *x = ol_ir_need(t, 0), *lens = ol_ir_i64(t, ol_ir_need(t, 1));
    int rank = ol_ir_rank(t, x);
    int64_t b = ol_ir_attr_int(t, "batch_axis", 0), s = ol_ir_attr_int(t, "seq_axis", 1);
    ol_attr a[2] = {ol_attr_int("batch_axis", b < 0 ? b + rank : b), ol_attr_int("time_axis", s < 0 ? s + rank : s)};
    ol_ir_result(t, 0, "ReverseSequence", (ol_value *[]){x, lens}, 2, a, 2);
}

/* ---- by value ---- */

static void top_k(ol_ir *t) {
    ol_value *x = ol_ir_need(t, 0), *k = ol_ir_vector(t, ol_ir_need(t, 1));
    if (ol_ir_text_is(t, "sort", "value", "index")) ol_ir_fail(t, OLV_UNSUPPORTED, "sort=\"index\"");
    ol_attr a[3] = {ol_attr_int("axis", ol_ir_attr_int(t, "axis", -1)), ol_attr_int("largest", !ol_ir_text_is(t, "mode", "max", "min")),
                    ol_attr_int("sorted", !ol_ir_text_is(t, "sort", "value", "none"))};
    const char *names[2] = {ol_ir_output_name(t, 0), NULL};
    const ol_node *n = ol_ir_node(t, "TopK", (ol_value *[]){x, k}, 2, names, 2, a, 3);
    if (!n) return;
    ol_ir_set(t, 0, n->outputs[0]);
    ol_ir_set(t, 1, ol_ir_cast(t, n->outputs[1], ol_ir_attr_type(t, "index_element_type", OL_I32)));
}

static void non_zero(ol_ir *t) {
    ol_ir_set(t, 0, ol_ir_cast(t, ol_ir_unary(t, "NonZero", ol_ir_need(t, 0)), ol_ir_attr_type(t, "output_type", OL_I64)));
}

static void one_hot(ol_ir *t) {
    ol_value *values[2] = {ol_ir_need(t, 3), ol_ir_need(t, 2)};
    ol_attr join = ol_attr_int("axis", 0), a = ol_attr_int("axis", ol_ir_attr_int(t, "axis", -1));
    for (int i = 0; i < 2; i++)
        if (values[i] && values[i]->type.rank == 0) values[i] = ol_ir_unsqueeze(t, values[i], 0);
    ol_value *both = ol_ir_op(t, "Concat", values, 2, &join, 1);
    ol_ir_result(t, 0, "OneHot", (ol_value *[]){ol_ir_need(t, 0), ol_ir_i64(t, ol_ir_need(t, 1)), both}, 3, &a, 1);
}

/* The number of boundaries below a value (or not above it). */
static void bucketize(ol_ir *t) {
    ol_value *x = ol_ir_need(t, 0), *b = ol_ir_need(t, 1);
    const char *op = ol_ir_flag(t, "with_right_bound", true) ? "Less" : "LessOrEqual";
    if (x && b && x->type.dtype != b->type.dtype) x = ol_ir_cast(t, x, OL_F64), b = ol_ir_cast(t, b, OL_F64);
    ol_value *below = ol_ir_cast(t, ol_ir_binary(t, op, b, ol_ir_unsqueeze(t, x, -1)), OL_I64);
    ol_attr a = ol_attr_int("keepdims", 0);
    ol_value *n = ol_ir_op(t, "ReduceSum", (ol_value *[]){below, ol_ir_int1(t, -1)}, 2, &a, 1);
    ol_ir_set(t, 0, ol_ir_cast(t, n, ol_ir_attr_type(t, "output_type", OL_I64)));
}

static void unique(ol_ir *t) {
    ol_value *x = ol_ir_need(t, 0);
    ol_attr a[2] = {ol_attr_int("sorted", ol_ir_flag(t, "sorted", true)), ol_attr_int("axis", 0)};
    bool has_axis = ol_ir_has(t, 1);
    if (has_axis) a[1] = ol_attr_int("axis", ol_ir_axis(t, 1, x));
    const ol_node *n = ol_ir_node(t, "Unique", &x, 1, NULL, 4, a, has_axis ? 2 : 1);
    if (!n) return;
    ol_dtype index = ol_ir_attr_type(t, "index_element_type", OL_I64), count = ol_ir_attr_type(t, "count_element_type", OL_I64);
    for (int i = 0; i < t->l->n_out && i < 4; i++) ol_ir_set(t, i, i ? ol_ir_cast(t, n->outputs[i], i == 3 ? count : index) : n->outputs[0]);
}

/* Boxes in the order of ONNX; scores only where somebody asks for them. */
static void nms(ol_ir *t) {
    ol_value *in[5] = {ol_ir_need(t, 0), ol_ir_need(t, 1)};
    for (int i = 2; i < 5; i++)
        if (ol_ir_has(t, i)) in[i] = i == 2 ? ol_ir_vector(t, ol_ir_in(t, i)) : ol_ir_in(t, i);
    if (!in[2]) in[2] = ol_ir_int1(t, 0);
    for (int i = 3; i < 5; i++)
        if (in[i] && in[i]->type.rank == 0) in[i] = ol_ir_unsqueeze(t, in[i], 0);
    ol_attr a = ol_attr_int("center_point_box", ol_ir_text_is(t, "box_encoding", "corner", "center"));
    ol_value *rows = ol_ir_op(t, "NonMaxSuppression", in, 5, &a, 1);
    ol_dtype type = ol_ir_attr_type(t, "output_type", OL_I64);
    ol_ir_set(t, 0, ol_ir_cast(t, rows, type));
    if (t->l->n_out < 2) return;
    const int64_t order[3] = {0, 1, 2};
    ol_value *picked = ol_ir_binary(t, "GatherND", in[1], rows), *whole = ol_ir_cast(t, rows, in[1] ? in[1]->type.dtype : OL_F32), *two = ol_ir_ints(t, order, 2);
    ol_attr cols = ol_attr_int("axis", 1);
    ol_value *parts[2] = {ol_ir_op(t, "Gather", (ol_value *[]){whole, two}, 2, &cols, 1), ol_ir_unsqueeze(t, picked, -1)};
    ol_ir_set(t, 1, ol_ir_op(t, "Concat", parts, 2, &cols, 1));
    ol_ir_set(t, 2, ol_ir_cast(t, ol_ir_size(t, rows, 0), type));
}

static void search_sorted(ol_ir *t) {
    ol_value *sorted = ol_ir_need(t, 0), *x = ol_ir_need(t, 1);
    ol_value *a = ol_ir_unsqueeze(t, sorted, -2), *b = ol_ir_unsqueeze(t, x, -1);
    const char *op = ol_ir_flag(t, "right_mode", false) ? "LessOrEqual" : "Less";
    ol_attr keep = ol_attr_int("keepdims", 0);
    ol_value *below = ol_ir_cast(t, ol_ir_binary(t, op, a, b), OL_I64);
    ol_value *n = ol_ir_op(t, "ReduceSum", (ol_value *[]){below, ol_ir_int1(t, -1)}, 2, &keep, 1);
    ol_ir_set(t, 0, ol_ir_cast(t, n, ol_ir_attr_type(t, "output_type", OL_I64)));
}

const ol_ir_operation ol_ir_indexing[] = {
    {"Gather", gather, NULL}, {"GatherElements", gather_elements, NULL}, {"GatherND", gather_nd, NULL},
    {"ScatterUpdate", scatter_update, NULL}, {"ScatterElementsUpdate", scatter_elements, NULL}, {"ScatterNDUpdate", scatter_nd, NULL},
    {"Slice", slice, NULL}, {"StridedSlice", strided_slice, NULL}, {"Roll", roll, NULL}, {"Reverse", reverse, NULL}, {"ReverseSequence", reverse_sequence, NULL},
    {"TopK", top_k, NULL}, {"NonZero", non_zero, NULL}, {"OneHot", one_hot, NULL}, {"Bucketize", bucketize, NULL}, {"Unique", unique, NULL},
    {"NonMaxSuppression", nms, NULL}, {"SearchSorted", search_sorted, NULL}, {NULL, NULL, NULL}};
