/* SPDX-License-Identifier: Apache-2.0 */
/* olivine.SelectiveScan, the state space recurrence of Mamba (heads of one channel, a rate for
 * every state) and Mamba-2 (heads of P channels, one rate a head). For head h in group g:
 *
 *     S(p, n) = exp(dt_h a(h, n)) S(p, n) + dt_h b(g, n) x(h, p)
 *     y(h, p) = sum over n of c(g, n) S(p, n) + d_h x(h, p)
 *
 * with x [T, H P], dt [T, H], a [H] or [H, N], b and c [T, G N], d [H]. */
#include "ops/fixed_state.h"

typedef struct scan {
    const ol_tensor *x, *dt, *a, *b, *c, *d;
    int64_t heads, groups, p, n;
    bool a_each; /* a rate for every state */
} scan;

static olv_status infer(ol_infer *c, olv_error *err) {
    const ol_type *x = ol_infer_in(c, 0);
    int64_t heads = ol_node_int(c->node, "heads", 0), groups = ol_node_int(c->node, "groups", 1);
    for (int i = 0; i < 5; i++) OL_TRY(ol_infer_rank(c, i, i == 2 ? 1 : 2, 2, err));
    if (heads < 1 || groups < 1 || heads % groups)
        return ol_fail(err, OLV_SHAPE, "%lld heads and %lld groups found", (long long)heads,
                       (long long)groups);
    if (x->rank == 2 && ol_dim_known(x->dims[1]) && x->dims[1] % heads)
        return ol_fail(err, OLV_SHAPE, "rows of %lld found for %lld heads", (long long)x->dims[1],
                       (long long)heads);
    return ol_infer_rows(c, x->rank == 2 ? x->dims[1] : -1, err);
}

/* One channel of one row; s: its N states. */
static double step(const scan *k, int64_t row, int64_t h, int64_t p, float *s) {
    int64_t g = h / (k->heads / k->groups);
    double dt = ol_tensor_get(k->dt, row * k->heads + h),
           x = ol_tensor_get(k->x, (row * k->heads + h) * k->p + p);
    double y = k->d ? ol_tensor_get(k->d, h) * x : 0;
    for (int64_t n = 0; n < k->n; n++) {
        int64_t at = (row * k->groups + g) * k->n + n;
        double a = ol_tensor_get(k->a, k->a_each ? h * k->n + n : h);
        double v = exp(dt * a) * (double)s[n] + dt * ol_tensor_get(k->b, at) * x;
        s[n] = (float)v;
        y += ol_tensor_get(k->c, at) * v;
    }
    return y;
}

static olv_status read(const ol_eval *c, scan *k, olv_error *err) {
    k->heads = ol_node_int(c->node, "heads", 0);
    k->groups = ol_node_int(c->node, "groups", 1);
    OL_TRY(ol_eval_matrix(c, 0, -1, -1, &k->x, err));
    int64_t rows = k->x->dims[0];
    OL_TRY(ol_eval_matrix(c, 1, rows, k->heads, &k->dt, err));
    OL_TRY(ol_eval_need(c, 2, &k->a, err));
    OL_TRY(ol_eval_matrix(c, 3, rows, -1, &k->b, err));
    OL_TRY(ol_eval_matrix(c, 4, rows, k->b->dims[1], &k->c, err));
    k->d = ol_eval_in(c, 5);
    if (k->heads < 1 || k->groups < 1 || k->heads % k->groups || k->x->dims[1] % k->heads ||
        k->b->dims[1] % k->groups)
        return ol_fail(err, OLV_SHAPE, "heads and groups do not fit");
    k->p = k->x->dims[1] / k->heads;
    k->n = k->b->dims[1] / k->groups;
    k->a_each = k->a->rank == 2;
    if (ol_tensor_count(k->a) != k->heads * (k->a_each ? k->n : 1) ||
        (k->d && ol_tensor_count(k->d) != k->heads))
        return ol_fail(err, OLV_SHAPE, "rates or skip weights do not fit %lld heads of %lld states",
                       (long long)k->heads, (long long)k->n);
    return ol_fixed_state_check(c, rows, err);
}

static olv_status eval(ol_eval *c, olv_error *err) {
    scan k;
    ol_tensor *y;
    OL_TRY(read(c, &k, err));
    OL_TRY(ol_eval_out(c, 0, k.x->dtype, 2, k.x->dims, &y, err));
    int64_t width = k.heads * k.p;
    for (int64_t row = 0; row < k.x->dims[0]; row++) {
        float *s = ol_fixed_state(c, row, width * k.n, err);
        if (!s) return OLV_NOMEM;
        for (int64_t i = 0; i < width; i++)
            ol_tensor_set(y, row * width + i, step(&k, row, i / k.p, i % k.p, s + i * k.n));
    }
    return OLV_OK;
}

static const ol_attr_spec attrs[] = {
    {"state", OL_ATTR_INT, true}, {"heads", OL_ATTR_INT, true}, {"groups", OL_ATTR_INT, false}};
extern const ol_op ol_op_olivine_SelectiveScan;
const ol_op ol_op_olivine_SelectiveScan = {"olivine",
                                           "SelectiveScan",
                                           "state space recurrence of Mamba and Mamba-2",
                                           5,
                                           6,
                                           1,
                                           1,
                                           OL_ATTRS(attrs),
                                           infer,
                                           eval,
                                           NULL,
                                           false,
                                           false};
