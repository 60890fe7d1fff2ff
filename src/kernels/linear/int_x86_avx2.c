/* SPDX-License-Identifier: Apache-2.0 */
/* 4- and 8-bit weights times int8 activations on AVX2, for any number of rows, straight from the file's layout.
 *
 * A unit is 32 bytes of a weight row: 32 codes of 8 bits, or 64 of 4 bits, whose low and high nibbles meet the even and
 * odd activations. Codes less the code's own zero are signed bytes w; |w| <= 128 and |x| <= 127, so that the products of
 * |w| and x with the sign of w, added in pairs, fit 16 bits: 2 * 128 * 127 < 2^15. A lane of the 32-bit sums covers 4
 * (or 8) k of one block, so it is exact, and takes the scales of that block; 8 lanes are accumulated in f32, unit after
 * unit: the order depends neither on the rows nor on the tiles.
 *
 * Packed x: per unit the codes (32, or 32 even and 32 odd ones), then the block's scale for each of the 8 lanes. */
#include "kernels/linear/act.h"
#include "kernels/linear/variants.h"
#include <immintrin.h>
#include <math.h>
#include <string.h>

#define INLINE static inline __attribute__((always_inline))
#define MAX_MR 4

static bool nibbles_of(const olk_weight *w) { return w->q->code == OL_Q_I4 || w->q->code == OL_Q_U4; }

typedef struct act_form {
    int64_t units, unit_k, unit_bytes, row_bytes;
    bool nibbles;
} act_form;

static act_form form_of(const olk_weight *w) {
    act_form f = {.nibbles = nibbles_of(w)};
    f.unit_k = f.nibbles ? 64 : 32;
    f.unit_bytes = f.unit_k + 32;
    f.units = (w->q->k + f.unit_k - 1) / f.unit_k;
    f.row_bytes = f.units * f.unit_bytes;
    if (olk_act_staged(w)) f.row_bytes += (w->q->k * 4 + 31) / 32 * 32;
    return f;
}

static size_t act_bytes(const olk_weight *w, int64_t m) { return (size_t)(form_of(w).row_bytes * m); }

/* ---- packing ---- */

