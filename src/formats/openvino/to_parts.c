/* SPDX-License-Identifier: Apache-2.0 */
/* Parts of expressions: layers without a node of their own. */
#include "formats/openvino/to.h"
#include <string.h>

ol_ir_out ol_to_one(ol_to *t, const char *type, ol_ir_out x) { return ol_ir_add_unary(t->e, type, NULL, x); }
ol_ir_out ol_to_two(ol_to *t, const char *type, ol_ir_out a, ol_ir_out b) { return ol_ir_add_binary(t->e, type, NULL, a, b); }

static ol_ir_out typed_layer(ol_to *t, const char *type, const char *version, const ol_ir_out *in, int n_in, const ol_ir_attr *attrs, int n_attrs,
                             ol_ir_type out) {
    return ol_ir_add(t->e, &(ol_ir_layer){.type = type, .version = version, .in = in, .n_in = n_in, .attrs = attrs, .n_attrs = n_attrs, .out = &out, .n_out = 1});
}

/* A type of that element and rank, sizes unknown. */
static ol_ir_type open_type(const ol_ir_element *e, int rank) {
    ol_ir_type r = {.element = e, .rank = rank};
    for (int i = 0; i < rank; i++) r.dims[i] = -1;
    return r;
}

ol_ir_out ol_to_layer(ol_to *t, const char *type, const char *version, const ol_ir_out *in, int n_in, const ol_ir_attr *attrs, int n_attrs, bool like) {
    const ol_ir_type *x = n_in ? ol_ir_get_type(t->e, in[0]) : NULL;
    if (!x) return OL_IR_NONE;
    return typed_layer(t, type, version, in, n_in, attrs, n_attrs, like ? *x : open_type(x->element, -1));
}

ol_dtype ol_to_dtype_of(ol_to *t, ol_ir_out x) {
    const ol_ir_type *type = ol_ir_get_type(t->e, x);
    return type ? type->element->dtype : OL_DTYPE_NONE;
}

ol_ir_out ol_to_number(ol_to *t, ol_ir_out like, double v) {
    ol_dtype d = ol_to_dtype_of(t, like);
    return d == OL_DTYPE_NONE ? OL_IR_NONE : ol_ir_const_number(t->e, d, v);
}

ol_ir_out ol_to_i64(ol_to *t, const int64_t *v, int n) { return ol_ir_const_i64(t->e, v, n); }
ol_ir_out ol_to_scalar(ol_to *t, int64_t v) { return ol_ir_const_i64(t->e, &v, -1); }

ol_ir_out ol_to_cast(ol_to *t, ol_ir_out x, ol_dtype to) {
    return ol_to_dtype_of(t, x) == to ? x : ol_ir_add_convert(t->e, NULL, x, ol_ir_element_of(to));
}

ol_ir_out ol_to_shape_of(ol_to *t, ol_ir_out x) {
    const ol_ir_type *type = ol_ir_get_type(t->e, x);
    const ol_ir_attr attr = ol_ir_say_text("output_type", "i64");
    const int64_t rank = type ? type->rank : -1;
    bool known = type && rank >= 0;
    for (int i = 0; known && i < rank; i++) known = type->dims[i] >= 0;
    if (known) return ol_to_i64(t, type->dims, (int)rank);
    return typed_layer(t, "ShapeOf", "opset3", &x, 1, &attr, 1, ol_ir_type_of(OL_I64, 1, &rank));
}

ol_ir_out ol_to_size(ol_to *t, ol_ir_out x, int64_t axis, bool scalar) {
    const ol_ir_type *type = ol_ir_get_type(t->e, x);
    if (!type) return OL_IR_NONE;
    if (type->rank >= 0 && axis < 0) axis += type->rank;
    if (type->rank > axis && axis >= 0 && type->dims[axis] >= 0) return ol_to_i64(t, &type->dims[axis], scalar ? -1 : 1);
    return ol_to_gather(t, ol_to_shape_of(t, x), ol_to_i64(t, &axis, scalar ? -1 : 1), 0);
}

