/* SPDX-License-Identifier: Apache-2.0 */
#include "text/template/value.h"

#include <math.h>
#include <stdio.h>

ol_tv ol_tfail(ol_trun *r, olv_status status, const char *fmt, ...) {
    ol_tv undef = {.kind = OL_TV_UNDEF, .s = "a failed expression"};
    if (ol_tbad(r)) return undef;
    r->status = status;
    char text[900];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    ol_fail(r->err, status, "line %d: %s", r->line, text);
    return undef;
}

bool ol_ttick(ol_trun *r, uint64_t n) {
    if (ol_tbad(r)) return false;
    r->steps += n;
    if (r->steps <= r->max_steps) return true;
    ol_tfail(r, OLV_LIMIT, "the template took more than %llu steps", (unsigned long long)r->max_steps);
    return false;
}

bool ol_tenter(ol_trun *r) {
    if (ol_tbad(r)) return false;
    if (r->depth >= OL_TDEPTH_MAX) {
        ol_tfail(r, OLV_LIMIT, "nested deeper than %d levels", (int)OL_TDEPTH_MAX);
        return false;
    }
    r->depth++;
    return true;
}

void *ol_tmem(ol_trun *r, size_t n) {
    if (ol_tbad(r)) return NULL;
    size_t used = ol_arena_bytes(r->arena);
    if (n > r->max_bytes || used > r->max_bytes - n) {
        ol_tfail(r, OLV_LIMIT, "the template needs more than %zu bytes of memory", r->max_bytes);
        return NULL;
    }
    void *p = ol_arena_alloc(r->arena, n);
    if (!p) ol_tfail(r, OLV_NOMEM, "out of memory while rendering");
    return p;
}

ol_tv ol_tundef(ol_trun *r, const char *fmt, ...) {
    char text[400];
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    size_t len = n < 0 ? 0 : (size_t)n < sizeof text ? (size_t)n : sizeof text - 1;
    char *p = ol_tmem(r, len + 1);
    if (!p) return (ol_tv){.kind = OL_TV_UNDEF, .s = "an undefined value"};
    memcpy(p, text, len);
    return (ol_tv){.kind = OL_TV_UNDEF, .s = p};
}

ol_tv ol_tstr_ref(const char *p, size_t n) {
    return (ol_tv){.kind = OL_TV_STR, .len = (uint32_t)n, .s = n ? p : ""};
}

ol_tv ol_tstr_z(const char *z) { return ol_tstr_ref(z, strlen(z)); }

/* n bytes at the end of the present chunk, or of a new one of at least twice that. */
static char *text_mem(ol_trun *r, size_t n, size_t spare) {
    if (n > OL_TSTR_MAX) {
        ol_tfail(r, OLV_LIMIT, "a string of %zu bytes is longer than %d", n, (int)OL_TSTR_MAX);
        return NULL;
    }
    if (n > r->chunk_left) {
        size_t size = n + spare < 8192 ? 8192 : n + spare;
        char *p = ol_tmem(r, size);
        if (!p) return NULL;
        r->chunk = p;
        r->chunk_left = size;
    }
    char *p = r->chunk;
    r->chunk += n;
    r->chunk_left -= n;
    return p;
}

ol_tv ol_tstr(ol_trun *r, const char *p, size_t n) {
    if (n == 0) return ol_tstr_ref("", 0);
    char *d = text_mem(r, n, 0);
    if (!d) return ol_tstr_ref("", 0);
    memcpy(d, p, n);
    return ol_tstr_ref(d, n);
}

