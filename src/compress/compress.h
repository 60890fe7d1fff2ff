/* SPDX-License-Identifier: Apache-2.0 */
/* The pass that compresses the weights of a portable graph. */
#ifndef OL_COMPRESS_COMPRESS_H
#define OL_COMPRESS_COMPRESS_H

#include "base/executor.h"
#include "base/store.h"
#include "compress/plan.h"
#include <olivine/progress.h>

/* Replaces the float constants that Linear, ExpertLinear and Gather (axis 0) read by compressed views, by role: the
 * linear layer before a graph output is the head. A table used in several places is compressed once, and a table shared
 * with the head as the head. Nothing is computed yet. plan may be NULL; else it is filled (deinit it) also on failure. */
OLV_MUST_USE olv_status ol_compress_graph(ol_graph *g, const olv_compress_params *params, uint64_t cpu, ol_compress_plan *plan,
                                          olv_error *err);
/* The plan as JSON; errors and signal-to-noise ratios of those tables whose rows were all produced. */
void ol_compress_report_json(const ol_compress_plan *r, ol_buf *out);

/* Mixed precision: of the compressed linear layers (no head, no table) as many as have less than the share params->ratio of the
 * weights stay as they are, those with the lowest scores of the metric first; the others become params->backup. */
OLV_MUST_USE olv_status ol_compress_mix(ol_graph *g, ol_compress_plan *plan, const olv_compress_params *params, uint64_t cpu,
                                        ol_executor *e, olv_error *err);

/* The best plan within params->budget_bytes or params->bits: for each compressed linear layer one of several types and group sizes,
 * so that the sum of the layers' relative errors is least. Leaves the plan alone when neither is given. */
OLV_MUST_USE olv_status ol_compress_budget(ol_graph *g, ol_compress_plan *plan, const olv_compress_params *params, uint64_t cpu,
                                           ol_executor *e, olv_error *err);

typedef struct ol_produce_progress {
    olv_progress_fn *fn; /* of weights; NULL: nobody listens */
    void *ctx;
} ol_produce_progress;

/* Gives constants that are quantized on demand their codes, in the store: what an earlier run kept there is taken as it is.
 * Experts that lie in their files stay there. progress may be NULL. */
OLV_MUST_USE olv_status ol_compress_produce(ol_graph *g, ol_executor *e, ol_store *store, const ol_produce_progress *progress,
                                            olv_error *err);
/* Compresses the graph to 8 or 4 bits (embeddings and head to 8) on demand. */
OLV_MUST_USE olv_status ol_compress_to_bits(ol_graph *g, int bits, olv_error *err);
/* Both, in memory. */
OLV_MUST_USE olv_status ol_compress_in_memory(ol_graph *g, int bits, ol_executor *e, olv_error *err);

#endif
