/* SPDX-License-Identifier: Apache-2.0 */
/* Every function over random sizes, rows cut into two calls: results are held against double arithmetic, and against the
 * same rows in one call, which must be bitwise equal. */
#include "kernels/kcheck.h"
#include "kernels/recurrent/recurrent.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

static size_t count(void) {
    int n;
    olk_recurrent_variants(&n);
    return (size_t)n;
}
static const olk_recurrent *at(size_t i) {
    int n;
    return olk_recurrent_variants(&n)[i];
}
static kc_variant variant(size_t i) { return (kc_variant){at(i)->name, at(i)->cpu}; }

static float *floats(kc *k, int64_t n, bool fill) {
    float *p = kc_alloc(k, (size_t)n * sizeof(float), 64, 4 * (size_t)kc_int(k, 0, 15));
    if (fill) kc_fill_f32(k, p, (size_t)n, KC_NORMAL);
    return p;
}
static double *doubles(const float *x, int64_t n) {
    double *d = malloc(((size_t)n + 1) * sizeof *d);
    for (int64_t i = 0; d && i < n; i++) d[i] = x ? (double)x[i] : 0;
    return d;
}

/* A case: rows in all, of which the first call takes `first`; a state [height][lds] of which `width` columns count. */
typedef struct shape {
    int64_t rows, first, height, width, lds;
} shape;

static shape draw(kc *k, int64_t height, int64_t width) {
    shape s = {.rows = kc_int(k, 1, 9), .height = height, .width = width, .lds = width + kc_int(k, 0, 3)};
    s.first = kc_int(k, 0, s.rows - 1);
    return s;
}

typedef void call_fn(const olk_recurrent *v, const void *form, int64_t row, int64_t rows, const float *from, float *to, float *y);

/* Runs the case at once and cut, and compares: y [rows][ldy] with `width` values a row, and the states, with want_*. */
static void compare(kc *k, size_t i, const shape *s, int64_t ldy, call_fn *call, const void *form, const float *from,
                    const double *want_y, const double *want_s, double scale) {
    int64_t cells = (s->height - 1) * s->lds + s->width, last = (s->rows - 1) * ldy + s->width;
    if (s->height < 1) cells = 0;
    float *to = floats(k, cells, true), *half = floats(k, cells, true), *again = floats(k, cells, true);
    float *y = floats(k, last, true), *cut = floats(k, last, true);
    call(at(i), form, 0, s->rows, from, to, y);
    if (s->first) call(at(i), form, 0, s->first, from, half, cut);
    call(at(i), form, s->first, s->rows - s->first, s->first ? half : from, again, cut + s->first * ldy);
    for (int64_t t = 0; t < s->rows; t++) {
        if (!kc_compare_f32(k, "y", y + t * ldy, want_y + t * s->width, (size_t)s->width, scale, 2e-5)) return;
        if (!kc_same_f32(k, "y of two calls", y + t * ldy, cut + t * ldy, (size_t)s->width)) return;
    }
    for (int64_t r = 0; r < s->height; r++) {
        if (!kc_compare_f32(k, "state", to + r * s->lds, want_s + r * s->width, (size_t)s->width, scale, 2e-5)) return;
        if (!kc_same_f32(k, "state of two calls", to + r * s->lds, again + r * s->lds, (size_t)s->width)) return;
    }
}

/* The state as doubles, densely. */
static double *state_of(const shape *s, const float *from) {
    double *d = doubles(NULL, s->height * s->width);
    for (int64_t r = 0; r < s->height; r++)
        for (int64_t c = 0; c < s->width; c++) d[r * s->width + c] = (double)from[r * s->lds + c];
    return d;
}

static float *state_floats(kc *k, const shape *s) {
    return floats(k, s->height < 1 ? 0 : (s->height - 1) * s->lds + s->width, true);
}

/* ---- convolution ---- */

typedef struct conv_case {
    olk_conv_form f;
    const float *x;
    int64_t ldx, ldy;
} conv_case;

