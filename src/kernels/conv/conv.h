/* SPDX-License-Identifier: Apache-2.0 */
/* Convolution of one image of [channels, height, width], f32.
 *
 * `pack` lays the image out as the B panels of a matrix product (kernels/gemm): row k = (channel, i, j) of the kernel window,
 * column = output position, so that y[o, :] = W[o, :] times it. `depthwise` convolves one channel with its own window. */
#ifndef OLK_CONV_H
#define OLK_CONV_H

#include <stdint.h>

typedef struct olk_conv_form {
    int64_t channels, height, width; /* of the input */
    int64_t out_height, out_width;
    int64_t kernel_h, kernel_w, stride_h, stride_w, dilation_h, dilation_w;
    int64_t pad_top, pad_left; /* positions outside the image are zero */
} olk_conv_form;

typedef struct olk_conv {
    const char *name;
    uint64_t cpu;
    /* Rows [k0, k0 + kn) of columns [n0, n0 + n), n <= nb, into panel[kn][nb], nb >= 16; columns from n to nb are zero or stale. */
    void (*pack)(const olk_conv_form *f, const float *x, int64_t k0, int64_t kn, int64_t n0, int64_t n, int nb, float *panel);
    /* Output rows [r0, r1) of one channel: y = bias + sum of w[i, j] x, kept within range[0] .. range[1] unless that is NULL;
     * NaN stays. x and y are the channel's planes. */
    void (*depthwise)(const olk_conv_form *f, const float *x, const float *w, float bias, const float *range, int64_t r0, int64_t r1, float *y);
    /* Windows of 3 x 3, stride and dilation 1, by products over 16 places (winograd.h), for blocks of 2 x 2 outputs, row by row.
     * Input: block b of one channel at place p goes to out[p * step + b]. */
    void (*winograd_input)(const olk_conv_form *f, const float *x, int64_t step, float *scratch, float *out);
    /* Output rows of blocks [b0, b1): place p of the first block is at m[p * step]. */
    void (*winograd_output)(const olk_conv_form *f, const float *m, int64_t step, float bias, int64_t b0, int64_t b1, float *scratch, float *y);
    void (*winograd_window)(const float *g, float *u); /* 9 weights to 16 */
} olk_conv;

/* Floats of scratch for either transform. */
static inline int64_t olk_winograd_scratch(const olk_conv_form *f) {
    int64_t high = (f->out_height + 1) / 2, wide = (f->out_width + 1) / 2;
    return 2 * wide + 2 + (2 * high + 2) * 4 * wide;
}

/* Best variant under these CPU flags; never NULL. */
const olk_conv *olk_conv_select(uint64_t cpu);
const olk_conv *const *olk_conv_variants(int *count);

#endif
