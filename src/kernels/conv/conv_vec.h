/* SPDX-License-Identifier: Apache-2.0 */
/* Body of the vector variants (see math/vec_x86.h). */
#include "base/cpu.h"
#include "kernels/conv/window.h"
#include "kernels/conv/winograd.h"
#include "kernels/math/vec_x86.h"

/* VW values of an image row at a stride, of which those in [lo, hi) may be read and the others are 0: the first is at
 * row[offset]. The masks are of the elements between them: m[0] of the first VW, m[1] of the next (stride 2). */
typedef struct span {
    vm m[2];
    int64_t offset, at; /* at: column of a panel, for pack */
    int lo, hi;
} span;

VI int bounded(int64_t i) { return i < 0 ? 0 : i > VW ? VW : (int)i; }
VI vm between(int64_t lo, int64_t hi) { return v_without(v_first(bounded(hi)), v_first(bounded(lo))); }

/* n <= VW values from column x0 of a row of `width`. */
VI span make_span(int64_t x0, int64_t stride, int64_t n, int64_t width) {
    int64_t lo, hi, last;
    inside(x0, stride, n, width, &lo, &hi);
    last = (hi - 1) * stride + 1; /* elements up to here */
    span s = {{between(lo * stride, last), between(lo * stride - VW, last - VW)}, x0, 0, (int)lo, (int)hi};
    if (lo >= hi) s.m[0] = s.m[1] = v_first(0), s.offset = 0;
    return s;
}

VI vf load_span(const float *row, const span *s, int64_t stride) {
    const float *p = row + s->offset;
    if (stride == 1) return v_load_part(p, s->m[0]);
    if (stride == 2) {
        vf a = v_load_part(p, s->m[0]), b = v_load_part(p + VW, s->m[1]);
#if VW == 16
        const __m512i even = _mm512_set_epi32(30, 28, 26, 24, 22, 20, 18, 16, 14, 12, 10, 8, 6, 4, 2, 0);
        return _mm512_permutex2var_ps(a, even, b);
#else
        return _mm256_castpd_ps(_mm256_permute4x64_pd(_mm256_castps_pd(_mm256_shuffle_ps(a, b, 0x88)), 0xd8));
#endif
    }
    float t[VW] = {0};
    for (int64_t i = s->lo; i < s->hi; i++) t[i] = p[i * stride];
    return v_load(t);
}

/* ---- panels ---- */

#define TABLE 320 /* spans kept: those of 3 x 3 places in the worst case, where every output is alone in its row */

/* The spans of n columns from n0 on at window places from `first` on, as many places as fit. A span outside the image has
 * no elements. */
typedef struct span_table {
    span spans[TABLE];
    int64_t first, places;
    int each; /* spans of a place */
} span_table;

static int place_spans(const olk_conv_form *f, int64_t place, int64_t n0, int64_t n, span *out) {
    int64_t i = place / f->kernel_w, j = place % f->kernel_w;
    int64_t oy = n0 / f->out_width, ox = n0 % f->out_width;
    int count = 0;
    for (int64_t at = 0; at < n;) {
        int64_t left = f->out_width - ox < n - at ? f->out_width - ox : n - at;
        int64_t cols = left < VW ? left : VW, iy = oy * f->stride_h - f->pad_top + i * f->dilation_h;
        span s = make_span(ox * f->stride_w - f->pad_left + j * f->dilation_w, f->stride_w, iy < 0 || iy >= f->height ? 0 : cols, f->width);
        if (s.hi > s.lo) s.offset += iy * f->width;
        s.at = at;
        out[count++] = s;
        at += cols;
        ox += cols;
        if (ox == f->out_width) ox = 0, oy++;
    }
    return count;
}

