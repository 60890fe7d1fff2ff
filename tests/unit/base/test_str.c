/* SPDX-License-Identifier: Apache-2.0 */
#include "base/alloc.h"
#include "base/hash.h"
#include "base/map.h"
#include "base/str.h"
#include <stdio.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static void buffer_grows_and_latches(void **state) {
    (void)state;
    ol_buf b = OL_BUF_INIT;
    b.max = 10;
    ol_buf_puts(&b, "12345");
    ol_buf_printf(&b, "%s", "67890");
    assert_false(b.failed);
    assert_string_equal(b.data, "1234567890");
    ol_buf_putc(&b, 'x');
    assert_true(b.failed);
    ol_buf_puts(&b, "");
    assert_int_equal(b.len, 10);
    ol_buf_clear(&b);
    ol_buf_puts(&b, "again");
    size_t n;
    char *p = ol_buf_take(&b, &n);
    assert_string_equal(p, "again");
    assert_int_equal(n, 5);
    assert_null(b.data);
    ol_free(p);
    assert_false(ol_buf_reserve(&b, SIZE_MAX));
    assert_null(ol_buf_take(&b, &n));
    p = ol_buf_take(&b, &n); /* empty text, not NULL */
    assert_string_equal(p, "");
    ol_free(p);
}

static void buffer_without_memory(void **state) {
    (void)state;
    ol_buf b = OL_BUF_INIT;
    ol_buf_puts(&b, "kept");
    ol_alloc_fail_at(1, true);
    for (int i = 0; i < 100; i++) ol_buf_puts(&b, "0123456789");
    ol_alloc_fail_at(0, false);
    assert_true(b.failed);
    assert_memory_equal(b.data, "kept", 4);
    assert_null(ol_buf_take(&b, NULL));
}

static void json_strings(void **state) {
    (void)state;
    ol_buf b = OL_BUF_INIT;
    static const char in[] = "a\"\\\n\x01\xc3\xa9\xff\xe2\x82z";
    ol_buf_json_string(&b, in, sizeof in - 1);
    assert_string_equal(b.data, "\"a\\\"\\\\\\n\\u0001\xc3\xa9\xef\xbf\xbd\xef\xbf\xbdz\"");
    ol_buf_deinit(&b);
}

