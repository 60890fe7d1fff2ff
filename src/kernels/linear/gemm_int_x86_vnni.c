/* SPDX-License-Identifier: Apache-2.0 */
/* 4- and 8-bit weights times int8 activations for many rows of x.
 *
 * 32 rows of the weight and up to 2048 k are expanded once into a panel: unsigned codes as the dot product wants them
 * (4 k of 16 rows in a vector, blocks of k in order, within a block in the order in which the activations lie), and the
 * scales and zero points of each block. The panel stays in the second-level cache while all rows of x pass, six at a
 * time: 12 integer accumulators that are converted, scaled and added to 12 float ones after each block. */
#include "kernels/linear/transpose_x86_avx512.h"
#include "kernels/linear/variants.h"
#include "kernels/linear/weight_x86_avx512.h"

#define NB 32      /* rows of a panel */
#define KC 2048    /* k of a panel */
#define MR 6       /* rows of x at a time */
#define BLOCKS_MAX (KC / 16)

/* gcc spills the accumulators of the intrinsic. */
OLK_INLINE __m512i dot4(__m512i acc, __m512i u8, __m512i s8) {
    __asm__("vpdpbusd %2, %1, %0" : "+v"(acc) : "v"(u8), "v"(s8));
    return acc;
}

typedef struct panel {
    _Alignas(64) uint8_t codes[KC / 4][NB][4];
    float scale[BLOCKS_MAX][NB], zero[BLOCKS_MAX][NB];
} panel;

typedef struct gemm {
    const olk_linear_args *a;
    const ol_qconst *q;
    olk_act_form f;
    olk_groups g;
    int block; /* 16 or 32 */
    uint8_t flip;
    int64_t row_codes_bytes;
    /* Where block b of a span has its scale, zero and sum among the lanes of the activations' vectors. */
    uint8_t lane[32];
} gemm;

/* ---- expanding ---- */

/* 64 bytes at `at` of 16 rows, transposed: v[d] holds 4 bytes of each row. */
OLK_INLINE void load_codes(const gemm *c, int64_t n, int64_t rows, int64_t at, __m512i v[16]) {
    int64_t left = c->row_codes_bytes - at;
    __mmask64 mask = left >= 64 ? ~0ull : left <= 0 ? 0 : (1ull << left) - 1;
    for (int r = 0; r < 16; r++) {
        __mmask64 m = r < rows ? mask : 0;
        v[r] = _mm512_maskz_loadu_epi8(m, c->q->codes + (size_t)(r < rows ? n + r : n) * c->q->row_bytes + at);
        v[r] = _mm512_xor_si512(v[r], _mm512_set1_epi8((char)c->flip));
    }
    olk_transpose16(v);
}

static void expand_codes(const gemm *c, panel *p, int64_t n, int64_t rows, int64_t k0, int64_t kn, int half) {
    const __m512i low = _mm512_set1_epi8(15);
    int steps = c->block / 4, vec = c->f.nibbles ? steps / 2 : steps; /* vectors of a block in one load */
    int64_t width = c->f.nibbles ? 128 : 64;
    for (int64_t k = 0; k < kn; k += width) {
        __m512i v[16];
        load_codes(c, n, rows, (k0 + k) * 64 / width, v);
        for (int d = 0; d < 16; d++) {
            int64_t step = (k / c->block + d / vec) * steps + d % vec;
            if (c->f.nibbles) {
                _mm512_store_si512(p->codes[step][half * 16], _mm512_and_si512(v[d], low));
                __m512i hi = _mm512_and_si512(_mm512_srli_epi16(v[d], 4), low);
                _mm512_store_si512(p->codes[step + vec][half * 16], hi);
            } else {
                _mm512_store_si512(p->codes[step][half * 16], v[d]);
            }
        }
    }
}

static void expand_scales(const gemm *c, panel *p, int64_t n, int64_t rows, int64_t k0, int64_t kn, int half) {
    bool zp = c->q->zero_dtype != OL_DTYPE_NONE;
    int64_t first = k0 / c->block / 16, count = (kn + c->block * 16 - 1) / (c->block * 16);
    for (int64_t h = 0; h < count; h++) {
        __m512i s[16], z[16];
        for (int r = 0; r < 16; r++) {
            s[r] = z[r] = _mm512_setzero_si512();
            if (r >= rows) continue;
            const uint8_t *row = olk_row_scales(c->q, n + r);
            s[r] = _mm512_castps_si512(olk_scales(c->q, &c->g, row, first + h, false, c->q->scale_dtype));
            if (zp) z[r] = _mm512_castps_si512(olk_zeros(c->q, &c->g, n + r, first + h));
        }
        olk_transpose16(s);
        if (zp) olk_transpose16(z);
        for (int b = 0; b < 16; b++) {
            _mm512_store_si512(p->scale[h * 16 + b] + half * 16, s[b]);
            if (zp) _mm512_store_si512(p->zero[h * 16 + b] + half * 16, z[b]);
        }
    }
}

