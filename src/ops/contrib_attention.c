/* SPDX-License-Identifier: Apache-2.0 */
/* com.microsoft RotaryEmbedding, GroupQueryAttention and MultiHeadAttention in their padded form [B, S, heads * d], with
 * caches [B, kv heads, length, d]. */
#include "ops/ops.h"

/* Rotates the first 2 * half values of v (stride 1) by row `at` of the caches [rows, half]. */
static void rotate(double *v, const ol_tensor *cosines, const ol_tensor *sines, int64_t at, int64_t half, bool interleaved) {
    for (int64_t i = 0; i < half; i++) {
        int64_t a = interleaved ? 2 * i : i, b = interleaved ? 2 * i + 1 : i + half;
        double cs = ol_tensor_get(cosines, at * half + i), sn = ol_tensor_get(sines, at * half + i), u = v[a], w = v[b];
        v[a] = u * cs - w * sn;
        v[b] = w * cs + u * sn;
    }
}

static olv_status check_caches(const ol_tensor *cosines, const ol_tensor *sines, int64_t d, olv_error *err) {
    if (!cosines || !sines || cosines->rank != 2 || sines->rank != 2 || cosines->dims[0] != sines->dims[0] ||
        cosines->dims[1] != sines->dims[1] || 2 * cosines->dims[1] > d)
        return ol_fail(err, OLV_SHAPE, "rotation caches do not fit heads of %lld", (long long)d);
    return OLV_OK;
}

static olv_status eval_rotary(ol_eval *c, olv_error *err) {
    const ol_tensor *x, *pos, *cosines, *sines;
    ol_tensor *y;
    double *v;
    OL_TRY(ol_eval_need(c, 0, &x, err));
    OL_TRY(ol_eval_need(c, 1, &pos, err));
    OL_TRY(ol_eval_need(c, 2, &cosines, err));
    OL_TRY(ol_eval_need(c, 3, &sines, err));
    int64_t heads = ol_node_int(c->node, "num_heads", 0), s, d;
    bool four = x->rank == 4; /* [B, heads, S, d] */
    if (x->rank != 3 && !four) return ol_fail(err, OLV_SHAPE, "input of rank %d", x->rank);
    if (cosines->rank != 2) return ol_fail(err, OLV_SHAPE, "caches of rank %d", cosines->rank);
    if (four) heads = x->dims[1];
    else if (heads < 1) heads = cosines->dims[1] ? x->dims[2] / (2 * cosines->dims[1]) : 0;
    s = four ? x->dims[2] : x->dims[1];
    if (heads < 1 || (!four && x->dims[2] % heads)) return ol_fail(err, OLV_SHAPE, "%lld heads", (long long)heads);
    d = four ? x->dims[3] : x->dims[2] / heads;
    OL_TRY(check_caches(cosines, sines, d, err));
    if (ol_tensor_count(pos) != 1 && ol_tensor_count(pos) != x->dims[0] * s) return ol_fail(err, OLV_SHAPE, "position_ids do not fit");
    OL_TRY(ol_eval_out(c, 0, x->dtype, x->rank, x->dims, &y, err));
    OL_TRY(ol_tensor_f64(x, &v, err));
    olv_status st = OLV_OK;
    for (int64_t b = 0; b < x->dims[0]; b++)
        for (int64_t t = 0; t < s; t++)
            for (int64_t h = 0; h < heads && st == OLV_OK; h++) {
                int64_t at = ol_tensor_count(pos) == 1 ? ol_tensor_i64(pos, 0) + t : ol_tensor_i64(pos, b * s + t);
                if (at < 0 || at >= cosines->dims[0]) st = ol_fail(err, OLV_ARG, "position %lld", (long long)at);
                else rotate(v + (four ? (b * heads + h) * s + t : (b * s + t) * heads + h) * d, cosines, sines, at,
                            cosines->dims[1], ol_node_int(c->node, "interleaved", 0) != 0);
            }
    if (st == OLV_OK) ol_tensor_store(y, v);
    ol_free(v);
    return st;
}

/* ---- GroupQueryAttention ---- */

typedef struct gqa {
    int64_t b, s, heads, kv, d, past, total, window;
    double scale, cap;
    const ol_tensor *bias, *sink;
    bool smooth;
} gqa;

