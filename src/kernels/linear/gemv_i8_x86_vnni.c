/* SPDX-License-Identifier: Apache-2.0 */
/* Rows of 8-bit codes times int8 activations, for 1 to 16 rows of x, straight from the file's layout. Eight dot products
 * cover a span of 512 k; their lanes (4 k each) are added crosswise to exact sums of the 16 (or twice 16) blocks, which
 * are scaled and accumulated in f32, span after span: the order does not depend on the number of rows. */
#include "kernels/linear/variants.h"
#include "kernels/linear/weight_x86_avx512.h"

/* gcc spills the accumulators of the intrinsic. */
OLK_INLINE __m512i dot4(__m512i u8, const void *s8) {
    __m512i acc = _mm512_setzero_si512();
    __asm__("vpdpbusd %2, %1, %0" : "+v"(acc) : "v"(u8), "m"(*(const __m512i *)s8));
    return acc;
}

#define MAX_MR 4   /* rows of x that share one reading */
#define AHEAD 4096 /* bytes between use and prefetch */

typedef struct gemv {
    const ol_qconst *q;
    olk_act_form f;
    olk_groups g;
    const uint8_t *act;
    float *y;
    int64_t ldy, whole; /* whole spans of k */
    __m512i flip;       /* makes codes unsigned */
} gemv;

typedef struct form { /* known when compiling */
    bool zp, block16;
} form;

OLK_INLINE __m512i codes(const gemv *c, const uint8_t *p, bool whole, int64_t left) {
    __mmask64 mask = left >= 64 ? ~0ull : left <= 0 ? 0 : (1ull << left) - 1;
    return _mm512_xor_si512(whole ? _mm512_loadu_si512(p) : _mm512_maskz_loadu_epi8(mask, p), c->flip);
}

/* [sum a, sum b, sum c, sum d] of every 128-bit lane. */
OLK_INLINE __m512i cross4(const __m512i *t) {
    __m512i ab = _mm512_add_epi32(_mm512_unpacklo_epi32(t[0], t[1]), _mm512_unpackhi_epi32(t[0], t[1]));
    __m512i cd = _mm512_add_epi32(_mm512_unpacklo_epi32(t[2], t[3]), _mm512_unpackhi_epi32(t[2], t[3]));
    return _mm512_add_epi32(_mm512_unpacklo_epi64(ab, cd), _mm512_unpackhi_epi64(ab, cd));
}

/* Scaled values of 16 blocks from their sums; v: the vectors of the activations, `stride` apart. */
OLK_INLINE __m512 values(__m512i sums, const uint8_t *v, int64_t stride, bool zp, __m512 zero) {
    __m512 f = _mm512_cvtepi32_ps(_mm512_add_epi32(sums, _mm512_load_si512(v + stride)));
    if (zp) f = _mm512_fnmadd_ps(zero, _mm512_load_ps(v + 2 * stride), f);
    return _mm512_mul_ps(f, _mm512_load_ps(v));
}

OLK_INLINE void span(const gemv *c, int64_t n, int64_t s, const uint8_t *x, bool whole, const int MR, const form f,
                     __m512 *acc) {
    const __m512i order16 = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
    const __m512i order32 = _mm512_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7, 8, 12, 9, 13, 10, 14, 11, 15);
    const uint8_t *w = c->q->codes + (size_t)n * c->q->row_bytes + s * OLK_SPAN;
    __m512i v[8];
    __m512 scale[2], zero[2];
    for (int h = 0; h <= f.block16; h++) {
        int64_t at = f.block16 ? 2 * s + h : s;
        scale[h] = olk_scales(c->q, &c->g, olk_row_scales(c->q, n), at, whole, c->q->scale_dtype);
        zero[h] = f.zp ? olk_zeros(c->q, &c->g, n, at) : _mm512_setzero_ps();
    }
    for (int j = 0; j < 8; j++) v[j] = codes(c, w + j * 64, whole, c->q->k - s * OLK_SPAN - j * 64);
#pragma GCC unroll 4
    for (int i = 0; i < MR; i++, x += c->f.row_bytes) {
        __m512i t[8];
#pragma GCC unroll 8
        for (int j = 0; j < 8; j++) t[j] = dot4(v[j], x + j * 64);
        __m512i a = cross4(t), b = cross4(t + 4);
        if (f.block16) {
            a = _mm512_permutexvar_epi32(order16, a);
            b = _mm512_permutexvar_epi32(order16, b);
            acc[i] = _mm512_fmadd_ps(values(a, x + OLK_SPAN, 128, f.zp, zero[0]), scale[0], acc[i]);
            acc[i] = _mm512_fmadd_ps(values(b, x + OLK_SPAN + 64, 128, f.zp, zero[1]), scale[1], acc[i]);
        } else {
            __m512i sums = _mm512_add_epi32(_mm512_shuffle_i32x4(a, b, 0x88), _mm512_shuffle_i32x4(a, b, 0xdd));
            sums = _mm512_permutexvar_epi32(order32, sums);
            acc[i] = _mm512_fmadd_ps(values(sums, x + OLK_SPAN, 64, f.zp, zero[0]), scale[0], acc[i]);
        }
    }
}

