/* SPDX-License-Identifier: Apache-2.0 */
/* The search. A group is normalized to integers (kernels/quantize) and tried with multipliers around that of plain
 * rounding, each with two choices: which sign of the extreme gets the additional level (symmetric), or which of the two
 * nearest zero points (asymmetric). The best trial gives the scale; the weights are then rounded to the nearest multiple of
 * the scale as it will be stored, and scale and codes are refined in turn while the error falls. */
#include "compress/round.h"
#include "base/alloc.h"
#include "base/error.h"
#include "compress/table.h"
#include <math.h>
#include <string.h>

#define MAX_TRIALS 40
#define L OLK_Q_LANES
#define MAX_REFINE 3

struct ol_rounder {
    olv_weight_spec spec;
    const ol_value_table *table;
    float global;
    int64_t n;
    const olk_quantize *k;
    int max_q; /* largest unsigned code */
    int shift;
    int n_trials;
    int16_t mults[MAX_TRIALS];
    float shrink[MAX_TRIALS]; /* multipliers over the first */
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
    if (ol_weight_bits(r->spec.type) < 4) { /* the few levels are better spent on the many small weights */
        *lo = ol_weight_bits(r->spec.type) == 2 ? 300 : 400;
        *count = 32;
    }
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
    r->shift = bits == 8 ? (asym ? 6 : 7) : asym ? 9 : 14 - bits;
    factor_range(r, &lo, &hi, &count);
    int one = levels << r->shift, first = one * 1000 / hi, last = one / lo * 1000;
    r->mults[0] = (int16_t)one;
    for (int i = 0; i < count; i++) r->mults[i + 1] = (int16_t)(first + (last - first) * i / (count - 1));
    r->n_trials = count + 1;
    for (int t = 0; t < r->n_trials; t++) {
        olk_trial *trial = &r->trials[t];
        trial->mult = r->mults[t];
        r->shrink[t] = (float)r->mults[t] / (float)r->mults[0];
        for (int l = 0; l < L; l++) { /* as symmetric needs them; asymmetric sets them by group */
            trial->lo[0][l] = (int16_t)-levels;
            trial->hi[0][l] = (int16_t)(levels - 1);
            trial->lo[1][l] = (int16_t)(1 - levels);
            trial->hi[1][l] = (int16_t)levels;
        }
    }
}