static void call_conv(const olk_recurrent *v, const void *form, int64_t row, int64_t rows, const float *from, float *to, float *y) {
    const conv_case *c = form;
    v->conv(&c->f, c->x + row * c->ldx, c->ldx, y, c->ldy, rows, from, to);
}

static void check_conv(kc *k, size_t i) {
    int64_t n = kc_size(k, 16, 100), taps = kc_int(k, 1, 5);
    if (n < 1) n = 1;
    shape s = draw(k, taps - 1, n);
    conv_case c = {{.n = n, .k = taps, .ldw = n + kc_int(k, 0, 2), .silu = kc_chance(k, 2), .lds = s.lds}, NULL, n + kc_int(k, 0, 3), n + kc_int(k, 0, 3)};
    c.x = floats(k, (s.rows - 1) * c.ldx + n, true);
    c.f.w = floats(k, (taps - 1) * c.f.ldw + n, true);
    c.f.b = kc_chance(k, 2) ? floats(k, n, true) : NULL;
    const float *from = state_floats(k, &s);
    kc_describe(k, "conv n %lld k %lld rows %lld cut %lld silu %d", (long long)n, (long long)taps, (long long)s.rows, (long long)s.first, c.f.silu);
    double *state = state_of(&s, from), *want = doubles(NULL, s.rows * n), *end = doubles(NULL, s.height * n);
    for (int64_t t = 0; t < s.rows; t++)
        for (int64_t ch = 0; ch < n; ch++) {
            double sum = c.f.b ? (double)c.f.b[ch] : 0;
            for (int64_t j = 0; j < taps; j++) {
                int64_t src = t - taps + 1 + j;
                double x = src < 0 ? state[(src + taps - 1) * n + ch] : (double)c.x[src * c.ldx + ch];
                sum += (double)c.f.w[j * c.f.ldw + ch] * x;
            }
            want[t * n + ch] = c.f.silu ? sum / (1 + exp(-sum)) : sum;
        }
    for (int64_t j = 0; j + 1 < taps; j++)
        for (int64_t ch = 0; ch < n; ch++) {
            int64_t src = s.rows - taps + 1 + j;
            end[j * n + ch] = src < 0 ? state[(src + taps - 1) * n + ch] : (double)c.x[src * c.ldx + ch];
        }
    compare(k, i, &s, c.ldy, call_conv, &c, from, want, end, 1e-5);
    free(state), free(want), free(end);
}

/* ---- selective scan ---- */

typedef struct scan_case {
    olk_scan_form f;
    bool channels;
} scan_case;

static void call_scan(const olk_recurrent *v, const void *form, int64_t row, int64_t rows, const float *from, float *to, float *y) {
    const scan_case *c = form;
    olk_scan_form f = c->f;
    f.x += row * f.ldx;
    f.dt += row * f.lddt;
    f.b += row * f.ldb;
    f.c += row * f.ldc;
    f.y = y;
    (c->channels ? v->scan_channels : v->scan_head)(&f, rows, from, to);
}

