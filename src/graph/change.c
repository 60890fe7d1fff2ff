/* SPDX-License-Identifier: Apache-2.0 */
/* Changing graphs: rewiring, removal, sorting. */
#include "base/alloc.h"
#include "base/error.h"
#include "base/map.h"
#include "graph/private.h"

void ol_node_set_input(ol_node *n, int index, ol_value *v) {
    if (n->inputs[index]) n->inputs[index]->n_uses--;
    n->inputs[index] = v;
    if (v) v->n_uses++;
}

static void replace_in(ol_graph *g, ol_value *old, ol_value *with) {
    for (ol_node *n = g->first; n && old->n_uses > 0; n = n->next) {
        for (int i = 0; i < n->n_inputs; i++)
            if (n->inputs[i] == old) ol_node_set_input(n, i, with);
        ol_graph *sub;
        OL_EACH_SUBGRAPH(n, sub) replace_in(sub, old, with);
    }
    for (int i = 0; i < g->n_outputs; i++) {
        if (g->outputs[i] != old) continue;
        old->n_uses--;
        with->n_uses++;
        g->outputs[i] = with;
    }
}

void ol_value_replace_uses(ol_value *old, ol_value *with) {
    if (old != with && old->n_uses > 0) replace_in(old->graph, old, with);
}

static void unlink_node(ol_graph *g, ol_node *n) {
    if (n->prev) n->prev->next = n->next;
    else g->first = n->next;
    if (n->next) n->next->prev = n->prev;
    else g->last = n->prev;
    g->n_nodes--;
}

void ol_graph_remove_node(ol_graph *g, ol_node *n) {
    unlink_node(g, n);
    for (int i = n->n_outputs - 1; i >= 0; i--)
        if (n->outputs[i]) ol_value_drop(n->outputs[i]);
    n->n_outputs = 0;
    ol_node_release(n);
}

void ol_graph_renumber(ol_graph *g) {
    int id = 0;
    for (ol_node *n = g->first; n; n = n->next) n->id = id++;
}

static bool has_uses(const ol_node *n) {
    for (int i = 0; i < n->n_outputs; i++)
        if (n->outputs[i] && n->outputs[i]->n_uses > 0) return true;
    return false;
}

/* Operators that append to a state have an effect even when nobody reads their output. */
static bool has_effect(const ol_node *n) { return ol_node_attr(n, "state") != NULL; }

static void prune_constants(ol_graph *g) {
    for (int i = g->n_values - 1; i >= 0; i--) {
        ol_value *v = g->values[i];
        if (!v->producer && !v->is_input && v->n_uses == 0) ol_value_drop(v);
    }
}

void ol_graph_prune(ol_graph *g) {
    for (ol_node *n = g->last, *prev; n; n = prev) {
        prev = n->prev;
        ol_graph *sub;
        if (has_uses(n) || has_effect(n)) {
            OL_EACH_SUBGRAPH(n, sub) ol_graph_prune(sub);
        } else {
            ol_graph_remove_node(g, n);
        }
    }
    prune_constants(g);
    ol_graph_renumber(g);
}

typedef struct sorter {
    ol_node **nodes; /* in the original order */
    int *pending;    /* producers in this graph not yet placed, by original position */
    int *heads;      /* first consumer edge of each node, -1 none */
    int *edge_to, *edge_next;
    int n_edges, cap_edges;
    int *heap; /* ready nodes, smallest position first: keeps the sort stable */
    int n_heap;
} sorter;

static void sorter_free(sorter *s) {
    ol_free(s->nodes);
    ol_free(s->pending);
    ol_free(s->heads);
    ol_free(s->edge_to);
    ol_free(s->edge_next);
    ol_free(s->heap);
}

static bool add_edge(sorter *s, int from, int to) {
    if (s->n_edges == s->cap_edges) {
        int cap = s->cap_edges ? s->cap_edges * 2 : 64;
        int *a = ol_realloc(s->edge_to, (size_t)cap * sizeof *a);
        if (!a) return false;
        s->edge_to = a;
        int *b = ol_realloc(s->edge_next, (size_t)cap * sizeof *b);
        if (!b) return false;
        s->edge_next = b;
        s->cap_edges = cap;
    }
    s->edge_to[s->n_edges] = to;
    s->edge_next[s->n_edges] = s->heads[from];
    s->heads[from] = s->n_edges++;
    s->pending[to]++;
    return true;
}

