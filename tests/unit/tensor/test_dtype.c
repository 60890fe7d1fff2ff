/* SPDX-License-Identifier: Apache-2.0 */
#include "tensor/dtype.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static uint32_t bits_of(float f) {
    uint32_t u;
    memcpy(&u, &f, sizeof u);
    return u;
}

static float float_of(uint32_t u) {
    float f;
    memcpy(&f, &u, sizeof f);
    return f;
}

/* The definition of binary16, spelled out. */
static double f16_value(unsigned h) {
    int exp = (int)(h >> 10 & 31), mant = (int)(h & 1023);
    double v = exp == 31 ? (mant ? (double)NAN : (double)INFINITY)
               : exp     ? ldexp(1024 + mant, exp - 25)
                         : ldexp(mant, -24);
    return h & 0x8000 ? -v : v;
}

static void f16_all_patterns(void **state) {
    (void)state;
    static uint16_t codes[65536];
    static float vec[65536];
    for (unsigned h = 0; h < 65536; h++) codes[h] = (uint16_t)h;
    ol_elems_to_f32(OL_F16, codes, 0, 65536, vec);
    for (unsigned h = 0; h < 65536; h++) {
        double want = f16_value(h);
        float got = ol_f16_to_f32((uint16_t)h);
        assert_int_equal(bits_of(got), bits_of(vec[h]));
        if (isnan(want)) {
            assert_true(isnan(got));
            assert_true((ol_f32_to_f16(got) & 0x7e00) == 0x7e00);
            continue;
        }
        assert_true((double)got == want && !signbit(got) == !signbit(want));
        assert_int_equal(ol_f32_to_f16(got), h);
        uint16_t back = 0;
        ol_elem_set(OL_F16, &back, 0, want);
        assert_int_equal(back, h);
    }
}

/* Between neighbours the midpoint goes to the even code, and the floats beside it to the near side. */
static void f16_rounding(void **state) {
    (void)state;
    for (unsigned h = 0; h < 0x7c00; h++) {
        double lo = f16_value(h), hi = h == 0x7bff ? 65536.0 : f16_value(h + 1);
        float mid = (float)((lo + hi) / 2);
        assert_int_equal(ol_f32_to_f16(mid), h % 2 ? h + 1 : h);
        assert_int_equal(ol_f32_to_f16(nextafterf(mid, 0)), h);
        assert_int_equal(ol_f32_to_f16(nextafterf(mid, INFINITY)), h + 1);
        assert_int_equal(ol_f32_to_f16(-mid), 0x8000 | (h % 2 ? h + 1 : h));
    }
    assert_int_equal(ol_f32_to_f16(INFINITY), 0x7c00);
    assert_int_equal(ol_f32_to_f16(1e30f), 0x7c00);
    assert_int_equal(ol_f32_to_f16(float_of(1)), 0);
}

static void bf16_rounding(void **state) {
    (void)state;
    for (unsigned h = 0; h < 65536; h++) {
        float f = float_of(h << 16);
        if (isnan(f)) {
            assert_true(isnan(ol_bf16_to_f32(ol_f32_to_bf16(f))));
            continue;
        }
        assert_int_equal(ol_f32_to_bf16(f), h);
        if ((h & 0x7fff) >= 0x7f80) continue;
        unsigned even = h % 2 ? h + 1 : h;
        assert_int_equal(ol_f32_to_bf16(float_of(h << 16 | 0x8000)), even);
        assert_int_equal(ol_f32_to_bf16(float_of(h << 16 | 0x7fff)), h);
        assert_int_equal(ol_f32_to_bf16(float_of(h << 16 | 0x8001)), h + 1);
    }
    assert_true(isnan(ol_bf16_to_f32(ol_f32_to_bf16(float_of(0x7f800001)))));
}

