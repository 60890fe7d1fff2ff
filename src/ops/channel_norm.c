/* SPDX-License-Identifier: Apache-2.0 */
/* Norms of [N, C, ...]: BatchNormalization (inference and training), InstanceNormalization, GroupNormalization, LRN,
 * LpNormalization, MeanVarianceNormalization. */
#include "ops/ops.h"

static olv_status need_vectors(ol_eval *c, int from, int to, int64_t n, const ol_tensor **t, olv_error *err) {
    for (int i = from; i < to; i++) {
        OL_TRY(ol_eval_need(c, i, &t[i], err));
        if (ol_tensor_count(t[i]) != n) return ol_fail(err, OLV_SHAPE, "input %d of %lld elements found, %lld expected", i, (long long)ol_tensor_count(t[i]), (long long)n);
    }
    return OLV_OK;
}

/* Mean and variance of channel ch over N and the spatial dims. */
static void channel_stats(const ol_tensor *x, int64_t ch, double *mean, double *var) {
    int64_t n = x->dims[0], channels = x->rank > 1 ? x->dims[1] : 1, inner = ol_dims_count(x->dims, 2, x->rank);
    double sum = 0, sq = 0, count = (double)(n * inner);
    for (int64_t b = 0; b < n; b++)
        for (int64_t i = 0; i < inner; i++) sum += ol_tensor_get(x, (b * channels + ch) * inner + i);
    *mean = sum / count;
    for (int64_t b = 0; b < n; b++)
        for (int64_t i = 0; i < inner; i++) sq += pow(ol_tensor_get(x, (b * channels + ch) * inner + i) - *mean, 2);
    *var = sq / count;
}

static olv_status eval_batch(ol_eval *c, olv_error *err) {
    const ol_tensor *t[5];
    ol_tensor *y, *om = NULL, *ov = NULL;
    OL_TRY(ol_eval_need(c, 0, &t[0], err));
    const ol_tensor *x = t[0];
    if (x->rank < 1) return ol_fail(err, OLV_SHAPE, "rank 0");
    int64_t channels = x->rank > 1 ? x->dims[1] : 1, inner = ol_dims_count(x->dims, 2, x->rank);
    OL_TRY(need_vectors(c, 1, 5, channels, t, err));
    bool training = ol_node_int(c->node, "training_mode", 0) != 0;
    double eps = (double)ol_node_float(c->node, "epsilon", 1e-5f), momentum = (double)ol_node_float(c->node, "momentum", 0.9f);
    OL_TRY(ol_eval_out(c, 0, x->dtype, x->rank, x->dims, &y, err));
    if (c->node->n_outputs > 1) OL_TRY(ol_eval_out(c, 1, t[3]->dtype, 1, &channels, &om, err));
    if (c->node->n_outputs > 2) OL_TRY(ol_eval_out(c, 2, t[4]->dtype, 1, &channels, &ov, err));
    for (int64_t ch = 0; ch < channels; ch++) {
        double mean = ol_tensor_get(t[3], ch), var = ol_tensor_get(t[4], ch), old_mean = mean, old_var = var;
        if (training) channel_stats(x, ch, &mean, &var);
        if (om) ol_tensor_set(om, ch, training ? old_mean * momentum + mean * (1 - momentum) : mean);
        if (ov) ol_tensor_set(ov, ch, training ? old_var * momentum + var * (1 - momentum) : var);
        double k = ol_tensor_get(t[1], ch) / sqrt(var + eps), b0 = ol_tensor_get(t[2], ch);
        for (int64_t b = 0; b < x->dims[0]; b++)
            for (int64_t i = 0; i < inner; i++) {
                int64_t at = (b * channels + ch) * inner + i;
                ol_tensor_set(y, at, (ol_tensor_get(x, at) - mean) * k + b0);
            }
    }
    return OLV_OK;
}

static olv_status infer_batch(ol_infer *c, olv_error *err) {
    (void)err;
    const ol_type *x = ol_infer_in(c, 0);
    c->out[0] = *x;
    for (int i = 1; i < c->node->n_outputs; i++) {
        const ol_type *s = ol_infer_in(c, i < 3 ? i + 2 : 3);
        ol_infer_set(c, i, s ? s->dtype : x->dtype, 1);
        if (x->rank > 1) c->out[i].dims[0] = x->dims[1];
    }
    return OLV_OK;
}

