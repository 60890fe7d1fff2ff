/* SPDX-License-Identifier: Apache-2.0 */
/* olivine.Attention over flat rows: k and v of each row are appended to the state of its sequence, then
 *     y(row, head) = sum over positions p of softmax(cap(scale q.k_p) + alibi slope (p - position)) v_p,
 * p up to the row's own position (causal) and within the window, which without `causal` reaches as far to the other side:
 * |p - position| < window. `relative` [heads, 2 D + 1] adds an entry chosen by p - position, clamped to [-D, D]. Without
 * `state` only this run's rows are seen. */
#include "ops/ops.h"

typedef struct attend {
    const ol_tensor *q, *sinks, *alibi, *relative;
    int64_t heads, kv_heads, dk, dv, window, span;
    double scale, cap;
    bool causal;
} attend;

static olv_status infer(ol_infer *c, olv_error *err) {
    const ol_type *q = ol_infer_in(c, 0), *v = ol_infer_in(c, 2);
    int64_t heads = ol_node_int(c->node, "heads", 0), kv = ol_node_int(c->node, "kv_heads", heads);
    for (int i = 0; i < 3; i++) OL_TRY(ol_infer_rank(c, i, 2, 2, err));
    if (heads < 1 || kv < 1 || heads % kv)
        return ol_fail(err, OLV_SHAPE, "%lld heads and %lld kv heads found", (long long)heads, (long long)kv);
    ol_infer_set(c, 0, q->dtype, 2);
    if (q->rank == 2) c->out[0].dims[0] = q->dims[0];
    if (v->rank == 2 && ol_dim_known(v->dims[1])) c->out[0].dims[1] = v->dims[1] / kv * heads;
    return OLV_OK;
}

/* One row: `kv` gives the keys and values of a position, NULL where there are none. */
typedef const float *(*kv_fn)(void *ctx, int64_t position);

static olv_status attend_row(const attend *a, int64_t row, int64_t pos, int64_t last, kv_fn kv, void *ctx, ol_tensor *y,
                             olv_error *err) {
    int64_t first = a->window > 0 && pos - a->window + 1 > 0 ? pos - a->window + 1 : 0;
    if (a->causal) last = pos;
    else if (a->window > 0 && pos + a->window - 1 < last) last = pos + a->window - 1;
    double *score = ol_alloc((size_t)(last - first + 2) * sizeof *score);
    if (!score) return ol_fail(err, OLV_NOMEM, "no memory for scores");
    for (int64_t h = 0; h < a->heads; h++) {
        int64_t g = h / (a->heads / a->kv_heads);
        double max = a->sinks ? ol_tensor_get(a->sinks, h) : -INFINITY, sum = 0;
        for (int64_t p = first; p <= last; p++) {
            const float *k = kv(ctx, p);
            double s = 0;
            for (int64_t i = 0; k && i < a->dk; i++)
                s += ol_tensor_get(a->q, (row * a->heads + h) * a->dk + i) * (double)k[g * a->dk + i];
            s *= a->scale;
            if (a->cap > 0) s = a->cap * tanh(s / a->cap);
            if (a->alibi) s += ol_tensor_get(a->alibi, h) * (double)(p - pos);
            int64_t far = p - pos < -a->span ? -a->span : p - pos > a->span ? a->span : p - pos;
            if (a->relative) s += ol_tensor_get(a->relative, h * (2 * a->span + 1) + a->span + far);
            score[p - first] = k ? s : -INFINITY;
            max = fmax(max, score[p - first]);
        }
        if (a->sinks) sum = exp(ol_tensor_get(a->sinks, h) - max);
        for (int64_t p = first; p <= last; p++)
            sum += score[p - first] = max == -INFINITY ? 0 : exp(score[p - first] - max);
        for (int64_t i = 0; i < a->dv; i++) {
            double out = 0;
            for (int64_t p = first; p <= last; p++) {
                const float *k = kv(ctx, p);
                if (k) out += score[p - first] * (double)k[a->kv_heads * a->dk + g * a->dv + i];
            }
            ol_tensor_set(y, (row * a->heads + h) * a->dv + i, sum > 0 ? out / sum : 0);
        }
    }
    ol_free(score);
    return OLV_OK;
}

typedef struct stored {
    const ol_state_access *access;
    int64_t state, width;
    int32_t sequence;
} stored;

static const float *stored_kv(void *ctx, int64_t position) {
    const stored *s = ctx;
    return s->access->slot(s->access->ctx, s->state, s->sequence, position, s->width, false);
}

/* The rows of this run as [k | v] vectors, for attention without state. */
typedef struct local {
    const float *kv;
    const ol_state_access *access; /* NULL: row t is position t of one sequence */
    int64_t rows, width;
    int32_t sequence;
} local;

static const float *local_kv(void *ctx, int64_t position) {
    const local *l = ctx;
    if (!l->access) return position < l->rows ? l->kv + position * l->width : NULL;
    for (int64_t r = 0; r < l->rows; r++)
        if (l->access->sequence[r] == l->sequence && l->access->position[r] == position) return l->kv + r * l->width;
    return NULL;
}

static void copy_row(const attend *a, const ol_tensor *k, const ol_tensor *v, int64_t r, float *to) {
    int64_t nk = a->kv_heads * a->dk, nv = a->kv_heads * a->dv;
    for (int64_t i = 0; i < nk; i++) to[i] = (float)ol_tensor_get(k, r * nk + i);
    for (int64_t i = 0; i < nv; i++) to[nk + i] = (float)ol_tensor_get(v, r * nv + i);
}

