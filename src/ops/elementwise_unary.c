/* SPDX-License-Identifier: Apache-2.0 */
/* Elementwise functions of one input, computed in double and rounded once. Integers take the paths named `exact`. */
#include "ops/ops.h"

static double sigmoid(double x) { return x >= 0 ? 1 / (1 + exp(-x)) : exp(x) / (1 + exp(x)); }
static double softplus(double x) { return x > 0 ? x + log1p(exp(-x)) : log1p(exp(x)); }
static double clamp01(double x) { return x < 0 ? 0 : x > 1 ? 1 : x; }

typedef double unary_fn(double x, double a, double b);
typedef int64_t exact_fn(int64_t x);

static int64_t exact_abs(int64_t x) { return x < 0 ? (int64_t)(0 - (uint64_t)x) : x; }
static int64_t exact_neg(int64_t x) { return (int64_t)(0 - (uint64_t)x); }
static int64_t exact_sign(int64_t x) { return (x > 0) - (x < 0); }
static int64_t exact_relu(int64_t x) { return x < 0 ? 0 : x; }
static int64_t exact_same(int64_t x) { return x; }
/* Marks functions that integers take through double: the result loses its fraction. */
static int64_t by_double(int64_t x) { return x; }

static olv_status eval_unary(ol_eval *c, unary_fn *fn, exact_fn *exact, double a, double b, olv_error *err) {
    const ol_tensor *x;
    ol_tensor *y;
    OL_TRY(ol_eval_need(c, 0, &x, err));
    bool is_int = ol_is_int(x->dtype);
    if (!ol_is_float(x->dtype) && !(is_int && exact))
        return ol_fail(err, OLV_UNSUPPORTED, "elements of type %s", ol_dtype_name(x->dtype));
    OL_TRY(ol_eval_out(c, 0, x->dtype, x->rank, x->dims, &y, err));
    int64_t n = ol_tensor_count(x);
    for (int64_t i = 0; i < n; i++) {
        if (!is_int || exact == by_double) {
            ol_tensor_set(y, i, fn(ol_tensor_get(x, i), a, b));
            continue;
        }
        int64_t v = ol_tensor_i64(x, i);
        bool is_huge = x->dtype == OL_U64 && v < 0; /* beyond int64: positive, whatever its sign bit says */
        ol_tensor_set_i64(y, i, !is_huge ? exact(v) : exact == exact_sign ? 1 : v);
    }
    return OLV_OK;
}

