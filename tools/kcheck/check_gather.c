/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/gather/gather.h"
#include "kernels/kcheck.h"

static size_t count(void) {
    int n;
    olk_gather_variants(&n);
    return (size_t)n;
}
static const olk_gather *at(size_t i) {
    int n;
    return olk_gather_variants(&n)[i];
}
static kc_variant variant(size_t i) {
    return (kc_variant){at(i)->name, at(i)->cpu};
}

/* Quantized tables are the matter of tests/unit/kernels/test_gather.c. */
static void check(kc *k, size_t i) {
    static const ol_dtype types[] = {OL_F32, OL_F16, OL_BF16, OL_F64, OL_F8E4M3};
    ol_dtype t = types[kc_int(k, 0, 4)];
    size_t element = (size_t)ol_dtype_bits(t) / 8;
    int64_t n = kc_int(k, 1, 9), dim = kc_size(k, 16, 100), ld = dim + kc_int(k, 0, 3), count_ = kc_int(k, 0, 5), ids[5];
    float scale = kc_chance(k, 2) ? 1 : 1 + kc_float(k);
    olk_weight w = {.dtype = t, .row_bytes = ((size_t)dim + (size_t)kc_int(k, 0, 2)) * element, .n = n, .k = dim};
    kc_describe(k, "%s [%lld, %lld] %lld ids scale %g", ol_dtype_name(t), (long long)n, (long long)dim, (long long)count_, (double)scale);
    size_t bytes = (size_t)(n - 1) * w.row_bytes + (size_t)dim * element, size = count_ ? (size_t)((count_ - 1) * ld + dim) : 0;
    uint8_t *data = kc_alloc(k, bytes, 64, element * (size_t)kc_int(k, 0, 7));
    float *y = kc_alloc(k, size * 4, 64, 4 * (size_t)kc_int(k, 0, 15));
    kc_fill_typed(k, (int)t, data, bytes / element, 1);
    kc_protect(k, data);
    w.data = data;
    for (int64_t j = 0; j < count_; j++) ids[j] = kc_chance(k, 8) ? (kc_chance(k, 2) ? -1 : n) : kc_int(k, 0, n - 1);
    at(i)->rows(&w, ids, count_, scale, y, ld);
    for (int64_t j = 0; j < count_; j++)
        for (int64_t d = 0; d < dim; d++) {
            float want = 0;
            if (ids[j] >= 0 && ids[j] < n) want = (float)ol_elem_get(t, data + (size_t)ids[j] * w.row_bytes, (uint64_t)d) * scale;
            if (!kc_same_f32(k, "y", y + j * ld + d, &want, 1)) return;
        }
}

const kc_family kc_family_gather = {"gather", count, variant, check, NULL};