static void check_scan(kc *k, size_t i, bool channels) {
    int64_t p = kc_size(k, 16, 80), n = kc_int(k, 1, 17);
    if (p < 1) p = 1;
    shape s = draw(k, n, p);
    olk_scan_form f = {.p = p, .n = n, .lda = p + kc_int(k, 0, 2), .ldx = p + kc_int(k, 0, 3), .ldb = n + kc_int(k, 0, 3),
                       .ldc = n + kc_int(k, 0, 3), .ldy = p + kc_int(k, 0, 3), .lds = s.lds};
    f.lddt = channels ? p + kc_int(k, 0, 3) : kc_int(k, 1, 4);
    int64_t n_dt = (s.rows - 1) * f.lddt + (channels ? p : 1), n_a = channels ? (n - 1) * f.lda + p : 1;
    float *dt = floats(k, n_dt, true), *a = floats(k, n_a, true);
    for (int64_t j = 0; j < n_dt; j++) dt[j] = fabsf(dt[j]);
    for (int64_t j = 0; j < n_a; j++) a[j] = -fabsf(a[j]);
    f.dt = dt;
    f.a = a;
    f.x = floats(k, (s.rows - 1) * f.ldx + p, true);
    f.b = floats(k, (s.rows - 1) * f.ldb + n, true);
    f.c = floats(k, (s.rows - 1) * f.ldc + n, true);
    f.d = kc_chance(k, 3) ? NULL : floats(k, channels ? p : 1, true);
    const float *from = state_floats(k, &s);
    kc_describe(k, "%s p %lld n %lld rows %lld cut %lld", channels ? "channels" : "head", (long long)p, (long long)n, (long long)s.rows, (long long)s.first);
    double *state = state_of(&s, from), *want = doubles(NULL, s.rows * p), top = 1;
    for (int64_t t = 0; t < s.rows; t++)
        for (int64_t c = 0; c < p; c++) {
            double step = (double)f.dt[t * f.lddt + (channels ? c : 0)], x = (double)f.x[t * f.ldx + c];
            double y = f.d ? (double)f.d[channels ? c : 0] * x : 0;
            for (int64_t j = 0; j < n; j++) {
                double *v = &state[j * p + c];
                *v = exp(step * (double)f.a[channels ? j * f.lda + c : 0]) * *v + step * (double)f.b[t * f.ldb + j] * x;
                y += (double)f.c[t * f.ldc + j] * *v;
                top = fmax(top, fabs(*v));
            }
            want[t * p + c] = y;
        }
    compare(k, i, &s, f.ldy, call_scan, &(scan_case){f, channels}, from, want, state, 2e-5 * top);
    free(state), free(want);
}

/* ---- delta rule ---- */

static void call_delta(const olk_recurrent *v, const void *form, int64_t row, int64_t rows, const float *from, float *to, float *y) {
    olk_delta_form f = *(const olk_delta_form *)form;
    f.q += row * f.ldq;
    f.k += row * f.ldk;
    f.v += row * f.ldv;
    f.g += row * f.ldg;
    f.beta += row * f.ldbeta;
    f.y = y;
    v->delta(&f, rows, from, to);
}

static void check_delta(kc *k, size_t i) {
    int64_t dk = kc_int(k, 1, 20), dv = kc_size(k, 16, 80);
    if (dv < 1) dv = 1;
    shape s = draw(k, dk, dv);
    olk_delta_form f = {.dk = dk, .dv = dv, .scale = 0.5f, .ldq = dk + kc_int(k, 0, 3), .ldk = dk + kc_int(k, 0, 3), .ldv = dv + kc_int(k, 0, 3),
                        .ldg = kc_int(k, 1, 3), .ldbeta = kc_int(k, 1, 3), .ldy = dv + kc_int(k, 0, 3), .lds = s.lds};
    float *key = floats(k, (s.rows - 1) * f.ldk + dk, true), *g = floats(k, (s.rows - 1) * f.ldg + 1, true);
    float *beta = floats(k, (s.rows - 1) * f.ldbeta + 1, true);
    for (int64_t t = 0; t < s.rows; t++) { /* keys of length 1, decays and rates below 1: states stay in bounds */
        double len = 1e-3;
        for (int64_t j = 0; j < dk; j++) len += (double)key[t * f.ldk + j] * (double)key[t * f.ldk + j];
        for (int64_t j = 0; j < dk; j++) key[t * f.ldk + j] = (float)((double)key[t * f.ldk + j] / sqrt(len));
        g[t * f.ldg] = -fabsf(g[t * f.ldg]);
        beta[t * f.ldbeta] = fminf(fabsf(beta[t * f.ldbeta]), 1);
    }
    f.k = key;
    f.g = g;
    f.beta = beta;
    f.q = floats(k, (s.rows - 1) * f.ldq + dk, true);
    f.v = floats(k, (s.rows - 1) * f.ldv + dv, true);
    const float *from = state_floats(k, &s);
    kc_describe(k, "delta dk %lld dv %lld rows %lld cut %lld", (long long)dk, (long long)dv, (long long)s.rows, (long long)s.first);
    double *state = state_of(&s, from), *want = doubles(NULL, s.rows * dv), top = 1;
    for (int64_t t = 0; t < s.rows; t++)
        for (int64_t j = 0; j < dv; j++) {
            double decay = exp((double)f.g[t * f.ldg]), seen = 0, y = 0;
            for (int64_t r = 0; r < dk; r++) {
                state[r * dv + j] *= decay;
                seen += (double)f.k[t * f.ldk + r] * state[r * dv + j];
            }
            double add = (double)f.beta[t * f.ldbeta] * ((double)f.v[t * f.ldv + j] - seen);
            for (int64_t r = 0; r < dk; r++) {
                state[r * dv + j] += (double)f.k[t * f.ldk + r] * add;
                y += (double)f.q[t * f.ldq + r] * state[r * dv + j];
                top = fmax(top, fabs(state[r * dv + j]));
            }
            want[t * dv + j] = 0.5 * y;
        }
    compare(k, i, &s, f.ldy, call_delta, &f, from, want, state, 4e-5 * top);
    free(state), free(want);
}

