/* SPDX-License-Identifier: Apache-2.0 */
/* Blocks of GGUF written and read back: the errors are those of the codes, and searched scales beat plain ones. */
#include "formats/gguf/mix.h"
#include "tensor/qblock.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define N 8192

static const struct {
    ol_gguf_type type;
    ol_qblock block;
    double snr; /* dB of Gaussian weights, at least */
} types[] = {{OL_GGUF_T_Q4_0, OL_QB_Q4_0, 20.5}, {OL_GGUF_T_Q5_0, OL_QB_Q5_0, 26.5}, {OL_GGUF_T_Q5_1, OL_QB_Q5_1, 27}, {OL_GGUF_T_Q8_0, OL_QB_Q8_0, 44},
             {OL_GGUF_T_Q4_K, OL_QB_Q4_K, 22}, {OL_GGUF_T_Q5_K, OL_QB_Q5_K, 28}, {OL_GGUF_T_Q6_K, OL_QB_Q6_K, 33}};

static void gaussian(float *x, size_t n) {
    uint64_t s = 88172645463325252ull;
    for (size_t i = 0; i < n; i++) {
        float sum = 0;
        for (int j = 0; j < 12; j++) {
            s ^= s << 13;
            s ^= s >> 7;
            s ^= s << 17;
            sum += (float)(s >> 40) * 0x1p-24f - 0.5f;
        }
        x[i] = sum * 0.03f;
    }
}

static double snr(ol_gguf_type type, ol_qblock block, const float *x, size_t n) {
    static uint8_t bytes[N * 4];
    static float back[N];
    size_t each = (size_t)ol_qblock_elems(block);
    double error = 0, energy = 0;
    ol_gguf_encode(type, x, n, bytes);
    for (size_t b = 0; b < n / each; b++) ol_qblock_decode(block, bytes + b * (size_t)ol_qblock_bytes(block), back + b * each);
    for (size_t i = 0; i < n; i++) {
        assert_true(isfinite(back[i]));
        error += (double)(back[i] - x[i]) * (double)(back[i] - x[i]);
        energy += (double)x[i] * (double)x[i];
    }
    return error > 0 ? 10 * log10(energy / error) : INFINITY;
}

static void gaussian_weights_keep_their_signal(void **state) {
    (void)state;
    static float x[N];
    gaussian(x, N);
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        double got = snr(types[i].type, types[i].block, x, N);
        if (got < types[i].snr) fail_msg("%s: %.2f dB", ol_qblock_name(types[i].block), got);
    }
}

static void special_blocks(void **state) {
    (void)state;
    static float x[N], one[256];
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) assert_true(snr(types[i].type, types[i].block, x, N) == INFINITY); /* zeros */
    one[77] = -3;
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) assert_true(snr(types[i].type, types[i].block, one, 256) > 20);
    for (int j = 0; j < 256; j++) one[j] = 5; /* one sign: minima are not below zero, scales reach all of it */
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) assert_true(snr(types[i].type, types[i].block, one, 256) > 20);
    for (int j = 0; j < 256; j++) one[j] = 1e-30f * (float)j; /* below what scales can say */
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) (void)snr(types[i].type, types[i].block, one, 256);
}

static ol_gguf_type type_of(ol_gguf_outtype mix, const char *name, int64_t layer, int64_t width, bool tied) {
    const ol_gguf_place p = {name, 2, width, layer, 32, tied};
    return ol_gguf_type_for(mix, &p);
}

static void mixes(void **state) {
    (void)state;
    assert_int_equal(type_of(OL_GGUF_OUT_Q4_K_M, "output.weight", -1, 4096, false), OL_GGUF_T_Q6_K);
    assert_int_equal(type_of(OL_GGUF_OUT_Q4_K_M, "token_embd.weight", -1, 4096, false), OL_GGUF_T_Q4_K);
    assert_int_equal(type_of(OL_GGUF_OUT_Q4_K_M, "token_embd.weight", -1, 4096, true), OL_GGUF_T_Q6_K);
    assert_int_equal(type_of(OL_GGUF_OUT_Q4_0, "output.weight", -1, 4096, false), OL_GGUF_T_Q6_K);
    assert_int_equal(type_of(OL_GGUF_OUT_Q8_0, "output.weight", -1, 4096, false), OL_GGUF_T_Q8_0);
    int wide = 0;
    for (int64_t l = 0; l < 32; l++) wide += type_of(OL_GGUF_OUT_Q4_K_M, "blk.0.ffn_down.weight", l, 11008, false) == OL_GGUF_T_Q6_K;
    assert_int_equal(wide, 16); /* 4 first, 4 last, every third of the 24 between */
    assert_int_equal(type_of(OL_GGUF_OUT_Q4_K_M, "blk.0.attn_q.weight", 0, 4096, false), OL_GGUF_T_Q4_K);
    assert_int_equal(type_of(OL_GGUF_OUT_Q4_K_S, "blk.0.attn_v.weight", 3, 4096, false), OL_GGUF_T_Q5_K);
    assert_int_equal(type_of(OL_GGUF_OUT_Q4_K_M, "blk.0.attn_q.weight", 0, 96, false), OL_GGUF_T_Q5_0);
    assert_int_equal(type_of(OL_GGUF_OUT_Q6_K, "blk.0.attn_q.weight", 0, 96, false), OL_GGUF_T_Q8_0);
    assert_int_equal(type_of(OL_GGUF_OUT_Q6_K, "blk.0.attn_q.weight", 0, 20, false), OL_GGUF_T_F16);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(gaussian_weights_keep_their_signal), cmocka_unit_test(special_blocks), cmocka_unit_test(mixes)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
