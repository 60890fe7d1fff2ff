/* SPDX-License-Identifier: Apache-2.0 */
/* The data file of an ORT-GenAI folder: a list of tensors with their places, filled by tiles of rows from all lanes. */
#ifndef OL_FORMATS_ORTGENAI_DATA_H
#define OL_FORMATS_ORTGENAI_DATA_H

#include "formats/ortgenai/output.h"
#include "formats/ortgenai/ortgenai.h"
#include "tensor/constant.h"

#define OL_OG_DATA_NAME "model.onnx.data"

/* Rows of a rotary cache: cos or sin of position · inv_freq, times a factor. */
typedef struct ol_og_rope {
    const float *inv_freq; /* borrowed */
    int64_t half;
    double factor;
    bool sine;
} ol_og_rope;

typedef struct ol_og_tensor {
    const char *name; /* of the constant, for the journal */
    ol_const *c;      /* retained; NULL for a rotary cache */
    ol_og_rope rope;
    ol_dtype type;    /* of the elements written; for quantized constants that of the scales */
    bool quantized;   /* codes, scales and zero points of c lie at the three offsets; else rows at offset[0] */
    uint8_t flip;     /* exclusive-ored to codes (signed codes made unsigned) and to zero points */
    int64_t block, n_blocks; /* of quantized ones, as written: a group of the constant becomes one or more blocks */
    int64_t rows;
    size_t row_bytes[3]; /* as written */
    uint64_t offset[3];
    int64_t tile;     /* rows of a tile */
} ol_og_tensor;

typedef struct ol_og_data {
    ol_og_tensor *tensors;
    size_t n, cap;
    uint64_t size; /* of the file so far */
} ol_og_data;

/* Adds a float tensor whose rows are those of c in `type`; NULL when out of memory. */
ol_og_tensor *ol_og_data_float(ol_og_data *d, const char *name, ol_const *c, ol_dtype type);
ol_og_tensor *ol_og_data_rope(ol_og_data *d, const char *name, const ol_og_rope *rope, int64_t rows, ol_dtype type);
/* Adds a quantized tensor (c is QUANT or LAZY_QUANT) in blocks of `block` along its rows, which must divide the groups of
 * c (or c has one group per row, and rows are padded to whole blocks); scales and zero points are repeated. block 0:
 * rows as they are, groups as c has them. */
ol_og_tensor *ol_og_data_quant(ol_og_data *d, const char *name, ol_const *c, ol_dtype scale_type, uint8_t flip,
                               int64_t block);
void ol_og_data_deinit(ol_og_data *d);
uint64_t ol_og_data_layout(const ol_og_data *d); /* hash of names, types and places */
/* Fills the file in the output folder; tensors that the journal names are left as they are, and the notes that
 * came with them go to opt->renew. */
OLV_MUST_USE olv_status ol_og_data_write(const ol_og_data *d, ol_output *out, const ol_ortgenai_options *opt,
                                         ol_ortgenai_progress *progress, void *ctx, olv_error *err);

#endif
