/* SPDX-License-Identifier: Apache-2.0 */
/* Linear layers: y[m, n] = sum over k of x[m, k] * W[n, k], with W as it lies in the file (row n contiguous along k):
 * f32, f16, bf16, or quantized in the planar form of tensor/qconst.h. Nothing is repacked at load: GEMV variants read
 * rows straight from the map, GEMM variants expand panels of rows into scratch, once per panel for all m.
 *
 * A variant works in two stages. `pack` turns rows of x into the form that it reads (int8 codes with scales and sums
 * per block of 32, or plain f32, or bf16 ...); `run` computes a tile of outputs from packed rows. Both are pure, take
 * no locks and allocate nothing; tiles are independent, so any split over threads gives the same bits, and a row's
 * result does not depend on m.
 *
 * Precision: OLK_F32 keeps activations in f32. OLK_DEFAULT allows int8 activations with one scale per block of at most
 * 32 along k (quantized weights only; float weights still use f32 activations). OLK_REPRO takes only variants whose sums run
 * over k in order, each step a fused multiply-add: their results are the same bits on every machine. */
#ifndef OLK_LINEAR_H
#define OLK_LINEAR_H

#include "tensor/qconst.h"
#include <stdbool.h>

typedef enum olk_precision { OLK_DEFAULT, OLK_F32, OLK_BF16, OLK_REPRO } olk_precision;

/* One weight matrix [n, k]. Float weights: dtype and row stride; quantized: q (then dtype is NONE). */
typedef struct olk_weight {
    ol_dtype dtype;
    const void *data;
    size_t row_bytes;
    int64_t n, k;
    const ol_qconst *q;
    const float *panels; /* of the variant that runs (panels.h), or NULL */
} olk_weight;

typedef struct olk_linear_args {
    const olk_weight *w;
    const void *act; /* packed rows, from pack() of the same variant; 64-byte aligned */
    int64_t m;       /* rows of x in act */
    float *y;        /* y + row * ldy + col for logical row and column; tile-local pointers are fine */
    int64_t ldy;
} olk_linear_args;

typedef struct olk_linear {
    const char *name;  /* "olk_linear_u4_i8__vnni_gemv" */
    uint64_t cpu;      /* OL_CPU_ flags needed */
    olk_precision precision;
    int64_t min_m, max_m; /* rows per call this variant is meant for */
    int64_t tile_n, tile_m; /* natural tile; run() takes any multiple, and any tail at the end */
    bool (*accepts)(const olk_weight *w);
    size_t (*act_bytes)(const olk_weight *w, int64_t m);
    /* Packs rows [m0, m1) of x (row stride ldx floats) into act. Rows are independent: lanes may share the work. */
    void (*pack)(const olk_weight *w, const float *x, int64_t ldx, int64_t m0, int64_t m1, int64_t m, void *act);
    size_t (*scratch_bytes)(const olk_weight *w, int64_t m);
    /* Computes y[m0:m1, n0:n1]. scratch: this lane's own, 64-byte aligned, of scratch_bytes. */
    void (*run)(const olk_linear_args *a, int64_t m0, int64_t m1, int64_t n0, int64_t n1, void *scratch);
    /* Two weights with the same k, code and group give the same packed act: act_key(w1) == act_key(w2). */
    uint64_t (*act_key)(const olk_weight *w);
    bool in_order; /* serves OLK_REPRO */
} olk_linear;

/* Best variant for a weight and m rows under these CPU flags; never NULL for supported weights (scalar accepts all),
 * NULL when none accepts. `why`, if not NULL, collects one line per refused better variant. */
const olk_linear *olk_linear_select(const olk_weight *w, int64_t m, olk_precision p, uint64_t cpu, char *why,
                                    size_t why_size);
/* All variants, best first, for kcheck and benchmarks. */
const olk_linear *const *olk_linear_variants(size_t *count);

#endif
