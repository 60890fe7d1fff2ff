/* SPDX-License-Identifier: Apache-2.0 */
/* Makers of constants and views, and what they are. Reading them: constant_read.c. */
#include "tensor/constant.h"
#include "base/alloc.h"
#include "base/checked.h"
#include "base/error.h"
#include "tensor/constant_view.h"
#include "tensor/qconst_form.h"

static void free_const(ol_const *c) {
    for (int i = 0; i < c->n_srcs; i++) ol_const_release(c->srcs[i]);
    for (int i = 0; i < c->n_files; i++) ol_file_release(c->files[i]);
    if (c->owner_free) c->owner_free(c->owner);
    if (c->kind == OL_CONST_LAZY_QUANT && c->lazy.destroy) c->lazy.destroy(c->lazy.ctx);
    ol_free(c->srcs);
    ol_free(c->files);
    ol_free(c->order);
    ol_free(c);
}

static bool set_shape(ol_const *c, int rank, const int64_t *dims) {
    int64_t rows = 1, count;
    c->rank = rank;
    for (int i = 0; i < rank; i++) {
        c->dims[i] = dims[i];
        if (dims[i] < 0 || (i + 1 < rank && !ol_mul_i64(rows, dims[i], &rows))) return false;
    }
    c->rows = rows;
    c->width = rank ? dims[rank - 1] : 1;
    c->axis0_elems = 1;
    for (int i = 1; i < rank; i++)
        if (!ol_mul_i64(c->axis0_elems, dims[i], &c->axis0_elems)) return false;
    return ol_mul_i64(c->rows, c->width, &count);
}

ol_const *ol_const_new(ol_const_kind kind, ol_dtype dtype, int rank, const int64_t *dims, ol_const *const *srcs,
                       int n_srcs, olv_error *err) {
    if (rank < 0 || rank > OL_MAX_RANK) {
        ol_fail(err, OLV_LIMIT, "constant of rank %d found, 0 to %d expected", rank, OL_MAX_RANK);
        return NULL;
    }
    if (ol_dtype_bits(dtype) == 0) {
        ol_fail(err, OLV_ARG, "constant without an element type");
        return NULL;
    }
    int depth = 1;
    for (int i = 0; i < n_srcs; i++)
        if (srcs[i]->depth >= depth) depth = srcs[i]->depth + 1;
    if (depth > OL_CONST_MAX_DEPTH) {
        ol_fail(err, OLV_LIMIT, "more than %d views over one constant", OL_CONST_MAX_DEPTH);
        return NULL;
    }
    ol_const *c = ol_calloc(1, sizeof *c);
    if (c && n_srcs > 0) c->srcs = ol_calloc((size_t)n_srcs, sizeof *c->srcs);
    if (!c || (n_srcs > 0 && !c->srcs)) {
        ol_free(c);
        ol_fail(err, OLV_NOMEM, "no memory for a constant");
        return NULL;
    }
    c->kind = kind;
    c->dtype = dtype;
    c->depth = depth;
    atomic_init(&c->refs, 1);
    if (!set_shape(c, rank, dims)) {
        ol_free(c->srcs);
        ol_free(c);
        ol_fail(err, OLV_LIMIT, "shape of a constant has no valid size");
        return NULL;
    }
    for (int i = 0; i < n_srcs; i++) c->srcs[i] = ol_const_retain(srcs[i]);
    c->n_srcs = n_srcs;
    return c;
}

/* Frees a constant whose making failed, without touching what the caller still owns. */
static ol_const *abandon(ol_const *c) {
    c->owner_free = NULL;
    c->lazy.destroy = NULL;
    free_const(c);
    return NULL;
}

static bool hold_files(ol_const *c, ol_file *const *files, int n, olv_error *err) {
    if (n <= 0) return true;
    c->files = ol_calloc((size_t)n, sizeof *c->files);
    if (!c->files) {
        ol_fail(err, OLV_NOMEM, "no memory for a constant");
        return false;
    }
    for (int i = 0; i < n; i++) c->files[i] = ol_file_retain(files[i]);
    c->n_files = n;
    return true;
}

