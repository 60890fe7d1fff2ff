/* SPDX-License-Identifier: Apache-2.0 */
#include "bundle/bundle.h"

#include "base/alloc.h"
#include "base/error.h"
#include "base/file.h"
#include "formats/gguf/gguf.h"
#include "formats/huggingface/huggingface.h"
#include "formats/openvino/lm.h"
#include "formats/ortgenai/ortgenai.h"
#include "text/tokenizer.h"

#include <stdio.h>
#include <stdlib.h>

#define MAX_JSON (64u << 20)
#define MAX_TEMPLATE (4u << 20)

void ol_bundle_close(ol_bundle *b) {
    if (!b) return;
    char *const owned[] = {b->path, b->folder, b->name, b->tokenizer, b->tokenizer_config, b->special_tokens_map,
                           b->chat_template_file, b->chat_template};
    for (size_t i = 0; i < sizeof owned / sizeof owned[0]; i++) ol_free(owned[i]);
    ol_gen_config_deinit(&b->generation);
    if (b->graph) ol_graph_destroy(b->graph);
    ol_free(b);
}

ol_graph *ol_bundle_take_graph(ol_bundle *b) {
    ol_graph *g = b->graph;
    b->graph = NULL;
    return g;
}

/* ---- companion files ---- */

/* *out: dir/name when it exists, else NULL. */
static olv_status path_of(const char *dir, const char *name, char **out, olv_error *err) {
    *out = ol_path_join(dir, name);
    if (!*out) return ol_fail(err, OLV_NOMEM, "no memory for a path");
    if (ol_file_exists(*out)) return OLV_OK;
    ol_free(*out);
    *out = NULL;
    return OLV_OK;
}

static olv_status find_tokenizer(const char *dir, char **out, olv_error *err) {
    static const char *const names[] = {"tokenizer.json", "tokenizer.model", "spiece.model", "ranks.tiktoken",
                                        "tokenizer.tiktoken", "qwen.tiktoken", "openvino_tokenizer.xml", "vocab.json", "vocab.txt"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        OL_TRY(path_of(dir, names[i], out, err));
        if (*out) return OLV_OK;
    }
    return OLV_OK;
}

/* `chat_template` of a JSON file: a text, or a list of named ones, of which "default" (else the first) is taken. */
static olv_status template_in_json(const char *path, char **out, olv_error *err) {
    json_t *j;
    OL_TRY(ol_json_read_file(path, MAX_JSON, &j, err));
    const json_t *t = json_object_get(j, "chat_template"), *item;
    const char *text = json_string_value(t);
    size_t i;
    json_array_foreach(t, i, item) {
        const char *name = json_string_value(json_object_get(item, "name"));
        const char *body = json_string_value(json_object_get(item, "template"));
        if (body && (!text || (name && strcmp(name, "default") == 0))) text = body;
    }
    olv_status s = OLV_OK;
    if (text && strlen(text) > MAX_TEMPLATE)
        s = ol_fail(err, OLV_LIMIT, "%s: chat template of %zu bytes, expected at most %u", path, strlen(text), MAX_TEMPLATE);
    if (text && s == OLV_OK) {
        *out = ol_alloc(strlen(text) + 1);
        if (*out)
            memcpy(*out, text, strlen(text) + 1);
        else
            s = ol_fail(err, OLV_NOMEM, "out of memory");
    }
    json_decref(j);
    return s;
}

static olv_status find_template(ol_bundle *b, olv_error *err) {
    OL_TRY(path_of(b->folder, "chat_template.jinja", &b->chat_template_file, err));
    if (b->chat_template_file) {
        size_t n;
        return ol_file_read(b->chat_template_file, MAX_TEMPLATE, &b->chat_template, &n, err);
    }
    if (b->tokenizer_config) OL_TRY(template_in_json(b->tokenizer_config, &b->chat_template, err));
    if (b->chat_template) return OLV_OK;
    char *other;
    OL_TRY(path_of(b->folder, "chat_template.json", &other, err));
    olv_status s = other ? template_in_json(other, &b->chat_template, err) : OLV_OK;
    ol_free(other);
    if (s != OLV_OK || b->chat_template || !b->tokenizer || !ol_str_ends(ol_str_of(b->tokenizer), "openvino_tokenizer.xml")) return s;
    return ol_tokenizer_openvino_template(b->folder, &b->chat_template, err);
}

