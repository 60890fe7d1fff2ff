/* SPDX-License-Identifier: Apache-2.0 */
#include "text/template/lex.h"
#include "text/template/value.h"

#include <utf8proc.h>

static olv_status bad(ol_tlexer *l, const char *what) {
    return ol_fail(l->err, OLV_FORMAT, "line %d: %s", l->line, what);
}

olv_status ol_tlex_init(ol_tlexer *l, ol_arena *arena, const char *s, size_t len, olv_error *err) {
    char *d = ol_arena_alloc(arena, len + 1), *o = d;
    if (!d) return ol_fail(err, OLV_NOMEM, "out of memory for a template of %zu bytes", len);
    for (size_t i = 0; i < len; i++) {
        if (s[i] == '\r') {
            *o++ = '\n';
            if (i + 1 < len && s[i + 1] == '\n') i++;
        } else *o++ = s[i];
    }
    if (o > d && o[-1] == '\n') o--;
    *l = (ol_tlexer){.arena = arena, .p = d, .end = o, .line = 1, .line_starting = true, .err = err};
    return OLV_OK;
}

static void count_lines(ol_tlexer *l, const char *from, const char *to) {
    for (; from < to; from++) l->line += *from == '\n';
}

static void advance(ol_tlexer *l, const char *to) {
    count_lines(l, l->p, to);
    if (to > l->p) l->line_starting = to[-1] == '\n';
    l->p = to;
}

static size_t space_at(const char *p, const char *end) {
    int32_t cp;
    if (p >= end) return 0;
    int n = ol_utf8_decode(p, (size_t)(end - p), &cp);
    return cp >= 0 && ol_tis_space(cp) ? (size_t)n : 0;
}

static const char *skip_space(const char *p, const char *end) {
    for (size_t n; (n = space_at(p, end)) != 0;) p += n;
    return p;
}

static const char *rstrip(const char *start, const char *end) {
    while (end > start) {
        const char *q = end - 1;
        while (q > start && ((unsigned char)*q & 0xc0) == 0x80) q--;
        if (space_at(q, end) != (size_t)(end - q)) break;
        end = q;
    }
    return end;
}

static const char *find_tag(const char *p, const char *end) {
    for (; p + 1 < end; p++)
        if (*p == '{' && (p[1] == '%' || p[1] == '{' || p[1] == '#')) return p;
    return end;
}

static const char *find_pair(const char *p, const char *end, char a, char b) {
    for (; p + 1 < end; p++)
        if (*p == a && p[1] == b) return p;
    return NULL;
}

/* End of the text before a tag whose sign is `sign`: white space that the tag takes away is left out. */
static const char *text_end(const ol_tlexer *l, const char *tag, char sign, bool variable) {
    if (sign == '-') return rstrip(l->p, tag);
    if (sign == '+' || variable) return tag;
    const char *line = tag;
    while (line > l->p && line[-1] != '\n') line--;
    if ((line > l->p || l->line_starting) && skip_space(line, tag) == tag) return line;
    return tag;
}

/* After the closing of a block or comment: "-" takes all white space, a plain one the newline, "+" nothing. */
static const char *after_close(const ol_tlexer *l, const char *p, char sign) {
    if (sign == '-') return skip_space(p, l->end);
    if (sign != '+' && p < l->end && *p == '\n') return p + 1;
    return p;
}

static olv_status skip_comment(ol_tlexer *l, const char *open) {
    const char *close = find_pair(open + 2, l->end, '#', '}');
    if (!close) {
        advance(l, open);
        return bad(l, "a comment has no end '#}'");
    }
    char sign = close > open + 2 && (close[-1] == '-' || close[-1] == '+') ? close[-1] : 0;
    advance(l, after_close(l, close + 2, sign));
    return OLV_OK;
}

/* At "{%": true when it is a raw tag; *body is where its content starts. */
static bool raw_open(const ol_tlexer *l, const char *open, const char **body) {
    const char *p = open + 2;
    if (p < l->end && (*p == '-' || *p == '+')) p++;
    p = skip_space(p, l->end);
    if (l->end - p < 3 || memcmp(p, "raw", 3) != 0) return false;
    p = skip_space(p + 3, l->end);
    bool strip = p < l->end && *p == '-';
    if (strip) p++;
    if (l->end - p < 2 || p[0] != '%' || p[1] != '}') return false;
    *body = strip ? skip_space(p + 2, l->end) : p + 2;
    return true;
}

