/* SPDX-License-Identifier: Apache-2.0 */
/* Rows of 4-bit codes times int8 activations, for 1 to 16 rows of x, straight from the file's layout.
 *
 * 64 bytes of a weight row are 128 codes. Split into low and high nibbles they meet the even and odd activations in two
 * dot products, after which lane l of the accumulator holds the sum over 8 k. Such sums fit 16 bits (15 * 127 * 8), and
 * so do sums over 16 k, so that two rounds of pack-to-16-bit and add-pairs leave the 16 block sums of a span of 512 k in
 * one vector: 6 instructions for 8 dot products. These are scaled and accumulated in f32, lane by lane, span after span;
 * the order does not depend on the number of rows. */
#include "kernels/linear/variants.h"
#include "kernels/linear/weight_x86_avx512.h"

/* gcc spills the accumulators of the intrinsics. */
OLK_INLINE __m512i dot4(__m512i acc, __m512i u8, __m512i s8) {
    __asm__("vpdpbusd %2, %1, %0" : "+v"(acc) : "v"(u8), "v"(s8));
    return acc;
}
OLK_INLINE __m512i dot2(__m512i acc, __m512i a, __m512i b) {
    __asm__("vpdpwssd %2, %1, %0" : "+v"(acc) : "v"(a), "v"(b));
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
    int64_t row_codes_bytes;
} gemv;

/* 64 bytes of codes (fewer at the end of a row) as low and high nibbles. */
OLK_INLINE void unpack(const gemv *c, const uint8_t *p, bool whole, int64_t left, __m512i *lo, __m512i *hi) {
    const __m512i low = _mm512_set1_epi8(15);
    __mmask64 mask = left >= 64 ? ~0ull : left <= 0 ? 0 : (1ull << left) - 1;
    __m512i v = whole ? _mm512_loadu_si512(p) : _mm512_maskz_loadu_epi8(mask, p);
    v = _mm512_xor_si512(v, c->flip);
    *lo = _mm512_and_si512(v, low);
    *hi = _mm512_and_si512(_mm512_srli_epi16(v, 4), low);
}

/* Sums over 16 k of two chunks: in each 128-bit lane a, a', b, b'. */
OLK_INLINE __m512i pair_sums(__m512i a, __m512i b) {
    return _mm512_madd_epi16(_mm512_packs_epi32(a, b), _mm512_set1_epi16(1));
}

/* f32 value of 16 blocks before scaling: sum of (code - zero) * x. `x`: the vectors of the span, zero_at: offset of the
 * default zero's; the sums of x follow `stride` behind. */
OLK_INLINE __m512 block_value(__m512i packed, const uint8_t *x, int64_t zero_at, int64_t stride, bool zp, __m512 zero) {
    __m512 v = _mm512_cvtepi32_ps(dot2(_mm512_load_si512(x + zero_at), packed, _mm512_set1_epi16(1)));
    return zp ? _mm512_fnmadd_ps(zero, _mm512_load_ps(x + zero_at + stride), v) : v;
}

/* One span for NR weight rows and MR rows of x. */
OLK_INLINE void span(const gemv *c, const uint8_t *const *w, int64_t n, int64_t s, const uint8_t *x, bool whole,
                     const int NR, const int MR, const bool zp, const bool b16, const bool f32, __m512 (*acc)[4]) {
    int64_t xs = c->f.row_bytes;
    __m512i sums[2][4];
    __m512 scale[2][2], zero[2][2];
    for (int r = 0; r < NR; r++)
        for (int h = 0; h < (b16 ? 2 : 1); h++) {
            scale[r][h] = olk_scales(c->q, &c->g, olk_row_scales(c->q, n + r), b16 ? 2 * s + h : s, whole,
                                     f32 ? OL_F32 : c->q->scale_dtype);
            if (zp) zero[r][h] = olk_zeros(c->q, &c->g, n + r, b16 ? 2 * s + h : s);
        }
    for (int h = 0; h < 2; h++) {
        __m512i lo[2][2], hi[2][2];
        for (int r = 0; r < NR; r++)
            for (int j = 0; j < 2; j++) {
                int64_t at = s * 256 + h * 128 + j * 64;
                unpack(c, w[r] + at, whole, c->row_codes_bytes - at, &lo[r][j], &hi[r][j]);
            }
        for (int i = 0; i < MR; i++) {
            const uint8_t *xi = x + i * xs + h * 256;
            __m512i e0 = _mm512_load_si512(xi), o0 = _mm512_load_si512(xi + 64);
            __m512i e1 = _mm512_load_si512(xi + 128), o1 = _mm512_load_si512(xi + 192);
            for (int r = 0; r < NR; r++) {
                __m512i a = dot4(dot4(_mm512_setzero_si512(), lo[r][0], e0), hi[r][0], o0);
                __m512i b = dot4(dot4(_mm512_setzero_si512(), lo[r][1], e1), hi[r][1], o1);
                const uint8_t *xv = x + i * xs + OLK_SPAN;
                if (b16) {
                    __m512 v = block_value(_mm512_packs_epi32(a, b), xv, 128 + h * 64, 128, zp, zero[r][h]);
                    v = _mm512_mul_ps(v, _mm512_load_ps(xv + h * 64));
                    acc[r][i] = _mm512_fmadd_ps(v, scale[r][h], acc[r][i]);
                } else if (h == 0) {
                    sums[r][i] = pair_sums(a, b);
                } else {
                    __m512i all = _mm512_packs_epi32(sums[r][i], pair_sums(a, b));
                    __m512 v = _mm512_mul_ps(block_value(all, xv, 64, 64, zp, zero[r][0]), _mm512_load_ps(xv));
                    acc[r][i] = _mm512_fmadd_ps(v, scale[r][0], acc[r][i]);
                }
            }
        }
    }
}

