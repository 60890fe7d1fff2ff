/* SPDX-License-Identifier: Apache-2.0 */
#include "formats/huggingface/adjust.h"

#include "base/error.h"

#include <math.h>

olv_status ol_hf_adjust_granite(ol_hf_config *c, const json_t *j, olv_error *err) {
    double div;
    OL_TRY(ol_hf_real(j, "embedding_multiplier", 1e-9, 1e9, 1, &c->embed_scale, err));
    OL_TRY(ol_hf_real(j, "attention_multiplier", 1e-9, 1e9, 1, &c->attn_scale, err));
    OL_TRY(ol_hf_real(j, "residual_multiplier", 1e-9, 1e9, 1, &c->residual_scale, err));
    OL_TRY(ol_hf_real(j, "logits_scaling", 1e-9, 1e9, 1, &div, err));
    c->logit_scale = 1 / div;
    return OLV_OK;
}

olv_status ol_hf_adjust_granite_moe(ol_hf_config *c, const json_t *j, olv_error *err) {
    static const char *const shared[] = {"shared_intermediate_size", NULL};
    c->moe.intermediate = c->intermediate;
    OL_TRY(ol_hf_int(j, shared, 0, INT32_MAX, 0, false, &c->moe.shared_intermediate, err));
    return ol_hf_adjust_granite(c, j, err);
}

olv_status ol_hf_adjust_hyperclovax(ol_hf_config *c, const json_t *j, olv_error *err) {
    double scale = c->attn_scale;
    OL_TRY(ol_hf_adjust_granite(c, j, err));
    OL_TRY(ol_hf_real(j, "attention_multiplier", 1e-9, 1e9, scale, &c->attn_scale, err));
    return ol_hf_real(j, "logits_scaling", 1e-9, 1e9, 1, &c->logit_scale, err);
}

olv_status ol_hf_adjust_exaone(ol_hf_config *c, const json_t *j, olv_error *err) {
    static const char *const keys[] = {"sliding_window", NULL};
    int64_t window; /* rotation everywhere unless the model mixes kinds of layers */
    OL_TRY(ol_hf_int(j, keys, 0, INT32_MAX, 0, false, &window, err));
    for (int64_t i = 0; window && i < c->n_layers; i++)
        if (!c->layers[i].sliding) c->layers[i].rope = -1;
    return OLV_OK;
}

olv_status ol_hf_adjust_olmo(ol_hf_config *c, const json_t *j, olv_error *err) {
    return ol_hf_real(j, "clip_qkv", 0, 1e9, 0, &c->clip_qkv, err);
}

olv_status ol_hf_adjust_flex_olmo(ol_hf_config *c, const json_t *j, olv_error *err) {
    (void)j;
    (void)err;
    c->moe.intermediate = c->intermediate;
    return OLV_OK;
}

olv_status ol_hf_adjust_experts(ol_hf_config *c, const json_t *j, olv_error *err) {
    static const char *const first_keys[] = {"first_k_dense_replace", NULL};
    static const char *const freq_keys[] = {"moe_layer_freq", NULL};
    static const char *const shared_keys[] = {"n_shared_experts", "num_shared_experts", "moe_num_shared_experts", NULL};
    bool listed = json_is_array(json_object_get(j, "mlp_layer_types"));
    int64_t first, freq, shared;
    OL_TRY(ol_hf_int(j, first_keys, 0, INT32_MAX, 0, false, &first, err));
    OL_TRY(ol_hf_int(j, freq_keys, 1, INT32_MAX, 1, false, &freq, err));
    OL_TRY(ol_hf_int(j, shared_keys, 0, 1024, 0, false, &shared, err));
    OL_TRY(ol_hf_real(j, "router_scaling_factor", 1e-9, 1e9, 1, &c->moe.scale, err));
    OL_TRY(ol_hf_real(j, "routed_scaling_factor", 1e-9, 1e9, c->moe.scale, &c->moe.scale, err));
    OL_TRY(ol_json_bool(j, "norm_topk_prob", c->family->router == OL_HF_ROUTE_SIGMOID, &c->moe.normalize, err));
    if (!c->moe.shared_intermediate) c->moe.shared_intermediate = shared * c->moe.intermediate;
    for (int64_t i = 0; i < c->n_layers && !listed; i++)
        c->layers[i].experts = c->moe.n_experts && i >= first && i % freq == 0;
    return OLV_OK;
}

/* Yarn's temperature goes into the scale of attention. */
static olv_status yarn_temperature(ol_hf_config *c, const json_t *j, olv_error *err) {
    const json_t *r = json_object_get(j, "rope_parameters");
    if (!json_is_object(r)) r = json_object_get(j, "rope_scaling");
    double all, factor;
    OL_TRY(ol_hf_real(r, "mscale_all_dim", 0, 1e6, 0, &all, err));
    OL_TRY(ol_hf_real(r, "factor", 1e-6, 1e9, 1, &factor, err));
    if (all > 0 && factor > 1) {
        double m = 0.1 * all * log(factor) + 1;
        c->attn_scale *= m * m;
    }
    return OLV_OK;
}