static void fill_table(const olk_conv_form *f, int64_t place, int64_t n0, int64_t n, span_table *t) {
    int64_t end = f->kernel_h * f->kernel_w;
    t->first = place;
    t->each = place_spans(f, place, n0, n, t->spans);
    for (t->places = 1; place + t->places < end && (t->places + 1) * t->each <= TABLE; t->places++)
        place_spans(f, place + t->places, n0, n, t->spans + t->places * t->each);
}

/* Vectors are stored whole, but in the last row: each overwrites what the one before wrote too far, and the next row likewise. */
VI void pack_rows(const olk_conv_form *f, const float *x, int64_t k0, int64_t kn, int64_t n0, int64_t n, int nb, float *panel, const int64_t stride) {
    int64_t size = f->kernel_h * f->kernel_w, place = k0 % size;
    const float *plane = x + k0 / size * f->height * f->width;
    span_table t;
    t.first = t.places = 0;
    for (int64_t p = 0; p < kn; p++, panel += nb) {
        if (place < t.first || place >= t.first + t.places) fill_table(f, place, n0, n, &t);
        const span *s = t.spans + (place - t.first) * t.each;
        if (p + 1 < kn)
            for (int q = 0; q < t.each; q++) v_store(panel + s[q].at, load_span(plane, &s[q], stride));
        else
            for (int q = 0; q < t.each; q++) v_store_part(panel + s[q].at, v_first((q + 1 < t.each ? s[q + 1].at : n) - s[q].at), load_span(plane, &s[q], stride));
        if (++place == size) place = 0, plane += f->height * f->width;
    }
}

static void pack(const olk_conv_form *f, const float *x, int64_t k0, int64_t kn, int64_t n0, int64_t n, int nb, float *panel) {
    if (f->stride_w == 1) pack_rows(f, x, k0, kn, n0, n, nb, panel, 1);
    else if (f->stride_w == 2) pack_rows(f, x, k0, kn, n0, n, nb, panel, 2);
    else pack_rows(f, x, k0, kn, n0, n, nb, panel, f->stride_w);
}

/* ---- depthwise ---- */

#define MAX_SPANS 16

#if VW == 16
/* What three neighbouring window places see at stride 1 or 2, from the spans of VW values each that begin at the first place
 * and behind them: loads that cross a cache line are dear, so each value is loaded once. */
VI void neighbours(const float *row, const span *s, const int64_t stride, vf out[3]) {
    __m512i a = _mm512_castps_si512(load_span(row, &s[0], 1)), b = _mm512_castps_si512(load_span(row, &s[1], 1));
    if (stride == 2) {
        const __m512i even = _mm512_set_epi32(30, 28, 26, 24, 22, 20, 18, 16, 14, 12, 10, 8, 6, 4, 2, 0);
        const __m512i odd = _mm512_add_epi32(even, _mm512_set1_epi32(1));
        __m512i e = _mm512_permutex2var_epi32(a, even, b), c = _mm512_castps_si512(load_span(row, &s[2], 1));
        out[0] = _mm512_castsi512_ps(e);
        out[1] = _mm512_castsi512_ps(_mm512_permutex2var_epi32(a, odd, b));
        out[2] = _mm512_castsi512_ps(_mm512_alignr_epi32(c, e, 1));
        return;
    }
    out[0] = _mm512_castsi512_ps(a);
    out[1] = _mm512_castsi512_ps(_mm512_alignr_epi32(b, a, 1));
    out[2] = _mm512_castsi512_ps(_mm512_alignr_epi32(b, a, 2));
}
#else
VI void neighbours(const float *row, const span *s, const int64_t stride, vf out[3]) {
    for (int j = 0; j < 3; j++) out[j] = load_span(row, &s[j], stride);
}
#endif

/* VW outputs of a column of rows; kernel_h, kernel_w and stride are constants where this is inlined, as far as they
 * are known. three: the places of a row are three neighbours, at stride 1 or 2. */
