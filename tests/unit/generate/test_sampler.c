/* SPDX-License-Identifier: Apache-2.0 */
/* Each stage against its mathematical definition, written here in the plainest way, by the distribution and by a
 * chi-square test over 100,000 draws. */
#include "base/alloc.h"
#include "generate/sampler/sampler.h"
#include "generate/sampler/stage.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

enum { V = 40, DRAWS = 100000 };

static float scores[V];
static const int64_t prompt[] = {1, 2, 3, 4, 1, 2, 3, 7, 1, 2};
enum { N_PROMPT = sizeof prompt / sizeof *prompt };

static int setup(void **state) {
    (void)state;
    uint32_t x = 12345;
    for (int i = 0; i < V; i++) {
        x = x * 1664525u + 1013904223u;
        scores[i] = (float)((double)(x >> 8) / (1 << 24) * 6 - 3);
    }
    scores[20] = scores[21]; /* a tie */
    return 0;
}

static ol_sampler *make(const ol_sampler_params *p) {
    ol_sampler *s;
    olv_error err = {0};
    if (ol_sampler_create(p, V, &s, &err) != OLV_OK) fail_msg("%s", err.message);
    assert_int_equal(ol_sampler_prompt(s, prompt, N_PROMPT, &err), OLV_OK);
    return s;
}

static ol_sampler_params sampling(void) {
    ol_sampler_params p;
    ol_sampler_params_init(&p);
    p.do_sample = true;
    p.seed = 7;
    return p;
}

/* Plain softmax of doubles, -INFINITY for what is ruled out. */
static void softmax(const double *x, double *out) {
    double max = -INFINITY, sum = 0;
    for (int i = 0; i < V; i++)
        if (x[i] > max) max = x[i];
    for (int i = 0; i < V; i++) sum += out[i] = exp(x[i] - max);
    for (int i = 0; i < V; i++) out[i] /= sum;
}

static void base_scores(double *x) {
    for (int i = 0; i < V; i++) x[i] = (double)scores[i];
}

/* Draws without adding to the history: position n of the text changes the random numbers, so the counter is moved
 * through the seed instead. */
static void chi_square(ol_sampler_params p, const double *want, const char *name) {
    static int count[V];
    memset(count, 0, sizeof count);
    ol_sampler *s = make(&p);
    for (int i = 0; i < DRAWS; i++) {
        s->p.seed = 1000003u * (uint64_t)i + 17;
        count[ol_sampler_draw(s, scores)]++;
        s->mirostat_mu = 2 * p.mirostat_tau;
    }
    double chi = 0;
    int degrees = -1;
    for (int i = 0; i < V; i++) {
        double e = want[i] * DRAWS;
        if (want[i] == 0 && count[i]) fail_msg("%s: token %d drawn %d times, never expected", name, i, count[i]);
        if (e < 5) continue;
        chi += (count[i] - e) * (count[i] - e) / e;
        degrees++;
    }
    /* Five standard deviations above the mean of the distribution (2 k its variance). */
    if (degrees > 0 && chi > degrees + 5 * sqrt(2.0 * degrees) + 5)
        fail_msg("%s: chi square %.1f with %d degrees of freedom", name, chi, degrees);
    ol_sampler_destroy(s);
}

static void check(ol_sampler_params p, const double *want, const char *name) {
    static double got[V];
    ol_sampler *s = make(&p);
    ol_sampler_distribution(s, scores, got);
    for (int i = 0; i < V; i++)
        if (fabs(got[i] - want[i]) > 1e-6) fail_msg("%s: token %d has %.9f, expected %.9f", name, i, got[i], want[i]);
    ol_sampler_destroy(s);
    chi_square(p, want, name);
}

/* Indices by falling probability, lower ids first. */
static void order_by(const double *key, int *idx) {
    for (int i = 0; i < V; i++) idx[i] = i;
    for (int i = 1; i < V; i++)
        for (int k = i; k > 0 && key[idx[k]] > key[idx[k - 1]]; k--) {
            int t = idx[k];
            idx[k] = idx[k - 1];
            idx[k - 1] = t;
        }
}

static void normalize(double *w) {
    double sum = 0;
    for (int i = 0; i < V; i++) sum += w[i];
    for (int i = 0; i < V; i++) w[i] /= sum;
}

