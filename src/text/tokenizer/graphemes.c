/* SPDX-License-Identifier: Apache-2.0 */
#include "text/tokenizer/graphemes.h"

#include <utf8proc.h>

bool ol_tk_grapheme_next(ol_tk_graphemes *g, uint32_t *end) {
    if (g->pos >= g->n) return false;
    uint32_t n;
    utf8proc_int32_t state = 0;
    int32_t cp = ol_tk_char(g->s + g->pos, g->n - g->pos, &n);
    g->pos += n;
    while (g->pos < g->n) {
        int32_t next = ol_tk_char(g->s + g->pos, g->n - g->pos, &n);
        if (utf8proc_grapheme_break_stateful(cp, next, &state)) break;
        cp = next;
        g->pos += n;
    }
    *end = g->pos;
    return true;
}
