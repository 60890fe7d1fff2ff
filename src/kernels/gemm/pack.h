/* SPDX-License-Identifier: Apache-2.0 */
/* Packing of panels, element by element: what needs no vectors. */
#ifndef OLK_GEMM_PACK_H
#define OLK_GEMM_PACK_H

#include "kernels/gemm/gemm.h"

static inline void pack_rows(const float *a, int64_t row, int64_t col, int64_t m, int64_t k, int mr, float *panels) {
    for (int64_t i0 = 0; i0 < m; i0 += mr, panels += k * mr) {
        int64_t rows = m - i0 < mr ? m - i0 : mr;
        for (int64_t i = 0; i < mr; i++)
            for (int64_t p = 0; p < k; p++) panels[p * mr + i] = i < rows ? a[(i0 + i) * row + p * col] : 0;
    }
}

static inline void pack_columns(const float *b, int64_t row, int64_t col, int64_t k, int64_t n, int nb, float *panel) {
    for (int64_t p = 0; p < k; p++)
        for (int64_t j = 0; j < nb; j++) panel[p * nb + j] = j < n ? b[p * row + j * col] : 0;
}

#endif
