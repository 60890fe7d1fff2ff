/* SPDX-License-Identifier: Apache-2.0 */
/* The search. A group is normalized to integers (kernels/quantize) and tried with multipliers around that of plain
 * rounding, each with two choices: which sign of the extreme gets the additional level (symmetric), or which of the two
 * nearest zero points (asymmetric). The best trial gives the scale; the weights are then rounded to the nearest multiple of
 * the scale as it will be stored, and scale and codes are refined in turn while the error falls. */
#include "compress/round.h"
#include "base/alloc.h"
#include "base/error.h"
#include "tensor/qconst.h"
#include <math.h>
#include <string.h>

#define MAX_TRIALS 40
#define L OLK_Q_LANES
#define MAX_REFINE 3

struct ol_rounder {
    olv_weight_spec spec;
    int64_t n;
    const olk_quantize *k;
    int max_q; /* largest unsigned code */
    int shift;
    int n_trials;
    int16_t mults[MAX_TRIALS];
    int16_t *spread;  /* n * 16 */
    uint8_t *scratch; /* n codes */
    olk_trial trials[MAX_TRIALS];
};

/* Scale factors that are worth trying, relative to plain rounding, in 1/1000: the longer the group, the smaller. */
static void factor_range(const ol_rounder *r, int *lo, int *hi, int *count) {
    *count = 24;
    *hi = 1120;
    *lo = r->n <= 32 ? 620 : r->n <= 64 ? 550 : r->n <= 128 ? 500 : r->n <= 256 ? 450 : 350;
    if (r->n > 256) *count = 32;
    if (ol_weight_bits(r->spec.type) == 8) {
        *lo = r->n <= 256 ? 960 : 840;
        *hi = 1010;
        *count = 12;
    }
}

/* Multipliers, evenly spaced: that of plain rounding first. Integer arithmetic only: the same everywhere. */
static void set_mults(ol_rounder *r) {
    bool asym = ol_weight_asym(r->spec.type);
    int bits = ol_weight_bits(r->spec.type), lo, hi, count;
    int levels = asym ? (1 << bits) - 1 : 1 << (bits - 1); /* codes that unit, the largest |x|, spans at factor 1 */
    r->max_q = (1 << bits) - 1;
    r->shift = bits == 4 ? (asym ? 9 : 10) : (asym ? 6 : 7);
    factor_range(r, &lo, &hi, &count);
    int one = levels << r->shift, first = one * 1000 / hi, last = one / lo * 1000;
    r->mults[0] = (int16_t)one;
    for (int i = 0; i < count; i++) r->mults[i + 1] = (int16_t)(first + (last - first) * i / (count - 1));
    r->n_trials = count + 1;
    for (int t = 0; t < r->n_trials; t++) {
        olk_trial *trial = &r->trials[t];
        trial->mult = r->mults[t];
        for (int l = 0; l < L; l++) { /* as symmetric needs them; asymmetric sets them by group */
            trial->lo[0][l] = (int16_t)-levels;
            trial->hi[0][l] = (int16_t)(levels - 1);
            trial->lo[1][l] = (int16_t)(1 - levels);
            trial->hi[1][l] = (int16_t)levels;
        }
    }
}

ol_rounder *ol_rounder_create(const olv_weight_spec *spec, int64_t n, uint64_t cpu) {
    ol_rounder *r = ol_calloc(1, sizeof *r);
    if (!r) return NULL;
    r->spec = *spec;
    r->n = n;
    r->k = olk_quantize_select(cpu);
    r->spread = ol_alloc_aligned((size_t)n * L * sizeof(int16_t));
    r->scratch = ol_alloc((size_t)n);
    if (!r->spread || !r->scratch) {
        ol_rounder_destroy(r);
        return NULL;
    }
    if (spec->type != OLV_WEIGHT_NF4) set_mults(r);
    return r;
}

void ol_rounder_destroy(ol_rounder *r) {
    if (!r) return;
    ol_free_aligned(r->spread);
    ol_free(r->scratch);
    ol_free(r);
}

float ol_round_scale(const olv_weight_spec *spec, float scale) {
    float a = fabsf(scale);
    if (spec->scale == OLV_SCALE_F32 && (a < 0x1p-14f || a > 65504.0f)) return scale;
    return ol_f16_to_f32(ol_f32_to_f16(scale));
}

/* ---- one group ---- */

