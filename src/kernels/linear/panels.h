/* SPDX-License-Identifier: Apache-2.0 */
/* Float weights laid out beforehand as a GEMM variant reads them: for every `tile_n` rows of W a panel [k][tile_n] of f32,
 * one after the other, the last one filled up with zeros. A weight whose `panels` are set gives the same bits as without,
 * and saves the variant to transpose them in every call, which is most of the work when x has few rows. */
#ifndef OLK_PANELS_H
#define OLK_PANELS_H

#include "kernels/linear/linear.h"

typedef struct olk_panels {
    const olk_linear *variant;
    size_t (*floats)(const olk_weight *w);
    void (*make)(const olk_weight *w, float *out); /* 64-byte aligned */
    bool (*plain_rows)(const olk_weight *w); /* rows of x that lie one after the other are what pack() makes, at any address */
} olk_panels;

#if defined(__x86_64__)
extern const olk_panels olk_panels__avx512, olk_panels__avx2;
#endif

/* Panels of a variant for this weight; NULL when it reads none, or the weight is quantized. */
const olk_panels *olk_panels_find(const olk_linear *variant, const olk_weight *w);

#endif
