/* SPDX-License-Identifier: Apache-2.0 */
/* tokenizer.json. The large parts (vocabulary, merges) go through the pull parser straight into
 * flat arrays; the small ones (steps, added tokens) are cut out as text and parsed as trees. */
#include "text/tokenizer/state.h"

#include "base/alloc.h"
#include "base/wire/json_pull.h"

#define MAX_ADDED 1000000u

typedef struct doc {
    olv_tokenizer *t;
    ol_jp p;
    const char *name;
    olv_error *err;
    json_t *normalizer, *pretokenizer, *postprocessor, *decoder, *added, *truncation, *padding;
    ol_tk_model_spec spec;
    char *type;
    size_t n_scores, cap_scores;
    bool seen_model, array_vocab;
} doc;

static ol_jp_event next(doc *d) {
    return ol_jp_next(&d->p);
}

/* What ol_jp_* reported, for a place where an event was not as expected. */
static olv_status unexpected(doc *d, ol_jp_event e, const char *what) {
    return e == OL_JP_ERROR ? OLV_FORMAT : ol_jp_fail(&d->p, "%s", what);
}

/* The value that follows a key as a tree. */
static olv_status take_tree(doc *d, json_t **out) {
    ol_jp_event e = next(d);
    const char *from = d->p.ptr - 1;
    if (e == OL_JP_NULL) return OLV_OK;
    if (e != OL_JP_OBJECT && e != OL_JP_ARRAY)
        return unexpected(d, e, "an object, an array or null is expected");
    if (!ol_jp_skip(&d->p, e)) return OLV_FORMAT;
    if (*out) return ol_jp_fail(&d->p, "a key comes twice");
    return ol_json_parse(from, (size_t)(d->p.ptr - from), d->name, out, d->err);
}

/* The string that follows a key, in the arena; NULL for null. */
static olv_status take_string(doc *d, const char **out) {
    ol_jp_event e = next(d);
    *out = NULL;
    if (e == OL_JP_NULL) return OLV_OK;
    if (e != OL_JP_STRING) return unexpected(d, e, "a string is expected");
    ol_buf b = OL_BUF_INIT;
    ol_jp_unescape(&d->p, &b);
    if (memchr(b.data ? b.data : "", 0, b.len)) {
        ol_buf_deinit(&b);
        return ol_jp_fail(&d->p, "a string holds a NUL");
    }
    *out = b.failed ? NULL : ol_arena_strndup(d->t->arena, b.data ? b.data : "", b.len);
    ol_buf_deinit(&b);
    return *out ? OLV_OK : ol_fail(d->err, OLV_NOMEM, "out of memory");
}

static olv_status take_bool(doc *d, bool *out) {
    ol_jp_event e = next(d);
    if (e != OL_JP_TRUE && e != OL_JP_FALSE && e != OL_JP_NULL)
        return unexpected(d, e, "true or false is expected");
    *out = e == OL_JP_TRUE;
    return OLV_OK;
}

/* Appends the last event's text to the vocabulary's blob. */
static void take_name(doc *d) {
    if (d->p.escaped)
        ol_jp_unescape(&d->p, &d->t->vocab.blob);
    else
        ol_buf_append(&d->t->vocab.blob, d->p.text.ptr, d->p.text.len);
}

static olv_status vocab_object(doc *d) {
    ol_jp_event e;
    while ((e = next(d)) == OL_JP_KEY) {
        uint64_t id;
        take_name(d);
        e = next(d);
        if (e != OL_JP_NUMBER || !ol_jp_u64(&d->p, &id) || id > UINT32_MAX)
            return unexpected(d, e, "vocab: a token id from 0 to 4294967295 is expected");
        if (!ol_tk_vocab_commit(&d->t->vocab, (uint32_t)id))
            return ol_tk_vocab_refused(&d->t->vocab, d->err);
    }
    return e == OL_JP_OBJECT_END ? OLV_OK : unexpected(d, e, "vocab: a token is expected");
}

static bool push_score(doc *d, double v) {
    if (d->n_scores == d->cap_scores) {
        size_t cap = d->cap_scores ? d->cap_scores * 2 : 1024;
        double *s = ol_realloc(d->spec.scores, cap * sizeof *s);
        if (!s) return false;
        d->spec.scores = s;
        d->cap_scores = cap;
    }
    d->spec.scores[d->n_scores++] = v;
    return true;
}

