/* SPDX-License-Identifier: Apache-2.0 */
/* Writing a Hugging Face folder whose linear layers are quantized, in the form of compressed-tensors (docs/format.md). */
#ifndef OL_OPTIMIZE_HF_FOLDER_H
#define OL_OPTIMIZE_HF_FOLDER_H

#include "base/executor.h"
#include "compress/compress.h"
#include <olivine/progress.h>

typedef struct ol_hf_output {
    const char *key; /* names the work: same key, same result */
    bool force, fresh;
    ol_executor *executor;
    /* Makes olivine.json of the finished files in FOLDER. */
    olv_status (*manifest)(void *ctx, const char *folder, ol_buf *out, olv_error *err);
    void *manifest_ctx;
} ol_hf_output;

/* Writes OUT_DIR for the folder FOLDER. `plan` says what becomes of the weights of its graph; *report (deinit it) what
 * became of the tensors: those that compressed-tensors has no form for are kept. */
OLV_MUST_USE olv_status ol_hf_folder_write(const char *folder, const ol_compress_plan *plan, const ol_hf_output *opt,
                                           const char *out_dir, ol_compress_plan *report, olv_progress_fn *progress, void *ctx,
                                           olv_error *err);

#endif
