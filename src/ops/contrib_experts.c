/* SPDX-License-Identifier: Apache-2.0 */
/* com.microsoft MoE and QMoE in the form that onnxruntime's CPU runs: swiglu with gates and ups taking turns in the rows of
 * the first product, W1 [E, 2I, H], W2 [E, H, I].
 *
 *     ids = the k best of router_probs (one row a token); weights = softmax over them, or, when router_weights are given,
 *     those of the ids, divided by their sum when normalize_routing_weights is set
 *     y = sum over ids of weight * (W2 act(W1 x + b1) + b2),
 *     act(g, u) = min(g, limit) sigmoid(alpha min(g, limit)) (clamp(u, -limit, limit) + beta) */
#include "base/alloc.h"
#include "ops/blocked_codes.h"
#include "ops/ops.h"
#include <math.h>

typedef struct experts {
    const ol_tensor *x, *router, *weights; /* weights NULL: softmax */
    const ol_tensor *w[2], *scale[2], *zero[2], *bias[2];
    int64_t n_experts, hidden, inter, k, rows, bits, block; /* bits 0: float weights */
    double alpha, beta, limit;
    bool normalize;
    ol_tensor *y;
} experts;

static olv_status infer(ol_infer *c, olv_error *err) {
    OL_TRY(ol_infer_rank(c, 0, 2, 3, err));
    OL_TRY(ol_infer_rank(c, 1, 2, 2, err));
    c->out[0] = *ol_infer_in(c, 0);
    return OLV_OK;
}

static bool packed_fits(const experts *e, int i, int64_t n, int64_t k) {
    int64_t blocks = e->block > 0 ? (k + e->block - 1) / e->block : 1, all = e->n_experts * n;
    if (!e->bits) return ol_tensor_count(e->w[i]) == all * k;
    return e->w[i]->dtype == OL_U8 && k * e->bits % 8 == 0 && (e->block == 0 || k % e->block == 0) &&
           ol_tensor_count(e->w[i]) == all * k * e->bits / 8 && e->scale[i] && ol_tensor_count(e->scale[i]) == all * blocks &&
           (!e->zero[i] || ol_tensor_count(e->zero[i]) == all * ((blocks * e->bits + 7) / 8));
}

static olv_status read(ol_eval *c, experts *e, bool quantized, olv_error *err) {
    int second = quantized ? 5 : 4, bias[2] = {quantized ? 4 : 3, quantized ? 7 : 5};
    OL_TRY(ol_eval_need(c, 0, &e->x, err));
    OL_TRY(ol_eval_need(c, 1, &e->router, err));
    OL_TRY(ol_eval_need(c, 2, &e->w[0], err));
    OL_TRY(ol_eval_need(c, second, &e->w[1], err));
    for (int i = 0; i < 2; i++) {
        e->bias[i] = ol_eval_in(c, bias[i]);
        e->scale[i] = quantized ? ol_eval_in(c, i ? 6 : 3) : NULL;
        e->zero[i] = quantized ? ol_eval_in(c, 11 + i) : NULL;
    }
    e->weights = quantized ? ol_eval_in(c, 14) : NULL;
    e->bits = quantized ? ol_node_int(c->node, "expert_weight_bits", 4) : 0;
    e->block = ol_node_int(c->node, "block_size", 0);
    e->k = ol_node_int(c->node, "k", 1);
    e->alpha = (double)ol_node_float(c->node, "activation_alpha", 1);
    e->beta = (double)ol_node_float(c->node, "activation_beta", 0);
    e->limit = (double)ol_node_float(c->node, "swiglu_limit", INFINITY);
    e->normalize = ol_node_int(c->node, "normalize_routing_weights", 0) != 0;
    if (!ol_str_is(ol_node_string(c->node, "activation_type", "relu"), "swiglu") || ol_node_int(c->node, "swiglu_fusion", 0) != 1 ||
        ol_eval_in(c, quantized ? 8 : 6) || ol_node_int(c->node, "use_sparse_mixer", 0) ||
        !ol_str_is(ol_node_string(c->node, "quant_type", "int"), "int") || ol_node_int(c->node, "weights_prepacked", 0) > 0)
        return ol_fail(err, OLV_UNSUPPORTED, "experts other than swiglu with swiglu_fusion 1, or prepacked ones");
    return OLV_OK;
}

static olv_status check(experts *e, olv_error *err) {
    if (e->x->rank < 2 || e->router->rank != 2 || e->w[0]->rank != 3 || e->w[1]->rank != 3 ||
        (e->bits && e->bits != 2 && e->bits != 4 && e->bits != 8) || e->block < 0)
        return ol_fail(err, OLV_SHAPE, "rows, scores and three-dimensional experts expected");
    e->n_experts = e->w[0]->dims[0];
    e->hidden = e->x->dims[e->x->rank - 1];
    e->inter = e->w[0]->dims[1] / 2;
    e->rows = e->hidden ? ol_tensor_count(e->x) / e->hidden : 0;
    int64_t n[2] = {2 * e->inter, e->hidden};
    bool fits = e->w[1]->dims[0] == e->n_experts && e->w[1]->dims[1] == e->hidden && e->w[0]->dims[1] == n[0] && e->inter > 0 &&
                e->k >= 1 && e->k <= e->n_experts && packed_fits(e, 0, n[0], e->hidden) && packed_fits(e, 1, n[1], e->inter) &&
                ol_tensor_count(e->router) == e->rows * e->n_experts &&
                (!e->weights || ol_tensor_count(e->weights) == e->rows * e->n_experts);
    for (int i = 0; i < 2; i++) fits = fits && (!e->bias[i] || ol_tensor_count(e->bias[i]) == e->n_experts * n[i]);
    return fits ? OLV_OK : ol_fail(err, OLV_SHAPE, "rows, scores and experts do not fit");
}

