/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of this folder share about the inside of a graph. */
#ifndef OL_GRAPH_PRIVATE_H
#define OL_GRAPH_PRIVATE_H

#include "graph/op.h"

/* Registers a value (name checked for uniqueness, NULL: fresh); NULL and err set on failure. */
ol_value *ol_value_new(ol_graph *g, const char *name, olv_error *err);
void ol_value_drop(ol_value *v); /* out of the graph: no uses may be left */
/* Releases what a node holds: uses of its inputs, constants and subgraphs of its attributes. */
void ol_node_release(ol_node *n);
/* Runs the operator's inference on n; out has n->n_outputs entries (at least 1). */
olv_status ol_node_infer(ol_node *n, ol_type *out, olv_error *err);
/* Arity, attribute types and required attributes; unknown attributes are refused when strict. */
olv_status ol_node_check_form(const ol_node *n, bool strict, olv_error *err);
/* Calls fn for each subgraph among the attributes of n. */
#define OL_EACH_SUBGRAPH(n, sub)                                                                   \
    for (int ol_ai_ = 0; ol_ai_ < (n)->n_attrs; ol_ai_++)                                          \
        for (size_t ol_gi_ = 0; ol_gi_ < ol_attr_n_graphs(&(n)->attrs[ol_ai_]) &&                  \
                                ((sub) = ol_attr_graph(&(n)->attrs[ol_ai_], ol_gi_)) != NULL;      \
             ol_gi_++)
static inline size_t ol_attr_n_graphs(const ol_attr *a) {
    return a->type == OL_ATTR_GRAPH ? 1 : a->type == OL_ATTR_GRAPHS ? a->count : 0;
}
static inline ol_graph *ol_attr_graph(const ol_attr *a, size_t i) {
    return a->type == OL_ATTR_GRAPH ? a->v.graph : a->v.graphs[i];
}

#endif
