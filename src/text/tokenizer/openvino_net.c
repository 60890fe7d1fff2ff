/* SPDX-License-Identifier: Apache-2.0 */
#include "text/tokenizer/openvino_net.h"

#include "base/alloc.h"
#include "base/bytes.h"
#include "base/checked.h"
#include "base/error.h"

#include <stdlib.h>

#define MAX_LAYERS 100000
#define MAX_PORTS 4096

/* ---- layers and edges ---- */

static int by_id(const void *a, const void *b) {
    const ol_tk_ir_layer *x = a, *y = b;
    return x->id < y->id ? -1 : x->id > y->id;
}

static ol_tk_ir_layer *layer_of(const ol_tk_ir_net *n, int64_t id) {
    ol_tk_ir_layer key = {.id = id};
    return n->count ? bsearch(&key, n->layers, (size_t)n->count, sizeof key, by_id) : NULL;
}

static olv_status read_layer(ol_tk_ir_net *n, const ol_xml *e, ol_tk_ir_layer *l) {
    const ol_xml *input = ol_xml_child(e, "input"), *p;
    l->xml = e;
    l->data = ol_xml_child(e, "data");
    l->type = ol_xml_get(e, "type");
    if (!l->type) return ol_fail(n->err, OLV_FORMAT, "%s:%d: a layer without a type", n->path, e->line);
    OL_TRY(ol_xml_int(e, "id", 0, INT64_MAX, &l->id, n->err));
    for (p = input ? ol_xml_child(input, "port") : NULL; p; p = ol_xml_next(p)) l->n_in++;
    if (l->n_in > MAX_PORTS)
        return ol_fail(n->err, OLV_LIMIT, "%s:%d: %d inputs, expected at most %d", n->path, e->line, l->n_in, MAX_PORTS);
    l->in = ol_arena_calloc(n->arena, (size_t)l->n_in + 1, sizeof *l->in);
    l->port = ol_arena_calloc(n->arena, (size_t)l->n_in + 1, sizeof *l->port);
    if (!l->in || !l->port) return ol_fail(n->err, OLV_NOMEM, "out of memory");
    int i = 0;
    for (p = input ? ol_xml_child(input, "port") : NULL; p; p = ol_xml_next(p))
        OL_TRY(ol_xml_int(p, "id", 0, INT32_MAX, &l->port[i++], n->err));
    return OLV_OK;
}

static olv_status read_layers(ol_tk_ir_net *n) {
    const ol_xml *list = ol_xml_child(n->root, "layers"), *e;
    if (!list) return ol_fail(n->err, OLV_FORMAT, "%s: no <layers>", n->path);
    for (e = ol_xml_child(list, "layer"); e; e = ol_xml_next(e)) n->count++;
    if (n->count > MAX_LAYERS)
        return ol_fail(n->err, OLV_LIMIT, "%s: %d layers, expected at most %d", n->path, n->count, MAX_LAYERS);
    n->layers = ol_arena_calloc(n->arena, (size_t)n->count + 1, sizeof *n->layers);
    if (!n->layers) return ol_fail(n->err, OLV_NOMEM, "out of memory");
    int i = 0;
    for (e = ol_xml_child(list, "layer"); e; e = ol_xml_next(e)) OL_TRY(read_layer(n, e, &n->layers[i++]));
    qsort(n->layers, (size_t)n->count, sizeof *n->layers, by_id);
    for (i = 1; i < n->count; i++)
        if (n->layers[i].id == n->layers[i - 1].id)
            return ol_fail(n->err, OLV_FORMAT, "%s:%d: layer id %lld comes twice", n->path, n->layers[i].xml->line,
                           (long long)n->layers[i].id);
    return OLV_OK;
}

