/* SPDX-License-Identifier: Apache-2.0 */
/* The interface of tokenizers on a small vocabulary, what malformed files give, and texts of any
 * size. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "text/tokenizer.h"

#define BYTE_LEVEL                                                                                 \
    "\"pre_tokenizer\":{\"type\":\"ByteLevel\",\"add_prefix_space\":false,\"trim_offsets\":true}," \
    "\"decoder\":{\"type\":\"ByteLevel\"},"
#define SPECIAL                                                                               \
    "\"added_tokens\":[{\"id\":7,\"content\":\"<s>\",\"single_word\":false,\"lstrip\":false," \
    "\"rstrip\":false,\"normalized\":false,\"special\":true}],"
#define TEMPLATE                                                                                 \
    "\"post_processor\":{\"type\":\"TemplateProcessing\",\"single\":[{\"SpecialToken\":{\"id\":" \
    "\"<s>\",\"type_id\":0}},"                                                                   \
    "{\"Sequence\":{\"id\":\"A\",\"type_id\":0}}],\"pair\":[{\"Sequence\":{\"id\":\"A\",\"type_" \
    "id\":0}},"                                                                                  \
    "{\"Sequence\":{\"id\":\"B\",\"type_id\":1}}],\"special_tokens\":{\"<s>\":{\"id\":\"<s>\","  \
    "\"ids\":[7],\"tokens\":[\"<s>\"]}}},"
/* \u00c3 \u00a9 are the bytes of e with an acute accent; \u0120 is a space. */
#define MODEL                                                                                      \
    "\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0,\"b\":1,\"\\u0120\":2,\"ab\":3,\"\\u0120ab\":" \
    "4,\"\\u00c3\":5,\"\\u00a9\":6},"                                                              \
    "\"merges\":[\"a b\",[\"\\u0120\",\"ab\"]]}"
#define SMALL "{" BYTE_LEVEL SPECIAL TEMPLATE MODEL "}"

static olv_tokenizer *open_text(const char *json) {
    olv_tokenizer *t = NULL;
    olv_error err;
    if (ol_tokenizer_open_json(json, strlen(json), "t.json", &t, &err) != OLV_OK)
        fail_msg("%s", err.message);
    return t;
}

static void encodes_and_decodes(void **state) {
    (void)state;
    olv_tokenizer *t = open_text(SMALL);
    olv_encode_options opt;
    olv_encoding e;
    olv_error err;
    olv_encode_options_init(&opt);
    opt.want_offsets = opt.want_type_ids = true;
    const char *text = "ab ab\xC3\xA9";
    assert_int_equal(olv_tokenizer_encode(t, text, strlen(text), &opt, &e, &err), OLV_OK);
    static const uint32_t want[] = {7, 3, 4, 5, 6};
    assert_int_equal(e.count, 5);
    assert_memory_equal(e.ids, want, sizeof want);
    assert_int_equal(e.offsets[2].start, 2);
    assert_int_equal(e.offsets[2].end, 5);
    assert_int_equal(e.offsets[4].start, 5); /* both bytes are the one character */
    assert_int_equal(e.offsets[4].end, 6);
    char *back;
    size_t len;
    assert_int_equal(olv_tokenizer_decode(t, e.ids, e.count, true, &back, &len, &err), OLV_OK);
    assert_string_equal(back, text);
    assert_int_equal(len, strlen(text));
    olv_tokenizer_free(back);
    olv_encoding_deinit(&e);
    uint32_t ids[2];
    assert_int_equal(olv_tokenizer_prefix(t, ids, 2), 1);
    assert_int_equal(ids[0], 7);
    assert_int_equal(olv_tokenizer_suffix(t, ids, 2), 0);
    assert_int_equal(olv_tokenizer_vocab_size(t), 8);
    assert_true(olv_tokenizer_is_special(t, 7));
    assert_false(olv_tokenizer_is_special(t, 3));
    assert_true(olv_tokenizer_token_to_id(t, "<s>", 3, ids) && ids[0] == 7);
    olv_tokenizer_close(t);
}

static void streams_whole_characters(void **state) {
    (void)state;
    olv_tokenizer *t = open_text(SMALL);
    olv_detokenizer *d;
    olv_error err;
    const char *piece;
    size_t len;
    assert_int_equal(olv_detokenizer_create(t, false, &d, &err), OLV_OK);
    assert_int_equal(olv_detokenizer_push(d, 3, &piece, &len, &err), OLV_OK);
    assert_string_equal(piece, "ab");
    assert_int_equal(olv_detokenizer_push(d, 5, &piece, &len, &err), OLV_OK);
    assert_int_equal(len, 0);
    assert_int_equal(olv_detokenizer_push(d, 6, &piece, &len, &err), OLV_OK);
    assert_string_equal(piece, "\xC3\xA9");
    assert_int_equal(olv_detokenizer_push(d, 5, &piece, &len, &err), OLV_OK);
    assert_int_equal(len, 0);
    assert_int_equal(olv_detokenizer_flush(d, &piece, &len, &err), OLV_OK);
    assert_string_equal(piece, "\xEF\xBF\xBD");
    olv_detokenizer_destroy(d);
    olv_tokenizer_close(t);
}

