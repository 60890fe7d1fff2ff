/* SPDX-License-Identifier: Apache-2.0 */
/* Codes of 2, 4 or 8 bits in bytes, low bits first, and their zero points, as com.microsoft's operators have them. */
#ifndef OL_OPS_BLOCKED_CODES_H
#define OL_OPS_BLOCKED_CODES_H

#include "ops/ops.h"

static inline int ol_code_at(const uint8_t *p, int64_t i, int64_t bits) {
    int64_t per = 8 / bits;
    return p[i / per] >> (int)(i % per * bits) & ((1 << bits) - 1);
}

/* Zero point of block b of row r: packed per row, or a float; 2^(bits-1) where there are none. */
static inline double ol_zero_at(const ol_tensor *z, int64_t r, int64_t b, int64_t blocks, int64_t bits) {
    if (!z) return (double)(1 << (bits - 1));
    if (z->dtype != OL_U8) return ol_tensor_get(z, r * blocks + b);
    int64_t row = (blocks * bits + 7) / 8;
    return ol_code_at((const uint8_t *)z->data + r * row, b, bits);
}

#endif
