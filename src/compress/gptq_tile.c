/* SPDX-License-Identifier: Apache-2.0 */
#include "compress/gptq_tile.h"
#include <math.h>
#include <string.h>

#define L OL_GPTQ_LANES

void ol_gptq_product(const olk_gemm *gemm, const float *panels, int64_t n, int64_t depth, ol_lanes *x, ol_lanes *out) {
    int mr = gemm->mr;
    for (int64_t j = 0; j < n; j += mr, panels += depth * mr)
        for (int64_t c = 0; c < L; c += gemm->nb) {
            olk_gemm_tile t = {.a = panels, .mr = mr, .m = (int)(n - j < mr ? n - j : mr), .b = &x[0][c], .ldb = L, .k = depth,
                               .n = gemm->nb < L - c ? gemm->nb : L - c, .c = &out[j][c], .ldc = L, .add = true};
            gemm->multiply(&t);
        }
}

/* ---- rounding with compensation ---- */

static void round_column(const ol_gptq_plan *p, ol_gptq_tile *t, int64_t column, const float *place) {
    int64_t g = column / p->group;
    const float *s = t->s[g], *z = t->z[g], *w = t->w[column], lo = ol_gptq_lo(p), hi = ol_gptq_hi(p);
    float *c = t->c[column], *e = t->e[column];
    for (int l = 0; l < L; l++) {
        float inv = s[l] != 0 ? 1 / s[l] : 0;
        float q = ol_nearest_int(ol_clampf(place[l] * inv + z[l], lo, hi));
        c[l] = q - z[l];
        e[l] = w[l] - s[l] * c[l];
    }
}

/* Errors are kept at the columns themselves; products need those rounded so far in the order of processing. */
static void round_in_order(const ol_gptq_plan *p, ol_gptq_tile *t) {
    const ol_factor *f = p->factor;
    const float *panels = p->factor_panels;
    ol_lanes *ordered = t->g + OL_GPTQ_BLOCK; /* [k] */
    int64_t padded = (OL_GPTQ_BLOCK + p->gemm->mr - 1) / p->gemm->mr * p->gemm->mr;
    for (int64_t b = 0; b < p->k; b += OL_GPTQ_BLOCK) {
        int64_t n = p->k - b < OL_GPTQ_BLOCK ? p->k - b : OL_GPTQ_BLOCK;
        for (int64_t j = 0; j < n; j++) memcpy(t->g[j], t->w[f->order[b + j]], sizeof t->g[j]);
        ol_gptq_product(p->gemm, panels, n, b, ordered, t->g);
        panels += padded * b;
        for (int64_t j = 0; j < n; j++) {
            int64_t column = f->order[b + j];
            round_column(p, t, column, t->g[j]);
            memcpy(ordered[b + j], t->e[column], sizeof ordered[0]);
            const float *m = f->m + (b + j) * p->k + b;
            for (int64_t i = j + 1; i < n; i++)
                for (int l = 0; l < L; l++) t->g[i][l] += m[i] * t->e[column][l];
        }
    }
}

void ol_gptq_round(const ol_gptq_plan *p, ol_gptq_tile *t) {
    if (p->factor) {
        round_in_order(p, t);
        return;
    }
    for (int64_t k = 0; k < p->k; k++) round_column(p, t, k, t->w[k]);
}

/* ---- descent ---- */

/* The gradients (halves of them) of the n columns from k0. */
static void gradients(const ol_gptq_plan *p, ol_gptq_tile *t, int64_t k0, int64_t n) {
    int64_t mr = p->gemm->mr, padded = (p->block + mr - 1) / mr * mr;
    memset(t->g, 0, (size_t)n * sizeof t->g[0]);
    ol_gptq_product(p->gemm, p->h_panels + k0 / p->block * padded * p->k, n, p->k, t->e, t->g);
}

static float h_at(const ol_gptq_plan *p, int64_t i, int64_t j) { return p->h[i * p->k + j] + (i == j ? p->damping : 0); }

