/* SPDX-License-Identifier: Apache-2.0 */
/* The compiled normalization rules of SentencePiece: a little-endian length, a double-array trie of
 * 32-bit units, and the replacement texts, each ended by a NUL. Trie offsets from the file are
 * checked at every step. */
#ifndef OL_TEXT_TOKENIZER_CHARSMAP_H
#define OL_TEXT_TOKENIZER_CHARSMAP_H

#include "base/error.h"
#include "base/str.h"

typedef struct ol_tk_charsmap {
    const uint8_t *units; /* 4 bytes each, borrowed */
    size_t n_units;
    ol_str texts;
} ol_tk_charsmap;

olv_status ol_tk_charsmap_init(ol_tk_charsmap *m, const void *data, size_t len, olv_error *err);
/* Replacement of the shortest (longest false) or longest rule that s begins with; *used bytes of s.
 * False: none. */
bool ol_tk_charsmap_find(const ol_tk_charsmap *m, const char *s, size_t n, bool longest,
                         ol_str *text, size_t *used);

#endif
