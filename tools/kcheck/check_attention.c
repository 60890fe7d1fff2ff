/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/attention/attention.h"
#include "kernels/kcheck.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define MAX_BLOCKS 8

static size_t count(void) {
    size_t n;
    olk_attention_variants(&n);
    return n;
}
static const olk_attention *at(size_t i) {
    size_t n;
    return olk_attention_variants(&n)[i];
}
static kc_variant variant(size_t i) {
    return (kc_variant){at(i)->name, at(i)->cpu};
}

typedef struct problem {
    olk_attention_args a;
    uint8_t *blocks[MAX_BLOCKS];
    int n_blocks;
    int64_t rows;
    int32_t *position;
    float *q, *out;
} problem;

static size_t head_bytes(ol_dtype t, int dim) {
    size_t n = OLK_KV_BLOCK * (size_t)dim;
    return t == OL_F32 ? 4 * n : t == OL_F16 ? 2 * n : n + OLK_KV_BLOCK * sizeof(float);
}

static void draw_form(kc *k, olk_attention_args *a) {
    static const ol_dtype types[] = {OL_F32, OL_F16, OL_I8};
    a->kv_heads = (int)kc_int(k, 1, 3);
    a->heads = a->kv_heads * (int)kc_int(k, 1, 6);
    a->head_dim = (int)(1 + kc_size(k, 16, 140));
    a->v_dim = kc_chance(k, 2) ? a->head_dim : (int)(1 + kc_size(k, 16, 140));
    if (kc_chance(k, 3)) a->head_dim = a->v_dim = kc_chance(k, 2) ? 64 : 128;
    a->kv_dtype = types[kc_int(k, 0, 2)];
    a->scale = kc_chance(k, 4) ? 0 : 1 / sqrtf((float)a->head_dim);
    a->softcap = kc_chance(k, 4) ? 5 : 0;
    a->window = kc_chance(k, 3) ? kc_int(k, 1, 150) : 0;
    a->decode = kc_chance(k, 2);
    if (!a->decode && kc_chance(k, 2)) { /* the rows of the run instead of a cache */
        a->kv_dtype = OL_F32;
        a->ldk = (int64_t)a->kv_heads * a->head_dim + kc_int(k, 0, 3);
        a->ldv = (int64_t)a->kv_heads * a->v_dim + kc_int(k, 0, 3);
        a->bidirectional = kc_chance(k, 2);
    }
    a->k_head_stride = head_bytes(a->kv_dtype, a->head_dim) + 4 * (size_t)kc_int(k, 0, 3);
    a->v_head_stride = head_bytes(a->kv_dtype, a->v_dim) + 4 * (size_t)kc_int(k, 0, 3);
    a->k_offset = 4 * (size_t)kc_int(k, 0, 3);
    a->v_offset = a->k_offset + (size_t)a->kv_heads * a->k_head_stride;
}

static float *extras(kc *k, int n, int one_in) {
    if (!kc_chance(k, one_in)) return NULL;
    float *p = kc_alloc(k, (size_t)n * 4, 4, 0);
    kc_fill_f32(k, p, (size_t)n, KC_NORMAL);
    return p;
}

