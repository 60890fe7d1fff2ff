/* SPDX-License-Identifier: Apache-2.0 */
/* Products of 8-bit codes: sums are exact and their end is single operations, so results are compared bit for bit. */
#include "kernels/int8/int8.h"
#include "kernels/kcheck.h"
#include <math.h>

static size_t count(void) {
    int n;
    olk_int8_variants(&n);
    return (size_t)n;
}
static const olk_int8 *at(size_t i) {
    int n;
    return olk_int8_variants(&n)[i];
}
static kc_variant variant(size_t i) {
    return (kc_variant){at(i)->name, at(i)->cpu};
}

#define PADDED(n) (((n) + 63) / 64 * 64)

typedef struct ending {
    olk_int8_end end;
    int32_t *start, *weight_zero;
    float *scale, *shift;
} ending;

static ending make_end(kc *k, int64_t n, bool weight_zero) {
    size_t padded = (size_t)PADDED(n) * 4;
    ending e = {.start = kc_alloc(k, padded, 4, 0), .scale = kc_alloc(k, padded, 4, 0), .shift = kc_alloc(k, padded, 4, 0)};
    if (weight_zero) e.weight_zero = kc_alloc(k, padded, 4, 0);
    for (int64_t j = 0; j < PADDED(n); j++) {
        e.start[j] = (int32_t)kc_int(k, -100000, 100000);
        e.scale[j] = kc_float(k) * 0.01f;
        e.shift[j] = kc_float(k) * 40;
        if (weight_zero) e.weight_zero[j] = (int32_t)kc_int(k, -128, 127);
    }
    int zero = (int)kc_int(k, 0, 255);
    e.end = (olk_int8_end){.start = e.start, .scale = e.scale, .shift = e.shift, .weight_zero = e.weight_zero, .lo = (float)-zero,
                           .hi = (float)(255 - zero), .zero = zero, .codes = kc_chance(k, 2)};
    return e;
}

static bool same(kc *k, const ending *e, int64_t j, int64_t sum, int64_t row_sum, const void *y, int64_t at_y) {
    if (e->weight_zero) sum -= e->weight_zero[j] * row_sum;
    float product = (float)(sum + e->start[j]) * e->scale[j], v = product + e->shift[j];
    if (e->end.codes) {
        float c = rintf(fminf(fmaxf(v, e->end.lo), e->end.hi)) + (float)e->end.zero;
        if (((const uint8_t *)y)[at_y] == (uint8_t)c) return true;
        kc_fail(k, "code %d at %lld, %g expected", ((const uint8_t *)y)[at_y], (long long)at_y, (double)c);
        return false;
    }
    return kc_same_f32(k, "sum", (const float *)y + at_y, &v, 1);
}

static void check_depthwise(kc *k, const olk_int8 *g) {
    int64_t taps = kc_int(k, 1, 30), channels = kc_size(k, 32, 200);
    kc_describe(k, "depthwise %lld taps %lld channels", (long long)taps, (long long)channels);
    ending e = make_end(k, channels, false);
    const uint8_t *rows[30];
    int8_t *w = kc_alloc(k, (size_t)(channels * taps), 1, 0), *packed = kc_alloc(k, (size_t)olk_int8_depthwise_bytes(taps, channels), 64, 0);
    kc_fill_bytes(k, w, (size_t)(channels * taps));
    for (int64_t t = 0; t < taps; t++) {
        uint8_t *row = kc_alloc(k, (size_t)channels + OLK_INT8_SLACK, 1, 0);
        kc_fill_bytes(k, row, (size_t)channels + OLK_INT8_SLACK);
        rows[t] = row;
    }
    olk_int8_pack_depthwise(w, taps, channels, packed);
    void *y = kc_alloc(k, (size_t)channels * (e.end.codes ? 1 : 4), e.end.codes ? 1 : 4, 0);
    g->depthwise(rows, taps, channels, packed, &e.end, y);
    for (int64_t c = 0; c < channels; c++) {
        int64_t sum = 0;
        for (int64_t t = 0; t < taps; t++) sum += rows[t][c] * w[c * taps + t];
        if (!same(k, &e, c, sum, 0, y, c)) return;
    }
}

