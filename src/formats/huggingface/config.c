/* SPDX-License-Identifier: Apache-2.0 */
#include "formats/huggingface/config.h"

#include "base/error.h"
#include "formats/huggingface/quantized.h"

#include <inttypes.h>
#include <math.h>

#define MAX_LAYERS 4096
#define MAX_HEADS 65536
#define MAX_WIDTH (1 << 22) /* hidden and intermediate sizes */
#define MAX_VOCAB (1 << 28)

static bool present(const json_t *j, const char *key) {
    const json_t *v = json_object_get(j, key);
    return v && !json_is_null(v);
}

olv_status ol_hf_int(const json_t *j, const char *const *keys, int64_t min, int64_t max, int64_t def, bool required,
                     int64_t *out, olv_error *err) {
    for (const char *const *k = keys; *k; k++)
        if (present(j, *k)) return ol_json_int(j, *k, min, max, def, out, err);
    if (required)
        return ol_fail(err, OLV_FORMAT, "key '%s': missing, expected an integer from %" PRId64 " to %" PRId64, keys[0],
                       min, max);
    *out = def;
    return OLV_OK;
}

olv_status ol_hf_real(const json_t *j, const char *key, double min, double max, double def, double *out,
                      olv_error *err) {
    double v;
    if (!present(j, key)) {
        *out = def;
        return OLV_OK;
    }
    OL_TRY(ol_json_real(j, key, def, &v, err));
    if (!(v >= min && v <= max))
        return ol_fail(err, OLV_FORMAT, "key '%s': found %g, expected a number from %g to %g", key, v, min, max);
    *out = v;
    return OLV_OK;
}

olv_status ol_hf_act_parse(const char *name, ol_hf_act *out, olv_error *err) {
    static const struct {
        const char *name;
        ol_hf_act act;
    } acts[] = {
        {"silu", OL_HF_SILU}, {"swish", OL_HF_SILU}, {"swiglu", OL_HF_SILU}, {"gelu", OL_HF_GELU}, {"gelu_python", OL_HF_GELU},
        {"gelu_new", OL_HF_GELU_TANH}, {"gelu_pytorch_tanh", OL_HF_GELU_TANH}, {"gelu_fast", OL_HF_GELU_TANH},
        {"gelu_tanh", OL_HF_GELU_TANH}, {"quick_gelu", OL_HF_QUICK_GELU}, {"relu", OL_HF_RELU},
        {"relu2", OL_HF_RELU2}, {"relu_squared", OL_HF_RELU2}, {"tanh", OL_HF_TANH}, {"sigmoid", OL_HF_SIGMOID},
        {"xielu", OL_HF_XIELU},
    };
    for (size_t i = 0; i < sizeof acts / sizeof acts[0]; i++) {
        if (strcmp(name, acts[i].name) == 0) {
            *out = acts[i].act;
            return OLV_OK;
        }
    }
    return ol_fail(err, OLV_UNSUPPORTED,
                   "key 'hidden_act': found '%.40s', expected silu, gelu, gelu_new, gelu_pytorch_tanh, quick_gelu, relu, "
                   "relu2, tanh, sigmoid or xielu", name);
}

static olv_status read_act(const json_t *j, ol_hf_config *c, olv_error *err) {
    static const char *const keys[] = {"hidden_activation", "hidden_act", "activation_function", "activation",
                                       "mlp_hidden_act"};
    const char *name = NULL;
    for (size_t i = 0; !name && i < sizeof keys / sizeof keys[0]; i++)
        OL_TRY(ol_json_string(j, keys[i], NULL, &name, err));
    return ol_hf_act_parse(name ? name : c->family->act, &c->act, err);
}

/* An integer of one of the keys, or a list in which it is repeated for every layer. */
static olv_status int_or_list(const json_t *j, const char *const *keys, int64_t min, int64_t max, int64_t *out,
                              olv_error *err) {
    for (const char *const *k = keys; *k; k++) {
        const json_t *list = json_object_get(j, *k);
        if (!json_is_array(list)) continue;
        const json_t *first = json_array_get(list, 0);
        json_int_t v = json_integer_value(first);
        for (size_t i = 0; i < json_array_size(list); i++)
            if (!json_equal(first, json_array_get(list, i)))
                return ol_fail(err, OLV_UNSUPPORTED, "key '%s': entry %zu differs from the first, expected the same for all layers",
                               *k, i);
        if (!json_is_integer(first) || v < min || v > max)
            return ol_fail(err, OLV_FORMAT, "key '%s': expected integers from %" PRId64 " to %" PRId64, *k, min, max);
        *out = v;
        return OLV_OK;
    }
    return ol_hf_int(j, keys, min, max, 0, true, out, err);
}

