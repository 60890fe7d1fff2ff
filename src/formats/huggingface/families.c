/* SPDX-License-Identifier: Apache-2.0 */
/* The table of model families. Names and defaults are those of the families' own configurations. */
#include "base/error.h"
#include "formats/huggingface/adjust.h"
#include "formats/huggingface/config.h"
#include "formats/huggingface/recurrent.h"
#include "formats/huggingface/encoder.h"

#include <math.h>

/* ---- where the tensors are ---- */

#define LLAMA_BASE .base = "model.", .embed = "embed_tokens", .layer = "layers.%d.", .head = "lm_head"
#define LLAMA_ROOT LLAMA_BASE, .final_norm = "norm"
#define LLAMA_NORMS .attn_norm = "input_layernorm", .mlp_norm = "post_attention_layernorm"
#define LLAMA_QKV .q = "self_attn.q_proj", .k = "self_attn.k_proj", .v = "self_attn.v_proj"
#define LLAMA_ATTN LLAMA_QKV, .o = "self_attn.o_proj"
#define LLAMA_QK_NORM .q_norm = "self_attn.q_norm", .k_norm = "self_attn.k_norm"
#define LLAMA_UP_DOWN .up = "mlp.up_proj", .down = "mlp.down_proj"
#define LLAMA_MLP .gate = "mlp.gate_proj", LLAMA_UP_DOWN
#define LLAMA_FUSED .qkv = "self_attn.qkv_proj", .gate_up = "mlp.gate_up_proj"
#define QWEN_EXPERTS QWEN_EXPERTS_AT("mlp.gate")
#define QWEN_EXPERTS_AT(router_name)                                                               \
    .router = router_name, .e_gate = "mlp.experts.%d.gate_proj", .e_up = "mlp.experts.%d.up_proj",  \
    .e_down = "mlp.experts.%d.down_proj", .e_all_gate_up = "mlp.experts.gate_up_proj",             \
    .e_all_down = "mlp.experts.down_proj"
#define MIXTRAL_EXPERTS                                                                            \
    .router = "block_sparse_moe.gate", .e_gate = "block_sparse_moe.experts.%d.w1",                 \
    .e_up = "block_sparse_moe.experts.%d.w3", .e_down = "block_sparse_moe.experts.%d.w2",          \
    .e_all_gate_up = "mlp.experts.gate_up_proj", .e_all_down = "mlp.experts.down_proj"

#define LATENT                                                                                     \
    .q_a = "self_attn.q_a_proj", .q_a_norm = "self_attn.q_a_layernorm", .q_b = "self_attn.q_b_proj", \
    .kv_a = "self_attn.kv_a_proj_with_mqa", .kv_a_norm = "self_attn.kv_a_layernorm", .kv_b = "self_attn.kv_b_proj"

static const ol_hf_names llama = {LLAMA_ROOT, LLAMA_NORMS, LLAMA_ATTN, LLAMA_MLP, LLAMA_FUSED, LLAMA_QK_NORM};
static const ol_hf_names stablelm = {LLAMA_ROOT, LLAMA_NORMS, LLAMA_ATTN, LLAMA_MLP,
                                     .q_norm = "self_attn.q_layernorm.norms.%d",
                                     .k_norm = "self_attn.k_layernorm.norms.%d"};
static const ol_hf_names gemma2 = {LLAMA_ROOT, .attn_norm = "input_layernorm",
                                   .post_attn_norm = "post_attention_layernorm",
                                   .mlp_norm = "pre_feedforward_layernorm",
                                   .post_mlp_norm = "post_feedforward_layernorm", LLAMA_ATTN, LLAMA_MLP, LLAMA_QK_NORM};
static const ol_hf_names olmo2 = {LLAMA_ROOT, .post_attn_norm = "post_attention_layernorm",
                                  .post_mlp_norm = "post_feedforward_layernorm", LLAMA_ATTN, LLAMA_MLP, LLAMA_QK_NORM};
static const ol_hf_names glm4 = {LLAMA_ROOT, LLAMA_NORMS, .post_attn_norm = "post_self_attn_layernorm",
                                 .post_mlp_norm = "post_mlp_layernorm", LLAMA_ATTN, LLAMA_MLP, LLAMA_FUSED};
static const ol_hf_names cohere = {LLAMA_ROOT, .attn_norm = "input_layernorm", LLAMA_ATTN, LLAMA_MLP, LLAMA_QK_NORM};
static const ol_hf_names jais2 = {LLAMA_ROOT, LLAMA_NORMS, LLAMA_ATTN, LLAMA_UP_DOWN};
static const ol_hf_names starcoder2 = {LLAMA_ROOT, LLAMA_NORMS, LLAMA_ATTN, .up = "mlp.c_fc", .down = "mlp.c_proj"};
static const ol_hf_names phi = {LLAMA_BASE, .final_norm = "final_layernorm", .attn_norm = "input_layernorm", LLAMA_QKV,
                                .o = "self_attn.dense", .q_norm = "self_attn.q_layernorm",
                                .k_norm = "self_attn.k_layernorm", .up = "mlp.fc1", .down = "mlp.fc2"};
static const ol_hf_names persimmon = {LLAMA_BASE, .final_norm = "final_layernorm", LLAMA_NORMS,
                                      .qkv = "self_attn.query_key_value", .o = "self_attn.dense",
                                      .q_norm = "self_attn.q_layernorm", .k_norm = "self_attn.k_layernorm",
                                      .up = "mlp.dense_h_to_4h", .down = "mlp.dense_4h_to_h"};
static const ol_hf_names mixtral = {LLAMA_ROOT, LLAMA_NORMS, LLAMA_ATTN, MIXTRAL_EXPERTS};
static const ol_hf_names qwen_moe = {LLAMA_ROOT, LLAMA_NORMS, LLAMA_ATTN, LLAMA_QK_NORM, LLAMA_MLP, QWEN_EXPERTS,
                                     .shared_gate = "mlp.shared_expert.gate_proj",
                                     .shared_up = "mlp.shared_expert.up_proj",
                                     .shared_down = "mlp.shared_expert.down_proj",
                                     .shared_router = "mlp.shared_expert_gate"};
static const ol_hf_names deepseek = {LLAMA_ROOT, LLAMA_NORMS, LLAMA_ATTN, LLAMA_MLP, QWEN_EXPERTS,
                                     .shared_gate = "mlp.shared_experts.gate_proj",
                                     .shared_up = "mlp.shared_experts.up_proj",
                                     .shared_down = "mlp.shared_experts.down_proj",
                                     .router_bias = "mlp.gate.e_score_correction_bias", LATENT};
#define LLAMA_SHARED                                                                               \
    .shared_gate = "mlp.shared_experts.gate_proj", .shared_up = "mlp.shared_experts.up_proj",      \
    .shared_down = "mlp.shared_experts.down_proj"
static const ol_hf_names afmoe = {LLAMA_ROOT, .attn_norm = "input_layernorm", .post_attn_norm = "post_attention_layernorm",
                                  .mlp_norm = "pre_mlp_layernorm", .post_mlp_norm = "post_mlp_layernorm", LLAMA_ATTN,
                                  LLAMA_QK_NORM, .attn_gate = "self_attn.gate_proj", LLAMA_MLP, QWEN_EXPERTS_AT("mlp.router.gate"),
                                  LLAMA_SHARED, .router_bias = "mlp.expert_bias"};
