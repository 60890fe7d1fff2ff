/* SPDX-License-Identifier: Apache-2.0 */
/* Operations on texts of a tokenizer model of OpenVINO as normalizers and pre-tokenizers. */
#include "text/tokenizer/openvino_read.h"

#include "base/base64.h"
#include "base/error.h"

#include <stdio.h>
#include <stdlib.h>

void ol_tk_ir_step(ol_buf *list, const char *fmt, ...) {
    va_list args;
    char small[256], *text = small;
    va_start(args, fmt);
    int n = vsnprintf(small, sizeof small, fmt, args);
    va_end(args);
    if (list->len) ol_buf_putc(list, ',');
    if (n >= 0 && (size_t)n < sizeof small) {
        ol_buf_append(list, text, (size_t)n);
        return;
    }
    va_start(args, fmt);
    if (n >= 0 && ol_buf_reserve(list, (size_t)n + 1)) {
        vsnprintf(list->data + list->len, (size_t)n + 1, fmt, args);
        list->len += (size_t)n;
    }
    va_end(args);
}

const char *ol_tk_ir_quoted(ol_tk_ir_reader *r, ol_str s) {
    ol_buf b = OL_BUF_INIT;
    ol_buf_json_string(&b, s.ptr, s.len);
    const char *q = b.failed ? NULL : ol_arena_strndup(r->ids.arena, b.data, b.len);
    ol_buf_deinit(&b);
    if (!q) ol_fail(r->err, OLV_NOMEM, "out of memory");
    return q;
}

/* ---- the path of the texts ---- */

static const struct {
    const char *type;
    int begins; /* number of the input with the begins of the texts */
} operations[] = {
    {"RegexNormalization", 0}, {"CharsMapNormalization", 0}, {"NormalizeUnicode", 0}, {"CaseFold", 0},
    {"RegexSplit", 2},         {"SpecialTokensSplit", 2},    {"BytesToChars", 2},     {"BPETokenizer", 2},
    {"WordpieceTokenizer", 2}, {"UnigramTokenizer", 2},      {"VocabEncoder", 0},     {"FuzeRagged", 2},
    {"ByteFallback", 0},       {"UTF8Validate", 0},          {"CharsToBytes", 2},     {"StringTensorPack", 0},
};

olv_status ol_tk_ir_path(const ol_tk_ir_net *n, const ol_tk_ir_layer *last, const ol_tk_ir_layer ***path, int *count) {
    const ol_tk_ir_layer *l = last;
    int at = n->count + 1;
    const ol_tk_ir_layer **p = ol_arena_calloc(n->arena, (size_t)at + 1, sizeof *p);
    if (!p) return ol_fail(n->err, OLV_NOMEM, "out of memory");
    for (;;) {
        size_t k = 0, kinds = sizeof operations / sizeof *operations;
        while (k < kinds && strcmp(l->type, operations[k].type) != 0) k++;
        if (k == kinds) break;
        OL_TRY(ol_tk_ir_source(n, l, operations[k].begins, &l));
        if (at == 0) return ol_fail(n->err, OLV_FORMAT, "%s: layers feed each other in a ring", n->path);
        p[--at] = l;
    }
    if (strcmp(l->type, "StringTensorUnpack") != 0 && strcmp(l->type, "VocabDecoder") != 0)
        return ol_fail(n->err, OLV_UNSUPPORTED, "%s:%d: operation %s is not known in a tokenizer model", n->path, l->xml->line, l->type);
    *path = p + at;
    *count = n->count + 1 - at;
    return OLV_OK;
}

/* ---- replacements ---- */

olv_status ol_tk_ir_replacement_of(const ol_tk_ir_net *n, const ol_tk_ir_layer *l, ol_tk_ir_replacement *out) {
    OL_TRY(ol_tk_ir_bytes(n, l, l->n_in - 2, &out->pattern));
    OL_TRY(ol_tk_ir_bytes(n, l, l->n_in - 1, &out->with));
    if (ol_utf8_valid(out->pattern.ptr, out->pattern.len) && ol_utf8_valid(out->with.ptr, out->with.len)) return OLV_OK;
    return ol_fail(n->err, OLV_FORMAT, "%s:%d: a regular expression that is no UTF-8", n->path, l->xml->line);
}

static olv_status unknown_pattern(ol_tk_ir_reader *r, ol_tk_ir_replacement p) {
    return ol_fail(r->err, OLV_UNSUPPORTED, "replacing /%.*s/ by \"%.*s\" is not known as a step of a tokenizer",
                   (int)(p.pattern.len < 80 ? p.pattern.len : 80), p.pattern.ptr, (int)(p.with.len < 40 ? p.with.len : 40), p.with.ptr);
}

