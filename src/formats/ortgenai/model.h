/* SPDX-License-Identifier: Apache-2.0 */
/* Builds the ModelProto of an ORT-GenAI folder: nodes as they come, initializers outside in one data file. Failures
 * (memory only) latch in the buffers. */
#ifndef OL_FORMATS_ORTGENAI_MODEL_H
#define OL_FORMATS_ORTGENAI_MODEL_H

#include "base/str.h"
#include "tensor/dtype.h"

typedef struct ol_og_model {
    ol_buf nodes, initializers, inputs, outputs; /* fields of GraphProto, ready to be put one after the other */
    bool failed;
} ol_og_model;

/* Attributes of a node: in `attrs` of the call, ended by one with a NULL name. */
typedef struct ol_og_attr {
    const char *name;
    enum { OL_OG_INT, OL_OG_FLOAT, OL_OG_STRING, OL_OG_INTS, OL_OG_GRAPH } type;
    int64_t i;
    float f;
    const char *s;
    const int64_t *ints;
    size_t n_ints;
    const struct ol_og_model *graph; /* a subgraph: its nodes and outputs */
} ol_og_attr;
#define OL_OG_I(key, value) ((ol_og_attr){.name = (key), .type = OL_OG_INT, .i = (value)})
#define OL_OG_F(key, value) ((ol_og_attr){.name = (key), .type = OL_OG_FLOAT, .f = (value)})
#define OL_OG_S(key, value) ((ol_og_attr){.name = (key), .type = OL_OG_STRING, .s = (value)})
#define OL_OG_LIST(key, values, n) ((ol_og_attr){.name = (key), .type = OL_OG_INTS, .ints = (values), .n_ints = (n)})
#define OL_OG_G(key, sub) ((ol_og_attr){.name = (key), .type = OL_OG_GRAPH, .graph = (sub)})
#define OL_OG_END ((ol_og_attr){.name = NULL})

/* A dimension: a number, or a name where the number is negative. */
typedef struct ol_og_dim {
    int64_t n;
    const char *name;
} ol_og_dim;

void ol_og_node(ol_og_model *m, const char *domain, const char *op, const char *name, const char *const *in, int n_in,
                const char *const *out, int n_out, const ol_og_attr *attrs);
void ol_og_input(ol_og_model *m, const char *name, ol_dtype type, const ol_og_dim *dims, int rank);
void ol_og_output(ol_og_model *m, const char *name, ol_dtype type, const ol_og_dim *dims, int rank);
/* An initializer at [offset, offset + bytes) of the data file; type codes of ONNX. */
void ol_og_external(ol_og_model *m, const char *name, int onnx_type, const int64_t *dims, int rank, const char *location,
                    uint64_t offset, uint64_t bytes);
/* A small initializer within the model. */
void ol_og_inline(ol_og_model *m, const char *name, int onnx_type, const int64_t *dims, int rank, const void *data,
                  size_t bytes);
/* The whole ModelProto (IR 10, opset 21, com.microsoft 1) into out. */
bool ol_og_finish(ol_og_model *m, ol_buf *out);
void ol_og_deinit(ol_og_model *m);

#endif
