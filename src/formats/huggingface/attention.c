/* SPDX-License-Identifier: Apache-2.0 */
#include "base/alloc.h"
#include "formats/huggingface/build.h"
#include "formats/huggingface/recurrent.h"
#include "formats/huggingface/rows.h"

#include <math.h>
#include <stdio.h>

/* ---- rotary embedding ---- */

static ol_value *make_table(ol_hf_build *b, const ol_hf_rope *p) {
    static const char *const modes[] = {"plain", "longrope", "dynamic"};
    ol_value *in[3] = {b->positions, NULL, NULL};
    if (b->failed) return NULL;
    in[1] = ol_graph_add_f32(b->g, NULL, p->inv_freq, p->dim / 2, &b->error);
    if (p->inv_freq_long) in[2] = ol_graph_add_f32(b->g, NULL, p->inv_freq_long, p->dim / 2, &b->error);
    if (!in[1] || (p->inv_freq_long && !in[2])) {
        ol_hf_build_fail(b, OLV_NOMEM, "out of memory");
        return NULL;
    }
    ol_attr attrs[] = {ol_attr_string("mode", modes[p->mode]),
                       ol_attr_float("attention_factor", (float)p->attention_factor),
                       ol_attr_float("attention_factor_long", (float)p->attention_factor_long),
                       ol_attr_int("original_length", p->original_length),
                       ol_attr_float("theta", (float)p->theta),
                       ol_attr_float("scaling", (float)p->factor)};
    int n = p->mode == OL_HF_ROPE_DYNAMIC ? 6 : 5;
    return ol_hf_node(b, "olivine", "RotaryTable", in, in[2] ? 3 : 2, 1, attrs, n, NULL);
}

ol_value *ol_hf_rotate(ol_hf_build *b, ol_value *x, int64_t heads) {
    int r = b->c->layers[b->layer].rope;
    if (r < 0) return x;
    if (!b->tables[r]) b->tables[r] = make_table(b, &b->c->ropes[r]);
    ol_value *in[] = {x, b->tables[r]};
    ol_attr attrs[] = {ol_attr_int("heads", heads),
                       ol_attr_int("interleaved", b->c->position == OL_HF_ROPE_INTERLEAVED)};
    return ol_hf_node(b, "olivine", "Rotary", in, 2, 1, attrs, 2, NULL);
}

/* 1 + beta * log(1 + floor(position / length)) for each row, [T, 1]. */
static ol_value *query_growth(ol_hf_build *b) {
    const ol_hf_config *c = b->c;
    if (b->growth || b->failed) return b->growth;
    ol_attr to = ol_attr_int("to", ol_dtype_onnx(OL_F32));
    ol_value *x = ol_hf_node(b, "", "Cast", &b->positions, 1, 1, &to, 1, NULL);
    x = ol_hf_op1(b, "Floor", ol_hf_op2(b, "Div", x, ol_hf_scalar(b, (double)c->query_growth_length)));
    x = ol_hf_op1(b, "Log", ol_hf_op2(b, "Add", x, ol_hf_scalar(b, 1)));
    x = ol_hf_op2(b, "Add", ol_hf_scale(b, x, c->query_growth), ol_hf_scalar(b, 1));
    return b->growth = ol_hf_reshape(b, x, (const int64_t[]){0, 1}, 2);
}

/* ---- ALiBi ---- */

/* Slopes 2^(-max·i/n) for a power of two n of heads; the heads beyond it take every other one of the doubled series
 * (bloom, falcon), or the whole series starts from the next power of two, odd places first (mpt). */
static void slopes(const ol_hf_config *c, float *out) {
    int64_t n = c->n_heads, p = 1;
    while (p * 2 <= n) p *= 2;
    if (strcmp(c->model_type, "mpt") == 0) {
        int64_t full = p < n ? p * 2 : p, at = 0;
        for (int64_t i = full == n ? 0 : 1; at < n; i += full == n ? 1 : 2) {
            if (i >= full) i = 0;
            out[at++] = (float)pow(2, -(double)(i + 1) * c->alibi_max / (double)full);
        }
        return;
    }
    for (int64_t i = 0; i < n; i++)
        out[i] = (float)(i < p ? pow(2, -(double)(i + 1) * c->alibi_max / (double)p)
                               : pow(2, -(double)(2 * (i - p) + 1) * c->alibi_max / (double)(2 * p)));
    if (strcmp(c->model_type, "falcon") == 0) /* rounded to bf16, and scaled like the scores */
        for (int64_t i = 0; i < n; i++)
            out[i] = ol_bf16_to_f32(ol_f32_to_bf16(out[i])) / sqrtf((float)c->head_dim);
}

