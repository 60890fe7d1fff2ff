/* SPDX-License-Identifier: Apache-2.0 */
/* Values in files: .npy, protobuf, pictures and JSON, told apart by their first bytes. */
#include "base/alloc.h"
#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "formats/npy/npy.h"
#include "formats/onnx/onnx.h"
#include "runtime/picture.h"
#include "runtime/tensor.h"
#include <string.h>

#define MAX_FILE ((size_t)16 << 30)

/* ---- JSON: nested arrays of numbers, truth values or strings ---- */

static olv_status json_shape(const json_t *j, int64_t *dims, int *rank, const json_t **leaf, olv_error *err) {
    *rank = 0;
    while (json_is_array(j)) {
        if (*rank == OL_MAX_RANK) return ol_fail(err, OLV_LIMIT, "arrays inside one another, %d at most", OL_MAX_RANK);
        dims[(*rank)++] = (int64_t)json_array_size(j);
        j = json_array_get(j, 0);
    }
    *leaf = j;
    return OLV_OK;
}

typedef struct leaves {
    ol_tensor *t;
    int64_t next;
    const char **strings;
} leaves;

static olv_status put_leaf(leaves *l, const json_t *j, olv_error *err) {
    int64_t i = l->next++;
    if (l->strings) {
        if (!json_is_string(j)) return ol_fail(err, OLV_FORMAT, "element %lld is no string", (long long)i);
        l->strings[i] = json_string_value(j);
    } else if (json_is_integer(j) && l->t->dtype == OL_I64) {
        ((int64_t *)l->t->data)[i] = json_integer_value(j);
    } else if (json_is_number(j) || json_is_boolean(j)) {
        ol_elem_set(l->t->dtype, l->t->data, (uint64_t)i, json_is_boolean(j) ? json_is_true(j) : json_number_value(j));
    } else {
        return ol_fail(err, OLV_FORMAT, "element %lld is no number", (long long)i);
    }
    return OLV_OK;
}

static olv_status put_leaves(leaves *l, const json_t *j, const int64_t *dims, int rank, olv_error *err) {
    if (rank == 0) return put_leaf(l, j, err);
    if (!json_is_array(j) || (int64_t)json_array_size(j) != dims[0]) return ol_fail(err, OLV_SHAPE, "the arrays are not all of one length");
    for (size_t i = 0; i < json_array_size(j); i++) OL_TRY(put_leaves(l, json_array_get(j, i), dims + 1, rank - 1, err));
    return OLV_OK;
}

olv_status ol_tensor_of_json(const json_t *j, const olv_port *like, olv_tensor **out, olv_error *err) {
    const json_t *leaf = NULL;
    int64_t dims[OL_MAX_RANK];
    int rank;
    OL_TRY(json_shape(j, dims, &rank, &leaf, err));
    olv_dtype dtype = json_is_string(leaf) ? OLV_STRING : like && like->dtype ? like->dtype : json_is_boolean(leaf) ? OLV_BOOL
                                                                    : json_is_integer(leaf) ? OLV_I64 : OLV_F32;
    olv_tensor *t = NULL;
    OL_TRY(olv_tensor_create(dtype, rank, dims, &t, err));
    size_t n = (size_t)ol_tensor_count(&t->datum.tensor);
    leaves l = {&t->datum.tensor, 0, dtype == OLV_STRING ? ol_calloc(n + 1, sizeof(char *)) : NULL};
    olv_status s = dtype == OLV_STRING && !l.strings ? ol_fail(err, OLV_NOMEM, "no memory for strings") : OLV_OK;
    if (s == OLV_OK) s = put_leaves(&l, j, dims, rank, err);
    if (s == OLV_OK && l.strings) {
        olv_tensor_destroy(t);
        t = NULL;
        s = olv_tensor_create_strings(rank, dims, l.strings, NULL, &t, err);
    }
    ol_free(l.strings);
    if (s == OLV_OK) *out = t;
    else olv_tensor_destroy(t);
    return s;
}

static olv_status read_json(const char *text, size_t len, const char *path, const olv_port *like, olv_tensor **out, olv_error *err) {
    json_t *j = NULL;
    OL_TRY(ol_json_parse(text, len, path, &j, err));
    olv_status s = ol_tensor_of_json(j, like, out, err);
    json_decref(j);
    return s;
}

static void put_number(const ol_tensor *t, int64_t i, ol_buf *b) {
    char cls = ol_dtype_class(t->dtype);
    if (t->dtype == OL_I64) ol_buf_printf(b, "%lld", (long long)((const int64_t *)t->data)[i]);
    else if (t->dtype == OL_U64) ol_buf_printf(b, "%llu", (unsigned long long)((const uint64_t *)t->data)[i]);
    else if (cls == 'b') ol_buf_puts(b, ((const uint8_t *)t->data)[i] ? "true" : "false");
    else if (cls == 'z') ol_buf_json_string(b, ((const ol_str *)t->data)[i].ptr, ((const ol_str *)t->data)[i].len);
    else {
        double v = ol_elem_get(t->dtype, t->data, (uint64_t)i);
        if (v != v) ol_buf_puts(b, "NaN");
        else if (v - v != 0) ol_buf_puts(b, v > 0 ? "Infinity" : "-Infinity");
        else ol_buf_printf(b, t->dtype == OL_F64 ? "%.17g" : "%.9g", v);
    }
}

