/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/kcheck.h"
#include "kernels/rope/rope.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

static size_t count(void) {
    int n;
    olk_rope_variants(&n);
    return (size_t)n;
}
static const olk_rope *at(size_t i) {
    int n;
    return olk_rope_variants(&n)[i];
}
static kc_variant variant(size_t i) {
    return (kc_variant){at(i)->name, at(i)->cpu};
}

static void check(kc *k, size_t i) {
    int64_t h = kc_size(k, 16, 80), stride = 2 * h + kc_int(k, 0, 20), rows = kc_int(k, 0, 4);
    int heads = (int)kc_int(k, 0, 4);
    int64_t ldx = heads * stride + kc_int(k, 0, 5), ldt = 2 * h + kc_int(k, 0, 3);
    bool interleaved = kc_chance(k, 2);
    size_t size = (size_t)(rows * ldx), size_t_ = (size_t)(rows * ldt);
    kc_describe(k, "rows %lld heads %d stride %lld rot %lld interleaved %d", (long long)rows, heads, (long long)stride,
                (long long)(2 * h), interleaved);
    float *x = kc_alloc(k, size * 4, 64, 4 * (size_t)kc_int(k, 0, 15)), *want = kc_alloc(k, size * 4, 64, 0);
    float *table = kc_alloc(k, size_t_ * 4, 64, 4 * (size_t)kc_int(k, 0, 15));
    kc_fill_f32(k, x, size, kc_any_values(k));
    kc_fill_f32(k, table, size_t_, KC_NORMAL);
    kc_protect(k, table);
    if (size) memcpy(want, x, size * 4);
    for (int64_t r = 0; r < rows; r++)
        for (int j = 0; j < heads; j++)
            for (int64_t d = 0; d < h; d++) {
                float *p = want + r * ldx + j * stride + (interleaved ? 2 * d : d), *q = p + (interleaved ? 1 : h);
                float a = *p, b = *q, c = table[r * ldt + d], s = table[r * ldt + h + d];
                volatile float ac = a * c, bs = b * s, bc = b * c, as = a * s; /* each product rounded */
                *p = ac - bs;
                *q = bc + as;
            }
    at(i)->apply(x, ldx, rows, heads, stride, table, table + h, ldt, 2 * h, interleaved);
    kc_same_f32(k, "x", x, want, size);
}

typedef struct work {
    const olk_rope *v;
    float *x, *table;
    bool interleaved;
} work;
static void run(void *ctx) {
    work *w = ctx;
    w->v->apply(w->x, 9 * 64, 64, 9, 64, w->table, w->table + 32, 64, 64, w->interleaved);
}
static void bench(kc *k, size_t i) {
    for (int j = 0; j < 2; j++) {
        work w = {at(i), kc_bench_alloc(k, 64 * 576 * 4), kc_bench_alloc(k, 64 * 64 * 4), j == 1};
        kc_fill_f32(k, w.x, 64 * 576, KC_ZERO);
        kc_fill_f32(k, w.table, 64 * 64, KC_NORMAL);
        kc_report(k, kc_time(k, run, &w), 64 * 576 * 8.0, 0, "64 rows of 9 x 64, %s", j ? "interleaved" : "half-split");
    }
}

const kc_family kc_family_rope = {"rope", count, variant, check, bench};
