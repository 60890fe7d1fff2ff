/* SPDX-License-Identifier: Apache-2.0 */
#include "formats/safetensors/output.h"
#include "base/alloc.h"
#include "base/error.h"
#include "base/file.h"
#include "tensor/constant_view.h"
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define SHARD_BYTES 5000000000u
#define TILE 262144 /* elements */

static const char *type_name(ol_dtype t) {
    static const struct {
        ol_dtype t;
        const char *name;
    } names[] = {{OL_F64, "F64"}, {OL_F32, "F32"}, {OL_F16, "F16"}, {OL_BF16, "BF16"}, {OL_I64, "I64"}, {OL_I32, "I32"},
                 {OL_I16, "I16"}, {OL_I8, "I8"}, {OL_U64, "U64"}, {OL_U32, "U32"}, {OL_U16, "U16"}, {OL_U8, "U8"},
                 {OL_BOOL, "BOOL"}};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (names[i].t == t) return names[i].name;
    return NULL;
}

static uint64_t elements(const ol_const *c) {
    return (uint64_t)ol_const_rows(c) * (uint64_t)ol_const_width(c); /* checked when the constant was made */
}
static uint64_t bytes_of(const ol_st_item *x) { return elements(x->c) * (uint64_t)ol_dtype_bits(x->dtype) / 8; }

/* Wide elements first, so that each lies at a multiple of its size; else by name. */
static int by_width(const void *a, const void *b) {
    const ol_st_item *x = a, *y = b;
    int d = ol_dtype_bits(y->dtype) - ol_dtype_bits(x->dtype);
    return d ? d : strcmp(x->name, y->name);
}

typedef struct writer {
    FILE *f;
    float *tile;
    void *out;
    uint64_t done, total;
    olv_progress_fn *progress;
    void *ctx;
} writer;

static void write_header(ol_buf *h, const ol_st_item *items, size_t n) {
    uint64_t at = 0;
    ol_buf_puts(h, "{\"__metadata__\":{\"format\":\"pt\"}");
    for (size_t i = 0; i < n; i++) {
        ol_buf_putc(h, ',');
        ol_buf_json_string(h, items[i].name, strlen(items[i].name));
        ol_buf_printf(h, ":{\"dtype\":\"%s\",\"shape\":[", type_name(items[i].dtype));
        for (int d = 0; d < ol_const_rank(items[i].c); d++)
            ol_buf_printf(h, "%s%" PRId64, d ? "," : "", ol_const_dims(items[i].c)[d]);
        ol_buf_printf(h, "],\"data_offsets\":[%" PRIu64 ",%" PRIu64 "]}", at, at + bytes_of(&items[i]));
        at += bytes_of(&items[i]);
    }
    ol_buf_putc(h, '}');
    while (h->len % 8 && !h->failed) ol_buf_putc(h, ' ');
}

static void narrow(const float *x, size_t n, ol_dtype t, void *out) {
    for (size_t i = 0; i < n; i++) {
        if (t == OL_F16) ((uint16_t *)out)[i] = ol_f32_to_f16(x[i]);
        else if (t == OL_BF16) ((uint16_t *)out)[i] = ol_f32_to_bf16(x[i]);
        else ((float *)out)[i] = x[i];
    }
}

static olv_status write_item(writer *w, const ol_st_item *x, olv_error *err) {
    size_t bytes, each = (size_t)ol_dtype_bits(x->dtype) / 8;
    bool as_is = ol_const_dtype(x->c) == x->dtype;
    const uint8_t *raw = as_is ? ol_const_data(x->c, &bytes) : NULL;
    for (uint64_t at = 0, n, all = elements(x->c); at < all; at += n) {
        n = all - at < TILE ? all - at : TILE;
        const void *p = raw ? raw + at * each : w->out;
        if (!raw && as_is) OL_TRY(ol_const_span_raw(x->c, (int64_t)at, (int64_t)n, w->out, err));
        else if (!raw) {
            OL_TRY(ol_const_span_f32(x->c, (int64_t)at, (int64_t)n, w->tile, err));
            narrow(w->tile, (size_t)n, x->dtype, w->out);
        }
        if (fwrite(p, each, (size_t)n, w->f) != n) return ol_fail_errno(err, "cannot write");
        w->done += n * each;
        if (w->progress && !w->progress(w->ctx, w->done, w->total)) return ol_fail(err, OLV_CANCELLED, "cancelled");
    }
    return OLV_OK;
}

