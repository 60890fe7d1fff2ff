/* SPDX-License-Identifier: Apache-2.0 */
/* GatherElements, ScatterElements, GatherND and ScatterND. */
#include "ops/ops.h"

static olv_status get_index(const ol_tensor *ix, int64_t i, int64_t size, int64_t *out, olv_error *err) {
    int64_t k = ol_tensor_i64(ix, i);
    if (k < -size || k >= size)
        return ol_fail(err, OLV_ARG, "index %lld found for a dimension of %lld", (long long)k, (long long)size);
    *out = k < 0 ? k + size : k;
    return OLV_OK;
}

/* y[to] = y[to] op v[from] */
static olv_status combine(ol_tensor *y, int64_t to, const ol_tensor *v, int64_t from, ol_str op, olv_error *err) {
    if (ol_str_is(op, "none")) {
        ol_elems_copy(y, to, v, from, 1);
        return OLV_OK;
    }
    bool f = ol_is_float(y->dtype);
    double a = ol_tensor_get(y, to), b = ol_tensor_get(v, from);
    uint64_t ia = f ? 0 : (uint64_t)ol_tensor_i64(y, to), ib = f ? 0 : (uint64_t)ol_tensor_i64(v, from);
    if (ol_str_is(op, "add")) {
        if (f) ol_tensor_set(y, to, a + b);
        else ol_tensor_set_i64(y, to, (int64_t)(ia + ib));
    } else if (ol_str_is(op, "mul")) {
        if (f) ol_tensor_set(y, to, a * b);
        else ol_tensor_set_i64(y, to, (int64_t)(ia * ib));
    } else if (ol_str_is(op, "max") || ol_str_is(op, "min")) {
        if (ol_str_is(op, "max") ? b > a : b < a) ol_elems_copy(y, to, v, from, 1);
    } else {
        return ol_fail(err, OLV_UNSUPPORTED, "reduction '%.*s'", (int)op.len, op.ptr);
    }
    return OLV_OK;
}

/* The element of x that element `index` of the smaller tensor names, with `along` put in for the axis. */
static int64_t locate(const ol_tensor *x, const int64_t *index, int axis, int64_t along) {
    int64_t at = 0;
    for (int d = 0; d < x->rank; d++) at = at * x->dims[d] + (d == axis ? along : index[d]);
    return at;
}

static void next_index(int64_t *index, const int64_t *dims, int rank) {
    for (int d = rank - 1; d >= 0; d--) {
        if (++index[d] < dims[d]) return;
        index[d] = 0;
    }
}

static olv_status check_elements(const ol_tensor *x, const ol_tensor *ix, int axis, olv_error *err) {
    bool fits = x->rank == ix->rank;
    for (int d = 0; fits && d < x->rank; d++) fits = d == axis || ix->dims[d] <= x->dims[d];
    return fits ? OLV_OK : ol_fail(err, OLV_SHAPE, "indices do not fit into the data");
}

static olv_status eval_gather_elements(ol_eval *c, olv_error *err) {
    const ol_tensor *x, *ix;
    ol_tensor *y;
    int axis;
    int64_t index[OL_MAX_RANK] = {0}, k = 0;
    OL_TRY(ol_eval_need(c, 0, &x, err));
    OL_TRY(ol_eval_need(c, 1, &ix, err));
    OL_TRY(ol_axis(ol_node_int(c->node, "axis", 0), x->rank, false, &axis, err));
    OL_TRY(check_elements(x, ix, axis, err));
    OL_TRY(ol_eval_out(c, 0, x->dtype, x->rank, ix->dims, &y, err));
    for (int64_t i = 0, n = ol_tensor_count(ix); i < n; i++, next_index(index, ix->dims, ix->rank)) {
        OL_TRY(get_index(ix, i, x->dims[axis], &k, err));
        ol_elems_copy(y, i, x, locate(x, index, axis, k), 1);
    }
    return ol_tensor_own_strings(y, err);
}