static olv_status infer_gqa(ol_infer *c, olv_error *err) {
    const ol_type *q = ol_infer_in(c, 0), *k = ol_infer_in(c, 1), *past = ol_infer_in(c, 3);
    int64_t heads = ol_node_int(c->node, "num_heads", 0), kv = ol_node_int(c->node, "kv_num_heads", 0);
    OL_TRY(ol_infer_rank(c, 0, 3, 3, err));
    if (heads < 1 || kv < 1 || heads % kv) return ol_fail(err, OLV_SHAPE, "%lld heads, %lld kv heads", (long long)heads, (long long)kv);
    c->out[0] = *q;
    ol_dim d = OL_DIM_NONE;
    if (q->rank == 3 && ol_dim_known(q->dims[2])) d = q->dims[2] / (k ? heads : heads + 2 * kv);
    if (q->rank == 3 && !k) c->out[0].dims[2] = d != OL_DIM_NONE ? d * heads : ol_infer_fresh(c);
    for (int i = 1; i < c->node->n_outputs && i < 3; i++) {
        ol_infer_set(c, i, past ? past->dtype : q->dtype, 4);
        if (q->rank == 3) c->out[i].dims[0] = q->dims[0];
        c->out[i].dims[1] = kv;
        if (d != OL_DIM_NONE) c->out[i].dims[3] = d;
    }
    return OLV_OK;
}

/* Scores of one query against keys [0, n), softmax, and the weighted values. */
static void attend(const gqa *g, const double *q, const double *k, const double *v, int64_t n, int64_t bi, int64_t h,
                   int64_t row, double *score, double *out) {
    int64_t first = g->window > 0 && n > g->window ? n - g->window : 0;
    double max = g->sink ? ol_tensor_get(g->sink, h) : g->smooth ? 0 : -INFINITY, sum = 0;
    for (int64_t p = first; p < n; p++) {
        double s = 0;
        for (int64_t i = 0; i < g->d; i++) s += q[i] * k[p * g->d + i];
        s *= g->scale;
        if (g->cap > 0) s = g->cap * tanh(s / g->cap);
        if (g->bias) {
            const int64_t *bd = g->bias->dims;
            int64_t at = ((bd[0] == 1 ? 0 : bi) * bd[1] + (bd[1] == 1 ? 0 : h)) * bd[2] + row;
            s += ol_tensor_get(g->bias, at * bd[3] + p);
        }
        score[p] = s;
        max = fmax(max, s);
    }
    if (g->sink) sum = exp(ol_tensor_get(g->sink, h) - max);
    else if (g->smooth) sum = exp(-max);
    for (int64_t p = first; p < n; p++) sum += score[p] = max == -INFINITY ? 0 : exp(score[p] - max);
    for (int64_t i = 0; i < g->d; i++) {
        double o = 0;
        for (int64_t p = first; p < n; p++) o += score[p] * v[p * g->d + i];
        out[i] = sum > 0 ? o / sum : 0;
    }
}

typedef struct gqa_in {
    const ol_tensor *q, *k, *v, *past_k, *past_v, *lens, *cosines, *sines, *pos;
    bool rotary, interleaved;
} gqa_in;

/* One (batch, head) vector of row t out of q, k or v, or of the packed tensor. part: 0 q, 1 k, 2 v. */
static void load_vector(const gqa *g, const gqa_in *in, int part, int64_t b, int64_t t, int64_t h, double *out) {
    bool packed = !in->k;
    const ol_tensor *x = packed || part == 0 ? in->q : part == 1 ? in->k : in->v;
    int64_t row = packed ? g->heads + 2 * g->kv : part == 0 ? g->heads : g->kv;
    int64_t at = packed ? (part == 0 ? 0 : part == 1 ? g->heads : g->heads + g->kv) : 0;
    for (int64_t i = 0; i < g->d; i++) out[i] = ol_tensor_get(x, ((b * g->s + t) * row + at + h) * g->d + i);
}