/* Groups of channels normalized per sample; scale per channel or per group. */
static olv_status eval_groups(ol_eval *c, int64_t groups, olv_error *err) {
    const ol_tensor *x, *scale, *bias;
    ol_tensor *y;
    OL_TRY(ol_eval_need(c, 0, &x, err));
    OL_TRY(ol_eval_need(c, 1, &scale, err));
    OL_TRY(ol_eval_need(c, 2, &bias, err));
    if (x->rank < 2) return ol_fail(err, OLV_SHAPE, "rank %d", x->rank);
    int64_t channels = x->dims[1], ns = ol_tensor_count(scale);
    if (groups == 0) groups = channels;
    if (groups < 1 || channels % groups || (ns != channels && ns != groups) || ol_tensor_count(bias) != ns) return ol_fail(err, OLV_SHAPE, "groups, scale or bias do not fit");
    int64_t inner = ol_dims_count(x->dims, 2, x->rank), n = channels / groups * inner;
    double eps = (double)ol_node_float(c->node, "epsilon", 1e-5f);
    OL_TRY(ol_eval_out(c, 0, x->dtype, x->rank, x->dims, &y, err));
    for (int64_t g = 0; g < x->dims[0] * groups; g++) {
        double mean = 0, var = 0;
        for (int64_t i = 0; i < n; i++) mean += ol_tensor_get(x, g * n + i);
        mean /= (double)n;
        for (int64_t i = 0; i < n; i++) var += pow(ol_tensor_get(x, g * n + i) - mean, 2);
        double k = 1 / sqrt(var / (double)n + eps);
        for (int64_t i = 0; i < n; i++) {
            int64_t ch = ns == channels ? (g % groups) * (channels / groups) + i / inner : g % groups;
            ol_tensor_set(y, g * n + i, (ol_tensor_get(x, g * n + i) - mean) * k * ol_tensor_get(scale, ch) + ol_tensor_get(bias, ch));
        }
    }
    return OLV_OK;
}
static olv_status eval_instance(ol_eval *c, olv_error *err) { return eval_groups(c, 0, err); }
static olv_status eval_group(ol_eval *c, olv_error *err) {
    int64_t g = ol_node_int(c->node, "num_groups", 0);
    return g > 0 ? eval_groups(c, g, err) : ol_fail(err, OLV_SHAPE, "num_groups %lld", (long long)g);
}

static olv_status eval_lrn(ol_eval *c, olv_error *err) {
    const ol_tensor *x;
    ol_tensor *y;
    OL_TRY(ol_eval_need(c, 0, &x, err));
    int64_t size = ol_node_int(c->node, "size", 1);
    if (x->rank < 2 || size < 1) return ol_fail(err, OLV_SHAPE, "rank %d, size %lld", x->rank, (long long)size);
    double alpha = (double)ol_node_float(c->node, "alpha", 1e-4f), beta = (double)ol_node_float(c->node, "beta", 0.75f), bias = (double)ol_node_float(c->node, "bias", 1);
    int64_t channels = x->dims[1], inner = ol_dims_count(x->dims, 2, x->rank);
    OL_TRY(ol_eval_out(c, 0, x->dtype, x->rank, x->dims, &y, err));
    for (int64_t at = 0, n = ol_tensor_count(x); at < n; at++) {
        int64_t ch = at / inner % channels, base = at - ch * inner;
        double sq = 0;
        for (int64_t k = ch - (size - 1) / 2; k <= ch + size / 2; k++)
            if (k >= 0 && k < channels) sq += pow(ol_tensor_get(x, base + k * inner), 2);
        ol_tensor_set(y, at, ol_tensor_get(x, at) / pow(bias + alpha / (double)size * sq, beta));
    }
    return OLV_OK;
}

static olv_status eval_lp(ol_eval *c, olv_error *err) {
    const ol_tensor *x;
    ol_tensor *y;
    int axis;
    OL_TRY(ol_eval_need(c, 0, &x, err));
    OL_TRY(ol_axis(ol_node_int(c->node, "axis", -1), x->rank, false, &axis, err));
    OL_TRY(ol_eval_out(c, 0, x->dtype, x->rank, x->dims, &y, err));
    bool one = ol_node_int(c->node, "p", 2) == 1;
    int64_t n = x->dims[axis], inner = ol_dims_count(x->dims, axis + 1, x->rank), lines = ol_dims_count(x->dims, 0, axis) * inner;
    for (int64_t l = 0; l < lines; l++) {
        double sum = 0;
        int64_t base = l / inner * n * inner + l % inner;
        for (int64_t i = 0; i < n; i++) sum += one ? fabs(ol_tensor_get(x, base + i * inner)) : pow(ol_tensor_get(x, base + i * inner), 2);
        if (!one) sum = sqrt(sum);
        for (int64_t i = 0; i < n; i++) ol_tensor_set(y, base + i * inner, sum == 0 ? 0 : ol_tensor_get(x, base + i * inner) / sum);
    }
    return OLV_OK;
}