/* NR weight rows, whose spans alternate, times MR rows of x. */
OLK_INLINE void rows(const gemv *c, int64_t n, int64_t i0, const int NR, const int MR, const form f) {
    __m512 acc[2][MAX_MR];
#pragma GCC unroll 2
    for (int r = 0; r < NR; r++)
#pragma GCC unroll 4
        for (int i = 0; i < MR; i++) acc[r][i] = _mm512_setzero_ps();
    const uint8_t *x = c->act + i0 * c->f.row_bytes, *ahead = c->q->codes + (size_t)n * c->q->row_bytes + AHEAD;
    int64_t s = 0;
    for (; s < c->whole; s++, x += c->f.span_bytes) {
        for (int j = 0; j < 8 * NR; j++, ahead += 64) _mm_prefetch((const char *)ahead, _MM_HINT_T0);
#pragma GCC unroll 2
        for (int r = 0; r < NR; r++) span(c, n + r, s, x, true, MR, f, acc[r]);
    }
    if (s < c->f.spans)
#pragma GCC unroll 2
        for (int r = 0; r < NR; r++) span(c, n + r, s, x, false, MR, f, acc[r]);
#pragma GCC unroll 2
    for (int r = 0; r < NR; r++)
#pragma GCC unroll 4
        for (int i = 0; i < MR; i++) c->y[(i0 + i) * c->ldy + n + r] = c->q->global_scale * olk_sum16(acc[r][i]);
}

#define ROWS(NR, MR)                                                                                                 \
    static void rows_##NR##x##MR(const gemv *c, int64_t n, int64_t i0) {                                             \
        if (c->q->zero_dtype != OL_DTYPE_NONE)                                                                       \
            c->f.block16 ? rows(c, n, i0, NR, MR, (form){true, true}) : rows(c, n, i0, NR, MR, (form){true, false}); \
        else                                                                                                         \
            c->f.block16 ? rows(c, n, i0, NR, MR, (form){false, true}) : rows(c, n, i0, NR, MR, (form){false, false}); \
    }
ROWS(1, 1) ROWS(1, 2) ROWS(1, 3) ROWS(1, 4) ROWS(2, 1) ROWS(2, 2) ROWS(2, 3) ROWS(2, 4)

typedef void rows_fn(const gemv *, int64_t, int64_t);
static rows_fn *const by_rows[2][MAX_MR] = {{rows_1x1, rows_1x2, rows_1x3, rows_1x4},
                                            {rows_2x1, rows_2x2, rows_2x3, rows_2x4}};

static void run(const olk_linear_args *a, int64_t m0, int64_t m1, int64_t n0, int64_t n1, void *scratch) {
    (void)scratch;
    const __m512i natural = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    const ol_qconst *q = a->w->q;
    gemv c = {.q = q, .f = olk_act_form_of(a->w), .act = a->act, .y = a->y, .ldy = a->ldy, .whole = q->k / OLK_SPAN};
    c.g = olk_groups_of(q, &c.f, natural);
    c.flip = _mm512_set1_epi8(q->code == OL_Q_I8 ? (char)0x80 : 0);
    for (int64_t i = m0; i < m1; i += MAX_MR) /* these rows of x stay in the first-level cache */
        for (int64_t n = n0; n < n1; n += 2)
            by_rows[n + 1 < n1][(m1 - i < MAX_MR ? m1 - i : MAX_MR) - 1](&c, n, i);
}

static bool accepts(const olk_weight *w) {
    return olk_linear_int8_ok(w) && (w->q->code == OL_Q_I8 || w->q->code == OL_Q_U8) && olk_groups_ok(w->q) &&
           olk_zeros_ok(w->q);
}
static size_t no_scratch(const olk_weight *w, int64_t m) {
    (void)w, (void)m;
    return 0;
}

const olk_linear olk_linear_i8_i8__vnni_gemv = {
    "olk_linear_i8_i8__vnni_gemv", OL_ISA_VNNI, OLK_DEFAULT, 1, 16, 8, 16, accepts, olk_act_bytes,
    olk_act_pack__avx512, no_scratch, run, olk_act_key};
