/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/kcheck.h"
#include "kernels/activation/activation.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

static size_t count(void) {
    int n;
    olk_activation_variants(&n);
    return (size_t)n;
}
static const olk_activation *at(size_t i) {
    int n;
    return olk_activation_variants(&n)[i];
}
static kc_variant variant(size_t i) {
    return (kc_variant){at(i)->name, at(i)->cpu};
}

static double sigmoid(double x) { return 1 / (1 + exp(-x)); }
static double unit(double x) { return isnan(x) ? x : fmin(1, fmax(0, x)); }
/* f times x, where f is 0 at -inf. */
static double gate(double x, double f) { return x == -INFINITY ? 0 : x * f; }

static double expected(olk_act f, double a, double b, double x) {
    switch (f) {
    case OLK_ACT_SILU: return gate(x, sigmoid(x));
    case OLK_ACT_GELU: return gate(x, 0.5 * erfc(-x * M_SQRT1_2));
    case OLK_ACT_GELU_TANH: return gate(x, 0.5 * (1 + tanh(sqrt(2 / M_PI) * (x + 0.044715 * x * x * x))));
    case OLK_ACT_QUICK_GELU: return gate(x, sigmoid(1.702 * x));
    case OLK_ACT_RELU: return x < 0 ? 0 : x;
    case OLK_ACT_RELU2: return x < 0 ? 0 : x * x;
    case OLK_ACT_SIGMOID: return sigmoid(x);
    case OLK_ACT_TANH: return tanh(x);
    case OLK_ACT_SOFTPLUS: return x > 0 ? x + log1p(exp(-x)) : log1p(exp(x));
    case OLK_ACT_ELU: return x > 0 ? x : a * expm1(x);
    case OLK_ACT_SELU: return b * (x > 0 ? x : a * expm1(x));
    case OLK_ACT_LEAKY_RELU: return x > 0 ? x : a * x;
    case OLK_ACT_HARD_SIGMOID: return unit(a * x + b);
    case OLK_ACT_HARD_SWISH: return gate(x, unit(x / 6 + 0.5));
    case OLK_ACT_MISH: return gate(x, tanh(x > 0 ? x + log1p(exp(-x)) : log1p(exp(x))));
    case OLK_ACT_SOFTSIGN: return isinf(x) ? copysign(1, x) : x / (1 + fabs(x));
    case OLK_ACT_SOFTCAP: return a * tanh(x / a);
    case OLK_ACT_EXP: return exp(x);
    case OLK_ACT_LOG: return x < 0 ? (double)NAN : log(x);
    case OLK_ACT_ERF: return erf(x);
    case OLK_ACT_SQRT: return x < 0 ? (double)NAN : sqrt(x);
    case OLK_ACT_RECIPROCAL: return 1 / x;
    case OLK_ACT_NEG: return -x;
    case OLK_ACT_ABS: return fabs(x);
    case OLK_ACT_SIN: return sin(x);
    case OLK_ACT_COS: return cos(x);
    case OLK_ACT_CLIP: return x < a ? a : x > b ? b : x;
    case OLK_ACT_AFFINE: return a * x + b;
    default: return x;
    }
}

/* Values that matter to these functions: moderate, with some tails. */
static void fill(kc *k, float *x, int64_t n) {
    kc_fill_f32(k, x, (size_t)n, kc_any_values(k));
    float stretch = kc_chance(k, 2) ? 1 : kc_chance(k, 2) ? 10 : 100;
    for (int64_t i = 0; i < n; i++) x[i] *= stretch;
}

static void check(kc *k, size_t i) {
    int form = (int)kc_int(k, 0, 2);
    olk_act f = (olk_act)kc_int(k, 0, OLK_N_ACTS - 1);
    int64_t n = kc_size(k, 16, 300);
    float a = 0.5f + fabsf(kc_float(k)), b = 1 + a;
    bool in_place = kc_chance(k, 2);
    kc_describe(k, "form %d %s n %lld a %g b %g in place %d", form, olk_act_name(f), (long long)n, (double)a, (double)b, in_place);
    float *x = kc_alloc(k, (size_t)n * 4, 64, 4 * (size_t)kc_int(k, 0, 15)), *u = kc_alloc(k, (size_t)n * 4, 64, 4 * (size_t)kc_int(k, 0, 15));
    float *y = in_place ? x : kc_alloc(k, (size_t)n * 4, 64, 4 * (size_t)kc_int(k, 0, 15)), *in = kc_alloc(k, (size_t)n * 4, 64, 0);
    fill(k, x, n);
    kc_fill_f32(k, u, (size_t)n, KC_NORMAL);
    if (n) memcpy(in, x, (size_t)n * 4);
    if (form == 0) at(i)->unary(f, a, b, x, y, n);
    else if (form == 1) at(i)->gated(f, a, b, x, u, y, n);
    else at(i)->swiglu_clipped(1.702f, 7, x, u, y, n);
    for (int64_t j = 0; j < n; j++) {
        double p = (double)in[j], q = (double)u[j], want, slack = fmax(1, fabs(isfinite(p) ? p : 0));
        if (form == 2) {
            p = p > 7 ? 7 : p;
            want = p * sigmoid((double)1.702f * p) * (fmin(7, fmax(-7, q)) + 1);
            if (p == -INFINITY) continue; /* 0 times infinity or 0: not defined */
        } else {
            want = expected(f, (double)a, (double)b, p);
            if (fabs(want) > 3e38 && isfinite(p)) continue; /* around the overflow of f32 */
            if (form == 1) want *= q;
        }
        if (form == 1) slack *= fmax(1, fabs(q));
        if (f == OLK_ACT_QUICK_GELU || form == 2) slack *= 4; /* the argument is rounded before exp */
        if (!kc_compare_f32(k, "y", y + j, &want, 1, 2e-7 * slack, 1e-6)) {
            kc_describe(k, "form %d %s x %.9g", form, olk_act_name(f), (double)in[j]);
            return;
        }
    }
}

typedef struct work {
    const olk_activation *v;
    olk_act f;
    float *x;
} work;
static void run(void *ctx) {
    work *w = ctx;
    w->v->gated(w->f, 30, 1, w->x, w->x + 4096, w->x + 8192, 4096);
}
static void bench(kc *k, size_t i) {
    static const olk_act f[] = {OLK_ACT_SILU, OLK_ACT_GELU, OLK_ACT_GELU_TANH, OLK_ACT_SOFTCAP, OLK_ACT_LOG};
    for (int j = 0; j < 5; j++) {
        work w = {at(i), f[j], kc_bench_alloc(k, 3 * 4096 * 4)};
        kc_fill_f32(k, w.x, 3 * 4096, KC_NORMAL);
        kc_report(k, kc_time(k, run, &w), 3 * 4096 * 4.0, 4096, "%s * u, 4096", olk_act_name(f[j]));
    }
}

const kc_family kc_family_activation = {"activation", count, variant, check, bench};
