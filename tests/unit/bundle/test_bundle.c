/* SPDX-License-Identifier: Apache-2.0 */
#include "bundle/bundle.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "../formats/fixture.h"

static char root[64]; /* a folder of the running test */

static int make_root(void **state) {
    (void)state;
    strcpy(root, "/tmp/olivine-bundle-XXXXXX");
    return mkdtemp(root) ? 0 : 1;
}

static int remove_root(void **state) {
    (void)state;
    return ol_dir_remove(root, NULL);
}

static void put(const char *name, const void *data, size_t n) {
    char path[600], *slash;
    olv_error err;
    snprintf(path, sizeof path, "%s/%s", root, name);
    slash = strrchr(path, '/');
    *slash = 0;
    assert_int_equal(ol_dir_create(path, &err), OLV_OK);
    *slash = '/';
    assert_int_equal(ol_file_write_atomic(path, data, n, &err), OLV_OK);
}

static void put_text(const char *name, const char *text) { put(name, text, strlen(text)); }

static void expect_kind(const char *name, ol_bundle_kind want, const char *want_file) {
    char path[600], *file = NULL;
    snprintf(path, sizeof path, "%s%s%s", root, *name ? "/" : "", name);
    ol_bundle_kind k;
    assert_int_equal(ol_bundle_recognize(path, &k, &file, NULL), OLV_OK);
    if (k != want) fail_msg("%s: found %s, expected %s", name, ol_bundle_kind_name(k), ol_bundle_kind_name(want));
    if (want_file) {
        assert_non_null(file);
        assert_string_equal(ol_path_name(file), want_file);
    }
    ol_free(file);
}

/* ModelProto{ir_version 8, graph{}}: too little to be opened, enough to be recognized. */
static const uint8_t onnx[] = {0x08, 0x08, 0x3a, 0x02, 0x12, 0x00};
static const uint8_t gguf[] = {'G', 'G', 'U', 'F', 3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0};
static const char xml[] = "<?xml version=\"1.0\"?>\n<net name=\"m\" version=\"11\"></net>";

static void recognizes_by_content(void **state) {
    (void)state;
    put("a/anything", onnx, sizeof onnx);
    put("b/odd.name", gguf, sizeof gguf);
    put_text("c/graph", xml);
    put_text("d/openvino_model.xml", xml);
    put_text("d/openvino_tokenizer.xml", xml);
    put_text("e/config.json", "{}");
    put_text("e/model.safetensors", "x");
    put_text("f/genai_config.json", "{}");
    put("f/model.onnx", onnx, sizeof onnx);
    put("g/one.onnx", onnx, sizeof onnx);
    put("g/two.onnx", onnx, sizeof onnx);
    put_text("h/readme.txt", "nothing");
    expect_kind("a", OL_BUNDLE_ONNX, "anything");
    expect_kind("a/anything", OL_BUNDLE_ONNX, "anything");
    expect_kind("b", OL_BUNDLE_GGUF, "odd.name");
    expect_kind("c", OL_BUNDLE_OPENVINO, "graph");
    expect_kind("d", OL_BUNDLE_OPENVINO, "openvino_model.xml");
    expect_kind("e", OL_BUNDLE_HF, NULL);
    expect_kind("f", OL_BUNDLE_ORT_GENAI, NULL);
    expect_kind("g", OL_BUNDLE_NONE, NULL);
    expect_kind("h", OL_BUNDLE_NONE, NULL);
    expect_kind("h/readme.txt", OL_BUNDLE_NONE, NULL);
}

static void expect_open_fails(const char *model, olv_status want, const char *part) {
    ol_bundle *b = NULL;
    olv_error err = {OLV_OK, ""};
    olv_status s = ol_bundle_open(model, NULL, &b, &err);
    if (s != want || !strstr(err.message, part)) fail_msg("%s: status %d, message '%s', expected '%s'", model, s, err.message, part);
    assert_null(b);
}

static void says_what_is_missing(void **state) {
    (void)state;
    char path[600];
    setenv("HF_HOME", root, 1);
    expect_open_fails("/nowhere/at/all", OLV_NOT_FOUND, "no such file or folder");
    expect_open_fails("", OLV_ARG, "no model");
    expect_open_fails("someone/something", OLV_NOT_FOUND, "neither a folder ./someone/something");
    put_text("x/readme.txt", "nothing");
    snprintf(path, sizeof path, "%s/x", root);
    expect_open_fails(path, OLV_UNSUPPORTED, "expected config.json with safetensors");
    put_text("y/config.json", "{\"model_type\":\"zorp\"}");
    snprintf(path, sizeof path, "%s/y", root);
    expect_open_fails(path, OLV_UNSUPPORTED, "'zorp' is not supported; known are: ");
    put_text("z/config.json", "{\"model_type\":\"llama\",\"hidden_size\":8,\"num_hidden_layers\":1,\"num_attention_heads\":2,"
                              "\"intermediate_size\":8,\"vocab_size\":8}");
    snprintf(path, sizeof path, "%s/z", root);
    expect_open_fails(path, OLV_NOT_FOUND, "no model.safetensors");
}

