/* SPDX-License-Identifier: Apache-2.0 */
/* The model of a tokenizer.json: pieces of texts -> ids. */
#include "bundle/tokenizer_ir/net.h"

#include "base/alloc.h"
#include "base/error.h"
#include "base/map.h"

#include <stdio.h>

static olv_status no_memory(ol_ti_net *n) {
    return ol_fail(n->err, OLV_NOMEM, "out of memory");
}

/* Pieces, followed by the vocabulary at in[5..7]. */
static void pieces(ol_ti_net *n, const ol_ti_names *vocab, ol_ir_out *in) {
    ol_ir_out p[] = {n->rows[0], n->rows[1], n->begins, n->ends, n->chars};
    memcpy(in, p, sizeof p);
    ol_ti_list(n, vocab, in + 5);
}

static void take_ids(ol_ir_out first, ol_ir_out out[3]) {
    for (int i = 0; i < 3; i++) out[i] = ol_ir_nth(first, i);
}

/* ---- BPE ----
 *
 * The operation begins with the longest names of its vocabulary that no merge makes, where Hugging Face begins with single
 * characters (or bytes). So names of several characters that no merge makes are left out of this vocabulary: they come
 * from whole pieces only (with ignore_merges), which is what the operation's list of added tokens is for. */

typedef struct bpe {
    ol_map made;           /* names that merges make */
    ol_buf text;           /* their bytes */
    ol_ti_names vocab;     /* with the others left out */
    ol_ti_names whole;     /* names of whole pieces, and their ids */
    ol_buf whole_ids;
} bpe;

static bool is_added(const ol_ti_document *d, ol_str name) {
    for (size_t i = 0; i < d->n_added; i++)
        if (ol_str_eq(d->added[i].content, name)) return true;
    return false;
}

static bool index_merges(const ol_ti_document *d, bpe *b) {
    size_t n = d->left.count, total = d->left.text.len + d->right.text.len;
    ol_map_init(&b->made);
    if (!ol_buf_reserve(&b->text, total + 1) || !ol_map_reserve(&b->made, n)) return false;
    for (size_t i = 0; i < n; i++) {
        ol_str l = ol_ti_names_at(&d->left, i), r = ol_ti_names_at(&d->right, i);
        size_t at = b->text.len;
        ol_buf_append(&b->text, l.ptr, l.len);
        ol_buf_append(&b->text, r.ptr, r.len);
        if (ol_map_put(&b->made, (ol_str){b->text.data + at, l.len + r.len}, i) < 0) return false;
    }
    return true;
}

static bool byte_name(ol_str s) {
    return s.len == 6 && memcmp(s.ptr, "<0x", 3) == 0 && s.ptr[5] == '>';
}

/* Whether a word can begin with this name as it stands. */
static bool is_symbol(const ol_ti_net *n, ol_str s, ol_str suffix) {
    if (suffix.len && s.len > suffix.len && memcmp(s.ptr + s.len - suffix.len, suffix.ptr, suffix.len) == 0)
        s.len -= suffix.len;
    if (ol_ti_flag(n->doc->model, "byte_fallback", false) && byte_name(s)) return true;
    if (n->doc->byte_level) return s.len == 1;
    return s.len > 0 && ol_utf8_count(s.ptr, s.len) == 1;
}

static void put_whole(bpe *b, ol_str name, int64_t id) {
    int32_t v = (int32_t)id;
    ol_ti_names_add(&b->whole, name.ptr, name.len);
    ol_buf_append(&b->whole_ids, &v, sizeof v);
}

static olv_status divide(ol_ti_net *n, bpe *b) {
    const ol_ti_document *d = n->doc;
    ol_str suffix = ol_str_of(ol_ti_text(d->model, "end_of_word_suffix", ""));
    const char *unk = ol_ti_text(d->model, "unk_token", "");
    bool whole = ol_ti_flag(d->model, "ignore_merges", false);
    if (!index_merges(d, b)) return no_memory(n);
    for (size_t i = 0; i < d->n_added; i++) put_whole(b, d->added[i].content, d->added[i].id);
    for (size_t id = 0; id < d->vocab.count; id++) {
        ol_str s = ol_ti_names_at(&d->vocab, id);
        bool keep = is_symbol(n, s, suffix) || ol_map_get(&b->made, s) || ol_str_is(s, unk);
        if (!keep && s.len && whole && !is_added(d, s)) put_whole(b, s, (int64_t)id);
        ol_ti_names_add(&b->vocab, s.ptr, keep ? s.len : 0);
    }
    bool failed = ol_ti_names_failed(&b->vocab) || ol_ti_names_failed(&b->whole) || b->whole_ids.failed;
    return failed ? no_memory(n) : OLV_OK;
}

