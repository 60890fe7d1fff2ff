/* SPDX-License-Identifier: Apache-2.0 */
/* Tokenizers as models of OpenVINO: written and read back they say the same; what cannot be said leaves nothing behind;
 * and whichever allocation fails is reported. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/file.h"
#include "bundle/tokenizer_ir.h"
#include "text/tokenizer.h"

#define ADDED                                                                                                              \
    "\"added_tokens\":[{\"id\":0,\"content\":\"<s>\",\"special\":true,\"rstrip\":true},{\"id\":1,\"content\":\"Ab\",\"normalized\":false},"       \
    "{\"id\":20,\"content\":\"(x|y)\",\"normalized\":false,\"lstrip\":true}],"
#define TEMPLATE                                                                                                           \
    "\"post_processor\":{\"type\":\"TemplateProcessing\",\"single\":[{\"SpecialToken\":{\"id\":\"<s>\",\"type_id\":0}},"     \
    "{\"Sequence\":{\"id\":\"A\",\"type_id\":0}}],\"pair\":[{\"Sequence\":{\"id\":\"A\",\"type_id\":0}},{\"Sequence\":"      \
    "{\"id\":\"B\",\"type_id\":1}}],\"special_tokens\":{\"<s>\":{\"id\":\"<s>\",\"ids\":[0],\"tokens\":[\"<s>\"]}}},"

static const char *const tokenizers[] = {
    /* Byte-level BPE with prefix, whole pieces and both forms of merges. */
    "{" ADDED TEMPLATE
    "\"normalizer\":{\"type\":\"NFC\"},\"pre_tokenizer\":{\"type\":\"ByteLevel\",\"add_prefix_space\":true,\"trim_offsets\":true},"
    "\"decoder\":{\"type\":\"ByteLevel\"},\"model\":{\"type\":\"BPE\",\"ignore_merges\":true,\"vocab\":{\"<s>\":0,\"Ab\":1,\"a\":2,"
    "\"b\":3,\"\\u0120\":4,\"ab\":5,\"\\u0120ab\":6,\"\\u00c3\":7,\"\\u00a9\":8,\"\\u0120abba\":9,\"c\":10},"
    "\"merges\":[\"a b\",[\"\\u0120\",\"ab\"]]}}",
    /* BPE of characters with marks for spaces and bytes. */
    "{" ADDED
    "\"normalizer\":{\"type\":\"Sequence\",\"normalizers\":[{\"type\":\"Prepend\",\"prepend\":\"\\u2581\"},{\"type\":\"Replace\","
    "\"pattern\":{\"String\":\" \"},\"content\":\"\\u2581\"}]},\"decoder\":{\"type\":\"Sequence\",\"decoders\":[{\"type\":\"Replace\","
    "\"pattern\":{\"String\":\"\\u2581\"},\"content\":\" \"},{\"type\":\"ByteFallback\"},{\"type\":\"Fuse\"},{\"type\":\"Strip\","
    "\"content\":\" \",\"start\":1,\"stop\":0}]},\"model\":{\"type\":\"BPE\",\"unk_token\":\"<s>\",\"fuse_unk\":true,"
    "\"byte_fallback\":true,\"vocab\":{\"<s>\":0,\"Ab\":1,\"a\":2,\"b\":3,\"\\u2581\":4,\"ab\":5,\"\\u2581ab\":6,\"<0xC3>\":7,"
    "\"<0xA9>\":8,\"c\":9},\"merges\":[\"a b\",\"\\u2581 ab\"]}}",
    /* WordPiece. */
    "{\"added_tokens\":[{\"id\":0,\"content\":\"<u>\",\"special\":true}],\"normalizer\":{\"type\":\"BertNormalizer\","
    "\"clean_text\":true,\"handle_chinese_chars\":true,\"strip_accents\":null,\"lowercase\":true},\"pre_tokenizer\":"
    "{\"type\":\"BertPreTokenizer\"},\"post_processor\":{\"type\":\"BertProcessing\",\"sep\":[\"<u>\",0],\"cls\":[\"<u>\",0]},"
    "\"decoder\":{\"type\":\"WordPiece\",\"prefix\":\"##\",\"cleanup\":true},\"model\":{\"type\":\"WordPiece\",\"unk_token\":\"<u>\","
    "\"continuing_subword_prefix\":\"##\",\"max_input_chars_per_word\":100,\"vocab\":{\"<u>\":0,\"a\":1,\"##b\":2,\"ab\":3,"
    "\".\":4,\"b\":5,\"cafe\":6}}}",
    /* Unigram behind cuts at white space. */
    "{" ADDED
    "\"normalizer\":{\"type\":\"Sequence\",\"normalizers\":[{\"type\":\"NFKC\"},{\"type\":\"Strip\",\"strip_left\":true,"
    "\"strip_right\":true}]},\"pre_tokenizer\":{\"type\":\"Sequence\",\"pretokenizers\":[{\"type\":\"WhitespaceSplit\"},"
    "{\"type\":\"Metaspace\",\"replacement\":\"\\u2581\",\"prepend_scheme\":\"always\",\"split\":true}]},\"decoder\":"
    "{\"type\":\"Metaspace\",\"replacement\":\"\\u2581\",\"prepend_scheme\":\"always\",\"split\":true},\"model\":{\"type\":\"Unigram\","
    "\"unk_id\":0,\"vocab\":[[\"<s>\",0],[\"Ab\",0],[\"\\u2581\",-1],[\"a\",-2.5],[\"b\",-2.25],[\"ab\",-3],[\"\\u2581ab\",-4],"
    "[\"c\",-3]]}}",
    /* Words. */
    ("{\"added_tokens\":[],\"normalizer\":{\"type\":\"Lowercase\"},\"pre_tokenizer\":{\"type\":\"Whitespace\"},\"decoder\":null,"
    "\"model\":{\"type\":\"WordLevel\",\"unk_token\":\"u\",\"vocab\":{\"u\":0,\"ab\":1,\"abba\":2,\".\":3}}}"),
};

