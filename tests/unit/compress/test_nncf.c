/* SPDX-License-Identifier: Apache-2.0 */
/* Codes, scales, zero points and tables of every type against those that NNCF stored (tests/data/compress/make_nncf.py), and what
 * every type does with the special cases. */
#include "base/alloc.h"
#include "base/cpu.h"
#include "compress/compress.h"
#include "compress/table.h"
#include "formats/safetensors/safetensors.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static olv_error err;
static ol_safetensors *st;

static const uint8_t *bytes(const char *name, size_t *n) {
    const ol_st_tensor *t = ol_safetensors_find(st, name);
    ol_const *c;
    if (!t) return NULL;
    assert_int_equal(ol_safetensors_const(st, t, &c, &err), OLV_OK);
    const uint8_t *p = ol_const_data(c, n); /* of the mapped file */
    ol_const_release(c);
    return p;
}

static const uint8_t *part(const char *test, const char *layer, const char *what, size_t *n) {
    char name[128];
    snprintf(name, sizeof name, "%s/%s/%s", test, layer, what);
    return bytes(name, n);
}

static size_t differences(const uint8_t *a, const uint8_t *b, size_t n, uint8_t flip) {
    size_t k = 0;
    for (size_t i = 0; i < n; i++) k += a[i] != (b[i] ^ flip);
    return k;
}

/* What a test's type means; -1: whole rows. */
static const struct nncf_case {
    const char *name;
    olv_weight_type type;
    int32_t group;
    uint8_t flip; /* signed codes against ours */
} cases[] = {
    {"int8_sym", OLV_WEIGHT_INT8_SYM, -1, 0x80}, {"int8_asym", OLV_WEIGHT_INT8_ASYM, -1, 0},
    {"int2_sym", OLV_WEIGHT_INT2_SYM, -1, 0}, {"int3_sym", OLV_WEIGHT_INT3_SYM, -1, 0},
    {"mxfp4", OLV_WEIGHT_MXFP4, 32, 0}, {"mxfp8_e4m3", OLV_WEIGHT_MXFP8_E4M3, 32, 0},
    {"fp8_e4m3", OLV_WEIGHT_FP8_E4M3, 128, 0}, {"fp4", OLV_WEIGHT_FP4, 128, 0}, {"nvfp4", OLV_WEIGHT_NVFP4, 16, 0},
    {"int4_sym-g32-all_layers", OLV_WEIGHT_INT4_SYM, 32, 0x88}, {"int4_sym-g32", OLV_WEIGHT_INT4_SYM, 32, 0x88},
    {"int4_sym-g128", OLV_WEIGHT_INT4_SYM, 128, 0x88}, {"int4_sym-gm1", OLV_WEIGHT_INT4_SYM, -1, 0x88},
    {"int4_asym-g32", OLV_WEIGHT_INT4_ASYM, 32, 0}, {"int4_asym-g128", OLV_WEIGHT_INT4_ASYM, 128, 0},
    {"int4_asym-gm1", OLV_WEIGHT_INT4_ASYM, -1, 0}, {"nf4-g32", OLV_WEIGHT_NF4, 32, 0}, {"nf4-g128", OLV_WEIGHT_NF4, 128, 0},
    {"nf4-gm1", OLV_WEIGHT_NF4, -1, 0}, {"cb4-g32", OLV_WEIGHT_CB4, 32, 0}, {"cb4-g128", OLV_WEIGHT_CB4, 128, 0},
    {"cb4-gm1", OLV_WEIGHT_CB4, -1, 0},
};

static ol_const *original(const char *layer) {
    char name[64];
    ol_const *c;
    snprintf(name, sizeof name, "original/%s", layer);
    assert_int_equal(ol_safetensors_const(st, ol_safetensors_find(st, name), &c, &err), OLV_OK);
    return c;
}