static olv_status infer_gather_elements(ol_infer *c, olv_error *err) {
    (void)err;
    c->out[0] = *ol_infer_in(c, 1);
    c->out[0].dtype = ol_infer_in(c, 0)->dtype;
    return OLV_OK;
}

static olv_status eval_scatter_elements(ol_eval *c, olv_error *err) {
    const ol_tensor *x, *ix, *v;
    ol_tensor *y;
    int axis;
    int64_t index[OL_MAX_RANK] = {0}, k = 0;
    OL_TRY(ol_eval_need(c, 0, &x, err));
    OL_TRY(ol_eval_need(c, 1, &ix, err));
    OL_TRY(ol_eval_need(c, 2, &v, err));
    OL_TRY(ol_axis(ol_node_int(c->node, "axis", 0), x->rank, false, &axis, err));
    OL_TRY(check_elements(x, ix, axis, err));
    if (v->dtype != x->dtype || v->rank != ix->rank || ol_tensor_count(v) != ol_tensor_count(ix))
        return ol_fail(err, OLV_SHAPE, "updates do not fit to the indices");
    OL_TRY(ol_eval_out(c, 0, x->dtype, x->rank, x->dims, &y, err));
    ol_elems_copy(y, 0, x, 0, ol_tensor_count(x));
    ol_str op = ol_node_string(c->node, "reduction", "none");
    for (int64_t i = 0, n = ol_tensor_count(ix); i < n; i++, next_index(index, ix->dims, ix->rank)) {
        OL_TRY(get_index(ix, i, x->dims[axis], &k, err));
        OL_TRY(combine(y, locate(x, index, axis, k), v, i, op, err));
    }
    return ol_tensor_own_strings(y, err);
}

/* First element and length of the slice that tuple `i` of the indices names in x, below batch `b`. */
static olv_status locate_nd(const ol_tensor *x, const ol_tensor *ix, int64_t i, int64_t b, int batch, int64_t *at,
                            olv_error *err) {
    int depth = (int)ix->dims[ix->rank - 1];
    int64_t k = 0;
    *at = b;
    for (int d = 0; d < depth; d++) {
        OL_TRY(get_index(ix, i * depth + d, x->dims[batch + d], &k, err));
        *at = *at * x->dims[batch + d] + k;
    }
    *at *= ol_dims_count(x->dims, batch + depth, x->rank);
    return OLV_OK;
}

static olv_status eval_gather_nd(ol_eval *c, olv_error *err) {
    const ol_tensor *x, *ix;
    ol_tensor *y;
    int64_t dims[2 * OL_MAX_RANK], at;
    int rank = 0, batch = (int)ol_node_int(c->node, "batch_dims", 0);
    OL_TRY(ol_eval_need(c, 0, &x, err));
    OL_TRY(ol_eval_need(c, 1, &ix, err));
    if (ix->rank < 1 || batch < 0 || batch >= ix->rank || batch + ix->dims[ix->rank - 1] > x->rank ||
        memcmp(x->dims, ix->dims, (size_t)batch * sizeof *dims) != 0)
        return ol_fail(err, OLV_SHAPE, "indices do not fit into the data");
    int depth = (int)ix->dims[ix->rank - 1];
    for (int i = 0; i < ix->rank - 1; i++) dims[rank++] = ix->dims[i];
    for (int i = batch + depth; i < x->rank; i++) dims[rank++] = x->dims[i];
    OL_TRY(ol_eval_out(c, 0, x->dtype, rank, dims, &y, err));
    int64_t tuples = ol_dims_count(ix->dims, 0, ix->rank - 1), each = ol_dims_count(x->dims, batch + depth, x->rank);
    int64_t per = ol_dims_count(ix->dims, batch, ix->rank - 1);
    for (int64_t i = 0; i < tuples; i++) {
        OL_TRY(locate_nd(x, ix, i, i / per, batch, &at, err));
        ol_elems_copy(y, i * each, x, at, each);
    }
    return ol_tensor_own_strings(y, err);
}

