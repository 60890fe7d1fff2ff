/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes of tokens and their text, where bytes may end in the middle of a character. */
#ifndef OL_TEXT_TOKENIZER_LOSSY_H
#define OL_TEXT_TOKENIZER_LOSSY_H

#include "base/str.h"

/* Appends the bytes that a byte-level token name stands for. */
void ol_tk_name_bytes(ol_str name, ol_buf *out);
/* Appends s with every maximal malformed part as U+FFFD. */
void ol_tk_append_lossy(ol_buf *out, const char *s, size_t n);
/* Bytes at the end of s that are the beginning of a character, 0 if it does not end inside one. */
size_t ol_tk_incomplete(const char *s, size_t n);
/* Byte of a token named <0xXX>, or -1. */
int ol_tk_fallback_byte(ol_str s);

#endif