typedef struct stored {
    ol_const *c;
    const ol_qconst *f;
    uint8_t *codes, *scales, *zeros;
    size_t n_codes, n_scales, n_zeros;
} stored;

static stored store(ol_const *src, const olv_weight_spec *spec, uint64_t cpu, int64_t tile) {
    stored s = {.c = ol_compress_const(src, spec, cpu, &err)};
    if (!s.c) fail_msg("%s", err.message);
    s.f = ol_const_quant_form(s.c);
    size_t rows = (size_t)s.f->rows, scale_row = (size_t)s.f->n_groups * (size_t)ol_dtype_bits(s.f->scale_dtype) / 8;
    s.codes = calloc(s.n_codes = rows * s.f->row_bytes, 1);
    s.scales = calloc(s.n_scales = rows * scale_row, 1);
    s.zeros = calloc((s.n_zeros = rows * s.f->zero_row_bytes) + 1, 1);
    for (int64_t r = 0; r < s.f->rows; r += tile) {
        int64_t n = s.f->rows - r < tile ? s.f->rows - r : tile;
        size_t at = (size_t)r;
        assert_int_equal(ol_const_rows_quant(s.c, r, n, s.codes + at * s.f->row_bytes, s.scales + at * scale_row,
                                             s.zeros + at * s.f->zero_row_bytes, &err), OLV_OK);
    }
    return s;
}

static void drop(stored *s) {
    free(s->codes);
    free(s->scales);
    free(s->zeros);
    ol_const_release(s->c);
}

static size_t check_layer(const struct nncf_case *t, const char *layer) {
    ol_const *src = original(layer);
    olv_weight_spec spec = {.type = t->type, .group_size = t->group, .rounding = OLV_ROUND_NNCF, .scale = OLV_SCALE_F16};
    stored s = store(src, &spec, ol_cpu_probe(), 37);
    size_t n = 0, codes = 0;
    const uint8_t *p = part(t->name, layer, "codes", &n);
    assert_int_equal(n, s.n_codes);
    codes = differences(s.codes, p, n, t->flip);
    p = part(t->name, layer, "scales", &n);
    assert_int_equal(n, s.n_scales);
    assert_int_equal(differences(s.scales, p, n, 0), 0);
    p = part(t->name, layer, "zeros", &n);
    if (p && n > 4) { /* a single one is that of a symmetric type */
        ol_dtype z = s.f->zero_dtype; /* theirs go on from row to row within bytes */
        for (int64_t i = 0; i < s.f->rows * s.f->n_groups; i++)
            assert_true(ol_elem_get(z, p, (uint64_t)i) == ol_elem_get(z, s.zeros + (size_t)(i / s.f->n_groups) * s.f->zero_row_bytes,
                                                                      (uint64_t)(i % s.f->n_groups)));
    }
    if ((p = part(t->name, layer, "second", &n))) assert_memory_equal(p, &s.f->global_scale, 4);
    if ((p = part(t->name, layer, "table", &n)))
        for (size_t i = 0; i < 16; i++) assert_true((float)ol_elem_get(OL_F8E4M3, p, i) == s.f->table[i]);
    drop(&s);
    ol_const_release(src);
    return codes;
}

static void equals_what_nncf_stores(void **state) {
    (void)state;
    size_t all = 0;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        size_t n = check_layer(&cases[i], "a.0") + check_layer(&cases[i], "b.2");
        if (n) print_message("%s: %zu bytes of codes differ\n", cases[i].name, n);
        all += n;
    }
    assert_int_equal(all, 0);
}

/* ---- all types ---- */

static const float own_values[] = {-2, -1, -0.5f, -0.25f, 0, 0.25f, 0.5f, 1, 1.5f, 2, 2.5f, 3, 4, 5, 6, 7, 8, 9, 10, 11};

