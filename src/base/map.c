/* SPDX-License-Identifier: Apache-2.0 */
#include "base/map.h"
#include "base/alloc.h"
#include "base/hash.h"
#include <stdatomic.h>
#include <sys/random.h>
#include <time.h>

static uint64_t seed(void) {
    static atomic_uint_fast64_t value;
    uint64_t v = atomic_load_explicit(&value, memory_order_relaxed);
    if (v) return v;
    if (getrandom(&v, sizeof v, GRND_NONBLOCK) != (ssize_t)sizeof v) v = (uint64_t)time(NULL) * 0x9e3779b97f4a7c15u;
    uint64_t none = 0;
    v |= 1;
    return atomic_compare_exchange_strong(&value, &none, v) ? v : none;
}

void ol_map_init(ol_map *m) { memset(m, 0, sizeof *m); }

void ol_map_deinit(ol_map *m) {
    ol_free(m->entries);
    ol_free(m->slots);
    ol_map_init(m);
}

static bool rehash(ol_map *m, size_t n_slots) {
    uint32_t *slots = ol_calloc(n_slots, sizeof *slots);
    if (!slots) return false;
    for (size_t i = 0; i < m->count; i++) {
        size_t at = m->entries[i].hash & (n_slots - 1);
        while (slots[at]) at = (at + 1) & (n_slots - 1);
        slots[at] = (uint32_t)(i + 1);
    }
    ol_free(m->slots);
    m->slots = slots;
    m->n_slots = n_slots;
    return true;
}

bool ol_map_reserve(ol_map *m, size_t count) {
    if (count > UINT32_MAX - 1) return false;
    if (count > m->cap) {
        ol_map_entry *e = ol_realloc(m->entries, count * sizeof *e);
        if (!e) return false;
        m->entries = e;
        m->cap = count;
    }
    size_t n = m->n_slots ? m->n_slots : 16;
    while (n < count * 2) n *= 2;
    return n == m->n_slots || rehash(m, n);
}

static size_t find(const ol_map *m, ol_str key, uint64_t hash) {
    size_t at = hash & (m->n_slots - 1);
    while (m->slots[at]) {
        const ol_map_entry *e = &m->entries[m->slots[at] - 1];
        if (e->hash == hash && ol_str_eq(e->key, key)) break;
        at = (at + 1) & (m->n_slots - 1);
    }
    return at;
}

int ol_map_put(ol_map *m, ol_str key, uint64_t value) {
    if (m->count + 1 > m->cap || (m->count + 1) * 2 > m->n_slots)
        if (!ol_map_reserve(m, m->count ? m->count * 2 : 8)) return -1;
    uint64_t hash = ol_hash64(key.ptr, key.len, seed());
    size_t at = find(m, key, hash);
    if (m->slots[at]) {
        m->entries[m->slots[at] - 1].value = value;
        return 0;
    }
    m->entries[m->count++] = (ol_map_entry){key, value, hash};
    m->slots[at] = (uint32_t)m->count;
    return 1;
}

uint64_t *ol_map_get(const ol_map *m, ol_str key) {
    if (!m->count) return NULL;
    size_t at = find(m, key, ol_hash64(key.ptr, key.len, seed()));
    return m->slots[at] ? &m->entries[m->slots[at] - 1].value : NULL;
}
