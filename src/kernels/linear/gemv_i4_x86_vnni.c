/* SPDX-License-Identifier: Apache-2.0 */
/* Rows of 4-bit codes times int8 activations, for 1 to 16 rows of x, straight from the file's layout.
 *
 * 64 bytes of a weight row are 128 codes. Split into low and high nibbles they meet the even and odd activations in two
 * dot products, after which lane l of the accumulator holds the sum over 8 k. The accumulators of four such chunks are
 * added crosswise, which leaves the 16 block sums of a span of 512 k in one vector: 9 instructions for 8 dot products.
 * These are scaled and accumulated in f32, lane by lane, span after span; the order does not depend on the number of
 * rows. */
#include "kernels/linear/variants.h"
#include "kernels/linear/weight_x86_avx512.h"

/* gcc spills the accumulators of the intrinsics. */
OLK_INLINE __m512i dot4(__m512i acc, __m512i u8, const void *s8) {
    __asm__("vpdpbusd %2, %1, %0" : "+v"(acc) : "v"(u8), "m"(*(const __m512i *)s8));
    return acc;
}
typedef struct gemv {
    const ol_qconst *q;
    olk_act_form f;
    olk_groups g;
    const uint8_t *act;
    float *y;
    int64_t ldy;
    __m512i flip; /* makes codes unsigned */
    int64_t row_codes_bytes, whole; /* bytes of codes in a row; whole spans of k */
    size_t ahead;                   /* bytes between use and prefetch */
} gemv;

typedef struct row { /* of the weight */
    int64_t n;
    const uint8_t *codes, *scales;
} row;

typedef struct form { /* known when compiling */
    bool zp, block16, f32;
} form;

/* 64 bytes of codes (fewer at the end of a row) as low and high nibbles. */
OLK_INLINE void unpack(const gemv *c, const uint8_t *p, bool whole, int64_t left, __m512i *lo, __m512i *hi) {
    const __m512i low = _mm512_set1_epi8(15);
    __mmask64 mask = left >= 64 ? ~0ull : left <= 0 ? 0 : (1ull << left) - 1;
    __m512i v = whole ? _mm512_loadu_si512(p) : _mm512_maskz_loadu_epi8(mask, p);
    v = _mm512_xor_si512(v, c->flip);
    *lo = _mm512_and_si512(v, low);
    *hi = _mm512_and_si512(_mm512_srli_epi16(v, 4), low);
}

/* Block sums of 16 (two vectors) or 32 k (one) from sums over 8 k of the four chunks, in the lanes that act.h says. */
OLK_INLINE __m512i sums16(__m512i a, __m512i b) {
    return _mm512_madd_epi16(_mm512_packs_epi32(a, b), _mm512_set1_epi16(1));
}
OLK_INLINE __m512i sums32(const __m512i *t) {
    __m512i ab = _mm512_add_epi32(_mm512_unpacklo_epi32(t[0], t[1]), _mm512_unpackhi_epi32(t[0], t[1]));
    __m512i cd = _mm512_add_epi32(_mm512_unpacklo_epi32(t[2], t[3]), _mm512_unpackhi_epi32(t[2], t[3]));
    return _mm512_add_epi32(_mm512_unpacklo_epi64(ab, cd), _mm512_unpackhi_epi64(ab, cd));
}

/* Value of 16 blocks: (sum of code * x - zero * sum of x) * scale of x. `vectors`: theirs in the span of x. */
OLK_INLINE __m512 block_values(__m512i sums, const uint8_t *vectors, int64_t stride, bool zp, __m512 zero) {
    __m512 v;
    if (zp)
        v = _mm512_fnmadd_ps(zero, _mm512_load_ps(vectors + 2 * stride), _mm512_cvtepi32_ps(sums));
    else
        v = _mm512_cvtepi32_ps(_mm512_add_epi32(sums, _mm512_load_si512(vectors + stride)));
    return _mm512_mul_ps(v, _mm512_load_ps(vectors));
}

