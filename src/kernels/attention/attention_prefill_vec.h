/* SPDX-License-Identifier: Apache-2.0 */
/* Prefill order. The rows of a tile times the heads of the group are the lines of a small matrix. Per block of 64
 * positions keys are converted to f32 and transposed, values converted; then strips of up to 6 lines compute products
 * (vectors over positions, running over the head's dimensions in order), weights, and weighted sums (vectors over value
 * columns, running over positions in order). A masked position has weight 0 and adds nothing, so a line's bits do not
 * depend on the strip it is in. Follows attention_vec.h. */

#define STRIP 6
#define TILE_V (VW == 16 ? 4 : 2) /* vectors per line in a register tile: 24 or 12 accumulators */

typedef struct prefill {
    const olk_attention_args *a;
    int64_t lines, v_pad;
    float *kt;     /* [head_dim][64] */
    float *v;      /* [64][v_pad] */
    float *w;      /* [STRIP][64] */
    float *acc;    /* [lines][v_pad] */
    running *state; /* [lines] */
} prefill;

static size_t prefill_floats(const olk_attention_args *a, int64_t rows) {
    size_t lines = (size_t)rows * (size_t)group_of(a), v_pad = (size_t)pad(a->v_dim);
    return BLOCK * (size_t)a->head_dim + BLOCK * v_pad + STRIP * BLOCK + lines * v_pad + lines * 2 + VW;
}

static void prefill_init(prefill *p, const olk_attention_args *a, int64_t rows, float *scratch) {
    p->a = a;
    p->lines = rows * group_of(a);
    p->v_pad = pad(a->v_dim);
    p->kt = scratch;
    p->v = p->kt + BLOCK * (int64_t)a->head_dim;
    p->w = p->v + BLOCK * p->v_pad;
    p->acc = p->w + STRIP * BLOCK;
    p->state = (running *)(void *)(p->acc + p->lines * p->v_pad);
    memset(p->acc, 0, (size_t)(p->lines * p->v_pad) * sizeof(float));
    memset(p->w, 0, STRIP * BLOCK * sizeof(float));
    for (int64_t i = 0; i < p->lines; i++) p->state[i] = (running){-INFINITY, 0};
}

/* What is left of the last vector of positions repeats the last position: no memory behind it is read. */
VI void convert_keys(ol_dtype t, const uint8_t *k, int64_t stride, int64_t dim, int64_t n, float *kt) {
    size_t bytes = (size_t)stride * (t == OL_F32 ? 4 : t == OL_F16 ? 2 : 1);
    for (int64_t i = 0; i < n; i += VW)
        for (int64_t d = 0; d < dim; d += VW) {
            vf in[VW], out[VW];
            for (int j = 0; j < VW; j++) in[j] = load_elements(t, k + (size_t)at_most(i + j, n - 1) * bytes, d, dim - d);
            v_transpose(in, out);
            if (dim - d >= VW)
                for (int c = 0; c < VW; c++) v_store(kt + (d + c) * BLOCK + i, out[c]);
            else
                for (int c = 0; c < dim - d; c++) v_store(kt + (d + c) * BLOCK + i, out[c]);
        }
}

VI void convert_values(ol_dtype t, const uint8_t *v, int64_t stride, int64_t dim, int64_t n, float *out, int64_t v_pad) {
    size_t bytes = (size_t)stride * (t == OL_F32 ? 4 : t == OL_F16 ? 2 : 1);
    const float *scales = t == OL_I8 ? olk_kv_scales(v, (int)dim) : NULL;
    for (int64_t i = 0; i < n; i++)
        for (int64_t d = 0; d < dim; d += VW) {
            vf x = load_elements(t, v + (size_t)i * bytes, d, dim - d);
            v_store(out + i * v_pad + d, scales ? v_mul(x, v_set1(scales[i])) : x);
        }
}

