/* SPDX-License-Identifier: Apache-2.0 */
/* The layers of gemma3n's text model. Several residual streams run side by side (AltUp): a layer predicts all of them from
 * all, works on one, and corrects all by what it changed there. Beside attention runs a product of low rank (Laurel); each
 * layer gets a vector of its own for every token (per-layer inputs); the last layers read the keys and values of the
 * last layer before them that is of their kind, and the gates of some MLPs keep only what lies far above their mean. */
#include "base/error.h"
#include "formats/huggingface/adjust.h"
#include "formats/huggingface/build.h"

#include <math.h>
#include <stdio.h>

#define MAX_STREAMS 8

typedef struct streams {
    ol_value *x[MAX_STREAMS]; /* [T, H] each */
} streams;

static ol_value *norm(ol_hf_build *b, ol_value *x, const char *part) { return ol_hf_norm_of(b, x, part, b->c->hidden); }

static ol_value *add(ol_hf_build *b, ol_value *x, ol_value *y) { return ol_hf_op2(b, "Add", x, y); }
static ol_value *mul(ol_hf_build *b, ol_value *x, ol_value *y) { return ol_hf_op2(b, "Mul", x, y); }

/* Columns [at, at + n) of rows. */
static ol_value *columns(ol_hf_build *b, ol_value *x, int64_t at, int64_t n) {
    int64_t end = at + n, axis = 1;
    ol_value *in[] = {x, ol_hf_ints(b, &at, 1), ol_hf_ints(b, &end, 1), ol_hf_ints(b, &axis, 1)};
    return ol_hf_node(b, "", "Slice", in, 4, 1, NULL, 0, NULL);
}

static ol_value *mean(ol_hf_build *b, ol_value *x) {
    int64_t axis = -1;
    ol_value *in[] = {x, ol_hf_ints(b, &axis, 1)};
    ol_attr keep = ol_attr_int("keepdims", 1);
    return ol_hf_node(b, "", "ReduceMean", in, 2, 1, &keep, 1, NULL);
}

static ol_value *head_norm(ol_hf_build *b, ol_value *x, const char *part, int64_t heads, int64_t d) {
    const ol_st_tensor *t = part ? ol_hf_find(b, part, ".weight") : NULL;
    ol_value *w = part ? ol_hf_vector_value(b, t ? t->name.ptr : NULL, ol_hf_vector(b, part, ".weight", d, 0, true), d)
                       : ol_hf_ones(b, d);
    ol_value *in[] = {x, w};
    ol_attr attrs[] = {ol_attr_int("heads", heads), ol_attr_float("epsilon", (float)b->c->eps),
                       ol_attr_string("kind", "rms"), ol_attr_float("offset", 0)};
    return ol_hf_node(b, "olivine", "HeadNorm", in, 2, 1, attrs, 4, NULL);
}

/* ---- AltUp ---- */

static ol_value *modalities(ol_hf_build *b, ol_value *x) {
    int64_t n = b->c->gemma3n.streams, h = b->c->hidden;
    x = ol_hf_scale(b, norm(b, x, "altup.router_norm"), 1 / (double)h);
    return ol_hf_op1(b, "Tanh", ol_hf_linear(b, x, "altup.modality_router", n, h, false));
}

static streams predict(ol_hf_build *b, const streams *s) {
    int64_t n = b->c->gemma3n.streams;
    ol_value *c = ol_hf_linear(b, modalities(b, s->x[b->c->gemma3n.active]), "altup.prediction_coefs", n * n, n, false);
    streams p = {{NULL}};
    for (int64_t i = 0; i < n; i++) {
        p.x[i] = s->x[i];
        for (int64_t j = 0; j < n; j++) p.x[i] = add(b, p.x[i], mul(b, s->x[j], columns(b, c, i * n + j, 1)));
    }
    return p;
}

static streams correct(ol_hf_build *b, const streams *p, ol_value *activated) {
    int64_t n = b->c->gemma3n.streams;
    ol_value *c = ol_hf_linear(b, modalities(b, activated), "altup.correction_coefs", n, n, false);
    c = add(b, c, ol_hf_scalar(b, 1));
    ol_value *change = ol_hf_op2(b, "Sub", activated, p->x[b->c->gemma3n.active]);
    streams s = {{NULL}};
    for (int64_t i = 0; i < n; i++) s.x[i] = add(b, p->x[i], mul(b, change, columns(b, c, i, 1)));
    return s;
}

/* Root of the mean square, at least sqrt(least). */
static ol_value *magnitude(ol_hf_build *b, ol_value *x, double least) {
    ol_value *m = mean(b, mul(b, x, x));
    return ol_hf_op1(b, "Sqrt", least > 0 ? ol_hf_op2(b, "Max", m, ol_hf_scalar(b, least)) : m);
}

/* Another stream of a projection of x, as large as `like`. */
static ol_value *projected(ol_hf_build *b, ol_value *x, const char *list, int64_t i, ol_value *like) {
    char part[64];
    snprintf(part, sizeof part, "%s.%d", list, (int)i);
    x = ol_hf_linear(b, x, part, b->c->hidden, b->c->hidden, false);
    return ol_hf_op2(b, "Div", mul(b, x, like), magnitude(b, x, 1e-5));
}