static double entropy(const double *w) {
    double h = 0;
    for (int i = 0; i < V; i++)
        if (w[i] > 0) h -= w[i] * log(w[i]);
    return h;
}

static void test_temperature(void **state) {
    (void)state;
    double x[V], w[V];
    ol_sampler_params p = sampling();
    base_scores(x);
    softmax(x, w);
    check(p, w, "plain");
    p.temperature = 0.6;
    for (int i = 0; i < V; i++) x[i] /= 0.6;
    softmax(x, w);
    check(p, w, "temperature");
}

static void test_top_k(void **state) {
    (void)state;
    double x[V], w[V];
    int idx[V];
    ol_sampler_params p = sampling();
    base_scores(x);
    order_by(x, idx);
    p.top_k = 7;
    double limit = x[idx[6]];
    for (int i = 0; i < V; i++)
        if (x[i] < limit) x[i] = -INFINITY;
    softmax(x, w);
    check(p, w, "top_k");
}

static void test_top_p(void **state) {
    (void)state;
    double x[V], w[V], cum = 0;
    int idx[V];
    ol_sampler_params p = sampling();
    p.top_p = 0.8;
    base_scores(x);
    softmax(x, w);
    order_by(x, idx);
    for (int i = 0; i < V; i++) {
        bool in = cum < 0.8;
        cum += w[idx[i]];
        if (!in) w[idx[i]] = 0;
    }
    normalize(w);
    check(p, w, "top_p");
}

static void test_cutoffs(void **state) {
    (void)state;
    double x[V], full[V], w[V], max = 0;
    base_scores(x);
    softmax(x, full);
    for (int i = 0; i < V; i++) max = full[i] > max ? full[i] : max;
    ol_sampler_params p = sampling();
    p.min_p = 0.2;
    for (int i = 0; i < V; i++) w[i] = full[i] >= 0.2 * max ? full[i] : 0;
    normalize(w);
    check(p, w, "min_p");

    p = sampling();
    p.epsilon_cutoff = 0.03;
    for (int i = 0; i < V; i++) w[i] = full[i] >= 0.03 ? full[i] : 0;
    normalize(w);
    check(p, w, "epsilon");

    p = sampling();
    p.eta_cutoff = 0.02;
    double eta = sqrt(0.02) * exp(-entropy(full));
    eta = eta < 0.02 ? eta : 0.02;
    for (int i = 0; i < V; i++) w[i] = full[i] >= eta ? full[i] : 0;
    normalize(w);
    check(p, w, "eta");

    p = sampling();
    p.mirostat = 2;
    p.mirostat_tau = 2;
    for (int i = 0; i < V; i++) w[i] = -log2(full[i]) <= 4 ? full[i] : 0;
    normalize(w);
    check(p, w, "mirostat");
}

static void test_typical(void **state) {
    (void)state;
    double x[V], w[V], key[V], cum = 0;
    int idx[V];
    ol_sampler_params p = sampling();
    p.typical_p = 0.6;
    base_scores(x);
    softmax(x, w);
    double h = entropy(w);
    for (int i = 0; i < V; i++) key[i] = -fabs(-log(w[i]) - h);
    order_by(key, idx);
    for (int i = 0; i < V; i++) {
        bool in = cum < 0.6;
        cum += w[idx[i]];
        if (!in) w[idx[i]] = 0;
    }
    normalize(w);
    check(p, w, "typical");
}

static void test_top_n_sigma(void **state) {
    (void)state;
    double x[V], w[V], mean = 0, var = 0, max = -INFINITY;
    ol_sampler_params p = sampling();
    p.top_n_sigma = 1.2;
    base_scores(x);
    for (int i = 0; i < V; i++) mean += x[i] / V;
    for (int i = 0; i < V; i++) var += (x[i] - mean) * (x[i] - mean) / V;
    for (int i = 0; i < V; i++) max = x[i] > max ? x[i] : max;
    for (int i = 0; i < V; i++)
        if (x[i] < max - 1.2 * sqrt(var)) x[i] = -INFINITY;
    softmax(x, w);
    check(p, w, "top_n_sigma");
}

