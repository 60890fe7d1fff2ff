/* SPDX-License-Identifier: Apache-2.0 */
#include "formats/npy/npy.h"
#include "base/alloc.h"
#include "base/checked.h"
#include "base/error.h"
#include <stdio.h>
#include <stdlib.h>

static const struct {
    char kind;
    int bytes;
    ol_dtype dtype;
} kinds[] = {{'f', 2, OL_F16}, {'f', 4, OL_F32}, {'f', 8, OL_F64}, {'i', 1, OL_I8},  {'i', 2, OL_I16},
             {'i', 4, OL_I32}, {'i', 8, OL_I64}, {'u', 1, OL_U8},  {'u', 2, OL_U16}, {'u', 4, OL_U32},
             {'u', 8, OL_U64}, {'b', 1, OL_BOOL}, {'c', 8, OL_C64}, {'c', 16, OL_C128}};

/* ---- reading ---- */

typedef struct header {
    char order, kind; /* '<', '>', '|' or '='; letter of the type */
    int64_t size;     /* after the letter */
    bool columns;
    int rank;
    int64_t dims[OL_MAX_RANK];
} header;

/* The text after `'key':` in the dictionary, or NULL. */
static const char *find_key(const char *dict, const char *key) {
    char quoted[32];
    for (int q = 0; q < 2; q++) {
        snprintf(quoted, sizeof quoted, q ? "\"%s\"" : "'%s'", key);
        const char *p = strstr(dict, quoted);
        if (!p) continue;
        p += strlen(quoted);
        while (*p == ' ') p++;
        if (*p != ':') continue;
        p++;
        while (*p == ' ') p++;
        return p;
    }
    return NULL;
}

static bool read_shape(const char *p, header *h) {
    if (!p || *p++ != '(') return false;
    while (*p != ')') {
        char *end;
        while (*p == ' ' || *p == ',') p++;
        if (*p == ')') break;
        long long v = strtoll(p, &end, 10);
        if (end == p || v < 0 || h->rank == OL_MAX_RANK) return false;
        h->dims[h->rank++] = v;
        p = end;
        if (*p == 'L') p++;
    }
    return true;
}

static bool read_dict(const char *dict, header *h) {
    const char *descr = find_key(dict, "descr"), *columns = find_key(dict, "fortran_order");
    if (!descr || !columns || (*descr != '\'' && *descr != '"')) return false;
    descr++;
    h->order = strchr("<>|=", *descr) && *descr ? *descr++ : '=';
    h->kind = *descr ? *descr++ : 0;
    char *end;
    h->size = strtoll(descr, &end, 10);
    h->columns = !strncmp(columns, "True", 4);
    return (*end == '\'' || *end == '"') && h->size >= 0 && read_shape(find_key(dict, "shape"), h);
}

static void swap_bytes(uint8_t *p, size_t count, size_t item) {
    for (size_t i = 0; i < count; i++, p += item)
        for (size_t k = 0; k < item / 2; k++) {
            uint8_t x = p[k];
            p[k] = p[item - 1 - k];
            p[item - 1 - k] = x;
        }
}

/* Columns to rows: element at index (i0, i1, ..) of the file lies at i0 + d0 * (i1 + ...). */
static void order_rows(ol_tensor *t, const uint8_t *from, size_t item) {
    int64_t n = ol_tensor_count(t), at[OL_MAX_RANK] = {0};
    for (int64_t i = 0; i < n; i++) {
        int64_t k = 0;
        for (int d = t->rank - 1; d >= 0; d--) k = k * t->dims[d] + at[d];
        memcpy((uint8_t *)t->data + (size_t)i * item, from + (size_t)k * item, item);
        for (int d = t->rank - 1; d >= 0 && ++at[d] == t->dims[d]; d--) at[d] = 0;
    }
}

