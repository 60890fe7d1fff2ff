/* SPDX-License-Identifier: Apache-2.0 */
/* The files of old: vocab.json with merges.txt (GPT-2's byte-level BPE), and vocab.txt (BERT's
 * WordPiece). They do not say how text is prepared; it is done as the first models of their kind do
 * it. */
#include "text/tokenizer/state.h"

#include "base/wire/json_pull.h"

static olv_status add_steps(olv_tokenizer *t, const char *json,
                            olv_status (*add)(olv_tokenizer *, const json_t *, olv_error *),
                            olv_error *err) {
    json_t *cfg = NULL;
    OL_TRY(ol_json_parse(json, strlen(json), "built-in steps", &cfg, err));
    olv_status st = add(t, cfg, err);
    json_decref(cfg);
    return st;
}

static olv_status read_vocab(olv_tokenizer *t, ol_jp *p, olv_error *err) {
    ol_jp_event e = ol_jp_next(p);
    if (e != OL_JP_OBJECT)
        return e == OL_JP_ERROR ? OLV_FORMAT
                                : ol_jp_fail(p, "an object of tokens and ids is expected");
    while ((e = ol_jp_next(p)) == OL_JP_KEY) {
        uint64_t id;
        ol_jp_unescape(p, &t->vocab.blob);
        e = ol_jp_next(p);
        if (e == OL_JP_ERROR) return OLV_FORMAT;
        if (e != OL_JP_NUMBER || !ol_jp_u64(p, &id) || id > UINT32_MAX)
            return ol_jp_fail(p, "a token id is expected");
        if (!ol_tk_vocab_commit(&t->vocab, (uint32_t)id))
            return ol_tk_vocab_refused(&t->vocab, err);
    }
    return e == OL_JP_OBJECT_END ? OLV_OK : OLV_FORMAT;
}

/* Tokens of these names are special wherever they occur. */
static olv_status add_known_special(olv_tokenizer *t, const char *const *names, size_t n,
                                    olv_error *err) {
    ol_tk_added list[8];
    size_t count = 0;
    for (size_t i = 0; i < n; i++) {
        uint32_t id;
        if (!ol_tk_vocab_find(&t->vocab, names[i], strlen(names[i]), &id)) continue;
        list[count++] = (ol_tk_added){.content = ol_str_of(names[i]), .special = true};
    }
    return ol_tk_added_build(t, list, count, err);
}

olv_status ol_tk_load_bpe_files(olv_tokenizer *t, const char *vocab, size_t vocab_len,
                                const char *merges, size_t merges_len, const char *name,
                                olv_error *err) {
    static const char *const special[] = {"<|endoftext|>", "<s>",   "</s>",
                                          "<unk>",         "<pad>", "<mask>"};
    static const char steps[] =
        "{\"type\":\"ByteLevel\",\"add_prefix_space\":false,\"trim_offsets\":true}";
    ol_jp p;
    olv_error local = {0};
    ol_jp_init(&p, vocab, vocab_len, name, err ? err : &local);
    OL_TRY(read_vocab(t, &p, err));
    OL_TRY(ol_tk_vocab_finish(&t->vocab, err));
    OL_TRY(add_steps(t, steps, ol_tk_add_pretokenizers, err));
    OL_TRY(add_steps(t, steps, ol_tk_add_decoders, err));
    ol_tk_model_spec spec = {
        .type = "BPE", .vocab = &t->vocab, .merges_lines = {merges, merges_len}, .name = name};
    if (ol_tk_create_model(t, &spec, err) != OLV_OK) return ol_error_at(err, "%s", name);
    OL_TRY(add_known_special(t, special, sizeof special / sizeof *special, err));
    return ol_tk_finish(t, "BPE", err);
}

/* [CLS] text [SEP] (pair [SEP]), with the ids of this vocabulary. */
static olv_status add_bert_template(olv_tokenizer *t, olv_error *err) {
    uint32_t cls, sep;
    if (!ol_tk_vocab_find(&t->vocab, "[CLS]", 5, &cls) ||
        !ol_tk_vocab_find(&t->vocab, "[SEP]", 5, &sep))
        return OLV_OK;
    char *json = ol_arena_printf(
        t->arena, "{\"type\":\"BertProcessing\",\"sep\":[\"[SEP]\",%u],\"cls\":[\"[CLS]\",%u]}",
        sep, cls);
    return json ? add_steps(t, json, ol_tk_add_postprocessors, err)
                : ol_fail(err, OLV_NOMEM, "out of memory");
}

olv_status ol_tk_load_wordpiece(olv_tokenizer *t, const char *text, size_t len, const char *name,
                                olv_error *err) {
    static const char *const special[] = {"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"};
    const char *p = text, *end = text + len;
    bool lower = true;
    for (uint32_t id = 0; p < end; id++) {
        const char *nl = memchr(p, '\n', (size_t)(end - p));
        size_t n = (size_t)((nl ? nl : end) - p);
        while (n && (p[n - 1] == '\r' || p[n - 1] == ' ' || p[n - 1] == '\t')) n--;
        if (n == 1 && p[0] >= 'A' && p[0] <= 'Z')
            lower = false; /* a cased vocabulary has the capital letters */
        if (!ol_tk_vocab_add(&t->vocab, p, n, id)) {
            ol_tk_vocab_refused(&t->vocab, err);
            return ol_error_at(err, "%s", name);
        }
        p = nl ? nl + 1 : end;
    }
    OL_TRY(ol_tk_vocab_finish(&t->vocab, err));
    OL_TRY(add_steps(t,
                     lower ? "{\"type\":\"BertNormalizer\",\"lowercase\":true}"
                           : "{\"type\":\"BertNormalizer\",\"lowercase\":false}",
                     ol_tk_add_normalizers, err));
    OL_TRY(add_steps(t, "{\"type\":\"BertPreTokenizer\"}", ol_tk_add_pretokenizers, err));
    OL_TRY(add_steps(t, "{\"type\":\"WordPiece\",\"prefix\":\"##\",\"cleanup\":true}",
                     ol_tk_add_decoders, err));
    OL_TRY(add_bert_template(t, err));
    ol_tk_model_spec spec = {.type = "WordPiece",
                             .vocab = &t->vocab,
                             .name = name,
                             .unk_token = "[UNK]",
                             .prefix = "##",
                             .max_chars = 100};
    if (ol_tk_create_model(t, &spec, err) != OLV_OK) return ol_error_at(err, "%s", name);
    OL_TRY(add_known_special(t, special, sizeof special / sizeof *special, err));
    return ol_tk_finish(t, "WordPiece", err);
}
