/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/rope/rope.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

static void inverse_frequencies(void **state) {
    float f[32];
    (void)state;
    olk_rope_inv_freq(10000, 64, f);
    assert_true(f[0] == 1.0f);
    for (int i = 0; i < 32; i++) assert_true(f[i] == (float)pow(10000, -i / 32.0));
}

static void table_against_double(void **state) {
    static const int32_t positions[] = {0, 1, 7, 511, 4096, 131071};
    float f[5], cosine[6 * 12], *sine = cosine + 5;
    (void)state;
    olk_rope_inv_freq(500000, 10, f);
    for (int i = 0; i < 72; i++) cosine[i] = -7;
    olk_rope_table(f, 5, positions, 6, 1.25, cosine, sine, 12);
    for (int r = 0; r < 6; r++) {
        for (int i = 0; i < 5; i++) {
            double angle = (double)positions[r] * (double)f[i];
            assert_true(cosine[r * 12 + i] == (float)(1.25 * cos(angle)));
            assert_true(sine[r * 12 + i] == (float)(1.25 * sin(angle)));
        }
        assert_true(cosine[r * 12 + 10] == -7 && cosine[r * 12 + 11] == -7); /* beyond the row */
    }
}

/* transformers' dynamic NTK: theta * ((factor * length / original) - (factor - 1)) ^ (d / (d - 2)). */
static void dynamic_base(void **state) {
    (void)state;
    assert_true(olk_rope_dynamic_theta(10000, 2, 64, 2048, 2048) == 10000);
    double got = olk_rope_dynamic_theta(10000, 2, 64, 4096, 2048);
    assert_true(fabs(got - 10000 * pow(3, 64.0 / 62.0)) < 1e-6 * got);
}

/* Rotation keeps the length of each pair and turns by the angle. */
static void rotation_turns(void **state) {
    float x[8] = {3, 0, 1, 2, 4, 0, 9, 9}, table[4] = {0, 1, 1, 0}; /* cos 0 1, sin 1 0 */
    (void)state;
    olk_rope_select(0)->apply(x, 8, 1, 1, 8, table, table + 2, 4, 4, false);
    static const float want[8] = {-1, 0, 3, 2, 4, 0, 9, 9};
    for (int i = 0; i < 8; i++) assert_true(x[i] == want[i]);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(inverse_frequencies),
        cmocka_unit_test(table_against_double),
        cmocka_unit_test(dynamic_base),
        cmocka_unit_test(rotation_turns),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
