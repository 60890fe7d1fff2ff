/* SPDX-License-Identifier: Apache-2.0 */
/* One set of names for f32 vectors of AVX-512 (16 lanes) and AVX2 (8 lanes), chosen by the flags that the including file is
 * compiled with, so that a kernel is written once. For kernel files named *_x86_avx2.c and *_x86_avx512.c only.
 *
 * A vm chooses lanes. v_max and v_min return the second operand when either is NaN. Reductions have a fixed tree. */
#ifndef OLK_MATH_VEC_X86_H
#define OLK_MATH_VEC_X86_H

#include <immintrin.h>
#include <math.h>
#include <stdbool.h>
#include <stdint.h>

#define VI static inline __attribute__((always_inline))

#if defined(__AVX512F__)
#define VW 16
typedef __m512 vf;
typedef __mmask16 vm;

VI vm v_first(int64_t n) { return n >= 16 ? (vm)0xffff : (vm)((1u << n) - 1); } /* n >= 0 */
VI vf v_set1(float x) { return _mm512_set1_ps(x); }
VI vf v_load(const float *p) { return _mm512_loadu_ps(p); }
VI vf v_load_part(const float *p, vm m) { return _mm512_maskz_loadu_ps(m, p); }
VI void v_store(float *p, vf v) { _mm512_storeu_ps(p, v); }
VI void v_store_part(float *p, vm m, vf v) { _mm512_mask_storeu_ps(p, m, v); }
VI vf v_add(vf a, vf b) { return _mm512_add_ps(a, b); }
VI vf v_sub(vf a, vf b) { return _mm512_sub_ps(a, b); }
VI vf v_mul(vf a, vf b) { return _mm512_mul_ps(a, b); }
VI vf v_div(vf a, vf b) { return _mm512_div_ps(a, b); }
VI vf v_max(vf a, vf b) { return _mm512_max_ps(a, b); }
VI vf v_min(vf a, vf b) { return _mm512_min_ps(a, b); }
VI vf v_sqrt(vf a) { return _mm512_sqrt_ps(a); }
VI vf v_fma(vf a, vf b, vf c) { return _mm512_fmadd_ps(a, b, c); }   /* a b + c */
VI vf v_fnma(vf a, vf b, vf c) { return _mm512_fnmadd_ps(a, b, c); } /* c - a b */
VI vf v_abs(vf a) { return _mm512_abs_ps(a); }
VI vf v_neg(vf a) { return _mm512_xor_ps(a, _mm512_set1_ps(-0.0f)); }
VI vf v_copysign(vf mag, vf sign) {
    const __m512i top = _mm512_set1_epi32((int)0x80000000u);
    return _mm512_castsi512_ps(_mm512_ternarylogic_epi32(top, _mm512_castps_si512(sign), _mm512_castps_si512(mag), 0xca));
}
VI vm v_lt(vf a, vf b) { return _mm512_cmp_ps_mask(a, b, _CMP_LT_OQ); }
VI vm v_eq(vf a, vf b) { return _mm512_cmp_ps_mask(a, b, _CMP_EQ_OQ); }
VI vm v_is_nan(vf a) { return _mm512_cmp_ps_mask(a, a, _CMP_UNORD_Q); }
VI vf v_select(vm m, vf yes, vf no) { return _mm512_mask_blend_ps(m, no, yes); }
VI vf v_keep(vm m, vf a) { return _mm512_maskz_mov_ps(m, a); } /* 0 elsewhere */
VI bool v_any(vm m) { return m != 0; }
VI vf v_round(vf a) { return _mm512_roundscale_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }
VI vf v_scale2(vf a, vf n) { return _mm512_scalef_ps(a, n); } /* a 2^n, n whole */
VI void v_split(vf x, vf *m, vf *e) { /* x = m 2^e, 1 <= m < 2, x > 0 */
    *m = _mm512_getmant_ps(x, _MM_MANT_NORM_1_2, _MM_MANT_SIGN_zero);
    *e = _mm512_getexp_ps(x);
}
VI __m256 v_lower(vf a) { return _mm512_castps512_ps256(a); }
VI __m256 v_upper(vf a) { return _mm512_extractf32x8_ps(a, 1); }
VI float v_sum(vf a) {
    __m256 h = _mm256_add_ps(v_lower(a), v_upper(a));
    __m128 q = _mm_add_ps(_mm256_castps256_ps128(h), _mm256_extractf128_ps(h, 1));
    q = _mm_add_ps(q, _mm_movehl_ps(q, q));
    return _mm_cvtss_f32(_mm_add_ss(q, _mm_movehdup_ps(q)));
}
VI float v_greatest(vf a) {
    __m256 h = _mm256_max_ps(v_lower(a), v_upper(a));
    __m128 q = _mm_max_ps(_mm256_castps256_ps128(h), _mm256_extractf128_ps(h, 1));
    q = _mm_max_ps(q, _mm_movehl_ps(q, q));
    return _mm_cvtss_f32(_mm_max_ss(q, _mm_movehdup_ps(q)));
}
/* 8 floats, each twice; neighbours exchanged; even lanes a - b, odd lanes a + b. */
VI vf v_load_twice(const float *p) {
    const __m512i idx = _mm512_set_epi32(7, 7, 6, 6, 5, 5, 4, 4, 3, 3, 2, 2, 1, 1, 0, 0);
    return _mm512_permutexvar_ps(idx, _mm512_castps256_ps512(_mm256_loadu_ps(p)));
}
VI vf v_swap_pairs(vf a) { return _mm512_permute_ps(a, 0xb1); }
VI vf v_sub_add(vf a, vf b) { return _mm512_mask_sub_ps(_mm512_add_ps(a, b), 0x5555, a, b); }
/* Within each 128 bits: lower, upper elements (pairs of elements) of a and b in turn. */
VI vf v_unlo(vf a, vf b) { return _mm512_unpacklo_ps(a, b); }
VI vf v_unhi(vf a, vf b) { return _mm512_unpackhi_ps(a, b); }
VI vf v_unlo2(vf a, vf b) {
    return _mm512_castpd_ps(_mm512_unpacklo_pd(_mm512_castps_pd(a), _mm512_castps_pd(b)));
}
VI vf v_unhi2(vf a, vf b) {
    return _mm512_castpd_ps(_mm512_unpackhi_pd(_mm512_castps_pd(a), _mm512_castps_pd(b)));
}
/* Sum of the 128-bit parts. */
VI __m128 v_sum_parts(vf a) {
    __m256 h = _mm256_add_ps(v_lower(a), v_upper(a));
    return _mm_add_ps(_mm256_castps256_ps128(h), _mm256_extractf128_ps(h, 1));
}
/* r[g][.]: 128-bit part l of r[g] goes to part g of result l. */
VI void v_transpose_parts(const vf *r, vf *out) {
    vf a = _mm512_shuffle_f32x4(r[0], r[1], 0x44), b = _mm512_shuffle_f32x4(r[2], r[3], 0x44);
    vf c = _mm512_shuffle_f32x4(r[0], r[1], 0xee), d = _mm512_shuffle_f32x4(r[2], r[3], 0xee);
    out[0] = _mm512_shuffle_f32x4(a, b, 0x88);
    out[1] = _mm512_shuffle_f32x4(a, b, 0xdd);
    out[2] = _mm512_shuffle_f32x4(c, d, 0x88);
    out[3] = _mm512_shuffle_f32x4(c, d, 0xdd);
}
VI vm v_without(vm a, vm b) { return (vm)(a & ~b); }
/* Conversions of VW values. */
VI vf v_load_f16(const uint16_t *p) { return _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)(const void *)p)); }
VI vf v_load_i8(const int8_t *p) {
    return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128((const __m128i *)(const void *)p)));
}
#else
#define VW 8
typedef __m256 vf;
typedef __m256 vm;