/* Edges from the producers in g of all that n reads, subgraphs included, to node number `to`. */
static bool add_edges(sorter *s, ol_graph *g, const ol_node *n, int to) {
    for (int i = 0; i < n->n_inputs; i++) {
        const ol_value *v = n->inputs[i];
        if (v && v->producer && v->graph == g && !add_edge(s, v->producer->id, to)) return false;
    }
    ol_graph *sub;
    OL_EACH_SUBGRAPH(n, sub) {
        for (const ol_node *m = sub->first; m; m = m->next)
            if (!add_edges(s, g, m, to)) return false;
        for (int i = 0; i < sub->n_outputs; i++) {
            const ol_value *v = sub->outputs[i];
            if (v->graph == g && v->producer && !add_edge(s, v->producer->id, to)) return false;
        }
    }
    return true;
}

static void heap_push(sorter *s, int v) {
    int i = s->n_heap++;
    for (; i > 0 && s->heap[(i - 1) / 2] > v; i = (i - 1) / 2) s->heap[i] = s->heap[(i - 1) / 2];
    s->heap[i] = v;
}

static int heap_pop(sorter *s) {
    int top = s->heap[0], v = s->heap[--s->n_heap], i = 0;
    for (int c; (c = 2 * i + 1) < s->n_heap; i = c) {
        if (c + 1 < s->n_heap && s->heap[c + 1] < s->heap[c]) c++;
        if (s->heap[c] >= v) break;
        s->heap[i] = s->heap[c];
    }
    s->heap[i] = v;
    return top;
}

static olv_status sort_nodes(ol_graph *g, sorter *s, olv_error *err) {
    int count = 0, placed = 0;
    for (ol_node *n = g->first; n; n = n->next) s->nodes[count++] = n;
    ol_graph_renumber(g);
    for (int i = 0; i < count; i++) s->heads[i] = -1;
    for (int i = 0; i < count; i++)
        if (!add_edges(s, g, s->nodes[i], i)) return ol_fail(err, OLV_NOMEM, "no memory to sort a graph");
    for (int i = 0; i < count; i++)
        if (s->pending[i] == 0) heap_push(s, i);
    ol_node *last = NULL;
    ol_node *first = NULL;
    while (s->n_heap) {
        int i = heap_pop(s);
        ol_node *n = s->nodes[i];
        s->pending[i] = -1;
        n->prev = last;
        if (last) last->next = n;
        else first = n;
        last = n;
        placed++;
        for (int e = s->heads[i]; e >= 0; e = s->edge_next[e])
            if (--s->pending[s->edge_to[e]] == 0) heap_push(s, s->edge_to[e]);
    }
    if (placed == count) {
        if (last) last->next = NULL;
        g->first = first;
        g->last = last;
        ol_graph_renumber(g);
        return OLV_OK;
    }
    for (int i = 0; i < count; i++) { /* restore the order */
        s->nodes[i]->prev = i ? s->nodes[i - 1] : NULL;
        s->nodes[i]->next = i + 1 < count ? s->nodes[i + 1] : NULL;
    }
    int bad = 0;
    while (s->pending[bad] <= 0) bad++;
    return ol_fail(err, OLV_FORMAT, "node '%.200s' (%s) is on a cycle", s->nodes[bad]->name, s->nodes[bad]->op->name);
}

olv_status ol_graph_sort(ol_graph *g, olv_error *err) {
    size_t n = (size_t)g->n_nodes + 1;
    sorter s = {ol_calloc(n, sizeof *s.nodes), ol_calloc(n, sizeof *s.pending), ol_calloc(n, sizeof *s.heads),
                NULL, NULL, 0, 0, ol_calloc(n, sizeof *s.heap), 0};
    olv_status st = s.nodes && s.pending && s.heads && s.heap
                        ? sort_nodes(g, &s, err)
                        : ol_fail(err, OLV_NOMEM, "no memory to sort a graph");
    sorter_free(&s);
    return st;
}

void ol_value_drop_default(ol_value *v) {
    if (!v->is_input || !v->constant) return;
    ol_const_release(v->constant);
    v->constant = NULL;
}

void ol_value_supersede(ol_value *old, ol_value *with) {
    ol_graph *g = old->graph;
    bool output = false;
    for (int i = 0; i < g->n_outputs; i++) output |= g->outputs[i] == old;
    ol_value_replace_uses(old, with);
    if (!output) return;
    const char *name = old->name;
    old->name = with->name;
    with->name = name;
    ol_map_put(g->name_map, ol_str_of(old->name), (uint64_t)(uintptr_t)old); /* both replace: they cannot fail */
    ol_map_put(g->name_map, ol_str_of(with->name), (uint64_t)(uintptr_t)with);
}