static olv_status vocab_array(doc *d) {
    ol_jp_event e;
    d->array_vocab = true;
    while ((e = next(d)) == OL_JP_ARRAY) {
        double score;
        if ((e = next(d)) != OL_JP_STRING)
            return unexpected(d, e, "vocab: [token, score] is expected");
        take_name(d);
        e = next(d);
        if (e != OL_JP_NUMBER || !ol_jp_f64(&d->p, &score))
            return unexpected(d, e, "vocab: [token, score] is expected");
        if (!push_score(d, score) || !ol_tk_vocab_commit(&d->t->vocab, d->t->vocab.count))
            return ol_tk_vocab_refused(&d->t->vocab, d->err);
        if ((e = next(d)) != OL_JP_ARRAY_END)
            return unexpected(d, e, "vocab: [token, score] is expected");
    }
    return e == OL_JP_ARRAY_END ? OLV_OK : unexpected(d, e, "vocab: [token, score] is expected");
}

static olv_status take_vocab(doc *d) {
    if (d->t->vocab.count) return ol_jp_fail(&d->p, "vocab comes twice");
    ol_jp_event e = next(d);
    if (e == OL_JP_OBJECT) return vocab_object(d);
    if (e == OL_JP_ARRAY) return vocab_array(d);
    return unexpected(d, e, "vocab: an object or an array is expected");
}

/* The closing quote of the string that begins at p, or end. */
static const char *string_end(const char *p, const char *end) {
    while ((p = ol_jp_plain_run(p, end)) < end && *p != '"')
        p += *p == '\\' && end - p > 1 ? 2 : 1;
    return p;
}

/* End of the array that begins behind p: its last bracket, or NULL. Only strings and brackets are
 * told apart; the text is parsed in full when the merges are loaded. */
static const char *array_end(const char *p, const char *end) {
    for (int depth = 0; p < end; p++) {
        if (*p == '"') {
            p = string_end(p + 1, end);
        } else if (*p == '[') {
            depth++;
        } else if (*p == ']' && depth-- == 0) {
            return p;
        }
    }
    return NULL;
}

static olv_status take_merges(doc *d) {
    ol_jp_event e = next(d);
    const char *from = d->p.ptr - 1, *close;
    if (e == OL_JP_NULL) return OLV_OK;
    if (e != OL_JP_ARRAY) return unexpected(d, e, "merges: an array is expected");
    close = array_end(d->p.ptr, d->p.end);
    if (!close) return ol_jp_fail(&d->p, "merges: no ] at the end");
    d->p.ptr = close; /* as if the array were empty */
    if ((e = next(d)) != OL_JP_ARRAY_END) return unexpected(d, e, "merges: ] is expected");
    d->spec.merges_json = (ol_str){from, (size_t)(close + 1 - from)};
    return OLV_OK;
}

static olv_status take_int(doc *d, int64_t none, int64_t *out) {
    ol_jp_event e = next(d);
    *out = none;
    if (e == OL_JP_NULL) return OLV_OK;
    if (e != OL_JP_NUMBER || !ol_jp_i64(&d->p, out) || *out < 0)
        return unexpected(d, e, "a count is expected");
    return OLV_OK;
}

static olv_status take_dropout(doc *d) {
    double v = 0;
    ol_jp_event e = next(d);
    if (e == OL_JP_NULL) return OLV_OK;
    if (e != OL_JP_NUMBER || !ol_jp_f64(&d->p, &v))
        return unexpected(d, e, "dropout: a number is expected");
    d->spec.has_dropout = v != 0;
    return OLV_OK;
}

static olv_status model_key(doc *d, ol_str key) {
    ol_tk_model_spec *s = &d->spec;
    if (ol_str_is(key, "type")) return take_string(d, (const char **)&d->type);
    if (ol_str_is(key, "vocab")) return take_vocab(d);
    if (ol_str_is(key, "merges")) return take_merges(d);
    if (ol_str_is(key, "unk_token")) return take_string(d, &s->unk_token);
    if (ol_str_is(key, "continuing_subword_prefix")) return take_string(d, &s->prefix);
    if (ol_str_is(key, "end_of_word_suffix")) return take_string(d, &s->suffix);
    if (ol_str_is(key, "unk_id")) return take_int(d, -1, &s->unk_id);
    if (ol_str_is(key, "max_input_chars_per_word")) return take_int(d, 100, &s->max_chars);
    if (ol_str_is(key, "fuse_unk")) return take_bool(d, &s->fuse_unk);
    if (ol_str_is(key, "byte_fallback")) return take_bool(d, &s->byte_fallback);
    if (ol_str_is(key, "ignore_merges")) return take_bool(d, &s->ignore_merges);
    if (ol_str_is(key, "dropout")) return take_dropout(d);
    return ol_jp_skip(&d->p, next(d)) ? OLV_OK : OLV_FORMAT;
}

