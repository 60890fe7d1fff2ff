/* SPDX-License-Identifier: Apache-2.0 */
/* Statistics, factor and rounding against straightforward computations in f64, and the same bits for any number of threads
 * and any instruction set. */
#include "base/alloc.h"
#include "base/cpu.h"
#include "compress/calibrate.h"
#include "compress/gptq.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define K 96
#define ROWS 70
#define TOKENS 300

static olv_error err;
static float x[TOKENS * K], w[ROWS * K];
static const int64_t lengths[] = {100, 37, 163};

static float draw(uint64_t *s) {
    *s = *s * 6364136223846793005u + 1442695040888963407u;
    return (float)((double)(*s >> 40) / (1 << 24) - 0.5);
}

/* Rows whose columns depend on each other, and some of which are large. */
static void make_data(void) {
    uint64_t s = 7;
    for (int t = 0; t < TOKENS; t++)
        for (int k = 0; k < K; k++) {
            float v = draw(&s);
            x[t * K + k] = (k ? 0.6f * x[t * K + k - 1] : 0) + (k % 17 == 3 ? 8 * v : v);
        }
    for (int i = 0; i < ROWS * K; i++) w[i] = draw(&s) + draw(&s) * draw(&s);
}

static ol_executor *threads(int n) {
    ol_executor *e;
    assert_int_equal(ol_executor_create(n, &e, &err), OLV_OK);
    return e;
}

static void collect(ol_stage_stats *s, ol_executor *e, uint64_t cpu) {
    assert_int_equal(ol_stage_stats_init(s, K, 3, &err), OLV_OK);
    assert_int_equal(ol_stage_stats_add(s, x, lengths, 2, e, cpu, &err), OLV_OK);
    assert_int_equal(ol_stage_stats_add(s, x + 137 * K, lengths + 2, 1, e, cpu, &err), OLV_OK);
    ol_stage_stats_finish(s);
}

static void statistics(void **state) {
    (void)state;
    ol_executor *e = threads(2);
    ol_stage_stats s;
    make_data();
    collect(&s, e, ol_cpu_probe());
    assert_int_equal(s.tokens, TOKENS);
    for (int i = 0; i < K; i++)
        for (int j = 0; j < K; j++) {
            double sum = 0, size = 0;
            for (int t = 0; t < TOKENS; t++) {
                sum += (double)x[t * K + i] * (double)x[t * K + j];
                size += fabs((double)x[t * K + i] * (double)x[t * K + j]);
            }
            assert_true(fabs((double)s.gram[i * K + j] - sum) <= 1e-5 * size);
        }
    double mean = 0, magnitude = 0;
    for (int t = 100; t < 137; t++) mean += (double)x[t * K + 5] / 37;
    assert_true(fabs((double)s.means[K + 5] - mean) < 1e-6);
    for (int i = 0, t0 = 0; i < 3; t0 += (int)lengths[i++])
        for (int k = 0; k < K; k++) {
            double most = 0;
            for (int t = t0; t < t0 + lengths[i]; t++) most = fmax(most, fabs((double)x[t * K + k]));
            magnitude += most / K / 3;
        }
    assert_true(fabs(s.inputs.mean_magnitude - magnitude) < 1e-9 * magnitude);
    ol_stage_stats_deinit(&s);
    x[5] = NAN;
    assert_int_equal(ol_stage_stats_init(&s, K, 3, &err), OLV_OK);
    assert_int_equal(ol_stage_stats_add(&s, x, lengths, 1, e, 0, &err), OLV_FORMAT);
    ol_stage_stats_deinit(&s);
    ol_executor_destroy(e);
}

/* M D M^T is the permuted matrix: D follows from the first equation, the rest must agree. */
static void factor(void **state) {
    (void)state;
    ol_executor *e = threads(2);
    ol_stage_stats s;
    ol_factor f;
    static double m[K * K], d[K];
    make_data();
    collect(&s, e, ol_cpu_probe());
    assert_int_equal(ol_factor_init(&f, s.gram, K, 0.01, true, e, ol_cpu_probe(), &err), OLV_OK);
    double damping = 0;
    for (int i = 0; i < K; i++) damping += 0.01 * (double)s.gram[i * K + i] / K;
    for (int i = 0; i < K; i++)
        for (int j = 0; j < K; j++) m[i * K + j] = i == j ? 1 : j > i ? (double)f.m[i * K + j] : 0;
    for (int i = 0; i + 1 < K; i++) assert_true(s.gram[f.order[i] * (K + 1)] >= s.gram[f.order[i + 1] * (K + 1)]);
    for (int j = K - 1; j >= 0; j--) {
        d[j] = (double)s.gram[f.order[j] * (K + 1)] + damping;
        for (int p = j + 1; p < K; p++) d[j] -= m[j * K + p] * m[j * K + p] * d[p];
    }
    for (int i = 0; i < K; i++)
        for (int j = i; j < K; j++) {
            double sum = 0, scale = sqrt((double)s.gram[f.order[i] * (K + 1)] * (double)s.gram[f.order[j] * (K + 1)]);
            for (int p = j; p < K; p++) sum += m[i * K + p] * d[p] * m[j * K + p];
            assert_true(fabs(sum - (double)s.gram[f.order[i] * K + f.order[j]] - (i == j ? damping : 0)) < 1e-5 * scale);
        }
    ol_factor_deinit(&f);
    ol_stage_stats_deinit(&s);
    ol_executor_destroy(e);
}

/* ---- rounding ---- */

static ol_const *weights(void) {
    ol_const *c = ol_const_bytes(OL_F32, 2, (int64_t[]){ROWS, K}, w, sizeof w, NULL, NULL, &err);
    assert_non_null(c);
    return c;
}

