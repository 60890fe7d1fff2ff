/* SPDX-License-Identifier: Apache-2.0 */
#include "quantize/placement.h"
#include "base/alloc.h"
#include "base/error.h"
#include <string.h>

bool ol_quantize_is_mixed(const olv_quantize_params *p) {
    return p->preset == OLV_PRESET_MIXED || (p->preset == OLV_PRESET_AUTO && p->model_type == OLV_QUANTIZE_TRANSFORMER);
}

bool ol_quantize_per_channel(const olv_quantize_params *p) {
    return p->per_channel_activations < 0 ? p->form == OLV_FORM_FAKE_QUANTIZE : p->per_channel_activations > 0;
}

/* What is known of a value from its readers, which the sweep meets first. */
typedef struct reader_view {
    int marked;
    bool per_tensor, feeds_weighted, feeds_selection; /* selection: TopK, NonMaxSuppression */
    bool echo, output;
    const ol_node *asker;
} reader_view;

typedef struct placer {
    ol_placement *pl;
    const olv_quantize_params *p;
    reader_view *views; /* by value id */
} placer;

static olv_status no_memory(olv_error *err) { return ol_fail(err, OLV_NOMEM, "no memory to place quantizers"); }

void ol_placement_deinit(ol_placement *p) {
    for (int i = 0; p->grids && i < p->n_grids; i++) {
        ol_free(p->grids[i].low), ol_free(p->grids[i].high);
        ol_free(p->grids[i].scale), ol_free(p->grids[i].zero);
    }
    ol_free(p->nodes), ol_free(p->roles), ol_free(p->reasons), ol_free(p->first_edge), ol_free(p->marks);
    ol_free(p->quantizers), ol_free(p->by_value), ol_free(p->grids);
    *p = (ol_placement){.graph = NULL};
}

static olv_status init(ol_placement *pl, ol_graph *g, olv_error *err) {
    size_t edges = 0, n = (size_t)g->n_nodes, v = (size_t)g->n_values + 1;
    ol_graph_renumber(g);
    *pl = (ol_placement){.graph = g, .n_nodes = n, .nodes = ol_calloc(n + 1, sizeof *pl->nodes), .roles = ol_calloc(n + 1, 1),
                         .reasons = ol_calloc(n + 1, sizeof *pl->reasons), .first_edge = ol_calloc(n + 1, sizeof *pl->first_edge),
                         .quantizers = ol_calloc(v, sizeof *pl->quantizers), .by_value = ol_calloc(v, sizeof *pl->by_value),
                         .grids = ol_calloc(v, sizeof *pl->grids)};
    if (!pl->nodes || !pl->roles || !pl->reasons || !pl->first_edge || !pl->quantizers || !pl->by_value || !pl->grids) return no_memory(err);
    for (ol_node *m = g->first; m; m = m->next) {
        pl->nodes[m->id] = m;
        pl->roles[m->id] = (uint8_t)ol_quant_role_of(m);
        pl->first_edge[m->id] = edges;
        edges += (size_t)m->n_inputs;
    }
    for (size_t i = 0; i < v; i++) pl->by_value[i] = -1;
    pl->marks = ol_calloc(edges + 1, 1);
    return pl->marks ? OLV_OK : no_memory(err);
}

/* ---- the sweep from the outputs to the inputs ---- */

static void mark(placer *r, const ol_node *n, int input, ol_edge_mark m) {
    const ol_value *v = n->inputs[input];
    if (!ol_quant_is_activation(n, input) || v->graph != r->pl->graph || (v->is_input && !r->p->quantize_inputs)) return;
    r->pl->marks[r->pl->first_edge[n->id] + (size_t)input] = (uint8_t)m;
    reader_view *w = &r->views[v->id];
    w->marked++;
    w->per_tensor |= m == OL_EDGE_PER_TENSOR;
    w->asker = n;
}

/* Every reader of every output asks for numbers of one grid. */
static bool all_ask(const placer *r, const ol_node *n) {
    for (int i = 0; i < n->n_outputs; i++) {
        const ol_value *v = n->outputs[i];
        if (!v) continue;
        const reader_view *w = &r->views[v->id];
        if (w->marked == 0 || w->marked != v->n_uses || !w->per_tensor || v->type.dtype != OL_F32) return false;
    }
    return true;
}

