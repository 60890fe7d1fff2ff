/* SPDX-License-Identifier: Apache-2.0 */
/* Where a window reads along one row. */
#ifndef OLK_CONV_WINDOW_H
#define OLK_CONV_WINDOW_H

#include "kernels/conv/conv.h"

/* Of `n` outputs whose inputs are x0, x0 + stride, ...: those inside [0, width) are [*lo, *hi). */
static inline void inside(int64_t x0, int64_t stride, int64_t n, int64_t width, int64_t *lo, int64_t *hi) {
    int64_t first = x0 >= 0 ? 0 : (-x0 + stride - 1) / stride;
    int64_t end = x0 >= width ? 0 : (width - 1 - x0) / stride + 1;
    *lo = first < n ? first : n;
    *hi = end < n ? end : n;
    if (*hi < *lo) *hi = *lo;
}

/* Row k of the panels: channel and place in the window. */
typedef struct window_row {
    int64_t c, i, j;
} window_row;
static inline window_row window_at(const olk_conv_form *f, int64_t k) {
    int64_t size = f->kernel_h * f->kernel_w;
    return (window_row){k / size, k % size / f->kernel_w, k % f->kernel_w};
}
static inline void window_next(const olk_conv_form *f, window_row *w) {
    if (++w->j < f->kernel_w) return;
    w->j = 0;
    if (++w->i < f->kernel_h) return;
    w->i = 0;
    w->c++;
}

#endif
