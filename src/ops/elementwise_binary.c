/* SPDX-License-Identifier: Apache-2.0 */
/* Elementwise functions of two or more broadcast inputs: floats in double, signed and unsigned integers exactly. */
#include "ops/ops.h"

typedef struct binary {
    double (*f)(double a, double b);
    int64_t (*s)(int64_t a, int64_t b); /* NULL: not for integers */
    uint64_t (*u)(uint64_t a, uint64_t b);
    bool compares; /* the result is bool */
} binary;

static olv_status eval_pair(const binary *op, const ol_tensor *a, const ol_tensor *b, ol_tensor *y, ol_walk *w,
                            olv_error *err) {
    char cls = ol_dtype_class(a->dtype);
    if (a->dtype != b->dtype)
        return ol_fail(err, OLV_SHAPE, "inputs of types %s and %s found, equal types expected",
                       ol_dtype_name(a->dtype), ol_dtype_name(b->dtype));
    if (cls == 'f' ? !op->f : cls == 's' || cls == 'b' ? !op->s : cls == 'u' ? !op->u : true)
        return ol_fail(err, OLV_UNSUPPORTED, "elements of type %s", ol_dtype_name(a->dtype));
    for (int64_t i = 0; i < w->count; i++, ol_walk_next(w)) {
        int64_t ia = w->at[0], ib = w->at[1];
        if (cls == 'f') {
            double r = op->f(ol_tensor_get(a, ia), ol_tensor_get(b, ib));
            if (op->compares) ol_tensor_set_i64(y, i, r != 0);
            else ol_tensor_set(y, i, r);
        } else if (cls == 'u') {
            ol_tensor_set_i64(y, i, (int64_t)op->u((uint64_t)ol_tensor_i64(a, ia), (uint64_t)ol_tensor_i64(b, ib)));
        } else {
            ol_tensor_set_i64(y, i, op->s(ol_tensor_i64(a, ia), ol_tensor_i64(b, ib)));
        }
    }
    return OLV_OK;
}

static olv_status eval_fold(ol_eval *c, const binary *op, olv_error *err) {
    const ol_tensor *a, *b;
    ol_tensor *y;
    OL_TRY(ol_eval_need(c, 0, &a, err));
    if (c->node->n_inputs == 1) return ol_datum_copy(&c->out[0], c->in[0], err);
    ol_tensor acc = {.dtype = OL_DTYPE_NONE};
    olv_status s = OLV_OK;
    for (int i = 1; s == OLV_OK && i < c->node->n_inputs; i++) {
        ol_walk w;
        ol_tensor next = {.dtype = OL_DTYPE_NONE};
        const ol_tensor *left = i == 1 ? a : &acc;
        s = ol_eval_need(c, i, &b, err);
        if (s == OLV_OK) s = ol_walk_init(&w, (const ol_tensor *[]){left, b}, 2, err);
        bool last = i + 1 == c->node->n_inputs;
        ol_dtype d = op->compares ? OL_BOOL : a->dtype;
        y = &next;
        if (s == OLV_OK)
            s = last ? ol_eval_out(c, 0, d, w.rank, w.dims, &y, err) : ol_tensor_init(&next, d, w.rank, w.dims, err);
        if (s == OLV_OK) s = eval_pair(op, left, b, y, &w, err);
        ol_tensor_deinit(&acc);
        acc = next;
    }
    ol_tensor_deinit(&acc);
    return s;
}