static ol_value *alibi(ol_hf_build *b) {
    if (b->c->position != OL_HF_ALIBI || b->failed) return NULL;
    if (!b->alibi) {
        float *v = ol_calloc((size_t)b->c->n_heads, sizeof *v);
        if (v) slopes(b->c, v);
        if (!v) ol_hf_build_fail(b, OLV_NOMEM, "out of memory");
        b->alibi = ol_hf_vector_value(b, "alibi_slopes", v, b->c->n_heads);
    }
    return b->alibi;
}

static ol_value *sinks(ol_hf_build *b) {
    const char *part = b->c->names->sinks;
    int64_t n = b->c->n_heads;
    if (!part || b->failed) return NULL;
    const ol_st_tensor *t = ol_hf_find(b, part, "");
    return ol_hf_vector_value(b, t ? t->name.ptr : NULL, ol_hf_vector(b, part, "", n, 0, true), n);
}

/* ---- the attention itself ---- */

/* Without state: the rows of the run alone are seen. */
static ol_value *attend_rows(ol_hf_build *b, ol_value *q, ol_value *k, ol_value *v) {
    const ol_hf_config *c = b->c;
    ol_value *slope = alibi(b), *relative = ol_hf_relative_bias(b);
    ol_value *sink = sinks(b), *in[] = {q, k, v, sink, slope, relative};
    double scale = c->attn_scale / (c->attn_scale_by_layer ? b->layer + 1 : 1);
    ol_attr attrs[] = {ol_attr_int("heads", c->n_heads),
                       ol_attr_int("kv_heads", c->n_kv_heads),
                       ol_attr_float("scale", (float)scale),
                       ol_attr_float("softcap", (float)c->attn_softcap),
                       ol_attr_int("window", c->layers[b->layer].window),
                       ol_attr_int("causal", !c->family->encoder)};
    return ol_hf_node(b, "olivine", "Attention", in, relative ? 6 : slope ? 5 : sink ? 4 : 3, 1, attrs, 6, NULL);
}

ol_value *ol_hf_attend(ol_hf_build *b, ol_value *q, ol_value *k, ol_value *v) {
    const ol_hf_config *c = b->c;
    char name[32];
    if (b->failed) return NULL;
    if (c->task != OL_HF_GENERATE) return attend_rows(b, q, k, v);
    snprintf(name, sizeof name, "kv.%d", b->layer);
    ol_state_decl s = {name, OL_STATE_KV, (int)c->n_kv_heads, (int)c->head_dim, (int)c->v_dim,
                       c->layers[b->layer].window, 0};
    int state = ol_graph_add_state(b->g, &s);
    if (state < 0) {
        ol_hf_build_fail(b, OLV_NOMEM, "out of memory");
        return NULL;
    }
    ol_value *slope = alibi(b);
    double scale = c->attn_scale / (c->attn_scale_by_layer ? b->layer + 1 : 1);
    ol_value *in[] = {q, k, v, sinks(b), slope};
    ol_attr attrs[] = {ol_attr_int("heads", c->n_heads),
                       ol_attr_int("kv_heads", c->n_kv_heads),
                       ol_attr_float("scale", (float)scale),
                       ol_attr_float("softcap", (float)c->attn_softcap),
                       ol_attr_int("window", c->layers[b->layer].window),
                       ol_attr_int("state", state),
                       ol_attr_int("causal", 1)};
    return ol_hf_node(b, "olivine", "Attention", in, slope ? 5 : in[3] ? 4 : 3, 1, attrs, 7, NULL);
}

/* ---- q, k and v ---- */

/* Rows of a fused matrix that belong to part 0 (q), 1 (k) or 2 (v). */
static int32_t *group_rows(ol_hf_build *b, int part, int64_t *n) {
    const ol_hf_config *c = b->c;
    int64_t d = c->head_dim, per = c->n_heads / c->n_kv_heads, width = (per + 2) * d;
    int64_t first = part == 0 ? 0 : (per + part - 1) * d, count = part == 0 ? per * d : d, at = 0;
    int32_t *order = ol_calloc((size_t)(c->n_kv_heads * count), sizeof *order);
    if (!order) {
        ol_hf_build_fail(b, OLV_NOMEM, "out of memory");
        return NULL;
    }
    for (int64_t g = 0; g < c->n_kv_heads; g++)
        for (int64_t i = 0; i < count; i++) order[at++] = (int32_t)(g * width + first + i);
    *n = at;
    return order;
}

