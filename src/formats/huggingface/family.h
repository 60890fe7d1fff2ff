/* SPDX-License-Identifier: Apache-2.0 */
/* A model family is one entry of a table: where its tensors are and which of the known variations of the decoder
 * layer it uses. Adding a family means adding an entry to families.c, and, where config keys need more than the
 * common reading, a few lines as its `adjust`. */
#ifndef OL_FORMATS_HUGGINGFACE_FAMILY_H
#define OL_FORMATS_HUGGINGFACE_FAMILY_H

#include "base/json.h"

typedef struct ol_hf_config ol_hf_config; /* config.h */
struct ol_hf_build;                       /* build.h */
struct ol_value;

/* Layers that are not such as names and variations say: from ids and embeddings to what the final norm reads. */
typedef struct ol_value *ol_hf_layers_fn(struct ol_hf_build *b, struct ol_value *ids, struct ol_value *x);
struct ol_hf_encoder;

/* Names of the tensors. `layer` and everything below it are relative to `base`, which the file may leave out; names
 * of a layer's parts are relative to `layer` with the layer's number; ".weight" and ".bias" are appended. NULL: the
 * family has no such tensor. %d in the names of experts is the expert's number. */
typedef struct ol_hf_names {
    const char *base, *embed, *positions, *embed_norm, *final_norm, *layer;
    const char *head; /* from the root, not relative to base */
    const char *attn_norm, *post_attn_norm, *mlp_norm, *post_mlp_norm;
    const char *q, *k, *v, *qkv, *o, *q_norm, *k_norm;
    const char *gate, *up, *gate_up, *down;
    const char *router, *e_gate, *e_up, *e_down;    /* one tensor per expert */
    const char *e_all_gate_up, *e_all_down;         /* [E, 2I, H] and [E, H, I] in one tensor (no ".weight") */
    const char *shared_gate, *shared_up, *shared_down, *shared_router, *router_bias /* full name */;
    const char *mixer; /* start of the names in a recurrent layer (recurrent.h) */
    const char *shared_gate_up; /* of the shared expert, one below the other */
    const char *attn_gate; /* the sigmoid of this product of h multiplies what attention gives */
    const char *sinks; /* one score per head that takes its share of attention and gives nothing (no ".weight") */
    const char *q_a, *q_a_norm, *q_b, *kv_a, *kv_a_norm, *kv_b; /* latent attention */
} ol_hf_names;

typedef enum ol_hf_norm {
    OL_HF_RMS,
    OL_HF_RMS_PLUS_ONE, /* multiplies by 1 + w */
    OL_HF_RMS_PLAIN,    /* no weight; any part's name says that there is a norm */
    OL_HF_LAYER,        /* mean and variance; weight, and bias where the file has one */
    OL_HF_LAYER_PLUS_ONE,
    OL_HF_LAYER_PLAIN   /* neither weight nor bias */
} ol_hf_norm;

typedef enum ol_hf_residual {
    OL_HF_SEQUENTIAL,
    OL_HF_PARALLEL,          /* x + attn(norm(x)) + mlp(norm(x)), one norm */
    OL_HF_PARALLEL_TWO_NORMS, /* the same with a norm each */
    OL_HF_FROM_NORM,         /* h + attn(h), h = norm(x); the same with the mlp */
    OL_HF_POST_NORM          /* norm(x + attn(x)), norm(x + mlp(x)) */
} ol_hf_residual;

typedef enum ol_hf_qkv {
    OL_HF_QKV_CONCAT, /* rows of q, then of k, then of v */
    OL_HF_QKV_GROUPS  /* for each key head: its query heads, its key, its value */
} ol_hf_qkv;

typedef enum ol_hf_position {
    OL_HF_ROPE,             /* pairs (i, i + d/2) */
    OL_HF_ROPE_INTERLEAVED, /* pairs (2i, 2i + 1) */
    OL_HF_LEARNED,          /* a table added to the embeddings */
    OL_HF_ALIBI,
    OL_HF_NO_POSITION
} ol_hf_position;

typedef enum ol_hf_qk_norm {
    OL_HF_QK_NONE,
    OL_HF_QK_HEAD,      /* over each head, one weight vector of head_dim */
    OL_HF_QK_HEAD_EACH, /* over each head, a weight for every head: one tensor, or one a head where the name has %d */
    OL_HF_QK_ROW,       /* over all heads at once */
    OL_HF_QK_HEAD_AFTER /* over each head, after the rotation */
} ol_hf_qk_norm;

typedef enum ol_hf_window {
    OL_HF_WINDOW_NONE,
    OL_HF_WINDOW_ALL,       /* sliding_window, when given, in every layer */
    OL_HF_WINDOW_QWEN,      /* with use_sliding_window, from layer max_window_layers on */
    OL_HF_WINDOW_FROM,      /* from layer max_window_layers on */
    OL_HF_WINDOW_ALTERNATE, /* even layers */
    OL_HF_WINDOW_PATTERN,   /* all but every n-th (sliding_window_pattern) */
    OL_HF_WINDOW_PATTERN_FIRST /* all but every n-th, of which the first is one */
} ol_hf_window;

typedef enum ol_hf_router {
    OL_HF_ROUTE_SOFTMAX_TOPK, /* softmax over all experts, then the best; renormalized as config says */
    OL_HF_ROUTE_TOPK_SOFTMAX, /* the best, then softmax over them */
    OL_HF_ROUTE_TOPK_SIGMOID, /* the best, then the sigmoid of each */
    OL_HF_ROUTE_SIGMOID,      /* deepseek v3: sigmoid, correction bias, groups */
    OL_HF_ROUTE_GROUPS_MAX,   /* deepseek v2: softmax, groups by their best expert */
    OL_HF_ROUTE_SPARSEMIXER   /* phimoe */
} ol_hf_router;

typedef struct ol_hf_family {
    const char *model_type;
    const ol_hf_names *names;
    ol_hf_norm norm;
    ol_hf_residual residual;
    ol_hf_qkv qkv;
    ol_hf_position position;
    ol_hf_qk_norm qk_norm;
    ol_hf_window window;
    ol_hf_router router;
    const char *act; /* when config.json has none */
    bool gated;      /* down(act(gate x) * up x), else down(act(up x)) */
    bool conv1d;     /* weights stand as [in, out] */
    bool untied;     /* the head is a tensor of its own when config.json does not say */
    bool qk_norm_layer; /* q and k norms are of the layer kind */
    bool rope_full_only, rope_window_only; /* rotation only in layers without, or with, a window */
    bool rope_backwards; /* angles are negative */
    bool experts_turned; /* joint tensors are [E, H, 2I] and [E, I, H], gates and ups take turns, and there are biases */
    bool rope_scaled_full_only; /* rope_scaling, when given for all layers, is for those without a window */
    int position_offset; /* added to the position before the table is read (opt: 2) */
    double eps, theta, partial; /* defaults; 0 = 1e-5, 10000, 1 */
    bool up_first;              /* the fused gate_up holds up, then gate */
    const struct ol_hf_encoder *encoder; /* encoder.h; NULL: a decoder */
    int64_t ffn_factor;         /* intermediate size in units of the hidden size when config.json has none; 0: required */
    ol_hf_layers_fn *layers; /* NULL: by names and variations */
    olv_status (*adjust)(ol_hf_config *c, const json_t *j, olv_error *err);
} ol_hf_family;

const ol_hf_family *ol_hf_family_find(const char *model_type); /* NULL when unknown */
const ol_hf_family *ol_hf_families(size_t *count);
/* "bloom, falcon, gemma, ..." for messages. */
void ol_hf_family_list(ol_buf *out);

#endif
