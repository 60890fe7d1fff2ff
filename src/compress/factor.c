/* SPDX-License-Identifier: Apache-2.0 */
/* H' with rows and columns in reverse has the Cholesky factor L (lower), and M_ij = L[k-1-i][k-1-j] / L[k-1-j][k-1-j]. L is
 * computed in blocks of columns: a block itself, then the rows below it, then what is right of it (kernels/gemm). */
#include "compress/factor.h"
#include "base/alloc.h"
#include "base/error.h"
#include "kernels/gemm/gemm.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define BLOCK 64
#define MAX_TRIES 8

typedef struct key {
    float diagonal;
    int32_t column;
} key;

static int by_size(const void *a, const void *b) {
    const key *x = a, *y = b;
    if (x->diagonal != y->diagonal) return x->diagonal > y->diagonal ? -1 : 1;
    return (x->column > y->column) - (x->column < y->column);
}

static bool set_order(ol_factor *f, const float *h, bool by_diagonal) {
    key *keys = ol_alloc((size_t)f->k * sizeof *keys);
    if (!keys) return false;
    for (int64_t i = 0; i < f->k; i++) keys[i] = (key){h[i * f->k + i], (int32_t)i};
    if (by_diagonal) qsort(keys, (size_t)f->k, sizeof *keys, by_size);
    for (int64_t i = 0; i < f->k; i++) f->order[i] = keys[i].column;
    ol_free(keys);
    return true;
}

/* ---- Cholesky ---- */

typedef struct cholesky {
    float *a; /* [k, k], lower half */
    int64_t k, begin, end; /* columns of the block */
    const olk_gemm *gemm;
    float *panels, *scratch; /* -L of the rows below as A panels; a B panel a lane */
} cholesky;

/* a[begin..end, begin..end] to its factor; false: not positive. */
static bool factor_block(cholesky *c, double least) {
    for (int64_t j = c->begin; j < c->end; j++) {
        float *row = c->a + j * c->k;
        double d = (double)row[j];
        for (int64_t p = c->begin; p < j; p++) d -= (double)row[p] * (double)row[p];
        if (!(d > least)) return false;
        float root = (float)sqrt(d);
        row[j] = root;
        for (int64_t i = j + 1; i < c->end; i++) {
            float *other = c->a + i * c->k;
            double v = (double)other[j];
            for (int64_t p = c->begin; p < j; p++) v -= (double)other[p] * (double)row[p];
            other[j] = (float)(v / (double)root);
        }
    }
    return true;
}

/* Solves the rows below a block, BLOCK at a time. */
static void solve_rows(void *ctx, size_t i, int lane) {
    const cholesky *c = ctx;
    (void)lane;
    int64_t r0 = c->end + (int64_t)i * BLOCK, r1 = r0 + BLOCK < c->k ? r0 + BLOCK : c->k;
    for (int64_t r = r0; r < r1; r++) {
        float *row = c->a + r * c->k;
        for (int64_t j = c->begin; j < c->end; j++) {
            const float *l = c->a + j * c->k;
            double v = (double)row[j];
            for (int64_t p = c->begin; p < j; p++) v -= (double)row[p] * (double)l[p];
            row[j] = (float)(v / (double)l[j]);
        }
    }
}

/* Subtracts the block's part from nb columns right of it, at and below the diagonal. */
static void update_columns(void *ctx, size_t i, int lane) {
    const cholesky *c = ctx;
    const olk_gemm *g = c->gemm;
    int64_t nb = g->nb, mr = g->mr, depth = c->end - c->begin, left = c->k - c->end;
    int64_t j0 = (int64_t)i * nb, n = left - j0 < nb ? left - j0 : nb;
    float *b = c->scratch + (int64_t)lane * BLOCK * nb;
    g->pack_b(c->a + (c->end + j0) * c->k + c->begin, 1, c->k, depth, n, b);
    for (int64_t r = j0 / mr * mr; r < left; r += mr) {
        olk_gemm_tile t = {.a = c->panels + r * depth, .mr = (int)mr, .m = (int)(left - r < mr ? left - r : mr), .b = b, .ldb = nb,
                           .k = depth, .n = n, .c = c->a + (c->end + r) * c->k + c->end + j0, .ldc = c->k, .add = true};
        g->multiply(&t);
    }
}