static olv_status eval_stored(ol_eval *c, const attend *a, const ol_tensor *k, const ol_tensor *v, ol_tensor *y,
                              olv_error *err) {
    const ol_state_access *s = c->state;
    stored st = {s, ol_node_int(c->node, "state", 0), a->kv_heads * (a->dk + a->dv), 0};
    for (int64_t r = 0; r < k->dims[0]; r++) {
        float *slot = s->slot(s->ctx, st.state, s->sequence[r], s->position[r], st.width, true);
        if (!slot) return ol_fail(err, OLV_NOMEM, "no room for position %lld", (long long)s->position[r]);
        copy_row(a, k, v, r, slot);
    }
    for (int64_t r = 0; r < k->dims[0]; r++) {
        st.sequence = s->sequence[r];
        OL_TRY(attend_row(a, r, s->position[r], s->length[r] - 1, stored_kv, &st, y, err));
    }
    return OLV_OK;
}

static olv_status eval_local(ol_eval *c, const attend *a, const ol_tensor *k, const ol_tensor *v, ol_tensor *y,
                             olv_error *err) {
    local l = {NULL, c->state, k->dims[0], a->kv_heads * (a->dk + a->dv), 0};
    float *kv = ol_calloc((size_t)l.rows, (size_t)l.width * sizeof *kv);
    if (!kv) return ol_fail(err, OLV_NOMEM, "no memory for keys and values");
    for (int64_t r = 0; r < l.rows; r++) copy_row(a, k, v, r, kv + r * l.width);
    l.kv = kv;
    olv_status st = OLV_OK;
    for (int64_t r = 0; r < l.rows && st == OLV_OK; r++) {
        l.sequence = c->state ? c->state->sequence[r] : 0;
        st = attend_row(a, r, c->state ? c->state->position[r] : r, c->state ? c->state->length[r] - 1 : l.rows - 1,
                        local_kv, &l, y, err);
    }
    ol_free(kv);
    return st;
}

static olv_status eval(ol_eval *c, olv_error *err) {
    const ol_tensor *k, *v;
    ol_tensor *y;
    attend a = {.sinks = ol_eval_in(c, 3), .alibi = ol_eval_in(c, 4), .relative = ol_eval_in(c, 5)};
    OL_TRY(ol_eval_need(c, 0, &a.q, err));
    OL_TRY(ol_eval_need(c, 1, &k, err));
    OL_TRY(ol_eval_need(c, 2, &v, err));
    a.heads = ol_node_int(c->node, "heads", 0);
    a.kv_heads = ol_node_int(c->node, "kv_heads", a.heads);
    bool fits = a.heads > 0 && a.kv_heads > 0 && a.heads % a.kv_heads == 0 && a.q->rank == 2 && k->rank == 2 &&
                v->rank == 2 && a.q->dims[0] == k->dims[0] && v->dims[0] == k->dims[0] &&
                a.q->dims[1] % a.heads == 0 && k->dims[1] % a.kv_heads == 0 && v->dims[1] % a.kv_heads == 0 &&
                a.q->dims[1] / a.heads == k->dims[1] / a.kv_heads &&
                (!a.relative || (a.relative->rank == 2 && a.relative->dims[0] == a.heads && a.relative->dims[1] % 2 == 1)) &&
                (!a.sinks || ol_tensor_count(a.sinks) == a.heads) && (!a.alibi || ol_tensor_count(a.alibi) == a.heads);
    if (!fits) return ol_fail(err, OLV_SHAPE, "q, k, v and heads do not fit");
    if (c->state && c->state->n_rows != k->dims[0])
        return ol_fail(err, OLV_ARG, "%lld rows found, the run has %lld", (long long)k->dims[0],
                       (long long)c->state->n_rows);
    a.dk = k->dims[1] / a.kv_heads;
    a.dv = v->dims[1] / a.kv_heads;
    a.scale = (double)ol_node_float(c->node, "scale", (float)(1 / sqrt((double)a.dk)));
    a.cap = (double)ol_node_float(c->node, "softcap", 0);
    a.window = ol_node_int(c->node, "window", 0);
    a.span = a.relative ? a.relative->dims[1] / 2 : 0;
    a.causal = ol_node_int(c->node, "causal", 1) != 0;
    OL_TRY(ol_eval_out(c, 0, a.q->dtype, 2, (int64_t[]){a.q->dims[0], a.heads * a.dv}, &y, err));
    return c->state && ol_node_attr(c->node, "state") ? eval_stored(c, &a, k, v, y, err) : eval_local(c, &a, k, v, y, err);
}

static const ol_attr_spec attrs[] = {{"heads", OL_ATTR_INT, true},     {"kv_heads", OL_ATTR_INT, false},
                                     {"scale", OL_ATTR_FLOAT, false},  {"softcap", OL_ATTR_FLOAT, false},
                                     {"window", OL_ATTR_INT, false},   {"state", OL_ATTR_INT, false},
                                     {"causal", OL_ATTR_INT, false}};
extern const ol_op ol_op_olivine_Attention;
const ol_op ol_op_olivine_Attention = {"olivine", "Attention", "attention over the state of each row's sequence", 3, 6, 1,
                                       1, attrs, 7, infer, eval, NULL, false, false};
