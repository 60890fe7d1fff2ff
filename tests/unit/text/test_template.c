/* SPDX-License-Identifier: Apache-2.0 */
#include "base/alloc.h"
#include "base/error.h"
#include "text/template.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

static const char vars[] = "{\"xs\":[3,1,2],\"d\":{\"b\":1,\"a\":[1.0,null,true]},\"s\":\"Hello, World\",\"none\":null,"
                           "\"messages\":[{\"role\":\"user\",\"content\":\"Hi\",\"reasoning\":\"r\"}]}";

static olv_status render(const char *source, char **text, olv_error *err) {
    olv_template *t;
    OL_TRY(olv_template_parse(source, strlen(source), &t, err));
    olv_template_options opt;
    olv_template_options_init(&opt);
    opt.now = "2026-03-05T07:08:09";
    olv_status s = olv_template_render(t, vars, sizeof vars - 1, &opt, text, NULL, err);
    olv_template_destroy(t);
    return s;
}

static void gives(const char *source, const char *want) {
    char *text = NULL;
    olv_error err = {0};
    olv_status s = render(source, &text, &err);
    if (s != OLV_OK) fail_msg("%s: %s", source, err.message);
    assert_string_equal(text, want);
    ol_free(text);
}

static void fails(const char *source, olv_status status, const char *part) {
    char *text = NULL;
    olv_error err = {0};
    olv_status s = render(source, &text, &err);
    if (s == OLV_OK) {
        printf("%s gave '%.80s'\n", source, text);
        ol_free(text);
    }
    assert_int_equal(s, status);
    if (!strstr(err.message, part)) fail_msg("%.60s: '%s' lacks '%s'", source, err.message, part);
}

static void test_language(void **state) {
    (void)state;
    gives("", "");
    gives("{{ s }}\n", "Hello, World");
    gives("  {% if true %}\nx\n  {% endif %}\ny", "x\ny");
    gives("{{ d }}", "{'b': 1, 'a': [1.0, None, True]}");
    gives("{{ d|tojson }}", "{\"b\": 1, \"a\": [1.0, null, true]}");
    gives("{% for x in xs if x > 1 %}{{ loop.index }}{{ x }}{{ ',' if not loop.last }}{% endfor %}", "13,22");
    gives("{% set ns = namespace(n=0) %}{% for x in xs %}{% set ns.n = ns.n + x %}{% endfor %}{{ ns.n }}", "6");
    gives("{% macro m(a, b=2) %}{{ a + b }}{% endmacro %}{{ m(1) }}{{ m(1, b=5) }}", "36");
    gives("{{ -7 // 2 }}{{ -7 % 3 }}{{ 7 / 2 }}{{ 1e-7 }}{{ 1e22 }}", "-423.51e-071e+22");
    gives("{{ strftime_now('%d %B %Y') }}", "05 March 2026");
    gives("{{ messages[0].thinking }}{{ messages[0].reasoning_content }}", "rr");
    gives("{{ tools is defined }}{{ tools is none }}{{ missing is defined }}", "TrueTrueFalse");
    gives("{{ 'ß'.upper() }}{{ 'ΑΣ'.lower() }}", "SSας");
    gives("{% if xs|selectattr('q') %}a generator is true{% endif %}", "a generator is true");
}

static void test_errors(void **state) {
    (void)state;
    fails("{{ raise_exception('no ' ~ s) }}", OLV_FORMAT, "no Hello, World");
    fails("a\n\n{{ missing.x }}", OLV_FORMAT, "line 3: 'missing' is undefined");
    fails("{{ d.q.r }}", OLV_FORMAT, "'dict object' has no attribute 'q'");
    fails("{{ 'a' + xs }}", OLV_FORMAT, "can only concatenate str (not \"list\") to str");
    fails("{{ xs.append(1) }}", OLV_FORMAT, "unsafe");
    fails("{% if %}", OLV_FORMAT, "line 1");
    fails("\n{% if true %}", OLV_FORMAT, "line 2");
    fails("{{ 'a }}", OLV_FORMAT, "closing quote");
    fails("{% include 'x' %}", OLV_FORMAT, "unknown statement 'include'");
    fails("{{ 9223372036854775807 + 1 }}", OLV_LIMIT, "64 bits");
    fails("{{ s|nosuch }}", OLV_UNSUPPORTED, "No filter named 'nosuch'");
    fails("\xff", OLV_FORMAT, "UTF-8");
}