olv_status ol_tk_ir_put_replace(ol_tk_ir_reader *r, ol_buf *list, ol_tk_ir_replacement p) {
    ol_buf plain = OL_BUF_INIT;
    for (size_t i = 0; i < p.with.len; i++) {
        char c = p.with.ptr[i], next = i + 1 < p.with.len ? p.with.ptr[i + 1] : 0;
        bool group = (c == '$' || c == '\\') && ((next >= '0' && next <= '9') || next == '{');
        if (group) {
            ol_buf_deinit(&plain);
            return unknown_pattern(r, p);
        }
        if (c == '$' && next == '$') i++;
        ol_buf_putc(&plain, c);
    }
    const char *q = ol_tk_ir_quoted(r, p.pattern), *w = ol_tk_ir_quoted(r, (ol_str){plain.data, plain.len});
    ol_buf_deinit(&plain);
    if (!q || !w) return OLV_NOMEM;
    ol_tk_ir_step(list, "{\"type\":\"Replace\",\"pattern\":{\"Regex\":%s},\"content\":%s}", q, w);
    return OLV_OK;
}

static void put_metaspace(ol_tk_ir_reader *r, const char *mark, const char *scheme) {
    ol_tk_ir_step(&r->pretokenizers, "{\"type\":\"Metaspace\",\"replacement\":%s,\"prepend_scheme\":\"%s\",\"split\":false}", mark, scheme);
}

/* The forms that a converter gives to steps that replace what groups caught, or look around. */
typedef enum meaning { PLAIN, PREPEND, PREFIX, FIRST, CJK, STRIP_LEFT, STRIP_RIGHT, STRIP } meaning;
static const struct {
    const char *pattern; /* begins with this; with exact, is this */
    bool exact;
    meaning meaning;
} forms[] = {
    {"(?:^)([\\s\\S])", true, PREPEND}, {"\\A([\\s\\S])", true, PREPEND},
    {"^(\\S)", true, PREFIX},           {"(^)([^", false, PREFIX},
    {"(^)((?!", false, FIRST},          {"\\A(?! |", false, FIRST},
    {"\\A(?!", false, PREFIX},          {"([\\p{Han}])", true, CJK},
    {"([\\x{4E00}-", false, CJK},       {"^\\s*|\\s*$", true, STRIP},
    {"^\\s*", true, STRIP_LEFT},        {"\\A\\s+", true, STRIP_LEFT},
    {"\\s*$", true, STRIP_RIGHT},       {"\\s+\\z", true, STRIP_RIGHT},
};

static meaning meaning_of(ol_str pattern) {
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++)
        if (forms[i].exact ? ol_str_is(pattern, forms[i].pattern) : ol_str_starts(pattern, forms[i].pattern)) return forms[i].meaning;
    return PLAIN;
}

/* The text of a replacement before its group. */
static ol_str literal_part(ol_str with) {
    for (size_t i = 0; i + 1 < with.len; i++)
        if ((with.ptr[i] == '$' || with.ptr[i] == '\\') && with.ptr[i + 1] >= '1' && with.ptr[i + 1] <= '9') return (ol_str){with.ptr, i};
    return with;
}

/* Behind a cut only spaces can still become marks: a Metaspace of the pieces. */
static olv_status plain_replacement(ol_tk_ir_reader *r, ol_tk_ir_replacement p) {
    if (!r->pretokenizers.len) return ol_tk_ir_put_replace(r, &r->normalizers, p);
    const char *mark = ol_tk_ir_quoted(r, p.with);
    if (!mark) return OLV_NOMEM;
    if (!ol_str_is(p.pattern, " ") || ol_utf8_count(p.with.ptr, p.with.len) != 1) return unknown_pattern(r, p);
    put_metaspace(r, mark, "never");
    return OLV_OK;
}

static olv_status replacement(ol_tk_ir_reader *r, const ol_tk_ir_layer *l, bool whole_texts) {
    ol_tk_ir_replacement p;
    OL_TRY(ol_tk_ir_replacement_of(&r->ids, l, &p));
    meaning m = meaning_of(p.pattern);
    const char *mark = ol_tk_ir_quoted(r, literal_part(p.with));
    if (!mark) return OLV_NOMEM;
    if (m == PLAIN) return plain_replacement(r, p);
    if (m == PREFIX || m == FIRST) {
        put_metaspace(r, mark, whole_texts ? "first" : "always");
        return OLV_OK;
    }
    if (r->pretokenizers.len) return unknown_pattern(r, p);
    if (m == PREPEND) {
        ol_tk_ir_step(&r->normalizers, "{\"type\":\"Prepend\",\"prepend\":%s}", mark);
    } else if (m == CJK) {
        ol_tk_ir_step(&r->normalizers, "{\"type\":\"BertNormalizer\",\"clean_text\":false,\"handle_chinese_chars\":true,"
                                       "\"strip_accents\":false,\"lowercase\":false}");
    } else {
        ol_tk_ir_step(&r->normalizers, "{\"type\":\"Strip\",\"strip_left\":%s,\"strip_right\":%s}", m != STRIP_RIGHT ? "true" : "false",
                      m != STRIP_LEFT ? "true" : "false");
    }
    return OLV_OK;
}

