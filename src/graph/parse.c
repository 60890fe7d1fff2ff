/* SPDX-License-Identifier: Apache-2.0 */
/* Reads the text form of graphs again: docs/graph-text.md. */
#include "base/alloc.h"
#include "base/error.h"
#include "graph/private.h"
#include <stdio.h>
#include <stdlib.h>

#define MAX_DEPTH 32
#define MAX_LIST 65536 /* inputs, outputs, elements of a list */

typedef struct parser {
    const char *p, *end;
    int line, depth;
    ol_arena *arena; /* of the graph: names and attributes live there */
    olv_error *err;
    olv_status status;
} parser;

static bool fail(parser *s, const char *what) {
    if (s->status == OLV_OK) {
        s->status = OLV_FORMAT;
        ol_fail(s->err, OLV_FORMAT, "line %d: %s", s->line, what);
    }
    return false;
}

static bool no_memory(parser *s) {
    if (s->status == OLV_OK) s->status = ol_fail(s->err, OLV_NOMEM, "no memory to parse a graph");
    return false;
}

/* Passes on a failure of the graph functions. */
static bool passed(parser *s, olv_status st) {
    if (st == OLV_OK) return true;
    if (s->status == OLV_OK) {
        s->status = st;
        ol_error_at(s->err, "line %d", s->line);
    }
    return false;
}

static void skip(parser *s) {
    for (; s->p < s->end; s->p++) {
        if (*s->p == '#')
            while (s->p < s->end && *s->p != '\n') s->p++;
        if (s->p >= s->end) return;
        if (*s->p == '\n') s->line++;
        else if (*s->p != ' ' && *s->p != '\t' && *s->p != '\r') return;
    }
}

static bool peek(parser *s, char c) {
    skip(s);
    return s->p < s->end && *s->p == c;
}

static bool accept(parser *s, char c) {
    if (!peek(s, c)) return false;
    s->p++;
    return true;
}

static bool expect(parser *s, char c) {
    char text[40];
    if (accept(s, c)) return true;
    snprintf(text, sizeof text, "'%c' expected", c);
    return fail(s, text);
}

static bool is_word(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '.';
}

static int hex(char c) { return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1; }

/* A JSON string behind its opening quote. */
static bool quoted(parser *s, ol_str *out) {
    ol_buf b = OL_BUF_INIT;
    for (; s->p < s->end && *s->p != '"'; s->p++) {
        if (*s->p == '\n') break;
        if (*s->p != '\\') {
            ol_buf_putc(&b, *s->p);
            continue;
        }
        if (++s->p >= s->end) break;
        static const char from[] = "nrtbf", to[] = "\n\r\t\b\f";
        const char *k = strchr(from, *s->p);
        if (*s->p == 'u' && s->end - s->p > 4) {
            int32_t cp = 0;
            for (int i = 1; i <= 4; i++) cp = cp * 16 + (hex(s->p[i]) < 0 ? 0 : hex(s->p[i]));
            char text[4];
            int n = ol_utf8_encode(cp, text);
            ol_buf_append(&b, text, (size_t)(n > 0 ? n : 0));
            s->p += 4;
        } else {
            ol_buf_putc(&b, k && *k ? to[k - from] : *s->p);
        }
    }
    bool ok = s->p < s->end && *s->p == '"';
    if (ok) s->p++;
    const char *text = ol_arena_strndup(s->arena, b.data ? b.data : "", b.len);
    *out = (ol_str){text, b.len};
    bool memory = text && !b.failed;
    ol_buf_deinit(&b);
    return !ok ? fail(s, "string without end") : memory ? true : no_memory(s);
}

/* A name: bare or quoted. */
static bool name(parser *s, const char **out) {
    skip(s);
    if (accept(s, '"')) {
        ol_str t;
        if (!quoted(s, &t)) return false;
        *out = t.ptr;
        return true;
    }
    const char *from = s->p;
    while (s->p < s->end && is_word(*s->p)) s->p++;
    if (s->p == from) return fail(s, "name expected");
    *out = ol_arena_strndup(s->arena, from, (size_t)(s->p - from));
    return *out ? true : no_memory(s);
}

