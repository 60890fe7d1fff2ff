/* SPDX-License-Identifier: Apache-2.0 */
/* Lowers a graph on its device into the entries of a plan. */
#include "plan/plan.h"
#include "base/alloc.h"
#include "base/checked.h"
#include "base/error.h"
#include "graph/op.h"
#include "kernels/attention/attention.h"
#include <string.h>

struct ol_plan {
    ol_graph *graph;
    ol_arena *arena;
    ol_prepared prepared;
    ol_plan_options opt;
    ol_state_layout states;
    ol_plan_entry entries[OL_N_ENTRIES];
};

#define MAX_FIXED_FLOATS ((size_t)1 << 36) /* of recurrent states per sequence */

static size_t kv_head_bytes(ol_dtype t, int dim) {
    size_t elements = (size_t)dim * OLK_KV_BLOCK * ((size_t)ol_dtype_bits(t) / 8);
    if (t == OL_I8) elements += OLK_KV_BLOCK * sizeof(float);
    return ol_align_up(elements, 64);
}

static olv_status lay_out_states(ol_plan *p, olv_error *err) {
    const ol_graph *g = p->graph;
    ol_state_layout *s = &p->states;
    size_t n = (size_t)g->n_states;
    size_t **arrays[] = {&s->k_offset, &s->v_offset, &s->k_head_stride, &s->v_head_stride, &s->fixed_offset};
    for (size_t i = 0; i < sizeof arrays / sizeof arrays[0]; i++) {
        *arrays[i] = ol_arena_calloc(p->arena, n + 1, sizeof(size_t));
        if (!*arrays[i]) return ol_fail(err, OLV_NOMEM, "no memory for the plan");
    }
    bool keeps_all = false;
    for (size_t i = 0; i < n; i++) {
        const ol_state_decl *d = &g->states[i];
        if (d->kind == OL_STATE_FIXED) {
            s->fixed_offset[i] = s->fixed_floats;
            if (d->elements < 0 || (uint64_t)d->elements > MAX_FIXED_FLOATS - s->fixed_floats)
                return ol_fail(err, OLV_LIMIT, "state '%s' of %lld values is too large", d->name, (long long)d->elements);
            s->fixed_floats = ol_align_up(s->fixed_floats + (size_t)d->elements, 16);
            continue;
        }
        s->k_head_stride[i] = kv_head_bytes(p->opt.kv_dtype, d->k_dim);
        s->v_head_stride[i] = kv_head_bytes(p->opt.kv_dtype, d->v_dim);
        s->k_offset[i] = s->block_bytes;
        s->block_bytes += s->k_head_stride[i] * (size_t)d->kv_heads;
        s->v_offset[i] = s->block_bytes;
        s->block_bytes += s->v_head_stride[i] * (size_t)d->kv_heads;
        if (!d->window) keeps_all = true;
        if (d->window > s->window) s->window = d->window;
    }
    if (keeps_all) s->window = 0;
    return OLV_OK;
}

static void find_lifetimes(const ol_lowering *l, ol_plan_entry *e) {
    for (int b = 0; b < e->n_buffers; b++) e->first_use[b] = e->last_use[b] = -1;
    for (int i = 0; i < l->n_steps; i++) {
        const ol_step *s = &l->steps[i];
        for (int k = 0; k < s->reads.n + s->writes.n; k++) {
            int b = k < s->reads.n ? s->reads.items[k] : s->writes.items[k - s->reads.n];
            if (e->buffers[b].fixed || e->buffers[b].input >= 0) continue;
            if (e->first_use[b] < 0) e->first_use[b] = i;
            e->last_use[b] = i;
        }
    }
    for (int i = 0; i < l->graph->n_outputs; i++) /* outputs outlive the run */
        if (e->outputs[i] >= 0 && e->first_use[e->outputs[i]] >= 0) e->last_use[e->outputs[i]] = l->n_steps;
}

/* Each slot but the graph outputs' is emptied by the last step that uses it. */
static void drop_slots(const ol_lowering *l, const ol_plan_entry *e) {
    for (int i = 0; i < l->n_slots; i++) {
        bool kept = l->slots[i].last_step < 0;
        for (int k = 0; k < l->graph->n_outputs; k++) kept |= e->output_slots[k] == i;
        if (!kept) ol_step_drops(&l->steps[l->slots[i].last_step], i);
    }
}

static bool lists_complete(const ol_lowering *l) {
    for (int i = 0; i < l->n_steps; i++)
        if (l->steps[i].reads.n < 0 || l->steps[i].writes.n < 0 || l->steps[i].drops.n < 0) return false;
    return true;
}

