/* SPDX-License-Identifier: Apache-2.0 */
/* The table of encoder families. Names and defaults are those of the families' own configurations. */
#include "formats/huggingface/encoder.h"

#include "base/error.h"

#include <inttypes.h>

/* ---- where the tensors are ---- */

#define BERT_TABLES                                                                                \
    .embed = "embeddings.word_embeddings", .positions = "embeddings.position_embeddings",          \
    .embed_norm = "embeddings.LayerNorm"
#define BERT_LAYER                                                                                 \
    .layer = "encoder.layer.%d.", .q = "attention.self.query", .k = "attention.self.key",          \
    .v = "attention.self.value", .o = "attention.output.dense", .attn_norm = "attention.output.LayerNorm", \
    .up = "intermediate.dense", .down = "output.dense", .mlp_norm = "output.LayerNorm"
#define BERT_TYPES .types = "embeddings.token_type_embeddings"

static const ol_hf_names bert = {.base = "bert.", BERT_TABLES, BERT_LAYER};
static const ol_hf_names roberta = {.base = "roberta.", BERT_TABLES, BERT_LAYER};
static const ol_hf_names electra = {.base = "electra.", BERT_TABLES, BERT_LAYER};
static const ol_hf_names mpnet = {.base = "mpnet.", BERT_TABLES, .layer = "encoder.layer.%d.", .q = "attention.attn.q",
                                  .k = "attention.attn.k", .v = "attention.attn.v", .o = "attention.attn.o",
                                  .attn_norm = "attention.LayerNorm", .up = "intermediate.dense",
                                  .down = "output.dense", .mlp_norm = "output.LayerNorm"};
static const ol_hf_names distilbert = {.base = "distilbert.", BERT_TABLES, .layer = "transformer.layer.%d.",
                                       .q = "attention.q_lin", .k = "attention.k_lin", .v = "attention.v_lin",
                                       .o = "attention.out_lin", .attn_norm = "sa_layer_norm", .up = "ffn.lin1",
                                       .down = "ffn.lin2", .mlp_norm = "output_layer_norm"};
static const ol_hf_names albert = {.base = "albert.", BERT_TABLES,
                                   .layer = "encoder.albert_layer_groups.0.albert_layers.0.", .q = "attention.query",
                                   .k = "attention.key", .v = "attention.value", .o = "attention.dense",
                                   .attn_norm = "attention.LayerNorm", .up = "ffn", .down = "ffn_output",
                                   .mlp_norm = "full_layer_layer_norm"};
static const ol_hf_names modernbert = {.base = "model.", .embed = "embeddings.tok_embeddings",
                                       .embed_norm = "embeddings.norm", .final_norm = "final_norm",
                                       .layer = "layers.%d.", .attn_norm = "attn_norm", .qkv = "attn.Wqkv",
                                       .o = "attn.Wo", .mlp_norm = "mlp_norm", .gate_up = "mlp.Wi", .down = "mlp.Wo"};
static const ol_hf_names nomic = {.base = "bert.", .embed = "embeddings.word_embeddings", .embed_norm = "emb_ln",
                                  .layer = "encoder.layers.%d.", .qkv = "attn.Wqkv", .o = "attn.out_proj",
                                  .attn_norm = "norm1", .gate = "mlp.fc12", .up = "mlp.fc11", .down = "mlp.fc2",
                                  .mlp_norm = "norm2"};
static const ol_hf_names gte = {.base = "new.", .embed = "embeddings.word_embeddings",
                                .embed_norm = "embeddings.LayerNorm", .layer = "encoder.layer.%d.",
                                .qkv = "attention.qkv_proj", .o = "attention.o_proj", .attn_norm = "attn_ln",
                                .gate_up = "mlp.up_gate_proj", .down = "mlp.down_proj", .mlp_norm = "mlp_ln"};

#define POOLER .dense = "pooler.dense", .act = OL_HF_TANH, .out = "classifier"
#define DENSE_OUT .dense = "classifier.dense", .out = "classifier.out_proj"

