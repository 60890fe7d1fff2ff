/* SPDX-License-Identifier: Apache-2.0 */
/* From the dialects that tokenizers are written in to PCRE2. What differs: white space, word and
 * punctuation classes (spelled out, so that they hold the characters that Oniguruma's hold),
 * classes inside classes, the meaning of the option m, of \h, and of a + behind {n,m} (Oniguruma:
 * repeat again; elsewhere: possessive). */
#include "text/tokenizer/regex.h"

#define SPACE_SET                                                                               \
    "\\x{9}-\\x{d}\\x{20}\\x{85}\\x{a0}\\x{1680}\\x{2000}-\\x{200a}\\x{2028}\\x{2029}\\x{202f}" \
    "\\x{205f}\\x{3000}"
#define WORD_SET                                                                               \
    "\\p{L}\\p{M}\\p{Nd}\\p{Nl}\\p{Pc}\\x{b2}\\x{b3}\\x{b9}\\x{bc}-\\x{be}\\x{24b6}-\\x{24e9}" \
    "\\x{1f130}-\\x{1f149}\\x{1f150}-\\x{1f169}\\x{1f170}-\\x{1f189}"
/* Inside a class, and [:word:]: without the digits that \w has besides. */
#define POSIX_WORD_SET                                                                \
    "\\p{L}\\p{M}\\p{Nd}\\p{Nl}\\p{Pc}\\x{24b6}-\\x{24e9}\\x{1f130}-\\x{1f149}" \
    "\\x{1f150}-\\x{1f169}\\x{1f170}-\\x{1f189}"
/* What became alphabetic, and lower case, after some tables in use. */
#define ALPHA_SET                                                                     \
    "\\p{Alphabetic}\\x{363}-\\x{36f}\\x{897}\\x{c04}\\x{f82}\\x{f83}\\x{1dd3}-\\x{1de6}" \
    "\\x{11080}\\x{11081}"
#define LOWER_SET "\\p{Lowercase}\\x{10fc}\\x{a7f2}-\\x{a7f4}\\x{ab69}\\x{1e030}-\\x{1e06d}"
#define MAX_CLASS_DEPTH 8

typedef struct translator {
    const char *p, *end;
    ol_tk_dialect dialect;
    ol_buf *out;
    olv_error *err;
} translator;

static const struct name {
    const char *from, *to;
} property_names[] =
    {
        {"Letter", "L"},
        {"Uppercase_Letter", "Lu"},
        {"Lowercase_Letter", "Ll"},
        {"Titlecase_Letter", "Lt"},
        {"Modifier_Letter", "Lm"},
        {"Other_Letter", "Lo"},
        {"Mark", "M"},
        {"Nonspacing_Mark", "Mn"},
        {"Spacing_Mark", "Mc"},
        {"Enclosing_Mark", "Me"},
        {"Number", "N"},
        {"Decimal_Number", "Nd"},
        {"Letter_Number", "Nl"},
        {"Other_Number", "No"},
        {"Punctuation", "P"},
        {"Punct", "P"},
        {"Symbol", "S"},
        {"Separator", "Z"},
        {"Space_Separator", "Zs"},
        {"Other", "C"},
        {"Control", "Cc"},
        {"Alpha", "Alphabetic"},
        {"Upper", "Uppercase"},
        {"Lower", "Lowercase"},
        {"Digit", "Nd"},
},
  posix_names[] = {
      {"alpha", ALPHA_SET},
      {"digit", "\\p{Nd}"},
      {"alnum", ALPHA_SET "\\p{Nd}"},
      {"upper", "\\p{Uppercase}"},
      {"lower", LOWER_SET},
      {"punct", "\\p{P}\\p{S}"},
      {"space", SPACE_SET},
      {"cntrl", "\\p{Cc}"},
      {"xdigit", "0-9a-fA-F"},
      {"word", POSIX_WORD_SET},
      {"blank", "\\p{Zs}\\x{9}"},
      {"ascii", "\\x{0}-\\x{7f}"},
};

