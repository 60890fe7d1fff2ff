/* SPDX-License-Identifier: Apache-2.0 */
/* Reading constants: every kind gives runs of elements in row-major order, so views over views compose. */
#include "base/alloc.h"
#include "base/error.h"
#include "tensor/constant_view.h"
#include "tensor/qconst_form.h"

#define TILE_ROWS 64 /* rows of a transposed or lazily quantized tile */

static int64_t min_i64(int64_t a, int64_t b) { return a < b ? a : b; }

olv_status ol_const_rows_quant(const ol_const *c, int64_t row, int64_t n, uint8_t *codes, void *scales, void *zeros,
                               olv_error *err) {
    if (row < 0 || n < 0 || row > c->rows || n > c->rows - row)
        return ol_fail(err, OLV_ARG, "rows [%lld, %lld + %lld) of %lld", (long long)row, (long long)row, (long long)n,
                       (long long)c->rows);
    if (n == 0) return OLV_OK;
    if (c->kind == OL_CONST_LAZY_QUANT) return c->lazy.fill(c->lazy.ctx, row, n, codes, scales, zeros, err);
    if (c->kind != OL_CONST_QUANT) return ol_fail(err, OLV_STATE, "a constant without codes was asked for them");
    const ol_qconst *q = &c->q;
    size_t r = (size_t)row, m = (size_t)n, s = ol_qconst_scale_row_bytes(q);
    memcpy(codes, q->codes + r * q->row_bytes, m * q->row_bytes);
    if (scales && q->scales) memcpy(scales, (const uint8_t *)q->scales + r * s, m * s);
    if (zeros && q->zeros)
        memcpy(zeros, (const uint8_t *)q->zeros + r * q->zero_row_bytes, m * q->zero_row_bytes);
    return OLV_OK;
}

/* Elements of a quantized constant in memory whose rows start at `row0` of the constant. */
static void quant_span(const ol_qconst *q, int64_t first, int64_t n, float *out) {
    while (n > 0) {
        int64_t row = first / q->k, col = first % q->k, m = min_i64(q->k - col, n);
        ol_qconst_span_f32(q, row, col, m, out);
        out += m;
        first += m;
        n -= m;
    }
}

/* Fills the rows that hold the elements into memory, tile by tile, and dequantizes them there. */
static olv_status lazy_span(const ol_const *c, int64_t first, int64_t n, float *out, olv_error *err) {
    ol_qconst q = c->lazy.form;
    int64_t row0 = first / q.k, row_end = (first + n - 1) / q.k + 1, tile = min_i64(row_end - row0, TILE_ROWS);
    size_t scale_bytes = ol_qconst_scale_row_bytes(&q), rows = (size_t)tile;
    uint8_t *codes = ol_alloc(rows * q.row_bytes);
    void *scales = ol_alloc(rows * scale_bytes), *zeros = ol_alloc(rows * q.zero_row_bytes);
    olv_status s = codes && scales && zeros ? OLV_OK : ol_fail(err, OLV_NOMEM, "no memory for a tile of weights");
    for (int64_t row = row0; s == OLV_OK && row < row_end; row += tile) {
        int64_t m = min_i64(tile, row_end - row);
        s = c->lazy.fill(c->lazy.ctx, row, m, codes, scales, zeros, err);
        if (s != OLV_OK) break;
        q.codes = codes;
        q.scales = scales;
        q.zeros = zeros;
        int64_t from = row * q.k > first ? row * q.k : first, to = min_i64((row + m) * q.k, first + n);
        quant_span(&q, from - row * q.k, to - from, out + (from - first));
    }
    ol_free(codes);
    ol_free(scales);
    ol_free(zeros);
    return s;
}

/* How a run is read: as f32 or raw. `each` is the size of an element of out. */
typedef olv_status span_fn(const ol_const *c, int64_t first, int64_t n, void *out, olv_error *err);
typedef struct reader {
    span_fn *span;
    size_t each;
} reader;

/* Elements of a transposed matrix. Whole rows are read in blocks, each from runs of the source's rows. */
static olv_status transpose_span(const ol_const *c, reader r, int64_t first, int64_t n, uint8_t *out, olv_error *err) {
    const ol_const *src = c->srcs[0];
    int64_t w = c->width, sw = src->width;
    uint8_t run[TILE_ROWS * 16];
    while (n > 0) {
        int64_t row = first / w, col = first % w;
        int64_t rows = col ? 1 : min_i64(n / w, TILE_ROWS);
        int64_t cols = rows && !col ? w : min_i64(w - col, n);
        if (rows == 0) rows = 1;
        for (int64_t s = 0; s < cols; s++) {
            OL_TRY(r.span(src, (col + s) * sw + row, rows, run, err));
            for (int64_t j = 0; j < rows; j++)
                memcpy(out + (size_t)(j * cols + s) * r.each, run + (size_t)j * r.each, r.each);
        }
        out += (size_t)(rows * cols) * r.each;
        first += rows * cols;
        n -= rows * cols;
    }
    return OLV_OK;
}

