/* SPDX-License-Identifier: Apache-2.0 */
/* Layers, ports and edges as XML; the document around them is put together at the end (emit_file.c). */
#include "base/alloc.h"
#include "base/checked.h"
#include "base/error.h"
#include "formats/openvino/emit_private.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- text ---- */

/* An attribute value: what XML cannot say, or would not give back, is written as a reference, or becomes U+FFFD. */
static void put_escaped(ol_buf *b, const char *s) {
    for (size_t n = strlen(s); n;) {
        int32_t cp;
        int k = ol_utf8_decode(s, n, &cp);
        const char *entity = cp == '&' ? "&amp;" : cp == '<' ? "&lt;" : cp == '>' ? "&gt;" : cp == '"' ? "&quot;" : NULL;
        if (entity) ol_buf_puts(b, entity);
        else if (cp == '\t' || cp == '\n' || cp == '\r') ol_buf_printf(b, "&#%d;", (int)cp);
        else if (cp < 0x20 || cp == 0xFFFE || cp == 0xFFFF) ol_buf_puts(b, "\xEF\xBF\xBD");
        else ol_buf_append(b, s, (size_t)k);
        s += k;
        n -= (size_t)k;
    }
}

static void put_attr(ol_buf *b, const char *name, const char *value) {
    ol_buf_printf(b, " %s=\"", name);
    put_escaped(b, value);
    ol_buf_putc(b, '"');
}

static void indent(ol_buf *b, int depth) {
    for (int i = 0; i < depth; i++) ol_buf_putc(b, '\t');
}

static const char *keep(ol_ir_emit *e, const char *text) {
    char *s = ol_arena_strdup(e->file->arena, text);
    if (!s) ol_ir_latch(e->file, OLV_NOMEM);
    return s;
}

ol_ir_attr ol_ir_say_text(const char *name, const char *text) { return (ol_ir_attr){name, text}; }
ol_ir_attr ol_ir_say_bool(const char *name, bool v) { return (ol_ir_attr){name, v ? "true" : "false"}; }

ol_ir_attr ol_ir_say_int(ol_ir_emit *e, const char *name, int64_t v) {
    char text[32];
    snprintf(text, sizeof text, "%lld", (long long)v);
    return (ol_ir_attr){name, keep(e, text)};
}

ol_ir_attr ol_ir_say_float(ol_ir_emit *e, const char *name, double v) {
    char text[64];
    float f = (float)v;
    bool narrow = isfinite(v) && (double)f == v;
    if (isinf(v)) v = v > 0 ? 3.4028234663852886e38 : -3.4028234663852886e38;
    for (int digits = 1; digits <= 17; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, v);
        if (narrow ? strtof(text, NULL) == f : strtod(text, NULL) == v) break;
    }
    return (ol_ir_attr){name, keep(e, text)};
}

ol_ir_attr ol_ir_say_ints(ol_ir_emit *e, const char *name, const int64_t *v, size_t n) {
    ol_buf b = OL_BUF_INIT;
    for (size_t i = 0; i < n; i++) ol_buf_printf(&b, "%s%lld", i ? ", " : "", (long long)v[i]);
    ol_ir_attr a = {name, keep(e, b.data ? b.data : "")};
    if (b.failed) ol_ir_latch(e->file, OLV_NOMEM);
    ol_buf_deinit(&b);
    return a;
}

static int by_text(const void *a, const void *b) { return strcmp(*(const char *const *)a, *(const char *const *)b); }

const char *ol_ir_names(ol_ir_emit *e, const char *const *names, int n) {
    const char **sorted = ol_arena_calloc(e->file->arena, (size_t)n + 1, sizeof *sorted);
    ol_buf b = OL_BUF_INIT;
    if (sorted && n) {
        memcpy(sorted, names, (size_t)n * sizeof *sorted);
        qsort(sorted, (size_t)n, sizeof *sorted, by_text);
    }
    for (int i = 0; sorted && i < n; i++) {
        if (i) ol_buf_putc(&b, ',');
        for (const char *p = sorted[i]; *p; p++) {
            if (*p == ',') ol_buf_putc(&b, '\\');
            ol_buf_putc(&b, *p);
        }
    }
    const char *text = keep(e, b.data ? b.data : "");
    if (b.failed || !sorted) ol_ir_latch(e->file, OLV_NOMEM);
    ol_buf_deinit(&b);
    return text;
}

