/* SPDX-License-Identifier: Apache-2.0 */
/* GPTQ. The matrix [n, k] of a layer is
 *   qweight i32 [k * bits / 32, n]: column n of it is the row's codes along k, packed from the lowest bit on;
 *   qzeros  i32 [groups, n * bits / 32]: zero points packed along n, less 1 in the first form (modulo 2^bits);
 *   scales  float [groups, n];
 *   g_idx   i32 [k], if any: the group of each column, which activation order scatters.
 * value = (code - zero) * scale. The scattered columns are stored group by group, and a permutation says which is which. */
#include "base/alloc.h"
#include "base/error.h"
#include "formats/huggingface/quantized.h"

static olv_status configure(ol_hf_qread *q, const json_t *config, olv_error *err) {
    int64_t bits;
    const char *format;
    OL_TRY(ol_json_int(config, "bits", 2, 8, 4, &bits, err));
    if (bits != 2 && bits != 3 && bits != 4 && bits != 8)
        return ol_fail(err, OLV_UNSUPPORTED, "found bits %d, expected 2, 3, 4 or 8", (int)bits);
    q->bits = (int)bits;
    OL_TRY(ol_json_int(config, "group_size", -1, INT32_MAX, 128, &q->group, err));
    OL_TRY(ol_json_string(config, "checkpoint_format", "gptq", &format, err));
    if (strcmp(format, "gptq") != 0 && strcmp(format, "gptq_v2") != 0)
        return ol_fail(err, OLV_UNSUPPORTED, "found checkpoint_format '%.40s', expected gptq or gptq_v2", format);
    q->zeros_less_one = strcmp(format, "gptq") == 0;
    return OLV_OK;
}

static bool shape(const ol_hf_qread *q, const char *stem, int64_t dims[2]) {
    const ol_st_tensor *w = ol_hf_qfind(q, stem, ".qweight"), *g = ol_hf_qfind(q, stem, ".g_idx");
    if (!w || w->rank != 2 || w->dims[0] > INT32_MAX) return false;
    dims[0] = w->dims[1];
    dims[1] = g && g->rank == 1 && g->dims[0] ? g->dims[0] : w->dims[0] * 32 / q->bits;
    return true;
}

static uint32_t word_at(const uint8_t *p, int64_t i) {
    uint32_t w;
    memcpy(&w, p + 4 * i, 4);
    return w;
}

/* r->a: words of qweight along k; r->b: words of qzeros along n. */

/* Codes of 4 and 8 bits lie as the planar form wants them, but for the order of the words. */
static bool straight(const ol_hf_qrelay *r, int64_t row, int64_t n, uint8_t *out) {
    const ol_qconst *f = &r->form;
    if ((r->bits != 4 && r->bits != 8) || f->row_bytes != (size_t)r->a * 4) return false;
    for (int64_t w = 0; w < r->a; w++)
        for (int64_t i = 0; i < n; i++)
            memcpy(out + (size_t)i * f->row_bytes + 4 * w, r->codes + 4 * (w * f->rows + row + i), 4);
    return true;
}

/* Eight columns of a row in a word. */
static void nibble_rows(const ol_hf_qrelay *r, int64_t row, int64_t n, uint8_t *out) {
    for (int64_t w = 0; w < r->a; w++)
        for (int64_t i = 0; i < n; i++) {
            uint64_t v = word_at(r->codes, w * r->form.rows + row + i); /* spread: half words, bytes, nibbles */
            v = (v | v << 16) & 0x0000ffff0000ffffu;
            v = (v | v << 8) & 0x00ff00ff00ff00ffu;
            v = (v | v << 4) & 0x0f0f0f0f0f0f0f0fu;
            memcpy(out + i * r->form.k + 8 * w, &v, 8);
        }
}

static void code_rows(const ol_hf_qrelay *r, int64_t row, int64_t n, uint8_t *out) {
    const ol_qconst *f = &r->form;
    if (r->bits == 4) {
        nibble_rows(r, row, n, out);
        return;
    }
    unsigned mask = (1u << r->bits) - 1;
    for (int64_t j = 0; j < f->k; j++) {
        int64_t at = j * r->bits, w = at / 32;
        int low = (int)(at % 32);
        for (int64_t i = 0; i < n; i++) {
            uint64_t v = word_at(r->codes, w * f->rows + row + i);
            if (low + r->bits > 32) v |= (uint64_t)word_at(r->codes, (w + 1) * f->rows + row + i) << 32;
            out[i * f->k + j] = (uint8_t)(v >> low & mask);
        }
    }
}

