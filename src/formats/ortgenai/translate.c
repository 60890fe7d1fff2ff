/* SPDX-License-Identifier: Apache-2.0 */
#include "formats/ortgenai/translate.h"

#include "base/alloc.h"
#include "base/error.h"
#include "base/file.h"

#include <inttypes.h>
#include <stdio.h>

/* ---- the record of values ---- */

static const ol_old unknown = {.kind = OL_OLD_UNKNOWN};

bool ol_tr_given(const ol_node *n, int i) { return i < n->n_inputs && n->inputs[i]; }

const ol_old *ol_tr_in(const ol_translate *tr, const ol_node *n, int i) {
    return ol_tr_given(n, i) && n->inputs[i]->graph == tr->old ? &tr->known[n->inputs[i]->id] : &unknown;
}

ol_value *ol_tr_rows(const ol_translate *tr, const ol_node *n, int i) {
    const ol_old *o = ol_tr_in(tr, n, i);
    return o->kind == OL_OLD_ROWS ? o->v : NULL;
}

const ol_const *ol_tr_const(const ol_translate *tr, const ol_node *n, int i) {
    const ol_old *o = ol_tr_in(tr, n, i);
    return o->kind == OL_OLD_CONST ? o->c : NULL;
}

ol_verdict ol_tr_set_rows(ol_translate *tr, const ol_node *n, int output, ol_value *v, int64_t split) {
    if (!v) return OL_FAILED;
    if (output >= n->n_outputs || !n->outputs[output]) return OL_DONE;
    ol_old *o = &tr->known[n->outputs[output]->id];
    o->kind = OL_OLD_ROWS;
    o->v = v;
    o->split = split;
    return OL_DONE;
}

ol_verdict ol_tr_set_const(ol_translate *tr, const ol_node *n, int output, ol_const *c, const ol_value *source) {
    if (!c) return OL_FAILED;
    ol_old *o = &tr->known[n->outputs[output]->id];
    o->kind = OL_OLD_CONST;
    o->c = c;
    o->source = source;
    return OL_DONE;
}

ol_verdict ol_tr_pass(ol_translate *tr, const ol_node *n, const char *fmt, ...) {
    if (tr->blocked[0]) return OL_PASSED;
    int at = snprintf(tr->blocked, sizeof tr->blocked, "node '%.200s' (%.40s): ", n->name, n->op->name);
    va_list ap;
    va_start(ap, fmt);
    if (at > 0 && (size_t)at < sizeof tr->blocked) vsnprintf(tr->blocked + at, sizeof tr->blocked - (size_t)at, fmt, ap);
    va_end(ap);
    return OL_PASSED;
}

ol_verdict ol_tr_fail(ol_translate *tr, const ol_node *n, olv_status s, const char *fmt, ...) {
    char text[600];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    ol_fail(tr->err, s, "node '%.200s' (%.40s): %s", n->name, n->op->name, text);
    return OL_FAILED;
}

int64_t ol_tr_width(const ol_value *v) { return v->type.rank > 0 ? v->type.dims[v->type.rank - 1] : 1; }

ol_value *ol_tr_node(ol_translate *tr, const char *domain, const char *op, ol_value *const *in, int n_in,
                     const ol_attr *attrs, int n_attrs) {
    const ol_op *o = ol_op_find(domain, op);
    for (int i = 0; i < n_in; i++)
        if (!in[i] && i < (o ? o->min_inputs : 0)) return NULL; /* an earlier failure */
    if (!o) {
        ol_fail(tr->err, OLV_INTERNAL, "operator %s is not registered", op);
        return NULL;
    }
    ol_node *n = ol_graph_add_node(tr->g, NULL, o, NULL, in, n_in, NULL, 1, attrs, n_attrs, tr->err);
    return n ? n->outputs[0] : NULL;
}

/* ---- plain operators ---- */

static ol_verdict unary(ol_translate *tr, const ol_node *n) {
    ol_value *x = ol_tr_rows(tr, n, 0);
    const ol_op *o = ol_op_find(n->op->domain, n->op->name);
    if (!x || !o) return ol_tr_pass(tr, n, "no rows");
    return ol_tr_set_rows(tr, n, 0, ol_tr_node(tr, o->domain, o->name, &x, 1, n->attrs, n->n_attrs),
                          ol_tr_in(tr, n, 0)->split);
}

