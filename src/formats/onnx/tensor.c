/* SPDX-License-Identifier: Apache-2.0 */
/* TensorProto and TypeProto. */
#include "base/alloc.h"
#include "base/checked.h"
#include "base/error.h"
#include "formats/onnx/reader.h"
#include <stdlib.h>

typedef struct tensor {
    int64_t dims[OL_MAX_RANK];
    int rank;
    ol_dtype dtype;
    ol_str name, raw;
    bool has_raw, external;
    ol_str location;
    uint64_t offset, length;
    bool has_length;
    size_t count, n_typed; /* elements; values in the typed fields */
} tensor;

static olv_status malformed(olv_error *err, const char *what) { return ol_fail(err, OLV_FORMAT, "malformed %s", what); }

static olv_status add_dim(tensor *t, int64_t d, olv_error *err) {
    if (t->rank == OL_MAX_RANK) return ol_fail(err, OLV_LIMIT, "rank above %d", OL_MAX_RANK);
    if (d < 0) return ol_fail(err, OLV_FORMAT, "dimension %lld found", (long long)d);
    t->dims[t->rank++] = d;
    return OLV_OK;
}

static olv_status parse_number(ol_str s, uint64_t *out, olv_error *err) {
    uint64_t v = 0;
    if (s.len == 0 || s.len > 19) return ol_fail(err, OLV_FORMAT, "external data number '%.*s'", (int)(s.len > 40 ? 40 : s.len), s.ptr);
    for (size_t i = 0; i < s.len; i++) {
        if (s.ptr[i] < '0' || s.ptr[i] > '9')
            return ol_fail(err, OLV_FORMAT, "external data number '%.*s' found, digits expected", (int)s.len, s.ptr);
        v = v * 10 + (uint64_t)(s.ptr[i] - '0');
    }
    *out = v;
    return OLV_OK;
}

static olv_status parse_external(tensor *t, ol_bytes m, olv_error *err) {
    ol_pb_field f;
    ol_str key = {NULL, 0}, value = {NULL, 0};
    while (ol_pb_next(&m, &f) > 0) {
        if (f.number == 1 && f.wire == 2) key = f.bytes;
        if (f.number == 2 && f.wire == 2) value = f.bytes;
    }
    if (m.failed) return malformed(err, "external data entry");
    if (ol_str_is(key, "location")) {
        if (t->location.ptr) return ol_fail(err, OLV_FORMAT, "two locations of external data");
        t->location = value;
    } else if (ol_str_is(key, "offset")) {
        return parse_number(value, &t->offset, err);
    } else if (ol_str_is(key, "length")) {
        t->has_length = true;
        return parse_number(value, &t->length, err);
    }
    return OLV_OK;
}

/* Typed data fields: their number, the wire type of one value, and its size in a packed field (0: varint). */
static const struct {
    uint32_t number, wire;
    size_t each;
} typed[] = {{4, 5, 4}, {5, 0, 0}, {7, 0, 0}, {10, 1, 8}, {11, 0, 0}};

static int typed_index(uint32_t number) {
    for (int i = 0; i < 5; i++)
        if (typed[i].number == number) return i;
    return -1;
}

static size_t count_varints(ol_str s) {
    size_t n = 0;
    for (size_t i = 0; i < s.len; i++) n += !((uint8_t)s.ptr[i] & 0x80);
    return n;
}

static olv_status scan_field(tensor *t, const ol_pb_field *f, olv_error *err) {
    int k = typed_index(f->number);
    if (f->number == 1 && f->wire == 0) return add_dim(t, (int64_t)f->value, err);
    if (f->number == 1 && f->wire == 2) {
        ol_bytes m = ol_pb_message(f);
        while (ol_bytes_left(&m)) OL_TRY(add_dim(t, (int64_t)ol_bytes_varint(&m), err));
        return m.failed ? malformed(err, "dims") : OLV_OK;
    }
    if (f->number == 2 && f->wire == 0) {
        t->dtype = ol_dtype_from_onnx((int64_t)f->value);
        if (t->dtype == OL_DTYPE_NONE) return ol_fail(err, OLV_UNSUPPORTED, "element type %llu", (unsigned long long)f->value);
    } else if (f->number == 8 && f->wire == 2) {
        t->name = f->bytes;
    } else if (f->number == 9 && f->wire == 2) {
        t->raw = f->bytes;
        t->has_raw = true;
    } else if (f->number == 13 && f->wire == 2) {
        return parse_external(t, ol_pb_message(f), err);
    } else if (f->number == 14 && f->wire == 0) {
        t->external = f->value == 1;
    } else if (f->number == 6 && f->wire == 2) {
        t->n_typed++;
    } else if (k >= 0) {
        if (f->wire == typed[k].wire) t->n_typed++;
        else if (f->wire == 2) t->n_typed += typed[k].each ? f->bytes.len / typed[k].each : count_varints(f->bytes);
        else return malformed(err, "tensor data");
    }
    return OLV_OK;
}

