/* SPDX-License-Identifier: Apache-2.0 */
/* The JSON header of one safetensors file. */
#ifndef OL_FORMATS_SAFETENSORS_HEADER_H
#define OL_FORMATS_SAFETENSORS_HEADER_H

#include "base/arena.h"
#include "formats/safetensors/safetensors.h"

typedef struct ol_st_header {
    ol_st_tensor *tensors; /* heap; sorted by offset */
    size_t n_tensors, cap_tensors;
    char **meta; /* key, value, key, value, ... in the arena */
    size_t n_meta, cap_meta;
} ol_st_header;

/* Parses and checks all of the file in data; names go to the arena. `name` is for messages. */
OLV_MUST_USE olv_status ol_st_header_read(const uint8_t *data, uint64_t len, const char *name, ol_arena *arena,
                                          ol_st_header *h, olv_error *err);
void ol_st_header_deinit(ol_st_header *h);

#endif
