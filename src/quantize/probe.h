/* SPDX-License-Identifier: Apache-2.0 */
/* Running a graph over samples and looking at values inside it. */
#ifndef OL_QUANTIZE_PROBE_H
#define OL_QUANTIZE_PROBE_H

#include "graph/graph.h"
#include <olivine/quantize.h>

struct olv_dataset {
    olv_sample_fn *fn;
    void (*destroy)(void *);
    void *ctx;
};

/* What runs graphs: shared by all steps of a quantization. */
typedef struct ol_prober {
    olv_core *core;
    olv_core *operators; /* the model's; may be NULL */
    olv_dataset *data;
    size_t max_samples;
    olv_progress_fn *progress;
    void *progress_ctx;
    size_t seen; /* samples of the last run */
} ol_prober;

/* Called for each of the values of each sample, in their order. items: samples along axis 0 (a batch). */
typedef olv_status ol_probe_fn(void *ctx, size_t sample, int which, const ol_tensor *x, int64_t items, olv_error *err);
/* Runs a copy of g, cut to what the n named values need. `data` NULL: the prober's. */
OLV_MUST_USE olv_status ol_probe(ol_prober *p, const ol_graph *g, const char *const *names, int n, olv_dataset *data, size_t max_samples,
                                 ol_probe_fn *fn, void *ctx, olv_error *err);

#endif
