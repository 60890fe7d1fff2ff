/* SPDX-License-Identifier: Apache-2.0 */
/* Byte pair encoding: characters (or bytes) of a piece, merged by rank. */
#include "text/tokenizer/merges.h"
#include "text/tokenizer/word_cache.h"

#include "base/alloc.h"
#include "base/hash.h"

#define NONE (-1)

typedef struct bpe {
    const ol_tk_vocab *vocab;
    ol_tk_merges merges;
    char *prefix, *suffix; /* NULL if none */
    int64_t unk;
    bool fuse_unk, byte_fallback, ignore_merges;
    bool all_bytes;        /* every byte has a token of the byte-level alphabet */
    bool byte_pieces;      /* pieces are plain bytes */
    uint32_t max_name;     /* bytes of the longest name */
    int64_t byte_ids[256]; /* token of the byte-level character of a byte, or of the raw byte */
    int64_t fallback[256]; /* token <0xXX> */
} bpe;

static char *copy_text(const char *z) {
    size_t n = strlen(z);
    char *p = ol_alloc(n + 1);
    if (p) memcpy(p, z, n + 1);
    return p;
}

static int64_t find(const ol_tk_vocab *v, const char *s, size_t n) {
    uint32_t id;
    return ol_tk_vocab_find(v, s, n, &id) ? (int64_t)id : NONE;
}

static void find_bytes(bpe *m, bool raw) {
    static const char hex[] = "0123456789ABCDEF";
    m->all_bytes = true;
    for (int b = 0; b < 256; b++) {
        char utf8[4] = {(char)b}, code[6] = {'<', '0', 'x', hex[b >> 4], hex[b & 15], '>'};
        int n = raw ? 1 : ol_utf8_encode(ol_tk_byte_char((uint8_t)b), utf8);
        m->byte_ids[b] = find(m->vocab, utf8, (size_t)n);
        m->fallback[b] = find(m->vocab, code, 6);
        if (m->byte_ids[b] == NONE) m->all_bytes = false;
    }
    for (uint32_t i = 0; i < m->vocab->count; i++) {
        uint32_t n = m->vocab->off[i + 1] - m->vocab->off[i];
        if (n > m->max_name) m->max_name = n;
    }
}

static void destroy(void *model) {
    bpe *m = model;
    ol_tk_merges_deinit(&m->merges);
    ol_free(m->prefix);
    ol_free(m->suffix);
    ol_free(m);
}

/* Merges of a list of ranks (tiktoken): every way to cut a token in two tokens is a merge with the
 * token's rank. */
static olv_status merges_from_ranks(bpe *m, olv_error *err) {
    const ol_tk_vocab *v = m->vocab;
    for (uint32_t e = 0; e < v->count; e++) {
        const char *s = v->blob.data + v->off[e];
        uint32_t n = v->off[e + 1] - v->off[e], l, r;
        if (n > 4096)
            return ol_fail(err, OLV_LIMIT, "token %u has %u bytes, at most 4096 are allowed",
                           v->ids[e], n);
        for (uint32_t k = 1; k < n; k++)
            if (ol_tk_vocab_find(v, s, k, &l) && ol_tk_vocab_find(v, s + k, n - k, &r) &&
                !ol_tk_merges_put(&m->merges, l, r, v->ids[e], v->ids[e]))
                return ol_fail(err, OLV_NOMEM, "out of memory");
    }
    return OLV_OK;
}

static olv_status create(ol_tk_model_spec *spec, void **model, olv_error *err) {
    bpe *m = ol_calloc(1, sizeof *m);
    if (!m || !ol_tk_merges_init(&m->merges, spec->vocab->count)) {
        ol_free(m);
        return ol_fail(err, OLV_NOMEM, "out of memory");
    }
    m->vocab = spec->vocab;
    m->fuse_unk = spec->fuse_unk;
    m->byte_fallback = spec->byte_fallback;
    m->ignore_merges = spec->ignore_merges || spec->rank_is_id;
    m->byte_pieces = spec->raw_bytes;
    m->unk = NONE;
    olv_status st = OLV_OK;
    if (spec->has_dropout)
        st = ol_fail(err, OLV_UNSUPPORTED, "BPE with dropout gives a different result each time");
    if (st == OLV_OK &&
        ((spec->prefix && *spec->prefix && !(m->prefix = copy_text(spec->prefix))) ||
         (spec->suffix && *spec->suffix && !(m->suffix = copy_text(spec->suffix)))))
        st = ol_fail(err, OLV_NOMEM, "out of memory");
    if (st == OLV_OK && spec->unk_token) {
        m->unk = find(m->vocab, spec->unk_token, strlen(spec->unk_token));
        if (m->unk == NONE) m->unk = -2; /* an error once it is needed, as upstream */
    }
    if (st == OLV_OK)
        st =
            spec->rank_is_id ? merges_from_ranks(m, err) : ol_tk_merges_load(&m->merges, spec, err);
    if (st == OLV_OK) find_bytes(m, spec->raw_bytes);
    if (st != OLV_OK) {
        destroy(m);
        return st;
    }
    *model = m;
    return OLV_OK;
}

