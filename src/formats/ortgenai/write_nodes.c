/* SPDX-License-Identifier: Apache-2.0 */
#include "base/error.h"
#include "formats/ortgenai/write.h"

#include <inttypes.h>
#include <stdio.h>

olv_status ol_og_fail(ol_og_writer *w, const ol_node *n, olv_status s, const char *fmt, ...) {
    if (w->failed) return w->err->status;
    char text[700];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    w->failed = true;
    return n ? ol_fail(w->err, s, "node '%.120s' (%s): %s", n->name, n->op->name, text) : ol_fail(w->err, s, "%s", text);
}

const char *ol_og_text(ol_og_writer *w, const char *fmt, ...) {
    char text[1024];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    const char *copy = ol_arena_strdup(w->arena, text);
    if (!copy) ol_og_fail(w, NULL, OLV_NOMEM, "out of memory");
    return copy ? copy : "";
}

const char *ol_og_fresh(ol_og_writer *w, const ol_node *n, const char *part) {
    return ol_og_text(w, "/model/%.200s/%s_%d", n ? n->name : "graph", part, w->counter++);
}

const char *ol_og_ints(ol_og_writer *w, const int64_t *v, int n) {
    const char *name = ol_og_text(w, "/model/constants/INT64/%d", w->counter++);
    int64_t dims = n;
    ol_og_inline(&w->m, name, ol_dtype_onnx(OL_I64), &dims, n < 0 ? 0 : 1, v, sizeof *v * (size_t)(n < 0 ? 1 : n));
    return name;
}

const char *ol_og_scalar(ol_og_writer *w, double v) {
    const char *name = ol_og_text(w, "/model/constants/FLOAT/%d", w->counter++);
    uint8_t bytes[8] = {0};
    ol_elem_set(w->io, bytes, 0, v);
    ol_og_inline(&w->m, name, ol_dtype_onnx(w->io), NULL, 0, bytes, (size_t)ol_dtype_bits(w->io) / 8);
    return name;
}

static bool is_op(const ol_node *n, const char *op) { return n && strcmp(n->op->name, op) == 0; }

/* Renamings: Identity, casts between float types, and the choice of rows for the head. */
static bool is_renaming(const ol_og_writer *w, const ol_node *n) {
    if (is_op(n, "Identity")) return true;
    if (is_op(n, "Gather")) return n->inputs[1] == w->output_rows;
    return is_op(n, "Cast") && ol_dtype_class(n->inputs[0]->type.dtype) == 'f' &&
           ol_dtype_class(n->outputs[0]->type.dtype) == 'f';
}

ol_value *ol_og_root(ol_og_writer *w, ol_value *v) {
    while (v->producer && is_renaming(w, v->producer)) v = v->producer->inputs[0];
    return v;
}

static bool is_lazy(const ol_node *n) {
    return is_op(n, "Linear") || is_op(n, "Rotary") || is_op(n, "RotaryTable") || is_op(n, "RotaryTableCached") ||
           (is_op(n, "Add") && n->inputs[0] && n->inputs[1] && !n->inputs[0]->constant && !n->inputs[1]->constant);
}

/* ---- constants ---- */

static const char *constant_name(ol_og_writer *w, ol_value *v) {
    const ol_const *c = v->constant;
    if (w->names[v->id]) return w->names[v->id];
    if (ol_dtype_class(ol_const_dtype(c)) == 'f' && ol_const_rank(c) > 0) return ol_og_vector(w, v);
    ol_tensor t;
    if (ol_const_materialize(c, 1 << 20, &t, w->err) != OLV_OK) {
        w->failed = true;
        return NULL;
    }
    if (ol_dtype_class(t.dtype) == 'f') {
        w->names[v->id] = ol_og_scalar(w, ol_elem_get(t.dtype, t.data, 0));
    } else {
        w->names[v->id] = ol_og_text(w, "%s", v->name);
        ol_og_inline(&w->m, v->name, ol_dtype_onnx(t.dtype), t.dims, t.rank, t.data, t.bytes);
    }
    ol_tensor_deinit(&t);
    return w->names[v->id];
}

/* ---- nodes ---- */