static void finds_hub_snapshots(void **state) {
    (void)state;
    char *path = NULL, want[600];
    olv_error err = {OLV_OK, ""};
    setenv("HF_HOME", root, 1);
    unsetenv("HF_HUB_CACHE");
    put_text("hub/models--org--name/refs/main", "abc123\n");
    put_text("hub/models--org--name/refs/v2", "def456");
    put_text("hub/models--org--name/snapshots/abc123/config.json", "{}");
    put_text("hub/models--org--name/snapshots/def456/config.json", "{}");
    if (ol_bundle_resolve("org/name", NULL, &path, &err) != OLV_OK) fail_msg("%s", err.message);
    snprintf(want, sizeof want, "%s/hub/models--org--name/snapshots/abc123", root);
    assert_string_equal(path, want);
    ol_free(path);
    assert_int_equal(ol_bundle_resolve("org/name", "v2", &path, &err), OLV_OK);
    assert_non_null(strstr(path, "def456"));
    ol_free(path);
    assert_int_equal(ol_bundle_resolve("org/name", "def456", &path, &err), OLV_OK);
    ol_free(path);
    assert_int_equal(ol_bundle_resolve("org/name", "v3", &path, &err), OLV_NOT_FOUND);
    assert_non_null(strstr(err.message, "no snapshot of revision 'v3'"));
    assert_int_equal(ol_bundle_resolve("org/name", "../../x", &path, &err), OLV_NOT_FOUND);
}

static void opens_folders(void **state) {
    (void)state;
    char folder[1200];
    olv_error err = {OLV_OK, ""};
    ol_bundle *b = NULL;
    snprintf(folder, sizeof folder, "%s/llm/qwen2/", unpacked("llm"));
    if (ol_bundle_open(folder, NULL, &b, &err) != OLV_OK) fail_msg("%s", err.message);
    assert_int_equal(b->kind, OL_BUNDLE_HF);
    assert_string_equal(b->name, "qwen2");
    assert_string_equal(b->info.model_type, "qwen2");
    assert_string_equal(b->info.architecture, "Qwen2ForCausalLM");
    assert_int_equal(b->info.vocab_size, 512);
    assert_int_equal(b->info.context_length, 512);
    assert_int_equal(b->generation.n_eos, 1);
    assert_int_equal(b->generation.eos[0], 499);
    assert_int_equal(b->generation.top_k, 20);
    assert_non_null(b->chat_template);
    assert_string_equal(ol_path_name(b->tokenizer), "tokenizer.json");
    assert_true(b->info.parameters > 100000 && b->info.weight_bytes > b->info.parameters);
    ol_graph *g = ol_bundle_take_graph(b);
    assert_non_null(g);
    ol_graph_destroy(g);
    ol_bundle_close(b);
    ol_bundle_options only = {NULL, true};
    snprintf(folder, sizeof folder, "%s/ortgenai/smollm2-int4", unpacked("ortgenai"));
    if (ol_bundle_open(folder, &only, &b, &err) != OLV_OK) fail_msg("%s", err.message);
    assert_int_equal(b->kind, OL_BUNDLE_ORT_GENAI);
    assert_null(b->graph);
    assert_int_equal(b->info.n_layers, 2);
    assert_int_equal(b->generation.max_length, 1024);
    assert_non_null(b->chat_template);
    ol_bundle_close(b);
    strcat(folder, "/model.onnx"); /* the model file of such a folder means the folder */
    if (ol_bundle_open(folder, NULL, &b, &err) != OLV_OK) fail_msg("%s", err.message);
    assert_int_equal(b->kind, OL_BUNDLE_ORT_GENAI);
    assert_int_equal(b->graph->n_states, 2);
    ol_bundle_close(b);
}

static void finds_chat_templates(void **state) {
    (void)state;
    char path[600];
    olv_error err = {OLV_OK, ""};
    ol_bundle *b = NULL;
    ol_bundle_options only = {NULL, true};
    put_text("t/config.json", "{\"model_type\":\"llama\",\"eos_token_id\":[1,2]}");
    put_text("t/model.safetensors", "x");
    put_text("t/tokenizer_config.json", "{\"chat_template\":[{\"name\":\"tool_use\",\"template\":\"T\"},"
                                        "{\"name\":\"default\",\"template\":\"D\"}]}");
    snprintf(path, sizeof path, "%s/t", root);
    if (ol_bundle_open(path, &only, &b, &err) != OLV_OK) fail_msg("%s", err.message);
    assert_string_equal(b->chat_template, "D");
    assert_null(b->chat_template_file);
    assert_int_equal(b->generation.n_eos, 2);
    ol_bundle_close(b);
    put_text("t/chat_template.jinja", "J");
    assert_int_equal(ol_bundle_open(path, &only, &b, &err), OLV_OK);
    assert_string_equal(b->chat_template, "J");
    assert_non_null(b->chat_template_file);
    ol_bundle_close(b);
}

int main(void) {
#define IN_ROOT(test) cmocka_unit_test_setup_teardown(test, make_root, remove_root)
    const struct CMUnitTest tests[] = {
        IN_ROOT(recognizes_by_content), IN_ROOT(says_what_is_missing), IN_ROOT(finds_hub_snapshots),
        IN_ROOT(opens_folders),         IN_ROOT(finds_chat_templates),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