/* Casts between float types mean nothing here: rows are f32, constants keep their type. */
static ol_verdict identity(ol_translate *tr, const ol_node *n) {
    const ol_old *o = ol_tr_in(tr, n, 0);
    if (o->kind == OL_OLD_CONST) return ol_tr_set_const(tr, n, 0, ol_const_retain(o->c), o->source);
    if (o->kind != OL_OLD_ROWS) return OL_PASSED;
    ol_verdict v = ol_tr_set_rows(tr, n, 0, o->v, o->split);
    tr->known[n->outputs[0]->id].cached = o->cached;
    return v;
}

static ol_verdict cast(ol_translate *tr, const ol_node *n) {
    ol_dtype to = ol_dtype_from_onnx(ol_node_int(n, "to", 0));
    const ol_old *o = ol_tr_in(tr, n, 0);
    if (o->kind == OL_OLD_ROWS && o->v->type.dtype == OL_I64 && ol_dtype_class(to) == 's') return identity(tr, n);
    if (ol_dtype_class(to) != 'f') return OL_PASSED;
    if (o->kind == OL_OLD_ROWS && ol_dtype_class(o->v->type.dtype) != 'f') return OL_PASSED;
    return identity(tr, n);
}

/* The input of node i of the new graph if `v` is that operator's output. */
static ol_node *made_by(const ol_value *v, const char *op) {
    return v && v->producer && strcmp(v->producer->op->name, op) == 0 ? v->producer : NULL;
}

/* x · sigmoid(x) is Swish. */
static ol_value *as_swish(ol_translate *tr, ol_value *a, ol_value *b) {
    ol_node *s = made_by(b, "Sigmoid");
    if (s && s->inputs[0] == a) return ol_tr_node(tr, "", "Swish", &a, 1, NULL, 0);
    s = made_by(a, "Sigmoid");
    return s && s->inputs[0] == b ? ol_tr_node(tr, "", "Swish", &b, 1, NULL, 0) : NULL;
}

/* x + constant row behind a Linear without bias is that Linear with a bias. */
static ol_value *as_bias(ol_translate *tr, ol_value *x, ol_value *c) {
    ol_node *l = made_by(x, "Linear");
    if (!l || (l->n_inputs > 2 && l->inputs[2]) || c->type.rank != 1 || ol_tr_width(c) != ol_tr_width(x)) return NULL;
    return ol_tr_linear(tr, l->inputs[0], l->inputs[1], c);
}

/* A constant of one integer (an offset of positions). */
static ol_value *integers(ol_translate *tr, const ol_node *n, int input) {
    int64_t v;
    if (ol_tr_ints(tr, n, input, &v, 1) != 1) return ol_tr_fail(tr, n, OLV_UNSUPPORTED, "input %d: expected one integer", input), NULL;
    return ol_graph_add_i64(tr->g, NULL, &v, -1, tr->err);
}

static ol_verdict binary(ol_translate *tr, const ol_node *n) {
    ol_value *in[2] = {ol_tr_rows(tr, n, 0), ol_tr_rows(tr, n, 1)}, *y = NULL;
    bool add = strcmp(n->op->name, "Add") == 0, mul = strcmp(n->op->name, "Mul") == 0;
    if (!in[0] && !in[1]) return OL_PASSED;
    int known = in[0] ? 0 : 1;
    for (int i = 0; i < 2; i++) {
        if (in[i]) continue;
        if (!ol_tr_const(tr, n, i)) return ol_tr_pass(tr, n, "input %d is neither rows nor a constant", i);
        in[i] = in[1 - i]->type.dtype == OL_I64 ? integers(tr, n, i) : ol_tr_vector(tr, n, i, -1);
        if (!in[i]) return OL_FAILED;
        if (add && in[1 - i]->type.dtype != OL_I64) y = as_bias(tr, in[1 - i], in[i]);
    }
    if (mul) y = as_swish(tr, in[0], in[1]);
    if (!y) y = ol_tr_node(tr, "", n->op->name, in, 2, NULL, 0);
    return ol_tr_set_rows(tr, n, 0, y, ol_tr_in(tr, n, known)->split);
}

