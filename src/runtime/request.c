/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/request.h"
#include "base/alloc.h"
#include "base/checked.h"
#include "base/error.h"
#include "device/buffer.h"
#include "runtime/execute.h"
#include <stdio.h>
#include <string.h>

/* Memory that grows to the largest need seen. */
typedef struct room {
    uint8_t *memory;
    size_t bytes;
} room;

/* The workspace of a segment, and the symbols' values that its layout holds for. */
typedef struct segment_place {
    room workspace;
    int64_t *symbols;
    bool laid_out;
} segment_place;

struct ol_request {
    const ol_plan *plan;
    const ol_graph *graph;
    ol_executor *executor;
    ol_bound bound;
    ol_scratch scratch;
    segment_place *segments;
    int64_t *symbols;
    size_t n_symbols;
    const ol_datum **given; /* by graph input */
    room *converted;        /* by graph input: as numbers of buffers */
    ol_slot *slots;
    ol_datum *outputs;     /* views of buffers, slots, inputs or constants */
    room *output_room;     /* outputs whose type is none of a buffer's */
    ol_datum *held;        /* constants that are outputs */
};

/* ---- making ---- */

static olv_status create_parts(ol_request *r, olv_error *err) {
    const ol_plan_entry *e = r->bound.entry;
    size_t ni = (size_t)r->graph->n_inputs + 1, no = (size_t)r->graph->n_outputs + 1;
    r->n_symbols = ol_dim_n_symbols(r->graph->dims);
    r->symbols = ol_calloc(r->n_symbols + 1, sizeof *r->symbols);
    r->segments = ol_calloc((size_t)e->n_segments, sizeof *r->segments);
    r->given = ol_calloc(ni, sizeof *r->given);
    r->converted = ol_calloc(ni, sizeof *r->converted);
    r->slots = ol_calloc((size_t)e->n_slots + 1, sizeof *r->slots);
    r->outputs = ol_calloc(no, sizeof *r->outputs);
    r->output_room = ol_calloc(no, sizeof *r->output_room);
    r->held = ol_calloc(no, sizeof *r->held);
    if (!r->symbols || !r->segments || !r->given || !r->converted || !r->slots || !r->outputs || !r->output_room || !r->held)
        return ol_fail(err, OLV_NOMEM, "no memory for a request");
    for (int i = 0; i < e->n_segments; i++)
        if (!(r->segments[i].symbols = ol_calloc(r->n_symbols + 1, sizeof(int64_t))))
            return ol_fail(err, OLV_NOMEM, "no memory for a request");
    return OLV_OK;
}

olv_status ol_request_create(const ol_plan *plan, ol_executor *executor, ol_request **out, olv_error *err) {
    ol_request *r = ol_calloc(1, sizeof *r);
    if (!r) return ol_fail(err, OLV_NOMEM, "no memory for a request");
    r->plan = plan;
    r->graph = ol_plan_graph(plan);
    r->executor = executor;
    olv_status s = ol_bound_init(&r->bound, ol_plan_get_entry(plan, OL_ENTRY_WHOLE), err);
    if (s == OLV_OK) s = ol_scratch_init(&r->scratch, err);
    if (s == OLV_OK) s = create_parts(r, err);
    if (s != OLV_OK) {
        ol_request_destroy(r);
        return s;
    }
    *out = r;
    return OLV_OK;
}

static void empty_slots(ol_request *r) {
    for (int i = 0; r->slots && i < r->bound.entry->n_slots; i++) {
        ol_datum_deinit(&r->slots[i].datum);
        r->slots[i].filled = false;
    }
}

void ol_request_destroy(ol_request *r) {
    if (!r) return;
    if (r->bound.entry) empty_slots(r);
    for (int i = 0; r->segments && i < r->bound.entry->n_segments; i++) {
        ol_free_aligned(r->segments[i].workspace.memory);
        ol_free(r->segments[i].symbols);
    }
    for (int i = 0; r->converted && i < r->graph->n_inputs; i++) ol_free_aligned(r->converted[i].memory);
    for (int i = 0; r->output_room && i < r->graph->n_outputs; i++) ol_free_aligned(r->output_room[i].memory);
    for (int i = 0; r->held && i < r->graph->n_outputs; i++) ol_datum_deinit(&r->held[i]);
    ol_bound_deinit(&r->bound);
    ol_scratch_deinit(&r->scratch);
    ol_free(r->segments), ol_free(r->symbols), ol_free(r->given), ol_free(r->converted), ol_free(r->slots);
    ol_free(r->outputs), ol_free(r->output_room), ol_free(r->held);
    ol_free(r);
}