static const char *const texts[] = {"",      "ab",       " ab  abba", "caf\xC3\xA9 ab", "<s> ab Ab(x|y)b", "a b.c ab.",
                                    "\nab\t", "AB abba.", "  (x|y)  ab <s>  b"};

static char root[64], source[80], out[80];

static int make_root(void **state) {
    (void)state;
    strcpy(root, "/tmp/olivine-tokenizer-ir-XXXXXX");
    if (!mkdtemp(root)) return 1;
    snprintf(source, sizeof source, "%s/in", root);
    snprintf(out, sizeof out, "%s/out", root);
    return ol_dir_create(source, NULL) == OLV_OK && ol_dir_create(out, NULL) == OLV_OK ? 0 : 1;
}

static int remove_root(void **state) {
    (void)state;
    return ol_dir_remove(root, NULL) == OLV_OK ? 0 : 1;
}

static void put(const char *name, const char *text) {
    char path[200];
    snprintf(path, sizeof path, "%s/%s", source, name);
    assert_int_equal(ol_file_write_atomic(path, text, strlen(text), NULL), OLV_OK);
}

static size_t files_in(const char *folder) {
    char **names;
    size_t n;
    assert_int_equal(ol_dir_list(folder, &names, &n, NULL), OLV_OK);
    ol_dir_list_free(names, n);
    return n;
}

static void empty_out(void) {
    assert_int_equal(ol_dir_remove(out, NULL), OLV_OK);
    assert_int_equal(ol_dir_create(out, NULL), OLV_OK);
}

/* Ids and text of every sample. */
static void say(const olv_tokenizer *t, ol_buf *said) {
    olv_error err;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        olv_encoding e;
        char *back;
        if (olv_tokenizer_encode(t, texts[i], strlen(texts[i]), NULL, &e, &err) != OLV_OK) fail_msg("%s", err.message);
        for (size_t k = 0; k < e.count; k++) ol_buf_printf(said, "%u ", e.ids[k]);
        if (olv_tokenizer_decode(t, e.ids, e.count, true, &back, NULL, &err) != OLV_OK) fail_msg("%s", err.message);
        ol_buf_printf(said, "\"%s\"\n", back);
        olv_tokenizer_free(back);
        olv_encoding_deinit(&e);
    }
}

static void read_back_says_the_same(void **state) {
    (void)state;
    for (size_t k = 0; k < sizeof tokenizers / sizeof *tokenizers; k++) {
        olv_tokenizer *original, *again;
        olv_error err;
        ol_buf want = OL_BUF_INIT, got = OL_BUF_INIT;
        put("tokenizer.json", tokenizers[k]);
        empty_out();
        if (olv_tokenizer_open(source, &original, &err) != OLV_OK) fail_msg("%zu: %s", k, err.message);
        if (ol_bundle_write_openvino_tokenizer(source, out, &err) != OLV_OK) fail_msg("%zu: %s", k, err.message);
        assert_int_equal(files_in(out), 4);
        if (olv_tokenizer_open(out, &again, &err) != OLV_OK) fail_msg("%zu: %s", k, err.message);
        say(original, &want);
        say(again, &got);
        if (strcmp(got.data, want.data) != 0) fail_msg("tokenizer %zu:\n got %s\nwant %s", k, got.data, want.data);
        ol_buf_deinit(&want);
        ol_buf_deinit(&got);
        olv_tokenizer_close(original);
        olv_tokenizer_close(again);
    }
}

