/* SPDX-License-Identifier: Apache-2.0 */
/* The candidates of a draw: collecting, weighing, cutting. */
#include "generate/sampler/stage.h"

static bool always(const ol_sampler_params *p) {
    (void)p;
    return true;
}

/* Every token that is not ruled out; NaN counts as ruled out. */
static void collect(ol_sampler *s) {
    int64_t n = 0;
    for (int64_t i = 0; i < s->vocab; i++) {
        if (!(s->row[i] > -INFINITY)) continue;
        s->ids[n] = (int32_t)i;
        s->logit[n++] = s->row[i];
    }
    s->n = n;
    s->temperature = 1;
}

const ol_sampler_stage ol_sampler_collect = {"collect", NULL, always, collect, NULL};

void ol_sampler_weigh(ol_sampler *s) {
    float max = -INFINITY;
    for (int64_t i = 0; i < s->n; i++)
        if (s->logit[i] > max) max = s->logit[i];
    s->sum = 0;
    for (int64_t i = 0; i < s->n; i++) {
        double d = s->logit[i] == max ? 0.0 : ((double)s->logit[i] - (double)max) / s->temperature;
        s->weight[i] = ol_exp_repro(d);
        s->sum += s->weight[i];
    }
}

void ol_sampler_filter(ol_sampler *s, ol_keep_fn *keep, double arg) {
    int64_t best = 0, n = 0;
    double sum = 0;
    for (int64_t i = 1; i < s->n; i++)
        if (s->logit[i] > s->logit[best]) best = i;
    for (int64_t i = 0; i < s->n; i++) {
        if (i != best && !keep(s, i, arg)) continue;
        sum += s->weight[i];
        s->ids[n] = s->ids[i];
        s->logit[n] = s->logit[i];
        s->key[n] = s->key[i];
        s->weight[n++] = s->weight[i];
    }
    s->n = n;
    s->sum = sum;
}

double ol_sampler_entropy(const ol_sampler *s) {
    double h = 0;
    for (int64_t i = 0; i < s->n; i++) {
        double p = ol_sampler_probability(s, i);
        if (p > 0) h -= p * ol_log_repro(p);
    }
    return h;
}

/* Monotone map of floats to unsigned integers. */
static uint32_t ordered(float f) {
    uint32_t u;
    f += 0.0f; /* -0 and 0 are equal keys */
    memcpy(&u, &f, sizeof u);
    return u & 0x80000000u ? ~u : u | 0x80000000u;
}

static float unordered(uint32_t u) {
    float f;
    u = u & 0x80000000u ? u & 0x7fffffffu : ~u;
    memcpy(&f, &u, sizeof f);
    return f;
}

float ol_select_key(const float *keys, const double *mass, int64_t n, double want, double *below) {
    static const int shift[] = {21, 10, 0}, width[] = {11, 11, 10};
    uint32_t prefix = 0, known = 0; /* bits found so far, and their mask */
    double before = 0;
    for (int round = 0; round < 3; round++) {
        double bucket[2048] = {0};
        uint32_t digits = (1u << width[round]) - 1, last = 0;
        for (int64_t i = 0; i < n; i++) {
            uint32_t u = ordered(keys[i]);
            if ((u & known) != prefix) continue;
            uint32_t d = u >> shift[round] & digits;
            bucket[d] += mass ? mass[i] : 1.0;
            if (d > last) last = d;
        }
        uint32_t d = 0;
        for (; d < last && before + bucket[d] < want; d++) before += bucket[d];
        prefix |= d << shift[round];
        known |= digits << shift[round];
    }
    if (below) *below = before;
    return unordered(prefix);
}
