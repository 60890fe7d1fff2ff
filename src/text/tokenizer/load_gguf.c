/* SPDX-License-Identifier: Apache-2.0 */
/* The tokenizer in the metadata of a GGUF file, rewritten as a tokenizer.json and loaded as one: so there is one meaning of
 * every step. "llama" means SentencePiece's BPE, whose merges are all pairs of tokens that make a token, best score first;
 * "gpt2" means byte-level BPE with its merges and a way of splitting named by tokenizer.ggml.pre. */
#include "text/tokenizer/state.h"

#include "base/alloc.h"
#include "base/wire/gguf.h"

#include <stdlib.h>

#define MAX_TOKENS (1u << 22)
#define MAX_MERGES (1u << 23)
#define MAX_TOKEN 1024u /* bytes of a token that merges are looked for in */

enum { NORMAL = 1, UNKNOWN, CONTROL, USER, UNUSED, BYTE };

typedef struct vocab {
    const ol_gguf *g;
    ol_str *tokens;
    size_t n;
    ol_map ids;
    const ol_gguf_pair *types, *scores;
} vocab;

static int type_of(const vocab *v, size_t i) {
    double t = NORMAL;
    (void)ol_gguf_item(v->types, i, &t);
    return t >= NORMAL && t <= BYTE ? (int)t : NORMAL;
}

static double score_of(const vocab *v, size_t i) {
    double s = 0;
    return ol_gguf_item(v->scores, i, &s) ? s : 0;
}

static olv_status read_vocab(vocab *v, olv_error *err) {
    const ol_gguf_pair *p = ol_gguf_find(v->g, "tokenizer.ggml.tokens");
    if (!p || p->kind != OL_GGUF_ARRAY || p->item_kind != OL_GGUF_STRING)
        return ol_fail(err, OLV_NOT_FOUND, "key 'tokenizer.ggml.tokens': missing, expected a list of strings");
    if (p->count == 0 || p->count > MAX_TOKENS)
        return ol_fail(err, OLV_LIMIT, "key 'tokenizer.ggml.tokens': found %llu, expected 1 to %u",
                       (unsigned long long)p->count, MAX_TOKENS);
    v->tokens = ol_calloc((size_t)p->count, sizeof *v->tokens);
    if (!v->tokens || !ol_map_reserve(&v->ids, (size_t)p->count)) return ol_fail(err, OLV_NOMEM, "out of memory");
    ol_bytes r = ol_gguf_strings(p);
    for (; v->n < p->count; v->n++) {
        v->tokens[v->n] = ol_gguf_next_string(&r);
        if (!ol_map_get(&v->ids, v->tokens[v->n]) && ol_map_put(&v->ids, v->tokens[v->n], v->n) < 0)
            return ol_fail(err, OLV_NOMEM, "out of memory");
    }
    v->types = ol_gguf_find(v->g, "tokenizer.ggml.token_type");
    v->scores = ol_gguf_find(v->g, "tokenizer.ggml.scores");
    return OLV_OK;
}

static void put_token(ol_buf *b, ol_str s) { ol_buf_json_string(b, s.ptr, s.len); }

/* Whether the token is one that the text is searched for before anything else. */
static bool is_added(const vocab *v, size_t i, bool spm) {
    int t = type_of(v, i);
    return t == CONTROL || t == USER || (t == UNKNOWN && spm);
}

static void put_added(ol_buf *b, const vocab *v, bool spm) {
    bool first = true;
    ol_buf_puts(b, "\"added_tokens\":[");
    for (size_t i = 0; i < v->n; i++) {
        if (!is_added(v, i, spm) || v->tokens[i].len == 0) continue;
        ol_buf_printf(b, "%s{\"id\":%zu,\"content\":", first ? "" : ",", i);
        put_token(b, v->tokens[i]);
        ol_buf_printf(b, ",\"single_word\":false,\"lstrip\":false,\"rstrip\":false,\"normalized\":false,\"special\":%s}",
                      type_of(v, i) == USER ? "false" : "true");
        first = false;
    }
    ol_buf_puts(b, "],");
}

static void put_vocab(ol_buf *b, const vocab *v) {
    bool first = true;
    ol_buf_puts(b, "\"vocab\":{");
    for (size_t i = 0; i < v->n; i++) {
        if (*ol_map_get(&v->ids, v->tokens[i]) != i) continue; /* a name that stands there twice means its first id */
        if (!first) ol_buf_putc(b, ',');
        put_token(b, v->tokens[i]);
        ol_buf_printf(b, ":%zu", i);
        first = false;
    }
    ol_buf_putc(b, '}');
}