/* Fills the cache (and the rows, where they are asked for) up to the last position; what lies beyond stays NaN. */
static void fill_cache(kc *k, problem *p, int64_t end) {
    olk_attention_args *a = &p->a;
    size_t nk = (size_t)(a->kv_heads * a->head_dim), nv = (size_t)(a->kv_heads * a->v_dim);
    float *x = malloc((nk + nv) * sizeof *x);
    size_t bytes = a->v_offset + (size_t)a->kv_heads * a->v_head_stride;
    p->n_blocks = (int)((end + OLK_KV_BLOCK - 1) / OLK_KV_BLOCK);
    for (int b = 0; b < p->n_blocks; b++) {
        p->blocks[b] = kc_alloc(k, bytes, 64, 0);
        memset(p->blocks[b], 0xff, bytes);
    }
    a->blocks = (const uint8_t *const *)p->blocks;
    float *k_rows = NULL, *v_rows = NULL;
    if (a->ldk) {
        a->k_rows = k_rows = kc_alloc(k, ((size_t)(end - 1) * (size_t)a->ldk + nk) * 4, 64, 4 * (size_t)kc_int(k, 0, 15));
        a->v_rows = v_rows = kc_alloc(k, ((size_t)(end - 1) * (size_t)a->ldv + nv) * 4, 64, 4 * (size_t)kc_int(k, 0, 15));
    }
    for (int32_t i = 0; i < end; i++) {
        kc_fill_f32(k, x, nk + nv, kc_chance(k, 30) ? KC_ZERO : KC_NORMAL);
        olk_kv_store(a, i, x, x + nk);
        if (k_rows) memcpy(k_rows + i * a->ldk, x, nk * 4), memcpy(v_rows + i * a->ldv, x + nk, nv * 4);
    }
    free(x);
}

static void draw(kc *k, problem *p) {
    olk_attention_args *a = &p->a;
    memset(p, 0, sizeof *p);
    draw_form(k, a);
    p->rows = a->decode ? kc_int(k, 1, 3) : 1 + kc_size(k, 8, 40);
    int64_t first = kc_size(k, OLK_KV_BLOCK, 300), end = first + p->rows + (a->bidirectional ? kc_size(k, OLK_KV_BLOCK, 100) : 0);
    a->length = end;
    a->ldq = (int64_t)a->heads * a->head_dim + kc_int(k, 0, 3);
    a->ldo = (int64_t)a->heads * a->v_dim + kc_int(k, 0, 3);
    kc_describe(k, "%s rows %lld from %lld heads %d/%d dims %d %d type %s window %lld softcap %g", a->decode ? "decode" : a->bidirectional ? "both ways" : a->ldk ? "rows" : "prefill",
                (long long)p->rows, (long long)first, a->heads, a->kv_heads, a->head_dim, a->v_dim, ol_dtype_name(a->kv_dtype),
                (long long)a->window, (double)a->softcap);
    fill_cache(k, p, end);
    size_t nq = (size_t)((p->rows - 1) * a->ldq + (int64_t)a->heads * a->head_dim);
    size_t no = (size_t)((p->rows - 1) * a->ldo + (int64_t)a->heads * a->v_dim);
    p->q = kc_alloc(k, nq * 4, 64, 4 * (size_t)kc_int(k, 0, 15));
    p->out = kc_alloc(k, no * 4, 64, 4 * (size_t)kc_int(k, 0, 15));
    p->position = kc_alloc(k, (size_t)p->rows * 4, 4, 0);
    kc_fill_f32(k, p->q, nq, KC_NORMAL);
    for (int64_t r = 0; r < p->rows; r++) p->position[r] = (int32_t)(first + r);
    a->q = p->q;
    a->out = p->out;
    a->position = p->position;
    a->sinks = extras(k, a->heads, 4);
    a->alibi = extras(k, a->heads, 4);
    a->relative_span = kc_int(k, 0, 40);
    a->relative = extras(k, a->heads * (2 * (int)a->relative_span + 1), 4);
}

static double cached(const olk_attention_args *a, const uint8_t *block, int dim, int64_t slot, int d) {
    int64_t i = slot * dim + d;
    if (a->kv_dtype == OL_F32) return (double)((const float *)(const void *)block)[i];
    if (a->kv_dtype == OL_F16) return (double)ol_f16_to_f32(((const uint16_t *)(const void *)block)[i]);
    return ((const int8_t *)block)[i] * (double)((const float *)(const void *)(block + OLK_KV_BLOCK * (size_t)dim))[slot];
}

