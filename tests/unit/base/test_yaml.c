/* SPDX-License-Identifier: Apache-2.0 */
#include "base/alloc.h"
#include "base/wire/inflate.h"
#include "base/yaml.h"
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

static olv_error err;

static void check(const char *yaml, const char *json) {
    json_t *got, *want;
    if (ol_yaml_parse(yaml, strlen(yaml), "y", &got, &err) != OLV_OK) fail_msg("%s: %s", yaml, err.message);
    assert_int_equal(ol_json_parse(json, strlen(json), "j", &want, &err), OLV_OK);
    if (!json_equal(got, want)) {
        char *text = json_dumps(got, 0);
        fail_msg("%s gives %s, not %s", yaml, text, json);
    }
    json_decref(got);
    json_decref(want);
}

static void test_values(void **state) {
    (void)state;
    check("a: 1\nb: -2.5\nc: '3'\nd: [x, \"y\", ~, true]\n", "{\"a\":1,\"b\":-2.5,\"c\":\"3\",\"d\":[\"x\",\"y\",null,true]}");
    check("n: 1e-4\nv: 1.2.3\nt: yes\nh: 0x10\ns: {}\ne:\n", "{\"n\":1e-4,\"v\":\"1.2.3\",\"t\":\"yes\",\"h\":16,\"s\":{},\"e\":null}");
    check("a: &x {k: 1, l: 2}\nb:\n  <<: *x\n  l: 3\n", "{\"a\":{\"k\":1,\"l\":2},\"b\":{\"k\":1,\"l\":3}}");
    check("{\"a\": [1, 2], \"b\": {\"c\": \"d\"}}", "{\"a\":[1,2],\"b\":{\"c\":\"d\"}}");
}

static void refuse(const char *yaml, const char *part) {
    json_t *got;
    assert_int_not_equal(ol_yaml_parse(yaml, strlen(yaml), "y", &got, &err), OLV_OK);
    if (!strstr(err.message, part)) fail_msg("no '%s' in: %s", part, err.message);
}

static void test_refusals(void **state) {
    (void)state;
    refuse("", "empty");
    refuse("a: 1\nb: [1,\n", "y:");
    refuse("a: 1\na: 2\n", "y:2: key 'a' is there twice");
    refuse("? [1]\n: 2\n", "a key that is no text");
    refuse("a: &a [*a]\n", "nested too deeply");
    ol_buf b = OL_BUF_INIT;
    ol_buf_puts(&b, "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for (int i = 1; i < 12; i++) {
        ol_buf_printf(&b, "a%d: &a%d [", i, i);
        for (int k = 0; k < 10; k++) ol_buf_printf(&b, "%s*a%d", k ? ", " : "", i - 1);
        ol_buf_puts(&b, "]\n");
    }
    refuse(b.data, "too many values");
    ol_buf_deinit(&b);
}

static void test_lines(void **state) {
    (void)state;
    const char text[] = "a: 1\n# bc: 2\nabc: 3\nd: {\"bc\" : 4}\n";
    assert_int_equal(ol_yaml_line_of(text, strlen(text), "abc"), 3);
    assert_int_equal(ol_yaml_line_of(text, strlen(text), "zz"), 0);
}

/* "hello hello hello hello\n" by each kind of block. */
static void test_inflate(void **state) {
    (void)state;
    static const uint8_t fixed[] = {0xcb, 0x48, 0xcd, 0xc9, 0xc9, 0x57, 0xc8, 0x40, 0x27, 0xb9, 0x00},
                         stored[] = {0x01, 0x05, 0x00, 0xfa, 0xff, 'h', 'e', 'l', 'l', 'o'};
    uint8_t out[24];
    assert_int_equal(ol_inflate(fixed, sizeof fixed, out, 24, &err), OLV_OK);
    assert_memory_equal(out, "hello hello hello hello\n", 24);
    assert_int_equal(ol_inflate(stored, sizeof stored, out, 5, &err), OLV_OK);
    assert_memory_equal(out, "hello", 5);
    assert_int_equal(ol_inflate(fixed, sizeof fixed, out, 23, &err), OLV_FORMAT);
    for (size_t n = 0; n < sizeof fixed; n++) assert_int_equal(ol_inflate(fixed, n, out, 24, &err), OLV_FORMAT);
    for (int i = 0; i < 88; i++) { /* every changed bit ends without harm */
        uint8_t changed[sizeof fixed];
        memcpy(changed, fixed, sizeof fixed);
        changed[i / 8] ^= (uint8_t)(1 << i % 8);
        olv_status s = ol_inflate(changed, sizeof changed, out, 24, &err);
        assert_true(s == OLV_OK || s == OLV_FORMAT);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_values), cmocka_unit_test(test_refusals), cmocka_unit_test(test_lines), cmocka_unit_test(test_inflate)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
