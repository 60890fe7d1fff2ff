/* SPDX-License-Identifier: Apache-2.0 */
/* Linear layers with f32 activations, written once for vectors of W floats; the including file defines W, the vector type
 * vf and its operations (vzero, vset1, vload, vstore, vfma, vadd, vmul, vsub, vsum, vload_part, vstore_part, vload_half,
 * vload_bf16, vload_codes, vload_table4, vload_f8, transpose), NV (vectors in a panel's width), MR (rows of x in a GEMM tile, at most; TILE_SIZES(X)
 * names X for each number up to it), GEMV_ROWS and ISA.
 *
 * GEMV: a weight row is read where it lies (quantized ones are dequantized into scratch first) and meets up to GEMV_ROWS
 * rows of x at a time, with four accumulators each; the order of a row's sum does not depend on their number.
 * GEMM: panels of NV * W rows and KC of k are transposed into scratch, or were so beforehand (panels.h), and meet up to MR
 * rows of x at a time. A row's sum runs over k in order, whatever tile it is in. */
#include "kernels/linear/panels.h"
#include "kernels/linear/variants.h"
#include <string.h>

#define INLINE static inline __attribute__((always_inline))
#define NB (NV * W)
#define KC 512
#define CHAINS 4

/* ---- packed x: rows of floats whose stride is no multiple of 2 KiB, so that a tile's rows do not fight for a cache set */

static size_t x_stride(const olk_weight *w) {
    size_t bytes = ((size_t)w->k * 4 + 63) / 64 * 64;
    return bytes % 2048 ? bytes : bytes + 64;
}
static size_t act_bytes(const olk_weight *w, int64_t m) { return x_stride(w) * (size_t)m; }
static bool plain_rows(const olk_weight *w) { return x_stride(w) == (size_t)w->k * 4; }
static uint64_t act_key(const olk_weight *w) { return (uint64_t)w->k; }
static void pack(const olk_weight *w, const float *x, int64_t ldx, int64_t m0, int64_t m1, int64_t m, void *act) {
    (void)m;
    for (int64_t i = m0; i < m1; i++) memcpy((uint8_t *)act + (size_t)i * x_stride(w), x + i * ldx, (size_t)w->k * 4);
}
static bool accepts(const olk_weight *w) {
    return w->q || w->dtype == OL_F32 || w->dtype == OL_F16 || w->dtype == OL_BF16;
}

/* ---- weight rows as floats ---- */

/* Up to W elements of a float row. */
INLINE vf load_typed(ol_dtype t, const uint8_t *row, int64_t k, int64_t n) {
    if (n >= W) {
        if (t == OL_F32) return vload((const float *)(const void *)(row + k * 4));
        return t == OL_F16 ? vload_half(row + k * 2) : vload_bf16(row + k * 2);
    }
    if (t == OL_F32) return vload_part(row + k * 4, n);
    uint8_t part[W * 2] = {0};
    memcpy(part, row + k * 2, (size_t)n * 2);
    return t == OL_F16 ? vload_half(part) : vload_bf16(part);
}

static float scale_of(const ol_qconst *q, int64_t row, int64_t g) {
    size_t at = (size_t)(row * q->n_groups + g);
    if (q->scale_dtype == OL_F32) {
        float f;
        memcpy(&f, (const uint8_t *)q->scales + at * 4, 4);
        return f;
    }
    return (float)ol_elem_get(q->scale_dtype, q->scales, at);
}
static float zero_of(const ol_qconst *q, int64_t row, int64_t g) {
    if (q->zero_dtype == OL_DTYPE_NONE) return q->code == OL_Q_U8 ? 128 : q->code == OL_Q_U4 ? 8 : 0;
    const uint8_t *z = (const uint8_t *)q->zeros + (size_t)row * q->zero_row_bytes;
    return (float)ol_elem_get(q->zero_dtype, z, (uint64_t)g);
}

/* The values of nibbles that stand for floats; NULL for integers and bytes. */
static const float *table_of(const ol_qconst *q) {
    static const float f4[16] = {0, 0.5f, 1, 1.5f, 2, 3, 4, 6, -0.0f, -0.5f, -1, -1.5f, -2, -3, -4, -6};
    return q->code == OL_Q_NF4 ? ol_nf4_table : q->code == OL_Q_F4 ? f4 : q->code == OL_Q_TABLE4 ? q->table : NULL;
}

