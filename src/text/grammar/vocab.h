/* SPDX-License-Identifier: Apache-2.0 */
/* The tokens as a trie in depth-first order, so that a walk is one loop and a dead prefix one jump. */
#ifndef OL_TEXT_GRAMMAR_VOCAB_H
#define OL_TEXT_GRAMMAR_VOCAB_H

#include "text/grammar/grammar.h"

typedef struct ol_gtrie_node {
    uint32_t end;   /* index behind its subtree */
    int32_t token;  /* first token that ends here, -1: none */
    uint32_t sample; /* any token of the subtree */
    uint16_t depth; /* bytes before this one */
    uint8_t byte;
} ol_gtrie_node;

/* The tokens of a node's subtree, read from the node's own byte on. */
typedef struct ol_gspan {
    uint64_t ascii[2]; /* the ASCII characters that they have */
    uint32_t first;    /* in the trie's list of tokens, that ends where the next subtree's begins */
    uint16_t bytes;    /* of the longest */
    uint8_t chars;     /* of the longest, at most OL_GPLAIN_MAX when whole */
    bool whole;        /* all are whole characters */
    bool other;        /* some have characters beyond ASCII */
} ol_gspan;

typedef struct ol_gtrie {
    ol_gtrie_node *nodes;
    ol_gspan *spans;   /* [n + 1] */
    int32_t *tokens;   /* in the order of the nodes, those of equal bytes side by side */
    uint8_t *chars;    /* of each of them, as far as OL_GPLAIN_MAX + 1; meant for whole ones */
    uint32_t n;
} ol_gtrie;

struct ol_grammar_vocab {
    int64_t n_tokens;
    ol_gtrie all;
    ol_gtrie rest;   /* all tokens but the plain ones */
    /* Plain tokens: 1 to OL_GPLAIN_MAX whole characters that stand for themselves in a JSON string. Mask k holds those
     * of at most k characters. */
    uint32_t *plain;
    uint32_t words;
    int32_t *same; /* [n_tokens]: next token with the same bytes, -1 */
    char *bytes;
    uint64_t *offsets; /* [n_tokens + 1] */
    int64_t *eos;
    size_t n_eos;
    uint32_t longest;
};

enum { OL_GTOKEN_MAX = 4096, OL_GPLAIN_MAX = 32 };

#endif
