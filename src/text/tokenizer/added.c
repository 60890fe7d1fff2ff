/* SPDX-License-Identifier: Apache-2.0 */
/* Added tokens: those that are not normalized are found in the caller's text, leftmost-longest;
 * then what is between is normalized and the normalized ones are found in it. */
#include "text/tokenizer/state.h"
#include "text/tokenizer/unicode.h"

#include "base/alloc.h"

static bool trie_node(ol_tk_trie *t, uint8_t byte, uint32_t sibling, uint32_t *out) {
    if (t->count == t->cap) {
        uint32_t cap = t->cap ? t->cap * 2 : 256;
        ol_tk_trie_node *n = ol_realloc(t->nodes, (size_t)cap * sizeof *n);
        if (!n) return false;
        t->nodes = n;
        t->cap = cap;
        if (t->count == 0) t->nodes[t->count++] = (ol_tk_trie_node){0};
    }
    t->nodes[t->count] = (ol_tk_trie_node){0, sibling, 0, byte};
    *out = t->count++;
    return true;
}

/* Of two tokens that are normalized alike the first counts (upstream: either, by chance). */
static bool trie_add(ol_tk_trie *t, ol_str s, uint32_t value) {
    uint32_t at = 0;
    for (size_t i = 0; i < s.len; i++) {
        uint8_t b = (uint8_t)s.ptr[i];
        uint32_t c = i == 0 ? t->first[b] : t->nodes[at].child, head = c;
        while (c && t->nodes[c].byte != b) c = t->nodes[c].sibling;
        if (!c) {
            if (!trie_node(t, b, i == 0 ? 0 : head, &c)) return false;
            if (i == 0)
                t->first[b] = c;
            else
                t->nodes[at].child = c;
        }
        at = c;
    }
    if (!t->nodes[at].value) t->nodes[at].value = value + 1;
    return true;
}

/* Longest content that begins at s; index of the token, or -1. */
static int64_t trie_longest(const ol_tk_trie *t, const char *s, size_t n, uint32_t *len) {
    int64_t best = -1;
    uint32_t at = t->first[(uint8_t)s[0]];
    for (size_t i = 1; at; i++) {
        if (t->nodes[at].value) {
            best = t->nodes[at].value - 1;
            *len = (uint32_t)i;
        }
        if (i == n) break;
        uint32_t c = t->nodes[at].child;
        while (c && t->nodes[c].byte != (uint8_t)s[i]) c = t->nodes[c].sibling;
        at = c;
    }
    return best;
}

static bool word_before(const char *s, uint32_t at) {
    uint32_t n;
    return at > 0 && ol_uc_word(ol_tk_last_char(s, at, &n));
}
static bool word_after(const char *s, uint32_t n, uint32_t at) {
    uint32_t len;
    return at < n && ol_uc_word(ol_tk_char(s + at, n - at, &len));
}

typedef struct cutting {
    const olv_tokenizer *t;
    const ol_tk_trie *trie;
    bool parse_special, normalize;
} cutting;

static olv_status cut(ol_tk_work *w, ol_tk_piece *p, const void *ctx, olv_error *err) {
    const cutting *c = ctx;
    if (c->normalize) OL_TRY(ol_tk_normalize(c->t, w, p, err));
    const char *s = p->text;
    uint32_t n = p->len, done = 0, len = 0;
    for (uint32_t i = 0; c->trie->count && i < n; i += len) {
        len = 1;
        int64_t k = trie_longest(c->trie, s + i, n - i, &len);
        if (k < 0) continue;
        const ol_tk_added *a = &c->t->added.items[k];
        uint32_t start = i, stop = i + len, m;
        if (!c->parse_special && ol_map_get(&c->t->added.special_text, a->content)) continue;
        if (a->single_word && (word_before(s, start) || word_after(s, n, stop))) continue;
        if (a->lstrip) {
            while (start > 0 && ol_uc_space(ol_tk_last_char(s, start, &m))) start -= m;
            if (start < done) start = done;
        }
        if (a->rstrip)
            while (stop < n && ol_uc_space(ol_tk_char(s + stop, n - stop, &m))) stop += m;
        if (start >= stop) continue; /* inside white space that the token before took */
        ol_tk_push_slice(w, p, done, start);
        ol_tk_piece token = ol_tk_piece_slice(p, start, stop);
        token.token = a->id;
        ol_tk_push(w, &token);
        done = stop;
    }
    ol_tk_push_slice(w, p, done, n);
    return OLV_OK;
}

