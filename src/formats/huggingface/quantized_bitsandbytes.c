/* SPDX-License-Identifier: Apache-2.0 */
/* bitsandbytes.
 * 4 bits (nf4, fp4): the flattened matrix as nibbles, the first one high, with a scale for each block of it:
 *   weight [n * k / 2, 1] (any element type: bytes);  weight.quant_map f32 [16]: the value of each code;
 *   weight.quant_state.bitsandbytes__nf4 (or __fp4) u8: JSON with shape, blocksize and, when the scales are quantized
 *   again, nested_blocksize and nested_offset;
 *   weight.absmax f32, one number a block; or u8, then absmax = nested_quant_map[u8] * nested_absmax + nested_offset.
 * 8 bits: weight i8 [n, k], SCB f32 [n]: value = code * SCB / 127. */
#include "base/alloc.h"
#include "base/error.h"
#include "formats/huggingface/quantized.h"
#include "tensor/qconst_form.h"

#include <math.h>

#define STATE ".weight.quant_state.bitsandbytes__"
#define MAX_STATE 4096

typedef struct state {
    int64_t rows, k, block, nested_block;
    double nested_offset;
    bool nested;
} state;

static const ol_st_tensor *state_tensor(const ol_hf_qread *q, const char *stem) {
    const ol_st_tensor *t = ol_hf_qfind(q, stem, STATE "nf4");
    return t ? t : ol_hf_qfind(q, stem, STATE "fp4");
}

static olv_status parse_state(const json_t *j, state *s, olv_error *err) {
    const json_t *shape = json_object_get(j, "shape");
    OL_TRY(ol_json_int(j, "blocksize", 1, 1 << 20, 64, &s->block, err));
    s->nested = json_object_get(j, "nested_blocksize") != NULL;
    OL_TRY(ol_json_int(j, "nested_blocksize", 1, 1 << 20, 256, &s->nested_block, err));
    OL_TRY(ol_json_real(j, "nested_offset", 0, &s->nested_offset, err));
    s->rows = json_integer_value(json_array_get(shape, 0));
    s->k = json_integer_value(json_array_get(shape, 1));
    if (json_array_size(shape) != 2 || s->rows < 1 || s->k < 1 || s->rows > INT32_MAX || s->k > INT32_MAX ||
        !isfinite(s->nested_offset))
        return ol_fail(err, OLV_FORMAT, "a shape of two dimensions expected");
    return OLV_OK;
}

static olv_status read_state(const ol_hf_qread *q, const char *stem, state *s, olv_error *err) {
    const ol_st_tensor *t = state_tensor(q, stem);
    ol_const *c = NULL;
    json_t *j = NULL;
    size_t bytes;
    memset(s, 0, sizeof *s);
    if (!t || t->dtype != OL_U8 || t->bytes > MAX_STATE)
        return ol_fail(err, OLV_FORMAT, "quantization state of at most %d bytes expected", MAX_STATE);
    OL_TRY(q->plain->constant(q->plain->ctx, t, &c, err));
    const char *text = ol_const_data(c, &bytes);
    olv_status status = text ? ol_json_parse(text, bytes, t->name.ptr, &j, err)
                             : ol_fail(err, OLV_FORMAT, "quantization state in another order");
    if (status == OLV_OK && (status = parse_state(j, s, err)) != OLV_OK) ol_error_at(err, "%s", t->name.ptr);
    json_decref(j);
    ol_const_release(c);
    return status;
}

static bool shape(const ol_hf_qread *q, const char *stem, int64_t dims[2]) {
    const ol_st_tensor *w = ol_hf_qfind(q, stem, ".weight");
    state s;
    if (!w) return false;
    if (ol_hf_qfind(q, stem, ".SCB") && w->dtype == OL_I8 && w->rank == 2) {
        dims[0] = w->dims[0];
        dims[1] = w->dims[1];
        return true;
    }
    if (!state_tensor(q, stem)) return false;
    if (read_state(q, stem, &s, NULL) != OLV_OK) s.rows = s.k = 0; /* said when the constant is made */
    dims[0] = s.rows;
    dims[1] = s.k;
    return true;
}

/* ---- 8 bits ---- */

static olv_status eight(ol_hf_qread *q, const char *stem, const int64_t dims[2], ol_const **out, olv_error *err) {
    ol_hf_qheld h = {.n_consts = 0};
    ol_qconst qc = {.code = OL_Q_I8, .rows = dims[0], .k = dims[1], .group = dims[1], .n_groups = dims[1] ? 1 : 0,
                    .row_bytes = (size_t)dims[1], .scale_dtype = OL_F32, .global_scale = 1};
    float *scb = NULL;
    olv_status s = ol_hf_qfloats(q, stem, ".SCB", dims[0], &h, &scb, err);
    if (s == OLV_OK) s = ol_hf_qbytes(q, stem, ".weight", OL_I8, 2, dims, &h, &qc.codes, err);
    if (s != OLV_OK) {
        ol_hf_qheld_deinit(&h);
        return s;
    }
    for (int64_t i = 0; i < dims[0]; i++) scb[i] *= 1.0f / 127.0f;
    qc.scales = scb;
    return ol_hf_qplanar(&qc, (size_t)dims[0] * qc.row_bytes, (size_t)dims[0] * sizeof *scb, 0, &h, out, err);
}

