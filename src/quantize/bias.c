/* SPDX-License-Identifier: Apache-2.0 */
/* Bias correction. Rounded weights move the mean of a layer's output. The fast way takes the means of the input's channels
 * for the input itself: what is missing is the product of those means with the rounding errors, each weight counted as often
 * as it meets data and not padding. */
#include "base/alloc.h"
#include "base/error.h"
#include "quantize/emit.h"
#include "quantize/steps.h"
#include "quantize/weights.h"
#include <math.h>
#include <string.h>

#define MAX_RATIO_FULL 1000.0

static olv_status set_bias(ol_node *at, int input, const ol_tensor *b, olv_error *err) {
    ol_value *old = at->inputs[input];
    ol_const *c = ol_const_tensor(b, err);
    OL_TRY(ol_made(c, err));
    if (old->n_uses == 1) {
        ol_value_set_constant(old, c);
        return OLV_OK;
    }
    ol_value *v = ol_graph_add_constant(at->graph, ol_graph_fresh_name(at->graph, old->name), c, err);
    OL_TRY(ol_made(v, err));
    ol_node_set_input(at, input, v);
    return OLV_OK;
}

/* Adds the differences to the bias, all or none: a correction far beyond the bias itself says that the means mislead. */
static olv_status add_to_bias(ol_node *n, const double *delta, int64_t count, double most, olv_error *err) {
    ol_node *at;
    int input;
    ol_tensor b;
    const ol_value *v = ol_quant_bias_of(n, &at, &input);
    if (!v) return OLV_OK;
    OL_TRY(ol_const_materialize(v->constant, SIZE_MAX, &b, err));
    olv_status s = OLV_OK;
    float *x = b.data, top = 0;
    bool fits = ol_tensor_count(&b) == count;
    for (int64_t i = 0; fits && i < count; i++) top = fmaxf(top, fabsf(x[i]));
    for (int64_t i = 0; fits && i < count; i++) fits = fabs(delta[i]) <= most * fmax((double)fabsf(x[i]), 0.1 * (double)top + 1e-6);
    if (fits) {
        for (int64_t i = 0; i < count; i++) x[i] = (float)((double)x[i] + delta[i]);
        s = set_bias(at, input, &b, err);
    }
    ol_tensor_deinit(&b);
    return s;
}

/* ---- fast ---- */

/* Sums over the weights of a layer; the k-th weight of a channel stands for input channel in[k]. */
static void missing_means(const ol_node *n, const ol_weight_codes *w, const ol_layer_mean *m, double *delta) {
    const float *x = w->weights.data;
    int in_axis = ol_quant_weight_in_axis(n);
    int64_t in_inner = 1, groups = ol_node_is(n, "Conv") ? ol_node_int(n, "group", 1) : 1, per_group = groups ? w->n / groups : w->n;
    for (int i = in_axis + 1; i < w->weights.rank; i++) in_inner *= w->weights.dims[i];
    int64_t in_n = w->weights.dims[in_axis];
    for (int64_t i = 0, count = ol_tensor_count(&w->weights); i < count; i++) {
        int64_t out = ol_weight_channel(w, i), in = i / in_inner % in_n;
        if (groups > 1) in += out / (per_group ? per_group : 1) * in_n;
        double error = (double)x[i] - (double)w->codes[i] * (double)w->scale[out];
        if (in < m->n) delta[out] += error * (double)m->mean[in];
    }
}

static olv_status correct_layer(ol_node *n, bool half, const ol_layer_mean *m, olv_error *err) {
    int axis, input = ol_quant_weight_input(n, &axis);
    ol_weight_codes w;
    OL_TRY(ol_weight_codes_make(&w, n->inputs[input], axis, half, err));
    double *delta = ol_calloc((size_t)w.n + 1, sizeof *delta);
    olv_status s = delta ? OLV_OK : ol_fail(err, OLV_NOMEM, "no memory to correct a bias");
    if (s == OLV_OK) {
        missing_means(n, &w, m, delta);
        s = add_to_bias(n, delta, w.n, 2, err);
    }
    ol_free(delta);
    ol_weight_codes_deinit(&w);
    return s;
}

olv_status ol_quantize_correct_fast(const ol_placement *pl, const bool *half, const ol_calibration *c, olv_error *err) {
    for (size_t i = 0; i < pl->n_nodes; i++)
        if (c->means[i].mean && ol_placement_has_weights(pl, pl->nodes[i]) && !ol_quant_is_depthwise(pl->nodes[i]))
            OL_TRY(correct_layer(pl->nodes[i], half[i], &c->means[i], err));
    return OLV_OK;
}

/* ---- full ---- */

typedef struct output_means {
    int n;
    double **sums;
    int64_t *channels, *counts;
    const ol_node *const *layers;
} output_means;

static void means_deinit(output_means *m) {
    for (int i = 0; m->sums && i < m->n; i++) ol_free(m->sums[i]);
    ol_free(m->sums), ol_free(m->channels), ol_free(m->counts);
}