/* One code each: the step that lowers the loss most, with everything else as it is. */
static void move_code(const ol_gptq_plan *p, ol_gptq_tile *t, int64_t k0, int64_t n, int64_t j) {
    int64_t column = k0 + j, g = column / p->group;
    const float *s = t->s[g], *z = t->z[g], lo = ol_gptq_lo(p), hi = ol_gptq_hi(p);
    float *c = t->c[column], *e = t->e[column], step[L], hjj = h_at(p, column, column), any = 0;
    if (!(hjj > 0)) return;
    for (int l = 0; l < L; l++) {
        float inv = s[l] != 0 ? 1 / (s[l] * hjj) : 0;
        float d = ol_nearest_int(ol_clampf(t->g[j][l] * inv, -512, 512));
        float next = ol_clampf(c[l] + d, lo - z[l], hi - z[l]);
        step[l] = -s[l] * (next - c[l]);
        c[l] = next;
        any += fabsf(step[l]);
    }
    if (any == 0) return;
    for (int l = 0; l < L; l++) e[l] += step[l];
    for (int64_t i = 0; i < n; i++) {
        float h = h_at(p, column, k0 + i);
        for (int l = 0; l < L; l++) t->g[i][l] += h * step[l];
    }
}

/* The scale that fits the codes of a group best, where its stored form lowers the loss. */
static void refit_scale(const ol_gptq_plan *p, ol_gptq_tile *t, int64_t k0, int64_t n) {
    ol_lanes hc[OL_GPTQ_MAX_GROUP];
    float num[L] = {0}, den[L] = {0}, delta[L], *s = t->s[k0 / p->group];
    bool any = false;
    for (int64_t i = 0; i < n; i++) {
        const float *c = t->c[k0 + i];
        memset(hc[i], 0, sizeof hc[i]);
        for (int64_t j = 0; j < n; j++) {
            float h = h_at(p, k0 + i, k0 + j);
            const float *o = t->c[k0 + j];
            for (int l = 0; l < L; l++) hc[i][l] += h * o[l];
        }
        for (int l = 0; l < L; l++) {
            num[l] += c[l] * t->g[i][l];
            den[l] += c[l] * hc[i][l];
        }
    }
    for (int l = 0; l < L; l++) {
        float next = den[l] > 0 ? ol_round_scale(p->spec, s[l] + num[l] / den[l]) : s[l];
        float d = next - s[l];
        bool better = isfinite(next) && next != 0 && d * (d * den[l] - 2 * num[l]) < 0;
        delta[l] = better ? d : 0;
        if (better) s[l] = next;
        any = any || better;
    }
    for (int64_t i = 0; any && i < n; i++)
        for (int l = 0; l < L; l++) {
            t->e[k0 + i][l] -= delta[l] * t->c[k0 + i][l];
            t->g[i][l] -= delta[l] * hc[i][l];
        }
}

void ol_gptq_sweep(const ol_gptq_plan *p, ol_gptq_tile *t, bool scales) {
    for (int64_t k0 = 0; k0 < p->k; k0 += p->block) {
        int64_t n = p->k - k0 < p->block ? p->k - k0 : p->block;
        gradients(p, t, k0, n);
        for (int64_t i = 0; i < n; i++)
            for (int l = 0; l < L; l++) t->g[i][l] += p->damping * t->e[k0 + i][l];
        for (int64_t j = 0; j < n && !p->scales_alone; j++) move_code(p, t, k0, n, j);
        if (scales && p->block == p->group) refit_scale(p, t, k0, n);
    }
}

double ol_gptq_loss(const ol_gptq_plan *p, ol_gptq_tile *t, int n_lanes) {
    double sum = 0;
    for (int64_t k0 = 0; k0 < p->k; k0 += p->block) {
        int64_t n = p->k - k0 < p->block ? p->k - k0 : p->block;
        gradients(p, t, k0, n);
        for (int64_t i = 0; i < n; i++)
            for (int l = 0; l < n_lanes; l++) sum += (double)t->g[i][l] * (double)t->e[k0 + i][l];
    }
    return sum;
}
