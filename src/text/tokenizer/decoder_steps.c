/* SPDX-License-Identifier: Apache-2.0 */
/* Decoders that work on each token by itself or on a few neighbours: Metaspace, WordPiece, Fuse,
 * Strip, Replace, CTC, BPEDecoder. */
#include "text/tokenizer/metaspace.h"
#include "text/tokenizer/state.h"

static olv_status nomem(olv_error *err) {
    return ol_fail(err, OLV_NOMEM, "out of memory");
}

static olv_status nothing_create(ol_arena *a, const json_t *cfg, void **state, olv_error *err) {
    (void)a, (void)cfg, (void)state, (void)err;
    return OLV_OK;
}

/* Moves the content of b into the arena. */
static bool keep(ol_tk_texts *t, ol_buf *b, ol_str *out) {
    char *p = b->failed ? NULL : ol_arena_strndup(t->arena, b->data ? b->data : "", b->len);
    *out = (ol_str){p, b->len};
    return p != NULL;
}

static void replace_all(ol_buf *out, ol_str s, ol_str from, ol_str to) {
    size_t i = 0;
    while (from.len && i < s.len) {
        const char *hit = memmem(s.ptr + i, s.len - i, from.ptr, from.len);
        if (!hit) break;
        ol_buf_append(out, s.ptr + i, (size_t)(hit - s.ptr) - i);
        ol_buf_append(out, to.ptr, to.len);
        i = (size_t)(hit - s.ptr) + from.len;
    }
    if (from.len == 0) { /* before every character and at the end, as Rust's replace */
        for (uint32_t n; i < s.len; i += n) {
            ol_tk_char(s.ptr + i, s.len - i, &n);
            ol_buf_append(out, to.ptr, to.len);
            ol_buf_append(out, s.ptr + i, n);
        }
        ol_buf_append(out, to.ptr, to.len);
        return;
    }
    ol_buf_append(out, s.ptr + i, s.len - i);
}

static olv_status metaspace_apply(const void *state, ol_tk_texts *t, olv_error *err) {
    const ol_tk_metaspace *m = state;
    ol_str from = {m->text, m->len};
    ol_buf b = OL_BUF_INIT;
    bool ok = true;
    for (size_t i = 0; i < t->count && ok; i++) {
        ol_buf_clear(&b);
        bool drop = i == 0 && m->scheme != OL_TK_NEVER;
        replace_all(&b, t->items[i], from, drop ? (ol_str){"", 0} : (ol_str){" ", 1});
        ok = keep(t, &b, &t->items[i]);
    }
    ol_buf_deinit(&b);
    return ok ? OLV_OK : nomem(err);
}
const ol_tk_decoder_kind ol_tk_decoder_metaspace = {"Metaspace", ol_tk_metaspace_create, NULL,
                                                    metaspace_apply};

/* English clean-up: spaces before punctuation and contractions go. */
static bool clean_up(ol_buf *b, ol_buf *scratch) {
    static const char *const rules[][2] = {
        {" .", "."},   {" ?", "?"},     {" !", "!"},     {" ,", ","},
        {" ' ", "'"},  {" n't", "n't"}, {" 'm", "'m"},   {" do not", " don't"},
        {" 's", "'s"}, {" 've", "'ve"}, {" 're", "'re"},
    };
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++) {
        if (!b->len || !memmem(b->data, b->len, rules[i][0], strlen(rules[i][0]))) continue;
        ol_buf_clear(scratch);
        replace_all(scratch, (ol_str){b->data, b->len}, ol_str_of(rules[i][0]),
                    ol_str_of(rules[i][1]));
        ol_buf swap = *b;
        *b = *scratch;
        *scratch = swap;
    }
    return !b->failed && !scratch->failed;
}

typedef struct wordpiece {
    ol_str prefix;
    bool cleanup;
} wordpiece;

static olv_status copy_string(ol_arena *a, const json_t *cfg, const char *key, const char *def,
                              ol_str *out, olv_error *err) {
    ol_str s;
    OL_TRY(ol_tk_cfg_string(cfg, key, def, &s, err));
    *out = (ol_str){ol_arena_strndup(a, s.ptr, s.len), s.len};
    return out->ptr ? OLV_OK : nomem(err);
}

