/* SPDX-License-Identifier: Apache-2.0 */
/* Unary functions over ranges, and their gated forms.
 *
 * y[i] = f(x[i]) for i in [0, n); y may be x, otherwise they do not overlap; any alignment, any n >= 0; an element's bits
 * do not depend on its place or on n. NaN gives NaN. Tolerance: 1e-6 relative, or 2e-7 max(1,
 * |x|) absolute where the function cancels. `a` and `b` are the parameters of the table below. */
#ifndef OLK_ACTIVATION_H
#define OLK_ACTIVATION_H

#include <stdint.h>

/* X(NAME, text, definition) */
#define OLK_ACTS(X)                                                                                                    \
    X(NONE, "none", "x")                                                                                               \
    X(SILU, "silu", "x * sigmoid(x)")                                                                                  \
    X(GELU, "gelu", "x / 2 * (1 + erf(x / sqrt(2)))")                                                                  \
    X(GELU_TANH, "gelu_tanh", "x / 2 * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 x^3)))")                                 \
    X(QUICK_GELU, "quick_gelu", "x * sigmoid(1.702 x)")                                                                \
    X(RELU, "relu", "max(x, 0)")                                                                                       \
    X(RELU2, "relu2", "max(x, 0)^2")                                                                                   \
    X(SIGMOID, "sigmoid", "1 / (1 + exp(-x))")                                                                         \
    X(TANH, "tanh", "tanh(x)")                                                                                         \
    X(SOFTPLUS, "softplus", "log(1 + exp(x))")                                                                         \
    X(ELU, "elu", "x > 0 ? x : a * (exp(x) - 1)")                                                                      \
    X(SELU, "selu", "b * (x > 0 ? x : a * (exp(x) - 1))")                                                              \
    X(LEAKY_RELU, "leaky_relu", "x > 0 ? x : a * x")                                                                   \
    X(HARD_SIGMOID, "hard_sigmoid", "min(1, max(0, a * x + b))")                                                       \
    X(HARD_SWISH, "hard_swish", "x * min(1, max(0, x / 6 + 1 / 2))")                                                   \
    X(MISH, "mish", "x * tanh(softplus(x))")                                                                           \
    X(SOFTSIGN, "softsign", "x / (1 + |x|)")                                                                           \
    X(SOFTCAP, "softcap", "a * tanh(x / a)")                                                                           \
    X(EXP, "exp", "exp(x)")                                                                                            \
    X(LOG, "log", "log(x)")                                                                                            \
    X(ERF, "erf", "erf(x)")                                                                                            \
    X(SQRT, "sqrt", "sqrt(x)")                                                                                         \
    X(RECIPROCAL, "reciprocal", "1 / x")                                                                               \
    X(NEG, "neg", "-x")                                                                                                \
    X(ABS, "abs", "|x|")                                                                                               \
    X(SIN, "sin", "sin(x)")                                                                                            \
    X(COS, "cos", "cos(x)")                                                                                            \
    X(CLIP, "clip", "min(b, max(a, x))")                                                                               \
    X(AFFINE, "affine", "a * x + b, rounded twice")

typedef enum olk_act {
#define OLK_ACT_ENUM_(name, text, def) OLK_ACT_##name,
    OLK_ACTS(OLK_ACT_ENUM_)
#undef OLK_ACT_ENUM_
        OLK_N_ACTS
} olk_act;

typedef struct olk_activation {
    const char *name;
    uint64_t cpu;
    void (*unary)(olk_act f, float a, float b, const float *x, float *y, int64_t n);
    /* y = f(g) * u; y may be g or u. */
    void (*gated)(olk_act f, float a, float b, const float *g, const float *u, float *y, int64_t n);
    /* gpt-oss: g' = min(g, limit), u' = clip(u, -limit, limit); y = g' * sigmoid(alpha * g') * (u' + 1). */
    void (*swiglu_clipped)(float alpha, float limit, const float *g, const float *u, float *y, int64_t n);
} olk_activation;

/* Best variant under these CPU flags; never NULL. */
const olk_activation *olk_activation_select(uint64_t cpu);
const olk_activation *const *olk_activation_variants(int *count);
/* "silu" ...; OLK_N_ACTS when unknown. */
olk_act olk_act_from_name(const char *name);
const char *olk_act_name(olk_act f);

#endif
