/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/math/math.h"
#include "kernels/softmax/softmax.h"
#include "kernels/softmax/topk.h"
#include <math.h>

static inline float value(const olk_softmax_form *f, const float *x, const float *mask, int64_t i) {
    return mask ? f->scale * x[i] + mask[i] : f->scale * x[i];
}

/* Greatest value, NaN if there is one, -inf if there is none. */
static float row_max(const olk_softmax_form *f, const float *x, const float *mask) {
    float m = -INFINITY;
    for (int64_t i = 0; i < f->n; i++) {
        float v = value(f, x, mask, i);
        if (v != v) return v;
        if (v > m) m = v;
    }
    return m;
}

static float row_sum(const olk_softmax_form *f, const float *x, const float *mask, float m) {
    float s[16] = {0};
    for (int64_t i = 0; i < f->n; i++) s[i & 15] += olk_exp(value(f, x, mask, i) - m);
    for (int w = 8; w; w /= 2)
        for (int i = 0; i < w; i++) s[i] += s[i + w];
    return s[0];
}

static const float *mask_row(const olk_softmax_form *f, int64_t r) {
    return f->mask ? f->mask + r * f->ldmask : NULL;
}

static void softmax(const olk_softmax_form *f, const float *x, int64_t ldx, float *y, int64_t ldy, int64_t rows) {
    for (int64_t r = 0; r < rows; r++, x += ldx, y += ldy) {
        const float *mask = mask_row(f, r);
        float m = row_max(f, x, mask), inv = m == -INFINITY ? 0 : 1 / row_sum(f, x, mask, m);
        for (int64_t i = 0; i < f->n; i++) y[i] = m == -INFINITY ? 0 : olk_exp(value(f, x, mask, i) - m) * inv;
    }
}

static void log_softmax(const olk_softmax_form *f, const float *x, int64_t ldx, float *y, int64_t ldy, int64_t rows) {
    for (int64_t r = 0; r < rows; r++, x += ldx, y += ldy) {
        const float *mask = mask_row(f, r);
        float m = row_max(f, x, mask), log_sum = m == -INFINITY ? 0 : olk_log(row_sum(f, x, mask, m));
        for (int64_t i = 0; i < f->n; i++) y[i] = m == -INFINITY ? m : value(f, x, mask, i) - m - log_sum;
    }
}

static void log_sum_exp(const olk_softmax_form *f, const float *x, int64_t ldx, float *out, int64_t rows) {
    for (int64_t r = 0; r < rows; r++, x += ldx) {
        float m = row_max(f, x, mask_row(f, r));
        out[r] = m == -INFINITY ? m : m + olk_log(row_sum(f, x, mask_row(f, r), m));
    }
}

static int64_t argmax(const float *x, int64_t n) {
    int64_t best = -1;
    for (int64_t i = 0; i < n; i++)
        if (x[i] == x[i] && (best < 0 || x[i] > x[best])) best = i;
    return best;
}

static int64_t topk(const float *x, int64_t n, int64_t k, int32_t *index, float *out) {
    int64_t found = 0;
    for (int64_t i = 0; k > 0 && i < n; i++)
        if (x[i] == x[i] && (found < k || x[i] > out[k - 1])) found = olk_topk_insert(index, out, found, k, x[i], i);
    return found;
}

extern const olk_softmax olk_softmax__scalar;
const olk_softmax olk_softmax__scalar = {"olk_softmax__scalar", 0, softmax, log_softmax, log_sum_exp, argmax, topk};
