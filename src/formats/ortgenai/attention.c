/* SPDX-License-Identifier: Apache-2.0 */
/* Attention operators of onnxruntime as Rotary + Attention over the state pool. */
#include "base/alloc.h"
#include "base/error.h"
#include "formats/ortgenai/translate.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>

/* ---- rotary tables ---- */

/* Row p of the caches holds cos and sin of p · inv_freq, times a factor: row 1 gives both back. */
static bool frequencies(const ol_const *cos_c, const ol_const *sin_c, int64_t half, float *inv, double *factor) {
    float *c = ol_calloc((size_t)half, sizeof *c), *s = ol_calloc((size_t)half, sizeof *s);
    bool ok = c && s && ol_const_rows(cos_c) > 1 && ol_const_rows(sin_c) > 1 &&
              ol_const_rows_f32(cos_c, 1, 1, c, NULL) == OLV_OK && ol_const_rows_f32(sin_c, 1, 1, s, NULL) == OLV_OK;
    for (int64_t i = 0; ok && i < half; i++) {
        inv[i] = (float)atan2((double)s[i], (double)c[i]);
        if (i == 0) *factor = hypot((double)s[i], (double)c[i]);
    }
    ol_free(c);
    ol_free(s);
    return ok && *factor > 0;
}

/* Two sets of caches, chosen by the length of the sequence: the frequencies of both. */
static ol_value *choice_table(ol_translate *tr, const ol_node *n, const ol_old *cos_o, const ol_old *sin_o) {
    int64_t half = ol_const_width(cos_o->c);
    double f_long = 0, f_short = 0;
    ol_value *table = NULL;
    if (half < 1 || half > 65536 || ol_const_width(cos_o->c2) != half || ol_const_width(sin_o->c) != half ||
        ol_const_width(sin_o->c2) != half)
        return ol_tr_fail(tr, n, OLV_SHAPE, "caches of different widths"), NULL;
    float *l = ol_calloc((size_t)half, sizeof *l), *s = ol_calloc((size_t)half, sizeof *s);
    if (l && s && frequencies(cos_o->c, sin_o->c, half, l, &f_long) && frequencies(cos_o->c2, sin_o->c2, half, s, &f_short)) {
        ol_value *in[] = {tr->positions, ol_graph_add_f32(tr->g, NULL, s, (int)half, tr->err),
                          ol_graph_add_f32(tr->g, NULL, l, (int)half, tr->err)};
        ol_attr attrs[] = {ol_attr_string("mode", "longrope"), ol_attr_float("attention_factor", (float)f_short),
                           ol_attr_float("attention_factor_long", (float)f_long),
                           ol_attr_int("original_length", cos_o->threshold), ol_attr_float("theta", 10000)};
        if (in[1] && in[2]) table = ol_tr_node(tr, "olivine", "RotaryTable", in, 3, attrs, 5);
    } else {
        ol_tr_fail(tr, n, OLV_FORMAT, "no frequencies in the caches");
    }
    ol_free(l);
    ol_free(s);
    return table;
}

static ol_value *cache_value(ol_translate *tr, const ol_old *o) {
    ol_const *c = ol_const_dtype(o->c) == OL_F32 ? ol_const_retain(o->c) : ol_const_cast(o->c, OL_F32, tr->err);
    return c ? ol_tr_constant(tr, o->source->name, c) : NULL;
}

/* The table of a pair of caches, made once. *dim: rotated values of a head. */
static ol_value *rotary_table(ol_translate *tr, const ol_node *n, int cos_input, int sin_input, int64_t *dim) {
    const ol_old *c = ol_tr_in(tr, n, cos_input), *s = ol_tr_in(tr, n, sin_input);
    if ((c->kind != OL_OLD_CONST && c->kind != OL_OLD_CHOICE) || c->kind != s->kind || ol_const_rank(c->c) != 2 ||
        ol_const_rank(s->c) != 2)
        return ol_tr_pass(tr, n, "the rotary caches are no constants"), NULL;
    *dim = 2 * ol_const_width(c->c);
    for (int i = 0; i < tr->n_tables; i++)
        if (tr->tables[i].key[0] == c->c && tr->tables[i].key[1] == s->c) return tr->tables[i].table;
    ol_value *t;
    if (c->kind == OL_OLD_CHOICE) {
        t = choice_table(tr, n, c, s);
    } else {
        ol_value *in[] = {tr->positions, cache_value(tr, c), cache_value(tr, s)};
        t = ol_tr_node(tr, "olivine", "RotaryTableCached", in, 3, NULL, 0);
    }
    if (t && tr->n_tables < (int)(sizeof tr->tables / sizeof tr->tables[0])) {
        tr->tables[tr->n_tables].key[0] = c->c;
        tr->tables[tr->n_tables].key[1] = s->c;
        tr->tables[tr->n_tables++].table = t;
    }
    return t;
}