static olv_status take_model(doc *d) {
    ol_jp_event e = next(d);
    if (e != OL_JP_OBJECT || d->seen_model)
        return unexpected(d, e, "model: one object is expected");
    d->seen_model = true;
    while ((e = next(d)) == OL_JP_KEY) {
        ol_str key = d->p.text;
        OL_TRY(model_key(d, key));
    }
    return e == OL_JP_OBJECT_END ? OLV_OK : unexpected(d, e, "model: a key is expected");
}

static olv_status top_key(doc *d, ol_str key) {
    if (ol_str_is(key, "model")) return take_model(d);
    if (ol_str_is(key, "normalizer")) return take_tree(d, &d->normalizer);
    if (ol_str_is(key, "pre_tokenizer")) return take_tree(d, &d->pretokenizer);
    if (ol_str_is(key, "post_processor")) return take_tree(d, &d->postprocessor);
    if (ol_str_is(key, "decoder")) return take_tree(d, &d->decoder);
    if (ol_str_is(key, "added_tokens")) return take_tree(d, &d->added);
    if (ol_str_is(key, "truncation")) return take_tree(d, &d->truncation);
    if (ol_str_is(key, "padding")) return take_tree(d, &d->padding);
    return ol_jp_skip(&d->p, next(d)) ? OLV_OK : OLV_FORMAT;
}

static olv_status parse(doc *d) {
    ol_jp_event e = next(d);
    if (e != OL_JP_OBJECT) return unexpected(d, e, "an object is expected");
    while ((e = next(d)) == OL_JP_KEY) {
        ol_str key = d->p.text;
        OL_TRY(top_key(d, key));
    }
    if (e != OL_JP_OBJECT_END) return unexpected(d, e, "a key is expected");
    if ((e = next(d)) != OL_JP_END) return unexpected(d, e, "nothing more is expected");
    if (!d->seen_model) return ol_fail(d->err, OLV_FORMAT, "no \"model\"");
    return OLV_OK;
}

static olv_status read_added(doc *d, const json_t *o, ol_tk_added *a) {
    ol_str s;
    OL_TRY(ol_tk_cfg_string(o, "content", NULL, &s, d->err));
    a->content = (ol_str){ol_arena_strndup(d->t->arena, s.ptr, s.len), s.len};
    if (!a->content.ptr) return ol_fail(d->err, OLV_NOMEM, "out of memory");
    OL_TRY(ol_tk_cfg_bool(o, "single_word", 0, &a->single_word, d->err));
    OL_TRY(ol_tk_cfg_bool(o, "lstrip", 0, &a->lstrip, d->err));
    OL_TRY(ol_tk_cfg_bool(o, "rstrip", 0, &a->rstrip, d->err));
    OL_TRY(ol_tk_cfg_bool(o, "special", 0, &a->special, d->err));
    return ol_tk_cfg_bool(o, "normalized", !a->special, &a->is_normalized, d->err);
}

static olv_status build_added(doc *d) {
    size_t n = json_array_size(d->added);
    if (d->added && !json_is_array(d->added))
        return ol_fail(d->err, OLV_FORMAT, "added_tokens: an array is expected");
    if (n > MAX_ADDED)
        return ol_fail(d->err, OLV_LIMIT, "added_tokens: %zu, at most %u are allowed", n,
                       MAX_ADDED);
    ol_tk_added *list = ol_calloc(n + 1, sizeof *list);
    if (!list) return ol_fail(d->err, OLV_NOMEM, "out of memory");
    olv_status st = OLV_OK;
    for (size_t i = 0; i < n && st == OLV_OK; i++) {
        st = read_added(d, json_array_get(d->added, i), &list[i]);
        if (st != OLV_OK) ol_error_at(d->err, "added_tokens[%zu]", i);
    }
    if (st == OLV_OK) st = ol_tk_added_build(d->t, list, n, d->err);
    ol_free(list);
    return st;
}

static olv_status choice(const json_t *o, const char *key, const char *def,
                         const char *const *names, int n, int *out, olv_error *err) {
    ol_str s;
    OL_TRY(ol_tk_cfg_string(o, key, def, &s, err));
    for (int i = 0; i < n; i++)
        if (ol_str_is(s, names[i])) {
            *out = i;
            return OLV_OK;
        }
    return ol_fail(err, OLV_FORMAT, "\"%s\" is \"%.*s\", which is none of its values", key,
                   (int)(s.len < 60 ? s.len : 60), s.ptr);
}