static olv_status read_edge(ol_tk_ir_net *n, const ol_xml *e) {
    int64_t from, to, port;
    OL_TRY(ol_xml_int(e, "from-layer", 0, INT64_MAX, &from, n->err));
    OL_TRY(ol_xml_int(e, "to-layer", 0, INT64_MAX, &to, n->err));
    OL_TRY(ol_xml_int(e, "to-port", 0, INT64_MAX, &port, n->err));
    const ol_tk_ir_layer *source = layer_of(n, from);
    ol_tk_ir_layer *target = layer_of(n, to);
    for (int i = 0; source && target && i < target->n_in; i++)
        if (target->port[i] == port) {
            target->in[i] = source;
            return OLV_OK;
        }
    return ol_fail(n->err, OLV_FORMAT, "%s:%d: an edge from layer %lld to input %lld of layer %lld, which is not there", n->path,
                   e->line, (long long)from, (long long)port, (long long)to);
}

static olv_status read_net(ol_tk_ir_net *n) {
    if (strcmp(n->root->name, "net") != 0)
        return ol_fail(n->err, OLV_FORMAT, "%s: <%s>, expected <net>", n->path, n->root->name);
    OL_TRY(read_layers(n));
    const ol_xml *edges = ol_xml_child(n->root, "edges"), *e;
    for (e = edges ? ol_xml_child(edges, "edge") : NULL; e; e = ol_xml_next(e)) OL_TRY(read_edge(n, e));
    return OLV_OK;
}

olv_status ol_tk_ir_parse(ol_tk_ir_net *n, ol_str xml, ol_file *bin, const char *path, olv_error *err) {
    ol_xml *root = NULL;
    memset(n, 0, sizeof *n);
    n->err = err;
    n->bin = ol_file_retain(bin);
    n->arena = ol_arena_create();
    n->path = n->arena ? ol_arena_strdup(n->arena, path) : NULL;
    if (!n->path) return ol_fail(err, OLV_NOMEM, "out of memory");
    OL_TRY(ol_xml_parse(xml.ptr, xml.len, n->path, n->arena, &root, err));
    n->root = root;
    return read_net(n);
}

olv_status ol_tk_ir_open(ol_tk_ir_net *n, const char *dir, const char *name, olv_error *err) {
    ol_file *xml = NULL, *bin = NULL;
    ol_buf data = OL_BUF_INIT;
    size_t stem = strlen(name);
    memset(n, 0, sizeof *n);
    if (stem > 4 && strcmp(name + stem - 4, ".xml") == 0) stem -= 4;
    ol_buf_printf(&data, "%.*s.bin", (int)stem, name);
    olv_status s = data.failed ? ol_fail(err, OLV_NOMEM, "out of memory") : ol_file_open_in(dir, name, &xml, err);
    if (s == OLV_OK) s = ol_file_open_in(dir, data.data, &bin, err);
    if (s == OLV_OK)
        s = ol_tk_ir_parse(n, (ol_str){xml->data ? (const char *)xml->data : "", (size_t)xml->size}, bin, xml->path, err);
    ol_buf_deinit(&data);
    ol_file_release(xml);
    ol_file_release(bin);
    return s;
}

void ol_tk_ir_close(ol_tk_ir_net *n) {
    ol_file_release(n->bin);
    if (n->arena) ol_arena_destroy(n->arena);
}

/* ---- questions ---- */

const ol_tk_ir_layer *ol_tk_ir_find(const ol_tk_ir_net *n, const char *type) {
    for (int i = 0; i < n->count; i++)
        if (strcmp(n->layers[i].type, type) == 0) return &n->layers[i];
    return NULL;
}

olv_status ol_tk_ir_source(const ol_tk_ir_net *n, const ol_tk_ir_layer *l, int i, const ol_tk_ir_layer **out) {
    const ol_tk_ir_layer *s = i < l->n_in ? l->in[i] : NULL;
    for (int steps = 0; s && strcmp(s->type, "Convert") == 0 && steps < n->count; steps++) s = s->n_in ? s->in[0] : NULL;
    if (!s)
        return ol_fail(n->err, OLV_FORMAT, "%s:%d: %s: nothing feeds input %d", n->path, l->xml->line, l->type, i);
    *out = s;
    return OLV_OK;
}

