/* SPDX-License-Identifier: Apache-2.0 */
/* 16 x 16 transposition of 32-bit elements. */
#ifndef OLK_LINEAR_TRANSPOSE_X86_AVX512_H
#define OLK_LINEAR_TRANSPOSE_X86_AVX512_H

#include <immintrin.h>

/* v[r] lane c becomes v[c] lane r. */
static inline __attribute__((always_inline)) void olk_transpose16(__m512i v[16]) {
    __m512i t[16];
    for (int i = 0; i < 16; i += 4) { /* 4 x 4 blocks in the 128-bit lanes */
        __m512i a = _mm512_unpacklo_epi32(v[i], v[i + 1]), b = _mm512_unpackhi_epi32(v[i], v[i + 1]);
        __m512i c = _mm512_unpacklo_epi32(v[i + 2], v[i + 3]), d = _mm512_unpackhi_epi32(v[i + 2], v[i + 3]);
        t[i] = _mm512_unpacklo_epi64(a, c);
        t[i + 1] = _mm512_unpackhi_epi64(a, c);
        t[i + 2] = _mm512_unpacklo_epi64(b, d);
        t[i + 3] = _mm512_unpackhi_epi64(b, d);
    }
    for (int j = 0; j < 4; j++) { /* t[4 r + j] lane q holds rows 4 r .. 4 r + 3 of column 4 q + j */
        __m512i a = _mm512_shuffle_i32x4(t[j], t[4 + j], 0x88), b = _mm512_shuffle_i32x4(t[j], t[4 + j], 0xdd);
        __m512i c = _mm512_shuffle_i32x4(t[8 + j], t[12 + j], 0x88), d = _mm512_shuffle_i32x4(t[8 + j], t[12 + j], 0xdd);
        v[j] = _mm512_shuffle_i32x4(a, c, 0x88);
        v[8 + j] = _mm512_shuffle_i32x4(a, c, 0xdd);
        v[4 + j] = _mm512_shuffle_i32x4(b, d, 0x88);
        v[12 + j] = _mm512_shuffle_i32x4(b, d, 0xdd);
    }
}

#endif
