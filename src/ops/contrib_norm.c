/* SPDX-License-Identifier: Apache-2.0 */
/* com.microsoft SkipLayerNormalization and SkipSimplifiedLayerNormalization (x + skip + bias, then the norm over the last
 * dim; output 3 is the sum), SimplifiedLayerNormalization (default domain), and the Gelu family with a bias. */
#include "ops/ops.h"

static olv_status norm_rows(const double *x, int64_t rows, int64_t n, bool center, double eps, const ol_tensor *gamma,
                            const ol_tensor *beta, ol_tensor *y) {
    for (int64_t r = 0; r < rows; r++) {
        const double *v = x + r * n;
        double mean = 0, sq = 0;
        for (int64_t i = 0; center && i < n; i++) mean += v[i];
        mean /= (double)n;
        for (int64_t i = 0; i < n; i++) sq += (v[i] - mean) * (v[i] - mean);
        double inv = 1 / sqrt(sq / (double)n + eps);
        for (int64_t i = 0; i < n; i++) {
            double out = (v[i] - mean) * inv * ol_tensor_get(gamma, i);
            ol_tensor_set(y, r * n + i, beta ? out + ol_tensor_get(beta, i) : out);
        }
    }
    return OLV_OK;
}

static olv_status eval_skip(ol_eval *c, bool center, olv_error *err) {
    const ol_tensor *x, *skip, *gamma, *beta = center ? ol_eval_in(c, 3) : NULL, *bias = ol_eval_in(c, center ? 4 : 3);
    ol_tensor *y, *sum;
    double *v;
    OL_TRY(ol_eval_need(c, 0, &x, err));
    OL_TRY(ol_eval_need(c, 1, &skip, err));
    OL_TRY(ol_eval_need(c, 2, &gamma, err));
    int64_t count = ol_tensor_count(x), n = x->rank ? x->dims[x->rank - 1] : 0, m = ol_tensor_count(skip);
    if (n < 1 || ol_tensor_count(gamma) != n || (beta && ol_tensor_count(beta) != n) || (bias && ol_tensor_count(bias) != n) ||
        m < 1 || count % m || m % n)
        return ol_fail(err, OLV_SHAPE, "input, skip and weights do not fit");
    OL_TRY(ol_eval_out(c, 0, x->dtype, x->rank, x->dims, &y, err));
    OL_TRY(ol_tensor_f64(x, &v, err));
    for (int64_t i = 0; i < count; i++) {
        v[i] += ol_tensor_get(skip, i % m) + (bias ? ol_tensor_get(bias, i % n) : 0);
    }
    olv_status s = OLV_OK;
    if (c->node->n_outputs > 3) {
        s = ol_eval_out(c, 3, x->dtype, x->rank, x->dims, &sum, err);
        if (s == OLV_OK) ol_tensor_store(sum, v);
    }
    if (s == OLV_OK)
        s = norm_rows(v, count / n, n, center, (double)ol_node_float(c->node, "epsilon", 1e-12f), gamma, beta, y);
    ol_free(v);
    return s;
}

static olv_status eval_simplified(ol_eval *c, olv_error *err) {
    const ol_tensor *x, *gamma;
    ol_tensor *y;
    double *v;
    OL_TRY(ol_eval_need(c, 0, &x, err));
    OL_TRY(ol_eval_need(c, 1, &gamma, err));
    int axis;
    OL_TRY(ol_axis(ol_node_int(c->node, "axis", -1), x->rank, false, &axis, err));
    int64_t n = ol_dims_count(x->dims, axis, x->rank);
    if (n < 1 || ol_tensor_count(gamma) != n) return ol_fail(err, OLV_SHAPE, "scale does not fit");
    OL_TRY(ol_eval_out(c, 0, x->dtype, x->rank, x->dims, &y, err));
    OL_TRY(ol_tensor_f64(x, &v, err));
    norm_rows(v, ol_tensor_count(x) / n, n, false, (double)ol_node_float(c->node, "epsilon", 1e-5f), gamma, NULL, y);
    ol_free(v);
    return OLV_OK;
}

static olv_status infer_norm(ol_infer *c, olv_error *err) {
    (void)err;
    const ol_type *x = ol_infer_in(c, 0);
    for (int i = 0; i < c->node->n_outputs; i++) {
        c->out[i] = *x;
        if (i == 1 || i == 2) {
            c->out[i].dtype = OL_F32;
            if (x->rank > 0) c->out[i].dims[x->rank - 1] = 1;
        }
    }
    return OLV_OK;
}

