/* SPDX-License-Identifier: Apache-2.0 */
/* Normalization of rows.
 *
 * Row r reads x + r * ldx, writes y + r * ldy, uses w + r * ldw (and b + r * ldw); strides in floats, any alignment, any
 * n >= 0 (0: nothing is done). y may be x with the same stride, otherwise they do not overlap. Sums are f32 in a fixed
 * order that depends on n alone, so a row's bits depend on nothing but the row. NaN and infinities follow IEEE: a row with
 * a NaN becomes all NaN. Tolerance between variants: 1e-5 relative to the largest |y| of the row.
 *
 * Per-head norms: a call per row of the run with ldx = ldy = head_dim, rows = heads; ldw 0 shares the weights, ldw =
 * head_dim gives each head its own. */
#ifndef OLK_NORM_H
#define OLK_NORM_H

#include <stdint.h>

typedef struct olk_norm_form {
    int64_t n;
    const float *w; /* [n], NULL: none */
    const float *b; /* [n], NULL: none (read by `layer` only) */
    int64_t ldw;    /* 0: all rows use the same weights */
    float w_offset; /* factor is w + w_offset (1 for Gemma); unused without w */
    float epsilon;
} olk_norm_form;

typedef struct olk_norm {
    const char *name;
    uint64_t cpu;
    /* y = x / sqrt(mean(x^2) + epsilon) * (w + w_offset) */
    void (*rms)(const olk_norm_form *f, const float *x, int64_t ldx, float *y, int64_t ldy, int64_t rows);
    /* y = (x - mean) / sqrt(mean((x - mean)^2) + epsilon) * (w + w_offset) + b; two passes */
    void (*layer)(const olk_norm_form *f, const float *x, int64_t ldx, float *y, int64_t ldy, int64_t rows);
    /* y = x / sqrt(sum(x^2) + epsilon); w, b unused. For x / max(|x|, e) give epsilon e * e. */
    void (*l2)(const olk_norm_form *f, const float *x, int64_t ldx, float *y, int64_t ldy, int64_t rows);
    /* x += r, then y = rms(x) or layer(x). y may be r with the same stride, or x when the sum is not needed. */
    void (*add_rms)(const olk_norm_form *f, float *x, int64_t ldx, const float *r, int64_t ldr, float *y, int64_t ldy,
                    int64_t rows);
    void (*add_layer)(const olk_norm_form *f, float *x, int64_t ldx, const float *r, int64_t ldr, float *y, int64_t ldy,
                      int64_t rows);
} olk_norm;

/* Best variant under these CPU flags; never NULL. */
const olk_norm *olk_norm_select(uint64_t cpu);
/* All compiled variants, best first; the last one is scalar. */
const olk_norm *const *olk_norm_variants(int *count);

#endif
