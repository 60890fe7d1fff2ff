/* SPDX-License-Identifier: Apache-2.0 */
/* SVMClassifier and SVMRegressor of ai.onnx.ml. With support vectors: one-against-one votes over pairs of classes, whose
 * decisions become probabilities by logistic curves (prob_a, prob_b) coupled as in Wu, Lin and Weng (2004). Without: linear. */
#include "ops/ml.h"

typedef enum kernel_kind { LINEAR, POLY, RBF, SIGMOID } kernel_kind;

typedef struct machine {
    const ol_tensor *x;
    int64_t rows, width, n_vectors;
    kernel_kind kind;
    double gamma, coef0, degree;
    const float *vectors, *coefficients, *rho, *prob_a, *prob_b;
    size_t n_coefficients, n_rho, n_prob;
} machine;

static olv_status init(ol_eval *c, machine *m, int64_t n_vectors, olv_error *err) {
    static const char *const names[] = {"LINEAR", "POLY", "RBF", "SIGMOID"};
    size_t n, n_b, n_params;
    ol_str kind = ol_node_string(c->node, "kernel_type", "LINEAR");
    int k = 0;
    OL_TRY(ol_ml_rows(c, 0, &m->x, &m->rows, &m->width, err));
    while (k < 4 && !ol_str_is(kind, names[k])) k++;
    if (k == 4) return ol_fail(err, OLV_FORMAT, "kernel_type '%.*s', expected LINEAR, POLY, RBF or SIGMOID", (int)(kind.len > 40 ? 40 : kind.len), kind.ptr);
    m->kind = (kernel_kind)k;
    const float *p = ol_node_floats(c->node, "kernel_params", &n_params);
    m->gamma = n_params > 0 ? (double)p[0] : 0;
    m->coef0 = n_params > 1 ? (double)p[1] : 0;
    m->degree = n_params > 2 ? (double)p[2] : 0;
    m->vectors = ol_node_floats(c->node, "support_vectors", &n);
    m->coefficients = ol_node_floats(c->node, "coefficients", &m->n_coefficients);
    m->rho = ol_node_floats(c->node, "rho", &m->n_rho);
    m->prob_a = ol_node_floats(c->node, "prob_a", &m->n_prob);
    m->prob_b = ol_node_floats(c->node, "prob_b", &n_b);
    m->n_vectors = n_vectors;
    if (n_vectors < 0 || (n_vectors && (int64_t)n != n_vectors * m->width))
        return ol_fail(err, OLV_SHAPE, "%zu numbers of support vectors found, %lld vectors of %lld expected", n, (long long)n_vectors, (long long)m->width);
    if (m->n_prob != n_b || !m->n_rho) return ol_fail(err, OLV_FORMAT, "%zu prob_a, %zu prob_b and %zu rho found", m->n_prob, n_b, m->n_rho);
    return OLV_OK;
}

static double kernel(const machine *m, int64_t row, const float *v) {
    double s = 0;
    for (int64_t i = 0; i < m->width; i++) {
        double x = ol_tensor_get(m->x, row * m->width + i), y = (double)v[i];
        s += m->kind == RBF ? (x - y) * (x - y) : x * y;
    }
    switch (m->kind) {
    case POLY: return pow(m->gamma * s + m->coef0, m->degree);
    case SIGMOID: return tanh(m->gamma * s + m->coef0);
    case RBF: return exp(-m->gamma * s);
    default: return s;
    }
}

