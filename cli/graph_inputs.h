/* SPDX-License-Identifier: Apache-2.0 */
/* Data for the inputs of a graph: from files, or made up. */
#ifndef CLI_GRAPH_INPUTS_H
#define CLI_GRAPH_INPUTS_H

#include "args.h"
#include <olivine/model.h>

typedef struct graph_inputs {
    olv_tensor **items; /* by input; NULL: has a default */
    size_t n;
} graph_inputs;

/* `files`: "name=FILE" or "name:FILE"; what is not named there gets small random data, the same every time. Open sizes are an
 * error, or, when `fill_open`, as small as the input takes but at least 1. Free it in any case. */
olv_status make_graph_inputs(const olv_compiled *c, const arg_list *files, bool fill_open, graph_inputs *out, olv_error *err);
olv_status give_graph_inputs(olv_request *r, const graph_inputs *in, olv_error *err);
void free_graph_inputs(graph_inputs *in);

#endif
