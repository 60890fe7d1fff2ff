/* SPDX-License-Identifier: Apache-2.0 */
/* Inside of the ONNX reader. */
#ifndef OL_FORMATS_ONNX_READER_H
#define OL_FORMATS_ONNX_READER_H

#include "base/map.h"
#include "base/wire/protobuf.h"
#include "graph/op.h"

#define OL_ONNX_MAX_DEPTH 64      /* subgraphs and functions inside one another */
#define OL_ONNX_MAX_NODES 1000000 /* after inlining */
#define OL_ONNX_MAX_FILES 4096    /* external data files */

typedef struct ol_onnx_function {
    ol_str domain, name, overload;
    ol_str message;
} ol_onnx_function;

typedef struct ol_onnx_opset {
    ol_str domain;
    int64_t version;
} ol_onnx_opset;

typedef struct ol_onnx_reader {
    const char *name; /* of the file, for messages */
    const char *dir;  /* of external data; NULL: none allowed */
    ol_file *file;    /* holds the model's bytes */
    ol_file *ext[OL_ONNX_MAX_FILES];
    ol_str ext_names[OL_ONNX_MAX_FILES];
    int n_ext;
    int64_t ir_version;
    ol_onnx_function *functions;
    int n_functions, cap_functions;
    int n_nodes, depth, n_inlined;
} ol_onnx_reader;

/* Names seen in a graph or function body; values are pointers to ol_value. */
typedef struct ol_onnx_scope {
    ol_map names;
    struct ol_onnx_scope *outer; /* NULL: a function body sees nothing outside */
    const ol_onnx_opset *opsets;
    int n_opsets;
    /* within a function: attributes of the call */
    const ol_attr *call_attrs;
    int n_call_attrs;
    const char *prefix; /* of names within an inlined function; "" otherwise */
} ol_onnx_scope;

/* A node on its way from an older opset into the graph. Arrays are of the heap. */
typedef struct ol_onnx_draft {
    ol_graph *g;
    const char *name;
    char op[128], domain[64];
    int64_t version; /* of its domain's opset */
    ol_value **in;
    int n_in, cap_in;
    ol_attr *attrs;
    int n_attrs, cap_attrs;
    const char **outs; /* names, "" for unused */
    int n_outs;
    ol_value **results;
} ol_onnx_draft;

bool ol_onnx_draft_set_input(ol_onnx_draft *d, int i, ol_value *v); /* grows the list; false: no memory */
ol_attr *ol_onnx_draft_attr(ol_onnx_draft *d, const char *name);
void ol_onnx_draft_drop(ol_onnx_draft *d, const char *name);
bool ol_onnx_draft_add(ol_onnx_draft *d, ol_attr a);
/* Brings the draft to OL_OPSET. May add nodes before it. */
OLV_MUST_USE olv_status ol_onnx_upgrade(ol_onnx_draft *d, olv_error *err);
/* Adds the draft to its graph as one or more nodes and fills results. */
OLV_MUST_USE olv_status ol_onnx_add_draft(ol_onnx_draft *d, olv_error *err);

/* Reads a TensorProto; *name (may be NULL) points into the message. */
OLV_MUST_USE olv_status ol_onnx_tensor(ol_onnx_reader *r, ol_bytes m, ol_const **out, ol_str *name, olv_error *err);
OLV_MUST_USE olv_status ol_onnx_sparse(ol_onnx_reader *r, ol_bytes m, ol_const **out, ol_str *name, olv_error *err);
OLV_MUST_USE olv_status ol_onnx_type(ol_onnx_reader *r, ol_dim_table *dims, ol_bytes m, ol_type *out, olv_error *err);
/* Reads a GraphProto into g. */
OLV_MUST_USE olv_status ol_onnx_graph(ol_onnx_reader *r, ol_bytes m, ol_graph *g, ol_onnx_scope *scope, olv_error *err);
/* Reads the nodes of a graph or function (field number `field` of m) in topological order. */
OLV_MUST_USE olv_status ol_onnx_nodes(ol_onnx_reader *r, ol_bytes m, uint32_t field, ol_graph *g, ol_onnx_scope *scope,
                                      olv_error *err);
ol_value *ol_onnx_lookup(const ol_onnx_scope *s, ol_str name);
/* Copies a name (no NUL inside) to the graph's arena, with the scope's prefix. */
OLV_MUST_USE olv_status ol_onnx_name(ol_graph *g, const ol_onnx_scope *s, ol_str name, const char **out,
                                     olv_error *err);
OLV_MUST_USE olv_status ol_onnx_define(ol_onnx_scope *s, ol_str name, ol_value *v, olv_error *err);

#endif
