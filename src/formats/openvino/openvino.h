/* SPDX-License-Identifier: Apache-2.0 */
/* Reading OpenVINO's models: NAME.xml (IR of version 10 or 11) with NAME.bin beside it.
 *
 * The graph has ONNX operators at OL_OPSET and those of the domain "olivine". Constants are views over the mapped
 * .bin; the decompression of weights (Convert, Subtract, Multiply, Reshape behind a constant of few bits) becomes one
 * quantized constant, and a MatMul by one becomes olivine.Linear. An input or output is named as its tensor is (as its
 * layer, if that is one of the port's names, or else the first of them); its other names are aliases (ol_graph_find_input). Metadata: "format"
 * "openvino", "ir_version", "rt_info.PATH" for each leaf of the model's rt_info.
 *
 * States. ReadValue of the variable V becomes olivine.ReadValue(state, fresh[, init]), where `state` is a graph input
 * named V, and `fresh` the graph input OL_IR_FRESH (bool, rank 0): the node gives `init` (zeros of the least size without
 * it) when `fresh`, and else `state`. Assign of V becomes a graph output named V.next. These inputs and outputs come
 * last, and the metadata "states" lists the variables, one a line, in the order of the inputs and of the outputs. */
#ifndef OL_FORMATS_OPENVINO_OPENVINO_H
#define OL_FORMATS_OPENVINO_OPENVINO_H

#include "graph/graph.h"

#define OL_IR_FRESH "olivine.fresh"

/* Reads PATH; the data file has its name with .bin. Errors name file, line, layer and operation. */
OLV_MUST_USE olv_status ol_openvino_read(const char *path, ol_graph **out, olv_error *err);
/* The same from memory; the bytes are copied. bin may be NULL: there is no data file. */
OLV_MUST_USE olv_status ol_openvino_read_bytes(const char *xml, size_t xml_len, const void *bin, size_t bin_len, const char *name,
                                               ol_graph **out, olv_error *err);
/* True when the file looks like an IR: XML whose first element is <net>. */
bool ol_openvino_is_ir(const char *path);

#endif
