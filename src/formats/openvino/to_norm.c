/* SPDX-License-Identifier: Apache-2.0 */
/* Normalizations. */
#include "formats/openvino/to.h"
#include <string.h>

static ol_ir_out scaled(ol_to *t, ol_ir_out x, ol_ir_out scale, ol_ir_out bias) {
    x = ol_to_two(t, "Multiply", x, scale);
    return bias.layer >= 0 ? ol_to_two(t, "Add", x, bias) : x;
}

/* Mean and variance of this batch; the running ones move towards them by 1 - momentum. */
static void train_batch_norm(ol_to *t, const ol_node *n) {
    int rank = ol_to_rank(t, n, 0), count = 0;
    int64_t axes[OL_MAX_RANK];
    for (int i = 0; i < rank; i++)
        if (i != 1) axes[count++] = i;
    ol_ir_out x = ol_to_in(t, n, 0), mean = ol_to_reduce(t, "ReduceMean", x, axes, count, true), off = ol_to_two(t, "Subtract", x, mean);
    ol_ir_out variance = ol_to_reduce(t, "ReduceMean", ol_to_two(t, "Multiply", off, off), axes, count, true);
    ol_ir_out root = ol_to_one(t, "Sqrt", ol_to_two(t, "Add", variance, ol_to_number(t, x, (double)ol_node_float(n, "epsilon", 1e-5f))));
    ol_to_give(t, n, 0, scaled(t, ol_to_two(t, "Divide", off, root), ol_to_along(t, ol_to_in(t, n, 1), 1, rank), ol_to_along(t, ol_to_in(t, n, 2), 1, rank)));
    double keep = (double)ol_node_float(n, "momentum", 0.9f);
    for (int i = 1; i < n->n_outputs; i++) {
        const int64_t flat = -1;
        ol_ir_out now = ol_ir_add_reshape(t->e, NULL, i == 1 ? mean : variance, &flat, 1, false);
        ol_ir_out old = ol_to_two(t, "Multiply", ol_to_in(t, n, 2 + i), ol_to_number(t, x, keep));
        ol_to_give(t, n, i, ol_to_two(t, "Add", old, ol_to_two(t, "Multiply", now, ol_to_number(t, x, 1 - keep))));
    }
}

void ol_to_batch_norm(ol_to *t, const ol_node *n, const ol_to_rule *r) {
    (void)r;
    if (ol_node_int(n, "training_mode", 0)) {
        train_batch_norm(t, n);
        return;
    }
    ol_ir_out in[5];
    for (int i = 0; i < 5; i++) in[i] = ol_to_in(t, n, i);
    const ol_ir_attr attr = ol_ir_say_float(t->e, "epsilon", (double)ol_node_float(n, "epsilon", 1e-5f));
    ol_to_put(t, n, "BatchNormInference", "opset5", in, 5, &attr, 1, 1);
}

void ol_to_instance_norm(ol_to *t, const ol_node *n, const ol_to_rule *r) {
    (void)r;
    int rank = ol_to_rank(t, n, 0);
    int64_t axes[OL_MAX_RANK];
    for (int i = 2; i < rank; i++) axes[i - 2] = i;
    if (rank < 3) {
        ol_to_refuse(t, "an input of rank %d", rank);
        return;
    }
    ol_ir_out x = ol_to_mvn(t, ol_to_in(t, n, 0), axes, rank - 2, (double)ol_node_float(n, "epsilon", 1e-5f), true);
    ol_to_give(t, n, 0, scaled(t, x, ol_to_along(t, ol_to_in(t, n, 1), 1, rank), ol_to_along(t, ol_to_in(t, n, 2), 1, rank)));
}

void ol_to_group_norm(ol_to *t, const ol_node *n, const ol_to_rule *r) {
    (void)r;
    const ol_ir_out in[3] = {ol_to_in(t, n, 0), ol_to_in(t, n, 1), ol_to_in(t, n, 2)};
    const ol_ir_attr attrs[2] = {ol_ir_say_int(t->e, "num_groups", ol_node_int(n, "num_groups", 1)),
                                 ol_ir_say_float(t->e, "epsilon", (double)ol_node_float(n, "epsilon", 1e-5f))};
    ol_to_put(t, n, "GroupNormalization", "opset12", in, 3, attrs, 2, 1);
}

/* The last axes, from `axis` on. */
static int last_axes(const ol_node *n, int rank, int64_t *axes) {
    int64_t from = ol_to_axis(ol_node_int(n, "axis", -1), rank);
    int count = 0;
    for (int64_t i = from < 0 ? 0 : from; i < rank; i++) axes[count++] = i - rank;
    return count;
}

/* 1 / sqrt(mean(x^2) + eps) */
static ol_ir_out inverse_root(ol_to *t, ol_ir_out x, const int64_t *axes, int count, double eps) {
    ol_ir_out square = ol_to_two(t, "Power", x, ol_to_number(t, x, 2));
    ol_ir_out sum = ol_to_two(t, "Add", ol_to_reduce(t, "ReduceMean", square, axes, count, true), ol_to_number(t, x, eps));
    return ol_to_two(t, "Divide", ol_to_number(t, x, 1), ol_to_one(t, "Sqrt", sum));
}

