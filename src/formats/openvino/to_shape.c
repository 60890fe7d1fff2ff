/* SPDX-License-Identifier: Apache-2.0 */
/* Operators that change shapes, or make tensors of given shapes. */
#include "formats/openvino/to.h"
#include <string.h>

/* Every size of a type is known. */
static bool is_static(const ol_type *x) {
    for (int i = 0; i < x->rank; i++)
        if (!ol_dim_known(x->dims[i])) return false;
    return x->rank >= 0;
}

void ol_to_identity(ol_to *t, const ol_node *n, const ol_to_rule *r) {
    (void)r;
    ol_ir_out x = ol_to_in(t, n, 0);
    if (n->outputs[0]) t->place[n->outputs[0]->id] = x;
}

/* Nothing is dropped when a model is used. */
void ol_to_dropout(ol_to *t, const ol_node *n, const ol_to_rule *r) {
    (void)r;
    ol_tensor mode;
    ol_ir_out x = ol_to_in(t, n, 0);
    if (ol_to_has(n, 2)) {
        bool training = !ol_value_const_tensor(n->inputs[2], 8, &mode);
        if (!training) {
            training = ol_elem_get(mode.dtype, mode.data, 0) != 0;
            ol_tensor_deinit(&mode);
        }
        if (training) ol_to_refuse(t, "training mode draws numbers");
    }
    ol_to_give(t, n, 0, ol_ir_add_convert(t->e, NULL, x, ol_ir_element_of(ol_to_dtype_of(t, x))));
    if (n->n_outputs > 1 && n->outputs[1]) ol_to_give(t, n, 1, ol_to_broadcast(t, ol_ir_const_number(t->e, OL_BOOL, 1), ol_to_shape_of(t, x)));
}

/* A constant in another shape is a constant, made where it is used. */
void ol_to_reshape_node(ol_to *t, const ol_node *n, const ol_to_rule *r) {
    (void)r;
    ol_const *c = ol_to_const(n->outputs[0], -1, NULL);
    ol_const_release(c);
    if (c) return;
    const ol_ir_out in[2] = {ol_to_in(t, n, 0), ol_to_in(t, n, 1)};
    const ol_ir_attr attr = ol_ir_say_bool("special_zero", !ol_node_int(n, "allowzero", 0));
    ol_to_put(t, n, "Reshape", NULL, in, 2, &attr, 1, 1);
}

/* Product of sizes [from, to) as i64 [1]. */
static ol_ir_out product(ol_to *t, ol_ir_out shape, int from, int to) {
    const int64_t axis = 0;
    return ol_to_reduce(t, "ReduceProd", ol_to_slice(t, shape, from, to, 1, 0), &axis, 1, true);
}

void ol_to_flatten(ol_to *t, const ol_node *n, const ol_to_rule *r) {
    (void)r;
    ol_ir_out x = ol_to_in(t, n, 0), shape;
    const ol_type *a = ol_to_type(n, 0), *y = &n->outputs[0]->type;
    int rank = ol_to_rank(t, n, 0);
    int64_t axis = ol_to_axis(ol_node_int(n, "axis", 1), rank), dims[2] = {ol_to_dim(y, 0), ol_to_dim(y, 1)};
    if (rank < 0) return;
    if (axis == 0 || dims[0] >= 0 || dims[1] >= 0) {
        if (axis == 0) dims[0] = 1;
        if (dims[0] < 0 && dims[1] < 0) dims[1] = -1;
        shape = ol_to_i64(t, dims, 2);
        if (!is_static(a) && (dims[0] == 0 || dims[1] == 0)) ol_to_refuse(t, "a tensor without elements of unknown sizes");
    } else {
        const ol_ir_out of = ol_to_shape_of(t, x), two[2] = {product(t, of, 0, (int)axis), product(t, of, (int)axis, rank)};
        shape = ol_to_concat(t, two, 2, 0);
    }
    ol_to_give(t, n, 0, ol_to_reshape(t, x, shape, false));
}

static void with_axes(ol_to *t, const ol_node *n, const char *type) {
    const ol_ir_out in[2] = {ol_to_in(t, n, 0), ol_to_in(t, n, 1)};
    ol_to_put(t, n, type, NULL, in, ol_to_has(n, 1) ? 2 : 1, NULL, 0, 1);
}

void ol_to_squeeze(ol_to *t, const ol_node *n, const ol_to_rule *r) {
    (void)r;
    with_axes(t, n, "Squeeze");
}

