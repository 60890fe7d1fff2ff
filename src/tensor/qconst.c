/* SPDX-License-Identifier: Apache-2.0 */
#include "tensor/qconst.h"
#include "base/checked.h"
#include "base/error.h"
#include "tensor/qblock.h"
#include "tensor/qconst_form.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

/* To nine digits, which tell every float apart. */
const float ol_nf4_table[16] = {
    -1.0f, -0.696192801f, -0.525073051f, -0.394917488f, -0.284441382f, -0.18477343f, -0.0910500363f,
    0.0f, 0.0795802996f, 0.160930201f, 0.246112302f, 0.337915242f, 0.440709829f,
    0.562617004f, 0.722956836f, 1.0f,
};
static const float f4_table[16] = {0, 0.5f, 1, 1.5f, 2, 3, 4, 6, -0.0f, -0.5f, -1, -1.5f, -2, -3, -4, -6};

int ol_qcode_bits(ol_qcode c) {
    switch (c) {
    case OL_Q_I8:
    case OL_Q_U8:
    case OL_Q_F8:
    case OL_Q_TABLE8: return 8;
    case OL_Q_U2: return 2;
    case OL_Q_U3: return 3;
    case OL_Q_BLOCK: return 0;
    default: return 4;
    }
}

size_t ol_qcode_bytes(ol_qcode c, int64_t n) {
    return c == OL_Q_U3 ? (size_t)(n + 7) / 8 * 3 : (size_t)(n * ol_qcode_bits(c) + 7) / 8;
}

unsigned ol_u3_get(const uint8_t *codes, int64_t i) {
    const uint8_t *p = codes + i / 8 * 3;
    int at = (int)(i % 8);
    return (p[at / 4] >> (6 - at % 4 * 2) & 3u) | (p[2] >> (7 - at) & 1u) << 2;
}

void ol_u3_set(uint8_t *codes, int64_t i, unsigned code) {
    uint8_t *p = codes + i / 8 * 3;
    int at = (int)(i % 8);
    p[at / 4] = (uint8_t)(p[at / 4] | (code & 3) << (6 - at % 4 * 2));
    p[2] = (uint8_t)(p[2] | (code >> 2 & 1) << (7 - at));
}

static bool code_is_table(ol_qcode c) {
    return c == OL_Q_NF4 || c == OL_Q_F4 || c == OL_Q_F8 || c == OL_Q_TABLE4 || c == OL_Q_TABLE8;
}

size_t ol_qconst_scale_row_bytes(const ol_qconst *q) {
    return (size_t)q->n_groups * (size_t)(ol_dtype_bits(q->scale_dtype) / 8);
}

size_t ol_qconst_min_row_bytes(const ol_qconst *q) {
    return q->min_dtype == OL_DTYPE_NONE ? 0 : (size_t)q->n_groups * (size_t)(ol_dtype_bits(q->min_dtype) / 8);
}

static bool valid_zero(ol_dtype t) {
    return t == OL_DTYPE_NONE || t == OL_U4 || t == OL_I4 || t == OL_U2 || t == OL_U8 || t == OL_I8 || t == OL_F32 ||
           t == OL_F16 || t == OL_BF16;
}

static olv_status check_block(const ol_qconst *q, olv_error *err) {
    int elems = ol_qblock_elems(q->block), bytes = ol_qblock_bytes(q->block);
    size_t need = 0;
    if (!elems) return ol_fail(err, OLV_FORMAT, "quantized constant of unknown block kind %d", (int)q->block);
    if (q->k % elems)
        return ol_fail(err, OLV_SHAPE, "row of %lld elements found, %s needs a multiple of %d", (long long)q->k,
                       ol_qblock_name(q->block), elems);
    if (!ol_mul_size((size_t)(q->k / elems), (size_t)bytes, &need) || q->row_bytes < need)
        return ol_fail(err, OLV_FORMAT, "%s rows of %zu bytes found, %zu expected", ol_qblock_name(q->block),
                       q->row_bytes, need);
    return OLV_OK;
}