static olv_status write_shard(writer *w, const char *path, const ol_st_item *items, size_t n, olv_error *err) {
    ol_buf h = OL_BUF_INIT;
    uint8_t size[8];
    write_header(&h, items, n);
    if (h.failed) {
        ol_buf_deinit(&h);
        return ol_fail(err, OLV_NOMEM, "out of memory");
    }
    for (int i = 0; i < 8; i++) size[i] = (uint8_t)(h.len >> (8 * i));
    olv_status s = OLV_OK;
    if (!(w->f = fopen(path, "wbx"))) s = ol_fail_errno(err, "%s", path);
    else if (fwrite(size, 1, 8, w->f) != 8 || fwrite(h.data, 1, h.len, w->f) != h.len) s = ol_fail_errno(err, "%s", path);
    for (size_t i = 0; s == OLV_OK && i < n; i++)
        if ((s = write_item(w, &items[i], err)) != OLV_OK) ol_error_at(err, "%s: tensor '%.200s'", path, items[i].name);
    if (s == OLV_OK && (fflush(w->f) || fsync(fileno(w->f)))) s = ol_fail_errno(err, "%s", path);
    if (w->f && fclose(w->f) && s == OLV_OK) s = ol_fail_errno(err, "%s", path);
    ol_buf_deinit(&h);
    return s;
}

/* Items [first, result) make a shard. */
static size_t shard_end(const ol_st_item *items, size_t first, size_t n, uint64_t most) {
    uint64_t bytes = bytes_of(&items[first]);
    size_t i = first + 1;
    while (i < n && bytes_of(&items[i]) <= most && bytes + bytes_of(&items[i]) <= most) bytes += bytes_of(&items[i++]);
    return i;
}

static void shard_name(char *out, size_t size, size_t i, size_t n) {
    if (n == 1) snprintf(out, size, "model.safetensors");
    else snprintf(out, size, "model-%05zu-of-%05zu.safetensors", i + 1, n);
}

static olv_status write_index(const char *dir, const ol_st_item *items, size_t n, uint64_t most, size_t shards, uint64_t total, olv_error *err) {
    ol_buf b = OL_BUF_INIT;
    char name[64], path[4096];
    ol_buf_printf(&b, "{\n  \"metadata\": {\"total_size\": %" PRIu64 "},\n  \"weight_map\": {", total);
    for (size_t first = 0, i = 0, end; first < n; first = end, i++) {
        end = shard_end(items, first, n, most);
        shard_name(name, sizeof name, i, shards);
        for (size_t k = first; k < end; k++) {
            ol_buf_puts(&b, k ? ",\n    " : "\n    ");
            ol_buf_json_string(&b, items[k].name, strlen(items[k].name));
            ol_buf_printf(&b, ": \"%s\"", name);
        }
    }
    ol_buf_puts(&b, "\n  }\n}\n");
    snprintf(path, sizeof path, "%.4000s/model.safetensors.index.json", dir);
    olv_status s = b.failed ? ol_fail(err, OLV_NOMEM, "out of memory") : ol_file_write_atomic(path, b.data, b.len, err);
    ol_buf_deinit(&b);
    return s;
}

static olv_status write_shards(writer *w, const char *dir, const ol_st_item *items, size_t n, uint64_t most, olv_error *err) {
    char name[64], path[4096];
    size_t shards = 0;
    for (size_t first = 0; first < n; first = shard_end(items, first, n, most)) shards++;
    for (size_t first = 0, i = 0, end; first < n; first = end, i++) {
        end = shard_end(items, first, n, most);
        shard_name(name, sizeof name, i, shards);
        snprintf(path, sizeof path, "%.4000s/%s", dir, name);
        OL_TRY(write_shard(w, path, items + first, end - first, err));
    }
    return shards > 1 ? write_index(dir, items, n, most, shards, w->total, err) : OLV_OK;
}

olv_status ol_safetensors_write(const char *dir, ol_st_item *items, size_t n, uint64_t shard_bytes, olv_progress_fn *progress,
                                void *ctx, olv_error *err) {
    writer w = {.progress = progress, .ctx = ctx};
    for (size_t i = 0; i < n; i++) {
        if (!type_name(items[i].dtype))
            return ol_fail(err, OLV_UNSUPPORTED, "tensor '%.200s': element type %s cannot be written", items[i].name, ol_dtype_name(items[i].dtype));
        w.total += bytes_of(&items[i]);
    }
    if (n == 0) return ol_fail(err, OLV_ARG, "no tensors to write");
    qsort(items, n, sizeof *items, by_width);
    w.tile = ol_alloc(TILE * sizeof *w.tile);
    w.out = ol_alloc(TILE * sizeof(double));
    olv_status s = w.tile && w.out ? write_shards(&w, dir, items, n, shard_bytes ? shard_bytes : SHARD_BYTES, err)
                                   : ol_fail(err, OLV_NOMEM, "out of memory");
    ol_free(w.tile);
    ol_free(w.out);
    return s;
}
