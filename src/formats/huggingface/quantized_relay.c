/* SPDX-License-Identifier: Apache-2.0 */
/* Quantized weights laid out anew by tiles of rows: any layout in, the planar one of tensor/qconst.h out. */
#include "base/alloc.h"
#include "base/error.h"
#include "formats/huggingface/quantized.h"
#include "tensor/qconst_form.h"

void ol_hf_qrelay_form(ol_hf_qrelay *r, const int64_t dims[2], int64_t group, bool zeros, ol_dtype scales) {
    ol_qconst *f = &r->form;
    bool small = r->bits <= 4;
    f->code = small ? OL_Q_U4 : OL_Q_U8;
    f->rows = dims[0];
    f->k = dims[1];
    f->group = group;
    f->n_groups = (f->k + group - 1) / group;
    f->row_bytes = small ? (size_t)(f->n_groups * group + 1) / 2 : (size_t)(f->n_groups * group);
    f->scale_dtype = scales;
    f->global_scale = 1;
    r->scale_bytes = (size_t)ol_dtype_bits(scales) / 8;
    if (!zeros) return;
    f->zero_dtype = small ? OL_U4 : OL_U8;
    f->zero_row_bytes = small ? (size_t)(f->n_groups + 1) / 2 : (size_t)f->n_groups;
}

olv_status ol_hf_qrelay_permute(ol_hf_qrelay *r, ol_const *perm, olv_error *err) {
    size_t bytes;
    if (!perm) return OLV_OK;
    if (r->held.n_consts == OL_HF_HELD) return ol_fail(err, OLV_INTERNAL, "too many parts of a quantized weight");
    int32_t *stored = ol_hf_qblock(&r->held, r->form.k, sizeof *stored, err);
    if (!stored) return OLV_NOMEM;
    r->held.consts[r->held.n_consts++] = ol_const_retain(perm);
    r->form.perm = ol_const_data(perm, &bytes);
    for (int64_t j = 0; j < r->form.k; j++) stored[r->form.perm[j]] = (int32_t)j;
    r->stored = stored;
    return OLV_OK;
}

/* What is added to a code of fewer bits: the middle of its range becomes that of the wider one. Tables keep theirs. */
static unsigned shift_of(const ol_hf_qrelay *r) {
    if (r->table) return 0;
    return (r->form.code == OL_Q_U4 ? 8u : 128u) - (1u << (r->bits - 1));
}

/* Two codes to a byte; what a group lacks at the end is the zero point. */
static void pack_nibbles(const uint8_t *row, const int32_t *stored, int64_t k, unsigned shift, uint8_t *out) {
    int64_t j = 0;
    if (stored)
        for (; j + 1 < k; j += 2) out[j / 2] = (uint8_t)((row[stored[j]] + shift) | (row[stored[j + 1]] + shift) << 4);
    else
        for (; j + 1 < k; j += 2) out[j / 2] = (uint8_t)((row[j] + shift) | (row[j + 1] + shift) << 4);
    if (j < k) out[j / 2] = (uint8_t)((row[stored ? stored[j] : j] + shift) | 0x80);
}

static void pack_row(const ol_hf_qrelay *r, const uint8_t *row, uint8_t *out) {
    const ol_qconst *f = &r->form;
    unsigned shift = shift_of(r);
    size_t used = ol_qcode_bits(f->code) == 4 ? (size_t)(f->k + 1) / 2 : (size_t)f->k;
    if (ol_qcode_bits(f->code) == 4)
        pack_nibbles(row, r->stored, f->k, shift, out);
    else
        for (int64_t j = 0; j < f->k; j++) out[j] = (uint8_t)(row[r->stored ? r->stored[j] : j] + shift);
    memset(out + used, ol_qcode_bits(f->code) == 4 ? 0x88 : 0x80, f->row_bytes - used);
}

static void zero_row(const ol_hf_qrelay *r, int64_t row, uint8_t *out) {
    unsigned shift = shift_of(r);
    bool small = r->form.zero_dtype == OL_U4;
    memset(out, 0, r->form.zero_row_bytes);
    for (int64_t g = 0; g < r->form.n_groups; g++) {
        unsigned z = r->zero(r, row, g) + shift;
        if (small)
            out[g / 2] = (uint8_t)(out[g / 2] | (z & 15) << (g % 2 * 4));
        else
            out[g] = (uint8_t)z;
    }
}

#define TILE 16 /* rows: a cache line of 32-bit words that lie column by column */

static olv_status fill(void *ctx, int64_t row, int64_t n, uint8_t *codes, void *scales, void *zeros, olv_error *err) {
    const ol_hf_qrelay *r = ctx;
    const ol_qconst *f = &r->form;
    uint8_t *bytes = NULL, *s = scales, *z = zeros;
    for (int64_t i = 0; i < n; i += TILE) {
        int64_t m = n - i < TILE ? n - i : TILE;
        uint8_t *out = codes + (size_t)i * f->row_bytes;
        if (r->straight && !r->stored && r->straight(r, row + i, m, out)) continue;
        if (!bytes && !(bytes = ol_alloc((size_t)f->k * TILE))) return ol_fail(err, OLV_NOMEM, "out of memory");
        r->code_rows(r, row + i, m, bytes);
        for (int64_t j = 0; j < m; j++) pack_row(r, bytes + j * f->k, out + (size_t)j * f->row_bytes);
    }
    ol_free(bytes);
    for (int64_t i = 0; s && i < n; i++) r->scale_row(r, row + i, s + (size_t)i * ol_qconst_scale_row_bytes(f));
    for (int64_t i = 0; z && r->zero && i < n; i++) zero_row(r, row + i, z + (size_t)i * f->zero_row_bytes);
    return OLV_OK;
}

static void each_file(const void *ctx, ol_const_file_fn *fn, void *fn_ctx) {
    const ol_hf_qheld *h = &((const ol_hf_qrelay *)ctx)->held;
    for (int i = 0; i < h->n_consts; i++) ol_const_each_file(h->consts[i], fn, fn_ctx);
}

static void destroy(void *ctx) {
    ol_hf_qrelay *r = ctx;
    if (!r) return;
    ol_hf_qheld_deinit(&r->held);
    ol_free(r);
}

/* Takes the relay, also on failure. */
static olv_status as_constant(ol_hf_qrelay *r, ol_const **out, olv_error *err) {
    ol_lazy_quant lazy = {fill, destroy, r, r->form, each_file};
    int64_t dims[2] = {r->form.rows, r->form.k};
    *out = ol_const_lazy_quant(2, dims, &lazy, err);
    if (*out) return OLV_OK;
    destroy(r);
    return err && err->status != OLV_OK ? err->status : OLV_NOMEM;
}

olv_status ol_hf_qrelay_make(ol_hf_qread *q, const char *stem, const int64_t dims[2], ol_hf_qrelay_fn *fill_relay, ol_const **out,
                             olv_error *err) {
    ol_hf_qrelay *r = ol_calloc(1, sizeof *r);
    if (!r) return ol_fail(err, OLV_NOMEM, "out of memory");
    olv_status s = fill_relay(q, stem, dims, r, err);
    if (s == OLV_OK) return as_constant(r, out, err);
    destroy(r);
    return s;
}
