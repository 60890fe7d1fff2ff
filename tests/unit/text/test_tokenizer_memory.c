/* SPDX-License-Identifier: Apache-2.0 */
/* Lack of memory: whichever allocation fails, opening, encoding, decoding and streaming either
 * report it or give what they give with memory enough. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/str.h"
#include "text/tokenizer.h"

#define SPECIAL                                                                          \
    "\"added_tokens\":[{\"id\":0,\"content\":\"<s>\",\"special\":true,\"rstrip\":true}," \
    "{\"id\":1,\"content\":\"Ab\",\"normalized\":true},{\"id\":90,\"content\":\"new\"}],"
#define BYTE_BPE                                                                               \
    "\"model\":{\"type\":\"BPE\",\"unk_token\":\"<s>\",\"vocab\":{\"<s>\":0,\"Ab\":1,\"a\":2," \
    "\"b\":3,\"\\u0120\":4,\"ab\":5,\"\\u0120ab\":6,\"\\u00c3\":7,\"\\u00a9\":8},"             \
    "\"merges\":[\"a b\",[\"\\u0120\",\"ab\"]]}"
#define TEMPLATE                                                                             \
    "\"post_processor\":{\"type\":\"Sequence\",\"processors\":[{\"type\":\"ByteLevel\"},"    \
    "{\"type\":\"TemplateProcessing\",\"single\":[{\"SpecialToken\":{\"id\":\"s\",\"type_"   \
    "id\":0}},{\"Sequence\":{\"id\":\"A\",\"type_id\":0}}],\"pair\":[{\"Sequence\":{\"id\":" \
    "\"A\",\"type_id\":0}},{\"Sequence\":{\"id\":\"B\",\"type_id\":1}}],\"special_tokens\":" \
    "{\"s\":{\"id\":\"s\",\"ids\":[0],\"tokens\":[\"<s>\"]}}}]},"

static const char *const tokenizers[] = {
    "{" SPECIAL TEMPLATE
    "\"normalizer\":{\"type\":\"NFC\"},\"pre_tokenizer\":{\"type\":\"Sequence\",\"pretokenizers\":["
    "{\"type\":\"Split\",\"pattern\":{\"Regex\":\"[a-f&&[^c]]+|\\\\s\"},\"behavior\":\"Isolated\","
    "\"invert\":false},{\"type\":\"ByteLevel\",\"add_prefix_space\":true,\"trim_offsets\":true}]},"
    "\"decoder\":{\"type\":\"ByteLevel\"}," BYTE_BPE "}",
    "{" SPECIAL
    "\"normalizer\":{\"type\":\"Sequence\",\"normalizers\":[{\"type\":\"Prepend\",\"prepend\":"
    "\"_\"},{\"type\":\"Replace\",\"pattern\":{\"String\":\" \"},\"content\":\"_\"},{\"type\":"
    "\"NFKD\"},{\"type\":\"StripAccents\"},{\"type\":\"Lowercase\"},{\"type\":\"Strip\",\"strip_"
    "left\":true,\"strip_right\":true}]},"
    "\"pre_tokenizer\":{\"type\":\"Metaspace\",\"replacement\":\"_\",\"prepend_scheme\":\"always\"}"
    ","
    "\"decoder\":{\"type\":\"Sequence\",\"decoders\":[{\"type\":\"Replace\",\"pattern\":{"
    "\"String\":"
    "\"_\"},\"content\":\" \"},{\"type\":\"ByteFallback\"},{\"type\":\"Fuse\"},{\"type\":\"Strip\","
    "\"content\":\" "
    "\",\"start\":1,\"stop\":0}]},\"padding\":{\"strategy\":{\"Fixed\":40},\"direction\":"
    "\"Left\",\"pad_id\":0,\"pad_type_id\":0},"
    "\"model\":{\"type\":\"Unigram\",\"unk_id\":0,\"byte_fallback\":true,\"vocab\":[[\"<s>\",0],"
    "[\"_\",-1],[\"a\",-2.5],[\"ab\",-3],[\"_abc\",-4],[\"abd\",-4],[\"<0xC3>\",-9],[\"<0xA9>\",-9]"
    "]}}",
    "{" SPECIAL
    "\"normalizer\":{\"type\":\"BertNormalizer\",\"clean_text\":true,\"handle_chinese_chars\":true,"
    "\"strip_accents\":null,\"lowercase\":true},\"pre_tokenizer\":{\"type\":\"BertPreTokenizer\"},"
    "\"post_processor\":{\"type\":\"BertProcessing\",\"sep\":[\"<s>\",0],\"cls\":[\"<s>\",0]},"
    "\"decoder\":{\"type\":\"Sequence\",\"decoders\":[{\"type\":\"WordPiece\",\"prefix\":\"##\","
    "\"cleanup\":true},{\"type\":\"BPEDecoder\",\"suffix\":\"e\"},{\"type\":\"CTC\",\"pad_token\":"
    "\"x\",\"word_delimiter_token\":\"|\",\"cleanup\":true}]},"
    "\"model\":{\"type\":\"WordPiece\",\"unk_token\":\"<s>\",\"vocab\":{\"<s>\":0,\"a\":1,\"##b\":"
    "2,"
    "\"ab\":3,\".\":4}}}",
    "{\"pre_tokenizer\":{\"type\":\"Sequence\",\"pretokenizers\":[{\"type\":\"UnicodeScripts\"},"
    "{\"type\":\"Digits\",\"individual_digits\":true},{\"type\":\"Whitespace\"}]},"
    "\"model\":{\"type\":\"BPE\",\"unk_token\":\"u\",\"fuse_unk\":true,\"continuing_subword_"
    "prefix\":"
    "\"##\",\"end_of_word_suffix\":\"</w>\",\"vocab\":{\"u\":0,\"a\":1,\"##b\":2,\"##b</w>\":3,"
    "\"ab</w>\":4},\"merges\":[\"a ##b</w>\"]}}",
};

static const char text[] = "Ab ab <s>  abab caf\xC3\xA9 \xE4\xBD\xA0 1.2\n\nabcd abd "
                           "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaabbbb new";

/* Everything about one tokenizer, as text. */
typedef struct run {
    const olv_tokenizer *t;
    ol_buf said;
} run;

