/* SPDX-License-Identifier: Apache-2.0 */
#include "formats/safetensors/header.h"

#include "base/alloc.h"
#include "base/bytes.h"
#include "base/checked.h"
#include "base/error.h"
#include "base/map.h"
#include "base/wire/json_pull.h"

#include <inttypes.h>
#include <stdlib.h>

/* Types of the format that have no ol_dtype. */
static const struct {
    const char *name;
    int bits;
} odd_types[] = {{"F6_E2M3", 6}, {"F6_E3M2", 6}};

/* The type of this name; type_name is a static string. False when unknown. */
static bool find_type(const char *name, ol_st_tensor *t) {
    ol_dtype d = ol_dtype_from_safetensors(name);
    if (d != OL_DTYPE_NONE) {
        static const char *const names[] = {
#define ST_NAME(n, bits, onnx, st, text, cls) [OL_##n] = st,
            OL_DTYPES(ST_NAME)
#undef ST_NAME
        };
        t->dtype = d;
        t->bits = ol_dtype_bits(d);
        t->type_name = names[d];
        return true;
    }
    for (size_t i = 0; i < sizeof odd_types / sizeof odd_types[0]; i++) {
        if (strcmp(name, odd_types[i].name) == 0) {
            t->dtype = OL_DTYPE_NONE;
            t->bits = odd_types[i].bits;
            t->type_name = odd_types[i].name;
            return true;
        }
    }
    return false;
}

/* The text of the last KEY or STRING as a NUL-terminated string of the arena; NULL with err filled. */
static char *text_of(ol_jp *p, ol_arena *arena) {
    char *s;
    if (!p->escaped) {
        s = ol_arena_strndup(arena, p->text.ptr, p->text.len);
    } else {
        ol_buf b = OL_BUF_INIT;
        ol_jp_unescape(p, &b);
        s = b.failed ? NULL : ol_arena_strndup(arena, b.data ? b.data : "", b.len);
        ol_buf_deinit(&b);
    }
    if (!s) ol_fail(p->err, OLV_NOMEM, "%s: out of memory in the header", p->name);
    return s;
}

static olv_status read_shape(ol_jp *p, ol_st_tensor *t) {
    if (ol_jp_next(p) != OL_JP_ARRAY) return ol_jp_fail(p, "tensor '%s': shape must be a list", t->name.ptr);
    for (;;) {
        ol_jp_event e = ol_jp_next(p);
        if (e == OL_JP_ARRAY_END) return OLV_OK;
        uint64_t v;
        if (e == OL_JP_ERROR) return OLV_FORMAT;
        if (e != OL_JP_NUMBER || !ol_jp_u64(p, &v) || v > INT64_MAX)
            return ol_jp_fail(p, "tensor '%s': a dimension must be a non-negative integer", t->name.ptr);
        if (t->rank == OL_MAX_RANK)
            return ol_jp_fail(p, "tensor '%s': more than %d dimensions", t->name.ptr, OL_MAX_RANK);
        t->dims[t->rank++] = (int64_t)v;
    }
}

static olv_status read_offsets(ol_jp *p, ol_st_tensor *t) {
    uint64_t v[2];
    ol_jp_event e = ol_jp_next(p);
    if (e != OL_JP_ARRAY) return ol_jp_fail(p, "tensor '%s': data_offsets must be a list", t->name.ptr);
    for (int i = 0; i < 2; i++) {
        e = ol_jp_next(p);
        if (e == OL_JP_ERROR) return OLV_FORMAT;
        if (e != OL_JP_NUMBER || !ol_jp_u64(p, &v[i]))
            return ol_jp_fail(p, "tensor '%s': data_offsets must be two non-negative integers", t->name.ptr);
    }
    e = ol_jp_next(p);
    if (e == OL_JP_ERROR) return OLV_FORMAT;
    if (e != OL_JP_ARRAY_END)
        return ol_jp_fail(p, "tensor '%s': data_offsets must be two non-negative integers", t->name.ptr);
    if (v[1] < v[0])
        return ol_jp_fail(p, "tensor '%s': data_offsets end %" PRIu64 " lies before begin %" PRIu64, t->name.ptr, v[1],
                          v[0]);
    t->offset = v[0];
    t->bytes = v[1] - v[0];
    return OLV_OK;
}

static olv_status read_type(ol_jp *p, ol_st_tensor *t) {
    char name[32];
    ol_jp_event e = ol_jp_next(p);
    if (e == OL_JP_ERROR) return OLV_FORMAT;
    if (e != OL_JP_STRING) return ol_jp_fail(p, "tensor '%s': dtype must be a string", t->name.ptr);
    size_t n = p->text.len < sizeof name - 1 ? p->text.len : sizeof name - 1;
    memcpy(name, p->text.ptr, n);
    name[n] = 0;
    if (n != p->text.len || !find_type(name, t))
        return ol_jp_fail(p, "tensor '%s': unknown dtype '%s'", t->name.ptr, name);
    return OLV_OK;
}

