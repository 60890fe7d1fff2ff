/* SPDX-License-Identifier: Apache-2.0 */
#include "formats/gguf/gguf.h"

#include "base/alloc.h"
#include "base/file.h"
#include "formats/gguf/output.h"
#include "formats/gguf/planar.h"
#include "tensor/qblock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

/* A header with these counts, then what the body holds. */
static ol_buf start(uint32_t version, uint64_t tensors, uint64_t pairs) {
    ol_buf b = OL_BUF_INIT;
    ol_buf_append(&b, "GGUF", 4);
    ol_gguf_put_raw(&b, version, 4);
    ol_gguf_put_raw(&b, tensors, 8);
    ol_gguf_put_raw(&b, pairs, 8);
    return b;
}

static void add_tensor(ol_buf *b, const char *name, uint64_t d0, uint64_t d1, uint32_t type, uint64_t offset) {
    ol_gguf_put_text(b, name, strlen(name));
    ol_gguf_put_raw(b, 2, 4);
    ol_gguf_put_raw(b, d0, 8);
    ol_gguf_put_raw(b, d1, 8);
    ol_gguf_put_raw(b, type, 4);
    ol_gguf_put_raw(b, offset, 8);
}

static void add_data(ol_buf *b, size_t n) {
    while (b->len % 32) ol_buf_putc(b, 0);
    for (size_t i = 0; i < n; i++) ol_buf_putc(b, (char)i);
}

static void bad(ol_buf *b, const char *part) {
    ol_gguf *g = NULL;
    olv_error err = {OLV_OK, ""};
    assert_false(b->failed);
    assert_int_not_equal(ol_gguf_parse((const uint8_t *)b->data, b->len, "x", &g, &err), OLV_OK);
    assert_null(g);
    if (!strstr(err.message, part)) fail_msg("message '%s' lacks '%s'", err.message, part);
    ol_buf_deinit(b);
}

static void refuses_bad_headers(void **state) {
    (void)state;
    ol_buf b = start(4, 0, 0);
    bad(&b, "version 4");
    b = start(0x03000000u, 0, 0);
    bad(&b, "big-endian");
    b = start(3, UINT64_MAX, 0);
    bad(&b, "do not fit");
    b = start(3, 0, UINT64_C(1) << 60);
    bad(&b, "do not fit");
    b = start(3, 0, 1);
    ol_gguf_put_raw(&b, UINT64_MAX, 8);
    ol_gguf_put_raw(&b, 0, 8);
    bad(&b, "ends in the metadata");
}

static void refuses_bad_pairs(void **state) {
    (void)state;
    ol_gguf_pairs p = {start(3, 0, 2), 0};
    ol_gguf_put_u32(&p, "a.key", 1);
    ol_gguf_put_u32(&p, "a.key", 2);
    bad(&p.buf, "twice");
    p = (ol_gguf_pairs){start(3, 0, 1), 0};
    ol_gguf_put_array(&p, "a.key", OL_GGUF_ARRAY, 1);
    ol_gguf_put_raw(&p.buf, 0, 8);
    bad(&p.buf, "expected numbers or strings");
    p = (ol_gguf_pairs){start(3, 0, 1), 0};
    ol_gguf_put_array(&p, "a.key", OL_GGUF_U64, UINT64_C(1) << 61);
    bad(&p.buf, "items");
    p = (ol_gguf_pairs){start(3, 0, 1), 0};
    ol_gguf_put_array(&p, "a.key", OL_GGUF_STRING, 1000000);
    bad(&p.buf, "ends in an array");
    p = (ol_gguf_pairs){start(3, 0, 1), 0};
    ol_gguf_put_key(&p, "a.key", (ol_gguf_kind)13);
    ol_gguf_put_raw(&p.buf, 0, 8);
    bad(&p.buf, "type 13");
}

