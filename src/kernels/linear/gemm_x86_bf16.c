/* SPDX-License-Identifier: Apache-2.0 */
/* Linear layers in bf16 with f32 accumulation, for many rows of x; chosen only when precision bf16 is asked for. Panels
 * of 16 weight rows and 1024 k lie as pairs of k (the operand of vdpbf16ps) and meet 12 rows of x at a time. */
#include "kernels/linear/transpose_x86_avx512.h"
#include "kernels/linear/variants.h"
#include <string.h>

#define INLINE static inline __attribute__((always_inline))
#define NB 16
#define KC 1024
#define MR 12

/* x: rows of bf16, padded with zeros to an even k; the stride is no multiple of 1 KiB. */
static size_t x_stride(const olk_weight *w) {
    size_t bytes = ((size_t)w->k * 2 + 63) / 64 * 64;
    return bytes % 1024 ? bytes : bytes + 64;
}
static size_t act_bytes(const olk_weight *w, int64_t m) { return x_stride(w) * (size_t)m; }
static uint64_t act_key(const olk_weight *w) { return (uint64_t)w->k; }

/* 32 floats, n of them there, as bf16. */
INLINE __m512i to_bf16(const float *p, int64_t n) {
    __mmask32 mask = n >= 32 ? ~0u : n <= 0 ? 0 : (1u << n) - 1;
    __m512 lo = _mm512_maskz_loadu_ps((__mmask16)mask, p), hi = _mm512_maskz_loadu_ps((__mmask16)(mask >> 16), p + 16);
    return (__m512i)_mm512_cvtne2ps_pbh(hi, lo);
}

static void pack(const olk_weight *w, const float *x, int64_t ldx, int64_t m0, int64_t m1, int64_t m, void *act) {
    (void)m;
    for (int64_t i = m0; i < m1; i++)
        for (int64_t k = 0; k < w->k; k += 32)
            _mm512_store_si512((uint8_t *)act + (size_t)i * x_stride(w) + k * 2, to_bf16(x + i * ldx + k, w->k - k));
}

static bool accepts(const olk_weight *w) {
    return w->q || w->dtype == OL_F32 || w->dtype == OL_F16 || w->dtype == OL_BF16;
}
static size_t row_floats(const olk_weight *w) { return ((size_t)w->k + 15) / 16 * 16; }
static size_t scratch_bytes(const olk_weight *w, int64_t m) {
    (void)m;
    return (size_t)KC * NB * 2 + row_floats(w) * 16 * 4;
}

static void float_row(const olk_weight *w, int64_t n, float *out) {
    const uint8_t *row = (const uint8_t *)w->data + (size_t)n * w->row_bytes;
    if (w->q)
        ol_qconst_rows_f32(w->q, n, 1, out);
    else if (w->dtype == OL_F32)
        memcpy(out, row, (size_t)w->k * 4);
    else
        ol_elems_to_f32(w->dtype, row, 0, (uint64_t)w->k, out);
}

/* panel[k / 2][NB] pairs, all of k, for 16 rows; dense: their floats. */
static void make_panel(const olk_weight *w, const float *dense, int64_t rows, int64_t k0, int64_t kn,
                       uint32_t *panel) {
    for (int64_t k = 0; k < kn; k += 32) {
        __m512i v[16];
        for (int r = 0; r < 16; r++)
            v[r] = r < rows ? to_bf16(dense + (size_t)r * row_floats(w) + k0 + k, kn - k) : _mm512_setzero_si512();
        olk_transpose16(v);
        for (int p = 0; p < 16; p++) _mm512_store_si512(panel + (k / 2 + p) * NB, v[p]);
    }
}

typedef struct tile {
    const uint8_t *x;
    const uint32_t *panel;
    float *y;
    int64_t ldy, pairs;
    size_t stride;
    __mmask16 mask; /* of the 16 columns */
    bool first;     /* of the parts of k */
} tile;

INLINE void tile_rows(const tile *t, const int rows) {
    __m512 acc[MR];
#pragma GCC unroll 12
    for (int i = 0; i < rows; i++)
        acc[i] = t->first ? _mm512_setzero_ps() : _mm512_maskz_loadu_ps(t->mask, t->y + i * t->ldy);
    const uint32_t *b = t->panel;
    const uint8_t *x = t->x;
    for (int64_t p = 0; p < t->pairs; p++, b += NB, x += 4) {
        __m512bh w = (__m512bh)_mm512_load_si512(b);
#pragma GCC unroll 12
        for (int i = 0; i < rows; i++) {
            int32_t pair;
            memcpy(&pair, x + (size_t)i * t->stride, 4);
            acc[i] = _mm512_dpbf16_ps(acc[i], w, (__m512bh)_mm512_set1_epi32(pair));
        }
    }
#pragma GCC unroll 12
    for (int i = 0; i < rows; i++) _mm512_mask_storeu_ps(t->y + i * t->ldy, t->mask, acc[i]);
}

__attribute__((noinline)) static void tile_full(const tile *t) { tile_rows(t, MR); }
__attribute__((noinline)) static void tile_4(const tile *t) { tile_rows(t, 4); }
__attribute__((noinline)) static void tile_1(const tile *t) { tile_rows(t, 1); }

static void all_rows(tile t, const olk_linear_args *a, int64_t m0, int64_t m1, int64_t n, int64_t k0) {
    for (int64_t i = m0, step; i < m1; i += step) {
        t.x = (const uint8_t *)a->act + (size_t)i * t.stride + k0 * 2;
        t.y = a->y + i * a->ldy + n;
        step = m1 - i >= MR ? MR : m1 - i >= 4 ? 4 : 1;
        (step == MR ? tile_full : step == 4 ? tile_4 : tile_1)(&t);
    }
}

static void run(const olk_linear_args *a, int64_t m0, int64_t m1, int64_t n0, int64_t n1, void *scratch) {
    const olk_weight *w = a->w;
    uint32_t *panel = scratch;
    float *dense = (float *)(void *)((uint8_t *)scratch + (size_t)KC * NB * 2);
    tile t = {.panel = panel, .ldy = a->ldy, .stride = x_stride(w)};
    for (int64_t n = n0; n < n1; n += 16) {
        int64_t rows = n1 - n < 16 ? n1 - n : 16;
        t.mask = (__mmask16)((1u << rows) - 1);
        for (int64_t r = 0; r < rows; r++) float_row(w, n + r, dense + (size_t)r * row_floats(w));
        for (int64_t k0 = 0; k0 < w->k; k0 += KC) {
            int64_t kn = w->k - k0 < KC ? w->k - k0 : KC;
            make_panel(w, dense, rows, k0, kn, panel);
            t.pairs = (kn + 1) / 2;
            t.first = k0 == 0;
            all_rows(t, a, m0, m1, n, k0);
        }
    }
}

const olk_linear olk_linear_any_bf16__bf16_gemm = {
    "olk_linear_any_bf16__bf16_gemm", OL_ISA_BF16, OLK_BF16, 17, INT64_MAX, 16, MR, accepts, act_bytes, pack,
    scratch_bytes, run, act_key};
