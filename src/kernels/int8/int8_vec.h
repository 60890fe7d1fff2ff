/* SPDX-License-Identifier: Apache-2.0 */
/* Body of the vector variants (see math/vec_x86.h): ROWS rows of a whole panel, or twice as many of half a panel, stay in
 * registers. The including file defines ROWS, and VECTORS of a panel. Without an instruction that sums four products,
 * codes are taken in turn, even and odd ones, so that no pair of products leaves 16 bits. */
#include "base/cpu.h"
#include "kernels/int8/int8.h"
#include "kernels/math/vec_x86.h"
#include <string.h>

#define NB (VECTORS * VW)

#if VW == 16
typedef __m512i vi;
VI vi i_load(const void *p) { return _mm512_loadu_si512(p); }
VI vi i_set4(const uint8_t *p) {
    int32_t four;
    memcpy(&four, p, 4);
    return _mm512_set1_epi32(four);
}
VI vi i_set1(int32_t x) { return _mm512_set1_epi32(x); }
VI vi i_sub_product(vi a, vi b, vi c) { return _mm512_sub_epi32(a, _mm512_mullo_epi32(b, c)); }
VI vi i_add(vi a, vi b) { return _mm512_add_epi32(a, b); }
VI vf i_float(vi a) { return _mm512_cvtepi32_ps(a); }
VI vi i_unlo8(vi a, vi b) { return _mm512_unpacklo_epi8(a, b); }
VI vi i_unhi8(vi a, vi b) { return _mm512_unpackhi_epi8(a, b); }
VI vi i_unlo16(vi a, vi b) { return _mm512_unpacklo_epi16(a, b); }
VI vi i_unhi16(vi a, vi b) { return _mm512_unpackhi_epi16(a, b); }
#if defined(__AVX512VNNI__)
VI vi i_dot(vi sum, vi x, vi w) { return _mm512_dpbusd_epi32(sum, x, w); }
#else
VI vi i_dot(vi sum, vi x, vi w) {
    const vi even = _mm512_set1_epi16(0xff), one = _mm512_set1_epi16(1);
    vi a = _mm512_maddubs_epi16(_mm512_and_si512(x, even), w), b = _mm512_maddubs_epi16(_mm512_andnot_si512(even, x), w);
    return _mm512_add_epi32(sum, _mm512_add_epi32(_mm512_madd_epi16(a, one), _mm512_madd_epi16(b, one)));
}
#endif
/* From vectors by quarters of 16 channels to channels in their order. */
VI void i_in_order(vi a[4]) {
    vi s = _mm512_shuffle_i32x4(a[0], a[1], 0x44), t = _mm512_shuffle_i32x4(a[0], a[1], 0xee);
    vi u = _mm512_shuffle_i32x4(a[2], a[3], 0x44), v = _mm512_shuffle_i32x4(a[2], a[3], 0xee);
    a[0] = _mm512_shuffle_i32x4(s, u, 0x88), a[1] = _mm512_shuffle_i32x4(s, u, 0xdd);
    a[2] = _mm512_shuffle_i32x4(t, v, 0x88), a[3] = _mm512_shuffle_i32x4(t, v, 0xdd);
}
/* The first n <= VW of v, whole numbers, plus zero, as bytes. */
VI void store_codes(uint8_t *y, vf v, int32_t zero, int64_t n) {
    vi c = _mm512_add_epi32(_mm512_cvtps_epi32(v), _mm512_set1_epi32(zero));
    _mm_mask_storeu_epi8(y, v_first(n), _mm512_cvtepi32_epi8(c));
}
#else
typedef __m256i vi;
VI vi i_load(const void *p) { return _mm256_loadu_si256(p); }
VI vi i_set4(const uint8_t *p) {
    int32_t four;
    memcpy(&four, p, 4);
    return _mm256_set1_epi32(four);
}
VI vi i_set1(int32_t x) { return _mm256_set1_epi32(x); }
VI vi i_sub_product(vi a, vi b, vi c) { return _mm256_sub_epi32(a, _mm256_mullo_epi32(b, c)); }
VI vi i_add(vi a, vi b) { return _mm256_add_epi32(a, b); }
VI vf i_float(vi a) { return _mm256_cvtepi32_ps(a); }
VI vi i_unlo8(vi a, vi b) { return _mm256_unpacklo_epi8(a, b); }
VI vi i_unhi8(vi a, vi b) { return _mm256_unpackhi_epi8(a, b); }
VI vi i_unlo16(vi a, vi b) { return _mm256_unpacklo_epi16(a, b); }
VI vi i_unhi16(vi a, vi b) { return _mm256_unpackhi_epi16(a, b); }
VI vi i_dot(vi sum, vi x, vi w) {
    const vi even = _mm256_set1_epi16(0xff), one = _mm256_set1_epi16(1);
    vi a = _mm256_maddubs_epi16(_mm256_and_si256(x, even), w), b = _mm256_maddubs_epi16(_mm256_andnot_si256(even, x), w);
    return _mm256_add_epi32(sum, _mm256_add_epi32(_mm256_madd_epi16(a, one), _mm256_madd_epi16(b, one)));
}
VI void i_in_order(vi a[4]) {
    vi s = a[0], t = a[1], u = a[2], v = a[3];
    a[0] = _mm256_permute2x128_si256(s, t, 0x20), a[1] = _mm256_permute2x128_si256(u, v, 0x20);
    a[2] = _mm256_permute2x128_si256(s, t, 0x31), a[3] = _mm256_permute2x128_si256(u, v, 0x31);
}
VI void store_codes(uint8_t *y, vf v, int32_t zero, int64_t n) {
    vi c = _mm256_add_epi32(_mm256_cvtps_epi32(v), _mm256_set1_epi32(zero));
    __m128i b = _mm_packus_epi16(_mm_packs_epi32(_mm256_castsi256_si128(c), _mm256_extracti128_si256(c, 1)), _mm_setzero_si128());
    uint8_t all[16];
    if (n == 8) {
        _mm_storel_epi64((__m128i *)(void *)y, b);
        return;
    }
    _mm_storeu_si128((__m128i *)(void *)all, b);
    memcpy(y, all, (size_t)n);
}
#endif

