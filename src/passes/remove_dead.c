/* SPDX-License-Identifier: Apache-2.0 */
/* Nodes and constants that no output needs. Operators with state stay. */
#include "passes/passes.h"

static int count(const ol_graph *g) { return g->n_nodes + g->n_values; }

static olv_status run(ol_graph *g, bool *changed, olv_error *err) {
    int before = count(g);
    (void)err;
    ol_graph_prune(g);
    *changed = count(g) != before;
    return OLV_OK;
}

extern const ol_pass ol_pass_remove_dead;
const ol_pass ol_pass_remove_dead = {"remove-dead", "drops nodes and constants that no output needs", run};
