/* SPDX-License-Identifier: Apache-2.0 */
/* Methods of str, list, dict, loop and cycler objects. */
#include "text/template/filters.h"

#include <stdlib.h>
#include <utf8proc.h>

#define UNUSED (void)r, (void)v, (void)a, (void)args
#define METHOD(fn) ol_tv fn(ol_trun *r, ol_tv v, const ol_tv *a, const ol_targs *args)

size_t ol_tcp_offset(const char *p, size_t n, int64_t index) {
    size_t i = 0;
    for (; index > 0 && i < n; index--) {
        int32_t cp;
        i += (size_t)ol_utf8_decode(p + i, n - i, &cp);
    }
    return i;
}

static bool in_set(ol_tv chars, const char *p, size_t n, int32_t cp) {
    if (chars.kind == OL_TV_NONE) return cp >= 0 && ol_tis_space(cp);
    for (size_t i = 0; i < chars.len;) {
        int32_t c;
        size_t k = (size_t)ol_utf8_decode(chars.s + i, chars.len - i, &c);
        if (k == n && memcmp(chars.s + i, p, n) == 0) return true;
        i += k;
    }
    return false;
}

ol_tv ol_tstrip(ol_tv s, ol_tv chars, int side) {
    const char *p = s.s, *e = s.s + s.len;
    int32_t cp;
    while ((side & 1) && p < e) {
        size_t k = (size_t)ol_utf8_decode(p, (size_t)(e - p), &cp);
        if (!in_set(chars, p, k, cp)) break;
        p += k;
    }
    while ((side & 2) && e > p) {
        const char *q = e - 1;
        while (q > p && ((unsigned char)*q & 0xc0) == 0x80) q--;
        ol_utf8_decode(q, (size_t)(e - q), &cp);
        if (!in_set(chars, q, (size_t)(e - q), cp)) break;
        e = q;
    }
    ol_tv out = ol_tstr_ref(p, (size_t)(e - p));
    out.aux = s.aux;
    return out;
}

static ol_tv strip(ol_trun *r, ol_tv v, const ol_tv *a, int side) {
    ol_tv chars = ol_tgiven_value(a[0]) ? ol_targ_str(r, a[0], "") : ol_tnone();
    ol_ttick(r, v.len / 256);
    return ol_tstrip(v, chars, side);
}

METHOD(ol_tm_strip) { (void)args; return strip(r, v, a, 3); }
METHOD(ol_tm_lstrip) { (void)args; return strip(r, v, a, 1); }
METHOD(ol_tm_rstrip) { (void)args; return strip(r, v, a, 2); }

METHOD(ol_tm_casefold) {
    UNUSED;
    utf8proc_uint8_t *out = NULL;
    char *z = ol_tmem(r, v.len + 1);
    if (!z) return v;
    memcpy(z, v.s, v.len);
    utf8proc_ssize_t n = utf8proc_map((const utf8proc_uint8_t *)z, v.len, &out, UTF8PROC_CASEFOLD);
    if (n < 0) return v;
    ol_tv s = ol_tstr(r, (const char *)out, (size_t)n);
    free(out);
    return s;
}

static const char *find_last(const char *p, size_t n, ol_tv needle) {
    for (size_t i = n >= needle.len ? n - needle.len + 1 : 0; i > 0; i--)
        if (memcmp(p + i - 1, needle.s, needle.len) == 0) return p + i - 1;
    return NULL;
}

static void push_part(ol_trun *r, ol_tseq *out, const char *p, size_t n) { ol_tseq_push(r, out, ol_tstr_ref(p, n)); }

