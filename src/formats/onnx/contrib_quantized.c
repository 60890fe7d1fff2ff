/* SPDX-License-Identifier: Apache-2.0 */
/* Quantized operators of onnxruntime: DequantizeLinear, the operator of floats, QuantizeLinear. This is what they compute
 * but for the rounding of ties: onnxruntime multiplies by quotients of scales. Products of integers stay products of
 * integers (MatMulInteger). */
#include "base/error.h"
#include "formats/onnx/contrib.h"

ol_value *ol_contrib_dequantize(ol_contrib *t, ol_value *q, ol_value *scale, ol_value *zero, int64_t axis) {
    ol_attr a = ol_attr_int("axis", axis);
    return ol_contrib_op(t, "DequantizeLinear", (ol_value *[]){q, scale, zero}, 3, &a, 1);
}

void ol_contrib_quantize(ol_contrib *t, int i, ol_value *x, ol_value *scale, ol_value *zero) {
    ol_contrib_result(t, i, "QuantizeLinear", (ol_value *[]){x, scale, zero}, 3, NULL, 0);
}

/* Inputs at, at + 1, at + 2: codes, scale, zero point. */
static ol_value *floats(ol_contrib *t, int at) {
    return ol_contrib_dequantize(t, ol_contrib_need(t, at), ol_contrib_need(t, at + 1), ol_contrib_in(t, at + 2), 1);
}

void ol_contrib_qlinear_binary(ol_contrib *t) {
    ol_value *y = ol_contrib_binary(t, t->d->op + strlen("QLinear"), floats(t, 0), floats(t, 3));
    ol_contrib_quantize(t, 0, y, ol_contrib_need(t, 6), ol_contrib_in(t, 7));
}

void ol_contrib_qlinear_unary(ol_contrib *t) {
    ol_value *x = floats(t, 0);
    ol_attr alpha = ol_attr_float("alpha", ol_contrib_float(t, "alpha", 0.01f));
    bool leaky = !strcmp(t->d->op, "QLinearLeakyRelu");
    ol_value *y = ol_contrib_op(t, t->d->op + strlen("QLinear"), &x, 1, &alpha, leaky);
    ol_contrib_quantize(t, 0, y, ol_contrib_need(t, 3), ol_contrib_in(t, 4));
}

/* Channels may come last. */
void ol_contrib_qlinear_pool(ol_contrib *t) {
    static const char *const names[] = {"auto_pad", "kernel_shape", "pads", "strides", "ceil_mode", "count_include_pad", "dilations"};
    ol_attr attrs[7];
    bool global = !strcmp(t->d->op, "QLinearGlobalAveragePool"), last = ol_contrib_int(t, "channels_last", 0) != 0;
    int n = global ? 0 : ol_contrib_pick(t, names, 7, attrs), rank = 0;
    int64_t first[OL_MAX_RANK], back[OL_MAX_RANK];
    ol_value *x = floats(t, 0);
    if (last && x && (rank = x->type.rank) < 3) ol_contrib_fail(t, OLV_UNSUPPORTED, "channels last in a value of unknown rank");
    for (int i = 0; i < rank; i++) {
        first[i] = i == 0 ? 0 : i == 1 ? rank - 1 : i - 1;
        back[i] = i == 0 ? 0 : i == rank - 1 ? 1 : i + 1;
    }
    if (last) x = ol_contrib_transpose(t, x, first, rank);
    x = ol_contrib_op(t, t->d->op + strlen("QLinear"), &x, 1, attrs, n);
    if (last) x = ol_contrib_transpose(t, x, back, rank);
    ol_contrib_quantize(t, 0, x, ol_contrib_need(t, 3), ol_contrib_in(t, 4));
}

/* Scale and zero point of the result, then triples. */
void ol_contrib_qlinear_concat(ol_contrib *t) {
    ol_value *in[256];
    int n = (t->d->n_in - 2) / 3;
    ol_attr axis = ol_attr_int("axis", ol_contrib_int(t, "axis", 0));
    if (n < 1 || n > 256 || t->d->n_in != 2 + 3 * n) {
        ol_contrib_fail(t, OLV_FORMAT, "inputs that are not two and up to 256 times three");
        return;
    }
    for (int i = 0; i < n; i++) in[i] = floats(t, 2 + 3 * i);
    ol_contrib_quantize(t, 0, ol_contrib_op(t, "Concat", in, n, &axis, 1), ol_contrib_need(t, 0), ol_contrib_in(t, 1));
}

