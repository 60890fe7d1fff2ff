/* SPDX-License-Identifier: Apache-2.0 */
/* Checks of every invariant that graph.h names. */
#include "base/alloc.h"
#include "base/error.h"
#include "graph/private.h"

#define MAX_SUBGRAPH_DEPTH 64

static const ol_attr_spec *find_spec(const ol_op *op, const char *name) {
    for (int i = 0; i < op->n_attrs; i++)
        if (!strcmp(op->attrs[i].name, name)) return &op->attrs[i];
    return NULL;
}

static olv_status check_count(const char *what, int found, int min, int max, olv_error *err) {
    if (found >= min && (max < 0 || found <= max)) return OLV_OK;
    if (max < 0) return ol_fail(err, OLV_FORMAT, "%d %s found, at least %d expected", found, what, min);
    return ol_fail(err, OLV_FORMAT, "%d %s found, %d to %d expected", found, what, min, max);
}

olv_status ol_node_check_form(const ol_node *n, bool strict, olv_error *err) {
    const ol_op *op = n->op;
    OL_TRY(check_count("inputs", n->n_inputs, op->min_inputs, op->max_inputs, err));
    OL_TRY(check_count("outputs", n->n_outputs, op->min_outputs, op->max_outputs, err));
    for (int i = 0; i < op->min_inputs; i++)
        if (!n->inputs[i]) return ol_fail(err, OLV_FORMAT, "required input %d is missing", i);
    for (int i = 0; i < n->n_attrs; i++) {
        const ol_attr *a = &n->attrs[i];
        const ol_attr_spec *s = find_spec(op, a->name);
        if (!s && strict && op->n_attrs >= 0) return ol_fail(err, OLV_FORMAT, "unknown attribute '%.200s'", a->name);
        if (s && s->type != a->type)
            return ol_fail(err, OLV_FORMAT, "attribute '%.200s' is of type %d, %d expected", a->name, (int)a->type,
                           (int)s->type);
        for (int j = 0; j < i; j++)
            if (!strcmp(n->attrs[j].name, a->name))
                return ol_fail(err, OLV_FORMAT, "attribute '%.200s' is given twice", a->name);
    }
    for (int i = 0; i < op->n_attrs; i++)
        if (op->attrs[i].required && !ol_node_attr(n, op->attrs[i].name))
            return ol_fail(err, OLV_FORMAT, "attribute '%s' is missing", op->attrs[i].name);
    return OLV_OK;
}

typedef struct verifier {
    ol_graph *root;
    int depth;
} verifier;

/* True when v can be read by a node of graph g placed after node `at` (NULL: at the end). The ids of nodes are fresh. */
static bool is_visible(const ol_graph *g, const ol_value *v, const ol_node *at) {
    const ol_graph *holder = g;
    while (holder && holder != v->graph) holder = holder->parent;
    if (!holder || v->id < 0 || v->id >= holder->n_values || holder->values[v->id] != v) return false;
    return holder != g || !v->producer || !at || v->producer->id < at->id;
}

static olv_status check_values(const ol_graph *g, olv_error *err) {
    for (int i = 0; i < g->n_values; i++) {
        const ol_value *v = g->values[i];
        if (v->id != i || v->graph != g) return ol_fail(err, OLV_INTERNAL, "value '%s' has a wrong id", v->name);
        if (ol_graph_find_value(g, v->name) != v)
            return ol_fail(err, OLV_INTERNAL, "value '%s' is not found by its name", v->name);
        if (!v->producer == !(v->is_input || v->constant))
            return ol_fail(err, OLV_INTERNAL, "value '%s' has not exactly one source", v->name);
        if (v->producer && v->producer->outputs[v->output_index] != v)
            return ol_fail(err, OLV_INTERNAL, "value '%s' is not an output of its producer", v->name);
    }
    return OLV_OK;
}

static bool same_dims(const ol_type *a, const ol_type *b) {
    for (int i = 0; i < a->rank; i++)
        if (a->dims[i] >= 0 && b->dims[i] >= 0 && a->dims[i] != b->dims[i]) return false;
    return true;
}

