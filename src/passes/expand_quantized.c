/* SPDX-License-Identifier: Apache-2.0 */
/* QLinearConv and QLinearMatMul become what they mean: DequantizeLinear, the operator of floats, QuantizeLinear, so that
 * devices find one form of a quantized operator. They differ by the rounding of ties, at most. */
#include "base/error.h"
#include "passes/passes.h"

static ol_value *add(ol_graph *g, ol_node *before, const char *op, ol_value *const *in, int n_in, const ol_attr *attrs, int n_attrs, olv_error *err) {
    ol_node *n = ol_graph_add_node(g, before, ol_op_find("", op), before->name, in, n_in, NULL, 1, attrs, n_attrs, err);
    return n ? n->outputs[0] : NULL;
}

static ol_value *dequantize(ol_graph *g, ol_node *n, int at, int64_t axis, olv_error *err) {
    ol_attr a = ol_attr_int("axis", axis);
    return add(g, n, "DequantizeLinear", &n->inputs[at], 3, &a, 1, err);
}

/* Integers worth the product of both scales. */
static ol_value *bias_of(ol_graph *g, ol_node *n, olv_error *err) {
    ol_attr to = ol_attr_int("to", 1); /* FLOAT */
    ol_value *unit = add(g, n, "Mul", (ol_value *[]){n->inputs[1], n->inputs[4]}, 2, NULL, 0, err);
    ol_value *whole = unit ? add(g, n, "Cast", &n->inputs[8], 1, &to, 1, err) : NULL;
    return whole ? add(g, n, "Mul", (ol_value *[]){whole, unit}, 2, NULL, 0, err) : NULL;
}

static olv_status expand(ol_graph *g, ol_node *n, bool conv, olv_error *err) {
    ol_value *in[3] = {dequantize(g, n, 0, 1, err), NULL, NULL}, *y = NULL;
    bool bias = conv && n->n_inputs > 8 && n->inputs[8];
    if (in[0]) in[1] = dequantize(g, n, 3, conv ? 0 : 1, err);
    if (in[1] && bias) in[2] = bias_of(g, n, err);
    if (in[1] && (!bias || in[2])) y = add(g, n, conv ? "Conv" : "MatMul", in, bias ? 3 : 2, n->attrs, n->n_attrs, err);
    if (y) y = add(g, n, "QuantizeLinear", (ol_value *[]){y, n->inputs[6], n->inputs[7]}, 3, NULL, 0, err);
    if (!y) return err ? err->status : OLV_NOMEM;
    ol_value_supersede(n->outputs[0], y);
    ol_graph_remove_node(g, n);
    return OLV_OK;
}

/* One scale for the activations, in f32; one scale, or one for each output, for weights of more than one dim. */
static bool can_expand(const ol_node *n, bool conv) {
    const ol_value *xs = n->inputs[1], *ws = n->inputs[4];
    if (xs->type.rank != 0 && (xs->type.rank != 1 || xs->type.dims[0] != 1)) return false;
    if (xs->type.dtype != OL_F32 || ws->type.dtype != OL_F32 || ws->type.rank < 0 || ws->type.rank > 1) return false;
    return conv ? n->inputs[0]->type.rank >= 3 : ws->type.rank == 0 || n->inputs[3]->type.rank == 2 || (ws->type.rank == 1 && ws->type.dims[0] == 1);
}

static olv_status run(ol_graph *g, bool *changed, olv_error *err) {
    for (ol_node *n = g->first, *next; n; n = next) {
        next = n->next;
        bool conv = !strcmp(n->op->name, "QLinearConv");
        if (*n->op->domain || (!conv && strcmp(n->op->name, "QLinearMatMul")) || !can_expand(n, conv)) continue;
        OL_TRY(expand(g, n, conv, err));
        *changed = true;
    }
    return OLV_OK;
}

extern const ol_pass ol_pass_expand_quantized;
const ol_pass ol_pass_expand_quantized = {"expand-quantized", "QLinearConv and QLinearMatMul by operators of floats", run};
