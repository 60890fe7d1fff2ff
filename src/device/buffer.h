/* SPDX-License-Identifier: Apache-2.0 */
/* How numbers stand in the buffers of a plan: floating point of any declared type as f32, integers and truth values as
 * i64. Tensors at the edges of a plan have the declared type. */
#ifndef OL_DEVICE_BUFFER_H
#define OL_DEVICE_BUFFER_H

#include "tensor/tensor.h"

/* True if a dense tensor of this type is a buffer as it stands. */
bool ol_buffer_is_plain(ol_dtype t);
/* Fills the tensor (of its type and shape) from a buffer, and a buffer from the tensor. */
void ol_buffer_to_tensor(const void *buffer, ol_tensor *t);
void ol_buffer_from_tensor(void *buffer, const ol_tensor *t);

#endif
