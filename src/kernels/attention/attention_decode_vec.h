/* SPDX-License-Identifier: Apache-2.0 */
/* Decode order: one row at a time, keys and values read in the cache's own type, each load shared by up to HEADS query
 * heads. Products run in vectors over the head's dimensions with one accumulator per position and head; weighted sums
 * run over positions in order. Follows attention_vec.h. */

#define HEADS (VW == 16 ? 4 : 2)

static size_t decode_floats(const olk_attention_args *a) {
    return (size_t)group_of(a) * ((size_t)pad(a->v_dim) + 2) + HEADS * BLOCK + VW;
}

static size_t element_bytes(ol_dtype t) {
    return t == OL_F32 ? 4 : t == OL_F16 ? 2 : 1;
}

/* Products of positions [0, n) of a block, four at a time; w[head][i]. */
VI void dot_block(ol_dtype t, int heads, const float *q, int64_t dim, const uint8_t *k, int64_t lo, int64_t hi, float *w) {
    size_t bytes = (size_t)dim * element_bytes(t);
    for (int64_t i = lo & ~3; i < hi; i += 4) {
        vf s[4][4];
#pragma GCC unroll 4
        for (int h = 0; h < heads; h++)
#pragma GCC unroll 4
            for (int j = 0; j < 4; j++) s[h][j] = v_set1(0);
        for (int64_t d = 0; d < dim; d += VW) {
            vf x[4];
#pragma GCC unroll 4
            for (int j = 0; j < 4; j++) x[j] = load_elements(t, k + (size_t)(i + j) * bytes, d, dim - d);
#pragma GCC unroll 4
            for (int h = 0; h < heads; h++) {
                vf y = v_load_n(q + h * dim + d, dim - d);
#pragma GCC unroll 4
                for (int j = 0; j < 4; j++) s[h][j] = v_fma(y, x[j], s[h][j]);
            }
        }
#pragma GCC unroll 4
        for (int h = 0; h < heads; h++) _mm_storeu_ps(w + h * BLOCK + i, v_sum4(s[h][0], s[h][1], s[h][2], s[h][3]));
    }
}

/* acc[head] = acc[head] * factor[head] + sum of w[head][i] v[i] over n vectors of columns from column c on. */
VI void sum_block(ol_dtype t, int heads, int n, const float *w, const float *factor, const uint8_t *v, int64_t dim, int64_t c,
                  int64_t lo, int64_t hi, float *acc, int64_t v_pad) {
    size_t bytes = (size_t)dim * element_bytes(t);
    vf s[4][4];
#pragma GCC unroll 4
    for (int h = 0; h < heads; h++)
#pragma GCC unroll 4
        for (int j = 0; j < n; j++) s[h][j] = v_mul(v_load(acc + h * v_pad + c + j * VW), v_set1(factor[h]));
    for (int64_t i = lo; i < hi; i++) {
        vf x[4];
#pragma GCC unroll 4
        for (int j = 0; j < n; j++)
            x[j] = load_elements(t, v + (size_t)i * bytes, c + j * VW, n > 1 ? VW : dim - c);
#pragma GCC unroll 4
        for (int h = 0; h < heads; h++) {
            vf y = v_set1(w[h * BLOCK + i]);
#pragma GCC unroll 4
            for (int j = 0; j < n; j++) s[h][j] = v_fma(y, x[j], s[h][j]);
        }
    }
#pragma GCC unroll 4
    for (int h = 0; h < heads; h++)
#pragma GCC unroll 4
        for (int j = 0; j < n; j++) v_store(acc + h * v_pad + c + j * VW, s[h][j]);
}

typedef struct decode {
    const olk_attention_args *a;
    int kvh, head0; /* head0: first of these heads within the group */
    int64_t row, v_pad;
    float *acc, *w;
    running *state;
} decode;

