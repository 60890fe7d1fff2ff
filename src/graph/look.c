/* SPDX-License-Identifier: Apache-2.0 */
/* Looking into graphs: names, attributes, uses. */
#include "base/map.h"
#include "graph/private.h"

const char *ol_graph_get_meta(const ol_graph *g, const char *key) {
    for (int i = 0; i < g->n_meta; i++)
        if (strcmp(g->meta_keys[i], key) == 0) return g->meta_values[i];
    return NULL;
}

ol_value *ol_graph_find_value(const ol_graph *g, const char *name) {
    const uint64_t *v = ol_map_get(g->name_map, ol_str_of(name));
    return v ? (ol_value *)(uintptr_t)*v : NULL;
}

static int find_port(const ol_graph *g, ol_value *const *ports, int n, const char *name) {
    for (int i = 0; i < n; i++)
        if (!strcmp(ports[i]->name, name)) return i;
    for (int k = 0; k < g->n_meta; k++)
        if (!strncmp(g->meta_keys[k], OL_ALIAS, strlen(OL_ALIAS)) && !strcmp(g->meta_keys[k] + strlen(OL_ALIAS), name))
            for (int i = 0; i < n; i++)
                if (!strcmp(ports[i]->name, g->meta_values[k])) return i;
    return -1;
}

int ol_graph_find_input(const ol_graph *g, const char *name) { return find_port(g, g->inputs, g->n_inputs, name); }
int ol_graph_find_output(const ol_graph *g, const char *name) { return find_port(g, g->outputs, g->n_outputs, name); }

const ol_attr *ol_node_attr(const ol_node *n, const char *name) {
    for (int i = 0; i < n->n_attrs; i++)
        if (strcmp(n->attrs[i].name, name) == 0) return &n->attrs[i];
    return NULL;
}

int64_t ol_node_int(const ol_node *n, const char *name, int64_t def) {
    const ol_attr *a = ol_node_attr(n, name);
    return a && a->type == OL_ATTR_INT ? a->v.i : def;
}

float ol_node_float(const ol_node *n, const char *name, float def) {
    const ol_attr *a = ol_node_attr(n, name);
    return a && a->type == OL_ATTR_FLOAT ? a->v.f : def;
}

ol_str ol_node_string(const ol_node *n, const char *name, const char *def) {
    const ol_attr *a = ol_node_attr(n, name);
    return a && a->type == OL_ATTR_STRING ? a->v.s : ol_str_of(def);
}

const int64_t *ol_node_ints(const ol_node *n, const char *name, size_t *count) {
    const ol_attr *a = ol_node_attr(n, name);
    bool has = a && a->type == OL_ATTR_INTS;
    *count = has ? a->count : 0;
    return has ? a->v.ints : NULL;
}

ol_attr ol_attr_int(const char *name, int64_t v) {
    return (ol_attr){.name = name, .type = OL_ATTR_INT, .count = 1, .v.i = v};
}

ol_attr ol_attr_float(const char *name, float v) {
    return (ol_attr){.name = name, .type = OL_ATTR_FLOAT, .count = 1, .v.f = v};
}

ol_attr ol_attr_string(const char *name, const char *v) {
    return (ol_attr){.name = name, .type = OL_ATTR_STRING, .count = 1, .v.s = ol_str_of(v)};
}

ol_attr ol_attr_ints(const char *name, const int64_t *v, size_t n) {
    return (ol_attr){.name = name, .type = OL_ATTR_INTS, .count = n, .v.ints = v};
}

typedef struct use_walk {
    const ol_value *v;
    bool (*fn)(void *ctx, ol_node *user, int input);
    void *ctx;
    int left; /* uses not yet seen */
} use_walk;

/* Visits uses in the nodes from n on, then among the outputs of g; false when fn stopped or all were seen. */
static bool walk_uses(use_walk *w, ol_graph *g, ol_node *n) {
    for (ol_node *next; n; n = next) {
        next = n->next;
        for (int i = 0; i < n->n_inputs; i++) {
            if (n->inputs[i] != w->v) continue;
            w->left--;
            if (!w->fn(w->ctx, n, i) || w->left <= 0) return false;
        }
        ol_graph *sub;
        OL_EACH_SUBGRAPH(n, sub) {
            if (!walk_uses(w, sub, sub->first)) return false;
        }
    }
    for (int i = 0; i < g->n_outputs; i++) {
        if (g->outputs[i] != w->v) continue;
        w->left--;
        if (!w->fn(w->ctx, NULL, -1 - i) || w->left <= 0) return false;
    }
    return true;
}

void ol_value_each_use(const ol_value *v, bool (*fn)(void *ctx, ol_node *user, int input), void *ctx) {
    if (v->n_uses <= 0) return;
    use_walk w = {v, fn, ctx, v->n_uses};
    walk_uses(&w, v->graph, v->producer ? v->producer->next : v->graph->first);
}

static bool keep_user(void *ctx, ol_node *user, int input) {
    (void)input;
    *(ol_node **)ctx = user;
    return false;
}

ol_node *ol_value_only_user(const ol_value *v) {
    ol_node *user = NULL;
    if (v->n_uses == 1) ol_value_each_use(v, keep_user, &user);
    return user;
}

bool ol_value_const_tensor(const ol_value *v, size_t max_bytes, ol_tensor *out) {
    return v && v->constant && !v->is_input && ol_const_materialize(v->constant, max_bytes, out, NULL) == OLV_OK;
}

uint64_t ol_graph_weight_bytes(const ol_graph *g, uint64_t *elements) {
    uint64_t bytes = 0, all = 0;
    for (int i = 0; i < g->n_values; i++) {
        const ol_value *v = g->values[i];
        if (!v || !v->constant || v->n_uses == 0) continue;
        const ol_const *c = v->constant;
        if (ol_const_rank(c) < 1 || ol_dtype_class(ol_const_dtype(c)) != 'f') continue;
        uint64_t n = (uint64_t)ol_const_rows(c) * (uint64_t)ol_const_width(c);
        const ol_qconst *q = ol_const_quant_form(c);
        all += n;
        if (!q) bytes += n * (uint64_t)ol_dtype_bits(ol_const_dtype(c)) / 8;
        else bytes += (uint64_t)q->rows * (q->row_bytes + (uint64_t)q->n_groups * (uint64_t)ol_dtype_bits(q->scale_dtype) / 8 + q->zero_row_bytes);
    }
    if (elements) *elements = all;
    return bytes;
}