/* A candidate for a group: scale as stored and bounds of q. */
typedef struct candidate {
    float scale;
    int lo;
    olk_rounded sums;
    bool tried;
} candidate;

static void try_candidate(const ol_rounder *r, const float *x, candidate *c, uint8_t *codes) {
    c->tried = true;
    if (c->scale == 0) { /* too small for the type of scales */
        memset(codes, -c->lo, (size_t)r->n);
        olk_range range;
        r->k->range(x, r->n, &range);
        c->sums = (olk_rounded){range.energy, 0, 0};
        return;
    }
    r->k->nearest(x, r->n, 1.0f / c->scale, c->scale, c->lo, c->lo + r->max_q, codes, &c->sums);
}

/* Alternates scale and codes while the error falls. `codes` holds those of c at the end. */
static void refine(ol_rounder *r, const float *x, candidate *c, uint8_t *codes) {
    for (int i = 0; i < MAX_REFINE && c->sums.qq > 0; i++) {
        candidate next = {.scale = ol_round_scale(&r->spec, c->sums.xq / c->sums.qq), .lo = c->lo};
        if (next.scale == c->scale || !isfinite(next.scale)) break;
        try_candidate(r, x, &next, r->scratch);
        if (!(next.sums.error < c->sums.error)) break;
        *c = next;
        memcpy(codes, r->scratch, (size_t)r->n);
    }
}

/* Plain rounding: signed scale from the extreme, or range with zero inside; scales of at least `least`. */
static candidate plain(const ol_rounder *r, const olk_range *g, float least) {
    candidate c = {.lo = -(r->max_q + 1) / 2};
    float s;
    if (!ol_weight_asym(r->spec.type)) {
        float extreme = -g->lo >= g->hi ? g->lo : g->hi;
        s = -extreme / (float)((r->max_q + 1) / 2);
        if (fabsf(s) < least) s = least;
    } else {
        float lo = g->lo < 0 ? g->lo : 0, hi = g->hi > 0 ? g->hi : 0;
        s = (hi - lo) / (float)r->max_q;
        if (s < least) s = least;
        c.lo = s > 0 ? (int)rintf(lo / s) : 0;
        c.lo = c.lo < -r->max_q ? -r->max_q : c.lo > 0 ? 0 : c.lo;
    }
    c.scale = ol_round_scale(&r->spec, s);
    return c;
}

/* What the search found for lane l. */
static candidate found(const ol_rounder *r, const olk_best *b, int l, float unit) {
    int trial = b->index[l] / 2, side = b->index[l] % 2;
    candidate c = {.scale = unit / 32767.0f * (b->xq[l] / b->qq[l]), .lo = r->trials[trial].lo[side][l]};
    if (!ol_weight_asym(r->spec.type)) {
        c.lo = -(r->max_q + 1) / 2;
        if (side) c.scale = -c.scale; /* q in [1 - h, h] is -q in [-h, h - 1] */
    }
    c.scale = ol_round_scale(&r->spec, c.scale);
    return c;
}

/* Tries c and keeps it, with its codes, where it is better than the best so far. */
static void consider(ol_rounder *r, const float *x, candidate c, candidate *best, uint8_t *codes) {
    if (!isfinite(c.scale)) {
        if (!best->tried) *best = c;
        return;
    }
    try_candidate(r, x, &c, best->tried ? r->scratch : codes);
    if (best->tried && !(c.sums.error < best->sums.error)) return;
    if (best->tried) memcpy(codes, r->scratch, (size_t)r->n);
    *best = c;
}

static void settle(ol_rounder *r, const float *x, const olk_range *g, const olk_best *b, int l, float unit,
                   uint8_t *codes, ol_rounded_group *out) {
    candidate best = {.tried = false}, c = found(r, b, l, unit);
    consider(r, x, c, &best, codes);
    /* The trial at factor 1, with its best scale, is at least as good as plain rounding. Only when the search is not
     * clearly better than that, by more than its own rounding errors, must the two be compared; and where f16 has few
     * digits left, so that the stored scale is another one. */
    float score = b->xq[l] * b->xq[l] / b->qq[l];
    float gain = score - b->xq0[l] * b->xq0[l] / (b->qq0[l] > 0 ? b->qq0[l] : 1);
    bool coarse = fabsf(c.scale) < 0x1p-14f;
    if (!best.tried || coarse || !(gain > score * 0x1p-15f)) consider(r, x, plain(r, g, 0), &best, codes);
    if (coarse) consider(r, x, plain(r, g, 0x1p-23f), &best, codes);
    if (best.tried) refine(r, x, &best, codes);
    *out = (ol_rounded_group){best.scale, -best.lo, best.sums.error, g->energy};
}

