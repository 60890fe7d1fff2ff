/* SPDX-License-Identifier: Apache-2.0 */
/* GGUF files: a language model with its tokenizer in one file → the portable graph (docs/lm-graph.md), and back from a
 * folder of Hugging Face. */
#ifndef OL_FORMATS_GGUF_GGUF_H
#define OL_FORMATS_GGUF_GGUF_H

#include "base/wire/gguf.h"
#include "graph/graph.h"
#include <olivine/progress.h>

#define OL_GGUF_MAX_EOS 8

typedef struct ol_gguf_info {
    char architecture[64];
    int64_t bos, pad; /* -1: none */
    int64_t eos[OL_GGUF_MAX_EOS];
    int n_eos;
    bool has_tokenizer;
    char *chat_template; /* NULL when there is none; ol_free it */
} ol_gguf_info;

/* Opens PATH. Weights are views of the mapped file, but for Q4_0 and Q8_0, whose blocks are taken apart into the planar
 * form that kernels multiply with, without loss. graph: NULL leaves it out. */
OLV_MUST_USE olv_status ol_gguf_read(const char *path, ol_graph **graph, ol_gguf_info *info, olv_error *err);

/* Everything ol_gguf_read checks, on bytes that stay where they are (fuzzing and tests): no constant outlives the call. */
OLV_MUST_USE olv_status ol_gguf_check(const uint8_t *bytes, size_t len, olv_error *err);

typedef enum ol_gguf_outtype {
    OL_GGUF_OUT_F32, OL_GGUF_OUT_F16, OL_GGUF_OUT_Q8_0, OL_GGUF_OUT_Q4_0, OL_GGUF_OUT_Q4_K_S, OL_GGUF_OUT_Q4_K_M, OL_GGUF_OUT_Q5_K_S,
    OL_GGUF_OUT_Q5_K_M, OL_GGUF_OUT_Q6_K, OL_GGUF_N_OUT
} ol_gguf_outtype;

/* Writes the model in FOLDER (config.json, safetensors, tokenizer.json) to PATH, which appears complete or not at all.
 * Matrices take the types of the mix asked for (formats/gguf/mix.h), everything else is F32. */
OLV_MUST_USE olv_status ol_gguf_write(const char *folder, const char *path, ol_gguf_outtype type, olv_progress_fn *progress,
                                      void *ctx, olv_error *err);

#endif
