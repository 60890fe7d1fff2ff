/* SPDX-License-Identifier: Apache-2.0 */
/* NodeProto: attributes, subgraphs, inlined functions, and the order of nodes. */
#include "base/alloc.h"
#include "base/error.h"
#include "formats/onnx/contrib.h"
#include "formats/onnx/reader.h"
#include <stdio.h>

static olv_status malformed(olv_error *err, const char *what) { return ol_fail(err, OLV_FORMAT, "malformed %s", what); }

typedef struct node_text {
    ol_str *in, *out;
    int n_in, n_out;
    ol_str name, op, domain, overload;
    ol_str bytes;
    int state; /* 0 waiting, 1 its inputs are being looked at, 2 done */
} node_text;

static olv_status parse_node(ol_arena *a, ol_str bytes, node_text *n, olv_error *err) {
    ol_pb_field f;
    int in = 0, out = 0;
    *n = (node_text){.bytes = bytes, .domain = {"", 0}};
    for (ol_bytes m = ol_bytes_of(bytes.ptr, bytes.len); ol_pb_next(&m, &f) > 0;) {
        if (f.number == 1) in++;
        if (f.number == 2) out++;
    }
    n->in = ol_arena_calloc(a, (size_t)in + 1, sizeof *n->in);
    n->out = ol_arena_calloc(a, (size_t)out + 1, sizeof *n->out);
    if (!n->in || !n->out) return ol_fail(err, OLV_NOMEM, "no memory for a node");
    ol_bytes m = ol_bytes_of(bytes.ptr, bytes.len);
    while (ol_pb_next(&m, &f) > 0) {
        if (f.number > 8 || f.number == 5 || f.number == 6) continue;
        if (f.wire != 2) return malformed(err, "node");
        if (f.number == 1) n->in[n->n_in++] = f.bytes;
        if (f.number == 2) n->out[n->n_out++] = f.bytes;
        if (f.number == 3) n->name = f.bytes;
        if (f.number == 4) n->op = f.bytes;
        if (f.number == 7) n->domain = f.bytes;
        if (f.number == 8) n->overload = f.bytes;
    }
    if (ol_str_is(n->domain, "ai.onnx")) n->domain = (ol_str){"", 0};
    return m.failed ? malformed(err, "node") : OLV_OK;
}

/* ---- attributes ---- */

enum { A_FLOAT = 1, A_INT, A_STRING, A_TENSOR, A_GRAPH, A_FLOATS, A_INTS, A_STRINGS, A_TENSORS, A_GRAPHS, A_SPARSE,
       A_SPARSES, A_TYPE };

typedef struct attr_lists {
    int64_t *ints;
    float *floats;
    ol_str *strings;
    ol_const **tensors;
    size_t n_ints, n_floats, n_strings, n_tensors, n_graphs;
    ol_graph **graphs;
} attr_lists;

static size_t upper_count(ol_bytes m, uint32_t number) {
    ol_pb_field f;
    size_t n = 0;
    while (ol_pb_next(&m, &f) > 0)
        if (f.number == number) n += f.wire == 2 && (number == 7 || number == 8) ? f.bytes.len : 1;
    return n;
}

static olv_status subgraph(ol_onnx_reader *r, ol_bytes m, ol_graph *g, ol_onnx_scope *scope, ol_graph **out,
                           olv_error *err) {
    ol_onnx_scope inner = *scope;
    ol_map_init(&inner.names);
    inner.outer = scope;
    *out = ol_graph_create_sub(g, "");
    olv_status s = *out ? ol_onnx_graph(r, m, *out, &inner, err) : ol_fail(err, OLV_NOMEM, "no memory for a graph");
    ol_map_deinit(&inner.names);
    return s;
}

