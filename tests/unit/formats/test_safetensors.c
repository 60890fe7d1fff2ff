/* SPDX-License-Identifier: Apache-2.0 */
#include "formats/safetensors/safetensors.h"

#include "base/alloc.h"
#include "base/file.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

/* A file of this JSON header and n data bytes counting up; ol_free it. */
static uint8_t *make_file(const char *json, size_t n, size_t *len) {
    size_t h = strlen(json);
    uint8_t *f = ol_alloc(8 + h + n);
    assert_non_null(f);
    for (int i = 0; i < 8; i++) f[i] = (uint8_t)((uint64_t)h >> (8 * i));
    memcpy(f + 8, json, h);
    for (size_t i = 0; i < n; i++) f[8 + h + i] = (uint8_t)i;
    *len = 8 + h + n;
    return f;
}

static void good(const char *json, size_t n) {
    size_t len;
    uint8_t *f = make_file(json, n, &len);
    olv_error err = {OLV_OK, ""};
    if (ol_safetensors_check(f, len, &err) != OLV_OK) fail_msg("%s: %s", json, err.message);
    ol_free(f);
}

static void bad(const char *json, size_t n, const char *part) {
    size_t len;
    uint8_t *f = make_file(json, n, &len);
    olv_error err = {OLV_OK, ""};
    assert_int_equal(ol_safetensors_check(f, len, &err), OLV_FORMAT);
    if (!strstr(err.message, part)) fail_msg("%s: message '%s' lacks '%s'", json, err.message, part);
    ol_free(f);
}

static void accepts_what_the_format_allows(void **state) {
    (void)state;
    good("{}", 0);
    good("{}        ", 0);
    good("{\"__metadata__\":{\"format\":\"pt\"}}", 0);
    good("{\"a\":{\"dtype\":\"F32\",\"shape\":[2,1],\"data_offsets\":[0,8]}}", 8);
    good("{\"s\":{\"dtype\":\"F64\",\"shape\":[],\"data_offsets\":[0,8]}}", 8);
    good("{\"z\":{\"dtype\":\"I8\",\"shape\":[0,9223372036854775807],\"data_offsets\":[0,0]}}", 0);
    good("{\"b\":{\"dtype\":\"U8\",\"shape\":[3],\"data_offsets\":[2,5]},\"a\":{\"data_offsets\":[0,2],\"shape\":[1],"
         "\"dtype\":\"BF16\"}}", 5);
    good("{\"q\":{\"dtype\":\"F4\",\"shape\":[6],\"data_offsets\":[0,3]}}", 3);
    good("{\"q\":{\"dtype\":\"F6_E3M2\",\"shape\":[4],\"data_offsets\":[0,3]}}", 3);
    static const struct {
        const char *name;
        size_t bytes;
    } types[] = {{"BOOL", 1}, {"U8", 1}, {"I8", 1}, {"F8_E5M2", 1}, {"F8_E4M3", 1}, {"F8_E8M0", 1},
                 {"F8_E4M3FNUZ", 1}, {"F8_E5M2FNUZ", 1}, {"I16", 2}, {"U16", 2}, {"F16", 2}, {"BF16", 2}, {"I32", 4},
                 {"U32", 4}, {"F32", 4}, {"C64", 8}, {"F64", 8}, {"I64", 8}, {"U64", 8}};
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        char json[128];
        snprintf(json, sizeof json, "{\"t\":{\"dtype\":\"%s\",\"shape\":[3],\"data_offsets\":[0,%zu]}}", types[i].name,
                 3 * types[i].bytes);
        good(json, 3 * types[i].bytes);
    }
}

static void refuses_bad_headers(void **state) {
    (void)state;
    bad("[]", 0, "begin with '{'");
    bad("{\"a\":1}", 0, "must be an object");
    bad("{\"a\":{\"dtype\":\"F33\",\"shape\":[],\"data_offsets\":[0,4]}}", 4, "unknown dtype 'F33'");
    bad("{\"a\":{\"shape\":[],\"data_offsets\":[0,4]}}", 4, "dtype is missing");
    bad("{\"a\":{\"dtype\":\"F32\",\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[0,4]}}", 4, "given twice");
    bad("{\"a\":{\"dtype\":\"F32\",\"shape\":[-1],\"data_offsets\":[0,4]}}", 4, "non-negative");
    bad("{\"a\":{\"dtype\":\"F32\",\"shape\":[1.5],\"data_offsets\":[0,4]}}", 4, "non-negative");
    bad("{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,0]}}", 4, "before begin");
    bad("{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0]}}", 4, "two non-negative");
    bad("{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4,8]}}", 4, "two non-negative");
    bad("{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,4]}}", 4, "need 8");
    bad("{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}", 5, "behind the last tensor");
    bad("{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}", 4, "truncated");
    bad("{\"a\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[1,3]}}", 3, "hole");
    bad("{\"a\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[0,2]},"
        "\"b\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[1,3]}}", 3, "overlap");
    bad("{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]},"
        "\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[1,2]}}", 2, "given twice");
    bad("{\"a\":{\"dtype\":\"F32\",\"shape\":[4294967296,4294967296],\"data_offsets\":[0,4]}}", 4, "overflows");
    bad("{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[18446744073709551615,18446744073709551616]}}", 4,
        "non-negative");
    bad("{\"q\":{\"dtype\":\"F4\",\"shape\":[5],\"data_offsets\":[0,3]}}", 3, "whole bytes");
    bad("{\"__metadata__\":{\"n\":1}}", 0, "object of strings");
    bad("{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}", 1, ":");
    bad("{} x", 0, ":");
    olv_error err;
    assert_int_equal(ol_safetensors_check((const uint8_t *)"abc", 3, &err), OLV_FORMAT);
    static const uint8_t huge[9] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, '{'};
    assert_int_equal(ol_safetensors_check(huge, sizeof huge, &err), OLV_FORMAT);
    assert_non_null(strstr(err.message, "header of"));
}

