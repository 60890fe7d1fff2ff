/* SPDX-License-Identifier: Apache-2.0 */
/* Rows of 4- and 8-bit codes times f32 activations, for 1 to 16 rows of x, straight from the file's layout; the including
 * file defines W, the vectors vf and vi with their operations, MAX_ROWS (4)
 * and SUMS (1 or 2 partial sums a row).
 *
 * A row is cut into chunks. 4 bits: W words of 8 codes; lane l of step j holds k = 8 l + j of the chunk, so that x is packed
 * in that order. 8 bits: 4 W codes in natural order. Codes less the code's own zero are exact floats; those of a group
 * are summed before its scale is applied. Every row of x sees the same operations, whatever their number. */
#include "kernels/linear/variants.h"
#include <string.h>

#define INLINE static inline __attribute__((always_inline))
#define AHEAD 4096 /* bytes between use and prefetch */

static bool nibbles_of(const olk_weight *w) { return w->q->code == OL_Q_I4 || w->q->code == OL_Q_U4; }
static int64_t chunk_of(const olk_weight *w) { return nibbles_of(w) ? 8 * W : 4 * W; }

static bool accepts(const olk_weight *w) {
    const ol_qconst *q = w->q;
    if (!q || q->block != OL_QB_NONE || q->min_dtype != OL_DTYPE_NONE || q->perm || q->input_scale) return false;
    if (q->code != OL_Q_I8 && q->code != OL_Q_U8 && q->code != OL_Q_I4 && q->code != OL_Q_U4) return false;
    if (q->scale_dtype != OL_F32 && q->scale_dtype != OL_F16 && q->scale_dtype != OL_BF16) return false;
    return q->n_groups == 1 || (q->group >= 16 && (q->group & (q->group - 1)) == 0);
}

/* ---- packed x ---- */

static int64_t x_floats(const olk_weight *w) {
    int64_t chunk = chunk_of(w), n = (w->k + chunk - 1) / chunk * chunk;
    return n % 256 ? n : n + 16; /* rows do not fight for a cache set */
}
static size_t act_bytes(const olk_weight *w, int64_t m) { return (size_t)(x_floats(w) * m) * 4; }
static uint64_t act_key(const olk_weight *w) { return (uint64_t)w->k << 1 | (nibbles_of(w) ? 1 : 0); }

static void pack(const olk_weight *w, const float *x, int64_t ldx, int64_t m0, int64_t m1, int64_t m, void *act) {
    (void)m;
    int64_t chunk = chunk_of(w);
    bool nibbles = nibbles_of(w);
    for (int64_t i = m0; i < m1; i++) {
        float *out = (float *)act + i * x_floats(w);
        for (int64_t k = 0; k < w->k; k += chunk, out += chunk) {
            float part[8 * W] = {0};
            const float *in = x + i * ldx + k;
            int64_t n = w->k - k;
            if (n < chunk) in = memcpy(part, in, (size_t)n * 4);
            if (!nibbles) memcpy(out, in, (size_t)chunk * 4);
            for (int j = 0; nibbles && j < 8; j++)
                for (int l = 0; l < W; l++) out[j * W + l] = in[8 * l + j];
        }
    }
}

/* ---- scales and zero points ---- */

typedef struct gemv {
    const ol_qconst *q;
    const float *x;
    float *y;
    int64_t ldx, ldy, chunk, codes_bytes;
    int64_t groups; /* in a chunk, at least 1 */
    int shift;      /* group = k >> shift; 62: one group a row */
    vi flip;        /* makes codes what vload_words and vbytes want */
    vi lane_group;  /* 4 bits: group of a lane within the chunk */
    float bias;     /* minus the code's own zero */
} gemv;

