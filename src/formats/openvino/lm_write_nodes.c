/* SPDX-License-Identifier: Apache-2.0 */
/* Linear layers, and the operators that work row by row: axes behind the rows' move by one, since [T, ...] is
 * [B, S, ...] here. Values of all experts keep the rank that they have. */
#include "base/error.h"
#include "formats/openvino/lm_write.h"
#include <stdio.h>

/* ---- linear layers ---- */

/* "model.a.weight" as a traced module is called. */
static const char *module_name(ol_lmw *w, const ol_value *weight) {
    size_t n = strlen(weight->name);
    if (n > 7 && strcmp(weight->name + n - 7, ".weight") == 0) n -= 7;
    return ol_lmw_text(w, "__module.%.*s/aten::linear", (int)n, weight->name);
}

/* a + b in the layer that may carry the name of the logits. */
static ol_ir_out named_binary(ol_lmw *w, const ol_node *n, const char *type, const char *name, ol_ir_out a, ol_ir_out b) {
    const char *const *names = ol_lmw_names(w, n);
    if (!names) return ol_ir_add_binary(w->e, type, name, a, b);
    const ol_ir_attr attr = ol_ir_say_text("auto_broadcast", "numpy");
    const ol_ir_out in[] = {a, b};
    ol_ir_type t = ol_lmw_row_type(n->outputs[0]);
    return ol_ir_add(w->e, &(ol_ir_layer){.type = type, .name = name, .in = in, .n_in = 2, .attrs = &attr, .n_attrs = 1, .out = &t,
                                          .n_out = 1, .names = names});
}

void ol_lmw_linear(ol_lmw *w, ol_node *n) {
    ol_value *weight = n->inputs[1], *bias = n->n_inputs > 2 ? n->inputs[2] : NULL;
    if (!weight->constant || ol_const_rank(weight->constant) != 2) {
        ol_lmw_fail(w, n, OLV_UNSUPPORTED, "weights that are no constant matrix");
        return;
    }
    const char *name = module_name(w, weight);
    const ol_ir_out in[] = {ol_lmw_rows(w, n->inputs[0]), ol_lmw_weight(w, weight)};
    const ol_ir_attr attrs[] = {ol_ir_say_bool("transpose_a", false), ol_ir_say_bool("transpose_b", true)};
    ol_ir_type t = ol_lmw_row_type(n->outputs[0]);
    ol_ir_out y = ol_ir_add(w->e, &(ol_ir_layer){.type = "MatMul", .name = ol_lmw_text(w, "%s/MatMul", name), .in = in, .n_in = 2,
                                                 .attrs = attrs, .n_attrs = 2, .out = &t, .n_out = 1,
                                                 .names = bias ? NULL : ol_lmw_names(w, n)});
    if (bias) y = named_binary(w, n, "Add", ol_lmw_text(w, "%s/Add", name), y, ol_lmw_rows(w, bias));
    ol_lmw_set(w, n, 0, y, OL_LMW_ROWS, 0);
}

/* ---- forms ---- */

/* The input of n that holds values of all experts, or -1. */
static int experts_input(const ol_lmw *w, const ol_node *n) {
    for (int i = 0; i < n->n_inputs; i++)
        if (n->inputs[i] && !n->inputs[i]->constant && w->values[n->inputs[i]->id].form == OL_LMW_EXPERTS) return i;
    return -1;
}

static int64_t moved_axis(bool experts, int64_t axis) { return axis >= 1 && !experts ? axis + 1 : axis; }

/* Type of an output in the form that it gets. */
static ol_ir_type type_of(const ol_value *v, bool experts) {
    int64_t dims[OL_MAX_RANK] = {-1, -1};
    int rank = v->type.rank, from = experts ? 2 : 1;
    if (rank < from || rank + 1 >= OL_MAX_RANK) return (ol_ir_type){.element = ol_ir_element_of(v->type.dtype), .rank = -1};
    for (int i = from; i < rank; i++) dims[i - from + 2] = v->type.dims[i] >= 0 ? v->type.dims[i] : -1;
    return ol_ir_type_of(v->type.dtype, rank - from + 2, dims);
}

static void set_plain(ol_lmw *w, const ol_node *n, int output, ol_ir_out y) {
    int from = experts_input(w, n);
    ol_lmw_set(w, n, output, y, from >= 0 ? OL_LMW_EXPERTS : OL_LMW_ROWS, 0);
    if (from >= 0 && output < n->n_outputs && n->outputs[output])
        w->values[n->outputs[output]->id].chosen = w->values[n->inputs[from]->id].chosen;
}

/* ---- operators ---- */

