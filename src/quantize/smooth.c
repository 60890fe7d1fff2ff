/* SPDX-License-Identifier: Apache-2.0 */
/* SmoothQuant: matrix products that read one value share a factor for each of its channels, s = a^alpha / w^(1 - alpha) with
 * the reach a of the channel in the value and w in the weights. The value is divided by s, the weights are multiplied. */
#include "base/alloc.h"
#include "base/error.h"
#include "quantize/emit.h"
#include "quantize/steps.h"
#include <math.h>
#include <stdlib.h>

/* Products of one value. */
typedef struct group {
    ol_value *value;
    ol_node **nodes;
    int n, cap;
    float *reach; /* of the channels, seen on data */
    int64_t channels;
} group;

typedef struct groups {
    group *items;
    int n;
} groups;

static olv_status no_memory(olv_error *err) { return ol_fail(err, OLV_NOMEM, "no memory to smooth activations"); }

static void groups_deinit(groups *g) {
    for (int i = 0; g->items && i < g->n; i++) ol_free(g->items[i].nodes), ol_free(g->items[i].reach);
    ol_free(g->items);
}

/* The layer multiplies the last axis of an activation by weights of its own. */
static bool is_smoothed(const ol_placement *pl, const ol_node *n) {
    int axis;
    if (!ol_node_is(n, "MatMul") && !ol_node_is(n, "Gemm")) return false;
    if (ol_node_int(n, "transA", 0) || ol_quant_weight_input(n, &axis) != 1 || !ol_quant_is_activation(n, 0)) return false;
    return !pl->reasons[n->id] && n->inputs[1]->n_uses == 1 && n->inputs[1]->type.rank == 2 && n->inputs[0]->graph == pl->graph;
}

static olv_status collect(const ol_placement *pl, groups *out, olv_error *err) {
    out->items = ol_calloc(pl->n_nodes + 1, sizeof *out->items);
    if (!out->items) return no_memory(err);
    for (size_t i = 0; i < pl->n_nodes; i++) {
        ol_node *n = pl->nodes[i];
        if (!is_smoothed(pl, n)) continue;
        int k = 0;
        while (k < out->n && out->items[k].value != n->inputs[0]) k++;
        group *g = &out->items[k];
        if (k == out->n) *g = (group){.value = n->inputs[0]}, out->n++;
        if (g->n == g->cap) {
            int cap = g->cap * 2 + 4;
            ol_node **more = ol_realloc(g->nodes, (size_t)cap * sizeof *more);
            if (!more) return no_memory(err);
            g->nodes = more, g->cap = cap;
        }
        g->nodes[g->n++] = n;
    }
    return OLV_OK;
}

static olv_status look(void *ctx, size_t sample, int which, const ol_tensor *x, int64_t items, olv_error *err) {
    group *g = &((groups *)ctx)->items[which];
    const float *v = x->data;
    (void)sample, (void)items;
    int64_t n = x->rank ? x->dims[x->rank - 1] : 1;
    if (!g->reach) {
        g->channels = n;
        g->reach = ol_calloc((size_t)n + 1, sizeof *g->reach);
    }
    if (!g->reach) return no_memory(err);
    if (g->channels != n) return ol_fail(err, OLV_SHAPE, "%lld channels after %lld", (long long)n, (long long)g->channels);
    for (int64_t i = 0, count = ol_tensor_count(x); i < count; i++) g->reach[i % n] = fmaxf(g->reach[i % n], fabsf(v[i]));
    return OLV_OK;
}