/* com.microsoft Gelu, FastGelu (x + bias), BiasGelu, QuickGelu. */
static ol_verdict gelu(ol_translate *tr, const ol_node *n) {
    ol_value *in[2] = {ol_tr_rows(tr, n, 0), NULL};
    if (!in[0]) return OL_PASSED;
    if (ol_tr_given(n, 1)) {
        in[1] = ol_tr_vector(tr, n, 1, -1);
        if (!in[1]) return OL_FAILED;
        ol_value *y = as_bias(tr, in[0], in[1]);
        in[0] = y ? y : ol_tr_node(tr, "", "Add", in, 2, NULL, 0);
    }
    bool quick = strcmp(n->op->name, "QuickGelu") == 0, fast = strcmp(n->op->name, "FastGelu") == 0;
    if (strcmp(n->op->name, "Gelu") == 0) fast = ol_str_is(ol_node_string(n, "approximate", "none"), "tanh");
    ol_attr attr = quick ? ol_attr_float("alpha", ol_node_float(n, "alpha", 1.702f))
                         : ol_attr_string("approximate", fast ? "tanh" : "none");
    return ol_tr_set_rows(tr, n, 0, ol_tr_node(tr, "", quick ? "Swish" : "Gelu", in, 1, &attr, 1), 0);
}

/* ---- normalization ---- */

/* Norm of rows shown as heads is HeadNorm. */
static ol_value *norm(ol_translate *tr, const ol_node *n, ol_value *x, int64_t split, int gamma, int beta, bool layer) {
    float eps = ol_node_float(n, "epsilon", layer ? 1e-5f : 1e-6f);
    int64_t width = ol_tr_width(x), d = split ? split : width;
    ol_value *in[3] = {x, ol_tr_vector(tr, n, gamma, d), NULL};
    if (!in[1]) return NULL;
    if (beta > 0 && ol_tr_given(n, beta) && !(in[2] = ol_tr_vector(tr, n, beta, d))) return NULL;
    int n_in = in[2] ? 3 : 2;
    if (split && split != width) {
        ol_attr attrs[] = {ol_attr_int("heads", width / split), ol_attr_float("epsilon", eps),
                           ol_attr_string("kind", layer ? "layer" : "rms"), ol_attr_float("offset", 0)};
        return ol_tr_node(tr, "olivine", "HeadNorm", in, n_in, attrs, 4);
    }
    ol_attr attrs[] = {ol_attr_int("axis", -1), ol_attr_float("epsilon", eps)};
    return ol_tr_node(tr, "", layer ? "LayerNormalization" : "RMSNormalization", in, n_in, attrs, 2);
}

static ol_verdict plain_norm(ol_translate *tr, const ol_node *n) {
    const ol_old *o = ol_tr_in(tr, n, 0);
    bool layer = strcmp(n->op->name, "LayerNormalization") == 0;
    if (o->kind != OL_OLD_ROWS) return OL_PASSED;
    if (!ol_tr_const(tr, n, 1)) return ol_tr_pass(tr, n, "the scale is no constant");
    return ol_tr_set_rows(tr, n, 0, norm(tr, n, o->v, o->split, 1, layer ? 2 : -1, layer), o->split);
}

/* SkipLayerNormalization (x, skip, gamma, beta, bias), SkipSimplifiedLayerNormalization (x, skip, gamma, bias). */
static ol_verdict skip_norm(ol_translate *tr, const ol_node *n) {
    bool layer = strcmp(n->op->name, "SkipLayerNormalization") == 0;
    ol_value *in[2] = {ol_tr_rows(tr, n, 0), ol_tr_rows(tr, n, 1)};
    int bias = layer ? 4 : 3;
    if (!in[0] || !in[1] || !ol_tr_const(tr, n, 2)) return ol_tr_pass(tr, n, "an input is unknown");
    ol_value *sum = ol_tr_node(tr, "", "Add", in, 2, NULL, 0);
    if (sum && ol_tr_given(n, bias)) {
        ol_value *more[2] = {sum, ol_tr_vector(tr, n, bias, -1)};
        if (!more[1]) return OL_FAILED;
        sum = ol_tr_node(tr, "", "Add", more, 2, NULL, 0);
    }
    if (!sum) return OL_FAILED;
    ol_tr_set_rows(tr, n, 3, sum, 0);
    return ol_tr_set_rows(tr, n, 0, norm(tr, n, sum, 0, 2, layer ? 3 : -1, layer), 0);
}