static void bpe_layer(ol_ti_net *n, bpe *b, ol_ir_out out[3]) {
    const json_t *m = n->doc->model;
    ol_ir_out in[18];
    int k = 14;
    int64_t cache = (int64_t)(b->vocab.count / 5);
    pieces(n, &b->vocab, in);
    ol_ti_list(n, &n->doc->left, in + 8);
    ol_ti_list(n, &n->doc->right, in + 11);
    if (b->whole.count) {
        ol_ti_list(n, &b->whole, in + 14);
        in[17] = ol_ti_i32(n, (const int32_t *)(const void *)b->whole_ids.data, (int)b->whole.count);
        k = 18;
    }
    ol_ir_attr a[] = {ol_ir_say_text("unk_token", ol_ti_text(m, "unk_token", "")),
                      ol_ir_say_bool("fuse_unk", ol_ti_flag(m, "fuse_unk", false)),
                      ol_ir_say_text("suffix_indicator", ""),
                      ol_ir_say_text("end_suffix", ol_ti_text(m, "end_of_word_suffix", "")),
                      ol_ir_say_bool("byte_fallback", ol_ti_flag(m, "byte_fallback", false)),
                      ol_ir_say_int(n->e, "cache_capacity", cache > 20000 ? cache : 20000)};
    take_ids(ol_ti_layer(n, "BPETokenizer", in, k, a, 6, "iii"), out);
}

static olv_status emit_bpe(ol_ti_net *n, ol_ir_out out[3]) {
    if (*ol_ti_text(n->doc->model, "continuing_subword_prefix", ""))
        return ol_fail(n->err, OLV_UNSUPPORTED, "continuing_subword_prefix has no form in OpenVINO's tokenizer models");
    bpe b = {0};
    olv_status s = divide(n, &b);
    if (s == OLV_OK) bpe_layer(n, &b, out);
    ol_map_deinit(&b.made);
    ol_buf_deinit(&b.text);
    ol_buf_deinit(&b.whole_ids);
    ol_ti_names_deinit(&b.vocab);
    ol_ti_names_deinit(&b.whole);
    return s;
}

/* ---- WordPiece, WordLevel ---- */

static int64_t unknown_id(const ol_ti_net *n) {
    const char *unk = ol_ti_text(n->doc->model, "unk_token", "");
    return *unk ? ol_ti_id(n->doc, unk, strlen(unk)) : -1;
}

static olv_status emit_wordpiece(ol_ti_net *n, ol_ir_out out[3]) {
    const json_t *m = n->doc->model, *max = json_object_get(m, "max_input_chars_per_word");
    int64_t unk = unknown_id(n);
    ol_ir_out in[9];
    if (unk < 0) return ol_fail(n->err, OLV_FORMAT, "\"unk_token\" is no token of the vocabulary");
    pieces(n, &n->doc->vocab, in);
    in[8] = ol_ir_const_i64(n->e, &unk, -1);
    ol_ir_attr a[] = {ol_ir_say_text("suffix_indicator", ol_ti_text(m, "continuing_subword_prefix", "##")),
                      ol_ir_say_int(n->e, "max_bytes_per_word", json_is_integer(max) ? json_integer_value(max) : 100)};
    take_ids(ol_ti_layer(n, "WordpieceTokenizer", in, 9, a, 2, "iii"), out);
    return OLV_OK;
}

static olv_status emit_wordlevel(ol_ti_net *n, ol_ir_out out[3]) {
    size_t count = n->doc->vocab.count;
    int32_t *ids = ol_calloc(count + 1, sizeof *ids), unk = (int32_t)unknown_id(n);
    ol_ir_out in[8] = {n->begins, n->ends, n->chars};
    if (!ids) return no_memory(n);
    for (size_t i = 0; i < count; i++) ids[i] = (int32_t)i;
    ol_ti_list(n, &n->doc->vocab, in + 3);
    in[6] = ol_ti_i32(n, ids, (int)count);
    in[7] = ol_ti_i32(n, &unk, -1);
    ol_free(ids);
    out[0] = n->rows[0];
    out[1] = n->rows[1];
    out[2] = ol_ti_layer(n, "VocabEncoder", in, 8, NULL, 0, "i");
    return OLV_OK;
}