VI vm v_first(int64_t n) {
    const __m256i lane = _mm256_set_epi32(7, 6, 5, 4, 3, 2, 1, 0);
    return _mm256_castsi256_ps(_mm256_cmpgt_epi32(_mm256_set1_epi32(n > 8 ? 8 : (int)n), lane));
}
VI vf v_set1(float x) { return _mm256_set1_ps(x); }
VI vf v_load(const float *p) { return _mm256_loadu_ps(p); }
VI vf v_load_part(const float *p, vm m) { return _mm256_maskload_ps(p, _mm256_castps_si256(m)); }
VI void v_store(float *p, vf v) { _mm256_storeu_ps(p, v); }
VI void v_store_part(float *p, vm m, vf v) { _mm256_maskstore_ps(p, _mm256_castps_si256(m), v); }
VI vf v_add(vf a, vf b) { return _mm256_add_ps(a, b); }
VI vf v_sub(vf a, vf b) { return _mm256_sub_ps(a, b); }
VI vf v_mul(vf a, vf b) { return _mm256_mul_ps(a, b); }
VI vf v_div(vf a, vf b) { return _mm256_div_ps(a, b); }
VI vf v_max(vf a, vf b) { return _mm256_max_ps(a, b); }
VI vf v_min(vf a, vf b) { return _mm256_min_ps(a, b); }
VI vf v_sqrt(vf a) { return _mm256_sqrt_ps(a); }
VI vf v_fma(vf a, vf b, vf c) { return _mm256_fmadd_ps(a, b, c); }
VI vf v_fnma(vf a, vf b, vf c) { return _mm256_fnmadd_ps(a, b, c); }
VI vf v_abs(vf a) { return _mm256_andnot_ps(_mm256_set1_ps(-0.0f), a); }
VI vf v_neg(vf a) { return _mm256_xor_ps(a, _mm256_set1_ps(-0.0f)); }
VI vf v_copysign(vf mag, vf sign) {
    const __m256 top = _mm256_set1_ps(-0.0f);
    return _mm256_or_ps(_mm256_and_ps(top, sign), _mm256_andnot_ps(top, mag));
}
VI vm v_lt(vf a, vf b) { return _mm256_cmp_ps(a, b, _CMP_LT_OQ); }
VI vm v_eq(vf a, vf b) { return _mm256_cmp_ps(a, b, _CMP_EQ_OQ); }
VI vm v_is_nan(vf a) { return _mm256_cmp_ps(a, a, _CMP_UNORD_Q); }
VI vf v_select(vm m, vf yes, vf no) { return _mm256_blendv_ps(no, yes, m); }
VI vf v_keep(vm m, vf a) { return _mm256_and_ps(m, a); }
VI bool v_any(vm m) { return _mm256_movemask_ps(m) != 0; }
VI vf v_round(vf a) { return _mm256_round_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }
VI vf v_power2(__m256i n) { return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(n, _mm256_set1_epi32(127)), 23)); }
/* In two steps, so that results below the normal range round once and overflow to infinity. |n| < 250. */
VI vf v_scale2(vf a, vf n) {
    __m256i whole = _mm256_cvtps_epi32(n), half = _mm256_srai_epi32(whole, 1);
    return v_mul(v_mul(a, v_power2(half)), v_power2(_mm256_sub_epi32(whole, half)));
}
VI void v_split(vf x, vf *m, vf *e) {
    vm small = v_lt(x, v_set1(1.17549435e-38f));
    __m256i u = _mm256_castps_si256(v_select(small, v_mul(x, v_set1(8388608.0f)), x));
    *m = _mm256_castsi256_ps(_mm256_or_si256(_mm256_and_si256(u, _mm256_set1_epi32(0x7fffff)), _mm256_set1_epi32(0x3f800000)));
    vf n = _mm256_cvtepi32_ps(_mm256_sub_epi32(_mm256_srli_epi32(u, 23), _mm256_set1_epi32(127)));
    *e = v_sub(n, v_keep(small, v_set1(23)));
}
VI float v_sum(vf a) {
    __m128 q = _mm_add_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
    q = _mm_add_ps(q, _mm_movehl_ps(q, q));
    return _mm_cvtss_f32(_mm_add_ss(q, _mm_movehdup_ps(q)));
}
VI float v_greatest(vf a) {
    __m128 q = _mm_max_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
    q = _mm_max_ps(q, _mm_movehl_ps(q, q));
    return _mm_cvtss_f32(_mm_max_ss(q, _mm_movehdup_ps(q)));
}
VI vf v_load_twice(const float *p) {
    return _mm256_permutevar8x32_ps(_mm256_castps128_ps256(_mm_loadu_ps(p)), _mm256_set_epi32(3, 3, 2, 2, 1, 1, 0, 0));
}
VI vf v_swap_pairs(vf a) { return _mm256_permute_ps(a, 0xb1); }
VI vf v_sub_add(vf a, vf b) { return _mm256_addsub_ps(a, b); }
VI vf v_unlo(vf a, vf b) { return _mm256_unpacklo_ps(a, b); }
VI vf v_unhi(vf a, vf b) { return _mm256_unpackhi_ps(a, b); }
VI vf v_unlo2(vf a, vf b) {
    return _mm256_castpd_ps(_mm256_unpacklo_pd(_mm256_castps_pd(a), _mm256_castps_pd(b)));
}
VI vf v_unhi2(vf a, vf b) {
    return _mm256_castpd_ps(_mm256_unpackhi_pd(_mm256_castps_pd(a), _mm256_castps_pd(b)));
}
VI __m128 v_sum_parts(vf a) { return _mm_add_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1)); }
VI void v_transpose_parts(const vf *r, vf *out) {
    out[0] = _mm256_permute2f128_ps(r[0], r[1], 0x20);
    out[1] = _mm256_permute2f128_ps(r[0], r[1], 0x31);
}
VI vm v_without(vm a, vm b) { return _mm256_andnot_ps(b, a); }
VI vf v_load_f16(const uint16_t *p) { return _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(const void *)p)); }
VI vf v_load_i8(const int8_t *p) {
    return _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64((const __m128i *)(const void *)p)));
}
#endif

