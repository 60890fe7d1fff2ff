/* SPDX-License-Identifier: Apache-2.0 */
/* The files of fuzz/corpus that are made by hand: good-* must be read, bad-* refused with a message of one line. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/alloc.h"
#include "base/file.h"
#include "formats/gguf/gguf.h"
#include "formats/huggingface/huggingface.h"
#include "formats/onnx/onnx.h"
#include "formats/openvino/openvino.h"
#include "formats/pytorch/pickle.h"
#include "formats/pytorch/pytorch.h"
#include "text/tokenizer.h"

#include <stdio.h>

typedef olv_status check_fn(const uint8_t *data, size_t len, olv_error *err);

static olv_status pytorch(const uint8_t *data, size_t len, olv_error *err) {
    if (len < 3 || memcmp(data, "PKL", 3) != 0) return ol_pytorch_check(data, len, err);
    ol_arena *arena = ol_arena_create();
    ol_bytes r = ol_bytes_of(data + 3, len - 3);
    ol_pk_value *v = NULL;
    assert_non_null(arena);
    olv_status s = ol_pk_read(&r, arena, &v, err);
    ol_arena_destroy(arena);
    return s;
}

static olv_status hf_config(const uint8_t *data, size_t len, olv_error *err) {
    return ol_hf_check_config((const char *)data, len, err);
}

static olv_status onnx(const uint8_t *data, size_t len, olv_error *err) {
    ol_graph *g;
    olv_status s = ol_onnx_read_bytes(data, len, "corpus.onnx", NULL, &g, err);
    if (s == OLV_OK) ol_graph_destroy(g);
    return s;
}

static olv_status tokenizer(const uint8_t *data, size_t len, olv_error *err) {
    olv_tokenizer *t;
    olv_status s = len && data[0] == '\n' ? ol_tokenizer_open_spm(data, len, "corpus.model", &t, err)
                                          : ol_tokenizer_open_json((const char *)data, len, "corpus.json", &t, err);
    if (s == OLV_OK) olv_tokenizer_close(t);
    return s;
}

static int check_file(const char *dir, const char *name, check_fn *check) {
    char *path = ol_path_join(dir, name), *data;
    size_t len;
    olv_error err = {OLV_OK, ""};
    assert_non_null(path);
    assert_int_equal(ol_file_read(path, 1 << 20, &data, &len, &err), OLV_OK);
    bool good = strncmp(name, "good", 4) == 0;
    olv_status s = check((const uint8_t *)data, len, &err);
    int wrong = good != (s == OLV_OK);
    if (wrong) print_error("%s/%s: %s\n", dir, name, s == OLV_OK ? "was read" : err.message);
    if (!good && s != OLV_OK && (!err.message[0] || strchr(err.message, '\n') || err.status != s)) {
        print_error("%s/%s: status %d, message '%s' of status %d\n", dir, name, (int)s, err.message, (int)err.status);
        wrong = 1;
    }
    ol_free(data);
    ol_free(path);
    return wrong;
}

static void check_folder(const char *target, check_fn *check, size_t least) {
    char dir[1024], **names;
    size_t n, seen = 0;
    int wrong = 0;
    olv_error err;
    snprintf(dir, sizeof dir, "%s/../../fuzz/corpus/%s", OL_TEST_DATA, target);
    assert_int_equal(ol_dir_list(dir, &names, &n, &err), OLV_OK);
    for (size_t i = 0; i < n; i++) {
        if (strncmp(names[i], "good", 4) != 0 && strncmp(names[i], "bad-", 4) != 0) continue;
        seen++;
        wrong += check_file(dir, names[i], check);
    }
    ol_dir_list_free(names, n);
    assert_true(seen >= least);
    assert_int_equal(wrong, 0);
}

static void test_pytorch(void **state) {
    (void)state;
    check_folder("pytorch", pytorch, 80);
}
static void test_safetensors(void **state) {
    (void)state;
    check_folder("safetensors", ol_safetensors_check, 20);
}
static void test_gguf(void **state) {
    (void)state;
    check_folder("gguf", ol_gguf_check, 20);
}
static olv_status openvino(const uint8_t *data, size_t len, olv_error *err) {
    static const uint8_t bin[4096] = {1};
    ol_graph *g = NULL;
    olv_status s = ol_openvino_read_bytes((const char *)data, len, bin, sizeof bin, "corpus.xml", &g, err);
    ol_graph_destroy(g);
    return s;
}

static void test_openvino(void **state) {
    (void)state;
    check_folder("openvino", openvino, 10);
}

static void test_onnx(void **state) {
    (void)state;
    check_folder("onnx", onnx, 20);
}
static void test_hf_config(void **state) {
    (void)state;
    check_folder("hf_config", hf_config, 30);
}
static void test_tokenizer(void **state) {
    (void)state;
    check_folder("tokenizer", tokenizer, 20);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_pytorch), cmocka_unit_test(test_safetensors),
                                       cmocka_unit_test(test_gguf),    cmocka_unit_test(test_onnx), cmocka_unit_test(test_openvino),
                                       cmocka_unit_test(test_hf_config), cmocka_unit_test(test_tokenizer)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
