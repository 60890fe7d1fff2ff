/* SPDX-License-Identifier: Apache-2.0 */
/* Accuracy control: layers that cost the most go back to float, one at a time. Ranges were seen once for all: trying a set
 * of layers needs no pass over the calibration data, only one over the samples that judge. */
#include "base/alloc.h"
#include "base/error.h"
#include "quantize/steps.h"
#include "runtime/tensor.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

/* Outputs of the float model, to be compared with. */
typedef struct judge {
    const olv_quantize_params *p;
    ol_tensor *reference; /* [sample]: first output */
    size_t n, cap;
    const ol_tensor *labels;
    size_t label_at;
    double error, energy; /* sums over samples of the run */
    size_t right, judged;
    bool keep;            /* this run makes the reference */
} judge;

static int64_t best_of(const float *x, int64_t n) {
    int64_t best = 0;
    for (int64_t i = 1; i < n; i++)
        if (x[i] > x[best]) best = i;
    return best;
}

static olv_status count_right(judge *j, const ol_tensor *x, olv_error *err) {
    int64_t n = x->rank ? x->dims[x->rank - 1] : 1, rows = n ? ol_tensor_count(x) / n : 0;
    for (int64_t r = 0; r < rows; r++) {
        if ((int64_t)j->label_at >= ol_tensor_count(j->labels))
            return ol_fail(err, OLV_SHAPE, "%lld labels for more results; give the labels of the validation data in their order", (long long)ol_tensor_count(j->labels));
        double label = ol_elem_get(j->labels->dtype, j->labels->data, j->label_at++);
        j->right += (double)best_of((const float *)x->data + r * n, n) == label;
        j->judged++;
    }
    return OLV_OK;
}

static olv_status keep_reference(judge *j, const ol_tensor *x, olv_error *err) {
    if (j->n == j->cap) {
        size_t cap = j->cap * 2 + 64;
        ol_tensor *more = ol_realloc(j->reference, cap * sizeof *more);
        if (!more) return ol_fail(err, OLV_NOMEM, "no memory for the float model's results");
        j->reference = more, j->cap = cap;
    }
    OL_TRY(ol_tensor_copy(&j->reference[j->n], x, err));
    j->n++;
    return OLV_OK;
}

static olv_status look(void *ctx, size_t sample, int which, const ol_tensor *x, int64_t items, olv_error *err) {
    judge *j = ctx;
    (void)items;
    if (which || x->dtype != OL_F32) return which ? OLV_OK : ol_fail(err, OLV_UNSUPPORTED, "accuracy control judges an f32 output");
    if (j->labels) OL_TRY(count_right(j, x, err));
    if (j->keep) return keep_reference(j, x, err);
    if (sample >= j->n || j->reference[sample].bytes != x->bytes) return ol_fail(err, OLV_SHAPE, "results of another shape than the float model's");
    const float *a = x->data, *b = j->reference[sample].data;
    for (int64_t i = 0, n = ol_tensor_count(x); i < n; i++) {
        double d = (double)a[i] - (double)b[i];
        j->error += d * d;
        j->energy += (double)b[i] * (double)b[i];
    }
    return OLV_OK;
}

/* Runs a graph; *metric: share of right answers, or 1 - NMSE. *likeness: 1 - NMSE. */
static olv_status measure(judge *j, ol_prober *prober, const ol_graph *g, size_t samples, double *metric, double *likeness, olv_error *err) {
    const char *name = g->outputs[0]->name;
    j->error = j->energy = 0;
    j->right = j->judged = j->label_at = 0;
    OL_TRY(ol_probe(prober, g, &name, 1, j->p->validation, samples, look, j, err));
    *likeness = 1 - (j->energy > 0 ? j->error / j->energy : j->error);
    *metric = j->labels ? (double)j->right / (double)(j->judged ? j->judged : 1) : j->keep ? 1 : *likeness;
    return OLV_OK;
}

static const char reverted_reason[] = "accuracy";

typedef struct search {
    const ol_calibration *c;
    const olv_quantize_params *p;
    ol_prober *prober;
    judge judge;
    const char **reverted; /* by node id: why; NULL: it is quantized */
    size_t *candidates;
    double *scores;
    size_t n;
    double target; /* what the metric must reach */
} search;

static olv_status try_set(search *s, size_t samples, ol_graph **out, double *metric, double *likeness, olv_error *err) {
    ol_graph *g;
    OL_TRY(ol_quantize_build(s->c, s->p, s->prober, s->reverted, NULL, &g, err));
    olv_status st = measure(&s->judge, s->prober, g, samples, metric, likeness, err);
    if (st == OLV_OK && out) *out = g;
    else ol_graph_destroy(g);
    return st;
}

/* Operators that compute on quantized numbers, each a group of its quantizers and weights. */
static olv_status find_candidates(search *s, olv_error *err) {
    ol_placement pl = {.graph = NULL};
    ol_graph *g;
    OL_TRY(ol_graph_clone(s->c->graph, NULL, &g, err));
    olv_status st = ol_placement_make(g, s->p, s->c->kept, &pl, err);
    for (size_t i = 0; st == OLV_OK && i < pl.n_nodes; i++) {
        ol_quant_role r = (ol_quant_role)pl.roles[i];
        bool computes = r == OL_QUANT_WEIGHTED || r == OL_QUANT_COMBINING || r == OL_QUANT_INPUTS, any = ol_placement_has_weights(&pl, pl.nodes[i]);
        for (int k = 0; k < pl.nodes[i]->n_inputs; k++) any |= ol_placement_mark(&pl, pl.nodes[i], k) != OL_EDGE_FLOAT;
        if (computes && any) s->candidates[s->n++] = i;
    }
    ol_placement_deinit(&pl);
    ol_graph_destroy(g);
    return st;
}

