/* SPDX-License-Identifier: Apache-2.0 */
/* Arithmetic, activations, comparisons, reductions, conversions, matrix products. */
#include "base/error.h"
#include "formats/openvino/reader.h"
#include <math.h>
#include <stdio.h>
#include <strings.h>

static bool is_float(const ol_value *v) { return v && ol_dtype_class(v->type.dtype) == 'f'; }

static void truncated_mod(ol_ir *t) {
    ol_attr a = ol_attr_int("fmod", 1);
    ol_ir_result(t, 0, "Mod", (ol_value *[]){ol_ir_need(t, 0), ol_ir_need(t, 1)}, 2, &a, 1);
}

static void floor_mod(ol_ir *t) {
    ol_value *a = ol_ir_need(t, 0), *b = ol_ir_need(t, 1);
    if (is_float(a)) {
        ol_value *q = ol_ir_unary(t, "Floor", ol_ir_binary(t, "Div", a, b));
        ol_ir_result(t, 0, "Sub", (ol_value *[]){a, ol_ir_binary(t, "Mul", q, b)}, 2, NULL, 0);
    } else {
        ol_ir_result(t, 0, "Mod", (ol_value *[]){a, b}, 2, NULL, 0);
    }
}

static void squared_difference(ol_ir *t) {
    ol_value *d = ol_ir_binary(t, "Sub", ol_ir_need(t, 0), ol_ir_need(t, 1));
    ol_ir_result(t, 0, "Mul", (ol_value *[]){d, d}, 2, NULL, 0);
}

static void not_equal(ol_ir *t) {
    ol_value *e = ol_ir_binary(t, "Equal", ol_ir_need(t, 0), ol_ir_need(t, 1));
    ol_ir_result(t, 0, "Not", &e, 1, NULL, 0);
}

static void select_values(ol_ir *t) {
    ol_ir_result(t, 0, "Where", (ol_value *[]){ol_ir_need(t, 0), ol_ir_need(t, 1), ol_ir_need(t, 2)}, 3, NULL, 0);
}

static void shift(ol_ir *t) {
    ol_attr a = ol_attr_string("direction", strcasecmp(t->l->type, "BitwiseLeftShift") ? "RIGHT" : "LEFT");
    ol_value *x = ol_ir_need(t, 0), *n = ol_ir_need(t, 1);
    ol_dtype type = x ? x->type.dtype : OL_I32, wide = ol_dtype_bits(type) > 32 ? OL_U64 : OL_U32;
    if (x && ol_dtype_class(type) == 'u') {
        ol_ir_result(t, 0, "BitShift", (ol_value *[]){x, n}, 2, &a, 1);
        return;
    }
    x = ol_ir_op(t, "BitShift", (ol_value *[]){ol_ir_cast(t, x, wide), ol_ir_cast(t, n, wide)}, 2, &a, 1);
    ol_ir_set(t, 0, ol_ir_cast(t, x, type));
}

static void is_finite(ol_ir *t) {
    ol_value *x = ol_ir_need(t, 0), *bad = ol_ir_binary(t, "Or", ol_ir_unary(t, "IsInf", x), ol_ir_unary(t, "IsNaN", x));
    ol_ir_result(t, 0, "Not", &bad, 1, NULL, 0);
}

static void infinite(ol_ir *t) {
    ol_value *x = ol_ir_need(t, 0);
    ol_attr a[2] = {ol_attr_int("detect_negative", ol_ir_flag(t, "detect_negative", true)),
                    ol_attr_int("detect_positive", ol_ir_flag(t, "detect_positive", true))};
    ol_ir_result(t, 0, "IsInf", &x, 1, a, 2);
}

/* ---- activations ---- */

static void clamp(ol_ir *t) {
    ol_value *x = ol_ir_need(t, 0);
    ol_dtype type = x ? x->type.dtype : OL_F32;
    double lo = ol_ir_attr_real(t, "min", -INFINITY), hi = ol_ir_attr_real(t, "max", INFINITY);
    if (!is_float(x)) lo = ceil(lo), hi = floor(hi);
    ol_ir_result(t, 0, "Clip", (ol_value *[]){x, ol_ir_number(t, lo, type), ol_ir_number(t, hi, type)}, 3, NULL, 0);
}

