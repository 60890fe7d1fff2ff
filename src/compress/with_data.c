/* SPDX-License-Identifier: Apache-2.0 */
#include "compress/with_data.h"
#include "base/alloc.h"
#include "base/error.h"
#include "compress/gptq.h"
#include <stdio.h>

#define SWEEPS 6 /* of the best profile: more change next to nothing */
/* A table that is looked up too is read by more than the head: by rows that are anything. */
#define TABLE_DAMPING 0.03

typedef struct work {
    const olv_calibration_options *o;
    ol_store *store;
} work;

static olv_status give(const work *w, ol_graph *g, ol_compress_entry *e, const ol_gptq_options *o, const ol_stage *stage, olv_error *err) {
    ol_gptq_result r;
    char name[256];
    snprintf(name, sizeof name, "codes with data %d %.200s", stage->index, e->name);
    OL_TRY(ol_gptq(e->source, &e->spec, o, w->store, name, stage->executor, stage->cpu, &r, err));
    olv_status s = ol_compress_give(g, e, r.codes, w->o->methods & OLV_DATA_BEST ? "best" : "gptq", r.error, r.energy, err);
    ol_const_release(r.codes);
    return s;
}

static olv_status round_stage(void *ctx, ol_graph *g, const ol_stage *stage, olv_error *err) {
    const work *w = ctx;
    bool best = w->o->methods & OLV_DATA_BEST, table = false;
    for (int i = 0; i < stage->n; i++) table = table || (stage->layers[i]->roles & OL_ROLE_EMBEDDING);
    double damping = w->o->damping + (table ? TABLE_DAMPING : 0);
    ol_factor f;
    OL_TRY(ol_factor_init(&f, stage->stats->gram, stage->stats->k, damping, true, stage->executor, stage->cpu, err));
    ol_gptq_options o = {.hessian = stage->stats->gram, .factor = &f, .sweeps = best ? SWEEPS : 0, .damping = damping};
    olv_status s = OLV_OK;
    for (int i = 0; s == OLV_OK && i < stage->n; i++)
        if (ol_gptq_takes(&stage->layers[i]->spec)) s = give(w, g, stage->layers[i], &o, stage, err);
    ol_factor_deinit(&f);
    return s;
}

olv_status ol_compress_with_data(ol_graph *g, ol_compress_plan *plan, const olv_calibration_options *o, const ol_samples *samples,
                                 ol_executor *e, uint64_t cpu, ol_store *store, olv_progress_fn *progress, void *ctx, olv_error *err) {
    const ol_calibration c = {.texts = {samples->ids, samples->lengths, (int)samples->n}, .executor = e, .cpu = cpu, .progress = progress,
                              .progress_ctx = ctx};
    work w = {o, store};
    return ol_calibrate(g, plan, &c, round_stage, &w, err);
}