/* ---- RWKV ---- */

static void call_wkv(const olk_recurrent *v, const void *form, int64_t row, int64_t rows, const float *from, float *to, float *y) {
    olk_wkv_form f = *(const olk_wkv_form *)form;
    f.k += row * f.ldx;
    f.v += row * f.ldx;
    f.y = y;
    v->wkv(&f, rows, from, to);
}

static void check_wkv(kc *k, size_t i) {
    int64_t n = kc_size(k, 16, 80);
    if (n < 1) n = 1;
    shape s = draw(k, 3, n);
    olk_wkv_form f = {.n = n, .ldx = n + kc_int(k, 0, 3), .ldy = n + kc_int(k, 0, 3), .lds = s.lds};
    bool empty = kc_chance(k, 3);
    float shift = kc_chance(k, 3) ? -200.0f : 0.0f; /* far below what exp can hold */
    float *from = state_floats(k, &s), *w = floats(k, n, true), *key = floats(k, (s.rows - 1) * f.ldx + n, true);
    for (int64_t c = 0; c < n; c++) {
        w[c] = fabsf(w[c]);
        from[s.lds + c] = empty ? 0 : fabsf(from[s.lds + c]) + 0.5f;
        if (empty) from[c] = from[2 * s.lds + c] = 0;
        for (int64_t t = 0; t < s.rows; t++) key[t * f.ldx + c] += shift;
    }
    f.w = w;
    f.k = key;
    f.v = floats(k, (s.rows - 1) * f.ldx + n, true);
    f.u = floats(k, n, true);
    kc_describe(k, "wkv n %lld rows %lld cut %lld empty %d shift %g", (long long)n, (long long)s.rows, (long long)s.first, empty, (double)shift);
    double *state = state_of(&s, from), *want = doubles(NULL, s.rows * n);
    for (int64_t c = 0; c < n; c++)
        for (int64_t t = 0; t < s.rows; t++) {
            double *num = &state[c], *den = &state[n + c], *top = &state[2 * n + c], now = (double)f.u[c] + (double)key[t * f.ldx + c];
            double x = (double)f.v[t * f.ldx + c], old = *den > 0 ? *top : -INFINITY, m = fmax(old, now);
            want[t * n + c] = (exp(old - m) * *num + exp(now - m) * x) / (exp(old - m) * *den + exp(now - m));
            old -= (double)w[c];
            m = fmax(old, (double)key[t * f.ldx + c]);
            *num = exp(old - m) * *num + exp((double)key[t * f.ldx + c] - m) * x;
            *den = exp(old - m) * *den + exp((double)key[t * f.ldx + c] - m);
            *top = m;
        }
    compare(k, i, &s, f.ldy, call_wkv, &f, from, want, state, shift < 0 ? 1e-3 : 4e-5); /* exponents lose bits by their size */
    free(state), free(want);
}

static void check(kc *k, size_t i) {
    switch (kc_int(k, 0, 4)) {
    case 0: check_conv(k, i); break;
    case 1: check_scan(k, i, false); break;
    case 2: check_scan(k, i, true); break;
    case 3: check_delta(k, i); break;
    default: check_wkv(k, i); break;
    }
}

