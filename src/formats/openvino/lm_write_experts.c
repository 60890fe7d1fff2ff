/* SPDX-License-Identifier: Apache-2.0 */
/* Mixtures of experts as products of all experts at once, weighed by the router: OpenVINO has no layer that takes the
 * matrices of the chosen ones, and this is the form that its own fusions look for. Between the first product and the
 * weighing, values are [E, B S, n]. */
#include "base/error.h"
#include "formats/openvino/lm_write.h"

static ol_ir_out bias_of(ol_lmw *w, ol_value *v, int64_t experts) {
    int64_t all = ol_const_rows(v->constant) * ol_const_width(v->constant);
    return ol_ir_add_reshape(w->e, NULL, ol_lmw_weight(w, v), (const int64_t[]){experts, 1, all / experts}, 3, false);
}

/* Rows [B, S, k] for every expert, [E, B S, k]: products do not repeat a batch of one by themselves. */
static ol_ir_out for_each_expert(ol_lmw *w, ol_ir_out x, int64_t experts, int64_t k) {
    const ol_ir_out in[] = {ol_ir_add_reshape(w->e, NULL, x, (const int64_t[]){1, -1, k}, 3, false),
                            ol_ir_const_i64(w->e, (const int64_t[]){experts, 1, 1}, 3)};
    ol_ir_type t = ol_ir_type_of(OL_F32, 3, (const int64_t[]){experts, -1, k});
    return ol_lmw_add(w, "Tile", NULL, NULL, in, 2, NULL, 0, &t);
}

void ol_lmw_expert_linear(ol_lmw *w, ol_node *n) {
    ol_value *x = n->inputs[0], *weight = n->inputs[1], *bias = n->n_inputs > 3 ? n->inputs[3] : NULL;
    if (!weight->constant || ol_const_rank(weight->constant) != 3 || (bias && !bias->constant)) {
        ol_lmw_fail(w, n, OLV_UNSUPPORTED, "weights that are no constants");
        return;
    }
    const int64_t *d = ol_const_dims(weight->constant);
    bool inside = w->values[x->id].form == OL_LMW_EXPERTS;
    ol_ir_out in[] = {ol_lmw_rows(w, x), ol_lmw_weight(w, weight)};
    if (!inside) in[0] = for_each_expert(w, in[0], d[0], d[2]);
    const ol_ir_attr attrs[] = {ol_ir_say_bool("transpose_a", false), ol_ir_say_bool("transpose_b", true)};
    ol_ir_type t = ol_ir_type_of(OL_F32, 3, (const int64_t[]){d[0], -1, d[1]});
    ol_ir_out y = ol_lmw_add(w, "MatMul", NULL, ol_lmw_text(w, "__module.%.400s/MatMul", weight->name), in, 2, attrs, 2, &t);
    if (bias) y = ol_ir_add_binary(w->e, "Add", NULL, y, bias_of(w, bias, d[0]));
    ol_lmw_set(w, n, 0, y, OL_LMW_EXPERTS, 0);
    w->values[n->outputs[0]->id].chosen = n->inputs[2];
}

/* Weights [B, S, A, 1] of the chosen experts as [E, B S, 1] of all, zero for the others. */
static ol_ir_out dense_weights(ol_lmw *w, ol_value *weights, ol_value *chosen, int64_t experts) {
    const int64_t a = ol_lmw_width(chosen);
    const ol_ir_out hot[] = {ol_lmw_rows(w, chosen), ol_lmw_scalar(w, experts), ol_lmw_number(w, 1), ol_lmw_number(w, 0)};
    const ol_ir_attr last = ol_ir_say_int(w->e, "axis", -1), drop = ol_ir_say_bool("keep_dims", false);
    ol_ir_type th = ol_ir_type_of(OL_F32, 4, (const int64_t[]){-1, -1, a, experts}), ts = ol_ir_type_of(OL_F32, 3, (const int64_t[]){-1, -1, experts});
    ol_ir_out x = ol_lmw_add(w, "OneHot", NULL, NULL, hot, 4, &last, 1, &th);
    x = ol_ir_add_binary(w->e, "Multiply", NULL, x, ol_lmw_rows(w, weights));
    const ol_ir_out sum[] = {x, ol_lmw_list(w, 2)};
    x = ol_lmw_add(w, "ReduceSum", NULL, NULL, sum, 2, &drop, 1, &ts);
    x = ol_ir_add_reshape(w->e, NULL, x, (const int64_t[]){-1, experts}, 2, false);
    x = ol_ir_add_transpose(w->e, NULL, x, (const int64_t[]){1, 0}, 2);
    return ol_ir_add_unsqueeze(w->e, NULL, x, (const int64_t[]){2}, 1);
}

