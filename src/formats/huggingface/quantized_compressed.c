/* SPDX-License-Identifier: Apache-2.0 */
/* compressed-tensors, and modelopt, whose tensors are named alike. What stands for the weight [n, k] tells the form:
 *   weight_packed i32 [n, ceil(k * bits / 32)]: integers plus 2^(bits - 1), from the lowest bit on; weight_zero_point
 *     i32 [ceil(n * bits / 32), groups], packed along n likewise; weight_g_idx i32 [k], if any, as in gptq.c;
 *   weight_packed (or weight) u8 [n, k / 2]: 4-bit floats, two in a byte, the first one low. weight_scale is either
 *     f8e4m3 [n, k / 16] times a number for all (1 / weight_global_scale, or weight_scale_2), or exponents (u8, e8m0);
 *   weight i8 [n, k]: integers; weight_zero_point i8, if any;
 *   weight of 8-bit floats, as in fp8.c; its scales may be exponents too (mxfp8).
 * weight_scale: one number, one a row, [n, groups], or one a block. value = (code - zero) * scale. */
#include "base/alloc.h"
#include "base/error.h"
#include "formats/huggingface/quantized.h"

#include <math.h>

static const char *const formats[] = {"pack-quantized", "int-quantized", "float-quantized", "naive-quantized",
                                      "nvfp4-pack-quantized", "mxfp4-pack-quantized", "mxfp8-quantized",
                                      "mixed-precision", "dense"};

static olv_status read_group(ol_hf_qread *q, const json_t *weights, olv_error *err) {
    const json_t *b = json_object_get(weights, "block_structure");
    int64_t bits;
    OL_TRY(ol_json_int(weights, "num_bits", 1, 16, 4, &bits, err));
    if (!q->bits) q->bits = (int)bits;
    if (json_is_array(b) && json_array_size(b) == 2 && !q->block_n) {
        int64_t n = json_integer_value(json_array_get(b, 0)), k = json_integer_value(json_array_get(b, 1));
        if (n < 1 || k < 1 || n > INT32_MAX || k > INT32_MAX)
            return ol_fail(err, OLV_FORMAT, "key 'block_structure': two positive integers expected");
        q->block_n = n;
        q->block_k = k;
    }
    return OLV_OK;
}

static olv_status configure(ol_hf_qread *q, const json_t *config, olv_error *err) {
    const json_t *groups = json_object_get(config, "config_groups"), *sparse = json_object_get(config, "sparsity_config");
    const json_t *g;
    const char *format, *key, *sparsity;
    OL_TRY(ol_json_string(config, "format", "dense", &format, err));
    size_t i = 0, n = sizeof formats / sizeof *formats;
    while (i < n && strcmp(format, formats[i]) != 0) i++;
    if (i == n) return ol_fail(err, OLV_UNSUPPORTED, "found format '%.40s', expected a dense or quantized one", format);
    if (json_is_object(sparse)) {
        OL_TRY(ol_json_string(sparse, "format", "dense", &sparsity, err));
        if (strcmp(sparsity, "dense") != 0)
            return ol_fail(err, OLV_UNSUPPORTED, "found sparse format '%.40s', expected dense", sparsity);
    }
    json_object_foreach((json_t *)(uintptr_t)groups, key, g) {
        const json_t *w = json_object_get(g, "weights");
        if (json_is_object(w)) OL_TRY(read_group(q, w, err));
    }
    return OLV_OK;
}

/* ---- which form ---- */

typedef enum form { NONE, PACKED, FLOAT4, INTEGER, FLOAT8 } form;

static form form_of(const ol_hf_qread *q, const char *stem, const ol_st_tensor **w) {
    const ol_st_tensor *packed = ol_hf_qfind(q, stem, ".weight_packed"), *plain = ol_hf_qfind(q, stem, ".weight");
    *w = packed ? packed : plain;
    if (!*w || (*w)->rank != 2 || !ol_hf_qfind(q, stem, ".weight_scale")) return NONE;
    if (packed && packed->dtype == OL_I32) return PACKED;
    if ((*w)->dtype == OL_U8) return FLOAT4;
    if (!packed && plain->dtype == OL_I8) return INTEGER;
    int64_t dims[2];
    return !packed && ol_hf_fp8.shape(q, stem, dims) ? FLOAT8 : NONE;
}