static olv_status check_types(ol_node *n, olv_error *err) {
    ol_type *types = ol_calloc((size_t)n->n_outputs + 1, sizeof *types);
    if (!types) return ol_fail(err, OLV_NOMEM, "no memory to check types");
    olv_status s = ol_node_infer(n, types, err);
    for (int i = 0; s == OLV_OK && i < n->n_outputs; i++) {
        if (!n->outputs[i]) continue;
        const ol_type *have = &n->outputs[i]->type, *want = &types[i];
        if (want->dtype != OL_DTYPE_NONE && have->dtype != OL_DTYPE_NONE && have->dtype != want->dtype)
            s = ol_fail(err, OLV_SHAPE, "output %d is marked %s, %s inferred", i, ol_dtype_name(have->dtype),
                        ol_dtype_name(want->dtype));
        else if (want->rank >= 0 && have->rank >= 0 && (have->rank != want->rank || !same_dims(have, want)))
            s = ol_fail(err, OLV_SHAPE, "output %d is marked with another shape than inferred", i);
    }
    ol_free(types);
    return s;
}

static olv_status verify_graph(verifier *w, ol_graph *g, olv_error *err);

static olv_status check_node(verifier *w, ol_node *n, olv_error *err) {
    OL_TRY(ol_node_check_form(n, true, err));
    for (int i = 0; i < n->n_inputs; i++)
        if (n->inputs[i] && !is_visible(n->graph, n->inputs[i], n))
            return ol_fail(err, OLV_FORMAT, "input '%.200s' is not defined before its use", n->inputs[i]->name);
    const ol_attr *state = ol_node_attr(n, "state");
    if (state && (state->v.i < 0 || state->v.i >= w->root->n_states))
        return ol_fail(err, OLV_FORMAT, "state %lld found, the graph has %d", (long long)state->v.i,
                       w->root->n_states);
    ol_graph *sub;
    OL_EACH_SUBGRAPH(n, sub) OL_TRY(verify_graph(w, sub, err));
    return check_types(n, err);
}

static olv_status verify_graph(verifier *w, ol_graph *g, olv_error *err) {
    if (++w->depth > MAX_SUBGRAPH_DEPTH)
        return ol_fail(err, OLV_LIMIT, "more than %d graphs inside one another", MAX_SUBGRAPH_DEPTH);
    ol_graph_renumber(g);
    OL_TRY(check_values(g, err));
    int count = 0;
    for (ol_node *n = g->first; n; n = n->next, count++)
        if (check_node(w, n, err) != OLV_OK) return ol_error_at(err, "node '%.200s' (%s)", n->name, n->op->name);
    if (count != g->n_nodes) return ol_fail(err, OLV_INTERNAL, "%d nodes found, %d counted", count, g->n_nodes);
    for (int i = 0; i < g->n_outputs; i++)
        if (!is_visible(g, g->outputs[i], NULL))
            return ol_fail(err, OLV_FORMAT, "graph output '%.200s' is not defined", g->outputs[i]->name);
    w->depth--;
    return OLV_OK;
}

/* Counts uses into counts[id] of the values of `of`. */
static void count_uses(const ol_graph *g, const ol_graph *of, int *counts) {
    for (const ol_node *n = g->first; n; n = n->next) {
        for (int i = 0; i < n->n_inputs; i++)
            if (n->inputs[i] && n->inputs[i]->graph == of) counts[n->inputs[i]->id]++;
        ol_graph *sub;
        OL_EACH_SUBGRAPH(n, sub) count_uses(sub, of, counts);
    }
    for (int i = 0; i < g->n_outputs; i++)
        if (g->outputs[i]->graph == of) counts[g->outputs[i]->id]++;
}

olv_status ol_graph_verify(ol_graph *g, olv_error *err) {
    verifier w = {g, 0};
    while (w.root->parent) w.root = w.root->parent;
    OL_TRY(verify_graph(&w, g, err));
    int *counts = ol_calloc((size_t)g->n_values + 1, sizeof *counts);
    if (!counts) return ol_fail(err, OLV_NOMEM, "no memory to verify");
    count_uses(g, g, counts);
    olv_status s = OLV_OK;
    for (int i = 0; i < g->n_values && s == OLV_OK; i++)
        if (counts[i] != g->values[i]->n_uses)
            s = ol_fail(err, OLV_INTERNAL, "value '%s' has %d uses, %d counted", g->values[i]->name,
                        counts[i], g->values[i]->n_uses);
    ol_free(counts);
    return s;
}
