/* SPDX-License-Identifier: Apache-2.0 */
#include "formats/huggingface/huggingface.h"

#include "formats/huggingface/config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "fixture.h"
#include "golden.h"

/* Every family, in f32. */
static void gives_the_golden_logits(void **state) {
    (void)state;
    check_golden_folders("llm", 20, 1, 2e-4);
}

/* ---- configs ---- */

#define LLAMA(more)                                                                                \
    "{\"model_type\":\"llama\",\"hidden_size\":64,\"num_hidden_layers\":2,\"num_attention_heads\":4,"  \
    "\"intermediate_size\":96,\"vocab_size\":100" more "}"

static void check(const char *text, olv_status want, const char *part) {
    olv_error err = {OLV_OK, ""};
    olv_status s = ol_hf_check_config(text, strlen(text), &err);
    if (s != want || (part && !strstr(err.message, part)))
        fail_msg("%s: status %d, message '%s', expected %d and '%s'", text, s, err.message, want, part ? part : "");
}

static void names_key_found_and_expected(void **state) {
    (void)state;
    check(LLAMA(""), OLV_OK, NULL);
    check(LLAMA(",\"rope_scaling\":null,\"torch_dtype\":\"float16\""), OLV_OK, NULL);
    check("{}", OLV_FORMAT, "'model_type': missing");
    check("[]", OLV_FORMAT, "object");
    check("{\"model_type\":\"nope\"}", OLV_UNSUPPORTED, "model_type 'nope' is not supported; known are: ");
    check("{\"model_type\":\"nope\"}", OLV_UNSUPPORTED, "qwen3_moe");
    check("{\"model_type\":\"llama\"}", OLV_FORMAT, "'vocab_size': missing");
    check(LLAMA(",\"num_key_value_heads\":3"), OLV_FORMAT, "'num_key_value_heads'");
    check(LLAMA(",\"num_key_value_heads\":-1"), OLV_FORMAT, "'num_key_value_heads'");
    check(LLAMA(",\"head_dim\":1e300"), OLV_FORMAT, "'head_dim'");
    check(LLAMA(",\"head_dim\":\"16\""), OLV_FORMAT, "'head_dim'");
    check(LLAMA(",\"max_position_embeddings\":0"), OLV_FORMAT, "'max_position_embeddings'");
    check(LLAMA(",\"rms_norm_eps\":-1"), OLV_FORMAT, "'rms_norm_eps'");
    check(LLAMA(",\"rms_norm_eps\":Infinity"), OLV_FORMAT, "'rms_norm_eps'");
    check(LLAMA(",\"hidden_act\":\"silly\""), OLV_UNSUPPORTED, "'silly'");
    check(LLAMA(",\"rope_theta\":0"), OLV_FORMAT, "'rope_theta'");
    check(LLAMA(",\"rope_scaling\":{\"rope_type\":\"spiral\"}"), OLV_UNSUPPORTED, "'spiral'");
    check(LLAMA(",\"rope_scaling\":{\"rope_type\":\"linear\"}"), OLV_FORMAT, "'factor': missing");
    check(LLAMA(",\"rope_scaling\":[1]"), OLV_FORMAT, "'rope_scaling'");
    check(LLAMA(",\"rope_scaling\":{\"type\":\"longrope\",\"short_factor\":[1],\"long_factor\":[1]}"), OLV_FORMAT,
          "'short_factor': found a list of 1, expected a list of 8 numbers");
    check(LLAMA(",\"partial_rotary_factor\":2"), OLV_FORMAT, "'partial_rotary_factor'");
    check(LLAMA(",\"quantization_config\":{\"quant_method\":\"nosuch\"}"), OLV_UNSUPPORTED,
          "found quant_method 'nosuch'; known are: ");
    check("{\"model_type\":\"llama\",\"hidden_size\":63,\"num_hidden_layers\":2,\"num_attention_heads\":4,"
          "\"intermediate_size\":96,\"vocab_size\":100}", OLV_FORMAT, "'hidden_size'");
    check("{\"model_type\":\"llama\",\"hidden_size\":64,\"num_hidden_layers\":99999999,\"num_attention_heads\":4,"
          "\"intermediate_size\":96,\"vocab_size\":100}", OLV_FORMAT, "'num_hidden_layers'");
}

