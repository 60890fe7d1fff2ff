/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/linear/narrow.h"
#include <immintrin.h>

static bool narrow8(__m256 v, __m128i *out) {
    *out = _mm256_cvtps_ph(v, _MM_FROUND_TO_NEAREST_INT);
    return _mm256_movemask_ps(_mm256_cmp_ps(_mm256_cvtph_ps(*out), v, _CMP_EQ_OQ)) == 0xff;
}

bool olk_narrow_f16__avx2(const float *x, uint16_t *y, size_t n) {
    size_t i = 0;
    __m128i h;
    for (; i + 8 <= n; i += 8) {
        if (!narrow8(_mm256_loadu_ps(x + i), &h)) return false;
        _mm_storeu_si128((__m128i *)(void *)(y + i), h);
    }
    for (; i < n; i++) {
        if (!narrow8(_mm256_castsi256_ps(_mm256_set1_epi32(_mm_cvtsi128_si32(_mm_loadu_si32(x + i)))), &h)) return false;
        y[i] = (uint16_t)_mm_extract_epi16(h, 0);
    }
    return true;
}