/* For the last stretch of a range, `left` lanes of which exist. Whole vectors take the plain way: masked accesses are slow on
 * AVX2 machines. */
VI vf v_load_n(const float *p, int64_t left) { return left >= VW ? v_load(p) : v_load_part(p, v_first(left)); }
VI void v_store_n(float *p, int64_t left, vf v) {
    if (left >= VW) v_store(p, v);
    else v_store_part(p, v_first(left), v);
}
VI vf v_keep_n(int64_t left, vf v) { return left >= VW ? v : v_keep(v_first(left), v); }

/* in: VW vectors; out[c] holds element c of each. */
VI void v_transpose(const vf *in, vf *out) {
    vf r[4][VW / 4];
    for (int g = 0; g < VW / 4; g++) {
        vf a = v_unlo(in[4 * g], in[4 * g + 1]), b = v_unhi(in[4 * g], in[4 * g + 1]);
        vf c = v_unlo(in[4 * g + 2], in[4 * g + 3]), d = v_unhi(in[4 * g + 2], in[4 * g + 3]);
        r[0][g] = v_unlo2(a, c);
        r[1][g] = v_unhi2(a, c);
        r[2][g] = v_unlo2(b, d);
        r[3][g] = v_unhi2(b, d);
    }
    for (int c = 0; c < 4; c++) {
        vf t[VW / 4];
        v_transpose_parts(r[c], t);
        for (int l = 0; l < VW / 4; l++) out[4 * l + c] = t[l];
    }
}
/* Sums of four vectors, in one vector of four. */
VI __m128 v_sum4(vf a, vf b, vf c, vf d) {
    vf ab = v_add(v_unlo(a, b), v_unhi(a, b)), cd = v_add(v_unlo(c, d), v_unhi(c, d));
    return v_sum_parts(v_add(v_unlo2(ab, cd), v_unhi2(ab, cd)));
}

