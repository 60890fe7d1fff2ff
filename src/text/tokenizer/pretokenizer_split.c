/* SPDX-License-Identifier: Apache-2.0 */
/* Pre-tokenizers that cut at a pattern or at a class of characters: Split, Digits, Punctuation,
 * Whitespace, WhitespaceSplit, BertPreTokenizer, CharDelimiterSplit, FixedLength. */
#include "text/tokenizer/state.h"
#include "text/tokenizer/unicode.h"
#include "text/tokenizer/unicode_older.h"

typedef struct split {
    ol_tk_regex *re;
    ol_tk_behavior behavior;
    bool invert;
} split;

static olv_status split_create(ol_arena *a, const json_t *cfg, void **state, olv_error *err) {
    split *s = ol_arena_alloc(a, sizeof *s);
    if (!s) return ol_fail(err, OLV_NOMEM, "out of memory");
    *state = s;
    OL_TRY(ol_tk_cfg_behavior(cfg, OL_TK_ISOLATED, true, &s->behavior, err));
    OL_TRY(ol_tk_cfg_bool(cfg, "invert", 0, &s->invert, err));
    return ol_tk_cfg_pattern(cfg, "pattern", &s->re, err);
}
static void split_destroy(void *state) {
    ol_tk_regex_destroy(((split *)state)->re);
}
static olv_status split_piece(ol_tk_work *w, ol_tk_piece *p, const void *ctx, olv_error *err) {
    const split *s = ctx;
    return ol_tk_cut_regex(w, p, s->re, s->behavior, s->invert, err);
}
static olv_status split_apply(const void *state, ol_tk_work *w, olv_error *err) {
    return ol_tk_each(w, split_piece, state, err);
}
const ol_tk_pretokenizer_kind ol_tk_pretokenizer_split = {"Split", split_create, split_destroy,
                                                          split_apply};

olv_status ol_tk_add_split(olv_tokenizer *t, ol_tk_regex *re, olv_error *err) {
    split *s = ol_arena_alloc(t->arena, sizeof *s);
    if (!s) return ol_fail(err, OLV_NOMEM, "out of memory");
    if (t->pretokenizers.count == OL_TK_MAX_STEPS)
        return ol_fail(err, OLV_LIMIT, "too many pre-tokenizers");
    *s = (split){re, OL_TK_REMOVED,
                 true}; /* what no alternative matches is left out, as tiktoken does */
    t->pretokenizers.items[t->pretokenizers.count++] = (ol_tk_step){&ol_tk_pretokenizer_split, s};
    return OLV_OK;
}

static olv_status digits_create(ol_arena *a, const json_t *cfg, void **state, olv_error *err) {
    bool *individual = ol_arena_alloc(a, sizeof *individual);
    if (!individual) return ol_fail(err, OLV_NOMEM, "out of memory");
    *state = individual;
    return ol_tk_cfg_bool(cfg, "individual_digits", -1, individual, err);
}
static olv_status digits_piece(ol_tk_work *w, ol_tk_piece *p, const void *ctx, olv_error *err) {
    (void)err;
    ol_tk_cut_chars(w, p, ol_uc_numeric, *(const bool *)ctx ? OL_TK_ISOLATED : OL_TK_CONTIGUOUS);
    return OLV_OK;
}
static olv_status digits_apply(const void *state, ol_tk_work *w, olv_error *err) {
    return ol_tk_each(w, digits_piece, state, err);
}
const ol_tk_pretokenizer_kind ol_tk_pretokenizer_digits = {"Digits", digits_create, NULL,
                                                           digits_apply};

static olv_status punctuation_create(ol_arena *a, const json_t *cfg, void **state, olv_error *err) {
    ol_tk_behavior *b = ol_arena_alloc(a, sizeof *b);
    if (!b) return ol_fail(err, OLV_NOMEM, "out of memory");
    *state = b;
    return ol_tk_cfg_behavior(cfg, OL_TK_ISOLATED, false, b, err);
}
static olv_status punctuation_piece(ol_tk_work *w, ol_tk_piece *p, const void *ctx,
                                    olv_error *err) {
    (void)err;
    ol_tk_cut_chars(w, p, ol_uc_old_punctuation, *(const ol_tk_behavior *)ctx);
    return OLV_OK;
}
static olv_status punctuation_apply(const void *state, ol_tk_work *w, olv_error *err) {
    return ol_tk_each(w, punctuation_piece, state, err);
}
const ol_tk_pretokenizer_kind ol_tk_pretokenizer_punctuation = {"Punctuation", punctuation_create,
                                                                NULL, punctuation_apply};

static olv_status nothing_create(ol_arena *a, const json_t *cfg, void **state, olv_error *err) {
    (void)a, (void)cfg, (void)state, (void)err;
    return OLV_OK;
}

