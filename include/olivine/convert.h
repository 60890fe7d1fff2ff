/* SPDX-License-Identifier: Apache-2.0 */
/* Writing a model in another file format.
 *
 * Thread rule: any number of calls may run at the same time for different outputs. */
#ifndef OLIVINE_CONVERT_H
#define OLIVINE_CONVERT_H

#include <olivine/progress.h>
#include <olivine/status.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Writes MODEL (a Hugging Face folder) with its tokenizer and template as the GGUF file OUT, which appears complete or not
 * at all. out_type: "f32", "f16", "q8_0", "q4_0", "q4_k_s", "q4_k_m", "q5_k_s", "q5_k_m" or "q6_k", the mixes as llama.cpp has them. progress (may be NULL) hears of bytes. */
OLV_API OLV_MUST_USE olv_status olv_convert_gguf(const char *model, const char *out, const char *out_type,
                                                 olv_progress_fn *progress, void *ctx, olv_error *err);

/* Writes MODEL (a Hugging Face folder of float weights) as such a folder OUT, which appears complete or not at all: config, tokenizer
 * and other companions, and safetensors in shards of at most shard_bytes (0: 5 GB). out_type: "f32", "f16", "bf16" or "as-is", of
 * the float tensors. force: replace a folder that is not empty. */
OLV_API OLV_MUST_USE olv_status olv_convert_safetensors(const char *model, const char *out, const char *out_type, uint64_t shard_bytes,
                                                        bool force, olv_progress_fn *progress, void *ctx, olv_error *err);

#ifdef __cplusplus
}
#endif
#endif