void ol_to_unsqueeze(ol_to *t, const ol_node *n, const ol_to_rule *r) {
    (void)r;
    with_axes(t, n, "Unsqueeze");
}

void ol_to_transpose(ol_to *t, const ol_node *n, const ol_to_rule *r) {
    (void)r;
    size_t count;
    int64_t reversed[OL_MAX_RANK];
    const int64_t *perm = ol_node_ints(n, "perm", &count);
    ol_ir_out x = ol_to_in(t, n, 0);
    if (!perm) {
        int rank = ol_to_rank(t, n, 0);
        for (int i = 0; i < rank; i++) reversed[i] = rank - 1 - i;
        perm = reversed;
        count = rank < 0 ? 0 : (size_t)rank;
    }
    const ol_ir_out in[2] = {x, ol_to_i64(t, perm, (int)count)};
    ol_to_put(t, n, "Transpose", NULL, in, 2, NULL, 0, 1);
}

void ol_to_concat_node(ol_to *t, const ol_node *n, const ol_to_rule *r) {
    (void)r;
    const ol_ir_attr attr = ol_ir_say_int(t->e, "axis", ol_node_int(n, "axis", 0));
    ol_ir_out *in = ol_arena_calloc(ol_ir_arena(t->e), (size_t)n->n_inputs + 1, sizeof *in);
    for (int i = 0; in && i < n->n_inputs; i++) in[i] = ol_to_in(t, n, i);
    if (in) ol_to_put(t, n, "Concat", NULL, in, n->n_inputs, &attr, 1, 1);
    else ol_ir_latch(ol_ir_file_of(t->e), OLV_NOMEM);
}

/* Outputs of a layer with more of them than ol_to_put takes are no rarity here. */
void ol_to_split(ol_to *t, const ol_node *n, const ol_to_rule *r) {
    (void)r;
    int64_t axis = ol_node_int(n, "axis", 0);
    int count = n->n_outputs;
    ol_arena *a = ol_ir_arena(t->e);
    ol_ir_type *types = ol_arena_calloc(a, (size_t)count, sizeof *types);
    const char **names = ol_arena_calloc(a, (size_t)count, sizeof *names);
    int64_t *sizes = ol_arena_calloc(a, (size_t)count, sizeof *sizes), size = ol_to_dim(ol_to_type(n, 0), (int)ol_to_axis(axis, ol_to_type(n, 0)->rank));
    if (!types || !names || !sizes) {
        ol_ir_latch(ol_ir_file_of(t->e), OLV_NOMEM);
        return;
    }
    for (int i = 0; i < count; i++) {
        types[i] = ol_to_ir_type(t, &n->outputs[i]->type);
        names[i] = ol_to_names(t, n->outputs[i]);
    }
    ol_ir_out in[3] = {ol_to_in(t, n, 0), ol_to_scalar(t, axis), ol_to_in(t, n, 1)};
    ol_ir_layer l = {.type = "VariadicSplit", .name = n->name, .in = in, .n_in = 3, .out = types, .n_out = count, .names = names};
    const ol_ir_attr attr = ol_ir_say_int(t->e, "num_splits", count);
    if (!ol_to_has(n, 1) && size >= 0 && size % count) {
        int64_t chunk = (size + count - 1) / count;
        for (int i = 0; i < count; i++) sizes[i] = i + 1 < count ? chunk : size - chunk * (count - 1);
        in[2] = ol_to_i64(t, sizes, count);
    } else if (!ol_to_has(n, 1)) {
        l.type = "Split";
        l.n_in = 2;
        l.attrs = &attr;
        l.n_attrs = 1;
    }
    ol_ir_out o = ol_ir_add(t->e, &l);
    for (int i = 0; i < count; i++) t->place[n->outputs[i]->id] = ol_ir_nth(o, i);
}

/* Slice wants steps. */
void ol_to_slice_node(ol_to *t, const ol_node *n, const ol_to_rule *r) {
    (void)r;
    ol_ir_out in[5] = {ol_to_in(t, n, 0), ol_to_in(t, n, 1), ol_to_in(t, n, 2), ol_to_in(t, n, 4), ol_to_in(t, n, 3)};
    if (!ol_to_has(n, 4)) {
        int64_t count = ol_to_dim(ol_to_type(n, 1), 0), ones[OL_MAX_RANK];
        for (int i = 0; i < OL_MAX_RANK; i++) ones[i] = 1;
        in[3] = count >= 0 && count <= OL_MAX_RANK ? ol_to_i64(t, ones, (int)count) : ol_to_broadcast(t, ol_to_scalar(t, 1), ol_to_shape_of(t, in[1]));
    }
    ol_to_put(t, n, "Slice", "opset8", in, ol_to_has(n, 3) ? 5 : 4, NULL, 0, 1);
}

