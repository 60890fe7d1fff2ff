/* SPDX-License-Identifier: Apache-2.0 */
/* LayerNormalization and RMSNormalization over the dims from `axis` on, in double. */
#include "ops/ops.h"

static olv_status eval_norm(ol_eval *c, bool center, olv_error *err) {
    const ol_tensor *x, *scale = ol_eval_in(c, 1), *bias = center ? ol_eval_in(c, 2) : NULL;
    ol_tensor *y, *mean = NULL, *inv = NULL;
    ol_walk ws, wb;
    int axis;
    OL_TRY(ol_eval_need(c, 0, &x, err));
    OL_TRY(ol_axis(ol_node_int(c->node, "axis", -1), x->rank, false, &axis, err));
    if (!scale) return ol_fail(err, OLV_ARG, "input 1 is missing");
    OL_TRY(ol_eval_out(c, 0, scale->dtype == x->dtype || center ? x->dtype : scale->dtype, x->rank, x->dims, &y, err));
    OL_TRY(ol_walk_init(&ws, (const ol_tensor *[]){x, scale}, 2, err));
    OL_TRY(ol_walk_init(&wb, (const ol_tensor *[]){x, bias ? bias : scale}, 2, err));
    if (ws.count != ol_tensor_count(x) || wb.count != ws.count)
        return ol_fail(err, OLV_SHAPE, "scale or bias is larger than the input");
    int64_t stat[OL_MAX_RANK], n = ol_dims_count(x->dims, axis, x->rank), rows = ol_dims_count(x->dims, 0, axis);
    for (int i = 0; i < x->rank; i++) stat[i] = i < axis ? x->dims[i] : 1;
    if (center && c->node->n_outputs > 1) OL_TRY(ol_eval_out(c, 1, OL_F32, x->rank, stat, &mean, err));
    if (center && c->node->n_outputs > 2) OL_TRY(ol_eval_out(c, 2, OL_F32, x->rank, stat, &inv, err));
    double eps = (double)ol_node_float(c->node, "epsilon", 1e-5f);
    for (int64_t r = 0; r < rows; r++) {
        double m = 0, sq = 0;
        for (int64_t i = 0; center && i < n; i++) m += ol_tensor_get(x, r * n + i);
        if (n) m /= (double)n;
        for (int64_t i = 0; i < n; i++) {
            double d = ol_tensor_get(x, r * n + i) - m;
            sq += d * d;
        }
        double s = 1 / sqrt(sq / (double)(n ? n : 1) + eps);
        if (mean) ol_tensor_set(mean, r, m);
        if (inv) ol_tensor_set(inv, r, s);
        for (int64_t i = 0; i < n; i++, ol_walk_next(&ws), ol_walk_next(&wb)) {
            double v = (ol_tensor_get(x, r * n + i) - m) * s * ol_tensor_get(scale, ws.at[1]);
            ol_tensor_set(y, r * n + i, bias ? v + ol_tensor_get(bias, wb.at[1]) : v);
        }
    }
    return OLV_OK;
}

static olv_status infer(ol_infer *c, olv_error *err) {
    const ol_type *x = ol_infer_in(c, 0), *scale = ol_infer_in(c, 1);
    bool center = !strcmp(c->node->op->name, "LayerNormalization");
    int axis = 0;
    c->out[0] = *x;
    if (!center && scale->dtype != OL_DTYPE_NONE) c->out[0].dtype = scale->dtype;
    if (x->rank < 0) return OLV_OK;
    OL_TRY(ol_axis(ol_node_int(c->node, "axis", -1), x->rank, false, &axis, err));
    for (int k = 1; k < c->node->n_outputs; k++) {
        c->out[k] = *x;
        c->out[k].dtype = OL_F32;
        for (int i = axis; i < x->rank; i++) c->out[k].dims[i] = 1;
    }
    if (scale->rank == 1 && axis == x->rank - 1 && scale->dims[0] > 1 && x->dims[axis] >= 0 &&
        scale->dims[0] != x->dims[axis])
        return ol_fail(err, OLV_SHAPE, "scale of %lld values found for rows of %lld", (long long)scale->dims[0],
                       (long long)x->dims[axis]);
    return OLV_OK;
}

static olv_status eval_layer(ol_eval *c, olv_error *err) { return eval_norm(c, true, err); }
static olv_status eval_rms(ol_eval *c, olv_error *err) { return eval_norm(c, false, err); }

static const ol_attr_spec attrs[] = {
    {"axis", OL_ATTR_INT, false}, {"epsilon", OL_ATTR_FLOAT, false}, {"stash_type", OL_ATTR_INT, false}};
extern const ol_op ol_op_LayerNormalization, ol_op_RMSNormalization;
const ol_op ol_op_LayerNormalization = {"", "LayerNormalization", "(x - mean) / sqrt(variance + epsilon) * scale + bias",
                                        2, 3, 1, 3, attrs, 3, infer, eval_layer, NULL, false, false};
const ol_op ol_op_RMSNormalization = {"", "RMSNormalization", "x / sqrt(mean of squares + epsilon) * scale",
                                      2, 2, 1, 1, attrs, 3, infer, eval_rms, NULL, false, false};