static void plain(ol_og_writer *w, ol_node *n, const char *out) {
    const char *in[8] = {NULL};
    ol_og_attr attrs[9];
    int n_attrs = 0;
    if (n->n_inputs > 8 || n->n_attrs > 8) {
        ol_og_fail(w, n, OLV_UNSUPPORTED, "too many inputs");
        return;
    }
    for (int i = 0; i < n->n_inputs; i++)
        if (n->inputs[i] && !(in[i] = ol_og_name(w, n->inputs[i]))) return;
    for (int i = 0; i < n->n_attrs; i++) {
        const ol_attr *a = &n->attrs[i];
        if (a->type == OL_ATTR_INT) attrs[n_attrs++] = OL_OG_I(a->name, a->v.i);
        if (a->type == OL_ATTR_FLOAT) attrs[n_attrs++] = OL_OG_F(a->name, a->v.f);
        if (a->type == OL_ATTR_STRING)
            attrs[n_attrs++] = OL_OG_S(a->name, ol_og_text(w, "%.*s", (int)a->v.s.len, a->v.s.ptr));
    }
    attrs[n_attrs] = OL_OG_END;
    ol_og_node(&w->m, "", n->op->name, ol_og_fresh(w, n, n->op->name), in, n->n_inputs, &out, 1, attrs);
}

static void swish(ol_og_writer *w, ol_node *n, const char *out) {
    const char *in[2] = {ol_og_name(w, n->inputs[0]), NULL};
    float alpha = ol_node_float(n, "alpha", 1);
    if (!in[0]) return;
    if (alpha != 1.0f) {
        ol_og_attr attrs[] = {OL_OG_F("alpha", alpha), OL_OG_END};
        ol_og_node(&w->m, "com.microsoft", "QuickGelu", ol_og_fresh(w, n, "QuickGelu"), in, 1, &out, 1, attrs);
        return;
    }
    in[1] = ol_og_fresh(w, n, "Sigmoid/output_0");
    ol_og_node(&w->m, "", "Sigmoid", ol_og_fresh(w, n, "Sigmoid"), in, 1, &in[1], 1, NULL);
    ol_og_node(&w->m, "", "Mul", ol_og_fresh(w, n, "Mul"), in, 2, &out, 1, NULL);
}

/* A sum that nobody has asked for yet, of two streams: to be taken into the norm behind it. */
static ol_node *open_sum(const ol_og_writer *w, const ol_value *x) {
    ol_node *n = x->producer;
    return is_op(n, "Add") && is_lazy(n) && !w->names[x->id] && n->inputs[0]->type.rank == 2 &&
                   n->inputs[1]->type.rank == 2 && x->n_uses > 0
               ? n
               : NULL;
}

static void norm(ol_og_writer *w, ol_node *n, const char *out) {
    bool layer = is_op(n, "LayerNormalization");
    ol_value *x = ol_og_root(w, n->inputs[0]);
    ol_node *sum = open_sum(w, x);
    const char *gamma = constant_name(w, n->inputs[1]);
    const char *beta = n->n_inputs > 2 && n->inputs[2] ? constant_name(w, n->inputs[2]) : NULL;
    float eps = ol_node_float(n, "epsilon", 1e-5f);
    if (ol_node_int(n, "axis", -1) != -1 && ol_node_int(n, "axis", -1) != n->inputs[0]->type.rank - 1) {
        ol_og_fail(w, n, OLV_UNSUPPORTED, "an axis other than the last");
        return;
    }
    if (sum) {
        const char *in[] = {ol_og_name(w, sum->inputs[0]), ol_og_name(w, sum->inputs[1]), gamma, beta};
        if (!in[0] || !in[1]) return;
        w->names[x->id] = ol_og_fresh(w, sum, "output_3");
        const char *outs[] = {out, NULL, NULL, w->names[x->id]};
        const char *op = layer ? "SkipLayerNormalization" : "SkipSimplifiedLayerNormalization";
        ol_og_attr attrs[] = {OL_OG_F("epsilon", eps), OL_OG_END};
        ol_og_node(&w->m, "com.microsoft", op, ol_og_fresh(w, n, "SkipLayerNorm"), in, layer ? 4 : 3, outs, 4, attrs);
        return;
    }
    const char *in[] = {ol_og_name(w, x), gamma, beta};
    if (!in[0]) return;
    ol_og_attr attrs[] = {OL_OG_F("epsilon", eps), OL_OG_I("axis", -1), OL_OG_I("stash_type", 1), OL_OG_END};
    ol_og_node(&w->m, "", layer ? "LayerNormalization" : "SimplifiedLayerNormalization", ol_og_fresh(w, n, "LayerNorm"), in, 3,
               &out, 1, attrs);
}

