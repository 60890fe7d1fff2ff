/* SPDX-License-Identifier: Apache-2.0 */
/* Making graphs: values, nodes, states, metadata. */
#include "graph/graph.h"
#include "base/alloc.h"
#include "base/checked.h"
#include "base/error.h"
#include "base/map.h"
#include "graph/private.h"
#include <stdio.h>

static bool grow(ol_arena *a, void *list, int count, int *cap, size_t each) {
    if (count < *cap) return true;
    int more = *cap ? *cap * 2 : 8;
    void *p = ol_arena_calloc(a, (size_t)more, each);
    if (!p) return false;
    if (count) memcpy(p, *(void **)list, (size_t)count * each);
    *(void **)list = p;
    *cap = more;
    return true;
}

static bool make_name_map(ol_graph *g) {
    ol_map *m = ol_calloc(1, sizeof *m);
    if (!m) return false;
    ol_map_init(m);
    g->name_map = m;
    return true;
}

ol_graph *ol_graph_create(const char *name) {
    ol_arena *a = ol_arena_create();
    ol_dim_table *d = ol_dim_table_create();
    ol_graph *g = a && d ? ol_arena_calloc(a, 1, sizeof *g) : NULL;
    if (g) g->name = ol_arena_strdup(a, name ? name : "");
    if (!g || !g->name || !make_name_map(g)) {
        if (d) ol_dim_table_destroy(d);
        if (a) ol_arena_destroy(a);
        return NULL;
    }
    g->arena = a;
    g->dims = d;
    return g;
}

static ol_graph *root_of(ol_graph *g) {
    while (g->parent) g = g->parent;
    return g;
}

ol_graph *ol_graph_create_sub(ol_graph *parent, const char *name) {
    ol_graph *g = ol_arena_calloc(parent->arena, 1, sizeof *g);
    if (!g || !(g->name = ol_arena_strdup(parent->arena, name ? name : "")) || !make_name_map(g)) return NULL;
    ol_graph *root = root_of(parent);
    g->arena = parent->arena;
    g->dims = parent->dims;
    g->parent = parent;
    g->next_sub = root->next_sub;
    root->next_sub = g;
    return g;
}

static void release_attr_constants(ol_attr *a) {
    if (a->type == OL_ATTR_TENSOR && a->v.tensor) {
        ol_const_release(a->v.tensor);
        a->v.tensor = NULL;
    } else if (a->type == OL_ATTR_TENSORS) {
        for (size_t i = 0; i < a->count; i++) ol_const_release(a->v.tensors[i]);
        a->count = 0;
    }
}

static void release_contents(ol_graph *g) {
    for (ol_node *n = g->first; n; n = n->next)
        for (int i = 0; i < n->n_attrs; i++) release_attr_constants(&n->attrs[i]);
    for (int i = 0; i < g->n_values; i++)
        if (g->values[i]->constant) ol_const_release(g->values[i]->constant);
    if (g->name_map) {
        ol_map_deinit(g->name_map);
        ol_free(g->name_map);
    }
}

void ol_graph_destroy(ol_graph *g) {
    if (!g) return;
    for (ol_graph *s = g->next_sub; s; s = s->next_sub) release_contents(s);
    release_contents(g);
    ol_dim_table *d = g->dims;
    ol_arena *a = g->arena;
    ol_dim_table_destroy(d);
    ol_arena_destroy(a);
}

static bool name_in_use(const ol_graph *g, const char *name) {
    const uint64_t *v = ol_map_get(g->name_map, ol_str_of(name));
    return v && *v;
}

const char *ol_graph_fresh_name(ol_graph *g, const char *prefix) {
    for (;;) {
        const char *s = ol_arena_printf(g->arena, "%s_%llu", prefix, (unsigned long long)g->name_counter++);
        if (!s) return NULL;
        bool used = false;
        for (const ol_graph *o = g; o && !used; o = o->parent) used = name_in_use(o, s);
        if (!used) return s;
    }
}

