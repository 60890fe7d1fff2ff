/* SPDX-License-Identifier: Apache-2.0 */
#include "device/cpu/lowrank.h"
#include "base/checked.h"
#include <string.h>

#define MAX_PREFETCH ((size_t)8192) /* bytes: more than that would not stay in the nearest cache */
#define RANKS 16 /* ranks of a tile where rows are few: a tile packs the rows for itself */

/* Rows brought down lie as [layer][row][width of the run]; the additions of a span follow one another in a row. */
static float *down_row(const ol_cpu_lowrank *lr, const ol_run *r, int layer, int64_t rows, int64_t row) {
    return (float *)ol_run_buffer(r, lr->down) + (layer * rows + row) * r->lowrank_width;
}

static const ol_row_span *span_of(const ol_cpu_lowrank *lr, const ol_run *r, int64_t row) {
    return &r->spans[r->span_of[lr->of_outputs ? r->output_row[row] : row]];
}

static bool same_additions(const ol_row_span *a, const ol_row_span *b) {
    if (a == b) return true;
    if (a->n_lowrank != b->n_lowrank) return false;
    for (int i = 0; i < a->n_lowrank; i++)
        if (a->lowrank[i].adapter != b->lowrank[i].adapter || a->lowrank[i].scale != b->lowrank[i].scale) return false;
    return true;
}

/* End of the rows from `row` on that carry the same additions. */
static int64_t same_rows(const ol_cpu_lowrank *lr, const ol_run *r, int64_t row, int64_t end, const ol_row_span **span) {
    *span = span_of(lr, r, row);
    while (++row < end && same_additions(*span, span_of(lr, r, row))) continue;
    return row;
}

/* ---- down ---- */

static int64_t blocks_of(const ol_run *r, int64_t rows) {
    return rows > OL_LOWRANK_ROWS ? 1 : (r->lowrank_width + RANKS - 1) / RANKS;
}

static unsigned down_tiles(const ol_step *s, const ol_run *r) {
    const ol_cpu_lowrank *lr = s->args;
    int64_t rows = ol_cpu_rows(r, lr->rows), chunks = (rows + OL_LOWRANK_ROWS - 1) / OL_LOWRANK_ROWS;
    return r->lowrank_width ? (unsigned)(chunks * lr->n_nodes * blocks_of(r, rows)) : 0;
}

/* Scratch of a lane: normalized rows, packed rows, the kernel's own. */
typedef struct scratch_plan {
    size_t packed, kernel, total;
} scratch_plan;

static scratch_plan plan_scratch(const ol_cpu_lowrank *lr, const ol_run *r) {
    size_t packed = 0, kernel = 0;
    for (int i = 0; i < r->n_spans; i++)
        for (int u = 0; u < r->spans[i].n_lowrank; u++)
            for (int n = 0; n < lr->n_nodes; n++) {
                const ol_lowrank_part *p = &r->spans[i].lowrank[u].adapter->parts[lr->nodes[n]];
                if (!p->rank) continue;
                size_t act = p->down[OL_LOWRANK_ROWS]->act_bytes(&p->a, OL_LOWRANK_ROWS);
                size_t own = p->down[OL_LOWRANK_ROWS]->scratch_bytes(&p->a, OL_LOWRANK_ROWS);
                packed = act > packed ? act : packed;
                kernel = own > kernel ? own : kernel;
            }
    scratch_plan s = {.packed = ol_align_up((size_t)lr->k * OL_LOWRANK_ROWS * sizeof(float), 64)};
    s.kernel = s.packed + ol_align_up(packed, 64);
    s.total = s.kernel + ol_align_up(kernel, 64) + 64;
    return s;
}

static size_t down_scratch(const ol_step *s, const ol_run *r) {
    return r->lowrank_width ? plan_scratch(s->args, r).total : 0;
}

typedef struct down_tile {
    const ol_cpu_lowrank *lr;
    const ol_run *r;
    int layer;
    int64_t rows, first_rank, n_ranks;
    uint8_t *packed, *kernel;
} down_tile;

/* The additions of rows [row, row + m), which are all the same; x is the first of them. */
static void bring_down(const down_tile *t, const ol_row_span *span, int64_t row, int64_t m, const float *x) {
    int64_t at = 0;
    for (int u = 0; u < span->n_lowrank; u++) {
        const ol_lowrank *adapter = span->lowrank[u].adapter;
        const ol_lowrank_part *p = &adapter->parts[t->lr->nodes[t->layer]];
        int64_t n1 = t->first_rank + t->n_ranks < p->rank ? t->first_rank + t->n_ranks : p->rank;
        float *y = down_row(t->lr, t->r, t->layer, t->rows, row) + at;
        at += adapter->max_rank;
        if (n1 <= t->first_rank) continue;
        olk_linear_args la = {&p->a, t->packed, m, y, t->r->lowrank_width};
        p->down[m]->pack(&p->a, x, t->lr->k, 0, m, m, t->packed);
        p->down[m]->run(&la, 0, m, t->first_rank, n1, t->kernel);
        for (int64_t i = 0; i < m; i++)
            for (int64_t j = t->first_rank; j < n1; j++) y[i * t->r->lowrank_width + j] *= span->lowrank[u].scale;
    }
}

