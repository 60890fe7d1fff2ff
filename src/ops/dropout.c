/* SPDX-License-Identifier: Apache-2.0 */
/* Dropout: outside of training the input itself; in training each element is dropped with the
 * probability `ratio`, and what stays grows by 1 / (1 - ratio). */
#include "ops/random.h"

static bool scalar_is(const ol_tensor *t, bool def) {
    return t && ol_tensor_count(t) == 1 ? ol_tensor_i64(t, 0) != 0 : def;
}

static olv_status eval(ol_eval *c, olv_error *err) {
    const ol_tensor *x, *ratio = ol_eval_in(c, 1);
    ol_tensor *y, *mask = NULL;
    ol_random r;
    OL_TRY(ol_eval_need(c, 0, &x, err));
    double p = ratio && ol_tensor_count(ratio) == 1 ? ol_tensor_get(ratio, 0) : 0.5;
    bool training = scalar_is(ol_eval_in(c, 2), false) && p != 0;
    if (training && !(p > 0 && p < 1)) return ol_fail(err, OLV_ARG, "ratio %g found, [0, 1) expected", p);
    if (c->node->n_outputs > 1 && c->node->outputs[1]) {
        OL_TRY(ol_eval_out(c, 1, OL_BOOL, x->rank, x->dims, &mask, err));
        memset(mask->data, 1, mask->bytes);
    }
    if (!training) return ol_datum_copy(&c->out[0], c->in[0], err);
    OL_TRY(ol_eval_out(c, 0, x->dtype, x->rank, x->dims, &y, err));
    ol_random_init(&r, c->node);
    for (int64_t i = 0, n = ol_tensor_count(x); i < n; i++) {
        bool stays = ol_random_uniform(&r) >= p;
        ol_tensor_set(y, i, stays ? ol_tensor_get(x, i) / (1 - p) : 0);
        if (mask) ol_tensor_set_i64(mask, i, stays);
    }
    return OLV_OK;
}

static olv_status infer(ol_infer *c, olv_error *err) {
    OL_TRY(ol_infer_same(c, err));
    if (c->node->n_outputs > 1) c->out[1].dtype = OL_BOOL;
    return OLV_OK;
}

static const ol_attr_spec attrs[] = {{"seed", OL_ATTR_INT, false}};
extern const ol_op ol_op_Dropout;
const ol_op ol_op_Dropout = {.domain = "", .name = "Dropout",
                             .summary = "the input itself; in training with elements dropped",
                             .min_inputs = 1, .max_inputs = 3, .min_outputs = 1, .max_outputs = 2,
                             OL_ATTRS(attrs), .infer = infer, .eval = eval};