void ol_to_expand(ol_to *t, const ol_node *n, const ol_to_rule *r) {
    (void)r;
    const ol_ir_out in[2] = {ol_to_in(t, n, 0), ol_to_in(t, n, 1)};
    const ol_ir_attr attr = ol_ir_say_text("mode", "bidirectional");
    ol_to_put(t, n, "Broadcast", "opset3", in, 2, &attr, 1, 1);
}

void ol_to_tile(ol_to *t, const ol_node *n, const ol_to_rule *r) {
    (void)r;
    const ol_ir_out in[2] = {ol_to_in(t, n, 0), ol_to_in(t, n, 1)};
    ol_to_put(t, n, "Tile", NULL, in, 2, NULL, 0, 1);
}

/* ---- padding ---- */

/* Begin and end amounts for every axis, from those of `axes`. */
static void pad_amounts(ol_to *t, const ol_node *n, int rank, ol_ir_out amounts[2]) {
    int64_t pads[2 * OL_MAX_RANK], axes[OL_MAX_RANK], all[2][OL_MAX_RANK] = {{0}};
    int n_pads = 0, n_axes = 0;
    bool some = ol_to_has(n, 3);
    bool constant_axes = !some || ol_to_ints(n, 3, axes, OL_MAX_RANK, &n_axes);
    if (!constant_axes) n_axes = (int)ol_to_dim(ol_to_type(n, 3), 0);
    if (n_axes < 0 || n_axes > OL_MAX_RANK) {
        ol_to_refuse(t, "axes whose number is not known");
        return;
    }
    if (!some)
        for (n_axes = 0; n_axes < rank; n_axes++) axes[n_axes] = n_axes;
    if (constant_axes && ol_to_ints(n, 1, pads, 2 * OL_MAX_RANK, &n_pads) && n_pads == 2 * n_axes) {
        for (int i = 0; i < n_pads; i++) all[i / n_axes][ol_to_axis(axes[i % n_axes], rank) & (OL_MAX_RANK - 1)] = pads[i];
        for (int i = 0; i < 2; i++) amounts[i] = ol_to_i64(t, all[i], rank);
        return;
    }
    const ol_ir_out in = ol_to_in(t, n, 1);
    for (int i = 0; i < 2; i++) {
        amounts[i] = ol_to_slice(t, in, i ? n_axes : 0, i ? 2 * n_axes : n_axes, 1, 0);
        const ol_ir_out scatter[4] = {ol_to_i64(t, all[0], rank), constant_axes ? ol_to_i64(t, axes, n_axes) : ol_to_in(t, n, 3), amounts[i], ol_to_scalar(t, 0)};
        const ol_ir_attr attrs[2] = {ol_ir_say_text("reduction", "none"), ol_ir_say_text("use_init_val", "true")};
        if (some) amounts[i] = ol_to_layer(t, "ScatterElementsUpdate", "opset12", scatter, 4, attrs, 2, true);
    }
}

void ol_to_pad(ol_to *t, const ol_node *n, const ol_to_rule *r) {
    (void)r;
    ol_str mode = ol_node_string(n, "mode", "constant");
    int rank = ol_to_rank(t, n, 0);
    ol_ir_out amounts[2] = {OL_IR_NONE, OL_IR_NONE}, x = ol_to_in(t, n, 0);
    if (rank < 0) return;
    if (ol_str_is(mode, "wrap")) {
        ol_to_refuse(t, "mode 'wrap'");
        return;
    }
    pad_amounts(t, n, rank, amounts);
    bool constant = ol_str_is(mode, "constant");
    const ol_ir_attr attr = ol_ir_say_text("pad_mode", constant ? "constant" : ol_str_is(mode, "edge") ? "edge" : "reflect");
    ol_ir_out value = !constant ? OL_IR_NONE : ol_to_has(n, 2) ? ol_to_in(t, n, 2) : ol_to_number(t, x, 0);
    const ol_type *v = ol_to_type(n, 2);
    if (constant && v && v->rank != 0) value = ol_ir_add_reshape(t->e, NULL, value, NULL, 0, false);
    const ol_ir_out in[4] = {x, amounts[0], amounts[1], value};
    ol_to_put(t, n, "Pad", "opset12", in, constant ? 4 : 3, &attr, 1, 1);
}