/* weight_shape, when it is there: [n, k]. */
static bool given_shape(const ol_hf_qread *q, const char *stem, int64_t dims[2]) {
    const ol_st_tensor *t = ol_hf_qfind(q, stem, ".weight_shape");
    ol_const *c = NULL;
    bool ok = false;
    if (!t || t->rank != 1 || t->dims[0] != 2 || (t->dtype != OL_I64 && t->dtype != OL_I32)) return false;
    if (q->plain->constant(q->plain->ctx, t, &c, NULL) != OLV_OK) return false;
    size_t bytes;
    const void *p = ol_const_data(c, &bytes);
    for (int i = 0; p && i < 2; i++) {
        double v = ol_elem_get(t->dtype, p, (uint64_t)i);
        ok = v >= 1 && v <= INT32_MAX;
        if (!ok) break;
        dims[i] = (int64_t)v;
    }
    ol_const_release(c);
    return ok;
}

static bool shape(const ol_hf_qread *q, const char *stem, int64_t dims[2]) {
    const ol_st_tensor *w;
    form f = form_of(q, stem, &w);
    if (f == NONE || w->dims[1] > INT32_MAX) return false;
    dims[0] = w->dims[0];
    dims[1] = w->dims[1];
    if (f == FLOAT4) dims[1] *= 2;
    if (f == PACKED && !given_shape(q, stem, dims)) dims[1] = w->dims[1] * 32 / (q->bits ? q->bits : 4);
    return true;
}

/* ---- scales ---- */

/* Rows and columns that share a scale, from the shape of weight_scale. False when they do not fit. */
static bool scale_blocks(const ol_hf_qread *q, const ol_st_tensor *t, int64_t n, int64_t k, int64_t *bn, int64_t *bk) {
    int64_t rows = t->rank > 0 ? t->dims[0] : 1, across = t->rank > 1 ? t->dims[1] : 1;
    if (t->rank > 2) return false;
    *bn = rows == n ? 1 : rows == 1 ? n : q->block_n;
    *bk = across == 1 ? k : 0;
    if (*bn != 1 && *bn != n) *bk = q->block_k;
    else if (across > 1) *bk = k % across == 0 ? k / across : 0;
    return *bn > 0 && *bk > 0 && (n + *bn - 1) / *bn == rows && (k + *bk - 1) / *bk == across;
}

/* Scales in place where they stand as the planar form has them, else spread into floats. `exponents`: u8 is e8m0. */
static olv_status set_scales(const ol_hf_qread *q, const char *stem, ol_qconst *qc, bool exponents, ol_hf_qheld *h,
                             olv_error *err) {
    const ol_st_tensor *t = ol_hf_qfind(q, stem, ".weight_scale");
    int64_t bn, bk;
    if (!scale_blocks(q, t, qc->rows, qc->k, &bn, &bk))
        return ol_fail(err, OLV_SHAPE, "tensor '%s': its shape fits no groups of a matrix of %lld x %lld", t->name.ptr,
                       (long long)qc->rows, (long long)qc->k);
    ol_dtype type = exponents && t->dtype == OL_U8 ? OL_F8E8M0 : t->dtype;
    bool kept = type == OL_F32 || type == OL_F16 || type == OL_BF16 || type == OL_F8E8M0;
    if (kept && bn == 1 && qc->k % bk == 0) {
        const uint8_t *data;
        OL_TRY(ol_hf_qbytes(q, stem, ".weight_scale", OL_DTYPE_NONE, 0, NULL, h, &data, err));
        qc->group = bk;
        qc->n_groups = qc->k / bk;
        qc->scale_dtype = type;
        qc->scales = data;
        size_t each = (size_t)ol_dtype_bits(type) / 8;
        if ((uintptr_t)data % each == 0) return OLV_OK;
        size_t bytes = (size_t)(qc->rows * qc->n_groups) * each;
        void *copy = ol_hf_qblock(h, (int64_t)bytes, 1, err);
        if (!copy) return OLV_NOMEM;
        memcpy(copy, data, bytes);
        qc->scales = copy;
        return OLV_OK;
    }
    float *s;
    int64_t count = ((qc->rows + bn - 1) / bn) * ((qc->k + bk - 1) / bk);
    OL_TRY(ol_hf_qfloats(q, stem, ".weight_scale", count, h, &s, err));
    for (int64_t i = 0; type == OL_F8E8M0 && t->dtype == OL_U8 && i < count; i++) s[i] = exp2f(s[i] - 127);
    return ol_hf_qspread(qc, s, bn, bk, h, err);
}