const char *ol_tk_ir_attr(const ol_tk_ir_layer *l, const char *name) {
    const char *v = l->data ? ol_xml_get(l->data, name) : NULL;
    return v ? v : "";
}

bool ol_tk_ir_flag(const ol_tk_ir_layer *l, const char *name) {
    const char *v = ol_tk_ir_attr(l, name);
    return strcmp(v, "true") == 0 || strcmp(v, "1") == 0;
}

const char *ol_tk_ir_info(const ol_tk_ir_net *n, const char *name) {
    const ol_xml *info = ol_xml_child(n->root, "rt_info"), *e = info ? ol_xml_child(info, name) : NULL;
    return e ? ol_xml_get(e, "value") : NULL;
}

/* ---- constants ---- */

/* The elements of a constant: the product of its sizes. */
static bool elements(const char *shape, uint64_t *count) {
    *count = 1;
    for (const char *p = shape; *p;) {
        size_t len = strcspn(p, ",");
        int64_t v;
        if (!ol_xml_parse_int(p, len, &v) || v < 0 || __builtin_mul_overflow(*count, (uint64_t)v, count)) return false;
        p += len + (p[len] == ',');
    }
    return true;
}

static olv_status constant(const ol_tk_ir_net *n, const ol_tk_ir_layer *l, int i, const char **type, ol_str *out, uint64_t *count) {
    static const struct {
        const char *name;
        unsigned size;
    } types[] = {{"u8", 1}, {"i32", 4}, {"i64", 8}, {"f32", 4}, {"f16", 2}};
    const ol_tk_ir_layer *c;
    int64_t offset, size;
    unsigned width = 0;
    OL_TRY(ol_tk_ir_source(n, l, i, &c));
    if (strcmp(c->type, "Const") != 0 || !c->data)
        return ol_fail(n->err, OLV_UNSUPPORTED, "%s:%d: %s: input %d is a %s, expected a constant", n->path, l->xml->line, l->type, i,
                       c->type);
    *type = ol_tk_ir_attr(c, "element_type");
    for (size_t k = 0; k < sizeof types / sizeof *types; k++)
        if (strcmp(*type, types[k].name) == 0) width = types[k].size;
    OL_TRY(ol_xml_int(c->data, "offset", 0, INT64_MAX, &offset, n->err));
    OL_TRY(ol_xml_int(c->data, "size", 0, INT64_MAX, &size, n->err));
    if (!elements(ol_tk_ir_attr(c, "shape"), count) || !width || *count > (uint64_t)size / width)
        return ol_fail(n->err, OLV_FORMAT, "%s:%d: a constant of type %s, shape [%s] and %lld bytes", n->path, c->xml->line, *type,
                       ol_tk_ir_attr(c, "shape"), (long long)size);
    if (!ol_range_ok((uint64_t)offset, (uint64_t)size, n->bin->size))
        return ol_fail(n->err, OLV_FORMAT, "%s:%d: a constant at byte %lld of %s, which has %llu bytes", n->path, c->xml->line,
                       (long long)offset, n->bin->path, (unsigned long long)n->bin->size);
    *out = (ol_str){(const char *)n->bin->data + offset, (size_t)*count * width};
    return OLV_OK;
}

static olv_status wrong_type(const ol_tk_ir_net *n, const ol_tk_ir_layer *l, int i, const char *type, const char *expected) {
    return ol_fail(n->err, OLV_FORMAT, "%s:%d: %s: input %d has type %s, expected %s", n->path, l->xml->line, l->type, i, type, expected);
}

