/* SPDX-License-Identifier: Apache-2.0 */
/* gemv_int_f32_x86.h for 512-bit vectors: 4-bit codes are looked up, 16 at a time. */
#include "kernels/linear/linear.h"
#include <immintrin.h>

#define W 16
#define MAX_ROWS 4
#define SUMS 2

typedef __m512 vf;
typedef __m512i vi;
#define vzero _mm512_setzero_ps
#define vset1 _mm512_set1_ps
#define vload(p) _mm512_loadu_ps(p)
#define vfma _mm512_fmadd_ps
#define vadd _mm512_add_ps
#define vsub _mm512_sub_ps
#define vmul _mm512_mul_ps
#define vwiden _mm512_castps256_ps512 /* lanes 8 to 15 are not read */
#define vpermute(v, i) _mm512_permutexvar_ps(i, v)

static inline vf vload_part(const float *p, int64_t n) {
    return _mm512_maskz_loadu_ps((__mmask16)(n >= 16 ? 0xffff : (1u << n) - 1), p);
}
static inline vi vlane_groups(int shift) {
    const __m512i lane = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    return _mm512_srl_epi32(lane, _mm_cvtsi32_si128(shift));
}
/* Words of 8 codes, as unsigned ones whose zero is 8. */
static inline vi vload_words(const uint8_t *p, vi flip) { return _mm512_xor_si512(_mm512_loadu_si512(p), flip); }
static inline vi vflip(ol_qcode code) {
    return _mm512_set1_epi8(code == OL_Q_I4 ? (char)0x88 : code == OL_Q_U8 ? (char)0x80 : 0);
}
/* Nibble `group` of a word, plus bias. */
static inline vf vlane_nibbles(uint32_t bits, vi group, float bias) {
    __m512i v = _mm512_srlv_epi32(_mm512_set1_epi32((int)bits), _mm512_slli_epi32(group, 2));
    return _mm512_add_ps(_mm512_cvtepi32_ps(_mm512_and_si512(v, _mm512_set1_epi32(15))), _mm512_set1_ps(bias));
}
static inline vf vnibbles(vi words, const int j) {
    const __m512 value = _mm512_setr_ps(-8, -7, -6, -5, -4, -3, -2, -1, 0, 1, 2, 3, 4, 5, 6, 7);
    return _mm512_permutexvar_ps(j ? _mm512_srli_epi32(words, (unsigned)(4 * j)) : words, value);
}
static inline vf vbytes(const uint8_t *p, vi flip) {
    __m128i b = _mm_xor_si128(_mm_loadu_si128((const __m128i *)(const void *)p), _mm512_castsi512_si128(flip));
    return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(b));
}
static inline float vsum(vf v) {
    __m256 a = _mm256_add_ps(_mm512_castps512_ps256(v), _mm512_extractf32x8_ps(v, 1));
    __m128 b = _mm_add_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
    b = _mm_add_ps(b, _mm_movehl_ps(b, b));
    return _mm_cvtss_f32(_mm_add_ss(b, _mm_movehdup_ps(b)));
}

#include "kernels/linear/gemv_int_f32_x86.h"

const olk_linear olk_linear_int_f32__avx512_gemv = {
    "olk_linear_int_f32__avx512_gemv", OL_ISA_AVX512, OLK_F32, 1, 16, 8, 16, accepts, act_bytes, pack, no_scratch, run,
    act_key};