static bool word_is(parser *s, const char *w) {
    skip(s);
    size_t n = strlen(w);
    if ((size_t)(s->end - s->p) < n || memcmp(s->p, w, n) || (s->p + n < s->end && is_word(s->p[n]))) return false;
    s->p += n;
    return true;
}

/* A number as text, NUL-terminated. */
static bool number(parser *s, char *text, size_t size) {
    skip(s);
    size_t n = 0;
    while (s->p < s->end && n + 1 < size && (is_word(*s->p) || *s->p == '-' || *s->p == '+')) text[n++] = *s->p++;
    text[n] = 0;
    return n ? true : fail(s, "number expected");
}

static bool integer(parser *s, int64_t *out) {
    char text[64], *end;
    if (!number(s, text, sizeof text)) return false;
    *out = strtoll(text, &end, 10);
    return *end ? fail(s, "integer expected") : true;
}

/* Text up to a comma or bracket outside of parentheses. */
static bool dim(parser *s, ol_dim_table *t, ol_dim *out) {
    skip(s);
    const char *from = s->p;
    int open = 0;
    for (; s->p < s->end && *s->p != '\n' && (open || (*s->p != ',' && *s->p != ']')); s->p++) open += (*s->p == '(') - (*s->p == ')');
    *out = ol_dim_parse(t, from, (size_t)(s->p - from));
    return *out == OL_DIM_NONE ? fail(s, "size expected") : true;
}

static bool type(parser *s, ol_dim_table *t, ol_type *out) {
    const char *w;
    *out = (ol_type){.kind = OL_VALUE_TENSOR, .rank = -1};
    if (word_is(s, "opt")) out->kind = OL_VALUE_OPTIONAL;
    if (word_is(s, "seq")) {
        out->sequence_inside = out->kind == OL_VALUE_OPTIONAL;
        if (!out->sequence_inside) out->kind = OL_VALUE_SEQUENCE;
    }
    if (!accept(s, '?')) {
        if (!name(s, &w)) return false;
        out->dtype = ol_dtype_from_name(w);
        if (out->dtype == OL_DTYPE_NONE) return fail(s, "element type expected");
    }
    if (!expect(s, '[')) return false;
    if (accept(s, '*')) return expect(s, ']');
    out->rank = 0;
    if (accept(s, ']')) return true;
    do {
        if (out->rank == OL_MAX_RANK) return fail(s, "too many dimensions");
        if (!dim(s, t, &out->dims[out->rank])) return false;
        out->rank++;
    } while (accept(s, ','));
    return expect(s, ']');
}

static bool element(parser *s, ol_tensor *t, int64_t i) {
    char text[64], *end;
    if (t->dtype == OL_STRING) return accept(s, '"') ? quoted(s, (ol_str *)t->data + i) : fail(s, "string expected");
    if (!number(s, text, sizeof text)) return false;
    if (t->dtype == OL_I64) ((int64_t *)t->data)[i] = strtoll(text, &end, 10);
    else if (t->dtype == OL_U64) ((uint64_t *)t->data)[i] = strtoull(text, &end, 10);
    else ol_elem_set(t->dtype, t->data, (uint64_t)i, strtod(text, &end));
    return *end ? fail(s, "number expected") : true;
}

static bool complex_element(parser *s, ol_tensor *t, int64_t i) {
    char text[64], *end;
    for (int k = 0; k < 2; k++) {
        if (k && !expect(s, ',')) return false;
        if (!number(s, text, sizeof text)) return false;
        double v = strtod(text, &end);
        if (t->dtype == OL_C64) ((float *)t->data)[2 * i + k] = (float)v;
        else ((double *)t->data)[2 * i + k] = v;
    }
    return true;
}