/* ---- sixteen groups ---- */

/* Bounds of the trials of lane l for offset groups: the zero point that centres the shrunken range, and its neighbour. */
static void set_zero_points(ol_rounder *r, int l, float lo, float hi) {
    float span = hi - lo, center = span > 0 ? (float)r->max_q * ((hi + lo) * 0.5f) / span : 0;
    for (int t = 0; t < r->n_trials; t++) {
        float v = (float)r->max_q * 0.5f - center * (float)r->mults[t] / (float)r->mults[0];
        int z = (int)rintf(v), other = v > (float)z ? z + 1 : z - 1;
        int zs[2] = {z, other};
        for (int b = 0; b < 2; b++) {
            int c = zs[b] < 0 ? 0 : zs[b] > r->max_q ? r->max_q : zs[b];
            r->trials[t].lo[b][l] = (int16_t)-c;
            r->trials[t].hi[b][l] = (int16_t)(r->max_q - c);
        }
    }
}

/* The value that becomes 32767: minus the extreme (so that the extreme gets the most negative code), or the range. */
static float lane_unit(ol_rounder *r, int l, const olk_range *g) {
    if (!ol_weight_asym(r->spec.type)) return -g->lo >= g->hi ? -g->lo : -g->hi;
    float lo = g->lo < 0 ? g->lo : 0, hi = g->hi > 0 ? g->hi : 0;
    set_zero_points(r, l, lo, hi);
    return hi - lo;
}

static olv_status run_search(ol_rounder *r, const float *x, int count, uint8_t *codes, const olk_range *ranges,
                             ol_rounded_group *out) {
    float unit[L] = {0}, mult[L] = {0};
    olk_best best;
    for (int l = 0; l < count; l++) {
        unit[l] = lane_unit(r, l, &ranges[l]);
        mult[l] = 32767.0f / unit[l];
        if (!isfinite(mult[l]) || ranges[l].magnitude == 0) mult[l] = 0;
    }
    r->k->spread(x, r->n, r->n, count, mult, r->spread);
    r->k->search(r->spread, r->n, r->shift, r->trials, r->n_trials, &best);
    for (int l = 0; l < count; l++) {
        const float *g = x + l * r->n;
        uint8_t *c = codes + l * r->n;
        if (ranges[l].magnitude == 0) {
            int zero = ol_weight_asym(r->spec.type) ? 0 : (r->max_q + 1) / 2;
            memset(c, zero, (size_t)r->n);
            out[l] = (ol_rounded_group){0, zero, 0, 0};
        } else {
            settle(r, g, &ranges[l], &best, l, unit[l], c, &out[l]);
        }
    }
    return OLV_OK;
}

olv_status ol_rounder_run(ol_rounder *r, const float *x, int count, uint8_t *codes, ol_rounded_group *out,
                          olv_error *err) {
    olk_range ranges[L];
    for (int l = 0; l < count; l++) {
        r->k->range(x + l * r->n, r->n, &ranges[l]);
        if (ranges[l].magnitude >= 0x7f800000u) return ol_fail(err, OLV_FORMAT, "a weight is infinite or no number");
    }
    if (r->spec.rounding == OLV_ROUND_SEARCH && r->spec.type != OLV_WEIGHT_NF4) {
        OL_TRY(run_search(r, x, count, codes, ranges, out));
    } else {
        for (int l = 0; l < count; l++) {
            const float *g = x + l * r->n;
            uint8_t *c = codes + l * r->n;
            if (r->spec.rounding == OLV_ROUND_ORT)
                ol_round_ort(&r->spec, g, r->n, c, &out[l]);
            else
                ol_round_nncf(&r->spec, g, r->n, c, &out[l]);
            out[l].energy = ranges[l].energy;
        }
    }
    for (int l = 0; l < count; l++)
        if (!isfinite(out[l].scale))
            return ol_fail(err, OLV_LIMIT, "the scale of weights up to %g does not fit into f16; use f32 scales",
                           (double)fmaxf(-ranges[l].lo, ranges[l].hi));
    return OLV_OK;
}
