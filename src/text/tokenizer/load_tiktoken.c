/* SPDX-License-Identifier: Apache-2.0 */
/* tiktoken rank files: lines of a base64 token, a space and its rank, which is its id and the order
 * of its merge. The pattern and the special tokens come from a JSON file beside it ("pat_str",
 * "special_tokens"); without one the pattern is that of cl100k_base, and there are no special
 * tokens. */
#include "base/base64.h"
#include "text/tokenizer/state.h"

#define CL100K                                                           \
    "'(?i:[sdmt]|ll|ve|re)|[^\\r\\n\\p{L}\\p{N}]?+\\p{L}+|\\p{N}{1,3}| " \
    "?[^\\s\\p{L}\\p{N}]++[\\r\\n]*|\\s*[\\r\\n]|"                       \
    "\\s+(?!\\S)|\\s+"

static olv_status read_line(olv_tokenizer *t, ol_str line, uint32_t number, const char *name,
                            olv_error *err) {
    const char *space = memchr(line.ptr, ' ', line.len);
    ol_str token = {line.ptr, space ? (size_t)(space - line.ptr) : 0};
    uint64_t rank = 0;
    size_t i = token.len + 1, at;
    bool ok = space && i < line.len;
    for (; ok && i < line.len; i++) {
        ok = line.ptr[i] >= '0' && line.ptr[i] <= '9' && rank <= UINT32_MAX;
        rank = rank * 10 + (uint64_t)(line.ptr[i] - '0');
    }
    if (!ok || rank > UINT32_MAX - 1)
        return ol_fail(err, OLV_FORMAT, "%s:%u: a base64 token, a space and a rank are expected",
                       name, number);
    if (!ol_base64_decode(token, &t->vocab.blob, &at))
        return ol_fail(err, OLV_FORMAT, "%s:%u: not base64 at character %zu", name, number, at + 1);
    if (!ol_tk_vocab_commit(&t->vocab, (uint32_t)rank)) {
        ol_tk_vocab_refused(&t->vocab, err);
        return ol_error_at(err, "%s", name);
    }
    return OLV_OK;
}

static olv_status read_ranks(olv_tokenizer *t, const char *text, size_t len, const char *name,
                             olv_error *err) {
    const char *p = text, *end = text + len;
    for (uint32_t number = 1; p < end; number++) {
        const char *nl = memchr(p, '\n', (size_t)(end - p));
        ol_str line = {p, (size_t)((nl ? nl : end) - p)};
        if (line.len && line.ptr[line.len - 1] == '\r') line.len--;
        if (line.len) OL_TRY(read_line(t, line, number, name, err));
        p = nl ? nl + 1 : end;
    }
    return ol_tk_vocab_finish(&t->vocab, err);
}

/* Special tokens have the ids that the file gives them: they are put into the vocabulary too, under
 * no merge. */
static olv_status read_special(olv_tokenizer *t, json_t *special, olv_error *err) {
    const char *key;
    json_t *v;
    size_t n = json_object_size(special), i = 0;
    if (n > 100000)
        return ol_fail(err, OLV_LIMIT, "special_tokens: %zu, at most 100000 are allowed", n);
    ol_tk_added *list = ol_arena_calloc(t->arena, n + 1, sizeof *list);
    if (!list) return ol_fail(err, OLV_NOMEM, "out of memory");
    json_object_foreach(special, key, v) {
        if (!json_is_integer(v) || json_integer_value(v) < 0 ||
            json_integer_value(v) > UINT32_MAX - 1)
            return ol_fail(err, OLV_FORMAT, "special_tokens: \"%.80s\" has no id", key);
        list[i].content = ol_str_of(ol_arena_strdup(t->arena, key));
        list[i].id = (uint32_t)json_integer_value(v);
        list[i].special = list[i].fixed_id = true;
        if (!list[i++].content.ptr) return ol_fail(err, OLV_NOMEM, "out of memory");
    }
    return ol_tk_added_build(t, list, i, err);
}

static olv_status add_split(olv_tokenizer *t, const char *pattern, olv_error *err) {
    ol_tk_regex *re = NULL;
    OL_TRY(ol_tk_regex_create(ol_str_of(pattern), OL_TK_PERL, false, &re, err));
    olv_status st = ol_tk_add_split(t, re, err);
    if (st != OLV_OK) ol_tk_regex_destroy(re);
    return st;
}

olv_status ol_tk_load_tiktoken(olv_tokenizer *t, const char *text, size_t len, const char *config,
                               size_t config_len, const char *name, olv_error *err) {
    t->raw_bytes = true;
    OL_TRY(read_ranks(t, text, len, name, err));
    ol_tk_model_spec spec = {
        .type = "BPE", .vocab = &t->vocab, .name = name, .rank_is_id = true, .raw_bytes = true};
    if (ol_tk_create_model(t, &spec, err) != OLV_OK) return ol_error_at(err, "%s", name);
    json_t *cfg = NULL;
    const char *pattern = CL100K;
    olv_status st = OLV_OK;
    if (config) st = ol_json_parse(config, config_len, "tiktoken.json", &cfg, err);
    if (st == OLV_OK && cfg) st = ol_json_string(cfg, "pat_str", CL100K, &pattern, err);
    if (st == OLV_OK) st = add_split(t, pattern, err);
    if (st == OLV_OK) st = read_special(t, json_object_get(cfg, "special_tokens"), err);
    json_decref(cfg);
    return st == OLV_OK ? ol_tk_finish(t, "tiktoken BPE", err) : st;
}