static void split_words(ol_trun *r, ol_tv v, int64_t max, ol_tseq *out) {
    const char *p = v.s, *e = v.s + v.len;
    while (!ol_tbad(r)) {
        p = ol_tstrip(ol_tstr_ref(p, (size_t)(e - p)), ol_tnone(), 1).s;
        if (p > e || p < v.s) p = e; /* an empty rest is a constant of its own */
        if (p == e) return;
        if (max-- == 0) {
            ol_tv rest = ol_tstrip(ol_tstr_ref(p, (size_t)(e - p)), ol_tnone(), 2);
            ol_tseq_push(r, out, ol_tstr_ref(p, rest.len));
            return;
        }
        const char *q = p;
        while (q < e) {
            int32_t cp;
            int k = ol_utf8_decode(q, (size_t)(e - q), &cp);
            if (cp >= 0 && ol_tis_space(cp)) break;
            q += k;
        }
        push_part(r, out, p, (size_t)(q - p));
        ol_ttick(r, 1);
        p = q;
    }
}

static void split_words_right(ol_trun *r, ol_tv v, int64_t max, ol_tseq *out) {
    const char *s = v.s;
    size_t n = v.len;
    while (!ol_tbad(r)) {
        n = ol_tstrip(ol_tstr_ref(s, n), ol_tnone(), 2).len;
        if (n == 0) return;
        size_t q = n;
        if (max-- == 0) {
            ol_tv rest = ol_tstrip(ol_tstr_ref(s, n), ol_tnone(), 1);
            ol_tseq_push(r, out, rest);
            return;
        }
        while (q > 0) {
            size_t k = q - 1;
            int32_t cp;
            while (k > 0 && ((unsigned char)s[k] & 0xc0) == 0x80) k--;
            ol_utf8_decode(s + k, q - k, &cp);
            if (cp >= 0 && ol_tis_space(cp)) break;
            q = k;
        }
        push_part(r, out, s + q, n - q);
        ol_ttick(r, 1);
        n = q;
    }
}

static void turn_around(ol_tseq *s) {
    for (uint32_t i = 0; i + i + 1 < s->n; i++) {
        ol_tv t = s->items[i];
        s->items[i] = s->items[s->n - 1 - i];
        s->items[s->n - 1 - i] = t;
    }
}

static ol_tv split(ol_trun *r, ol_tv v, const ol_tv *a, bool right) {
    int64_t max = ol_targ_int(r, a[1], -1);
    ol_tseq *out = ol_tseq_new(r, OL_SEQ_LIST);
    ol_ttick(r, v.len / 256);
    if (!ol_tgiven_value(a[0])) {
        if (right) split_words_right(r, v, max, out);
        else split_words(r, v, max, out);
        if (right && !ol_tbad(r)) turn_around(out);
        return ol_tseq_value(out);
    }
    ol_tv sep = ol_targ_str(r, a[0], "");
    if (sep.len == 0) return ol_tfail(r, OLV_FORMAT, "empty separator");
    const char *p = v.s, *e = v.s + v.len, *q;
    while (max != 0 && ol_ttick(r, 1)) {
        q = right ? find_last(p, (size_t)(e - p), sep) : memmem(p, (size_t)(e - p), sep.s, sep.len);
        if (!q) break;
        if (right) {
            push_part(r, out, q + sep.len, (size_t)(e - q) - sep.len);
            e = q;
        } else {
            push_part(r, out, p, (size_t)(q - p));
            p = q + sep.len;
        }
        if (max > 0) max--;
    }
    push_part(r, out, p, (size_t)(e - p));
    if (right && !ol_tbad(r)) turn_around(out);
    return ol_tseq_value(out);
}

METHOD(ol_tm_split) { (void)args; return split(r, v, a, false); }
METHOD(ol_tm_rsplit) { (void)args; return split(r, v, a, true); }

METHOD(ol_tm_splitlines) {
    (void)args;
    bool keep = ol_ttruth(a[0]);
    ol_tseq *out = ol_tseq_new(r, OL_SEQ_LIST);
    const char *p = v.s, *e = v.s + v.len, *q = p;
    while (q < e && ol_ttick(r, 1)) {
        int32_t cp;
        int k = ol_utf8_decode(q, (size_t)(e - q), &cp);
        bool end = (cp >= 10 && cp <= 13) || (cp >= 0x1c && cp <= 0x1e) || cp == 0x85 || cp == 0x2028 || cp == 0x2029;
        const char *line = q;
        q += k;
        if (!end) continue;
        if (cp == '\r' && q < e && *q == '\n') q++;
        push_part(r, out, p, (size_t)((keep ? q : line) - p));
        p = q;
    }
    if (p < e) push_part(r, out, p, (size_t)(e - p));
    return ol_tseq_value(out);
}

