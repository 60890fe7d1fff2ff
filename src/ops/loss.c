/* SPDX-License-Identifier: Apache-2.0 */
/* NegativeLogLikelihoodLoss and SoftmaxCrossEntropyLoss: scores [N, C, d...], labels [N, d...]. */
#include "ops/ops.h"

static olv_status infer(ol_infer *c, olv_error *err) {
    const ol_type *x = ol_infer_in(c, 0), *l = ol_infer_in(c, 1);
    (void)err;
    c->out[0] = *l;
    c->out[0].dtype = x->dtype;
    if (!ol_str_is(ol_node_string(c->node, "reduction", "mean"), "none")) c->out[0].rank = 0;
    if (c->node->n_outputs > 1) c->out[1] = *x;
    return OLV_OK;
}

/* Log-softmax over dim 1. */
static void log_softmax(double *v, int64_t n, int64_t classes, int64_t inner) {
    for (int64_t i = 0; i < n * inner; i++) {
        double *p = v + i / inner * classes * inner + i % inner, max = -INFINITY, sum = 0;
        for (int64_t k = 0; k < classes; k++) max = fmax(max, p[k * inner]);
        for (int64_t k = 0; k < classes; k++) sum += exp(p[k * inner] - max);
        for (int64_t k = 0; k < classes; k++) p[k * inner] -= max + log(sum);
    }
}

static olv_status eval_loss(ol_eval *c, bool softmax, olv_error *err) {
    const ol_tensor *x, *l, *w = ol_eval_in(c, 2);
    ol_tensor *y, *logs;
    double *v;
    OL_TRY(ol_eval_need(c, 0, &x, err));
    OL_TRY(ol_eval_need(c, 1, &l, err));
    int64_t classes = x->rank > 1 ? x->dims[1] : 0, inner = ol_dims_count(x->dims, 2, x->rank), n = x->rank ? x->dims[0] : 0;
    if (classes < 1 || l->rank != x->rank - 1 || ol_tensor_count(l) != n * inner || (w && ol_tensor_count(w) != classes)) return ol_fail(err, OLV_SHAPE, "scores, labels or weights do not fit");
    ol_str how = ol_node_string(c->node, "reduction", "mean");
    bool none = ol_str_is(how, "none"), mean = ol_str_is(how, "mean"), has_ignore = ol_node_attr(c->node, "ignore_index") != NULL;
    int64_t ignore = ol_node_int(c->node, "ignore_index", 0);
    OL_TRY(ol_eval_out(c, 0, x->dtype, none ? l->rank : 0, l->dims, &y, err));
    OL_TRY(ol_tensor_f64(x, &v, err));
    if (softmax) log_softmax(v, n, classes, inner);
    olv_status s = OLV_OK;
    if (c->node->n_outputs > 1) {
        s = ol_eval_out(c, 1, x->dtype, x->rank, x->dims, &logs, err);
        if (s == OLV_OK) ol_tensor_store(logs, v);
    }
    double sum = 0, weight = 0;
    for (int64_t i = 0; i < n * inner && s == OLV_OK; i++) {
        int64_t k = ol_tensor_i64(l, i);
        bool skip = has_ignore && k == ignore;
        if (!skip && (k < 0 || k >= classes)) {
            s = ol_fail(err, OLV_ARG, "label %lld of %lld classes", (long long)k, (long long)classes);
            break;
        }
        double wk = skip ? 0 : w ? ol_tensor_get(w, k) : 1, loss = skip ? 0 : -v[(i / inner * classes + k) * inner + i % inner] * wk;
        if (none) ol_tensor_set(y, i, loss);
        sum += loss;
        weight += wk;
    }
    if (s == OLV_OK && !none) ol_tensor_set(y, 0, mean ? sum / weight : sum);
    ol_free(v);
    return s;
}
static olv_status eval_nll(ol_eval *c, olv_error *err) { return eval_loss(c, false, err); }
static olv_status eval_sce(ol_eval *c, olv_error *err) { return eval_loss(c, true, err); }

static const ol_attr_spec attrs[] = {{"ignore_index", OL_ATTR_INT, false}, {"reduction", OL_ATTR_STRING, false}};
extern const ol_op ol_op_NegativeLogLikelihoodLoss, ol_op_SoftmaxCrossEntropyLoss;
const ol_op ol_op_NegativeLogLikelihoodLoss = {"", "NegativeLogLikelihoodLoss", "minus the log probability of the labels", 2, 3, 1, 1, attrs, 2, infer, eval_nll, NULL, false, false};
const ol_op ol_op_SoftmaxCrossEntropyLoss = {"", "SoftmaxCrossEntropyLoss", "cross entropy of scores and labels", 2, 3, 1, 2, attrs, 2, infer, eval_sce, NULL, false, false};
