/* SPDX-License-Identifier: Apache-2.0 */
/* Layouts as the GGUF specification has them. In blocks of 32 the byte j holds element j in its low nibble and
 * element j + 16 in its high one. */
#include "tensor/qblock.h"
#include <math.h>
#include <string.h>

typedef void decode_fn(const uint8_t *p, float *out);

static float half(const uint8_t *p) { return ol_f16_to_f32((uint16_t)(p[0] | p[1] << 8)); }
static uint32_t u32(const uint8_t *p) {
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static void decode_q4_0(const uint8_t *p, float *out) {
    float d = half(p);
    for (int j = 0; j < 16; j++) {
        out[j] = d * (float)((p[2 + j] & 15) - 8);
        out[j + 16] = d * (float)((p[2 + j] >> 4) - 8);
    }
}

static void decode_q4_1(const uint8_t *p, float *out) {
    float d = half(p), m = half(p + 2);
    for (int j = 0; j < 16; j++) {
        out[j] = d * (float)(p[4 + j] & 15) + m;
        out[j + 16] = d * (float)(p[4 + j] >> 4) + m;
    }
}

/* The fifth bit of element j is bit j of `high`. */
static int q5(const uint8_t *qs, uint32_t high, int j) {
    int low = j < 16 ? qs[j] & 15 : qs[j - 16] >> 4;
    return low | (int)(high >> j & 1) << 4;
}

static void decode_q5_0(const uint8_t *p, float *out) {
    float d = half(p);
    for (int j = 0; j < 32; j++) out[j] = d * (float)(q5(p + 6, u32(p + 2), j) - 16);
}

static void decode_q5_1(const uint8_t *p, float *out) {
    float d = half(p), m = half(p + 2);
    for (int j = 0; j < 32; j++) out[j] = d * (float)q5(p + 8, u32(p + 4), j) + m;
}

static void decode_q8_0(const uint8_t *p, float *out) {
    float d = half(p);
    for (int j = 0; j < 32; j++) out[j] = d * (float)(int8_t)p[2 + j];
}

/* 16 runs of 16 elements; scales and minima in 4 bits each. scales[16], qs[64], d, dmin. */
static void decode_q2_k(const uint8_t *p, float *out) {
    const uint8_t *qs = p + 16;
    float d = half(p + 80), dmin = half(p + 82);
    for (int run = 0; run < 16; run++) {
        const uint8_t *q = qs + run / 8 * 32 + run % 2 * 16;
        int shift = run % 8 / 2 * 2;
        float s = d * (float)(p[run] & 15), m = dmin * (float)(p[run] >> 4);
        for (int l = 0; l < 16; l++) out[run * 16 + l] = s * (float)(q[l] >> shift & 3) - m;
    }
}

/* 6-bit scale of run j out of 12 bytes: low nibbles of bytes 0..7 then high ones, two upper bits in bytes 8..11. */
static int q3_k_scale(const uint8_t *s, int j) {
    int low = j < 8 ? s[j] & 15 : s[j - 8] >> 4;
    return (low | (s[8 + j % 4] >> (j / 4 * 2) & 3) << 4) - 32;
}

/* hmask[32], qs[64], scales[12], d. A clear bit of hmask subtracts 4. */
static void decode_q3_k(const uint8_t *p, float *out) {
    float d = half(p + 108);
    for (int run = 0; run < 16; run++) {
        const uint8_t *q = p + 32 + run / 8 * 32 + run % 2 * 16, *h = p + run % 2 * 16;
        int shift = run % 8 / 2 * 2, bit = run / 2;
        float s = d * (float)q3_k_scale(p + 96, run);
        for (int l = 0; l < 16; l++)
            out[run * 16 + l] = s * (float)((q[l] >> shift & 3) - (h[l] >> bit & 1 ? 0 : 4));
    }
}

/* 6-bit scale and minimum of sub-block j out of 12 bytes. */
static void k_scale(const uint8_t *s, int j, int *sc, int *m) {
    if (j < 4) {
        *sc = s[j] & 63;
        *m = s[j + 4] & 63;
    } else {
        *sc = (s[j + 4] & 15) | (s[j - 4] >> 6) << 4;
        *m = (s[j + 4] >> 4) | (s[j] >> 6) << 4;
    }
}

/* d, dmin, scales[12], (qh[32] when `five`), qs[128]; 8 sub-blocks of 32. */
static void decode_q45_k(const uint8_t *p, bool five, float *out) {
    float d = half(p), dmin = half(p + 2);
    const uint8_t *qh = p + 16, *qs = p + (five ? 48 : 16);
    for (int j = 0; j < 8; j++) {
        int sc, m;
        k_scale(p + 4, j, &sc, &m);
        float s = d * (float)sc, mn = dmin * (float)m;
        for (int l = 0; l < 32; l++) {
            int q = qs[j / 2 * 32 + l] >> (j % 2 * 4) & 15;
            if (five) q += (qh[l] >> j & 1) << 4;
            out[j * 32 + l] = s * (float)q - mn;
        }
    }
}

static void decode_q4_k(const uint8_t *p, float *out) { decode_q45_k(p, false, out); }
static void decode_q5_k(const uint8_t *p, float *out) { decode_q45_k(p, true, out); }

/* ql[128], qh[64], i8 scales[16], d; in two halves of four quarters of 32. */
static void decode_q6_k(const uint8_t *p, float *out) {
    float d = half(p + 208);
    for (int h = 0; h < 2; h++) {
        const uint8_t *ql = p + h * 64, *qh = p + 128 + h * 32;
        for (int part = 0; part < 4; part++) {
            for (int l = 0; l < 32; l++) {
                int low = ql[part % 2 * 32 + l] >> (part / 2 * 4) & 15;
                int q = (low | (qh[l] >> (part * 2) & 3) << 4) - 32;
                int8_t sc = (int8_t)p[192 + h * 8 + part * 2 + l / 16];
                out[h * 128 + part * 32 + l] = d * (float)sc * (float)q;
            }
        }
    }
}

static const int8_t iq4_table[16] = {-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113};

static void decode_iq4_nl(const uint8_t *p, float *out) {
    float d = half(p);
    for (int j = 0; j < 16; j++) {
        out[j] = d * (float)iq4_table[p[2 + j] & 15];
        out[j + 16] = d * (float)iq4_table[p[2 + j] >> 4];
    }
}

/* d, u16 upper scale bits, scales_l[4], qs[128]; 8 sub-blocks of 32. */
static void decode_iq4_xs(const uint8_t *p, float *out) {
    float d = half(p);
    int high = p[2] | p[3] << 8;
    for (int b = 0; b < 8; b++) {
        int sc = (p[4 + b / 2] >> (b % 2 * 4) & 15) | (high >> (2 * b) & 3) << 4;
        float s = d * (float)(sc - 32);
        const uint8_t *q = p + 8 + b * 16;
        for (int j = 0; j < 16; j++) {
            out[b * 32 + j] = s * (float)iq4_table[q[j] & 15];
            out[b * 32 + j + 16] = s * (float)iq4_table[q[j] >> 4];
        }
    }
}

static void decode_mxfp4(const uint8_t *p, float *out) {
    static const float e2m1[16] = {0, 0.5f, 1, 1.5f, 2, 3, 4, 6, -0.0f, -0.5f, -1, -1.5f, -2, -3, -4, -6};
    float d = ldexpf(1.0f, p[0] - 127);
    for (int j = 0; j < 16; j++) {
        out[j] = d * e2m1[p[1 + j] & 15];
        out[j + 16] = d * e2m1[p[1 + j] >> 4];
    }
}

static const struct {
    const char *name;
    int elems, bytes;
    decode_fn *decode;
} kinds[] = {
    [OL_QB_NONE] = {"?", 0, 0, NULL},
    [OL_QB_Q4_0] = {"q4_0", 32, 18, decode_q4_0},
    [OL_QB_Q4_1] = {"q4_1", 32, 20, decode_q4_1},
    [OL_QB_Q5_0] = {"q5_0", 32, 22, decode_q5_0},
    [OL_QB_Q5_1] = {"q5_1", 32, 24, decode_q5_1},
    [OL_QB_Q8_0] = {"q8_0", 32, 34, decode_q8_0},
    [OL_QB_Q2_K] = {"q2_K", 256, 84, decode_q2_k},
    [OL_QB_Q3_K] = {"q3_K", 256, 110, decode_q3_k},
    [OL_QB_Q4_K] = {"q4_K", 256, 144, decode_q4_k},
    [OL_QB_Q5_K] = {"q5_K", 256, 176, decode_q5_k},
    [OL_QB_Q6_K] = {"q6_K", 256, 210, decode_q6_k},
    [OL_QB_IQ4_NL] = {"iq4_nl", 32, 18, decode_iq4_nl},
    [OL_QB_IQ4_XS] = {"iq4_xs", 256, 136, decode_iq4_xs},
    [OL_QB_MXFP4] = {"mxfp4", 32, 17, decode_mxfp4},
};
#define N_KINDS (sizeof kinds / sizeof *kinds)

int ol_qblock_elems(ol_qblock b) { return (unsigned)b < N_KINDS ? kinds[b].elems : 0; }
int ol_qblock_bytes(ol_qblock b) { return (unsigned)b < N_KINDS ? kinds[b].bytes : 0; }
const char *ol_qblock_name(ol_qblock b) { return (unsigned)b < N_KINDS ? kinds[b].name : "?"; }

void ol_qblock_decode(ol_qblock b, const uint8_t *block, float *out) {
    if ((unsigned)b < N_KINDS && kinds[b].decode) kinds[b].decode(block, out);
}
