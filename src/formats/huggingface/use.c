/* SPDX-License-Identifier: Apache-2.0 */
#include "formats/huggingface/use.h"

#include "base/alloc.h"
#include "base/error.h"
#include "base/file.h"

#include <string.h>

#define MAX_JSON (1u << 20)
#define MAX_MODULES 32
#define MAX_WIDTH (1 << 22)

static olv_status no_memory(olv_error *err) { return ol_fail(err, OLV_NOMEM, "out of memory"); }

/* *out: the object in folder/name, NULL when there is no such file. */
static olv_status read_object(const char *folder, const char *name, json_t **out, olv_error *err) {
    char *path = ol_path_join(folder, name);
    olv_status s = path ? OLV_OK : no_memory(err);
    *out = NULL;
    if (s == OLV_OK && ol_file_exists(path)) s = ol_json_read_file(path, MAX_JSON, out, err);
    if (s == OLV_OK && *out && !json_is_object(*out)) {
        json_decref(*out);
        *out = NULL;
        s = ol_fail(err, OLV_FORMAT, "%s: expected a JSON object", path);
    }
    ol_free(path);
    return s;
}

static const char *keep(ol_arena *a, const char *text) { return text ? ol_arena_strdup(a, text) : NULL; }

/* ---- modules ---- */

static const char *const pool_keys[OL_HF_MAX_POOLS] = {
    "pooling_mode_cls_token", "pooling_mode_max_tokens", "pooling_mode_mean_tokens",
    "pooling_mode_mean_sqrt_len_tokens", "pooling_mode_weightedmean_tokens", "pooling_mode_lasttoken"};
static const char *const pool_names[OL_HF_MAX_POOLS] = {"cls", "max", "mean", "mean_sqrt_len_tokens", "weightedmean",
                                                        "lasttoken"};
static const char *const pool_kinds[OL_HF_MAX_POOLS] = {"first", "max", "mean", "mean_sqrt", "weighted", "last"};

static olv_status add_pool(ol_hf_use *u, const char *name, olv_error *err) {
    for (int i = 0; i < OL_HF_MAX_POOLS; i++) {
        if (!name || strcmp(name, pool_names[i]) != 0) continue;
        if (u->n_pools == OL_HF_MAX_POOLS) return ol_fail(err, OLV_FORMAT, "key 'pooling_mode': too many modes");
        u->pools[u->n_pools++] = pool_kinds[i];
        return OLV_OK;
    }
    return ol_fail(err, OLV_UNSUPPORTED, "key 'pooling_mode': found '%.40s', expected cls, max, mean, "
                   "mean_sqrt_len_tokens, weightedmean or lasttoken", name ? name : "no text");
}

static olv_status read_pooling(const json_t *j, ol_hf_use *u, olv_error *err) {
    const json_t *mode = json_object_get(j, "pooling_mode"), *item;
    bool on, include;
    size_t i;
    u->n_pools = 0;
    if (json_is_array(mode)) json_array_foreach(mode, i, item) OL_TRY(add_pool(u, json_string_value(item), err));
    else if (mode) OL_TRY(add_pool(u, json_string_value(mode), err));
    for (int k = 0; !mode && k < OL_HF_MAX_POOLS; k++) {
        OL_TRY(ol_json_bool(j, pool_keys[k], false, &on, err));
        if (on) OL_TRY(add_pool(u, pool_names[k], err));
    }
    if (!u->n_pools) OL_TRY(add_pool(u, "mean", err));
    OL_TRY(ol_json_bool(j, "include_prompt", true, &include, err));
    u->skip_prompt = !include;
    return OLV_OK;
}

/* Last part of a class name, "torch.nn.modules.activation.Tanh", as activations are spelled. */
static const char *activation_of(const char *class_name) {
    static const char *const table[][2] = {{"Tanh", "tanh"}, {"Identity", "identity"}, {"ReLU", "relu"},
                                           {"GELU", "gelu"}, {"SiLU", "silu"}, {"Sigmoid", "sigmoid"}};
    const char *dot = class_name ? strrchr(class_name, '.') : NULL, *last = dot ? dot + 1 : class_name;
    for (size_t i = 0; last && i < sizeof table / sizeof table[0]; i++)
        if (strcmp(last, table[i][0]) == 0) return table[i][1];
    return NULL;
}

static olv_status read_dense(const json_t *j, const char *folder, ol_arena *arena, ol_hf_use *u, olv_error *err) {
    const char *act, *from;
    if (u->n_dense == OL_HF_MAX_DENSE) return ol_fail(err, OLV_LIMIT, "more than %d Dense modules", OL_HF_MAX_DENSE);
    ol_hf_dense *d = &u->dense[u->n_dense++];
    OL_TRY(ol_json_int(j, "in_features", 1, MAX_WIDTH, 0, &d->in, err));
    OL_TRY(ol_json_int(j, "out_features", 1, MAX_WIDTH, 0, &d->out, err));
    OL_TRY(ol_json_bool(j, "bias", true, &d->bias, err));
    OL_TRY(ol_json_bool(j, "use_residual", false, &d->residual, err));
    OL_TRY(ol_json_string(j, "activation_function", "Tanh", &act, err));
    OL_TRY(ol_json_string(j, "module_input_name", "sentence_embedding", &from, err));
    if (d->in < 1 || d->out < 1) return ol_fail(err, OLV_FORMAT, "in_features and out_features are missing");
    if (strcmp(from, "sentence_embedding") != 0 || (d->residual && d->in != d->out))
        return ol_fail(err, OLV_UNSUPPORTED, "a Dense module over '%.40s', or with a projected residual", from);
    d->act = activation_of(act);
    if (!d->act) return ol_fail(err, OLV_UNSUPPORTED, "key 'activation_function': '%.80s' is not supported", act);
    d->folder = keep(arena, folder);
    return d->folder ? OLV_OK : no_memory(err);
}

