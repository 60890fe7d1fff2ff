/* SPDX-License-Identifier: Apache-2.0 */
/* LinearAttention (opset 27): attention by a state S [d_k, d_v] per key/value head instead of a
 * cache. Each step t decays the state, corrects the value by what the state holds already, writes
 * and reads:
 *
 *     S := exp(g_t) S                     (gated rules; g per head, or per row of S)
 *     u := beta_t (v_t - S^T k_t)         (delta rules; u := v_t otherwise)
 *     S := S + k_t u^T,   o_t = scale S^T q_t
 *
 * Inputs are packed [B, T, heads * d]; query heads share the states of their group. */
#include "ops/ops.h"

typedef struct linear_attention {
    const ol_tensor *q, *k, *v, *past, *decay, *beta;
    int64_t b, t, heads, kv, dk, dv;
    bool gated, delta;
    double scale;
} linear_attention;

static bool packed(const ol_tensor *x, int64_t b, int64_t t, int64_t width) {
    return x->rank == 3 && x->dims[0] == b && x->dims[1] == t && x->dims[2] == width;
}

static olv_status read_rule(const ol_eval *c, linear_attention *a, olv_error *err) {
    ol_str rule = ol_node_string(c->node, "update_rule", "gated_delta");
    bool linear = ol_str_is(rule, "linear");
    a->gated = ol_str_is(rule, "gated") || ol_str_is(rule, "gated_delta");
    a->delta = ol_str_is(rule, "delta") || ol_str_is(rule, "gated_delta");
    if (!linear && !a->gated && !a->delta)
        return ol_fail(err, OLV_ARG,
                       "update_rule '%.*s' found, linear, gated, delta or gated_delta expected",
                       (int)(rule.len > 40 ? 40 : rule.len), rule.ptr);
    if (a->gated != (a->decay != NULL) || a->delta != (a->beta != NULL))
        return ol_fail(err, OLV_ARG, "decay and beta do not fit update_rule '%.*s'", (int)rule.len,
                       rule.ptr);
    return OLV_OK;
}

static olv_status init(ol_eval *c, linear_attention *a, olv_error *err) {
    OL_TRY(ol_eval_need(c, 0, &a->q, err));
    OL_TRY(ol_eval_need(c, 1, &a->k, err));
    OL_TRY(ol_eval_need(c, 2, &a->v, err));
    a->past = ol_eval_in(c, 3);
    a->decay = ol_eval_in(c, 4);
    a->beta = ol_eval_in(c, 5);
    a->heads = ol_node_int(c->node, "q_num_heads", 0);
    a->kv = ol_node_int(c->node, "kv_num_heads", 0);
    OL_TRY(read_rule(c, a, err));
    if (a->heads < 1 || a->kv < 1 || a->heads % a->kv || a->q->rank != 3 || a->v->rank != 3)
        return ol_fail(err, OLV_SHAPE, "%lld query heads over %lld key heads",
                       (long long)a->heads, (long long)a->kv);
    a->b = a->q->dims[0];
    a->t = a->q->dims[1];
    a->dk = a->q->dims[2] / a->heads;
    a->dv = a->v->dims[2] / a->kv;
    const int64_t state[4] = {a->b, a->kv, a->dk, a->dv};
    bool fits = a->q->dims[2] == a->heads * a->dk && packed(a->v, a->b, a->t, a->kv * a->dv) &&
                packed(a->k, a->b, a->t, a->kv * a->dk) &&
                (!a->past || (a->past->rank == 4 && !memcmp(a->past->dims, state, sizeof state))) &&
                (!a->decay || packed(a->decay, a->b, a->t, a->kv) ||
                 packed(a->decay, a->b, a->t, a->kv * a->dk)) &&
                (!a->beta || packed(a->beta, a->b, a->t, a->kv) || packed(a->beta, a->b, a->t, 1));
    if (!fits) return ol_fail(err, OLV_SHAPE, "query, key, value, state and gates do not fit");
    a->scale = (double)ol_node_float(c->node, "scale", 0);
    if (a->scale == 0) a->scale = 1 / sqrt((double)a->dk);
    return OLV_OK;
}

/* Decay, correction and write of head h at row r = b * T + t; u is room for d_v values. */
static void update(const linear_attention *a, int64_t r, int64_t h, double *s, double *u) {
    int64_t per = a->decay ? a->decay->dims[2] / a->kv : 0, n = a->beta ? a->beta->dims[2] : 1;
    for (int64_t i = 0; a->decay && i < a->dk; i++) {
        double g = exp(ol_tensor_get(a->decay, (r * a->kv + h) * per + (per == 1 ? 0 : i)));
        for (int64_t j = 0; j < a->dv; j++) s[i * a->dv + j] *= g;
    }
    double beta = a->beta ? ol_tensor_get(a->beta, r * n + (n == 1 ? 0 : h)) : 1;
    for (int64_t j = 0; j < a->dv; j++) {
        double held = 0;
        for (int64_t i = 0; a->delta && i < a->dk; i++)
            held += s[i * a->dv + j] * ol_tensor_get(a->k, (r * a->kv + h) * a->dk + i);
        u[j] = beta * (ol_tensor_get(a->v, (r * a->kv + h) * a->dv + j) - held);
    }
    for (int64_t i = 0; i < a->dk; i++) {
        double k = ol_tensor_get(a->k, (r * a->kv + h) * a->dk + i);
        for (int64_t j = 0; j < a->dv; j++) s[i * a->dv + j] += k * u[j];
    }
}

