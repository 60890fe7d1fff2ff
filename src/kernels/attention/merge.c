/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/attention/blocks.h"
#include "kernels/math/math.h"
#include <math.h>

size_t olk_attention_part_floats(const olk_attention_args *a) {
    return (size_t)(a->heads / a->kv_heads) * olk_part_head_floats(a);
}

static float exp_below(float x, float max) {
    return max == -INFINITY ? 0 : olk_exp(x - max);
}

/* One head: parts lie `stride` floats apart. */
static void merge_head(const olk_attention_args *a, int head, const float *parts, size_t stride, int64_t n, float *out) {
    float sink = a->sinks ? a->sinks[head] : -INFINITY, max = sink;
    for (int64_t i = 0; i < n; i++) {
        float m = parts[(size_t)i * stride];
        if (m > max || m != m) max = m;
    }
    float sum = exp_below(sink, max);
    for (int64_t i = 0; i < n; i++) {
        const float *p = parts + (size_t)i * stride;
        float f = exp_below(p[0], max);
        sum += f * p[1];
        for (int j = 0; j < a->v_dim; j++) out[j] = i ? out[j] + f * p[2 + j] : f * p[2 + j];
    }
    float inv = sum > 0 || sum != sum ? 1 / sum : 0;
    for (int j = 0; j < a->v_dim; j++) out[j] *= inv;
}

void olk_attention_merge(const olk_attention_args *a, int kvh, int64_t row, const float *parts, int64_t n) {
    int group = a->heads / a->kv_heads;
    for (int g = 0; g < group; g++) {
        int head = kvh * group + g;
        merge_head(a, head, parts + (size_t)g * olk_part_head_floats(a), olk_attention_part_floats(a), n,
                   a->out + row * a->ldo + (int64_t)head * a->v_dim);
    }
}
