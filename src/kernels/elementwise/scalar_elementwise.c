/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/elementwise/elementwise.h"

static inline float apply(olk_binary op, float p, float q) {
    switch (op) {
    case OLK_ADD: return p + q;
    case OLK_SUB: return p - q;
    case OLK_MUL: return p * q;
    case OLK_DIV: return p / q;
    case OLK_MAX: return p != p ? p : p > q ? p : q;
    default: return p != p ? p : p < q ? p : q;
    }
}

static void full(olk_binary op, const float *p, const float *q, float *y, int64_t n) {
    for (int64_t i = 0; i < n; i++) y[i] = apply(op, p[i], q[i]);
}
static void right(olk_binary op, const float *p, float c, float *y, int64_t n) {
    for (int64_t i = 0; i < n; i++) y[i] = apply(op, p[i], c);
}
static void left(olk_binary op, float c, const float *p, float *y, int64_t n) {
    for (int64_t i = 0; i < n; i++) y[i] = apply(op, c, p[i]);
}
static void rows_right(olk_binary op, const float *p, int64_t ldp, const float *v, float *y, int64_t ldy, int64_t rows,
                       int64_t n) {
    for (int64_t r = 0; r < rows; r++) full(op, p + r * ldp, v, y + r * ldy, n);
}
static void rows_left(olk_binary op, const float *v, const float *p, int64_t ldp, float *y, int64_t ldy, int64_t rows,
                      int64_t n) {
    for (int64_t r = 0; r < rows; r++) full(op, v, p + r * ldp, y + r * ldy, n);
}
static void add_scaled(const float *x, float c, const float *r, float *y, int64_t n) {
    for (int64_t i = 0; i < n; i++) y[i] = x[i] + c * r[i];
}

extern const olk_elementwise olk_elementwise__scalar;
const olk_elementwise olk_elementwise__scalar = {
    "olk_elementwise__scalar", 0, full, right, left, rows_right, rows_left, add_scaled};
