/* SPDX-License-Identifier: Apache-2.0 */
#include "formats/ortgenai/model.h"

#include "base/wire/protobuf.h"

#include <inttypes.h>
#include <stdio.h>

enum { IR_VERSION = 10, OPSET = 21 };
/* Field numbers of onnx.proto. */
enum { NODE_INPUT = 1, NODE_OUTPUT, NODE_NAME, NODE_OP, NODE_ATTR, NODE_DOMAIN = 7 };
enum { ATTR_NAME = 1, ATTR_F, ATTR_I, ATTR_S, ATTR_G = 6, ATTR_INTS = 8, ATTR_TYPE = 20 };
enum { ATTR_IS_FLOAT = 1, ATTR_IS_INT, ATTR_IS_STRING, ATTR_IS_GRAPH = 5, ATTR_IS_INTS = 7 };
enum { TENSOR_DIMS = 1, TENSOR_TYPE, TENSOR_NAME = 8, TENSOR_RAW = 9, TENSOR_EXTERNAL = 13, TENSOR_LOCATION = 14 };
enum { GRAPH_NODE = 1, GRAPH_NAME, GRAPH_INITIALIZER = 5, GRAPH_INPUT = 11, GRAPH_OUTPUT };
enum { MODEL_IR = 1, MODEL_PRODUCER, MODEL_PRODUCER_VERSION, MODEL_GRAPH = 7, MODEL_OPSET };

/* Puts the finished message `part` into `into` and releases it. */
static void put_message(ol_og_model *m, ol_buf *into, uint32_t field, ol_buf *part) {
    if (part->failed) m->failed = true;
    ol_pb_put_bytes(into, field, part->data, part->len);
    if (into->failed) m->failed = true;
    ol_buf_deinit(part);
}

static void put_graph(const ol_og_model *m, const char *name, ol_buf *g) {
    ol_buf_append(g, m->nodes.data, m->nodes.len);
    ol_pb_put_string(g, GRAPH_NAME, name);
    ol_buf_append(g, m->initializers.data, m->initializers.len);
    ol_buf_append(g, m->inputs.data, m->inputs.len);
    ol_buf_append(g, m->outputs.data, m->outputs.len);
}

static void put_attr(ol_og_model *m, ol_buf *node, const ol_og_attr *a) {
    ol_buf b = OL_BUF_INIT;
    static const int types[] = {ATTR_IS_INT, ATTR_IS_FLOAT, ATTR_IS_STRING, ATTR_IS_INTS, ATTR_IS_GRAPH};
    ol_pb_put_string(&b, ATTR_NAME, a->name);
    switch (a->type) {
    case OL_OG_INT: ol_pb_put_varint(&b, ATTR_I, (uint64_t)a->i); break;
    case OL_OG_FLOAT: ol_pb_put_f32(&b, ATTR_F, a->f); break;
    case OL_OG_STRING: ol_pb_put_string(&b, ATTR_S, a->s); break;
    case OL_OG_INTS:
        for (size_t i = 0; i < a->n_ints; i++) ol_pb_put_varint(&b, ATTR_INTS, (uint64_t)a->ints[i]);
        break;
    case OL_OG_GRAPH: {
        ol_buf g = OL_BUF_INIT;
        put_graph(a->graph, a->name, &g);
        put_message(m, &b, ATTR_G, &g);
        break;
    }
    }
    ol_pb_put_varint(&b, ATTR_TYPE, (uint64_t)types[a->type]);
    put_message(m, node, NODE_ATTR, &b);
}

void ol_og_node(ol_og_model *m, const char *domain, const char *op, const char *name, const char *const *in, int n_in,
                const char *const *out, int n_out, const ol_og_attr *attrs) {
    ol_buf b = OL_BUF_INIT;
    while (n_in > 0 && !in[n_in - 1]) n_in--; /* omitted inputs at the end are left out */
    for (int i = 0; i < n_in; i++) ol_pb_put_string(&b, NODE_INPUT, in[i] ? in[i] : "");
    for (int i = 0; i < n_out; i++) ol_pb_put_string(&b, NODE_OUTPUT, out[i] ? out[i] : "");
    ol_pb_put_string(&b, NODE_NAME, name);
    ol_pb_put_string(&b, NODE_OP, op);
    for (; attrs && attrs->name; attrs++) put_attr(m, &b, attrs);
    if (*domain) ol_pb_put_string(&b, NODE_DOMAIN, domain);
    put_message(m, &m->nodes, GRAPH_NODE, &b);
}

