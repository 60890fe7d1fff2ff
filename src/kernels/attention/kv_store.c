/* SPDX-License-Identifier: Apache-2.0 */
#include "base/cpu.h"
#include "kernels/attention/blocks.h"
#include <math.h>
#include <string.h>

static void halves(const float *x, uint16_t *y, int64_t n) {
#if defined(__x86_64__)
    if ((ol_cpu_probe() & OL_ISA_AVX2) == OL_ISA_AVX2) { /* the same bits, faster */
        olk_halves__avx2(x, y, n);
        return;
    }
#endif
    ol_elems_from_f32(OL_F16, x, (uint64_t)n, y, 0);
}

/* Symmetric codes; the scale is NaN when a value is not finite, so that the damage shows. */
static float codes(const float *x, int8_t *y, int n) {
    float max = 0;
    for (int i = 0; i < n; i++) {
        float v = fabsf(x[i]);
        if (!(v <= 3.402823466e38f)) {
            memset(y, 0, (size_t)n);
            return NAN;
        }
        max = v > max ? v : max;
    }
    float inv = max > 1e-30f ? 127 / max : 0;
    /* Adding 1.5 * 2^23 leaves the value rounded to the nearest even integer in the low bits. */
    for (int i = 0; i < n; i++) y[i] = (int8_t)(int)((x[i] * inv + 12582912.0f) - 12582912.0f);
    return max > 1e-30f ? max / 127 : 0;
}

/* One vector of `dim` values of one head at slot `i` of its block. */
static void store_head(ol_dtype t, uint8_t *block, int i, const float *x, int dim) {
    size_t at = (size_t)i * (size_t)dim;
    if (t == OL_F32) memcpy(block + at * 4, x, (size_t)dim * 4);
    else if (t == OL_F16) halves(x, (uint16_t *)(void *)block + at, dim);
    else ((float *)(void *)(block + (size_t)OLK_KV_BLOCK * (size_t)dim))[i] = codes(x, (int8_t *)block + at, dim);
}

void olk_kv_store(const olk_attention_args *a, int32_t position, const float *k, const float *v) {
    uint8_t *block = (uint8_t *)(uintptr_t)a->blocks[position / OLK_KV_BLOCK];
    int slot = position % OLK_KV_BLOCK;
    for (int h = 0; h < a->kv_heads; h++) {
        size_t hs = (size_t)h;
        store_head(a->kv_dtype, block + a->k_offset + hs * a->k_head_stride, slot, k + hs * (size_t)a->head_dim, a->head_dim);
        store_head(a->kv_dtype, block + a->v_offset + hs * a->v_head_stride, slot, v + hs * (size_t)a->v_dim, a->v_dim);
    }
}