/* Part of a fused weight as a view. */
static ol_const *fused_rows(ol_hf_build *b, ol_const *all, int part) {
    const ol_hf_config *c = b->c;
    int64_t nq = c->n_heads * c->head_dim, nk = c->n_kv_heads * c->head_dim;
    ol_const *v;
    if (c->qkv == OL_HF_QKV_CONCAT || c->n_kv_heads == 1) {
        v = ol_const_slice_rows(all, part == 0 ? 0 : nq + (part - 1) * nk, part == 0 ? nq : nk, &b->error);
    } else {
        int64_t n = 0;
        int32_t *order = group_rows(b, part, &n);
        if (!order) return NULL;
        v = ol_const_permute_rows(all, order, n, &b->error);
        ol_free(order);
    }
    if (!v) b->failed = true;
    return v;
}

/* The same of the fused bias. */
static float *fused_bias(ol_hf_build *b, const float *all, int part, int64_t *n) {
    int32_t *order = NULL;
    const ol_hf_config *c = b->c;
    int64_t nq = c->n_heads * c->head_dim, nk = c->n_kv_heads * c->head_dim;
    *n = part == 0 ? nq : nk;
    if (c->qkv == OL_HF_QKV_GROUPS && !(order = group_rows(b, part, n))) return NULL;
    float *v = ol_calloc((size_t)*n, sizeof *v);
    if (!v) ol_hf_build_fail(b, OLV_NOMEM, "out of memory");
    for (int64_t i = 0; v && i < *n; i++) v[i] = all[order ? order[i] : (part == 0 ? 0 : nq + (part - 1) * nk) + i];
    ol_free(order);
    return v;
}

static void fused_qkv(ol_hf_build *b, ol_value *h, ol_value **out) {
    const ol_hf_config *c = b->c;
    const char *part = c->names->qkv;
    int64_t n = (c->n_heads + 2 * c->n_kv_heads) * c->head_dim;
    ol_const *all = ol_hf_weight(b, part, n, c->hidden);
    float *bias = ol_hf_vector(b, part, ".bias", n, 0, c->qkv_bias);
    const ol_st_tensor *t = ol_hf_find(b, part, ".weight");
    for (int i = 0; i < 3 && all && !b->failed; i++) {
        static const char *const letters[] = {"q", "k", "v"};
        char name[300];
        int64_t rows;
        snprintf(name, sizeof name, "%s.%s", t->name.ptr, letters[i]);
        ol_value *w = ol_hf_constant(b, name, fused_rows(b, all, i)), *wb = NULL;
        if (bias) {
            float *v = fused_bias(b, bias, i, &rows);
            snprintf(name, sizeof name, "%s.%s.bias", t->name.ptr, letters[i]);
            wb = ol_hf_vector_value(b, name, v, rows);
        }
        out[i] = ol_hf_linear_of(b, h, w, wb);
    }
    ol_const_release(all);
    ol_free(bias);
}

/* Parameters of a norm over heads: n values of one tensor, or those of one tensor a head where the part's name has %d.
 * NULL where the file has none and `required` is false. */
static ol_value *head_vector(ol_hf_build *b, const char *part, const char *suffix, int64_t heads, int64_t n, float plus,
                             bool required) {
    const char *at = strstr(part, "%d");
    char name[300];
    if (!at) {
        const ol_st_tensor *t = ol_hf_find(b, part, suffix);
        return ol_hf_vector_value(b, t ? t->name.ptr : NULL, ol_hf_vector(b, part, suffix, n, plus, required), n);
    }
    float *all = ol_calloc((size_t)n, sizeof *all);
    if (!all) ol_hf_build_fail(b, OLV_NOMEM, "out of memory");
    for (int64_t h = 0, d = n / heads; all && h < heads; h++) {
        snprintf(name, sizeof name, "%.*s%d%s", (int)(at - part), part, (int)h, at + 2);
        float *v = ol_hf_vector(b, name, suffix, d, plus, required);
        if (v) memcpy(all + h * d, v, (size_t)d * sizeof *v);
        ol_free(v);
        if (v) continue;
        ol_free(all);
        all = NULL;
    }
    return ol_hf_vector_value(b, NULL, all, n);
}

