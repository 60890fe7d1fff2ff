/* SPDX-License-Identifier: Apache-2.0 */
/* Machine-independent rewrites of graphs. Each keeps the meaning of every graph output and leaves a graph that verifies. */
#ifndef OL_PASSES_PASSES_H
#define OL_PASSES_PASSES_H

#include "graph/op.h"

typedef struct ol_pass {
    const char *name;    /* "fold-constants" */
    const char *summary; /* one line */
    /* *changed is set when anything was rewritten. */
    olv_status (*run)(ol_graph *g, bool *changed, olv_error *err);
} ol_pass;

const ol_pass *const *ol_pass_all(size_t *count);
const ol_pass *ol_pass_find(const char *name); /* NULL when there is none */
/* Runs all passes in their order until none changes anything (at most 8 rounds). */
OLV_MUST_USE olv_status ol_passes_run(ol_graph *g, olv_error *err);

#endif
