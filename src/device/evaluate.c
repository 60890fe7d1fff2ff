/* SPDX-License-Identifier: Apache-2.0 */
/* Any operator with a reference evaluation as a step of one tile: slow (it allocates, and works in double), for what is
 * rare in a model. In a row-wise plan buffers are wrapped in tensors of the declared types and the bound sizes,
 * evaluated, and copied back. In the plan of a whole graph, values that no buffer can hold (other kinds and types, sizes
 * that depend on data) lie in slots; a slot whose shape gives values to symbols ends a segment of the plan, and a step
 * at the start of the next one copies it into a buffer for the kernels. */
#include "base/alloc.h"
#include "base/checked.h"
#include "base/error.h"
#include "device/buffer.h"
#include "device/lowering.h"
#include "device/reference/reference.h"
#include <string.h>

#define MAX_CONSTANT_BYTES ((size_t)1 << 30)

typedef enum source_kind { OMITTED, CONSTANT, LOADED, BUFFER, SLOT, GIVEN } source_kind;

/* Where the data of an input is. */
typedef struct source {
    source_kind kind;
    int index;
    const ol_value *value;
    ol_datum constant; /* CONSTANT: data in the plan's memory or the file's */
} source;

/* Where an output goes: a buffer, a slot, or nowhere (both -1). */
typedef struct target {
    int buffer, slot;
} target;

typedef struct evaluate_args {
    const ol_node *node;
    source *in; /* the node's inputs, then the values that its subgraphs take from this graph */
    int n_in, n_captured;
    const ol_value **captured;
    target *out;
    bool has_graphs;
} evaluate_args;

static bool plain(const ol_value *v) {
    if (v->type.kind != OL_VALUE_TENSOR || v->type.rank < 0 || v->type.dtype == OL_DTYPE_NONE) return false;
    char c = ol_dtype_class(v->type.dtype);
    return c == 'f' || c == 's' || c == 'u' || c == 'b';
}

/* True if the numbers of rows fix the value's size. */
static bool sized_by_rows(const ol_value *v) {
    const ol_dim_table *t = v->graph->dims;
    int64_t values[256];
    size_t n = ol_dim_n_symbols(t);
    if (n > sizeof values / sizeof values[0]) n = sizeof values / sizeof values[0];
    for (size_t i = 0; i < n; i++) values[i] = -1;
    for (int i = 0; i < v->graph->n_inputs; i++)
        for (int d = 0; d < v->graph->inputs[i]->type.rank; d++) {
            int k = ol_dim_symbol_index(t, v->graph->inputs[i]->type.dims[d]);
            if (k >= 0 && (size_t)k < n) values[k] = 16;
        }
    for (int d = 0; d < v->type.rank; d++)
        if (ol_dim_eval(t, v->type.dims[d], values, n) < 0) return false;
    return true;
}

const char *ol_lower_evaluate_refuses(const ol_lowering *l, const ol_node *n) {
    if (!n->op->eval) return "no reference evaluation for this operator";
    if (l->known) return NULL;
    if (!strcmp(n->op->domain, "olivine") &&
        (!strcmp(n->op->name, "Attention") || !strcmp(n->op->name, "Linear") || !strcmp(n->op->name, "RotaryTable")))
        return "no kernel for this form of the operator";
    if (ol_node_attr(n, "state")) return "it keeps a state";
    for (int i = 0; i < n->n_attrs; i++)
        if (n->attrs[i].type == OL_ATTR_GRAPH || n->attrs[i].type == OL_ATTR_GRAPHS) return "it runs a subgraph";
    for (int i = 0; i < n->n_inputs; i++)
        if (n->inputs[i] && !n->inputs[i]->constant && !plain(n->inputs[i]))
            return "an input is no tensor of numbers of known rank";
    for (int i = 0; i < n->n_outputs; i++) {
        if (n->outputs[i] && !plain(n->outputs[i])) return "an output is no tensor of numbers of known rank";
        if (n->outputs[i] && !sized_by_rows(n->outputs[i])) return "the size of an output depends on data";
    }
    return NULL;
}

/* ---- running ---- */

static unsigned one_tile(const ol_step *s, const ol_run *r) {
    (void)s, (void)r;
    return 1;
}

static bool shape_of(const ol_run *r, const ol_value *v, int64_t *dims) {
    for (int d = 0; d < v->type.rank; d++)
        if ((dims[d] = ol_dim_eval(r->dims, v->type.dims[d], r->symbols, ol_dim_n_symbols(r->dims))) < 0) return false;
    return true;
}