/* Normalization of q or k; `after`: the call behind the rotation. */
static ol_value *qk_norm(ol_hf_build *b, ol_value *x, const char *part, int64_t heads, bool after) {
    const ol_hf_config *c = b->c;
    ol_hf_qk_norm kind = c->qk_norm;
    int64_t d = c->head_dim;
    if (kind == OL_HF_QK_NONE || b->failed || after != (kind == OL_HF_QK_HEAD_AFTER)) return x;
    if (kind == OL_HF_QK_ROW) return ol_hf_norm_of(b, x, part, heads * d);
    bool layer = c->family->qk_norm_layer;
    float plus = c->family->norm == OL_HF_RMS_PLUS_ONE ? 1.0f : 0.0f;
    int64_t n = kind == OL_HF_QK_HEAD_EACH ? heads * d : d;
    ol_value *in[3] = {x, NULL, NULL};
    in[1] = c->family->norm == OL_HF_RMS_PLAIN ? ol_hf_ones(b, n) : head_vector(b, part, ".weight", heads, n, plus, true);
    if (layer) in[2] = head_vector(b, part, ".bias", heads, n, 0, false);
    ol_attr attrs[] = {ol_attr_int("heads", heads), ol_attr_float("epsilon", (float)c->eps),
                       ol_attr_string("kind", layer ? "layer" : "rms"), ol_attr_float("offset", 0)};
    return ol_hf_node(b, "olivine", "HeadNorm", in, in[2] ? 3 : 2, 1, attrs, 4, NULL);
}

static ol_value *clip(ol_hf_build *b, ol_value *x) {
    if (b->c->clip_qkv <= 0) return x;
    ol_value *in[] = {x, ol_hf_scalar(b, -b->c->clip_qkv), ol_hf_scalar(b, b->c->clip_qkv)};
    return ol_hf_node(b, "", "Clip", in, 3, 1, NULL, 0, NULL);
}

/* Head by head the rows of q, then those of a gate. */
static ol_value *q_and_gate(ol_hf_build *b, ol_value *h, ol_value **gate) {
    const ol_hf_config *c = b->c;
    int64_t d = c->head_dim, n = c->n_heads;
    *gate = ol_hf_linear_rows(b, h, c->names->q, "gate", 2 * n * d, c->hidden, (ol_hf_rows){d, d, n, 2 * d}, NULL);
    return ol_hf_linear_rows(b, h, c->names->q, "q", 2 * n * d, c->hidden, (ol_hf_rows){0, d, n, 2 * d}, NULL);
}

ol_value *ol_hf_attention(ol_hf_build *b, ol_value *h) {
    return b->failed ? NULL : ol_hf_mix(b, h);
}

ol_value *ol_hf_self_attention(ol_hf_build *b, ol_value *h) {
    const ol_hf_config *c = b->c;
    const ol_hf_names *n = c->names;
    if (c->latent.kv_rank) return ol_hf_latent_attention(b, h);
    int64_t nq = c->n_heads * c->head_dim, nk = c->n_kv_heads * c->head_dim;
    ol_value *x[3] = {NULL, NULL, NULL}, *gate = NULL;
    if (n->qkv && (!n->q || ol_hf_has(b, n->qkv))) {
        fused_qkv(b, h, x);
    } else {
        if (c->attn_gate) x[0] = q_and_gate(b, h, &gate);
        else x[0] = ol_hf_linear(b, h, n->q, nq, c->hidden, c->qkv_bias);
        x[1] = ol_hf_linear(b, h, n->k, nk, c->hidden, c->qkv_bias);
        x[2] = ol_hf_linear(b, h, n->v, nk, c->hidden, c->qkv_bias);
    }
    /* olmo2 clips nothing and olmoe clips behind its norms; both orders meet in families that do only one of them. */
    ol_value *q = qk_norm(b, x[0], n->q_norm, c->n_heads, false), *k = qk_norm(b, x[1], n->k_norm, c->n_kv_heads, false);
    q = ol_hf_rotate(b, clip(b, q), c->n_heads);
    k = ol_hf_rotate(b, clip(b, k), c->n_kv_heads);
    q = qk_norm(b, q, n->q_norm, c->n_heads, true);
    k = qk_norm(b, k, n->k_norm, c->n_kv_heads, true);
    if (c->query_growth > 0) q = ol_hf_op2(b, "Mul", q, query_growth(b));
    ol_value *a = ol_hf_attend(b, q, k, clip(b, x[2]));
    if (n->attn_gate) gate = ol_hf_linear(b, h, n->attn_gate, nq, c->hidden, false);
    if (gate) a = ol_hf_op2(b, "Mul", ol_hf_op1(b, "Sigmoid", gate), a);
    return ol_hf_linear(b, a, n->o, c->hidden, nq, c->o_bias);
}