static void elu(ol_ir *t) {
    ol_value *x = ol_ir_need(t, 0);
    ol_attr a = ol_attr_float("alpha", (float)ol_ir_attr_real(t, "alpha", 1));
    ol_ir_result(t, 0, "Elu", &x, 1, &a, 1);
}

/* Operators whose parameters are inputs here and attributes there. */
static void parametric(ol_ir *t) {
    bool selu = !strcasecmp(t->l->type, "Selu");
    ol_value *x = ol_ir_need(t, 0);
    double p[2] = {0, 0};
    for (int i = 0; i < 2; i++)
        if (!ol_ir_const_real(t, i + 1, &p[i])) ol_ir_fail(t, OLV_UNSUPPORTED, "parameter %d that is no constant", i + 1);
    ol_attr a[2] = {ol_attr_float("alpha", (float)p[0]), ol_attr_float(selu ? "gamma" : "beta", (float)p[1])};
    ol_ir_result(t, 0, selu ? "Selu" : "HardSigmoid", &x, 1, a, 2);
}

static void hsigmoid(ol_ir *t) {
    ol_value *x = ol_ir_need(t, 0);
    ol_attr a[2] = {ol_attr_float("alpha", 1.0f / 6), ol_attr_float("beta", 0.5f)};
    ol_ir_result(t, 0, "HardSigmoid", &x, 1, a, 2);
}

static void swish(ol_ir *t) {
    ol_value *x = ol_ir_need(t, 0);
    double beta = 1;
    if (ol_ir_has(t, 1) && !ol_ir_const_real(t, 1, &beta)) {
        ol_value *gate = ol_ir_unary(t, "Sigmoid", ol_ir_binary(t, "Mul", x, ol_ir_in(t, 1)));
        ol_ir_result(t, 0, "Mul", (ol_value *[]){x, gate}, 2, NULL, 0);
        return;
    }
    ol_attr a = ol_attr_float("alpha", (float)beta);
    ol_ir_result(t, 0, "Swish", &x, 1, &a, 1);
}

static void gelu(ol_ir *t) {
    ol_value *x = ol_ir_need(t, 0);
    ol_attr a = ol_attr_string("approximate", ol_ir_text_is(t, "approximation_mode", "erf", "tanh") ? "tanh" : "none");
    ol_ir_result(t, 0, "Gelu", &x, 1, &a, 1);
}

/* A slope of one dimension belongs to the channels when it has as many elements. */
static void prelu(ol_ir *t) {
    ol_value *x = ol_ir_need(t, 0), *s = ol_ir_need(t, 1);
    int rank = ol_ir_rank(t, x);
    bool channels = rank > 2 && (!ol_dim_known(x->type.dims[1]) || (s && s->type.dims[0] == x->type.dims[1]));
    if (s && s->type.rank == 1 && s->type.dims[0] != 1 && channels) {
        int64_t dims[OL_MAX_RANK] = {-1};
        for (int i = 1; i < rank - 1; i++) dims[i] = 1;
        s = ol_ir_binary(t, "Reshape", s, ol_ir_ints(t, dims, rank - 1));
    }
    ol_ir_result(t, 0, "PRelu", (ol_value *[]){x, s}, 2, NULL, 0);
}

/* Halves go to the even number, or away from zero: sign(x) floor(|x| + 0.5). */
static void round_half(ol_ir *t) {
    ol_value *x = ol_ir_need(t, 0);
    if (!ol_ir_text_is(t, "mode", "half_to_even", "half_away_from_zero")) {
        ol_ir_result(t, 0, "Round", &x, 1, NULL, 0);
        return;
    }
    ol_value *half = ol_ir_number(t, 0.5, x ? x->type.dtype : OL_F32);
    ol_value *whole = ol_ir_unary(t, "Floor", ol_ir_binary(t, "Add", ol_ir_unary(t, "Abs", x), half));
    ol_ir_result(t, 0, "Mul", (ol_value *[]){ol_ir_unary(t, "Sign", x), whole}, 2, NULL, 0);
}

static void along_axis(ol_ir *t) {
    bool log = !strcasecmp(t->l->type, "LogSoftmax");
    ol_value *x = ol_ir_need(t, 0);
    ol_attr a = ol_attr_int("axis", ol_ir_attr_int(t, "axis", 1));
    ol_ir_result(t, 0, log ? "LogSoftmax" : "Softmax", &x, 1, &a, 1);
}

