/* SPDX-License-Identifier: Apache-2.0 */
/* Body of the vector variants (see math/vec_x86.h). MR rows of two vectors stay in registers; the including file defines MR. */
#include "base/cpu.h"
#include "kernels/gemm/pack.h"
#include "kernels/math/vec_x86.h"

#define NB (2 * VW)

/* rows and vectors (1 or 2) are constants where this is inlined. */
VI void tile(const float *a, const float *b, int64_t k, float *c, int64_t ldc, const int mr, const int rows, const int vectors,
             vm last, bool add) {
    vf acc[MR][2];
#pragma GCC unroll 16
    for (int i = 0; i < rows; i++) {
        acc[i][0] = acc[i][1] = v_set1(0);
        if (!add) continue;
        acc[i][0] = vectors == 2 ? v_load(c + i * ldc) : v_load_part(c + i * ldc, last);
        if (vectors == 2) acc[i][1] = v_load_part(c + i * ldc + VW, last);
    }
    for (int64_t p = 0; p < k; p++, a += mr, b += NB) {
        vf b0 = v_load(b), b1 = v_load(b + (vectors == 2 ? VW : 0));
#pragma GCC unroll 16
        for (int i = 0; i < rows; i++) {
            vf x = v_set1(a[i]);
            acc[i][0] = v_fma(x, b0, acc[i][0]);
            if (vectors == 2) acc[i][1] = v_fma(x, b1, acc[i][1]);
        }
    }
#pragma GCC unroll 16
    for (int i = 0; i < rows; i++) {
        if (vectors == 2) v_store(c + i * ldc, acc[i][0]);
        else v_store_part(c + i * ldc, last, acc[i][0]);
        if (vectors == 2) v_store_part(c + i * ldc + VW, last, acc[i][1]);
    }
}

/* A function for each number of rows, one vector wide and two. */
typedef void tile_fn(const float *a, const float *b, int64_t k, float *c, int64_t ldc, int mr, vm last, bool add);
#define TILE(rows)                                                                                                        \
    static void tile_##rows##_1(const float *a, const float *b, int64_t k, float *c, int64_t ldc, int mr, vm last, bool add) { \
        tile(a, b, k, c, ldc, mr, rows, 1, last, add);                                                                    \
    }                                                                                                                     \
    static void tile_##rows##_2(const float *a, const float *b, int64_t k, float *c, int64_t ldc, int mr, vm last, bool add) { \
        tile(a, b, k, c, ldc, mr, rows, 2, last, add);                                                                    \
    }
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

static void multiply(const float *a, int mr, const float *b, int64_t k, float *c, int64_t ldc, int m, int64_t n, bool add) {
    if (m < 1 || n < 1) return;
    tiles[m - 1][n > VW](a, b, k, c, ldc, mr, v_first(n > VW ? n - VW : n), add);
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
