/* SPDX-License-Identifier: Apache-2.0 */
/* How a folder wants its model used for embeddings: what sentence-transformers writes beside the weights (modules.json,
 * N_Pooling/config.json, N_Dense, sentence_bert_config.json, config_sentence_transformers.json). */
#ifndef OL_FORMATS_HUGGINGFACE_USE_H
#define OL_FORMATS_HUGGINGFACE_USE_H

#include "base/arena.h"
#include "base/json.h"

#define OL_HF_MAX_POOLS 6
#define OL_HF_MAX_DENSE 8
#define OL_HF_MAX_PROMPTS 64

/* A linear layer behind the pooling: act(W x + b), and x added to it. */
typedef struct ol_hf_dense {
    const char *folder; /* path of the module, with its weights */
    int64_t in, out;
    bool bias, residual;
    const char *act; /* "identity", or a name as config.json spells activations */
} ol_hf_dense;

typedef struct ol_hf_use {
    bool given; /* there is a modules.json; without one: the mean of the rows */
    const char *pools[OL_HF_MAX_POOLS]; /* kinds of olivine.PoolRows, side by side */
    int n_pools;
    bool skip_prompt; /* pooling leaves the prompt's rows out */
    ol_hf_dense dense[OL_HF_MAX_DENSE];
    int n_dense;
    bool normalize;
    bool lower_case;    /* texts become lower case before the tokenizer sees them */
    int64_t max_length; /* tokens, special ones included; 0: not said */
    struct {
        const char *name, *text;
    } prompts[OL_HF_MAX_PROMPTS];
    int n_prompts;
    const char *default_prompt; /* a name, or NULL */
} ol_hf_use;

/* Reads what FOLDER says; everything lies in the arena. An unknown kind of module is OLV_UNSUPPORTED with its name. */
OLV_MUST_USE olv_status ol_hf_use_read(const char *folder, ol_arena *arena, ol_hf_use *use, olv_error *err);

#endif