static void test_xtc(void **state) {
    (void)state;
    double x[V], full[V], cut[V], w[V];
    int last = -1;
    ol_sampler_params p = sampling();
    p.xtc_probability = 0.5;
    p.xtc_threshold = 0.05;
    base_scores(x);
    softmax(x, full);
    for (int i = 0; i < V; i++)
        if (full[i] >= 0.05 && (last < 0 || full[i] < full[last])) last = i;
    for (int i = 0; i < V; i++) cut[i] = full[i] >= 0.05 && i != last ? 0 : full[i];
    normalize(cut);
    for (int i = 0; i < V; i++) w[i] = 0.5 * full[i] + 0.5 * cut[i];
    chi_square(p, w, "xtc");
}

static void test_penalties(void **state) {
    (void)state;
    double x[V], w[V];
    ol_sampler_params p = sampling();
    p.repetition_penalty = 1.5;
    base_scores(x);
    static const int seen[] = {1, 2, 3, 4, 7};
    for (int i = 0; i < 5; i++) x[seen[i]] = x[seen[i]] < 0 ? x[seen[i]] * 1.5 : x[seen[i]] / 1.5;
    softmax(x, w);
    check(p, w, "repetition_penalty");

    const ol_logit_bias bias[] = {{5, 2.5}, {6, -INFINITY}};
    p = sampling();
    p.logit_bias = bias;
    p.n_logit_bias = 2;
    base_scores(x);
    x[5] += 2.5;
    x[6] = -INFINITY;
    softmax(x, w);
    check(p, w, "logit_bias");

    p = sampling();
    p.no_repeat_ngram_size = 3; /* "1 2" was followed by 3 */
    base_scores(x);
    x[3] = -INFINITY;
    softmax(x, w);
    check(p, w, "no_repeat_ngram");

    p = sampling();
    p.dry_multiplier = 0.8; /* 3 would repeat "1 2" of length 2; longer ones: "3 4 1 2" and "3 7 1 2" differ */
    base_scores(x);
    x[3] -= 0.8;
    softmax(x, w);
    check(p, w, "dry");

    static const int64_t eos[] = {9, 11};
    p = sampling();
    p.min_new_tokens = 2;
    p.eos_ids = eos;
    p.n_eos = 2;
    base_scores(x);
    x[9] = x[11] = -INFINITY;
    softmax(x, w);
    check(p, w, "min_new_tokens");
}

static void test_generated_penalties(void **state) {
    (void)state;
    double x[V], w[V], got[V];
    ol_sampler_params p = sampling();
    p.presence_penalty = 0.7;
    p.frequency_penalty = 0.3;
    ol_sampler *s = make(&p);
    ol_sampler_accept(s, 5);
    ol_sampler_accept(s, 5);
    ol_sampler_accept(s, 8);
    base_scores(x);
    x[5] -= 0.7 + 2 * 0.3;
    x[8] -= 0.7 + 0.3;
    softmax(x, w);
    ol_sampler_distribution(s, scores, got);
    for (int i = 0; i < V; i++) assert_true(fabs(got[i] - w[i]) < 1e-6);
    ol_sampler_truncate(s, 1);
    assert_int_equal(ol_sampler_generated(s), 1);
    base_scores(x);
    x[5] -= 1.0;
    softmax(x, w);
    ol_sampler_distribution(s, scores, got);
    for (int i = 0; i < V; i++) assert_true(fabs(got[i] - w[i]) < 1e-6);
    ol_sampler_destroy(s);
}

static void test_greedy(void **state) {
    (void)state;
    float row[V] = {0};
    ol_sampler_params p;
    ol_sampler_params_init(&p);
    ol_sampler *s = make(&p);
    row[0] = NAN;
    row[12] = row[30] = 5;
    assert_int_equal(ol_sampler_sample(s, row), 12);
    uint32_t mask[2] = {1u << 13, 0};
    ol_sampler_set_mask(s, mask);
    assert_int_equal(ol_sampler_sample(s, row), 13);
    ol_sampler_set_mask(s, NULL);
    row[31] = INFINITY;
    assert_int_equal(ol_sampler_sample(s, row), 31);
    for (int i = 0; i < V; i++) row[i] = -INFINITY;
    int64_t t = ol_sampler_sample(s, row);
    assert_true(t >= 0 && t < V);
    ol_sampler_destroy(s);
    p.do_sample = true;
    s = make(&p);
    t = ol_sampler_sample(s, row);
    assert_true(t >= 0 && t < V);
    for (int i = 0; i < V; i++) row[i] = NAN;
    t = ol_sampler_sample(s, row);
    assert_true(t >= 0 && t < V);
    row[3] = INFINITY;
    assert_int_equal(ol_sampler_sample(s, row), 3);
    ol_sampler_destroy(s);
}

