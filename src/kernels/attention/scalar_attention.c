/* SPDX-License-Identifier: Apache-2.0 */
/* The definition: a row and a head at a time, position after position. Both orders of reduction are the same here. */
#include "kernels/attention/blocks.h"
#include "kernels/math/math.h"
#include <math.h>

/* Running state of one row and head. */
typedef struct running {
    float max, sum;
    float *acc; /* [v_dim] */
} running;

static inline float element(ol_dtype t, const uint8_t *block, int64_t i) {
    if (t == OL_F32) return ((const float *)(const void *)block)[i];
    if (t == OL_F16) return ol_f16_to_f32(((const uint16_t *)(const void *)block)[i]);
    return ((const int8_t *)block)[i];
}

static float score(const olk_attention_args *a, int head, const float *q, const uint8_t *k, int i, int64_t distance) {
    float dot = 0;
    for (int d = 0; d < a->head_dim; d++) dot += q[d] * element(a->kv_dtype, k, i * olk_k_stride(a) + d);
    if (a->kv_dtype == OL_I8) dot *= olk_kv_scales(k, a->head_dim)[i];
    float s = dot * a->scale;
    if (a->softcap > 0) s = a->softcap * olk_tanh(s / a->softcap);
    if (a->relative) s += olk_attention_relative(a, head, -distance);
    return a->alibi ? s - a->alibi[head] * (float)distance : s;
}

/* Adds positions [i0, i1) of a block. */
static void add_block(const olk_attention_args *a, int kvh, int head, int64_t row, int64_t b, int i0, int i1, running *s) {
    const uint8_t *k = olk_k_block(a, kvh, b), *v = olk_v_block(a, kvh, b);
    const float *q = a->q + row * a->ldq + (int64_t)head * a->head_dim;
    float p[OLK_KV_BLOCK], max = s->max;
    for (int i = i0; i < i1; i++) {
        p[i] = score(a, head, q, k, i, a->position[row] - (b * OLK_KV_BLOCK + i));
        if (p[i] > max || p[i] != p[i]) max = p[i];
    }
    if (max == -INFINITY) return;
    float f = olk_exp(s->max - max);
    s->sum *= f;
    for (int j = 0; j < a->v_dim; j++) s->acc[j] *= f;
    for (int i = i0; i < i1; i++) {
        float w = olk_exp(p[i] - max);
        s->sum += w;
        if (a->kv_dtype == OL_I8) w *= olk_kv_scales(v, a->v_dim)[i];
        for (int j = 0; j < a->v_dim; j++) s->acc[j] += w * element(a->kv_dtype, v, i * olk_v_stride(a) + j);
    }
    s->max = max;
}

static void add_blocks(const olk_attention_args *a, int kvh, int head, int64_t row, int64_t b0, int64_t b1, running *s) {
    int64_t first = olk_attention_first(a, a->position[row]), end = olk_attention_end(a, a->position[row]);
    s->max = -INFINITY;
    s->sum = 0;
    for (int j = 0; j < a->v_dim; j++) s->acc[j] = 0;
    for (int64_t b = b0; b < b1; b++) {
        int64_t p0 = b * OLK_KV_BLOCK, lo = first > p0 ? first - p0 : 0, hi = end - p0;
        if (hi > OLK_KV_BLOCK) hi = OLK_KV_BLOCK;
        if (lo < hi) add_block(a, kvh, head, row, b, (int)lo, (int)hi, s);
    }
}

static void finish(const olk_attention_args *a, int head, running *s) {
    if (a->sinks) {
        float sink = a->sinks[head], max = sink > s->max ? sink : s->max, f = max == -INFINITY ? 0 : olk_exp(s->max - max);
        s->sum = s->sum * f + (max == -INFINITY ? 0 : olk_exp(sink - max));
        for (int j = 0; j < a->v_dim; j++) s->acc[j] *= f;
    }
    float inv = s->sum > 0 || s->sum != s->sum ? 1 / s->sum : 0;
    for (int j = 0; j < a->v_dim; j++) s->acc[j] *= inv;
}

static void run(const olk_attention_args *a, int kvh, int64_t r0, int64_t r1, void *scratch) {
    int group = a->heads / a->kv_heads;
    (void)scratch;
    for (int64_t row = r0; row < r1; row++) {
        int64_t b0 = olk_attention_first(a, a->position[row]) / OLK_KV_BLOCK;
        int64_t b1 = (olk_attention_end(a, a->position[row]) - 1) / OLK_KV_BLOCK + 1;
        for (int head = kvh * group; head < (kvh + 1) * group; head++) {
            running s = {.acc = a->out + row * a->ldo + (int64_t)head * a->v_dim};
            add_blocks(a, kvh, head, row, b0, b1, &s);
            finish(a, head, &s);
        }
    }
}

static void run_part(const olk_attention_args *a, int kvh, int64_t row, int64_t b0, int64_t b1, float *part, void *scratch) {
    int group = a->heads / a->kv_heads;
    (void)scratch;
    for (int g = 0; g < group; g++, part += olk_part_head_floats(a)) {
        running s = {.acc = part + 2};
        add_blocks(a, kvh, kvh * group + g, row, b0, b1, &s);
        part[0] = s.max;
        part[1] = s.sum;
    }
}

static size_t scratch_bytes(const olk_attention_args *a, int64_t rows) {
    (void)a, (void)rows;
    return 0;
}

extern const olk_attention olk_attention__scalar;
const olk_attention olk_attention__scalar = {
    "olk_attention__scalar", 0, scratch_bytes, run, olk_attention_part_floats, run_part, olk_attention_merge};
