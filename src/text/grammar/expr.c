/* SPDX-License-Identifier: Apache-2.0 */
#include "text/grammar/expr.h"

#include <stdio.h>
#include <stdlib.h>

static ol_gexpr dead = {.kind = OL_G_FAIL}; /* never written */

olv_status ol_gbuilder_init(ol_gbuilder *b, olv_error *err) {
    *b = (ol_gbuilder){.err = err};
    ol_map_init(&b->by_name);
    b->arena = ol_arena_create();
    return b->arena ? OLV_OK : ol_fail(err, OLV_NOMEM, "out of memory for a grammar");
}

void ol_gbuilder_deinit(ol_gbuilder *b) {
    ol_map_deinit(&b->by_name);
    ol_arena_destroy(b->arena);
}

ol_gexpr *ol_gfail(ol_gbuilder *b, olv_status status, const char *fmt, ...) {
    if (b->status != OLV_OK) return &dead;
    char text[600];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    b->status = ol_fail(b->err, status, "%s", text);
    return &dead;
}

ol_gexpr *ol_gexpr_new(ol_gbuilder *b, ol_gexpr_kind kind) {
    if (b->status != OLV_OK) return &dead;
    if (ol_arena_bytes(b->arena) > (256u << 20)) return ol_gfail(b, OLV_LIMIT, "the grammar needs more than 256 MiB");
    ol_gexpr *e = ol_arena_alloc(b->arena, sizeof *e);
    if (!e) return ol_gfail(b, OLV_NOMEM, "out of memory for a grammar");
    e->kind = kind;
    return e;
}

ol_gexpr *ol_gtext(ol_gbuilder *b, const char *p, size_t n) {
    ol_gexpr *e = ol_gexpr_new(b, n ? OL_G_TEXT : OL_G_EMPTY);
    char *copy = ol_arena_strndup(b->arena, p, n);
    if (!copy) return ol_gfail(b, OLV_NOMEM, "out of memory for a grammar");
    if (e != &dead) e->text = (ol_str){copy, n};
    return e;
}

ol_gexpr *ol_gtext_z(ol_gbuilder *b, const char *z) { return ol_gtext(b, z, strlen(z)); }

static ol_gexpr *pair(ol_gbuilder *b, ol_gexpr_kind kind, ol_gexpr *x, ol_gexpr *y) {
    ol_gexpr *e = ol_gexpr_new(b, kind);
    if (e == &dead) return e;
    e->a = x;
    e->b = y;
    return e;
}

ol_gexpr *ol_gseq(ol_gbuilder *b, ol_gexpr *x, ol_gexpr *y) {
    if (x->kind == OL_G_EMPTY) return y;
    if (y->kind == OL_G_EMPTY) return x;
    return pair(b, OL_G_SEQ, x, y);
}

ol_gexpr *ol_galt(ol_gbuilder *b, ol_gexpr *x, ol_gexpr *y) {
    if (x->kind == OL_G_FAIL) return y;
    if (y->kind == OL_G_FAIL) return x;
    return pair(b, OL_G_ALT, x, y);
}

ol_gexpr *ol_grepeat(ol_gbuilder *b, ol_gexpr *x, int64_t min, int64_t max) {
    if (max == 0) return ol_gexpr_new(b, OL_G_EMPTY);
    if (min == 1 && max == 1) return x;
    ol_gexpr *e = ol_gexpr_new(b, OL_G_REPEAT);
    if (e == &dead) return e;
    e->a = x;
    e->min = min;
    e->max = max;
    return e;
}

ol_gexpr *ol_goptional(ol_gbuilder *b, ol_gexpr *x) { return ol_grepeat(b, x, 0, 1); }

static int by_low(const void *x, const void *y) {
    const ol_grange *a = x, *b = y;
    return (a->lo > b->lo) - (a->lo < b->lo);
}

/* Adds [lo, hi] without the surrogates. */
static int add_range(ol_grange *out, int n, int32_t lo, int32_t hi) {
    if (lo < 0xd800 && hi > 0xdfff) {
        out[n++] = (ol_grange){lo, 0xd7ff};
        lo = 0xe000;
    }
    if (lo >= 0xd800 && lo <= 0xdfff) lo = 0xe000;
    if (hi >= 0xd800 && hi <= 0xdfff) hi = 0xd7ff;
    if (lo <= hi) out[n++] = (ol_grange){lo, hi};
    return n;
}

ol_gexpr *ol_gclass(ol_gbuilder *b, ol_grange *r, int n, bool inverted) {
    ol_gexpr *e = ol_gexpr_new(b, OL_G_CLASS);
    ol_grange *out = ol_arena_calloc(b->arena, (size_t)n * 2 + 4, sizeof *out);
    if (!out) return ol_gfail(b, OLV_NOMEM, "out of memory for a grammar");
    if (e == &dead) return e;
    if (n) qsort(r, (size_t)n, sizeof *r, by_low);
    int m = 0, k = 0;
    int32_t next = 0; /* first code point not yet looked at */
    while (k < n) {
        int32_t lo = r[k].lo, hi = r[k].hi;
        for (k++; k < n && r[k].lo <= hi + 1; k++)
            if (r[k].hi > hi) hi = r[k].hi;
        if (!inverted) m = add_range(out, m, lo, hi);
        else if (lo > next) m = add_range(out, m, next, lo - 1);
        next = hi + 1;
    }
    if (inverted && next <= 0x10ffff) m = add_range(out, m, next, 0x10ffff);
    e->ranges = out;
    e->n_ranges = m;
    if (m == 0) e->kind = OL_G_FAIL;
    return e;
}

