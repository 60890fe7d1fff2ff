/* SPDX-License-Identifier: Apache-2.0 */
/* The data file, and the Const layers that point into it. */
#include "base/alloc.h"
#include "base/error.h"
#include "base/hash.h"
#include "formats/openvino/emit_private.h"
#include <errno.h>
#include <math.h>
#include <unistd.h>

#define TILE_BYTES ((size_t)4 << 20)
#define SMALL ((size_t)64 << 10) /* payloads of up to so many bytes are shared */
#define PAGE 4096u
#define F16_MAX 65504.0f
#define F16_TINY 5.9604645e-8f /* the least f16 above zero */

void ol_ir_data_put(ol_ir_file *f, const void *p, size_t n) {
    const char *b = p;
    while (n && f->status == OLV_OK) {
        ssize_t k = write(f->fd, b, n);
        if (k < 0 && errno == EINTR) continue;
        if (k <= 0) {
            ol_ir_latch(f, ol_fail_errno(f->err, "cannot write '%s'", f->data_part));
            return;
        }
        b += k;
        n -= (size_t)k;
        f->at += (uint64_t)k;
    }
}

uint64_t ol_ir_data_start(ol_ir_file *f, uint64_t bytes) {
    static const char zeros[64];
    uint64_t to = bytes >= PAGE ? 64 : 8;
    ol_ir_data_put(f, zeros, (size_t)((to - f->at % to) % to));
    return f->at;
}

/* True when the file holds these bytes there. */
static bool lies_at(ol_ir_file *f, uint64_t at, const char *p, size_t n) {
    char have[1024];
    while (n) {
        size_t k = n < sizeof have ? n : sizeof have;
        if (pread(f->fd, have, k, (off_t)at) != (ssize_t)k || memcmp(have, p, k)) return false;
        at += k;
        p += k;
        n -= k;
    }
    return true;
}

uint64_t ol_ir_data_payload(ol_ir_file *f, const void *p, size_t n) {
    uint64_t *key = NULL;
    if (n && n <= SMALL && f->status == OLV_OK) {
        uint64_t k[2] = {n, ol_hash64(p, n, 0)};
        uint64_t *at = ol_map_get(&f->payloads, (ol_str){(const char *)k, sizeof k});
        if (at && lies_at(f, *at, p, n)) return *at;
        key = at ? NULL : ol_arena_alloc(f->arena, sizeof k);
        if (!at && !key) ol_ir_latch(f, OLV_NOMEM);
        if (key) memcpy(key, k, sizeof k);
    }
    uint64_t at = ol_ir_data_start(f, n);
    ol_ir_data_put(f, p, n);
    if (key && ol_map_put(&f->payloads, (ol_str){(const char *)key, 2 * sizeof *key}, at) < 0) ol_ir_latch(f, OLV_NOMEM);
    return at;
}

/* ---- layers ---- */

ol_ir_out ol_ir_const_layer(ol_ir_emit *e, const char *name, const char *names, const ol_ir_type *t, uint64_t offset, uint64_t bytes) {
    const ol_ir_attr attrs[4] = {ol_ir_say_text("element_type", t->element->name), ol_ir_say_ints(e, "shape", t->dims, (size_t)t->rank),
                                 ol_ir_say_int(e, "offset", (int64_t)offset), ol_ir_say_int(e, "size", (int64_t)bytes)};
    const ol_ir_layer l = {.type = "Const", .name = name, .attrs = attrs, .n_attrs = 4, .out = t, .n_out = 1, .names = names ? &names : NULL};
    return ol_ir_add(e, &l);
}

ol_ir_out ol_ir_const_raw(ol_ir_emit *e, const char *name, const char *names, const ol_ir_type *t, const void *data, size_t bytes) {
    if (!e || e->file->status != OLV_OK) return OL_IR_NONE;
    return ol_ir_const_layer(e, name, names, t, ol_ir_data_payload(e->file, data, bytes), bytes);
}

ol_ir_out ol_ir_const_i64(ol_ir_emit *e, const int64_t *v, int n) {
    int64_t dim = n;
    ol_ir_type t = ol_ir_type_of(OL_I64, n < 0 ? 0 : 1, &dim);
    return ol_ir_const_raw(e, NULL, NULL, &t, v, (size_t)(n < 0 ? 1 : n) * sizeof *v);
}

