/* SPDX-License-Identifier: Apache-2.0 */
/* The compiled grammar: nodes that read a byte range, split, call a rule or end one. */
#ifndef OL_TEXT_GRAMMAR_NETWORK_H
#define OL_TEXT_GRAMMAR_NETWORK_H

#include "text/grammar/grammar.h"

typedef enum ol_gnode_kind { OL_GN_RANGE, OL_GN_SPLIT, OL_GN_CALL, OL_GN_END } ol_gnode_kind;

typedef struct ol_gnode {
    uint8_t kind, lo, hi;
    bool productive; /* a finite text leads from here to the end of the rule */
    uint32_t out;    /* next node (calls: where it goes on) */
    uint32_t out2;   /* splits: the other; calls: the rule */
} ol_gnode;

/* Copies of one small expression, laid out from the last to the first: a place in copy i (from 0) leads on to copy
 * i - 1. Far from the end of the chain all copies allow the same next few bytes. */
typedef struct ol_gchain {
    uint32_t first, stride, copies;
} ol_gchain;

struct ol_grammar {
    ol_gchain *chains; /* ascending */
    uint32_t n_chains, chains_cap;
    ol_gnode *nodes;
    uint32_t n_nodes, cap;
    uint32_t *starts; /* of rules */
    uint32_t n_rules, root;
    /* Bytes that no range tells apart share a class. */
    uint8_t class_of[256];
    uint8_t byte_of[256]; /* one byte of each class */
    int n_classes;
};

#endif