/* [B,S,H] as [B,S·heads,d] → norm → back. */
static void head_norm(ol_og_writer *w, ol_node *n, const char *out) {
    int64_t heads = ol_node_int(n, "heads", 1), width = n->inputs[0]->type.dims[1], d = width / heads;
    bool layer = ol_str_is(ol_node_string(n, "kind", "rms"), "layer");
    int64_t have = ol_const_width(n->inputs[1]->constant);
    if (ol_node_float(n, "offset", 0) != 0.0f || have != d) {
        ol_og_fail(w, n, OLV_UNSUPPORTED, "head norms with an offset or a weight for every head");
        return;
    }
    const char *split = ol_og_fresh(w, n, "Reshape_1/output_0"), *normed = ol_og_fresh(w, n, "Norm/output_0");
    const char *a[] = {ol_og_name(w, n->inputs[0]), ol_og_ints(w, (const int64_t[]){0, -1, d}, 3)};
    if (!a[0]) return;
    ol_og_node(&w->m, "", "Reshape", ol_og_fresh(w, n, "Reshape_1"), a, 2, &split, 1, NULL);
    const char *b[] = {split, constant_name(w, n->inputs[1]), n->n_inputs > 2 && n->inputs[2] ? constant_name(w, n->inputs[2]) : NULL};
    ol_og_attr attrs[] = {OL_OG_F("epsilon", ol_node_float(n, "epsilon", 1e-6f)), OL_OG_I("axis", -1),
                          OL_OG_I("stash_type", 1), OL_OG_END};
    ol_og_node(&w->m, "", layer ? "LayerNormalization" : "SimplifiedLayerNormalization", ol_og_fresh(w, n, "Norm"), b, 3, &normed,
               1, attrs);
    const char *c[] = {normed, ol_og_ints(w, (const int64_t[]){0, -1, width}, 3)};
    ol_og_node(&w->m, "", "Reshape", ol_og_fresh(w, n, "Reshape_2"), c, 2, &out, 1, NULL);
}

static void gather(ol_og_writer *w, ol_node *n, const char *out) {
    if (!n->inputs[0]->constant || ol_node_int(n, "axis", 0) != 0) {
        ol_og_fail(w, n, OLV_UNSUPPORTED, "rows of a computed matrix");
        return;
    }
    const char *ids = ol_og_name(w, n->inputs[1]);
    if (ids) ol_og_lookup(w, n, n->inputs[0], ids, out);
}

/* Operators that mean the same there. */
static bool is_plain(const ol_node *n) {
    static const char *const names[] = {"Add", "Sub", "Mul", "Div", "Sigmoid", "Tanh", "Relu", "Gelu", "Softplus", "Exp",
                                        "Neg", "Sqrt", "Abs", "Erf", "Clip", "Reciprocal", "Max", "Min", "Pow", "Softmax"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (is_op(n, names[i])) return n->op->domain[0] == 0;
    return false;
}

static void emit(ol_og_writer *w, ol_node *n, const char *out) {
    const ol_og_experts *experts = is_op(n, "ReduceSum") ? ol_og_experts_of(w, n) : NULL;
    if (experts)
        ol_og_write_experts(w, experts, out);
    else if (is_op(n, "Linear"))
        ol_og_linear(w, n, out);
    else if (is_op(n, "Rotary"))
        ol_og_rotary(w, n, out);
    else if (is_op(n, "RMSNormalization") || is_op(n, "LayerNormalization"))
        norm(w, n, out);
    else if (is_op(n, "HeadNorm"))
        head_norm(w, n, out);
    else if (is_op(n, "Gather"))
        gather(w, n, out);
    else if (is_op(n, "Swish"))
        swish(w, n, out);
    else if (is_plain(n))
        plain(w, n, out);
    else
        ol_og_fail(w, n, OLV_UNSUPPORTED, "onnxruntime-genai has no operator for it");
}

const char *ol_og_name(ol_og_writer *w, ol_value *v) {
    v = ol_og_root(w, v);
    if (w->failed) return NULL;
    if (v->constant) return constant_name(w, v);
    if (v == w->positions) w->uses_positions = true;
    if (!w->names[v->id] && v->producer) {
        const char *out = v == w->logits ? "logits" : ol_og_fresh(w, v->producer, "output_0");
        emit(w, v->producer, out);
        if (!w->names[v->id]) w->names[v->id] = out;
    }
    if (!w->names[v->id]) ol_og_fail(w, v->producer, OLV_INTERNAL, "value '%s' has no name", v->name);
    return w->failed ? NULL : w->names[v->id];
}

void ol_og_visit(ol_og_writer *w, ol_node *n) {
    if (w->failed || w->covered[n->id] || is_renaming(w, n) || is_lazy(n)) return;
    if (is_op(n, "Attention"))
        ol_og_attention(w, n);
    else
        ol_og_name(w, n->outputs[0]);
}
