/* SPDX-License-Identifier: Apache-2.0 */
/* Fetching models from a model hub into the cache that the hub's own client uses, or into a folder.
 *
 * Files are fetched several at a time, checked by size and SHA-256 (where the hub names it), and appear under their names only
 * when complete. What was interrupted lies in *.incomplete files, and goes on from there the next time.
 *
 * Environment: HF_ENDPOINT, HF_TOKEN, HF_TOKEN_PATH, HF_HUB_CACHE, HF_HOME, HF_HUB_OFFLINE, HF_HUB_DOWNLOAD_TIMEOUT.
 *
 * Thread rule: any number of calls, in any number of processes, may run at the same time. */
#ifndef OLIVINE_HUB_H
#define OLIVINE_HUB_H

#include <olivine/progress.h>
#include <olivine/status.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct olv_hub_options {
    size_t struct_size;
    const char *revision;        /* branch, tag or commit; NULL: main */
    const char *endpoint;        /* NULL: $HF_ENDPOINT, else the public hub */
    const char *token;           /* NULL: $HF_TOKEN, else the file that the hub's client keeps it in */
    const char *cache_dir;       /* NULL: as the environment says */
    const char *local_dir;       /* put the files there instead of the cache */
    const char *const *include;  /* shell patterns ('*' matches '/' too); none: all files */
    size_t n_include;
    const char *const *exclude;
    size_t n_exclude;
    bool model_files;            /* what a model needs to run: configs, tokenizer and one form of its weights */
    bool offline;                /* look for it only */
    bool force;                  /* fetch again what is there */
    int connections;             /* files at a time; 0: 4 */
    olv_progress_fn *progress;   /* of bytes; false cancels. NULL: none */
    void *progress_ctx;
} olv_hub_options;
OLV_API void olv_hub_options_init(olv_hub_options *o);

/* Fetches what is missing of the model ID ("org/name", or "name"). *path: the folder that holds the files (olv_free it). */
OLV_API OLV_MUST_USE olv_status olv_hub_pull(const char *id, const olv_hub_options *o, char **path, olv_error *err);
/* The library that fetches, with its version; NULL when this build has none. */
OLV_API const char *olv_hub_client(void);
/* Has the form of a hub id. */
OLV_API bool olv_hub_is_id(const char *id);

#ifdef __cplusplus
}
#endif
#endif
