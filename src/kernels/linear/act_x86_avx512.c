/* SPDX-License-Identifier: Apache-2.0 */
/* Packs rows into the SIMD form of act.h. */
#include "kernels/linear/act.h"
#include <immintrin.h>
#include <string.h>

/* [max a, max b, max c, max d] in every 128-bit lane, over that lane. */
static inline __m512i max4(__m512i a, __m512i b, __m512i c, __m512i d) {
    __m512i ab = _mm512_max_epu32(_mm512_unpacklo_epi32(a, b), _mm512_unpackhi_epi32(a, b));
    __m512i cd = _mm512_max_epu32(_mm512_unpacklo_epi32(c, d), _mm512_unpackhi_epi32(c, d));
    return _mm512_max_epu32(_mm512_unpacklo_epi64(ab, cd), _mm512_unpackhi_epi64(ab, cd));
}

/* Lane i: the maximum over v[i]. */
static inline __m512i max16(const __m512i v[16]) {
    __m512i a = max4(v[0], v[1], v[2], v[3]), b = max4(v[4], v[5], v[6], v[7]);
    __m512i c = max4(v[8], v[9], v[10], v[11]), d = max4(v[12], v[13], v[14], v[15]);
    __m512i ab = _mm512_max_epu32(_mm512_shuffle_i32x4(a, b, 0x88), _mm512_shuffle_i32x4(a, b, 0xdd));
    __m512i cd = _mm512_max_epu32(_mm512_shuffle_i32x4(c, d, 0x88), _mm512_shuffle_i32x4(c, d, 0xdd));
    return _mm512_max_epu32(_mm512_shuffle_i32x4(ab, cd, 0x88), _mm512_shuffle_i32x4(ab, cd, 0xdd));
}

static inline __mmask16 tail_mask(int64_t left) {
    return (__mmask16)(left >= 16 ? 0xffff : left <= 0 ? 0 : (1u << left) - 1);
}

/* Absolute values as integers (NaN above infinity above finite) of 16 blocks' first or only vectors. */
static inline __m512i block_max(const float *x, int64_t n, int64_t block, int64_t first) {
    const __m512i magnitude = _mm512_set1_epi32(0x7fffffff);
    __m512i v[16];
    for (int b = 0; b < 16; b++) {
        int64_t k = (first + b) * block;
        v[b] = _mm512_and_si512(_mm512_maskz_loadu_epi32(tail_mask(n - k), x + k), magnitude);
        if (block == 32) {
            __m512i u = _mm512_maskz_loadu_epi32(tail_mask(n - k - 16), x + k + 16);
            v[b] = _mm512_max_epu32(v[b], _mm512_and_si512(u, magnitude));
        }
    }
    return max16(v);
}

/* Scale of 16 blocks; *inv: what their values are multiplied with; returned: blocks whose codes are not all 0. */
static inline __mmask16 block_scales(__m512i bits, __m512 *scale, __m512 *inv) {
    __m512 amax = _mm512_castsi512_ps(bits), c127 = _mm512_set1_ps(127);
    __mmask16 finite = _mm512_cmplt_epu32_mask(bits, _mm512_set1_epi32(0x7f800000));
    __mmask16 live = finite & _mm512_cmp_ps_mask(amax, _mm512_set1_ps(1e-30f), _CMP_GE_OQ);
    *scale = _mm512_maskz_div_ps(live, amax, c127);
    *scale = _mm512_mask_blend_ps(finite, _mm512_castsi512_ps(_mm512_set1_epi32(0x7fc00000)), *scale);
    *inv = _mm512_maskz_div_ps(live, c127, amax);
    return live;
}

/* Codes of a span in natural order. */
static inline void quantize(const float *x, int64_t n, int64_t block, const float *inv, uint32_t live, int8_t *out) {
    for (int64_t k = 0; k < OLK_SPAN; k += 16) {
        int64_t b = k / block;
        __mmask16 mask = live >> b & 1 ? tail_mask(n - k) : 0;
        __m512 v = _mm512_mul_ps(_mm512_maskz_loadu_ps(mask, x + k), _mm512_set1_ps(inv[b]));
        _mm_store_si128((__m128i *)(void *)(out + k), _mm512_cvtepi32_epi8(_mm512_cvtps_epi32(v)));
    }
}

/* 64 even and 64 odd codes of 128. */
static inline void deinterleave(const int8_t *q, __m512i *even, __m512i *odd) {
    __m512i a = _mm512_load_si512(q), b = _mm512_load_si512(q + 64);
    *even = _mm512_inserti64x4(_mm512_castsi256_si512(_mm512_cvtepi16_epi8(a)), _mm512_cvtepi16_epi8(b), 1);
    *odd = _mm512_inserti64x4(_mm512_castsi256_si512(_mm512_cvtepi16_epi8(_mm512_srli_epi16(a, 8))),
                              _mm512_cvtepi16_epi8(_mm512_srli_epi16(b, 8)), 1);
}

