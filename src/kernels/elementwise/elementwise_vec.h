/* SPDX-License-Identifier: Apache-2.0 */
/* Body of the vector variants (see math/vec_x86.h). */
#include "base/cpu.h"
#include "kernels/elementwise/elementwise.h"
#include "kernels/math/vec_x86.h"

/* max and min return their second operand on NaN; a NaN in the first is kept by the select. */
VI vf op_of(olk_binary op, vf p, vf q) {
    switch (op) {
    case OLK_ADD: return v_add(p, q);
    case OLK_SUB: return v_sub(p, q);
    case OLK_MUL: return v_mul(p, q);
    case OLK_DIV: return v_div(p, q);
    case OLK_MAX: return v_select(v_is_nan(p), p, v_max(p, q));
    default: return v_select(v_is_nan(p), p, v_min(p, q));
    }
}

typedef enum shape { FULL, RIGHT, LEFT } shape;

VI void range(olk_binary op, shape s, const float *p, const float *q, vf c, float *y, int64_t n) {
    int64_t i = 0;
    for (; i + VW <= n; i += VW) {
        vf a = v_load(p + i), b = s == FULL ? v_load(q + i) : c;
        v_store(y + i, s == LEFT ? op_of(op, b, a) : op_of(op, a, b));
    }
    if (i < n) {
        vm m = v_first(n - i);
        vf a = v_load_part(p + i, m), b = s == FULL ? v_load_part(q + i, m) : c;
        v_store_part(y + i, m, s == LEFT ? op_of(op, b, a) : op_of(op, a, b));
    }
}

VI void dispatch(olk_binary op, shape s, const float *p, const float *q, vf c, float *y, int64_t n) {
    switch (op) {
    case OLK_ADD: range(OLK_ADD, s, p, q, c, y, n); break;
    case OLK_SUB: range(OLK_SUB, s, p, q, c, y, n); break;
    case OLK_MUL: range(OLK_MUL, s, p, q, c, y, n); break;
    case OLK_DIV: range(OLK_DIV, s, p, q, c, y, n); break;
    case OLK_MAX: range(OLK_MAX, s, p, q, c, y, n); break;
    default: range(OLK_MIN, s, p, q, c, y, n); break;
    }
}

static void full(olk_binary op, const float *p, const float *q, float *y, int64_t n) {
    dispatch(op, FULL, p, q, v_set1(0), y, n);
}
static void right(olk_binary op, const float *p, float c, float *y, int64_t n) {
    dispatch(op, RIGHT, p, p, v_set1(c), y, n);
}
static void left(olk_binary op, float c, const float *p, float *y, int64_t n) {
    dispatch(op, LEFT, p, p, v_set1(c), y, n);
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
    for (int64_t i = 0; i < n; i += VW)
        v_store_n(y + i, n - i, v_add(v_load_n(x + i, n - i), v_mul(v_set1(c), v_load_n(r + i, n - i))));
}
