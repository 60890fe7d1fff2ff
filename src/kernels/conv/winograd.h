/* SPDX-License-Identifier: Apache-2.0 */
/* Transforms of a 3 x 3 convolution with stride 1 into products over 16 places (Winograd's F(2 x 2, 3 x 3)): an output of
 * 2 x 2 is A'[(G g G') * (B' d B)]A of the window g and an input d of 4 x 4, * place by place, with
 *   B' = 1  0 -1  0    G = 1    0    0     A' = 1  1  1  0
 *        0  1  1  0        1/2  1/2  1/2        0  1 -1 -1
 *        0 -1  1  0        1/2 -1/2  1/2
 *        0  1  0 -1        0    0    1
 * which takes 16 products where the definition takes 36. Plain loops over neighbouring blocks of 2 x 2: the including file's
 * flags decide about vectors, and no result depends on them (contraction is off). */
#ifndef OLK_CONV_WINOGRAD_H
#define OLK_CONV_WINOGRAD_H

#include "kernels/conv/conv.h"
#include <string.h>

/* The four sums of one row of the image that B' makes along it, for `blocks` blocks from column x0 on. */
static inline void winograd_row(const float *x, int64_t x0, int64_t width, int64_t blocks, float *restrict line, float *restrict out) {
    int64_t n = 2 * blocks + 2, lo = x0 < 0 ? -x0 : 0, hi = width - x0 < n ? width - x0 : n;
    if (lo > n) lo = n;
    if (hi < lo) hi = lo;
    for (int64_t i = 0; i < lo; i++) line[i] = 0;
    memcpy(line + lo, x + x0 + lo, (size_t)(hi - lo) * sizeof *line);
    for (int64_t i = hi; i < n; i++) line[i] = 0;
    float *restrict a = out, *restrict b = out + blocks, *restrict c = out + 2 * blocks, *restrict d = out + 3 * blocks;
    for (int64_t i = 0; i < blocks; i++) {
        float p = line[2 * i], q = line[2 * i + 1], r = line[2 * i + 2], s = line[2 * i + 3];
        a[i] = p - r;
        b[i] = q + r;
        c[i] = r - q;
        d[i] = q - s;
    }
}

static inline void winograd_input(const olk_conv_form *f, const float *x, int64_t step, float *scratch, float *out) {
    int64_t high = (f->out_height + 1) / 2, wide = (f->out_width + 1) / 2;
    float *line = scratch, *rows = scratch + 2 * wide + 2;
    for (int64_t r = 0; r < 2 * high + 2; r++) {
        int64_t y = r - f->pad_top;
        float *to = rows + r * 4 * wide;
        if (y < 0 || y >= f->height) memset(to, 0, (size_t)(4 * wide) * sizeof *to);
        else winograd_row(x + y * f->width, -f->pad_left, f->width, wide, line, to);
    }
    for (int64_t b = 0; b < high; b++)
        for (int j = 0; j < 4; j++) {
            const float *restrict p = rows + (2 * b * 4 + j) * wide, *restrict q = p + 4 * wide, *restrict r = q + 4 * wide, *restrict s = r + 4 * wide;
            float *restrict to = out + b * wide + j * step;
            for (int64_t i = 0; i < wide; i++) to[i] = p[i] - r[i];
            for (int64_t i = 0; i < wide; i++) to[4 * step + i] = q[i] + r[i];
            for (int64_t i = 0; i < wide; i++) to[8 * step + i] = r[i] - q[i];
            for (int64_t i = 0; i < wide; i++) to[12 * step + i] = q[i] - s[i];
        }
}

static inline void winograd_output(const olk_conv_form *f, const float *m, int64_t step, float bias, int64_t b0, int64_t b1, float *scratch, float *y) {
    int64_t wide = (f->out_width + 1) / 2;
    for (int64_t b = b0; b < b1; b++, m += wide) {
        float *restrict t = scratch;
        for (int j = 0; j < 4; j++) {
            const float *restrict p = m + j * step, *restrict q = p + 4 * step, *restrict r = q + 4 * step, *restrict s = r + 4 * step;
            float *restrict top = t + j * wide, *restrict low = t + (4 + j) * wide;
            for (int64_t i = 0; i < wide; i++) {
                top[i] = p[i] + q[i] + r[i];
                low[i] = q[i] - r[i] - s[i];
            }
        }
        for (int half = 0; half < 2 && 2 * b + half < f->out_height; half++) {
            const float *restrict p = t + half * 4 * wide, *restrict q = p + wide, *restrict r = q + wide, *restrict s = r + wide;
            float *restrict row = y + (2 * b + half) * f->out_width;
            int64_t whole = f->out_width / 2;
            for (int64_t i = 0; i < whole; i++) {
                row[2 * i] = p[i] + q[i] + r[i] + bias;
                row[2 * i + 1] = q[i] - r[i] - s[i] + bias;
            }
            if (whole < wide) row[2 * whole] = p[whole] + q[whole] + r[whole] + bias;
        }
    }
}

/* G g G' of a window of 9: 16 values. */
static inline void winograd_window(const float *g, float *u) {
    float t[4][3];
    for (int j = 0; j < 3; j++) {
        float sum = (g[j] + g[6 + j]) * 0.5f, half = g[3 + j] * 0.5f;
        t[0][j] = g[j];
        t[1][j] = sum + half;
        t[2][j] = sum - half;
        t[3][j] = g[6 + j];
    }
    for (int i = 0; i < 4; i++) {
        float sum = (t[i][0] + t[i][2]) * 0.5f, half = t[i][1] * 0.5f;
        u[4 * i] = t[i][0];
        u[4 * i + 1] = sum + half;
        u[4 * i + 2] = sum - half;
        u[4 * i + 3] = t[i][2];
    }
}

#endif