static void unary(ol_lmw *w, ol_node *n, const char *layer, const char *version) {
    ol_ir_out x = ol_lmw_rows(w, n->inputs[0]);
    ol_ir_type t = type_of(n->outputs[0], experts_input(w, n) >= 0);
    set_plain(w, n, 0, ol_lmw_add(w, layer, version, NULL, &x, 1, NULL, 0, &t));
}

static void binary(ol_lmw *w, ol_node *n, const char *layer, const char *version) {
    (void)version;
    set_plain(w, n, 0, named_binary(w, n, layer, NULL, ol_lmw_rows(w, n->inputs[0]), ol_lmw_rows(w, n->inputs[1])));
}

static void swish(ol_lmw *w, ol_node *n, const char *layer, const char *version) {
    double alpha = (double)ol_node_float(n, "alpha", 1);
    const ol_ir_out in[] = {ol_lmw_rows(w, n->inputs[0]), alpha != 1 ? ol_lmw_number(w, alpha) : OL_IR_NONE};
    ol_ir_type t = type_of(n->outputs[0], experts_input(w, n) >= 0);
    set_plain(w, n, 0, ol_lmw_add(w, layer, version, NULL, in, alpha != 1 ? 2 : 1, NULL, 0, &t));
}

static void gelu(ol_lmw *w, ol_node *n, const char *layer, const char *version) {
    ol_ir_out x = ol_lmw_rows(w, n->inputs[0]);
    bool tanh_form = ol_str_is(ol_node_string(n, "approximate", "none"), "tanh");
    const ol_ir_attr mode = ol_ir_say_text("approximation_mode", tanh_form ? "TANH" : "ERF");
    ol_ir_type t = type_of(n->outputs[0], experts_input(w, n) >= 0);
    set_plain(w, n, 0, ol_lmw_add(w, layer, version, NULL, &x, 1, &mode, 1, &t));
}

static void with_axis(ol_lmw *w, ol_node *n, const char *layer, const char *version) {
    bool experts = experts_input(w, n) >= 0;
    ol_ir_out in[16];
    if (n->n_inputs > 16) {
        ol_lmw_fail(w, n, OLV_UNSUPPORTED, "%d inputs", n->n_inputs);
        return;
    }
    for (int i = 0; i < n->n_inputs; i++) in[i] = ol_lmw_rows(w, n->inputs[i]);
    const ol_ir_attr axis = ol_ir_say_int(w->e, "axis", moved_axis(experts, ol_node_int(n, "axis", -1)));
    ol_ir_type t = type_of(n->outputs[0], experts);
    set_plain(w, n, 0, ol_lmw_add(w, layer, version, NULL, in, n->n_inputs, &axis, 1, &t));
}

static void scatter(ol_lmw *w, ol_node *n, const char *layer, const char *version) {
    int64_t axis = moved_axis(false, ol_node_int(n, "axis", 0));
    const ol_ir_out in[] = {ol_lmw_rows(w, n->inputs[0]), ol_lmw_rows(w, n->inputs[1]), ol_lmw_rows(w, n->inputs[2]), ol_lmw_scalar(w, axis)};
    ol_ir_type t = type_of(n->outputs[0], false);
    set_plain(w, n, 0, ol_lmw_add(w, layer, version, NULL, in, 4, NULL, 0, &t));
}

static void select_where(ol_lmw *w, ol_node *n, const char *layer, const char *version) {
    const ol_ir_out in[] = {ol_lmw_rows(w, n->inputs[0]), ol_lmw_rows(w, n->inputs[1]), ol_lmw_rows(w, n->inputs[2])};
    const ol_ir_attr attr = ol_ir_say_text("auto_broadcast", "numpy");
    ol_ir_type t = type_of(n->outputs[0], experts_input(w, n) >= 0);
    set_plain(w, n, 0, ol_lmw_add(w, layer, version, NULL, in, 3, &attr, 1, &t));
}

