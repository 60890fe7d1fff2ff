/* SPDX-License-Identifier: Apache-2.0 */
/* Operators registered by users. */
#ifndef OL_RUNTIME_EXTENSION_H
#define OL_RUNTIME_EXTENSION_H

#include "graph/op.h"
#include <stdatomic.h>

typedef struct ol_custom_op ol_custom_op;

/* Grows only; readers need no lock. */
typedef struct ol_custom_ops {
    ol_op_set set; /* first: what graphs see */
    _Atomic(ol_custom_op *) first;
} ol_custom_ops;

void ol_custom_ops_init(ol_custom_ops *o);
void ol_custom_ops_deinit(ol_custom_ops *o);

#endif
