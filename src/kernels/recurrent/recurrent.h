/* SPDX-License-Identifier: Apache-2.0 */
/* Recurrences over consecutive rows of one sequence.
 *
 * Every function reads the state of the sequence before the first row from `from` and leaves the
 * state after the last row in `to`; the two do not overlap. Rows are taken one after the other, and
 * a value depends on its own channel (or head) alone, so results are bitwise the same however rows
 * are cut into calls and channels into tiles. x, y and states have any alignment; y overlaps no
 * input. rows >= 1. NaN and infinities stay in their channel. Tolerance between variants: 1e-5
 * relative to the largest magnitude of a channel's past. */
#ifndef OLK_RECURRENT_H
#define OLK_RECURRENT_H

#include <stdbool.h>
#include <stdint.h>

#define OLK_CONV_MAX 16 /* most weights of a channel */

/* Convolution of channels [0, n): y_t = f(b + sum_j w_j x_{t - k + 1 + j}). */
typedef struct olk_conv_form {
    int64_t n, k;
    const float *w; /* [k][ldw], oldest row's weights first */
    int64_t ldw;
    const float *b; /* [n], or NULL */
    bool silu;
    int64_t lds; /* of a state [k - 1][lds], oldest row first */
} olk_conv_form;

/* Selective scan of one head of p channels and n states, or (channels) of p heads of one channel.
 */
typedef struct olk_scan_form {
    int64_t p, n;
    const float *a; /* heads: [1]; channels: [n][lda] */
    int64_t lda;
    const float *d; /* heads: [1]; channels: [p]; NULL: none */
    const float *x, *dt, *b, *c;
    int64_t ldx, lddt, ldb, ldc; /* from row to row; c is as b */
    float *y;
    int64_t ldy, lds; /* state [n][lds] */
} olk_scan_form;

/* Columns of one head of the delta rule: state [dk][lds], of which columns [0, dv) are worked on.
 */
typedef struct olk_delta_form {
    int64_t dk, dv;
    float scale;
    const float *q, *k, *v, *g, *beta; /* g: log of the decay */
    int64_t ldq, ldk, ldv, ldg, ldbeta;
    float *y;
    int64_t ldy, lds;
} olk_delta_form;

/* RWKV's weighted mean of channels [0, n): states are numerator, denominator and exponent,
 * [3][lds]. */
typedef struct olk_wkv_form {
    int64_t n;
    const float *k, *v; /* rows of ldx */
    int64_t ldx;
    const float *w, *u; /* decay and bonus, [n] */
    float *y;
    int64_t ldy, lds;
} olk_wkv_form;

typedef struct olk_recurrent {
    const char *name;
    uint64_t cpu;
    void (*conv)(const olk_conv_form *f, const float *x, int64_t ldx, float *y, int64_t ldy,
                 int64_t rows, const float *from, float *to);
    void (*scan_head)(const olk_scan_form *f, int64_t rows, const float *from, float *to);
    void (*scan_channels)(const olk_scan_form *f, int64_t rows, const float *from, float *to);
    void (*delta)(const olk_delta_form *f, int64_t rows, const float *from, float *to);
    void (*wkv)(const olk_wkv_form *f, int64_t rows, const float *from, float *to);
} olk_recurrent;

/* Best variant under these CPU flags; never NULL. */
const olk_recurrent *olk_recurrent_select(uint64_t cpu);
/* All compiled variants, best first; the last one is scalar. */
const olk_recurrent *const *olk_recurrent_variants(int *count);

#endif