/* Probabilities p[n] of n classes from those of pairs r[n, n]: minimizes sum (r_ji p_i - r_ij p_j)^2. q [n, n] and qp [n] are scratch. */
static void couple(int64_t n, const double *r, double *p, double *q, double *qp) {
    for (int64_t t = 0; t < n; t++) {
        p[t] = 1 / (double)n;
        q[t * n + t] = 0;
        for (int64_t j = 0; j < n; j++) {
            if (j == t) continue;
            q[t * n + t] += r[j * n + t] * r[j * n + t];
            q[t * n + j] = -r[j * n + t] * r[t * n + j];
        }
    }
    for (int round = 0; round < 100; round++) {
        double pqp = 0, most = 0;
        for (int64_t t = 0; t < n; t++) {
            qp[t] = 0;
            for (int64_t j = 0; j < n; j++) qp[t] += q[t * n + j] * p[j];
            pqp += p[t] * qp[t];
        }
        for (int64_t t = 0; t < n; t++) most = fmax(most, fabs(qp[t] - pqp));
        if (most < 0.005 / (double)n) break;
        for (int64_t t = 0; t < n; t++) {
            double d = (pqp - qp[t]) / q[t * n + t];
            p[t] += d;
            pqp = (pqp + d * (d * q[t * n + t] + 2 * qp[t])) / (1 + d) / (1 + d);
            for (int64_t j = 0; j < n; j++) {
                qp[j] = (qp[j] + d * q[t * n + j]) / (1 + d);
                p[j] /= 1 + d;
            }
        }
    }
}

typedef struct classifier {
    machine m;
    const int64_t *per_class;
    int64_t n_classes;
    size_t n_pairs;
    double *k, *score, *r, *q, *qp, *p; /* scratch: kernels, decisions of pairs, coupling */
    int64_t *votes, *start;
} classifier;

static void decide_pairs(classifier *s, int64_t row) {
    const machine *m = &s->m;
    int64_t n = s->n_classes, nv = m->n_vectors;
    size_t pair = 0;
    for (int64_t j = 0; j < nv; j++) s->k[j] = kernel(m, row, m->vectors + j * m->width);
    memset(s->votes, 0, (size_t)n * sizeof *s->votes);
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = i + 1; j < n; j++, pair++) {
            double sum = (double)m->rho[pair];
            for (int64_t v = 0; v < s->per_class[i]; v++) sum += (double)m->coefficients[(j - 1) * nv + s->start[i] + v] * s->k[s->start[i] + v];
            for (int64_t v = 0; v < s->per_class[j]; v++) sum += (double)m->coefficients[i * nv + s->start[j] + v] * s->k[s->start[j] + v];
            s->score[pair] = sum;
            s->votes[sum > 0 ? i : j]++;
        }
}

static void pair_probabilities(classifier *s) {
    int64_t n = s->n_classes;
    size_t pair = 0;
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = i + 1; j < n; j++, pair++) {
            double f = s->score[pair] * (double)s->m.prob_a[pair] + (double)s->m.prob_b[pair], v = 1 / (1 + exp(f));
            v = v < 1e-7 ? 1e-7 : v > 1 - 1e-7 ? 1 - 1e-7 : v;
            s->r[i * n + j] = v;
            s->r[j * n + i] = 1 - v;
        }
    couple(n, s->r, s->p, s->q, s->qp);
}

static olv_status start_classifier(ol_eval *c, classifier *s, size_t n_labels, olv_error *err) {
    size_t n_class;
    int64_t total = 0;
    s->per_class = ol_node_ints(c->node, "vectors_per_class", &n_class);
    for (size_t i = 0; i < n_class; i++)
        if (s->per_class[i] < 0 || !ol_add_i64(total, s->per_class[i], &total)) return ol_fail(err, OLV_FORMAT, "vectors_per_class out of range");
    OL_TRY(init(c, &s->m, total, err));
    s->n_classes = total ? (int64_t)n_class : s->m.width ? (int64_t)s->m.n_coefficients / s->m.width : 0;
    if (s->n_classes < 1 || s->n_classes > 4096 || (n_labels && total && n_labels != n_class)) return ol_fail(err, OLV_FORMAT, "%lld classes and %zu labels", (long long)s->n_classes, n_labels);
    size_t n = (size_t)s->n_classes;
    s->n_pairs = n * (n - 1) / 2;
    if (total && ((int64_t)s->m.n_coefficients < (s->n_classes - 1) * total || s->m.n_rho < s->n_pairs || (s->m.n_prob && s->m.n_prob < s->n_pairs)))
        return ol_fail(err, OLV_SHAPE, "%zu coefficients, %zu rho and %zu prob_a are too few for %zu classes", s->m.n_coefficients, s->m.n_rho, s->m.n_prob, n);
    s->k = ol_calloc((size_t)total + 1, sizeof *s->k);
    s->score = ol_calloc(s->n_pairs + n + 2, sizeof *s->score);
    s->r = ol_calloc(3 * n * n + 2 * n + 2, sizeof *s->r);
    s->votes = ol_calloc(2 * n + 1, sizeof *s->votes);
    if (!s->k || !s->score || !s->r || !s->votes) return ol_fail(err, OLV_NOMEM, "no memory for classes");
    s->q = s->r + n * n;
    s->qp = s->q + n * n;
    s->p = s->qp + n;
    s->start = s->votes + n;
    for (size_t i = 1; total && i < n; i++) s->start[i] = s->start[i - 1] + s->per_class[i - 1];
    return OLV_OK;
}

