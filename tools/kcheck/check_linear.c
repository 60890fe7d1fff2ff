/* SPDX-License-Identifier: Apache-2.0 */
/* Linear layers. Variants with float activations are compared with f64 over dequantized weights; int8 ones with the
 * scalar int8 variant (tightly), and that one with f64 within the bound of its quantizer. Rows must keep their bits
 * when they are computed among fewer others and in other tiles. */
#include "kernels/kcheck.h"
#include "kernels/linear/panels.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_K 2100

static size_t count(void) {
    size_t n;
    olk_linear_variants(&n);
    return n;
}
static const olk_linear *get(size_t i) {
    size_t n;
    return olk_linear_variants(&n)[i];
}
static kc_variant variant(size_t i) { return (kc_variant){get(i)->name, get(i)->cpu}; }

static const olk_linear *scalar_int8(void) {
    for (size_t i = 0; i < count(); i++)
        if (!strcmp(get(i)->name, "olk_linear_int_i8__scalar")) return get(i);
    return NULL;
}

/* ---- drawing a weight ---- */

typedef struct weight_case {
    olk_weight w;
    ol_qconst q;
    int64_t m, ldx, ldy;
    float *x;
} weight_case;

static int64_t draw_k(kc *k) {
    int64_t tiles[] = {16, 32, 64, 128, 512};
    int64_t v = kc_size(k, tiles[kc_int(k, 0, 4)], kc_chance(k, 8) ? MAX_K : 700);
    return v < 1 ? 1 : v;
}

static void draw_float(kc *k, olk_weight *w) {
    ol_dtype types[] = {OL_F32, OL_F16, OL_BF16};
    w->dtype = types[kc_int(k, 0, 2)];
    w->k = draw_k(k);
    w->row_bytes = (size_t)w->k * (size_t)ol_dtype_bits(w->dtype) / 8 + (kc_chance(k, 2) ? (size_t)kc_int(k, 0, 9) : 0);
}

static int code_bits(ol_qcode c) {
    return c == OL_Q_U2 ? 2 : c == OL_Q_I8 || c == OL_Q_U8 || c == OL_Q_F8 || c == OL_Q_TABLE8 ? 8 : 4;
}

static void draw_quantized(kc *k, weight_case *c, bool exotic) {
    ol_qconst *q = &c->q;
    int64_t groups[] = {32, 32, 16, 64, 128, 256, 512, 1024, 0, 96, 48, 8};
    q->code = (ol_qcode)kc_int(k, OL_Q_I8, exotic ? OL_Q_TABLE8 : OL_Q_U4);
    q->k = draw_k(k);
    q->group = groups[kc_int(k, 0, exotic ? 11 : 8)];
    if (!q->group || (q->group > q->k && kc_chance(k, 2))) q->group = q->k;
    q->n_groups = (q->k + q->group - 1) / q->group;
    q->row_bytes = (size_t)(q->n_groups * q->group * code_bits(q->code) + 7) / 8;
    if (kc_chance(k, 4)) q->row_bytes += (size_t)kc_int(k, 1, 9);
    ol_dtype scales[] = {OL_F32, OL_F32, OL_F16, OL_BF16, OL_F8E8M0};
    q->scale_dtype = scales[kc_int(k, 0, exotic ? 4 : 3)];
    bool integer = q->code <= OL_Q_U2, byte = q->code <= OL_Q_U8;
    ol_dtype zeros[] = {OL_F32, OL_F16, byte ? OL_U8 : OL_U4, byte ? OL_I8 : OL_I4, OL_U8};
    if (integer && kc_chance(k, 3)) q->zero_dtype = zeros[kc_int(k, 0, 4)];
    if (q->zero_dtype)
        q->zero_row_bytes = (size_t)(q->n_groups * ol_dtype_bits(q->zero_dtype) + 7) / 8;
    q->global_scale = kc_chance(k, 8) ? 0.5f : 1;
    if (exotic && integer && !q->zero_dtype && kc_chance(k, 4)) q->min_dtype = OL_F32;
    c->w.q = q;
    c->w.k = q->k;
}

static bool draw(kc *k, const olk_linear *v, weight_case *c) {
    for (int tries = 0; tries < 200; tries++) {
        memset(c, 0, sizeof *c);
        if (v->precision != OLK_DEFAULT && kc_chance(k, 2))
            draw_float(k, &c->w);
        else
            draw_quantized(k, c, v->precision != OLK_DEFAULT);
        if (v->accepts(&c->w)) return true;
    }
    return false;
}

