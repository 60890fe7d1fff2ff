/* SPDX-License-Identifier: Apache-2.0 */
/* Portable linear layers. The int8 variant is the definition that the SIMD ones are checked against: exact integer sums
 * per block, combined in f64. The f32 variant accepts every weight, through rows dequantized one at a time. */
#include "kernels/linear/act.h"
#include "kernels/linear/variants.h"
#include <math.h>
#include <string.h>

/* ---- f32 activations ---- */

static bool f32_accepts(const olk_weight *w) {
    return w->q || w->dtype == OL_F32 || w->dtype == OL_F16 || w->dtype == OL_BF16;
}
static size_t f32_row_bytes(const olk_weight *w) { return ((size_t)w->k * 4 + 63) / 64 * 64; }
static size_t f32_act_bytes(const olk_weight *w, int64_t m) { return f32_row_bytes(w) * (size_t)m; }
static size_t f32_scratch(const olk_weight *w, int64_t m) {
    (void)m;
    return f32_row_bytes(w);
}
static uint64_t f32_key(const olk_weight *w) { return (uint64_t)w->k; }

static void f32_pack(const olk_weight *w, const float *x, int64_t ldx, int64_t m0, int64_t m1, int64_t m, void *act) {
    (void)m;
    for (int64_t i = m0; i < m1; i++)
        memcpy((uint8_t *)act + (size_t)i * f32_row_bytes(w), x + i * ldx, (size_t)w->k * 4);
}

/* 16 partial sums, so that the compiler may use what vectors it has; the order is fixed. */
static float dot(const float *a, const float *b, int64_t k) {
    float s[16] = {0};
    int64_t j = 0;
    for (; j + 16 <= k; j += 16)
        for (int l = 0; l < 16; l++) s[l] += a[j + l] * b[j + l];
    for (int l = 0; j < k; j++, l++) s[l] += a[j] * b[j];
    for (int step = 8; step; step /= 2)
        for (int l = 0; l < step; l++) s[l] += s[l + step];
    return s[0];
}

static void weight_row(const olk_weight *w, int64_t n, float *out) {
    if (w->q)
        ol_qconst_rows_f32(w->q, n, 1, out);
    else if (w->dtype == OL_F32)
        memcpy(out, (const uint8_t *)w->data + (size_t)n * w->row_bytes, (size_t)w->k * 4);
    else
        ol_elems_to_f32(w->dtype, (const uint8_t *)w->data + (size_t)n * w->row_bytes, 0, (uint64_t)w->k, out);
}

static void f32_run(const olk_linear_args *a, int64_t m0, int64_t m1, int64_t n0, int64_t n1, void *scratch) {
    const olk_weight *w = a->w;
    for (int64_t n = n0; n < n1; n++) {
        weight_row(w, n, scratch);
        for (int64_t i = m0; i < m1; i++) {
            const void *x = (const uint8_t *)a->act + (size_t)i * f32_row_bytes(w);
            a->y[i * a->ldy + n] = dot(x, scratch, w->k);
        }
    }
}

const olk_linear olk_linear_any_f32__scalar = {
    "olk_linear_any_f32__scalar", 0, OLK_F32, 1, INT64_MAX, 8, 16, f32_accepts, f32_act_bytes, f32_pack, f32_scratch,
    f32_run, f32_key, false};

/* The definition of OLK_REPRO. */
static void in_order_run(const olk_linear_args *a, int64_t m0, int64_t m1, int64_t n0, int64_t n1, void *scratch) {
    const olk_weight *w = a->w;
    const float *row = scratch;
    for (int64_t n = n0; n < n1; n++) {
        weight_row(w, n, scratch);
        for (int64_t i = m0; i < m1; i++) {
            const float *x = (const float *)(const void *)((const uint8_t *)a->act + (size_t)i * f32_row_bytes(w));
            float sum = 0;
            for (int64_t j = 0; j < w->k; j++) sum = fmaf(row[j], x[j], sum);
            a->y[i * a->ldy + n] = sum;
        }
    }
}

const olk_linear olk_linear_any_f32__scalar_in_order = {
    "olk_linear_any_f32__scalar_in_order", 0, OLK_F32, 1, INT64_MAX, 8, 16, f32_accepts, f32_act_bytes, f32_pack, f32_scratch,
    in_order_run, f32_key, true};

/* ---- int8 activations: per row the codes, then scales and sums of the blocks ---- */

typedef struct i8_form {
    int64_t block, blocks;
    size_t row_bytes;
} i8_form;

static i8_form i8_form_of(const olk_weight *w) {
    i8_form f;
    f.block = olk_act_block(w);
    f.blocks = (w->q->k + f.block - 1) / f.block;
    size_t bytes = (size_t)(f.blocks * (f.block + 8));
    if (olk_act_staged(w)) bytes += (size_t)w->q->k * 4;
    f.row_bytes = (bytes + 63) / 64 * 64;
    return f;
}

static size_t i8_act_bytes(const olk_weight *w, int64_t m) { return i8_form_of(w).row_bytes * (size_t)m; }
static size_t i8_scratch(const olk_weight *w, int64_t m) {
    (void)m;
    return ((size_t)w->q->k * 2 + 63) / 64 * 64 + (size_t)w->q->n_groups * 8;
}