/* ---- rotary frequencies ---- */

static void read_config(const char *text, ol_arena *arena, ol_hf_config *c) {
    json_t *j;
    olv_error err = {OLV_OK, ""};
    assert_int_equal(ol_json_parse(text, strlen(text), "test", &j, &err), OLV_OK);
    if (ol_hf_config_read(j, arena, c, &err) != OLV_OK) fail_msg("%s: %s", text, err.message);
    json_decref(j);
}

static void near(float have, double want) {
    if (fabs((double)have - want) > 2e-6 * fabs(want) + 1e-12) fail_msg("found %.9g, expected %.9g", (double)have, want);
}

/* Heads of 16, theta 10000: base frequencies 10000^(-i/8). */
static void scales_frequencies(void **state) {
    (void)state;
    ol_hf_config c;
    ol_arena *a = ol_arena_create();
    read_config(LLAMA(""), a, &c);
    assert_int_equal(c.ropes[0].dim, 16);
    for (int i = 0; i < 8; i++) near(c.ropes[0].inv_freq[i], pow(10000, -i / 8.0));
    read_config(LLAMA(",\"rope_parameters\":{\"rope_type\":\"linear\",\"factor\":4,\"rope_theta\":500}"), a, &c);
    for (int i = 0; i < 8; i++) near(c.ropes[0].inv_freq[i], pow(500, -i / 8.0) / 4);
    read_config(LLAMA(",\"partial_rotary_factor\":0.5"), a, &c);
    assert_int_equal(c.ropes[0].dim, 8);
    for (int i = 0; i < 4; i++) near(c.ropes[0].inv_freq[i], pow(10000, -i / 4.0));
    read_config(LLAMA(",\"rope_scaling\":{\"rope_type\":\"proportional\",\"partial_rotary_factor\":0.25}"), a, &c);
    assert_int_equal(c.ropes[0].dim, 16);
    for (int i = 0; i < 8; i++) near(c.ropes[0].inv_freq[i], i < 2 ? pow(10000, -i / 8.0) : 0);
    /* llama3: wave lengths below 64/4 stay, above 64/1 are divided, between them mixed. */
    read_config(LLAMA(",\"rope_scaling\":{\"rope_type\":\"llama3\",\"factor\":8,\"low_freq_factor\":1,"
                      "\"high_freq_factor\":4,\"original_max_position_embeddings\":64}"), a, &c);
    near(c.ropes[0].inv_freq[0], 1);
    near(c.ropes[0].inv_freq[7], pow(10000, -7 / 8.0) / 8);
    double f2 = pow(10000, -1 / 8.0), s = (64 / (2 * M_PI / f2) - 1) / 3; /* i = 1: wave length 19.9 */
    near(c.ropes[0].inv_freq[1], (1 - s) * f2 / 8 + s * f2);
    /* yarn: factor 4 over 128 positions; the ramp goes from floor 1.4.. to ceil 5.2.. */
    read_config(LLAMA(",\"rope_scaling\":{\"rope_type\":\"yarn\",\"factor\":4,"
                      "\"original_max_position_embeddings\":128}"), a, &c);
    near((float)c.ropes[0].attention_factor, 0.1 * log(4) + 1);
    double per = 2 * log(10000), low = fmax(floor(16 * log(128 / (32 * 2 * M_PI)) / per), 0), high = ceil(16 * log(128 / (2 * M_PI)) / per);
    for (int i = 0; i < 8; i++) {
        double w = pow(10000, -i / 8.0), r = fmin(fmax((i - low) / (high - low), 0), 1);
        near(c.ropes[0].inv_freq[i], w / 4 * r + w * (1 - r));
    }
    read_config(LLAMA(",\"max_position_embeddings\":256,\"rope_scaling\":{\"type\":\"dynamic\",\"factor\":2}"), a, &c);
    assert_int_equal(c.ropes[0].mode, OL_HF_ROPE_DYNAMIC);
    assert_int_equal(c.ropes[0].original_length, 256);
    read_config(LLAMA(",\"max_position_embeddings\":256,\"rope_scaling\":{\"type\":\"longrope\",\"short_factor\":[1,1,1,1,1,1,1,1],"
                      "\"long_factor\":[1,2,3,4,5,6,7,8],\"original_max_position_embeddings\":64}"), a, &c);
    for (int i = 0; i < 8; i++) near(c.ropes[0].inv_freq_long[i], pow(10000, -i / 8.0) / (i + 1));
    near((float)c.ropes[0].attention_factor_long, sqrt(1 + log(4) / log(64)));
    ol_arena_destroy(a);
}

