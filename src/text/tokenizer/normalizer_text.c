/* SPDX-License-Identifier: Apache-2.0 */
/* Normalizers with settings: Strip, Prepend, Replace, BertNormalizer. */
#include "text/tokenizer/normal_form.h"
#include "text/tokenizer/rewrite.h"
#include "text/tokenizer/unicode.h"
#include "text/tokenizer/unicode_older.h"

static olv_status nomem(olv_error *err) {
    return ol_fail(err, OLV_NOMEM, "out of memory");
}

typedef struct strip {
    bool left, right;
} strip;

static olv_status strip_create(ol_arena *a, const json_t *cfg, void **state, olv_error *err) {
    strip *s = ol_arena_alloc(a, sizeof *s);
    if (!s) return nomem(err);
    *state = s;
    OL_TRY(ol_tk_cfg_bool(cfg, "strip_left", -1, &s->left, err));
    return ol_tk_cfg_bool(cfg, "strip_right", -1, &s->right, err);
}
static olv_status strip_apply(const void *state, ol_tk_work *w, ol_tk_piece *p, olv_error *err) {
    const strip *s = state;
    uint32_t from = 0, to = p->len, n;
    while (s->left && from < to && ol_uc_space(ol_tk_char(p->text + from, to - from, &n)))
        from += n;
    while (s->right && to > from && ol_uc_space(ol_tk_last_char(p->text, to, &n))) to -= n;
    if (from == 0 && to == p->len) return OLV_OK;
    /* The piece still begins where it began: that is what a rewrite keeps and a slice would not. */
    ol_tk_xf x;
    ol_tk_xf_begin(&x, w, p, 0);
    ol_tk_xf_copy(&x, from, to);
    return ol_tk_xf_end(&x, p) ? OLV_OK : nomem(err);
}
const ol_tk_normalizer_kind ol_tk_normalizer_strip = {"Strip", strip_create, NULL, strip_apply};

static olv_status prepend_create(ol_arena *a, const json_t *cfg, void **state, olv_error *err) {
    ol_str *s = ol_arena_alloc(a, sizeof *s), text;
    if (!s) return nomem(err);
    *state = s;
    OL_TRY(ol_tk_cfg_string(cfg, "prepend", NULL, &text, err));
    *s = (ol_str){ol_arena_strndup(a, text.ptr, text.len), text.len};
    return s->ptr ? OLV_OK : nomem(err);
}
static olv_status prepend_apply(const void *state, ol_tk_work *w, ol_tk_piece *p, olv_error *err) {
    return ol_tk_prepend(w, p, *(const ol_str *)state) ? OLV_OK : nomem(err);
}
const ol_tk_normalizer_kind ol_tk_normalizer_prepend = {"Prepend", prepend_create, NULL,
                                                        prepend_apply};

typedef struct replace {
    ol_tk_regex *re;
    ol_str content;
} replace;

static olv_status replace_create(ol_arena *a, const json_t *cfg, void **state, olv_error *err) {
    replace *r = ol_arena_alloc(a, sizeof *r);
    ol_str text;
    if (!r) return nomem(err);
    *state = r;
    OL_TRY(ol_tk_cfg_string(cfg, "content", NULL, &text, err));
    r->content = (ol_str){ol_arena_strndup(a, text.ptr, text.len), text.len};
    if (!r->content.ptr) return nomem(err);
    return ol_tk_cfg_pattern(cfg, "pattern", &r->re, err);
}
static void replace_destroy(void *state) {
    ol_tk_regex_destroy(((replace *)state)->re);
}
/* The content takes the span of the last byte that it replaces. */
static olv_status replace_apply(const void *state, ol_tk_work *w, ol_tk_piece *p, olv_error *err) {
    const replace *r = state;
    if (p->len == 0) return OLV_OK;
    ol_tk_find f = ol_tk_find_in(r->re, p->text, p->len);
    ol_tk_xf x;
    ol_tk_xf_begin(&x, w, p, 0);
    uint32_t done = 0, start, end;
    bool any = false;
    int rc;
    while ((rc = ol_tk_find_next(w, &f, &start, &end, err)) == 1) {
        any = true;
        ol_tk_xf_copy(&x, done, start);
        ol_tk_span span = end ? ol_tk_piece_span(p, end - 1) : (ol_tk_span){p->origin, p->origin};
        ol_tk_xf_bytes(&x, r->content.ptr, r->content.len, span);
        done = end;
        if (w->nomem) return nomem(err);
    }
    if (rc < 0) return err ? err->status : OLV_LIMIT;
    if (!any) return OLV_OK;
    ol_tk_xf_copy(&x, done, p->len);
    return ol_tk_xf_end(&x, p) ? OLV_OK : nomem(err);
}
const ol_tk_normalizer_kind ol_tk_normalizer_replace = {"Replace", replace_create, replace_destroy,
                                                        replace_apply};

