/* SPDX-License-Identifier: Apache-2.0 */
/* Hugging Face folders: config.json + safetensors → the portable language-model graph (docs/lm-graph.md). */
#ifndef OL_FORMATS_HUGGINGFACE_HUGGINGFACE_H
#define OL_FORMATS_HUGGINGFACE_HUGGINGFACE_H

#include "formats/huggingface/config.h"
#include "formats/huggingface/generation.h"
#include "formats/huggingface/use.h"
#include "graph/graph.h"

/* Builds the graph of the model in FOLDER. Weights are views over the mapped files; norms, biases and frequencies are
 * small f32 constants. An unknown model_type is OLV_UNSUPPORTED with its name and the known ones; missing, duplicate
 * and misshapen tensors are named. */
OLV_MUST_USE olv_status ol_hf_read(const char *folder, ol_graph **out, olv_error *err);

/* The same for another task than generation: encoders, and decoders whose rows are pooled (docs/encoders.md). `use` says
 * how rows become an embedding (OL_HF_EMBED); NULL for the other tasks. */
OLV_MUST_USE olv_status ol_hf_read_for(const char *folder, ol_hf_task task, const ol_hf_use *use, ol_graph **out,
                                       olv_error *err);

/* Checks the text of a config.json as ol_hf_read would, without weights. */
OLV_MUST_USE olv_status ol_hf_check_config(const char *text, size_t len, olv_error *err);

#endif
