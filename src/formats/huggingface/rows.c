/* SPDX-License-Identifier: Apache-2.0 */
#include "formats/huggingface/rows.h"

#include "base/alloc.h"
#include "base/error.h"

#include <stdio.h>

static int64_t row_of(ol_hf_rows r, int64_t i) {
    return r.first + i / r.count * r.stride + i % r.count;
}

static ol_const *pick(ol_hf_build *b, ol_const *all, ol_hf_rows r) {
    ol_const *v = NULL;
    if (r.groups == 1) {
        v = ol_const_slice_rows(all, r.first, r.count, &b->error);
    } else {
        int64_t n = r.groups * r.count;
        int32_t *order = ol_calloc((size_t)n, sizeof *order);
        for (int64_t i = 0; order && i < n; i++) order[i] = (int32_t)row_of(r, i);
        if (!order)
            ol_hf_build_fail(b, OLV_NOMEM, "out of memory");
        else
            v = ol_const_permute_rows(all, order, n, &b->error);
        ol_free(order);
    }
    if (!v) b->failed = true;
    return v;
}

/* The rows of the bias plus `add`; NULL where there is neither. */
static float *bias_rows(ol_hf_build *b, const char *part, int64_t total, ol_hf_rows r,
                        const float *add) {
    int64_t n = r.groups * r.count;
    float *all = ol_hf_vector(b, part, ".bias", total, 0, false), *v = NULL;
    if (!all && !add) return NULL;
    if (!(v = ol_calloc((size_t)n, sizeof *v))) ol_hf_build_fail(b, OLV_NOMEM, "out of memory");
    for (int64_t i = 0; v && i < n; i++) v[i] = (all ? all[row_of(r, i)] : 0) + (add ? add[i] : 0);
    ol_free(all);
    return v;
}

ol_value *ol_hf_linear_rows(ol_hf_build *b, ol_value *x, const char *part, const char *what,
                            int64_t total, int64_t k, ol_hf_rows rows, const float *add) {
    if (b->failed) return NULL;
    ol_const *all = ol_hf_weight(b, part, total, k);
    if (!all) return NULL;
    ol_const *view = pick(b, all, rows);
    ol_const_release(all);
    char name[300];
    const ol_st_tensor *t = ol_hf_find(b, part, ".weight");
    snprintf(name, sizeof name, "%s.%s", t ? t->name.ptr : part, what);
    ol_value *w = ol_hf_constant(b, name, view);
    ol_value *bias =
        ol_hf_vector_value(b, NULL, bias_rows(b, part, total, rows, add), rows.groups * rows.count);
    return ol_hf_linear_of(b, x, w, bias);
}
