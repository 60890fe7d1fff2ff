/* SPDX-License-Identifier: Apache-2.0 */
/* Body of the vector variants (see math/vec_x86.h). MR rows of two vectors stay in registers; the including file defines MR. */
#include "base/cpu.h"
#include "kernels/gemm/pack.h"
#include "kernels/math/vec_x86.h"

#define NB (2 * VW)

/* rows and vectors (1 or 2) are constants where this is inlined. */
VI void tile(const olk_gemm_tile *t, const int rows, const int vectors) {
    const float *a = t->a, *b = t->b;
    const int64_t mr = t->mr, ldb = t->ldb, ldc = t->ldc;
    const vm last = v_first(vectors == 2 ? t->n - VW : t->n);
    float *c = t->c;
    vf acc[MR][2];
#pragma GCC unroll 16
    for (int i = 0; i < rows; i++) {
        acc[i][0] = acc[i][1] = v_set1(!t->add && t->start ? t->start[i] : 0);
        if (!t->add) continue;
        acc[i][0] = vectors == 2 ? v_load(c + i * ldc) : v_load_part(c + i * ldc, last);
        if (vectors == 2) acc[i][1] = v_load_part(c + i * ldc + VW, last);
    }
    for (int64_t p = t->k; p > 0; p--, a += mr, b += ldb) {
        vf b0 = vectors == 2 ? v_load(b) : v_load_part(b, last), b1 = vectors == 2 ? v_load_part(b + VW, last) : b0;
#pragma GCC unroll 16
        for (int i = 0; i < rows; i++) {
            vf x = v_set1(a[i]);
            acc[i][0] = v_fma(x, b0, acc[i][0]);
            if (vectors == 2) acc[i][1] = v_fma(x, b1, acc[i][1]);
        }
    }
    if (t->range) {
        vf lo = v_set1(t->range[0]), hi = v_set1(t->range[1]);
#pragma GCC unroll 16
        for (int i = 0; i < rows; i++)
            for (int v = 0; v < vectors; v++) acc[i][v] = v_min(hi, v_max(lo, acc[i][v]));
    }
#pragma GCC unroll 16
    for (int i = 0; i < rows; i++) {
        if (vectors == 2) v_store(c + i * ldc, acc[i][0]);
        else v_store_part(c + i * ldc, last, acc[i][0]);
        if (vectors == 2) v_store_part(c + i * ldc + VW, last, acc[i][1]);
    }
}

/* A function for each number of rows, one vector wide and two. */
typedef void tile_fn(const olk_gemm_tile *t);
#define TILE(rows)                                                              \
    static void tile_##rows##_1(const olk_gemm_tile *t) { tile(t, rows, 1); } \
    static void tile_##rows##_2(const olk_gemm_tile *t) { tile(t, rows, 2); }
#define TILE_ROW(rows) {tile_##rows##_1, tile_##rows##_2}
TILE(1) TILE(2) TILE(3) TILE(4) TILE(5) TILE(6)
#if MR > 6
TILE(7) TILE(8) TILE(9) TILE(10) TILE(11) TILE(12) TILE(13) TILE(14)
#endif
static tile_fn *const tiles[MR][2] = {
    TILE_ROW(1), TILE_ROW(2), TILE_ROW(3), TILE_ROW(4), TILE_ROW(5), TILE_ROW(6),
#if MR > 6
    TILE_ROW(7), TILE_ROW(8), TILE_ROW(9), TILE_ROW(10), TILE_ROW(11), TILE_ROW(12), TILE_ROW(13), TILE_ROW(14),
#endif
};

static void multiply(const olk_gemm_tile *t) {
    if (t->m > 0 && t->n > 0) tiles[t->m - 1][t->n > VW](t);
}

static void pack_b(const float *b, int64_t row, int64_t col, int64_t k, int64_t n, float *panel) {
    if (col != 1) {
        pack_columns(b, row, col, k, n, NB, panel);
        return;
    }
    vm first = v_first(n < VW ? n : VW), second = v_first(n < VW ? 0 : n - VW);
    for (int64_t p = 0; p < k; p++, b += row, panel += NB) {
        v_store(panel, v_load_part(b, first));
        v_store(panel + VW, n > VW ? v_load_part(b + VW, second) : v_set1(0));
    }
}