static olv_status scan(tensor *t, ol_bytes m, olv_error *err) {
    ol_pb_field f;
    *t = (tensor){.dtype = OL_DTYPE_NONE};
    while (ol_pb_next(&m, &f) > 0) OL_TRY(scan_field(t, &f, err));
    if (m.failed) return malformed(err, "tensor");
    if (t->dtype == OL_DTYPE_NONE) return ol_fail(err, OLV_FORMAT, "tensor without an element type");
    int64_t n = 1;
    for (int i = 0; i < t->rank; i++)
        if (!ol_mul_i64(n, t->dims[i], &n)) return ol_fail(err, OLV_LIMIT, "tensor too large");
    t->count = (size_t)n;
    return OLV_OK;
}

static olv_status open_external(ol_onnx_reader *r, ol_str name, ol_file **out, olv_error *err) {
    for (int i = 0; i < r->n_ext; i++)
        if (ol_str_eq(r->ext_names[i], name)) {
            *out = r->ext[i];
            return OLV_OK;
        }
    char text[1024];
    if (!r->dir) return ol_fail(err, OLV_UNSUPPORTED, "external data in a model without a folder");
    if (r->n_ext == OL_ONNX_MAX_FILES) return ol_fail(err, OLV_LIMIT, "more than %d data files", OL_ONNX_MAX_FILES);
    if (name.len >= sizeof text || memchr(name.ptr, 0, name.len)) return ol_fail(err, OLV_FORMAT, "name of a data file");
    memcpy(text, name.ptr, name.len);
    text[name.len] = 0;
    OL_TRY(ol_file_open_in(r->dir, text, out, err));
    r->ext_names[r->n_ext] = name;
    r->ext[r->n_ext++] = *out;
    return OLV_OK;
}

static olv_status make_view(ol_onnx_reader *r, const tensor *t, ol_const **out, olv_error *err) {
    const void *data = t->raw.ptr;
    uint64_t have = t->raw.len;
    size_t need;
    ol_file *file = r->file;
    if (!ol_dtype_bytes(t->dtype, t->count, &need)) return ol_fail(err, OLV_LIMIT, "tensor too large");
    if (t->dtype == OL_STRING) return ol_fail(err, OLV_FORMAT, "strings as raw data");
    if (t->external) {
        if (!t->location.ptr) return ol_fail(err, OLV_FORMAT, "external data without a location");
        OL_TRY(open_external(r, t->location, &file, err));
        have = t->has_length ? t->length : need;
        if (!ol_range_ok(t->offset, have, file->size))
            return ol_fail(err, OLV_FORMAT, "data at %llu of %llu bytes lies outside of '%.200s' (%llu bytes)",
                           (unsigned long long)t->offset, (unsigned long long)have, file->path,
                           (unsigned long long)file->size);
        data = file->size ? file->data + t->offset : NULL;
    }
    if (have != need)
        return ol_fail(err, OLV_FORMAT, "%llu bytes of data found, %zu expected", (unsigned long long)have, need);
    *out = ol_const_bytes(t->dtype, t->rank, t->dims, need ? data : "", need, file, NULL, err);
    return *out ? OLV_OK : err ? err->status : OLV_NOMEM;
}

/* Stores value number i of the typed fields. */
static void store(const tensor *t, uint8_t *p, size_t i, uint64_t bits) {
    int width = ol_dtype_bits(t->dtype);
    size_t each = width < 8 ? 1 : (size_t)width / 8; /* packed types: one byte of elements per value */
    if (t->dtype == OL_C64 || t->dtype == OL_C128) each /= 2;
    memcpy(p + i * each, &bits, each); /* little-endian: the low bytes */
}