static olv_status run_batch(const gqa *g, const gqa_in *in, int64_t b, ol_tensor *y, ol_tensor *pk, ol_tensor *pv,
                            double *k, double *v, double *score, olv_error *err) {
    int64_t have = ol_tensor_i64(in->lens, b) + 1, old = g->s == g->total ? 0 : have - g->s;
    double q[1024], out[1024];
    if (old < 0 || old > g->past || old + g->s > g->total || have > g->total)
        return ol_fail(err, OLV_ARG, "sequence of %lld found for a cache of %lld", (long long)have, (long long)g->past);
    for (int64_t h = 0; h < g->kv; h++) {
        double *kh = k + h * g->total * g->d, *vh = v + h * g->total * g->d;
        memset(kh, 0, (size_t)(g->total * g->d) * sizeof *kh);
        memset(vh, 0, (size_t)(g->total * g->d) * sizeof *vh);
        for (int64_t i = 0; i < old * g->d; i++) {
            kh[i] = ol_tensor_get(in->past_k, (b * g->kv + h) * g->past * g->d + i);
            vh[i] = ol_tensor_get(in->past_v, (b * g->kv + h) * g->past * g->d + i);
        }
        for (int64_t t = 0; t < g->s; t++) {
            load_vector(g, in, 1, b, t, h, kh + (old + t) * g->d);
            load_vector(g, in, 2, b, t, h, vh + (old + t) * g->d);
            if (in->rotary) {
                int64_t at = in->pos ? ol_tensor_i64(in->pos, b * g->s + t) : old + t;
                if (at < 0 || at >= in->cosines->dims[0]) return ol_fail(err, OLV_ARG, "position %lld", (long long)at);
                rotate(kh + (old + t) * g->d, in->cosines, in->sines, at, in->cosines->dims[1], in->interleaved);
            }
        }
        for (int64_t i = 0; i < g->total * g->d; i++) {
            if (pk) ol_tensor_set(pk, (b * g->kv + h) * pk->dims[2] * g->d + i, kh[i]);
            if (pv) ol_tensor_set(pv, (b * g->kv + h) * pv->dims[2] * g->d + i, vh[i]);
        }
    }
    for (int64_t t = 0; t < g->s; t++)
        for (int64_t h = 0; h < g->heads; h++) {
            int64_t n = h / (g->heads / g->kv);
            load_vector(g, in, 0, b, t, h, q);
            if (in->rotary)
                rotate(q, in->cosines, in->sines, in->pos ? ol_tensor_i64(in->pos, b * g->s + t) : old + t,
                       in->cosines->dims[1], in->interleaved);
            attend(g, q, k + n * g->total * g->d, v + n * g->total * g->d, old + t + 1, b, h, t, score, out);
            for (int64_t i = 0; i < g->d; i++) ol_tensor_set(y, ((b * g->s + t) * g->heads + h) * g->d + i, out[i]);
        }
    return OLV_OK;
}

static olv_status check_gqa(ol_eval *c, gqa *g, gqa_in *in, olv_error *err) {
    OL_TRY(ol_eval_need(c, 0, &in->q, err));
    OL_TRY(ol_eval_need(c, 5, &in->lens, err));
    in->k = ol_eval_in(c, 1);
    in->v = ol_eval_in(c, 2);
    in->past_k = ol_eval_in(c, 3);
    in->past_v = ol_eval_in(c, 4);
    in->cosines = ol_eval_in(c, 7);
    in->sines = ol_eval_in(c, 8);
    in->pos = ol_eval_in(c, 9);
    g->bias = ol_eval_in(c, 10);
    g->sink = ol_eval_in(c, 11);
    const ol_node *n = c->node;
    const ol_tensor *total = ol_eval_in(c, 6);
    in->rotary = ol_node_int(n, "do_rotary", 0) != 0;
    in->interleaved = ol_node_int(n, "rotary_interleaved", 0) != 0;
    g->heads = ol_node_int(n, "num_heads", 0);
    g->kv = ol_node_int(n, "kv_num_heads", 0);
    if (in->q->rank != 3 || g->heads < 1 || g->kv < 1 || g->heads % g->kv || !total || ol_tensor_count(total) != 1)
        return ol_fail(err, OLV_SHAPE, "query, heads or total_sequence_length do not fit");
    g->b = in->q->dims[0];
    g->s = in->q->dims[1];
    int64_t all = in->k ? g->heads : g->heads + 2 * g->kv;
    g->d = in->q->dims[2] / all;
    g->past = in->past_k ? in->past_k->dims[2] : 0;
    g->total = ol_tensor_i64(total, 0);
    int64_t kv_count = g->b * g->s * g->kv * g->d, past_count = g->b * g->kv * g->past * g->d;
    if (in->q->dims[2] % all || g->d < 1 || g->d > 1024 || g->total < g->s || g->total > 1 << 24 ||
        (in->k && (!in->v || ol_tensor_count(in->k) != kv_count || ol_tensor_count(in->v) != kv_count)) ||
        (in->past_k && (!in->past_v || ol_tensor_count(in->past_k) != past_count || ol_tensor_count(in->past_v) != past_count)) ||
        ol_tensor_count(in->lens) < g->b || (in->pos && ol_tensor_count(in->pos) != g->b * g->s) ||
        (g->sink && ol_tensor_count(g->sink) != g->heads) ||
        (g->bias && (g->bias->rank != 4 || g->bias->dims[2] < g->s || g->bias->dims[3] < g->total)))
        return ol_fail(err, OLV_SHAPE, "query, key, value, caches or lengths do not fit");
    for (int i = 12; i < n->n_inputs; i++)
        if (ol_eval_in(c, i)) return ol_fail(err, OLV_UNSUPPORTED, "input %d", i);
    if (!ol_str_is(ol_node_string(n, "k_quant_type", "NONE"), "NONE")) return ol_fail(err, OLV_UNSUPPORTED, "quantized caches");
    if (in->rotary) OL_TRY(check_caches(in->cosines, in->sines, g->d, err));
    g->scale = (double)ol_node_float(n, "scale", 0);
    if (g->scale == 0) g->scale = 1 / sqrt((double)g->d);
    g->cap = (double)ol_node_float(n, "softcap", 0);
    g->window = ol_node_int(n, "local_window_size", -1);
    g->smooth = ol_node_int(n, "smooth_softmax", 0) == 1;
    return OLV_OK;
}