static void expand(const gemm *c, panel *p, int64_t n, int64_t rows, int64_t k0, int64_t kn) {
    for (int half = 0; half < 2; half++) {
        int64_t left = rows - half * 16;
        left = left < 0 ? 0 : left > 16 ? 16 : left;
        expand_codes(c, p, left ? n + half * 16 : n, left, k0, kn, half);
        expand_scales(c, p, n + half * 16, left, k0, kn, half);
    }
}

/* ---- multiplying ---- */

typedef struct tile {
    const gemm *c;
    const panel *p;
    const uint8_t *x; /* first row, at k0 */
    float *y;         /* first row and column */
    int64_t blocks;
    __mmask16 mask[2];
    bool first, last; /* of the parts of k */
} tile;

/* One block: integer sums, then their values. q: codes of the first row; v: its vectors. */
OLK_INLINE void block(const tile *t, int64_t b, const int8_t *q, const uint8_t *v, const int rows, const int pieces,
                      const int far, const bool zp, const int64_t stride, __m512 (*y)[2]) {
    const uint8_t(*w)[NB][4] = t->p->codes + b * 2 * pieces;
    const int64_t xs = t->c->f.row_bytes;
    __m512i acc[MR][2];
#pragma GCC unroll 6
    for (int i = 0; i < rows; i++) {
        acc[i][0] = acc[i][1] = _mm512_set1_epi32(*(const int32_t *)(const void *)(v + i * xs + stride));
    }
#pragma GCC unroll 8
    for (int s = 0; s < 2 * pieces; s++) {
        __m512i w0 = _mm512_load_si512(w[s]), w1 = _mm512_load_si512(w[s] + 16);
#pragma GCC unroll 6
        for (int i = 0; i < rows; i++) {
            const int8_t *d = q + i * xs + (s < pieces ? s * 4 : far + (s - pieces) * 4);
            __m512i x = _mm512_set1_epi32(*(const int32_t *)(const void *)d);
            acc[i][0] = dot4(acc[i][0], w0, x);
            acc[i][1] = dot4(acc[i][1], w1, x);
        }
    }
    __m512 s0 = _mm512_load_ps(t->p->scale[b]), s1 = _mm512_load_ps(t->p->scale[b] + 16);
#pragma GCC unroll 6
    for (int i = 0; i < rows; i++) {
        __m512 scale = _mm512_set1_ps(*(const float *)(const void *)(v + i * xs));
        __m512 f0 = _mm512_cvtepi32_ps(acc[i][0]), f1 = _mm512_cvtepi32_ps(acc[i][1]);
        if (zp) {
            __m512 sum = _mm512_set1_ps(*(const float *)(const void *)(v + i * xs + 2 * stride));
            f0 = _mm512_fnmadd_ps(_mm512_load_ps(t->p->zero[b]), sum, f0);
            f1 = _mm512_fnmadd_ps(_mm512_load_ps(t->p->zero[b] + 16), sum, f1);
        }
        y[i][0] = _mm512_fmadd_ps(_mm512_mul_ps(f0, scale), s0, y[i][0]);
        y[i][1] = _mm512_fmadd_ps(_mm512_mul_ps(f1, scale), s1, y[i][1]);
    }
}

OLK_INLINE void rows(const tile *t, const int n_rows, const bool nibbles, const bool b16, const bool zp) {
    const int pieces = b16 ? 2 : 4, far = nibbles ? 64 : pieces * 4;
    const int64_t stride = b16 ? 128 : 64, per_span = b16 ? 32 : 16, ldy = t->c->a->ldy;
    __m512 y[MR][2];
#pragma GCC unroll 6
    for (int i = 0; i < n_rows; i++)
        for (int h = 0; h < 2; h++)
            y[i][h] = t->first ? _mm512_setzero_ps() : _mm512_maskz_loadu_ps(t->mask[h], t->y + i * ldy + h * 16);
    const uint8_t *span = t->x;
    for (int64_t b = 0; b < t->blocks; b += per_span, span += t->c->f.span_bytes) {
        int64_t n = t->blocks - b < per_span ? t->blocks - b : per_span;
        for (int64_t j = 0; j < n; j++) {
            const int64_t per_chunk = per_span / 4; /* blocks in 128 k */
            const int8_t *q = (const int8_t *)span;
            q += nibbles ? j / per_chunk * 128 + j % per_chunk * (pieces * 4) : j * pieces * 8;
            block(t, b + j, q, span + OLK_SPAN + t->c->lane[j] * 4, n_rows, pieces, far, zp, stride, y);
        }
    }
    __m512 global = _mm512_set1_ps(t->last ? t->c->q->global_scale : 1);
#pragma GCC unroll 6
    for (int i = 0; i < n_rows; i++)
        for (int h = 0; h < 2; h++)
            _mm512_mask_storeu_ps(t->y + i * ldy + h * 16, t->mask[h], _mm512_mul_ps(y[i][h], global));
}