ol_const *ol_const_bytes(ol_dtype dtype, int rank, const int64_t *dims, const void *data, size_t bytes, ol_file *file,
                         void (*owner_free)(void *), olv_error *err) {
    ol_const *c = ol_const_new(OL_CONST_BYTES, dtype, rank, dims, NULL, 0, err);
    if (!c) return NULL;
    size_t need;
    if (!ol_dtype_bytes(dtype, (uint64_t)(c->rows * c->width), &need) || need != bytes) {
        ol_fail(err, OLV_SHAPE, "%zu bytes of data found, %lld elements of %s expected", bytes,
                (long long)(c->rows * c->width), ol_dtype_name(dtype));
        return abandon(c);
    }
    if (file && !hold_files(c, &file, 1, err)) return abandon(c);
    c->data = data;
    c->bytes = bytes;
    c->owner_free = owner_free;
    c->owner = (void *)(uintptr_t)data;
    return c;
}

static void free_tensor(void *p) {
    ol_tensor_deinit(p);
    ol_free(p);
}

ol_const *ol_const_tensor(const ol_tensor *t, olv_error *err) {
    ol_tensor *copy = ol_calloc(1, sizeof *copy);
    if (!copy) {
        ol_fail(err, OLV_NOMEM, "no memory for a constant");
        return NULL;
    }
    ol_const *c = NULL;
    if (ol_tensor_copy(copy, t, err) == OLV_OK)
        c = ol_const_bytes(t->dtype, t->rank, t->dims, copy->data, copy->bytes, NULL, NULL, err);
    if (!c) {
        free_tensor(copy);
        return NULL;
    }
    c->owner_free = free_tensor;
    c->owner = copy;
    return c;
}

static bool check_quant_shape(const ol_const *c, const ol_qconst *q, olv_error *err) {
    if (c->rank < 2 || c->rows != q->rows || c->width != q->k) {
        ol_fail(err, OLV_SHAPE, "quantized data of %lld x %lld found for a constant of rank %d, %lld x %lld",
                (long long)q->rows, (long long)q->k, c->rank, (long long)c->rows, (long long)c->width);
        return false;
    }
    return ol_qconst_check_form(q, err) == OLV_OK;
}

ol_const *ol_const_quant(int rank, const int64_t *dims, const ol_qconst *q, ol_file *const *files, int n_files,
                         void (*owner_free)(void *), void *owner, olv_error *err) {
    ol_const *c = ol_const_new(OL_CONST_QUANT, OL_F32, rank, dims, NULL, 0, err);
    if (!c) return NULL;
    if (!check_quant_shape(c, q, err) || !hold_files(c, files, n_files, err)) return abandon(c);
    c->q = *q;
    c->owner_free = owner_free;
    c->owner = owner;
    return c;
}

ol_const *ol_const_lazy_quant(int rank, const int64_t *dims, const ol_lazy_quant *lazy, olv_error *err) {
    ol_const *c = ol_const_new(OL_CONST_LAZY_QUANT, OL_F32, rank, dims, NULL, 0, err);
    if (!c) return NULL;
    if (!check_quant_shape(c, &lazy->form, err)) return abandon(c);
    if (lazy->form.min_dtype != OL_DTYPE_NONE) {
        ol_fail(err, OLV_UNSUPPORTED, "minima in a constant that is quantized on demand");
        return abandon(c);
    }
    c->lazy = *lazy;
    return c;
}

/* ---- quantized constants made of rows of others ---- */

/* Runs of source rows, in order, that make up the rows of a lazily copied quantized constant. */
typedef struct copied_rows {
    int n_srcs;
    ol_const **srcs;
    const int32_t *order; /* of one source, in units of `unit` rows; NULL: sources one after the other */
    int64_t unit, first;
    int32_t *owned_order;
} copied_rows;

static void free_copied(void *ctx) {
    copied_rows *r = ctx;
    for (int i = 0; i < r->n_srcs; i++) ol_const_release(r->srcs[i]);
    ol_free(r->srcs);
    ol_free(r->owned_order);
    ol_free(r);
}

