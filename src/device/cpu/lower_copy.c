/* SPDX-License-Identifier: Apache-2.0 */
/* Operators that move elements: Concat, Split, Slice (one axis, step 1) as copies of blocks, and
 * Transpose. Sizes are those of the run. */
#include "base/error.h"
#include "device/cpu/codes.h"
#include "device/cpu/cpu.h"
#include "graph/op.h"
#include <string.h>

#define TILE_BYTES 65536

static int64_t size_of(const ol_run *r, ol_dim d) {
    return ol_dim_known(d) ? d : ol_dim_eval(r->dims, d, r->symbols, ol_dim_n_symbols(r->dims));
}
static size_t element_bytes(const ol_value *v) {
    return ol_dtype_class(v->type.dtype) == 'f' ? sizeof(float) : sizeof(int64_t);
}
/* Product of the dims [from, to). */
static ol_dim product(ol_lowering *l, const ol_type *t, int from, int to) {
    ol_dim n = 1;
    for (int i = from; i < to; i++) n = ol_dim_mul(l->graph->dims, n, t->dims[i]);
    return n;
}

/* ---- blocks: rows x [at + count], of rows of other lengths ---- */

typedef struct block_args {
    int x, y;
    ol_dim rows, x_row, y_row, x_at, y_at, count; /* elements */
    size_t element;
} block_args;

static int64_t rows_per_tile(const block_args *a, const ol_run *r) {
    int64_t bytes = size_of(r, a->count) * (int64_t)a->element;
    return bytes > 0 && bytes < TILE_BYTES ? TILE_BYTES / bytes : 1;
}
static unsigned block_tiles(const ol_step *s, const ol_run *r) {
    const block_args *a = s->args;
    int64_t per = rows_per_tile(a, r), rows = size_of(r, a->rows);
    return size_of(r, a->count) ? (unsigned)((rows + per - 1) / per) : 0;
}
static void block_run(const ol_step *s, const ol_run *r, unsigned tile, void *scratch) {
    const block_args *a = s->args;
    (void)scratch;
    int64_t per = rows_per_tile(a, r), rows = size_of(r, a->rows), r0 = (int64_t)tile * per;
    int64_t r1 = r0 + per < rows ? r0 + per : rows, xr = size_of(r, a->x_row),
            yr = size_of(r, a->y_row);
    int64_t xa = size_of(r, a->x_at), ya = size_of(r, a->y_at), n = size_of(r, a->count);
    const uint8_t *x = ol_run_buffer(r, a->x);
    uint8_t *y = ol_run_buffer(r, a->y);
    if (n < 0 || xa < 0 || ya < 0 || xa + n > xr || ya + n > yr) {
        olv_error *err = ol_run_claim_failure(r);
        if (err) ol_fail(err, OLV_SHAPE, "node '%.200s': a range outside of its tensor", s->name);
        return;
    }
    for (int64_t i = r0; i < r1; i++)
        memcpy(y + (size_t)(i * yr + ya) * a->element, x + (size_t)(i * xr + xa) * a->element,
               (size_t)n * a->element);
}
static const ol_step_class block_class = {"copy", block_tiles, NULL, NULL, block_run};

static olv_status emit_block(ol_lowering *l, const ol_node *n, const block_args *a) {
    ol_step *s = ol_lower_step(l, &block_class, n->name, sizeof *a);
    if (!s) return OLV_OK; /* latched */
    memcpy(s->args, a, sizeof *a);
    ol_step_reads(s, a->x);
    ol_step_writes(s, a->y);
    return OLV_OK;
}

static bool axis_of(const ol_node *n, int64_t axis, int *out) {
    int rank = n->outputs[0]->type.rank;
    *out = (int)(axis < 0 ? axis + rank : axis);
    return *out >= 0 && *out < rank;
}

static bool equal_but(const ol_type *a, const ol_type *b, int axis) {
    if (a->rank != b->rank) return false;
    for (int i = 0; i < a->rank; i++)
        if (i != axis && a->dims[i] != b->dims[i]) return false;
    return true;
}