/* ---- inputs ---- */

static void describe_type(const ol_graph *g, const ol_type *t, char *out, size_t size) {
    size_t n = (size_t)snprintf(out, size, "%s", t->dtype == OL_DTYPE_NONE ? "any type" : ol_dtype_name(t->dtype));
    if (t->rank < 0 || n >= size) return;
    n += (size_t)snprintf(out + n, size - n, "[");
    for (int i = 0; i < t->rank && n < size; i++) {
        char d[64];
        ol_dim_format(g->dims, t->dims[i], d, sizeof d);
        n += (size_t)snprintf(out + n, size - n, "%s%s", i ? "," : "", d);
    }
    if (n < size) snprintf(out + n, size - n, "]");
}

static olv_status check_input(const ol_graph *g, const ol_value *v, const ol_datum *d, olv_error *err) {
    static const char *const kinds[] = {"tensor", "sequence", "optional"};
    const ol_type *t = &v->type;
    char found[160], wanted[256];
    if (d->kind != t->kind)
        return ol_fail(err, OLV_SHAPE, "input '%s' is a %s, %s expected", v->name, kinds[d->kind], kinds[t->kind]);
    if (t->kind != OL_VALUE_TENSOR) return OLV_OK;
    bool fits = (t->dtype == OL_DTYPE_NONE || d->tensor.dtype == t->dtype) && (t->rank < 0 || d->tensor.rank == t->rank);
    for (int i = 0; fits && i < t->rank; i++) fits = !ol_dim_known(t->dims[i]) || t->dims[i] == d->tensor.dims[i];
    if (fits) return OLV_OK;
    ol_tensor_describe(&d->tensor, found, sizeof found);
    describe_type(g, t, wanted, sizeof wanted);
    return ol_fail(err, OLV_SHAPE, "input '%s' is %s, %s expected", v->name, found, wanted);
}

olv_status ol_request_set_input(ol_request *r, int input, const ol_datum *d, olv_error *err) {
    if (input < 0 || input >= r->graph->n_inputs)
        return ol_fail(err, OLV_ARG, "input %d of a model with %d inputs", input, r->graph->n_inputs);
    const ol_value *v = r->graph->inputs[input];
    if (v->constant) return ol_fail(err, OLV_STATE, "input '%s' has a default, which is built into the plan", v->name);
    if (d) OL_TRY(check_input(r->graph, v, d, err));
    r->given[input] = d;
    return OLV_OK;
}

/* Gives the symbols that are sizes of the inputs their values. */
static olv_status bind_symbols(ol_request *r, olv_error *err) {
    const ol_graph *g = r->graph;
    for (size_t i = 0; i < r->n_symbols; i++) r->symbols[i] = -1;
    for (int pass = 0; pass < 2; pass++)
        for (int i = 0; i < g->n_inputs; i++) {
            const ol_value *v = g->inputs[i];
            if (v->constant || v->type.kind != OL_VALUE_TENSOR) continue;
            for (int d = 0; d < v->type.rank; d++) {
                int64_t size = r->given[i]->tensor.dims[d];
                int k = ol_dim_symbol_index(g->dims, v->type.dims[d]);
                if (pass == 0 && k >= 0 && r->symbols[k] < 0) r->symbols[k] = size;
                if (pass == 0) continue;
                int64_t want = ol_dim_eval(g->dims, v->type.dims[d], r->symbols, r->n_symbols);
                if (want < 0 || want == size) continue;
                char name[64];
                ol_dim_format(g->dims, v->type.dims[d], name, sizeof name);
                return ol_fail(err, OLV_SHAPE, "input '%s' has size %lld in dimension %d, but %s is %lld by another input", v->name,
                               (long long)size, d, name, (long long)want);
            }
        }
    return OLV_OK;
}

static olv_status require_inputs(const ol_request *r, olv_error *err) {
    for (int i = 0; i < r->graph->n_inputs; i++)
        if (!r->graph->inputs[i]->constant && !r->given[i]) {
            char wanted[256];
            describe_type(r->graph, &r->graph->inputs[i]->type, wanted, sizeof wanted);
            return ol_fail(err, OLV_ARG, "input '%s' (%s) is not given", r->graph->inputs[i]->name, wanted);
        }
    return OLV_OK;
}

