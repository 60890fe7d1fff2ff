/* SPDX-License-Identifier: Apache-2.0 */
/* config.json of a decoder-only language model, in the styles of transformers 4 and 5, as one checked record. */
#ifndef OL_FORMATS_HUGGINGFACE_CONFIG_H
#define OL_FORMATS_HUGGINGFACE_CONFIG_H

#include "base/arena.h"
#include "formats/huggingface/family.h"

typedef enum ol_hf_act {
    OL_HF_SILU, OL_HF_GELU, OL_HF_GELU_TANH, OL_HF_QUICK_GELU, OL_HF_RELU, OL_HF_RELU2, OL_HF_TANH, OL_HF_SIGMOID,
    OL_HF_XIELU /* has parameters of its own */
} ol_hf_act;

typedef enum ol_hf_rope_mode { OL_HF_ROPE_PLAIN, OL_HF_ROPE_LONG, OL_HF_ROPE_DYNAMIC } ol_hf_rope_mode;

#define OL_HF_MAX_ROPES 4

/* One rotary embedding, ready for a RotaryTable. */
typedef struct ol_hf_rope {
    char type[24]; /* as config.json has it: "default", "llama3", ... */
    ol_hf_rope_mode mode;
    int dim; /* values of a head that are rotated (the first ones) */
    double theta, factor;
    double attention_factor, attention_factor_long;
    int64_t original_length;
    float *inv_freq, *inv_freq_long; /* [dim / 2] in the arena; long only for OL_HF_ROPE_LONG */
} ol_hf_rope;

/* What mixes the rows of a layer. */
typedef enum ol_hf_mixer {
    OL_HF_MIX_ATTENTION,
    OL_HF_MIX_MAMBA,
    OL_HF_MIX_MAMBA2,
    OL_HF_MIX_BESIDE, /* attention and Mamba-2 side by side */
    OL_HF_MIX_CONV,   /* a gated convolution */
    OL_HF_MIX_DELTA,  /* linear attention by the gated delta rule */
    OL_HF_MIX_RWKV
} ol_hf_mixer;

typedef struct ol_hf_layer {
    ol_hf_mixer mixer;
    double eps_factor; /* of the epsilon of its norms; 0: 1 */
    int64_t window;  /* 0: sees everything */
    int rope;        /* index into ropes, -1: none */
    bool sliding;    /* what layer_types says, whether or not a window is set */
    bool experts;    /* mixture of experts instead of the plain MLP */
} ol_hf_layer;

typedef struct ol_hf_moe {
    int64_t n_experts, top_k, intermediate, shared_intermediate, n_group, topk_group;
    bool normalize;      /* weights of the chosen ones sum to 1 */
    double scale, jitter; /* of the weights; sparsemixer's threshold */
    double limit, alpha;  /* of experts_turned: (clamp(up) + 1) * gate * sigmoid(alpha * gate), gate limited from above */
    double least_sum;     /* what weights are divided by at least when they are normalized */
} ol_hf_moe;

typedef struct ol_hf_latent { /* multi-head latent attention; kv_rank 0: not used */
    int64_t q_rank /* 0: plain q */, kv_rank, nope_dim, rope_dim;
    double eps; /* of the norms of the compressed vectors */
} ol_hf_latent;

typedef struct ol_hf_gemma3n_config { /* gemma3n.c */
    int64_t streams, active, shared, laurel_rank, per_layer, per_layer_vocab;
    bool correct_scale;
    double *sparsity; /* of each layer's gates; NULL: none */
} ol_hf_gemma3n_config;

/* What a graph is built to give: scores of the next token, or, by encoder.h, one vector per row or per text. */
typedef enum ol_hf_task { OL_HF_GENERATE, OL_HF_TOKENS, OL_HF_EMBED, OL_HF_CLASSIFY } ol_hf_task;

struct ol_hf_config {
    ol_arena *arena;
    const ol_hf_family *family;
    const ol_hf_names *names;
    char model_type[64], architecture[96];
    bool nested; /* the language model of a larger one */
    int64_t vocab, hidden, intermediate, n_layers, n_heads, n_kv_heads, head_dim, v_dim, context;
    double eps;
    ol_hf_act act;
    ol_hf_residual residual;
    ol_hf_position position;
    ol_hf_qk_norm qk_norm;
    ol_hf_qkv qkv;
    bool gated, tied;
    bool qkv_bias, o_bias, mlp_bias; /* the file must have them; others are taken where the file has them */
    bool attn_scale_by_layer; /* divided by the layer's number, from 1 */
    double attn_scale, attn_softcap, final_softcap;
    double embed_scale, residual_scale, logit_scale; /* multipliers, 1 when there are none */
    double alibi_max; /* largest bias exponent (8) */
    ol_hf_rope ropes[OL_HF_MAX_ROPES]; /* [1]: of the sliding layers where they differ */
    int n_ropes;
    ol_hf_layer *layers;
    ol_hf_moe moe;
    ol_hf_latent latent;
    ol_hf_gemma3n_config gemma3n;
    double final_eps;                  /* of the norm before the head; 0: as the others */
    struct ol_hf_recurrent *recurrent; /* recurrent.h; NULL: attention alone */
    bool attn_gate;                    /* q's rows hold, head by head, q and a gate of the result */
    double gate_scale, down_scale;     /* multipliers in the MLP, 1 when there are none */
    double clip_qkv; /* 0: none */
    /* Queries grow by 1 + beta * log(1 + floor(position / length)); beta 0: they do not. */
    double query_growth;
    int64_t query_growth_length;
    ol_hf_task task;
    const struct ol_hf_use *use; /* of OL_HF_EMBED (use.h) */
    int64_t embed_width;  /* of the tables of encoders; hidden when a projection does not follow */
    int64_t n_types, pad; /* rows of the token type table; id of the padding token */
    bool classify_mean;   /* the classifier reads the mean of the rows, not the first one */
    bool sinks;
};

/* Reads and checks j (config.json; the part text_config of a multimodal one). Everything lies in the arena. */
OLV_MUST_USE olv_status ol_hf_config_read(const json_t *j, ol_arena *arena, ol_hf_config *c, olv_error *err);
/* Fills ropes and the layers' rope indices (called by ol_hf_config_read). */
OLV_MUST_USE olv_status ol_hf_rope_read(const json_t *j, ol_hf_config *c, olv_error *err);

/* Getters that try several spellings of a key; the message names the first. `required`: absent is an error. */
OLV_MUST_USE olv_status ol_hf_int(const json_t *j, const char *const *keys, int64_t min, int64_t max, int64_t def,
                                  bool required, int64_t *out, olv_error *err);
/* A real in [min, max] under one key; def when absent. */
OLV_MUST_USE olv_status ol_hf_real(const json_t *j, const char *key, double min, double max, double def, double *out,
                                   olv_error *err);
/* embed_width, n_types, pad (encoder_families.c). */
OLV_MUST_USE olv_status ol_hf_encoder_config(const json_t *j, ol_hf_config *c, olv_error *err);
OLV_MUST_USE olv_status ol_hf_act_parse(const char *name, ol_hf_act *out, olv_error *err);

#endif