static olv_status eval_skip_layer(ol_eval *c, olv_error *err) { return eval_skip(c, true, err); }
static olv_status eval_skip_rms(ol_eval *c, olv_error *err) { return eval_skip(c, false, err); }

typedef enum gelu_kind { ERF, TANH, QUICK } gelu_kind;
static olv_status eval_gelu(ol_eval *c, gelu_kind k, olv_error *err) {
    const ol_tensor *x, *bias = ol_eval_in(c, 1);
    ol_tensor *y;
    OL_TRY(ol_eval_need(c, 0, &x, err));
    int64_t n = bias ? ol_tensor_count(bias) : 1;
    if (n < 1 || (bias && (x->rank < 1 || x->dims[x->rank - 1] != n))) return ol_fail(err, OLV_SHAPE, "bias does not fit");
    double alpha = (double)ol_node_float(c->node, "alpha", 1.702f);
    OL_TRY(ol_eval_out(c, 0, x->dtype, x->rank, x->dims, &y, err));
    for (int64_t i = 0, count = ol_tensor_count(x); i < count; i++) {
        double v = ol_tensor_get(x, i) + (bias ? ol_tensor_get(bias, i % n) : 0), r;
        if (k == ERF) r = 0.5 * v * (1 + erf(v * M_SQRT1_2));
        else if (k == TANH) r = 0.5 * v * (1 + tanh(sqrt(2 / M_PI) * (v + 0.044715 * v * v * v)));
        else r = v / (1 + exp(-alpha * v));
        ol_tensor_set(y, i, r);
    }
    return OLV_OK;
}
static olv_status eval_erf(ol_eval *c, olv_error *err) { return eval_gelu(c, ERF, err); }
static olv_status eval_tanh(ol_eval *c, olv_error *err) { return eval_gelu(c, TANH, err); }
static olv_status eval_quick(ol_eval *c, olv_error *err) { return eval_gelu(c, QUICK, err); }

static const ol_attr_spec eps[] = {{"epsilon", OL_ATTR_FLOAT, false}, {"axis", OL_ATTR_INT, false}, {"stash_type", OL_ATTR_INT, false}};
static const ol_attr_spec quick[] = {{"alpha", OL_ATTR_FLOAT, false}};
#define OP(id, domain, name, text, in0, in1, out1, at, n, inf, ev)                                          \
    extern const ol_op id;                                                                                  \
    const ol_op id = {domain, name, text, in0, in1, 1, out1, at, n, inf, ev, NULL, false, false};
OP(ol_op_microsoft_SkipLayerNormalization, "com.microsoft", "SkipLayerNormalization", "layer norm of a sum", 3, 5, 4, eps, 1,
   infer_norm, eval_skip_layer)
OP(ol_op_microsoft_SkipSimplifiedLayerNormalization, "com.microsoft", "SkipSimplifiedLayerNormalization",
   "RMS norm of a sum", 3, 4, 4, eps, 1, infer_norm, eval_skip_rms)
OP(ol_op_microsoft_SimplifiedLayerNormalization, "com.microsoft", "SimplifiedLayerNormalization", "RMS norm", 2, 2, 2, eps,
   3, infer_norm, eval_simplified)
OP(ol_op_SimplifiedLayerNormalization, "", "SimplifiedLayerNormalization", "RMS norm, as onnxruntime files spell it", 2, 2,
   2, eps, 3, infer_norm, eval_simplified)
OP(ol_op_microsoft_Gelu, "com.microsoft", "Gelu", "Gelu with erf", 1, 1, 1, NULL, 0, ol_infer_same, eval_erf)
OP(ol_op_microsoft_BiasGelu, "com.microsoft", "BiasGelu", "Gelu(x + bias)", 2, 2, 1, NULL, 0, ol_infer_same, eval_erf)
OP(ol_op_microsoft_FastGelu, "com.microsoft", "FastGelu", "tanh Gelu(x + bias)", 1, 2, 1, NULL, 0, ol_infer_same, eval_tanh)
OP(ol_op_microsoft_QuickGelu, "com.microsoft", "QuickGelu", "x sigmoid(alpha x)", 1, 1, 1, quick, 1, ol_infer_same,
   eval_quick)
