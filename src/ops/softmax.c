/* SPDX-License-Identifier: Apache-2.0 */
/* Softmax, LogSoftmax and Hardmax along one axis (opset 13 and later). */
#include "ops/ops.h"

typedef enum kind { SOFT, LOG, HARD } kind;

static void one_line(kind k, const double *x, double *y, int64_t n, int64_t step) {
    int64_t best = 0;
    double sum = 0;
    for (int64_t i = 1; i < n; i++)
        if (x[i * step] > x[best * step]) best = i;
    double m = x[best * step];
    for (int64_t i = 0; i < n; i++) sum += exp(x[i * step] - m);
    for (int64_t i = 0; i < n; i++) {
        double d = x[i * step] - m;
        y[i * step] = k == SOFT ? exp(d) / sum : k == LOG ? d - log(sum) : i == best;
    }
}

static olv_status eval_kind(ol_eval *c, kind k, olv_error *err) {
    const ol_tensor *x;
    ol_tensor *y;
    double *v;
    int axis = 0;
    OL_TRY(ol_eval_need(c, 0, &x, err));
    if (x->rank > 0) OL_TRY(ol_axis(ol_node_int(c->node, "axis", -1), x->rank, false, &axis, err));
    OL_TRY(ol_eval_out(c, 0, x->dtype, x->rank, x->dims, &y, err));
    OL_TRY(ol_tensor_f64(x, &v, err));
    int64_t n = x->rank ? x->dims[axis] : 1, inner = ol_dims_count(x->dims, axis + 1, x->rank);
    int64_t outer = ol_dims_count(x->dims, 0, axis);
    double *r = ol_calloc((size_t)(outer * n * inner), sizeof *r);
    if (r && n > 0)
        for (int64_t o = 0; o < outer; o++)
            for (int64_t i = 0; i < inner; i++) one_line(k, v + o * n * inner + i, r + o * n * inner + i, n, inner);
    if (r) ol_tensor_store(y, r);
    ol_free(v);
    ol_free(r);
    return r ? OLV_OK : ol_fail(err, OLV_NOMEM, "no memory");
}

static olv_status infer(ol_infer *c, olv_error *err) {
    const ol_type *x = ol_infer_in(c, 0);
    int axis;
    if (x->rank > 0) OL_TRY(ol_axis(ol_node_int(c->node, "axis", -1), x->rank, false, &axis, err));
    return ol_infer_same(c, err);
}

static olv_status eval_soft(ol_eval *c, olv_error *err) { return eval_kind(c, SOFT, err); }
static olv_status eval_log(ol_eval *c, olv_error *err) { return eval_kind(c, LOG, err); }
static olv_status eval_hard(ol_eval *c, olv_error *err) { return eval_kind(c, HARD, err); }

static const ol_attr_spec attrs[] = {{"axis", OL_ATTR_INT, false}};
extern const ol_op ol_op_Softmax, ol_op_LogSoftmax, ol_op_Hardmax;
const ol_op ol_op_Softmax = {"", "Softmax", "exponentials along an axis, divided by their sum", 1, 1, 1, 1,
                             attrs, 1, infer, eval_soft, NULL, false, false};
const ol_op ol_op_LogSoftmax = {"", "LogSoftmax", "logarithm of Softmax", 1, 1, 1, 1,
                                attrs, 1, infer, eval_log, NULL, false, false};
const ol_op ol_op_Hardmax = {"", "Hardmax", "one at the first largest element along an axis", 1, 1, 1, 1,
                             attrs, 1, infer, eval_hard, NULL, false, false};
