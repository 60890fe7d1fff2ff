/* SPDX-License-Identifier: Apache-2.0 */
/* Products of two computed matrices, alone or in batches: tiles of rows and columns, each packed for itself (those with a
 * constant matrix became Linear before). Batch dims broadcast; sizes that are not known to fit are looked at in the run. */
#include "base/error.h"
#include "device/cpu/cpu.h"
#include "graph/op.h"
#include "kernels/gemm/gemm.h"
#include <string.h>

#define KC 384
#define TILE_A 4 /* panels */
#define TILE_B 4

typedef struct matmul_args {
    int a, b, y, n_batch;
    ol_dim batch, m, n, k, k_of_b;
    ol_dim dims[OL_MAX_RANK], a_dims[OL_MAX_RANK], b_dims[OL_MAX_RANK]; /* of batches; those of a and b fit or are 1 */
    bool a_all, b_all;   /* known to have all matrices of the batch */
    const olk_gemm *gemm;
} matmul_args;

typedef struct sizes {
    int64_t batch, m, n, k, row_tile, column_tile, row_tiles, column_tiles;
} sizes;

static sizes find_sizes(const matmul_args *a, const ol_run *r) {
    sizes z = {.batch = ol_cpu_rows(r, a->batch), .m = ol_cpu_rows(r, a->m), .n = ol_cpu_rows(r, a->n), .k = ol_cpu_rows(r, a->k)};
    z.row_tile = (int64_t)TILE_A * a->gemm->mr;
    z.column_tile = (int64_t)TILE_B * a->gemm->nb;
    z.row_tiles = (z.m + z.row_tile - 1) / z.row_tile;
    z.column_tiles = (z.n + z.column_tile - 1) / z.column_tile;
    return z;
}

static unsigned tiles(const ol_step *s, const ol_run *r) {
    sizes z = find_sizes(s->args, r);
    return (unsigned)(z.batch * z.row_tiles * z.column_tiles);
}

static size_t panel_b_floats(const matmul_args *a) { return (size_t)KC * (size_t)a->gemm->nb; }

static size_t scratch_bytes(const ol_step *s, const ol_run *r) {
    const matmul_args *a = s->args;
    (void)r;
    return (panel_b_floats(a) + (size_t)KC * TILE_A * (size_t)a->gemm->mr) * sizeof(float);
}

static void clear(float *y, int64_t ldy, int64_t m, int64_t n) {
    for (int64_t i = 0; i < m; i++) memset(y + i * ldy, 0, (size_t)n * sizeof *y);
}

/* Which of an operand's matrices belongs to one of the batch; -1: its sizes do not fit. */
static int64_t matrix_of(const matmul_args *a, const ol_run *r, const ol_dim *dims, int64_t batch) {
    int64_t at = 0, count = 1;
    for (int i = a->n_batch - 1; i >= 0; i--) {
        int64_t all = ol_cpu_rows(r, a->dims[i]), own = ol_cpu_rows(r, dims[i]);
        if (own != all && own != 1) return -1;
        if (own != 1) at += batch % all * count;
        count *= own;
        batch /= all;
    }
    return at;
}

static bool misfits(const ol_step *s, const ol_run *r, int64_t a, int64_t b) {
    const matmul_args *g = s->args;
    int64_t ka = ol_cpu_rows(r, g->k), kb = ol_cpu_rows(r, g->k_of_b);
    if (a >= 0 && b >= 0 && ka == kb) return false;
    olv_error *err = ol_run_claim_failure(r);
    if (err) ol_fail(err, OLV_SHAPE, "node '%.200s' (MatMul): %s", s->name, ka == kb ? "the batches do not fit" : "the inner sizes are not equal");
    return true;
}

