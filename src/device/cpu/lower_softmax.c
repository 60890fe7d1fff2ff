/* SPDX-License-Identifier: Apache-2.0 */
/* Softmax and LogSoftmax over any axis. Over the last one rows are taken where they lie; over another, some columns at a time
 * are turned into rows of the scratch and back. */
#include "base/error.h"
#include "device/cpu/cpu.h"
#include "graph/op.h"
#include "kernels/softmax/softmax.h"
#include <string.h>

#define COLUMNS 16        /* of a tile */
#define TILE_FLOATS 4096  /* of rows */

typedef struct softmax_args {
    const olk_softmax *kernel;
    int x, y;
    ol_dim outer, n, inner; /* sizes before the axis, of it, and behind it */
    bool last, log;
} softmax_args;

/* Tiles of one place before the axis, or of all rows. */
static int64_t column_tiles(const softmax_args *a, const ol_run *r) { return (ol_cpu_rows(r, a->inner) + COLUMNS - 1) / COLUMNS; }
static int64_t rows_of_tile(int64_t n) { return n ? TILE_FLOATS / n + 1 : 1; }

static unsigned tiles(const ol_step *s, const ol_run *r) {
    const softmax_args *a = s->args;
    int64_t outer = ol_cpu_rows(r, a->outer), per = rows_of_tile(ol_cpu_rows(r, a->n));
    return (unsigned)(a->last ? (outer + per - 1) / per : outer * column_tiles(a, r));
}

static size_t scratch_bytes(const ol_step *s, const ol_run *r) {
    const softmax_args *a = s->args;
    return a->last ? 0 : (size_t)ol_cpu_rows(r, a->n) * COLUMNS * sizeof(float);
}

static void softmax_rows(const softmax_args *a, int64_t n, const float *x, float *y, int64_t rows) {
    const olk_softmax_form f = {.n = n, .scale = 1};
    (a->log ? a->kernel->log_softmax : a->kernel->softmax)(&f, x, n, y, n, rows);
}

static void run_columns(const softmax_args *a, const ol_run *r, int64_t tile, float *turned) {
    int64_t n = ol_cpu_rows(r, a->n), inner = ol_cpu_rows(r, a->inner), parts = column_tiles(a, r);
    int64_t c0 = tile % parts * COLUMNS, columns = inner - c0 < COLUMNS ? inner - c0 : COLUMNS, at = tile / parts * n * inner + c0;
    const float *x = (const float *)ol_run_buffer(r, a->x) + at;
    float *y = (float *)ol_run_buffer(r, a->y) + at;
    for (int64_t j = 0; j < n; j++)
        for (int64_t c = 0; c < columns; c++) turned[c * n + j] = x[j * inner + c];
    softmax_rows(a, n, turned, turned, columns);
    for (int64_t j = 0; j < n; j++)
        for (int64_t c = 0; c < columns; c++) y[j * inner + c] = turned[c * n + j];
}

static void run(const ol_step *s, const ol_run *r, unsigned tile, void *scratch) {
    const softmax_args *a = s->args;
    if (!a->last) {
        run_columns(a, r, tile, scratch);
        return;
    }
    int64_t n = ol_cpu_rows(r, a->n), all = ol_cpu_rows(r, a->outer), per = rows_of_tile(n), r0 = (int64_t)tile * per;
    softmax_rows(a, n, (const float *)ol_run_buffer(r, a->x) + r0 * n, (float *)ol_run_buffer(r, a->y) + r0 * n, all - r0 < per ? all - r0 : per);
}
static const ol_step_class softmax_class = {"softmax", tiles, scratch_bytes, NULL, run};

olv_status ol_lower_softmax(ol_lowering *l, ol_node *n, olv_error *err) {
    const ol_type *t = &n->inputs[0]->type;
    int64_t axis = ol_node_int(n, "axis", -1);
    if (axis < 0) axis += t->rank;
    if (axis < 0 || axis >= t->rank || ol_dtype_class(t->dtype) != 'f') return ol_fail(err, OLV_UNSUPPORTED, "only floating point over an axis that is there");
    softmax_args a = {.kernel = olk_softmax_select(l->opt.cpu), .outer = 1, .n = t->dims[axis], .inner = 1};
    for (int i = 0; i < t->rank; i++) {
        ol_dim *side = i < axis ? &a.outer : &a.inner;
        if (i != axis) *side = ol_dim_mul(l->graph->dims, *side, t->dims[i]);
    }
    a.last = a.inner == 1;
    a.log = n->op->name[0] == 'L';
    if ((a.x = ol_lower_input(l, n->inputs[0], err)) < 0) return err ? err->status : OLV_INTERNAL;
    a.y = ol_lower_output(l, n->outputs[0]);
    ol_step *s = ol_lower_step(l, &softmax_class, n->name, sizeof a);
    if (!s) return OLV_OK; /* latched */
    memcpy(s->args, &a, sizeof a);
    s->kernel = a.kernel->name;
    ol_step_reads(s, a.x);
    ol_step_writes(s, a.y);
    return OLV_OK;
}
