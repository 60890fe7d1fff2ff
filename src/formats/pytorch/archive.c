/* SPDX-License-Identifier: Apache-2.0 */
#include "formats/pytorch/archive.h"

#include "base/checked.h"
#include "base/error.h"

#include <inttypes.h>
#include <stdio.h>

#define MAX_PICKLE (256u << 20)

/* ---- storages ---- */

static bool storage_bytes(const ol_pk_storage *s, uint64_t *bytes) {
    size_t n;
    if (s->dtype == OL_DTYPE_NONE) {
        *bytes = s->numel;
        return true;
    }
    if (!ol_dtype_bytes(s->dtype, s->numel, &n)) return false;
    *bytes = n;
    return true;
}

static bool plain_key(ol_str k) {
    for (size_t i = 0; i < k.len; i++)
        if (k.ptr[i] == '/' || k.ptr[i] == 0) return false;
    return k.len > 0 && k.len < 128;
}

olv_status ol_pt_archive_storage(const ol_pt_archive *a, const ol_pk_storage *s, uint64_t *offset, uint64_t *bytes,
                                 olv_error *err) {
    uint64_t have = 0, need;
    bool found = false;
    if (!storage_bytes(s, &need) || !plain_key(s->key))
        return ol_fail(err, OLV_FORMAT, "storage '%.*s' of %" PRIu64 " elements", (int)(s->key.len < 60 ? s->key.len : 60),
                       s->key.ptr, s->numel);
    if (a->zip) {
        char name[512];
        int n = snprintf(name, sizeof name, "%.*sdata/%.*s", (int)a->root.len, a->root.ptr, (int)s->key.len, s->key.ptr);
        const ol_zip_entry *e = n > 0 && (size_t)n < sizeof name ? ol_zip_find(a->zip, (ol_str){name, (size_t)n}) : NULL;
        if (e) {
            found = true;
            *offset = e->offset;
            have = e->bytes;
        }
    } else {
        const uint64_t *o = ol_map_get(&a->offsets, s->key), *l = ol_map_get(&a->lens, s->key);
        if (o && l) {
            found = true;
            *offset = *o;
            have = *l;
        }
    }
    if (!found) return ol_fail(err, OLV_FORMAT, "storage '%.*s' is not in the file", (int)s->key.len, s->key.ptr);
    if (have != need)
        return ol_fail(err, OLV_FORMAT, "storage '%.*s': found %" PRIu64 " bytes, its type and count need %" PRIu64,
                       (int)s->key.len, s->key.ptr, have, need);
    *bytes = need;
    return OLV_OK;
}

/* ---- zip ---- */

static olv_status open_zip(ol_pt_archive *a, const char *name, ol_arena *arena, olv_error *err) {
    OL_TRY(ol_zip_open(a->data, a->len, name, &a->zip, err));
    const ol_zip_entry *pkl = NULL;
    bool script = false;
    for (size_t i = 0; i < ol_zip_count(a->zip); i++) {
        const ol_zip_entry *e = ol_zip_get(a->zip, i);
        const char *slash = memchr(e->name.ptr, '/', e->name.len);
        size_t root = slash ? (size_t)(slash - e->name.ptr) + 1 : 0;
        ol_str rest = {e->name.ptr + root, e->name.len - root};
        if (ol_str_is(rest, "data.pkl")) {
            if (pkl) return ol_fail(err, OLV_FORMAT, "%s: two entries named data.pkl", name);
            pkl = e;
            a->root = (ol_str){e->name.ptr, root};
        }
        script = script || ol_str_is(rest, "constants.pkl");
        if (ol_str_is(rest, "byteorder") &&
            !ol_str_is((ol_str){(const char *)a->data + e->offset, (size_t)e->bytes}, "little"))
            return ol_fail(err, OLV_UNSUPPORTED, "%s: byte order other than little", name);
    }
    if (!pkl) return ol_fail(err, OLV_FORMAT, "%s: no entry data.pkl, expected a state dict of torch.save", name);
    if (script) return ol_fail(err, OLV_UNSUPPORTED, "%s: a TorchScript program, expected a state dict of torch.save", name);
    if (a->root.len > 200) return ol_fail(err, OLV_FORMAT, "%s: folder name of %zu bytes", name, a->root.len);
    if (pkl->bytes > MAX_PICKLE)
        return ol_fail(err, OLV_LIMIT, "%s: pickle of %" PRIu64 " bytes, at most %u expected", name, pkl->bytes, MAX_PICKLE);
    ol_bytes r = ol_bytes_of(a->data + pkl->offset, (size_t)pkl->bytes);
    if (ol_pk_read(&r, arena, &a->object, err) != OLV_OK) return ol_error_at(err, "%s", name);
    return OLV_OK;
}

/* ---- the older form: magic, protocol, system, object, keys, then a count and raw bytes for each key ---- */

static const uint8_t magic[10] = {0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19};

