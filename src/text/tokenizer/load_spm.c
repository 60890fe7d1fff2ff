/* SPDX-License-Identifier: Apache-2.0 */
/* Reads a SentencePiece ModelProto: pieces (1), trainer (2), normalizer (3), denormalizer (5). */
#include "text/tokenizer/sentencepiece.h"

#include "base/alloc.h"
#include "base/wire/protobuf.h"

void ol_tk_spm_destroy(ol_tk_spm *s) {
    if (!s) return;
    ol_free(s->scores);
    ol_free(s->types);
    ol_tk_byte_trie_deinit(&s->trie);
    ol_tk_byte_trie_deinit(&s->user);
    ol_free(s);
}

static olv_status malformed(olv_error *err, const char *what) {
    return ol_fail(err, OLV_FORMAT, "malformed protobuf in the %s", what);
}

static bool grow(ol_tk_spm *s) {
    if (s->n_types < s->cap) return true;
    size_t cap = s->cap ? s->cap * 2 : 1024;
    float *scores = ol_realloc(s->scores, cap * sizeof *scores);
    if (scores) s->scores = scores;
    uint8_t *types = scores ? ol_realloc(s->types, cap) : NULL;
    if (types) s->types = types;
    if (!types) return false;
    s->cap = cap;
    return true;
}

static olv_status read_piece(olv_tokenizer *t, ol_bytes r, olv_error *err) {
    ol_tk_spm *s = t->spm;
    ol_pb_field f;
    ol_str name = {"", 0};
    float score = 0;
    uint64_t type = OL_SPM_NORMAL;
    int rc;
    while ((rc = ol_pb_next(&r, &f)) == 1) {
        if (f.number == 1 && f.wire == 2) name = f.bytes;
        if (f.number == 2 && f.wire == 5) score = ol_pb_f32(&f);
        if (f.number == 3 && f.wire == 0) type = f.value;
    }
    if (rc < 0) return malformed(err, "pieces");
    if (type < OL_SPM_NORMAL || type > OL_SPM_BYTE)
        return ol_fail(err, OLV_FORMAT, "piece %u has type %llu, expected 1 to 6", t->vocab.count,
                       (unsigned long long)type);
    if (name.len == 0) return ol_fail(err, OLV_FORMAT, "piece %u is empty", t->vocab.count);
    if (score != score) return ol_fail(err, OLV_FORMAT, "piece %u has no score", t->vocab.count);
    if (!grow(s) || !ol_tk_vocab_add(&t->vocab, name.ptr, name.len, t->vocab.count))
        return ol_tk_vocab_refused(&t->vocab, err);
    s->scores[s->n_types] = score;
    s->types[s->n_types++] = (uint8_t)type;
    return OLV_OK;
}

static olv_status copy(olv_tokenizer *t, ol_str in, ol_str *out, olv_error *err) {
    *out = (ol_str){ol_arena_strndup(t->arena, in.ptr, in.len), in.len};
    return out->ptr ? OLV_OK : ol_fail(err, OLV_NOMEM, "out of memory");
}

static olv_status read_trainer(olv_tokenizer *t, ol_bytes r, olv_error *err) {
    ol_tk_spm *s = t->spm;
    ol_pb_field f;
    int rc;
    while ((rc = ol_pb_next(&r, &f)) == 1) {
        if (f.wire == 0 && f.number == 3) s->model_type = f.value > 4 ? 0 : (int)f.value;
        if (f.wire == 0 && f.number == 24) s->space_suffix = f.value != 0;
        if (f.wire == 0 && f.number == 35) s->byte_fallback = f.value != 0;
        if (f.wire != 2) continue;
        ol_str *to = f.number == 44   ? &s->unk_surface
                     : f.number == 45 ? &s->unk_piece
                     : f.number == 46 ? &s->bos_piece
                     : f.number == 47 ? &s->eos_piece
                                      : NULL;
        if (to) OL_TRY(copy(t, f.bytes, to, err));
    }
    if (rc < 0) return malformed(err, "trainer settings");
    if (s->model_type < OL_SPM_UNIGRAM)
        return ol_fail(err, OLV_UNSUPPORTED,
                       "the model type is none of unigram, bpe, word and char");
    return OLV_OK;
}

