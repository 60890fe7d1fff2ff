/* SPDX-License-Identifier: Apache-2.0 */
#include "base/alloc.h"
#include "base/cpu.h"
#include "base/error.h"
#include "base/map.h"
#include "compress/compress.h"
#include "compress/scope.h"
#include "graph/op.h"
#include <string.h>

#define MAX_DEPTH 32       /* of nested subgraphs */
#define MAX_HEAD_STEPS 16  /* elementwise nodes between the head and a graph output */

/* What tells that two constants are the same table. Without padding: it is hashed as bytes. */
typedef struct table_key {
    const void *data; /* dense bytes, or the constant itself */
    int64_t rows, k;
    int64_t type; /* element type and rank */
} table_key;

typedef struct table {
    table_key key;
    ol_value **values; /* that hold it */
    int n_values, cap_values;
    unsigned roles;
} table;

typedef struct collector {
    table **tables;
    size_t n, cap;
    ol_map by_key;
    const ol_node **heads;
    size_t n_heads, cap_heads;
} collector;

static void collector_deinit(collector *c) {
    for (size_t i = 0; i < c->n; i++) {
        ol_free(c->tables[i]->values);
        ol_free(c->tables[i]);
    }
    ol_free(c->tables);
    ol_free(c->heads);
    ol_map_deinit(&c->by_key);
}

static bool grow(void **items, size_t n, size_t *cap, size_t each) {
    if (n < *cap) return true;
    size_t want = *cap ? *cap * 2 : 16;
    void *p = ol_realloc(*items, want * each);
    if (!p) return false;
    *items = p;
    *cap = want;
    return true;
}

static olv_status no_memory(olv_error *err) { return ol_fail(err, OLV_NOMEM, "no memory for the list of weights"); }

static table_key key_of(const ol_const *c) {
    const void *data = ol_const_data(c, NULL);
    return (table_key){data ? data : (const void *)c, ol_const_rows(c), ol_const_width(c),
                       (int64_t)ol_const_dtype(c) << 8 | ol_const_rank(c)};
}

/* The table of a value's constant, made when new; NULL when out of memory. */
static table *table_of(collector *c, ol_value *v) {
    table_key key = key_of(v->constant);
    uint64_t *found = ol_map_get(&c->by_key, (ol_str){(const char *)&key, sizeof key});
    if (found) return c->tables[*found];
    table *t = ol_calloc(1, sizeof *t);
    if (!t) return NULL;
    t->key = key;
    if (!grow((void **)&c->tables, c->n, &c->cap, sizeof *c->tables) ||
        ol_map_put(&c->by_key, (ol_str){(const char *)&t->key, sizeof t->key}, c->n) < 0) {
        ol_free(t);
        return NULL;
    }
    c->tables[c->n++] = t;
    return t;
}

static olv_status add_use(collector *c, ol_value *v, unsigned role, olv_error *err) {
    table *t = table_of(c, v);
    if (!t) return no_memory(err);
    t->roles |= role;
    for (int i = 0; i < t->n_values; i++)
        if (t->values[i] == v) return OLV_OK;
    size_t cap = (size_t)t->cap_values;
    if (!grow((void **)&t->values, (size_t)t->n_values, &cap, sizeof *t->values)) return no_memory(err);
    t->cap_values = (int)cap;
    t->values[t->n_values++] = v;
    return OLV_OK;
}

/* ---- finding the weights ---- */

static bool is_op(const ol_node *n, const char *domain, const char *name) {
    return strcmp(n->op->name, name) == 0 && strcmp(n->op->domain, domain) == 0;
}

static bool is_linear(const ol_node *n) { return is_op(n, "olivine", "Linear"); }

/* Index of the input that is a table of weights; -1: none. */
static int weight_input(const ol_node *n) {
    if (is_linear(n) || is_op(n, "olivine", "ExpertLinear")) return 1;
    if (is_op(n, "", "Gather") && ol_node_int(n, "axis", 0) == 0) return 0;
    return -1;
}

/* The linear layer before output v, through elementwise nodes with one input that is no constant (softcap, scale). */
static const ol_node *head_of(const ol_value *v) {
    for (int step = 0; step < MAX_HEAD_STEPS && v && v->producer; step++) {
        const ol_node *n = v->producer;
        if (is_linear(n)) return n;
        if (!n->op->elementwise) return NULL;
        v = NULL;
        for (int i = 0; i < n->n_inputs; i++) {
            if (!n->inputs[i] || n->inputs[i]->constant) continue;
            if (v) return NULL;
            v = n->inputs[i];
        }
    }
    return NULL;
}

static olv_status find_heads(collector *c, const ol_graph *g, olv_error *err) {
    for (int i = 0; i < g->n_outputs; i++) {
        const ol_node *h = head_of(g->outputs[i]);
        if (!h) continue;
        if (!grow((void **)&c->heads, c->n_heads, &c->cap_heads, sizeof(const ol_node *))) return no_memory(err);
        c->heads[c->n_heads++] = h;
    }
    return OLV_OK;
}

static bool is_head(const collector *c, const ol_node *n) {
    for (size_t i = 0; i < c->n_heads; i++)
        if (c->heads[i] == n) return true;
    return false;
}

