/* SPDX-License-Identifier: Apache-2.0 */
/* LinearClassifier and LinearRegressor of ai.onnx.ml: coefficients [scores, features], intercepts [scores]. */
#include "ops/ml.h"

typedef struct linear {
    const ol_tensor *x;
    const float *w, *b;
    int64_t rows, width, n;
} linear;

static olv_status init(ol_eval *c, linear *l, int64_t n, olv_error *err) {
    size_t n_w, n_b;
    OL_TRY(ol_ml_rows(c, 0, &l->x, &l->rows, &l->width, err));
    l->w = ol_node_floats(c->node, "coefficients", &n_w);
    l->b = ol_node_floats(c->node, "intercepts", &n_b);
    l->n = n;
    if (n < 1 || (int64_t)n_w != n * l->width || (n_b && (int64_t)n_b != n))
        return ol_fail(err, OLV_SHAPE, "%zu coefficients and %zu intercepts found for %lld scores of %lld features", n_w, n_b, (long long)n, (long long)l->width);
    return OLV_OK;
}

static void score_row(const linear *l, int64_t r, double *score) {
    for (int64_t k = 0; k < l->n; k++) {
        double s = l->b ? (double)l->b[k] : 0;
        for (int64_t i = 0; i < l->width; i++) s += (double)l->w[k * l->width + i] * ol_tensor_get(l->x, r * l->width + i);
        score[k] = s;
    }
}

static olv_status eval_regressor(ol_eval *c, olv_error *err) {
    linear l;
    ol_ml_post post;
    ol_tensor *y;
    OL_TRY(ol_ml_post_of(c->node, &post, err));
    OL_TRY(init(c, &l, ol_node_int(c->node, "targets", 1), err));
    OL_TRY(ol_eval_out(c, 0, OL_F32, 2, (int64_t[]){l.rows, l.n}, &y, err));
    double *score = ol_calloc((size_t)l.n + 1, sizeof *score);
    if (!score) return ol_fail(err, OLV_NOMEM, "no memory for scores");
    for (int64_t r = 0; r < l.rows; r++) {
        score_row(&l, r, score);
        ol_ml_transform(post, score, l.n);
        for (int64_t k = 0; k < l.n; k++) ol_tensor_set(y, r * l.n + k, score[k]);
    }
    ol_free(score);
    return OLV_OK;
}

static int64_t count_scores(const ol_node *n) {
    size_t k;
    (void)ol_node_floats(n, "intercepts", &k);
    if (!k) k = ol_ml_labels_of(n, "classlabels_ints", "classlabels_strings").n;
    return (int64_t)k;
}

/* One score and two labels: two scores whose sum is 1. */
static bool doubles(const ol_node *n) { return count_scores(n) == 1 && ol_ml_labels_of(n, "classlabels_ints", "classlabels_strings").n == 2; }

static size_t choose(const double *score, int64_t n) {
    size_t best = 0;
    for (int64_t k = 1; k < n; k++)
        if (score[k] > score[best]) best = (size_t)k;
    return n == 1 ? score[0] > 0 : best;
}

static olv_status eval_classifier(ol_eval *c, olv_error *err) {
    linear l;
    ol_ml_post post;
    ol_tensor *label, *y;
    ol_ml_labels labels = ol_ml_labels_of(c->node, "classlabels_ints", "classlabels_strings");
    OL_TRY(ol_ml_post_of(c->node, &post, err));
    OL_TRY(init(c, &l, count_scores(c->node), err));
    bool two = doubles(c->node);
    int64_t columns = two ? 2 : l.n;
    OL_TRY(ol_eval_out(c, 0, ol_ml_labels_type(&labels), 1, &l.rows, &label, err));
    OL_TRY(ol_eval_out(c, 1, OL_F32, 2, (int64_t[]){l.rows, columns}, &y, err));
    double *score = ol_calloc((size_t)columns + 1, sizeof *score);
    if (!score) return ol_fail(err, OLV_NOMEM, "no memory for scores");
    for (int64_t r = 0; r < l.rows; r++) {
        score_row(&l, r, score);
        ol_ml_set_label(label, r, &labels, choose(score, l.n));
        ol_ml_transform(post, score, l.n);
        if (two) ol_ml_second_score(OL_ML_NONE, score, true);
        for (int64_t k = 0; k < columns; k++) ol_tensor_set(y, r * columns + k, score[k]);
    }
    ol_free(score);
    return ol_tensor_own_strings(label, err);
}

static olv_status infer_regressor(ol_infer *c, olv_error *err) {
    (void)err;
    c->out[0] = (ol_type){.rank = 2, .dtype = OL_F32, .dims = {ol_ml_rows_dim(c), ol_node_int(c->node, "targets", 1)}};
    return OLV_OK;
}

static olv_status infer_classifier(ol_infer *c, olv_error *err) {
    (void)err;
    ol_ml_labels l = ol_ml_labels_of(c->node, "classlabels_ints", "classlabels_strings");
    ol_dim rows = ol_ml_rows_dim(c);
    c->out[0] = (ol_type){.rank = 1, .dtype = ol_ml_labels_type(&l), .dims = {rows}};
    c->out[1] = (ol_type){.rank = 2, .dtype = OL_F32, .dims = {rows, doubles(c->node) ? 2 : count_scores(c->node)}};
    return OLV_OK;
}

static const ol_attr_spec regressor[] = {{"coefficients", OL_ATTR_FLOATS, false}, {"intercepts", OL_ATTR_FLOATS, false},
    {"post_transform", OL_ATTR_STRING, false}, {"targets", OL_ATTR_INT, false}};
static const ol_attr_spec classifier[] = {{"coefficients", OL_ATTR_FLOATS, true}, {"intercepts", OL_ATTR_FLOATS, false},
    {"post_transform", OL_ATTR_STRING, false}, {"multi_class", OL_ATTR_INT, false}, {"classlabels_ints", OL_ATTR_INTS, false},
    {"classlabels_strings", OL_ATTR_STRINGS, false}};
OL_ML_OP(LinearRegressor, "x W^T + b", 1, 1, 1, 1, regressor, infer_regressor, eval_regressor)
OL_ML_OP(LinearClassifier, "labels and scores by x W^T + b", 1, 1, 2, 2, classifier, infer_classifier, eval_classifier)
