/* SPDX-License-Identifier: Apache-2.0 */
/* Attention of the default domain (opset 23 and 24): q, k, v of rank 4 [B, heads, S, d] or rank 3 [B, S, heads * d], grouped
 * heads, caches, masks, soft cap, and the scores as a fourth output in one of four stages. */
#include "ops/ops.h"

typedef struct attention {
    const ol_tensor *q, *k, *v, *mask, *past_k, *past_v, *lens;
    int64_t b, s, l, past, heads, kv, d, dv;
    bool causal;
    double scale, cap;
    int64_t mode;
} attention;

static int64_t rank3_or_4(const ol_tensor *x, int64_t heads, int which) { /* 0 B, 1 heads, 2 S, 3 d */
    if (x->rank == 4) return x->dims[which];
    return which == 0 ? x->dims[0] : which == 1 ? heads : which == 2 ? x->dims[1] : heads > 0 ? x->dims[2] / heads : 0;
}

static double at(const ol_tensor *x, int64_t heads, int64_t b, int64_t h, int64_t s, int64_t i, int64_t len, int64_t d) {
    return ol_tensor_get(x, x->rank == 4 ? ((b * heads + h) * len + s) * d + i : ((b * len + s) * heads + h) * d + i);
}

static double key(const attention *a, bool value, int64_t b, int64_t h, int64_t p, int64_t i) {
    int64_t d = value ? a->dv : a->d;
    if (p < a->past) return ol_tensor_get(value ? a->past_v : a->past_k, ((b * a->kv + h) * a->past + p) * d + i);
    return at(value ? a->v : a->k, a->kv, b, h, p - a->past, i, a->l, d);
}

static olv_status init(ol_eval *c, attention *a, olv_error *err) {
    OL_TRY(ol_eval_need(c, 0, &a->q, err));
    OL_TRY(ol_eval_need(c, 1, &a->k, err));
    OL_TRY(ol_eval_need(c, 2, &a->v, err));
    a->mask = ol_eval_in(c, 3);
    a->past_k = ol_eval_in(c, 4);
    a->past_v = ol_eval_in(c, 5);
    a->lens = ol_eval_in(c, 6);
    if ((a->q->rank != 3 && a->q->rank != 4) || a->k->rank != a->q->rank || a->v->rank != a->q->rank) return ol_fail(err, OLV_SHAPE, "ranks of q, k, v");
    a->heads = rank3_or_4(a->q, ol_node_int(c->node, "q_num_heads", 0), 1);
    a->kv = rank3_or_4(a->k, ol_node_int(c->node, "kv_num_heads", 0), 1);
    a->b = a->q->dims[0];
    a->s = rank3_or_4(a->q, a->heads, 2);
    a->l = rank3_or_4(a->k, a->kv, 2);
    a->d = rank3_or_4(a->q, a->heads, 3);
    a->dv = rank3_or_4(a->v, a->kv, 3);
    a->past = a->past_k ? a->past_k->dims[2] : 0;
    bool fits = a->heads > 0 && a->kv > 0 && a->heads % a->kv == 0 && a->k->dims[0] == a->b && a->v->dims[0] == a->b &&
                rank3_or_4(a->v, a->kv, 2) == a->l && rank3_or_4(a->k, a->kv, 3) == a->d && !a->past_k == !a->past_v &&
                (!a->past_k || (ol_tensor_count(a->past_k) == a->b * a->kv * a->past * a->d && ol_tensor_count(a->past_v) == a->b * a->kv * a->past * a->dv)) &&
                (!a->lens || ol_tensor_count(a->lens) == a->b) && (!a->mask || (a->mask->rank >= 2 && a->mask->rank <= 4));
    if (!fits) return ol_fail(err, OLV_SHAPE, "q, k, v, heads or caches do not fit");
    a->causal = ol_node_int(c->node, "is_causal", 0) != 0;
    a->scale = (double)ol_node_float(c->node, "scale", 0);
    if (!ol_node_attr(c->node, "scale")) a->scale = 1 / sqrt((double)a->d);
    a->cap = (double)ol_node_float(c->node, "softcap", 0);
    a->mode = ol_node_int(c->node, "qk_matmul_output_mode", 0);
    return OLV_OK;
}

