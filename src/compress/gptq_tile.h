/* SPDX-License-Identifier: Apache-2.0 */
/* A tile of rows while it is rounded. Lanes are rows: value of row l and column k at [k * OL_GPTQ_LANES + l]. */
#ifndef OL_COMPRESS_GPTQ_TILE_H
#define OL_COMPRESS_GPTQ_TILE_H

#include "compress/gptq.h"
#include "kernels/gemm/gemm.h"

#define OL_GPTQ_LANES 32
#define OL_GPTQ_MAX_GROUP 256 /* scales of longer groups are not refitted */

typedef float ol_lanes[OL_GPTQ_LANES];

/* What all tiles share. */
typedef struct ol_gptq_plan {
    int64_t k, group, n_groups;
    int bits;
    bool asym, search;
    const olv_weight_spec *spec;
    const float *h, *scale_weights;
    float damping; /* added to the diagonal of h */
    const ol_factor *factor;
    const olk_gemm *gemm;
    const float *factor_panels, *h_panels; /* columns in blocks: of the factor, of h */
    int64_t block; /* columns of a block of h: a group, or 32 of a long one */
    int sweeps;
    bool scales_alone;
} ol_gptq_plan;

typedef struct ol_gptq_tile {
    ol_lanes *w, *e, *c; /* [k]: weights, errors, codes less zero points */
    ol_lanes *s, *z;     /* [n_groups]: scales as stored, zero points */
    ol_lanes *g;         /* of a block: gradients H e, or places of weights */
} ol_gptq_tile;

#define OL_GPTQ_BLOCK 32 /* columns rounded before the others hear of it */

/* v to the nearest integer, ties to even, for |v| < 2^22. */
static inline float ol_nearest_int(float v) { return (v + 12582912.0f) - 12582912.0f; }
static inline float ol_clampf(float v, float lo, float hi) { return v < lo ? lo : v > hi ? hi : v; }
/* Range of codes, zero point not yet taken off. */
static inline float ol_gptq_lo(const ol_gptq_plan *p) { return p->asym ? 0.0f : -(float)(1 << (p->bits - 1)); }
static inline float ol_gptq_hi(const ol_gptq_plan *p) { return p->asym ? (float)((1 << p->bits) - 1) : (float)((1 << (p->bits - 1)) - 1); }

/* out[j][lanes] = start[j] (or 0) + sum over p < depth of a_pj x[p][lanes], for j < n; panels as pack_a makes them of n columns. */
void ol_gptq_product(const olk_gemm *gemm, const float *panels, int64_t n, int64_t depth, ol_lanes *x, ol_lanes *out);

/* Finds the scales and zero points of all groups. */
void ol_gptq_scales(const ol_gptq_plan *p, ol_gptq_tile *t);
/* Gives every weight a code. */
void ol_gptq_round(const ol_gptq_plan *p, ol_gptq_tile *t);
/* One sweep over all blocks; scales: refits them too. */
void ol_gptq_sweep(const ol_gptq_plan *p, ol_gptq_tile *t, bool scales);
/* Sum of e^T H e over the first n lanes, without damping. */
double ol_gptq_loss(const ol_gptq_plan *p, ol_gptq_tile *t, int n);

#endif
