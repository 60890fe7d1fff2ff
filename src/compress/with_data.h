/* SPDX-License-Identifier: Apache-2.0 */
/* The methods that work with data, applied to the rows of a plan. */
#ifndef OL_COMPRESS_WITH_DATA_H
#define OL_COMPRESS_WITH_DATA_H

#include "base/store.h"
#include "compress/calibrate.h"
#include <olivine/calibrate.h>

/* Samples as they were taken from a dataset. */
typedef struct ol_samples {
    int64_t *ids, *lengths;
    size_t n, cap, n_ids, cap_ids;
    uint64_t hash; /* of all of it */
} ol_samples;

/* Takes samples until there are no more, or enough. OLV_ARG when there are none, or a token is outside of the vocabulary. */
OLV_MUST_USE olv_status ol_samples_take(ol_samples *s, const olv_calibration_options *o, int64_t vocab, olv_error *err);
void ol_samples_deinit(ol_samples *s);

/* What was seen of the inputs of a plan's rows. */
typedef struct ol_observed {
    ol_layer_inputs *inputs; /* by row; mean_square NULL where nothing was seen */
    float **squares;
    size_t n;
} ol_observed;

/* Runs the samples through the float model and tells each row of the plan what its inputs are like (entry->inputs, until deinit);
 * sensitivity: also what its error costs (entry->weight). */
OLV_MUST_USE olv_status ol_compress_observe(ol_graph *g, ol_compress_plan *plan, const ol_samples *samples, bool sensitivity, ol_executor *e,
                                            uint64_t cpu, ol_observed *out, olv_progress_fn *progress, void *ctx, olv_error *err);
void ol_observed_deinit(ol_observed *o);

/* Gives codes to the rows of the plan that the methods take; the codes lie in the store. */
OLV_MUST_USE olv_status ol_compress_with_data(ol_graph *g, ol_compress_plan *plan, const olv_calibration_options *o, const ol_samples *samples,
                                              ol_executor *e, uint64_t cpu, ol_store *store, olv_progress_fn *progress, void *ctx,
                                              olv_error *err);

#endif