static olv_status read_lists(ol_onnx_reader *r, ol_bytes m, ol_graph *g, ol_onnx_scope *scope, ol_attr *a,
                             attr_lists *l, olv_error *err) {
    ol_pb_field f;
    while (ol_pb_next(&m, &f) > 0) {
        switch (f.number) {
        case 2: if (f.wire == 5) a->v.f = ol_pb_f32(&f); break;
        case 3: if (f.wire == 0) a->v.i = (int64_t)f.value; break;
        case 4: if (f.wire == 2) a->v.s = f.bytes; break;
        case 5:
            if (f.wire != 2 || l->n_tensors) return malformed(err, "attribute tensor");
            OL_TRY(ol_onnx_tensor(r, ol_pb_message(&f), &l->tensors[l->n_tensors], NULL, err));
            l->n_tensors++;
            break;
        case 10:
            if (f.wire != 2) return malformed(err, "attribute tensors");
            OL_TRY(ol_onnx_tensor(r, ol_pb_message(&f), &l->tensors[l->n_tensors], NULL, err));
            l->n_tensors++;
            break;
        case 22:
            if (f.wire != 2 || l->n_tensors) return malformed(err, "sparse attribute");
            OL_TRY(ol_onnx_sparse(r, ol_pb_message(&f), &l->tensors[l->n_tensors], NULL, err));
            l->n_tensors++;
            break;
        case 6:
        case 11:
            if (f.wire != 2 || (f.number == 6 && l->n_graphs)) return malformed(err, "attribute graph");
            OL_TRY(subgraph(r, ol_pb_message(&f), g, scope, &l->graphs[l->n_graphs], err));
            l->n_graphs++;
            break;
        case 7:
            if (f.wire == 5) l->floats[l->n_floats++] = ol_pb_f32(&f);
            else if (f.wire == 2)
                for (ol_bytes b = ol_pb_message(&f); ol_bytes_left(&b) >= 4;) l->floats[l->n_floats++] = ol_bytes_f32(&b);
            break;
        case 8:
            if (f.wire == 0) l->ints[l->n_ints++] = (int64_t)f.value;
            else if (f.wire == 2)
                for (ol_bytes b = ol_pb_message(&f); ol_bytes_left(&b) && !b.failed;)
                    l->ints[l->n_ints++] = (int64_t)ol_bytes_varint(&b);
            break;
        case 9: if (f.wire == 2) l->strings[l->n_strings++] = f.bytes; break;
        case 14: {
            ol_type *t = ol_arena_calloc(g->arena, 1, sizeof *t);
            if (!t) return ol_fail(err, OLV_NOMEM, "no memory for a type");
            if (f.wire == 2) OL_TRY(ol_onnx_type(r, g->dims, ol_pb_message(&f), t, err));
            a->v.type_proto = t;
            break;
        }
        default: break;
        }
    }
    return m.failed ? malformed(err, "attribute") : OLV_OK;
}

/* The kind by the `type` field, or by what is there in files before IR 3. */
static int kind_of(ol_bytes m, int given) {
    static const struct {
        uint32_t number;
        int kind;
    } by_field[] = {{2, A_FLOAT}, {3, A_INT}, {4, A_STRING}, {5, A_TENSOR}, {6, A_GRAPH}, {7, A_FLOATS}, {8, A_INTS}, {9, A_STRINGS}};
    ol_pb_field f;
    if (given) return given;
    while (ol_pb_next(&m, &f) > 0)
        for (size_t i = 0; i < sizeof by_field / sizeof *by_field; i++)
            if (f.number == by_field[i].number) return by_field[i].kind;
    return A_INTS;
}