/* ---- elementary functions; bounds and specials as in math.h ---- */

/* e^x = 2^n e^r, |r| <= ln(2) / 2; e^r = 1 + r + r^2 q(r), q a minimax fit of 3e-9. */
VI vf v_exp(vf x) {
    x = v_max(v_set1(-105.0f), v_min(v_set1(89.0f), x));
    vf n = v_round(v_mul(x, v_set1(1.442695041f)));
    vf r = v_fnma(n, v_set1(0.693359375f), x);
    r = v_fnma(n, v_set1(-2.12194440e-4f), r);
    vf q = v_set1(1.381456852e-03f);
    q = v_fma(q, r, v_set1(8.368730545e-03f));
    q = v_fma(q, r, v_set1(4.166838899e-02f));
    q = v_fma(q, r, v_set1(1.666652113e-01f));
    q = v_fma(q, r, v_set1(0.5f));
    return v_scale2(v_add(v_set1(1.0f), v_fma(v_mul(r, r), q, r)), n);
}

/* x = m 2^e, sqrt(1/2) <= m < sqrt(2), f = m - 1: log(1 + f) = f - f^2 / 2 + f^3 p(f), a minimax fit of 6e-9. */
VI vf v_log(vf x) {
    vf m, e;
    v_split(x, &m, &e);
    vm high = v_lt(v_set1(1.41421356f), m);
    m = v_select(high, v_mul(m, v_set1(0.5f)), m);
    e = v_add(e, v_keep(high, v_set1(1.0f)));
    vf f = v_sub(m, v_set1(1.0f)), z = v_mul(f, f), p = v_set1(-7.646037638e-02f);
    p = v_fma(p, f, v_set1(1.277908832e-01f));
    p = v_fma(p, f, v_set1(-1.316419840e-01f));
    p = v_fma(p, f, v_set1(1.419969946e-01f));
    p = v_fma(p, f, v_set1(-1.662276387e-01f));
    p = v_fma(p, f, v_set1(2.000129223e-01f));
    p = v_fma(p, f, v_set1(-2.500083745e-01f));
    p = v_fma(p, f, v_set1(3.333333135e-01f));
    p = v_fma(v_mul(p, f), z, v_mul(e, v_set1(-2.12194440e-4f)));
    p = v_fma(v_set1(-0.5f), z, p);
    vf y = v_fma(e, v_set1(0.693359375f), v_add(f, p));
    y = v_select(v_eq(x, v_set1(0.0f)), v_set1(-INFINITY), y);
    y = v_select(v_eq(x, v_set1(INFINITY)), x, y);
    return v_select(v_lt(x, v_set1(0.0f)), v_set1(NAN), v_select(v_is_nan(x), x, y));
}

