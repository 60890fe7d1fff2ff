/* SPDX-License-Identifier: Apache-2.0 */
#include "compress/scope.h"
#include "base/alloc.h"
#include "base/error.h"
#include "base/str.h"
#include "graph/op.h"
#include <regex.h>
#include <string.h>
#include <strings.h>

typedef enum item_kind { NAME, PATTERN, TYPE, BETWEEN } item_kind;

typedef struct item {
    item_kind kind;
    const char *text; /* behind the prefix */
    regex_t re;       /* PATTERN */
    bool *inside;     /* BETWEEN: by number of the node */
    bool matched;
} item;

struct ol_scope {
    const char *const *texts;
    item *items;
    size_t n;
};

static olv_status no_memory(olv_error *err) { return ol_fail(err, OLV_NOMEM, "no memory for the ignored scope"); }

/* ---- between two nodes ---- */

static const ol_node *node_named(const ol_graph *g, const char *name, size_t len) {
    for (const ol_node *n = g->first; n; n = n->next)
        if (strlen(n->name) == len && !memcmp(n->name, name, len)) return n;
    return NULL;
}

static int count_nodes(const ol_graph *g) {
    int n = 0;
    for (const ol_node *i = g->first; i; i = i->next) n++;
    return n;
}

static bool reads_marked(const ol_node *n, const bool *mark) {
    for (int i = 0; i < n->n_inputs; i++) {
        const ol_node *p = n->inputs[i] ? n->inputs[i]->producer : NULL;
        if (p && p->graph == n->graph && mark[p->id]) return true;
    }
    return false;
}

static void mark_producers(const ol_node *n, bool *mark) {
    for (int i = 0; i < n->n_inputs; i++) {
        const ol_node *p = n->inputs[i] ? n->inputs[i]->producer : NULL;
        if (p && p->graph == n->graph) mark[p->id] = true;
    }
}

/* What can be reached from `from` and reaches `to`: one sweep down and one up, since nodes stand in their order. */
static olv_status sweep(const ol_graph *g, const ol_node *from, const ol_node *to, bool **out, olv_error *err) {
    size_t n = (size_t)count_nodes(g) + 1;
    bool *below = ol_calloc(n, 1), *above = ol_calloc(n, 1);
    if (!below || !above) {
        ol_free(below);
        ol_free(above);
        return no_memory(err);
    }
    below[from->id] = above[to->id] = true;
    const ol_node *last = g->first;
    for (const ol_node *i = g->first; i; last = i, i = i->next) below[i->id] = below[i->id] || reads_marked(i, below);
    for (const ol_node *i = last; i; i = i->prev)
        if (above[i->id]) mark_producers(i, above);
    for (size_t i = 0; i < n; i++) below[i] = below[i] && above[i];
    ol_free(above);
    *out = below;
    return OLV_OK;
}

static olv_status make_between(ol_graph *g, item *it, olv_error *err) {
    const char *comma = strchr(it->text, ',');
    if (!comma) return ol_fail(err, OLV_ARG, "ignored scope 'between:%.200s': two names of nodes with a comma expected", it->text);
    const ol_node *a = node_named(g, it->text, (size_t)(comma - it->text)), *b = node_named(g, comma + 1, strlen(comma + 1));
    if (!a || !b)
        return ol_fail(err, OLV_ARG, "ignored scope 'between:%.200s': there is no node '%.*s'", it->text,
                       a ? 200 : (int)(comma - it->text), a ? comma + 1 : it->text);
    return sweep(g, a, b, &it->inside, err);
}

/* ---- items ---- */

static bool take_prefix(const char **text, const char *prefix) {
    size_t n = strlen(prefix);
    if (strncmp(*text, prefix, n) != 0) return false;
    *text += n;
    return true;
}

