/* SPDX-License-Identifier: Apache-2.0 */
/* A concrete tensor: dense, row-major, known shape. Used by the reference device, by constants and at the edges
 * of the runtime. Strings are ol_str elements whose bytes the tensor owns (in `strings`). */
#ifndef OL_TENSOR_TENSOR_H
#define OL_TENSOR_TENSOR_H

#include "base/str.h"
#include "tensor/dtype.h"
#include <olivine/status.h>

#define OL_MAX_RANK 16

typedef struct ol_tensor {
    ol_dtype dtype;
    int rank;
    int64_t dims[OL_MAX_RANK];
    void *data;
    size_t bytes;
    bool owned;    /* data was allocated by ol_tensor_init and is freed by deinit */
    char *strings; /* backing bytes of string elements, owned */
} ol_tensor;

/* Element count; -1 on overflow or a negative dimension. */
int64_t ol_tensor_count(const ol_tensor *t);
/* Allocates zeroed data of this type and shape. */
OLV_MUST_USE olv_status ol_tensor_init(ol_tensor *t, ol_dtype dtype, int rank, const int64_t *dims, olv_error *err);
/* A borrowed view of existing bytes; checks that `bytes` is exactly what type and shape need. */
OLV_MUST_USE olv_status ol_tensor_view(ol_tensor *t, ol_dtype dtype, int rank, const int64_t *dims, const void *data,
                                       size_t bytes, olv_error *err);
void ol_tensor_deinit(ol_tensor *t);
OLV_MUST_USE olv_status ol_tensor_copy(ol_tensor *dst, const ol_tensor *src, olv_error *err);
/* "f32[2,3]" into out (truncated to size). */
void ol_tensor_describe(const ol_tensor *t, char *out, size_t size);

#endif