/* ---- filling it ---- */

static void fill_floats(kc *k, olk_weight *w) {
    size_t size = (size_t)ol_dtype_bits(w->dtype) / 8, bytes = w->n ? (size_t)(w->n - 1) * w->row_bytes : 0;
    if (w->n) bytes += (size_t)w->k * size;
    uint8_t *data = kc_alloc(k, bytes, 64, (size_t)kc_int(k, 0, 63));
    for (int64_t r = 0; r < w->n; r++) {
        uint8_t *row = data + (size_t)r * w->row_bytes;
        float v[MAX_K];
        kc_fill_f32(k, v, (size_t)w->k, KC_NORMAL);
        ol_elems_from_f32(w->dtype, v, (uint64_t)w->k, row, 0);
    }
    kc_protect(k, data);
    w->data = data;
}

static void fill_optional(kc *k, ol_qconst *q) {
    static float table[256];
    if (q->code == OL_Q_TABLE4 || q->code == OL_Q_TABLE8) {
        kc_fill_f32(k, table, 256, KC_NORMAL);
        q->table = table;
    }
    if (q->min_dtype) {
        float *mins = kc_alloc(k, (size_t)(q->rows * q->n_groups) * 4, 64, 4);
        kc_fill_f32(k, mins, (size_t)(q->rows * q->n_groups), KC_NORMAL);
        q->mins = mins;
    }
    if (kc_chance(k, 10)) {
        int32_t *perm = kc_alloc(k, (size_t)q->k * 4, 64, 4);
        for (int64_t j = 0; j < q->k; j++) perm[j] = (int32_t)j;
        for (int64_t j = q->k - 1; j > 0; j--) {
            int64_t o = kc_int(k, 0, j);
            int32_t swap = perm[j];
            perm[j] = perm[o];
            perm[o] = swap;
        }
        q->perm = perm;
    }
    if (kc_chance(k, 10)) {
        float *scale = kc_alloc(k, (size_t)q->k * 4, 64, 4);
        kc_fill_f32(k, scale, (size_t)q->k, KC_NORMAL);
        q->input_scale = scale;
    }
}

static void fill_quantized(kc *k, ol_qconst *q) {
    size_t bytes = (size_t)q->rows * q->row_bytes, n = (size_t)(q->rows * q->n_groups);
    uint8_t *codes = kc_alloc(k, bytes, 64, (size_t)kc_int(k, 0, 63));
    if (kc_chance(k, 8))
        memset(codes, kc_chance(k, 2) ? 0xff : kc_chance(k, 2) ? 0x80 : 0, bytes); /* saturating */
    else
        kc_fill_bytes(k, codes, bytes);
    if (q->code == OL_Q_F8) /* its NaNs are another test's matter */
        for (size_t i = 0; i < bytes; i++) codes[i] &= 0xbf;
    size_t size = (size_t)ol_dtype_bits(q->scale_dtype) / 8;
    uint8_t *scales = kc_alloc(k, n * size, 64, size * (size_t)kc_int(k, 0, 7));
    if (q->scale_dtype == OL_F8E8M0)
        for (size_t i = 0; i < n; i++) scales[i] = (uint8_t)kc_int(k, 120, 127);
    else
        kc_fill_typed(k, (int)q->scale_dtype, scales, n, 0.01f);
    kc_protect(k, codes);
    kc_protect(k, scales);
    q->codes = codes;
    q->scales = scales;
    if (q->zero_dtype) {
        uint8_t *zeros = kc_alloc(k, (size_t)q->rows * q->zero_row_bytes, 64, 0);
        if (ol_dtype_class(q->zero_dtype) == 'f') /* around the middle of the code, as quantizers choose it */
            for (size_t i = 0; i < n; i++)
                ol_elem_set(q->zero_dtype, zeros, i, (double)(kc_float(k) * 8) + (q->code == OL_Q_U8 ? 128 : 0));
        else
            kc_fill_bytes(k, zeros, (size_t)q->rows * q->zero_row_bytes);
        kc_protect(k, zeros);
        q->zeros = zeros;
    }
    fill_optional(k, q);
}