/* y * w of experts and their weights, [T, A, H] and [T, A, 1] in the flat graph, and the sum over A that takes it. */
static bool weigh(ol_lmw *w, ol_node *n) {
    int at = -1;
    for (int i = 0; i < 2; i++)
        if (!n->inputs[i]->constant && w->values[n->inputs[i]->id].form == OL_LMW_EXPERTS) at = at < 0 ? i : 2;
    if (at < 0 || at > 1) return false;
    ol_value *y = n->inputs[at], *weights = n->inputs[1 - at], *chosen = w->values[y->id].chosen;
    if (weights->constant || weights->type.rank != 3 || ol_lmw_width(weights) != 1) return false;
    const ol_ir_type *t = ol_ir_get_type(w->e, ol_lmw_rows(w, y));
    if (!t) return false;
    ol_ir_out x = ol_ir_add_binary(w->e, "Multiply", NULL, ol_lmw_rows(w, y), dense_weights(w, weights, chosen, t->dims[0]));
    ol_lmw_set(w, n, 0, x, OL_LMW_EXPERTS, 0);
    w->values[n->outputs[0]->id].chosen = NULL; /* weighed */
    return true;
}

static bool sum(ol_lmw *w, ol_node *n) {
    int64_t axis;
    const ol_lmw_value *x = &w->values[n->inputs[0]->id];
    if (n->inputs[0]->constant || x->form != OL_LMW_EXPERTS || x->chosen) return false;
    if (ol_lmw_ints(n, 1, &axis, 1) != 1 || axis != 1 || ol_node_int(n, "keepdims", 1)) return false;
    int64_t width = ol_lmw_width(n->outputs[0]), three = 3;
    ol_ir_type flat = ol_ir_type_of(OL_F32, 2, (const int64_t[]){-1, width}), ts = ol_ir_type_of(OL_I64, 1, &three), t = ol_lmw_row_type(n->outputs[0]);
    const ol_ir_attr drop = ol_ir_say_bool("keep_dims", false), i64 = ol_ir_say_text("output_type", "i64"), zero = ol_ir_say_bool("special_zero", false);
    const ol_ir_out in[] = {x->out, ol_lmw_list(w, 0)};
    ol_ir_out y = ol_lmw_add(w, "ReduceSum", NULL, NULL, in, 2, &drop, 1, &flat);
    const int64_t two = 2;
    ol_ir_type tb = ol_ir_type_of(OL_I64, 1, &two);
    ol_ir_out sizes = ol_lmw_add(w, "ShapeOf", "opset3", NULL, &w->in_ids, 1, &i64, 1, &tb);
    ol_ir_out shape = ol_lmw_concat(w, NULL, (const ol_ir_out[]){sizes, ol_lmw_list(w, width)}, 2, 0, &ts);
    const ol_ir_out back[] = {y, shape};
    ol_lmw_set(w, n, 0, ol_lmw_add(w, "Reshape", NULL, NULL, back, 2, &zero, 1, &t), OL_LMW_ROWS, 0);
    return true;
}

bool ol_lmw_weigh_experts(ol_lmw *w, ol_node *n) {
    if (strcmp(n->op->name, "Mul") == 0) return weigh(w, n);
    return strcmp(n->op->name, "ReduceSum") == 0 && sum(w, n);
}
