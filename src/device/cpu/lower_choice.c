/* SPDX-License-Identifier: Apache-2.0 */
/* The choice of elements along the last axis: TopK (sorted, few), GatherElements, ScatterElements.
 */
#include "base/error.h"
#include "device/cpu/cpu.h"
#include "graph/op.h"
#include <math.h>
#include <string.h>

#define TILE_ROWS 4
#define MOST_CHOSEN 64 /* larger k: sorting is the better way */

typedef struct choice_args {
    int x, index, updates, y;
    int64_t n, k; /* elements of a row of x, and of the index */
    ol_dim rows;
    bool largest;
    size_t element;
} choice_args;

static unsigned tiles(const ol_step *s, const ol_run *r) {
    const choice_args *a = s->args;
    return (unsigned)((ol_cpu_rows(r, a->rows) + TILE_ROWS - 1) / TILE_ROWS);
}

static void tile_rows(const choice_args *a, const ol_run *r, unsigned tile, int64_t *r0,
                      int64_t *r1) {
    int64_t rows = ol_cpu_rows(r, a->rows);
    *r0 = (int64_t)tile * TILE_ROWS;
    *r1 = *r0 + TILE_ROWS < rows ? *r0 + TILE_ROWS : rows;
}

/* ---- TopK ---- */

/* a comes before b; NaN counts as the largest, the lower index wins among equals (so equality is no
 * "before"). */
static bool before(float a, float b, bool largest) {
    if (isnan(a) || isnan(b)) return largest ? isnan(a) && !isnan(b) : !isnan(a) && isnan(b);
    return largest ? a > b : a < b;
}

/* Keeps the k best so far in order: inserts each element that beats the last. */
static void top_row(const choice_args *a, const float *x, float *v, int64_t *ix) {
    int64_t have = 0;
    for (int64_t i = 0; i < a->n; i++) {
        if (have == a->k && !before(x[i], v[have - 1], a->largest)) continue;
        int64_t at = have < a->k ? have++ : have - 1;
        for (; at > 0 && before(x[i], v[at - 1], a->largest); at--) {
            v[at] = v[at - 1];
            ix[at] = ix[at - 1];
        }
        v[at] = x[i];
        ix[at] = i;
    }
}

static void topk_run(const ol_step *s, const ol_run *r, unsigned tile, void *scratch) {
    const choice_args *a = s->args;
    int64_t r0, r1, ix[MOST_CHOSEN];
    float v[MOST_CHOSEN];
    (void)scratch;
    tile_rows(a, r, tile, &r0, &r1);
    for (int64_t i = r0; i < r1; i++) {
        top_row(a, (const float *)ol_run_buffer(r, a->x) + i * a->n, v, ix);
        if (a->y >= 0)
            memcpy((float *)ol_run_buffer(r, a->y) + i * a->k, v, (size_t)a->k * sizeof *v);
        if (a->index >= 0)
            memcpy((int64_t *)ol_run_buffer(r, a->index) + i * a->k, ix, (size_t)a->k * sizeof *ix);
    }
}
static const ol_step_class topk_class = {"topk", tiles, NULL, NULL, topk_run};

static bool last_axis(const ol_node *n, int64_t def, int rank) {
    int64_t axis = ol_node_int(n, "axis", def);
    return rank >= 1 && (axis == -1 || axis == rank - 1);
}

olv_status ol_lower_topk(ol_lowering *l, ol_node *n, olv_error *err) {
    const ol_value *x = n->inputs[0];
    ol_value *const *out = n->outputs;
    const ol_value *any = out[0] ? out[0] : out[1];
    choice_args a = {
        .n = ol_lower_width(x), .k = any ? ol_lower_width(any) : -1, .rows = ol_lower_rows(l, x)};
    a.largest = ol_node_int(n, "largest", 1) != 0;
    if (!last_axis(n, -1, x->type.rank) || ol_dtype_class(x->type.dtype) != 'f' ||
        !ol_node_int(n, "sorted", 1) || a.k < 1 || a.k > MOST_CHOSEN || a.k > a.n)
        return ol_fail(err, OLV_UNSUPPORTED, "only 1 to %d sorted floats along the last axis",
                       MOST_CHOSEN);
    if ((a.x = ol_lower_input(l, n->inputs[0], err)) < 0) return err ? err->status : OLV_INTERNAL;
    a.y = out[0] ? ol_lower_output(l, out[0]) : -1;
    a.index = n->n_outputs > 1 && out[1] ? ol_lower_output(l, out[1]) : -1;
    ol_step *s = ol_lower_step(l, &topk_class, n->name, sizeof a);
    if (!s) return OLV_OK; /* latched */
    memcpy(s->args, &a, sizeof a);
    ol_step_reads(s, a.x);
    ol_step_writes(s, a.y);
    ol_step_writes(s, a.index);
    return OLV_OK;
}

