/* SPDX-License-Identifier: Apache-2.0 */
#include "tensor/constant.h"
#include "base/alloc.h"
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

static olv_error err;

static ol_const *counting(int rank, const int64_t *dims) {
    ol_tensor t;
    assert_int_equal(ol_tensor_init(&t, OL_F32, rank, dims, &err), OLV_OK);
    for (size_t i = 0; i < t.bytes / 4; i++) ((float *)t.data)[i] = (float)i;
    ol_const *c = ol_const_tensor(&t, &err);
    assert_non_null(c);
    ol_tensor_deinit(&t);
    return c;
}

/* Releases src after the view took its own reference. */
static ol_const *over(ol_const *src, ol_const *view) {
    assert_non_null(view);
    ol_const_release(src);
    return view;
}

static void views_of_views(void **state) {
    (void)state;
    ol_const *c = counting(2, (int64_t[]){6, 4});
    c = over(c, ol_const_slice_rows(c, 1, 4, &err)); /* rows 1..4 */
    assert_int_equal(ol_const_get_kind(c), OL_CONST_BYTES);
    c = over(c, ol_const_transpose(c, &err));                                  /* [4, 4] */
    c = over(c, ol_const_permute_rows(c, (int32_t[]){3, 0, 2}, 3, &err));       /* columns 3, 0, 2 */
    c = over(c, ol_const_slice_rows(c, 1, 2, &err));                           /* columns 0, 2 */
    c = over(c, ol_const_concat_rows((ol_const *[]){c, c}, 2, &err));          /* [4, 4] */
    c = over(c, ol_const_reshape(c, 2, (int64_t[]){2, 8}, &err));
    c = over(c, ol_const_cast(c, OL_F16, &err));
    assert_int_equal(ol_const_rows(c), 2);
    float out[16];
    assert_int_equal(ol_const_rows_f32(c, 0, 2, out, &err), OLV_OK);
    const float want[8] = {4, 8, 12, 16, 6, 10, 14, 18};
    for (int i = 0; i < 16; i++) assert_true(out[i] == want[i % 8]);
    ol_tensor t;
    assert_int_equal(ol_const_materialize(c, 1000, &t, &err), OLV_OK);
    assert_int_equal(t.dtype, OL_F16);
    for (uint64_t i = 0; i < 16; i++) assert_true(ol_elem_get(OL_F16, t.data, i) == want[i % 8]);
    ol_tensor_deinit(&t);
    assert_int_equal(ol_const_materialize(c, 31, &t, &err), OLV_LIMIT);
    ol_const_release(c);
}

static void vectors_and_big_transposes(void **state) {
    (void)state;
    ol_const *v = counting(1, (int64_t[]){5});
    ol_const *p = ol_const_permute_rows(v, (int32_t[]){4, 1}, 2, &err), *s = ol_const_slice_rows(v, 2, 3, &err);
    ol_const *c = ol_const_concat_rows((ol_const *[]){p, s}, 2, &err);
    assert_int_equal(ol_const_dims(c)[0], 5);
    float out[5];
    assert_int_equal(ol_const_rows_f32(c, 0, 1, out, &err), OLV_OK);
    const float want[5] = {4, 1, 2, 3, 4};
    assert_memory_equal(out, want, sizeof want);
    ol_const_release(v);
    ol_const_release(p);
    ol_const_release(s);
    ol_const_release(c);
    c = counting(2, (int64_t[]){70, 150});
    c = over(c, ol_const_transpose(c, &err));
    static float t[150 * 70];
    assert_int_equal(ol_const_rows_f32(c, 1, 149, t, &err), OLV_OK);
    for (int i = 0; i < 149; i++)
        for (int j = 0; j < 70; j++) assert_true(t[i * 70 + j] == (float)(j * 150 + i + 1));
    ol_const *r = ol_const_reshape(c, 1, (int64_t[]){150 * 70}, &err);
    assert_int_equal(ol_const_rows_f32(r, 0, 1, t, &err), OLV_OK);
    for (int i = 0; i < 150 * 70; i++) assert_true(t[i] == (float)(i % 70 * 150 + i / 70));
    ol_const *back = ol_const_transpose(c, &err);
    assert_non_null(ol_const_data(back, NULL));
    ol_const_release(back);
    ol_const_release(r);
    ol_const_release(c);
}

