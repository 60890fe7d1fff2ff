/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/kcheck.h"
#include "kernels/softmax/softmax.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

static size_t count(void) {
    int n;
    olk_softmax_variants(&n);
    return (size_t)n;
}
static const olk_softmax *at(size_t i) {
    int n;
    return olk_softmax_variants(&n)[i];
}
static kc_variant variant(size_t i) {
    return (kc_variant){at(i)->name, at(i)->cpu};
}

static double value(const olk_softmax_form *f, const float *x, int64_t row, int64_t j) {
    float v = f->scale * x[j];
    return (double)(f->mask ? v + f->mask[row * f->ldmask + j] : v);
}

static void reference(const olk_softmax_form *f, int form, int64_t row, const float *x, double *y) {
    double max = -INFINITY, sum = 0;
    bool nan = false;
    for (int64_t j = 0; j < f->n; j++) {
        nan = nan || isnan(value(f, x, row, j));
        max = fmax(max, value(f, x, row, j));
    }
    nan = nan || max == INFINITY;
    for (int64_t j = 0; j < f->n; j++) sum += exp(value(f, x, row, j) - max);
    if (form == 2) {
        y[0] = nan ? (double)NAN : max == -INFINITY ? max : max + log(sum);
        return;
    }
    for (int64_t j = 0; j < f->n; j++) {
        double v = value(f, x, row, j) - max;
        y[j] = nan ? (double)NAN : max == -INFINITY ? (form ? max : 0) : form ? v - log(sum) : exp(v) / sum;
    }
}

static void check_rows(kc *k, const olk_softmax *v, int form) {
    olk_softmax_form f = {.n = kc_size(k, 16, 300), .scale = kc_chance(k, 2) ? 1 : 0.125f};
    int64_t rows = kc_int(k, 0, 3), ldx = f.n + kc_int(k, 0, 3), size = rows ? (rows - 1) * ldx + f.n : 0;
    bool in_place = kc_chance(k, 2), masked = kc_chance(k, 2);
    kc_values values = kc_any_values(k);
    if (values == KC_WIDE) values = KC_NORMAL; /* differences of huge values lose everything in f32 */
    float *x = kc_alloc(k, (size_t)size * 4, 64, 4 * (size_t)kc_int(k, 0, 15));
    float *y = in_place ? x : kc_alloc(k, (size_t)size * 4, 64, 4 * (size_t)kc_int(k, 0, 15));
    f.ldmask = kc_chance(k, 2) ? 0 : f.n;
    int64_t mask_size = f.ldmask ? rows * f.n : f.n;
    float *mask = kc_alloc(k, (size_t)mask_size * 4, 64, 4 * (size_t)kc_int(k, 0, 15));
    kc_describe(k, "form %d rows %lld n %lld masked %d in place %d", form, (long long)rows, (long long)f.n, masked, in_place);
    kc_fill_f32(k, x, (size_t)size, values);
    int one_in = (int)kc_int(k, 1, 4);
    for (int64_t j = 0; j < mask_size; j++) mask[j] = kc_chance(k, one_in) ? -INFINITY : kc_float(k);
    f.mask = masked ? mask : NULL;
    double *want = malloc(((size_t)(rows * f.n) + 4) * sizeof *want);
    float out[3];
    for (int64_t r = 0; r < rows; r++) reference(&f, form, r, x + r * ldx, want + (form == 2 ? r : r * f.n));
    if (form == 0) v->softmax(&f, x, ldx, y, ldx, rows);
    else if (form == 1) v->log_softmax(&f, x, ldx, y, ldx, rows);
    else v->log_sum_exp(&f, x, ldx, out, rows);
    double absolute = form ? 4e-6 : 1e-9, relative = form ? 2e-6 : 4e-6;
    if (form == 2) kc_compare_f32(k, "out", out, want, (size_t)rows, absolute, relative);
    for (int64_t r = 0; form < 2 && r < rows; r++)
        if (!kc_compare_f32(k, "y", y + r * ldx, want + r * f.n, (size_t)f.n, absolute, relative)) break;
    free(want);
}

