/* SPDX-License-Identifier: Apache-2.0 */
/* Transpose: permutes the dims; reversed without `perm`. */
#include "ops/ops.h"

static olv_status get_perm(const ol_node *node, int rank, int *perm, olv_error *err) {
    size_t n;
    const int64_t *p = ol_node_ints(node, "perm", &n);
    bool seen[OL_MAX_RANK] = {false};
    if (p && n != (size_t)rank) return ol_fail(err, OLV_SHAPE, "perm of %zu found for rank %d", n, rank);
    for (int i = 0; i < rank; i++) {
        OL_TRY(ol_axis(p ? p[i] : rank - 1 - i, rank, false, &perm[i], err));
        if (seen[perm[i]]) return ol_fail(err, OLV_SHAPE, "perm names dimension %d twice", perm[i]);
        seen[perm[i]] = true;
    }
    return OLV_OK;
}

static olv_status infer(ol_infer *c, olv_error *err) {
    const ol_type *x = ol_infer_in(c, 0);
    int perm[OL_MAX_RANK];
    c->out[0].dtype = x->dtype;
    if (x->rank < 0) return OLV_OK;
    OL_TRY(get_perm(c->node, x->rank, perm, err));
    c->out[0].rank = x->rank;
    for (int i = 0; i < x->rank; i++) c->out[0].dims[i] = x->dims[perm[i]];
    return OLV_OK;
}

static olv_status eval(ol_eval *c, olv_error *err) {
    const ol_tensor *x;
    ol_tensor *y;
    int perm[OL_MAX_RANK];
    int64_t dims[OL_MAX_RANK], stride[OL_MAX_RANK], index[OL_MAX_RANK] = {0};
    OL_TRY(ol_eval_need(c, 0, &x, err));
    OL_TRY(get_perm(c->node, x->rank, perm, err));
    for (int i = 0; i < x->rank; i++) {
        dims[i] = x->dims[perm[i]];
        stride[i] = ol_dims_count(x->dims, perm[i] + 1, x->rank);
    }
    OL_TRY(ol_eval_out(c, 0, x->dtype, x->rank, dims, &y, err));
    int64_t from = 0;
    for (int64_t i = 0, n = ol_tensor_count(x); i < n; i++) {
        ol_elems_copy(y, i, x, from, 1);
        for (int d = x->rank - 1; d >= 0; d--) {
            from += stride[d];
            if (++index[d] < dims[d]) break;
            from -= stride[d] * dims[d];
            index[d] = 0;
        }
    }
    return ol_tensor_own_strings(y, err);
}

static const ol_attr_spec attrs[] = {{"perm", OL_ATTR_INTS, false}};
extern const ol_op ol_op_Transpose;
const ol_op ol_op_Transpose = {"", "Transpose", "permutes the dims", 1, 1, 1, 1, attrs, 1, infer, eval, NULL, false,
                               false};
