/* SPDX-License-Identifier: Apache-2.0 */
#include "formats/gguf/encode.h"
#include "tensor/dtype.h"
#include <math.h>
#include <string.h>

#define K 256 /* elements of a K-quant's block */

static float as_half(float f) { return ol_f16_to_f32(ol_f32_to_f16(f)); }

static void put_half(uint8_t *out, float f) {
    uint16_t h = ol_f32_to_f16(f);
    out[0] = (uint8_t)h;
    out[1] = (uint8_t)(h >> 8);
}

static int clamp(float v, int lo, int hi) {
    float r = rintf(v);
    return r <= (float)lo ? lo : r >= (float)hi ? hi : (int)r;
}

/* The value of largest magnitude. */
static float extreme(const float *x, int n) {
    float v = 0;
    for (int i = 0; i < n; i++)
        if (fabsf(x[i]) > fabsf(v)) v = x[i];
    return v;
}

/* ---- blocks of 32 ---- */

/* d = the largest magnitude over 127; ties round away from zero. */
static void q8_0(const float *x, uint8_t *out) {
    float d = fabsf(extreme(x, 32)) / 127, inverse = d > 0 ? 1 / d : 0;
    put_half(out, d);
    for (int i = 0; i < 32; i++) out[2 + i] = (uint8_t)(int8_t)roundf(x[i] * inverse);
}

/* The value of largest magnitude becomes -8. */
static void q4_0(const float *x, uint8_t *out) {
    uint8_t q[32];
    float d = extreme(x, 32) / -8, inverse = d != 0 ? 1 / d : 0;
    put_half(out, d);
    for (int i = 0; i < 32; i++) q[i] = (uint8_t)fminf(15, fmaxf(0, x[i] * inverse + 8.5f));
    for (int i = 0; i < 16; i++) out[2 + i] = (uint8_t)(q[i] | q[i + 16] << 4);
}

/* Five bits: nibbles at `low`, the fifth bits in the four bytes at `high`. */
static void put_fives(const uint8_t *q, uint8_t *high, uint8_t *low) {
    memset(high, 0, 4);
    for (int i = 0; i < 16; i++) low[i] = (uint8_t)((q[i] & 15) | (q[i + 16] & 15) << 4);
    for (int i = 0; i < 32; i++) high[i / 8] = (uint8_t)(high[i / 8] | (q[i] >> 4) << (i % 8));
}

static void q5_0(const float *x, uint8_t *out) {
    uint8_t q[32];
    float d = extreme(x, 32) / -16, inverse = d != 0 ? 1 / d : 0;
    put_half(out, d);
    for (int i = 0; i < 32; i++) q[i] = (uint8_t)fminf(31, fmaxf(0, x[i] * inverse + 16.5f));
    put_fives(q, out + 2, out + 6);
}

static void q5_1(const float *x, uint8_t *out) {
    uint8_t q[32];
    float lo = x[0], hi = x[0];
    for (int i = 1; i < 32; i++) {
        lo = fminf(lo, x[i]);
        hi = fmaxf(hi, x[i]);
    }
    float d = (hi - lo) / 31, inverse = d != 0 ? 1 / d : 0;
    put_half(out, d);
    put_half(out + 2, lo);
    for (int i = 0; i < 32; i++) q[i] = (uint8_t)fminf(31, (x[i] - lo) * inverse + 0.5f);
    put_fives(q, out + 4, out + 8);
}

/* ---- K-quants with minima: x = scale * q - min, q in [0, top] ---- */

#define SUB 32
#define TRIALS 21

typedef struct affine {
    float scale, min; /* both >= 0 */
} affine;

/* The best scale and min for given codes. */
static affine fit(const float *x, const uint8_t *q) {
    float sq = 0, sqq = 0, sx = 0, sxq = 0;
    for (int i = 0; i < SUB; i++) {
        float c = q[i];
        sq += c;
        sqq += c * c;
        sx += x[i];
        sxq += x[i] * c;
    }
    float det = SUB * sqq - sq * sq;
    affine a = {0, 0};
    if (det > 0) {
        a.scale = (SUB * sxq - sx * sq) / det;
        a.min = (sq * sxq - sqq * sx) / det;
    }
    if (a.min < 0 || det <= 0) a = (affine){sqq > 0 ? sxq / sqq : 0, 0};
    return a;
}

static void round_affine(const float *x, affine a, int top, uint8_t *q) {
    float inverse = a.scale > 0 ? 1 / a.scale : 0;
    for (int i = 0; i < SUB; i++) q[i] = (uint8_t)clamp((x[i] + a.min) * inverse, 0, top);
}

static float affine_error(const float *x, affine a, const uint8_t *q) {
    float e = 0;
    for (int i = 0; i < SUB; i++) {
        float d = a.scale * (float)q[i] - a.min - x[i];
        e += d * d;
    }
    return e;
}

/* Ranges a little shorter and longer than the weights', each with the best fit to its codes. */
static affine search_affine(const float *x, int top) {
    uint8_t q[SUB];
    float lo = 0, hi = x[0], least = INFINITY;
    for (int i = 0; i < SUB; i++) {
        lo = fminf(lo, x[i]);
        hi = fmaxf(hi, x[i]);
    }
    affine best = {0, -lo};
    if (!(hi > lo)) return best;
    for (int t = 0; t < TRIALS; t++) {
        affine a = {(hi - lo) / ((float)top - 1 + 0.1f * (float)t), -lo};
        round_affine(x, a, top, q);
        a = fit(x, q);
        float e = affine_error(x, a, q);
        if (!(e < least) || a.scale < 0) continue;
        least = e;
        best = a;
    }
    return best;
}

