/* SPDX-License-Identifier: Apache-2.0 */
#include "text/grammar/vocab.h"
#include "base/alloc.h"
#include "base/error.h"
#include "base/str.h"

#include <stdlib.h>
#include <string.h>

static void trie_deinit(ol_gtrie *t) {
    ol_free(t->nodes);
    ol_free(t->spans);
    ol_free(t->tokens);
    ol_free(t->chars);
}

static bool trie_init(ol_gtrie *t, size_t bytes, size_t tokens) {
    t->nodes = ol_calloc(bytes + 1, sizeof *t->nodes);
    t->spans = ol_calloc(bytes + 1, sizeof *t->spans);
    t->tokens = ol_calloc(tokens + 1, sizeof *t->tokens);
    t->chars = ol_calloc(tokens + 1, 1);
    return t->nodes && t->spans && t->tokens && t->chars;
}

void ol_grammar_vocab_destroy(ol_grammar_vocab *v) {
    if (!v) return;
    trie_deinit(&v->all);
    trie_deinit(&v->rest);
    ol_free(v->plain);
    ol_free(v->same);
    ol_free(v->bytes);
    ol_free(v->offsets);
    ol_free(v->eos);
    ol_free(v);
}

static bool is_eos(const ol_grammar_vocab *v, int64_t t) {
    for (size_t i = 0; i < v->n_eos; i++)
        if (v->eos[i] == t) return true;
    return false;
}

static olv_status copy_bytes(ol_grammar_vocab *v, ol_token_bytes_fn *bytes, void *ctx, olv_error *err) {
    size_t cap = (size_t)v->n_tokens * 8 + 64, used = 0;
    v->bytes = ol_alloc(cap);
    for (int64_t t = 0; t < v->n_tokens && v->bytes; t++) {
        size_t len = 0;
        const char *p = bytes(ctx, t, &len);
        v->offsets[t] = used;
        if (!p || is_eos(v, t)) len = 0;
        if (len > OL_GTOKEN_MAX) len = 0; /* never allowed rather than wrong */
        if (used + len > cap) {
            cap = cap * 2 + len;
            char *more = ol_realloc(v->bytes, cap);
            if (!more) break;
            v->bytes = more;
        }
        if (len) memcpy(v->bytes + used, p, len);
        used += len;
        v->offsets[t + 1] = used;
        if (len > v->longest) v->longest = (uint32_t)len;
        if (t + 1 == v->n_tokens) return OLV_OK;
    }
    return ol_fail(err, OLV_NOMEM, "out of memory for the bytes of %lld tokens", (long long)v->n_tokens);
}

typedef struct entry {
    const char *p;
    uint32_t len;
    int32_t token;
} entry;

static int by_bytes(const void *x, const void *y) {
    const entry *a = x, *b = y;
    uint32_t n = a->len < b->len ? a->len : b->len;
    int c = memcmp(a->p, b->p, n);
    if (c) return c;
    if (a->len != b->len) return a->len < b->len ? -1 : 1;
    return (a->token > b->token) - (a->token < b->token);
}

static void note_broken(ol_gtrie *t, const entry *e, const uint32_t *open) {
    for (uint32_t d = 0; d < e->len; d++) t->spans[open[d]].whole = false;
}

/* Adds a token to the spans of the nodes on its path, from its end on. */
static void note_token(ol_gtrie *t, const entry *e, const uint32_t *open) {
    uint64_t ascii[2] = {0, 0};
    bool other = false;
    size_t chars = 0;
    if (!ol_utf8_valid(e->p, e->len)) {
        note_broken(t, e, open);
        return;
    }
    for (uint32_t d = e->len; d-- > 0;) {
        uint8_t c = (uint8_t)e->p[d];
        ol_gspan *s = &t->spans[open[d]];
        if (c < 0x80) ascii[c >> 6] |= 1ull << (c & 63);
        else other = true;
        if (c >= 0x80 && c < 0xc0) s->whole = false; /* inside of a character */
        else chars++;
        if (chars > OL_GPLAIN_MAX) s->whole = false;
        else if (chars > s->chars) s->chars = (uint8_t)chars;
        if (e->len - d > s->bytes) s->bytes = (uint16_t)(e->len - d);
        s->ascii[0] |= ascii[0];
        s->ascii[1] |= ascii[1];
        s->other |= other;
    }
}

/* Bytes that begin a character; OL_GPLAIN_MAX + 1 for more than OL_GPLAIN_MAX. */
static uint8_t leading_bytes(const char *p, uint32_t len) {
    uint8_t n = 0;
    for (uint32_t i = 0; i < len && n <= OL_GPLAIN_MAX; i++) n = (uint8_t)(n + (((uint8_t)p[i] & 0xc0) != 0x80));
    return n;
}

/* Sorted tokens in, trie out: `open` holds the nodes on the path to the last token. Tokens of equal bytes are chained
 * behind the first. */
