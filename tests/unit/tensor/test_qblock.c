/* SPDX-License-Identifier: Apache-2.0 */
/* tests/data/qblock.bin: per block kind three int32 (kind as in ol_qblock, elements of a block, blocks), random blocks with
 * finite scales, and the f32 values that the Python package gguf 0.19 decodes from them. */
#include "base/alloc.h"
#include "base/file.h"
#include "tensor/constant.h"
#include "tensor/qblock.h"
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

static olv_error err;

/* Whole rows, and every slice of columns that starts or ends within a block. */
static void check_kind(ol_qblock kind, int64_t k, const uint8_t *raw, const uint8_t *want_bytes) {
    static float want[2048], got[2048];
    ol_qconst q = {.code = OL_Q_BLOCK, .block = kind, .rows = 1, .k = k, .codes = raw, .global_scale = 1,
                   .row_bytes = (size_t)(k / ol_qblock_elems(kind)) * (size_t)ol_qblock_bytes(kind)};
    memcpy(want, want_bytes, (size_t)k * 4);
    assert_int_equal(ol_qconst_check(&q, q.row_bytes, 0, 0, &err), OLV_OK);
    ol_qconst_rows_f32(&q, 0, 1, got);
    for (int64_t j = 0; j < k; j++) assert_true(got[j] == want[j]);
    ol_const *c = ol_const_quant(2, (int64_t[]){1, k}, &q, NULL, 0, NULL, NULL, &err);
    ol_const *t = ol_const_transpose(c, &err);
    assert_int_equal(ol_const_rows_f32(t, 7, k - 20, got, &err), OLV_OK);
    for (int64_t j = 0; j < k - 20; j++) assert_true(got[j] == want[j + 7]);
    ol_const_release(c);
    ol_const_release(t);
    q.k--;
    assert_int_equal(ol_qconst_check(&q, q.row_bytes, 0, 0, &err), OLV_SHAPE);
}

static void decodes_like_gguf(void **state) {
    (void)state;
    char *data;
    size_t len, at = 0;
    int kinds = 0;
    assert_int_equal(ol_file_read(OL_TEST_DATA "/qblock.bin", 1 << 20, &data, &len, &err), OLV_OK);
    while (at < len) {
        int32_t h[3];
        memcpy(h, data + at, sizeof h);
        ol_qblock kind = (ol_qblock)h[0];
        assert_int_equal(ol_qblock_elems(kind), h[1]);
        const uint8_t *raw = (const uint8_t *)data + at + sizeof h;
        size_t bytes = (size_t)h[2] * (size_t)ol_qblock_bytes(kind);
        check_kind(kind, (int64_t)h[1] * h[2], raw, raw + bytes);
        at += sizeof h + bytes + (size_t)h[1] * (size_t)h[2] * 4;
        kinds++;
    }
    assert_int_equal(kinds, 13);
    ol_free(data);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(decodes_like_gguf)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