ol_ir_out ol_ir_const_number(ol_ir_emit *e, ol_dtype type, double v) {
    uint64_t raw = 0;
    ol_ir_type t = ol_ir_type_of(type, 0, NULL);
    ol_elem_set(type, &raw, 0, v);
    return ol_ir_const_raw(e, NULL, NULL, &t, &raw, (size_t)(ol_dtype_bits(type) + 7) / 8);
}

/* ---- constants of the graph ---- */

/* Rows of f32, tile by tile. */
static olv_status each_tile(const ol_const *c, void (*fn)(void *ctx, const float *x, size_t n), void *ctx, olv_error *err) {
    int64_t rows = ol_const_rows(c), width = ol_const_width(c), step = width ? (int64_t)(TILE_BYTES / 4) / width : rows;
    if (rows <= 0 || width <= 0) return OLV_OK;
    if (step < 1) step = 1;
    if (step > rows) step = rows;
    float *tile = ol_calloc((size_t)step, (size_t)width * sizeof *tile);
    olv_status s = tile ? OLV_OK : ol_fail(err, OLV_NOMEM, "no memory for a tile");
    for (int64_t r = 0; r < rows && s == OLV_OK; r += step) {
        int64_t n = r + step > rows ? rows - r : step;
        s = ol_const_rows_f32(c, r, n, tile, err);
        if (s == OLV_OK) fn(ctx, tile, (size_t)(n * width));
    }
    ol_free(tile);
    return s;
}

typedef struct sink {
    ol_ir_file *file;
    ol_dtype dtype;
    size_t out_of_range;
} sink;

static void put_tile(void *ctx, const float *x, size_t n) {
    sink *k = ctx;
    char raw[4096];
    size_t bytes = (size_t)ol_dtype_bits(k->dtype) / 8, step = sizeof raw / bytes;
    for (size_t i = 0; i < n; i += step) {
        size_t m = n - i < step ? n - i : step;
        for (size_t j = 0; k->dtype == OL_F16 && j < m; j++) {
            float v = x[i + j] > F16_MAX ? F16_MAX : x[i + j] < -F16_MAX ? -F16_MAX : x[i + j];
            uint16_t h = ol_f32_to_f16(isinf(x[i + j]) ? x[i + j] : v);
            memcpy(raw + 2 * j, &h, 2);
        }
        if (k->dtype != OL_F16) ol_elems_from_f32(k->dtype, x + i, m, raw, 0);
        ol_ir_data_put(k->file, raw, m * bytes);
    }
}

static void count_tile(void *ctx, const float *x, size_t n) {
    sink *k = ctx;
    for (size_t i = 0; i < n; i++) {
        float a = fabsf(x[i]);
        k->out_of_range += a > F16_MAX || (a < F16_TINY && x[i] != 0);
    }
}

uint64_t ol_ir_data_rows(ol_ir_file *f, const ol_const *c, ol_dtype t, uint64_t *bytes) {
    sink k = {f, t, 0};
    *bytes = (uint64_t)(ol_const_rows(c) * ol_const_width(c)) * (uint64_t)ol_dtype_bits(t) / 8;
    uint64_t at = ol_ir_data_start(f, *bytes);
    if (f->status == OLV_OK) ol_ir_latch(f, each_tile(c, put_tile, &k, f->err));
    return at;
}

/* Numbers that f16 holds, most of them at least. */
static bool fits_f16(ol_ir_file *f, const ol_const *c) {
    sink k = {f, OL_F16, 0};
    size_t n = (size_t)(ol_const_rows(c) * ol_const_width(c));
    ol_ir_latch(f, each_tile(c, count_tile, &k, f->err));
    return n == 0 || (double)k.out_of_range < 0.75 * (double)n;
}