static void convert(const prefill *p, int kvh, int64_t b, int64_t n) {
    const olk_attention_args *a = p->a;
    const uint8_t *k = olk_k_block(a, kvh, b), *v = olk_v_block(a, kvh, b);
    switch (a->kv_dtype) {
    case OL_F32:
        convert_keys(OL_F32, k, olk_k_stride(a), a->head_dim, n, p->kt);
        convert_values(OL_F32, v, olk_v_stride(a), a->v_dim, n, p->v, p->v_pad);
        break;
    case OL_F16:
        convert_keys(OL_F16, k, olk_k_stride(a), a->head_dim, n, p->kt);
        convert_values(OL_F16, v, olk_v_stride(a), a->v_dim, n, p->v, p->v_pad);
        break;
    default:
        convert_keys(OL_I8, k, olk_k_stride(a), a->head_dim, n, p->kt);
        convert_values(OL_I8, v, olk_v_stride(a), a->v_dim, n, p->v, p->v_pad);
    }
}

/* w[line][i] = q[line] . k[i] for TILE_V * VW positions. */
VI void product_tile(int lines, const float *const *q, int64_t dim, const float *kt, float *w) {
    vf s[STRIP][4];
#pragma GCC unroll 6
    for (int r = 0; r < lines; r++)
#pragma GCC unroll 4
        for (int j = 0; j < TILE_V; j++) s[r][j] = v_set1(0);
    for (int64_t d = 0; d < dim; d++) {
        vf k[4];
#pragma GCC unroll 4
        for (int j = 0; j < TILE_V; j++) k[j] = v_load(kt + d * BLOCK + j * VW);
#pragma GCC unroll 6
        for (int r = 0; r < lines; r++) {
            vf x = v_set1(q[r][d]);
#pragma GCC unroll 4
            for (int j = 0; j < TILE_V; j++) s[r][j] = v_fma(x, k[j], s[r][j]);
        }
    }
#pragma GCC unroll 6
    for (int r = 0; r < lines; r++)
#pragma GCC unroll 4
        for (int j = 0; j < TILE_V; j++) v_store(w + r * BLOCK + j * VW, s[r][j]);
}

/* acc[line] = acc[line] * factor[line] + sum over positions [i0, i1) of w[line][i] v[i], n vectors of columns. */
VI void sum_tile(int lines, int n, const float *w, const float *factor, const float *v, int64_t v_pad, int64_t i0, int64_t i1,
                 float *acc) {
    vf s[STRIP][4];
#pragma GCC unroll 6
    for (int r = 0; r < lines; r++)
#pragma GCC unroll 4
        for (int j = 0; j < n; j++) s[r][j] = v_mul(v_load(acc + r * v_pad + j * VW), v_set1(factor[r]));
    for (int64_t i = i0; i < i1; i++) {
        vf x[4];
#pragma GCC unroll 4
        for (int j = 0; j < n; j++) x[j] = v_load(v + i * v_pad + j * VW);
#pragma GCC unroll 6
        for (int r = 0; r < lines; r++) {
            vf y = v_set1(w[r * BLOCK + i]);
#pragma GCC unroll 4
            for (int j = 0; j < n; j++) s[r][j] = v_fma(y, x[j], s[r][j]);
        }
    }
#pragma GCC unroll 6
    for (int r = 0; r < lines; r++)
#pragma GCC unroll 4
        for (int j = 0; j < n; j++) v_store(acc + r * v_pad + j * VW, s[r][j]);
}

VI void product_strip(int lines, const float *const *q, const prefill *p, int64_t end) {
    for (int64_t i = 0; i < end; i += TILE_V * VW) product_tile(lines, q, p->a->head_dim, p->kt + i, p->w + i);
}