static olv_status make_item(ol_graph *g, const char *text, item *it, olv_error *err) {
    it->text = text;
    if (take_prefix(&it->text, "type:")) {
        it->kind = TYPE;
    } else if (take_prefix(&it->text, "between:")) {
        it->kind = BETWEEN;
        return make_between(g, it, err);
    } else if (take_prefix(&it->text, "re:")) {
        int code = regcomp(&it->re, it->text, REG_EXTENDED | REG_NOSUB);
        if (code == REG_ESPACE) return no_memory(err);
        if (code) return ol_fail(err, OLV_ARG, "ignored scope '%.200s' is no regular expression", text);
        it->kind = PATTERN;
    }
    return OLV_OK;
}

olv_status ol_scope_create(ol_graph *g, const char *const *items, size_t n, ol_scope **out, olv_error *err) {
    ol_scope *s = ol_calloc(1, sizeof *s);
    if (s) s->items = ol_calloc(n + 1, sizeof *s->items);
    if (!s || !s->items) {
        ol_free(s);
        return no_memory(err);
    }
    s->texts = items;
    ol_graph_renumber(g);
    for (; s->n < n; s->n++) {
        olv_status status = make_item(g, items[s->n], &s->items[s->n], err);
        if (status == OLV_OK) continue;
        ol_scope_destroy(s);
        return status;
    }
    *out = s;
    return OLV_OK;
}

void ol_scope_destroy(ol_scope *s) {
    if (!s) return;
    for (size_t i = 0; i < s->n; i++) {
        if (s->items[i].kind == PATTERN) regfree(&s->items[i].re);
        ol_free(s->items[i].inside);
    }
    ol_free(s->items);
    ol_free(s);
}

/* ---- asking ---- */

/* Operators by the names that they have in models; Linear is what MatMul and Gemm with constant weights become. */
static bool is_type(const char *type, const char *op) {
    if (!strcasecmp(type, op)) return true;
    bool linear = !strcmp(op, "Linear") || !strcmp(op, "ExpertLinear");
    if (linear) return !strcasecmp(type, "MatMul") || !strcasecmp(type, "Gemm") || !strcasecmp(type, "Linear");
    return !strcmp(op, "Gather") && !strcasecmp(type, "Embedding");
}

typedef struct use_query {
    item *it;
    bool found;
} use_query;

static bool look_at_use(void *ctx, ol_node *user, int input) {
    use_query *q = ctx;
    item *it = q->it;
    (void)input;
    if (!user) return true;
    switch (it->kind) {
    case NAME: q->found = !strcmp(it->text, user->name); break;
    case PATTERN: q->found = regexec(&it->re, user->name, 0, NULL, 0) == 0; break;
    case TYPE: q->found = is_type(it->text, user->op->name); break;
    case BETWEEN: q->found = it->inside[user->id]; break;
    }
    return !q->found;
}

/* With or without ".weight". */
static bool is_named(const char *text, const char *name) {
    size_t n = strlen(name), stem = n > 7 && strcmp(name + n - 7, ".weight") == 0 ? n - 7 : n;
    return !strcmp(text, name) || (strlen(text) == stem && strncmp(text, name, stem) == 0);
}

bool ol_scope_has(ol_scope *s, const char *name, ol_value *const *values, int n_values) {
    bool any = false;
    for (size_t i = 0; i < s->n; i++) {
        use_query q = {&s->items[i], false};
        if (q.it->kind == NAME) q.found = is_named(q.it->text, name);
        if (q.it->kind == PATTERN) q.found = regexec(&q.it->re, name, 0, NULL, 0) == 0;
        for (int v = 0; v < n_values && !q.found; v++) ol_value_each_use(values[v], look_at_use, &q);
        if (!q.found) continue;
        q.it->matched = true;
        any = true;
    }
    return any;
}

olv_status ol_scope_check(const ol_scope *s, olv_error *err) {
    for (size_t i = 0; i < s->n; i++)
        if (!s->items[i].matched)
            return ol_fail(err, OLV_ARG, "ignored scope '%.200s' matches none of the layers that could be compressed", s->texts[i]);
    return OLV_OK;
}
