/* SPDX-License-Identifier: Apache-2.0 */
#include "ops/ml.h"
#include <stdio.h>

olv_status ol_ml_post_of(const ol_node *n, ol_ml_post *out, olv_error *err) {
    static const char *const names[] = {"NONE", "SOFTMAX", "LOGISTIC", "SOFTMAX_ZERO", "PROBIT"};
    const ol_attr *a = ol_node_attr(n, "post_transform");
    *out = OL_ML_NONE;
    if (!a) return OLV_OK;
    for (int i = 0; i < OL_COUNT(names); i++)
        if (a->type == OL_ATTR_INT ? a->v.i == i : a->type == OL_ATTR_STRING && ol_str_is(a->v.s, names[i])) {
            *out = (ol_ml_post)i;
            return OLV_OK;
        }
    return ol_fail(err, OLV_FORMAT, "post_transform found, expected NONE, SOFTMAX, LOGISTIC, SOFTMAX_ZERO or PROBIT");
}

static double logistic(double x) { return 1 / (1 + exp(-x)); }

/* sqrt(2) erfinv(2 p - 1), by Winitzki's formula with a = 0.147. */
static double probit(double p) {
    double x = 2 * p - 1, l = log((1 - x) * (1 + x)), v = 2 / (M_PI * 0.147) + 0.5 * l;
    double r = sqrt(sqrt(v * v - l / 0.147) - v);
    return M_SQRT2 * (x < 0 ? -r : r);
}

static void softmax(double *v, int64_t n, bool keep_zeros) {
    double max = -INFINITY, sum = 0;
    for (int64_t i = 0; i < n; i++) max = fmax(max, v[i]);
    for (int64_t i = 0; i < n; i++) {
        if (keep_zeros && fabs(v[i]) <= 1e-7) v[i] *= exp(-max);
        else sum += v[i] = exp(v[i] - max);
    }
    for (int64_t i = 0; i < n; i++) v[i] /= sum;
}

void ol_ml_transform(ol_ml_post p, double *v, int64_t n) {
    if (n > 1 && (p == OL_ML_SOFTMAX || p == OL_ML_SOFTMAX_ZERO)) softmax(v, n, p == OL_ML_SOFTMAX_ZERO);
    for (int64_t i = 0; i < n; i++) {
        if (p == OL_ML_LOGISTIC) v[i] = logistic(v[i]);
        if (p == OL_ML_PROBIT) v[i] = probit(v[i]);
    }
}

void ol_ml_second_score(ol_ml_post p, double *v, bool complement) {
    double s = v[0];
    bool curve = p == OL_ML_LOGISTIC && !complement;
    v[0] = complement ? 1 - s : curve ? logistic(-s) : -s;
    v[1] = curve ? logistic(s) : s;
}

olv_status ol_ml_rows(const ol_eval *c, int i, const ol_tensor **x, int64_t *rows, int64_t *features, olv_error *err) {
    OL_TRY(ol_eval_need(c, i, x, err));
    char cls = ol_dtype_class((*x)->dtype);
    if (cls == 'z' || cls == 'c') return ol_fail(err, OLV_UNSUPPORTED, "features of type %s", ol_dtype_name((*x)->dtype));
    if ((*x)->rank < 1) return ol_fail(err, OLV_SHAPE, "a scalar found, rows of features expected");
    *rows = (*x)->rank == 1 ? 1 : (*x)->dims[0];
    *features = ol_dims_count((*x)->dims, (*x)->rank == 1 ? 0 : 1, (*x)->rank);
    return OLV_OK;
}

ol_dim ol_ml_rows_dim(ol_infer *c) {
    const ol_type *x = ol_infer_in(c, 0);
    return x && x->rank == 1 ? 1 : x && x->rank > 1 ? x->dims[0] : ol_infer_fresh(c);
}

const ol_str *ol_node_strings(const ol_node *n, const char *name, size_t *count) {
    const ol_attr *a = ol_node_attr(n, name);
    bool is = a && a->type == OL_ATTR_STRINGS && a->count;
    *count = is ? a->count : 0;
    return is ? a->v.strings : NULL;
}

const float *ol_node_floats(const ol_node *n, const char *name, size_t *count) {
    const ol_attr *a = ol_node_attr(n, name);
    bool is = a && a->type == OL_ATTR_FLOATS && a->count;
    *count = is ? a->count : 0;
    return is ? a->v.floats : NULL;
}

olv_status ol_ml_floats(const ol_node *n, const char *name, double **out, size_t *count, olv_error *err) {
    char other[80];
    const float *f = ol_node_floats(n, name, count);
    snprintf(other, sizeof other, "%s_as_tensor", name);
    const ol_attr *a = ol_node_attr(n, name);
    if (!a || a->type != OL_ATTR_TENSOR) a = ol_node_attr(n, other);
    *out = NULL;
    if (!f && a && a->type == OL_ATTR_TENSOR) {
        ol_tensor t;
        OL_TRY(ol_const_materialize(a->v.tensor, SIZE_MAX, &t, err));
        olv_status s = ol_tensor_f64(&t, out, err);
        *count = s == OLV_OK ? (size_t)ol_tensor_count(&t) : 0;
        ol_tensor_deinit(&t);
        return s;
    }
    *out = ol_calloc(*count + 1, sizeof **out);
    if (!*out) return ol_fail(err, OLV_NOMEM, "no memory for attribute '%s'", name);
    for (size_t i = 0; i < *count; i++) (*out)[i] = (double)f[i];
    return OLV_OK;
}

ol_ml_labels ol_ml_labels_of(const ol_node *n, const char *ints, const char *strings) {
    ol_ml_labels l = {NULL, NULL, 0};
    l.strings = ol_node_strings(n, strings, &l.n);
    if (!l.strings) l.ints = ol_node_ints(n, ints, &l.n);
    return l;
}

ol_dtype ol_ml_labels_type(const ol_ml_labels *l) { return l->strings ? OL_STRING : OL_I64; }

void ol_ml_set_label(ol_tensor *t, int64_t i, const ol_ml_labels *l, size_t k) {
    if (l->strings) ((ol_str *)t->data)[i] = k < l->n ? l->strings[k] : (ol_str){"", 0};
    else ol_tensor_set_i64(t, i, k < l->n ? l->ints[k] : (int64_t)k);
}
