/* SPDX-License-Identifier: Apache-2.0 */
/* Grammars: masks against brute force, sampled texts against what the grammar promises, refused grammars. */
#include "base/alloc.h"
#include "base/json.h"
#include "text/grammar/grammar.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

enum { N_EXTRA = 66, N_TOKENS = 256 + N_EXTRA + 1, EOS = N_TOKENS - 1, WORDS = (N_TOKENS + 31) / 32 };

static const char *const extra[N_EXTRA] = {
    "{\"",  "\":",  "\": \"", "\",", "\",\"", "\"}", "\"]", "}]",    "},",    "}}",     "\": {", "\": [", "[{\"",      "\"],", "null", "true",
    "fals", "e",    " null",  "\n  ", "    ",  "\\n", "\\\"", "\\u",  "00",    "12",     "7,",    "3}",    "name",      "ame",  "value", "a\"b",
    "word", "word", " longer words here", "\xc3\xa9", "\xe4\xb8", "\xad", "\xe4\xb8\xad\xe6", "x\xf0\x9f", "\x98\x80", "ab", "abc", "abcabc",
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"", "bb", "bbb", "1.", ".5", "e+", "-1",
    "()", "((", "))", "+1", "*(", "x,y", "]]", "[[", "[1", "tags", "\xed\xa0\x80", "\xff", "zz", "!\"#"};

static const char *token_bytes(void *ctx, int64_t t, size_t *len) {
    static char one[256];
    (void)ctx;
    if (t < 256) {
        one[t] = (char)t;
        *len = 1;
        return &one[t];
    }
    if (t == EOS) {
        *len = 0;
        return NULL;
    }
    *len = strlen(extra[t - 256]);
    return extra[t - 256];
}

static uint64_t seed = 88172645463325252ull;
static uint64_t next_random(void) {
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed;
}

typedef enum kind { JSON, REGEX, EBNF } kind;

static olv_status compile(kind k, const char *text, ol_grammar **g, olv_error *err) {
    if (k == JSON) return ol_grammar_compile_json_schema(text, strlen(text), g, err);
    if (k == REGEX) return ol_grammar_compile_regex(text, strlen(text), g, err);
    return ol_grammar_compile_ebnf(text, strlen(text), g, err);
}

typedef struct rig {
    ol_grammar *g;
    ol_grammar_vocab *v;
    ol_grammar_matcher *m, *other;
} rig;

static void open_rig(rig *r, kind k, const char *text) {
    static const int64_t eos[] = {EOS};
    olv_error err = {0};
    if (compile(k, text, &r->g, &err) != OLV_OK) fail_msg("%s: %s", text, err.message);
    assert_int_equal(ol_grammar_vocab_create(N_TOKENS, token_bytes, NULL, eos, 1, &r->v, &err), OLV_OK);
    assert_int_equal(ol_grammar_matcher_create(r->g, r->v, &r->m, &err), OLV_OK);
    assert_int_equal(ol_grammar_matcher_create(r->g, r->v, &r->other, &err), OLV_OK);
}

static void close_rig(rig *r) {
    ol_grammar_matcher_destroy(r->m);
    ol_grammar_matcher_destroy(r->other);
    ol_grammar_vocab_destroy(r->v);
    ol_grammar_destroy(r->g);
}

/* Every token is tried on a second matcher, byte by byte. */
static void check_mask(rig *r, const char *text, size_t len, const uint32_t *bits) {
    olv_error err;
    for (int64_t t = 0; t < N_TOKENS; t++) {
        bool want;
        size_t n;
        const char *p = token_bytes(NULL, t, &n);
        assert_int_equal(ol_grammar_reset(r->other, &err), OLV_OK);
        assert_int_equal(ol_grammar_accept(r->other, text, len, &err), OLV_OK);
        if (t == EOS) want = ol_grammar_complete(r->other);
        else want = ol_grammar_accept(r->other, p, n, &err) == OLV_OK;
        bool got = bits[t / 32] >> (t % 32) & 1;
        if (want != got) fail_msg("after '%.*s' token %d ('%.*s') is %sallowed", (int)len, text, (int)t, (int)n, p ? p : "", got ? "" : "not ");
    }
}

