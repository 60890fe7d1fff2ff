/* SPDX-License-Identifier: Apache-2.0 */
/* NumPy's .npy files, versions 1 to 3: bool, integers, floats, complex numbers and strings. */
#ifndef OL_FORMATS_NPY_NPY_H
#define OL_FORMATS_NPY_NPY_H

#include "tensor/tensor.h"

/* Reads a whole file's bytes. Data of the other byte order or in column order is turned round. */
OLV_MUST_USE olv_status ol_npy_read(const void *data, size_t len, ol_tensor *out, olv_error *err);
/* Appends the file's bytes. Types that NumPy does not have are written as f32 (floats) or i8/u8 (integers). */
OLV_MUST_USE olv_status ol_npy_write(const ol_tensor *t, ol_buf *out, olv_error *err);

#endif