/* ---- merges ---- */

typedef struct merge {
    uint32_t token, left, right;
    double score;
} merge;

static int by_score(const void *a, const void *b) {
    const merge *x = a, *y = b;
    if (x->score != y->score) return x->score > y->score ? -1 : 1;
    if (x->token != y->token) return x->token < y->token ? -1 : 1;
    if (x->left != y->left) return x->left < y->left ? -1 : 1;
    return (x->right > y->right) - (x->right < y->right);
}

static bool mergeable(const vocab *v, size_t i) { return type_of(v, i) == NORMAL || type_of(v, i) == USER; }

/* All ways to make token i of two others, appended. */
static olv_status merges_of(const vocab *v, size_t i, merge **list, size_t *n, size_t *cap, olv_error *err) {
    ol_str s = v->tokens[i];
    if (!mergeable(v, i) || s.len > MAX_TOKEN) return OLV_OK;
    for (size_t k = 1; k < s.len; k++) {
        if (((uint8_t)s.ptr[k] & 0xC0) == 0x80) continue;
        const uint64_t *l = ol_map_get(&v->ids, (ol_str){s.ptr, k});
        const uint64_t *r = l ? ol_map_get(&v->ids, (ol_str){s.ptr + k, s.len - k}) : NULL;
        if (!r || !mergeable(v, *l) || !mergeable(v, *r)) continue;
        if (*n == *cap) {
            size_t more = *cap ? *cap * 2 : 4096;
            merge *m = *n < MAX_MERGES ? ol_realloc(*list, more * sizeof *m) : NULL;
            if (!m) return ol_fail(err, OLV_NOMEM, "no memory for the merges of the tokenizer");
            *list = m;
            *cap = more;
        }
        (*list)[(*n)++] = (merge){(uint32_t)i, (uint32_t)*l, (uint32_t)*r, score_of(v, i)};
    }
    return OLV_OK;
}

static olv_status put_score_merges(ol_buf *b, const vocab *v, olv_error *err) {
    merge *list = NULL;
    size_t n = 0, cap = 0;
    olv_status s = OLV_OK;
    for (size_t i = 0; i < v->n && s == OLV_OK; i++) s = merges_of(v, i, &list, &n, &cap, err);
    if (n) qsort(list, n, sizeof *list, by_score);
    ol_buf_puts(b, ",\"merges\":[");
    for (size_t i = 0; i < n && s == OLV_OK; i++) {
        ol_buf_puts(b, i ? ",[" : "[");
        put_token(b, v->tokens[list[i].left]);
        ol_buf_putc(b, ',');
        put_token(b, v->tokens[list[i].right]);
        ol_buf_putc(b, ']');
    }
    ol_buf_putc(b, ']');
    ol_free(list);
    return s;
}

static olv_status put_listed_merges(ol_buf *b, const vocab *v, olv_error *err) {
    const ol_gguf_pair *p = ol_gguf_find(v->g, "tokenizer.ggml.merges");
    if (!p || p->kind != OL_GGUF_ARRAY || p->item_kind != OL_GGUF_STRING)
        return ol_fail(err, OLV_NOT_FOUND, "key 'tokenizer.ggml.merges': missing, expected a list of strings");
    ol_bytes r = ol_gguf_strings(p);
    ol_buf_puts(b, ",\"merges\":[");
    for (uint64_t i = 0; i < p->count; i++) {
        if (i) ol_buf_putc(b, ',');
        put_token(b, ol_gguf_next_string(&r));
    }
    ol_buf_putc(b, ']');
    return OLV_OK;
}

/* ---- steps ---- */

static bool flag(const ol_gguf *g, const char *key, bool def) {
    int64_t v;
    return ol_gguf_int(ol_gguf_find(g, key), &v) ? v != 0 : def;
}

static bool special(const vocab *v, const char *key, int64_t *id) {
    return ol_gguf_int(ol_gguf_find(v->g, key), id) && *id >= 0 && (uint64_t)*id < v->n;
}

