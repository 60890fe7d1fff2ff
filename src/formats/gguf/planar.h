/* SPDX-License-Identifier: Apache-2.0 */
/* Quantized tensors of GGUF as constants. */
#ifndef OL_FORMATS_GGUF_PLANAR_H
#define OL_FORMATS_GGUF_PLANAR_H

#include "base/wire/gguf.h"
#include "tensor/constant.h"

/* Block kind of an element type; NONE for plain and unknown ones. */
ol_qblock ol_gguf_block(uint32_t type);

/* Q4_0 becomes planar 4-bit codes and Q8_0 planar bytes, groups of 32 with an f16 scale; other kinds stay as they lie. Row
 * i of the constant is row order[i] of the tensor (order NULL: i). NULL on failure. */
ol_const *ol_gguf_quantized(const ol_gguf_tensor *t, ol_file *file, const int32_t *order, olv_error *err);

#endif