static size_t scales_bytes(const ol_qconst *qc) {
    return (size_t)(qc->rows * qc->n_groups) * (size_t)(ol_dtype_bits(qc->scale_dtype) / 8);
}

/* ---- packed integers ---- */

/* r->a: bytes of a row of codes. */
static void code_rows(const ol_hf_qrelay *r, int64_t row, int64_t n, uint8_t *out) {
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j < r->form.k; j++)
            out[i * r->form.k + j] = (uint8_t)ol_hf_qbits(r->codes + (row + i) * r->a, j, r->bits);
}

static void scale_row(const ol_hf_qrelay *r, int64_t row, void *out) {
    size_t bytes = (size_t)r->form.n_groups * r->scale_bytes;
    memcpy(out, r->scales + (size_t)row * bytes, bytes);
}

/* Zero points packed along n: word (row * bits / 32, g). */
static unsigned zero(const ol_hf_qrelay *r, int64_t row, int64_t g) {
    int64_t at = row * r->bits;
    uint32_t w;
    memcpy(&w, r->zeros + 4 * (at / 32 * r->b + g), 4);
    return w >> (at % 32) & ((1u << r->bits) - 1);
}

/* Groups in the file's order of columns: their numbers are the permutation's. */
static olv_status columns(ol_hf_qread *q, const char *stem, ol_hf_qrelay *r, olv_error *err) {
    const ol_st_tensor *t = ol_hf_qfind(q, stem, ".weight_g_idx");
    const uint8_t *data;
    int64_t k = r->form.k;
    ol_const *perm = NULL;
    if (!t) return OLV_OK;
    OL_TRY(ol_hf_qbytes(q, stem, ".weight_g_idx", OL_I32, 1, &k, &r->held, &data, err));
    int32_t *group_of = ol_calloc((size_t)k, sizeof *group_of);
    if (!group_of) return ol_fail(err, OLV_NOMEM, "out of memory");
    memcpy(group_of, data, (size_t)k * sizeof *group_of);
    bool ordered = group_of[0] == -1; /* written for every weight, and filled with -1 where there is no order */
    for (int64_t j = 1; ordered && j < k; j++) ordered = group_of[j] == -1;
    olv_status s = ordered ? OLV_OK : ol_hf_qperm(q, t->name.ptr, group_of, k, r->form.group, &perm, err);
    ol_free(group_of);
    OL_TRY(s);
    return ol_hf_qrelay_permute(r, perm, err);
}

/* Width of the codes: what makes the words of a row hold k of them. */
static int packed_bits(const ol_hf_qread *q, int64_t words, int64_t k) {
    static const int all[] = {4, 8, 2};
    if ((q->bits == 2 || q->bits == 4 || q->bits == 8) && (k * q->bits + 31) / 32 == words) return q->bits;
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if ((k * all[i] + 31) / 32 == words) return all[i];
    return 0;
}

static olv_status fill_relay(ol_hf_qread *q, const char *stem, const int64_t dims[2], ol_hf_qrelay *r, olv_error *err) {
    ol_qconst scales = {.rows = dims[0], .k = dims[1]};
    int64_t n = dims[0], words = ol_hf_qfind(q, stem, ".weight_packed")->dims[1];
    r->bits = packed_bits(q, words, dims[1]);
    OL_TRY(ol_hf_qbytes(q, stem, ".weight_packed", OL_I32, 2, (const int64_t[]){n, words}, &r->held, &r->codes, err));
    OL_TRY(set_scales(q, stem, &scales, false, &r->held, err));
    bool zeros = ol_hf_qfind(q, stem, ".weight_zero_point") != NULL;
    r->a = words * 4;
    r->scales = scales.scales;
    ol_hf_qrelay_form(r, dims, scales.group, zeros, scales.scale_dtype);
    r->b = r->form.n_groups;
    if (zeros) {
        const int64_t zdims[2] = {(n * r->bits + 31) / 32, r->b};
        OL_TRY(ol_hf_qbytes(q, stem, ".weight_zero_point", OL_I32, 2, zdims, &r->held, &r->zeros, err));
        r->zero = zero;
    }
    r->code_rows = code_rows;
    r->scale_row = scale_row;
    return columns(q, stem, r, err);
}