VI void window_column(const olk_conv_form *f, const float *x, const float *w, float bias, const float *range, int64_t r0, int64_t r1, int64_t ox, float *y,
                      const int64_t kernel_h, const int64_t kernel_w, const int64_t stride, const bool three) {
    int64_t n = f->out_width - ox < VW ? f->out_width - ox : VW, x0 = ox * stride - f->pad_left;
    span s[MAX_SPANS];
    vf weight[9];
    const int64_t spans = kernel_w < MAX_SPANS ? kernel_w : MAX_SPANS, held = kernel_h * kernel_w <= 9 ? kernel_h * kernel_w : 0;
    if (three && VW == 16) { /* places next to each other */
        int64_t last = x0 + 2 + (n - 1) * stride + 1; /* nothing behind it is seen */
        if (last > f->width) last = f->width;
        for (int j = 0; j < 3; j++) s[j] = make_span(x0 + j * VW, 1, VW, last);
    } else {
#pragma GCC unroll 9
        for (int64_t j = 0; j < spans; j++) s[j] = make_span(x0 + j * f->dilation_w, stride, n, f->width);
    }
#pragma GCC unroll 9
    for (int64_t k = 0; k < held; k++) weight[k] = v_set1(w[k]);
    vm stored = v_first(n);
    const vf low = v_set1(range ? range[0] : -INFINITY), high = v_set1(range ? range[1] : INFINITY);
    for (int64_t oy = r0; oy < r1; oy++) {
        vf sum = v_set1(bias);
#pragma GCC unroll 3
        for (int64_t i = 0; i < kernel_h; i++) {
            int64_t iy = oy * f->stride_h - f->pad_top + i * f->dilation_h;
            if (iy < 0 || iy >= f->height) continue;
            vf seen[3];
            if (three) neighbours(x + iy * f->width, s, stride, seen);
#pragma GCC unroll 5
            for (int64_t j = 0; j < kernel_w; j++) {
                vf c = held ? weight[i * kernel_w + j] : v_set1(w[i * kernel_w + j]);
                span far;
                if (j >= MAX_SPANS) far = make_span(x0 + j * f->dilation_w, stride, n, f->width);
                sum = v_fma(c, three ? seen[j] : load_span(x + iy * f->width, j < MAX_SPANS ? &s[j] : &far, stride), sum);
            }
        }
        sum = v_min(high, v_max(low, sum));
        if (n == VW) v_store(y + oy * f->out_width + ox, sum);
        else v_store_part(y + oy * f->out_width + ox, stored, sum);
    }
}

#define WINDOWS(name, kernel_h, kernel_w, stride, three)                                                                                         \
    static void name(const olk_conv_form *f, const float *x, const float *w, float bias, const float *range, int64_t r0, int64_t r1, float *y) {              \
        for (int64_t ox = 0; ox < f->out_width; ox += VW) window_column(f, x, w, bias, range, r0, r1, ox, y, kernel_h, kernel_w, stride, three);        \
    }
WINDOWS(windows_3_1, 3, 3, 1, true)
WINDOWS(windows_3_2, 3, 3, 2, true)
WINDOWS(windows_5_1, 5, 5, 1, false)
WINDOWS(windows_5_2, 5, 5, 2, false)
WINDOWS(windows_any_1, f->kernel_h, f->kernel_w, 1, false)
WINDOWS(windows_any, f->kernel_h, f->kernel_w, f->stride_w, false)

static void depthwise(const olk_conv_form *f, const float *x, const float *w, float bias, const float *range, int64_t r0, int64_t r1, float *y) {
    int64_t s = f->stride_w, side = f->kernel_h == f->kernel_w && s <= 2 && f->dilation_w == 1 ? f->kernel_h : 0;
    if (side == 3) (s == 1 ? windows_3_1 : windows_3_2)(f, x, w, bias, range, r0, r1, y);
    else if (side == 5) (s == 1 ? windows_5_1 : windows_5_2)(f, x, w, bias, range, r0, r1, y);
    else (s == 1 ? windows_any_1 : windows_any)(f, x, w, bias, range, r0, r1, y);
}
