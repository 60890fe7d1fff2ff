/* SPDX-License-Identifier: Apache-2.0 */
/* Quantization. With constant scales QuantizeLinear to 8 bits is FakeQuantize and Convert, which OpenVINO moves and joins. */
#include "formats/openvino/to.h"
#include "formats/openvino/to_window.h"
#include <string.h>

static void code_range(ol_dtype t, double *low, double *high) {
    int bits = ol_dtype_bits(t);
    bool is_signed = ol_dtype_class(t) == 's';
    *high = (double)((INT64_C(1) << (is_signed ? bits - 1 : bits)) - 1);
    *low = is_signed ? -*high - 1 : 0;
}

static bool is_code(ol_dtype t) { return t != OL_DTYPE_NONE && (ol_dtype_class(t) == 's' || ol_dtype_class(t) == 'u') && ol_dtype_bits(t) <= 16; }

/* A scale or zero point for tensors of `rank`: one for all, one per index of the axis, or one per block along it. */
static ol_ir_out spread(ol_to *t, const ol_node *n, int i, int rank, int64_t axis) {
    ol_ir_out x = ol_to_in(t, n, i);
    int own = n->inputs[i]->type.rank;
    return own == 1 && ol_to_dim(&n->inputs[i]->type, 0) != 1 ? ol_to_along(t, x, (int)axis, rank) : own == 1 ? ol_ir_add_reshape(t->e, NULL, x, NULL, 0, false) : x;
}

/* Blocks of a known size get an axis of their own: [.., size, ..] as [.., size / block, block, ..]. */
typedef struct blocks {
    int64_t dims[OL_MAX_RANK], whole[OL_MAX_RANK];
    int rank, axis;
    int64_t size;
} blocks;

static bool find_blocks(ol_to *t, const ol_node *n, blocks *b) {
    const ol_type *x = ol_to_type(n, 0);
    b->rank = ol_to_rank(t, n, 0);
    b->axis = (int)ol_to_axis(ol_node_int(n, "axis", 1), b->rank);
    b->size = ol_node_int(n, "block_size", 0);
    if (!b->size || b->rank < 0) return false;
    for (int i = 0, k = 0; i < b->rank; i++) {
        b->whole[i] = ol_to_dim(x, i);
        if (b->whole[i] < 0 || (i == b->axis && b->whole[i] % b->size)) {
            ol_to_refuse(t, "blocks in sizes that are not known, or not whole");
            return false;
        }
        b->dims[k++] = i == b->axis ? b->whole[i] / b->size : b->whole[i];
        if (i == b->axis) b->dims[k++] = b->size;
    }
    return true;
}

static ol_ir_out part_of(ol_to *t, const ol_node *n, int i, const blocks *b, bool blocked, int rank, int64_t axis) {
    const int64_t at = b->axis + 1;
    return blocked ? ol_ir_add_unsqueeze(t->e, NULL, ol_to_in(t, n, i), &at, 1) : spread(t, n, i, rank, axis);
}

void ol_to_dequantize(ol_to *t, const ol_node *n, const ol_to_rule *r) {
    (void)r;
    blocks b = {.rank = 0};
    bool blocked = find_blocks(t, n, &b);
    int rank = n->inputs[0]->type.rank;
    int64_t axis = ol_to_axis(ol_node_int(n, "axis", 1), rank);
    ol_dtype wide = ol_to_dtype(n, 1), out = n->outputs[0]->type.dtype;
    ol_ir_out x = ol_to_in(t, n, 0);
    if (blocked) x = ol_ir_add_reshape(t->e, NULL, x, b.dims, b.rank + 1, false);
    x = ol_to_cast(t, x, wide);
    if (ol_to_has(n, 2)) x = ol_to_two(t, "Subtract", x, ol_to_cast(t, part_of(t, n, 2, &b, blocked, rank, axis), wide));
    x = ol_to_two(t, "Multiply", x, part_of(t, n, 1, &b, blocked, rank, axis));
    if (blocked) x = ol_ir_add_reshape(t->e, NULL, x, b.whole, b.rank, false);
    ol_to_give(t, n, 0, ol_to_cast(t, x, out));
}

/* Constants within reach, of one value or of many. */
static bool is_constant(const ol_node *n, int i) { return !ol_to_has(n, i) || (n->inputs[i]->constant && !n->inputs[i]->is_input); }