/* Block b of a row for `heads` query heads. */
VI void decode_block(const decode *p, ol_dtype t, int heads, int64_t b) {
    const olk_attention_args *a = p->a;
    const uint8_t *k = olk_k_block(a, p->kvh, b), *v = olk_v_block(a, p->kvh, b);
    int64_t position = a->position[p->row], p0 = b * BLOCK, lo = olk_attention_first(a, position) - p0;
    int64_t hi = at_most(position + 1 - p0, BLOCK), c = 0;
    int head = p->kvh * group_of(a) + p->head0;
    float factor[4], *acc = p->acc + p->head0 * p->v_pad;
    if (lo < 0) lo = 0;
    if (lo >= hi) return;
    dot_block(t, heads, a->q + p->row * a->ldq + (int64_t)head * a->head_dim, a->head_dim, k, lo, hi, p->w);
    for (int h = 0; h < heads; h++) {
        float *w = p->w + h * BLOCK;
        factor[h] = weigh(a, head + h, position - p0, t == OL_I8 ? olk_kv_scales(k, a->head_dim) : NULL, lo, hi,
                          &p->state[p->head0 + h], w);
        for (int64_t i = lo; t == OL_I8 && i < hi; i++) w[i] *= olk_kv_scales(v, a->v_dim)[i];
    }
    for (; c + 4 * VW <= a->v_dim; c += 4 * VW) sum_block(t, heads, 4, p->w, factor, v, a->v_dim, c, lo, hi, acc, p->v_pad);
    for (; c < a->v_dim; c += VW) sum_block(t, heads, 1, p->w, factor, v, a->v_dim, c, lo, hi, acc, p->v_pad);
}

VI void decode_typed(const decode *p, ol_dtype t, int heads, int64_t b) {
    switch (heads) {
    case 1: decode_block(p, t, 1, b); break;
    case 2: decode_block(p, t, 2, b); break;
#if VW == 16
    case 3: decode_block(p, t, 3, b); break;
    default: decode_block(p, t, 4, b); break;
#else
    default: break;
#endif
    }
}

static void decode_f32(const decode *p, int heads, int64_t b) { decode_typed(p, OL_F32, heads, b); }
static void decode_f16(const decode *p, int heads, int64_t b) { decode_typed(p, OL_F16, heads, b); }
static void decode_i8(const decode *p, int heads, int64_t b) { decode_typed(p, OL_I8, heads, b); }

/* Blocks [b0, b1) of one row, all heads of the group; the result stays in p. */
static void decode_row(decode *p, const olk_attention_args *a, int kvh, int64_t row, int64_t b0, int64_t b1, float *scratch) {
    int group = group_of(a);
    *p = (decode){.a = a, .kvh = kvh, .row = row, .v_pad = pad(a->v_dim), .w = scratch, .acc = scratch + HEADS * BLOCK};
    p->state = (running *)(void *)(p->acc + group * p->v_pad);
    memset(p->w, 0, HEADS * BLOCK * sizeof(float));
    memset(p->acc, 0, (size_t)(group * p->v_pad) * sizeof(float));
    for (int g = 0; g < group; g++) p->state[g] = (running){-INFINITY, 0};
    void (*block)(const decode *, int, int64_t) = a->kv_dtype == OL_F32 ? decode_f32 : a->kv_dtype == OL_F16 ? decode_f16 : decode_i8;
    for (int64_t b = b0; b < b1; b++)
        for (p->head0 = 0; p->head0 < group; p->head0 += HEADS) block(p, (int)at_most(HEADS, group - p->head0), b);
}

static void run_decode(const olk_attention_args *a, int kvh, int64_t row, float *scratch) {
    decode p;
    int64_t position = a->position[row];
    decode_row(&p, a, kvh, row, olk_attention_first(a, position) / BLOCK, position / BLOCK + 1, scratch);
    for (int g = 0; g < group_of(a); g++) {
        int head = kvh * group_of(a) + g;
        finish(a, head, &p.state[g], p.acc + g * p.v_pad, a->out + row * a->ldo + (int64_t)head * a->v_dim);
    }
}

static void run_part(const olk_attention_args *a, int kvh, int64_t row, int64_t b0, int64_t b1, float *part, void *scratch) {
    decode p;
    decode_row(&p, a, kvh, row, b0, b1, scratch);
    for (int g = 0; g < group_of(a); g++, part += olk_part_head_floats(a)) {
        part[0] = p.state[g].max;
        part[1] = p.state[g].sum;
        memcpy(part + 2, p.acc + g * p.v_pad, (size_t)a->v_dim * sizeof(float));
    }
}

static void run(const olk_attention_args *a, int kvh, int64_t r0, int64_t r1, void *scratch) {
    if (r0 >= r1) return;
    if (!a->decode) run_prefill(a, kvh, r0, r1, scratch);
    else
        for (int64_t row = r0; row < r1; row++) run_decode(a, kvh, row, scratch);
}

/* Room for either order. */
static size_t scratch_bytes(const olk_attention_args *a, int64_t rows) {
    size_t n = prefill_floats(a, rows), m = decode_floats(a);
    return ((n > m ? n : m) * sizeof(float) + 63) / 64 * 64;
}