/* ---- elements by index ---- */

/* Counts a negative index from the end; one that is out of range becomes 0 and fails the run. */
static int64_t checked_index(const ol_step *s, const ol_run *r, int64_t i, int64_t n) {
    int64_t k = i < 0 ? i + n : i;
    if (k >= 0 && k < n) return k;
    olv_error *err = ol_run_claim_failure(r);
    if (err)
        ol_fail(err, OLV_ARG, "node '%.200s': index %lld of %lld elements", s->name, (long long)i,
                (long long)n);
    return 0;
}

static void move(void *y, int64_t to, const void *x, int64_t from, size_t element) {
    memcpy((uint8_t *)y + (size_t)to * element, (const uint8_t *)x + (size_t)from * element,
           element);
}

static void gather_run(const ol_step *s, const ol_run *r, unsigned tile, void *scratch) {
    const choice_args *a = s->args;
    int64_t r0, r1;
    const int64_t *ix = ol_run_buffer(r, a->index);
    (void)scratch;
    tile_rows(a, r, tile, &r0, &r1);
    for (int64_t i = r0 * a->k; i < r1 * a->k; i++)
        move(ol_run_buffer(r, a->y), i, ol_run_buffer(r, a->x),
             i / a->k * a->n + checked_index(s, r, ix[i], a->n), a->element);
}
static const ol_step_class gather_class = {"gather_elements", tiles, NULL, NULL, gather_run};

static void scatter_run(const ol_step *s, const ol_run *r, unsigned tile, void *scratch) {
    const choice_args *a = s->args;
    int64_t r0, r1;
    const int64_t *ix = ol_run_buffer(r, a->index);
    size_t row = (size_t)a->n * a->element;
    uint8_t *y = ol_run_buffer(r, a->y);
    (void)scratch;
    tile_rows(a, r, tile, &r0, &r1);
    memcpy(y + (size_t)r0 * row, (const uint8_t *)ol_run_buffer(r, a->x) + (size_t)r0 * row,
           (size_t)(r1 - r0) * row);
    for (int64_t i = r0 * a->k; i < r1 * a->k; i++)
        move(y, i / a->k * a->n + checked_index(s, r, ix[i], a->n), ol_run_buffer(r, a->updates), i,
             a->element);
}
static const ol_step_class scatter_class = {"scatter_elements", tiles, NULL, NULL, scatter_run};

static bool same_rows(const ol_value *x, const ol_value *index) {
    if (x->type.rank != index->type.rank || x->type.rank < 1) return false;
    for (int d = 0; d + 1 < x->type.rank; d++)
        if (x->type.dims[d] != index->type.dims[d]) return false;
    return ol_lower_width(x) > 0 && ol_lower_width(index) > 0;
}

static olv_status lower_by_index(ol_lowering *l, ol_node *n, bool scatter, olv_error *err) {
    const ol_value *x = n->inputs[0], *index = n->inputs[1];
    if (!last_axis(n, 0, x->type.rank) || !same_rows(x, index) ||
        (scatter &&
         (!ol_str_is(ol_node_string(n, "reduction", "none"), "none") ||
          !same_rows(x, n->inputs[2]) || ol_lower_width(n->inputs[2]) != ol_lower_width(index))))
        return ol_fail(err, OLV_UNSUPPORTED, "only along the last axis, of equal rows");
    choice_args a = {.n = ol_lower_width(x),
                     .k = ol_lower_width(index),
                     .rows = ol_lower_rows(l, x),
                     .updates = -1};
    a.element = ol_dtype_class(x->type.dtype) == 'f' ? sizeof(float) : sizeof(int64_t);
    a.x = ol_lower_input(l, n->inputs[0], err);
    a.index = ol_lower_input(l, n->inputs[1], err);
    if (scatter) a.updates = ol_lower_input(l, n->inputs[2], err);
    if (a.x < 0 || a.index < 0 || (scatter && a.updates < 0))
        return err ? err->status : OLV_INTERNAL;
    a.y = ol_lower_output(l, n->outputs[0]);
    ol_step *s = ol_lower_step(l, scatter ? &scatter_class : &gather_class, n->name, sizeof a);
    if (!s) return OLV_OK; /* latched */
    memcpy(s->args, &a, sizeof a);
    ol_step_reads(s, a.x);
    ol_step_reads(s, a.index);
    ol_step_reads(s, a.updates);
    ol_step_writes(s, a.y);
    return OLV_OK;
}

olv_status ol_lower_gather_elements(ol_lowering *l, ol_node *n, olv_error *err) {
    return lower_by_index(l, n, false, err);
}
olv_status ol_lower_scatter_elements(ol_lowering *l, ol_node *n, olv_error *err) {
    return lower_by_index(l, n, true, err);
}
