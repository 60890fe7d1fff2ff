/* SPDX-License-Identifier: Apache-2.0 */
/* CumSum, CumProd, NonZero, Compress, ReverseSequence: along-axis work. */
#include "ops/ops.h"

static olv_status eval_cum(ol_eval *c, bool product, olv_error *err) {
    const ol_tensor *x, *at;
    ol_tensor *y;
    int axis;
    OL_TRY(ol_eval_need(c, 0, &x, err));
    OL_TRY(ol_eval_need(c, 1, &at, err));
    if (ol_tensor_count(at) != 1) return ol_fail(err, OLV_SHAPE, "axis is no scalar");
    OL_TRY(ol_axis(ol_tensor_i64(at, 0), x->rank, false, &axis, err));
    bool exclusive = ol_node_int(c->node, "exclusive", 0) != 0, reverse = ol_node_int(c->node, "reverse", 0) != 0;
    OL_TRY(ol_eval_out(c, 0, x->dtype, x->rank, x->dims, &y, err));
    int64_t n = x->dims[axis], inner = ol_dims_count(x->dims, axis + 1, x->rank), outer = ol_dims_count(x->dims, 0, axis);
    bool exact = ol_is_int(x->dtype);
    for (int64_t l = 0; l < outer * inner; l++) {
        double acc = product;
        uint64_t sum = product;
        for (int64_t k = 0; k < n; k++) {
            int64_t i = (l / inner * n + (reverse ? n - 1 - k : k)) * inner + l % inner;
            double v = acc;
            uint64_t s = sum;
            if (exact) sum = product ? sum * (uint64_t)ol_tensor_i64(x, i) : sum + (uint64_t)ol_tensor_i64(x, i);
            else acc = product ? acc * ol_tensor_get(x, i) : acc + ol_tensor_get(x, i);
            if (exact) ol_tensor_set_i64(y, i, (int64_t)(exclusive ? s : sum));
            else ol_tensor_set(y, i, exclusive ? v : acc);
        }
    }
    return OLV_OK;
}
static olv_status eval_sum(ol_eval *c, olv_error *err) { return eval_cum(c, false, err); }
static olv_status eval_prod(ol_eval *c, olv_error *err) { return eval_cum(c, true, err); }

static bool is_set(const ol_tensor *x, int64_t i) {
    if (x->dtype == OL_STRING) return ((const ol_str *)x->data)[i].len != 0;
    return ol_is_float(x->dtype) ? ol_tensor_get(x, i) != 0 : ol_tensor_i64(x, i) != 0;
}

static olv_status eval_nonzero(ol_eval *c, olv_error *err) {
    const ol_tensor *x;
    ol_tensor *y;
    OL_TRY(ol_eval_need(c, 0, &x, err));
    int64_t n = ol_tensor_count(x), found = 0, at = 0;
    for (int64_t i = 0; i < n; i++) found += is_set(x, i);
    OL_TRY(ol_eval_out(c, 0, OL_I64, 2, (int64_t[]){x->rank, found}, &y, err));
    for (int64_t i = 0; i < n; i++) {
        if (!is_set(x, i)) continue;
        int64_t rest = i;
        for (int d = x->rank - 1; d >= 0; d--) {
            ((int64_t *)y->data)[d * found + at] = rest % x->dims[d];
            rest /= x->dims[d];
        }
        at++;
    }
    return OLV_OK;
}

static olv_status infer_nonzero(ol_infer *c, olv_error *err) {
    (void)err;
    ol_infer_set(c, 0, OL_I64, 2);
    if (ol_infer_in(c, 0)->rank >= 0) c->out[0].dims[0] = ol_infer_in(c, 0)->rank;
    return OLV_OK;
}

