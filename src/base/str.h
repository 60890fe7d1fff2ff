/* SPDX-License-Identifier: Apache-2.0 */
/* String views and growing byte buffers. A view never owns; it need not be NUL-terminated. */
#ifndef OL_BASE_STR_H
#define OL_BASE_STR_H

#include <olivine/status.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef struct ol_str {
    const char *ptr;
    size_t len;
} ol_str;

static inline ol_str ol_str_of(const char *z) { return (ol_str){z, z ? strlen(z) : 0}; }
static inline bool ol_str_eq(ol_str a, ol_str b) {
    return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}
static inline bool ol_str_is(ol_str a, const char *z) { return ol_str_eq(a, ol_str_of(z)); }
static inline bool ol_str_starts(ol_str a, const char *z) {
    size_t n = strlen(z);
    return a.len >= n && memcmp(a.ptr, z, n) == 0;
}
static inline bool ol_str_ends(ol_str a, const char *z) {
    size_t n = strlen(z);
    return a.len >= n && memcmp(a.ptr + a.len - n, z, n) == 0;
}

/* Growing buffer; always NUL-terminated after its content. A failed growth (memory, or past `max`) latches
 * `failed` and later appends do nothing, so a caller checks once at the end. */
typedef struct ol_buf {
    char *data;
    size_t len, cap;
    size_t max; /* 0: 1 GiB */
    bool failed;
    bool full; /* failed at `max`, not for lack of memory */
} ol_buf;

#define OL_BUF_INIT {NULL, 0, 0, 0, false, false}
/* OLV_OK; OLV_NOMEM or OLV_LIMIT after a failed growth. */
static inline olv_status ol_buf_status(const ol_buf *b) { return !b->failed ? OLV_OK : b->full ? OLV_LIMIT : OLV_NOMEM; }
void ol_buf_deinit(ol_buf *b);
void ol_buf_clear(ol_buf *b); /* keeps the memory and resets `failed` */
bool ol_buf_reserve(ol_buf *b, size_t extra);
void ol_buf_append(ol_buf *b, const void *p, size_t n);
void ol_buf_puts(ol_buf *b, const char *z);
void ol_buf_putc(ol_buf *b, char c);
void ol_buf_printf(ol_buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Appends s as a JSON string with quotes; non-ASCII passes through, invalid UTF-8 becomes U+FFFD. */
void ol_buf_json_string(ol_buf *b, const char *s, size_t n);
/* Takes the NUL-terminated content out (ol_free it); NULL if failed. The buffer is empty afterwards. */
char *ol_buf_take(ol_buf *b, size_t *len);

/* UTF-8. Decodes one code point at p (n bytes left): its length 1..4 with *cp set, or, for a malformed
 * sequence, the length of the maximal invalid subpart with *cp = -1. n must be > 0. */
int ol_utf8_decode(const char *p, size_t n, int32_t *cp);
int ol_utf8_encode(int32_t cp, char out[4]); /* bytes written 1..4 */
size_t ol_utf8_count(const char *p, size_t n); /* code points; each malformed subpart counts one */
bool ol_utf8_valid(const char *p, size_t n);

/* Nearest of `n` words to `word` by edit distance, or NULL when none is near: for "did you mean". */
const char *ol_nearest(const char *word, const char *const *words, size_t n);

#endif
