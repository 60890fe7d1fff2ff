/* SPDX-License-Identifier: Apache-2.0 */
/* Gather: picks indices along an axis; negative ones count from the end. */
#include "ops/ops.h"

static olv_status infer(ol_infer *c, olv_error *err) {
    const ol_type *x = ol_infer_in(c, 0), *ix = ol_infer_in(c, 1);
    int axis;
    c->out[0].dtype = x->dtype;
    if (x->rank < 0) return OLV_OK;
    OL_TRY(ol_axis(ol_node_int(c->node, "axis", 0), x->rank, false, &axis, err));
    if (ix->rank < 0) return OLV_OK;
    ol_type t = {.dtype = x->dtype, .rank = 0};
    if (x->rank - 1 + ix->rank > OL_MAX_RANK) return ol_fail(err, OLV_LIMIT, "rank above %d", OL_MAX_RANK);
    for (int i = 0; i < axis; i++) t.dims[t.rank++] = x->dims[i];
    for (int i = 0; i < ix->rank; i++) t.dims[t.rank++] = ix->dims[i];
    for (int i = axis + 1; i < x->rank; i++) t.dims[t.rank++] = x->dims[i];
    c->out[0] = t;
    return OLV_OK;
}

static olv_status eval(ol_eval *c, olv_error *err) {
    const ol_tensor *x, *ix;
    ol_tensor *y;
    int axis, rank = 0;
    int64_t dims[2 * OL_MAX_RANK];
    OL_TRY(ol_eval_need(c, 0, &x, err));
    OL_TRY(ol_eval_need(c, 1, &ix, err));
    OL_TRY(ol_axis(ol_node_int(c->node, "axis", 0), x->rank, false, &axis, err));
    for (int i = 0; i < axis; i++) dims[rank++] = x->dims[i];
    for (int i = 0; i < ix->rank; i++) dims[rank++] = ix->dims[i];
    for (int i = axis + 1; i < x->rank; i++) dims[rank++] = x->dims[i];
    OL_TRY(ol_eval_out(c, 0, x->dtype, rank, dims, &y, err));
    int64_t outer = ol_dims_count(x->dims, 0, axis), inner = ol_dims_count(x->dims, axis + 1, x->rank);
    int64_t n = ol_tensor_count(ix), size = x->dims[axis], at = 0;
    for (int64_t o = 0; o < outer; o++)
        for (int64_t i = 0; i < n; i++, at += inner) {
            int64_t k = ol_tensor_i64(ix, i);
            if (k < -size || k >= size)
                return ol_fail(err, OLV_ARG, "index %lld found for a dimension of %lld", (long long)k, (long long)size);
            ol_elems_copy(y, at, x, (o * size + (k < 0 ? k + size : k)) * inner, inner);
        }
    return ol_tensor_own_strings(y, err);
}

static const ol_attr_spec attrs[] = {{"axis", OL_ATTR_INT, false}};
extern const ol_op ol_op_Gather;
const ol_op ol_op_Gather = {"", "Gather", "picks indices along an axis", 2, 2, 1, 1, attrs, 1, infer, eval, NULL,
                            false, false};
