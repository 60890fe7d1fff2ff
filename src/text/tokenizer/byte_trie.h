/* SPDX-License-Identifier: Apache-2.0 */
/* A trie over the names of a vocabulary, for finding all names that a text begins with. Edges lie
 * in one hash table. */
#ifndef OL_TEXT_TOKENIZER_BYTE_TRIE_H
#define OL_TEXT_TOKENIZER_BYTE_TRIE_H

#include "text/tokenizer/vocab.h"

typedef struct ol_tk_byte_edge {
    uint32_t from, to; /* to 0: free; the root is node 0 and no edge leads there */
    uint8_t byte;
} ol_tk_byte_edge;

typedef struct ol_tk_byte_trie {
    ol_tk_byte_edge *edges;
    uint32_t mask, n_edges;
    uint32_t *values; /* entry + 1 by node */
    uint32_t n_nodes, cap_nodes;
} ol_tk_byte_trie;

/* Names whose entry has skip[entry] set stay out (skip may be NULL). False when out of memory. */
bool ol_tk_byte_trie_build(ol_tk_byte_trie *t, const ol_tk_vocab *v, const uint8_t *skip);
void ol_tk_byte_trie_deinit(ol_tk_byte_trie *t);

static inline uint32_t ol_tk_byte_trie_hash(uint32_t from, uint8_t byte) {
    uint64_t h = ((uint64_t)from << 8 | byte) * 0x9E3779B97F4A7C15ull;
    return (uint32_t)(h >> 32);
}

/* Node that a byte leads to, 0 if none. */
static inline uint32_t ol_tk_byte_trie_step(const ol_tk_byte_trie *t, uint32_t node, uint8_t byte) {
    for (uint32_t k = ol_tk_byte_trie_hash(node, byte) & t->mask;; k = (k + 1) & t->mask) {
        const ol_tk_byte_edge *e = &t->edges[k];
        if (e->to == 0 || (e->from == node && e->byte == byte)) return e->to;
    }
}

/* Entry of the name that ends at a node, or -1. */
static inline int64_t ol_tk_byte_trie_value(const ol_tk_byte_trie *t, uint32_t node) {
    return (int64_t)t->values[node] - 1;
}

#endif