typedef struct rounded {
    double loss;
    float values[ROWS * K];
    uint8_t codes[ROWS * K];
    float scales[ROWS * 3];
} rounded;

/* Compensation 0: none; 1: GPTQ; 2: with sweeps. */
static void run(const olv_weight_spec *spec, int compensation, int n_threads, uint64_t cpu, rounded *out) {
    ol_executor *e = threads(n_threads);
    ol_stage_stats s;
    ol_factor f;
    ol_gptq_result r;
    ol_const *c = weights();
    ol_store *store = ol_store_open(NULL, "");
    make_data();
    collect(&s, e, cpu);
    assert_int_equal(ol_factor_init(&f, s.gram, K, 0.01, true, e, cpu, &err), OLV_OK);
    const ol_gptq_options o = {.hessian = s.gram, .factor = compensation ? &f : NULL, .sweeps = compensation == 2 ? 4 : 0, .damping = 0.01};
    assert_int_equal(ol_gptq(c, spec, &o, store, "codes", e, cpu, &r, &err), OLV_OK);
    const ol_qconst *q = ol_const_qconst(r.codes);
    memset(out, 0, sizeof *out);
    memcpy(out->codes, q->codes, (size_t)q->rows * q->row_bytes);
    ol_qconst_rows_f32(q, 0, ROWS, out->values);
    if (q->n_groups == 3) ol_elems_to_f32(q->scale_dtype, q->scales, 0, ROWS * 3, out->scales);
    out->loss = r.loss;
    double error = 0, loss = 0;
    for (int i = 0; i < ROWS; i++)
        for (int t = 0; t < TOKENS; t++) {
            double y = 0;
            for (int k = 0; k < K; k++) y += ((double)w[i * K + k] - (double)out->values[i * K + k]) * (double)x[t * K + k];
            loss += y * y;
        }
    for (int i = 0; i < ROWS * K; i++) error += pow((double)w[i] - (double)out->values[i], 2);
    assert_true(fabs(error - r.error) < 1e-4 * error);
    assert_true(fabs(loss - r.loss) < 1e-3 * loss);
    ol_const_release(r.codes);
    ol_const_release(c);
    ol_store_release(store);
    ol_factor_deinit(&f);
    ol_stage_stats_deinit(&s);
    ol_executor_destroy(e);
}

static const olv_weight_spec specs[] = {{.type = OLV_WEIGHT_INT4_SYM, .group_size = 32, .rounding = OLV_ROUND_SEARCH},
                                        {.type = OLV_WEIGHT_INT4_ASYM, .group_size = 64, .rounding = OLV_ROUND_SEARCH},
                                        {.type = OLV_WEIGHT_INT4_SYM, .group_size = -1, .rounding = OLV_ROUND_NNCF},
                                        {.type = OLV_WEIGHT_INT8_ASYM, .group_size = -1, .rounding = OLV_ROUND_SEARCH}};

static void loss_falls(void **state) {
    (void)state;
    static rounded plain, compensated, swept;
    for (size_t i = 0; i < sizeof specs / sizeof *specs; i++) {
        run(&specs[i], 0, 2, ol_cpu_probe(), &plain);
        run(&specs[i], 1, 2, ol_cpu_probe(), &compensated);
        run(&specs[i], 2, 2, ol_cpu_probe(), &swept);
        assert_true(compensated.loss < 0.9 * plain.loss);
        assert_true(swept.loss < compensated.loss);
    }
}

static void same_bits(void **state) {
    (void)state;
    static const char *const levels[] = {"scalar", "avx2", "avx512"};
    static rounded one, other;
    for (size_t i = 0; i < sizeof specs / sizeof *specs; i++) {
        run(&specs[i], 2, 1, 0, &one);
        for (int l = 0; l < 3; l++) {
            uint64_t cpu;
            assert_true(ol_cpu_limit(levels[l], &cpu));
            run(&specs[i], 2, 1 + l, cpu, &other);
            assert_memory_equal(one.codes, other.codes, sizeof one.codes);
            assert_memory_equal(one.values, other.values, sizeof one.values);
        }
    }
}

/* Every weight is at the code nearest to the place that f64 gives it: the least of the loss over all that comes after, with what
 * comes before as it is. M is right when `factor` passes. */
static void places(void **state) {
    (void)state;
    static rounded got;
    ol_executor *e = threads(1);
    ol_stage_stats s;
    ol_factor f;
    run(&specs[0], 1, 1, ol_cpu_probe(), &got);
    collect(&s, e, ol_cpu_probe());
    assert_int_equal(ol_factor_init(&f, s.gram, K, 0.01, true, e, ol_cpu_probe(), &err), OLV_OK);
    int differ = 0;
    for (int row = 0; row < ROWS; row++)
        for (int j = 0; j < K; j++) {
            int column = f.order[j], code = got.codes[(row * K + column) / 2] >> (column % 2 * 4) & 15;
            double place = (double)w[row * K + column], scale = fabs((double)got.scales[row * 3 + column / 32]);
            for (int i = 0; i < j; i++)
                place += (double)f.m[i * K + j] * ((double)w[row * K + f.order[i]] - (double)got.values[row * K + f.order[i]]);
            bool end = code == 0 || code == 15;
            differ += !end && fabs(place - (double)got.values[row * K + column]) > scale * 0.5001;
        }
    assert_int_equal(differ, 0);
    ol_factor_deinit(&f);
    ol_stage_stats_deinit(&s);
    ol_executor_destroy(e);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(statistics), cmocka_unit_test(factor), cmocka_unit_test(loss_falls),
                                       cmocka_unit_test(same_bits), cmocka_unit_test(places)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
