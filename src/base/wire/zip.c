/* SPDX-License-Identifier: Apache-2.0 */
#include "base/wire/zip.h"

#include "base/alloc.h"
#include "base/bytes.h"
#include "base/checked.h"
#include "base/error.h"
#include "base/map.h"

#include <inttypes.h>
#include <stdlib.h>

#define LOCAL_SIG 0x04034b50u
#define CENTRAL_SIG 0x02014b50u
#define END_SIG 0x06054b50u
#define END64_SIG 0x06064b50u
#define LOCATOR_SIG 0x07064b50u
#define LOCAL_BYTES 30
#define CENTRAL_BYTES 46
#define END_BYTES 22
#define LOCATOR_BYTES 20
#define MAX_ENTRIES 1000000u
#define MAX_COMMENT 65535
#define EXTRA_ZIP64 1
#define METHOD_DEFLATED 8

enum { FLAG_ENCRYPTED = 1, FLAG_SIZES_BEHIND = 8 };

struct ol_zip {
    const uint8_t *data;
    size_t len;
    const char *name; /* while opening */
    bool packed;      /* deflated entries are welcome */
    ol_zip_entry *entries;
    size_t n;
    ol_map names;
};

/* Where the central directory is, and how many entries it has. */
typedef struct directory {
    uint64_t entries, bytes, offset;
} directory;

bool ol_zip_recognize(const uint8_t *data, size_t len) {
    return len >= 4 && memcmp(data, "PK\3\4", 4) == 0;
}

void ol_zip_close(ol_zip *z) {
    if (!z) return;
    ol_map_deinit(&z->names);
    ol_free(z->entries);
    ol_free(z);
}

static ol_bytes at(const ol_zip *z, uint64_t offset) {
    return offset <= z->len ? ol_bytes_of(z->data + offset, z->len - (size_t)offset) : ol_bytes_of(z->data, 0);
}

/* ---- the end of the archive ---- */

/* The end record is the last one whose comment reaches exactly to the end of the file. */
static bool find_end(const ol_zip *z, uint64_t *where) {
    size_t least = z->len > END_BYTES + MAX_COMMENT ? z->len - END_BYTES - MAX_COMMENT : 0;
    if (z->len < END_BYTES) return false;
    for (size_t p = z->len - END_BYTES;; p--) {
        ol_bytes r = at(z, p);
        if (ol_bytes_u32(&r) == END_SIG) {
            r = at(z, p + END_BYTES - 2);
            if (ol_bytes_u16(&r) == z->len - p - END_BYTES) {
                *where = p;
                return true;
            }
        }
        if (p == least) return false;
    }
}

static olv_status read_end64(const ol_zip *z, uint64_t end, directory *d, olv_error *err) {
    ol_bytes r = at(z, end - LOCATOR_BYTES);
    if (ol_bytes_u32(&r) != LOCATOR_SIG) return OLV_OK; /* the small record says it all */
    uint32_t disk = ol_bytes_u32(&r);
    uint64_t where = ol_bytes_u64(&r);
    uint32_t disks = ol_bytes_u32(&r);
    if (disk || disks > 1) return ol_fail(err, OLV_UNSUPPORTED, "%s: zip archive of %u disks", z->name, disks);
    r = at(z, where);
    if (where >= end || ol_bytes_u32(&r) != END64_SIG)
        return ol_fail(err, OLV_FORMAT, "%s: zip64 end record expected at %" PRIu64, z->name, where);
    ol_bytes_take(&r, 8 + 2 + 2 + 4 + 4);
    directory small = *d;
    uint64_t here = ol_bytes_u64(&r);
    d->entries = ol_bytes_u64(&r);
    d->bytes = ol_bytes_u64(&r);
    d->offset = ol_bytes_u64(&r);
    bool agree = (small.entries == UINT16_MAX || small.entries == d->entries) &&
                 (small.bytes == UINT32_MAX || small.bytes == d->bytes) &&
                 (small.offset == UINT32_MAX || small.offset == d->offset);
    if (r.failed || here != d->entries || !agree)
        return ol_fail(err, OLV_FORMAT, "%s: zip64 end record differs from the end record", z->name);
    return OLV_OK;
}

static olv_status read_end(const ol_zip *z, directory *d, olv_error *err) {
    uint64_t end;
    if (!find_end(z, &end))
        return ol_fail(err, OLV_FORMAT, "%s: no end of a zip archive found (truncated file?)", z->name);
    ol_bytes r = at(z, end + 4);
    uint16_t disk = ol_bytes_u16(&r), start = ol_bytes_u16(&r), here = ol_bytes_u16(&r);
    d->entries = ol_bytes_u16(&r);
    d->bytes = ol_bytes_u32(&r);
    d->offset = ol_bytes_u32(&r);
    if ((disk && disk != 0xffff) || (start && start != 0xffff) || here != d->entries)
        return ol_fail(err, OLV_UNSUPPORTED, "%s: zip archive of several disks", z->name);
    if (end >= LOCATOR_BYTES) OL_TRY(read_end64(z, end, d, err));
    if (!ol_range_ok(d->offset, d->bytes, end))
        return ol_fail(err, OLV_FORMAT, "%s: zip directory of %" PRIu64 " bytes at %" PRIu64 " of %zu", z->name, d->bytes,
                       d->offset, z->len);
    if (d->entries > MAX_ENTRIES || d->entries > d->bytes / CENTRAL_BYTES)
        return ol_fail(err, OLV_FORMAT, "%s: %" PRIu64 " zip entries in a directory of %" PRIu64 " bytes", z->name,
                       d->entries, d->bytes);
    return OLV_OK;
}