/* The styles of transformers 4 and 5 say the same. */
static void reads_both_styles(void **state) {
    (void)state;
    char path[1300], *text;
    size_t len;
    olv_error err;
    ol_arena *a = ol_arena_create();
    static const char *const families[] = {"gemma3_text", "qwen3_moe"};
    for (size_t f = 0; f < 2; f++) {
        ol_hf_config c[2];
        for (int style = 0; style < 2; style++) {
            snprintf(path, sizeof path, "%s/llm/%s/%s", unpacked("llm"), families[f], style ? "config.v4.json" : "config.json");
            if (!ol_file_exists(path)) fail_msg("%s is missing", path);
            assert_int_equal(ol_file_read(path, 1 << 20, &text, &len, &err), OLV_OK);
            read_config(text, a, &c[style]);
            ol_free(text);
        }
        assert_int_equal(c[0].n_ropes, c[1].n_ropes);
        for (int r = 0; r < c[0].n_ropes; r++)
            assert_memory_equal(c[0].ropes[r].inv_freq, c[1].ropes[r].inv_freq, (size_t)c[0].ropes[r].dim / 2 * sizeof(float));
        for (int64_t l = 0; l < c[0].n_layers; l++) {
            assert_int_equal(c[0].layers[l].window, c[1].layers[l].window);
            assert_int_equal(c[0].layers[l].rope, c[1].layers[l].rope);
        }
    }
    ol_arena_destroy(a);
}

/* ---- tensors ---- */

/* A copy of a folder's config with one thing wrong, beside its weights. */
static void expect_read(const char *folder, const char *from, const char *to, olv_status want, const char *part) {
    char dir[] = "/tmp/olivine-hf-XXXXXX", command[3000], path[300], *text;
    size_t len;
    olv_error err = {OLV_OK, ""};
    assert_non_null(mkdtemp(dir));
    snprintf(command, sizeof command, "cp '%s'/*.safetensors %s/", folder, dir);
    assert_int_equal(system(command), 0);
    snprintf(command, sizeof command, "%s/config.json", folder);
    assert_int_equal(ol_file_read(command, 1 << 20, &text, &len, &err), OLV_OK);
    char *at = strstr(text, from);
    assert_non_null(at);
    ol_buf b = OL_BUF_INIT;
    ol_buf_append(&b, text, (size_t)(at - text));
    ol_buf_puts(&b, to);
    ol_buf_puts(&b, at + strlen(from));
    snprintf(path, sizeof path, "%s/config.json", dir);
    assert_int_equal(ol_file_write_atomic(path, b.data, b.len, &err), OLV_OK);
    ol_graph *g = NULL;
    assert_int_equal(ol_hf_read(dir, &g, &err), want);
    if (!strstr(err.message, part)) fail_msg("message '%s' lacks '%s'", err.message, part);
    assert_null(g);
    ol_buf_deinit(&b);
    ol_free(text);
    assert_int_equal(ol_dir_remove(dir, &err), OLV_OK);
}

static void names_bad_tensors(void **state) {
    (void)state;
    char folder[1200];
    snprintf(folder, sizeof folder, "%s/llm/llama-tied", unpacked("llm"));
    expect_read(folder, "\"num_hidden_layers\": 3", "\"num_hidden_layers\": 4", OLV_NOT_FOUND,
                "tensor 'model.layers.3.input_layernorm.weight' is missing");
    expect_read(folder, "\"intermediate_size\": 160", "\"intermediate_size\": 161", OLV_SHAPE,
                "found shape [160,64], expected [161,64]");
    expect_read(folder, "\"tie_word_embeddings\": true", "\"tie_word_embeddings\": false", OLV_NOT_FOUND,
                "tensor 'lm_head.weight' is missing");
    expect_read(folder, "\"vocab_size\": 512", "\"vocab_size\": 511", OLV_SHAPE, "model.embed_tokens.weight");
}

