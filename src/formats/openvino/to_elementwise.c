/* SPDX-License-Identifier: Apache-2.0 */
/* Operators on elements. */
#include "formats/openvino/to.h"
#include <string.h>

static bool is_float(ol_dtype t) { return t != OL_DTYPE_NONE && ol_dtype_class(t) == 'f'; }

void ol_to_unary(ol_to *t, const ol_node *n, const ol_to_rule *r) {
    const ol_ir_out x = ol_to_in(t, n, 0);
    ol_to_put(t, n, r->type, r->version, &x, 1, NULL, 0, 1);
}

void ol_to_binary(ol_to *t, const ol_node *n, const ol_to_rule *r) {
    const ol_ir_out in[2] = {ol_to_in(t, n, 0), ol_to_in(t, n, 1)};
    const ol_ir_attr attrs[2] = {ol_ir_say_text("auto_broadcast", "numpy"), ol_ir_say_text("m_pythondiv", !strcmp(r->type, "Divide") ? "false" : NULL)};
    ol_to_put(t, n, r->type, r->version, in, 2, attrs, 2, 1);
}

static ol_ir_out joined(ol_to *t, const ol_node *n, const char *type) {
    ol_ir_out x = ol_to_in(t, n, 0);
    for (int i = 1; i < n->n_inputs; i++) x = ol_to_two(t, type, x, ol_to_in(t, n, i));
    return x;
}

void ol_to_variadic(ol_to *t, const ol_node *n, const ol_to_rule *r) { ol_to_give(t, n, 0, joined(t, n, r->type)); }

void ol_to_mean(ol_to *t, const ol_node *n, const ol_to_rule *r) {
    (void)r;
    ol_ir_out sum = joined(t, n, "Add");
    ol_to_give(t, n, 0, ol_to_two(t, "Divide", sum, ol_to_number(t, sum, n->n_inputs)));
}

void ol_to_bit_shift(ol_to *t, const ol_node *n, const ol_to_rule *r) {
    (void)r;
    const ol_ir_out in[2] = {ol_to_in(t, n, 0), ol_to_in(t, n, 1)};
    const ol_ir_attr attr = ol_ir_say_text("auto_broadcast", "numpy");
    bool left = ol_str_is(ol_node_string(n, "direction", "LEFT"), "LEFT");
    ol_to_put(t, n, left ? "BitwiseLeftShift" : "BitwiseRightShift", "opset15", in, 2, &attr, 1, 1);
}

void ol_to_mod(ol_to *t, const ol_node *n, const ol_to_rule *r) {
    (void)r;
    const char *type = ol_node_int(n, "fmod", 0) ? "Mod" : "FloorMod";
    ol_to_give(t, n, 0, ol_to_two(t, type, ol_to_in(t, n, 0), ol_to_in(t, n, 1)));
}

/* Both sides in one type: that of the base, or the exponent's where only that one is a float. */
void ol_to_pow(ol_to *t, const ol_node *n, const ol_to_rule *r) {
    (void)r;
    ol_ir_out x = ol_to_in(t, n, 0), y = ol_to_in(t, n, 1);
    ol_dtype a = ol_to_dtype_of(t, x), b = ol_to_dtype_of(t, y);
    ol_dtype work = !is_float(a) && is_float(b) ? b : a;
    ol_ir_out z = ol_to_two(t, "Power", ol_to_cast(t, x, work), ol_to_cast(t, y, work));
    ol_to_give(t, n, 0, ol_to_cast(t, z, a));
}

void ol_to_reciprocal(ol_to *t, const ol_node *n, const ol_to_rule *r) {
    (void)r;
    ol_ir_out x = ol_to_in(t, n, 0);
    ol_to_give(t, n, 0, ol_to_two(t, "Divide", ol_to_number(t, x, 1), x));
}

void ol_to_round(ol_to *t, const ol_node *n, const ol_to_rule *r) {
    (void)r;
    const ol_ir_out x = ol_to_in(t, n, 0);
    const ol_ir_attr attr = ol_ir_say_text("mode", "half_to_even");
    ol_to_put(t, n, "Round", "opset5", &x, 1, &attr, 1, 1);
}

void ol_to_is_inf(ol_to *t, const ol_node *n, const ol_to_rule *r) {
    (void)r;
    const ol_ir_out x = ol_to_in(t, n, 0);
    const ol_ir_attr attrs[2] = {ol_ir_say_bool("detect_negative", ol_node_int(n, "detect_negative", 1) != 0),
                                 ol_ir_say_bool("detect_positive", ol_node_int(n, "detect_positive", 1) != 0)};
    ol_to_put(t, n, "IsInf", "opset10", &x, 1, attrs, 2, 1);
}

