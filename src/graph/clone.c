/* SPDX-License-Identifier: Apache-2.0 */
/* Copies of graphs. Values are found again by their graph and id; dims of inputs move to the new table by their text. */
#include "base/alloc.h"
#include "base/error.h"
#include "graph/private.h"

/* The copies of the values of one graph, and of the graphs around it. */
typedef struct scope {
    const ol_graph *from;
    ol_graph *to;
    ol_value **copies; /* by id in `from` */
    const struct scope *outer;
} scope;

static ol_value *copy_of(const scope *s, const ol_value *v) {
    while (s && s->from != v->graph) s = s->outer;
    return s ? s->copies[v->id] : NULL;
}

static ol_dim copy_dim(const ol_dim_table *from, ol_dim_table *to, ol_dim d) {
    char text[1024];
    if (ol_dim_known(d)) return d;
    ol_dim_format(from, d, text, sizeof text);
    ol_dim r = ol_dim_parse(to, text, strlen(text));
    return r == OL_DIM_NONE ? ol_dim_fresh(to, "d") : r;
}

static ol_type copy_type(const scope *s, const ol_type *t) {
    ol_type r = *t;
    for (int i = 0; i < t->rank; i++) r.dims[i] = copy_dim(s->from->dims, s->to->dims, t->dims[i]);
    return r;
}

static olv_status copy_graph(scope *s, const ol_type *input_types, olv_error *err);

static olv_status copy_subgraph(const scope *s, const ol_graph *g, ol_graph **out, olv_error *err) {
    scope inner = {g, ol_graph_create_sub(s->to, g->name), NULL, s};
    if (!inner.to) return ol_fail(err, OLV_NOMEM, "no memory to copy a graph");
    *out = inner.to;
    return copy_graph(&inner, NULL, err);
}

/* Attributes hold graphs and types of the old graph; *a gets those of the new one. Lists are the arena's. */
static olv_status copy_attr(const scope *s, ol_attr *a, olv_error *err) {
    if (a->type == OL_ATTR_TYPE) {
        ol_type *t = ol_arena_alloc(s->to->arena, sizeof *t);
        if (!t) return ol_fail(err, OLV_NOMEM, "no memory to copy a graph");
        *t = copy_type(s, a->v.type_proto);
        a->v.type_proto = t;
    } else if (a->type == OL_ATTR_GRAPH) {
        return copy_subgraph(s, a->v.graph, &a->v.graph, err);
    } else if (a->type == OL_ATTR_GRAPHS) {
        ol_graph **list = ol_arena_calloc(s->to->arena, a->count + 1, sizeof *list);
        if (!list) return ol_fail(err, OLV_NOMEM, "no memory to copy a graph");
        for (size_t i = 0; i < a->count; i++) OL_TRY(copy_subgraph(s, a->v.graphs[i], &list[i], err));
        a->v.graphs = list;
    }
    return OLV_OK;
}

static olv_status copy_node(scope *s, const ol_node *n, olv_error *err) {
    ol_arena *a = s->to->arena;
    ol_value **in = ol_arena_calloc(a, (size_t)n->n_inputs + 1, sizeof *in);
    const char **names = ol_arena_calloc(a, (size_t)n->n_outputs + 1, sizeof *names);
    ol_attr *attrs = ol_arena_calloc(a, (size_t)n->n_attrs + 1, sizeof *attrs);
    if (!in || !names || !attrs) return ol_fail(err, OLV_NOMEM, "no memory to copy a graph");
    for (int i = 0; i < n->n_inputs; i++) in[i] = n->inputs[i] ? copy_of(s, n->inputs[i]) : NULL;
    for (int i = 0; i < n->n_outputs; i++) names[i] = n->outputs[i] ? n->outputs[i]->name : "";
    for (int i = 0; i < n->n_attrs; i++) {
        attrs[i] = n->attrs[i];
        OL_TRY(copy_attr(s, &attrs[i], err));
    }
    olv_error own = {.status = OLV_OK};
    ol_node *m = ol_graph_add_node(s->to, NULL, n->op, n->name, in, n->n_inputs, names, n->n_outputs, attrs, n->n_attrs, &own);
    if (!m) {
        if (err) *err = own;
        return own.status;
    }
    for (int i = 0; i < n->n_outputs; i++)
        if (n->outputs[i]) s->copies[n->outputs[i]->id] = m->outputs[i];
    return OLV_OK;
}

static olv_status copy_sources(scope *s, const ol_type *input_types, olv_error *err) {
    const ol_graph *g = s->from;
    for (int i = 0; i < g->n_inputs; i++) {
        const ol_value *v = g->inputs[i];
        ol_type t = copy_type(s, input_types ? &input_types[i] : &v->type);
        ol_value *c = ol_graph_add_input(s->to, v->name, &t, err);
        if (!c) return err ? err->status : OLV_NOMEM;
        if (v->constant) c->constant = ol_const_retain(v->constant);
        s->copies[v->id] = c;
    }
    for (int i = 0; i < g->n_values; i++) {
        const ol_value *v = g->values[i];
        if (!v->constant || v->is_input) continue;
        ol_value *c = ol_graph_add_constant(s->to, v->name, ol_const_retain(v->constant), err);
        if (!c) return err ? err->status : OLV_NOMEM;
        s->copies[v->id] = c;
    }
    return OLV_OK;
}

static olv_status copy_graph(scope *s, const ol_type *input_types, olv_error *err) {
    const ol_graph *g = s->from;
    s->copies = ol_calloc((size_t)g->n_values + 1, sizeof *s->copies);
    olv_status st = s->copies ? copy_sources(s, input_types, err) : ol_fail(err, OLV_NOMEM, "no memory to copy a graph");
    for (const ol_node *n = g->first; n && st == OLV_OK; n = n->next) st = copy_node(s, n, err);
    for (int i = 0; i < g->n_outputs && st == OLV_OK; i++) st = ol_graph_add_output(s->to, copy_of(s, g->outputs[i]), err);
    ol_free(s->copies);
    return st;
}

olv_status ol_graph_clone(const ol_graph *g, const ol_type *input_types, ol_graph **out, olv_error *err) {
    olv_error own = {.status = OLV_OK};
    scope s = {g, ol_graph_create(g->name), NULL, NULL};
    if (!s.to) return ol_fail(err, OLV_NOMEM, "no memory to copy a graph");
    olv_status st = OLV_OK;
    for (int i = 0; i < g->n_states && st == OLV_OK; i++)
        if (ol_graph_add_state(s.to, &g->states[i]) < 0) st = ol_fail(&own, OLV_NOMEM, "no memory to copy a graph");
    for (int i = 0; i < g->n_meta && st == OLV_OK; i++) st = ol_graph_set_meta(s.to, g->meta_keys[i], g->meta_values[i], &own);
    if (st == OLV_OK) st = copy_graph(&s, input_types, &own);
    if (st != OLV_OK) {
        ol_graph_destroy(s.to);
        if (err) *err = own;
        return st;
    }
    *out = s.to;
    return OLV_OK;
}
