/* SPDX-License-Identifier: Apache-2.0 */
/* Plain rounding exactly as NNCF's compress_weights and ONNX Runtime's default block quantizer do it: every operation in
 * f32, in their order. */
#include "compress/round.h"
#include <math.h>

static const float epsilon = 0x1p-23f; /* of f32: NNCF's least scale */

static void extremes(const float *x, int64_t n, float *lo, float *hi) {
    *lo = *hi = x[0];
    for (int64_t i = 1; i < n; i++) {
        *lo = x[i] < *lo ? x[i] : *lo;
        *hi = x[i] > *hi ? x[i] : *hi;
    }
}

static float at_least_epsilon(float s) { return fabsf(s) < epsilon ? epsilon : s; }

static int clamp_code(float v, int max) { return v < 0 ? 0 : v > (float)max ? max : (int)v; }

/* Error with the stored scale, in the order of the elements. */
static float squared_error(const float *x, int64_t n, const uint8_t *codes, int zero, float scale) {
    float e = 0;
    for (int64_t i = 0; i < n; i++) {
        float d = x[i] - (float)((int)codes[i] - zero) * scale;
        e += d * d;
    }
    return e;
}

void ol_round_nncf(const olv_weight_spec *spec, const float *x, int64_t n, uint8_t *codes, ol_rounded_group *out) {
    int bits = ol_weight_bits(spec->type), max = (1 << bits) - 1, zero = (max + 1) / 2;
    float lo, hi, s;
    extremes(x, n, &lo, &hi);
    if (ol_weight_asym(spec->type)) {
        lo = lo < 0 ? lo : 0;
        hi = hi > 0 ? hi : 0;
        s = at_least_epsilon((hi - lo) / (float)max);
        zero = clamp_code(-rintf(lo / s), max);
        for (int64_t i = 0; i < n; i++) codes[i] = (uint8_t)clamp_code(rintf(x[i] / s + (float)zero), max);
    } else {
        float low = fabsf(lo);
        s = at_least_epsilon((low >= hi ? low : -hi) / (float)zero);
        for (int64_t i = 0; i < n; i++) codes[i] = (uint8_t)clamp_code(rintf(x[i] / s) + (float)zero, max);
    }
    float stored = spec->scale == OLV_SCALE_F16 ? ol_f16_to_f32(ol_f32_to_f16(s)) : s;
    *out = (ol_rounded_group){stored, zero, squared_error(x, n, codes, zero, stored), 0};
}

/* Rounds halves away from zero. */
void ol_round_ort(const olv_weight_spec *spec, const float *x, int64_t n, uint8_t *codes, ol_rounded_group *out) {
    int bits = ol_weight_bits(spec->type), max = (1 << bits) - 1, zero = (max + 1) / 2;
    float lo, hi, s;
    extremes(x, n, &lo, &hi);
    if (ol_weight_asym(spec->type)) {
        lo = lo < 0 ? lo : 0;
        hi = hi > 0 ? hi : 0;
        s = (hi - lo) / (float)max;
        zero = s != 0 ? clamp_code(roundf(-lo / s), max) : 0;
    } else {
        s = (fabsf(hi) > fabsf(lo) ? hi : lo) / (float)-zero;
    }
    if (spec->scale == OLV_SCALE_F16) s = ol_f16_to_f32(ol_f32_to_f16(s));
    float inv = s != 0 ? 1.0f / s : 0;
    for (int64_t i = 0; i < n; i++) codes[i] = (uint8_t)clamp_code(roundf(x[i] * inv + (float)zero), max);
    *out = (ol_rounded_group){s, zero, squared_error(x, n, codes, zero, s), 0};
}
