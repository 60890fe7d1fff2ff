/* SPDX-License-Identifier: Apache-2.0 */
/* Split: cuts a tensor along an axis into parts of given sizes, or into equal ones of which the last may be smaller. */
#include "ops/ops.h"

/* Sizes for n parts of `size` without given sizes. */
static int64_t part(int64_t size, int n, int i) {
    int64_t each = (size + n - 1) / n, start = each * i;
    return start >= size ? 0 : start + each > size ? size - start : each;
}

static olv_status infer(ol_infer *c, olv_error *err) {
    const ol_type *x = ol_infer_in(c, 0);
    ol_dim sizes[64];
    int axis, n = c->node->n_outputs;
    int given = ol_infer_in(c, 1) ? ol_infer_ints(c, 1, sizes, 64) : -1;
    for (int i = 0; i < n; i++) c->out[i].dtype = x->dtype;
    if (x->rank < 0) return OLV_OK;
    OL_TRY(ol_axis(ol_node_int(c->node, "axis", 0), x->rank, false, &axis, err));
    if (given >= 0 && given != n) return ol_fail(err, OLV_SHAPE, "%d sizes found for %d outputs", given, n);
    for (int i = 0; i < n; i++) {
        c->out[i] = *x;
        ol_dim d = x->dims[axis];
        if (given >= 0) c->out[i].dims[axis] = ol_infer_is_negative(sizes[i]) ? OL_DIM_NONE : sizes[i];
        else if (ol_infer_in(c, 1)) c->out[i].dims[axis] = ol_infer_fresh(c);
        else if (ol_dim_known(d)) c->out[i].dims[axis] = part(d, n, i);
        else c->out[i].dims[axis] = i + 1 < n ? ol_dim_div_ceil(c->graph->dims, d, n) : ol_infer_fresh(c);
    }
    return OLV_OK;
}

static olv_status eval(ol_eval *c, olv_error *err) {
    const ol_tensor *x, *sizes = ol_eval_in(c, 1);
    int axis, n = c->node->n_outputs;
    int64_t start = 0, dims[OL_MAX_RANK];
    OL_TRY(ol_eval_need(c, 0, &x, err));
    OL_TRY(ol_axis(ol_node_int(c->node, "axis", 0), x->rank, false, &axis, err));
    if (sizes && ol_tensor_count(sizes) != n)
        return ol_fail(err, OLV_SHAPE, "%lld sizes found for %d outputs", (long long)ol_tensor_count(sizes), n);
    memcpy(dims, x->dims, sizeof dims);
    int64_t outer = ol_dims_count(dims, 0, axis), inner = ol_dims_count(dims, axis + 1, x->rank);
    for (int i = 0; i < n; i++) {
        ol_tensor *y;
        int64_t size = sizes ? ol_tensor_i64(sizes, i) : part(x->dims[axis], n, i);
        if (size < 0 || size > x->dims[axis] - start)
            return ol_fail(err, OLV_SHAPE, "part %d of %lld does not fit into %lld", i, (long long)size,
                           (long long)x->dims[axis]);
        dims[axis] = size;
        OL_TRY(ol_eval_out(c, i, x->dtype, x->rank, dims, &y, err));
        for (int64_t o = 0; o < outer; o++)
            ol_elems_copy(y, o * size * inner, x, (o * x->dims[axis] + start) * inner, size * inner);
        OL_TRY(ol_tensor_own_strings(y, err));
        start += size;
    }
    return start == x->dims[axis] ? OLV_OK : ol_fail(err, OLV_SHAPE, "the parts make %lld of %lld", (long long)start,
                                                     (long long)x->dims[axis]);
}

static const ol_attr_spec attrs[] = {{"axis", OL_ATTR_INT, false}, {"num_outputs", OL_ATTR_INT, false}};
extern const ol_op ol_op_Split;
const ol_op ol_op_Split = {"", "Split", "cuts a tensor along an axis", 1, 2, 1, -1, attrs, 2, infer, eval, NULL,
                           false, false};
