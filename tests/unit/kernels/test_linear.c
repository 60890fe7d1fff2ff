/* SPDX-License-Identifier: Apache-2.0 */
/* What the engine relies on beyond what kcheck tries: the choice of variants, one family for all of 1 to 16 rows whose
 * bits do not depend on their number, and shared packed rows. */
#include "base/cpu.h"
#include "kernels/linear/linear.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { N = 37, K = 1088, GROUP = 32, M = 16 };

static uint8_t codes[N * K / 2];
static float scales[N * K / GROUP], x[M * K];

static ol_qconst make_qconst(void) {
    for (size_t i = 0; i < sizeof codes; i++) codes[i] = (uint8_t)(i * 167 + i / 5);
    for (size_t i = 0; i < sizeof scales / sizeof *scales; i++) scales[i] = 0.001f * (float)(1 + i % 13);
    for (size_t i = 0; i < sizeof x / sizeof *x; i++) x[i] = (float)((int)(i * 7919 % 2001) - 1000) * 0.001f;
    return (ol_qconst){.code = OL_Q_U4, .rows = N, .k = K, .group = GROUP, .n_groups = K / GROUP, .codes = codes,
                       .row_bytes = K / 2, .scale_dtype = OL_F32, .scales = scales, .global_scale = 1};
}

static void run(const olk_linear *v, const olk_weight *w, int64_t m, float *y) {
    void *act = aligned_alloc(64, (v->act_bytes(w, m) + 63) / 64 * 64 + 64);
    void *scratch = aligned_alloc(64, (v->scratch_bytes(w, m) + 63) / 64 * 64 + 64);
    assert_non_null(act);
    assert_non_null(scratch);
    v->pack(w, x, K, 0, m, m, act);
    olk_linear_args a = {w, act, m, y, N};
    v->run(&a, 0, m, 0, N, scratch);
    free(act);
    free(scratch);
}

static const uint64_t levels[] = {0, OL_ISA_AVX2, OL_ISA_AVX512, OL_ISA_VNNI, OL_ISA_BF16};

/* With every precision, CPU level and number of rows the same bits as among 16 rows. */
static void check_decode_rows(const ol_qconst *q) {
    olk_weight w = {.n = N, .k = q->k, .q = q};
    static const olk_precision precisions[] = {OLK_DEFAULT, OLK_F32, OLK_BF16};
    static float full[M * N], some[M * N];
    for (size_t l = 0; l < sizeof levels / sizeof *levels; l++) {
        if (levels[l] & ~ol_cpu_probe()) continue;
        for (size_t p = 0; p < 3; p++) {
            run(olk_linear_select(&w, M, precisions[p], levels[l], NULL, 0), &w, M, full);
            for (int64_t m = 1; m < M; m++) {
                const olk_linear *v = olk_linear_select(&w, m, precisions[p], levels[l], NULL, 0);
                assert_non_null(v);
                memset(some, 0, sizeof some);
                run(v, &w, m, some);
                assert_memory_equal(some, full, (size_t)(m * N) * sizeof(float));
            }
        }
    }
}

static void test_decode_rows_keep_their_bits(void **state) {
    (void)state;
    ol_qconst q = make_qconst();
    check_decode_rows(&q);
    q.code = OL_Q_I8; /* half the columns, a byte each */
    q.k = K / 2;
    q.n_groups = q.k / GROUP;
    check_decode_rows(&q);
}

/* No level with vectors falls back to portable code, or to float activations where int8 ones are allowed. */
static void test_each_level_has_its_own(void **state) {
    (void)state;
    ol_qconst q = make_qconst();
    olk_weight w = {.n = N, .k = K, .q = &q};
#if defined(__x86_64__)
    for (int64_t m = 1; m < 40; m += 19) {
        const olk_linear *v = olk_linear_select(&w, m, OLK_DEFAULT, OL_ISA_AVX2, NULL, 0);
        assert_string_equal(v->name, "olk_linear_int_i8__avx2");
    }
    assert_string_equal(olk_linear_select(&w, 1, OLK_F32, OL_ISA_AVX2, NULL, 0)->name, "olk_linear_int_f32__avx2_gemv");
    assert_string_equal(olk_linear_select(&w, 1, OLK_F32, OL_ISA_AVX512, NULL, 0)->name,
                        "olk_linear_int_f32__avx512_gemv");
#endif
    assert_string_equal(olk_linear_select(&w, 1, OLK_F32, 0, NULL, 0)->name, "olk_linear_any_f32__scalar");
}

static void test_f32_precision_means_f32(void **state) {
    (void)state;
    ol_qconst q = make_qconst();
    olk_weight w = {.n = N, .k = K, .q = &q};
    for (size_t l = 0; l < sizeof levels / sizeof *levels; l++)
        for (int64_t m = 1; m < 100; m += 9)
            assert_int_equal(olk_linear_select(&w, m, OLK_F32, levels[l], NULL, 0)->precision, OLK_F32);
}

static void test_reasons_name_the_missing_feature(void **state) {
    (void)state;
    ol_qconst q = make_qconst();
    olk_weight w = {.n = N, .k = K, .q = &q};
    char why[4096];
    const olk_linear *v = olk_linear_select(&w, 1, OLK_DEFAULT, 0, why, sizeof why);
    assert_string_equal(v->name, "olk_linear_int_i8__scalar");
#if defined(__x86_64__)
    assert_non_null(strstr(why, "olk_linear_i4_i8__vnni_gemv: no avx2"));
    assert_non_null(strstr(why, "olk_linear_i8_i8__vnni_gemv: not for this weight"));
#endif
    olk_linear_select(&w, 1, OLK_DEFAULT, 0, why, 8); /* does not fit: cut, not overrun */
    assert_true(strlen(why) < 8);
}

static void test_packed_rows_are_shared_by_alike_weights(void **state) {
    (void)state;
    ol_qconst q = make_qconst(), other = q;
    olk_weight w = {.n = N, .k = K, .q = &q}, v = {.n = N, .k = K, .q = &other};
    const olk_linear *kernel = olk_linear_select(&w, 1, OLK_DEFAULT, ol_cpu_probe(), NULL, 0);
    assert_true(kernel->act_key(&w) == kernel->act_key(&v));
    other.code = OL_Q_I8;
    assert_true(kernel->precision == OLK_F32 || kernel->act_key(&w) != kernel->act_key(&v));
}

static void test_unsupported_weights_are_refused(void **state) {
    (void)state;
    olk_weight w = {.dtype = OL_I32, .n = 1, .k = 1};
    assert_null(olk_linear_select(&w, 1, OLK_DEFAULT, ol_cpu_probe(), NULL, 0));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_decode_rows_keep_their_bits),
        cmocka_unit_test(test_each_level_has_its_own),
        cmocka_unit_test(test_f32_precision_means_f32),
        cmocka_unit_test(test_reasons_name_the_missing_feature),
        cmocka_unit_test(test_packed_rows_are_shared_by_alike_weights),
        cmocka_unit_test(test_unsupported_weights_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
