/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/conv/conv.h"
#include "kernels/kcheck.h"
#include <math.h>

static size_t count(void) {
    int n;
    olk_conv_variants(&n);
    return (size_t)n;
}
static const olk_conv *at(size_t i) {
    int n;
    return olk_conv_variants(&n)[i];
}
static kc_variant variant(size_t i) {
    return (kc_variant){at(i)->name, at(i)->cpu};
}

/* One axis: size, window, stride, dilation and pads such that there is output. */
static void draw_axis(kc *k, int64_t *in, int64_t *out, int64_t *kernel, int64_t *stride, int64_t *dilation, int64_t *begin) {
    *kernel = kc_chance(k, 2) ? 3 : kc_int(k, 1, 7);
    *stride = kc_chance(k, 2) ? 1 : kc_int(k, 1, 4);
    *dilation = kc_chance(k, 2) ? 1 : kc_int(k, 1, 3);
    int64_t reach = (*kernel - 1) * *dilation + 1;
    *begin = kc_int(k, 0, kc_chance(k, 8) ? reach + 3 : reach / 2);
    int64_t end = kc_int(k, 0, reach / 2);
    *in = kc_size(k, 16, 70);
    if (*in + *begin + end < reach) *in = reach;
    *out = (*in + *begin + end - reach) / *stride + 1;
}

static olk_conv_form draw_form(kc *k) {
    olk_conv_form f = {.channels = kc_int(k, 1, 5)};
    draw_axis(k, &f.height, &f.out_height, &f.kernel_h, &f.stride_h, &f.dilation_h, &f.pad_top);
    draw_axis(k, &f.width, &f.out_width, &f.kernel_w, &f.stride_w, &f.dilation_w, &f.pad_left);
    kc_describe(k, "%lld x %lld x %lld -> %lld x %lld, window %lld x %lld stride %lld %lld dilation %lld %lld pads %lld %lld", (long long)f.channels,
                (long long)f.height, (long long)f.width, (long long)f.out_height, (long long)f.out_width, (long long)f.kernel_h, (long long)f.kernel_w,
                (long long)f.stride_h, (long long)f.stride_w, (long long)f.dilation_h, (long long)f.dilation_w, (long long)f.pad_top, (long long)f.pad_left);
    return f;
}

/* What window place (i, j) of output (oy, ox) sees in a plane. */
static float seen(const olk_conv_form *f, const float *plane, int64_t oy, int64_t ox, int64_t i, int64_t j) {
    int64_t y = oy * f->stride_h - f->pad_top + i * f->dilation_h, x = ox * f->stride_w - f->pad_left + j * f->dilation_w;
    return y >= 0 && y < f->height && x >= 0 && x < f->width ? plane[y * f->width + x] : 0;
}

static void check_pack(kc *k, const olk_conv *v) {
    olk_conv_form f = draw_form(k);
    int nb = kc_chance(k, 2) ? 32 : 16;
    int64_t size = f.kernel_h * f.kernel_w, all = f.channels * size, columns = f.out_height * f.out_width;
    int64_t k0 = kc_int(k, 0, all), kn = kc_int(k, 0, all - k0 < 40 ? all - k0 : 40);
    int64_t n0 = kc_int(k, 0, columns - 1) / nb * nb, n = columns - n0 < nb ? columns - n0 : nb;
    size_t nx = (size_t)(f.channels * f.height * f.width);
    float *x = kc_alloc(k, nx * 4, 64, 4 * (size_t)kc_int(k, 0, 15)), *panel = kc_alloc(k, (size_t)(kn * nb) * 4, 64, 0);
    kc_fill_f32(k, x, nx, kc_any_values(k));
    kc_protect(k, x);
    v->pack(&f, x, k0, kn, n0, n, nb, panel);
    for (int64_t p = 0; p < kn; p++) {
        float want[32];
        int64_t c = (k0 + p) / size, at_window = (k0 + p) % size;
        for (int64_t j = 0; j < n; j++)
            want[j] = seen(&f, x + c * f.height * f.width, (n0 + j) / f.out_width, (n0 + j) % f.out_width, at_window / f.kernel_w, at_window % f.kernel_w);
        if (!kc_same_f32(k, "panel row", panel + p * nb, want, (size_t)n)) return;
    }
}

