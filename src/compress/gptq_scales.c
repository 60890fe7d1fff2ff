/* SPDX-License-Identifier: Apache-2.0 */
/* Scales of groups: those of plain rounding, or the best of many by the error that the columns' weights count. A trial's codes
 * are as good as their best scale makes them: what is left is sum d x^2 - (sum d x c)^2 / (sum d c^2). */
#include "compress/gptq_tile.h"
#include <math.h>
#include <string.h>

#define L OL_GPTQ_LANES

/* Sums of a trial: lanes have their scale and zero point. */
static void try_scales(const ol_gptq_plan *p, ol_lanes *x, const float *d, int64_t n, const float *s, const float *z, float *xc, float *cc) {
    float inv[L], lo = ol_gptq_lo(p), hi = ol_gptq_hi(p);
    memset(xc, 0, L * sizeof *xc);
    memset(cc, 0, L * sizeof *cc);
    for (int l = 0; l < L; l++) inv[l] = s[l] != 0 ? 1 / s[l] : 0;
    for (int64_t i = 0; i < n; i++) {
        float w = d[i];
        for (int l = 0; l < L; l++) {
            float c = ol_nearest_int(ol_clampf(x[i][l] * inv[l] + z[l], lo, hi)) - z[l], wc = w * c;
            xc[l] += wc * x[i][l];
            cc[l] += wc * c;
        }
    }
}

typedef struct best_scales {
    float score[L], scale[L], zero[L];
} best_scales;

static void keep_better(const ol_gptq_plan *p, best_scales *b, const float *z, const float *xc, const float *cc) {
    for (int l = 0; l < L; l++) {
        if (!(cc[l] > 0)) continue;
        float score = xc[l] * xc[l] / cc[l], s = ol_round_scale(p->spec, xc[l] / cc[l]);
        if (!(score > b->score[l]) || !isfinite(s) || s == 0) continue;
        b->score[l] = score;
        b->scale[l] = s;
        b->zero[l] = z[l];
    }
}

/* Least and largest, with zero inside when asked for. */
static void ranges(ol_lanes *x, int64_t n, bool zero, float *lo, float *hi) {
    for (int l = 0; l < L; l++) lo[l] = hi[l] = zero ? 0 : x[0][l];
    for (int64_t i = 0; i < n; i++)
        for (int l = 0; l < L; l++) {
            lo[l] = x[i][l] < lo[l] ? x[i][l] : lo[l];
            hi[l] = x[i][l] > hi[l] ? x[i][l] : hi[l];
        }
}

/* Scale and zero point of plain rounding, not yet in their stored form. */
static void plain_scales(const ol_gptq_plan *p, ol_lanes *x, int64_t n, float *s, float *z) {
    float lo[L], hi[L], top = (float)((1 << p->bits) - 1), half = (float)(1 << (p->bits - 1));
    ranges(x, n, p->asym && p->search, lo, hi);
    for (int l = 0; l < L; l++) {
        s[l] = p->asym ? (hi[l] - lo[l]) / top : fabsf(lo[l]) >= hi[l] ? fabsf(lo[l]) / half : -hi[l] / half;
        z[l] = p->asym && s[l] > 0 ? ol_clampf(ol_nearest_int(ol_clampf(-lo[l] / s[l], -1e6f, 1e6f)), 0, top) : 0;
    }
}

static void search_group(const ol_gptq_plan *p, ol_lanes *x, const float *d, int64_t n, float *s, float *z) {
    best_scales b = {.score = {0}};
    float trial[L], zero[L], xc[L], cc[L], lo[L], hi[L], top = (float)((1 << p->bits) - 1);
    int count = p->bits == 8 ? 12 : 28;
    float first = p->bits == 8 ? 0.92f : n > 64 ? 0.5f : 0.6f, last = p->bits == 8 ? 1.02f : 1.15f;
    ranges(x, n, true, lo, hi);
    for (int f = 0; f < count; f++)
        for (int side = 0; side < 2; side++) {
            float factor = first + (last - first) * (float)f / (float)(count - 1);
            for (int l = 0; l < L; l++) {
                trial[l] = s[l] * factor * (side && !p->asym ? -1.0f : 1.0f);
                float center = trial[l] != 0 ? top * 0.5f - (hi[l] + lo[l]) * 0.5f / trial[l] : 0;
                center = ol_clampf(center, -1, top + 1);
                zero[l] = p->asym ? ol_clampf(floorf(center) + (float)side, 0, top) : 0;
            }
            try_scales(p, x, d, n, trial, zero, xc, cc);
            keep_better(p, &b, zero, xc, cc);
        }
    for (int l = 0; l < L; l++) {
        if (b.score[l] > 0) s[l] = b.scale[l], z[l] = b.zero[l];
        else s[l] = ol_round_scale(p->spec, s[l]);
    }
}

void ol_gptq_scales(const ol_gptq_plan *p, ol_gptq_tile *t) {
    for (int64_t g = 0; g < p->n_groups; g++) {
        int64_t k0 = g * p->group, n = p->k - k0 < p->group ? p->k - k0 : p->group;
        float *s = t->s[g], *z = t->z[g];
        plain_scales(p, t->w + k0, n, s, z);
        if (p->search) search_group(p, t->w + k0, p->scale_weights + k0, n, s, z);
        else
            for (int l = 0; l < L; l++) s[l] = ol_round_scale(p->spec, s[l]);
    }
}
