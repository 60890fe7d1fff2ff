/* SPDX-License-Identifier: Apache-2.0 */
/* State dicts that torch.save wrote: names, types, shapes and places of the tensors, and constants that view them in
 * the mapped files. Both forms: the zip archive of stored entries (since 1.6), and the older row of pickles followed by
 * raw storages. Nothing in a file is ever executed (pickle.h). Tensors may share storages; each view is checked
 * against the extent of its storage. */
#ifndef OL_FORMATS_PYTORCH_PYTORCH_H
#define OL_FORMATS_PYTORCH_PYTORCH_H

#include "formats/safetensors/safetensors.h"

typedef struct ol_pytorch ol_pytorch;

/* True when DIR has weights that ol_pytorch_open finds: pytorch_model.bin, its index, pytorch_model.pt or model.pt. */
bool ol_pytorch_in(const char *dir);
/* PATH is such a folder, or a file. A state dict may lie under "state_dict", "model_state_dict", "model" or "module";
 * what is no tensor is passed over. */
OLV_MUST_USE olv_status ol_pytorch_open(const char *path, ol_pytorch **out, olv_error *err);
void ol_pytorch_close(ol_pytorch *p); /* NULL accepted; constants made from it stay valid */

size_t ol_pytorch_count(const ol_pytorch *p);
const ol_st_tensor *ol_pytorch_get(const ol_pytorch *p, size_t i); /* file by file, in the order of the dict */
const ol_st_tensor *ol_pytorch_find(const ol_pytorch *p, const char *name); /* NULL when absent */
/* View of the tensor: its bytes in place when they lie in row-major order; a matrix in column-major order as a
 * transposition; other strides are copied together. */
OLV_MUST_USE olv_status ol_pytorch_const(const ol_pytorch *p, const ol_st_tensor *t, ol_const **out, olv_error *err);

/* Reads one file in memory in full, and every tensor once (fuzzing and tests); keeps nothing. */
OLV_MUST_USE olv_status ol_pytorch_check(const uint8_t *data, size_t len, olv_error *err);

#endif
