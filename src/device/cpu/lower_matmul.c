/* SPDX-License-Identifier: Apache-2.0 */
/* Products of two computed matrices, alone or in batches: tiles of rows and columns, each packed for itself (those with a
 * constant matrix became Linear before). Batch dims broadcast when one side has them all, or none. */
#include "base/error.h"
#include "device/cpu/cpu.h"
#include "graph/op.h"
#include "kernels/gemm/gemm.h"
#include <string.h>

#define KC 384
#define TILE_A 4 /* panels */
#define TILE_B 4

typedef struct matmul_args {
    int a, b, y;
    ol_dim batch, m, n, k;
    bool a_once, b_once; /* the same matrix for the whole batch */
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

static void run(const ol_step *s, const ol_run *r, unsigned tile, void *scratch) {
    const matmul_args *g = s->args;
    sizes z = find_sizes(g, r);
    const olk_gemm *k = g->gemm;
    int64_t column_tile = tile % z.column_tiles, row_tile = tile / z.column_tiles % z.row_tiles, batch = tile / z.column_tiles / z.row_tiles;
    int64_t m0 = row_tile * z.row_tile, m = z.m - m0 < z.row_tile ? z.m - m0 : z.row_tile;
    int64_t n0 = column_tile * z.column_tile, n = z.n - n0 < z.column_tile ? z.n - n0 : z.column_tile;
    const float *a = (const float *)ol_run_buffer(r, g->a) + (g->a_once ? 0 : batch * z.m * z.k) + m0 * z.k;
    const float *b = (const float *)ol_run_buffer(r, g->b) + (g->b_once ? 0 : batch * z.k * z.n) + n0;
    float *y = (float *)ol_run_buffer(r, g->y) + (batch * z.m + m0) * z.n + n0, *pb = scratch, *pa = pb + panel_b_floats(g);
    int mr = olk_gemm_panel_rows(k, m);
    bool in_place = olk_gemm_in_place(z.n);
    if (z.k == 0) clear(y, z.n, m, n);
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

/* How an operand's batch dims meet those of the output: the same, or all 1. */
static bool batch_of(const ol_type *t, const ol_type *out, bool *once) {
    bool same = t->rank == out->rank, ones = true;
    for (int i = 0; i < t->rank - 2; i++) {
        ones = ones && t->dims[i] == 1;
        same = same && t->dims[i] == out->dims[i];
    }
    *once = !same;
    return same || ones;
}

olv_status ol_lower_matmul(ol_lowering *l, ol_node *n, olv_error *err) {
    const ol_type *ta = &n->inputs[0]->type, *tb = &n->inputs[1]->type, *ty = &n->outputs[0]->type;
    matmul_args a = {.gemm = olk_gemm_select(l->opt.cpu)};
    if (ta->rank < 2 || tb->rank < 2 || ol_dtype_class(ty->dtype) != 'f')
        return ol_fail(err, OLV_UNSUPPORTED, "only matrices of floating point");
    if (!batch_of(ta, ty, &a.a_once) || !batch_of(tb, ty, &a.b_once))
        return ol_fail(err, OLV_UNSUPPORTED, "this kind of broadcasting of batches is not planned");
    a.batch = product(l, ty, ty->rank - 2);
    a.m = ty->dims[ty->rank - 2];
    a.n = ty->dims[ty->rank - 1];
    a.k = ta->dims[ta->rank - 1];
    if (tb->dims[tb->rank - 2] != a.k) return ol_fail(err, OLV_UNSUPPORTED, "the inner sizes are not known to be equal");
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
