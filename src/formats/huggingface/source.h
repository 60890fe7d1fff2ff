/* SPDX-License-Identifier: Apache-2.0 */
/* The named tensors of a model, whatever holds them: the one seam between containers (safetensors, PyTorch, GGUF) and
 * the builders of graphs. A container describes its tensors in the terms of safetensors.
 *
 * A folder's tensors are opened here: its container is found, and where config.json says that the weights are
 * quantized, NAME.weight is a float matrix to the builder and a quantized constant (tensor/qconst.h) underneath. */
#ifndef OL_FORMATS_HUGGINGFACE_SOURCE_H
#define OL_FORMATS_HUGGINGFACE_SOURCE_H

#include "base/json.h"
#include "formats/safetensors/safetensors.h"

typedef struct ol_hf_source {
    const void *ctx;
    const ol_st_tensor *(*find)(const void *ctx, const char *name); /* NULL when absent */
    olv_status (*constant)(const void *ctx, const ol_st_tensor *t, ol_const **out, olv_error *err);
} ol_hf_source;

typedef struct ol_hf_weights ol_hf_weights;

/* Opens model.safetensors, its index, or the only .safetensors file of FOLDER; else pytorch_model.bin, its index, or
 * model.pt. `config` is config.json (NULL: plain weights). Constants outlive it. */
OLV_MUST_USE olv_status ol_hf_weights_open(const char *folder, const json_t *config, ol_hf_weights **out,
                                           olv_error *err);
void ol_hf_weights_close(ol_hf_weights *w); /* NULL accepted */
const ol_hf_source *ol_hf_weights_source(const ol_hf_weights *w);
/* The tensors of the container, in its order. */
size_t ol_hf_weights_count(const ol_hf_weights *w);
const ol_st_tensor *ol_hf_weights_get(const ol_hf_weights *w, size_t i);
/* The tensor of the container is a part of a quantized weight, which the source shows under another name or type. */
bool ol_hf_weights_is_part(const ol_hf_weights *w, const char *name);
/* Weights are quantized: all of them stand as [out, in], also in families that keep them turned. */
bool ol_hf_weights_quantized(const ol_hf_weights *w);

#endif
