/* SPDX-License-Identifier: Apache-2.0 */
/* 8-bit floats with scales: weight [n, k] of a float type of 8 bits, used in place, and weight_scale_inv or
 * weight_scale: one number; [n] or [n, 1]; or one for each block of weight_block_size elements (DeepSeek's 128 x 128),
 * [ceil(n / bn), ceil(k / bk)]. In spite of its name weight_scale_inv multiplies: value = code * scale. */
#include "base/error.h"
#include "formats/huggingface/quantized.h"

static olv_status configure(ol_hf_qread *q, const json_t *config, olv_error *err) {
    const json_t *b = json_object_get(config, "weight_block_size");
    const char *fmt;
    OL_TRY(ol_json_string(config, "fmt", "e4m3", &fmt, err));
    if (!b || json_is_null(b)) return OLV_OK;
    q->block_n = json_integer_value(json_array_get(b, 0));
    q->block_k = json_integer_value(json_array_get(b, 1));
    if (json_array_size(b) != 2 || q->block_n < 1 || q->block_k < 1 || q->block_n > INT32_MAX || q->block_k > INT32_MAX)
        return ol_fail(err, OLV_FORMAT, "key 'weight_block_size': two positive integers expected");
    return OLV_OK;
}

static bool is_fp8(const ol_st_tensor *t) {
    return t && t->rank == 2 && t->dtype != OL_DTYPE_NONE && ol_dtype_bits(t->dtype) == 8 && ol_dtype_class(t->dtype) == 'f';
}

static const char *scale_suffix(const ol_hf_qread *q, const char *stem) {
    if (ol_hf_qfind(q, stem, ".weight_scale_inv")) return ".weight_scale_inv";
    return ol_hf_qfind(q, stem, ".weight_scale") ? ".weight_scale" : NULL;
}

static bool shape(const ol_hf_qread *q, const char *stem, int64_t dims[2]) {
    const ol_st_tensor *w = ol_hf_qfind(q, stem, ".weight");
    if (!is_fp8(w) || !scale_suffix(q, stem)) return false;
    dims[0] = w->dims[0];
    dims[1] = w->dims[1];
    return true;
}

/* Codes as E4M3, or, for the other types, through a table of their 256 values. */
static olv_status set_codes(const ol_hf_qread *q, const char *stem, ol_qconst *qc, ol_hf_qheld *h, olv_error *err) {
    const ol_st_tensor *w = ol_hf_qfind(q, stem, ".weight");
    int64_t dims[2] = {qc->rows, qc->k};
    OL_TRY(ol_hf_qbytes(q, stem, ".weight", w->dtype, 2, dims, h, &qc->codes, err));
    qc->row_bytes = (size_t)qc->k;
    qc->code = OL_Q_F8;
    if (w->dtype == OL_F8E4M3) return OLV_OK;
    float *table = ol_hf_qblock(h, 256, sizeof *table, err);
    if (!table) return OLV_NOMEM;
    for (unsigned i = 0; i < 256; i++) {
        uint8_t code = (uint8_t)i;
        table[i] = (float)ol_elem_get(w->dtype, &code, 0);
    }
    qc->code = OL_Q_TABLE8;
    qc->table = table;
    return OLV_OK;
}

static olv_status set_scales(const ol_hf_qread *q, const char *stem, ol_qconst *qc, ol_hf_qheld *h, olv_error *err) {
    const char *suffix = scale_suffix(q, stem);
    const ol_st_tensor *t = ol_hf_qfind(q, stem, suffix);
    int64_t n = 1, bn = q->block_n, bk = q->block_k;
    for (int i = 0; i < t->rank; i++)
        if (__builtin_mul_overflow(n, t->dims[i], &n)) n = -1;
    if (n == 1) { /* for all of it, whatever the config says */
        bn = qc->rows;
        bk = qc->k;
    } else if (t->rank < 2 || !bn || (n == qc->rows && t->dims[1] == 1)) {
        bn = 1;
        bk = qc->k;
    }
    int64_t count = ((qc->rows + bn - 1) / bn) * ((qc->k + bk - 1) / bk);
    float *s;
    OL_TRY(ol_hf_qfloats(q, stem, suffix, count, h, &s, err));
    return ol_hf_qspread(qc, s, bn, bk, h, err);
}

static olv_status constant(ol_hf_qread *q, const char *stem, const int64_t dims[2], ol_const **out, olv_error *err) {
    ol_hf_qheld h = {.n_consts = 0};
    ol_qconst qc = {.rows = dims[0], .k = dims[1], .global_scale = 1};
    olv_status s = dims[0] > 0 && dims[1] > 0 ? set_codes(q, stem, &qc, &h, err)
                                              : ol_fail(err, OLV_SHAPE, "an empty matrix");
    if (s == OLV_OK) s = set_scales(q, stem, &qc, &h, err);
    if (s == OLV_OK)
        return ol_hf_qplanar(&qc, (size_t)qc.rows * qc.row_bytes, (size_t)(qc.rows * qc.n_groups) * sizeof(float), 0, &h,
                             out, err);
    ol_hf_qheld_deinit(&h);
    return s;
}

const ol_hf_qmethod ol_hf_fp8 = {"fp8", configure, shape, constant};
