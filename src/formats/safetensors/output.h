/* SPDX-License-Identifier: Apache-2.0 */
/* Writing safetensors files: model.safetensors, or shards of a bounded size with their index, as the ecosystem's libraries
 * name them. Data is pulled from constants by tiles. */
#ifndef OL_FORMATS_SAFETENSORS_OUTPUT_H
#define OL_FORMATS_SAFETENSORS_OUTPUT_H

#include "tensor/constant.h"
#include <olivine/progress.h>

typedef struct ol_st_item {
    const char *name;
    ol_const *c;
    ol_dtype dtype; /* F32, F16 or BF16 of a float constant; else the constant's own */
} ol_st_item;

/* Into the folder DIR. Sorts the items. shard_bytes 0: 5 GB. Files that were begun stay after a failure: DIR is not yet the
 * user's. */
OLV_MUST_USE olv_status ol_safetensors_write(const char *dir, ol_st_item *items, size_t n, uint64_t shard_bytes,
                                             olv_progress_fn *progress, void *ctx, olv_error *err);

#endif