ol_tv ol_tstr_concat(ol_trun *r, ol_tv a, ol_tv b) {
    if (b.len == 0) return a;
    if (a.len == 0) return b;
    size_t n = (size_t)a.len + b.len;
    ol_ttick(r, b.len / 256);
    /* a ends where the chunk's free part begins: nobody else can have used those bytes. */
    if (a.s + a.len == r->chunk && b.len <= r->chunk_left && n <= OL_TSTR_MAX) {
        memcpy(r->chunk, b.s, b.len);
        r->chunk += b.len;
        r->chunk_left -= b.len;
        return (ol_tv){.kind = OL_TV_STR, .aux = a.aux, .len = (uint32_t)n, .s = a.s};
    }
    char *d = text_mem(r, n, n);
    if (!d) return ol_tstr_ref("", 0);
    memcpy(d, a.s, a.len);
    memcpy(d + a.len, b.s, b.len);
    return (ol_tv){.kind = OL_TV_STR, .aux = a.aux, .len = (uint32_t)n, .s = d};
}

void ol_tcheck_buf(ol_trun *r, const ol_buf *b, const char *what) {
    if (!b->failed) return;
    if (b->full) ol_tfail(r, OLV_LIMIT, "%s grows past %zu bytes", what, r->max_output);
    else ol_tfail(r, OLV_NOMEM, "no memory for %s", what);
}

ol_buf ol_tbuf(const ol_trun *r) {
    ol_buf b = OL_BUF_INIT;
    b.max = r->max_output;
    return b;
}

ol_tv ol_tstr_take(ol_trun *r, ol_buf *b) {
    ol_tv v = ol_tstr_ref("", 0);
    if (b->failed) ol_tcheck_buf(r, b, "a text of the template");
    else v = ol_tstr(r, b->data, b->len);
    ol_buf_deinit(b);
    return v;
}

static ol_tseq dead_seq;   /* handed out after a failure: n and cap stay 0 */
static ol_tdict dead_dict;

ol_tseq *ol_tseq_new(ol_trun *r, ol_tseq_flavor flavor) {
    ol_tseq *s = ol_tmem(r, sizeof *s);
    if (!s) return &dead_seq;
    s->flavor = (uint8_t)flavor;
    return s;
}

void ol_tseq_push(ol_trun *r, ol_tseq *s, ol_tv v) {
    if (ol_tbad(r)) return;
    if (s->n == s->cap) {
        uint32_t cap = s->cap ? s->cap * 2 : 4;
        ol_tv *items = ol_tmem(r, cap * sizeof *items);
        if (!items) return;
        if (s->n) memcpy(items, s->items, s->n * sizeof *items);
        s->items = items;
        s->cap = cap;
    }
    s->items[s->n++] = v;
}

ol_tdict *ol_tdict_new(ol_trun *r) {
    ol_tdict *d = ol_tmem(r, sizeof *d);
    return d ? d : &dead_dict;
}

void ol_tdict_add(ol_trun *r, ol_tdict *d, ol_tv key, ol_tv value) {
    if (ol_tbad(r)) return;
    if (d->n == d->cap) {
        uint32_t cap = d->cap ? d->cap * 2 : 4;
        ol_tpair *items = ol_tmem(r, cap * sizeof *items);
        if (!items) return;
        if (d->n) memcpy(items, d->items, d->n * sizeof *items);
        d->items = items;
        d->cap = cap;
    }
    d->items[d->n++] = (ol_tpair){key, value};
}

bool ol_tdict_find(const ol_tdict *d, const char *key, size_t len, ol_tv *out) {
    for (uint32_t i = 0; i < d->n; i++) {
        ol_tv k = d->items[i].key;
        if (k.kind == OL_TV_STR && k.len == len && memcmp(k.s, key, len) == 0) {
            *out = d->items[i].value;
            return true;
        }
    }
    return false;
}

bool ol_tdict_get(ol_trun *r, const ol_tdict *d, ol_tv key, ol_tv *out) {
    ol_ttick(r, d->n / 32);
    if (key.kind == OL_TV_STR) return ol_tdict_find(d, key.s, key.len, out);
    for (uint32_t i = 0; i < d->n; i++)
        if (ol_tequal(r, d->items[i].key, key)) {
            *out = d->items[i].value;
            return true;
        }
    return false;
}

