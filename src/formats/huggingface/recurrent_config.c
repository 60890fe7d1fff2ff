/* SPDX-License-Identifier: Apache-2.0 */
/* What config.json says of recurrent layers. */
#include "formats/huggingface/recurrent.h"

#include "base/error.h"

#include <float.h>
#include <math.h>

#define MAX_SIZE (1 << 22)
#define MAX_CONV 16
#define ENDLESS (1 << 20) /* context of a model without attention, whose config names none */

static olv_status count(const json_t *j, const char *key, int64_t max, int64_t def, int64_t *out,
                        olv_error *err) {
    const char *const keys[] = {key, NULL};
    return ol_hf_int(j, keys, 1, max, def, def < 1, out, err);
}

static olv_status start(ol_hf_config *c, olv_error *err) {
    ol_hf_recurrent *r = ol_arena_calloc(c->arena, 1, sizeof *r);
    if (!r) return ol_fail(err, OLV_NOMEM, "out of memory");
    r->in_scale = r->out_scale = r->attn_in_scale = r->attn_out_scale = 1;
    for (int i = 0; i < 5; i++) r->part_scale[i] = 1;
    r->step_max = INFINITY;
    c->recurrent = r;
    return OLV_OK;
}

static void all_layers(ol_hf_config *c, ol_hf_mixer m) {
    for (int64_t i = 0; i < c->n_layers; i++) c->layers[i].mixer = m;
}

/* layer_types, whose names changed with time: attention layers are "full_attention" or "attention",
 * the others `own`, or one of the names that mean any recurrent layer. False when the key is
 * absent. */
static olv_status layer_types(ol_hf_config *c, const json_t *j, const char *own, ol_hf_mixer m,
                              bool *given, olv_error *err) {
    const json_t *types = json_object_get(j, "layer_types");
    if (!types || json_is_null(types)) types = json_object_get(j, "layers_block_type");
    *given = types && !json_is_null(types);
    if (!*given) return OLV_OK;
    if (!json_is_array(types) || json_array_size(types) < (size_t)c->n_layers)
        return ol_fail(err, OLV_FORMAT,
                       "key 'layer_types': found %s of %zu, expected a list of %lld names",
                       json_is_array(types) ? "a list" : "no list", json_array_size(types),
                       (long long)c->n_layers);
    for (int64_t i = 0; i < c->n_layers; i++) {
        const char *t = json_string_value(json_array_get(types, (size_t)i));
        if (!t) t = "?";
        bool attention = strcmp(t, "full_attention") == 0 || strcmp(t, "attention") == 0;
        if (!attention && strcmp(t, own) != 0 && strcmp(t, "linear_attention") != 0)
            return ol_fail(
                err, OLV_UNSUPPORTED,
                "key 'layer_types': entry %lld: found '%.40s', expected full_attention or %s",
                (long long)i, t, own);
        c->layers[i].mixer = attention ? OL_HF_MIX_ATTENTION : m;
    }
    return OLV_OK;
}

/* ---- Mamba ---- */

static olv_status endless(ol_hf_config *c, const json_t *j, olv_error *err) {
    return count(j, "max_position_embeddings", INT32_MAX, ENDLESS, &c->context, err);
}

olv_status ol_hf_mamba_adjust(ol_hf_config *c, const json_t *j, olv_error *err) {
    int64_t expand;
    OL_TRY(start(c, err));
    ol_hf_recurrent *r = c->recurrent;
    OL_TRY(count(j, "expand", 64, 2, &expand, err));
    OL_TRY(count(j, "intermediate_size", MAX_SIZE, expand * c->hidden, &r->inner, err));
    OL_TRY(count(j, "state_size", 65536, 16, &r->states, err));
    OL_TRY(count(j, "conv_kernel", MAX_CONV, 4, &r->conv, err));
    const json_t *rank = json_object_get(j, "time_step_rank");
    if (rank && json_is_string(rank))
        r->rank = (c->hidden + 15) / 16; /* "auto" */
    else
        OL_TRY(count(j, "time_step_rank", MAX_SIZE, (c->hidden + 15) / 16, &r->rank, err));
    if (strcmp(c->model_type, "falcon_mamba") == 0)
        OL_TRY(ol_hf_real(j, "mixer_rms_eps", 0, 1, 1e-6, &r->inner_eps, err));
    all_layers(c, OL_HF_MIX_MAMBA);
    return endless(c, j, err);
}

/* ---- Mamba-2 ---- */