/* A template that puts bos before, and eos behind, as the metadata asks for. */
static void put_template(ol_buf *b, const vocab *v, bool spm) {
    int64_t bos, eos;
    bool before = flag(v->g, "tokenizer.ggml.add_bos_token", spm) && special(v, "tokenizer.ggml.bos_token_id", &bos);
    bool behind = flag(v->g, "tokenizer.ggml.add_eos_token", false) && special(v, "tokenizer.ggml.eos_token_id", &eos);
    if (!before && !behind) {
        ol_buf_puts(b, "null");
        return;
    }
    ol_buf_puts(b, "{\"type\":\"TemplateProcessing\"");
    for (int pair = 0; pair < 2; pair++) {
        ol_buf_puts(b, pair ? ",\"pair\":[" : ",\"single\":[");
        for (int part = 0; part <= pair; part++) {
            if (part) ol_buf_putc(b, ',');
            if (before) ol_buf_printf(b, "{\"SpecialToken\":{\"id\":\"bos\",\"type_id\":%d}},", part);
            ol_buf_printf(b, "{\"Sequence\":{\"id\":\"%c\",\"type_id\":%d}}", part ? 'B' : 'A', part);
            if (behind) ol_buf_printf(b, ",{\"SpecialToken\":{\"id\":\"eos\",\"type_id\":%d}}", part);
        }
        ol_buf_putc(b, ']');
    }
    ol_buf_puts(b, ",\"special_tokens\":{");
    for (int i = 0; i < 2; i++) {
        if (!(i ? behind : before)) continue;
        int64_t id = i ? eos : bos;
        ol_buf_printf(b, "%s\"%s\":{\"id\":\"%s\",\"ids\":[%lld],\"tokens\":[", i && before ? "," : "", i ? "eos" : "bos",
                      i ? "eos" : "bos", (long long)id);
        put_token(b, v->tokens[id]);
        ol_buf_puts(b, "]}");
    }
    ol_buf_puts(b, "}}");
}

static olv_status put_spm(ol_buf *b, const vocab *v, olv_error *err) {
    bool prefix = flag(v->g, "tokenizer.ggml.add_space_prefix", true);
    int64_t unk;
    ol_buf_puts(b, "\"normalizer\":{\"type\":\"Sequence\",\"normalizers\":[");
    if (prefix) ol_buf_puts(b, "{\"type\":\"Prepend\",\"prepend\":\"\u2581\"},");
    ol_buf_puts(b, "{\"type\":\"Replace\",\"pattern\":{\"String\":\" \"},\"content\":\"\u2581\"}]},\"pre_tokenizer\":null,"
                   "\"post_processor\":");
    put_template(b, v, true);
    ol_buf_puts(b, ",\"decoder\":{\"type\":\"Sequence\",\"decoders\":[{\"type\":\"Replace\",\"pattern\":{\"String\":"
                   "\"\u2581\"},\"content\":\" \"},{\"type\":\"ByteFallback\"},{\"type\":\"Fuse\"}");
    if (prefix) ol_buf_puts(b, ",{\"type\":\"Strip\",\"content\":\" \",\"start\":1,\"stop\":0}");
    ol_buf_puts(b, "]},\"model\":{\"type\":\"BPE\",\"dropout\":null,\"unk_token\":");
    if (special(v, "tokenizer.ggml.unknown_token_id", &unk)) {
        put_token(b, v->tokens[unk]);
    } else {
        size_t i = 0;
        while (i < v->n && type_of(v, i) != UNKNOWN) i++;
        if (i < v->n)
            put_token(b, v->tokens[i]);
        else
            ol_buf_puts(b, "null");
    }
    ol_buf_puts(b, ",\"continuing_subword_prefix\":null,\"end_of_word_suffix\":null,\"fuse_unk\":true,"
                   "\"byte_fallback\":true,\"ignore_merges\":false,");
    put_vocab(b, v);
    OL_TRY(put_score_merges(b, v, err));
    ol_buf_puts(b, "}}");
    return OLV_OK;
}

/* Ways of splitting, by the names that tokenizer.ggml.pre has for them. No pattern: that of GPT-2. */
static const struct {
    const char *names, *pattern;
    bool digits, ignore_merges;
} splits[] = {
    {" default gpt-2 gpt2 phi-2 mpt olmo jais roberta-bpe ", NULL, false, false},
    {" smollm starcoder refact command-r granite-docling codeshell minerva-7b exaone ", NULL, true, false},
    {" llama-bpe llama3 llama-v3 smaug-bpe falcon3 falcon-h1 pixtral ",
     "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|"
     "\\s+(?!\\S)|\\s+", false, true},
    {" qwen2 stablelm2 deepseek-r1-qwen hunyuan megrez ",
     "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|"
     "\\s+(?!\\S)|\\s+", false, false},
};

