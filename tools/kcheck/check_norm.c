/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/kcheck.h"
#include "kernels/norm/norm.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

static size_t count(void) {
    int n;
    olk_norm_variants(&n);
    return (size_t)n;
}
static const olk_norm *at(size_t i) {
    int n;
    return olk_norm_variants(&n)[i];
}
static kc_variant variant(size_t i) {
    return (kc_variant){at(i)->name, at(i)->cpu};
}

static float *floats(kc *k, int64_t n) {
    return kc_alloc(k, (size_t)n * sizeof(float), 64, 4 * (size_t)kc_int(k, 0, 15));
}

typedef enum kind { RMS, LAYER, L2, ADD_RMS, ADD_LAYER } kind;

static void reference(const olk_norm_form *f, kind kd, int64_t row, const double *x, double *y) {
    double mean = 0, sum = 0;
    bool layer = kd == LAYER || kd == ADD_LAYER;
    for (int64_t i = 0; layer && i < f->n; i++) mean += x[i] / (double)f->n;
    for (int64_t i = 0; i < f->n; i++) sum += (x[i] - mean) * (x[i] - mean);
    double inv = 1 / sqrt((kd == L2 ? sum : sum / (double)f->n) + (double)f->epsilon);
    for (int64_t i = 0; i < f->n; i++) {
        y[i] = (x[i] - mean) * inv;
        if (f->w && kd != L2) y[i] *= (double)f->w[row * f->ldw + i] + (double)f->w_offset;
        if (f->b && layer) y[i] += (double)f->b[row * f->ldw + i];
    }
}

static void call(const olk_norm *v, kind kd, const olk_norm_form *f, float *x, int64_t ldx, const float *r, int64_t ldr,
                 float *y, int64_t ldy, int64_t rows) {
    switch (kd) {
    case RMS: v->rms(f, x, ldx, y, ldy, rows); break;
    case LAYER: v->layer(f, x, ldx, y, ldy, rows); break;
    case L2: v->l2(f, x, ldx, y, ldy, rows); break;
    case ADD_RMS: v->add_rms(f, x, ldx, r, ldr, y, ldy, rows); break;
    default: v->add_layer(f, x, ldx, r, ldr, y, ldy, rows); break;
    }
}

static void check(kc *k, size_t i) {
    kind kd = (kind)kc_int(k, 0, 4);
    kc_values values = kc_any_values(k);
    if (values == KC_WIDE) values = KC_NORMAL; /* squares overflow in f32 by definition */
    olk_norm_form f = {.n = kc_size(k, 64, 600), .w_offset = kc_chance(k, 2) ? 1 : 0, .epsilon = kc_chance(k, 2) ? 1e-5f : 1e-6f};
    int64_t rows = kc_int(k, 0, 4), ldx = f.n + kc_int(k, 0, 3), ldr = f.n + kc_int(k, 0, 3), ldy = f.n + kc_int(k, 0, 3);
    f.ldw = kc_chance(k, 2) ? 0 : f.n;
    bool in_place = kc_chance(k, 2);
    kc_describe(k, "kind %d n %lld rows %lld values %d in place %d", (int)kd, (long long)f.n, (long long)rows, (int)values, in_place);
    int64_t size_x = rows ? (rows - 1) * ldx + f.n : 0, size_r = rows ? (rows - 1) * ldr + f.n : 0;
    int64_t size_w = rows && f.ldw ? rows * f.n : f.n;
    float *x = floats(k, size_x), *r = floats(k, size_r), *w = floats(k, size_w), *b = floats(k, size_w);
    float *y = in_place ? x : floats(k, rows ? (rows - 1) * ldy + f.n : 0);
    if (in_place) ldy = ldx;
    kc_fill_f32(k, x, (size_t)size_x, values);
    kc_fill_f32(k, r, (size_t)size_r, KC_NORMAL);
    kc_fill_f32(k, w, (size_t)size_w, KC_NORMAL);
    kc_fill_f32(k, b, (size_t)size_w, KC_NORMAL);
    f.w = kc_chance(k, 4) ? NULL : w;
    f.b = kc_chance(k, 4) ? NULL : b;
    double *want = malloc(((size_t)size_x + 1) * sizeof *want), *in = malloc(((size_t)f.n + 1) * sizeof *in);
    for (int64_t row = 0; row < rows; row++) {
        for (int64_t j = 0; j < f.n; j++)
            in[j] = (double)(kd >= ADD_RMS ? x[row * ldx + j] + r[row * ldr + j] : x[row * ldx + j]);
        reference(&f, kd, row, in, want + row * f.n);
    }
    call(at(i), kd, &f, x, ldx, r, ldr, y, ldy, rows);
    for (int64_t row = 0; row < rows; row++) {
        double top = 0;
        for (int64_t j = 0; j < f.n; j++) top = fmax(top, fabs(want[row * f.n + j]));
        if (!kc_compare_f32(k, "y", y + row * ldy, want + row * f.n, (size_t)f.n, isfinite(top) ? 1e-5 * top : 0, 1e-5)) break;
    }
    free(want);
    free(in);
}

typedef struct work {
    const olk_norm *v;
    olk_norm_form f;
    float *x, *y;
    int64_t rows;
} work;
static void run_rms(void *ctx) {
    work *w = ctx;
    w->v->rms(&w->f, w->x, w->f.n, w->y, w->f.n, w->rows);
}
static void run_layer(void *ctx) {
    work *w = ctx;
    w->v->layer(&w->f, w->x, w->f.n, w->y, w->f.n, w->rows);
}

static void bench(kc *k, size_t i) {
    static const int64_t widths[] = {64, 128, 576, 2048};
    for (int j = 0; j < 4; j++) {
        work w = {at(i), {.n = widths[j], .epsilon = 1e-5f}, NULL, NULL, 16};
        w.x = kc_bench_alloc(k, (size_t)(w.f.n * w.rows) * 4);
        w.y = kc_bench_alloc(k, (size_t)(w.f.n * w.rows) * 4);
        kc_fill_f32(k, w.x, (size_t)(w.f.n * w.rows), KC_NORMAL);
        w.f.w = w.x;
        double bytes = (double)(w.f.n * w.rows) * 8;
        kc_report(k, kc_time(k, run_rms, &w), bytes, 0, "rms %lld x %lld", (long long)w.rows, (long long)w.f.n);
        kc_report(k, kc_time(k, run_layer, &w), bytes, 0, "layer %lld x %lld", (long long)w.rows, (long long)w.f.n);
    }
}

const kc_family kc_family_norm = {"norm", count, variant, check, bench};
