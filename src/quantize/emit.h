/* SPDX-License-Identifier: Apache-2.0 */
/* Parts of graphs that the steps write. */
#ifndef OL_QUANTIZE_EMIT_H
#define OL_QUANTIZE_EMIT_H

#include "quantize/weights.h"

/* Status of what graphs return: NULL has written its error. */
static inline olv_status ol_made(const void *made, const olv_error *err) { return made ? OLV_OK : err ? err->status : OLV_NOMEM; }
/* A constant of a copy of `data`, named stem + what, or something fresh that begins so. */
OLV_MUST_USE olv_status ol_quantize_constant(ol_graph *g, const char *stem, const char *what, ol_dtype dtype, int rank, const int64_t *dims,
                                             const void *data, ol_value **out, olv_error *err);
/* A node of these inputs (the last may be NULL: none), named after the first; axis < 0: without that attribute. */
OLV_MUST_USE olv_status ol_quantize_node(ol_graph *g, ol_node *before, const char *op, ol_value *x, ol_value *scale, ol_value *zero, int axis,
                                         ol_value **out, olv_error *err);
/* The weights of a node become codes behind DequantizeLinear, with zero points of 0 where asked for. *scale: the scales. */
OLV_MUST_USE olv_status ol_quantize_write_weights(ol_graph *g, ol_node *n, int input, const ol_weight_codes *c, bool zeros, ol_value **scale, olv_error *err);

#endif
