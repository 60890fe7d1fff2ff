/* SPDX-License-Identifier: Apache-2.0 */
/* Rounding groups of weights to codes and scales. */
#ifndef OL_COMPRESS_ROUND_H
#define OL_COMPRESS_ROUND_H

#include "kernels/quantize/quantize.h"
#include "tensor/dtype.h"
#include <olivine/compress.h>

#define OL_ROUND_LANES OLK_Q_LANES /* groups rounded at once */

/* One rounded group. Codes are unsigned: q - lo for integers, an index for tables. */
typedef struct ol_rounded_group {
    float scale; /* as stored */
    int zero;    /* code of 0 for integers */
    float error, energy; /* sum of squared errors with the stored scale; sum of squares */
} ol_rounded_group;

typedef struct ol_rounder ol_rounder;

/* A rounder for groups of n weights (a multiple of 16, zero padded), with its own scratch memory; for one thread at a
 * time. table and global: NULL and 1 but for types that have them. NULL when out of memory. */
struct ol_value_table; /* of compress/table.h; for types that have one, and borrowed */
ol_rounder *ol_rounder_create(const olv_weight_spec *spec, const struct ol_value_table *table, float global, int64_t n, uint64_t cpu);
void ol_rounder_destroy(ol_rounder *r);
/* Rounds `count` <= OL_ROUND_LANES groups: group i is at x + i * n and gets its codes at codes + i * n. */
OLV_MUST_USE olv_status ol_rounder_run(ol_rounder *r, const float *x, int count, uint8_t *codes, ol_rounded_group *out,
                                       olv_error *err);
/* Same by the exact definitions of other tools (rounding NNCF or ORT). */
void ol_round_nncf(const olv_weight_spec *spec, const float *x, int64_t n, uint8_t *codes, ol_rounded_group *out);
void ol_round_ort(const olv_weight_spec *spec, const float *x, int64_t n, uint8_t *codes, ol_rounded_group *out);
/* The value that the file will hold for a scale. */
float ol_round_scale(const olv_weight_spec *spec, float scale);

int ol_weight_bits(olv_weight_type t);  /* of the codes: 2, 3, 4, 8; 0 for types without */
bool ol_weight_asym(olv_weight_type t);

#endif