/* All codes of a small float round-trip; midpoints go to even; beyond the top saturates. */
static void small_float(ol_dtype t, int codes, int top) {
    for (int c = 0; c < codes; c++) {
        uint8_t in = (uint8_t)c, out = 0;
        double v = ol_elem_get(t, &in, 0);
        ol_elem_set(t, &out, 0, v);
        if (isnan(v))
            assert_true(isnan(ol_elem_get(t, &out, 0)));
        else if (!isinf(v))
            assert_int_equal(out, c);
    }
    for (int c = 0; c < top; c++) {
        uint8_t lo = (uint8_t)c, hi = (uint8_t)(c + 1), out = 0;
        double a = ol_elem_get(t, &lo, 0), b = ol_elem_get(t, &hi, 0), mid = (a + b) / 2;
        assert_true(a < b);
        ol_elem_set(t, &out, 0, mid);
        assert_int_equal(out, c % 2 ? c + 1 : c);
        ol_elem_set(t, &out, 0, nextafter(mid, 0));
        assert_int_equal(out, c);
        ol_elem_set(t, &out, 0, nextafter(mid, 1e9));
        assert_int_equal(out, c + 1);
    }
    uint8_t out = 0;
    ol_elem_set(t, &out, 0, 1e9);
    assert_int_equal(out, top);
    ol_elem_set(t, &out, 0, (double)INFINITY);
    assert_int_equal(out, top);
}

static void eight_and_four_bits(void **state) {
    (void)state;
    small_float(OL_F8E4M3, 256, 0x7e);
    small_float(OL_F8E5M2, 256, 0x7b);
    small_float(OL_F8E4M3FNUZ, 256, 0x7f);
    small_float(OL_F8E5M2FNUZ, 256, 0x7f);
    small_float(OL_F4E2M1, 16, 7);
    uint8_t c = 0x7e;
    assert_true(ol_elem_get(OL_F8E4M3, &c, 0) == 448.0);
    c = 0x7b;
    assert_true(ol_elem_get(OL_F8E5M2, &c, 0) == 57344.0);
    c = 0x7f;
    assert_true(ol_elem_get(OL_F8E4M3FNUZ, &c, 0) == 240.0);
    assert_true(ol_elem_get(OL_F8E5M2FNUZ, &c, 0) == 57344.0);
    c = 0x01;
    assert_true(ol_elem_get(OL_F8E4M3, &c, 0) == 0x1p-9);
    assert_true(ol_elem_get(OL_F8E5M2, &c, 0) == 0x1p-16);
    const double e2m1[8] = {0, 0.5, 1, 1.5, 2, 3, 4, 6};
    for (int i = 0; i < 16; i++) {
        c = (uint8_t)i;
        assert_true(ol_elem_get(OL_F4E2M1, &c, 0) == (i < 8 ? e2m1[i] : -e2m1[i - 8]));
    }
    for (int i = 0; i < 255; i++) {
        c = (uint8_t)i;
        assert_true(ol_elem_get(OL_F8E8M0, &c, 0) == ldexp(1, i - 127));
        uint8_t back = 0;
        ol_elem_set(OL_F8E8M0, &back, 0, ldexp(1, i - 127));
        assert_int_equal(back, i);
    }
    ol_elem_set(OL_F8E8M0, &c, 0, 3.0);
    assert_int_equal(c, 129);
}

static void integers(void **state) {
    (void)state;
    uint8_t p[4] = {0};
    for (int i = 0; i < 8; i++) ol_elem_set(OL_I4, p, (uint64_t)i, i - 4.0);
    assert_int_equal(p[0], 0xdc);
    for (int i = 0; i < 8; i++) assert_true(ol_elem_get(OL_I4, p, (uint64_t)i) == i - 4.0);
    for (int i = 0; i < 16; i++) ol_elem_set(OL_U2, p, (uint64_t)i, i % 4);
    for (int i = 0; i < 4; i++) assert_int_equal(p[i], 0xe4);
    for (int i = 0; i < 16; i++) ol_elem_set(OL_I2, p, (uint64_t)i, i % 4 - 2.0);
    for (int i = 0; i < 16; i++) assert_true(ol_elem_get(OL_I2, p, (uint64_t)i) == i % 4 - 2.0);
    int64_t v;
    ol_elem_set(OL_I64, &v, 0, 1e30);
    assert_true(v == INT64_MAX);
    ol_elem_set(OL_I64, &v, 0, (double)-INFINITY);
    assert_true(v == INT64_MIN);
    ol_elem_set(OL_I64, &v, 0, -2.9);
    assert_true(v == -2);
    ol_elem_set(OL_I64, &v, 0, (double)NAN);
    assert_true(v == 0);
    uint64_t u;
    ol_elem_set(OL_U64, &u, 0, -3);
    assert_true(u == 0);
    ol_elem_set(OL_U64, &u, 0, 1e30);
    assert_true(u == UINT64_MAX);
    ol_elem_set(OL_I8, p, 0, 200);
    assert_true(ol_elem_get(OL_I8, p, 0) == 127);
    ol_elem_set(OL_U8, p, 0, -1);
    assert_true(ol_elem_get(OL_U8, p, 0) == 0);
}

