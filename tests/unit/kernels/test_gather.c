/* SPDX-License-Identifier: Apache-2.0 */
/* Rows of float tables and of every planar code, against the definition written out here. */
#include "kernels/gather/gather.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

enum { N = 5, K = 64, G = 32 };

static const int64_t ids[] = {3, 0, 4, -1, 5, 3};
enum { IDS = 6 };

static float gathered[IDS * (K + 1)];

static void gather(const olk_weight *t, float scale) {
    for (int i = 0; i < IDS * (K + 1); i++) gathered[i] = -99;
    olk_gather_select(0)->rows(t, ids, IDS, scale, gathered, K + 1);
}

static void expect(const float *table, float scale) {
    for (int i = 0; i < IDS; i++) {
        for (int k = 0; k < K; k++) {
            float want = ids[i] < 0 || ids[i] >= N ? 0 : table[ids[i] * K + k] * scale;
            assert_true(fabsf(gathered[i * (K + 1) + k] - want) <= 1e-6f * fabsf(want));
        }
        assert_true(gathered[i * (K + 1) + K] == -99);
    }
}

static void floats(void **state) {
    static const ol_dtype types[] = {OL_F32, OL_F16, OL_BF16};
    float values[N * K];
    uint8_t data[N * K * 4];
    (void)state;
    for (int i = 0; i < N * K; i++) values[i] = (float)(i % 97 - 40) / 8; /* exact in all three */
    for (int t = 0; t < 3; t++) {
        ol_elems_from_f32(types[t], values, N * K, data, 0);
        olk_weight w = {.dtype = types[t], .data = data, .row_bytes = K * (types[t] == OL_F32 ? 4 : 2), .n = N, .k = K};
        gather(&w, 1);
        expect(values, 1);
        gather(&w, 8.5f);
        expect(values, 8.5f);
    }
}

static float f4(int c) {
    static const float v[8] = {0, 0.5f, 1, 1.5f, 2, 3, 4, 6};
    return c & 8 ? -v[c & 7] : v[c & 7];
}

/* Code c of a byte, nibble or crumb, as a number before the scale. */
static float decoded(ol_qcode code, const float *table, int c) {
    switch (code) {
    case OL_Q_I8: return (float)(int8_t)c;
    case OL_Q_U8: return (float)(c - 128);
    case OL_Q_I4: return (float)(c < 8 ? c : c - 16);
    case OL_Q_U4: return (float)(c - 8);
    case OL_Q_U2: return (float)(c - 2);
    case OL_Q_NF4: return ol_nf4_table[c];
    case OL_Q_F4: return f4(c);
    case OL_Q_F8: return (float)ol_elem_get(OL_F8E4M3, &(uint8_t){(uint8_t)c}, 0);
    default: return table[c];
    }
}

static void quantized(void **state) {
    static const struct {
        ol_qcode code;
        int bits;
    } codes[] = {{OL_Q_I8, 8},  {OL_Q_U8, 8}, {OL_Q_I4, 4}, {OL_Q_U4, 4},     {OL_Q_U2, 2},
                 {OL_Q_NF4, 4}, {OL_Q_F4, 4}, {OL_Q_F8, 8}, {OL_Q_TABLE4, 4}, {OL_Q_TABLE8, 8}};
    float table[256], want[N * K], scales[N * K / G];
    uint8_t data[N * K];
    (void)state;
    for (int i = 0; i < 256; i++) table[i] = (float)(i * i % 113 - 50) / 16;
    for (int i = 0; i < N * K / G; i++) scales[i] = (float)(i + 1) / 4;
    for (size_t c = 0; c < sizeof codes / sizeof *codes; c++) {
        int bits = codes[c].bits, per = 8 / bits;
        for (int i = 0; i < N * K; i++) data[i] = (uint8_t)(i * 37 % 127); /* no f8 NaN */
        for (int i = 0; i < N * K; i++) {
            int v = data[i / per] >> (i % per * bits) & ((1 << bits) - 1);
            want[i] = scales[i / G] * decoded(codes[c].code, table, v);
        }
        ol_qconst q = {.code = codes[c].code, .rows = N, .k = K, .group = G, .n_groups = K / G, .codes = data,
                       .row_bytes = (size_t)(K / per), .scale_dtype = OL_F32, .scales = scales, .table = table,
                       .global_scale = 1};
        olk_weight w = {.n = N, .k = K, .q = &q};
        gather(&w, 2);
        expect(want, 2);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(floats), cmocka_unit_test(quantized)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
