/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/kcheck.h"
#include "kernels/lowrank/lowrank.h"

static size_t count(void) {
    int n;
    olk_lowrank_variants(&n);
    return (size_t)n;
}
static const olk_lowrank *at(size_t i) {
    int n;
    return olk_lowrank_variants(&n)[i];
}
static kc_variant variant(size_t i) {
    return (kc_variant){at(i)->name, at(i)->cpu};
}

static double element(const olk_lowrank_args *a, int64_t i) {
    return (double)(a->dtype == OL_F16 ? ol_f16_to_f32(((const uint16_t *)a->b)[i]) : ((const float *)a->b)[i]);
}

static void check(kc *k, size_t i) {
    bool half = kc_chance(k, 2);
    size_t each = half ? 2 : 4;
    olk_lowrank_args a = {.dtype = half ? OL_F16 : OL_F32};
    int64_t n = kc_size(k, 32, 300);
    a.m = kc_int(k, 0, 5);
    a.rank = kc_size(k, 8, 40);
    a.n0 = kc_int(k, 0, n), a.n1 = kc_int(k, a.n0, n);
    int64_t w = a.n1 - a.n0;
    a.ldt = a.rank + kc_int(k, 0, 3), a.ldy = w + kc_int(k, 0, 3);
    kc_describe(k, "m %lld n %lld..%lld rank %lld %s", (long long)a.m, (long long)a.n0, (long long)a.n1, (long long)a.rank, half ? "f16" : "f32");
    size_t nb = (size_t)olk_lowrank_size(a.rank, n), nt = a.m ? (size_t)((a.m - 1) * a.ldt + a.rank) : 0;
    size_t ny = a.m ? (size_t)((a.m - 1) * a.ldy + w) : 0;
    void *b = kc_alloc(k, nb * each, 64, each * (size_t)kc_int(k, 0, 15));
    float *t = kc_alloc(k, nt * 4, 64, 4 * (size_t)kc_int(k, 0, 15)), *y = kc_alloc(k, ny * 4, 64, 4 * (size_t)kc_int(k, 0, 15));
    kc_fill_typed(k, a.dtype, b, nb, 1);
    kc_fill_f32(k, t, nt, KC_NORMAL);
    kc_fill_f32(k, y, ny, KC_NORMAL);
    a.b = b, a.t = t, a.y = y;
    double *want = kc_alloc(k, (size_t)(a.m * w) * sizeof *want, 64, 0);
    float *got = kc_alloc(k, (size_t)(a.m * w) * 4, 64, 0);
    for (int64_t r = 0; r < a.m; r++)
        for (int64_t c = 0; c < w; c++) {
            double sum = (double)y[r * a.ldy + c];
            for (int64_t j = 0; j < a.rank; j++) sum += (double)t[r * a.ldt + j] * element(&a, olk_lowrank_at(a.rank, j, a.n0 + c));
            want[r * w + c] = sum;
        }
    at(i)->add(&a);
    for (int64_t r = 0; r < a.m; r++)
        for (int64_t c = 0; c < w; c++) got[r * w + c] = y[r * a.ldy + c];
    kc_compare_f32(k, "y", got, want, (size_t)(a.m * w), 3e-4, 1e-5);
}

typedef struct work {
    const olk_lowrank *v;
    olk_lowrank_args a;
} work;
static void run(void *ctx) {
    work *w = ctx;
    w->v->add(&w->a);
}
static void bench(kc *k, size_t i) {
    enum { N = 1536, R = 16 };
    uint16_t *b = kc_bench_alloc(k, N * R * 2);
    float *x = kc_bench_alloc(k, (N + R) * 4);
    kc_fill_typed(k, OL_F16, b, N * R, 1);
    kc_fill_f32(k, x, N + R, KC_ZERO);
    work w = {at(i), {.b = b, .dtype = OL_F16, .rank = R, .t = x + N, .ldt = R, .n1 = N, .y = x, .ldy = N, .m = 1}};
    kc_report(k, kc_time(k, run, &w), N * R * 2.0, 2.0 * N * R, "n %d rank %d f16", N, R);
}

const kc_family kc_family_lowrank = {"lowrank", count, variant, check, bench};