static void put(translator *t, const char *z) {
    ol_buf_puts(t->out, z);
}
static void put_char(translator *t, char c) {
    ol_buf_putc(t->out, c);
}

/* Names that are no general category and no binary property. */
static bool is_script(ol_str s) {
    static const char *const properties[] = {
        "Any",   "Alphabetic",            "Uppercase",           "Lowercase",  "White_Space",
        "ASCII", "Emoji",                 "Emoji_Presentation",  "ID_Start",   "ID_Continue",
        "Math",  "Emoji_Modifier",        "Emoji_Modifier_Base", "XID_Start",  "XID_Continue",
        "Dash",  "Extended_Pictographic", "Emoji_Component",     "Ideographic"};
    for (size_t i = 0; i < sizeof properties / sizeof *properties; i++)
        if (ol_str_is(s, properties[i])) return false;
    return s.len > 2;
}

static olv_status put_property(translator *t) {
    bool negated = *t->p++ == 'P';
    if (t->p == t->end || *t->p != '{') {
        if (t->p == t->end) return ol_fail(t->err, OLV_FORMAT, "pattern ends inside \\p");
        ol_buf_printf(t->out, "\\%c%c", negated ? 'P' : 'p', *t->p++);
        return OLV_OK;
    }
    const char *name = ++t->p, *close = memchr(name, '}', (size_t)(t->end - name));
    if (!close) return ol_fail(t->err, OLV_FORMAT, "pattern: no } after \\p{");
    t->p = close + 1;
    if (name < close && *name == '^') {
        negated = !negated;
        name++;
    }
    ol_str s = {name, (size_t)(close - name)};
    for (size_t i = 0; i < sizeof property_names / sizeof *property_names; i++)
        if (ol_str_is(s, property_names[i].from)) s = ol_str_of(property_names[i].to);
    ol_buf_printf(t->out, "\\%c{%s%.*s}", negated ? 'P' : 'p', is_script(s) ? "sc:" : "",
                  (int)s.len, s.ptr);
    return OLV_OK;
}

/* An escape, t->p behind the backslash. */
static olv_status put_escape(translator *t, bool in_class) {
    if (t->p == t->end) return ol_fail(t->err, OLV_FORMAT, "pattern ends with a backslash");
    char c = *t->p;
    if (c == 'p' || c == 'P') return put_property(t);
    t->p++;
    const char *set = NULL;
    if (c == 's' || c == 'S') set = SPACE_SET;
    if (c == 'w' || c == 'W') set = in_class ? POSIX_WORD_SET : WORD_SET;
    if (t->dialect == OL_TK_ONIGURUMA && (c == 'h' || c == 'H')) set = "0-9a-fA-F";
    if (set && in_class && c == 'S') {
        put(t, "\\S\\x{180e}"); /* U+180E was white space once, and PCRE2 still says so */
    } else if (set && in_class && c != 's' && c != 'w' && c != 'h') {
        return ol_fail(t->err, OLV_UNSUPPORTED, "pattern: \\%c inside a class", c);
    } else if (set) {
        bool negated = c == 'S' || c == 'W' || c == 'H';
        if (!in_class) put(t, negated ? "[^" : "[");
        put(t, set);
        if (!in_class) put(t, "]");
    } else if (c == 'd' || c == 'D') {
        put(t, c == 'd' ? "\\p{Nd}" : "\\P{Nd}");
    } else if (c == 'b' && !in_class) {
        put(t, "(?:(?<=[" WORD_SET "])(?![" WORD_SET "])|(?<![" WORD_SET "])(?=[" WORD_SET "]))");
    } else if (c == 'B' && !in_class) {
        put(t, "(?:(?<=[" WORD_SET "])(?=[" WORD_SET "])|(?<![" WORD_SET "])(?![" WORD_SET "]))");
    } else if (c == 'u' && t->end - t->p >= 4) {
        ol_buf_printf(t->out, "\\x{%.4s}", t->p);
        t->p += 4;
    } else {
        put_char(t, '\\');
        put_char(t, c);
    }
    return OLV_OK;
}