/* One row and head in double; *size: greatest value, for the tolerance. */
static void reference(const olk_attention_args *a, int64_t row, int head, double *out, double *size) {
    int kvh = head / (a->heads / a->kv_heads);
    int64_t pos = a->position[row], lo = a->window > 0 && pos - a->window + 1 > 0 ? pos - a->window + 1 : 0, last = pos;
    if (a->bidirectional) last = a->window > 0 && pos + a->window - 1 < a->length - 1 ? pos + a->window - 1 : a->length - 1;
    double max = a->sinks ? (double)a->sinks[head] : (double)-INFINITY, sum, *s = malloc((size_t)(last + 1) * sizeof *s);
    const float *q = a->q + row * a->ldq + (int64_t)head * a->head_dim;
    for (int64_t i = lo; i <= last; i++) {
        const uint8_t *kb = a->blocks[i / OLK_KV_BLOCK] + a->k_offset + (size_t)kvh * a->k_head_stride;
        s[i] = 0;
        for (int d = 0; d < a->head_dim; d++) s[i] += (double)q[d] * cached(a, kb, a->head_dim, i % OLK_KV_BLOCK, d);
        s[i] *= (double)a->scale;
        if (a->softcap > 0) s[i] = (double)a->softcap * tanh(s[i] / (double)a->softcap);
        if (a->alibi) s[i] += (double)a->alibi[head] * (double)(i - pos);
        int64_t far = i - pos, span = a->relative_span;
        if (a->relative) s[i] += (double)a->relative[head * (2 * span + 1) + span + (far < -span ? -span : far > span ? span : far)];
        max = fmax(max, s[i]);
    }
    sum = a->sinks ? exp((double)a->sinks[head] - max) : 0;
    *size = 0;
    for (int d = 0; d < a->v_dim; d++) out[d] = 0;
    for (int64_t i = lo; i <= last; i++) {
        const uint8_t *vb = a->blocks[i / OLK_KV_BLOCK] + a->v_offset + (size_t)kvh * a->v_head_stride;
        double w = exp(s[i] - max);
        sum += w;
        for (int d = 0; d < a->v_dim; d++) {
            double v = cached(a, vb, a->v_dim, i % OLK_KV_BLOCK, d);
            out[d] += w * v;
            *size = fmax(*size, fabs(v));
        }
    }
    for (int d = 0; d < a->v_dim; d++) out[d] /= sum;
    free(s);
}

static bool compare(kc *k, const problem *p, int kvh, int64_t row, const char *what) {
    const olk_attention_args *a = &p->a;
    int group = a->heads / a->kv_heads;
    double want[160], size;
    for (int head = kvh * group; head < (kvh + 1) * group; head++) {
        reference(a, row, head, want, &size);
        if (!kc_compare_f32(k, what, a->out + row * a->ldo + (int64_t)head * a->v_dim, want, (size_t)a->v_dim, 1e-4 * size, 0))
            return false;
    }
    return true;
}

/* A row alone has the same bits as in the tile. */
static void check_alone(kc *k, problem *p, const olk_attention *v, int kvh, int64_t row) {
    olk_attention_args a = p->a;
    int group = a.heads / a.kv_heads;
    size_t n = (size_t)(group * a.v_dim), offset = (size_t)kvh * n;
    float *alone = kc_alloc(k, (size_t)a.heads * (size_t)a.v_dim * 4, 64, 0);
    a.q += row * a.ldq;
    a.position += row;
    a.out = alone;
    v->run(&a, kvh, 0, 1, kc_alloc(k, v->scratch_bytes(&a, 1), 64, 0));
    kc_same_f32(k, "row alone", alone + offset, p->out + (size_t)(row * a.ldo) + offset, n);
}

static void check_parts(kc *k, problem *p, const olk_attention *v, int kvh, int64_t row) {
    const olk_attention_args *a = &p->a;
    int64_t pos = a->position[row], lo = a->window > 0 && pos - a->window + 1 > 0 ? pos - a->window + 1 : 0;
    int64_t b0 = lo / OLK_KV_BLOCK, b1 = pos / OLK_KV_BLOCK + 1, step = kc_int(k, 1, 3), n = 0;
    size_t floats = v->part_floats(a);
    float *parts = kc_alloc(k, floats * MAX_BLOCKS * 4, 64, 0);
    void *scratch = kc_alloc(k, v->scratch_bytes(a, 1), 64, 0);
    for (int64_t b = b0; b < b1; b += step, n++)
        v->run_part(a, kvh, row, b, b + step < b1 ? b + step : b1, parts + (size_t)n * floats, scratch);
    v->merge(a, kvh, row, parts, n);
    compare(k, p, kvh, row, "merged parts");
}

