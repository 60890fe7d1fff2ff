/* SPDX-License-Identifier: Apache-2.0 */
/* The ignored scope: which layers the user wants kept, by name, pattern, operator or place in the graph. */
#ifndef OL_COMPRESS_SCOPE_H
#define OL_COMPRESS_SCOPE_H

#include "graph/graph.h"

typedef struct ol_scope ol_scope;

/* items: borrowed, as olv_compress_params.ignored has them. Numbers the nodes of g anew. */
OLV_MUST_USE olv_status ol_scope_create(ol_graph *g, const char *const *items, size_t n, ol_scope **out, olv_error *err);
void ol_scope_destroy(ol_scope *s); /* NULL accepted */
/* Is the table `name`, which these values hold, kept? */
bool ol_scope_has(ol_scope *s, const char *name, ol_value *const *values, int n_values);
/* OLV_ARG for an item that matched nothing that was asked for. */
OLV_MUST_USE olv_status ol_scope_check(const ol_scope *s, olv_error *err);

#endif
