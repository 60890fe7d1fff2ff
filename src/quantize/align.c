/* SPDX-License-Identifier: Apache-2.0 */
/* Channel alignment: between two convolutions with nothing in between, each channel may be shifted and scaled at will when
 * the second takes it back. Channels are brought to one centre and one reach, so that a common scale serves them all. */
#include "base/alloc.h"
#include "base/error.h"
#include "quantize/emit.h"
#include "quantize/range.h"
#include "quantize/steps.h"
#include <math.h>
#include <stdlib.h>

typedef struct pair {
    ol_node *first, *second;
    ol_observer seen;
} pair;

typedef struct pairs {
    pair *items;
    int n;
} pairs;

static bool all_are(const ol_node *n, const char *attr, int64_t wanted) {
    size_t count;
    const int64_t *v = ol_node_ints(n, attr, &count);
    for (size_t i = 0; i < count; i++)
        if (v[i] != wanted) return false;
    return true;
}

static bool owns_weights(const ol_node *n) {
    int axis;
    return ol_node_is(n, "Conv") && ol_quant_weight_input(n, &axis) == 1 && n->inputs[1]->n_uses == 1;
}

/* Every element of the value meets every tap of the second: padding would put zeros that are shifted by nobody. */
static bool takes_back(const ol_node *n) {
    ol_str pad = ol_node_string(n, "auto_pad", "NOTSET");
    return owns_weights(n) && ol_node_int(n, "group", 1) == 1 && all_are(n, "strides", 1) && all_are(n, "dilations", 1) && all_are(n, "pads", 0) &&
           (ol_str_is(pad, "NOTSET") || ol_str_is(pad, "VALID"));
}

static olv_status collect(ol_graph *g, pairs *out, olv_error *err) {
    out->items = ol_calloc((size_t)g->n_nodes + 1, sizeof *out->items);
    if (!out->items) return ol_fail(err, OLV_NOMEM, "no memory to align channels");
    olv_quantize_params how;
    olv_quantize_params_init(&how);
    how.activations = (olv_range_estimator){OLV_STAT_QUANTILE, OLV_STAT_QUANTILE, OLV_AGGREGATE_MEDIAN, OLV_AGGREGATE_MEDIAN, 1e-4, true};
    for (ol_node *n = g->first; n; n = n->next) {
        ol_node *second = owns_weights(n) ? ol_value_only_user(n->outputs[0]) : NULL;
        if (!second || second->graph != g || second->inputs[0] != n->outputs[0] || !takes_back(second)) continue;
        pair *p = &out->items[out->n++];
        *p = (pair){.first = n, .second = second};
        ol_observer_init(&p->seen, &how, true, false);
    }
    return OLV_OK;
}

static olv_status look(void *ctx, size_t sample, int which, const ol_tensor *x, int64_t items, olv_error *err) {
    (void)sample;
    return ol_observer_look(&((pairs *)ctx)->items[which].seen, x, items, err);
}