static olv_status finish_attr(ol_attr *a, int kind, attr_lists *l, olv_error *err) {
    a->count = 1;
    switch (kind) {
    case A_FLOAT: a->type = OL_ATTR_FLOAT; break;
    case A_INT: a->type = OL_ATTR_INT; break;
    case A_STRING:
        a->type = OL_ATTR_STRING;
        if (!a->v.s.ptr) a->v.s = (ol_str){"", 0};
        break;
    case A_TENSOR:
    case A_SPARSE:
        a->type = OL_ATTR_TENSOR;
        if (l->n_tensors != 1) return malformed(err, "attribute: no tensor");
        a->v.tensor = l->tensors[0];
        break;
    case A_GRAPH:
        a->type = OL_ATTR_GRAPH;
        if (l->n_graphs != 1) return malformed(err, "attribute: no graph");
        a->v.graph = l->graphs[0];
        break;
    case A_FLOATS: a->type = OL_ATTR_FLOATS; a->v.floats = l->floats; a->count = l->n_floats; break;
    case A_INTS: a->type = OL_ATTR_INTS; a->v.ints = l->ints; a->count = l->n_ints; break;
    case A_STRINGS: a->type = OL_ATTR_STRINGS; a->v.strings = l->strings; a->count = l->n_strings; break;
    case A_TENSORS: a->type = OL_ATTR_TENSORS; a->v.tensors = l->tensors; a->count = l->n_tensors; break;
    case A_GRAPHS: a->type = OL_ATTR_GRAPHS; a->v.graphs = l->graphs; a->count = l->n_graphs; break;
    case A_TYPE:
        a->type = OL_ATTR_TYPE;
        if (!a->v.type_proto) return malformed(err, "attribute: no type");
        break;
    default: return ol_fail(err, OLV_UNSUPPORTED, "attribute of kind %d", kind);
    }
    return OLV_OK;
}

/* Reads one AttributeProto. *skip: it refers to an attribute of the calling node that was not given. */
static olv_status read_attr(ol_onnx_reader *r, ol_bytes m, ol_graph *g, ol_onnx_scope *scope, ol_attr *a, bool *skip,
                            olv_error *err) {
    ol_pb_field f;
    ol_str name = {"", 0}, ref = {"", 0};
    int type = 0;
    attr_lists l = {NULL};
    *a = (ol_attr){.name = NULL};
    *skip = false;
    for (ol_bytes p = m; ol_pb_next(&p, &f) > 0;) {
        if (f.number == 1 && f.wire == 2) name = f.bytes;
        if (f.number == 20 && f.wire == 0) type = (int)f.value;
        if (f.number == 21 && f.wire == 2) ref = f.bytes;
    }
    ol_onnx_scope plain = {.prefix = ""};
    OL_TRY(ol_onnx_name(g, &plain, name, &a->name, err));
    if (ref.len) {
        for (int i = 0; i < scope->n_call_attrs; i++)
            if (ol_str_is(ref, scope->call_attrs[i].name)) {
                const char *own = a->name;
                *a = scope->call_attrs[i];
                a->name = own;
                if (a->type == OL_ATTR_TENSOR) ol_const_retain(a->v.tensor);
                return a->type == OL_ATTR_TENSORS ? ol_fail(err, OLV_UNSUPPORTED, "list of tensors passed on") : OLV_OK;
            }
        *skip = true;
        return OLV_OK;
    }
    l.floats = ol_arena_calloc(g->arena, upper_count(m, 7) + 1, sizeof *l.floats);
    l.ints = ol_arena_calloc(g->arena, upper_count(m, 8) + 1, sizeof *l.ints);
    l.strings = ol_arena_calloc(g->arena, upper_count(m, 9) + 1, sizeof *l.strings);
    l.tensors = ol_arena_calloc(g->arena, upper_count(m, 10) + 2, sizeof *l.tensors);
    l.graphs = ol_arena_calloc(g->arena, upper_count(m, 11) + 2, sizeof *l.graphs);
    if (!l.floats || !l.ints || !l.strings || !l.tensors || !l.graphs)
        return ol_fail(err, OLV_NOMEM, "no memory for an attribute");
    olv_status s = read_lists(r, m, g, scope, a, &l, err);
    if (s == OLV_OK) s = finish_attr(a, kind_of(m, type), &l, err);
    bool kept = s == OLV_OK && (a->type == OL_ATTR_TENSOR || a->type == OL_ATTR_TENSORS);
    for (size_t i = 0; !kept && i < l.n_tensors; i++) ol_const_release(l.tensors[i]);
    return s == OLV_OK || l.n_graphs || r->depth > 3 ? s : ol_error_at(err, "attribute '%.100s'", a->name);
}