static void quantize_block(const float *x, int64_t n, int64_t block, int8_t *codes, float *scale, int32_t *sum) {
    float amax = 0;
    bool finite = true;
    for (int64_t j = 0; j < n; j++) {
        finite = finite && isfinite(x[j]);
        amax = fabsf(x[j]) > amax ? fabsf(x[j]) : amax;
    }
    memset(codes, 0, (size_t)block);
    *sum = 0;
    *scale = finite ? 0 : NAN;
    if (!finite || amax < 1e-30f) return;
    float inv = 127.0f / amax;
    *scale = amax / 127.0f;
    for (int64_t j = 0; j < n; j++) {
        codes[j] = (int8_t)lrintf(x[j] * inv);
        *sum += codes[j];
    }
}

static void i8_pack(const olk_weight *w, const float *x, int64_t ldx, int64_t m0, int64_t m1, int64_t m, void *act) {
    (void)m;
    i8_form f = i8_form_of(w);
    int64_t k = w->q->k;
    for (int64_t i = m0; i < m1; i++) {
        uint8_t *row = (uint8_t *)act + (size_t)i * f.row_bytes;
        float *scale = (float *)(void *)(row + f.blocks * f.block);
        int32_t *sum = (int32_t *)(void *)(scale + f.blocks);
        const float *v = olk_act_stage(w->q, x + i * ldx, (float *)(void *)(sum + f.blocks));
        for (int64_t b = 0; b < f.blocks; b++) {
            int64_t k0 = b * f.block, n = k - k0 < f.block ? k - k0 : f.block;
            quantize_block(v + k0, n, f.block, (int8_t *)row + k0, scale + b, sum + b);
        }
    }
}

static void codes_row(const ol_qconst *q, int64_t row, int16_t *out) {
    const uint8_t *c = q->codes + (size_t)row * q->row_bytes;
    for (int64_t j = 0; j < q->k; j++) {
        int nibble = c[j / 2] >> (j % 2 * 4) & 15;
        switch (q->code) {
        case OL_Q_I8: out[j] = (int8_t)c[j]; break;
        case OL_Q_U8: out[j] = c[j]; break;
        case OL_Q_U4: out[j] = (int16_t)nibble; break;
        default: out[j] = (int16_t)((nibble ^ 8) - 8); break;
        }
    }
}

static float zero_of(const ol_qconst *q, int64_t row, int64_t g) {
    const uint8_t *z = (const uint8_t *)q->zeros + (size_t)row * q->zero_row_bytes;
    if (q->zero_dtype == OL_DTYPE_NONE) return q->code == OL_Q_U8 ? 128 : q->code == OL_Q_U4 ? 8 : 0;
    return (float)ol_elem_get(q->zero_dtype, z, (uint64_t)g);
}

static double row_dot(const ol_qconst *q, const i8_form *f, const int16_t *codes, const float *ws, const float *wz,
                      const uint8_t *act) {
    const int8_t *x = (const int8_t *)act;
    const float *scale = (const float *)(const void *)(act + f->blocks * f->block);
    const int32_t *sum = (const int32_t *)(const void *)(scale + f->blocks);
    double y = 0;
    for (int64_t b = 0; b < f->blocks; b++) {
        int64_t k0 = b * f->block, k1 = k0 + f->block < q->k ? k0 + f->block : q->k, g = k0 / q->group;
        int32_t s = 0;
        for (int64_t j = k0; j < k1; j++) s += codes[j] * x[j];
        y += ((double)s - (double)wz[g] * sum[b]) * (double)scale[b] * (double)ws[g];
    }
    return y;
}

static void i8_run(const olk_linear_args *a, int64_t m0, int64_t m1, int64_t n0, int64_t n1, void *scratch) {
    const ol_qconst *q = a->w->q;
    i8_form f = i8_form_of(a->w);
    int16_t *codes = scratch;
    float *ws = (float *)(void *)((uint8_t *)scratch + ((size_t)q->k * 2 + 63) / 64 * 64), *wz = ws + q->n_groups;
    for (int64_t n = n0; n < n1; n++) {
        codes_row(q, n, codes);
        for (int64_t g = 0; g < q->n_groups; g++) {
            ws[g] = (float)ol_elem_get(q->scale_dtype, q->scales, (uint64_t)(n * q->n_groups + g));
            wz[g] = zero_of(q, n, g);
        }
        for (int64_t i = m0; i < m1; i++) {
            const uint8_t *x = (const uint8_t *)a->act + (size_t)i * f.row_bytes;
            a->y[i * a->ldy + n] = q->global_scale * (float)row_dot(q, &f, codes, ws, wz, x);
        }
    }
}

const olk_linear olk_linear_int_i8__scalar = {
    "olk_linear_int_i8__scalar", 0, OLK_DEFAULT, 1, INT64_MAX, 8, 16, olk_linear_int8_ok, i8_act_bytes, i8_pack,
    i8_scratch, i8_run, olk_act_key};
