/* SPDX-License-Identifier: Apache-2.0 */
/* Tensors that belong to a quantized weight, and planar constants over them. */
#include "base/alloc.h"
#include "base/checked.h"
#include "base/error.h"
#include "formats/huggingface/quantized.h"
#include "tensor/qconst_form.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>

#define MAX_OWN_BYTES ((size_t)1 << 34) /* of one block: far above what any layer needs */

const ol_st_tensor *ol_hf_qfind(const ol_hf_qread *q, const char *stem, const char *suffix) {
    char name[320];
    int n = snprintf(name, sizeof name, "%s%s", stem, suffix);
    return n > 0 && (size_t)n < sizeof name ? q->plain->find(q->plain->ctx, name) : NULL;
}

void ol_hf_qheld_deinit(ol_hf_qheld *h) {
    for (int i = 0; i < h->n_consts; i++) ol_const_release(h->consts[i]);
    for (int i = 0; i < h->n_blocks; i++) ol_free(h->blocks[i]);
    memset(h, 0, sizeof *h);
}

void *ol_hf_qblock(ol_hf_qheld *h, int64_t count, size_t each, olv_error *err) {
    size_t bytes;
    void *p = NULL;
    if (count < 0 || !ol_mul_size((size_t)count, each, &bytes) || bytes > MAX_OWN_BYTES)
        ol_fail(err, OLV_LIMIT, "%" PRId64 " scales or zero points", count);
    else if (h->n_blocks == OL_HF_HELD)
        ol_fail(err, OLV_INTERNAL, "too many blocks of a quantized weight");
    else if (!(p = ol_alloc(bytes)))
        ol_fail(err, OLV_NOMEM, "out of memory");
    else
        h->blocks[h->n_blocks++] = p;
    return p;
}

static olv_status need(const ol_hf_qread *q, const char *stem, const char *suffix, const ol_st_tensor **out,
                       olv_error *err) {
    *out = ol_hf_qfind(q, stem, suffix);
    return *out ? OLV_OK : ol_fail(err, OLV_NOT_FOUND, "tensor '%s%s' is missing", stem, suffix);
}

static olv_status check(const ol_st_tensor *t, ol_dtype dtype, int rank, const int64_t *dims, olv_error *err) {
    if (dtype != OL_DTYPE_NONE && t->dtype != dtype)
        return ol_fail(err, OLV_FORMAT, "tensor '%s': found element type %s, expected %s", t->name.ptr, t->type_name,
                       ol_dtype_name(dtype));
    bool same = t->rank == rank;
    for (int i = 0; same && i < rank; i++) same = t->dims[i] == dims[i];
    if (rank && !same)
        return ol_fail(err, OLV_SHAPE, "tensor '%s': found rank %d and %" PRId64 " x %" PRId64 ", expected %" PRId64 " x %"
                       PRId64, t->name.ptr, t->rank, t->rank > 0 ? t->dims[0] : 1, t->rank > 1 ? t->dims[1] : 1, dims[0],
                       rank > 1 ? dims[1] : 1);
    return OLV_OK;
}

olv_status ol_hf_qbytes(const ol_hf_qread *q, const char *stem, const char *suffix, ol_dtype dtype, int rank,
                        const int64_t *dims, ol_hf_qheld *h, const uint8_t **data, olv_error *err) {
    const ol_st_tensor *t;
    ol_const *c = NULL;
    size_t bytes;
    OL_TRY(need(q, stem, suffix, &t, err));
    OL_TRY(check(t, dtype, rank, dims, err));
    if (h->n_consts == OL_HF_HELD) return ol_fail(err, OLV_INTERNAL, "too many parts of a quantized weight");
    OL_TRY(q->plain->constant(q->plain->ctx, t, &c, err));
    if (!ol_const_data(c, &bytes)) { /* a transposed view of a state dict */
        ol_tensor copy;
        ol_const *own = NULL;
        olv_status s = ol_const_materialize(c, MAX_OWN_BYTES, &copy, err);
        if (s == OLV_OK) {
            own = ol_const_tensor(&copy, err);
            ol_tensor_deinit(&copy);
        }
        ol_const_release(c);
        if (!own) return s == OLV_OK ? OLV_NOMEM : s;
        c = own;
    }
    h->consts[h->n_consts++] = c;
    *data = ol_const_data(c, &bytes);
    return OLV_OK;
}

olv_status ol_hf_qfloats(const ol_hf_qread *q, const char *stem, const char *suffix, int64_t count, ol_hf_qheld *h,
                         float **out, olv_error *err) {
    const ol_st_tensor *t;
    ol_const *c = NULL;
    OL_TRY(need(q, stem, suffix, &t, err));
    int64_t n = 1;
    for (int i = 0; i < t->rank; i++)
        if (!ol_mul_i64(n, t->dims[i], &n)) n = -1;
    if (n != count)
        return ol_fail(err, OLV_SHAPE, "tensor '%s': found %" PRId64 " numbers, expected %" PRId64, t->name.ptr, n, count);
    float *f = ol_hf_qblock(h, count, sizeof *f, err);
    if (!f) return OLV_NOMEM;
    OL_TRY(q->plain->constant(q->plain->ctx, t, &c, err));
    olv_status s = ol_const_rows_f32(c, 0, ol_const_rows(c), f, err);
    ol_const_release(c);
    OL_TRY(s);
    for (int64_t i = 0; i < count; i++)
        if (!isfinite(f[i])) return ol_fail(err, OLV_FORMAT, "tensor '%s': number %" PRId64 " is not finite", t->name.ptr, i);
    *out = f;
    return OLV_OK;
}

