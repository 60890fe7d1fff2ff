/* SPDX-License-Identifier: Apache-2.0 */
/* Finding the chat template and the special tokens of a model folder. */
#include "base/alloc.h"
#include "base/error.h"
#include "base/file.h"
#include "base/wire/gguf.h"
#include "text/template.h"
#include "text/tokenizer.h"

enum { CONFIG_MAX = 64 << 20, TEMPLATE_MAX = 16 << 20 };

static olv_status parse_file(const char *path, olv_template **out, olv_error *err) {
    char *text;
    size_t len;
    OL_TRY(ol_file_read(path, TEMPLATE_MAX, &text, &len, err));
    olv_status st = olv_template_parse(text, len, out, err);
    ol_free(text);
    return st == OLV_OK ? st : ol_error_at(err, "%s", path);
}

static olv_status parse_text(const json_t *text, const char *where, olv_template **out, olv_error *err) {
    olv_status st = olv_template_parse(json_string_value(text), json_string_length(text), out, err);
    return st == OLV_OK ? st : ol_error_at(err, "%s: chat_template", where);
}

static const json_t *named(const json_t *list, const char *name) {
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *e = json_array_get(list, i);
        const char *n = json_string_value(json_object_get(e, "name"));
        const json_t *t = json_object_get(e, "template");
        if (n && strcmp(n, name) == 0 && json_is_string(t)) return t;
    }
    return NULL;
}

/* The value of `chat_template`: a text, or a list of named ones. */
static olv_status parse_value(const json_t *v, const char *where, olv_template **out, olv_error *err) {
    if (json_is_string(v)) return parse_text(v, where, out, err);
    if (!json_is_array(v)) return ol_fail(err, OLV_FORMAT, "%s: chat_template must be a text or a list", where);
    const json_t *def = named(v, "default"), *tools = named(v, "tool_use");
    if (!def) return ol_fail(err, OLV_NOT_FOUND, "%s: chat_template has no template named 'default'", where);
    olv_template *t, *alternative;
    OL_TRY(parse_text(def, where, &t, err));
    if (tools) {
        olv_status st = parse_text(tools, where, &alternative, err);
        if (st != OLV_OK) {
            olv_template_destroy(t);
            return st;
        }
        ol_template_set_tool_use(t, alternative);
    }
    *out = t;
    return OLV_OK;
}

static olv_status set_tokens(olv_template *t, const json_t *config, olv_error *err) {
    static const char *const names[] = {"bos_token", "eos_token", "unk_token", "sep_token",
                                        "pad_token", "cls_token", "mask_token"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const json_t *v = json_object_get(config, names[i]);
        if (json_is_object(v)) v = json_object_get(v, "content");
        if (json_is_string(v)) OL_TRY(ol_template_set_default(t, names[i], json_string_value(v), err));
    }
    return OLV_OK;
}

/* NULL in *out when the folder has no such file. */
static olv_status read_config(const char *dir, const char *name, json_t **out, olv_error *err) {
    char *path = ol_path_join(dir, name);
    olv_status st = OLV_OK;
    *out = NULL;
    if (!path) return ol_fail(err, OLV_NOMEM, "out of memory for a path");
    if (ol_file_exists(path)) st = ol_json_read_file(path, CONFIG_MAX, out, err);
    ol_free(path);
    return st;
}

static olv_status from_json_file(const char *dir, const char *name, olv_template **out, olv_error *err) {
    json_t *config;
    OL_TRY(read_config(dir, name, &config, err));
    const json_t *v = json_object_get(config, "chat_template");
    olv_status st = OLV_OK;
    if (v && !json_is_null(v)) st = parse_value(v, name, out, err);
    json_decref(config);
    return st;
}

/* The template inside the tokenizer model of OpenVINO. */
static olv_status from_openvino(const char *dir, olv_template **out, olv_error *err) {
    char *path = ol_path_join(dir, "openvino_tokenizer.xml"), *text = NULL;
    if (!path) return ol_fail(err, OLV_NOMEM, "out of memory for a path");
    olv_status st = ol_file_exists(path) ? ol_tokenizer_openvino_template(dir, &text, err) : OLV_OK;
    if (st == OLV_OK && text && olv_template_parse(text, strlen(text), out, err) != OLV_OK) st = ol_error_at(err, "%s", path);
    ol_free(text);
    ol_free(path);
    return st;
}

