/* SPDX-License-Identifier: Apache-2.0 */
/* CenterCropPad: dims cut or padded with zeros on both sides to the sizes asked for; of an odd
 * difference the greater half is at the end. */
#include "ops/window.h"

/* The dims that sizes are given for: `axes`, or all. */
static olv_status listed_axes(const ol_node *n, int rank, int *axes, int *count, olv_error *err) {
    size_t k;
    const int64_t *v = ol_node_ints(n, "axes", &k);
    *count = v ? (int)k : rank;
    if (v && k > (size_t)rank) return ol_fail(err, OLV_SHAPE, "%zu axes for rank %d", k, rank);
    for (int i = 0; i < *count; i++) {
        axes[i] = i;
        if (v) OL_TRY(ol_axis(v[i], rank, false, &axes[i], err));
    }
    return OLV_OK;
}

static olv_status eval(ol_eval *c, olv_error *err) {
    const ol_tensor *x, *shape;
    ol_tensor *y;
    int axes[OL_MAX_RANK], n;
    int64_t dims[OL_MAX_RANK], from[OL_MAX_RANK] = {0}, to[OL_MAX_RANK] = {0};
    int64_t size[OL_MAX_RANK], at[OL_MAX_RANK] = {0};
    OL_TRY(ol_eval_need(c, 0, &x, err));
    OL_TRY(ol_eval_need(c, 1, &shape, err));
    OL_TRY(listed_axes(c->node, x->rank, axes, &n, err));
    if (ol_tensor_count(shape) != n)
        return ol_fail(err, OLV_SHAPE, "%lld sizes for %d axes", (long long)ol_tensor_count(shape), n);
    memcpy(dims, x->dims, sizeof dims);
    for (int i = 0; i < n; i++) dims[axes[i]] = ol_tensor_i64(shape, i);
    OL_TRY(ol_eval_out(c, 0, x->dtype, x->rank, dims, &y, err));
    bool empty = false;
    for (int i = 0; i < x->rank; i++) {
        int64_t more = dims[i] - x->dims[i];
        from[i] = more < 0 ? -more / 2 : 0;
        to[i] = more > 0 ? more / 2 : 0;
        size[i] = more < 0 ? dims[i] : x->dims[i];
        empty |= size[i] == 0;
    }
    if (!empty) do {
            int64_t a = 0, b = 0;
            for (int i = 0; i < x->rank; i++) {
                a = a * x->dims[i] + from[i] + at[i];
                b = b * dims[i] + to[i] + at[i];
            }
            ol_elems_copy(y, b, x, a, 1);
        } while (ol_index_next(at, size, x->rank));
    return ol_tensor_own_strings(y, err);
}

static olv_status infer(ol_infer *c, olv_error *err) {
    const ol_type *x = ol_infer_in(c, 0);
    ol_dim sizes[OL_MAX_RANK];
    int axes[OL_MAX_RANK], n;
    c->out[0] = *x;
    if (x->rank < 0) return OLV_OK;
    OL_TRY(listed_axes(c->node, x->rank, axes, &n, err));
    int given = ol_infer_ints(c, 1, sizes, OL_MAX_RANK);
    if (given >= 0 && given != n) return ol_fail(err, OLV_SHAPE, "%d sizes for %d axes", given, n);
    for (int i = 0; i < n; i++) {
        bool known = given >= 0 && !ol_infer_is_negative(sizes[i]);
        c->out[0].dims[axes[i]] = known ? sizes[i] : ol_infer_fresh(c);
    }
    return OLV_OK;
}

static const ol_attr_spec attrs[] = {{"axes", OL_ATTR_INTS, false}};
extern const ol_op ol_op_CenterCropPad;
const ol_op ol_op_CenterCropPad = {
    .domain = "", .name = "CenterCropPad", .summary = "cut or padded around the centre",
    .min_inputs = 2, .max_inputs = 2, .min_outputs = 1, .max_outputs = 1, OL_ATTRS(attrs),
    .infer = infer, .eval = eval};
