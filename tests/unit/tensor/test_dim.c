/* SPDX-License-Identifier: Apache-2.0 */
#include "tensor/dim.h"
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <stdio.h>
#include <cmocka.h>

static int setup(void **state) {
    *state = ol_dim_table_create();
    return *state ? 0 : -1;
}

static int teardown(void **state) {
    ol_dim_table_destroy(*state);
    return 0;
}

static void equal_expressions_share_a_handle(void **state) {
    ol_dim_table *t = *state;
    ol_dim a = ol_dim_symbol(t, "A"), b = ol_dim_symbol(t, "B");
    assert_true(a == ol_dim_symbol(t, "A") && a != b);
    assert_true(ol_dim_add(t, a, b) == ol_dim_add(t, b, a));
    assert_true(ol_dim_sub(t, ol_dim_add(t, a, b), b) == a);
    assert_true(ol_dim_sub(t, a, a) == 0);
    assert_true(ol_dim_mul(t, a, 1) == a && ol_dim_mul(t, a, 0) == 0);
    /* (A + 1) * (B + 2) == A*B + 2*A + B + 2 */
    ol_dim left = ol_dim_mul(t, ol_dim_add(t, a, 1), ol_dim_add(t, b, 2));
    ol_dim right = ol_dim_add(t, ol_dim_add(t, ol_dim_mul(t, b, a), ol_dim_mul(t, 2, a)), ol_dim_add(t, 2, b));
    assert_true(left == right);
    /* floor((4 A + 3) / 4) == A, ceil(4 A / 4) == A, A B / B == A, (6 A + 4) / 2 == 3 A + 2 */
    assert_true(ol_dim_div_floor(t, ol_dim_add(t, ol_dim_mul(t, a, 4), 3), 4) == a);
    assert_true(ol_dim_div_ceil(t, ol_dim_mul(t, 4, a), 4) == a);
    assert_true(ol_dim_div_floor(t, ol_dim_mul(t, a, b), b) == a);
    assert_true(ol_dim_div_floor(t, a, a) == 1);
    assert_true(ol_dim_max(t, a, b) == ol_dim_max(t, b, a));
    assert_true(ol_dim_max(t, a, ol_dim_add(t, a, 3)) == ol_dim_add(t, a, 3));
    assert_true(ol_dim_min(t, a, ol_dim_add(t, a, 3)) == a);
    assert_true(ol_dim_max(t, 3, 5) == 5 && ol_dim_min(t, 3, 5) == 3);
    assert_true(ol_dim_joint(t, a, 1) == a && ol_dim_joint(t, a, b) == ol_dim_joint(t, b, a));
    assert_true(ol_dim_joint(t, 0, 1) == 0 && ol_dim_joint(t, 2, 3) == OL_DIM_NONE);
    assert_true(ol_dim_symbol_index(t, b) == 1 && ol_dim_symbol_index(t, left) == -1);
    assert_int_equal(ol_dim_n_symbols(t), 2);
    assert_string_equal(ol_dim_symbol_name(t, a), "A");
    assert_null(ol_dim_symbol_name(t, left));
    assert_null(ol_dim_symbol_name(t, 5));
}

