/* SPDX-License-Identifier: Apache-2.0 */
/* The layers and edges of a body, and their translation in the order of their dependencies. */
#include "base/checked.h"
#include "base/error.h"
#include "formats/openvino/reader.h"
#include <stdlib.h>

#define MAX_DEPTH 24 /* bodies inside one another */

olv_status ol_ir_at(const ol_ir_layer *l, olv_error *err) {
    return ol_error_at(err, "line %d: layer '%.200s' (%.60s, %.60s)", l->xml->line, l->name, l->type, l->version);
}

static olv_status no_memory(olv_error *err) { return ol_fail(err, OLV_NOMEM, "no memory for the layers of a model"); }

const char *ol_ir_port_name(ol_arena *a, const char *names, int k) {
    ol_buf b = OL_BUF_INIT;
    char *r = NULL;
    for (; *names && k >= 0; names++) {
        if (*names == ',') {
            k--;
        } else if (k == 0) {
            if (*names == '\\' && names[1]) names++;
            ol_buf_putc(&b, *names);
        } else if (*names == '\\' && names[1]) {
            names++;
        }
    }
    if (b.len && !b.failed) r = ol_arena_strndup(a, b.data, b.len);
    ol_buf_deinit(&b);
    return r;
}

/* ---- reading ---- */

static olv_status read_port(const ol_xml *p, ol_ir_port *out, olv_error *err) {
    const char *precision = ol_xml_get(p, "precision"), *names = ol_xml_get(p, "names");
    OL_TRY(ol_xml_int(p, "id", 0, INT32_MAX, &out->id, err));
    out->names = names ? names : "";
    out->element = precision ? ol_ir_element_named(precision) : NULL;
    if (precision && !out->element) return ol_fail(err, OLV_UNSUPPORTED, "line %d: element type '%.40s' of a port", p->line, precision);
    return OLV_OK;
}

static olv_status read_ports(ol_arena *a, const ol_xml *list, ol_ir_port **out, int *n, olv_error *err) {
    *n = 0;
    for (const ol_xml *p = ol_xml_child(list, "port"); p; p = ol_xml_next(p))
        if (++*n > OL_IR_MAX_PORTS) return ol_fail(err, OLV_LIMIT, "line %d: more than %d ports", p->line, OL_IR_MAX_PORTS);
    int i = 0;
    if (!(*out = ol_arena_calloc(a, (size_t)*n + 1, sizeof **out))) return no_memory(err);
    for (const ol_xml *p = ol_xml_child(list, "port"); p; p = ol_xml_next(p)) OL_TRY(read_port(p, &(*out)[i++], err));
    return OLV_OK;
}

static olv_status read_layer(ol_arena *a, const ol_xml *e, ol_ir_layer *l, olv_error *err) {
    *l = (ol_ir_layer){.xml = e, .data = ol_xml_child(e, "data"), .name = ol_xml_get(e, "name"), .type = ol_xml_get(e, "type"),
                       .version = ol_xml_get(e, "version")};
    OL_TRY(ol_xml_int(e, "id", 0, INT64_MAX, &l->id, err));
    if (!l->name || !*l->name || !l->type || !*l->type)
        return ol_fail(err, OLV_FORMAT, "line %d: layer %lld without a name or a type", e->line, (long long)l->id);
    if (!l->version) l->version = "opset1";
    OL_TRY(read_ports(a, ol_xml_child(e, "input"), &l->in_ports, &l->n_in, err));
    OL_TRY(read_ports(a, ol_xml_child(e, "output"), &l->out_ports, &l->n_out, err));
    l->in = ol_arena_calloc(a, (size_t)l->n_in + 1, sizeof *l->in);
    l->out = ol_arena_calloc(a, (size_t)l->n_out + 1, sizeof *l->out);
    return l->in && l->out ? OLV_OK : no_memory(err);
}

static int compare_ids(const void *a, const void *b) {
    const ol_ir_layer *x = *(ol_ir_layer *const *)a, *y = *(ol_ir_layer *const *)b;
    return (x->id > y->id) - (x->id < y->id);
}

ol_ir_layer *ol_ir_body_find(const ol_ir_body *b, int64_t id) {
    int lo = 0, hi = b->n;
    while (lo < hi) {
        int mid = lo + (hi - lo) / 2;
        if (b->by_id[mid]->id < id) lo = mid + 1;
        else hi = mid;
    }
    return lo < b->n && b->by_id[lo]->id == id ? b->by_id[lo] : NULL;
}

