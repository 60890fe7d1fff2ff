/* SPDX-License-Identifier: Apache-2.0 */
/* Slice: ranges with steps along axes; ends are clamped. */
#include "ops/ops.h"

/* Clamps start and end of one axis as ONNX says; returns the number of elements. */
static int64_t clamp_range(int64_t size, int64_t *start, int64_t end, int64_t step) {
    int64_t s = *start < 0 ? *start + size : *start, e = end < 0 ? (end < -size ? -1 : end + size) : end;
    if (step > 0) {
        s = s < 0 ? 0 : s > size ? size : s;
        e = end < -size ? 0 : e > size ? size : e;
        *start = s;
        return e > s ? (e - s - 1) / step + 1 : 0;
    }
    s = s < 0 ? (*start < -size ? -1 : 0) : s > size - 1 ? size - 1 : s;
    e = e > size - 1 ? size - 1 : e;
    *start = s;
    return s > e ? (int64_t)(((uint64_t)(s - e) - 1) / (0 - (uint64_t)step)) + 1 : 0;
}

static olv_status eval(ol_eval *c, olv_error *err) {
    const ol_tensor *x, *starts, *ends, *axes = ol_eval_in(c, 3), *steps = ol_eval_in(c, 4);
    ol_tensor *y;
    int64_t dims[OL_MAX_RANK], first = 0, step_of[OL_MAX_RANK], stride[OL_MAX_RANK], index[OL_MAX_RANK] = {0};
    OL_TRY(ol_eval_need(c, 0, &x, err));
    OL_TRY(ol_eval_need(c, 1, &starts, err));
    OL_TRY(ol_eval_need(c, 2, &ends, err));
    int64_t n = ol_tensor_count(starts);
    if (ol_tensor_count(ends) != n || (axes && ol_tensor_count(axes) != n) || (steps && ol_tensor_count(steps) != n) ||
        n > x->rank)
        return ol_fail(err, OLV_SHAPE, "starts, ends, axes and steps differ in length");
    for (int i = 0; i < x->rank; i++) {
        dims[i] = x->dims[i];
        step_of[i] = 1;
        stride[i] = ol_dims_count(x->dims, i + 1, x->rank);
    }
    for (int i = 0; i < (int)n; i++) {
        int a;
        OL_TRY(ol_axis(axes ? ol_tensor_i64(axes, i) : i, x->rank, false, &a, err));
        int64_t start = ol_tensor_i64(starts, i), step = steps ? ol_tensor_i64(steps, i) : 1;
        if (step == 0) return ol_fail(err, OLV_SHAPE, "step 0 found");
        dims[a] = clamp_range(x->dims[a], &start, ol_tensor_i64(ends, i), step);
        if (dims[a] > 0) first += start * stride[a];
        step_of[a] = dims[a] > 1 ? step : 1;
    }
    OL_TRY(ol_eval_out(c, 0, x->dtype, x->rank, dims, &y, err));
    for (int64_t i = 0, count = ol_tensor_count(y), from = first; i < count; i++) {
        ol_elems_copy(y, i, x, from, 1);
        for (int d = x->rank - 1; d >= 0; d--) {
            from += stride[d] * step_of[d];
            if (++index[d] < dims[d]) break;
            from -= stride[d] * step_of[d] * dims[d];
            index[d] = 0;
        }
    }
    return ol_tensor_own_strings(y, err);
}

/* Size of x[start:end] with symbolic size; only the plain cases stay symbolic. */
static ol_dim sliced(ol_infer *c, ol_dim size, ol_dim start, ol_dim end, int64_t step) {
    ol_dim_table *t = c->graph->dims;
    bool neg_start = ol_infer_is_negative(start), neg_end = ol_infer_is_negative(end);
    bool plain_start = neg_start || start >= 0, plain_end = neg_end || end >= 0;
    if (ol_dim_known(size) && plain_start && plain_end) {
        int64_t s = ol_infer_decode(start);
        return clamp_range(size, &s, ol_infer_decode(end), step);
    }
    if (step != 1) return ol_infer_fresh(c);
    bool to_end = end >= INT32_MAX || end == size;
    if (to_end && start == 0) return size;
    ol_dim d = OL_DIM_NONE;
    if (neg_start && to_end) d = ol_dim_min(t, size, -ol_infer_decode(start));
    else if (to_end && !neg_start) d = ol_dim_max(t, 0, ol_dim_sub(t, size, start));
    else if (start == 0 && neg_end) d = ol_dim_max(t, 0, ol_dim_sub(t, size, -ol_infer_decode(end)));
    else if (start == 0 && !neg_end) d = ol_dim_min(t, size, end);
    return d == OL_DIM_NONE ? ol_infer_fresh(c) : d;
}

static olv_status infer(ol_infer *c, olv_error *err) {
    const ol_type *x = ol_infer_in(c, 0), *st = ol_infer_in(c, 1);
    ol_dim s[OL_MAX_RANK], e[OL_MAX_RANK], a[OL_MAX_RANK], p[OL_MAX_RANK];
    c->out[0].dtype = x->dtype;
    if (x->rank < 0) return OLV_OK;
    int ns = ol_infer_ints(c, 1, s, OL_MAX_RANK), ne = ol_infer_ints(c, 2, e, OL_MAX_RANK);
    int count = st->rank == 1 && ol_dim_known(st->dims[0]) && st->dims[0] <= x->rank ? (int)st->dims[0] : ns;
    int na = ol_infer_in(c, 3) ? ol_infer_ints(c, 3, a, OL_MAX_RANK) : -2;
    int np = ol_infer_in(c, 4) ? ol_infer_ints(c, 4, p, OL_MAX_RANK) : -2;
    c->out[0] = *x;
    if (count < 0 || na == -1) {
        ol_infer_set(c, 0, x->dtype, x->rank);
        return OLV_OK;
    }
    for (int i = 0; i < count; i++) {
        int axis;
        OL_TRY(ol_axis(na >= 0 && i < na ? ol_infer_decode(a[i]) : i, x->rank, false, &axis, err));
        int64_t step = np == -2 ? 1 : np > i ? ol_infer_decode(p[i]) : 0;
        if (np > i && step == 0) return ol_fail(err, OLV_SHAPE, "step 0 found");
        bool known = ns > i && ne > i && step != 0;
        c->out[0].dims[axis] = known ? sliced(c, x->dims[axis], s[i], e[i], step) : ol_infer_fresh(c);
    }
    return OLV_OK;
}

extern const ol_op ol_op_Slice;
const ol_op ol_op_Slice = {"", "Slice", "ranges with steps along axes", 3, 5, 1, 1, NULL, 0, infer, eval, NULL, false,
                           false};