static void copied_files(const void *ctx, ol_const_file_fn *fn, void *fn_ctx) {
    const copied_rows *r = ctx;
    for (int i = 0; i < r->n_srcs; i++) ol_const_each_file(r->srcs[i], fn, fn_ctx);
}

/* Source and its row for one row of the whole, and how many rows follow it there. */
static const ol_const *find_row(const copied_rows *r, int64_t row, int64_t *src_row, int64_t *run) {
    if (r->order) {
        *src_row = r->order[row / r->unit] * r->unit + row % r->unit;
        *run = r->unit - row % r->unit;
        return r->srcs[0];
    }
    row += r->first;
    int i = 0;
    while (i + 1 < r->n_srcs && row >= r->srcs[i]->rows) row -= r->srcs[i++]->rows;
    *src_row = row;
    *run = r->srcs[i]->rows - row;
    return r->srcs[i];
}

static olv_status fill_copied(void *ctx, int64_t row, int64_t n, uint8_t *codes, void *scales, void *zeros,
                              olv_error *err) {
    const copied_rows *r = ctx;
    const ol_qconst *form = ol_const_quant_form(r->srcs[0]);
    size_t scale_bytes = ol_qconst_scale_row_bytes(form);
    uint8_t *s = scales, *z = zeros;
    for (int64_t done = 0; done < n;) {
        int64_t src_row, run;
        const ol_const *src = find_row(r, row + done, &src_row, &run);
        if (run > n - done) run = n - done;
        OL_TRY(ol_const_rows_quant(src, src_row, run, codes, s, z, err));
        codes += (size_t)run * form->row_bytes;
        if (s) s += (size_t)run * scale_bytes;
        if (z) z += (size_t)run * form->zero_row_bytes;
        done += run;
    }
    return OLV_OK;
}

static ol_const *lazy_copy(int rank, const int64_t *dims, ol_const *const *srcs, int n_srcs, const int32_t *order,
                           int64_t n_order, int64_t unit, int64_t first, int64_t rows, olv_error *err) {
    copied_rows *r = ol_calloc(1, sizeof *r);
    ol_const **held = ol_calloc((size_t)n_srcs, sizeof *held);
    int32_t *own = order ? ol_calloc((size_t)n_order + 1, sizeof *own) : NULL;
    if (!r || !held || (order && !own)) {
        ol_free(r);
        ol_free(held);
        ol_free(own);
        ol_fail(err, OLV_NOMEM, "no memory for a constant");
        return NULL;
    }
    if (order) memcpy(own, order, (size_t)n_order * sizeof *own);
    for (int i = 0; i < n_srcs; i++) held[i] = ol_const_retain(srcs[i]);
    *r = (copied_rows){n_srcs, held, own, unit, first, own};
    ol_lazy_quant lazy = {fill_copied, free_copied, r, *ol_const_quant_form(srcs[0]), copied_files};
    lazy.form.rows = rows;
    lazy.form.codes = NULL;
    lazy.form.scales = lazy.form.zeros = NULL;
    ol_const *c = NULL;
    int depth = 0;
    for (int i = 0; i < n_srcs; i++)
        if (srcs[i]->depth > depth) depth = srcs[i]->depth;
    if (depth >= OL_CONST_MAX_DEPTH)
        ol_fail(err, OLV_LIMIT, "more than %d views over one constant", OL_CONST_MAX_DEPTH);
    else
        c = ol_const_lazy_quant(rank, dims, &lazy, err);
    if (!c)
        free_copied(r);
    else
        c->depth = depth + 1;
    return c;
}

/* ---- views ---- */

static bool has_axis(const ol_const *src, const char *what, olv_error *err) {
    if (src->rank > 0) return true;
    ol_fail(err, OLV_SHAPE, "%s of a scalar constant", what);
    return false;
}

static void shift_quant(ol_qconst *q, int64_t row, int64_t rows) {
    size_t r = (size_t)row;
    q->codes += r * q->row_bytes;
    if (q->scales) q->scales = (const uint8_t *)q->scales + r * ol_qconst_scale_row_bytes(q);
    if (q->zeros) q->zeros = (const uint8_t *)q->zeros + r * q->zero_row_bytes;
    if (q->mins) q->mins = (const uint8_t *)q->mins + r * ol_qconst_min_row_bytes(q);
    q->rows = rows;
}

