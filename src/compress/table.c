/* SPDX-License-Identifier: Apache-2.0 */
#include "compress/table.h"
#include "tensor/qconst.h"
#include <math.h>
#include <string.h>

#define TOP_F8 448.0f
#define TOP_F4 6.0f

static const float epsilon = 0x1p-23f; /* of f32: NNCF's least scale */

/* Those of bitsandbytes and NNCF, which are not the middles to the last digit. */
static const float nf4_mids[15] = {
    -0.84809643f, -0.6106329f, -0.45999527f, -0.33967942f, -0.2346074f, -0.13791174f, -0.045525018f, 0.03979015f,
    0.120255254f, 0.20352125f, 0.29201376f,  0.38931254f,  0.5016634f,  0.6427869f,   0.8614784f,
};
static const float cb4_values[16] = {-3.5f, -2.5f,    -1.875f, -1.375f, -1,   -0.625f, -0.3125f, 0,
                                     0.28125f, 0.5625f, 0.875f, 1.125f, 1.5f, 2,       2.5f,     3.5f};
static const float f4_values[16] = {-6, -4, -3, -2, -1.5f, -1, -0.5f, -0.0f, 0, 0.5f, 1, 1.5f, 2, 3, 4, 6};
static const uint8_t f4_codes[16] = {15, 14, 13, 12, 11, 10, 9, 8, 0, 1, 2, 3, 4, 5, 6, 7};

bool ol_weight_is_table(olv_weight_type t) { return t == OLV_WEIGHT_NF4 || t >= OLV_WEIGHT_MXFP4; }

bool ol_weight_has_own_values(olv_weight_type t) {
    return t == OLV_WEIGHT_CB4 || t == OLV_WEIGHT_CODEBOOK || t == OLV_WEIGHT_ADAPTIVE_CODEBOOK;
}

static bool is_f8(olv_weight_type t) { return t == OLV_WEIGHT_MXFP8_E4M3 || t == OLV_WEIGHT_FP8_E4M3; }

static bool is_f4(olv_weight_type t) { return t == OLV_WEIGHT_MXFP4 || t == OLV_WEIGHT_NVFP4 || t == OLV_WEIGHT_FP4; }

static bool is_mx(olv_weight_type t) { return t == OLV_WEIGHT_MXFP4 || t == OLV_WEIGHT_MXFP8_E4M3; }

/* ---- tables ---- */

void ol_table_make(ol_value_table *t, const float *values, int n) {
    *t = (ol_value_table){.n = n};
    for (int i = 0; i < n; i++) {
        t->values[i] = values[i];
        t->codes[i] = (uint8_t)i;
        if (i) t->mids[i - 1] = (values[i - 1] + values[i]) / 2;
        t->top = fmaxf(t->top, fabsf(values[i]));
    }
}

/* A value in the middle takes the code whose last bit is 0; below zero is minus zero. */
static void make_f4(ol_value_table *t) {
    ol_table_make(t, f4_values, 16);
    memcpy(t->codes, f4_codes, sizeof f4_codes);
    for (int i = 0; i < 15; i++)
        if (t->codes[i] & 1) t->mids[i] = nextafterf(t->mids[i], -INFINITY);
    t->mids[7] = -0x1p-149f;
}

void ol_table_of_type(const olv_weight_spec *spec, ol_value_table *t) {
    if (spec->type == OLV_WEIGHT_NF4) {
        ol_table_make(t, ol_nf4_table, 16);
        memcpy(t->mids, nf4_mids, sizeof nf4_mids);
    } else if (is_f4(spec->type)) {
        make_f4(t);
    } else if (spec->type == OLV_WEIGHT_CODEBOOK) {
        ol_table_make(t, spec->codebook, spec->n_codebook);
    } else {
        ol_table_make(t, cb4_values, 16);
    }
    if (is_f8(spec->type)) t->top = TOP_F8;
}

/* ---- codes ---- */

/* Through f16 as OpenVINO does it, ties to even in both steps; saturates. */
static uint8_t f8_code(float v) {
    float a = fabsf(ol_f16_to_f32(ol_f32_to_f16(v)));
    uint8_t sign = signbit(v) ? 0x80 : 0;
    uint32_t u;
    if (a >= TOP_F8) return sign | 0x7e;
    if (a < 0x1p-6f) return (uint8_t)(sign | (unsigned)rintf(a * 512));
    memcpy(&u, &a, sizeof u);
    u += 0x7ffff + (u >> 20 & 1);
    return (uint8_t)(sign | ((u >> 20) - (120u << 3)));
}

static float f8_value(uint8_t code) { return (float)ol_elem_get(OL_F8E4M3, &code, 0); }