ol_ir_out ol_to_gather(ol_to *t, ol_ir_out x, ol_ir_out indices, int64_t axis) {
    const ol_ir_out in[3] = {x, indices, ol_to_scalar(t, axis)};
    const ol_ir_attr attr = ol_ir_say_text("batch_dims", "0");
    const ol_ir_type *a = ol_ir_get_type(t->e, x), *b = ol_ir_get_type(t->e, indices);
    if (!a || !b) return OL_IR_NONE;
    ol_ir_type out = open_type(a->element, -1);
    if (a->rank == 1 && b->rank >= 0) {
        out = *b;
        out.element = a->element;
    } else if (a->rank >= 0 && b->rank >= 0 && a->rank + b->rank <= OL_MAX_RANK) {
        out = open_type(a->element, a->rank + b->rank - 1);
    }
    return typed_layer(t, "Gather", "opset8", in, 3, &attr, 1, out);
}

ol_ir_out ol_to_reduce(ol_to *t, const char *type, ol_ir_out x, const int64_t *axes, int n, bool keep) {
    const ol_ir_out in[2] = {x, ol_to_i64(t, axes, n)};
    const ol_ir_attr attr = ol_ir_say_bool("keep_dims", keep);
    const ol_ir_type *a = ol_ir_get_type(t->e, x);
    if (!a) return OL_IR_NONE;
    ol_ir_type out = {.element = a->element, .rank = a->rank < 0 ? -1 : 0};
    for (int i = 0; i < a->rank; i++) {
        bool gone = false;
        for (int k = 0; k < n; k++) gone |= axes[k] == i || axes[k] + a->rank == i;
        if (!gone || keep) out.dims[out.rank++] = gone ? 1 : a->dims[i];
    }
    return typed_layer(t, type, !strcmp(type, "ReduceL1") || !strcmp(type, "ReduceL2") ? "opset4" : NULL, in, 2, &attr, 1, out);
}

ol_ir_out ol_to_concat(ol_to *t, const ol_ir_out *in, int n, int64_t axis) {
    const ol_ir_attr attr = ol_ir_say_int(t->e, "axis", axis);
    const ol_ir_type *a = n ? ol_ir_get_type(t->e, in[0]) : NULL;
    if (!a) return OL_IR_NONE;
    ol_ir_type out = *a;
    if (axis < 0) axis += out.rank;
    for (int i = 1; i < n && axis >= 0 && axis < out.rank; i++) {
        const ol_ir_type *b = ol_ir_get_type(t->e, in[i]);
        if (!b) return OL_IR_NONE;
        out.dims[axis] = out.dims[axis] < 0 || b->rank <= axis || b->dims[axis] < 0 ? -1 : out.dims[axis] + b->dims[axis];
    }
    return typed_layer(t, "Concat", NULL, in, n, &attr, 1, out);
}

ol_ir_out ol_to_slice(ol_to *t, ol_ir_out x, int64_t from, int64_t to, int64_t step, int64_t axis) {
    const ol_ir_out in[5] = {x, ol_to_i64(t, &from, 1), ol_to_i64(t, &to, 1), ol_to_i64(t, &step, 1), ol_to_i64(t, &axis, 1)};
    const ol_ir_type *a = ol_ir_get_type(t->e, x);
    if (!a) return OL_IR_NONE;
    ol_ir_type out = *a;
    if (axis < 0) axis += out.rank;
    if (axis >= 0 && axis < out.rank) {
        int64_t size = out.dims[axis];
        bool plain = step == 1 && size >= 0 && from >= 0 && to >= from && to <= size;
        if (step != -1 || size < 0 || from != -1) out.dims[axis] = plain ? to - from : -1;
    }
    return typed_layer(t, "Slice", "opset8", in, 5, NULL, 0, out);
}

ol_ir_out ol_to_reshape(ol_to *t, ol_ir_out x, ol_ir_out shape, bool special_zero) {
    const ol_ir_out in[2] = {x, shape};
    const ol_ir_attr attr = ol_ir_say_bool("special_zero", special_zero);
    const ol_ir_type *a = ol_ir_get_type(t->e, x), *s = ol_ir_get_type(t->e, shape);
    if (!a || !s) return OL_IR_NONE;
    return typed_layer(t, "Reshape", NULL, in, 2, &attr, 1, open_type(a->element, s->rank == 1 && s->dims[0] <= OL_MAX_RANK ? (int)s->dims[0] : -1));
}

