/* SPDX-License-Identifier: Apache-2.0 */
#include "base/xml.h"
#include "base/error.h"
#include <expat.h>

#define CHUNK (1 << 20) /* bytes given to expat at once: it counts them in int */

typedef struct reader {
    XML_Parser parser;
    const char *name;
    ol_arena *arena;
    ol_xml *root, *open;
    ol_buf text[OL_XML_MAX_DEPTH]; /* of the open elements */
    int depth;
    size_t n_nodes;
    olv_status status;
    olv_error *err;
} reader;

static int line_of(const reader *r) {
    XML_Size n = XML_GetCurrentLineNumber(r->parser);
    return n > INT32_MAX ? INT32_MAX : (int)n;
}

static void stop(reader *r, olv_status s, const char *what) {
    if (r->status != OLV_OK) return;
    r->status = ol_fail(r->err, s, "%s:%d: %s", r->name, line_of(r), what);
    XML_StopParser(r->parser, XML_FALSE);
}

static bool copy_attrs(reader *r, ol_xml *e, const char **atts) {
    while (atts[2 * e->n_attrs]) e->n_attrs++;
    ol_xml_attr *a = ol_arena_calloc(r->arena, (size_t)e->n_attrs + 1, sizeof *a);
    for (int i = 0; a && i < e->n_attrs; i++) {
        a[i].name = ol_arena_strdup(r->arena, atts[2 * i]);
        a[i].value = ol_arena_strdup(r->arena, atts[2 * i + 1]);
        if (!a[i].name || !a[i].value) return false;
    }
    e->attrs = a;
    return a != NULL;
}

static void on_start(void *ctx, const char *name, const char **atts) {
    reader *r = ctx;
    if (r->status != OLV_OK) return;
    if (r->depth == OL_XML_MAX_DEPTH) return stop(r, OLV_LIMIT, "elements nested too deeply");
    if (++r->n_nodes > OL_XML_MAX_NODES) return stop(r, OLV_LIMIT, "too many elements");
    ol_xml *e = ol_arena_calloc(r->arena, 1, sizeof *e);
    if (!e || !(e->name = ol_arena_strdup(r->arena, name)) || !copy_attrs(r, e, atts))
        return stop(r, OLV_NOMEM, "no memory for a document");
    e->text = "";
    e->line = line_of(r);
    e->parent = r->open;
    if (!r->open) r->root = e;
    else if (r->open->last) r->open->last->next = e;
    else r->open->first = e;
    if (r->open) r->open->last = e;
    r->open = e;
    ol_buf_clear(&r->text[r->depth++]);
}

static void on_end(void *ctx, const char *name) {
    reader *r = ctx;
    (void)name;
    if (r->status != OLV_OK) return;
    const ol_buf *b = &r->text[--r->depth];
    if (b->len) r->open->text = ol_arena_strndup(r->arena, b->data, b->len);
    if (b->failed || !r->open->text) return stop(r, OLV_NOMEM, "no memory for a document");
    r->open = r->open->parent;
}

/* White space between elements is not worth keeping: it is dropped until something else comes. */
static void on_text(void *ctx, const char *s, int len) {
    reader *r = ctx;
    if (r->status != OLV_OK || !r->depth) return;
    ol_buf *b = &r->text[r->depth - 1];
    size_t n = (size_t)len;
    if (!b->len)
        while (n && strchr(" \t\r\n", *s)) s++, n--;
    ol_buf_append(b, s, n);
}

static void on_doctype(void *ctx, const char *name, const char *system, const char *public, int internal) {
    (void)name, (void)system, (void)public, (void)internal;
    stop(ctx, OLV_FORMAT, "a document type (DOCTYPE) is refused: entities are not read");
}

static void feed(reader *r, const char *text, size_t len) {
    for (size_t at = 0; r->status == OLV_OK;) {
        size_t n = len - at < CHUNK ? len - at : CHUNK;
        bool last = at + n == len;
        if (XML_Parse(r->parser, text + at, (int)n, last) != XML_STATUS_OK) {
            enum XML_Error e = XML_GetErrorCode(r->parser);
            stop(r, e == XML_ERROR_NO_MEMORY ? OLV_NOMEM : OLV_FORMAT, XML_ErrorString(e));
        }
        if (last) return;
        at += n;
    }
}

olv_status ol_xml_parse(const char *text, size_t len, const char *name, ol_arena *arena, ol_xml **out, olv_error *err) {
    if (len > OL_XML_MAX_BYTES)
        return ol_fail(err, OLV_LIMIT, "%s: an XML document of %zu bytes, %zu at most", name, len, OL_XML_MAX_BYTES);
    reader r = {.name = name, .arena = arena, .err = err, .parser = XML_ParserCreate("UTF-8")};
    if (!r.parser) return ol_fail(err, OLV_NOMEM, "no memory for a document");
    XML_SetUserData(r.parser, &r);
    XML_SetElementHandler(r.parser, on_start, on_end);
    XML_SetCharacterDataHandler(r.parser, on_text);
    XML_SetStartDoctypeDeclHandler(r.parser, on_doctype);
    feed(&r, text, len);
    XML_ParserFree(r.parser);
    for (int i = 0; i < OL_XML_MAX_DEPTH; i++) ol_buf_deinit(&r.text[i]);
    if (r.status == OLV_OK) *out = r.root;
    return r.status;
}

const char *ol_xml_get(const ol_xml *e, const char *attr) {
    for (int i = 0; e && i < e->n_attrs; i++)
        if (!strcmp(e->attrs[i].name, attr)) return e->attrs[i].value;
    return NULL;
}

ol_xml *ol_xml_child(const ol_xml *e, const char *name) {
    for (ol_xml *c = e ? e->first : NULL; c; c = c->next)
        if (!strcmp(c->name, name)) return c;
    return NULL;
}

ol_xml *ol_xml_next(const ol_xml *e) {
    for (ol_xml *c = e->next; c; c = c->next)
        if (!strcmp(c->name, e->name)) return c;
    return NULL;
}

bool ol_xml_parse_int(const char *text, size_t len, int64_t *out) {
    while (len && strchr(" \t\r\n", *text)) text++, len--;
    while (len && strchr(" \t\r\n", text[len - 1])) len--;
    bool minus = len && *text == '-';
    if (len && (*text == '-' || *text == '+')) text++, len--;
    int64_t v = 0;
    if (!len) return false;
    for (size_t i = 0; i < len; i++) {
        int d = text[i] - '0';
        if (d < 0 || d > 9 || __builtin_mul_overflow(v, 10, &v) || __builtin_sub_overflow(v, d, &v)) return false;
    }
    if (!minus && v == INT64_MIN) return false;
    *out = minus ? v : -v;
    return true;
}

olv_status ol_xml_int(const ol_xml *e, const char *attr, int64_t min, int64_t max, int64_t *out, olv_error *err) {
    const char *text = ol_xml_get(e, attr);
    int64_t v;
    if (!text) return ol_fail(err, OLV_FORMAT, "line %d: <%s> lacks attribute '%s'", e->line, e->name, attr);
    if (!ol_xml_parse_int(text, strlen(text), &v) || v < min || v > max)
        return ol_fail(err, OLV_FORMAT, "line %d: <%s> %s=\"%.60s\" found, a number from %lld to %lld expected", e->line, e->name,
                       attr, text, (long long)min, (long long)max);
    *out = v;
    return OLV_OK;
}