static olv_status read_sizes(const json_t *j, ol_hf_config *c, olv_error *err) {
    static const char *const vocab[] = {"vocab_size", NULL};
    static const char *const hidden[] = {"hidden_size", "n_embd", "d_model", "dim", NULL};
    static const char *const layers[] = {"num_hidden_layers", "n_layer", "n_layers", "num_layers", NULL};
    static const char *const heads[] = {"num_attention_heads", "n_head", "n_heads", "num_heads", NULL};
    static const char *const kv_heads[] = {"num_key_value_heads", "num_kv_heads", NULL};
    static const char *const head_dim[] = {"head_dim", NULL};
    static const char *const inter[] = {"intermediate_size", "n_inner", "ffn_dim", "ffn_hidden_size", "hidden_dim", NULL};
    static const char *const context[] = {"max_position_embeddings", "n_positions", "max_seq_len", "n_ctx",
                                          "seq_length", NULL};
    OL_TRY(ol_hf_int(j, vocab, 1, MAX_VOCAB, 0, true, &c->vocab, err));
    OL_TRY(ol_hf_int(j, hidden, 1, MAX_WIDTH, 0, true, &c->hidden, err));
    OL_TRY(ol_hf_int(j, layers, 1, MAX_LAYERS, 0, true, &c->n_layers, err));
    if (c->names->o) {
        OL_TRY(ol_hf_int(j, heads, 1, MAX_HEADS, 0, true, &c->n_heads, err));
        OL_TRY(ol_hf_int(j, kv_heads, 1, MAX_HEADS, c->n_heads, false, &c->n_kv_heads, err));
    } else {
        c->n_heads = c->n_kv_heads = 1; /* no attention */
    }
    OL_TRY(ol_hf_int(j, context, 1, INT32_MAX, 2048, false, &c->context, err));
    int64_t factor = c->family->ffn_factor;
    bool dense = factor == 0 && !present(j, "moe_intermediate_size"); /* else there may be experts alone */
    bool listed = json_is_array(json_object_get(j, "intermediate_size"));
    if (listed) OL_TRY(int_or_list(j, inter, 1, MAX_WIDTH, &c->intermediate, err));
    else OL_TRY(ol_hf_int(j, inter, 1, MAX_WIDTH, factor * c->hidden, dense, &c->intermediate, err));
    if (!present(j, "head_dim") && c->hidden % c->n_heads != 0)
        return ol_fail(err, OLV_FORMAT, "key 'hidden_size': found %" PRId64 ", expected a multiple of the %" PRId64
                       " heads", c->hidden, c->n_heads);
    if (!c->names->o) {
        c->head_dim = c->hidden;
        return OLV_OK;
    }
    return ol_hf_int(j, head_dim, 1, 65536, c->hidden / c->n_heads, false, &c->head_dim, err);
}

static olv_status check_heads(const ol_hf_config *c, olv_error *err) {
    if (c->n_heads % c->n_kv_heads != 0)
        return ol_fail(err, OLV_FORMAT, "key 'num_key_value_heads': found %" PRId64 ", expected a divisor of the %" PRId64
                       " heads", c->n_kv_heads, c->n_heads);
    if (c->n_heads * c->head_dim > MAX_WIDTH)
        return ol_fail(err, OLV_FORMAT, "key 'head_dim': found %" PRId64 " for %" PRId64
                       " heads, expected at most %d values in all", c->head_dim, c->n_heads, MAX_WIDTH);
    return OLV_OK;
}

static olv_status read_eps(const json_t *j, ol_hf_config *c, olv_error *err) {
    static const char *const keys[] = {"rms_norm_eps", "layer_norm_eps", "layer_norm_epsilon", "norm_epsilon",
                                       "norm_eps"};
    c->eps = c->family->eps;
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
        if (present(j, keys[i])) return ol_hf_real(j, keys[i], 0, 1, c->eps, &c->eps, err);
    return OLV_OK;
}