ol_const *ol_const_slice_rows(ol_const *src, int64_t row, int64_t n, olv_error *err) {
    if (!has_axis(src, "slice", err)) return NULL;
    if (row < 0 || n < 0 || row > src->dims[0] || n > src->dims[0] - row) {
        ol_fail(err, OLV_SHAPE, "slice [%lld, %lld + %lld) of %lld rows", (long long)row, (long long)row, (long long)n,
                (long long)src->dims[0]);
        return NULL;
    }
    int64_t dims[OL_MAX_RANK];
    memcpy(dims, src->dims, sizeof dims);
    dims[0] = n;
    int64_t first = row * src->axis0_elems;
    int64_t unit = src->rank > 1 && src->width ? src->axis0_elems / src->width : 1;
    if (src->kind == OL_CONST_LAZY_QUANT)
        return lazy_copy(src->rank, dims, &src, 1, NULL, 0, 1, row * unit, n * unit, err);
    int bits = ol_dtype_bits(src->dtype);
    bool in_bytes = src->kind == OL_CONST_BYTES && (first % 8 * bits) % 8 == 0;
    ol_const_kind kind = in_bytes ? OL_CONST_BYTES : src->kind == OL_CONST_QUANT ? OL_CONST_QUANT : OL_CONST_SLICE_ROWS;
    ol_const *c = ol_const_new(kind, src->dtype, src->rank, dims, &src, 1, err);
    if (!c) return NULL;
    if (kind == OL_CONST_BYTES) {
        size_t skip;
        if (!ol_dtype_bytes(src->dtype, (uint64_t)first, &skip) ||
            !ol_dtype_bytes(src->dtype, (uint64_t)(c->rows * c->width), &c->bytes))
            return abandon(c);
        c->data = src->data ? src->data + skip : NULL;
    } else if (kind == OL_CONST_QUANT) {
        c->q = src->q;
        shift_quant(&c->q, row * unit, n * unit);
    } else {
        c->first = first;
    }
    return c;
}

ol_const *ol_const_transpose(ol_const *src, olv_error *err) {
    if (src->rank != 2) {
        ol_fail(err, OLV_SHAPE, "transpose of a constant of rank %d, 2 expected", src->rank);
        return NULL;
    }
    if (src->kind == OL_CONST_TRANSPOSE) return ol_const_retain(src->srcs[0]);
    int64_t dims[2] = {src->dims[1], src->dims[0]};
    return ol_const_new(OL_CONST_TRANSPOSE, src->dtype, 2, dims, &src, 1, err);
}

ol_const *ol_const_permute_rows(ol_const *src, const int32_t *order, int64_t n, olv_error *err) {
    if (!has_axis(src, "permutation", err)) return NULL;
    for (int64_t i = 0; i < n; i++) {
        if (order[i] < 0 || order[i] >= src->dims[0]) {
            ol_fail(err, OLV_SHAPE, "row %d of a permutation, 0 to %lld expected", (int)order[i],
                    (long long)src->dims[0] - 1);
            return NULL;
        }
    }
    int64_t dims[OL_MAX_RANK];
    memcpy(dims, src->dims, sizeof dims);
    dims[0] = n;
    const ol_qconst *form = ol_const_quant_form(src);
    if (form && form->min_dtype == OL_DTYPE_NONE) {
        int64_t unit = src->width ? src->axis0_elems / src->width : 1;
        return lazy_copy(src->rank, dims, &src, 1, order, n, unit ? unit : 1, 0, n * unit, err);
    }
    ol_const *c = ol_const_new(OL_CONST_PERMUTE_ROWS, src->dtype, src->rank, dims, &src, 1, err);
    if (!c) return NULL;
    c->order = ol_calloc((size_t)n + 1, sizeof *c->order);
    if (!c->order) {
        ol_fail(err, OLV_NOMEM, "no memory for a permutation of %lld rows", (long long)n);
        return abandon(c);
    }
    memcpy(c->order, order, (size_t)n * sizeof *order);
    return c;
}