static void evaluation(void **state) {
    ol_dim_table *t = *state;
    ol_dim a = ol_dim_symbol(t, "A"), b = ol_dim_symbol(t, "B");
    ol_dim e = ol_dim_div_ceil(t, ol_dim_sub(t, ol_dim_mul(t, a, 3), b), 4);
    for (int64_t x = 0; x < 20; x++) {
        for (int64_t y = 0; y < 20; y++) {
            int64_t v[2] = {x, y}, n = 3 * x - y, want = n >= 0 ? (n + 3) / 4 : -(-n / 4);
            assert_int_equal(ol_dim_eval(t, e, v, 2), want < 0 ? -1 : want);
            assert_int_equal(ol_dim_eval(t, ol_dim_max(t, ol_dim_sub(t, a, b), 2), v, 2), x - y > 2 ? x - y : 2);
            assert_int_equal(ol_dim_eval(t, ol_dim_min(t, ol_dim_mul(t, a, b), 9), v, 2), x * y < 9 ? x * y : 9);
            if (x == y || x == 1 || y == 1)
                assert_int_equal(ol_dim_eval(t, ol_dim_joint(t, a, b), v, 2), x == 1 ? y : x);
            ol_dim q = ol_dim_div_floor(t, a, b);
            assert_int_equal(ol_dim_eval(t, q, v, 2), y ? x / y : -1);
        }
    }
    int64_t v[2] = {5, -1};
    assert_int_equal(ol_dim_eval(t, ol_dim_add(t, a, b), v, 2), -1);
    assert_int_equal(ol_dim_eval(t, a, v, 2), 5);
    assert_int_equal(ol_dim_eval(t, b, v, 1), -1);
    int64_t big[2] = {INT64_MAX, 2};
    assert_int_equal(ol_dim_eval(t, ol_dim_mul(t, a, b), big, 2), -1);
    assert_int_equal(ol_dim_eval(t, -999, v, 2), -1);
}

static void overflow_and_limits(void **state) {
    ol_dim_table *t = *state;
    assert_true(ol_dim_add(t, INT64_MAX, 1) == OL_DIM_NONE);
    assert_true(ol_dim_mul(t, INT64_MAX, 2) == OL_DIM_NONE);
    assert_true(ol_dim_sub(t, 3, 5) == OL_DIM_NONE);
    assert_true(ol_dim_div_floor(t, 3, 0) == OL_DIM_NONE);
    assert_true(ol_dim_add(t, OL_DIM_NONE, 1) == OL_DIM_NONE);
    assert_true(ol_dim_div_floor(t, 7, 2) == 3 && ol_dim_div_ceil(t, 7, 2) == 4);
    /* A chain that would take exponential time to evaluate is refused, not built. */
    ol_dim d = ol_dim_symbol(t, "A");
    int steps = 0;
    while (d != OL_DIM_NONE && steps < 1000) {
        d = ol_dim_max(t, ol_dim_mul(t, d, d), ol_dim_add(t, d, d));
        steps++;
    }
    assert_true(steps < 100);
}

static void text_round_trip(void **state) {
    ol_dim_table *t = *state;
    const char *const texts[] = {"4", "T", "(T + 3)", "(2*T - 5)", "max(T, B)", "joint(T, B)", "((T + 1) / 2)", "(T*B - min(T, 7))",
                                 "`batch size`", "(-T + 10)"};
    char out[128];
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        ol_dim d = ol_dim_parse(t, texts[i], strlen(texts[i]));
        assert_true(d != OL_DIM_NONE);
        ol_dim_format(t, d, out, sizeof out);
        assert_true(ol_dim_parse(t, out, strlen(out)) == d);
    }
    ol_dim_format(t, ol_dim_add(t, ol_dim_symbol(t, "T"), 3), out, sizeof out);
    assert_string_equal(out, "(T + 3)");
    const char *const bad[] = {"", "+", "T +", "(T", "T)", "4 4", "max(T)", "99999999999999999999", "-3", "`x", "T/0"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_true(ol_dim_parse(t, bad[i], strlen(bad[i])) == OL_DIM_NONE);
    char deep[400];
    memset(deep, '(', sizeof deep);
    assert_true(ol_dim_parse(t, deep, sizeof deep) == OL_DIM_NONE);
    ol_dim f = ol_dim_fresh(t, "dim"), g = ol_dim_fresh(t, "dim");
    assert_true(f != g);
    ol_dim_format(t, f, out, sizeof out);
    assert_true(ol_dim_parse(t, out, strlen(out)) == f);
    ol_dim_format(t, f, out, 3);
    assert_int_equal(strlen(out), 2);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(equal_expressions_share_a_handle, setup, teardown),
        cmocka_unit_test_setup_teardown(evaluation, setup, teardown),
        cmocka_unit_test_setup_teardown(overflow_and_limits, setup, teardown),
        cmocka_unit_test_setup_teardown(text_round_trip, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
