/* SPDX-License-Identifier: Apache-2.0 */
/* Ranges of activations as seen on data, and the grids that represent them. */
#ifndef OL_QUANTIZE_RANGE_H
#define OL_QUANTIZE_RANGE_H

#include "quantize/placement.h"

#define OL_HISTOGRAM_BINS 2048

typedef struct ol_histogram {
    double low, high;
    double *bins; /* NULL: nothing seen yet */
} ol_histogram;

/* Collects the bounds of one value over samples. */
typedef struct ol_observer {
    bool per_channel, symmetric;
    int axis; /* of the channels, negative: from the end */
    olv_range_estimator how;
    int64_t n;           /* bounds of a sample: 1 or the channels; 0 before the first */
    float *mins, *maxs;  /* [n_samples, n] */
    size_t n_samples, cap;
    ol_histogram histogram;
} ol_observer;

/* symmetric: the upper bound is that of magnitudes. */
void ol_observer_init(ol_observer *o, const olv_quantize_params *p, bool per_channel, bool symmetric);
void ol_observer_deinit(ol_observer *o);
/* One sample, or `items` of them along axis 0. OLV_FORMAT when x holds a NaN or an infinity. */
OLV_MUST_USE olv_status ol_observer_look(ol_observer *o, const ol_tensor *x, int64_t items, olv_error *err);
/* The bounds of all samples, o->n each (their memory is the caller's to free). */
OLV_MUST_USE olv_status ol_observer_finish(ol_observer *o, float **low, float **high, olv_error *err);

/* The range of the least expected squared error; symmetric: of magnitudes. */
void ol_histogram_search(const ol_histogram *h, bool symmetric, double *low, double *high);
OLV_MUST_USE olv_status ol_histogram_add(ol_histogram *h, const float *x, int64_t n, olv_error *err);

/* Scale, zero point and signedness from low and high, which become what the grid represents. */
OLV_MUST_USE olv_status ol_grid_settle(ol_grid *g, olv_error *err);

#endif