/* One entry of modules.json. Its path is a plain name. */
static olv_status read_module(const char *folder, const char *type, const char *path, ol_arena *arena, ol_hf_use *u,
                              olv_error *err) {
    const char *dot = strrchr(type, '.'), *kind = dot ? dot + 1 : type;
    bool pooling = strcmp(kind, "Pooling") == 0, dense = strcmp(kind, "Dense") == 0;
    if (strcmp(kind, "Normalize") == 0) u->normalize = true;
    if (strcmp(kind, "Normalize") == 0 || strcmp(kind, "Transformer") == 0 || strcmp(kind, "Dropout") == 0) return OLV_OK;
    if (!pooling && !dense)
        return ol_fail(err, OLV_UNSUPPORTED, "module '%.80s' is not supported; known are Transformer, Pooling, Dense, "
                       "Normalize, Dropout", type);
    if (!*path || strchr(path, '/') || strchr(path, '\\') || strcmp(path, "..") == 0)
        return ol_fail(err, OLV_FORMAT, "path '%.80s' of module %s is no plain name", path, kind);
    char *sub = ol_path_join(folder, path);
    if (!sub) return no_memory(err);
    json_t *j = NULL;
    olv_status s = read_object(sub, "config.json", &j, err);
    if (s == OLV_OK && !j && pooling) s = add_pool(u, "mean", err);
    if (s == OLV_OK && !j && dense) s = ol_fail(err, OLV_NOT_FOUND, "%s/config.json is missing", sub);
    if (s == OLV_OK && j) s = pooling ? read_pooling(j, u, err) : read_dense(j, sub, arena, u, err);
    if (s != OLV_OK) ol_error_at(err, "%s", path);
    json_decref(j);
    ol_free(sub);
    return s;
}

static olv_status read_modules(const char *folder, ol_arena *arena, ol_hf_use *u, olv_error *err) {
    char *path = ol_path_join(folder, "modules.json");
    if (!path) return no_memory(err);
    json_t *j = NULL, *item;
    size_t i;
    olv_status s = OLV_OK;
    if (ol_file_exists(path)) {
        u->given = true;
        s = ol_json_read_file(path, MAX_JSON, &j, err);
        if (s == OLV_OK && (!json_is_array(j) || json_array_size(j) > MAX_MODULES))
            s = ol_fail(err, OLV_FORMAT, "expected a list of at most %d modules", MAX_MODULES);
        json_array_foreach(j, i, item) {
            const char *type = json_string_value(json_object_get(item, "type"));
            const char *sub = json_string_value(json_object_get(item, "path"));
            if (s == OLV_OK)
                s = type ? read_module(folder, type, sub ? sub : "", arena, u, err)
                         : ol_fail(err, OLV_FORMAT, "entry %zu has no type", i);
        }
        if (s != OLV_OK) ol_error_at(err, "modules.json");
    }
    json_decref(j);
    ol_free(path);
    return s;
}

/* ---- lengths and prompts ---- */

static olv_status read_length(const char *folder, ol_hf_use *u, olv_error *err) {
    static const char *const names[] = {"sentence_bert_config.json", "sentence_roberta_config.json",
                                        "sentence_distilbert_config.json", "sentence_camembert_config.json",
                                        "sentence_albert_config.json", "sentence_xlm-roberta_config.json"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        json_t *j;
        OL_TRY(read_object(folder, names[i], &j, err));
        if (!j) continue;
        olv_status s = ol_json_int(j, "max_seq_length", 1, INT32_MAX, 0, &u->max_length, err);
        if (s == OLV_OK) s = ol_json_bool(j, "do_lower_case", false, &u->lower_case, err);
        if (s != OLV_OK) ol_error_at(err, "%s", names[i]);
        json_decref(j);
        return s;
    }
    return OLV_OK;
}

static olv_status read_prompts(const char *folder, ol_arena *arena, ol_hf_use *u, olv_error *err) {
    json_t *j, *text;
    const char *name, *def;
    OL_TRY(read_object(folder, "config_sentence_transformers.json", &j, err));
    if (!j) return OLV_OK;
    olv_status s = ol_json_string(j, "default_prompt_name", NULL, &def, err);
    if (s == OLV_OK && def && !(u->default_prompt = keep(arena, def))) s = no_memory(err);
    json_object_foreach(json_object_get(j, "prompts"), name, text) {
        if (s != OLV_OK || !json_is_string(text)) continue;
        if (u->n_prompts == OL_HF_MAX_PROMPTS) {
            s = ol_fail(err, OLV_LIMIT, "more than %d prompts", OL_HF_MAX_PROMPTS);
            continue;
        }
        u->prompts[u->n_prompts].name = keep(arena, name);
        u->prompts[u->n_prompts].text = keep(arena, json_string_value(text));
        if (!u->prompts[u->n_prompts].name || !u->prompts[u->n_prompts].text) s = no_memory(err);
        u->n_prompts++;
    }
    if (s != OLV_OK) ol_error_at(err, "config_sentence_transformers.json");
    json_decref(j);
    return s;
}

olv_status ol_hf_use_read(const char *folder, ol_arena *arena, ol_hf_use *u, olv_error *err) {
    memset(u, 0, sizeof *u);
    OL_TRY(read_modules(folder, arena, u, err));
    if (!u->n_pools) u->pools[u->n_pools++] = "mean";
    OL_TRY(read_length(folder, u, err));
    return read_prompts(folder, arena, u, err);
}