static const ol_hf_names apertus = {LLAMA_ROOT, .attn_norm = "attention_layernorm", .mlp_norm = "feedforward_layernorm",
                                    LLAMA_ATTN, LLAMA_UP_DOWN, LLAMA_QK_NORM};
static const ol_hf_names ernie_moe = {LLAMA_ROOT, LLAMA_NORMS, LLAMA_ATTN, LLAMA_MLP, QWEN_EXPERTS, LLAMA_SHARED,
                                      .router_bias = "mlp.moe_statics.e_score_correction_bias"};
static const ol_hf_names exaone_moe = {LLAMA_ROOT, LLAMA_NORMS, LLAMA_ATTN, LLAMA_QK_NORM, LLAMA_MLP, QWEN_EXPERTS,
                                       LLAMA_SHARED, .router_bias = "mlp.e_score_correction_bias"};
static const ol_hf_names flex_olmo = {LLAMA_ROOT, .post_attn_norm = "post_attention_layernorm",
                                      .post_mlp_norm = "post_feedforward_layernorm", LLAMA_ATTN, LLAMA_QK_NORM,
                                      QWEN_EXPERTS};
static const ol_hf_names glm_moe = {LLAMA_ROOT, LLAMA_NORMS, LLAMA_ATTN, LLAMA_QK_NORM, LLAMA_MLP, QWEN_EXPERTS,
                                    LLAMA_SHARED, .router_bias = "mlp.gate.e_score_correction_bias"};
static const ol_hf_names gpt_oss = {LLAMA_ROOT, LLAMA_NORMS, LLAMA_ATTN, .sinks = "self_attn.sinks",
                                    .router = "mlp.router", .e_all_gate_up = "mlp.experts.gate_up_proj",
                                    .e_all_down = "mlp.experts.down_proj"};
static const ol_hf_names granite_swa = {LLAMA_ROOT, LLAMA_NORMS, LLAMA_ATTN, LLAMA_MLP, .sinks = "self_attn.sinks"};
static const ol_hf_names granitemoe_swa = {LLAMA_ROOT, LLAMA_NORMS, LLAMA_ATTN, .sinks = "self_attn.sinks",
                                           .router = "block_sparse_moe.router",
                                           .e_all_gate_up = "block_sparse_moe.experts.gate_up_proj",
                                           .e_all_down = "block_sparse_moe.experts.down_proj",
                                           .shared_gate_up = "shared_mlp.input_linear",
                                           .shared_down = "shared_mlp.output_linear"};
static const ol_hf_names granitemoeshared = {LLAMA_ROOT, LLAMA_NORMS, LLAMA_ATTN,
                                             .router = "block_sparse_moe.router.layer",
                                             .e_all_gate_up = "block_sparse_moe.input_linear.weight",
                                             .e_all_down = "block_sparse_moe.output_linear.weight",
                                             .shared_gate_up = "shared_mlp.input_linear",
                                             .shared_down = "shared_mlp.output_linear"};
#define HUNYUAN_QK_NORM .q_norm = "self_attn.query_layernorm", .k_norm = "self_attn.key_layernorm"
static const ol_hf_names hunyuan = {LLAMA_ROOT, LLAMA_NORMS, LLAMA_ATTN, LLAMA_MLP, HUNYUAN_QK_NORM};
static const ol_hf_names hunyuan_moe = {LLAMA_ROOT, LLAMA_NORMS, LLAMA_ATTN, HUNYUAN_QK_NORM, .router = "mlp.gate.wg",
                                        .e_gate = "mlp.experts.%d.gate_proj", .e_up = "mlp.experts.%d.up_proj",
                                        .e_down = "mlp.experts.%d.down_proj",
                                        .shared_gate = "mlp.shared_mlp.gate_proj",
                                        .shared_up = "mlp.shared_mlp.up_proj",
                                        .shared_down = "mlp.shared_mlp.down_proj"};
static const ol_hf_names hy_v3 = {LLAMA_ROOT, LLAMA_NORMS, LLAMA_ATTN, LLAMA_QK_NORM, LLAMA_MLP,
                                  .router = "mlp.router.gate", .e_gate = "mlp.experts.%d.gate_proj",
                                  .e_up = "mlp.experts.%d.up_proj", .e_down = "mlp.experts.%d.down_proj",
                                  .shared_gate = "mlp.shared_mlp.gate_proj", .shared_up = "mlp.shared_mlp.up_proj",
                                  .shared_down = "mlp.shared_mlp.down_proj", .router_bias = "mlp.expert_bias"};
static const ol_hf_names hyperclovax = {LLAMA_ROOT, LLAMA_NORMS, .post_attn_norm = "post_norm1",
                                        .post_mlp_norm = "post_norm2", LLAMA_ATTN, LLAMA_MLP};
static const ol_hf_names kolibri1 = {LLAMA_ROOT, LLAMA_NORMS, .post_attn_norm = "post_attn_norm",
                                     .post_mlp_norm = "post_ffn_norm", LLAMA_ATTN, LLAMA_QK_NORM, QWEN_EXPERTS,
                                     LLAMA_SHARED, .router_bias = "moe.router.expert_bias"};
static const ol_hf_names minimax = {LLAMA_ROOT, LLAMA_NORMS, LLAMA_ATTN, LLAMA_QK_NORM, MIXTRAL_EXPERTS,
                                    .router_bias = "block_sparse_moe.e_score_correction_bias"};
static const ol_hf_names nanochat = {LLAMA_ROOT, LLAMA_NORMS, LLAMA_ATTN, LLAMA_QK_NORM, .embed_norm = "norm",
                                     .up = "mlp.fc1", .down = "mlp.fc2"};
static const ol_hf_names sarvam_moe = {.base = "model.", .embed = "word_embeddings", .final_norm = "norm",
                                       .layer = "layers.%d.", .head = "lm_head", LLAMA_NORMS,
                                       .qkv = "attention.query_key_value", .o = "attention.dense",
                                       .q_norm = "attention.query_layernorm", .k_norm = "attention.key_layernorm",
                                       LLAMA_MLP, QWEN_EXPERTS, LLAMA_SHARED, .router_bias = "mlp.gate.expert_bias"};
static const ol_hf_names vaultgemma = {LLAMA_ROOT, .attn_norm = "input_layernorm",
                                       .mlp_norm = "pre_feedforward_layernorm", LLAMA_ATTN, LLAMA_MLP};
static const ol_hf_names youtu = {LLAMA_ROOT, LLAMA_NORMS, LLAMA_ATTN, LLAMA_MLP, LATENT};
static const ol_hf_names granitemoe = {LLAMA_ROOT, LLAMA_NORMS, LLAMA_ATTN, .router = "block_sparse_moe.router.layer",
                                       .e_all_gate_up = "block_sparse_moe.input_linear.weight",
                                       .e_all_down = "block_sparse_moe.output_linear.weight"};
static const ol_hf_names internlm2 = {.base = "model.", .embed = "tok_embeddings", .final_norm = "norm",
                                      .layer = "layers.%d.", .head = "output", .attn_norm = "attention_norm",
                                      .mlp_norm = "ffn_norm", .qkv = "attention.wqkv", .o = "attention.wo",
                                      .gate = "feed_forward.w1", .up = "feed_forward.w3", .down = "feed_forward.w2"};