/* ---- Unigram ---- */

/* The operation wants a name at every id: where there is none, one that begins with a character of private use. */
static void unigram_names(const ol_ti_document *d, ol_ti_names *out) {
    for (size_t i = 0; i < d->vocab.count; i++) {
        ol_str s = ol_ti_names_at(&d->vocab, i);
        char own[32];
        if (s.len == 0) {
            snprintf(own, sizeof own, "\xEE\x80\x80%zu", i);
            s = ol_str_of(own);
        }
        ol_ti_names_add(out, s.ptr, s.len);
    }
}

/* A piece that is an added token is to be that token: it scores better than any way to put it together. */
static float *unigram_scores(const ol_ti_document *d) {
    size_t n = d->scores.len / sizeof(double);
    const double *s = (const double *)(const void *)d->scores.data;
    float *out = ol_calloc(d->vocab.count + 1, sizeof *out);
    double best = n ? s[0] : 0, worst = best;
    for (size_t i = 0; i < n; i++) {
        best = s[i] > best ? s[i] : best;
        worst = s[i] < worst ? s[i] : worst;
    }
    if (!out) return NULL;
    for (size_t i = 0; i < d->vocab.count; i++) out[i] = (float)(i < n ? s[i] : worst);
    for (size_t i = 0; i < d->n_added; i++) out[d->added[i].id] = (float)(best + 1);
    return out;
}

static void unigram_layer(ol_ti_net *n, const ol_ti_names *names, const float *scores, ol_ir_out out[3]) {
    const json_t *unk = json_object_get(n->doc->model, "unk_id");
    ol_ir_out in[9];
    pieces(n, names, in);
    ol_ir_type t = {.element = ol_ir_element_named("f32"), .rank = 1, .dims = {(int64_t)names->count}};
    in[8] = ol_ir_const_raw(n->e, NULL, NULL, &t, scores, names->count * sizeof *scores);
    ol_ir_attr a[] = {ol_ir_say_bool("byte_fallback", false),
                      ol_ir_say_int(n->e, "unk_token_id", json_is_integer(unk) ? json_integer_value(unk) : -1),
                      ol_ir_say_bool("fuse_unk", true)};
    take_ids(ol_ti_layer(n, "UnigramTokenizer", in, 9, a, 3, "iii"), out);
}

/* The operation has an attribute for bytes, but gives the unknown token to characters of several bytes all the same. */
static olv_status emit_unigram(ol_ti_net *n, ol_ir_out out[3]) {
    if (ol_ti_flag(n->doc->model, "byte_fallback", false))
        return ol_fail(n->err, OLV_UNSUPPORTED, "byte_fallback does not work in OpenVINO's UnigramTokenizer");
    ol_ti_names names = {OL_BUF_INIT, OL_BUF_INIT, 0};
    float *scores = unigram_scores(n->doc);
    unigram_names(n->doc, &names);
    bool good = scores && !ol_ti_names_failed(&names);
    if (good) unigram_layer(n, &names, scores, out);
    ol_free(scores);
    ol_ti_names_deinit(&names);
    return good ? OLV_OK : no_memory(n);
}

/* ---- the table ---- */

static const struct {
    const char *type;
    olv_status (*emit)(ol_ti_net *n, ol_ir_out out[3]);
} kinds[] = {
    {"BPE", emit_bpe},
    {"WordPiece", emit_wordpiece},
    {"WordLevel", emit_wordlevel},
    {"Unigram", emit_unigram},
};

/* Files of old have no type: it shows in the other parts. */
static const char *model_type(const ol_ti_document *d) {
    const char *type = ol_ti_text(d->model, "type", NULL);
    if (type) return type;
    if (d->scores.len) return "Unigram";
    if (d->left.count) return "BPE";
    return json_object_get(d->model, "continuing_subword_prefix") ? "WordPiece" : "WordLevel";
}

olv_status ol_ti_tokenize(ol_ti_net *n, ol_ir_out out[3]) {
    const char *type = model_type(n->doc);
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (strcmp(type, kinds[i].type) == 0)
            return kinds[i].emit(n, out) == OLV_OK ? OLV_OK : ol_error_at(n->err, "model %s", type);
    return ol_fail(n->err, OLV_UNSUPPORTED, "model %s has no form in OpenVINO's tokenizer models", type);
}