static void read_head(const linear_attention *a, int64_t r, int64_t head, const double *s,
                      ol_tensor *y) {
    for (int64_t j = 0; j < a->dv; j++) {
        double sum = 0;
        for (int64_t i = 0; i < a->dk; i++)
            sum += s[i * a->dv + j] * ol_tensor_get(a->q, (r * a->heads + head) * a->dk + i);
        ol_tensor_set(y, (r * a->heads + head) * a->dv + j, a->scale * sum);
    }
}

static olv_status eval(ol_eval *c, olv_error *err) {
    linear_attention a;
    ol_tensor *y, *present = NULL;
    OL_TRY(init(c, &a, err));
    OL_TRY(ol_eval_out(c, 0, a.q->dtype, 3, (int64_t[]){a.b, a.t, a.heads * a.dv}, &y, err));
    if (c->node->n_outputs > 1 && c->node->outputs[1])
        OL_TRY(ol_eval_out(c, 1, a.past ? a.past->dtype : a.q->dtype, 4,
                           (int64_t[]){a.b, a.kv, a.dk, a.dv}, &present, err));
    int64_t size = a.dk * a.dv, group = a.heads / a.kv;
    double *s = ol_calloc((size_t)(size + a.dv) + 1, sizeof *s);
    if (!s) return ol_fail(err, OLV_NOMEM, "no memory for a state");
    for (int64_t i = 0; i < a.b * a.kv; i++) {
        int64_t b = i / a.kv, h = i % a.kv;
        for (int64_t k = 0; k < size; k++) s[k] = a.past ? ol_tensor_get(a.past, i * size + k) : 0;
        for (int64_t t = 0; t < a.t; t++) {
            update(&a, b * a.t + t, h, s, s + size);
            for (int64_t g = 0; g < group; g++) read_head(&a, b * a.t + t, h * group + g, s, y);
        }
        for (int64_t k = 0; present && k < size; k++) ol_tensor_set(present, i * size + k, s[k]);
    }
    ol_free(s);
    return OLV_OK;
}

static olv_status infer(ol_infer *c, olv_error *err) {
    const ol_type *q = ol_infer_in(c, 0), *v = ol_infer_in(c, 2);
    const ol_type *past = c->node->n_inputs > 3 ? ol_infer_in(c, 3) : NULL;
    int64_t heads = ol_node_int(c->node, "q_num_heads", 0);
    int64_t kv = ol_node_int(c->node, "kv_num_heads", 0);
    if (heads < 1 || kv < 1 || heads % kv)
        return ol_fail(err, OLV_SHAPE, "%lld query heads over %lld key heads", (long long)heads,
                       (long long)kv);
    for (int i = 0; i < 3; i++) OL_TRY(ol_infer_rank(c, i, 3, 3, err));
    ol_infer_set(c, 0, q->dtype, 3);
    ol_infer_set(c, 1, past ? past->dtype : q->dtype, 4);
    if (q->rank != 3 || v->rank != 3) return OLV_OK;
    ol_dim dk = ol_dim_div_floor(c->graph->dims, q->dims[2], heads);
    ol_dim dv = ol_dim_div_floor(c->graph->dims, v->dims[2], kv);
    ol_dim width = dv == OL_DIM_NONE ? dv : ol_dim_mul(c->graph->dims, dv, heads);
    const ol_dim out[3] = {q->dims[0], q->dims[1], width};
    const ol_dim state[4] = {q->dims[0], kv, dk, dv};
    for (int i = 0; i < 3; i++)
        if (out[i] != OL_DIM_NONE) c->out[0].dims[i] = out[i];
    for (int i = 0; c->node->n_outputs > 1 && i < 4; i++)
        if (state[i] != OL_DIM_NONE) c->out[1].dims[i] = state[i];
    return OLV_OK;
}

static const ol_attr_spec attrs[] = {
    {"chunk_size", OL_ATTR_INT, false}, {"kv_num_heads", OL_ATTR_INT, true},
    {"q_num_heads", OL_ATTR_INT, true}, {"scale", OL_ATTR_FLOAT, false},
    {"update_rule", OL_ATTR_STRING, false}};
extern const ol_op ol_op_LinearAttention;
const ol_op ol_op_LinearAttention = {
    .domain = "", .name = "LinearAttention", .summary = "attention by a recurrent state per head",
    .min_inputs = 3, .max_inputs = 6, .min_outputs = 1, .max_outputs = 2, OL_ATTRS(attrs),
    .infer = infer, .eval = eval};