static olv_weight_spec spec_of(olv_weight_type t, olv_rounding r) {
    olv_weight_spec s = {.type = t, .group_size = olv_weight_type_group(t), .rounding = r, .scale = OLV_SCALE_F16};
    if (t == OLV_WEIGHT_CODEBOOK) s.codebook = own_values, s.n_codebook = sizeof own_values / sizeof own_values[0];
    return s;
}

static double error_of(ol_const *src, const olv_weight_spec *spec) {
    ol_const *c = ol_compress_const(src, spec, ol_cpu_probe(), &err);
    int64_t rows = ol_const_rows(src), k = ol_const_width(src);
    float *a = malloc((size_t)(rows * k) * 4), *b = malloc((size_t)(rows * k) * 4);
    assert_int_equal(ol_const_rows_f32(src, 0, rows, a, &err), OLV_OK);
    assert_int_equal(ol_const_rows_f32(c, 0, rows, b, &err), OLV_OK);
    double e = 0;
    for (int64_t i = 0; i < rows * k; i++) e += (double)(a[i] - b[i]) * (double)(a[i] - b[i]);
    ol_compress_stats st2;
    assert_true(ol_compress_const_stats(c, &st2));
    assert_true(fabs(st2.error - e) <= 1e-4 * e + 1e-12);
    free(a);
    free(b);
    ol_const_release(c);
    return e;
}

/* Searched scales are no worse than plain ones, whole rows of any length included. */
static void search_is_no_worse(void **state) {
    (void)state;
    ol_const *src = original("a.0");
    size_t n;
    ol_const *cut = ol_const_bytes(OL_F32, 2, (int64_t[]){163, 100}, ol_const_data(src, &n), 16300 * 4, NULL, NULL, &err);
    assert_non_null(cut);
    for (olv_weight_type t = OLV_WEIGHT_INT8_SYM; t < OLV_N_WEIGHT_TYPES; t++) {
        olv_weight_spec plain = spec_of(t, OLV_ROUND_NNCF), best = spec_of(t, OLV_ROUND_SEARCH);
        double a = error_of(src, &plain), b = error_of(src, &best), c = error_of(cut, &plain), d = error_of(cut, &best);
        if (b > a * 1.00001 || d > c * 1.00001) fail_msg("%s: %g searched, %g plain; ragged %g, %g", olv_weight_type_name(t), b, a, d, c);
    }
    ol_const_release(cut);
    ol_const_release(src);
}

static void adapted_beats_fixed(void **state) {
    (void)state;
    ol_const *src = original("b.2");
    olv_weight_spec fixed = spec_of(OLV_WEIGHT_CB4, OLV_ROUND_NNCF), fitted = spec_of(OLV_WEIGHT_ADAPTIVE_CODEBOOK, OLV_ROUND_NNCF);
    assert_true(error_of(src, &fitted) < 0.97 * error_of(src, &fixed));
    ol_const_release(src);
}

static void same_bits_on_every_machine(void **state) {
    (void)state;
    static const char *const isas[] = {"scalar", "avx2", "avx512", ""};
    ol_const *src = original("a.0");
    for (olv_weight_type t = OLV_WEIGHT_INT8_SYM; t < OLV_N_WEIGHT_TYPES; t++) {
        olv_weight_spec spec = spec_of(t, OLV_ROUND_SEARCH);
        stored want = store(src, &spec, 0, 128);
        for (int i = 0; i < 4; i++) {
            uint64_t cpu;
            assert_true(ol_cpu_limit(isas[i], &cpu));
            stored got = store(src, &spec, cpu, 1 + i * 5);
            assert_memory_equal(got.codes, want.codes, want.n_codes);
            assert_memory_equal(got.scales, want.scales, want.n_scales);
            assert_memory_equal(got.zeros, want.zeros, want.n_zeros);
            drop(&got);
        }
        drop(&want);
    }
    ol_const_release(src);
}