static olv_status eval_compress(ol_eval *c, olv_error *err) {
    const ol_tensor *x, *cond;
    ol_tensor *y;
    int axis = 0;
    int64_t dims[OL_MAX_RANK], kept = 0, at = 0;
    OL_TRY(ol_eval_need(c, 0, &x, err));
    OL_TRY(ol_eval_need(c, 1, &cond, err));
    bool flat = !ol_node_attr(c->node, "axis");
    if (!flat) OL_TRY(ol_axis(ol_node_int(c->node, "axis", 0), x->rank, false, &axis, err));
    int64_t n = flat ? ol_tensor_count(x) : x->dims[axis], inner = flat ? 1 : ol_dims_count(x->dims, axis + 1, x->rank);
    int64_t outer = flat ? 1 : ol_dims_count(x->dims, 0, axis), m = ol_tensor_count(cond) < n ? ol_tensor_count(cond) : n;
    for (int64_t i = 0; i < m; i++) kept += is_set(cond, i);
    memcpy(dims, x->dims, sizeof dims);
    dims[axis] = kept;
    OL_TRY(ol_eval_out(c, 0, x->dtype, flat ? 1 : x->rank, dims, &y, err));
    for (int64_t o = 0; o < outer; o++)
        for (int64_t i = 0; i < m; i++) {
            if (!is_set(cond, i)) continue;
            ol_elems_copy(y, at, x, (o * n + i) * inner, inner);
            at += inner;
        }
    return ol_tensor_own_strings(y, err);
}

static olv_status infer_compress(ol_infer *c, olv_error *err) {
    const ol_type *x = ol_infer_in(c, 0);
    int axis;
    if (!ol_node_attr(c->node, "axis")) {
        ol_infer_set(c, 0, x->dtype, 1);
        return OLV_OK;
    }
    c->out[0] = *x;
    if (x->rank < 0) return OLV_OK;
    OL_TRY(ol_axis(ol_node_int(c->node, "axis", 0), x->rank, false, &axis, err));
    c->out[0].dims[axis] = ol_infer_fresh(c);
    return OLV_OK;
}

static olv_status eval_reverse(ol_eval *c, olv_error *err) {
    const ol_tensor *x, *lens;
    ol_tensor *y;
    OL_TRY(ol_eval_need(c, 0, &x, err));
    OL_TRY(ol_eval_need(c, 1, &lens, err));
    int64_t ba = ol_node_int(c->node, "batch_axis", 1), ta = ol_node_int(c->node, "time_axis", 0);
    if (x->rank < 2 || ba == ta || ba < 0 || ba > 1 || ta < 0 || ta > 1 || ol_tensor_count(lens) != x->dims[ba])
        return ol_fail(err, OLV_SHAPE, "axes or lengths do not fit");
    OL_TRY(ol_eval_out(c, 0, x->dtype, x->rank, x->dims, &y, err));
    int64_t inner = ol_dims_count(x->dims, 2, x->rank);
    for (int64_t b = 0; b < x->dims[ba]; b++)
        for (int64_t t = 0; t < x->dims[ta]; t++) {
            int64_t len = ol_tensor_i64(lens, b), from = t < len && len <= x->dims[ta] ? len - 1 - t : t;
            int64_t to = ba == 0 ? b * x->dims[1] + t : t * x->dims[1] + b;
            int64_t src = ba == 0 ? b * x->dims[1] + from : from * x->dims[1] + b;
            ol_elems_copy(y, to * inner, x, src * inner, inner);
        }
    return ol_tensor_own_strings(y, err);
}

static const ol_attr_spec cum_attrs[] = {{"exclusive", OL_ATTR_INT, false}, {"reverse", OL_ATTR_INT, false}};
static const ol_attr_spec axis_attrs[] = {{"axis", OL_ATTR_INT, false}};
static const ol_attr_spec rev_attrs[] = {{"batch_axis", OL_ATTR_INT, false}, {"time_axis", OL_ATTR_INT, false}};
extern const ol_op ol_op_CumSum, ol_op_CumProd, ol_op_NonZero, ol_op_Compress, ol_op_ReverseSequence;
const ol_op ol_op_CumSum = {"", "CumSum", "running sum along an axis", 2, 2, 1, 1, cum_attrs, 2, ol_infer_same, eval_sum, NULL, false, false};
const ol_op ol_op_CumProd = {"", "CumProd", "running product along an axis", 2, 2, 1, 1, cum_attrs, 2, ol_infer_same, eval_prod, NULL, false, false};
const ol_op ol_op_NonZero = {"", "NonZero", "indices of elements that are not zero", 1, 1, 1, 1, NULL, 0, infer_nonzero, eval_nonzero, NULL, false, false};
const ol_op ol_op_Compress = {"", "Compress", "slices where a condition holds", 2, 2, 1, 1, axis_attrs, 1, infer_compress, eval_compress, NULL, false, false};
const ol_op ol_op_ReverseSequence = {"", "ReverseSequence", "reverses the first part of each sequence", 2, 2, 1, 1, rev_attrs, 2, ol_infer_same, eval_reverse, NULL, false, false};