static double weight_at(const experts *e, int i, int64_t row, int64_t k, int64_t j) {
    if (!e->bits) return ol_tensor_get(e->w[i], row * k + j);
    int64_t block = e->block ? e->block : k, blocks = (k + block - 1) / block, b = j / block;
    int code = ol_code_at((const uint8_t *)e->w[i]->data + row * (k * e->bits / 8), j, e->bits);
    return (code - ol_zero_at(e->zero[i], row, b, blocks, e->bits)) * ol_tensor_get(e->scale[i], row * blocks + b);
}

/* out [n] = W of an expert times v [k], with its bias. */
static void multiply(const experts *e, int i, int64_t expert, int64_t n, int64_t k, const double *v, double *out) {
    for (int64_t r = 0; r < n; r++) {
        double sum = e->bias[i] ? ol_tensor_get(e->bias[i], expert * n + r) : 0;
        for (int64_t j = 0; j < k; j++) sum += weight_at(e, i, expert * n + r, k, j) * v[j];
        out[r] = sum;
    }
}

/* The k best experts of a row, and their weights. */
static void choose(const experts *e, int64_t row, int64_t *ids, double *weights) {
    double sum = 0, most = 0;
    for (int64_t a = 0; a < e->k; a++) {
        int64_t best = -1;
        for (int64_t i = 0; i < e->n_experts; i++) {
            bool taken = false;
            for (int64_t b = 0; b < a; b++) taken |= ids[b] == i;
            if (!taken && (best < 0 || ol_tensor_get(e->router, row * e->n_experts + i) >
                                           ol_tensor_get(e->router, row * e->n_experts + best)))
                best = i;
        }
        ids[a] = best;
        double s = ol_tensor_get(e->router, row * e->n_experts + best);
        if (a == 0) most = s;
        weights[a] = e->weights ? ol_tensor_get(e->weights, row * e->n_experts + best) : exp(s - most);
        sum += weights[a];
    }
    for (int64_t a = 0; a < e->k && (!e->weights || e->normalize); a++) weights[a] /= sum;
}

static void run_row(const experts *e, int64_t row, int64_t *ids, double *v) {
    double *x = v, *h = x + e->hidden, *a = h + 2 * e->inter, *out = a + e->inter, *sum = out + e->hidden, *weights = sum + e->hidden;
    choose(e, row, ids, weights);
    for (int64_t j = 0; j < e->hidden; j++) {
        x[j] = ol_tensor_get(e->x, row * e->hidden + j);
        sum[j] = 0;
    }
    for (int64_t c = 0; c < e->k; c++) {
        multiply(e, 0, ids[c], 2 * e->inter, e->hidden, x, h);
        for (int64_t j = 0; j < e->inter; j++) {
            double g = fmin(h[2 * j], e->limit), u = fmax(fmin(h[2 * j + 1], e->limit), -e->limit);
            a[j] = g / (1 + exp(-e->alpha * g)) * (u + e->beta);
        }
        multiply(e, 1, ids[c], e->hidden, e->inter, a, out);
        for (int64_t j = 0; j < e->hidden; j++) sum[j] += weights[c] * out[j];
    }
    for (int64_t j = 0; j < e->hidden; j++) ol_tensor_set(e->y, row * e->hidden + j, sum[j]);
}

static olv_status eval(ol_eval *c, bool quantized, olv_error *err) {
    experts e = {0};
    OL_TRY(read(c, &e, quantized, err));
    OL_TRY(check(&e, err));
    OL_TRY(ol_eval_out(c, 0, e.x->dtype, e.x->rank, e.x->dims, &e.y, err));
    double *v = ol_calloc((size_t)(3 * e.hidden + 3 * e.inter + e.k), sizeof *v);
    int64_t *ids = ol_calloc((size_t)e.k, sizeof *ids);
    bool ok = v && ids;
    for (int64_t r = 0; ok && r < e.rows; r++) run_row(&e, r, ids, v);
    ol_free(v);
    ol_free(ids);
    return ok ? OLV_OK : ol_fail(err, OLV_NOMEM, "no memory for a row");
}

static olv_status eval_float(ol_eval *c, olv_error *err) { return eval(c, false, err); }
static olv_status eval_quantized(ol_eval *c, olv_error *err) { return eval(c, true, err); }

static const ol_attr_spec attrs[] = {
    {"k", OL_ATTR_INT, false}, {"activation_type", OL_ATTR_STRING, false}, {"activation_alpha", OL_ATTR_FLOAT, false},
    {"activation_beta", OL_ATTR_FLOAT, false}, {"swiglu_fusion", OL_ATTR_INT, false}, {"swiglu_limit", OL_ATTR_FLOAT, false},
    {"normalize_routing_weights", OL_ATTR_INT, false}, {"use_sparse_mixer", OL_ATTR_INT, false},
    {"expert_weight_bits", OL_ATTR_INT, false}, {"block_size", OL_ATTR_INT, false}, {"quant_type", OL_ATTR_STRING, false},
    {"weights_prepacked", OL_ATTR_INT, false}, {"accuracy_level", OL_ATTR_INT, false}};
extern const ol_op ol_op_microsoft_MoE, ol_op_microsoft_QMoE;
const ol_op ol_op_microsoft_MoE = {"com.microsoft", "MoE", "mixture of experts (swiglu)", 3, 8, 1, 1, attrs, 8, infer,
                                   eval_float, NULL, false, false};
const ol_op ol_op_microsoft_QMoE = {"com.microsoft", "QMoE", "mixture of experts (swiglu) with blocked 2, 4 or 8-bit weights", 3,
                                    15, 1, 1, attrs, 13, infer, eval_quantized, NULL, false, false};
