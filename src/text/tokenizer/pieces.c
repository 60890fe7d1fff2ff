/* SPDX-License-Identifier: Apache-2.0 */
#include "text/tokenizer/pieces.h"

#include "base/alloc.h"
#include "text/tokenizer/regex.h"

olv_status ol_tk_work_init(ol_tk_work *w, olv_error *err) {
    *w = (ol_tk_work){0};
    w->arena = ol_arena_create();
    if (!w->arena) return ol_fail(err, OLV_NOMEM, "out of memory");
    return OLV_OK;
}

void ol_tk_work_deinit(ol_tk_work *w) {
    ol_arena_destroy(w->arena);
    ol_free(w->cur.items);
    ol_free(w->next.items);
    ol_free(w->xf_text);
    ol_free(w->xf_align);
    ol_tk_match_destroy(w->match);
}

ol_tk_span ol_tk_piece_span(const ol_tk_piece *p, uint32_t i) {
    if (p->align) return p->align[i];
    uint32_t s = i, e = i + 1;
    while (s > 0 && ((unsigned char)p->text[s] & 0xC0) == 0x80) s--;
    while (e < p->len && ((unsigned char)p->text[e] & 0xC0) == 0x80) e++;
    return (ol_tk_span){p->origin + s, p->origin + e};
}

ol_tk_piece ol_tk_piece_slice(const ol_tk_piece *p, uint32_t from, uint32_t to) {
    ol_tk_piece s = {p->text + from, to - from, p->origin + from, NULL, OL_TK_NO_TOKEN};
    if (p->align) {
        s.align = p->align + from;
        s.origin = from < to ? p->align[from].start : p->origin;
    }
    return s;
}

bool ol_tk_push(ol_tk_work *w, const ol_tk_piece *p) {
    if (p->len == 0) return true;
    ol_tk_pieces *v = &w->next;
    if (v->count == v->cap) {
        size_t cap = v->cap ? v->cap * 2 : 64;
        ol_tk_piece *items =
            cap > SIZE_MAX / sizeof *items ? NULL : ol_realloc(v->items, cap * sizeof *items);
        if (!items) {
            w->nomem = true;
            return false;
        }
        v->items = items;
        v->cap = cap;
    }
    v->items[v->count++] = *p;
    return true;
}

olv_status ol_tk_each(ol_tk_work *w, ol_tk_each_fn *fn, const void *ctx, olv_error *err) {
    w->next.count = 0;
    for (size_t i = 0; i < w->cur.count; i++) {
        ol_tk_piece *p = &w->cur.items[i];
        if (p->token != OL_TK_NO_TOKEN)
            ol_tk_push(w, p);
        else
            OL_TRY(fn(w, p, ctx, err));
        if (w->nomem) return ol_fail(err, OLV_NOMEM, "out of memory");
    }
    ol_tk_pieces t = w->cur;
    w->cur = w->next;
    w->next = t;
    return OLV_OK;
}

static bool reserve(ol_tk_work *w, size_t extra) {
    if (w->xf_cap - w->xf_len >= extra) return true;
    size_t cap = (w->xf_len + extra) * 2 + 64;
    char *text = cap >= UINT32_MAX ? NULL : ol_realloc(w->xf_text, cap);
    if (text) w->xf_text = text;
    ol_tk_span *align = text ? ol_realloc(w->xf_align, cap * sizeof *align) : NULL;
    if (align) w->xf_align = align;
    if (!align) {
        w->nomem = true;
        return false;
    }
    w->xf_cap = cap;
    return true;
}

void ol_tk_xf_begin(ol_tk_xf *x, ol_tk_work *w, const ol_tk_piece *src, size_t skip) {
    *x = (ol_tk_xf){w, src, 0};
    w->xf_len = 0;
    for (uint32_t n; skip > 0 && x->pos < src->len; skip--) {
        ol_tk_char(src->text + x->pos, src->len - x->pos, &n);
        x->pos += n;
    }
}