static olv_status read_numbers(const header *h, ol_dtype dtype, const uint8_t *p, size_t left, ol_tensor *out, olv_error *err) {
    size_t item = (size_t)ol_dtype_bits(dtype) / 8, need = item;
    for (int i = 0; i < h->rank; i++)
        if (!ol_mul_size(need, (size_t)h->dims[i], &need)) return ol_fail(err, OLV_LIMIT, "npy: shape too large");
    if (need != left) return ol_fail(err, OLV_FORMAT, "npy: %zu bytes of data, %zu expected", left, need);
    OL_TRY(ol_tensor_init(out, dtype, h->rank, h->dims, err));
    if (h->columns && h->rank > 1) order_rows(out, p, item);
    else if (need) memcpy(out->data, p, need);
    size_t part = ol_dtype_class(dtype) == 'c' ? item / 2 : item;
    if (h->order == '>' && part > 1) swap_bytes(out->data, need / part, part);
    return OLV_OK;
}

/* Strings of fixed length: bytes ('S') or UTF-32 ('U'), filled up with zeros. */
static olv_status read_strings(const header *h, const uint8_t *p, size_t left, ol_tensor *out, olv_error *err) {
    size_t item = (size_t)h->size * (h->kind == 'U' ? 4 : 1), need = item, at = 0;
    for (int i = 0; i < h->rank; i++)
        if (!ol_mul_size(need, (size_t)h->dims[i], &need)) return ol_fail(err, OLV_LIMIT, "npy: shape too large");
    if (need != left) return ol_fail(err, OLV_FORMAT, "npy: %zu bytes of data, %zu expected", left, need);
    if (h->columns && h->rank > 1) return ol_fail(err, OLV_UNSUPPORTED, "npy: strings in column order");
    OL_TRY(ol_tensor_init(out, OL_STRING, h->rank, h->dims, err));
    if (!(out->strings = ol_alloc(left + 1))) {
        ol_tensor_deinit(out);
        return ol_fail(err, OLV_NOMEM, "no memory for strings");
    }
    for (int64_t i = 0; i < ol_tensor_count(out); i++) {
        const uint8_t *s = p + (size_t)i * item;
        size_t start = at, n = (size_t)h->size;
        for (size_t k = 0; k < n; k++) {
            if (h->kind == 'S') {
                out->strings[at++] = (char)s[k];
                continue;
            }
            const uint8_t *c = s + 4 * k;
            uint32_t cp = h->order == '>' ? (uint32_t)c[0] << 24 | (uint32_t)c[1] << 16 | (uint32_t)c[2] << 8 | c[3]
                                          : (uint32_t)c[3] << 24 | (uint32_t)c[2] << 16 | (uint32_t)c[1] << 8 | c[0];
            char utf8[4];
            int len = cp > 0x10ffff ? 0 : ol_utf8_encode((int32_t)cp, utf8);
            memcpy(out->strings + at, utf8, (size_t)len);
            at += (size_t)len;
        }
        while (at > start && out->strings[at - 1] == 0) at--;
        ((ol_str *)out->data)[i] = (ol_str){out->strings + start, at - start};
    }
    return OLV_OK;
}

olv_status ol_npy_read(const void *data, size_t len, ol_tensor *out, olv_error *err) {
    const uint8_t *p = data;
    header h = {0};
    if (len < 10 || memcmp(p, "\x93NUMPY", 6)) return ol_fail(err, OLV_FORMAT, "this is no .npy file");
    size_t start = p[6] >= 2 ? 12 : 10;
    size_t n = p[6] >= 2 && len >= 12 ? (size_t)p[8] | (size_t)p[9] << 8 | (size_t)p[10] << 16 | (size_t)p[11] << 24
                                      : (size_t)p[8] | (size_t)p[9] << 8;
    if (len < start || n > len - start || n > 1u << 20) return ol_fail(err, OLV_FORMAT, "npy: the header is longer than the file");
    char *dict = ol_alloc(n + 1);
    if (!dict) return ol_fail(err, OLV_NOMEM, "no memory for a header");
    memcpy(dict, p + start, n);
    dict[n] = 0;
    bool good = read_dict(dict, &h);
    ol_free(dict);
    if (!good) return ol_fail(err, OLV_FORMAT, "npy: malformed header");
    p += start + n;
    if (h.kind == 'S' || h.kind == 'U') return read_strings(&h, p, len - start - n, out, err);
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (kinds[i].kind == h.kind && kinds[i].bytes == h.size)
            return read_numbers(&h, kinds[i].dtype, p, len - start - n, out, err);
    return ol_fail(err, OLV_UNSUPPORTED, "npy: element type '%c%lld'", h.kind, (long long)h.size);
}