/* What the masks add to a score: -inf hides it. A mask shorter than the keys hides those behind its end. */
static double bias(const attention *a, int64_t b, int64_t h, int64_t t, int64_t p) {
    double r = 0;
    int64_t offset = a->past; /* of the queries in the sequence */
    if (a->lens) {
        int64_t n = ol_tensor_i64(a->lens, b);
        if (p >= n) return -INFINITY;
        offset = n - a->s;
    }
    if (a->causal && p > t + offset) return -INFINITY;
    const ol_tensor *m = a->mask;
    if (!m) return 0;
    const int64_t *d = m->dims;
    int k = m->rank;
    if (p >= d[k - 1] && d[k - 1] != 1) return -INFINITY;
    int64_t i = k == 4 ? (d[0] == 1 ? 0 : b) : 0;
    if (k >= 3) i = i * d[k - 3] + (d[k - 3] == 1 ? 0 : h);
    i = (i * d[k - 2] + (d[k - 2] == 1 ? 0 : t)) * d[k - 1] + (d[k - 1] == 1 ? 0 : p);
    if (m->dtype == OL_BOOL) return ol_tensor_i64(m, i) ? 0 : -INFINITY;
    return r + ol_tensor_get(m, i);
}

static olv_status check_mask(const attention *a, olv_error *err) {
    if (!a->mask) return OLV_OK;
    const int64_t *d = a->mask->dims;
    int k = a->mask->rank;
    bool fits = (d[k - 2] == 1 || d[k - 2] == a->s) && d[k - 1] <= a->past + a->l && (k < 3 || d[k - 3] == 1 || d[k - 3] == a->heads) && (k < 4 || d[0] == 1 || d[0] == a->b);
    return fits ? OLV_OK : ol_fail(err, OLV_SHAPE, "mask does not fit");
}

static void one_row(const attention *a, int64_t b, int64_t h, int64_t t, double *score, ol_tensor *y, ol_tensor *qk) {
    int64_t total = a->past + a->l, g = h / (a->heads / a->kv), row = ((b * a->heads + h) * a->s + t) * total;
    double max = -INFINITY, sum = 0;
    for (int64_t p = 0; p < total; p++) {
        double s = 0;
        for (int64_t i = 0; i < a->d; i++) s += at(a->q, a->heads, b, h, t, i, a->s, a->d) * key(a, false, b, g, p, i);
        s *= a->scale;
        double m = bias(a, b, h, t, p);
        if (qk && a->mode == 0) ol_tensor_set(qk, row + p, s);
        if (a->cap > 0) s = a->cap * tanh(s / a->cap);
        if (qk && a->mode == 1) ol_tensor_set(qk, row + p, s);
        s += m;
        if (qk && a->mode == 2) ol_tensor_set(qk, row + p, s);
        score[p] = s;
        max = fmax(max, s);
    }
    for (int64_t p = 0; p < total; p++) sum += score[p] = max == -INFINITY ? 0 : exp(score[p] - max);
    for (int64_t p = 0; p < total; p++) {
        score[p] = sum > 0 ? score[p] / sum : 0;
        if (qk && a->mode == 3) ol_tensor_set(qk, row + p, score[p]);
    }
    for (int64_t i = 0; i < a->dv; i++) {
        double o = 0;
        for (int64_t p = 0; p < total; p++)
            if (score[p] != 0) o += score[p] * key(a, true, b, g, p, i);
        ol_tensor_set(y, a->q->rank == 4 ? ((b * a->heads + h) * a->s + t) * a->dv + i : ((b * a->s + t) * a->heads + h) * a->dv + i, o);
    }
}

