/* SPDX-License-Identifier: Apache-2.0 */
/* Texts of values as Python writes them: str, repr, json.dumps; and the shortest decimal of a float. */
#include "text/template/ast.h"
#include "text/template/call.h"
#include "text/template/value.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* Fewest significant digits (1..17) that read back as the same double; digits and decimal exponent. Only digits
 * are taken from printf, so the locale's decimal point does not matter. */
static int shortest(double f, char digits[24], int *exp10) {
    char text[64];
    for (int prec = 0; prec < 17; prec++) {
        snprintf(text, sizeof text, "%.*e", prec, f);
        if (prec < 16 && strtod(text, NULL) != f) continue;
        break;
    }
    int n = 0;
    const char *p = text;
    for (; *p && *p != 'e'; p++)
        if (*p >= '0' && *p <= '9') digits[n++] = *p;
    *exp10 = *p ? atoi(p + 1) : 0;
    while (n > 1 && digits[n - 1] == '0') n--;
    digits[n] = 0;
    return n;
}

int ol_tfloat_repr(double f, char out[40]) {
    if (isnan(f)) return snprintf(out, 40, "nan");
    if (isinf(f)) return snprintf(out, 40, f < 0 ? "-inf" : "inf");
    char d[24], *o = out;
    int e = 0, n = shortest(fabs(f), d, &e);
    if (signbit(f)) *o++ = '-';
    if (f == 0) e = 0;
    if (e < -4 || e >= 16) {
        *o++ = d[0];
        if (n > 1) {
            *o++ = '.';
            memcpy(o, d + 1, (size_t)n - 1);
            o += n - 1;
        }
        return (int)(o - out) + snprintf(o, 8, "e%c%02d", e < 0 ? '-' : '+', abs(e));
    }
    if (e < 0) {
        *o++ = '0';
        *o++ = '.';
        for (int i = -1; i > e; i--) *o++ = '0';
        memcpy(o, d, (size_t)n);
        o += n;
    } else {
        for (int i = 0; i <= e; i++) *o++ = i < n ? d[i] : '0';
        *o++ = '.';
        if (n <= e + 1) *o++ = '0';
        for (int i = e + 1; i < n; i++) *o++ = d[i];
    }
    *o = 0;
    return (int)(o - out);
}

static bool is_word(const char *p, size_t n, const char *w) {
    if (n != strlen(w)) return false;
    for (size_t i = 0; i < n; i++)
        if ((p[i] | 32) != w[i]) return false;
    return true;
}

/* Rewrites D.DDeX as DDDe(X - k), which strtod reads the same in every locale. */
bool ol_tfloat_parse(const char *p, size_t n, double *out) {
    char text[1100];
    size_t m = 0, i = 0;
    long drop = 0;
    bool digit = false, point = false;
    if (n >= 1000 || n == 0) return false;
    if (p[i] == '+' || p[i] == '-') text[m++] = p[i++];
    bool neg = m && text[0] == '-';
    if (is_word(p + i, n - i, "inf") || is_word(p + i, n - i, "infinity")) {
        *out = neg ? -INFINITY : INFINITY;
        return true;
    }
    if (is_word(p + i, n - i, "nan")) {
        *out = NAN;
        return true;
    }
    for (; i < n; i++) {
        if (p[i] >= '0' && p[i] <= '9') {
            text[m++] = p[i];
            digit = true;
            drop += point;
        } else if (p[i] == '.' && !point) {
            point = true;
        } else break;
    }
    if (!digit) return false;
    long e = 0;
    if (i < n && (p[i] | 32) == 'e') {
        bool eneg = ++i < n && p[i] == '-';
        if (i < n && (p[i] == '-' || p[i] == '+')) i++;
        if (i >= n) return false;
        for (; i < n && p[i] >= '0' && p[i] <= '9'; i++)
            if (e < 100000) e = e * 10 + (p[i] - '0');
        if (eneg) e = -e;
    }
    if (i != n) return false;
    snprintf(text + m, sizeof text - m, "e%ld", e - drop);
    *out = strtod(text, NULL);
    return true;
}