static bool elements(parser *s, ol_tensor *t) {
    int64_t n = ol_tensor_count(t);
    for (int64_t i = 0; i < n; i++) {
        if (i && !expect(s, ',')) return false;
        if (ol_dtype_class(t->dtype) == 'c' ? !complex_element(s, t, i) : !element(s, t, i)) return false;
    }
    return expect(s, '}');
}

/* A constant: its elements, or zeros where only a hash was written. */
static bool constant(parser *s, ol_dim_table *dims, ol_const **out) {
    ol_type ty;
    ol_tensor t;
    int64_t shape[OL_MAX_RANK];
    if (!type(s, dims, &ty)) return false;
    if (ty.rank < 0 || ty.dtype == OL_DTYPE_NONE) return fail(s, "constant of unknown shape");
    for (int i = 0; i < ty.rank; i++) {
        if (!ol_dim_known(ty.dims[i])) return fail(s, "constant of unknown size");
        shape[i] = ty.dims[i];
    }
    if (word_is(s, "quant")) {
        ol_str ignored;
        if (!expect(s, '"') || !quoted(s, &ignored)) return false;
    }
    bool has_values = accept(s, '{');
    if (!has_values && word_is(s, "hash")) {
        const char *ignored;
        if (!name(s, &ignored)) return false;
    }
    int64_t count = 1;
    for (int i = 0; i < ty.rank; i++)
        if (__builtin_mul_overflow(count, shape[i], &count) || count > 1 << 26) return fail(s, "constant too large");
    if (!passed(s, ol_tensor_init(&t, ty.dtype, ty.rank, shape, s->err))) return false;
    bool ok = !has_values || elements(s, &t);
    *out = ok ? ol_const_tensor(&t, s->err) : NULL;
    t.strings = NULL;
    ol_tensor_deinit(&t);
    return !ok ? false : *out ? true : passed(s, OLV_NOMEM);
}

static bool graph_body(parser *s, ol_graph *g);

static bool subgraph(parser *s, ol_graph *g, ol_graph **out) {
    ol_str title;
    if (!word_is(s, "graph") || !expect(s, '"') || !quoted(s, &title)) return fail(s, "graph expected");
    *out = ol_graph_create_sub(g, title.ptr);
    if (!*out) return no_memory(s);
    return graph_body(s, *out);
}

typedef struct list {
    void *items;
    size_t n, cap;
} list;

static void *push(parser *s, list *l, size_t each) {
    if (l->n == l->cap) {
        size_t cap = l->cap ? l->cap * 2 : 8;
        void *p = cap > MAX_LIST ? NULL : ol_arena_calloc(s->arena, cap, each);
        if (!p) {
            no_memory(s);
            return NULL;
        }
        if (l->n) memcpy(p, l->items, l->n * each);
        l->items = p;
        l->cap = cap;
    }
    return (char *)l->items + each * l->n++;
}

static bool list_item(parser *s, ol_graph *g, ol_attr_type kind, list *l) {
    static const size_t size[] = {[OL_ATTR_INTS] = sizeof(int64_t), [OL_ATTR_FLOATS] = sizeof(float), [OL_ATTR_STRINGS] = sizeof(ol_str),
                                  [OL_ATTR_TENSORS] = sizeof(ol_const *), [OL_ATTR_GRAPHS] = sizeof(ol_graph *)};
    char text[64], *end;
    void *p = push(s, l, size[kind]);
    if (!p) return false;
    switch (kind) {
    case OL_ATTR_INTS: return integer(s, p);
    case OL_ATTR_FLOATS:
        if (!number(s, text, sizeof text)) return false;
        *(float *)p = strtof(text, &end);
        return *end ? fail(s, "number expected") : true;
    case OL_ATTR_STRINGS: return expect(s, '"') && quoted(s, p);
    case OL_ATTR_TENSORS:
        if (constant(s, g->dims, p)) return true;
        l->n--;
        return false;
    default: return subgraph(s, g, p);
    }
}

