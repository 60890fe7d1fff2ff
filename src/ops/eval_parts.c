/* SPDX-License-Identifier: Apache-2.0 */
/* Pieces of reference evaluation that many operators use. */
#include "ops/ops.h"

bool ol_is_float(ol_dtype t) { return t != OL_DTYPE_NONE && ol_dtype_class(t) == 'f'; }
bool ol_is_int(ol_dtype t) {
    char c = t == OL_DTYPE_NONE ? '?' : ol_dtype_class(t);
    return c == 's' || c == 'u';
}

olv_status ol_eval_need(const ol_eval *c, int i, const ol_tensor **out, olv_error *err) {
    const ol_tensor *t = ol_eval_in(c, i);
    if (!t) return ol_fail(err, OLV_ARG, "input %d is missing", i);
    if (c->in[i]->kind != OL_VALUE_TENSOR || t->dtype == OL_DTYPE_NONE)
        return ol_fail(err, OLV_ARG, "input %d is no tensor", i);
    *out = t;
    return OLV_OK;
}

olv_status ol_tensor_f64(const ol_tensor *t, double **out, olv_error *err) {
    int64_t n = ol_tensor_count(t);
    char cls = ol_dtype_class(t->dtype);
    size_t bytes;
    if (cls == 'z' || cls == 'c') return ol_fail(err, OLV_UNSUPPORTED, "%s is no real number", ol_dtype_name(t->dtype));
    if (n < 0 || !ol_mul_size((size_t)n, sizeof(double), &bytes)) return ol_fail(err, OLV_LIMIT, "tensor too large");
    double *v = ol_alloc(bytes);
    if (!v) return ol_fail(err, OLV_NOMEM, "no memory for %zu bytes", bytes);
    for (int64_t i = 0; i < n; i++) v[i] = ol_tensor_get(t, i);
    *out = v;
    return OLV_OK;
}

void ol_tensor_store(ol_tensor *t, const double *v) {
    int64_t n = ol_tensor_count(t);
    for (int64_t i = 0; i < n; i++) ol_tensor_set(t, i, v[i]);
}

int64_t ol_tensor_i64(const ol_tensor *t, int64_t i) {
    switch (t->dtype) {
    case OL_I64: return ((const int64_t *)t->data)[i];
    case OL_U64: return (int64_t)((const uint64_t *)t->data)[i];
    case OL_I32: return ((const int32_t *)t->data)[i];
    default: return ol_f64_to_i64(ol_elem_get(t->dtype, t->data, (uint64_t)i));
    }
}

void ol_tensor_set_i64(ol_tensor *t, int64_t i, int64_t v) {
    switch (t->dtype) {
    case OL_I64: ((int64_t *)t->data)[i] = v; break;
    case OL_U64: ((uint64_t *)t->data)[i] = (uint64_t)v; break;
    case OL_I32: ((int32_t *)t->data)[i] = (int32_t)v; break;
    case OL_U32: ((uint32_t *)t->data)[i] = (uint32_t)v; break;
    case OL_I16: ((int16_t *)t->data)[i] = (int16_t)v; break;
    case OL_U16: ((uint16_t *)t->data)[i] = (uint16_t)v; break;
    case OL_I8: ((int8_t *)t->data)[i] = (int8_t)v; break;
    case OL_U8: ((uint8_t *)t->data)[i] = (uint8_t)v; break;
    case OL_BOOL: ((uint8_t *)t->data)[i] = v != 0; break;
    default: ol_elem_set(t->dtype, t->data, (uint64_t)i, (double)v);
    }
}

olv_status ol_tensor_i64s(const ol_tensor *t, int64_t **out, int64_t *n, olv_error *err) {
    int64_t count = ol_tensor_count(t);
    if (!ol_is_int(t->dtype) && t->dtype != OL_BOOL)
        return ol_fail(err, OLV_SHAPE, "%s found, integers expected", ol_dtype_name(t->dtype));
    size_t bytes;
    if (count < 0 || !ol_mul_size((size_t)count, sizeof(int64_t), &bytes))
        return ol_fail(err, OLV_LIMIT, "tensor too large");
    int64_t *v = ol_alloc(bytes);
    if (!v) return ol_fail(err, OLV_NOMEM, "no memory for %zu bytes", bytes);
    for (int64_t i = 0; i < count; i++) v[i] = ol_tensor_i64(t, i);
    *out = v;
    if (n) *n = count;
    return OLV_OK;
}