static void pass_on(placer *r, const ol_node *n) {
    if (!all_ask(r, n) || !ol_quant_is_activation(n, 0)) return;
    int data = ol_quant_n_data_inputs(n);
    for (int i = 0; i < data; i++)
        if (!ol_quant_is_activation(n, i) || n->inputs[i]->graph != r->pl->graph) return;
    for (int i = 0; i < data; i++) mark(r, n, i, OL_EDGE_PER_TENSOR);
    for (int i = 0; i < n->n_outputs; i++)
        if (n->outputs[i]) r->views[n->outputs[i]->id].echo = true;
}

static void ask_weighted(placer *r, const ol_node *n) {
    int axis;
    if (ol_quant_weight_input(n, &axis) >= 0) {
        bool channels = ol_quant_is_depthwise(n) && ol_quantize_per_channel(r->p);
        mark(r, n, 0, channels ? OL_EDGE_PER_CHANNEL : OL_EDGE_PER_TENSOR);
    } else if (ol_node_is(n, "MatMul") && ol_quant_is_activation(n, 0) && ol_quant_is_activation(n, 1)) {
        mark(r, n, 0, OL_EDGE_PER_TENSOR);
        mark(r, n, 1, OL_EDGE_PER_TENSOR);
    }
}

/* A layer whose only reader is the sum may be computed with it in one step, in float. */
static bool is_summed_in_place(const placer *r, const ol_value *v) {
    const ol_node *n = v->producer;
    return r->p->form == OLV_FORM_FAKE_QUANTIZE && n && v->n_uses == 1 && r->pl->roles[n->id] == OL_QUANT_WEIGHTED;
}

static void ask_combining(placer *r, const ol_node *n) {
    if (n->n_inputs != 2 || !ol_quant_is_activation(n, 0) || !ol_quant_is_activation(n, 1)) return;
    bool first = is_summed_in_place(r, n->inputs[0]), second = !first && is_summed_in_place(r, n->inputs[1]);
    if (!first) mark(r, n, 0, OL_EDGE_PER_TENSOR);
    if (!second) mark(r, n, 1, OL_EDGE_PER_TENSOR);
}

/* What lies behind a node is known to the values that it reads. */
static void tell_inputs(placer *r, const ol_node *n) {
    bool weighted = r->pl->roles[n->id] == OL_QUANT_WEIGHTED;
    bool selects = ol_node_is(n, "TopK") || ol_node_is(n, "NonMaxSuppression");
    for (int i = 0; i < n->n_outputs; i++) {
        if (!n->outputs[i]) continue;
        weighted |= r->views[n->outputs[i]->id].feeds_weighted;
        selects |= r->views[n->outputs[i]->id].feeds_selection;
    }
    for (int i = 0; i < n->n_inputs; i++) {
        if (!n->inputs[i] || n->inputs[i]->graph != r->pl->graph) continue;
        r->views[n->inputs[i]->id].feeds_weighted |= weighted;
        r->views[n->inputs[i]->id].feeds_selection |= selects;
    }
}

static bool is_postprocessing(const placer *r, const ol_node *n) {
    bool weighted = r->pl->roles[n->id] == OL_QUANT_WEIGHTED, selects = false;
    for (int i = 0; i < n->n_outputs; i++) {
        if (!n->outputs[i]) continue;
        weighted |= r->views[n->outputs[i]->id].feeds_weighted;
        selects |= r->views[n->outputs[i]->id].feeds_selection;
    }
    return selects && !weighted;
}

static void sweep(placer *r) {
    for (ol_node *n = r->pl->graph->last; n; n = n->prev) {
        if (is_postprocessing(r, n) && !r->pl->reasons[n->id]) r->pl->reasons[n->id] = "selection of results behind the last layer";
        if (r->pl->reasons[n->id]) r->pl->roles[n->id] = OL_QUANT_FLOAT;
        switch ((ol_quant_role)r->pl->roles[n->id]) {
        case OL_QUANT_WEIGHTED: ask_weighted(r, n); break;
        case OL_QUANT_INPUTS: mark(r, n, 0, OL_EDGE_PER_TENSOR); break;
        case OL_QUANT_COMBINING: ask_combining(r, n); break;
        case OL_QUANT_PASSING:
        case OL_QUANT_JOINING: pass_on(r, n); break;
        case OL_QUANT_TABLE:
        case OL_QUANT_FLOAT: break;
        }
        tell_inputs(r, n);
    }
}

