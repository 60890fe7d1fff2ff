/* SPDX-License-Identifier: Apache-2.0 */
#include "base/alloc.h"
#include "base/cpu.h"
#include "base/file.h"
#include "compress/lazy.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static olv_error err;

/* All rows of a compressed constant. */
typedef struct result {
    ol_const *c;
    const ol_qconst *form;
    uint8_t *codes, *zeros;
    uint8_t *scales;
} result;

static result compress(ol_const *src, olv_weight_spec spec, uint64_t cpu, int64_t tile) {
    result r = {.c = ol_compress_const(src, &spec, cpu, &err)};
    assert_non_null(r.c);
    r.form = ol_const_quant_form(r.c);
    size_t rows = (size_t)r.form->rows, s = (size_t)r.form->n_groups * (r.form->scale_dtype == OL_F16 ? 2 : 4);
    r.codes = malloc(rows * r.form->row_bytes + 1);
    r.zeros = malloc(rows * r.form->zero_row_bytes + 1);
    r.scales = malloc(rows * s + 1);
    for (int64_t i = 0; i < r.form->rows; i += tile) {
        int64_t n = r.form->rows - i < tile ? r.form->rows - i : tile;
        assert_int_equal(ol_const_rows_quant(r.c, i, n, r.codes + (size_t)i * r.form->row_bytes,
                                             r.scales + (size_t)i * s, r.zeros + (size_t)i * r.form->zero_row_bytes,
                                             &err),
                         OLV_OK);
    }
    return r;
}

static void drop(result *r) {
    ol_const_release(r->c);
    free(r->codes);
    free(r->zeros);
    free(r->scales);
}

static unsigned code_at(const result *r, int64_t row, int64_t k) {
    ol_dtype t = r->form->code == OL_Q_U8 ? OL_U8 : OL_U4;
    return (unsigned)ol_elem_get(t, r->codes + (size_t)row * r->form->row_bytes, (uint64_t)k);
}

static float scale_at(const result *r, int64_t row, int64_t g) {
    return (float)ol_elem_get(r->form->scale_dtype, r->scales, (uint64_t)(row * r->form->n_groups + g));
}

/* Zero point as the fixture has it. */
static unsigned zero_at(const result *r, int64_t row, int64_t g) {
    if (r->form->zero_dtype == OL_DTYPE_NONE) return r->form->code == OL_Q_U8 ? 128 : 8;
    return (unsigned)ol_elem_get(r->form->zero_dtype, r->zeros + (size_t)row * r->form->zero_row_bytes, (uint64_t)g);
}

/* ---- the other tools' codes and scales, bit for bit ---- */

static void check_case(const int32_t *h, const uint8_t *p) {
    int64_t rows = h[1], k = h[2], groups = h[7];
    ol_dtype source = ol_dtype_from_onnx(h[0]);
    size_t bytes = (size_t)(rows * k) * (size_t)ol_dtype_bits(source) / 8;
    ol_const *src = ol_const_bytes(source, 2, (int64_t[]){rows, k}, p, bytes, NULL, NULL, &err);
    assert_non_null(src);
    olv_weight_spec spec = {(olv_weight_type)h[4], h[3], (olv_rounding)h[5], (olv_scale_type)h[6]};
    result r = compress(src, spec, 0, 3);
    const uint8_t *codes = p + bytes, *scales = codes + rows * k, *zeros = scales + rows * groups * 4;
    assert_int_equal(r.form->n_groups, groups);
    for (int64_t i = 0; i < rows; i++) {
        for (int64_t j = 0; j < k; j++) assert_int_equal(code_at(&r, i, j), codes[i * k + j]);
        for (int64_t g = 0; g < groups; g++) {
            float want, got = scale_at(&r, i, g);
            memcpy(&want, scales + (i * groups + g) * 4, 4);
            assert_true(memcmp(&want, &got, 4) == 0 || (want == 0 && got == 0));
            assert_int_equal(zero_at(&r, i, g), zeros[i * groups + g]);
        }
    }
    drop(&r);
    ol_const_release(src);
}

static void equals_nncf_and_ort(void **state) {
    (void)state;
    char *data;
    size_t len;
    assert_int_equal(ol_file_read(OL_TEST_DATA "/compress/cases.bin", 1 << 24, &data, &len, &err), OLV_OK);
    size_t at = 0;
    int n = 0;
    while (at < len) {
        int32_t h[8];
        memcpy(h, data + at, sizeof h);
        check_case(h, (const uint8_t *)data + at + sizeof h);
        size_t each = h[0] == 1 ? 5 : 3;
        at += sizeof h + (size_t)h[1] * (size_t)h[2] * each + (size_t)h[1] * (size_t)h[7] * 5;
        n++;
    }
    assert_int_equal(n, 64);
    ol_free(data);
}

