/* SPDX-License-Identifier: Apache-2.0 */
#include "base/wire/gguf.h"

#include "base/alloc.h"
#include "base/checked.h"
#include "base/error.h"
#include "base/map.h"

#include <stdlib.h>

#define MAX_KEY 65535u
#define MAX_STRING (64u << 20)
#define MAX_ITEMS (1u << 24)
#define MAX_ALIGNMENT (1u << 20)
#define MIN_PAIR 13u   /* bytes of the smallest pair: empty key, type, one byte */
#define MIN_TENSOR 24u /* of the smallest tensor info */

struct ol_gguf {
    const char *name;
    ol_gguf_pair *pairs;
    ol_gguf_tensor *tensors;
    size_t n_pairs, n_tensors;
    ol_map by_key, by_name;
};

static const struct {
    const char *name;
    uint8_t type;
    uint16_t block, bytes;
} types[] = {{"F32", 0, 1, 4},         {"F16", 1, 1, 2},         {"Q4_0", 2, 32, 18},      {"Q4_1", 3, 32, 20},
             {"Q5_0", 6, 32, 22},      {"Q5_1", 7, 32, 24},      {"Q8_0", 8, 32, 34},      {"Q8_1", 9, 32, 36},
             {"Q2_K", 10, 256, 84},    {"Q3_K", 11, 256, 110},   {"Q4_K", 12, 256, 144},   {"Q5_K", 13, 256, 176},
             {"Q6_K", 14, 256, 210},   {"Q8_K", 15, 256, 292},   {"IQ2_XXS", 16, 256, 66}, {"IQ2_XS", 17, 256, 74},
             {"IQ3_XXS", 18, 256, 98}, {"IQ1_S", 19, 256, 50},   {"IQ4_NL", 20, 32, 18},   {"IQ3_S", 21, 256, 110},
             {"IQ2_S", 22, 256, 82},   {"IQ4_XS", 23, 256, 136}, {"I8", 24, 1, 1},         {"I16", 25, 1, 2},
             {"I32", 26, 1, 4},        {"I64", 27, 1, 8},        {"F64", 28, 1, 8},        {"IQ1_M", 29, 256, 56},
             {"BF16", 30, 1, 2},       {"TQ1_0", 34, 256, 54},   {"TQ2_0", 35, 256, 66},   {"MXFP4", 39, 32, 17},
             {"NVFP4", 40, 64, 36}};

static int type_index(uint32_t type) {
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++)
        if (types[i].type == type) return (int)i;
    return -1;
}

const char *ol_gguf_type_name(uint32_t type) {
    int i = type_index(type);
    return i < 0 ? NULL : types[i].name;
}

bool ol_gguf_type_size(uint32_t type, uint32_t *block, uint32_t *bytes) {
    int i = type_index(type);
    if (i < 0) return false;
    *block = types[i].block;
    *bytes = types[i].bytes;
    return true;
}

/* ---- parsing ---- */

static olv_status cut(const ol_gguf *g, const ol_bytes *r, const char *what, olv_error *err) {
    return ol_fail(err, OLV_FORMAT, "%s: the file ends in %s, at byte %zu", g->name, what, ol_bytes_pos(r));
}

ol_str ol_gguf_next_string(ol_bytes *r) {
    uint64_t n = ol_bytes_u64(r);
    const uint8_t *p = ol_bytes_take(r, n);
    return p ? (ol_str){(const char *)p, (size_t)n} : (ol_str){"", 0};
}

static uint32_t item_bytes(uint32_t kind) {
    static const uint8_t sizes[] = {1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};
    return kind < sizeof sizes ? sizes[kind] : 0;
}

