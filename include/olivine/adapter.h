/* SPDX-License-Identifier: Apache-2.0 */
/* LoRA adapters: small trained additions to a model's linear layers, loaded beside it and applied while it runs. The
 * model's own weights, quantized or not, stay as they are; several adapters may be loaded at once, and each call chooses
 * which of them hold, and how strongly.
 *
 *     olv_pipeline_load_adapter(p, "adapters/pirate", NULL, &err);
 *     olv_pipeline_use_adapters(p, &(olv_adapter_use){"pirate", 1.0}, 1, &err);
 *     olv_generate(...);                           // with the adapter
 *     olv_pipeline_use_adapters(p, NULL, 0, &err); // without
 *
 * Adapters are read as PEFT writes them (adapter_config.json with adapter_model.safetensors); each of their modules must be
 * a linear layer of the model. DoRA, aLoRA, trained biases, embeddings and copies of modules are OLV_UNSUPPORTED.
 *
 * Thread rule: that of olv_pipeline. */
#ifndef OLIVINE_ADAPTER_H
#define OLIVINE_ADAPTER_H

#include <olivine/pipeline.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Loads the adapter in the folder PATH (or its .safetensors file) under a name; NULL: the last part of the path. A name that is
 * taken is OLV_ARG. Loading changes nothing yet. */
OLV_API OLV_MUST_USE olv_status olv_pipeline_load_adapter(olv_pipeline *p, const char *path, const char *name, olv_error *err);
/* Forgets an adapter. OLV_NOT_FOUND when there is none of the name, OLV_STATE when it is in use. */
OLV_API OLV_MUST_USE olv_status olv_pipeline_unload_adapter(olv_pipeline *p, const char *name, olv_error *err);
/* Name of the i-th loaded adapter, borrowed; NULL past the last. */
OLV_API const char *olv_pipeline_adapter_name(const olv_pipeline *p, size_t i);

typedef struct olv_adapter_use {
    const char *name;
    double scale; /* times the adapter's own alpha / rank; 1: as trained */
} olv_adapter_use;
/* The adapters of the calls that follow, at most four together, whose additions are summed; n 0: none. */
OLV_API OLV_MUST_USE olv_status olv_pipeline_use_adapters(olv_pipeline *p, const olv_adapter_use *uses, size_t n, olv_error *err);

#ifdef __cplusplus
}
#endif
#endif
