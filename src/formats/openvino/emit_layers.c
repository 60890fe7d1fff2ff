/* SPDX-License-Identifier: Apache-2.0 */
/* Layers that come often, with the types of their outputs worked out. */
#include "base/error.h"
#include "formats/openvino/emit_private.h"
#include <stdio.h>

/* A layer of one output of this type. */
static ol_ir_out add(ol_ir_emit *e, const char *type, const char *name, const ol_ir_out *in, int n_in, ol_ir_attr attr, const ol_ir_type *out) {
    return ol_ir_add(e, &(ol_ir_layer){.type = type, .name = name, .in = in, .n_in = n_in, .attrs = &attr, .n_attrs = attr.name ? 1 : 0, .out = out, .n_out = 1});
}

const char *ol_ir_shape_text(ol_ir_emit *e, const ol_ir_type *t) {
    ol_buf b = OL_BUF_INIT;
    if (t->rank < 0) ol_buf_puts(&b, "...");
    for (int i = 0; i < t->rank; i++) {
        if (i) ol_buf_putc(&b, ',');
        if (t->dims[i] < 0) ol_buf_putc(&b, '?');
        else ol_buf_printf(&b, "%lld", (long long)t->dims[i]);
    }
    const char *text = ol_arena_strdup(e->file->arena, b.data ? b.data : "");
    if (b.failed || !text) ol_ir_latch(e->file, OLV_NOMEM);
    ol_buf_deinit(&b);
    return text;
}

ol_ir_out ol_ir_add_parameter(ol_ir_emit *e, const char *name, const char *names, const ol_ir_type *t) {
    if (!e) return OL_IR_NONE;
    const ol_ir_attr attrs[2] = {ol_ir_say_text("shape", ol_ir_shape_text(e, t)), ol_ir_say_text("element_type", t->element->name)};
    return ol_ir_add(e, &(ol_ir_layer){.type = "Parameter", .name = name, .attrs = attrs, .n_attrs = 2, .out = t, .n_out = 1, .names = names ? &names : NULL});
}

int ol_ir_add_result(ol_ir_emit *e, const char *name, ol_ir_out x) {
    static const ol_ir_type none = {.rank = 0};
    return ol_ir_add(e, &(ol_ir_layer){.type = "Result", .name = name, .in = &x, .n_in = 1, .out = &none, .n_out = 0}).layer;
}

ol_ir_out ol_ir_add_unary(ol_ir_emit *e, const char *type, const char *name, ol_ir_out x) {
    const ol_ir_type *t = e ? ol_ir_get_type(e, x) : NULL;
    ol_ir_type out = t ? *t : (ol_ir_type){.rank = -1};
    return t ? add(e, type, name, &x, 1, (ol_ir_attr){NULL, NULL}, &out) : OL_IR_NONE;
}

