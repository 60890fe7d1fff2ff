/* SPDX-License-Identifier: Apache-2.0 */
/* Weights that are compressed while loading, and where what is made of weights is kept. */
#ifndef OL_GENERATE_WEIGHTS_H
#define OL_GENERATE_WEIGHTS_H

#include "base/store.h"
#include "generate/pipeline.h"

/* Compresses the graph's weights as o->weights says; *store is where they lie, and where the plan may put more before
 * ol_store_finish. Release it. */
OLV_MUST_USE olv_status ol_weights_prepare(olv_pipeline *p, ol_graph *g, const olv_pipeline_options *o, ol_store **store,
                                           olv_error *err);

#endif
