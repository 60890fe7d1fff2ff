/* SPDX-License-Identifier: Apache-2.0 */
/* Operators that an older opset lacks, composed of those that it has. */
#include "base/error.h"
#include "formats/onnx/lower.h"
#include <math.h>
#include <string.h>

/* Nodes before the one that they replace; a failure latches. */
typedef struct parts {
    ol_graph *g;
    ol_node *at;
    olv_status status;
    olv_error *err;
} parts;

static ol_value *part(parts *p, const char *op, ol_value *const *in, int n_in, const ol_attr *attrs, int n_attrs) {
    if (p->status != OLV_OK) return NULL;
    ol_node *n = ol_graph_add_node(p->g, p->at, ol_op_find("", op), NULL, in, n_in, NULL, 1, attrs, n_attrs, p->err);
    if (!n) p->status = p->err && p->err->status != OLV_OK ? p->err->status : OLV_NOMEM;
    return n ? n->outputs[0] : NULL;
}
static ol_value *one(parts *p, const char *op, ol_value *x) { return part(p, op, &x, 1, NULL, 0); }
static ol_value *two(parts *p, const char *op, ol_value *x, ol_value *y) { return part(p, op, (ol_value *[]){x, y}, 2, NULL, 0); }

/* A scalar of the type of `like`. */
static ol_value *number(parts *p, double v, const ol_value *like) {
    ol_tensor t;
    if (p->status != OLV_OK) return NULL;
    ol_dtype type = like->type.dtype != OL_DTYPE_NONE ? like->type.dtype : OL_F32;
    p->status = ol_tensor_init(&t, type, 0, NULL, p->err);
    if (p->status != OLV_OK) return NULL;
    ol_elem_set(type, t.data, 0, v);
    ol_const *c = ol_const_tensor(&t, p->err);
    ol_tensor_deinit(&t);
    ol_value *r = c ? ol_graph_add_constant(p->g, NULL, c, p->err) : NULL;
    if (!r) p->status = p->err && p->err->status != OLV_OK ? p->err->status : OLV_NOMEM;
    return r;
}

static ol_value *ints(parts *p, const int64_t *v, int n) {
    ol_value *r = p->status == OLV_OK ? ol_graph_add_i64(p->g, NULL, v, n, p->err) : NULL;
    if (!r && p->status == OLV_OK) p->status = p->err && p->err->status != OLV_OK ? p->err->status : OLV_NOMEM;
    return r;
}

static ol_value *mean(parts *p, ol_value *x, int64_t from, int rank) {
    int64_t axes[OL_MAX_RANK];
    for (int i = (int)from; i < rank; i++) axes[i - (int)from] = i;
    return part(p, "ReduceMean", (ol_value *[]){x, ints(p, axes, rank - (int)from)}, 2, NULL, 0);
}

/* x (1 + erf(x / sqrt 2)) / 2, or with tanh. */
static ol_value *gelu(parts *p, const ol_node *n) {
    ol_value *x = n->inputs[0], *y;
    if (ol_str_is(ol_node_string(n, "approximate", "none"), "tanh")) {
        ol_value *cube = two(p, "Mul", two(p, "Mul", x, x), x);
        y = two(p, "Add", x, two(p, "Mul", cube, number(p, 0.044715, x)));
        y = one(p, "Tanh", two(p, "Mul", y, number(p, 0.7978845608028654, x)));
    } else {
        y = one(p, "Erf", two(p, "Mul", x, number(p, 0.7071067811865476, x)));
    }
    y = two(p, "Mul", x, two(p, "Add", y, number(p, 1, x)));
    return two(p, "Mul", y, number(p, 0.5, x));
}

static ol_value *swish(parts *p, const ol_node *n) {
    ol_value *x = n->inputs[0], *y = x;
    float alpha = ol_node_float(n, "alpha", 1);
    if (alpha != 1) y = two(p, "Mul", x, number(p, (double)alpha, x));
    return two(p, "Mul", x, one(p, "Sigmoid", y));
}

static ol_value *mish(parts *p, const ol_node *n) {
    return two(p, "Mul", n->inputs[0], one(p, "Tanh", one(p, "Softplus", n->inputs[0])));
}