/* 4 and 8 bits with ordered columns and without zero points lie as the planar form wants them. */
static bool in_place(const ol_hf_qread *q, const char *stem, int bits, int64_t k) {
    return (bits == 4 || bits == 8) && k * bits % 8 == 0 && !ol_hf_qfind(q, stem, ".weight_zero_point") &&
           !ol_hf_qfind(q, stem, ".weight_g_idx");
}

static olv_status packed_in_place(ol_hf_qread *q, const char *stem, const int64_t dims[2], int64_t words, int bits,
                                  ol_const **out, olv_error *err) {
    ol_hf_qheld h = {.n_consts = 0};
    ol_qconst qc = {.code = bits == 4 ? OL_Q_U4 : OL_Q_U8, .rows = dims[0], .k = dims[1], .row_bytes = (size_t)words * 4,
                    .global_scale = 1};
    olv_status s = ol_hf_qbytes(q, stem, ".weight_packed", OL_I32, 2, (const int64_t[]){dims[0], words}, &h, &qc.codes, err);
    if (s == OLV_OK) s = set_scales(q, stem, &qc, false, &h, err);
    if (s == OLV_OK) return ol_hf_qplanar(&qc, (size_t)qc.rows * qc.row_bytes, scales_bytes(&qc), 0, &h, out, err);
    ol_hf_qheld_deinit(&h);
    return s;
}

static olv_status packed(ol_hf_qread *q, const char *stem, const int64_t dims[2], const ol_st_tensor *w, ol_const **out,
                         olv_error *err) {
    int bits = packed_bits(q, w->dims[1], dims[1]);
    if (!bits || w->dims[0] != dims[0])
        return ol_fail(err, OLV_UNSUPPORTED, "%lld words a row hold no %lld codes of 2, 4 or 8 bits", (long long)w->dims[1],
                       (long long)dims[1]);
    if (in_place(q, stem, bits, dims[1])) return packed_in_place(q, stem, dims, w->dims[1], bits, out, err);
    return ol_hf_qrelay_make(q, stem, dims, fill_relay, out, err);
}

/* ---- bytes and 4-bit floats, in place ---- */

static olv_status set_zeros(const ol_hf_qread *q, const char *stem, ol_qconst *qc, size_t *bytes, ol_hf_qheld *h,
                            olv_error *err) {
    const ol_st_tensor *t = ol_hf_qfind(q, stem, ".weight_zero_point"), *s = ol_hf_qfind(q, stem, ".weight_scale");
    const uint8_t *data;
    int64_t bn, bk;
    if (!t) return OLV_OK;
    OL_TRY(ol_hf_qbytes(q, stem, ".weight_zero_point", OL_I8, s->rank, s->dims, h, &data, err));
    if (!scale_blocks(q, s, qc->rows, qc->k, &bn, &bk)) return ol_fail(err, OLV_SHAPE, "zero points without groups");
    int64_t across = (qc->k + bk - 1) / bk;
    *bytes = (size_t)(qc->rows * qc->n_groups);
    uint8_t *z = ol_hf_qblock(h, (int64_t)*bytes, 1, err);
    if (!z) return OLV_NOMEM;
    for (int64_t r = 0; r < qc->rows; r++)
        for (int64_t g = 0; g < qc->n_groups; g++)
            z[r * qc->n_groups + g] = data[r / bn * across + g * qc->group / bk];
    qc->zero_dtype = OL_I8;
    qc->zeros = z;
    qc->zero_row_bytes = (size_t)qc->n_groups;
    return OLV_OK;
}

