/* SPDX-License-Identifier: Apache-2.0 */
/* Searching the scale of groups of weights, and rounding them to it.
 *
 * A group is n weights that share a scale s (and an offset): x is kept as an integer q in [lo, hi] with s q near x. The
 * search works on 16 groups at once, one per lane, in integers: weights become x' = rint(x * 32767 / unit), |x'| <=
 * 32767, and a trial multiplier m stands for a scale, since x / s = x' m / 2^(15 + shift):
 *     q = clamp((((x' m + 2^14) >> 15) + 2^(shift - 1)) >> shift, lo, hi)
 * The codes q of a trial are as good as their best scale makes them: the squared error left by it is
 * sum x^2 - (sum x q)^2 / (sum q q), so the best trial is the one with the largest quotient.
 *
 * Every variant gives the same bits: integers are exact, f32 operations are single ones in a fixed order (16 lanes of
 * running sums, then lanes l + 8, l + 4, l + 2, l + 1). n is a multiple of 16, zero padded; any alignment; buffers do not
 * overlap. Values are finite but in `range`. */
#ifndef OLK_QUANTIZE_H
#define OLK_QUANTIZE_H

#include <stdint.h>

#define OLK_Q_LANES 16
#define OLK_Q_CHUNK 128 /* pairs of elements whose sums are exact in 32 bits; codes of up to 8 bits, |q| <= 255 */

typedef struct olk_range {
    float lo, hi; /* least and largest; unspecified when there is a NaN; the sign of a zero is unspecified */
    float energy; /* sum x^2; not finite when x is not all finite, or on overflow */
} olk_range;

/* A multiplier with two pairs of bounds per lane. */
typedef struct olk_trial {
    int16_t lo[2][OLK_Q_LANES], hi[2][OLK_Q_LANES];
    int16_t mult; /* >= 0; |x' mult| < 2^30 - 2^(14 + shift) */
} olk_trial;

/* Where the zero points of a group's trials lie. */
typedef struct olk_offsets {
    int top;              /* largest code: zero points are 0 to top */
    const float *shrink;  /* [n_trials] scale of plain rounding over that of the trial */
    float center[OLK_Q_LANES]; /* middle of the group's range, in steps of plain rounding */
} olk_offsets;

typedef struct olk_best {
    float xq[OLK_Q_LANES], qq[OLK_Q_LANES];       /* sums of the best trial; xq 0 and qq 1 when there is none */
    float xq0[OLK_Q_LANES], qq0[OLK_Q_LANES];     /* sums of the first bounds of the first trial */
    int32_t index[OLK_Q_LANES];                   /* 2 * trial + bounds; the first of equals */
} olk_best;

typedef struct olk_rounded {
    float error, xq, qq; /* sum (x - s q)^2, sum x q, sum q q */
} olk_rounded;

typedef struct olk_quantize {
    const char *name;
    uint64_t cpu;
    void (*range)(const float *x, int64_t n, olk_range *out);
    /* out[(i / 2 * 16 + lane) * 2 + i % 2] = rint(x[lane * ldx + i] * mult[lane]); lanes from `lanes` on are zero. The
     * products are within +-32767.5. */
    void (*spread)(const float *x, int64_t ldx, int64_t n, int lanes, const float *mult, int16_t *out);
    /* Sets the bounds of trials: v = top / 2 - center * shrink is clamped to [-1, top + 1]; the first zero point is the whole
     * number nearest to it (ties to even), the second its neighbour on the side of v (below it when equal); clamped to
     * [0, top]; bounds are -zero and top - zero. */
    void (*offsets)(const olk_offsets *o, olk_trial *trials, int n_trials);
    /* x: n elements per lane as spread lays them out. 1 <= shift <= 12. */
    void (*search)(const int16_t *x, int64_t n, int shift, const olk_trial *trials, int n_trials, olk_best *best);
    /* q = rint(clamp(x * inv, lo, hi)), codes[i] = q - lo, sums with the scale s. 0 <= hi - lo <= 255. */
    void (*nearest_fit)(const float *x, int64_t n, float inv, float s, int lo, int hi, uint8_t *codes, olk_rounded *out);
    /* The same with xq and qq left 0. */
    void (*nearest)(const float *x, int64_t n, float inv, float s, int lo, int hi, uint8_t *codes, olk_rounded *out);
} olk_quantize;

/* Best variant under these CPU flags; never NULL. */
const olk_quantize *olk_quantize_select(uint64_t cpu);
/* All compiled variants, best first; the last one is scalar. */
const olk_quantize *const *olk_quantize_variants(int *count);

#endif
