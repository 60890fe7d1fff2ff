/* SPDX-License-Identifier: Apache-2.0 */
/* Products from packed panels: every step of a sum is one fused multiply-add in the order of k, so results are compared bit
 * for bit. */
#include "kernels/gemm/gemm.h"
#include "kernels/kcheck.h"
#include <math.h>
#include <string.h>

static size_t count(void) {
    int n;
    olk_gemm_variants(&n);
    return (size_t)n;
}
static const olk_gemm *at(size_t i) {
    int n;
    return olk_gemm_variants(&n)[i];
}
static kc_variant variant(size_t i) {
    return (kc_variant){at(i)->name, at(i)->cpu};
}

static float *floats(kc *k, int64_t n, kc_values values) {
    float *x = kc_alloc(k, (size_t)n * 4, 64, 4 * (size_t)kc_int(k, 0, 15));
    kc_fill_f32(k, x, (size_t)n, values);
    return x;
}

/* An m x k matrix in memory, rows or columns following each other, with gaps. */
typedef struct matrix {
    float *x;
    int64_t row, col;
} matrix;

static matrix make_matrix(kc *k, int64_t rows, int64_t cols, kc_values values) {
    int64_t gap = kc_int(k, 0, 3);
    bool turned = kc_chance(k, 3);
    matrix a = {NULL, turned ? 1 : cols + gap, turned ? rows + gap : 1};
    int64_t n = rows && cols ? (rows - 1) * a.row + (cols - 1) * a.col + 1 : 0;
    a.x = floats(k, n, values);
    kc_protect(k, a.x);
    return a;
}

/* A whole product, cut into panels of rows and columns as steps cut it. */
static void check(kc *k, size_t i) {
    const olk_gemm *g = at(i);
    int64_t m = kc_size(k, 14, 45), n = kc_size(k, 32, 100), depth = kc_size(k, 8, 70), ldc = n + kc_int(k, 0, 3);
    int64_t cut = kc_int(k, 0, depth); /* of k, in two parts */
    bool add = kc_chance(k, 2), given = kc_chance(k, 2), ranged = kc_chance(k, 2);
    const float range[2] = {-0.5f, 0.75f};
    kc_values values = kc_any_values(k);
    kc_describe(k, "m %lld n %lld k %lld + %lld%s", (long long)m, (long long)n, (long long)cut, (long long)(depth - cut), add ? " added" : "");
    matrix a = make_matrix(k, m, depth, values), b = make_matrix(k, depth, n, values);
    int64_t mr = olk_gemm_panel_rows(g, m), panels = (m + mr - 1) / mr;
    float *c = floats(k, m ? (m - 1) * ldc + n : 0, KC_NORMAL), *want = floats(k, m * n, KC_ZERO), *start = floats(k, m, KC_NORMAL);
    for (int64_t r = 0; r < m; r++)
        for (int64_t j = 0; j < n; j++) {
            float sum = add ? c[r * ldc + j] : given ? start[r] : 0;
            for (int64_t p = 0; p < depth; p++) sum = fmaf(a.x[r * a.row + p * a.col], b.x[p * b.row + j * b.col], sum);
            want[r * n + j] = !ranged ? sum : sum < range[0] ? range[0] : sum > range[1] ? range[1] : sum;
        }
    for (int part = 0; part < 2; part++) {
        int64_t k0 = part ? cut : 0, kn = part ? depth - cut : cut;
        float *pa = floats(k, panels * mr * kn, KC_NORMAL), *pb = kc_alloc(k, (size_t)(kn * g->nb) * 4, 64, 0);
        g->pack_a(a.x + k0 * a.col, a.row, a.col, m, kn, (int)mr, pa);
        for (int64_t j = 0; j < n; j += g->nb) {
            olk_gemm_tile t = {.mr = (int)mr, .k = kn, .n = n - j < g->nb ? n - j : g->nb, .ldc = ldc, .add = part || add};
            t.b = b.x + k0 * b.row + j * b.col, t.ldb = b.row, t.range = ranged && part ? range : NULL;
            bool packed = b.col != 1 || kc_chance(k, 2);
            if (packed) g->pack_b(t.b, b.row, b.col, kn, t.n, pb);
            if (packed) t.b = pb, t.ldb = g->nb;
            for (int64_t r = 0; r < m; r += mr) {
                t.a = pa + r * kn, t.c = c + r * ldc + j, t.m = (int)(m - r < mr ? m - r : mr), t.start = given ? start + r : NULL;
                g->multiply(&t);
            }
        }
    }
    for (int64_t r = 0; r < m; r++)
        if (!kc_same_f32(k, "row", c + r * ldc, want + r * n, (size_t)n)) return;
}

typedef struct work {
    const olk_gemm *g;
    float *a, *b, *c;
    int64_t k, n;
    int m;
} work;
static void run_multiply(void *ctx) {
    work *w = ctx;
    olk_gemm_tile t = {.a = w->a, .mr = w->g->mr, .m = w->m, .b = w->b, .ldb = w->g->nb, .k = w->k, .n = w->n, .c = w->c, .ldc = w->g->nb, .add = true};
    w->g->multiply(&t);
}
static void run_pack_a(void *ctx) {
    work *w = ctx;
    w->g->pack_a(w->c, w->k, 1, w->g->mr, w->k, w->g->mr, w->a);
}
static void run_pack_b(void *ctx) {
    work *w = ctx;
    w->g->pack_b(w->c, w->g->nb, 1, w->k, w->n, w->b);
}
static void run_pack_turned(void *ctx) {
    work *w = ctx;
    w->g->pack_b(w->c, 1, w->k, w->k, w->n, w->b);
}
static void bench(kc *k, size_t i) {
    enum { K = 384 };
    work w = {.g = at(i), .k = K, .m = at(i)->mr, .n = at(i)->nb};
    int nb = w.g->nb;
    w.a = kc_bench_alloc(k, (size_t)(K * w.m) * 4), w.b = kc_bench_alloc(k, (size_t)(K * nb) * 4), w.c = kc_bench_alloc(k, (size_t)(K * 64) * 4);
    kc_fill_f32(k, w.a, (size_t)(K * w.m), KC_NORMAL);
    kc_fill_f32(k, w.b, (size_t)(K * nb), KC_NORMAL);
    kc_fill_f32(k, w.c, (size_t)(K * 64), KC_NORMAL);
    kc_report(k, kc_time(k, run_multiply, &w), 0, 2.0 * K * w.m * nb, "multiply %d x %d x %d", w.m, nb, K);
    w.m = w.m / 2;
    kc_report(k, kc_time(k, run_multiply, &w), 0, 2.0 * K * w.m * nb, "multiply %d x %d x %d", w.m, nb, K);
    w.n = nb / 2, w.m = w.g->mr;
    kc_report(k, kc_time(k, run_multiply, &w), 0, 2.0 * K * w.m * nb / 2, "multiply %d x %d x %d", w.m, nb / 2, K);
    w.n = nb;
    kc_report(k, kc_time(k, run_pack_a, &w), 8.0 * K * w.g->mr, 0, "pack a %d x %d", w.g->mr, K);
    kc_report(k, kc_time(k, run_pack_b, &w), 8.0 * K * nb, 0, "pack b %d x %d", K, nb);
    kc_report(k, kc_time(k, run_pack_turned, &w), 8.0 * K * nb, 0, "pack b turned %d x %d", K, nb);
}

const kc_family kc_family_gemm = {"gemm", count, variant, check, bench};
