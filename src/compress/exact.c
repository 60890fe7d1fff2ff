/* SPDX-License-Identifier: Apache-2.0 */
/* Plain rounding exactly as NNCF's compress_weights and ONNX Runtime's default block quantizer do it: every operation in
 * f32, in their order. */
#include "compress/round.h"
#include "tensor/qconst.h"
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

static const float nf4_midpoints[15] = {
    -0.84809643f, -0.6106329f, -0.45999527f, -0.33967942f, -0.2346074f, -0.13791174f, -0.045525018f, 0.03979015f,
    0.120255254f, 0.20352125f, 0.29201376f,  0.38931254f,  0.5016634f,  0.6427869f,   0.8614784f,
};

/* Scale is the largest magnitude; a value on a midpoint takes the lower code. */
static void nf4(const olv_weight_spec *spec, const float *x, int64_t n, uint8_t *codes, ol_rounded_group *out) {
    float lo, hi, v[16], e = 0;
    extremes(x, n, &lo, &hi);
    float s = at_least_epsilon(-lo > hi ? -lo : hi), stored = ol_round_scale(spec, s);
    for (int64_t i = 0; i < n; i += 16) { /* n is a multiple of 16 */
        uint32_t above[16] = {0};
        for (int j = 0; j < 16; j++) v[j] = x[i + j] / s;
        for (int m = 0; m < 15; m++)
            for (int j = 0; j < 16; j++) above[j] += nf4_midpoints[m] < v[j];
        for (int j = 0; j < 16; j++) {
            float d = x[i + j] - ol_nf4_table[above[j]] * stored;
            codes[i + j] = (uint8_t)above[j];
            e += d * d;
        }
    }
    *out = (ol_rounded_group){stored, 7, e, 0};
}

void ol_round_nncf(const olv_weight_spec *spec, const float *x, int64_t n, uint8_t *codes, ol_rounded_group *out) {
    if (spec->type == OLV_WEIGHT_NF4) {
        nf4(spec, x, n, codes, out);
        return;
    }
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
