/* SPDX-License-Identifier: Apache-2.0 */
/* Pull parser for JSON of any size over a mapped buffer: no tree, no copies, strict RFC 8259, bounded depth.
 * Usage: ol_jp_init, then ol_jp_next in a loop. After OL_JP_KEY the next event is that key's value. */
#ifndef OL_BASE_WIRE_JSON_PULL_H
#define OL_BASE_WIRE_JSON_PULL_H

#include "base/str.h"
#include <olivine/status.h>

typedef enum ol_jp_event {
    OL_JP_END, /* document complete */
    OL_JP_OBJECT,
    OL_JP_OBJECT_END,
    OL_JP_ARRAY,
    OL_JP_ARRAY_END,
    OL_JP_KEY,    /* text: raw bytes between the quotes */
    OL_JP_STRING, /* text: raw bytes between the quotes */
    OL_JP_NUMBER, /* text: the number as written */
    OL_JP_TRUE,
    OL_JP_FALSE,
    OL_JP_NULL,
    OL_JP_ERROR /* err is filled; every later call gives it again */
} ol_jp_event;

#define OL_JP_MAX_DEPTH 128

typedef struct ol_jp {
    const char *start, *ptr, *end;
    const char *name; /* document name for messages */
    ol_str text;      /* of the last KEY, STRING or NUMBER */
    bool escaped;     /* text holds backslash escapes: use ol_jp_unescape */
    int depth, state;
    uint8_t stack[OL_JP_MAX_DEPTH]; /* 1 object, 0 array */
    olv_error *err;
} ol_jp;

/* End of the run of ASCII characters from p on that stand for themselves in a string: the first
 * quote, backslash, control character or byte above 0x7F, or end. */
static inline const char *ol_jp_plain_run(const char *p, const char *end) {
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    /* Eight bytes at a time: the lowest high bit of `stop` marks the first byte that ends the run
     * (borrows spoil higher ones only). */
    const uint64_t ones = 0x0101010101010101ull;
    while (end - p >= 8) {
        uint64_t w, q, b;
        memcpy(&w, p, 8);
        q = w ^ ones * '"';
        b = w ^ ones * '\\';
        uint64_t stop = (((w - ones * 32) & ~w) | ((q - ones) & ~q) | ((b - ones) & ~b) | w) & ones * 128;
        if (stop) return p + (__builtin_ctzll(stop) >> 3);
        p += 8;
    }
#endif
    while (p < end && (signed char)*p >= 32 && *p != '"' && *p != '\\') p++;
    return p;
}

void ol_jp_init(ol_jp *p, const char *text, size_t len, const char *name, olv_error *err);
ol_jp_event ol_jp_next(ol_jp *p);
/* Skips the value that begins with `event` (the event just returned). False on error. */
bool ol_jp_skip(ol_jp *p, ol_jp_event event);
/* Decodes text into out (appended): escapes and surrogate pairs; lone surrogates become U+FFFD. */
void ol_jp_unescape(const ol_jp *p, ol_buf *out);
/* Exact integer value of the last NUMBER; false if it is not an integer in range. */
bool ol_jp_i64(const ol_jp *p, int64_t *out);
bool ol_jp_u64(const ol_jp *p, uint64_t *out);
bool ol_jp_f64(const ol_jp *p, double *out);
/* Position of the parser as "name:line:column" error with the given message; returns OLV_FORMAT. */
olv_status ol_jp_fail(ol_jp *p, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
