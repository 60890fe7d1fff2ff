/* SPDX-License-Identifier: Apache-2.0 */
/* Unigram: the cut of a piece whose tokens have the largest sum of scores, found from left to right
 * (scores in double precision, ties to the earlier candidate). A character that is no token counts
 * as unknown, ten below the worst score; neighbours that are unknown become one. */
#include "text/tokenizer/byte_trie.h"
#include "text/tokenizer/state.h"

#include "base/alloc.h"

#define UNK_PENALTY 10.0

typedef struct unigram {
    const ol_tk_vocab *vocab;
    double *scores; /* by entry */
    ol_tk_byte_trie trie;
    int64_t unk;
    double unk_score;
    bool byte_fallback, whole_fallback;
    int64_t fallback[256];
} unigram;

static void destroy(void *model) {
    unigram *m = model;
    ol_free(m->scores);
    ol_tk_byte_trie_deinit(&m->trie);
    ol_free(m);
}

static void find_fallback(unigram *m) {
    static const char hex[] = "0123456789ABCDEF";
    for (int b = 0; b < 256; b++) {
        char code[6] = {'<', '0', 'x', hex[b >> 4], hex[b & 15], '>'};
        uint32_t id;
        m->fallback[b] = ol_tk_vocab_find(m->vocab, code, 6, &id) ? (int64_t)id : -1;
    }
}

static olv_status create(ol_tk_model_spec *spec, void **model, olv_error *err) {
    const ol_tk_vocab *v = spec->vocab;
    if (spec->unk_id >= (int64_t)v->count || (spec->unk_id < 0 && spec->unk_id != -1))
        return ol_fail(err, OLV_FORMAT, "\"unk_id\" is %lld, but there are %u tokens",
                       (long long)spec->unk_id, v->count);
    unigram *m = ol_calloc(1, sizeof *m);
    if (!m) return ol_fail(err, OLV_NOMEM, "out of memory");
    m->vocab = v;
    m->unk = spec->unk_id;
    m->byte_fallback = spec->byte_fallback;
    m->unk_score = 0;
    for (uint32_t i = 0; i < v->count; i++)
        if (i == 0 || spec->scores[i] < m->unk_score) m->unk_score = spec->scores[i];
    m->unk_score -= UNK_PENALTY;
    find_fallback(m);
    if (!ol_tk_byte_trie_build(&m->trie, v, NULL)) {
        destroy(m);
        return ol_fail(err, OLV_NOMEM, "out of memory");
    }
    m->scores = spec->scores;
    spec->scores = NULL;
    *model = m;
    return OLV_OK;
}

/* The best way to the end of a byte. */
typedef struct best {
    double score;
    int32_t start; /* of the last token, -1: not reached */
    int32_t entry; /* -1: unknown character */
} best;

static olv_status missing_unk(olv_error *err) {
    return ol_fail(err, OLV_FORMAT,
                   "a character is not in the vocabulary, and there is no \"unk_id\"");
}

static olv_status search(const unigram *m, const ol_tk_piece *p, best *b, olv_error *err) {
    for (uint32_t i = 1; i <= p->len; i++) b[i].start = -1;
    b[0] = (best){0, -1, -1};
    for (uint32_t at = 0, n; at < p->len; at += n) {
        ol_tk_char(p->text + at, p->len - at, &n);
        double here = b[at].score;
        bool single = false;
        ol_tk_prefixes names = ol_tk_prefixes_of(&m->trie, p->text + at, p->len - at);
        for (uint32_t len, e; ol_tk_prefixes_next(&names, &len, &e);) {
            best *to = &b[at + len];
            double score = m->scores[e] + here;
            if (to->start < 0 || score > to->score) *to = (best){score, (int32_t)at, (int32_t)e};
            if (len == n) single = true;
        }
        if (single) continue;
        best *to = &b[at + n];
        double score = m->unk_score + here;
        if (to->start < 0 || score > to->score) {
            if (m->unk < 0) return missing_unk(err);
            *to = (best){score, (int32_t)at, -1};
        }
    }
    return OLV_OK;
}

/* Emits text [from, to), unknown or a token. */
static olv_status put(const unigram *m, ol_tk_sink *s, const ol_tk_piece *p, uint32_t from,
                      uint32_t to, olv_error *err) {
    uint32_t id;
    ol_str text = {p->text + from, to - from};
    if (ol_tk_vocab_find(m->vocab, text.ptr, text.len, &id)) {
        ol_tk_emit(s, p, id, from, to, text);
        return OLV_OK;
    }
    bool bytes = m->byte_fallback;
    for (uint32_t i = from; i < to && bytes; i++) bytes = m->fallback[(uint8_t)p->text[i]] >= 0;
    for (uint32_t i = from; i < to && bytes; i++)
        ol_tk_emit(s, p, (uint32_t)m->fallback[(uint8_t)p->text[i]], from, to, (ol_str){NULL, 0});
    if (bytes) return OLV_OK;
    if (m->unk < 0) return missing_unk(err);
    ol_tk_emit(s, p, (uint32_t)m->unk, from, to, text);
    return OLV_OK;
}

static bool is_unknown(const unigram *m, const best *b) {
    return b->entry < 0 || b->entry == m->unk;
}

static olv_status tokenize(const void *model, ol_tk_sink *s, const ol_tk_piece *p, olv_error *err) {
    const unigram *m = model;
    best few[256], *b = few;
    if (p->len >= sizeof few / sizeof *few && !(b = ol_alloc(((size_t)p->len + 1) * sizeof *b)))
        return ol_fail(err, OLV_NOMEM, "out of memory");
    olv_status st = search(m, p, b, err);
    /* Turn the way back into a way forward: start of each token -> its end, kept in score's place.
     */
    uint32_t end = p->len;
    int32_t next = -1;
    while (st == OLV_OK && end > 0) {
        int32_t start = b[end].start, after = next;
        next = (int32_t)end;
        b[end].start = after; /* end of the token that follows, -1: none */
        end = (uint32_t)start;
    }
    for (uint32_t from = 0; st == OLV_OK && next >= 0;) {
        uint32_t to = (uint32_t)next;
        next = b[to].start;
        if (is_unknown(m, &b[to]))
            for (; next >= 0 && is_unknown(m, &b[next]); next = b[to].start) to = (uint32_t)next;
        st = put(m, s, p, from, to, err);
        from = to;
    }
    if (b != few) ol_free(b);
    return st;
}

const ol_tk_model_kind ol_tk_model_unigram = {"Unigram", create, destroy, tokenize, NULL};