static void top_k(ol_lmw *w, ol_node *n, const char *layer, const char *version) {
    int64_t k;
    if (ol_lmw_ints(n, 1, &k, 1) != 1) {
        ol_lmw_fail(w, n, OLV_UNSUPPORTED, "a number of values that is no constant");
        return;
    }
    const ol_ir_out in[] = {ol_lmw_rows(w, n->inputs[0]), ol_lmw_scalar(w, k)};
    const ol_ir_attr attrs[] = {ol_ir_say_int(w->e, "axis", moved_axis(false, ol_node_int(n, "axis", -1))),
                                ol_ir_say_text("mode", ol_node_int(n, "largest", 1) ? "max" : "min"), ol_ir_say_text("sort", "value"),
                                ol_ir_say_text("index_element_type", "i64"), ol_ir_say_text("stable", "true")};
    ol_ir_type t[2] = {type_of(n->outputs[0] ? n->outputs[0] : n->outputs[1], false), type_of(n->outputs[0] ? n->outputs[0] : n->outputs[1], false)};
    t[0].element = ol_ir_element_of(n->inputs[0]->type.dtype);
    t[1].element = ol_ir_element_of(OL_I64);
    ol_ir_out y = ol_ir_add(w->e, &(ol_ir_layer){.type = layer, .version = version, .in = in, .n_in = 2, .attrs = attrs, .n_attrs = 5,
                                                 .out = t, .n_out = 2});
    ol_lmw_set(w, n, 0, y, OL_LMW_ROWS, 0);
    ol_lmw_set(w, n, 1, ol_ir_nth(y, 1), OL_LMW_ROWS, 0);
}

static void reduce(ol_lmw *w, ol_node *n, const char *layer, const char *version) {
    int64_t axes[OL_MAX_RANK];
    bool experts = experts_input(w, n) >= 0;
    int count = ol_lmw_ints(n, 1, axes, OL_MAX_RANK);
    for (int i = 0; i < count; i++) axes[i] = moved_axis(experts, axes[i]);
    if (count < 1 || experts) {
        ol_lmw_fail(w, n, OLV_UNSUPPORTED, "%s", experts ? "experts that are summed but not weighed" : "axes that are no constants");
        return;
    }
    const ol_ir_out in[] = {ol_lmw_rows(w, n->inputs[0]), ol_ir_const_i64(w->e, axes, count)};
    const ol_ir_attr keep = ol_ir_say_bool("keep_dims", ol_node_int(n, "keepdims", 1) != 0);
    ol_ir_type t = type_of(n->outputs[0], false);
    set_plain(w, n, 0, ol_lmw_add(w, layer, version, NULL, in, 2, &keep, 1, &t));
}

static void slice(ol_lmw *w, ol_node *n, const char *layer, const char *version) {
    int64_t v[4][OL_MAX_RANK]; /* starts, ends, axes, steps */
    bool experts = experts_input(w, n) >= 0;
    int count = ol_lmw_ints(n, 1, v[0], OL_MAX_RANK);
    for (int i = 1; i < 4; i++) {
        int have = ol_lmw_ints(n, i + 1, v[i], OL_MAX_RANK);
        if (have == 0 && i == 3)
            for (int k = 0; k < count; k++) v[3][k] = 1;
        else if (have != count) count = -1;
    }
    if (count < 1) {
        ol_lmw_fail(w, n, OLV_UNSUPPORTED, "ranges that are no constants");
        return;
    }
    for (int i = 0; i < count; i++) v[2][i] = moved_axis(experts, v[2][i]);
    const ol_ir_out in[] = {ol_lmw_rows(w, n->inputs[0]), ol_ir_const_i64(w->e, v[0], count), ol_ir_const_i64(w->e, v[1], count),
                            ol_ir_const_i64(w->e, v[3], count), ol_ir_const_i64(w->e, v[2], count)};
    ol_ir_type t = type_of(n->outputs[0], experts);
    set_plain(w, n, 0, ol_lmw_add(w, layer, version, NULL, in, 5, NULL, 0, &t));
}

/* A shape that begins with the rows, [0, ...] or [-1, ...]; the rows become two axes. */
static void reshape(ol_lmw *w, ol_node *n, const char *layer, const char *version) {
    int64_t v[OL_MAX_RANK + 1];
    bool experts = experts_input(w, n) >= 0;
    int count = ol_lmw_ints(n, 1, v + 1, OL_MAX_RANK);
    (void)layer;
    (void)version;
    bool rows = count >= 1 && (v[1] == 0 || (v[1] == -1 && n->outputs[0]->type.dims[0] == n->inputs[0]->type.dims[0]));
    if (!rows || (experts && count < 2)) {
        ol_lmw_fail(w, n, OLV_UNSUPPORTED, "a shape that does not keep the rows");
        return;
    }
    v[0] = v[1] = 0;
    if (experts) v[2] = 0;
    ol_ir_out y = ol_ir_add_reshape(w->e, NULL, ol_lmw_rows(w, n->inputs[0]), experts ? v + 1 : v, experts ? count : count + 1, true);
    set_plain(w, n, 0, y);
}