static olv_status wordpiece_create(ol_arena *a, const json_t *cfg, void **state, olv_error *err) {
    wordpiece *w = ol_arena_alloc(a, sizeof *w);
    if (!w) return nomem(err);
    *state = w;
    OL_TRY(copy_string(a, cfg, "prefix", NULL, &w->prefix, err));
    return ol_tk_cfg_bool(cfg, "cleanup", -1, &w->cleanup, err);
}
static olv_status wordpiece_apply(const void *state, ol_tk_texts *t, olv_error *err) {
    const wordpiece *w = state;
    ol_buf b = OL_BUF_INIT, scratch = OL_BUF_INIT;
    bool ok = true;
    for (size_t i = 0; i < t->count && ok; i++) {
        ol_str s = t->items[i];
        ol_buf_clear(&b);
        if (i > 0) {
            if (s.len >= w->prefix.len && memcmp(s.ptr, w->prefix.ptr, w->prefix.len) == 0)
                s = (ol_str){s.ptr + w->prefix.len, s.len - w->prefix.len};
            else
                ol_buf_putc(&b, ' ');
        }
        ol_buf_append(&b, s.ptr, s.len);
        ok = !w->cleanup || clean_up(&b, &scratch);
        ok = ok && keep(t, &b, &t->items[i]);
    }
    ol_buf_deinit(&b);
    ol_buf_deinit(&scratch);
    return ok ? OLV_OK : nomem(err);
}
const ol_tk_decoder_kind ol_tk_decoder_wordpiece = {"WordPiece", wordpiece_create, NULL,
                                                    wordpiece_apply};

static olv_status fuse_apply(const void *state, ol_tk_texts *t, olv_error *err) {
    (void)state;
    size_t n = 0;
    for (size_t i = 0; i < t->count; i++) n += t->items[i].len;
    char *p = ol_arena_alloc(t->arena, n + 1);
    ol_str *one = ol_arena_alloc(t->arena, sizeof *one);
    if (!p || !one) return nomem(err);
    *one = (ol_str){p, n};
    for (size_t i = 0; i < t->count; p += t->items[i++].len)
        if (t->items[i].len) memcpy(p, t->items[i].ptr, t->items[i].len);
    t->items = one;
    t->count = 1;
    return OLV_OK;
}
const ol_tk_decoder_kind ol_tk_decoder_fuse = {"Fuse", nothing_create, NULL, fuse_apply};

typedef struct strip {
    ol_str content;
    int64_t start, stop;
} strip;

static olv_status strip_create(ol_arena *a, const json_t *cfg, void **state, olv_error *err) {
    strip *s = ol_arena_alloc(a, sizeof *s);
    if (!s) return nomem(err);
    *state = s;
    OL_TRY(copy_string(a, cfg, "content", NULL, &s->content, err));
    if (ol_utf8_count(s->content.ptr, s->content.len) != 1)
        return ol_fail(err, OLV_FORMAT, "\"content\" is not one character");
    OL_TRY(ol_json_int(cfg, "start", 0, INT64_MAX, 0, &s->start, err));
    return ol_json_int(cfg, "stop", 0, INT64_MAX, 0, &s->stop, err);
}
static olv_status strip_apply(const void *state, ol_tk_texts *t, olv_error *err) {
    const strip *s = state;
    (void)err;
    size_t n = s->content.len;
    for (size_t i = 0; i < t->count; i++) {
        ol_str *x = &t->items[i];
        for (int64_t k = 0; k < s->start && x->len >= n && memcmp(x->ptr, s->content.ptr, n) == 0;
             k++) {
            x->ptr += n;
            x->len -= n;
        }
        for (int64_t k = 0;
             k < s->stop && x->len >= n && memcmp(x->ptr + x->len - n, s->content.ptr, n) == 0; k++)
            x->len -= n;
    }
    return OLV_OK;
}
const ol_tk_decoder_kind ol_tk_decoder_strip = {"Strip", strip_create, NULL, strip_apply};

typedef struct replace {
    ol_tk_regex *re;
    ol_str content;
} replace;