/* The value of one tensor key: an object with exactly dtype, shape and data_offsets (others are passed over). */
static olv_status read_tensor(ol_jp *p, ol_st_tensor *t) {
    unsigned seen = 0;
    ol_jp_event e = ol_jp_next(p);
    if (e == OL_JP_ERROR) return OLV_FORMAT;
    if (e != OL_JP_OBJECT) return ol_jp_fail(p, "tensor '%s': its entry must be an object", t->name.ptr);
    while ((e = ol_jp_next(p)) == OL_JP_KEY) {
        static const char *const keys[] = {"dtype", "shape", "data_offsets"};
        static olv_status (*const readers[])(ol_jp *, ol_st_tensor *) = {read_type, read_shape, read_offsets};
        int k = 0;
        while (k < 3 && !ol_str_is(p->text, keys[k])) k++;
        if (k == 3) {
            if (!ol_jp_skip(p, ol_jp_next(p))) return OLV_FORMAT;
            continue;
        }
        if (seen & (1u << k)) return ol_jp_fail(p, "tensor '%s': %s is given twice", t->name.ptr, keys[k]);
        seen |= 1u << k;
        OL_TRY(readers[k](p, t));
    }
    if (e != OL_JP_OBJECT_END) return OLV_FORMAT;
    if (seen != 7)
        return ol_jp_fail(p, "tensor '%s': %s is missing", t->name.ptr,
                          !(seen & 1) ? "dtype" : !(seen & 2) ? "shape" : "data_offsets");
    return OLV_OK;
}

static olv_status read_meta(ol_jp *p, ol_arena *arena, ol_st_header *h) {
    ol_jp_event e = ol_jp_next(p);
    if (e == OL_JP_NULL) return OLV_OK;
    if (e == OL_JP_ERROR) return OLV_FORMAT;
    if (e != OL_JP_OBJECT) return ol_jp_fail(p, "__metadata__ must be an object of strings");
    while ((e = ol_jp_next(p)) == OL_JP_KEY) {
        if (h->n_meta + 2 > h->cap_meta) {
            size_t cap = h->cap_meta ? h->cap_meta * 2 : 16;
            char **m = ol_realloc(h->meta, cap * sizeof *m);
            if (!m) return ol_fail(p->err, OLV_NOMEM, "%s: out of memory in the header", p->name);
            h->meta = m;
            h->cap_meta = cap;
        }
        char *key = text_of(p, arena);
        if (!key) return OLV_NOMEM;
        if ((e = ol_jp_next(p)) == OL_JP_ERROR) return OLV_FORMAT;
        if (e != OL_JP_STRING) return ol_jp_fail(p, "__metadata__ must be an object of strings");
        char *value = text_of(p, arena);
        if (!value) return OLV_NOMEM;
        h->meta[h->n_meta++] = key;
        h->meta[h->n_meta++] = value;
    }
    return e == OL_JP_OBJECT_END ? OLV_OK : OLV_FORMAT;
}

/* Bits of type and shape against the extent. */
static olv_status check_extent(const ol_st_tensor *t, const char *name, olv_error *err) {
    uint64_t n = 1;
    for (int i = 0; i < t->rank; i++) /* a zero anywhere makes the product zero, however large the others are */
        if (t->dims[i] == 0) n = 0;
    for (int i = 0; n && i < t->rank; i++)
        if (__builtin_mul_overflow(n, (uint64_t)t->dims[i], &n))
            return ol_fail(err, OLV_FORMAT, "%s: tensor '%s': its shape overflows", name, t->name.ptr);
    uint64_t bits;
    if (__builtin_mul_overflow(n, (uint64_t)t->bits, &bits))
        return ol_fail(err, OLV_FORMAT, "%s: tensor '%s': its shape overflows", name, t->name.ptr);
    if (bits % 8)
        return ol_fail(err, OLV_FORMAT, "%s: tensor '%s': %" PRIu64 " elements of %s are no whole bytes", name,
                       t->name.ptr, n, t->type_name);
    if (bits / 8 != t->bytes)
        return ol_fail(err, OLV_FORMAT, "%s: tensor '%s': data_offsets span %" PRIu64 " bytes, type and shape need %"
                       PRIu64, name, t->name.ptr, t->bytes, bits / 8);
    return OLV_OK;
}

static int by_offset(const void *a, const void *b) {
    const ol_st_tensor *x = a, *y = b;
    if (x->offset != y->offset) return x->offset < y->offset ? -1 : 1;
    return x->bytes < y->bytes ? -1 : x->bytes > y->bytes;
}

