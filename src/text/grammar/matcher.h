/* SPDX-License-Identifier: Apache-2.0 */
/* States of a matcher: sets of (place, stack), interned, with memoized steps. */
#ifndef OL_TEXT_GRAMMAR_MATCHER_H
#define OL_TEXT_GRAMMAR_MATCHER_H

#include "base/error.h"
#include "text/grammar/network.h"
#include "text/grammar/vocab.h"

/* A stack is its top frame: where the called rule goes on, and the frame beneath. Two frames are special. */
typedef struct ol_gframe {
    uint32_t ret, parent;
} ol_gframe;
enum { OL_GFRAME_ROOT = 0, OL_GFRAME_LOCAL = 1, OL_GFRAMES_FIRST = 2 };

typedef struct ol_gstate {
    uint32_t at, n;  /* its pairs in m->pairs: frame << 32 | place, ascending */
    bool accepting;  /* the root rule may end here */
    bool popped;     /* the rule of a local state may end here */
    int32_t mask;    /* slot of the cached mask, -1 */
    int32_t local;   /* index of what is known of it as a local state, -1 */
    int32_t loop;    /* index of what is known of its most frequent successor, -1 */
    int32_t uniform; /* the state after any plain character; -1: not known, -2: it depends on the character */
} ol_gstate;

/* What a place set alone decides, whatever the stack: tokens that stay inside the rule, and the subtrees of the trie
 * that lead out of it. */
typedef struct ol_glocal {
    uint32_t plain;     /* and the plain tokens of up to that many characters (0: none, they are walked as others) */
    uint32_t *bits;     /* words of a mask, or NULL when few tokens: */
    int32_t *tokens;
    uint32_t n_tokens;
    uint32_t *roots;    /* trie nodes to be checked against the stack (of the rest when plain) */
    uint32_t n_roots;
} ol_glocal;

/* Where most characters lead: all of `ascii`, and all beyond ASCII when `other`, to `home`, and from there on alike for
 * `reach` characters. */
typedef struct ol_gloop {
    uint64_t ascii[2];
    bool other;
    uint8_t reach;  /* 0: not known yet */
    bool exact;     /* more of them lead nowhere, and the rule cannot end on the way */
    uint32_t home;  /* 0: no such state */
} ol_gloop;

typedef struct ol_gtable { /* open addressing; 0 is free, else index + 1 */
    uint32_t *slots;
    uint32_t cap, n;
} ol_gtable;

struct ol_grammar_matcher {
    const ol_grammar *g;
    const ol_grammar_vocab *v;
    ol_gframe *frames;
    uint32_t n_frames, frames_cap;
    ol_gtable frame_table;
    uint64_t *pairs;
    uint32_t n_pairs, pairs_cap;
    ol_gstate *states; /* 0: the dead one */
    int32_t *next;     /* [states][classes]; -1: not known yet */
    uint32_t n_states, states_cap;
    ol_gtable state_table;
    ol_glocal *locals;
    uint32_t n_locals, locals_cap;
    size_t locals_bytes;
    ol_gloop *loops;
    uint32_t n_loops, loops_cap;
    uint64_t *set, *work;  /* the set being built; places to follow */
    uint32_t n_set, set_cap, n_work, work_cap;
    ol_gtable seen; /* over `set` and what was followed */
    uint64_t *seen_keys;
    uint32_t n_seen, seen_cap;
    bool set_accepting, set_popped;
    uint32_t *masks; /* [slots][words] */
    int32_t *mask_owner;
    uint32_t next_slot, words;
    uint32_t *path; /* states along a walk, [longest + 2] */
    uint8_t *path_popped;
    uint32_t *list; /* tokens and roots of a walk */
    uint32_t n_list, list_cap, *roots, n_roots, roots_cap;
    uint64_t *whole; /* whole subtrees: characters of a token at most << 32 | node */
    uint32_t n_whole, whole_cap;
    uint32_t now, start;
    uint32_t followed; /* places, since the last mask or token began */
    olv_status status; /* latched failure of memory or limits */
};

enum { OL_GMASK_SLOTS = 128 };

/* State after `byte`; 0 when dead. */
uint32_t ol_gstep_slow(ol_grammar_matcher *m, uint32_t state, uint8_t cls);
static inline uint32_t ol_gstep(ol_grammar_matcher *m, uint32_t state, uint8_t byte) {
    uint8_t cls = m->g->class_of[byte];
    int32_t to = m->next[(size_t)state * (size_t)m->g->n_classes + cls];
    return to >= 0 ? (uint32_t)to : ol_gstep_slow(m, state, cls);
}
/* The state of these pairs (sorted here), without following anything. */
uint32_t ol_gstate_intern(ol_grammar_matcher *m, uint64_t *pairs, uint32_t n, bool accepting, bool popped);
/* Forgets all states but the present and the first one. */
void ol_gstates_flush(ol_grammar_matcher *m);
OLV_MUST_USE olv_status ol_gstates_start(ol_grammar_matcher *m);
bool ol_ggrow(ol_grammar_matcher *m, void **p, uint32_t *cap, uint32_t need, size_t each);
void ol_glocals_clear(ol_grammar_matcher *m);

#endif
