/* SPDX-License-Identifier: Apache-2.0 */
/* Parts of quantized constants that only files handling their storage need. */
#ifndef OL_TENSOR_QCONST_FORM_H
#define OL_TENSOR_QCONST_FORM_H

#include "tensor/qconst.h"

int ol_qcode_bits(ol_qcode c); /* bits of a code; 0 for BLOCK */
size_t ol_qcode_bytes(ol_qcode c, int64_t n); /* of n codes in a row (n * 8 fits); 0 for BLOCK */
unsigned ol_u3_get(const uint8_t *codes, int64_t i);
void ol_u3_set(uint8_t *codes, int64_t i, unsigned code); /* over zeros */
size_t ol_qconst_scale_row_bytes(const ol_qconst *q);
size_t ol_qconst_min_row_bytes(const ol_qconst *q); /* 0 when there are no minima */
/* Checks sizes and types only, not the extents of the data. */
OLV_MUST_USE olv_status ol_qconst_check_form(const ol_qconst *q, olv_error *err);
/* Columns [col, col + n) of one row. */
void ol_qconst_span_f32(const ol_qconst *q, int64_t row, int64_t col, int64_t n, float *out);

#endif