static void check_depthwise(kc *k, const olk_conv *v) {
    olk_conv_form f = draw_form(k);
    int64_t r0 = kc_int(k, 0, f.out_height), r1 = kc_int(k, r0, f.out_height);
    size_t nx = (size_t)(f.height * f.width), nw = (size_t)(f.kernel_h * f.kernel_w), ny = (size_t)(f.out_height * f.out_width);
    float *x = kc_alloc(k, nx * 4, 64, 4 * (size_t)kc_int(k, 0, 15)), *w = kc_alloc(k, nw * 4, 64, 4 * (size_t)kc_int(k, 0, 15));
    float *y = kc_alloc(k, ny * 4, 64, 4 * (size_t)kc_int(k, 0, 15)), bias = kc_float(k);
    bool ranged = kc_chance(k, 2);
    const float range[2] = {-0.5f, 0.75f};
    double *want = kc_alloc(k, ny * sizeof *want, 64, 0);
    kc_fill_f32(k, x, nx, kc_any_values(k));
    kc_fill_f32(k, w, nw, KC_NORMAL);
    kc_fill_f32(k, y, ny, KC_NORMAL);
    kc_protect(k, x);
    for (int64_t oy = 0; oy < f.out_height; oy++)
        for (int64_t ox = 0; ox < f.out_width; ox++) {
            float sum = bias; /* steps are fused multiply-adds in the order of the window */
            for (int64_t i = 0; i < f.kernel_h; i++)
                for (int64_t j = 0; j < f.kernel_w; j++) sum = fmaf(w[i * f.kernel_w + j], seen(&f, x, oy, ox, i, j), sum);
            if (ranged) sum = sum < range[0] ? range[0] : sum > range[1] ? range[1] : sum;
            int64_t o = oy * f.out_width + ox;
            want[o] = (double)(oy < r0 || oy >= r1 ? y[o] : sum); /* other rows stay */
        }
    v->depthwise(&f, x, w, bias, ranged ? range : NULL, r0, r1, y);
    kc_compare_f32(k, "y", y, want, ny, 0, 0);
}

