/* SPDX-License-Identifier: Apache-2.0 */
/* Python's two ways to format: "%" and str.format. */
#include "text/template/filters.h"

#include <math.h>
#include <stdio.h>

typedef struct spec {
    char fill[4];
    int fill_len;
    char align; /* '<' '>' '^' '=' or 0 */
    char sign;  /* '+', ' ' or 0 */
    bool alternate, zero, comma, underscore;
    int64_t width, precision; /* -1: none */
    char type; /* 0: none */
} spec;

enum { PRECISION_MAX = 400 };

static const spec no_spec = {.fill = " ", .fill_len = 1, .width = -1, .precision = -1};

static void put_padded(ol_trun *r, ol_buf *b, const spec *s, const char *prefix, const char *p, size_t n, char align) {
    int64_t have = (int64_t)(strlen(prefix) + ol_utf8_count(p, n)), more = s->width - have;
    if (s->width > (int64_t)r->max_output) {
        ol_tfail(r, OLV_LIMIT, "a width of %lld", (long long)s->width);
        return;
    }
    if (s->align) align = s->align;
    int64_t left = more <= 0 ? 0 : align == '>' ? more : align == '^' ? more / 2 : 0;
    for (int64_t i = 0; i < left; i++) ol_buf_append(b, s->fill, (size_t)s->fill_len);
    ol_buf_puts(b, prefix);
    if (align == '=')
        for (int64_t i = 0; i < more; i++) ol_buf_append(b, s->fill, (size_t)s->fill_len);
    ol_buf_append(b, p, n);
    if (align == '<' || align == '^')
        for (int64_t i = left; i < more; i++) ol_buf_append(b, s->fill, (size_t)s->fill_len);
}

/* Inserts a separator every three digits of the leading digit run. */
static void group(ol_buf *b, const char *p, size_t n, char sep, size_t every) {
    size_t digits = 0;
    while (digits < n && ((p[digits] >= '0' && p[digits] <= '9') || (every == 4 && p[digits] != '.'))) digits++;
    for (size_t i = 0; i < digits; i++) {
        if (i && (digits - i) % every == 0) ol_buf_putc(b, sep);
        ol_buf_putc(b, p[i]);
    }
    ol_buf_append(b, p + digits, n - digits);
}

static void put_number(ol_trun *r, ol_buf *b, const spec *s, bool neg, const char *radix, const char *p, size_t n) {
    char prefix[8];
    ol_buf g = OL_BUF_INIT;
    snprintf(prefix, sizeof prefix, "%s%s", neg ? "-" : s->sign == '+' ? "+" : s->sign == ' ' ? " " : "", radix);
    if (s->comma || s->underscore) {
        bool radix_type = s->type && strchr("xXob", s->type);
        group(&g, p, n, s->comma ? ',' : '_', radix_type ? 4 : 3);
        p = g.data ? g.data : "";
        n = g.len;
    }
    put_padded(r, b, s, prefix, p, n, s->zero && !s->align ? '=' : '>');
    ol_buf_deinit(&g);
}

static void put_int(ol_trun *r, ol_buf *b, const spec *s, int64_t v) {
    char text[80], *end = text + sizeof text, *p = end;
    unsigned base = s->type == 'x' || s->type == 'X' ? 16 : s->type == 'o' ? 8 : s->type == 'b' ? 2 : 10;
    uint64_t u = v < 0 ? 0 - (uint64_t)v : (uint64_t)v;
    const char *digits = s->type == 'X' ? "0123456789ABCDEF" : "0123456789abcdef";
    do *--p = digits[u % base];
    while ((u /= base) != 0);
    while (end - p < s->precision && p > text) *--p = '0';
    const char *radix = !s->alternate ? "" : s->type == 'x' ? "0x" : s->type == 'X' ? "0X" : s->type == 'o' ? "0o"
                      : s->type == 'b' ? "0b" : "";
    put_number(r, b, s, v < 0, radix, p, (size_t)(end - p));
}