#define SCALES_AHEAD 512 /* bytes between use and prefetch */
/* One line of every 256 bytes of codes, two pages ahead: the page is translated, and the second level's prefetcher, which ends
 * at the end of a page, is under way there before the row comes (10 % of decode at 1B). */
#define CODES_AHEAD 8192

/* NR weight rows times MR rows of x. Codes are not prefetched: one row of codes after the other is the pattern that the
 * prefetcher of the second-level cache follows, and it has more misses in flight than the first level can ask for. */
OLK_INLINE void rows(const gemv *c, int64_t n, int64_t i0, const int NR, const int MR, const bool zp, const bool b16,
                     const bool f32) {
    const uint8_t *w[2], *x = c->act + i0 * c->f.row_bytes;
    for (int r = 0; r < NR; r++) w[r] = c->q->codes + (size_t)(n + r) * c->q->row_bytes;
    __m512 acc[2][4];
    for (int r = 0; r < NR; r++)
        for (int i = 0; i < MR; i++) acc[r][i] = _mm512_setzero_ps();
    int64_t s = 0;
    for (; s < c->q->k / OLK_SPAN; s++, x += c->f.span_bytes) span(c, w, n, s, x, true, NR, MR, zp, b16, f32, acc);
    if (c->q->k % OLK_SPAN) span(c, w, n, s, x, false, NR, MR, zp, b16, f32, acc);
    for (int r = 0; r < NR; r++)
        for (int i = 0; i < MR; i++) c->y[(i0 + i) * c->ldy + n + r] = c->q->global_scale * olk_sum16(acc[r][i]);
}

/* The same bits as rows() for one row of each, blocks of 32 in groups of 32 and no zero points: what decoding with the
 * usual folders runs, with everything hoisted that the general form asks per span. */
OLK_INLINE void lean_row(const gemv *c, int64_t n, int64_t i0, const bool flip, const ol_dtype t) {
    const size_t size = t == OL_F32 ? 4 : 2;
    const __m512i low = _mm512_set1_epi8(15), lanes = c->g.lane_lo;
    const uint8_t *w = c->q->codes + (size_t)n * c->q->row_bytes, *x = c->act + i0 * c->f.row_bytes;
    const uint8_t *scales = olk_row_scales(c->q, n);
    int64_t spans = c->q->k / OLK_SPAN;
    __m512 acc[2][4] = {{_mm512_setzero_ps()}};
    for (int64_t s = 0; s < spans; s++, x += c->f.span_bytes) {
        const uint8_t *p = w + s * 256, *scale_at = scales + (size_t)s * 16 * size;
        _mm_prefetch((const char *)scale_at + SCALES_AHEAD, _MM_HINT_T0);
        _mm_prefetch((const char *)p + CODES_AHEAD, _MM_HINT_T1);
        __m512i sums[4];
        for (int j = 0; j < 4; j++) {
            __m512i v = _mm512_loadu_si512(p + j * 64);
            if (flip) v = _mm512_xor_si512(v, c->flip);
            __m512i lo = _mm512_and_si512(v, low), hi = _mm512_and_si512(_mm512_srli_epi16(v, 4), low);
            sums[j] = dot4(dot4(_mm512_setzero_si512(), lo, _mm512_load_si512(x + j * 128)), hi,
                           _mm512_load_si512(x + j * 128 + 64));
        }
        __m512i all = _mm512_packs_epi32(pair_sums(sums[0], sums[1]), pair_sums(sums[2], sums[3]));
        const uint8_t *xv = x + OLK_SPAN;
        __m512 v = _mm512_mul_ps(block_value(all, xv, 64, 64, false, _mm512_setzero_ps()), _mm512_load_ps(xv));
        __m512 scale = _mm512_permutexvar_ps(lanes, olk_load_floats(scale_at, t, 0xffff));
        acc[0][0] = _mm512_fmadd_ps(v, scale, acc[0][0]);
    }
    if (c->q->k % OLK_SPAN) span(c, &w, n, spans, x, false, 1, 1, false, false, false, acc);
    c->y[i0 * c->ldy + n] = c->q->global_scale * olk_sum16(acc[0][0]);
}