/* Sizes are cut or padded around the middle: x[less : less + min(have, want)], then more / 2 in front and the rest behind. */
void ol_to_center_crop_pad(ol_to *t, const ol_node *n, const ol_to_rule *r) {
    (void)r;
    size_t count;
    const int64_t *given = ol_node_ints(n, "axes", &count);
    int64_t axes[OL_MAX_RANK], zeros[OL_MAX_RANK] = {0}, ones[OL_MAX_RANK], two = 2;
    int rank = ol_to_rank(t, n, 0), k = given ? (int)count : rank;
    ol_ir_out x = ol_to_in(t, n, 0), want = ol_to_cast(t, ol_to_in(t, n, 1), OL_I64);
    if (rank < 0 || k > OL_MAX_RANK) return;
    for (int i = 0; i < k; i++) axes[i] = given ? ol_to_axis(given[i], rank) : i;
    for (int i = 0; i < OL_MAX_RANK; i++) ones[i] = 1;
    ol_ir_out at = ol_to_i64(t, axes, k), nil = ol_to_i64(t, zeros, k), half = ol_to_i64(t, &two, 1), have = ol_to_gather(t, ol_to_shape_of(t, x), at, 0);
    ol_ir_out over = ol_to_two(t, "Maximum", ol_to_two(t, "Subtract", have, want), nil), more = ol_to_two(t, "Maximum", ol_to_two(t, "Subtract", want, have), nil);
    ol_ir_out from = ol_to_two(t, "Divide", over, half), to = ol_to_two(t, "Add", from, ol_to_two(t, "Minimum", have, want));
    const ol_ir_out cut[5] = {x, from, to, ol_to_i64(t, ones, k), at};
    x = ol_to_layer(t, "Slice", "opset8", cut, 5, NULL, 0, false);
    ol_ir_out front = ol_to_two(t, "Divide", more, half), amounts[2] = {front, ol_to_two(t, "Subtract", more, front)};
    const ol_ir_attr scatter[2] = {ol_ir_say_text("reduction", "none"), ol_ir_say_text("use_init_val", "true")}, mode = ol_ir_say_text("pad_mode", "constant");
    for (int i = 0; i < 2; i++) {
        const ol_ir_out in[4] = {ol_to_i64(t, zeros, rank), at, amounts[i], ol_to_scalar(t, 0)};
        amounts[i] = ol_to_layer(t, "ScatterElementsUpdate", "opset12", in, 4, scatter, 2, true);
    }
    const ol_ir_out in[4] = {x, amounts[0], amounts[1], ol_to_number(t, x, 0)};
    ol_to_put(t, n, "Pad", "opset12", in, 4, &mode, 1, 1);
}

/* ---- shapes as values ---- */

static ol_ir_out shape_layer(ol_to *t, ol_ir_out x, int rank) {
    const ol_ir_attr attr = ol_ir_say_text("output_type", "i64");
    const int64_t dim = rank;
    ol_ir_type out = ol_ir_type_of(OL_I64, 1, &dim);
    return ol_ir_add(t->e, &(ol_ir_layer){.type = "ShapeOf", .version = "opset3", .in = &x, .n_in = 1, .attrs = &attr, .n_attrs = 1, .out = &out, .n_out = 1});
}

void ol_to_shape(ol_to *t, const ol_node *n, const ol_to_rule *r) {
    (void)r;
    int rank = n->inputs[0]->type.rank;
    ol_ir_out x = shape_layer(t, ol_to_in(t, n, 0), rank);
    if (ol_node_attr(n, "start") || ol_node_attr(n, "end")) {
        int64_t from = ol_node_int(n, "start", 0), to = ol_node_int(n, "end", INT64_MAX);
        x = ol_to_slice(t, x, from, to, 1, 0);
    }
    ol_to_give(t, n, 0, x);
}

void ol_to_size_node(ol_to *t, const ol_node *n, const ol_to_rule *r) {
    (void)r;
    const int64_t axis = 0;
    ol_ir_out x = shape_layer(t, ol_to_in(t, n, 0), n->inputs[0]->type.rank);
    ol_to_give(t, n, 0, ol_to_reduce(t, "ReduceProd", x, &axis, 1, false));
}

