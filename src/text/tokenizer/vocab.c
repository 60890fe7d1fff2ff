/* SPDX-License-Identifier: Apache-2.0 */
#include "text/tokenizer/vocab.h"

#include "base/alloc.h"
#include "base/error.h"
#include "base/hash.h"

#define MAX_ENTRIES (1u << 28)

void ol_tk_vocab_init(ol_tk_vocab *v) {
    *v = (ol_tk_vocab){0};
    v->blob.max = UINT32_MAX - 1;
}

void ol_tk_vocab_deinit(ol_tk_vocab *v) {
    ol_buf_deinit(&v->blob);
    ol_free(v->off);
    ol_free(v->ids);
    ol_free_aligned(v->slots);
    ol_free(v->by_id);
}

static bool grow(ol_tk_vocab *v) {
    uint32_t cap = v->cap ? v->cap * 2 : 1024;
    if (cap > MAX_ENTRIES) return false;
    uint32_t *off = ol_realloc(v->off, ((size_t)cap + 1) * sizeof *off);
    if (!off) return false;
    v->off = off;
    if (v->cap == 0) off[0] = 0;
    uint32_t *ids = ol_realloc(v->ids, (size_t)cap * sizeof *ids);
    if (!ids) return false;
    v->ids = ids;
    v->cap = cap;
    return true;
}

olv_status ol_tk_vocab_refused(const ol_tk_vocab *v, olv_error *err) {
    if (v->blob.full || v->cap > MAX_ENTRIES / 2) return ol_fail(err, OLV_LIMIT, "vocabulary too large");
    return ol_fail(err, OLV_NOMEM, "no memory for the vocabulary");
}

bool ol_tk_vocab_commit(ol_tk_vocab *v, uint32_t id) {
    if (v->count == v->cap && !grow(v)) return false;
    if (v->blob.failed) return false;
    v->ids[v->count++] = id;
    v->off[v->count] = (uint32_t)v->blob.len;
    if ((uint64_t)id + 1 > v->id_bound) v->id_bound = (uint64_t)id + 1;
    return true;
}

bool ol_tk_vocab_add(ol_tk_vocab *v, const char *name, size_t len, uint32_t id) {
    ol_buf_append(&v->blob, name, len);
    return ol_tk_vocab_commit(v, id);
}

static inline uint32_t hash_id(uint32_t id) {
    return (uint32_t)((id * 0x9E3779B97F4A7C15ull) >> 32);
}
static inline ol_str entry_name(const ol_tk_vocab *v, uint32_t e) {
    return (ol_str){v->blob.data + v->off[e], v->off[e + 1] - v->off[e]};
}

/* Upper half of a slot: most names that differ are told apart by it, without a look at the blob. */
static inline uint64_t tag_of(uint64_t hash) {
    return hash & 0xFFFFFFFF00000000ull;
}

static bool index_names(ol_tk_vocab *v) {
    uint32_t n = 16;
    while (n / 3 * 2 < v->count) n *= 2;
    v->slots = ol_alloc_aligned(n * sizeof *v->slots);
    if (!v->slots) return false;
    memset(v->slots, 0, n * sizeof *v->slots);
    v->mask = n - 1;
    for (uint32_t e = 0; e < v->count; e++) {
        ol_str s = entry_name(v, e);
        uint64_t hash = ol_hash64(s.ptr, s.len, 0);
        uint32_t k = (uint32_t)hash & v->mask;
        while (v->slots[k] && (tag_of(v->slots[k]) != tag_of(hash) ||
                               !ol_str_eq(entry_name(v, (uint32_t)v->slots[k] - 1), s)))
            k = (k + 1) & v->mask;
        if (!v->slots[k]) v->n_names++;
        v->slots[k] = tag_of(hash) | (e + 1);
    }
    return true;
}

static bool index_ids(ol_tk_vocab *v) {
    v->dense = v->id_bound <= (uint64_t)v->count * 4 + 4096;
    uint64_t n = 16;
    if (v->dense)
        n = v->id_bound;
    else
        while (n < v->count * 2ull) n *= 2;
    v->by_id = ol_calloc(n ? n : 1, sizeof *v->by_id);
    if (!v->by_id) return false;
    v->n_by_id = n;
    for (uint32_t e = 0; e < v->count; e++) {
        uint64_t k = v->dense ? v->ids[e] : hash_id(v->ids[e]) & (n - 1);
        if (!v->dense)
            while (v->by_id[k] && v->ids[v->by_id[k] - 1] != v->ids[e]) k = (k + 1) & (n - 1);
        v->by_id[k] = e + 1;
    }
    return true;
}

olv_status ol_tk_vocab_finish(ol_tk_vocab *v, olv_error *err) {
    if (v->count == 0 && !grow(v)) return ol_fail(err, OLV_NOMEM, "out of memory");
    if (!index_names(v) || !index_ids(v)) return ol_fail(err, OLV_NOMEM, "out of memory");
    return OLV_OK;
}

uint64_t ol_tk_vocab_hash(ol_str name) {
    return ol_hash64(name.ptr, name.len, 0);
}

void ol_tk_vocab_prefetch(const ol_tk_vocab *v, uint64_t hash, int stage) {
    uint32_t k = (uint32_t)hash & v->mask;
    if (stage == 0) {
        __builtin_prefetch(&v->slots[k]);
        return;
    }
    if (!v->slots[k]) return;
    uint32_t e = (uint32_t)v->slots[k] - 1;
    if (stage == 1) {
        __builtin_prefetch(&v->off[e]);
        __builtin_prefetch(&v->ids[e]);
    } else {
        __builtin_prefetch(v->blob.data + v->off[e]);
    }
}

bool ol_tk_vocab_find(const ol_tk_vocab *v, const char *name, size_t len, uint32_t *id) {
    return v->slots && ol_tk_vocab_find_hashed(v, (ol_str){name, len}, ol_hash64(name, len, 0), id);
}

bool ol_tk_vocab_find_hashed(const ol_tk_vocab *v, ol_str name, uint64_t hash, uint32_t *id) {
    for (uint32_t k = (uint32_t)hash & v->mask; v->slots[k]; k = (k + 1) & v->mask) {
        if (tag_of(v->slots[k]) != tag_of(hash)) continue;
        uint32_t e = (uint32_t)v->slots[k] - 1;
        if (ol_str_eq(entry_name(v, e), name)) {
            *id = v->ids[e];
            return true;
        }
    }
    return false;
}

int64_t ol_tk_vocab_entry(const ol_tk_vocab *v, uint32_t id) {
    if (v->dense) return id < v->n_by_id ? (int64_t)v->by_id[id] - 1 : -1;
    if (!v->by_id) return -1;
    uint64_t k = hash_id(id) & (v->n_by_id - 1);
    while (v->by_id[k] && v->ids[v->by_id[k] - 1] != id) k = (k + 1) & (v->n_by_id - 1);
    return (int64_t)v->by_id[k] - 1;
}

ol_str ol_tk_vocab_name(const ol_tk_vocab *v, uint32_t id) {
    int64_t e = ol_tk_vocab_entry(v, id);
    if (e < 0) return (ol_str){NULL, 0};
    ol_str s = entry_name(v, (uint32_t)e);
    if (!s.ptr) s.ptr = "";
    return s;
}