static void fill_x(kc *k, weight_case *c) {
    c->ldx = c->w.k + (kc_chance(k, 2) ? kc_int(k, 0, 20) : 0);
    c->ldy = c->w.n + (kc_chance(k, 2) ? kc_int(k, 0, 20) : 0);
    size_t n = c->m ? (size_t)((c->m - 1) * c->ldx + c->w.k) : 0;
    c->x = kc_alloc(k, n * 4, 64, 4 * (size_t)kc_int(k, 0, 15));
    for (int64_t i = 0; i < c->m; i++) {
        kc_values kind = kc_any_values(k);
        float *row = c->x + i * c->ldx;
        kc_fill_f32(k, row, (size_t)c->w.k, kind);
        if (kind == KC_WIDE) /* products and their sums must not overflow f32 */
            for (int64_t j = 0; j < c->w.k; j++) row[j] = ldexpf(row[j], -40);
    }
    kc_protect(k, c->x);
}

static const char *weight_text(const olk_weight *w, char *out, size_t size) {
    if (!w->q)
        snprintf(out, size, "%s", ol_dtype_name(w->dtype));
    else
        snprintf(out, size, "code %d group %lld scale %s zero %s%s%s", (int)w->q->code, (long long)w->q->group,
                 ol_dtype_name(w->q->scale_dtype), ol_dtype_name(w->q->zero_dtype), w->q->perm ? " perm" : "",
                 w->q->input_scale ? " input scale" : "");
    return out;
}

/* ---- running ---- */

/* Packs (in two parts) and runs tile ranges (in two parts); returns y [m, ldy], NULL if memory failed. */
static float *compute(kc *k, const olk_linear *v, const weight_case *c, int64_t m) {
    size_t y_floats = m ? (size_t)((m - 1) * c->ldy + c->w.n) : 0;
    float *y = kc_alloc(k, y_floats * 4, 64, 4 * (size_t)kc_int(k, 0, 15));
    void *act = kc_alloc(k, v->act_bytes(&c->w, m), 64, 0);
    void *scratch = kc_alloc(k, v->scratch_bytes(&c->w, m), 64, 0);
    if (!y || !act || !scratch) return NULL;
    int64_t cut = kc_int(k, 0, m);
    v->pack(&c->w, c->x, c->ldx, 0, cut, m, act);
    v->pack(&c->w, c->x, c->ldx, cut, m, m, act);
    kc_protect(k, act);
    olk_linear_args a = {&c->w, act, m, y, c->ldy};
    int64_t n1 = kc_int(k, 0, c->w.n / v->tile_n) * v->tile_n, m1 = kc_int(k, 0, m / v->tile_m) * v->tile_m;
    if (kc_chance(k, 3)) {
        v->run(&a, 0, m, 0, c->w.n, scratch);
    } else {
        v->run(&a, m1, m, n1, c->w.n, scratch);
        v->run(&a, 0, m1, 0, n1, scratch);
        v->run(&a, 0, m1, n1, c->w.n, scratch);
        v->run(&a, m1, m, 0, n1, scratch);
    }
    for (int64_t i = 0; i + 1 < m; i++)
        for (int64_t j = c->w.n; j < c->ldy; j++) {
            uint32_t bits;
            memcpy(&bits, y + i * c->ldy + j, 4);
            if (bits != 0xffffffffu) kc_fail(k, "wrote between rows of y");
        }
    return y;
}

static void weight_row(const olk_weight *w, int64_t n, float *out) {
    if (w->q)
        ol_qconst_rows_f32(w->q, n, 1, out);
    else
        ol_elems_to_f32(w->dtype, (const uint8_t *)w->data + (size_t)n * w->row_bytes, 0, (uint64_t)w->k, out);
}

/* Exact product, the sum of magnitudes, and a bound of what the int8 quantizer may change. */
static void exact(const float *x, const float *w, int64_t k, double *y, double *size, double *quant) {
    *y = *size = *quant = 0;
    for (int64_t b = 0; b < k; b += 32) {
        double amax = 0, sum = 0;
        for (int64_t j = b; j < k && j < b + 32; j++) {
            double p = (double)x[j] * (double)w[j];
            *y += p;
            *size += fabs(p);
            sum += fabs((double)w[j]);
            if (fabs((double)x[j]) > amax) amax = fabs((double)x[j]);
        }
        *quant += sum * amax / 253;
    }
}

static void compare_float(kc *k, const olk_linear *v, const weight_case *c, const float *y) {
    float w[MAX_K];
    for (int64_t n = 0; n < c->w.n; n++) {
        weight_row(&c->w, n, w);
        for (int64_t i = 0; i < c->m; i++) {
            double want, size, quant;
            exact(c->x + i * c->ldx, w, c->w.k, &want, &size, &quant);
            double eps = v->precision == OLK_BF16 ? 0.009 : 1.2e-7 * (8 + (double)c->w.k / 32);
            char what[40];
            snprintf(what, sizeof what, "row %lld, y", (long long)i);
            if (!kc_compare_f32(k, what, y + i * c->ldy + n, &want, 1, eps * size + 1e-34, 0)) return;
        }
    }
}

