/* SPDX-License-Identifier: Apache-2.0 */
/* Rows of unsigned 8-bit codes: to and from f32, sums and products of two, functions by table, and what pools need. A code q
 * means (q - zero) * scale. Every variant gives the same bits: single f32 operations in the order written, ties to even. Rows
 * may have any alignment and do not overlap, unless said otherwise. */
#ifndef OLK_CODES_H
#define OLK_CODES_H

#include <stdint.h>

typedef struct olk_codes_form {
    float scale;
    int32_t zero;
    float lo, hi; /* when codes are made: bounds of q - zero, whole numbers */
} olk_codes_form;

typedef enum olk_codes_op { OLK_CODES_ADD, OLK_CODES_SUB, OLK_CODES_MUL } olk_codes_op;

typedef struct olk_codes {
    const char *name;
    uint64_t cpu;
    /* q = rint(clamp(x / scale)) + zero; NaN counts as -infinity */
    void (*quantize)(const olk_codes_form *f, const float *x, int64_t n, uint8_t *y);
    void (*dequantize)(const olk_codes_form *f, const uint8_t *x, int64_t n, float *y);
    /* y = quantize(op(dequantize(a), dequantize(b))); y may be a or b */
    void (*combine)(olk_codes_op op, const olk_codes_form *fa, const uint8_t *a, const olk_codes_form *fb, const uint8_t *b, const olk_codes_form *fy,
                    int64_t n, uint8_t *y);
    /* The same with b in f32. */
    void (*combine_floats)(olk_codes_op op, const olk_codes_form *fa, const uint8_t *a, const float *b, const olk_codes_form *fy, int64_t n, uint8_t *y);
    void (*lookup)(const uint8_t table[256], const uint8_t *x, int64_t n, uint8_t *y); /* y may be x */
    void (*greater)(const uint8_t *x, int64_t n, uint8_t *y);                          /* y = max(x, y) */
    void (*accumulate)(const uint8_t *x, int64_t n, int32_t *sum);
    /* From sums: quantize((sum - less) * scale of f) */
    void (*finish)(const olk_codes_form *f, const int32_t *sum, int32_t less, int64_t n, uint8_t *y);
} olk_codes;

/* Best variant under these CPU flags; never NULL. */
const olk_codes *olk_codes_select(uint64_t cpu);
const olk_codes *const *olk_codes_variants(int *count);

#endif
