/* SPDX-License-Identifier: Apache-2.0 */
#include "formats/huggingface/build.h"
#include "formats/huggingface/encoder.h"

#include "base/alloc.h"
#include "base/error.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>

olv_status ol_hf_build_fail(ol_hf_build *b, olv_status s, const char *fmt, ...) {
    if (!b->failed) {
        va_list ap;
        va_start(ap, fmt);
        vsnprintf(b->error.message, sizeof b->error.message, fmt, ap);
        va_end(ap);
        b->error.status = s;
        b->failed = true;
    }
    return b->error.status;
}

static olv_status out_of_memory(ol_hf_build *b) { return ol_hf_build_fail(b, OLV_NOMEM, "out of memory"); }

/* Latches a failure that a callee wrote into b->error. */
static void latch(ol_hf_build *b) {
    if (!b->failed && b->error.status == OLV_OK) out_of_memory(b);
    b->failed = true;
}

/* ---- tensors ---- */

/* base + layer + part + suffix; the layer's %d is replaced. False when it does not fit. */
static bool full_name(const ol_hf_build *b, const char *part, const char *suffix, char *out, size_t size) {
    const ol_hf_names *n = b->c->names;
    char layer[64] = "";
    if (b->layer >= 0) {
        const char *at = strstr(n->layer, "%d"); /* none: all layers share their weights */
        if (!at) snprintf(layer, sizeof layer, "%s", n->layer);
        else snprintf(layer, sizeof layer, "%.*s%d%s", (int)(at - n->layer), n->layer, b->layer, at + 2);
    }
    int len = snprintf(out, size, "%s%s%s%s", n->base, layer, part, suffix);
    return len > 0 && (size_t)len < size;
}

static const ol_st_tensor *find_below(ol_hf_build *b, const char *prefix, const char *name) {
    char full[320];
    int n = snprintf(full, sizeof full, "%s%s", prefix, name);
    return n > 0 && (size_t)n < sizeof full ? b->source->find(b->source->ctx, full) : NULL;
}

const ol_st_tensor *ol_hf_find(ol_hf_build *b, const char *part, const char *suffix) {
    char name[256];
    if (!part || b->failed) return NULL;
    if (!full_name(b, part, suffix, name, sizeof name)) return NULL;
    const ol_st_tensor *t = b->source->find(b->source->ctx, name);
    const char *plain = name + strlen(b->c->names->base);
    if (!t) t = b->source->find(b->source->ctx, plain);
    char other[256];
    if (!t && b->c->nested) t = find_below(b, "model.language_model.", plain);
    if (!t && b->c->nested) t = find_below(b, "language_model.", name);
    if (t || !b->c->family->encoder || !b->c->family->encoder->other_base) return t;
    int n = snprintf(other, sizeof other, "%s%s", b->c->family->encoder->other_base, plain);
    return n > 0 && (size_t)n < sizeof other ? b->source->find(b->source->ctx, other) : NULL;
}

const ol_st_tensor *ol_hf_find_root(ol_hf_build *b, const char *name) {
    if (b->failed || !name) return NULL;
    const ol_st_tensor *t = b->source->find(b->source->ctx, name);
    return t || !b->c->nested ? t : find_below(b, "language_model.", name);
}

bool ol_hf_has(ol_hf_build *b, const char *part) {
    size_t n = part ? strlen(part) : 0;
    bool bare = n > 7 && strcmp(part + n - 7, ".weight") == 0;
    return ol_hf_find(b, part, bare ? "" : ".weight") != NULL || ol_hf_find(b, part, "") != NULL;
}

/* The tensor of a part, or a latched error with its name. */
static const ol_st_tensor *need(ol_hf_build *b, const char *part, const char *suffix) {
    const ol_st_tensor *t = ol_hf_find(b, part, suffix);
    if (t || b->failed) return t;
    char name[256];
    if (!part || !full_name(b, part, suffix, name, sizeof name))
        snprintf(name, sizeof name, "%s", part ? part : "?");
    ol_hf_build_fail(b, OLV_NOT_FOUND, "tensor '%s' is missing", name);
    return NULL;
}

static void dims_text(const int64_t *dims, int rank, char *out, size_t size) {
    size_t at = (size_t)snprintf(out, size, "[");
    for (int i = 0; i < rank && at < size; i++)
        at += (size_t)snprintf(out + at, size - at, "%s%" PRId64, i ? "," : "", dims[i]);
    if (at < size) snprintf(out + at, size - at, "]");
}