/* X(Name, attributes used, first name, default, second name, default, exact, expression in x, a, b, summary) */
#define UNARY(X)                                                                                                   \
    X(Abs, 0, "", 0, "", 0, exact_abs, fabs(x), "absolute value")                                                  \
    X(Acos, 0, "", 0, "", 0, NULL, acos(x), "arc cosine")                                                          \
    X(Acosh, 0, "", 0, "", 0, NULL, acosh(x), "inverse hyperbolic cosine")                                         \
    X(Asin, 0, "", 0, "", 0, NULL, asin(x), "arc sine")                                                            \
    X(Asinh, 0, "", 0, "", 0, NULL, asinh(x), "inverse hyperbolic sine")                                           \
    X(Atan, 0, "", 0, "", 0, NULL, atan(x), "arc tangent")                                                         \
    X(Atanh, 0, "", 0, "", 0, NULL, atanh(x), "inverse hyperbolic tangent")                                        \
    X(Ceil, 0, "", 0, "", 0, exact_same, ceil(x), "rounds up")                                                     \
    X(Celu, 1, "alpha", 1, "", 0, NULL, fmax(0, x) + fmin(0, a * expm1(x / a)), "max(0,x) + min(0, alpha (e^(x/alpha) - 1))") \
    X(Cos, 0, "", 0, "", 0, NULL, cos(x), "cosine")                                                                \
    X(Cosh, 0, "", 0, "", 0, NULL, cosh(x), "hyperbolic cosine")                                                   \
    X(Elu, 1, "alpha", 1, "", 0, NULL, x < 0 ? a * expm1(x) : x, "alpha (e^x - 1) below zero, else x")             \
    X(Erf, 0, "", 0, "", 0, by_double, erf(x), "error function")                                                   \
    X(Exp, 0, "", 0, "", 0, NULL, exp(x), "e^x")                                                                   \
    X(Floor, 0, "", 0, "", 0, exact_same, floor(x), "rounds down")                                                 \
    X(HardSigmoid, 2, "alpha", 0.2f, "beta", 0.5f, NULL, clamp01(a * x + b), "alpha x + beta within [0, 1]")       \
    X(HardSwish, 0, "", 0, "", 0, NULL, x * clamp01(x / 6 + 0.5), "x times HardSigmoid(x; 1/6, 0.5)")              \
    X(LeakyRelu, 1, "alpha", 0.01f, "", 0, NULL, x < 0 ? a * x : x, "alpha x below zero, else x")                  \
    X(Log, 0, "", 0, "", 0, NULL, log(x), "natural logarithm")                                                     \
    X(Mish, 0, "", 0, "", 0, NULL, x * tanh(softplus(x)), "x tanh(softplus(x))")                                   \
    X(Neg, 0, "", 0, "", 0, exact_neg, -x, "negation")                                                             \
    X(Reciprocal, 0, "", 0, "", 0, NULL, 1 / x, "1 / x")                                                           \
    X(Relu, 0, "", 0, "", 0, exact_relu, x < 0 ? 0 : x, "max(0, x)")                                               \
    X(Round, 0, "", 0, "", 0, NULL, nearbyint(x), "rounds to nearest, halves to even")                             \
    X(Selu, 2, "alpha", 1.67326319217681884765625f, "gamma", 1.05070102214813232421875f, NULL,                     \
      x > 0 ? b * x : b * a * expm1(x), "gamma x, or gamma alpha (e^x - 1)")                                       \
    X(Shrink, 2, "bias", 0, "lambd", 0.5f, by_double, x < -b ? x + a : x > b ? x - a : 0, "soft or hard shrinkage") \
    X(Sigmoid, 0, "", 0, "", 0, NULL, sigmoid(x), "1 / (1 + e^-x)")                                                \
    X(Sign, 0, "", 0, "", 0, exact_sign, (x > 0) - (x < 0), "-1, 0 or 1")                                          \
    X(Sin, 0, "", 0, "", 0, NULL, sin(x), "sine")                                                                  \
    X(Sinh, 0, "", 0, "", 0, NULL, sinh(x), "hyperbolic sine")                                                     \
    X(Softplus, 0, "", 0, "", 0, NULL, softplus(x), "ln(1 + e^x)")                                                 \
    X(Softsign, 0, "", 0, "", 0, NULL, x / (1 + fabs(x)), "x / (1 + |x|)")                                         \
    X(Sqrt, 0, "", 0, "", 0, NULL, sqrt(x), "square root")                                                         \
    X(Swish, 1, "alpha", 1, "", 0, NULL, x * sigmoid(a * x), "x sigmoid(alpha x)")                                 \
    X(Tan, 0, "", 0, "", 0, NULL, tan(x), "tangent")                                                               \
    X(Tanh, 0, "", 0, "", 0, NULL, tanh(x), "hyperbolic tangent")                                                  \
    X(ThresholdedRelu, 1, "alpha", 1, "", 0, NULL, x > a ? x : 0, "x above alpha, else 0")

#define DEFINE(Name, n, an, ad, bn, bd, exact, expr, text)                                                         \
    static double fn_##Name(double x, double a, double b) {                                                        \
        (void)a, (void)b;                                                                                          \
        return expr;                                                                                               \
    }                                                                                                              \
    static olv_status eval_##Name(ol_eval *c, olv_error *err) {                                                    \
        return eval_unary(c, fn_##Name, exact, (double)ol_node_float(c->node, an, ad),                             \
                          (double)ol_node_float(c->node, bn, bd), err);                                            \
    }                                                                                                              \
    static const ol_attr_spec attrs_##Name[] = {{an, OL_ATTR_FLOAT, false}, {bn, OL_ATTR_FLOAT, false}};           \
    extern const ol_op ol_op_##Name;                                                                               \
    const ol_op ol_op_##Name = {"", #Name, text, 1, 1, 1, 1, attrs_##Name, n, ol_infer_same, eval_##Name,          \
                                NULL, false, true};
UNARY(DEFINE)