static ol_value *hard_swish(parts *p, const ol_node *n) {
    const ol_attr a[2] = {ol_attr_float("alpha", 1.0f / 6), ol_attr_float("beta", 0.5f)};
    return two(p, "Mul", n->inputs[0], part(p, "HardSigmoid", n->inputs, 1, a, 2));
}

/* max(0, x) + min(0, alpha (exp(x / alpha) - 1)) = Elu of alpha over x / alpha: alpha Elu(x / alpha). */
static ol_value *celu(parts *p, const ol_node *n) {
    ol_value *x = n->inputs[0];
    double alpha = (double)ol_node_float(n, "alpha", 1);
    ol_value *y = alpha == 1 ? x : two(p, "Div", x, number(p, alpha, x));
    y = one(p, "Elu", y);
    return alpha == 1 ? y : two(p, "Mul", y, number(p, alpha, x));
}

static ol_value *not_of(parts *p, const ol_node *n) {
    const char *op = !strcmp(n->op->name, "GreaterOrEqual") ? "Less" : "Greater";
    return one(p, "Not", part(p, op, n->inputs, 2, NULL, 0));
}

static ol_value *cast_like(parts *p, const ol_node *n) {
    ol_attr to = ol_attr_int("to", ol_dtype_onnx(n->inputs[1]->type.dtype));
    return n->inputs[1]->type.dtype == OL_DTYPE_NONE ? NULL : part(p, "Cast", n->inputs, 1, &to, 1);
}

/* The norms work in f32 (stash_type 1) and give the type of their input. */
static ol_value *norm(parts *p, const ol_node *n, bool center) {
    ol_value *x = n->inputs[0], *v;
    int rank = x->type.rank;
    ol_dtype t = x->type.dtype;
    int64_t axis = ol_node_int(n, "axis", -1);
    if (axis < 0) axis += rank;
    if (rank < 1 || axis < 0 || axis >= rank || n->n_outputs > 1) return NULL;
    ol_attr to = ol_attr_int("to", ol_dtype_onnx(OL_F32)), back = ol_attr_int("to", ol_dtype_onnx(t));
    bool wide = t == OL_F16 || t == OL_BF16;
    v = wide ? part(p, "Cast", &x, 1, &to, 1) : x;
    if (center) v = two(p, "Sub", v, mean(p, v, axis, rank));
    ol_value *square = mean(p, two(p, "Mul", v, v), axis, rank);
    ol_value *root = v ? one(p, "Sqrt", two(p, "Add", square, number(p, (double)ol_node_float(n, "epsilon", 1e-5f), v))) : NULL;
    v = two(p, "Div", v, root);
    if (wide) v = part(p, "Cast", &v, 1, &back, 1);
    v = two(p, "Mul", v, n->inputs[1]);
    return n->n_inputs > 2 && n->inputs[2] ? two(p, "Add", v, n->inputs[2]) : v;
}
static ol_value *layer_norm(parts *p, const ol_node *n) { return norm(p, n, true); }
static ol_value *rms_norm(parts *p, const ol_node *n) { return norm(p, n, false); }

/* Part of a shape: all of it, cut. */
static ol_value *shape(parts *p, const ol_node *n) {
    int64_t from = ol_node_int(n, "start", 0), to = ol_node_int(n, "end", INT64_MAX), zero = 0;
    ol_value *in[4] = {part(p, "Shape", n->inputs, 1, NULL, 0), ints(p, &from, 1), ints(p, &to, 1), ints(p, &zero, 1)};
    return part(p, "Slice", in, 4, NULL, 0);
}

/* Bounds that are no constants, before Clip took them as inputs. */
static ol_value *clip(parts *p, const ol_node *n) {
    ol_value *x = n->inputs[0], *lo = n->n_inputs > 1 ? n->inputs[1] : NULL, *hi = n->n_inputs > 2 ? n->inputs[2] : NULL;
    if ((!lo || lo->constant) && (!hi || hi->constant)) return NULL;
    if (lo) x = two(p, "Max", x, lo);
    return hi ? two(p, "Min", x, hi) : x;
}