static bool check_dims(ol_hf_build *b, const ol_st_tensor *t, const int64_t *dims, int rank) {
    if (t->rank == rank && memcmp(t->dims, dims, (size_t)rank * sizeof *dims) == 0) return true;
    char found[160], want[80];
    dims_text(t->dims, t->rank, found, sizeof found);
    dims_text(dims, rank, want, sizeof want);
    ol_hf_build_fail(b, OLV_SHAPE, "tensor '%s': found shape %s, expected %s", t->name.ptr, found, want);
    return false;
}

olv_status ol_hf_const(ol_hf_build *b, const ol_st_tensor *t, ol_const **out) {
    return b->source->constant(b->source->ctx, t, out, &b->error);
}

static ol_const *const_of(ol_hf_build *b, const ol_st_tensor *t) {
    ol_const *c = NULL;
    if (ol_dtype_class(t->dtype) != 'f') {
        ol_hf_build_fail(b, OLV_UNSUPPORTED, "tensor '%s': found element type %s, expected a float type", t->name.ptr,
                         t->type_name);
        return NULL;
    }
    if (ol_hf_const(b, t, &c) != OLV_OK) {
        latch(b);
        return NULL;
    }
    return c;
}

ol_const *ol_hf_weight(ol_hf_build *b, const char *part, int64_t n, int64_t k) {
    size_t len = part ? strlen(part) : 0;
    bool bare = len > 7 && strcmp(part + len - 7, ".weight") == 0;
    const ol_st_tensor *t = need(b, part, bare ? "" : ".weight");
    bool turned = b->c->family->conv1d && b->layer >= 0;
    if (!t || !check_dims(b, t, turned ? (const int64_t[]){k, n} : (const int64_t[]){n, k}, 2)) return NULL;
    ol_const *c = const_of(b, t);
    if (!c || !turned) return c;
    ol_const *view = ol_const_transpose(c, &b->error);
    ol_const_release(c);
    if (!view) latch(b);
    return view;
}

float *ol_hf_vector(ol_hf_build *b, const char *part, const char *suffix, int64_t n, float offset, bool required) {
    const ol_st_tensor *t = required ? need(b, part, suffix) : ol_hf_find(b, part, suffix);
    if (!t) return NULL;
    int64_t count = 1;
    for (int i = 0; i < t->rank; i++)
        if (__builtin_mul_overflow(count, t->dims[i], &count)) count = -1;
    if (count != n) {
        char found[160];
        dims_text(t->dims, t->rank, found, sizeof found);
        ol_hf_build_fail(b, OLV_SHAPE, "tensor '%s': found shape %s, expected %" PRId64 " values", t->name.ptr, found, n);
        return NULL;
    }
    ol_const *c = const_of(b, t);
    if (!c) return NULL;
    float *v = ol_calloc((size_t)n, sizeof *v);
    if (!v) {
        out_of_memory(b);
    } else if (ol_const_rows_f32(c, 0, ol_const_rows(c), v, &b->error) != OLV_OK) {
        latch(b);
        ol_free(v);
        v = NULL;
    }
    ol_const_release(c);
    for (int64_t i = 0; v && i < n; i++) v[i] += offset;
    return v;
}

ol_value *ol_hf_constant(ol_hf_build *b, const char *name, ol_const *c) {
    if (!c || b->failed) {
        ol_const_release(c);
        return NULL;
    }
    ol_value *v = ol_graph_find_value(b->g, name);
    if (v) {
        ol_const_release(c);
        return v;
    }
    v = ol_graph_add_constant(b->g, name, c, &b->error);
    if (!v) latch(b);
    return v;
}

ol_value *ol_hf_vector_value(ol_hf_build *b, const char *name, float *v, int64_t n) {
    ol_value *out = NULL;
    if (v && !b->failed) {
        out = name ? ol_graph_find_value(b->g, name) : NULL;
        if (!out) out = ol_graph_add_f32(b->g, name, v, (int)n, &b->error);
        if (!out) latch(b);
    }
    ol_free(v);
    return out;
}

ol_value *ol_hf_scalar(ol_hf_build *b, double v) {
    float f = (float)v;
    if (b->failed) return NULL;
    ol_value *out = ol_graph_add_f32(b->g, NULL, &f, -1, &b->error);
    if (!out) latch(b);
    return out;
}