static void copy_bits(uint8_t *dst, int64_t to, const uint8_t *src, int64_t from, int64_t n, int bits) {
    int per = 8 / bits, mask = (1 << bits) - 1;
    for (int64_t i = 0; i < n; i++) {
        int v = src[(from + i) / per] >> (int)((from + i) % per * bits) & mask;
        uint8_t *d = &dst[(to + i) / per];
        int shift = (int)((to + i) % per * bits);
        *d = (uint8_t)((*d & ~(mask << shift)) | v << shift);
    }
}

void ol_elems_copy(ol_tensor *dst, int64_t to, const ol_tensor *src, int64_t from, int64_t n) {
    int bits = ol_dtype_bits(src->dtype);
    if (n <= 0) return;
    if (bits < 8) {
        copy_bits(dst->data, to, src->data, from, n, bits);
        return;
    }
    size_t each = (size_t)bits / 8;
    memcpy((char *)dst->data + (size_t)to * each, (const char *)src->data + (size_t)from * each, (size_t)n * each);
}

olv_status ol_tensor_own_strings(ol_tensor *t, olv_error *err) {
    if (t->dtype != OL_STRING) return OLV_OK;
    ol_str *s = t->data;
    size_t n = t->bytes / sizeof *s, total = 0;
    for (size_t i = 0; i < n; i++)
        if (!ol_add_size(total, s[i].len, &total)) return ol_fail(err, OLV_LIMIT, "strings too long");
    char *p = ol_alloc(total);
    if (!p) return ol_fail(err, OLV_NOMEM, "no memory for strings");
    t->strings = p;
    for (size_t i = 0; i < n; i++) {
        if (s[i].len) memcpy(p, s[i].ptr, s[i].len);
        s[i].ptr = p;
        p += s[i].len;
    }
    return OLV_OK;
}

int64_t ol_dims_count(const int64_t *dims, int from, int to) {
    int64_t n = 1;
    for (int i = from; i < to; i++) n *= dims[i];
    return n;
}

olv_status ol_walk_init(ol_walk *w, const ol_tensor *const *ts, int n, olv_error *err) {
    *w = (ol_walk){.n = n, .count = 1};
    for (int k = 0; k < n; k++)
        if (ts[k]->rank > w->rank) w->rank = ts[k]->rank;
    for (int d = 0; d < w->rank; d++) {
        w->dims[d] = 1;
        for (int k = 0; k < n; k++) {
            int i = d - (w->rank - ts[k]->rank);
            if (i < 0 || ts[k]->dims[i] == 1) continue;
            if (w->dims[d] != 1 && w->dims[d] != ts[k]->dims[i])
                return ol_fail(err, OLV_SHAPE, "sizes %lld and %lld of dimension %d do not broadcast",
                               (long long)w->dims[d], (long long)ts[k]->dims[i], d);
            w->dims[d] = ts[k]->dims[i];
        }
        if (!ol_mul_i64(w->count, w->dims[d], &w->count)) return ol_fail(err, OLV_LIMIT, "broadcast too large");
    }
    for (int k = 0; k < n; k++) {
        int64_t step = 1;
        for (int i = ts[k]->rank - 1; i >= 0; i--) {
            w->stride[k][i + w->rank - ts[k]->rank] = ts[k]->dims[i] == 1 ? 0 : step;
            step *= ts[k]->dims[i];
        }
    }
    return OLV_OK;
}

void ol_walk_next(ol_walk *w) {
    for (int d = w->rank - 1; d >= 0; d--) {
        for (int k = 0; k < w->n; k++) w->at[k] += w->stride[k][d];
        if (++w->index[d] < w->dims[d]) return;
        for (int k = 0; k < w->n; k++) w->at[k] -= w->stride[k][d] * w->dims[d];
        w->index[d] = 0;
    }
}
