/* SPDX-License-Identifier: Apache-2.0 */
/* Body of the vector variants: vec_x86.h for f32, and here the few integer operations beside it. A vi has a 32-bit lane
 * per group, which holds one sum or a pair of 16-bit elements. */
#include "base/cpu.h"
#include "kernels/math/vec_x86.h"
#include "kernels/quantize/quantize.h"

#define L OLK_Q_LANES

#if defined(__AVX512F__)
typedef __m512i vi;
VI vi i_load(const void *p) { return _mm512_loadu_si512(p); }
VI void i_store(void *p, vi v) { _mm512_storeu_si512(p, v); }
VI vi i_zero(void) { return _mm512_setzero_si512(); }
VI vi i_set16(int v) { return _mm512_set1_epi16((short)v); }
VI vi i_add16(vi a, vi b) { return _mm512_add_epi16(a, b); }
VI vi i_mulhrs(vi a, vi b) { return _mm512_mulhrs_epi16(a, b); }
VI vi i_sra16(vi a, int n) { return _mm512_sra_epi16(a, _mm_cvtsi32_si128(n)); }
VI vi i_min16(vi a, vi b) { return _mm512_min_epi16(a, b); }
VI vi i_max16(vi a, vi b) { return _mm512_max_epi16(a, b); }
#if defined(__AVX512VNNI__)
VI vi i_dot(vi sum, vi a, vi b) { return _mm512_dpwssd_epi32(sum, a, b); }
#else
VI vi i_dot(vi sum, vi a, vi b) { return _mm512_add_epi32(sum, _mm512_madd_epi16(a, b)); }
#endif
VI vi i_set32(int v) { return _mm512_set1_epi32(v); }
VI vf i_float(vi a) { return _mm512_cvtepi32_ps(a); }
VI vi i_round(vf a) { return _mm512_cvtps_epi32(a); }
/* 16-bit values, each twice. */
VI vi i_twice16(const int16_t *p) {
    vi w = _mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i *)(const void *)p));
    return _mm512_or_si512(w, _mm512_slli_epi32(w, 16));
}
VI vm v_gt(vf a, vf b) { return _mm512_cmp_ps_mask(a, b, _CMP_GT_OQ); }
VI vm m_and(vm a, vm b) { return a & b; }
VI vi i_select(vm m, vi yes, vi no) { return _mm512_mask_blend_epi32(m, no, yes); }
VI void store16(int16_t *p, vi v) { _mm256_storeu_si256((__m256i *)(void *)p, _mm512_cvtepi32_epi16(v)); }
VI void store_codes(uint8_t *p, vi v) { _mm_storeu_si128((__m128i *)(void *)p, _mm512_cvtepi32_epi8(v)); }
VI float half_sum(const vf *v) { return v_sum(v[0]); }
VI float v_hmax(vf v) { return _mm512_reduce_max_ps(v); }
#else
typedef __m256i vi;
VI vi i_load(const void *p) { return _mm256_loadu_si256((const __m256i *)p); }
VI void i_store(void *p, vi v) { _mm256_storeu_si256((__m256i *)p, v); }
VI vi i_zero(void) { return _mm256_setzero_si256(); }
VI vi i_set16(int v) { return _mm256_set1_epi16((short)v); }
VI vi i_add16(vi a, vi b) { return _mm256_add_epi16(a, b); }
VI vi i_mulhrs(vi a, vi b) { return _mm256_mulhrs_epi16(a, b); }
VI vi i_sra16(vi a, int n) { return _mm256_sra_epi16(a, _mm_cvtsi32_si128(n)); }
VI vi i_min16(vi a, vi b) { return _mm256_min_epi16(a, b); }
VI vi i_max16(vi a, vi b) { return _mm256_max_epi16(a, b); }
VI vi i_dot(vi sum, vi a, vi b) { return _mm256_add_epi32(sum, _mm256_madd_epi16(a, b)); }
VI vi i_set32(int v) { return _mm256_set1_epi32(v); }
VI vf i_float(vi a) { return _mm256_cvtepi32_ps(a); }
VI vi i_round(vf a) { return _mm256_cvtps_epi32(a); }
VI vi i_twice16(const int16_t *p) {
    vi w = _mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i *)(const void *)p));
    return _mm256_or_si256(w, _mm256_slli_epi32(w, 16));
}
VI vm v_gt(vf a, vf b) { return _mm256_cmp_ps(a, b, _CMP_GT_OQ); }
VI vm m_and(vm a, vm b) { return _mm256_and_ps(a, b); }
VI vi i_select(vm m, vi yes, vi no) { return _mm256_blendv_epi8(no, yes, _mm256_castps_si256(m)); }
VI void store16(int16_t *p, vi v) {
    __m128i w = _mm_packs_epi32(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
    _mm_storeu_si128((__m128i *)(void *)p, w);
}
VI void store_codes(uint8_t *p, vi v) {
    __m128i w = _mm_packs_epi32(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
    _mm_storel_epi64((__m128i *)(void *)p, _mm_packus_epi16(w, w));
}
VI float half_sum(const vf *v) { return v_sum(v_add(v[0], v[1])); }
VI float v_hmax(vf v) {
    __m128 m = _mm_max_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
    m = _mm_max_ps(m, _mm_movehl_ps(m, m));
    return _mm_cvtss_f32(_mm_max_ss(m, _mm_movehdup_ps(m)));
}
#endif

#define PARTS (L / VW) /* vectors that make up the 16 lanes */

static void range(const float *x, int64_t n, olk_range *out) {
    vf lo = v_set1(n ? x[0] : 0), hi = lo, energy[PARTS];
    for (int k = 0; k < PARTS; k++) energy[k] = v_set1(0);
    for (int64_t i = 0; i < n; i += L) {
        for (int k = 0; k < PARTS; k++) {
            vf v = v_load(x + i + k * VW);
            lo = v_min(lo, v);
            hi = v_max(hi, v);
            energy[k] = v_add(energy[k], v_mul(v, v));
        }
    }
    *out = (olk_range){-v_hmax(v_neg(lo)), v_hmax(hi), half_sum(energy)};
}

/* Rows of pairs become columns: 8 lanes of 8 pairs. */
VI void transpose8(__m256i *r) {
    __m256i t[8], u[8];
    for (int i = 0; i < 8; i += 2) {
        t[i] = _mm256_unpacklo_epi32(r[i], r[i + 1]);
        t[i + 1] = _mm256_unpackhi_epi32(r[i], r[i + 1]);
    }
    for (int i = 0; i < 8; i += 4) {
        for (int k = 0; k < 2; k++) {
            u[i + 2 * k] = _mm256_unpacklo_epi64(t[i + k], t[i + k + 2]);
            u[i + 2 * k + 1] = _mm256_unpackhi_epi64(t[i + k], t[i + k + 2]);
        }
    }
    for (int i = 0; i < 4; i++) {
        r[i] = _mm256_permute2x128_si256(u[i], u[i + 4], 0x20);
        r[i + 4] = _mm256_permute2x128_si256(u[i], u[i + 4], 0x31);
    }
}

/* 16 elements as 8 pairs of 16 bits. */
VI __m256i sixteen(const float *x, float mult) {
    __m256 m = _mm256_set1_ps(mult);
    __m256i a = _mm256_cvtps_epi32(_mm256_mul_ps(_mm256_loadu_ps(x), m));
    __m256i b = _mm256_cvtps_epi32(_mm256_mul_ps(_mm256_loadu_ps(x + 8), m));
    return _mm256_permute4x64_epi64(_mm256_packs_epi32(a, b), 0xd8);
}

static void spread(const float *x, int64_t ldx, int64_t n, int lanes, const float *mult, int16_t *out) {
    for (int64_t i = 0; i < n; i += 16) {
        for (int half = 0; half < L; half += 8) {
            __m256i r[8];
            for (int l = 0; l < 8; l++)
                r[l] = half + l < lanes ? sixteen(x + (half + l) * ldx + i, mult[half + l]) : _mm256_setzero_si256();
            transpose8(r);
            for (int p = 0; p < 8; p++)
                _mm256_storeu_si256((__m256i *)(void *)(out + ((i / 2 + p) * L + half) * 2), r[p]);
        }
    }
}

VI void set_bounds(olk_trial *t, int b, int lane, vf zero, vf top) {
    vf z = v_min(v_max(zero, v_set1(0)), top);
    store16(t->lo[b] + lane, i_round(v_sub(v_set1(0), z)));
    store16(t->hi[b] + lane, i_round(v_sub(top, z)));
}

static void offsets(const olk_offsets *o, olk_trial *trials, int n_trials) {
    vf top = v_set1((float)o->top), middle = v_mul(top, v_set1(0.5f)), one = v_set1(1.0f);
    for (int lane = 0; lane < L; lane += VW) {
        vf center = v_load(o->center + lane);
        for (int t = 0; t < n_trials; t++) {
            vf v = v_sub(middle, v_mul(center, v_set1(o->shrink[t])));
            v = v_min(v_max(v, v_set1(-1.0f)), v_add(top, one));
            vf z = v_round(v);
            set_bounds(&trials[t], 0, lane, z, top);
            set_bounds(&trials[t], 1, lane, v_select(v_gt(v, z), v_add(z, one), v_sub(z, one)), top);
        }
    }
}

typedef struct bounds {
    vi lo, hi;
} bounds;

/* Sums of both pairs of bounds over at most OLK_Q_CHUNK pairs. */
VI void chunk(const int16_t *x, int64_t pairs, vi mult, int shift, const bounds *b, vi *xq, vi *qq) {
    vi half = i_set16(1 << (shift - 1)), x0 = i_zero(), x1 = x0, q0 = x0, q1 = x0;
    for (int64_t p = 0; p < pairs; p++) {
        vi v = i_load(x + p * L * 2);
        vi r = i_sra16(i_add16(i_mulhrs(v, mult), half), shift);
        vi a = i_max16(i_min16(r, b[0].hi), b[0].lo), c = i_max16(i_min16(r, b[1].hi), b[1].lo);
        x0 = i_dot(x0, v, a);
        q0 = i_dot(q0, a, a);
        x1 = i_dot(x1, v, c);
        q1 = i_dot(q1, c, c);
    }
    xq[0] = x0;
    xq[1] = x1;
    qq[0] = q0;
    qq[1] = q1;
}

typedef struct leader {
    vf xq, qq;
    vi index;
} leader;

VI void challenge(leader *best, vf xq, vf qq, int index) {
    vm wins = m_and(v_gt(xq, v_set1(0)),
                    v_gt(v_mul(v_mul(xq, xq), best->qq), v_mul(v_mul(best->xq, best->xq), qq)));
    best->xq = v_select(wins, xq, best->xq);
    best->qq = v_select(wins, qq, best->qq);
    best->index = i_select(wins, i_set32(index), best->index);
}

static void search(const int16_t *x, int64_t n, int shift, const olk_trial *trials, int n_trials, olk_best *out) {
    for (int lane = 0; lane < L; lane += VW) {
        leader best = {v_set1(0), v_set1(1), i_zero()};
        v_store(out->xq0 + lane, v_set1(0));
        v_store(out->qq0 + lane, v_set1(1));
        for (int t = 0; t < n_trials; t++) {
            const olk_trial *r = &trials[t];
            bounds b[2] = {{i_twice16(r->lo[0] + lane), i_twice16(r->hi[0] + lane)},
                           {i_twice16(r->lo[1] + lane), i_twice16(r->hi[1] + lane)}};
            vf xq[2] = {v_set1(0), v_set1(0)}, qq[2] = {v_set1(0), v_set1(0)};
            for (int64_t p = 0; p < n / 2; p += OLK_Q_CHUNK) {
                vi a[2], c[2];
                int64_t m = n / 2 - p < OLK_Q_CHUNK ? n / 2 - p : OLK_Q_CHUNK;
                chunk(x + (p * L + lane) * 2, m, i_set16(r->mult), shift, b, a, c);
                for (int k = 0; k < 2; k++) {
                    xq[k] = v_add(xq[k], i_float(a[k]));
                    qq[k] = v_add(qq[k], i_float(c[k]));
                }
            }
            if (t == 0) {
                v_store(out->xq0 + lane, xq[0]);
                v_store(out->qq0 + lane, qq[0]);
            }
            challenge(&best, xq[0], qq[0], 2 * t);
            challenge(&best, xq[1], qq[1], 2 * t + 1);
        }
        v_store(out->xq + lane, best.xq);
        v_store(out->qq + lane, best.qq);
        i_store(out->index + lane, best.index);
    }
}

VI void round_group(const float *x, int64_t n, float inv, float s, int lo, int hi, uint8_t *codes, olk_rounded *out,
                    bool fit) {
    vf vinv = v_set1(inv), vs = v_set1(s), vlo = v_set1((float)lo), vhi = v_set1((float)hi);
    vf error[PARTS], xq[PARTS], qq[PARTS];
    for (int k = 0; k < PARTS; k++) error[k] = xq[k] = qq[k] = v_set1(0);
    for (int64_t i = 0; i < n; i += L) {
        for (int k = 0; k < PARTS; k++) {
            vf v = v_load(x + i + k * VW);
            vf q = v_round(v_max(v_min(v_mul(v, vinv), vhi), vlo));
            vf d = v_sub(v, v_mul(q, vs));
            error[k] = v_add(error[k], v_mul(d, d));
            if (fit) {
                xq[k] = v_add(xq[k], v_mul(v, q));
                qq[k] = v_add(qq[k], v_mul(q, q));
            }
            store_codes(codes + i + k * VW, i_round(v_sub(q, vlo)));
        }
    }
    *out = (olk_rounded){half_sum(error), fit ? half_sum(xq) : 0, fit ? half_sum(qq) : 0};
}

static void nearest(const float *x, int64_t n, float inv, float s, int lo, int hi, uint8_t *codes, olk_rounded *out) {
    round_group(x, n, inv, s, lo, hi, codes, out, false);
}

static void nearest_fit(const float *x, int64_t n, float inv, float s, int lo, int hi, uint8_t *codes,
                        olk_rounded *out) {
    round_group(x, n, inv, s, lo, hi, codes, out, true);
}
