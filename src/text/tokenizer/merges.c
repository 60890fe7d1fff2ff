/* SPDX-License-Identifier: Apache-2.0 */
#include "text/tokenizer/merges.h"

#include "base/alloc.h"
#include "base/wire/json_pull.h"

bool ol_tk_merges_init(ol_tk_merges *m, size_t expected) {
    uint64_t n = 16;
    while (n / 3 * 2 < expected) n *= 2;
    m->slots = n > SIZE_MAX / sizeof *m->slots ? NULL : ol_alloc_aligned(n * sizeof *m->slots);
    if (!m->slots) return false;
    for (uint64_t i = 0; i < n; i++) m->slots[i].rank = OL_TK_NO_RANK;
    m->mask = n - 1;
    m->count = 0;
    return true;
}

void ol_tk_merges_deinit(ol_tk_merges *m) {
    ol_free_aligned(m->slots);
}

static void place(ol_tk_merges *m, ol_tk_merge e) {
    uint64_t k = ol_tk_merges_slot(m, e.pair);
    while (m->slots[k].rank != OL_TK_NO_RANK && m->slots[k].pair != e.pair) k = (k + 1) & m->mask;
    if (m->slots[k].rank == OL_TK_NO_RANK) m->count++;
    m->slots[k] = e;
}

bool ol_tk_merges_put(ol_tk_merges *m, uint32_t left, uint32_t right, uint32_t rank, uint32_t id) {
    if (m->count >= (m->mask + 1) / 3 * 2) {
        ol_tk_merges bigger;
        if (!ol_tk_merges_init(&bigger, m->mask + 1)) return false;
        for (uint64_t i = 0; i <= m->mask; i++)
            if (m->slots[i].rank != OL_TK_NO_RANK) place(&bigger, m->slots[i]);
        ol_tk_merges_deinit(m);
        *m = bigger;
    }
    place(m, (ol_tk_merge){(uint64_t)left << 32 | right, rank, id});
    return true;
}

/* Merges that were read but not added yet: their look-ups overlap. Their texts lie in the file. */
#define BATCH 24
typedef struct batch {
    ol_str left[BATCH], right[BATCH];
    uint64_t left_hash[BATCH], right_hash[BATCH];
    size_t count;
} batch;

typedef struct adder {
    ol_tk_merges *m;
    const ol_tk_model_spec *spec;
    ol_buf joined;
    uint32_t rank;
    uint32_t guess; /* entry that the next merge most likely makes */
    ol_str text;    /* of the file */
    batch batch;
    olv_error *err;
} adder;

static olv_status unknown(adder *a, ol_str s) {
    if (a->joined.failed) return ol_fail(a->err, OLV_NOMEM, "no memory for merge %u", a->rank);
    return ol_fail(a->err, OLV_FORMAT, "merge %u: '%.*s' is not in the vocabulary", a->rank,
                   (int)(s.len < 80 ? s.len : 80), s.ptr);
}

/* Id of a merge's result. Vocabularies mostly list the results in the order of the merges: that
 * place is tried first. */
static bool find_result(adder *a, ol_str s, uint32_t *id) {
    const ol_tk_vocab *v = a->spec->vocab;
    uint32_t g = a->guess, first;
    if (g < v->count && v->off[g + 1] - v->off[g] == s.len &&
        memcmp(v->blob.data + v->off[g], s.ptr, s.len) == 0 && v->n_names == v->count) {
        *id = v->ids[g];
        a->guess++;
        return true;
    }
    if (!ol_tk_vocab_find(v, s.ptr, s.len, &first)) return false;
    *id = first;
    int64_t e = ol_tk_vocab_entry(v, first);
    a->guess = e < 0 ? v->count : (uint32_t)e + 1;
    return true;
}