static void put_float(ol_trun *r, ol_buf *b, const spec *s, double f, bool repr_default) {
    char text[PRECISION_MAX + 340], form[16];
    char type = s->type == 'F' ? 'f' : s->type == 0 ? 'g' : s->type;
    int precision = s->precision < 0 ? 6 : (int)s->precision;
    if (precision > PRECISION_MAX) {
        ol_tfail(r, OLV_LIMIT, "a precision of %d", precision);
        return;
    }
    if (type == '%') {
        f *= 100;
        type = 'f';
    }
    double m = fabs(f);
    if (isnan(f) || isinf(f)) snprintf(text, sizeof text, isnan(f) ? "nan" : "inf");
    else if (s->type == 0 && s->precision < 0 && repr_default) text[ol_tfloat_repr(m, text)] = 0;
    else {
        snprintf(form, sizeof form, "%%%s.*%c", s->alternate ? "#" : "", type);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
        snprintf(text, sizeof text, form, precision, m);
#pragma GCC diagnostic pop
        for (char *p = text; *p; p++)
            if (*p == ',') *p = '.';
        if (s->type == 0 && repr_default && !strpbrk(text, ".e")) strcat(text, ".0");
    }
    if (s->type == '%') strcat(text, "%");
    put_number(r, b, s, signbit(f) && !isnan(f), "", text, strlen(text));
}

static void put_text(ol_trun *r, ol_buf *b, const spec *s, ol_tv v, char align) {
    size_t n = s->precision >= 0 ? ol_tcp_offset(v.s, v.len, s->precision) : v.len;
    put_padded(r, b, s, "", v.s, n, align);
}

static ol_tv repr_of(ol_trun *r, ol_tv v) {
    ol_buf b = ol_tbuf(r);
    ol_tput_repr(r, &b, v);
    return ol_tstr_take(r, &b);
}

static void put_percent_value(ol_trun *r, ol_buf *b, spec *s, ol_tv v) {
    switch (s->type) {
    case 's': put_text(r, b, s, ol_tto_str(r, v), '>'); return;
    case 'r':
    case 'a': put_text(r, b, s, repr_of(r, v), '>'); return;
    case 'c':
        if (ol_tis_int(v) && ol_tint_of(v) >= 0 && ol_tint_of(v) < 0x110000) {
            char u[4];
            put_padded(r, b, s, "", u, (size_t)ol_utf8_encode((int32_t)ol_tint_of(v), u), '>');
        } else if (ol_tis_str(v) && ol_utf8_count(v.s, v.len) == 1) put_text(r, b, s, v, '>');
        else ol_tfail(r, OLV_FORMAT, "%%c requires int or char");
        return;
    case 'd':
    case 'i':
    case 'u':
    case 'x':
    case 'X':
    case 'o':
        if (v.kind == OL_TV_FLOAT && strchr("diu", s->type) && fabs(v.f) < 9e18) v = ol_tint((int64_t)v.f);
        if (ol_tis_int(v)) put_int(r, b, s, ol_tint_of(v));
        else ol_tfail(r, OLV_FORMAT, "%%%c format: a real number is required, not %s", s->type, ol_ttype(v));
        return;
    case 'e':
    case 'E':
    case 'f':
    case 'F':
    case 'g':
    case 'G':
        if (ol_tis_number(v)) put_float(r, b, s, ol_tfloat_of(v), false);
        else ol_tfail(r, OLV_FORMAT, "must be real number, not %s", ol_ttype(v));
        return;
    default: ol_tfail(r, OLV_FORMAT, "unsupported format character '%c'", s->type);
    }
}

typedef struct percent_args {
    ol_tv all;
    const ol_tseq *tuple; /* NULL: one value */
    uint32_t next;
} percent_args;

