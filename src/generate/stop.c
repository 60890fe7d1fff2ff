/* SPDX-License-Identifier: Apache-2.0 */
#include "generate/stop.h"

void ol_stop_init(ol_stop *s, const char *const *strings, int n, bool include) {
    *s = (ol_stop){.strings = strings, .n = n, .include = include, .held = OL_BUF_INIT};
}

void ol_stop_deinit(ol_stop *s) { ol_buf_deinit(&s->held); }

/* Earliest complete stop string in the held text: its start, with *len set; -1 if none. */
static int64_t find_stop(const ol_stop *s, size_t *len) {
    int64_t best = -1;
    for (int i = 0; i < s->n; i++) {
        size_t n = strlen(s->strings[i]);
        if (!n || n > s->held.len) continue;
        const char *p = memmem(s->held.data, s->held.len, s->strings[i], n);
        if (p && (best < 0 || p - s->held.data < best)) {
            best = p - s->held.data;
            *len = n;
        }
    }
    return best;
}

/* Bytes at the end of the held text that a stop string may begin with. */
static size_t possible_begin(const ol_stop *s) {
    size_t longest = 0;
    for (int i = 0; i < s->n; i++) {
        size_t n = strlen(s->strings[i]);
        for (size_t k = n ? n - 1 : 0; k > longest; k--)
            if (k <= s->held.len && !memcmp(s->held.data + s->held.len - k, s->strings[i], k)) longest = k;
    }
    return longest;
}

static void release(ol_stop *s, size_t n, ol_buf *out) {
    ol_buf_append(out, s->held.data, n);
    memmove(s->held.data, s->held.data + n, s->held.len - n);
    s->held.len -= n;
}

bool ol_stop_push(ol_stop *s, const char *piece, size_t len, ol_buf *out) {
    if (s->n == 0) {
        ol_buf_append(out, piece, len);
        return false;
    }
    ol_buf_append(&s->held, piece, len);
    if (!s->held.len) return false;
    size_t n = 0;
    int64_t at = find_stop(s, &n);
    if (at >= 0) {
        ol_buf_append(out, s->held.data, (size_t)at + (s->include ? n : 0));
        ol_buf_clear(&s->held);
        return true;
    }
    release(s, s->held.len - possible_begin(s), out);
    return false;
}

void ol_stop_flush(ol_stop *s, ol_buf *out) {
    if (s->held.len) release(s, s->held.len, out);
}
