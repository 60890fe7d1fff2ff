/* SPDX-License-Identifier: Apache-2.0 */
/* Opening: which file of a folder it is, and the questions about an opened tokenizer. */
#include "text/tokenizer.h"
#include "text/tokenizer/decode.h"
#include "text/tokenizer/sentencepiece.h"
#include "text/tokenizer/word_cache.h"

#include "base/alloc.h"
#include "base/file.h"

#define MAX_CONFIG (16u << 20)

void olv_tokenizer_close(olv_tokenizer *t) {
    if (!t) return;
    ol_tk_steps_destroy(t);
    if (t->model_kind && t->model) t->model_kind->destroy(t->model);
    ol_tk_spm_destroy(t->spm);
    ol_tk_added_deinit(&t->added);
    ol_tk_vocab_deinit(&t->vocab);
    ol_tk_cache_destroy(t->cache);
    ol_arena_destroy(t->arena);
    ol_free(t);
}

static olv_tokenizer *new_tokenizer(olv_error *err) {
    olv_tokenizer *t = ol_calloc(1, sizeof *t);
    if (t) {
        t->arena = ol_arena_create();
        t->cache = ol_tk_cache_create();
        ol_tk_vocab_init(&t->vocab);
        ol_map_init(&t->added.by_content);
        ol_map_init(&t->added.special_text);
        ol_tk_vocab_init(&t->added.by_id);
    }
    if (!t || !t->arena || !t->cache) {
        if (t) {
            ol_tk_cache_destroy(t->cache);
            if (t->arena) ol_arena_destroy(t->arena);
        }
        ol_free(t);
        ol_fail(err, OLV_NOMEM, "out of memory");
        return NULL;
    }
    return t;
}

/* Contents of DIR/NAME, or NULL where there is no such file. */
static olv_status open_beside(const char *dir, const char *name, ol_file **out, olv_error *err) {
    char *path = ol_path_join(dir, name);
    if (!path) return ol_fail(err, OLV_NOMEM, "out of memory");
    bool there = ol_file_exists(path);
    ol_free(path);
    *out = NULL;
    return there ? ol_file_open_in(dir, name, out, err) : OLV_OK;
}

static const char *text_of(const ol_file *f) {
    return f && f->data ? (const char *)f->data : "";
}
static size_t size_of(const ol_file *f) {
    return f ? (size_t)f->size : 0;
}

static olv_status load_file(olv_tokenizer *t, const ol_file *f, const char *dir, olv_error *err);

/* What a file is, by its content. */
typedef enum file_kind { TOKENIZER_JSON, VOCAB_JSON, SPM, RANKS, VOCAB_TXT, GGUF, OPENVINO, UNKNOWN } file_kind;

static file_kind recognize(const ol_file *f) {
    ol_str s = {text_of(f), size_of(f)}, name = ol_str_of(ol_path_name(f->path));
    size_t i = 0;
    if (s.len >= 8 && memcmp(s.ptr, "GGUF", 4) == 0) return GGUF;
    while (i < s.len &&
           (s.ptr[i] == ' ' || s.ptr[i] == '\n' || s.ptr[i] == '\r' || s.ptr[i] == '\t'))
        i++;
    if (i < s.len && s.ptr[i] == '{')
        return memmem(s.ptr, s.len, "\"model\"", 7) ? TOKENIZER_JSON : VOCAB_JSON;
    if (i < s.len && s.ptr[i] == '<' && ol_str_ends(name, ".xml")) return OPENVINO;
    if (ol_str_ends(name, ".model") && s.len && s.ptr[0] == '\n') return SPM;
    if (ol_str_ends(name, ".tiktoken")) return RANKS;
    if (s.len && s.ptr[0] == '\n' && !ol_utf8_valid(s.ptr, s.len)) return SPM;
    return ol_str_ends(name, ".txt") ? VOCAB_TXT : ol_str_ends(name, ".model") ? RANKS : UNKNOWN;
}

static olv_status load_pair(olv_tokenizer *t, const ol_file *vocab, const char *dir,
                            olv_error *err) {
    ol_file *merges = NULL;
    OL_TRY(open_beside(dir, "merges.txt", &merges, err));
    if (!merges) return ol_fail(err, OLV_NOT_FOUND, "%s: no merges.txt beside it", vocab->path);
    olv_status st = ol_tk_load_bpe_files(t, text_of(vocab), size_of(vocab), text_of(merges),
                                         size_of(merges), vocab->path, err);
    ol_file_release(merges);
    return st;
}

