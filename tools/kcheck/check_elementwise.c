/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/kcheck.h"
#include "kernels/elementwise/elementwise.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

static size_t count(void) {
    int n;
    olk_elementwise_variants(&n);
    return (size_t)n;
}
static const olk_elementwise *at(size_t i) {
    int n;
    return olk_elementwise_variants(&n)[i];
}
static kc_variant variant(size_t i) {
    return (kc_variant){at(i)->name, at(i)->cpu};
}

static float expected(olk_binary op, float p, float q) {
    switch (op) {
    case OLK_ADD: return p + q;
    case OLK_SUB: return p - q;
    case OLK_MUL: return p * q;
    case OLK_DIV: return p / q;
    case OLK_MAX: return isnan(p) || isnan(q) ? NAN : p > q ? p : q;
    default: return isnan(p) || isnan(q) ? NAN : p < q ? p : q;
    }
}

static void check(kc *k, size_t i) {
    int form = (int)kc_int(k, 0, 5);
    olk_binary op = (olk_binary)kc_int(k, 0, OLK_N_BINARY - 1);
    bool wide = form == 3 || form == 4, in_place = kc_chance(k, 2);
    int64_t n = kc_size(k, 16, 200), rows = wide ? kc_int(k, 0, 4) : 1, ld = n + (wide ? kc_int(k, 0, 3) : 0);
    int64_t size = rows ? (rows - 1) * ld + n : 0;
    kc_describe(k, "form %d op %d rows %lld n %lld in place %d", form, (int)op, (long long)rows, (long long)n, in_place);
    float *p = kc_alloc(k, (size_t)size * 4, 64, 4 * (size_t)kc_int(k, 0, 15));
    float *q = kc_alloc(k, (size_t)n * 4, 64, 4 * (size_t)kc_int(k, 0, 15)), c = kc_float(k);
    float *y = in_place ? p : kc_alloc(k, (size_t)size * 4, 64, 4 * (size_t)kc_int(k, 0, 15));
    float *want = kc_alloc(k, (size_t)n * (size_t)rows * 4, 64, 0), *got = kc_alloc(k, (size_t)n * (size_t)rows * 4, 64, 0);
    kc_fill_f32(k, p, (size_t)size, kc_any_values(k));
    kc_fill_f32(k, q, (size_t)n, kc_any_values(k));
    for (int64_t r = 0; r < rows; r++)
        for (int64_t j = 0; j < n; j++) {
            float a = p[r * ld + j], b = form == 1 || form == 2 ? c : q[j];
            volatile float product = c * b;
            want[r * n + j] = form == 5 ? a + product : form == 2 || form == 4 ? expected(op, b, a) : expected(op, a, b);
        }
    const olk_elementwise *v = at(i);
    switch (form) {
    case 0: v->full(op, p, q, y, n); break;
    case 1: v->right(op, p, c, y, n); break;
    case 2: v->left(op, c, p, y, n); break;
    case 3: v->rows_right(op, p, ld, q, y, ld, rows, n); break;
    case 4: v->rows_left(op, q, p, ld, y, ld, rows, n); break;
    default: v->add_scaled(p, c, q, y, n); break;
    }
    for (int64_t r = 0; r < rows; r++)
        for (int64_t j = 0; j < n; j++) got[r * n + j] = y[r * ld + j] == 0 && want[r * n + j] == 0 ? want[r * n + j] : y[r * ld + j];
    kc_same_f32(k, "y", got, want, (size_t)(n * rows));
}

typedef struct work {
    const olk_elementwise *v;
    float *x;
} work;
static void run(void *ctx) {
    work *w = ctx;
    w->v->full(OLK_ADD, w->x, w->x + 8192, w->x + 16384, 8192);
}
static void bench(kc *k, size_t i) {
    work w = {at(i), kc_bench_alloc(k, 3 * 8192 * 4)};
    kc_fill_f32(k, w.x, 3 * 8192, KC_NORMAL);
    kc_report(k, kc_time(k, run, &w), 3 * 8192 * 4.0, 8192, "add 8192");
}

const kc_family kc_family_elementwise = {"elementwise", count, variant, check, bench};