/* Where the graph's outputs are found. Inputs and constants of a whole graph are their own outputs. */
static olv_status find_outputs(ol_lowering *l, ol_plan_entry *e, olv_error *err) {
    const ol_graph *g = l->graph;
    for (int i = 0; i < g->n_outputs; i++) {
        ol_value *v = g->outputs[i];
        e->outputs[i] = e->output_slots[i] = -1;
        if (l->known && (v->is_input || v->constant)) continue;
        if (l->known) e->output_slots[i] = l->slot_of[v->id];
        if (e->output_slots[i] >= 0) continue;
        if ((e->outputs[i] = ol_lower_input(l, v, err)) < 0) return err ? err->status : OLV_INTERNAL;
    }
    return OLV_OK;
}

static void *move_to_arena(ol_arena *a, void *p, size_t bytes) {
    void *q = ol_arena_alloc(a, bytes ? bytes : 1);
    if (q && bytes) memcpy(q, p, bytes);
    return q;
}

static olv_status finish_entry(ol_plan *p, ol_lowering *l, ol_plan_entry *e, olv_error *err) {
    const ol_graph *g = l->graph;
    e->n_steps = l->n_steps;
    e->outputs = ol_arena_calloc(p->arena, (size_t)g->n_outputs + 1, sizeof(int));
    e->output_slots = ol_arena_calloc(p->arena, (size_t)g->n_outputs + 1, sizeof(int));
    if (!e->outputs || !e->output_slots) return ol_fail(err, OLV_NOMEM, "no memory for the plan");
    OL_TRY(find_outputs(l, e, err));
    drop_slots(l, e);
    e->n_buffers = l->n_buffers;
    e->n_slots = l->n_slots;
    e->n_segments = l->n_segments + 1;
    e->segment_ends = ol_arena_calloc(p->arena, (size_t)e->n_segments, sizeof(int));
    e->slots = move_to_arena(p->arena, l->slots, (size_t)l->n_slots * sizeof *l->slots);
    e->steps = move_to_arena(p->arena, l->steps, (size_t)l->n_steps * sizeof *l->steps);
    e->buffers = move_to_arena(p->arena, l->buffers, (size_t)l->n_buffers * sizeof *l->buffers);
    e->first_use = ol_arena_calloc(p->arena, (size_t)l->n_buffers + 1, sizeof(int));
    e->last_use = ol_arena_calloc(p->arena, (size_t)l->n_buffers + 1, sizeof(int));
    if (!e->steps || !e->buffers || !e->first_use || !e->last_use || !e->segment_ends || !e->slots || !lists_complete(l))
        return ol_fail(err, OLV_NOMEM, "no memory for the plan");
    for (int i = 0; i < l->n_segments; i++) e->segment_ends[i] = l->segment_ends[i];
    e->segment_ends[l->n_segments] = l->n_steps;
    find_lifetimes(l, e);
    return OLV_OK;
}

/* In the plan of a whole graph kernels take what buffers can hold. */
static const char *misses_buffers(const ol_lowering *l, const ol_node *n) {
    for (int i = 0; l->known && i < n->n_inputs; i++)
        if (n->inputs[i] && !n->inputs[i]->constant && !ol_lower_fits_buffer(l, n->inputs[i]))
            return "an input has a kind, type or size that no buffer holds";
    for (int i = 0; l->known && i < n->n_outputs; i++)
        if (n->outputs[i] && !ol_lower_fits_buffer(l, n->outputs[i]))
            return "an output has a kind, type or size that no buffer holds";
    return NULL;
}

/* By a kernel of the device where one takes the node, else by its reference evaluation. */
static olv_status lower_node(const ol_device *device, ol_lowering *l, ol_node *n, olv_error *err) {
    olv_error kernels = {.status = OLV_OK};
    int before = l->n_steps;
    const char *why = device->refuses(n);
    if (!why) why = misses_buffers(l, n);
    if (!why) {
        olv_status s = device->lower(l, n, &kernels);
        if (s == OLV_OK) return s;
        if (err) *err = kernels;
        if (s == OLV_NOMEM || l->n_steps != before) return s;
        why = kernels.message;
    }
    const char *no = ol_lower_evaluate_refuses(l, n);
    if (no) return ol_fail(err, OLV_UNSUPPORTED, "device %s: %.300s; %s", device->name, why, no);
    return ol_lower_evaluate(l, n, err);
}

static olv_status lower_nodes(ol_plan *p, ol_lowering *l, olv_error *err) {
    for (ol_node *n = l->graph->first; n; n = n->next) {
        if (l->done[n->id]) continue;
        l->done[n->id] = true;
        olv_status s = lower_node(p->opt.device, l, n, err);
        if (s != OLV_OK) return ol_error_at(err, "node '%s' (%s)", n->name, n->op->name), s;
        if (l->failed != OLV_OK) return ol_fail(err, l->failed, "no memory for the plan");
    }
    return OLV_OK;
}

