/* SPDX-License-Identifier: Apache-2.0 */
/* Nodes that give back their input: Identity, Cast to the same type, Dropout of inference, Transpose that moves nothing,
 * Reshape to the same known shape, Concat of one. A graph output keeps its name: the node that carries it stays when its
 * input is a graph input or a constant, or is an output itself. */
#include "passes/passes.h"

static bool same_shape(const ol_type *a, const ol_type *b) {
    if (a->rank < 0 || a->rank != b->rank) return false;
    for (int i = 0; i < a->rank; i++)
        if (a->dims[i] != b->dims[i]) return false;
    return true;
}

static bool moves_nothing(const ol_node *n) {
    size_t count;
    const int64_t *perm = ol_node_ints(n, "perm", &count);
    if (!perm) return n->inputs[0]->type.rank >= 0 && n->inputs[0]->type.rank < 2;
    for (size_t i = 0; i < count; i++)
        if (perm[i] != (int64_t)i) return false;
    return true;
}

static bool is_identity(const ol_node *n) {
    if (n->op->domain[0] || n->n_inputs < 1 || !n->inputs[0] || n->n_outputs < 1 || !n->outputs[0]) return false;
    const ol_type *x = &n->inputs[0]->type, *y = &n->outputs[0]->type;
    const char *op = n->op->name;
    if (!strcmp(op, "Identity")) return true;
    if (!strcmp(op, "Cast")) return x->dtype != OL_DTYPE_NONE && x->dtype == y->dtype;
    if (!strcmp(op, "Transpose")) return moves_nothing(n);
    if (!strcmp(op, "Concat")) return n->n_inputs == 1;
    if (!strcmp(op, "Reshape") || !strcmp(op, "Expand") || !strcmp(op, "Flatten")) return same_shape(x, y);
    if (!strcmp(op, "Dropout")) return n->n_outputs == 1 && (n->n_inputs < 3 || !n->inputs[2]);
    return false;
}

static bool is_output(const ol_value *v) {
    for (int i = 0; i < v->graph->n_outputs; i++)
        if (v->graph->outputs[i] == v) return true;
    return false;
}

static olv_status visit(ol_graph *g, bool *changed) {
    for (ol_node *n = g->first, *next; n; n = next) {
        next = n->next;
        for (int i = 0; i < n->n_attrs; i++)
            if (n->attrs[i].type == OL_ATTR_GRAPH) visit(n->attrs[i].v.graph, changed);
        if (!is_identity(n) || is_output(n->outputs[0]) || n->inputs[0]->type.kind != n->outputs[0]->type.kind) continue;
        ol_value_replace_uses(n->outputs[0], n->inputs[0]);
        ol_graph_remove_node(g, n);
        *changed = true;
    }
    return OLV_OK;
}

static olv_status run(ol_graph *g, bool *changed, olv_error *err) {
    (void)err;
    return visit(g, changed);
}

extern const ol_pass ol_pass_remove_identities;
const ol_pass ol_pass_remove_identities = {"remove-identities", "bypasses nodes that give back their input", run};