ol_value *ol_hf_ones(ol_hf_build *b, int64_t n) {
    char name[32];
    float *ones = ol_calloc((size_t)n, sizeof *ones);
    if (!ones) out_of_memory(b);
    for (int64_t i = 0; ones && i < n; i++) ones[i] = 1;
    snprintf(name, sizeof name, "ones.%" PRId64, n);
    return ol_hf_vector_value(b, name, ones, n);
}

ol_value *ol_hf_ints(ol_hf_build *b, const int64_t *v, int n) {
    if (b->failed) return NULL;
    ol_value *out = ol_graph_add_i64(b->g, NULL, v, n, &b->error);
    if (!out) latch(b);
    return out;
}

/* ---- nodes ---- */

ol_value *ol_hf_node(ol_hf_build *b, const char *domain, const char *op, ol_value *const *in, int n_in, int n_out,
                     const ol_attr *attrs, int n_attrs, ol_value **second) {
    if (b->failed) return NULL;
    const ol_op *o = ol_op_find(domain, op);
    if (!o) {
        ol_hf_build_fail(b, OLV_INTERNAL, "operator %s is not registered", op);
        return NULL;
    }
    ol_node *n = ol_graph_add_node(b->g, NULL, o, NULL, in, n_in, NULL, n_out, attrs, n_attrs, &b->error);
    if (!n) {
        latch(b);
        if (b->layer >= 0) ol_error_at(&b->error, "layer %d, %s", b->layer, op);
        return NULL;
    }
    if (second) *second = n->outputs[1];
    return n->outputs[0];
}

ol_value *ol_hf_op1(ol_hf_build *b, const char *op, ol_value *x) {
    return ol_hf_node(b, "", op, &x, 1, 1, NULL, 0, NULL);
}

ol_value *ol_hf_op2(ol_hf_build *b, const char *op, ol_value *x, ol_value *y) {
    ol_value *in[] = {x, y};
    return ol_hf_node(b, "", op, in, 2, 1, NULL, 0, NULL);
}

ol_value *ol_hf_scale(ol_hf_build *b, ol_value *x, double by) {
    return by == 1 ? x : ol_hf_op2(b, "Mul", x, ol_hf_scalar(b, by));
}

ol_value *ol_hf_reshape(ol_hf_build *b, ol_value *x, const int64_t *dims, int n) {
    return ol_hf_op2(b, "Reshape", x, ol_hf_ints(b, dims, n));
}

ol_value *ol_hf_linear_of(ol_hf_build *b, ol_value *x, ol_value *w, ol_value *bias) {
    ol_value *in[] = {x, w, bias};
    return ol_hf_node(b, "olivine", "Linear", in, bias ? 3 : 2, 1, NULL, 0, NULL);
}

ol_value *ol_hf_linear(ol_hf_build *b, ol_value *x, const char *part, int64_t n, int64_t k, bool bias_required) {
    if (b->failed) return NULL;
    const ol_st_tensor *t = ol_hf_find(b, part, ".weight");
    ol_const *c = ol_hf_weight(b, part, n, k);
    if (!c) return NULL;
    ol_value *w = ol_hf_constant(b, t->name.ptr, c);
    const ol_st_tensor *tb = ol_hf_find(b, part, ".bias");
    ol_value *bias = ol_hf_vector_value(b, tb ? tb->name.ptr : NULL,
                                        ol_hf_vector(b, part, ".bias", n, 0, bias_required), n);
    return ol_hf_linear_of(b, x, w, bias);
}

ol_value *ol_hf_norm_of(ol_hf_build *b, ol_value *x, const char *part, int64_t n) {
    double factor = b->layer >= 0 ? b->c->layers[b->layer].eps_factor : 0;
    return ol_hf_norm_with(b, x, part, n, b->c->eps * (factor > 0 ? factor : 1));
}

