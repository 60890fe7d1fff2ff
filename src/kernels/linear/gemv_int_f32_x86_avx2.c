/* SPDX-License-Identifier: Apache-2.0 */
/* gemv_int_f32_x86.h for 256-bit vectors. */
#include "kernels/linear/linear.h"
#include <immintrin.h>

#define W 8
#define MAX_ROWS 4
#define SUMS 1

typedef __m256 vf;
typedef __m256i vi;
#define vzero _mm256_setzero_ps
#define vset1 _mm256_set1_ps
#define vload(p) _mm256_loadu_ps(p)
#define vfma _mm256_fmadd_ps
#define vadd _mm256_add_ps
#define vsub _mm256_sub_ps
#define vmul _mm256_mul_ps
#define vwiden(v) (v)
#define vpermute(v, i) _mm256_permutevar8x32_ps(v, i)

static inline vf vload_part(const float *p, int64_t n) {
    const __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    return _mm256_maskload_ps(p, _mm256_cmpgt_epi32(_mm256_set1_epi32((int)n), lane));
}
static inline vi vlane_groups(int shift) {
    const __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    return _mm256_srl_epi32(lane, _mm_cvtsi32_si128(shift));
}
/* Words of 8 codes, in two's complement. */
static inline vi vflip(ol_qcode code) {
    return _mm256_set1_epi8(code == OL_Q_U4 ? (char)0x88 : code == OL_Q_U8 ? (char)0x80 : 0);
}
static inline vi vload_words(const uint8_t *p, vi flip) {
    return _mm256_xor_si256(_mm256_loadu_si256((const __m256i *)(const void *)p), flip);
}
static inline vf vnibbles(vi words, const int j) {
    return _mm256_cvtepi32_ps(_mm256_srai_epi32(j < 7 ? _mm256_slli_epi32(words, 28 - 4 * j) : words, 28));
}
/* Nibble `group` of a word, plus bias. */
static inline vf vlane_nibbles(uint32_t bits, vi group, float bias) {
    __m256i v = _mm256_srlv_epi32(_mm256_set1_epi32((int)bits), _mm256_slli_epi32(group, 2));
    return _mm256_add_ps(_mm256_cvtepi32_ps(_mm256_and_si256(v, _mm256_set1_epi32(15))), _mm256_set1_ps(bias));
}
static inline vf vbytes(const uint8_t *p, vi flip) {
    __m128i b = _mm_xor_si128(_mm_loadl_epi64((const __m128i *)(const void *)p), _mm256_castsi256_si128(flip));
    return _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(b));
}
static inline float vsum(vf v) {
    __m128 b = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
    b = _mm_add_ps(b, _mm_movehl_ps(b, b));
    return _mm_cvtss_f32(_mm_add_ss(b, _mm_movehdup_ps(b)));
}

#include "kernels/linear/gemv_int_f32_x86.h"

const olk_linear olk_linear_int_f32__avx2_gemv = {
    "olk_linear_int_f32__avx2_gemv", OL_ISA_AVX2, OLK_F32, 1, 16, 8, 16, accepts, act_bytes, pack, no_scratch, run,
    act_key};