/* ---- reductions ---- */

static ol_value *reduced(ol_ir *t, const char *op, ol_value *x, bool named) {
    ol_value *axes = ol_ir_vector(t, ol_ir_need(t, 1));
    ol_attr a[2] = {ol_attr_int("keepdims", ol_ir_flag(t, "keep_dims", false)), ol_attr_int("noop_with_empty_axes", 1)};
    ol_value *in[2] = {x, axes};
    return named ? ol_ir_result(t, 0, op, in, 2, a, 2) : ol_ir_op(t, op, in, 2, a, 2);
}

static void reduce(ol_ir *t) {
    char op[32];
    snprintf(op, sizeof op, "%.31s", t->l->type); /* ReduceSum and so on are named as ONNX names them */
    reduced(t, op, ol_ir_need(t, 0), true);
}

static void reduce_logical(ol_ir *t) {
    ol_value *x = ol_ir_cast(t, ol_ir_need(t, 0), OL_I32);
    ol_ir_set(t, 0, ol_ir_cast(t, reduced(t, strcasecmp(t->l->type, "ReduceLogicalAnd") ? "ReduceMax" : "ReduceMin", x, false), OL_BOOL));
}

static void cum_sum(ol_ir *t) {
    ol_value *x = ol_ir_need(t, 0), *axis = ol_ir_i64(t, ol_ir_need(t, 1));
    ol_attr a[2] = {ol_attr_int("exclusive", ol_ir_flag(t, "exclusive", false)), ol_attr_int("reverse", ol_ir_flag(t, "reverse", false))};
    ol_ir_result(t, 0, "CumSum", (ol_value *[]){x, axis}, 2, a, 2);
}

/* ---- conversions ---- */

static void cast_to(ol_ir *t, int i, ol_value *x, ol_dtype to) {
    ol_attr a = ol_attr_int("to", ol_dtype_onnx(to));
    if (x && x->type.dtype == to) {
        ol_ir_set(t, i, x);
    } else if (x && x->constant && !x->is_input && ol_const_quant_form(x->constant) && ol_dtype_class(to) == 'f') {
        ol_ir_set(t, i, x); /* a decompressed weight is what it is */
    } else {
        ol_ir_result(t, i, "Cast", &x, 1, &a, 1);
    }
}

/* A constant of floats stays a view over the file. */
static void convert(ol_ir *t) {
    ol_dtype to = ol_ir_attr_type(t, "destination_type", OL_DTYPE_NONE);
    ol_value *x = ol_ir_need(t, 0);
    if (to == OL_DTYPE_NONE) ol_ir_fail(t, OLV_FORMAT, "no destination_type");
    bool view = is_float(x) && x->constant && !x->is_input && !ol_const_quant_form(x->constant) && ol_dtype_class(to) == 'f' &&
                ol_dtype_bits(to) >= 16 && ol_dtype_bits(x->type.dtype) >= 16 && to != OL_F64 && x->type.dtype != OL_F64;
    if (!view || t->status != OLV_OK) {
        cast_to(t, 0, x, to);
        return;
    }
    ol_const *c = ol_const_cast(x->constant, to, t->err);
    ol_value *v = c ? ol_graph_add_constant(t->g, ol_ir_output_name(t, 0), c, t->err) : NULL;
    if (!v) t->status = t->err->status;
    ol_ir_set(t, 0, v);
}

static void convert_like(ol_ir *t) {
    const ol_value *like = ol_ir_need(t, 1);
    ol_value *x = ol_ir_need(t, 0);
    if (like && x) cast_to(t, 0, x, like->type.dtype != OL_DTYPE_NONE ? like->type.dtype : ol_ir_out_type(t, 0));
}

static void promote(ol_ir *t) {
    for (int i = 0; i < 2; i++) cast_to(t, i, ol_ir_need(t, i), ol_ir_out_type(t, i));
}

static void identity(ol_ir *t) { ol_ir_set(t, 0, ol_ir_need(t, 0)); }

/* ---- products ---- */