/* ---- 4 bits ---- */

/* r->a: block; r->b: nested block, 0 when scales are floats; r->c: nested offset. scales: absmax; zeros: nested_absmax,
 * followed in the same block by the 256 values of the nested codes. */
static void code_rows(const ol_hf_qrelay *r, int64_t row, int64_t n, uint8_t *out) {
    int64_t k = r->form.k, first = row * k;
    for (int64_t i = 0; i < n * k; i++) {
        uint8_t b = r->codes[(first + i) / 2];
        out[i] = (first + i) % 2 ? b & 15 : b >> 4;
    }
}

static void scale_row(const ol_hf_qrelay *r, int64_t row, void *out) {
    const float *nested = (const float *)(const void *)r->zeros;
    float *f = out;
    for (int64_t g = 0; g < r->form.n_groups; g++) {
        int64_t block = (row * r->form.k + g * r->form.group) / r->a;
        if (r->b)
            f[g] = nested[r->scales[block]] * nested[256 + block / r->b] + r->c;
        else
            memcpy(&f[g], r->scales + 4 * block, 4);
    }
}

/* The values of nested codes, then the nested scales, in one block. */
static olv_status nested_scales(ol_hf_qread *q, const char *stem, const state *s, int64_t blocks, ol_hf_qrelay *r,
                                olv_error *err) {
    int64_t n = (blocks + s->nested_block - 1) / s->nested_block;
    float *map, *absmax;
    OL_TRY(ol_hf_qfloats(q, stem, ".weight.nested_quant_map", 256, &r->held, &map, err));
    OL_TRY(ol_hf_qfloats(q, stem, ".weight.nested_absmax", n, &r->held, &absmax, err));
    float *both = ol_hf_qblock(&r->held, 256 + n, sizeof *both, err);
    if (!both) return OLV_NOMEM;
    memcpy(both, map, 256 * sizeof *both);
    memcpy(both + 256, absmax, (size_t)n * sizeof *both);
    r->zeros = (const uint8_t *)both;
    r->b = s->nested_block;
    r->c = (float)s->nested_offset;
    return OLV_OK;
}

static olv_status check_bytes(const ol_hf_qread *q, const char *stem, uint64_t need, olv_error *err) {
    const ol_st_tensor *w = ol_hf_qfind(q, stem, ".weight");
    if (w && w->bytes == need) return OLV_OK;
    return ol_fail(err, OLV_SHAPE, "tensor '%s.weight': found %llu bytes, expected %llu", stem,
                   w ? (unsigned long long)w->bytes : 0, (unsigned long long)need);
}

static olv_status fill_relay(ol_hf_qread *q, const char *stem, const int64_t dims[2], ol_hf_qrelay *r, olv_error *err) {
    state s;
    float *table;
    OL_TRY(read_state(q, stem, &s, err));
    int64_t count = s.rows * s.k, blocks = (count + s.block - 1) / s.block; /* both dims are below 2^31 */
    OL_TRY(check_bytes(q, stem, (uint64_t)(count + 1) / 2, err));
    OL_TRY(ol_hf_qbytes(q, stem, ".weight", OL_DTYPE_NONE, 0, NULL, &r->held, &r->codes, err));
    OL_TRY(ol_hf_qfloats(q, stem, ".weight.quant_map", 16, &r->held, &table, err));
    OL_TRY(ol_hf_qbytes(q, stem, ".weight.absmax", s.nested ? OL_U8 : OL_F32, 1, &blocks, &r->held, &r->scales, err));
    r->a = s.block;
    if (s.nested) OL_TRY(nested_scales(q, stem, &s, blocks, r, err));
    r->bits = 4;
    r->table = table;
    ol_hf_qrelay_form(r, dims, ol_hf_qgcd(s.k, s.block), false, OL_F32);
    bool nf4 = memcmp(table, ol_nf4_table, sizeof ol_nf4_table) == 0;
    r->form.code = nf4 ? OL_Q_NF4 : OL_Q_TABLE4;
    r->form.table = nf4 ? NULL : table;
    r->code_rows = code_rows;
    r->scale_row = scale_row;
    return OLV_OK;
}

static olv_status constant(ol_hf_qread *q, const char *stem, const int64_t dims[2], ol_const **out, olv_error *err) {
    if (ol_hf_qfind(q, stem, ".SCB")) return eight(q, stem, dims, out, err);
    return ol_hf_qrelay_make(q, stem, dims, fill_relay, out, err);
}

const ol_hf_qmethod ol_hf_bitsandbytes = {"bitsandbytes", NULL, shape, constant};
