/* SPDX-License-Identifier: Apache-2.0 */
/* Compiled models as one blob: the graph as ONNX with its weights, and what was prepared from them. Little-endian; parts
 * begin at multiples of 4096:
 *
 *     0 "OLVBLOB1"   8 u64 bytes of the whole   16 u64 hash of all behind the header   24 u64 hash of the 24 bytes before
 *     32 u64 processor features   40 u64 precision   48 char[32] device
 *     80 place and bytes, two u64 each, of: ranges (i64 least, most; OL_MAX_RANK for each input), model, index, data
 *     index: u64 id, u64 place in data, u64 bytes of each item; place UINT64_MAX: an item without data
 *
 * Prepared data are used where device, processor features and precision are the same, else made anew. */
#include "base/alloc.h"
#include "base/error.h"
#include "base/hash.h"
#include "formats/onnx/onnx.h"
#include "runtime/core.h"
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char magic[] = "OLVBLOB1";
#define HASHED_FROM 32
#define HEADER_BYTES 144
#define UNIT 4096

typedef enum part { RANGES, MODEL, INDEX, DATA, N_PARTS } part;

typedef struct header {
    char magic[8];
    uint64_t bytes, hash, header_hash;
    uint64_t cpu, precision;
    char device[32];
    uint64_t parts[N_PARTS][2];
} header;
_Static_assert(sizeof(header) == HEADER_BYTES, "the header has no gaps");

typedef struct index_entry {
    uint64_t id, place, bytes;
} index_entry;

/* ---- writing ---- */

/* Pads to the next unit; then a part begins. */
static void begin_part(ol_buf *b, header *h, part p) {
    while (b->len % UNIT && !b->failed) {
        static const char zeros[64];
        size_t n = UNIT - b->len % UNIT;
        ol_buf_append(b, zeros, n < sizeof zeros ? n : sizeof zeros);
    }
    h->parts[p][0] = b->len;
}
static void end_part(const ol_buf *b, header *h, part p) { h->parts[p][1] = b->len - h->parts[p][0]; }

/* The model goes through a file of its own, because writers stream to files. */
static olv_status put_model(ol_buf *b, const ol_graph *g, olv_error *err) {
    const char *folder = getenv("TMPDIR");
    char path[4096];
    snprintf(path, sizeof path, "%.4000s/olivine-export-XXXXXX", folder && *folder ? folder : "/tmp");
    int fd = mkstemp(path);
    if (fd < 0) return ol_fail_errno(err, "cannot write '%s'", path);
    close(fd);
    const ol_onnx_write_options o = {.inline_max = UINT64_MAX / 2};
    ol_file *f = NULL;
    olv_status s = ol_onnx_write(g, path, &o, err);
    if (s == OLV_OK) s = ol_file_open(path, &f, err);
    unlink(path);
    if (s == OLV_OK) ol_buf_append(b, f->data, (size_t)f->size);
    ol_file_release(f);
    return s;
}

static void put_items(ol_buf *b, header *h, const ol_store *s) {
    uint64_t at = 0;
    begin_part(b, h, INDEX);
    for (const ol_store_item *i = ol_store_items(s); i; i = i->next) {
        index_entry e = {i->id, i->data ? at : UINT64_MAX, i->bytes};
        ol_buf_append(b, &e, sizeof e);
        if (i->data) at += (i->bytes + 63) / 64 * 64;
    }
    end_part(b, h, INDEX);
    begin_part(b, h, DATA);
    for (const ol_store_item *i = ol_store_items(s); i; i = i->next) {
        static const char zeros[64];
        if (!i->data) continue;
        ol_buf_append(b, i->data, i->bytes);
        ol_buf_append(b, zeros, (64 - i->bytes % 64) % 64);
    }
    end_part(b, h, DATA);
}

static olv_status make_blob(const olv_compiled *c, ol_buf *b, olv_error *err) {
    header h = {.cpu = c->terms.cpu, .precision = (uint64_t)c->terms.precision};
    if (!c->source) return ol_fail(err, OLV_UNSUPPORTED, "a model on the reference device has nothing to export");
    memcpy(h.magic, magic, sizeof h.magic);
    snprintf(h.device, sizeof h.device, "%s", c->terms.device);
    ol_buf_append(b, &h, sizeof h);
    begin_part(b, &h, RANGES);
    ol_buf_append(b, c->ranges, (size_t)c->source->n_inputs * sizeof *c->ranges);
    end_part(b, &h, RANGES);
    begin_part(b, &h, MODEL);
    OL_TRY(put_model(b, c->source, err));
    end_part(b, &h, MODEL);
    put_items(b, &h, c->store);
    if (b->failed) return ol_fail(err, OLV_NOMEM, "no memory to export a model");
    h.bytes = b->len;
    memcpy(b->data, &h, sizeof h);
    h.hash = ol_hash64(b->data + HASHED_FROM, b->len - HASHED_FROM, 0);
    h.header_hash = ol_hash64(&h, offsetof(header, header_hash), 0);
    memcpy(b->data, &h, sizeof h);
    return OLV_OK;
}

olv_status olv_compiled_export(const olv_compiled *c, void **data, size_t *bytes, olv_error *err) {
    ol_buf b = OL_BUF_INIT;
    b.max = SIZE_MAX / 2;
    olv_status s = make_blob(c, &b, err);
    if (s == OLV_OK && !(*data = ol_buf_take(&b, bytes))) s = ol_fail(err, OLV_NOMEM, "no memory to export a model");
    ol_buf_deinit(&b);
    return s;
}