/* Runs of word characters, and runs of what is neither word nor space; white space goes. */
static olv_status whitespace_piece(ol_tk_work *w, ol_tk_piece *p, const void *ctx, olv_error *err) {
    (void)ctx, (void)err;
    uint32_t start = 0, n;
    int was = 0; /* 0 space, 1 word, 2 other */
    for (uint32_t i = 0; i < p->len; i += n) {
        int32_t cp = ol_tk_char(p->text + i, p->len - i, &n);
        int is = ol_uc_word(cp) ? 1 : ol_uc_space(cp) ? 0 : 2;
        if (is == was) continue;
        if (was) ol_tk_push_slice(w, p, start, i);
        start = i;
        was = is;
    }
    if (was) ol_tk_push_slice(w, p, start, p->len);
    return OLV_OK;
}
static olv_status whitespace_apply(const void *state, ol_tk_work *w, olv_error *err) {
    return ol_tk_each(w, whitespace_piece, state, err);
}
const ol_tk_pretokenizer_kind ol_tk_pretokenizer_whitespace = {"Whitespace", nothing_create, NULL,
                                                               whitespace_apply};

static olv_status whitespace_split_piece(ol_tk_work *w, ol_tk_piece *p, const void *ctx,
                                         olv_error *err) {
    (void)ctx, (void)err;
    ol_tk_cut_chars(w, p, ol_uc_space, OL_TK_REMOVED);
    return OLV_OK;
}
static olv_status whitespace_split_apply(const void *state, ol_tk_work *w, olv_error *err) {
    return ol_tk_each(w, whitespace_split_piece, state, err);
}
const ol_tk_pretokenizer_kind ol_tk_pretokenizer_whitespace_split = {
    "WhitespaceSplit", nothing_create, NULL, whitespace_split_apply};

static olv_status bert_piece(ol_tk_work *w, ol_tk_piece *p, const void *ctx, olv_error *err) {
    (void)ctx, (void)err;
    ol_tk_cut_chars(w, p, ol_uc_old_punctuation, OL_TK_ISOLATED);
    return OLV_OK;
}
static olv_status bert_apply(const void *state, ol_tk_work *w, olv_error *err) {
    OL_TRY(ol_tk_each(w, whitespace_split_piece, state, err));
    return ol_tk_each(w, bert_piece, state, err);
}
const ol_tk_pretokenizer_kind ol_tk_pretokenizer_bert = {"BertPreTokenizer", nothing_create, NULL,
                                                         bert_apply};

static olv_status delimiter_create(ol_arena *a, const json_t *cfg, void **state, olv_error *err) {
    split *s = ol_arena_alloc(a, sizeof *s);
    if (!s) return ol_fail(err, OLV_NOMEM, "out of memory");
    *state = s;
    ol_str d;
    OL_TRY(ol_tk_cfg_string(cfg, "delimiter", NULL, &d, err));
    if (ol_utf8_count(d.ptr, d.len) != 1)
        return ol_fail(err, OLV_FORMAT, "\"delimiter\" is not one character");
    s->behavior = OL_TK_REMOVED;
    return ol_tk_regex_create_literal(d, &s->re, err);
}
const ol_tk_pretokenizer_kind ol_tk_pretokenizer_delimiter = {
    "CharDelimiterSplit", delimiter_create, split_destroy, split_apply};

static olv_status fixed_create(ol_arena *a, const json_t *cfg, void **state, olv_error *err) {
    int64_t *n = ol_arena_alloc(a, sizeof *n);
    if (!n) return ol_fail(err, OLV_NOMEM, "out of memory");
    *state = n;
    return ol_json_int(cfg, "length", 1, INT64_MAX, 5, n, err);
}
static olv_status fixed_piece(ol_tk_work *w, ol_tk_piece *p, const void *ctx, olv_error *err) {
    (void)err;
    int64_t most = *(const int64_t *)ctx, have = 0;
    uint32_t start = 0;
    for (uint32_t i = 0, n; i < p->len; i += n) {
        ol_tk_char(p->text + i, p->len - i, &n);
        if (have == most) {
            ol_tk_push_slice(w, p, start, i);
            start = i;
            have = 0;
        }
        have++;
    }
    ol_tk_push_slice(w, p, start, p->len);
    return OLV_OK;
}
static olv_status fixed_apply(const void *state, ol_tk_work *w, olv_error *err) {
    return ol_tk_each(w, fixed_piece, state, err);
}
const ol_tk_pretokenizer_kind ol_tk_pretokenizer_fixed_length = {"FixedLength", fixed_create, NULL,
                                                                 fixed_apply};
