/* SPDX-License-Identifier: Apache-2.0 */
/* Rounding rows of floats to the types of GGUF. The K-quants' scales are searched: least squared error over a few trials, with the
 * scales as they are stored. Same bits on every machine. */
#ifndef OL_FORMATS_GGUF_ENCODE_H
#define OL_FORMATS_GGUF_ENCODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum ol_gguf_type { /* as the format numbers them */
    OL_GGUF_T_F32 = 0, OL_GGUF_T_F16 = 1, OL_GGUF_T_Q4_0 = 2, OL_GGUF_T_Q5_0 = 6, OL_GGUF_T_Q5_1 = 7, OL_GGUF_T_Q8_0 = 8, OL_GGUF_T_Q4_K = 12,
    OL_GGUF_T_Q5_K = 13, OL_GGUF_T_Q6_K = 14
} ol_gguf_type;

/* n finite numbers, a multiple of the type's block, into out. */
void ol_gguf_encode(ol_gguf_type type, const float *x, size_t n, uint8_t *out);

#endif
