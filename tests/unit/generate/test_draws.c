/* SPDX-License-Identifier: Apache-2.0 */
/* Whole chains: 100,000 draws in a row against the distribution that the definitions give, written here a second time in the
 * plainest way, by a chi-square test with a fixed seed. Each chain is also held against mutants, distributions of slightly
 * wrong settings, which the same draws and the same critical value must refuse. Both mirostats are followed step by step. */
#include "base/alloc.h"
#include "generate/sampler/sampler.h"
#include "generate/sampler/stage.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

enum { V = 64, DRAWS = 100000 };

static float scores[V];

static int setup(void **state) {
    (void)state;
    uint32_t x = 99;
    for (int i = 0; i < V; i++) {
        x = x * 1664525u + 1013904223u;
        scores[i] = (float)((double)(x >> 8) / (1 << 24) * 7 - 3.5);
    }
    return 0;
}

/* ---- the definitions, over probabilities ------------------------------------------------------------- */

static void normalize(double *p) {
    double sum = 0;
    for (int i = 0; i < V; i++) sum += p[i];
    for (int i = 0; i < V; i++) p[i] /= sum;
}

static void softmax(const double *x, double temperature, double *p) {
    for (int i = 0; i < V; i++) p[i] = exp(x[i] / temperature);
    normalize(p);
}

static double entropy(const double *p) {
    double h = 0;
    for (int i = 0; i < V; i++)
        if (p[i] > 0) h -= p[i] * log(p[i]);
    return h;
}

/* Keeps tokens by falling key until their mass reaches `most`, or `count` of them. */
static void keep_first(double *p, const double *key, double most, int count) {
    bool in[V] = {false};
    double mass = 0;
    for (int n = 0; n < count && mass < most; n++) {
        int top = -1;
        for (int i = 0; i < V; i++)
            if (!in[i] && p[i] > 0 && (top < 0 || key[i] > key[top])) top = i;
        if (top < 0) break;
        in[top] = true;
        mass += p[top];
    }
    for (int i = 0; i < V; i++)
        if (!in[i]) p[i] = 0;
    normalize(p);
}

static void keep_above(double *p, double least) {
    for (int i = 0; i < V; i++)
        if (p[i] < least) p[i] = 0;
    normalize(p);
}

static double highest(const double *p) {
    double max = 0;
    for (int i = 0; i < V; i++) max = p[i] > max ? p[i] : max;
    return max;
}

/* The distribution of a chain (not of the randomized xtc, which comes last and mixes two). */
static void expected(const ol_sampler_params *c, double *p) {
    double x[V], mean = 0, var = 0, max = -INFINITY;
    for (int i = 0; i < V; i++) x[i] = (double)scores[i];
    for (int i = 0; i < V; i++) mean += x[i] / V, max = x[i] > max ? x[i] : max;
    for (int i = 0; i < V; i++) var += (x[i] - mean) * (x[i] - mean) / V;
    for (int i = 0; i < V && c->top_n_sigma > 0; i++)
        if (x[i] < max - c->top_n_sigma * sqrt(var)) x[i] = -INFINITY;
    softmax(x, c->temperature, p);
    if (c->top_k > 0) keep_first(p, p, 2, (int)c->top_k);
    if (c->top_p < 1) keep_first(p, p, c->top_p, V);
    if (c->min_p > 0) keep_above(p, c->min_p * highest(p));
    if (c->typical_p < 1) {
        double key[V], h = entropy(p);
        for (int i = 0; i < V; i++) key[i] = p[i] > 0 ? -fabs(-log(p[i]) - h) : -INFINITY;
        keep_first(p, key, c->typical_p, V);
    }
    if (c->epsilon_cutoff > 0) keep_above(p, c->epsilon_cutoff);
    if (c->eta_cutoff > 0) keep_above(p, fmin(c->eta_cutoff, sqrt(c->eta_cutoff) * exp(-entropy(p))));
    if (c->xtc_probability > 0) {
        double cut[V];
        int last = -1, above = 0;
        for (int i = 0; i < V; i++) {
            if (p[i] < c->xtc_threshold) continue;
            above++;
            if (last < 0 || p[i] < p[last]) last = i;
        }
        for (int i = 0; i < V; i++) cut[i] = above > 1 && p[i] >= c->xtc_threshold && i != last ? 0 : p[i];
        normalize(cut);
        for (int i = 0; i < V; i++) p[i] += c->xtc_probability * (cut[i] - p[i]);
    }
}

