/* SPDX-License-Identifier: Apache-2.0 */
/* Tensors made from sizes: ConstantOfShape, Range, EyeLike, OneHot. */
#include "ops/ops.h"

static olv_status set_shape(ol_infer *c, ol_type *t, int input, olv_error *err) {
    ol_dim dims[OL_MAX_RANK];
    int n = ol_infer_sizes(c, input, dims, OL_MAX_RANK);
    t->rank = n;
    for (int i = 0; i < n; i++) {
        if (ol_infer_is_negative(dims[i])) return ol_fail(err, OLV_SHAPE, "size %lld", (long long)ol_infer_decode(dims[i]));
        t->dims[i] = dims[i] == OL_DIM_NONE ? ol_infer_fresh(c) : dims[i];
    }
    return OLV_OK;
}

static olv_status infer_constant(ol_infer *c, olv_error *err) {
    const ol_attr *a = ol_node_attr(c->node, "value");
    c->out[0].dtype = a ? ol_const_dtype(a->v.tensor) : OL_F32;
    return set_shape(c, &c->out[0], 0, err);
}

static olv_status eval_constant(ol_eval *c, olv_error *err) {
    const ol_attr *a = ol_node_attr(c->node, "value");
    const ol_tensor *s;
    ol_tensor *y, v;
    int64_t dims[OL_MAX_RANK], n;
    OL_TRY(ol_eval_need(c, 0, &s, err));
    n = ol_tensor_count(s);
    if (n > OL_MAX_RANK) return ol_fail(err, OLV_LIMIT, "rank %lld", (long long)n);
    for (int64_t i = 0; i < n; i++) dims[i] = ol_tensor_i64(s, i);
    OL_TRY(ol_eval_out(c, 0, a ? ol_const_dtype(a->v.tensor) : OL_F32, (int)n, dims, &y, err));
    if (!a) return OLV_OK;
    OL_TRY(ol_const_materialize(a->v.tensor, 64, &v, err));
    int64_t count = ol_tensor_count(&v) == 1 ? ol_tensor_count(y) : 0;
    for (int64_t i = 0; i < count; i++) ol_elems_copy(y, i, &v, 0, 1);
    olv_status st = ol_tensor_count(&v) == 1 ? ol_tensor_own_strings(y, err) : ol_fail(err, OLV_FORMAT, "value of several elements");
    ol_tensor_deinit(&v);
    return st;
}

/* Number of elements from t[0] up to t[1] by t[2]. */
static olv_status range_count(const ol_tensor *const *t, int64_t *n, olv_error *err) {
    for (int i = 0; i < 3; i++)
        if (ol_tensor_count(t[i]) != 1) return ol_fail(err, OLV_SHAPE, "scalars expected");
    if (ol_is_float(t[0]->dtype)) {
        double count = ceil((ol_tensor_get(t[1], 0) - ol_tensor_get(t[0], 0)) / ol_tensor_get(t[2], 0));
        if (!(count < 1e9)) return ol_fail(err, OLV_LIMIT, "range of %g elements", count);
        *n = count > 0 ? (int64_t)count : 0;
        return OLV_OK;
    }
    int64_t s = ol_tensor_i64(t[0], 0), e = ol_tensor_i64(t[1], 0), d = ol_tensor_i64(t[2], 0), span;
    if (d == 0 || __builtin_sub_overflow(e, s, &span)) return ol_fail(err, OLV_ARG, "range with step %lld", (long long)d);
    uint64_t far = d > 0 ? (uint64_t)span : 0 - (uint64_t)span, step = d > 0 ? (uint64_t)d : 0 - (uint64_t)d;
    *n = (d > 0) == (span > 0) && span ? (int64_t)((far - 1) / step) + 1 : 0;
    return *n <= 1000000000 ? OLV_OK : ol_fail(err, OLV_LIMIT, "range of %lld elements", (long long)*n);
}

/* Where all three inputs are constants, the number of elements. */
static olv_status constant_range(ol_infer *c, bool *known, int64_t *n, olv_error *err) {
    ol_tensor t[3] = {{0}};
    const ol_tensor *at[3] = {&t[0], &t[1], &t[2]};
    int have = 0;
    while (have < 3 && !c->node->inputs[have]->is_input && ol_value_const_tensor(c->node->inputs[have], 64, &t[have])) have++;
    *known = have == 3;
    olv_status s = *known ? range_count(at, n, err) : OLV_OK;
    for (int i = 0; i < have; i++) ol_tensor_deinit(&t[i]);
    return s;
}

static olv_status infer_range(ol_infer *c, olv_error *err) {
    ol_dim s[1], e[1], d[1];
    bool known;
    int64_t n;
    ol_infer_set(c, 0, ol_infer_in(c, 0)->dtype, 1);
    OL_TRY(constant_range(c, &known, &n, err));
    if (known) c->out[0].dims[0] = n;
    if (known || ol_infer_ints(c, 0, s, 1) != 1 || ol_infer_ints(c, 1, e, 1) != 1 || ol_infer_ints(c, 2, d, 1) != 1) return OLV_OK;
    if (d[0] == 1 && s[0] == 0 && !ol_infer_is_negative(e[0])) c->out[0].dims[0] = e[0];
    return OLV_OK;
}

