/* SPDX-License-Identifier: Apache-2.0 */
/* Filters over text. All take any value and see its str(). */
#include "text/template/filters.h"

#include <utf8proc.h>

#define UNUSED (void)v, (void)a, (void)args

static ol_tv cased(ol_trun *r, ol_tv v, ol_tcase how) {
    ol_tv s = ol_tto_str(r, v);
    ol_buf b = ol_tbuf(r);
    ol_ttick(r, s.len / 256);
    ol_tput_case(&b, s.s, s.len, how);
    ol_tv out = ol_tstr_take(r, &b);
    out.aux = s.aux;
    return out;
}

#define CASE(fn, how)                                                                              \
    ol_tv fn(ol_trun *r, ol_tv v, const ol_tv *a, const ol_targs *args) {                          \
        UNUSED;                                                                                    \
        return cased(r, v, how);                                                                   \
    }
CASE(ol_tf_upper, OL_CASE_UPPER)
CASE(ol_tf_lower, OL_CASE_LOWER)
CASE(ol_tf_capitalize, OL_CASE_CAPITALIZE)
CASE(ol_tm_upper, OL_CASE_UPPER)
CASE(ol_tm_lower, OL_CASE_LOWER)
CASE(ol_tm_capitalize, OL_CASE_CAPITALIZE)
CASE(ol_tm_title, OL_CASE_TITLE)
CASE(ol_tm_swapcase, OL_CASE_SWAP)

/* Words of the title filter are cut at white space, "-", "(", "{", "[" and "<" only. */
ol_tv ol_tf_title(ol_trun *r, ol_tv v, const ol_tv *a, const ol_targs *args) {
    UNUSED;
    ol_tv s = ol_tto_str(r, v);
    ol_buf b = ol_tbuf(r);
    size_t start = 0;
    for (size_t i = 0; i <= s.len && !b.failed;) {
        int32_t cp = 0;
        size_t k = i < s.len ? (size_t)ol_utf8_decode(s.s + i, s.len - i, &cp) : 1;
        bool cut = i == s.len || (cp > 0 && (ol_tis_space(cp) || (cp < 128 && strchr("-({[<", cp))));
        if (cut) {
            size_t head = ol_tcp_offset(s.s + start, i - start, 1);
            ol_tput_case(&b, s.s + start, head, OL_CASE_UPPER);
            ol_tput_case(&b, s.s + start + head, i - start - head, OL_CASE_LOWER);
            if (i < s.len) ol_buf_append(&b, s.s + i, k);
            start = i + k;
        }
        i += k;
    }
    return ol_tstr_take(r, &b);
}

ol_tv ol_tf_string(ol_trun *r, ol_tv v, const ol_tv *a, const ol_targs *args) {
    UNUSED;
    return ol_tto_str(r, v);
}

ol_tv ol_tf_safe(ol_trun *r, ol_tv v, const ol_tv *a, const ol_targs *args) {
    UNUSED;
    ol_tv s = ol_tto_str(r, v);
    s.aux = 1;
    return s;
}

ol_tv ol_tf_forceescape(ol_trun *r, ol_tv v, const ol_tv *a, const ol_targs *args) {
    UNUSED;
    ol_tv s = ol_tto_str(r, v);
    ol_buf b = ol_tbuf(r);
    for (uint32_t i = 0; i < s.len && !b.failed; i++) {
        char c = s.s[i];
        const char *z = c == '&' ? "&amp;" : c == '<' ? "&lt;" : c == '>' ? "&gt;" : c == '"' ? "&#34;"
                      : c == '\'' ? "&#39;" : NULL;
        if (z) ol_buf_puts(&b, z);
        else ol_buf_putc(&b, c);
    }
    ol_tv out = ol_tstr_take(r, &b);
    out.aux = 1;
    return out;
}

ol_tv ol_tf_escape(ol_trun *r, ol_tv v, const ol_tv *a, const ol_targs *args) {
    if (v.kind == OL_TV_STR && v.aux) return v;
    return ol_tf_forceescape(r, v, a, args);
}

ol_tv ol_tf_trim(ol_trun *r, ol_tv v, const ol_tv *a, const ol_targs *args) {
    UNUSED;
    ol_tv s = ol_tto_str(r, v), chars = ol_tgiven_value(a[0]) ? ol_targ_str(r, a[0], "") : ol_tnone();
    ol_ttick(r, s.len / 256);
    return ol_tstrip(s, chars, 3);
}