static olv_status step_limit(const json_t *j, ol_hf_recurrent *r, olv_error *err) {
    const json_t *l = json_object_get(j, "time_step_limit");
    if (!l || json_is_null(l)) return OLV_OK;
    const json_t *low = json_array_get(l, 0), *high = json_array_get(l, 1);
    if (!json_is_number(low) || json_array_size(l) != 2)
        return ol_fail(err, OLV_FORMAT, "key 'time_step_limit': expected two numbers");
    r->step_min = json_number_value(low);
    /* Null stands for infinity, and so does what is read for it. */
    if (json_is_number(high) && json_number_value(high) < FLT_MAX) r->step_max = json_number_value(high);
    if (!(r->step_min >= 0) || !(r->step_max > r->step_min))
        return ol_fail(err, OLV_FORMAT,
                       "key 'time_step_limit': found %g to %g, expected a range above 0",
                       r->step_min, r->step_max);
    return OLV_OK;
}

/* Sizes that must fit each other. */
static olv_status check_heads(const ol_hf_recurrent *r, olv_error *err) {
    if (r->heads * r->head_dim != r->inner)
        return ol_fail(err, OLV_FORMAT,
                       "%lld Mamba heads of %lld values, expected %lld values in all",
                       (long long)r->heads, (long long)r->head_dim, (long long)r->inner);
    if (r->heads % r->groups)
        return ol_fail(err, OLV_FORMAT, "%lld Mamba groups, expected a divisor of the %lld heads",
                       (long long)r->groups, (long long)r->heads);
    return OLV_OK;
}

olv_status ol_hf_mamba2_adjust(ol_hf_config *c, const json_t *j, olv_error *err) {
    int64_t expand;
    OL_TRY(start(c, err));
    ol_hf_recurrent *r = c->recurrent;
    OL_TRY(count(j, "expand", 64, 2, &expand, err));
    r->inner = expand * c->hidden;
    OL_TRY(count(j, "num_heads", 65536, 128, &r->heads, err));
    OL_TRY(count(j, "head_dim", 65536, 64, &r->head_dim, err));
    OL_TRY(count(j, "n_groups", 65536, 8, &r->groups, err));
    OL_TRY(count(j, "state_size", 65536, 128, &r->states, err));
    OL_TRY(count(j, "conv_kernel", MAX_CONV, 4, &r->conv, err));
    OL_TRY(step_limit(j, r, err));
    r->norm = true;
    all_layers(c, OL_HF_MIX_MAMBA2);
    OL_TRY(check_heads(r, err));
    return endless(c, j, err);
}

/* The keys of families that mix Mamba-2 with attention. */
static olv_status hybrid(ol_hf_config *c, const json_t *j, olv_error *err) {
    int64_t expand;
    OL_TRY(start(c, err));
    ol_hf_recurrent *r = c->recurrent;
    OL_TRY(count(j, "mamba_expand", 64, 2, &expand, err));
    OL_TRY(count(j, "mamba_d_ssm", MAX_SIZE, expand * c->hidden, &r->inner, err));
    OL_TRY(count(j, "mamba_n_heads", 65536, 128, &r->heads, err));
    const json_t *dim = json_object_get(j, "mamba_d_head");
    if (dim && json_is_string(dim))
        r->head_dim = r->inner / r->heads; /* "auto" */
    else
        OL_TRY(count(j, "mamba_d_head", 65536, r->inner / r->heads, &r->head_dim, err));
    OL_TRY(count(j, "mamba_n_groups", 65536, 1, &r->groups, err));
    OL_TRY(count(j, "mamba_d_state", 65536, 256, &r->states, err));
    OL_TRY(count(j, "mamba_d_conv", MAX_CONV, 4, &r->conv, err));
    OL_TRY(step_limit(j, r, err));
    r->norm = true;
    return check_heads(r, err);
}

static olv_status scales(const json_t *j, const char *key, int n, double *out, olv_error *err) {
    const json_t *l = json_object_get(j, key);
    if (!l || json_is_null(l)) return OLV_OK;
    for (int i = 0; i < n; i++) {
        const json_t *v = json_array_get(l, (size_t)i);
        if (!json_is_number(v) || !isfinite(json_number_value(v)))
            return ol_fail(err, OLV_FORMAT, "key '%s': expected a list of %d numbers", key, n);
        out[i] = json_number_value(v);
    }
    return OLV_OK;
}