static ol_tv next_arg(ol_trun *r, percent_args *a) {
    uint32_t n = a->tuple ? a->tuple->n : 1;
    if (a->next >= n) return ol_tfail(r, OLV_FORMAT, "not enough arguments for format string");
    uint32_t i = a->next++;
    return a->tuple ? a->tuple->items[i] : a->all;
}

static int64_t parse_count(const char **p, const char *e) {
    int64_t v = 0;
    for (; *p < e && **p >= '0' && **p <= '9'; (*p)++)
        if (v < 100000000) v = v * 10 + (**p - '0');
    return v;
}

static int64_t count_or_star(ol_trun *r, const char **p, const char *e, percent_args *a) {
    if (*p < e && **p == '*') {
        (*p)++;
        return ol_targ_int(r, next_arg(r, a), 0);
    }
    return parse_count(p, e);
}

/* After "%": one conversion. */
static const char *percent_one(ol_trun *r, ol_buf *b, const char *p, const char *e, percent_args *a) {
    spec s = no_spec;
    ol_tv v = {0};
    bool keyed = false, left = false;
    if (p < e && *p == '(') {
        const char *close = memchr(p, ')', (size_t)(e - p));
        keyed = true;
        if (!close || a->all.kind != OL_TV_DICT) {
            ol_tfail(r, OLV_FORMAT, close ? "format requires a mapping" : "incomplete format key");
            return e;
        }
        if (!ol_tdict_find(a->all.dict, p + 1, (size_t)(close - p) - 1, &v))
            ol_tfail(r, OLV_FORMAT, "no key '%.*s' to format", (int)(close - p - 1), p + 1);
        p = close + 1;
        a->next = 1;
    }
    for (; p < e && strchr("-+ #0", *p) && *p; p++) {
        left |= *p == '-';
        s.zero |= *p == '0';
        s.alternate |= *p == '#';
        if (*p == '+' || (*p == ' ' && s.sign == 0)) s.sign = *p;
    }
    s.width = count_or_star(r, &p, e, a);
    if (p < e && *p == '.') {
        p++;
        s.precision = count_or_star(r, &p, e, a);
    }
    while (p < e && (*p == 'l' || *p == 'h' || *p == 'L')) p++;
    if (p >= e) {
        ol_tfail(r, OLV_FORMAT, "incomplete format");
        return e;
    }
    s.type = *p++;
    if (s.type == '%') {
        ol_buf_putc(b, '%');
        return p;
    }
    if (left) s.align = '<';
    else if (s.zero && strchr("diuxXoeEfFgG", s.type)) {
        s.fill[0] = '0';
        s.align = '=';
    }
    if (!keyed) v = next_arg(r, a);
    if (!ol_tbad(r)) put_percent_value(r, b, &s, v);
    return p;
}

ol_tv ol_tformat_percent(ol_trun *r, ol_tv fmt, ol_tv args) {
    percent_args a = {args, NULL, 0};
    if (args.kind == OL_TV_SEQ && (args.seq->flavor == OL_SEQ_TUPLE || args.seq->flavor == OL_SEQ_GROUP))
        a.tuple = args.seq;
    ol_buf b = ol_tbuf(r);
    const char *p = fmt.s, *e = fmt.s + fmt.len;
    while (p < e && ol_ttick(r, 1) && !b.failed) {
        const char *q = memchr(p, '%', (size_t)(e - p));
        ol_buf_append(&b, p, (size_t)((q ? q : e) - p));
        if (!q) break;
        p = percent_one(r, &b, q + 1, e, &a);
    }
    bool mapping = args.kind == OL_TV_DICT || (args.kind == OL_TV_SEQ && !a.tuple) || args.kind == OL_TV_UNDEF;
    if (a.next < (a.tuple ? a.tuple->n : 1) && !mapping)
        ol_tfail(r, OLV_FORMAT, "not all arguments converted during string formatting");
    return ol_tstr_take(r, &b);
}

static bool is_align(char c) { return c == '<' || c == '>' || c == '=' || c == '^'; }