static bool list_attr(parser *s, ol_graph *g, ol_attr *a) {
    list l = {NULL, 0, 0};
    bool ok = expect(s, '[');
    if (ok && !accept(s, ']')) {
        do ok = list_item(s, g, a->type, &l);
        while (ok && accept(s, ','));
        ok = ok && expect(s, ']');
    }
    a->count = l.n;
    a->v.ints = l.items; /* all members of the union are pointers here */
    return ok;
}

static bool scalar_attr(parser *s, ol_attr *a) {
    char text[64], *end;
    if (accept(s, '"')) {
        a->type = OL_ATTR_STRING;
        return quoted(s, &a->v.s);
    }
    if (!number(s, text, sizeof text)) return false;
    if (strpbrk(text, ".en")) { /* 1.5, 1e9, inf, nan */
        a->type = OL_ATTR_FLOAT;
        a->v.f = strtof(text, &end);
    } else {
        a->type = OL_ATTR_INT;
        a->v.i = strtoll(text, &end, 10);
    }
    return *end ? fail(s, "number expected") : true;
}

static bool attribute(parser *s, ol_graph *g, ol_attr *a) {
    static const struct {
        const char *word;
        ol_attr_type type;
    } lists[] = {{"ints", OL_ATTR_INTS}, {"floats", OL_ATTR_FLOATS}, {"strings", OL_ATTR_STRINGS},
                 {"tensors", OL_ATTR_TENSORS}, {"graphs", OL_ATTR_GRAPHS}};
    *a = (ol_attr){.count = 1};
    if (!name(s, &a->name) || !expect(s, '=')) return false;
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
        if (!word_is(s, lists[i].word)) continue;
        a->type = lists[i].type;
        return list_attr(s, g, a);
    }
    if (word_is(s, "tensor")) {
        a->type = OL_ATTR_TENSOR;
        return constant(s, g->dims, &a->v.tensor);
    }
    if (word_is(s, "type")) {
        a->type = OL_ATTR_TYPE;
        a->v.type_proto = ol_arena_calloc(s->arena, 1, sizeof(ol_type));
        return a->v.type_proto ? type(s, g->dims, a->v.type_proto) : no_memory(s);
    }
    skip(s);
    if (s->end - s->p > 6 && !memcmp(s->p, "graph ", 6)) {
        a->type = OL_ATTR_GRAPH;
        return subgraph(s, g, &a->v.graph);
    }
    return scalar_attr(s, a);
}

static void release_attrs(ol_attr *a, size_t n) {
    for (size_t i = 0; i < n; i++) {
        if (a[i].type == OL_ATTR_TENSOR) ol_const_release(a[i].v.tensor);
        if (a[i].type == OL_ATTR_TENSORS)
            for (size_t k = 0; k < a[i].count; k++) ol_const_release(a[i].v.tensors[k]);
    }
}

static ol_value *find(const ol_graph *g, const char *n) {
    for (; g; g = g->parent) {
        ol_value *v = ol_graph_find_value(g, n);
        if (v) return v;
    }
    return NULL;
}

static bool operand(parser *s, ol_graph *g, list *inputs) {
    ol_value **v = push(s, inputs, sizeof *v);
    const char *n;
    if (!v) return false;
    if (word_is(s, "_")) return true;
    if (!name(s, &n)) return false;
    *v = find(g, n);
    if (*v) return true;
    s->status = ol_fail(s->err, OLV_FORMAT, "line %d: value '%.200s' is not defined", s->line, n);
    return false;
}

typedef struct results {
    list names, types;
} results;