static bool takes_bytes(const void *model) {
    const bpe *m = model;
    if (!m->all_bytes || m->prefix || m->suffix) return false;
    ((bpe *)model)->byte_pieces = true; /* while loading; the model is not shared yet */
    return true;
}

/* Symbols of a piece, in the order that they are merged in. */
typedef struct symbols {
    ol_tk_symbol *items;
    size_t count;
    int64_t unk; /* id of an unknown stretch that is not added yet, or NONE */
    uint32_t unk_len;
} symbols;

static void add_symbol(symbols *s, uint32_t id, uint32_t len) {
    s->items[s->count++] = (ol_tk_symbol){id, len, 0, 0};
}

static void flush_unk(symbols *s) {
    if (s->unk != NONE) add_symbol(s, (uint32_t)s->unk, s->unk_len);
    s->unk = NONE;
}

/* Tokens <0xXX> of every byte of s; false if one is missing. */
static bool add_fallback(const bpe *m, symbols *out, const char *s, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (m->fallback[(uint8_t)s[i]] == NONE) return false;
    for (size_t i = 0; i < n; i++) add_symbol(out, (uint32_t)m->fallback[(uint8_t)s[i]], 1);
    return true;
}

static olv_status add_char(const bpe *m, symbols *out, ol_str s, uint32_t len, olv_error *err) {
    int64_t id = find(m->vocab, s.ptr, s.len);
    if (id != NONE) {
        flush_unk(out);
        add_symbol(out, (uint32_t)id, len);
        return OLV_OK;
    }
    if (m->byte_fallback && add_fallback(m, out, s.ptr, s.len)) return OLV_OK;
    if (m->unk == NONE) return OLV_OK;
    if (m->unk < 0) return ol_fail(err, OLV_FORMAT, "the unknown token is not in the vocabulary");
    if (out->unk != NONE && m->fuse_unk) {
        out->unk_len += len;
        return OLV_OK;
    }
    flush_unk(out);
    out->unk = m->unk;
    out->unk_len = len;
    return OLV_OK;
}

static olv_status split_chars(const bpe *m, symbols *out, const ol_tk_piece *p, olv_error *err) {
    ol_buf b = OL_BUF_INIT;
    olv_status st = OLV_OK;
    out->unk = NONE;
    for (uint32_t i = 0, n; i < p->len && st == OLV_OK; i += n) {
        ol_tk_char(p->text + i, p->len - i, &n);
        ol_str s = {p->text + i, n};
        bool prefix = m->prefix && i > 0, suffix = m->suffix && i + n == p->len;
        if (prefix || suffix) {
            ol_buf_clear(&b);
            if (prefix) ol_buf_puts(&b, m->prefix);
            ol_buf_append(&b, p->text + i, n);
            if (suffix) ol_buf_puts(&b, m->suffix);
            if (b.failed) st = ol_fail(err, OLV_NOMEM, "out of memory");
            s = (ol_str){b.data, b.len};
        }
        if (st == OLV_OK) st = add_char(m, out, s, n, err);
    }
    if (st == OLV_OK) flush_unk(out);
    ol_buf_deinit(&b);
    return st;
}

static void emit(ol_tk_sink *sink, const ol_tk_piece *p, const ol_tk_symbol *s, size_t n) {
    uint32_t at = 0;
    for (size_t i = 0; i < n; i++) {
        if (s[i].len == 0) continue;
        uint32_t to = at + s[i].len;
        ol_tk_emit(sink, p, s[i].id, at < p->len ? at : p->len, to < p->len ? to : p->len,
                   (ol_str){NULL, 0});
        at = to;
    }
}

/* Bytes of the piece that a token of a byte piece covers. */
static uint32_t covers(const ol_tk_sink *sink, const bpe *m, uint32_t id) {
    ol_str name = ol_tk_vocab_name(m->vocab, id);
    return (uint32_t)(sink->t->raw_bytes ? name.len : ol_utf8_count(name.ptr, name.len));
}