static void build(ol_grammar_vocab *v, ol_gtrie *t, const entry *e, size_t n, uint32_t *open) {
    uint32_t depth = 0;
    for (size_t i = 0; i < n; i++) {
        uint32_t common = 0;
        t->tokens[i] = e[i].token;
        t->chars[i] = leading_bytes(e[i].p, e[i].len);
        if (i)
            while (common < e[i].len && common < e[i - 1].len && e[i].p[common] == e[i - 1].p[common]) common++;
        if (i && common == e[i].len && e[i].len == e[i - 1].len) {
            v->same[e[i - 1].token] = e[i].token;
            continue;
        }
        while (depth > common) t->nodes[open[--depth]].end = t->n;
        for (; depth < e[i].len; depth++) {
            open[depth] = t->n;
            t->spans[t->n] = (ol_gspan){.first = (uint32_t)i, .whole = true};
            t->nodes[t->n++] = (ol_gtrie_node){0, -1, (uint32_t)e[i].token, (uint16_t)depth, (uint8_t)e[i].p[depth]};
        }
        t->nodes[t->n - 1].token = e[i].token;
        note_token(t, &e[i], open);
    }
    while (depth > 0) t->nodes[open[--depth]].end = t->n;
    t->spans[t->n].first = (uint32_t)n;
}

/* Characters of a plain token; 0: it is none. */
static size_t plain_length(const entry *e) {
    for (uint32_t i = 0; i < e->len; i++)
        if ((uint8_t)e->p[i] < 32 || e->p[i] == '"' || e->p[i] == '\\' || e->p[i] == 0x7f) return 0;
    size_t n = ol_utf8_valid(e->p, e->len) ? ol_utf8_count(e->p, e->len) : 0;
    return n <= OL_GPLAIN_MAX ? n : 0;
}

static olv_status build_tries(ol_grammar_vocab *v, olv_error *err) {
    size_t total = (size_t)v->offsets[v->n_tokens], n = 0, rest = 0;
    entry *e = ol_calloc((size_t)v->n_tokens, sizeof *e);
    uint32_t *open = ol_calloc((size_t)v->longest + 1, sizeof *open);
    v->words = (uint32_t)((v->n_tokens + 31) / 32);
    v->plain = ol_calloc((size_t)v->words * (OL_GPLAIN_MAX + 1), sizeof *v->plain);
    bool ok = e && open && v->plain && total < UINT32_MAX && trie_init(&v->all, total, (size_t)v->n_tokens);
    for (int64_t t = 0; t < v->n_tokens && ok; t++) {
        v->same[t] = -1;
        uint32_t len = (uint32_t)(v->offsets[t + 1] - v->offsets[t]);
        if (len) e[n++] = (entry){v->bytes + v->offsets[t], len, (int32_t)t};
    }
    if (ok) {
        qsort(e, n, sizeof *e, by_bytes);
        build(v, &v->all, e, n, open);
        size_t bytes = 0;
        for (size_t i = 0; i < n; i++) {
            size_t chars = plain_length(&e[i]);
            for (size_t k = chars; k > 0 && k <= OL_GPLAIN_MAX; k++)
                v->plain[k * v->words + (size_t)e[i].token / 32] |= 1u << (e[i].token % 32);
            if (chars == 0) {
                bytes += e[i].len;
                e[rest++] = e[i];
            }
        }
        ok = trie_init(&v->rest, bytes, rest);
        if (ok) build(v, &v->rest, e, rest, open);
    }
    ol_free(e);
    ol_free(open);
    return ok ? OLV_OK : ol_fail(err, OLV_NOMEM, "out of memory for the trie of %lld tokens", (long long)v->n_tokens);
}

olv_status ol_grammar_vocab_create(int64_t n_tokens, ol_token_bytes_fn *bytes, void *ctx, const int64_t *eos, size_t n_eos,
                                   ol_grammar_vocab **out, olv_error *err) {
    if (n_tokens < 1 || n_tokens > (1 << 24))
        return ol_fail(err, OLV_ARG, "a vocabulary of %lld tokens; expected 1 to %d", (long long)n_tokens, 1 << 24);
    ol_grammar_vocab *v = ol_calloc(1, sizeof *v);
    if (!v) return ol_fail(err, OLV_NOMEM, "out of memory for a vocabulary");
    v->n_tokens = n_tokens;
    v->same = ol_calloc((size_t)n_tokens, sizeof *v->same);
    v->offsets = ol_calloc((size_t)n_tokens + 1, sizeof *v->offsets);
    v->eos = ol_calloc(n_eos + 1, sizeof *v->eos);
    olv_status st = OLV_OK;
    if (!v->same || !v->offsets || !v->eos) st = ol_fail(err, OLV_NOMEM, "out of memory for a vocabulary");
    for (size_t i = 0; i < n_eos && st == OLV_OK; i++)
        if (eos[i] >= 0 && eos[i] < n_tokens) v->eos[v->n_eos++] = eos[i];
    if (st == OLV_OK) st = copy_bytes(v, bytes, ctx, err);
    if (st == OLV_OK) st = build_tries(v, err);
    if (st != OLV_OK) ol_grammar_vocab_destroy(v);
    else *out = v;
    return st;
}