/* round(x / scale) + zero within the range of the codes, as floats. */
static ol_ir_out codes_of(ol_to *t, ol_ir_out x, ol_ir_out scale, ol_ir_out zero, ol_dtype type) {
    double low, high;
    const ol_ir_attr mode = ol_ir_say_text("mode", "half_to_even");
    code_range(type, &low, &high);
    x = ol_to_two(t, "Divide", x, scale);
    x = ol_to_layer(t, "Round", "opset5", &x, 1, &mode, 1, true);
    if (zero.layer >= 0) x = ol_to_two(t, "Add", x, ol_to_cast(t, zero, ol_to_dtype_of(t, x)));
    const ol_ir_attr range[2] = {ol_ir_say_float(t->e, "min", low), ol_ir_say_float(t->e, "max", high)};
    return ol_to_layer(t, "Clamp", NULL, &x, 1, range, 2, true);
}

/* FakeQuantize of the range that the codes stand for, onto the codes. */
static ol_ir_out fake_quantize(ol_to *t, ol_ir_out x, ol_ir_out scale, ol_ir_out zero, ol_dtype type) {
    double low, high;
    code_range(type, &low, &high);
    ol_ir_out lo = ol_to_number(t, x, low), hi = ol_to_number(t, x, high), in[5] = {x, lo, hi, lo, hi};
    if (zero.layer >= 0) zero = ol_to_cast(t, zero, ol_to_dtype_of(t, x));
    for (int i = 1; i < 3; i++) {
        if (zero.layer >= 0) in[i] = ol_to_two(t, "Subtract", in[i], zero);
        in[i] = ol_to_two(t, "Multiply", in[i], scale);
    }
    const ol_ir_attr attrs[2] = {ol_ir_say_int(t->e, "levels", (int64_t)(high - low) + 1), ol_ir_say_text("auto_broadcast", "numpy")};
    return ol_to_layer(t, "FakeQuantize", NULL, in, 5, attrs, 2, true);
}

void ol_to_quantize(ol_to *t, const ol_node *n, const ol_to_rule *r) {
    (void)r;
    blocks b = {.rank = 0};
    bool blocked = find_blocks(t, n, &b);
    ol_dtype type = n->outputs[0]->type.dtype;
    int rank = n->inputs[0]->type.rank;
    int64_t axis = ol_to_axis(ol_node_int(n, "axis", 1), rank);
    ol_ir_out x = ol_to_in(t, n, 0);
    if (!is_code(type)) {
        ol_to_refuse(t, "codes of type %s", ol_dtype_name(type));
        return;
    }
    if (blocked) x = ol_ir_add_reshape(t->e, NULL, x, b.dims, b.rank + 1, false);
    ol_ir_out scale = part_of(t, n, 1, &b, blocked, rank, axis), zero = ol_to_has(n, 2) ? part_of(t, n, 2, &b, blocked, rank, axis) : OL_IR_NONE;
    bool fake = ol_dtype_bits(type) == 8 && is_constant(n, 1) && is_constant(n, 2) && ol_to_dtype(n, 0) == OL_F32 && ol_to_dtype(n, 1) == OL_F32;
    x = fake ? fake_quantize(t, x, scale, zero, type) : codes_of(t, ol_to_cast(t, x, ol_to_dtype(n, 1)), scale, zero, type);
    if (blocked) x = ol_ir_add_reshape(t->e, NULL, x, b.whole, b.rank, false);
    ol_to_give(t, n, 0, ol_ir_add_convert(t->e, NULL, x, ol_ir_element_of(type)));
}

void ol_to_dynamic_quantize(ol_to *t, const ol_node *n, const ol_to_rule *r) {
    (void)r;
    int64_t axes[OL_MAX_RANK];
    int rank = ol_to_rank(t, n, 0);
    const ol_ir_attr mode = ol_ir_say_text("mode", "half_to_even");
    for (int i = 0; i < rank; i++) axes[i] = i;
    ol_ir_out x = ol_to_in(t, n, 0), nil = ol_to_number(t, x, 0), steps = ol_to_number(t, x, 255);
    ol_ir_out low = ol_to_two(t, "Minimum", ol_to_reduce(t, "ReduceMin", x, axes, rank, false), nil);
    ol_ir_out high = ol_to_two(t, "Maximum", ol_to_reduce(t, "ReduceMax", x, axes, rank, false), nil);
    ol_ir_out scale = ol_to_two(t, "Divide", ol_to_two(t, "Subtract", high, low), steps);
    ol_ir_out safe = ol_to_select(t, ol_to_two(t, "Equal", scale, nil), ol_to_number(t, x, 1), scale);
    ol_ir_out zero = ol_to_two(t, "Divide", ol_to_two(t, "Subtract", nil, low), safe);
    zero = ol_to_layer(t, "Round", "opset5", &zero, 1, &mode, 1, true);
    zero = ol_to_two(t, "Minimum", ol_to_two(t, "Maximum", zero, nil), steps);
    ol_to_give(t, n, 0, ol_ir_add_convert(t->e, NULL, codes_of(t, x, safe, zero, OL_U8), ol_ir_element_of(OL_U8)));
    if (n->n_outputs > 1 && n->outputs[1]) ol_to_give(t, n, 1, scale);
    if (n->n_outputs > 2 && n->outputs[2]) ol_to_give(t, n, 2, ol_ir_add_convert(t->e, NULL, zero, ol_ir_element_of(OL_U8)));
}

