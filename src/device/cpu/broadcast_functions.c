/* SPDX-License-Identifier: Apache-2.0 */
/* The functions of elementwise operators, as loops over one run of elements. Values and rounding
 * are those of the reference evaluation: floats rounded once, i64 wrapping around, quotients
 * truncated, division by zero giving 0. */
#include "device/cpu/broadcast.h"
#include "graph/op.h"
#include <math.h>
#include <string.h>

#define LOOP2(name, in_t, out_t, expr)                                                   \
    static void name(const void *const *in, const int64_t *step, void *out, int64_t n) { \
        const in_t *pa = in[0], *pb = in[1];                                             \
        out_t *y = out;                                                                  \
        for (int64_t i = 0; i < n; i++) {                                                \
            const in_t a = pa[i * step[0]], b = pb[i * step[1]];                         \
            y[i] = expr;                                                                 \
        }                                                                                \
    }
#define LOOP1(name, in_t, out_t, expr)                                                   \
    static void name(const void *const *in, const int64_t *step, void *out, int64_t n) { \
        const in_t *pa = in[0];                                                          \
        out_t *y = out;                                                                  \
        for (int64_t i = 0; i < n; i++) {                                                \
            const in_t a = pa[i * step[0]];                                              \
            y[i] = expr;                                                                 \
        }                                                                                \
    }

static float mod_sign(float a, float b) {
    float r = fmodf(a, b);
    return r != 0 && (r < 0) != (b < 0) ? r + b : r;
}
static int64_t div_int(int64_t a, int64_t b) {
    return b == 0 ? 0 : b == -1 ? (int64_t)(0 - (uint64_t)a) : a / b;
}
static int64_t rem_int(int64_t a, int64_t b) {
    return b == 0 || b == -1 ? 0 : a % b;
}
static int64_t mod_int(int64_t a, int64_t b) {
    int64_t r = rem_int(a, b);
    return r != 0 && (r < 0) != (b < 0) ? r + b : r;
}
static int64_t pow_int(int64_t base, int64_t e) {
    uint64_t r = 1, x = (uint64_t)base;
    if (e < 0) return base == 1 ? 1 : base == -1 ? (e & 1 ? -1 : 1) : 0;
    for (; e; e >>= 1, x *= x)
        if (e & 1) r *= x;
    return (int64_t)r;
}
/* Truncates; what does not fit becomes the smallest number. */
static int64_t to_int(float a) {
    return a >= -9223372036854775808.0f && a < 9223372036854775808.0f ? (int64_t)a : INT64_MIN;
}

LOOP2(add_f, float, float, a + b)
LOOP2(sub_f, float, float, a - b)
LOOP2(mul_f, float, float, a *b)
LOOP2(div_f, float, float, a / b)
LOOP2(max_f, float, float, isnan(a) ? a : isnan(b) || b > a ? b : a)
LOOP2(min_f, float, float, isnan(a) ? a : isnan(b) || b < a ? b : a)
LOOP2(pow_f, float, float, (float)pow((double)a, (double)b))
LOOP2(fmod_f, float, float, fmodf(a, b))
LOOP2(mod_f, float, float, mod_sign(a, b))
LOOP2(prelu_f, float, float, a < 0 ? a * b : a)
LOOP2(lt_f, float, int64_t, a < b)
LOOP2(le_f, float, int64_t, a <= b)
LOOP2(gt_f, float, int64_t, a > b)
LOOP2(ge_f, float, int64_t, a >= b)
LOOP2(eq_f, float, int64_t, a == b)
LOOP2(add_s, int64_t, int64_t, (int64_t)((uint64_t)a + (uint64_t)b))
LOOP2(sub_s, int64_t, int64_t, (int64_t)((uint64_t)a - (uint64_t)b))
LOOP2(mul_s, int64_t, int64_t, (int64_t)((uint64_t)a *(uint64_t)b))
LOOP2(div_s, int64_t, int64_t, div_int(a, b))
LOOP2(max_s, int64_t, int64_t, a > b ? a : b)
LOOP2(min_s, int64_t, int64_t, a < b ? a : b)
LOOP2(pow_s, int64_t, int64_t, pow_int(a, b))
LOOP2(rem_s, int64_t, int64_t, rem_int(a, b))
LOOP2(mod_s, int64_t, int64_t, mod_int(a, b))
LOOP2(lt_s, int64_t, int64_t, a < b)
LOOP2(le_s, int64_t, int64_t, a <= b)
LOOP2(gt_s, int64_t, int64_t, a > b)
LOOP2(ge_s, int64_t, int64_t, a >= b)
LOOP2(eq_s, int64_t, int64_t, a == b)
LOOP2(and_s, int64_t, int64_t, a &b)
LOOP2(or_s, int64_t, int64_t, a | b)
LOOP2(xor_s, int64_t, int64_t, a ^ b)
LOOP1(not_s, int64_t, int64_t, !a)
LOOP1(copy_f, float, float, a)
LOOP1(copy_s, int64_t, int64_t, a)
LOOP1(neg_s, int64_t, int64_t, (int64_t)(0 - (uint64_t)a))
LOOP1(abs_s, int64_t, int64_t, a < 0 ? (int64_t)(0 - (uint64_t)a) : a)
LOOP1(f_to_s, float, int64_t, to_int(a))
LOOP1(f_to_b, float, int64_t, a != 0)
LOOP1(s_to_f, int64_t, float, (float)a)
LOOP1(s_to_b, int64_t, int64_t, a != 0)