static void down_run(const ol_step *s, const ol_run *r, unsigned tile, void *scratch) {
    const ol_cpu_lowrank *lr = s->args;
    int64_t rows = ol_cpu_rows(r, lr->rows), blocks = blocks_of(r, rows), rest = (int64_t)tile / blocks;
    int64_t row = rest / lr->n_nodes * OL_LOWRANK_ROWS, end = row + OL_LOWRANK_ROWS < rows ? row + OL_LOWRANK_ROWS : rows;
    scratch_plan sp = plan_scratch(lr, r);
    uint8_t *base = scratch;
    down_tile t = {lr, r, (int)(rest % lr->n_nodes), rows, (int64_t)tile % blocks * RANKS, blocks > 1 ? RANKS : INT32_MAX,
                   base + sp.packed, base + sp.kernel};
    while (row < end) {
        const ol_row_span *span;
        int64_t next = same_rows(lr, r, row, end, &span);
        const float *x = (const float *)ol_run_buffer(r, lr->x) + row * lr->k;
        if (span->n_lowrank && lr->norm.kernel) {
            ol_cpu_norm_rows(&lr->norm, x, lr->k, scratch, lr->k, next - row);
            x = scratch;
        }
        bring_down(&t, span, row, next - row, x);
        row = next;
    }
}
static const ol_step_class down_class = {"lowrank", down_tiles, down_scratch, NULL, down_run};

static size_t down_bytes(const void *ctx, const ol_run *r) {
    const ol_cpu_lowrank *lr = ctx;
    int64_t rows = ol_cpu_rows(r, lr->rows);
    size_t n;
    bool ok = ol_mul_size((size_t)rows, (size_t)lr->n_nodes * sizeof(float), &n) && ol_mul_size(n, (size_t)r->lowrank_width, &n);
    return ok ? n : SIZE_MAX;
}

bool ol_cpu_lower_lowrank(ol_lowering *l, ol_cpu_lowrank *lr, const char *name) {
    lr->of_outputs = lr->rows == ol_dim_symbol(l->graph->dims, "R");
    if (!lr->of_outputs && lr->rows != ol_dim_symbol(l->graph->dims, "T")) return false;
    lr->up = olk_lowrank_select(l->opt.cpu);
    lr->down = ol_lower_temp_sized(l, down_bytes, lr);
    ol_step *s = ol_lower_step(l, &down_class, name, 0);
    if (!s) return false;
    s->args = lr;
    ol_step_reads(s, lr->x);
    ol_step_writes(s, lr->down);
    return true;
}

/* ---- up ---- */

void ol_cpu_lowrank_prefetch(const ol_cpu_lowrank *lr, const ol_run *r, int layer, int64_t row, int64_t n0, int64_t n1) {
    const ol_row_span *span = span_of(lr, r, row);
    for (int u = 0; u < span->n_lowrank; u++) {
        const ol_lowrank_part *p = &span->lowrank[u].adapter->parts[lr->nodes[layer]];
        size_t element = (size_t)ol_dtype_bits(p->a.dtype) / 8;
        size_t at = (size_t)olk_lowrank_size(p->rank, n0) * element, end = (size_t)olk_lowrank_size(p->rank, n1) * element;
        for (end = end - at > MAX_PREFETCH ? at + MAX_PREFETCH : end; at < end; at += 64) __builtin_prefetch((const char *)p->b + at);
    }
}

void ol_cpu_lowrank_add(const ol_cpu_lowrank *lr, const ol_run *r, int layer, int64_t row, int64_t m, int64_t n0, int64_t n1,
                        float *y, int64_t ldy) {
    int64_t rows = ol_cpu_rows(r, lr->rows), end = row + m;
    for (int64_t next, first = row; row < end; row = next) {
        const ol_row_span *span;
        next = same_rows(lr, r, row, end, &span);
        int64_t at = 0;
        for (int u = 0; u < span->n_lowrank; u++) {
            const ol_lowrank *adapter = span->lowrank[u].adapter;
            const ol_lowrank_part *p = &adapter->parts[lr->nodes[layer]];
            const float *t = down_row(lr, r, layer, rows, row) + at;
            at += adapter->max_rank;
            if (!p->rank) continue;
            olk_lowrank_args a = {p->b, p->a.dtype, p->rank, t, r->lowrank_width, n0, n1, y + (row - first) * ldy, ldy, next - row};
            lr->up->add(&a);
        }
    }
}