static olv_status read_normalizer(olv_tokenizer *t, ol_bytes r, ol_spm_normalizer *n,
                                  olv_error *err) {
    ol_pb_field f;
    int rc;
    while ((rc = ol_pb_next(&r, &f)) == 1) {
        if (f.wire == 0 && f.number == 3) n->dummy_prefix = f.value != 0;
        if (f.wire == 0 && f.number == 4) n->trim_spaces = f.value != 0;
        if (f.wire == 0 && f.number == 5) n->escape_spaces = f.value != 0;
        if (f.wire != 2 || f.number != 2 || f.bytes.len == 0) continue;
        ol_str map; /* the file's bytes go away */
        OL_TRY(copy(t, f.bytes, &map, err));
        OL_TRY(ol_tk_charsmap_init(&n->map, map.ptr, map.len, err));
        n->has_map = true;
    }
    return rc < 0 ? malformed(err, "normalizer settings") : OLV_OK;
}

static int64_t find(const olv_tokenizer *t, ol_str name) {
    uint32_t id;
    return ol_tk_vocab_find(&t->vocab, name.ptr, name.len, &id) ? (int64_t)id : -1;
}

/* A control token of that name, or -1. */
static int64_t control(const olv_tokenizer *t, ol_str name) {
    int64_t id = find(t, name);
    return id >= 0 && t->spm->types[id] == OL_SPM_CONTROL ? id : -1;
}

static void find_ids(olv_tokenizer *t) {
    static const char hex[] = "0123456789ABCDEF";
    ol_tk_spm *s = t->spm;
    s->unk = -1;
    for (uint32_t i = t->vocab.count; i-- > 0;)
        if (s->types[i] == OL_SPM_UNKNOWN) s->unk = i;
    s->bos = control(t, s->bos_piece);
    s->eos = control(t, s->eos_piece);
    for (int b = 0; b < 256; b++) {
        char name[6] = {'<', '0', 'x', hex[b >> 4], hex[b & 15], '>'};
        s->bytes[b] = find(t, (ol_str){name, 6});
    }
}

static void find_scores(ol_tk_spm *s) {
    bool any = false;
    float min = 0;
    s->max_score = 1.17549435e-38f; /* where the library begins too */
    for (size_t i = 0; i < s->n_types; i++) {
        if (s->types[i] != OL_SPM_NORMAL) continue;
        if (!any || s->scores[i] < min) min = s->scores[i];
        if (s->scores[i] > s->max_score) s->max_score = s->scores[i];
        any = true;
    }
    s->unk_score = min - 10.0f;
}

static olv_status build_tries(ol_tk_spm *s, olv_error *err) {
    uint8_t *skip = ol_calloc(s->n_types + 1, 1);
    bool ok = skip != NULL;
    for (size_t i = 0; ok && i < s->n_types; i++) {
        skip[i] = s->types[i] != OL_SPM_USER_DEFINED;
        if (!skip[i]) s->has_user = true;
    }
    ok = ok && ol_tk_byte_trie_build(&s->user, s->vocab, skip);
    for (size_t i = 0; ok && i < s->n_types; i++)
        skip[i] = s->types[i] != OL_SPM_USER_DEFINED && s->types[i] != OL_SPM_NORMAL;
    if (ok && s->model_type == OL_SPM_UNIGRAM) ok = ol_tk_byte_trie_build(&s->trie, s->vocab, skip);
    ol_free(skip);
    return ok ? OLV_OK : ol_fail(err, OLV_NOMEM, "out of memory");
}

/* Names of control tokens and the unknown token, so that they are known as special. */
static olv_status add_special(olv_tokenizer *t, olv_error *err) {
    size_t n = 0;
    ol_tk_added *list = ol_arena_calloc(t->arena, t->vocab.count + 1u, sizeof *list);
    if (!list) return ol_fail(err, OLV_NOMEM, "out of memory");
    for (uint32_t i = 0; i < t->vocab.count; i++) {
        if (t->spm->types[i] != OL_SPM_CONTROL) continue;
        list[n].content = ol_tk_vocab_name(&t->vocab, i);
        list[n++].special = true;
    }
    return ol_tk_added_build(t, list, n, err);
}

