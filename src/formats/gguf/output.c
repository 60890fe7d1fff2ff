/* SPDX-License-Identifier: Apache-2.0 */
#include "formats/gguf/output.h"

#include "base/alloc.h"
#include "base/error.h"
#include "base/file.h"
#include "base/map.h"

#include <stdio.h>

#define MAX_TOKENIZER (64u << 20)
#define MAX_CONFIG (16u << 20)

void ol_gguf_put_raw(ol_buf *b, uint64_t v, int bytes) {
    for (int i = 0; i < bytes; i++) ol_buf_putc(b, (char)(v >> (8 * i) & 0xFF));
}

void ol_gguf_put_text(ol_buf *b, const char *s, size_t n) {
    ol_gguf_put_raw(b, n, 8);
    ol_buf_append(b, s, n);
}

void ol_gguf_put_key(ol_gguf_pairs *p, const char *key, ol_gguf_kind kind) {
    ol_gguf_put_text(&p->buf, key, strlen(key));
    ol_gguf_put_raw(&p->buf, (uint64_t)kind, 4);
    p->count++;
}

void ol_gguf_put_u32(ol_gguf_pairs *p, const char *key, int64_t v) {
    ol_gguf_put_key(p, key, OL_GGUF_U32);
    ol_gguf_put_raw(&p->buf, (uint64_t)v, 4);
}

void ol_gguf_put_f32(ol_gguf_pairs *p, const char *key, double v) {
    float f = (float)v;
    uint32_t bits;
    memcpy(&bits, &f, 4);
    ol_gguf_put_key(p, key, OL_GGUF_F32);
    ol_gguf_put_raw(&p->buf, bits, 4);
}

void ol_gguf_put_bool(ol_gguf_pairs *p, const char *key, bool v) {
    ol_gguf_put_key(p, key, OL_GGUF_BOOL);
    ol_gguf_put_raw(&p->buf, v, 1);
}

void ol_gguf_put_string(ol_gguf_pairs *p, const char *key, const char *s, size_t n) {
    ol_gguf_put_key(p, key, OL_GGUF_STRING);
    ol_gguf_put_text(&p->buf, s, n);
}

void ol_gguf_put_array(ol_gguf_pairs *p, const char *key, ol_gguf_kind item, uint64_t n) {
    ol_gguf_put_key(p, key, OL_GGUF_ARRAY);
    ol_gguf_put_raw(&p->buf, (uint64_t)item, 4);
    ol_gguf_put_raw(&p->buf, n, 8);
}

/* ---- tokenizer ---- */

typedef struct token {
    ol_str text;
    int type; /* 1 normal, 2 unknown, 3 control, 4 user, 5 unused, 6 byte */
    float score;
} token;

static bool is_byte(ol_str s) { return s.len == 6 && memcmp(s.ptr, "<0x", 3) == 0 && s.ptr[5] == '>'; }

static olv_status place(token *t, int64_t n, const json_t *id, ol_str text, int type, olv_error *err) {
    json_int_t i = json_is_integer(id) ? json_integer_value(id) : -1;
    if (i < 0 || i >= n)
        return ol_fail(err, OLV_FORMAT, "token id %lld, expected 0 to %lld", (long long)i, (long long)n - 1);
    t[i].text = text;
    t[i].type = type;
    return OLV_OK;
}

static ol_str text_of(const json_t *v) {
    return json_is_string(v) ? (ol_str){json_string_value(v), json_string_length(v)} : (ol_str){"", 0};
}

static olv_status fill_tokens(const json_t *j, token *t, int64_t n, bool spm, olv_error *err) {
    const json_t *model = json_object_get(j, "model"), *v, *added = json_object_get(j, "added_tokens");
    json_t *vocab = json_object_get(model, "vocab");
    ol_str unk = text_of(json_object_get(model, "unk_token"));
    const char *key;
    json_t *id;
    size_t i;
    json_object_foreach(vocab, key, id) {
        ol_str s = {key, strlen(key)};
        int type = spm && is_byte(s) ? 6 : unk.len && ol_str_eq(s, unk) ? 2 : 1;
        OL_TRY(place(t, n, id, s, type, err));
    }
    json_array_foreach(added, i, v) {
        ol_str s = text_of(json_object_get(v, "content"));
        int type = json_is_true(json_object_get(v, "special")) ? 3 : 4;
        if (spm && unk.len && ol_str_eq(s, unk)) type = 2;
        OL_TRY(place(t, n, json_object_get(v, "id"), s, type, err));
    }
    return OLV_OK;
}