void ol_to_constant(ol_to *t, const ol_node *n, const ol_to_rule *r) {
    (void)r;
    for (int i = 0; i < n->n_attrs; i++) {
        const ol_attr *a = &n->attrs[i];
        if (a->type == OL_ATTR_TENSOR) ol_to_give(t, n, 0, ol_ir_const(t->e, NULL, NULL, a->v.tensor));
        else if (a->type == OL_ATTR_INT) ol_to_give(t, n, 0, ol_to_scalar(t, a->v.i));
        else if (a->type == OL_ATTR_INTS) ol_to_give(t, n, 0, ol_to_i64(t, a->v.ints, (int)a->count));
        else if (a->type == OL_ATTR_FLOAT) ol_to_give(t, n, 0, ol_ir_const_number(t->e, OL_F32, (double)a->v.f));
        else ol_to_refuse(t, "attribute '%.100s'", a->name);
    }
}

void ol_to_constant_of_shape(ol_to *t, const ol_node *n, const ol_to_rule *r) {
    (void)r;
    const ol_attr *a = ol_node_attr(n, "value");
    ol_ir_out v = a ? ol_ir_add_reshape(t->e, NULL, ol_ir_const(t->e, NULL, NULL, a->v.tensor), NULL, 0, false) : ol_ir_const_number(t->e, OL_F32, 0);
    const ol_ir_out in[2] = {v, ol_to_in(t, n, 0)};
    const ol_ir_attr attr = ol_ir_say_text("mode", "numpy");
    ol_to_put(t, n, "Broadcast", "opset3", in, 2, &attr, 1, 1);
}

void ol_to_range_node(ol_to *t, const ol_node *n, const ol_to_rule *r) {
    (void)r;
    ol_ir_type type = ol_to_ir_type(t, &n->outputs[0]->type);
    const ol_ir_attr attr = ol_ir_say_text("output_type", type.element->name);
    ol_ir_out in[3];
    for (int i = 0; i < 3; i++) in[i] = n->inputs[i]->type.rank > 0 ? ol_ir_add_reshape(t->e, NULL, ol_to_in(t, n, i), NULL, 0, false) : ol_to_in(t, n, i);
    ol_to_put(t, n, "Range", "opset4", in, 3, &attr, 1, 1);
}

void ol_to_eye_like(ol_to *t, const ol_node *n, const ol_to_rule *r) {
    (void)r;
    ol_ir_out x = ol_to_in(t, n, 0);
    ol_ir_type type = ol_to_ir_type(t, &n->outputs[0]->type);
    const ol_ir_attr attr = ol_ir_say_text("output_type", type.element->name);
    const ol_ir_out in[3] = {ol_to_size(t, x, 0, true), ol_to_size(t, x, 1, true), ol_to_scalar(t, ol_node_int(n, "k", 0))};
    ol_to_put(t, n, "Eye", "opset9", in, 3, &attr, 1, 1);
}

/* Places below zero count from the end; what lies outside then is off. */
void ol_to_one_hot(ol_to *t, const ol_node *n, const ol_to_rule *r) {
    (void)r;
    ol_ir_out x = ol_to_cast(t, ol_to_in(t, n, 0), OL_I64), depth = ol_to_cast(t, ol_to_in(t, n, 1), OL_I64), values = ol_to_in(t, n, 2);
    const ol_ir_attr attr = ol_ir_say_int(t->e, "axis", ol_node_int(n, "axis", -1));
    if (ol_to_type(n, 1)->rank != 0) depth = ol_ir_add_reshape(t->e, NULL, depth, NULL, 0, false);
    x = ol_to_select(t, ol_to_two(t, "Less", x, ol_to_scalar(t, 0)), ol_to_two(t, "Add", x, depth), x);
    const ol_ir_out in[4] = {x, depth, ol_to_gather(t, values, ol_to_scalar(t, 1), 0), ol_to_gather(t, values, ol_to_scalar(t, 0), 0)};
    ol_to_put(t, n, "OneHot", NULL, in, 4, &attr, 1, 1);
}