/* Half a character takes back what stood before it while the decoder drops U+FFFD; nothing is said twice. */
static void streams_past_what_a_decoder_drops(void **state) {
    (void)state;
    olv_tokenizer *t = open_text(
        "{\"decoder\":{\"type\":\"Sequence\",\"decoders\":[{\"type\":\"ByteFallback\"},"
        "{\"type\":\"Replace\",\"pattern\":{\"Regex\":\"\\\\p{S}\"},\"content\":\"\"},{\"type\":\"Fuse\"}]},"
        "\"model\":{\"type\":\"BPE\",\"byte_fallback\":true,\"merges\":[],\"vocab\":{\"x\":0,\"<0xCE>\":1,\"<0xA9>\":2,"
        "\"<0xCD>\":3,\"<0xB2>\":4}}}");
    static const struct {
        uint32_t id;
        const char *piece;
    } steps[] = {{0, "x"}, {1, ""}, {2, "\xCE\xA9"}, {3, ""}, {4, "\xCD\xB2"}, {0, "x"}};
    olv_detokenizer *d;
    olv_error err;
    const char *piece;
    size_t len;
    assert_int_equal(olv_detokenizer_create(t, false, &d, &err), OLV_OK);
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        assert_int_equal(olv_detokenizer_push(d, steps[i].id, &piece, &len, &err), OLV_OK);
        assert_string_equal(piece, steps[i].piece);
    }
    olv_detokenizer_destroy(d);
    olv_tokenizer_close(t);
}

/* A token that takes the white space behind it, and one that would take the space before it, in the
 * same space: the second lies in what the first took. */
static void added_tokens_do_not_overlap(void **state) {
    (void)state;
    olv_tokenizer *t = open_text(
        "{\"added_tokens\":[{\"id\":1,\"content\":\"<s>\",\"rstrip\":true,\"special\":true},"
        "{\"id\":2,\"content\":\"  \",\"lstrip\":true,\"special\":true}],"
        "\"model\":{\"type\":\"WordLevel\",\"unk_token\":\"u\",\"vocab\":{\"u\":0}}}");
    olv_encode_options opt;
    olv_encoding e;
    olv_error err;
    olv_encode_options_init(&opt);
    opt.want_offsets = true;
    assert_int_equal(olv_tokenizer_encode(t, "<s>    x", 8, &opt, &e, &err), OLV_OK);
    assert_int_equal(e.count, 2);
    assert_int_equal(e.ids[0], 1);
    assert_int_equal(e.offsets[0].end, 7);
    assert_int_equal(e.ids[1], 0);
    olv_encoding_deinit(&e);
    olv_tokenizer_close(t);
}

static void bad_input_is_an_error(void **state) {
    (void)state;
    olv_tokenizer *t = open_text(SMALL);
    olv_encoding e;
    olv_error err;
    char *text;
    uint32_t id = 4000000000u;
    assert_int_equal(olv_tokenizer_encode(t, "a\xC3", 2, NULL, &e, &err), OLV_ARG);
    assert_int_equal(olv_tokenizer_decode(t, &id, 1, false, &text, NULL, &err), OLV_ARG);
    assert_non_null(strstr(err.message, "4000000000"));
    olv_tokenizer_close(t);
}

static void bad_files_are_refused(void **state) {
    (void)state;
    static const char *const bad[] = {
        "",
        "{",
        "[]",
        "{}",
        "{\"model\":{}}x",
        "{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":4294967296}}}",
        "{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0},\"merges\":[\"a b\"]}}",
        "{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0},\"merges\":[\"a  a\"]}}",
        "{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0},\"merges\":[[\"a\"]]}}",
        "{\"model\":{\"type\":\"Unigram\",\"vocab\":[[\"a\",-1]],\"unk_id\":7}}",
        "{\"model\":{\"type\":\"Other\",\"vocab\":{}}}",
        "{\"normalizer\":{\"type\":\"Nonsense\"},\"model\":{\"type\":\"BPE\",\"vocab\":{}}}",
        "{\"normalizer\":{\"type\":\"Precompiled\",\"precompiled_charsmap\":\"/////"
        "w==\"},\"model\":{\"type\":\"BPE\",\"vocab\":{}}}",
        "{\"pre_tokenizer\":{\"type\":\"Split\",\"pattern\":{\"Regex\":\"(\"},\"behavior\":"
        "\"Isolated\",\"invert\":false},"
        "\"model\":{\"type\":\"BPE\",\"vocab\":{}}}",
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        olv_tokenizer *t = NULL;
        olv_error err = {OLV_OK, ""};
        if (ol_tokenizer_open_json(bad[i], strlen(bad[i]), "bad.json", &t, &err) == OLV_OK)
            fail_msg("accepted: %s", bad[i]);
        assert_null(t);
        assert_true(err.message[0] != 0);
    }
}