/* ---- entries ---- */

static bool bad_name(ol_str s) {
    if (s.len == 0 || s.ptr[0] == '/' || memchr(s.ptr, 0, s.len) || memchr(s.ptr, '\\', s.len)) return true;
    for (size_t i = 0; i < s.len; i++) {
        size_t n = 0;
        while (i + n < s.len && s.ptr[i + n] != '/') n++;
        if (n == 2 && s.ptr[i] == '.' && s.ptr[i + 1] == '.') return true;
        i += n;
    }
    return false;
}

/* Sizes and place that the 32-bit fields cannot hold stand in the zip64 extra field, those that are full only. */
static bool read_extra(ol_bytes *r, size_t len, uint64_t *full, uint64_t *packed, uint64_t *offset) {
    ol_bytes x = ol_bytes_of(ol_bytes_take(r, len), len);
    if (r->failed) return false;
    bool need = *full == UINT32_MAX || *packed == UINT32_MAX || *offset == UINT32_MAX;
    while (ol_bytes_left(&x) >= 4) {
        uint16_t id = ol_bytes_u16(&x), n = ol_bytes_u16(&x);
        const uint8_t *p = ol_bytes_take(&x, n);
        if (!p && n) return false;
        if (id != EXTRA_ZIP64 || !need) continue;
        ol_bytes v = ol_bytes_of(p, n);
        if (*full == UINT32_MAX) *full = ol_bytes_u64(&v);
        if (*packed == UINT32_MAX) *packed = ol_bytes_u64(&v);
        if (*offset == UINT32_MAX) *offset = ol_bytes_u64(&v);
        return !v.failed;
    }
    return !need;
}

/* The local header must tell the same; where it leaves the sizes to a record behind the data they may be zero. */
static olv_status check_local(const ol_zip *z, ol_zip_entry *e, olv_error *err) {
    ol_bytes r = at(z, e->header);
    uint32_t sig = ol_bytes_u32(&r);
    ol_bytes_u16(&r);
    uint16_t flags = ol_bytes_u16(&r), method = ol_bytes_u16(&r);
    ol_bytes_take(&r, 8);
    uint64_t packed = ol_bytes_u32(&r), full = ol_bytes_u32(&r), none = 0;
    uint16_t name_len = ol_bytes_u16(&r), extra_len = ol_bytes_u16(&r);
    const char *name = (const char *)ol_bytes_take(&r, name_len);
    if (r.failed || sig != LOCAL_SIG || !ol_str_eq((ol_str){name, name_len}, e->name) || method != (e->deflated ? METHOD_DEFLATED : 0) ||
        (flags & FLAG_ENCRYPTED))
        return ol_fail(err, OLV_FORMAT, "%s: zip entry '%.*s': its local header differs from the directory", z->name,
                       (int)e->name.len, e->name.ptr);
    bool behind = (flags & FLAG_SIZES_BEHIND) && packed == 0 && full == 0;
    if (!read_extra(&r, extra_len, &full, &packed, &none) || (!behind && (full != e->full || packed != e->bytes)))
        return ol_fail(err, OLV_FORMAT, "%s: zip entry '%.*s': sizes in its local header are %" PRIu64 " and %" PRIu64
                       ", %" PRIu64 " expected", z->name, (int)e->name.len, e->name.ptr, packed, full, e->bytes);
    e->offset = (uint64_t)(r.ptr - z->data);
    if (!ol_range_ok(e->offset, e->bytes, z->len))
        return ol_fail(err, OLV_FORMAT, "%s: zip entry '%.*s': %" PRIu64 " bytes at %" PRIu64 " of %zu (truncated file?)",
                       z->name, (int)e->name.len, e->name.ptr, e->bytes, e->offset, z->len);
    return OLV_OK;
}