/* ---- drafts ---- */

bool ol_onnx_draft_set_input(ol_onnx_draft *d, int i, ol_value *v) {
    if (i >= d->cap_in) {
        ol_value **p = ol_realloc(d->in, (size_t)(i + 4) * sizeof *p);
        if (!p) return false;
        d->in = p;
        d->cap_in = i + 4;
    }
    while (d->n_in <= i) d->in[d->n_in++] = NULL;
    d->in[i] = v;
    return true;
}

ol_attr *ol_onnx_draft_attr(ol_onnx_draft *d, const char *name) {
    for (int i = 0; i < d->n_attrs; i++)
        if (!strcmp(d->attrs[i].name, name)) return &d->attrs[i];
    return NULL;
}

static void release_attr(ol_attr *a) {
    if (a->type == OL_ATTR_TENSOR) ol_const_release(a->v.tensor);
    if (a->type == OL_ATTR_TENSORS)
        for (size_t i = 0; i < a->count; i++) ol_const_release(a->v.tensors[i]);
}

void ol_onnx_draft_drop(ol_onnx_draft *d, const char *name) {
    ol_attr *a = ol_onnx_draft_attr(d, name);
    if (!a) return;
    release_attr(a);
    *a = d->attrs[--d->n_attrs];
}

bool ol_onnx_draft_add(ol_onnx_draft *d, ol_attr a) {
    if (d->n_attrs == d->cap_attrs) {
        int cap = d->cap_attrs ? d->cap_attrs * 2 : 8;
        ol_attr *p = ol_realloc(d->attrs, (size_t)cap * sizeof *p);
        if (!p) return false;
        d->attrs = p;
        d->cap_attrs = cap;
    }
    d->attrs[d->n_attrs++] = a;
    return true;
}

static void draft_deinit(ol_onnx_draft *d) {
    for (int i = 0; i < d->n_attrs; i++) release_attr(&d->attrs[i]);
    ol_free(d->in);
    ol_free(d->attrs);
    ol_free(d->outs);
    ol_free(d->results);
}

static olv_status copy_text(char *to, size_t size, ol_str s, olv_error *err) {
    if (s.len >= size || (s.len && memchr(s.ptr, 0, s.len))) return malformed(err, "operator name");
    if (s.len) memcpy(to, s.ptr, s.len);
    to[s.len] = 0;
    return OLV_OK;
}

static int64_t opset_version(const ol_onnx_scope *scope, ol_str domain) {
    for (int i = 0; i < scope->n_opsets; i++)
        if (ol_str_eq(scope->opsets[i].domain, domain)) return scope->opsets[i].version;
    return domain.len ? 1 : scope->n_opsets ? OL_OPSET : 1;
}