static olv_status read_truncation(doc *d) {
    static const char *const directions[] = {"Right", "Left"};
    static const char *const strategies[] = {"LongestFirst", "OnlyFirst", "OnlySecond"};
    ol_tk_truncation *tr = &d->t->truncation;
    int64_t max;
    int left;
    if (!d->truncation) return OLV_OK;
    OL_TRY(ol_json_int(d->truncation, "max_length", 0, INT64_MAX, 512, &max, d->err));
    OL_TRY(choice(d->truncation, "direction", "Right", directions, 2, &left, d->err));
    OL_TRY(choice(d->truncation, "strategy", "LongestFirst", strategies, 3, &tr->strategy, d->err));
    tr->on = true;
    tr->left = left == 1;
    tr->max_length = (size_t)max;
    return OLV_OK;
}

#define MAX_PADDED (1 << 24)

static olv_status read_padding(doc *d) {
    static const char *const directions[] = {"Right", "Left"};
    ol_tk_padding *pd = &d->t->padding;
    int64_t fixed, multiple, id, type_id;
    int left;
    if (!d->padding) return OLV_OK;
    const json_t *strategy = json_object_get(d->padding, "strategy");
    OL_TRY(ol_json_int(json_is_object(strategy) ? strategy : NULL, "Fixed", 0, MAX_PADDED, 0,
                       &fixed, d->err));
    OL_TRY(choice(d->padding, "direction", "Right", directions, 2, &left, d->err));
    OL_TRY(ol_json_int(d->padding, "pad_to_multiple_of", 0, MAX_PADDED, 0, &multiple, d->err));
    OL_TRY(ol_json_int(d->padding, "pad_id", 0, UINT32_MAX, 0, &id, d->err));
    OL_TRY(ol_json_int(d->padding, "pad_type_id", 0, UINT32_MAX, 0, &type_id, d->err));
    *pd = (ol_tk_padding){.on = true,
                          .left = left == 1,
                          .is_fixed = json_is_object(strategy),
                          .fixed = (size_t)fixed,
                          .multiple = (size_t)multiple,
                          .id = (uint32_t)id,
                          .type_id = (uint32_t)type_id};
    return OLV_OK;
}

/* Files of old have no model type: it shows in the other keys. */
static const char *model_type(const doc *d) {
    if (d->type) return d->type;
    if (d->array_vocab) return "Unigram";
    if (d->spec.merges_json.ptr) return "BPE";
    return d->spec.prefix ? "WordPiece" : "WordLevel";
}

static olv_status build(doc *d) {
    olv_tokenizer *t = d->t;
    OL_TRY(ol_tk_vocab_finish(&t->vocab, d->err));
    d->spec.type = model_type(d);
    d->spec.vocab = &t->vocab;
    d->spec.name = d->name;
    bool unigram = strcmp(d->spec.type, "Unigram") == 0;
    if (unigram != d->array_vocab && t->vocab.count)
        return ol_fail(d->err, OLV_FORMAT, "model %s with a vocabulary of the other form",
                       d->spec.type);
    OL_TRY(ol_tk_add_normalizers(t, d->normalizer, d->err));
    OL_TRY(ol_tk_add_pretokenizers(t, d->pretokenizer, d->err));
    OL_TRY(ol_tk_add_postprocessors(t, d->postprocessor, d->err));
    OL_TRY(ol_tk_add_decoders(t, d->decoder, d->err));
    if (ol_tk_create_model(t, &d->spec, d->err) != OLV_OK) return ol_error_at(d->err, "model");
    OL_TRY(build_added(d));
    OL_TRY(read_truncation(d));
    OL_TRY(read_padding(d));
    return ol_tk_finish(t, d->spec.type, d->err);
}

olv_status ol_tk_load_json(olv_tokenizer *t, const char *text, size_t len, const char *name,
                           olv_error *err) {
    olv_error local = {0};
    doc *d = ol_calloc(1, sizeof *d);
    if (!d) return ol_fail(err, OLV_NOMEM, "out of memory");
    d->t = t;
    d->name = name;
    d->err = err ? err : &local;
    d->spec.unk_id = -1;
    d->spec.max_chars = 100;
    ol_jp_init(&d->p, text, len, name, d->err);
    olv_status st = parse(d);
    if (st == OLV_OK) {
        st = build(d);
        if (st != OLV_OK) ol_error_at(d->err, "%s", name);
    }
    json_t *trees[] = {d->normalizer, d->pretokenizer, d->postprocessor, d->decoder,
                       d->added,      d->truncation,   d->padding};
    for (size_t i = 0; i < sizeof trees / sizeof *trees; i++) json_decref(trees[i]);
    ol_free(d->spec.scores);
    ol_free(d);
    return st;
}