void ol_tdict_set(ol_trun *r, ol_tdict *d, ol_tv key, ol_tv value) {
    if (!ol_thashable(key)) {
        ol_tfail(r, OLV_FORMAT, "unhashable type: '%s'", ol_ttype(key));
        return;
    }
    ol_ttick(r, d->n / 32);
    for (uint32_t i = 0; i < d->n && !ol_tbad(r); i++)
        if (ol_tequal(r, d->items[i].key, key)) {
            d->items[i].value = value;
            return;
        }
    ol_tdict_add(r, d, key, value);
}

const char *ol_ttype(ol_tv v) {
    static const char *const seq[] = {"list",      "tuple",       "tuple",      "range",
                                      "dict_keys", "dict_values", "dict_items", "generator"};
    switch ((ol_tv_kind)v.kind) {
    case OL_TV_UNDEF: return "Undefined";
    case OL_TV_NONE: return "NoneType";
    case OL_TV_BOOL: return "bool";
    case OL_TV_INT: return "int";
    case OL_TV_FLOAT: return "float";
    case OL_TV_STR: return v.aux ? "Markup" : "str";
    case OL_TV_SEQ: return seq[v.seq->flavor];
    case OL_TV_DICT: return "dict";
    case OL_TV_NAMESPACE: return "Namespace";
    case OL_TV_MACRO: return "Macro";
    case OL_TV_FUNCTION: return "function";
    case OL_TV_METHOD: return "builtin_function_or_method";
    case OL_TV_LOOP: return "LoopContext";
    case OL_TV_CYCLER: return "Cycler";
    case OL_TV_JOINER: return "Joiner";
    }
    return "object";
}

bool ol_ttruth(ol_tv v) {
    switch ((ol_tv_kind)v.kind) {
    case OL_TV_UNDEF:
    case OL_TV_NONE: return false;
    case OL_TV_BOOL: return v.b;
    case OL_TV_INT: return v.i != 0;
    case OL_TV_FLOAT: return v.f != 0;
    case OL_TV_STR: return v.len != 0;
    case OL_TV_SEQ: return v.seq->flavor == OL_SEQ_GENERATOR || v.seq->n != 0;
    case OL_TV_DICT: return v.dict->n != 0;
    default: return true;
    }
}

static bool sequences_equal(ol_trun *r, const ol_tseq *a, const ol_tseq *b) {
    bool at = a->flavor == OL_SEQ_TUPLE || a->flavor == OL_SEQ_GROUP;
    bool bt = b->flavor == OL_SEQ_TUPLE || b->flavor == OL_SEQ_GROUP;
    if (a == b) return true;
    if (at != bt || (!at && a->flavor != b->flavor) || a->flavor == OL_SEQ_GENERATOR) return false;
    if (a->n != b->n || a->flavor == OL_SEQ_VALUES) return false;
    for (uint32_t i = 0; i < a->n; i++)
        if (!ol_ttick(r, 1) || !ol_tequal(r, a->items[i], b->items[i])) return false;
    return true;
}

static bool dicts_equal(ol_trun *r, const ol_tdict *a, const ol_tdict *b) {
    if (a == b) return true;
    if (a->n != b->n) return false;
    for (uint32_t i = 0; i < a->n; i++) {
        ol_tv other;
        if (!ol_ttick(r, 1) || !ol_tdict_get(r, b, a->items[i].key, &other) ||
            !ol_tequal(r, a->items[i].value, other))
            return false;
    }
    return true;
}

static bool numbers_equal(ol_tv a, ol_tv b) {
    if (ol_tis_int(a) && ol_tis_int(b)) return ol_tint_of(a) == ol_tint_of(b);
    long double x = ol_tis_int(a) ? (long double)ol_tint_of(a) : (long double)a.f;
    long double y = ol_tis_int(b) ? (long double)ol_tint_of(b) : (long double)b.f;
    return x == y;
}

