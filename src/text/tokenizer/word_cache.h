/* SPDX-License-Identifier: Apache-2.0 */
/* A bounded cache of words that were encoded before: direct mapped, one megabyte. One thread has it
 * at a time; who finds it taken does without. */
#ifndef OL_TEXT_TOKENIZER_WORD_CACHE_H
#define OL_TEXT_TOKENIZER_WORD_CACHE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define OL_TK_CACHE_SLOTS 16384u
#define OL_TK_CACHE_WORD 26
#define OL_TK_CACHE_IDS 8

typedef struct ol_tk_cached {
    uint32_t tag;       /* of the word's hash */
    uint8_t len, n_ids; /* len 0: free */
    char word[OL_TK_CACHE_WORD];
    uint32_t ids[OL_TK_CACHE_IDS];
} ol_tk_cached;

struct ol_tk_cache {
    ol_tk_cached slots[OL_TK_CACHE_SLOTS];
};

struct ol_tk_shared_cache;
struct ol_tk_shared_cache *ol_tk_cache_create(void); /* NULL when out of memory */
void ol_tk_cache_destroy(struct ol_tk_shared_cache *s);

#endif