static ol_tv partition(ol_trun *r, ol_tv v, const ol_tv *a, bool right) {
    ol_tv sep = ol_targ_str(r, a[0], "");
    if (sep.len == 0) return ol_tfail(r, OLV_FORMAT, "empty separator");
    const char *q = right ? find_last(v.s, v.len, sep) : memmem(v.s, v.len, sep.s, sep.len);
    ol_tseq *out = ol_tseq_new(r, OL_SEQ_TUPLE);
    if (!q) {
        ol_tv none = ol_tstr_ref("", 0);
        ol_tseq_push(r, out, right ? none : v);
        ol_tseq_push(r, out, none);
        ol_tseq_push(r, out, right ? v : none);
        return ol_tseq_value(out);
    }
    push_part(r, out, v.s, (size_t)(q - v.s));
    ol_tseq_push(r, out, sep);
    push_part(r, out, q + sep.len, v.len - (size_t)(q - v.s) - sep.len);
    return ol_tseq_value(out);
}

METHOD(ol_tm_partition) { (void)args; return partition(r, v, a, false); }
METHOD(ol_tm_rpartition) { (void)args; return partition(r, v, a, true); }

METHOD(ol_tm_replace) {
    (void)args;
    ol_tv old = ol_targ_str(r, a[0], ""), new = ol_targ_str(r, a[1], "");
    if (!ol_tgiven(a[0]) || !ol_tgiven(a[1])) return ol_tfail(r, OLV_FORMAT, "replace expected at least 2 arguments");
    int64_t max = ol_targ_int(r, a[2], -1);
    ol_buf b = ol_tbuf(r);
    const char *p = v.s, *e = v.s + v.len;
    ol_ttick(r, v.len / 256);
    while (max != 0 && ol_ttick(r, 1) && !b.failed) {
        const char *q = old.len ? memmem(p, (size_t)(e - p), old.s, old.len) : p;
        if (!q) break;
        ol_buf_append(&b, p, (size_t)(q - p));
        ol_buf_append(&b, new.s, new.len);
        if (max > 0) max--;
        p = q + old.len;
        if (old.len == 0) {
            if (p == e) break;
            int32_t cp;
            int k = ol_utf8_decode(p, (size_t)(e - p), &cp);
            ol_buf_append(&b, p, (size_t)k);
            p += k;
        }
    }
    ol_buf_append(&b, p, (size_t)(e - p));
    ol_tv out = ol_tstr_take(r, &b);
    out.aux = v.aux;
    return out;
}

METHOD(ol_tm_join) {
    (void)args;
    const ol_tseq *s = ol_titer(r, a[0]);
    ol_buf b = ol_tbuf(r);
    for (uint32_t i = 0; i < s->n && ol_ttick(r, 1) && !b.failed; i++) {
        ol_tv x = s->items[i];
        if (!ol_tis_str(x))
            ol_tfail(r, OLV_FORMAT, "sequence item %u: expected str instance, %s found", i, ol_ttype(x));
        if (i) ol_buf_append(&b, v.s, v.len);
        ol_tput_str(r, &b, x);
    }
    return ol_tstr_take(r, &b);
}

/* The part [start, end) in characters that the arguments a[at], a[at + 1] choose; false when start lies past it. */
static bool window(ol_trun *r, ol_tv v, const ol_tv *a, int at, ol_tv *out, int64_t *start) {
    int64_t n = (int64_t)ol_utf8_count(v.s, v.len);
    int64_t s = ol_tgiven_value(a[at]) ? ol_targ_int(r, a[at], 0) : 0;
    int64_t e = ol_tgiven_value(a[at + 1]) ? ol_targ_int(r, a[at + 1], n) : n;
    if (s < 0) s = s + n < 0 ? 0 : s + n;
    if (e < 0) e = e + n < 0 ? 0 : e + n;
    if (e > n) e = n;
    *start = s;
    if (s > n || s > e) return false;
    size_t from = ol_tcp_offset(v.s, v.len, s), to = ol_tcp_offset(v.s, v.len, e);
    *out = ol_tstr_ref(v.s + from, to - from);
    return true;
}

