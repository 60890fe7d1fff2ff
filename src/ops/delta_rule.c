/* SPDX-License-Identifier: Apache-2.0 */
/* olivine.DeltaRule, linear attention whose state forgets and corrects itself (the gated delta
 * rule). For value head h and the key head that serves it, S being [dk, dv] and S' its transpose:
 *
 *     S = exp(g_h) S
 *     S = S + k (beta_h (v_h - S' k))'
 *     y_h = scale S' q
 *
 * with q and k [T, key_heads dk], v [T, heads dv], g and beta [T, heads]. */
#include "ops/fixed_state.h"

typedef struct delta {
    const ol_tensor *q, *k, *v, *g, *beta;
    int64_t heads, key_heads, dk, dv;
    double scale;
} delta;

static olv_status infer(ol_infer *c, olv_error *err) {
    const ol_type *v = ol_infer_in(c, 2);
    int64_t heads = ol_node_int(c->node, "heads", 0),
            keys = ol_node_int(c->node, "key_heads", heads);
    for (int i = 0; i < 5; i++) OL_TRY(ol_infer_rank(c, i, 2, 2, err));
    if (heads < 1 || keys < 1 || heads % keys)
        return ol_fail(err, OLV_SHAPE, "%lld heads and %lld key heads found", (long long)heads,
                       (long long)keys);
    return ol_infer_rows(c, v->rank == 2 ? v->dims[1] : -1, err);
}

/* Column j of the state of head h. */
static double column(const delta *d, int64_t row, int64_t h, int64_t j, float *s) {
    int64_t at = (row * d->key_heads + h / (d->heads / d->key_heads)) * d->dk;
    double decay = exp(ol_tensor_get(d->g, row * d->heads + h)),
           beta = ol_tensor_get(d->beta, row * d->heads + h);
    double seen = 0, y = 0;
    for (int64_t i = 0; i < d->dk; i++)
        seen += decay * (double)s[i * d->dv + j] * ol_tensor_get(d->k, at + i);
    double add = beta * (ol_tensor_get(d->v, (row * d->heads + h) * d->dv + j) - seen);
    for (int64_t i = 0; i < d->dk; i++) {
        double v = decay * (double)s[i * d->dv + j] + ol_tensor_get(d->k, at + i) * add;
        s[i * d->dv + j] = (float)v;
        y += v * ol_tensor_get(d->q, at + i);
    }
    return y * d->scale;
}

static olv_status read(const ol_eval *c, delta *d, olv_error *err) {
    d->heads = ol_node_int(c->node, "heads", 0);
    d->key_heads = ol_node_int(c->node, "key_heads", d->heads);
    OL_TRY(ol_eval_matrix(c, 0, -1, -1, &d->q, err));
    int64_t rows = d->q->dims[0];
    OL_TRY(ol_eval_matrix(c, 1, rows, d->q->dims[1], &d->k, err));
    OL_TRY(ol_eval_matrix(c, 2, rows, -1, &d->v, err));
    OL_TRY(ol_eval_matrix(c, 3, rows, d->heads, &d->g, err));
    OL_TRY(ol_eval_matrix(c, 4, rows, d->heads, &d->beta, err));
    if (d->heads < 1 || d->key_heads < 1 || d->heads % d->key_heads ||
        d->q->dims[1] % d->key_heads || d->v->dims[1] % d->heads)
        return ol_fail(err, OLV_SHAPE, "heads do not fit q, k and v");
    d->dk = d->q->dims[1] / d->key_heads;
    d->dv = d->v->dims[1] / d->heads;
    d->scale = (double)ol_node_float(c->node, "scale", 1);
    return ol_fixed_state_check(c, rows, err);
}

static olv_status eval(ol_eval *c, olv_error *err) {
    delta d;
    ol_tensor *y;
    OL_TRY(read(c, &d, err));
    OL_TRY(ol_eval_out(c, 0, d.v->dtype, 2, d.v->dims, &y, err));
    int64_t width = d.heads * d.dv;
    for (int64_t row = 0; row < d.v->dims[0]; row++) {
        float *s = ol_fixed_state(c, row, width * d.dk, err);
        if (!s) return OLV_NOMEM;
        for (int64_t i = 0; i < width; i++) {
            int64_t h = i / d.dv;
            ol_tensor_set(y, row * width + i, column(&d, row, h, i % d.dv, s + h * d.dk * d.dv));
        }
    }
    return OLV_OK;
}

static const ol_attr_spec attrs[] = {{"state", OL_ATTR_INT, true},
                                     {"heads", OL_ATTR_INT, true},
                                     {"key_heads", OL_ATTR_INT, false},
                                     {"scale", OL_ATTR_FLOAT, false}};
extern const ol_op ol_op_olivine_DeltaRule;
const ol_op ol_op_olivine_DeltaRule = {"olivine",
                                       "DeltaRule",
                                       "linear attention with the gated delta rule",
                                       5,
                                       5,
                                       1,
                                       1,
                                       OL_ATTRS(attrs),
                                       infer,
                                       eval,
                                       NULL,
                                       false,
                                       false};
