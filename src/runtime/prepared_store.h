/* SPDX-License-Identifier: Apache-2.0 */
/* The weight store of a compiled model. */
#ifndef OL_RUNTIME_PREPARED_STORE_H
#define OL_RUNTIME_PREPARED_STORE_H

#include "base/store.h"
#include "graph/graph.h"

/* What decides about prepared data beside the graph and its weights. */
typedef struct ol_store_terms {
    const char *device;
    uint64_t cpu;
    int precision;
} ol_store_terms;

/* Opens the store in `dir` (NULL or "": in memory) for this graph, before passes run. */
OLV_MUST_USE olv_status ol_prepared_store_open(const char *dir, const ol_graph *g, const ol_store_terms *terms, ol_store **out, olv_error *err);

#endif