#define WHERE(name, type)                                                                        \
    static void name(const void *const *in, const int64_t *step, void *out, int64_t n) {         \
        const int64_t *c = in[0];                                                                \
        const type *a = in[1], *b = in[2];                                                       \
        type *y = out;                                                                           \
        for (int64_t i = 0; i < n; i++) y[i] = c[i * step[0]] ? a[i * step[1]] : b[i * step[2]]; \
    }
WHERE(where_f, float)
WHERE(where_s, int64_t)

static const struct {
    const char *name;
    ol_cpu_inner *f, *s; /* of float inputs, of i64 or bool inputs */
} functions[] = {{"Add", add_f, add_s},          {"Sub", sub_f, sub_s},
                 {"Mul", mul_f, mul_s},          {"Div", div_f, div_s},
                 {"Max", max_f, max_s},          {"Min", min_f, min_s},
                 {"Sum", add_f, add_s},          {"Pow", pow_f, pow_s},
                 {"PRelu", prelu_f, NULL},       {"Less", lt_f, lt_s},
                 {"LessOrEqual", le_f, le_s},    {"Greater", gt_f, gt_s},
                 {"GreaterOrEqual", ge_f, ge_s}, {"Equal", eq_f, eq_s},
                 {"And", NULL, and_s},           {"Or", NULL, or_s},
                 {"Xor", NULL, xor_s},           {"BitwiseAnd", NULL, and_s},
                 {"BitwiseOr", NULL, or_s},      {"BitwiseXor", NULL, xor_s},
                 {"Not", NULL, not_s},           {"Neg", NULL, neg_s},
                 {"Abs", NULL, abs_s},           {"Expand", copy_f, copy_s}};

static char class_of(const ol_value *v) {
    if (ol_dtype_class(v->type.dtype) == 'f') return 'f';
    return v->type.dtype == OL_I64 || v->type.dtype == OL_BOOL ? 's' : 0;
}

static ol_cpu_inner *cast_of(const ol_node *n) {
    char from = class_of(n->inputs[0]);
    ol_dtype to = n->outputs[0]->type.dtype;
    if (from == 'f')
        return to == OL_F32 ? copy_f : to == OL_I64 ? f_to_s : to == OL_BOOL ? f_to_b : NULL;
    return to == OL_F32 ? s_to_f : to == OL_I64 ? copy_s : to == OL_BOOL ? s_to_b : NULL;
}

ol_cpu_inner *ol_cpu_inner_of(const ol_node *n) {
    char c = class_of(n->inputs[0]);
    if (*n->op->domain || !c || !class_of(n->outputs[0])) return NULL;
    if (!strcmp(n->op->name, "Cast")) return cast_of(n);
    if (!strcmp(n->op->name, "Where")) {
        char of = class_of(n->outputs[0]);
        if (c != 's' || class_of(n->inputs[1]) != of || class_of(n->inputs[2]) != of) return NULL;
        return of == 'f' ? where_f : where_s;
    }
    if (strcmp(n->op->name, "Expand"))
        for (int i = 1; i < n->n_inputs; i++)
            if (!n->inputs[i] || class_of(n->inputs[i]) != c) return NULL;
    if (!strcmp(n->op->name, "Mod")) {
        bool truncates = ol_node_int(n, "fmod", 0) != 0;
        return c == 'f' ? (truncates ? fmod_f : mod_f) : truncates ? rem_s : mod_s;
    }
    for (size_t i = 0; i < sizeof functions / sizeof functions[0]; i++)
        if (!strcmp(functions[i].name, n->op->name))
            return c == 'f' ? functions[i].f : functions[i].s;
    return NULL;
}