/* Before opset 13 the axis divides the dims into rows and columns. */
void ol_contrib_qlinear_softmax(ol_contrib *t) {
    int64_t opset = ol_contrib_int(t, "opset", 13), at = ol_contrib_int(t, "axis", opset < 13 ? 1 : -1);
    ol_value *x = floats(t, 0), *shape = NULL;
    ol_attr axis = ol_attr_int("axis", at), flat = ol_attr_int("axis", -1);
    if (opset < 13) {
        shape = ol_contrib_op(t, "Shape", &x, 1, NULL, 0);
        x = ol_contrib_op(t, "Flatten", &x, 1, &axis, 1);
        axis = flat;
    }
    x = ol_contrib_op(t, "Softmax", &x, 1, &axis, 1);
    if (shape) x = ol_contrib_binary(t, "Reshape", x, shape);
    ol_contrib_quantize(t, 0, x, ol_contrib_need(t, 3), ol_contrib_in(t, 4));
}

void ol_contrib_qlinear_where(ol_contrib *t) {
    ol_value *in[3] = {ol_contrib_need(t, 0), floats(t, 1), floats(t, 4)};
    ol_contrib_quantize(t, 0, ol_contrib_op(t, "Where", in, 3, NULL, 0), ol_contrib_need(t, 7), ol_contrib_in(t, 8));
}

void ol_contrib_qlinear_reduce(ol_contrib *t) {
    const ol_attr *axes = ol_onnx_draft_attr(t->d, "axes");
    ol_attr keep = ol_attr_int("keepdims", ol_contrib_int(t, "keepdims", 1));
    ol_value *list = axes && axes->type == OL_ATTR_INTS ? ol_contrib_ints(t, axes->v.ints, (int)axes->count) : NULL;
    ol_value *y = ol_contrib_op(t, "ReduceMean", (ol_value *[]){floats(t, 0), list}, 2, &keep, 1);
    ol_contrib_quantize(t, 0, y, ol_contrib_need(t, 3), ol_contrib_in(t, 4));
}

/* alpha a_scale b_scale ((A - az)(B - bz) + C), C in integers; a float result without y_scale. */
void ol_contrib_qgemm(ol_contrib *t) {
    bool tb = ol_contrib_int(t, "transB", 0) != 0;
    float alpha = ol_contrib_float(t, "alpha", 1);
    ol_value *as = ol_contrib_need(t, 1), *bs = ol_contrib_need(t, 4), *c = ol_contrib_in(t, 6), *ys = ol_contrib_in(t, 7);
    ol_value *in[3] = {floats(t, 0), ol_contrib_dequantize(t, ol_contrib_need(t, 3), bs, ol_contrib_in(t, 5), tb ? 0 : 1), NULL};
    if (c) in[2] = ol_contrib_binary(t, "Mul", ol_contrib_cast(t, c, OL_F32), ol_contrib_binary(t, "Mul", as, bs));
    ol_attr attrs[4] = {ol_attr_int("transA", ol_contrib_int(t, "transA", 0)), ol_attr_int("transB", tb), ol_attr_float("alpha", alpha),
                        ol_attr_float("beta", alpha)};
    if (!ys) ol_contrib_result(t, 0, "Gemm", in, 3, attrs, 4);
    else ol_contrib_quantize(t, 0, ol_contrib_op(t, "Gemm", in, 3, attrs, 4), ys, ol_contrib_in(t, 8));
}

/* As the default domain's, but channels may come last. */
void ol_contrib_qlinear_conv(ol_contrib *t) {
    static const char *const names[] = {"auto_pad", "dilations", "group", "kernel_shape", "pads", "strides"};
    ol_attr attrs[6], perm = ol_attr_ints("perm", (const int64_t[]){0, 2, 3, 1}, 4);
    ol_value *in[9];
    int n = ol_contrib_pick(t, names, 6, attrs);
    bool last = ol_contrib_int(t, "channels_last", 0) != 0;
    for (int i = 0; i < 9; i++) in[i] = i < 8 ? ol_contrib_need(t, i) : ol_contrib_in(t, i);
    if (!last) {
        ol_contrib_result(t, 0, "QLinearConv", in, 9, attrs, n);
        return;
    }
    if (in[0] && in[0]->type.rank != 4) ol_contrib_fail(t, OLV_UNSUPPORTED, "channels last in a value that is not of rank 4");
    in[0] = ol_contrib_transpose(t, in[0], (const int64_t[]){0, 3, 1, 2}, 4);
    ol_value *y = ol_contrib_op(t, "QLinearConv", in, 9, attrs, n);
    ol_contrib_result(t, 0, "Transpose", &y, 1, &perm, 1);
}