ol_value *ol_tr_rotate(ol_translate *tr, ol_value *x, ol_value *table, int64_t heads, bool interleaved) {
    ol_value *in[] = {x, table};
    ol_attr attrs[] = {ol_attr_int("heads", heads), ol_attr_int("interleaved", interleaved)};
    return ol_tr_node(tr, "olivine", "Rotary", in, 2, attrs, 2);
}

/* RotaryEmbedding (x, position_ids, cos, sin). */
ol_verdict ol_tr_rotary(ol_translate *tr, const ol_node *n) {
    ol_value *x = ol_tr_rows(tr, n, 0);
    int64_t dim = 0, heads = ol_node_int(n, "num_heads", 0);
    if (!x) return OL_PASSED;
    if (ol_tr_rows(tr, n, 1) != tr->positions) return ol_tr_pass(tr, n, "positions that are no input");
    ol_value *t = rotary_table(tr, n, 2, 3, &dim);
    if (!t) return tr->err->status != OLV_OK ? OL_FAILED : OL_PASSED;
    if (heads == 0 && ol_tr_in(tr, n, 0)->split) heads = ol_tr_width(x) / ol_tr_in(tr, n, 0)->split;
    if (heads == 0) heads = ol_tr_width(x) / dim;
    if (heads < 1 || ol_tr_width(x) % heads || ol_tr_width(x) / heads < dim)
        return ol_tr_fail(tr, n, OLV_SHAPE, "rows of %" PRId64 " values in %" PRId64 " heads with %" PRId64 " rotated",
                          ol_tr_width(x), heads, dim);
    return ol_tr_set_rows(tr, n, 0, ol_tr_rotate(tr, x, t, heads, ol_node_int(n, "interleaved", 0) != 0),
                          ol_tr_in(tr, n, 0)->split);
}

/* ---- attention ---- */

typedef ol_tr_attention attention;

ol_verdict ol_tr_attend(ol_translate *tr, const ol_node *n, const attention *a) {
    char name[32];
    if (!a->q || !a->k || !a->v) return OL_FAILED;
    snprintf(name, sizeof name, "kv.%d", tr->g->n_states);
    ol_state_decl s = {name, OL_STATE_KV, (int)a->kv_heads, (int)a->k_dim, (int)a->v_dim, a->window, 0};
    int state = ol_graph_add_state(tr->g, &s);
    if (state < 0) return ol_tr_fail(tr, n, OLV_NOMEM, "out of memory");
    float scale = a->scale != 0 ? a->scale : (float)(1 / sqrt((double)a->k_dim));
    ol_attr attrs[] = {ol_attr_int("heads", a->heads),      ol_attr_int("kv_heads", a->kv_heads),
                       ol_attr_float("scale", scale),       ol_attr_float("softcap", a->softcap),
                       ol_attr_int("window", a->window),    ol_attr_int("state", state),
                       ol_attr_int("causal", 1)};
    ol_value *in[] = {a->q, a->k, a->v, a->sinks};
    return ol_tr_set_rows(tr, n, 0, ol_tr_node(tr, "olivine", "Attention", in, a->sinks ? 4 : 3, attrs, 7), 0);
}

static ol_value *head_norm(ol_translate *tr, const ol_node *n, ol_value *x, int input, int64_t heads, int64_t dim) {
    if (!x || !ol_tr_given(n, input)) return x;
    ol_value *in[] = {x, ol_tr_vector(tr, n, input, dim)};
    ol_attr attrs[] = {ol_attr_int("heads", heads), ol_attr_float("epsilon", ol_node_float(n, "qk_norm_epsilon", 1e-6f)),
                       ol_attr_string("kind", "rms"), ol_attr_float("offset", 0)};
    return in[1] ? ol_tr_node(tr, "olivine", "HeadNorm", in, 2, attrs, 4) : NULL;
}

/* Sinks: given per head, or, with smooth_softmax, one more logit of zero. */
static bool add_sinks(ol_translate *tr, const ol_node *n, attention *a) {
    if (ol_tr_given(n, 11)) {
        a->sinks = ol_tr_vector(tr, n, 11, a->heads);
        return a->sinks != NULL;
    }
    if (ol_node_int(n, "smooth_softmax", 0) <= 0) return true;
    float *zeros = ol_calloc((size_t)a->heads, sizeof *zeros);
    if (zeros) a->sinks = ol_graph_add_f32(tr->g, NULL, zeros, (int)a->heads, tr->err);
    ol_free(zeros);
    return a->sinks != NULL;
}