/* The two halves of a merge, written as "a b" or as a list. */
static bool merge_halves(const json_t *m, ol_str *a, ol_str *b) {
    if (json_is_array(m)) {
        *a = text_of(json_array_get(m, 0));
        *b = text_of(json_array_get(m, 1));
        return a->len && b->len;
    }
    ol_str s = text_of(m);
    const char *space = memchr(s.ptr, ' ', s.len);
    if (!space) return false;
    *a = (ol_str){s.ptr, (size_t)(space - s.ptr)};
    *b = (ol_str){space + 1, s.len - a->len - 1};
    return a->len && b->len;
}

/* Scores by which the first merge to a token comes first. */
static olv_status score_tokens(const json_t *merges, token *t, int64_t n, olv_error *err) {
    ol_map rank;
    ol_map_init(&rank);
    olv_status s = OLV_OK;
    for (int64_t i = 0; i < n && s == OLV_OK; i++)
        if (t[i].text.len && ol_map_put(&rank, t[i].text, (uint64_t)i) < 0) s = ol_fail(err, OLV_NOMEM, "out of memory");
    ol_buf b = OL_BUF_INIT;
    size_t k;
    const json_t *m;
    json_array_foreach(merges, k, m) {
        ol_str l, r;
        if (s != OLV_OK || !merge_halves(m, &l, &r)) continue;
        ol_buf_clear(&b);
        ol_buf_append(&b, l.ptr, l.len);
        ol_buf_append(&b, r.ptr, r.len);
        uint64_t *at = b.failed ? NULL : ol_map_get(&rank, (ol_str){b.data, b.len});
        if (at && t[*at].score == 0) t[*at].score = -(float)(k + 1);
    }
    ol_buf_deinit(&b);
    ol_map_deinit(&rank);
    return s;
}

static void put_merges(ol_gguf_pairs *p, const json_t *merges) {
    size_t i;
    const json_t *m;
    ol_gguf_put_array(p, "tokenizer.ggml.merges", OL_GGUF_STRING, json_array_size(merges));
    json_array_foreach(merges, i, m) {
        ol_str a = {"", 0}, b = {"", 0};
        (void)merge_halves(m, &a, &b);
        ol_gguf_put_raw(&p->buf, a.len + b.len + 1, 8);
        ol_buf_append(&p->buf, a.ptr, a.len);
        ol_buf_putc(&p->buf, ' ');
        ol_buf_append(&p->buf, b.ptr, b.len);
    }
}

/* The name of the way of splitting. */
static const char *split_name(const char *json) {
    if (strstr(json, "\\\\p{N}{1,3}")) return "llama-bpe";
    if (strstr(json, "\\\\p{L}+|\\\\p{N}|")) return "qwen2";
    if (strstr(json, "\"Digits\"")) return "smollm";
    return "gpt-2";
}

/* Whether the post-processor puts a special token before (at_end: behind) a text. */
static bool adds_special(const json_t *p, bool at_end) {
    const json_t *single = json_object_get(p, "single"), *list = json_object_get(p, "processors"), *v;
    size_t n = json_array_size(single), i;
    if (n && json_object_get(json_array_get(single, at_end ? n - 1 : 0), "SpecialToken")) return true;
    json_array_foreach(list, i, v) {
        const json_t *s = json_object_get(v, "single");
        n = json_array_size(s);
        if (n && json_object_get(json_array_get(s, at_end ? n - 1 : 0), "SpecialToken")) return true;
    }
    return false;
}

static void put_tokens(ol_gguf_pairs *p, const token *t, int64_t n, bool spm) {
    ol_gguf_put_array(p, "tokenizer.ggml.tokens", OL_GGUF_STRING, (uint64_t)n);
    for (int64_t i = 0; i < n; i++) {
        char pad[32];
        int len = snprintf(pad, sizeof pad, "[PAD%lld]", (long long)i);
        bool there = t[i].text.len > 0;
        ol_gguf_put_text(&p->buf, there ? t[i].text.ptr : pad, there ? t[i].text.len : (size_t)len);
    }
    if (spm) ol_gguf_put_array(p, "tokenizer.ggml.scores", OL_GGUF_F32, (uint64_t)n);
    for (int64_t i = 0; i < n && spm; i++) {
        uint32_t bits;
        memcpy(&bits, &t[i].score, 4);
        ol_gguf_put_raw(&p->buf, bits, 4);
    }
    ol_gguf_put_array(p, "tokenizer.ggml.token_type", OL_GGUF_I32, (uint64_t)n);
    for (int64_t i = 0; i < n; i++) ol_gguf_put_raw(&p->buf, t[i].text.len ? (uint64_t)t[i].type : 5, 4);
}