static olv_status eval_gqa(ol_eval *c, olv_error *err) {
    gqa g = {0};
    gqa_in in = {NULL};
    ol_tensor *y, *pk = NULL, *pv = NULL;
    OL_TRY(check_gqa(c, &g, &in, err));
    int64_t length = g.past > g.total ? g.past : g.total;
    OL_TRY(ol_eval_out(c, 0, in.q->dtype, 3, (int64_t[]){g.b, g.s, g.heads * g.d}, &y, err));
    ol_dtype kt = in.past_k ? in.past_k->dtype : in.q->dtype;
    if (c->node->n_outputs > 1) OL_TRY(ol_eval_out(c, 1, kt, 4, (int64_t[]){g.b, g.kv, length, g.d}, &pk, err));
    if (c->node->n_outputs > 2) OL_TRY(ol_eval_out(c, 2, kt, 4, (int64_t[]){g.b, g.kv, length, g.d}, &pv, err));
    size_t n = (size_t)(g.kv * g.total * g.d);
    double *k = ol_calloc(n, sizeof *k), *v = ol_calloc(n, sizeof *v), *score = ol_calloc((size_t)g.total + 1, sizeof *score);
    olv_status s = k && v && score ? OLV_OK : ol_fail(err, OLV_NOMEM, "no memory for a cache");
    for (int64_t b = 0; b < g.b && s == OLV_OK; b++) s = run_batch(&g, &in, b, y, pk, pv, k, v, score, err);
    ol_free(k);
    ol_free(v);
    ol_free(score);
    return s;
}

/* ---- MultiHeadAttention: q, k, v [B, S, heads * d] (k, v also [B, heads, L, d]), no packing ---- */

typedef struct mha {
    const ol_tensor *q, *k, *v, *bias, *mask, *add, *past_k, *past_v;
    int64_t b, s, l, heads, d, dv, past;
    bool k_split; /* [B, heads, L, d] */
} mha;

static double kv_at(const mha *m, bool value, int64_t b, int64_t h, int64_t p, int64_t i) {
    const ol_tensor *past = value ? m->past_v : m->past_k, *x = value ? m->v : m->k;
    int64_t d = value ? m->dv : m->d, width = m->heads * d;
    if (p < m->past) return ol_tensor_get(past, ((b * m->heads + h) * m->past + p) * d + i);
    p -= m->past;
    if (m->k_split) return ol_tensor_get(x, ((b * m->heads + h) * m->l + p) * d + i);
    double v = ol_tensor_get(x, (b * m->l + p) * width + h * d + i);
    int64_t at = value ? 2 * m->heads * m->d + h * d + i : m->heads * m->d + h * d + i;
    return m->bias ? v + ol_tensor_get(m->bias, at) : v;
}

static double mask_at(const mha *m, int64_t b, int64_t h, int64_t t, int64_t p, int64_t total, double filter) {
    double r = 0;
    if (m->add) {
        const int64_t *d = m->add->dims;
        r += ol_tensor_get(m->add, (((d[0] == 1 ? 0 : b) * d[1] + (d[1] == 1 ? 0 : h)) * d[2] + t) * d[3] + p);
    }
    if (!m->mask) return r;
    int64_t keep;
    if (m->mask->rank == 1) keep = p < ol_tensor_i64(m->mask, b);
    else if (m->mask->rank == 2) keep = ol_tensor_i64(m->mask, b * total + p);
    else keep = ol_tensor_i64(m->mask, (b * m->s + t) * total + p);
    return keep ? r : r + filter;
}