/* The same seed gives the same tokens here as everywhere: these were computed once. */
static void test_repeatable(void **state) {
    (void)state;
    ol_sampler_params p = sampling();
    p.seed = 42;
    p.top_p = 0.95;
    p.temperature = 0.9;
    int64_t first[16], again[16];
    for (int round = 0; round < 2; round++) {
        ol_sampler *s = make(&p);
        for (int i = 0; i < 16; i++) (round ? again : first)[i] = ol_sampler_sample(s, scores);
        ol_sampler_destroy(s);
    }
    static const int64_t recorded[16] = {19, 37, 35, 26, 12, 12, 12, 12, 19, 12, 17, 12, 14, 11, 12, 29};
    assert_memory_equal(first, again, sizeof first);
    assert_memory_equal(first, recorded, sizeof first);
}

static void refused(ol_sampler_params p, const char *name) {
    olv_error err = {0};
    assert_int_equal(ol_sampler_params_check(&p, &err), OLV_ARG);
    if (!strstr(err.message, name)) fail_msg("'%s' lacks '%s'", err.message, name);
}

static void test_check(void **state) {
    (void)state;
#define REFUSED(field, value)                                                                      \
    do {                                                                                           \
        ol_sampler_params p_ = sampling();                                                         \
        p_.field = value;                                                                          \
        refused(p_, #field);                                                                       \
    } while (0)
    REFUSED(top_p, 0);
    REFUSED(top_p, 1.01);
    REFUSED(top_p, NAN);
    REFUSED(temperature, -1);
    REFUSED(temperature, NAN);
    REFUSED(min_p, 1);
    REFUSED(min_p, -0.1);
    REFUSED(top_k, -1);
    REFUSED(repetition_penalty, 0);
    REFUSED(presence_penalty, 2.1);
    REFUSED(frequency_penalty, -2.1);
    REFUSED(typical_p, 0);
    REFUSED(epsilon_cutoff, 1);
    REFUSED(eta_cutoff, -1);
    REFUSED(top_n_sigma, -1);
    REFUSED(xtc_probability, 2);
    REFUSED(mirostat, 3);
    REFUSED(no_repeat_ngram_size, -1);
    REFUSED(min_new_tokens, -1);
    REFUSED(dry_multiplier, -1);
}

static void test_numeric(void **state) {
    (void)state;
    for (double x = -700; x < 700; x += 0.37) assert_true(fabs(ol_exp_repro(x) / exp(x) - 1) < 1e-15);
    for (double x = 1e-300; x < 1e300; x *= 1.7) assert_true(fabs(ol_log_repro(x) - log(x)) <= 4e-16 * fabs(log(x)) + 1e-16);
    assert_true(ol_exp_repro(-INFINITY) == 0 && ol_exp_repro(0) == 1 && ol_log_repro(1) == 0);
    assert_true(isinf(ol_log_repro(0)) && ol_exp_repro(-745) >= 0);
}

static void test_no_allocation(void **state) {
    (void)state;
    ol_sampler_params p = sampling();
    p.top_k = 20;
    p.top_p = 0.9;
    p.repetition_penalty = 1.1;
    p.no_repeat_ngram_size = 3;
    p.dry_multiplier = 0.5;
    ol_sampler *s = make(&p);
    uint64_t before = ol_alloc_count();
    for (int i = 0; i < 500; i++) ol_sampler_sample(s, scores);
    assert_int_equal(ol_alloc_count(), before);
    ol_sampler_destroy(s);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_temperature), cmocka_unit_test(test_top_k), cmocka_unit_test(test_top_p),
        cmocka_unit_test(test_cutoffs), cmocka_unit_test(test_typical), cmocka_unit_test(test_top_n_sigma),
        cmocka_unit_test(test_xtc), cmocka_unit_test(test_penalties), cmocka_unit_test(test_generated_penalties),
        cmocka_unit_test(test_greedy), cmocka_unit_test(test_repeatable), cmocka_unit_test(test_check),
        cmocka_unit_test(test_numeric), cmocka_unit_test(test_no_allocation)};
    return cmocka_run_group_tests(tests, setup, NULL);
}
