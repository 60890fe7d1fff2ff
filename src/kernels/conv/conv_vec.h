/* SPDX-License-Identifier: Apache-2.0 */
/* Body of the vector variants (see math/vec_x86.h). */
#include "base/cpu.h"
#include "kernels/conv/window.h"
#include "kernels/math/vec_x86.h"

/* VW values p[0], p[stride], ... of which those in [lo, hi) may be read; the others are 0. */
VI vf load_strided(const float *p, int64_t stride, int64_t lo, int64_t hi) {
    lo = lo < 0 ? 0 : lo;
    hi = hi > VW ? VW : hi;
    if (hi <= lo) return v_set1(0);
    if (stride == 1) return v_load_part(p, v_without(v_first(hi), v_first(lo)));
    float t[VW] = {0};
    for (int64_t i = lo; i < hi; i++) t[i] = p[i * stride];
    return v_load(t);
}

/* VW values p[0], p[2], ...; 2 VW - 1 may be read. */
VI vf load_even(const float *p) {
#if VW == 16
    const __m512i even = _mm512_set_epi32(30, 28, 26, 24, 22, 20, 18, 16, 14, 12, 10, 8, 6, 4, 2, 0);
    return _mm512_permutex2var_ps(v_load(p), even, v_load_part(p + VW, v_first(VW - 1)));
#else
    __m256 a = v_load(p), b = v_load_part(p + VW, v_first(VW - 1));
    return _mm256_castpd_ps(_mm256_permute4x64_pd(_mm256_castps_pd(_mm256_shuffle_ps(a, b, 0x88)), 0xd8));
#endif
}

VI vf load_any(const float *p, int64_t stride, int64_t lo, int64_t hi) {
    if (lo <= 0 && hi >= VW) {
        if (stride == 1) return v_load(p);
        if (stride == 2) return load_even(p);
    }
    return load_strided(p, stride, lo, hi);
}

/* Outputs of one row in a panel: `n` from column `at` on, from place (oy, ox) of the output. */
typedef struct run {
    int64_t at, n, oy, ox;
} run;
#define MAX_RUNS 32

static int cut_runs(const olk_conv_form *f, int64_t n0, int64_t n, run *runs) {
    int count = 0;
    for (int64_t at = 0; at < n;) {
        int64_t oy = (n0 + at) / f->out_width, ox = (n0 + at) % f->out_width, left = f->out_width - ox;
        run r = {at, n - at < left ? n - at : left, oy, ox};
        runs[count++] = r;
        at += r.n;
    }
    return count;
}

/* Vectors are stored whole: each run overwrites what the one before wrote too far, and the next panel row likewise. */
static void pack(const olk_conv_form *f, const float *x, int64_t k0, int64_t kn, int64_t n0, int64_t n, int nb, float *panel) {
    run runs[MAX_RUNS];
    int n_runs = cut_runs(f, n0, n, runs);
    window_row w = window_at(f, k0);
    for (int64_t p = 0; p < kn; p++, panel += nb, window_next(f, &w)) {
        const float *plane = x + w.c * f->height * f->width;
        for (int q = 0; q < n_runs; q++) {
            const run *r = &runs[q];
            int64_t iy = r->oy * f->stride_h - f->pad_top + w.i * f->dilation_h;
            int64_t ix = r->ox * f->stride_w - f->pad_left + w.j * f->dilation_w, lo, hi;
            if (iy < 0 || iy >= f->height) {
                for (int64_t i = 0; i < r->n; i += VW) v_store(panel + r->at + i, v_set1(0));
                continue;
            }
            inside(ix, f->stride_w, r->n, f->width, &lo, &hi);
            const float *row = plane + iy * f->width + ix;
            for (int64_t i = 0; i < r->n; i += VW)
                v_store(panel + r->at + i, load_any(row + i * f->stride_w, f->stride_w, lo - i, hi - i));
        }
    }
}

/* VW outputs of row oy from ox on. */
VI vf window_sum(const olk_conv_form *f, const float *x, const float *w, vf sum, int64_t oy, int64_t ox, int64_t n) {
    for (int64_t i = 0; i < f->kernel_h; i++) {
        int64_t iy = oy * f->stride_h - f->pad_top + i * f->dilation_h;
        if (iy < 0 || iy >= f->height) continue;
        for (int64_t j = 0; j < f->kernel_w; j++) {
            int64_t ix = ox * f->stride_w - f->pad_left + j * f->dilation_w, lo, hi;
            inside(ix, f->stride_w, n, f->width, &lo, &hi);
            vf v = load_any(x + iy * f->width + ix, f->stride_w, lo, hi);
            sum = v_fma(v_set1(w[i * f->kernel_w + j]), v, sum);
        }
    }
    return sum;
}

static void depthwise(const olk_conv_form *f, const float *x, const float *w, float bias, int64_t r0, int64_t r1, float *y) {
    for (int64_t oy = r0; oy < r1; oy++)
        for (int64_t ox = 0; ox < f->out_width; ox += VW) {
            int64_t n = f->out_width - ox < VW ? f->out_width - ox : VW;
            v_store_part(y + oy * f->out_width + ox, v_first(n), window_sum(f, x, w, v_set1(bias), oy, ox, n));
        }
}
