/* SPDX-License-Identifier: Apache-2.0 */
/* Rows picked by index: embedding tables (float or quantized constants), and rows of computed values. */
#include "base/error.h"
#include "device/cpu/cpu.h"
#include "graph/op.h"
#include "kernels/gather/gather.h"
#include <string.h>

#define TILE_ROWS 4

typedef struct gather_args {
    olk_weight table;
    ol_qconst q;
    const olk_gather *kernel;
    int x, ids, y;
    int64_t width;
    ol_dim rows, x_rows;
} gather_args;

static unsigned tiles(const ol_step *s, const ol_run *r) {
    const gather_args *a = s->args;
    return (unsigned)((ol_cpu_rows(r, a->rows) + TILE_ROWS - 1) / TILE_ROWS);
}

/* Counts a negative index from the end; one that is out of range becomes 0 and fails the run. */
static int64_t checked_id(const ol_step *s, const ol_run *r, int64_t id, int64_t of) {
    int64_t i = id < 0 ? id + of : id;
    if (i >= 0 && i < of) return i;
    olv_error *err = ol_run_claim_failure(r);
    if (err) ol_fail(err, OLV_ARG, "node '%.200s' (Gather): index %lld of %lld rows", s->name, (long long)id, (long long)of);
    return 0;
}

static void run(const ol_step *s, const ol_run *r, unsigned tile, void *scratch) {
    const gather_args *a = s->args;
    (void)scratch;
    int64_t rows = ol_cpu_rows(r, a->rows), r0 = (int64_t)tile * TILE_ROWS;
    int64_t n = r0 + TILE_ROWS < rows ? TILE_ROWS : rows - r0;
    int64_t ids[TILE_ROWS], of = a->x < 0 ? a->table.n : ol_cpu_rows(r, a->x_rows);
    for (int64_t i = 0; i < n; i++) ids[i] = checked_id(s, r, ((const int64_t *)ol_run_buffer(r, a->ids))[r0 + i], of);
    float *y = (float *)ol_run_buffer(r, a->y) + r0 * a->width;
    if (a->x < 0) {
        a->kernel->rows(&a->table, ids, n, 1.0f, y, a->width);
        return;
    }
    const float *x = ol_run_buffer(r, a->x);
    for (int64_t i = 0; i < n; i++) memcpy(y + i * a->width, x + ids[i] * a->width, (size_t)a->width * sizeof *y);
}
static const ol_step_class gather_class = {"gather", tiles, NULL, NULL, run};

static olv_status read_table(ol_lowering *l, ol_value *v, gather_args *a, olv_error *err) {
    ol_const *c = v->constant;
    a->x = -1;
    a->kernel = olk_gather_select(l->opt.cpu);
    a->table.n = ol_const_rows(c);
    a->table.k = ol_const_width(c);
    const ol_qconst *q = ol_const_qconst(c);
    if (q) {
        a->q = *q;
        a->table.q = &a->q;
        return OLV_OK;
    }
    size_t bytes = 0;
    a->table.dtype = ol_const_dtype(c);
    a->table.data = ol_const_data(c, &bytes);
    if (!a->table.data) {
        if (!(a->table.data = ol_lower_f32(l, v, err))) return OLV_NOMEM;
        a->table.dtype = OL_F32;
    }
    a->table.row_bytes = (size_t)a->table.k * (size_t)ol_dtype_bits(a->table.dtype) / 8;
    return OLV_OK;
}

olv_status ol_lower_gather(ol_lowering *l, ol_node *n, olv_error *err) {
    if (ol_node_int(n, "axis", 0) != 0 || n->inputs[0]->type.rank != 2)
        return ol_fail(err, OLV_UNSUPPORTED, "only rows of a matrix are gathered");
    if (ol_dtype_class(n->inputs[0]->type.dtype) != 'f')
        return ol_fail(err, OLV_UNSUPPORTED, "only rows of floating point are gathered");
    gather_args *a = ol_arena_alloc(l->arena, sizeof *a);
    if (!a) return ol_fail(err, OLV_NOMEM, "no memory for the plan");
    a->width = ol_lower_width(n->inputs[0]);
    if (a->width < 0) return ol_fail(err, OLV_UNSUPPORTED, "rows of a width that is not known");
    a->rows = ol_lower_rows(l, n->outputs[0]);
    a->x_rows = n->inputs[0]->type.dims[0];
    if (n->inputs[0]->constant) OL_TRY(read_table(l, n->inputs[0], a, err));
    else if ((a->x = ol_lower_input(l, n->inputs[0], err)) < 0) return err ? err->status : OLV_INTERNAL;
    if ((a->ids = ol_lower_input(l, n->inputs[1], err)) < 0) return err ? err->status : OLV_INTERNAL;
    a->y = ol_lower_output(l, n->outputs[0]);
    ol_step *s = ol_lower_step(l, &gather_class, n->name, 0);
    if (!s) return OLV_OK; /* latched */
    s->args = a;
    s->kernel = a->kernel ? a->kernel->name : NULL;
    ol_step_reads(s, a->x);
    ol_step_reads(s, a->ids);
    ol_step_writes(s, a->y);
    return OLV_OK;
}
