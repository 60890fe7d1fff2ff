/* SPDX-License-Identifier: Apache-2.0 */
/* Quantized constants: the one place where compression, kernels and formats meet.
 *
 * A quantized constant has a logical shape [.., N, K] (rank >= 2; leading dims are experts and are folded into rows:
 * row r of `rows` = product of all dims but the last). Element (r, k) has the value
 *     value(r, k) = decode(code(r, k), r, k / group) with, for integer codes, scale * (code - zero), and for table
 *     codes scale * table[code]; a `min` offset gives scale * code + min.
 * Planar storage, as MatMulNBits has it: codes of row r start at codes + r * row_bytes, k runs fastest, low bits
 * first (low nibble = even k); every row holds n_groups * group codes (the tail of the last group is padding, coded as
 * the zero point); scales[r * n_groups + g]; zero points, if any, as one code per group packed along g (low nibble =
 * even g) with zero_row_bytes per row, or as floats. */
#ifndef OL_TENSOR_QCONST_H
#define OL_TENSOR_QCONST_H

#include "tensor/dtype.h"
#include <olivine/status.h>

typedef enum ol_qcode {
    OL_Q_I8,    /* signed byte, zero 0 unless given */
    OL_Q_U8,    /* unsigned byte, default zero 128 */
    OL_Q_I4,    /* two's complement nibble, zero 0 unless given */
    OL_Q_U4,    /* unsigned nibble, default zero 8 */
    OL_Q_U2,    /* four per byte, default zero 2 */
    OL_Q_U3,    /* eight in three bytes as OpenVINO's u3 has them, default zero 4: two bytes with the low two bits of four
                   codes each, the first code highest; then a byte of the high bits, the first code highest */
    OL_Q_NF4,   /* nibble index into the NF4 table */
    OL_Q_F4,    /* f4e2m1 nibble */
    OL_Q_F8,    /* f8e4m3fn byte */
    OL_Q_TABLE4, /* nibble index into `table` (16 floats) */
    OL_Q_TABLE8, /* byte index into `table` (256 floats) */
    OL_Q_BLOCK  /* interleaved blocks of a named kind: codes only, decoded by the row accessor */
} ol_qcode;

typedef enum ol_qblock { /* GGUF block kinds, for OL_Q_BLOCK */
    OL_QB_NONE, OL_QB_Q4_0, OL_QB_Q4_1, OL_QB_Q5_0, OL_QB_Q5_1, OL_QB_Q8_0, OL_QB_Q2_K, OL_QB_Q3_K, OL_QB_Q4_K,
    OL_QB_Q5_K, OL_QB_Q6_K, OL_QB_IQ4_NL, OL_QB_IQ4_XS, OL_QB_MXFP4
} ol_qblock;

typedef struct ol_qconst {
    ol_qcode code;
    ol_qblock block;
    int64_t rows, k;
    int64_t group;    /* along k; == k for per row */
    int64_t n_groups; /* ceil(k / group) */
    const uint8_t *codes;
    size_t row_bytes;
    ol_dtype scale_dtype; /* F32, F16, BF16, F8E8M0, F8E4M3 */
    const void *scales;   /* [rows, n_groups] */
    ol_dtype zero_dtype;  /* NONE: the code's default; U4 / I4 packed, U8, I8, or a float type (zero in code units) */
    const void *zeros;
    size_t zero_row_bytes;
    ol_dtype min_dtype; /* NONE, or F32/F16: value = scale * code + min */
    const void *mins;
    const float *table;       /* TABLE4 (16), TABLE8 (256) */
    float global_scale;       /* second-level scale; 1 when there is none */
    const int32_t *perm;      /* NULL, or [k]: column j of the logical matrix is stored at perm[j] */
    const float *input_scale; /* NULL, or [k]: multiplies the logical column */
} ol_qconst;

/* Checks that all pointers' extents are consistent with rows, k, group (sizes given in bytes). */
OLV_MUST_USE olv_status ol_qconst_check(const ol_qconst *q, size_t codes_bytes, size_t scales_bytes, size_t zeros_bytes,
                                        olv_error *err);
/* Rows [row, row + n) dequantized to f32, out [n, k] dense. */
void ol_qconst_rows_f32(const ol_qconst *q, int64_t row, int64_t n, float *out);
/* Bits per weight: codes, f16-counted scales, zero points. */
double ol_qconst_bits(const ol_qconst *q);
/* Short text "int4 sym g32" / "u4 g128 zp" / "q4_k". */
void ol_qconst_describe(const ol_qconst *q, char *out, size_t size);
extern const float ol_nf4_table[16];

#endif
