/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/quantize/quantize.h"
#include <string.h>

#define L OLK_Q_LANES

static float tree(float *v) {
    for (int step = L / 2; step > 0; step /= 2)
        for (int l = 0; l < step; l++) v[l] += v[l + step];
    return v[0];
}

static void range(const float *x, int64_t n, olk_range *out) {
    float lo = n ? x[0] : 0, hi = lo, energy[L] = {0};
    for (int64_t i = 0; i < n; i++) {
        lo = x[i] < lo ? x[i] : lo;
        hi = x[i] > hi ? x[i] : hi;
    }
    for (int64_t i = 0; i < n; i += L)
        for (int l = 0; l < L; l++) energy[l] += x[i + l] * x[i + l];
    *out = (olk_range){lo, hi, tree(energy)};
}

/* Nearest whole number, ties to even, of a value well below 2^22: the sum has no place for a fraction. */
static inline float nearest_whole(float v) { return v + 12582912.0f - 12582912.0f; }

static void spread(const float *x, int64_t ldx, int64_t n, int lanes, const float *mult, int16_t *out) {
    for (int l = 0; l < L; l++) {
        for (int64_t i = 0; i < n; i++) {
            float v = l < lanes ? nearest_whole(x[l * ldx + i] * mult[l]) : 0;
            out[(i / 2 * L + l) * 2 + i % 2] = (int16_t)v;
        }
    }
}

static float clamp(float v, float lo, float hi) { return v < lo ? lo : v > hi ? hi : v; }

static void offsets(const olk_offsets *o, olk_trial *trials, int n_trials) {
    float top = (float)o->top;
    for (int t = 0; t < n_trials; t++) {
        for (int l = 0; l < L; l++) {
            float v = clamp(top * 0.5f - o->center[l] * o->shrink[t], -1.0f, top + 1.0f), z = nearest_whole(v);
            int zeros[2] = {(int)clamp(z, 0, top), (int)clamp(v > z ? z + 1.0f : z - 1.0f, 0, top)};
            for (int b = 0; b < 2; b++) {
                trials[t].lo[b][l] = (int16_t)-zeros[b];
                trials[t].hi[b][l] = (int16_t)(o->top - zeros[b]);
            }
        }
    }
}

/* Sums of one trial and one pair of bounds over up to OLK_Q_CHUNK pairs. */
static void chunk(const int16_t *x, int64_t pairs, int mult, int shift, const int16_t *lo, const int16_t *hi,
                  int32_t *xq, int32_t *qq) {
    int half = 1 << (shift - 1);
    memset(xq, 0, L * sizeof *xq);
    memset(qq, 0, L * sizeof *qq);
    for (int64_t p = 0; p < pairs; p++) {
        for (int l = 0; l < L; l++) {
            for (int e = 0; e < 2; e++) {
                int v = x[(p * L + l) * 2 + e];
                int q = ((v * mult + (1 << 14)) >> 15) + half;
                q >>= shift;
                q = q > hi[l] ? hi[l] : q;
                q = q < lo[l] ? lo[l] : q;
                xq[l] += v * q;
                qq[l] += q * q;
            }
        }
    }
}

static void trial_sums(const int16_t *x, int64_t pairs, const olk_trial *t, int bounds, int shift, float *xq, float *qq) {
    int32_t a[L], b[L];
    memset(xq, 0, L * sizeof *xq);
    memset(qq, 0, L * sizeof *qq);
    for (int64_t p = 0; p < pairs; p += OLK_Q_CHUNK) {
        int64_t m = pairs - p < OLK_Q_CHUNK ? pairs - p : OLK_Q_CHUNK;
        chunk(x + p * L * 2, m, t->mult, shift, t->lo[bounds], t->hi[bounds], a, b);
        for (int l = 0; l < L; l++) {
            xq[l] += (float)a[l];
            qq[l] += (float)b[l];
        }
    }
}

static void search(const int16_t *x, int64_t n, int shift, const olk_trial *trials, int n_trials, olk_best *best) {
    float xq[L], qq[L];
    for (int l = 0; l < L; l++) {
        best->xq[l] = best->xq0[l] = 0;
        best->qq[l] = best->qq0[l] = 1;
        best->index[l] = 0;
    }
    for (int i = 0; i < 2 * n_trials; i++) {
        trial_sums(x, n / 2, &trials[i / 2], i % 2, shift, xq, qq);
        for (int l = 0; l < L; l++) {
            if (i == 0) {
                best->xq0[l] = xq[l];
                best->qq0[l] = qq[l];
            }
            /* xq^2 / qq > best xq^2 / best qq */
            if (xq[l] > 0 && xq[l] * xq[l] * best->qq[l] > best->xq[l] * best->xq[l] * qq[l]) {
                best->xq[l] = xq[l];
                best->qq[l] = qq[l];
                best->index[l] = i;
            }
        }
    }
}

static void nearest_fit(const float *x, int64_t n, float inv, float s, int lo, int hi, uint8_t *codes, olk_rounded *out) {
    float error[L] = {0}, xq[L] = {0}, qq[L] = {0}, flo = (float)lo, fhi = (float)hi;
    for (int64_t i = 0; i < n; i += L) {
        for (int l = 0; l < L; l++) {
            float v = x[i + l] * inv;
            v = v > fhi ? fhi : v;
            v = v < flo ? flo : v;
            float q = nearest_whole(v), d = x[i + l] - q * s;
            error[l] += d * d;
            xq[l] += x[i + l] * q;
            qq[l] += q * q;
            codes[i + l] = (uint8_t)((int)q - lo);
        }
    }
    *out = (olk_rounded){tree(error), tree(xq), tree(qq)};
}

static void nearest(const float *x, int64_t n, float inv, float s, int lo, int hi, uint8_t *codes, olk_rounded *out) {
    nearest_fit(x, n, inv, s, lo, hi, codes, out);
    out->xq = out->qq = 0;
}

extern const olk_quantize olk_quantize__scalar;
const olk_quantize olk_quantize__scalar = {
    "olk_quantize__scalar", 0, range, spread, offsets, search, nearest_fit, nearest,
};