/* One span of one weight row for MR rows of x. */
OLK_INLINE void span(const gemv *c, const row *w, int64_t s, const uint8_t *x, bool whole, const int MR, const form f,
                     __m512 *acc) {
    __m512i lo[4], hi[4];
    __m512 scale[2], zero[2];
    for (int h = 0; h <= f.block16; h++) {
        int64_t at = f.block16 ? 2 * s + h : s;
        scale[h] = olk_scales(c->q, &c->g, w->scales, at, whole, f.f32 ? OL_F32 : c->q->scale_dtype);
        zero[h] = f.zp ? olk_zeros(c->q, &c->g, w->n, at) : _mm512_setzero_ps();
    }
#pragma GCC unroll 4
    for (int j = 0; j < 4; j++) {
        int64_t at = s * 256 + j * 64;
        unpack(c, w->codes + at, whole, c->row_codes_bytes - at, &lo[j], &hi[j]);
    }
#pragma GCC unroll 8
    for (int i = 0; i < MR; i++) {
        const uint8_t *xi = x + i * c->f.row_bytes, *vectors = xi + OLK_SPAN;
        __m512i t[4];
#pragma GCC unroll 4
        for (int j = 0; j < 4; j++)
            t[j] = dot4(dot4(_mm512_setzero_si512(), lo[j], xi + j * 128), hi[j], xi + j * 128 + 64);
        if (f.block16) {
            acc[i] = _mm512_fmadd_ps(block_values(sums16(t[0], t[1]), vectors, 128, f.zp, zero[0]), scale[0], acc[i]);
            acc[i] = _mm512_fmadd_ps(block_values(sums16(t[2], t[3]), vectors + 64, 128, f.zp, zero[1]), scale[1], acc[i]);
        } else {
            acc[i] = _mm512_fmadd_ps(block_values(sums32(t), vectors, 64, f.zp, zero[0]), scale[0], acc[i]);
        }
    }
}

#define MAX_MR 8     /* rows of x that share one unpacking */
#define ROW_BLOCK 16 /* rows of the weight that share a stay of x in the first-level cache */

/* Adds spans [s0, s1) of NR weight rows times MR rows of x to acc. Rows are taken in pairs whose spans alternate, and
 * the same place of the next pair is prefetched: measured twice as fast from memory as one row after the other. */
OLK_INLINE void rows(const gemv *c, int64_t n, int64_t i0, int64_t s0, int64_t s1, __m512 (*out)[MAX_MR], const int NR,
                     const int MR, const form f) {
    row w[2];
    __m512 acc[2][MAX_MR];
    for (int r = 0; r < NR; r++)
        w[r] = (row){n + r, c->q->codes + (size_t)(n + r) * c->q->row_bytes, olk_row_scales(c->q, n + r)};
#pragma GCC unroll 2
    for (int r = 0; r < NR; r++)
#pragma GCC unroll 8
        for (int i = 0; i < MR; i++) acc[r][i] = out[r][i];
    const uint8_t *x = c->act + i0 * c->f.row_bytes + s0 * c->f.span_bytes;
    int64_t s = s0, whole = s1 < c->whole ? s1 : c->whole;
    for (; s < whole; s++, x += c->f.span_bytes) {
#pragma GCC unroll 2
        for (int r = 0; r < NR; r++) {
            const char *ahead = (const char *)w[r].codes + s * 256 + c->ahead;
            for (int j = 0; j < 4; j++) _mm_prefetch(ahead + j * 64, _MM_HINT_T0);
            span(c, &w[r], s, x, true, MR, f, acc[r]);
        }
    }
    if (s < s1)
        for (int r = 0; r < NR; r++) span(c, &w[r], s, x, false, MR, f, acc[r]);
#pragma GCC unroll 2
    for (int r = 0; r < NR; r++)
#pragma GCC unroll 8
        for (int i = 0; i < MR; i++) out[r][i] = acc[r][i];
}

#define ROWS(NR, MR)                                                                                                 \
    static void rows_##NR##x##MR(const gemv *c, int64_t n, int64_t i0, int64_t s0, int64_t s1,                       \
                                 __m512 (*acc)[MAX_MR]) {                                                            \
        if (c->q->zero_dtype == OL_DTYPE_NONE && !c->f.block16 && c->q->scale_dtype == OL_F32)                       \
            rows(c, n, i0, s0, s1, acc, NR, MR, (form){.f32 = true});                                                \
        else if (c->q->zero_dtype == OL_DTYPE_NONE)                                                                  \
            c->f.block16 ? rows(c, n, i0, s0, s1, acc, NR, MR, (form){.block16 = true})                              \
                         : rows(c, n, i0, s0, s1, acc, NR, MR, (form){.zp = false});                                 \
        else                                                                                                         \
            c->f.block16 ? rows(c, n, i0, s0, s1, acc, NR, MR, (form){.zp = true, .block16 = true})                  \
                         : rows(c, n, i0, s0, s1, acc, NR, MR, (form){.zp = true});                                  \
    }
