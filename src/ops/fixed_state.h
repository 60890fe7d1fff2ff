/* SPDX-License-Identifier: Apache-2.0 */
/* What the recurrent operators share: rows of sequences, in the order of the run, each with the
 * fixed state of its sequence (zero at the start, read and written whole). */
#ifndef OL_OPS_FIXED_STATE_H
#define OL_OPS_FIXED_STATE_H

#include "ops/ops.h"

/* The `width` floats of the node's state for the sequence of this row. NULL on failure (err). */
float *ol_fixed_state(const ol_eval *c, int64_t row, int64_t width, olv_error *err);
/* Fails unless the node's state can be reached and the run has `rows` rows. */
OLV_MUST_USE olv_status ol_fixed_state_check(const ol_eval *c, int64_t rows, olv_error *err);
/* Input i as a matrix [rows, width] of floats; rows or width < 0: any. */
OLV_MUST_USE olv_status ol_eval_matrix(const ol_eval *c, int i, int64_t rows, int64_t width,
                                       const ol_tensor **out, olv_error *err);
/* Output 0 is [rows of input 0, width]; width < 0: unknown. */
OLV_MUST_USE olv_status ol_infer_rows(ol_infer *c, ol_dim width, olv_error *err);

#endif