void ol_to_cast_node(ol_to *t, const ol_node *n, const ol_to_rule *r) {
    (void)r;
    const ol_ir_out x = ol_to_in(t, n, 0);
    ol_dtype from = ol_to_dtype(n, 0), to = n->outputs[0]->type.dtype;
    if ((from == OL_STRING) != (to == OL_STRING)) {
        ol_to_refuse(t, "a cast from %s to %s", ol_dtype_name(from), ol_dtype_name(to));
        return;
    }
    if (from == OL_STRING) {
        ol_to_give(t, n, 0, x);
        return;
    }
    ol_ir_type type = ol_to_ir_type(t, &n->outputs[0]->type);
    const ol_ir_attr attr = ol_ir_say_text("destination_type", type.element->name);
    ol_to_put(t, n, "Convert", NULL, &x, 1, &attr, 1, 1);
}

void ol_to_clip(ol_to *t, const ol_node *n, const ol_to_rule *r) {
    (void)r;
    ol_ir_out x = ol_to_in(t, n, 0);
    ol_tensor lo, hi;
    if (is_float(ol_to_dtype(n, 0)) && ol_to_has(n, 1) && ol_to_has(n, 2) && ol_value_const_tensor(n->inputs[1], 8, &lo)) {
        if (ol_value_const_tensor(n->inputs[2], 8, &hi)) {
            const ol_ir_attr attrs[2] = {ol_ir_say_float(t->e, "min", ol_elem_get(lo.dtype, lo.data, 0)), ol_ir_say_float(t->e, "max", ol_elem_get(hi.dtype, hi.data, 0))};
            bool ordered = ol_elem_get(lo.dtype, lo.data, 0) <= ol_elem_get(hi.dtype, hi.data, 0);
            ol_tensor_deinit(&hi);
            if (ordered) {
                ol_tensor_deinit(&lo);
                ol_to_put(t, n, "Clamp", NULL, &x, 1, attrs, 2, 1);
                return;
            }
        }
        ol_tensor_deinit(&lo);
    }
    if (ol_to_has(n, 1)) x = ol_to_two(t, "Maximum", x, ol_to_in(t, n, 1));
    if (ol_to_has(n, 2)) x = ol_to_two(t, "Minimum", x, ol_to_in(t, n, 2));
    ol_to_give(t, n, 0, x);
}

void ol_to_where(ol_to *t, const ol_node *n, const ol_to_rule *r) {
    (void)r;
    const ol_ir_out in[3] = {ol_to_in(t, n, 0), ol_to_in(t, n, 1), ol_to_in(t, n, 2)};
    const ol_ir_attr attr = ol_ir_say_text("auto_broadcast", "numpy");
    ol_to_put(t, n, "Select", NULL, in, 3, &attr, 1, 1);
}

/* ---- activations ---- */

void ol_to_elu(ol_to *t, const ol_node *n, const ol_to_rule *r) {
    (void)r;
    const ol_ir_out x = ol_to_in(t, n, 0);
    const ol_ir_attr attr = ol_ir_say_float(t->e, "alpha", (double)ol_node_float(n, "alpha", 1));
    ol_to_put(t, n, "Elu", NULL, &x, 1, &attr, 1, 1);
}

/* alpha elu(x / alpha) */
void ol_to_celu(ol_to *t, const ol_node *n, const ol_to_rule *r) {
    (void)r;
    ol_ir_out x = ol_to_in(t, n, 0), alpha = ol_to_number(t, x, (double)ol_node_float(n, "alpha", 1));
    const ol_ir_attr attr = ol_ir_say_text("alpha", "1");
    x = ol_to_two(t, "Divide", x, alpha);
    x = ol_to_layer(t, "Elu", NULL, &x, 1, &attr, 1, true);
    ol_to_give(t, n, 0, ol_to_two(t, "Multiply", x, alpha));
}

void ol_to_gelu(ol_to *t, const ol_node *n, const ol_to_rule *r) {
    (void)r;
    ol_ir_out x = ol_to_in(t, n, 0);
    bool tanh = !strcmp(n->op->name, "FastGelu") || ol_str_is(ol_node_string(n, "approximate", "none"), "tanh");
    if (strcmp(n->op->name, "Gelu") && ol_to_has(n, 1)) x = ol_to_two(t, "Add", x, ol_to_in(t, n, 1));
    const ol_ir_attr attr = ol_ir_say_text("approximation_mode", tanh ? "TANH" : "ERF");
    ol_to_put(t, n, "Gelu", "opset7", &x, 1, &attr, 1, 1);
}

void ol_to_swish(ol_to *t, const ol_node *n, const ol_to_rule *r) {
    float alpha = ol_node_float(n, "alpha", *r->domain ? 1.702f : 1.0f);
    ol_ir_out in[2] = {ol_to_in(t, n, 0), OL_IR_NONE};
    if (alpha != 1) in[1] = ol_to_number(t, in[0], (double)alpha);
    ol_to_put(t, n, "Swish", "opset4", in, alpha != 1 ? 2 : 1, NULL, 0, 1);
}