static bool legacy(const uint8_t *data, size_t len) {
    return len >= 15 && data[0] == 0x80 && data[2] == 0x8a && data[3] == 10 && memcmp(data + 4, magic, 10) == 0;
}

/* The types of storages, by key, are known from the tensors only: they are gathered from the object. Iterative, over
 * values of containers two levels deep: a state dict, possibly inside another dict. */
static olv_status gather(ol_map *types, const ol_pk_value *v, int depth, olv_error *err) {
    if (v->kind == OL_PK_TENSOR) {
        if (ol_map_put(types, v->tensor->storage->key, (uint64_t)v->tensor->storage->dtype) < 0)
            return ol_fail(err, OLV_NOMEM, "out of memory reading storages");
    } else if (v->kind == OL_PK_DICT && depth > 0) {
        for (size_t i = 1; i < v->seq.n; i += 2) OL_TRY(gather(types, v->seq.items[i], depth - 1, err));
    }
    return OLV_OK;
}

static olv_status read_storages(ol_pt_archive *a, ol_bytes *r, const ol_pk_value *keys, const ol_map *types,
                                olv_error *err) {
    if (keys->kind != OL_PK_LIST) return ol_fail(err, OLV_FORMAT, "list of storage keys expected behind the object");
    for (size_t i = 0; i < keys->seq.n; i++) {
        const ol_pk_value *k = keys->seq.items[i];
        if (k->kind != OL_PK_TEXT) return ol_fail(err, OLV_FORMAT, "storage key %zu is no text", i);
        uint64_t n = ol_bytes_u64(r);
        const uint64_t *type = ol_map_get(types, k->text);
        if (!type)
            return ol_fail(err, OLV_FORMAT, "storage '%.*s' belongs to no tensor of the state dict",
                           (int)(k->text.len < 60 ? k->text.len : 60), k->text.ptr);
        ol_pk_storage s = {k->text, (ol_dtype)*type, n};
        uint64_t bytes, offset = (uint64_t)(r->ptr - a->data);
        if (r->failed || !storage_bytes(&s, &bytes) || (!ol_bytes_take(r, bytes) && bytes))
            return ol_fail(err, OLV_FORMAT, "storage '%.*s' of %" PRIu64 " elements is cut off (truncated file?)",
                           (int)(k->text.len < 60 ? k->text.len : 60), k->text.ptr, n);
        int fresh = ol_map_put(&a->offsets, k->text, offset);
        if (fresh < 0 || ol_map_put(&a->lens, k->text, bytes) < 0)
            return ol_fail(err, OLV_NOMEM, "out of memory reading storages");
        if (!fresh)
            return ol_fail(err, OLV_FORMAT, "storage '%.*s' is there twice", (int)(k->text.len < 60 ? k->text.len : 60),
                           k->text.ptr);
    }
    return OLV_OK;
}

static olv_status read_legacy(ol_pt_archive *a, ol_arena *arena, olv_error *err) {
    ol_bytes r = ol_bytes_of(a->data, a->len);
    ol_pk_value *number, *protocol, *system, *keys;
    OL_TRY(ol_pk_read(&r, arena, &number, err));
    OL_TRY(ol_pk_read(&r, arena, &protocol, err));
    if (protocol->kind != OL_PK_INT || protocol->i != 1001)
        return ol_fail(err, OLV_UNSUPPORTED, "protocol other than 1001");
    OL_TRY(ol_pk_read(&r, arena, &system, err));
    const ol_pk_value *little = ol_pk_get(system, "little_endian");
    if (!little || little->kind != OL_PK_BOOL || !little->b)
        return ol_fail(err, OLV_UNSUPPORTED, "byte order other than little");
    OL_TRY(ol_pk_read(&r, arena, &a->object, err));
    OL_TRY(ol_pk_read(&r, arena, &keys, err));
    ol_map types;
    ol_map_init(&types);
    olv_status s = gather(&types, a->object, 2, err);
    if (s == OLV_OK) s = read_storages(a, &r, keys, &types, err);
    ol_map_deinit(&types);
    return s;
}

olv_status ol_pt_archive_init(ol_pt_archive *a, const uint8_t *data, size_t len, const char *name, ol_arena *arena,
                              olv_error *err) {
    memset(a, 0, sizeof *a);
    a->data = data;
    a->len = len;
    ol_map_init(&a->offsets);
    ol_map_init(&a->lens);
    if (ol_zip_recognize(data, len)) return open_zip(a, name, arena, err);
    if (!legacy(data, len))
        return ol_fail(err, OLV_FORMAT, "%s: neither a zip archive nor an older file of torch.save", name);
    olv_status s = read_legacy(a, arena, err);
    return s == OLV_OK ? s : ol_error_at(err, "%s", name);
}

void ol_pt_archive_deinit(ol_pt_archive *a) {
    ol_zip_close(a->zip);
    ol_map_deinit(&a->offsets);
    ol_map_deinit(&a->lens);
    memset(a, 0, sizeof *a);
}
