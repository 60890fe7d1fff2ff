/* SPDX-License-Identifier: Apache-2.0 */
#include "formats/gguf/arch.h"

#include "base/error.h"

#include <math.h>
#include <stdio.h>

static const ol_gguf_arch archs[] = {
    {"llama", "llama", true},         {"llama", "mistral", true},   {"mistral", "mistral", true},
    {"arcee", "arcee", true},         {"gemma", "gemma", false},    {"gemma2", "gemma2", false},
    {"gemma3", "gemma3_text", false}, {"gpt2", "gpt2", false},      {"granite", "granite", true},
    {"olmo2", "olmo2", false},        {"phi3", "phi3", false},      {"qwen2", "qwen2", false},
    {"qwen3", "qwen3", false},        {"smollm3", "smollm3", true}, {"starcoder2", "starcoder2", false},
};
#define N_ARCHS (sizeof archs / sizeof archs[0])

const ol_gguf_arch *ol_gguf_arch_find(ol_str name) {
    for (size_t i = 0; i < N_ARCHS; i++)
        if (ol_str_is(name, archs[i].name)) return &archs[i];
    return NULL;
}

const ol_gguf_arch *ol_gguf_arch_of_family(const char *model_type) {
    for (size_t i = 0; i < N_ARCHS; i++)
        if (strcmp(model_type, archs[i].model_type) == 0) return &archs[i];
    return NULL;
}

void ol_gguf_arch_list(ol_buf *out) {
    for (size_t i = 0; i < N_ARCHS; i++)
        if (i == 0 || strcmp(archs[i].name, archs[i - 1].name) != 0) ol_buf_printf(out, "%s%s", i ? ", " : "", archs[i].name);
}

/* ---- metadata to config.json ---- */

typedef struct config {
    const ol_gguf *g;
    const char *arch;
    json_t *j;
    bool failed; /* out of memory */
} config;

static const ol_gguf_pair *find(const config *c, const char *key) {
    char full[256];
    int n = snprintf(full, sizeof full, "%s.%s", c->arch, key);
    return n > 0 && (size_t)n < sizeof full ? ol_gguf_find(c->g, full) : NULL;
}

static void set(config *c, json_t *j, const char *key, json_t *v) {
    if (!v || json_object_set_new(j, key, v) != 0) c->failed = true;
}

/* An integer, or a list of integers that are all equal, since layers of different sizes are not built. */
static olv_status get_int(const config *c, const char *key, bool *there, int64_t *out, olv_error *err) {
    const ol_gguf_pair *p = find(c, key);
    *there = p != NULL;
    if (!p || ol_gguf_int(p, out)) return OLV_OK;
    double first = 0, v;
    bool same = p->kind == OL_GGUF_ARRAY && ol_gguf_item(p, 0, &first);
    for (uint64_t i = 1; same && i < p->count; i++) same = ol_gguf_item(p, i, &v) && v == first;
    if (!same || !(fabs(first) < 1e15))
        return ol_fail(err, OLV_UNSUPPORTED, "key '%s.%s': expected one integer for all layers", c->arch, key);
    *out = (int64_t)first;
    return OLV_OK;
}

static olv_status copy_int(config *c, const char *key, const char *to, olv_error *err) {
    bool there;
    int64_t v = 0;
    OL_TRY(get_int(c, key, &there, &v, err));
    if (there) set(c, c->j, to, json_integer(v));
    return OLV_OK;
}

static olv_status copy_real(config *c, json_t *j, const char *key, const char *to, olv_error *err) {
    double v;
    const ol_gguf_pair *p = find(c, key);
    if (!p) return OLV_OK;
    if (!ol_gguf_real(p, &v) || !isfinite(v))
        return ol_fail(err, OLV_FORMAT, "key '%s.%s': expected a finite number", c->arch, key);
    set(c, j, to, json_real(v));
    return OLV_OK;
}