static olv_status load_ranks(olv_tokenizer *t, const ol_file *ranks, const char *dir,
                             olv_error *err) {
    ol_file *config = NULL;
    OL_TRY(open_beside(dir, "tiktoken.json", &config, err));
    olv_status st = OLV_OK;
    if (size_of(config) > MAX_CONFIG)
        st = ol_fail(err, OLV_LIMIT, "%s: larger than %u bytes", config->path, MAX_CONFIG);
    if (st == OLV_OK)
        st = ol_tk_load_tiktoken(t, text_of(ranks), size_of(ranks), config ? text_of(config) : NULL,
                                 size_of(config), ranks->path, err);
    ol_file_release(config);
    return st;
}

static olv_status load_file(olv_tokenizer *t, const ol_file *f, const char *dir, olv_error *err) {
    switch (recognize(f)) {
    case TOKENIZER_JSON: return ol_tk_load_json(t, text_of(f), size_of(f), f->path, err);
    case VOCAB_JSON: return load_pair(t, f, dir, err);
    case SPM: return ol_tk_load_spm(t, text_of(f), size_of(f), f->path, err);
    case RANKS: return load_ranks(t, f, dir, err);
    case VOCAB_TXT: return ol_tk_load_wordpiece(t, text_of(f), size_of(f), f->path, err);
    case OPENVINO: return ol_tk_load_openvino(t, dir, err);
    case GGUF: return ol_tk_load_gguf(t, text_of(f), size_of(f), f->path, err);
    default: break;
    }
    return ol_fail(err, OLV_UNSUPPORTED,
                   "%s: not a tokenizer.json, SentencePiece model, tiktoken file or vocabulary",
                   f->path);
}

/* The file of a folder that the tokenizer is read from. */
static olv_status choose(const char *dir, ol_file **out, olv_error *err) {
    static const char *const names[] = {
        "tokenizer.json", "tokenizer.model", "sentencepiece.bpe.model",
        "spiece.model",   "spm.model",       "sentencepiece.model",
        "ranks.tiktoken", "openvino_tokenizer.xml", "vocab.json", "vocab.txt"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        OL_TRY(open_beside(dir, names[i], out, err));
        if (*out) return OLV_OK;
    }
    char **list;
    size_t n;
    OL_TRY(ol_dir_list(dir, &list, &n, err));
    olv_status st = OLV_OK;
    for (size_t i = 0; i < n && !*out && st == OLV_OK; i++)
        if (ol_str_ends(ol_str_of(list[i]), ".tiktoken") ||
            ol_str_ends(ol_str_of(list[i]), ".model"))
            st = open_beside(dir, list[i], out, err);
    ol_dir_list_free(list, n);
    if (st == OLV_OK && !*out)
        st = ol_fail(err, OLV_NOT_FOUND,
                     "%s: no tokenizer (tokenizer.json, *.model, *.tiktoken, vocab.json with "
                     "merges.txt, vocab.txt or openvino_tokenizer.xml)",
                     dir);
    return st;
}

static olv_status open_path(olv_tokenizer *t, const char *path, olv_error *err) {
    ol_file *f = NULL;
    olv_status st;
    if (ol_dir_exists(path)) {
        OL_TRY(choose(path, &f, err));
        st = load_file(t, f, path, err);
    } else {
        OL_TRY(ol_file_open(path, &f, err));
        size_t n = (size_t)(ol_path_name(path) - path);
        char *dir = ol_arena_strndup(t->arena, n ? path : ".", n ? n : 1);
        st = dir ? load_file(t, f, dir, err) : ol_fail(err, OLV_NOMEM, "out of memory");
    }
    ol_file_release(f);
    return st;
}

olv_status olv_tokenizer_open(const char *path, olv_tokenizer **out, olv_error *err) {
    olv_tokenizer *t = new_tokenizer(err);
    if (!t) return OLV_NOMEM;
    olv_status st = open_path(t, path, err);
    if (st != OLV_OK) {
        olv_tokenizer_close(t);
        return st;
    }
    *out = t;
    return OLV_OK;
}

/* Opens what load makes of a text. */
static olv_status
open_memory(olv_status (*load)(olv_tokenizer *, const char *, size_t, const char *, olv_error *),
            const char *text, size_t len, const char *name, olv_tokenizer **out, olv_error *err) {
    olv_tokenizer *t = new_tokenizer(err);
    if (!t) return OLV_NOMEM;
    olv_status st = load(t, text, len, name, err);
    if (st != OLV_OK) {
        olv_tokenizer_close(t);
        return st;
    }
    *out = t;
    return OLV_OK;
}

