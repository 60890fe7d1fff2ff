/* SPDX-License-Identifier: Apache-2.0 */
/* Normalizers of tokenizer.json as operations on texts. */
#include "bundle/tokenizer_ir/net.h"

#include "base/base64.h"
#include "base/error.h"

typedef struct charsmap {
    const char *form; /* "nfc", "identity"; "" with rules of its own */
    bool case_fold;
    ol_ir_out rules; /* OL_IR_NONE: none */
} charsmap;

static olv_status map_chars(ol_ti_net *n, charsmap m) {
    ol_ir_out in[5] = {n->begins, n->ends, n->chars, n->skip, m.rules};
    ol_ir_attr a[] = {ol_ir_say_bool("add_dummy_prefix", false),   ol_ir_say_bool("remove_extra_whitespaces", false),
                      ol_ir_say_bool("escape_whitespaces", false), ol_ir_say_text("normalization_form", m.form),
                      ol_ir_say_bool("case_fold", m.case_fold),    ol_ir_say_bool("nmt", false)};
    ol_ti_take(n, ol_ti_layer(n, "CharsMapNormalization", in, m.rules.layer < 0 ? 4 : 5, a, 6, "iiub"));
    n->skip = ol_ir_nth(n->begins, 3);
    return OLV_OK;
}

static olv_status normal_form(ol_ti_net *n, const json_t *step) {
    static const char *const forms[][2] = {{"NFC", "nfc"}, {"NFD", "nfd"}, {"NFKC", "nfkc"}, {"NFKD", "nfkd"}};
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++)
        if (strcmp(ol_ti_text(step, "type", ""), forms[i][0]) == 0)
            return map_chars(n, (charsmap){forms[i][1], false, OL_IR_NONE});
    return ol_fail(n->err, OLV_INTERNAL, "no normal form of that name");
}

static olv_status lowercase(ol_ti_net *n, const json_t *step) {
    (void)step;
    return map_chars(n, (charsmap){"identity", true, OL_IR_NONE});
}

static olv_status strip_accents(ol_ti_net *n, const json_t *step) {
    (void)step;
    ol_ti_replace(n, "\\p{M}", "", true);
    return OLV_OK;
}

#define CJK "\\x{4E00}-\\x{9FFF}\\x{3400}-\\x{4DBF}\\x{20000}-\\x{2A6DF}\\x{2A700}-\\x{2CEAF}\\x{F900}-\\x{FAFF}\\x{2F800}-\\x{2FA1F}"

static olv_status bert(ol_ti_net *n, const json_t *step) {
    bool lower = ol_ti_flag(step, "lowercase", true);
    if (ol_ti_flag(step, "clean_text", true)) {
        ol_ti_replace(n, "\\x{FFFD}|(?![\\t\\n\\r])[\\p{Cc}\\p{Cf}\\p{Co}]", "", true);
        ol_ti_replace(n, OL_TI_SPACE, " ", true);
    }
    if (ol_ti_flag(step, "handle_chinese_chars", true)) ol_ti_replace(n, "([" CJK "])", " $1 ", true);
    if (ol_ti_flag(step, "strip_accents", lower)) {
        map_chars(n, (charsmap){"nfd", false, OL_IR_NONE});
        ol_ti_replace(n, "\\p{Mn}", "", true);
    }
    return lower ? lowercase(n, step) : OLV_OK;
}

static olv_status replace(ol_ti_net *n, const json_t *step) {
    const json_t *p = json_object_get(step, "pattern");
    const char *regex = ol_ti_text(p, "Regex", NULL), *text = ol_ti_text(p, "String", json_string_value(p));
    ol_buf with = OL_BUF_INIT, quoted = OL_BUF_INIT;
    if (!regex && !text) return ol_fail(n->err, OLV_FORMAT, "no \"pattern\"");
    ol_ti_quote_replacement(&with, ol_str_of(ol_ti_text(step, "content", "")));
    if (!regex) ol_ti_quote(&quoted, ol_str_of(text));
    const char *w = ol_ti_keep(n, &with), *q = ol_ti_keep(n, &quoted);
    if (!w || !q) return OLV_NOMEM;
    ol_ti_replace(n, regex ? regex : q, w, true);
    return OLV_OK;
}