static olv_status fill(const tensor *t, ol_bytes m, uint8_t *p, size_t want, olv_error *err) {
    ol_pb_field f;
    size_t i = 0;
    while (ol_pb_next(&m, &f) > 0) {
        int k = typed_index(f.number);
        if (k < 0) continue;
        if (f.wire == typed[k].wire) {
            if (i < want) store(t, p, i++, f.value);
            continue;
        }
        ol_bytes b = ol_pb_message(&f);
        while (ol_bytes_left(&b) && i < want && !b.failed) {
            uint64_t v = typed[k].each == 4 ? ol_bytes_u32(&b) : typed[k].each ? ol_bytes_u64(&b) : ol_bytes_varint(&b);
            store(t, p, i++, v);
        }
        if (b.failed) return malformed(err, "tensor data");
    }
    return OLV_OK;
}

static olv_status make_strings(const tensor *t, ol_bytes m, ol_const **out, olv_error *err) {
    ol_tensor x;
    ol_pb_field f;
    size_t i = 0;
    if (t->n_typed != t->count) return ol_fail(err, OLV_FORMAT, "%zu strings found, %zu expected", t->n_typed, t->count);
    OL_TRY(ol_tensor_init(&x, OL_STRING, t->rank, t->dims, err));
    while (ol_pb_next(&m, &f) > 0)
        if (f.number == 6 && f.wire == 2) ((ol_str *)x.data)[i++] = f.bytes;
    *out = ol_const_tensor(&x, err);
    ol_tensor_deinit(&x);
    return *out ? OLV_OK : err ? err->status : OLV_NOMEM;
}

static olv_status make_typed(const tensor *t, ol_bytes m, ol_const **out, olv_error *err) {
    size_t need, want = t->count;
    int bits = ol_dtype_bits(t->dtype);
    if (t->dtype == OL_STRING) return make_strings(t, m, out, err);
    if (!ol_dtype_bytes(t->dtype, t->count, &need)) return ol_fail(err, OLV_LIMIT, "tensor too large");
    if (bits < 8) want = need;
    if (ol_dtype_class(t->dtype) == 'c') want = 2 * t->count;
    /* Packed types also occur with one element per value. */
    bool spread = bits < 8 && t->n_typed == t->count && t->n_typed != want;
    if (t->n_typed != want && !spread)
        return ol_fail(err, OLV_FORMAT, "%zu values found, %zu expected", t->n_typed, want);
    uint8_t *p = ol_calloc(need + 1, 1), *one = spread ? ol_calloc(t->count + 1, 1) : NULL;
    olv_status s = p && (!spread || one) ? fill(t, m, spread ? one : p, spread ? t->count : want, err)
                                         : ol_fail(err, OLV_NOMEM, "no memory for a tensor");
    for (size_t i = 0; s == OLV_OK && spread && i < t->count; i++)
        p[i * (size_t)bits / 8] |= (uint8_t)((one[i] & ((1 << bits) - 1)) << (i * (size_t)bits % 8));
    ol_free(one);
    *out = s == OLV_OK ? ol_const_bytes(t->dtype, t->rank, t->dims, p, need, NULL, ol_free, err) : NULL;
    if (!*out) {
        ol_free(p);
        return s != OLV_OK ? s : err ? err->status : OLV_NOMEM;
    }
    return OLV_OK;
}

olv_status ol_onnx_tensor(ol_onnx_reader *r, ol_bytes m, ol_const **out, ol_str *name, olv_error *err) {
    tensor t;
    olv_status s = scan(&t, m, err);
    if (s == OLV_OK)
        s = t.has_raw || t.external || t.count == 0 ? (t.dtype == OL_STRING ? make_strings(&t, m, out, err)
                                                                           : make_view(r, &t, out, err))
                                                    : make_typed(&t, m, out, err);
    if (name) *name = t.name;
    return s == OLV_OK ? s : ol_error_at(err, "tensor '%.*s'", (int)(t.name.len > 200 ? 200 : t.name.len), t.name.ptr ? t.name.ptr : "");
}

