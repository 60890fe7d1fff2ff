/* SPDX-License-Identifier: Apache-2.0 */
/* Lack of memory at every place: the n-th allocation fails, and all after it. Whatever the place, the work says OLV_NOMEM,
 * leaks nothing (under the address sanitizer), and the same objects work when there is memory again. */
#include "base/alloc.h"
#include <olivine/pipeline.h>
#include <olivine/template.h>
#include <olivine/tokenizer.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define MODEL OL_TEST_DATA "/../../models/pebble"
#define EACH 400      /* the first so many places one by one */
#define MAX_TRIES 1500 /* then in steps, so that there are about so many in all */

typedef olv_status work_fn(olv_error *err);

/* Work must come to an end with memory, and with OLV_NOMEM, or without being troubled, without. */
static void try_every_place(work_fn *work, const char *what) {
    olv_error err = {OLV_OK, ""};
    olv_status s = work(&err); /* what is made once is made */
    uint64_t before = ol_alloc_count();
    if (s == OLV_OK) s = work(&err);
    if (s != OLV_OK) fail_msg("%s: %s", what, err.message);
    uint64_t n = ol_alloc_count() - before, step = n > MAX_TRIES ? (n - EACH) / (MAX_TRIES - EACH) + 1 : 1;
    assert_true(n > 3);
    for (int all = 0; all < 2; all++) {
        for (uint64_t i = 1; i <= n; i += i < EACH ? 1 : step) {
            snprintf(err.message, sizeof err.message, "nothing");
            ol_alloc_fail_at(i, all);
            s = work(&err);
            ol_alloc_fail_at(0, false);
            if (s != OLV_NOMEM && s != OLV_OK)
                fail_msg("%s: allocation %llu of %llu%s: status %s: %s", what, (unsigned long long)i, (unsigned long long)n,
                         all ? " and all after it" : "", olv_status_text(s), err.message);
            if (s == OLV_OK && all && i < n / 2) fail_msg("%s: goes on without allocation %llu", what, (unsigned long long)i);
        }
    }
    s = work(&err);
    if (s != OLV_OK) fail_msg("%s, with memory again: %s", what, err.message);
}

static olv_status open_with(const char *weights, const char *precision, olv_error *err) {
    olv_pipeline_options o;
    olv_pipeline *p;
    olv_pipeline_options_init(&o);
    o.threads = 1;
    o.no_cache = true;
    o.weights = weights;
    o.precision = precision;
    o.no_tokenizer = true;
    olv_status s = olv_pipeline_open(MODEL, &o, &p, err);
    if (s == OLV_OK) olv_pipeline_close(p);
    return s;
}

static olv_status open_plain(olv_error *err) { return open_with(NULL, NULL, err); }
static olv_status open_int4(olv_error *err) { return open_with("int4", "f32", err); }

static olv_status tokenize(olv_error *err) {
    static const char text[] = "One day, a small \xc3\xa9l\xc3\xa9phant.";
    olv_tokenizer *t;
    olv_status s = olv_tokenizer_open(MODEL, &t, err);
    if (s != OLV_OK) return s;
    olv_encoding e;
    memset(&e, 0, sizeof e);
    s = olv_tokenizer_encode(t, text, strlen(text), NULL, &e, err);
    if (s == OLV_OK) olv_encoding_deinit(&e);
    olv_tokenizer_close(t);
    return s;
}

static olv_status render(olv_error *err) {
    olv_template *t;
    static const char vars[] = "{\"messages\":[{\"role\":\"user\",\"content\":\"2 + 2\"}],\"add_generation_prompt\":true}";
    char *text = NULL;
    olv_status s = olv_template_open(MODEL, &t, err);
    if (s != OLV_OK) return s;
    s = olv_template_render(t, vars, strlen(vars), NULL, &text, NULL, err);
    if (s == OLV_OK) olv_free(text);
    olv_template_destroy(t);
    return s;
}

static olv_pipeline *opened;
static const char *schema;

static olv_status generate(olv_error *err) {
    olv_generation_config c;
    olv_generation g;
    olv_pipeline_get_config(opened, &c);
    c.max_new_tokens = 6;
    c.do_sample = false;
    c.json_schema = schema;
    c.no_prompt_reuse = true;
    olv_status s = olv_generate(opened, &(olv_prompt){.messages = "[{\"role\":\"user\",\"content\":\"One day a small fox went into the dark wood and saw a bird?\"}]"},
                                &c, NULL, NULL, &g, err);
    if (s == OLV_OK) olv_generation_deinit(&g);
    return s;
}

static olv_status beams(olv_error *err) {
    olv_generation_config c;
    olv_generation g;
    olv_pipeline_get_config(opened, &c);
    c.max_new_tokens = 4;
    c.do_sample = false;
    c.num_beams = 3;
    olv_status s = olv_generate(opened, &(olv_prompt){.text = "2 + 2 ="}, &c, NULL, NULL, &g, err);
    if (s == OLV_OK) olv_generation_deinit(&g);
    return s;
}

static void opening(void **state) {
    (void)state;
    try_every_place(open_plain, "opening a folder");
}
static void opening_compressed(void **state) {
    (void)state;
    try_every_place(open_int4, "opening with int4 weights");
}
static void tokenizing(void **state) {
    (void)state;
    try_every_place(tokenize, "tokenizing");
}
static void rendering(void **state) {
    (void)state;
    try_every_place(render, "rendering a template");
}
static void generating(void **state) {
    (void)state;
    olv_pipeline_options o;
    olv_error err = {OLV_OK, ""};
    olv_pipeline_options_init(&o);
    o.threads = 1;
    o.no_cache = true;
    if (olv_pipeline_open(MODEL, &o, &opened, &err) != OLV_OK) fail_msg("%s", err.message);
    schema = NULL;
    try_every_place(generate, "generating");
    try_every_place(beams, "beam search");
    schema = "{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"integer\"}},\"required\":[\"a\"]}";
    try_every_place(generate, "generating JSON");
    olv_pipeline_close(opened);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(opening), cmocka_unit_test(opening_compressed), cmocka_unit_test(tokenizing),
                                       cmocka_unit_test(rendering), cmocka_unit_test(generating)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
