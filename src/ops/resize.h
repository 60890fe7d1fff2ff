/* SPDX-License-Identifier: Apache-2.0 */
/* Geometry of Resize: which elements of an axis an output place is made of. */
#ifndef OL_OPS_RESIZE_H
#define OL_OPS_RESIZE_H

#include "ops/ops.h"

typedef struct ol_resize_axis {
    int64_t in, out;
    double scale, start, end; /* start and end: of tf_crop_and_resize */
} ol_resize_axis;

typedef struct ol_resize {
    ol_str mode, coords, nearest;
    double cubic_a, extrapolation;
    bool exclude, antialias;
} ol_resize;

/* The attributes of a node. */
ol_resize ol_resize_of(const ol_node *n);

#define OL_RESIZE_MAX_TAPS 4096
/* Weights of the elements first, first + 1, ... (to be kept inside the axis) for output place o; their number. */
int ol_resize_taps(const ol_resize *r, const ol_resize_axis *p, int64_t o, int64_t *first, double *w);

#endif
