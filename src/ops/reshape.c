/* SPDX-License-Identifier: Apache-2.0 */
/* Operators that keep the elements in their order: Reshape, Flatten, Squeeze, Unsqueeze, Identity. */
#include "ops/ops.h"

/* Output 0 is input 0 under another shape of equal count. */
static olv_status same_elements(ol_eval *c, int rank, const int64_t *dims, olv_error *err) {
    const ol_tensor *x;
    ol_tensor *y;
    OL_TRY(ol_eval_need(c, 0, &x, err));
    OL_TRY(ol_eval_out(c, 0, x->dtype, rank, dims, &y, err));
    if (ol_tensor_count(y) != ol_tensor_count(x)) {
        char from[160], to[160];
        ol_tensor_describe(x, from, sizeof from);
        ol_tensor_describe(y, to, sizeof to);
        return ol_fail(err, OLV_SHAPE, "%s found, it does not fit into %s", from, to);
    }
    ol_elems_copy(y, 0, x, 0, ol_tensor_count(x));
    return ol_tensor_own_strings(y, err);
}

static olv_status eval_reshape(ol_eval *c, olv_error *err) {
    const ol_tensor *x, *shape;
    int64_t dims[OL_MAX_RANK], known = 1;
    int hole = -1;
    OL_TRY(ol_eval_need(c, 0, &x, err));
    OL_TRY(ol_eval_need(c, 1, &shape, err));
    int64_t n = ol_tensor_count(shape);
    if (n > OL_MAX_RANK) return ol_fail(err, OLV_LIMIT, "rank %lld found, at most 16 expected", (long long)n);
    bool allow_zero = ol_node_int(c->node, "allowzero", 0) != 0;
    for (int i = 0; i < (int)n; i++) {
        dims[i] = ol_tensor_i64(shape, i);
        if (dims[i] == 0 && !allow_zero) dims[i] = i < x->rank ? x->dims[i] : 0;
        if (dims[i] == -1 && hole < 0) hole = i;
        else if (dims[i] < 0) return ol_fail(err, OLV_SHAPE, "size %lld found", (long long)dims[i]);
        else if (!ol_mul_i64(known, dims[i], &known)) return ol_fail(err, OLV_LIMIT, "shape too large");
    }
    if (hole >= 0) {
        if (known == 0 || ol_tensor_count(x) % known)
            return ol_fail(err, OLV_SHAPE, "%lld elements do not fit into rows of %lld",
                           (long long)ol_tensor_count(x), (long long)known);
        dims[hole] = ol_tensor_count(x) / known;
    }
    return same_elements(c, (int)n, dims, err);
}

/* The size for -1: the quotient of both products, after equal factors went away on both sides. */
static ol_dim missing_dim(ol_infer *c, const ol_type *x, const ol_type *y, int hole) {
    bool used[OL_MAX_RANK] = {false};
    ol_dim num = 1, den = 1;
    for (int i = 0; i < y->rank; i++) {
        if (i == hole) continue;
        int j = 0;
        while (j < x->rank && (used[j] || x->dims[j] != y->dims[i])) j++;
        if (j < x->rank) used[j] = true;
        else den = ol_dim_mul(c->graph->dims, den, y->dims[i]);
        if (den == OL_DIM_NONE) return ol_infer_fresh(c);
    }
    for (int j = 0; j < x->rank; j++)
        if (!used[j] && (num = ol_dim_mul(c->graph->dims, num, x->dims[j])) == OL_DIM_NONE) return ol_infer_fresh(c);
    if (den == 0) return ol_infer_fresh(c);
    ol_dim d = den == 1 ? num : ol_dim_div_floor(c->graph->dims, num, den);
    return d == OL_DIM_NONE ? ol_infer_fresh(c) : d;
}

