/* SPDX-License-Identifier: Apache-2.0 */
/* Places the buffers of a segment in one workspace: greedy by size, each at the lowest offset where nothing that lives at
 * the same time lies. Knows lifetimes, not operators. */
#include "base/alloc.h"
#include "base/checked.h"
#include "plan/plan.h"
#include <stdlib.h>

#define ALIGNMENT 64

typedef struct item {
    size_t bytes;
    int buffer;
} item;

static int by_size(const void *a, const void *b) {
    const item *x = a, *y = b;
    if (x->bytes != y->bytes) return x->bytes < y->bytes ? 1 : -1;
    return x->buffer - y->buffer;
}

static bool buffer_bytes(const ol_buffer *b, const ol_run *r, size_t *bytes) {
    if (b->size) {
        *bytes = b->size(b->size_ctx, r);
    } else {
        int64_t n = ol_dim_eval(r->dims, b->count, r->symbols, ol_dim_n_symbols(r->dims));
        if (n < 0 || !ol_mul_size((size_t)n, b->element, bytes)) return false;
    }
    if (*bytes > SIZE_MAX / 4) return false;
    *bytes = ol_align_up(*bytes ? *bytes : 1, ALIGNMENT);
    return true;
}

static bool overlap_in_time(const ol_plan_entry *e, int a, int b) {
    return e->first_use[a] <= e->last_use[b] && e->first_use[b] <= e->last_use[a];
}

/* Lowest offset for item k among the ones placed before it (sorted by offset in `placed`). */
static size_t find_offset(const ol_plan_entry *e, const item *items, const int *placed, int n_placed,
                          const size_t *offsets, int k) {
    size_t at = 0;
    for (int i = 0; i < n_placed; i++) {
        const item *o = &items[placed[i]];
        if (!overlap_in_time(e, items[k].buffer, o->buffer)) continue;
        size_t begin = offsets[o->buffer], end = begin + o->bytes;
        if (begin >= at && begin - at >= items[k].bytes) break;
        if (end > at) at = end;
    }
    return at;
}

bool ol_plan_layout(const ol_plan_entry *e, int segment, const ol_run *r, size_t *offsets, size_t *bytes) {
    item *items = ol_calloc((size_t)e->n_buffers + 1, sizeof *items);
    int *placed = ol_calloc((size_t)e->n_buffers + 1, sizeof *placed);
    bool ok = items && placed;
    int n = 0;
    for (int b = 0; ok && b < e->n_buffers; b++) {
        if (e->first_use[b] < ol_plan_segment_begin(e, segment) || e->first_use[b] >= e->segment_ends[segment]) continue;
        items[n].buffer = b;
        ok = buffer_bytes(&e->buffers[b], r, &items[n].bytes);
        n++;
    }
    size_t total = 0;
    if (ok) qsort(items, (size_t)n, sizeof *items, by_size);
    for (int k = 0; ok && k < n; k++) {
        size_t at = find_offset(e, items, placed, k, offsets, k);
        offsets[items[k].buffer] = at;
        if (at + items[k].bytes > total) total = at + items[k].bytes;
        int j = k; /* keep `placed` sorted by offset */
        while (j > 0 && offsets[items[placed[j - 1]].buffer] > at) {
            placed[j] = placed[j - 1];
            j--;
        }
        placed[j] = k;
    }
    *bytes = ok ? total : !items || !placed;
    ol_free(items);
    ol_free(placed);
    return ok;
}
