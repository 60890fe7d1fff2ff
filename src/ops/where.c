/* SPDX-License-Identifier: Apache-2.0 */
/* Where, Clip, Equal, Not, IsNaN, IsInf: choices and tests by element. */
#include "ops/ops.h"

static olv_status infer_where(ol_infer *c, olv_error *err) {
    OL_TRY(ol_infer_elementwise(c, err));
    c->out[0].dtype = ol_infer_in(c, 1)->dtype;
    return OLV_OK;
}

static olv_status eval_where(ol_eval *c, olv_error *err) {
    const ol_tensor *t[3];
    ol_tensor *y;
    ol_walk w;
    for (int i = 0; i < 3; i++) OL_TRY(ol_eval_need(c, i, &t[i], err));
    if (t[0]->dtype != OL_BOOL || t[1]->dtype != t[2]->dtype) return ol_fail(err, OLV_SHAPE, "inputs of wrong types");
    OL_TRY(ol_walk_init(&w, t, 3, err));
    OL_TRY(ol_eval_out(c, 0, t[1]->dtype, w.rank, w.dims, &y, err));
    for (int64_t i = 0; i < w.count; i++, ol_walk_next(&w)) {
        int from = ol_tensor_i64(t[0], w.at[0]) ? 1 : 2;
        ol_elems_copy(y, i, t[from], w.at[from], 1);
    }
    return ol_tensor_own_strings(y, err);
}

static olv_status eval_clip(ol_eval *c, olv_error *err) {
    const ol_tensor *x, *min = ol_eval_in(c, 1), *max = ol_eval_in(c, 2);
    ol_tensor *y;
    OL_TRY(ol_eval_need(c, 0, &x, err));
    if ((min && (ol_tensor_count(min) != 1 || min->dtype != x->dtype)) ||
        (max && (ol_tensor_count(max) != 1 || max->dtype != x->dtype)))
        return ol_fail(err, OLV_SHAPE, "bounds are no scalars of the input's type");
    OL_TRY(ol_eval_out(c, 0, x->dtype, x->rank, x->dims, &y, err));
    for (int64_t i = 0, n = ol_tensor_count(x); i < n; i++) {
        if (ol_is_float(x->dtype)) {
            double v = ol_tensor_get(x, i);
            if (min && v < ol_tensor_get(min, 0)) v = ol_tensor_get(min, 0);
            if (max && v > ol_tensor_get(max, 0)) v = ol_tensor_get(max, 0);
            ol_tensor_set(y, i, v);
            continue;
        }
        int64_t v = ol_tensor_i64(x, i);
        bool u = x->dtype == OL_U64;
        int64_t lo = min ? ol_tensor_i64(min, 0) : v, hi = max ? ol_tensor_i64(max, 0) : INT64_MAX;
        if (min && (u ? (uint64_t)v < (uint64_t)lo : v < lo)) v = lo;
        if (max && (u ? (uint64_t)v > (uint64_t)hi : v > hi)) v = hi;
        ol_tensor_set_i64(y, i, v);
    }
    return OLV_OK;
}

static bool equal_at(const ol_tensor *a, int64_t i, const ol_tensor *b, int64_t j) {
    if (a->dtype == OL_STRING) return ol_str_eq(((const ol_str *)a->data)[i], ((const ol_str *)b->data)[j]);
    if (ol_is_float(a->dtype)) return ol_tensor_get(a, i) == ol_tensor_get(b, j);
    return ol_tensor_i64(a, i) == ol_tensor_i64(b, j);
}

static olv_status eval_equal(ol_eval *c, olv_error *err) {
    const ol_tensor *t[2];
    ol_tensor *y;
    ol_walk w;
    for (int i = 0; i < 2; i++) OL_TRY(ol_eval_need(c, i, &t[i], err));
    if (t[0]->dtype != t[1]->dtype) return ol_fail(err, OLV_SHAPE, "inputs of different types");
    OL_TRY(ol_walk_init(&w, t, 2, err));
    OL_TRY(ol_eval_out(c, 0, OL_BOOL, w.rank, w.dims, &y, err));
    for (int64_t i = 0; i < w.count; i++, ol_walk_next(&w))
        ol_tensor_set_i64(y, i, equal_at(t[0], w.at[0], t[1], w.at[1]));
    return OLV_OK;
}

static olv_status eval_test(ol_eval *c, olv_error *err) {
    const ol_tensor *x;
    ol_tensor *y;
    const char *name = c->node->op->name;
    bool neg = ol_node_int(c->node, "detect_negative", 1) != 0, pos = ol_node_int(c->node, "detect_positive", 1) != 0;
    OL_TRY(ol_eval_need(c, 0, &x, err));
    OL_TRY(ol_eval_out(c, 0, OL_BOOL, x->rank, x->dims, &y, err));
    for (int64_t i = 0, n = ol_tensor_count(x); i < n; i++) {
        if (!strcmp(name, "Not")) {
            ol_tensor_set_i64(y, i, !ol_tensor_i64(x, i));
            continue;
        }
        double v = ol_tensor_get(x, i);
        bool r = !strcmp(name, "IsNaN") ? isnan(v) : isinf(v) && (v < 0 ? neg : pos);
        ol_tensor_set_i64(y, i, r);
    }
    return OLV_OK;
}

static olv_status eval_bits(ol_eval *c, olv_error *err) {
    const ol_tensor *x;
    ol_tensor *y;
    OL_TRY(ol_eval_need(c, 0, &x, err));
    if (!ol_is_int(x->dtype)) return ol_fail(err, OLV_UNSUPPORTED, "elements of type %s", ol_dtype_name(x->dtype));
    OL_TRY(ol_eval_out(c, 0, x->dtype, x->rank, x->dims, &y, err));
    for (int64_t i = 0, n = ol_tensor_count(x); i < n; i++) ol_tensor_set_i64(y, i, ~ol_tensor_i64(x, i));
    return OLV_OK;
}

static const ol_attr_spec inf_attrs[] = {{"detect_negative", OL_ATTR_INT, false},
                                         {"detect_positive", OL_ATTR_INT, false}};
extern const ol_op ol_op_Where, ol_op_Clip, ol_op_Equal, ol_op_Not, ol_op_IsNaN, ol_op_IsInf, ol_op_BitwiseNot;
const ol_op ol_op_Where = {"", "Where", "the second or third input by the first", 3, 3, 1, 1, NULL, 0, infer_where,
                           eval_where, NULL, false, true};
const ol_op ol_op_Clip = {"", "Clip", "limits to [min, max]", 1, 3, 1, 1, NULL, 0, ol_infer_same, eval_clip, NULL,
                          false, true};
const ol_op ol_op_Equal = {"", "Equal", "a == b", 2, 2, 1, 1, NULL, 0, ol_infer_compare, eval_equal, NULL, false, true};
const ol_op ol_op_Not = {"", "Not", "negation of truth values", 1, 1, 1, 1, NULL, 0, ol_infer_compare, eval_test, NULL,
                         false, true};
const ol_op ol_op_IsNaN = {"", "IsNaN", "is not a number", 1, 1, 1, 1, NULL, 0, ol_infer_compare, eval_test, NULL,
                           false, true};
const ol_op ol_op_IsInf = {"", "IsInf", "is infinite", 1, 1, 1, 1, inf_attrs, 2, ol_infer_compare, eval_test, NULL,
                           false, true};
const ol_op ol_op_BitwiseNot = {"", "BitwiseNot", "all bits inverted", 1, 1, 1, 1, NULL, 0, ol_infer_same, eval_bits,
                                NULL, false, true};