ol_ir_out ol_to_broadcast(ol_to *t, ol_ir_out x, ol_ir_out shape) {
    const ol_ir_out in[2] = {x, shape};
    const ol_ir_attr attr = ol_ir_say_text("mode", "numpy");
    const ol_ir_type *a = ol_ir_get_type(t->e, x), *s = ol_ir_get_type(t->e, shape);
    if (!a || !s) return OL_IR_NONE;
    return typed_layer(t, "Broadcast", "opset3", in, 2, &attr, 1, open_type(a->element, s->rank == 1 && s->dims[0] <= OL_MAX_RANK ? (int)s->dims[0] : -1));
}

ol_ir_out ol_to_select(ol_to *t, ol_ir_out cond, ol_ir_out a, ol_ir_out b) {
    const ol_ir_out in[3] = {cond, a, b};
    const ol_ir_attr attr = ol_ir_say_text("auto_broadcast", "numpy");
    const ol_ir_type *x = ol_ir_get_type(t->e, a), *y = ol_ir_get_type(t->e, b), *c = ol_ir_get_type(t->e, cond);
    if (!x || !y || !c) return OL_IR_NONE;
    int rank = x->rank > y->rank ? x->rank : y->rank;
    if (c->rank > rank) rank = c->rank;
    return typed_layer(t, "Select", NULL, in, 3, &attr, 1, open_type(x->element, x->rank < 0 || y->rank < 0 || c->rank < 0 ? -1 : rank));
}

ol_ir_out ol_to_matmul(ol_to *t, ol_ir_out a, ol_ir_out b, bool ta, bool tb) {
    const ol_ir_out in[2] = {a, b};
    const ol_ir_attr attrs[2] = {ol_ir_say_bool("transpose_a", ta), ol_ir_say_bool("transpose_b", tb)};
    const ol_ir_type *x = ol_ir_get_type(t->e, a), *y = ol_ir_get_type(t->e, b);
    if (!x || !y) return OL_IR_NONE;
    int rank = x->rank < 2 || y->rank < 2 ? -1 : x->rank > y->rank ? x->rank : y->rank;
    ol_ir_type out = open_type(x->element, rank);
    if (rank >= 2) {
        out.dims[rank - 2] = x->dims[x->rank - (ta ? 1 : 2)];
        out.dims[rank - 1] = y->dims[y->rank - (tb ? 2 : 1)];
    }
    return typed_layer(t, "MatMul", NULL, in, 2, attrs, 2, out);
}

ol_ir_out ol_to_softmax(ol_to *t, const char *type, ol_ir_out x, int64_t axis) {
    const ol_ir_attr attr = ol_ir_say_int(t->e, "axis", axis);
    return ol_to_layer(t, type, !strcmp(type, "SoftMax") ? "opset8" : "opset5", &x, 1, &attr, 1, true);
}

ol_ir_out ol_to_range(ol_to *t, ol_ir_out count) {
    const ol_ir_out in[3] = {ol_to_scalar(t, 0), count, ol_to_scalar(t, 1)};
    const ol_ir_attr attr = ol_ir_say_text("output_type", "i64");
    return typed_layer(t, "Range", "opset4", in, 3, &attr, 1, open_type(ol_ir_element_of(OL_I64), 1));
}

ol_ir_out ol_to_mvn(ol_to *t, ol_ir_out x, const int64_t *axes, int n, double eps, bool inside) {
    const ol_ir_out in[2] = {x, ol_to_i64(t, axes, n)};
    const ol_ir_attr attrs[3] = {ol_ir_say_float(t->e, "eps", eps), ol_ir_say_bool("normalize_variance", true),
                                 ol_ir_say_text("eps_mode", inside ? "inside_sqrt" : "outside_sqrt")};
    return ol_to_layer(t, "MVN", "opset6", in, 2, attrs, 3, true);
}

ol_ir_out ol_to_along(ol_to *t, ol_ir_out x, int axis, int rank) {
    int64_t dims[OL_MAX_RANK];
    if (rank < 1 || axis < 0 || axis >= rank) return OL_IR_NONE;
    for (int i = 0; i < rank; i++) dims[i] = i == axis ? -1 : 1;
    return rank == 1 ? x : ol_ir_add_reshape(t->e, NULL, x, dims, rank, false);
}