static int compare(const void *a, const void *b) {
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

static float low_decile(const float *v, int64_t n, float *room) {
    for (int64_t i = 0; i < n; i++) room[i] = v[i];
    qsort(room, (size_t)n, sizeof *room, compare);
    double at = 0.1 * (double)(n - 1);
    int64_t k = (int64_t)at;
    return k + 1 < n ? (float)((double)room[k] + (at - (double)k) * ((double)room[k + 1] - (double)room[k])) : room[n - 1];
}

/* Factors of one layer; *flat: smallest over largest. */
static olv_status factors_of(const group *g, const ol_node *n, double alpha, float *s, float *room, float *flat, olv_error *err) {
    ol_tensor w;
    int in = ol_quant_weight_in_axis(n);
    OL_TRY(ol_const_materialize(n->inputs[1]->constant, SIZE_MAX, &w, err));
    int64_t inner = in == 0 ? w.dims[1] : 1, channels = w.dims[in];
    if (channels != g->channels) {
        ol_tensor_deinit(&w);
        return ol_fail(err, OLV_SHAPE, "%lld channels meet weights of %lld", (long long)g->channels, (long long)channels);
    }
    for (int64_t c = 0; c < channels; c++) s[c] = 0;
    for (int64_t i = 0, count = ol_tensor_count(&w); i < count; i++) {
        float *most = &s[i / inner % channels];
        *most = fmaxf(*most, fabsf(((const float *)w.data)[i]));
    }
    ol_tensor_deinit(&w);
    for (int64_t c = 0; c < channels; c++)
        s[c] = (float)(pow(fmax((double)g->reach[c], 1e-5), alpha) / (pow((double)s[c], 1 - alpha) + 1.1920929e-7));
    float least = low_decile(s, channels, room), lo = INFINITY, hi = 0;
    for (int64_t c = 0; c < channels; c++) {
        s[c] = fminf(fmaxf(s[c], least), 100);
        lo = fminf(lo, s[c]), hi = fmaxf(hi, s[c]);
    }
    *flat = hi > 0 ? lo / hi : 0;
    return OLV_OK;
}

static olv_status scale_weights(ol_node *n, const float *s, olv_error *err) {
    ol_tensor w;
    int in = ol_quant_weight_in_axis(n);
    OL_TRY(ol_const_materialize(n->inputs[1]->constant, SIZE_MAX, &w, err));
    int64_t inner = in == 0 ? w.dims[1] : 1;
    for (int64_t i = 0, count = ol_tensor_count(&w); i < count; i++) ((float *)w.data)[i] *= s[i / inner % w.dims[in]];
    ol_const *c = ol_const_tensor(&w, err);
    ol_tensor_deinit(&w);
    OL_TRY(ol_made(c, err));
    ol_value_set_constant(n->inputs[1], c);
    return OLV_OK;
}

/* Multiplies the value by 1 / s in front of the group's layers. */
static olv_status insert(ol_graph *g, const group *p, const float *s, olv_error *err) {
    ol_value *inputs[2] = {p->value};
    float *inverse = ol_alloc((size_t)p->channels * sizeof *inverse + 1);
    if (!inverse) return no_memory(err);
    for (int64_t c = 0; c < p->channels; c++) inverse[c] = 1 / s[c];
    olv_status st = ol_quantize_constant(g, p->value->name, "_smooth_scale", OL_F32, 1, &p->channels, inverse, &inputs[1], err);
    ol_free(inverse);
    if (st != OLV_OK) return st;
    const ol_op *mul = ol_graph_find_op(g, "", "Mul");
    ol_node *before = p->value->producer ? p->value->producer->next : g->first;
    const ol_node *made = ol_graph_add_node(g, before, mul, ol_graph_fresh_name(g, "smooth"), inputs, 2, NULL, 1, NULL, 0, err);
    OL_TRY(ol_made(made, err));
    for (int i = 0; i < p->n; i++) {
        OL_TRY(scale_weights(p->nodes[i], s, err));
        ol_node_set_input(p->nodes[i], 0, made->outputs[0]);
    }
    return OLV_OK;
}

static olv_status smooth_group(ol_graph *g, const group *p, double alpha, olv_error *err) {
    size_t n = (size_t)p->channels + 1;
    float *best = ol_calloc(n, sizeof *best), *s = ol_calloc(n, sizeof *s), *room = ol_calloc(n, sizeof *room), flattest = -1, flat = 0;
    olv_status st = best && s && room ? OLV_OK : no_memory(err);
    for (int i = 0; st == OLV_OK && i < p->n; i++) {
        st = factors_of(p, p->nodes[i], alpha, s, room, &flat, err);
        if (st != OLV_OK || flat <= flattest) continue;
        flattest = flat;
        float *swap = best;
        best = s, s = swap;
    }
    if (st == OLV_OK) st = insert(g, p, best, err);
    ol_free(best), ol_free(s), ol_free(room);
    return st;
}

olv_status ol_quantize_smooth(ol_graph *g, const olv_quantize_params *p, ol_prober *prober, olv_error *err) {
    ol_placement pl;
    groups all = {NULL, 0};
    const char **names = NULL;
    olv_status s = ol_placement_make(g, p, NULL, &pl, err);
    if (s == OLV_OK) s = collect(&pl, &all, err);
    ol_placement_deinit(&pl);
    if (s == OLV_OK && !(names = ol_calloc((size_t)all.n + 1, sizeof *names))) s = no_memory(err);
    for (int i = 0; s == OLV_OK && i < all.n; i++) names[i] = all.items[i].value->name;
    if (s == OLV_OK && all.n) s = ol_probe(prober, g, names, all.n, NULL, prober->max_samples, look, &all, err);
    for (int i = 0; s == OLV_OK && i < all.n; i++) s = smooth_group(g, &all.items[i], p->smooth_quant_alpha, err);
    ol_free(names);
    groups_deinit(&all);
    return s;
}