static olv_status eval_range(ol_eval *c, olv_error *err) {
    const ol_tensor *t[3];
    ol_tensor *y;
    int64_t n;
    for (int i = 0; i < 3; i++) OL_TRY(ol_eval_need(c, i, &t[i], err));
    OL_TRY(range_count(t, &n, err));
    OL_TRY(ol_eval_out(c, 0, t[0]->dtype, 1, &n, &y, err));
    for (int64_t i = 0; i < n; i++) {
        if (ol_is_float(t[0]->dtype)) ol_tensor_set(y, i, ol_tensor_get(t[0], 0) + (double)i * ol_tensor_get(t[2], 0));
        else ol_tensor_set_i64(y, i, ol_tensor_i64(t[0], 0) + i * ol_tensor_i64(t[2], 0));
    }
    return OLV_OK;
}

static olv_status infer_eye(ol_infer *c, olv_error *err) {
    OL_TRY(ol_infer_rank(c, 0, 2, 2, err));
    c->out[0] = *ol_infer_in(c, 0);
    int64_t t = ol_node_int(c->node, "dtype", 0);
    if (t) c->out[0].dtype = ol_dtype_from_onnx(t);
    return OLV_OK;
}

static olv_status eval_eye(ol_eval *c, olv_error *err) {
    const ol_tensor *x;
    ol_tensor *y;
    OL_TRY(ol_eval_need(c, 0, &x, err));
    int64_t t = ol_node_int(c->node, "dtype", 0), k = ol_node_int(c->node, "k", 0);
    if (x->rank != 2) return ol_fail(err, OLV_SHAPE, "rank %d", x->rank);
    OL_TRY(ol_eval_out(c, 0, t ? ol_dtype_from_onnx(t) : x->dtype, 2, x->dims, &y, err));
    for (int64_t i = 0; i < x->dims[0]; i++)
        if (i + k >= 0 && i + k < x->dims[1]) ol_tensor_set(y, i * x->dims[1] + i + k, 1);
    return OLV_OK;
}

static olv_status infer_onehot(ol_infer *c, olv_error *err) {
    const ol_type *x = ol_infer_in(c, 0);
    ol_dim d[1];
    int axis;
    c->out[0].dtype = ol_infer_in(c, 2)->dtype;
    if (x->rank < 0 || x->rank == OL_MAX_RANK) return OLV_OK;
    OL_TRY(ol_axis(ol_node_int(c->node, "axis", -1), x->rank + 1, false, &axis, err));
    c->out[0].rank = x->rank + 1;
    ol_dim depth = ol_infer_ints(c, 1, d, 1) == 1 && !ol_infer_is_negative(d[0]) ? d[0] : ol_infer_fresh(c);
    for (int i = 0, from = 0; i <= x->rank; i++) c->out[0].dims[i] = i == axis ? depth : x->dims[from++];
    return OLV_OK;
}

static olv_status eval_onehot(ol_eval *c, olv_error *err) {
    const ol_tensor *x, *dt, *v;
    ol_tensor *y;
    int axis;
    int64_t dims[OL_MAX_RANK + 1];
    OL_TRY(ol_eval_need(c, 0, &x, err));
    OL_TRY(ol_eval_need(c, 1, &dt, err));
    OL_TRY(ol_eval_need(c, 2, &v, err));
    if (ol_tensor_count(dt) != 1 || ol_tensor_count(v) != 2) return ol_fail(err, OLV_SHAPE, "depth or values do not fit");
    int64_t depth = ol_f64_to_i64(ol_tensor_get(dt, 0));
    OL_TRY(ol_axis(ol_node_int(c->node, "axis", -1), x->rank + 1, false, &axis, err));
    for (int i = 0, from = 0; i <= x->rank; i++) dims[i] = i == axis ? depth : x->dims[from++];
    OL_TRY(ol_eval_out(c, 0, v->dtype, x->rank + 1, dims, &y, err));
    int64_t inner = ol_dims_count(x->dims, axis, x->rank), outer = ol_dims_count(x->dims, 0, axis);
    for (int64_t o = 0; o < outer; o++)
        for (int64_t k = 0; k < depth; k++)
            for (int64_t i = 0; i < inner; i++) {
                int64_t at = ol_f64_to_i64(ol_tensor_get(x, o * inner + i));
                ol_elems_copy(y, (o * depth + k) * inner + i, v, (at < 0 ? at + depth : at) == k, 1);
            }
    return ol_tensor_own_strings(y, err);
}

static const ol_attr_spec value_attrs[] = {{"value", OL_ATTR_TENSOR, false}};
static const ol_attr_spec eye_attrs[] = {{"dtype", OL_ATTR_INT, false}, {"k", OL_ATTR_INT, false}};
static const ol_attr_spec axis_attrs[] = {{"axis", OL_ATTR_INT, false}};
extern const ol_op ol_op_ConstantOfShape, ol_op_Range, ol_op_EyeLike, ol_op_OneHot;
const ol_op ol_op_ConstantOfShape = {"", "ConstantOfShape", "one value in a given shape", 1, 1, 1, 1, value_attrs, 1,
                                     infer_constant, eval_constant, NULL, false, false};
const ol_op ol_op_Range = {"", "Range", "numbers from start to limit by delta", 3, 3, 1, 1, NULL, 0, infer_range,
                           eval_range, NULL, false, false};
const ol_op ol_op_EyeLike = {"", "EyeLike", "ones on a diagonal", 1, 1, 1, 1, eye_attrs, 2, infer_eye, eval_eye, NULL,
                             false, false};
const ol_op ol_op_OneHot = {"", "OneHot", "on and off values by index", 3, 3, 1, 1, axis_attrs, 1, infer_onehot,
                            eval_onehot, NULL, false, false};