/* ---- a layer ---- */

typedef struct shared {
    ol_value *k[2], *v[2]; /* of the last layer with keys of its own: full, sliding */
} shared;

static ol_value *attention(ol_hf_build *b, ol_value *h, shared *kv) {
    const ol_hf_config *c = b->c;
    int64_t d = c->head_dim, nq = c->n_heads * d, nk = c->n_kv_heads * d;
    int kind = c->layers[b->layer].sliding;
    ol_value *q = head_norm(b, ol_hf_linear(b, h, "self_attn.q_proj", nq, c->hidden, c->qkv_bias), "self_attn.q_norm", c->n_heads, d);
    q = ol_hf_rotate(b, q, c->n_heads);
    if (b->layer < c->n_layers - c->gemma3n.shared) {
        ol_value *k = ol_hf_linear(b, h, "self_attn.k_proj", nk, c->hidden, c->qkv_bias);
        kv->k[kind] = ol_hf_rotate(b, head_norm(b, k, "self_attn.k_norm", c->n_kv_heads, d), c->n_kv_heads);
        ol_value *v = ol_hf_linear(b, h, "self_attn.v_proj", nk, c->hidden, c->qkv_bias);
        kv->v[kind] = head_norm(b, v, NULL, c->n_kv_heads, d);
    } else if (!kv->k[kind]) {
        ol_hf_build_fail(b, OLV_FORMAT, "layer %d shares the keys of a layer of its kind, of which there is none", b->layer);
    }
    ol_value *a = ol_hf_attend(b, q, kv->k[kind], kv->v[kind]);
    return ol_hf_linear(b, a, "self_attn.o_proj", c->hidden, nq, c->qkv_bias);
}

/* The value below which a share p of a normal distribution lies. */
static double normal_quantile(double p) {
    double low = -40, high = 40;
    for (int i = 0; i < 100; i++) {
        double x = (low + high) / 2;
        if (0.5 * erfc(-x / sqrt(2)) < p) low = x;
        else high = x;
    }
    return low;
}

static ol_value *mlp(ol_hf_build *b, ol_value *h) {
    const ol_hf_config *c = b->c;
    double sparsity = c->gemma3n.sparsity ? c->gemma3n.sparsity[b->layer] : 0;
    ol_value *g = ol_hf_linear(b, h, "mlp.gate_proj", c->intermediate, c->hidden, false);
    if (sparsity > 0) {
        ol_value *m = mean(b, g), *off = ol_hf_op2(b, "Sub", g, m);
        ol_value *cut = ol_hf_scale(b, magnitude(b, off, 0), normal_quantile(sparsity));
        g = ol_hf_op1(b, "Relu", ol_hf_op2(b, "Sub", off, cut));
    }
    ol_value *u = ol_hf_linear(b, h, "mlp.up_proj", c->intermediate, c->hidden, false);
    return ol_hf_linear(b, mul(b, ol_hf_activate(b, g), u), "mlp.down_proj", c->hidden, c->intermediate, false);
}

/* What the layer's own vector of the token adds to all streams but the first. */
static ol_value *from_layer_input(ol_hf_build *b, ol_value *first, ol_value *input) {
    const ol_hf_config *c = b->c;
    int64_t p = c->gemma3n.per_layer;
    if (c->gemma3n.correct_scale) {
        float *scale = ol_hf_vector(b, "altup.correct_output_scale", "", c->hidden, 0, true);
        first = mul(b, first, ol_hf_vector_value(b, NULL, scale, c->hidden));
    }
    ol_value *x = ol_hf_activate(b, ol_hf_linear(b, first, "per_layer_input_gate", p, c->hidden, false));
    x = mul(b, x, columns(b, input, b->layer * p, p));
    return norm(b, ol_hf_linear(b, x, "per_layer_projection", c->hidden, p, false), "post_per_layer_input_norm");
}

static streams layer(ol_hf_build *b, const streams *s, shared *kv, ol_value *input) {
    const ol_hf_config *c = b->c;
    streams p = predict(b, s);
    ol_value *active = p.x[c->gemma3n.active], *h = norm(b, active, "input_layernorm");
    ol_value *low = ol_hf_linear(b, h, "laurel.linear_left", c->gemma3n.laurel_rank, c->hidden, false);
    low = ol_hf_linear(b, low, "laurel.linear_right", c->hidden, c->gemma3n.laurel_rank, false);
    low = add(b, h, norm(b, low, "laurel.post_laurel_norm"));
    ol_value *a = add(b, active, norm(b, attention(b, h, kv), "post_attention_layernorm"));
    a = ol_hf_scale(b, add(b, a, low), 1 / sqrt(2));
    ol_value *f = mlp(b, norm(b, a, "pre_feedforward_layernorm"));
    streams y = correct(b, &p, add(b, a, norm(b, f, "post_feedforward_layernorm")));
    ol_value *more = from_layer_input(b, y.x[c->gemma3n.active], input);
    for (int64_t i = 1; i < c->gemma3n.streams; i++) y.x[i] = add(b, y.x[i], more);
    return y;
}

