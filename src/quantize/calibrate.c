/* SPDX-License-Identifier: Apache-2.0 */
#include "base/alloc.h"
#include "base/error.h"
#include "quantize/range.h"
#include "quantize/steps.h"
#include <math.h>

/* What is looked at: observers of quantizers first, then means of layers' inputs. */
typedef struct watch {
    const ol_placement *pl;
    const char **names;
    ol_observer *observers; /* of names[0, n_observers) */
    int *quantizer;         /* whose they are */
    int n, n_observers;
    const ol_node **layers; /* by name - n_observers: whose input it is */
    double **sums;          /* by channel */
    int64_t *channels, *counts;
} watch;

#define WILD 1e9f

static olv_status no_memory(olv_error *err) { return ol_fail(err, OLV_NOMEM, "no memory for calibration"); }

static void watch_deinit(watch *w) {
    for (int i = 0; w->observers && i < w->n_observers; i++) ol_observer_deinit(&w->observers[i]);
    for (int i = 0; w->sums && i < w->n - w->n_observers; i++) ol_free(w->sums[i]);
    ol_free(w->names), ol_free(w->observers), ol_free(w->quantizer);
    ol_free(w->layers), ol_free(w->sums), ol_free(w->channels), ol_free(w->counts);
}

static bool needs_mean(const ol_placement *pl, ol_node *n) {
    ol_node *at;
    int input;
    return ol_placement_has_weights(pl, n) && pl->roles[n->id] == OL_QUANT_WEIGHTED && ol_quant_bias_of(n, &at, &input) &&
           ol_quant_is_activation(n, 0) && n->inputs[0]->graph == pl->graph;
}

static olv_status watch_init(watch *w, const ol_placement *pl, const olv_quantize_params *p, olv_error *err) {
    size_t most = pl->n_quantizers + pl->n_nodes + 1;
    *w = (watch){.pl = pl, .names = ol_calloc(most, sizeof *w->names), .observers = ol_calloc(most, sizeof *w->observers),
                 .quantizer = ol_calloc(most, sizeof *w->quantizer), .layers = ol_calloc(most, sizeof *w->layers),
                 .sums = ol_calloc(most, sizeof *w->sums), .channels = ol_calloc(most, sizeof *w->channels), .counts = ol_calloc(most, sizeof *w->counts)};
    if (!w->names || !w->observers || !w->quantizer || !w->layers || !w->sums || !w->channels || !w->counts) return no_memory(err);
    for (size_t i = 0; i < pl->n_quantizers; i++) {
        const ol_quantizer *q = &pl->quantizers[i];
        if (q->echo && p->max_drop < 0) continue; /* layers that go back to float make echoes stand alone */
        const ol_grid *g = &pl->grids[q->grid];
        ol_observer_init(&w->observers[w->n], p, g->per_channel, g->symmetric);
        w->quantizer[w->n] = (int)i;
        w->names[w->n++] = q->value->name;
    }
    w->n_observers = w->n;
    for (size_t i = 0; p->bias_correction == OLV_BIAS_FAST && i < pl->n_nodes; i++) {
        if (!needs_mean(pl, pl->nodes[i])) continue;
        w->layers[w->n - w->n_observers] = pl->nodes[i];
        w->names[w->n++] = pl->nodes[i]->inputs[0]->name;
    }
    return OLV_OK;
}

static olv_status add_to_mean(watch *w, int at, const ol_tensor *x, olv_error *err) {
    int axis = ol_quant_channel_axis(w->layers[at]);
    if (axis < 0) axis += x->rank;
    if (axis < 0 || axis >= x->rank) return ol_fail(err, OLV_SHAPE, "rank %d where a layer reads channels", x->rank);
    int64_t n = x->dims[axis], inner = 1, count = ol_tensor_count(x);
    for (int i = axis + 1; i < x->rank; i++) inner *= x->dims[i];
    if (!w->sums[at]) {
        w->sums[at] = ol_calloc((size_t)n + 1, sizeof **w->sums);
        w->channels[at] = n;
    }
    if (!w->sums[at]) return no_memory(err);
    if (w->channels[at] != n) return ol_fail(err, OLV_SHAPE, "%lld channels after %lld", (long long)n, (long long)w->channels[at]);
    for (int64_t i = 0; i < count; i++) w->sums[at][i / inner % n] += (double)((const float *)x->data)[i];
    w->counts[at] += n ? count / n : 0;
    return OLV_OK;
}

static olv_status look(void *ctx, size_t sample, int which, const ol_tensor *x, int64_t items, olv_error *err) {
    watch *w = ctx;
    (void)sample;
    if (which < w->n_observers) return ol_observer_look(&w->observers[which], x, items, err);
    return add_to_mean(w, which - w->n_observers, x, err);
}

