/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/tensor.h"
#include "base/alloc.h"
#include "base/checked.h"
#include "base/error.h"
#include <string.h>

const char *olv_dtype_name(olv_dtype t) { return ol_dtype_name(ol_dtype_from_onnx((int64_t)t)); }

static olv_status check_shape(olv_dtype dtype, int rank, const int64_t *dims, ol_dtype *out, olv_error *err) {
    *out = ol_dtype_from_onnx((int64_t)dtype);
    if (*out == OL_DTYPE_NONE) return ol_fail(err, OLV_ARG, "there is no element type %d", (int)dtype);
    if (rank < 0 || rank > OLV_MAX_RANK) return ol_fail(err, OLV_ARG, "rank %d, 0 to %d expected", rank, OLV_MAX_RANK);
    for (int i = 0; i < rank; i++)
        if (dims[i] < 0) return ol_fail(err, OLV_ARG, "size %lld in dimension %d", (long long)dims[i], i);
    return OLV_OK;
}

static olv_status new_tensor(olv_tensor **out, olv_error *err) {
    olv_tensor *t = ol_calloc(1, sizeof *t);
    if (!t) return ol_fail(err, OLV_NOMEM, "no memory for a tensor");
    t->datum.kind = OL_VALUE_TENSOR;
    t->datum.present = true;
    *out = t;
    return OLV_OK;
}

olv_status olv_tensor_create(olv_dtype dtype, int rank, const int64_t *dims, olv_tensor **out, olv_error *err) {
    ol_dtype d;
    olv_tensor *t = NULL;
    OL_TRY(check_shape(dtype, rank, dims, &d, err));
    OL_TRY(new_tensor(&t, err));
    olv_status s = ol_tensor_init(&t->datum.tensor, d, rank, dims, err);
    if (s == OLV_OK) *out = t;
    else ol_free(t);
    return s;
}

olv_status olv_tensor_wrap(olv_dtype dtype, int rank, const int64_t *dims, void *data, size_t bytes, olv_tensor **out, olv_error *err) {
    ol_dtype d;
    olv_tensor *t = NULL;
    OL_TRY(check_shape(dtype, rank, dims, &d, err));
    if (d == OL_STRING) return ol_fail(err, OLV_ARG, "strings cannot be wrapped");
    OL_TRY(new_tensor(&t, err));
    olv_status s = ol_tensor_view(&t->datum.tensor, d, rank, dims, data, bytes, err);
    if (s == OLV_OK) *out = t;
    else ol_free(t);
    return s;
}

olv_status olv_tensor_create_strings(int rank, const int64_t *dims, const char *const *strings, const size_t *lengths,
                                     olv_tensor **out, olv_error *err) {
    olv_tensor *t = NULL;
    OL_TRY(olv_tensor_create(OLV_STRING, rank, dims, &t, err));
    ol_tensor *x = &t->datum.tensor;
    int64_t n = ol_tensor_count(x);
    size_t total = 1;
    for (int64_t i = 0; i < n; i++)
        if (!ol_add_size(total, lengths ? lengths[i] : strlen(strings[i]), &total)) total = SIZE_MAX;
    char *p = x->strings = total < SIZE_MAX ? ol_alloc(total) : NULL;
    if (!p) {
        olv_tensor_destroy(t);
        return ol_fail(err, OLV_NOMEM, "no memory for strings");
    }
    for (int64_t i = 0; i < n; i++) {
        size_t len = lengths ? lengths[i] : strlen(strings[i]);
        if (len) memcpy(p, strings[i], len);
        ((ol_str *)x->data)[i] = (ol_str){p, len};
        p += len;
    }
    *out = t;
    return OLV_OK;
}

olv_status olv_tensor_copy(const olv_tensor *from, olv_tensor **out, olv_error *err) {
    olv_tensor *t = NULL;
    OL_TRY(new_tensor(&t, err));
    olv_status s = ol_datum_copy(&t->datum, &from->datum, err);
    if (s == OLV_OK) *out = t;
    else ol_free(t);
    return s;
}

void olv_tensor_destroy(olv_tensor *t) {
    if (!t) return;
    ol_datum_deinit(&t->datum);
    ol_free(t);
}

olv_kind olv_tensor_get_kind(const olv_tensor *t) { return (olv_kind)t->datum.kind; }
bool olv_tensor_is_present(const olv_tensor *t) { return t->datum.kind != OL_VALUE_OPTIONAL || t->datum.present; }
olv_dtype olv_tensor_get_dtype(const olv_tensor *t) {
    return t->datum.tensor.dtype == OL_DTYPE_NONE ? OLV_DTYPE_NONE : (olv_dtype)ol_dtype_onnx(t->datum.tensor.dtype);
}
int olv_tensor_get_rank(const olv_tensor *t) { return t->datum.tensor.rank; }
const int64_t *olv_tensor_get_dims(const olv_tensor *t) { return t->datum.tensor.dims; }
int64_t olv_tensor_get_count(const olv_tensor *t) { return ol_tensor_count(&t->datum.tensor); }
void *olv_tensor_get_data(const olv_tensor *t) { return t->datum.tensor.dtype == OL_STRING ? NULL : t->datum.tensor.data; }
size_t olv_tensor_get_bytes(const olv_tensor *t) { return t->datum.tensor.bytes; }

const char *olv_tensor_get_string(const olv_tensor *t, int64_t i, size_t *length) {
    const ol_tensor *x = &t->datum.tensor;
    if (x->dtype != OL_STRING || i < 0 || i >= ol_tensor_count(x)) return NULL;
    const ol_str *s = (const ol_str *)x->data + i;
    if (length) *length = s->len;
    return s->ptr;
}

size_t olv_tensor_n_items(const olv_tensor *t) { return t->datum.n_items; }
const olv_tensor *olv_tensor_get_item(const olv_tensor *t, size_t i) {
    return i < t->datum.n_items ? (const olv_tensor *)&t->datum.items[i] : NULL;
}

void ol_port_of(const ol_value *v, const olv_range *ranges, olv_port *out) {
    *out = (olv_port){.name = v->name, .kind = (olv_kind)v->type.kind, .rank = v->type.rank, .has_default = v->is_input && v->constant};
    if (v->type.dtype != OL_DTYPE_NONE) out->dtype = (olv_dtype)ol_dtype_onnx(v->type.dtype);
    for (int i = 0; i < v->type.rank; i++) {
        bool known = ol_dim_known(v->type.dims[i]);
        out->dims[i] = known ? v->type.dims[i] : -1;
        out->ranges[i] = known ? (olv_range){v->type.dims[i], v->type.dims[i]} : ranges ? ranges[i] : (olv_range){0, -1};
    }
}

ol_type ol_type_of_port(const olv_port *p) {
    ol_type t = {.kind = (ol_value_kind)p->kind, .dtype = ol_dtype_from_onnx((int64_t)p->dtype), .rank = p->rank};
    for (int i = 0; i < p->rank; i++) t.dims[i] = p->dims[i];
    return t;
}