/* Rows that the vector code dequantizes; the others go through the general accessor. */
static bool plain_codes(const ol_qconst *q) {
    bool known = q->code <= OL_Q_U4 || q->code == OL_Q_F8 || (table_of(q) && q->zero_dtype == OL_DTYPE_NONE);
    return known && q->block == OL_QB_NONE && q->min_dtype == OL_DTYPE_NONE && !q->perm && !q->input_scale &&
           (q->group % W == 0 || q->n_groups == 1);
}

static void dequantize(const ol_qconst *q, int64_t row, float *out) {
    if (!plain_codes(q)) {
        ol_qconst_rows_f32(q, row, 1, out);
        return;
    }
    const uint8_t *codes = q->codes + (size_t)row * q->row_bytes;
    const float *table = table_of(q);
    bool nibbles = table || q->code == OL_Q_I4 || q->code == OL_Q_U4;
    for (int64_t g = 0; g < q->n_groups; g++) {
        int64_t k = g * q->group, end = k + q->group < q->k ? k + q->group : q->k;
        vf scale = vset1(scale_of(q, row, g) * q->global_scale), zero = vset1(zero_of(q, row, g));
        for (; k < end; k += W) {
            int64_t n = end - k < W ? end - k : W;
            uint8_t part[W] = {0};
            const uint8_t *p = codes + (nibbles ? k / 2 : k);
            if (n < W) p = memcpy(part, p, (size_t)(nibbles ? (n + 1) / 2 : n));
            vf v = table ? vload_table4(table, p) : q->code == OL_Q_F8 ? vload_f8(p) : vsub(vload_codes(q->code, p), zero);
            v = vmul(v, scale);
            if (n < W)
                vstore_part(out + k, v, n);
            else
                vstore(out + k, v);
        }
    }
}

static size_t row_floats(const olk_weight *w) { return ((size_t)w->k + 15) / 16 * 16; }

/* ---- GEMV ---- */

typedef struct row_ref {
    ol_dtype t;
    const uint8_t *p;
    int64_t k;
} row_ref;

/* The whole vectors of k in CHAINS accumulators a row, then what is left in the first ones. Accumulators are stored
 * between the two parts, which keeps them in registers in the first. */
INLINE int64_t gemv_whole(const row_ref *w, const float *x, int64_t ldx, const int rows, vf (*out)[CHAINS]) {
    vf acc[GEMV_ROWS][CHAINS];
#pragma GCC unroll 4
    for (int i = 0; i < rows; i++)
#pragma GCC unroll 4
        for (int c = 0; c < CHAINS; c++) acc[i][c] = vzero();
    int64_t k = 0;
    for (; k + CHAINS * W <= w->k; k += CHAINS * W) {
        vf v[CHAINS];
#pragma GCC unroll 4
        for (int c = 0; c < CHAINS; c++) v[c] = load_typed(w->t, w->p, k + c * W, W);
#pragma GCC unroll 4
        for (int i = 0; i < rows; i++)
#pragma GCC unroll 4
            for (int c = 0; c < CHAINS; c++) acc[i][c] = vfma(v[c], vload(x + i * ldx + k + c * W), acc[i][c]);
    }
#pragma GCC unroll 4
    for (int i = 0; i < rows; i++)
#pragma GCC unroll 4
        for (int c = 0; c < CHAINS; c++) out[i][c] = acc[i][c];
    return k;
}

INLINE void gemv_rows_of(const row_ref *w, const float *x, int64_t ldx, const int rows, float *y, int64_t ldy) {
    vf acc[GEMV_ROWS][CHAINS];
    int64_t k = gemv_whole(w, x, ldx, rows, acc);
    for (int c = 0; k < w->k; c++, k += W) {
        vf v = load_typed(w->t, w->p, k, w->k - k);
        for (int i = 0; i < rows; i++) acc[i][c] = vfma(v, vload_part(x + i * ldx + k, w->k - k), acc[i][c]);
    }
    for (int i = 0; i < rows; i++) y[i * ldy] = vsum(vadd(vadd(acc[i][0], acc[i][1]), vadd(acc[i][2], acc[i][3])));
}