/* ---- the test --------------------------------------------------------------------------------------- */

/* How many standard deviations the chi-square lies above its mean; rare tokens are put together; infinite when a token came
 * that cannot. Sound draws stay below CRITICAL with a probability of more than 0.9999. */
#define CRITICAL 6.0
static double surprise(const int *count, const double *sum) {
    double chi = 0, rare = 0, rare_count = 0;
    int degrees = -1;
    for (int i = 0; i < V; i++) {
        if (sum[i] <= 0 && count[i]) return INFINITY;
        if (sum[i] < 20) {
            rare += sum[i];
            rare_count += count[i];
            continue;
        }
        chi += (count[i] - sum[i]) * (count[i] - sum[i]) / sum[i];
        degrees++;
    }
    if (rare >= 5) {
        chi += (rare_count - rare) * (rare_count - rare) / rare;
        degrees++;
    }
    return degrees > 0 ? (chi - degrees) / sqrt(2.0 * degrees) : chi > 25 ? INFINITY : 0;
}

static ol_sampler *make(const ol_sampler_params *p) {
    static const int64_t prompt[] = {3, 1, 4, 1, 5};
    ol_sampler *s;
    olv_error err = {.message = ""};
    if (ol_sampler_create(p, V, &s, &err) != OLV_OK) fail_msg("%s", err.message);
    assert_int_equal(ol_sampler_prompt(s, prompt, 5, &err), OLV_OK);
    return s;
}

static void draw_all(const ol_sampler_params *p, int *count) {
    ol_sampler *s = make(p);
    for (int i = 0; i < DRAWS; i++) count[ol_sampler_sample(s, scores)]++;
    ol_sampler_destroy(s);
}

static double held_against(const int *count, const ol_sampler_params *p) {
    double want[V];
    expected(p, want);
    for (int i = 0; i < V; i++) want[i] *= DRAWS;
    return surprise(count, want);
}

static void test_chains(void **state) {
    (void)state;
    static const struct {
        double temperature, top_p, min_p, typical, epsilon, eta, sigma, xtc, threshold;
        int64_t top_k;
    } rows[] = {
        {1, 1, 0, 1, 0, 0, 0, 0, 0.1, 0},       {0.7, 1, 0, 1, 0, 0, 0, 0, 0.1, 0},    {1.6, 1, 0, 1, 0, 0, 0, 0, 0.1, 0},
        {1, 1, 0, 1, 0, 0, 0, 0, 0.1, 12},      {1, 0.85, 0, 1, 0, 0, 0, 0, 0.1, 0},   {1, 1, 0.1, 1, 0, 0, 0, 0, 0.1, 0},
        {1, 1, 0, 0.7, 0, 0, 0, 0, 0.1, 0},     {1, 1, 0, 1, 0.02, 0, 0, 0, 0.1, 0},   {1, 1, 0, 1, 0, 0.01, 0, 0, 0.1, 0},
        {1, 1, 0, 1, 0, 0, 1.1, 0, 0.1, 0},     {1, 1, 0, 1, 0, 0, 0, 0.4, 0.04, 0},   {0.8, 0.9, 0.05, 1, 0, 0, 0, 0, 0.1, 20},
        {1.3, 0.95, 0, 0.9, 0.005, 0, 0, 0, 0.1, 30}, {1.5, 1, 0.02, 1, 0, 0.004, 1.5, 0, 0.1, 0}, {1.2, 0.97, 0, 1, 0, 0, 0, 0.6, 0.05, 40},
        {2, 0.9, 0.01, 0.95, 0.003, 0.003, 2, 0.3, 0.05, 50},
    };
    int tried = 0; /* mutants that differ enough for so many draws to tell */
    for (size_t r = 0; r < sizeof rows / sizeof *rows; r++) {
        ol_sampler_params p;
        int count[V] = {0};
        ol_sampler_params_init(&p);
        p.do_sample = true;
        p.seed = 2024 + r;
        p.temperature = rows[r].temperature;
        p.top_p = rows[r].top_p;
        p.min_p = rows[r].min_p;
        p.typical_p = rows[r].typical;
        p.epsilon_cutoff = rows[r].epsilon;
        p.eta_cutoff = rows[r].eta;
        p.top_n_sigma = rows[r].sigma;
        p.xtc_probability = rows[r].xtc;
        p.xtc_threshold = rows[r].threshold;
        p.top_k = rows[r].top_k;
        draw_all(&p, count);
        double is = held_against(count, &p);
        if (!(is < CRITICAL)) fail_msg("chain %zu: %.1f standard deviations from its distribution", r, is);
        ol_sampler_params mutants[4] = {p, p, p, p};
        mutants[0].temperature *= 1.1;
        mutants[1].top_k = p.top_k ? p.top_k - 1 : 40;
        mutants[2].top_p = p.top_p < 1 ? p.top_p - 0.06 : 0.97;
        mutants[3].temperature = p.temperature / 1.1;
        for (int m = 0; m < 4; m++) {
            double other[V], own[V], apart = 0;
            expected(&p, own);
            expected(&mutants[m], other);
            for (int i = 0; i < V; i++) apart += fabs(own[i] - other[i]);
            is = held_against(count, &mutants[m]);
            tried += apart > 0.035;
            if (apart > 0.035 && is < CRITICAL) fail_msg("chain %zu: mutant %d passed with %.1f standard deviations", r, m, is);
        }
    }
    assert_true(tried >= 40);
}

