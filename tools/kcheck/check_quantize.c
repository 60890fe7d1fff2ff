/* SPDX-License-Identifier: Apache-2.0 */
/* Variants must give the very bits of scalar code: compressed files are the same on every machine. */
#include "kernels/kcheck.h"
#include "kernels/quantize/quantize.h"
#include <string.h>

#define L OLK_Q_LANES

static size_t count(void) {
    int n;
    olk_quantize_variants(&n);
    return (size_t)n;
}
static const olk_quantize *at(size_t i) {
    int n;
    return olk_quantize_variants(&n)[i];
}
static kc_variant variant(size_t i) { return (kc_variant){at(i)->name, at(i)->cpu}; }
static const olk_quantize *scalar(void) { return at(count() - 1); }

static void *buffer(kc *k, size_t n, size_t each) { return kc_alloc(k, n * each, 64, each * (size_t)kc_int(k, 0, 15)); }

static void same(kc *k, const char *what, const void *a, const void *b, size_t n) {
    if (n && memcmp(a, b, n) != 0) kc_fail(k, "%s differs from scalar code", what);
}

static void check_range(kc *k, const olk_quantize *v, const float *x, int64_t n) {
    olk_range got, want;
    v->range(x, n, &got);
    scalar()->range(x, n, &want);
    const float a[3] = {got.lo + 0.0f, got.hi + 0.0f, got.energy}, b[3] = {want.lo + 0.0f, want.hi + 0.0f, want.energy};
    kc_same_f32(k, "range", a, b, 3);
}

static void check_nearest(kc *k, const olk_quantize *v, const float *x, int64_t n) {
    float scale = (kc_float(k) + 1.5f) * (kc_chance(k, 2) ? -0.1f : 0.1f);
    int lo = -(int)kc_int(k, 0, 255), hi = lo + (int)kc_int(k, 0, 255);
    uint8_t *a = buffer(k, (size_t)n, 1), *b = buffer(k, (size_t)n, 1);
    olk_rounded got[2], want[2];
    for (int fit = 0; fit < 2; fit++) {
        (fit ? v->nearest_fit : v->nearest)(x, n, 1 / scale, scale, lo, hi, a, &got[fit]);
        (fit ? scalar()->nearest_fit : scalar()->nearest)(x, n, 1 / scale, scale, lo, hi, b, &want[fit]);
        same(k, "codes", a, b, (size_t)n);
    }
    kc_same_f32(k, "sums", (const float *)(const void *)got, (const float *)(const void *)want, 6);
}

static void draw_trials(kc *k, const olk_quantize *v, olk_trial *trials, int n, int shift, int top) {
    float shrink[8];
    olk_offsets o = {.top = top, .shrink = shrink};
    for (int t = 0; t < n; t++) shrink[t] = kc_float(k) + 1.5f;
    for (int l = 0; l < L; l++) o.center[l] = kc_float(k) * (float)top;
    olk_trial other[8];
    memset(trials, 0, (size_t)n * sizeof *trials);
    memset(other, 0, sizeof other);
    for (int t = 0; t < n; t++) {
        trials[t].mult = (int16_t)kc_int(k, 0, (1 << 15) - 1 - (1 << (shift - 1)));
        other[t].mult = trials[t].mult;
    }
    v->offsets(&o, trials, n);
    scalar()->offsets(&o, other, n);
    same(k, "offsets", trials, other, (size_t)n * sizeof *trials);
}

static void check_search(kc *k, const olk_quantize *v, const float *x, int64_t ldx, int64_t n, int lanes) {
    float mult[L];
    olk_trial trials[8];
    int n_trials = (int)kc_int(k, 0, 8), bits = kc_chance(k, 2) ? 4 : 8;
    int shift = bits == 4 ? (int)kc_int(k, 8, 11) : (int)kc_int(k, 5, 7);
    draw_trials(k, v, trials, n_trials, shift, (1 << bits) - 1);
    for (int l = 0; l < L; l++) mult[l] = kc_float(k) * 32767.0f;
    size_t size = (size_t)n * L;
    int16_t *a = buffer(k, size, sizeof *a), *b = buffer(k, size, sizeof *b);
    v->spread(x, ldx, n, lanes, mult, a);
    scalar()->spread(x, ldx, n, lanes, mult, b);
    same(k, "spread", a, b, size * sizeof *a);
    olk_best got, want;
    memset(&got, 0, sizeof got);
    memset(&want, 0, sizeof want);
    v->search(b, n, shift, trials, n_trials, &got);
    scalar()->search(b, n, shift, trials, n_trials, &want);
    same(k, "search", &got, &want, sizeof got);
}

static void check(kc *k, size_t i) {
    const olk_quantize *v = at(i);
    int64_t n = kc_size(k, 4, 40) * 16, ldx = n + kc_int(k, 0, 3);
    int lanes = (int)kc_int(k, 0, L);
    kc_describe(k, "n %lld lanes %d", (long long)n, lanes);
    size_t size = lanes ? (size_t)((lanes - 1) * ldx + n) : 0;
    float *x = buffer(k, size, sizeof *x);
    for (size_t j = 0; j < size; j++) x[j] = kc_chance(k, 20) ? 0 : kc_float(k);
    kc_protect(k, x);
    if (lanes) check_range(k, v, x, n);
    if (lanes) check_nearest(k, v, x, n);
    check_search(k, v, x, ldx, n, lanes);
}

extern const kc_family kc_family_quantize;
const kc_family kc_family_quantize = {"quantize", count, variant, check, NULL};