static olv_status check_mha(ol_eval *c, mha *m, olv_error *err) {
    OL_TRY(ol_eval_need(c, 0, &m->q, err));
    m->k = ol_eval_in(c, 1);
    m->v = ol_eval_in(c, 2);
    m->bias = ol_eval_in(c, 3);
    m->mask = ol_eval_in(c, 4);
    m->add = ol_eval_in(c, 5);
    m->past_k = ol_eval_in(c, 6);
    m->past_v = ol_eval_in(c, 7);
    m->heads = ol_node_int(c->node, "num_heads", 0);
    if (m->q->rank != 3 || !m->k || !m->v) return ol_fail(err, OLV_UNSUPPORTED, "packed query, key and value");
    m->k_split = m->k->rank == 4;
    m->b = m->q->dims[0];
    m->s = m->q->dims[1];
    if (m->heads < 1 || m->q->dims[2] % m->heads || (m->k->rank != 3 && !m->k_split) || m->v->rank != m->k->rank)
        return ol_fail(err, OLV_SHAPE, "query, key and heads do not fit");
    m->d = m->q->dims[2] / m->heads;
    m->l = m->k_split ? m->k->dims[2] : m->k->dims[1];
    m->dv = m->k_split ? m->v->dims[3] : m->v->dims[2] / m->heads;
    m->past = m->past_k ? m->past_k->dims[2] : 0;
    int64_t total = m->past + m->l, hd = m->heads * m->d, nm = m->mask ? ol_tensor_count(m->mask) : 0;
    bool mask_ok = !m->mask || (m->mask->rank == 1 && nm == m->b) || (m->mask->rank == 2 && nm == m->b * total) ||
                   (m->mask->rank == 3 && nm == m->b * m->s * total);
    if (ol_tensor_count(m->k) != m->b * m->l * hd || ol_tensor_count(m->v) != m->b * m->l * m->heads * m->dv || !mask_ok ||
        (m->bias && ol_tensor_count(m->bias) != 2 * hd + m->heads * m->dv) ||
        (m->add && (m->add->rank != 4 || m->add->dims[2] != m->s || m->add->dims[3] != total)) ||
        (m->past_k && (!m->past_v || ol_tensor_count(m->past_k) != m->b * m->past * hd ||
                       ol_tensor_count(m->past_v) != m->b * m->past * m->heads * m->dv)))
        return ol_fail(err, OLV_SHAPE, "query, key, value, mask or caches do not fit");
    return OLV_OK;
}

static void mha_head(const mha *m, const ol_node *n, int64_t b, int64_t h, double *score, ol_tensor *y) {
    int64_t total = m->past + m->l;
    double scale = (double)ol_node_float(n, "scale", 0), filter = (double)ol_node_float(n, "mask_filter_value", -10000);
    bool causal = ol_node_int(n, "unidirectional", 0) != 0;
    if (scale == 0) scale = 1 / sqrt((double)m->d);
    for (int64_t t = 0; t < m->s; t++) {
        double max = -INFINITY, sum = 0;
        for (int64_t p = 0; p < total; p++) {
            double s = 0;
            for (int64_t i = 0; i < m->d; i++) {
                double q = ol_tensor_get(m->q, ((b * m->s + t) * m->heads + h) * m->d + i);
                if (m->bias) q += ol_tensor_get(m->bias, h * m->d + i);
                s += q * kv_at(m, false, b, h, p, i);
            }
            score[p] = causal && p > total - m->s + t ? -INFINITY : s * scale + mask_at(m, b, h, t, p, total, filter);
            max = fmax(max, score[p]);
        }
        for (int64_t p = 0; p < total; p++) sum += score[p] = max == -INFINITY ? 0 : exp(score[p] - max);
        for (int64_t i = 0; i < m->dv; i++) {
            double o = 0;
            for (int64_t p = 0; p < total; p++) o += score[p] * kv_at(m, true, b, h, p, i);
            ol_tensor_set(y, ((b * m->s + t) * m->heads + h) * m->dv + i, sum > 0 ? o / sum : 0);
        }
    }
}