static void check(kc *k, size_t i) {
    problem p;
    const olk_attention *v = at(i);
    draw(k, &p);
    int kvh = (int)kc_int(k, 0, p.a.kv_heads - 1);
    int64_t row = kc_int(k, 0, p.rows - 1);
    v->run(&p.a, kvh, 0, p.rows, kc_alloc(k, v->scratch_bytes(&p.a, p.rows), 64, 0));
    for (int64_t r = 0; r < p.rows; r++)
        if (!compare(k, &p, kvh, r, "out")) return;
    check_alone(k, &p, v, kvh, row);
    if (!p.a.k_rows) check_parts(k, &p, v, kvh, row);
}

/* ---- benchmarks ---- */

typedef struct work {
    const olk_attention *v;
    olk_attention_args a;
    int64_t rows, tile;
    void *scratch;
} work;

static void run(void *ctx) {
    work *w = ctx;
    for (int64_t r = 0; r < w->rows; r += w->tile)
        for (int h = 0; h < w->a.kv_heads; h++) w->v->run(&w->a, h, r, r + w->tile, w->scratch);
}

static void bench_one(kc *k, const olk_attention *v, ol_dtype t, int heads, int kv_heads, int dim, int64_t past, int64_t rows) {
    static uint8_t *blocks[64];
    static int32_t position[512];
    work w = {.v = v, .rows = rows, .tile = rows < 32 ? rows : 32};
    olk_attention_args *a = &w.a;
    size_t head = head_bytes(t, dim), bytes = 2 * head * (size_t)kv_heads;
    *a = (olk_attention_args){.heads = heads, .kv_heads = kv_heads, .head_dim = dim, .v_dim = dim, .kv_dtype = t, .scale = 0.1f,
                              .k_head_stride = head, .v_head_stride = head, .v_offset = head * (size_t)kv_heads,
                              .ldq = (int64_t)heads * dim, .ldo = (int64_t)heads * dim, .decode = rows == 1};
    float *x = kc_bench_alloc(k, (size_t)(rows * a->ldq) * 4), *out = kc_bench_alloc(k, (size_t)(rows * a->ldo) * 4);
    kc_fill_f32(k, x, (size_t)(rows * a->ldq), KC_NORMAL);
    a->q = x;
    a->out = out;
    a->blocks = (const uint8_t *const *)blocks;
    a->position = position;
    for (int64_t b = 0; b * 64 < past + rows; b++) blocks[b] = kc_bench_alloc(k, bytes);
    for (int32_t i = 0; i < past + rows; i++) olk_kv_store(a, i, x, x);
    for (int64_t r = 0; r < rows; r++) position[r] = (int32_t)(past + r);
    w.scratch = kc_bench_alloc(k, v->scratch_bytes(a, w.tile) + 64);
    double seen = (double)rows * (double)past + (double)rows * (double)(rows + 1) / 2;
    kc_report(k, kc_time(k, run, &w), rows == 1 ? (double)bytes / 64 * (double)(past + 1) : 0, seen * heads * dim * 4,
              "%s %lld after %lld, %d/%d x %d", ol_dtype_name(t), (long long)rows, (long long)past, heads, kv_heads, dim);
}

static void bench(kc *k, size_t i) {
    bench_one(k, at(i), OL_F16, 9, 3, 64, 0, 512);
    bench_one(k, at(i), OL_F16, 8, 8, 64, 0, 512);
    bench_one(k, at(i), OL_F32, 8, 2, 128, 0, 512);
    bench_one(k, at(i), OL_F16, 9, 3, 64, 511, 1);
    bench_one(k, at(i), OL_I8, 8, 2, 128, 2047, 1);
}

const kc_family kc_family_attention = {"attention", count, variant, check, bench};