/* ValueInfoProto{name, type{tensor_type{elem_type, shape{dim...}}}}. */
static void put_value(ol_og_model *m, ol_buf *into, uint32_t field, const char *name, ol_dtype type,
                      const ol_og_dim *dims, int rank) {
    ol_buf value = OL_BUF_INIT, tp = OL_BUF_INIT, tensor = OL_BUF_INIT, shape = OL_BUF_INIT;
    for (int i = 0; i < rank; i++) {
        ol_buf d = OL_BUF_INIT;
        if (dims[i].n >= 0)
            ol_pb_put_varint(&d, 1, (uint64_t)dims[i].n);
        else
            ol_pb_put_string(&d, 2, dims[i].name);
        put_message(m, &shape, 1, &d);
    }
    ol_pb_put_varint(&tensor, 1, (uint64_t)ol_dtype_onnx(type));
    put_message(m, &tensor, 2, &shape);
    put_message(m, &tp, 1, &tensor);
    ol_pb_put_string(&value, 1, name);
    put_message(m, &value, 2, &tp);
    put_message(m, into, field, &value);
}

void ol_og_input(ol_og_model *m, const char *name, ol_dtype type, const ol_og_dim *dims, int rank) {
    put_value(m, &m->inputs, GRAPH_INPUT, name, type, dims, rank);
}

void ol_og_output(ol_og_model *m, const char *name, ol_dtype type, const ol_og_dim *dims, int rank) {
    put_value(m, &m->outputs, GRAPH_OUTPUT, name, type, dims, rank);
}

static void put_head(ol_buf *b, const char *name, int onnx_type, const int64_t *dims, int rank) {
    for (int i = 0; i < rank; i++) ol_pb_put_varint(b, TENSOR_DIMS, (uint64_t)dims[i]);
    ol_pb_put_varint(b, TENSOR_TYPE, (uint64_t)onnx_type);
    ol_pb_put_string(b, TENSOR_NAME, name);
}

static void put_entry(ol_og_model *m, ol_buf *tensor, const char *key, const char *value) {
    ol_buf e = OL_BUF_INIT;
    ol_pb_put_string(&e, 1, key);
    ol_pb_put_string(&e, 2, value);
    put_message(m, tensor, TENSOR_EXTERNAL, &e);
}

void ol_og_external(ol_og_model *m, const char *name, int onnx_type, const int64_t *dims, int rank, const char *location,
                    uint64_t offset, uint64_t bytes) {
    ol_buf b = OL_BUF_INIT;
    char number[32];
    put_head(&b, name, onnx_type, dims, rank);
    put_entry(m, &b, "location", location);
    snprintf(number, sizeof number, "%" PRIu64, offset);
    put_entry(m, &b, "offset", number);
    snprintf(number, sizeof number, "%" PRIu64, bytes);
    put_entry(m, &b, "length", number);
    ol_pb_put_varint(&b, TENSOR_LOCATION, 1);
    put_message(m, &m->initializers, GRAPH_INITIALIZER, &b);
}

void ol_og_inline(ol_og_model *m, const char *name, int onnx_type, const int64_t *dims, int rank, const void *data,
                  size_t bytes) {
    ol_buf b = OL_BUF_INIT;
    put_head(&b, name, onnx_type, dims, rank);
    ol_pb_put_bytes(&b, TENSOR_RAW, data, bytes);
    put_message(m, &m->initializers, GRAPH_INITIALIZER, &b);
}

static void put_opset(ol_og_model *m, ol_buf *model, const char *domain, uint64_t version) {
    ol_buf b = OL_BUF_INIT;
    ol_pb_put_string(&b, 1, domain);
    ol_pb_put_varint(&b, 2, version);
    put_message(m, model, MODEL_OPSET, &b);
}

bool ol_og_finish(ol_og_model *m, ol_buf *out) {
    ol_buf g = OL_BUF_INIT;
    put_graph(m, "main_graph", &g);
    ol_pb_put_varint(out, MODEL_IR, IR_VERSION);
    ol_pb_put_string(out, MODEL_PRODUCER, "olivine");
    put_message(m, out, MODEL_GRAPH, &g);
    put_opset(m, out, "", OPSET);
    put_opset(m, out, "com.microsoft", 1);
    if (out->failed) m->failed = true;
    return !m->failed;
}

void ol_og_deinit(ol_og_model *m) {
    ol_buf_deinit(&m->nodes);
    ol_buf_deinit(&m->initializers);
    ol_buf_deinit(&m->inputs);
    ol_buf_deinit(&m->outputs);
}