static int port_index(const ol_ir_port *ports, int n, int64_t id) {
    for (int i = 0; i < n; i++)
        if (ports[i].id == id) return i;
    return -1;
}

static olv_status read_edge(const ol_ir_body *b, const ol_xml *e, olv_error *err) {
    int64_t v[4];
    static const char *const names[] = {"from-layer", "from-port", "to-layer", "to-port"};
    for (int i = 0; i < 4; i++) OL_TRY(ol_xml_int(e, names[i], 0, INT64_MAX, &v[i], err));
    ol_ir_layer *from = ol_ir_body_find(b, v[0]), *to = ol_ir_body_find(b, v[2]);
    if (!from || !to)
        return ol_fail(err, OLV_FORMAT, "line %d: an edge %s layer %lld, which there is not", e->line, from ? "to" : "from",
                       (long long)(from ? v[2] : v[0]));
    int out = port_index(from->out_ports, from->n_out, v[1]), in = port_index(to->in_ports, to->n_in, v[3]);
    if (out < 0 || in < 0)
        return ol_fail(err, OLV_FORMAT, "line %d: an edge %s port %lld of layer '%.200s', which has no such %s", e->line,
                       out < 0 ? "from" : "to", (long long)(out < 0 ? v[1] : v[3]), out < 0 ? from->name : to->name, out < 0 ? "output" : "input");
    if (to->in[in].layer)
        return ol_fail(err, OLV_FORMAT, "line %d: two edges to port %lld of layer '%.200s'", e->line, (long long)v[3], to->name);
    to->in[in] = (ol_ir_edge){from, out};
    from->n_uses++;
    from->user = to;
    return OLV_OK;
}

olv_status ol_ir_body_read(ol_ir_reader *r, const ol_xml *net, ol_ir_body *out, olv_error *err) {
    const ol_xml *layers = ol_xml_child(net, "layers"), *edges = ol_xml_child(net, "edges");
    *out = (ol_ir_body){.n = 0};
    if (!layers) return ol_fail(err, OLV_FORMAT, "line %d: <%s> without <layers>", net->line, net->name);
    int n = 0, i = 0;
    for (const ol_xml *e = ol_xml_child(layers, "layer"); e; e = ol_xml_next(e)) n++; /* bounded by the document */
    out->layers = ol_arena_calloc(r->arena, (size_t)n + 1, sizeof *out->layers);
    out->by_id = ol_arena_calloc(r->arena, (size_t)n + 1, sizeof *out->by_id);
    if (!out->layers || !out->by_id) return no_memory(err);
    for (const ol_xml *e = ol_xml_child(layers, "layer"); e; e = ol_xml_next(e), i++) {
        OL_TRY(read_layer(r->arena, e, &out->layers[i], err));
        out->by_id[i] = &out->layers[i];
    }
    out->n = n;
    qsort(out->by_id, (size_t)n, sizeof *out->by_id, compare_ids);
    for (i = 1; i < n; i++)
        if (out->by_id[i]->id == out->by_id[i - 1]->id)
            return ol_fail(err, OLV_FORMAT, "line %d: a second layer with id %lld", out->by_id[i]->xml->line, (long long)out->by_id[i]->id);
    for (const ol_xml *e = ol_xml_child(edges, "edge"); e; e = ol_xml_next(e)) OL_TRY(read_edge(out, e, err));
    return OLV_OK;
}

/* ---- declared types ---- */

static olv_status one_dim(const ol_ir_layer *l, const char *s, size_t len, ol_dim_table *dims, ol_dim *out, olv_error *err) {
    int64_t v;
    while (len && *s == ' ') s++, len--;
    if (ol_xml_parse_int(s, len, &v) && v >= 0) {
        *out = v;
    } else if ((len == 1 && *s == '?') || (len == 2 && !memcmp(s, "-1", 2)) || (len > 2 && memmem(s, len, "..", 2))) {
        if ((*out = ol_dim_fresh(dims, "d")) == OL_DIM_NONE) return no_memory(err);
    } else {
        return ol_fail(err, OLV_FORMAT, "line %d: '%.*s' found in a shape, a size, a range or ? expected", l->xml->line,
                       (int)(len > 40 ? 40 : len), s);
    }
    return OLV_OK;
}