static bool has_affix(ol_tv v, ol_tv x, bool at_end) {
    return x.len <= v.len && memcmp(at_end ? v.s + v.len - x.len : v.s, x.s, x.len) == 0;
}

static ol_tv affix(ol_trun *r, ol_tv v, const ol_tv *a, bool at_end) {
    ol_tv part;
    int64_t start;
    bool ok = window(r, v, a, 1, &part, &start);
    if (a[0].kind == OL_TV_SEQ && a[0].seq->flavor == OL_SEQ_TUPLE) {
        for (uint32_t i = 0; i < a[0].seq->n && ol_ttick(r, 1); i++)
            if (ok && has_affix(part, ol_targ_str(r, a[0].seq->items[i], ""), at_end)) return ol_tbool(true);
        return ol_tbool(false);
    }
    if (!ol_tgiven(a[0]) || !ol_tis_str(a[0]))
        return ol_tfail(r, OLV_FORMAT, "%s first arg must be str or a tuple of str, not %s",
                        at_end ? "endswith" : "startswith", ol_ttype(a[0]));
    return ol_tbool(ok && has_affix(part, a[0], at_end));
}

METHOD(ol_tm_startswith) { (void)args; return affix(r, v, a, false); }
METHOD(ol_tm_endswith) { (void)args; return affix(r, v, a, true); }

static int64_t find(ol_trun *r, ol_tv v, const ol_tv *a, bool last) {
    ol_tv part, x = ol_targ_str(r, a[0], "");
    int64_t start;
    ol_ttick(r, v.len / 256);
    if (!window(r, v, a, 1, &part, &start)) return -1;
    const char *q = last ? find_last(part.s, part.len, x)
                         : x.len == 0 ? part.s : memmem(part.s, part.len, x.s, x.len);
    return q ? start + (int64_t)ol_utf8_count(part.s, (size_t)(q - part.s)) : -1;
}

METHOD(ol_tm_find) { (void)args; return ol_tint(find(r, v, a, false)); }
METHOD(ol_tm_rfind) { (void)args; return ol_tint(find(r, v, a, true)); }

static ol_tv index_of(ol_trun *r, ol_tv v, const ol_tv *a, bool last) {
    int64_t i = find(r, v, a, last);
    return i >= 0 ? ol_tint(i) : ol_tfail(r, OLV_FORMAT, "substring not found");
}

METHOD(ol_tm_index) { (void)args; return index_of(r, v, a, false); }
METHOD(ol_tm_rindex) { (void)args; return index_of(r, v, a, true); }

METHOD(ol_tm_count) {
    (void)args;
    ol_tv part, x = ol_targ_str(r, a[0], "");
    int64_t start, n = 0;
    if (!window(r, v, a, 1, &part, &start)) return ol_tint(0);
    if (x.len == 0) return ol_tint((int64_t)ol_utf8_count(part.s, part.len) + 1);
    const char *p = part.s, *e = part.s + part.len;
    ol_ttick(r, part.len / 256);
    while ((p = memmem(p, (size_t)(e - p), x.s, x.len)) != NULL) {
        n++;
        p += x.len;
    }
    return ol_tint(n);
}

METHOD(ol_tm_removeprefix) {
    (void)args;
    ol_tv x = ol_targ_str(r, a[0], "");
    return has_affix(v, x, false) ? ol_tstr_ref(v.s + x.len, v.len - x.len) : v;
}

METHOD(ol_tm_removesuffix) {
    (void)args;
    ol_tv x = ol_targ_str(r, a[0], "");
    return has_affix(v, x, true) ? ol_tstr_ref(v.s, v.len - x.len) : v;
}