/* ---- shapes ---- */

/* [B,S,H] seen as heads and back; constants under another shape. */
static ol_verdict reshape(ol_translate *tr, const ol_node *n) {
    const ol_old *o = ol_tr_in(tr, n, 0);
    int64_t dims[OL_MAX_RANK];
    if (o->kind == OL_OLD_CONST) return ol_tr_set_const(tr, n, 0, ol_const_retain(o->c), o->source);
    if (o->kind != OL_OLD_ROWS) return OL_PASSED;
    int rank = ol_tr_ints(tr, n, 1, dims, OL_MAX_RANK);
    int64_t width = ol_tr_width(o->v), last = rank > 0 ? dims[rank - 1] : 0;
    if (o->cached) return identity(tr, n);
    if (rank < 2) return ol_tr_pass(tr, n, "the shape is no constant");
    if (last == -1 && rank == 4 && dims[2] > 0) last = width / dims[2];
    if (last == -1 && o->split && rank <= 3) last = width;
    if (last == width) return ol_tr_set_rows(tr, n, 0, o->v, 0);
    if (last <= 0 || width % last) return ol_tr_pass(tr, n, "rows of %" PRId64 " values as [.., %" PRId64 "]", width, last);
    return ol_tr_set_rows(tr, n, 0, o->v, last);
}

/* Axes of heads move; what stands for a cache is repeated over heads. */
static ol_verdict view_of_cache(ol_translate *tr, const ol_node *n) {
    const ol_old *o = ol_tr_in(tr, n, 0);
    return o->kind == OL_OLD_ROWS && (o->cached || o->split) ? identity(tr, n) : OL_PASSED;
}

static const struct {
    const char *domain, *name;
    ol_node_handler *run;
} handlers[] = {
    {"com.microsoft", "MatMulNBits", ol_tr_matmul_nbits},
    {"com.microsoft", "GatherBlockQuantized", ol_tr_gather_quantized},
    {"com.microsoft", "GroupQueryAttention", ol_tr_gqa},
    {"com.microsoft", "MultiHeadAttention", ol_tr_mha},
    {"com.microsoft", "RotaryEmbedding", ol_tr_rotary},
    {"com.microsoft", "QMoE", ol_tr_moe}, {"com.microsoft", "MoE", ol_tr_moe},
    {"com.microsoft", "SkipSimplifiedLayerNormalization", skip_norm},
    {"com.microsoft", "SkipLayerNormalization", skip_norm},
    {"com.microsoft", "SimplifiedLayerNormalization", plain_norm},
    {"com.microsoft", "Gelu", gelu}, {"com.microsoft", "FastGelu", gelu}, {"com.microsoft", "BiasGelu", gelu},
    {"com.microsoft", "QuickGelu", gelu},
    {"", "SimplifiedLayerNormalization", plain_norm}, {"", "RMSNormalization", plain_norm},
    {"", "LayerNormalization", plain_norm},
    {"", "MatMul", ol_tr_matmul}, {"", "Gemm", ol_tr_gemm}, {"olivine", "Linear", ol_tr_matmul},
    {"", "Gather", ol_tr_gather}, {"", "DequantizeLinear", ol_tr_dequantize}, {"", "Transpose", ol_tr_transpose},
    {"", "Split", ol_tr_split}, {"", "Slice", ol_tr_slice}, {"", "Concat", ol_tr_concat}, {"", "If", ol_tr_if},
    {"", "Reshape", reshape}, {"", "Unsqueeze", view_of_cache}, {"", "Expand", view_of_cache},
    {"", "Cast", cast}, {"", "Identity", identity},
    {"", "Add", binary}, {"", "Sub", binary}, {"", "Mul", binary}, {"", "Div", binary},
    {"", "Gelu", gelu},
    {"", "Sigmoid", unary}, {"", "Tanh", unary}, {"", "Relu", unary}, {"", "Swish", unary}, {"", "Softplus", unary},
    {"", "Softmax", unary}, {"", "Exp", unary}, {"", "Neg", unary}, {"", "Sqrt", unary}, {"", "Abs", unary}, {"", "Erf", unary},
    {"olivine", "QuickGelu", gelu}, {"olivine", "SimplifiedLayerNormalization", plain_norm},
};