static olv_status parse_array(ol_gguf *g, ol_bytes *r, ol_gguf_pair *p, olv_error *err) {
    p->item_kind = ol_bytes_u32(r);
    p->count = ol_bytes_u64(r);
    if (r->failed) return cut(g, r, "an array", err);
    if (p->item_kind != OL_GGUF_STRING && item_bytes(p->item_kind) == 0)
        return ol_fail(err, OLV_FORMAT, "%s: key '%.*s': array of type %u, expected numbers or strings", g->name,
                       (int)p->key.len, p->key.ptr, p->item_kind);
    if (p->count > MAX_ITEMS)
        return ol_fail(err, OLV_LIMIT, "%s: key '%.*s': array of %llu items, expected at most %u", g->name, (int)p->key.len,
                       p->key.ptr, (unsigned long long)p->count, MAX_ITEMS);
    const uint8_t *start = r->ptr;
    if (p->item_kind == OL_GGUF_STRING)
        for (uint64_t i = 0; i < p->count && !r->failed; i++) (void)ol_gguf_next_string(r);
    else
        (void)ol_bytes_take(r, p->count * item_bytes(p->item_kind));
    if (r->failed) return cut(g, r, "an array", err);
    p->data = (ol_str){(const char *)start, (size_t)(r->ptr - start)};
    return OLV_OK;
}

static olv_status parse_pair(ol_gguf *g, ol_bytes *r, ol_gguf_pair *p, olv_error *err) {
    p->key = ol_gguf_next_string(r);
    p->kind = ol_bytes_u32(r);
    p->count = 1;
    if (r->failed) return cut(g, r, "the metadata", err);
    if (p->key.len == 0 || p->key.len > MAX_KEY)
        return ol_fail(err, OLV_FORMAT, "%s: key of %zu bytes, expected 1 to %u", g->name, p->key.len, MAX_KEY);
    if (!ol_utf8_valid(p->key.ptr, p->key.len)) return ol_fail(err, OLV_FORMAT, "%s: a key is not UTF-8", g->name);
    if (p->key.len > 200) return ol_fail(err, OLV_LIMIT, "%s: key of %zu bytes, expected at most 200", g->name, p->key.len);
    if (p->kind == OL_GGUF_ARRAY) {
        OL_TRY(parse_array(g, r, p, err));
    } else if (p->kind == OL_GGUF_STRING) {
        p->data = ol_gguf_next_string(r);
        if (p->data.len > MAX_STRING)
            return ol_fail(err, OLV_LIMIT, "%s: key '%.*s': string of %zu bytes, expected at most %u", g->name,
                           (int)p->key.len, p->key.ptr, p->data.len, MAX_STRING);
    } else if (item_bytes(p->kind)) {
        const uint8_t *at = ol_bytes_take(r, item_bytes(p->kind));
        p->data = (ol_str){(const char *)at, item_bytes(p->kind)};
    } else {
        return ol_fail(err, OLV_FORMAT, "%s: key '%.*s': type %u, expected 0 to 12", g->name, (int)p->key.len, p->key.ptr,
                       p->kind);
    }
    if (r->failed) return cut(g, r, "the metadata", err);
    int put = ol_map_put(&g->by_key, p->key, (uint64_t)(p - g->pairs));
    if (put == 0)
        return ol_fail(err, OLV_FORMAT, "%s: key '%.*s' stands there twice", g->name, (int)p->key.len, p->key.ptr);
    return put < 0 ? ol_fail(err, OLV_NOMEM, "out of memory") : OLV_OK;
}