static void put_repr_str(ol_buf *b, ol_tv v) {
    bool single = memchr(v.s, '\'', v.len) != NULL, twice = memchr(v.s, '"', v.len) != NULL;
    char q = single && !twice ? '"' : '\'';
    if (v.aux) ol_buf_puts(b, "Markup(");
    ol_buf_putc(b, q);
    for (size_t i = 0; i < v.len && !b->failed;) {
        int32_t cp;
        int n = ol_utf8_decode(v.s + i, v.len - i, &cp);
        if (cp == q || cp == '\\') ol_buf_printf(b, "\\%c", (char)cp);
        else if (cp == '\n') ol_buf_puts(b, "\\n");
        else if (cp == '\r') ol_buf_puts(b, "\\r");
        else if (cp == '\t') ol_buf_puts(b, "\\t");
        else if (cp < 0 || ol_tis_printable(cp)) ol_buf_append(b, v.s + i, (size_t)n);
        else if (cp < 256) ol_buf_printf(b, "\\x%02x", (unsigned)cp);
        else if (cp < 65536) ol_buf_printf(b, "\\u%04x", (unsigned)cp);
        else ol_buf_printf(b, "\\U%08x", (unsigned)cp);
        i += (size_t)n;
    }
    ol_buf_putc(b, q);
    if (v.aux) ol_buf_putc(b, ')');
}

static void put_repr_dict(ol_trun *r, ol_buf *b, const ol_tdict *d) {
    ol_buf_putc(b, '{');
    for (uint32_t i = 0; i < d->n && ol_ttick(r, 1); i++) {
        if (i) ol_buf_puts(b, ", ");
        ol_tput_repr(r, b, d->items[i].key);
        ol_buf_puts(b, ": ");
        ol_tput_repr(r, b, d->items[i].value);
    }
    ol_buf_putc(b, '}');
}

static void put_repr_seq(ol_trun *r, ol_buf *b, const ol_tseq *s) {
    bool tuple = s->flavor == OL_SEQ_TUPLE || s->flavor == OL_SEQ_GROUP;
    if (s->flavor == OL_SEQ_RANGE) {
        ol_buf_printf(b, "range(%lld, %lld", (long long)s->range[0], (long long)s->range[1]);
        if (s->range[2] != 1) ol_buf_printf(b, ", %lld", (long long)s->range[2]);
        ol_buf_putc(b, ')');
        return;
    }
    if (s->flavor == OL_SEQ_GENERATOR) {
        ol_buf_puts(b, "<generator object>");
        return;
    }
    bool view = s->flavor >= OL_SEQ_KEYS;
    if (view) ol_buf_printf(b, "%s(", ol_ttype(ol_tseq_value((ol_tseq *)(uintptr_t)s)));
    ol_buf_putc(b, tuple ? '(' : '[');
    for (uint32_t i = 0; i < s->n && ol_ttick(r, 1); i++) {
        if (i) ol_buf_puts(b, ", ");
        ol_tput_repr(r, b, s->items[i]);
    }
    if (tuple && s->n == 1) ol_buf_putc(b, ',');
    ol_buf_putc(b, tuple ? ')' : ']');
    if (view) ol_buf_putc(b, ')');
}

void ol_tput_repr(ol_trun *r, ol_buf *b, ol_tv v) {
    char num[40];
    if (!ol_tenter(r)) return;
    ol_tcheck_buf(r, b, "a text of the template");
    switch ((ol_tv_kind)v.kind) {
    case OL_TV_UNDEF: ol_buf_puts(b, "Undefined"); break;
    case OL_TV_NONE: ol_buf_puts(b, "None"); break;
    case OL_TV_BOOL: ol_buf_puts(b, v.b ? "True" : "False"); break;
    case OL_TV_INT: ol_buf_printf(b, "%lld", (long long)v.i); break;
    case OL_TV_FLOAT: ol_buf_append(b, num, (size_t)ol_tfloat_repr(v.f, num)); break;
    case OL_TV_STR: put_repr_str(b, v); break;
    case OL_TV_SEQ: put_repr_seq(r, b, v.seq); break;
    case OL_TV_DICT: put_repr_dict(r, b, v.dict); break;
    case OL_TV_NAMESPACE:
        ol_buf_puts(b, "<Namespace ");
        put_repr_dict(r, b, v.dict);
        ol_buf_putc(b, '>');
        break;
    case OL_TV_MACRO: ol_buf_printf(b, "<Macro '%s'>", ol_tmacro_name(v.macro)); break;
    case OL_TV_LOOP: ol_tput_loop(b, v.loop); break;
    default: ol_buf_printf(b, "<%s>", ol_ttype(v));
    }
    ol_tleave(r);
}