/* Sixteen values at once by counting, many by halving. */
static void place(const ol_value_table *t, const float *v, int *at) {
    uint32_t above[16] = {0};
    if (t->n <= 16) {
        for (int m = 0; m < t->n - 1; m++)
            for (int j = 0; j < 16; j++) above[j] += t->mids[m] < v[j];
        for (int j = 0; j < 16; j++) at[j] = (int)above[j];
        return;
    }
    for (int j = 0; j < 16; j++) {
        int lo = 0, hi = t->n - 1;
        while (lo < hi) {
            int mid = (lo + hi) / 2;
            if (t->mids[mid] < v[j]) lo = mid + 1;
            else hi = mid;
        }
        at[j] = lo;
    }
}

/* Codes of x over `scale`; the squared error with the scale as stored. */
static float encode(const olv_weight_spec *spec, const ol_value_table *t, const float *x, int64_t n, float scale, float stored,
                    uint8_t *codes) {
    float e = 0, v[16];
    int at[16];
    for (int64_t i = 0; i < n; i += 16) {
        for (int j = 0; j < 16; j++) v[j] = x[i + j] / scale;
        if (is_f8(spec->type)) {
            for (int j = 0; j < 16; j++) {
                codes[i + j] = f8_code(v[j]);
                v[j] = f8_value(codes[i + j]);
            }
        } else {
            place(t, v, at);
            for (int j = 0; j < 16; j++) {
                bool minus_zero = v[j] == 0 && signbit(v[j]) && is_f4(spec->type);
                codes[i + j] = minus_zero ? 8 : t->codes[at[j]];
                v[j] = t->values[at[j]];
            }
        }
        for (int j = 0; j < 16; j++) {
            float d = x[i + j] - v[j] * stored;
            e += d * d;
        }
    }
    return e;
}

/* ---- scales ---- */

static float largest(const float *x, int64_t n) {
    float m = 0;
    for (int64_t i = 0; i < n; i++) m = fmaxf(m, fabsf(x[i]));
    return m;
}

/* The smallest power of two that is not below x, within those that E8M0 has. */
static float power_above(float x) {
    int e = -127;
    if (x > 0) {
        float m = frexpf(x, &e);
        if (m == 0.5f) e--;
    }
    return ldexpf(1, e < -127 ? -127 : e > 127 ? 127 : e);
}

/* What the file holds for a scale, times `global`. */
static float stored_scale(const olv_weight_spec *spec, float global, float s) {
    if (is_mx(spec->type)) return s;
    if (spec->type != OLV_WEIGHT_NVFP4) return ol_round_scale(spec, s);
    uint8_t code = f8_code(s / global);
    return f8_value(code) * global;
}

static float plain_scale(const olv_weight_spec *spec, const ol_value_table *t, float most) {
    float s = most / t->top;
    if (is_mx(spec->type)) return power_above(s);
    return s < epsilon && spec->type != OLV_WEIGHT_NVFP4 ? epsilon : s;
}

/* Scales worth trying besides the plain one: shorter ones cut the largest weights off and round the others finer. */
static float trial(const olv_weight_spec *spec, float plain, int i) {
    static const float factors[] = {0.96f, 0.92f, 0.88f, 0.84f, 0.8f, 0.75f};
    return is_mx(spec->type) ? plain * (i == 0 ? 0.5f : 0.25f) : plain * factors[i];
}

void ol_round_table(const olv_weight_spec *spec, const ol_value_table *t, float global, const float *x, int64_t n, uint8_t *codes,
                    ol_rounded_group *out) {
    uint8_t zero = ol_weight_is_table(spec->type) && t->n ? t->codes[(t->n - 1) / 2] : 0;
    float s = plain_scale(spec, t, largest(x, n)), stored = stored_scale(spec, global, s);
    bool search = spec->rounding == OLV_ROUND_SEARCH;
    int trials = !search || spec->type == OLV_WEIGHT_FP8_E4M3 ? 0 : is_mx(spec->type) ? 2 : 6;
    if (s == 0 || stored == 0) { /* NVFP4's scales may be zero */
        memset(codes, 0, (size_t)n);
        float e = 0;
        for (int64_t i = 0; i < n; i++) e += x[i] * x[i];
        *out = (ol_rounded_group){0, zero, e, 0};
        return;
    }
    float best = encode(spec, t, x, n, search ? stored : s, stored, codes), best_scale = stored, used = search ? stored : s;
    for (int i = 0; i < trials && best > 0; i++) {
        uint8_t scratch[16];
        float c = stored_scale(spec, global, trial(spec, s, i)), e = 0;
        if (c == 0) continue;
        for (int64_t k = 0; k < n; k += 16) e += encode(spec, t, x + k, 16, c, c, scratch);
        if (!(e < best)) continue;
        best = e;
        best_scale = used = c;
    }
    best = encode(spec, t, x, n, used, best_scale, codes);
    *out = (ol_rounded_group){best_scale, zero, best, 0};
}