/* Version 1 of mirostat: the k best tokens, k from the fitted exponent. Version 2: tokens of at most mu bits. */
static void mirostat_step(int version, double mu, double *p) {
    double x[V], order[V], tb = 0, tt = 0;
    for (int i = 0; i < V; i++) x[i] = (double)scores[i];
    softmax(x, 1, p);
    if (version == 2) {
        double least = exp2(-mu), max = highest(p);
        for (int i = 0; i < V; i++)
            if (p[i] < least && p[i] < max) p[i] = 0;
        normalize(p);
        return;
    }
    memcpy(order, p, sizeof order);
    for (int i = 0; i < V; i++)
        for (int k = i + 1; k < V; k++)
            if (order[k] > order[i]) {
                double t = order[i];
                order[i] = order[k];
                order[k] = t;
            }
    for (int i = 0; i + 1 < V; i++) {
        double t = log((i + 2.0) / (i + 1.0)), b = log(order[i] / order[i + 1]);
        tb += t * b;
        tt += t * t;
    }
    double s = tb / tt, e = s - 1, k = pow(e * exp2(mu) / (1 - pow(V, -e)), 1 / s);
    keep_first(p, p, 2, k < 1 ? 1 : k > V ? V : (int)k);
}

static void test_mirostat(void **state) {
    (void)state;
    for (int version = 1; version <= 2; version++) {
        ol_sampler_params params;
        ol_sampler_params_init(&params);
        params.do_sample = true;
        params.seed = 5;
        params.mirostat = version;
        params.mirostat_tau = 3;
        params.mirostat_eta = 0.05;
        ol_sampler *s = make(&params);
        double mu = 6, sum[V] = {0}, wrong[V] = {0}, got[V], p[V], bits = 0;
        int count[V] = {0};
        for (int i = 0; i < DRAWS; i++) {
            mirostat_step(version, mu, p);
            if (i % 500 == 0) {
                ol_sampler_distribution(s, scores, got);
                for (int t = 0; t < V; t++)
                    if (fabs(got[t] - p[t]) > 1e-9) fail_msg("mirostat %d, draw %d: token %d has %.9f, expected %.9f", version, i, t, got[t], p[t]);
            }
            int64_t token = ol_sampler_sample(s, scores);
            count[token]++;
            for (int t = 0; t < V; t++) sum[t] += p[t];
            bits -= log2(p[token]);
            mu -= 0.05 * (-log2(p[token]) - 3);
            mirostat_step(version, 6, p); /* the mutant that never learns */
            for (int t = 0; t < V; t++) wrong[t] += p[t];
        }
        double is = surprise(count, sum), mutant = surprise(count, wrong);
        if (!(is < CRITICAL)) fail_msg("mirostat %d: %.1f standard deviations from its distribution", version, is);
        if (mutant < CRITICAL) fail_msg("mirostat %d: a mutant passed with %.1f", version, mutant);
        if (fabs(bits / DRAWS - 3) > 0.05) fail_msg("mirostat %d: %.3f bits of surprise, expected 3", version, bits / DRAWS);
        ol_sampler_destroy(s);
    }
}