/* (A - az)(B - bz) scale + bias, result 0. */
static void scaled_product(ol_contrib *t, ol_value *const *in, ol_value *scale, ol_value *bias) {
    ol_value *sum = ol_contrib_cast(t, ol_contrib_op(t, "MatMulInteger", in, 4, NULL, 0), OL_F32);
    if (bias) sum = ol_contrib_binary(t, "Mul", sum, scale);
    ol_contrib_result(t, 0, bias ? "Add" : "Mul", (ol_value *[]){sum, bias ? bias : scale}, 2, NULL, 0);
}

void ol_contrib_matmul_to_float(ol_contrib *t) {
    ol_value *in[4] = {ol_contrib_need(t, 0), ol_contrib_need(t, 1), ol_contrib_in(t, 4), ol_contrib_in(t, 5)};
    scaled_product(t, in, ol_contrib_binary(t, "Mul", ol_contrib_need(t, 2), ol_contrib_need(t, 3)), ol_contrib_in(t, 6));
}

void ol_contrib_dynamic_matmul(ol_contrib *t) {
    ol_value *x = ol_contrib_need(t, 0);
    const ol_node *q = ol_contrib_node(t, "DynamicQuantizeLinear", &x, 1, NULL, 3, NULL, 0);
    if (!q) return;
    ol_value *in[4] = {q->outputs[0], ol_contrib_need(t, 1), q->outputs[2], ol_contrib_in(t, 3)};
    scaled_product(t, in, ol_contrib_binary(t, "Mul", q->outputs[1], ol_contrib_need(t, 2)), ol_contrib_in(t, 4));
}

/* [D, k, n] codes with scales [D] or [D, n] as floats [D, n, k]. */
static ol_value *gate_weights(ol_contrib *t, int at, int scale, int zero) {
    ol_value *w = ol_contrib_need(t, at), *s = ol_contrib_need(t, scale), *z = ol_contrib_in(t, zero), *shape = ol_contrib_ints(t, (const int64_t[]){0, 1, -1}, 3);
    ol_value *x = ol_contrib_cast(t, w, OL_F32);
    if (z) x = ol_contrib_binary(t, "Sub", x, ol_contrib_binary(t, "Reshape", ol_contrib_cast(t, z, OL_F32), shape));
    x = ol_contrib_binary(t, "Mul", x, ol_contrib_binary(t, "Reshape", s, shape));
    return ol_contrib_transpose(t, x, (const int64_t[]){0, 2, 1}, 3);
}

/* The input is rounded to 8 bits as a whole, as onnxruntime does; the hidden state, which it rounds at each step, is not:
 * results differ by that rounding. */
void ol_contrib_dynamic_lstm(ol_contrib *t) {
    static const char *const names[] = {"activation_alpha", "activation_beta", "activations", "clip", "direction", "hidden_size", "input_forget"};
    ol_attr attrs[7];
    int n = ol_contrib_pick(t, names, 7, attrs);
    ol_value *x = ol_contrib_need(t, 0);
    const ol_node *q = ol_contrib_node(t, "DynamicQuantizeLinear", &x, 1, NULL, 3, NULL, 0);
    if (!q) return;
    x = ol_contrib_dequantize(t, q->outputs[0], q->outputs[1], q->outputs[2], 1);
    ol_value *in[8] = {x, gate_weights(t, 1, 8, 9), gate_weights(t, 2, 10, 11)};
    for (int i = 3; i < 8; i++) in[i] = ol_contrib_in(t, i);
    const ol_node *node = ol_contrib_node(t, "LSTM", in, 8, t->d->outs, t->d->n_outs, attrs, n);
    for (int i = 0; node && i < t->d->n_outs; i++) t->d->results[i] = node->outputs[i];
}
