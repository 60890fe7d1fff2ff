/* SPDX-License-Identifier: Apache-2.0 */
/* Body of the vector variants (see math/vec_x86.h). */
#include "base/cpu.h"
#include "kernels/math/vec_x86.h"
#include "kernels/norm/norm.h"

/* Four running sums hide the latency of additions. */
static float sum(const float *x, int64_t n) {
    vf s[4] = {v_set1(0), v_set1(0), v_set1(0), v_set1(0)};
    int64_t i = 0;
    for (; i + 4 * VW <= n; i += 4 * VW)
        for (int k = 0; k < 4; k++) s[k] = v_add(s[k], v_load(x + i + k * VW));
    for (; i + VW <= n; i += VW) s[0] = v_add(s[0], v_load(x + i));
    if (i < n) s[1] = v_add(s[1], v_load_part(x + i, v_first(n - i)));
    return v_sum(v_add(v_add(s[0], s[1]), v_add(s[2], s[3])));
}

VI vf add_square(vf s, vf x, vf mean) {
    vf d = v_sub(x, mean);
    return v_fma(d, d, s);
}

static float sum_squares(const float *x, float center, int64_t n) {
    vf s[4] = {v_set1(0), v_set1(0), v_set1(0), v_set1(0)}, mean = v_set1(center);
    int64_t i = 0;
    for (; i + 4 * VW <= n; i += 4 * VW)
        for (int k = 0; k < 4; k++) s[k] = add_square(s[k], v_load(x + i + k * VW), mean);
    for (; i + VW <= n; i += VW) s[0] = add_square(s[0], v_load(x + i), mean);
    if (i < n) {
        vm m = v_first(n - i);
        vf d = v_keep(m, v_sub(v_load_part(x + i, m), mean));
        s[1] = v_fma(d, d, s[1]);
    }
    return v_sum(v_add(v_add(s[0], s[1]), v_add(s[2], s[3])));
}

/* x += r over a row. */
static void add_row(float *x, const float *r, int64_t n) {
    int64_t i = 0;
    for (; i + VW <= n; i += VW) v_store(x + i, v_add(v_load(x + i), v_load(r + i)));
    if (i < n) {
        vm m = v_first(n - i);
        v_store_part(x + i, m, v_add(v_load_part(x + i, m), v_load_part(r + i, m)));
    }
}

/* y = (x - mean) * inv * (w + offset) + b; w and b may be NULL. */
static void scale_row(const float *x, float mean, float inv, const float *w, float offset, const float *b, float *y,
                      int64_t n) {
    vf vmean = v_set1(mean), vinv = v_set1(inv), voff = v_set1(offset);
    for (int64_t i = 0; i < n; i += VW) {
        vf v = v_mul(v_sub(v_load_n(x + i, n - i), vmean), vinv);
        if (w) v = v_mul(v, v_add(v_load_n(w + i, n - i), voff));
        if (b) v = v_add(v, v_load_n(b + i, n - i));
        v_store_n(y + i, n - i, v);
    }
}

static void rms_row(const olk_norm_form *f, int64_t row, const float *x, float *y) {
    float inv = 1.0f / sqrtf(sum_squares(x, 0, f->n) / (float)f->n + f->epsilon);
    scale_row(x, 0, inv, f->w ? f->w + row * f->ldw : NULL, f->w_offset, NULL, y, f->n);
}

static void layer_row(const olk_norm_form *f, int64_t row, const float *x, float *y) {
    float mean = sum(x, f->n) / (float)f->n;
    float inv = 1.0f / sqrtf(sum_squares(x, mean, f->n) / (float)f->n + f->epsilon);
    scale_row(x, mean, inv, f->w ? f->w + row * f->ldw : NULL, f->w_offset, f->b ? f->b + row * f->ldw : NULL, y, f->n);
}

static void rms(const olk_norm_form *f, const float *x, int64_t ldx, float *y, int64_t ldy, int64_t rows) {
    for (int64_t r = 0; f->n > 0 && r < rows; r++) rms_row(f, r, x + r * ldx, y + r * ldy);
}

static void layer(const olk_norm_form *f, const float *x, int64_t ldx, float *y, int64_t ldy, int64_t rows) {
    for (int64_t r = 0; f->n > 0 && r < rows; r++) layer_row(f, r, x + r * ldx, y + r * ldy);
}

static void l2(const olk_norm_form *f, const float *x, int64_t ldx, float *y, int64_t ldy, int64_t rows) {
    for (int64_t r = 0; r < rows; r++) {
        float inv = 1.0f / sqrtf(sum_squares(x + r * ldx, 0, f->n) + f->epsilon);
        scale_row(x + r * ldx, 0, inv, NULL, 0, NULL, y + r * ldy, f->n);
    }
}

static void add_rms(const olk_norm_form *f, float *x, int64_t ldx, const float *r, int64_t ldr, float *y, int64_t ldy,
                    int64_t rows) {
    for (int64_t k = 0; f->n > 0 && k < rows; k++) {
        add_row(x + k * ldx, r + k * ldr, f->n);
        rms_row(f, k, x + k * ldx, y + k * ldy);
    }
}

static void add_layer(const olk_norm_form *f, float *x, int64_t ldx, const float *r, int64_t ldr, float *y,
                      int64_t ldy, int64_t rows) {
    for (int64_t k = 0; f->n > 0 && k < rows; k++) {
        add_row(x + k * ldx, r + k * ldr, f->n);
        layer_row(f, k, x + k * ldx, y + k * ldy);
    }
}
