/* SPDX-License-Identifier: Apache-2.0 */
/* Softmax and its relatives over rows, and the search for the greatest values.
 *
 * Row r reads x + r * ldx and writes y + r * ldy; y may be x with the same stride; any alignment, any n >= 0. Values are
 * taken as scale * x (+ mask), the mask being NULL or rows at mask + r * ldmask (ldmask 0: one for all); -inf in it leaves
 * a position out. A row in which everything is left out gives zeros (softmax) or -inf (log-softmax, log-sum-exp). NaN in a
 * row gives NaN in the whole row. A row's bits depend on the row alone. Tolerance between variants: softmax 2e-6 relative
 * plus 1e-9; log forms 2e-6 relative plus 2e-6. */
#ifndef OLK_SOFTMAX_H
#define OLK_SOFTMAX_H

#include <stdint.h>

typedef struct olk_softmax_form {
    int64_t n;
    float scale; /* 1: none */
    const float *mask;
    int64_t ldmask;
} olk_softmax_form;

typedef struct olk_softmax {
    const char *name;
    uint64_t cpu;
    void (*softmax)(const olk_softmax_form *f, const float *x, int64_t ldx, float *y, int64_t ldy, int64_t rows);
    void (*log_softmax)(const olk_softmax_form *f, const float *x, int64_t ldx, float *y, int64_t ldy, int64_t rows);
    /* out[r] = log(sum(exp(...))) */
    void (*log_sum_exp)(const olk_softmax_form *f, const float *x, int64_t ldx, float *out, int64_t rows);
    /* Index of the greatest value, the first of equal ones; NaN never wins. -1 when n == 0 or all are NaN. */
    int64_t (*argmax)(const float *x, int64_t n);
    /* The k greatest values in falling order (ties: smaller index first), NaN left out; returns how many were found
     * (<= min(k, n)). index and value hold k each. */
    int64_t (*topk)(const float *x, int64_t n, int64_t k, int32_t *index, float *value);
} olk_softmax;

/* Best variant under these CPU flags; never NULL. */
const olk_softmax *olk_softmax_select(uint64_t cpu);
const olk_softmax *const *olk_softmax_variants(int *count);

#endif
