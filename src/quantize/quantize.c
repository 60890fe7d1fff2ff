/* SPDX-License-Identifier: Apache-2.0 */
#include "base/alloc.h"
#include "base/error.h"
#include "quantize/report.h"
#include "quantize/steps.h"
#include "runtime/core.h"
#include <stdlib.h>
#include <string.h>

static olv_status lower(const ol_placement *pl, const olv_quantize_params *p, const bool *half, olv_error *err) {
    const ol_lowering_options o = {half, p->form, false};
    return p->form == OLV_FORM_QDQ ? ol_quantize_lower_qdq(pl, &o, err) : ol_quantize_lower_fake(pl, &o, err);
}

static olv_status join_reasons(const ol_calibration *c, const char *const *reverted, const char ***out, olv_error *err) {
    const char **all = ol_calloc(c->n_nodes + 1, sizeof *all);
    if (!all) return ol_fail(err, OLV_NOMEM, "no memory to place quantizers");
    for (size_t i = 0; i < c->n_nodes; i++) all[i] = c->kept && c->kept[i] ? c->kept[i] : reverted ? reverted[i] : NULL;
    *out = all;
    return OLV_OK;
}

olv_status ol_quantize_build(const ol_calibration *c, const olv_quantize_params *p, ol_prober *prober, const char *const *reverted, json_t *report,
                             ol_graph **out, olv_error *err) {
    ol_graph *g;
    ol_placement pl = {.graph = NULL};
    bool *half = NULL;
    OL_TRY(ol_graph_clone(c->graph, NULL, &g, err));
    g->ops = c->graph->ops;
    const char **kept = NULL;
    olv_status s = join_reasons(c, reverted, &kept, err);
    if (s == OLV_OK) s = ol_placement_make(g, p, kept, &pl, err);
    if (s == OLV_OK) s = ol_calibration_apply(c, &pl, err);
    if (s == OLV_OK) s = ol_quantize_half_range(&pl, p, &half, err);
    if (s == OLV_OK && p->bias_correction == OLV_BIAS_FAST) s = ol_quantize_correct_fast(&pl, half, c, err);
    if (s == OLV_OK && p->bias_correction == OLV_BIAS_FULL) s = ol_quantize_correct_full(&pl, p, half, prober, err);
    if (s == OLV_OK && report) s = ol_quantize_report(report, &pl, half, err);
    if (s == OLV_OK) s = lower(&pl, p, half, err);
    ol_free(half), ol_free(kept);
    ol_placement_deinit(&pl);
    if (s == OLV_OK) *out = g;
    else ol_graph_destroy(g);
    return s;
}

static olv_status check_params(const olv_quantize_params *p, olv_error *err) {
    if (p->struct_size != sizeof *p) return ol_fail(err, OLV_ARG, "parameters of another version; call olv_quantize_params_init");
    if (p->subset_size < 1) return ol_fail(err, OLV_ARG, "subset size %lld, expected 1 or more", (long long)p->subset_size);
    if (p->smooth_quant_alpha > 1) return ol_fail(err, OLV_ARG, "SmoothQuant's alpha is %g, expected 0 to 1, or -1 for off", p->smooth_quant_alpha);
    if (p->activations.given && !(p->activations.outliers >= 0 && p->activations.outliers < 0.5))
        return ol_fail(err, OLV_ARG, "a share of outliers of %g, expected 0 to 0.5", p->activations.outliers);
    return OLV_OK;
}

/* Everything up to the ranges, which builds with other layers in float share. */
static olv_status analyze(ol_graph *g, const olv_quantize_params *p, ol_prober *prober, ol_calibration *c, olv_error *err) {
    ol_placement pl = {.graph = NULL};
    OL_TRY(ol_quantize_prepare(g, err));
    if (p->model_type == OLV_QUANTIZE_TRANSFORMER && p->smooth_quant_alpha >= 0) OL_TRY(ol_quantize_smooth(g, p, prober, err));
    if (p->channel_alignment) OL_TRY(ol_quantize_align(g, prober, err));
    for (bool again = true; again;) {
        olv_status s = ol_placement_make(g, p, c->kept, &pl, err);
        if (s == OLV_OK) s = ol_quantize_calibrate(&pl, p, prober, c, err);
        if (s == OLV_OK) s = ol_calibration_keep_wild(c, &pl, &again, err);
        ol_placement_deinit(&pl);
        if (s != OLV_OK) return s;
    }
    return OLV_OK;
}

static olv_status write_report(json_t *j, size_t samples, char **out, olv_error *err) {
    json_object_set_new(j, "samples", json_integer((json_int_t)samples));
    char *text = json_dumps(j, JSON_PRESERVE_ORDER | JSON_INDENT(1));
    size_t n = text ? strlen(text) + 1 : 0;
    char *own = text ? ol_alloc(n) : NULL;
    if (own) memcpy(own, text, n);
    free(text);
    *out = own;
    return own ? OLV_OK : ol_fail(err, OLV_NOMEM, "no memory for a report");
}

static olv_status make_model(const olv_model *like, ol_graph *g, olv_model **out, olv_error *err) {
    OL_TRY(ol_model_create(g, out, err));
    if (like->core) (*out)->core = ol_core_retain(like->core);
    return OLV_OK;
}

olv_status olv_quantize(olv_core *core, const olv_model *model, olv_dataset *data, const olv_quantize_params *p, olv_model **out, char **report,
                        olv_error *err) {
    ol_prober prober = {core, model->core, data, (size_t)p->subset_size, p->progress, p->progress_ctx, 0};
    ol_calibration c = {.graph = NULL};
    ol_graph *g, *made = NULL;
    char *text = NULL;
    OL_TRY(check_params(p, err));
    OL_TRY(ol_graph_clone(model->graph, NULL, &g, err));
    g->ops = model->graph->ops;
    json_t *j = json_object();
    olv_status s = j ? analyze(g, p, &prober, &c, err) : ol_fail(err, OLV_NOMEM, "no memory for a report");
    if (s == OLV_OK) s = ol_quantize_build(&c, p, &prober, NULL, j, &made, err);
    if (s == OLV_OK && p->max_drop >= 0) s = ol_quantize_control(&c, p, &prober, j, &made, err);
    if (s == OLV_OK && report) s = write_report(j, c.samples, &text, err);
    ol_calibration_deinit(&c);
    ol_graph_destroy(g);
    json_decref(j);
    if (s == OLV_OK) s = make_model(model, made, out, err);
    else if (made) ol_graph_destroy(made);
    if (s != OLV_OK) ol_free(text);
    else if (report) *report = text;
    return s;
}
