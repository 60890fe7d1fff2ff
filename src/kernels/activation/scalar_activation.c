/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/activation/activation.h"
#include "kernels/math/math.h"
#include <math.h>

static float softplus(float x) {
    return (x > 0 ? x : 0) + olk_log1p(olk_exp(x > 0 ? -x : x));
}
static float relu(float x) {
    return x < 0 ? 0 : x;
}
static float unit(float x) {
    return x < 0 ? 0 : x > 1 ? 1 : x;
}
static float gelu(float x) {
    return 0.5f * x * (1 + olk_erf(x * 0.70710678f));
}
static float gelu_tanh(float x) {
    return 0.5f * x * (1 + olk_tanh(0.79788456f * (x + 0.044715f * x * x * x)));
}

static float value(olk_act f, float a, float b, float x) {
    switch (f) {
    case OLK_ACT_SILU: return x == -INFINITY ? 0 : x * olk_sigmoid(x);
    case OLK_ACT_GELU: return x == -INFINITY ? 0 : gelu(x);
    case OLK_ACT_GELU_TANH: return x == -INFINITY ? 0 : gelu_tanh(x);
    case OLK_ACT_QUICK_GELU: return x == -INFINITY ? 0 : x * olk_sigmoid(1.702f * x);
    case OLK_ACT_RELU: return relu(x);
    case OLK_ACT_RELU2: return relu(x) * relu(x);
    case OLK_ACT_SIGMOID: return olk_sigmoid(x);
    case OLK_ACT_TANH: return olk_tanh(x);
    case OLK_ACT_SOFTPLUS: return softplus(x);
    case OLK_ACT_ELU: return x > 0 ? x : a * olk_expm1(x);
    case OLK_ACT_SELU: return b * (x > 0 ? x : a * olk_expm1(x));
    case OLK_ACT_LEAKY_RELU: return x > 0 ? x : a * x;
    case OLK_ACT_HARD_SIGMOID: return unit(a * x + b);
    case OLK_ACT_HARD_SWISH: return x == -INFINITY ? 0 : x * unit(x / 6 + 0.5f);
    case OLK_ACT_MISH: return x == -INFINITY ? 0 : x * olk_tanh(softplus(x));
    case OLK_ACT_SOFTSIGN: return isinf(x) ? copysignf(1, x) : x / (1 + fabsf(x));
    case OLK_ACT_SOFTCAP: return a * olk_tanh(x / a);
    case OLK_ACT_EXP: return olk_exp(x);
    case OLK_ACT_LOG: return olk_log(x);
    case OLK_ACT_ERF: return olk_erf(x);
    case OLK_ACT_SQRT: return sqrtf(x);
    case OLK_ACT_RECIPROCAL: return 1 / x;
    case OLK_ACT_NEG: return -x;
    case OLK_ACT_ABS: return fabsf(x);
    case OLK_ACT_SIN: return olk_sin(x);
    case OLK_ACT_COS: return olk_cos(x);
    case OLK_ACT_CLIP: return x < a ? a : x > b ? b : x;
    case OLK_ACT_AFFINE: return a * x + b;
    default: return x;
    }
}

static void unary(olk_act f, float a, float b, const float *x, float *y, int64_t n) {
    for (int64_t i = 0; i < n; i++) y[i] = value(f, a, b, x[i]);
}

static void gated(olk_act f, float a, float b, const float *g, const float *u, float *y, int64_t n) {
    for (int64_t i = 0; i < n; i++) y[i] = value(f, a, b, g[i]) * u[i];
}

static void swiglu_clipped(float alpha, float limit, const float *g, const float *u, float *y, int64_t n) {
    for (int64_t i = 0; i < n; i++) {
        float p = g[i] > limit ? limit : g[i];
        float q = u[i] > limit ? limit : u[i] < -limit ? -limit : u[i];
        y[i] = p * olk_sigmoid(alpha * p) * (q + 1);
    }
}

extern const olk_activation olk_activation__scalar;
const olk_activation olk_activation__scalar = {"olk_activation__scalar", 0, unary, gated, swiglu_clipped};
