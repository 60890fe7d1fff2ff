/* SPDX-License-Identifier: Apache-2.0 */
/* ONNX files. Reading is zero-copy: constants are views over the mapped file and its external data files. Operators of
 * older opsets are brought to OL_OPSET; model-local functions are inlined; com.microsoft operators keep their domain. */
#ifndef OL_FORMATS_ONNX_ONNX_H
#define OL_FORMATS_ONNX_ONNX_H

#include "graph/graph.h"

/* Reads PATH. External data files are looked for beside it. Metadata of the model goes into the graph's ("producer",
 * "opset" and metadata_props). Errors name file, node and operator. */
OLV_MUST_USE olv_status ol_onnx_read(const char *path, ol_graph **out, olv_error *err);
/* The same with operators beside the registry's. */
struct ol_op_set;
OLV_MUST_USE olv_status ol_onnx_read_with(const char *path, const struct ol_op_set *ops, ol_graph **out, olv_error *err);
/* Reads a model from memory, which is copied; `name` is used in messages; dir (for external data) may be NULL. */
OLV_MUST_USE olv_status ol_onnx_read_bytes(const void *data, size_t len, const char *name, const char *dir,
                                           ol_graph **out, olv_error *err);
/* Reads the model that lies in a part of a file, without external data; `name` is used in messages. */
OLV_MUST_USE olv_status ol_onnx_read_part(ol_file *file, uint64_t place, uint64_t bytes, const char *name, ol_graph **out, olv_error *err);
/* Reads one serialized TensorProto, SequenceProto or OptionalProto (test data); `type` says which. The result is the
 * caller's; data is copied. */
struct ol_datum;
OLV_MUST_USE olv_status ol_onnx_read_value(const void *data, size_t len, const ol_type *type, struct ol_datum *out,
                                           olv_error *err);

/* ---- writing ---- */

/* Appends the serialized TensorProto, SequenceProto or OptionalProto of a value. */
OLV_MUST_USE olv_status ol_onnx_write_value(const struct ol_datum *d, ol_buf *out, olv_error *err);

typedef struct ol_onnx_write_options {
    int64_t opset;       /* 0: OL_OPSET; operators newer than it are refused */
    int64_t ir_version;  /* 0: the one that belongs to the opset */
    uint64_t inline_max; /* constants of up to so many bytes lie in the model file; 0: 1024 */
    bool contrib;        /* operators of onnxruntime may be used: quantized layers become MatMulNBits */
} ol_onnx_write_options;

/* Writes PATH, and PATH.data for the larger constants, streamed by row tiles (tensors of a page and more at multiples of
 * 4096, smaller ones of 64). Same graph, same bytes. Both files appear complete or not at all. olivine.Linear becomes
 * Gemm or MatMul, quantized constants become DequantizeLinear of blocks; other operators outside of ONNX are refused. */
OLV_MUST_USE olv_status ol_onnx_write(const ol_graph *g, const char *path, const ol_onnx_write_options *opt, olv_error *err);

#endif