ol_tv ol_tf_replace(ol_trun *r, ol_tv v, const ol_tv *a, const ol_targs *args) {
    UNUSED;
    if (!ol_tgiven(a[0]) || !ol_tgiven(a[1])) return ol_tfail(r, OLV_FORMAT, "replace takes what to replace and with what");
    ol_tv b[3] = {ol_tto_str(r, a[0]), ol_tto_str(r, a[1]), a[2]};
    if (ol_tgiven(a[2]) && a[2].kind == OL_TV_NONE) b[2] = ol_tint(-1);
    ol_tv s = ol_tto_str(r, v);
    s.aux = 0;
    return ol_tm_replace(r, s, b, args);
}

ol_tv ol_tf_center(ol_trun *r, ol_tv v, const ol_tv *a, const ol_targs *args) {
    ol_tv b[2] = {ol_tint(ol_targ_int(r, a[0], 80)), {0}};
    return ol_tm_center(r, ol_tto_str(r, v), b, args);
}

ol_tv ol_tf_format(ol_trun *r, ol_tv v, const ol_tv *a, const ol_targs *args) {
    UNUSED;
    if (args->pos->n && args->kw->n) return ol_tfail(r, OLV_FORMAT, "can't handle positional and keyword arguments at the same time");
    if (args->kw->n) return ol_tformat_percent(r, ol_tto_str(r, v), ol_tdict_value(args->kw));
    ol_tseq *t = ol_tseq_new(r, OL_SEQ_TUPLE);
    for (uint32_t i = 0; i < args->pos->n; i++) ol_tseq_push(r, t, args->pos->items[i]);
    return ol_tformat_percent(r, ol_tto_str(r, v), ol_tseq_value(t));
}

ol_tv ol_tf_pprint(ol_trun *r, ol_tv v, const ol_tv *a, const ol_targs *args) {
    UNUSED;
    ol_buf b = ol_tbuf(r);
    ol_tput_repr(r, &b, v);
    return ol_tstr_take(r, &b);
}

ol_tv ol_tf_indent(ol_trun *r, ol_tv v, const ol_tv *a, const ol_targs *args) {
    UNUSED;
    ol_tv s = ol_tto_str(r, v), by;
    if (!ol_tis_str(v)) return ol_tfail(r, OLV_FORMAT, "indent takes a string, not %s", ol_ttype(v));
    bool first = ol_ttruth(a[1]), blank = ol_ttruth(a[2]);
    if (ol_tgiven(a[0]) && ol_tis_str(a[0])) by = a[0];
    else by = ol_tbinary(r, OL_OP_MUL, ol_tstr_z(" "), ol_tint(ol_targ_int(r, a[0], 4)));
    ol_buf b = ol_tbuf(r);
    const ol_tv no_ends[1] = {ol_tbool(false)};
    const ol_tv lines = ol_tm_splitlines(r, ol_tstr_concat(r, s, ol_tstr_z("\n")), no_ends, args);
    if (first) ol_buf_append(&b, by.s, by.len);
    for (uint32_t i = 0; i < lines.seq->n && !b.failed; i++) {
        ol_tv line = lines.seq->items[i];
        if (i) ol_buf_putc(&b, '\n');
        if (i && (line.len || blank)) ol_buf_append(&b, by.s, by.len);
        ol_buf_append(&b, line.s, line.len);
    }
    ol_tv out = ol_tstr_take(r, &b);
    out.aux = s.aux;
    return out;
}

static bool word_char(int32_t cp) {
    if (cp < 128) return cp == '_' || (cp >= '0' && cp <= '9') || ((cp | 32) >= 'a' && (cp | 32) <= 'z');
    utf8proc_category_t c = utf8proc_category(cp);
    return (c >= UTF8PROC_CATEGORY_LU && c <= UTF8PROC_CATEGORY_LO) ||
           (c >= UTF8PROC_CATEGORY_ND && c <= UTF8PROC_CATEGORY_NO);
}