static olv_status find_companions(ol_bundle *b, olv_error *err) {
    OL_TRY(find_tokenizer(b->folder, &b->tokenizer, err));
    OL_TRY(path_of(b->folder, "tokenizer_config.json", &b->tokenizer_config, err));
    OL_TRY(path_of(b->folder, "special_tokens_map.json", &b->special_tokens_map, err));
    return find_template(b, err);
}

/* ---- configs ---- */

static int64_t meta_int(const ol_graph *g, const char *key, int64_t def) {
    const char *v = ol_graph_get_meta(g, key);
    return v ? strtoll(v, NULL, 10) : def;
}

static void meta_text(const ol_graph *g, const char *key, char *out, size_t size) {
    const char *v = ol_graph_get_meta(g, key);
    if (v && *v) snprintf(out, size, "%s", v);
}

static void info_from_graph(ol_bundle *b) {
    const ol_graph *g = b->graph;
    ol_bundle_info *i = &b->info;
    meta_text(g, "model_type", i->model_type, sizeof i->model_type);
    meta_text(g, "architecture", i->architecture, sizeof i->architecture);
    meta_text(g, "task", i->task, sizeof i->task);
    i->vocab_size = meta_int(g, "vocab_size", i->vocab_size);
    i->context_length = meta_int(g, "context_length", i->context_length);
    i->hidden_size = meta_int(g, "hidden_size", i->hidden_size);
    i->intermediate_size = meta_int(g, "intermediate_size", i->intermediate_size);
    i->n_layers = meta_int(g, "n_layers", i->n_layers);
    i->n_heads = meta_int(g, "n_heads", i->n_heads);
    i->n_kv_heads = meta_int(g, "n_kv_heads", i->n_kv_heads);
    i->head_dim = meta_int(g, "head_dim", i->head_dim);
    i->weight_bytes = ol_graph_weight_bytes(g, &i->parameters);
}

/* Lays a JSON file's generation settings over b; a missing file is fine. */
static olv_status read_generation(ol_bundle *b, const char *name, olv_error *err) {
    char *path;
    OL_TRY(path_of(b->folder, name, &path, err));
    if (!path) return OLV_OK;
    json_t *j = NULL;
    olv_status s = ol_json_read_file(path, MAX_JSON, &j, err);
    if (s == OLV_OK && ol_gen_config_read(&b->generation, j, err) != OLV_OK) s = ol_error_at(err, "%s", path);
    json_decref(j);
    ol_free(path);
    return s;
}

/* Token ids and names of config.json; a missing file is fine. Only ids are taken as generation settings: max_length and
 * the like in old configs are defaults of a library, not of the model. */
static olv_status read_config(ol_bundle *b, olv_error *err) {
    char *path;
    OL_TRY(path_of(b->folder, "config.json", &path, err));
    if (!path) return OLV_OK;
    json_t *j = NULL;
    olv_status s = ol_json_read_file(path, MAX_JSON, &j, err);
    ol_free(path);
    OL_TRY(s);
    const char *type = json_string_value(json_object_get(j, "model_type"));
    const char *arch = json_string_value(json_array_get(json_object_get(j, "architectures"), 0));
    if (type) snprintf(b->info.model_type, sizeof b->info.model_type, "%s", type);
    if (arch) snprintf(b->info.architecture, sizeof b->info.architecture, "%s", arch);
    static const char *const keys[] = {"eos_token_id", "bos_token_id", "pad_token_id", "decoder_start_token_id"};
    json_t *ids = json_object();
    for (size_t i = 0; ids && i < sizeof keys / sizeof keys[0]; i++) {
        json_t *v = json_object_get(j, keys[i]);
        if (v && json_object_set(ids, keys[i], v) != 0) {
            json_decref(ids);
            ids = NULL;
        }
    }
    if (!ids)
        s = ol_fail(err, OLV_NOMEM, "out of memory");
    else if (ol_gen_config_read(&b->generation, ids, err) != OLV_OK)
        s = ol_error_at(err, "config.json");
    json_decref(ids);
    json_decref(j);
    return s;
}