static int compare(const void *a, const void *b) {
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

/* Multiplies or adds to the constant of an input: channel c of elements [.., channels, inner] by v[c]. */
static olv_status change(ol_node *n, int input, int axis, const float *v, bool add, olv_error *err) {
    ol_tensor t;
    int64_t inner = 1;
    OL_TRY(ol_const_materialize(n->inputs[input]->constant, SIZE_MAX, &t, err));
    for (int i = axis + 1; i < t.rank; i++) inner *= t.dims[i];
    float *x = t.data;
    for (int64_t i = 0, count = ol_tensor_count(&t); i < count; i++) {
        float by = v[i / inner % t.dims[axis]];
        x[i] = add ? x[i] + by : x[i] * by;
    }
    ol_const *c = ol_const_tensor(&t, err);
    ol_tensor_deinit(&t);
    OL_TRY(ol_made(c, err));
    ol_value_set_constant(n->inputs[input], c);
    return OLV_OK;
}

/* What the second's outputs lose by the shift: its weights times the centres. */
static olv_status response(const ol_node *second, const float *centre, float **out, olv_error *err) {
    ol_tensor w;
    OL_TRY(ol_const_materialize(second->inputs[1]->constant, SIZE_MAX, &w, err));
    int64_t per = ol_tensor_count(&w) / (w.dims[0] ? w.dims[0] : 1), inner = per / (w.dims[1] ? w.dims[1] : 1);
    float *sum = ol_calloc((size_t)w.dims[0] + 1, sizeof *sum);
    for (int64_t o = 0; sum && o < w.dims[0]; o++) {
        double s = 0;
        for (int64_t i = 0; i < per; i++) s += (double)((const float *)w.data)[o * per + i] * (double)centre[i / inner];
        sum[o] = (float)s;
    }
    ol_tensor_deinit(&w);
    *out = sum;
    return sum ? OLV_OK : ol_fail(err, OLV_NOMEM, "no memory to align channels");
}

static olv_status shift(const pair *p, float *centre, int64_t n, olv_error *err) {
    ol_node *at;
    int input;
    float *back;
    const ol_value *b1 = ol_quant_bias_of(p->first, &at, &input), *b2 = ol_quant_bias_of(p->second, &at, &input);
    if (!b1 || !b2 || b1->n_uses != 1 || b2->n_uses != 1) return OLV_OK;
    OL_TRY(response(p->second, centre, &back, err));
    olv_status s = change(p->second, 2, 0, back, true, err);
    ol_free(back);
    for (int64_t c = 0; c < n; c++) centre[c] = -centre[c];
    return s == OLV_OK ? change(p->first, 2, 0, centre, true, err) : s;
}

static olv_status scale(const pair *p, const float *reach, float *factor, int64_t n, olv_error *err) {
    int64_t known = 0;
    ol_node *at;
    int input;
    const ol_value *bias = ol_quant_bias_of(p->first, &at, &input);
    if (p->first->n_inputs > 2 && p->first->inputs[2] && (!bias || bias->n_uses != 1)) return OLV_OK;
    for (int64_t c = 0; c < n; c++)
        if (reach[c] > 1e-7f) factor[known++] = reach[c];
    if (!known) return OLV_OK;
    qsort(factor, (size_t)known, sizeof *factor, compare);
    float median = (factor[(known - 1) / 2] + factor[known / 2]) / 2;
    for (int64_t c = 0; c < n; c++) factor[c] = reach[c] > 1e-7f ? fminf(fmaxf(reach[c] / median, 0.01f), 100) : 1;
    OL_TRY(change(p->second, 1, 1, factor, false, err));
    for (int64_t c = 0; c < n; c++) factor[c] = 1 / factor[c];
    OL_TRY(change(p->first, 1, 0, factor, false, err));
    return bias ? change(p->first, 2, 0, factor, false, err) : OLV_OK;
}

static olv_status align(pair *p, olv_error *err) {
    float *low, *high;
    OL_TRY(ol_observer_finish(&p->seen, &low, &high, err));
    for (int64_t c = 0; c < p->seen.n; c++) {
        float reach = high[c] - low[c];
        low[c] = (low[c] + high[c]) / 2;
        high[c] = reach;
    }
    float *factor = ol_calloc((size_t)p->seen.n + 1, sizeof *factor);
    olv_status s = factor ? shift(p, low, p->seen.n, err) : ol_fail(err, OLV_NOMEM, "no memory to align channels");
    if (s == OLV_OK) s = scale(p, high, factor, p->seen.n, err);
    ol_free(low), ol_free(high), ol_free(factor);
    return s;
}

olv_status ol_quantize_align(ol_graph *g, ol_prober *prober, olv_error *err) {
    pairs all = {NULL, 0};
    olv_status s = collect(g, &all, err);
    const char **names = ol_calloc((size_t)all.n + 1, sizeof *names);
    if (s == OLV_OK && !names) s = ol_fail(err, OLV_NOMEM, "no memory to align channels");
    for (int i = 0; s == OLV_OK && i < all.n; i++) names[i] = all.items[i].first->outputs[0]->name;
    if (s == OLV_OK && all.n) s = ol_probe(prober, g, names, all.n, NULL, prober->max_samples, look, &all, err);
    for (int i = 0; s == OLV_OK && i < all.n; i++) s = align(&all.items[i], err);
    for (int i = 0; i < all.n; i++) ol_observer_deinit(&all.items[i].seen);
    ol_free(all.items), ol_free(names);
    return s;
}
