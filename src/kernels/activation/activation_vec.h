/* SPDX-License-Identifier: Apache-2.0 */
/* Body of the vector variants (see math/vec_x86.h). */
#include "base/cpu.h"
#include "kernels/activation/activation.h"
#include "kernels/math/math.h"
#include "kernels/math/vec_x86.h"

/* -inf times a factor that has become 0 would be NaN. */
VI vf finite_below(vf x) { return v_max(v_set1(-3.4e38f), x); }

VI vf softplus(vf x) {
    return v_add(v_max(v_set1(0), x), v_log1p_unit(v_exp(v_neg(v_abs(x)))));
}
VI vf unit(vf x) { return v_min(v_set1(1), v_max(v_set1(0), x)); }
VI vf elu(vf x, vf a) {
    return v_select(v_lt(v_set1(0), x), x, v_mul(a, v_expm1(v_min(v_set1(0), x))));
}
VI vf gelu(vf x) {
    return v_mul(v_mul(v_set1(0.5f), x), v_add(v_set1(1), v_erf(v_mul(x, v_set1(0.70710678f)))));
}
VI vf gelu_tanh(vf x) {
    vf cube = v_mul(v_mul(v_mul(v_set1(0.044715f), x), x), x);
    return v_mul(v_mul(v_set1(0.5f), x), v_add(v_set1(1), v_tanh(v_mul(v_set1(0.79788456f), v_add(x, cube)))));
}
VI vf softsign(vf x) {
    vf y = v_div(x, v_add(v_set1(1), v_abs(x)));
    return v_select(v_eq(v_abs(x), v_set1(INFINITY)), v_copysign(v_set1(1), x), y);
}
/* Lane by lane. */
static vf each(float (*f)(float), vf x) {
    float v[VW];
    v_store(v, x);
    for (int i = 0; i < VW; i++) v[i] = f(v[i]);
    return v_load(v);
}

VI vf value(olk_act f, vf a, vf b, vf x) {
    switch (f) {
    case OLK_ACT_SILU: return v_mul(finite_below(x), v_sigmoid(x));
    case OLK_ACT_GELU: return gelu(finite_below(x));
    case OLK_ACT_GELU_TANH: return gelu_tanh(finite_below(x));
    case OLK_ACT_QUICK_GELU: return v_mul(finite_below(x), v_sigmoid(v_mul(v_set1(1.702f), x)));
    case OLK_ACT_RELU: return v_max(v_set1(0), x);
    case OLK_ACT_RELU2: return v_mul(v_max(v_set1(0), x), v_max(v_set1(0), x));
    case OLK_ACT_SIGMOID: return v_sigmoid(x);
    case OLK_ACT_TANH: return v_tanh(x);
    case OLK_ACT_SOFTPLUS: return softplus(x);
    case OLK_ACT_ELU: return elu(x, a);
    case OLK_ACT_SELU: return v_mul(b, elu(x, a));
    case OLK_ACT_LEAKY_RELU: return v_select(v_lt(v_set1(0), x), x, v_mul(a, x));
    case OLK_ACT_HARD_SIGMOID: return unit(v_add(v_mul(a, x), b));
    case OLK_ACT_HARD_SWISH: return v_mul(finite_below(x), unit(v_add(v_div(x, v_set1(6)), v_set1(0.5f))));
    case OLK_ACT_MISH: return v_mul(finite_below(x), v_tanh(softplus(x)));
    case OLK_ACT_SOFTSIGN: return softsign(x);
    case OLK_ACT_SOFTCAP: return v_mul(a, v_tanh(v_div(x, a)));
    case OLK_ACT_EXP: return v_exp(x);
    case OLK_ACT_LOG: return v_log(x);
    case OLK_ACT_ERF: return v_erf(x);
    case OLK_ACT_SQRT: return v_sqrt(x);
    case OLK_ACT_RECIPROCAL: return v_div(v_set1(1), x);
    case OLK_ACT_NEG: return v_neg(x);
    case OLK_ACT_ABS: return v_abs(x);
    case OLK_ACT_SIN: return each(olk_sin, x);
    case OLK_ACT_COS: return each(olk_cos, x);
    case OLK_ACT_CLIP: return v_min(b, v_max(a, x));
    case OLK_ACT_AFFINE: return v_add(v_mul(a, x), b);
    default: return x;
    }
}

/* u NULL: not gated. */
VI void range(olk_act f, float a, float b, const float *x, const float *u, float *y, int64_t n) {
    vf va = v_set1(a), vb = v_set1(b);
    int64_t i = 0;
    for (; i + VW <= n; i += VW) {
        vf v = value(f, va, vb, v_load(x + i));
        v_store(y + i, u ? v_mul(v, v_load(u + i)) : v);
    }
    if (i < n) {
        vm m = v_first(n - i);
        vf v = value(f, va, vb, v_load_part(x + i, m));
        v_store_part(y + i, m, u ? v_mul(v, v_load_part(u + i, m)) : v);
    }
}

static void unary(olk_act f, float a, float b, const float *x, float *y, int64_t n) {
    switch (f) {
#define X(name, text, def)                                                                                             \
    case OLK_ACT_##name: range(OLK_ACT_##name, a, b, x, NULL, y, n); break;
        OLK_ACTS(X)
#undef X
    default: break;
    }
}

static void gated(olk_act f, float a, float b, const float *g, const float *u, float *y, int64_t n) {
    switch (f) {
#define X(name, text, def)                                                                                             \
    case OLK_ACT_##name: range(OLK_ACT_##name, a, b, g, u, y, n); break;
        OLK_ACTS(X)
#undef X
    default: break;
    }
}

static void swiglu_clipped(float alpha, float limit, const float *g, const float *u, float *y, int64_t n) {
    vf top = v_set1(limit), low = v_set1(-limit);
    for (int64_t i = 0; i < n; i += VW) {
        vf p = v_min(top, v_load_n(g + i, n - i)), q = v_max(low, v_min(top, v_load_n(u + i, n - i)));
        vf s = v_sigmoid(v_mul(v_set1(alpha), p));
        v_store_n(y + i, n - i, v_mul(v_mul(p, s), v_add(q, v_set1(1))));
    }
}