static ol_value *swapped(ol_ir *t, ol_value *x) {
    int64_t perm[OL_MAX_RANK];
    int rank = ol_ir_rank(t, x);
    if (t->status != OLV_OK || rank < 2) return x; /* vectors are what they are */
    for (int i = 0; i < rank; i++) perm[i] = i;
    perm[rank - 1] = rank - 2;
    perm[rank - 2] = rank - 1;
    if (rank > 2 || !x->constant || x->is_input) return ol_ir_transpose(t, x, perm, rank);
    ol_const *c = ol_const_transpose(x->constant, t->err);
    ol_value *v = c ? ol_graph_add_constant(t->g, NULL, c, t->err) : NULL;
    if (!v) t->status = t->err->status;
    return v;
}

static void matmul(ol_ir *t) {
    ol_value *a = ol_ir_need(t, 0), *b = ol_ir_need(t, 1);
    bool ta = ol_ir_flag(t, "transpose_a", false), tb = ol_ir_flag(t, "transpose_b", false);
    if (t->status != OLV_OK) return;
    if (ta) a = swapped(t, a);
    bool weight = tb && b->constant && !b->is_input && b->type.rank == 2 && ol_const_quant_form(b->constant) && a && a->type.rank != 1;
    if (weight) {
        ol_ir_result(t, 0, "olivine.Linear", (ol_value *[]){a, b}, 2, NULL, 0);
        return;
    }
    if (tb) b = swapped(t, b);
    ol_ir_result(t, 0, "MatMul", (ol_value *[]){a, b}, 2, NULL, 0);
}

static void einsum(ol_ir *t) {
    ol_value *in[OL_IR_MAX_INTS];
    ol_attr a = ol_attr_string("equation", ol_ir_text(t, "equation", ""));
    int n = t->l->n_in < OL_IR_MAX_INTS ? t->l->n_in : OL_IR_MAX_INTS;
    for (int i = 0; i < n; i++) in[i] = ol_ir_need(t, i);
    ol_ir_result(t, 0, "Einsum", in, n, &a, 1);
}

/* ---- quantizers ---- */

/* A range of 256 steps for all of x, the same on both sides and with 0 on one of them, is what QuantizeLinear and
 * DequantizeLinear of u8 say: devices know those best. */
static bool as_eight_bits(ol_ir *t, ol_value *x, int64_t levels) {
    double v[4];
    if (levels != 256 || !x || (x->constant && !x->is_input) || x->type.dtype != OL_F32) return false;
    for (int i = 0; i < 4; i++)
        if (!ol_ir_const_real(t, i + 1, &v[i])) return false;
    double width = v[1] - v[0], scale = width / 255, zero = -v[0] / scale, whole = nearbyint(zero);
    if (!(width > 0) || v[2] != v[0] || v[3] != v[1] || whole < 0 || whole > 255 || fabs(zero - whole) > 1e-3) return false;
    ol_value *s = ol_ir_number(t, scale, OL_F32), *z = ol_ir_number(t, whole, OL_U8);
    ol_value *codes = ol_ir_op(t, "QuantizeLinear", (ol_value *[]){x, s, z}, 3, NULL, 0);
    ol_ir_result(t, 0, "DequantizeLinear", (ol_value *[]){codes, s, z}, 3, NULL, 0);
    return true;
}

static void fake_quantize(ol_ir *t) {
    ol_value *in[5];
    int64_t levels = ol_ir_attr_int(t, "levels", 256);
    ol_attr a = ol_attr_int("levels", levels);
    for (int i = 0; i < 5; i++) in[i] = ol_ir_need(t, i);
    if (!as_eight_bits(t, in[0], levels)) ol_ir_result(t, 0, "olivine.FakeQuantize", in, 5, &a, 1);
}

/* (float8(x scale - shift) + shift) / scale */
static void fake_convert(ol_ir *t) {
    ol_dtype to = ol_ir_attr_type(t, "destination_type", OL_F8E4M3);
    ol_value *x = ol_ir_need(t, 0), *scale = ol_ir_need(t, 1), *shift = ol_ir_in(t, 2);
    ol_dtype type = x ? x->type.dtype : OL_F32;
    ol_value *y = ol_ir_binary(t, "Mul", x, scale);
    if (shift) y = ol_ir_binary(t, "Sub", y, shift);
    y = ol_ir_cast(t, ol_ir_cast(t, y, to), type);
    if (shift) y = ol_ir_binary(t, "Add", y, shift);
    ol_ir_result(t, 0, "Div", (ol_value *[]){y, scale}, 2, NULL, 0);
}