static olv_status lex_raw(ol_tlexer *l, const char *body, ol_ttoken *out) {
    advance(l, body);
    for (const char *p = body; (p = find_pair(p, l->end, '{', '%')) != NULL; p += 2) {
        const char *q = p + 2;
        char sign = q < l->end && (*q == '-' || *q == '+') ? *q++ : 0;
        q = skip_space(q, l->end);
        if (l->end - q < 6 || memcmp(q, "endraw", 6) != 0) continue;
        q = skip_space(q + 6, l->end);
        char close = q < l->end && (*q == '-' || *q == '+') ? *q++ : 0;
        if (l->end - q < 2 || q[0] != '%' || q[1] != '}') continue;
        const char *stop = text_end(l, p, sign, false);
        *out = (ol_ttoken){OL_T_TEXT, l->line, {body, (size_t)(stop - body)}, 0, 0};
        advance(l, after_close(l, q + 2, close));
        return OLV_OK;
    }
    return bad(l, "a raw block has no end");
}

static olv_status lex_text(ol_tlexer *l, ol_ttoken *out) {
    for (;;) {
        const char *tag = find_tag(l->p, l->end);
        if (tag == l->end) {
            *out = (ol_ttoken){l->p == l->end ? OL_T_EOF : OL_T_TEXT, l->line, {l->p, (size_t)(l->end - l->p)}, 0, 0};
            advance(l, l->end);
            return OLV_OK;
        }
        char sign = tag + 2 < l->end ? tag[2] : 0;
        const char *stop = text_end(l, tag, sign, tag[1] == '{');
        if (stop > l->p) {
            *out = (ol_ttoken){OL_T_TEXT, l->line, {l->p, (size_t)(stop - l->p)}, 0, 0};
            count_lines(l, l->p, tag);
            l->p = tag;
            l->line_starting = false;
            /* What the tag strips is gone already: a second look must find nothing to strip. */
            return OLV_OK;
        }
        advance(l, tag);
        if (tag[1] == '#') {
            OL_TRY(skip_comment(l, tag));
            continue;
        }
        const char *body;
        if (tag[1] == '%' && raw_open(l, tag, &body)) return lex_raw(l, body, out);
        l->mode = tag[1] == '{' ? OL_T_VAR_BEGIN : OL_T_BLOCK_BEGIN;
        l->depth = 0;
        *out = (ol_ttoken){(ol_ttoken_kind)l->mode, l->line, {tag, 2}, 0, 0};
        l->p = tag + 2;
        if (sign == '-' || sign == '+') l->p++;
        return OLV_OK;
    }
}

/* The closing of the present tag at p ("-%}", "+%}", "%}", "-}}", "}}"), or NULL. */
static const char *tag_close(const ol_tlexer *l, char *sign) {
    const char *p = l->p;
    bool block = l->mode == OL_T_BLOCK_BEGIN;
    *sign = 0;
    if (p < l->end && (*p == '-' || (block && *p == '+'))) *sign = *p++;
    if (l->end - p < 2 || p[0] != (block ? '%' : '}') || p[1] != '}') return NULL;
    return p + 2;
}

static int hex_value(char c) {
    return c >= '0' && c <= '9' ? c - '0' : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10 : -1;
}

