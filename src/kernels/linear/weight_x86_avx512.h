/* SPDX-License-Identifier: Apache-2.0 */
/* Reading scales and zero points of one weight row, 16 blocks of a span at a time, for AVX-512 variants. */
#ifndef OLK_LINEAR_WEIGHT_X86_AVX512_H
#define OLK_LINEAR_WEIGHT_X86_AVX512_H

#include "kernels/linear/act.h"
#include <immintrin.h>
#include <string.h>

#define OLK_INLINE static inline __attribute__((always_inline))

/* How blocks of a span map to groups of a weight. */
typedef struct olk_groups {
    int shift;         /* group = block << shift; 31: one group a row */
    int64_t per_half;  /* groups in 16 blocks, at least 1 */
    __m512i lane_lo;   /* group (from the first of these 16 blocks) of a lane */
    __mmask16 mask;    /* per_half ones */
    float zero_bias;   /* minus the zero point that the activations' vectors account for */
} olk_groups;

/* True when groups are blocks times a power of two, or the whole row. */
static inline bool olk_groups_ok(const ol_qconst *q) {
    if (q->n_groups == 1) return true;
    return (q->group & (q->group - 1)) == 0 && q->group >= 16;
}

/* lane_block: block of 16 that a lane holds. */
OLK_INLINE olk_groups olk_groups_of(const ol_qconst *q, const olk_act_form *f, __m512i lane_block) {
    olk_groups g;
    int64_t block = f->block16 ? 16 : 32;
    g.shift = q->n_groups == 1 ? 31 : __builtin_ctzll((uint64_t)(q->group / block));
    g.per_half = g.shift >= 4 ? 1 : 16 >> g.shift;
    g.lane_lo = g.shift >= 4 ? _mm512_setzero_si512() : _mm512_srl_epi32(lane_block, _mm_cvtsi32_si128(g.shift));
    g.mask = (__mmask16)((1u << g.per_half) - 1);
    g.zero_bias = q->code == OL_Q_U4 ? -8 : q->code == OL_Q_U8 ? -128 : 0;
    return g;
}

OLK_INLINE __m512 olk_load_floats(const void *p, ol_dtype t, __mmask16 mask) {
    if (t == OL_F32) return _mm512_maskz_loadu_ps(mask, p);
    __m256i h = _mm256_maskz_loadu_epi16(mask, p);
    if (t == OL_F16) return _mm512_cvtph_ps(h);
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(h), 16));
}

OLK_INLINE __mmask16 olk_group_mask(const ol_qconst *q, const olk_groups *g, int64_t first) {
    int64_t n = q->n_groups - first < g->per_half ? q->n_groups - first : g->per_half;
    return (__mmask16)(n <= 0 ? 0 : (1u << n) - 1);
}

/* Scales of blocks [16 h, 16 h + 16) of a row, in lane order. whole: none of them lies past the end; t: the type. */
OLK_INLINE __m512 olk_scales(const ol_qconst *q, const olk_groups *g, const uint8_t *row_scales, int64_t h, bool whole,
                             ol_dtype t) {
    int64_t first = h * 16 >> g->shift;
    __mmask16 mask = whole ? g->mask : olk_group_mask(q, g, first);
    const uint8_t *p = row_scales + (size_t)first * (t == OL_F32 ? 4 : 2);
    return _mm512_permutexvar_ps(g->lane_lo, olk_load_floats(p, t, mask));
}
OLK_INLINE const uint8_t *olk_row_scales(const ol_qconst *q, int64_t row) {
    return (const uint8_t *)q->scales + (size_t)(row * q->n_groups) * (q->scale_dtype == OL_F32 ? 4 : 2);
}

/* Nibbles from group `first` on, one a byte. */
OLK_INLINE __m128i olk_zero_nibbles(const uint8_t *z, int64_t first, int64_t n) {
    uint64_t bits = 0;
    memcpy(&bits, z + first / 2, (size_t)((first % 2 + n + 1) / 2));
    bits >>= first % 2 * 4;
    __m128i v = _mm_cvtsi64_si128((long long)bits), low = _mm_set1_epi8(15);
    return _mm_unpacklo_epi8(_mm_and_si128(v, low), _mm_and_si128(_mm_srli_epi16(v, 4), low));
}

/* Zero points likewise, less the default one of the code. */
OLK_INLINE __m512 olk_zeros(const ol_qconst *q, const olk_groups *g, int64_t row, int64_t h) {
    int64_t first = h * 16 >> g->shift;
    const uint8_t *z = (const uint8_t *)q->zeros + (size_t)row * q->zero_row_bytes;
    __mmask16 mask = olk_group_mask(q, g, first);
    __m512i v = _mm512_setzero_si512();
    __m512 f;
    if (q->zero_dtype == OL_U4 || q->zero_dtype == OL_I4) {
        if (mask) v = _mm512_cvtepu8_epi32(olk_zero_nibbles(z, first, __builtin_popcount(mask)));
        if (q->zero_dtype == OL_I4) {
            const __m512i eight = _mm512_set1_epi32(8);
            v = _mm512_sub_epi32(_mm512_xor_si512(v, eight), eight);
        }
        f = _mm512_cvtepi32_ps(v);
    } else if (q->zero_dtype == OL_U8) {
        f = _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(_mm_maskz_loadu_epi8(mask, z + first)));
    } else if (q->zero_dtype == OL_I8) {
        f = _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_maskz_loadu_epi8(mask, z + first)));
    } else {
        f = olk_load_floats(z + (size_t)first * (q->zero_dtype == OL_F32 ? 4 : 2), q->zero_dtype, mask);
    }
    f = _mm512_add_ps(f, _mm512_set1_ps(g->zero_bias));
    return _mm512_permutexvar_ps(g->lane_lo, f);
}

static inline bool olk_zeros_ok(const ol_qconst *q) {
    ol_dtype t = q->zero_dtype;
    return t == OL_DTYPE_NONE || t == OL_U4 || t == OL_I4 || t == OL_U8 || t == OL_I8 || t == OL_F32 || t == OL_F16 ||
           t == OL_BF16;
}

/* Sum of the lanes, in a fixed order. */
OLK_INLINE float olk_sum16(__m512 v) {
    __m256 a = _mm256_add_ps(_mm512_castps512_ps256(v), _mm512_extractf32x8_ps(v, 1));
    __m128 b = _mm_add_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
    b = _mm_add_ps(b, _mm_movehl_ps(b, b));
    return _mm_cvtss_f32(_mm_add_ss(b, _mm_movehdup_ps(b)));
}

#endif
