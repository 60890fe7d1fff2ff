/* SPDX-License-Identifier: Apache-2.0 */
/* Cutting pieces at delimiters, in the five behaviours that tokenizer.json knows. */
#include "text/tokenizer/state.h"

void ol_tk_cut_begin(ol_tk_cutter *c, ol_tk_work *w, const ol_tk_piece *p,
                     ol_tk_behavior behavior) {
    *c = (ol_tk_cutter){w, p, behavior, 0, 0, false, false};
}

static void flush(ol_tk_cutter *c) {
    if (c->pending) ol_tk_push_slice(c->w, c->p, c->start, c->end);
    c->pending = false;
}

/* Whether the range joins the pending one. */
static bool joins(const ol_tk_cutter *c, bool match) {
    if (!c->pending) return false;
    if (c->behavior == OL_TK_CONTIGUOUS) return match == c->was_match;
    if (c->behavior == OL_TK_MERGED_WITH_PREVIOUS) return match && !c->was_match;
    return c->behavior == OL_TK_MERGED_WITH_NEXT && !match && c->was_match;
}

void ol_tk_cut(ol_tk_cutter *c, uint32_t start, uint32_t end, bool match) {
    if (c->behavior == OL_TK_REMOVED || c->behavior == OL_TK_ISOLATED) {
        if (c->behavior == OL_TK_ISOLATED || !match) ol_tk_push_slice(c->w, c->p, start, end);
        return;
    }
    if (joins(c, match)) {
        c->end = end;
    } else {
        flush(c);
        c->start = start;
        c->end = end;
        c->pending = true;
    }
    c->was_match = match;
}

void ol_tk_cut_end(ol_tk_cutter *c) {
    flush(c);
}

olv_status ol_tk_cut_regex(ol_tk_work *w, const ol_tk_piece *p, const ol_tk_regex *re,
                           ol_tk_behavior behavior, bool invert, olv_error *err) {
    ol_tk_cutter c;
    ol_tk_cut_begin(&c, w, p, behavior);
    ol_tk_find f = ol_tk_find_in(re, p->text, p->len);
    uint32_t start, end, done = 0;
    int rc;
    while ((rc = ol_tk_find_next(w, &f, &start, &end, err)) == 1) {
        if (done != start) ol_tk_cut(&c, done, start, invert);
        ol_tk_cut(&c, start, end, !invert);
        done = end;
    }
    if (rc < 0) return err ? err->status : OLV_LIMIT;
    if (done != p->len) ol_tk_cut(&c, done, p->len, invert);
    ol_tk_cut_end(&c);
    return OLV_OK;
}

void ol_tk_cut_chars(ol_tk_work *w, const ol_tk_piece *p, bool (*pred)(int32_t cp),
                     ol_tk_behavior behavior) {
    ol_tk_cutter c;
    ol_tk_cut_begin(&c, w, p, behavior);
    uint32_t done = 0;
    for (uint32_t i = 0, n; i < p->len; i += n) {
        if (!pred(ol_tk_char(p->text + i, p->len - i, &n))) continue;
        if (done < i) ol_tk_cut(&c, done, i, false);
        ol_tk_cut(&c, i, i + n, true);
        done = i + n;
    }
    if (done < p->len) ol_tk_cut(&c, done, p->len, false);
    ol_tk_cut_end(&c);
}