static void put_tensor(const ol_tensor *t, int axis, int64_t *next, ol_buf *b) {
    if (axis == t->rank) {
        put_number(t, (*next)++, b);
        return;
    }
    ol_buf_putc(b, '[');
    for (int64_t i = 0; i < t->dims[axis]; i++) {
        if (i) ol_buf_putc(b, ',');
        put_tensor(t, axis + 1, next, b);
    }
    ol_buf_putc(b, ']');
}

static void put_value(const ol_datum *d, ol_buf *b) {
    int64_t next = 0;
    if (d->kind == OL_VALUE_OPTIONAL && !d->present) {
        ol_buf_puts(b, "null");
    } else if (d->kind == OL_VALUE_SEQUENCE || d->n_items) {
        ol_buf_putc(b, '[');
        for (size_t i = 0; i < d->n_items; i++) {
            if (i) ol_buf_putc(b, ',');
            put_value(&d->items[i], b);
        }
        ol_buf_putc(b, ']');
    } else {
        put_tensor(&d->tensor, 0, &next, b);
    }
}

/* ---- files ---- */

static bool begins_json(const char *p, size_t n) {
    size_t i = 0;
    while (i < n && (p[i] == ' ' || p[i] == '\n' || p[i] == '\r' || p[i] == '\t')) i++;
    return i < n && (p[i] == '[' || p[i] == '"' || p[i] == '-' || (i + 1 >= n && p[i] >= '0' && p[i] <= '9'));
}

static olv_status read_value(const char *data, size_t len, const char *path, const olv_port *like, olv_tensor **out, olv_error *err) {
    if (ol_picture_is(data, len)) return ol_picture_to_tensor(data, len, like, out, err);
    if (begins_json(data, len)) return read_json(data, len, path, like, out, err);
    olv_tensor *t = ol_calloc(1, sizeof *t);
    if (!t) return ol_fail(err, OLV_NOMEM, "no memory for a tensor");
    ol_type type = like ? ol_type_of_port(like) : (ol_type){.kind = OL_VALUE_TENSOR, .rank = -1};
    olv_status s;
    if (len >= 6 && !memcmp(data, "\x93NUMPY", 6)) {
        t->datum.kind = OL_VALUE_TENSOR;
        t->datum.present = true;
        s = ol_npy_read(data, len, &t->datum.tensor, err);
    } else {
        s = ol_onnx_read_value(data, len, &type, &t->datum, err);
    }
    if (s == OLV_OK) *out = t;
    else ol_free(t);
    return s;
}

olv_status olv_tensor_read(const char *path, const olv_port *like, olv_tensor **out, olv_error *err) {
    char *data;
    size_t len;
    OL_TRY(ol_file_read(path, MAX_FILE, &data, &len, err));
    olv_status s = read_value(data, len, path, like, out, err);
    ol_free(data);
    return s == OLV_OK ? s : ol_error_at(err, "%.300s", path);
}

const char *olv_picture_libraries(void) { return ol_picture_libraries(); }

olv_status olv_tensor_write(const olv_tensor *t, const char *path, const char *format, olv_error *err) {
    ol_buf b = OL_BUF_INIT;
    olv_status s;
    b.max = SIZE_MAX / 2;
    if (!strcmp(format, "npy") && t->datum.kind == OL_VALUE_TENSOR) s = ol_npy_write(&t->datum.tensor, &b, err);
    else if (!strcmp(format, "npy") && t->datum.kind == OL_VALUE_OPTIONAL && t->datum.present && !t->datum.n_items)
        s = ol_npy_write(&t->datum.tensor, &b, err);
    else if (!strcmp(format, "npy")) s = ol_fail(err, OLV_UNSUPPORTED, ".npy files hold tensors, not sequences; 'pb' holds both");
    else if (!strcmp(format, "pb")) s = ol_onnx_write_value(&t->datum, &b, err);
    else if (!strcmp(format, "json")) {
        put_value(&t->datum, &b);
        ol_buf_putc(&b, '\n');
        s = b.failed ? ol_fail(err, OLV_NOMEM, "no memory to write a value") : OLV_OK;
    } else {
        s = ol_fail(err, OLV_ARG, "format '%.40s' is none of npy, pb, json", format);
    }
    if (s == OLV_OK) s = ol_file_write_atomic(path, b.data, b.len, err);
    ol_buf_deinit(&b);
    return s;
}