static const ol_hf_encoder bert_encoder = {BERT_TYPES, POOLER};
static const ol_hf_encoder roberta_encoder = {BERT_TYPES, .after_padding = true, DENSE_OUT, .act = OL_HF_TANH};
static const ol_hf_encoder electra_encoder = {BERT_TYPES, .project = "embeddings_project", DENSE_OUT, .act = OL_HF_GELU};
static const ol_hf_encoder mpnet_encoder = {.relative = "encoder.relative_attention_bias", .after_padding = true,
                                            DENSE_OUT, .act = OL_HF_TANH};
static const ol_hf_encoder distilbert_encoder = {.dense = "pre_classifier", .act = OL_HF_RELU, .out = "classifier"};
static const ol_hf_encoder albert_encoder = {BERT_TYPES, .project = "encoder.embedding_hidden_mapping_in",
                                             .dense = "pooler", .act = OL_HF_TANH, .out = "classifier"};
static const ol_hf_encoder modernbert_encoder = {.dense = "head.dense", .act = OL_HF_GELU, .norm = "head.norm",
                                                 .out = "classifier"};
static const ol_hf_encoder nomic_encoder = {BERT_TYPES, POOLER, .other_base = "nomic_bert."};
static const ol_hf_encoder gte_encoder = {BERT_TYPES, POOLER, .other_base = "gte."};

/* ---- the few lines of some families ---- */

olv_status ol_hf_encoder_config(const json_t *j, ol_hf_config *c, olv_error *err) {
    static const char *const width[] = {"embedding_size", NULL}, *const types[] = {"type_vocab_size", NULL};
    static const char *const pad[] = {"pad_token_id", NULL};
    const ol_hf_encoder *e = c->family->encoder;
    bool decoder;
    const char *kind;
    OL_TRY(ol_hf_int(j, width, 1, 1 << 22, c->hidden, false, &c->embed_width, err));
    OL_TRY(ol_hf_int(j, types, 0, 1 << 16, e->types ? 2 : 0, false, &c->n_types, err));
    OL_TRY(ol_hf_int(j, pad, 0, 1 << 16, 1, false, &c->pad, err));
    OL_TRY(ol_json_bool(j, "is_decoder", false, &decoder, err));
    OL_TRY(ol_json_string(j, "position_embedding_type", "absolute", &kind, err));
    if (!e->project) c->embed_width = c->hidden;
    if (!e->types) c->n_types = 0;
    if (decoder) return ol_fail(err, OLV_UNSUPPORTED, "key 'is_decoder': found true, expected an encoder");
    if (c->position == OL_HF_LEARNED && strcmp(kind, "absolute") != 0)
        return ol_fail(err, OLV_UNSUPPORTED, "key 'position_embedding_type': found '%.40s', expected absolute", kind);
    if (!e->after_padding) return OLV_OK;
    if (c->context <= c->pad + 1)
        return ol_fail(err, OLV_FORMAT, "key 'max_position_embeddings': found %" PRId64 ", expected more than "
                       "pad_token_id + 1, %" PRId64, c->context, c->pad + 1);
    c->context -= c->pad + 1;
    return OLV_OK;
}

static olv_status albert_adjust(ol_hf_config *c, const json_t *j, olv_error *err) {
    static const char *const groups[] = {"num_hidden_groups", NULL}, *const inner[] = {"inner_group_num", NULL};
    int64_t n, per;
    (void)c;
    OL_TRY(ol_hf_int(j, groups, 1, 4096, 1, false, &n, err));
    OL_TRY(ol_hf_int(j, inner, 1, 4096, 1, false, &per, err));
    return n == 1 && per == 1 ? OLV_OK
                              : ol_fail(err, OLV_UNSUPPORTED, "num_hidden_groups %" PRId64 " and inner_group_num %" PRId64
                                        ", expected 1 and 1", n, per);
}

static bool is_sliding(const json_t *types, int64_t layer, int64_t every) {
    const char *t = json_string_value(json_array_get(types, (size_t)layer));
    return t ? strcmp(t, "sliding_attention") == 0 : layer % every != 0;
}