bool ol_tequal(ol_trun *r, ol_tv a, ol_tv b) {
    if (ol_tis_number(a) && ol_tis_number(b)) return numbers_equal(a, b);
    if (a.kind != b.kind) return false;
    switch ((ol_tv_kind)a.kind) {
    case OL_TV_UNDEF:
    case OL_TV_NONE: return true;
    case OL_TV_STR: return a.len == b.len && memcmp(a.s, b.s, a.len) == 0;
    case OL_TV_SEQ:
    case OL_TV_DICT: {
        if (!ol_tenter(r)) return false;
        bool eq = a.kind == OL_TV_SEQ ? sequences_equal(r, a.seq, b.seq) : dicts_equal(r, a.dict, b.dict);
        ol_tleave(r);
        return eq;
    }
    case OL_TV_FUNCTION: return a.aux == b.aux;
    default: return a.s == b.s;
    }
}

static int compare_sequences(ol_trun *r, const ol_tseq *a, const ol_tseq *b) {
    int c = a->n < b->n ? -1 : a->n > b->n;
    if (!ol_tenter(r)) return 0;
    for (uint32_t i = 0; i < a->n && i < b->n && ol_ttick(r, 1); i++)
        if (!ol_tequal(r, a->items[i], b->items[i])) {
            c = ol_tcompare(r, a->items[i], b->items[i]);
            break;
        }
    ol_tleave(r);
    return c;
}

int ol_tcompare(ol_trun *r, ol_tv a, ol_tv b) {
    if (a.kind == OL_TV_UNDEF || b.kind == OL_TV_UNDEF) {
        ol_tfail(r, OLV_FORMAT, "%s", a.kind == OL_TV_UNDEF ? a.s : b.s);
        return 0;
    }
    if (ol_tis_int(a) && ol_tis_int(b)) {
        int64_t x = ol_tint_of(a), y = ol_tint_of(b);
        return x < y ? -1 : x > y;
    }
    if (ol_tis_number(a) && ol_tis_number(b)) {
        long double x = ol_tis_int(a) ? (long double)ol_tint_of(a) : (long double)a.f;
        long double y = ol_tis_int(b) ? (long double)ol_tint_of(b) : (long double)b.f;
        if (isnan(x) || isnan(y)) return 2;
        return x < y ? -1 : x > y;
    }
    if (ol_tis_str(a) && ol_tis_str(b)) { /* UTF-8 sorts as code points do */
        size_t n = a.len < b.len ? a.len : b.len;
        int c = memcmp(a.s, b.s, n);
        return c ? c : a.len < b.len ? -1 : a.len > b.len;
    }
    if (a.kind == OL_TV_SEQ && b.kind == OL_TV_SEQ) {
        uint8_t x = a.seq->flavor == OL_SEQ_GROUP ? OL_SEQ_TUPLE : a.seq->flavor;
        uint8_t y = b.seq->flavor == OL_SEQ_GROUP ? OL_SEQ_TUPLE : b.seq->flavor;
        if (x == y && (x == OL_SEQ_LIST || x == OL_SEQ_TUPLE)) return compare_sequences(r, a.seq, b.seq);
    }
    ol_tfail(r, OLV_FORMAT, "'<' not supported between instances of '%s' and '%s'", ol_ttype(a), ol_ttype(b));
    return 0;
}

bool ol_thashable(ol_tv v) {
    if (v.kind == OL_TV_DICT) return false;
    if (v.kind != OL_TV_SEQ) return true;
    if (v.seq->flavor == OL_SEQ_TUPLE || v.seq->flavor == OL_SEQ_GROUP) {
        for (uint32_t i = 0; i < v.seq->n; i++) { /* nesting is bounded by the depth of expressions */
            ol_tv x = v.seq->items[i];
            if (x.kind == OL_TV_DICT || (x.kind == OL_TV_SEQ && x.seq->flavor == OL_SEQ_LIST)) return false;
        }
        return true;
    }
    return v.seq->flavor == OL_SEQ_RANGE || v.seq->flavor == OL_SEQ_VALUES || v.seq->flavor == OL_SEQ_GENERATOR;
}