static bool put_posix(translator *t) {
    const char *name = t->p + 2, *close = name;
    while (close < t->end && *close >= 'a' && *close <= 'z') close++;
    if (t->end - close < 2 || close[0] != ':' || close[1] != ']') return false;
    for (size_t i = 0; i < sizeof posix_names / sizeof *posix_names; i++)
        if (ol_str_is((ol_str){name, (size_t)(close - name)}, posix_names[i].from)) {
            put(t, posix_names[i].to);
            t->p = close + 2;
            return true;
        }
    return false;
}

/* A class in the making. Oniguruma's classes are unions of items and of classes, and intersections
 * (&&) of such unions; PCRE2 has items only. What is more than items becomes alternatives and
 * lookaheads that match one character. */
typedef struct char_class {
    ol_buf set;  /* items of the operand that is being read */
    ol_buf more; /* its classes that cannot join the items, each behind a | */
    ol_buf all;  /* the operands before it, as lookaheads */
    bool negated;
} char_class;

static void class_deinit(char_class *c) {
    ol_buf_deinit(&c->set);
    ol_buf_deinit(&c->more);
    ol_buf_deinit(&c->all);
}

static void append(ol_buf *out, const ol_buf *b) {
    ol_buf_append(out, b->data ? b->data : "", b->len);
    if (b->failed) out->failed = true;
}

static bool class_is_plain(const char_class *c) {
    return c->more.len == 0 && c->all.len == 0;
}

static void put_operand(const char_class *c, ol_buf *out) {
    if (c->set.failed || c->more.failed) out->failed = true;
    if (c->more.len) ol_buf_puts(out, "(?:");
    if (c->set.len || !c->more.len) {
        ol_buf_puts(out, "[");
        append(out, &c->set);
        ol_buf_puts(out, "]");
    }
    if (!c->more.len) return;
    ol_buf_append(out, c->more.data + !c->set.len, c->more.len - !c->set.len);
    ol_buf_puts(out, ")");
}

static void put_whole_class(const char_class *c, ol_buf *out) {
    if (class_is_plain(c)) {
        ol_buf_puts(out, c->negated ? "[^" : "[");
        append(out, &c->set);
        ol_buf_puts(out, "]");
        return;
    }
    ol_buf_puts(out, c->negated ? "(?:(?!" : "(?:");
    append(out, &c->all);
    put_operand(c, out);
    ol_buf_puts(out, c->negated ? ")(?s:.))" : ")");
}

static olv_status read_class(translator *t, int depth, char_class *c);

/* A class inside one: joins its items if it can. */
static olv_status put_inner_class(translator *t, int depth, char_class *c) {
    char_class inner = {0};
    olv_status st = read_class(t, depth + 1, &inner);
    if (st == OLV_OK && class_is_plain(&inner) && !inner.negated) {
        append(&c->set, &inner.set);
    } else if (st == OLV_OK) {
        ol_buf_puts(&c->more, "|");
        put_whole_class(&inner, &c->more);
    }
    class_deinit(&inner);
    return st;
}

/* Ends an operand of an intersection. */
static void end_operand(char_class *c) {
    ol_buf_puts(&c->all, "(?=");
    put_operand(c, &c->all);
    ol_buf_puts(&c->all, ")");
    ol_buf_clear(&c->set);
    ol_buf_clear(&c->more);
}

static olv_status read_item(translator *t, int depth, char_class *c) {
    ol_buf *out = t->out;
    olv_status st = OLV_OK;
    char ch = *t->p;
    t->out = &c->set;
    if (ch == '[' && t->end - t->p > 2 && t->p[1] == ':' && put_posix(t)) {
    } else if (t->p++, ch == '[') {
        st = put_inner_class(t, depth, c);
    } else if (ch == '\\' && t->p < t->end &&
               (*t->p == 'W' || (*t->p == 'H' && t->dialect == OL_TK_ONIGURUMA))) {
        ol_buf_puts(&c->more, *t->p++ == 'W' ? "|[^" POSIX_WORD_SET "]" : "|[^0-9a-fA-F]");
    } else if (ch == '\\') {
        st = put_escape(t, true);
    } else {
        if (ch == ']') put_char(t, '\\');
        put_char(t, ch);
    }
    t->out = out;
    return st;
}

