/* SPDX-License-Identifier: Apache-2.0 */
/* Mixed precision by NNCF's criteria: each layer gets a score, and those with the lowest go to few bits. All criteria but the
 * first need what calibration knows of the layers' inputs. */
#include "base/alloc.h"
#include "base/error.h"
#include "base/str.h"
#include "compress/compress.h"
#include "compress/measure.h"
#include <math.h>
#include <stdlib.h>
#include <strings.h>

typedef struct candidate {
    ol_compress_entry *entry;
    double score; /* the higher, the more bits it deserves */
} candidate;

static const char *const metric_names[OLV_N_SENSITIVITIES] = {
#define NAME(name, text) text,
    OLV_SENSITIVITIES(NAME)
#undef NAME
};

olv_status olv_sensitivity_parse(const char *name, olv_sensitivity *out, olv_error *err) {
    ol_buf all = OL_BUF_INIT;
    for (int i = 0; i < OLV_N_SENSITIVITIES; i++)
        if (!strcasecmp(name, metric_names[i])) return *out = (olv_sensitivity)i, OLV_OK;
    for (int i = 0; i < OLV_N_SENSITIVITIES; i++) ol_buf_printf(&all, "%s%s", i ? ", " : "", metric_names[i]);
    olv_status s = ol_fail(err, OLV_ARG, "sensitivity metric '%.60s' found, one of %s expected", name, all.data ? all.data : "");
    ol_buf_deinit(&all);
    return s;
}

/* From the errors of the 8-bit layer: the largest mean square of a row, and their sum. NNCF sends layers whose 8-bit error is
 * large to few bits first, but by the Hessian. */
static double score_of(olv_sensitivity metric, const ol_layer_inputs *x, double worst, double sum) {
    double inverse = 1 / (worst + 0x1p-23);
    switch (metric) {
    case OLV_SENSITIVITY_HESSIAN_INPUT_ACTIVATION: return sqrt(sum) * x->hessian_trace;
    case OLV_SENSITIVITY_MEAN_ACTIVATION_VARIANCE: return inverse * x->mean_variance;
    case OLV_SENSITIVITY_MAX_ACTIVATION_VARIANCE: return inverse * x->max_variance;
    case OLV_SENSITIVITY_MEAN_ACTIVATION_MAGNITUDE: return inverse * x->mean_magnitude;
    default: return inverse;
    }
}

static olv_status measure(candidate *c, olv_sensitivity metric, ol_executor *e, uint64_t cpu, olv_error *err) {
    if (metric != OLV_SENSITIVITY_WEIGHT_QUANTIZATION_ERROR && !c->entry->inputs)
        return ol_fail(err, OLV_ARG, "sensitivity metric %s needs data, and there is none for %s", metric_names[metric], c->entry->name);
    const olv_weight_spec eight = {.type = OLV_WEIGHT_INT8_ASYM, .group_size = -1, .rounding = OLV_ROUND_NNCF, .scale = OLV_SCALE_F32};
    double worst, sum;
    OL_TRY(ol_compress_measure_rows(c->entry, &eight, cpu, e, &worst, &sum, err));
    c->score = score_of(metric, c->entry->inputs, worst, sum);
    return OLV_OK;
}

/* Lowest score first; the order of the graph among equals. */
static int by_score(const void *a, const void *b) {
    const candidate *x = a, *y = b;
    if (x->score != y->score) return x->score < y->score ? -1 : 1;
    return (x->entry > y->entry) - (x->entry < y->entry);
}

olv_status ol_compress_mix(ol_graph *g, ol_compress_plan *r, const olv_compress_params *params, uint64_t cpu, ol_executor *e,
                           olv_error *err) {
    double ratio = params->ratio;
    if ((unsigned)params->sensitivity >= OLV_N_SENSITIVITIES) return ol_fail(err, OLV_ARG, "unknown sensitivity metric");
    OL_TRY(olv_weight_spec_check(&params->backup, err));
    if (!(ratio >= 0 && ratio <= 1)) return ol_fail(err, OLV_ARG, "ratio %g found, 0 to 1 expected", ratio);
    if (ratio >= 1) return OLV_OK;
    candidate *all = ol_calloc(r->n + 1, sizeof *all);
    if (!all) return ol_fail(err, OLV_NOMEM, "no memory for %zu tables", r->n);
    size_t n = 0;
    double total = 0, taken = 0;
    olv_status s = OLV_OK;
    for (size_t i = 0; s == OLV_OK && i < r->n; i++) {
        ol_compress_entry *t = &r->entries[i];
        if (t->kept || t->roles != OL_ROLE_WEIGHT || !ol_const_quant_form(t->result)) continue;
        all[n].entry = t;
        total += (double)t->rows * (double)t->k;
        s = measure(&all[n++], params->sensitivity, e, cpu, err);
    }
    if (n) qsort(all, n, sizeof *all, by_score);
    bool full = false;
    for (size_t i = 0; s == OLV_OK && i < n; i++) {
        double size = (double)all[i].entry->rows * (double)all[i].entry->k;
        full = full || (taken + size) / total >= ratio;
        if (!full) taken += size;
        else s = ol_compress_decide(g, all[i].entry, &params->backup, cpu, err);
        if (s == OLV_OK && full && params->backup.type == OLV_WEIGHT_KEEP) all[i].entry->kept = "above the ratio";
    }
    ol_free(all);
    return s;
}
