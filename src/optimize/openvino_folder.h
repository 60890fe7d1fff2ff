/* SPDX-License-Identifier: Apache-2.0 */
/* The folder that OpenVINO GenAI loads: model, tokenizer and detokenizer as IR, and the configs of the source. */
#ifndef OL_OPTIMIZE_OPENVINO_FOLDER_H
#define OL_OPTIMIZE_OPENVINO_FOLDER_H

#include "bundle/bundle.h"
#include "optimize/manifest.h"
#include <olivine/progress.h>

typedef struct ol_openvino_output {
    const char *key; /* names the unfinished work */
    bool force, fresh;
    bool compress_to_f16; /* float weights as f16 */
    uint64_t need;        /* bytes of weights that are to be written */
    ol_manifest *manifest;
} ol_openvino_output;

/* Writes OUT_DIR for the graph g of bundle b. A tokenizer that OpenVINO's operations cannot say is left out: the folder
 * then has its tokenizer.json alone. */
OLV_MUST_USE olv_status ol_openvino_folder_write(const ol_bundle *b, ol_graph *g, const ol_openvino_output *o, const char *out_dir,
                                                 olv_progress_fn *progress, void *ctx, olv_error *err);

#endif