static void compare_int8(kc *k, const olk_linear *v, const weight_case *c, const float *y) {
    float w[MAX_K], xs[MAX_K];
    bool scalar = v == scalar_int8();
    const float *ref = scalar ? NULL : compute(k, scalar_int8(), c, c->m);
    if (!scalar && !ref) return;
    for (int64_t n = 0; n < c->w.n; n++) {
        ol_qconst q = *c->w.q; /* rows as stored: the quantizer sees x in that order */
        q.perm = NULL;
        q.input_scale = NULL;
        ol_qconst_rows_f32(&q, n, 1, w);
        for (int64_t i = 0; i < c->m; i++) {
            for (int64_t j = 0; j < q.k; j++) {
                float x = c->x[i * c->ldx + j];
                xs[c->q.perm ? c->q.perm[j] : j] = c->q.input_scale ? x * c->q.input_scale[j] : x;
            }
            double want, size, quant;
            exact(xs, w, c->w.k, &want, &size, &quant);
            if (isnan(want) || isinf(want)) want = NAN;
            double bound = scalar ? quant + 1e-5 * size : 4e-7 * (size + quant);
            if (!scalar) want = (double)ref[i * c->ldy + n];
            char what[40];
            snprintf(what, sizeof what, "row %lld, y", (long long)i);
            if (!kc_compare_f32(k, what, y + i * c->ldy + n, &want, 1, bound + 1e-28, 0)) return;
        }
    }
}

/* Weights laid out beforehand give the same bits, with any number of rows. */
static void check_panels(kc *k, const olk_linear *v, weight_case *c, const float *y) {
    const olk_panels *form = olk_panels_find(v, &c->w);
    if (!form || c->m < 1) return;
    float *panels = kc_alloc(k, form->floats(&c->w) * sizeof *panels, 64, 0);
    if (!panels) return;
    form->make(&c->w, panels);
    kc_protect(k, panels);
    c->w.panels = panels;
    int64_t rows = kc_chance(k, 2) ? c->m : kc_int(k, 1, c->m < 16 ? c->m : 16);
    const float *z = compute(k, v, c, rows);
    for (int64_t r = 0; z && r < rows; r++)
        if (!kc_same_f32(k, "from panels, y", z + r * c->ldy, y + r * c->ldy, (size_t)c->w.n)) return;
}

static void check(kc *k, size_t i) {
    const olk_linear *v = get(i);
    weight_case c;
    char text[96];
    if (!draw(k, v, &c)) {
        kc_fail(k, "no drawn weight is accepted");
        return;
    }
    int64_t max_m = v->max_m < 70 ? v->max_m : 70;
    c.m = kc_size(k, v->tile_m < max_m ? v->tile_m : max_m, max_m);
    if (c.m && c.m < v->min_m) c.m = v->min_m + kc_int(k, 0, max_m - v->min_m);
    c.w.n = kc_size(k, v->tile_n, c.w.k > 300 ? 40 : 120);
    c.q.rows = c.w.n;
    if (c.w.q)
        fill_quantized(k, &c.q);
    else
        fill_floats(k, &c.w);
    fill_x(k, &c);
    kc_describe(k, "m %lld n %lld k %lld %s", (long long)c.m, (long long)c.w.n, (long long)c.w.k,
                weight_text(&c.w, text, sizeof text));
    if (!v->accepts(&c.w)) return; /* permuted: not everyone takes that */
    const float *y = compute(k, v, &c, c.m);
    if (!y) return;
    if (v->precision == OLK_DEFAULT)
        compare_int8(k, v, &c, y);
    else
        compare_float(k, v, &c, y);
    check_panels(k, v, &c, y);
    c.w.panels = NULL;
    if (c.m <= v->min_m) return;
    int64_t fewer = kc_int(k, v->min_m, c.m);
    const float *z = compute(k, v, &c, fewer);
    for (int64_t r = 0; z && r < fewer; r++)
        if (!kc_same_f32(k, "with fewer rows, y", z + r * c.ldy, y + r * c.ldy, (size_t)c.w.n)) return;
}

/* ---- benchmarks: the shapes of a 1B language model ---- */

typedef struct bench_case {
    const olk_linear *v;
    olk_linear_args a;
    void *scratch;
    int64_t tile;
} bench_case;

