/* SPDX-License-Identifier: Apache-2.0 */
/* The merge table of BPE: pair of ids -> rank and resulting id. Lower ranks merge first. */
#ifndef OL_TEXT_TOKENIZER_MERGES_H
#define OL_TEXT_TOKENIZER_MERGES_H

#include "text/tokenizer/state.h"

#define OL_TK_NO_RANK UINT32_MAX

typedef struct ol_tk_merge {
    uint64_t pair;     /* left << 32 | right */
    uint32_t rank, id; /* rank OL_TK_NO_RANK: free slot */
} ol_tk_merge;

typedef struct ol_tk_merges {
    ol_tk_merge *slots;
    uint64_t mask;
    size_t count;
} ol_tk_merges;

/* Room for `expected` merges. */
bool ol_tk_merges_init(ol_tk_merges *m, size_t expected);
void ol_tk_merges_deinit(ol_tk_merges *m);
/* A later merge of the same pair replaces an earlier one. False when out of memory. */
bool ol_tk_merges_put(ol_tk_merges *m, uint32_t left, uint32_t right, uint32_t rank, uint32_t id);

static inline uint64_t ol_tk_merges_slot(const ol_tk_merges *m, uint64_t pair) {
    uint64_t h = pair * 0x9E3779B97F4A7C15ull;
    return (h ^ (h >> 32)) & m->mask;
}

/* The merge of a pair, or NULL. */
static inline const ol_tk_merge *ol_tk_merges_get(const ol_tk_merges *m, uint32_t left,
                                                  uint32_t right) {
    uint64_t pair = (uint64_t)left << 32 | right;
    for (uint64_t k = ol_tk_merges_slot(m, pair);; k = (k + 1) & m->mask) {
        if (m->slots[k].rank == OL_TK_NO_RANK) return NULL;
        if (m->slots[k].pair == pair) return &m->slots[k];
    }
}

/* Fills the table from a spec's merges. v: the vocabulary; prefix: what continuing pieces begin
 * with, or NULL. */
olv_status ol_tk_merges_load(ol_tk_merges *m, const ol_tk_model_spec *spec, olv_error *err);

/* A symbol of a word in the making. */
typedef struct ol_tk_symbol {
    uint32_t id, len; /* len 0: merged away */
    int32_t prev, next;
} ol_tk_symbol;

/* Merges until nothing merges; survivors keep len > 0 and their order. heap: scratch of at least 3
 * n entries, needed if n is above OL_TK_SMALL_WORD. */
#define OL_TK_SMALL_WORD 24
void ol_tk_merge_all(const ol_tk_merges *m, ol_tk_symbol *s, size_t n, uint64_t *heap);

#endif