static olv_status add_template(olv_tokenizer *t, olv_error *err) {
    const ol_tk_spm *s = t->spm;
    if (s->bos < 0 && s->eos < 0) return OLV_OK;
    const char *bos = s->bos < 0 ? "" : "{\"SpecialToken\":{\"id\":\"b\"}},";
    const char *eos = s->eos < 0 ? "" : ",{\"SpecialToken\":{\"id\":\"e\"}}";
    char *json = ol_arena_printf(
        t->arena,
        "{\"type\":\"TemplateProcessing\",\"single\":[%s{\"Sequence\":{\"id\":\"A\"}}%s],"
        "\"pair\":[%s{\"Sequence\":{\"id\":\"A\"}}%s,{\"Sequence\":{\"id\":\"B\",\"type_id\":1}}%s]"
        ","
        "\"special_tokens\":{\"b\":{\"ids\":[%lld]},\"e\":{\"ids\":[%lld]}}}",
        bos, eos, bos, eos, eos, (long long)(s->bos < 0 ? 0 : s->bos),
        (long long)(s->eos < 0 ? 0 : s->eos));
    json_t *cfg = NULL;
    if (!json) return ol_fail(err, OLV_NOMEM, "out of memory");
    OL_TRY(ol_json_parse(json, strlen(json), "built-in template", &cfg, err));
    olv_status st = ol_tk_add_postprocessors(t, cfg, err);
    json_decref(cfg);
    return st;
}

static olv_status read_fields(olv_tokenizer *t, ol_bytes r, olv_error *err) {
    ol_tk_spm *s = t->spm;
    ol_pb_field f;
    int rc;
    while ((rc = ol_pb_next(&r, &f)) == 1) {
        if (f.wire != 2) continue;
        if (f.number == 1) OL_TRY(read_piece(t, ol_pb_message(&f), err));
        if (f.number == 2) OL_TRY(read_trainer(t, ol_pb_message(&f), err));
        if (f.number == 3) OL_TRY(read_normalizer(t, ol_pb_message(&f), &s->normalizer, err));
        if (f.number != 5) continue;
        s->has_denormalizer = true;
        OL_TRY(read_normalizer(t, ol_pb_message(&f), &s->denormalizer, err));
    }
    if (rc < 0) return malformed(err, "model");
    if (s->n_types == 0) return ol_fail(err, OLV_FORMAT, "no pieces");
    return OLV_OK;
}

static olv_status load(olv_tokenizer *t, const void *data, size_t len, olv_error *err) {
    static const char *const names[] = {"", "SentencePiece unigram", "SentencePiece BPE",
                                        "SentencePiece word", "SentencePiece char"};
    ol_tk_spm *s = t->spm = ol_calloc(1, sizeof *s);
    if (!s) return ol_fail(err, OLV_NOMEM, "out of memory");
    s->vocab = &t->vocab;
    s->model_type = OL_SPM_UNIGRAM;
    s->normalizer = s->denormalizer =
        (ol_spm_normalizer){.dummy_prefix = true, .trim_spaces = true, .escape_spaces = true};
    s->unk_surface = ol_str_of(" \xE2\x81\x87 ");
    s->bos_piece = ol_str_of("<s>");
    s->eos_piece = ol_str_of("</s>");
    OL_TRY(read_fields(t, ol_bytes_of(data, len), err));
    OL_TRY(ol_tk_vocab_finish(&t->vocab, err));
    find_ids(t);
    if (s->unk < 0) return ol_fail(err, OLV_FORMAT, "no piece of type unknown");
    find_scores(s);
    OL_TRY(build_tries(s, err));
    OL_TRY(add_special(t, err));
    OL_TRY(add_template(t, err));
    return ol_tk_finish(t, names[s->model_type], err);
}

olv_status ol_tk_load_spm(olv_tokenizer *t, const void *data, size_t len, const char *name,
                          olv_error *err) {
    olv_status st = load(t, data, len, err);
    return st == OLV_OK ? st : ol_error_at(err, "%s", name);
}
