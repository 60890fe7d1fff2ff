/* SPDX-License-Identifier: Apache-2.0 */
/* Token names and ids: one blob of names, flat arrays, one hash table by name and one index by id.
 * Ids may be any 32-bit number; a dense index is used while they are dense, a second hash table
 * otherwise, so memory follows the count. */
#ifndef OL_TEXT_TOKENIZER_VOCAB_H
#define OL_TEXT_TOKENIZER_VOCAB_H

#include "base/str.h"
#include <olivine/status.h>

typedef struct ol_tk_vocab {
    ol_buf blob;
    uint32_t *off; /* count + 1 places in blob */
    uint32_t *ids;
    uint32_t count, cap;
    uint64_t *slots; /* by hash of the name: upper half of the hash, entry + 1; 0 free */
    uint32_t mask;
    uint32_t *by_id; /* entry + 1 by id (dense), or by hash of the id */
    uint64_t n_by_id;
    bool dense;
    uint64_t id_bound; /* largest id + 1 */
    uint32_t n_names;  /* different names */
} ol_tk_vocab;

void ol_tk_vocab_init(ol_tk_vocab *v);
void ol_tk_vocab_deinit(ol_tk_vocab *v);
/* Adds a name that was appended to v->blob at [off[count], blob.len). The last id given to a name
 * counts. */
bool ol_tk_vocab_commit(ol_tk_vocab *v, uint32_t id);
/* Why the last entry was refused: too many, or no memory. */
olv_status ol_tk_vocab_refused(const ol_tk_vocab *v, olv_error *err);
bool ol_tk_vocab_add(ol_tk_vocab *v, const char *name, size_t len, uint32_t id);
/* Builds both indexes, after the last addition and before the first look-up. */
olv_status ol_tk_vocab_finish(ol_tk_vocab *v, olv_error *err);

/* Brings what a look-up of a name with that hash touches nearer, in three stages (0, 1, 2) that each need the one
 * before to have had time: for looking up many names whose places are far apart. */
void ol_tk_vocab_prefetch(const ol_tk_vocab *v, uint64_t hash, int stage);
bool ol_tk_vocab_find(const ol_tk_vocab *v, const char *name, size_t len, uint32_t *id);
/* The same with the name's hash at hand; v has been finished. */
uint64_t ol_tk_vocab_hash(ol_str name);
bool ol_tk_vocab_find_hashed(const ol_tk_vocab *v, ol_str name, uint64_t hash, uint32_t *id);
/* Number of the entry (in the order of addition) that an id stands for, or -1. */
int64_t ol_tk_vocab_entry(const ol_tk_vocab *v, uint32_t id);
/* Name of an id; ptr NULL if it has none. */
ol_str ol_tk_vocab_name(const ol_tk_vocab *v, uint32_t id);

#endif
