/* SPDX-License-Identifier: Apache-2.0 */
/* safetensors files, single or sharded by a model.safetensors.index.json: names, types, shapes and places of the
 * tensors, and constants that view them in the mapped files (no copies; data need not be aligned).
 *
 * A file is `u64 N | N bytes of JSON | data`. Offsets must tile the data exactly: no holes, no overlap, nothing
 * behind the last tensor; each extent must be what type and shape need. */
#ifndef OL_FORMATS_SAFETENSORS_SAFETENSORS_H
#define OL_FORMATS_SAFETENSORS_SAFETENSORS_H

#include "tensor/constant.h"

#define OL_ST_MAX_HEADER 100000000u /* bytes of JSON, as the format's own implementation has it */

typedef struct ol_st_tensor {
    ol_str name;
    ol_dtype dtype;        /* NONE for the 6-bit floats, which no other part of the program knows */
    const char *type_name; /* as in the file: "BF16" */
    int bits;
    int rank;
    int64_t dims[OL_MAX_RANK];
    int file;              /* index of the shard */
    uint64_t offset, bytes; /* in the file */
} ol_st_tensor;

typedef struct ol_safetensors ol_safetensors;

/* True when folder DIR has a .safetensors file. */
bool ol_safetensors_in(const char *dir);
/* PATH is a .safetensors file, an index file, or a folder (model.safetensors, else its index, else its only
 * .safetensors file). */
OLV_MUST_USE olv_status ol_safetensors_open(const char *path, ol_safetensors **out, olv_error *err);
void ol_safetensors_close(ol_safetensors *st); /* NULL accepted; constants made from it stay valid */

size_t ol_safetensors_count(const ol_safetensors *st);
const ol_st_tensor *ol_safetensors_get(const ol_safetensors *st, size_t i); /* shard by shard, by place in the data */
const ol_st_tensor *ol_safetensors_find(const ol_safetensors *st, const char *name); /* NULL when absent */
/* View of the tensor's bytes. */
OLV_MUST_USE olv_status ol_safetensors_const(const ol_safetensors *st, const ol_st_tensor *t, ol_const **out,
                                             olv_error *err);
/* Value of __metadata__ of the first shard that has the key; NULL when absent. */
const char *ol_safetensors_meta(const ol_safetensors *st, const char *key);
const char *ol_safetensors_file_name(const ol_safetensors *st, int file); /* for messages */
/* Bytes of all tensors. */
uint64_t ol_safetensors_bytes(const ol_safetensors *st);

/* Parses the header of one file in memory (fuzzing and tests): checks it in full, keeps nothing. */
OLV_MUST_USE olv_status ol_safetensors_check(const uint8_t *data, size_t len, olv_error *err);

#endif