/* ---- generation settings ---- */

static void reads_generation_settings(void **state) {
    (void)state;
    static const char good[] = "{\"eos_token_id\":[2,7],\"bos_token_id\":1,\"pad_token_id\":null,\"do_sample\":true,"
                               "\"temperature\":0.7,\"top_k\":20,\"top_p\":0.8,\"repetition_penalty\":1.05,"
                               "\"stop_strings\":[\"a\",\"b\"],\"bad_words_ids\":[[1,2],[3]],\"suppress_tokens\":[4],"
                               "\"max_new_tokens\":64,\"transformers_version\":\"5\"}";
    static const struct {
        const char *text, *part;
    } bad[] = {{"{\"top_p\":1.5}", "'top_p'"}, {"{\"temperature\":-1}", "'temperature'"},
               {"{\"eos_token_id\":-5}", "'eos_token_id'"}, {"{\"eos_token_id\":\"x\"}", "'eos_token_id'"},
               {"{\"repetition_penalty\":0}", "'repetition_penalty'"}, {"{\"num_beams\":0}", "'num_beams'"},
               {"{\"stop_strings\":[1]}", "'stop_strings'"}, {"{\"bad_words_ids\":[[]]}", "'bad_words_ids'"},
               {"{\"do_sample\":1}", "'do_sample'"}};
    json_t *j;
    olv_error err = {OLV_OK, ""};
    ol_gen_config c;
    ol_gen_config_init(&c);
    assert_int_equal(ol_json_parse(good, sizeof good - 1, "test", &j, &err), OLV_OK);
    if (ol_gen_config_read(&c, j, &err) != OLV_OK) fail_msg("%s", err.message);
    json_decref(j);
    assert_true(c.n_eos == 2 && c.eos[0] == 2 && c.eos[1] == 7 && c.bos == 1 && c.pad == -1 && c.do_sample);
    assert_true(c.top_k == 20 && fabs(c.temperature - 0.7) < 1e-12 && c.max_new_tokens == 64 && c.max_length == -1);
    assert_true(c.n_stop_strings == 2 && strcmp(c.stop_strings[1], "b") == 0);
    assert_true(c.n_bad_words == 5 && c.bad_words[0] == 2 && c.bad_words[2] == 2 && c.bad_words[3] == 1 && c.bad_words[4] == 3);
    assert_true(c.n_suppress == 1 && c.suppress[0] == 4);
    ol_gen_config_deinit(&c);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(ol_json_parse(bad[i].text, strlen(bad[i].text), "test", &j, &err), OLV_OK);
        assert_int_equal(ol_gen_config_read(&c, j, &err), OLV_FORMAT);
        if (!strstr(err.message, bad[i].part)) fail_msg("%s: message '%s'", bad[i].text, err.message);
        json_decref(j);
    }
    ol_gen_config_deinit(&c);
}

static void survives_failing_allocations(void **state) {
    (void)state;
    char folder[1200];
    olv_error err;
    bool done = false;
    snprintf(folder, sizeof folder, "%s/llm/qwen3_moe", unpacked("llm"));
    for (uint64_t n = 1; !done && n < 100000; n += 1 + n / 20) {
        ol_graph *g = NULL;
        ol_alloc_fail_at(n, true);
        olv_status s = ol_hf_read(folder, &g, &err);
        ol_alloc_fail_at(0, false);
        if (s != OLV_OK && s != OLV_NOMEM) fail_msg("allocation %llu: %s", (unsigned long long)n, err.message);
        done = s == OLV_OK;
        if (g) ol_graph_destroy(g);
    }
    assert_true(done);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gives_the_golden_logits), cmocka_unit_test(names_key_found_and_expected),
        cmocka_unit_test(scales_frequencies),      cmocka_unit_test(reads_both_styles),
        cmocka_unit_test(names_bad_tensors),       cmocka_unit_test(reads_generation_settings),
        cmocka_unit_test(survives_failing_allocations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