static olv_status read_biases(const json_t *j, ol_hf_config *c, olv_error *err) {
    bool attention, use;
    OL_TRY(ol_json_bool(j, "attention_bias", false, &attention, err));
    OL_TRY(ol_json_bool(j, "use_bias", false, &use, err));
    OL_TRY(ol_json_bool(j, "mlp_bias", use, &c->mlp_bias, err));
    c->qkv_bias = attention || use;
    c->o_bias = use; /* attention_bias covers o in some families only: taken where the file has it */
    return OLV_OK;
}

/* mlp_layer_types: "dense" or "sparse" for each layer. */
static olv_status read_mlp_types(const json_t *j, ol_hf_config *c, olv_error *err) {
    const json_t *types = json_object_get(j, "mlp_layer_types");
    if (!types || json_is_null(types)) return OLV_OK;
    if (!json_is_array(types) || json_array_size(types) < (size_t)c->n_layers)
        return ol_fail(err, OLV_FORMAT, "key 'mlp_layer_types': expected a list of %" PRId64 " names", c->n_layers);
    for (int64_t i = 0; i < c->n_layers; i++) {
        const char *t = json_string_value(json_array_get(types, (size_t)i));
        c->layers[i].experts = t && strcmp(t, "sparse") == 0;
        if (!c->layers[i].experts && (!t || strcmp(t, "dense") != 0))
            return ol_fail(err, OLV_UNSUPPORTED, "key 'mlp_layer_types': entry %" PRId64
                           ": found '%.40s', expected dense or sparse", i, t ? t : "no text");
    }
    return OLV_OK;
}

static olv_status read_moe(const json_t *j, ol_hf_config *c, olv_error *err) {
    static const char *const experts[] = {"num_local_experts", "num_experts", "n_routed_experts", "moe_num_experts", NULL};
    static const char *const top[] = {"num_experts_per_tok", "moe_topk", "moe_k", NULL};
    static const char *const inter[] = {"moe_intermediate_size", NULL};
    static const char *const shared[] = {"shared_expert_intermediate_size", NULL};
    static const char *const group[] = {"n_group", NULL};
    static const char *const top_group[] = {"topk_group", NULL};
    static const char *const step[] = {"decoder_sparse_step", NULL};
    ol_hf_moe *m = &c->moe;
    m->scale = 1;
    if (!c->names->router) return OLV_OK;
    OL_TRY(int_or_list(j, experts, 0, 65536, &m->n_experts, err));
    if (m->n_experts == 0) return OLV_OK; /* the dense sisters of a family say so */
    OL_TRY(int_or_list(j, top, 1, m->n_experts, &m->top_k, err));
    OL_TRY(ol_hf_int(j, inter, 1, MAX_WIDTH, c->intermediate, false, &m->intermediate, err));
    OL_TRY(ol_hf_int(j, shared, 1, MAX_WIDTH, 0, false, &m->shared_intermediate, err));
    OL_TRY(ol_hf_int(j, group, 1, m->n_experts, 1, false, &m->n_group, err));
    OL_TRY(ol_hf_int(j, top_group, 1, m->n_group, m->n_group, false, &m->topk_group, err));
    OL_TRY(ol_json_bool(j, "norm_topk_prob", false, &m->normalize, err));
    if (m->n_experts % m->n_group)
        return ol_fail(err, OLV_FORMAT, "key 'n_group': found %" PRId64 ", expected a divisor of the %" PRId64 " experts",
                       m->n_group, m->n_experts);
    int64_t every;
    OL_TRY(ol_hf_int(j, step, 1, MAX_LAYERS, 1, false, &every, err));
    for (int64_t i = 0; i < c->n_layers; i++) c->layers[i].experts = (i + 1) % every == 0;
    const json_t *plain = json_object_get(j, "mlp_only_layers");
    for (size_t i = 0; i < json_array_size(plain); i++) {
        const json_t *v = json_array_get(plain, i);
        if (!json_is_integer(v) || json_integer_value(v) < 0)
            return ol_fail(err, OLV_FORMAT, "key 'mlp_only_layers': entry %zu: expected a layer number", i);
        if (json_integer_value(v) < c->n_layers) c->layers[json_integer_value(v)].experts = false;
    }
    return read_mlp_types(j, c, err);
}