/* values [NNZ] and indices [NNZ] or [NNZ, rank] into a dense constant. */
static olv_status densify(ol_const *values, ol_const *indices, int rank, const int64_t *dims, ol_tensor *y,
                          olv_error *err) {
    ol_tensor v = {.dtype = OL_DTYPE_NONE}, ix = {.dtype = OL_DTYPE_NONE};
    olv_status s = ol_const_materialize(values, 1u << 28, &v, err);
    if (s == OLV_OK) s = ol_const_materialize(indices, 1u << 28, &ix, err);
    int64_t n = s == OLV_OK ? ol_tensor_count(&v) : 0, total = ol_tensor_count(y);
    bool tuples = ix.rank == 2;
    if (s == OLV_OK && (ix.dtype != OL_I64 || ol_tensor_count(&ix) != n * (tuples ? rank : 1) || ol_dtype_bits(v.dtype) < 8 ||
                        v.dtype == OL_STRING))
        s = ol_fail(err, OLV_FORMAT, "malformed sparse tensor");
    size_t each = s == OLV_OK ? (size_t)ol_dtype_bits(v.dtype) / 8 : 0;
    for (int64_t i = 0; s == OLV_OK && i < n; i++) {
        const int64_t *p = (const int64_t *)ix.data + i * (tuples ? rank : 1);
        int64_t at = tuples ? 0 : p[0];
        for (int d = 0; tuples && d < rank; d++) at = p[d] < 0 || p[d] >= dims[d] || at < 0 ? -1 : at * dims[d] + p[d];
        if (at < 0 || at >= total) s = ol_fail(err, OLV_FORMAT, "index of a sparse tensor out of range");
        else memcpy((char *)y->data + (size_t)at * each, (const char *)v.data + (size_t)i * each, each);
    }
    ol_tensor_deinit(&v);
    ol_tensor_deinit(&ix);
    return s;
}

olv_status ol_onnx_sparse(ol_onnx_reader *r, ol_bytes m, ol_const **out, ol_str *name, olv_error *err) {
    ol_pb_field f;
    ol_const *values = NULL, *indices = NULL;
    tensor t = {.dtype = OL_DTYPE_NONE};
    olv_status s = OLV_OK;
    while (s == OLV_OK && ol_pb_next(&m, &f) > 0) {
        if (f.number == 1 && f.wire == 2 && !values) s = ol_onnx_tensor(r, ol_pb_message(&f), &values, name, err);
        else if (f.number == 2 && f.wire == 2 && !indices) s = ol_onnx_tensor(r, ol_pb_message(&f), &indices, NULL, err);
        else if (f.number == 3) {
            f.number = 1;
            s = scan_field(&t, &f, err);
        }
    }
    if (s == OLV_OK && (m.failed || !values || !indices)) s = malformed(err, "sparse tensor");
    ol_tensor y = {.dtype = OL_DTYPE_NONE};
    int64_t n = 1;
    for (int i = 0; s == OLV_OK && i < t.rank; i++)
        if (!ol_mul_i64(n, t.dims[i], &n) || n > 1 << 28) s = ol_fail(err, OLV_LIMIT, "sparse tensor too large");
    if (s == OLV_OK) s = ol_tensor_init(&y, ol_const_dtype(values), t.rank, t.dims, err);
    if (s == OLV_OK) s = densify(values, indices, t.rank, t.dims, &y, err);
    if (s == OLV_OK && !(*out = ol_const_tensor(&y, err))) s = err ? err->status : OLV_NOMEM;
    ol_tensor_deinit(&y);
    ol_const_release(values);
    ol_const_release(indices);
    return s;
}

static olv_status shape(ol_dim_table *dims, ol_bytes m, ol_type *t, olv_error *err) {
    ol_pb_field f, g;
    t->rank = 0;
    while (ol_pb_next(&m, &f) > 0) {
        if (f.number != 1 || f.wire != 2) continue;
        if (t->rank == OL_MAX_RANK) return ol_fail(err, OLV_LIMIT, "rank above %d", OL_MAX_RANK);
        ol_bytes d = ol_pb_message(&f);
        ol_dim dim = OL_DIM_NONE;
        while (ol_pb_next(&d, &g) > 0) {
            char text[256];
            if (g.number == 1 && g.wire == 0 && (int64_t)g.value >= 0) dim = (int64_t)g.value;
            if (g.number == 2 && g.wire == 2 && g.bytes.len && g.bytes.len < sizeof text &&
                !memchr(g.bytes.ptr, 0, g.bytes.len)) {
                memcpy(text, g.bytes.ptr, g.bytes.len);
                text[g.bytes.len] = 0;
                dim = ol_dim_symbol(dims, text);
            }
        }
        if (d.failed) return malformed(err, "shape");
        if (dim == OL_DIM_NONE) dim = ol_dim_fresh(dims, "d");
        if (dim == OL_DIM_NONE) return ol_fail(err, OLV_NOMEM, "no memory for a dim");
        t->dims[t->rank++] = dim;
    }
    return m.failed ? malformed(err, "shape") : OLV_OK;
}