static olv_status wrap_buffer(const ol_run *r, const ol_value *v, int buffer, ol_datum *d, olv_error *err) {
    int64_t dims[OL_MAX_RANK];
    void *p = ol_run_buffer(r, buffer);
    d->kind = OL_VALUE_TENSOR;
    d->present = true;
    if (!shape_of(r, v, dims)) return ol_fail(err, OLV_SHAPE, "the size of '%.200s' is not known", v->name);
    if (!ol_buffer_is_plain(v->type.dtype)) {
        OL_TRY(ol_tensor_init(&d->tensor, v->type.dtype, v->type.rank, dims, err));
        ol_buffer_to_tensor(p, &d->tensor);
        return OLV_OK;
    }
    size_t bytes = (size_t)ol_dtype_bits(v->type.dtype) / 8;
    for (int i = 0; i < v->type.rank; i++)
        if (!ol_mul_size(bytes, (size_t)dims[i], &bytes)) return ol_fail(err, OLV_LIMIT, "tensor too large");
    return ol_tensor_view(&d->tensor, v->type.dtype, v->type.rank, dims, p, bytes, err);
}

static olv_status fill_buffer(const ol_run *r, const ol_value *v, int buffer, const ol_datum *d, olv_error *err) {
    const ol_tensor *t = &d->tensor;
    int64_t dims[OL_MAX_RANK];
    bool fits = d->kind == OL_VALUE_TENSOR && t->dtype == v->type.dtype && t->rank == v->type.rank && shape_of(r, v, dims);
    for (int i = 0; fits && i < t->rank; i++) fits = dims[i] == t->dims[i];
    if (!fits) {
        char found[160];
        ol_tensor_describe(t, found, sizeof found);
        return ol_fail(err, OLV_SHAPE, "value '%.200s' came out as %s, another shape than inferred", v->name, found);
    }
    ol_buffer_from_tensor(ol_run_buffer(r, buffer), t);
    return OLV_OK;
}

/* *d is the data of a source; `held` is the place for data made here. */
static olv_status find_source(const ol_run *r, const source *s, ol_datum *held, const ol_datum **d, olv_error *err) {
    *d = held;
    switch (s->kind) {
    case OMITTED: *d = NULL; return OLV_OK;
    case CONSTANT: *d = &s->constant; return OLV_OK;
    case LOADED:
        held->kind = OL_VALUE_TENSOR;
        held->present = true;
        return ol_const_materialize(s->value->constant, SIZE_MAX, &held->tensor, err);
    case BUFFER: return wrap_buffer(r, s->value, s->index, held, err);
    case GIVEN: *d = r->given[s->index]; return OLV_OK;
    case SLOT: *d = &r->slots[s->index].datum; return OLV_OK;
    }
    return ol_fail(err, OLV_INTERNAL, "an input has no source");
}

/* A slot that an earlier failure left empty. */
static bool lacks_input(const evaluate_args *a, const ol_run *r) {
    for (int i = 0; i < a->n_in; i++)
        if (a->in[i].kind == SLOT && !r->slots[a->in[i].index].filled) return true;
    return false;
}

static olv_status store_outputs(const evaluate_args *a, const ol_run *r, ol_datum *out, olv_error *err) {
    const ol_node *n = a->node;
    for (int i = 0; i < n->n_outputs; i++) {
        if (!n->outputs[i]) continue;
        if (a->out[i].slot >= 0) {
            r->slots[a->out[i].slot] = (ol_slot){out[i], true};
            out[i] = (ol_datum){.kind = OL_VALUE_TENSOR};
        } else {
            OL_TRY(fill_buffer(r, n->outputs[i], a->out[i].buffer, &out[i], err));
        }
    }
    return OLV_OK;
}

static olv_status evaluate(const evaluate_args *a, const ol_run *r, olv_error *err) {
    size_t n_in = (size_t)a->n_in + 1, n_out = (size_t)a->node->n_outputs + 1;
    ol_datum *held = ol_calloc(n_in, sizeof *held), *out = ol_calloc(n_out, sizeof *out);
    const ol_datum **in = ol_calloc(n_in, sizeof *in);
    olv_status s = held && out && in ? OLV_OK : ol_fail(err, OLV_NOMEM, "no memory to evaluate a node");
    for (int i = 0; s == OLV_OK && i < a->n_in; i++) s = find_source(r, &a->in[i], &held[i], &in[i], err);
    if (s == OLV_OK) {
        ol_reference_outer outer = {a->captured, in + a->node->n_inputs, a->n_captured};
        s = ol_reference_node(a->node, in, a->has_graphs ? &outer : NULL, out, err);
    }
    if (s == OLV_OK) s = store_outputs(a, r, out, err);
    for (int i = 0; held && i < a->n_in; i++) ol_datum_deinit(&held[i]);
    for (int i = 0; out && i < a->node->n_outputs; i++) ol_datum_deinit(&out[i]);
    ol_free(held), ol_free(out), ol_free(in);
    return s;
}

