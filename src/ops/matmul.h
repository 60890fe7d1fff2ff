/* SPDX-License-Identifier: Apache-2.0 */
/* The product of matrices, shared by the operators that are one. */
#ifndef OL_OPS_MATMUL_H
#define OL_OPS_MATMUL_H

#include "ops/ops.h"

typedef struct ol_matmul_shape {
    int64_t m, k, n;
    int rank; /* of the result */
    int64_t dims[OL_MAX_RANK + 2];
    ol_tensor a, b; /* the leading dims only */
    ol_walk batch;
} ol_matmul_shape;
OLV_MUST_USE olv_status ol_matmul_shape_init(ol_matmul_shape *s, const ol_tensor *a, const ol_tensor *b,
                                             olv_error *err);
/* Dense product in double; *out is freed with ol_free. */
OLV_MUST_USE olv_status ol_matmul_f64(ol_matmul_shape *s, const double *a, const double *b, double **out,
                                      olv_error *err);
olv_status ol_infer_matmul(ol_infer *c, olv_error *err);

#endif
