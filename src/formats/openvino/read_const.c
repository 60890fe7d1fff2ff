/* SPDX-License-Identifier: Apache-2.0 */
/* Const layers: views over the data file. Element types that the graph has not (u1, u3, u6, nf4) are widened into memory. */
#include "base/alloc.h"
#include "base/bytes.h"
#include "base/checked.h"
#include "base/error.h"
#include "formats/openvino/reader.h"
#include <strings.h>

#define MAX_WIDENED ((size_t)1 << 30) /* bytes of a constant in a wider type */

bool ol_ir_is(const ol_ir_layer *l, const char *type) { return l && !strcasecmp(l->type, type); }

static olv_status read_shape(const char *s, ol_ir_bytes *out, olv_error *err) {
    out->rank = 0;
    out->count = 1;
    while (*s == ' ') s++;
    while (*s) {
        size_t n = strcspn(s, ",");
        if (out->rank == OL_MAX_RANK) return ol_fail(err, OLV_LIMIT, "rank above %d", OL_MAX_RANK);
        int64_t d;
        if (!ol_xml_parse_int(s, n, &d) || d < 0)
            return ol_fail(err, OLV_FORMAT, "size '%.*s' in the shape of a constant", (int)(n > 40 ? 40 : n), s);
        out->dims[out->rank++] = d;
        if (!ol_mul_i64(out->count, d, &out->count)) return ol_fail(err, OLV_LIMIT, "constant too large");
        s += n;
        if (*s == ',') s++;
    }
    return OLV_OK;
}

olv_status ol_ir_const_bytes(const ol_ir_reader *r, const ol_ir_layer *l, ol_ir_bytes *out, olv_error *err) {
    int64_t offset, size;
    size_t bits;
    const char *type = ol_xml_get(l->data, "element_type"), *shape = ol_xml_get(l->data, "shape");
    if (!l->data || !type || !shape) return ol_fail(err, OLV_FORMAT, "a constant without <data> of element_type and shape");
    OL_TRY(ol_xml_int(l->data, "offset", 0, INT64_MAX, &offset, err));
    OL_TRY(ol_xml_int(l->data, "size", 0, INT64_MAX, &size, err));
    if (!(out->element = ol_ir_element_named(type))) return ol_fail(err, OLV_UNSUPPORTED, "element type '%.40s' of a constant", type);
    OL_TRY(read_shape(shape, out, err));
    if (size && !r->bin) return ol_fail(err, OLV_NOT_FOUND, "%lld bytes of data, and there is no file '%.200s'", (long long)size, r->bin_name);
    if (!ol_range_ok((uint64_t)offset, (uint64_t)size, r->bin ? r->bin->size : 0))
        return ol_fail(err, OLV_FORMAT, "data at %lld of %lld bytes lies outside of '%.200s' (%llu bytes)", (long long)offset, (long long)size,
                       r->bin_name, (unsigned long long)(r->bin ? r->bin->size : 0));
    if (!ol_mul_size((size_t)out->count, (size_t)(out->element->bits ? out->element->bits : 1), &bits))
        return ol_fail(err, OLV_LIMIT, "constant too large");
    out->bytes = out->element->bits ? bits / 8 + (bits % 8 != 0) : (size_t)size;
    if (out->bytes > (size_t)size)
        return ol_fail(err, OLV_FORMAT, "%lld bytes of data found, %zu expected for %s [%.60s]", (long long)size, out->bytes, out->element->name, shape);
    out->data = size ? r->bin->data + offset : (const uint8_t *)"";
    return OLV_OK;
}