bool ol_titerable(ol_tv v) {
    return v.kind == OL_TV_UNDEF || v.kind == OL_TV_STR || v.kind == OL_TV_SEQ || v.kind == OL_TV_DICT ||
           v.kind == OL_TV_LOOP;
}

bool ol_thas_len(ol_tv v) {
    if (v.kind == OL_TV_SEQ) return v.seq->flavor != OL_SEQ_GENERATOR;
    return ol_titerable(v);
}

int64_t ol_tlen(ol_trun *r, ol_tv v) {
    switch ((ol_tv_kind)v.kind) {
    case OL_TV_UNDEF: return 0;
    case OL_TV_STR: ol_ttick(r, v.len / 256); return (int64_t)ol_utf8_count(v.s, v.len);
    case OL_TV_DICT: return v.dict->n;
    case OL_TV_SEQ:
        if (v.seq->flavor != OL_SEQ_GENERATOR) return v.seq->n;
        /* fallthrough */
    default: ol_tfail(r, OLV_FORMAT, "object of type '%s' has no len()", ol_ttype(v)); return 0;
    }
}

static ol_tseq *characters(ol_trun *r, ol_tv v) {
    ol_tseq *s = ol_tseq_new(r, OL_SEQ_LIST);
    for (size_t i = 0; i < v.len && ol_ttick(r, 1);) {
        int32_t cp;
        int n = ol_utf8_decode(v.s + i, v.len - i, &cp);
        ol_tseq_push(r, s, ol_tstr_ref(v.s + i, (size_t)n));
        i += (size_t)n;
    }
    return s;
}

ol_tseq *ol_titer(ol_trun *r, ol_tv v) {
    switch ((ol_tv_kind)v.kind) {
    case OL_TV_UNDEF: return ol_tseq_new(r, OL_SEQ_LIST);
    case OL_TV_STR: return characters(r, v);
    case OL_TV_SEQ: {
        if (v.seq->flavor != OL_SEQ_GENERATOR) return v.seq;
        if (v.seq->consumed) return ol_tseq_new(r, OL_SEQ_LIST);
        if (v.seq != &dead_seq) v.seq->consumed = true;
        return v.seq;
    }
    case OL_TV_DICT: {
        ol_tseq *s = ol_tseq_new(r, OL_SEQ_LIST);
        for (uint32_t i = 0; i < v.dict->n; i++) ol_tseq_push(r, s, v.dict->items[i].key);
        return s;
    }
    default:
        ol_tfail(r, OLV_FORMAT, "'%s' object is not iterable", ol_ttype(v));
        return ol_tseq_new(r, OL_SEQ_LIST);
    }
}

bool ol_tcontains(ol_trun *r, ol_tv c, ol_tv item) {
    if (c.kind == OL_TV_STR) {
        if (item.kind != OL_TV_STR) {
            ol_tfail(r, OLV_FORMAT, "'in <string>' requires string as left operand, not %s", ol_ttype(item));
            return false;
        }
        ol_ttick(r, c.len / 256);
        return item.len == 0 || memmem(c.s, c.len, item.s, item.len) != NULL;
    }
    if (c.kind == OL_TV_DICT || (c.kind == OL_TV_SEQ && c.seq->flavor == OL_SEQ_KEYS && !ol_thashable(item))) {
        ol_tv out;
        if (!ol_thashable(item)) {
            ol_tfail(r, OLV_FORMAT, "unhashable type: '%s'", ol_ttype(item));
            return false;
        }
        return ol_tdict_get(r, c.dict, item, &out);
    }
    if (!ol_titerable(c) || c.kind == OL_TV_LOOP) {
        ol_tfail(r, OLV_FORMAT, "argument of type '%s' is not iterable", ol_ttype(c));
        return false;
    }
    const ol_tseq *s = ol_titer(r, c);
    for (uint32_t i = 0; i < s->n; i++) {
        if (!ol_ttick(r, 1)) return false;
        if (ol_tequal(r, s->items[i], item)) return true;
    }
    return false;
}