/* The merge of two names, without putting it into the table yet. */
static olv_status resolve(adder *a, ol_str left, ol_str right, uint64_t left_hash,
                          uint64_t right_hash, ol_tk_merge *out) {
    const ol_tk_vocab *v = a->spec->vocab;
    uint32_t l, r, id;
    if (!ol_tk_vocab_find_hashed(v, left, left_hash, &l)) return unknown(a, left);
    if (!ol_tk_vocab_find_hashed(v, right, right_hash, &r)) return unknown(a, right);
    size_t skip = a->spec->prefix ? strlen(a->spec->prefix) : 0;
    if (skip > right.len)
        return ol_fail(a->err, OLV_FORMAT, "merge %u: right part shorter than the prefix", a->rank);
    ol_buf_clear(&a->joined);
    ol_buf_append(&a->joined, left.ptr, left.len);
    ol_buf_append(&a->joined, right.ptr + skip, right.len - skip);
    if (a->joined.failed) return ol_fail(a->err, OLV_NOMEM, "out of memory");
    ol_str both = {a->joined.data, a->joined.len};
    if (!find_result(a, both, &id)) return unknown(a, both);
    *out = (ol_tk_merge){(uint64_t)l << 32 | r, a->rank++, id};
    __builtin_prefetch(&a->m->slots[ol_tk_merges_slot(a->m, out->pair)]);
    return OLV_OK;
}

static olv_status put(adder *a, const ol_tk_merge *e) {
    if (ol_tk_merges_put(a->m, (uint32_t)(e->pair >> 32), (uint32_t)e->pair, e->rank, e->id))
        return OLV_OK;
    return ol_fail(a->err, OLV_NOMEM, "out of memory");
}

static olv_status add(adder *a, ol_str left, ol_str right) {
    ol_tk_merge e;
    OL_TRY(resolve(a, left, right, ol_tk_vocab_hash(left), ol_tk_vocab_hash(right), &e));
    return put(a, &e);
}

static olv_status flush(adder *a) {
    batch *b = &a->batch;
    for (int stage = 1; stage <= 2; stage++)
        for (size_t i = 0; i < b->count; i++) {
            ol_tk_vocab_prefetch(a->spec->vocab, b->left_hash[i], stage);
            ol_tk_vocab_prefetch(a->spec->vocab, b->right_hash[i], stage);
        }
    olv_status st = OLV_OK;
    ol_tk_merge e[BATCH];
    for (size_t i = 0; i < b->count && st == OLV_OK; i++)
        st = resolve(a, b->left[i], b->right[i], b->left_hash[i], b->right_hash[i], &e[i]);
    for (size_t i = 0; i < b->count && st == OLV_OK; i++) st = put(a, &e[i]);
    b->count = 0;
    return st;
}

static bool in_file(const adder *a, ol_str s) {
    return s.ptr >= a->text.ptr && s.ptr < a->text.ptr + a->text.len;
}

static olv_status add_later(adder *a, ol_str left, ol_str right) {
    batch *b = &a->batch;
    if (!in_file(a, left) || !in_file(a, right)) {
        OL_TRY(flush(a));
        return add(a, left, right);
    }
    if (b->count == BATCH) OL_TRY(flush(a));
    size_t i = b->count++;
    b->left[i] = left;
    b->right[i] = right;
    b->left_hash[i] = ol_tk_vocab_hash(left);
    b->right_hash[i] = ol_tk_vocab_hash(right);
    ol_tk_vocab_prefetch(a->spec->vocab, b->left_hash[i], 0);
    ol_tk_vocab_prefetch(a->spec->vocab, b->right_hash[i], 0);
    return OLV_OK;
}

static olv_status add_line(adder *a, ol_str line) {
    const char *space = memchr(line.ptr, ' ', line.len);
    size_t l = space ? (size_t)(space - line.ptr) : 0;
    if (!space || memchr(space + 1, ' ', line.len - l - 1))
        return ol_fail(a->err, OLV_FORMAT,
                       "merge %u: '%.*s' is not two parts with one space between", a->rank,
                       (int)(line.len < 80 ? line.len : 80), line.ptr);
    return add_later(a, (ol_str){line.ptr, l}, (ol_str){space + 1, line.len - l - 1});
}