olv_status ol_hf_falcon_h1_adjust(ol_hf_config *c, const json_t *j, olv_error *err) {
    double key, mlp[2] = {1, 1};
    OL_TRY(hybrid(c, j, err));
    ol_hf_recurrent *r = c->recurrent;
    all_layers(c, OL_HF_MIX_BESIDE);
    OL_TRY(ol_json_bool(j, "mamba_rms_norm", false, &r->norm, err));
    OL_TRY(ol_json_bool(j, "mamba_norm_before_gate", true, &r->norm_first, err));
    OL_TRY(ol_hf_real(j, "embedding_multiplier", 1e-9, 1e9, 1, &c->embed_scale, err));
    OL_TRY(ol_hf_real(j, "lm_head_multiplier", 1e-9, 1e9, 1, &c->logit_scale, err));
    OL_TRY(ol_hf_real(j, "key_multiplier", 1e-9, 1e9, 1, &key, err));
    OL_TRY(ol_hf_real(j, "attention_in_multiplier", 1e-9, 1e9, 1, &r->attn_in_scale, err));
    OL_TRY(ol_hf_real(j, "attention_out_multiplier", 1e-9, 1e9, 1, &r->attn_out_scale, err));
    OL_TRY(ol_hf_real(j, "ssm_in_multiplier", 1e-9, 1e9, 1, &r->in_scale, err));
    OL_TRY(ol_hf_real(j, "ssm_out_multiplier", 1e-9, 1e9, 1, &r->out_scale, err));
    OL_TRY(scales(j, "ssm_multipliers", 5, r->part_scale, err));
    OL_TRY(scales(j, "mlp_multipliers", 2, mlp, err));
    c->gate_scale = mlp[0];
    c->down_scale = mlp[1];
    c->attn_scale *= key; /* scores are linear in the keys */
    return OLV_OK;
}

/* The layers whose numbers a list gives have attention. */
static olv_status attention_layers(ol_hf_config *c, const json_t *j, const char *key, olv_error *err) {
    const json_t *list = json_object_get(j, key);
    for (size_t i = 0; i < json_array_size(list); i++) {
        json_int_t at = json_integer_value(json_array_get(list, i));
        if (at < 0 || at >= c->n_layers)
            return ol_fail(err, OLV_FORMAT, "key '%s': found %lld, expected less than %lld", key, (long long)at,
                           (long long)c->n_layers);
        c->layers[at].mixer = OL_HF_MIX_ATTENTION;
    }
    return OLV_OK;
}

olv_status ol_hf_bamba_adjust(ol_hf_config *c, const json_t *j, olv_error *err) {
    OL_TRY(hybrid(c, j, err));
    all_layers(c, OL_HF_MIX_MAMBA2);
    return attention_layers(c, j, "attn_layer_indices", err);
}

olv_status ol_hf_granite_hybrid_adjust(ol_hf_config *c, const json_t *j, olv_error *err) {
    double div;
    int64_t shared;
    bool given;
    const char *position;
    OL_TRY(hybrid(c, j, err));
    OL_TRY(layer_types(c, j, "mamba", OL_HF_MIX_MAMBA2, &given, err));
    if (!given) all_layers(c, OL_HF_MIX_MAMBA2);
    OL_TRY(ol_hf_real(j, "embedding_multiplier", 1e-9, 1e9, 1, &c->embed_scale, err));
    OL_TRY(ol_hf_real(j, "attention_multiplier", 1e-9, 1e9, 1, &c->attn_scale, err));
    OL_TRY(ol_hf_real(j, "residual_multiplier", 1e-9, 1e9, 1, &c->residual_scale, err));
    OL_TRY(ol_hf_real(j, "logits_scaling", 1e-9, 1e9, 1, &div, err));
    c->logit_scale = 1 / div;
    OL_TRY(count(j, "shared_intermediate_size", MAX_SIZE, 1024, &shared, err));
    c->moe.intermediate = c->intermediate;
    c->moe.shared_intermediate = shared;
    if (!c->moe.n_experts) c->intermediate = shared; /* the shared expert alone is the plain MLP */
    OL_TRY(ol_json_string(j, "position_embedding_type", "none", &position, err));
    if (strcmp(position, "rope") != 0) c->position = OL_HF_NO_POSITION;
    return OLV_OK;
}

/* ---- LFM2 ---- */

static olv_status short_conv(ol_hf_config *c, const json_t *j, olv_error *err) {
    const json_t *list = json_object_get(j, "full_attn_idxs");
    bool given;
    OL_TRY(start(c, err));
    OL_TRY(count(j, "conv_L_cache", MAX_CONV, 3, &c->recurrent->conv, err));
    c->recurrent->inner = c->hidden;
    OL_TRY(ol_json_bool(j, "tie_embedding", c->tied, &c->tied, err));
    OL_TRY(layer_types(c, j, "conv", OL_HF_MIX_CONV, &given, err));
    if (given || !json_is_array(list)) return OLV_OK;
    all_layers(c, OL_HF_MIX_CONV);
    return attention_layers(c, j, "full_attn_idxs", err);
}