ol_gexpr *ol_gclass_of(ol_gbuilder *b, const char *z) {
    ol_grange r[32];
    int n = 0;
    for (; z[0] && z[1] && n < 32; z += 2) r[n++] = (ol_grange){z[0], z[1]};
    return ol_gclass(b, r, n, false);
}

static bool has(const ol_gexpr *c, int32_t cp) {
    for (int i = 0; i < c->n_ranges; i++)
        if (cp >= c->ranges[i].lo && cp <= c->ranges[i].hi) return true;
    return false;
}

static ol_gexpr *escaped(ol_gbuilder *b, int32_t cp) {
    static const char pairs[] = "\"\"\\\\\nn\rr\tt\bb\ff";
    char text[12];
    for (size_t i = 0; i + 1 < sizeof pairs; i += 2)
        if (pairs[i] == cp) {
            snprintf(text, sizeof text, "\\%c", pairs[i + 1]);
            return ol_gtext_z(b, text);
        }
    snprintf(text, sizeof text, "\\u%04x", (unsigned)cp);
    return ol_gtext_z(b, text);
}

ol_gexpr *ol_gclass_json(ol_gbuilder *b, const ol_gexpr *c) {
    if (c->kind != OL_G_CLASS) return ol_gexpr_new(b, OL_G_FAIL);
    ol_grange *plain = ol_arena_calloc(b->arena, (size_t)c->n_ranges + 3, sizeof *plain);
    if (!plain) return ol_gfail(b, OLV_NOMEM, "out of memory for a grammar");
    int n = 0;
    for (int i = 0; i < c->n_ranges; i++) {
        int32_t lo = c->ranges[i].lo < 32 ? 32 : c->ranges[i].lo, hi = c->ranges[i].hi;
        static const int32_t holes[] = {'"', '\\'};
        for (int k = 0; k < 2; k++) {
            if (holes[k] < lo || holes[k] > hi) continue;
            if (lo < holes[k]) plain[n++] = (ol_grange){lo, holes[k] - 1};
            lo = holes[k] + 1;
        }
        if (lo <= hi) {
            if (n >= c->n_ranges + 2) break;
            plain[n++] = (ol_grange){lo, hi};
        }
    }
    ol_gexpr *e = n ? ol_gclass(b, plain, n, false) : ol_gexpr_new(b, OL_G_FAIL);
    for (int32_t cp = 0; cp < 128; cp++)
        if ((cp < 32 || cp == '"' || cp == '\\') && has(c, cp)) e = ol_galt(b, e, escaped(b, cp));
    return e;
}

uint32_t ol_grule(ol_gbuilder *b, const char *name, size_t len) {
    if (b->status != OLV_OK) return 0;
    const uint64_t *known = name ? ol_map_get(&b->by_name, (ol_str){name, len}) : NULL;
    if (known) return (uint32_t)*known;
    if (b->n_rules >= OL_GRULES_MAX) {
        ol_gfail(b, OLV_LIMIT, "the grammar has more than %d rules", (int)OL_GRULES_MAX);
        return 0;
    }
    if (b->n_rules == b->rules_cap) {
        uint32_t cap = b->rules_cap ? b->rules_cap * 2 : 64;
        ol_gexpr **rules = ol_arena_calloc(b->arena, cap, sizeof *rules);
        const char **names = ol_arena_calloc(b->arena, cap, sizeof *names);
        if (!rules || !names) {
            ol_gfail(b, OLV_NOMEM, "out of memory for a grammar");
            return 0;
        }
        if (b->n_rules) {
            memcpy(rules, b->rules, b->n_rules * sizeof *rules);
            memcpy(names, b->names, b->n_rules * sizeof *names);
        }
        b->rules = rules;
        b->names = names;
        b->rules_cap = cap;
    }
    const char *copy = name ? ol_arena_strndup(b->arena, name, len) : "";
    if (!copy || (name && ol_map_put(&b->by_name, (ol_str){copy, len}, b->n_rules) < 0)) {
        ol_gfail(b, OLV_NOMEM, "out of memory for a grammar");
        return 0;
    }
    b->names[b->n_rules] = copy;
    return b->n_rules++;
}

ol_gexpr *ol_grule_ref(ol_gbuilder *b, uint32_t rule) {
    ol_gexpr *e = ol_gexpr_new(b, OL_G_RULE);
    if (e != &dead) e->rule = rule;
    return e;
}

ol_gexpr *ol_grule_of(ol_gbuilder *b, ol_gexpr *x) {
    uint32_t r = ol_grule(b, NULL, 0);
    if (b->status != OLV_OK) return &dead;
    b->rules[r] = x;
    return ol_grule_ref(b, r);
}