static bool parse_spec(ol_tv text, spec *s) {
    const char *p = text.s, *e = text.s + text.len;
    *s = no_spec;
    int32_t cp;
    int k = p < e ? ol_utf8_decode(p, (size_t)(e - p), &cp) : 0;
    if (k && p + k < e && is_align(p[k])) {
        memcpy(s->fill, p, (size_t)k);
        s->fill_len = k;
        s->align = p[k];
        p += k + 1;
    } else if (p < e && is_align(*p)) s->align = *p++;
    if (p < e && (*p == '+' || *p == '-' || *p == ' ')) {
        if (*p != '-') s->sign = *p;
        p++;
    }
    if (p < e && *p == '#') s->alternate = *p++;
    if (p < e && *p == '0') {
        p++;
        s->zero = true;
        if (!s->align) s->fill[0] = '0', s->fill_len = 1;
    }
    if (p < e && *p >= '0' && *p <= '9') s->width = parse_count(&p, e);
    if (p < e && (*p == ',' || *p == '_')) {
        s->comma = *p == ',';
        s->underscore = *p == '_';
        p++;
    }
    if (p < e && *p == '.') {
        p++;
        if (p >= e || *p < '0' || *p > '9') return false;
        s->precision = parse_count(&p, e);
    }
    if (p < e) s->type = *p++;
    return p == e;
}

static void put_formatted(ol_trun *r, ol_buf *b, ol_tv v, ol_tv spec_text) {
    spec s;
    if (!parse_spec(spec_text, &s)) {
        ol_tfail(r, OLV_FORMAT, "Invalid format specifier '%.*s'", (int)spec_text.len, spec_text.s);
        return;
    }
    bool plain_bool = v.kind == OL_TV_BOOL && s.type == 0 && spec_text.len == 0;
    if (ol_tis_number(v) && !plain_bool) {
        bool real = s.type && strchr("eEfFgG%", s.type);
        if (ol_tis_int(v) && (s.type == 0 || strchr("dxXobn", s.type))) put_int(r, b, &s, ol_tint_of(v));
        else if (real || (v.kind == OL_TV_FLOAT && s.type == 0)) put_float(r, b, &s, ol_tfloat_of(v), true);
        else if (ol_tis_int(v) && s.type == 'c') {
            s.type = 'c';
            put_percent_value(r, b, &s, v);
        } else
            ol_tfail(r, OLV_FORMAT, "Unknown format code '%c' for object of type '%s'", s.type, ol_ttype(v));
        return;
    }
    if (v.kind == OL_TV_STR) {
        if (s.type && s.type != 's')
            ol_tfail(r, OLV_FORMAT, "Unknown format code '%c' for object of type 'str'", s.type);
        else put_text(r, b, &s, v, '<');
        return;
    }
    if (spec_text.len)
        ol_tfail(r, OLV_FORMAT, "unsupported format string passed to %s.__format__", ol_ttype(v));
    else ol_tput_str(r, b, v);
}

typedef struct brace_args {
    const ol_tseq *pos;
    const ol_tdict *kw;
    int64_t automatic; /* next automatic index; -1 once explicit ones are used */
} brace_args;

/* Follows ".attr" and "[item]" after the first name of a field. */
static ol_tv follow(ol_trun *r, ol_tv v, const char *p, const char *e) {
    while (p < e && !ol_tbad(r)) {
        const char *q = p + 1;
        if (*p == '.') {
            while (q < e && *q != '.' && *q != '[') q++;
            v = ol_tget_attr(r, v, (ol_str){p + 1, (size_t)(q - p) - 1});
        } else {
            while (q < e && *q != ']') q++;
            if (q == e) return ol_tfail(r, OLV_FORMAT, "Missing ']' in format string");
            ol_tv key = ol_tstr_ref(p + 1, (size_t)(q - p) - 1);
            const char *d = p + 1;
            int64_t i = parse_count(&d, q);
            v = ol_tget_item(r, v, d == q && key.len ? ol_tint(i) : key);
            q++;
        }
        p = q;
    }
    return v;
}