/* a comes before b in falling order. */
static bool before(const float *x, int64_t a, int64_t b) {
    return x[a] > x[b] || (x[a] == x[b] && a < b);
}

static void check_search(kc *k, const olk_softmax *v) {
    int64_t n = kc_size(k, 1024, 2100), top = kc_int(k, 0, 40);
    float *x = kc_alloc(k, (size_t)n * 4, 64, 4 * (size_t)kc_int(k, 0, 15)), *out = kc_alloc(k, (size_t)top * 4, 64, 0);
    int32_t *index = kc_alloc(k, (size_t)top * 4, 64, 0);
    kc_describe(k, "search n %lld k %lld", (long long)n, (long long)top);
    kc_fill_f32(k, x, (size_t)n, kc_any_values(k));
    int ties = kc_chance(k, 2);
    for (int64_t j = 0; ties && j < n; j++) x[j] = floorf(x[j] * 4);
    if (kc_chance(k, 10))
        for (int64_t j = 0; j < n; j++) x[j] = kc_chance(k, 2) ? -INFINITY : NAN;
    kc_protect(k, x);
    int64_t best = -1, found = v->topk(x, n, top, index, out), valid = 0;
    for (int64_t j = 0; j < n; j++) {
        if (isnan(x[j])) continue;
        valid++;
        if (best < 0 || before(x, j, best)) best = j;
    }
    int64_t got = v->argmax(x, n);
    if (got != best) kc_fail(k, "argmax %lld, expected %lld", (long long)got, (long long)best);
    if (found != (valid < top ? valid : top)) kc_fail(k, "topk found %lld of %lld", (long long)found, (long long)valid);
    for (int64_t j = 0; j < found; j++) {
        if (index[j] < 0 || index[j] >= n || out[j] != x[index[j]] || (j && !before(x, index[j - 1], index[j]))) {
            kc_fail(k, "place %lld of topk is wrong", (long long)j);
            return;
        }
    }
    int64_t ahead = 0; /* values at least as good as the last one */
    for (int64_t j = 0; found && j < n; j++)
        ahead += !isnan(x[j]) && (j == index[found - 1] || before(x, j, index[found - 1]));
    if (ahead != found) kc_fail(k, "topk missed %lld values", (long long)(ahead - found));
}

static void check(kc *k, size_t i) {
    int form = (int)kc_int(k, 0, 3);
    if (form == 3) check_search(k, at(i));
    else check_rows(k, at(i), form);
}

typedef struct work {
    const olk_softmax *v;
    olk_softmax_form f;
    float *x, *y;
    int32_t index[64];
    int64_t sink;
} work;
static void run_softmax(void *ctx) {
    work *w = ctx;
    w->v->softmax(&w->f, w->x, w->f.n, w->y, w->f.n, 1);
}
static void run_argmax(void *ctx) {
    work *w = ctx;
    w->sink += w->v->argmax(w->x, w->f.n);
}
static void run_topk(void *ctx) {
    work *w = ctx;
    w->sink += w->v->topk(w->x, w->f.n, 50, w->index, w->y);
}
static void bench(kc *k, size_t i) {
    work w = {.v = at(i), .f = {.n = 49152, .scale = 1}};
    w.x = kc_bench_alloc(k, 49152 * 4);
    w.y = kc_bench_alloc(k, 49152 * 4);
    kc_fill_f32(k, w.x, 49152, KC_NORMAL);
    kc_report(k, kc_time(k, run_argmax, &w), 49152 * 4.0, 0, "argmax 49152");
    kc_report(k, kc_time(k, run_topk, &w), 49152 * 4.0, 0, "top 50 of 49152");
    kc_report(k, kc_time(k, run_softmax, &w), 49152 * 8.0, 49152, "softmax 49152");
    w.f.n = 512;
    kc_report(k, kc_time(k, run_softmax, &w), 512 * 8.0, 512, "softmax 512");
}

const kc_family kc_family_softmax = {"softmax", count, variant, check, bench};