static const ol_hf_names exaone = {.base = "transformer.", .embed = "wte", .final_norm = "ln_f", .layer = "h.%d.",
                                   .head = "lm_head", .attn_norm = "ln_1", .mlp_norm = "ln_2",
                                   .q = "attn.attention.q_proj", .k = "attn.attention.k_proj",
                                   .v = "attn.attention.v_proj", .o = "attn.attention.out_proj", .gate = "mlp.c_fc_0",
                                   .up = "mlp.c_fc_1", .down = "mlp.c_proj"};
#define GPT2_ROOT                                                                                  \
    .base = "transformer.", .embed = "wte", .positions = "wpe", .final_norm = "ln_f", .layer = "h.%d.", .head = "lm_head"
static const ol_hf_names gpt2 = {GPT2_ROOT, .attn_norm = "ln_1", .mlp_norm = "ln_2", .qkv = "attn.c_attn",
                                 .o = "attn.c_proj", .up = "mlp.c_fc", .down = "mlp.c_proj"};
static const ol_hf_names gpt_neo = {GPT2_ROOT, .attn_norm = "ln_1", .mlp_norm = "ln_2", .q = "attn.attention.q_proj",
                                    .k = "attn.attention.k_proj", .v = "attn.attention.v_proj",
                                    .o = "attn.attention.out_proj", .up = "mlp.c_fc", .down = "mlp.c_proj"};
static const ol_hf_names gptj = {GPT2_ROOT, .attn_norm = "ln_1", .q = "attn.q_proj", .k = "attn.k_proj",
                                 .v = "attn.v_proj", .o = "attn.out_proj", .up = "mlp.fc_in", .down = "mlp.fc_out"};
static const ol_hf_names gpt_neox = {.base = "gpt_neox.", .embed = "embed_in", .final_norm = "final_layer_norm",
                                     .layer = "layers.%d.", .head = "embed_out", LLAMA_NORMS,
                                     .qkv = "attention.query_key_value", .o = "attention.dense",
                                     .up = "mlp.dense_h_to_4h", .down = "mlp.dense_4h_to_h"};
static const ol_hf_names opt = {.base = "model.decoder.", .embed = "embed_tokens", .positions = "embed_positions",
                                .final_norm = "final_layer_norm", .layer = "layers.%d.", .head = "lm_head",
                                .attn_norm = "self_attn_layer_norm", .mlp_norm = "final_layer_norm", LLAMA_QKV,
                                .o = "self_attn.out_proj", .up = "fc1", .down = "fc2"};
static const ol_hf_names biogpt = {.base = "biogpt.", .embed = "embed_tokens", .positions = "embed_positions",
                                   .final_norm = "layer_norm", .layer = "layers.%d.", .head = "output_projection",
                                   .attn_norm = "self_attn_layer_norm", .mlp_norm = "final_layer_norm", LLAMA_QKV,
                                   .o = "self_attn.out_proj", .up = "fc1", .down = "fc2"};
static const ol_hf_names bloom = {.base = "transformer.", .embed = "word_embeddings",
                                  .embed_norm = "word_embeddings_layernorm", .final_norm = "ln_f", .layer = "h.%d.",
                                  .head = "lm_head", LLAMA_NORMS, .qkv = "self_attention.query_key_value",
                                  .o = "self_attention.dense", .up = "mlp.dense_h_to_4h", .down = "mlp.dense_4h_to_h"};
static const ol_hf_names falcon = {.base = "transformer.", .embed = "word_embeddings", .final_norm = "ln_f",
                                   .layer = "h.%d.", .head = "lm_head", LLAMA_NORMS,
                                   .qkv = "self_attention.query_key_value", .o = "self_attention.dense",
                                   .up = "mlp.dense_h_to_4h", .down = "mlp.dense_4h_to_h"};
/* The newer falcon layers name their two norms otherwise. */
static const ol_hf_names falcon_new = {.base = "transformer.", .embed = "word_embeddings", .final_norm = "ln_f",
                                       .layer = "h.%d.", .head = "lm_head", .attn_norm = "ln_attn", .mlp_norm = "ln_mlp",
                                       .qkv = "self_attention.query_key_value", .o = "self_attention.dense",
                                       .up = "mlp.dense_h_to_4h", .down = "mlp.dense_4h_to_h"};
static const ol_hf_names mpt = {.base = "transformer.", .embed = "wte", .final_norm = "norm_f", .layer = "blocks.%d.",
                                .head = "lm_head", .attn_norm = "norm_1", .mlp_norm = "norm_2", .qkv = "attn.Wqkv",
                                .o = "attn.out_proj", .up = "ffn.up_proj", .down = "ffn.down_proj"};

/* Families with recurrent layers. */
static const ol_hf_names mamba = {.base = "backbone.", .embed = "embeddings", .final_norm = "norm_f", .layer = "layers.%d.",
                                  .head = "lm_head", .attn_norm = "norm", .mixer = "mixer."};
static const ol_hf_names falcon_h1 = {LLAMA_BASE, .final_norm = "final_layernorm", .attn_norm = "input_layernorm",
                                      .mlp_norm = "pre_ff_layernorm", LLAMA_ATTN, .gate = "feed_forward.gate_proj",
                                      .up = "feed_forward.up_proj", .down = "feed_forward.down_proj", .mixer = "mamba."};
static const ol_hf_names granite_hybrid = {LLAMA_ROOT, LLAMA_NORMS, LLAMA_ATTN, .router = "block_sparse_moe.router.layer",
                                           .gate_up = "shared_mlp.input_linear", .down = "shared_mlp.output_linear",
                                           .e_all_gate_up = "block_sparse_moe.input_linear.weight",
                                           .e_all_down = "block_sparse_moe.output_linear.weight",
                                           .shared_gate_up = "shared_mlp.input_linear",
                                           .shared_down = "shared_mlp.output_linear", .mixer = "mamba."};
#define LFM2                                                                                       \
    LLAMA_BASE, .final_norm = "embedding_norm", .attn_norm = "operator_norm", .mlp_norm = "ffn_norm", LLAMA_QKV,       \
    .o = "self_attn.out_proj", .q_norm = "self_attn.q_layernorm", .k_norm = "self_attn.k_layernorm",                   \
    .gate = "feed_forward.w1", .up = "feed_forward.w3", .down = "feed_forward.w2", .mixer = "conv."
static const ol_hf_names lfm2 = {LFM2};
static const ol_hf_names lfm2_moe = {LFM2, .router = "feed_forward.gate", .router_bias = "feed_forward.expert_bias",
                                     .e_gate = "feed_forward.experts.%d.w1", .e_up = "feed_forward.experts.%d.w3",
                                     .e_down = "feed_forward.experts.%d.w2",
                                     .e_all_gate_up = "feed_forward.experts.gate_up_proj",
                                     .e_all_down = "feed_forward.experts.down_proj"};