void ol_tk_xf_bytes(ol_tk_xf *x, const char *s, size_t n, ol_tk_span span) {
    ol_tk_work *w = x->w;
    if (n == 0 || !reserve(w, n)) return;
    memcpy(w->xf_text + w->xf_len, s, n);
    for (size_t i = 0; i < n; i++) w->xf_align[w->xf_len + i] = span;
    w->xf_len += n;
}

void ol_tk_xf_copy(ol_tk_xf *x, uint32_t from, uint32_t to) {
    ol_tk_work *w = x->w;
    if (from >= to || !reserve(w, to - from)) return;
    memcpy(w->xf_text + w->xf_len, x->src->text + from, to - from);
    ol_tk_span *a = w->xf_align + w->xf_len;
    if (x->src->align)
        memcpy(a, x->src->align + from, (to - from) * sizeof *a);
    else
        for (uint32_t i = from; i < to; i++) *a++ = ol_tk_piece_span(x->src, i);
    w->xf_len += to - from;
}

/* Span that a character at byte pos takes, replacing (change <= 0) or inserted (change > 0). */
static ol_tk_span span_at(const ol_tk_xf *x, ptrdiff_t change) {
    const ol_tk_piece *src = x->src;
    if (change <= 0 && x->pos < src->len) return ol_tk_piece_span(src, x->pos);
    if (x->pos < 1 || src->len == 0) return (ol_tk_span){src->origin, src->origin};
    return ol_tk_piece_span(src, x->pos - 1);
}

void ol_tk_xf_put(ol_tk_xf *x, int32_t cp, ptrdiff_t change) {
    char utf8[4];
    int n = ol_utf8_encode(cp, utf8);
    ol_tk_xf_bytes(x, utf8, (size_t)n, span_at(x, change));
    for (ptrdiff_t k = change; k <= 0 && x->pos < x->src->len; k++) {
        uint32_t len;
        ol_tk_char(x->src->text + x->pos, x->src->len - x->pos, &len);
        x->pos += len;
    }
}

bool ol_tk_xf_end(ol_tk_xf *x, ol_tk_piece *p) {
    ol_tk_work *w = x->w;
    if (w->nomem) return false;
    size_t n = w->xf_len;
    char *text = ol_arena_alloc(w->arena, n + 1);
    ol_tk_span *align = ol_arena_alloc(w->arena, (n + 1) * sizeof *align);
    if (!text || !align) {
        w->nomem = true;
        return false;
    }
    if (n > 0) {
        memcpy(text, w->xf_text, n);
        memcpy(align, w->xf_align, n * sizeof *align);
    }
    ol_tk_piece out = {text, (uint32_t)n, x->src->origin, align, x->src->token};
    *p = out;
    return true;
}

bool ol_tk_prepend(ol_tk_work *w, ol_tk_piece *p, ol_str text) {
    if (p->len == 0) return true;
    ol_tk_xf x;
    uint32_t n;
    ol_tk_char(p->text, p->len, &n);
    ol_tk_span first = ol_tk_piece_span(p, 0), last = ol_tk_piece_span(p, n - 1);
    ol_tk_xf_begin(&x, w, p, 0);
    for (size_t i = 0, k; i < text.len; i += k) {
        uint32_t len;
        ol_tk_char(text.ptr + i, text.len - i, &len);
        k = len;
        ol_tk_xf_bytes(&x, text.ptr + i, k, i == 0 ? first : last);
    }
    ol_tk_xf_bytes(&x, p->text, n, text.len ? last : first);
    ol_tk_xf_copy(&x, n, p->len);
    return ol_tk_xf_end(&x, p);
}

int32_t ol_tk_last_char(const char *s, size_t n, uint32_t *len) {
    size_t k = n - 1;
    while (k > 0 && n - k < 4 && ((unsigned char)s[k] & 0xC0) == 0x80) k--;
    int32_t cp = ol_tk_char(s + k, n - k, len);
    *len = (uint32_t)(n - k);
    return cp;
}
