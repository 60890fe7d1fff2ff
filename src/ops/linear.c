/* SPDX-License-Identifier: Apache-2.0 */
/* olivine.Linear: y = x W^T + bias, W [N, K]. olivine.ExpertLinear: the same per row and chosen expert, W [E, N, K]. */
#include "ops/ops.h"

static olv_status infer(ol_infer *c, olv_error *err) {
    const ol_type *x = ol_infer_in(c, 0), *w = ol_infer_in(c, 1);
    OL_TRY(ol_infer_rank(c, 0, 1, OL_MAX_RANK, err));
    OL_TRY(ol_infer_rank(c, 1, 2, 2, err));
    c->out[0].dtype = x->dtype;
    if (x->rank < 0 || w->rank < 0) return OLV_OK;
    ol_dim k = x->dims[x->rank - 1];
    if (ol_dim_known(k) && ol_dim_known(w->dims[1]) && k != w->dims[1])
        return ol_fail(err, OLV_SHAPE, "rows of %lld found for a weight [%lld,%lld]", (long long)k,
                       (long long)w->dims[0], (long long)w->dims[1]);
    c->out[0] = *x;
    c->out[0].dims[x->rank - 1] = w->dims[0];
    return OLV_OK;
}

static void one_row(const ol_tensor *x, int64_t x_at, const ol_tensor *w, int64_t w_at, const ol_tensor *bias,
                    int64_t bias_at, ol_tensor *y, int64_t y_at, int64_t n, int64_t k) {
    for (int64_t j = 0; j < n; j++) {
        double sum = 0;
        if (x->dtype == OL_F32 && w->dtype == OL_F32) {
            const float *a = (const float *)x->data + x_at, *b = (const float *)w->data + w_at + j * k;
            for (int64_t i = 0; i < k; i++) sum += (double)a[i] * (double)b[i];
        } else {
            for (int64_t i = 0; i < k; i++) sum += ol_tensor_get(x, x_at + i) * ol_tensor_get(w, w_at + j * k + i);
        }
        ol_tensor_set(y, y_at + j, bias ? sum + ol_tensor_get(bias, bias_at + j) : sum);
    }
}

static olv_status eval(ol_eval *c, olv_error *err) {
    const ol_tensor *x, *w, *bias = ol_eval_in(c, 2);
    ol_tensor *y;
    int64_t dims[OL_MAX_RANK];
    OL_TRY(ol_eval_need(c, 0, &x, err));
    OL_TRY(ol_eval_need(c, 1, &w, err));
    if (x->rank < 1 || w->rank != 2 || x->dims[x->rank - 1] != w->dims[1] ||
        (bias && ol_tensor_count(bias) != w->dims[0]))
        return ol_fail(err, OLV_SHAPE, "input, weight and bias do not fit");
    memcpy(dims, x->dims, sizeof dims);
    int64_t k = w->dims[1], n = dims[x->rank - 1] = w->dims[0], rows = ol_dims_count(dims, 0, x->rank - 1);
    OL_TRY(ol_eval_out(c, 0, x->dtype, x->rank, dims, &y, err));
    for (int64_t r = 0; r < rows; r++) one_row(x, r * k, w, 0, bias, 0, y, r * n, n, k);
    return OLV_OK;
}

static olv_status infer_expert(ol_infer *c, olv_error *err) {
    const ol_type *x = ol_infer_in(c, 0), *w = ol_infer_in(c, 1), *id = ol_infer_in(c, 2);
    OL_TRY(ol_infer_rank(c, 0, 2, 3, err));
    OL_TRY(ol_infer_rank(c, 1, 3, 3, err));
    OL_TRY(ol_infer_rank(c, 2, 2, 2, err));
    ol_infer_set(c, 0, x->dtype, 3);
    for (int i = 0; i < 2 && id->rank == 2; i++) c->out[0].dims[i] = id->dims[i];
    if (w->rank == 3) c->out[0].dims[2] = w->dims[1];
    if (x->rank > 0 && w->rank == 3 && ol_dim_known(x->dims[x->rank - 1]) && ol_dim_known(w->dims[2]) &&
        x->dims[x->rank - 1] != w->dims[2])
        return ol_fail(err, OLV_SHAPE, "rows of %lld found for experts of width %lld",
                       (long long)x->dims[x->rank - 1], (long long)w->dims[2]);
    return OLV_OK;
}

static olv_status eval_expert(ol_eval *c, olv_error *err) {
    const ol_tensor *x, *w, *id, *bias = ol_eval_in(c, 3);
    ol_tensor *y;
    OL_TRY(ol_eval_need(c, 0, &x, err));
    OL_TRY(ol_eval_need(c, 1, &w, err));
    OL_TRY(ol_eval_need(c, 2, &id, err));
    bool fits = w->rank == 3 && id->rank == 2 && (x->rank == 2 || x->rank == 3) && x->dims[0] == id->dims[0] &&
                x->dims[x->rank - 1] == w->dims[2] && (x->rank == 2 || x->dims[1] == id->dims[1]) &&
                (!bias || ol_tensor_count(bias) == w->dims[0] * w->dims[1]);
    if (!fits) return ol_fail(err, OLV_SHAPE, "input, experts, ids and bias do not fit");
    int64_t experts = w->dims[0], n = w->dims[1], k = w->dims[2], chosen = id->dims[1];
    OL_TRY(ol_eval_out(c, 0, x->dtype, 3, (int64_t[]){x->dims[0], chosen, n}, &y, err));
    for (int64_t r = 0; r < x->dims[0] * chosen; r++) {
        int64_t e = ol_tensor_i64(id, r);
        if (e < 0 || e >= experts)
            return ol_fail(err, OLV_ARG, "expert %lld found of %lld", (long long)e, (long long)experts);
        one_row(x, (x->rank == 3 ? r : r / chosen) * k, w, e * n * k, bias, e * n, y, r * n, n, k);
    }
    return OLV_OK;
}

extern const ol_op ol_op_olivine_Linear, ol_op_olivine_ExpertLinear;
const ol_op ol_op_olivine_Linear = {"olivine", "Linear", "x W^T + bias", 2, 3, 1, 1, NULL, 0, infer, eval, NULL,
                                    false, false};
const ol_op ol_op_olivine_ExpertLinear = {"olivine", "ExpertLinear", "x W[e]^T + bias[e] for each chosen expert e", 3,
                                          4, 1, 1, NULL, 0, infer_expert, eval_expert, NULL, false, false};
