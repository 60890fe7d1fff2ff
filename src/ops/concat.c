/* SPDX-License-Identifier: Apache-2.0 */
/* Concat: joins tensors along an axis. */
#include "ops/ops.h"

static olv_status infer(ol_infer *c, olv_error *err) {
    const ol_type *x = ol_infer_in(c, 0);
    int axis;
    c->out[0].dtype = x->dtype;
    if (x->rank < 0) return OLV_OK;
    OL_TRY(ol_axis(ol_node_int(c->node, "axis", 0), x->rank, false, &axis, err));
    ol_type t = *x;
    for (int i = 1; i < c->node->n_inputs; i++) {
        const ol_type *y = ol_infer_in(c, i);
        if (!y || y->rank < 0) {
            t.dims[axis] = ol_infer_fresh(c);
            continue;
        }
        if (y->rank != x->rank)
            return ol_fail(err, OLV_SHAPE, "input %d of rank %d found, %d expected", i, y->rank, x->rank);
        for (int d = 0; d < x->rank; d++) {
            if (d == axis) t.dims[d] = ol_dim_add(c->graph->dims, t.dims[d], y->dims[d]);
            else if (!ol_dim_known(t.dims[d])) t.dims[d] = y->dims[d];
            else if (ol_dim_known(y->dims[d]) && y->dims[d] != t.dims[d])
                return ol_fail(err, OLV_SHAPE, "input %d has %lld in dimension %d, %lld expected", i,
                               (long long)y->dims[d], d, (long long)t.dims[d]);
        }
        if (t.dims[axis] == OL_DIM_NONE) t.dims[axis] = ol_infer_fresh(c);
    }
    c->out[0] = t;
    return OLV_OK;
}

static olv_status eval(ol_eval *c, olv_error *err) {
    const ol_tensor *x;
    ol_tensor *y;
    int axis;
    int64_t dims[OL_MAX_RANK], total = 0;
    OL_TRY(ol_eval_need(c, 0, &x, err));
    OL_TRY(ol_axis(ol_node_int(c->node, "axis", 0), x->rank, false, &axis, err));
    memcpy(dims, x->dims, sizeof dims);
    for (int i = 0; i < c->node->n_inputs; i++) {
        const ol_tensor *t;
        OL_TRY(ol_eval_need(c, i, &t, err));
        bool fits = t->rank == x->rank && t->dtype == x->dtype;
        for (int d = 0; fits && d < x->rank; d++) fits = d == axis || t->dims[d] == x->dims[d];
        if (!fits || !ol_add_i64(total, t->dims[axis], &total))
            return ol_fail(err, OLV_SHAPE, "input %d does not fit to input 0", i);
    }
    dims[axis] = total;
    OL_TRY(ol_eval_out(c, 0, x->dtype, x->rank, dims, &y, err));
    int64_t outer = ol_dims_count(dims, 0, axis), inner = ol_dims_count(dims, axis + 1, x->rank), at = 0;
    for (int64_t o = 0; o < outer; o++)
        for (int i = 0; i < c->node->n_inputs; i++) {
            const ol_tensor *t = ol_eval_in(c, i);
            int64_t n = t->dims[axis] * inner;
            ol_elems_copy(y, at, t, o * n, n);
            at += n;
        }
    return ol_tensor_own_strings(y, err);
}

static const ol_attr_spec attrs[] = {{"axis", OL_ATTR_INT, true}};
extern const ol_op ol_op_Concat;
const ol_op ol_op_Concat = {"", "Concat", "joins tensors along an axis", 1, -1, 1, 1, attrs, 1, infer, eval, NULL,
                            false, false};