/* ---- layers ---- */

ol_ir_type ol_ir_type_of(ol_dtype t, int rank, const int64_t *dims) {
    ol_ir_type r = {.element = ol_ir_element_of(t), .rank = rank};
    for (int i = 0; i < rank; i++) r.dims[i] = dims && dims[i] >= 0 ? dims[i] : -1;
    return r;
}

const ol_ir_type *ol_ir_get_type(const ol_ir_emit *e, ol_ir_out o) {
    if (o.layer < 0 || o.layer >= e->n_layers) return NULL;
    const ol_ir_ports *p = &e->ports[o.layer];
    int i = o.port - p->n_in;
    return i >= 0 && i < p->n_out ? &p->out[i] : NULL;
}

/* The name, or that with the smallest number that makes it new. */
static const char *unique_name(ol_ir_emit *e, const char *name, const char *type) {
    char made[96];
    if (!name) {
        snprintf(made, sizeof made, "%.64s_%d", type, e->n_layers);
        name = made;
    }
    uint64_t *taken = ol_map_get(&e->names, ol_str_of(name));
    const char *fresh = NULL;
    if (!taken) {
        fresh = keep(e, name);
    } else {
        do {
            fresh = ol_arena_printf(e->file->arena, "%s_%llu", name, (unsigned long long)++*taken);
        } while (fresh && ol_map_get(&e->names, ol_str_of(fresh)));
    }
    if (!fresh || ol_map_put(&e->names, ol_str_of(fresh), 0) < 0) {
        ol_ir_latch(e->file, OLV_NOMEM);
        return "";
    }
    return fresh;
}

static void put_port(ol_ir_emit *e, int id, const ol_ir_type *t, const char *names) {
    ol_buf *b = &e->layers;
    indent(b, e->depth + 2);
    ol_buf_printf(b, "<port id=\"%d\" precision=\"%s\"", id, t->element->precision);
    if (names && *names) put_attr(b, "names", names);
    if (t->rank <= 0) {
        ol_buf_puts(b, " />\n");
        return;
    }
    ol_buf_puts(b, ">\n");
    for (int i = 0; i < t->rank; i++) {
        indent(b, e->depth + 3);
        ol_buf_printf(b, "<dim>%lld</dim>\n", (long long)t->dims[i]);
    }
    indent(b, e->depth + 2);
    ol_buf_puts(b, "</port>\n");
}

static bool grow(void **p, size_t *cap, size_t need, size_t each) {
    if (need <= *cap) return true;
    size_t want = *cap ? *cap * 2 : 64;
    size_t bytes;
    if (want < need) want = need;
    void *q = ol_mul_size(want, each, &bytes) ? ol_realloc(*p, bytes) : NULL;
    if (!q) return false;
    *p = q;
    *cap = want;
    return true;
}

static void add_edge(ol_ir_emit *e, ol_ir_out from, int to_port) {
    if (!grow((void **)&e->edges, &e->cap_edges, e->n_edges + 1, sizeof *e->edges)) {
        ol_ir_latch(e->file, OLV_NOMEM);
        return;
    }
    e->edges[e->n_edges++] = (ol_ir_edge){from.layer, from.port, e->n_layers, to_port};
}

/* Remembers the ports of the layer that comes next. */
static bool add_ports(ol_ir_emit *e, const ol_ir_layer *l, const ol_ir_type *out, int n_out, size_t at, size_t out_at) {
    size_t cap = (size_t)e->cap_layers;
    ol_ir_type *kept = ol_arena_calloc(e->file->arena, (size_t)n_out + 1, sizeof *kept);
    bool *named = ol_arena_calloc(e->file->arena, (size_t)n_out + 1, sizeof *named);
    if (!kept || !named || !grow((void **)&e->ports, &cap, (size_t)e->n_layers + 1, sizeof *e->ports)) return false;
    e->cap_layers = (int)cap;
    for (int i = 0; i < n_out; i++) kept[i] = out[i];
    for (int i = 0; l->names && i < n_out; i++) named[i] = l->names[i] != NULL;
    e->ports[e->n_layers] = (ol_ir_ports){l->n_in, n_out, kept, named, at, out_at};
    return true;
}