static ol_verdict translate_node(ol_translate *tr, const ol_node *n) {
    const char *domain = strcmp(n->op->domain, "ai.onnx") == 0 ? "" : n->op->domain;
    ol_verdict first = tr->first ? tr->first(tr, n) : OL_PASSED;
    if (first != OL_PASSED) return first;
    for (size_t i = 0; i < sizeof handlers / sizeof handlers[0]; i++)
        if (strcmp(n->op->name, handlers[i].name) == 0 && strcmp(domain, handlers[i].domain) == 0)
            return handlers[i].run(tr, n);
    for (int i = 0; i < n->n_inputs; i++) {
        ol_value *v = ol_tr_rows(tr, n, i);
        if (v && v->type.dtype != OL_I64) return ol_tr_pass(tr, n, "unsupported operator in a language model");
    }
    return OL_PASSED;
}

/* ---- the frame ---- */

static ol_value *add_input(ol_translate *tr, const char *name, const char *symbol) {
    ol_type t;
    memset(&t, 0, sizeof t);
    t.kind = OL_VALUE_TENSOR;
    t.dtype = OL_I64;
    t.rank = 1;
    t.dims[0] = ol_dim_symbol(tr->g->dims, symbol);
    return ol_graph_add_input(tr->g, name, &t, tr->err);
}

static olv_status add_inputs(ol_translate *tr, ol_value **rows) {
    ol_value *ids = add_input(tr, "input_ids", "T");
    tr->positions = ids ? add_input(tr, "positions", "T") : NULL;
    *rows = tr->positions ? add_input(tr, "output_rows", "R") : NULL;
    if (!*rows) return tr->err->status;
    const ol_value *old_ids = ol_graph_find_value(tr->old, tr->config->input_ids);
    if (!old_ids || !old_ids->is_input)
        return ol_fail(tr->err, OLV_UNSUPPORTED, "the graph has no input '%s'", tr->config->input_ids);
    tr->known[old_ids->id].kind = OL_OLD_ROWS;
    tr->known[old_ids->id].v = ids;
    const ol_value *old_pos = ol_graph_find_value(tr->old, tr->config->position_ids);
    if (old_pos && old_pos->is_input) {
        tr->known[old_pos->id].kind = OL_OLD_ROWS;
        tr->known[old_pos->id].v = tr->positions;
    }
    for (int i = 0; i < tr->old->n_values; i++) {
        const ol_value *v = tr->old->values[i];
        if (!v || !v->constant) continue;
        tr->known[i].kind = OL_OLD_CONST;
        tr->known[i].c = ol_const_retain(v->constant);
        tr->known[i].source = v;
    }
    return OLV_OK;
}

/* The only input of n that is computed (not a constant), or -1. */
static int only_computed(const ol_node *n) {
    int at = -1;
    for (int i = 0; i < n->n_inputs; i++) {
        if (!n->inputs[i] || n->inputs[i]->constant) continue;
        if (at >= 0) return -1;
        at = i;
    }
    return at;
}

/* Lets the head run on the chosen rows only: from the logits back through what works row by row for them alone. */
static olv_status choose_rows(ol_translate *tr, ol_value *logits, ol_value *rows) {
    ol_node *first = NULL;
    int input = 0;
    for (ol_value *v = logits; v->producer;) {
        ol_node *n = v->producer;
        int at = only_computed(n);
        const char *op = n->op->name;
        if (at < 0 || v->n_uses > 1 || strcmp(op, "Attention") == 0 || strcmp(op, "Rotary") == 0 || strcmp(op, "Gather") == 0) break;
        first = n;
        input = at;
        v = n->inputs[at];
    }
    if (!first) return ol_fail(tr->err, OLV_UNSUPPORTED, "the logits are not computed from a residual stream");
    ol_value *in[] = {first->inputs[input], rows};
    ol_attr axis = ol_attr_int("axis", 0);
    ol_node *g = ol_graph_add_node(tr->g, first, ol_op_find("", "Gather"), NULL, in, 2, NULL, 1, &axis, 1, tr->err);
    if (!g) return tr->err->status;
    ol_node_set_input(first, input, g->outputs[0]);
    return OLV_OK;
}