/* ---- the search ---- */

static float *random_weights(int64_t rows, int64_t k, unsigned seed) {
    float *w = malloc((size_t)(rows * k) * sizeof *w);
    uint64_t s = seed * 0x9e3779b97f4a7c15ull + 1;
    for (int64_t i = 0; i < rows * k; i++) {
        float sum = 0;
        for (int j = 0; j < 6; j++) {
            s ^= s << 13;
            s ^= s >> 7;
            s ^= s << 17;
            sum += (float)(s >> 40) * 0x1p-24f - 0.5f;
        }
        w[i] = sum * 0.05f * ((s & 63) == 0 ? 6.0f : 1.0f);
    }
    for (int64_t j = 0; j < k; j++) { /* special rows */
        w[j] = 0;
        w[k + j] = fabsf(w[k + j]) + 0.1f;
        w[2 * k + j] = -fabsf(w[2 * k + j]) - 0.1f;
        w[3 * k + j] = j % 16 == 3 ? 0.7f : 0;
        w[4 * k + j] = (float)(j % 16 - 8) * 0.25f;
        w[5 * k + j] *= 1e-4f;
        w[6 * k + j] *= 1e5f;
    }
    return w;
}

static double group_error(const result *r, const float *w, int64_t row, int64_t g) {
    double e = 0;
    for (int64_t j = g * r->form->group; j < (g + 1) * r->form->group && j < r->form->k; j++) {
        double v = ((double)code_at(r, row, j) - zero_at(r, row, g)) * (double)scale_at(r, row, g);
        double d = (double)w[row * r->form->k + j] - v;
        e += d * d;
    }
    return e;
}

static void search_is_never_worse(void **state) {
    (void)state;
    const int groups[] = {16, 32, 128, 256, -1};
    const int64_t rows = 40, k = 500;
    float *w = random_weights(rows, k, 3);
    ol_const *src = ol_const_bytes(OL_F32, 2, (int64_t[]){rows, k}, w, (size_t)(rows * k) * 4, NULL, NULL, &err);
    for (olv_weight_type t = OLV_WEIGHT_INT8_SYM; t <= OLV_WEIGHT_INT4_ASYM; t++) {
        for (size_t g = 0; g < 5; g++) {
            olv_weight_spec spec = {.type = t, .group_size = groups[g], .rounding = OLV_ROUND_SEARCH, .scale = OLV_SCALE_F16};
            result best = compress(src, spec, ~0ull & ol_cpu_probe(), 16);
            spec.rounding = OLV_ROUND_NNCF;
            result nncf = compress(src, spec, 0, 16);
            spec.rounding = OLV_ROUND_ORT;
            result ort = compress(src, spec, 0, 16);
            double sum = 0, plain = 0;
            for (int64_t i = 0; i < rows; i++) {
                for (int64_t j = 0; j < best.form->n_groups; j++) {
                    double e = group_error(&best, w, i, j), a = group_error(&nncf, w, i, j);
                    double b = group_error(&ort, w, i, j);
                    assert_true(e <= a * (1 + 1e-5) + 1e-30);
                    assert_true(e <= b * (1 + 1e-5) + 1e-30);
                    if (i != 6) sum += e, plain += a;
                }
            }
            if (t >= OLV_WEIGHT_INT4_SYM) assert_true(sum < plain * 0.97);
            ol_compress_stats st;
            assert_true(ol_compress_const_stats(best.c, &st));
            assert_int_equal(st.rows_done, rows);
            drop(&best);
            drop(&nncf);
            drop(&ort);
        }
    }
    ol_const_release(src);
    free(w);
}

static void same_bits_for_all_variants_and_tiles(void **state) {
    (void)state;
    const int64_t rows = 37, k = 300;
    float *w = random_weights(rows, k, 4);
    ol_const *src = ol_const_bytes(OL_F32, 2, (int64_t[]){rows, k}, w, (size_t)(rows * k) * 4, NULL, NULL, &err);
    int count;
    const char *const isas[] = {"scalar", "avx2", "avx512", ""};
    for (olv_weight_type t = OLV_WEIGHT_INT8_SYM; t <= OLV_WEIGHT_INT4_ASYM; t++) {
        for (int g = -1; g <= 256; g = g < 0 ? 16 : g * 2) {
            olv_weight_spec spec = {.type = t, .group_size = g, .rounding = OLV_ROUND_SEARCH, .scale = OLV_SCALE_F16};
            result want = compress(src, spec, 0, rows);
            for (count = 0; count < 4; count++) {
                uint64_t cpu;
                assert_true(ol_cpu_limit(isas[count], &cpu));
                result got = compress(src, spec, cpu, 1 + count * 5);
                size_t n = (size_t)rows;
                assert_memory_equal(got.codes, want.codes, n * want.form->row_bytes);
                assert_memory_equal(got.scales, want.scales, n * (size_t)want.form->n_groups * 2);
                assert_memory_equal(got.zeros, want.zeros, n * want.form->zero_row_bytes);
                drop(&got);
            }
            drop(&want);
        }
    }
    ol_const_release(src);
    free(w);
}

