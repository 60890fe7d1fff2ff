/* SPDX-License-Identifier: Apache-2.0 */
#include "text/tokenizer/byte_trie.h"

#include "base/alloc.h"

#define MAX_NODES (1u << 24) /* so that a node and a byte fit into a key */

static uint32_t find_slot(const ol_tk_byte_trie *t, uint32_t key) {
    uint32_t k = ol_tk_byte_trie_slot(t, key);
    while (t->edges[k].to && t->edges[k].key != key) k = (k + 1) & t->mask;
    return k;
}

static bool grow_edges(ol_tk_byte_trie *t, uint32_t n) {
    ol_tk_byte_edge *old = t->edges;
    uint32_t count = old ? t->mask + 1 : 0;
    ol_tk_byte_edge *edges = n ? ol_calloc(n, sizeof *edges) : NULL;
    if (!edges) return false;
    t->edges = edges;
    t->mask = n - 1;
    for (uint32_t i = 0; i < count; i++)
        if (old[i].to) edges[find_slot(t, old[i].key)] = old[i];
    ol_free(old);
    return true;
}

static bool add_node(ol_tk_byte_trie *t) {
    if (t->n_nodes == MAX_NODES) return false;
    if (t->n_nodes == t->cap_nodes) {
        uint32_t cap = t->cap_nodes ? t->cap_nodes * 2 : 1024;
        uint32_t *values = ol_realloc(t->values, (size_t)cap * sizeof *values);
        if (!values) return false;
        t->values = values;
        t->cap_nodes = cap;
    }
    t->values[t->n_nodes++] = 0;
    return true;
}

static ol_str name_of(const ol_tk_byte_trie *t, uint32_t e) {
    const ol_tk_vocab *v = t->vocab;
    return (ol_str){v->blob.data + v->off[e], v->off[e + 1] - v->off[e]};
}

static void add_edge(ol_tk_byte_trie *t, uint32_t node, char byte, uint32_t to) {
    uint32_t key = node << 8 | (uint8_t)byte;
    t->edges[find_slot(t, key)] = (ol_tk_byte_edge){key, to};
    t->n_edges++;
}

/* Puts a node between slot k's edge, which is byte i of `name`, and that name. */
static bool split(ol_tk_byte_trie *t, uint32_t k, uint32_t entry, ol_str name, size_t i) {
    if (!add_node(t)) return false;
    uint32_t node = t->n_nodes - 1;
    t->edges[k].to = node;
    if (i + 1 == name.len)
        t->values[node] = entry + 1;
    else
        add_edge(t, node, name.ptr[i + 1], OL_TK_TRIE_NAME | entry);
    return true;
}

static bool insert(ol_tk_byte_trie *t, uint32_t entry) {
    ol_str s = name_of(t, entry);
    uint32_t node = 0;
    for (size_t i = 0; i < s.len; i++) {
        if (t->n_edges + 2 > t->mask - t->mask / 3 && !grow_edges(t, (t->mask + 1) * 2))
            return false;
        uint32_t k = find_slot(t, node << 8 | (uint8_t)s.ptr[i]), to = t->edges[k].to;
        if (to == 0) {
            add_edge(t, node, s.ptr[i], OL_TK_TRIE_NAME | entry);
            return true;
        }
        if (to & OL_TK_TRIE_NAME) {
            uint32_t other = to & ~OL_TK_TRIE_NAME;
            ol_str name = name_of(t, other);
            if (ol_str_eq(name, s)) {
                t->edges[k].to = OL_TK_TRIE_NAME | entry;
                return true;
            }
            if (!split(t, k, other, name, i)) return false;
            to = t->n_nodes - 1;
        }
        node = to;
    }
    t->values[node] = entry + 1;
    return true;
}

bool ol_tk_byte_trie_build(ol_tk_byte_trie *t, const ol_tk_vocab *v, const uint8_t *skip) {
    uint32_t n = 1024, count = 0;
    for (uint32_t e = 0; e < v->count; e++) count += !(skip && skip[e]);
    while (n < count * 3u) n *= 2;
    t->vocab = v;
    if (!grow_edges(t, n) || !add_node(t)) return false;
    for (uint32_t e = 0; e < v->count; e++)
        if (v->off[e + 1] > v->off[e] && !(skip && skip[e]) && !insert(t, e)) return false;
    return true;
}

void ol_tk_byte_trie_deinit(ol_tk_byte_trie *t) {
    ol_free(t->edges);
    ol_free(t->values);
}
