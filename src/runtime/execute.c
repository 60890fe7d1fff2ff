/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/execute.h"
#include "base/alloc.h"
#include "base/checked.h"
#include "base/error.h"
#include <stdlib.h>
#include <string.h>
#include <time.h>

olv_status ol_bound_init(ol_bound *b, const ol_plan_entry *e, olv_error *err) {
    size_t nb = (size_t)e->n_buffers + 1, ns = (size_t)e->n_steps + 1;
    *b = (ol_bound){.entry = e};
    b->buffers = ol_calloc(nb, sizeof *b->buffers);
    b->offsets = ol_calloc(nb, sizeof *b->offsets);
    b->tiles = ol_calloc(ns, sizeof *b->tiles);
    b->ns = ol_calloc(ns, sizeof *b->ns);
    if (!b->buffers || !b->offsets || !b->tiles || !b->ns) {
        ol_bound_deinit(b);
        return ol_fail(err, OLV_NOMEM, "no memory to bind a plan");
    }
    for (int i = 0; i < e->n_buffers; i++) b->offsets[i] = SIZE_MAX;
    return OLV_OK;
}

void ol_bound_deinit(ol_bound *b) {
    ol_free(b->buffers), ol_free(b->offsets), ol_free(b->tiles), ol_free(b->ns);
    *b = (ol_bound){0};
}

olv_status ol_scratch_init(ol_scratch *s, olv_error *err) {
    *s = (ol_scratch){0};
    s->tiles = ol_alloc_aligned(2 * sizeof *s->tiles);
    return s->tiles ? OLV_OK : ol_fail(err, OLV_NOMEM, "no memory for scratch");
}

void ol_scratch_deinit(ol_scratch *s) {
    ol_free_aligned(s->memory);
    ol_free_aligned(s->tiles);
    *s = (ol_scratch){0};
}

olv_status ol_grow_memory(uint8_t **p, size_t *have, size_t need, size_t times, const char *what, olv_error *err) {
    size_t total;
    if (need <= *have) return OLV_OK;
    if (!ol_mul_size(need, times, &total)) return ol_fail(err, OLV_LIMIT, "%s is too large", what);
    uint8_t *q = ol_alloc_aligned(total);
    if (!q) return ol_fail(err, OLV_NOMEM, "no memory for %s of %zu MiB", what, total >> 20);
    ol_free_aligned(*p);
    *p = q;
    *have = need;
    return OLV_OK;
}

olv_status ol_bind_steps(ol_bound *b, int begin, int end, const ol_run *r, ol_scratch *s, int lanes, olv_error *err) {
    size_t scratch = 64;
    for (int i = begin; i < end; i++) {
        const ol_step *st = &b->entry->steps[i];
        b->tiles[i] = st->cls->tiles(st, r);
        size_t need = st->cls->scratch ? st->cls->scratch(st, r) : 0;
        if (need > scratch) scratch = need;
    }
    if (scratch > SIZE_MAX / 4) return ol_fail(err, OLV_LIMIT, "the kernels' scratch is too large");
    return ol_grow_memory(&s->memory, &s->bytes, ol_align_up(scratch, 4096), (size_t)lanes, "kernels' scratch", err);
}

/* ---- running ---- */

typedef struct job {
    ol_bound *b;
    const ol_run *run;
    ol_scratch *scratch;
    int begin, end;
} job;

static uint64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static bool is_cancelled(const ol_bound *b) { return b->cancel && atomic_load_explicit(b->cancel, memory_order_relaxed); }

static int next_step(const job *j, int i) {
    while (i < j->end && j->b->tiles[i] == 0) i++;
    return i;
}

/* Every lane walks the whole list, also when the run was cancelled: then it takes no tiles, and the lanes still meet. Lane 0
 * prepares the tile counters of the step to come before the barrier. */
static void run_lane(void *ctx, ol_lane *lane) {
    const job *j = ctx;
    ol_bound *b = j->b;
    ol_tiles *tiles = j->scratch->tiles;
    void *scratch = j->scratch->memory + j->scratch->bytes * (size_t)lane->index;
    int turn = 0;
    uint64_t t0 = b->profile ? now_ns() : 0;
    for (int i = next_step(j, j->begin); i < j->end;) {
        const ol_step *st = &b->entry->steps[i];
        int following = next_step(j, i + 1);
        if (lane->index == 0 && following < j->end) ol_tiles_reset(&tiles[turn ^ 1], b->tiles[following], lane->count);
        bool begun = false;
        for (int64_t t; !is_cancelled(b) && (t = ol_tiles_next(&tiles[turn], lane)) >= 0;) {
            if (!begun && st->cls->begin) st->cls->begin(st, j->run, scratch);
            begun = true;
            st->cls->run(st, j->run, (unsigned)t, scratch);
        }
        ol_lane_barrier(lane);
        if (b->profile && lane->index == 0) {
            uint64_t t1 = now_ns();
            b->ns[i] += t1 - t0;
            t0 = t1;
        }
        turn ^= 1;
        i = following;
    }
}

void ol_execute_steps(ol_bound *b, int begin, int end, const ol_run *r, ol_scratch *s, ol_executor *x) {
    job j = {b, r, s, begin, end};
    int first = next_step(&j, begin), lanes = ol_executor_lanes(x);
    if (first >= end) return;
    ol_tiles_reset(&s->tiles[0], b->tiles[first], lanes);
    ol_executor_run(x, lanes, run_lane, &j);
}

/* ---- profile ---- */

typedef struct profile_row {
    const char *cls, *kernel;
    uint64_t ns;
    unsigned count;
} profile_row;

static int by_time(const void *a, const void *b) {
    const profile_row *x = a, *y = b;
    return x->ns < y->ns ? 1 : x->ns > y->ns ? -1 : 0;
}

void ol_bound_profile_dump(const ol_bound *b, const char *title, ol_buf *out) {
    profile_row rows[64];
    int n = 0;
    uint64_t total = 0;
    if (!b->runs) return;
    for (int i = 0; i < b->entry->n_steps; i++) {
        const ol_step *st = &b->entry->steps[i];
        int k = 0;
        while (k < n && (rows[k].cls != st->cls->name || rows[k].kernel != st->kernel)) k++;
        if (k == n && n == 64) k = 63;
        if (k == n) rows[n++] = (profile_row){st->cls->name, st->kernel, 0, 0};
        rows[k].ns += b->ns[i];
        rows[k].count++;
        total += b->ns[i];
    }
    qsort(rows, (size_t)n, sizeof rows[0], by_time);
    ol_buf_printf(out, "%s: %llu runs, %.3f ms each\n", title, (unsigned long long)b->runs, (double)total / (double)b->runs / 1e6);
    for (int k = 0; k < n; k++)
        ol_buf_printf(out, "  %5.1f %%  %8.3f ms  %4u x %-16s %s\n", total ? 100.0 * (double)rows[k].ns / (double)total : 0.0,
                      (double)rows[k].ns / (double)b->runs / 1e6, rows[k].count, rows[k].cls, rows[k].kernel ? rows[k].kernel : "");
}
