/* SPDX-License-Identifier: Apache-2.0 */
/* Number by number, of ai.onnx.ml: Scaler, Normalizer, Imputer, Binarizer. */
#include "ops/ml.h"

static olv_status infer_float(ol_infer *c, olv_error *err) {
    (void)err;
    c->out[0] = *ol_infer_in(c, 0);
    c->out[0].dtype = OL_F32;
    return OLV_OK;
}

static olv_status eval_scaler(ol_eval *c, olv_error *err) {
    const ol_tensor *x;
    ol_tensor *y;
    int64_t rows, width;
    size_t n_offset, n_scale;
    OL_TRY(ol_ml_rows(c, 0, &x, &rows, &width, err));
    const float *offset = ol_node_floats(c->node, "offset", &n_offset), *scale = ol_node_floats(c->node, "scale", &n_scale);
    int64_t last = x->dims[x->rank - 1];
    if ((n_offset > 1 && (int64_t)n_offset != last) || (n_scale > 1 && (int64_t)n_scale != last))
        return ol_fail(err, OLV_SHAPE, "%zu offsets and %zu scales found for %lld features", n_offset, n_scale, (long long)last);
    OL_TRY(ol_eval_out(c, 0, OL_F32, x->rank, x->dims, &y, err));
    for (int64_t i = 0, n = ol_tensor_count(x); i < n; i++) {
        double o = n_offset ? (double)offset[n_offset > 1 ? i % last : 0] : 0, s = n_scale ? (double)scale[n_scale > 1 ? i % last : 0] : 1;
        ol_tensor_set(y, i, (ol_tensor_get(x, i) - o) * s);
    }
    return OLV_OK;
}

/* By the largest element, the sum of magnitudes, or the length; rows of zeros stay. */
static olv_status eval_normalizer(ol_eval *c, olv_error *err) {
    const ol_tensor *x;
    ol_tensor *y;
    int64_t rows, width;
    OL_TRY(ol_ml_rows(c, 0, &x, &rows, &width, err));
    ol_str how = ol_node_string(c->node, "norm", "MAX");
    bool l1 = ol_str_is(how, "L1"), l2 = ol_str_is(how, "L2");
    if (!l1 && !l2 && !ol_str_is(how, "MAX")) return ol_fail(err, OLV_FORMAT, "norm '%.*s', expected MAX, L1 or L2", (int)(how.len > 40 ? 40 : how.len), how.ptr);
    OL_TRY(ol_eval_out(c, 0, OL_F32, x->rank, x->dims, &y, err));
    for (int64_t r = 0; r < rows; r++) {
        double d = l1 || l2 ? 0 : -INFINITY;
        for (int64_t i = 0; i < width; i++) {
            double v = ol_tensor_get(x, r * width + i);
            d = l1 ? d + fabs(v) : l2 ? d + v * v : fmax(d, v);
        }
        if (l2) d = sqrt(d);
        for (int64_t i = 0; i < width; i++) {
            double v = ol_tensor_get(x, r * width + i);
            ol_tensor_set(y, r * width + i, d != 0 ? v / d : v);
        }
    }
    return OLV_OK;
}

static olv_status eval_imputer(ol_eval *c, olv_error *err) {
    const ol_tensor *x;
    ol_tensor *y;
    int64_t rows, width;
    size_t n;
    OL_TRY(ol_ml_rows(c, 0, &x, &rows, &width, err));
    bool whole = ol_is_int(x->dtype);
    const float *floats = ol_node_floats(c->node, "imputed_value_floats", &n);
    const int64_t *ints = whole ? ol_node_ints(c->node, "imputed_value_int64s", &n) : NULL;
    double from = whole ? (double)ol_node_int(c->node, "replaced_value_int64", 0) : (double)ol_node_float(c->node, "replaced_value_float", 0);
    if (!n || (n > 1 && (int64_t)n != width)) return ol_fail(err, OLV_SHAPE, "%zu imputed values found for %lld features", n, (long long)width);
    OL_TRY(ol_eval_out(c, 0, x->dtype, x->rank, x->dims, &y, err));
    for (int64_t i = 0; i < rows * width; i++) {
        size_t k = n > 1 ? (size_t)(i % width) : 0;
        double v = ol_tensor_get(x, i);
        bool gone = isnan(from) ? isnan(v) : v == from;
        if (!gone) ol_elems_copy(y, i, x, i, 1);
        else if (ints) ol_tensor_set_i64(y, i, ints[k]);
        else ol_tensor_set(y, i, (double)floats[k]);
    }
    return OLV_OK;
}

static olv_status eval_binarizer(ol_eval *c, olv_error *err) {
    const ol_tensor *x;
    ol_tensor *y;
    OL_TRY(ol_eval_need(c, 0, &x, err));
    double t = (double)ol_node_float(c->node, "threshold", 0);
    OL_TRY(ol_eval_out(c, 0, x->dtype, x->rank, x->dims, &y, err));
    for (int64_t i = 0, n = ol_tensor_count(x); i < n; i++) ol_tensor_set(y, i, ol_tensor_get(x, i) > t);
    return OLV_OK;
}

static const ol_attr_spec scaler[] = {{"offset", OL_ATTR_FLOATS, false}, {"scale", OL_ATTR_FLOATS, false}};
static const ol_attr_spec normalizer[] = {{"norm", OL_ATTR_STRING, false}};
static const ol_attr_spec imputer[] = {{"imputed_value_floats", OL_ATTR_FLOATS, false}, {"imputed_value_int64s", OL_ATTR_INTS, false},
    {"replaced_value_float", OL_ATTR_FLOAT, false}, {"replaced_value_int64", OL_ATTR_INT, false}};
static const ol_attr_spec binarizer[] = {{"threshold", OL_ATTR_FLOAT, false}};
OL_ML_OP(Scaler, "(x - offset) scale", 1, 1, 1, 1, scaler, infer_float, eval_scaler)
OL_ML_OP(Normalizer, "rows divided by a norm of theirs", 1, 1, 1, 1, normalizer, infer_float, eval_normalizer)
OL_ML_OP(Imputer, "a value of what is missing", 1, 1, 1, 1, imputer, ol_infer_same, eval_imputer)
OL_ML_OP(Binarizer, "1 above the threshold, else 0", 1, 1, 1, 1, binarizer, ol_infer_same, eval_binarizer)