__attribute__((noinline)) static void lean_rows(const gemv *c, int64_t n0, int64_t n1, int64_t i0) {
    bool flip = c->q->code == OL_Q_I4;
    ol_dtype t = c->q->scale_dtype;
    for (int64_t n = n0; n < n1; n++)
        if (t == OL_F32)
            flip ? lean_row(c, n, i0, true, OL_F32) : lean_row(c, n, i0, false, OL_F32);
        else if (t == OL_F16)
            flip ? lean_row(c, n, i0, true, OL_F16) : lean_row(c, n, i0, false, OL_F16);
        else
            flip ? lean_row(c, n, i0, true, OL_BF16) : lean_row(c, n, i0, false, OL_BF16);
}

#define BLOCK(NR, MR)                                                                                                \
    __attribute__((noinline)) static void rows_##NR##x##MR(const gemv *c, int64_t n, int64_t i0) {                   \
        bool zp = c->q->zero_dtype != OL_DTYPE_NONE;                                                                 \
        if (c->f.block16)                                                                                            \
            zp ? rows(c, n, i0, NR, MR, true, true, false) : rows(c, n, i0, NR, MR, false, true, false);             \
        else if (zp)                                                                                                 \
            rows(c, n, i0, NR, MR, true, false, false);                                                              \
        else if (c->q->scale_dtype == OL_F32)                                                                        \
            rows(c, n, i0, NR, MR, false, false, true);                                                              \
        else                                                                                                         \
            rows(c, n, i0, NR, MR, false, false, false);                                                             \
    }
BLOCK(1, 1) BLOCK(1, 2) BLOCK(1, 3) BLOCK(1, 4) BLOCK(2, 1) BLOCK(2, 2) BLOCK(2, 3) BLOCK(2, 4)

typedef void rows_fn(const gemv *, int64_t, int64_t);
static rows_fn *const by_rows[2][4] = {{rows_1x1, rows_1x2, rows_1x3, rows_1x4}, {rows_2x1, rows_2x2, rows_2x3, rows_2x4}};

static void run(const olk_linear_args *a, int64_t m0, int64_t m1, int64_t n0, int64_t n1, void *scratch) {
    (void)scratch;
    const __m512i lane_block32 = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
    const __m512i lane_block16 = _mm512_setr_epi32(0, 1, 8, 9, 2, 3, 10, 11, 4, 5, 12, 13, 6, 7, 14, 15);
    const ol_qconst *q = a->w->q;
    gemv c = {.q = q, .f = olk_act_form_of(a->w), .act = a->act, .y = a->y, .ldy = a->ldy};
    c.g = olk_groups_of(q, &c.f, c.f.block16 ? lane_block16 : lane_block32);
    c.flip = _mm512_set1_epi8(q->code == OL_Q_I4 ? (char)0x88 : 0);
    c.row_codes_bytes = (q->k + 1) / 2;
    bool lean = !c.f.block16 && q->group == 32 && q->n_groups > 1 && q->zero_dtype == OL_DTYPE_NONE;
    if (lean && m1 - m0 == 1) {
        lean_rows(&c, n0, n1, m0);
        return;
    }
    for (int64_t i = m0; i < m1; i += 4) /* four rows of x stay in the first-level cache */
        for (int64_t n = n0; n < n1; n += 2) by_rows[n + 1 < n1][m1 - i < 4 ? m1 - i - 1 : 3](&c, n, i);
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
