/* SPDX-License-Identifier: Apache-2.0 */
/* Linear layers over some of the rows of a matrix in the file: fused projections come apart as
 * views. */
#ifndef OL_FORMATS_HUGGINGFACE_ROWS_H
#define OL_FORMATS_HUGGINGFACE_ROWS_H

#include "formats/huggingface/build.h"

/* `groups` runs of `count` rows, `stride` apart, the first of them at `first`. */
typedef struct ol_hf_rows {
    int64_t first, count, groups, stride;
} ol_hf_rows;
static inline ol_hf_rows ol_hf_run(int64_t first, int64_t count) {
    return (ol_hf_rows){first, count, 1, 0};
}

/* Linear with these rows of part's weight [total, k] and of its bias, where the file has one. The
 * rows' constants are named after the tensor and `what`. `add`, if not NULL, is added to the bias,
 * one value a row (borrowed). */
ol_value *ol_hf_linear_rows(ol_hf_build *b, ol_value *x, const char *part, const char *what,
                            int64_t total, int64_t k, ol_hf_rows rows, const float *add);

#endif