ol_tv ol_tf_wordcount(ol_trun *r, ol_tv v, const ol_tv *a, const ol_targs *args) {
    UNUSED;
    ol_tv s = ol_tto_str(r, v);
    int64_t n = 0;
    bool inside = false;
    for (size_t i = 0; i < s.len;) {
        int32_t cp;
        size_t k = (size_t)ol_utf8_decode(s.s + i, s.len - i, &cp);
        bool w = cp >= 0 && word_char(cp);
        n += w && !inside;
        inside = w;
        i += k;
    }
    return ol_tint(n);
}

ol_tv ol_tf_truncate(ol_trun *r, ol_tv v, const ol_tv *a, const ol_targs *args) {
    UNUSED;
    ol_tv s = ol_tto_str(r, v), end = ol_targ_str(r, a[2], "...");
    int64_t len = ol_targ_int(r, a[0], 255), leeway = ol_tgiven_value(a[3]) ? ol_targ_int(r, a[3], 5) : 5;
    int64_t n = ol_tlen(r, v), ne = ol_tlen(r, end);
    if (len < ne) return ol_tfail(r, OLV_FORMAT, "expected length >= %lld, got %lld", (long long)ne, (long long)len);
    if (leeway < 0) return ol_tfail(r, OLV_FORMAT, "expected leeway >= 0, got %lld", (long long)leeway);
    if (n <= len || n - len <= leeway) return v;
    if (!ol_tis_str(v)) return ol_tfail(r, OLV_FORMAT, "truncate takes a string, not %s", ol_ttype(v));
    size_t cut = ol_tcp_offset(s.s, s.len, len - ne);
    if (!ol_ttruth(a[1])) {
        size_t space = cut;
        while (space > 0 && s.s[space - 1] != ' ') space--;
        if (space > 0) cut = space - 1;
    }
    return ol_tstr_concat(r, ol_tstr(r, s.s, cut), end);
}

static bool unreserved(char c) {
    return (c >= '0' && c <= '9') || ((c | 32) >= 'a' && (c | 32) <= 'z') || (c && strchr("_.-~/", c));
}

static void put_quoted(ol_buf *b, ol_tv s, bool query) {
    for (uint32_t i = 0; i < s.len; i++) {
        char c = s.s[i];
        if (query && c == ' ') ol_buf_putc(b, '+');
        else if (unreserved(c) && !(query && c == '/')) ol_buf_putc(b, c);
        else ol_buf_printf(b, "%%%02X", (unsigned char)c);
    }
}

ol_tv ol_tf_urlencode(ol_trun *r, ol_tv v, const ol_tv *a, const ol_targs *args) {
    UNUSED;
    ol_buf b = ol_tbuf(r);
    if (v.kind != OL_TV_DICT && v.kind != OL_TV_SEQ) {
        put_quoted(&b, ol_tto_str(r, v), false);
        return ol_tstr_take(r, &b);
    }
    const ol_tseq *s = v.kind == OL_TV_DICT ? ol_tm_dict_items(r, v, NULL, NULL).seq : ol_titer(r, v);
    for (uint32_t i = 0; !ol_tbad(r) && i < s->n && ol_ttick(r, 1); i++) {
        const ol_tseq *p = ol_titer(r, s->items[i]);
        if (p->n != 2) {
            ol_tfail(r, OLV_FORMAT, "urlencode takes pairs");
            break;
        }
        if (i) ol_buf_putc(&b, '&');
        put_quoted(&b, ol_tto_str(r, p->items[0]), true);
        ol_buf_putc(&b, '=');
        put_quoted(&b, ol_tto_str(r, p->items[1]), true);
    }
    return ol_tstr_take(r, &b);
}

