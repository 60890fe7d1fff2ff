/* SPDX-License-Identifier: Apache-2.0 */
/* olivine.json: where an output folder comes from, what was done, and the sums of its files. No time, host or speed. */
#ifndef OL_OPTIMIZE_MANIFEST_H
#define OL_OPTIMIZE_MANIFEST_H

#include "base/executor.h"
#include "compress/compress.h"
#include <olivine/optimize.h>

typedef struct ol_manifest {
    const char *source_name, *source_hash;
    const char *format;
    const olv_optimize_options *options;
    const ol_compress_plan *report;
    bool *noted; /* by entry of the report: its sums are in the journal */
} ol_manifest;

/* Callback form for writers: ctx is an ol_manifest. */
OLV_MUST_USE olv_status ol_manifest_write(void *ctx, const char *folder, ol_buf *out, olv_error *err);
/* Hash of a model folder or file: SHA-256 over names, sizes and XXH3 sums of 16 MiB pieces (all lanes). */
OLV_MUST_USE olv_status ol_manifest_source_hash(const char *path, ol_executor *e, char out[65], olv_error *err);

#endif