static olv_status check_planar(const ol_qconst *q, olv_error *err) {
    if (q->group < 1 || (q->group > q->k && q->k > 0) || q->n_groups != (q->k + q->group - 1) / q->group)
        return ol_fail(err, OLV_SHAPE, "%lld groups of %lld found in a row of %lld elements", (long long)q->n_groups,
                       (long long)q->group, (long long)q->k);
    size_t codes, scales, zeros;
    int64_t padded;
    if (!ol_mul_i64(q->n_groups, q->group, &padded) || padded > INT64_MAX / 8 ||
        !ol_mul_size((size_t)q->n_groups, 4, &scales))
        return ol_fail(err, OLV_LIMIT, "quantized row of %lld elements is too long", (long long)q->k);
    codes = ol_qcode_bytes(q->code, padded);
    if (q->row_bytes < codes)
        return ol_fail(err, OLV_FORMAT, "rows of %zu code bytes found, %zu expected", q->row_bytes, codes);
    if (q->scale_dtype != OL_F32 && q->scale_dtype != OL_F16 && q->scale_dtype != OL_BF16 &&
        q->scale_dtype != OL_F8E8M0 && q->scale_dtype != OL_F8E4M3)
        return ol_fail(err, OLV_FORMAT, "scales of type %s are not supported", ol_dtype_name(q->scale_dtype));
    if (!valid_zero(q->zero_dtype))
        return ol_fail(err, OLV_FORMAT, "zero points of type %s are not supported", ol_dtype_name(q->zero_dtype));
    if (q->min_dtype != OL_DTYPE_NONE && q->min_dtype != OL_F32 && q->min_dtype != OL_F16)
        return ol_fail(err, OLV_FORMAT, "minima of type %s are not supported", ol_dtype_name(q->min_dtype));
    if (q->zero_dtype != OL_DTYPE_NONE &&
        (!ol_dtype_bytes(q->zero_dtype, (uint64_t)q->n_groups, &zeros) || q->zero_row_bytes < zeros))
        return ol_fail(err, OLV_FORMAT, "rows of %zu zero-point bytes found, %lld groups of %s need more",
                       q->zero_row_bytes, (long long)q->n_groups, ol_dtype_name(q->zero_dtype));
    return OLV_OK;
}

olv_status ol_qconst_check_form(const ol_qconst *q, olv_error *err) {
    if (q->rows < 0 || q->k < 0)
        return ol_fail(err, OLV_SHAPE, "quantized constant of %lld x %lld", (long long)q->rows, (long long)q->k);
    if (q->global_scale == 0) return ol_fail(err, OLV_FORMAT, "second-level scale 0 of a quantized constant");
    if (q->code == OL_Q_BLOCK) return check_block(q, err);
    if ((q->code == OL_Q_TABLE4 || q->code == OL_Q_TABLE8) && !q->table)
        return ol_fail(err, OLV_FORMAT, "quantized constant without its table");
    return check_planar(q, err);
}

/* `have` bytes must hold rows * row_bytes. */
static olv_status check_extent(const ol_qconst *q, const char *what, size_t row_bytes, size_t have, olv_error *err) {
    size_t need;
    if (!ol_mul_size((size_t)q->rows, row_bytes, &need) || have < need)
        return ol_fail(err, OLV_FORMAT, "%zu bytes of %s found, %lld rows of %zu expected", have, what,
                       (long long)q->rows, row_bytes);
    return OLV_OK;
}

olv_status ol_qconst_check(const ol_qconst *q, size_t codes_bytes, size_t scales_bytes, size_t zeros_bytes,
                           olv_error *err) {
    OL_TRY(ol_qconst_check_form(q, err));
    OL_TRY(check_extent(q, "codes", q->row_bytes, codes_bytes, err));
    if (q->code == OL_Q_BLOCK) return OLV_OK;
    OL_TRY(check_extent(q, "scales", ol_qconst_scale_row_bytes(q), scales_bytes, err));
    if (q->zero_dtype != OL_DTYPE_NONE) OL_TRY(check_extent(q, "zero points", q->zero_row_bytes, zeros_bytes, err));
    if (q->perm)
        for (int64_t j = 0; j < q->k; j++)
            if (q->perm[j] < 0 || q->perm[j] >= q->k)
                return ol_fail(err, OLV_FORMAT, "entry %lld of a column permutation is %d, 0 to %lld expected",
                               (long long)j, (int)q->perm[j], (long long)q->k - 1);
    return OLV_OK;
}

/* ---- decoding ---- */

/* What the codes of one group mean: value = scale * (code - zero) + min, or scale * table[code] + min. */
typedef struct group_form {
    float scale, zero, min;
    bool has_min;
} group_form;

static float default_zero(ol_qcode c) { return c == OL_Q_U8 ? 128.0f : c == OL_Q_U4 ? 8.0f : c == OL_Q_U3 ? 4.0f : c == OL_Q_U2 ? 2.0f : 0.0f; }

