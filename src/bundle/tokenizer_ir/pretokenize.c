/* SPDX-License-Identifier: Apache-2.0 */
/* Pre-tokenizers of tokenizer.json as operations on texts. */
#include "bundle/tokenizer_ir/net.h"

#include "base/error.h"

#define PUNCTUATION "[!-/:-@\\[-`{-~]|\\p{P}"
/* Words as Rust's regular expressions see them: letters, marks, decimal and letter-like numbers, connectors, joiners and
 * the circled and squared letters. */
#define WORD                                                                                                           \
    "\\p{L}\\p{M}\\p{Nd}\\p{Nl}\\p{Pc}\\x{200C}\\x{200D}\\x{24B6}-\\x{24E9}\\x{1F130}-\\x{1F149}\\x{1F150}-\\x{1F169}" \
    "\\x{1F170}-\\x{1F189}"
#define BYTE_LEVEL "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+"

/* The file's name of what becomes of a match, OL_TI_ISOLATE when it says nothing. */
static olv_status behavior(ol_ti_net *n, const json_t *step, ol_ti_cut *out) {
    static const char *const names[] = {"Removed", "Isolated", "Contiguous", "MergedWithPrevious", "MergedWithNext"};
    const char *s = ol_ti_text(step, "behavior", "Isolated");
    *out = OL_TI_ISOLATE;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(s, names[i]) == 0) {
            *out = (ol_ti_cut)i;
            return OLV_OK;
        }
    return ol_fail(n->err, OLV_FORMAT, "\"behavior\" is \"%s\"", s);
}

static olv_status split(ol_ti_net *n, const json_t *step) {
    const json_t *p = json_object_get(step, "pattern");
    const char *regex = ol_ti_text(p, "Regex", NULL), *text = ol_ti_text(p, "String", json_string_value(p));
    ol_buf quoted = OL_BUF_INIT;
    ol_ti_cut cut;
    OL_TRY(behavior(n, step, &cut));
    if (!regex && !text) return ol_fail(n->err, OLV_FORMAT, "no \"pattern\"");
    if (!regex && !*text) regex = "(?s)."; /* nothing is found between any two characters */
    if (!regex) ol_ti_quote(&quoted, ol_str_of(text));
    const char *q = ol_ti_keep(n, &quoted);
    if (!q) return OLV_NOMEM;
    ol_ti_split(n, regex ? regex : q, cut, ol_ti_flag(step, "invert", false));
    return OLV_OK;
}

static olv_status byte_level(ol_ti_net *n, const json_t *step) {
    if (ol_ti_flag(step, "add_prefix_space", true)) ol_ti_replace(n, "\\A(?! )(?=[\\s\\S])", " ", false);
    if (ol_ti_flag(step, "use_regex", true)) ol_ti_split(n, BYTE_LEVEL, OL_TI_ISOLATE, false);
    return OLV_OK;
}

static olv_status bert(ol_ti_net *n, const json_t *step) {
    (void)step;
    ol_ti_split(n, OL_TI_SPACE "+", OL_TI_REMOVE, false);
    ol_ti_split(n, PUNCTUATION, OL_TI_ISOLATE, false);
    return OLV_OK;
}

static olv_status whitespace(ol_ti_net *n, const json_t *step) {
    (void)step;
    ol_ti_split(n, "[" WORD "]+|(?:(?!" OL_TI_SPACE ")[^" WORD "])+", OL_TI_REMOVE, true);
    return OLV_OK;
}

static olv_status whitespace_split(ol_ti_net *n, const json_t *step) {
    (void)step;
    ol_ti_split(n, OL_TI_SPACE "+", OL_TI_REMOVE, false);
    return OLV_OK;
}

static olv_status punctuation(ol_ti_net *n, const json_t *step) {
    ol_ti_cut cut;
    OL_TRY(behavior(n, step, &cut));
    ol_ti_split(n, PUNCTUATION, cut, false);
    return OLV_OK;
}

static olv_status digits(ol_ti_net *n, const json_t *step) {
    bool single = ol_ti_flag(step, "individual_digits", false);
    ol_ti_split(n, single ? "\\p{N}" : "\\p{N}+", OL_TI_ISOLATE, false);
    return OLV_OK;
}

static olv_status delimiter(ol_ti_net *n, const json_t *step) {
    ol_buf b = OL_BUF_INIT;
    ol_ti_quote(&b, ol_str_of(ol_ti_text(step, "delimiter", " ")));
    const char *s = ol_ti_keep(n, &b);
    if (!s) return OLV_NOMEM;
    ol_ti_split(n, s, OL_TI_REMOVE, false);
    return OLV_OK;
}