static void bench_run(void *ctx) {
    bench_case *b = ctx;
    for (int64_t n = 0; n < b->a.w->n; n += b->tile) {
        int64_t end = n + b->tile < b->a.w->n ? n + b->tile : b->a.w->n;
        b->v->run(&b->a, 0, b->a.m, n, end, b->scratch);
    }
}

static bool bench_weight(kc *k, weight_case *c, const olk_linear *v, int64_t n, int64_t width, ol_qcode code,
                         int64_t group, ol_dtype type) {
    memset(c, 0, sizeof *c);
    c->w.n = n;
    c->w.k = width;
    size_t bytes;
    if (group) {
        bool nibble = code == OL_Q_I4 || code == OL_Q_U4;
        c->q = (ol_qconst){.code = code, .rows = n, .k = width, .group = group, .n_groups = width / group,
                           .row_bytes = (size_t)(nibble ? width / 2 : width), .scale_dtype = type, .global_scale = 1};
        c->w.q = &c->q;
        bytes = c->q.row_bytes * (size_t)n;
    } else {
        c->w.dtype = type;
        c->w.row_bytes = (size_t)width * (size_t)ol_dtype_bits(type) / 8;
        bytes = c->w.row_bytes * (size_t)n;
    }
    if (!v->accepts(&c->w)) return false;
    size_t scale_bytes = (size_t)(n * c->q.n_groups) * 4;
    uint8_t *data = kc_bench_alloc(k, bytes + 64), *scales = kc_bench_alloc(k, scale_bytes + 64);
    if (!data || !scales) return false;
    memset(data, 0x35, bytes);
    memset(scales, 0x33, scale_bytes);
    c->w.data = c->q.codes = data;
    c->q.scales = scales;
    return true;
}

static void bench_one(kc *k, const olk_linear *v, weight_case *c, int64_t m, const char *text) {
    if (m < v->min_m || m > v->max_m) return;
    float *x = kc_bench_alloc(k, (size_t)(m * c->w.k) * 4), *y = kc_bench_alloc(k, (size_t)(m * c->w.n) * 4);
    void *act = kc_bench_alloc(k, v->act_bytes(&c->w, m)), *scratch = kc_bench_alloc(k, v->scratch_bytes(&c->w, m) + 64);
    if (!x || !y || !act || !scratch) return;
    kc_fill_f32(k, x, (size_t)(m * c->w.k), KC_NORMAL);
    v->pack(&c->w, x, c->w.k, 0, m, m, act);
    bench_case b = {v, {&c->w, act, m, y, c->w.n}, scratch, v->tile_n * (m > 16 ? 1 : 4)};
    double t = kc_time(k, bench_run, &b), bytes = (double)c->w.row_bytes * (double)c->w.n;
    if (c->w.q)
        bytes = (double)c->w.n * ((double)c->q.row_bytes +
                                  (double)(c->q.n_groups * ol_dtype_bits(c->q.scale_dtype)) / 8);
    kc_report(k, t, bytes, 2.0 * (double)m * (double)c->w.n * (double)c->w.k, "m %lld n %lld k %lld %s", (long long)m,
              (long long)c->w.n, (long long)c->w.k, text);
}

static void bench(kc *k, size_t i) {
    static const struct {
        ol_qcode code;
        int64_t group;
        ol_dtype type;
        const char *text;
    } kinds[] = {{OL_Q_U4, 32, OL_F32, "u4 g32"}, {OL_Q_U4, 128, OL_F16, "u4 g128 f16"}, {OL_Q_I8, 2048, OL_F32, "i8 row"},
                 {0, 0, OL_F32, "f32"},           {0, 0, OL_BF16, "bf16"}};
    static const int64_t rows[] = {1, 4, 16, 64, 512};
    const olk_linear *v = get(i);
    for (size_t t = 0; t < sizeof kinds / sizeof *kinds; t++)
        for (size_t r = 0; r < sizeof rows / sizeof *rows; r++) {
            weight_case c;
            bool slow = strstr(v->name, "scalar") && rows[r] > 16;
            if (slow || rows[r] < v->min_m || rows[r] > v->max_m) continue;
            int64_t n = rows[r] > 16 ? 2048 : 8192;
            if (!bench_weight(k, &c, v, n, 2048, kinds[t].code, kinds[t].group, kinds[t].type)) break;
            bench_one(k, v, &c, rows[r], kinds[t].text);
        }
}

const kc_family kc_family_linear = {"linear", count, variant, check, bench};