static bool result_list(parser *s, ol_graph *g, const char *first, results *r) {
    for (const char *n = first;; n = NULL) {
        const char **slot = push(s, &r->names, sizeof *slot);
        ol_type *t = push(s, &r->types, sizeof *t);
        if (!slot || !t) return false;
        t->rank = -1;
        if (!n && word_is(s, "_")) n = "";
        else if (!n && !name(s, &n)) return false;
        *slot = n;
        if (*n && accept(s, ':') && !type(s, g->dims, t)) return false;
        if (!accept(s, ',')) break;
    }
    return expect(s, '=');
}

static bool operator_of(parser *s, const ol_op **op) {
    const char *n, *domain = "";
    if (!name(s, &n)) return false;
    if (accept(s, ':')) {
        domain = n;
        if (!expect(s, ':') || !name(s, &n)) return false;
    }
    *op = ol_op_find(domain, n);
    if (*op) return true;
    s->status = ol_fail(s->err, OLV_UNSUPPORTED, "line %d: operator '%s%s%s' is not known", s->line, domain, *domain ? "::" : "", n);
    return false;
}

static bool node(parser *s, ol_graph *g, const char *first, bool has_results) {
    results r = {{NULL, 0, 0}, {NULL, 0, 0}};
    list in = {NULL, 0, 0}, attrs = {NULL, 0, 0};
    const ol_op *op;
    const char *title = NULL;
    bool ok = (!has_results || result_list(s, g, first, &r)) && operator_of(s, &op) && expect(s, '(');
    if (ok && !accept(s, ')')) {
        do ok = operand(s, g, &in);
        while (ok && accept(s, ','));
        ok = ok && expect(s, ')');
    }
    while (ok && s->p < s->end) {
        while (s->p < s->end && (*s->p == ' ' || *s->p == '\t')) s->p++;
        if (s->p >= s->end || *s->p == '\n' || *s->p == '\r' || *s->p == '#' || *s->p == '}') break;
        if (*s->p == '@') {
            s->p++;
            ok = name(s, &title);
            break;
        }
        ol_attr *a = push(s, &attrs, sizeof *a);
        ok = a && attribute(s, g, a);
        if (!ok && a && a->type == OL_ATTR_TENSOR && s->status != OLV_OK) a->v.tensor = NULL;
    }
    ol_node *n = ok ? ol_graph_add_node(g, NULL, op, title, in.items, (int)in.n, r.names.items, (int)r.names.n, attrs.items,
                                        (int)attrs.n, s->err) : NULL;
    release_attrs(attrs.items, attrs.n);
    if (!ok) return false;
    if (!n) return passed(s, s->err ? s->err->status : OLV_FORMAT);
    for (int i = 0; i < n->n_outputs; i++) { /* what inference leaves open may stand in the text */
        const ol_type *t = (const ol_type *)r.types.items + i;
        if (!n->outputs[i]) continue;
        if (n->outputs[i]->type.dtype == OL_DTYPE_NONE) n->outputs[i]->type.dtype = t->dtype;
        if (n->outputs[i]->type.rank < 0 && t->rank >= 0) {
            n->outputs[i]->type.rank = t->rank;
            memcpy(n->outputs[i]->type.dims, t->dims, sizeof t->dims);
        }
    }
    return true;
}

static bool state_item(parser *s, ol_graph *g) {
    ol_state_decl d = {0};
    int64_t h, k, v;
    if (!name(s, &d.name)) return false;
    if (word_is(s, "kv")) d.kind = OL_STATE_KV;
    else if (word_is(s, "fixed")) d.kind = OL_STATE_FIXED;
    else if (word_is(s, "once")) d.kind = OL_STATE_ONCE;
    else return fail(s, "kind of state expected");
    if (!word_is(s, "heads") || !expect(s, '=') || !integer(s, &h) || !word_is(s, "k") || !expect(s, '=') || !integer(s, &k) ||
        !word_is(s, "v") || !expect(s, '=') || !integer(s, &v) || !word_is(s, "window") || !expect(s, '=') ||
        !integer(s, &d.window) || !word_is(s, "elements") || !expect(s, '=') || !integer(s, &d.elements))
        return fail(s, "heads=, k=, v=, window= and elements= expected");
    d.kv_heads = (int)h;
    d.k_dim = (int)k;
    d.v_dim = (int)v;
    return ol_graph_add_state(g, &d) < 0 ? no_memory(s) : true;
}