static void fill(ol_buf *b, ol_tv with, int64_t n) {
    for (; n > 0 && !b->failed; n--) ol_buf_append(b, with.s, with.len);
}

static ol_tv pad(ol_trun *r, ol_tv v, const ol_tv *a, int side) {
    ol_tv with = ol_targ_str(r, a[1], " ");
    int64_t n = ol_tlen(r, v), width = ol_targ_int(r, a[0], 0);
    if (ol_tlen(r, with) != 1) return ol_tfail(r, OLV_FORMAT, "The fill character must be exactly one character long");
    if (width <= n) return v;
    if (width > (int64_t)r->max_output) return ol_tfail(r, OLV_LIMIT, "a width of %lld", (long long)width);
    int64_t more = width - n, left = side == 0 ? 0 : side == 1 ? more : more / 2 + (more & width & 1);
    ol_ttick(r, (uint64_t)more / 256);
    ol_buf b = ol_tbuf(r);
    fill(&b, with, left);
    ol_buf_append(&b, v.s, v.len);
    fill(&b, with, more - left);
    return ol_tstr_take(r, &b);
}

METHOD(ol_tm_ljust) { (void)args; return pad(r, v, a, 0); }
METHOD(ol_tm_rjust) { (void)args; return pad(r, v, a, 1); }
METHOD(ol_tm_center) { (void)args; return pad(r, v, a, 2); }

METHOD(ol_tm_zfill) {
    (void)args;
    bool sign = v.len && (v.s[0] == '-' || v.s[0] == '+');
    ol_tv b[2] = {ol_tint(ol_targ_int(r, a[0], 0) - sign), ol_tstr_z("0")};
    ol_tv digits = pad(r, ol_tstr_ref(v.s + sign, v.len - sign), b, 1);
    return sign ? ol_tstr_concat(r, ol_tstr(r, v.s, 1), digits) : digits;
}

METHOD(ol_tm_expandtabs) {
    (void)args;
    int64_t size = ol_targ_int(r, a[0], 8), column = 0;
    ol_buf b = ol_tbuf(r);
    for (uint32_t i = 0; i < v.len && ol_ttick(r, 1); i++) {
        if (v.s[i] == '\t') {
            int64_t n = size > 0 ? size - column % size : 0;
            fill(&b, ol_tstr_z(" "), n);
            column += n;
            continue;
        }
        ol_buf_putc(&b, v.s[i]);
        if (v.s[i] == '\n' || v.s[i] == '\r') column = 0;
        else if (((unsigned char)v.s[i] & 0xc0) != 0x80) column++;
    }
    return ol_tstr_take(r, &b);
}

static bool is_alpha(int32_t cp) {
    utf8proc_category_t c = utf8proc_category(cp);
    return c >= UTF8PROC_CATEGORY_LU && c <= UTF8PROC_CATEGORY_LO;
}

static bool is_decimal(int32_t cp) { return utf8proc_category(cp) == UTF8PROC_CATEGORY_ND; }

static bool is_numeric(int32_t cp) {
    utf8proc_category_t c = utf8proc_category(cp);
    return c == UTF8PROC_CATEGORY_ND || c == UTF8PROC_CATEGORY_NL || c == UTF8PROC_CATEGORY_NO;
}

static bool is_digit(int32_t cp) {
    return is_decimal(cp) || cp == 0xb2 || cp == 0xb3 || cp == 0xb9 || cp == 0x2070 || (cp >= 0x2074 && cp <= 0x2079) ||
           (cp >= 0x2080 && cp <= 0x2089) || (cp >= 0x2460 && cp <= 0x2468);
}

static bool is_alnum(int32_t cp) { return is_alpha(cp) || is_numeric(cp); }
static bool is_ascii(int32_t cp) { return cp < 128; }

