/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/int8/int8.h"
#include <math.h>

static void finish(const olk_int8_end *e, int64_t j, int64_t sum, int64_t row_sum, void *y, int64_t at) {
    if (e->weight_zero) sum -= e->weight_zero[j] * row_sum;
    float v = (float)(int32_t)sum * e->scale[j] + e->shift[j];
    if (!e->codes) {
        ((float *)y)[at] = v;
        return;
    }
    v = v > e->lo ? v : e->lo;
    v = v < e->hi ? v : e->hi;
    ((uint8_t *)y)[at] = (uint8_t)((int32_t)rintf(v) + e->zero);
}

static void multiply(const olk_int8_tile *t) {
    int64_t fours = (t->k + 3) / 4;
    for (int64_t i = 0; i < t->m; i++)
        for (int64_t j = 0; j < t->n; j++) {
            int64_t sum = t->end->start[j];
            for (int64_t p = 0; p < t->places; p++) {
                const uint8_t *x = t->rows[p * t->row_step + i];
                const int8_t *w = t->weights + (p * fours * 16 + j) * 4;
                for (int64_t q = 0; q < t->k; q++) sum += x[q] * w[q / 4 * 64 + q % 4];
            }
            finish(t->end, j, sum, t->row_sum ? t->row_sum[i] : 0, t->y, i * t->ldy + j);
        }
}

static void depthwise(const uint8_t *const *taps, int64_t n_taps, int64_t channels, const int8_t *weights, const olk_int8_end *end, void *y) {
    for (int64_t c = 0; c < channels; c++) {
        int64_t sum = end->start[c];
        for (int64_t t = 0; t < n_taps; t++) sum += taps[t][c] * weights[olk_int8_depthwise_at(n_taps, c, t)];
        finish(end, c, sum, 0, y, c);
    }
}

extern const olk_int8 olk_int8__scalar;
const olk_int8 olk_int8__scalar = {"olk_int8__scalar", 0, 16, multiply, depthwise};
