/* SPDX-License-Identifier: Apache-2.0 */
/* float_x86.h for 512-bit vectors. */
#include "kernels/linear/transpose_x86_avx512.h"
#include "kernels/linear/linear.h"
#include <immintrin.h>
#include <math.h>

#define W 16
#define NV 2
#define MR 12
#define TILE_SIZES(X) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11) X(12)
#define GEMV_ROWS 4
#define ISA avx512
#define ISA_FLAGS OL_ISA_AVX512

typedef __m512 vf;
#define vzero _mm512_setzero_ps
#define vset1 _mm512_set1_ps
#define vload(p) _mm512_loadu_ps(p)
#define vstore(p, v) _mm512_storeu_ps(p, v)
#define vfma _mm512_fmadd_ps
#define vadd _mm512_add_ps
#define vsub _mm512_sub_ps
#define vmul _mm512_mul_ps

static inline __mmask16 part_mask(int64_t n) {
    return (__mmask16)(n >= 16 ? 0xffff : n <= 0 ? 0 : (1u << n) - 1);
}
static inline vf vload_part(const void *p, int64_t n) { return _mm512_maskz_loadu_ps(part_mask(n), p); }
static inline void vstore_part(float *p, vf v, int64_t n) { _mm512_mask_storeu_ps(p, part_mask(n), v); }
static inline vf vload_half(const uint8_t *p) { return _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)(const void *)p)); }
static inline vf vload_bf16(const uint8_t *p) {
    __m512i v = _mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i *)(const void *)p));
    return _mm512_castsi512_ps(_mm512_slli_epi32(v, 16));
}
static inline vf vload_codes(ol_qcode code, const uint8_t *p) {
    if (code == OL_Q_U8 || code == OL_Q_I8) {
        __m128i b = _mm_loadu_si128((const __m128i *)(const void *)p);
        return _mm512_cvtepi32_ps(code == OL_Q_U8 ? _mm512_cvtepu8_epi32(b) : _mm512_cvtepi8_epi32(b));
    }
    __m128i b = _mm_loadl_epi64((const __m128i *)(const void *)p), low = _mm_set1_epi8(15), eight = _mm_set1_epi8(8);
    b = _mm_unpacklo_epi8(_mm_and_si128(b, low), _mm_and_si128(_mm_srli_epi16(b, 4), low));
    if (code == OL_Q_I4) b = _mm_sub_epi8(_mm_xor_si128(b, eight), eight);
    return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(b));
}
static inline vf vload_table4(const float *table, const uint8_t *p) {
    __m128i b = _mm_loadl_epi64((const __m128i *)(const void *)p), low = _mm_set1_epi8(15);
    b = _mm_unpacklo_epi8(_mm_and_si128(b, low), _mm_and_si128(_mm_srli_epi16(b, 4), low));
    return _mm512_permutexvar_ps(_mm512_cvtepu8_epi32(b), _mm512_loadu_ps(table));
}
/* f8e4m3fn: the exponent's bias goes from 7 to 127; the smallest have none, and 0x7f is no number. */
static inline vf vload_f8(const uint8_t *p) {
    __m512i x = _mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)(const void *)p));
    __m512i mag = _mm512_and_epi32(x, _mm512_set1_epi32(0x7f)), sign = _mm512_slli_epi32(_mm512_xor_epi32(x, mag), 24);
    vf v = _mm512_castsi512_ps(_mm512_add_epi32(_mm512_slli_epi32(mag, 20), _mm512_set1_epi32(120 << 23)));
    vf tiny = _mm512_mul_ps(_mm512_cvtepi32_ps(mag), _mm512_set1_ps(1.0f / 512));
    v = _mm512_mask_mov_ps(v, _mm512_cmplt_epi32_mask(mag, _mm512_set1_epi32(8)), tiny);
    v = _mm512_mask_mov_ps(v, _mm512_cmpeq_epi32_mask(mag, _mm512_set1_epi32(0x7f)), _mm512_set1_ps(NAN));
    return _mm512_castsi512_ps(_mm512_or_epi32(_mm512_castps_si512(v), sign));
}
static inline float vsum(vf v) {
    __m256 a = _mm256_add_ps(_mm512_castps512_ps256(v), _mm512_extractf32x8_ps(v, 1));
    __m128 b = _mm_add_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
    b = _mm_add_ps(b, _mm_movehl_ps(b, b));
    return _mm_cvtss_f32(_mm_add_ss(b, _mm_movehdup_ps(b)));
}
static inline void transpose(vf v[W]) {
    __m512i t[W];
    for (int i = 0; i < W; i++) t[i] = _mm512_castps_si512(v[i]);
    olk_transpose16(t);
    for (int i = 0; i < W; i++) v[i] = _mm512_castsi512_ps(t[i]);
}

#include "kernels/linear/float_x86.h"