/* ---- kinds ---- */

static olv_status open_hf(ol_bundle *b, const ol_bundle_options *o, olv_error *err) {
    char *config;
    OL_TRY(path_of(b->folder, "config.json", &config, err));
    ol_free(config);
    if (!config) return ol_fail(err, OLV_NOT_FOUND, "%s: config.json is missing", b->folder);
    OL_TRY(read_config(b, err));
    OL_TRY(read_generation(b, "generation_config.json", err));
    return o->no_graph ? OLV_OK : ol_hf_read(b->folder, &b->graph, err);
}

static olv_status open_ortgenai(ol_bundle *b, const ol_bundle_options *o, olv_error *err) {
    ol_ortgenai_config c;
    OL_TRY(ol_ortgenai_config_read(b->folder, &c, err));
    ol_gen_config_deinit(&b->generation);
    b->generation = c.generation; /* moved */
    ol_gen_config_init(&c.generation);
    ol_bundle_info *i = &b->info;
    snprintf(i->model_type, sizeof i->model_type, "%s", c.type);
    snprintf(i->task, sizeof i->task, "text-generation");
    i->vocab_size = c.vocab_size;
    i->context_length = c.context_length;
    i->hidden_size = c.hidden_size;
    i->n_layers = c.n_layers;
    i->n_heads = c.n_heads;
    i->n_kv_heads = c.n_kv_heads;
    i->head_dim = c.head_size;
    return o->no_graph ? OLV_OK : ol_ortgenai_read(b->folder, &c, &b->graph, err);
}

static char *copy_text(const char *s, size_t n);

/* Graph, token ids and template of a file that holds everything. */
static olv_status open_gguf(ol_bundle *b, const ol_bundle_options *o, olv_error *err) {
    ol_gguf_info i;
    OL_TRY(ol_gguf_read(b->path, o->no_graph ? NULL : &b->graph, &i, err));
    snprintf(b->info.model_type, sizeof b->info.model_type, "%s", i.architecture);
    json_t *ids = json_object();
    bool ok = ids != NULL;
    if (ok && i.n_eos) {
        json_t *list = json_array();
        for (int k = 0; k < i.n_eos; k++) ok = ok && json_array_append_new(list, json_integer(i.eos[k])) == 0;
        ok = json_object_set_new(ids, "eos_token_id", list) == 0 && ok;
    }
    if (ok && i.bos >= 0) ok = json_object_set_new(ids, "bos_token_id", json_integer(i.bos)) == 0;
    if (ok && i.pad >= 0) ok = json_object_set_new(ids, "pad_token_id", json_integer(i.pad)) == 0;
    olv_status s = ok ? ol_gen_config_read(&b->generation, ids, err) : ol_fail(err, OLV_NOMEM, "out of memory");
    json_decref(ids);
    b->tokenizer = i.has_tokenizer ? copy_text(b->path, strlen(b->path)) : NULL;
    b->chat_template = i.chat_template; /* moved */
    if (s == OLV_OK && i.has_tokenizer && !b->tokenizer) s = ol_fail(err, OLV_NOMEM, "out of memory");
    return s;
}

/* A folder of OpenVINO GenAI; a model of its own in another folder is no language model. */
static olv_status open_openvino(ol_bundle *b, const ol_bundle_options *o, olv_error *err) {
    OL_TRY(read_config(b, err));
    OL_TRY(read_generation(b, "generation_config.json", err));
    if (o->no_graph) return OLV_OK;
    if (strcmp(ol_path_name(b->path), OL_OPENVINO_MODEL) != 0)
        return ol_fail(err, OLV_UNSUPPORTED, "%s: no language model: expected a folder with " OL_OPENVINO_MODEL, b->path);
    return ol_openvino_lm_read(b->folder, &b->graph, err);
}