static float scale_at(const ol_qconst *q, int64_t row, int64_t g) {
    uint64_t i = (uint64_t)row * (uint64_t)q->n_groups + (uint64_t)g;
    if (q->scale_dtype == OL_F16) {
        uint16_t h;
        memcpy(&h, (const uint8_t *)q->scales + 2 * i, 2);
        return ol_f16_to_f32(h);
    }
    return (float)ol_elem_get(q->scale_dtype, q->scales, i);
}

static group_form form_at(const ol_qconst *q, int64_t row, int64_t g) {
    group_form f = {.scale = scale_at(q, row, g) * q->global_scale};
    f.has_min = q->min_dtype != OL_DTYPE_NONE;
    if (f.has_min)
        f.min = (float)ol_elem_get(q->min_dtype, q->mins, (uint64_t)(row * q->n_groups + g));
    else if (q->zero_dtype == OL_DTYPE_NONE)
        f.zero = default_zero(q->code);
    else
        f.zero = (float)ol_elem_get(q->zero_dtype, (const uint8_t *)q->zeros + (size_t)row * q->zero_row_bytes,
                                    (uint64_t)g);
    return f;
}

static inline float finish(const group_form *f, float code) {
    float v = f->scale * (code - f->zero);
    return f->has_min ? v + f->min : v;
}

/* Stored columns [c0, c0 + m) of one group. A code of few bits has few values: decoded by a small table. */
static void group_small(const ol_qconst *q, const uint8_t *codes, const group_form *f, int64_t c0, int64_t m,
                        float *out) {
    float lut[16];
    const float *table = q->code == OL_Q_NF4 ? ol_nf4_table : q->code == OL_Q_F4 ? f4_table : q->table;
    for (int i = 0; i < 16; i++) {
        if (code_is_table(q->code))
            lut[i] = f->has_min ? f->scale * table[i] + f->min : f->scale * table[i];
        else
            lut[i] = finish(f, (float)(q->code == OL_Q_I4 ? (i ^ 8) - 8 : i));
    }
    if (q->code == OL_Q_U3) {
        for (int64_t j = 0; j < m; j++) out[j] = lut[ol_u3_get(codes, c0 + j)];
        return;
    }
    if (q->code == OL_Q_U2) {
        for (int64_t j = 0; j < m; j++) out[j] = lut[codes[(c0 + j) / 4] >> ((c0 + j) % 4 * 2) & 3];
        return;
    }
    int64_t j = 0;
    if (c0 % 2 && m > 0) out[j++] = lut[codes[c0 / 2] >> 4];
    for (; j + 1 < m; j += 2) {
        uint8_t b = codes[(c0 + j) / 2];
        out[j] = lut[b & 15];
        out[j + 1] = lut[b >> 4];
    }
    if (j < m) out[j] = lut[codes[(c0 + j) / 2] & 15];
}

/* f8e4m3fn: the exponent's bias goes from 7 to 127; the smallest have none, and 0x7f is no number. */
static inline float f8_value(uint8_t x) {
    uint32_t mag = x & 0x7fu, bits = (mag << 20) + (120u << 23);
    float v;
    memcpy(&v, &bits, sizeof v);
    v = mag == 0x7f ? NAN : mag < 8 ? (float)mag * (1.0f / 512) : v;
    return x & 0x80 ? -v : v;
}

static void group_bytes(const ol_qconst *q, const uint8_t *codes, const group_form *f, int64_t c0, int64_t m,
                        float *out) {
    const uint8_t *p = codes + c0;
    switch (q->code) {
    case OL_Q_I8:
        for (int64_t j = 0; j < m; j++) out[j] = f->scale * ((float)(int8_t)p[j] - f->zero);
        break;
    case OL_Q_U8:
        for (int64_t j = 0; j < m; j++) out[j] = f->scale * ((float)p[j] - f->zero);
        break;
    case OL_Q_F8:
        for (int64_t j = 0; j < m; j++) out[j] = f8_value(p[j]) * f->scale;
        break;
    default:
        for (int64_t j = 0; j < m; j++) out[j] = f->scale * q->table[p[j]];
    }
    if (f->has_min)
        for (int64_t j = 0; j < m; j++) out[j] += f->min;
}