/* Data of an input as a buffer: its own bytes where they are such, else converted. */
static olv_status input_buffer(ol_request *r, int input, void **out, olv_error *err) {
    const ol_tensor *t = &r->given[input]->tensor;
    size_t item = ol_dtype_class(t->dtype) == 'f' ? sizeof(float) : sizeof(int64_t);
    if (ol_buffer_is_plain(t->dtype) && (uintptr_t)t->data % item == 0 && t->data) {
        *out = t->data;
        return OLV_OK;
    }
    room *m = &r->converted[input];
    size_t bytes;
    if (!ol_mul_size((size_t)ol_tensor_count(t), item, &bytes)) return ol_fail(err, OLV_LIMIT, "an input is too large");
    OL_TRY(ol_grow_memory(&m->memory, &m->bytes, bytes ? bytes : 1, 1, "an input", err));
    ol_buffer_from_tensor(m->memory, t);
    *out = m->memory;
    return OLV_OK;
}

/* ---- running ---- */

static olv_status place_segment(ol_request *r, int segment, const ol_run *run, olv_error *err) {
    const ol_plan_entry *e = r->bound.entry;
    segment_place *p = &r->segments[segment];
    int begin = ol_plan_segment_begin(e, segment), end = e->segment_ends[segment];
    if (!p->laid_out || memcmp(p->symbols, r->symbols, r->n_symbols * sizeof *r->symbols)) {
        size_t need;
        p->laid_out = false;
        if (!ol_plan_layout(e, segment, run, r->bound.offsets, &need))
            return need ? ol_fail(err, OLV_NOMEM, "no memory to lay out a workspace")
                        : ol_fail(err, OLV_LIMIT, "the intermediate values of these input sizes are too large");
        OL_TRY(ol_grow_memory(&p->workspace.memory, &p->workspace.bytes, need ? need : 1, 1, "a workspace", err));
        memcpy(p->symbols, r->symbols, r->n_symbols * sizeof *r->symbols);
        p->laid_out = true;
    }
    for (int b = 0; b < e->n_buffers; b++)
        if (e->first_use[b] >= begin && e->first_use[b] < end) r->bound.buffers[b] = p->workspace.memory + r->bound.offsets[b];
    return ol_bind_steps(&r->bound, begin, end, run, &r->scratch, ol_executor_lanes(r->executor), err);
}

/* Sizes that the slots filled in this segment tell. */
static olv_status settle(ol_request *r, int segment, olv_error *err) {
    const ol_plan_entry *e = r->bound.entry;
    for (int i = 0; i < e->n_slots; i++) {
        if (e->slots[i].segment != segment) continue;
        const ol_value *v = e->slots[i].value;
        const ol_tensor *t = &r->slots[i].datum.tensor;
        if (!r->slots[i].filled || t->rank != v->type.rank)
            return ol_fail(err, OLV_SHAPE, "value '%.200s' came out with rank %d, %d was inferred", v->name, t->rank, v->type.rank);
        for (int d = 0; d < t->rank; d++) {
            int k = ol_dim_symbol_index(r->graph->dims, v->type.dims[d]);
            if (k >= 0 && r->symbols[k] < 0) r->symbols[k] = t->dims[d];
        }
    }
    return OLV_OK;
}

static olv_status bind_fixed(ol_request *r, olv_error *err) {
    const ol_plan_entry *e = r->bound.entry;
    for (int b = 0; b < e->n_buffers; b++) {
        if (e->buffers[b].fixed) r->bound.buffers[b] = e->buffers[b].fixed;
        else if (e->buffers[b].input >= 0) OL_TRY(input_buffer(r, e->buffers[b].input, &r->bound.buffers[b], err));
    }
    return OLV_OK;
}

static olv_status output_of_constant(ol_request *r, int i, olv_error *err) {
    const ol_const *c = r->graph->outputs[i]->constant;
    ol_datum *h = &r->held[i];
    if (!h->present) {
        OL_TRY(ol_const_materialize(c, SIZE_MAX, &h->tensor, err));
        h->kind = OL_VALUE_TENSOR;
        h->present = true;
    }
    r->outputs[i] = *h;
    return OLV_OK;
}

