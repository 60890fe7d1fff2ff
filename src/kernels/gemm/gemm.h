/* SPDX-License-Identifier: Apache-2.0 */
/* Products of f32 matrices from packed panels, for convolution and for products of two computed matrices.
 *
 * A is packed into panels of mr rows: panel[k][mr]; B into panels of nb columns: panel[k][nb]. Rows and columns past the end
 * are zero. B may also be read where it lies, when its columns follow each other and it is small enough for that to be quick. Sums run over k in order, each step a fused
 * multiply-add, so a result does not depend on how rows and columns are cut. */
#ifndef OLK_GEMM_H
#define OLK_GEMM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define OLK_GEMM_MAX_MR 16

/* A product of an A panel and nb columns of B: c[i, j] = what it begins with + sum over p of a[p][i] b[p * ldb + j], for
 * i < m <= mr and j < n <= nb. */
typedef struct olk_gemm_tile {
    const float *a; /* panel of mr rows */
    int mr, m;
    const float *b; /* a panel (ldb: nb), or in place; only n columns are read */
    int64_t ldb, k, n;
    float *c;
    int64_t ldc;
    bool add;           /* begins with c */
    const float *start; /* else with start[i], or NULL: 0 */
    const float *range; /* c is kept within range[0] .. range[1] at the end; NaN stays. NULL: as it is */
} olk_gemm_tile;

typedef struct olk_gemm {
    const char *name;
    uint64_t cpu;
    int mr; /* most rows of an A panel */
    int nb; /* columns of a B panel */
    /* The panels of rows [0, m) of A: element (i, k) is a[i * row + k * col]. */
    void (*pack_a)(const float *a, int64_t row, int64_t col, int64_t m, int64_t k, int mr, float *panels);
    /* One B panel of n <= nb columns: element (k, j) is b[k * row + j * col]; 64-byte aligned. */
    void (*pack_b)(const float *b, int64_t row, int64_t col, int64_t k, int64_t n, float *panel);
    void (*multiply)(const olk_gemm_tile *t);
} olk_gemm;

/* Rows of an A panel when m rows are cut evenly. */
static inline int olk_gemm_panel_rows(const olk_gemm *g, int64_t m) {
    int64_t panels = (m + g->mr - 1) / g->mr;
    return panels ? (int)((m + panels - 1) / panels) : 1;
}

/* True if rows of B of so many floats can be read in place: they do not fall on the same few sets of a cache. */
static inline bool olk_gemm_in_place(int64_t ldb) { return ldb < 1024 && (ldb % 256 != 0 || ldb <= 256); }

/* Best variant under these CPU flags; never NULL. */
const olk_gemm *olk_gemm_select(uint64_t cpu);
const olk_gemm *const *olk_gemm_variants(int *count);

#endif
