/* SPDX-License-Identifier: Apache-2.0 */
/* Operators that draw: the same numbers by seed, others without one, and their distributions. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "device/reference/reference.h"
#include "ops/ops.h"

/* Evaluates the graph's outputs into out. */
static void run(const char *text, ol_datum *out) {
    ol_graph *g;
    olv_error err;
    if (ol_graph_parse(text, strlen(text), &g, &err) != OLV_OK) fail_msg("%s", err.message);
    if (ol_reference_run(g, NULL, NULL, NULL, 0, out, &err) != OLV_OK) fail_msg("%s", err.message);
    ol_graph_destroy(g);
}

static bool same_bytes(const ol_datum *a, const ol_datum *b) {
    return a->tensor.bytes == b->tensor.bytes && !memcmp(a->tensor.data, b->tensor.data, a->tensor.bytes);
}

static void test_seeds(void **state) {
    (void)state;
    static const char seeded[] = "graph \"\" { y = RandomUniform() seed=7.0 shape=ints[64]\n output y }";
    static const char other[] = "graph \"\" { y = RandomUniform() seed=8.0 shape=ints[64]\n output y }";
    static const char unseeded[] = "graph \"\" { y = RandomUniform() shape=ints[64]\n output y }";
    ol_datum d[5] = {{0}};
    run(seeded, &d[0]), run(seeded, &d[1]), run(other, &d[2]), run(unseeded, &d[3]), run(unseeded, &d[4]);
    assert_true(same_bytes(&d[0], &d[1]));
    assert_false(same_bytes(&d[0], &d[2]));
    assert_false(same_bytes(&d[3], &d[4]));
    for (int i = 0; i < 5; i++) ol_datum_deinit(&d[i]);
}

/* Mean and variance of n draws lie within five standard errors of what they should be. */
static void check_moments(const char *text, double mean, double variance, double fourth) {
    ol_datum d = {0};
    run(text, &d);
    double n = (double)ol_tensor_count(&d.tensor), sum = 0, squares = 0;
    for (int64_t i = 0; i < (int64_t)n; i++) sum += ol_tensor_get(&d.tensor, i);
    for (int64_t i = 0; i < (int64_t)n; i++) squares += pow(ol_tensor_get(&d.tensor, i) - mean, 2);
    assert_true(n > 1000 && fabs(sum / n - mean) < 5 * sqrt(variance / n));
    assert_true(fabs(squares / n - variance) < 5 * sqrt((fourth - variance * variance) / n));
    ol_datum_deinit(&d);
}

static void test_distributions(void **state) {
    (void)state;
    /* of a uniform number on [-1, 3]: variance 4^2 / 12, fourth central moment 4^4 / 80; normal: 3 s^4 */
    check_moments("graph \"\" { y = RandomUniform() seed=1.0 low=-1.0 high=3.0 shape=ints[100, 200]\n output y }", 1, 16.0 / 12, 256.0 / 80);
    check_moments("graph \"\" { y = RandomNormal() seed=1.0 mean=2.0 scale=3.0 shape=ints[100, 200]\n output y }", 2, 9, 243);
    /* ones with probability p: variance p q, fourth p q (1 - 3 p q) */
    check_moments("graph \"\" { const s: i64[1] {20000}\n p = ConstantOfShape(s) value=tensor f32[1] {0.25}\n y = Bernoulli(p) seed=3.0\n output y }",
                  0.25, 0.1875, 0.1875 * (1 - 3 * 0.1875));
    /* dropped with probability 1/4, else 4/3: a variance of (4/3)^2 p q */
    check_moments("graph \"\" { const s: i64[1] {20000}\n const r: f32[] {0.25}\n const t: bool[] {1}\n x = ConstantOfShape(s) value=tensor f32[1] {1.0}\n"
                  " y = Dropout(x, r, t) seed=3\n output y }",
                  1, 1.0 / 3, 256.0 / 81 * 0.1875 * (1 - 3 * 0.1875));
    /* classes 0 and 1 with weights 1 and 3 */
    check_moments("graph \"\" { const w: f32[1, 2] {0.0, 1.0986123}\n y = Multinomial(w) seed=5.0 sample_size=20000\n output y }", 0.75, 0.1875,
                  0.1875 * (1 - 3 * 0.1875));
}

static void test_limits(void **state) {
    (void)state;
    ol_graph *g;
    olv_error err;
    static const char bad[] = "graph \"\" { y = RandomUniform() shape=ints[-1]\n output y }";
    assert_int_equal(ol_graph_parse(bad, sizeof bad - 1, &g, &err), OLV_SHAPE);
    static const char typed[] = "graph \"\" { y = RandomNormal() dtype=7 shape=ints[2]\n output y }";
    assert_int_equal(ol_graph_parse(typed, sizeof typed - 1, &g, &err), OLV_FORMAT);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_seeds), cmocka_unit_test(test_distributions), cmocka_unit_test(test_limits)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