/* A random allowed token; towards the end of a long text rather one that closes something. */
static int64_t pick(const uint32_t *bits, size_t len) {
    int64_t list[N_TOKENS];
    int n = 0;
    if ((bits[EOS / 32] >> (EOS % 32) & 1) && (len > 200 || next_random() % 4 == 0)) return EOS;
    for (int64_t t = 0; t < N_TOKENS; t++)
        if (bits[t / 32] >> (t % 32) & 1) list[n++] = t;
    assert_true(n > 0);
    if (len > 100)
        for (int i = 0; i < n; i++)
            if (list[i] < 256 && strchr("\"}])", (int)list[i]) && list[i] && next_random() % 2) return list[i];
    return list[next_random() % (uint64_t)n];
}

/* One text of the grammar; with brute-force checks of each mask when asked. */
static size_t sample(rig *r, char *text, size_t cap, bool check) {
    uint32_t bits[WORDS];
    size_t len = 0;
    olv_error err;
    assert_int_equal(ol_grammar_reset(r->m, &err), OLV_OK);
    for (;;) {
        if (ol_grammar_mask(r->m, bits, &err) != OLV_OK) fail_msg("%s", err.message);
        if (check) check_mask(r, text, len, bits);
        int64_t t = pick(bits, len);
        if (t == EOS) break;
        size_t n;
        const char *p = token_bytes(NULL, t, &n);
        if (ol_grammar_accept(r->m, p, n, &err) != OLV_OK) fail_msg("%s", err.message);
        if (len + n + 1 > cap) return 0; /* too long a text to look at */
        memcpy(text + len, p, n);
        len += n;
    }
    assert_true(ol_grammar_complete(r->m));
    text[len] = 0;
    return len;
}

static const char *const schemas[] = {
    "{}",
    "{\"type\":\"object\",\"properties\":{\"name\":{\"type\":\"string\"},\"n\":{\"type\":\"integer\",\"minimum\":-5,\"maximum\":130},"
    "\"tags\":{\"type\":\"array\",\"items\":{\"type\":\"string\",\"maxLength\":3},\"maxItems\":2}},\"required\":[\"n\"]}",
    "{\"type\":\"string\",\"maxLength\":60}",
    "{\"type\":\"string\",\"minLength\":40,\"maxLength\":90}",
    "{\"enum\":[\"a\\\"b\",1,null,[true],\"abc\"]}",
    "{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"null\"},\"ab\":{\"type\":\"null\"}},\"additionalProperties\":{\"type\":\"boolean\"}}",
    "{\"$ref\":\"#/$defs/t\",\"$defs\":{\"t\":{\"type\":\"object\",\"properties\":{\"v\":{\"anyOf\":[{\"$ref\":\"#/$defs/t\"},"
    "{\"type\":\"null\"}]}},\"required\":[\"v\"]}}}",
    "{\"type\":\"number\",\"minimum\":0.25,\"exclusiveMaximum\":1.5}",
    "{\"type\":\"string\",\"pattern\":\"^(ab|a)+\\\"?[^a-z]$\"}",
    "{\"type\":\"array\",\"prefixItems\":[{\"type\":\"integer\"},{\"type\":\"boolean\"}],\"items\":false,\"minItems\":1}",
};

static void test_masks(void **state) {
    (void)state;
    static char text[4096];
    for (size_t i = 0; i < sizeof schemas / sizeof *schemas; i++) {
        rig r;
        open_rig(&r, JSON, schemas[i]);
        for (int k = 0; k < 4; k++) sample(&r, text, 300, true);
        close_rig(&r);
    }
    static const char *const regexes[] = {"(ab|abc)*x?", "[^a-c]{2,70}z", "\\d{3}-\\d{2}|\xc3\xa9+", "a{40,80}", "(a|b{2,3}){1,5}", ".*"};
    for (size_t i = 0; i < sizeof regexes / sizeof *regexes; i++) {
        rig r;
        open_rig(&r, REGEX, regexes[i]);
        for (int k = 0; k < 4; k++) sample(&r, text, 200, true);
        close_rig(&r);
    }
    rig r;
    open_rig(&r, EBNF, "# sums\nroot ::= sum\nsum ::= term (\"+\" term | \"*(\" sum \")\")*\nterm ::= [0-9]+ | \"(\" sum \")\"\n  | \"x\"");
    for (int k = 0; k < 6; k++) sample(&r, text, 120, true);
    close_rig(&r);
}