static olv_status open_kind(ol_bundle *b, const ol_bundle_options *o, olv_error *err) {
    switch (b->kind) {
    case OL_BUNDLE_HF: return open_hf(b, o, err);
    case OL_BUNDLE_ORT_GENAI: return open_ortgenai(b, o, err);
    case OL_BUNDLE_GGUF: return open_gguf(b, o, err);
    case OL_BUNDLE_OPENVINO: return open_openvino(b, o, err);
    case OL_BUNDLE_ONNX:
        OL_TRY(read_config(b, err));
        OL_TRY(read_generation(b, "generation_config.json", err));
        if (o->no_graph) return OLV_OK;
        return ol_fail(err, OLV_UNSUPPORTED, "%s: a model of kind %s cannot be opened as a language model", b->path,
                       ol_bundle_kind_name(b->kind));
    case OL_BUNDLE_NONE: break;
    }
    return ol_fail(err, OLV_UNSUPPORTED,
                   "%s: no model found there; expected config.json with safetensors, genai_config.json with ONNX, "
                   "openvino_model.xml, a GGUF or an ONNX file", b->path);
}

static char *copy_text(const char *s, size_t n) {
    char *p = ol_alloc(n + 1);
    if (!p) return NULL;
    memcpy(p, s, n);
    p[n] = 0;
    return p;
}

/* The last part of a MODEL argument without slashes at its end. */
static char *name_of(const char *model) {
    size_t n = strlen(model);
    while (n > 1 && model[n - 1] == '/') n--;
    size_t from = n;
    while (from > 0 && model[from - 1] != '/') from--;
    return copy_text(model + from, n - from);
}

static olv_status open_resolved(ol_bundle *b, const char *model, const ol_bundle_options *o, olv_error *err) {
    char *file = NULL;
    OL_TRY(ol_bundle_recognize(b->path, &b->kind, &file, err));
    if (ol_dir_exists(b->path)) {
        b->folder = copy_text(b->path, strlen(b->path));
        if (file) { /* the folder's only model file */
            ol_free(b->path);
            b->path = file;
        }
    } else {
        const char *name = ol_path_name(b->path);
        b->folder = name == b->path ? copy_text(".", 1) : copy_text(b->path, (size_t)(name - b->path - (name - b->path > 1)));
        ol_free(file);
    }
    b->name = name_of(model);
    if (!b->folder || !b->name) return ol_fail(err, OLV_NOMEM, "out of memory");
    /* The ONNX file of an ORT-GenAI folder means that folder. */
    if (b->kind == OL_BUNDLE_ONNX) {
        char *config;
        OL_TRY(path_of(b->folder, "genai_config.json", &config, err));
        if (config) b->kind = OL_BUNDLE_ORT_GENAI;
        ol_free(config);
    }
    OL_TRY(open_kind(b, o, err));
    if (b->kind != OL_BUNDLE_GGUF) OL_TRY(find_companions(b, err));
    if (b->graph) info_from_graph(b);
    return OLV_OK;
}

olv_status ol_bundle_open(const char *model, const ol_bundle_options *opt, ol_bundle **out, olv_error *err) {
    ol_bundle_options none = {NULL, false};
    if (!opt) opt = &none;
    ol_bundle *b = ol_calloc(1, sizeof *b);
    if (!b) return ol_fail(err, OLV_NOMEM, "out of memory");
    ol_gen_config_init(&b->generation);
    olv_status s = ol_bundle_resolve(model, opt->revision, &b->path, err);
    if (s == OLV_OK) s = open_resolved(b, model, opt, err);
    if (s != OLV_OK) {
        ol_bundle_close(b);
        return s;
    }
    *out = b;
    return OLV_OK;
}