void ol_tput_str(ol_trun *r, ol_buf *b, ol_tv v) {
    if (v.kind == OL_TV_STR) ol_buf_append(b, v.s, v.len);
    else if (v.kind != OL_TV_UNDEF) ol_tput_repr(r, b, v);
}

ol_tv ol_tto_str(ol_trun *r, ol_tv v) {
    if (v.kind == OL_TV_STR) return v;
    if (v.kind == OL_TV_UNDEF) return ol_tstr_ref("", 0);
    ol_buf b = ol_tbuf(r);
    ol_tput_repr(r, &b, v);
    return ol_tstr_take(r, &b);
}

static void put_json_str(ol_buf *b, ol_tv v, bool ascii) {
    ol_buf_putc(b, '"');
    for (size_t i = 0; i < v.len && !b->failed;) {
        int32_t cp;
        int n = ol_utf8_decode(v.s + i, v.len - i, &cp);
        const char *esc = cp == '"' ? "\\\"" : cp == '\\' ? "\\\\" : cp == '\n' ? "\\n" : cp == '\r' ? "\\r"
                        : cp == '\t' ? "\\t" : cp == '\b' ? "\\b" : cp == '\f' ? "\\f" : NULL;
        if (esc) ol_buf_puts(b, esc);
        else if ((cp >= 0 && cp < 32) || (ascii && cp >= 127 && cp < 65536))
            ol_buf_printf(b, "\\u%04x", (unsigned)cp);
        else if (ascii && cp >= 65536)
            ol_buf_printf(b, "\\u%04x\\u%04x", 0xd800u + (((unsigned)cp - 0x10000) >> 10),
                          0xdc00u + (((unsigned)cp - 0x10000) & 0x3ff));
        else ol_buf_append(b, v.s + i, (size_t)n);
        i += (size_t)n;
    }
    ol_buf_putc(b, '"');
}

static void put_json_float(ol_buf *b, double f) {
    char num[40];
    if (isnan(f)) ol_buf_puts(b, "NaN");
    else if (isinf(f)) ol_buf_puts(b, f < 0 ? "-Infinity" : "Infinity");
    else ol_buf_append(b, num, (size_t)ol_tfloat_repr(f, num));
}

typedef struct json_out {
    ol_trun *r;
    ol_buf *b;
    const ol_tjson_style *style;
    ol_str item_sep, key_sep;
} json_out;

static void put_json_value(const json_out *o, ol_tv v, int level);

static void json_newline(const json_out *o, int level) {
    if (o->style->indent.kind == OL_TV_NONE) return;
    ol_buf_putc(o->b, '\n');
    for (int i = 0; i < level && !o->b->failed; i++) {
        if (ol_tis_str(o->style->indent)) ol_buf_append(o->b, o->style->indent.s, o->style->indent.len);
        else
            for (int64_t k = 0; k < ol_tint_of(o->style->indent) && !o->b->failed; k++) ol_buf_putc(o->b, ' ');
    }
}

static void put_json_key(const json_out *o, ol_tv k) {
    ol_buf *b = o->b;
    switch ((ol_tv_kind)k.kind) {
    case OL_TV_STR: put_json_str(b, k, o->style->ensure_ascii); return;
    case OL_TV_NONE: ol_buf_puts(b, "\"null\""); return;
    case OL_TV_BOOL: ol_buf_puts(b, k.b ? "\"true\"" : "\"false\""); return;
    case OL_TV_INT: ol_buf_printf(b, "\"%lld\"", (long long)k.i); return;
    case OL_TV_FLOAT:
        ol_buf_putc(b, '"');
        put_json_float(b, k.f);
        ol_buf_putc(b, '"');
        return;
    default:
        ol_tfail(o->r, OLV_FORMAT, "keys must be str, int, float, bool or None, not %s", ol_ttype(k));
    }
}

