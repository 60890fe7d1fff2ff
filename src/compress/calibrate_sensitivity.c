/* SPDX-License-Identifier: Apache-2.0 */
/* What the error of a layer costs: each layer alone is rounded, and the scores of some tokens are compared with those of the float
 * model. The Kullback-Leibler divergence is taken to second order, half the variance of the difference under the model's own
 * probabilities, which needs no logarithms; over the layer's relative squared error it is the weight of that layer. */
#include "base/alloc.h"
#include "base/error.h"
#include "compress/calibrate.h"
#include "compress/measure.h"
#include "kernels/softmax/softmax.h"
#include "runtime/session.h"
#include <string.h>

#define MOST_ROWS 768
#define TEXT_ROWS 64                      /* of a text at most, so that there are many kinds */
#define MOST_SCORES ((int64_t)16 << 20)
#define MOST_TABLE ((int64_t)16 << 20) /* weights of a table that is looked up */

typedef struct probe {
    const ol_graph *g;
    ol_compress_plan *plan;
    const ol_calibration *c;
    int64_t *ids;
    ol_run_text *texts;
    int n;
    int64_t rows, vocab;
    float *base, *p; /* scores and probabilities of the float model */
} probe;

static void probe_deinit(probe *p) {
    ol_free(p->ids), ol_free(p->texts), ol_free(p->base), ol_free(p->p);
}

/* Beginnings of texts, evenly from all of them. */
static olv_status choose_texts(probe *p, olv_error *err) {
    const ol_calibration_texts *t = &p->c->texts;
    int64_t room = MOST_SCORES / p->vocab < MOST_ROWS ? MOST_SCORES / p->vocab : MOST_ROWS, at = 0;
    if (room < TEXT_ROWS) room = TEXT_ROWS;
    int64_t wanted = room / TEXT_ROWS, step = t->n > wanted ? t->n / wanted : 1;
    p->ids = ol_calloc((size_t)(room + TEXT_ROWS), sizeof *p->ids);
    p->texts = ol_calloc((size_t)room, sizeof *p->texts);
    if (!p->ids || !p->texts) return ol_fail(err, OLV_NOMEM, "no memory for calibration");
    for (int i = 0; i < t->n; at += t->lengths[i++]) {
        int64_t n = t->lengths[i] < TEXT_ROWS ? t->lengths[i] : TEXT_ROWS;
        if (i % step || p->rows + n > room) continue;
        memcpy(p->ids + p->rows, t->ids + at, (size_t)n * sizeof *t->ids);
        p->texts[p->n++] = (ol_run_text){.ids = p->ids + p->rows, .count = n};
        p->rows += n;
    }
    return OLV_OK;
}

/* Rows that are looked up come from memory: tables too large for that go on with the source there. */
static ol_const *looked_up(const ol_compress_entry *e, olv_error *err) {
    ol_tensor t;
    if (e->rows * e->k > MOST_TABLE) return ol_const_retain(e->source);
    if (ol_const_materialize(e->result, (size_t)MOST_TABLE * 4, &t, err) != OLV_OK) return NULL;
    ol_const *c = ol_const_tensor(&t, err);
    ol_tensor_deinit(&t);
    return c;
}

static olv_status replace_uses(ol_graph *g, const ol_compress_entry *e, const char *op, int input, ol_const *c /* taken */, olv_error *err) {
    ol_value *made = NULL;
    if (!c) return OLV_NOMEM;
    for (ol_node *n = g->first; n; n = n->next) {
        if (strcmp(n->op->name, op) || n->inputs[input]->constant != e->source) continue;
        if (!made) made = ol_graph_add_constant(g, NULL, ol_const_retain(c), err);
        if (!made) {
            ol_const_release(c);
            return OLV_NOMEM;
        }
        ol_node_set_input(n, input, made);
    }
    ol_const_release(c);
    return OLV_OK;
}

/* Whatever reads the row's table reads its rounded form. */
static olv_status round_one(ol_graph *g, const ol_compress_entry *e, olv_error *err) {
    OL_TRY(replace_uses(g, e, "Linear", 1, ol_const_retain(e->result), err));
    if (e->roles & OL_ROLE_EMBEDDING) OL_TRY(replace_uses(g, e, "Gather", 0, looked_up(e, err), err));
    return ol_graph_infer(g, err);
}

