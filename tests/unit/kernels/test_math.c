/* SPDX-License-Identifier: Apache-2.0 */
/* Error of the elementary functions, scalar and every vector variant of this machine, in units of the last place, over a
 * sweep of all exponents and both signs. */
#include "base/cpu.h"
#include "kernels/activation/activation.h"
#include "kernels/math/math.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

static double sigmoid(double x) { return 1 / (1 + exp(-x)); }

static double ulps(float got, double want) {
    if (isnan(got) || isnan(want)) return isnan(got) && isnan(want) ? 0 : INFINITY;
    if (isinf(got)) return fabs(want) > 3.40282347e38 ? 0 : INFINITY;
    double least = 0x1p-126, size = fabs(want) < least ? least : fabs(want); /* subnormal results count absolutely, */
    if (fabs(want) < least && got == 0) return 0;                                  /* and may be 0 */
    return fabs((double)got - want) / ldexp(1, ilogb(size) - 23);
}

static double worst(olk_act f, double (*exact)(double), const olk_activation *v, float *where) {
    enum { N = 1024 };
    float x[N], y[N];
    double most = 0;
    for (uint64_t u = 0; u < 1ull << 32;) {
        for (int i = 0; i < N; i++, u += 7919) {
            uint32_t bits = (uint32_t)u;
            memcpy(&x[i], &bits, 4);
        }
        v->unary(f, 0, 0, x, y, N);
        for (int i = 0; i < N; i++) {
            double e = ulps(y[i], isnan(x[i]) ? (double)x[i] : exact((double)x[i]));
            if (e > most) {
                most = e;
                *where = x[i];
            }
        }
    }
    return most;
}

static double log_or_nan(double x) { return x < 0 ? (double)NAN : log(x); }

static void errors(void **state) {
    static const struct {
        olk_act f;
        double (*exact)(double);
        double bound;
    } cases[] = {{OLK_ACT_EXP, exp, 2},         {OLK_ACT_LOG, log_or_nan, 2}, {OLK_ACT_TANH, tanh, 2.5},
                 {OLK_ACT_SIGMOID, sigmoid, 3}, {OLK_ACT_ERF, erf, 2}};
    int n;
    const olk_activation *const *v = olk_activation_variants(&n);
    (void)state;
    for (int i = 0; i < n; i++)
        for (size_t j = 0; j < sizeof cases / sizeof *cases; j++) {
            float where = 0;
            if ((ol_cpu_probe() & v[i]->cpu) != v[i]->cpu) continue;
            double e = worst(cases[j].f, cases[j].exact, v[i], &where);
            print_message("%s %s: %.2f ulp (at %g)\n", v[i]->name, olk_act_name(cases[j].f), e, (double)where);
            assert_true(e <= (v[i]->cpu ? cases[j].bound : cases[j].f == OLK_ACT_ERF ? 1 : 0.51));
        }
}

static void scalar_only(void **state) {
    (void)state;
    for (uint64_t u = 0; u < 1ull << 32; u += 104729) {
        uint32_t bits = (uint32_t)u;
        float x;
        memcpy(&x, &bits, 4);
        if (isnan(x)) continue;
        assert_true(ulps(olk_expm1(x), expm1((double)x)) <= 0.51);
        assert_true(ulps(olk_log1p(x), x < -1 ? (double)NAN : log1p((double)x)) <= 0.51);
        assert_true(ulps(olk_sin(x), sin((double)x)) <= 1);
        assert_true(ulps(olk_cos(x), cos((double)x)) <= 1);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(errors), cmocka_unit_test(scalar_only)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