INLINE float to_float(ol_dtype t, const void *p, int64_t at) {
    if (t == OL_F32) {
        float f;
        memcpy(&f, (const uint8_t *)p + at * 4, 4);
        return f;
    }
    uint16_t h;
    memcpy(&h, (const uint8_t *)p + at * 2, 2);
    if (t == OL_F16) return _mm_cvtss_f32(_mm_cvtph_ps(_mm_cvtsi32_si128(h)));
    return _mm_cvtss_f32(_mm_castsi128_ps(_mm_cvtsi32_si128((int)((uint32_t)h << 16))));
}

INLINE float scale_at(const gemv *c, int64_t row, int64_t g, const bool f32) {
    return to_float(f32 ? OL_F32 : c->q->scale_dtype, c->q->scales, row * c->q->n_groups + g);
}
static float zero_at(const gemv *c, int64_t row, int64_t g) {
    const uint8_t *z = (const uint8_t *)c->q->zeros + (size_t)row * c->q->zero_row_bytes;
    return (float)ol_elem_get(c->q->zero_dtype, z, (uint64_t)g) + c->bias;
}

/* n <= 8 halves of type t. */
INLINE __m256 eight_halves(ol_dtype t, const uint8_t *p, int64_t n) {
    __m128i h;
    if (n == 4) {
        h = _mm_loadl_epi64((const __m128i *)(const void *)p);
    } else if (n == 8) {
        h = _mm_loadu_si128((const __m128i *)(const void *)p);
    } else {
        uint64_t part[2] = {0};
        memcpy(part, p, (size_t)n * 2);
        h = _mm_set_epi64x((long long)part[1], (long long)part[0]);
    }
    if (t == OL_F16) return _mm256_cvtph_ps(h);
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(h), 16));
}

/* Per lane of a chunk of 4-bit codes, from group g on; whole: all of the chunk's groups exist. */
INLINE vf lane_scales(const gemv *c, int64_t row, int64_t g, const bool f32, const bool whole) {
    if (c->groups == 1) return vset1(scale_at(c, row, g, f32));
    int64_t n = whole || c->q->n_groups - g > c->groups ? c->groups : c->q->n_groups - g;
    if (f32 || c->q->scale_dtype == OL_F32)
        return vpermute(vload_part((const float *)c->q->scales + row * c->q->n_groups + g, n), c->lane_group);
    const uint8_t *p = (const uint8_t *)c->q->scales + (row * c->q->n_groups + g) * 2;
    return vpermute(vwiden(eight_halves(c->q->scale_dtype, p, n)), c->lane_group);
}
INLINE vf lane_zeros(const gemv *c, int64_t row, int64_t g) {
    ol_dtype t = c->q->zero_dtype;
    if (t == OL_U4 || t == OL_I4) { /* at most 8 groups: a word of nibbles, from an odd group only if it is the only one */
        uint32_t bits = 0;
        size_t at = (size_t)g / 2, left = c->q->zero_row_bytes - at;
        memcpy(&bits, (const uint8_t *)c->q->zeros + (size_t)row * c->q->zero_row_bytes + at, left < 4 ? left : 4);
        bits >>= g % 2 * 4;
        return vlane_nibbles(t == OL_I4 ? bits ^ 0x88888888u : bits, c->lane_group, c->bias - (t == OL_I4 ? 8 : 0));
    }
    if (c->groups == 1) return vset1(zero_at(c, row, g));
    _Alignas(64) float z[W] = {0};
    for (int64_t j = 0; j < c->groups && g + j < c->q->n_groups; j++) z[j] = zero_at(c, row, g + j);
    return vpermute(vload(z), c->lane_group);
}

/* ---- one chunk of one weight row for MR rows of x ---- */

/* Constants of a loop over chunks. */
typedef struct form {
    bool nibbles, zp, f32;
} form;