/* Sums of 8 codes each, from their even and odd parts. */
static inline __m512i sum8(__m512i even, __m512i odd) {
    const __m512i one8 = _mm512_set1_epi8(1), one16 = _mm512_set1_epi16(1);
    __m512i s = _mm512_add_epi16(_mm512_maddubs_epi16(one8, even), _mm512_maddubs_epi16(one8, odd));
    return _mm512_madd_epi16(s, one16);
}

static void store_vectors(uint8_t *out, const olk_act_form *f, int half, __m512 scale, __m512i sum) {
    __m512i zero = f->nibbles ? _mm512_slli_epi32(sum, 3) : _mm512_slli_epi32(sum, 7);
    _mm512_store_ps(out + olk_act_vec(f, 0) + half * 64, scale);
    _mm512_store_si512(out + olk_act_vec(f, 1) + half * 64, _mm512_sub_epi32(_mm512_setzero_si512(), zero));
    _mm512_store_ps(out + olk_act_vec(f, 2) + half * 64, _mm512_cvtepi32_ps(sum));
}

static void pack_span(const float *x, int64_t n, const olk_act_form *f, uint8_t *out) {
    const __m512i lane32 = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
    const __m512i lane16 = _mm512_setr_epi32(0, 1, 8, 9, 2, 3, 10, 11, 4, 5, 12, 13, 6, 7, 14, 15);
    const __m512i back16 = _mm512_setr_epi32(0, 1, 4, 5, 8, 9, 12, 13, 2, 3, 6, 7, 10, 11, 14, 15);
    const __m512i one16 = _mm512_set1_epi16(1);
    int64_t block = f->block16 ? 16 : 32;
    _Alignas(64) int8_t natural[OLK_SPAN];
    _Alignas(64) float inv[32];
    __m512 scale[2], iv[2];
    uint32_t live = block_scales(block_max(x, n, block, 0), &scale[0], &iv[0]);
    _mm512_store_ps(inv, iv[0]);
    if (f->block16) {
        live |= (uint32_t)block_scales(block_max(x, n, block, 16), &scale[1], &iv[1]) << 16;
        _mm512_store_ps(inv + 16, iv[1]);
    }
    quantize(x, n, block, inv, live, natural);
    __m512i s[4];
    for (int c = 0; c < 4; c++) {
        __m512i even, odd;
        deinterleave(natural + 128 * c, &even, &odd);
        s[c] = sum8(even, odd);
        _mm512_store_si512(out + 128 * c, f->nibbles ? even : _mm512_load_si512(natural + 128 * c));
        _mm512_store_si512(out + 128 * c + 64, f->nibbles ? odd : _mm512_load_si512(natural + 128 * c + 64));
    }
    __m512i ab = _mm512_madd_epi16(_mm512_packs_epi32(s[0], s[1]), one16);
    __m512i cd = _mm512_madd_epi16(_mm512_packs_epi32(s[2], s[3]), one16);
    if (f->block16) {
        for (int h = 0; h < 2; h++) {
            __m512i sum = h ? cd : ab;
            if (f->nibbles)
                store_vectors(out, f, h, _mm512_permutexvar_ps(lane16, scale[h]), sum);
            else
                store_vectors(out, f, h, scale[h], _mm512_permutexvar_epi32(back16, sum));
        }
        return;
    }
    __m512i sum = _mm512_madd_epi16(_mm512_packs_epi32(ab, cd), one16);
    if (f->nibbles)
        store_vectors(out, f, 0, _mm512_permutexvar_ps(lane32, scale[0]), sum);
    else
        store_vectors(out, f, 0, scale[0], _mm512_permutexvar_epi32(lane32, sum));
}

void olk_act_pack__avx512(const olk_weight *w, const float *x, int64_t ldx, int64_t m0, int64_t m1, int64_t m,
                          void *act) {
    (void)m;
    olk_act_form f = olk_act_form_of(w);
    int64_t k = w->q->k;
    for (int64_t i = m0; i < m1; i++) {
        uint8_t *row = (uint8_t *)act + i * f.row_bytes;
        const float *v = olk_act_stage(w->q, x + i * ldx, (float *)(void *)(row + f.spans * f.span_bytes));
        for (int64_t s = 0; s < f.spans; s++)
            pack_span(v + s * OLK_SPAN, k - s * OLK_SPAN, &f, row + s * f.span_bytes);
    }
}
