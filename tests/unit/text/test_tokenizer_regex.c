/* SPDX-License-Identifier: Apache-2.0 */
/* The hand-written matchers equal the general path, and what differs between dialects is
 * translated. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "text/tokenizer/regex.h"
#include <utf8proc.h>

static uint64_t seed = 0x243F6A8885A308D3ull;
static uint32_t draw(uint32_t n) {
    seed = seed * 6364136223846793005ull + 1442695040888963407ull;
    return (uint32_t)(seed >> 33) % n;
}

/* A character that both paths have the same tables for, of a class that patterns care about. */
static int32_t draw_char(void) {
    static const int32_t some[] = {' ',    ' ',     ' ',   '\n',   '\r',   '\t',  '\'',   's',
                                   'S',    't',     'T',   'l',    'L',    'r',   'e',    'v',
                                   'm',    'd',     '0',   '9',    '/',    '.',   0x17F,  0x301,
                                   0xE9,   0xC9,    0x1C5, 0x2B0,  0x4E00, 0x660, 0x2167, 0xA0,
                                   0x3000, 0x1F600, 0x85,  0x2028, 0x180E, 0xFFFD};
    static const int32_t bases[] = {0x20,   0x20,   0xA0,   0x370,   0x5D0,  0x900,
                                    0x2000, 0x3040, 0xAC00, 0x1D400, 0x1F300};
    for (;;) {
        int32_t cp = draw(3) ? some[draw(sizeof some / sizeof *some)]
                             : bases[draw(sizeof bases / sizeof *bases)] + (int32_t)draw(96);
        if (utf8proc_category(cp) != UTF8PROC_CATEGORY_CN) return cp;
    }
}

static const char *const patterns[] = {
#define OL_TK_MATCHER(fn, pattern) pattern,
#include "text/tokenizer/matchers.def"
#undef OL_TK_MATCHER
};

static void matchers_equal_the_general_path(void **state) {
    (void)state;
    olv_error err;
    printf("seed %llx\n", (unsigned long long)seed);
    for (size_t k = 0; k < sizeof patterns / sizeof *patterns; k++) {
        ol_str pattern = ol_str_of(patterns[k]);
        ol_tk_regex *fast, *general;
        ol_tk_work w;
        assert_int_equal(ol_tk_work_init(&w, &err), OLV_OK);
        assert_non_null(ol_tk_matcher_find(pattern));
        assert_int_equal(ol_tk_regex_create(pattern, OL_TK_ONIGURUMA, false, &fast, &err), OLV_OK);
        assert_int_equal(ol_tk_regex_create(pattern, OL_TK_ONIGURUMA, true, &general, &err),
                         OLV_OK);
        for (int round = 0; round < 20000; round++) {
            char text[128];
            uint32_t n = 0, count = draw(24);
            for (uint32_t i = 0; i < count; i++)
                n += (uint32_t)ol_utf8_encode(draw_char(), text + n);
            ol_tk_find a = ol_tk_find_in(fast, text, n), b = ol_tk_find_in(general, text, n);
            for (;;) {
                uint32_t s1 = 0, e1 = 0, s2 = 0, e2 = 0;
                int r1 = ol_tk_find_next(&w, &a, &s1, &e1, &err),
                    r2 = ol_tk_find_next(&w, &b, &s2, &e2, &err);
                if (r1 != r2 || s1 != s2 || e1 != e2)
                    fail_msg("pattern %zu, text '%.*s': [%u, %u) and [%u, %u)", k, (int)n, text, s1,
                             e1, s2, e2);
                if (r1 != 1) break;
            }
        }
        ol_tk_regex_destroy(fast);
        ol_tk_regex_destroy(general);
        ol_tk_work_deinit(&w);
    }
}

/* First match of a pattern, as text; "-" for none. */
static void expect(const char *pattern, ol_tk_dialect dialect, const char *text, const char *want) {
    olv_error err;
    ol_tk_regex *re;
    ol_tk_work w;
    uint32_t s, e;
    assert_int_equal(ol_tk_work_init(&w, &err), OLV_OK);
    if (ol_tk_regex_create(ol_str_of(pattern), dialect, true, &re, &err) != OLV_OK)
        fail_msg("%s", err.message);
    ol_tk_find f = ol_tk_find_in(re, text, (uint32_t)strlen(text));
    char got[64] = "-";
    if (ol_tk_find_next(&w, &f, &s, &e, &err) == 1)
        snprintf(got, sizeof got, "%.*s", (int)(e - s), text + s);
    assert_string_equal(got, want);
    ol_tk_regex_destroy(re);
    ol_tk_work_deinit(&w);
}