static olv_status load_lines(adder *a, ol_str text) {
    const char *p = text.ptr, *end = p + text.len;
    while (p < end) {
        const char *nl = memchr(p, '\n', (size_t)(end - p));
        ol_str line = {p, (size_t)((nl ? nl : end) - p)};
        p = nl ? nl + 1 : end;
        if (line.len && line.ptr[line.len - 1] == '\r') line.len--;
        if (ol_str_starts(line, "#version") || line.len == 0) continue;
        OL_TRY(add_line(a, line));
    }
    return OLV_OK;
}

/* The text of the last event, unescaped into buf where needed. */
static olv_status text_of(ol_jp *p, ol_buf *buf, ol_str *out) {
    *out = p->text;
    if (!p->escaped) return OLV_OK;
    ol_buf_clear(buf);
    ol_jp_unescape(p, buf);
    *out = (ol_str){buf->data ? buf->data : "", buf->len};
    return buf->failed ? ol_fail(p->err, OLV_NOMEM, "no memory for a merge") : OLV_OK;
}

static olv_status load_json(adder *a, ol_str json) {
    ol_jp p;
    ol_buf l = OL_BUF_INIT, r = OL_BUF_INIT;
    ol_jp_init(&p, json.ptr, json.len, a->spec->name, a->err);
    olv_status st =
        ol_jp_next(&p) == OL_JP_ARRAY ? OLV_OK : ol_jp_fail(&p, "merges: an array is expected");
    while (st == OLV_OK) {
        ol_jp_event e = ol_jp_next(&p);
        ol_str left, right;
        if (e == OL_JP_ARRAY_END) break;
        if (e == OL_JP_STRING) {
            st = text_of(&p, &l, &left);
            if (st == OLV_OK) st = add_line(a, left);
        } else if (e == OL_JP_ARRAY) {
            if (ol_jp_next(&p) != OL_JP_STRING)
                st = ol_jp_fail(&p, "merges: two strings are expected");
            if (st == OLV_OK) st = text_of(&p, &l, &left);
            if (st == OLV_OK && ol_jp_next(&p) != OL_JP_STRING)
                st = ol_jp_fail(&p, "merges: two strings are expected");
            if (st == OLV_OK) st = text_of(&p, &r, &right);
            if (st == OLV_OK) st = add_later(a, left, right);
            if (st == OLV_OK && ol_jp_next(&p) != OL_JP_ARRAY_END)
                st = ol_jp_fail(&p, "merges: two strings are expected");
        } else if (e == OL_JP_ERROR) {
            st = OLV_FORMAT;
        } else {
            st = ol_jp_fail(&p, "merges: a string or an array of two is expected");
        }
    }
    ol_buf_deinit(&l);
    ol_buf_deinit(&r);
    return st;
}

olv_status ol_tk_merges_load(ol_tk_merges *m, const ol_tk_model_spec *spec, olv_error *err) {
    adder a = {.m = m, .spec = spec, .joined = OL_BUF_INIT, .err = err};
    olv_status st = OLV_OK;
    a.text = spec->merges_json.ptr ? spec->merges_json : spec->merges_lines;
    if (spec->merges_json.ptr)
        st = load_json(&a, a.text);
    else if (spec->merges_lines.ptr)
        st = load_lines(&a, a.text);
    if (st == OLV_OK) st = flush(&a);
    ol_buf_deinit(&a.joined);
    return st;
}