static olv_status put_escape(ol_tlexer *l, const char **pp, const char *end, ol_buf *b) {
    const char *p = *pp; /* after the backslash */
    static const char plain[] = "\\\\''\"\"n\nr\rt\tb\bf\fa\av\v";
    for (size_t i = 0; i + 1 < sizeof plain; i += 2)
        if (*p == plain[i]) {
            ol_buf_putc(b, plain[i + 1]);
            *pp = p + 1;
            return OLV_OK;
        }
    if (*p == '\n') {
        *pp = p + 1;
        return OLV_OK;
    }
    int digits = *p == 'x' ? 2 : *p == 'u' ? 4 : *p == 'U' ? 8 : 0;
    int64_t cp = 0;
    if (digits) {
        p++;
        for (int i = 0; i < digits; i++, p++) {
            int h = p < end ? hex_value(*p) : -1;
            if (h < 0) return bad(l, "a string has a malformed \\x, \\u or \\U escape");
            cp = cp * 16 + h;
        }
        if (digits == 4 && cp >= 0xd800 && cp < 0xdc00 && end - p >= 6 && p[0] == '\\' && p[1] == 'u')
            return bad(l, "a string has a surrogate escape; write the character as \\U0001xxxx");
        if (cp > 0x10ffff || (cp >= 0xd800 && cp < 0xe000)) return bad(l, "a string escape is no character");
    } else if (*p >= '0' && *p <= '7') {
        for (int i = 0; i < 3 && p < end && *p >= '0' && *p <= '7'; i++) cp = cp * 8 + (*p++ - '0');
    } else {
        ol_buf_putc(b, '\\');
        return OLV_OK;
    }
    char u[4];
    ol_buf_append(b, u, (size_t)ol_utf8_encode((int32_t)cp, u));
    *pp = p;
    return OLV_OK;
}

static olv_status lex_string(ol_tlexer *l, ol_ttoken *out) {
    char q = *l->p;
    const char *p = l->p + 1;
    ol_buf b = OL_BUF_INIT;
    olv_status st = OLV_OK;
    while (p < l->end && *p != q && st == OLV_OK) {
        if (*p == '\\' && p + 1 < l->end) {
            p++;
            st = put_escape(l, &p, l->end, &b);
        } else ol_buf_putc(&b, *p++);
    }
    if (st == OLV_OK && p >= l->end) st = bad(l, "a string has no closing quote");
    if (st == OLV_OK) {
        char *text = b.failed ? NULL : ol_arena_strndup(l->arena, b.data ? b.data : "", b.len);
        if (!text) st = ol_fail(l->err, OLV_NOMEM, "out of memory for a string of a template");
        else *out = (ol_ttoken){OL_T_STRING, l->line, {text, b.len}, 0, 0};
        advance(l, p + 1);
    }
    ol_buf_deinit(&b);
    return st;
}

static bool is_digit(char c) { return c >= '0' && c <= '9'; }

static olv_status lex_radix(ol_tlexer *l, int base, ol_ttoken *out) {
    const char *p = l->p + 2;
    int64_t v = 0;
    bool any = false;
    for (; p < l->end; p++) {
        if (*p == '_') continue;
        int h = hex_value(*p);
        if (h < 0 || h >= base) break;
        any = true;
        if (__builtin_mul_overflow(v, (int64_t)base, &v) || __builtin_add_overflow(v, (int64_t)h, &v))
            return bad(l, "an integer does not fit in 64 bits");
    }
    if (!any) return bad(l, "a number has no digits");
    *out = (ol_ttoken){OL_T_INT, l->line, {l->p, (size_t)(p - l->p)}, v, 0};
    l->p = p;
    return OLV_OK;
}

/* Digits with single underscores between them; stops behind the last digit. */
static const char *digits_end(const char *p, const char *end) {
    while (p < end && (is_digit(*p) || (*p == '_' && p + 1 < end && is_digit(p[1])))) p++;
    return p;
}

static olv_status lex_number(ol_tlexer *l, ol_ttoken *out) {
    const char *p = l->p, *end = l->end;
    if (*p == '0' && end - p > 2) {
        char k = (char)(p[1] | 32);
        int base = k == 'x' ? 16 : k == 'o' ? 8 : k == 'b' ? 2 : 0;
        if (base) return lex_radix(l, base, out);
    }
    p = digits_end(p, end);
    bool real = false;
    if (p + 1 < end && *p == '.' && is_digit(p[1])) {
        real = true;
        p = digits_end(p + 1, end);
    }
    if (p + 1 < end && (*p | 32) == 'e') {
        const char *q = p + 1;
        if (*q == '+' || *q == '-') q++;
        if (q < end && is_digit(*q)) {
            real = true;
            p = digits_end(q, end);
        }
    }
    char text[320];
    size_t n = 0;
    for (const char *q = l->p; q < p; q++) {
        if (*q == '_') continue;
        if (n + 1 >= sizeof text) return bad(l, "a number has too many digits");
        text[n++] = *q;
    }
    *out = (ol_ttoken){real ? OL_T_FLOAT : OL_T_INT, l->line, {l->p, (size_t)(p - l->p)}, 0, 0};
    l->p = p;
    if (real) return ol_tfloat_parse(text, n, &out->f) ? OLV_OK : bad(l, "malformed number");
    for (size_t i = 0; i < n; i++)
        if (__builtin_mul_overflow(out->i, (int64_t)10, &out->i) ||
            __builtin_add_overflow(out->i, (int64_t)(text[i] - '0'), &out->i))
            return bad(l, "an integer does not fit in 64 bits");
    return OLV_OK;
}