ol_value *ol_value_new(ol_graph *g, const char *name, olv_error *err) {
    const char *own = name ? ol_arena_strdup(g->arena, name) : ol_graph_fresh_name(g, "v");
    if (own && name && name_in_use(g, name)) {
        ol_fail(err, OLV_FORMAT, "value name '%.200s' is taken", name);
        return NULL;
    }
    ol_value *v = own ? ol_arena_calloc(g->arena, 1, sizeof *v) : NULL;
    if (!v || !grow(g->arena, &g->values, g->n_values, &g->cap_values, sizeof *g->values) ||
        ol_map_put(g->name_map, ol_str_of(own), (uint64_t)(uintptr_t)v) < 0) {
        ol_fail(err, OLV_NOMEM, "no memory for a value");
        return NULL;
    }
    v->name = own;
    v->type.rank = -1;
    v->graph = g;
    v->id = g->n_values;
    g->values[g->n_values++] = v;
    return v;
}

void ol_value_drop(ol_value *v) {
    ol_graph *g = v->graph;
    ol_map_put(g->name_map, ol_str_of(v->name), 0); /* replaces: cannot fail */
    ol_const_release(v->constant);
    v->constant = NULL;
    g->n_values--;
    memmove(g->values + v->id, g->values + v->id + 1, (size_t)(g->n_values - v->id) * sizeof *g->values);
    for (int i = v->id; i < g->n_values; i++) g->values[i]->id = i;
}

ol_value *ol_graph_add_input(ol_graph *g, const char *name, const ol_type *type, olv_error *err) {
    ol_value *v = ol_value_new(g, name, err);
    if (!v) return NULL;
    if (!grow(g->arena, &g->inputs, g->n_inputs, &g->cap_inputs, sizeof *g->inputs)) {
        ol_value_drop(v);
        ol_fail(err, OLV_NOMEM, "no memory for an input");
        return NULL;
    }
    v->is_input = true;
    v->type = *type;
    g->inputs[g->n_inputs++] = v;
    return v;
}

static void type_of_const(ol_type *t, const ol_const *c) {
    *t = (ol_type){.kind = OL_VALUE_TENSOR, .dtype = ol_const_dtype(c), .rank = ol_const_rank(c)};
    for (int i = 0; i < t->rank; i++) t->dims[i] = ol_const_dims(c)[i];
}

ol_value *ol_graph_add_constant(ol_graph *g, const char *name, ol_const *c, olv_error *err) {
    ol_value *v = ol_value_new(g, name, err);
    if (!v) {
        ol_const_release(c);
        return NULL;
    }
    v->constant = c;
    type_of_const(&v->type, c);
    return v;
}

void ol_value_set_constant(ol_value *v, ol_const *c) {
    ol_const_release(v->constant);
    v->constant = c;
    type_of_const(&v->type, c);
}

static ol_value *add_small(ol_graph *g, const char *name, ol_dtype dtype, const void *data, int n, olv_error *err) {
    int64_t dim = n;
    ol_tensor t;
    size_t bytes;
    if (!ol_dtype_bytes(dtype, n < 0 ? 1u : (uint64_t)n, &bytes) ||
        ol_tensor_view(&t, dtype, n < 0 ? 0 : 1, &dim, data, bytes, err) != OLV_OK)
        return NULL;
    ol_const *c = ol_const_tensor(&t, err);
    return c ? ol_graph_add_constant(g, name, c, err) : NULL;
}

ol_value *ol_graph_add_i64(ol_graph *g, const char *name, const int64_t *v, int n, olv_error *err) {
    return add_small(g, name, OL_I64, v, n, err);
}

ol_value *ol_graph_add_f32(ol_graph *g, const char *name, const float *v, int n, olv_error *err) {
    return add_small(g, name, OL_F32, v, n, err);
}

static bool copy_list(ol_arena *a, const void **list, size_t n, size_t each) {
    void *p = ol_arena_calloc(a, n ? n : 1, each);
    if (!p) return false;
    if (n) memcpy(p, *list, n * each);
    *list = p;
    return true;
}

static bool copy_str(ol_arena *a, ol_str *s) {
    s->ptr = ol_arena_strndup(a, s->ptr ? s->ptr : "", s->len);
    return s->ptr != NULL;
}