static void pack_below(cholesky *c) {
    int64_t depth = c->end - c->begin, left = c->k - c->end, n = (left + c->gemm->mr - 1) / c->gemm->mr * c->gemm->mr * depth;
    c->gemm->pack_a(c->a + c->end * c->k + c->begin, c->k, 1, left, depth, c->gemm->mr, c->panels);
    for (int64_t i = 0; i < n; i++) c->panels[i] = -c->panels[i];
}

static bool run_cholesky(cholesky *c, double least, ol_executor *e) {
    for (c->begin = 0; c->begin < c->k; c->begin = c->end) {
        c->end = c->begin + BLOCK < c->k ? c->begin + BLOCK : c->k;
        if (!factor_block(c, least)) return false;
        int64_t left = c->k - c->end;
        if (!left) break;
        ol_executor_for(e, (size_t)((left + BLOCK - 1) / BLOCK), solve_rows, c);
        pack_below(c);
        ol_executor_for(e, (size_t)((left + c->gemm->nb - 1) / c->gemm->nb), update_columns, c);
    }
    return true;
}

/* ---- the factor ---- */

static void load_reversed(const ol_factor *f, const float *h, double damping, float *a) {
    int64_t k = f->k;
    for (int64_t i = 0; i < k; i++) {
        const float *row = h + (int64_t)f->order[k - 1 - i] * k;
        for (int64_t j = 0; j <= i; j++) a[i * k + j] = row[f->order[k - 1 - j]];
        a[i * k + i] = (float)((double)a[i * k + i] + damping);
    }
}

static void take_reversed(const ol_factor *f, const float *a) {
    int64_t k = f->k;
    for (int64_t i = 0; i < k; i++)
        for (int64_t j = i + 1; j < k; j++) {
            int64_t row = k - 1 - i, column = k - 1 - j;
            f->m[i * k + j] = a[row * k + column] / a[column * k + column];
        }
}

static olv_status factorize(ol_factor *f, const float *h, double damping, ol_executor *e, uint64_t cpu, olv_error *err) {
    cholesky c = {.k = f->k, .gemm = olk_gemm_select(cpu)};
    int64_t padded = (f->k / c.gemm->mr + 1) * c.gemm->mr;
    c.a = ol_alloc_aligned((size_t)(f->k * f->k) * sizeof(float));
    c.panels = ol_alloc_aligned((size_t)(padded * BLOCK) * sizeof(float));
    c.scratch = ol_alloc_aligned((size_t)(ol_executor_lanes(e) * BLOCK * c.gemm->nb) * sizeof(float));
    double mean = 0;
    for (int64_t i = 0; i < f->k; i++) mean += (double)h[i * f->k + i] / (double)f->k;
    if (mean <= 0) mean = 1; /* nothing was read: rounding without compensation */
    olv_status s = c.a && c.panels && c.scratch ? OLV_OK : ol_fail(err, OLV_NOMEM, "no memory for a Hessian of %lld", (long long)f->k);
    if (s == OLV_OK && !isfinite(mean)) s = ol_fail(err, OLV_FORMAT, "a Hessian that is not finite");
    bool done = false;
    for (int i = 0; s == OLV_OK && !done && i < MAX_TRIES; i++, damping = damping > 0 ? damping * 10 : 1e-6) {
        load_reversed(f, h, damping * mean, c.a);
        done = run_cholesky(&c, mean * 1e-9, e);
    }
    if (s == OLV_OK && !done) s = ol_fail(err, OLV_FORMAT, "a Hessian that is not positive");
    if (s == OLV_OK) take_reversed(f, c.a);
    ol_free_aligned(c.a);
    ol_free_aligned(c.panels);
    ol_free_aligned(c.scratch);
    return s;
}

olv_status ol_factor_init(ol_factor *f, const float *h, int64_t k, double damping, bool by_diagonal, ol_executor *e, uint64_t cpu,
                          olv_error *err) {
    *f = (ol_factor){.k = k};
    f->order = ol_calloc((size_t)k + 1, sizeof *f->order);
    f->m = ol_alloc_aligned((size_t)(k * k) * sizeof(float) + 64);
    olv_status s = f->order && f->m && set_order(f, h, by_diagonal) ? OLV_OK : ol_fail(err, OLV_NOMEM, "no memory for a Hessian of %lld", (long long)k);
    if (s == OLV_OK) s = factorize(f, h, damping, e, cpu, err);
    if (s != OLV_OK) ol_factor_deinit(f);
    return s;
}

void ol_factor_deinit(ol_factor *f) {
    ol_free(f->order);
    ol_free_aligned(f->m);
    *f = (ol_factor){.k = 0};
}