ol_rounder *ol_rounder_create(const olv_weight_spec *spec, const ol_value_table *table, float global, int64_t n, uint64_t cpu) {
    ol_rounder *r = ol_calloc(1, sizeof *r);
    if (!r) return NULL;
    r->spec = *spec;
    r->table = table;
    r->global = global;
    r->n = n;
    r->k = olk_quantize_select(cpu);
    r->spread = ol_alloc_aligned((size_t)n * L * sizeof(int16_t));
    r->scratch = ol_alloc((size_t)n);
    if (!r->spread || !r->scratch) {
        ol_rounder_destroy(r);
        return NULL;
    }
    if (!ol_weight_is_table(spec->type)) set_mults(r);
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

static bool is_zero(const olk_range *g) { return g->lo == 0 && g->hi == 0; }

/* Longer groups are refined after the search; for short ones the trials lie close enough. */
static bool refines(const ol_rounder *r) { return r->n > 64; }

static void try_candidate(const ol_rounder *r, const float *x, candidate *c, uint8_t *codes) {
    c->tried = true;
    if (c->scale == 0) { /* too small for the type of scales */
        memset(codes, -c->lo, (size_t)r->n);
        olk_range range;
        r->k->range(x, r->n, &range);
        c->sums = (olk_rounded){range.energy, 0, 0};
        return;
    }
    (refines(r) ? r->k->nearest_fit : r->k->nearest)(x, r->n, 1.0f / c->scale, c->scale, c->lo, c->lo + r->max_q, codes,
                                                     &c->sums);
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

/* The trial at factor 1, with its best scale, is at least as good as plain rounding. Only when the search is not clearly
 * better than that, by more than its own rounding errors, must the two be compared; and where f16 has few digits left, so
 * that the stored scale is another one. */
static bool clearly_better(float scale, float score, float gain) {
    return fabsf(scale) >= 0x1p-14f && isfinite(scale) && gain > score * 0x1p-18f;
}

/* The long way: compares what was found with plain rounding, and refines. */
static void settle(ol_rounder *r, const float *x, const olk_range *g, candidate c, bool better, uint8_t *codes,
                   ol_rounded_group *out) {
    candidate best = {.tried = false};
    consider(r, x, c, &best, codes);
    if (!best.tried || !better) consider(r, x, plain(r, g, 0), &best, codes);
    if (fabsf(c.scale) < 0x1p-14f) consider(r, x, plain(r, g, 0x1p-23f), &best, codes);
    if (best.tried && refines(r)) refine(r, x, &best, codes);
    *out = (ol_rounded_group){best.scale, -best.lo, best.sums.error, g->energy};
}

/* ---- sixteen groups ---- */

/* The value of each lane that becomes 32767: minus the extreme (so that the extreme gets the most negative code), or the
 * range with zero inside. */
static void lane_units(ol_rounder *r, int count, const olk_range *g, float *unit) {
    olk_offsets o = {.top = r->max_q, .shrink = r->shrink};
    if (!ol_weight_asym(r->spec.type)) {
        for (int l = 0; l < count; l++) unit[l] = -g[l].lo >= g[l].hi ? -g[l].lo : -g[l].hi;
        return;
    }
    for (int l = 0; l < count; l++) {
        float lo = g[l].lo < 0 ? g[l].lo : 0, hi = g[l].hi > 0 ? g[l].hi : 0;
        unit[l] = hi - lo;
        o.center[l] = unit[l] > 0 ? (float)r->max_q * ((hi + lo) * 0.5f) / unit[l] : 0;
    }
    r->k->offsets(&o, r->trials, r->n_trials);
}

/* Scales found for all lanes, as they will be stored; how good they are, and by how much better than the first trial. */
typedef struct found_scales {
    float scale[L], score[L], gain[L];
} found_scales;

static void find_scales(const ol_rounder *r, const olk_best *b, const float *unit, found_scales *f) {
    uint16_t half[L];
    float exact[L];
    float flip = ol_weight_asym(r->spec.type) ? 1.0f : -1.0f; /* q in [1 - h, h] is -q in [-h, h - 1] */
    for (int l = 0; l < L; l++) {
        float s = unit[l] / 32767.0f * (b->xq[l] / b->qq[l]);
        exact[l] = b->index[l] & 1 ? s * flip : s;
        f->score[l] = b->xq[l] * b->xq[l] / b->qq[l];
        f->gain[l] = f->score[l] - b->xq0[l] * b->xq0[l] / b->qq0[l];
    }
    ol_elems_from_f32(OL_F16, exact, L, half, 0);
    ol_elems_to_f32(OL_F16, half, 0, L, f->scale);
    if (r->spec.scale == OLV_SCALE_F32)
        for (int l = 0; l < L; l++) f->scale[l] = ol_round_scale(&r->spec, exact[l]);
}

static int found_lo(const ol_rounder *r, const olk_best *b, int l) {
    if (!ol_weight_asym(r->spec.type)) return -(r->max_q + 1) / 2;
    return r->trials[b->index[l] / 2].lo[b->index[l] % 2][l];
}

static void run_search(ol_rounder *r, const float *x, int count, uint8_t *codes, const olk_range *ranges,
                       ol_rounded_group *out) {
    float unit[L] = {0}, mult[L] = {0};
    olk_best best;
    found_scales f;
    lane_units(r, count, ranges, unit);
    for (int l = 0; l < count; l++) {
        mult[l] = 32767.0f / unit[l];
        if (!isfinite(mult[l])) mult[l] = 0; /* zeros, or too small to be searched */
    }
    r->k->spread(x, r->n, r->n, count, mult, r->spread);
    r->k->search(r->spread, r->n, r->shift, r->trials, r->n_trials, &best);
    find_scales(r, &best, unit, &f);
    for (int l = 0; l < count; l++) {
        const float *g = x + l * r->n;
        uint8_t *c = codes + l * r->n;
        int lo = found_lo(r, &best, l);
        bool better = clearly_better(f.scale[l], f.score[l], f.gain[l]);
        if (is_zero(&ranges[l])) {
            int zero = ol_weight_asym(r->spec.type) ? 0 : (r->max_q + 1) / 2;
            memset(c, zero, (size_t)r->n);
            out[l] = (ol_rounded_group){0, zero, 0, 0};
        } else if (better && !refines(r)) {
            olk_rounded sums;
            r->k->nearest(g, r->n, 1.0f / f.scale[l], f.scale[l], lo, lo + r->max_q, c, &sums);
            out[l] = (ol_rounded_group){f.scale[l], -lo, sums.error, ranges[l].energy};
        } else {
            settle(r, g, &ranges[l], (candidate){.scale = f.scale[l], .lo = lo}, better, c, &out[l]);
        }
    }
}

static bool all_finite(const float *x, int64_t n) {
    for (int64_t i = 0; i < n; i++)
        if (!isfinite(x[i])) return false;
    return true;
}

olv_status ol_rounder_run(ol_rounder *r, const float *x, int count, uint8_t *codes, ol_rounded_group *out,
                          olv_error *err) {
    olk_range ranges[L];
    for (int l = 0; l < count; l++) {
        r->k->range(x + l * r->n, r->n, &ranges[l]);
        if (!isfinite(ranges[l].energy) && !all_finite(x + l * r->n, r->n))
            return ol_fail(err, OLV_FORMAT, "a weight is infinite or no number");
    }
    bool table = ol_weight_is_table(r->spec.type);
    if (r->spec.rounding == OLV_ROUND_SEARCH && !table) {
        run_search(r, x, count, codes, ranges, out);
    } else {
        for (int l = 0; l < count; l++) {
            const float *g = x + l * r->n;
            uint8_t *c = codes + l * r->n;
            if (table)
                ol_round_table(&r->spec, r->table, r->global, g, r->n, c, &out[l]);
            else if (r->spec.rounding == OLV_ROUND_ORT)
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
