/* SPDX-License-Identifier: Apache-2.0 */
#include "compress/with_data.h"
#include "base/alloc.h"
#include "base/error.h"
#include "compress/gptq.h"
#include <stdio.h>
#include <string.h>

#define SWEEPS 6 /* of the best profile: more change next to nothing */
#define SCALE_SWEEPS 3 /* of scales alone */
/* A table that is looked up too is read by more than the head: by rows that are anything. */
#define TABLE_DAMPING 0.03

typedef struct work {
    const olv_calibration_options *o;
    ol_store *store;
} work;

static const char *method_name(unsigned methods) {
    if (methods & OLV_DATA_BEST) return "best";
    if (methods & OLV_DATA_GPTQ) return methods & OLV_DATA_SCALE_ESTIMATION ? "scale estimation and gptq" : "gptq";
    return "scale estimation";
}

static olv_status give(const work *w, ol_graph *g, ol_compress_entry *e, const ol_gptq_options *o, const ol_stage *stage, olv_error *err) {
    ol_gptq_result r;
    char name[256];
    olv_weight_spec spec = e->spec;
    snprintf(name, sizeof name, "codes with data %d %.200s", stage->index, e->name);
    if (w->o->methods & (OLV_DATA_SCALE_ESTIMATION | OLV_DATA_BEST)) spec.rounding = OLV_ROUND_SEARCH;
    OL_TRY(ol_gptq(e->source, &spec, o, w->store, name, stage->executor, stage->cpu, &r, err));
    olv_status s = ol_compress_give(g, e, r.codes, method_name(w->o->methods), r.error, r.energy, err);
    ol_const_release(r.codes);
    return s;
}

/* Scale estimation alone leaves every weight at the code nearest to it when the scale was chosen, and fits the scale. */
static olv_status round_stage(void *ctx, ol_graph *g, const ol_stage *stage, olv_error *err) {
    const work *w = ctx;
    unsigned methods = w->o->methods;
    bool best = methods & OLV_DATA_BEST, ordered = best || (methods & OLV_DATA_GPTQ), table = false;
    for (int i = 0; i < stage->n; i++) table = table || (stage->layers[i]->roles & OL_ROLE_EMBEDDING);
    double damping = w->o->damping + (table ? TABLE_DAMPING : 0);
    ol_factor f = {.k = 0};
    if (ordered) OL_TRY(ol_factor_init(&f, stage->stats->gram, stage->stats->k, damping, true, stage->executor, stage->cpu, err));
    ol_gptq_options o = {.hessian = stage->stats->gram, .factor = ordered ? &f : NULL, .damping = damping};
    o.sweeps = best ? SWEEPS : methods & OLV_DATA_SCALE_ESTIMATION ? SCALE_SWEEPS : 0;
    o.scales_alone = !best;
    olv_status s = OLV_OK;
    for (int i = 0; s == OLV_OK && i < stage->n; i++)
        if (ol_gptq_takes(&stage->layers[i]->spec)) s = give(w, g, stage->layers[i], &o, stage, err);
    ol_factor_deinit(&f);
    return s;
}

static ol_calibration calibration_of(const ol_samples *samples, ol_executor *e, uint64_t cpu, olv_progress_fn *progress, void *ctx) {
    return (ol_calibration){.texts = {samples->ids, samples->lengths, (int)samples->n}, .executor = e, .cpu = cpu, .progress = progress,
                            .progress_ctx = ctx};
}

/* ---- observing ---- */

typedef struct observing {
    ol_compress_plan *plan;
    ol_observed *out;
} observing;

static olv_status observe_stage(void *ctx, ol_graph *g, const ol_stage *stage, olv_error *err) {
    const observing *o = ctx;
    (void)g;
    for (int i = 0; i < stage->n; i++) {
        size_t row = (size_t)(stage->layers[i] - o->plan->entries), bytes = (size_t)stage->stats->k * sizeof(float);
        if (o->out->squares[row]) continue;
        o->out->squares[row] = ol_alloc(bytes);
        if (!o->out->squares[row]) return ol_fail(err, OLV_NOMEM, "no memory for what was seen of the layers' inputs");
        memcpy(o->out->squares[row], stage->stats->mean_square, bytes);
        o->out->inputs[row] = stage->stats->inputs;
        o->out->inputs[row].mean_square = o->out->squares[row];
    }
    return OLV_OK;
}

olv_status ol_compress_observe(ol_graph *g, ol_compress_plan *plan, const ol_samples *samples, bool sensitivity, ol_executor *e, uint64_t cpu,
                               ol_observed *out, olv_progress_fn *progress, void *ctx, olv_error *err) {
    *out = (ol_observed){ol_calloc(plan->n + 1, sizeof *out->inputs), ol_calloc(plan->n + 1, sizeof(float *)), plan->n};
    if (!out->inputs || !out->squares) {
        ol_observed_deinit(out);
        return ol_fail(err, OLV_NOMEM, "no memory for what was seen of the layers' inputs");
    }
    ol_calibration c = calibration_of(samples, e, cpu, progress, ctx);
    observing o = {plan, out};
    OL_TRY(ol_calibrate(g, plan, &c, observe_stage, &o, err));
    for (size_t i = 0; i < plan->n; i++)
        if (out->squares[i]) plan->entries[i].inputs = &out->inputs[i];
    return sensitivity ? ol_calibrate_sensitivity(g, plan, &c, err) : OLV_OK;
}

void ol_observed_deinit(ol_observed *o) {
    for (size_t i = 0; o->squares && i < o->n; i++) ol_free(o->squares[i]);
    ol_free(o->squares);
    ol_free(o->inputs);
    *o = (ol_observed){NULL, NULL, 0};
}

/* ---- the methods ---- */

olv_status ol_compress_with_data(ol_graph *g, ol_compress_plan *plan, const olv_calibration_options *o, const ol_samples *samples,
                                 ol_executor *e, uint64_t cpu, ol_store *store, olv_progress_fn *progress, void *ctx, olv_error *err) {
    if (o->methods & OLV_DATA_AWQ) return ol_fail(err, OLV_UNSUPPORTED, "awq is not there yet; use gptq or the profile best");
    ol_calibration c = calibration_of(samples, e, cpu, progress, ctx);
    work w = {o, store};
    return ol_calibrate(g, plan, &c, round_stage, &w, err);
}