static olv_status output_of_buffer(ol_request *r, int i, int buffer, olv_error *err) {
    const ol_value *v = r->graph->outputs[i];
    ol_datum *d = &r->outputs[i];
    int64_t dims[OL_MAX_RANK];
    size_t bytes = (size_t)ol_dtype_bits(v->type.dtype) / 8;
    for (int k = 0; k < v->type.rank; k++) {
        dims[k] = ol_dim_eval(r->graph->dims, v->type.dims[k], r->symbols, r->n_symbols);
        if (dims[k] < 0 || !ol_mul_size(bytes, (size_t)dims[k], &bytes))
            return ol_fail(err, OLV_SHAPE, "the size of output '%s' is not known", v->name);
    }
    void *p = r->bound.buffers[buffer];
    if (!ol_buffer_is_plain(v->type.dtype)) {
        room *m = &r->output_room[i];
        OL_TRY(ol_grow_memory(&m->memory, &m->bytes, bytes ? bytes : 1, 1, "an output", err));
        p = m->memory;
    }
    *d = (ol_datum){.kind = OL_VALUE_TENSOR, .present = true};
    OL_TRY(ol_tensor_view(&d->tensor, v->type.dtype, v->type.rank, dims, p, bytes, err));
    if (!ol_buffer_is_plain(v->type.dtype)) ol_buffer_to_tensor(r->bound.buffers[buffer], &d->tensor);
    return OLV_OK;
}

static olv_status find_outputs(ol_request *r, olv_error *err) {
    const ol_plan_entry *e = r->bound.entry;
    for (int i = 0; i < r->graph->n_outputs; i++) {
        const ol_value *v = r->graph->outputs[i];
        if (e->output_slots[i] >= 0) {
            r->outputs[i] = r->slots[e->output_slots[i]].datum;
        } else if (e->outputs[i] >= 0) {
            OL_TRY(output_of_buffer(r, i, e->outputs[i], err));
        } else if (v->constant) {
            OL_TRY(output_of_constant(r, i, err));
        } else {
            for (int k = 0; k < r->graph->n_inputs; k++)
                if (r->graph->inputs[k] == v) r->outputs[i] = *r->given[k];
        }
    }
    return OLV_OK;
}

static olv_status run_segment(ol_request *r, int segment, ol_run *run, olv_error *err) {
    const ol_plan_entry *e = r->bound.entry;
    ol_run_failure failure = {.taken = ATOMIC_FLAG_INIT, .error = {.status = OLV_OK}};
    OL_TRY(place_segment(r, segment, run, err));
    run->failure = &failure;
    ol_execute_steps(&r->bound, ol_plan_segment_begin(e, segment), e->segment_ends[segment], run, &r->scratch, r->executor);
    if (r->bound.cancel && *r->bound.cancel) return ol_fail(err, OLV_CANCELLED, "cancelled");
    if (failure.error.status != OLV_OK) {
        if (err) *err = failure.error;
        return failure.error.status;
    }
    return settle(r, segment, err);
}

olv_status ol_request_run(ol_request *r, const atomic_bool *cancel, olv_error *err) {
    OL_TRY(require_inputs(r, err));
    OL_TRY(bind_symbols(r, err));
    OL_TRY(bind_fixed(r, err));
    empty_slots(r);
    ol_run run = {.buffers = r->bound.buffers, .symbols = r->symbols, .dims = r->graph->dims, .given = r->given, .slots = r->slots};
    r->bound.cancel = cancel;
    for (int i = 0; i < r->bound.entry->n_segments; i++) OL_TRY(run_segment(r, i, &run, err));
    r->bound.runs++;
    return find_outputs(r, err);
}

const ol_datum *ol_request_output(const ol_request *r, int output) { return &r->outputs[output]; }

void ol_request_profile(ol_request *r, bool on) { r->bound.profile = on; }
void ol_request_profile_dump(const ol_request *r, ol_buf *out) { ol_bound_profile_dump(&r->bound, "whole", out); }

void ol_request_each_step(const ol_request *r, ol_request_step_fn *fn, void *ctx) {
    for (int i = 0; i < r->bound.entry->n_steps; i++) {
        const ol_step *s = &r->bound.entry->steps[i];
        fn(ctx, s->name, s->cls->name, s->kernel, (double)r->bound.ns[i] / 1e6);
    }
}