/* Kept where column - row is not above k (lower), or not below it. */
void ol_to_trilu(ol_to *t, const ol_node *n, const ol_to_rule *r) {
    (void)r;
    const int64_t front = 0, back = 1;
    ol_ir_out x = ol_to_in(t, n, 0), k = ol_to_has(n, 1) ? ol_to_in(t, n, 1) : ol_to_scalar(t, 0);
    if (ol_to_has(n, 1) && n->inputs[1]->type.rank != 0) k = ol_ir_add_reshape(t->e, NULL, k, NULL, 0, false);
    int rank = ol_to_rank(t, n, 0);
    bool empty = false; /* nothing to cut, and OpenVINO's CPU plugin fails there */
    for (int i = 0; i < rank; i++) empty |= ol_to_dim(ol_to_type(n, 0), i) == 0;
    if (empty) ol_to_give(t, n, 0, ol_ir_add_convert(t->e, NULL, x, ol_ir_element_of(ol_to_dtype_of(t, x))));
    if (rank < 2 || empty) return;
    ol_ir_out rows = ol_ir_add_unsqueeze(t->e, NULL, ol_to_range(t, ol_to_size(t, x, rank - 2, true)), &back, 1);
    ol_ir_out columns = ol_ir_add_unsqueeze(t->e, NULL, ol_to_range(t, ol_to_size(t, x, rank - 1, true)), &front, 1);
    ol_ir_out keep = ol_to_two(t, ol_node_int(n, "upper", 1) ? "GreaterEqual" : "LessEqual", ol_to_two(t, "Subtract", columns, rows), k);
    ol_to_give(t, n, 0, ol_to_select(t, keep, x, ol_to_number(t, x, 0)));
}

/* a0 - a1 cos(2 pi i / N) + a2 cos(4 pi i / N) */
void ol_to_window(ol_to *t, const ol_node *n, const ol_to_rule *r) {
    const double pi2 = 6.283185307179586476925286766559;
    double a0 = !strcmp(r->op, "HannWindow") ? 0.5 : !strcmp(r->op, "HammingWindow") ? 25.0 / 46 : 0.42, a2 = !strcmp(r->op, "BlackmanWindow") ? 0.08 : 0;
    double a1 = 1 - a0;
    if (a2 > 0) a1 = 0.5;
    ol_ir_out count = ol_to_cast(t, ol_to_in(t, n, 0), OL_I64);
    if (n->inputs[0]->type.rank != 0) count = ol_ir_add_reshape(t->e, NULL, count, NULL, 0, false);
    ol_ir_out size = ol_ir_add_convert(t->e, NULL, count, ol_ir_element_of(OL_F32));
    if (!ol_node_int(n, "periodic", 1)) size = ol_to_two(t, "Subtract", size, ol_to_number(t, size, 1));
    ol_ir_out at = ol_to_two(t, "Divide", ol_to_two(t, "Multiply", ol_to_cast(t, ol_to_range(t, count), OL_F32), ol_to_number(t, size, pi2)), size);
    ol_ir_out x = ol_to_two(t, "Subtract", ol_to_number(t, size, a0), ol_to_two(t, "Multiply", ol_to_one(t, "Cos", at), ol_to_number(t, size, a1)));
    if (a2 > 0) {
        at = ol_to_one(t, "Cos", ol_to_two(t, "Multiply", at, ol_to_number(t, size, 2)));
        x = ol_to_two(t, "Add", x, ol_to_two(t, "Multiply", at, ol_to_number(t, size, a2)));
    }
    ol_to_give(t, n, 0, ol_to_cast(t, x, n->outputs[0]->type.dtype));
}

void ol_to_depth_to_space(ol_to *t, const ol_node *n, const ol_to_rule *r) {
    (void)r;
    const ol_ir_out x = ol_to_in(t, n, 0);
    bool crd = ol_str_is(ol_node_string(n, "mode", "DCR"), "CRD");
    const ol_ir_attr attrs[2] = {ol_ir_say_text("mode", crd ? "depth_first" : "blocks_first"), ol_ir_say_int(t->e, "block_size", ol_node_int(n, "blocksize", 1))};
    ol_to_put(t, n, "DepthToSpace", NULL, &x, 1, attrs, 2, 1);
}

void ol_to_space_to_depth(ol_to *t, const ol_node *n, const ol_to_rule *r) {
    (void)r;
    const ol_ir_out x = ol_to_in(t, n, 0);
    const ol_ir_attr attrs[2] = {ol_ir_say_text("mode", "blocks_first"), ol_ir_say_int(t->e, "block_size", ol_node_int(n, "blocksize", 1))};
    ol_to_put(t, n, "SpaceToDepth", NULL, &x, 1, attrs, 2, 1);
}
