/* SPDX-License-Identifier: Apache-2.0 */
/* Emits the messages of ONNX files: parts of a graph are appended to buffers in the order in which they come, and put
 * together at the end. Failures (memory only) latch; ol_onnx_emit_model says so. Bytes depend on the calls alone. */
#ifndef OL_FORMATS_ONNX_EMIT_H
#define OL_FORMATS_ONNX_EMIT_H

#include "base/str.h"
#include "tensor/dtype.h"

#define OL_ONNX_MAP(key) (16 + (int)(key))
#define OL_ONNX_MAPS(key) (128 + (int)(key))

typedef struct ol_onnx_emit {
    ol_buf nodes, initializers, inputs, outputs; /* fields of GraphProto */
    bool failed;
} ol_onnx_emit;
#define OL_ONNX_EMIT_INIT {OL_BUF_INIT, OL_BUF_INIT, OL_BUF_INIT, OL_BUF_INIT, false}
void ol_onnx_emit_deinit(ol_onnx_emit *e);

/* Attributes, collected in a buffer for one node. */
void ol_onnx_attr_int(ol_buf *attrs, const char *name, int64_t v);
void ol_onnx_attr_float(ol_buf *attrs, const char *name, float v);
void ol_onnx_attr_string(ol_buf *attrs, const char *name, const char *s, size_t n);
void ol_onnx_attr_ints(ol_buf *attrs, const char *name, const int64_t *v, size_t n);
void ol_onnx_attr_floats(ol_buf *attrs, const char *name, const float *v, size_t n);
void ol_onnx_attr_strings(ol_buf *attrs, const char *name, const ol_str *v, size_t n);
void ol_onnx_attr_tensor(ol_buf *attrs, const char *name, const ol_buf *tensor_proto);
/* Types as in ol_onnx_emit_value. */
void ol_onnx_attr_type(ol_buf *attrs, const char *name, ol_dtype t, int rank, const char *const *dim_text, int kind);
void ol_onnx_attr_graph(ol_buf *attrs, const char *name, const char *graph_name, const ol_onnx_emit *graph);

/* Names may be NULL: omitted. attrs may be NULL. */
void ol_onnx_emit_node(ol_onnx_emit *e, const char *domain, const char *op, const char *name, const char *const *in,
                       int n_in, const char *const *out, int n_out, const ol_buf *attrs);
/* A TensorProto with raw data into out. name may be NULL. */
void ol_onnx_emit_tensor(ol_buf *out, const char *name, ol_dtype t, int rank, const int64_t *dims, const void *data, size_t bytes);
/* A TensorProto of strings. */
void ol_onnx_emit_strings(ol_buf *out, const char *name, int rank, const int64_t *dims, const ol_str *s, size_t n);
void ol_onnx_emit_initializer(ol_onnx_emit *e, const ol_buf *tensor_proto);
/* An initializer whose bytes lie in the data file `location`. */
void ol_onnx_emit_external(ol_onnx_emit *e, const char *name, ol_dtype t, int rank, const int64_t *dims,
                           const char *location, uint64_t offset, uint64_t length);
/* ValueInfo of a tensor: dim_text[i] is a decimal number or a symbol; rank < 0: unknown. kind: 0 tensor, 1 sequence, 2
 * optional, 3 optional of a sequence; OL_ONNX_MAP(key) and OL_ONNX_MAPS(key): a map to such tensors, a sequence of maps. */
void ol_onnx_emit_value(ol_buf *into, uint32_t field, bool *failed, const char *name, ol_dtype t, int rank,
                        const char *const *dim_text, int kind);
void ol_onnx_emit_input(ol_onnx_emit *e, const char *name, ol_dtype t, int rank, const char *const *dim_text, int kind);
void ol_onnx_emit_output(ol_onnx_emit *e, const char *name, ol_dtype t, int rank, const char *const *dim_text, int kind);

typedef struct ol_onnx_import {
    const char *domain;
    int64_t version;
} ol_onnx_import;
/* The ModelProto into out; false when out of memory. meta: n_meta keys and values. */
bool ol_onnx_emit_model(ol_onnx_emit *e, const char *graph_name, int64_t ir_version, const ol_onnx_import *imports,
                        int n_imports, const char *const *meta_keys, const char *const *meta_values, int n_meta, ol_buf *out);

#endif