static const ol_tdict *sorted_by_key(ol_trun *r, const ol_tdict *d) {
    ol_tdict *s = ol_tdict_new(r);
    for (uint32_t i = 0; i < d->n; i++) ol_tdict_add(r, s, d->items[i].key, d->items[i].value);
    for (uint32_t i = 1; i < s->n; i++) { /* stable insertion: dictionaries of models are small */
        ol_tpair p = s->items[i];
        uint32_t k = i;
        for (; k > 0 && ol_ttick(r, 1) && ol_tcompare(r, p.key, s->items[k - 1].key) < 0; k--)
            s->items[k] = s->items[k - 1];
        s->items[k] = p;
    }
    return s;
}

static void put_json_dict(const json_out *o, const ol_tdict *d, int level) {
    if (d->n == 0) {
        ol_buf_puts(o->b, "{}");
        return;
    }
    if (o->style->sort_keys) d = sorted_by_key(o->r, d);
    ol_buf_putc(o->b, '{');
    for (uint32_t i = 0; i < d->n && ol_ttick(o->r, 1); i++) {
        if (i) ol_buf_append(o->b, o->item_sep.ptr, o->item_sep.len);
        json_newline(o, level + 1);
        put_json_key(o, d->items[i].key);
        ol_buf_append(o->b, o->key_sep.ptr, o->key_sep.len);
        put_json_value(o, d->items[i].value, level + 1);
    }
    json_newline(o, level);
    ol_buf_putc(o->b, '}');
}

static void put_json_list(const json_out *o, const ol_tseq *s, int level) {
    if (s->n == 0) {
        ol_buf_puts(o->b, "[]");
        return;
    }
    ol_buf_putc(o->b, '[');
    for (uint32_t i = 0; i < s->n && ol_ttick(o->r, 1); i++) {
        if (i) ol_buf_append(o->b, o->item_sep.ptr, o->item_sep.len);
        json_newline(o, level + 1);
        put_json_value(o, s->items[i], level + 1);
    }
    json_newline(o, level);
    ol_buf_putc(o->b, ']');
}

static void put_json_value(const json_out *o, ol_tv v, int level) {
    if (!ol_tenter(o->r)) return;
    ol_tcheck_buf(o->r, o->b, "a text of the template");
    switch ((ol_tv_kind)v.kind) {
    case OL_TV_NONE: ol_buf_puts(o->b, "null"); break;
    case OL_TV_BOOL: ol_buf_puts(o->b, v.b ? "true" : "false"); break;
    case OL_TV_INT: ol_buf_printf(o->b, "%lld", (long long)v.i); break;
    case OL_TV_FLOAT: put_json_float(o->b, v.f); break;
    case OL_TV_STR: put_json_str(o->b, v, o->style->ensure_ascii); break;
    case OL_TV_DICT: put_json_dict(o, v.dict, level); break;
    case OL_TV_SEQ:
        if (v.seq->flavor <= OL_SEQ_GROUP) {
            put_json_list(o, v.seq, level);
            break;
        }
        /* fallthrough */
    default: ol_tfail(o->r, OLV_FORMAT, "Object of type %s is not JSON serializable", ol_ttype(v));
    }
    ol_tleave(o->r);
}

void ol_tput_json(ol_trun *r, ol_buf *b, ol_tv v, const ol_tjson_style *style) {
    json_out o = {r, b, style, ol_str_of(", "), ol_str_of(": ")};
    if (style->indent.kind != OL_TV_NONE) o.item_sep = ol_str_of(",");
    if (ol_tis_str(style->item_separator)) o.item_sep = ol_tview(style->item_separator);
    if (ol_tis_str(style->key_separator)) o.key_sep = ol_tview(style->key_separator);
    put_json_value(&o, v, 0);
}
