/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/rope/rope.h"

static void rotate_halves(float *x, const float *cos, const float *sin, int64_t h) {
    for (int64_t i = 0; i < h; i++) {
        float a = x[i], b = x[i + h];
        x[i] = a * cos[i] - b * sin[i];
        x[i + h] = b * cos[i] + a * sin[i];
    }
}

static void rotate_pairs(float *x, const float *cos, const float *sin, int64_t h) {
    for (int64_t i = 0; i < h; i++) {
        float a = x[2 * i], b = x[2 * i + 1];
        x[2 * i] = a * cos[i] - b * sin[i];
        x[2 * i + 1] = b * cos[i] + a * sin[i];
    }
}

static void apply(float *x, int64_t ldx, int64_t rows, int heads, int64_t head_stride, const float *cos,
                  const float *sin, int64_t ldt, int64_t rot_dim, bool interleaved) {
    for (int64_t r = 0; r < rows; r++)
        for (int k = 0; k < heads; k++)
            (interleaved ? rotate_pairs : rotate_halves)(x + r * ldx + k * head_stride, cos + r * ldt, sin + r * ldt,
                                                         rot_dim / 2);
}

extern const olk_rope olk_rope__scalar;
const olk_rope olk_rope__scalar = {"olk_rope__scalar", 0, apply};
