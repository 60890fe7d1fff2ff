/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/source_key.h"
#include "base/alloc.h"
#include "base/error.h"
#include "base/file.h"
#include "bundle/bundle.h"

#define N_CONFIGS 5

olv_status ol_bundle_source_key(const ol_bundle *b, const ol_graph *g, ol_buf *out, olv_error *err) {
    static const char *const configs[N_CONFIGS] = {"config.json", "quantize_config.json", "quant_config.json", "genai_config.json", "model.onnx"};
    const char *paths[N_CONFIGS + 1];
    char *made[N_CONFIGS] = {NULL};
    size_t n = 0;
    olv_status s = OLV_OK;
    if (ol_file_exists(b->path)) paths[n++] = b->path;
    for (size_t i = 0; i < N_CONFIGS && s == OLV_OK && b->kind != OL_BUNDLE_GGUF; i++) {
        if (!(made[i] = ol_path_join(b->folder, configs[i]))) s = ol_fail(err, OLV_NOMEM, "no memory for the list of files");
        paths[n++] = made[i];
    }
    if (s == OLV_OK) s = ol_source_key(g, paths, n, out, err);
    for (size_t i = 0; i < N_CONFIGS; i++) ol_free(made[i]);
    return s;
}