static olv_status read_latent(const json_t *j, ol_hf_config *c, olv_error *err) {
    static const char *const q_rank[] = {"q_lora_rank", NULL}, *const kv_rank[] = {"kv_lora_rank", NULL};
    static const char *const nope[] = {"qk_nope_head_dim", NULL}, *const rope[] = {"qk_rope_head_dim", NULL};
    static const char *const v_dim[] = {"v_head_dim", NULL};
    c->v_dim = c->head_dim;
    if (!c->names->kv_a) return OLV_OK;
    OL_TRY(ol_hf_int(j, q_rank, 1, MAX_WIDTH, 0, false, &c->latent.q_rank, err));
    OL_TRY(ol_hf_int(j, kv_rank, 1, MAX_WIDTH, 0, true, &c->latent.kv_rank, err));
    OL_TRY(ol_hf_int(j, nope, 1, 65536, 0, true, &c->latent.nope_dim, err));
    OL_TRY(ol_hf_int(j, rope, 2, 65536, 0, true, &c->latent.rope_dim, err));
    OL_TRY(ol_hf_int(j, v_dim, 1, 65536, 0, true, &c->v_dim, err));
    c->latent.eps = 1e-6; /* whatever the config says of the others */
    c->head_dim = c->latent.nope_dim + c->latent.rope_dim;
    c->n_kv_heads = c->n_heads;
    return OLV_OK;
}

/* Which layers slide: by layer_types, else by the rule of the family. */
static olv_status read_windows(const json_t *j, ol_hf_config *c, olv_error *err) {
    static const char *const size_keys[] = {"sliding_window", NULL};
    static const char *const pattern_keys[] = {"sliding_window_pattern", "_sliding_window_pattern", NULL};
    static const char *const from_keys[] = {"max_window_layers", NULL};
    const json_t *types = json_object_get(j, "layer_types");
    ol_hf_window rule = c->family->window;
    int64_t window, pattern, from;
    bool use;
    if (rule == OL_HF_WINDOW_NONE) return OLV_OK;
    OL_TRY(ol_hf_int(j, size_keys, 0, INT32_MAX, 0, false, &window, err));
    int64_t def = strcmp(c->model_type, "gemma3_text") == 0 ? 6 : 4;
    pattern = def;
    if (!json_is_array(types)) OL_TRY(ol_hf_int(j, pattern_keys, 0, MAX_LAYERS, def, false, &pattern, err));
    OL_TRY(ol_hf_int(j, from_keys, 0, MAX_LAYERS, 0, false, &from, err));
    OL_TRY(ol_json_bool(j, "use_sliding_window", false, &use, err));
    if (types && !json_is_null(types) && (!json_is_array(types) || json_array_size(types) < (size_t)c->n_layers))
        return ol_fail(err, OLV_FORMAT, "key 'layer_types': found %s of %zu, expected a list of %" PRId64 " names",
                       json_is_array(types) ? "a list" : "no list", json_array_size(types), c->n_layers);
    for (int64_t i = 0; i < c->n_layers; i++) {
        ol_hf_layer *l = &c->layers[i];
        if (json_is_array(types) && rule != OL_HF_WINDOW_ALL) {
            const char *t = json_string_value(json_array_get(types, (size_t)i));
            l->sliding = t && strcmp(t, "sliding_attention") == 0;
            if (!l->sliding && (!t || strcmp(t, "full_attention") != 0))
                return ol_fail(err, OLV_UNSUPPORTED, "key 'layer_types': entry %" PRId64
                               ": found '%.40s', expected full_attention or sliding_attention", i, t ? t : "no text");
        } else {
            l->sliding = rule == OL_HF_WINDOW_ALL || (rule == OL_HF_WINDOW_QWEN && use && i >= from) ||
                         (rule == OL_HF_WINDOW_FROM && i >= from) || (rule == OL_HF_WINDOW_ALTERNATE && i % 2 == 0) ||
                         (rule == OL_HF_WINDOW_PATTERN_FIRST && pattern && i % pattern != 0) ||
                         (rule == OL_HF_WINDOW_PATTERN && pattern && (i + 1) % pattern != 0);
        }
        if (rule == OL_HF_WINDOW_QWEN && !use) l->sliding = false;
        l->window = l->sliding ? window : 0;
    }
    return OLV_OK;
}