/* ---- the whole ---- */

/* Vectors of the tokens for all layers, [T, layers * P]: from a table of their own, and from the embeddings. */
static ol_value *layer_inputs(ol_hf_build *b, ol_value *ids, ol_value *x) {
    const ol_hf_config *c = b->c;
    int64_t p = c->gemma3n.per_layer, all = c->n_layers * p, rows = c->gemma3n.per_layer_vocab, zero = 0;
    const ol_st_tensor *t = ol_hf_find(b, "embed_tokens_per_layer", ".weight");
    ol_const *table = ol_hf_weight(b, "embed_tokens_per_layer", rows, all);
    ol_value *low = ol_hf_op2(b, "Less", ids, ol_hf_ints(b, &rows, -1));
    ol_value *in[] = {low, ids, ol_hf_ints(b, &zero, -1)};
    ol_value *known = ol_hf_node(b, "", "Where", in, 3, 1, NULL, 0, NULL); /* tokens beyond the table have the first row */
    ol_value *own = ol_hf_look_up(b, ol_hf_constant(b, t ? t->name.ptr : "", table), known);
    own = ol_hf_scale(b, own, sqrt((double)p));
    x = ol_hf_scale(b, ol_hf_linear(b, x, "per_layer_model_projection", all, c->hidden, false), 1 / sqrt((double)c->hidden));
    x = head_norm(b, x, "per_layer_projection_norm", c->n_layers, p);
    return ol_hf_scale(b, add(b, x, own), 1 / sqrt(2));
}

ol_value *ol_hf_gemma3n(ol_hf_build *b, ol_value *ids, ol_value *x) {
    int64_t n = b->c->gemma3n.streams;
    shared kv = {{NULL}, {NULL}};
    ol_value *input = layer_inputs(b, ids, x), *like = magnitude(b, x, 0);
    streams s = {{x}};
    for (int64_t i = 1; i < n; i++) s.x[i] = projected(b, x, "altup_projections", i - 1, like);
    for (b->layer = 0; b->layer < b->c->n_layers && !b->failed; b->layer++) s = layer(b, &s, &kv, input);
    b->layer = -1;
    like = magnitude(b, s.x[0], 0);
    x = s.x[0];
    for (int64_t i = 1; i < n; i++) x = add(b, x, projected(b, s.x[i], "altup_unembed_projections", i - 1, like));
    return ol_hf_scale(b, x, 1 / (double)n);
}

/* ---- config ---- */

static olv_status read_sparsity(ol_hf_config *c, const json_t *j, olv_error *err) {
    const json_t *list = json_object_get(j, "activation_sparsity_pattern");
    if (!list || json_is_null(list)) return OLV_OK;
    c->gemma3n.sparsity = ol_arena_calloc(c->arena, (size_t)c->n_layers, sizeof(double));
    if (!c->gemma3n.sparsity) return ol_fail(err, OLV_NOMEM, "out of memory");
    for (int64_t i = 0; i < c->n_layers; i++) {
        const json_t *v = json_is_array(list) ? json_array_get(list, (size_t)i) : list;
        double p = json_number_value(v);
        if (!json_is_number(v) || !(p >= 0 && p < 1))
            return ol_fail(err, OLV_FORMAT, "key 'activation_sparsity_pattern': expected %lld numbers from 0 to below 1",
                           (long long)c->n_layers);
        c->gemma3n.sparsity[i] = p;
    }
    return OLV_OK;
}

olv_status ol_hf_adjust_gemma3n(ol_hf_config *c, const json_t *j, olv_error *err) {
    static const char *const streams_key[] = {"altup_num_inputs", NULL}, *const active[] = {"altup_active_idx", NULL};
    static const char *const shared_key[] = {"num_kv_shared_layers", NULL}, *const rank[] = {"laurel_rank", NULL};
    static const char *const per_layer[] = {"hidden_size_per_layer_input", NULL};
    static const char *const rows[] = {"vocab_size_per_layer_input", NULL};
    ol_hf_gemma3n_config *g = &c->gemma3n;
    OL_TRY(ol_hf_int(j, streams_key, 1, MAX_STREAMS, 4, false, &g->streams, err));
    OL_TRY(ol_hf_int(j, active, 0, g->streams - 1, 0, false, &g->active, err));
    OL_TRY(ol_hf_int(j, shared_key, 0, c->n_layers, 15, false, &g->shared, err));
    OL_TRY(ol_hf_int(j, rank, 1, 1 << 20, 64, false, &g->laurel_rank, err));
    OL_TRY(ol_hf_int(j, per_layer, 1, 1 << 16, 256, false, &g->per_layer, err));
    OL_TRY(ol_hf_int(j, rows, 1, 1 << 28, 262144, false, &g->per_layer_vocab, err));
    OL_TRY(ol_json_bool(j, "altup_correct_scale", true, &g->correct_scale, err));
    c->embed_scale = sqrt((double)c->hidden);
    c->attn_scale = 1;
    return read_sparsity(c, j, err);
}