/* The table of places and the bytes behind it. */
static ol_ir_out const_strings(ol_ir_emit *e, const char *name, const char *names, const ol_const *c) {
    ol_tensor x;
    ol_ir_out out = OL_IR_NONE;
    ol_buf b = OL_BUF_INIT;
    olv_status s = ol_const_materialize(c, SIZE_MAX, &x, e->file->err);
    if (s != OLV_OK) {
        ol_ir_latch(e->file, s);
        return out;
    }
    const ol_str *v = x.data;
    int32_t n = (int32_t)ol_tensor_count(&x), at = 0;
    ol_buf_append(&b, &n, sizeof n);
    ol_buf_append(&b, &at, sizeof at);
    for (int32_t i = 0; i < n; i++) {
        at += (int32_t)v[i].len;
        ol_buf_append(&b, &at, sizeof at);
    }
    for (int32_t i = 0; i < n; i++) ol_buf_append(&b, v[i].ptr, v[i].len);
    ol_ir_type t = ol_ir_type_of(OL_STRING, x.rank, x.dims);
    if (b.failed) ol_ir_latch(e->file, ol_buf_status(&b));
    else out = ol_ir_const_raw(e, name, names, &t, b.data, b.len);
    ol_buf_deinit(&b);
    ol_tensor_deinit(&x);
    return out;
}

/* Stored as f16 and brought back by a Convert that OpenVINO knows as such. */
static ol_ir_out const_f16(ol_ir_emit *e, const char *name, const char *names, const ol_const *c) {
    ol_ir_type t = ol_ir_type_of(OL_F16, ol_const_rank(c), ol_const_dims(c)), wide = t;
    wide.element = ol_ir_element_of(ol_const_dtype(c));
    uint64_t bytes, at = ol_ir_data_rows(e->file, c, OL_F16, &bytes);
    const char *compressed = name ? ol_arena_printf(e->file->arena, "%s_compressed", name) : NULL;
    ol_ir_out x = ol_ir_const_layer(e, compressed, NULL, &t, at, bytes);
    const ol_ir_attr to = ol_ir_say_text("destination_type", wide.element->name);
    return ol_ir_add(e, &(ol_ir_layer){.type = "Convert", .name = name, .in = &x, .n_in = 1, .attrs = &to, .n_attrs = 1, .out = &wide, .n_out = 1,
                                       .names = names ? &names : NULL, .rt_info = "decompression"});
}

static ol_ir_out const_plain(ol_ir_emit *e, const char *name, const char *names, const ol_const *c, const ol_ir_type *t) {
    size_t bytes = 0;
    ol_dtype type = ol_const_dtype(c);
    const void *p = ol_const_data(c, &bytes);
    if (p) return ol_ir_const_raw(e, name, names, t, p, bytes);
    if (type == OL_F32 || type == OL_F16 || type == OL_BF16) {
        uint64_t n, at = ol_ir_data_rows(e->file, c, type, &n);
        return ol_ir_const_layer(e, name, names, t, at, n);
    }
    ol_tensor x;
    olv_status s = ol_const_materialize(c, SIZE_MAX, &x, e->file->err);
    ol_ir_latch(e->file, s);
    if (s != OLV_OK) return OL_IR_NONE;
    ol_ir_out out = ol_ir_const_raw(e, name, names, t, x.data, x.bytes);
    ol_tensor_deinit(&x);
    return out;
}

static ol_ir_out put_const(ol_ir_emit *e, const char *name, const char *names, const ol_const *c, bool narrow) {
    ol_dtype type = ol_const_dtype(c);
    ol_ir_type t = ol_ir_type_of(type, ol_const_rank(c), ol_const_dims(c));
    if (!e || e->file->status != OLV_OK) return OL_IR_NONE;
    if (type == OL_STRING) return const_strings(e, name, names, c);
    if (ol_const_quant_form(c)) {
        ol_ir_out q = ol_ir_const_quant(e, name, names, c);
        if (q.layer >= 0 || e->file->status != OLV_OK) return q;
    }
    if (t.element->dtype == OL_DTYPE_NONE) {
        ol_ir_latch(e->file, ol_fail(e->file->err, OLV_UNSUPPORTED, "constant '%.200s': OpenVINO has no %s", name ? name : "", ol_dtype_name(type)));
        return OL_IR_NONE;
    }
    if (narrow && (type == OL_F32 || type == OL_F64) && fits_f16(e->file, c)) return const_f16(e, name, names, c);
    return const_plain(e, name, names, c, &t);
}

ol_ir_out ol_ir_const(ol_ir_emit *e, const char *name, const char *names, const ol_const *c) {
    return e ? put_const(e, name, names, c, e->file->opt.compress_to_f16) : OL_IR_NONE;
}

ol_ir_out ol_ir_const_exact(ol_ir_emit *e, const char *name, const char *names, const ol_const *c) { return put_const(e, name, names, c, false); }