/* ---- characters ---- */

static olv_status put_rules(ol_tk_ir_reader *r, const ol_tk_ir_layer *l) {
    const ol_tk_ir_layer *last;
    ol_str rules;
    if (l->n_in < 4) return OLV_OK;
    OL_TRY(ol_tk_ir_source(&r->ids, l, l->n_in - 1, &last));
    if (strcmp(last->type, "Const") != 0) return OLV_OK; /* the marks of added tokens */
    OL_TRY(ol_tk_ir_bytes(&r->ids, l, l->n_in - 1, &rules));
    ol_buf b = OL_BUF_INIT;
    ol_base64_encode(rules, &b);
    if (b.len) ol_tk_ir_step(&r->normalizers, "{\"type\":\"Precompiled\",\"precompiled_charsmap\":\"%s\"}", b.data);
    bool failed = b.failed;
    ol_buf_deinit(&b);
    return failed ? ol_fail(r->err, OLV_NOMEM, "out of memory") : OLV_OK;
}

static olv_status characters(ol_tk_ir_reader *r, const ol_tk_ir_layer *l) {
    static const char *const named[][2] = {{"nfc", "NFC"}, {"nfd", "NFD"}, {"nfkc", "NFKC"}, {"nfkd", "NFKD"}, {"nmt_nfkc", "NFKC"}};
    const char *form = ol_tk_ir_attr(l, "normalization_form");
    bool known = !*form || strcmp(form, "identity") == 0;
    if (ol_tk_ir_flag(l, "nmt") || strcmp(form, "nmt_nfkc") == 0) ol_tk_ir_step(&r->normalizers, "{\"type\":\"Nmt\"}");
    OL_TRY(put_rules(r, l));
    for (size_t i = 0; i < sizeof named / sizeof *named; i++)
        if (strcasecmp(form, named[i][0]) == 0) {
            ol_tk_ir_step(&r->normalizers, "{\"type\":\"%s\"}", named[i][1]);
            known = true;
        }
    if (!known) return ol_fail(r->err, OLV_UNSUPPORTED, "%s:%d: normalization form \"%s\"", r->ids.path, l->xml->line, form);
    if (ol_tk_ir_flag(l, "case_fold")) ol_tk_ir_step(&r->normalizers, "{\"type\":\"Lowercase\"}");
    if (ol_tk_ir_flag(l, "remove_extra_whitespaces")) {
        ol_tk_ir_step(&r->normalizers, "{\"type\":\"Strip\",\"strip_left\":true,\"strip_right\":true}");
        ol_tk_ir_step(&r->normalizers, "{\"type\":\"Replace\",\"pattern\":{\"Regex\":\" {2,}\"},\"content\":\" \"}");
    }
    if (ol_tk_ir_flag(l, "add_dummy_prefix")) ol_tk_ir_step(&r->normalizers, "{\"type\":\"Prepend\",\"prepend\":\" \"}");
    if (ol_tk_ir_flag(l, "escape_whitespaces"))
        ol_tk_ir_step(&r->normalizers, "{\"type\":\"Replace\",\"pattern\":{\"String\":\" \"},\"content\":\"\xE2\x96\x81\"}");
    return OLV_OK;
}

/* ---- cuts ---- */

