/* SPDX-License-Identifier: Apache-2.0 */
/* Attention over a paged KV cache, or over the rows of the run itself.
 *
 * One sequence's cache is a table of blocks of OLK_KV_BLOCK positions; block b holds positions [64 b, 64 b + 63]. In a
 * block, this layer's keys of kv head h lie at k_offset + h * head_stride: [64][head_dim] elements of kv_dtype (F32,
 * F16, or I8 followed by [64] f32 scales, one per position); values likewise at v_offset (v_dim wide).
 *
 * Row r of q has its own position; it attends to positions lo(r) <= p <= position[r], where lo = 0, or position -
 * window + 1 with a sliding window. Scores: softcap(scale * q.k) (+ sink logit of the head in the denominator, and an
 * ALiBi slope * (p - position)); softmax; weighted sum of v. A row's bits depend only on its own inputs: positions are
 * reduced in blocks of 64 in absolute order with f32 accumulation (online softmax).
 *
 * Instead of blocks, keys and values may lie as f32 rows (k_rows, v_rows: row p is position p). `bidirectional` rows also
 * see what lies behind them, up to `length` and within the window on either side: |p - position| < window. `relative`
 * adds to a score an entry chosen by head and p - position, clamped to its span.
 *
 * A variant has two orders of reduction. The prefill order (`decode` false: the prefill entry) is the same for any cut of
 * rows into tiles; the decode order (`decode` true: the decode entry) reduces each row alone, reading the cache without
 * converting it first; run_part and merge belong to it. Within one of them a row has the same bits in every call. A NaN or
 * infinity in the keys or values that a row sees makes the row NaN, and may do so for the other rows of its tile. */
#ifndef OLK_ATTENTION_H
#define OLK_ATTENTION_H

#include "tensor/dtype.h"

#define OLK_KV_BLOCK 64

typedef struct olk_attention_args {
    const float *q; /* [rows, heads * head_dim], stride ldq; head h at q + h * head_dim */
    int64_t ldq;
    float *out; /* [rows, heads * v_dim], stride ldo */
    int64_t ldo;
    const int32_t *position;      /* [rows], absolute */
    const uint8_t *const *blocks; /* block table of the sequence */
    size_t k_offset, v_offset, k_head_stride, v_head_stride;
    ol_dtype kv_dtype;
    int heads, kv_heads, head_dim, v_dim;
    float scale, softcap; /* softcap 0: none */
    int64_t window;       /* 0: none */
    const float *sinks;   /* [heads] or NULL */
    const float *alibi;   /* [heads] slopes or NULL */
    bool decode;          /* order of reduction: see above */
    const float *k_rows, *v_rows; /* NULL: blocks; else rows of stride ldk, ldv, kv head h at h * its dim; not in decode */
    int64_t ldk, ldv;
    bool bidirectional;
    int64_t length;          /* positions of the sequence; read when bidirectional */
    const float *relative;   /* [heads][2 * relative_span + 1] or NULL; entry relative_span is distance 0 */
    int64_t relative_span;
} olk_attention_args;

typedef struct olk_attention {
    const char *name;
    uint64_t cpu;
    /* Scratch bytes of a lane for tiles of up to `rows` rows. */
    size_t (*scratch_bytes)(const olk_attention_args *a, int64_t rows);
    /* All query heads of kv head `kvh` for rows [r0, r1) of one sequence (positions ascending). */
    void (*run)(const olk_attention_args *a, int kvh, int64_t r0, int64_t r1, void *scratch);
    /* Long-context decode, split over lanes: partial result of one row over blocks [b0, b1) into `part` (floats:
     * per query head max, sum, v_dim accumulators), then merge of `n` parts in order into out. */
    size_t (*part_floats)(const olk_attention_args *a);
    void (*run_part)(const olk_attention_args *a, int kvh, int64_t row, int64_t b0, int64_t b1, float *part,
                     void *scratch);
    void (*merge)(const olk_attention_args *a, int kvh, int64_t row, const float *parts, int64_t n);
} olk_attention;

const olk_attention *olk_attention_select(const olk_attention_args *a, uint64_t cpu);
const olk_attention *const *olk_attention_variants(size_t *count);

/* Writes one row's keys and values (all kv heads; k [kv_heads * head_dim], v [kv_heads * v_dim] f32) at `position`
 * into its block, converting to kv_dtype (I8: one scale per position and head). */
void olk_kv_store(const olk_attention_args *a, int32_t position, const float *k, const float *v);

#endif
