/* SPDX-License-Identifier: Apache-2.0 */
/* The index of a model in several files (model.safetensors.index.json, pytorch_model.bin.index.json): which tensor is
 * in which file. File names are plain: none leaves the folder. */
#ifndef OL_FORMATS_SAFETENSORS_INDEX_H
#define OL_FORMATS_SAFETENSORS_INDEX_H

#include "base/arena.h"
#include <olivine/status.h>

typedef struct ol_st_index_entry {
    const char *tensor;
    size_t file; /* into files */
} ol_st_index_entry;

typedef struct ol_st_index {
    const char **files; /* heap; in the order in which they are first named */
    size_t n_files;
    ol_st_index_entry *entries; /* heap */
    size_t n_entries, cap_entries;
} ol_st_index;

/* Reads file NAME of folder DIR; texts go to the arena. */
OLV_MUST_USE olv_status ol_st_index_read(const char *dir, const char *name, ol_arena *arena, ol_st_index *out,
                                         olv_error *err);
void ol_st_index_deinit(ol_st_index *ix);

#endif