static void template_and_ids_come_along(void **state) {
    (void)state;
    char *text = NULL;
    put("tokenizer.json", tokenizers[0]);
    put("tokenizer_config.json", "{\"chat_template\":\"{{ '<&>' }}\\n\\\"\",\"eos_token\":{\"content\":\"<s>\"}}");
    empty_out();
    assert_int_equal(ol_bundle_write_openvino_tokenizer(source, out, NULL), OLV_OK);
    assert_int_equal(ol_tokenizer_openvino_template(out, &text, NULL), OLV_OK);
    assert_string_equal(text, "{{ '<&>' }}\n\"");
    ol_free(text);
}

static void unsaid_parts_are_named(void **state) {
    static const struct {
        const char *json, *name;
    } cases[] = {
        {"{\"pre_tokenizer\":{\"type\":\"UnicodeScripts\"},\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0},\"merges\":[]}}", "UnicodeScripts"},
        {"{\"normalizer\":{\"type\":\"Nosuch\"},\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0},\"merges\":[]}}", "Nosuch"},
        {"{\"decoder\":{\"type\":\"CTC\"},\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0},\"merges\":[]}}", "CTC"},
        {"{\"model\":{\"type\":\"BPE\",\"continuing_subword_prefix\":\"##\",\"vocab\":{\"a\":0},\"merges\":[]}}", "continuing_subword_prefix"},
        {"{\"model\":{\"type\":\"Unigram\",\"byte_fallback\":true,\"unk_id\":0,\"vocab\":[[\"a\",0]]}}", "byte_fallback"},
        {"{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":4000000000},\"merges\":[]}}", "4000000000"},
        {"{\"added_tokens\":[{\"id\":0}],\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0},\"merges\":[]}}", "added_tokens[0]"},
        {"{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0},\"merges\":[\"ab\"]}}", "merges"},
        {"{\"version\":\"1.0\"}", "model"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        olv_error err = {.message = ""};
        put("tokenizer.json", cases[i].json);
        empty_out();
        assert_int_not_equal(ol_bundle_write_openvino_tokenizer(source, out, &err), OLV_OK);
        if (!strstr(err.message, cases[i].name)) fail_msg("%s: %s", cases[i].name, err.message);
        assert_int_equal(files_in(out), 0);
    }
}

static void every_allocation_may_fail(void **state) {
    (void)state;
    for (size_t k = 0; k < sizeof tokenizers / sizeof *tokenizers; k++) {
        put("tokenizer.json", tokenizers[k]);
        empty_out();
        uint64_t before = ol_alloc_count(), failed = 0;
        assert_int_equal(ol_bundle_write_openvino_tokenizer(source, out, NULL), OLV_OK);
        uint64_t count = ol_alloc_count() - before;
        for (uint64_t n = 1; n <= count; n += 1 + n / 40) {
            olv_error err = {.message = ""};
            empty_out();
            ol_alloc_fail_at(n, true);
            olv_status s = ol_bundle_write_openvino_tokenizer(source, out, &err);
            ol_alloc_fail_at(0, false);
            if (s != OLV_OK && (s != OLV_NOMEM || !err.message[0])) fail_msg("allocation %d: %d %s", (int)n, (int)s, err.message);
            assert_int_equal(files_in(out), s == OLV_OK ? 4 : 0);
            failed += s != OLV_OK;
        }
        assert_true(failed > 20);
        empty_out();
        assert_int_equal(ol_bundle_write_openvino_tokenizer(source, out, NULL), OLV_OK);
        for (uint64_t n = 1, any = 1; any; n += 1 + n / 40) {
            olv_tokenizer *t = NULL;
            olv_error err = {.message = ""};
            ol_alloc_fail_at(n, true);
            olv_status s = olv_tokenizer_open(out, &t, &err);
            ol_alloc_fail_at(0, false);
            if (s != OLV_OK && (s != OLV_NOMEM || !err.message[0])) fail_msg("reading, allocation %d: %d %s", (int)n, (int)s, err.message);
            any = s != OLV_OK;
            olv_tokenizer_close(t);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(read_back_says_the_same), cmocka_unit_test(template_and_ids_come_along),
                                       cmocka_unit_test(unsaid_parts_are_named), cmocka_unit_test(every_allocation_may_fail)};
    return cmocka_run_group_tests(tests, make_root, remove_root);
}