static bool from_cache(const bpe *m, ol_tk_sink *sink, const ol_tk_piece *p, ol_tk_cached *c,
                       uint32_t tag) {
    if (c->tag != tag || c->len != p->len || memcmp(c->word, p->text, p->len) != 0) return false;
    uint32_t at = 0;
    for (int i = 0; i < c->n_ids; i++) {
        uint32_t to = sink->want_offsets ? at + covers(sink, m, c->ids[i]) : at;
        ol_tk_emit(sink, p, c->ids[i], at, to, (ol_str){NULL, 0});
        at = to;
    }
    return true;
}

static void to_cache(ol_tk_cached *c, const ol_tk_piece *p, uint32_t tag, const ol_tk_symbol *s,
                     size_t n) {
    int k = 0;
    for (size_t i = 0; i < n; i++) {
        if (s[i].len == 0) continue;
        if (k == OL_TK_CACHE_IDS) {
            c->len = 0;
            return;
        }
        c->ids[k++] = s[i].id;
    }
    c->tag = tag;
    c->len = (uint8_t)p->len;
    c->n_ids = (uint8_t)k;
    memcpy(c->word, p->text, p->len);
}

/* The whole piece as one token, where the model looks that up first. */
static bool whole(const bpe *m, ol_tk_sink *sink, const ol_tk_piece *p) {
    int64_t id = NONE;
    if (p->len > m->max_name) return false;
    if (!m->byte_pieces || sink->t->raw_bytes) {
        id = find(m->vocab, p->text, p->len);
    } else {
        char name[512];
        size_t n = 0;
        for (uint32_t i = 0; i < p->len; i++) {
            if (n + 2 > sizeof name) return false;
            n += (size_t)ol_utf8_encode(ol_tk_byte_char((uint8_t)p->text[i]), name + n);
        }
        id = find(m->vocab, name, n);
    }
    if (id == NONE) return false;
    ol_tk_emit(sink, p, (uint32_t)id, 0, p->len, (ol_str){NULL, 0});
    return true;
}

#define STACK_SYMBOLS 128

static olv_status encode(const bpe *m, ol_tk_sink *sink, const ol_tk_piece *p, ol_tk_cached *slot,
                         uint32_t tag, olv_error *err) {
    ol_tk_symbol few[STACK_SYMBOLS];
    symbols s = {few, 0, NONE, 0};
    /* Fallback may give a symbol for each byte of prefix and suffix too. */
    size_t most = p->len + (m->prefix ? p->len * strlen(m->prefix) : 0) +
                  (m->suffix ? strlen(m->suffix) : 0) + 1;
    uint64_t *heap = NULL;
    if (most > STACK_SYMBOLS &&
        !(s.items = most > SIZE_MAX / 64 ? NULL : ol_alloc(most * sizeof *s.items)))
        return ol_fail(err, OLV_NOMEM, "out of memory");
    olv_status st = OLV_OK;
    if (m->byte_pieces)
        for (uint32_t i = 0; i < p->len; i++)
            add_symbol(&s, (uint32_t)m->byte_ids[(uint8_t)p->text[i]], 1);
    else
        st = split_chars(m, &s, p, err);
    if (st == OLV_OK && s.count > OL_TK_SMALL_WORD &&
        !(heap = ol_alloc(s.count * 3 * sizeof *heap)))
        st = ol_fail(err, OLV_NOMEM, "out of memory");
    if (st == OLV_OK) {
        ol_tk_merge_all(&m->merges, s.items, s.count, heap);
        emit(sink, p, s.items, s.count);
        if (slot) to_cache(slot, p, tag, s.items, s.count);
    }
    ol_free(heap);
    if (s.items != few) ol_free(s.items);
    return st;
}

static olv_status tokenize(const void *model, ol_tk_sink *sink, const ol_tk_piece *p,
                           olv_error *err) {
    const bpe *m = model;
    ol_tk_cached *slot = NULL;
    uint32_t tag = 0;
    if (sink->cache && m->byte_pieces && p->len <= OL_TK_CACHE_WORD) {
        uint64_t h = ol_hash64(p->text, p->len, 0);
        slot = &sink->cache->slots[h & (OL_TK_CACHE_SLOTS - 1)];
        tag = (uint32_t)(h >> 32);
        if (from_cache(m, sink, p, slot, tag)) return OLV_OK;
    }
    if (m->ignore_merges && whole(m, sink, p)) return OLV_OK;
    return encode(m, sink, p, slot, tag, err);
}

const ol_tk_model_kind ol_tk_model_bpe = {"BPE", create, destroy, tokenize, takes_bytes};
