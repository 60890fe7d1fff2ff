/* SPDX-License-Identifier: Apache-2.0 */
#include "formats/onnx/emit.h"
#include "base/wire/protobuf.h"
#include <stdio.h>

enum { ATTR_FLOAT = 1, ATTR_INT, ATTR_STRING, ATTR_TENSOR, ATTR_GRAPH, ATTR_FLOATS, ATTR_INTS, ATTR_STRINGS, ATTR_TYPE = 13 };

/* Puts the message `part` as field into `into` and empties it; a failure is passed on. */
static void put_part(ol_buf *into, uint32_t field, ol_buf *part) {
    if (part->failed) into->failed = true;
    ol_pb_put_bytes(into, field, part->data ? part->data : "", part->len);
    ol_buf_deinit(part);
}

void ol_onnx_emit_deinit(ol_onnx_emit *e) {
    ol_buf_deinit(&e->nodes);
    ol_buf_deinit(&e->initializers);
    ol_buf_deinit(&e->inputs);
    ol_buf_deinit(&e->outputs);
}

static ol_buf attr_start(const char *name) {
    ol_buf b = OL_BUF_INIT;
    ol_pb_put_string(&b, 1, name);
    return b;
}

static void attr_end(ol_buf *attrs, ol_buf *b, int type) {
    ol_pb_put_varint(b, 20, (uint64_t)type);
    put_part(attrs, 5, b);
}

void ol_onnx_attr_int(ol_buf *attrs, const char *name, int64_t v) {
    ol_buf b = attr_start(name);
    ol_pb_put_varint(&b, 3, (uint64_t)v);
    attr_end(attrs, &b, ATTR_INT);
}

void ol_onnx_attr_float(ol_buf *attrs, const char *name, float v) {
    ol_buf b = attr_start(name);
    ol_pb_put_f32(&b, 2, v);
    attr_end(attrs, &b, ATTR_FLOAT);
}

void ol_onnx_attr_string(ol_buf *attrs, const char *name, const char *s, size_t n) {
    ol_buf b = attr_start(name);
    ol_pb_put_bytes(&b, 4, s, n);
    attr_end(attrs, &b, ATTR_STRING);
}

void ol_onnx_attr_ints(ol_buf *attrs, const char *name, const int64_t *v, size_t n) {
    ol_buf b = attr_start(name);
    for (size_t i = 0; i < n; i++) ol_pb_put_varint(&b, 8, (uint64_t)v[i]);
    attr_end(attrs, &b, ATTR_INTS);
}

void ol_onnx_attr_floats(ol_buf *attrs, const char *name, const float *v, size_t n) {
    ol_buf b = attr_start(name);
    for (size_t i = 0; i < n; i++) ol_pb_put_f32(&b, 7, v[i]);
    attr_end(attrs, &b, ATTR_FLOATS);
}

void ol_onnx_attr_strings(ol_buf *attrs, const char *name, const ol_str *v, size_t n) {
    ol_buf b = attr_start(name);
    for (size_t i = 0; i < n; i++) ol_pb_put_bytes(&b, 9, v[i].ptr, v[i].len);
    attr_end(attrs, &b, ATTR_STRINGS);
}

void ol_onnx_attr_tensor(ol_buf *attrs, const char *name, const ol_buf *tensor_proto) {
    ol_buf b = attr_start(name);
    if (tensor_proto->failed) b.failed = true;
    ol_pb_put_bytes(&b, 5, tensor_proto->data, tensor_proto->len);
    attr_end(attrs, &b, ATTR_TENSOR);
}

static void put_graph(const ol_onnx_emit *e, const char *name, ol_buf *g) {
    if (e->failed || e->nodes.failed || e->initializers.failed || e->inputs.failed || e->outputs.failed) g->failed = true;
    ol_buf_append(g, e->nodes.data, e->nodes.len);
    ol_pb_put_string(g, 2, name);
    ol_buf_append(g, e->initializers.data, e->initializers.len);
    ol_buf_append(g, e->inputs.data, e->inputs.len);
    ol_buf_append(g, e->outputs.data, e->outputs.len);
}