olv_status ol_tk_ir_bytes(const ol_tk_ir_net *n, const ol_tk_ir_layer *l, int i, ol_str *out) {
    const char *type;
    uint64_t count;
    OL_TRY(constant(n, l, i, &type, out, &count));
    return strcmp(type, "u8") == 0 ? OLV_OK : wrong_type(n, l, i, type, "u8");
}

olv_status ol_tk_ir_ints(const ol_tk_ir_net *n, const ol_tk_ir_layer *l, int i, int32_t **v, size_t *count) {
    const char *type;
    uint64_t c;
    ol_str s;
    OL_TRY(constant(n, l, i, &type, &s, &c));
    bool wide = strcmp(type, "i64") == 0;
    if (!wide && strcmp(type, "i32") != 0) return wrong_type(n, l, i, type, "i32");
    *v = ol_arena_calloc(n->arena, (size_t)c + 1, sizeof **v);
    if (!*v) return ol_fail(n->err, OLV_NOMEM, "out of memory");
    ol_bytes r = ol_bytes_of(s.ptr, s.len);
    for (size_t k = 0; k < c; k++) (*v)[k] = wide ? (int32_t)ol_bytes_u64(&r) : (int32_t)ol_bytes_u32(&r);
    *count = (size_t)c;
    return OLV_OK;
}

static double half(uint16_t h) {
    int e = h >> 10 & 31, m = h & 1023;
    double v = e ? 1 + m / 1024.0 : m / 512.0;
    for (int k = e; k < 15; k++) v /= 2;
    for (int k = 15; k < e; k++) v *= 2;
    return h >> 15 ? -v : v;
}

olv_status ol_tk_ir_floats(const ol_tk_ir_net *n, const ol_tk_ir_layer *l, int i, double **v, size_t *count) {
    const char *type;
    uint64_t c;
    ol_str s;
    OL_TRY(constant(n, l, i, &type, &s, &c));
    bool narrow = strcmp(type, "f16") == 0;
    if (!narrow && strcmp(type, "f32") != 0) return wrong_type(n, l, i, type, "f32");
    *v = ol_arena_calloc(n->arena, (size_t)c + 1, sizeof **v);
    if (!*v) return ol_fail(n->err, OLV_NOMEM, "out of memory");
    ol_bytes r = ol_bytes_of(s.ptr, s.len);
    for (size_t k = 0; k < c; k++) (*v)[k] = narrow ? half(ol_bytes_u16(&r)) : (double)ol_bytes_f32(&r);
    *count = (size_t)c;
    return OLV_OK;
}

olv_status ol_tk_ir_strings(const ol_tk_ir_net *n, const ol_tk_ir_layer *l, int i, ol_str **v, size_t *count) {
    int32_t *begins, *ends;
    size_t n_ends;
    ol_str text;
    OL_TRY(ol_tk_ir_ints(n, l, i, &begins, count));
    OL_TRY(ol_tk_ir_ints(n, l, i + 1, &ends, &n_ends));
    OL_TRY(ol_tk_ir_bytes(n, l, i + 2, &text));
    *v = ol_arena_calloc(n->arena, *count + 1, sizeof **v);
    if (!*v) return ol_fail(n->err, OLV_NOMEM, "out of memory");
    if (n_ends != *count)
        return ol_fail(n->err, OLV_FORMAT, "%s:%d: %s: %zu begins and %zu ends of strings", n->path, l->xml->line, l->type, *count, n_ends);
    for (size_t k = 0; k < *count; k++) {
        if (begins[k] < 0 || ends[k] < begins[k] || (size_t)ends[k] > text.len)
            return ol_fail(n->err, OLV_FORMAT, "%s:%d: %s: string %zu is [%d, %d) of %zu bytes", n->path, l->xml->line, l->type, k,
                           (int)begins[k], (int)ends[k], text.len);
        (*v)[k] = (ol_str){text.ptr + begins[k], (size_t)(ends[k] - begins[k])};
    }
    return OLV_OK;
}