/* The common part of everything; the family's `adjust` has the last word. */
static olv_status read_all(const json_t *j, ol_hf_config *c, olv_error *err) {
    const ol_hf_family *f = c->family;
    c->names = f->names;
    c->residual = f->residual;
    c->position = f->position;
    c->qk_norm = f->qk_norm;
    c->qkv = f->qkv;
    c->gated = f->gated;
    c->embed_scale = c->residual_scale = c->logit_scale = c->gate_scale = c->down_scale = 1;
    c->alibi_max = 8;
    OL_TRY(ol_hf_quantized_check(json_object_get(j, "quantization_config"), err));
    OL_TRY(read_sizes(j, c, err));
    c->layers = ol_arena_calloc(c->arena, (size_t)c->n_layers, sizeof *c->layers);
    if (!c->layers) return ol_fail(err, OLV_NOMEM, "out of memory");
    OL_TRY(read_eps(j, c, err));
    OL_TRY(read_act(j, c, err));
    OL_TRY(read_biases(j, c, err));
    OL_TRY(ol_json_bool(j, "tie_word_embeddings", !f->untied, &c->tied, err));
    OL_TRY(read_moe(j, c, err));
    OL_TRY(read_latent(j, c, err));
    OL_TRY(read_windows(j, c, err));
    OL_TRY(ol_hf_real(j, "attn_logit_softcapping", 0, 1e9, 0, &c->attn_softcap, err));
    OL_TRY(ol_hf_real(j, "final_logit_softcapping", 0, 1e9, 0, &c->final_softcap, err));
    c->attn_scale = 1 / sqrt((double)c->head_dim);
    if (f->encoder) OL_TRY(ol_hf_encoder_config(j, c, err));
    if (f->adjust) OL_TRY(f->adjust(c, j, err));
    OL_TRY(check_heads(c, err));
    bool rope = c->position == OL_HF_ROPE || c->position == OL_HF_ROPE_INTERLEAVED;
    for (int64_t i = 0; i < c->n_layers; i++) {
        ol_hf_layer *l = &c->layers[i];
        if (!rope || (f->rope_window_only && !l->sliding) || (f->rope_full_only && l->sliding)) l->rope = -1;
    }
    return rope ? ol_hf_rope_read(j, c, err) : OLV_OK;
}

static olv_status find_family(const char *type, const ol_hf_family **out, olv_error *err) {
    *out = ol_hf_family_find(type);
    if (*out) return OLV_OK;
    ol_buf list = OL_BUF_INIT;
    ol_hf_family_list(&list);
    const char *names = list.failed ? "" : list.data;
    int room = 880, len = (int)strlen(names); /* of a message; cut behind a whole name */
    bool cut = len > room;
    if (cut) for (len = room; len > 0 && names[len] != ','; len--) {}
    olv_status s = ol_fail(err, OLV_UNSUPPORTED, "model_type '%.60s' is not supported; known are: %.*s%s", type, len, names,
                           cut ? " and more" : "");
    ol_buf_deinit(&list);
    return s;
}

olv_status ol_hf_config_read(const json_t *j, ol_arena *arena, ol_hf_config *c, olv_error *err) {
    const char *type;
    memset(c, 0, sizeof *c);
    c->arena = arena;
    if (!json_is_object(j)) return ol_fail(err, OLV_FORMAT, "expected a JSON object");
    OL_TRY(ol_json_string(j, "model_type", NULL, &type, err));
    if (!type) return ol_fail(err, OLV_FORMAT, "key 'model_type': missing, expected the name of a model family");
    const char *arch = json_string_value(json_array_get(json_object_get(j, "architectures"), 0));
    const json_t *text = json_object_get(j, "text_config"), *all = j;
    const char *inner = json_string_value(json_object_get(text, "model_type"));
    if (inner && !ol_hf_family_find(type) && ol_hf_family_find(inner)) { /* sees images, too: the language model alone is read */
        c->nested = true;
        type = inner;
        j = text;
    }
    OL_TRY(find_family(type, &c->family, err));
    strncpy(c->model_type, type, sizeof c->model_type - 1);
    if (arch) strncpy(c->architecture, arch, sizeof c->architecture - 1);
    OL_TRY(read_all(j, c, err));
    return c->nested && !present(j, "tie_word_embeddings") ? ol_json_bool(all, "tie_word_embeddings", c->tied, &c->tied, err) : OLV_OK;
}