int64_t ol_hf_qgcd(int64_t a, int64_t b) {
    while (b) {
        int64_t r = a % b;
        a = b;
        b = r;
    }
    return a;
}

olv_status ol_hf_qspread(ol_qconst *qc, const float *s, int64_t block_n, int64_t block_k, ol_hf_qheld *h,
                         olv_error *err) {
    int64_t across = (qc->k + block_k - 1) / block_k, count;
    qc->group = block_k >= qc->k ? qc->k : qc->k % block_k ? ol_hf_qgcd(qc->k, block_k) : block_k;
    qc->n_groups = qc->k / qc->group;
    if (!ol_mul_i64(qc->rows, qc->n_groups, &count)) return ol_fail(err, OLV_LIMIT, "too many scales");
    float *f = ol_hf_qblock(h, count, sizeof *f, err);
    if (!f) return OLV_NOMEM;
    for (int64_t r = 0; r < qc->rows; r++)
        for (int64_t g = 0; g < qc->n_groups; g++)
            f[r * qc->n_groups + g] = s[r / block_n * across + g * qc->group / block_k];
    qc->scale_dtype = OL_F32;
    qc->scales = f;
    return OLV_OK;
}

static void free_held(void *p) {
    ol_hf_qheld_deinit(p);
    ol_free(p);
}

olv_status ol_hf_qplanar(const ol_qconst *qc, size_t codes_bytes, size_t scales_bytes, size_t zeros_bytes,
                         ol_hf_qheld *h, ol_const **out, olv_error *err) {
    ol_hf_qheld *own = ol_alloc(sizeof *own);
    ol_file *files[OL_HF_HELD];
    int n_files = 0;
    if (!own) {
        ol_hf_qheld_deinit(h);
        return ol_fail(err, OLV_NOMEM, "out of memory");
    }
    *own = *h;
    memset(h, 0, sizeof *h);
    for (int i = 0; i < own->n_consts; i++) {
        int n;
        ol_file *const *f = ol_const_files(own->consts[i], &n);
        if (n) files[n_files++] = f[0];
    }
    int64_t dims[2] = {qc->rows, qc->k};
    olv_status s = ol_qconst_check(qc, codes_bytes, scales_bytes, zeros_bytes, err);
    if (s == OLV_OK && !(*out = ol_const_quant(2, dims, qc, files, n_files, free_held, own, err))) s = OLV_NOMEM;
    if (s != OLV_OK) free_held(own);
    return s;
}

/* ---- permutations ---- */

/* Place of every column when those of a group come together, in their order. */
static olv_status place_columns(const char *name, const int32_t *group_of, int64_t k, int64_t group, int32_t *place,
                                int32_t *filled, bool *moved, olv_error *err) {
    int64_t n_groups = (k + group - 1) / group;
    *moved = false;
    for (int64_t j = 0; j < k; j++) {
        int64_t g = group_of[j];
        if (g < 0 || g >= n_groups)
            return ol_fail(err, OLV_FORMAT, "tensor '%s': column %" PRId64 " is of group %" PRId64 ", 0 to %" PRId64
                           " expected", name, j, g, n_groups - 1);
        int64_t room = g + 1 < n_groups ? group : k - g * group;
        if (filled[g] == room)
            return ol_fail(err, OLV_UNSUPPORTED, "tensor '%s': more than %" PRId64 " columns in group %" PRId64, name, room, g);
        place[j] = (int32_t)(g * group + filled[g]++);
        *moved = *moved || place[j] != j;
    }
    return OLV_OK;
}

static bool same_perm(const ol_const *c, const int32_t *place, int64_t k) {
    size_t bytes;
    const void *p = c ? ol_const_data(c, &bytes) : NULL;
    return p && bytes == (size_t)k * sizeof *place && memcmp(p, place, bytes) == 0;
}

olv_status ol_hf_qperm(ol_hf_qread *q, const char *name, const int32_t *group_of, int64_t k, int64_t group,
                       ol_const **out, olv_error *err) {
    bool moved = false;
    *out = NULL;
    if (k < 1 || k > INT32_MAX) return ol_fail(err, OLV_LIMIT, "rows of %" PRId64 " elements", k);
    int32_t *place = ol_calloc((size_t)k, sizeof *place), *filled = ol_calloc((size_t)k, sizeof *filled);
    olv_status s = place && filled ? place_columns(name, group_of, k, group, place, filled, &moved, err)
                                   : ol_fail(err, OLV_NOMEM, "out of memory");
    ol_free(filled);
    if (s == OLV_OK && moved && !same_perm(q->perm, place, k)) {
        ol_const *c = ol_const_bytes(OL_I32, 1, &k, place, (size_t)k * sizeof *place, NULL, ol_free, err);
        if (c) {
            place = NULL;
            ol_const_release(q->perm);
            q->perm = c;
        } else {
            s = OLV_NOMEM;
        }
    }
    ol_free(place);
    if (s == OLV_OK && moved) *out = q->perm;
    return s;
}
