/* SPDX-License-Identifier: Apache-2.0 */
/* Regular expressions (the regular part of ECMA 262 and Python). */
#include "text/grammar/expr.h"

typedef struct reader {
    ol_gbuilder *b;
    const char *start, *p, *end;
    bool json;
    bool open_left, open_right; /* found no anchor */
    int depth;
} reader;

enum { REPEAT_MAX = 10000, RANGES_MAX = 512 };

static ol_gexpr *bad(reader *r, const char *what) {
    return ol_gfail(r->b, OLV_ARG, "regular expression, byte %zu: %s", (size_t)(r->p - r->start), what);
}

static ol_gexpr *unsupported(reader *r, const char *what) {
    return ol_gfail(r->b, OLV_UNSUPPORTED, "regular expression, byte %zu: %s is not supported", (size_t)(r->p - r->start),
                    what);
}

static bool at(const reader *r, char c) { return r->p < r->end && *r->p == c; }

static bool skip(reader *r, char c) {
    if (!at(r, c)) return false;
    r->p++;
    return true;
}

static int32_t next_cp(reader *r) {
    int32_t cp;
    r->p += ol_utf8_decode(r->p, (size_t)(r->end - r->p), &cp);
    if (cp < 0) bad(r, "invalid UTF-8");
    return cp < 0 ? 0 : cp;
}

typedef struct set {
    ol_grange r[RANGES_MAX];
    int n;
} set;

static void add(reader *r, set *s, int32_t lo, int32_t hi) {
    if (s->n == RANGES_MAX) bad(r, "a class has too many parts");
    else s->r[s->n++] = (ol_grange){lo, hi};
}

/* White space beyond the six of ASCII, as ECMA 262 or Python have it. */
static void add_rare_spaces(reader *r, set *s) {
    static const ol_grange rare[] = {{0x1c, 0x1f}, {0x85, 0x85}, {0xa0, 0xa0}, {0x1680, 0x1680}, {0x180e, 0x180e}, {0x2000, 0x200a},
                                     {0x2028, 0x2029}, {0x202f, 0x202f}, {0x205f, 0x205f}, {0x3000, 0x3000}, {0xfeff, 0xfeff}};
    for (size_t i = 0; i < sizeof rare / sizeof *rare; i++) add(r, s, rare[i].lo, rare[i].hi);
}

/* Dialects differ about white space: in the place of \s (also [^\S]) stands what is white space in each of them, for \S
 * (also [^\s]) what is so in none. */
static bool shorthand(reader *r, char c, bool in_inverted, set *s, bool *inverted) {
    *inverted = c == 'D' || c == 'W' || c == 'S';
    switch (c | 32) {
    case 'd': add(r, s, '0', '9'); return true;
    case 'w':
        add(r, s, 'a', 'z');
        add(r, s, 'A', 'Z');
        add(r, s, '0', '9');
        add(r, s, '_', '_');
        return true;
    case 's':
        add(r, s, ' ', ' ');
        add(r, s, 9, 13);
        if (*inverted != in_inverted) add_rare_spaces(r, s);
        return true;
    default: return false;
    }
}

static int32_t hex(reader *r, int digits) {
    int32_t v = 0;
    for (int i = 0; i < digits; i++) {
        char c = r->p < r->end ? *r->p++ : 0;
        int h = c >= '0' && c <= '9' ? c - '0' : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10 : -1;
        if (h < 0) {
            bad(r, "a hexadecimal escape lacks digits");
            return 0;
        }
        v = v * 16 + h;
    }
    return v;
}

static int32_t braced_hex(reader *r) {
    int32_t v = 0;
    int n = 0;
    while (r->p < r->end && *r->p != '}' && n++ < 6) v = v * 16 + hex(r, 1);
    if (!skip(r, '}') || v > 0x10ffff) bad(r, "malformed \\u{...}");
    return v > 0x10ffff ? 0 : v;
}