/* Scores of a row into s->score; returns the class. *n: scores. */
static size_t run_row(classifier *s, int64_t row, int64_t *n, double *strength) {
    size_t best = 0, classes = (size_t)s->n_classes;
    if (s->m.n_vectors) {
        decide_pairs(s, row);
        *n = (int64_t)s->n_pairs;
        if (s->m.n_prob) {
            pair_probabilities(s);
            memcpy(s->score, s->p, classes * sizeof *s->score);
            *n = s->n_classes;
        }
    } else {
        for (size_t k = 0; k < classes; k++) s->score[k] = kernel(&s->m, row, s->m.coefficients + k * (size_t)s->m.width) + (double)s->m.rho[0];
        *n = s->n_classes;
    }
    bool by_votes = s->m.n_vectors != 0;
    for (size_t k = 1; k < classes; k++)
        if (by_votes ? s->votes[k] > s->votes[best] : s->score[k] > s->score[best]) best = k;
    *strength = by_votes ? (double)s->votes[best] : s->score[best];
    return best;
}

static int64_t columns_of(const ol_node *n, int64_t classes, int64_t width) {
    size_t vectors, probs;
    (void)ol_node_ints(n, "vectors_per_class", &vectors);
    (void)ol_node_floats(n, "prob_a", &probs);
    (void)width;
    if (!vectors || probs) return classes;
    int64_t pairs = classes * (classes - 1) / 2;
    return pairs == 1 ? 2 : pairs;
}

/* Two classes and one decision: as onnxruntime, the second score is the decision, the first its opposite (NONE) or what
 * is left of 1. */
static olv_status eval_classifier(ol_eval *c, olv_error *err) {
    ol_ml_labels labels = ol_ml_labels_of(c->node, "classlabels_ints", "classlabels_strings");
    classifier s = {.n_classes = 0};
    ol_ml_post post = OL_ML_NONE;
    ol_tensor *label = NULL, *y = NULL;
    olv_status st = ol_ml_post_of(c->node, &post, err);
    if (st == OLV_OK) st = start_classifier(c, &s, labels.n, err);
    int64_t rows = s.m.rows, columns = columns_of(c->node, s.n_classes, s.m.width), n;
    if (st == OLV_OK) st = ol_eval_out(c, 0, ol_ml_labels_type(&labels), 1, &rows, &label, err);
    if (st == OLV_OK) st = ol_eval_out(c, 1, OL_F32, 2, (int64_t[]){rows, columns}, &y, err);
    bool positive = true;
    for (size_t i = 0; i < s.m.n_coefficients; i++) positive &= s.m.coefficients[i] >= 0;
    for (int64_t r = 0; st == OLV_OK && r < rows; r++) {
        double strength;
        size_t best = run_row(&s, r, &n, &strength);
        if (!s.m.n_vectors && s.n_classes == 1) best = strength > 0;
        else if (s.m.n_rho == 1 && labels.n == 2 && !s.m.n_prob && (positive ? strength >= 0.5 : strength > 0)) best = s.m.n_vectors ? best : 1;
        ol_ml_set_label(label, r, &labels, best);
        if (n == 1 && columns == 2) ol_ml_second_score(post, s.score, post != OL_ML_NONE && post != OL_ML_LOGISTIC);
        else ol_ml_transform(post, s.score, n);
        for (int64_t k = 0; k < columns; k++) ol_tensor_set(y, r * columns + k, s.score[k]);
    }
    ol_free(s.k), ol_free(s.score), ol_free(s.r), ol_free(s.votes);
    return st == OLV_OK ? ol_tensor_own_strings(label, err) : st;
}