/* Equal but for rows and data. */
static bool same_form(const ol_qconst *a, const ol_qconst *b) {
    return a && b && a->code == b->code && a->block == b->block && a->k == b->k && a->group == b->group &&
           a->row_bytes == b->row_bytes && a->scale_dtype == b->scale_dtype && a->zero_dtype == b->zero_dtype &&
           a->zero_row_bytes == b->zero_row_bytes && a->min_dtype == OL_DTYPE_NONE && b->min_dtype == OL_DTYPE_NONE &&
           a->table == b->table && a->global_scale == b->global_scale && a->perm == b->perm &&
           a->input_scale == b->input_scale;
}

ol_const *ol_const_concat_rows(ol_const *const *srcs, int n, olv_error *err) {
    if (n < 1) {
        ol_fail(err, OLV_ARG, "concatenation of no constants");
        return NULL;
    }
    if (!has_axis(srcs[0], "concatenation", err)) return NULL;
    int64_t dims[OL_MAX_RANK], rows = srcs[0]->rows;
    memcpy(dims, srcs[0]->dims, sizeof dims);
    bool quant = ol_const_quant_form(srcs[0]) != NULL;
    for (int i = 1; i < n; i++) {
        bool fits = srcs[i]->rank == srcs[0]->rank && srcs[i]->dtype == srcs[0]->dtype;
        for (int d = 1; fits && d < srcs[0]->rank; d++) fits = srcs[i]->dims[d] == dims[d];
        if (!fits || !ol_add_i64(dims[0], srcs[i]->dims[0], &dims[0])) {
            ol_fail(err, OLV_SHAPE, "constants of different type or row shape cannot be concatenated");
            return NULL;
        }
        quant = quant && same_form(ol_const_quant_form(srcs[0]), ol_const_quant_form(srcs[i]));
        rows += srcs[i]->rows;
    }
    if (n == 1) return ol_const_retain(srcs[0]);
    if (quant) return lazy_copy(srcs[0]->rank, dims, srcs, n, NULL, 0, 1, 0, rows, err);
    return ol_const_new(OL_CONST_CONCAT_ROWS, srcs[0]->dtype, srcs[0]->rank, dims, srcs, n, err);
}

ol_const *ol_const_cast(ol_const *src, ol_dtype dtype, olv_error *err) {
    if (dtype == src->dtype) return ol_const_retain(src);
    if (dtype == OL_STRING || src->dtype == OL_STRING) {
        ol_fail(err, OLV_UNSUPPORTED, "cast of a constant from %s to %s", ol_dtype_name(src->dtype),
                ol_dtype_name(dtype));
        return NULL;
    }
    return ol_const_new(OL_CONST_CAST, dtype, src->rank, src->dims, &src, 1, err);
}

ol_const *ol_const_reshape(ol_const *src, int rank, const int64_t *dims, olv_error *err) {
    const ol_qconst *form = ol_const_quant_form(src);
    ol_const_kind kind = src->kind == OL_CONST_BYTES || src->kind == OL_CONST_QUANT ? src->kind : OL_CONST_RESHAPE;
    if (src->kind == OL_CONST_LAZY_QUANT && rank >= 2 && dims[rank - 1] == src->width) {
        int64_t rows = 1;
        for (int i = 0; i + 1 < rank; i++)
            if (dims[i] < 0 || !ol_mul_i64(rows, dims[i], &rows)) rows = -1;
        if (rows == src->rows) return lazy_copy(rank, dims, &src, 1, NULL, 0, 1, 0, rows, err);
    }
    ol_const *c = ol_const_new(kind, src->dtype, rank, dims, &src, 1, err);
    if (!c) return NULL;
    if (c->rows * c->width != src->rows * src->width || (form && (c->rank < 2 || c->width != src->width))) {
        ol_fail(err, OLV_SHAPE, "a constant of %lld elements in rows of %lld cannot become %lld rows of %lld",
                (long long)(src->rows * src->width), (long long)src->width, (long long)c->rows, (long long)c->width);
        return abandon(c);
    }
    c->data = src->data;
    c->bytes = src->bytes;
    c->q = src->q;
    return c;
}