static void repeat_fails(const char *before, const char *unit, int n, const char *after) {
    size_t len = strlen(before) + strlen(unit) * (size_t)n + strlen(after) + 1;
    char *z = malloc(len), *p = z, *text = NULL;
    olv_error err = {0};
    assert_non_null(z);
    p += sprintf(p, "%s", before);
    for (int i = 0; i < n; i++) p += sprintf(p, "%s", unit);
    sprintf(p, "%s", after);
    assert_int_not_equal(render(z, &text, &err), OLV_OK);
    assert_true(strlen(err.message) > 5);
    free(z);
}

static void test_hostile(void **state) {
    (void)state;
    fails("{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}", OLV_LIMIT, "steps");
    fails("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}", OLV_LIMIT, "levels deep");
    fails("{% for x in [[1]] recursive %}{{ loop([[1]]) }}{% endfor %}", OLV_LIMIT, "levels deep");
    fails("{{ 'x' * 100000000000 }}", OLV_LIMIT, "grows past");
    fails("{{ range(99999999999) }}", OLV_LIMIT, "Range too big");
    fails("{% for i in range(99999) %}{{ '0123456789' * 10 }}{% endfor %}", OLV_LIMIT, "grows past 4194304");
    fails("{{ '%999999999d' % 1 }}", OLV_LIMIT, "width");
    fails("{{ 'x'|center(99999999999) }}", OLV_LIMIT, "width");
    fails("{{ [1]|batch(999999999, 0)|list }}", OLV_LIMIT, "steps");
    fails("{% set ns = namespace() %}{% set ns.a = ns %}{{ ns }}", OLV_LIMIT, "nested deeper");
    fails("{% set ns = namespace(s=[]) %}{% for i in range(5000) %}{% set ns.s = [ns.s] %}{% endfor %}{{ ns.s }}", OLV_LIMIT,
          "nested deeper");
    fails("{% set ns = namespace(s='ab') %}{% for i in range(60) %}{% set ns.s = ns.s ~ ns.s %}{% endfor %}", OLV_LIMIT,
          "longer than");
    repeat_fails("{{ ", "(", 100000, "1");
    repeat_fails("{{ ", "not ", 100000, "1 }}");
    repeat_fails("{{ ", "-", 100000, "1 }}");
    repeat_fails("{{ a", ".b", 100000, " }}");
    repeat_fails("{{ 1", "|string", 100000, " }}");
    repeat_fails("", "{% if 1 %}", 5000, "");
    repeat_fails("{{ 1", " if 1 else 1", 20000, " }}");
}

/* Every allocation of parsing and rendering fails once: a clean error each time. */
static void test_out_of_memory(void **state) {
    (void)state;
    static const char source[] = "{% macro m(a) %}{{ a|tojson }}{% endmacro %}{% for x in xs|sort %}{{ m(d) ~ s.split(',') }}{% endfor %}";
    bool done = false;
    for (uint64_t n = 1; n < 10000 && !done; n++) {
        char *text = NULL;
        olv_error err;
        ol_alloc_fail_at(n, true);
        olv_status s = render(source, &text, &err);
        ol_alloc_fail_at(0, false);
        done = s == OLV_OK;
        if (done) ol_free(text);
        assert_true(s == OLV_OK || s == OLV_NOMEM || s == OLV_LIMIT || s == OLV_FORMAT);
    }
    assert_true(done);
}