static olv_status keep(watch *w, ol_calibration *out, olv_error *err) {
    for (int i = 0; i < w->n_observers; i++) {
        const ol_value *v = w->pl->quantizers[w->quantizer[i]].value;
        ol_value_range *r = &out->ranges[v->id];
        olv_status s = ol_observer_finish(&w->observers[i], &r->low, &r->high, err);
        if (s != OLV_OK) return ol_error_at(err, "value '%.200s'", v->name);
        r->n = (int)w->observers[i].n;
    }
    for (int i = 0; i < w->n - w->n_observers; i++) {
        ol_layer_mean *m = &out->means[w->layers[i]->id];
        m->n = w->channels[i];
        m->mean = ol_alloc((size_t)m->n * sizeof *m->mean + 1);
        if (!m->mean) return no_memory(err);
        for (int64_t c = 0; c < m->n; c++) m->mean[c] = (float)(w->sums[i][c] / (double)(w->counts[i] ? w->counts[i] : 1));
    }
    return OLV_OK;
}

void ol_calibration_deinit(ol_calibration *c) {
    for (size_t i = 0; c->means && i < c->n_nodes; i++) ol_free(c->means[i].mean);
    for (size_t i = 0; c->ranges && i < c->n_values; i++) ol_free(c->ranges[i].low), ol_free(c->ranges[i].high);
    ol_free(c->means), ol_free(c->ranges), ol_free(c->kept);
    *c = (ol_calibration){.means = NULL};
}

olv_status ol_quantize_calibrate(const ol_placement *pl, const olv_quantize_params *p, ol_prober *prober, ol_calibration *out, olv_error *err) {
    watch w;
    size_t values = (size_t)pl->graph->n_values;
    const char **kept = out->kept;
    out->kept = NULL;
    ol_calibration_deinit(out);
    *out = (ol_calibration){pl->graph, ol_calloc(pl->n_nodes + 1, sizeof *out->means), pl->n_nodes, ol_calloc(values + 1, sizeof *out->ranges), values, 0, kept};
    if (!out->means || !out->ranges) return no_memory(err);
    olv_status s = watch_init(&w, pl, p, err);
    if (s == OLV_OK && !w.n) s = ol_fail(err, OLV_UNSUPPORTED, "the model has no operator on f32 activations that can be quantized, or all are ignored");
    if (s == OLV_OK) s = ol_probe(prober, pl->graph, w.names, w.n, NULL, prober->max_samples, look, &w, err);
    if (s == OLV_OK) s = keep(&w, out, err);
    out->samples = prober->seen;
    watch_deinit(&w);
    return s;
}

/* ---- ranges into grids ---- */

static olv_status copy_range(ol_grid *g, const ol_value_range *r, olv_error *err) {
    g->n = g->per_channel ? r->n : 1;
    g->low = ol_calloc((size_t)r->n + 1, sizeof *g->low);
    g->high = ol_calloc((size_t)r->n + 1, sizeof *g->high);
    if (!g->low || !g->high) return no_memory(err);
    for (int i = 0; i < g->n; i++) g->low[i] = r->low[i], g->high[i] = r->high[i];
    return OLV_OK;
}

/* The range of a grid is that of all its quantizers together; channels count as one where the grid has one scale. */
static olv_status widen(ol_grid *g, const ol_value_range *r, olv_error *err) {
    if (!g->low) OL_TRY(copy_range(g, r, err));
    for (int i = 0; i < r->n; i++) {
        int at = g->n == 1 ? 0 : i;
        if (at >= g->n) break;
        g->low[at] = fminf(g->low[at], r->low[i]);
        g->high[at] = fmaxf(g->high[at], g->symmetric ? fmaxf(r->high[i], -r->low[i]) : r->high[i]);
    }
    return OLV_OK;
}

olv_status ol_calibration_apply(const ol_calibration *c, ol_placement *pl, olv_error *err) {
    for (size_t i = 0; i < pl->n_quantizers; i++) {
        const ol_quantizer *q = &pl->quantizers[i];
        const ol_value *seen = q->echo ? NULL : ol_graph_find_value(c->graph, q->value->name);
        if (q->echo) continue;
        if (!seen || !c->ranges[seen->id].low) return ol_fail(err, OLV_INTERNAL, "the range of value '%.200s' is not known", q->value->name);
        OL_TRY(widen(&pl->grids[q->grid], &c->ranges[seen->id], err));
    }
    for (int i = 0; i < pl->n_grids; i++)
        if (pl->grids[i].low) OL_TRY(ol_grid_settle(&pl->grids[i], err));
    return OLV_OK;
}

static bool is_wild(const ol_grid *g) {
    for (int i = 0; i < g->n; i++)
        if (g->low[i] < -WILD || g->high[i] > WILD) return true;
    return false;
}

olv_status ol_calibration_keep_wild(ol_calibration *c, ol_placement *pl, bool *found, olv_error *err) {
    *found = false;
    OL_TRY(ol_calibration_apply(c, pl, err));
    if (!c->kept) c->kept = ol_calloc(pl->n_nodes + 1, sizeof *c->kept);
    if (!c->kept) return no_memory(err);
    for (size_t i = 0; i < pl->n_nodes; i++) {
        const ol_node *n = pl->nodes[i];
        for (int k = 0; k < n->n_inputs; k++) {
            int q = n->inputs[k] && ol_placement_mark(pl, n, k) ? pl->by_value[n->inputs[k]->id] : -1;
            if (q < 0 || c->kept[i] || !is_wild(&pl->grids[pl->quantizers[q].grid])) continue;
            c->kept[i] = "inputs beyond 1e9";
            *found = true;
        }
    }
    return OLV_OK;
}