static olv_status put_bytelevel(ol_buf *b, const vocab *v, olv_error *err) {
    ol_str pre = {"default", 7};
    (void)ol_gguf_string(ol_gguf_find(v->g, "tokenizer.ggml.pre"), &pre);
    char padded[66];
    int len = snprintf(padded, sizeof padded, " %.*s ", (int)(pre.len < 63 ? pre.len : 63), pre.ptr);
    size_t at = 0, n = sizeof splits / sizeof splits[0];
    while (at < n && (len < 3 || memchr(pre.ptr, ' ', pre.len) || !strstr(splits[at].names, padded))) at++;
    if (at == n)
        return ol_fail(err, OLV_UNSUPPORTED, "key 'tokenizer.ggml.pre': found '%.*s', expected one of%s%s%s%s",
                       (int)(pre.len < 60 ? pre.len : 60), pre.ptr, splits[0].names, splits[1].names + 1,
                       splits[2].names + 1, splits[3].names + 1);
    bool space = flag(v->g, "tokenizer.ggml.add_space_prefix", false);
    ol_buf_puts(b, "\"normalizer\":null,\"pre_tokenizer\":{\"type\":\"Sequence\",\"pretokenizers\":[");
    if (splits[at].digits) ol_buf_puts(b, "{\"type\":\"Digits\",\"individual_digits\":true},");
    if (splits[at].pattern) {
        ol_buf_puts(b, "{\"type\":\"Split\",\"pattern\":{\"Regex\":");
        put_token(b, ol_str_of(splits[at].pattern));
        ol_buf_puts(b, "},\"behavior\":\"Isolated\",\"invert\":false},");
    }
    ol_buf_printf(b, "{\"type\":\"ByteLevel\",\"add_prefix_space\":%s,\"trim_offsets\":true,\"use_regex\":%s}]},"
                  "\"post_processor\":", space ? "true" : "false", splits[at].pattern ? "false" : "true");
    put_template(b, v, false);
    ol_buf_printf(b, ",\"decoder\":{\"type\":\"ByteLevel\",\"add_prefix_space\":true,\"trim_offsets\":true,"
                  "\"use_regex\":true},\"model\":{\"type\":\"BPE\",\"dropout\":null,\"unk_token\":null,"
                  "\"continuing_subword_prefix\":null,\"end_of_word_suffix\":null,\"fuse_unk\":false,"
                  "\"byte_fallback\":false,\"ignore_merges\":%s,", splits[at].ignore_merges ? "true" : "false");
    put_vocab(b, v);
    OL_TRY(put_listed_merges(b, v, err));
    ol_buf_puts(b, "}}");
    return OLV_OK;
}

static olv_status write_json(const ol_gguf *g, ol_buf *b, olv_error *err) {
    ol_str kind;
    vocab v = {.g = g};
    if (ol_gguf_string(ol_gguf_find(g, "tokenizer.huggingface.json"), &kind) && kind.len) {
        ol_buf_append(b, kind.ptr, kind.len);
        return OLV_OK;
    }
    if (!ol_gguf_string(ol_gguf_find(g, "tokenizer.ggml.model"), &kind))
        return ol_fail(err, OLV_NOT_FOUND, "the file has no tokenizer (key 'tokenizer.ggml.model')");
    bool spm = ol_str_is(kind, "llama");
    if (!spm && !ol_str_is(kind, "gpt2"))
        return ol_fail(err, OLV_UNSUPPORTED, "key 'tokenizer.ggml.model': found '%.*s', expected llama or gpt2",
                       (int)(kind.len < 60 ? kind.len : 60), kind.ptr);
    ol_map_init(&v.ids);
    olv_status s = read_vocab(&v, err);
    if (s == OLV_OK) {
        ol_buf_puts(b, "{\"version\":\"1.0\",\"truncation\":null,\"padding\":null,");
        put_added(b, &v, spm);
        s = spm ? put_spm(b, &v, err) : put_bytelevel(b, &v, err);
    }
    ol_map_deinit(&v.ids);
    ol_free(v.tokens);
    return s;
}

olv_status ol_tk_load_gguf(olv_tokenizer *t, const char *data, size_t len, const char *name, olv_error *err) {
    ol_gguf *g = NULL;
    OL_TRY(ol_gguf_parse((const uint8_t *)data, len, name, &g, err));
    ol_buf b = OL_BUF_INIT;
    olv_status s = write_json(g, &b, err);
    if (s != OLV_OK)
        (void)ol_error_at(err, "%s", name);
    else if (b.failed)
        s = ol_fail(err, OLV_NOMEM, "%s: no memory for the tokenizer", name);
    else
        s = ol_tk_load_json(t, b.data, b.len, name, err);
    ol_buf_deinit(&b);
    ol_gguf_destroy(g);
    return s;
}