/* Six bits each of eight scales and minima in twelve bytes. */
static void put_scales(const int *sc, const int *m, uint8_t *s) {
    memset(s, 0, 12);
    for (int j = 0; j < 4; j++) {
        s[j] = (uint8_t)(sc[j] | (sc[j + 4] >> 4) << 6);
        s[j + 4] = (uint8_t)(m[j] | (m[j + 4] >> 4) << 6);
        s[j + 8] = (uint8_t)((sc[j + 4] & 15) | (m[j + 4] & 15) << 4);
    }
}

/* d, dmin, scales[12], (qh[32] for five bits), qs[128] */
static void q45_k(const float *x, bool five, uint8_t *out) {
    affine a[8];
    int sc[8], m[8], top = five ? 31 : 15;
    float most = 0, lowest = 0;
    for (int j = 0; j < 8; j++) {
        a[j] = search_affine(x + j * SUB, top);
        most = fmaxf(most, a[j].scale);
        lowest = fmaxf(lowest, a[j].min);
    }
    float d = as_half(most / 63), dmin = as_half(lowest / 63);
    for (int j = 0; j < 8; j++) {
        sc[j] = d > 0 ? clamp(a[j].scale / d, 0, 63) : 0;
        m[j] = dmin > 0 ? clamp(a[j].min / dmin, 0, 63) : 0;
    }
    put_half(out, d);
    put_half(out + 2, dmin);
    put_scales(sc, m, out + 4);
    uint8_t *qh = out + 16, *qs = out + (five ? 48 : 16), q[SUB];
    memset(qh, 0, five ? 32 + 128 : 128);
    for (int j = 0; j < 8; j++) {
        round_affine(x + j * SUB, (affine){d * (float)sc[j], dmin * (float)m[j]}, top, q);
        for (int l = 0; l < SUB; l++) {
            qs[j / 2 * 32 + l] = (uint8_t)(qs[j / 2 * 32 + l] | (q[l] & 15) << (j % 2 * 4));
            if (five) qh[l] = (uint8_t)(qh[l] | (q[l] >> 4) << j);
        }
    }
}

/* ---- Q6_K: x = d * scale * q, q in [-32, 31], scales of eight bits for 16 elements ---- */

static float search_signed(const float *x) {
    float top = extreme(x, 16), best = 0, most = 0;
    if (top == 0) return 0;
    for (int t = -9; t <= 9; t++) {
        float inverse = -(32 + 0.1f * (float)t) / top, xq = 0, qq = 0;
        for (int i = 0; i < 16; i++) {
            float q = (float)clamp(x[i] * inverse, -32, 31);
            xq += x[i] * q;
            qq += q * q;
        }
        if (!(qq > 0) || !(xq * xq > most * qq)) continue; /* what the squared error is reduced by: xq^2 / qq */
        most = xq * xq / qq;
        best = xq / qq;
    }
    return best;
}

static void q6_k(const float *x, uint8_t *out) {
    float scales[16], top;
    for (int j = 0; j < 16; j++) scales[j] = search_signed(x + j * 16);
    top = extreme(scales, 16);
    float d = as_half(top / -128);
    memset(out, 0, 208);
    put_half(out + 208, d);
    for (int j = 0; j < 16; j++) {
        int sc = d != 0 ? clamp(scales[j] / d, -128, 127) : 0, h = j / 8, part = j % 8 / 2;
        float s = d * (float)sc, inverse = s != 0 ? 1 / s : 0;
        out[192 + j] = (uint8_t)(int8_t)sc;
        for (int i = 0; i < 16; i++) {
            int q = clamp(x[j * 16 + i] * inverse, -32, 31) + 32, l = j % 2 * 16 + i;
            uint8_t *ql = &out[h * 64 + part % 2 * 32 + l], *qh = &out[128 + h * 32 + l];
            *ql = (uint8_t)(*ql | (q & 15) << (part / 2 * 4));
            *qh = (uint8_t)(*qh | (q >> 4) << (part * 2));
        }
    }
}

static void q4_k(const float *x, uint8_t *out) { q45_k(x, false, out); }
static void q5_k(const float *x, uint8_t *out) { q45_k(x, true, out); }

/* ---- rows ---- */

void ol_gguf_encode(ol_gguf_type type, const float *x, size_t n, uint8_t *out) {
    static const struct {
        ol_gguf_type type;
        size_t block, bytes;
        void (*encode)(const float *x, uint8_t *out);
    } blocks[] = {{OL_GGUF_T_Q4_0, 32, 18, q4_0}, {OL_GGUF_T_Q5_0, 32, 22, q5_0}, {OL_GGUF_T_Q5_1, 32, 24, q5_1}, {OL_GGUF_T_Q8_0, 32, 34, q8_0},
                  {OL_GGUF_T_Q4_K, K, 144, q4_k}, {OL_GGUF_T_Q5_K, K, 176, q5_k}, {OL_GGUF_T_Q6_K, K, 210, q6_k}};
    if (type == OL_GGUF_T_F32) memcpy(out, x, n * sizeof *x);
    for (size_t i = 0; i < n && type == OL_GGUF_T_F16; i++) put_half(out + 2 * i, x[i]);
    for (size_t b = 0; b < sizeof blocks / sizeof blocks[0]; b++)
        for (size_t i = 0; blocks[b].type == type && i < n / blocks[b].block; i++)
            blocks[b].encode(x + i * blocks[b].block, out + i * blocks[b].bytes);
}
