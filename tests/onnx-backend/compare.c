/* SPDX-License-Identifier: Apache-2.0 */
#include "compare.h"
#include <math.h>
#include <stdio.h>

static bool near(double a, double b, double rtol, double atol) {
    if (isnan(a) || isnan(b)) return isnan(a) && isnan(b);
    if (isinf(a) || isinf(b)) return a == b;
    return fabs(a - b) <= atol + rtol * fabs(b);
}

static bool compare_complex(const ol_tensor *a, const ol_tensor *b, int64_t i, double rtol, double atol) {
    for (int k = 0; k < 2; k++) {
        double x = a->dtype == OL_C64 ? (double)((const float *)a->data)[2 * i + k] : ((const double *)a->data)[2 * i + k];
        double y = a->dtype == OL_C64 ? (double)((const float *)b->data)[2 * i + k] : ((const double *)b->data)[2 * i + k];
        if (!near(x, y, rtol, atol)) return false;
    }
    return true;
}

static bool compare_tensors(const ol_tensor *a, const ol_tensor *b, double rtol, double atol, char *text, size_t size) {
    char ta[160], tb[160];
    ol_tensor_describe(a, ta, sizeof ta);
    ol_tensor_describe(b, tb, sizeof tb);
    bool same = a->dtype == b->dtype && a->rank == b->rank;
    for (int i = 0; same && i < a->rank; i++) same = a->dims[i] == b->dims[i];
    if (!same) {
        snprintf(text, size, "%s found, %s expected", ta, tb);
        return false;
    }
    for (int64_t i = 0, n = ol_tensor_count(a); i < n; i++) {
        if (a->dtype == OL_STRING) {
            ol_str x = ((const ol_str *)a->data)[i], y = ((const ol_str *)b->data)[i];
            if (ol_str_eq(x, y)) continue;
            snprintf(text, size, "element %lld: '%.*s' found, '%.*s' expected", (long long)i, (int)x.len, x.ptr, (int)y.len, y.ptr);
            return false;
        }
        if (ol_dtype_class(a->dtype) == 'c') {
            if (compare_complex(a, b, i, rtol, atol)) continue;
            snprintf(text, size, "%s element %lld", ta, (long long)i);
            return false;
        }
        double x = ol_elem_get(a->dtype, a->data, (uint64_t)i), y = ol_elem_get(b->dtype, b->data, (uint64_t)i);
        if (ol_dtype_class(a->dtype) == 'f' ? near(x, y, rtol, atol) : x == y) continue;
        snprintf(text, size, "%s element %lld: %.9g found, %.9g expected", ta, (long long)i, x, y);
        return false;
    }
    return true;
}

bool compare_datums(const ol_datum *have, const ol_datum *want, double rtol, double atol, char *text, size_t size) {
    if (want->kind == OL_VALUE_OPTIONAL || have->kind == OL_VALUE_OPTIONAL) {
        if (have->present != want->present) {
            snprintf(text, size, "optional: %d found, %d expected", have->present, want->present);
            return false;
        }
        if (!want->present) return true;
    } else if (have->kind != want->kind) {
        snprintf(text, size, "value of kind %d found, %d expected", (int)have->kind, (int)want->kind);
        return false;
    }
    if (have->n_items != want->n_items) {
        snprintf(text, size, "%zu items found, %zu expected", have->n_items, want->n_items);
        return false;
    }
    for (size_t i = 0; i < want->n_items; i++)
        if (!compare_datums(&have->items[i], &want->items[i], rtol, atol, text, size)) return false;
    if (want->tensor.dtype == OL_DTYPE_NONE && have->tensor.dtype == OL_DTYPE_NONE) return true;
    return compare_tensors(&have->tensor, &want->tensor, rtol, atol, text, size);
}
