/* SPDX-License-Identifier: Apache-2.0 */
/* Losses over classes in axis 1. */
#include "formats/openvino/to.h"

/* -weight[target] log_prob[target] per place, brought together as `reduction` says; ignored targets weigh nothing. */
static ol_ir_out loss(ol_to *t, const ol_node *n, ol_ir_out log_prob) {
    const int64_t one = 1;
    int64_t axes[OL_MAX_RANK];
    int rank = n->inputs[1]->type.rank;
    ol_str how = ol_node_string(n, "reduction", "mean");
    const ol_attr *ignore = ol_node_attr(n, "ignore_index");
    ol_ir_out target = ol_to_cast(t, ol_to_in(t, n, 1), OL_I64), kept = OL_IR_NONE, weight = OL_IR_NONE;
    for (int i = 0; i < rank; i++) axes[i] = i;
    if (ignore) {
        ol_ir_out skip = ol_to_two(t, "Equal", target, ol_to_scalar(t, ignore->v.i));
        target = ol_to_select(t, skip, ol_to_scalar(t, 0), target);
        kept = ol_to_select(t, skip, ol_to_number(t, log_prob, 0), ol_to_number(t, log_prob, 1));
    }
    const ol_ir_out in[2] = {log_prob, ol_ir_add_unsqueeze(t->e, NULL, target, &one, 1)};
    const ol_ir_attr attr = ol_ir_say_int(t->e, "axis", 1);
    ol_ir_out picked = ol_to_layer(t, "GatherElements", "opset6", in, 2, &attr, 1, false);
    ol_ir_out x = ol_to_one(t, "Negative", ol_ir_add_squeeze(t->e, NULL, picked, &one, 1));
    if (ol_to_has(n, 2)) weight = ol_to_gather(t, ol_to_in(t, n, 2), target, 0);
    if (weight.layer >= 0 && kept.layer >= 0) weight = ol_to_two(t, "Multiply", weight, kept);
    else if (kept.layer >= 0) weight = kept;
    if (weight.layer >= 0) x = ol_to_two(t, "Multiply", x, weight);
    if (ol_str_is(how, "none")) return x;
    if (ol_str_is(how, "sum")) return ol_to_reduce(t, "ReduceSum", x, axes, rank, false);
    if (weight.layer < 0) return ol_to_reduce(t, "ReduceMean", x, axes, rank, false);
    return ol_to_two(t, "Divide", ol_to_reduce(t, "ReduceSum", x, axes, rank, false), ol_to_reduce(t, "ReduceSum", weight, axes, rank, false));
}

void ol_to_nll_loss(ol_to *t, const ol_node *n, const ol_to_rule *r) {
    (void)r;
    if (n->inputs[1]->type.rank < 0) ol_to_refuse(t, "targets of unknown rank");
    else ol_to_give(t, n, 0, loss(t, n, ol_to_in(t, n, 0)));
}

void ol_to_cross_entropy(ol_to *t, const ol_node *n, const ol_to_rule *r) {
    (void)r;
    if (n->inputs[1]->type.rank < 0) {
        ol_to_refuse(t, "targets of unknown rank");
        return;
    }
    ol_ir_out log_prob = ol_to_softmax(t, "LogSoftmax", ol_to_in(t, n, 0), 1);
    ol_to_give(t, n, 0, loss(t, n, log_prob));
    if (n->n_outputs > 1 && n->outputs[1]) ol_to_give(t, n, 1, log_prob);
}