static olv_status eval_regressor(ol_eval *c, olv_error *err) {
    machine m = {NULL};
    ol_ml_post post;
    ol_tensor *y;
    OL_TRY(ol_ml_post_of(c->node, &post, err));
    OL_TRY(init(c, &m, ol_node_int(c->node, "n_supports", 0), err));
    if ((int64_t)m.n_coefficients != (m.n_vectors ? m.n_vectors : m.width)) return ol_fail(err, OLV_SHAPE, "%zu coefficients found", m.n_coefficients);
    OL_TRY(ol_eval_out(c, 0, OL_F32, 2, (int64_t[]){m.rows, 1}, &y, err));
    bool one = ol_node_int(c->node, "one_class", 0) != 0;
    for (int64_t r = 0; r < m.rows; r++) {
        double s = (double)m.rho[0];
        for (int64_t j = 0; j < m.n_vectors; j++) s += (double)m.coefficients[j] * kernel(&m, r, m.vectors + j * m.width);
        if (!m.n_vectors) s += kernel(&m, r, m.coefficients);
        if (one) s = s > 0 ? 1 : -1;
        ol_ml_transform(post, &s, 1);
        ol_tensor_set(y, r, s);
    }
    return OLV_OK;
}

static olv_status infer_classifier(ol_infer *c, olv_error *err) {
    (void)err;
    ol_ml_labels l = ol_ml_labels_of(c->node, "classlabels_ints", "classlabels_strings");
    const ol_type *x = ol_infer_in(c, 0);
    size_t per_class, n_coefficients;
    ol_dim rows = ol_ml_rows_dim(c);
    (void)ol_node_ints(c->node, "vectors_per_class", &per_class);
    (void)ol_node_floats(c->node, "coefficients", &n_coefficients);
    int64_t width = x->rank == 2 && ol_dim_known(x->dims[1]) ? x->dims[1] : 0;
    int64_t classes = per_class ? (int64_t)per_class : width > 0 ? (int64_t)n_coefficients / width : -1;
    c->out[0] = (ol_type){.rank = 1, .dtype = ol_ml_labels_type(&l), .dims = {rows}};
    c->out[1] = (ol_type){.rank = 2, .dtype = OL_F32, .dims = {rows, classes < 0 ? ol_infer_fresh(c) : columns_of(c->node, classes, width)}};
    return OLV_OK;
}

static olv_status infer_regressor(ol_infer *c, olv_error *err) {
    (void)err;
    c->out[0] = (ol_type){.rank = 2, .dtype = OL_F32, .dims = {ol_ml_rows_dim(c), 1}};
    return OLV_OK;
}

#define MACHINE {"kernel_type", OL_ATTR_STRING, false}, {"kernel_params", OL_ATTR_FLOATS, false}, {"support_vectors", OL_ATTR_FLOATS, false}, \
    {"coefficients", OL_ATTR_FLOATS, false}, {"rho", OL_ATTR_FLOATS, false}, {"post_transform", OL_ATTR_STRING, false}
static const ol_attr_spec classifier_attrs[] = {MACHINE, {"prob_a", OL_ATTR_FLOATS, false}, {"prob_b", OL_ATTR_FLOATS, false},
    {"vectors_per_class", OL_ATTR_INTS, false}, {"classlabels_ints", OL_ATTR_INTS, false}, {"classlabels_strings", OL_ATTR_STRINGS, false}};
static const ol_attr_spec regressor_attrs[] = {MACHINE, {"n_supports", OL_ATTR_INT, false}, {"one_class", OL_ATTR_INT, false}};
OL_ML_OP(SVMClassifier, "labels and scores by support vectors", 1, 1, 2, 2, classifier_attrs, infer_classifier, eval_classifier)
OL_ML_OP(SVMRegressor, "a number by support vectors", 1, 1, 1, 1, regressor_attrs, infer_regressor, eval_regressor)
