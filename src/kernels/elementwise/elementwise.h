/* SPDX-License-Identifier: Apache-2.0 */
/* Binary arithmetic on f32 ranges and rows.
 *
 * y may be either operand at the same addresses, otherwise no overlap; any alignment, any n >= 0. Every operation is rounded
 * once (no fma), so all variants give the same bits. MAX and MIN give NaN when either operand is NaN. */
#ifndef OLK_ELEMENTWISE_H
#define OLK_ELEMENTWISE_H

#include <stdint.h>

typedef enum olk_binary { OLK_ADD, OLK_SUB, OLK_MUL, OLK_DIV, OLK_MAX, OLK_MIN, OLK_N_BINARY } olk_binary;

typedef struct olk_elementwise {
    const char *name;
    uint64_t cpu;
    /* y[i] = p[i] op q[i] */
    void (*full)(olk_binary op, const float *p, const float *q, float *y, int64_t n);
    /* y[i] = p[i] op c, and y[i] = c op p[i] */
    void (*right)(olk_binary op, const float *p, float c, float *y, int64_t n);
    void (*left)(olk_binary op, float c, const float *p, float *y, int64_t n);
    /* y[r, j] = p[r, j] op v[j], and v[j] op p[r, j], for j < n: bias, row scale */
    void (*rows_right)(olk_binary op, const float *p, int64_t ldp, const float *v, float *y, int64_t ldy, int64_t rows,
                       int64_t n);
    void (*rows_left)(olk_binary op, const float *v, const float *p, int64_t ldp, float *y, int64_t ldy, int64_t rows,
                      int64_t n);
    /* y[i] = x[i] + c * r[i] (product and sum rounded separately): scaled residual */
    void (*add_scaled)(const float *x, float c, const float *r, float *y, int64_t n);
} olk_elementwise;

/* Best variant under these CPU flags; never NULL. */
const olk_elementwise *olk_elementwise_select(uint64_t cpu);
const olk_elementwise *const *olk_elementwise_variants(int *count);

#endif