static void views_as_sources(void **state) {
    (void)state;
    const int64_t rows = 48, k = 64;
    float *w = random_weights(rows, k, 5);
    ol_const *src = ol_const_bytes(OL_F32, 2, (int64_t[]){rows, k}, w, (size_t)(rows * k) * 4, NULL, NULL, &err);
    ol_const *t = ol_const_transpose(src, &err), *back = ol_const_cast(t, OL_BF16, &err);
    ol_const *s = ol_const_slice_rows(back, 8, 32, &err);
    olv_weight_spec spec = {.type = OLV_WEIGHT_INT4_SYM, .group_size = 16, .rounding = OLV_ROUND_SEARCH, .scale = OLV_SCALE_F32};
    result r = compress(s, spec, 0, 7);
    for (int64_t i = 0; i < 32; i++) {
        for (int64_t g = 0; g < 3; g++) {
            float scale = scale_at(&r, i, g);
            assert_true(ol_f16_to_f32(ol_f32_to_f16(scale)) == scale || fabsf(scale) < 0x1p-14f);
        }
        for (int64_t j = 7; j < rows; j++) {
            float v = ((float)code_at(&r, i, j) - 8) * scale_at(&r, i, j / 16), x = w[j * k + 8 + i];
            assert_true(fabsf(v - x) <= fabsf(scale_at(&r, i, j / 16)) * 2.5f);
        }
    }
    drop(&r);
    ol_const *all[] = {src, t, back, s};
    for (int i = 0; i < 4; i++) ol_const_release(all[i]);
    free(w);
}

static void bad_values_and_parameters(void **state) {
    (void)state;
    float w[32] = {1, 2, 3};
    uint8_t codes[16];
    float scales[2];
    const int64_t dims[2] = {1, 32};
    ol_const *src = ol_const_bytes(OL_F32, 2, dims, w, sizeof w, NULL, NULL, &err);
    olv_weight_spec spec = {.type = OLV_WEIGHT_INT4_SYM, .group_size = 32, .rounding = OLV_ROUND_SEARCH, .scale = OLV_SCALE_F16};
    ol_const *c = ol_compress_const(src, &spec, 0, &err);
    w[7] = NAN;
    assert_int_equal(ol_const_rows_quant(c, 0, 1, codes, scales, NULL, &err), OLV_FORMAT);
    assert_string_equal(err.message, "row 0: a weight is infinite or no number");
    w[7] = -INFINITY;
    assert_int_equal(ol_const_rows_quant(c, 0, 1, codes, scales, NULL, &err), OLV_FORMAT);
    w[7] = 1e9f;
    assert_int_equal(ol_const_rows_quant(c, 0, 1, codes, scales, NULL, &err), OLV_LIMIT);
    w[7] = 3;
    for (uint64_t n = 1; n < 6; n++) {
        ol_alloc_fail_at(n, false);
        olv_status s = ol_const_rows_quant(c, 0, 1, codes, scales, NULL, &err);
        ol_alloc_fail_at(0, false);
        assert_int_equal(s, OLV_NOMEM);
    }
    ol_const_release(c);
    spec.group_size = 20;
    assert_null(ol_compress_const(src, &spec, 0, &err));
    assert_int_equal(err.status, OLV_ARG);
    ol_const_release(src);
    olv_weight_type t;
    assert_int_equal(olv_weight_type_parse("int4", &t, &err), OLV_OK);
    assert_int_equal(t, OLV_WEIGHT_INT4_SYM);
    assert_int_equal(olv_weight_type_parse("int4_sim", &t, &err), OLV_ARG);
    assert_non_null(strstr(err.message, "int4_sym"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equals_nncf_and_ort), cmocka_unit_test(search_is_never_worse),
        cmocka_unit_test(same_bits_for_all_variants_and_tiles), cmocka_unit_test(views_as_sources),
        cmocka_unit_test(bad_values_and_parameters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