/* Dims, type and size of a tensor; its offset goes to *offset. */
static olv_status parse_tensor(ol_gguf *g, ol_bytes *r, ol_gguf_tensor *t, uint64_t *offset, olv_error *err) {
    t->name = ol_gguf_next_string(r);
    uint32_t rank = ol_bytes_u32(r);
    if (r->failed) return cut(g, r, "the list of tensors", err);
    if (t->name.len == 0 || t->name.len > 200 || !ol_utf8_valid(t->name.ptr, t->name.len))
        return ol_fail(err, OLV_FORMAT, "%s: tensor name of %zu bytes, expected 1 to 200 of UTF-8", g->name, t->name.len);
    int len = (int)t->name.len;
    if (rank > OL_GGUF_MAX_DIMS)
        return ol_fail(err, OLV_FORMAT, "%s: tensor '%.*s': %u dimensions, expected at most %d", g->name, len, t->name.ptr,
                       rank, OL_GGUF_MAX_DIMS);
    t->rank = (int)rank;
    size_t count = 1;
    bool fits = true;
    for (int i = t->rank - 1; i >= 0; i--) {
        uint64_t d = ol_bytes_u64(r);
        fits = fits && d <= (UINT64_C(1) << 40) && ol_mul_size(count, (size_t)d, &count);
        t->dims[i] = fits ? (int64_t)d : 0;
    }
    t->type = ol_bytes_u32(r);
    *offset = ol_bytes_u64(r);
    if (r->failed) return cut(g, r, "the list of tensors", err);
    uint32_t block, bytes;
    if (!ol_gguf_type_size(t->type, &block, &bytes))
        return ol_fail(err, OLV_UNSUPPORTED, "%s: tensor '%.*s': element type %u is not known", g->name, len, t->name.ptr,
                       t->type);
    size_t size = 0;
    if (!fits || !ol_mul_size(count / block, bytes, &size))
        return ol_fail(err, OLV_FORMAT, "%s: tensor '%.*s': its dimensions are too large", g->name, len, t->name.ptr);
    int64_t inner = t->rank ? t->dims[t->rank - 1] : 1;
    if (inner % block)
        return ol_fail(err, OLV_FORMAT, "%s: tensor '%.*s': rows of %lld, expected a multiple of %u for %s", g->name, len,
                       t->name.ptr, (long long)inner, block, ol_gguf_type_name(t->type));
    t->bytes = size;
    int put = ol_map_put(&g->by_name, t->name, (uint64_t)(t - g->tensors));
    if (put == 0) return ol_fail(err, OLV_FORMAT, "%s: tensor '%.*s' stands there twice", g->name, len, t->name.ptr);
    return put < 0 ? ol_fail(err, OLV_NOMEM, "out of memory") : OLV_OK;
}

static int by_place(const void *a, const void *b) {
    const ol_gguf_tensor *x = *(const ol_gguf_tensor *const *)a, *y = *(const ol_gguf_tensor *const *)b;
    if (x->data != y->data) return x->data < y->data ? -1 : 1;
    return x->bytes < y->bytes ? -1 : x->bytes > y->bytes;
}

static olv_status check_overlap(const ol_gguf *g, olv_error *err) {
    const ol_gguf_tensor **order = ol_calloc(g->n_tensors + 1, sizeof *order);
    if (!order) return ol_fail(err, OLV_NOMEM, "out of memory");
    for (size_t i = 0; i < g->n_tensors; i++) order[i] = &g->tensors[i];
    qsort(order, g->n_tensors, sizeof *order, by_place);
    olv_status s = OLV_OK;
    for (size_t i = 1; i < g->n_tensors && s == OLV_OK; i++) {
        const ol_gguf_tensor *a = order[i - 1], *b = order[i];
        if (a->bytes && b->bytes && a->data + a->bytes > b->data)
            s = ol_fail(err, OLV_FORMAT, "%s: tensors '%.*s' and '%.*s' overlap", g->name, (int)a->name.len, a->name.ptr,
                        (int)b->name.len, b->name.ptr);
    }
    ol_free(order);
    return s;
}

