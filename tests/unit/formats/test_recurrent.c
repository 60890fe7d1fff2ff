/* SPDX-License-Identifier: Apache-2.0 */
/* Folders of models with recurrent layers: golden logits on the reference device, configurations that do not hold, and lack
 * of memory at any point. */
#include "formats/huggingface/huggingface.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "fixture.h"
#include "golden.h"

static void gives_the_golden_logits(void **state) {
    (void)state;
    check_golden_folders("llm-recurrent", 12, 0, 1e-4);
}

static void check(const char *text, olv_status want, const char *part) {
    olv_error err = {OLV_OK, ""};
    olv_status s = ol_hf_check_config(text, strlen(text), &err);
    if (s != want || (part && !strstr(err.message, part)))
        fail_msg("%s: status %d, message '%s', expected %d and '%s'", text, s, err.message, want, part ? part : "");
}

#define SIZES "\"hidden_size\":32,\"num_hidden_layers\":2,\"vocab_size\":50"
#define HEADS SIZES ",\"num_attention_heads\":4,\"intermediate_size\":48"
#define MAMBA(more) "{\"model_type\":\"mamba\"," SIZES more "}"
#define MAMBA2(more) "{\"model_type\":\"mamba2\"," SIZES ",\"head_dim\":8" more "}"
#define HYBRID(more) "{\"model_type\":\"granitemoehybrid\"," HEADS ",\"num_local_experts\":0,\"mamba_d_head\":8" more "}"
#define QWEN(more) "{\"model_type\":\"qwen3_5_text\"," HEADS more "}"

static void names_key_found_and_expected(void **state) {
    (void)state;
    check(MAMBA(""), OLV_OK, NULL);
    check(MAMBA(",\"time_step_rank\":\"auto\""), OLV_OK, NULL);
    check(MAMBA(",\"conv_kernel\":0"), OLV_FORMAT, "'conv_kernel'");
    check(MAMBA(",\"conv_kernel\":17"), OLV_FORMAT, "'conv_kernel'");
    check(MAMBA(",\"state_size\":-3"), OLV_FORMAT, "'state_size'");
    check(MAMBA(",\"time_step_rank\":99999999"), OLV_FORMAT, "'time_step_rank'");
    check(MAMBA(",\"expand\":1000"), OLV_FORMAT, "'expand'");
    check(MAMBA2(",\"num_heads\":8,\"n_groups\":2,\"time_step_limit\":[0.0,Infinity]"), OLV_OK, NULL);
    check(MAMBA2(",\"num_heads\":7"), OLV_FORMAT, "7 Mamba heads of 8 values, expected 64 values in all");
    check(MAMBA2(",\"num_heads\":8,\"n_groups\":3"), OLV_FORMAT, "3 Mamba groups, expected a divisor of the 8 heads");
    check(MAMBA2(",\"num_heads\":8,\"n_groups\":1,\"time_step_limit\":[1,0.5]"), OLV_FORMAT, "'time_step_limit'");
    check(MAMBA2(",\"num_heads\":8,\"n_groups\":1,\"time_step_limit\":7"), OLV_FORMAT, "'time_step_limit'");
    check(HYBRID(",\"mamba_n_heads\":8"), OLV_OK, NULL);
    check(HYBRID(",\"mamba_n_heads\":8,\"layer_types\":[\"mamba\",\"attention\"]"), OLV_OK, NULL);
    check(HYBRID(",\"mamba_n_heads\":8,\"layer_types\":[\"mamba\"]"), OLV_FORMAT, "found a list of 1, expected a list of 2 names");
    check(HYBRID(",\"mamba_n_heads\":8,\"layer_types\":[\"mamba\",\"conv\"]"), OLV_UNSUPPORTED, "found 'conv'");
    check(HYBRID(",\"mamba_n_heads\":8,\"layer_types\":[\"mamba\",4]"), OLV_UNSUPPORTED, "entry 1");
    check("{\"model_type\":\"bamba\"," HEADS ",\"mamba_n_heads\":8,\"mamba_d_head\":8,\"attn_layer_indices\":[2]}", OLV_FORMAT,
          "found 2, expected less than 2");
    check("{\"model_type\":\"falcon_h1\"," HEADS ",\"mamba_n_heads\":8,\"mamba_d_head\":8,\"ssm_multipliers\":[1,2]}", OLV_FORMAT,
          "'ssm_multipliers'");
    check("{\"model_type\":\"lfm2\"," HEADS ",\"full_attn_idxs\":[0,-1]}", OLV_FORMAT, "'full_attn_idxs'");
    check("{\"model_type\":\"lfm2\"," HEADS ",\"block_multiple_of\":0}", OLV_FORMAT, "'block_multiple_of'");
    check(QWEN(""), OLV_OK, NULL);
    check(QWEN(",\"linear_num_key_heads\":5"), OLV_FORMAT, "found 5, expected a divisor of the 32 value heads");
    check(QWEN(",\"linear_key_head_dim\":70000"), OLV_FORMAT, "'linear_key_head_dim'");
    check(QWEN(",\"layer_types\":[\"linear_attention\",\"sliding_attention\"]"), OLV_UNSUPPORTED, "sliding_attention");
    check("{\"model_type\":\"rwkv\"," SIZES ",\"rescale_every\":-1}", OLV_OK, NULL);
    check("{\"model_type\":\"rwkv\"," SIZES ",\"rescale_every\":\"often\"}", OLV_FORMAT, "'rescale_every'");
}

static void survives_failing_allocations(void **state) {
    (void)state;
    static const char *const names[] = {"falcon_h1", "lfm2_moe", "mamba", "qwen3_next", "qwen3_5_text", "rwkv"};
    char folder[1200];
    olv_error err;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        bool done = false;
        snprintf(folder, sizeof folder, "%s/llm/%s", unpacked("llm-recurrent"), names[i]);
        for (uint64_t n = 1; !done && n < 100000; n += 1 + n / 50) {
            ol_graph *g = NULL;
            ol_alloc_fail_at(n, true);
            olv_status s = ol_hf_read(folder, &g, &err);
            ol_alloc_fail_at(0, false);
            if (s != OLV_OK && s != OLV_NOMEM) fail_msg("%s, allocation %llu: %s", names[i], (unsigned long long)n, err.message);
            done = s == OLV_OK;
            if (g) ol_graph_destroy(g);
        }
        assert_true(done);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gives_the_golden_logits),
        cmocka_unit_test(names_key_found_and_expected),
        cmocka_unit_test(survives_failing_allocations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
