/* SPDX-License-Identifier: Apache-2.0 */
/* olivine.Wkv, the weighted mean of RWKV-4. Per channel, with a(s) = exp(k_s - (t - 1 - s) w) for
 * the earlier rows s of the sequence and b = exp(u + k_t) for the present one:
 *
 *     y(t) = (sum of a(s) v_s + b v_t) / (sum of a(s) + b)
 *
 * k and v [T, C]; w (decay, not negative) and u (bonus of the present row) [C]. The state holds
 * numerator, denominator and the largest exponent, by which both are divided; a denominator of
 * zero is an empty past. */
#include "ops/fixed_state.h"

static olv_status infer(ol_infer *c, olv_error *err) {
    const ol_type *k = ol_infer_in(c, 0);
    OL_TRY(ol_infer_rank(c, 1, 2, 2, err));
    for (int i = 2; i < 4; i++) OL_TRY(ol_infer_rank(c, i, 1, 1, err));
    return ol_infer_rows(c, k->rank == 2 ? k->dims[1] : -1, err);
}

/* One channel of one row; s points to the numerator, s + n and s + 2 n to the other two. */
static double step(double k, double v, double w, double u, float *s, int64_t n) {
    double num = (double)s[0], den = (double)s[n], top = den > 0 ? (double)s[2 * n] : -INFINITY;
    double m = fmax(top, u + k), past = exp(top - m), now = exp(u + k - m);
    double y = (past * num + now * v) / (past * den + now);
    m = fmax(top - w, k);
    past = exp(top - w - m);
    now = exp(k - m);
    s[0] = (float)(past * num + now * v);
    s[n] = (float)(past * den + now);
    s[2 * n] = (float)m;
    return y;
}

static olv_status eval(ol_eval *c, olv_error *err) {
    const ol_tensor *k, *v, *w, *u;
    ol_tensor *y;
    OL_TRY(ol_eval_matrix(c, 0, -1, -1, &k, err));
    int64_t rows = k->dims[0], n = k->dims[1];
    OL_TRY(ol_eval_matrix(c, 1, rows, n, &v, err));
    OL_TRY(ol_eval_need(c, 2, &w, err));
    OL_TRY(ol_eval_need(c, 3, &u, err));
    if (ol_tensor_count(w) != n || ol_tensor_count(u) != n)
        return ol_fail(err, OLV_SHAPE, "decay or bonus do not fit rows of %lld", (long long)n);
    OL_TRY(ol_fixed_state_check(c, rows, err));
    OL_TRY(ol_eval_out(c, 0, k->dtype, 2, k->dims, &y, err));
    for (int64_t row = 0; row < rows; row++) {
        float *s = ol_fixed_state(c, row, 3 * n, err);
        if (!s) return OLV_NOMEM;
        for (int64_t i = 0; i < n; i++)
            ol_tensor_set(y, row * n + i,
                          step(ol_tensor_get(k, row * n + i), ol_tensor_get(v, row * n + i),
                               ol_tensor_get(w, i), ol_tensor_get(u, i), s + i, n));
    }
    return OLV_OK;
}

static const ol_attr_spec attrs[] = {{"state", OL_ATTR_INT, true}};
extern const ol_op ol_op_olivine_Wkv;
const ol_op ol_op_olivine_Wkv = {"olivine",
                                 "Wkv",
                                 "weighted mean over the past of RWKV",
                                 4,
                                 4,
                                 1,
                                 1,
                                 OL_ATTRS(attrs),
                                 infer,
                                 eval,
                                 NULL,
                                 false,
                                 false};
