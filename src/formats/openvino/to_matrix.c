/* SPDX-License-Identifier: Apache-2.0 */
/* Products of matrices. */
#include "formats/openvino/to.h"

static void put_matmul(ol_to *t, const ol_node *n, ol_ir_out a, ol_ir_out b, bool ta, bool tb) {
    const ol_ir_out in[2] = {a, b};
    const ol_ir_attr attrs[2] = {ol_ir_say_bool("transpose_a", ta), ol_ir_say_bool("transpose_b", tb)};
    ol_to_put(t, n, "MatMul", NULL, in, 2, attrs, 2, 1);
}

/* Products of integers are worked out in doubles, which hold those of 32 bits. */
void ol_to_matmul_node(ol_to *t, const ol_node *n, const ol_to_rule *r) {
    (void)r;
    ol_ir_out a = ol_to_in(t, n, 0), b = ol_to_in(t, n, 1);
    ol_dtype type = ol_to_dtype(n, 0);
    if (type == OL_DTYPE_NONE || ol_dtype_class(type) == 'f') {
        put_matmul(t, n, a, b, false, false);
        return;
    }
    ol_ir_out y = ol_to_matmul(t, ol_to_cast(t, a, OL_F64), ol_to_cast(t, b, OL_F64), false, false);
    ol_to_give(t, n, 0, ol_to_cast(t, y, type));
}

static ol_ir_out scaled(ol_to *t, ol_ir_out x, float by) {
    return by == 1 ? x : ol_to_two(t, "Multiply", x, ol_to_number(t, x, (double)by));
}

void ol_to_fused_matmul(ol_to *t, const ol_node *n, const ol_to_rule *r) {
    (void)r;
    if (ol_node_int(n, "transBatchA", 0) || ol_node_int(n, "transBatchB", 0)) {
        ol_to_refuse(t, "transposed batches");
        return;
    }
    ol_ir_out y = ol_to_matmul(t, ol_to_in(t, n, 0), ol_to_in(t, n, 1), ol_node_int(n, "transA", 0) != 0, ol_node_int(n, "transB", 0) != 0);
    ol_to_give(t, n, 0, scaled(t, y, ol_node_float(n, "alpha", 1)));
}

void ol_to_gemm(ol_to *t, const ol_node *n, const ol_to_rule *r) {
    (void)r;
    ol_dtype type = ol_to_dtype(n, 0);
    bool integer = type != OL_DTYPE_NONE && ol_dtype_class(type) != 'f';
    ol_ir_out in[3];
    for (int i = 0; i < 3; i++) {
        in[i] = ol_to_in(t, n, i);
        if (integer && in[i].layer >= 0) in[i] = ol_to_cast(t, in[i], OL_F64);
    }
    ol_ir_out y = scaled(t, ol_to_matmul(t, in[0], in[1], ol_node_int(n, "transA", 0) != 0, ol_node_int(n, "transB", 0) != 0), ol_node_float(n, "alpha", 1));
    if (in[2].layer >= 0) y = ol_to_two(t, "Add", y, scaled(t, in[2], ol_node_float(n, "beta", 1)));
    ol_to_give(t, n, 0, integer ? ol_to_cast(t, y, type) : y);
}

/* y = x W^T + b */
void ol_to_linear(ol_to *t, const ol_node *n, const ol_to_rule *r) {
    (void)r;
    ol_ir_out x = ol_to_in(t, n, 0), w = ol_to_in(t, n, 1);
    ol_ir_out y = ol_to_matmul(t, x, ol_to_cast(t, w, ol_to_dtype_of(t, x)), false, true);
    if (ol_to_has(n, 2)) y = ol_to_two(t, "Add", y, ol_to_in(t, n, 2));
    ol_to_give(t, n, 0, y);
}

void ol_to_einsum(ol_to *t, const ol_node *n, const ol_to_rule *r) {
    (void)r;
    ol_ir_out in[OL_MAX_RANK];
    ol_str s = ol_node_string(n, "equation", "");
    char *text = ol_arena_strndup(ol_ir_arena(t->e), s.ptr, s.len);
    size_t k = 0;
    for (size_t i = 0; text && i < s.len; i++) /* without spaces */
        if (text[i] != ' ') text[k++] = text[i];
    if (text) text[k] = 0;
    const ol_ir_attr attr = ol_ir_say_text("equation", text);
    if (n->n_inputs > OL_MAX_RANK) {
        ol_to_refuse(t, "%d inputs", n->n_inputs);
        return;
    }
    for (int i = 0; i < n->n_inputs; i++) in[i] = ol_to_in(t, n, i);
    ol_to_put(t, n, "Einsum", "opset7", in, n->n_inputs, &attr, 1, 1);
}