static void dialects_are_translated(void **state) {
    (void)state;
    expect("[^(\\s|[.,!])]+", OL_TK_ONIGURUMA, "a.b", "a"); /* a class inside a class is a union */
    expect("a$", OL_TK_ONIGURUMA, "a\nb", "a");             /* $ is the end of a line */
    expect("a$", OL_TK_PERL, "a\nb", "-");                  /* and here of the text */
    expect("(?m:a.)", OL_TK_ONIGURUMA, "a\n", "a\n");       /* m lets . match a line end */
    expect("\\h+", OL_TK_ONIGURUMA, "xyz beef", "beef");    /* hexadecimal digits */
    expect("\\p{N}{1,3}+", OL_TK_ONIGURUMA, "1234567", "1234567"); /* repeated, not possessive */
    expect("\\p{N}{1,3}+", OL_TK_PERL, "1234567", "123");
    expect("\\s", OL_TK_ONIGURUMA, "\xE1\xA0\x8E", "-"); /* U+180E is no space any more */
    expect("[[:punct:]]+", OL_TK_ONIGURUMA, "a+-b", "+-");
    expect("\\p{^L}", OL_TK_ONIGURUMA, "ab1", "1");
    expect("[a-f&&[^c]]+", OL_TK_ONIGURUMA, "cab", "ab"); /* an intersection */
    expect("[\\p{L}&&\\p{Lu}&&[^A]]+", OL_TK_ONIGURUMA, "aABC", "BC");
    expect("[^\\p{L}&&[^a]]+", OL_TK_ONIGURUMA, "bca1", "a1"); /* whose complement holds a */
    expect("[x[^a-z]]+", OL_TK_ONIGURUMA, "abx1Y", "x1Y"); /* a complement in a union */
    expect("[^\\W_]+", OL_TK_ONIGURUMA, "_a1-", "a1");
    expect("\\w+", OL_TK_ONIGURUMA, "\xC2\xBD", "\xC2\xBD"); /* one half: of \\w, */
    expect("[\\w]+", OL_TK_ONIGURUMA, "\xC2\xBD", "-");       /* but not inside a class */
    expect("\\p{Katakana}", OL_TK_ONIGURUMA, "\xE3\x83\xBC", "-"); /* a script, no extension */
    expect("\\p{S}", OL_TK_ONIGURUMA, "a\xF0\x9F\xAB\xA9", "\xF0\x9F\xAB\xA9"); /* Unicode 16 */
}

static void bad_patterns_are_refused(void **state) {
    (void)state;
    static const char *const bad[] = {"(",      "[a",      "\\p{L", "a\\",
                                      "[a&&b", "[a[^b]",  "*a",    "\\p{Nonsense}"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        olv_error err = {OLV_OK, ""};
        ol_tk_regex *re = NULL;
        olv_status s = ol_tk_regex_create(ol_str_of(bad[i]), OL_TK_ONIGURUMA, false, &re, &err);
        assert_true(s == OLV_FORMAT || s == OLV_UNSUPPORTED);
        assert_true(err.message[0] != 0);
        assert_null(re);
    }
}

static void catastrophic_patterns_end(void **state) {
    (void)state;
    olv_error err;
    ol_tk_regex *re;
    ol_tk_work w;
    char text[64];
    uint32_t s, e;
    memset(text, 'a', sizeof text);
    text[63] = 'b';
    assert_int_equal(ol_tk_work_init(&w, &err), OLV_OK);
    assert_int_equal(ol_tk_regex_create(ol_str_of("^(a+)+$"), OL_TK_PERL, false, &re, &err),
                     OLV_OK);
    ol_tk_find f = ol_tk_find_in(re, text, sizeof text);
    assert_int_equal(ol_tk_find_next(&w, &f, &s, &e, &err), -1);
    assert_int_equal(err.status, OLV_LIMIT);
    ol_tk_regex_destroy(re);
    ol_tk_work_deinit(&w);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(matchers_equal_the_general_path),
                                       cmocka_unit_test(dialects_are_translated),
                                       cmocka_unit_test(bad_patterns_are_refused),
                                       cmocka_unit_test(catastrophic_patterns_end)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
