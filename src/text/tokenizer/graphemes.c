/* SPDX-License-Identifier: Apache-2.0 */
#include "text/tokenizer/graphemes.h"

#include <utf8proc.h>

/* Marks of Unicode 16 and 17, which utf8proc's tables may lack. */
static const struct range {
    int32_t first, last;
} newer_marks[] = {
    {0x897, 0x897},     {0x1ACF, 0x1ADD},   {0x1AE0, 0x1AEB},   {0x10D69, 0x10D6D},
    {0x10EFA, 0x10EFC}, {0x113B8, 0x113C0}, {0x113C2, 0x113C2}, {0x113C5, 0x113C5},
    {0x113C7, 0x113CA}, {0x113CC, 0x113D0}, {0x113D2, 0x113D2}, {0x113E1, 0x113E2},
    {0x11B60, 0x11B67}, {0x11F5A, 0x11F5A}, {0x1611E, 0x1612F}, {0x1E5EE, 0x1E5EF},
    {0x1E6E3, 0x1E6E3}, {0x1E6E6, 0x1E6E6}, {0x1E6EE, 0x1E6EF}, {0x1E6F5, 0x1E6F5},
};

/* The character, or an older one that clusters alike. */
static int32_t known(int32_t cp) {
    if (cp < 0x897 || (cp > 0x897 && cp < 0x1ACF)) return cp;
    if (cp == 0x113D1) return 0x600; /* joins what follows */
    size_t lo = 0, hi = sizeof newer_marks / sizeof *newer_marks;
    while (lo < hi) {
        size_t mid = (lo + hi) / 2;
        if (cp > newer_marks[mid].last)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo < sizeof newer_marks / sizeof *newer_marks && cp >= newer_marks[lo].first ? 0x300
                                                                                         : cp;
}

bool ol_tk_grapheme_next(ol_tk_graphemes *g, uint32_t *end) {
    if (g->pos >= g->n) return false;
    uint32_t n;
    utf8proc_int32_t state = 0;
    int32_t cp = known(ol_tk_char(g->s + g->pos, g->n - g->pos, &n));
    g->pos += n;
    while (g->pos < g->n) {
        int32_t next = known(ol_tk_char(g->s + g->pos, g->n - g->pos, &n));
        if (utf8proc_grapheme_break_stateful(cp, next, &state)) break;
        cp = next;
        g->pos += n;
    }
    *end = g->pos;
    return true;
}