/* The extents must tile [0, data_len) exactly. */
static olv_status check_tiling(ol_st_header *h, uint64_t data_len, const char *name, olv_error *err) {
    uint64_t pos = 0;
    if (h->n_tensors) qsort(h->tensors, h->n_tensors, sizeof *h->tensors, by_offset);
    for (size_t i = 0; i < h->n_tensors; i++) {
        const ol_st_tensor *t = &h->tensors[i];
        if (t->offset != pos)
            return ol_fail(err, OLV_FORMAT, "%s: tensor '%s' begins at %" PRIu64 " of the data, expected %" PRIu64
                           " (%s)", name, t->name.ptr, t->offset, pos, t->offset < pos ? "overlap" : "hole");
        if (!ol_range_ok(t->offset, t->bytes, data_len))
            return ol_fail(err, OLV_FORMAT, "%s: tensor '%s' ends at %" PRIu64 " of %" PRIu64
                           " data bytes (truncated file?)", name, t->name.ptr, t->offset + t->bytes, data_len);
        pos += t->bytes;
        OL_TRY(check_extent(t, name, err));
    }
    if (pos != data_len)
        return ol_fail(err, OLV_FORMAT, "%s: %" PRIu64 " bytes lie behind the last tensor", name, data_len - pos);
    return OLV_OK;
}

static olv_status read_entries(ol_jp *p, ol_arena *arena, ol_st_header *h, ol_map *seen) {
    ol_jp_event e = ol_jp_next(p);
    if (e == OL_JP_ERROR) return OLV_FORMAT;
    if (e != OL_JP_OBJECT) return ol_jp_fail(p, "the header must be an object");
    while ((e = ol_jp_next(p)) == OL_JP_KEY) {
        char *key = text_of(p, arena);
        if (!key) return OLV_NOMEM;
        int fresh = ol_map_put(seen, ol_str_of(key), 0);
        if (fresh < 0) return ol_fail(p->err, OLV_NOMEM, "%s: out of memory in the header", p->name);
        if (!fresh) return ol_jp_fail(p, "tensor '%s' is given twice", key);
        if (strcmp(key, "__metadata__") == 0) {
            OL_TRY(read_meta(p, arena, h));
            continue;
        }
        if (h->n_tensors == h->cap_tensors) {
            size_t cap = h->cap_tensors ? h->cap_tensors * 2 : 64, bytes;
            ol_st_tensor *t =
                ol_mul_size(cap, sizeof *t, &bytes) ? ol_realloc(h->tensors, bytes) : NULL;
            if (!t) return ol_fail(p->err, OLV_NOMEM, "%s: out of memory in the header", p->name);
            h->tensors = t;
            h->cap_tensors = cap;
        }
        ol_st_tensor *t = &h->tensors[h->n_tensors];
        memset(t, 0, sizeof *t);
        t->name = ol_str_of(key);
        OL_TRY(read_tensor(p, t));
        h->n_tensors++;
    }
    if (e != OL_JP_OBJECT_END) return OLV_FORMAT;
    return ol_jp_next(p) == OL_JP_END ? OLV_OK : OLV_FORMAT;
}

olv_status ol_st_header_read(const uint8_t *data, uint64_t len, const char *name, ol_arena *arena, ol_st_header *h,
                             olv_error *err) {
    olv_error local;
    if (!err) err = &local;
    ol_bytes r = ol_bytes_of(data, (size_t)len);
    uint64_t n = ol_bytes_u64(&r);
    if (r.failed) return ol_fail(err, OLV_FORMAT, "%s: %" PRIu64 " bytes are too short for a safetensors file", name, len);
    if (n > OL_ST_MAX_HEADER)
        return ol_fail(err, OLV_FORMAT, "%s: header of %" PRIu64 " bytes, expected at most %u (not a safetensors file?)",
                       name, n, OL_ST_MAX_HEADER);
    const char *json = (const char *)ol_bytes_take(&r, n);
    if (r.failed)
        return ol_fail(err, OLV_FORMAT, "%s: header of %" PRIu64 " bytes in a file of %" PRIu64 " (truncated file?)", name,
                       n, len);
    if (n < 2 || json[0] != '{') return ol_fail(err, OLV_FORMAT, "%s: the header must begin with '{'", name);
    /* Padding behind the object is spaces, which the parser takes for white space; zeros are refused. */
    ol_jp p;
    ol_jp_init(&p, json, (size_t)n, name, err);
    ol_map seen;
    ol_map_init(&seen);
    olv_status s = read_entries(&p, arena, h, &seen);
    ol_map_deinit(&seen);
    if (s != OLV_OK) return err->status != OLV_OK ? err->status : s;
    OL_TRY(check_tiling(h, len - 8 - n, name, err));
    for (size_t i = 0; i < h->n_tensors; i++) h->tensors[i].offset += 8 + n;
    return OLV_OK;
}

void ol_st_header_deinit(ol_st_header *h) {
    ol_free(h->tensors);
    ol_free(h->meta);
    memset(h, 0, sizeof *h);
}

olv_status ol_safetensors_check(const uint8_t *data, size_t len, olv_error *err) {
    ol_arena *arena = ol_arena_create();
    if (!arena) return ol_fail(err, OLV_NOMEM, "out of memory");
    ol_st_header h;
    memset(&h, 0, sizeof h);
    olv_status s = ol_st_header_read(data, len, "safetensors", arena, &h, err);
    ol_st_header_deinit(&h);
    ol_arena_destroy(arena);
    return s;
}
