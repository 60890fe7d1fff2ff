/* SPDX-License-Identifier: Apache-2.0 */
#include "base/str.h"
#include "base/alloc.h"
#include "base/checked.h"
#include <stdio.h>
#include <strings.h>

#define DEFAULT_MAX ((size_t)1 << 30)

void ol_buf_deinit(ol_buf *b) {
    ol_free(b->data);
    *b = (ol_buf)OL_BUF_INIT;
}

void ol_buf_clear(ol_buf *b) {
    b->len = 0;
    b->failed = b->full = false;
    if (b->data) b->data[0] = 0;
}

bool ol_buf_reserve(ol_buf *b, size_t extra) {
    size_t need, max = b->max ? b->max : DEFAULT_MAX;
    if (b->failed) return false;
    if (!ol_add_size(b->len, extra, &need) || need > max || need == SIZE_MAX) {
        b->failed = b->full = true;
        return false;
    }
    if (need + 1 <= b->cap) return true;
    size_t cap = b->cap > SIZE_MAX / 2 ? need + 1 : b->cap * 2;
    if (cap < need + 1) cap = need + 1;
    if (cap < 64) cap = 64;
    char *p = ol_realloc(b->data, cap);
    if (!p) {
        b->failed = true;
        return false;
    }
    b->data = p;
    b->cap = cap;
    return true;
}

void ol_buf_append(ol_buf *b, const void *p, size_t n) {
    if (!ol_buf_reserve(b, n)) return;
    if (n) memcpy(b->data + b->len, p, n);
    b->len += n;
    b->data[b->len] = 0;
}

void ol_buf_puts(ol_buf *b, const char *z) { ol_buf_append(b, z, strlen(z)); }
void ol_buf_putc(ol_buf *b, char c) { ol_buf_append(b, &c, 1); }

void ol_buf_printf(ol_buf *b, const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    if (n < 0 || !ol_buf_reserve(b, (size_t)n)) {
        b->failed = true;
        return;
    }
    va_start(ap, fmt);
    vsnprintf(b->data + b->len, (size_t)n + 1, fmt, ap);
    va_end(ap);
    b->len += (size_t)n;
}

void ol_buf_json_string(ol_buf *b, const char *s, size_t n) {
    ol_buf_putc(b, '"');
    for (size_t i = 0; i < n;) {
        unsigned char c = (unsigned char)s[i];
        if (c == '"' || c == '\\') {
            char e[2] = {'\\', (char)c};
            ol_buf_append(b, e, 2);
            i++;
        } else if (c == '\n' || c == '\r' || c == '\t') {
            ol_buf_puts(b, c == '\n' ? "\\n" : c == '\r' ? "\\r" : "\\t");
            i++;
        } else if (c < 32 || c == 127) {
            ol_buf_printf(b, "\\u%04x", c);
            i++;
        } else {
            int32_t cp;
            int len = ol_utf8_decode(s + i, n - i, &cp);
            if (cp < 0) ol_buf_puts(b, "\xef\xbf\xbd");
            else ol_buf_append(b, s + i, (size_t)len);
            i += (size_t)len;
        }
    }
    ol_buf_putc(b, '"');
}

char *ol_buf_take(ol_buf *b, size_t *len) {
    if (!b->failed && !b->data) ol_buf_append(b, "", 0);
    char *p = b->failed ? NULL : b->data;
    if (len) *len = p ? b->len : 0;
    if (p) *b = (ol_buf){NULL, 0, 0, b->max, false, false};
    else ol_buf_deinit(b);
    return p;
}

/* Least and greatest second byte after a lead byte (Unicode table 3-7), 0 when the lead is impossible. */
static int lead_info(unsigned char c, unsigned char *lo, unsigned char *hi) {
    *lo = 0x80, *hi = 0xbf;
    if (c >= 0xc2 && c <= 0xdf) return 2;
    if (c >= 0xe0 && c <= 0xef) {
        if (c == 0xe0) *lo = 0xa0;
        if (c == 0xed) *hi = 0x9f;
        return 3;
    }
    if (c >= 0xf0 && c <= 0xf4) {
        if (c == 0xf0) *lo = 0x90;
        if (c == 0xf4) *hi = 0x8f;
        return 4;
    }
    return 0;
}

