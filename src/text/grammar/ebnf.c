/* SPDX-License-Identifier: Apache-2.0 */
/* Grammars as text: "name ::= alternatives", the dialect of llama.cpp and xgrammar. */
#include "text/grammar/expr.h"

typedef struct reader {
    ol_gbuilder *b;
    const char *p, *end;
    int line, depth;
} reader;

enum { CLASS_MAX = 512, COUNT_MAX = 10000 };

static ol_gexpr *bad(reader *r, const char *what) {
    return ol_gfail(r->b, OLV_ARG, "grammar, line %d: %s", r->line, what);
}

static bool at(const reader *r, char c) { return r->p < r->end && *r->p == c; }

static void skip_space(reader *r, bool newlines) {
    while (r->p < r->end) {
        if (*r->p == '#') {
            while (r->p < r->end && *r->p != '\n') r->p++;
        } else if (*r->p == '\n' || *r->p == '\r') {
            if (!newlines) return;
            r->line += *r->p == '\n';
            r->p++;
        } else if (*r->p == ' ' || *r->p == '\t') r->p++;
        else return;
    }
}

static bool name_char(char c) {
    return (c >= '0' && c <= '9') || ((c | 32) >= 'a' && (c | 32) <= 'z') || c == '_' || c == '-';
}

static ol_str read_name(reader *r) {
    const char *start = r->p;
    while (r->p < r->end && name_char(*r->p)) r->p++;
    return (ol_str){start, (size_t)(r->p - start)};
}

static int32_t hex(reader *r, int n) {
    int32_t v = 0;
    for (; n > 0; n--) {
        char c = r->p < r->end ? *r->p++ : 0;
        int h = c >= '0' && c <= '9' ? c - '0' : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10 : -1;
        if (h < 0) {
            bad(r, "an escape lacks hexadecimal digits");
            return 0;
        }
        v = v * 16 + h;
    }
    return v;
}

/* A character of a text or class, escapes resolved. */
static int32_t read_char(reader *r) {
    int32_t cp;
    if (*r->p != '\\') {
        r->p += ol_utf8_decode(r->p, (size_t)(r->end - r->p), &cp);
        if (cp < 0) bad(r, "invalid UTF-8");
        return cp < 0 ? 0 : cp;
    }
    if (++r->p >= r->end) {
        bad(r, "the grammar ends in a backslash");
        return 0;
    }
    switch (*r->p++) {
    case 'n': return '\n';
    case 't': return '\t';
    case 'r': return '\r';
    case 'x': return hex(r, 2);
    case 'u': cp = hex(r, 4); break;
    case 'U': cp = hex(r, 8); break;
    default: return r->p[-1]; /* quotes, brackets, backslash */
    }
    if (cp < 0 || cp > 0x10ffff || (cp >= 0xd800 && cp < 0xe000)) {
        bad(r, "an escape is no character");
        return 0;
    }
    return cp;
}

static ol_gexpr *read_text(reader *r) {
    ol_buf text = OL_BUF_INIT;
    char u[4];
    for (r->p++; r->b->status == OLV_OK && !at(r, '"');) {
        if (r->p >= r->end || *r->p == '\n') {
            bad(r, "a text has no closing quote");
            break;
        }
        ol_buf_append(&text, u, (size_t)ol_utf8_encode(read_char(r), u));
    }
    r->p++;
    ol_gexpr *e = r->b->status == OLV_OK ? ol_gtext(r->b, text.data ? text.data : "", text.len) : bad(r, "");
    ol_buf_deinit(&text);
    return e;
}

static ol_gexpr *read_class(reader *r) {
    ol_grange s[CLASS_MAX];
    int n = 0;
    r->p++;
    bool inverted = at(r, '^');
    if (inverted) r->p++;
    while (r->b->status == OLV_OK && !at(r, ']')) {
        if (r->p >= r->end) return bad(r, "a class has no ']'");
        if (n == CLASS_MAX) return bad(r, "a class has too many parts");
        s[n].lo = s[n].hi = read_char(r);
        if (at(r, '-') && r->end - r->p > 1 && r->p[1] != ']') {
            r->p++;
            s[n].hi = read_char(r);
            if (s[n].hi < s[n].lo) return bad(r, "a range is the wrong way round");
        }
        n++;
    }
    if (r->b->status == OLV_OK) r->p++;
    return ol_gclass(r->b, s, n, inverted);
}

static ol_gexpr *read_alternatives(reader *r, bool inside);

