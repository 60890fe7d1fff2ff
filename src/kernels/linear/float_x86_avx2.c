/* SPDX-License-Identifier: Apache-2.0 */
/* float_x86.h for 256-bit vectors. */
#include "kernels/linear/linear.h"
#include <immintrin.h>
#include <math.h>
#include <string.h>

#define W 8
#define NV 2
#define MR 6
#define TILE_SIZES(X) X(1) X(2) X(3) X(4) X(5) X(6)
#define GEMV_ROWS 2
#define ISA avx2
#define ISA_FLAGS OL_ISA_AVX2

typedef __m256 vf;
#define vzero _mm256_setzero_ps
#define vset1 _mm256_set1_ps
#define vload(p) _mm256_loadu_ps(p)
#define vstore(p, v) _mm256_storeu_ps(p, v)
#define vfma _mm256_fmadd_ps
#define vadd _mm256_add_ps
#define vsub _mm256_sub_ps
#define vmul _mm256_mul_ps

static inline __m256i part_mask(int64_t n) {
    const __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(n > W ? W : n < 0 ? 0 : (int)n), lane);
}
static inline vf vload_part(const void *p, int64_t n) { return _mm256_maskload_ps(p, part_mask(n)); }
static inline void vstore_part(float *p, vf v, int64_t n) { _mm256_maskstore_ps(p, part_mask(n), v); }
static inline vf vload_half(const uint8_t *p) { return _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(const void *)p)); }
static inline vf vload_bf16(const uint8_t *p) {
    __m256i v = _mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i *)(const void *)p));
    return _mm256_castsi256_ps(_mm256_slli_epi32(v, 16));
}
static inline vf vload_codes(ol_qcode code, const uint8_t *p) {
    __m128i b, low = _mm_set1_epi8(15), eight = _mm_set1_epi8(8);
    if (code == OL_Q_U8 || code == OL_Q_I8) {
        b = _mm_loadl_epi64((const __m128i *)(const void *)p);
        return _mm256_cvtepi32_ps(code == OL_Q_U8 ? _mm256_cvtepu8_epi32(b) : _mm256_cvtepi8_epi32(b));
    }
    int32_t bits;
    memcpy(&bits, p, 4);
    b = _mm_cvtsi32_si128(bits);
    b = _mm_unpacklo_epi8(_mm_and_si128(b, low), _mm_and_si128(_mm_srli_epi16(b, 4), low));
    if (code == OL_Q_I4) b = _mm_sub_epi8(_mm_xor_si128(b, eight), eight);
    return _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(b));
}
static inline vf vload_table4(const float *table, const uint8_t *p) {
    __m128i b, low = _mm_set1_epi8(15);
    int32_t bits;
    memcpy(&bits, p, 4);
    b = _mm_cvtsi32_si128(bits);
    b = _mm_unpacklo_epi8(_mm_and_si128(b, low), _mm_and_si128(_mm_srli_epi16(b, 4), low));
    __m256i i = _mm256_cvtepu8_epi32(b);
    vf first = _mm256_permutevar8x32_ps(_mm256_loadu_ps(table), i), second = _mm256_permutevar8x32_ps(_mm256_loadu_ps(table + 8), i);
    return _mm256_blendv_ps(first, second, _mm256_castsi256_ps(_mm256_slli_epi32(i, 28)));
}
/* f8e4m3fn: the exponent's bias goes from 7 to 127; the smallest have none, and 0x7f is no number. */
static inline vf vload_f8(const uint8_t *p) {
    __m256i x = _mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)(const void *)p));
    __m256i mag = _mm256_and_si256(x, _mm256_set1_epi32(0x7f)), sign = _mm256_slli_epi32(_mm256_xor_si256(x, mag), 24);
    vf v = _mm256_castsi256_ps(_mm256_add_epi32(_mm256_slli_epi32(mag, 20), _mm256_set1_epi32(120 << 23)));
    vf tiny = _mm256_mul_ps(_mm256_cvtepi32_ps(mag), _mm256_set1_ps(1.0f / 512));
    __m256i small = _mm256_cmpgt_epi32(_mm256_set1_epi32(8), mag), none = _mm256_cmpeq_epi32(mag, _mm256_set1_epi32(0x7f));
    v = _mm256_blendv_ps(v, tiny, _mm256_castsi256_ps(small));
    v = _mm256_blendv_ps(v, _mm256_set1_ps(NAN), _mm256_castsi256_ps(none));
    return _mm256_or_ps(v, _mm256_castsi256_ps(sign));
}
static inline float vsum(vf v) {
    __m128 b = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
    b = _mm_add_ps(b, _mm_movehl_ps(b, b));
    return _mm_cvtss_f32(_mm_add_ss(b, _mm_movehdup_ps(b)));
}
static inline void transpose(vf v[W]) {
    vf t[W], u[W];
    for (int i = 0; i < W; i += 2) {
        t[i] = _mm256_unpacklo_ps(v[i], v[i + 1]);
        t[i + 1] = _mm256_unpackhi_ps(v[i], v[i + 1]);
    }
    for (int i = 0; i < W; i += 4)
        for (int j = 0; j < 2; j++) {
            u[i + 2 * j] = _mm256_shuffle_ps(t[i + j], t[i + 2 + j], 0x44);
            u[i + 2 * j + 1] = _mm256_shuffle_ps(t[i + j], t[i + 2 + j], 0xee);
        }
    for (int i = 0; i < 4; i++) {
        v[i] = _mm256_permute2f128_ps(u[i], u[4 + i], 0x20);
        v[4 + i] = _mm256_permute2f128_ps(u[i], u[4 + i], 0x31);
    }
}

#include "kernels/linear/float_x86.h"