static ol_tv all(ol_trun *r, ol_tv v, bool (*is)(int32_t), bool if_empty) {
    ol_ttick(r, v.len / 64);
    for (size_t i = 0; i < v.len;) {
        int32_t cp;
        i += (size_t)ol_utf8_decode(v.s + i, v.len - i, &cp);
        if (cp < 0 || !is(cp)) return ol_tbool(false);
    }
    return ol_tbool(v.len || if_empty);
}

METHOD(ol_tm_isalpha) { UNUSED; return all(r, v, is_alpha, false); }
METHOD(ol_tm_isalnum) { UNUSED; return all(r, v, is_alnum, false); }
METHOD(ol_tm_isdecimal) { UNUSED; return all(r, v, is_decimal, false); }
METHOD(ol_tm_isdigit) { UNUSED; return all(r, v, is_digit, false); }
METHOD(ol_tm_isnumeric) { UNUSED; return all(r, v, is_numeric, false); }
METHOD(ol_tm_isspace) { UNUSED; return all(r, v, ol_tis_space, false); }
METHOD(ol_tm_isascii) { UNUSED; return all(r, v, is_ascii, true); }
METHOD(ol_tm_isprintable) { UNUSED; return all(r, v, ol_tis_printable, true); }

METHOD(ol_tm_isidentifier) {
    UNUSED;
    for (size_t i = 0; i < v.len;) {
        int32_t cp;
        bool first = i == 0;
        i += (size_t)ol_utf8_decode(v.s + i, v.len - i, &cp);
        if (cp < 0 || !(cp == '_' || is_alpha(cp) || (!first && is_decimal(cp)))) return ol_tbool(false);
    }
    return ol_tbool(v.len != 0);
}

/* At least one cased letter and none of the other case. */
static ol_tv one_case(ol_tv v, bool upper) {
    bool any = false;
    for (size_t i = 0; i < v.len;) {
        int32_t cp;
        i += (size_t)ol_utf8_decode(v.s + i, v.len - i, &cp);
        if (cp < 0) continue;
        utf8proc_category_t c = utf8proc_category(cp);
        bool lu = c == UTF8PROC_CATEGORY_LU, ll = c == UTF8PROC_CATEGORY_LL;
        if ((upper ? ll : lu) || c == UTF8PROC_CATEGORY_LT) return ol_tbool(false);
        any |= lu || ll;
    }
    return ol_tbool(any);
}

METHOD(ol_tm_isupper) { UNUSED; return one_case(v, true); }
METHOD(ol_tm_islower) { UNUSED; return one_case(v, false); }

METHOD(ol_tm_istitle) {
    UNUSED;
    bool any = false, inside = false;
    for (size_t i = 0; i < v.len;) {
        int32_t cp;
        i += (size_t)ol_utf8_decode(v.s + i, v.len - i, &cp);
        utf8proc_category_t c = cp < 0 ? UTF8PROC_CATEGORY_CN : utf8proc_category(cp);
        bool head = c == UTF8PROC_CATEGORY_LU || c == UTF8PROC_CATEGORY_LT, tail = c == UTF8PROC_CATEGORY_LL;
        if ((head && inside) || (tail && !inside)) return ol_tbool(false);
        inside = head || tail;
        any |= inside;
    }
    return ol_tbool(any);
}

METHOD(ol_tm_format) {
    (void)a;
    return ol_tformat_braces(r, v, args->pos, args->kw);
}

METHOD(ol_tm_format_map) {
    (void)args;
    if (a[0].kind != OL_TV_DICT) return ol_tfail(r, OLV_FORMAT, "format_map takes a mapping");
    return ol_tformat_braces(r, v, ol_tseq_new(r, OL_SEQ_LIST), a[0].dict);
}

METHOD(ol_tm_seq_copy) {
    UNUSED;
    return v; /* lists never change */
}

METHOD(ol_tm_seq_count) {
    (void)args;
    int64_t n = 0;
    for (uint32_t i = 0; i < v.seq->n && ol_ttick(r, 1); i++) n += ol_tequal(r, v.seq->items[i], a[0]);
    return ol_tint(n);
}