/* Behind an alternative stands a new rule when "name ::=" follows. */
static bool rule_follows(const reader *r) {
    reader look = *r;
    if (read_name(&look).len == 0) return false;
    skip_space(&look, false);
    return look.end - look.p >= 3 && memcmp(look.p, "::=", 3) == 0;
}

static ol_gexpr *read_item(reader *r) {
    if (at(r, '"')) return read_text(r);
    if (at(r, '[')) return read_class(r);
    if (at(r, '.')) {
        r->p++;
        return ol_gclass(r->b, NULL, 0, true);
    }
    if (at(r, '(')) {
        r->p++;
        ol_gexpr *e = read_alternatives(r, true);
        skip_space(r, true);
        if (!at(r, ')')) return bad(r, "a group has no ')'");
        r->p++;
        return e;
    }
    ol_str name = read_name(r);
    if (name.len == 0) return bad(r, "expected a text, class, group or rule name");
    return ol_grule_ref(r->b, ol_grule(r->b, name.ptr, name.len));
}

static int64_t read_count(reader *r) {
    int64_t v = 0;
    bool any = false;
    skip_space(r, false);
    for (; r->p < r->end && *r->p >= '0' && *r->p <= '9'; r->p++, any = true)
        if (v <= COUNT_MAX) v = v * 10 + (*r->p - '0');
    skip_space(r, false);
    if (!any || v > COUNT_MAX) bad(r, "a count must be a number of at most 10000");
    return v;
}

static ol_gexpr *read_repeated(reader *r) {
    ol_gexpr *e = read_item(r);
    while (r->b->status == OLV_OK && r->p < r->end && *r->p && strchr("*+?{", *r->p)) {
        char c = *r->p++;
        if (c != '{') {
            e = ol_grepeat(r->b, e, c == '+', c == '?' ? 1 : -1);
            continue;
        }
        int64_t min = read_count(r), max = min;
        if (at(r, ',')) {
            r->p++;
            skip_space(r, false);
            max = at(r, '}') ? -1 : read_count(r);
        }
        if (!at(r, '}')) return bad(r, "a count has no '}'");
        if (max >= 0 && max < min) return bad(r, "a count is the wrong way round");
        r->p++;
        e = ol_grepeat(r->b, e, min, max);
    }
    return e;
}

static ol_gexpr *read_sequence(reader *r, bool inside) {
    ol_gexpr *e = ol_gexpr_new(r->b, OL_G_EMPTY);
    while (r->b->status == OLV_OK) {
        skip_space(r, true);
        if (r->p >= r->end || at(r, '|') || at(r, ')') || (!inside && rule_follows(r))) break;
        e = ol_gseq(r->b, e, read_repeated(r));
    }
    return e;
}

static ol_gexpr *read_alternatives(reader *r, bool inside) {
    if (++r->depth > OL_GDEPTH_MAX) return bad(r, "groups are nested too deep");
    ol_gexpr *e = read_sequence(r, inside);
    while (r->b->status == OLV_OK && at(r, '|')) {
        r->p++;
        e = ol_galt(r->b, e, read_sequence(r, inside));
    }
    r->depth--;
    return e;
}

static void read_rule(reader *r) {
    ol_str name = read_name(r);
    if (name.len == 0) bad(r, "expected the name of a rule");
    skip_space(r, false);
    if (r->end - r->p < 3 || memcmp(r->p, "::=", 3) != 0) bad(r, "expected '::=' after the name of a rule");
    r->p += 3;
    uint32_t rule = ol_grule(r->b, name.ptr, name.len);
    if (r->b->status == OLV_OK && r->b->rules[rule]) bad(r, "a rule is defined twice");
    ol_gexpr *e = r->b->status == OLV_OK ? read_alternatives(r, false) : NULL;
    if (r->b->status == OLV_OK && at(r, ')')) bad(r, "an unexpected ')'");
    if (r->b->status == OLV_OK) r->b->rules[rule] = e;
}

olv_status ol_grammar_compile_ebnf(const char *text, size_t len, ol_grammar **out, olv_error *err) {
    ol_gbuilder b;
    OL_TRY(ol_gbuilder_init(&b, err));
    reader r = {&b, text, text + len, 1, 0};
    skip_space(&r, true);
    while (b.status == OLV_OK && r.p < r.end) {
        read_rule(&r);
        if (b.status == OLV_OK) skip_space(&r, true);
    }
    uint32_t root = ol_grule(&b, "root", 4);
    olv_status s = b.status == OLV_OK ? ol_gcompile(&b, root, out, err) : b.status;
    ol_gbuilder_deinit(&b);
    return s;
}