static olv_status infer_reshape(ol_infer *c, olv_error *err) {
    const ol_type *x = ol_infer_in(c, 0), *s = ol_infer_in(c, 1);
    ol_dim want[OL_MAX_RANK];
    int n = ol_infer_sizes(c, 1, want, OL_MAX_RANK), hole = -1;
    bool open = false; /* some size is not known */
    bool allow_zero = ol_node_int(c->node, "allowzero", 0) != 0;
    OL_TRY(ol_infer_rank(c, 1, 1, 1, err));
    c->out[0].dtype = x->dtype;
    if (n < 0) {
        if (s->rank == 1 && ol_dim_known(s->dims[0]) && s->dims[0] <= OL_MAX_RANK)
            ol_infer_set(c, 0, x->dtype, (int)s->dims[0]);
        return OLV_OK;
    }
    ol_type *y = &c->out[0];
    y->rank = n;
    for (int i = 0; i < n; i++) {
        if (want[i] == OL_DIM_NONE) {
            want[i] = ol_infer_fresh(c);
            open = true;
        } else if (ol_infer_is_negative(want[i])) {
            if (hole >= 0 || ol_infer_decode(want[i]) != -1)
                return ol_fail(err, OLV_SHAPE, "size %lld found", (long long)ol_infer_decode(want[i]));
            hole = i;
        } else if (want[i] == 0 && !allow_zero) {
            want[i] = x->rank < 0 ? ol_infer_fresh(c) : i < x->rank ? x->dims[i] : 0;
        }
        y->dims[i] = want[i];
    }
    if (hole >= 0) y->dims[hole] = x->rank < 0 || open ? ol_infer_fresh(c) : missing_dim(c, x, y, hole);
    return OLV_OK;
}

static olv_status eval_flatten(ol_eval *c, olv_error *err) {
    const ol_tensor *x;
    int axis;
    OL_TRY(ol_eval_need(c, 0, &x, err));
    OL_TRY(ol_axis(ol_node_int(c->node, "axis", 1), x->rank, true, &axis, err));
    return same_elements(c, 2, (int64_t[]){ol_dims_count(x->dims, 0, axis), ol_dims_count(x->dims, axis, x->rank)},
                         err);
}

static olv_status infer_flatten(ol_infer *c, olv_error *err) {
    const ol_type *x = ol_infer_in(c, 0);
    int axis;
    ol_infer_set(c, 0, x->dtype, 2);
    if (x->rank < 0) return OLV_OK;
    OL_TRY(ol_axis(ol_node_int(c->node, "axis", 1), x->rank, true, &axis, err));
    for (int side = 0; side < 2; side++) {
        ol_dim d = 1;
        for (int i = side ? axis : 0; i < (side ? x->rank : axis) && d != OL_DIM_NONE; i++)
            d = ol_dim_mul(c->graph->dims, d, x->dims[i]);
        if (d != OL_DIM_NONE) c->out[0].dims[side] = d;
    }
    return OLV_OK;
}

/* Marks the axes among `rank`; fails on those out of range or named twice. */
static olv_status mark_axes(const int64_t *axes, int64_t n, int rank, bool *mark, olv_error *err) {
    for (int64_t i = 0; i < n; i++) {
        int a;
        OL_TRY(ol_axis(axes[i], rank, false, &a, err));
        if (mark[a]) return ol_fail(err, OLV_SHAPE, "axis %d is named twice", a);
        mark[a] = true;
    }
    return OLV_OK;
}

static olv_status eval_axes(ol_eval *c, bool add, olv_error *err) {
    const ol_tensor *x, *t = ol_eval_in(c, 1);
    bool mark[OL_MAX_RANK] = {false};
    int64_t dims[OL_MAX_RANK], *axes = NULL, n = 0;
    OL_TRY(ol_eval_need(c, 0, &x, err));
    if (t) OL_TRY(ol_tensor_i64s(t, &axes, &n, err));
    int rank = x->rank + (add ? (int)n : 0), out = 0;
    olv_status s = n > OL_MAX_RANK || rank > OL_MAX_RANK ? ol_fail(err, OLV_LIMIT, "rank above %d", OL_MAX_RANK)
                                                         : mark_axes(axes, n, rank, mark, err);
    ol_free(axes);
    OL_TRY(s);
    if (add) {
        for (int i = 0, from = 0; i < rank; i++) dims[i] = mark[i] ? 1 : x->dims[from++];
        return same_elements(c, rank, dims, err);
    }
    for (int i = 0; i < rank; i++) {
        if (mark[i] && x->dims[i] != 1)
            return ol_fail(err, OLV_SHAPE, "dimension %d of size %lld found, 1 expected", i, (long long)x->dims[i]);
        if (!(t ? mark[i] : x->dims[i] == 1)) dims[out++] = x->dims[i];
    }
    return same_elements(c, out, dims, err);
}