/* By type, so that the loop has no branch. */
INLINE void gemv_typed(const row_ref *w, const float *x, int64_t ldx, const int rows, float *y, int64_t ldy) {
    row_ref r = *w;
    if (w->t == OL_F32) {
        r.t = OL_F32;
        gemv_rows_of(&r, x, ldx, rows, y, ldy);
    } else if (w->t == OL_F16) {
        r.t = OL_F16;
        gemv_rows_of(&r, x, ldx, rows, y, ldy);
    } else {
        r.t = OL_BF16;
        gemv_rows_of(&r, x, ldx, rows, y, ldy);
    }
}
__attribute__((noinline)) static void gemv_1(const row_ref *w, const float *x, int64_t ldx, float *y, int64_t ldy) {
    gemv_typed(w, x, ldx, 1, y, ldy);
}
__attribute__((noinline)) static void gemv_many(const row_ref *w, const float *x, int64_t ldx, float *y, int64_t ldy) {
    gemv_typed(w, x, ldx, GEMV_ROWS, y, ldy);
}

static size_t gemv_scratch(const olk_weight *w, int64_t m) {
    (void)m;
    return w->q ? row_floats(w) * 4 : 0;
}

static void gemv_run(const olk_linear_args *a, int64_t m0, int64_t m1, int64_t n0, int64_t n1, void *scratch) {
    const olk_weight *w = a->w;
    const float *x = a->act;
    int64_t ldx = (int64_t)(x_stride(w) / 4);
    for (int64_t n = n0; n < n1; n++) {
        row_ref r = {OL_F32, scratch, w->k};
        if (w->q)
            dequantize(w->q, n, scratch);
        else
            r = (row_ref){w->dtype, (const uint8_t *)w->data + (size_t)n * w->row_bytes, w->k};
        int64_t i = m0;
        for (; i + GEMV_ROWS <= m1; i += GEMV_ROWS) gemv_many(&r, x + i * ldx, ldx, a->y + i * a->ldy + n, a->ldy);
        for (; i < m1; i++) gemv_1(&r, x + i * ldx, ldx, a->y + i * a->ldy + n, a->ldy);
    }
}

/* ---- GEMM ---- */

/* panel[k][NB] from rows [n, n + rows), k0 .. k0 + kn; rows past the end are zero. dense: dequantized rows, or NULL. */
static void make_panel(const olk_weight *w, const float *dense, int64_t n, int64_t rows, int64_t k0, int64_t kn,
                       float *panel) {
    for (int part = 0; part < NV; part++)
        for (int64_t k = 0; k < kn; k += W) {
            vf v[W];
            int64_t cols = kn - k < W ? kn - k : W;
            for (int r = 0; r < W; r++) {
                int64_t row = part * W + r;
                if (row >= rows)
                    v[r] = vzero();
                else if (dense)
                    v[r] = load_typed(OL_F32, (const uint8_t *)(dense + (size_t)row * row_floats(w)), k0 + k, cols);
                else
                    v[r] = load_typed(w->dtype, (const uint8_t *)w->data + (size_t)(n + row) * w->row_bytes, k0 + k, cols);
            }
            transpose(v);
            for (int64_t c = 0; c < cols; c++) vstore(panel + (k + c) * NB + part * W, v[c]);
        }
}

typedef struct tile {
    const float *x, *panel;
    float *y;
    int64_t ldx, ldy, kn, cols;
    bool first; /* of the parts of k */
} tile;

INLINE void tile_rows(const tile *t, const int rows) {
    vf acc[MR][NV];
#pragma GCC unroll 16
    for (int i = 0; i < rows; i++)
#pragma GCC unroll 2
        for (int v = 0; v < NV; v++)
            acc[i][v] = t->first ? vzero() : vload_part(t->y + i * t->ldy + v * W, t->cols - v * W);
    const float *b = t->panel, *x = t->x;
    for (int64_t k = 0; k < t->kn; k++, b += NB, x++) {
        vf w[NV];
#pragma GCC unroll 2
        for (int v = 0; v < NV; v++) w[v] = vload(b + v * W);
#pragma GCC unroll 16
        for (int i = 0; i < rows; i++) {
            vf xi = vset1(x[i * t->ldx]);
#pragma GCC unroll 2
            for (int v = 0; v < NV; v++) acc[i][v] = vfma(w[v], xi, acc[i][v]);
        }
    }
#pragma GCC unroll 16
    for (int i = 0; i < rows; i++)
#pragma GCC unroll 2
        for (int v = 0; v < NV; v++) vstore_part(t->y + i * t->ldy + v * W, acc[i][v], t->cols - v * W);
}

