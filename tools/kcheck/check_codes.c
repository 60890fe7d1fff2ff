/* SPDX-License-Identifier: Apache-2.0 */
/* Rows of 8-bit codes against the definition, bit for bit. */
#include "kernels/codes/codes.h"
#include "kernels/kcheck.h"
#include <math.h>
#include <string.h>

static size_t count(void) {
    int n;
    olk_codes_variants(&n);
    return (size_t)n;
}
static const olk_codes *at(size_t i) {
    int n;
    return olk_codes_variants(&n)[i];
}
static kc_variant variant(size_t i) {
    return (kc_variant){at(i)->name, at(i)->cpu};
}

static olk_codes_form make_form(kc *k) {
    int zero = (int)kc_int(k, 0, 255);
    return (olk_codes_form){fabsf(kc_float(k)) * 0.1f + 1e-3f, zero, (float)-zero, (float)(255 - zero)};
}
static float value(const olk_codes_form *f, uint8_t q) { return (float)(q - f->zero) * f->scale; }
static uint8_t code(const olk_codes_form *f, float v) { return (uint8_t)(rintf(fminf(fmaxf(v, f->lo), f->hi)) + (float)f->zero); }

static uint8_t *bytes(kc *k, int64_t n) {
    uint8_t *p = kc_alloc(k, (size_t)n, 1, 0);
    kc_fill_bytes(k, p, (size_t)n);
    return p;
}

static bool same(kc *k, const char *what, const uint8_t *got, const uint8_t *want, int64_t n) {
    for (int64_t i = 0; i < n; i++)
        if (got[i] != want[i]) {
            kc_fail(k, "%s: %d at %lld, %d expected", what, got[i], (long long)i, want[i]);
            return false;
        }
    return true;
}

static float combined(int op, float a, float b) { return op == OLK_CODES_ADD ? a + b : op == OLK_CODES_SUB ? a - b : a * b; }

static void check(kc *k, size_t i) {
    const olk_codes *c = at(i);
    int64_t n = kc_size(k, 64, 300);
    olk_codes_form fa = make_form(k), fb = make_form(k), fy = make_form(k);
    kc_describe(k, "n %lld", (long long)n);
    uint8_t *a = bytes(k, n), *b = bytes(k, n), *y = bytes(k, n), *want = bytes(k, n), *table = bytes(k, 256);
    float *x = kc_alloc(k, (size_t)n * 4, 4, 0), *floats = kc_alloc(k, (size_t)n * 4, 4, 0), *sums = kc_alloc(k, (size_t)n * 4, 4, 0);
    int32_t *sum = kc_alloc(k, (size_t)n * 4, 4, 0);
    kc_fill_f32(k, x, (size_t)n, kc_chance(k, 2) ? KC_NORMAL : KC_SPECIAL);
    for (int64_t j = 0; j < n; j++) want[j] = code(&fy, x[j] / fy.scale);
    c->quantize(&fy, x, n, y);
    if (!same(k, "quantize", y, want, n)) return;
    c->dequantize(&fa, a, n, floats);
    for (int64_t j = 0; j < n; j++) sums[j] = value(&fa, a[j]);
    if (!kc_same_f32(k, "dequantize", floats, sums, (size_t)n)) return;
    kc_fill_f32(k, x, (size_t)n, KC_NORMAL);
    for (int op = 0; op < 3; op++) {
        for (int64_t j = 0; j < n; j++) want[j] = code(&fy, combined(op, value(&fa, a[j]), value(&fb, b[j])) / fy.scale);
        c->combine((olk_codes_op)op, &fa, a, &fb, b, &fy, n, y);
        if (!same(k, "combine", y, want, n)) return;
        for (int64_t j = 0; j < n; j++) want[j] = code(&fy, combined(op, value(&fa, a[j]), x[j]) / fy.scale);
        c->combine_floats((olk_codes_op)op, &fa, a, x, &fy, n, y);
        if (!same(k, "combine floats", y, want, n)) return;
    }
    for (int64_t j = 0; j < n; j++) want[j] = table[a[j]];
    c->lookup(table, a, n, y);
    if (!same(k, "lookup", y, want, n)) return;
    memcpy(y, b, (size_t)n);
    for (int64_t j = 0; j < n; j++) want[j] = a[j] > b[j] ? a[j] : b[j], sum[j] = b[j] * 1000;
    c->greater(a, n, y);
    if (!same(k, "greater", y, want, n)) return;
    c->accumulate(a, n, sum);
    for (int64_t j = 0; j < n; j++) want[j] = code(&fy, (float)(b[j] * 1000 + a[j] - 77) * fy.scale);
    c->finish(&fy, sum, 77, n, y);
    same(k, "finish", y, want, n);
}

const kc_family kc_family_codes = {"codes", count, variant, check, NULL};