/* ---- speed ---- */

typedef struct work {
    const olk_recurrent *v;
    int64_t rows;
    olk_conv_form conv;
    olk_scan_form scan;
    olk_delta_form delta;
    olk_wkv_form wkv;
    float *from, *to, *y, *x;
} work;

static void run_conv(void *ctx) {
    work *w = ctx;
    w->v->conv(&w->conv, w->x, w->conv.n, w->y, w->conv.n, w->rows, w->from, w->to);
}
static void run_head(void *ctx) {
    work *w = ctx;
    w->v->scan_head(&w->scan, w->rows, w->from, w->to);
}
static void run_channels(void *ctx) {
    work *w = ctx;
    w->v->scan_channels(&w->scan, w->rows, w->from, w->to);
}
static void run_delta(void *ctx) {
    work *w = ctx;
    w->v->delta(&w->delta, w->rows, w->from, w->to);
}
static void run_wkv(void *ctx) {
    work *w = ctx;
    w->v->wkv(&w->wkv, w->rows, w->from, w->to);
}

static void bench(kc *k, size_t i) {
    enum { ROOM = 512 * 256 };
    work w = {.v = at(i)};
    w.from = kc_bench_alloc(k, ROOM * 4);
    w.to = kc_bench_alloc(k, ROOM * 4);
    w.x = kc_bench_alloc(k, ROOM * 4);
    w.y = kc_bench_alloc(k, ROOM * 4);
    float *c = kc_bench_alloc(k, ROOM * 4);
    kc_fill_f32(k, w.x, ROOM, KC_NORMAL);
    for (int j = 0; j < ROOM; j++) w.x[j] *= 0.1f;
    for (int j = 0; j < ROOM; j++) w.from[j] = 0, c[j] = -0.5f;
    w.conv = (olk_conv_form){.n = 256, .k = 4, .w = w.x, .ldw = 256, .silu = true, .lds = 256};
    w.delta = (olk_delta_form){.dk = 128, .dv = 32, .scale = 1, .q = w.x, .k = w.x, .v = w.x, .g = c, .beta = w.x, .ldq = 128,
                               .ldk = 128, .ldv = 128, .ldg = 1, .ldbeta = 1, .y = w.y, .ldy = 128, .lds = 32};
    w.wkv = (olk_wkv_form){.n = 64, .k = w.x, .v = w.x, .ldx = 64, .w = w.x, .u = w.x, .y = w.y, .ldy = 64, .lds = 64};
    for (w.rows = 1; w.rows <= 256; w.rows *= 256) {
        double r = (double)w.rows;
        kc_report(k, kc_time(k, run_conv, &w), 256 * 8 * r, 256 * 8 * r, "conv 256 x 4, %lld rows", (long long)w.rows);
        w.scan = (olk_scan_form){.p = 32, .n = 128, .a = c, .lda = 64, .x = w.x, .dt = w.x, .b = w.x, .c = w.x, .ldx = 64, .lddt = 1,
                                 .ldb = 128, .ldc = 128, .y = w.y, .ldy = 64, .lds = 32};
        kc_report(k, kc_time(k, run_head, &w), 0, 32 * 128 * 5 * r, "head 32 x 128, %lld rows", (long long)w.rows);
        w.scan.p = w.scan.lds = 64;
        w.scan.n = 16;
        w.scan.ldb = w.scan.ldc = 16;
        w.scan.lddt = 64;
        kc_report(k, kc_time(k, run_channels, &w), 0, 64 * 16 * 5 * r, "channels 64 x 16, %lld rows", (long long)w.rows);
        kc_report(k, kc_time(k, run_delta, &w), 0, 128 * 32 * 7 * r, "delta 128 x 32, %lld rows", (long long)w.rows);
        kc_report(k, kc_time(k, run_wkv, &w), 0, 64 * 16 * r, "wkv 64, %lld rows", (long long)w.rows);
    }
}

const kc_family kc_family_recurrent = {"recurrent", count, variant, check, bench};