void ol_to_hard_sigmoid(ol_to *t, const ol_node *n, const ol_to_rule *r) {
    (void)r;
    const ol_ir_out x = ol_to_in(t, n, 0);
    const ol_ir_out in[3] = {x, ol_to_number(t, x, (double)ol_node_float(n, "alpha", 0.2f)), ol_to_number(t, x, (double)ol_node_float(n, "beta", 0.5f))};
    ol_to_put(t, n, "HardSigmoid", NULL, in, 3, NULL, 0, 1);
}

void ol_to_leaky_relu(ol_to *t, const ol_node *n, const ol_to_rule *r) {
    (void)r;
    const ol_ir_out x = ol_to_in(t, n, 0);
    const int64_t one = 1;
    ol_dtype type = ol_to_dtype_of(t, x);
    ol_ir_type vector = ol_ir_type_of(type, 1, &one);
    uint64_t alpha = 0;
    if (type == OL_DTYPE_NONE) return;
    ol_elem_set(type, &alpha, 0, (double)ol_node_float(n, "alpha", 0.01f));
    const ol_ir_out in[2] = {x, ol_ir_const_raw(t->e, NULL, NULL, &vector, &alpha, (size_t)ol_dtype_bits(type) / 8)};
    ol_to_put(t, n, "PReLU", NULL, in, 2, NULL, 0, 1);
}

/* PReLU of OpenVINO takes one slope, or one per channel (axis 1). Others: max(x, 0) + slope min(x, 0). */
void ol_to_prelu(ol_to *t, const ol_node *n, const ol_to_rule *r) {
    (void)r;
    ol_ir_out x = ol_to_in(t, n, 0);
    const ol_type *s = ol_to_type(n, 1), *a = ol_to_type(n, 0);
    int64_t count = 1, flat = -1;
    bool channels = s->rank == a->rank - 1 && a->rank >= 2;
    for (int i = 0; i < s->rank; i++) {
        count = ol_to_dim(s, i) < 0 ? -1 : count * ol_to_dim(s, i);
        if (i > 0 && ol_to_dim(s, i) != 1) channels = false;
    }
    if (s->rank < 0) count = -1;
    if (is_float(a->dtype) && (count == 1 || (channels && ol_to_dim(s, 0) == ol_to_dim(a, 1) && ol_to_dim(s, 0) > 0))) {
        ol_const *c = ol_to_const(n->inputs[1], 1, &count);
        const ol_ir_out in[2] = {x, c ? ol_ir_const(t->e, n->inputs[1]->name, NULL, c) : ol_ir_add_reshape(t->e, NULL, ol_to_in(t, n, 1), &flat, 1, false)};
        ol_const_release(c);
        ol_to_put(t, n, "PReLU", NULL, in, 2, NULL, 0, 1);
        return;
    }
    ol_ir_out zero = ol_to_number(t, x, 0);
    ol_ir_out low = ol_to_two(t, "Multiply", ol_to_in(t, n, 1), ol_to_two(t, "Minimum", x, zero));
    ol_to_give(t, n, 0, ol_to_two(t, "Add", ol_to_two(t, "Maximum", x, zero), low));
}

void ol_to_selu(ol_to *t, const ol_node *n, const ol_to_rule *r) {
    (void)r;
    const ol_ir_out x = ol_to_in(t, n, 0);
    const ol_ir_out in[3] = {x, ol_to_number(t, x, (double)ol_node_float(n, "alpha", 1.67326319217681884765625f)),
                             ol_to_number(t, x, (double)ol_node_float(n, "gamma", 1.05070102214813232421875f))};
    ol_to_put(t, n, "Selu", NULL, in, 3, NULL, 0, 1);
}

/* x + bias below -lambd, x - bias above lambd, else 0 */
void ol_to_shrink(ol_to *t, const ol_node *n, const ol_to_rule *r) {
    (void)r;
    ol_ir_out x = ol_to_in(t, n, 0), bias = ol_to_number(t, x, (double)ol_node_float(n, "bias", 0));
    double lambd = (double)ol_node_float(n, "lambd", 0.5f);
    ol_ir_out low = ol_to_two(t, "Less", x, ol_to_number(t, x, -lambd)), high = ol_to_two(t, "Greater", x, ol_to_number(t, x, lambd));
    ol_ir_out y = ol_to_select(t, high, ol_to_two(t, "Subtract", x, bias), ol_to_number(t, x, 0));
    ol_to_give(t, n, 0, ol_to_select(t, low, ol_to_two(t, "Add", x, bias), y));
}

void ol_to_thresholded_relu(ol_to *t, const ol_node *n, const ol_to_rule *r) {
    (void)r;
    ol_ir_out x = ol_to_in(t, n, 0), above = ol_to_two(t, "Greater", x, ol_to_number(t, x, (double)ol_node_float(n, "alpha", 1)));
    ol_to_give(t, n, 0, ol_to_select(t, above, x, ol_to_number(t, x, 0)));
}