#define TILE(n) \
    __attribute__((noinline)) static void tile_##n(const tile *t) { tile_rows(t, n); }
TILE_SIZES(TILE)
#undef TILE
static void (*const tiles[MR + 1])(const tile *t) = {
#define TILE(n) [n] = tile_##n,
    TILE_SIZES(TILE)
#undef TILE
};

/* Rows [m0, m1) against one panel, in tiles of nearly equal numbers of rows. */
static void run_tiles(const olk_linear_args *a, tile *t, int64_t m0, int64_t m1, int64_t n, int64_t k0) {
    int64_t left = (m1 - m0 + MR - 1) / MR;
    for (int64_t i = m0, step; i < m1; i += step, left--) {
        step = (m1 - i + left - 1) / left;
        t->x = (const float *)a->act + i * t->ldx + k0;
        t->y = a->y + i * a->ldy + n;
        tiles[step](t);
    }
}

static size_t gemm_scratch(const olk_weight *w, int64_t m) {
    (void)m;
    return ((size_t)KC * NB + (w->q ? row_floats(w) * NB : 0)) * 4;
}

static void gemm_run(const olk_linear_args *a, int64_t m0, int64_t m1, int64_t n0, int64_t n1, void *scratch) {
    const olk_weight *w = a->w;
    float *panel = scratch, *dense = w->q ? panel + KC * NB : NULL;
    tile t = {.panel = panel, .ldx = (int64_t)(x_stride(w) / 4), .ldy = a->ldy};
    for (int64_t n = n0; n < n1; n += NB) {
        t.cols = n1 - n < NB ? n1 - n : NB;
        for (int64_t r = 0; dense && r < t.cols; r++) dequantize(w->q, n + r, dense + (size_t)r * row_floats(w));
        for (int64_t k0 = 0; k0 < w->k; k0 += KC) {
            t.kn = w->k - k0 < KC ? w->k - k0 : KC;
            t.first = k0 == 0;
            if (w->panels) t.panel = w->panels + n * w->k + k0 * NB;
            else make_panel(w, dense, n, t.cols, k0, t.kn, panel);
            run_tiles(a, &t, m0, m1, n, k0);
        }
    }
}

static size_t panel_floats(const olk_weight *w) { return (size_t)((w->n + NB - 1) / NB * NB) * (size_t)w->k; }

static void make_panels(const olk_weight *w, float *out) {
    for (int64_t n = 0; n < w->n; n += NB) make_panel(w, NULL, n, w->n - n < NB ? w->n - n : NB, 0, w->k, out + n * w->k);
}

#define OLK_VARIANT_(isa, form) olk_linear_any_f32__##isa##_##form
#define OLK_VARIANT(isa, form) OLK_VARIANT_(isa, form)
#define OLK_TEXT_(isa, form) "olk_linear_any_f32__" #isa "_" #form
#define OLK_TEXT(isa, form) OLK_TEXT_(isa, form)

const olk_linear OLK_VARIANT(ISA, gemv) = {
    OLK_TEXT(ISA, gemv), ISA_FLAGS, OLK_F32, 1, 16, 4, 16, accepts, act_bytes, pack, gemv_scratch, gemv_run, act_key, false};
const olk_linear OLK_VARIANT(ISA, gemm) = {
    OLK_TEXT(ISA, gemm), ISA_FLAGS, OLK_F32, 17, INT64_MAX, NB, MR, accepts, act_bytes, pack, gemm_scratch, gemm_run,
    act_key, true};

#define OLK_PANELS_(isa) olk_panels__##isa
#define OLK_PANELS(isa) OLK_PANELS_(isa)
const olk_panels OLK_PANELS(ISA) = {&OLK_VARIANT(ISA, gemm), panel_floats, make_panels, plain_rows};
