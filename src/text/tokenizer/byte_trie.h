/* SPDX-License-Identifier: Apache-2.0 */
/* A trie over the names of a vocabulary, for finding all names that a text begins with. Edges lie in
 * one hash table. Where only one name is left below an edge, the edge leads to that name instead of
 * to a node, and the rest is compared with the name: most nodes of a plain trie would be such
 * tails. */
#ifndef OL_TEXT_TOKENIZER_BYTE_TRIE_H
#define OL_TEXT_TOKENIZER_BYTE_TRIE_H

#include "text/tokenizer/vocab.h"

#define OL_TK_TRIE_NAME (1u << 31)

typedef struct ol_tk_byte_edge {
    uint32_t key; /* node << 8 | byte */
    uint32_t to;  /* node, or OL_TK_TRIE_NAME | entry; 0: free (no edge leads to the root) */
} ol_tk_byte_edge;

typedef struct ol_tk_byte_trie {
    const ol_tk_vocab *vocab;
    ol_tk_byte_edge *edges;
    uint32_t mask, n_edges;
    uint32_t *values; /* entry + 1 of the name that ends at a node, 0: none */
    uint32_t n_nodes, cap_nodes;
} ol_tk_byte_trie;

/* Names whose entry has skip[entry] set stay out (skip may be NULL); of equal names the last one
 * counts. v is borrowed and must stay. False when out of memory. */
bool ol_tk_byte_trie_build(ol_tk_byte_trie *t, const ol_tk_vocab *v, const uint8_t *skip);
void ol_tk_byte_trie_deinit(ol_tk_byte_trie *t);

static inline uint32_t ol_tk_byte_trie_slot(const ol_tk_byte_trie *t, uint32_t key) {
    return (uint32_t)((key * 0x9E3779B97F4A7C15ull) >> 32) & t->mask;
}

/* The names that a text begins with, shortest first. */
typedef struct ol_tk_prefixes {
    const ol_tk_byte_trie *t;
    const char *s;
    uint32_t n, at, node;
} ol_tk_prefixes;

static inline ol_tk_prefixes ol_tk_prefixes_of(const ol_tk_byte_trie *t, const char *s,
                                               uint32_t n) {
    return (ol_tk_prefixes){t, s, n, 0, 0};
}

/* Next name: its length and entry. False if there is none. */
static inline bool ol_tk_prefixes_next(ol_tk_prefixes *p, uint32_t *len, uint32_t *entry) {
    const ol_tk_byte_trie *t = p->t;
    while (p->at < p->n) {
        uint32_t key = p->node << 8 | (uint8_t)p->s[p->at++], k = ol_tk_byte_trie_slot(t, key);
        while (t->edges[k].to && t->edges[k].key != key) k = (k + 1) & t->mask;
        uint32_t to = t->edges[k].to;
        if (to == 0) break;
        if (to & OL_TK_TRIE_NAME) {
            uint32_t e = to & ~OL_TK_TRIE_NAME, from = t->vocab->off[e];
            uint32_t size = t->vocab->off[e + 1] - from;
            bool here = size <= p->n && memcmp(t->vocab->blob.data + from + p->at, p->s + p->at,
                                               size - p->at) == 0;
            p->at = p->n;
            if (!here) return false;
            *len = size;
            *entry = e;
            return true;
        }
        p->node = to;
        if (t->values[to]) {
            *len = p->at;
            *entry = t->values[to] - 1;
            return true;
        }
    }
    p->at = p->n;
    return false;
}

#endif