static void row_is(const ol_sampler_params *p, const int64_t *made, size_t n, const double *want, const char *name) {
    ol_sampler *s = make(p);
    for (size_t i = 0; i < n; i++) ol_sampler_accept(s, made[i]);
    const float *row = ol_sampler_row(s, scores);
    for (int i = 0; i < V; i++)
        if (isinf(want[i]) ? (double)row[i] != want[i] : !(fabs((double)row[i] - want[i]) <= 1e-5 * fmax(1, fabs(want[i]))))
            fail_msg("%s: token %d has %.7f, expected %.7f", name, i, (double)row[i], want[i]);
    ol_sampler_destroy(s);
}

/* The rules for tokens, as exact scores; the prompt is 3 1 4 1 5. */
static void test_rules(void **state) {
    (void)state;
    static const int64_t made[] = {9, 2, 6, 9, 2, 6, 9, 2}, words[] = {2, 6, 2, 7}, ends[] = {10, 11}, few[] = {20, 21};
    const ol_sequence_bias biases[] = {{words, 2, -1.5}, {words + 2, 2, INFINITY}, {few, 2, 4}, {ends, 1, 0.25}};
    ol_sampler_params p;
    double x[V];
#define START ol_sampler_params_init(&p); for (int i = 0; i < V; i++) x[i] = (double)scores[i]
    START;
    p.sequence_bias = biases;
    p.n_sequence_bias = 4;
    x[6] -= 1.5;
    x[7] = INFINITY;
    x[10] += 0.25;
    row_is(&p, made, 8, x, "sequence_bias");
    START;
    p.dry_multiplier = 0.5;
    p.dry_base = 2;
    p.dry_allowed_length = 2;
    x[6] -= 0.5 * 8; /* "9 2 6 9 2" stood before 6: length 5, 3 above what is free */
    row_is(&p, made, 8, x, "dry");
    START;
    p.presence_penalty = 0.5;
    p.frequency_penalty = 0.25;
    x[9] -= 0.5 + 3 * 0.25;
    x[2] -= 0.5 + 3 * 0.25;
    x[6] -= 0.5 + 2 * 0.25;
    row_is(&p, made, 8, x, "presence and frequency");
    START;
    p.repetition_penalty = 1.3;
    static const int seen[] = {1, 2, 3, 4, 5, 6, 9};
    for (int i = 0; i < 7; i++) x[seen[i]] = x[seen[i]] < 0 ? x[seen[i]] * 1.3 : x[seen[i]] / 1.3;
    row_is(&p, made, 8, x, "repetition");
    START;
    p.eos_ids = ends;
    p.n_eos = 2;
    p.length_decay = 1.2;
    p.length_decay_start = 5;
    for (int i = 0; i < 2; i++) x[ends[i]] += fabs(x[ends[i]]) * (pow(1.2, 3) - 1);
    row_is(&p, made, 8, x, "exponential_decay_length_penalty");
    START;
    p.forced_eos = 11;
    p.max_new_tokens = 9;
    for (int i = 0; i < V; i++) x[i] = i == 11 ? 0 : -INFINITY;
    row_is(&p, made, 8, x, "forced_eos");
    START;
    p.forced_eos = 11;
    p.max_new_tokens = 9;
    row_is(&p, made, 7, x, "forced_eos before the end");
    START;
    p.suppress = few;
    p.n_suppress = 2;
    p.begin_suppress = ends;
    p.n_begin_suppress = 2;
    x[20] = x[21] = -INFINITY;
    row_is(&p, made, 8, x, "suppress_tokens");
    x[10] = x[11] = -INFINITY;
    row_is(&p, made, 0, x, "begin_suppress_tokens");
#undef START
    float broken[V];
    memcpy(broken, scores, sizeof broken);
    broken[1] = NAN, broken[2] = INFINITY, broken[3] = -INFINITY;
    ol_sampler_params_init(&p);
    p.remove_invalid_values = true;
    ol_sampler *s = make(&p);
    const float *row = ol_sampler_row(s, broken);
    assert_true(row[1] == 0 && isfinite(row[2]) && row[2] > 1e38f && isfinite(row[3]) && row[3] < -1e38f && row[4] == scores[4]);
    ol_sampler_destroy(s);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_chains), cmocka_unit_test(test_mirostat), cmocka_unit_test(test_rules)};
    return cmocka_run_group_tests(tests, setup, NULL);
}
