/* SPDX-License-Identifier: Apache-2.0 */
/* ReduceSum, Mean, Max and Min of floats over neighbouring axes. Sums run in double, in the order
 * of the elements. */
#include "base/error.h"
#include "device/cpu/cpu.h"
#include "graph/op.h"
#include <math.h>
#include <string.h>

#define COLUMNS 256 /* of a tile, when the reduced axes are not the last */
#define ROWS 16

typedef enum reduction { SUM, MEAN, MAX, MIN } reduction;

/* x as [outer, n, inner], y as [outer, inner]. */
typedef struct reduce_args {
    int x, y;
    reduction kind;
    ol_dim outer, n, inner;
} reduce_args;

static int64_t size_of(const ol_run *r, ol_dim d) {
    return ol_dim_known(d) ? d : ol_dim_eval(r->dims, d, r->symbols, ol_dim_n_symbols(r->dims));
}

static double start_of(reduction k) {
    return k == MAX ? -INFINITY : k == MIN ? INFINITY : 0;
}

static double combine(reduction k, double acc, double v) {
    if (k == MAX) return isnan(acc) || acc > v ? acc : v;
    if (k == MIN) return isnan(acc) || acc < v ? acc : v;
    return acc + v;
}

static int64_t column_tiles(int64_t inner) {
    return (inner + COLUMNS - 1) / COLUMNS;
}
static int64_t row_tiles(int64_t outer, int64_t inner) {
    return inner > 1 ? outer : (outer + ROWS - 1) / ROWS;
}

static unsigned tiles(const ol_step *s, const ol_run *r) {
    const reduce_args *a = s->args;
    int64_t outer = size_of(r, a->outer), inner = size_of(r, a->inner);
    return (unsigned)(row_tiles(outer, inner) * column_tiles(inner));
}

static void reduce_rows(const reduce_args *a, const float *x, float *y, int64_t rows, int64_t n) {
    for (int64_t i = 0; i < rows; i++, x += n) {
        double acc = start_of(a->kind);
        for (int64_t j = 0; j < n; j++) acc = combine(a->kind, acc, (double)x[j]);
        y[i] = (float)(a->kind == MEAN ? acc / (double)n : acc);
    }
}

static void reduce_columns(const reduce_args *a, const float *x, int64_t ld, float *y,
                           int64_t columns, int64_t n) {
    double acc[COLUMNS];
    for (int64_t c = 0; c < columns; c++) acc[c] = start_of(a->kind);
    for (int64_t j = 0; j < n; j++, x += ld) {
        if (a->kind == SUM || a->kind == MEAN)
            for (int64_t c = 0; c < columns; c++) acc[c] += (double)x[c];
        else
            for (int64_t c = 0; c < columns; c++) acc[c] = combine(a->kind, acc[c], (double)x[c]);
    }
    for (int64_t c = 0; c < columns; c++)
        y[c] = (float)(a->kind == MEAN ? acc[c] / (double)n : acc[c]);
}

static void run(const ol_step *s, const ol_run *r, unsigned tile, void *scratch) {
    const reduce_args *a = s->args;
    (void)scratch;
    int64_t outer = size_of(r, a->outer), n = size_of(r, a->n), inner = size_of(r, a->inner),
            across = column_tiles(inner);
    const float *x = ol_run_buffer(r, a->x);
    float *y = ol_run_buffer(r, a->y);
    if (inner == 1) {
        int64_t r0 = (int64_t)tile * ROWS, r1 = r0 + ROWS < outer ? r0 + ROWS : outer;
        reduce_rows(a, x + r0 * n, y + r0, r1 - r0, n);
        return;
    }
    int64_t o = tile / across, c0 = tile % across * COLUMNS,
            c1 = c0 + COLUMNS < inner ? c0 + COLUMNS : inner;
    reduce_columns(a, x + o * n * inner + c0, inner, y + o * inner + c0, c1 - c0, n);
}
static const ol_step_class reduce_class = {"reduce", tiles, NULL, NULL, run};

/* The reduced axes [from, to) of rank; false unless they are given by a constant and lie side by
 * side. */
static bool reduced_range(const ol_node *n, int rank, int *from, int *to) {
    ol_tensor t;
    bool marked[OL_MAX_RANK] = {false};
    if (n->n_inputs < 2 || !n->inputs[1]) {
        *from = 0;
        *to = rank;
        return !ol_node_int(n, "noop_with_empty_axes", 0);
    }
    if (!ol_value_const_tensor(n->inputs[1], OL_MAX_RANK * sizeof(int64_t), &t)) return false;
    int64_t count = t.dtype == OL_I64 ? ol_tensor_count(&t) : 0;
    bool ok = count > 0;
    for (int64_t i = 0; ok && i < count; i++) {
        int64_t axis = ((const int64_t *)t.data)[i];
        if (axis < 0) axis += rank;
        ok = axis >= 0 && axis < rank;
        if (ok) marked[axis] = true;
    }
    ol_tensor_deinit(&t);
    if (!ok) return false;
    for (*from = 0; *from < rank && !marked[*from]; ++*from) {
    }
    for (*to = *from; *to < rank && marked[*to]; ++*to) {
    }
    for (int i = *to; i < rank; i++)
        if (marked[i]) return false;
    return true;
}

olv_status ol_lower_reduce(ol_lowering *l, ol_node *n, olv_error *err) {
    static const char *const names[] = {"ReduceSum", "ReduceMean", "ReduceMax", "ReduceMin"};
    const ol_type *x = &n->inputs[0]->type;
    int from, to;
    reduce_args a = {.outer = 1, .n = 1, .inner = 1};
    for (int i = 0; i < 4; i++)
        if (!strcmp(names[i], n->op->name)) a.kind = (reduction)i;
    if (x->rank < 1 || ol_dtype_class(x->dtype) != 'f' || !reduced_range(n, x->rank, &from, &to))
        return ol_fail(err, OLV_UNSUPPORTED,
                       "only floats, and axes side by side that a constant gives");
    for (int d = 0; d < x->rank; d++) {
        ol_dim *part = d < from ? &a.outer : d < to ? &a.n : &a.inner;
        *part = ol_dim_mul(l->graph->dims, *part, x->dims[d]);
    }
    if ((a.x = ol_lower_input(l, n->inputs[0], err)) < 0) return err ? err->status : OLV_INTERNAL;
    a.y = ol_lower_output(l, n->outputs[0]);
    ol_step *s = ol_lower_step(l, &reduce_class, n->name, sizeof a);
    if (!s) return OLV_OK; /* latched */
    memcpy(s->args, &a, sizeof a);
    ol_step_reads(s, a.x);
    ol_step_writes(s, a.y);
    return OLV_OK;
}