/* t->p behind the [. */
static olv_status read_class(translator *t, int depth, char_class *c) {
    if (depth > MAX_CLASS_DEPTH)
        return ol_fail(t->err, OLV_LIMIT, "pattern: classes nested too deep");
    if (t->p < t->end && *t->p == '^') {
        c->negated = true;
        t->p++;
    }
    for (bool first = true; t->p < t->end; first = false) {
        if (*t->p == ']' && !first) {
            t->p++;
            return OLV_OK;
        }
        if (*t->p == '&' && t->end - t->p > 1 && t->p[1] == '&') {
            t->p += 2;
            end_operand(c);
        } else {
            OL_TRY(read_item(t, depth, c));
        }
    }
    return ol_fail(t->err, OLV_FORMAT, "pattern: no ] at the end of a class");
}

static olv_status put_class(translator *t) {
    char_class c = {0};
    olv_status st = read_class(t, 0, &c);
    if (st == OLV_OK) put_whole_class(&c, t->out);
    class_deinit(&c);
    return st;
}

/* Letters of an option group "(?imx-imx": Oniguruma's m is everybody else's s. */
static void put_options(translator *t) {
    put(t, "?");
    const char *p = ++t->p;
    while (p < t->end && (*p == '-' || (*p >= 'a' && *p <= 'z'))) p++;
    if (p == t->end || (*p != ':' && *p != ')')) return;
    for (; t->p < p; t->p++)
        put_char(t, t->dialect == OL_TK_ONIGURUMA && *t->p == 'm' ? 's' : *t->p);
}

/* Puts "(?:" before what was written from `at` on, and ")" behind it. */
static void wrap(translator *t, size_t at) {
    size_t n = t->out->len;
    put(t, "(?:)");
    if (t->out->failed) return;
    memmove(t->out->data + at + 3, t->out->data + at, n - at);
    memcpy(t->out->data + at, "(?:", 3);
    t->out->data[n + 3] = ')';
}

olv_status ol_tk_regex_translate(ol_str pattern, ol_tk_dialect dialect, ol_buf *out,
                                 olv_error *err) {
    translator t = {pattern.ptr, pattern.ptr + pattern.len, dialect, out, err};
    size_t atom = out->len; /* where the last atom began */
    size_t groups[64];      /* where the open groups began */
    int depth = 0;
    bool interval = false;
    while (t.p < t.end) {
        char c = *t.p;
        if (c == '+' && interval && dialect == OL_TK_ONIGURUMA) wrap(&t, atom);
        bool quantifier = c == '*' || c == '+' || c == '?' || c == '{';
        interval = false;
        if (!quantifier && c != '}' && c != ')' && ((unsigned char)c & 0xC0) != 0x80)
            atom = out->len;
        t.p++;
        if (c == '\\') {
            OL_TRY(put_escape(&t, false));
        } else if (c == '[') {
            OL_TRY(put_class(&t));
        } else if (c == '(') {
            if (depth == 64) return ol_fail(err, OLV_LIMIT, "pattern: groups nested too deep");
            groups[depth++] = out->len;
            put_char(&t, c);
            if (t.p < t.end && *t.p == '?') put_options(&t);
        } else if (c == '{') {
            const char *close = memchr(t.p, '}', (size_t)(t.end - t.p));
            put_char(&t, c);
            for (; close && t.p <= close; t.p++) put_char(&t, *t.p);
            interval = close != NULL;
        } else {
            if (c == ')' && depth > 0) atom = groups[--depth];
            put_char(&t, c);
        }
    }
    if (out->failed) return ol_fail(err, OLV_NOMEM, "out of memory");
    return OLV_OK;
}