ol_value *ol_hf_norm_with(ol_hf_build *b, ol_value *x, const char *part, int64_t n, double eps) {
    ol_hf_norm kind = b->c->family->norm;
    bool layer = kind >= OL_HF_LAYER;
    float plus = kind == OL_HF_RMS_PLUS_ONE || kind == OL_HF_LAYER_PLUS_ONE ? 1.0f : 0.0f;
    ol_attr attrs[] = {ol_attr_int("axis", -1), ol_attr_float("epsilon", (float)eps)};
    ol_value *in[3] = {x, NULL, NULL};
    if (b->failed) return NULL;
    if (kind == OL_HF_LAYER_PLAIN || kind == OL_HF_RMS_PLAIN) {
        in[1] = ol_hf_ones(b, n);
        return ol_hf_node(b, "", layer ? "LayerNormalization" : "RMSNormalization", in, 2, 1, attrs, 2, NULL);
    }
    /* Converted checkpoints of old keep gamma and beta. */
    bool old = layer && !ol_hf_find(b, part, ".weight") && ol_hf_find(b, part, ".gamma");
    const char *weight = old ? ".gamma" : ".weight", *bias = old ? ".beta" : ".bias";
    const ol_st_tensor *t = ol_hf_find(b, part, weight), *tb = ol_hf_find(b, part, bias);
    float *w = ol_hf_vector(b, part, weight, n, plus, true);
    in[1] = ol_hf_vector_value(b, t ? t->name.ptr : NULL, w, n);
    if (layer && tb) in[2] = ol_hf_vector_value(b, tb->name.ptr, ol_hf_vector(b, part, bias, n, 0, true), n);
    return ol_hf_node(b, "", layer ? "LayerNormalization" : "RMSNormalization", in, in[2] ? 3 : 2, 1, attrs, 2, NULL);
}

/* With the layer's p and n: beta x + p x^2 where x > 0, else beta x + n (exp(min(x, eps)) - 1 - x). The file keeps p and
 * n - beta as what softplus makes them of. */
static ol_value *xielu(ol_hf_build *b, ol_value *x) {
    static const char *const parts[] = {"mlp.act_fn.alpha_p", "mlp.act_fn.alpha_n", "mlp.act_fn.beta", "mlp.act_fn.eps"};
    double v[4] = {0, 0, 0.5, -1e-6};
    for (int i = 0; i < 4; i++) {
        float *one = ol_hf_vector(b, parts[i], "", 1, 0, i < 2);
        if (one) v[i] = (double)*one;
        ol_free(one);
    }
    double p = log1p(exp(v[0])), n = v[2] + log1p(exp(v[1]));
    ol_value *line = ol_hf_scale(b, x, v[2]);
    ol_value *square = ol_hf_scale(b, ol_hf_op2(b, "Mul", x, x), p);
    ol_value *e = ol_hf_op1(b, "Exp", ol_hf_op2(b, "Min", x, ol_hf_scalar(b, v[3])));
    e = ol_hf_op2(b, "Sub", ol_hf_op2(b, "Sub", e, ol_hf_scalar(b, 1)), x);
    ol_value *in[] = {ol_hf_op2(b, "Greater", x, ol_hf_scalar(b, 0)), square, ol_hf_scale(b, e, n)};
    return ol_hf_op2(b, "Add", line, ol_hf_node(b, "", "Where", in, 3, 1, NULL, 0, NULL));
}

ol_value *ol_hf_activate(ol_hf_build *b, ol_value *x) { return ol_hf_activate_as(b, b->c->act, x); }

ol_value *ol_hf_activate_as(ol_hf_build *b, ol_hf_act act, ol_value *x) {
    ol_attr alpha = ol_attr_float("alpha", 1.702f), tanh_form = ol_attr_string("approximate", "tanh");
    switch (act) {
    case OL_HF_SILU: return ol_hf_op1(b, "Swish", x);
    case OL_HF_QUICK_GELU: return ol_hf_node(b, "", "Swish", &x, 1, 1, &alpha, 1, NULL);
    case OL_HF_GELU: return ol_hf_op1(b, "Gelu", x);
    case OL_HF_GELU_TANH: return ol_hf_node(b, "", "Gelu", &x, 1, 1, &tanh_form, 1, NULL);
    case OL_HF_RELU: return ol_hf_op1(b, "Relu", x);
    case OL_HF_TANH: return ol_hf_op1(b, "Tanh", x);
    case OL_HF_SIGMOID: return ol_hf_op1(b, "Sigmoid", x);
    case OL_HF_XIELU: return xielu(b, x);
    case OL_HF_RELU2: break;
    }
    ol_value *r = ol_hf_op1(b, "Relu", x);
    return ol_hf_op2(b, "Mul", r, r);
}