static void deep_sequences_are_refused(void **state) {
    (void)state;
    char json[8192];
    size_t n = 0;
    n += (size_t)snprintf(json + n, sizeof json - n,
                          "{\"model\":{\"type\":\"BPE\",\"vocab\":{}},\"normalizer\":");
    for (int i = 0; i < 30; i++)
        n +=
            (size_t)snprintf(json + n, sizeof json - n, "{\"type\":\"Sequence\",\"normalizers\":[");
    for (int i = 0; i < 30; i++) n += (size_t)snprintf(json + n, sizeof json - n, "]}");
    snprintf(json + n, sizeof json - n, "}");
    olv_tokenizer *t = NULL;
    olv_error err;
    assert_int_equal(ol_tokenizer_open_json(json, strlen(json), "deep.json", &t, &err), OLV_LIMIT);
}

static void sparse_ids_take_no_memory(void **state) {
    (void)state;
    olv_tokenizer *t = open_text("{\"model\":{\"type\":\"WordLevel\",\"unk_token\":\"u\",\"vocab\":"
                                 "{\"u\":4294967295,\"b\":0}}}");
    olv_encoding e;
    olv_error err;
    size_t len;
    assert_int_equal(olv_tokenizer_id_bound(t), 4294967296ull);
    assert_int_equal(olv_tokenizer_encode(t, "x", 1, NULL, &e, &err), OLV_OK);
    assert_int_equal(e.count, 1);
    assert_int_equal(e.ids[0], 4294967295u);
    assert_memory_equal(olv_tokenizer_id_to_token(t, e.ids[0], &len), "u", 1);
    assert_null(olv_tokenizer_id_to_token(t, 5, &len));
    olv_encoding_deinit(&e);
    olv_tokenizer_close(t);
}

static void a_megabyte_word_is_quick(void **state) {
    (void)state;
    olv_tokenizer *t = open_text(SMALL);
    size_t n = 1 << 20;
    char *text = malloc(n);
    olv_encoding e;
    olv_error err;
    for (size_t i = 0; i < n; i++) text[i] = i % 3 ? 'a' : 'b';
    clock_t start = clock();
    assert_int_equal(olv_tokenizer_encode(t, text, n, NULL, &e, &err), OLV_OK);
    assert_true((double)(clock() - start) / CLOCKS_PER_SEC < 5.0);
    assert_true(e.count > n / 2);
    olv_encoding_deinit(&e);
    free(text);
    olv_tokenizer_close(t);
}

/* Every allocation in turn fails: an error, and nothing lost or touched twice. */
static void every_allocation_may_fail(void **state) {
    (void)state;
    for (uint64_t n = 1; n < 400; n++) {
        olv_tokenizer *t = NULL;
        olv_error err = {OLV_OK, ""};
        ol_alloc_fail_at(n, false);
        olv_status s = ol_tokenizer_open_json(SMALL, strlen(SMALL), "t.json", &t, &err);
        ol_alloc_fail_at(0, false);
        assert_true(s == OLV_OK || (t == NULL && err.message[0]));
        olv_tokenizer_close(t);
    }
    olv_tokenizer *t = open_text(SMALL);
    for (uint64_t n = 1; n < 60; n++) {
        olv_encoding e = {0};
        olv_error err = {OLV_OK, ""};
        olv_encode_options opt;
        olv_encode_options_init(&opt);
        opt.want_offsets = true;
        ol_alloc_fail_at(n, false);
        olv_status s = olv_tokenizer_encode(t, "ab abab <s> \xC3\xA9", 14, &opt, &e, &err);
        ol_alloc_fail_at(0, false);
        assert_true(s == OLV_OK || s == OLV_NOMEM);
        if (s == OLV_OK) olv_encoding_deinit(&e);
    }
    olv_tokenizer_close(t);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(encodes_and_decodes),        cmocka_unit_test(streams_whole_characters),
        cmocka_unit_test(bad_input_is_an_error),      cmocka_unit_test(bad_files_are_refused),
        cmocka_unit_test(deep_sequences_are_refused), cmocka_unit_test(sparse_ids_take_no_memory),
        cmocka_unit_test(a_megabyte_word_is_quick),   cmocka_unit_test(every_allocation_may_fail),
        cmocka_unit_test(added_tokens_do_not_overlap), cmocka_unit_test(streams_past_what_a_decoder_drops)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