int ol_utf8_decode(const char *p, size_t n, int32_t *cp) {
    const unsigned char *s = (const unsigned char *)p;
    unsigned char lo, hi;
    if (s[0] < 0x80) {
        *cp = s[0];
        return 1;
    }
    *cp = -1;
    int need = lead_info(s[0], &lo, &hi);
    if (!need) return 1;
    int32_t v = s[0] & (0x7f >> need);
    for (int i = 1; i < need; i++) {
        if ((size_t)i >= n || s[i] < lo || s[i] > hi) return i;
        v = v << 6 | (s[i] & 0x3f);
        lo = 0x80, hi = 0xbf;
    }
    *cp = v;
    return need;
}

int ol_utf8_encode(int32_t cp, char out[4]) {
    uint32_t c = (uint32_t)cp;
    if (c < 0x80) {
        out[0] = (char)c;
        return 1;
    }
    if (c < 0x800) {
        out[0] = (char)(0xc0 | c >> 6);
        out[1] = (char)(0x80 | (c & 0x3f));
        return 2;
    }
    if (c < 0x10000) {
        out[0] = (char)(0xe0 | c >> 12);
        out[1] = (char)(0x80 | (c >> 6 & 0x3f));
        out[2] = (char)(0x80 | (c & 0x3f));
        return 3;
    }
    out[0] = (char)(0xf0 | (c >> 18 & 7));
    out[1] = (char)(0x80 | (c >> 12 & 0x3f));
    out[2] = (char)(0x80 | (c >> 6 & 0x3f));
    out[3] = (char)(0x80 | (c & 0x3f));
    return 4;
}

size_t ol_utf8_count(const char *p, size_t n) {
    size_t count = 0;
    int32_t cp;
    for (size_t i = 0; i < n; count++) i += (size_t)ol_utf8_decode(p + i, n - i, &cp);
    return count;
}

bool ol_utf8_valid(const char *p, size_t n) {
    int32_t cp;
    for (size_t i = 0; i < n;) {
        i += (size_t)ol_utf8_decode(p + i, n - i, &cp);
        if (cp < 0) return false;
    }
    return true;
}

#define NEAREST_MAX 48

/* Edit distance with adjacent swaps; words are cut at NEAREST_MAX characters. */
static int distance(const char *a, const char *b) {
    size_t na = strnlen(a, NEAREST_MAX), nb = strnlen(b, NEAREST_MAX);
    int rows[3][NEAREST_MAX + 1];
    for (size_t j = 0; j <= nb; j++) rows[0][j] = (int)j;
    for (size_t i = 1; i <= na; i++) {
        int *cur = rows[i % 3], *up = rows[(i + 2) % 3], *up2 = rows[(i + 1) % 3];
        cur[0] = (int)i;
        for (size_t j = 1; j <= nb; j++) {
            int best = up[j - 1] + (a[i - 1] != b[j - 1]);
            if (up[j] + 1 < best) best = up[j] + 1;
            if (cur[j - 1] + 1 < best) best = cur[j - 1] + 1;
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] && up2[j - 2] + 1 < best) best = up2[j - 2] + 1;
            cur[j] = best;
        }
    }
    return rows[na % 3][nb];
}

const char *ol_nearest(const char *word, const char *const *words, size_t n) {
    const char *best = NULL;
    int limit = (int)strlen(word) / 3 + 1;
    for (size_t i = 0; i < n; i++) {
        if (strcasecmp(word, words[i]) == 0) return words[i];
        int d = distance(word, words[i]);
        if (d <= limit) {
            best = words[i];
            limit = d - 1;
        }
    }
    return best;
}
