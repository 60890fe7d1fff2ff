/* SPDX-License-Identifier: Apache-2.0 */
/* The inside of a constant, for the files that make and read them. */
#ifndef OL_TENSOR_CONSTANT_VIEW_H
#define OL_TENSOR_CONSTANT_VIEW_H

#include "tensor/constant.h"
#include <stdatomic.h>

#define OL_CONST_MAX_DEPTH 32 /* views over views: bounds recursion */

struct ol_const {
    ol_const_kind kind;
    atomic_int refs;
    int depth; /* 1 + that of the deepest source */
    ol_dtype dtype;
    int rank;
    int64_t dims[OL_MAX_RANK];
    int64_t rows, width;
    int64_t axis0_elems; /* elements of one index of axis 0: the unit of slices and permutations */
    ol_const **srcs;
    int n_srcs;
    ol_file **files;
    int n_files;
    void (*owner_free)(void *);
    void *owner;
    /* BYTES */
    const uint8_t *data;
    size_t bytes;
    /* QUANT */
    ol_qconst q;
    ol_lazy_quant lazy; /* LAZY_QUANT */
    int64_t first;      /* SLICE_ROWS: first element */
    int32_t *order;     /* PERMUTE_ROWS: source index of each index of axis 0 */
};

/* A new constant of this shape with references to its sources; rank, dims and derived sizes are checked and set. */
ol_const *ol_const_new(ol_const_kind kind, ol_dtype dtype, int rank, const int64_t *dims, ol_const *const *srcs,
                       int n_srcs, olv_error *err);
/* Elements [first, first + n) in row-major order, as f32, or raw in the logical dtype (whole bytes only; no quantized
 * constants). */
OLV_MUST_USE olv_status ol_const_span_f32(const ol_const *c, int64_t first, int64_t n, float *out, olv_error *err);
OLV_MUST_USE olv_status ol_const_span_raw(const ol_const *c, int64_t first, int64_t n, void *out, olv_error *err);

#endif