static void clear_outputs(const evaluate_args *a, const ol_run *r) {
    for (int i = 0; i < a->node->n_outputs; i++) {
        const ol_value *v = a->node->outputs[i];
        int64_t dims[OL_MAX_RANK];
        if (!v || a->out[i].buffer < 0 || !shape_of(r, v, dims)) continue;
        size_t bytes = ol_dtype_class(v->type.dtype) == 'f' ? sizeof(float) : sizeof(int64_t);
        for (int d = 0; d < v->type.rank; d++) bytes *= (size_t)dims[d]; /* fits: the layout has room for it */
        memset(ol_run_buffer(r, a->out[i].buffer), 0, bytes);
    }
}

static void drop_slots(const ol_step *s, const ol_run *r) {
    for (int i = 0; i < s->drops.n; i++) {
        ol_slot *k = &r->slots[s->drops.items[i]];
        ol_datum_deinit(&k->datum);
        k->filled = false;
    }
}

static void run_evaluate(const ol_step *s, const ol_run *r, unsigned tile, void *scratch) {
    const evaluate_args *a = s->args;
    olv_error why = {.status = OLV_OK};
    (void)tile, (void)scratch;
    if (lacks_input(a, r)) {
        clear_outputs(a, r);
    } else if (evaluate(a, r, &why) != OLV_OK) {
        ol_error_at(&why, "node '%.200s' (%s)", s->name, a->node->op->name);
        clear_outputs(a, r);
        olv_error *err = ol_run_claim_failure(r);
        if (err) *err = why;
    }
    drop_slots(s, r);
}
static const ol_step_class evaluate_class = {"reference", one_tile, NULL, NULL, run_evaluate};

typedef struct load_args {
    const ol_value *value;
    int slot, buffer;
} load_args;

static void run_load(const ol_step *s, const ol_run *r, unsigned tile, void *scratch) {
    const load_args *a = s->args;
    olv_error why = {.status = OLV_OK};
    (void)tile, (void)scratch;
    if (r->slots[a->slot].filled && fill_buffer(r, a->value, a->buffer, &r->slots[a->slot].datum, &why) != OLV_OK) {
        olv_error *err = ol_run_claim_failure(r);
        if (err) *err = why;
    }
    drop_slots(s, r);
}
static const ol_step_class load_class = {"load", one_tile, NULL, NULL, run_load};

/* ---- lowering ---- */

/* Constants keep their own type. Their data stay where they are when aligned, else move into the plan. */
static olv_status find_constant(ol_lowering *l, const ol_value *v, source *s, olv_error *err) {
    ol_tensor t = {0};
    const ol_const *c = v->constant;
    size_t bytes;
    const void *in_place = ol_const_data(c, &bytes);
    s->kind = CONSTANT;
    s->constant.kind = OL_VALUE_TENSOR;
    s->constant.present = true;
    if (in_place && ((uintptr_t)in_place & 15) == 0)
        return ol_tensor_view(&s->constant.tensor, ol_const_dtype(c), ol_const_rank(c), ol_const_dims(c), in_place, bytes, err);
    if (ol_dtype_class(ol_const_dtype(c)) == 'z' || ol_dtype_class(ol_const_dtype(c)) == 'c') {
        s->kind = LOADED;
        return OLV_OK;
    }
    if (ol_const_quant_form(c)) {
        if ((size_t)ol_const_rows(c) > MAX_CONSTANT_BYTES / sizeof(float) / (size_t)(ol_const_width(c) + 1))
            return ol_fail(err, OLV_LIMIT, "constant '%s' is too large to be copied into the plan", v->name);
        OL_TRY(ol_tensor_init(&t, OL_F32, ol_const_rank(c), ol_const_dims(c), err));
        olv_status st = ol_const_rows_f32(c, 0, ol_const_rows(c), t.data, err);
        if (st != OLV_OK) return ol_tensor_deinit(&t), st;
    } else {
        OL_TRY(ol_const_materialize(c, MAX_CONSTANT_BYTES, &t, err));
    }
    void *p = ol_arena_alloc(l->arena, t.bytes + 16);
    if (p && t.bytes) memcpy(p, t.data, t.bytes);
    olv_status st = p ? ol_tensor_view(&s->constant.tensor, t.dtype, t.rank, t.dims, p, t.bytes, err)
                      : ol_fail(err, OLV_NOMEM, "no memory for constant '%s'", v->name);
    ol_tensor_deinit(&t);
    return st;
}