static olv_status fill_draft(ol_onnx_reader *r, const node_text *n, ol_graph *g, ol_onnx_scope *scope, ol_onnx_draft *d,
                             olv_error *err) {
    ol_pb_field f;
    OL_TRY(copy_text(d->op, sizeof d->op, n->op, err));
    OL_TRY(copy_text(d->domain, sizeof d->domain, n->domain, err));
    OL_TRY(ol_onnx_name(g, scope, n->name, &d->name, err));
    d->version = opset_version(scope, n->domain);
    d->outs = ol_calloc((size_t)n->n_out + 1, sizeof *d->outs);
    d->results = ol_calloc((size_t)n->n_out + 1, sizeof *d->results);
    if (!d->outs || !d->results) return ol_fail(err, OLV_NOMEM, "no memory for a node");
    for (int i = 0; i < n->n_in; i++) {
        ol_value *v = n->in[i].len ? ol_onnx_lookup(scope, n->in[i]) : NULL;
        if (n->in[i].len && !ol_map_get(&scope->names, n->in[i]) && !v)
            return ol_fail(err, OLV_FORMAT, "input '%.*s' is not defined", (int)(n->in[i].len > 200 ? 200 : n->in[i].len), n->in[i].ptr);
        if (!ol_onnx_draft_set_input(d, i, v)) return ol_fail(err, OLV_NOMEM, "no memory for a node");
    }
    for (; d->n_outs < n->n_out; d->n_outs++) {
        d->outs[d->n_outs] = "";
        if (n->out[d->n_outs].len) OL_TRY(ol_onnx_name(g, scope, n->out[d->n_outs], &d->outs[d->n_outs], err));
    }
    ol_bytes m = ol_bytes_of(n->bytes.ptr, n->bytes.len);
    while (ol_pb_next(&m, &f) > 0) {
        ol_attr a;
        bool skip;
        if (f.number != 5 || f.wire != 2) continue;
        OL_TRY(read_attr(r, ol_pb_message(&f), g, scope, &a, &skip, err));
        if (skip) continue;
        if (ol_onnx_draft_attr(d, a.name)) {
            release_attr(&a);
            return ol_fail(err, OLV_FORMAT, "attribute '%.100s' is given twice", a.name);
        }
        if (!ol_onnx_draft_add(d, a)) {
            release_attr(&a);
            return ol_fail(err, OLV_NOMEM, "no memory for an attribute");
        }
    }
    return OLV_OK;
}

/* ---- functions ---- */

static const ol_onnx_function *find_function(const ol_onnx_reader *r, const node_text *n) {
    for (int i = 0; i < r->n_functions; i++) {
        const ol_onnx_function *f = &r->functions[i];
        if (ol_str_eq(f->domain, n->domain) && ol_str_eq(f->name, n->op) && ol_str_eq(f->overload, n->overload)) return f;
    }
    return NULL;
}

static olv_status add_default_attrs(ol_onnx_reader *r, ol_bytes m, ol_graph *g, ol_onnx_draft *d, olv_error *err) {
    ol_pb_field f;
    ol_onnx_scope none = {.prefix = ""};
    while (ol_pb_next(&m, &f) > 0) {
        ol_attr a;
        bool skip;
        if (f.number != 11 || f.wire != 2) continue;
        OL_TRY(read_attr(r, ol_pb_message(&f), g, &none, &a, &skip, err));
        if (ol_onnx_draft_attr(d, a.name)) release_attr(&a);
        else if (!ol_onnx_draft_add(d, a)) return ol_fail(err, OLV_NOMEM, "no memory for an attribute");
    }
    return OLV_OK;
}

static olv_status bind_call(ol_bytes m, ol_onnx_draft *d, ol_onnx_scope *inner, olv_error *err) {
    ol_pb_field f;
    int in = 0;
    while (ol_pb_next(&m, &f) > 0) {
        if (f.number != 4 || f.wire != 2) continue;
        ol_value *v = in < d->n_in ? d->in[in] : NULL;
        OL_TRY(ol_onnx_define(inner, f.bytes, v, err));
        in++;
    }
    if (d->n_in > in) return ol_fail(err, OLV_FORMAT, "%d inputs found, the function has %d", d->n_in, in);
    return OLV_OK;
}

static olv_status parse_opsets(ol_bytes m, ol_onnx_opset *o, int *n, olv_error *err) {
    ol_pb_field f, g;
    *n = 0;
    while (ol_pb_next(&m, &f) > 0) {
        if (f.number != 9 || f.wire != 2) continue;
        if (*n == 64) return ol_fail(err, OLV_LIMIT, "more than 64 opset imports");
        ol_bytes p = ol_pb_message(&f);
        o[*n] = (ol_onnx_opset){{"", 0}, 1};
        while (ol_pb_next(&p, &g) > 0) {
            if (g.number == 1 && g.wire == 2) o[*n].domain = g.bytes;
            if (g.number == 2 && g.wire == 0) o[*n].version = (int64_t)g.value;
        }
        if (ol_str_is(o[*n].domain, "ai.onnx")) o[*n].domain = (ol_str){"", 0};
        (*n)++;
    }
    return OLV_OK;
}