/* The character that an escape stands for; r->p is behind the backslash. */
static int32_t escape(reader *r) {
    char c = *r->p;
    switch (c) {
    case 'n': r->p++; return '\n';
    case 't': r->p++; return '\t';
    case 'r': r->p++; return '\r';
    case 'f': r->p++; return '\f';
    case 'v': r->p++; return '\v';
    case 'x': r->p++; return hex(r, 2);
    case 'u': {
        r->p++;
        if (skip(r, '{')) return braced_hex(r);
        int32_t v = hex(r, 4);
        if (v >= 0xd800 && v < 0xdc00 && r->end - r->p >= 6 && r->p[0] == '\\' && r->p[1] == 'u') {
            r->p += 2;
            int32_t low = hex(r, 4);
            if (low >= 0xdc00 && low < 0xe000) return 0x10000 + ((v - 0xd800) << 10) + (low - 0xdc00);
        }
        if (v >= 0xd800 && v < 0xe000) bad(r, "a surrogate stands alone");
        return v;
    }
    default: break;
    }
    if (c == '0' && !(r->end - r->p > 1 && r->p[1] >= '0' && r->p[1] <= '9')) {
        r->p++;
        return 0;
    }
    if (c >= '0' && c <= '9') unsupported(r, "a back-reference");
    else if (c == 'p' || c == 'P') unsupported(r, "a Unicode property");
    else if (c == 'b' || c == 'B' || c == 'A' || c == 'Z' || c == 'z') unsupported(r, "a boundary or anchor escape");
    else if ((c | 32) >= 'a' && (c | 32) <= 'z') bad(r, "unknown escape");
    return next_cp(r);
}

static ol_gexpr *finish_class(reader *r, ol_gexpr *cls) { return r->json ? ol_gclass_json(r->b, cls) : cls; }

/* One member of a class: a character (then true), or a shorthand taken into the set. */
static bool class_member(reader *r, bool in_inverted, set *s, int32_t *cp) {
    if (!skip(r, '\\')) {
        *cp = next_cp(r);
        return true;
    }
    if (r->p >= r->end) {
        bad(r, "a class ends in a backslash");
        return false;
    }
    bool inverted;
    set one = {.n = 0};
    if (*r->p == 'b') {
        r->p++;
        *cp = '\b';
        return true;
    }
    if (!shorthand(r, *r->p, in_inverted, &one, &inverted)) {
        *cp = escape(r);
        return true;
    }
    r->p++;
    ol_gexpr *e = ol_gclass(r->b, one.r, one.n, inverted);
    for (int i = 0; i < e->n_ranges; i++) add(r, s, e->ranges[i].lo, e->ranges[i].hi);
    return false;
}

static ol_gexpr *parse_class(reader *r) {
    set s = {.n = 0};
    bool inverted = skip(r, '^'), first = true;
    while (r->b->status == OLV_OK && (first || !at(r, ']'))) {
        int32_t lo, hi;
        if (r->p >= r->end) return bad(r, "a class has no ']'");
        if (first && at(r, ']')) break; /* [] matches nothing, [^] anything */
        first = false;
        if (!class_member(r, inverted, &s, &lo)) continue;
        hi = lo;
        if (at(r, '-') && r->end - r->p > 1 && r->p[1] != ']') {
            r->p++;
            if (!class_member(r, inverted, &s, &hi)) return bad(r, "a range ends in a class");
            if (hi < lo) return bad(r, "a range is the wrong way round");
        }
        add(r, &s, lo, hi);
    }
    if (!skip(r, ']')) return bad(r, "a class has no ']'");
    return finish_class(r, ol_gclass(r->b, s.r, s.n, inverted));
}

static ol_gexpr *one_char(reader *r, int32_t cp) {
    ol_grange g = {cp, cp};
    return finish_class(r, ol_gclass(r->b, &g, 1, false));
}

static ol_gexpr *parse_alternatives(reader *r, bool outermost);

static ol_gexpr *parse_group(reader *r) {
    if (skip(r, '?')) {
        if (skip(r, ':')) {
        } else if (at(r, '=') || at(r, '!')) return unsupported(r, "look-ahead");
        else if (at(r, '<') && r->end - r->p > 1 && (r->p[1] == '=' || r->p[1] == '!')) return unsupported(r, "look-behind");
        else if (at(r, '<') || (at(r, 'P') && r->end - r->p > 1 && r->p[1] == '<')) {
            while (r->p < r->end && *r->p != '>') r->p++;
            if (!skip(r, '>')) return bad(r, "a group's name has no '>'");
        } else return unsupported(r, "an inline flag");
    }
    ol_gexpr *e = parse_alternatives(r, false);
    if (!skip(r, ')')) return bad(r, "a group has no ')'");
    return e;
}