/* 0 < u <= 1: the rounding of 1 + u is put back. */
VI vf v_log1p_unit(vf u) {
    vf w = v_add(v_set1(1.0f), u), lost = v_sub(u, v_sub(w, v_set1(1.0f)));
    return v_add(v_log(w), v_div(lost, w));
}

/* |x| < 0.625: x + x^3 p(x^2), a fit of 4e-9; above: 1 - 2 / (e^2|x| + 1). */
VI vf v_tanh(vf x) {
    vf a = v_abs(x), z = v_mul(x, x), p = v_set1(-5.704978481e-03f);
    p = v_fma(p, z, v_set1(2.063907869e-02f));
    p = v_fma(p, z, v_set1(-5.373971164e-02f));
    p = v_fma(p, z, v_set1(1.333144158e-01f));
    p = v_fma(p, z, v_set1(-3.333328068e-01f));
    p = v_fma(v_mul(p, z), x, x);
    vf large = v_sub(v_set1(1.0f), v_div(v_set1(2.0f), v_add(v_exp(v_add(a, a)), v_set1(1.0f))));
    return v_select(v_lt(a, v_set1(0.625f)), p, v_copysign(large, x));
}

/* e^x - 1 for x <= 0, through t = tanh(x / 2): 2 t / (1 - t). */
VI vf v_expm1(vf x) {
    vf t = v_tanh(v_mul(x, v_set1(0.5f)));
    return v_div(v_add(t, t), v_sub(v_set1(1.0f), t));
}

VI vf v_sigmoid(vf x) {
    return v_div(v_set1(1.0f), v_add(v_set1(1.0f), v_exp(v_neg(x))));
}

/* |x| < 1: x p(x^2), a fit of 1e-9; above: 1 - exp(-q(|x|)), q a fit to -log(erfc) of 2e-11. */
VI vf v_erf(vf x) {
    vf a = v_abs(x), z = v_mul(x, x), p = v_set1(7.853854913e-05f);
    p = v_fma(p, z, v_set1(-8.010191377e-04f));
    p = v_fma(p, z, v_set1(5.188327283e-03f));
    p = v_fma(p, z, v_set1(-2.685381100e-02f));
    p = v_fma(p, z, v_set1(1.128358543e-01f));
    p = v_fma(p, z, v_set1(-3.761262596e-01f));
    p = v_fma(p, z, v_set1(1.283791671e-01f)); /* 1 + c: keeps the low bits of 2 / sqrt(pi) */
    p = v_fma(p, x, x);
    vf b = v_min(v_set1(4.0f), a), q = v_set1(2.169760410e-05f);
    q = v_fma(q, b, v_set1(-4.414724826e-04f));
    q = v_fma(q, b, v_set1(4.205283243e-03f));
    q = v_fma(q, b, v_set1(-2.521033399e-02f));
    q = v_fma(q, b, v_set1(1.084220931e-01f));
    q = v_fma(q, b, v_set1(6.332163811e-01f));
    q = v_fma(q, b, v_set1(1.129580259e+00f));
    q = v_fma(q, b, v_set1(-1.884659432e-04f));
    vf large = v_sub(v_set1(1.0f), v_exp(v_neg(q)));
    return v_select(v_lt(a, v_set1(1.0f)), p, v_copysign(large, x));
}
#endif