static void write_file(const char *dir, const char *name, const char *text) {
    char path[600];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

static void folder_gives(const char *dir, const char *variables, const char *want) {
    olv_template *t;
    olv_error err = {0};
    char *text;
    if (olv_template_open(dir, &t, &err) != OLV_OK) fail_msg("%s", err.message);
    if (olv_template_render(t, variables, strlen(variables), NULL, &text, NULL, &err) != OLV_OK) fail_msg("%s", err.message);
    assert_string_equal(text, want);
    ol_free(text);
    olv_template_destroy(t);
}

static void test_folder(void **state) {
    (void)state;
    char dir[] = "/tmp/olivine-template-XXXXXX", path[100];
    olv_template *t;
    olv_error err;
    assert_non_null(mkdtemp(dir));
    assert_int_equal(olv_template_open(dir, &t, &err), OLV_NOT_FOUND);
    write_file(dir, "tokenizer_config.json",
               "{\"bos_token\": {\"content\": \"<s>\"}, \"eos_token\": \"</s>\", \"chat_template\": ["
               "{\"name\": \"default\", \"template\": \"D{{ bos_token }}\"},"
               "{\"name\": \"tool_use\", \"template\": \"T{{ eos_token }}\"}]}");
    folder_gives(dir, "{\"messages\": []}", "D<s>");
    folder_gives(dir, "{\"messages\": [], \"bos_token\": \"B\"}", "DB");
    folder_gives(dir, "{\"messages\": [], \"tools\": [1]}", "T</s>");
    write_file(dir, "chat_template.jinja", "J{{ eos_token }}\n");
    folder_gives(dir, "{\"messages\": [], \"tools\": [1]}", "J</s>");
    snprintf(path, sizeof path, "rm -r %s", dir);
    assert_int_equal(system(path), 0);
}

/* The fixtures: in.jsonl holds the variables, out.jsonl {"text": ...} or {"error": part of the message}. */
static int check_fixture(const char *dir) {
    char path[600], *a = NULL, *b = NULL;
    size_t na = 0, nb = 0;
    olv_template *t;
    olv_error err;
    int n = 0;
    snprintf(path, sizeof path, "%s/template.jinja", dir);
    if (olv_template_open(path, &t, &err) != OLV_OK) fail_msg("%s", err.message);
    snprintf(path, sizeof path, "%s/in.jsonl", dir);
    FILE *in = fopen(path, "r");
    snprintf(path, sizeof path, "%s/out.jsonl", dir);
    FILE *out = fopen(path, "r");
    assert_true(in && out);
    while (getline(&a, &na, in) > 0 && getline(&b, &nb, out) > 0) {
        json_t *item = json_loads(a, 0, NULL), *want = json_loads(b, 0, NULL);
        olv_template_options opt;
        olv_template_options_init(&opt);
        opt.now = json_string_value(json_object_get(item, "now"));
        char *text = NULL;
        olv_status s = ol_template_render(t, item, &opt, &text, NULL, &err);
        const char *expected = json_string_value(json_object_get(want, "text"));
        if (expected && s != OLV_OK) fail_msg("%s line %d: %s", dir, n + 1, err.message);
        if (expected) assert_string_equal(text, expected);
        else {
            assert_int_not_equal(s, OLV_OK);
            assert_non_null(strstr(err.message, json_string_value(json_object_get(want, "error"))));
        }
        if (s == OLV_OK) ol_free(text);
        json_decref(item);
        json_decref(want);
        n++;
    }
    fclose(in);
    fclose(out);
    free(a);
    free(b);
    olv_template_destroy(t);
    return n;
}

static void test_fixtures(void **state) {
    (void)state;
    static const char *const names[] = {"chatml", "command-r", "deepseek-r1", "gemma", "granite", "hermes-tools", "llama2-inst",
                                        "llama3-tools", "mistral-tools", "phi3", "qwen2.5-tools", "qwen3-thinking", "smollm3",
                                        "zephyr"};
    char dir[] = "/tmp/olivine-templates-XXXXXX", command[900];
    assert_non_null(mkdtemp(dir));
    snprintf(command, sizeof command, "tar -xJf '%s/chat-templates.tar.xz' -C %s", OL_TEST_DATA, dir);
    assert_int_equal(system(command), 0);
    int n = 0;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char path[200];
        snprintf(path, sizeof path, "%s/chat-templates/%s", dir, names[i]);
        n += check_fixture(path);
    }
    assert_int_equal(n, 420);
    snprintf(command, sizeof command, "rm -r %s", dir);
    assert_int_equal(system(command), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_language),      cmocka_unit_test(test_errors),
                                       cmocka_unit_test(test_hostile),       cmocka_unit_test(test_out_of_memory),
                                       cmocka_unit_test(test_folder),        cmocka_unit_test(test_fixtures)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