/* 5 rows of 7 codes in groups of 3 (ragged), u4 with zero points. */
static uint8_t codes[5][5], zeros[5][2];
static float scales[5][3];

static ol_qconst small_quant(void) {
    for (int r = 0; r < 5; r++) {
        for (int k = 0; k < 9; k++) ol_elem_set(OL_U4, codes[r], (uint64_t)k, (r * 7 + k * 5) % 16);
        for (int g = 0; g < 3; g++) {
            scales[r][g] = 0.5f + (float)(r + g);
            ol_elem_set(OL_U4, zeros[r], (uint64_t)g, r + 2 * g);
        }
    }
    return (ol_qconst){.code = OL_Q_U4, .rows = 5, .k = 7, .group = 3, .n_groups = 3, .codes = codes[0],
                       .row_bytes = 5, .scale_dtype = OL_F32, .scales = scales, .zero_dtype = OL_U4,
                       .zeros = zeros, .zero_row_bytes = 2, .global_scale = 1};
}

static float small_value(int r, int k) {
    return (0.5f + (float)(r + k / 3)) * (float)((r * 7 + k * 5) % 16 - (r + 2 * (k / 3)));
}

static void expect_rows(const ol_const *c, const int *rows, int n) {
    float out[7];
    assert_int_equal(ol_const_rows(c), n);
    for (int i = 0; i < n; i++) {
        assert_int_equal(ol_const_rows_f32(c, i, 1, out, &err), OLV_OK);
        for (int k = 0; k < 7; k++) assert_true(out[k] == small_value(rows[i], k));
    }
}

static void quantized_stays_quantized(void **state) {
    (void)state;
    ol_qconst q = small_quant();
    assert_int_equal(ol_qconst_check(&q, sizeof codes, sizeof scales, sizeof zeros, &err), OLV_OK);
    ol_const *c = ol_const_quant(2, (int64_t[]){5, 7}, &q, NULL, 0, NULL, NULL, &err);
    expect_rows(c, (int[]){0, 1, 2, 3, 4}, 5);
    ol_const *s = ol_const_slice_rows(c, 2, 3, &err);
    assert_non_null(ol_const_qconst(s));
    expect_rows(s, (int[]){2, 3, 4}, 3);
    ol_const *p = ol_const_permute_rows(s, (int32_t[]){2, 0}, 2, &err);
    assert_non_null(ol_const_quant_form(p));
    expect_rows(p, (int[]){4, 2}, 2);
    ol_const *j = ol_const_concat_rows((ol_const *[]){p, c, s}, 3, &err);
    assert_non_null(ol_const_lazy(j));
    expect_rows(j, (int[]){4, 2, 0, 1, 2, 3, 4, 2, 3, 4}, 10);
    ol_const *m = ol_const_slice_rows(j, 1, 6, &err);
    assert_non_null(ol_const_lazy(m));
    expect_rows(m, (int[]){2, 0, 1, 2, 3, 4}, 6);
    ol_const *t = ol_const_transpose(m, &err);
    float out[7 * 6];
    assert_int_equal(ol_const_rows_f32(t, 0, 7, out, &err), OLV_OK);
    for (int k = 0; k < 7; k++) assert_true(out[k * 6 + 2] == small_value(1, k));
    ol_const *e = ol_const_reshape(m, 3, (int64_t[]){2, 3, 7}, &err);
    assert_int_equal(ol_const_rank(e), 3);
    ol_const *second = ol_const_slice_rows(e, 1, 1, &err);
    expect_rows(second, (int[]){2, 3, 4}, 3);
    assert_null(ol_const_reshape(m, 2, (int64_t[]){7, 6}, &err));
    assert_int_equal(err.status, OLV_SHAPE);
    ol_const *all[] = {c, s, p, j, m, t, e, second};
    for (size_t i = 0; i < 8; i++) ol_const_release(all[i]);
}