static const ol_hf_names qwen_next = {LLAMA_ROOT, LLAMA_NORMS, LLAMA_ATTN, LLAMA_QK_NORM, LLAMA_MLP, .mixer = "linear_attn."};
static const ol_hf_names qwen_next_moe = {LLAMA_ROOT, LLAMA_NORMS, LLAMA_ATTN, LLAMA_QK_NORM, LLAMA_MLP, QWEN_EXPERTS,
                                          .shared_gate = "mlp.shared_expert.gate_proj",
                                          .shared_up = "mlp.shared_expert.up_proj",
                                          .shared_down = "mlp.shared_expert.down_proj",
                                          .shared_router = "mlp.shared_expert_gate", .mixer = "linear_attn."};
static const ol_hf_names rwkv = {.base = "rwkv.", .embed = "embeddings", .embed_norm = "blocks.0.pre_ln",
                                 .final_norm = "ln_out", .layer = "blocks.%d.", .head = "head", .attn_norm = "ln1",
                                 .mlp_norm = "ln2"};

/* ---- the few lines of some families ---- */

static olv_status gemma_adjust(ol_hf_config *c, const json_t *j, olv_error *err) {
    double scalar;
    c->embed_scale = sqrt((double)c->hidden);
    OL_TRY(ol_hf_real(j, "query_pre_attn_scalar", 1e-6, 1e9, (double)c->head_dim, &scalar, err));
    c->attn_scale = 1 / sqrt(scalar);
    return OLV_OK;
}

static olv_status gemma3_adjust(ol_hf_config *c, const json_t *j, olv_error *err) {
    c->qk_norm = OL_HF_QK_HEAD;
    c->attn_softcap = 0; /* a key of gemma2's that its successor keeps, and does not read */
    return gemma_adjust(c, j, err);
}

static olv_status minicpm_adjust(ol_hf_config *c, const json_t *j, olv_error *err) {
    double depth, base;
    OL_TRY(ol_hf_real(j, "scale_emb", 1e-9, 1e9, 1, &c->embed_scale, err));
    OL_TRY(ol_hf_real(j, "scale_depth", 1e-9, 1e9, 1, &depth, err));
    OL_TRY(ol_hf_real(j, "dim_model_base", 1e-9, 1e9, (double)c->hidden, &base, err));
    c->residual_scale = depth / sqrt((double)c->n_layers);
    c->logit_scale = base / (double)c->hidden;
    return OLV_OK;
}

static olv_status minicpm3_adjust(ol_hf_config *c, const json_t *j, olv_error *err) {
    OL_TRY(ol_hf_adjust_deepseek(c, j, err));
    c->position = OL_HF_ROPE;
    return minicpm_adjust(c, j, err);
}

static olv_status biogpt_adjust(ol_hf_config *c, const json_t *j, olv_error *err) {
    bool scaled;
    OL_TRY(ol_json_bool(j, "scale_embedding", true, &scaled, err));
    if (scaled) c->embed_scale = sqrt((double)c->hidden);
    c->eps = 1e-5; /* whatever layer_norm_eps says */
    return OLV_OK;
}

static olv_status cohere_adjust(ol_hf_config *c, const json_t *j, olv_error *err) {
    bool norm;
    OL_TRY(ol_hf_real(j, "logit_scale", 1e-9, 1e9, 0.0625, &c->logit_scale, err));
    OL_TRY(ol_json_bool(j, "use_qk_norm", false, &norm, err));
    c->qk_norm = norm ? OL_HF_QK_HEAD_EACH : OL_HF_QK_NONE;
    return OLV_OK;
}

static olv_status phi_adjust(ol_hf_config *c, const json_t *j, olv_error *err) {
    bool norm;
    OL_TRY(ol_json_bool(j, "qk_layernorm", false, &norm, err));
    c->qk_norm = norm ? OL_HF_QK_HEAD : OL_HF_QK_NONE;
    return OLV_OK;
}

static olv_status persimmon_adjust(ol_hf_config *c, const json_t *j, olv_error *err) {
    bool norm;
    OL_TRY(ol_json_bool(j, "qk_layernorm", true, &norm, err));
    c->qk_norm = norm ? OL_HF_QK_HEAD : OL_HF_QK_NONE;
    return OLV_OK;
}

static olv_status stablelm_adjust(ol_hf_config *c, const json_t *j, olv_error *err) {
    bool parallel, norm;
    OL_TRY(ol_json_bool(j, "use_parallel_residual", false, &parallel, err));
    OL_TRY(ol_json_bool(j, "qk_layernorm", false, &norm, err));
    if (norm) c->qk_norm = OL_HF_QK_HEAD_EACH;
    if (parallel) c->residual = OL_HF_PARALLEL;
    return ol_json_bool(j, "use_qkv_bias", false, &c->qkv_bias, err);
}

static olv_status neox_adjust(ol_hf_config *c, const json_t *j, olv_error *err) {
    bool parallel;
    OL_TRY(ol_json_bool(j, "use_parallel_residual", true, &parallel, err));
    if (!parallel) c->residual = OL_HF_SEQUENTIAL;
    c->n_kv_heads = c->n_heads;
    return OLV_OK;
}

static olv_status bloom_adjust(ol_hf_config *c, const json_t *j, olv_error *err) {
    bool after;
    OL_TRY(ol_json_bool(j, "apply_residual_connection_post_layernorm", false, &after, err));
    if (after) c->residual = OL_HF_FROM_NORM;
    return OLV_OK;
}

static olv_status opt_adjust(ol_hf_config *c, const json_t *j, olv_error *err) {
    static const char *const keys[] = {"word_embed_proj_dim", NULL};
    bool before;
    int64_t proj;
    OL_TRY(ol_json_bool(j, "do_layer_norm_before", true, &before, err));
    OL_TRY(ol_hf_int(j, keys, 1, INT32_MAX, c->hidden, false, &proj, err));
    if (proj != c->hidden)
        return ol_fail(err, OLV_UNSUPPORTED, "key 'word_embed_proj_dim': found %lld, expected hidden_size %lld",
                       (long long)proj, (long long)c->hidden);
    if (!before) c->residual = OL_HF_POST_NORM;
    return OLV_OK;
}

static olv_status gpt2_adjust(ol_hf_config *c, const json_t *j, olv_error *err) {
    bool scaled;
    OL_TRY(ol_json_bool(j, "scale_attn_weights", true, &scaled, err));
    if (!scaled) c->attn_scale = 1;
    return ol_json_bool(j, "scale_attn_by_inverse_layer_idx", false, &c->attn_scale_by_layer, err);
}

static olv_status bigcode_adjust(ol_hf_config *c, const json_t *j, olv_error *err) {
    bool multi_query;
    OL_TRY(ol_json_bool(j, "multi_query", true, &multi_query, err));
    c->n_kv_heads = multi_query ? 1 : c->n_heads;
    c->qkv = OL_HF_QKV_GROUPS; /* with one key head groups are plain concatenation */
    return gpt2_adjust(c, j, err);
}