typedef bool valid_fn(const json_t *v);

static void all_valid(const char *schema, valid_fn *valid) {
    static char text[4096];
    rig r;
    open_rig(&r, JSON, schema);
    for (int k = 0; k < 300; k++) {
        size_t len = sample(&r, text, sizeof text, false);
        if (!len) continue;
        json_error_t je;
        json_t *v = json_loads(text, JSON_DECODE_ANY | JSON_REJECT_DUPLICATES * 0, &je);
        if (!v) fail_msg("no JSON: %s (%s)", text, je.text);
        if (!valid(v)) fail_msg("not valid: %s", text);
        json_decref(v);
    }
    close_rig(&r);
}

static bool is_any(const json_t *v) { return v != NULL; }

static bool is_record(const json_t *v) {
    const json_t *n = json_object_get(v, "n"), *name = json_object_get(v, "name"), *tags = json_object_get(v, "tags");
    if (!json_is_integer(n) || json_integer_value(n) < -5 || json_integer_value(n) > 130) return false;
    if (name && !json_is_string(name)) return false;
    if (json_array_size(tags) > 2) return false;
    for (size_t i = 0; i < json_array_size(tags); i++) {
        const json_t *t = json_array_get(tags, i);
        if (!json_is_string(t) || ol_utf8_count(json_string_value(t), json_string_length(t)) > 3) return false;
    }
    return json_object_size(v) == 1u + (name != NULL) + (tags != NULL);
}

static bool is_short(const json_t *v) {
    return json_is_string(v) && ol_utf8_count(json_string_value(v), json_string_length(v)) <= 60;
}

static bool is_medium(const json_t *v) {
    size_t n = json_is_string(v) ? ol_utf8_count(json_string_value(v), json_string_length(v)) : 0;
    return n >= 40 && n <= 90;
}

static bool is_extended(const json_t *v) {
    const char *key;
    json_t *x;
    json_object_foreach((json_t *)(uintptr_t)v, key, x) {
        bool declared = strcmp(key, "a") == 0 || strcmp(key, "ab") == 0;
        if (declared ? !json_is_null(x) : !json_is_boolean(x)) return false;
    }
    return json_is_object(v);
}

static bool is_interval(const json_t *v) {
    return json_is_number(v) && json_number_value(v) >= 0.25 && json_number_value(v) < 1.5;
}

static bool is_pair(const json_t *v) {
    size_t n = json_array_size(v);
    return n >= 1 && n <= 2 && json_is_integer(json_array_get(v, 0)) && (n == 1 || json_is_boolean(json_array_get(v, 1)));
}

static void test_valid(void **state) {
    (void)state;
    all_valid(schemas[0], is_any);
    all_valid(schemas[1], is_record);
    all_valid(schemas[2], is_short);
    all_valid(schemas[3], is_medium);
    all_valid(schemas[5], is_extended);
    all_valid(schemas[7], is_interval);
    all_valid(schemas[9], is_pair);
}

static void accepts(kind k, const char *grammar, const char *text, bool want) {
    rig r;
    olv_error err;
    open_rig(&r, k, grammar);
    bool got = ol_grammar_accept(r.m, text, strlen(text), &err) == OLV_OK && ol_grammar_complete(r.m);
    if (got != want) fail_msg("%s: '%s' is %staken", grammar, text, got ? "" : "not ");
    close_rig(&r);
}

