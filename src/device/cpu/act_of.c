/* SPDX-License-Identifier: Apache-2.0 */
/* Which kernel function a unary operator is. */
#include "device/cpu/cpu.h"
#include "graph/op.h"
#include <math.h>
#include <string.h>

/* A number given as a constant input; `none` when it is left out. */
static bool number_of(const ol_node *n, int i, float none, float *out) {
    ol_tensor t;
    *out = none;
    if (i >= n->n_inputs || !n->inputs[i]) return true;
    if (n->inputs[i]->is_input || !ol_value_const_tensor(n->inputs[i], 64, &t)) return false;
    bool one = ol_tensor_count(&t) == 1;
    if (one) *out = (float)ol_elem_get(t.dtype, t.data, 0);
    ol_tensor_deinit(&t);
    return one;
}

ol_cpu_act ol_cpu_act_of(const ol_node *n) {
    static const struct {
        const char *name;
        olk_act f;
    } plain[] = {{"Relu", OLK_ACT_RELU}, {"Sigmoid", OLK_ACT_SIGMOID}, {"Tanh", OLK_ACT_TANH}, {"Softplus", OLK_ACT_SOFTPLUS},
                 {"Exp", OLK_ACT_EXP}, {"Neg", OLK_ACT_NEG}, {"Sqrt", OLK_ACT_SQRT}, {"Reciprocal", OLK_ACT_RECIPROCAL},
                 {"Abs", OLK_ACT_ABS}, {"Log", OLK_ACT_LOG}, {"Sin", OLK_ACT_SIN}, {"Cos", OLK_ACT_COS}, {"Erf", OLK_ACT_ERF},
                 {"Mish", OLK_ACT_MISH}, {"Softsign", OLK_ACT_SOFTSIGN}, {"HardSwish", OLK_ACT_HARD_SWISH}};
    ol_cpu_act act = {OLK_ACT_NONE, 0, 0};
    if (*n->op->domain) return act;
    for (size_t i = 0; i < sizeof plain / sizeof plain[0]; i++)
        if (!strcmp(plain[i].name, n->op->name)) act.f = plain[i].f;
    if (!strcmp(n->op->name, "Gelu")) {
        ol_str how = ol_node_string(n, "approximate", "none");
        act.f = ol_str_is(how, "tanh") ? OLK_ACT_GELU_TANH : OLK_ACT_GELU;
    } else if (!strcmp(n->op->name, "Swish")) {
        float alpha = ol_node_float(n, "alpha", 1.0f);
        act.f = alpha == 1.0f ? OLK_ACT_SILU : alpha == 1.702f ? OLK_ACT_QUICK_GELU : OLK_ACT_NONE;
    } else if (!strcmp(n->op->name, "Elu")) {
        act = (ol_cpu_act){OLK_ACT_ELU, ol_node_float(n, "alpha", 1.0f), 0};
    } else if (!strcmp(n->op->name, "LeakyRelu")) {
        act = (ol_cpu_act){OLK_ACT_LEAKY_RELU, ol_node_float(n, "alpha", 0.01f), 0};
    } else if (!strcmp(n->op->name, "HardSigmoid")) {
        act = (ol_cpu_act){OLK_ACT_HARD_SIGMOID, ol_node_float(n, "alpha", 0.2f), ol_node_float(n, "beta", 0.5f)};
    } else if (!strcmp(n->op->name, "Clip") && ol_dtype_class(n->outputs[0]->type.dtype) == 'f') {
        float low, high;
        if (number_of(n, 1, -INFINITY, &low) && number_of(n, 2, INFINITY, &high)) act = (ol_cpu_act){OLK_ACT_CLIP, low, high};
    }
    return act;
}