typedef struct bert {
    bool clean, chinese, accents, lower;
} bert;

static olv_status bert_create(ol_arena *a, const json_t *cfg, void **state, olv_error *err) {
    bert *b = ol_arena_alloc(a, sizeof *b);
    if (!b) return nomem(err);
    *state = b;
    OL_TRY(ol_tk_cfg_bool(cfg, "clean_text", 1, &b->clean, err));
    OL_TRY(ol_tk_cfg_bool(cfg, "handle_chinese_chars", 1, &b->chinese, err));
    OL_TRY(ol_tk_cfg_bool(cfg, "lowercase", 1, &b->lower, err));
    return ol_tk_cfg_bool(cfg, "strip_accents", b->lower, &b->accents, err);
}

static bool unclean(int32_t cp) {
    if (cp == '\t' || cp == '\n' || cp == '\r') return false;
    return cp == 0 || cp == 0xFFFD || ol_uc_old_other(cp);
}
static int32_t plain_space(int32_t cp) {
    return ol_uc_space(cp) ? ' ' : cp;
}

static bool is_chinese(int32_t cp) {
    return (cp >= 0x4E00 && cp <= 0x9FFF) || (cp >= 0x3400 && cp <= 0x4DBF) ||
           (cp >= 0x20000 && cp <= 0x2A6DF) || (cp >= 0x2A700 && cp <= 0x2B73F) ||
           (cp >= 0x2B740 && cp <= 0x2B81F) || (cp >= 0x2B920 && cp <= 0x2CEAF) ||
           (cp >= 0xF900 && cp <= 0xFAFF) || (cp >= 0x2F800 && cp <= 0x2FA1F);
}

/* A space on both sides of every ideograph. */
static bool space_chinese(ol_tk_work *w, ol_tk_piece *p) {
    ol_tk_xf x;
    ol_tk_xf_begin(&x, w, p, 0);
    for (uint32_t i = 0, n; i < p->len; i += n) {
        int32_t cp = ol_tk_char(p->text + i, p->len - i, &n);
        bool chinese = is_chinese(cp);
        if (chinese) ol_tk_xf_put(&x, ' ', 0);
        ol_tk_xf_put(&x, cp, chinese ? 1 : 0);
        if (chinese) ol_tk_xf_put(&x, ' ', 1);
    }
    return ol_tk_xf_end(&x, p);
}

static olv_status bert_apply(const void *state, ol_tk_work *w, ol_tk_piece *p, olv_error *err) {
    const bert *b = state;
    if (b->clean && !ol_tk_filter(w, p, unclean, plain_space)) return nomem(err);
    if (b->chinese && !space_chinese(w, p)) return nomem(err);
    if (b->accents &&
        (!ol_tk_normal_form(w, p, false, false) || !ol_tk_filter(w, p, ol_uc_old_nonspacing, NULL)))
        return nomem(err);
    if (b->lower && !ol_tk_lowercase(w, p)) return nomem(err);
    return OLV_OK;
}
const ol_tk_normalizer_kind ol_tk_normalizer_bert = {"BertNormalizer", bert_create, NULL,
                                                     bert_apply};