INLINE void chunk4(const gemv *c, int64_t row, const uint8_t *p, int64_t k, const float *x, const int MR, const form f,
                   const bool whole, vf *acc) {
    vi words = vload_words(p, c->flip);
    vf zero = f.zp ? lane_zeros(c, row, k >> c->shift) : vzero();
    vf sum[MAX_ROWS][SUMS];
#pragma GCC unroll 8
    for (int j = 0; j < 8; j++) {
        vf v = vnibbles(words, j);
        if (f.zp) v = vsub(v, zero);
#pragma GCC unroll 8
        for (int i = 0; i < MR; i++) {
            vf xi = vload(x + i * c->ldx + j * W);
            sum[i][j % SUMS] = j < SUMS ? vmul(v, xi) : vfma(v, xi, sum[i][j % SUMS]);
        }
    }
    vf scale = lane_scales(c, row, k >> c->shift, f.f32, whole);
#pragma GCC unroll 8
    for (int i = 0; i < MR; i++) acc[i] = vfma(SUMS == 2 ? vadd(sum[i][0], sum[i][SUMS - 1]) : sum[i][0], scale, acc[i]);
}

INLINE vf bytes_less(const gemv *c, const uint8_t *p, const bool zp, vf zero) {
    vf v = vbytes(p, c->flip);
    return zp ? vsub(v, zero) : v;
}

INLINE void chunk8(const gemv *c, int64_t row, const uint8_t *p, int64_t k, const float *x, const int MR, const form f,
                   vf *acc) {
    vf sum[MAX_ROWS], zero = vzero();
    if (c->groups == 1) {
        if (f.zp) zero = vset1(zero_at(c, row, k >> c->shift));
#pragma GCC unroll 4
        for (int j = 0; j < 4; j++) {
            vf v = bytes_less(c, p + j * W, f.zp, zero);
#pragma GCC unroll 8
            for (int i = 0; i < MR; i++) {
                vf xi = vload(x + i * c->ldx + j * W);
                sum[i] = j == 0 ? vmul(v, xi) : vfma(v, xi, sum[i]);
            }
        }
        vf scale = vset1(scale_at(c, row, k >> c->shift, f.f32));
#pragma GCC unroll 8
        for (int i = 0; i < MR; i++) acc[i] = vfma(sum[i], scale, acc[i]);
        return;
    }
    for (int j = 0; j < 4; j++) { /* a vector lies in one group */
        int64_t g = (k + j * W) >> c->shift;
        if (g >= c->q->n_groups) return;
        if (f.zp) zero = vset1(zero_at(c, row, g));
        vf v = bytes_less(c, p + j * W, f.zp, zero), scale = vset1(scale_at(c, row, g, f.f32));
#pragma GCC unroll 8
        for (int i = 0; i < MR; i++) acc[i] = vfma(vmul(v, vload(x + i * c->ldx + j * W)), scale, acc[i]);
    }
}

INLINE void chunk(const gemv *c, int64_t row, const uint8_t *p, int64_t k, const float *x, const int MR, const form f,
                  const bool whole, vf *acc) {
    if (f.nibbles)
        chunk4(c, row, p, k, x, MR, f, whole, acc);
    else
        chunk8(c, row, p, k, x, MR, f, acc);
}

/* ---- NR weight rows, whose chunks alternate, times MR rows of x ---- */

INLINE void rows(const gemv *c, int64_t n, int64_t i0, const int NR, const int MR, const form f) {
    const int64_t step = f.nibbles ? 8 * W : 4 * W, bytes = 4 * W;
    const uint8_t *w[2];
    const float *x = c->x + i0 * c->ldx;
    vf acc[2][MAX_ROWS];
#pragma GCC unroll 2
    for (int r = 0; r < NR; r++) {
        w[r] = c->q->codes + (size_t)(n + r) * c->q->row_bytes;
#pragma GCC unroll 8
        for (int i = 0; i < MR; i++) acc[r][i] = vzero();
    }
    const uint8_t *ahead = w[0] + AHEAD;
    int64_t k = 0;
    for (; k + step <= c->q->k; k += step, x += step, ahead += NR * bytes) {
#pragma GCC unroll 2
        for (int r = 0; r < NR; r++) {
            _mm_prefetch((const char *)ahead + r * bytes, _MM_HINT_T0);
            chunk(c, n + r, w[r] + (f.nibbles ? k / 2 : k), k, x, MR, f, true, acc[r]);
        }
    }
    if (k < c->q->k)
#pragma GCC unroll 2
        for (int r = 0; r < NR; r++) {
            uint8_t part[4 * W] = {0};
            int64_t at = f.nibbles ? k / 2 : k;
            memcpy(part, w[r] + at, (size_t)(c->codes_bytes - at));
            chunk(c, n + r, part, k, x, MR, f, false, acc[r]);
        }
#pragma GCC unroll 2
    for (int r = 0; r < NR; r++)
#pragma GCC unroll 8
        for (int i = 0; i < MR; i++) c->y[(i0 + i) * c->ldy + n + r] = c->q->global_scale * vsum(acc[r][i]);
}