/* Softmax over an axis that is not the last, before opset 13: turned there and back. */
static ol_value *softmax(parts *p, const ol_node *n) {
    ol_value *x = n->inputs[0];
    int rank = x->type.rank;
    int64_t axis = ol_node_int(n, "axis", -1), perm[OL_MAX_RANK];
    if (axis < 0) axis += rank;
    if (rank < 1 || axis < 0 || axis >= rank - 1) return NULL;
    for (int i = 0; i < rank; i++) perm[i] = i;
    perm[axis] = rank - 1;
    perm[rank - 1] = axis;
    const ol_attr turn = ol_attr_ints("perm", perm, (size_t)rank), last = ol_attr_int("axis", -1);
    x = part(p, "Transpose", &x, 1, &turn, 1);
    x = part(p, n->op->name, &x, 1, &last, 1);
    return part(p, "Transpose", &x, 1, &turn, 1);
}

/* [B, S, heads d] as [B, heads, S, d]; rank 4 is that already. */
static ol_value *split_heads(parts *p, ol_value *x, int64_t heads) {
    const int64_t shape4[4] = {0, 0, heads, -1}, perm[4] = {0, 2, 1, 3};
    const ol_attr turn = ol_attr_ints("perm", perm, 4);
    if (x->type.rank == 4) return x;
    x = two(p, "Reshape", x, ints(p, shape4, 4));
    return part(p, "Transpose", &x, 1, &turn, 1);
}

/* Attention in its plain form: as many heads of keys as of queries, no caches, no causal mask, no cap. */
static ol_value *attention(parts *p, const ol_node *n) {
    const ol_type *q = &n->inputs[0]->type;
    int64_t heads = ol_node_int(n, "q_num_heads", 0), d = 0;
    bool flat = q->rank == 3;
    for (int i = 4; i < n->n_inputs; i++)
        if (n->inputs[i]) return NULL;
    if (n->n_outputs > 1 || ol_node_int(n, "is_causal", 0) || ol_node_float(n, "softcap", 0) != 0 || (q->rank != 3 && q->rank != 4)) return NULL;
    if (flat ? heads < 1 || heads != ol_node_int(n, "kv_num_heads", 0) : q->dims[1] != n->inputs[1]->type.dims[1]) return NULL;
    ol_dim width = q->dims[q->rank - 1];
    if (ol_dim_known(width)) d = flat ? width / heads : width;
    double scale = (double)ol_node_float(n, "scale", 0);
    if (!ol_node_attr(n, "scale")) scale = d > 0 ? 1 / sqrt((double)d) : 0;
    if (scale == 0) return NULL;
    const ol_attr swap = ol_attr_ints("perm", (const int64_t[]){0, 1, 3, 2}, 4), back = ol_attr_ints("perm", (const int64_t[]){0, 2, 1, 3}, 4), last = ol_attr_int("axis", -1);
    ol_value *query = split_heads(p, n->inputs[0], heads), *k = split_heads(p, n->inputs[1], heads), *v = split_heads(p, n->inputs[2], heads);
    k = part(p, "Transpose", &k, 1, &swap, 1);
    ol_value *s = two(p, "MatMul", two(p, "Mul", query, number(p, scale, n->inputs[0])), k), *mask = n->n_inputs > 3 ? n->inputs[3] : NULL;
    if (mask && mask->type.dtype == OL_BOOL)
        mask = part(p, "Where", (ol_value *[]){mask, number(p, 0, n->inputs[0]), number(p, -INFINITY, n->inputs[0])}, 3, NULL, 0);
    if (mask) s = two(p, "Add", s, mask);
    v = two(p, "MatMul", part(p, "Softmax", &s, 1, &last, 1), v);
    if (!flat) return v;
    v = part(p, "Transpose", &v, 1, &back, 1);
    return two(p, "Reshape", v, ints(p, (const int64_t[]){0, 0, -1}, 3));
}

/* round((limited x - low) / (high - low) (levels - 1)) / (levels - 1) (to_high - to_low) + to_low */
static ol_value *fake_quantize(parts *p, const ol_node *n) {
    ol_value *x = n->inputs[0], *lo = n->inputs[1], *hi = n->inputs[2], *to = n->inputs[3], *range = two(p, "Sub", hi, lo);
    ol_value *steps = number(p, (double)(ol_node_int(n, "levels", 256) - 1), x);
    ol_value *low = part(p, "Min", (ol_value *[]){lo, hi}, 2, NULL, 0), *high = part(p, "Max", (ol_value *[]){lo, hi}, 2, NULL, 0);
    x = part(p, "Max", (ol_value *[]){part(p, "Min", (ol_value *[]){x, high}, 2, NULL, 0), low}, 2, NULL, 0);
    ol_value *q = one(p, "Round", two(p, "Mul", two(p, "Div", two(p, "Sub", x, lo), range), steps));
    return two(p, "Add", two(p, "Mul", two(p, "Div", q, steps), two(p, "Sub", n->inputs[4], to)), to);
}

