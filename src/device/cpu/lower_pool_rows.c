/* SPDX-License-Identifier: Apache-2.0 */
/* The rows of each sequence to one: a tile per sequence. Sums run over the rows in order. */
#include "base/error.h"
#include "device/cpu/cpu.h"
#include "graph/op.h"
#include "kernels/elementwise/elementwise.h"
#include <math.h>
#include <string.h>

typedef enum pool_kind { POOL_FIRST, POOL_LAST, POOL_MAX, POOL_MEAN, POOL_MEAN_SQRT, POOL_WEIGHTED, N_KINDS } pool_kind;

static const char *const kind_names[N_KINDS] = {"first", "last", "max", "mean", "mean_sqrt", "weighted"};

typedef struct pool_args {
    const olk_elementwise *kernel;
    pool_kind kind;
    int x, y;
    int64_t width;
} pool_args;

static unsigned tiles(const ol_step *s, const ol_run *r) {
    (void)s;
    return (unsigned)r->n_spans;
}

/* y = sum of the n rows of x, each times its place in the sequence (the first has `from` before it) when weighted. */
static void sum(const pool_args *a, const float *x, int64_t from, int64_t n, float *y) {
    int64_t w = a->width;
    memset(y, 0, (size_t)w * sizeof *y);
    for (int64_t i = 0; i < n; i++) {
        if (a->kind == POOL_WEIGHTED) a->kernel->add_scaled(y, (float)(from + i + 1), x + i * w, y, w);
        else a->kernel->full(OLK_ADD, y, x + i * w, y, w);
    }
}

static float divisor(pool_kind kind, int64_t from, int64_t n) {
    if (kind == POOL_MEAN_SQRT) return sqrtf((float)n);
    return kind == POOL_MEAN ? (float)n : (float)n * (float)(2 * from + n + 1) / 2;
}

static void run(const ol_step *s, const ol_run *r, unsigned tile, void *scratch) {
    const pool_args *a = s->args;
    const ol_row_span *p = &r->spans[tile];
    (void)scratch;
    int64_t w = a->width, from = p->pool_from < p->count ? p->pool_from : p->count - 1, n = p->count - from;
    const float *x = (const float *)ol_run_buffer(r, a->x) + (p->row0 + from) * w;
    float *y = (float *)ol_run_buffer(r, a->y) + (int64_t)tile * w;
    switch (a->kind) {
    case POOL_FIRST: memcpy(y, x, (size_t)w * sizeof *y); break;
    case POOL_LAST: memcpy(y, x + (n - 1) * w, (size_t)w * sizeof *y); break;
    case POOL_MAX:
        memcpy(y, x, (size_t)w * sizeof *y);
        for (int64_t i = 1; i < n; i++) a->kernel->full(OLK_MAX, y, x + i * w, y, w);
        break;
    default:
        sum(a, x, from, n, y);
        a->kernel->right(OLK_DIV, y, divisor(a->kind, from, n), y, w);
    }
}
static const ol_step_class pool_class = {"pool_rows", tiles, NULL, NULL, run};

olv_status ol_lower_pool_rows(ol_lowering *l, ol_node *n, olv_error *err) {
    pool_args a = {.kernel = olk_elementwise_select(l->opt.cpu), .width = ol_lower_width(n->inputs[0])};
    ol_str kind = ol_node_string(n, "kind", "mean");
    int k = 0;
    while (k < N_KINDS && !ol_str_is(kind, kind_names[k])) k++;
    if (k == N_KINDS) return ol_fail(err, OLV_UNSUPPORTED, "pooling of this kind");
    if (a.width < 1) return ol_fail(err, OLV_SHAPE, "the last dimension is not known");
    a.kind = (pool_kind)k;
    if ((a.x = ol_lower_input(l, n->inputs[0], err)) < 0) return err ? err->status : OLV_INTERNAL;
    a.y = ol_lower_output(l, n->outputs[0]);
    ol_step *s = ol_lower_step(l, &pool_class, n->name, sizeof a);
    if (!s) return OLV_OK; /* latched */
    memcpy(s->args, &a, sizeof a);
    s->kernel = a.kernel->name;
    ol_step_reads(s, a.x);
    ol_step_writes(s, a.y);
    return OLV_OK;
}
