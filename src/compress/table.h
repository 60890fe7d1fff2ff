/* SPDX-License-Identifier: Apache-2.0 */
/* Weight types whose codes stand for the values of a table (NF4, FP4, codebooks) or for small floats (FP8), and what their
 * scales are. */
#ifndef OL_COMPRESS_TABLE_H
#define OL_COMPRESS_TABLE_H

#include "compress/round.h"
#include "tensor/constant.h"

#define OL_TABLE_MAX 256

/* The values in ascending order. A weight v (over its scale) has the code of values[the number of mids below v]. */
typedef struct ol_value_table {
    int n;
    float values[OL_TABLE_MAX];
    float mids[OL_TABLE_MAX];
    uint8_t codes[OL_TABLE_MAX];
    float top; /* scale = largest magnitude / top */
} ol_value_table;

bool ol_weight_is_table(olv_weight_type t);    /* not integers, not casts */
bool ol_weight_has_own_values(olv_weight_type t); /* the table goes with the codes: cb4, codebook, adaptive_codebook */
/* The table of a type; spec->codebook for CODEBOOK. Not for ADAPTIVE_CODEBOOK and 8-bit floats. */
void ol_table_of_type(const olv_weight_spec *spec, ol_value_table *t);
/* Table of n ascending values. */
void ol_table_make(ol_value_table *t, const float *values, int n);
/* ADAPTIVE_CODEBOOK: sixteen values (8-bit floats) fitted to the rows of src, scaled as the spec says. Reads all of it. */
OLV_MUST_USE olv_status ol_table_adapt(ol_value_table *t, const ol_const *src, const olv_weight_spec *spec, olv_error *err);
/* NVFP4: the scale of all scales of src. Reads all of it. */
OLV_MUST_USE olv_status ol_table_global_scale(const ol_const *src, const olv_weight_spec *spec, float *out, olv_error *err);

/* One group of n weights (a multiple of 16). `global` multiplies all scales (1 but for NVFP4). */
void ol_round_table(const olv_weight_spec *spec, const ol_value_table *t, float global, const float *x, int64_t n, uint8_t *codes,
                    ol_rounded_group *out);

#endif
