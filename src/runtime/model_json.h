/* SPDX-License-Identifier: Apache-2.0 */
/* Models as JSON. */
#ifndef OL_RUNTIME_MODEL_JSON_H
#define OL_RUNTIME_MODEL_JSON_H

#include "graph/op.h"

/* Appends the form that olv_model_graph_json documents; b->failed says that it is not whole. */
void ol_graph_write_json(const ol_graph *g, ol_buf *b);

#endif