/* What the plan of a whole graph needs beside: slots, and which symbols the inputs' shapes tell. */
static olv_status prepare_whole(ol_lowering *l, olv_error *err) {
    const ol_graph *g = l->graph;
    l->n_known = ol_dim_n_symbols(g->dims);
    l->known = ol_calloc(l->n_known + 1, sizeof *l->known);
    l->slot_of = ol_calloc((size_t)g->n_values + 1, sizeof(int));
    if (!l->known || !l->slot_of) return ol_fail(err, OLV_NOMEM, "no memory for the plan");
    for (int i = 0; i < g->n_values; i++) l->slot_of[i] = -1;
    for (size_t i = 0; i < l->n_known; i++) l->known[i] = -1;
    for (int i = 0; i < g->n_inputs; i++) {
        const ol_type *t = &g->inputs[i]->type;
        for (int d = 0; t->kind == OL_VALUE_TENSOR && d < t->rank; d++) {
            int k = ol_dim_symbol_index(g->dims, t->dims[d]);
            if (k >= 0) l->known[k] = 16;
        }
    }
    return OLV_OK;
}

static olv_status lower_entry(ol_plan *p, ol_entry entry, olv_error *err) {
    ol_lowering l = {.graph = p->graph, .arena = p->arena, .prepared = &p->prepared, .entry = entry};
    l.opt = (ol_lower_options){.cpu = p->opt.precision == OLK_REPRO ? 0 : p->opt.cpu,
                               .linear_cpu = p->opt.cpu,
                               .precision = p->opt.precision,
                               .kv_dtype = p->opt.kv_dtype,
                               .executor = p->opt.executor,
                               .k_offset = p->states.k_offset,
                               .v_offset = p->states.v_offset,
                               .k_head_stride = p->states.k_head_stride,
                               .v_head_stride = p->states.v_head_stride,
                               .fixed_offset = p->states.fixed_offset};
    l.done = ol_calloc((size_t)p->graph->n_nodes + 1, sizeof(bool));
    l.buffer_of = ol_calloc((size_t)p->graph->n_values + 1, sizeof(int));
    olv_status s = OLV_OK;
    if (!l.done || !l.buffer_of) s = ol_fail(err, OLV_NOMEM, "no memory for the plan");
    for (int i = 0; s == OLV_OK && i < p->graph->n_values; i++) l.buffer_of[i] = -1;
    if (s == OLV_OK && entry == OL_ENTRY_WHOLE) s = prepare_whole(&l, err);
    if (s == OLV_OK) s = lower_nodes(p, &l, err);
    if (s == OLV_OK) s = finish_entry(p, &l, &p->entries[entry], err);
    if (s == OLV_OK && ol_dim_starved(p->graph->dims)) s = ol_fail(err, OLV_NOMEM, "no memory for the plan");
    ol_free(l.done), ol_free(l.buffer_of), ol_free(l.buffers), ol_free(l.steps);
    ol_free(l.known), ol_free(l.slot_of), ol_free(l.slots), ol_free(l.segment_ends);
    return s;
}

olv_status ol_plan_create(ol_graph *graph, const ol_plan_options *opt, ol_plan **out, olv_error *err) {
    ol_plan *p = ol_calloc(1, sizeof *p);
    if (!p) {
        ol_graph_destroy(graph);
        return ol_fail(err, OLV_NOMEM, "no memory for a plan");
    }
    p->graph = graph;
    p->opt = *opt;
    p->arena = ol_arena_create();
    p->prepared.store = opt->store ? ol_store_retain(opt->store) : ol_store_open(NULL, "");
    olv_status s = p->arena && p->prepared.store ? OLV_OK : ol_fail(err, OLV_NOMEM, "no memory for a plan");
    ol_graph_renumber(graph);
    if (s == OLV_OK) s = lay_out_states(p, err);
    for (int e = 0; s == OLV_OK && e < OL_N_ENTRIES; e++)
        if (opt->whole == (e == OL_ENTRY_WHOLE)) s = lower_entry(p, (ol_entry)e, err);
    if (s != OLV_OK) {
        ol_plan_destroy(p);
        return s;
    }
    *out = p;
    return OLV_OK;
}

void ol_plan_destroy(ol_plan *p) {
    if (!p) return;
    ol_graph_destroy(p->graph);
    ol_arena_destroy(p->arena);
    ol_prepared_deinit(&p->prepared);
    ol_free(p);
}

const ol_graph *ol_plan_graph(const ol_plan *p) { return p->graph; }
const ol_plan_entry *ol_plan_get_entry(const ol_plan *p, ol_entry e) { return &p->entries[e]; }
const ol_state_layout *ol_plan_states(const ol_plan *p) { return &p->states; }

void ol_plan_dump(const ol_plan *p, ol_buf *out) {
    for (int e = 0; e < OL_N_ENTRIES; e++)
        for (int i = 0; i < p->entries[e].n_steps; i++) {
            const ol_step *s = &p->entries[e].steps[i];
            ol_buf_printf(out, "%-8s %3d %-18s %-36s %s\n", ol_entry_name((ol_entry)e), i, s->cls->name, s->kernel ? s->kernel : "-",
                          s->name);
        }
}