static olv_status eval(ol_eval *c, olv_error *err) {
    attention a;
    ol_tensor *y, *present, *qk = NULL;
    OL_TRY(init(c, &a, err));
    OL_TRY(check_mask(&a, err));
    int64_t total = a.past + a.l;
    if (a.q->rank == 4) OL_TRY(ol_eval_out(c, 0, a.q->dtype, 4, (int64_t[]){a.b, a.heads, a.s, a.dv}, &y, err));
    else OL_TRY(ol_eval_out(c, 0, a.q->dtype, 3, (int64_t[]){a.b, a.s, a.heads * a.dv}, &y, err));
    for (int part = 0; part < 2; part++) {
        if (c->node->n_outputs < part + 2 || !c->node->outputs[part + 1]) continue;
        int64_t d = part ? a.dv : a.d;
        OL_TRY(ol_eval_out(c, part + 1, a.k->dtype, 4, (int64_t[]){a.b, a.kv, total, d}, &present, err));
        for (int64_t i = 0, n = ol_tensor_count(present); i < n; i++)
            ol_tensor_set(present, i, key(&a, part, i / (a.kv * total * d), i / (total * d) % a.kv, i / d % total, i % d));
    }
    if (c->node->n_outputs > 3) OL_TRY(ol_eval_out(c, 3, a.q->dtype, 4, (int64_t[]){a.b, a.heads, a.s, total}, &qk, err));
    double *score = ol_calloc((size_t)total + 1, sizeof *score);
    if (!score) return ol_fail(err, OLV_NOMEM, "no memory");
    for (int64_t b = 0; b < a.b; b++)
        for (int64_t h = 0; h < a.heads; h++)
            for (int64_t t = 0; t < a.s; t++) one_row(&a, b, h, t, score, y, qk);
    ol_free(score);
    return OLV_OK;
}

static olv_status infer(ol_infer *c, olv_error *err) {
    const ol_type *q = ol_infer_in(c, 0), *k = ol_infer_in(c, 1), *v = ol_infer_in(c, 2), *past = ol_infer_in(c, 4);
    int64_t heads = ol_node_int(c->node, "q_num_heads", 0), kv = ol_node_int(c->node, "kv_num_heads", 0);
    ol_dim_table *t = c->graph->dims;
    OL_TRY(ol_infer_rank(c, 0, 3, 4, err));
    c->out[0] = *q;
    for (int i = 1; i < c->node->n_outputs; i++) ol_infer_set(c, i, i < 3 ? k->dtype : q->dtype, 4);
    if (q->rank < 0 || k->rank != q->rank || v->rank != q->rank) return OLV_OK;
    bool flat = q->rank == 3;
    if (flat && (heads < 1 || kv < 1)) return ol_fail(err, OLV_SHAPE, "rank 3 without q_num_heads and kv_num_heads");
    ol_dim dk = flat ? ol_dim_div_floor(t, k->dims[2], kv) : k->dims[3], dv = flat ? ol_dim_div_floor(t, v->dims[2], kv) : v->dims[3];
    ol_dim len = k->dims[flat ? 1 : 2], total = past && past->rank == 4 ? ol_dim_add(t, past->dims[2], len) : len;
    if (flat && dv != OL_DIM_NONE) c->out[0].dims[2] = ol_dim_mul(t, dv, heads);
    if (!flat) c->out[0].dims[3] = dv;
    for (int i = 1; i < c->node->n_outputs; i++) {
        ol_type *o = &c->out[i];
        ol_dim all[4] = {q->dims[0], i < 3 ? (flat ? kv : k->dims[1]) : flat ? heads : q->dims[1], i < 3 ? total : q->dims[flat ? 1 : 2], i == 1 ? dk : i == 2 ? dv : total};
        for (int d = 0; d < 4; d++)
            if (all[d] != OL_DIM_NONE) o->dims[d] = all[d];
    }
    return OLV_OK;
}