static olv_status collect(collector *c, ol_graph *g, int depth, olv_error *err) {
    if (depth > MAX_DEPTH) return ol_fail(err, OLV_LIMIT, "subgraphs nested deeper than %d", MAX_DEPTH);
    for (ol_node *n = g->first; n; n = n->next) {
        int w = weight_input(n);
        ol_value *v = w >= 0 && w < n->n_inputs ? n->inputs[w] : NULL;
        if (v && v->constant && !v->is_input)
            OL_TRY(add_use(c, v, w == 0 ? OL_ROLE_EMBEDDING : is_head(c, n) ? OL_ROLE_HEAD : OL_ROLE_WEIGHT, err));
        for (int a = 0; a < n->n_attrs; a++) {
            const ol_attr *at = &n->attrs[a];
            if (at->type == OL_ATTR_GRAPH) OL_TRY(collect(c, at->v.graph, depth + 1, err));
            for (size_t i = 0; at->type == OL_ATTR_GRAPHS && i < at->count; i++)
                OL_TRY(collect(c, at->v.graphs[i], depth + 1, err));
        }
    }
    return OLV_OK;
}

static bool is_weight_use(void *ctx, ol_node *user, int input) {
    bool *only = ctx;
    *only = *only && input >= 0 && user && weight_input(user) == input;
    return *only;
}

/* Planar integers in the order of the columns are what every format that is written holds. Other codes (4- and 8-bit
 * floats, tables, blocks of GGUF, columns ordered by activation) are read as numbers and compressed like them. */
static bool is_written_as_it_is(const ol_qconst *q) {
    bool integers = q->code == OL_Q_I8 || q->code == OL_Q_U8 || q->code == OL_Q_I4 || q->code == OL_Q_U4 || q->code == OL_Q_U2;
    return integers && !q->perm && !q->input_scale && q->min_dtype == OL_DTYPE_NONE;
}

/* Why a table stays as it is; NULL when it can be compressed. */
static const char *reason_to_keep(const table *t, const olv_weight_spec *spec, int64_t min_elements) {
    const ol_const *c = t->values[0]->constant;
    if (spec->type == OLV_WEIGHT_KEEP) return "by request";
    if (ol_const_quant_form(c) && is_written_as_it_is(ol_const_quant_form(c))) return "quantized already";
    if (ol_dtype_class(ol_const_dtype(c)) != 'f' || ol_const_rank(c) < 2) return "no float matrix";
    if (t->key.rows * t->key.k < min_elements) return "small";
    for (int i = 0; i < t->n_values; i++) {
        bool only = true;
        ol_value_each_use(t->values[i], is_weight_use, &only);
        if (!only) return "used by other operators too";
    }
    return NULL;
}

/* ---- replacing ---- */

static const olv_weight_spec *spec_of(const olv_compress_params *p, unsigned roles) {
    return roles & OL_ROLE_HEAD ? &p->head : roles & OL_ROLE_WEIGHT ? &p->weights : &p->embeddings;
}

static double bits_of(const ol_const *c) {
    const ol_qconst *q = ol_const_quant_form(c);
    return q ? ol_qconst_bits(q) : ol_dtype_bits(ol_const_dtype(c));
}

static olv_status replace(const table *t, const olv_compress_params *params, ol_scope *ignored, uint64_t cpu, ol_compress_entry *e,
                          olv_error *err) {
    ol_const *c = t->values[0]->constant, *made = NULL;
    e->source = ol_const_retain(c); /* the values will hold another one */
    e->result = ol_const_retain(c);
    e->spec = *spec_of(params, t->roles);
    e->roles = t->roles;
    e->rows = t->key.rows;
    e->k = t->key.k;
    e->bits_before = e->bits_after = bits_of(c);
    size_t len = strlen(t->values[0]->name) + 1;
    e->name = ol_alloc(len);
    if (!e->name) return no_memory(err);
    memcpy(e->name, t->values[0]->name, len);
    e->kept = ol_scope_has(ignored, e->name, t->values, t->n_values) ? "in the ignored scope" : reason_to_keep(t, &e->spec, params->min_elements);
    if (!e->kept) {
        made = ol_compress_const(c, &e->spec, cpu, err);
        if (!made) return ol_error_at(err, "%s", e->name);
        e->bits_after = bits_of(made);
        for (int i = 0; i < t->n_values; i++) ol_value_set_constant(t->values[i], ol_const_retain(made));
        ol_const_release(e->result);
        e->result = made;
    }
    return OLV_OK;
}

olv_status ol_compress_graph(ol_graph *g, const olv_compress_params *params, uint64_t cpu, ol_compress_plan *plan,
                             olv_error *err) {
    ol_compress_plan r = {NULL, 0};
    collector c = {.tables = NULL};
    if (plan) *plan = r;
    OL_TRY(olv_weight_spec_check(&params->weights, err));
    OL_TRY(olv_weight_spec_check(&params->embeddings, err));
    OL_TRY(olv_weight_spec_check(&params->head, err));
    ol_map_init(&c.by_key);
    olv_status s = find_heads(&c, g, err);
    if (s == OLV_OK) s = collect(&c, g, 0, err);
    if (s == OLV_OK && !(r.entries = ol_calloc(c.n + 1, sizeof *r.entries))) s = no_memory(err);
    ol_scope *ignored = NULL;
    if (s == OLV_OK) s = ol_scope_create(g, params->ignored, params->n_ignored, &ignored, err);
    for (size_t i = 0; s == OLV_OK && i < c.n; i++) s = replace(c.tables[i], params, ignored, cpu, &r.entries[r.n++], err);
    if (s == OLV_OK) s = ol_scope_check(ignored, err);
    ol_scope_destroy(ignored);
    collector_deinit(&c);
    if (s == OLV_OK) s = ol_graph_infer(g, err); /* elements of quantized constants are f32 */
    if (plan)
        *plan = r;
    else
        ol_compress_plan_deinit(&r);
    return s;
}
