/* SPDX-License-Identifier: Apache-2.0 */
/* What identifies the files that a model came from, as part of a key of the weight store. */
#ifndef OL_RUNTIME_SOURCE_KEY_H
#define OL_RUNTIME_SOURCE_KEY_H

#include "graph/graph.h"

/* Appends a line for each file that constants of the graph view, and for each of `paths` that is there: name, size, time of
 * change, hash of its beginning (of all, where it lies in memory). */
OLV_MUST_USE olv_status ol_source_key(const ol_graph *g, const char *const *paths, size_t n_paths, ol_buf *out, olv_error *err);

#endif
