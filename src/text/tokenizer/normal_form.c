/* SPDX-License-Identifier: Apache-2.0 */
/* Unicode normal forms (UAX 15) as a stream of characters with changes: a decomposition's first
 * character replaces its source, the others are inserted; a composition takes the changes of both,
 * minus one. Tables from utf8proc. */
#include "text/tokenizer/normal_form.h"

#include "base/alloc.h"
#include "text/tokenizer/unicode.h"
#include "text/tokenizer/unicode_older.h"

typedef struct change {
    int32_t cp;
    int ccc;
    ptrdiff_t change;
} change;

typedef struct former {
    ol_tk_xf x;
    bool compat, compose;
    change *pending; /* since the last starter, not yet in canonical order */
    size_t count, cap;
    change starter; /* composing: what the next characters may join; ccc -1: none */
} former;

static int combining_class(int32_t cp) {
    if (cp < 0x300) return 0;
    int ccc = utf8proc_get_property(cp)->combining_class;
    return ccc && !ol_uc_old_mark(cp) ? 0 : ccc;
}

/* Canonical composite of a pair, or -1. */
static int32_t composite(int32_t a, int32_t b) {
    if (a >= 0x1100 && a < 0x1113 && b >= 0x1161 && b < 0x1176)
        return 0xAC00 + ((a - 0x1100) * 21 + (b - 0x1161)) * 28;
    if (a >= 0xAC00 && a < 0xD7A4 && (a - 0xAC00) % 28 == 0 && b > 0x11A7 && b < 0x11C3)
        return a + b - 0x11A7;
    if (a < 0x3C || b < 0x300) return -1;
    /* Second parts of class 0 stand in two places only. */
    if (combining_class(b) == 0 && !(b >= 0x9BE && b <= 0x1B35) && !(b >= 0x11000 && b < 0x12000))
        return -1;
    utf8proc_int32_t pair[2] = {a, b};
    utf8proc_ssize_t n = utf8proc_normalize_utf32(pair, 2, UTF8PROC_COMPOSE | UTF8PROC_STABLE);
    return n == 1 && !ol_uc_old_no_decomposition(pair[0]) ? pair[0] : -1;
}

/* Puts the characters after the starter out, or composes them with it. Blocked: a character of the
 * same or a higher class stands between. */
static void settle(former *f) {
    size_t kept = 0;
    int last = 0;
    for (size_t i = 0; i < f->count; i++) {
        change *c = &f->pending[i];
        int32_t joined = -1;
        if (f->starter.ccc == 0 && (kept == 0 || last < c->ccc))
            joined = composite(f->starter.cp, c->cp);
        if (joined >= 0) {
            f->starter.cp = joined;
            f->starter.change += c->change - 1;
            continue;
        }
        last = c->ccc;
        f->pending[kept++] = *c;
    }
    f->count = kept;
}

static void drain(former *f) {
    if (f->starter.ccc == 0) ol_tk_xf_put(&f->x, f->starter.cp, f->starter.change);
    for (size_t i = 0; i < f->count; i++)
        ol_tk_xf_put(&f->x, f->pending[i].cp, f->pending[i].change);
    f->count = 0;
    f->starter.ccc = -1;
}

static void append(former *f, change c) {
    if (f->count == f->cap) {
        size_t cap = f->cap ? f->cap * 2 : 32;
        change *p = ol_realloc(f->pending, cap * sizeof *p);
        if (!p) {
            f->x.w->nomem = true;
            return;
        }
        f->pending = p;
        f->cap = cap;
    }
    f->pending[f->count++] = c;
}

static int by_class(const void *a, const void *b) {
    const change *x = a, *y = b;
    return x->ccc != y->ccc ? (x->ccc > y->ccc) - (x->ccc < y->ccc) : 0;
}

/* Stable sort by class. Classes are at most 254: counting, so that a run of any length costs its
 * length. */
static void sort(former *f) {
    bool sorted = true;
    for (size_t i = 1; i < f->count && sorted; i++)
        sorted = by_class(&f->pending[i - 1], &f->pending[i]) <= 0;
    if (sorted) return;
    change *copy = ol_alloc(f->count * sizeof *copy);
    if (!copy) {
        f->x.w->nomem = true;
        return;
    }
    size_t at[256] = {0}, sum = 0;
    for (size_t i = 0; i < f->count; i++) at[f->pending[i].ccc & 255]++;
    for (int k = 0; k < 256; k++) {
        size_t n = at[k];
        at[k] = sum;
        sum += n;
    }
    for (size_t i = 0; i < f->count; i++) copy[at[f->pending[i].ccc & 255]++] = f->pending[i];
    memcpy(f->pending, copy, f->count * sizeof *copy);
    ol_free(copy);
}

static void take(former *f, int32_t cp, bool first) {
    change c = {cp, combining_class(cp), first ? 0 : 1};
    if (c.ccc != 0) {
        append(f, c);
        return;
    }
    sort(f);
    if (f->compose) {
        settle(f);
        if (f->starter.ccc == 0 && f->count == 0) {
            int32_t joined = composite(f->starter.cp, cp);
            if (joined >= 0) {
                f->starter.cp = joined;
                f->starter.change += c.change - 1;
                return;
            }
        }
    }
    drain(f);
    f->starter = c;
}

static void decompose(former *f, int32_t cp) {
    utf8proc_int32_t out[32];
    int boundary = 0;
    utf8proc_ssize_t n = 1;
    out[0] = cp;
    if (cp >= 0xA0 && !ol_uc_old_no_decomposition(cp))
        n = utf8proc_decompose_char(
            cp, out, 32,
            (utf8proc_option_t)(UTF8PROC_DECOMPOSE | (f->compat ? UTF8PROC_COMPAT : 0)), &boundary);
    if (n < 1 || n > 32) {
        n = 1;
        out[0] = cp;
    }
    for (utf8proc_ssize_t i = 0; i < n; i++) take(f, out[i], i == 0);
}

/* Characters below U+00A0 are their own forms and compose with nothing before them. */
static bool plain(const ol_tk_piece *p) {
    for (uint32_t i = 0; i < p->len; i++)
        if ((unsigned char)p->text[i] >= 0x80) return false;
    return true;
}

bool ol_tk_normal_form(ol_tk_work *w, ol_tk_piece *p, bool compat, bool compose) {
    if (plain(p)) return true;
    former f = {.compat = compat, .compose = compose, .starter = {.ccc = -1}};
    ol_tk_xf_begin(&f.x, w, p, 0);
    for (uint32_t i = 0, n; i < p->len && !w->nomem; i += n)
        decompose(&f, ol_tk_char(p->text + i, p->len - i, &n));
    sort(&f);
    if (compose) settle(&f);
    drain(&f);
    ol_free(f.pending);
    return ol_tk_xf_end(&f.x, p);
}