static void other_codes(void **state) {
    (void)state;
    uint8_t b[4] = {0x80, 0x7f, 0x01, 0xff};
    float s = 2, m = -3, out[8];
    ol_qconst q = {.code = OL_Q_I8, .rows = 1, .k = 4, .group = 4, .n_groups = 1, .codes = b, .row_bytes = 4,
                   .scale_dtype = OL_F32, .scales = &s, .global_scale = 1};
    ol_qconst_rows_f32(&q, 0, 1, out);
    assert_true(out[0] == -256 && out[1] == 254 && out[2] == 2 && out[3] == -2);
    q.code = OL_Q_U8;
    ol_qconst_rows_f32(&q, 0, 1, out);
    assert_true(out[0] == 0 && out[1] == -2 && out[2] == -254);
    q.min_dtype = OL_F32;
    q.mins = &m;
    ol_qconst_rows_f32(&q, 0, 1, out);
    assert_true(out[0] == 253 && out[1] == 251 && out[2] == -1);
    q.min_dtype = OL_DTYPE_NONE;
    q.code = OL_Q_I4;
    q.k = q.group = 8;
    q.global_scale = 0.5f;
    q.perm = (int32_t[]){7, 6, 5, 4, 3, 2, 1, 0};
    q.input_scale = (float[]){1, 1, 1, 1, 1, 1, 1, 10};
    ol_qconst_rows_f32(&q, 0, 1, out);
    assert_true(out[0] == -1 && out[1] == -1 && out[2] == 0 && out[3] == 1 && out[4] == 7 && out[5] == -1);
    assert_true(out[6] == -8 && out[7] == 0);
    q.perm = NULL;
    q.input_scale = NULL;
    q.global_scale = 1;
    q.code = OL_Q_NF4;
    ol_qconst_rows_f32(&q, 0, 1, out);
    for (int k = 0; k < 8; k++) assert_true(out[k] == 2 * ol_nf4_table[(int)ol_elem_get(OL_U4, b, (uint64_t)k)]);
    q.code = OL_Q_F4;
    ol_qconst_rows_f32(&q, 0, 1, out);
    for (int k = 0; k < 8; k++) assert_true(out[k] == 2 * (float)ol_elem_get(OL_F4E2M1, b, (uint64_t)k));
    q.code = OL_Q_U2;
    q.k = 6;
    q.group = 6;
    ol_qconst_rows_f32(&q, 0, 1, out);
    assert_true(out[0] == -4 && out[3] == 0 && out[4] == 2 && out[5] == 2);
    char text[40];
    ol_qconst_describe(&q, text, sizeof text);
    assert_string_equal(text, "int2 sym per-row");
    q = small_quant();
    ol_qconst_describe(&q, text, sizeof text);
    assert_string_equal(text, "u4 g3 zp");
    assert_true(ol_qconst_bits(&q) == 4 + 20 * 3 / 7.0);
}

static void bad_forms(void **state) {
    (void)state;
    ol_qconst q = small_quant();
    assert_int_equal(ol_qconst_check(&q, sizeof codes - 1, sizeof scales, sizeof zeros, &err), OLV_FORMAT);
    assert_int_equal(ol_qconst_check(&q, sizeof codes, sizeof scales - 1, sizeof zeros, &err), OLV_FORMAT);
    assert_int_equal(ol_qconst_check(&q, sizeof codes, sizeof scales, sizeof zeros - 1, &err), OLV_FORMAT);
    q.row_bytes = 4;
    assert_int_equal(ol_qconst_check(&q, 9999, 9999, 9999, &err), OLV_FORMAT);
    q = small_quant();
    q.n_groups = 2;
    assert_int_equal(ol_qconst_check(&q, 9999, 9999, 9999, &err), OLV_SHAPE);
    q = small_quant();
    q.rows = INT64_MAX;
    q.row_bytes = SIZE_MAX / 2;
    assert_int_equal(ol_qconst_check(&q, SIZE_MAX, SIZE_MAX, SIZE_MAX, &err), OLV_FORMAT);
    q = small_quant();
    q.perm = (int32_t[]){0, 1, 2, 3, 4, 5, 7};
    assert_int_equal(ol_qconst_check(&q, 9999, 9999, 9999, &err), OLV_FORMAT);
    q = small_quant();
    assert_null(ol_const_quant(2, (int64_t[]){7, 5}, &q, NULL, 0, NULL, NULL, &err));
    assert_null(ol_const_bytes(OL_F32, 2, (int64_t[]){2, 3}, scales, 23, NULL, NULL, &err));
    assert_null(ol_const_bytes(OL_F32, 2, (int64_t[]){INT64_MAX, 3}, scales, 23, NULL, NULL, &err));
    assert_int_equal(err.status, OLV_LIMIT);
    ol_const *c = counting(2, (int64_t[]){2, 3});
    assert_null(ol_const_slice_rows(c, 1, 2, &err));
    assert_null(ol_const_slice_rows(c, -1, 1, &err));
    assert_null(ol_const_permute_rows(c, (int32_t[]){2}, 1, &err));
    float out[6];
    assert_int_equal(ol_const_rows_f32(c, 1, 2, out, &err), OLV_ARG);
    for (int i = 0; i < OL_CONST_LAZY_QUANT + 40 && c; i++) {
        ol_const *n = ol_const_cast(c, i % 2 ? OL_F32 : OL_F64, &err);
        ol_const_release(c);
        c = n;
    }
    assert_null(c); /* views over views are bounded */
    assert_int_equal(err.status, OLV_LIMIT);
}