void ol_onnx_attr_graph(ol_buf *attrs, const char *name, const char *graph_name, const ol_onnx_emit *graph) {
    ol_buf b = attr_start(name), g = OL_BUF_INIT;
    put_graph(graph, graph_name, &g);
    put_part(&b, 6, &g);
    attr_end(attrs, &b, ATTR_GRAPH);
}

void ol_onnx_emit_node(ol_onnx_emit *e, const char *domain, const char *op, const char *name, const char *const *in,
                       int n_in, const char *const *out, int n_out, const ol_buf *attrs) {
    ol_buf b = OL_BUF_INIT;
    while (n_in > 0 && !in[n_in - 1]) n_in--;
    while (n_out > 0 && !out[n_out - 1]) n_out--;
    for (int i = 0; i < n_in; i++) ol_pb_put_string(&b, 1, in[i] ? in[i] : "");
    for (int i = 0; i < n_out; i++) ol_pb_put_string(&b, 2, out[i] ? out[i] : "");
    if (name && *name) ol_pb_put_string(&b, 3, name);
    ol_pb_put_string(&b, 4, op);
    if (attrs) {
        if (attrs->failed) e->failed = true;
        ol_buf_append(&b, attrs->data, attrs->len);
    }
    if (domain && *domain) ol_pb_put_string(&b, 7, domain);
    put_part(&e->nodes, 1, &b);
}

static void tensor_head(ol_buf *b, const char *name, ol_dtype t, int rank, const int64_t *dims) {
    for (int i = 0; i < rank; i++) ol_pb_put_varint(b, 1, (uint64_t)dims[i]);
    ol_pb_put_varint(b, 2, (uint64_t)ol_dtype_onnx(t));
    if (name) ol_pb_put_string(b, 8, name);
}

void ol_onnx_emit_tensor(ol_buf *out, const char *name, ol_dtype t, int rank, const int64_t *dims, const void *data, size_t bytes) {
    tensor_head(out, name, t, rank, dims);
    ol_pb_put_bytes(out, 9, data, bytes);
}

void ol_onnx_emit_strings(ol_buf *out, const char *name, int rank, const int64_t *dims, const ol_str *s, size_t n) {
    tensor_head(out, name, OL_STRING, rank, dims);
    for (size_t i = 0; i < n; i++) ol_pb_put_bytes(out, 6, s[i].ptr, s[i].len);
}

void ol_onnx_emit_initializer(ol_onnx_emit *e, const ol_buf *tensor_proto) {
    if (tensor_proto->failed) e->failed = true;
    ol_pb_put_bytes(&e->initializers, 5, tensor_proto->data, tensor_proto->len);
}

static void put_entry(ol_buf *b, const char *key, const char *value) {
    ol_buf p = OL_BUF_INIT;
    ol_pb_put_string(&p, 1, key);
    ol_pb_put_string(&p, 2, value);
    put_part(b, 13, &p);
}

void ol_onnx_emit_external(ol_onnx_emit *e, const char *name, ol_dtype t, int rank, const int64_t *dims,
                           const char *location, uint64_t offset, uint64_t length) {
    ol_buf b = OL_BUF_INIT;
    char text[24];
    tensor_head(&b, name, t, rank, dims);
    put_entry(&b, "location", location);
    snprintf(text, sizeof text, "%llu", (unsigned long long)offset);
    put_entry(&b, "offset", text);
    snprintf(text, sizeof text, "%llu", (unsigned long long)length);
    put_entry(&b, "length", text);
    ol_pb_put_varint(&b, 14, 1);
    put_part(&e->initializers, 5, &b);
}

/* Puts `type` inside of another one: field 4 a sequence, 9 an optional. */
static void wrap_type(ol_buf *type, uint32_t field) {
    ol_buf inner = OL_BUF_INIT, outer = OL_BUF_INIT;
    put_part(&inner, 1, type);
    put_part(&outer, field, &inner);
    *type = outer;
}