/* ---- RotaryEmbedding (23) ---- */

static olv_status eval_rotary(ol_eval *c, olv_error *err) {
    const ol_tensor *x, *cosines, *sines, *pos = ol_eval_in(c, 3);
    ol_tensor *y;
    OL_TRY(ol_eval_need(c, 0, &x, err));
    OL_TRY(ol_eval_need(c, 1, &cosines, err));
    OL_TRY(ol_eval_need(c, 2, &sines, err));
    int64_t heads = x->rank == 4 ? x->dims[1] : ol_node_int(c->node, "num_heads", 0);
    if ((x->rank != 3 && x->rank != 4) || heads < 1 || (x->rank == 3 && x->dims[2] % heads)) return ol_fail(err, OLV_SHAPE, "input and heads do not fit");
    int64_t s = x->dims[x->rank - 2], d = x->rank == 4 ? x->dims[3] : x->dims[2] / heads, rot = ol_node_int(c->node, "rotary_embedding_dim", 0);
    if (rot <= 0) rot = d;
    int64_t half = rot / 2, rows = pos ? cosines->dims[0] : x->dims[0] * s;
    if (rot > d || ol_tensor_count(cosines) != rows * half || ol_tensor_count(sines) != rows * half || (pos && ol_tensor_count(pos) != x->dims[0] * s)) return ol_fail(err, OLV_SHAPE, "caches do not fit");
    bool interleaved = ol_node_int(c->node, "interleaved", 0) != 0;
    OL_TRY(ol_eval_out(c, 0, x->dtype, x->rank, x->dims, &y, err));
    ol_elems_copy(y, 0, x, 0, ol_tensor_count(x));
    for (int64_t n = 0; n < x->dims[0] * s * heads; n++) {
        int64_t b = n / (s * heads), t = x->rank == 4 ? n % s : n / heads % s, r = pos ? ol_tensor_i64(pos, b * s + t) : b * s + t;
        if (r < 0 || r >= rows) return ol_fail(err, OLV_ARG, "position %lld", (long long)r);
        for (int64_t i = 0; i < half; i++) {
            int64_t p = n * d + (interleaved ? 2 * i : i), q = n * d + (interleaved ? 2 * i + 1 : i + half);
            double cs = ol_tensor_get(cosines, r * half + i), sn = ol_tensor_get(sines, r * half + i), u = ol_tensor_get(x, p), v = ol_tensor_get(x, q);
            ol_tensor_set(y, p, u * cs - v * sn);
            ol_tensor_set(y, q, v * cs + u * sn);
        }
    }
    return OLV_OK;
}

static const ol_attr_spec attrs[] = {{"is_causal", OL_ATTR_INT, false}, {"kv_num_heads", OL_ATTR_INT, false}, {"q_num_heads", OL_ATTR_INT, false},
    {"qk_matmul_output_mode", OL_ATTR_INT, false}, {"scale", OL_ATTR_FLOAT, false}, {"softcap", OL_ATTR_FLOAT, false}, {"softmax_precision", OL_ATTR_INT, false}};
static const ol_attr_spec rotary_attrs[] = {{"interleaved", OL_ATTR_INT, false}, {"num_heads", OL_ATTR_INT, false}, {"rotary_embedding_dim", OL_ATTR_INT, false}};
extern const ol_op ol_op_Attention, ol_op_RotaryEmbedding;
const ol_op ol_op_Attention = {"", "Attention", "scaled dot product attention with masks and caches", 3, 7, 1, 4, attrs, 7, infer, eval, NULL, false, false};
const ol_op ol_op_RotaryEmbedding = {"", "RotaryEmbedding", "rotation by cached angles", 3, 4, 1, 1, rotary_attrs, 3, ol_infer_same, eval_rotary, NULL, false, false};
