/* SPDX-License-Identifier: Apache-2.0 */
/* AWQ in the layout of its GEMM kernels. The matrix [n, k] of a layer is
 *   qweight i32 [k, n / 8]: eight 4-bit codes of neighbouring rows in a word, those of even rows in the lower half;
 *   qzeros  i32 [groups, n / 8], likewise;
 *   scales  float [groups, n].
 * value = (code - zero) * scale. */
#include "base/alloc.h"
#include "base/error.h"
#include "formats/huggingface/quantized.h"

#include <strings.h>

/* The nibble of row i of eight. */
static const int nibble_of[8] = {0, 4, 1, 5, 2, 6, 3, 7};

static olv_status configure(ol_hf_qread *q, const json_t *config, olv_error *err) {
    int64_t bits;
    const char *version;
    const char *width = json_object_get(config, "w_bit") ? "w_bit" : "bits";
    const char *group = json_object_get(config, "q_group_size") ? "q_group_size" : "group_size";
    OL_TRY(ol_json_int(config, width, 1, 16, 4, &bits, err));
    if (bits != 4) return ol_fail(err, OLV_UNSUPPORTED, "found %d bits, expected 4", (int)bits);
    OL_TRY(ol_json_int(config, group, -1, INT32_MAX, 128, &q->group, err));
    OL_TRY(ol_json_string(config, "version", "gemm", &version, err));
    if (strcasecmp(version, "gemm") != 0 && strcasecmp(version, "exllama") != 0)
        return ol_fail(err, OLV_UNSUPPORTED, "found version '%.40s' of awq, expected gemm", version);
    q->bits = 4;
    return OLV_OK;
}

static bool shape(const ol_hf_qread *q, const char *stem, int64_t dims[2]) {
    const ol_st_tensor *w = ol_hf_qfind(q, stem, ".qweight");
    if (!w || w->rank != 2 || w->dims[1] > INT32_MAX) return false;
    dims[0] = w->dims[1] * 8;
    dims[1] = w->dims[0];
    return true;
}

static unsigned nibble(const uint8_t *words, int64_t word, int64_t row) {
    uint32_t w;
    memcpy(&w, words + 4 * word, 4);
    return w >> (4 * nibble_of[row % 8]) & 15;
}

/* Eight whole rows: a pair of words gives a byte of each. */
static void eight_rows(const ol_hf_qrelay *r, int64_t row, uint8_t *out) {
    const uint8_t *words = r->codes + row / 8 * 4;
    size_t line = (size_t)r->a * 4;
    for (int64_t j = 0; j + 1 < r->form.k; j += 2) {
        uint32_t u, v;
        memcpy(&u, words + (size_t)j * line, 4);
        memcpy(&v, words + (size_t)(j + 1) * line, 4);
        uint32_t even = (u & 0x0f0f0f0fu) | (v & 0x0f0f0f0fu) << 4; /* nibbles 0, 2, 4, 6 */
        uint32_t odd = (u >> 4 & 0x0f0f0f0fu) | (v & 0xf0f0f0f0u);  /* nibbles 1, 3, 5, 7 */
        for (int i = 0; i < 8; i++) {
            int at = nibble_of[i];
            out[(size_t)i * r->form.row_bytes + (size_t)j / 2] = (uint8_t)((at % 2 ? odd : even) >> (at / 2 * 8));
        }
    }
}

static bool straight(const ol_hf_qrelay *r, int64_t row, int64_t n, uint8_t *out) {
    if (row % 8 || n % 8 || r->form.k % 2 || r->form.row_bytes != (size_t)r->form.k / 2) return false;
    for (int64_t i = 0; i < n; i += 8) eight_rows(r, row + i, out + (size_t)i * r->form.row_bytes);
    return true;
}

/* r->a: words of a line along n. */
static void code_rows(const ol_hf_qrelay *r, int64_t row, int64_t n, uint8_t *out) {
    for (int64_t j = 0; j < r->form.k; j++)
        for (int64_t i = 0; i < n; i++)
            out[i * r->form.k + j] = (uint8_t)nibble(r->codes, j * r->a + (row + i) / 8, row + i);
}

static void scale_row(const ol_hf_qrelay *r, int64_t row, void *out) {
    for (int64_t g = 0; g < r->form.n_groups; g++)
        memcpy((uint8_t *)out + (size_t)g * r->scale_bytes, r->scales + (size_t)(g * r->form.rows + row) * r->scale_bytes,
               r->scale_bytes);
}

static unsigned zero(const ol_hf_qrelay *r, int64_t row, int64_t g) { return nibble(r->zeros, g * r->a + row / 8, row); }

static bool zeros_in_middle(const ol_hf_qrelay *r, int64_t words) {
    for (int64_t i = 0; i < words; i++) {
        uint32_t w;
        memcpy(&w, r->zeros + 4 * i, 4);
        if (w != 0x88888888u) return false;
    }
    return true;
}

static olv_status fill_relay(ol_hf_qread *q, const char *stem, const int64_t dims[2], ol_hf_qrelay *r, olv_error *err) {
    int64_t n = dims[0], k = dims[1], group = q->group > 0 && q->group < k ? q->group : k;
    const ol_st_tensor *st = ol_hf_qfind(q, stem, ".scales");
    if (k < 1 || n < 1) return ol_fail(err, OLV_SHAPE, "%lld x %lld codes", (long long)n, (long long)k);
    int64_t n_groups = (k + group - 1) / group;
    if (st && st->dtype != OL_F16 && st->dtype != OL_BF16 && st->dtype != OL_F32)
        return ol_fail(err, OLV_UNSUPPORTED, "scales of type %s", st->type_name);
    r->bits = 4;
    r->a = n / 8;
    OL_TRY(ol_hf_qbytes(q, stem, ".qweight", OL_I32, 2, (const int64_t[]){k, r->a}, &r->held, &r->codes, err));
    OL_TRY(ol_hf_qbytes(q, stem, ".qzeros", OL_I32, 2, (const int64_t[]){n_groups, r->a}, &r->held, &r->zeros, err));
    OL_TRY(ol_hf_qbytes(q, stem, ".scales", OL_DTYPE_NONE, 2, (const int64_t[]){n_groups, n}, &r->held, &r->scales, err));
    bool middle = zeros_in_middle(r, n_groups * r->a);
    ol_hf_qrelay_form(r, dims, group, !middle, st->dtype);
    r->zero = middle ? NULL : zero;
    r->straight = straight;
    r->code_rows = code_rows;
    r->scale_row = scale_row;
    return OLV_OK;
}

static olv_status constant(ol_hf_qread *q, const char *stem, const int64_t dims[2], ol_const **out, olv_error *err) {
    return ol_hf_qrelay_make(q, stem, dims, fill_relay, out, err);
}

const ol_hf_qmethod ol_hf_awq = {"awq", configure, shape, constant};
