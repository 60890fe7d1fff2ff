/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/conv/window.h"
#include "kernels/conv/winograd.h"
#include <math.h>
#include <stdbool.h>

static void pack(const olk_conv_form *f, const float *x, int64_t k0, int64_t kn, int64_t n0, int64_t n, int nb, float *panel) {
    window_row w = window_at(f, k0);
    for (int64_t p = 0; p < kn; p++, panel += nb, window_next(f, &w))
        for (int64_t q = 0; q < nb; q++) {
            int64_t oy = (n0 + q) / f->out_width, ox = (n0 + q) % f->out_width;
            int64_t iy = oy * f->stride_h - f->pad_top + w.i * f->dilation_h;
            int64_t ix = ox * f->stride_w - f->pad_left + w.j * f->dilation_w;
            bool in = q < n && iy >= 0 && iy < f->height && ix >= 0 && ix < f->width;
            panel[q] = in ? x[(w.c * f->height + iy) * f->width + ix] : 0;
        }
}

static void depthwise(const olk_conv_form *f, const float *x, const float *w, float bias, const float *range, int64_t r0, int64_t r1, float *y) {
    for (int64_t oy = r0; oy < r1; oy++)
        for (int64_t ox = 0; ox < f->out_width; ox++) {
            float sum = bias;
            for (int64_t i = 0; i < f->kernel_h; i++) {
                int64_t iy = oy * f->stride_h - f->pad_top + i * f->dilation_h;
                if (iy < 0 || iy >= f->height) continue;
                for (int64_t j = 0; j < f->kernel_w; j++) {
                    int64_t ix = ox * f->stride_w - f->pad_left + j * f->dilation_w;
                    if (ix >= 0 && ix < f->width) sum = fmaf(w[i * f->kernel_w + j], x[iy * f->width + ix], sum);
                }
            }
            if (range) sum = sum < range[0] ? range[0] : sum > range[1] ? range[1] : sum;
            y[oy * f->out_width + ox] = sum;
        }
}

extern const olk_conv olk_conv__scalar;
const olk_conv olk_conv__scalar = {"olk_conv__scalar", 0, pack, depthwise, winograd_input, winograd_output, winograd_window};