static const struct {
    const char *op, *attr; /* attr: only nodes that have it ("" all) */
    int64_t since;         /* INT64_MAX: in no opset */
    ol_value *(*build)(parts *p, const ol_node *n); /* NULL: cannot be said */
} rules[] = {{"olivine.FakeQuantize", "", INT64_MAX, fake_quantize}, {"Gelu", "", 20, gelu}, {"Attention", "", 23, attention}, {"Swish", "", 24, swish}, {"Mish", "", 18, mish}, {"HardSwish", "", 14, hard_swish}, {"Celu", "", 12, celu},
             {"GreaterOrEqual", "", 12, not_of}, {"LessOrEqual", "", 12, not_of}, {"CastLike", "", 15, cast_like},
             {"LayerNormalization", "", 17, layer_norm}, {"RMSNormalization", "", 23, rms_norm}, {"Shape", "start", 15, shape},
             {"Shape", "end", 15, shape}, {"Clip", "", 11, clip}, {"Softmax", "", 13, softmax}, {"LogSoftmax", "", 13, softmax}, {"Hardmax", "", 13, softmax}};

/* Resize before opset 13 takes none of its inputs for omitted: empty ones stand for them. */
static olv_status fill_resize(ol_graph *g, ol_node *n, olv_error *err) {
    for (int i = 1; i < n->n_inputs && i < 3; i++) {
        if (n->inputs[i]) continue;
        const int64_t none = 0;
        ol_tensor t;
        OL_TRY(ol_tensor_init(&t, OL_F32, 1, &none, err));
        ol_const *c = ol_const_tensor(&t, err);
        ol_tensor_deinit(&t);
        ol_value *v = c ? ol_graph_add_constant(g, NULL, c, err) : NULL;
        if (!v) return err && err->status != OLV_OK ? err->status : OLV_NOMEM;
        ol_node_set_input(n, i, v);
    }
    return OLV_OK;
}

static bool is_named(const ol_node *n, const char *op) {
    size_t own = strlen("olivine.");
    if (!strncmp(op, "olivine.", own)) return !strcmp(n->op->domain, "olivine") && !strcmp(n->op->name, op + own);
    return !*n->op->domain && !strcmp(n->op->name, op);
}

bool ol_onnx_must_compose(const ol_graph *g) {
    for (const ol_node *n = g->first; n; n = n->next) {
        if (is_named(n, rules[0].op)) return true;
        for (int i = 0; i < n->n_attrs; i++)
            if (n->attrs[i].type == OL_ATTR_GRAPH && ol_onnx_must_compose(n->attrs[i].v.graph)) return true;
    }
    return false;
}

static olv_status visit(ol_graph *g, ol_node *n, int64_t opset, olv_error *err) {
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++) {
        if (opset >= rules[i].since || !is_named(n, rules[i].op) || (*rules[i].attr && !ol_node_attr(n, rules[i].attr))) continue;
        parts p = {.g = g, .at = n, .err = err};
        ol_value *v = rules[i].build(&p, n);
        if (p.status != OLV_OK) return p.status;
        if (!v) continue;
        ol_value_supersede(n->outputs[0], v);
        ol_graph_remove_node(g, n);
        return OLV_OK;
    }
    return OLV_OK;
}

olv_status ol_onnx_compose(ol_graph *g, int64_t opset, olv_error *err) {
    for (ol_node *n = g->first, *next; n; n = next) {
        next = n->next;
        for (int i = 0; i < n->n_attrs; i++)
            if (n->attrs[i].type == OL_ATTR_GRAPH) OL_TRY(ol_onnx_compose(n->attrs[i].v.graph, opset, err));
        if (opset < 13 && !*n->op->domain && !strcmp(n->op->name, "Resize")) OL_TRY(fill_resize(g, n, err));
        OL_TRY(visit(g, n, opset, err));
    }
    return OLV_OK;
}