olv_status ol_hf_adjust_deepseek(ol_hf_config *c, const json_t *j, olv_error *err) {
    bool pairs; /* adjacent values rotate together, unless the config says otherwise */
    if (c->names->router) OL_TRY(ol_hf_adjust_experts(c, j, err));
    if (c->family->router == OL_HF_ROUTE_GROUPS_MAX) {
        const char *method;
        OL_TRY(ol_json_string(j, "topk_method", "greedy", &method, err));
        if (strcmp(method, "greedy") == 0) c->moe.n_group = 1;
        c->moe.normalize = false;
    }
    OL_TRY(ol_json_bool(j, "rope_interleave", true, &pairs, err));
    c->position = pairs ? OL_HF_ROPE_INTERLEAVED : OL_HF_ROPE;
    return yarn_temperature(c, j, err);
}

olv_status ol_hf_adjust_glm_moe(ol_hf_config *c, const json_t *j, olv_error *err) {
    bool norm;
    OL_TRY(ol_json_bool(j, "use_qk_norm", c->family->qk_norm != OL_HF_QK_NONE, &norm, err));
    c->qk_norm = norm ? OL_HF_QK_HEAD : OL_HF_QK_NONE;
    return ol_hf_adjust_experts(c, j, err);
}

olv_status ol_hf_adjust_exaone_moe(ol_hf_config *c, const json_t *j, olv_error *err) {
    OL_TRY(ol_hf_adjust_experts(c, j, err));
    return ol_hf_adjust_exaone(c, j, err);
}

olv_status ol_hf_adjust_afmoe(ol_hf_config *c, const json_t *j, olv_error *err) {
    static const char *const dense_keys[] = {"num_dense_layers", NULL};
    int64_t dense;
    bool scaled;
    OL_TRY(ol_hf_adjust_experts(c, j, err));
    OL_TRY(ol_hf_int(j, dense_keys, 0, INT32_MAX, 1, false, &dense, err));
    OL_TRY(ol_hf_real(j, "route_scale", 1e-9, 1e9, 1, &c->moe.scale, err));
    OL_TRY(ol_json_bool(j, "mup_enabled", false, &scaled, err));
    if (scaled) c->embed_scale = sqrt((double)c->hidden);
    c->moe.normalize = true;
    for (int64_t i = 0; i < c->n_layers; i++) c->layers[i].experts = c->moe.n_experts && i >= dense;
    return OLV_OK;
}

olv_status ol_hf_adjust_minimax(ol_hf_config *c, const json_t *j, olv_error *err) {
    (void)j;
    (void)err;
    c->moe.intermediate = c->intermediate;
    c->moe.normalize = true;
    return OLV_OK;
}

olv_status ol_hf_adjust_gpt_oss(ol_hf_config *c, const json_t *j, olv_error *err) {
    c->moe.intermediate = c->intermediate;
    c->o_bias = c->qkv_bias;
    OL_TRY(ol_hf_real(j, "swiglu_alpha", 1e-6, 1e6, 1.702, &c->moe.alpha, err));
    return ol_hf_real(j, "swiglu_limit", 1e-6, 1e9, 7, &c->moe.limit, err);
}

/* moe_layer_start_index to moe_layer_end_index (-1: the last), every moe_layer_interval-th. */
olv_status ol_hf_adjust_ernie_moe(ol_hf_config *c, const json_t *j, olv_error *err) {
    static const char *const start_keys[] = {"moe_layer_start_index", NULL}, *const end_keys[] = {"moe_layer_end_index", NULL};
    static const char *const every_keys[] = {"moe_layer_interval", NULL};
    int64_t start, end, every;
    OL_TRY(ol_hf_adjust_experts(c, j, err));
    OL_TRY(ol_hf_int(j, start_keys, 0, INT32_MAX, 1, false, &start, err));
    OL_TRY(ol_hf_int(j, end_keys, -1, INT32_MAX, -1, false, &end, err));
    OL_TRY(ol_hf_int(j, every_keys, 1, INT32_MAX, 1, false, &every, err));
    OL_TRY(ol_hf_real(j, "moe_norm_min", 0, 1, 1e-12, &c->moe.least_sum, err));
    if (end < 0) end = c->n_layers - 1;
    c->moe.normalize = true;
    for (int64_t i = 0; i < c->n_layers; i++)
        c->layers[i].experts = c->moe.n_experts && (i + 1) % every == 0 && i >= start && i <= end;
    return OLV_OK;
}

olv_status ol_hf_adjust_hunyuan_moe(ol_hf_config *c, const json_t *j, olv_error *err) {
    (void)j;
    (void)err;
    c->moe.intermediate = c->moe.shared_intermediate = c->intermediate;
    c->moe.normalize = true;
    return OLV_OK;
}

olv_status ol_hf_adjust_ministral3(ol_hf_config *c, const json_t *j, olv_error *err) {
    static const char *const keys[] = {"original_max_position_embeddings", NULL};
    const json_t *r = json_object_get(j, "rope_parameters");
    if (!json_is_object(r)) r = json_object_get(j, "rope_scaling");
    OL_TRY(ol_hf_real(r, "llama_4_scaling_beta", 0, 1e6, 0, &c->query_growth, err));
    return ol_hf_int(r, keys, 1, INT32_MAX, c->context, false, &c->query_growth_length, err);
}