static olv_status parse_tensors(ol_gguf *g, ol_bytes *r, size_t len, olv_error *err) {
    uint64_t *offsets = ol_calloc(g->n_tensors + 1, sizeof *offsets);
    int64_t align = 32;
    const ol_gguf_pair *p = ol_gguf_find(g, "general.alignment");
    olv_status s = offsets ? OLV_OK : ol_fail(err, OLV_NOMEM, "out of memory");
    if (s == OLV_OK && p && (!ol_gguf_int(p, &align) || align < 8 || align > MAX_ALIGNMENT || (align & (align - 1))))
        s = ol_fail(err, OLV_FORMAT, "%s: key 'general.alignment': expected a power of two from 8 to %u", g->name,
                    MAX_ALIGNMENT);
    for (size_t i = 0; i < g->n_tensors && s == OLV_OK; i++) s = parse_tensor(g, r, &g->tensors[i], &offsets[i], err);
    size_t base = s == OLV_OK ? ol_align_up(ol_bytes_pos(r), (size_t)align) : 0;
    for (size_t i = 0; i < g->n_tensors && s == OLV_OK; i++) {
        ol_gguf_tensor *t = &g->tensors[i];
        if (offsets[i] % (uint64_t)align)
            s = ol_fail(err, OLV_FORMAT, "%s: tensor '%.*s': offset %llu, expected a multiple of %lld", g->name,
                        (int)t->name.len, t->name.ptr, (unsigned long long)offsets[i], (long long)align);
        else if (base > len || !ol_range_ok(offsets[i], t->bytes, len - base))
            s = ol_fail(err, OLV_FORMAT, "%s: tensor '%.*s': %llu bytes at %llu lie outside of the %zu bytes of data",
                        g->name, (int)t->name.len, t->name.ptr, (unsigned long long)t->bytes,
                        (unsigned long long)offsets[i], base > len ? 0 : len - base);
        else
            t->data = r->start + base + offsets[i];
    }
    ol_free(offsets);
    return s == OLV_OK ? check_overlap(g, err) : s;
}

static olv_status parse(ol_gguf *g, const uint8_t *bytes, size_t len, olv_error *err) {
    ol_bytes r = ol_bytes_of(bytes, len);
    uint32_t magic = ol_bytes_u32(&r), version = ol_bytes_u32(&r);
    uint64_t n_tensors = ol_bytes_u64(&r), n_pairs = ol_bytes_u64(&r);
    if (r.failed || magic != 0x46554747u) return ol_fail(err, OLV_FORMAT, "%s: not a GGUF file", g->name);
    if (version != 2 && version != 3)
        return ol_fail(err, OLV_UNSUPPORTED, "%s: GGUF version %u%s, expected 2 or 3", g->name, version,
                       (version & 0xffff) == 0 ? " (big-endian)" : "");
    if (n_pairs > ol_bytes_left(&r) / MIN_PAIR || n_tensors > ol_bytes_left(&r) / MIN_TENSOR)
        return ol_fail(err, OLV_FORMAT, "%s: %llu keys and %llu tensors do not fit into %zu bytes", g->name,
                       (unsigned long long)n_pairs, (unsigned long long)n_tensors, len);
    g->pairs = ol_calloc((size_t)n_pairs + 1, sizeof *g->pairs);
    g->tensors = ol_calloc((size_t)n_tensors + 1, sizeof *g->tensors);
    if (!g->pairs || !g->tensors) return ol_fail(err, OLV_NOMEM, "out of memory");
    for (; g->n_pairs < n_pairs; g->n_pairs++) OL_TRY(parse_pair(g, &r, &g->pairs[g->n_pairs], err));
    g->n_tensors = (size_t)n_tensors;
    return parse_tensors(g, &r, len, err);
}

olv_status ol_gguf_parse(const uint8_t *bytes, size_t len, const char *name, ol_gguf **out, olv_error *err) {
    ol_gguf *g = ol_calloc(1, sizeof *g);
    if (!g) return ol_fail(err, OLV_NOMEM, "out of memory");
    g->name = name;
    ol_map_init(&g->by_key);
    ol_map_init(&g->by_name);
    olv_status s = parse(g, bytes, len, err);
    g->name = NULL; /* borrowed for messages only */
    if (s == OLV_OK)
        *out = g;
    else
        ol_gguf_destroy(g);
    return s;
}