static void exact_integers_and_strings(void **state) {
    (void)state;
    int64_t big[4] = {INT64_MAX, INT64_MIN, (1ll << 53) + 1, -7};
    ol_const *c = ol_const_bytes(OL_I64, 2, (int64_t[]){2, 2}, big, sizeof big, NULL, NULL, &err);
    c = over(c, ol_const_transpose(c, &err));
    ol_tensor t;
    assert_int_equal(ol_const_materialize(c, 100, &t, &err), OLV_OK);
    const int64_t want[4] = {INT64_MAX, (1ll << 53) + 1, INT64_MIN, -7};
    assert_memory_equal(t.data, want, sizeof want);
    ol_tensor_deinit(&t);
    ol_const_release(c);
    uint8_t nib[2] = {0x21, 0x43};
    c = ol_const_bytes(OL_U4, 1, (int64_t[]){4}, nib, 2, NULL, NULL, &err);
    c = over(c, ol_const_slice_rows(c, 1, 3, &err));
    assert_int_equal(ol_const_materialize(c, 100, &t, &err), OLV_OK);
    assert_int_equal(((uint8_t *)t.data)[0], 0x32);
    assert_int_equal(((uint8_t *)t.data)[1], 0x04);
    ol_tensor_deinit(&t);
    ol_const_release(c);
    assert_int_equal(ol_tensor_init(&t, OL_STRING, 1, (int64_t[]){2}, &err), OLV_OK);
    char text[] = "abcde";
    ((ol_str *)t.data)[0] = (ol_str){text, 2};
    ((ol_str *)t.data)[1] = (ol_str){text + 2, 3};
    c = ol_const_tensor(&t, &err);
    ol_tensor_deinit(&t);
    memset(text, 'x', 5);
    assert_int_equal(ol_const_materialize(c, 100, &t, &err), OLV_OK);
    ol_const_release(c);
    assert_true(ol_str_is(((ol_str *)t.data)[1], "cde"));
    ol_tensor_deinit(&t);
}

static void no_memory(void **state) {
    (void)state;
    ol_qconst q = small_quant();
    for (uint64_t n = 1; n < 40; n++) {
        ol_alloc_fail_at(n, true);
        ol_const *c = ol_const_quant(2, (int64_t[]){5, 7}, &q, NULL, 0, NULL, NULL, &err);
        ol_const *p = c ? ol_const_permute_rows(c, (int32_t[]){1, 0}, 2, &err) : NULL;
        ol_const *j = p ? ol_const_concat_rows((ol_const *[]){p, c}, 2, &err) : NULL;
        float out[7];
        if (j && ol_const_rows_f32(j, 0, 1, out, &err) == OLV_OK) n = 100;
        if (n < 100) assert_int_equal(err.status, OLV_NOMEM);
        ol_const_release(c);
        ol_const_release(p);
        ol_const_release(j);
    }
    ol_alloc_fail_at(0, false);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(views_of_views), cmocka_unit_test(vectors_and_big_transposes),
        cmocka_unit_test(quantized_stays_quantized), cmocka_unit_test(other_codes), cmocka_unit_test(bad_forms),
        cmocka_unit_test(exact_integers_and_strings), cmocka_unit_test(no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