/* i32 count, count + 1 places of ends, UTF-8 bytes. */
static olv_status read_strings(const ol_ir_bytes *b, ol_const **out, olv_error *err) {
    ol_bytes m = ol_bytes_of(b->data, b->bytes);
    uint32_t n = ol_bytes_u32(&m);
    if (m.failed || (int64_t)n != b->count || ol_bytes_left(&m) / 4 < (size_t)n + 1)
        return ol_fail(err, OLV_FORMAT, "a table of %lld strings expected in %zu bytes", (long long)b->count, b->bytes);
    ol_tensor x;
    OL_TRY(ol_tensor_init(&x, OL_STRING, b->rank, b->dims, err));
    ol_bytes text = m;
    (void)ol_bytes_take(&text, 4 * ((uint64_t)n + 1));
    size_t room = ol_bytes_left(&text);
    uint32_t from = ol_bytes_u32(&m);
    olv_status s = OLV_OK;
    for (uint32_t i = 0; s == OLV_OK && i < n; i++) {
        uint32_t to = ol_bytes_u32(&m);
        if (to < from || to > room) s = ol_fail(err, OLV_FORMAT, "string %u lies outside of its constant", i);
        else ((ol_str *)x.data)[i] = (ol_str){(const char *)text.ptr + from, to - from};
        from = to;
    }
    if (s == OLV_OK && !(*out = ol_const_tensor(&x, err))) s = err ? err->status : OLV_NOMEM;
    ol_tensor_deinit(&x);
    return s;
}

/* Elements of types without a type here, high bits first. Those of 3 and 6 bits lie in groups of three bytes: the low 2
 * (or 4) bits of all elements of a group, then the bits above them. */
static uint32_t element_at(const ol_ir_bytes *b, int64_t i) {
    int bits = b->element->bits;
    size_t k = (size_t)i;
    if (bits == 1) return (uint32_t)(b->data[k / 8] >> (7 - k % 8)) & 1;
    if (bits == 4) return (uint32_t)(b->data[k / 2] >> (k % 2 * 4)) & 15;
    size_t low = bits == 3 ? 2 : 4, per = 8 / low, group = 2 * per, at = k / group * 3, in = k % group, high = 8 / group;
    if (at + 3 > b->bytes) return 0;
    uint32_t l = (uint32_t)b->data[at + in / per] >> (8 - low - in % per * low), h = (uint32_t)b->data[at + 2] >> (8 - high - in * high);
    return (l & ((1u << low) - 1)) | (h & ((1u << high) - 1)) << low;
}

static olv_status widen(const ol_ir_bytes *b, ol_const **out, olv_error *err) {
    bool table = !strcmp(b->element->name, "nf4");
    size_t each = table ? sizeof(float) : 1, bytes;
    if (!ol_mul_size((size_t)b->count, each, &bytes) || bytes > MAX_WIDENED)
        return ol_fail(err, OLV_LIMIT, "%s constant of %lld elements", b->element->name, (long long)b->count);
    uint8_t *p = ol_alloc(bytes);
    if (!p) return ol_fail(err, OLV_NOMEM, "no memory for a constant");
    for (int64_t i = 0; i < b->count; i++) {
        uint32_t v = element_at(b, i);
        if (table) ((float *)(void *)p)[i] = ol_nf4_table[v];
        else p[i] = (uint8_t)v;
    }
    *out = ol_const_bytes(table ? OL_F32 : OL_U8, b->rank, b->dims, p, bytes, NULL, ol_free, err);
    if (*out) return OLV_OK;
    ol_free(p);
    return err ? err->status : OLV_NOMEM;
}

olv_status ol_ir_const_read(const ol_ir_reader *r, const ol_ir_layer *l, ol_const **out, olv_error *err) {
    ol_ir_bytes b;
    OL_TRY(ol_ir_const_bytes(r, l, &b, err));
    if (b.element->dtype == OL_STRING) return read_strings(&b, out, err);
    if (!b.element->bits) return ol_fail(err, OLV_FORMAT, "a constant of element type %s", b.element->name);
    if (b.element->dtype == OL_DTYPE_NONE) return widen(&b, out, err);
    *out = ol_const_bytes(b.element->dtype, b.rank, b.dims, b.data, b.bytes, r->bin, NULL, err);
    return *out ? OLV_OK : err ? err->status : OLV_NOMEM;
}
