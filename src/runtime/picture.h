/* SPDX-License-Identifier: Apache-2.0 */
/* A picture as the data of an input. */
#ifndef OL_RUNTIME_PICTURE_H
#define OL_RUNTIME_PICTURE_H

#include "base/picture.h"
#include "runtime/tensor.h"

/* Decodes the bytes of a file and brings it to the shape and type of `like` (NULL: u8 [H,W,C] as the file has it): rank 4
 * [1,C,H,W] or [1,H,W,C], rank 3 without the batch, rank 2 [H,W]; C is the dimension that is 1 or 3. Open sizes are those of the
 * picture. Shrinking averages areas, enlarging interpolates linearly between the middles of dots, each axis by itself;
 * integers are 0..255, floats 0..1. */
OLV_MUST_USE olv_status ol_picture_to_tensor(const void *data, size_t len, const olv_port *like, olv_tensor **out, olv_error *err);

#endif
