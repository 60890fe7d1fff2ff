/* SPDX-License-Identifier: Apache-2.0 */
/* A constant is a view over file bytes, evaluated by row tiles on demand: nothing here ever holds a model in memory.
 *
 * Kinds: bytes of a mapped file or of memory; a quantized constant; and views over other constants: slice of
 * rows (axis 0), transpose of a matrix, permutation of rows, concatenation along axis 0, cast, and `lazy`, which a
 * producer fills by row tiles (compression). Constants are shared by reference count and immutable. */
#ifndef OL_TENSOR_CONSTANT_H
#define OL_TENSOR_CONSTANT_H

#include "base/file.h"
#include "tensor/qconst.h"
#include "tensor/tensor.h"

typedef struct ol_const ol_const;

typedef enum ol_const_kind {
    OL_CONST_BYTES,
    OL_CONST_QUANT,
    OL_CONST_SLICE_ROWS,
    OL_CONST_TRANSPOSE,
    OL_CONST_PERMUTE_ROWS,
    OL_CONST_CONCAT_ROWS,
    OL_CONST_CAST,
    OL_CONST_LAZY_QUANT,
    OL_CONST_RESHAPE /* of a float view whose rows change; other kinds keep their kind */
} ol_const_kind;

typedef void ol_const_file_fn(void *ctx, ol_file *f);

/* Producer of a lazily quantized constant: fills rows [row, row + n) of codes (row_bytes each), scales and zeros in the
 * planar layout of ol_qconst. Called from several threads for disjoint rows; deterministic. */
typedef struct ol_lazy_quant {
    olv_status (*fill)(void *ctx, int64_t row, int64_t n, uint8_t *codes, void *scales, void *zeros, olv_error *err);
    void (*destroy)(void *ctx);
    void *ctx;
    ol_qconst form; /* code, rows, k, group, dtypes and row sizes; data pointers NULL */
    /* Calls fn for the files of what it reads; NULL: it reads none. */
    void (*each_file)(const void *ctx, ol_const_file_fn *fn, void *fn_ctx);
} ol_lazy_quant;

/* Makers. Each takes references to its sources, copies small arrays, and returns NULL when out of memory or when the
 * shapes do not fit (err says which). `file` may be NULL when data outlives the constant; `owner_free`, if not NULL,
 * is called with data at the end (heap data). On failure the caller keeps data, owner and ctx. */
ol_const *ol_const_bytes(ol_dtype dtype, int rank, const int64_t *dims, const void *data, size_t bytes, ol_file *file,
                         void (*owner_free)(void *), olv_error *err);
ol_const *ol_const_tensor(const ol_tensor *t, olv_error *err); /* copies the data */
ol_const *ol_const_quant(int rank, const int64_t *dims, const ol_qconst *q, ol_file *const *files, int n_files,
                         void (*owner_free)(void *), void *owner, olv_error *err);
ol_const *ol_const_slice_rows(ol_const *src, int64_t row, int64_t n, olv_error *err);
ol_const *ol_const_transpose(ol_const *src, olv_error *err); /* rank 2 */
ol_const *ol_const_permute_rows(ol_const *src, const int32_t *order, int64_t n, olv_error *err);
ol_const *ol_const_concat_rows(ol_const *const *srcs, int n, olv_error *err);
ol_const *ol_const_cast(ol_const *src, ol_dtype dtype, olv_error *err);
/* Same bytes under another shape of equal count (last dim of quantized constants must stay). */
ol_const *ol_const_reshape(ol_const *src, int rank, const int64_t *dims, olv_error *err);
ol_const *ol_const_lazy_quant(int rank, const int64_t *dims, const ol_lazy_quant *lazy, olv_error *err);

ol_const *ol_const_retain(ol_const *c);
void ol_const_release(ol_const *c);

/* The files that a constant holds itself (not those of its sources), borrowed. */
ol_file *const *ol_const_files(const ol_const *c, int *n);
/* Calls fn for each file of a constant and of its sources, some of them more than once. */
void ol_const_each_file(const ol_const *c, ol_const_file_fn *fn, void *ctx);
/* Says that these bytes of a constant will hardly be read again (see ol_file_drop_pages). */
void ol_const_drop_pages(const ol_const *c, const void *p, size_t bytes);

ol_const_kind ol_const_get_kind(const ol_const *c);
ol_dtype ol_const_dtype(const ol_const *c); /* of the logical elements; F32 for quantized constants */
int ol_const_rank(const ol_const *c);
const int64_t *ol_const_dims(const ol_const *c);
int64_t ol_const_rows(const ol_const *c);  /* product of all dims but the last (1 for rank 0) */
int64_t ol_const_width(const ol_const *c); /* last dim (1 for rank 0) */
/* The matrix that a transposed view shows, borrowed; NULL for other kinds. */
const ol_const *ol_const_transposed(const ol_const *c);
/* Bytes in memory in the logical dtype when they lie there densely (BYTES), else NULL. */
const void *ol_const_data(const ol_const *c, size_t *bytes);
/* The quantized form when codes lie in memory (QUANT), else NULL; for LAZY_QUANT the form without pointers through
 * ol_const_lazy(). A row slice of a QUANT constant is QUANT again. */
const ol_qconst *ol_const_qconst(const ol_const *c);
const ol_lazy_quant *ol_const_lazy(const ol_const *c);
/* The form of a QUANT or LAZY_QUANT constant (data pointers may be NULL), else NULL. Slices, row permutations and
 * concatenations of these kinds are of these kinds too (concatenation: when the forms are equal but for the rows, and
 * without minima), so packers and writers need no others. */
const ol_qconst *ol_const_quant_form(const ol_const *c);
/* Codes (row_bytes each), scales and zeros of rows [row, row + n) of a QUANT or LAZY_QUANT constant, densely; scales
 * and zeros may be NULL where the form has none. Thread-safe. */
OLV_MUST_USE olv_status ol_const_rows_quant(const ol_const *c, int64_t row, int64_t n, uint8_t *codes, void *scales,
                                            void *zeros, olv_error *err);
/* Rows [row, row + n) as f32, dense [n, width]; for all kinds, thread-safe. */
OLV_MUST_USE olv_status ol_const_rows_f32(const ol_const *c, int64_t row, int64_t n, float *out, olv_error *err);
/* The constant under concatenations, slices and reshapings that holds rows [row, row + n) together, from its row *at; c
 * itself when they lie in several, or are made on demand. Borrowed from c. */
const ol_const *ol_const_source_rows(const ol_const *c, int64_t row, int64_t n, int64_t *at);
/* Whole constant as a tensor in its logical dtype (at most max_bytes, else OLV_LIMIT). */
OLV_MUST_USE olv_status ol_const_materialize(const ol_const *c, size_t max_bytes, ol_tensor *out, olv_error *err);

#endif