static olv_status encode(run *r, olv_encoding *e, olv_error *err) {
    olv_encode_options opt;
    olv_encode_options_init(&opt);
    opt.want_offsets = opt.want_type_ids = true;
    opt.pair = "a b";
    opt.pair_len = 3;
    return olv_tokenizer_encode(r->t, text, sizeof text - 1, &opt, e, err);
}

static olv_status stream(run *r, const olv_encoding *e, olv_error *err) {
    olv_detokenizer *d;
    const char *piece;
    size_t len;
    olv_status s = olv_detokenizer_create(r->t, false, &d, err);
    if (s != OLV_OK) return s;
    for (size_t i = 0; i <= e->count && s == OLV_OK; i++) {
        s = i < e->count ? olv_detokenizer_push(d, e->ids[i], &piece, &len, err)
                         : olv_detokenizer_flush(d, &piece, &len, err);
        if (s == OLV_OK) ol_buf_append(&r->said, piece, len);
    }
    olv_detokenizer_destroy(d);
    return s;
}

static olv_status everything(run *r, olv_error *err) {
    olv_encoding e;
    char *back;
    olv_status s = encode(r, &e, err);
    if (s != OLV_OK) return s;
    for (size_t i = 0; i < e.count; i++)
        ol_buf_printf(&r->said, "%u %u-%u/%u ", e.ids[i], e.offsets[i].start, e.offsets[i].end,
                      e.type_ids[i]);
    s = olv_tokenizer_decode(r->t, e.ids, e.count, true, &back, NULL, err);
    if (s == OLV_OK) {
        ol_buf_puts(&r->said, back);
        olv_tokenizer_free(back);
        s = stream(r, &e, err);
    }
    olv_encoding_deinit(&e);
    return s;
}

/* What a tokenizer says, or NULL where memory was not enough. The text being gathered takes memory
 * too, and may be what fails. */
static char *attempt(const char *json, uint64_t fail_at) {
    olv_tokenizer *t = NULL;
    olv_error err = {OLV_OK, ""};
    run r = {NULL, OL_BUF_INIT};
    ol_alloc_fail_at(fail_at, false);
    olv_status s = ol_tokenizer_open_json(json, strlen(json), "t.json", &t, &err);
    if (s == OLV_OK) {
        r.t = t;
        s = everything(&r, &err);
    }
    ol_alloc_fail_at(0, false);
    if (s != OLV_OK && (s != OLV_NOMEM || !err.message[0]))
        fail_msg("allocation %llu: status %d, %s", (unsigned long long)fail_at, (int)s,
                 err.message);
    char *said = s == OLV_OK && !r.said.failed ? strndup(r.said.data, r.said.len) : NULL;
    ol_buf_deinit(&r.said);
    olv_tokenizer_close(t);
    return said;
}

static void every_allocation_may_fail(void **state) {
    (void)state;
    for (size_t k = 0; k < sizeof tokenizers / sizeof *tokenizers; k++) {
        uint64_t before = ol_alloc_count(), failed = 0;
        char *want = attempt(tokenizers[k], 0);
        uint64_t count = ol_alloc_count() - before;
        assert_non_null(want);
        for (uint64_t n = 1; n <= count; n++) {
            char *got = attempt(tokenizers[k], n);
            if (got && strcmp(got, want) != 0)
                fail_msg("tokenizer %zu, allocation %llu:\n got %s\nwant %s", k,
                         (unsigned long long)n, got, want);
            failed += !got;
            free(got);
        }
        assert_true(failed > 20);
        free(want);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_allocation_may_fail)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
