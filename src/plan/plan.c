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
            s->fixed_floats += (size_t)d->elements;
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
        for (int k = 0; k < s->n_reads + s->n_writes; k++) {
            int b = k < s->n_reads ? s->reads[k] : s->writes[k - s->n_reads];
            if (e->buffers[b].fixed || e->buffers[b].input >= 0) continue;
            if (e->first_use[b] < 0) e->first_use[b] = i;
            e->last_use[b] = i;
        }
    }
    for (int i = 0; i < l->graph->n_outputs; i++) /* outputs outlive the run */
        if (e->first_use[e->outputs[i]] >= 0) e->last_use[e->outputs[i]] = l->n_steps;
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
    if (!e->outputs) return ol_fail(err, OLV_NOMEM, "no memory for the plan");
    for (int i = 0; i < g->n_outputs; i++)
        if ((e->outputs[i] = ol_lower_input(l, g->outputs[i], err)) < 0) return err ? err->status : OLV_INTERNAL;
    e->n_buffers = l->n_buffers;
    e->steps = move_to_arena(p->arena, l->steps, (size_t)l->n_steps * sizeof *l->steps);
    e->buffers = move_to_arena(p->arena, l->buffers, (size_t)l->n_buffers * sizeof *l->buffers);
    e->first_use = ol_arena_calloc(p->arena, (size_t)l->n_buffers + 1, sizeof(int));
    e->last_use = ol_arena_calloc(p->arena, (size_t)l->n_buffers + 1, sizeof(int));
    if (!e->steps || !e->buffers || !e->first_use || !e->last_use)
        return ol_fail(err, OLV_NOMEM, "no memory for the plan");
    find_lifetimes(l, e);
    return OLV_OK;
}

static olv_status lower_nodes(ol_plan *p, ol_lowering *l, olv_error *err) {
    for (ol_node *n = l->graph->first; n; n = n->next) {
        if (l->done[n->id]) continue;
        const char *why = p->opt.device->refuses(n);
        if (why)
            return ol_fail(err, OLV_UNSUPPORTED, "node '%s' (%s): device %s: %s", n->name, n->op->name,
                           p->opt.device->name, why);
        l->done[n->id] = true;
        olv_status s = p->opt.device->lower(l, n, err);
        if (s != OLV_OK) return ol_error_at(err, "node '%s' (%s)", n->name, n->op->name), s;
        if (l->failed != OLV_OK) return ol_fail(err, l->failed, "no memory for the plan");
    }
    return OLV_OK;
}

static olv_status lower_entry(ol_plan *p, ol_entry entry, olv_error *err) {
    ol_lowering l = {.graph = p->graph, .arena = p->arena, .prepared = &p->prepared, .entry = entry};
    l.opt = (ol_lower_options){.cpu = p->opt.cpu,
                               .precision = p->opt.precision,
                               .kv_dtype = p->opt.kv_dtype,
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
    if (s == OLV_OK) s = lower_nodes(p, &l, err);
    if (s == OLV_OK) s = finish_entry(p, &l, &p->entries[entry], err);
    ol_free(l.done);
    ol_free(l.buffer_of);
    ol_free(l.buffers);
    ol_free(l.steps);
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
    olv_status s = p->arena ? OLV_OK : ol_fail(err, OLV_NOMEM, "no memory for a plan");
    ol_graph_renumber(graph);
    if (s == OLV_OK) s = lay_out_states(p, err);
    for (int e = 0; s == OLV_OK && e < OL_N_ENTRIES; e++) s = lower_entry(p, (ol_entry)e, err);
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
    static const char *const names[] = {"decode", "prefill"};
    for (int e = 0; e < OL_N_ENTRIES; e++)
        for (int i = 0; i < p->entries[e].n_steps; i++) {
            const ol_step *s = &p->entries[e].steps[i];
            ol_buf_printf(out, "%-8s %3d %-18s %-36s %s\n", names[e], i, s->cls->name, s->kernel ? s->kernel : "-",
                          s->name);
        }
}