static olv_status eval_mvn(ol_eval *c, olv_error *err) {
    const ol_tensor *x;
    ol_tensor *y;
    size_t n_axes;
    static const int64_t def[] = {0, 2, 3};
    const int64_t *axes = ol_node_ints(c->node, "axes", &n_axes);
    bool over[OL_MAX_RANK] = {false};
    OL_TRY(ol_eval_need(c, 0, &x, err));
    if (!axes) {
        axes = def;
        n_axes = 3;
    }
    for (size_t i = 0; i < n_axes; i++) {
        int a;
        OL_TRY(ol_axis(axes[i], x->rank, false, &a, err));
        over[a] = true;
    }
    OL_TRY(ol_eval_out(c, 0, x->dtype, x->rank, x->dims, &y, err));
    int64_t n = ol_tensor_count(x), cells = 1, count = 1;
    for (int d = 0; d < x->rank; d++) *(over[d] ? &count : &cells) *= x->dims[d];
    double *sum = ol_calloc((size_t)cells, 2 * sizeof *sum), *sq = sum ? sum + cells : NULL;
    if (!sum) return ol_fail(err, OLV_NOMEM, "no memory");
    for (int round = 0; round < 3; round++)
        for (int64_t i = 0; i < n; i++) {
            int64_t cell = 0, rest = i, step = 1;
            for (int d = x->rank - 1; d >= 0; d--) {
                if (!over[d]) {
                    cell += rest % x->dims[d] * step;
                    step *= x->dims[d];
                }
                rest /= x->dims[d];
            }
            double v = ol_tensor_get(x, i), mean = sum[cell] / (double)count;
            if (round == 0) sum[cell] += v;
            else if (round == 1) sq[cell] += (v - mean) * (v - mean);
            else ol_tensor_set(y, i, (v - mean) / (sqrt(sq[cell] / (double)count) + 1e-9));
        }
    ol_free(sum);
    return OLV_OK;
}

#define F(n) {n, OL_ATTR_FLOAT, false}
#define I(n) {n, OL_ATTR_INT, false}
static const ol_attr_spec batch_attrs[] = {F("epsilon"), F("momentum"), I("training_mode")};
static const ol_attr_spec group_attrs[] = {F("epsilon"), {"num_groups", OL_ATTR_INT, true}, I("stash_type")};
static const ol_attr_spec lrn_attrs[] = {F("alpha"), F("beta"), F("bias"), {"size", OL_ATTR_INT, true}};
static const ol_attr_spec lp_attrs[] = {I("axis"), I("p")};
static const ol_attr_spec mvn_attrs[] = {{"axes", OL_ATTR_INTS, false}};
extern const ol_op ol_op_BatchNormalization, ol_op_InstanceNormalization, ol_op_GroupNormalization, ol_op_LRN, ol_op_LpNormalization, ol_op_MeanVarianceNormalization;
const ol_op ol_op_BatchNormalization = {"", "BatchNormalization", "channels by given or measured mean and variance", 5, 5, 1, 5, batch_attrs, 3, infer_batch, eval_batch, NULL, false, false};
const ol_op ol_op_InstanceNormalization = {"", "InstanceNormalization", "each channel of each sample", 3, 3, 1, 1, group_attrs, 1, ol_infer_same, eval_instance, NULL, false, false};
const ol_op ol_op_GroupNormalization = {"", "GroupNormalization", "groups of channels of each sample", 3, 3, 1, 1, group_attrs, 3, ol_infer_same, eval_group, NULL, false, false};
const ol_op ol_op_LRN = {"", "LRN", "local response normalization across channels", 1, 1, 1, 1, lrn_attrs, 4, ol_infer_same, eval_lrn, NULL, false, false};
const ol_op ol_op_LpNormalization = {"", "LpNormalization", "divides by the p-norm along an axis", 1, 1, 1, 1, lp_attrs, 2, ol_infer_same, eval_lp, NULL, false, false};
const ol_op ol_op_MeanVarianceNormalization = {"", "MeanVarianceNormalization", "zero mean, unit variance over axes", 1, 1, 1, 1, mvn_attrs, 1, ol_infer_same, eval_mvn, NULL, false, false};