static bool gives_boolean(const char *type) {
    static const char *const names[] = {"Equal", "NotEqual", "Less", "LessEqual", "Greater", "GreaterEqual", "LogicalAnd", "LogicalOr", "LogicalXor"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (!strcmp(names[i], type)) return true;
    return false;
}

static int64_t joint(int64_t a, int64_t b) { return a == 1 ? b : b == 1 || a == b ? a : a < 0 ? (b < 0 ? -1 : b) : a; }

ol_ir_out ol_ir_add_binary(ol_ir_emit *e, const char *type, const char *name, ol_ir_out a, ol_ir_out b) {
    const ol_ir_type *x = e ? ol_ir_get_type(e, a) : NULL, *y = e ? ol_ir_get_type(e, b) : NULL;
    if (!x || !y) return OL_IR_NONE;
    ol_ir_type out = {.element = gives_boolean(type) ? ol_ir_element_of(OL_BOOL) : x->element, .rank = -1};
    if (x->rank >= 0 && y->rank >= 0) out.rank = x->rank > y->rank ? x->rank : y->rank;
    for (int i = 0; i < out.rank; i++) {
        int p = i - (out.rank - x->rank), q = i - (out.rank - y->rank);
        out.dims[i] = joint(p < 0 ? 1 : x->dims[p], q < 0 ? 1 : y->dims[q]);
    }
    const ol_ir_out in[2] = {a, b};
    const ol_ir_attr attrs[2] = {ol_ir_say_text("auto_broadcast", "numpy"), ol_ir_say_text("m_pythondiv", !strcmp(type, "Divide") ? "false" : NULL)};
    return ol_ir_add(e, &(ol_ir_layer){.type = type, .name = name, .in = in, .n_in = 2, .attrs = attrs, .n_attrs = 2, .out = &out, .n_out = 1,
                                       .version = !strncmp(type, "Bitwise", 7) ? "opset13" : NULL});
}

ol_ir_out ol_ir_add_convert(ol_ir_emit *e, const char *name, ol_ir_out x, const ol_ir_element *to) {
    const ol_ir_type *t = e ? ol_ir_get_type(e, x) : NULL;
    if (!t) return OL_IR_NONE;
    ol_ir_type out = *t;
    out.element = to;
    return add(e, "Convert", name, &x, 1, ol_ir_say_text("destination_type", to->name), &out);
}

ol_ir_out ol_ir_add_reshape(ol_ir_emit *e, const char *name, ol_ir_out x, const int64_t *dims, int n, bool special_zero) {
    const ol_ir_type *t = e ? ol_ir_get_type(e, x) : NULL;
    if (!t || n > OL_MAX_RANK) return OL_IR_NONE;
    ol_ir_type out = ol_ir_type_of(t->element->dtype, n, dims);
    out.element = t->element;
    for (int i = 0; i < n; i++)
        if (special_zero && dims[i] == 0) out.dims[i] = t->rank > i ? t->dims[i] : -1;
    const ol_ir_out in[2] = {x, ol_ir_const_i64(e, dims, n)};
    return add(e, "Reshape", name, in, 2, ol_ir_say_bool("special_zero", special_zero), &out);
}

static bool has_axis(const int64_t *axes, int n, int axis, int rank) {
    for (int i = 0; i < n; i++)
        if (axes[i] == axis || axes[i] + rank == axis) return true;
    return false;
}

ol_ir_out ol_ir_add_squeeze(ol_ir_emit *e, const char *name, ol_ir_out x, const int64_t *axes, int n) {
    const ol_ir_type *t = e ? ol_ir_get_type(e, x) : NULL;
    if (!t) return OL_IR_NONE;
    ol_ir_type out = {.element = t->element, .rank = t->rank < 0 ? -1 : 0};
    for (int i = 0; i < t->rank; i++)
        if (!has_axis(axes, n, i, t->rank)) out.dims[out.rank++] = t->dims[i];
    const ol_ir_out in[2] = {x, ol_ir_const_i64(e, axes, n)};
    return add(e, "Squeeze", name, in, 2, (ol_ir_attr){NULL, NULL}, &out);
}

ol_ir_out ol_ir_add_unsqueeze(ol_ir_emit *e, const char *name, ol_ir_out x, const int64_t *axes, int n) {
    const ol_ir_type *t = e ? ol_ir_get_type(e, x) : NULL;
    if (!t || t->rank + n > OL_MAX_RANK) return OL_IR_NONE;
    ol_ir_type out = {.element = t->element, .rank = t->rank < 0 ? -1 : t->rank + n};
    for (int i = 0, k = 0; i < out.rank; i++) out.dims[i] = has_axis(axes, n, i, out.rank) ? 1 : k < t->rank ? t->dims[k++] : -1;
    const ol_ir_out in[2] = {x, ol_ir_const_i64(e, axes, n)};
    return add(e, "Unsqueeze", name, in, 2, (ol_ir_attr){NULL, NULL}, &out);
}

ol_ir_out ol_ir_add_transpose(ol_ir_emit *e, const char *name, ol_ir_out x, const int64_t *perm, int n) {
    const ol_ir_type *t = e ? ol_ir_get_type(e, x) : NULL;
    if (!t || n > OL_MAX_RANK) return OL_IR_NONE;
    ol_ir_type out = {.element = t->element, .rank = n};
    for (int i = 0; i < n; i++) out.dims[i] = perm[i] >= 0 && perm[i] < t->rank ? t->dims[perm[i]] : -1;
    const ol_ir_out in[2] = {x, ol_ir_const_i64(e, perm, n)};
    return add(e, "Transpose", name, in, 2, (ol_ir_attr){NULL, NULL}, &out);
}