static olv_status finish(ol_translate *tr, ol_value *rows) {
    const ol_value *old = ol_graph_find_value(tr->old, tr->config->logits);
    if (!old) return ol_fail(tr->err, OLV_UNSUPPORTED, "the graph has no output '%s'", tr->config->logits);
    ol_value *logits = tr->known[old->id].kind == OL_OLD_ROWS ? tr->known[old->id].v : NULL;
    if (!logits)
        return ol_fail(tr->err, OLV_UNSUPPORTED, "%s", tr->blocked[0] ? tr->blocked : "the logits are not computed");
    OL_TRY(choose_rows(tr, logits, rows));
    const char *names[] = {"logits"};
    ol_node *n = ol_graph_add_node(tr->g, NULL, ol_op_find("", "Identity"), NULL, &logits, 1, names, 1, NULL, 0, tr->err);
    if (!n) return tr->err->status;
    OL_TRY(ol_graph_add_output(tr->g, n->outputs[0], tr->err));
    ol_graph_prune(tr->g);
    OL_TRY(ol_graph_infer(tr->g, tr->err));
    return ol_graph_verify(tr->g, tr->err);
}

static olv_status set_meta(ol_translate *tr, const char *key, int64_t v) {
    char text[32];
    snprintf(text, sizeof text, "%" PRId64, v);
    return v > 0 ? ol_graph_set_meta(tr->g, key, text, tr->err) : OLV_OK;
}

static olv_status set_metadata(ol_translate *tr) {
    const ol_ortgenai_config *c = tr->config;
    const char *format = ol_graph_get_meta(tr->old, "format");
    if (format) OL_TRY(ol_graph_set_meta(tr->g, "format", format, tr->err));
    if (c->type[0]) OL_TRY(ol_graph_set_meta(tr->g, "model_type", c->type, tr->err));
    OL_TRY(ol_graph_set_meta(tr->g, "task", "text-generation", tr->err));
    OL_TRY(set_meta(tr, "vocab_size", c->vocab_size));
    OL_TRY(set_meta(tr, "context_length", c->context_length));
    OL_TRY(set_meta(tr, "hidden_size", c->hidden_size));
    OL_TRY(set_meta(tr, "n_layers", c->n_layers));
    OL_TRY(set_meta(tr, "n_heads", c->n_heads));
    OL_TRY(set_meta(tr, "n_kv_heads", c->n_kv_heads));
    return set_meta(tr, "head_dim", c->head_size);
}

static olv_status run(ol_translate *tr) {
    ol_value *rows;
    OL_TRY(add_inputs(tr, &rows));
    for (const ol_node *n = tr->old->first; n; n = n->next)
        if (translate_node(tr, n) == OL_FAILED)
            return tr->err->status != OLV_OK ? tr->err->status : ol_fail(tr->err, OLV_NOMEM, "out of memory");
    OL_TRY(finish(tr, rows));
    return set_metadata(tr);
}

olv_status ol_tr_run(ol_translate *tr, ol_graph **out, olv_error *err) {
    olv_error local = {OLV_OK, ""};
    int n = tr->old->n_values;
    tr->err = &local;
    tr->known = ol_calloc((size_t)(n ? n : 1), sizeof *tr->known);
    tr->g = ol_graph_create(tr->config->type[0] ? tr->config->type : "decoder");
    olv_status s = tr->known && tr->g ? run(tr) : ol_fail(&local, OLV_NOMEM, "out of memory");
    for (int i = 0; tr->known && i < n; i++) {
        ol_const_release(tr->known[i].c);
        ol_const_release(tr->known[i].c2);
    }
    if (s == OLV_OK) {
        *out = tr->g;
    } else {
        if (tr->g) ol_graph_destroy(tr->g);
        if (err) *err = local;
    }
    ol_free(tr->known);
    return s;
}

olv_status ol_ortgenai_translate(ol_graph *old, const ol_ortgenai_config *c, ol_graph **out, olv_error *err) {
    ol_translate *tr = ol_calloc(1, sizeof *tr);
    if (!tr) return ol_fail(err, OLV_NOMEM, "out of memory");
    tr->old = old;
    tr->config = c;
    olv_status s = ol_tr_run(tr, out, err);
    ol_free(tr);
    return s;
}