static olv_status put_model(ol_gguf_pairs *p, const json_t *j, const char *text, size_t len, int64_t n, olv_error *err) {
    const json_t *model = json_object_get(j, "model"), *merges = json_object_get(model, "merges");
    const char *type = json_string_value(json_object_get(model, "type"));
    if (!json_is_object(json_object_get(model, "vocab")) || (type && strcmp(type, "BPE") != 0))
        return ol_fail(err, OLV_UNSUPPORTED, "tokenizer of type %s, expected BPE", type ? type : "unknown");
    bool spm = json_is_true(json_object_get(model, "byte_fallback"));
    token *t = ol_calloc((size_t)n, sizeof *t);
    if (!t) return ol_fail(err, OLV_NOMEM, "out of memory");
    olv_status s = fill_tokens(j, t, n, spm, err);
    if (s == OLV_OK && spm) s = score_tokens(merges, t, n, err);
    if (s == OLV_OK) {
        const char *pre = spm ? "default" : split_name(text);
        ol_gguf_put_string(p, "tokenizer.ggml.model", spm ? "llama" : "gpt2", spm ? 5 : 4);
        ol_gguf_put_string(p, "tokenizer.ggml.pre", pre, strlen(pre));
        put_tokens(p, t, n, spm);
        if (!spm) put_merges(p, merges);
        const json_t *after = json_object_get(j, "post_processor");
        ol_gguf_put_bool(p, "tokenizer.ggml.add_bos_token", adds_special(after, false));
        ol_gguf_put_bool(p, "tokenizer.ggml.add_eos_token", adds_special(after, true));
        ol_gguf_put_string(p, "tokenizer.huggingface.json", text, len);
    }
    ol_free(t);
    return s;
}

static void put_ids(ol_gguf_pairs *p, const json_t *config) {
    static const char *const eos_keys[] = {"tokenizer.ggml.eos_token_id", "tokenizer.ggml.eot_token_id",
                                           "tokenizer.ggml.eom_token_id"};
    const json_t *bos = json_object_get(config, "bos_token_id"), *pad = json_object_get(config, "pad_token_id");
    const json_t *eos = json_object_get(config, "eos_token_id");
    if (json_is_integer(bos) && json_integer_value(bos) >= 0)
        ol_gguf_put_u32(p, "tokenizer.ggml.bos_token_id", json_integer_value(bos));
    for (size_t i = 0; i < 3; i++) {
        const json_t *v = json_is_array(eos) ? json_array_get(eos, i) : i == 0 ? eos : NULL;
        if (json_is_integer(v) && json_integer_value(v) >= 0) ol_gguf_put_u32(p, eos_keys[i], json_integer_value(v));
    }
    if (json_is_integer(pad) && json_integer_value(pad) >= 0)
        ol_gguf_put_u32(p, "tokenizer.ggml.padding_token_id", json_integer_value(pad));
}

static olv_status put_template(ol_gguf_pairs *p, const char *folder, olv_error *err) {
    char *jinja = ol_path_join(folder, "chat_template.jinja"), *config = ol_path_join(folder, "tokenizer_config.json");
    char *text = NULL;
    size_t len;
    json_t *j = NULL;
    olv_status s = jinja && config ? OLV_OK : ol_fail(err, OLV_NOMEM, "out of memory");
    if (s == OLV_OK && ol_file_exists(jinja)) {
        s = ol_file_read(jinja, MAX_CONFIG, &text, &len, err);
        if (s == OLV_OK) ol_gguf_put_string(p, "tokenizer.chat_template", text, len);
    } else if (s == OLV_OK && ol_file_exists(config)) {
        s = ol_json_read_file(config, MAX_CONFIG, &j, err);
        ol_str t = text_of(json_object_get(j, "chat_template"));
        if (s == OLV_OK && t.len) ol_gguf_put_string(p, "tokenizer.chat_template", t.ptr, t.len);
    }
    json_decref(j);
    ol_free(text);
    ol_free(jinja);
    ol_free(config);
    return s;
}

olv_status ol_gguf_put_tokenizer(ol_gguf_pairs *p, const char *folder, const json_t *config, int64_t vocab,
                                 olv_error *err) {
    char *path = ol_path_join(folder, "tokenizer.json"), *text = NULL;
    size_t len = 0;
    json_t *j = NULL;
    if (!path) return ol_fail(err, OLV_NOMEM, "out of memory");
    olv_status s = ol_file_read(path, MAX_TOKENIZER, &text, &len, err);
    if (s == OLV_OK) s = ol_json_parse(text, len, path, &j, err);
    if (s == OLV_OK && (s = put_model(p, j, text, len, vocab, err)) != OLV_OK) (void)ol_error_at(err, "%s", path);
    json_decref(j);
    ol_free(text);
    ol_free(path);
    OL_TRY(s);
    put_ids(p, config);
    return put_template(p, folder, err);
}