/* Runs the model with row e rounded (NULL: none) and hands its scores to fn. */
static olv_status run_model(const probe *p, const ol_compress_entry *e, void (*fn)(void *ctx, const float *scores), void *ctx, olv_error *err) {
    const ol_value *wanted = p->g->outputs[0];
    ol_graph *g;
    ol_plan *plan = NULL;
    ol_session *s = NULL;
    const float *scores;
    int64_t width;
    OL_TRY(ol_calibrate_segment(p->g, p->plan, NULL, 0, NULL, &wanted, 1, &g, err));
    olv_status st = e ? round_one(g, e, err) : OLV_OK;
    if (st != OLV_OK) {
        ol_graph_destroy(g);
        return st;
    }
    const ol_plan_options o = {.device = ol_device_find("CPU"), .cpu = p->c->cpu, .precision = OLK_REPRO, .kv_dtype = OL_F32, .executor = p->c->executor};
    st = ol_plan_create(g, &o, &plan, err);
    if (st == OLV_OK) st = ol_session_create(plan, p->c->executor, &s, err);
    if (st == OLV_OK) st = ol_session_run_texts(s, p->texts, p->n, &scores, &width, err);
    if (st == OLV_OK && width != p->vocab) st = ol_fail(err, OLV_SHAPE, "%lld scores of a token found, %lld expected", (long long)width, (long long)p->vocab);
    if (st == OLV_OK) fn(ctx, scores);
    ol_session_destroy(s);
    ol_plan_destroy(plan);
    return st;
}

static void keep_base(void *ctx, const float *scores) {
    const probe *p = ctx;
    const olk_softmax_form f = {.n = p->vocab, .scale = 1};
    memcpy(p->base, scores, (size_t)(p->rows * p->vocab) * sizeof *scores);
    olk_softmax_select(0)->softmax(&f, scores, p->vocab, p->p, p->vocab, p->rows);
}

typedef struct divergence {
    const probe *p;
    double mean;
} divergence;

static void compare(void *ctx, const float *scores) {
    divergence *d = ctx;
    double sum = 0;
    for (int64_t r = 0; r < d->p->rows; r++) {
        double mean = 0, square = 0;
        for (int64_t v = r * d->p->vocab; v < (r + 1) * d->p->vocab; v++) {
            double x = (double)scores[v] - (double)d->p->base[v], w = (double)d->p->p[v];
            mean += w * x;
            square += w * x * x;
        }
        sum += (square - mean * mean) / 2;
    }
    d->mean = sum / (double)d->p->rows;
}

static olv_status weigh(const probe *p, ol_compress_entry *e, olv_error *err) {
    divergence d = {p, 0};
    double error, energy;
    OL_TRY(run_model(p, e, compare, &d, err));
    OL_TRY(ol_compress_measure(e, &e->spec, p->c->cpu, p->c->executor, &error, &energy, err));
    e->weight = error > 0 && energy > 0 && d.mean > 0 ? d.mean / (error / energy) : 0;
    return OLV_OK;
}

olv_status ol_calibrate_sensitivity(const ol_graph *g, ol_compress_plan *plan, const ol_calibration *c, olv_error *err) {
    probe p = {.g = g, .plan = plan, .c = c};
    const ol_type *t = g->n_outputs ? &g->outputs[0]->type : NULL;
    if (!t || t->rank < 1 || t->dims[t->rank - 1] < 1) return ol_fail(err, OLV_UNSUPPORTED, "the model gives no scores of a known number");
    p.vocab = t->dims[t->rank - 1];
    olv_status s = choose_texts(&p, err);
    p.base = ol_alloc((size_t)(p.rows * p.vocab) * sizeof(float));
    p.p = ol_alloc((size_t)(p.rows * p.vocab) * sizeof(float));
    if (s == OLV_OK && (!p.base || !p.p)) s = ol_fail(err, OLV_NOMEM, "no memory for the scores of %lld tokens", (long long)p.rows);
    if (s == OLV_OK) s = run_model(&p, NULL, keep_base, &p, err);
    for (size_t i = 0; s == OLV_OK && i < plan->n; i++)
        if (!plan->entries[i].kept && plan->entries[i].inputs) s = weigh(&p, &plan->entries[i], err);
    probe_deinit(&p);
    return s;
}