/* Zeros, one large weight, tiny ones and denormals give finite numbers near what they stand for. */
static void special_groups(void **state) {
    (void)state;
    enum { K = 128, ROWS = 6 };
    static float w[ROWS][K], out[K];
    for (int j = 0; j < K; j++) {
        w[1][j] = j == 5 ? 3 : 0;
        w[2][j] = 1e-12f * (float)(j - 60);
        w[3][j] = 1e-42f;
        w[4][j] = 0.25f;
        w[5][j] = j % 2 ? -7 : 0.001f;
    }
    ol_const *src = ol_const_bytes(OL_F32, 2, (int64_t[]){ROWS, K}, w, sizeof w, NULL, NULL, &err);
    for (olv_weight_type t = OLV_WEIGHT_INT8_SYM; t < OLV_N_WEIGHT_TYPES; t++) {
        for (int r = 0; r < 2; r++) {
            olv_weight_spec spec = spec_of(t, r ? OLV_ROUND_NNCF : OLV_ROUND_SEARCH);
            ol_const *c = ol_compress_const(src, &spec, ol_cpu_probe(), &err);
            assert_non_null(c);
            for (int i = 0; i < ROWS; i++) {
                float most = 0;
                assert_int_equal(ol_const_rows_f32(c, i, 1, out, &err), OLV_OK);
                for (int j = 0; j < K; j++) most = fmaxf(most, fabsf(w[i][j]));
                for (int j = 0; j < K; j++)
                    if (!(fabsf(out[j] - w[i][j]) <= most * 1.01f + 1e-6f))
                        fail_msg("%s row %d column %d: %g for %g", olv_weight_type_name(t), i, j, (double)out[j], (double)w[i][j]);
            }
            ol_const_release(c);
        }
    }
    ol_const_release(src);
}

static void bad_specs(void **state) {
    (void)state;
    float falling[] = {1, 0};
    olv_weight_spec s = spec_of(OLV_WEIGHT_MXFP4, OLV_ROUND_NNCF);
    s.group_size = 64;
    assert_int_equal(olv_weight_spec_check(&s, &err), OLV_ARG);
    assert_string_equal(err.message, "group size 64 found, mxfp4 has groups of 32");
    s = (olv_weight_spec){.type = OLV_WEIGHT_CODEBOOK, .group_size = -1, .codebook = falling, .n_codebook = 2};
    assert_int_equal(olv_weight_spec_check(&s, &err), OLV_ARG);
    s.n_codebook = 300;
    assert_int_equal(olv_weight_spec_check(&s, &err), OLV_ARG);
    s = spec_of(OLV_WEIGHT_NF4, OLV_ROUND_ORT);
    assert_int_equal(olv_weight_spec_check(&s, &err), OLV_ARG);
    olv_weight_type t;
    static const char *const names[] = {"E2M1", "CB4_F8E4M3", "Int8_Asym", "MXFP8_E4M3", "NF4"};
    static const olv_weight_type types[] = {OLV_WEIGHT_MXFP4, OLV_WEIGHT_CB4, OLV_WEIGHT_INT8_ASYM, OLV_WEIGHT_MXFP8_E4M3, OLV_WEIGHT_NF4};
    for (int i = 0; i < 5; i++) {
        assert_int_equal(olv_weight_type_parse(names[i], &t, &err), OLV_OK);
        assert_int_equal(t, types[i]);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equals_what_nncf_stores), cmocka_unit_test(search_is_no_worse), cmocka_unit_test(adapted_beats_fixed),
        cmocka_unit_test(same_bits_on_every_machine), cmocka_unit_test(special_groups), cmocka_unit_test(bad_specs),
    };
    if (ol_safetensors_open(OL_TEST_DATA "/compress/nncf.safetensors", &st, &err) != OLV_OK) {
        fprintf(stderr, "%s\n", err.message);
        return 1;
    }
    int code = cmocka_run_group_tests(tests, NULL, NULL);
    ol_safetensors_close(st);
    return code;
}
