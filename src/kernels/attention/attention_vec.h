/* SPDX-License-Identifier: Apache-2.0 */
/* Vector variants (see math/vec_x86.h): what the two orders of reduction share. The files attention_prefill_vec.h and
 * attention_decode_vec.h go on from here. */
#include "base/cpu.h"
#include "kernels/attention/blocks.h"
#include "kernels/math/math.h"
#include "kernels/math/vec_x86.h"
#include <string.h>

#define BLOCK OLK_KV_BLOCK

/* Running state of one row and head: maximum, sum, and weighted values (v_pad floats). */
typedef struct running {
    float max, sum;
} running;

static int64_t pad(int64_t n) { return (n + VW - 1) / VW * VW; }
static int64_t at_most(int64_t a, int64_t b) { return a < b ? a : b; }
static int group_of(const olk_attention_args *a) { return a->heads / a->kv_heads; }

/* Elements d, d + 1, ... of a cache row, `left` of which exist; 0 past the end. */
VI vf load_elements(ol_dtype t, const uint8_t *row, int64_t d, int64_t left) {
    if (t == OL_F32) return v_load_n((const float *)(const void *)row + d, left);
    if (t == OL_F16) {
        const uint16_t *p = (const uint16_t *)(const void *)row + d;
        uint16_t part[VW] = {0};
        if (left >= VW) return v_load_f16(p);
        memcpy(part, p, (size_t)left * 2);
        return v_load_f16(part);
    }
    const int8_t *p = (const int8_t *)row + d;
    int8_t part[VW] = {0};
    if (left >= VW) return v_load_i8(p);
    memcpy(part, p, (size_t)left);
    return v_load_i8(part);
}

/* Scores of one row over a block, as raw products, become weights; positions outside [lo, hi) of the block get exactly 0.
 * k_scale: of an int8 block, else NULL. Updates the state and returns the factor of what has been summed so far. */
static float weigh(const olk_attention_args *a, int head, int64_t distance, const float *k_scale, int64_t lo, int64_t hi,
                   running *s, float *w) {
    vf x[BLOCK / VW], max = v_set1(-INFINITY), scale = v_set1(a->scale);
    for (int i = 0; i < BLOCK / VW; i++) {
        x[i] = v_load(w + i * VW);
        if (k_scale) x[i] = v_mul(x[i], v_load(k_scale + i * VW));
        x[i] = v_mul(x[i], scale);
    }
    if (a->softcap > 0)
        for (int i = 0; i < BLOCK / VW; i++)
            x[i] = v_mul(v_set1(a->softcap), v_tanh(v_div(x[i], v_set1(a->softcap))));
    if (a->alibi) {
        float far[BLOCK]; /* distance of each position from the row's */
        for (int i = 0; i < BLOCK; i++) far[i] = (float)(distance - i);
        for (int i = 0; i < BLOCK / VW; i++) x[i] = v_sub(x[i], v_mul(v_set1(a->alibi[head]), v_load(far + i * VW)));
    }
    if (a->relative) {
        float bias[BLOCK];
        for (int i = 0; i < BLOCK; i++) bias[i] = olk_attention_relative(a, head, i - distance);
        for (int i = 0; i < BLOCK / VW; i++) x[i] = v_add(x[i], v_load(bias + i * VW));
    }
    if (lo > 0 || hi < BLOCK)
        for (int i = 0; i < BLOCK / VW; i++) {
            int64_t from = lo - i * VW, to = hi - i * VW;
            vm m = v_without(v_first(to > 0 ? to : 0), v_first(from > 0 ? from : 0));
            x[i] = v_select(m, x[i], v_set1(-INFINITY));
        }
    for (int i = 0; i < BLOCK / VW; i++) max = v_max(x[i], max);
    float greatest = v_greatest(max), top = greatest > s->max ? greatest : s->max;
    vf base = v_set1(top == -INFINITY ? 0 : top), sum = v_set1(0);
    for (int i = 0; i < BLOCK / VW; i++) {
        x[i] = v_exp(v_sub(x[i], base));
        sum = v_add(sum, x[i]);
        v_store(w + i * VW, x[i]);
    }
    float factor[VW];
    v_store(factor, v_exp(v_sub(v_set1(s->max), base)));
    s->sum = s->sum * factor[0] + v_sum(sum);
    s->max = top;
    return factor[0];
}

/* out = values / sum, with the sink of the head in the sum. */
static void finish(const olk_attention_args *a, int head, const running *s, const float *acc, float *out) {
    float sum = s->sum, factor = 1;
    if (a->sinks) {
        float sink = a->sinks[head], max = sink > s->max ? sink : s->max, base = max == -INFINITY ? 0 : max;
        factor = olk_exp(s->max - base);
        sum = sum * factor + olk_exp(sink - base);
    }
    vf f = v_set1(sum > 0 || sum != sum ? factor / sum : 0);
    for (int64_t j = 0; j < a->v_dim; j += VW) v_store_n(out + j, a->v_dim - j, v_mul(v_load_n(acc + j, a->v_dim - j), f));
}