static olv_status find_template(const char *dir, olv_template **out, olv_error *err) {
    char *path = ol_path_join(dir, "chat_template.jinja");
    if (!path) return ol_fail(err, OLV_NOMEM, "out of memory for a path");
    olv_status st = ol_file_exists(path) ? parse_file(path, out, err) : OLV_OK;
    ol_free(path);
    if (st != OLV_OK || *out) return st;
    OL_TRY(from_json_file(dir, "chat_template.json", out, err));
    if (*out) return OLV_OK;
    OL_TRY(from_json_file(dir, "tokenizer_config.json", out, err));
    if (*out) return OLV_OK;
    OL_TRY(from_openvino(dir, out, err));
    if (*out) return OLV_OK;
    return ol_fail(err, OLV_NOT_FOUND,
                   "no chat template: expected chat_template.jinja, or chat_template in tokenizer_config.json");
}

static olv_status tokens_of(const char *dir, olv_template *t, olv_error *err) {
    static const char *const files[] = {"special_tokens_map.json", "tokenizer_config.json"};
    for (size_t i = 0; i < 2; i++) {
        json_t *config;
        OL_TRY(read_config(dir, files[i], &config, err));
        olv_status st = set_tokens(t, config, err);
        json_decref(config);
        if (st != OLV_OK) return st;
    }
    return OLV_OK;
}

/* ---- GGUF ---- */

static olv_status set_gguf_token(olv_template *t, const ol_gguf *g, const char *name, const char *key, olv_error *err) {
    const ol_gguf_pair *tokens = ol_gguf_find(g, "tokenizer.ggml.tokens");
    int64_t id;
    if (!ol_gguf_int(ol_gguf_find(g, key), &id) || !tokens || tokens->kind != OL_GGUF_ARRAY ||
        tokens->item_kind != OL_GGUF_STRING || id < 0 || (uint64_t)id >= tokens->count)
        return OLV_OK;
    ol_bytes r = ol_gguf_strings(tokens);
    for (int64_t i = 0; i < id; i++) (void)ol_gguf_next_string(&r);
    ol_str s = ol_gguf_next_string(&r);
    char *text = ol_alloc(s.len + 1);
    if (!text) return ol_fail(err, OLV_NOMEM, "out of memory");
    memcpy(text, s.ptr, s.len);
    text[s.len] = 0;
    olv_status st = ol_template_set_default(t, name, text, err);
    ol_free(text);
    return st;
}

static olv_status from_gguf(const ol_gguf *g, olv_template **out, olv_error *err) {
    ol_str text;
    olv_template *t;
    if (!ol_gguf_string(ol_gguf_find(g, "tokenizer.chat_template"), &text))
        return ol_fail(err, OLV_NOT_FOUND, "no chat template (key 'tokenizer.chat_template')");
    if (text.len > TEMPLATE_MAX) return ol_fail(err, OLV_LIMIT, "chat template of %zu bytes", text.len);
    OL_TRY(olv_template_parse(text.ptr, text.len, &t, err));
    olv_status st = set_gguf_token(t, g, "bos_token", "tokenizer.ggml.bos_token_id", err);
    if (st == OLV_OK) st = set_gguf_token(t, g, "eos_token", "tokenizer.ggml.eos_token_id", err);
    if (st == OLV_OK) st = set_gguf_token(t, g, "unk_token", "tokenizer.ggml.unknown_token_id", err);
    if (st == OLV_OK) st = set_gguf_token(t, g, "pad_token", "tokenizer.ggml.padding_token_id", err);
    if (st == OLV_OK)
        *out = t;
    else
        olv_template_destroy(t);
    return st;
}

/* A file: GGUF by its content, else the text of a template. */
static olv_status open_file(const char *path, olv_template **out, olv_error *err) {
    ol_file *f;
    ol_gguf *g = NULL;
    OL_TRY(ol_file_open(path, &f, err));
    if (f->size < 8 || memcmp(f->data, "GGUF", 4) != 0) {
        ol_file_release(f);
        return parse_file(path, out, err);
    }
    olv_status st = ol_gguf_parse(f->data, (size_t)f->size, path, &g, err);
    if (st == OLV_OK && (st = from_gguf(g, out, err)) != OLV_OK) (void)ol_error_at(err, "%s", path);
    ol_gguf_destroy(g);
    ol_file_release(f);
    return st;
}

olv_status olv_template_open(const char *path, olv_template **out, olv_error *err) {
    if (!ol_dir_exists(path)) return open_file(path, out, err);
    olv_template *t = NULL;
    olv_status st = find_template(path, &t, err);
    if (st == OLV_OK) st = tokens_of(path, t, err);
    if (st != OLV_OK) {
        olv_template_destroy(t);
        return ol_error_at(err, "%s", path);
    }
    *out = t;
    return OLV_OK;
}
