/* SPDX-License-Identifier: Apache-2.0 */
#include "text/tokenizer/byte_trie.h"

#include "base/alloc.h"

static bool grow_edges(ol_tk_byte_trie *t, uint32_t n) {
    ol_tk_byte_edge *edges = ol_calloc(n, sizeof *edges);
    if (!edges) return false;
    for (uint32_t i = 0; t->edges && i <= t->mask; i++) {
        if (!t->edges[i].to) continue;
        uint32_t k = ol_tk_byte_trie_hash(t->edges[i].from, t->edges[i].byte) & (n - 1);
        while (edges[k].to) k = (k + 1) & (n - 1);
        edges[k] = t->edges[i];
    }
    ol_free(t->edges);
    t->edges = edges;
    t->mask = n - 1;
    return true;
}

static bool add_node(ol_tk_byte_trie *t) {
    if (t->n_nodes == t->cap_nodes) {
        uint32_t cap = t->cap_nodes ? t->cap_nodes * 2 : 1024;
        uint32_t *values =
            cap < t->cap_nodes ? NULL : ol_realloc(t->values, (size_t)cap * sizeof *values);
        if (!values) return false;
        t->values = values;
        t->cap_nodes = cap;
    }
    t->values[t->n_nodes++] = 0;
    return true;
}

/* Node that a byte leads to, made if there is none; 0 when out of memory. */
static uint32_t step_or_add(ol_tk_byte_trie *t, uint32_t node, uint8_t byte) {
    uint32_t to = ol_tk_byte_trie_step(t, node, byte);
    if (to) return to;
    if ((t->n_edges + 1) * 2u > t->mask && !grow_edges(t, (t->mask + 1) * 2)) return 0;
    if (!add_node(t)) return 0;
    uint32_t k = ol_tk_byte_trie_hash(node, byte) & t->mask;
    while (t->edges[k].to) k = (k + 1) & t->mask;
    t->edges[k] = (ol_tk_byte_edge){node, t->n_nodes - 1, byte};
    t->n_edges++;
    return t->n_nodes - 1;
}

bool ol_tk_byte_trie_build(ol_tk_byte_trie *t, const ol_tk_vocab *v, const uint8_t *skip) {
    if (!grow_edges(t, 4096) || !add_node(t)) return false;
    for (uint32_t e = 0; e < v->count; e++) {
        if (v->off[e + 1] == v->off[e] || (skip && skip[e])) continue;
        uint32_t node = 0;
        for (uint32_t i = v->off[e]; i < v->off[e + 1]; i++)
            if (!(node = step_or_add(t, node, (uint8_t)v->blob.data[i]))) return false;
        t->values[node] = e + 1;
    }
    return true;
}

void ol_tk_byte_trie_deinit(ol_tk_byte_trie *t) {
    ol_free(t->edges);
    ol_free(t->values);
}