static void scale_row(const ol_hf_qrelay *r, int64_t row, void *out) {
    for (int64_t g = 0; g < r->form.n_groups; g++)
        memcpy((uint8_t *)out + (size_t)g * r->scale_bytes, r->scales + (size_t)(g * r->form.rows + row) * r->scale_bytes,
               r->scale_bytes);
}

static unsigned zero(const ol_hf_qrelay *r, int64_t row, int64_t g) {
    unsigned z = ol_hf_qbits(r->zeros + 4 * g * r->b, row, r->bits);
    return (z + (unsigned)r->c) & ((1u << r->bits) - 1);
}

/* All zero points are the middle: then there is no need of them. */
static bool zeros_in_middle(const ol_hf_qrelay *r, int64_t n_groups, int64_t rows) {
    for (int64_t g = 0; g < n_groups; g++)
        for (int64_t i = 0; i < rows; i++)
            if (zero(r, i, g) != 1u << (r->bits - 1)) return false;
    return true;
}

static ol_dtype scales_type(const ol_st_tensor *t) {
    return t && (t->dtype == OL_F16 || t->dtype == OL_BF16 || t->dtype == OL_F32) ? t->dtype : OL_DTYPE_NONE;
}

static olv_status columns(ol_hf_qread *q, const char *stem, int64_t k, int64_t group, ol_hf_qrelay *r, olv_error *err) {
    const ol_st_tensor *t = ol_hf_qfind(q, stem, ".g_idx");
    const uint8_t *data;
    ol_const *perm = NULL;
    if (!t || (t->rank == 1 && t->dims[0] == 0)) return OLV_OK;
    OL_TRY(ol_hf_qbytes(q, stem, ".g_idx", OL_I32, 1, &k, &r->held, &data, err));
    int32_t *group_of = ol_calloc((size_t)k, sizeof *group_of);
    if (!group_of) return ol_fail(err, OLV_NOMEM, "out of memory");
    memcpy(group_of, data, (size_t)k * sizeof *group_of);
    olv_status s = ol_hf_qperm(q, t->name.ptr, group_of, k, group, &perm, err);
    ol_free(group_of);
    OL_TRY(s);
    return ol_hf_qrelay_permute(r, perm, err);
}

static olv_status fill_relay(ol_hf_qread *q, const char *stem, const int64_t dims[2], ol_hf_qrelay *r, olv_error *err) {
    int64_t n = dims[0], k = dims[1], group = q->group > 0 && q->group < k ? q->group : k;
    int64_t n_groups = (k + group - 1) / group;
    const ol_st_tensor *st = ol_hf_qfind(q, stem, ".scales");
    ol_dtype type = scales_type(st);
    r->bits = q->bits;
    if (k < 1 || n < 1 || k * r->bits % 32 || n * r->bits % 32)
        return ol_fail(err, OLV_SHAPE, "%lld x %lld codes of %d bits do not fill words of 32", (long long)n, (long long)k,
                       r->bits);
    if (st && type == OL_DTYPE_NONE) return ol_fail(err, OLV_UNSUPPORTED, "scales of type %s", st->type_name);
    r->a = k * r->bits / 32;
    r->b = n * r->bits / 32;
    r->c = q->zeros_less_one ? 1 : 0;
    OL_TRY(ol_hf_qbytes(q, stem, ".qweight", OL_I32, 2, (const int64_t[]){r->a, n}, &r->held, &r->codes, err));
    OL_TRY(ol_hf_qbytes(q, stem, ".qzeros", OL_I32, 2, (const int64_t[]){n_groups, r->b}, &r->held, &r->zeros, err));
    OL_TRY(ol_hf_qbytes(q, stem, ".scales", type, 2, (const int64_t[]){n_groups, n}, &r->held, &r->scales, err));
    bool middle = zeros_in_middle(r, n_groups, n);
    ol_hf_qrelay_form(r, dims, group, !middle, type);
    r->zero = middle ? NULL : zero;
    r->straight = straight;
    r->code_rows = code_rows;
    r->scale_row = scale_row;
    return columns(q, stem, k, group, r, err);
}

static olv_status constant(ol_hf_qread *q, const char *stem, const int64_t dims[2], ol_const **out, olv_error *err) {
    return ol_hf_qrelay_make(q, stem, dims, fill_relay, out, err);
}

const ol_hf_qmethod ol_hf_gptq = {"gptq", configure, shape, constant};