static json_t *factors(const config *c, const char *name) {
    const ol_gguf_tensor *t = ol_gguf_tensor_find(c->g, name);
    if (!t || t->type != 0 || t->rank != 1 || t->dims[0] > 65536) return NULL;
    json_t *list = json_array();
    ol_bytes r = ol_bytes_of(t->data, (size_t)t->bytes);
    for (int64_t i = 0; list && i < t->dims[0]; i++) {
        float f = ol_bytes_f32(&r);
        if (!isfinite(f) || json_array_append_new(list, json_real((double)f)) != 0) {
            json_decref(list);
            return NULL;
        }
    }
    return list;
}

static olv_status copy_rope(config *c, olv_error *err) {
    ol_str type;
    json_t *list = factors(c, "rope_factors_long.weight"), *r = json_object();
    bool known = ol_gguf_string(find(c, "rope.scaling.type"), &type);
    if (list) {
        set(c, r, "rope_type", json_string("longrope"));
        set(c, r, "long_factor", list);
        list = factors(c, "rope_factors_short.weight");
        if (list) set(c, r, "short_factor", list);
    } else if (known && (ol_str_is(type, "linear") || ol_str_is(type, "yarn"))) {
        set(c, r, "rope_type", json_stringn(type.ptr, type.len));
    } else {
        json_decref(r);
        if (!known || ol_str_is(type, "none")) return OLV_OK;
        return ol_fail(err, OLV_UNSUPPORTED, "key '%s.rope.scaling.type': found '%.*s', expected none, linear or yarn",
                       c->arch, (int)(type.len < 40 ? type.len : 40), type.ptr);
    }
    bool there;
    int64_t original = 0;
    olv_status s = copy_real(c, r, "rope.scaling.factor", "factor", err);
    if (s == OLV_OK) s = copy_real(c, r, "rope.scaling.attn_factor", "attention_factor", err);
    if (s == OLV_OK) s = get_int(c, "rope.scaling.original_context_length", &there, &original, err);
    if (s == OLV_OK && there) set(c, r, "original_max_position_embeddings", json_integer(original));
    if (s == OLV_OK)
        set(c, c->j, "rope_scaling", r);
    else
        json_decref(r);
    return s;
}

static olv_status copy_all(config *c, olv_error *err) {
    static const char *const ints[][2] = {
        {"embedding_length", "hidden_size"},       {"block_count", "num_hidden_layers"},
        {"feed_forward_length", "intermediate_size"}, {"attention.head_count", "num_attention_heads"},
        {"attention.head_count_kv", "num_key_value_heads"}, {"attention.key_length", "head_dim"},
        {"context_length", "max_position_embeddings"}, {"attention.sliding_window", "sliding_window"},
        {"rope.dimension_count", "rotary_dim"}};
    static const char *const reals[][2] = {
        {"attention.layer_norm_rms_epsilon", "rms_norm_eps"}, {"attention.layer_norm_epsilon", "layer_norm_eps"},
        {"rope.freq_base", "rope_theta"},                     {"attn_logit_softcapping", "attn_logit_softcapping"},
        {"final_logit_softcapping", "final_logit_softcapping"}, {"embedding_scale", "embedding_multiplier"},
        {"residual_scale", "residual_multiplier"},            {"attention.scale", "attention_multiplier"},
        {"logit_scale", "logits_scaling"}};
    bool there;
    int64_t experts = 0;
    OL_TRY(get_int(c, "expert_count", &there, &experts, err));
    if (there && experts > 0)
        return ol_fail(err, OLV_UNSUPPORTED, "key '%s.expert_count': found %lld, expected a model without experts", c->arch,
                       (long long)experts);
    for (size_t i = 0; i < sizeof ints / sizeof ints[0]; i++) OL_TRY(copy_int(c, ints[i][0], ints[i][1], err));
    for (size_t i = 0; i < sizeof reals / sizeof reals[0]; i++) OL_TRY(copy_real(c, c->j, reals[i][0], reals[i][1], err));
    return copy_rope(c, err);
}