static void refuses_bad_tensors(void **state) {
    (void)state;
    ol_buf b = start(3, 2, 0);
    add_tensor(&b, "a", 8, 2, 0, 0);
    add_tensor(&b, "b", 8, 2, 0, 32);
    add_data(&b, 96);
    bad(&b, "overlap");
    b = start(3, 2, 0);
    add_tensor(&b, "a", 8, 1, 0, 0);
    add_tensor(&b, "a", 8, 1, 0, 32);
    add_data(&b, 64);
    bad(&b, "twice");
    b = start(3, 1, 0);
    add_tensor(&b, "a", UINT64_C(1) << 40, UINT64_C(1) << 40, 0, 0);
    bad(&b, "too large");
    b = start(3, 1, 0);
    add_tensor(&b, "a", 8, 1, 0, UINT64_MAX - 31);
    add_data(&b, 32);
    bad(&b, "outside");
    b = start(3, 1, 0);
    add_tensor(&b, "a", 16, 1, 2, 0);
    add_data(&b, 32);
    bad(&b, "multiple of 32");
    b = start(3, 1, 0);
    add_tensor(&b, "a", 32, 1, 31, 0);
    add_data(&b, 32);
    bad(&b, "not known");
    b = start(3, 1, 0);
    add_tensor(&b, "a", 8, 1, 0, 8);
    add_data(&b, 64);
    bad(&b, "offset");
}

static void cut_files_are_refused_at_every_byte(void **state) {
    (void)state;
    ol_gguf_pairs p = {start(3, 1, 2), 0};
    ol_gguf_put_string(&p, "general.architecture", "llama", 5);
    ol_gguf_put_bool(&p, "b", true);
    add_tensor(&p.buf, "a", 8, 1, 0, 0);
    add_data(&p.buf, 32);
    for (size_t n = 0; n <= p.buf.len; n++) {
        ol_gguf *g = NULL;
        olv_error err = {OLV_OK, ""};
        uint8_t *copy = ol_alloc(n); /* so that a read behind the end is seen */
        assert_non_null(copy);
        memcpy(copy, p.buf.data, n);
        assert_int_equal(ol_gguf_parse(copy, n, "x", &g, &err) == OLV_OK, n == p.buf.len);
        ol_gguf_destroy(g);
        ol_free(copy);
    }
    ol_buf_deinit(&p.buf);
}

/* The planar forms have exactly the values of the blocks, in the order asked for. */
static void blocks_are_taken_apart_without_loss(void **state) {
    (void)state;
    static const uint32_t kinds[] = {2, 8, 14};
    uint8_t bytes[4 * 256 * 2];
    float want[256], got[256];
    for (size_t i = 0; i < sizeof bytes; i++) bytes[i] = (uint8_t)(i * 37 % 61 + (i % 7));
    for (size_t k = 0; k < 3; k++) {
        uint32_t block, size;
        assert_true(ol_gguf_type_size(kinds[k], &block, &size));
        ol_gguf_tensor t = {.type = kinds[k], .rank = 2, .dims = {2, 256}, .data = bytes};
        size_t row = 256 / block * size;
        t.bytes = 2 * row;
        static const int32_t order[] = {1, 0};
        olv_error err = {OLV_OK, ""};
        ol_const *c = ol_gguf_quantized(&t, NULL, order, &err);
        if (!c) fail_msg("%s", err.message);
        for (int64_t r = 0; r < 2; r++) {
            for (size_t i = 0; i < 256 / block; i++)
                ol_qblock_decode(ol_gguf_block(kinds[k]), bytes + (size_t)(1 - r) * row + i * size, want + i * block);
            assert_int_equal(ol_const_rows_f32(c, r, 1, got, &err), OLV_OK);
            assert_memory_equal(got, want, sizeof want);
        }
        ol_const_release(c);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(refuses_bad_headers), cmocka_unit_test(refuses_bad_pairs), cmocka_unit_test(refuses_bad_tensors),
        cmocka_unit_test(cut_files_are_refused_at_every_byte), cmocka_unit_test(blocks_are_taken_apart_without_loss)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