/* The second-level scale: given as what divides, or as what multiplies. */
static olv_status global_scale(const ol_hf_qread *q, const char *stem, ol_qconst *qc, ol_hf_qheld *h, olv_error *err) {
    float *s;
    bool divides = ol_hf_qfind(q, stem, ".weight_global_scale") != NULL;
    if (!divides && !ol_hf_qfind(q, stem, ".weight_scale_2")) return OLV_OK;
    OL_TRY(ol_hf_qfloats(q, stem, divides ? ".weight_global_scale" : ".weight_scale_2", 1, h, &s, err));
    if (!(*s > 0)) return ol_fail(err, OLV_FORMAT, "second-level scale %g", (double)*s);
    qc->global_scale = divides ? 1 / *s : *s;
    return OLV_OK;
}

static olv_status plain_codes(ol_hf_qread *q, const char *stem, form f, const int64_t dims[2], ol_const **out,
                              olv_error *err) {
    ol_hf_qheld h = {.n_consts = 0};
    size_t zeros = 0;
    bool four = f == FLOAT4, apart = four && ol_hf_qfind(q, stem, ".weight_packed");
    ol_qconst qc = {.code = four ? OL_Q_F4 : OL_Q_I8, .rows = dims[0], .k = dims[1], .global_scale = 1};
    int64_t stored[2] = {dims[0], four ? dims[1] / 2 : dims[1]};
    qc.row_bytes = (size_t)stored[1];
    olv_status s = ol_hf_qbytes(q, stem, apart ? ".weight_packed" : ".weight", four ? OL_U8 : OL_I8, 2, stored, &h,
                                &qc.codes, err);
    if (s == OLV_OK) s = set_scales(q, stem, &qc, four, &h, err);
    if (s == OLV_OK) s = four ? global_scale(q, stem, &qc, &h, err) : set_zeros(q, stem, &qc, &zeros, &h, err);
    if (s == OLV_OK) return ol_hf_qplanar(&qc, (size_t)qc.rows * qc.row_bytes, scales_bytes(&qc), zeros, &h, out, err);
    ol_hf_qheld_deinit(&h);
    return s;
}

/* 8-bit floats with exponents as scales; others are as in fp8.c. */
static olv_status float8(ol_hf_qread *q, const char *stem, const int64_t dims[2], ol_const **out, olv_error *err) {
    const ol_st_tensor *w = ol_hf_qfind(q, stem, ".weight"), *t = ol_hf_qfind(q, stem, ".weight_scale");
    if (t->dtype != OL_U8) return ol_hf_fp8.constant(q, stem, dims, out, err);
    ol_hf_qheld h = {.n_consts = 0};
    ol_qconst qc = {.code = OL_Q_F8, .rows = dims[0], .k = dims[1], .row_bytes = (size_t)dims[1], .global_scale = 1};
    olv_status s = w->dtype == OL_F8E4M3 ? ol_hf_qbytes(q, stem, ".weight", OL_F8E4M3, 2, dims, &h, &qc.codes, err)
                                         : ol_fail(err, OLV_UNSUPPORTED, "codes of type %s", w->type_name);
    if (s == OLV_OK) s = set_scales(q, stem, &qc, true, &h, err);
    if (s == OLV_OK) return ol_hf_qplanar(&qc, (size_t)qc.rows * qc.row_bytes, scales_bytes(&qc), 0, &h, out, err);
    ol_hf_qheld_deinit(&h);
    return s;
}

static olv_status constant(ol_hf_qread *q, const char *stem, const int64_t dims[2], ol_const **out, olv_error *err) {
    const ol_st_tensor *w;
    if (dims[0] < 1 || dims[1] < 1) return ol_fail(err, OLV_SHAPE, "an empty matrix");
    form f = form_of(q, stem, &w);
    switch (f) {
    case PACKED: return packed(q, stem, dims, w, out, err);
    case FLOAT4:
    case INTEGER: return plain_codes(q, stem, f, dims, out, err);
    case FLOAT8: return float8(q, stem, dims, out, err);
    case NONE: break;
    }
    return ol_fail(err, OLV_INTERNAL, "no form");
}

const ol_hf_qmethod ol_hf_compressed_tensors = {"compressed-tensors", configure, shape, constant};