static bool input_item(parser *s, ol_graph *g) {
    const char *n;
    ol_type t;
    if (!name(s, &n) || !expect(s, ':') || !type(s, g->dims, &t)) return false;
    ol_value *v = ol_graph_add_input(g, n, &t, s->err);
    if (!v) return passed(s, s->err ? s->err->status : OLV_FORMAT);
    return accept(s, '=') ? constant(s, g->dims, &v->constant) : true;
}

static bool const_item(parser *s, ol_graph *g) {
    const char *n;
    ol_const *c;
    if (!name(s, &n) || !expect(s, ':') || !constant(s, g->dims, &c)) return false;
    return ol_graph_add_constant(g, n, c, s->err) ? true : passed(s, s->err ? s->err->status : OLV_FORMAT);
}

static bool output_item(parser *s, ol_graph *g) {
    const char *n;
    if (!name(s, &n)) return false;
    ol_value *v = find(g, n);
    return v ? passed(s, ol_graph_add_output(g, v, s->err)) : fail(s, "output is not defined");
}

static bool meta_item(parser *s, ol_graph *g) {
    ol_str k, v;
    if (!expect(s, '"') || !quoted(s, &k) || !expect(s, '=') || !expect(s, '"') || !quoted(s, &v)) return false;
    return passed(s, ol_graph_set_meta(g, k.ptr, v.ptr, s->err));
}

/* True when the word just read is a keyword and no name of a result: those are followed by ':', ',' or '='. */
static bool is_keyword(parser *s) {
    const char *p = s->p;
    while (p < s->end && (*p == ' ' || *p == '\t')) p++;
    return p < s->end && *p != ':' && *p != ',' && *p != '=';
}

static bool item(parser *s, ol_graph *g) {
    static const struct {
        const char *word;
        bool (*fn)(parser *s, ol_graph *g);
    } items[] = {{"meta", meta_item}, {"state", state_item}, {"input", input_item}, {"const", const_item}, {"output", output_item}};
    const char *n;
    if (accept(s, '=')) return node(s, g, NULL, false);
    if (word_is(s, "_")) return node(s, g, "", true);
    if (!name(s, &n)) return false;
    for (size_t i = 0; i < sizeof items / sizeof *items; i++)
        if (!strcmp(n, items[i].word) && is_keyword(s)) return items[i].fn(s, g);
    return node(s, g, n, true);
}

static bool graph_body(parser *s, ol_graph *g) {
    if (++s->depth > MAX_DEPTH) return fail(s, "too many graphs inside one another");
    if (!expect(s, '{')) return false;
    while (!accept(s, '}')) {
        if (s->p >= s->end) return fail(s, "'}' expected");
        if (!item(s, g)) return false;
    }
    s->depth--;
    return true;
}

olv_status ol_graph_parse(const char *text, size_t len, ol_graph **out, olv_error *err) {
    olv_error own;
    ol_graph *g = ol_graph_create("");
    if (!g) return ol_fail(err, OLV_NOMEM, "no memory for a graph");
    parser s = {text, text + len, 1, 0, g->arena, err ? err : &own, OLV_OK};
    ol_str title;
    bool ok = word_is(&s, "graph") && expect(&s, '"') && quoted(&s, &title);
    if (ok) g->name = title.ptr;
    else fail(&s, "graph expected");
    ok = ok && graph_body(&s, g);
    skip(&s);
    if (ok && s.p < s.end) ok = fail(&s, "text behind the graph");
    if (!ok) {
        ol_graph_destroy(g);
        return s.status;
    }
    *out = g;
    return OLV_OK;
}