/* attention_types: [[["global", "local"], 6]] */
static olv_status gpt_neo_adjust(ol_hf_config *c, const json_t *j, olv_error *err) {
    static const char *const keys[] = {"window_size", NULL};
    const json_t *types = json_object_get(j, "attention_types");
    int64_t window, at = 0;
    OL_TRY(ol_hf_int(j, keys, 1, INT32_MAX, 256, false, &window, err));
    c->attn_scale = 1;
    for (size_t i = 0; i < json_array_size(types); i++) {
        const json_t *pair = json_array_get(types, i), *kinds = json_array_get(pair, 0);
        json_int_t times = json_integer_value(json_array_get(pair, 1));
        for (json_int_t n = 0; n < times && at < c->n_layers && json_array_size(kinds); n++)
            for (size_t k = 0; k < json_array_size(kinds) && at < c->n_layers; k++) {
                const char *kind = json_string_value(json_array_get(kinds, k));
                c->layers[at++].window = kind && strcmp(kind, "local") == 0 ? window : 0;
            }
    }
    if (at < c->n_layers)
        return ol_fail(err, OLV_FORMAT, "key 'attention_types': found %lld layers, expected %lld", (long long)at,
                       (long long)c->n_layers);
    return OLV_OK;
}

static olv_status falcon_adjust(ol_hf_config *c, const json_t *j, olv_error *err) {
    static const char *const ln_keys[] = {"num_ln_in_parallel_attn", NULL};
    static const char *const kv_keys[] = {"num_kv_heads", NULL};
    bool alibi, parallel, newer, multi_query;
    int64_t norms;
    OL_TRY(ol_json_bool(j, "alibi", false, &alibi, err));
    OL_TRY(ol_json_bool(j, "parallel_attn", true, &parallel, err));
    OL_TRY(ol_json_bool(j, "new_decoder_architecture", false, &newer, err));
    OL_TRY(ol_json_bool(j, "multi_query", true, &multi_query, err));
    OL_TRY(ol_hf_int(j, ln_keys, 1, 2, newer ? 2 : 1, false, &norms, err));
    if (newer)
        OL_TRY(ol_hf_int(j, kv_keys, 1, c->n_heads, c->n_heads, false, &c->n_kv_heads, err));
    else
        c->n_kv_heads = multi_query ? 1 : c->n_heads;
    c->qkv = OL_HF_QKV_GROUPS;
    if (alibi) c->position = OL_HF_ALIBI;
    if (newer && norms == 2) {
        c->names = &falcon_new;
        c->residual = OL_HF_PARALLEL_TWO_NORMS;
    } else {
        c->residual = parallel || newer ? OL_HF_PARALLEL : OL_HF_SEQUENTIAL;
    }
    return ol_json_bool(j, "bias", false, &c->qkv_bias, err);
}

static olv_status mpt_adjust(ol_hf_config *c, const json_t *j, olv_error *err) {
    const json_t *a = json_object_get(j, "attn_config");
    bool alibi, qk_ln;
    double scale;
    if (a && !json_is_object(a)) return ol_fail(err, OLV_FORMAT, "key 'attn_config': expected an object");
    OL_TRY(ol_json_bool(a, "alibi", true, &alibi, err));
    OL_TRY(ol_json_bool(a, "qk_ln", false, &qk_ln, err));
    if (!alibi || qk_ln)
        return ol_fail(err, OLV_UNSUPPORTED, "key 'attn_config': expected alibi true and qk_ln false");
    OL_TRY(ol_hf_real(a, "alibi_bias_max", 1, 1e6, 8, &c->alibi_max, err));
    OL_TRY(ol_hf_real(a, "clip_qkv", 0, 1e9, 0, &c->clip_qkv, err));
    OL_TRY(ol_hf_real(a, "softmax_scale", 1e-9, 1e9, c->attn_scale, &scale, err));
    c->attn_scale = scale;
    static const char *const ratio[] = {"expansion_ratio", NULL};
    int64_t times;
    OL_TRY(ol_hf_int(j, ratio, 1, 1024, 4, false, &times, err));
    c->intermediate = times * c->hidden;
    return OLV_OK;
}

static olv_status olmoe_adjust(ol_hf_config *c, const json_t *j, olv_error *err) {
    c->moe.intermediate = c->intermediate;
    return ol_hf_adjust_olmo(c, j, err);
}

static olv_status qwen2_adjust(ol_hf_config *c, const json_t *j, olv_error *err) {
    (void)j;
    (void)err;
    c->qkv_bias = true;
    return OLV_OK;
}

static olv_status smollm3_adjust(ol_hf_config *c, const json_t *j, olv_error *err) {
    static const char *const keys[] = {"no_rope_layer_interval", NULL};
    const json_t *list = json_object_get(j, "no_rope_layers");
    int64_t every;
    OL_TRY(ol_hf_int(j, keys, 1, INT32_MAX, 4, false, &every, err));
    if (list && !json_is_null(list) && (!json_is_array(list) || json_array_size(list) != (size_t)c->n_layers))
        return ol_fail(err, OLV_FORMAT, "key 'no_rope_layers': expected a list of %lld numbers", (long long)c->n_layers);
    for (int64_t i = 0; i < c->n_layers; i++) {
        const json_t *v = json_array_get(list, (size_t)i);
        bool rope = v ? json_integer_value(v) != 0 : (i + 1) % every != 0;
        if (!rope) c->layers[i].rope = -1;
    }
    return OLV_OK;
}

static olv_status phimoe_adjust(ol_hf_config *c, const json_t *j, olv_error *err) {
    c->moe.intermediate = c->intermediate;
    return ol_hf_real(j, "router_jitter_noise", 0, 1, 0.01, &c->moe.jitter, err);
}

static olv_status mixtral_adjust(ol_hf_config *c, const json_t *j, olv_error *err) {
    (void)j;
    (void)err;
    c->moe.intermediate = c->intermediate;
    c->moe.normalize = true;
    return OLV_OK;
}

/* ---- the table, by name ---- */