#define ROWS(NR, MR)                                                                                                 \
    __attribute__((noinline)) static void rows4_##NR##x##MR(const gemv *c, int64_t n, int64_t i) {                   \
        if (c->q->zero_dtype != OL_DTYPE_NONE)                                                                       \
            rows(c, n, i, NR, MR, (form){true, true, false});                                                        \
        else if (c->q->scale_dtype == OL_F32)                                                                        \
            rows(c, n, i, NR, MR, (form){true, false, true});                                                        \
        else                                                                                                         \
            rows(c, n, i, NR, MR, (form){true, false, false});                                                       \
    }                                                                                                                \
    __attribute__((noinline)) static void rows8_##NR##x##MR(const gemv *c, int64_t n, int64_t i) {                   \
        if (c->q->zero_dtype != OL_DTYPE_NONE)                                                                       \
            rows(c, n, i, NR, MR, (form){false, true, false});                                                       \
        else if (c->q->scale_dtype == OL_F32)                                                                        \
            rows(c, n, i, NR, MR, (form){false, false, true});                                                       \
        else                                                                                                         \
            rows(c, n, i, NR, MR, (form){false, false, false});                                                      \
    }
ROWS(1, 1) ROWS(2, 1) ROWS(1, 2) ROWS(1, 4)

typedef void rows_fn(const gemv *, int64_t, int64_t);

static void run(const olk_linear_args *a, int64_t m0, int64_t m1, int64_t n0, int64_t n1, void *scratch) {
    (void)scratch;
    const ol_qconst *q = a->w->q;
    bool nibbles = nibbles_of(a->w);
    gemv c = {.q = q, .x = a->act, .y = a->y, .ldx = x_floats(a->w), .ldy = a->ldy, .chunk = chunk_of(a->w)};
    c.codes_bytes = nibbles ? (q->k + 1) / 2 : q->k;
    c.shift = q->n_groups == 1 ? 62 : __builtin_ctzll((uint64_t)q->group);
    c.groups = c.chunk >> c.shift ? c.chunk >> c.shift : 1;
    c.lane_group = vlane_groups(c.groups == 1 ? 31 : c.shift - 3);
    c.flip = vflip(q->code);
    c.bias = q->code == OL_Q_U4 ? -8 : q->code == OL_Q_U8 ? -128 : 0;
    for (int64_t i = m0, step; i < m1; i += step) {
        int64_t left = m1 - i;
        step = left >= MAX_ROWS ? MAX_ROWS : left >= 2 ? 2 : 1;
        rows_fn *f = step == 1 ? (nibbles ? rows4_1x1 : rows8_1x1)
                   : step == 2 ? (nibbles ? rows4_1x2 : rows8_1x2)
                               : (nibbles ? rows4_1x4 : rows8_1x4);
        int64_t n = n0;
        for (; step == 1 && n + 1 < n1; n += 2) (nibbles ? rows4_2x1 : rows8_2x1)(&c, n, i);
        for (; n < n1; n++) f(&c, n, i);
    }
}

static size_t no_scratch(const olk_weight *w, int64_t m) {
    (void)w, (void)m;
    return 0;
}