olv_status ol_lower_concat(ol_lowering *l, ol_node *n, olv_error *err) {
    int axis;
    const ol_type *out = &n->outputs[0]->type;
    if (!axis_of(n, ol_node_int(n, "axis", 0), &axis))
        return ol_fail(err, OLV_UNSUPPORTED, "the rank is not known");
    for (int i = 0; i < n->n_inputs; i++)
        if (!n->inputs[i] || !equal_but(&n->inputs[i]->type, out, axis))
            return ol_fail(err, OLV_UNSUPPORTED,
                           "the sizes of the inputs are not known to be equal");
    block_args a = {.rows = product(l, out, 0, axis),
                    .y_row = product(l, out, axis, out->rank),
                    .y_at = 0,
                    .element = element_bytes(n->outputs[0])};
    for (int i = 0; i < n->n_inputs; i++) {
        if ((a.x = ol_lower_input(l, n->inputs[i], err)) < 0)
            return err ? err->status : OLV_INTERNAL;
        a.x_row = a.count = product(l, &n->inputs[i]->type, axis, out->rank);
        a.y = ol_lower_output(l, n->outputs[0]);
        OL_TRY(emit_block(l, n, &a));
        a.y_at = ol_dim_add(l->graph->dims, a.y_at, a.count);
    }
    return OLV_OK;
}

olv_status ol_lower_split(ol_lowering *l, ol_node *n, olv_error *err) {
    int axis;
    const ol_type *x = &n->inputs[0]->type;
    if (!axis_of(n, ol_node_int(n, "axis", 0), &axis))
        return ol_fail(err, OLV_UNSUPPORTED, "the rank is not known");
    for (int i = 0; i < n->n_outputs; i++)
        if (!n->outputs[i] || !equal_but(&n->outputs[i]->type, x, axis) ||
            !ol_dim_known(n->outputs[i]->type.dims[axis]))
            return ol_fail(err, OLV_UNSUPPORTED, "the sizes of the parts are not known");
    block_args a = {.rows = product(l, x, 0, axis),
                    .x_row = product(l, x, axis, x->rank),
                    .x_at = 0,
                    .element = element_bytes(n->inputs[0])};
    if ((a.x = ol_lower_input(l, n->inputs[0], err)) < 0) return err ? err->status : OLV_INTERNAL;
    for (int i = 0; i < n->n_outputs; i++) {
        a.y_row = a.count = product(l, &n->outputs[i]->type, axis, x->rank);
        a.y = ol_lower_output(l, n->outputs[i]);
        OL_TRY(emit_block(l, n, &a));
        a.x_at = ol_dim_add(l->graph->dims, a.x_at, a.count);
    }
    return OLV_OK;
}

/* The only element of a constant integer input; false when it is none. */
static bool constant_int(const ol_node *n, int i, int64_t def, int64_t *out) {
    ol_tensor t;
    *out = def;
    if (i >= n->n_inputs || !n->inputs[i]) return true;
    if (!ol_value_const_tensor(n->inputs[i], 64, &t)) return false;
    bool ok = ol_tensor_count(&t) == 1 && (t.dtype == OL_I64 || t.dtype == OL_I32);
    if (ok) *out = t.dtype == OL_I64 ? *(const int64_t *)t.data : *(const int32_t *)t.data;
    ol_tensor_deinit(&t);
    return ok;
}

olv_status ol_lower_slice(ol_lowering *l, ol_node *n, olv_error *err) {
    int64_t start, along, step;
    int axis;
    const ol_type *x = &n->inputs[0]->type, *y = &n->outputs[0]->type;
    if (!constant_int(n, 1, 0, &start) || !constant_int(n, 3, 0, &along) ||
        !constant_int(n, 4, 1, &step) || step != 1 || !axis_of(n, along, &axis) ||
        !equal_but(x, y, axis) || !ol_dim_known(x->dims[axis]) || !ol_dim_known(y->dims[axis]))
        return ol_fail(err, OLV_UNSUPPORTED, "only one range of an axis of known size");
    if (start < 0) start += x->dims[axis];
    if (start < 0) start = 0;
    if (start > x->dims[axis]) start = x->dims[axis];
    ol_dim inner = product(l, x, axis + 1, x->rank);
    block_args a = {.rows = product(l, x, 0, axis),
                    .x_row = product(l, x, axis, x->rank),
                    .y_at = 0,
                    .x_at = ol_dim_mul(l->graph->dims, start, inner),
                    .element = element_bytes(n->inputs[0])};
    a.y_row = a.count = product(l, y, axis, y->rank);
    if ((a.x = ol_lower_input(l, n->inputs[0], err)) < 0) return err ? err->status : OLV_INTERNAL;
    a.y = ol_lower_output(l, n->outputs[0]);
    return emit_block(l, n, &a);
}

/* ---- transposition ---- */

