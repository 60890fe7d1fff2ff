/* SPDX-License-Identifier: Apache-2.0 */
/* olivine.CausalConv over flat rows: each channel is convolved with its own K weights along its
 * sequence,
 *
 *     y(t, c) = f(bias_c + sum over j < K of w(c, j) x(t - K + 1 + j, c))
 *
 * where rows before the start of the sequence are zero and f is the identity or SiLU. The state of
 * a sequence holds its last K - 1 rows. */
#include "ops/fixed_state.h"

static olv_status infer(ol_infer *c, olv_error *err) {
    const ol_type *x = ol_infer_in(c, 0), *w = ol_infer_in(c, 1);
    OL_TRY(ol_infer_rank(c, 1, 2, 2, err));
    bool known =
        x->rank == 2 && w->rank == 2 && ol_dim_known(x->dims[1]) && ol_dim_known(w->dims[0]);
    if (known && x->dims[1] != w->dims[0])
        return ol_fail(err, OLV_SHAPE, "rows of %lld found for %lld channels",
                       (long long)x->dims[1], (long long)w->dims[0]);
    return ol_infer_rows(c, x->rank == 2 ? x->dims[1] : -1, err);
}

/* One value; `past` holds the K - 1 rows before this one, oldest first. */
static double at(const ol_tensor *x, const ol_tensor *w, const ol_tensor *bias, const float *past,
                 int64_t row, int64_t ch) {
    int64_t n = x->dims[1], k = w->dims[1];
    double sum = bias ? ol_tensor_get(bias, ch) : 0;
    for (int64_t j = 0; j + 1 < k; j++)
        sum += ol_tensor_get(w, ch * k + j) * (double)past[j * n + ch];
    return sum + ol_tensor_get(w, ch * k + k - 1) * ol_tensor_get(x, row * n + ch);
}

static void shift(const ol_tensor *x, int64_t row, int64_t k, float *past) {
    int64_t n = x->dims[1];
    if (k < 2) return;
    memmove(past, past + n, (size_t)((k - 2) * n) * sizeof *past);
    for (int64_t ch = 0; ch < n; ch++)
        past[(k - 2) * n + ch] = (float)ol_tensor_get(x, row * n + ch);
}

static olv_status eval(ol_eval *c, olv_error *err) {
    const ol_tensor *x, *w, *bias = ol_eval_in(c, 2);
    ol_tensor *y;
    OL_TRY(ol_eval_matrix(c, 0, -1, -1, &x, err));
    OL_TRY(ol_eval_matrix(c, 1, x->dims[1], -1, &w, err));
    OL_TRY(ol_fixed_state_check(c, x->dims[0], err));
    int64_t n = x->dims[1], k = w->dims[1];
    if (k < 1 || (bias && ol_tensor_count(bias) != n))
        return ol_fail(err, OLV_SHAPE, "weights and bias do not fit");
    bool silu = ol_str_is(ol_node_string(c->node, "activation", "none"), "silu");
    OL_TRY(ol_eval_out(c, 0, x->dtype, 2, x->dims, &y, err));
    for (int64_t row = 0; row < x->dims[0]; row++) {
        float *past = ol_fixed_state(c, row, (k - 1) * n, err);
        if (!past) return OLV_NOMEM;
        for (int64_t ch = 0; ch < n; ch++) {
            double v = at(x, w, bias, past, row, ch);
            ol_tensor_set(y, row * n + ch, silu ? v / (1 + exp(-v)) : v);
        }
        shift(x, row, k, past);
    }
    return OLV_OK;
}

static const ol_attr_spec attrs[] = {{"state", OL_ATTR_INT, true},
                                     {"activation", OL_ATTR_STRING, false}};
extern const ol_op ol_op_olivine_CausalConv;
const ol_op ol_op_olivine_CausalConv = {"olivine",
                                        "CausalConv",
                                        "convolution of each channel along its sequence",
                                        2,
                                        3,
                                        1,
                                        1,
                                        OL_ATTRS(attrs),
                                        infer,
                                        eval,
                                        NULL,
                                        false,
                                        false};
