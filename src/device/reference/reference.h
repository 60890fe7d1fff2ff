/* SPDX-License-Identifier: Apache-2.0 */
/* The reference device: evaluates a graph node by node with the operators' own evaluation. Slow, obvious, and the judge
 * of every other device, of passes and of translations. */
#ifndef OL_DEVICE_REFERENCE_REFERENCE_H
#define OL_DEVICE_REFERENCE_REFERENCE_H

#include "graph/op.h"

/* The rows of a run of a graph with state: which sequence and position each row of the inputs [T] belongs to. */
typedef struct ol_reference_rows {
    int64_t n;
    const int32_t *sequence; /* any numbers */
    const int64_t *position;
} ol_reference_rows;

/* States of sequences, kept between runs. One thread at a time. */
typedef struct ol_reference ol_reference;
OLV_MUST_USE olv_status ol_reference_create(const ol_graph *g, ol_reference **out, olv_error *err);
void ol_reference_destroy(ol_reference *r);
/* Forgets all sequences. */
void ol_reference_reset(ol_reference *r);
/* Runs the graph. inputs[i] is for the graph input names[i]; inputs with a default may be left out. outputs holds one
 * datum per graph output, empty before, the caller's after success. rows may be NULL: for a graph without state, or one
 * whose rows are positions 0.. of sequence 0. */
OLV_MUST_USE olv_status ol_reference_step(ol_reference *r, const ol_reference_rows *rows, const char *const *names,
                                          const ol_datum *inputs, size_t n, ol_datum *outputs, olv_error *err);
/* One run without kept states. */
OLV_MUST_USE olv_status ol_reference_run(const ol_graph *g, const ol_reference_rows *rows, const char *const *names,
                                         const ol_datum *inputs, size_t n, ol_datum *outputs, olv_error *err);
/* Values of the graph around, for nodes whose subgraphs use them. */
typedef struct ol_reference_outer {
    const ol_value *const *values;
    const ol_datum *const *data;
    int n;
} ol_reference_outer;
/* One node alone with the given input data (NULL: omitted). outer may be NULL: subgraphs are refused then. out has
 * n->n_outputs entries, empty before. */
OLV_MUST_USE olv_status ol_reference_node(const ol_node *n, const ol_datum *const *in, const ol_reference_outer *outer,
                                          ol_datum *out, olv_error *err);

#endif
