/* SPDX-License-Identifier: Apache-2.0 */
/* CausalConvWithState (opset 27): each channel of x [B, C, L] is convolved with its own weights
 * [C, 1, K] over past and present places; before x stand past_state [B, C, K - 1] or zeros, and the
 * last K - 1 places of both together are the state to come. */
#include "ops/ops.h"

typedef struct conv {
    const ol_tensor *x, *w, *bias, *past;
    int64_t c, l, k;
} conv;

/* Place p of row r = b * C + channel, counted from the first place of the state. */
static double place(const conv *v, int64_t r, int64_t p) {
    if (p >= v->k - 1) return ol_tensor_get(v->x, r * v->l + p - (v->k - 1));
    return v->past ? ol_tensor_get(v->past, r * (v->k - 1) + p) : 0;
}

static olv_status init(ol_eval *c, conv *v, bool *silu, olv_error *err) {
    OL_TRY(ol_eval_need(c, 0, &v->x, err));
    OL_TRY(ol_eval_need(c, 1, &v->w, err));
    v->bias = ol_eval_in(c, 2);
    v->past = ol_eval_in(c, 3);
    if (v->x->rank != 3 || v->w->rank != 3 || v->w->dims[0] != v->x->dims[1] ||
        v->w->dims[1] != 1 || v->w->dims[2] < 1)
        return ol_fail(err, OLV_SHAPE, "input and weights do not fit");
    v->c = v->x->dims[1];
    v->l = v->x->dims[2];
    v->k = v->w->dims[2];
    const int64_t state[3] = {v->x->dims[0], v->c, v->k - 1};
    if ((v->bias && ol_tensor_count(v->bias) != v->c) ||
        (v->past && (v->past->rank != 3 || memcmp(v->past->dims, state, sizeof state))))
        return ol_fail(err, OLV_SHAPE, "bias or state do not fit");
    ol_str f = ol_node_string(c->node, "activation", "none");
    *silu = ol_str_is(f, "silu") || ol_str_is(f, "swish");
    if (!*silu && !ol_str_is(f, "none"))
        return ol_fail(err, OLV_ARG, "activation '%.*s' found, silu, swish or none expected",
                       (int)(f.len > 40 ? 40 : f.len), f.ptr);
    return OLV_OK;
}

static olv_status eval(ol_eval *c, olv_error *err) {
    conv v;
    bool silu;
    ol_tensor *y, *present;
    OL_TRY(init(c, &v, &silu, err));
    OL_TRY(ol_eval_out(c, 0, v.x->dtype, 3, v.x->dims, &y, err));
    int64_t rows = v.x->dims[0] * v.c;
    for (int64_t i = 0; i < rows * v.l; i++) {
        int64_t r = i / v.l, t = i % v.l, ch = r % v.c;
        double sum = v.bias ? ol_tensor_get(v.bias, ch) : 0;
        for (int64_t j = 0; j < v.k; j++)
            sum += ol_tensor_get(v.w, ch * v.k + j) * place(&v, r, t + j);
        ol_tensor_set(y, i, silu ? sum / (1 + exp(-sum)) : sum);
    }
    if (c->node->n_outputs < 2 || !c->node->outputs[1]) return OLV_OK;
    const int64_t dims[3] = {v.x->dims[0], v.c, v.k - 1};
    OL_TRY(ol_eval_out(c, 1, v.x->dtype, 3, dims, &present, err));
    for (int64_t i = 0; i < rows * (v.k - 1); i++)
        ol_tensor_set(present, i, place(&v, i / (v.k - 1), v.l + i % (v.k - 1)));
    return OLV_OK;
}

static olv_status infer(ol_infer *c, olv_error *err) {
    const ol_type *x = ol_infer_in(c, 0), *w = ol_infer_in(c, 1);
    OL_TRY(ol_infer_rank(c, 0, 3, 3, err));
    OL_TRY(ol_infer_rank(c, 1, 3, 3, err));
    c->out[0] = *x;
    if (c->node->n_outputs < 2) return OLV_OK;
    ol_infer_set(c, 1, x->dtype, 3);
    for (int i = 0; x->rank == 3 && i < 2; i++) c->out[1].dims[i] = x->dims[i];
    if (w->rank != 3) return OLV_OK;
    ol_dim k = ol_dim_sub(c->graph->dims, w->dims[2], 1);
    if (k != OL_DIM_NONE) c->out[1].dims[2] = k;
    return OLV_OK;
}

static const ol_attr_spec attrs[] = {{"activation", OL_ATTR_STRING, false}};
extern const ol_op ol_op_CausalConvWithState;
const ol_op ol_op_CausalConvWithState = {
    .domain = "", .name = "CausalConvWithState",
    .summary = "causal convolution of each channel, with the places before",
    .min_inputs = 2, .max_inputs = 4, .min_outputs = 1, .max_outputs = 2, OL_ATTRS(attrs),
    .infer = infer, .eval = eval};