static void blocks_span(const ol_qconst *q, const uint8_t *codes, int64_t c0, int64_t m, float *out) {
    float tmp[OL_QBLOCK_MAX];
    int elems = ol_qblock_elems(q->block), bytes = ol_qblock_bytes(q->block);
    while (m > 0) {
        int64_t b = c0 / elems, off = c0 % elems, n = elems - off < m ? elems - off : m;
        bool whole = n == elems;
        ol_qblock_decode(q->block, codes + (size_t)b * (size_t)bytes, whole ? out : tmp);
        if (!whole) memcpy(out, tmp + off, (size_t)n * sizeof *out);
        if (q->global_scale != 1.0f)
            for (int64_t j = 0; j < n; j++) out[j] *= q->global_scale;
        out += n;
        c0 += n;
        m -= n;
    }
}

/* Columns [c0, c0 + m) of a row in stored order. */
static void stored_span(const ol_qconst *q, int64_t row, int64_t c0, int64_t m, float *out) {
    const uint8_t *codes = q->codes + (size_t)row * q->row_bytes;
    if (q->code == OL_Q_BLOCK) {
        blocks_span(q, codes, c0, m, out);
        return;
    }
    while (m > 0) {
        int64_t g = c0 / q->group, end = (g + 1) * q->group, n = end - c0 < m ? end - c0 : m;
        group_form f = form_at(q, row, g);
        if (ol_qcode_bits(q->code) == 8)
            group_bytes(q, codes, &f, c0, n, out);
        else
            group_small(q, codes, &f, c0, n, out);
        out += n;
        c0 += n;
        m -= n;
    }
}

void ol_qconst_span_f32(const ol_qconst *q, int64_t row, int64_t c0, int64_t m, float *out) {
    if (!q->perm)
        stored_span(q, row, c0, m, out);
    else
        for (int64_t j = 0; j < m; j++) stored_span(q, row, q->perm[c0 + j], 1, out + j);
    if (q->input_scale)
        for (int64_t j = 0; j < m; j++) out[j] *= q->input_scale[c0 + j];
}

void ol_qconst_rows_f32(const ol_qconst *q, int64_t row, int64_t n, float *out) {
    for (int64_t i = 0; i < n; i++) ol_qconst_span_f32(q, row + i, 0, q->k, out + (size_t)i * (size_t)q->k);
}

/* ---- describing ---- */

double ol_qconst_bits(const ol_qconst *q) {
    if (q->k == 0) return 0;
    if (q->code == OL_Q_BLOCK) return 8.0 * ol_qblock_bytes(q->block) / ol_qblock_elems(q->block);
    int extra = (ol_dtype_bits(q->scale_dtype) == 8 ? 8 : 16) + (q->min_dtype == OL_DTYPE_NONE ? 0 : 16);
    if (q->zero_dtype != OL_DTYPE_NONE)
        extra += ol_dtype_class(q->zero_dtype) == 'f' ? 16 : ol_dtype_bits(q->zero_dtype);
    return ol_qcode_bits(q->code) + (double)extra * (double)q->n_groups / (double)q->k;
}

static const char *code_name(ol_qcode c, bool sym) {
    switch (c) {
    case OL_Q_I8: return "int8";
    case OL_Q_U8: return sym ? "int8" : "u8";
    case OL_Q_I4: return "int4";
    case OL_Q_U4: return sym ? "int4" : "u4";
    case OL_Q_U2: return sym ? "int2" : "u2";
    case OL_Q_U3: return sym ? "int3" : "u3";
    case OL_Q_NF4: return "nf4";
    case OL_Q_F4: return "f4e2m1";
    case OL_Q_F8: return "f8e4m3";
    case OL_Q_TABLE4: return "table4";
    default: return "table8";
    }
}

void ol_qconst_describe(const ol_qconst *q, char *out, size_t size) {
    char group[32], tail[8] = "";
    if (q->code == OL_Q_BLOCK) {
        snprintf(out, size, "%s", ol_qblock_name(q->block));
        return;
    }
    bool sym = q->zero_dtype == OL_DTYPE_NONE && q->min_dtype == OL_DTYPE_NONE;
    snprintf(group, sizeof group, q->n_groups <= 1 ? "per-row" : "g%lld", (long long)q->group);
    if (q->zero_dtype != OL_DTYPE_NONE) strcpy(tail, " zp");
    if (q->min_dtype != OL_DTYPE_NONE) strcpy(tail, " min");
    snprintf(out, size, "%s%s %s%s", code_name(q->code, sym), sym && !code_is_table(q->code) ? " sym" : "", group, tail);
}