METHOD(ol_tm_seq_index) {
    (void)args;
    int64_t n = v.seq->n, s = ol_targ_int(r, a[1], 0), e = ol_targ_int(r, a[2], n);
    if (s < 0) s = s + n < 0 ? 0 : s + n;
    if (e < 0) e += n;
    for (int64_t i = s; i < n && i < e && ol_ttick(r, 1); i++)
        if (ol_tequal(r, v.seq->items[i], a[0])) return ol_tint(i);
    return ol_tfail(r, OLV_FORMAT, "the value is not in the list");
}

METHOD(ol_tm_dict_copy) {
    UNUSED;
    return v;
}

METHOD(ol_tm_dict_get) {
    (void)args;
    ol_tv out;
    if (!ol_tgiven(a[0])) return ol_tfail(r, OLV_FORMAT, "get expected at least 1 argument, got 0");
    if (!ol_thashable(a[0])) return ol_tfail(r, OLV_FORMAT, "unhashable type: '%s'", ol_ttype(a[0]));
    if (ol_tdict_get(r, v.dict, a[0], &out)) return out;
    return ol_tgiven(a[1]) ? a[1] : ol_tnone();
}

static ol_tv view(ol_trun *r, ol_tv v, ol_tseq_flavor flavor) {
    ol_tseq *s = ol_tseq_new(r, flavor);
    ol_ttick(r, v.dict->n / 8);
    for (uint32_t i = 0; i < v.dict->n && !ol_tbad(r); i++) {
        const ol_tpair *p = &v.dict->items[i];
        if (flavor == OL_SEQ_ITEMS) {
            ol_tseq *t = ol_tseq_new(r, OL_SEQ_TUPLE);
            ol_tseq_push(r, t, p->key);
            ol_tseq_push(r, t, p->value);
            ol_tseq_push(r, s, ol_tseq_value(t));
        } else ol_tseq_push(r, s, flavor == OL_SEQ_KEYS ? p->key : p->value);
    }
    return ol_tseq_value(s);
}

METHOD(ol_tm_dict_items) { (void)a, (void)args; return view(r, v, OL_SEQ_ITEMS); }
METHOD(ol_tm_dict_keys) { (void)a, (void)args; return view(r, v, OL_SEQ_KEYS); }
METHOD(ol_tm_dict_values) { (void)a, (void)args; return view(r, v, OL_SEQ_VALUES); }

METHOD(ol_tm_bit_length) {
    UNUSED;
    uint64_t u = v.i < 0 ? 0 - (uint64_t)v.i : (uint64_t)v.i;
    return ol_tint(u ? 64 - __builtin_clzll(u) : 0);
}

METHOD(ol_tm_is_integer) {
    UNUSED;
    return ol_tbool(v.f - v.f == 0 && v.f == __builtin_floor(v.f));
}

METHOD(ol_tm_loop_cycle) {
    (void)a;
    if (args->pos->n == 0) return ol_tfail(r, OLV_FORMAT, "no items for cycling given");
    return args->pos->items[v.loop->index % args->pos->n];
}

METHOD(ol_tm_loop_changed) {
    (void)a;
    ol_tseq *t = ol_tseq_new(r, OL_SEQ_TUPLE);
    for (uint32_t i = 0; i < args->pos->n; i++) ol_tseq_push(r, t, args->pos->items[i]);
    ol_tv now = ol_tseq_value(t);
    bool changed = !v.loop->has_changed || !ol_tequal(r, v.loop->last_changed, now);
    v.loop->last_changed = now;
    v.loop->has_changed = true;
    return ol_tbool(changed);
}

METHOD(ol_tm_cycler_next) {
    UNUSED;
    if (v.dict->n == 0) return ol_tnone();
    ol_tv out = v.dict->items[v.dict->cycle_at].value;
    v.dict->cycle_at = (v.dict->cycle_at + 1) % v.dict->n;
    return out;
}

METHOD(ol_tm_cycler_reset) {
    UNUSED;
    if (v.dict->n) v.dict->cycle_at = 0;
    return ol_tnone();
}
