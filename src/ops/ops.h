/* SPDX-License-Identifier: Apache-2.0 */
/* What operator files share: type inference by pieces, walking tensors, and access to elements. */
#ifndef OL_OPS_OPS_H
#define OL_OPS_OPS_H

#include "base/alloc.h"
#include "base/checked.h"
#include "base/error.h"
#include "graph/op.h"
#include <math.h>

#define OL_COUNT(a) ((int)(sizeof(a) / sizeof *(a)))
#define OL_ATTRS(a) .attrs = (a), .n_attrs = OL_COUNT(a)

/* ---- inference ---- */

/* Every output like input 0. */
olv_status ol_infer_same(ol_infer *c, olv_error *err);
/* Output 0 has the broadcast shape of all inputs and the type of input 0. */
olv_status ol_infer_elementwise(ol_infer *c, olv_error *err);
/* Same with element type bool. */
olv_status ol_infer_compare(ol_infer *c, olv_error *err);
/* *out (rank and dims only) = broadcast of *out and *in; an unknown rank makes it unknown. */
olv_status ol_infer_broadcast(ol_infer *c, ol_type *out, const ol_type *in, olv_error *err);
/* What holds of both types: unknown is what differs. */
ol_type ol_infer_join(ol_infer *c, const ol_type *a, const ol_type *b);
/* Tells a subgraph what is known of its input i from outside: the element type, and with `shape` the rank and sizes, where
 * the file leaves them open. *news is set when that is more than it knew; then its types are to be inferred again. */
void ol_infer_give(ol_graph *body, int i, const ol_type *t, bool shape, bool *news);
/* A symbol of its own, for a size that depends on data. */
ol_dim ol_infer_fresh(ol_infer *c);
/* Output i becomes a tensor of this type with `rank` fresh dims (rank < 0: unknown). */
void ol_infer_set(ol_infer *c, int i, ol_dtype dtype, int rank);
/* Normalizes a negative axis; rank itself is allowed too when `past`. */
OLV_MUST_USE olv_status ol_axis(int64_t axis, int rank, bool past, int *out, olv_error *err);
/* Fails unless the input is a tensor of rank min..max (unknown ranks pass). */
OLV_MUST_USE olv_status ol_infer_rank(const ol_infer *c, int i, int min, int max, olv_error *err);

/* ---- evaluation ---- */

/* Input i, or a failure naming it when it is omitted or no tensor. */
OLV_MUST_USE olv_status ol_eval_need(const ol_eval *c, int i, const ol_tensor **out, olv_error *err);
/* New double array of all elements (ol_free it). */
OLV_MUST_USE olv_status ol_tensor_f64(const ol_tensor *t, double **out, olv_error *err);
/* Stores n doubles with rounding to the tensor's type. */
void ol_tensor_store(ol_tensor *t, const double *v);
/* New int64 array of all elements of an integer or bool tensor (ol_free it); *n may be NULL. */
OLV_MUST_USE olv_status ol_tensor_i64s(const ol_tensor *t, int64_t **out, int64_t *n, olv_error *err);
int64_t ol_tensor_i64(const ol_tensor *t, int64_t i);
void ol_tensor_set_i64(ol_tensor *t, int64_t i, int64_t v);
static inline double ol_tensor_get(const ol_tensor *t, int64_t i) {
    return t->dtype == OL_F32 ? (double)((const float *)t->data)[i] : ol_elem_get(t->dtype, t->data, (uint64_t)i);
}
static inline void ol_tensor_set(ol_tensor *t, int64_t i, double v) {
    if (t->dtype == OL_F32) ((float *)t->data)[i] = (float)v;
    else ol_elem_set(t->dtype, t->data, (uint64_t)i, v);
}
bool ol_is_float(ol_dtype t);
bool ol_is_int(ol_dtype t);
/* Copies n elements between tensors of one type, packed types included; of strings the views. */
void ol_elems_copy(ol_tensor *dst, int64_t to, const ol_tensor *src, int64_t from, int64_t n);
/* Gives the string views in t bytes of their own, after ol_elems_copy. No-op for other types. */
OLV_MUST_USE olv_status ol_tensor_own_strings(ol_tensor *t, olv_error *err);
/* Product of dims [from, to). */
int64_t ol_dims_count(const int64_t *dims, int from, int to);

/* Walks the broadcast of up to 4 tensors in row-major order; at[k] is the element index in tensor k. */
#define OL_WALK_MAX 4
typedef struct ol_walk {
    int rank, n;
    int64_t count;
    int64_t dims[OL_MAX_RANK], index[OL_MAX_RANK];
    int64_t stride[OL_WALK_MAX][OL_MAX_RANK];
    int64_t at[OL_WALK_MAX];
} ol_walk;
OLV_MUST_USE olv_status ol_walk_init(ol_walk *w, const ol_tensor *const *ts, int n, olv_error *err);
void ol_walk_next(ol_walk *w);

#endif