/* Makes the contents of *at the arena's own; references to constants are taken last, so that failure leaks none. */
static bool own_attr(ol_arena *a, ol_attr *at) {
    at->name = ol_arena_strdup(a, at->name);
    if (!at->name) return false;
    size_t n = at->count;
    switch (at->type) {
    case OL_ATTR_STRING: return copy_str(a, &at->v.s);
    case OL_ATTR_INTS: return copy_list(a, (const void **)&at->v.ints, n, sizeof(int64_t));
    case OL_ATTR_FLOATS: return copy_list(a, (const void **)&at->v.floats, n, sizeof(float));
    case OL_ATTR_GRAPHS: return copy_list(a, (const void **)&at->v.graphs, n, sizeof(ol_graph *));
    case OL_ATTR_TYPE: return copy_list(a, (const void **)&at->v.type_proto, 1, sizeof(ol_type));
    case OL_ATTR_STRINGS:
        if (!copy_list(a, (const void **)&at->v.strings, n, sizeof(ol_str))) return false;
        for (size_t i = 0; i < n; i++)
            if (!copy_str(a, (ol_str *)(uintptr_t)&at->v.strings[i])) return false;
        return true;
    case OL_ATTR_TENSORS:
        if (!copy_list(a, (const void **)&at->v.tensors, n, sizeof(ol_const *))) return false;
        for (size_t i = 0; i < n; i++) ol_const_retain(at->v.tensors[i]);
        return true;
    case OL_ATTR_TENSOR: ol_const_retain(at->v.tensor); return true;
    default: return true;
    }
}

static ol_node *new_node(ol_graph *g, const ol_op *op, const char *name, ol_value *const *inputs, int n_inputs,
                         int n_outputs, const ol_attr *attrs, int n_attrs) {
    ol_arena *a = g->arena;
    ol_node *n = ol_arena_calloc(a, 1, sizeof *n);
    if (!n) return NULL;
    n->op = op;
    n->graph = g;
    n->name = name && *name ? ol_arena_strdup(a, name)
                            : ol_arena_printf(a, "%s_%llu", op->name, (unsigned long long)g->name_counter++);
    n->inputs = ol_arena_calloc(a, (size_t)n_inputs + 1, sizeof *n->inputs);
    n->outputs = ol_arena_calloc(a, (size_t)n_outputs + 1, sizeof *n->outputs);
    n->attrs = ol_arena_calloc(a, (size_t)n_attrs + 1, sizeof *n->attrs);
    if (!n->name || !n->inputs || !n->outputs || !n->attrs) return NULL;
    n->n_inputs = n_inputs;
    n->n_outputs = n_outputs;
    for (int i = 0; i < n_inputs; i++)
        if ((n->inputs[i] = inputs[i])) inputs[i]->n_uses++;
    for (; n->n_attrs < n_attrs; n->n_attrs++) {
        n->attrs[n->n_attrs] = attrs[n->n_attrs];
        if (!own_attr(a, &n->attrs[n->n_attrs])) {
            ol_node_release(n);
            return NULL;
        }
    }
    return n;
}

/* Drops the uses that a dead subgraph makes of outer values, and its constants. */
static void release_subgraph(ol_graph *g) {
    for (ol_node *n = g->first; n; n = n->next) ol_node_release(n);
    for (int i = 0; i < g->n_outputs; i++) g->outputs[i]->n_uses--;
    g->n_outputs = 0;
    g->first = g->last = NULL;
    g->n_nodes = 0;
    for (int i = 0; i < g->n_values; i++) {
        ol_const_release(g->values[i]->constant);
        g->values[i]->constant = NULL;
    }
    g->n_values = 0;
}

void ol_node_release(ol_node *n) {
    ol_graph *sub;
    for (int i = 0; i < n->n_inputs; i++)
        if (n->inputs[i]) n->inputs[i]->n_uses--;
    n->n_inputs = 0;
    OL_EACH_SUBGRAPH(n, sub) release_subgraph(sub);
    for (int i = 0; i < n->n_attrs; i++) release_attr_constants(&n->attrs[i]);
    n->n_attrs = 0;
}

