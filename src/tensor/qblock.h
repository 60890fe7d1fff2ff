/* SPDX-License-Identifier: Apache-2.0 */
/* The interleaved block kinds of GGUF: sizes, names and decoding. */
#ifndef OL_TENSOR_QBLOCK_H
#define OL_TENSOR_QBLOCK_H

#include "tensor/qconst.h"

#define OL_QBLOCK_MAX 256 /* elements of the largest block */

int ol_qblock_elems(ol_qblock b);        /* elements of a block; 0 for NONE */
int ol_qblock_bytes(ol_qblock b);        /* bytes of a block; 0 for NONE */
const char *ol_qblock_name(ol_qblock b); /* "q4_K"; "?" for NONE */
/* Decodes one block into ol_qblock_elems(b) floats. */
void ol_qblock_decode(ol_qblock b, const uint8_t *block, float *out);

#endif