static olv_status eval_mha(ol_eval *c, olv_error *err) {
    mha m = {NULL};
    ol_tensor *y;
    OL_TRY(check_mha(c, &m, err));
    int64_t total = m.past + m.l;
    OL_TRY(ol_eval_out(c, 0, m.q->dtype, 3, (int64_t[]){m.b, m.s, m.heads * m.dv}, &y, err));
    for (int part = 0; part < 2 && c->node->n_outputs > part + 1; part++) {
        ol_tensor *p;
        int64_t d = part ? m.dv : m.d;
        OL_TRY(ol_eval_out(c, part + 1, m.q->dtype, 4, (int64_t[]){m.b, m.heads, total, d}, &p, err));
        for (int64_t i = 0, n = ol_tensor_count(p); i < n; i++)
            ol_tensor_set(p, i, kv_at(&m, part, i / (d * total * m.heads), i / (d * total) % m.heads, i / d % total, i % d));
    }
    double *score = ol_calloc((size_t)total + 1, sizeof *score);
    if (!score) return ol_fail(err, OLV_NOMEM, "no memory for scores");
    for (int64_t b = 0; b < m.b; b++)
        for (int64_t h = 0; h < m.heads; h++) mha_head(&m, c->node, b, h, score, y);
    ol_free(score);
    return OLV_OK;
}

static olv_status infer_mha(ol_infer *c, olv_error *err) {
    const ol_type *q = ol_infer_in(c, 0), *k = ol_infer_in(c, 1), *v = ol_infer_in(c, 2);
    int64_t heads = ol_node_int(c->node, "num_heads", 0);
    if (heads < 1) return ol_fail(err, OLV_SHAPE, "%lld heads", (long long)heads);
    c->out[0] = *q;
    if (q->rank == 3 && v && v->rank == 3) c->out[0].dims[2] = v->dims[2];
    for (int i = 1; i < c->node->n_outputs && i < 3; i++) {
        ol_infer_set(c, i, q->dtype, 4);
        if (q->rank == 3) c->out[i].dims[0] = q->dims[0];
        c->out[i].dims[1] = heads;
        if (k && k->rank == 3 && ol_dim_known(k->dims[2])) c->out[i].dims[3] = k->dims[2] / heads;
    }
    return OLV_OK;
}

static const ol_attr_spec rotary_attrs[] = {{"interleaved", OL_ATTR_INT, false}, {"num_heads", OL_ATTR_INT, false},
    {"rotary_embedding_dim", OL_ATTR_INT, false}, {"is_packed_batching", OL_ATTR_INT, false}};
static const ol_attr_spec gqa_attrs[] = {{"num_heads", OL_ATTR_INT, true}, {"kv_num_heads", OL_ATTR_INT, true},
    {"scale", OL_ATTR_FLOAT, false}, {"softcap", OL_ATTR_FLOAT, false}, {"do_rotary", OL_ATTR_INT, false},
    {"rotary_interleaved", OL_ATTR_INT, false}, {"local_window_size", OL_ATTR_INT, false},
    {"smooth_softmax", OL_ATTR_INT, false}, {"qk_output", OL_ATTR_INT, false}, {"qk_norm_epsilon", OL_ATTR_FLOAT, false},
    {"kv_cache_bit_width", OL_ATTR_INT, false}, {"sliding_window_cache", OL_ATTR_INT, false},
    {"k_quant_type", OL_ATTR_STRING, false}, {"v_quant_type", OL_ATTR_STRING, false}};
static const ol_attr_spec mha_attrs[] = {{"num_heads", OL_ATTR_INT, true}, {"scale", OL_ATTR_FLOAT, false},
    {"mask_filter_value", OL_ATTR_FLOAT, false}, {"unidirectional", OL_ATTR_INT, false}};
extern const ol_op ol_op_microsoft_RotaryEmbedding, ol_op_microsoft_GroupQueryAttention, ol_op_microsoft_MultiHeadAttention;
const ol_op ol_op_microsoft_RotaryEmbedding = {"com.microsoft", "RotaryEmbedding", "rotation by cached angles", 4, 4, 1, 1,
    rotary_attrs, 4, ol_infer_same, eval_rotary, NULL, false, false};
const ol_op ol_op_microsoft_GroupQueryAttention = {"com.microsoft", "GroupQueryAttention",
    "causal attention over caches, groups of heads share keys", 1, 16, 1, 4, gqa_attrs, 14, infer_gqa, eval_gqa, NULL, false, false};
const ol_op ol_op_microsoft_MultiHeadAttention = {"com.microsoft", "MultiHeadAttention", "attention with masks and caches", 1, 10,
    1, 4, mha_attrs, 4, infer_mha, eval_mha, NULL, false, false};