VI void sum_strip(int lines, const prefill *p, const float *factor, int64_t i0, int64_t i1, float *acc) {
    int64_t j = 0;
    for (; j + TILE_V * VW <= p->v_pad; j += TILE_V * VW)
        sum_tile(lines, TILE_V, p->w, factor, p->v + j, p->v_pad, i0, i1, acc + j);
    for (; j < p->v_pad; j += VW) sum_tile(lines, 1, p->w, factor, p->v + j, p->v_pad, i0, i1, acc + j);
}

static void products(int lines, const float *const *q, const prefill *p, int64_t end) {
    switch (lines) {
    case 1: product_strip(1, q, p, end); break;
    case 2: product_strip(2, q, p, end); break;
    case 3: product_strip(3, q, p, end); break;
    case 4: product_strip(4, q, p, end); break;
    case 5: product_strip(5, q, p, end); break;
    default: product_strip(6, q, p, end); break;
    }
}
static void sums(int lines, const prefill *p, const float *factor, int64_t i0, int64_t i1, float *acc) {
    switch (lines) {
    case 1: sum_strip(1, p, factor, i0, i1, acc); break;
    case 2: sum_strip(2, p, factor, i0, i1, acc); break;
    case 3: sum_strip(3, p, factor, i0, i1, acc); break;
    case 4: sum_strip(4, p, factor, i0, i1, acc); break;
    case 5: sum_strip(5, p, factor, i0, i1, acc); break;
    default: sum_strip(6, p, factor, i0, i1, acc); break;
    }
}

/* Lines [l0, l0 + lines) over block b. Line l is row r0 + l / group, head l % group of the kv head. */
static void strip(const prefill *p, int kvh, int64_t r0, int64_t l0, int lines, int64_t b) {
    const olk_attention_args *a = p->a;
    int group = group_of(a);
    int64_t p0 = b * BLOCK, from = olk_attention_first(a, a->position[r0 + l0 / group]) - p0;
    int64_t to = at_most(olk_attention_end(a, a->position[r0 + (l0 + lines - 1) / group]) - p0, BLOCK);
    if (to <= 0 || from >= BLOCK) return;
    const float *q[STRIP], *k_scale = a->kv_dtype == OL_I8 ? olk_kv_scales(olk_k_block(a, kvh, b), a->head_dim) : NULL;
    float factor[STRIP];
    for (int i = 0; i < lines; i++)
        q[i] = a->q + (r0 + (l0 + i) / group) * a->ldq + (kvh * group + (l0 + i) % group) * a->head_dim;
    products(lines, q, p, to);
    for (int i = 0; i < lines; i++) {
        int64_t l = l0 + i, position = a->position[r0 + l / group];
        int64_t lo = olk_attention_first(a, position) - p0, hi = at_most(olk_attention_end(a, position) - p0, BLOCK);
        factor[i] = weigh(a, kvh * group + (int)(l % group), position - p0, k_scale, lo, hi, &p->state[l], p->w + i * BLOCK);
    }
    sums(lines, p, factor, from > 0 ? from : 0, to, p->acc + l0 * p->v_pad);
}

static void run_prefill(const olk_attention_args *a, int kvh, int64_t r0, int64_t r1, float *scratch) {
    prefill p;
    int group = group_of(a);
    prefill_init(&p, a, r1 - r0, scratch);
    int64_t last = olk_attention_end(a, a->position[r1 - 1]) - 1;
    for (int64_t b = olk_attention_first(a, a->position[r0]) / BLOCK; b <= last / BLOCK; b++) {
        convert(&p, kvh, b, at_most(BLOCK, last + 1 - b * BLOCK));
        for (int64_t l = 0; l < p.lines; l += STRIP) strip(&p, kvh, r0, l, (int)at_most(STRIP, p.lines - l), b);
    }
    for (int64_t l = 0; l < p.lines; l++) {
        int head = kvh * group + (int)(l % group);
        finish(a, head, &p.state[l], p.acc + l * p.v_pad, a->out + (r0 + l / group) * a->ldo + (int64_t)head * a->v_dim);
    }
}
