/* SPDX-License-Identifier: Apache-2.0 */
/* Products of unsigned codes and signed weights of 8 bits, summed exactly in 32 bits, and what becomes of the sums.
 *
 * A row is what one output place reads: for each of `places` window places, k codes in a row somewhere in memory; a matrix
 * product has one place. Weights are packed into panels of nb columns: [place][k / 4][column][4], zero past the end of rows and
 * columns. Codes are read in fours, so up to 3 bytes past the end of each k; depthwise ones up to OLK_INT8_SLACK.
 *
 * Every variant gives the same bits: sums are exact, and their end is single f32 operations:
 *     v = sum * scale + shift;   codes: rint(clamp(v, lo, hi)) + zero, ties to even. */
#ifndef OLK_INT8_H
#define OLK_INT8_H

#include <stdbool.h>
#include <stdint.h>

#define OLK_INT8_SLACK 64
#define OLK_INT8_MOST_PRODUCTS 65536 /* whose sum is exact */
#define OLK_INT8_CHANNELS 64         /* of a block of depthwise weights, of every variant */

/* What becomes of sums. Arrays are by column, padded to whole panels (or blocks of channels). */
typedef struct olk_int8_end {
    const int32_t *start;       /* what sums begin with */
    const float *scale, *shift;
    const int32_t *weight_zero; /* NULL, or what is subtracted times the sum of the row's codes */
    float lo, hi;               /* of codes without their zero point: whole numbers */
    int32_t zero;
    bool codes; /* else the result is f32 */
} olk_int8_end;

typedef struct olk_int8_tile {
    const uint8_t *const *rows; /* row i at place p: rows[p * row_step + i] */
    int64_t row_step, places, k, m;
    const int8_t *weights; /* a panel */
    int64_t n;             /* columns, at most nb */
    const int32_t *row_sum; /* [m], where there is a weight_zero */
    const olk_int8_end *end; /* arrays at the panel's first column */
    void *y;                 /* codes or f32 of row 0; ldy elements to the next */
    int64_t ldy;
} olk_int8_tile;

typedef struct olk_int8 {
    const char *name;
    uint64_t cpu;
    int nb;
    void (*multiply)(const olk_int8_tile *t);
    /* One output place of `channels` channels, each with its own window: tap t of channel c is the code taps[t][c]. Weights as
     * olk_int8_pack_depthwise lays them out; no weight_zero. */
    void (*depthwise)(const uint8_t *const *taps, int64_t n_taps, int64_t channels, const int8_t *weights, const olk_int8_end *end, void *y);
} olk_int8;

/* Bytes of a panel, and of the weights of a depthwise window. */
static inline int64_t olk_int8_panel_bytes(const olk_int8 *g, int64_t places, int64_t k) { return places * ((k + 3) / 4) * g->nb * 4; }
static inline int64_t olk_int8_depthwise_bytes(int64_t n_taps, int64_t channels) {
    return (channels + OLK_INT8_CHANNELS - 1) / OLK_INT8_CHANNELS * OLK_INT8_CHANNELS * ((n_taps + 3) / 4) * 4;
}
/* Where the weight of a channel and tap lies: [block][taps / 4][c % 16 / 4][c % 64 / 16][c % 4][4], as unpacking codes leaves them. */
static inline int64_t olk_int8_depthwise_at(int64_t n_taps, int64_t c, int64_t t) {
    int64_t four = c / OLK_INT8_CHANNELS * ((n_taps + 3) / 4) + t / 4, in = c % OLK_INT8_CHANNELS;
    return (four * OLK_INT8_CHANNELS + in % 16 / 4 * 16 + in / 16 * 4 + in % 4) * 4 + t % 4;
}
/* Weight (column j, place p, i) is w[j * column + p * place + i * step]; n columns of a panel. */
void olk_int8_pack(const int8_t *w, int64_t column, int64_t place, int64_t step, int64_t n, int64_t places, int64_t k, int nb, int8_t *panel);
/* Weight (channel c, tap t) is w[c * n_taps + t]. */
void olk_int8_pack_depthwise(const int8_t *w, int64_t n_taps, int64_t channels, int8_t *out);
/* Of n <= OLK_INT8_MOST_PRODUCTS weights. */
int32_t olk_int8_sum(const int8_t *w, int64_t n);
/* sum[i] of the codes of row i. */
void olk_int8_row_sums(const uint8_t *const *rows, int64_t row_step, int64_t places, int64_t k, int64_t m, int32_t *sum);

/* Best variant under these CPU flags; never NULL. */
const olk_int8 *olk_int8_select(uint64_t cpu);
const olk_int8 *const *olk_int8_variants(int *count);

#endif