static olv_status read_entry(ol_zip *z, ol_bytes *r, ol_zip_entry *e, olv_error *err) {
    uint32_t sig = ol_bytes_u32(r);
    ol_bytes_take(r, 4);
    uint16_t flags = ol_bytes_u16(r), method = ol_bytes_u16(r);
    ol_bytes_take(r, 8);
    uint64_t packed = ol_bytes_u32(r), full = ol_bytes_u32(r);
    uint16_t name_len = ol_bytes_u16(r), extra_len = ol_bytes_u16(r), comment_len = ol_bytes_u16(r);
    ol_bytes_take(r, 8);
    uint64_t offset = ol_bytes_u32(r);
    e->name = (ol_str){(const char *)ol_bytes_take(r, name_len), name_len};
    if (r->failed || sig != CENTRAL_SIG) return ol_fail(err, OLV_FORMAT, "%s: zip directory is broken", z->name);
    int shown = name_len > 200 ? 200 : name_len;
    if (bad_name(e->name))
        return ol_fail(err, OLV_FORMAT, "%s: zip entry of the bad name '%.*s'", z->name, shown, e->name.ptr);
    if (flags & FLAG_ENCRYPTED)
        return ol_fail(err, OLV_UNSUPPORTED, "%s: zip entry '%.*s' is encrypted", z->name, shown, e->name.ptr);
    e->deflated = z->packed && method == METHOD_DEFLATED;
    if (method != 0 && !e->deflated)
        return ol_fail(err, OLV_UNSUPPORTED, "%s: zip entry '%.*s' is compressed (method %u), stored expected", z->name,
                       shown, e->name.ptr, method);
    if (!read_extra(r, extra_len, &full, &packed, &offset) || (full != packed && !e->deflated))
        return ol_fail(err, OLV_FORMAT, "%s: zip entry '%.*s': sizes %" PRIu64 " and %" PRIu64 " of stored data", z->name,
                       shown, e->name.ptr, packed, full);
    ol_bytes_take(r, comment_len);
    if (r->failed) return ol_fail(err, OLV_FORMAT, "%s: zip directory is broken", z->name);
    e->bytes = packed;
    e->full = full;
    e->header = offset;
    return check_local(z, e, err);
}

static int by_header(const void *a, const void *b) {
    const ol_zip_entry *x = *(const ol_zip_entry *const *)a, *y = *(const ol_zip_entry *const *)b;
    return x->header < y->header ? -1 : x->header > y->header;
}

static olv_status check_overlap(const ol_zip *z, uint64_t directory_offset, olv_error *err) {
    const ol_zip_entry **order = ol_calloc(z->n + 1, sizeof(*order));
    if (!order) return ol_fail(err, OLV_NOMEM, "%s: out of memory", z->name);
    for (size_t i = 0; i < z->n; i++) order[i] = &z->entries[i];
    if (z->n) qsort(order, z->n, sizeof(*order), by_header);
    olv_status s = OLV_OK;
    for (size_t i = 0; i < z->n && s == OLV_OK; i++) {
        uint64_t end = order[i]->offset + order[i]->bytes, next = i + 1 < z->n ? order[i + 1]->header : directory_offset;
        if (end > next)
            s = ol_fail(err, OLV_FORMAT, "%s: zip entry '%.*s' overlaps what follows it", z->name,
                        (int)order[i]->name.len, order[i]->name.ptr);
    }
    ol_free(order);
    return s;
}

static olv_status read_directory(ol_zip *z, olv_error *err) {
    directory d = {0, 0, 0};
    OL_TRY(read_end(z, &d, err));
    z->entries = ol_calloc((size_t)d.entries + 1, sizeof *z->entries);
    if (!z->entries || !ol_map_reserve(&z->names, (size_t)d.entries))
        return ol_fail(err, OLV_NOMEM, "%s: out of memory", z->name);
    ol_bytes r = ol_bytes_of(z->data + d.offset, (size_t)d.bytes);
    for (size_t i = 0; i < d.entries; i++) {
        OL_TRY(read_entry(z, &r, &z->entries[i], err));
        int fresh = ol_map_put(&z->names, z->entries[i].name, i);
        if (fresh < 0) return ol_fail(err, OLV_NOMEM, "%s: out of memory", z->name);
        if (!fresh)
            return ol_fail(err, OLV_FORMAT, "%s: zip entry '%.*s' is there twice", z->name,
                           (int)z->entries[i].name.len, z->entries[i].name.ptr);
        z->n++;
    }
    return check_overlap(z, d.offset, err);
}

static olv_status open_zip(const uint8_t *data, size_t len, const char *name, bool packed, ol_zip **out, olv_error *err) {
    ol_zip *z = ol_calloc(1, sizeof *z);
    if (!z) return ol_fail(err, OLV_NOMEM, "%s: out of memory", name);
    z->data = data;
    z->len = len;
    z->name = name;
    z->packed = packed;
    ol_map_init(&z->names);
    olv_status s = read_directory(z, err);
    z->name = NULL;
    if (s == OLV_OK)
        *out = z;
    else
        ol_zip_close(z);
    return s;
}

olv_status ol_zip_open(const uint8_t *data, size_t len, const char *name, ol_zip **out, olv_error *err) {
    return open_zip(data, len, name, false, out, err);
}

olv_status ol_zip_open_packed(const uint8_t *data, size_t len, const char *name, ol_zip **out, olv_error *err) {
    return open_zip(data, len, name, true, out, err);
}

size_t ol_zip_count(const ol_zip *z) { return z->n; }
const ol_zip_entry *ol_zip_get(const ol_zip *z, size_t i) { return &z->entries[i]; }

const ol_zip_entry *ol_zip_find(const ol_zip *z, ol_str name) {
    const uint64_t *i = ol_map_get(&z->names, name);
    return i ? &z->entries[*i] : NULL;
}