static olv_status replace_create(ol_arena *a, const json_t *cfg, void **state, olv_error *err) {
    replace *r = ol_arena_alloc(a, sizeof *r);
    if (!r) return nomem(err);
    *state = r;
    OL_TRY(copy_string(a, cfg, "content", NULL, &r->content, err));
    return ol_tk_cfg_pattern(cfg, "pattern", &r->re, err);
}
static void replace_destroy(void *state) {
    ol_tk_regex_destroy(((replace *)state)->re);
}
static olv_status replace_apply(const void *state, ol_tk_texts *t, olv_error *err) {
    const replace *r = state;
    ol_tk_work w;
    OL_TRY(ol_tk_work_init(&w, err));
    ol_buf b = OL_BUF_INIT;
    olv_status st = OLV_OK;
    for (size_t i = 0; i < t->count && st == OLV_OK; i++) {
        ol_str s = t->items[i];
        ol_tk_find f = ol_tk_find_in(r->re, s.ptr, (uint32_t)s.len);
        uint32_t start, end, done = 0;
        int rc;
        ol_buf_clear(&b);
        if (s.len == 0) continue;
        while ((rc = ol_tk_find_next(&w, &f, &start, &end, err)) == 1) {
            ol_buf_append(&b, s.ptr + done, start - done);
            ol_buf_append(&b, r->content.ptr, r->content.len);
            done = end;
        }
        if (rc < 0) st = err ? err->status : OLV_LIMIT;
        if (st == OLV_OK && done > 0) {
            ol_buf_append(&b, s.ptr + done, s.len - done);
            if (!keep(t, &b, &t->items[i])) st = nomem(err);
        }
    }
    ol_buf_deinit(&b);
    ol_tk_work_deinit(&w);
    return st;
}
const ol_tk_decoder_kind ol_tk_decoder_replace = {"Replace", replace_create, replace_destroy,
                                                  replace_apply};

typedef struct ctc {
    ol_str pad, delimiter;
    bool cleanup;
} ctc;

static olv_status ctc_create(ol_arena *a, const json_t *cfg, void **state, olv_error *err) {
    ctc *c = ol_arena_alloc(a, sizeof *c);
    if (!c) return nomem(err);
    *state = c;
    OL_TRY(copy_string(a, cfg, "pad_token", NULL, &c->pad, err));
    OL_TRY(copy_string(a, cfg, "word_delimiter_token", NULL, &c->delimiter, err));
    return ol_tk_cfg_bool(cfg, "cleanup", -1, &c->cleanup, err);
}
static olv_status ctc_apply(const void *state, ol_tk_texts *t, olv_error *err) {
    const ctc *c = state;
    ol_buf b = OL_BUF_INIT, scratch = OL_BUF_INIT;
    size_t n = 0;
    bool ok = true;
    ol_str last = {NULL, 0};
    for (size_t i = 0; i < t->count && ok; i++) {
        ol_str s = t->items[i];
        if (i > 0 && ol_str_eq(s, last)) continue;
        last = s;
        ol_buf_clear(&b);
        replace_all(&b, s, c->pad, (ol_str){"", 0});
        if (c->cleanup) {
            ok = clean_up(&b, &scratch);
            ol_buf_clear(&scratch);
            replace_all(&scratch, (ol_str){b.data ? b.data : "", b.len}, c->delimiter,
                        (ol_str){" ", 1});
            ol_buf swap = b;
            b = scratch;
            scratch = swap;
        }
        if (ok && (b.len || b.failed)) ok = keep(t, &b, &t->items[n++]);
    }
    t->count = n;
    ol_buf_deinit(&b);
    ol_buf_deinit(&scratch);
    return ok ? OLV_OK : nomem(err);
}
const ol_tk_decoder_kind ol_tk_decoder_ctc = {"CTC", ctc_create, NULL, ctc_apply};

static olv_status bpe_create(ol_arena *a, const json_t *cfg, void **state, olv_error *err) {
    ol_str *s = ol_arena_alloc(a, sizeof *s);
    if (!s) return nomem(err);
    *state = s;
    return copy_string(a, cfg, "suffix", NULL, s, err);
}
static olv_status bpe_apply(const void *state, ol_tk_texts *t, olv_error *err) {
    ol_buf b = OL_BUF_INIT;
    bool ok = true;
    for (size_t i = 0; i < t->count && ok; i++) {
        ol_buf_clear(&b);
        replace_all(&b, t->items[i], *(const ol_str *)state,
                    i + 1 == t->count ? (ol_str){"", 0} : (ol_str){" ", 1});
        ok = keep(t, &b, &t->items[i]);
    }
    ol_buf_deinit(&b);
    return ok ? OLV_OK : nomem(err);
}
const ol_tk_decoder_kind ol_tk_decoder_bpe = {"BPEDecoder", bpe_create, NULL, bpe_apply};