static ol_tv field_value(ol_trun *r, brace_args *a, const char *p, const char *e) {
    const char *q = p, *d = p;
    while (q < e && *q != '.' && *q != '[') q++;
    int64_t i = parse_count(&d, q);
    ol_tv v;
    if (d != q) {
        if (!ol_tdict_find(a->kw, p, (size_t)(q - p), &v))
            return ol_tfail(r, OLV_FORMAT, "no argument '%.*s' to format", (int)(q - p), p);
        return follow(r, v, q, e);
    }
    if (q == p) i = a->automatic >= 0 ? a->automatic++ : -1;
    else if (a->automatic > 0) i = -1;
    else a->automatic = -1;
    if (i < 0) return ol_tfail(r, OLV_FORMAT, "cannot switch between automatic and manual field numbering");
    if (i >= a->pos->n) return ol_tfail(r, OLV_FORMAT, "Replacement index %lld out of range for positional args tuple", (long long)i);
    return follow(r, a->pos->items[i], q, e);
}

static void format_braces(ol_trun *r, ol_buf *b, const char *p, const char *e, brace_args *a, int level);

/* p is after "{"; returns behind the matching "}". */
static const char *format_field(ol_trun *r, ol_buf *b, const char *p, const char *e, brace_args *a, int level) {
    const char *q = p, *name_end;
    int open = 1;
    for (; q < e; q++) {
        open += (*q == '{') - (*q == '}');
        if (open == 0) break;
    }
    if (q >= e) {
        ol_tfail(r, OLV_FORMAT, "expected '}' before end of string");
        return e;
    }
    for (name_end = p; name_end < q && *name_end != '!' && *name_end != ':'; name_end++) {
        if (*name_end != '[') continue;
        while (name_end < q && *name_end != ']') name_end++;
        if (name_end == q) break;
    }
    ol_tv v = field_value(r, a, p, name_end);
    p = name_end;
    if (p < q && *p == '!') {
        if (q - p < 2 || !strchr("rsa", p[1])) ol_tfail(r, OLV_FORMAT, "bad conversion in a format string");
        else v = p[1] == 's' ? ol_tto_str(r, v) : repr_of(r, v);
        p += 2;
    }
    if (ol_tbad(r)) return e;
    ol_tv spec_text = ol_tstr_ref("", 0);
    if (p < q && *p == ':') {
        ol_buf inner = ol_tbuf(r);
        format_braces(r, &inner, p + 1, q, a, level + 1);
        spec_text = ol_tstr_take(r, &inner);
    }
    put_formatted(r, b, v, spec_text);
    return q + 1;
}

static void format_braces(ol_trun *r, ol_buf *b, const char *p, const char *e, brace_args *a, int level) {
    if (level > 1) {
        ol_tfail(r, OLV_FORMAT, "Max string recursion exceeded");
        return;
    }
    while (p < e && ol_ttick(r, 1) && !b->failed) {
        if (*p != '{' && *p != '}') {
            const char *q = p;
            while (q < e && *q != '{' && *q != '}') q++;
            ol_buf_append(b, p, (size_t)(q - p));
            p = q;
        } else if (p + 1 < e && p[1] == *p) {
            ol_buf_putc(b, *p);
            p += 2;
        } else if (*p == '}') {
            ol_tfail(r, OLV_FORMAT, "Single '}' encountered in format string");
        } else p = format_field(r, b, p + 1, e, a, level);
    }
}

ol_tv ol_tformat_braces(ol_trun *r, ol_tv fmt, const ol_tseq *args, const ol_tdict *kwargs) {
    brace_args a = {args, kwargs, 0};
    ol_buf b = ol_tbuf(r);
    format_braces(r, &b, fmt.s, fmt.s + fmt.len, &a, 0);
    return ol_tstr_take(r, &b);
}