static olv_status infer_gather_nd(ol_infer *c, olv_error *err) {
    const ol_type *x = ol_infer_in(c, 0), *ix = ol_infer_in(c, 1);
    int64_t batch = ol_node_int(c->node, "batch_dims", 0);
    c->out[0].dtype = x->dtype;
    if (x->rank < 0 || ix->rank < 1 || !ol_dim_known(ix->dims[ix->rank - 1])) return OLV_OK;
    int64_t from = batch + ix->dims[ix->rank - 1];
    if (batch < 0 || from > x->rank || batch >= ix->rank || ix->rank - 1 + x->rank - from > OL_MAX_RANK)
        return ol_fail(err, OLV_SHAPE, "indices do not fit into the data");
    ol_type t = {.dtype = x->dtype, .rank = 0};
    for (int i = 0; i < ix->rank - 1; i++) t.dims[t.rank++] = ix->dims[i];
    for (int i = (int)from; i < x->rank; i++) t.dims[t.rank++] = x->dims[i];
    c->out[0] = t;
    return OLV_OK;
}

static olv_status eval_scatter_nd(ol_eval *c, olv_error *err) {
    const ol_tensor *x, *ix, *v;
    ol_tensor *y;
    int64_t at;
    OL_TRY(ol_eval_need(c, 0, &x, err));
    OL_TRY(ol_eval_need(c, 1, &ix, err));
    OL_TRY(ol_eval_need(c, 2, &v, err));
    if (ix->rank < 1 || ix->dims[ix->rank - 1] > x->rank) return ol_fail(err, OLV_SHAPE, "indices do not fit");
    int depth = (int)ix->dims[ix->rank - 1];
    int64_t tuples = ol_dims_count(ix->dims, 0, ix->rank - 1), each = ol_dims_count(x->dims, depth, x->rank);
    if (v->dtype != x->dtype || ol_tensor_count(v) != tuples * each)
        return ol_fail(err, OLV_SHAPE, "updates do not fit to the indices");
    OL_TRY(ol_eval_out(c, 0, x->dtype, x->rank, x->dims, &y, err));
    ol_elems_copy(y, 0, x, 0, ol_tensor_count(x));
    ol_str op = ol_node_string(c->node, "reduction", "none");
    for (int64_t i = 0; i < tuples; i++) {
        OL_TRY(locate_nd(x, ix, i, 0, 0, &at, err));
        for (int64_t j = 0; j < each; j++) OL_TRY(combine(y, at + j, v, i * each + j, op, err));
    }
    return ol_tensor_own_strings(y, err);
}

static const ol_attr_spec gather_attrs[] = {{"axis", OL_ATTR_INT, false}};
static const ol_attr_spec scatter_attrs[] = {{"reduction", OL_ATTR_STRING, false}, {"axis", OL_ATTR_INT, false}};
static const ol_attr_spec nd_attrs[] = {{"batch_dims", OL_ATTR_INT, false}};
extern const ol_op ol_op_GatherElements, ol_op_ScatterElements, ol_op_GatherND, ol_op_ScatterND;
const ol_op ol_op_GatherElements = {"", "GatherElements", "one element per index along an axis", 2, 2, 1, 1, gather_attrs,
                                    1, infer_gather_elements, eval_gather_elements, NULL, false, false};
const ol_op ol_op_ScatterElements = {"", "ScatterElements", "writes one element per index along an axis", 3, 3, 1, 1,
                                     scatter_attrs, 2, ol_infer_same, eval_scatter_elements, NULL, false, false};
const ol_op ol_op_GatherND = {"", "GatherND", "slices named by index tuples", 2, 2, 1, 1, nd_attrs, 1, infer_gather_nd,
                              eval_gather_nd, NULL, false, false};
const ol_op ol_op_ScatterND = {"", "ScatterND", "writes slices named by index tuples", 3, 3, 1, 1, scatter_attrs, 1,
                               ol_infer_same, eval_scatter_nd, NULL, false, false};