static const char *unsupported_gqa(const ol_node *n) {
    static const struct {
        int input;
        const char *what;
    } inputs[] = {{9, NULL}, {10, "an attention bias"}, {12, "a quantized key cache"}, {13, "a quantized value cache"}};
    for (size_t i = 0; i < sizeof inputs / sizeof inputs[0]; i++)
        if (inputs[i].what && ol_tr_given(n, inputs[i].input)) return inputs[i].what;
    return ol_node_int(n, "qk_output", 0) ? "an output of scores" : NULL;
}

/* Splits packed rows of q, k and v. */
static const char *unpack(ol_translate *tr, const ol_node *n, attention *a) {
    ol_value *x = a->q;
    if (ol_tr_given(n, 1)) {
        a->k = ol_tr_rows(tr, n, 1);
        a->v = ol_tr_rows(tr, n, 2);
        if (!a->k || !a->v) return "key or value are unknown";
        if (ol_tr_width(a->q) % a->heads || ol_tr_width(a->k) % a->kv_heads || ol_tr_width(a->v) % a->kv_heads)
            return "rows do not fit the heads";
        a->k_dim = ol_tr_width(a->q) / a->heads;
        a->v_dim = ol_tr_width(a->v) / a->kv_heads;
        return ol_tr_width(a->k) / a->kv_heads == a->k_dim ? NULL : "key and query heads differ";
    }
    int64_t all = a->heads + 2 * a->kv_heads, d = ol_tr_width(x) / all;
    if (ol_tr_width(x) % all) return "packed rows do not fit the heads";
    a->k_dim = a->v_dim = d;
    a->q = ol_tr_columns(tr, x, 0, a->heads * d);
    a->k = a->q ? ol_tr_columns(tr, x, a->heads * d, a->kv_heads * d) : NULL;
    a->v = a->k ? ol_tr_columns(tr, x, (a->heads + a->kv_heads) * d, a->kv_heads * d) : NULL;
    return NULL;
}

ol_verdict ol_tr_gqa(ol_translate *tr, const ol_node *n) {
    attention a = {.q = ol_tr_rows(tr, n, 0)};
    if (!a.q) return ol_tr_pass(tr, n, "the query is unknown");
    const char *why = unsupported_gqa(n);
    if (why) return ol_tr_pass(tr, n, "%s is not supported", why);
    a.heads = ol_node_int(n, "num_heads", 0);
    a.kv_heads = ol_node_int(n, "kv_num_heads", 0);
    if (a.heads < 1 || a.kv_heads < 1 || a.heads > 65536 || a.heads % a.kv_heads)
        return ol_tr_fail(tr, n, OLV_FORMAT, "%" PRId64 " heads over %" PRId64 " key heads", a.heads, a.kv_heads);
    if ((why = unpack(tr, n, &a))) return ol_tr_fail(tr, n, OLV_SHAPE, "%s", why);
    if (!a.q || !a.k || !a.v) return OL_FAILED;
    a.q = head_norm(tr, n, a.q, 14, a.heads, a.k_dim);
    a.k = head_norm(tr, n, a.k, 15, a.kv_heads, a.k_dim);
    if (!a.q || !a.k) return OL_FAILED;
    if (ol_node_int(n, "do_rotary", 0)) {
        int64_t dim = 0;
        bool pairs = ol_node_int(n, "rotary_interleaved", 0) != 0;
        ol_value *t = rotary_table(tr, n, 7, 8, &dim);
        if (!t) return tr->err->status != OLV_OK ? OL_FAILED : OL_PASSED;
        if (dim > a.k_dim) return ol_tr_fail(tr, n, OLV_SHAPE, "caches of %" PRId64 " values for heads of %" PRId64, dim, a.k_dim);
        a.q = ol_tr_rotate(tr, a.q, t, a.heads, pairs);
        a.k = ol_tr_rotate(tr, a.k, t, a.kv_heads, pairs);
    }
    a.scale = ol_node_float(n, "scale", 0);
    a.softcap = ol_node_float(n, "softcap", 0);
    int64_t window = ol_node_int(n, "local_window_size", -1);
    a.window = window > 0 ? window : 0;
    return add_sinks(tr, n, &a) ? ol_tr_attend(tr, n, &a) : OL_FAILED;
}

/* MultiHeadAttention (query, key, value, bias, mask, attention_bias, past_key, past_value) of a decoder: causal by its
 * attribute, or by the attention bias that the mask subgraph computes. Keys may be repeated over the heads. */
