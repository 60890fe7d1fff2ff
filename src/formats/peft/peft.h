/* SPDX-License-Identifier: Apache-2.0 */
/* LoRA adapters as PEFT writes them: a folder of adapter_config.json and adapter_model.safetensors. For each adapted
 * module, y += scale · (x Aᵀ) Bᵀ with A [rank, k] and B [n, rank]; scale is alpha / rank, or alpha / √rank with
 * use_rslora. What changes more than that (DoRA, trained copies of modules, biases, embeddings) is refused by name. */
#ifndef OL_FORMATS_PEFT_PEFT_H
#define OL_FORMATS_PEFT_PEFT_H

#include "base/arena.h"
#include "tensor/constant.h"

#define OL_PEFT_MAX_RANK 4096

typedef struct ol_peft_module {
    const char *name; /* path in the base model: "model.layers.0.self_attn.q_proj" */
    int64_t rank, n, k;
    float scale;
    ol_const *a, *b; /* views of the mapped file */
} ol_peft_module;

typedef struct ol_peft {
    ol_peft_module *modules; /* sorted by name */
    size_t n_modules;
    ol_arena *arena;
} ol_peft;

/* PATH: the folder, or its .safetensors file. */
OLV_MUST_USE olv_status ol_peft_open(const char *path, ol_peft **out, olv_error *err);
void ol_peft_close(ol_peft *p); /* NULL accepted */
/* The config alone: what ol_peft_open refuses in it (fuzzing and tests). */
OLV_MUST_USE olv_status ol_peft_check_config(const char *text, size_t len, olv_error *err);

#endif