static olv_status fixed_length(ol_ti_net *n, const json_t *step) {
    json_int_t len = json_integer_value(json_object_get(step, "length"));
    const char *s = len > 0 && len < 65536 ? ol_arena_printf(ol_ir_arena(n->e), "(?s).{1,%d}", (int)len) : NULL;
    if (!s) return ol_fail(n->err, OLV_UNSUPPORTED, "\"length\" is %lld, expected 1 to 65535", (long long)len);
    ol_ti_split(n, s, OL_TI_ISOLATE, false);
    return OLV_OK;
}

/* ---- Metaspace ---- */

const char *ol_ti_metaspace(const json_t *step, const char **scheme) {
    *scheme = ol_ti_text(step, "prepend_scheme", ol_ti_flag(step, "add_prefix_space", true) ? "always" : "never");
    return ol_ti_text(step, "replacement", "\xE2\x96\x81");
}

static olv_status metaspace(ol_ti_net *n, const json_t *step) {
    const char *scheme, *mark = ol_ti_metaspace(step, &scheme);
    ol_ti_replace(n, " ", mark, true);
    if (strcmp(scheme, "always") == 0) {
        const char *bare = ol_arena_printf(ol_ir_arena(n->e), "\\A(?!%s)(?=[\\s\\S])", mark);
        if (!bare) return ol_fail(n->err, OLV_NOMEM, "out of memory");
        ol_ti_replace(n, bare, mark, false);
    }
    if (ol_ti_flag(step, "split", true)) ol_ti_split(n, mark, OL_TI_WITH_NEXT, false);
    return OLV_OK;
}

/* A text that begins with an added token gets no prefix: its first piece is that token. */
static olv_status first_prefix(ol_ti_net *n, const json_t *step) {
    const char *scheme, *mark = ol_ti_metaspace(step, &scheme);
    if (strcmp(scheme, "first") != 0) return OLV_OK;
    ol_buf b = OL_BUF_INIT;
    ol_buf_printf(&b, "\\A(?! |%s", mark);
    for (size_t i = 0; i < n->doc->n_added; i++) {
        const ol_ti_added *a = &n->doc->added[i];
        if (a->content.len == 0) continue;
        ol_buf_puts(&b, a->lstrip ? "|\\s*" : "|");
        ol_ti_quote(&b, a->content);
    }
    ol_buf_puts(&b, ")(?=[\\s\\S])");
    const char *pattern = ol_ti_keep(n, &b);
    if (!pattern) return OLV_NOMEM;
    ol_ti_replace(n, pattern, mark, false);
    return OLV_OK;
}

olv_status ol_ti_first_prefix(ol_ti_net *n) {
    const json_t *step = n->doc->pretokenizer, *item;
    if (strcmp(ol_ti_text(step, "type", ""), "Metaspace") == 0) return first_prefix(n, step);
    size_t i;
    json_array_foreach(json_object_get(step, "pretokenizers"), i, item)
        if (strcmp(ol_ti_text(item, "type", ""), "Metaspace") == 0) return first_prefix(n, item);
    return OLV_OK;
}

/* ---- the table ---- */

static const struct {
    const char *type;
    olv_status (*emit)(ol_ti_net *n, const json_t *step);
} kinds[] = {
    {"Split", split},           {"ByteLevel", byte_level},
    {"BertPreTokenizer", bert}, {"Whitespace", whitespace},
    {"Punctuation", punctuation}, {"WhitespaceSplit", whitespace_split},
    {"Digits", digits},         {"Metaspace", metaspace},
    {"FixedLength", fixed_length}, {"CharDelimiterSplit", delimiter},
};

static olv_status emit(ol_ti_net *n, const json_t *step) {
    const char *type = ol_ti_text(step, "type", "");
    if (strcmp(type, "Sequence") == 0) {
        size_t i;
        const json_t *item;
        json_array_foreach(json_object_get(step, "pretokenizers"), i, item) OL_TRY(emit(n, item));
        return OLV_OK;
    }
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (strcmp(type, kinds[i].type) == 0)
            return kinds[i].emit(n, step) == OLV_OK ? OLV_OK : ol_error_at(n->err, "pre-tokenizer %s", type);
    return ol_fail(n->err, OLV_UNSUPPORTED, "pre-tokenizer %s has no form in OpenVINO's tokenizer models", type);
}

olv_status ol_ti_pretokenize(ol_ti_net *n) {
    return n->doc->pretokenizer ? emit(n, n->doc->pretokenizer) : OLV_OK;
}