/* ---- quantizers and their grids ---- */

/* Joins the grids a and b of all quantizers so far. */
static int join(ol_placement *pl, int a, int b) {
    if (a == b) return a;
    for (size_t i = 0; i < pl->n_quantizers; i++)
        if (pl->quantizers[i].grid == b) pl->quantizers[i].grid = a;
    pl->grids[a].symmetric |= pl->grids[b].symmetric;
    pl->grids[b].n = 0;
    return a;
}

/* The grid that the elements of an echo are on: those of the producer's inputs. */
static int grid_of_source(ol_placement *pl, const ol_node *n) {
    int grid = -1;
    for (int i = 0; i < ol_quant_n_data_inputs(n); i++) {
        int q = pl->by_value[n->inputs[i]->id];
        if (q >= 0) grid = grid < 0 ? pl->quantizers[q].grid : join(pl, grid, pl->quantizers[q].grid);
    }
    return grid;
}

/* Products of two activations keep to symmetric grids in transformers. */
static bool wants_symmetric(const placer *r, const ol_node *asker) {
    int axis;
    return !ol_quantize_is_mixed(r->p) ||
           (r->p->model_type == OLV_QUANTIZE_TRANSFORMER && ol_node_is(asker, "MatMul") && ol_quant_weight_input(asker, &axis) < 0);
}

static void collect(placer *r, ol_value *v) {
    ol_placement *pl = r->pl;
    const reader_view *w = &r->views[v->id];
    if (!w->marked) return;
    ol_quantizer *q = &pl->quantizers[pl->n_quantizers];
    *q = (ol_quantizer){.value = v, .asker = w->asker, .grid = -1, .echo = w->echo, .at_output = w->output};
    if (w->echo) q->grid = grid_of_source(pl, v->producer);
    if (q->grid < 0) {
        q->grid = pl->n_grids++;
        pl->grids[q->grid] = (ol_grid){.per_channel = !w->per_tensor && v->type.rank > 1, .n = 1};
    }
    if (w->asker && pl->roles[w->asker->id] == OL_QUANT_WEIGHTED) pl->grids[q->grid].symmetric |= wants_symmetric(r, w->asker);
    else pl->grids[q->grid].symmetric |= !ol_quantize_is_mixed(r->p);
    pl->by_value[v->id] = (int)pl->n_quantizers++;
}

static void collect_all(placer *r) {
    ol_graph *g = r->pl->graph;
    for (int i = 0; i < g->n_inputs; i++) collect(r, g->inputs[i]);
    for (ol_node *n = g->first; n; n = n->next)
        for (int i = 0; i < n->n_outputs; i++)
            if (n->outputs[i]) collect(r, n->outputs[i]);
}

bool ol_placement_has_weights(const ol_placement *p, const ol_node *n) {
    int axis;
    return p->roles[n->id] != OL_QUANT_FLOAT && ol_quant_weight_input(n, &axis) >= 0;
}

olv_status ol_placement_make(ol_graph *g, const olv_quantize_params *p, const char *const *kept, ol_placement *out, olv_error *err) {
    OL_TRY(init(out, g, err));
    OL_TRY(ol_scope_apply(out, p, err));
    OL_TRY(ol_patterns_apply(out, p, err));
    for (size_t i = 0; kept && i < out->n_nodes; i++)
        if (!out->reasons[i]) out->reasons[i] = kept[i];
    placer r = {out, p, ol_calloc((size_t)g->n_values + 1, sizeof(reader_view))};
    if (!r.views) return no_memory(err);
    for (int i = 0; p->quantize_outputs && i < g->n_outputs; i++) {
        ol_value *v = g->outputs[i];
        if (v->type.dtype != OL_F32 || v->constant || v->graph != g) continue;
        r.views[v->id].marked++;
        r.views[v->id].per_tensor = r.views[v->id].output = true;
    }
    sweep(&r);
    collect_all(&r);
    ol_free(r.views);
    return OLV_OK;
}