static void check_multiply(kc *k, const olk_int8 *g) {
    int64_t m = kc_size(k, 6, 26), n = kc_size(k, 16, 150), places = kc_int(k, 1, 9), depth = kc_size(k, 4, 40), ldy = n + kc_int(k, 0, 3);
    bool weight_zero = kc_chance(k, 3);
    kc_describe(k, "m %lld n %lld places %lld k %lld", (long long)m, (long long)n, (long long)places, (long long)depth);
    ending e = make_end(k, n + g->nb, weight_zero);
    const uint8_t **rows = kc_alloc(k, (size_t)(m * places) * sizeof *rows, 8, 0);
    int8_t *w = kc_alloc(k, (size_t)(n * places * depth), 1, 0), *panel = kc_alloc(k, (size_t)olk_int8_panel_bytes(g, places, depth), 64, 0);
    kc_fill_bytes(k, w, (size_t)(n * places * depth));
    for (int64_t i = 0; i < m * places; i++) {
        uint8_t *row = kc_alloc(k, (size_t)depth + 3, 1, 0);
        kc_fill_bytes(k, row, (size_t)depth + 3);
        rows[i] = row;
    }
    int32_t *sums = kc_alloc(k, (size_t)m * 4, 4, 0);
    if (weight_zero) olk_int8_row_sums(rows, m, places, depth, m, sums);
    void *y = kc_alloc(k, (size_t)(m ? (m - 1) * ldy + n : 0) * (e.end.codes ? 1 : 4), e.end.codes ? 1 : 4, 0);
    for (int64_t j = 0; j < n; j += g->nb) {
        olk_int8_end end = e.end;
        end.start += j, end.scale += j, end.shift += j;
        if (weight_zero) end.weight_zero += j;
        int64_t some = n - j < g->nb ? n - j : g->nb;
        olk_int8_pack(w + j * places * depth, places * depth, depth, 1, some, places, depth, g->nb, panel);
        g->multiply(&(olk_int8_tile){.rows = rows, .row_step = m, .places = places, .k = depth, .m = m, .weights = panel, .n = some,
                                     .row_sum = weight_zero ? sums : NULL, .end = &end, .y = (char *)y + (e.end.codes ? j : 4 * j), .ldy = ldy});
    }
    for (int64_t i = 0; i < m; i++)
        for (int64_t j = 0; j < n; j++) {
            int64_t sum = 0, all = 0;
            for (int64_t q = 0; q < places * depth; q++) {
                uint8_t x = rows[q / depth * m + i][q % depth];
                sum += x * w[j * places * depth + q];
                all += x;
            }
            if (!same(k, &e, j, sum, all, y, i * ldy + j)) return;
        }
}

static void check(kc *k, size_t i) {
    if (kc_chance(k, 3)) check_depthwise(k, at(i));
    else check_multiply(k, at(i));
}

typedef struct work {
    const olk_int8 *g;
    olk_int8_tile t;
    olk_int8_end end;
    const uint8_t *rows[48];
} work;
static void run_multiply(void *ctx) {
    work *w = ctx;
    w->g->multiply(&w->t);
}
static void run_depthwise(void *ctx) {
    work *w = ctx;
    w->g->depthwise(w->rows, 9, w->t.k, w->t.weights, &w->end, w->t.y);
}
static void bench(kc *k, size_t i) {
    enum { K = 256, M = 48 };
    work w = {.g = at(i)};
    int32_t *zeros = kc_bench_alloc(k, K * 4);
    uint8_t *x = kc_bench_alloc(k, M * K + OLK_INT8_SLACK);
    int8_t *weights = kc_bench_alloc(k, K * 64 + K * 12);
    if (!zeros || !x || !weights) return;
    for (int r = 0; r < M; r++) w.rows[r] = x + r * K;
    w.end = (olk_int8_end){.start = zeros, .scale = (const float *)zeros, .shift = (const float *)zeros, .hi = 255, .codes = true};
    w.t = (olk_int8_tile){.rows = w.rows, .row_step = M, .places = 1, .k = K, .m = M, .weights = weights, .end = &w.end, .y = kc_bench_alloc(k, M * K), .ldy = 64};
    for (w.t.n = 16; w.t.n <= w.g->nb; w.t.n += 16)
        kc_report(k, kc_time(k, run_multiply, &w), 0, 2.0 * K * M * (double)w.t.n, "multiply %d x %d x %d", M, (int)w.t.n, K);
    kc_report(k, kc_time(k, run_depthwise, &w), 0, 2.0 * 9 * K, "depthwise 3 x 3, %d channels", K);
}

const kc_family kc_family_int8 = {"int8", count, variant, check, bench};