static void run(const ol_step *s, const ol_run *r, unsigned tile, void *scratch) {
    const matmul_args *g = s->args;
    sizes z = find_sizes(g, r);
    const olk_gemm *k = g->gemm;
    int64_t column_tile = tile % z.column_tiles, row_tile = tile / z.column_tiles % z.row_tiles, batch = tile / z.column_tiles / z.row_tiles;
    int64_t m0 = row_tile * z.row_tile, m = z.m - m0 < z.row_tile ? z.m - m0 : z.row_tile;
    int64_t n0 = column_tile * z.column_tile, n = z.n - n0 < z.column_tile ? z.n - n0 : z.column_tile;
    int64_t of_a = g->a_all ? batch : matrix_of(g, r, g->a_dims, batch), of_b = g->b_all ? batch : matrix_of(g, r, g->b_dims, batch);
    const float *a = (const float *)ol_run_buffer(r, g->a) + of_a * z.m * z.k + m0 * z.k;
    const float *b = (const float *)ol_run_buffer(r, g->b) + of_b * z.k * z.n + n0;
    float *y = (float *)ol_run_buffer(r, g->y) + (batch * z.m + m0) * z.n + n0, *pb = scratch, *pa = pb + panel_b_floats(g);
    int mr = olk_gemm_panel_rows(k, m);
    bool in_place = olk_gemm_in_place(z.n);
    if (misfits(s, r, of_a, of_b) || z.k == 0) {
        clear(y, z.n, m, n);
        return;
    }
    for (int64_t k0 = 0; k0 < z.k; k0 += KC) {
        int64_t kn = z.k - k0 < KC ? z.k - k0 : KC;
        k->pack_a(a + k0, z.k, 1, m, kn, mr, pa);
        for (int64_t j = 0; j < n; j += k->nb) {
            olk_gemm_tile t = {.mr = mr, .b = b + k0 * z.n + j, .ldb = z.n, .k = kn, .n = n - j < k->nb ? n - j : k->nb, .ldc = z.n, .add = k0 > 0};
            if (!in_place) k->pack_b(t.b, z.n, 1, kn, t.n, pb);
            if (!in_place) t.b = pb, t.ldb = k->nb;
            for (int64_t i = 0; i < m; i += mr) {
                t.a = pa + i * kn, t.c = y + i * z.n + j, t.m = m - i < mr ? (int)(m - i) : mr;
                k->multiply(&t);
            }
        }
    }
}
static const ol_step_class matmul_class = {"matmul", tiles, scratch_bytes, NULL, run};

static ol_dim product(ol_lowering *l, const ol_type *t, int n) {
    ol_dim p = 1;
    for (int i = 0; i < n; i++) p = ol_dim_mul(l->graph->dims, p, t->dims[i]);
    return p;
}

/* Batch dims of an operand of `rank`, lined up with those of the output; true if they are the same. */
static bool read_batch(const matmul_args *a, const ol_type *t, ol_dim *dims) {
    bool all = true;
    int own = t->rank > 2 ? t->rank - 2 : 0;
    for (int i = 0; i < a->n_batch; i++) {
        int from = i - (a->n_batch - own);
        dims[i] = from >= 0 ? t->dims[from] : 1;
        all = all && dims[i] == a->dims[i];
    }
    return all;
}

olv_status ol_lower_matmul(ol_lowering *l, ol_node *n, olv_error *err) {
    const ol_type *ta = &n->inputs[0]->type, *tb = &n->inputs[1]->type, *ty = &n->outputs[0]->type;
    if (ta->rank < 1 || tb->rank < 1 || ol_dtype_class(ty->dtype) != 'f')
        return ol_fail(err, OLV_UNSUPPORTED, "only matrices of floating point");
    matmul_args a = {.gemm = olk_gemm_select(l->opt.cpu), .m = 1, .n = 1}; /* a vector is a matrix of one row, or column */
    a.n_batch = ty->rank - (ta->rank > 1) - (tb->rank > 1);
    a.batch = product(l, ty, a.n_batch);
    memcpy(a.dims, ty->dims, (size_t)a.n_batch * sizeof *a.dims);
    if (ta->rank > 1) a.m = ta->dims[ta->rank - 2];
    if (tb->rank > 1) a.n = tb->dims[tb->rank - 1];
    a.k = ta->dims[ta->rank - 1];
    a.k_of_b = tb->dims[tb->rank > 1 ? tb->rank - 2 : 0];
    a.a_all = read_batch(&a, ta, a.a_dims);
    a.b_all = read_batch(&a, tb, a.b_dims);
    if ((a.a = ol_lower_input(l, n->inputs[0], err)) < 0 || (a.b = ol_lower_input(l, n->inputs[1], err)) < 0)
        return err ? err->status : OLV_INTERNAL;
    a.y = ol_lower_output(l, n->outputs[0]);
    ol_step *s = ol_lower_step(l, &matmul_class, n->name, sizeof a);
    if (!s) return OLV_OK; /* latched */
    memcpy(s->args, &a, sizeof a);
    s->kernel = a.gemm->name;
    ol_step_reads(s, a.a);
    ol_step_reads(s, a.b);
    ol_step_writes(s, a.y);
    return OLV_OK;
}