/* Words of a few symbols: the lowest rank of all neighbours, leftmost first, by looking at each. */
static void merge_small(const ol_tk_merges *m, ol_tk_symbol *s, size_t n) {
    uint32_t rank[OL_TK_SMALL_WORD], id[OL_TK_SMALL_WORD], at[OL_TK_SMALL_WORD];
    size_t k = n;
    for (size_t i = 0; i < n; i++) {
        at[i] = (uint32_t)i;
        const ol_tk_merge *e = i + 1 < n ? ol_tk_merges_get(m, s[i].id, s[i + 1].id) : NULL;
        rank[i] = e ? e->rank : OL_TK_NO_RANK;
        id[i] = e ? e->id : 0;
    }
    for (;;) {
        size_t b = 0;
        for (size_t i = 1; i + 1 < k; i++)
            if (rank[i] < rank[b]) b = i;
        if (k < 2 || rank[b] == OL_TK_NO_RANK) return;
        ol_tk_symbol *left = &s[at[b]], *right = &s[at[b + 1]];
        left->id = id[b];
        left->len += right->len;
        right->len = 0;
        k--;
        for (size_t i = b + 1; i < k; i++) {
            at[i] = at[i + 1];
            rank[i] = rank[i + 1];
            id[i] = id[i + 1];
        }
        for (size_t i = b ? b - 1 : 0; i <= b; i++) {
            const ol_tk_merge *e =
                i + 1 < k ? ol_tk_merges_get(m, s[at[i]].id, s[at[i + 1]].id) : NULL;
            rank[i] = e ? e->rank : OL_TK_NO_RANK;
            id[i] = e ? e->id : 0;
        }
    }
}

static void heap_push(uint64_t *h, size_t *n, uint64_t v) {
    size_t i = (*n)++;
    for (; i > 0 && h[(i - 1) / 2] > v; i = (i - 1) / 2) h[i] = h[(i - 1) / 2];
    h[i] = v;
}

static uint64_t heap_pop(uint64_t *h, size_t *n) {
    uint64_t top = h[0], v = h[--*n];
    size_t i = 0;
    for (size_t c; (c = 2 * i + 1) < *n; i = c) {
        if (c + 1 < *n && h[c + 1] < h[c]) c++;
        if (h[c] >= v) break;
        h[i] = h[c];
    }
    h[i] = v;
    return top;
}

static void consider(const ol_tk_merges *m, const ol_tk_symbol *s, int32_t i, uint64_t *heap,
                     size_t *n) {
    if (i < 0 || s[i].next < 0) return;
    const ol_tk_merge *e = ol_tk_merges_get(m, s[i].id, s[s[i].next].id);
    if (e) heap_push(heap, n, (uint64_t)e->rank << 32 | (uint32_t)i);
}

/* Any number of symbols: a heap of (rank, place). Every merge pushes two entries at most, so 3 n
 * are enough; an entry whose pair has changed since is dropped when it comes up. */
static void merge_large(const ol_tk_merges *m, ol_tk_symbol *s, size_t n, uint64_t *heap) {
    size_t count = 0;
    for (size_t i = 0; i < n; i++) {
        s[i].prev = (int32_t)i - 1;
        s[i].next = i + 1 < n ? (int32_t)i + 1 : -1;
    }
    for (size_t i = 0; i + 1 < n; i++) consider(m, s, (int32_t)i, heap, &count);
    while (count) {
        uint64_t top = heap_pop(heap, &count);
        int32_t i = (int32_t)(uint32_t)top, r = s[i].next;
        if (s[i].len == 0 || r < 0) continue;
        const ol_tk_merge *e = ol_tk_merges_get(m, s[i].id, s[r].id);
        if (!e || e->rank != (uint32_t)(top >> 32)) continue;
        s[i].id = e->id;
        s[i].len += s[r].len;
        s[i].next = s[r].next;
        s[r].len = 0;
        if (s[i].next >= 0) s[s[i].next].prev = i;
        consider(m, s, s[i].prev, heap, &count);
        consider(m, s, i, heap, &count);
    }
}

void ol_tk_merge_all(const ol_tk_merges *m, ol_tk_symbol *s, size_t n, uint64_t *heap) {
    if (n < 2) return;
    if (n <= OL_TK_SMALL_WORD)
        merge_small(m, s, n);
    else
        merge_large(m, s, n, heap);
}