static olv_status place_source(ol_lowering *l, ol_value *v, source *s, olv_error *err) {
    *s = (source){.value = v};
    if (!v) return OLV_OK;
    if (l->known && v->is_input && !v->constant) {
        s->kind = GIVEN;
        for (int i = 0; i < l->graph->n_inputs; i++)
            if (l->graph->inputs[i] == v) s->index = i;
        return OLV_OK;
    }
    if (v->constant) return find_constant(l, v, s, err);
    if (l->known && l->slot_of[v->id] >= 0) {
        s->kind = SLOT;
        s->index = l->slot_of[v->id];
        return OLV_OK;
    }
    s->kind = BUFFER;
    return (s->index = ol_lower_input(l, v, err)) < 0 ? (err ? err->status : OLV_INTERNAL) : OLV_OK;
}

static int add_slot(ol_lowering *l, const ol_value *v) {
    if (l->n_slots == l->cap_slots) {
        int cap = l->cap_slots ? 2 * l->cap_slots : 16;
        ol_lower_slot *p = ol_realloc(l->slots, (size_t)cap * sizeof *p);
        if (!p) {
            l->failed = OLV_NOMEM;
            return -1;
        }
        l->slots = p;
        l->cap_slots = cap;
    }
    l->slots[l->n_slots] = (ol_lower_slot){v, -1, -1};
    return l->slot_of[v->id] = l->n_slots++;
}

static bool end_segment(ol_lowering *l) {
    if (l->n_segments == l->cap_segments) {
        int cap = l->cap_segments ? 2 * l->cap_segments : 8;
        int *p = ol_realloc(l->segment_ends, (size_t)cap * sizeof *p);
        if (!p) return false;
        l->segment_ends = p;
        l->cap_segments = cap;
    }
    l->segment_ends[l->n_segments++] = l->n_steps;
    return true;
}

/* Values of this graph that subgraphs of n use, each once. NULL out: only counts. */
static int collect_captured(const ol_graph *g, const ol_graph *sub, const ol_value **out, int n) {
    for (const ol_node *m = sub->first; m; m = m->next) {
        for (int i = 0; i < m->n_inputs; i++) {
            const ol_value *v = m->inputs[i];
            bool seen = !v || v->graph != g;
            for (int k = 0; out && !seen && k < n; k++) seen = out[k] == v;
            if (seen) continue;
            if (out) out[n] = v;
            n++;
        }
        for (int i = 0; i < m->n_attrs; i++) {
            const ol_attr *a = &m->attrs[i];
            if (a->type == OL_ATTR_GRAPH) n = collect_captured(g, a->v.graph, out, n);
            for (size_t k = 0; a->type == OL_ATTR_GRAPHS && k < a->count; k++) n = collect_captured(g, a->v.graphs[k], out, n);
        }
    }
    for (int i = 0; i < sub->n_outputs; i++)
        if (sub->outputs[i]->graph == g) {
            bool seen = false;
            for (int k = 0; out && k < n; k++) seen |= out[k] == sub->outputs[i];
            if (seen) continue;
            if (out) out[n] = sub->outputs[i];
            n++;
        }
    return n;
}

static int captured_by(const ol_node *n, const ol_value **out) {
    int count = 0;
    for (int i = 0; i < n->n_attrs; i++) {
        const ol_attr *a = &n->attrs[i];
        if (a->type == OL_ATTR_GRAPH) count = collect_captured(n->graph, a->v.graph, out, count);
        for (size_t k = 0; a->type == OL_ATTR_GRAPHS && k < a->count; k++)
            count = collect_captured(n->graph, a->v.graphs[k], out, count);
    }
    return count;
}