static double add_f(double a, double b) { return a + b; }
static int64_t add_s(int64_t a, int64_t b) { return (int64_t)((uint64_t)a + (uint64_t)b); }
static uint64_t add_u(uint64_t a, uint64_t b) { return a + b; }
static double sub_f(double a, double b) { return a - b; }
static int64_t sub_s(int64_t a, int64_t b) { return (int64_t)((uint64_t)a - (uint64_t)b); }
static uint64_t sub_u(uint64_t a, uint64_t b) { return a - b; }
static double mul_f(double a, double b) { return a * b; }
static int64_t mul_s(int64_t a, int64_t b) { return (int64_t)((uint64_t)a * (uint64_t)b); }
static uint64_t mul_u(uint64_t a, uint64_t b) { return a * b; }
static double div_f(double a, double b) { return a / b; }
static int64_t div_s(int64_t a, int64_t b) { return b == 0 ? 0 : b == -1 ? (int64_t)(0 - (uint64_t)a) : a / b; }
static uint64_t div_u(uint64_t a, uint64_t b) { return b ? a / b : 0; }
static double max_f(double a, double b) { return isnan(a) ? a : isnan(b) || b > a ? b : a; }
static int64_t max_s(int64_t a, int64_t b) { return a > b ? a : b; }
static uint64_t max_u(uint64_t a, uint64_t b) { return a > b ? a : b; }
static double min_f(double a, double b) { return isnan(a) ? a : isnan(b) || b < a ? b : a; }
static int64_t min_s(int64_t a, int64_t b) { return a < b ? a : b; }
static uint64_t min_u(uint64_t a, uint64_t b) { return a < b ? a : b; }
static double prelu_f(double a, double b) { return a < 0 ? a * b : a; }
static int64_t prelu_s(int64_t a, int64_t b) { return a < 0 ? mul_s(a, b) : a; }
static uint64_t prelu_u(uint64_t a, uint64_t b) { return b ? a : a; }
static int64_t and_s(int64_t a, int64_t b) { return a & b; }
static uint64_t and_u(uint64_t a, uint64_t b) { return a & b; }
static int64_t or_s(int64_t a, int64_t b) { return a | b; }
static uint64_t or_u(uint64_t a, uint64_t b) { return a | b; }
static int64_t xor_s(int64_t a, int64_t b) { return a ^ b; }
static uint64_t xor_u(uint64_t a, uint64_t b) { return a ^ b; }

#define COMPARE(name, op)                                                                          \
    static double name##_f(double a, double b) { return a op b; }                                  \
    static int64_t name##_s(int64_t a, int64_t b) { return a op b; }                               \
    static uint64_t name##_u(uint64_t a, uint64_t b) { return a op b; }
COMPARE(lt, <)
COMPARE(le, <=)
COMPARE(gt, >)
COMPARE(ge, >=)

/* X(Name, float, signed, unsigned, compares, most inputs, summary) */
#define BINARY(X)                                                                                  \
    X(Add, add_f, add_s, add_u, false, 2, "a + b")                                                 \
    X(Sub, sub_f, sub_s, sub_u, false, 2, "a - b")                                                 \
    X(Mul, mul_f, mul_s, mul_u, false, 2, "a b")                                                   \
    X(Div, div_f, div_s, div_u, false, 2, "a / b; integers truncate")                              \
    X(PRelu, prelu_f, prelu_s, prelu_u, false, 2, "slope x below zero, else x")                    \
    X(BitwiseAnd, NULL, and_s, and_u, false, 2, "bits of both")                                    \
    X(BitwiseOr, NULL, or_s, or_u, false, 2, "bits of either")                                     \
    X(BitwiseXor, NULL, xor_s, xor_u, false, 2, "bits of one only")                                \
    X(And, NULL, and_s, NULL, true, 2, "both")                                                     \
    X(Or, NULL, or_s, NULL, true, 2, "either")                                                     \
    X(Xor, NULL, xor_s, NULL, true, 2, "one only")                                                 \
    X(Less, lt_f, lt_s, lt_u, true, 2, "a < b")                                                    \
    X(LessOrEqual, le_f, le_s, le_u, true, 2, "a <= b")                                            \
    X(Greater, gt_f, gt_s, gt_u, true, 2, "a > b")                                                 \
    X(GreaterOrEqual, ge_f, ge_s, ge_u, true, 2, "a >= b")                                         \
    X(Max, max_f, max_s, max_u, false, -1, "largest of the inputs")                                \
    X(Min, min_f, min_s, min_u, false, -1, "smallest of the inputs")                               \
    X(Sum, add_f, add_s, add_u, false, -1, "sum of the inputs")

#define DEFINE(Name, f, s, u, cmp, most, text)                                                     \
    static olv_status eval_##Name(ol_eval *c, olv_error *err) {                                    \
        static const binary op = {f, s, u, cmp};                                                   \
        return eval_fold(c, &op, err);                                                             \
    }                                                                                              \
    extern const ol_op ol_op_##Name;                                                               \
    const ol_op ol_op_##Name = {"", #Name, text, most < 0 ? 1 : most, most, 1, 1, NULL, 0,         \
                                cmp ? ol_infer_compare : ol_infer_elementwise, eval_##Name,        \
                                NULL, false, true};
BINARY(DEFINE)