/* One channel through both transforms, against the definition. */
static void check_winograd(kc *k, const olk_conv *v) {
    olk_conv_form f = {.channels = 1, .kernel_h = 3, .kernel_w = 3, .stride_h = 1, .stride_w = 1, .dilation_h = 1, .dilation_w = 1};
    f.pad_top = kc_int(k, 0, 2), f.pad_left = kc_int(k, 0, 2);
    f.height = kc_size(k, 8, 40) + 3, f.width = kc_size(k, 16, 70) + 3;
    f.out_height = f.height + f.pad_top + kc_int(k, 0, 2) - 2, f.out_width = f.width + f.pad_left + kc_int(k, 0, 2) - 2;
    int64_t high = (f.out_height + 1) / 2, wide = (f.out_width + 1) / 2, blocks = high * wide, step = blocks + kc_int(k, 0, 5), b1 = kc_int(k, 0, high), b0 = kc_int(k, 0, b1);
    size_t nx = (size_t)(f.height * f.width), ny = (size_t)(f.out_height * f.out_width), np = (size_t)(15 * step + blocks);
    kc_describe(k, "winograd %lld x %lld -> %lld x %lld, pads %lld %lld", (long long)f.height, (long long)f.width, (long long)f.out_height, (long long)f.out_width, (long long)f.pad_top, (long long)f.pad_left);
    float *x = kc_alloc(k, nx * 4, 64, 4 * (size_t)kc_int(k, 0, 15)), *y = kc_alloc(k, ny * 4, 64, 4 * (size_t)kc_int(k, 0, 15)), g[9], u[16], bias = kc_float(k);
    float *p = kc_alloc(k, np * 4, 64, 4 * (size_t)kc_int(k, 0, 15)), *scratch = kc_alloc(k, (size_t)olk_winograd_scratch(&f) * 4, 64, 0);
    double *want = kc_alloc(k, ny * sizeof *want, 64, 0);
    kc_fill_f32(k, x, nx, KC_NORMAL);
    kc_fill_f32(k, y, ny, KC_NORMAL);
    kc_fill_f32(k, g, 9, KC_NORMAL);
    kc_protect(k, x);
    for (int64_t o = 0; o < (int64_t)ny; o++) {
        double sum = (double)bias;
        int64_t oy = o / f.out_width, ox = o % f.out_width;
        for (int64_t t = 0; t < 9; t++) sum += (double)g[t] * (double)seen(&f, x, oy, ox, t / 3, t % 3);
        want[o] = oy >= 2 * b0 && oy < 2 * b1 ? sum : (double)y[o];
    }
    v->winograd_window(g, u);
    v->winograd_input(&f, x, step, scratch, p);
    for (int64_t t = 0; t < 16; t++)
        for (int64_t b = 0; b < blocks; b++) p[t * step + b] *= u[t];
    if (b0 < b1) v->winograd_output(&f, p + b0 * wide, step, bias, b0, b1, scratch, y);
    kc_compare_f32(k, "y", y, want, ny, 1e-4, 1e-5);
}

static void check(kc *k, size_t i) {
    if (kc_chance(k, 3)) check_winograd(k, at(i));
    else if (kc_chance(k, 2)) check_pack(k, at(i));
    else check_depthwise(k, at(i));
}

typedef struct work {
    const olk_conv *v;
    olk_conv_form f;
    const float *x, *w;
    float *y;
} work;
static void run_pack(void *ctx) {
    work *w = ctx;
    int64_t depth = w->f.channels * w->f.kernel_h * w->f.kernel_w, n = w->f.out_height * w->f.out_width;
    for (int64_t j = 0; j < n; j += 32) w->v->pack(&w->f, w->x, 0, depth, j, n - j < 32 ? n - j : 32, 32, w->y);
}
static void run_depthwise(void *ctx) {
    work *w = ctx;
    w->v->depthwise(&w->f, w->x, w->w, 0.5f, NULL, 0, w->f.out_height, w->y);
}
static void bench(kc *k, size_t i) {
    static const int sides[] = {112, 56, 28, 14, 7};
    float *x = kc_bench_alloc(k, 32 * 114 * 114 * 4), *w = kc_bench_alloc(k, 64 * 4), *y = kc_bench_alloc(k, 112 * 112 * 4);
    kc_fill_f32(k, x, 32 * 114 * 114, KC_NORMAL);
    kc_fill_f32(k, w, 64, KC_NORMAL);
    for (int s = 0; s < 5; s++)
        for (int64_t stride = 1; stride <= 2; stride++) {
            int64_t side = sides[s], out = (side - 1) / stride + 1;
            work a = {at(i), {1, side, side, out, out, 3, 3, stride, stride, 1, 1, 1, 1}, x, w, y};
            kc_report(k, kc_time(k, run_depthwise, &a), (double)(side * side + out * out) * 4, 18.0 * (double)(out * out), "depthwise 3x3 %lld stride %lld", (long long)side, (long long)stride);
            if (stride == 2) continue;
            a.f.channels = 32;
            kc_report(k, kc_time(k, run_pack, &a), (double)(out * out) * 9 * 32 * 4, 0, "pack 3x3 32 x %lld x %lld", (long long)side, (long long)side);
        }
}

const kc_family kc_family_conv = {"conv", count, variant, check, bench};