static void test_language(void **state) {
    (void)state;
    accepts(REGEX, "a+b?", "aaab", true);
    accepts(REGEX, "a+b?", "b", false);
    accepts(REGEX, "^x{2,3}$", "xxxx", false);
    accepts(REGEX, "[^\\d\\s]+", "\xe4\xb8\xad", true);
    accepts(REGEX, "\\u00e9|\\x41", "\xc3\xa9", true);
    accepts(REGEX, ".", "\xc3", false);
    accepts(REGEX, ".", "\n", false);
    accepts(EBNF, "root ::= \"a\" root \"b\" | \"\"", "aaabbb", true);
    accepts(EBNF, "root ::= \"a\" root \"b\" | \"\"", "aaabb", false);
    accepts(EBNF, "root ::= item{2,3}\nitem ::= [a-c] | \"\\u00e9\"", "a\xc3\xa9""c", true);
    accepts(JSON, "{\"type\":\"integer\",\"minimum\":10,\"maximum\":205}", "99", true);
    accepts(JSON, "{\"type\":\"integer\",\"minimum\":10,\"maximum\":205}", "206", false);
    accepts(JSON, "{\"type\":\"integer\",\"minimum\":10,\"maximum\":205}", "9", false);
    accepts(JSON, "{\"type\":\"string\",\"format\":\"date\"}", "\"2026-03-05\"", true);
    accepts(JSON, "{\"type\":\"object\",\"properties\":{\"a\":{},\"b\":{}},\"required\":[\"b\"]}", "{\"b\": [1, {}]}", true);
    accepts(JSON, "{\"type\":\"object\",\"properties\":{\"a\":{},\"b\":{}},\"required\":[\"b\"]}", "{\"a\":1}", false);
    accepts(JSON, "{\"allOf\":[{\"properties\":{\"a\":{\"type\":\"null\"}}},{\"required\":[\"a\"]}]}", "{\"a\":null}", true);
}

static void refuses(kind k, const char *grammar, olv_status status, const char *part) {
    ol_grammar *g = NULL;
    olv_error err = {0};
    assert_int_equal(compile(k, grammar, &g, &err), status);
    if (!strstr(err.message, part)) fail_msg("'%s' lacks '%s'", err.message, part);
}

static void test_refused(void **state) {
    (void)state;
    refuses(JSON, "{\"$ref\":\"#\"}", OLV_ARG, "never ends");
    refuses(JSON, "{\"type\":\"object\",\"properties\":{\"a\":{\"$ref\":\"#\"}},\"required\":[\"a\"]}", OLV_ARG, "never ends");
    refuses(JSON, "{\"type\":\"array\",\"items\":{\"$ref\":\"#\"},\"minItems\":1}", OLV_ARG, "never ends");
    refuses(JSON, "{\"enum\":[]}", OLV_ARG, "no finite text");
    refuses(JSON, "{\"type\":\"integer\",\"minimum\":5,\"maximum\":4}", OLV_ARG, "maximum");
    refuses(JSON, "{\"type\":\"string\",\"minLength\":5,\"maxLength\":4}", OLV_ARG, "maxLength");
    refuses(JSON, "{\"type\":\"object\",\"required\":[\"q\"],\"additionalProperties\":false}", OLV_ARG, "'q'");
    refuses(JSON, "{\"not\":{}}", OLV_UNSUPPORTED, "'not'");
    refuses(JSON, "{\"type\":\"array\",\"uniqueItems\":true}", OLV_UNSUPPORTED, "uniqueItems");
    refuses(JSON, "{\"type\":\"number\",\"multipleOf\":0.5}", OLV_UNSUPPORTED, "multipleOf");
    refuses(JSON, "{\"$ref\":\"#/nope\"}", OLV_ARG, "#/nope");
    refuses(JSON, "{\"type\":\"string\",\"minLength\":100000}", OLV_LIMIT, "10000");
    refuses(REGEX, "(a", OLV_ARG, "')'");
    refuses(REGEX, "a)", OLV_ARG, "')'");
    refuses(REGEX, "[b-a]", OLV_ARG, "wrong way round");
    refuses(REGEX, "(?=a)", OLV_UNSUPPORTED, "look-ahead");
    refuses(REGEX, "(a)\\1", OLV_UNSUPPORTED, "back-reference");
    refuses(REGEX, "a{99999}", OLV_ARG, "10000");
    refuses(EBNF, "root ::= root \"a\" | \"b\"", OLV_UNSUPPORTED, "left recursion");
    refuses(EBNF, "root ::= x \"a\"\nx ::= \"q\"? root?", OLV_UNSUPPORTED, "left recursion");
    refuses(EBNF, "root ::= nope", OLV_ARG, "'nope'");
    refuses(EBNF, "root ::= \"a\" root", OLV_ARG, "never ends");
    refuses(EBNF, "other ::= \"a\"", OLV_ARG, "'root'");
    refuses(EBNF, "root ::= \"a", OLV_ARG, "line 1");
    char deep[3000];
    memset(deep, '(', sizeof deep - 1);
    deep[sizeof deep - 1] = 0;
    refuses(REGEX, deep, OLV_ARG, "too deep");
}