static void utf8_is_strict(void **state) {
    (void)state;
    static const struct {
        const char *bytes;
        size_t n;
        int32_t cp;
        int len;
    } cases[] = {
        {"A", 1, 'A', 1},
        {"\xc3\xa9", 2, 0xe9, 2},
        {"\xe2\x82\xac", 3, 0x20ac, 3},
        {"\xf0\x9f\x98\x80", 4, 0x1f600, 4},
        {"\xf4\x8f\xbf\xbf", 4, 0x10ffff, 4},
        {"\xf4\x90\x80\x80", 4, -1, 1}, /* above U+10FFFF */
        {"\xed\xa0\x80", 3, -1, 1},     /* surrogate */
        {"\xc0\x80", 2, -1, 1},         /* overlong */
        {"\xe0\x80\x80", 3, -1, 1},
        {"\xe2\x82", 2, -1, 2}, /* truncated: the whole subpart */
        {"\xf0\x9f\x98" "A", 4, -1, 3},
        {"\x80", 1, -1, 1},
        {"\xff", 1, -1, 1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int32_t cp;
        assert_int_equal(ol_utf8_decode(cases[i].bytes, cases[i].n, &cp), cases[i].len);
        assert_int_equal(cp, cases[i].cp);
        assert_int_equal(ol_utf8_valid(cases[i].bytes, cases[i].n), cases[i].cp >= 0);
    }
    assert_int_equal(ol_utf8_count("a\xc3\xa9\xe2\x82", 5), 3);
    assert_int_equal(ol_utf8_count("", 0), 0);
}

static void utf8_round_trip(void **state) {
    (void)state;
    for (int32_t cp = 0; cp < 0x110000; cp++) {
        if (cp >= 0xd800 && cp < 0xe000) continue;
        char text[4];
        int n = ol_utf8_encode(cp, text);
        int32_t back;
        if (ol_utf8_decode(text, (size_t)n, &back) != n || back != cp) fail_msg("U+%04X", (unsigned)cp);
    }
}

static void nearest_word(void **state) {
    (void)state;
    static const char *const words[] = {"generate", "benchmark", "tokenize", "eval"};
    assert_string_equal(ol_nearest("genrate", words, 4), "generate");
    assert_string_equal(ol_nearest("tokeinze", words, 4), "tokenize");
    assert_string_equal(ol_nearest("EVAL", words, 4), "eval");
    assert_null(ol_nearest("serve-models", words, 4));
    assert_null(ol_nearest("x", words, 0));
}

static void views(void **state) {
    (void)state;
    assert_true(ol_str_is((ol_str){"abc", 2}, "ab"));
    assert_true(ol_str_eq((ol_str){NULL, 0}, ol_str_of("")));
    assert_true(ol_str_starts(ol_str_of("model.layers"), "model."));
    assert_false(ol_str_starts(ol_str_of("mo"), "model"));
    assert_true(ol_str_ends(ol_str_of("a.weight"), ".weight"));
    assert_false(ol_str_ends(ol_str_of("t"), ".weight"));
}

static void map_keeps_order_and_values(void **state) {
    (void)state;
    enum { N = 5000 };
    static char keys[N][16];
    ol_map m;
    ol_map_init(&m);
    assert_null(ol_map_get(&m, ol_str_of("none")));
    for (int i = 0; i < N; i++) {
        snprintf(keys[i], sizeof keys[i], "key%d", i);
        assert_int_equal(ol_map_put(&m, ol_str_of(keys[i]), (uint64_t)i), 1);
    }
    assert_int_equal(ol_map_put(&m, ol_str_of("key17"), 99), 0);
    assert_int_equal(ol_map_put(&m, (ol_str){"a\0b", 3}, 1), 1);
    assert_int_equal(ol_map_put(&m, (ol_str){NULL, 0}, 2), 1);
    assert_int_equal(m.count, N + 2);
    for (int i = 0; i < N; i++) {
        assert_true(*ol_map_get(&m, ol_str_of(keys[i])) == (i == 17 ? 99u : (uint64_t)i));
        assert_true(ol_str_is(m.entries[i].key, keys[i]));
    }
    assert_null(ol_map_get(&m, ol_str_of("key5000")));
    assert_null(ol_map_get(&m, ol_str_of("a")));
    assert_int_equal(*ol_map_get(&m, ol_str_of("")), 2);
    ol_map_deinit(&m);
}

static void map_without_memory(void **state) {
    (void)state;
    static const char *const keys[] = {"a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l"};
    for (unsigned n = 1; n < 6; n++) {
        ol_map m;
        ol_map_init(&m);
        ol_alloc_fail_at(n, true);
        size_t put = 0;
        for (size_t i = 0; i < 12; i++)
            if (ol_map_put(&m, ol_str_of(keys[i]), i) == 1) put++;
        ol_alloc_fail_at(0, false);
        assert_int_equal(m.count, put);
        for (size_t i = 0; i < put; i++) assert_int_equal(*ol_map_get(&m, m.entries[i].key), m.entries[i].value);
        ol_map_deinit(&m);
    }
}

static void sha256_vectors(void **state) {
    (void)state;
    char hex[65];
    ol_sha256 s;
    ol_sha256_init(&s);
    ol_sha256_update(&s, "", 0);
    ol_sha256_hex(&s, hex);
    assert_string_equal(hex, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    ol_sha256_init(&s);
    ol_sha256_update(&s, "a", 1);
    ol_sha256_update(&s, "bc", 2);
    ol_sha256_hex(&s, hex);
    assert_string_equal(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    assert_true(ol_hash64("ab", 2, 1) != ol_hash64("ab", 2, 2));
    assert_true(ol_hash64(NULL, 0, 5) == ol_hash64("x", 0, 5));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(buffer_grows_and_latches), cmocka_unit_test(buffer_without_memory),
        cmocka_unit_test(json_strings),             cmocka_unit_test(utf8_is_strict),
        cmocka_unit_test(utf8_round_trip),          cmocka_unit_test(nearest_word),
        cmocka_unit_test(views),                    cmocka_unit_test(map_keeps_order_and_values),
        cmocka_unit_test(map_without_memory),       cmocka_unit_test(sha256_vectors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