static olv_status infer_axes(ol_infer *c, bool add, olv_error *err) {
    const ol_type *x = ol_infer_in(c, 0), *t = ol_infer_in(c, 1);
    ol_dim axes[OL_MAX_RANK];
    int n = t ? ol_infer_ints(c, 1, axes, OL_MAX_RANK) : 0;
    ol_type *y = &c->out[0];
    y->dtype = x->dtype;
    if (x->rank < 0 || n < 0) return OLV_OK;
    bool mark[OL_MAX_RANK] = {false};
    int rank = x->rank + (add ? n : 0), out = 0;
    if (rank > OL_MAX_RANK) return ol_fail(err, OLV_LIMIT, "rank %d found", rank);
    for (int i = 0; i < n; i++) axes[i] = ol_infer_decode(axes[i]);
    OL_TRY(mark_axes(axes, n, rank, mark, err));
    for (int i = 0, from = 0; i < rank; i++) {
        if (add) {
            y->dims[out++] = mark[i] ? 1 : x->dims[from++];
            continue;
        }
        if (!t && !ol_dim_known(x->dims[i])) return OLV_OK; /* may be 1: the rank is not known */
        if (mark[i] && ol_dim_known(x->dims[i]) && x->dims[i] != 1)
            return ol_fail(err, OLV_SHAPE, "dimension %d of size %lld found, 1 expected", i, (long long)x->dims[i]);
        if (!(t ? mark[i] : x->dims[i] == 1)) y->dims[out++] = x->dims[i];
    }
    y->rank = out;
    return OLV_OK;
}

static olv_status eval_squeeze(ol_eval *c, olv_error *err) { return eval_axes(c, false, err); }
static olv_status eval_unsqueeze(ol_eval *c, olv_error *err) { return eval_axes(c, true, err); }
static olv_status infer_squeeze(ol_infer *c, olv_error *err) { return infer_axes(c, false, err); }
static olv_status infer_unsqueeze(ol_infer *c, olv_error *err) { return infer_axes(c, true, err); }
static olv_status eval_identity(ol_eval *c, olv_error *err) {
    return c->in[0] ? ol_datum_copy(&c->out[0], c->in[0], err) : ol_fail(err, OLV_ARG, "input 0 is missing");
}

static const ol_attr_spec reshape_attrs[] = {{"allowzero", OL_ATTR_INT, false}};
static const ol_attr_spec flatten_attrs[] = {{"axis", OL_ATTR_INT, false}};
extern const ol_op ol_op_Reshape, ol_op_Flatten, ol_op_Squeeze, ol_op_Unsqueeze, ol_op_Identity;
const ol_op ol_op_Reshape = {"", "Reshape", "same elements under another shape", 2, 2, 1, 1, reshape_attrs, 1,
                             infer_reshape, eval_reshape, NULL, false, false};
const ol_op ol_op_Flatten = {"", "Flatten", "matrix: dims before and from an axis", 1, 1, 1, 1, flatten_attrs, 1,
                             infer_flatten, eval_flatten, NULL, false, false};
const ol_op ol_op_Squeeze = {"", "Squeeze", "removes dims of size 1", 1, 2, 1, 1, NULL, 0, infer_squeeze,
                             eval_squeeze, NULL, false, false};
const ol_op ol_op_Unsqueeze = {"", "Unsqueeze", "inserts dims of size 1", 2, 2, 1, 1, NULL, 0, infer_unsqueeze,
                               eval_unsqueeze, NULL, false, false};
const ol_op ol_op_Identity = {"", "Identity", "the input itself", 1, 1, 1, 1, NULL, 0, ol_infer_same, eval_identity,
                              NULL, false, true};
