/* SPDX-License-Identifier: Apache-2.0 */
/* Body of all variants: loops that compilers turn into vectors of what the including file is compiled for. */
#include "base/cpu.h"
#include "kernels/codes/codes.h"
#if defined(__AVX512VBMI__)
#include <immintrin.h>
#endif

/* Halves to even, NaN as the lower bound; bounded, |v| is at most 255. The sum's last bit is worth 1 there. */
static inline uint8_t code_of(float v, const olk_codes_form *f) {
    const float big = 12582912.0f;
    float c = v > f->lo ? v : f->lo;
    c = c < f->hi ? c : f->hi;
    return (uint8_t)((int32_t)((c + big) - big) + f->zero);
}
static inline float value_of(uint8_t q, const olk_codes_form *f) { return (float)(q - f->zero) * f->scale; }

static void quantize(const olk_codes_form *form, const float *x, int64_t n, uint8_t *y) {
    const olk_codes_form f = *form;
    for (int64_t i = 0; i < n; i++) y[i] = code_of(x[i] / f.scale, &f);
}

static void dequantize(const olk_codes_form *form, const uint8_t *x, int64_t n, float *y) {
    const olk_codes_form f = *form;
    for (int64_t i = 0; i < n; i++) y[i] = value_of(x[i], &f);
}

#define COMBINE(name, type, other, expression)                                                                                             \
    static void name(const olk_codes_form *pa, const uint8_t *a, const olk_codes_form *pb, const type *b, const olk_codes_form *py, int64_t n, uint8_t *y) { \
        const olk_codes_form fa = *pa, fb = *pb, fy = *py;                                                                                 \
        (void)fb;                                                                                                                          \
        for (int64_t i = 0; i < n; i++) {                                                                                                  \
            float v = value_of(a[i], &fa), w = other;                                                                                      \
            y[i] = code_of((expression) / fy.scale, &fy);                                                                                  \
        }                                                                                                                                  \
    }
COMBINE(add_codes, uint8_t, value_of(b[i], &fb), v + w)
COMBINE(sub_codes, uint8_t, value_of(b[i], &fb), v - w)
COMBINE(mul_codes, uint8_t, value_of(b[i], &fb), v * w)
COMBINE(add_floats, float, b[i], v + w)
COMBINE(sub_floats, float, b[i], v - w)
COMBINE(mul_floats, float, b[i], v * w)

static void combine(olk_codes_op op, const olk_codes_form *fa, const uint8_t *a, const olk_codes_form *fb, const uint8_t *b, const olk_codes_form *fy,
                    int64_t n, uint8_t *y) {
    (op == OLK_CODES_ADD ? add_codes : op == OLK_CODES_SUB ? sub_codes : mul_codes)(fa, a, fb, b, fy, n, y);
}
static void combine_floats(olk_codes_op op, const olk_codes_form *fa, const uint8_t *a, const float *b, const olk_codes_form *fy, int64_t n, uint8_t *y) {
    (op == OLK_CODES_ADD ? add_floats : op == OLK_CODES_SUB ? sub_floats : mul_floats)(fa, a, fy, b, fy, n, y);
}

#if defined(__AVX512VBMI__)
/* Each half of the table is two vectors; the top bit of a code chooses the half. */
static void lookup(const uint8_t table[256], const uint8_t *x, int64_t n, uint8_t *y) {
    const __m512i a = _mm512_loadu_si512(table), b = _mm512_loadu_si512(table + 64), c = _mm512_loadu_si512(table + 128), d = _mm512_loadu_si512(table + 192);
    for (int64_t i = 0; i < n; i += 64) {
        __mmask64 m = n - i < 64 ? ((__mmask64)1 << (n - i)) - 1 : ~(__mmask64)0;
        __m512i q = _mm512_maskz_loadu_epi8(m, x + i);
        __m512i low = _mm512_permutex2var_epi8(a, q, b), high = _mm512_permutex2var_epi8(c, q, d);
        _mm512_mask_storeu_epi8(y + i, m, _mm512_mask_blend_epi8(_mm512_movepi8_mask(q), low, high));
    }
}
#else
static void lookup(const uint8_t table[256], const uint8_t *x, int64_t n, uint8_t *y) {
    for (int64_t i = 0; i < n; i++) y[i] = table[x[i]];
}
#endif
static void greater(const uint8_t *restrict x, int64_t n, uint8_t *restrict y) {
    for (int64_t i = 0; i < n; i++) y[i] = x[i] > y[i] ? x[i] : y[i];
}
static void accumulate(const uint8_t *restrict x, int64_t n, int32_t *restrict sum) {
    for (int64_t i = 0; i < n; i++) sum[i] += x[i];
}
static void finish(const olk_codes_form *form, const int32_t *sum, int32_t less, int64_t n, uint8_t *y) {
    const olk_codes_form f = *form;
    for (int64_t i = 0; i < n; i++) y[i] = code_of((float)(sum[i] - less) * f.scale, &f);
}

#define CODES(isa, flags)                   \
    extern const olk_codes olk_codes__##isa; \
    const olk_codes olk_codes__##isa = {"olk_codes__" #isa, flags, quantize, dequantize, combine, combine_floats, lookup, greater, accumulate, finish};