#define ROWS(N)                                                                                                      \
    static void rows_##N(const tile *t) {                                                                            \
        bool zp = t->c->q->zero_dtype != OL_DTYPE_NONE;                                                              \
        if (t->c->f.block16)                                                                                         \
            t->c->f.nibbles ? (zp ? rows(t, N, true, true, true) : rows(t, N, true, true, false))                    \
                            : (zp ? rows(t, N, false, true, true) : rows(t, N, false, true, false));                 \
        else                                                                                                         \
            t->c->f.nibbles ? (zp ? rows(t, N, true, false, true) : rows(t, N, true, false, false))                  \
                            : (zp ? rows(t, N, false, false, true) : rows(t, N, false, false, false));               \
    }
ROWS(1) ROWS(2) ROWS(3) ROWS(4) ROWS(5) ROWS(6)
typedef void rows_fn(const tile *);
static rows_fn *const by_rows[MR] = {rows_1, rows_2, rows_3, rows_4, rows_5, rows_6};

static gemm gemm_of(const olk_linear_args *a) {
    const ol_qconst *q = a->w->q;
    gemm c = {.a = a, .q = q, .f = olk_act_form_of(a->w)};
    const __m512i natural = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    c.g = olk_groups_of(q, &c.f, natural);
    c.block = c.f.block16 ? 16 : 32;
    c.flip = q->code == OL_Q_I4 ? 0x88 : q->code == OL_Q_I8 ? 0x80 : 0;
    c.row_codes_bytes = c.f.nibbles ? (q->k + 1) / 2 : q->k;
    for (int b = 0; b < 32; b++) {
        int in16 = b % 16, lane = c.f.block16 ? in16 / 2 % 4 * 4 + in16 / 8 * 2 + in16 % 2 : in16 % 4 * 4 + in16 / 4;
        c.lane[b] = (uint8_t)(c.f.nibbles ? b / 16 * 16 + lane : b);
    }
    return c;
}

static void run(const olk_linear_args *a, int64_t m0, int64_t m1, int64_t n0, int64_t n1, void *scratch) {
    gemm c = gemm_of(a);
    panel *p = scratch;
    for (int64_t n = n0; n < n1; n += NB) {
        int64_t nr = n1 - n < NB ? n1 - n : NB;
        tile t = {.c = &c, .p = p};
        t.mask[0] = (__mmask16)(nr >= 16 ? 0xffff : (1u << nr) - 1);
        t.mask[1] = (__mmask16)(nr >= 32 ? 0xffff : nr > 16 ? (1u << (nr - 16)) - 1 : 0);
        for (int64_t k0 = 0; k0 < c.q->k; k0 += KC) {
            int64_t kn = c.q->k - k0 < KC ? c.q->k - k0 : KC;
            expand(&c, p, n, nr, k0, kn);
            t.blocks = (kn + c.block - 1) / c.block;
            t.first = k0 == 0;
            t.last = k0 + kn == c.q->k;
            for (int64_t i = m0; i < m1; i += MR) {
                t.x = (const uint8_t *)a->act + i * c.f.row_bytes + k0 / OLK_SPAN * c.f.span_bytes;
                t.y = a->y + i * a->ldy + n;
                by_rows[(m1 - i < MR ? m1 - i : MR) - 1](&t);
            }
        }
    }
}

static bool accepts(const olk_weight *w) {
    return olk_linear_int8_ok(w) && olk_groups_ok(w->q) && olk_zeros_ok(w->q);
}
static size_t scratch_bytes(const olk_weight *w, int64_t m) {
    (void)w, (void)m;
    return sizeof(panel);
}

const olk_linear olk_linear_int_i8__vnni_gemm = {
    "olk_linear_int_i8__vnni_gemm", OL_ISA_VNNI, OLK_DEFAULT, 17, INT64_MAX, NB, MR, accepts, olk_act_bytes,
    olk_act_pack__avx512, scratch_bytes, run, olk_act_key};