olv_status ol_tk_added_extract(const olv_tokenizer *t, ol_tk_work *w, bool parse_special,
                               olv_error *err) {
    cutting c = {t, &t->added.plain, parse_special, false};
    if (c.trie->count) OL_TRY(ol_tk_each(w, cut, &c, err));
    c.trie = &t->added.normalized;
    c.normalize = true;
    if (c.trie->count || t->normalizers.count) OL_TRY(ol_tk_each(w, cut, &c, err));
    return OLV_OK;
}

/* The content as the normalizers leave it, in the arena. */
static olv_status normalized_content(olv_tokenizer *t, ol_tk_added *a, olv_error *err) {
    ol_tk_work w;
    OL_TRY(ol_tk_work_init(&w, err));
    ol_tk_piece p = {a->content.ptr, (uint32_t)a->content.len, 0, NULL, OL_TK_NO_TOKEN};
    olv_status st = ol_tk_normalize(t, &w, &p, err);
    if (st == OLV_OK) {
        char *copy = ol_arena_strndup(t->arena, p.text, p.len);
        if (!copy) st = ol_fail(err, OLV_NOMEM, "out of memory");
        a->normalized = (ol_str){copy, p.len};
    }
    ol_tk_work_deinit(&w);
    return st;
}

/* Id of a content: that of an equal one before it, that of the vocabulary, or the next free one. */
static uint32_t settle_id(olv_tokenizer *t, const ol_tk_added *a, uint64_t *next) {
    uint32_t id;
    const uint64_t *seen = ol_map_get(&t->added.by_content, a->content);
    if (seen) return t->added.items[*seen].id;
    if (ol_tk_vocab_find(&t->vocab, a->content.ptr, a->content.len, &id)) return id;
    return (uint32_t)(*next)++;
}

static olv_status add_one(olv_tokenizer *t, const ol_tk_added *in, uint64_t *next, olv_error *err) {
    ol_tk_added_set *s = &t->added;
    ol_tk_added a = *in;
    if (!a.fixed_id) a.id = settle_id(t, &a, next);
    a.normalized = a.content;
    if (a.is_normalized && t->normalizers.count) OL_TRY(normalized_content(t, &a, err));
    size_t at = s->count;
    const uint64_t *seen = ol_map_get(&s->by_content, a.content);
    if (seen) at = (size_t)*seen;
    s->items[at] = a;
    if (at == s->count) s->count++;
    bool ok = ol_map_put(&s->by_content, a.content, at) >= 0;
    if (a.special) ok = ok && ol_map_put(&s->special_text, a.content, 1) >= 0;
    return ok ? OLV_OK : ol_fail(err, OLV_NOMEM, "out of memory");
}

olv_status ol_tk_added_build(olv_tokenizer *t, ol_tk_added *list, size_t count, olv_error *err) {
    ol_tk_added_set *s = &t->added;
    ol_map_init(&s->by_content);
    ol_map_init(&s->special_text);
    ol_tk_vocab_init(&s->by_id);
    s->items = ol_arena_calloc(t->arena, count + 1, sizeof *s->items);
    if (!s->items) return ol_fail(err, OLV_NOMEM, "out of memory");
    /* A unigram vocabulary is a list: a name that stands there twice counts twice. */
    uint64_t next = t->model_kind && strcmp(t->model_kind->type, "Unigram") == 0 ? t->vocab.count
                                                                                 : t->vocab.n_names;
    for (size_t i = 0; i < count; i++) {
        if (list[i].content.len == 0) continue;
        OL_TRY(add_one(t, &list[i], &next, err));
    }
    for (size_t i = 0; i < s->count; i++) {
        ol_tk_added *a = &s->items[i];
        ol_str name = a->is_normalized ? a->normalized : a->content;
        bool ok = ol_tk_vocab_add(&s->by_id, name.ptr, name.len, a->id);
        if (name.len)
            ok = ok && trie_add(a->is_normalized ? &s->normalized : &s->plain, name, (uint32_t)i);
        if (!ok) return ol_fail(err, OLV_NOMEM, "out of memory");
    }
    return ol_tk_vocab_finish(&s->by_id, err);
}

void ol_tk_added_deinit(ol_tk_added_set *s) {
    ol_map_deinit(&s->by_content);
    ol_map_deinit(&s->special_text);
    ol_tk_vocab_deinit(&s->by_id);
    ol_free(s->plain.nodes);
    ol_free(s->normalized.nodes);
}

const ol_tk_added *ol_tk_added_by_id(const olv_tokenizer *t, uint32_t id) {
    int64_t e = ol_tk_vocab_entry(&t->added.by_id, id);
    return e < 0 ? NULL : &t->added.items[e];
}