const ol_ir_operation ol_ir_math[] = {
    {"Abs", NULL, "Abs"}, {"Acos", NULL, "Acos"}, {"Acosh", NULL, "Acosh"}, {"Asin", NULL, "Asin"}, {"Asinh", NULL, "Asinh"},
    {"Atan", NULL, "Atan"}, {"Atanh", NULL, "Atanh"}, {"Ceiling", NULL, "Ceil"}, {"Cos", NULL, "Cos"}, {"Cosh", NULL, "Cosh"},
    {"Erf", NULL, "Erf"}, {"Exp", NULL, "Exp"}, {"Floor", NULL, "Floor"}, {"Log", NULL, "Log"}, {"Negative", NULL, "Neg"},
    {"Sign", NULL, "Sign"}, {"Sin", NULL, "Sin"}, {"Sinh", NULL, "Sinh"}, {"Sqrt", NULL, "Sqrt"}, {"Tan", NULL, "Tan"},
    {"Tanh", NULL, "Tanh"}, {"ReLU", NULL, "Relu"}, {"Sigmoid", NULL, "Sigmoid"}, {"HSwish", NULL, "HardSwish"}, {"Mish", NULL, "Mish"},
    {"SoftPlus", NULL, "Softplus"}, {"SoftSign", NULL, "Softsign"}, {"LogicalNot", NULL, "Not"}, {"BitwiseNot", NULL, "BitwiseNot"},
    {"IsNaN", NULL, "IsNaN"},
    {"Add", NULL, "Add"}, {"Subtract", NULL, "Sub"}, {"Maximum", NULL, "Max"}, {"Minimum", NULL, "Min"}, {"Power", NULL, "Pow"},
    {"Equal", NULL, "Equal"}, {"Greater", NULL, "Greater"}, {"GreaterEqual", NULL, "GreaterOrEqual"}, {"Less", NULL, "Less"}, {"LessEqual", NULL, "LessOrEqual"},
    {"LogicalAnd", NULL, "And"}, {"LogicalOr", NULL, "Or"}, {"LogicalXor", NULL, "Xor"}, {"Xor", NULL, "Xor"},
    {"BitwiseAnd", NULL, "BitwiseAnd"}, {"BitwiseOr", NULL, "BitwiseOr"}, {"BitwiseXor", NULL, "BitwiseXor"},
    {"Multiply", NULL, "Mul"}, {"Divide", NULL, "Div"}, {"Mod", truncated_mod, NULL}, {"FloorMod", floor_mod, NULL},
    {"SquaredDifference", squared_difference, NULL}, {"NotEqual", not_equal, NULL}, {"Select", select_values, NULL},
    {"BitwiseLeftShift", shift, NULL}, {"BitwiseRightShift", shift, NULL}, {"IsFinite", is_finite, NULL}, {"IsInf", infinite, NULL},
    {"Clamp", clamp, NULL}, {"Elu", elu, NULL}, {"Selu", parametric, NULL}, {"HardSigmoid", parametric, NULL},
    {"HSigmoid", hsigmoid, NULL}, {"Swish", swish, NULL}, {"Gelu", gelu, NULL}, {"PReLU", prelu, NULL}, {"Round", round_half, NULL},
    {"SoftMax", along_axis, NULL}, {"LogSoftmax", along_axis, NULL},
    {"ReduceSum", reduce, NULL}, {"ReduceMean", reduce, NULL}, {"ReduceMax", reduce, NULL}, {"ReduceMin", reduce, NULL},
    {"ReduceProd", reduce, NULL}, {"ReduceL1", reduce, NULL}, {"ReduceL2", reduce, NULL},
    {"ReduceLogicalAnd", reduce_logical, NULL}, {"ReduceLogicalOr", reduce_logical, NULL}, {"CumSum", cum_sum, NULL},
    {"Convert", convert, NULL}, {"ConvertLike", convert_like, NULL}, {"ConvertPromoteTypes", promote, NULL}, {"Identity", identity, NULL},
    {"MatMul", matmul, NULL}, {"Einsum", einsum, NULL}, {"FakeQuantize", fake_quantize, NULL}, {"FakeConvert", fake_convert, NULL},
    {NULL, NULL, NULL}};