/* `type` becomes that of a map to it. */
static void map_of(ol_buf *type, ol_dtype key) {
    ol_buf inner = OL_BUF_INIT, outer = OL_BUF_INIT;
    ol_pb_put_varint(&inner, 1, (uint64_t)ol_dtype_onnx(key));
    put_part(&inner, 2, type);
    put_part(&outer, 5, &inner);
    *type = outer;
}

static ol_buf make_type(ol_dtype t, int rank, const char *const *dim_text, int kind) {
    ol_buf type = OL_BUF_INIT, tensor = OL_BUF_INIT;
    ol_pb_put_varint(&tensor, 1, (uint64_t)ol_dtype_onnx(t));
    if (rank >= 0) {
        ol_buf shape = OL_BUF_INIT;
        for (int i = 0; i < rank; i++) {
            ol_buf d = OL_BUF_INIT;
            uint64_t n = 0;
            bool number = *dim_text[i] != 0;
            for (const char *p = dim_text[i]; *p && number; p++) {
                number = *p >= '0' && *p <= '9';
                n = n * 10 + (uint64_t)(*p - '0');
            }
            if (number) ol_pb_put_varint(&d, 1, n);
            else ol_pb_put_string(&d, 2, dim_text[i]);
            put_part(&shape, 1, &d);
        }
        put_part(&tensor, 2, &shape);
    }
    put_part(&type, 1, &tensor);
    if (kind >= OL_ONNX_MAP(0)) map_of(&type, (ol_dtype)(kind >= OL_ONNX_MAPS(0) ? kind - OL_ONNX_MAPS(0) : kind - OL_ONNX_MAP(0)));
    if (kind == 1 || kind == 3 || kind >= OL_ONNX_MAPS(0)) wrap_type(&type, 4);
    if (kind == 2 || kind == 3) wrap_type(&type, 9);
    return type;
}

void ol_onnx_attr_type(ol_buf *attrs, const char *name, ol_dtype t, int rank, const char *const *dim_text, int kind) {
    ol_buf b = attr_start(name), type = make_type(t, rank, dim_text, kind);
    put_part(&b, 14, &type);
    attr_end(attrs, &b, ATTR_TYPE);
}

void ol_onnx_emit_value(ol_buf *into, uint32_t field, bool *failed, const char *name, ol_dtype t, int rank,
                        const char *const *dim_text, int kind) {
    ol_buf v = OL_BUF_INIT, type = make_type(t, rank, dim_text, kind);
    ol_pb_put_string(&v, 1, name);
    put_part(&v, 2, &type);
    put_part(into, field, &v);
    if (into->failed) *failed = true;
}

void ol_onnx_emit_input(ol_onnx_emit *e, const char *name, ol_dtype t, int rank, const char *const *dim_text, int kind) {
    ol_onnx_emit_value(&e->inputs, 11, &e->failed, name, t, rank, dim_text, kind);
}

void ol_onnx_emit_output(ol_onnx_emit *e, const char *name, ol_dtype t, int rank, const char *const *dim_text, int kind) {
    ol_onnx_emit_value(&e->outputs, 12, &e->failed, name, t, rank, dim_text, kind);
}

bool ol_onnx_emit_model(ol_onnx_emit *e, const char *graph_name, int64_t ir_version, const ol_onnx_import *imports,
                        int n_imports, const char *const *meta_keys, const char *const *meta_values, int n_meta, ol_buf *out) {
    ol_buf g = OL_BUF_INIT;
    ol_pb_put_varint(out, 1, (uint64_t)ir_version);
    ol_pb_put_string(out, 2, "olivine");
    put_graph(e, graph_name, &g);
    put_part(out, 7, &g);
    for (int i = 0; i < n_imports; i++) {
        ol_buf b = OL_BUF_INIT;
        ol_pb_put_string(&b, 1, imports[i].domain);
        ol_pb_put_varint(&b, 2, (uint64_t)imports[i].version);
        put_part(out, 8, &b);
    }
    for (int i = 0; i < n_meta; i++) {
        ol_buf b = OL_BUF_INIT;
        ol_pb_put_string(&b, 1, meta_keys[i]);
        ol_pb_put_string(&b, 2, meta_values[i]);
        put_part(out, 14, &b);
    }
    return !out->failed;
}
