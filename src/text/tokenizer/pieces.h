/* SPDX-License-Identifier: Apache-2.0 */
/* The text on its way through a tokenizer: cut into pieces, each with its (possibly rewritten)
 * bytes and, for every byte, the span of the caller's text that it came from. Everything lives for
 * one encode call.
 *
 * The alignment rules are those of Hugging Face tokenizers: a rewrite is a sequence of characters,
 * each with a change: 0 replaces one source character, n > 0 is inserted (it takes the span of the
 * byte before it), -n replaces one character and swallows n more. */
#ifndef OL_TEXT_TOKENIZER_PIECES_H
#define OL_TEXT_TOKENIZER_PIECES_H

#include "base/arena.h"
#include "base/error.h"
#include "base/str.h"

/* Bytes of the caller's text. */
typedef struct ol_tk_span {
    uint32_t start, end;
} ol_tk_span;

#define OL_TK_NO_TOKEN (-1)

typedef struct ol_tk_piece {
    const char *text;
    uint32_t len;
    uint32_t origin; /* where the piece begins in the caller's text */
    const ol_tk_span
        *align;    /* one per byte; NULL: the bytes are the caller's own, beginning at origin */
    int64_t token; /* id of an added token, or OL_TK_NO_TOKEN: text still to be tokenized */
} ol_tk_piece;

typedef struct ol_tk_pieces {
    ol_tk_piece *items;
    size_t count, cap;
} ol_tk_pieces;

struct ol_tk_match; /* scratch of the regular expression engine */

typedef struct ol_tk_work {
    ol_arena *arena; /* rewritten texts */
    ol_tk_pieces cur, next;
    char *xf_text; /* scratch of the rewrite in progress */
    ol_tk_span *xf_align;
    size_t xf_len, xf_cap;
    struct ol_tk_match *match;
    bool nomem;
} ol_tk_work;

olv_status ol_tk_work_init(ol_tk_work *w, olv_error *err);
void ol_tk_work_deinit(ol_tk_work *w);

/* Span of byte i (i < len) of a piece. */
ol_tk_span ol_tk_piece_span(const ol_tk_piece *p, uint32_t i);
/* Bytes [from, to) of p as a piece of its own. */
ol_tk_piece ol_tk_piece_slice(const ol_tk_piece *p, uint32_t from, uint32_t to);
/* Appends a piece to w->next unless it is empty. False when out of memory (w->nomem is set). */
bool ol_tk_push(ol_tk_work *w, const ol_tk_piece *p);
static inline bool ol_tk_push_slice(ol_tk_work *w, const ol_tk_piece *p, uint32_t from,
                                    uint32_t to) {
    if (from >= to) return true;
    ol_tk_piece s = ol_tk_piece_slice(p, from, to);
    return ol_tk_push(w, &s);
}
/* Replaces every piece that is no token by what fn pushes for it. */
typedef olv_status ol_tk_each_fn(ol_tk_work *w, ol_tk_piece *p, const void *ctx, olv_error *err);
olv_status ol_tk_each(ol_tk_work *w, ol_tk_each_fn *fn, const void *ctx, olv_error *err);

/* A rewrite of one piece. */
typedef struct ol_tk_xf {
    ol_tk_work *w;
    const ol_tk_piece *src;
    uint32_t pos; /* byte of src that the next replaced character begins at */
} ol_tk_xf;

/* skip: characters at the beginning of the piece that are dropped. */
void ol_tk_xf_begin(ol_tk_xf *x, ol_tk_work *w, const ol_tk_piece *src, size_t skip);
void ol_tk_xf_put(ol_tk_xf *x, int32_t cp, ptrdiff_t change);
/* Copies bytes [from, to) of the source as they are. */
void ol_tk_xf_copy(ol_tk_xf *x, uint32_t from, uint32_t to);
/* Appends n bytes that all take span s. */
void ol_tk_xf_bytes(ol_tk_xf *x, const char *s, size_t n, ol_tk_span span);
/* Ends the rewrite; *p (may be src itself) becomes the result. False when out of memory. */
bool ol_tk_xf_end(ol_tk_xf *x, ol_tk_piece *p);

/* Puts text in front of a piece that is not empty; it takes the span of the first character. */
bool ol_tk_prepend(ol_tk_work *w, ol_tk_piece *p, ol_str text);

/* First character at s (valid UTF-8, n > 0); *len its bytes. */
static inline int32_t ol_tk_char(const char *s, size_t n, uint32_t *len) {
    const unsigned char *u = (const unsigned char *)s;
    if (u[0] < 0x80) {
        *len = 1;
        return u[0];
    }
    int32_t cp;
    *len = (uint32_t)ol_utf8_decode(s, n, &cp);
    return cp < 0 ? 0xFFFD : cp;
}
/* Last character of s[0, n). */
int32_t ol_tk_last_char(const char *s, size_t n, uint32_t *len);

#endif