#define RMS_GATED .norm = OL_HF_RMS, .gated = true, .act = "silu", .eps = 1e-6
#define LAYER_PLAIN_MLP .norm = OL_HF_LAYER, .eps = 1e-5
static const ol_hf_family families[] = {
    {.model_type = "afmoe", .names = &afmoe, .norm = OL_HF_RMS, .gated = true, .act = "silu", .eps = 1e-5, .untied = true,
     .qk_norm = OL_HF_QK_HEAD, .window = OL_HF_WINDOW_PATTERN, .rope_window_only = true, .router = OL_HF_ROUTE_SIGMOID,
     .adjust = ol_hf_adjust_afmoe},
    {.model_type = "apertus", .names = &apertus, .norm = OL_HF_RMS, .act = "xielu", .eps = 1e-5, .theta = 12000000,
     .untied = true, .qk_norm = OL_HF_QK_HEAD},
    {.model_type = "arcee", .names = &llama, .norm = OL_HF_RMS, .act = "relu2", .eps = 1e-5, .untied = true},
    {.model_type = "bamba", .names = &falcon_h1, .norm = OL_HF_RMS, .gated = true, .act = "silu", .eps = 1e-5, .untied = true,
     .partial = 0.5, .adjust = ol_hf_bamba_adjust},
    {.model_type = "biogpt", .names = &biogpt, .norm = OL_HF_LAYER, .eps = 1e-12, .position = OL_HF_LEARNED,
     .position_offset = 2, .act = "gelu", .adjust = biogpt_adjust},
    {.model_type = "bloom", .names = &bloom, LAYER_PLAIN_MLP, .adjust = bloom_adjust, .qkv = OL_HF_QKV_GROUPS, .position = OL_HF_ALIBI,
     .act = "gelu_pytorch_tanh", .ffn_factor = 4},
    {.model_type = "cohere", .names = &cohere, .norm = OL_HF_LAYER, .gated = true, .act = "silu", .eps = 1e-5,
     .residual = OL_HF_PARALLEL, .position = OL_HF_ROPE_INTERLEAVED, .qk_norm_layer = true, .adjust = cohere_adjust},
    {.model_type = "cohere2", .names = &cohere, .norm = OL_HF_LAYER, .gated = true, .act = "silu", .eps = 1e-5,
     .residual = OL_HF_PARALLEL, .position = OL_HF_ROPE_INTERLEAVED, .qk_norm_layer = true,
     .window = OL_HF_WINDOW_PATTERN, .rope_window_only = true, .adjust = cohere_adjust},
    {.model_type = "deepseek_v2", .names = &deepseek, RMS_GATED, .untied = true,
     .router = OL_HF_ROUTE_GROUPS_MAX, .adjust = ol_hf_adjust_deepseek},
    {.model_type = "deepseek_v3", .names = &deepseek, RMS_GATED, .untied = true, .router = OL_HF_ROUTE_SIGMOID,
     .adjust = ol_hf_adjust_deepseek},
    {.model_type = "cwm", .names = &llama, .norm = OL_HF_RMS, .gated = true, .act = "silu", .eps = 1e-5,
     .theta = 1000000, .untied = true, .window = OL_HF_WINDOW_PATTERN_FIRST},
    {.model_type = "dots1", .names = &glm_moe, RMS_GATED, .untied = true, .qk_norm = OL_HF_QK_HEAD,
     .window = OL_HF_WINDOW_FROM, .router = OL_HF_ROUTE_SIGMOID, .adjust = ol_hf_adjust_experts},
    {.model_type = "ernie4_5_moe", .names = &ernie_moe, .norm = OL_HF_RMS, .gated = true, .act = "silu", .eps = 1e-5,
     .position = OL_HF_ROPE_INTERLEAVED, .theta = 500000, .adjust = ol_hf_adjust_ernie_moe},
    {.model_type = "exaone_moe", .names = &exaone_moe, .norm = OL_HF_RMS, .gated = true, .act = "silu", .eps = 1e-5,
     .untied = true, .qk_norm = OL_HF_QK_HEAD, .window = OL_HF_WINDOW_PATTERN, .router = OL_HF_ROUTE_SIGMOID,
     .adjust = ol_hf_adjust_exaone_moe},
    {.model_type = "flex_olmo", .names = &flex_olmo, RMS_GATED, .theta = 500000, .untied = true,
     .qk_norm = OL_HF_QK_ROW, .adjust = ol_hf_adjust_flex_olmo},
    {.model_type = "glm4_moe", .names = &glm_moe, .norm = OL_HF_RMS, .gated = true, .act = "silu", .eps = 1e-5,
     .partial = 0.5, .untied = true, .router = OL_HF_ROUTE_SIGMOID, .adjust = ol_hf_adjust_glm_moe},
    {.model_type = "glm4_moe_lite", .names = &deepseek, .norm = OL_HF_RMS, .gated = true, .act = "silu", .eps = 1e-5,
     .untied = true, .router = OL_HF_ROUTE_SIGMOID, .adjust = ol_hf_adjust_deepseek},
    {.model_type = "gpt_oss", .names = &gpt_oss, .norm = OL_HF_RMS, .gated = true, .act = "silu", .eps = 1e-5,
     .theta = 150000, .untied = true, .window = OL_HF_WINDOW_ALTERNATE, .router = OL_HF_ROUTE_TOPK_SOFTMAX,
     .experts_turned = true, .adjust = ol_hf_adjust_gpt_oss},
    {.model_type = "granite_swa", .names = &granite_swa, RMS_GATED, .untied = true,
     .window = OL_HF_WINDOW_PATTERN_FIRST, .adjust = ol_hf_adjust_granite},
    {.model_type = "granitemoe_swa", .names = &granitemoe_swa, RMS_GATED, .untied = true,
     .window = OL_HF_WINDOW_PATTERN_FIRST, .router = OL_HF_ROUTE_TOPK_SOFTMAX, .adjust = ol_hf_adjust_granite_moe},
    {.model_type = "granitemoeshared", .names = &granitemoeshared, RMS_GATED, .untied = true,
     .router = OL_HF_ROUTE_TOPK_SOFTMAX, .adjust = ol_hf_adjust_granite_moe},
    {.model_type = "hunyuan_v1_dense", .names = &hunyuan, .norm = OL_HF_RMS, .gated = true, .act = "silu", .eps = 1e-5,
     .untied = true, .qk_norm = OL_HF_QK_HEAD_AFTER},
    {.model_type = "hunyuan_v1_moe", .names = &hunyuan_moe, .norm = OL_HF_RMS, .gated = true, .act = "silu",
     .eps = 1e-5, .untied = true, .qk_norm = OL_HF_QK_HEAD_AFTER, .adjust = ol_hf_adjust_hunyuan_moe},
    {.model_type = "hy_v3", .names = &hy_v3, .norm = OL_HF_RMS, .gated = true, .act = "silu", .eps = 1e-5,
     .theta = 11158840, .untied = true, .qk_norm = OL_HF_QK_HEAD, .router = OL_HF_ROUTE_SIGMOID,
     .adjust = ol_hf_adjust_experts},
    {.model_type = "hyperclovax", .names = &hyperclovax, RMS_GATED, .untied = true, .adjust = ol_hf_adjust_hyperclovax},
    {.model_type = "iquestcoder", .names = &llama, .norm = OL_HF_RMS, .gated = true, .act = "silu", .eps = 1e-5,
     .untied = true},
    {.model_type = "jais2", .names = &jais2, LAYER_PLAIN_MLP, .act = "relu2", .theta = 500000, .untied = true},
    {.model_type = "kolibri1", .names = &kolibri1, RMS_GATED, .untied = true, .qk_norm = OL_HF_QK_HEAD,
     .window = OL_HF_WINDOW_PATTERN, .router = OL_HF_ROUTE_TOPK_SIGMOID, .adjust = ol_hf_adjust_exaone},
    {.model_type = "mellum", .names = &qwen_moe, RMS_GATED, .theta = 500000, .untied = true,
     .qk_norm = OL_HF_QK_HEAD, .window = OL_HF_WINDOW_PATTERN},
    {.model_type = "minimax_m2", .names = &minimax, RMS_GATED, .theta = 5000000, .untied = true,
     .qk_norm = OL_HF_QK_ROW, .router = OL_HF_ROUTE_SIGMOID, .adjust = ol_hf_adjust_minimax},
    {.model_type = "ministral3", .names = &llama, .norm = OL_HF_RMS, .gated = true, .act = "silu", .eps = 1e-5,
     .untied = true, .window = OL_HF_WINDOW_ALL, .adjust = ol_hf_adjust_ministral3},
    {.model_type = "nanochat", .names = &nanochat, .norm = OL_HF_RMS_PLAIN, .act = "relu2", .eps = 1e-6,
     .untied = true, .qk_norm = OL_HF_QK_HEAD_AFTER, .rope_backwards = true},
    {.model_type = "sarvam_mla", .names = &deepseek, RMS_GATED, .untied = true, .router = OL_HF_ROUTE_SIGMOID,
     .adjust = ol_hf_adjust_deepseek},
    {.model_type = "sarvam_moe", .names = &sarvam_moe, RMS_GATED, .theta = 8000000, .untied = true,
     .qk_norm = OL_HF_QK_HEAD, .router = OL_HF_ROUTE_SIGMOID, .adjust = ol_hf_adjust_glm_moe},
    {.model_type = "solar_open", .names = &glm_moe, .norm = OL_HF_RMS, .gated = true, .act = "silu", .eps = 1e-5,
     .theta = 1000000, .untied = true, .router = OL_HF_ROUTE_SIGMOID, .adjust = ol_hf_adjust_experts},
    {.model_type = "vaultgemma", .names = &vaultgemma, .norm = OL_HF_RMS_PLUS_ONE, .gated = true,
     .act = "gelu_pytorch_tanh", .eps = 1e-6, .window = OL_HF_WINDOW_ALTERNATE, .adjust = gemma_adjust},
    {.model_type = "youtu", .names = &youtu, RMS_GATED, .adjust = ol_hf_adjust_deepseek},
    {.model_type = "ernie4_5", .names = &llama, RMS_GATED, .position = OL_HF_ROPE_INTERLEAVED, .theta = 500000},
    {.model_type = "exaone", .names = &exaone, RMS_GATED, .untied = true},
    {.model_type = "exaone4", .names = &olmo2, RMS_GATED, .untied = true, .qk_norm = OL_HF_QK_HEAD,
     .window = OL_HF_WINDOW_PATTERN, .adjust = ol_hf_adjust_exaone},
    {.model_type = "falcon", .names = &falcon, LAYER_PLAIN_MLP, .act = "gelu", .ffn_factor = 4, .adjust = falcon_adjust},
    {.model_type = "falcon_h1", .names = &falcon_h1, .norm = OL_HF_RMS, .gated = true, .act = "silu", .eps = 1e-5,
     .untied = true, .adjust = ol_hf_falcon_h1_adjust},
    {.model_type = "falcon_mamba", .names = &mamba, .norm = OL_HF_RMS, .position = OL_HF_NO_POSITION, .act = "silu",
     .eps = 1e-5, .ffn_factor = 2, .adjust = ol_hf_mamba_adjust},
    {.model_type = "gemma", .names = &llama, .norm = OL_HF_RMS_PLUS_ONE, .gated = true, .act = "gelu_pytorch_tanh",
     .eps = 1e-6, .adjust = gemma_adjust},
    {.model_type = "gemma2", .names = &gemma2, .norm = OL_HF_RMS_PLUS_ONE, .gated = true, .act = "gelu_pytorch_tanh",
     .eps = 1e-6, .window = OL_HF_WINDOW_ALTERNATE, .adjust = gemma_adjust},
    {.model_type = "gemma3_text", .names = &gemma2, .norm = OL_HF_RMS_PLUS_ONE, .gated = true,
     .act = "gelu_pytorch_tanh", .eps = 1e-6, .window = OL_HF_WINDOW_PATTERN, .theta = 1000000,
     .adjust = gemma3_adjust},
    {.model_type = "gemma3n_text", .names = &llama, .norm = OL_HF_RMS, .gated = true, .act = "gelu_pytorch_tanh", .eps = 1e-6,
     .window = OL_HF_WINDOW_PATTERN, .theta = 1000000, .layers = ol_hf_gemma3n, .adjust = ol_hf_adjust_gemma3n},
    {.model_type = "glm", .names = &llama, RMS_GATED, .untied = true, .position = OL_HF_ROPE_INTERLEAVED, .partial = 0.5},
    {.model_type = "glm4", .names = &glm4, RMS_GATED, .untied = true, .position = OL_HF_ROPE_INTERLEAVED,
     .partial = 0.5},
    {.model_type = "gpt2", .names = &gpt2, LAYER_PLAIN_MLP, .position = OL_HF_LEARNED, .conv1d = true,
     .act = "gelu_new", .ffn_factor = 4, .adjust = gpt2_adjust},
    {.model_type = "gpt_bigcode", .names = &gpt2, LAYER_PLAIN_MLP, .position = OL_HF_LEARNED,
     .act = "gelu_pytorch_tanh", .ffn_factor = 4, .adjust = bigcode_adjust},
    {.model_type = "gpt_neo", .names = &gpt_neo, LAYER_PLAIN_MLP, .position = OL_HF_LEARNED, .act = "gelu_new",
     .ffn_factor = 4, .adjust = gpt_neo_adjust},
    {.model_type = "gpt_neox", .names = &gpt_neox, LAYER_PLAIN_MLP, .residual = OL_HF_PARALLEL_TWO_NORMS,
     .qkv = OL_HF_QKV_GROUPS, .act = "gelu", .partial = 0.25, .untied = true, .adjust = neox_adjust},
    {.model_type = "gptj", .names = &gptj, LAYER_PLAIN_MLP, .residual = OL_HF_PARALLEL,
     .position = OL_HF_ROPE_INTERLEAVED, .act = "gelu_new", .ffn_factor = 4, .untied = true},
    {.model_type = "granite", .names = &llama, RMS_GATED, .untied = true, .adjust = ol_hf_adjust_granite},
    {.model_type = "granitemoe", .names = &granitemoe, RMS_GATED, .untied = true, .router = OL_HF_ROUTE_TOPK_SOFTMAX,
     .adjust = ol_hf_adjust_granite_moe},
    {.model_type = "granitemoehybrid", .names = &granite_hybrid, RMS_GATED, .untied = true,
     .router = OL_HF_ROUTE_TOPK_SOFTMAX, .adjust = ol_hf_granite_hybrid_adjust},
    {.model_type = "helium", .names = &llama, RMS_GATED, .position = OL_HF_ROPE_INTERLEAVED, .theta = 100000,
     .untied = true},
    {.model_type = "internlm2", .names = &internlm2, RMS_GATED, .qkv = OL_HF_QKV_GROUPS, .untied = true},
    {.model_type = "internlm3", .names = &llama, RMS_GATED, .untied = true},
    {.model_type = "lfm2", .names = &lfm2, .norm = OL_HF_RMS, .gated = true, .act = "silu", .eps = 1e-5, .theta = 1000000,
     .qk_norm = OL_HF_QK_HEAD, .adjust = ol_hf_lfm2_adjust},
    {.model_type = "lfm2_moe", .names = &lfm2_moe, .norm = OL_HF_RMS, .gated = true, .act = "silu", .eps = 1e-5,
     .theta = 1000000, .qk_norm = OL_HF_QK_HEAD, .router = OL_HF_ROUTE_SIGMOID, .adjust = ol_hf_lfm2_moe_adjust},
    {.model_type = "llama", .names = &llama, RMS_GATED, .untied = true},
    {.model_type = "mamba", .names = &mamba, .norm = OL_HF_RMS, .position = OL_HF_NO_POSITION, .act = "silu", .eps = 1e-5,
     .ffn_factor = 2, .adjust = ol_hf_mamba_adjust},
    {.model_type = "mamba2", .names = &mamba, .norm = OL_HF_RMS, .position = OL_HF_NO_POSITION, .act = "silu", .eps = 1e-5,
     .untied = true, .ffn_factor = 2, .adjust = ol_hf_mamba2_adjust},
    {.model_type = "minicpm", .names = &llama, RMS_GATED, .adjust = minicpm_adjust},
    {.model_type = "minicpm3", .names = &youtu, .norm = OL_HF_RMS, .gated = true, .act = "silu", .eps = 1e-6,
     .adjust = minicpm3_adjust},
    {.model_type = "ministral", .names = &llama, RMS_GATED, .untied = true, .window = OL_HF_WINDOW_PATTERN},
    {.model_type = "mistral", .names = &llama, RMS_GATED, .untied = true, .window = OL_HF_WINDOW_ALL},
    {.model_type = "mixtral", .names = &mixtral, .norm = OL_HF_RMS, .gated = true, .act = "silu", .eps = 1e-5,
     .untied = true, .window = OL_HF_WINDOW_ALL, .theta = 1000000, .adjust = mixtral_adjust},
    {.model_type = "mpt", .names = &mpt, LAYER_PLAIN_MLP, .position = OL_HF_ALIBI, .act = "gelu", .ffn_factor = 4,
     .adjust = mpt_adjust},
    {.model_type = "nemotron", .names = &llama, .norm = OL_HF_LAYER_PLUS_ONE, .act = "relu2", .eps = 1e-5,
     .partial = 0.5, .untied = true},
    {.model_type = "olmo", .names = &llama, .norm = OL_HF_LAYER_PLAIN, .gated = true, .act = "silu", .eps = 1e-5,
     .untied = true, .adjust = ol_hf_adjust_olmo},
    {.model_type = "olmo2", .names = &olmo2, .norm = OL_HF_RMS, .gated = true, .act = "silu", .eps = 1e-5,
     .untied = true, .qk_norm = OL_HF_QK_ROW},
    {.model_type = "olmo3", .names = &olmo2, .norm = OL_HF_RMS, .gated = true, .act = "silu", .eps = 1e-5,
     .untied = true, .qk_norm = OL_HF_QK_ROW, .window = OL_HF_WINDOW_PATTERN, .rope_scaled_full_only = true},
    {.model_type = "olmoe", .names = &qwen_moe, .norm = OL_HF_RMS, .gated = true, .act = "silu", .eps = 1e-5,
     .untied = true, .qk_norm = OL_HF_QK_ROW, .adjust = olmoe_adjust},
    {.model_type = "opt", .names = &opt, LAYER_PLAIN_MLP, .position = OL_HF_LEARNED, .position_offset = 2, .act = "relu",
     .adjust = opt_adjust},
    {.model_type = "persimmon", .names = &persimmon, LAYER_PLAIN_MLP, .qkv = OL_HF_QKV_GROUPS, .act = "relu2",
     .partial = 0.5, .theta = 25000, .untied = true, .qk_norm_layer = true, .adjust = persimmon_adjust},
    {.model_type = "phi", .names = &phi, LAYER_PLAIN_MLP, .residual = OL_HF_PARALLEL, .act = "gelu_new", .partial = 0.5,
     .untied = true, .qk_norm_layer = true, .adjust = phi_adjust},
    {.model_type = "phi3", .names = &llama, .norm = OL_HF_RMS, .gated = true, .act = "silu", .eps = 1e-5,
     .untied = true, .window = OL_HF_WINDOW_ALL},
    {.model_type = "phimoe", .names = &mixtral, .norm = OL_HF_LAYER, .gated = true, .act = "silu", .eps = 1e-5,
     .untied = true, .window = OL_HF_WINDOW_ALL, .theta = 1000000, .router = OL_HF_ROUTE_SPARSEMIXER,
     .adjust = phimoe_adjust},
    {.model_type = "qwen2", .names = &llama, RMS_GATED, .untied = true, .window = OL_HF_WINDOW_QWEN,
     .adjust = qwen2_adjust},
    {.model_type = "qwen2_moe", .names = &qwen_moe, RMS_GATED, .untied = true, .window = OL_HF_WINDOW_QWEN,
     .adjust = qwen2_adjust},
    {.model_type = "qwen3", .names = &llama, RMS_GATED, .untied = true, .qk_norm = OL_HF_QK_HEAD,
     .window = OL_HF_WINDOW_QWEN},
    {.model_type = "qwen3_moe", .names = &qwen_moe, RMS_GATED, .untied = true, .qk_norm = OL_HF_QK_HEAD,
     .window = OL_HF_WINDOW_QWEN},
    {.model_type = "qwen3_5_moe_text", .names = &qwen_next_moe, .norm = OL_HF_RMS_PLUS_ONE, .gated = true, .act = "silu",
     .eps = 1e-6, .untied = true, .partial = 0.25, .qk_norm = OL_HF_QK_HEAD, .ffn_factor = 1, .adjust = ol_hf_qwen_next_adjust},
    {.model_type = "qwen3_5_text", .names = &qwen_next, .norm = OL_HF_RMS_PLUS_ONE, .gated = true, .act = "silu",
     .eps = 1e-6, .untied = true, .partial = 0.25, .qk_norm = OL_HF_QK_HEAD, .adjust = ol_hf_qwen_next_adjust},
    {.model_type = "qwen3_next", .names = &qwen_next_moe, .norm = OL_HF_RMS_PLUS_ONE, .gated = true, .act = "silu",
     .eps = 1e-6, .untied = true, .partial = 0.25, .qk_norm = OL_HF_QK_HEAD, .adjust = ol_hf_qwen_next_adjust},
    {.model_type = "rwkv", .names = &rwkv, .norm = OL_HF_LAYER, .position = OL_HF_NO_POSITION, .act = "silu", .eps = 1e-5,
     .untied = true, .ffn_factor = 4, .adjust = ol_hf_rwkv_adjust},
    {.model_type = "seed_oss", .names = &llama, RMS_GATED, .untied = true},
    {.model_type = "smollm3", .names = &llama, RMS_GATED, .theta = 2000000, .window = OL_HF_WINDOW_QWEN,
     .adjust = smollm3_adjust},
    {.model_type = "stablelm", .names = &stablelm, .qk_norm_layer = true, .norm = OL_HF_LAYER, .gated = true, .act = "silu", .eps = 1e-5,
     .partial = 0.25, .untied = true, .adjust = stablelm_adjust},
    {.model_type = "starcoder2", .names = &starcoder2, LAYER_PLAIN_MLP, .act = "gelu_pytorch_tanh",
     .window = OL_HF_WINDOW_ALL},
};

const ol_hf_family *ol_hf_families(size_t *count) {
    *count = sizeof families / sizeof families[0];
    return families;
}

const ol_hf_family *ol_hf_family_find(const char *model_type) {
    for (size_t i = 0; i < sizeof families / sizeof families[0]; i++)
        if (strcmp(families[i].model_type, model_type) == 0) return &families[i];
    return ol_hf_encoder_family_find(model_type);
}

void ol_hf_family_list(ol_buf *out) {
    for (size_t i = 0; i < sizeof families / sizeof families[0]; i++)
        ol_buf_printf(out, "%s%s", i ? ", " : "", families[i].model_type);
    ol_hf_encoder_family_list(out);
}