void ol_to_layer_norm(ol_to *t, const ol_node *n, const ol_to_rule *r) {
    (void)r;
    int rank = ol_to_rank(t, n, 0);
    int64_t axes[OL_MAX_RANK];
    if (rank < 1) return;
    int count = last_axes(n, rank, axes);
    double eps = (double)ol_node_float(n, "epsilon", 1e-5f);
    ol_dtype type = ol_to_dtype(n, 0);
    ol_ir_out x = ol_to_cast(t, ol_to_in(t, n, 0), type == OL_F64 ? OL_F64 : OL_F32);
    bool mean = n->n_outputs > 1 && n->outputs[1], deviation = n->n_outputs > 2 && n->outputs[2];
    ol_ir_out y = ol_to_cast(t, ol_to_mvn(t, x, axes, count, eps, true), type);
    ol_to_give(t, n, 0, scaled(t, y, ol_to_in(t, n, 1), ol_to_in(t, n, 2)));
    if (!mean && !deviation) return;
    ol_ir_out m = ol_to_reduce(t, "ReduceMean", x, axes, count, true);
    if (mean) ol_to_give(t, n, 1, m);
    if (deviation) ol_to_give(t, n, 2, inverse_root(t, ol_to_two(t, "Subtract", x, m), axes, count, eps));
}

/* In the form that OpenVINO joins to its RMS: x 1/sqrt(mean + eps) scale. */
static ol_ir_out rms(ol_to *t, ol_ir_out x, ol_ir_out scale, ol_dtype type, const int64_t *axes, int count, double eps) {
    ol_ir_out wide = ol_to_cast(t, x, type == OL_F64 ? OL_F64 : OL_F32);
    ol_ir_out y = ol_to_two(t, "Multiply", wide, inverse_root(t, wide, axes, count, eps));
    return ol_to_two(t, "Multiply", ol_to_cast(t, y, type), scale);
}

void ol_to_rms_norm(ol_to *t, const ol_node *n, const ol_to_rule *r) {
    (void)r;
    int rank = ol_to_rank(t, n, 0);
    int64_t axes[OL_MAX_RANK];
    if (rank < 1) return;
    if (n->n_outputs > 1 && n->outputs[1]) ol_to_refuse(t, "a second output");
    int count = last_axes(n, rank, axes);
    ol_to_give(t, n, 0, rms(t, ol_to_in(t, n, 0), ol_to_in(t, n, 1), ol_to_dtype(n, 0), axes, count, (double)ol_node_float(n, "epsilon", 1e-5f)));
}

/* Inputs: x, skip, gamma, [beta, bias] or gamma, [bias]; the sum is the last output. */
void ol_to_skip_norm(ol_to *t, const ol_node *n, const ol_to_rule *r) {
    bool simple = !strcmp(r->op, "SkipSimplifiedLayerNormalization");
    const int64_t last = -1;
    int bias = simple ? 3 : 4;
    double eps = (double)ol_node_float(n, "epsilon", 1e-12f);
    ol_ir_out x = ol_to_two(t, "Add", ol_to_in(t, n, 0), ol_to_in(t, n, 1));
    if (ol_to_has(n, bias)) x = ol_to_two(t, "Add", x, ol_to_in(t, n, bias));
    if (n->n_outputs > 3 && n->outputs[3]) ol_to_give(t, n, 3, x);
    if (simple) {
        ol_to_give(t, n, 0, rms(t, x, ol_to_in(t, n, 2), ol_to_dtype(n, 0), &last, 1, eps));
        return;
    }
    ol_to_give(t, n, 0, scaled(t, ol_to_mvn(t, x, &last, 1, eps, true), ol_to_in(t, n, 2), ol_to_in(t, n, 3)));
}

void ol_to_lrn(ol_to *t, const ol_node *n, const ol_to_rule *r) {
    (void)r;
    const int64_t channels = 1;
    const ol_ir_out in[2] = {ol_to_in(t, n, 0), ol_to_i64(t, &channels, 1)};
    const ol_ir_attr attrs[4] = {ol_ir_say_float(t->e, "alpha", (double)ol_node_float(n, "alpha", 1e-4f)), ol_ir_say_float(t->e, "beta", (double)ol_node_float(n, "beta", 0.75f)),
                                 ol_ir_say_float(t->e, "bias", (double)ol_node_float(n, "bias", 1)), ol_ir_say_int(t->e, "size", ol_node_int(n, "size", 1))};
    ol_to_put(t, n, "LRN", NULL, in, 2, attrs, 4, 1);
}

/* Vectors of length 0 stay as they are. */
void ol_to_lp_norm(ol_to *t, const ol_node *n, const ol_to_rule *r) {
    (void)r;
    int64_t axis = ol_node_int(n, "axis", -1);
    ol_ir_out x = ol_to_in(t, n, 0);
    ol_ir_out length = ol_to_reduce(t, ol_node_int(n, "p", 2) == 1 ? "ReduceL1" : "ReduceL2", x, &axis, 1, true), zero = ol_to_number(t, x, 0);
    length = ol_to_select(t, ol_to_two(t, "Equal", length, zero), ol_to_number(t, x, 1), length);
    ol_to_give(t, n, 0, ol_to_two(t, "Divide", x, length));
}

void ol_to_mvn_node(ol_to *t, const ol_node *n, const ol_to_rule *r) {
    (void)r;
    static const int64_t usual[3] = {0, 2, 3};
    size_t count;
    const int64_t *axes = ol_node_ints(n, "axes", &count);
    ol_ir_out x = ol_to_in(t, n, 0);
    ol_to_give(t, n, 0, ol_to_mvn(t, x, axes ? axes : usual, axes ? (int)count : 3, 1e-9, false));
}