static ol_gexpr *parse_atom(reader *r) {
    if (skip(r, '(')) return parse_group(r);
    if (skip(r, '[')) return parse_class(r);
    if (skip(r, '.')) {
        ol_grange nl[2] = {{'\n', '\n'}, {'\r', '\r'}};
        return finish_class(r, ol_gclass(r->b, nl, 2, true));
    }
    if (at(r, '*') || at(r, '+') || at(r, '?')) return bad(r, "nothing to repeat");
    if (at(r, '^') || at(r, '$')) return unsupported(r, "an anchor inside the expression");
    if (!skip(r, '\\')) return one_char(r, next_cp(r));
    if (r->p >= r->end) return bad(r, "it ends in a backslash");
    set s = {.n = 0};
    bool inverted;
    if (shorthand(r, *r->p, false, &s, &inverted)) {
        r->p++;
        return finish_class(r, ol_gclass(r->b, s.r, s.n, inverted));
    }
    return one_char(r, escape(r));
}

static bool number(reader *r, int64_t *out) {
    const char *start = r->p;
    *out = 0;
    for (; r->p < r->end && *r->p >= '0' && *r->p <= '9'; r->p++)
        if (*out <= REPEAT_MAX) *out = *out * 10 + (*r->p - '0');
    return r->p > start;
}

/* "{m}", "{m,}", "{m,n}"; anything else leaves "{" as a character. */
static bool braces(reader *r, int64_t *min, int64_t *max) {
    const char *start = r->p;
    r->p++;
    bool ok = number(r, min);
    *max = *min;
    if (ok && skip(r, ',') && !number(r, max)) *max = -1;
    if (ok && skip(r, '}')) return true;
    r->p = start;
    return false;
}

static ol_gexpr *parse_repeated(reader *r) {
    ol_gexpr *e = parse_atom(r);
    while (r->b->status == OLV_OK && r->p < r->end) {
        int64_t min = 0, max = -1;
        if (skip(r, '*')) min = 0;
        else if (skip(r, '+')) min = 1;
        else if (skip(r, '?')) max = 1;
        else if (!at(r, '{') || !braces(r, &min, &max)) break;
        skip(r, '?'); /* lazy or not: the same texts */
        if (min > REPEAT_MAX || max > REPEAT_MAX) return bad(r, "a count above 10000");
        if (max >= 0 && max < min) return bad(r, "a count is the wrong way round");
        e = ol_grepeat(r->b, e, min, max);
    }
    return e;
}

static ol_gexpr *parse_sequence(reader *r, bool outermost) {
    ol_gexpr *e = ol_gexpr_new(r->b, OL_G_EMPTY);
    if (outermost) r->open_left = !skip(r, '^');
    if (outermost) r->open_right = true;
    ol_gexpr *any = NULL;
    if (r->open_left && outermost && r->json) any = ol_gclass_json(r->b, ol_gclass(r->b, NULL, 0, true));
    if (any) e = ol_grepeat(r->b, any, 0, -1);
    while (r->b->status == OLV_OK && r->p < r->end && *r->p != '|' && *r->p != ')') {
        if (outermost && at(r, '$') && (r->p + 1 == r->end || r->p[1] == '|')) {
            r->p++;
            r->open_right = false;
            break;
        }
        e = ol_gseq(r->b, e, parse_repeated(r));
    }
    if (outermost && r->open_right && r->json) {
        any = ol_gclass_json(r->b, ol_gclass(r->b, NULL, 0, true));
        e = ol_gseq(r->b, e, ol_grepeat(r->b, any, 0, -1));
    }
    return e;
}

static ol_gexpr *parse_alternatives(reader *r, bool outermost) {
    if (++r->depth > OL_GDEPTH_MAX) return bad(r, "groups are nested too deep");
    ol_gexpr *e = parse_sequence(r, outermost);
    while (r->b->status == OLV_OK && skip(r, '|')) e = ol_galt(r->b, e, parse_sequence(r, outermost));
    r->depth--;
    return e;
}

ol_gexpr *ol_gregex(ol_gbuilder *b, const char *p, size_t n, bool json) {
    reader r = {.b = b, .start = p, .p = p, .end = p + n, .json = json};
    ol_gexpr *e = parse_alternatives(&r, true);
    if (b->status == OLV_OK && r.p != r.end) return bad(&r, "an unexpected ')'");
    return e;
}

olv_status ol_grammar_compile_regex(const char *text, size_t len, ol_grammar **out, olv_error *err) {
    ol_gbuilder b;
    OL_TRY(ol_gbuilder_init(&b, err));
    uint32_t root = ol_grule(&b, "root", 4);
    ol_gexpr *e = ol_gregex(&b, text, len, false);
    if (b.status == OLV_OK) b.rules[root] = e;
    olv_status s = b.status == OLV_OK ? ol_gcompile(&b, root, out, err) : b.status;
    ol_gbuilder_deinit(&b);
    return s;
}