/* The outputs of a call: the values of the body, under the caller's names. */
static olv_status take_results(ol_bytes m, const node_text *n, ol_onnx_scope *scope, const ol_onnx_scope *inner,
                               olv_error *err) {
    ol_pb_field f;
    int i = 0;
    while (ol_pb_next(&m, &f) > 0) {
        if (f.number != 5 || f.wire != 2) continue;
        if (i < n->n_out && n->out[i].len) {
            ol_value *v = ol_onnx_lookup(inner, f.bytes);
            if (!v) return ol_fail(err, OLV_FORMAT, "function output '%.*s' is not defined", (int)f.bytes.len, f.bytes.ptr);
            OL_TRY(ol_onnx_define(scope, n->out[i], v, err));
        }
        i++;
    }
    return OLV_OK;
}

static olv_status inline_call(ol_onnx_reader *r, const ol_onnx_function *fn, const node_text *n, ol_graph *g,
                              ol_onnx_scope *scope, ol_onnx_draft *d, olv_error *err) {
    ol_bytes m = ol_bytes_of(fn->message.ptr, fn->message.len);
    ol_onnx_opset opsets[64];
    ol_onnx_scope inner = {.opsets = opsets};
    if (++r->depth > OL_ONNX_MAX_DEPTH)
        return ol_fail(err, OLV_LIMIT, "functions call one another more than %d deep", OL_ONNX_MAX_DEPTH);
    OL_TRY(parse_opsets(m, opsets, &inner.n_opsets, err));
    OL_TRY(add_default_attrs(r, m, g, d, err));
    inner.prefix = ol_arena_printf(g->arena, "%s%.*s_%d/", scope->prefix, (int)n->op.len, n->op.ptr, r->n_inlined++);
    if (!inner.prefix || strlen(inner.prefix) > 2048) return ol_fail(err, OLV_LIMIT, "names of inlined functions too long");
    inner.call_attrs = d->attrs;
    inner.n_call_attrs = d->n_attrs;
    ol_map_init(&inner.names);
    olv_status s = bind_call(m, d, &inner, err);
    if (s == OLV_OK) s = ol_onnx_nodes(r, m, 7, g, &inner, err);
    if (s == OLV_OK) s = take_results(m, n, scope, &inner, err);
    ol_map_deinit(&inner.names);
    r->depth--;
    return s;
}

/* ---- nodes ---- */

static olv_status convert(ol_onnx_reader *r, const node_text *n, ol_graph *g, ol_onnx_scope *scope, ol_onnx_draft *d,
                          olv_error *err) {
    OL_TRY(fill_draft(r, n, g, scope, d, err));
    if (++r->n_nodes > OL_ONNX_MAX_NODES) return ol_fail(err, OLV_LIMIT, "more than %d nodes", OL_ONNX_MAX_NODES);
    const ol_onnx_function *fn = find_function(r, n);
    if (fn) return inline_call(r, fn, n, g, scope, d, err);
    bool translated;
    OL_TRY(ol_onnx_upgrade(d, err));
    OL_TRY(ol_onnx_translate(d, &translated, err));
    if (!translated) OL_TRY(ol_onnx_add_draft(d, err));
    for (int i = 0; i < n->n_out; i++)
        if (n->out[i].len && d->results[i]) OL_TRY(ol_onnx_define(scope, n->out[i], d->results[i], err));
    return OLV_OK;
}

static olv_status read_node(ol_onnx_reader *r, const node_text *n, ol_graph *g, ol_onnx_scope *scope, olv_error *err) {
    ol_onnx_draft d = {.g = g};
    int depth = r->depth; /* places far inside are not named: the message would be nothing else */
    olv_status s = convert(r, n, g, scope, &d, err);
    draft_deinit(&d);
    if (s == OLV_OK || depth > 3) return s;
    if (err && !strncmp(err->message, "node '", 6)) return s; /* the place is named already */
    return ol_error_at(err, "node '%.*s' (%.*s)", (int)(n->name.len > 200 ? 200 : n->name.len), n->name.ptr ? n->name.ptr : "",
                       (int)(n->op.len > 100 ? 100 : n->op.len), n->op.ptr ? n->op.ptr : "");
}