static void expand(ol_lmw *w, ol_node *n, const char *layer, const char *version) {
    const ol_type *t = &n->outputs[0]->type;
    int64_t dims[OL_MAX_RANK + 1] = {1, 1};
    bool known = t->rank >= 1 && t->rank < OL_MAX_RANK && experts_input(w, n) < 0;
    for (int i = 1; known && i < t->rank; i++) {
        dims[i + 1] = t->dims[i];
        known = t->dims[i] >= 0;
    }
    if (!known) {
        ol_lmw_fail(w, n, OLV_UNSUPPORTED, "sizes that are not known");
        return;
    }
    const ol_ir_out in[] = {ol_lmw_rows(w, n->inputs[0]), ol_ir_const_i64(w->e, dims, t->rank + 1)};
    const ol_ir_attr mode = ol_ir_say_text("mode", "bidirectional");
    ol_ir_type out = type_of(n->outputs[0], false);
    set_plain(w, n, 0, ol_lmw_add(w, layer, version, NULL, in, 2, &mode, 1, &out));
}

static void convert(ol_lmw *w, ol_node *n, const char *layer, const char *version) {
    (void)layer;
    (void)version;
    set_plain(w, n, 0, ol_ir_add_convert(w->e, NULL, ol_lmw_rows(w, n->inputs[0]), ol_ir_element_of(n->outputs[0]->type.dtype)));
}

static void clip(ol_lmw *w, ol_node *n, const char *layer, const char *version) {
    ol_ir_out x = ol_lmw_rows(w, n->inputs[0]);
    (void)layer;
    (void)version;
    if (n->n_inputs > 1 && n->inputs[1]) x = ol_ir_add_binary(w->e, "Maximum", NULL, x, ol_lmw_rows(w, n->inputs[1]));
    if (n->n_inputs > 2 && n->inputs[2]) x = ol_ir_add_binary(w->e, "Minimum", NULL, x, ol_lmw_rows(w, n->inputs[2]));
    set_plain(w, n, 0, x);
}

static const struct {
    const char *op, *layer, *version;
    void (*run)(ol_lmw *w, ol_node *n, const char *layer, const char *version);
} plain[] = {
    {"Relu", "ReLU", NULL, unary}, {"Tanh", "Tanh", NULL, unary}, {"Sigmoid", "Sigmoid", NULL, unary},
    {"Exp", "Exp", NULL, unary}, {"Log", "Log", NULL, unary}, {"Neg", "Negative", NULL, unary}, {"Abs", "Abs", NULL, unary},
    {"Sqrt", "Sqrt", NULL, unary}, {"Floor", "Floor", NULL, unary}, {"Erf", "Erf", NULL, unary}, {"Not", "LogicalNot", NULL, unary},
    {"Softplus", "SoftPlus", "opset4", unary}, {"Swish", "Swish", "opset4", swish}, {"Gelu", "Gelu", "opset7", gelu},
    {"Add", "Add", NULL, binary}, {"Sub", "Subtract", NULL, binary}, {"Mul", "Multiply", NULL, binary},
    {"Div", "Divide", NULL, binary}, {"Pow", "Power", NULL, binary}, {"Min", "Minimum", NULL, binary},
    {"Max", "Maximum", NULL, binary}, {"Less", "Less", NULL, binary}, {"Greater", "Greater", NULL, binary},
    {"LessOrEqual", "LessEqual", NULL, binary}, {"GreaterOrEqual", "GreaterEqual", NULL, binary}, {"Equal", "Equal", NULL, binary},
    {"Softmax", "SoftMax", "opset8", with_axis}, {"Concat", "Concat", NULL, with_axis},
    {"GatherElements", "GatherElements", "opset6", with_axis}, {"ScatterElements", "ScatterElementsUpdate", "opset3", scatter},
    {"Where", "Select", NULL, select_where}, {"TopK", "TopK", "opset11", top_k},
    {"ReduceSum", "ReduceSum", NULL, reduce}, {"ReduceMean", "ReduceMean", NULL, reduce}, {"ReduceMin", "ReduceMin", NULL, reduce},
    {"ReduceMax", "ReduceMax", NULL, reduce}, {"Slice", "Slice", "opset8", slice}, {"Reshape", "Reshape", NULL, reshape},
    {"Expand", "Broadcast", "opset3", expand}, {"Cast", "Convert", NULL, convert}, {"Clip", "Clamp", NULL, clip},
};

bool ol_lmw_plain(ol_lmw *w, ol_node *n) {
    if (n->op->domain[0]) return false;
    for (size_t i = 0; i < sizeof plain / sizeof plain[0]; i++) {
        if (strcmp(plain[i].op, n->op->name) != 0) continue;
        plain[i].run(w, n, plain[i].layer, plain[i].version);
        return true;
    }
    return false;
}
