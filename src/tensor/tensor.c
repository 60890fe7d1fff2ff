/* SPDX-License-Identifier: Apache-2.0 */
#include "tensor/tensor.h"
#include "base/alloc.h"
#include "base/checked.h"
#include "base/error.h"
#include <stdio.h>

int64_t ol_tensor_count(const ol_tensor *t) {
    int64_t n = 1;
    for (int i = 0; i < t->rank; i++) {
        if (t->dims[i] < 0 || !ol_mul_i64(n, t->dims[i], &n)) return -1;
    }
    return n;
}

static olv_status set_form(ol_tensor *t, ol_dtype dtype, int rank, const int64_t *dims, size_t *bytes,
                           olv_error *err) {
    if (ol_dtype_bits(dtype) == 0) return ol_fail(err, OLV_ARG, "tensor without an element type");
    if (rank < 0 || rank > OL_MAX_RANK)
        return ol_fail(err, OLV_LIMIT, "rank %d found, 0 to %d expected", rank, OL_MAX_RANK);
    *t = (ol_tensor){.dtype = dtype, .rank = rank};
    for (int i = 0; i < rank; i++) t->dims[i] = dims[i];
    int64_t n = ol_tensor_count(t);
    char text[160];
    if (n < 0 || !ol_dtype_bytes(dtype, (uint64_t)n, bytes)) {
        ol_tensor_describe(t, text, sizeof text);
        return ol_fail(err, OLV_LIMIT, "%s has no valid size", text);
    }
    return OLV_OK;
}

olv_status ol_tensor_init(ol_tensor *t, ol_dtype dtype, int rank, const int64_t *dims, olv_error *err) {
    ol_tensor r;
    size_t bytes;
    OL_TRY(set_form(&r, dtype, rank, dims, &bytes, err));
    r.data = ol_alloc_aligned(bytes);
    if (!r.data) return ol_fail(err, OLV_NOMEM, "no memory for a tensor of %zu bytes", bytes);
    memset(r.data, 0, bytes);
    r.bytes = bytes;
    r.owned = true;
    *t = r;
    return OLV_OK;
}

olv_status ol_tensor_view(ol_tensor *t, ol_dtype dtype, int rank, const int64_t *dims, const void *data,
                          size_t bytes, olv_error *err) {
    ol_tensor r;
    size_t need;
    OL_TRY(set_form(&r, dtype, rank, dims, &need, err));
    if (need != bytes) {
        char text[160];
        ol_tensor_describe(&r, text, sizeof text);
        return ol_fail(err, OLV_SHAPE, "%zu bytes of data found, %s needs %zu", bytes, text, need);
    }
    r.data = (void *)(uintptr_t)data; /* a view of read-only bytes; `owned` stays false */
    r.bytes = bytes;
    *t = r;
    return OLV_OK;
}

void ol_tensor_deinit(ol_tensor *t) {
    if (!t) return;
    if (t->owned) ol_free_aligned(t->data);
    ol_free(t->strings);
    *t = (ol_tensor){.dtype = OL_DTYPE_NONE};
}

/* Gives the string elements of dst, which still point into another tensor, bytes of their own. */
static olv_status own_strings(ol_tensor *dst, olv_error *err) {
    ol_str *s = dst->data;
    size_t n = dst->bytes / sizeof *s, total = 0;
    for (size_t i = 0; i < n; i++) {
        if (!ol_add_size(total, s[i].len, &total))
            return ol_fail(err, OLV_LIMIT, "strings of a tensor have no valid size");
    }
    dst->strings = ol_alloc(total);
    if (!dst->strings) return ol_fail(err, OLV_NOMEM, "no memory for %zu bytes of strings", total);
    char *p = dst->strings;
    for (size_t i = 0; i < n; i++) {
        if (s[i].len) memcpy(p, s[i].ptr, s[i].len);
        s[i].ptr = p;
        p += s[i].len;
    }
    return OLV_OK;
}

olv_status ol_tensor_copy(ol_tensor *dst, const ol_tensor *src, olv_error *err) {
    ol_tensor r;
    OL_TRY(ol_tensor_init(&r, src->dtype, src->rank, src->dims, err));
    if (r.bytes) memcpy(r.data, src->data, r.bytes);
    if (src->dtype == OL_STRING) {
        olv_status s = own_strings(&r, err);
        if (s != OLV_OK) {
            ol_tensor_deinit(&r);
            return s;
        }
    }
    *dst = r;
    return OLV_OK;
}

void ol_tensor_describe(const ol_tensor *t, char *out, size_t size) {
    if (!size) return;
    int n = snprintf(out, size, "%s[", ol_dtype_name(t->dtype));
    for (int i = 0; i < t->rank && n >= 0 && (size_t)n < size; i++)
        n += snprintf(out + n, size - (size_t)n, i ? ",%lld" : "%lld", (long long)t->dims[i]);
    if (n >= 0 && (size_t)n < size) snprintf(out + n, size - (size_t)n, "]");
}