/* Tags and comments go, white space collapses, the five entities of escape come back. */
ol_tv ol_tf_striptags(ol_trun *r, ol_tv v, const ol_tv *a, const ol_targs *args) {
    UNUSED;
    static const struct {
        const char *entity;
        char c;
    } entities[] = {{"&amp;", '&'}, {"&lt;", '<'}, {"&gt;", '>'}, {"&quot;", '"'}, {"&#34;", '"'}, {"&#39;", '\''}};
    ol_tv s = ol_tto_str(r, v);
    ol_buf b = ol_tbuf(r);
    bool space = false;
    for (uint32_t i = 0; i < s.len && ol_ttick(r, 1);) {
        const char *p = s.s + i, *close = NULL;
        size_t left = s.len - i;
        if (left >= 4 && memcmp(p, "<!--", 4) == 0 && (close = memmem(p, left, "-->", 3)) != NULL) close += 3;
        else if (*p == '<' && (close = memchr(p, '>', left)) != NULL) close++;
        if (close) {
            i += (uint32_t)(close - p);
            continue;
        }
        if (ol_tis_space((unsigned char)*p < 128 ? *p : 'x')) {
            space = b.len > 0;
            i++;
            continue;
        }
        if (space) ol_buf_putc(&b, ' ');
        space = false;
        uint32_t used = 0;
        for (size_t k = 0; k < sizeof entities / sizeof *entities && !used; k++) {
            size_t n = strlen(entities[k].entity);
            if (left < n || memcmp(p, entities[k].entity, n) != 0) continue;
            ol_buf_putc(&b, entities[k].c);
            used = (uint32_t)n;
        }
        if (!used) ol_buf_putc(&b, *p);
        i += used ? used : 1;
    }
    return ol_tstr_take(r, &b);
}

/* Lines of at most `width` characters, cut at white space, long words broken; lines of the text stay apart. */
ol_tv ol_tf_wordwrap(ol_trun *r, ol_tv v, const ol_tv *a, const ol_targs *args) {
    UNUSED;
    int64_t width = ol_targ_int(r, a[0], 79);
    bool breaks = !ol_tgiven(a[1]) || ol_ttruth(a[1]);
    ol_tv nl = ol_tgiven_value(a[2]) ? ol_targ_str(r, a[2], "\n") : ol_tstr_z("\n"), s = ol_tto_str(r, v);
    if (width <= 0) return ol_tfail(r, OLV_FORMAT, "invalid width %lld (must be > 0)", (long long)width);
    ol_buf b = ol_tbuf(r);
    int64_t column = 0;
    for (size_t i = 0; i < s.len && ol_ttick(r, 1);) {
        if (s.s[i] == '\n') {
            ol_buf_append(&b, nl.s, nl.len);
            column = 0;
            i++;
            continue;
        }
        size_t e = i, gap = 0;
        while (e < s.len && s.s[e] == ' ') e++;
        gap = e - i;
        size_t w = e;
        while (e < s.len && s.s[e] != ' ' && s.s[e] != '\n') e++;
        int64_t n = (int64_t)ol_utf8_count(s.s + w, e - w);
        if (column > 0 && column + (int64_t)gap + n > width) {
            ol_buf_append(&b, nl.s, nl.len);
            column = 0;
        } else if (n > 0) {
            ol_buf_append(&b, s.s + i, gap);
            column += (int64_t)gap;
        }
        while (breaks && column + n > width && ol_ttick(r, 1)) {
            size_t part = ol_tcp_offset(s.s + w, e - w, width - column);
            ol_buf_append(&b, s.s + w, part);
            ol_buf_append(&b, nl.s, nl.len);
            w += part;
            n -= width - column;
            column = 0;
        }
        ol_buf_append(&b, s.s + w, e - w);
        column += n;
        i = e;
    }
    return ol_tstr_take(r, &b);
}

ol_tv ol_tf_xmlattr(ol_trun *r, ol_tv v, const ol_tv *a, const ol_targs *args) {
    UNUSED;
    if (v.kind != OL_TV_DICT) return ol_tfail(r, OLV_FORMAT, "xmlattr takes a mapping");
    ol_buf b = ol_tbuf(r);
    for (uint32_t i = 0; i < v.dict->n && ol_ttick(r, 1); i++) {
        ol_tv x = v.dict->items[i].value;
        if (x.kind == OL_TV_NONE || x.kind == OL_TV_UNDEF) continue;
        if (b.len || !ol_tgiven(a[0]) || ol_ttruth(a[0])) ol_buf_putc(&b, ' ');
        ol_tv k = ol_tf_escape(r, v.dict->items[i].key, a, args);
        x = ol_tf_escape(r, x, a, args);
        ol_buf_append(&b, k.s, k.len);
        ol_buf_puts(&b, "=\"");
        ol_buf_append(&b, x.s, x.len);
        ol_buf_putc(&b, '"');
    }
    return ol_tstr_take(r, &b);
}