/* Scores candidates by the likeness that reverting each alone gives; the best first. */
static olv_status rank(search *s, size_t samples, olv_error *err) {
    double metric;
    for (size_t i = 0; i < s->n; i++) {
        s->reverted[s->candidates[i]] = reverted_reason;
        olv_status st = try_set(s, samples, NULL, &metric, &s->scores[i], err);
        s->reverted[s->candidates[i]] = NULL;
        if (st != OLV_OK) return st;
    }
    for (size_t i = 1; i < s->n; i++) /* few: layers of a model */
        for (size_t k = i; k > 0 && s->scores[k] > s->scores[k - 1]; k--) {
            double d = s->scores[k];
            size_t c = s->candidates[k];
            s->scores[k] = s->scores[k - 1], s->candidates[k] = s->candidates[k - 1];
            s->scores[k - 1] = d, s->candidates[k - 1] = c;
        }
    return OLV_OK;
}

/* Reverts the i-th candidate, and takes it back when that makes the metric worse, but for `insist`. */
static olv_status revert(search *s, size_t i, bool insist, ol_graph **out, double *best, olv_error *err) {
    ol_graph *g;
    double metric, likeness;
    s->reverted[s->candidates[i]] = reverted_reason;
    OL_TRY(try_set(s, SIZE_MAX, &g, &metric, &likeness, err));
    if (metric < *best && !insist) {
        s->reverted[s->candidates[i]] = NULL;
        ol_graph_destroy(g);
        return OLV_OK;
    }
    *best = metric;
    ol_graph_destroy(*out);
    *out = g;
    return OLV_OK;
}

/* The best candidates in turn, those alone that help; when they do not suffice, the others too: in the end all is float. */
static olv_status restore(search *s, ol_graph **out, double *reached, olv_error *err) {
    for (int insist = 0; insist < 2; insist++)
        for (size_t i = 0; i < s->n && *reached < s->target; i++)
            if (!s->reverted[s->candidates[i]]) OL_TRY(revert(s, i, insist == 1, out, reached, err));
    return OLV_OK;
}

static olv_status search_init(search *s, olv_error *err) {
    size_t n = s->c->n_nodes + 1;
    s->reverted = ol_calloc(n, sizeof *s->reverted);
    s->candidates = ol_calloc(n, sizeof *s->candidates);
    s->scores = ol_calloc(n, sizeof *s->scores);
    if (!s->reverted || !s->candidates || !s->scores) return ol_fail(err, OLV_NOMEM, "no memory for accuracy control");
    if (s->c->graph->n_outputs < 1) return ol_fail(err, OLV_UNSUPPORTED, "the model has no output to judge by");
    return OLV_OK;
}

static void search_deinit(search *s) {
    for (size_t i = 0; i < s->judge.n; i++) ol_tensor_deinit(&s->judge.reference[i]);
    ol_free(s->judge.reference);
    ol_free(s->reverted), ol_free(s->candidates), ol_free(s->scores);
}

static olv_status tell(const search *s, json_t *report, double before, double first, double reached, olv_error *err) {
    json_t *list = json_array();
    for (const ol_node *n = s->c->graph->first; n; n = n->next)
        if (s->reverted[n->id]) json_array_append_new(list, json_string(n->name));
    json_t *j = json_pack("{s:s, s:f, s:f, s:f, s:f, s:o}", "metric", s->judge.labels ? "accuracy" : "1 - NMSE", "float", before, "quantized", first, "reached",
                          reached, "wanted", s->target, "reverted", list);
    return !j || json_object_set_new(report, "accuracy_control", j) ? ol_fail(err, OLV_NOMEM, "no memory for a report") : OLV_OK;
}

olv_status ol_quantize_control(const ol_calibration *c, const olv_quantize_params *p, ol_prober *prober, json_t *report, ol_graph **out, olv_error *err) {
    search s = {.c = c, .p = p, .prober = prober, .judge = {.p = p, .labels = p->labels ? &p->labels->datum.tensor : NULL}};
    double before = 0, first = 0, likeness = 0, reached = 0;
    size_t few = (size_t)(p->ranking_subset > 0 ? p->ranking_subset : p->subset_size);
    olv_status st = search_init(&s, err);
    s.judge.keep = true;
    if (st == OLV_OK) st = measure(&s.judge, prober, c->graph, SIZE_MAX, &before, &likeness, err);
    s.judge.keep = false;
    if (st == OLV_OK) st = measure(&s.judge, prober, *out, SIZE_MAX, &first, &likeness, err);
    s.target = p->relative_drop ? before * (1 - p->max_drop) : before - p->max_drop;
    reached = first;
    if (st == OLV_OK && first < s.target) {
        st = find_candidates(&s, err);
        if (st == OLV_OK) st = rank(&s, few, err);
        if (st == OLV_OK) st = restore(&s, out, &reached, err);
    }
    if (st == OLV_OK) st = tell(&s, report, before, first, reached, err);
    if (st == OLV_OK && reached < s.target)
        st = ol_fail(err, OLV_GOAL, "the metric is %.6g after all layers were tried, %.6g is wanted (%.6g in float)", reached, s.target, before);
    search_deinit(&s);
    return st;
}