/* ---- integer products: in f32, whose sums of products of bytes are whole as long as they stay below 2^24 ---- */

/* Input i without its zero point, input `zero`; a vector of them stands along `axis`. */
static ol_ir_out centered(ol_to *t, const ol_node *n, int i, int zero, int64_t axis) {
    ol_ir_out x = ol_to_cast(t, ol_to_in(t, n, i), OL_F32);
    int rank = n->inputs[i]->type.rank;
    if (!ol_to_has(n, zero)) return x;
    return ol_to_two(t, "Subtract", x, ol_to_cast(t, spread(t, n, zero, rank, ol_to_axis(axis, rank)), OL_F32));
}

void ol_to_matmul_integer(ol_to *t, const ol_node *n, const ol_to_rule *r) {
    (void)r;
    ol_ir_out y = ol_to_matmul(t, centered(t, n, 0, 2, -2), centered(t, n, 1, 3, -1), false, false);
    ol_to_give(t, n, 0, ol_ir_add_convert(t->e, NULL, y, ol_ir_element_of(OL_I32)));
}

void ol_to_conv_integer(ol_to *t, const ol_node *n, const ol_to_rule *r) {
    (void)r;
    ol_ir_out y = ol_to_convolve(t, n, centered(t, n, 0, 2, 0), centered(t, n, 1, 3, 0), NULL);
    ol_to_give(t, n, 0, ol_ir_add_convert(t->e, NULL, y, ol_ir_element_of(OL_I32)));
}

/* Inputs: x, scale, zero, w, scale, zero, scale and zero of y, [bias]. */
void ol_to_qlinear_conv(ol_to *t, const ol_node *n, const ol_to_rule *r) {
    (void)r;
    int rank = ol_to_rank(t, n, 0);
    ol_ir_out x = ol_to_two(t, "Multiply", centered(t, n, 0, 2, 1), spread(t, n, 1, rank, 1));
    ol_ir_out w = ol_to_two(t, "Multiply", centered(t, n, 3, 5, 0), spread(t, n, 4, rank, 0));
    ol_ir_out y = ol_to_convolve(t, n, x, w, NULL);
    if (ol_to_has(n, 8)) {
        ol_ir_out scale = ol_to_two(t, "Multiply", ol_to_in(t, n, 1), ol_to_in(t, n, 4));
        ol_ir_out bias = ol_to_two(t, "Multiply", ol_to_cast(t, ol_to_in(t, n, 8), OL_F32), scale);
        y = ol_to_two(t, "Add", y, ol_to_along(t, bias, 1, rank));
    }
    y = codes_of(t, y, ol_to_in(t, n, 6), ol_to_in(t, n, 7), n->outputs[0]->type.dtype);
    ol_to_give(t, n, 0, ol_ir_add_convert(t->e, NULL, y, ol_ir_element_of(n->outputs[0]->type.dtype)));
}

void ol_to_qlinear_matmul(ol_to *t, const ol_node *n, const ol_to_rule *r) {
    (void)r;
    int a = n->inputs[0]->type.rank, b = n->inputs[3]->type.rank;
    ol_ir_out x = ol_to_two(t, "Multiply", centered(t, n, 0, 2, -2), ol_to_cast(t, spread(t, n, 1, a, a - 2), OL_F32));
    ol_ir_out w = ol_to_two(t, "Multiply", centered(t, n, 3, 5, -1), ol_to_cast(t, spread(t, n, 4, b, b - 1), OL_F32));
    ol_ir_out y = ol_to_matmul(t, x, w, false, false);
    y = codes_of(t, y, ol_to_cast(t, ol_to_in(t, n, 6), OL_F32), ol_to_in(t, n, 7), n->outputs[0]->type.dtype);
    ol_to_give(t, n, 0, ol_ir_add_convert(t->e, NULL, y, ol_ir_element_of(n->outputs[0]->type.dtype)));
}

void ol_to_fake_quantize(ol_to *t, const ol_node *n, const ol_to_rule *r) {
    ol_ir_out in[5];
    const ol_ir_attr attrs[2] = {ol_ir_say_int(t->e, "levels", ol_node_int(n, "levels", 256)), ol_ir_say_text("auto_broadcast", "numpy")};
    for (int i = 0; i < 5; i++) in[i] = ol_to_in(t, n, i);
    ol_to_give(t, n, 0, ol_to_layer(t, r->type, r->version, in, 5, attrs, 2, true));
}