static olv_status cut(ol_tk_ir_reader *r, const ol_tk_ir_layer *l) {
    static const char *const named[][2] = {{"remove", "Removed"},
                                           {"removed", "Removed"},
                                           {"isolate", "Isolated"},
                                           {"isolated", "Isolated"},
                                           {"contiguous", "Contiguous"},
                                           {"mergedwithprevious", "MergedWithPrevious"},
                                           {"mergedwithnext", "MergedWithNext"}};
    const char *how = ol_tk_ir_attr(l, "behaviour"), *name = NULL;
    ol_str pattern;
    for (size_t i = 0; i < sizeof named / sizeof *named; i++)
        if (strcmp(how, named[i][0]) == 0) name = named[i][1];
    if (!name) return ol_fail(r->err, OLV_UNSUPPORTED, "%s:%d: RegexSplit: behaviour \"%s\"", r->ids.path, l->xml->line, how);
    OL_TRY(ol_tk_ir_bytes(&r->ids, l, l->n_in - 1, &pattern));
    const char *q = ol_tk_ir_quoted(r, pattern);
    if (!q) return OLV_NOMEM;
    ol_tk_ir_step(&r->pretokenizers, "{\"type\":\"Split\",\"pattern\":{\"Regex\":%s},\"behavior\":\"%s\",\"invert\":%s}", q, name,
                  ol_tk_ir_flag(l, "invert") ? "true" : "false");
    return OLV_OK;
}

/* ---- added tokens ----
 *
 * The pattern is a list of groups, each "(" token "|" token ... ")" with what white space around it goes with it:
 * (?:\s*)( ... )(?:\s*), and (?<!\w)( ... )(?!\w) for words of their own. */

static bool skip(ol_str *s, const char *text) {
    if (!ol_str_starts(*s, text)) return false;
    s->ptr += strlen(text);
    s->len -= strlen(text);
    return true;
}

/* One token up to '|' or ')', with its escapes taken off. */
static ol_str token_text(ol_tk_ir_reader *r, ol_str *s) {
    char *out = ol_arena_alloc(r->ids.arena, s->len + 1);
    size_t n = 0;
    while (out && s->len && *s->ptr != '|' && *s->ptr != ')') {
        size_t k = *s->ptr == '\\' && s->len > 1;
        out[n++] = s->ptr[k];
        s->ptr += k + 1;
        s->len -= k + 1;
    }
    return (ol_str){out, n};
}

static bool group_of_tokens(ol_tk_ir_reader *r, ol_str *s) {
    size_t from = r->n_added;
    bool left = skip(s, "(?:\\s*)"), word = skip(s, "(?<!\\w)");
    if (!skip(s, "(")) return false;
    do {
        ol_str t = token_text(r, s);
        if (!t.ptr) return false;
        if (t.len) r->added[r->n_added++] = (ol_tk_ir_token){.content = t, .lstrip = left, .single_word = word};
    } while (skip(s, "|"));
    if (!skip(s, ")")) return false;
    if (word && !skip(s, "(?!\\w)")) return false;
    bool right = skip(s, "(?:\\s*)");
    for (size_t i = from; i < r->n_added; i++) r->added[i].rstrip = right;
    return true;
}

static olv_status added_tokens(ol_tk_ir_reader *r, const ol_tk_ir_layer *l) {
    ol_str pattern, left;
    OL_TRY(ol_tk_ir_bytes(&r->ids, l, l->n_in - 1, &pattern));
    left = pattern;
    r->added = ol_arena_calloc(r->ids.arena, pattern.len + 1, sizeof *r->added);
    if (!r->added) return ol_fail(r->err, OLV_NOMEM, "out of memory");
    skip(&left, "(?!)()"); /* there are none */
    while (left.len) {
        if (!group_of_tokens(r, &left) || (left.len && !skip(&left, "|")))
            return ol_fail(r->err, OLV_UNSUPPORTED, "%s:%d: SpecialTokensSplit: a list of tokens is expected at character %zu of its pattern",
                           r->ids.path, l->xml->line, pattern.len - left.len);
    }
    return OLV_OK;
}

olv_status ol_tk_ir_read_steps(ol_tk_ir_reader *r) {
    const ol_tk_ir_layer **path;
    int count;
    OL_TRY(ol_tk_ir_path(&r->ids, r->model, &path, &count));
    bool cut_added = false, any_added = ol_tk_ir_find(&r->ids, "SpecialTokensSplit") != NULL;
    for (int i = 1; i < count; i++) {
        const char *type = path[i]->type;
        olv_status s = OLV_OK;
        if (strcmp(type, "RegexNormalization") == 0) {
            s = replacement(r, path[i], any_added && !cut_added);
        } else if (strcmp(type, "CharsMapNormalization") == 0 || strcmp(type, "NormalizeUnicode") == 0) {
            s = characters(r, path[i]);
        } else if (strcmp(type, "CaseFold") == 0) {
            ol_tk_ir_step(&r->normalizers, "{\"type\":\"Lowercase\"}");
        } else if (strcmp(type, "RegexSplit") == 0) {
            s = cut(r, path[i]);
        } else if (strcmp(type, "SpecialTokensSplit") == 0) {
            s = added_tokens(r, path[i]);
            cut_added = true;
        }
        OL_TRY(s);
    }
    return OLV_OK;
}