void ol_gguf_destroy(ol_gguf *g) {
    if (!g) return;
    ol_map_deinit(&g->by_key);
    ol_map_deinit(&g->by_name);
    ol_free(g->pairs);
    ol_free(g->tensors);
    ol_free(g);
}

/* ---- looking ---- */

size_t ol_gguf_pair_count(const ol_gguf *g) { return g->n_pairs; }
const ol_gguf_pair *ol_gguf_pair_at(const ol_gguf *g, size_t i) { return &g->pairs[i]; }
size_t ol_gguf_tensor_count(const ol_gguf *g) { return g->n_tensors; }
const ol_gguf_tensor *ol_gguf_tensor_at(const ol_gguf *g, size_t i) { return &g->tensors[i]; }

const ol_gguf_pair *ol_gguf_find(const ol_gguf *g, const char *key) {
    const uint64_t *i = ol_map_get(&g->by_key, ol_str_of(key));
    return i ? &g->pairs[*i] : NULL;
}

const ol_gguf_tensor *ol_gguf_tensor_find(const ol_gguf *g, const char *name) {
    const uint64_t *i = ol_map_get(&g->by_name, ol_str_of(name));
    return i ? &g->tensors[*i] : NULL;
}

/* A number of this kind from the reader: *whole says whether it is an integer in the range of int64_t. */
static double number(ol_bytes *r, uint32_t kind, int64_t *i, bool *whole) {
    uint64_t u;
    *whole = true;
    *i = 0;
    switch (kind) {
    case OL_GGUF_U8: *i = ol_bytes_u8(r); break;
    case OL_GGUF_I8: *i = (int8_t)ol_bytes_u8(r); break;
    case OL_GGUF_U16: *i = ol_bytes_u16(r); break;
    case OL_GGUF_I16: *i = (int16_t)ol_bytes_u16(r); break;
    case OL_GGUF_U32: *i = ol_bytes_u32(r); break;
    case OL_GGUF_I32: *i = (int32_t)ol_bytes_u32(r); break;
    case OL_GGUF_BOOL: *i = ol_bytes_u8(r) != 0; break;
    case OL_GGUF_I64: *i = (int64_t)ol_bytes_u64(r); break;
    case OL_GGUF_U64:
        u = ol_bytes_u64(r);
        *whole = u <= INT64_MAX;
        *i = *whole ? (int64_t)u : 0;
        return (double)u;
    case OL_GGUF_F32: *whole = false; return (double)ol_bytes_f32(r);
    default: *whole = false; return ol_bytes_f64(r);
    }
    return (double)*i;
}

bool ol_gguf_int(const ol_gguf_pair *p, int64_t *out) {
    int64_t i;
    bool whole;
    if (!p || item_bytes(p->kind) == 0) return false;
    ol_bytes r = ol_bytes_of(p->data.ptr, p->data.len);
    (void)number(&r, p->kind, &i, &whole);
    if (whole) *out = i;
    return whole;
}

bool ol_gguf_real(const ol_gguf_pair *p, double *out) {
    int64_t i;
    bool whole;
    if (!p || item_bytes(p->kind) == 0) return false;
    ol_bytes r = ol_bytes_of(p->data.ptr, p->data.len);
    *out = number(&r, p->kind, &i, &whole);
    return true;
}

bool ol_gguf_string(const ol_gguf_pair *p, ol_str *out) {
    if (!p || p->kind != OL_GGUF_STRING) return false;
    *out = p->data;
    return true;
}

bool ol_gguf_item(const ol_gguf_pair *p, uint64_t i, double *out) {
    int64_t whole_value;
    bool whole;
    uint32_t size = p ? item_bytes(p->item_kind) : 0;
    if (!p || p->kind != OL_GGUF_ARRAY || size == 0 || i >= p->count) return false;
    ol_bytes r = ol_bytes_of(p->data.ptr + i * size, size);
    *out = number(&r, p->item_kind, &whole_value, &whole);
    return true;
}