/* ---- folders ---- */

static void put(const char *dir, const char *name, const void *data, size_t n) {
    char *path = ol_path_join(dir, name);
    olv_error err;
    assert_int_equal(ol_file_write_atomic(path, data, n, &err), OLV_OK);
    ol_free(path);
}

static void put_shard(const char *dir, const char *name, const char *json, size_t n) {
    size_t len;
    uint8_t *f = make_file(json, n, &len);
    put(dir, name, f, len);
    ol_free(f);
}

#define A "{\"a\":{\"dtype\":\"U8\",\"shape\":[2,2],\"data_offsets\":[0,4]}}"
#define B "{\"b\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]},\"__metadata__\":{\"k\":\"v\\u00e4\"}}"

static void reads_shards(void **state) {
    (void)state;
    char dir[] = "/tmp/olivine-st-XXXXXX";
    olv_error err = {OLV_OK, ""};
    assert_non_null(mkdtemp(dir));
    put_shard(dir, "model-1.safetensors", A, 4);
    put_shard(dir, "model-2.safetensors", B, 8);
    static const char index[] = "{\"metadata\":{\"total_size\":12},\"weight_map\":{\"a\":\"model-1.safetensors\","
                                "\"b\":\"model-2.safetensors\"}}";
    put(dir, "model.safetensors.index.json", index, sizeof index - 1);
    ol_safetensors *st = NULL;
    if (ol_safetensors_open(dir, &st, &err) != OLV_OK) fail_msg("%s", err.message);
    assert_int_equal(ol_safetensors_count(st), 2);
    assert_int_equal(ol_safetensors_bytes(st), 12);
    assert_string_equal(ol_safetensors_meta(st, "k"), "v\xc3\xa4");
    const ol_st_tensor *t = ol_safetensors_find(st, "a");
    assert_non_null(t);
    assert_null(ol_safetensors_find(st, "c"));
    ol_const *c = NULL;
    assert_int_equal(ol_safetensors_const(st, t, &c, &err), OLV_OK);
    ol_safetensors_close(st); /* the constant keeps the map */
    float row[2];
    assert_int_equal(ol_const_rows_f32(c, 1, 1, row, &err), OLV_OK);
    assert_true(row[0] == 2 && row[1] == 3);
    ol_const_release(c);

    static const char wrong_file[] = "{\"weight_map\":{\"a\":\"model-2.safetensors\",\"b\":\"model-1.safetensors\"}}";
    put(dir, "model.safetensors.index.json", wrong_file, sizeof wrong_file - 1);
    assert_int_equal(ol_safetensors_open(dir, &st, &err), OLV_FORMAT);
    assert_non_null(strstr(err.message, "tensor 'a' should be in model-2.safetensors"));
    static const char escapes[] = "{\"weight_map\":{\"a\":\"../model-2.safetensors\"}}";
    put(dir, "model.safetensors.index.json", escapes, sizeof escapes - 1);
    assert_int_equal(ol_safetensors_open(dir, &st, &err), OLV_FORMAT);
    assert_non_null(strstr(err.message, "no plain file name"));
    put_shard(dir, "model-2.safetensors", A, 4);
    put(dir, "model.safetensors.index.json", index, sizeof index - 1);
    assert_int_equal(ol_safetensors_open(dir, &st, &err), OLV_FORMAT);
    assert_non_null(strstr(err.message, "is in two files"));
    assert_int_equal(ol_dir_remove(dir, &err), OLV_OK);
}

static void names_what_is_missing(void **state) {
    (void)state;
    char dir[] = "/tmp/olivine-st-XXXXXX";
    olv_error err = {OLV_OK, ""};
    ol_safetensors *st = NULL;
    assert_non_null(mkdtemp(dir));
    assert_int_equal(ol_safetensors_open(dir, &st, &err), OLV_NOT_FOUND);
    assert_non_null(strstr(err.message, "model.safetensors"));
    assert_false(ol_safetensors_in(dir));
    put_shard(dir, "other.safetensors", A, 4);
    assert_true(ol_safetensors_in(dir));
    assert_int_equal(ol_safetensors_open(dir, &st, &err), OLV_OK);
    ol_safetensors_close(st);
    assert_int_equal(ol_dir_remove(dir, &err), OLV_OK);
}

static void survives_failing_allocations(void **state) {
    (void)state;
    size_t len;
    uint8_t *f = make_file(B, 8, &len);
    olv_error err;
    bool done = false;
    for (uint64_t n = 1; !done && n < 100; n++) {
        ol_alloc_fail_at(n, true);
        olv_status s = ol_safetensors_check(f, len, &err);
        ol_alloc_fail_at(0, false);
        assert_true(s == OLV_OK || s == OLV_NOMEM);
        done = s == OLV_OK;
    }
    assert_true(done);
    ol_free(f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(accepts_what_the_format_allows), cmocka_unit_test(refuses_bad_headers),
        cmocka_unit_test(reads_shards), cmocka_unit_test(names_what_is_missing),
        cmocka_unit_test(survives_failing_allocations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