typedef struct node_list {
    node_text *nodes;
    int n;
    ol_map producers; /* output name -> node index */
    int *stack, *next_input;
} node_list;

static olv_status collect(ol_arena *a, ol_bytes m, uint32_t field, node_list *l, olv_error *err) {
    ol_pb_field f;
    int count = 0;
    for (ol_bytes p = m; ol_pb_next(&p, &f) > 0;)
        if (f.number == field && f.wire == 2) count++;
    if (count > OL_ONNX_MAX_NODES) return ol_fail(err, OLV_LIMIT, "%d nodes", count);
    l->nodes = ol_calloc((size_t)count + 1, sizeof *l->nodes);
    l->stack = ol_calloc((size_t)count + 1, sizeof *l->stack);
    l->next_input = ol_calloc((size_t)count + 1, sizeof *l->next_input);
    if (!l->nodes || !l->stack || !l->next_input) return ol_fail(err, OLV_NOMEM, "no memory for %d nodes", count);
    while (ol_pb_next(&m, &f) > 0) {
        if (f.number != field || f.wire != 2) continue;
        node_text *n = &l->nodes[l->n];
        OL_TRY(parse_node(a, f.bytes, n, err));
        for (int i = 0; i < n->n_out; i++)
            if (n->out[i].len && ol_map_put(&l->producers, n->out[i], (uint64_t)l->n) < 0)
                return ol_fail(err, OLV_NOMEM, "no memory for names");
        l->n++;
    }
    return m.failed ? malformed(err, "graph") : OLV_OK;
}

/* Reads node `first` after the nodes that make its inputs: files need not be sorted. */
static olv_status read_after_inputs(ol_onnx_reader *r, node_list *l, int first, ol_graph *g, ol_onnx_scope *scope,
                                    olv_error *err) {
    int depth = 0;
    l->stack[depth++] = first;
    l->nodes[first].state = 1;
    while (depth) {
        int i = l->stack[depth - 1], need = -1;
        node_text *n = &l->nodes[i];
        while (l->next_input[i] < n->n_in && need < 0) {
            const uint64_t *p = ol_map_get(&l->producers, n->in[l->next_input[i]++]);
            if (p && l->nodes[*p].state != 2) need = (int)*p;
        }
        if (need >= 0) {
            if (l->nodes[need].state == 1)
                return ol_fail(err, OLV_FORMAT, "node '%.*s' is on a cycle", (int)(n->name.len > 200 ? 200 : n->name.len),
                               n->name.ptr ? n->name.ptr : "");
            l->nodes[need].state = 1;
            l->stack[depth++] = need;
            continue;
        }
        OL_TRY(read_node(r, n, g, scope, err));
        n->state = 2;
        depth--;
    }
    return OLV_OK;
}

olv_status ol_onnx_nodes(ol_onnx_reader *r, ol_bytes m, uint32_t field, ol_graph *g, ol_onnx_scope *scope,
                         olv_error *err) {
    node_list l = {NULL};
    ol_arena *a = ol_arena_create();
    ol_map_init(&l.producers);
    olv_status s = a ? collect(a, m, field, &l, err) : ol_fail(err, OLV_NOMEM, "no memory");
    for (int i = 0; s == OLV_OK && i < l.n; i++)
        if (l.nodes[i].state == 0) s = read_after_inputs(r, &l, i, g, scope, err);
    ol_map_deinit(&l.producers);
    ol_free(l.nodes);
    ol_free(l.stack);
    ol_free(l.next_input);
    if (a) ol_arena_destroy(a);
    return s;
}