static olv_status type_at(ol_onnx_reader *r, ol_dim_table *dims, ol_bytes m, ol_type *out, int depth, olv_error *err);

/* TypeProto.Map: key_type 1, value_type 2 (tensors alone). */
static olv_status map_type(ol_onnx_reader *r, ol_dim_table *dims, ol_bytes m, ol_type *out, int depth, olv_error *err) {
    ol_pb_field f;
    ol_type value = {.kind = OL_VALUE_TENSOR};
    ol_dtype key = OL_DTYPE_NONE;
    while (ol_pb_next(&m, &f) > 0) {
        if (f.number == 1 && f.wire == 0) key = ol_dtype_from_onnx((int64_t)f.value);
        if (f.number == 2 && f.wire == 2) OL_TRY(type_at(r, dims, ol_pb_message(&f), &value, depth + 1, err));
    }
    if (m.failed) return malformed(err, "type");
    if (value.kind != OL_VALUE_TENSOR || key == OL_DTYPE_NONE) return ol_fail(err, OLV_UNSUPPORTED, "a map to values that are no tensors");
    *out = (ol_type){.kind = OL_VALUE_SEQUENCE, .map_key = key, .dtype = value.dtype, .rank = -1};
    return OLV_OK;
}

static olv_status type_at(ol_onnx_reader *r, ol_dim_table *dims, ol_bytes m, ol_type *out, int depth, olv_error *err) {
    ol_pb_field f, g;
    if (depth > 3) return ol_fail(err, OLV_UNSUPPORTED, "nested type");
    *out = (ol_type){.kind = OL_VALUE_TENSOR, .rank = -1};
    while (ol_pb_next(&m, &f) > 0) {
        if (f.wire != 2) continue;
        ol_bytes t = ol_pb_message(&f);
        if (f.number == 1) {
            while (ol_pb_next(&t, &g) > 0) {
                if (g.number == 1 && g.wire == 0) out->dtype = ol_dtype_from_onnx((int64_t)g.value);
                if (g.number == 2 && g.wire == 2) OL_TRY(shape(dims, ol_pb_message(&g), out, err));
            }
        } else if (f.number == 4 || f.number == 9) {
            ol_type inner = {.kind = OL_VALUE_TENSOR, .rank = -1};
            while (ol_pb_next(&t, &g) > 0)
                if (g.number == 1 && g.wire == 2) OL_TRY(type_at(r, dims, ol_pb_message(&g), &inner, depth + 1, err));
            bool seq = inner.kind == OL_VALUE_SEQUENCE;
            if (inner.map_key != OL_DTYPE_NONE && (f.number == 9 || inner.sequence_inside)) return ol_fail(err, OLV_UNSUPPORTED, "nested maps");
            *out = inner;
            out->kind = f.number == 4 ? OL_VALUE_SEQUENCE : OL_VALUE_OPTIONAL;
            out->sequence_inside = seq && (f.number == 9 || inner.map_key != OL_DTYPE_NONE);
        } else if (f.number == 5) {
            OL_TRY(map_type(r, dims, t, out, depth, err));
        } else if (f.number == 7 || f.number == 8) {
            return ol_fail(err, OLV_UNSUPPORTED, "value that is opaque or sparse");
        }
        if (t.failed) return malformed(err, "type");
    }
    return m.failed ? malformed(err, "type") : OLV_OK;
}

olv_status ol_onnx_type(ol_onnx_reader *r, ol_dim_table *dims, ol_bytes m, ol_type *out, olv_error *err) {
    return type_at(r, dims, m, out, 0, err);
}