typedef struct transpose_args {
    int x, y, rank, from[OL_MAX_RANK];
    ol_dim x_dims[OL_MAX_RANK], outer; /* product of the output's dims but the last */
    size_t element;
} transpose_args;

#define TRANSPOSE_ROWS 32

static unsigned transpose_tiles(const ol_step *s, const ol_run *r) {
    const transpose_args *a = s->args;
    return (unsigned)((size_of(r, a->outer) + TRANSPOSE_ROWS - 1) / TRANSPOSE_ROWS);
}

/* One row of the output: elements of x that lie `step` apart. */
static void copy_strided(const uint8_t *x, int64_t step, uint8_t *y, int64_t n, size_t element) {
    if (step == 1)
        memcpy(y, x, (size_t)n * element);
    else if (element == 1)
        for (int64_t i = 0; i < n; i++) y[i] = x[i * step];
    else if (element == sizeof(float))
        for (int64_t i = 0; i < n; i++) memcpy(y + (size_t)i * 4, x + (size_t)(i * step) * 4, 4);
    else
        for (int64_t i = 0; i < n; i++) memcpy(y + (size_t)i * 8, x + (size_t)(i * step) * 8, 8);
}

static void transpose_run(const ol_step *s, const ol_run *r, unsigned tile, void *scratch) {
    const transpose_args *a = s->args;
    int64_t step[OL_MAX_RANK], dims[OL_MAX_RANK], rows = size_of(r, a->outer), last = a->rank - 1,
                                                  n = 1;
    (void)scratch;
    for (int d = a->rank - 1; d >= 0; d--) {
        step[d] = n;
        n *= dims[d] = size_of(r, a->x_dims[d]);
    }
    int64_t width = dims[a->from[last]], r0 = (int64_t)tile * TRANSPOSE_ROWS;
    int64_t r1 = r0 + TRANSPOSE_ROWS < rows ? r0 + TRANSPOSE_ROWS : rows;
    const uint8_t *x = ol_run_buffer(r, a->x);
    uint8_t *y = ol_run_buffer(r, a->y);
    for (int64_t row = r0; row < r1; row++) {
        int64_t at = 0, left = row;
        for (int64_t d = last - 1; d >= 0; d--) {
            at += left % dims[a->from[d]] * step[a->from[d]];
            left /= dims[a->from[d]];
        }
        copy_strided(x + (size_t)at * a->element, step[a->from[last]],
                     y + (size_t)(row * width) * a->element, width, a->element);
    }
}
static const ol_step_class transpose_class = {"transpose", transpose_tiles, NULL, NULL,
                                              transpose_run};

olv_status ol_lower_transpose(ol_lowering *l, ol_node *n, olv_error *err) {
    const ol_value *x = n->inputs[0];
    size_t given;
    const int64_t *perm = ol_node_ints(n, "perm", &given);
    transpose_args a = {.rank = x->type.rank, .element = element_bytes(x)};
    if (a.rank < 1 || (perm && given != (size_t)a.rank))
        return ol_fail(err, OLV_UNSUPPORTED, "the rank is not known");
    for (int d = 0; d < a.rank; d++) {
        a.from[d] = perm ? (int)perm[d] : a.rank - 1 - d;
        if (a.from[d] < 0 || a.from[d] >= a.rank)
            return ol_fail(err, OLV_UNSUPPORTED, "a permutation with negative axes");
        a.x_dims[d] = x->type.dims[d];
    }
    a.outer = ol_lower_rows(l, n->outputs[0]);
    const ol_codes *codes = ol_cpu_codes_of(l, x);
    if (codes && codes->buffer >= 0) {
        ol_codes c = *codes;
        a.element = 1;
        a.x = ol_cpu_codes_buffer(l, x, false);
        c.buffer = -2, c.channels_last = false;
        codes = a.x >= 0 ? ol_cpu_codes_set(l, n->outputs[0], c) : NULL;
        if (!codes) return ol_fail(err, OLV_NOMEM, "no memory for the plan");
        a.y = codes->buffer;
    } else {
        if ((a.x = ol_lower_input(l, n->inputs[0], err)) < 0) return err ? err->status : OLV_INTERNAL;
        a.y = ol_lower_output(l, n->outputs[0]);
    }
    ol_step *s = ol_lower_step(l, &transpose_class, n->name, sizeof a);
    if (!s) return OLV_OK; /* latched */
    memcpy(s->args, &a, sizeof a);
    ol_step_reads(s, a.x);
    ol_step_writes(s, a.y);
    return OLV_OK;
}
