/* SPDX-License-Identifier: Apache-2.0 */
/* What a hub says of a model: its commit and its files, and which of them are wanted. */
#ifndef OL_BUNDLE_HUB_LISTING_H
#define OL_BUNDLE_HUB_LISTING_H

#include "base/arena.h"
#include <olivine/hub.h>
#include <stdint.h>

#define OL_HUB_MAX_FILES 100000
#define OL_HUB_MAX_LISTING (64u << 20)

typedef struct ol_hub_file {
    const char *path; /* relative, without ".." */
    uint64_t size;    /* UINT64_MAX: not said */
    bool wanted;
} ol_hub_file;

typedef struct ol_hub_listing {
    ol_arena *arena;
    char commit[80];
    ol_hub_file *files;
    size_t n_files;
} ol_hub_listing;

/* Reads the JSON of /api/models/ID/revision/REV. */
OLV_MUST_USE olv_status ol_hub_listing_read(const char *json, size_t len, ol_hub_listing *out, olv_error *err);
void ol_hub_listing_deinit(ol_hub_listing *l);
/* Marks the wanted files. OLV_NOT_FOUND when there are none, with what the patterns were. */
OLV_MUST_USE olv_status ol_hub_listing_choose(ol_hub_listing *l, const olv_hub_options *o, olv_error *err);
/* A path that stays inside its folder and is no hidden part of ours. */
bool ol_hub_path_ok(const char *path);

#endif
