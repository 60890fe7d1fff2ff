/* SPDX-License-Identifier: Apache-2.0 */
/* Body of the vector variants (see math/vec_x86.h). */
#include "base/cpu.h"
#include "kernels/math/vec_x86.h"
#include "kernels/rope/rope.h"

static void rotate_halves(float *x, const float *cosine, const float *sine, int64_t h) {
    for (int64_t i = 0; i < h; i += VW) {
        int64_t left = h - i;
        vf a = v_load_n(x + i, left), b = v_load_n(x + i + h, left);
        vf c = v_load_n(cosine + i, left), s = v_load_n(sine + i, left);
        v_store_n(x + i, left, v_sub(v_mul(a, c), v_mul(b, s)));
        v_store_n(x + i + h, left, v_add(v_mul(b, c), v_mul(a, s)));
    }
}

static void rotate_pairs(float *x, const float *cosine, const float *sine, int64_t h) {
    int64_t i = 0;
    for (; i + VW / 2 <= h; i += VW / 2) {
        vf v = v_load(x + 2 * i), c = v_load_twice(cosine + i), s = v_load_twice(sine + i);
        v_store(x + 2 * i, v_sub_add(v_mul(v, c), v_mul(v_swap_pairs(v), s)));
    }
    for (; i < h; i++) {
        float a = x[2 * i], b = x[2 * i + 1];
        x[2 * i] = a * cosine[i] - b * sine[i];
        x[2 * i + 1] = b * cosine[i] + a * sine[i];
    }
}

static void apply(float *x, int64_t ldx, int64_t rows, int heads, int64_t head_stride, const float *cosine,
                  const float *sine, int64_t ldt, int64_t rot_dim, bool interleaved) {
    for (int64_t r = 0; r < rows; r++)
        for (int k = 0; k < heads; k++)
            (interleaved ? rotate_pairs : rotate_halves)(x + r * ldx + k * head_stride, cosine + r * ldt, sine + r * ldt,
                                                         rot_dim / 2);
}