static void put_data(ol_ir_emit *e, const ol_ir_layer *l) {
    ol_buf *b = &e->layers;
    bool any = false;
    for (int i = 0; i < l->n_attrs; i++) {
        if (!l->attrs[i].text) continue;
        if (!any) indent(b, e->depth + 1);
        if (!any) ol_buf_puts(b, "<data");
        any = true;
        put_attr(b, l->attrs[i].name, l->attrs[i].text);
    }
    if (any) ol_buf_puts(b, " />\n");
    if (!l->rt_info) return;
    indent(b, e->depth + 1);
    ol_buf_puts(b, "<rt_info>\n");
    indent(b, e->depth + 2);
    ol_buf_printf(b, "<attribute name=\"%s\" version=\"0\" />\n", l->rt_info);
    indent(b, e->depth + 1);
    ol_buf_puts(b, "</rt_info>\n");
}

static void put_ports(ol_ir_emit *e, const char *tag, const ol_ir_layer *l, const ol_ir_type *out, int n_out) {
    bool input = !strcmp(tag, "input");
    int n = input ? l->n_in : n_out;
    if (!n) return;
    indent(&e->layers, e->depth + 1);
    ol_buf_printf(&e->layers, "<%s>\n", tag);
    for (int i = 0; i < n; i++) {
        const ol_ir_type *t = input ? ol_ir_get_type(e, l->in[i]) : &out[i];
        if (t) put_port(e, input ? i : l->n_in + i, t, input || !l->names ? NULL : l->names[i]);
    }
    indent(&e->layers, e->depth + 1);
    ol_buf_printf(&e->layers, "</%s>\n", tag);
}

ol_ir_out ol_ir_add(ol_ir_emit *e, const ol_ir_layer *l) {
    static const ol_ir_type unknown = {.rank = -1};
    ol_ir_type one = unknown;
    one.element = ol_ir_element_of(OL_DTYPE_NONE);
    if (!e || e->file->status != OLV_OK) return OL_IR_NONE;
    const ol_ir_type *out = l->out ? l->out : &one;
    int n_out = l->out ? l->n_out : 1, n_in = l->n_in;
    for (int i = 0; i < n_in; i++) {
        if (ol_ir_get_type(e, l->in[i])) continue;
        ol_fail(ol_ir_error(e->file), OLV_INTERNAL, "layer '%.100s' (%.60s): input %d is missing", l->name ? l->name : "", l->type, i);
        ol_ir_latch(e->file, OLV_INTERNAL);
        return OL_IR_NONE;
    }
    ol_buf *b = &e->layers;
    size_t at = b->len, out_at;
    indent(b, e->depth);
    ol_buf_printf(b, "<layer id=\"%d\"", e->n_layers);
    put_attr(b, "name", unique_name(e, l->name, l->type));
    put_attr(b, "type", l->type);
    put_attr(b, "version", l->version ? l->version : "opset1");
    ol_buf_puts(b, ">\n");
    put_data(e, l);
    for (int i = 0; i < n_in; i++) add_edge(e, l->in[i], i);
    put_ports(e, "input", l, out, n_out);
    out_at = b->len;
    put_ports(e, "output", l, out, n_out);
    if (l->tail) ol_buf_append(b, l->tail->data, l->tail->len);
    indent(b, e->depth);
    ol_buf_puts(b, "</layer>\n");
    if (!add_ports(e, l, out, n_out, at, out_at) || b->failed || (l->tail && l->tail->failed)) ol_ir_latch(e->file, OLV_NOMEM);
    if (e->file->status != OLV_OK) return OL_IR_NONE;
    return (ol_ir_out){e->n_layers++, n_in};
}