static olv_status permute_span(const ol_const *c, reader r, int64_t first, int64_t n, uint8_t *out, olv_error *err) {
    int64_t unit = c->axis0_elems;
    while (n > 0) {
        int64_t i = first / unit, off = first % unit, m = min_i64(unit - off, n);
        OL_TRY(r.span(c->srcs[0], c->order[i] * unit + off, m, out, err));
        out += (size_t)m * r.each;
        first += m;
        n -= m;
    }
    return OLV_OK;
}

static olv_status concat_span(const ol_const *c, reader r, int64_t first, int64_t n, uint8_t *out, olv_error *err) {
    for (int i = 0; i < c->n_srcs && n > 0; i++) {
        int64_t count = c->srcs[i]->rows * c->srcs[i]->width;
        if (first >= count) {
            first -= count;
            continue;
        }
        int64_t m = min_i64(count - first, n);
        OL_TRY(r.span(c->srcs[i], first, m, out, err));
        out += (size_t)m * r.each;
        first = 0;
        n -= m;
    }
    return OLV_OK;
}

/* The kinds that only move elements. */
static olv_status moved_span(const ol_const *c, reader r, int64_t first, int64_t n, void *out, olv_error *err) {
    switch (c->kind) {
    case OL_CONST_SLICE_ROWS: return r.span(c->srcs[0], c->first + first, n, out, err);
    case OL_CONST_RESHAPE: return r.span(c->srcs[0], first, n, out, err);
    case OL_CONST_TRANSPOSE: return transpose_span(c, r, first, n, out, err);
    case OL_CONST_PERMUTE_ROWS: return permute_span(c, r, first, n, out, err);
    case OL_CONST_CONCAT_ROWS: return concat_span(c, r, first, n, out, err);
    default: return ol_fail(err, OLV_INTERNAL, "constant of kind %d is no view", (int)c->kind);
    }
}

static olv_status span_f32(const ol_const *c, int64_t first, int64_t n, void *out, olv_error *err) {
    return ol_const_span_f32(c, first, n, out, err);
}

/* Values as the cast type has them: rounded to it and back. */
static olv_status cast_span_f32(const ol_const *c, int64_t first, int64_t n, float *out, olv_error *err) {
    uint64_t part[64]; /* up to 32 elements of 128 bits */
    OL_TRY(ol_const_span_f32(c->srcs[0], first, n, out, err));
    if (c->dtype == OL_F32 || c->dtype == OL_F64) return OLV_OK;
    for (int64_t i = 0; i < n; i += 32) {
        uint64_t m = (uint64_t)min_i64(32, n - i);
        ol_elems_from_f32(c->dtype, out + i, m, part, 0);
        ol_elems_to_f32(c->dtype, part, 0, m, out + i);
    }
    return OLV_OK;
}

olv_status ol_const_span_f32(const ol_const *c, int64_t first, int64_t n, float *out, olv_error *err) {
    if (n <= 0) return OLV_OK;
    switch (c->kind) {
    case OL_CONST_BYTES:
        if (c->dtype == OL_STRING) return ol_fail(err, OLV_UNSUPPORTED, "strings read as numbers");
        ol_elems_to_f32(c->dtype, c->data, (uint64_t)first, (uint64_t)n, out);
        return OLV_OK;
    case OL_CONST_QUANT: quant_span(&c->q, first, n, out); return OLV_OK;
    case OL_CONST_LAZY_QUANT: return lazy_span(c, first, n, out, err);
    case OL_CONST_CAST: return cast_span_f32(c, first, n, out, err);
    default: return moved_span(c, (reader){span_f32, sizeof(float)}, first, n, out, err);
    }
}

olv_status ol_const_rows_f32(const ol_const *c, int64_t row, int64_t n, float *out, olv_error *err) {
    if (row < 0 || n < 0 || row > c->rows || n > c->rows - row)
        return ol_fail(err, OLV_ARG, "rows [%lld, %lld + %lld) of %lld", (long long)row, (long long)row, (long long)n,
                       (long long)c->rows);
    return ol_const_span_f32(c, row * c->width, n * c->width, out, err);
}