ROWS(1, 1) ROWS(1, 2) ROWS(1, 3) ROWS(1, 4) ROWS(1, 5) ROWS(1, 6) ROWS(1, 7) ROWS(1, 8)
ROWS(2, 1) ROWS(2, 2) ROWS(2, 3) ROWS(2, 4) ROWS(2, 5) ROWS(2, 6) ROWS(2, 7) ROWS(2, 8)

typedef void rows_fn(const gemv *, int64_t, int64_t, int64_t, int64_t, __m512 (*)[MAX_MR]);
static rows_fn *const by_rows[2][MAX_MR] = {
    {rows_1x1, rows_1x2, rows_1x3, rows_1x4, rows_1x5, rows_1x6, rows_1x7, rows_1x8},
    {rows_2x1, rows_2x2, rows_2x3, rows_2x4, rows_2x5, rows_2x6, rows_2x7, rows_2x8}};

/* A block of weight rows: k in parts whose x stays in the first-level cache. */
static void block(const gemv *c, int64_t n0, int64_t nr, int64_t i0, int64_t mr) {
    __m512 acc[ROW_BLOCK][MAX_MR];
    for (int64_t r = 0; r < nr; r++)
        for (int64_t i = 0; i < mr; i++) acc[r][i] = _mm512_setzero_ps();
    int64_t step = 32 / mr;
    for (int64_t s = 0; s < c->f.spans; s += step)
        for (int64_t r = 0; r < nr; r += 2)
            by_rows[r + 1 < nr][mr - 1](c, n0 + r, i0, s, s + step < c->f.spans ? s + step : c->f.spans, acc + r);
    for (int64_t r = 0; r < nr; r++)
        for (int64_t i = 0; i < mr; i++)
            c->y[(i0 + i) * c->ldy + n0 + r] = c->q->global_scale * olk_sum16(acc[r][i]);
}

static void run(const olk_linear_args *a, int64_t m0, int64_t m1, int64_t n0, int64_t n1, void *scratch) {
    (void)scratch;
    const __m512i lane_block32 = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
    const __m512i lane_block16 = _mm512_setr_epi32(0, 1, 8, 9, 2, 3, 10, 11, 4, 5, 12, 13, 6, 7, 14, 15);
    const ol_qconst *q = a->w->q;
    gemv c = {.q = q, .f = olk_act_form_of(a->w), .act = a->act, .y = a->y, .ldy = a->ldy};
    c.g = olk_groups_of(q, &c.f, c.f.block16 ? lane_block16 : lane_block32);
    c.flip = _mm512_set1_epi8(q->code == OL_Q_I4 ? (char)0x88 : 0);
    c.whole = q->k / OLK_SPAN;
    c.row_codes_bytes = (q->k + 1) / 2;
    c.ahead = q->row_bytes <= 8192 ? 2 * q->row_bytes : 4096;
    for (int64_t i = m0; i < m1; i += MAX_MR)
        for (int64_t n = n0; n < n1; n += ROW_BLOCK)
            block(&c, n, n1 - n < ROW_BLOCK ? n1 - n : ROW_BLOCK, i, m1 - i < MAX_MR ? m1 - i : MAX_MR);
}

static bool accepts(const olk_weight *w) {
    return olk_linear_int8_ok(w) && (w->q->code == OL_Q_I4 || w->q->code == OL_Q_U4) && olk_groups_ok(w->q) &&
           olk_zeros_ok(w->q);
}
static size_t no_scratch(const olk_weight *w, int64_t m) {
    (void)w, (void)m;
    return 0;
}

const olk_linear olk_linear_i4_i8__vnni_gemv = {
    "olk_linear_i4_i8__vnni_gemv", OL_ISA_VNNI, OLK_DEFAULT, 1, 16, 8, 16, accepts, olk_act_bytes,
    olk_act_pack__avx512, no_scratch, run, olk_act_key};
