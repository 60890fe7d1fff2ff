/* SPDX-License-Identifier: Apache-2.0 */
#include "device/reference/reference.h"
#include "base/alloc.h"
#include "base/error.h"
#include "device/reference/state.h"
#include <stdio.h>

#define MAX_DEPTH 64 /* graphs inside one another */

struct ol_reference {
    const ol_graph *g;
    ol_reference_state state;
};

/* The values of one graph while it runs; subgraphs see the frames around them. */
typedef struct frame {
    const ol_graph *g;
    struct frame *outer;
    ol_datum *values;       /* by value id */
    const ol_datum **given; /* borrowed values (inputs), by id */
    int *uses_left;         /* owned values are freed after their last use in this graph */
    int depth;
    const ol_state_access *access;
} frame;

static void frame_deinit(frame *f) {
    for (int i = 0; f->values && i < f->g->n_values; i++) ol_datum_deinit(&f->values[i]);
    ol_free(f->values);
    ol_free(f->given);
    ol_free(f->uses_left);
}

static olv_status frame_init(frame *f, const ol_graph *g, frame *outer, const ol_state_access *access, olv_error *err) {
    size_t n = (size_t)g->n_values + 1;
    *f = (frame){g, outer, ol_calloc(n, sizeof *f->values), ol_calloc(n, sizeof *f->given),
                 ol_calloc(n, sizeof *f->uses_left), outer ? outer->depth + 1 : 1, access};
    if (!f->values || !f->given || !f->uses_left) {
        frame_deinit(f);
        return ol_fail(err, OLV_NOMEM, "no memory to run a graph");
    }
    if (f->depth > MAX_DEPTH) {
        frame_deinit(f);
        return ol_fail(err, OLV_LIMIT, "more than %d graphs inside one another", MAX_DEPTH);
    }
    for (int i = 0; i < g->n_values; i++) f->uses_left[i] = g->values[i]->n_uses;
    return OLV_OK;
}

/* The data of a constant: in place when it lies in memory aligned, else its own copy. */
static olv_status load_constant(const ol_const *c, ol_datum *d, olv_error *err) {
    size_t bytes;
    const void *p = ol_const_data(c, &bytes);
    d->kind = OL_VALUE_TENSOR;
    d->present = true;
    if (p && ((uintptr_t)p & 15) == 0)
        return ol_tensor_view(&d->tensor, ol_const_dtype(c), ol_const_rank(c), ol_const_dims(c), p, bytes, err);
    if (!ol_const_quant_form(c)) return ol_const_materialize(c, SIZE_MAX, &d->tensor, err);
    OL_TRY(ol_tensor_init(&d->tensor, OL_F32, ol_const_rank(c), ol_const_dims(c), err));
    return ol_const_rows_f32(c, 0, ol_const_rows(c), d->tensor.data, err);
}

static olv_status find(frame *f, const ol_value *v, const ol_datum **out, olv_error *err) {
    while (f && f->g != v->graph) f = f->outer;
    if (!f) return ol_fail(err, OLV_INTERNAL, "value '%s' is outside of the running graphs", v->name);
    if (f->given[v->id]) {
        *out = f->given[v->id];
        return OLV_OK;
    }
    ol_datum *d = &f->values[v->id];
    if (!d->present && d->kind == OL_VALUE_TENSOR && v->constant) OL_TRY(load_constant(v->constant, d, err));
    if (!d->present && d->kind == OL_VALUE_TENSOR) return ol_fail(err, OLV_ARG, "value '%s' is not given", v->name);
    *out = d;
    return OLV_OK;
}

static olv_status run_graph(frame *f, ol_datum *outputs, olv_error *err);

static olv_status run_subgraph(ol_eval *c, ol_graph *g, const ol_datum *const *in, int n_in, ol_datum *out, int n_out,
                               olv_error *err) {
    frame f;
    if (n_in != g->n_inputs || n_out != g->n_outputs)
        return ol_fail(err, OLV_SHAPE, "graph '%s' has %d inputs and %d outputs, %d and %d expected", g->name,
                       g->n_inputs, g->n_outputs, n_in, n_out);
    OL_TRY(frame_init(&f, g, c->device, c->state, err));
    for (int i = 0; i < n_in; i++) f.given[g->inputs[i]->id] = in[i];
    olv_status s = run_graph(&f, out, err);
    frame_deinit(&f);
    return s;
}

static olv_status eval_node(frame *f, const ol_node *n, const ol_datum **in, ol_datum *out, olv_error *err) {
    for (int i = 0; i < n->n_inputs; i++)
        if (n->inputs[i]) OL_TRY(find(f, n->inputs[i], &in[i], err));
    if (!n->op->eval) return ol_fail(err, OLV_UNSUPPORTED, "no reference evaluation");
    ol_eval c = {n, in, out, run_subgraph, f, f->access};
    return n->op->eval(&c, err);
}

static void drop_inputs(frame *f, const ol_node *n) {
    for (int i = 0; i < n->n_inputs; i++) {
        const ol_value *v = n->inputs[i];
        if (v && v->graph == f->g && --f->uses_left[v->id] == 0) ol_datum_deinit(&f->values[v->id]);
    }
}

static olv_status run_node(frame *f, const ol_node *n, olv_error *err) {
    const ol_datum **in = ol_calloc((size_t)n->n_inputs + 1, sizeof *in);
    ol_datum *out = ol_calloc((size_t)n->n_outputs + 1, sizeof *out);
    olv_status s = in && out ? eval_node(f, n, in, out, err) : ol_fail(err, OLV_NOMEM, "no memory to run a node");
    for (int i = 0; out && i < n->n_outputs; i++) {
        if (s == OLV_OK && n->outputs[i]) f->values[n->outputs[i]->id] = out[i];
        else ol_datum_deinit(&out[i]);
    }
    if (s == OLV_OK) drop_inputs(f, n);
    ol_free(in);
    ol_free(out);
    return s == OLV_OK ? s : ol_error_at(err, "node '%.200s' (%s)", n->name, n->op->name);
}