olv_status ol_hf_lfm2_adjust(ol_hf_config *c, const json_t *j, olv_error *err) {
    bool fit;
    double times;
    int64_t multiple;
    OL_TRY(short_conv(c, j, err));
    OL_TRY(count(j, "block_ff_dim", MAX_SIZE, c->intermediate, &c->intermediate, err));
    OL_TRY(ol_json_bool(j, "block_auto_adjust_ff_dim", true, &fit, err));
    OL_TRY(ol_hf_real(j, "block_ffn_dim_multiplier", 1e-3, 1e3, 1, &times, err));
    OL_TRY(count(j, "block_multiple_of", MAX_SIZE, 256, &multiple, err));
    if (!fit) return OLV_OK;
    int64_t n = (int64_t)(times * (double)(2 * c->intermediate / 3));
    c->intermediate = (n + multiple - 1) / multiple * multiple;
    return c->intermediate > 0 && c->intermediate <= MAX_SIZE
               ? OLV_OK
               : ol_fail(err, OLV_FORMAT, "key 'intermediate_size': %lld values, expected 1 to %d",
                         (long long)c->intermediate, MAX_SIZE);
}

olv_status ol_hf_lfm2_moe_adjust(ol_hf_config *c, const json_t *j, olv_error *err) {
    static const char *const dense[] = {"num_dense_layers", NULL};
    int64_t first;
    OL_TRY(short_conv(c, j, err));
    OL_TRY(ol_hf_int(j, dense, 0, INT32_MAX, 2, false, &first, err));
    for (int64_t i = 0; i < c->n_layers; i++) c->layers[i].experts = i >= first;
    OL_TRY(ol_json_bool(j, "norm_topk_prob", true, &c->moe.normalize, err));
    return ol_hf_real(j, "routed_scaling_factor", 1e-9, 1e9, 1, &c->moe.scale, err);
}

/* ---- delta rule ---- */

olv_status ol_hf_qwen_next_adjust(ol_hf_config *c, const json_t *j, olv_error *err) {
    int64_t every;
    bool given;
    OL_TRY(start(c, err));
    ol_hf_recurrent *r = c->recurrent;
    OL_TRY(count(j, "linear_conv_kernel_dim", MAX_CONV, 4, &r->conv, err));
    OL_TRY(count(j, "linear_key_head_dim", 65536, 128, &r->key_dim, err));
    OL_TRY(count(j, "linear_value_head_dim", 65536, 128, &r->head_dim, err));
    OL_TRY(count(j, "linear_num_key_heads", 65536, 16, &r->key_heads, err));
    OL_TRY(count(j, "linear_num_value_heads", 65536, 32, &r->heads, err));
    if (r->heads % r->key_heads || r->heads * r->head_dim > MAX_SIZE ||
        r->key_heads * r->key_dim > MAX_SIZE)
        return ol_fail(
            err, OLV_FORMAT,
            "key 'linear_num_key_heads': found %lld, expected a divisor of the %lld value heads",
            (long long)r->key_heads, (long long)r->heads);
    OL_TRY(layer_types(c, j, "linear_attention", OL_HF_MIX_DELTA, &given, err));
    OL_TRY(count(j, "full_attention_interval", INT32_MAX, 4, &every, err));
    for (int64_t i = 0; !given && i < c->n_layers; i++)
        c->layers[i].mixer = (i + 1) % every ? OL_HF_MIX_DELTA : OL_HF_MIX_ATTENTION;
    c->attn_gate = true;
    return c->moe.n_experts ? ol_json_bool(j, "norm_topk_prob", true, &c->moe.normalize, err)
                            : OLV_OK;
}

/* ---- RWKV ---- */

/* The model halves its rows behind every so many layers. Norms do not see that but in their
 * epsilon, which counts four times for rows that are halved. */
static olv_status rescaling(ol_hf_config *c, const json_t *j, olv_error *err) {
    int64_t every = 6;
    OL_TRY(ol_json_int(j, "rescale_every", INT32_MIN, INT32_MAX, 6, &every, err));
    if (every <= 0) return OLV_OK;
    for (int64_t i = 0; i < c->n_layers; i++)
        c->layers[i].eps_factor = pow(4, fmin((double)(i / every), 60));
    c->final_eps *= pow(4, fmin((double)(c->n_layers / every), 60));
    return OLV_OK;
}

olv_status ol_hf_rwkv_adjust(ol_hf_config *c, const json_t *j, olv_error *err) {
    OL_TRY(start(c, err));
    c->recurrent->conv = 2;
    c->final_eps = 1e-5; /* whatever the others are */
    OL_TRY(rescaling(c, j, err));
    OL_TRY(count(j, "attention_hidden_size", MAX_SIZE, c->hidden, &c->recurrent->inner, err));
    all_layers(c, OL_HF_MIX_RWKV);
    return endless(c, j, err); /* context_length is that of the training */
}