/* ---- sharing and asking ---- */

ol_const *ol_const_retain(ol_const *c) {
    if (c) atomic_fetch_add_explicit(&c->refs, 1, memory_order_relaxed);
    return c;
}

void ol_const_release(ol_const *c) {
    if (c && atomic_fetch_sub_explicit(&c->refs, 1, memory_order_acq_rel) == 1) free_const(c);
}

ol_const_kind ol_const_get_kind(const ol_const *c) { return c->kind; }
ol_dtype ol_const_dtype(const ol_const *c) { return c->dtype; }
int ol_const_rank(const ol_const *c) { return c->rank; }
const int64_t *ol_const_dims(const ol_const *c) { return c->dims; }
int64_t ol_const_rows(const ol_const *c) { return c->rows; }
int64_t ol_const_width(const ol_const *c) { return c->width; }

const void *ol_const_data(const ol_const *c, size_t *bytes) {
    if (c->kind != OL_CONST_BYTES) return NULL;
    if (bytes) *bytes = c->bytes;
    return c->data;
}

const ol_qconst *ol_const_qconst(const ol_const *c) { return c->kind == OL_CONST_QUANT ? &c->q : NULL; }
const ol_lazy_quant *ol_const_lazy(const ol_const *c) { return c->kind == OL_CONST_LAZY_QUANT ? &c->lazy : NULL; }

const ol_qconst *ol_const_quant_form(const ol_const *c) {
    return c->kind == OL_CONST_QUANT ? &c->q : c->kind == OL_CONST_LAZY_QUANT ? &c->lazy.form : NULL;
}

/* The source one view further down that holds these rows together, or NULL. */
static const ol_const *step_down(const ol_const *c, int64_t row, int64_t n, int64_t *at) {
    int64_t run;
    const ol_const *src;
    switch (c->kind) {
    case OL_CONST_CONCAT_ROWS:
        for (int i = 0; i < c->n_srcs; row -= c->srcs[i++]->rows)
            if (row < c->srcs[i]->rows) {
                *at = row;
                return n <= c->srcs[i]->rows - row ? c->srcs[i] : NULL;
            }
        return NULL;
    case OL_CONST_RESHAPE:
        *at = row;
        return c->srcs[0]->width == c->width ? c->srcs[0] : NULL;
    case OL_CONST_SLICE_ROWS:
        if (c->width == 0 || c->srcs[0]->width != c->width || c->first % c->width) return NULL;
        *at = row + c->first / c->width;
        return c->srcs[0];
    case OL_CONST_LAZY_QUANT:
        if (c->lazy.fill != fill_copied) return NULL;
        src = find_row(c->lazy.ctx, row, at, &run);
        return n <= run ? src : NULL;
    default: return NULL;
    }
}

const ol_const *ol_const_source_rows(const ol_const *c, int64_t row, int64_t n, int64_t *at) {
    const ol_const *src;
    int64_t next;
    while ((src = step_down(c, row, n, &next)) != NULL) {
        c = src;
        row = next;
    }
    *at = row;
    return c;
}

void ol_const_drop_pages(const ol_const *c, const void *p, size_t bytes) {
    for (int i = 0; i < c->n_files; i++) ol_file_drop_pages(c->files[i], p, bytes);
    for (int i = 0; i < c->n_srcs; i++) ol_const_drop_pages(c->srcs[i], p, bytes);
}

void ol_const_each_file(const ol_const *c, ol_const_file_fn *fn, void *ctx) {
    for (int i = 0; i < c->n_files; i++) fn(ctx, c->files[i]);
    for (int i = 0; i < c->n_srcs; i++) ol_const_each_file(c->srcs[i], fn, ctx);
    if (c->kind == OL_CONST_LAZY_QUANT && c->lazy.each_file) c->lazy.each_file(c->lazy.ctx, fn, ctx);
}

ol_file *const *ol_const_files(const ol_const *c, int *n) {
    *n = c->n_files;
    return c->files;
}

const ol_const *ol_const_transposed(const ol_const *c) { return c->kind == OL_CONST_TRANSPOSE ? c->srcs[0] : NULL; }
