/* SPDX-License-Identifier: Apache-2.0 */
/* Shape, Size and Constant. */
#include "ops/ops.h"

static void shape_range(const ol_node *n, int rank, int64_t *start, int64_t *end) {
    *start = ol_node_int(n, "start", 0);
    *end = ol_node_int(n, "end", rank);
    if (*start < 0) *start += rank;
    if (*end < 0) *end += rank;
    *start = *start < 0 ? 0 : *start > rank ? rank : *start;
    *end = *end < *start ? *start : *end > rank ? rank : *end;
}

static olv_status infer_shape(ol_infer *c, olv_error *err) {
    const ol_type *x = ol_infer_in(c, 0);
    int64_t start, end;
    (void)err;
    ol_infer_set(c, 0, OL_I64, 1);
    if (x->rank < 0) return OLV_OK;
    shape_range(c->node, x->rank, &start, &end);
    c->out[0].dims[0] = end - start;
    return OLV_OK;
}

static olv_status eval_shape(ol_eval *c, olv_error *err) {
    const ol_tensor *x;
    ol_tensor *y;
    int64_t start, end;
    OL_TRY(ol_eval_need(c, 0, &x, err));
    shape_range(c->node, x->rank, &start, &end);
    OL_TRY(ol_eval_out(c, 0, OL_I64, 1, (int64_t[]){end - start}, &y, err));
    memcpy(y->data, x->dims + start, (size_t)(end - start) * sizeof(int64_t));
    return OLV_OK;
}

static olv_status infer_size(ol_infer *c, olv_error *err) {
    (void)err;
    ol_infer_set(c, 0, OL_I64, 0);
    return OLV_OK;
}

static olv_status eval_size(ol_eval *c, olv_error *err) {
    const ol_tensor *x;
    ol_tensor *y;
    OL_TRY(ol_eval_need(c, 0, &x, err));
    OL_TRY(ol_eval_out(c, 0, OL_I64, 0, NULL, &y, err));
    ol_tensor_set_i64(y, 0, ol_tensor_count(x));
    return OLV_OK;
}

/* The tensor that the attributes of a Constant node say. */
static olv_status make_constant(const ol_node *n, ol_tensor *t, olv_error *err) {
    if (n->n_attrs != 1) return ol_fail(err, OLV_FORMAT, "%d attributes found, 1 expected", n->n_attrs);
    const ol_attr *a = &n->attrs[0];
    int64_t count = (int64_t)a->count;
    ol_tensor view;
    switch (a->type) {
    case OL_ATTR_TENSOR: return ol_const_materialize(a->v.tensor, SIZE_MAX, t, err);
    case OL_ATTR_INT: OL_TRY(ol_tensor_view(&view, OL_I64, 0, NULL, &a->v.i, 8, err)); break;
    case OL_ATTR_FLOAT: OL_TRY(ol_tensor_view(&view, OL_F32, 0, NULL, &a->v.f, 4, err)); break;
    case OL_ATTR_STRING: OL_TRY(ol_tensor_view(&view, OL_STRING, 0, NULL, &a->v.s, sizeof(ol_str), err)); break;
    case OL_ATTR_INTS: OL_TRY(ol_tensor_view(&view, OL_I64, 1, &count, a->v.ints, a->count * 8, err)); break;
    case OL_ATTR_FLOATS: OL_TRY(ol_tensor_view(&view, OL_F32, 1, &count, a->v.floats, a->count * 4, err)); break;
    case OL_ATTR_STRINGS:
        OL_TRY(ol_tensor_view(&view, OL_STRING, 1, &count, a->v.strings, a->count * sizeof(ol_str), err));
        break;
    default: return ol_fail(err, OLV_UNSUPPORTED, "attribute '%s'", a->name);
    }
    return ol_tensor_copy(t, &view, err);
}

static olv_status infer_constant(ol_infer *c, olv_error *err) {
    const ol_node *n = c->node;
    if (n->n_attrs != 1) return ol_fail(err, OLV_FORMAT, "%d attributes found, 1 expected", n->n_attrs);
    const ol_attr *a = &n->attrs[0];
    if (a->type == OL_ATTR_TENSOR) {
        ol_infer_set(c, 0, ol_const_dtype(a->v.tensor), ol_const_rank(a->v.tensor));
        for (int i = 0; i < c->out[0].rank; i++) c->out[0].dims[i] = ol_const_dims(a->v.tensor)[i];
        return OLV_OK;
    }
    bool list = a->type == OL_ATTR_INTS || a->type == OL_ATTR_FLOATS || a->type == OL_ATTR_STRINGS;
    ol_dtype d = a->type == OL_ATTR_INT || a->type == OL_ATTR_INTS       ? OL_I64
                 : a->type == OL_ATTR_FLOAT || a->type == OL_ATTR_FLOATS ? OL_F32
                                                                         : OL_STRING;
    ol_infer_set(c, 0, d, list);
    if (list) c->out[0].dims[0] = (int64_t)a->count;
    return OLV_OK;
}

static olv_status eval_constant(ol_eval *c, olv_error *err) {
    ol_tensor t;
    OL_TRY(make_constant(c->node, &t, err));
    c->out[0] = (ol_datum){.kind = OL_VALUE_TENSOR, .present = true, .tensor = t};
    return OLV_OK;
}

static const ol_attr_spec shape_attrs[] = {{"start", OL_ATTR_INT, false}, {"end", OL_ATTR_INT, false}};
static const ol_attr_spec const_attrs[] = {
    {"value", OL_ATTR_TENSOR, false},        {"value_int", OL_ATTR_INT, false},
    {"value_float", OL_ATTR_FLOAT, false},   {"value_string", OL_ATTR_STRING, false},
    {"value_ints", OL_ATTR_INTS, false},     {"value_floats", OL_ATTR_FLOATS, false},
    {"value_strings", OL_ATTR_STRINGS, false}};
extern const ol_op ol_op_Shape, ol_op_Size, ol_op_Constant;
const ol_op ol_op_Shape = {"", "Shape", "the dims of the input", 1, 1, 1, 1, shape_attrs, 2, infer_shape, eval_shape,
                           NULL, false, false};
const ol_op ol_op_Size = {"", "Size", "the number of elements", 1, 1, 1, 1, NULL, 0, infer_size, eval_size, NULL,
                          false, false};
const ol_op ol_op_Constant = {"", "Constant", "a constant given by an attribute", 0, 0, 1, 1, const_attrs, 7,
                              infer_constant, eval_constant, NULL, false, false};