ol_verdict ol_tr_mha(ol_translate *tr, const ol_node *n) {
    const ol_old *k = ol_tr_in(tr, n, 1), *v = ol_tr_in(tr, n, 2);
    attention a = {.q = ol_tr_rows(tr, n, 0), .k = ol_tr_rows(tr, n, 1), .v = ol_tr_rows(tr, n, 2)};
    if (!a.q || !a.k || !a.v) return ol_tr_pass(tr, n, "query, key or value are unknown");
    if (ol_tr_given(n, 3)) return ol_tr_pass(tr, n, "a joint bias is not supported");
    if (!ol_node_int(n, "unidirectional", 0) && !ol_tr_given(n, 5))
        return ol_tr_pass(tr, n, "attention without a causal mask");
    a.heads = ol_node_int(n, "num_heads", 0);
    if (a.heads < 1 || a.heads > 65536 || ol_tr_width(a.q) % a.heads)
        return ol_tr_fail(tr, n, OLV_FORMAT, "rows of %" PRId64 " values in %" PRId64 " heads", ol_tr_width(a.q), a.heads);
    a.k_dim = ol_tr_width(a.q) / a.heads;
    a.kv_heads = ol_tr_width(a.k) / a.k_dim;
    if (a.kv_heads < 1 || a.heads % a.kv_heads || ol_tr_width(a.k) % a.k_dim || ol_tr_width(a.v) % a.kv_heads)
        return ol_tr_fail(tr, n, OLV_SHAPE, "keys of %" PRId64 " values for heads of %" PRId64, ol_tr_width(a.k), a.k_dim);
    if ((k->cached != v->cached) || (!k->cached && a.kv_heads != a.heads))
        return ol_tr_pass(tr, n, "keys and values in different forms");
    a.v_dim = ol_tr_width(a.v) / a.kv_heads;
    a.scale = ol_node_float(n, "scale", 0);
    return ol_tr_attend(tr, n, &a);
}

/* ---- caches and choices ---- */

/* Does `name` fit a pattern with one %d? */
static bool fits(const char *name, const char *pattern) {
    const char *p = strchr(pattern, '%');
    size_t before = p ? (size_t)(p - pattern) : 0, n = strlen(name), after = p ? strlen(p + 2) : 0;
    if (!p || n <= before + after || strncmp(name, pattern, before) || strcmp(name + n - after, p + 2)) return false;
    for (size_t i = before; i < n - after; i++)
        if (name[i] < '0' || name[i] > '9') return false;
    return true;
}

/* Concat(past, new) of a cache stands for the new rows: the state appends them. */
ol_verdict ol_tr_concat(ol_translate *tr, const ol_node *n) {
    const ol_old *o = ol_tr_in(tr, n, 1);
    if (n->n_inputs != 2 || o->kind != OL_OLD_ROWS || !n->inputs[0] || !n->inputs[0]->is_input) return OL_PASSED;
    const char *name = n->inputs[0]->name;
    if (!fits(name, tr->config->past_key) && !fits(name, tr->config->past_value)) return OL_PASSED;
    ol_verdict v = ol_tr_set_rows(tr, n, 0, o->v, o->split);
    tr->known[n->outputs[0]->id].cached = true;
    return v;
}

/* The initializer or Constant that output i of a branch is; NULL when it computes something. */
static const ol_value *branch_constant(const ol_graph *g, int i) {
    const ol_value *v = i < g->n_outputs ? g->outputs[i] : NULL;
    while (v && !v->constant && v->producer && strcmp(v->producer->op->name, "Identity") == 0) v = v->producer->inputs[0];
    return v && v->constant ? v : NULL;
}

/* If(Greater(length, original), long caches, short caches). */
ol_verdict ol_tr_if(ol_translate *tr, const ol_node *n) {
    const ol_attr *then_a = ol_node_attr(n, "then_branch"), *else_a = ol_node_attr(n, "else_branch");
    const ol_node *cond = n->n_inputs && n->inputs[0] ? n->inputs[0]->producer : NULL;
    double threshold;
    if (!then_a || !else_a || then_a->type != OL_ATTR_GRAPH || else_a->type != OL_ATTR_GRAPH || !cond) return OL_PASSED;
    bool greater = strcmp(cond->op->name, "Greater") == 0, or_equal = strcmp(cond->op->name, "GreaterOrEqual") == 0;
    if ((!greater && !or_equal) || !ol_tr_scalar(tr, cond, 1, &threshold))
        return ol_tr_pass(tr, n, "only a choice by the length of the sequence is supported");
    for (int i = 0; i < n->n_outputs; i++) {
        const ol_value *a = branch_constant(then_a->v.graph, i), *b = branch_constant(else_a->v.graph, i);
        if (!a || !b) return ol_tr_pass(tr, n, "only a choice between constants is supported");
        if (!n->outputs[i]) continue;
        ol_old *o = &tr->known[n->outputs[i]->id];
        o->kind = OL_OLD_CHOICE;
        o->c = ol_const_retain(a->constant);
        o->c2 = ol_const_retain(b->constant);
        o->source = a;
        o->threshold = (int64_t)threshold - or_equal;
    }
    return OL_DONE;
}
