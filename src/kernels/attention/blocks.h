/* SPDX-License-Identifier: Apache-2.0 */
/* Where things lie in a KV cache block, and how partial results are joined; shared by the variants. */
#ifndef OLK_ATTENTION_BLOCKS_H
#define OLK_ATTENTION_BLOCKS_H

#include "kernels/attention/attention.h"

/* First position that a row at `position` sees. */
static inline int64_t olk_attention_first(const olk_attention_args *a, int64_t position) {
    return a->window > 0 && position - a->window + 1 > 0 ? position - a->window + 1 : 0;
}

/* One behind the last position that it sees. */
static inline int64_t olk_attention_end(const olk_attention_args *a, int64_t position) {
    int64_t end = position + 1;
    if (!a->bidirectional) return end;
    return a->window > 0 && position + a->window < a->length ? position + a->window : a->length;
}
/* The entry of the relative bias at distance 0 of a head, and the nearest one of another distance. */
static inline float olk_attention_relative(const olk_attention_args *a, int head, int64_t distance) {
    int64_t s = a->relative_span, d = distance < -s ? -s : distance > s ? s : distance;
    return a->relative[(int64_t)head * (2 * s + 1) + s + d];
}

static inline const uint8_t *olk_k_block(const olk_attention_args *a, int kvh, int64_t b) {
    if (a->k_rows) return (const uint8_t *)(a->k_rows + b * OLK_KV_BLOCK * a->ldk + (int64_t)kvh * a->head_dim);
    return a->blocks[b] + a->k_offset + (size_t)kvh * a->k_head_stride;
}
static inline const uint8_t *olk_v_block(const olk_attention_args *a, int kvh, int64_t b) {
    if (a->v_rows) return (const uint8_t *)(a->v_rows + b * OLK_KV_BLOCK * a->ldv + (int64_t)kvh * a->v_dim);
    return a->blocks[b] + a->v_offset + (size_t)kvh * a->v_head_stride;
}
/* Elements from one position to the next. */
static inline int64_t olk_k_stride(const olk_attention_args *a) { return a->k_rows ? a->ldk : a->head_dim; }
static inline int64_t olk_v_stride(const olk_attention_args *a) { return a->v_rows ? a->ldv : a->v_dim; }
/* Scales of an int8 block of width `dim`. */
static inline const float *olk_kv_scales(const uint8_t *block, int dim) {
    return (const float *)(const void *)(block + (size_t)OLK_KV_BLOCK * (size_t)dim);
}

/* Partial results: per query head of the group the maximum, the sum, and v_dim accumulators. */
static inline size_t olk_part_head_floats(const olk_attention_args *a) {
    return 2 + (size_t)a->v_dim;
}
size_t olk_attention_part_floats(const olk_attention_args *a);
void olk_attention_merge(const olk_attention_args *a, int kvh, int64_t row, const float *parts, int64_t n);

/* f32 to f16, round to nearest even, with F16C instructions. */
void olk_halves__avx2(const float *x, uint16_t *y, int64_t n);

#endif
