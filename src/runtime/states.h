/* SPDX-License-Identifier: Apache-2.0 */
/* States of models that keep variables between runs (formats/openvino/openvino.h): pairs of an input and an output that a
 * request carries from one run to the next, and the input that says that a sequence begins. They come last among the
 * inputs and outputs of their graph, and users do not see them. */
#ifndef OL_RUNTIME_STATES_H
#define OL_RUNTIME_STATES_H

#include "graph/op.h"

/* The number of variables of a graph: as its metadata says, when inputs and outputs agree with it; else 0. */
int ol_states_count(const ol_graph *g);
/* Inputs and outputs without those of states. */
size_t ol_states_visible_inputs(const ol_graph *g);
size_t ol_states_visible_outputs(const ol_graph *g);

typedef struct ol_states {
    const ol_graph *graph;
    int n, first_input, first_output; /* variable i: input first_input + i, output first_output + i */
    bool begun;                       /* a run has been: `held` is what it left */
    ol_datum *held;
    bool fresh_data;
    ol_datum fresh; /* a bool over fresh_data */
} ol_states;

OLV_MUST_USE olv_status ol_states_init(ol_states *s, const ol_graph *g, olv_error *err);
void ol_states_deinit(ol_states *s);
/* The next run begins a sequence. */
OLV_MUST_USE olv_status ol_states_reset(ol_states *s, olv_error *err);
/* Before a run: what `fresh` (input first_input - 1) is. The data of state i are held[i]. */
void ol_states_begin(ol_states *s);
/* After a run: takes copies of what output first_output + i became. */
OLV_MUST_USE olv_status ol_states_keep(ol_states *s, const ol_datum *const *outputs, olv_error *err);

#endif
