/* SPDX-License-Identifier: Apache-2.0 */
#include "quantize/operators.h"
#include <string.h>

static const struct {
    const char *op;
    ol_quant_role role;
} roles[] = {
    {"Conv", OL_QUANT_WEIGHTED},          {"ConvTranspose", OL_QUANT_WEIGHTED}, {"MatMul", OL_QUANT_WEIGHTED},
    {"Gemm", OL_QUANT_WEIGHTED},          {"Add", OL_QUANT_COMBINING},          {"Mul", OL_QUANT_COMBINING},
    {"Sub", OL_QUANT_COMBINING},          {"Div", OL_QUANT_COMBINING},          {"Min", OL_QUANT_COMBINING},
    {"Max", OL_QUANT_COMBINING},          {"AveragePool", OL_QUANT_INPUTS},     {"GlobalAveragePool", OL_QUANT_INPUTS},
    {"ReduceMean", OL_QUANT_INPUTS},      {"ReduceSum", OL_QUANT_INPUTS},       {"ReduceL2", OL_QUANT_INPUTS},
    {"LpNormalization", OL_QUANT_INPUTS}, {"Resize", OL_QUANT_INPUTS},          {"MeanVarianceNormalization", OL_QUANT_INPUTS},
    {"GroupNormalization", OL_QUANT_INPUTS}, {"Pow", OL_QUANT_INPUTS},          {"MaxPool", OL_QUANT_PASSING},
    {"GlobalMaxPool", OL_QUANT_PASSING},  {"ReduceMax", OL_QUANT_PASSING},      {"Reshape", OL_QUANT_PASSING},
    {"Flatten", OL_QUANT_PASSING},        {"Squeeze", OL_QUANT_PASSING},        {"Unsqueeze", OL_QUANT_PASSING},
    {"Split", OL_QUANT_PASSING},          {"Transpose", OL_QUANT_PASSING},      {"Tile", OL_QUANT_PASSING},
    {"Expand", OL_QUANT_PASSING},         {"Pad", OL_QUANT_PASSING},            {"DepthToSpace", OL_QUANT_PASSING},
    {"SpaceToDepth", OL_QUANT_PASSING},   {"Identity", OL_QUANT_PASSING},       {"GatherElements", OL_QUANT_PASSING},
    {"GatherND", OL_QUANT_PASSING},       {"Concat", OL_QUANT_JOINING},
};

bool ol_node_is(const ol_node *n, const char *op) { return n && !*n->op->domain && !strcmp(n->op->name, op); }

static bool is_weight_constant(const ol_value *v) {
    return v && v->constant && !v->is_input && v->type.dtype == OL_F32 && v->type.rank >= 2 && !ol_const_quant_form(v->constant);
}

/* A Pad that adds other elements than zeros would need them on the grid. */
static bool pads_zeros(const ol_node *n) {
    if (!ol_str_is(ol_node_string(n, "mode", "constant"), "constant")) return true;
    if (n->n_inputs < 3 || !n->inputs[2]) return true;
    ol_tensor t;
    if (!ol_value_const_tensor(n->inputs[2], 64, &t)) return false;
    bool zero = ol_tensor_count(&t) == 1 && ol_elem_get(t.dtype, t.data, 0) == 0;
    ol_tensor_deinit(&t);
    return zero;
}

ol_quant_role ol_quant_role_of(const ol_node *n) {
    if (*n->op->domain) return OL_QUANT_FLOAT;
    if (ol_node_is(n, "Gather")) {
        if (is_weight_constant(n->inputs[0])) return ol_node_int(n, "axis", 0) == 0 ? OL_QUANT_TABLE : OL_QUANT_FLOAT;
        return n->inputs[0]->constant ? OL_QUANT_FLOAT : OL_QUANT_PASSING;
    }
    if (ol_node_is(n, "Pad") && !pads_zeros(n)) return OL_QUANT_FLOAT;
    if (ol_node_is(n, "MaxPool") && n->n_outputs > 1 && n->outputs[1]) return OL_QUANT_FLOAT;
    for (size_t i = 0; i < sizeof roles / sizeof roles[0]; i++)
        if (!strcmp(n->op->name, roles[i].op)) return roles[i].role;
    return OL_QUANT_FLOAT;
}

int ol_quant_weight_input(const ol_node *n, int *axis) {
    ol_quant_role r = ol_quant_role_of(n);
    if (r == OL_QUANT_TABLE) return *axis = 0, 0;
    if (r != OL_QUANT_WEIGHTED || n->n_inputs < 2 || !is_weight_constant(n->inputs[1])) return -1;
    int rank = n->inputs[1]->type.rank;
    if (ol_node_is(n, "MatMul")) *axis = rank - 1;
    else if (ol_node_is(n, "Gemm")) *axis = ol_node_int(n, "transB", 0) ? 0 : 1;
    else *axis = ol_node_is(n, "ConvTranspose");
    if (ol_node_is(n, "ConvTranspose") && ol_node_int(n, "group", 1) != 1) return -1;
    return 1;
}

int ol_quant_weight_in_axis(const ol_node *n) {
    if (ol_node_is(n, "MatMul")) return n->inputs[1]->type.rank - 2;
    if (ol_node_is(n, "Gemm")) return ol_node_int(n, "transB", 0) ? 1 : 0;
    return ol_node_is(n, "ConvTranspose") ? 0 : 1;
}

int ol_quant_channel_axis(const ol_node *n) {
    if (ol_node_is(n, "Gemm")) return ol_node_int(n, "transA", 0) ? 0 : 1;
    return ol_node_is(n, "MatMul") ? -1 : 1;
}

bool ol_quant_is_depthwise(const ol_node *n) {
    if (!ol_node_is(n, "Conv") || n->inputs[1]->type.rank < 3 || !ol_dim_known(n->inputs[1]->type.dims[1])) return false;
    return n->inputs[1]->type.dims[1] == 1 && ol_node_int(n, "group", 1) > 1;
}

bool ol_quant_is_activation(const ol_node *n, int i) {
    const ol_value *v = i < n->n_inputs ? n->inputs[i] : NULL;
    return v && !v->constant && v->type.kind == OL_VALUE_TENSOR && v->type.dtype == OL_F32;
}

int ol_quant_n_data_inputs(const ol_node *n) { return ol_quant_role_of(n) == OL_QUANT_JOINING ? n->n_inputs : 1; }

/* Sizes of 1 but for the last. */
static bool is_row(const ol_value *v) {
    for (int i = 0; i + 1 < v->type.rank; i++)
        if (v->type.dims[i] != 1) return false;
    return v->type.rank > 0;
}

ol_value *ol_quant_bias_of(ol_node *n, ol_node **at, int *input) {
    if (!ol_node_is(n, "MatMul")) {
        ol_value *b = n->n_inputs > 2 ? n->inputs[2] : NULL;
        *at = n, *input = 2;
        return b && b->constant && !b->is_input && b->type.dtype == OL_F32 ? b : NULL;
    }
    ol_node *add = ol_value_only_user(n->outputs[0]);
    if (!ol_node_is(add, "Add")) return NULL;
    int i = add->inputs[0] == n->outputs[0];
    ol_value *b = add->inputs[i];
    *at = add, *input = i;
    return b && b->constant && !b->is_input && b->type.dtype == OL_F32 && is_row(b) ? b : NULL;
}
