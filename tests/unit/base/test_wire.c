/* SPDX-License-Identifier: Apache-2.0 */
#include "base/alloc.h"
#include "base/cpu.h"
#include "base/json.h"
#include "base/wire/json_pull.h"
#include "base/wire/protobuf.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static olv_error err;

/* Walks the document; the text of every event in short, or the error. */
static const char *walk(const char *text, size_t len) {
    static char out[512];
    ol_jp p;
    ol_jp_init(&p, text, len, "doc", &err);
    size_t at = 0;
    out[0] = 0;
    for (;;) {
        ol_jp_event e = ol_jp_next(&p);
        if (e == OL_JP_ERROR) {
            if (ol_jp_next(&p) != OL_JP_ERROR) return "error did not latch";
            return err.message;
        }
        if (e == OL_JP_END) return out;
        bool has_text = e == OL_JP_KEY || e == OL_JP_STRING || e == OL_JP_NUMBER;
        if (at < sizeof out - 64)
            at += (size_t)snprintf(out + at, sizeof out - at, "%c%.*s", "?{}[]ksntf0"[e], has_text ? (int)p.text.len : 0,
                                   has_text ? p.text.ptr : "");
    }
}

static void pull_events(void **state) {
    (void)state;
    static const char *const cases[][2] = {
        {"{}", "{}"},
        {" [ ] ", "[]"},
        {"{\"a\": [1, -2.5e+3, true, false, null], \"b\": {\"c\": \"x\\n\"}}", "{ka[n1n-2.5e+3tf0]kb{kcsx\\n}}"},
        {"0", "n0"},
        {"\"\"", "s"},
        {"\xef\xbb\xbf[]", "[]"},
        {"[\"\xf0\x9f\x98\x80\x7f\"]", "[s\xf0\x9f\x98\x80\x7f]"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_string_equal(walk(cases[i][0], strlen(cases[i][0])), cases[i][1]);
}

static void pull_refuses_what_is_no_json(void **state) {
    (void)state;
    static const char *const bad[] = {
        "", " ", "{", "}", "[", "]", "[1,]", "[,1]", "{\"a\"}", "{\"a\":}", "{\"a\":1,}", "{a:1}", "{1:2}", "[1 2]", "[1]]",
        "[1] x", "01", "-", "+1", "1.", ".5", "1e", "1e+", "0x1", "NaN", "Infinity", "-Infinity", "tru", "nul", "True",
        "'a'", "\"", "\"\\", "\"\\x\"", "\"\\u12\"", "\"\\u12g4\"", "\"a\nb\"", "\"\x01\"", "\"\xff\"", "\"\xc3\"",
        "\"\xed\xa0\x80\"", "\"\xc0\xaf\"", "[1}", "{\"a\":1]", "// c\n1", "[1]\f", "{\"a\" 1}", "{,}", "{\"a\":1 \"b\":2}",
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        const char *got = walk(bad[i], strlen(bad[i]));
        if (strncmp(got, "doc:", 4)) fail_msg("accepted %s as %s", bad[i], got);
    }
    assert_non_null(strstr(walk("{\"a\":\n  tru}", 12), "doc:2:3: "));
    assert_non_null(strstr(walk("[\"a\0b\"]", 7), "control")); /* NUL inside of a string */
}

/* Every prefix of a document is an error, and reads nothing past its end (the copy is exact, for sanitizers). */
static void pull_truncated(void **state) {
    (void)state;
    static const char doc[] = "{\"k\\u00e9\":[1.5e-3,\"\xe2\x82\xac\\\"\",{\"a\":true}],\"n\":null}";
    for (size_t n = 0; n < sizeof doc - 1; n++) {
        char *copy = malloc(n ? n : 1);
        assert_non_null(copy);
        memcpy(copy, doc, n);
        assert_int_equal(strncmp(walk(copy, n), "doc:", 4), 0);
        free(copy);
    }
    assert_int_equal(walk(doc, sizeof doc - 1)[0], '{');
}

static void pull_depth_is_bounded(void **state) {
    (void)state;
    enum { N = 100000 };
    char *deep = malloc(N);
    assert_non_null(deep);
    memset(deep, '[', N);
    assert_non_null(strstr(walk(deep, N), "deep"));
    memset(deep + OL_JP_MAX_DEPTH, ']', OL_JP_MAX_DEPTH);
    assert_int_equal(walk(deep, 2 * OL_JP_MAX_DEPTH)[0], '[');
    memset(deep, '[', OL_JP_MAX_DEPTH + 1);
    memset(deep + OL_JP_MAX_DEPTH + 1, ']', OL_JP_MAX_DEPTH + 1);
    assert_non_null(strstr(walk(deep, 2 * OL_JP_MAX_DEPTH + 2), "deep"));
    free(deep);
}

static void pull_skips_values(void **state) {
    (void)state;
    static const char doc[] = "{\"a\":{\"x\":[1,{\"y\":2}]},\"b\":7}";
    ol_jp p;
    ol_jp_init(&p, doc, sizeof doc - 1, "doc", &err);
    assert_int_equal(ol_jp_next(&p), OL_JP_OBJECT);
    assert_int_equal(ol_jp_next(&p), OL_JP_KEY);
    assert_true(ol_jp_skip(&p, ol_jp_next(&p)));
    assert_int_equal(ol_jp_next(&p), OL_JP_KEY);
    assert_true(ol_str_is(p.text, "b"));
    assert_true(ol_jp_skip(&p, ol_jp_next(&p)));
    assert_int_equal(ol_jp_next(&p), OL_JP_OBJECT_END);
    assert_int_equal(ol_jp_next(&p), OL_JP_END);
    ol_jp_init(&p, "[[1,", 4, "doc", &err);
    assert_false(ol_jp_skip(&p, ol_jp_next(&p)));
    assert_int_equal(ol_jp_fail(&p, "late"), OLV_FORMAT);
}

static void pull_unescapes(void **state) {
    (void)state;
    static const char *const cases[][2] = {
        {"\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "\"\\/\b\f\n\r\t"},
        {"\"\\u0041\\u00e9\\u20AC\"", "A\xc3\xa9\xe2\x82\xac"},
        {"\"\\ud83d\\ude00!\"", "\xf0\x9f\x98\x80!"},
        {"\"\\ud83dx\"", "\xef\xbf\xbdx"},
        {"\"\\ude00\"", "\xef\xbf\xbd"},
        {"\"\\ud83d\\u0041\"", "\xef\xbf\xbd" "A"},
        {"\"\\ud83d\\ud83d\\ude00\"", "\xef\xbf\xbd\xf0\x9f\x98\x80"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        ol_jp p;
        ol_buf b = OL_BUF_INIT;
        ol_jp_init(&p, cases[i][0], strlen(cases[i][0]), "doc", &err);
        assert_int_equal(ol_jp_next(&p), OL_JP_STRING);
        assert_true(p.escaped);
        ol_jp_unescape(&p, &b);
        assert_string_equal(b.data, cases[i][1]);
        ol_buf_deinit(&b);
    }
}

static ol_jp number(const char *text) {
    ol_jp p;
    ol_jp_init(&p, text, strlen(text), "doc", &err);
    assert_int_equal(ol_jp_next(&p), OL_JP_NUMBER);
    return p;
}

static void pull_numbers_are_exact(void **state) {
    (void)state;
    int64_t i = 5;
    uint64_t u = 5;
    double d = 5;
    ol_jp p = number("-9223372036854775808");
    assert_true(ol_jp_i64(&p, &i) && i == INT64_MIN);
    assert_false(ol_jp_u64(&p, &u));
    p = number("9223372036854775808");
    assert_false(ol_jp_i64(&p, &i));
    assert_true(ol_jp_u64(&p, &u) && u == (uint64_t)1 << 63);
    p = number("18446744073709551616");
    assert_false(ol_jp_u64(&p, &u));
    p = number("1.0");
    assert_false(ol_jp_i64(&p, &i));
    assert_true(ol_jp_f64(&p, &d) && d == 1.0);
    p = number("0.1000000000000000055511151231257827021181583404541015625000000000000000000000000");
    assert_true(ol_jp_f64(&p, &d) && d == 0.1);
    p = number("100000000000000000000000000000000000000000000000000000000000000000000000e-71");
    assert_true(ol_jp_f64(&p, &d) && d == 1.0);
    p = number("1e999");
    assert_true(ol_jp_f64(&p, &d) && isinf(d));
}

static void small_documents(void **state) {
    (void)state;
    json_t *j = NULL;
    assert_int_equal(ol_json_parse("{\"a\":1,\"a\":2}", 13, "c.json", &j, &err), OLV_FORMAT);
    assert_int_equal(strncmp(err.message, "c.json:1:", 9), 0);
    char deep[8192];
    memset(deep, '[', sizeof deep);
    assert_int_equal(ol_json_parse(deep, sizeof deep, "c", &j, &err), OLV_FORMAT);
    assert_null(j);
    static const char text[] = "\xef\xbb\xbf{\"i\":3,\"f\":2.0,\"h\":2.5,\"b\":true,\"s\":\"NaN\",\"n\":null,\"inf\":-Infinity,\"nan\":NaN}";
    assert_int_equal(ol_json_parse(text, sizeof text - 1, "c", &j, &err), OLV_OK);
    int64_t i;
    double d;
    bool b;
    const char *s;
    assert_true(ol_json_int(j, "i", 0, 9, 1, &i, &err) == OLV_OK && i == 3);
    assert_true(ol_json_int(j, "f", 0, 9, 1, &i, &err) == OLV_OK && i == 2);
    assert_true(ol_json_int(j, "n", 0, 9, 4, &i, &err) == OLV_OK && i == 4);
    assert_true(ol_json_int(j, "none", 0, 9, 6, &i, &err) == OLV_OK && i == 6);
    assert_int_equal(ol_json_int(j, "i", 4, 9, 1, &i, &err), OLV_FORMAT);
    assert_non_null(strstr(err.message, "'i' is 3, expected 4 to 9"));
    assert_int_equal(ol_json_int(j, "h", 0, 9, 1, &i, &err), OLV_FORMAT);
    assert_int_equal(ol_json_int(j, "s", 0, 9, 1, &i, &err), OLV_FORMAT);
    assert_int_equal(i, 6);
    assert_true(ol_json_real(j, "i", 0, &d, &err) == OLV_OK && d == 3);
    assert_true(ol_json_real(j, "inf", 0, &d, &err) == OLV_OK && d < -1e308);
    assert_true(ol_json_real(j, "nan", 1, &d, &err) == OLV_OK && d == 1);
    assert_int_equal(ol_json_real(j, "b", 0, &d, &err), OLV_FORMAT);
    assert_true(ol_json_bool(j, "b", false, &b, &err) == OLV_OK && b);
    assert_int_equal(ol_json_bool(j, "i", false, &b, &err), OLV_FORMAT);
    assert_true(ol_json_string(j, "s", "", &s, &err) == OLV_OK && !strcmp(s, "NaN"));
    assert_int_equal(ol_json_string(j, "i", "", &s, &err), OLV_FORMAT);
    json_decref(j);
}

static void protobuf_round_trip(void **state) {
    (void)state;
    ol_buf b = OL_BUF_INIT;
    ol_pb_put_varint(&b, 1, UINT64_MAX);
    ol_pb_put_string(&b, 2, "text");
    ol_pb_put_f32(&b, 536870911, 1.5f);
    ol_pb_put_bytes(&b, 4, NULL, 0);
    ol_bytes r = ol_bytes_of(b.data, b.len);
    ol_pb_field f;
    assert_int_equal(ol_pb_next(&r, &f), 1);
    assert_true(f.number == 1 && f.wire == 0 && f.value == UINT64_MAX);
    assert_int_equal(ol_pb_next(&r, &f), 1);
    assert_true(f.number == 2 && ol_str_is(f.bytes, "text"));
    assert_int_equal(ol_pb_next(&r, &f), 1);
    assert_true(f.number == 536870911 && ol_pb_f32(&f) == 1.5f);
    assert_int_equal(ol_pb_next(&r, &f), 1);
    assert_int_equal(f.bytes.len, 0);
    ol_bytes inner = ol_pb_message(&f);
    assert_int_equal(ol_pb_next(&inner, &f), 0);
    assert_int_equal(ol_pb_next(&r, &f), 0);
    ol_buf_deinit(&b);
}

static void protobuf_malformed(void **state) {
    (void)state;
    static const struct {
        const char *bytes;
        size_t n;
    } bad[] = {
        {"\x00\x01", 2},                                             /* field number 0 */
        {"\x0b", 1},                                                 /* group */
        {"\x0c", 1},                                                 /* end of a group */
        {"\x0e", 1}, {"\x0f", 1},                                    /* no such wire types */
        {"\x0a\x05" "abc", 5},                                       /* longer than the rest */
        {"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 11},        /* 2^64 - 1 bytes */
        {"\x09\x01\x02", 3}, {"\x0d\x01", 2}, {"\x08", 1}, {"\x88", 1}, /* truncated */
        {"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 12},    /* overlong varint */
        {"\x88\x80\x80\x80\x80\x01\x00", 7},                         /* field number above 2^29 */
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        ol_bytes r = ol_bytes_of(bad[i].bytes, bad[i].n);
        ol_pb_field f;
        if (ol_pb_next(&r, &f) != -1) fail_msg("case %zu was accepted", i);
        assert_true(r.failed);
        assert_int_equal(ol_pb_next(&r, &f), -1);
    }
}

static void processor(void **state) {
    (void)state;
    uint64_t all = ol_cpu_probe(), got = 0;
    assert_int_equal(ol_cpu_probe(), all);
    assert_true(ol_cpu_limit(NULL, &got) && got == all);
    assert_true(ol_cpu_limit("scalar", &got) && got == 0);
    assert_true(ol_cpu_limit("avx2", &got) && (got & ~all) == 0 && !(got & OL_CPU_(AVX512F)));
    assert_true(ol_cpu_limit("avx512", &got) && (got & ~all) == 0 && !(got & OL_CPU_(AMX_TILE)));
    got = 77;
    assert_false(ol_cpu_limit("sse9", &got));
    assert_int_equal(got, 77);
    assert_true(ol_cpu_usable() >= 1);
    assert_true(strlen(ol_cpu_brand()) > 0);
    assert_string_equal(ol_cpu_flag_name(OL_CPU_BIT_AVX2), "avx2");
    assert_string_equal(ol_cpu_flag_name(-1), "?");
#if defined(__x86_64__)
    assert_int_equal(!!(all & OL_CPU_(AVX2)), !!__builtin_cpu_supports("avx2"));
    assert_int_equal(!!(all & OL_CPU_(AVX512BW)), !!__builtin_cpu_supports("avx512bw"));
#endif
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pull_events),
        cmocka_unit_test(pull_refuses_what_is_no_json),
        cmocka_unit_test(pull_truncated),
        cmocka_unit_test(pull_depth_is_bounded),
        cmocka_unit_test(pull_skips_values),
        cmocka_unit_test(pull_unescapes),
        cmocka_unit_test(pull_numbers_are_exact),
        cmocka_unit_test(small_documents),
        cmocka_unit_test(protobuf_round_trip),
        cmocka_unit_test(protobuf_malformed),
        cmocka_unit_test(processor),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