olv_status ol_ir_declared(const ol_ir_layer *l, const char *type, const char *shape, ol_dim_table *dims, ol_type *out, olv_error *err) {
    const char *t = ol_xml_get(l->data, type), *s = ol_xml_get(l->data, shape);
    const ol_ir_element *e = t ? ol_ir_element_named(t) : NULL;
    *out = (ol_type){.kind = OL_VALUE_TENSOR, .rank = -1};
    if (!t || !e) return ol_fail(err, OLV_FORMAT, "%s=\"%.40s\" found, an element type expected", type, t ? t : "");
    if (e->dtype == OL_DTYPE_NONE && e->bits) return ol_fail(err, OLV_UNSUPPORTED, "values of element type %s", e->name);
    out->dtype = e->dtype;
    if (!s || !strcmp(s, "...")) return OLV_OK;
    out->rank = 0;
    while (*s == ' ') s++;
    while (*s) {
        size_t n = strcspn(s, ",");
        if (out->rank == OL_MAX_RANK) return ol_fail(err, OLV_LIMIT, "rank above %d", OL_MAX_RANK);
        OL_TRY(one_dim(l, s, n, dims, &out->dims[out->rank++], err));
        s += n;
        if (*s == ',') s++;
    }
    return OLV_OK;
}

/* ---- translating ---- */

static olv_status translate_one(ol_ir_reader *r, ol_ir_body *b, ol_ir_layer *l, ol_graph *g, olv_error *err) {
    olv_error own = {.status = OLV_OK};
    ol_ir t = {.r = r, .body = b, .l = l, .g = g, .err = err ? err : &own};
    l->mark = 2;
    if (ol_ir_is(l, "Parameter") || ol_ir_is(l, "Const") || ol_ir_is(l, "Result")) return OLV_OK;
    for (int i = 0; i < l->n_out; i++)
        if (l->out[i]) return OLV_OK; /* folded with another layer */
    ol_ir_translate(&t);
    return t.status == OLV_OK ? OLV_OK : ol_ir_at(l, t.err);
}

/* The decompression of a weight is found at its end, before its parts are looked at. */
static olv_status fold_weight(ol_ir_reader *r, ol_ir_body *b, ol_ir_layer *l, ol_graph *g, olv_error *err) {
    olv_error own = {.status = OLV_OK};
    ol_ir t = {.r = r, .body = b, .l = l, .g = g, .err = err ? err : &own};
    bool done = false;
    if (ol_ir_is(l, "Multiply")) ol_ir_fold_weight(&t, &done);
    if (done) l->mark = 2;
    return t.status == OLV_OK ? OLV_OK : ol_ir_at(l, t.err);
}

/* The layers that `root` depends on, each after its inputs, without recursion. */
static olv_status visit(ol_ir_reader *r, ol_ir_body *b, ol_ir_layer *root, ol_ir_layer **stack, ol_graph *g, olv_error *err) {
    int depth = 0;
    if (root->mark) return OLV_OK;
    stack[depth++] = root;
    root->mark = 1;
    while (depth) {
        ol_ir_layer *l = stack[depth - 1];
        if (l->next_in == l->n_in) {
            OL_TRY(translate_one(r, b, l, g, err));
            depth--;
            continue;
        }
        ol_ir_layer *from = l->in[l->next_in++].layer;
        if (!from || from->mark == 2) continue;
        if (from->mark == 1) {
            ol_fail(err, OLV_FORMAT, "a cycle: the layer depends on itself");
            return ol_ir_at(from, err);
        }
        from->mark = 1;
        OL_TRY(fold_weight(r, b, from, g, err));
        if (from->mark == 1) stack[depth++] = from;
    }
    return OLV_OK;
}

olv_status ol_ir_body_translate(ol_ir_reader *r, ol_ir_body *b, ol_graph *g, olv_error *err) {
    if (++r->depth > MAX_DEPTH) return ol_fail(err, OLV_LIMIT, "bodies nested more than %d deep", MAX_DEPTH);
    ol_ir_layer **stack = ol_arena_calloc(r->arena, (size_t)b->n + 1, sizeof *stack);
    if (!stack) return no_memory(err);
    for (int i = 0; i < b->n; i++)
        if (ol_ir_is(&b->layers[i], "Result") || ol_ir_is(&b->layers[i], "Assign")) OL_TRY(visit(r, b, &b->layers[i], stack, g, err));
    r->depth--;
    return OLV_OK;
}

olv_status ol_ir_result_of(ol_ir_reader *r, ol_ir_body *b, ol_ir_layer *l, ol_graph *g, ol_value **out, olv_error *err) {
    olv_error own = {.status = OLV_OK};
    ol_ir t = {.r = r, .body = b, .l = l, .g = g, .err = err ? err : &own};
    *out = ol_ir_need(&t, 0);
    return t.status == OLV_OK ? OLV_OK : ol_ir_at(l, t.err);
}