INLINE __m256i magnitudes(const float *x) {
    __m256i v = _mm256_loadu_si256((const __m256i *)(const void *)x);
    return _mm256_and_si256(v, _mm256_set1_epi32(0x7fffffff));
}
INLINE uint32_t max_lane(__m256i v) {
    __m128i a = _mm_max_epu32(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
    a = _mm_max_epu32(a, _mm_shuffle_epi32(a, 0x4e));
    return (uint32_t)_mm_cvtsi128_si32(_mm_max_epu32(a, _mm_shuffle_epi32(a, 0xb1)));
}
INLINE __m256i round8(const float *x, __m256 inv) {
    return _mm256_cvtps_epi32(_mm256_mul_ps(_mm256_loadu_ps(x), inv));
}

/* `block` (16 or 32) values to codes; returns the scale. Integer order of magnitudes: NaN above infinity above finite. */
static float quantize_block(const float *x, int64_t block, int8_t *codes) {
    __m256i top = _mm256_setzero_si256();
    for (int64_t j = 0; j < block; j += 8) top = _mm256_max_epu32(top, magnitudes(x + j));
    uint32_t bits = max_lane(top);
    float amax;
    memcpy(&amax, &bits, 4);
    if (bits >= 0x7f800000u || amax < 1e-30f) {
        memset(codes, 0, (size_t)block);
        return bits >= 0x7f800000u ? NAN : 0;
    }
    __m256 inv = _mm256_set1_ps(127.0f / amax);
    for (int64_t j = 0; j < block; j += 16) {
        __m256i v = _mm256_packs_epi32(round8(x + j, inv), round8(x + j + 8, inv));
        v = _mm256_permute4x64_epi64(v, 0xd8);
        __m128i b = _mm_packs_epi16(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
        _mm_storeu_si128((__m128i *)(void *)(codes + j), b);
    }
    return amax / 127.0f;
}

/* Lanes of a unit: 4 k each of 8 bits. 4 bits: lanes 0..3 hold the first 32 k, so every lane holds 8 k. */
static void pack_unit(const float *x, const act_form *f, int64_t block, uint8_t *out) {
    int8_t codes[64];
    float *scale = (float *)(void *)(out + f->unit_k);
    int64_t lanes = block / (f->nibbles ? 8 : 4);
    for (int64_t k = 0, lane = 0; k < f->unit_k; k += block) {
        float s = quantize_block(x + k, block, codes + k);
        for (int64_t l = 0; l < lanes; l++) scale[lane++] = s;
    }
    if (!f->nibbles) {
        memcpy(out, codes, 32);
        return;
    }
    const __m256i split = _mm256_setr_epi8(0, 2, 4, 6, 8, 10, 12, 14, 1, 3, 5, 7, 9, 11, 13, 15, 0, 2, 4, 6, 8, 10, 12, 14,
                                           1, 3, 5, 7, 9, 11, 13, 15);
    __m256i a = _mm256_shuffle_epi8(_mm256_loadu_si256((const __m256i *)(const void *)codes), split);
    __m256i b = _mm256_shuffle_epi8(_mm256_loadu_si256((const __m256i *)(const void *)(codes + 32)), split);
    __m256i even = _mm256_permute4x64_epi64(_mm256_unpacklo_epi64(a, b), 0xd8);
    __m256i odd = _mm256_permute4x64_epi64(_mm256_unpackhi_epi64(a, b), 0xd8);
    _mm256_storeu_si256((__m256i *)(void *)out, even);
    _mm256_storeu_si256((__m256i *)(void *)(out + 32), odd);
}

static void pack(const olk_weight *w, const float *x, int64_t ldx, int64_t m0, int64_t m1, int64_t m, void *act) {
    (void)m;
    act_form f = form_of(w);
    for (int64_t i = m0; i < m1; i++) {
        uint8_t *row = (uint8_t *)act + i * f.row_bytes;
        const float *v = olk_act_stage(w->q, x + i * ldx, (float *)(void *)(row + f.units * f.unit_bytes));
        for (int64_t u = 0; u < f.units; u++) {
            float part[64] = {0};
            const float *in = v + u * f.unit_k;
            int64_t left = w->q->k - u * f.unit_k;
            if (left < f.unit_k) in = memcpy(part, in, (size_t)left * 4);
            pack_unit(in, &f, olk_act_block(w), row + u * f.unit_bytes);
        }
    }
}

/* ---- multiplying ---- */

typedef struct product {
    const ol_qconst *q;
    act_form f;
    const uint8_t *act;
    float *y;
    int64_t ldy;
    int64_t codes_bytes;
    int64_t groups; /* in a unit, at least 1 */
    int shift;      /* if 1: group = unit >> shift */
    __m256i flip;   /* makes codes unsigned nibbles, or signed bytes */
    float bias; /* minus the code's own zero */
} product;

INLINE float scale_at(const product *c, int64_t row, int64_t g) {
    int64_t at = row * c->q->n_groups + g;
    if (c->q->scale_dtype == OL_F32) {
        float s;
        memcpy(&s, (const uint8_t *)c->q->scales + at * 4, 4);
        return s;
    }
    uint16_t h;
    memcpy(&h, (const uint8_t *)c->q->scales + at * 2, 2);
    if (c->q->scale_dtype == OL_F16) return _mm_cvtss_f32(_mm_cvtph_ps(_mm_cvtsi32_si128(h)));
    return _mm_cvtss_f32(_mm_castsi128_ps(_mm_cvtsi32_si128((int)((uint32_t)h << 16))));
}

INLINE float zero_at(const product *c, int64_t row, int64_t g) {
    const uint8_t *z = (const uint8_t *)c->q->zeros + (size_t)row * c->q->zero_row_bytes;
    if (c->q->zero_dtype == OL_U4) return (float)(z[g / 2] >> (g & 1) * 4 & 15) + c->bias;
    if (c->q->zero_dtype == OL_U8) return (float)z[g] + c->bias;
    return (float)ol_elem_get(c->q->zero_dtype, z, (uint64_t)g) + c->bias;
}

/* Scale, or zero point less the code's own, of every lane of unit u: of 1, 2 or 4 groups. */
INLINE __m256 lane_values(const product *c, int64_t row, int64_t u, float (*at)(const product *, int64_t, int64_t)) {
    if (c->groups == 1) return _mm256_set1_ps(at(c, row, u >> c->shift));
    int64_t g = u * c->groups, last = c->q->n_groups - 1; /* past the end x is 0 */
    __m128 lo = _mm_set1_ps(at(c, row, g)), hi = _mm_set1_ps(at(c, row, g < last ? g + 1 : last));
    if (c->groups == 2) return _mm256_insertf128_ps(_mm256_castps128_ps256(lo), hi, 1);
    __m128 lo2 = _mm_set1_ps(at(c, row, g + 2 < last ? g + 2 : last));
    __m128 hi2 = _mm_set1_ps(at(c, row, g + 3 < last ? g + 3 : last));
    return _mm256_insertf128_ps(_mm256_castps128_ps256(_mm_blend_ps(lo, hi, 12)), _mm_blend_ps(lo2, hi2, 12), 1);
}

/* 16-bit sums of pairs of products. */
INLINE __m256i pairs(__m256i w, __m256i size, const uint8_t *x) {
    return _mm256_maddubs_epi16(size, _mm256_sign_epi8(_mm256_load_si256((const __m256i *)(const void *)x), w));
}
INLINE __m256i code_sums(const uint8_t *x, const bool nibbles) {
    const __m256i one = _mm256_set1_epi8(1);
    __m256i s = _mm256_maddubs_epi16(one, _mm256_load_si256((const __m256i *)(const void *)x));
    if (nibbles)
        s = _mm256_add_epi16(s, _mm256_maddubs_epi16(one, _mm256_load_si256((const __m256i *)(const void *)(x + 32))));
    return _mm256_madd_epi16(s, _mm256_set1_epi16(1));
}

INLINE void unit(const product *c, int64_t row, int64_t u, const uint8_t *p, const uint8_t *x, const int MR,
                 const bool nibbles, const bool zp, __m256 *acc) {
    __m256i v = _mm256_xor_si256(_mm256_loadu_si256((const __m256i *)(const void *)p), c->flip), w[2], size[2];
    if (nibbles) {
        const __m256i low = _mm256_set1_epi8(15), eight = _mm256_set1_epi8(8);
        w[0] = _mm256_sub_epi8(_mm256_and_si256(v, low), eight);
        w[1] = _mm256_sub_epi8(_mm256_and_si256(_mm256_srli_epi16(v, 4), low), eight);
        size[1] = _mm256_abs_epi8(w[1]);
    } else {
        w[0] = v;
    }
    size[0] = _mm256_abs_epi8(w[0]);
    __m256 scale = lane_values(c, row, u, scale_at);
    __m256 zero = zp ? lane_values(c, row, u, zero_at) : _mm256_setzero_ps();
#pragma GCC unroll 4
    for (int i = 0; i < MR; i++, x += c->f.row_bytes) {
        __m256i s = pairs(w[0], size[0], x);
        if (nibbles) s = _mm256_add_epi16(s, pairs(w[1], size[1], x + 32));
        __m256 y = _mm256_cvtepi32_ps(_mm256_madd_epi16(s, _mm256_set1_epi16(1)));
        if (zp) y = _mm256_fnmadd_ps(zero, _mm256_cvtepi32_ps(code_sums(x, nibbles)), y);
        __m256 xs = _mm256_load_ps((const float *)(const void *)(x + (nibbles ? 64 : 32)));
        acc[i] = _mm256_fmadd_ps(_mm256_mul_ps(y, xs), scale, acc[i]);
    }
}

INLINE float sum8(__m256 v) {
    __m128 b = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
    b = _mm_add_ps(b, _mm_movehl_ps(b, b));
    return _mm_cvtss_f32(_mm_add_ss(b, _mm_movehdup_ps(b)));
}

INLINE void rows(const product *c, int64_t n, int64_t i0, const int MR, const bool nibbles, const bool zp) {
    const uint8_t *w = c->q->codes + (size_t)n * c->q->row_bytes, *x = c->act + i0 * c->f.row_bytes;
    __m256 acc[MAX_MR];
#pragma GCC unroll 4
    for (int i = 0; i < MR; i++) acc[i] = _mm256_setzero_ps();
    int64_t u = 0;
    for (; u < c->codes_bytes / 32; u++, w += 32, x += nibbles ? 96 : 64) {
        _mm_prefetch((const char *)w + 2048, _MM_HINT_T0);
        unit(c, n, u, w, x, MR, nibbles, zp, acc);
    }
    if (u < c->f.units) {
        uint8_t part[32] = {0};
        memcpy(part, w, (size_t)(c->codes_bytes - u * 32));
        unit(c, n, u, part, x, MR, nibbles, zp, acc);
    }
#pragma GCC unroll 4
    for (int i = 0; i < MR; i++) c->y[(i0 + i) * c->ldy + n] = c->q->global_scale * sum8(acc[i]);
}

#define ROWS(MR)                                                                                                     \
    __attribute__((noinline)) static void rows_##MR(const product *c, int64_t n, int64_t i) {                        \
        if (c->q->zero_dtype != OL_DTYPE_NONE)                                                                       \
            c->f.nibbles ? rows(c, n, i, MR, true, true) : rows(c, n, i, MR, false, true);                           \
        else                                                                                                         \
            c->f.nibbles ? rows(c, n, i, MR, true, false) : rows(c, n, i, MR, false, false);                         \
    }
ROWS(1) ROWS(2) ROWS(3) ROWS(4)
typedef void rows_fn(const product *, int64_t, int64_t);
static rows_fn *const by_rows[MAX_MR] = {rows_1, rows_2, rows_3, rows_4};

static void run(const olk_linear_args *a, int64_t m0, int64_t m1, int64_t n0, int64_t n1, void *scratch) {
    (void)scratch;
    const ol_qconst *q = a->w->q;
    product c = {.q = q, .f = form_of(a->w), .act = a->act, .y = a->y, .ldy = a->ldy};
    c.codes_bytes = c.f.nibbles ? (q->k + 1) / 2 : q->k;
    c.groups = q->n_groups == 1 || q->group >= c.f.unit_k ? 1 : c.f.unit_k / q->group;
    c.shift = q->n_groups == 1 ? 62 : c.groups == 1 ? __builtin_ctzll((uint64_t)(q->group / c.f.unit_k)) : 0;
    c.flip = _mm256_set1_epi8(q->code == OL_Q_I4 ? (char)0x88 : q->code == OL_Q_U8 ? (char)0x80 : 0);
    c.bias = q->code == OL_Q_U4 ? -8 : q->code == OL_Q_U8 ? -128 : 0;
    for (int64_t i = m0; i < m1; i += MAX_MR) /* these rows of x stay in the first-level cache */
        for (int64_t n = n0; n < n1; n++) by_rows[(m1 - i < MAX_MR ? m1 - i : MAX_MR) - 1](&c, n, i);
}

static bool accepts(const olk_weight *w) {
    if (!olk_linear_int8_ok(w)) return false;
    return w->q->n_groups == 1 || (w->q->group >= 16 && (w->q->group & (w->q->group - 1)) == 0);
}
static size_t no_scratch(const olk_weight *w, int64_t m) {
    (void)w, (void)m;
    return 0;
}

const olk_linear olk_linear_int_i8__avx2 = {
    "olk_linear_int_i8__avx2", OL_ISA_AVX2, OLK_DEFAULT, 1, INT64_MAX, 8, 16, accepts, act_bytes, pack, no_scratch, run,
    olk_act_key};