static olv_status load_spm(olv_tokenizer *t, const char *data, size_t len, const char *name,
                           olv_error *err) {
    return ol_tk_load_spm(t, data, len, name, err);
}

olv_status ol_tokenizer_open_json(const char *text, size_t len, const char *name,
                                  olv_tokenizer **out, olv_error *err) {
    return open_memory(ol_tk_load_json, text, len, name, out, err);
}

olv_status ol_tokenizer_open_spm(const void *data, size_t len, const char *name,
                                 olv_tokenizer **out, olv_error *err) {
    return open_memory(load_spm, data, len, name, out, err);
}

olv_status ol_tokenizer_open_openvino(const ol_str parts[4], olv_tokenizer **out, olv_error *err) {
    olv_tokenizer *t = new_tokenizer(err);
    if (!t) return OLV_NOMEM;
    olv_status st = ol_tk_load_openvino_parts(t, parts, err);
    if (st != OLV_OK) {
        olv_tokenizer_close(t);
        return st;
    }
    *out = t;
    return OLV_OK;
}

bool olv_tokenizer_token_to_id(const olv_tokenizer *t, const char *token, size_t len,
                               uint32_t *id) {
    const uint64_t *added =
        t->added.count ? ol_map_get(&t->added.by_content, (ol_str){token, len}) : NULL;
    if (added) {
        *id = t->added.items[*added].id;
        return true;
    }
    return ol_tk_vocab_find(&t->vocab, token, len, id);
}

const char *olv_tokenizer_id_to_token(const olv_tokenizer *t, uint32_t id, size_t *len) {
    ol_str s = ol_tk_id_name(t, id);
    if (len) *len = s.len;
    return s.ptr;
}

size_t olv_tokenizer_vocab_size(const olv_tokenizer *t) {
    size_t n = t->vocab.n_names;
    for (size_t i = 0; i < t->added.count; i++) {
        uint32_t id;
        ol_str s = t->added.items[i].content;
        if (!ol_tk_vocab_find(&t->vocab, s.ptr, s.len, &id)) n++;
    }
    return n;
}

uint64_t olv_tokenizer_id_bound(const olv_tokenizer *t) {
    return t->added.by_id.id_bound > t->vocab.id_bound ? t->added.by_id.id_bound
                                                       : t->vocab.id_bound;
}

bool olv_tokenizer_is_special(const olv_tokenizer *t, uint32_t id) {
    const ol_tk_added *a = ol_tk_added_by_id(t, id);
    return a && a->special;
}

const char *olv_tokenizer_kind(const olv_tokenizer *t) {
    return t->kind;
}

/* What the template puts around nothing: for that, an empty text is encoded with a marker of its
 * own place. */
static size_t around(const olv_tokenizer *t, bool before, uint32_t *ids, size_t cap) {
    ol_arena *arena = ol_arena_create();
    ol_tk_parts *parts = arena ? ol_arena_alloc(arena, sizeof *parts) : NULL;
    size_t n = 0, k = 0;
    ol_tk_token marker = {.id = 0, .lead = UINT16_MAX};
    bool ok = parts != NULL;
    if (ok) {
        parts->arena = arena;
        parts->items[0] = (ol_tk_part){&marker, 1};
        parts->count = 1;
        parts->add_special = true;
    }
    for (size_t i = 0; ok && i < t->postprocessors.count; i++) {
        const ol_tk_postprocessor_kind *kind = t->postprocessors.items[i].kind;
        ok = kind->apply(t->postprocessors.items[i].state, parts, NULL) == OLV_OK;
    }
    bool seen = false;
    for (size_t i = 0; ok && i < parts->count; i++)
        for (k = 0; k < parts->items[i].count; k++) {
            const ol_tk_token *tk = &parts->items[i].items[k];
            if (tk->lead == UINT16_MAX) {
                seen = true;
            } else if (before != seen) {
                if (n < cap) ids[n] = tk->id;
                n++;
            }
        }
    ol_arena_destroy(arena);
    return n;
}

size_t olv_tokenizer_prefix(const olv_tokenizer *t, uint32_t *ids, size_t cap) {
    return around(t, true, ids, cap);
}
size_t olv_tokenizer_suffix(const olv_tokenizer *t, uint32_t *ids, size_t cap) {
    return around(t, false, ids, cap);
}