static olv_status prepend(ol_ti_net *n, const json_t *step) {
    ol_buf b = OL_BUF_INIT;
    ol_ti_quote_replacement(&b, ol_str_of(ol_ti_text(step, "prepend", "")));
    ol_buf_puts(&b, "$1");
    const char *s = ol_ti_keep(n, &b);
    if (!s) return OLV_NOMEM;
    ol_ti_replace(n, "\\A([\\s\\S])", s, false);
    return OLV_OK;
}

static olv_status strip(ol_ti_net *n, const json_t *step) {
    if (ol_ti_flag(step, "strip_left", true)) ol_ti_replace(n, "\\A" OL_TI_SPACE "+", "", false);
    if (ol_ti_flag(step, "strip_right", true)) ol_ti_replace(n, OL_TI_SPACE "+\\z", "", false);
    return OLV_OK;
}

/* Control characters go, white space of all kinds becomes a space: the rules of the first neural translation systems. */
static olv_status nmt(ol_ti_net *n, const json_t *step) {
    (void)step;
    ol_ti_replace(n, "[\\x{01}-\\x{08}\\x{0B}\\x{0E}-\\x{1F}\\x{7F}\\x{8F}\\x{9F}]", "", true);
    ol_ti_replace(n, "[\\x{09}\\x{0A}\\x{0C}\\x{0D}\\x{1680}\\x{200B}-\\x{200F}\\x{2028}\\x{2029}\\x{2581}\\x{FEFF}\\x{FFFD}]",
                  " ", true);
    return OLV_OK;
}

/* SentencePiece's compiled rules, base64 in the file. */
static olv_status precompiled(ol_ti_net *n, const json_t *step) {
    const char *s = ol_ti_text(step, "precompiled_charsmap", "");
    ol_buf b = OL_BUF_INIT;
    size_t at;
    if (!*s) return OLV_OK;
    if (!ol_base64_decode(ol_str_of(s), &b, &at)) {
        ol_buf_deinit(&b);
        return ol_fail(n->err, OLV_FORMAT, "\"precompiled_charsmap\": no base64 at character %zu", at);
    }
    ol_ir_out rules = ol_ti_bytes(n, b.data, b.len);
    ol_buf_deinit(&b);
    return map_chars(n, (charsmap){"", false, rules});
}

/* Byte-level text is left to the model. */
static olv_status nothing(ol_ti_net *n, const json_t *step) {
    (void)n;
    (void)step;
    return OLV_OK;
}

static const struct {
    const char *type;
    olv_status (*emit)(ol_ti_net *n, const json_t *step);
} kinds[] = {
    {"NFC", normal_form},      {"NFD", normal_form},        {"NFKC", normal_form}, {"NFKD", normal_form},
    {"Lowercase", lowercase},  {"BertNormalizer", bert},    {"Replace", replace},  {"StripAccents", strip_accents},
    {"Prepend", prepend},      {"Strip", strip},            {"Nmt", nmt},          {"Precompiled", precompiled},
    {"ByteLevel", nothing},
};

static olv_status emit(ol_ti_net *n, const json_t *step) {
    const char *type = ol_ti_text(step, "type", "");
    if (strcmp(type, "Sequence") == 0) {
        size_t i;
        const json_t *item;
        json_array_foreach(json_object_get(step, "normalizers"), i, item) OL_TRY(emit(n, item));
        return OLV_OK;
    }
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (strcmp(type, kinds[i].type) == 0)
            return kinds[i].emit(n, step) == OLV_OK ? OLV_OK : ol_error_at(n->err, "normalizer %s", type);
    return ol_fail(n->err, OLV_UNSUPPORTED, "normalizer %s has no form in OpenVINO's tokenizer models", type);
}

olv_status ol_ti_normalize(ol_ti_net *n) {
    return n->doc->normalizer ? emit(n, n->doc->normalizer) : OLV_OK;
}