static void runs_agree_with_single_elements(void **state) {
    (void)state;
    static uint8_t bytes[8 * 1030 + 16];
    static float out[1024], in[1024];
    for (size_t i = 0; i < sizeof bytes; i++) bytes[i] = (uint8_t)(i * 2654435761u >> 13);
    for (int t = 1; t < OL_N_DTYPES; t++) {
        if (t == OL_STRING || t == OL_C64 || t == OL_C128) continue;
        for (uint64_t first = 0; first < 3; first++) {
            ol_elems_to_f32((ol_dtype)t, bytes + 1, first, 1000, out);
            for (uint64_t i = 0; i < 1000; i++) {
                float want = (float)ol_elem_get((ol_dtype)t, bytes + 1, first + i);
                assert_true(out[i] == want || (isnan(out[i]) && isnan(want)));
            }
        }
    }
    for (int i = 0; i < 1024; i++) in[i] = (float)(i - 500) * 0.37f;
    for (int t = 1; t < OL_N_DTYPES; t++) {
        if (t == OL_STRING || t == OL_C64 || t == OL_C128) continue;
        ol_elems_from_f32((ol_dtype)t, in, 1000, bytes, 3);
        for (uint64_t i = 0; i < 1000; i++) {
            uint64_t one[2] = {0};
            ol_elem_set((ol_dtype)t, one, 0, (double)in[i]);
            assert_true(ol_elem_get((ol_dtype)t, one, 0) == ol_elem_get((ol_dtype)t, bytes, 3 + i));
        }
    }
}

static void names_and_sizes(void **state) {
    (void)state;
    for (int t = 1; t < OL_N_DTYPES; t++) {
        assert_int_equal(ol_dtype_from_onnx(ol_dtype_onnx((ol_dtype)t)), t);
        assert_int_equal(ol_dtype_from_name(ol_dtype_name((ol_dtype)t)), t);
    }
    assert_int_equal(ol_dtype_from_safetensors("BF16"), OL_BF16);
    assert_int_equal(ol_dtype_from_safetensors("nope"), OL_DTYPE_NONE);
    assert_int_equal(ol_dtype_from_onnx(99), OL_DTYPE_NONE);
    assert_int_equal(ol_dtype_from_onnx(0), OL_DTYPE_NONE);
    assert_string_equal(ol_dtype_name(OL_DTYPE_NONE), "?");
    size_t n = 77;
    assert_true(ol_dtype_bytes(OL_I4, 7, &n) && n == 4);
    assert_true(ol_dtype_bytes(OL_U2, 9, &n) && n == 3);
    assert_true(ol_dtype_bytes(OL_F64, 3, &n) && n == 24);
    assert_false(ol_dtype_bytes(OL_F64, UINT64_MAX / 4, &n));
    assert_true(ol_dtype_bytes(OL_I4, UINT64_MAX, &n) && n == (size_t)1 << 63);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(f16_all_patterns), cmocka_unit_test(f16_rounding),
        cmocka_unit_test(bf16_rounding),    cmocka_unit_test(eight_and_four_bits),
        cmocka_unit_test(integers),         cmocka_unit_test(runs_agree_with_single_elements),
        cmocka_unit_test(names_and_sizes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
