/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/norm/norm.h"
#include <math.h>
#include <stddef.h>

/* Sums run in 16 lanes that are joined at the end, which keeps the rounding error of long rows small. */
typedef struct lanes {
    float v[16];
} lanes;

static float join(lanes *s) {
    for (int w = 8; w; w /= 2)
        for (int i = 0; i < w; i++) s->v[i] += s->v[i + w];
    return s->v[0];
}

static float sum(const float *x, int64_t n) {
    lanes s = {{0}};
    for (int64_t i = 0; i < n; i++) s.v[i & 15] += x[i];
    return join(&s);
}

static float sum_squares(const float *x, float mean, int64_t n) {
    lanes s = {{0}};
    for (int64_t i = 0; i < n; i++) s.v[i & 15] += (x[i] - mean) * (x[i] - mean);
    return join(&s);
}

static void scale_row(const olk_norm_form *f, int64_t row, const float *x, float mean, float inv, float *y) {
    const float *w = f->w ? f->w + row * f->ldw : NULL;
    for (int64_t i = 0; i < f->n; i++) {
        float v = (x[i] - mean) * inv;
        y[i] = w ? v * (w[i] + f->w_offset) : v;
    }
}

static void rms_row(const olk_norm_form *f, int64_t row, const float *x, float *y) {
    float inv = 1.0f / sqrtf(sum_squares(x, 0, f->n) / (float)f->n + f->epsilon);
    scale_row(f, row, x, 0, inv, y);
}

static void layer_row(const olk_norm_form *f, int64_t row, const float *x, float *y) {
    float mean = sum(x, f->n) / (float)f->n;
    float inv = 1.0f / sqrtf(sum_squares(x, mean, f->n) / (float)f->n + f->epsilon);
    scale_row(f, row, x, mean, inv, y);
    for (int64_t i = 0; f->b && i < f->n; i++) y[i] += f->b[row * f->ldw + i];
}

static void rms(const olk_norm_form *f, const float *x, int64_t ldx, float *y, int64_t ldy, int64_t rows) {
    for (int64_t r = 0; f->n > 0 && r < rows; r++) rms_row(f, r, x + r * ldx, y + r * ldy);
}

static void layer(const olk_norm_form *f, const float *x, int64_t ldx, float *y, int64_t ldy, int64_t rows) {
    for (int64_t r = 0; f->n > 0 && r < rows; r++) layer_row(f, r, x + r * ldx, y + r * ldy);
}

static void l2(const olk_norm_form *f, const float *x, int64_t ldx, float *y, int64_t ldy, int64_t rows) {
    for (int64_t r = 0; r < rows; r++) {
        const float *xr = x + r * ldx;
        float *yr = y + r * ldy, inv = 1.0f / sqrtf(sum_squares(xr, 0, f->n) + f->epsilon);
        for (int64_t i = 0; i < f->n; i++) yr[i] = xr[i] * inv;
    }
}

static void add_rms(const olk_norm_form *f, float *x, int64_t ldx, const float *r, int64_t ldr, float *y, int64_t ldy,
                    int64_t rows) {
    for (int64_t k = 0; f->n > 0 && k < rows; k++) {
        for (int64_t i = 0; i < f->n; i++) x[k * ldx + i] += r[k * ldr + i];
        rms_row(f, k, x + k * ldx, y + k * ldy);
    }
}

static void add_layer(const olk_norm_form *f, float *x, int64_t ldx, const float *r, int64_t ldr, float *y,
                      int64_t ldy, int64_t rows) {
    for (int64_t k = 0; f->n > 0 && k < rows; k++) {
        for (int64_t i = 0; i < f->n; i++) x[k * ldx + i] += r[k * ldr + i];
        layer_row(f, k, x + k * ldx, y + k * ldy);
    }
}

extern const olk_norm olk_norm__scalar;
const olk_norm olk_norm__scalar = {"olk_norm__scalar", 0, rms, layer, l2, add_rms, add_layer};