/* Puts text in the place of `drop` bytes of the layers. */
static void splice(ol_ir_emit *e, size_t at, size_t drop, const ol_buf *text) {
    ol_buf *b = &e->layers;
    size_t old = b->len;
    if (text->failed || !ol_buf_reserve(b, text->len)) {
        ol_ir_latch(e->file, OLV_NOMEM);
        return;
    }
    memmove(b->data + at + text->len, b->data + at + drop, old - at - drop + 1);
    if (text->len) memcpy(b->data + at, text->data, text->len);
    b->len = old + text->len - drop;
    for (int i = e->n_layers - 1; i >= 0 && e->ports[i].out_at >= at; i--) {
        e->ports[i].out_at += text->len - drop;
        if (e->ports[i].at >= at) e->ports[i].at += text->len - drop;
    }
}

void ol_ir_give_names(ol_ir_emit *e, ol_ir_out o, const char *layer, const char *names) {
    if (!ol_ir_get_type(e, o) || e->file->status != OLV_OK) return;
    ol_ir_ports *p = &e->ports[o.layer];
    ol_buf text = OL_BUF_INIT;
    if (layer) {
        const char *at = strstr(e->layers.data + p->at, " name=\""), *end = at ? strchr(at + 7, '"') : NULL;
        put_attr(&text, "name", unique_name(e, layer, "layer"));
        if (end) splice(e, (size_t)(at - e->layers.data), (size_t)(end + 1 - at), &text);
        ol_buf_clear(&text);
    }
    if (names && *names) {
        char tag[40];
        snprintf(tag, sizeof tag, "<port id=\"%d\"", o.port);
        const char *at = strstr(e->layers.data + p->out_at, tag);
        at = at ? strstr(at, " precision=\"") : NULL;
        at = at ? strchr(at + 12, '"') : NULL;
        put_attr(&text, "names", names);
        if (at) splice(e, (size_t)(at + 1 - e->layers.data), 0, &text);
        p->named[o.port - p->n_in] = true;
    }
    ol_buf_deinit(&text);
}

bool ol_ir_has_names(const ol_ir_emit *e, ol_ir_out o) {
    return ol_ir_get_type(e, o) && e->ports[o.layer].named[o.port - e->ports[o.layer].n_in];
}

/* ---- bodies ---- */

void ol_ir_put_element(ol_buf *tail, const char *tag, const ol_ir_attr *attrs, int n) {
    ol_buf_printf(tail, "<%s", tag);
    for (int i = 0; i < n; i++)
        if (attrs[i].text) put_attr(tail, attrs[i].name, attrs[i].text);
    ol_buf_puts(tail, " />\n");
}

static int by_source(const void *a, const void *b) {
    const ol_ir_edge *x = a, *y = b;
    if (x->from != y->from) return x->from < y->from ? -1 : 1;
    if (x->to != y->to) return x->to < y->to ? -1 : 1;
    return x->to_port - y->to_port;
}

void ol_ir_put_body(const ol_ir_emit *e, const char *tag, ol_buf *out) {
    int d = e->depth - 2;
    if (*tag) {
        indent(out, d);
        ol_buf_printf(out, "<%s>\n", tag);
    }
    indent(out, d + 1);
    ol_buf_puts(out, "<layers>\n");
    ol_buf_append(out, e->layers.data, e->layers.len);
    indent(out, d + 1);
    ol_buf_puts(out, "</layers>\n");
    indent(out, d + 1);
    ol_buf_puts(out, "<edges>\n");
    if (e->n_edges) qsort(e->edges, e->n_edges, sizeof *e->edges, by_source);
    for (size_t i = 0; i < e->n_edges; i++) {
        const ol_ir_edge *x = &e->edges[i];
        indent(out, d + 2);
        ol_buf_printf(out, "<edge from-layer=\"%d\" from-port=\"%d\" to-layer=\"%d\" to-port=\"%d\" />\n", x->from, x->from_port, x->to, x->to_port);
    }
    indent(out, d + 1);
    ol_buf_puts(out, "</edges>\n");
    if (!*tag) return;
    indent(out, d + 1);
    ol_buf_puts(out, "<rt_info />\n");
    indent(out, d);
    ol_buf_printf(out, "</%s>\n", tag);
}