VI vf ended(vi sum, vf scale, vf shift) { return v_add(v_mul(i_float(sum), scale), shift); }
VI vf bounded(vf v, vf lo, vf hi) { return v_min(v_max(v, lo), hi); }

/* rows and vectors are constants where this is inlined. */
VI void tile(const olk_int8_tile *t, int64_t i0, const int rows, const int vectors) {
    const olk_int8_end *e = t->end;
    const int8_t *w = t->weights;
    int64_t fours = (t->k + 3) / 4;
    vi acc[2 * ROWS][VECTORS];
#pragma GCC unroll 16
    for (int i = 0; i < rows; i++)
#pragma GCC unroll 4
        for (int v = 0; v < vectors; v++) acc[i][v] = i_load(e->start + v * VW);
    for (int64_t p = 0; p < t->places; p++) {
        const uint8_t *const *x = t->rows + p * t->row_step + i0;
        for (int64_t q = 0; q < fours; q++, w += NB * 4) {
            vi b[VECTORS];
#pragma GCC unroll 4
            for (int v = 0; v < vectors; v++) b[v] = i_load(w + v * VW * 4);
#pragma GCC unroll 16
            for (int i = 0; i < rows; i++) {
                vi a = i_set4(x[i] + q * 4);
#pragma GCC unroll 4
                for (int v = 0; v < vectors; v++) acc[i][v] = i_dot(acc[i][v], a, b[v]);
            }
        }
    }
    const int64_t ldy = t->ldy, last = t->n - (vectors - 1) * VW;
    const int32_t zero = e->zero;
    const vf lo = v_set1(e->lo), hi = v_set1(e->hi);
    if (e->weight_zero)
#pragma GCC unroll 4
        for (int v = 0; v < vectors; v++)
#pragma GCC unroll 16
            for (int i = 0; i < rows; i++) acc[i][v] = i_sub_product(acc[i][v], i_load(e->weight_zero + v * VW), i_set1(t->row_sum[i0 + i]));
#pragma GCC unroll 4
    for (int v = 0; v < vectors; v++) {
        const vf scale = v_load(e->scale + v * VW), shift = v_load(e->shift + v * VW);
        const int64_t n = v + 1 < vectors ? VW : last;
        uint8_t *codes = (uint8_t *)t->y + i0 * ldy + v * VW;
        float *floats = (float *)t->y + i0 * ldy + v * VW;
        if (e->codes)
#pragma GCC unroll 16
            for (int i = 0; i < rows; i++) store_codes(codes + i * ldy, bounded(ended(acc[i][v], scale, shift), lo, hi), zero, n);
        else
#pragma GCC unroll 16
            for (int i = 0; i < rows; i++) v_store_part(floats + i * ldy, v_first(n), ended(acc[i][v], scale, shift));
    }
}

typedef void tile_fn(const olk_int8_tile *t, int64_t i0);
#define TILE(rows, vectors) \
    static void tile_##rows##_##vectors(const olk_int8_tile *t, int64_t i0) { tile(t, i0, rows, vectors); }
