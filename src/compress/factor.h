/* SPDX-License-Identifier: Apache-2.0 */
/* The factor of a Hessian that rounding with compensation needs.
 *
 * Columns are taken in an order p. With H' = H permuted by p, and H' = M D M^T for M unit upper triangular and D diagonal,
 * the loss of errors e is
 *     e^T H' e = sum over j of D_j (e_j + sum over i < j of M_ij e_i)^2,
 * so when column j is rounded after those before it, the best place for it is w_j + sum over i < j of M_ij e_i, and what
 * is left costs D_j times its square. (This is what GPTQ computes by way of the inverse of H.) */
#ifndef OL_COMPRESS_FACTOR_H
#define OL_COMPRESS_FACTOR_H

#include "base/executor.h"

typedef struct ol_factor {
    int64_t k;
    int32_t *order; /* [k]: column of H that comes at place j */
    float *m;       /* [k, k], row i: M_ij for j > i; what is below is undefined */
} ol_factor;

/* Factors H + damping * mean(diag H) * I (h: [k, k] f32 symmetric, both halves); the damping grows until the matrix is
 * positive enough. by_diagonal: columns of large diagonal first (equal ones as they stand), else as they stand. Results do not depend
 * on threads or on cpu. OLV_FORMAT when h is not finite. */
OLV_MUST_USE olv_status ol_factor_init(ol_factor *f, const float *h, int64_t k, double damping, bool by_diagonal, ol_executor *e,
                                       uint64_t cpu, olv_error *err);
void ol_factor_deinit(ol_factor *f);

#endif