static olv_status run_graph(frame *f, ol_datum *outputs, olv_error *err) {
    const ol_graph *g = f->g;
    olv_status s = OLV_OK;
    for (const ol_node *n = g->first; n && s == OLV_OK; n = n->next) s = run_node(f, n, err);
    int done = 0;
    for (; done < g->n_outputs && s == OLV_OK; done++) {
        const ol_datum *d;
        s = find(f, g->outputs[done], &d, err);
        if (s == OLV_OK) s = ol_datum_copy(&outputs[done], d, err);
        if (s != OLV_OK) break;
    }
    for (int i = 0; s != OLV_OK && i < done; i++) ol_datum_deinit(&outputs[i]);
    return s;
}

olv_status ol_reference_node(const ol_node *n, const ol_datum *const *in, const ol_reference_outer *outer, ol_datum *out,
                             olv_error *err) {
    frame f;
    if (!n->op->eval) return ol_fail(err, OLV_UNSUPPORTED, "no reference evaluation");
    if (outer) OL_TRY(frame_init(&f, n->graph, NULL, NULL, err));
    for (int i = 0; outer && i < outer->n; i++) f.given[outer->values[i]->id] = outer->data[i];
    ol_eval c = {n, in, out, outer ? run_subgraph : NULL, outer ? &f : NULL, NULL};
    olv_status s = n->op->eval(&c, err);
    if (outer) frame_deinit(&f);
    for (int i = 0; s != OLV_OK && i < n->n_outputs; i++) ol_datum_deinit(&out[i]);
    return s;
}

olv_status ol_reference_create(const ol_graph *g, ol_reference **out, olv_error *err) {
    ol_reference *r = ol_calloc(1, sizeof *r);
    if (!r) return ol_fail(err, OLV_NOMEM, "no memory for a reference device");
    r->g = g;
    ol_reference_state_init(&r->state);
    *out = r;
    return OLV_OK;
}

void ol_reference_destroy(ol_reference *r) {
    if (!r) return;
    ol_reference_state_deinit(&r->state);
    ol_free(r);
}

void ol_reference_reset(ol_reference *r) {
    ol_reference_state_deinit(&r->state);
    ol_reference_state_init(&r->state);
}

/* Checks a datum against the declared type of an input: kind, element type, rank and known sizes. */
static olv_status check_input(const ol_value *v, const ol_datum *d, olv_error *err) {
    const ol_type *t = &v->type;
    if (d->kind != t->kind) return ol_fail(err, OLV_ARG, "input '%s' is of another kind", v->name);
    if (t->kind != OL_VALUE_TENSOR) return OLV_OK;
    char found[160];
    ol_tensor_describe(&d->tensor, found, sizeof found);
    if (t->dtype != OL_DTYPE_NONE && d->tensor.dtype != t->dtype)
        return ol_fail(err, OLV_SHAPE, "input '%s' is %s, %s expected", v->name, found, ol_dtype_name(t->dtype));
    if (t->rank >= 0 && d->tensor.rank != t->rank)
        return ol_fail(err, OLV_SHAPE, "input '%s' is %s, rank %d expected", v->name, found, t->rank);
    for (int i = 0; i < t->rank; i++)
        if (ol_dim_known(t->dims[i]) && t->dims[i] != d->tensor.dims[i])
            return ol_fail(err, OLV_SHAPE, "input '%s' is %s, %lld expected in dimension %d", v->name, found,
                           (long long)t->dims[i], i);
    return OLV_OK;
}

static olv_status give_inputs(frame *f, const char *const *names, const ol_datum *inputs, size_t n, olv_error *err) {
    for (size_t i = 0; i < n; i++) {
        const ol_value *v = ol_graph_find_value(f->g, names[i]);
        if (!v || !v->is_input) return ol_fail(err, OLV_ARG, "the graph has no input '%s'", names[i]);
        OL_TRY(check_input(v, &inputs[i], err));
        f->given[v->id] = &inputs[i];
    }
    for (int i = 0; i < f->g->n_inputs; i++) {
        const ol_value *v = f->g->inputs[i];
        if (!f->given[v->id] && !v->constant && v->n_uses > 0)
            return ol_fail(err, OLV_ARG, "input '%s' is not given", v->name);
    }
    return OLV_OK;
}

olv_status ol_reference_step(ol_reference *r, const ol_reference_rows *rows, const char *const *names,
                             const ol_datum *inputs, size_t n, ol_datum *outputs, olv_error *err) {
    ol_reference_access a;
    frame f;
    OL_TRY(ol_reference_access_init(&a, &r->state, r->g, rows, names, inputs, n, err));
    olv_status s = frame_init(&f, r->g, NULL, a.used ? &a.access : NULL, err);
    if (s == OLV_OK) {
        s = give_inputs(&f, names, inputs, n, err);
        if (s == OLV_OK) s = run_graph(&f, outputs, err);
        frame_deinit(&f);
    }
    ol_reference_access_deinit(&a);
    return s;
}

olv_status ol_reference_run(const ol_graph *g, const ol_reference_rows *rows, const char *const *names,
                            const ol_datum *inputs, size_t n, ol_datum *outputs, olv_error *err) {
    ol_reference *r = NULL;
    OL_TRY(ol_reference_create(g, &r, err));
    olv_status s = ol_reference_step(r, rows, names, inputs, n, outputs, err);
    ol_reference_destroy(r);
    return s;
}