static void test_forced(void **state) {
    (void)state;
    rig r;
    olv_error err;
    char out[64];
    open_rig(&r, JSON, "{\"const\":{\"name\":true}}");
    size_t n = ol_grammar_forced(r.m, out, sizeof out);
    assert_int_equal(n, 14);
    assert_memory_equal(out, "{\"name\": true}", 14);
    assert_int_equal(ol_grammar_accept(r.m, out, n, &err), OLV_OK);
    assert_true(ol_grammar_finished(r.m));
    assert_int_equal(ol_grammar_accept(r.m, "x", 1, &err), OLV_ARG);
    close_rig(&r);
}

/* A long text through a recursive grammar: caches are dropped and made again on the way. */
static void test_long(void **state) {
    (void)state;
    rig r;
    olv_error err;
    uint32_t bits[WORDS];
    open_rig(&r, EBNF, "root ::= \"[\" root \"]\" | \"a\"");
    for (int i = 0; i < 60000; i++) {
        if (ol_grammar_accept(r.m, "[", 1, &err) != OLV_OK) fail_msg("%s", err.message);
        if (i % 1000 == 0) assert_int_equal(ol_grammar_mask(r.m, bits, &err), OLV_OK);
    }
    assert_int_equal(ol_grammar_mask(r.m, bits, &err), OLV_OK);
    assert_int_equal(ol_grammar_accept(r.m, "a", 1, &err), OLV_OK);
    for (int i = 0; i < 60000; i++) assert_int_equal(ol_grammar_accept(r.m, "]", 1, &err), OLV_OK);
    assert_true(ol_grammar_finished(r.m));
    close_rig(&r);
}

static void test_out_of_memory(void **state) {
    (void)state;
    static const int64_t eos[] = {EOS};
    bool done = false;
    for (uint64_t n = 1; n < 20000 && !done; n++) {
        ol_grammar *g = NULL;
        ol_grammar_vocab *v = NULL;
        ol_grammar_matcher *m = NULL;
        uint32_t bits[WORDS];
        olv_error err;
        ol_alloc_fail_at(n, true);
        olv_status s = compile(JSON, schemas[5], &g, &err);
        if (s == OLV_OK) s = ol_grammar_vocab_create(N_TOKENS, token_bytes, NULL, eos, 1, &v, &err);
        if (s == OLV_OK) s = ol_grammar_matcher_create(g, v, &m, &err);
        if (s == OLV_OK) s = ol_grammar_mask(m, bits, &err);
        if (s == OLV_OK) s = ol_grammar_accept(m, "{\"a\"", 4, &err);
        if (s == OLV_OK) s = ol_grammar_mask(m, bits, &err);
        ol_alloc_fail_at(0, false);
        done = s == OLV_OK;
        assert_true(s == OLV_OK || s == OLV_NOMEM || s == OLV_LIMIT || s == OLV_FORMAT);
        ol_grammar_matcher_destroy(m);
        ol_grammar_vocab_destroy(v);
        ol_grammar_destroy(g);
    }
    assert_true(done);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_masks),    cmocka_unit_test(test_valid),
                                       cmocka_unit_test(test_language), cmocka_unit_test(test_refused),
                                       cmocka_unit_test(test_forced),   cmocka_unit_test(test_long),
                                       cmocka_unit_test(test_out_of_memory)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