static olv_status modernbert_adjust(ol_hf_config *c, const json_t *j, olv_error *err) {
    static const char *const every_keys[] = {"global_attn_every_n_layers", NULL}, *const local[] = {"local_attention", NULL};
    int64_t every, window;
    const char *pooling;
    OL_TRY(ol_hf_int(j, every_keys, 1, 4096, 3, false, &every, err));
    OL_TRY(ol_hf_int(j, local, 1, INT32_MAX, 128, false, &window, err));
    OL_TRY(ol_json_string(j, "classifier_pooling", "cls", &pooling, err));
    c->classify_mean = strcmp(pooling, "mean") == 0;
    for (int64_t i = 0; i < c->n_layers; i++) {
        c->layers[i].sliding = is_sliding(json_object_get(j, "layer_types"), i, every);
        c->layers[i].window = c->layers[i].sliding ? window / 2 + 1 : 0;
    }
    return OLV_OK;
}

/* The published configurations have features switched off that no published model uses. */
static olv_status nomic_adjust(ol_hf_config *c, const json_t *j, olv_error *err) {
    bool prenorm;
    double fraction;
    OL_TRY(ol_json_bool(j, "prenorm", false, &prenorm, err));
    OL_TRY(ol_hf_real(j, "rotary_emb_fraction", 0, 1, 1, &fraction, err));
    (void)c;
    return !prenorm && fraction == 1 ? OLV_OK : ol_fail(err, OLV_UNSUPPORTED, "prenorm or a rotary_emb_fraction below 1");
}

/* ---- the table ---- */

#define POST .norm = OL_HF_LAYER, .residual = OL_HF_POST_NORM, .eps = 1e-12
#define POST_LEARNED POST, .position = OL_HF_LEARNED, .act = "gelu"

static const ol_hf_family families[] = {
    {.model_type = "albert", .names = &albert, POST_LEARNED, .encoder = &albert_encoder, .adjust = albert_adjust},
    {.model_type = "bert", .names = &bert, POST_LEARNED, .encoder = &bert_encoder},
    {.model_type = "camembert", .names = &roberta, POST_LEARNED, .encoder = &roberta_encoder},
    {.model_type = "distilbert", .names = &distilbert, POST_LEARNED, .encoder = &distilbert_encoder},
    {.model_type = "electra", .names = &electra, POST_LEARNED, .encoder = &electra_encoder},
    {.model_type = "gte", .names = &gte, POST, .position = OL_HF_ROPE, .act = "gelu", .gated = true, .up_first = true,
     .theta = 160000, .encoder = &gte_encoder},
    {.model_type = "modernbert", .names = &modernbert, .norm = OL_HF_LAYER, .eps = 1e-5, .act = "gelu", .gated = true,
     .theta = 160000, .encoder = &modernbert_encoder, .adjust = modernbert_adjust},
    {.model_type = "mpnet", .names = &mpnet, POST_LEARNED, .encoder = &mpnet_encoder},
    {.model_type = "nomic_bert", .names = &nomic, POST, .position = OL_HF_ROPE, .act = "silu", .gated = true,
     .theta = 1000, .encoder = &nomic_encoder, .adjust = nomic_adjust},
    {.model_type = "roberta", .names = &roberta, POST_LEARNED, .encoder = &roberta_encoder},
    {.model_type = "xlm-roberta", .names = &roberta, POST_LEARNED, .encoder = &roberta_encoder},
};
#define N_FAMILIES (sizeof families / sizeof families[0])

const ol_hf_family *ol_hf_encoder_families(size_t *count) {
    *count = N_FAMILIES;
    return families;
}

const ol_hf_family *ol_hf_encoder_family_find(const char *model_type) {
    for (size_t i = 0; i < N_FAMILIES; i++)
        if (strcmp(families[i].model_type, model_type) == 0) return &families[i];
    return NULL;
}

void ol_hf_encoder_family_list(ol_buf *out) {
    for (size_t i = 0; i < N_FAMILIES; i++) ol_buf_printf(out, ", %s", families[i].model_type);
}
