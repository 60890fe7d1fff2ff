/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/linear/narrow.h"
#include "tensor/dtype.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <math.h>

#define N 37 /* vectors and a tail */

static void fill(float *x) {
    for (int i = 0; i < N; i++) x[i] = ol_f16_to_f32((uint16_t)(i * 811 + 3)); /* subnormal ones among them */
}

static void exact_values_are_kept(void **state) {
    (void)state;
    float x[N];
    uint16_t y[N];
    fill(x);
    for (int n = 0; n <= N; n++) {
        assert_true(olk_narrow_f16(x, y, (size_t)n));
        for (int i = 0; i < n; i++) assert_true(ol_f16_to_f32(y[i]) == x[i]);
    }
}

static void any_other_value_refuses(void **state) {
    (void)state;
    const float bad[] = {0.1f, 65536.0f, 1e-9f, -3.00001f, NAN};
    for (int i = 0; i < N; i++)
        for (size_t j = 0; j < sizeof bad / sizeof bad[0]; j++) {
            float x[N];
            uint16_t y[N];
            fill(x);
            x[i] = bad[j];
            assert_false(olk_narrow_f16(x, y, N));
        }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(exact_values_are_kept), cmocka_unit_test(any_other_value_refuses)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