/* ---- writing ---- */

static size_t longest_string(const ol_tensor *t) {
    size_t most = 1;
    for (int64_t i = 0; i < ol_tensor_count(t); i++) {
        ol_str s = ((const ol_str *)t->data)[i];
        size_t n = ol_utf8_count(s.ptr, s.len);
        if (n > most) most = n;
    }
    return most;
}

static void write_header(ol_buf *out, const char *descr, const ol_tensor *t) {
    char dict[512];
    size_t n = (size_t)snprintf(dict, sizeof dict, "{'descr': '%s', 'fortran_order': False, 'shape': (", descr);
    for (int i = 0; i < t->rank && n < sizeof dict; i++)
        n += (size_t)snprintf(dict + n, sizeof dict - n, "%lld,%s", (long long)t->dims[i], i + 1 < t->rank ? " " : "");
    n += (size_t)snprintf(dict + n, sizeof dict - n, "), }");
    size_t total = (10 + n + 1 + 63) / 64 * 64;
    ol_buf_append(out, "\x93NUMPY\x01\x00", 8);
    ol_buf_putc(out, (char)((total - 10) & 255));
    ol_buf_putc(out, (char)((total - 10) >> 8));
    ol_buf_append(out, dict, n);
    for (size_t i = 10 + n; i + 1 < total; i++) ol_buf_putc(out, ' ');
    ol_buf_putc(out, '\n');
}

static void write_strings(const ol_tensor *t, ol_buf *out) {
    size_t width = longest_string(t);
    char descr[32];
    snprintf(descr, sizeof descr, "<U%zu", width);
    write_header(out, descr, t);
    for (int64_t i = 0; i < ol_tensor_count(t); i++) {
        ol_str s = ((const ol_str *)t->data)[i];
        size_t done = 0;
        for (size_t at = 0; at < s.len; done++) {
            int32_t cp;
            at += (size_t)ol_utf8_decode(s.ptr + at, s.len - at, &cp);
            uint32_t c = cp < 0 ? 0xfffd : (uint32_t)cp;
            char le[4] = {(char)c, (char)(c >> 8), (char)(c >> 16), (char)(c >> 24)};
            ol_buf_append(out, le, 4);
        }
        for (; done < width; done++) ol_buf_append(out, "\0\0\0", 4);
    }
}

/* As a type that NumPy has, element by element. */
static void write_converted(const ol_tensor *t, ol_buf *out) {
    char cls = ol_dtype_class(t->dtype);
    ol_dtype to = cls == 'f' ? OL_F32 : cls == 's' ? OL_I8 : OL_U8;
    write_header(out, to == OL_F32 ? "<f4" : to == OL_I8 ? "|i1" : "|u1", t);
    for (int64_t i = 0; i < ol_tensor_count(t); i++) {
        uint32_t item = 0;
        ol_elem_set(to, &item, 0, ol_elem_get(t->dtype, t->data, (uint64_t)i));
        ol_buf_append(out, &item, (size_t)ol_dtype_bits(to) / 8);
    }
}

olv_status ol_npy_write(const ol_tensor *t, ol_buf *out, olv_error *err) {
    if (!out->max) out->max = SIZE_MAX / 2;
    if (t->dtype == OL_STRING) {
        write_strings(t, out);
    } else {
        size_t k = 0;
        while (k < sizeof kinds / sizeof *kinds && kinds[k].dtype != t->dtype) k++;
        if (k < sizeof kinds / sizeof *kinds) {
            char descr[8];
            snprintf(descr, sizeof descr, "%c%c%d", kinds[k].bytes == 1 ? '|' : '<', kinds[k].kind, kinds[k].bytes);
            write_header(out, descr, t);
            if (t->bytes) ol_buf_append(out, t->data, t->bytes);
        } else {
            write_converted(t, out);
        }
    }
    return out->failed ? ol_fail(err, OLV_NOMEM, "no memory to write a tensor") : OLV_OK;
}