#define TILES(vectors) TILE(1, vectors) TILE(2, vectors) TILE(3, vectors) TILE(4, vectors)
#define TILE_ROW(vectors) tile_1_##vectors, tile_2_##vectors, tile_3_##vectors, tile_4_##vectors
#if ROWS == 6
#define MORE_TILES(vectors) TILE(5, vectors) TILE(6, vectors)
#define MOST_TILES(vectors) TILE(7, vectors) TILE(8, vectors) TILE(9, vectors) TILE(10, vectors) TILE(11, vectors) TILE(12, vectors)
TILES(1) TILES(2) TILES(3) TILES(4) MORE_TILES(1) MORE_TILES(2) MORE_TILES(3) MORE_TILES(4) MOST_TILES(1) MOST_TILES(2)
#define HALF_ROW(vectors) \
    {TILE_ROW(vectors), tile_5_##vectors, tile_6_##vectors, tile_7_##vectors, tile_8_##vectors, tile_9_##vectors, tile_10_##vectors, tile_11_##vectors, tile_12_##vectors}
static tile_fn *const tiles[VECTORS][2 * ROWS] = {HALF_ROW(1), HALF_ROW(2), {TILE_ROW(3), tile_5_3, tile_6_3}, {TILE_ROW(4), tile_5_4, tile_6_4}};
#else
TILES(1) TILES(2)
static tile_fn *const tiles[VECTORS][2 * ROWS] = {{TILE_ROW(1)}, {TILE_ROW(2)}};
#endif

/* Rows are cut evenly. */
static void multiply(const olk_int8_tile *t) {
    if (t->m < 1 || t->n < 1) return;
    int64_t vectors = (t->n + VW - 1) / VW, most = vectors <= VECTORS / 2 && VECTORS > 2 ? 2 * ROWS : ROWS;
    for (int64_t i = 0, left = (t->m + most - 1) / most; left > 0; left--) {
        int64_t rows = (t->m - i + left - 1) / left;
        tiles[vectors - 1][rows - 1](t, i);
        i += rows;
    }
}

/* 4 VW channels: unpacking puts the codes of four taps next to each other; lane 4 l + i of vector v is channel 16 l + 4 v + i. */
VI void depthwise_block(const uint8_t *const *taps, int64_t n_taps, const int8_t *weights, const olk_int8_end *e, int64_t c0, int64_t n, void *y) {
    const vi zero = i_set1(0);
    vi acc[4] = {zero, zero, zero, zero};
    for (int64_t t = 0; t < n_taps; t += 4, weights += OLK_INT8_CHANNELS * 4) {
        vi x0 = i_load(taps[t] + c0), x1 = t + 1 < n_taps ? i_load(taps[t + 1] + c0) : zero;
        vi x2 = t + 2 < n_taps ? i_load(taps[t + 2] + c0) : zero, x3 = t + 3 < n_taps ? i_load(taps[t + 3] + c0) : zero;
        vi a = i_unlo8(x0, x1), b = i_unhi8(x0, x1), c = i_unlo8(x2, x3), d = i_unhi8(x2, x3);
        acc[0] = i_dot(acc[0], i_unlo16(a, c), i_load(weights));
        acc[1] = i_dot(acc[1], i_unhi16(a, c), i_load(weights + 64));
        acc[2] = i_dot(acc[2], i_unlo16(b, d), i_load(weights + 128));
        acc[3] = i_dot(acc[3], i_unhi16(b, d), i_load(weights + 192));
    }
    i_in_order(acc);
    for (int v = 0; v < 4 && v * VW < n; v++) {
        int64_t left = n - v * VW < VW ? n - v * VW : VW, at = c0 + v * VW;
        vf r = ended(i_add(acc[v], i_load(e->start + at)), v_load(e->scale + at), v_load(e->shift + at));
        if (e->codes) store_codes((uint8_t *)y + at, bounded(r, v_set1(e->lo), v_set1(e->hi)), e->zero, left);
        else v_store_part((float *)y + at, v_first(left), r);
    }
}

static void depthwise(const uint8_t *const *taps, int64_t n_taps, int64_t channels, const int8_t *weights, const olk_int8_end *end, void *y) {
    int64_t fours = (n_taps + 3) / 4;
    for (int64_t c = 0; c < channels; c += 4 * VW) {
        const int8_t *w = weights + c / OLK_INT8_CHANNELS * fours * OLK_INT8_CHANNELS * 4 + c % OLK_INT8_CHANNELS;
        depthwise_block(taps, n_taps, w, end, c, channels - c < 4 * VW ? channels - c : 4 * VW, y);
    }
}