/* Scale of attention and kinds of layers, where the file says them. */
static olv_status copy_gemma(config *c, olv_error *err) {
    double scale = 0, sliding;
    const ol_gguf_pair *p = find(c, "attention.sliding_window_pattern");
    if (ol_gguf_real(find(c, "attention.scale"), &scale)) {
        if (!(scale > 1e-4 && scale < 1e3))
            return ol_fail(err, OLV_FORMAT, "key '%s.attention.scale': found %g, expected 0.0001 to 1000", c->arch, scale);
        set(c, c->j, "query_pre_attn_scalar", json_real(1 / (scale * scale)));
    }
    if (p && p->kind == OL_GGUF_ARRAY && p->count <= 65536) {
        json_t *list = json_array();
        for (uint64_t i = 0; i < p->count && ol_gguf_item(p, i, &sliding); i++)
            if (json_array_append_new(list, json_string(sliding != 0 ? "sliding_attention" : "full_attention")) != 0)
                c->failed = true;
        set(c, c->j, "layer_types", list);
    }
    if (strcmp(c->arch, "gemma3") != 0) return OLV_OK;
    set(c, c->j, "rope_local_base_freq", json_real(10000));
    return copy_real(c, c->j, "rope.freq_base_swa", "rope_local_base_freq", err);
}

olv_status ol_gguf_config(const ol_gguf *g, const ol_gguf_arch *a, json_t **out, olv_error *err) {
    config c = {g, a->name, json_object(), false};
    if (!c.j) return ol_fail(err, OLV_NOMEM, "out of memory");
    set(&c, c.j, "model_type", json_string(a->model_type));
    set(&c, c.j, "tie_word_embeddings", json_boolean(!ol_gguf_tensor_find(g, "output.weight")));
    /* The table itself says how many tokens there are: vocab_size is missing in some files. */
    const ol_gguf_tensor *t = ol_gguf_tensor_find(g, "token_embd.weight");
    olv_status s = OLV_OK;
    if (!t || t->rank != 2)
        s = ol_fail(err, OLV_NOT_FOUND, "tensor 'token_embd.weight': missing, expected a matrix");
    else
        set(&c, c.j, "vocab_size", json_integer(t->dims[0]));
    if (s == OLV_OK) s = copy_all(&c, err);
    if (s == OLV_OK && strncmp(a->name, "gemma", 5) == 0) s = copy_gemma(&c, err);
    if (s == OLV_OK && c.failed) s = ol_fail(err, OLV_NOMEM, "out of memory");
    if (s == OLV_OK)
        *out = c.j;
    else
        json_decref(c.j);
    return s;
}

const ol_hf_names *ol_gguf_names(const ol_hf_config *c, ol_arena *arena) {
    const ol_hf_names *f = c->names;
    ol_hf_names *n = ol_arena_calloc(arena, 1, sizeof *n);
    if (!n) return NULL;
    n->base = "";
    n->layer = "blk.%d.";
    n->head = "output";
    n->embed = "token_embd";
    n->final_norm = "output_norm";
    if (f->positions) n->positions = "position_embd";
    if (f->embed_norm) n->embed_norm = "token_embd_norm";
    if (f->attn_norm) n->attn_norm = "attn_norm";
    if (f->post_attn_norm) n->post_attn_norm = "post_attention_norm";
    if (f->mlp_norm) n->mlp_norm = "ffn_norm";
    if (f->post_mlp_norm) n->post_mlp_norm = "post_ffw_norm";
    if (f->qkv) n->qkv = "attn_qkv";
    if (f->q) {
        n->q = "attn_q";
        n->k = "attn_k";
        n->v = "attn_v";
    }
    n->o = "attn_output";
    if (f->q_norm) n->q_norm = "attn_q_norm";
    if (f->k_norm) n->k_norm = "attn_k_norm";
    if (f->gate) n->gate = "ffn_gate";
    n->up = "ffn_up";
    n->down = "ffn_down";
    if (strcmp(c->model_type, "phi3") == 0) n->gate_up = "ffn_up"; /* gate and up in one */
    return n;
}
