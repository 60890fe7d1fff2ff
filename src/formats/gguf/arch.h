/* SPDX-License-Identifier: Apache-2.0 */
/* Architectures of GGUF and the model families of config.json that they are. */
#ifndef OL_FORMATS_GGUF_ARCH_H
#define OL_FORMATS_GGUF_ARCH_H

#include "base/wire/gguf.h"
#include "formats/huggingface/config.h"

typedef struct ol_gguf_arch {
    const char *name;       /* general.architecture */
    const char *model_type; /* family */
    bool interleaved;       /* rows of q and k stand in pairs (2i, 2i + 1) for the rotation */
} ol_gguf_arch;

/* NULL when unknown. */
const ol_gguf_arch *ol_gguf_arch_find(ol_str name);
const ol_gguf_arch *ol_gguf_arch_of_family(const char *model_type);
void ol_gguf_arch_list(ol_buf *out); /* "gemma, gpt2, ..." */

/* config.json of the model as the family's reader takes it. */
OLV_MUST_USE olv_status ol_gguf_config(const ol_gguf *g, const ol_gguf_arch *a, json_t **out, olv_error *err);
/* Names of GGUF's tensors for the parts that the family has; in the arena, NULL when out of memory. */
const ol_hf_names *ol_gguf_names(const ol_hf_config *c, ol_arena *arena);
/* The row of the family's order that stands at row i of a head of d rows in GGUF's. */
static inline int64_t ol_gguf_head_row(int64_t i, int64_t d) { return i / 2 + (i % 2) * (d / 2); }

#endif