static void link_node(ol_graph *g, ol_node *n, ol_node *before) {
    n->next = before;
    n->prev = before ? before->prev : g->last;
    if (n->prev) n->prev->next = n;
    else g->first = n;
    if (before) before->prev = n;
    else g->last = n;
    n->id = before ? before->id : (n->prev ? n->prev->id + 1 : 0);
    g->n_nodes++;
}

static ol_value *add_result(ol_node *n, int i, const char *name, const ol_type *type, olv_error *err) {
    ol_value *v = ol_value_new(n->graph, name, err);
    if (!v) return NULL;
    v->type = *type;
    v->producer = n;
    v->output_index = i;
    return n->outputs[i] = v;
}

ol_node *ol_graph_add_node(ol_graph *g, ol_node *before, const ol_op *op, const char *name, ol_value *const *inputs,
                           int n_inputs, const char *const *output_names, int n_outputs, const ol_attr *attrs,
                           int n_attrs, olv_error *err) {
    if (!op) {
        ol_fail(err, OLV_UNSUPPORTED, "node '%s' without an operator", name ? name : "");
        return NULL;
    }
    ol_node *n = new_node(g, op, name, inputs, n_inputs, n_outputs, attrs, n_attrs);
    ol_type *types = n ? ol_calloc((size_t)n_outputs + 1, sizeof *types) : NULL;
    if (!types) {
        if (n) ol_node_release(n);
        ol_fail(err, OLV_NOMEM, "no memory for a node");
        return NULL;
    }
    bool ok = ol_node_check_form(n, false, err) == OLV_OK && ol_node_infer(n, types, err) == OLV_OK;
    if (!ok) ol_error_at(err, "node '%.200s' (%s)", n->name, op->name);
    for (int i = 0; ok && i < n_outputs; i++) {
        const char *out = output_names ? output_names[i] : NULL;
        if (out && !*out) continue;
        ok = add_result(n, i, out, &types[i], err) != NULL;
    }
    ol_free(types);
    if (!ok) {
        for (int i = n_outputs - 1; i >= 0; i--)
            if (n->outputs[i]) ol_value_drop(n->outputs[i]);
        ol_node_release(n);
        return NULL;
    }
    link_node(g, n, before);
    return n;
}

olv_status ol_graph_add_output(ol_graph *g, ol_value *v, olv_error *err) {
    if (!grow(g->arena, &g->outputs, g->n_outputs, &g->cap_outputs, sizeof *g->outputs))
        return ol_fail(err, OLV_NOMEM, "no memory for an output");
    g->outputs[g->n_outputs++] = v;
    v->n_uses++;
    return OLV_OK;
}

int ol_graph_add_state(ol_graph *g, const ol_state_decl *s) {
    const char *name = ol_arena_strdup(g->arena, s->name);
    if (!name || !grow(g->arena, &g->states, g->n_states, &g->cap_states, sizeof *g->states)) return -1;
    g->states[g->n_states] = *s;
    g->states[g->n_states].name = name;
    return g->n_states++;
}

olv_status ol_graph_set_meta(ol_graph *g, const char *key, const char *value, olv_error *err) {
    const char *v = ol_arena_strdup(g->arena, value);
    int i = 0;
    while (i < g->n_meta && strcmp(g->meta_keys[i], key)) i++;
    if (v && i == g->n_meta) {
        const char *k = ol_arena_strdup(g->arena, key);
        int cap = g->cap_meta;
        if (!k || !grow(g->arena, &g->meta_keys, g->n_meta, &cap, sizeof *g->meta_keys) ||
            !grow(g->arena, &g->meta_values, g->n_meta, &g->cap_meta, sizeof *g->meta_values))
            return ol_fail(err, OLV_NOMEM, "no memory for metadata");
        g->meta_keys[g->n_meta++] = k;
    }
    if (!v) return ol_fail(err, OLV_NOMEM, "no memory for metadata");
    g->meta_values[i] = v;
    return OLV_OK;
}