/* Symbols that are sizes of v by themselves become known; true if there was a new one. */
static bool learn_symbols(ol_lowering *l, const ol_value *v) {
    bool new = false;
    if (v->type.kind != OL_VALUE_TENSOR) return false;
    for (int d = 0; d < v->type.rank; d++) {
        int k = ol_dim_symbol_index(l->graph->dims, v->type.dims[d]);
        if (k < 0 || (size_t)k >= l->n_known || l->known[k] >= 0) continue;
        l->known[k] = 16;
        new = true;
    }
    return new;
}

static olv_status place_outputs(ol_lowering *l, const evaluate_args *a, olv_error *err) {
    for (int i = 0; i < a->node->n_outputs; i++) {
        ol_value *v = a->node->outputs[i];
        a->out[i] = (target){-1, -1};
        if (!v) continue;
        if (ol_lower_fits_buffer(l, v)) a->out[i].buffer = ol_lower_output(l, v);
        else a->out[i].slot = add_slot(l, v);
        if (a->out[i].buffer < 0 && a->out[i].slot < 0) return ol_fail(err, OLV_NOMEM, "no memory for the plan");
    }
    return OLV_OK;
}

/* After a step that fills slots: sizes learnt from them end the segment, and what kernels can use then is loaded. */
static olv_status settle(ol_lowering *l, const evaluate_args *a, olv_error *err) {
    bool ends = false;
    for (int i = 0; i < a->node->n_outputs; i++)
        if (a->out[i].slot >= 0 && learn_symbols(l, a->node->outputs[i])) {
            l->slots[a->out[i].slot].segment = l->n_segments;
            ends = true;
        }
    if (!ends) return OLV_OK;
    if (!end_segment(l)) return ol_fail(err, OLV_NOMEM, "no memory for the plan");
    for (int i = 0; i < a->node->n_outputs; i++) {
        ol_value *v = a->node->outputs[i];
        if (a->out[i].slot < 0 || !ol_lower_fits_buffer(l, v)) continue;
        ol_step *s = ol_lower_step(l, &load_class, v->name, sizeof(load_args));
        if (!s) return OLV_OK; /* latched */
        load_args *p = s->args;
        *p = (load_args){v, a->out[i].slot, ol_lower_output(l, v)};
        ol_step_writes(s, p->buffer);
        l->slots[p->slot].last_step = l->n_steps - 1;
    }
    return OLV_OK;
}

olv_status ol_lower_evaluate(ol_lowering *l, ol_node *n, olv_error *err) {
    evaluate_args *a = ol_arena_calloc(l->arena, 1, sizeof *a);
    if (!a) return ol_fail(err, OLV_NOMEM, "no memory for the plan");
    int most = captured_by(n, NULL);
    a->node = n;
    a->captured = ol_arena_calloc(l->arena, (size_t)most + 1, sizeof *a->captured);
    a->in = ol_arena_calloc(l->arena, (size_t)n->n_inputs + (size_t)most + 1, sizeof *a->in);
    a->out = ol_arena_calloc(l->arena, (size_t)n->n_outputs + 1, sizeof *a->out);
    if (!a->captured || !a->in || !a->out) return ol_fail(err, OLV_NOMEM, "no memory for the plan");
    a->n_captured = captured_by(n, a->captured);
    for (int i = 0; i < n->n_attrs; i++)
        a->has_graphs |= n->attrs[i].type == OL_ATTR_GRAPH || n->attrs[i].type == OL_ATTR_GRAPHS;
    a->n_in = n->n_inputs + a->n_captured;
    for (int i = 0; i < a->n_in; i++) {
        const ol_value *v = i < n->n_inputs ? n->inputs[i] : a->captured[i - n->n_inputs];
        OL_TRY(place_source(l, (ol_value *)(uintptr_t)v, &a->in[i], err));
    }
    OL_TRY(place_outputs(l, a, err));
    ol_step *s = ol_lower_step(l, &evaluate_class, n->name, 0);
    if (!s) return OLV_OK; /* latched */
    s->args = a;
    s->kernel = n->op->name;
    for (int i = 0; i < a->n_in; i++) {
        if (a->in[i].kind == BUFFER) ol_step_reads(s, a->in[i].index);
        if (a->in[i].kind == SLOT) l->slots[a->in[i].index].last_step = l->n_steps - 1;
    }
    for (int i = 0; i < n->n_outputs; i++) {
        ol_step_writes(s, a->out[i].buffer);
        if (a->out[i].slot >= 0) l->slots[a->out[i].slot].last_step = l->n_steps - 1;
    }
    return l->known ? settle(l, a, err) : OLV_OK;
}
