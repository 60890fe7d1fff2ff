/* SPDX-License-Identifier: Apache-2.0 */
/* The two searches of SentencePiece: merging neighbours by score (bpe), and the best cut (unigram,
 * in single precision as the library does it). */
#include "text/tokenizer/sentencepiece.h"

#include "base/alloc.h"

/* ---- bpe ---- */

typedef struct symbol {
    uint32_t from, len; /* bytes; len 0: merged away */
    int32_t prev, next;
    bool frozen; /* user-defined: merges with nothing */
} symbol;

typedef struct candidate {
    uint64_t order; /* better scores first, then further left */
    uint32_t len;   /* bytes of both together, to see whether it is still the same pair */
} candidate;

typedef struct merging {
    const ol_spm_out *o;
    symbol *symbols;
    candidate *heap;
    size_t n_symbols, n_heap;
} merging;

/* Unsigned numbers in the order of falling scores. */
static uint32_t falling(float score) {
    uint32_t u;
    score += 0.0f; /* -0 is 0 */
    memcpy(&u, &score, 4);
    uint32_t rising = u & 0x80000000u ? ~u : u | 0x80000000u;
    return ~rising;
}

static void heap_push(merging *m, candidate c) {
    size_t i = m->n_heap++;
    for (; i > 0 && m->heap[(i - 1) / 2].order > c.order; i = (i - 1) / 2)
        m->heap[i] = m->heap[(i - 1) / 2];
    m->heap[i] = c;
}

static candidate heap_pop(merging *m) {
    candidate top = m->heap[0], c = m->heap[--m->n_heap];
    size_t i = 0;
    for (size_t k; (k = 2 * i + 1) < m->n_heap; i = k) {
        if (k + 1 < m->n_heap && m->heap[k + 1].order < m->heap[k].order) k++;
        if (m->heap[k].order >= c.order) break;
        m->heap[i] = m->heap[k];
    }
    m->heap[i] = c;
    return top;
}

static bool merges(const ol_tk_spm *s, const char *text, uint32_t len, uint32_t *id) {
    if (!ol_tk_vocab_find(s->vocab, text, len, id)) return false;
    int t = s->types[*id];
    return t == OL_SPM_NORMAL || t == OL_SPM_USER_DEFINED || t == OL_SPM_UNUSED;
}

static void consider(merging *m, int32_t left) {
    if (left < 0 || m->symbols[left].next < 0) return;
    const symbol *a = &m->symbols[left], *b = &m->symbols[a->next];
    uint32_t id;
    if (a->frozen || b->frozen || !merges(m->o->s, m->o->p->text + a->from, a->len + b->len, &id))
        return;
    heap_push(m, (candidate){(uint64_t)falling(m->o->s->scores[id]) << 32 | (uint32_t)left,
                             a->len + b->len});
}

static void run(merging *m) {
    for (size_t i = 0; i + 1 < m->n_symbols; i++) consider(m, (int32_t)i);
    while (m->n_heap) {
        candidate c = heap_pop(m);
        int32_t left = (int32_t)(uint32_t)c.order;
        symbol *a = &m->symbols[left];
        if (a->len == 0 || a->next < 0 || a->len + m->symbols[a->next].len != c.len) continue;
        symbol *b = &m->symbols[a->next];
        a->len = c.len;
        a->next = b->next;
        b->len = 0;
        if (a->next >= 0) m->symbols[a->next].prev = left;
        consider(m, a->prev);
        consider(m, left);
    }
}

/* Puts a symbol out; one that is marked as unused is taken apart again, the way it was merged: the
 * first cut into two known pieces, best score first. */
static void put(ol_spm_out *o, uint32_t from, uint32_t to, int depth) {
    uint32_t id, l, r, cut = 0;
    const ol_tk_spm *s = o->s;
    if (depth < 100 && ol_tk_vocab_find(s->vocab, o->p->text + from, to - from, &id) &&
        s->types[id] == OL_SPM_UNUSED) {
        for (uint32_t k = from + 1; k < to && !cut; k++)
            if (((unsigned char)o->p->text[k] & 0xC0) != 0x80 &&
                merges(s, o->p->text + from, k - from, &l) && merges(s, o->p->text + k, to - k, &r))
                cut = k;
        if (cut) {
            put(o, from, cut, depth + 1);
            put(o, cut, to, depth + 1);
            return;
        }
    }
    ol_spm_put(o, from, to);
}

olv_status ol_spm_encode_bpe(ol_spm_out *o, olv_error *err) {
    const ol_tk_piece *p = o->p;
    merging m = {.o = o};
    m.symbols = ol_alloc(((size_t)p->len + 1) * sizeof *m.symbols);
    m.heap = ol_alloc(((size_t)p->len * 3 + 1) * sizeof *m.heap);
    if (!m.symbols || !m.heap) {
        ol_free(m.symbols);
        ol_free(m.heap);
        return ol_fail(err, OLV_NOMEM, "out of memory");
    }
    for (uint32_t i = 0, n; i < p->len; i += n) {
        bool user;
        n = ol_spm_prefix(o->s, p->text + i, p->len - i, &user);
        int32_t k = (int32_t)m.n_symbols++;
        m.symbols[k] = (symbol){i, n, k - 1, i + n < p->len ? k + 1 : -1, user};
    }
    run(&m);
    for (int32_t i = 0; i >= 0; i = m.symbols[i].next)
        put(o, m.symbols[i].from, m.symbols[i].from + m.symbols[i].len, 0);
    ol_free(m.symbols);
    ol_free(m.heap);
    return OLV_OK;
}

/* ---- unigram ---- */

typedef struct best {
    float score;
    int32_t start; /* of the last piece, -1: not reached */
} best;

static void reach(best *to, float score, uint32_t start) {
    if (to->start < 0 || score > to->score) *to = (best){score, (int32_t)start};
}

olv_status ol_spm_encode_unigram(ol_spm_out *o, olv_error *err) {
    const ol_tk_piece *p = o->p;
    const ol_tk_spm *s = o->s;
    best *b = ol_alloc(((size_t)p->len + 1) * sizeof *b);
    if (!b) return ol_fail(err, OLV_NOMEM, "out of memory");
    for (uint32_t i = 1; i <= p->len; i++) b[i] = (best){0, -1};
    b[0] = (best){0, -1};
    for (uint32_t at = 0, n; at < p->len; at += n) {
        ol_tk_char(p->text + at, p->len - at, &n);
        bool single = false;
        ol_tk_prefixes names = ol_tk_prefixes_of(&s->trie, p->text + at, p->len - at);
        for (uint32_t len, e; ol_tk_prefixes_next(&names, &len, &e);) {
            float score = s->types[e] == OL_SPM_USER_DEFINED
                              ? (float)((double)((float)len * s->max_score) - 0.1)
                              : s->scores[e];
            reach(&b[at + len], score + b[at].score, at);
            if (len == n) single = true;
        }
        if (!single) reach(&b[at + n], s->unk_score + b[at].score, at);
    }
    int32_t next = -1;
    for (uint32_t end = p->len; end > 0;) {
        int32_t start = b[end].start;
        b[end].start = next; /* end of the piece that follows */
        next = (int32_t)end;
        end = (uint32_t)start;
    }
    for (uint32_t from = 0; next >= 0; from = (uint32_t)next, next = b[next].start)
        ol_spm_put(o, from, (uint32_t)next);
    ol_free(b);
    return OLV_OK;
}
