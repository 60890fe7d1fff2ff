/* SPDX-License-Identifier: Apache-2.0 */
/* Graphs in terms of an older opset, in two steps: operators that it lacks are composed of those that it has (on a copy of
 * the graph, still in the forms of OL_OPSET), then each node is written in the form of its time. */
#ifndef OL_FORMATS_ONNX_LOWER_H
#define OL_FORMATS_ONNX_LOWER_H

#include "graph/op.h"

/* The opset that brought the operator, 1 for all before 7 and for other domains. */
int64_t ol_onnx_since(const ol_op *op);
/* Replaces nodes of g and its subgraphs that the opset lacks, where its operators can say them, and
 * operators that no opset has (olivine.FakeQuantize), for which ol_onnx_must_compose asks. */
bool ol_onnx_must_compose(const ol_graph *g);
OLV_MUST_USE olv_status ol_onnx_compose(ol_graph *g, int64_t opset, olv_error *err);

/* The older form of a node: an attribute more, inputs fewer. Names and attributes are those of the node, or made here in
 * the memory of the arena. */
typedef struct ol_onnx_form {
    const char *op;
    int n_inputs; /* those that are left, of node->inputs */
    ol_attr *attrs;
    int n_attrs;
} ol_onnx_form;
OLV_MUST_USE olv_status ol_onnx_form_of(const ol_node *n, int64_t opset, ol_arena *a, ol_onnx_form *out, olv_error *err);

#endif