static olv_status means_init(output_means *m, const ol_node *const *layers, int n, olv_error *err) {
    *m = (output_means){n, ol_calloc((size_t)n + 1, sizeof *m->sums), ol_calloc((size_t)n + 1, sizeof *m->channels), ol_calloc((size_t)n + 1, sizeof *m->counts), layers};
    return m->sums && m->channels && m->counts ? OLV_OK : ol_fail(err, OLV_NOMEM, "no memory to correct biases");
}

static olv_status add_means(void *ctx, size_t sample, int which, const ol_tensor *x, int64_t items, olv_error *err) {
    output_means *m = ctx;
    (void)sample, (void)items;
    int axis = ol_node_is(m->layers[which], "MatMul") ? x->rank - 1 : 1;
    if (axis < 0 || axis >= x->rank) return ol_fail(err, OLV_SHAPE, "rank %d of a layer's output", x->rank);
    int64_t n = x->dims[axis], inner = 1, count = ol_tensor_count(x);
    for (int i = axis + 1; i < x->rank; i++) inner *= x->dims[i];
    if (!m->sums[which]) {
        m->channels[which] = n;
        m->sums[which] = ol_calloc((size_t)n + 1, sizeof(double));
    }
    if (!m->sums[which]) return ol_fail(err, OLV_NOMEM, "no memory to correct biases");
    if (m->channels[which] != n) return ol_fail(err, OLV_SHAPE, "%lld channels after %lld", (long long)n, (long long)m->channels[which]);
    for (int64_t i = 0; i < count; i++) m->sums[which][i / inner % n] += (double)((const float *)x->data)[i];
    m->counts[which] += n ? count / n : 0;
    return OLV_OK;
}

/* The mean of one layer's output when all weights are rounded. */
static olv_status quantized_means(const ol_placement *pl, const olv_quantize_params *p, const bool *half, ol_prober *prober, const ol_node *layer,
                                  size_t samples, output_means *m, olv_error *err) {
    ol_graph *copy;
    ol_placement own = {.graph = NULL};
    const char *name = layer->outputs[0]->name;
    OL_TRY(means_init(m, &layer, 1, err));
    OL_TRY(ol_graph_clone(pl->graph, NULL, &copy, err));
    ol_lowering_options o = {half, OLV_FORM_QDQ, true};
    olv_status s = ol_placement_make(copy, p, NULL, &own, err);
    for (size_t i = 0; s == OLV_OK && i < own.n_nodes && i < pl->n_nodes; i++) own.roles[i] = pl->roles[i];
    if (s == OLV_OK) s = ol_quantize_lower_qdq(&own, &o, err);
    if (s == OLV_OK) s = ol_probe(prober, copy, &name, 1, NULL, samples, add_means, m, err);
    ol_placement_deinit(&own);
    ol_graph_destroy(copy);
    return s;
}

static olv_status correct_by_means(ol_node *n, const output_means *is, int at, const output_means *should, olv_error *err) {
    int64_t c = should->channels[at];
    if (is->channels[0] != c || !is->counts[0] || !should->counts[at]) return OLV_OK;
    double *delta = ol_calloc((size_t)c + 1, sizeof *delta);
    if (!delta) return ol_fail(err, OLV_NOMEM, "no memory to correct a bias");
    for (int64_t i = 0; i < c; i++) delta[i] = should->sums[at][i] / (double)should->counts[at] - is->sums[0][i] / (double)is->counts[0];
    olv_status s = add_to_bias(n, delta, c, MAX_RATIO_FULL, err);
    ol_free(delta);
    return s;
}

static bool is_corrected(const ol_placement *pl, ol_node *n) {
    ol_node *at;
    int input;
    return ol_placement_has_weights(pl, n) && pl->roles[n->id] == OL_QUANT_WEIGHTED && ol_quant_bias_of(n, &at, &input);
}

olv_status ol_quantize_correct_full(const ol_placement *pl, const olv_quantize_params *p, const bool *half, ol_prober *prober, olv_error *err) {
    const ol_node **layers = ol_calloc(pl->n_nodes + 1, sizeof *layers);
    const char **names = ol_calloc(pl->n_nodes + 1, sizeof *names);
    size_t samples = prober->max_samples / 5 ? prober->max_samples / 5 : 1;
    output_means should = {.n = 0};
    int n = 0;
    olv_status s = layers && names ? OLV_OK : ol_fail(err, OLV_NOMEM, "no memory to correct biases");
    for (size_t i = 0; s == OLV_OK && i < pl->n_nodes; i++)
        if (is_corrected(pl, pl->nodes[i])) layers[n] = pl->nodes[i], names[n++] = pl->nodes[i]->outputs[0]->name;
    if (s == OLV_OK) s = means_init(&should, layers, n, err);
    if (s == OLV_OK && n) s = ol_probe(prober, pl->graph, names, n, NULL, samples, add_means, &should, err);
    for (int i = 0; s == OLV_OK && i < n; i++) {
        output_means is = {.n = 0};
        s = quantized_means(pl, p, half, prober, layers[i], samples, &is, err);
        if (s == OLV_OK) s = correct_by_means(pl->nodes[layers[i]->id], &is, i, &should, err);
        means_deinit(&is);
    }
    means_deinit(&should);
    ol_free(layers), ol_free(names);
    return s;
}