/* ---- exact reading in the logical type ---- */

static olv_status span_raw(const ol_const *c, int64_t first, int64_t n, void *out, olv_error *err) {
    return ol_const_span_raw(c, first, n, out, err);
}

static bool is_int(ol_dtype t) { return ol_dtype_class(t) == 's' || ol_dtype_class(t) == 'u'; }

/* Between 64-bit integers a double would lose digits; the low bits are the same in both types. */
static void convert(ol_dtype from, const void *in, ol_dtype to, void *out, int64_t n) {
    bool wide = is_int(from) && is_int(to) && ol_dtype_bits(from) == 64 && ol_dtype_bits(to) == 64;
    if (wide) {
        memcpy(out, in, (size_t)n * 8);
        return;
    }
    for (int64_t i = 0; i < n; i++) ol_elem_set(to, out, (uint64_t)i, ol_elem_get(from, in, (uint64_t)i));
}

static bool all_quant(const ol_const *c) { return ol_const_quant_form(c) != NULL; }

static olv_status cast_span_raw(const ol_const *c, int64_t first, int64_t n, uint8_t *out, olv_error *err) {
    const ol_const *src = c->srcs[0];
    size_t each = (size_t)ol_dtype_bits(c->dtype) / 8;
    uint64_t part[64];
    for (int64_t i = 0; i < n; i += 32) {
        int64_t m = min_i64(32, n - i);
        if (all_quant(src) || ol_dtype_bits(src->dtype) < 8) {
            float f[32];
            OL_TRY(ol_const_span_f32(src, first + i, m, f, err));
            convert(OL_F32, f, c->dtype, out + (size_t)i * each, m);
        } else {
            OL_TRY(ol_const_span_raw(src, first + i, m, part, err));
            convert(src->dtype, part, c->dtype, out + (size_t)i * each, m);
        }
    }
    return OLV_OK;
}

olv_status ol_const_span_raw(const ol_const *c, int64_t first, int64_t n, void *out, olv_error *err) {
    if (n <= 0) return OLV_OK;
    size_t each = (size_t)ol_dtype_bits(c->dtype) / 8;
    if (c->dtype == OL_F32 && c->kind != OL_CONST_BYTES && c->kind != OL_CONST_CAST && all_quant(c))
        return ol_const_span_f32(c, first, n, out, err);
    if (c->kind == OL_CONST_BYTES) {
        memcpy(out, c->data + (size_t)first * each, (size_t)n * each);
        return OLV_OK;
    }
    if (c->kind == OL_CONST_CAST) return cast_span_raw(c, first, n, out, err);
    return moved_span(c, (reader){span_raw, each}, first, n, out, err);
}

/* Packed types of 4 and 2 bits: through f32, which holds them exactly. */
static olv_status materialize_packed(const ol_const *c, ol_tensor *t, olv_error *err) {
    float part[256];
    int64_t n = c->rows * c->width;
    for (int64_t i = 0; i < n; i += 256) {
        int64_t m = min_i64(256, n - i);
        OL_TRY(ol_const_span_f32(c, i, m, part, err));
        ol_elems_from_f32(c->dtype, part, (uint64_t)m, t->data, (uint64_t)i);
    }
    return OLV_OK;
}

olv_status ol_const_materialize(const ol_const *c, size_t max_bytes, ol_tensor *out, olv_error *err) {
    size_t bytes;
    int64_t n = c->rows * c->width;
    if (!ol_dtype_bytes(c->dtype, (uint64_t)n, &bytes) || bytes > max_bytes)
        return ol_fail(err, OLV_LIMIT, "constant of %lld elements of %s found, at most %zu bytes expected",
                       (long long)n, ol_dtype_name(c->dtype), max_bytes);
    ol_tensor t;
    OL_TRY(ol_tensor_init(&t, c->dtype, c->rank, c->dims, err));
    olv_status s;
    if (ol_dtype_bits(c->dtype) < 8)
        s = materialize_packed(c, &t, err);
    else
        s = ol_const_span_raw(c, 0, n, t.data, err);
    if (s == OLV_OK && c->dtype == OL_STRING) { /* elements point into the sources: take their bytes along */
        ol_tensor own;
        s = ol_tensor_copy(&own, &t, err);
        if (s == OLV_OK) {
            ol_tensor_deinit(&t);
            t = own;
        }
    }
    if (s != OLV_OK) {
        ol_tensor_deinit(&t);
        return s;
    }
    *out = t;
    return OLV_OK;
}