static bool name_char(int32_t cp, bool first) {
    if (cp < 128) return cp == '_' || ((cp | 32) >= 'a' && (cp | 32) <= 'z') || (!first && cp >= '0' && cp <= '9');
    utf8proc_category_t c = utf8proc_category(cp);
    if (c >= UTF8PROC_CATEGORY_LU && c <= UTF8PROC_CATEGORY_LO) return true;
    return !first && (c == UTF8PROC_CATEGORY_MN || c == UTF8PROC_CATEGORY_MC || c == UTF8PROC_CATEGORY_ND);
}

static const char *name_end(const char *p, const char *end) {
    const char *start = p;
    while (p < end) {
        int32_t cp;
        int n = ol_utf8_decode(p, (size_t)(end - p), &cp);
        if (cp < 0 || !name_char(cp, p == start)) break;
        p += n;
    }
    return p;
}

static olv_status track_bracket(ol_tlexer *l, char c) {
    static const char pairs[] = ")(][}{";
    if (c == '(' || c == '[' || c == '{') {
        if (l->depth == (int)sizeof l->stack) return bad(l, "brackets are nested too deep");
        l->stack[l->depth++] = c;
    }
    for (int i = 0; i < 6; i += 2)
        if (c == pairs[i]) {
            if (l->depth == 0 || l->stack[l->depth - 1] != pairs[i + 1])
                return ol_fail(l->err, OLV_FORMAT, "line %d: unexpected '%c'", l->line, c);
            l->depth--;
        }
    return OLV_OK;
}

static olv_status lex_operator(ol_tlexer *l, ol_ttoken *out) {
    static const char two[] = "//**==!=>=<=";
    size_t n = 1;
    if (l->end - l->p >= 2)
        for (size_t i = 0; i + 1 < sizeof two; i += 2)
            if (memcmp(l->p, two + i, 2) == 0) n = 2;
    if (n == 1 && (!*l->p || !strchr("+-/*%~[](){}><=.:|,;", *l->p)))
        return ol_fail(l->err, OLV_FORMAT, "line %d: unexpected character '%.*s'", l->line,
                       (signed char)*l->p < 0 ? 0 : 1, l->p);
    OL_TRY(track_bracket(l, *l->p));
    *out = (ol_ttoken){OL_T_OP, l->line, {l->p, n}, 0, 0};
    l->p += n;
    return OLV_OK;
}

static olv_status lex_tag(ol_tlexer *l, ol_ttoken *out) {
    advance(l, skip_space(l->p, l->end));
    if (l->p >= l->end) return bad(l, "the template ends inside a tag");
    char sign;
    const char *close = l->depth == 0 ? tag_close(l, &sign) : NULL;
    if (close) {
        bool block = l->mode == OL_T_BLOCK_BEGIN;
        *out = (ol_ttoken){block ? OL_T_BLOCK_END : OL_T_VAR_END, l->line, {l->p, (size_t)(close - l->p)}, 0, 0};
        l->mode = 0;
        advance(l, block || sign == '-' ? after_close(l, close, sign) : close);
        return OLV_OK;
    }
    if (is_digit(*l->p)) return lex_number(l, out);
    if (*l->p == '"' || *l->p == '\'') return lex_string(l, out);
    const char *e = name_end(l->p, l->end);
    if (e == l->p) return lex_operator(l, out);
    *out = (ol_ttoken){OL_T_NAME, l->line, {l->p, (size_t)(e - l->p)}, 0, 0};
    l->p = e;
    return OLV_OK;
}

olv_status ol_tlex_next(ol_tlexer *l, ol_ttoken *out) {
    return l->mode == 0 ? lex_text(l, out) : lex_tag(l, out);
}