olv_status olv_compiled_export_file(const olv_compiled *c, const char *path, olv_error *err) {
    ol_buf b = OL_BUF_INIT;
    b.max = SIZE_MAX / 2;
    olv_status s = make_blob(c, &b, err);
    if (s == OLV_OK) s = ol_file_write_atomic(path, b.data, b.len, err);
    ol_buf_deinit(&b);
    return s;
}

/* ---- reading ---- */

static olv_status check(const ol_file *f, header *h, olv_error *err) {
    if (f->size < sizeof *h) return ol_fail(err, OLV_FORMAT, "%llu bytes are no exported model", (unsigned long long)f->size);
    memcpy(h, f->data, sizeof *h);
    if (memcmp(h->magic, magic, sizeof h->magic)) return ol_fail(err, OLV_FORMAT, "this is no exported model: '%s' expected at its beginning", magic);
    if (h->header_hash != ol_hash64(h, offsetof(header, header_hash), 0)) return ol_fail(err, OLV_FORMAT, "the exported model's header is damaged");
    if (h->bytes != f->size)
        return ol_fail(err, OLV_FORMAT, "the exported model has %llu bytes, %llu expected", (unsigned long long)f->size, (unsigned long long)h->bytes);
    if (h->hash != ol_hash64(f->data + HASHED_FROM, (size_t)f->size - HASHED_FROM, 0)) return ol_fail(err, OLV_FORMAT, "the exported model is damaged");
    for (int p = 0; p < N_PARTS; p++)
        if (h->parts[p][0] % UNIT || h->parts[p][0] > f->size || h->parts[p][1] > f->size - h->parts[p][0])
            return ol_fail(err, OLV_FORMAT, "part %d of the exported model lies outside of it", p);
    if (h->parts[INDEX][1] % sizeof(index_entry) || h->device[sizeof h->device - 1]) return ol_fail(err, OLV_FORMAT, "the exported model's index is malformed");
    return OLV_OK;
}

/* Data lie at multiples of 64 in the file, and so in a map of it. */
static olv_status adopt_items(const ol_file *f, const header *h, ol_store *s, olv_error *err) {
    const uint8_t *index = f->data + h->parts[INDEX][0], *data = f->data + h->parts[DATA][0];
    for (uint64_t i = 0; i < h->parts[INDEX][1] / sizeof(index_entry); i++) {
        index_entry e;
        memcpy(&e, index + i * sizeof e, sizeof e);
        bool empty = e.place == UINT64_MAX;
        if (!empty && (e.place % 64 || e.place > h->parts[DATA][1] || e.bytes > h->parts[DATA][1] - e.place))
            return ol_fail(err, OLV_FORMAT, "item %llu of the exported model lies outside of it", (unsigned long long)i);
        if (!ol_store_adopt(s, e.id, (size_t)e.bytes, empty ? NULL : data + e.place)) return ol_fail(err, OLV_NOMEM, "no memory for the weight store");
    }
    return OLV_OK;
}

static olv_status read_ranges(const ol_file *f, const header *h, olv_model *m, olv_error *err) {
    size_t bytes = (size_t)m->graph->n_inputs * sizeof *m->ranges;
    if (h->parts[RANGES][1] != bytes) return ol_fail(err, OLV_FORMAT, "the exported model's ranges do not belong to its inputs");
    memcpy(m->ranges, f->data + h->parts[RANGES][0], bytes);
    return OLV_OK;
}

static olv_status import(olv_core *core, ol_file *f, const char *const *properties, size_t n, olv_compiled **out, olv_error *err) {
    header h;
    ol_graph *g;
    olv_model *m;
    OL_TRY(check(f, &h, err));
    OL_TRY(ol_onnx_read_part(f, h.parts[MODEL][0], h.parts[MODEL][1], "exported model", &g, err));
    OL_TRY(ol_model_create(g, &m, err));
    ol_store *store = ol_store_open(NULL, "");
    olv_status s = store ? OLV_OK : ol_fail(err, OLV_NOMEM, "no memory for the weight store");
    if (s == OLV_OK) s = read_ranges(f, &h, m, err);
    if (s == OLV_OK) s = adopt_items(f, &h, store, err);
    ol_given_store given = {store, f, {h.device, h.cpu, (int)h.precision}};
    if (s == OLV_OK) s = ol_compile_with(core, m, h.device, properties, n, &given, out, err);
    ol_store_release(store);
    olv_model_destroy(m);
    return s;
}

olv_status olv_compiled_import_file(olv_core *core, const char *path, const char *const *properties, size_t n_properties, olv_compiled **out,
                                    olv_error *err) {
    ol_file *f;
    OL_TRY(ol_file_open(path, &f, err));
    olv_status s = import(core, f, properties, n_properties, out, err);
    ol_file_release(f);
    return s == OLV_OK ? s : ol_error_at(err, "%.300s", path);
}

olv_status olv_compiled_import(olv_core *core, const void *data, size_t bytes, const char *const *properties, size_t n_properties,
                               olv_compiled **out, olv_error *err) {
    ol_file *f;
    OL_TRY(ol_file_of_bytes(data, bytes, "exported model", &f, err));
    olv_status s = import(core, f, properties, n_properties, out, err);
    ol_file_release(f);
    return s;
}
