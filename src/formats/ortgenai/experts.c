/* SPDX-License-Identifier: Apache-2.0 */
/* QMoE and MoE (com.microsoft) as the block of docs/lm-graph.md. The first product of a swiglu with swiglu_fusion 1 has
 * gates and ups taking turns: its weights stay as they are, and the values are parted. */
#include "formats/ortgenai/translate.h"

#include <inttypes.h>
#include <stdio.h>

typedef struct moe {
    const ol_node *n;
    bool quantized;
    int first, first_bias, second, second_bias, weights; /* inputs */
    int64_t experts, inter, hidden, top_k;
} moe;

static ol_value *number(ol_translate *tr, double v) {
    float f = (float)v;
    return ol_graph_add_f32(tr->g, NULL, &f, -1, tr->err);
}

static ol_value *op2(ol_translate *tr, const char *op, ol_value *a, ol_value *b) {
    ol_value *in[] = {a, b};
    return a && b ? ol_tr_node(tr, "", op, in, 2, NULL, 0) : NULL;
}

static ol_value *integers(ol_translate *tr, const int64_t *v, int n) { return ol_graph_add_i64(tr->g, NULL, v, n, tr->err); }

static ol_value *reshape(ol_translate *tr, ol_value *x, const int64_t *dims, int n) {
    return x ? op2(tr, "Reshape", x, integers(tr, dims, n)) : NULL;
}

static ol_value *reduce_sum(ol_translate *tr, ol_value *x, int64_t axis, bool keep) {
    ol_value *in[] = {x, integers(tr, &axis, 1)};
    ol_attr a = ol_attr_int("keepdims", keep);
    return x && in[1] ? ol_tr_node(tr, "", "ReduceSum", in, 2, &a, 1) : NULL;
}

/* ---- routing ---- */

/* Weights [T, A] of the chosen experts, and which they are. */
static ol_value *route(ol_translate *tr, const moe *m, ol_value *scores, ol_value *weights, ol_value **chosen) {
    ol_value *in[] = {scores, integers(tr, &m->top_k, 1)};
    ol_attr last = ol_attr_int("axis", -1), along = ol_attr_int("axis", 1);
    if (!in[1]) return NULL;
    ol_node *top = ol_graph_add_node(tr->g, NULL, ol_op_find("", "TopK"), NULL, in, 2, NULL, 2, &last, 1, tr->err);
    if (!top) return NULL;
    *chosen = top->outputs[1];
    if (!weights) return ol_tr_node(tr, "", "Softmax", top->outputs, 1, &last, 1);
    ol_value *pair[] = {weights, *chosen};
    ol_value *w = ol_tr_node(tr, "", "GatherElements", pair, 2, &along, 1);
    return w && ol_node_int(m->n, "normalize_routing_weights", 0) ? op2(tr, "Div", w, reduce_sum(tr, w, 1, true)) : w;
}

/* ---- products ---- */

static ol_const *weight_of(ol_translate *tr, const moe *m, int input, int64_t n, int64_t k) {
    const ol_const *codes = ol_tr_const(tr, m->n, input), *scales = m->quantized ? ol_tr_const(tr, m->n, input + 1) : NULL;
    const ol_const *zeros = m->quantized ? ol_tr_const(tr, m->n, input == m->first ? 11 : 12) : NULL;
    ol_const *c = NULL;
    if (!codes || (m->quantized && !scales)) return ol_tr_fail(tr, m->n, OLV_UNSUPPORTED, "experts that are no constants"), NULL;
    if (m->quantized)
        c = ol_tr_blocked(tr, m->n, m->experts * n, k, ol_node_int(m->n, "expert_weight_bits", 4),
                          ol_node_int(m->n, "block_size", k), codes, scales, zeros);
    else if (ol_const_rows(codes) == m->experts * n && ol_const_width(codes) == k)
        c = ol_const_retain((ol_const *)(uintptr_t)codes);
    else
        ol_tr_fail(tr, m->n, OLV_SHAPE, "input %d: expected shape [%" PRId64 ",%" PRId64 ",%" PRId64 "]", input, m->experts, n, k);
    ol_const *shaped = c ? ol_const_reshape(c, 3, (const int64_t[]){m->experts, n, k}, tr->err) : NULL;
    ol_const_release(c);
    return shaped;
}

static ol_value *product(ol_translate *tr, const moe *m, ol_value *x, ol_value *chosen, int input, int bias, int64_t n, int64_t k) {
    ol_const *c = weight_of(tr, m, input, n, k);
    if (!c) return NULL;
    ol_value *in[] = {x, ol_tr_constant(tr, ol_tr_in(tr, m->n, input)->source->name, c), chosen, NULL};
    if (ol_tr_given(m->n, bias) && !(in[3] = ol_tr_vector(tr, m->n, bias, m->experts * n))) return NULL;
    return x && in[1] ? ol_tr_node(tr, "olivine", "ExpertLinear", in, in[3] ? 4 : 3, NULL, 0) : NULL;
}

/* Every other value of [T, A, 2I]. */
static ol_value *every_other(ol_translate *tr, const moe *m, ol_value *x, int64_t first) {
    int64_t end = first + 1, axis = 3;
    x = reshape(tr, x, (const int64_t[]){0, m->top_k, m->inter, 2}, 4);
    ol_value *in[] = {x, integers(tr, &first, 1), integers(tr, &end, 1), integers(tr, &axis, 1)};
    x = x && in[1] && in[2] && in[3] ? ol_tr_node(tr, "", "Slice", in, 4, NULL, 0) : NULL;
    return reshape(tr, x, (const int64_t[]){0, m->top_k, m->inter}, 3);
}

static ol_value *activate(ol_translate *tr, const moe *m, ol_value *y) {
    float limit = ol_node_float(m->n, "swiglu_limit", 0), beta = ol_node_float(m->n, "activation_beta", 0);
    ol_value *g = every_other(tr, m, y, 0), *u = every_other(tr, m, y, 1);
    ol_attr alpha = ol_attr_float("alpha", ol_node_float(m->n, "activation_alpha", 1));
    if (limit > 0) {
        g = op2(tr, "Min", g, number(tr, (double)limit));
        u = op2(tr, "Max", op2(tr, "Min", u, number(tr, (double)limit)), number(tr, -(double)limit));
    }
    if (beta != 0) u = op2(tr, "Add", u, number(tr, (double)beta));
    g = g ? ol_tr_node(tr, "", "Swish", &g, 1, &alpha, 1) : NULL;
    return op2(tr, "Mul", g, u);
}

/* ---- the node ---- */

static const char *read_form(const ol_translate *tr, const ol_node *n, moe *m, ol_value *x, ol_value *scores) {
    *m = (moe){.n = n, .quantized = strcmp(n->op->name, "QMoE") == 0, .first = 2, .weights = 14};
    m->second = m->quantized ? 5 : 4;
    m->first_bias = m->quantized ? 4 : 3;
    m->second_bias = m->quantized ? 7 : 5;
    if (!ol_str_is(ol_node_string(n, "activation_type", "relu"), "swiglu") || ol_node_int(n, "swiglu_fusion", 0) != 1 ||
        ol_tr_given(n, m->quantized ? 8 : 6))
        return "only swiglu with gates and ups taking turns is supported";
    if (ol_node_int(n, "use_sparse_mixer", 0)) return "the sparse mixer is not supported";
    if (m->quantized && !ol_str_is(ol_node_string(n, "quant_type", "int"), "int")) return "only integer codes are supported";
    if (m->quantized && ol_node_int(n, "weights_prepacked", 0) > 0) return "prepacked weights";
    const ol_const *first = ol_tr_const(tr, n, 2), *second = ol_tr_const(tr, n, m->second);
    if (!first || !second || ol_const_rank(first) != 3 || ol_const_rank(second) != 3) return "experts that are no constants of three dimensions";
    m->experts = ol_const_dims(first)[0];
    m->inter = ol_const_dims(first)[1] / 2;
    m->hidden = ol_tr_width(x);
    m->top_k = ol_node_int(n, "k", 1);
    if (ol_tr_width(scores) != m->experts || m->top_k < 1 || m->top_k > m->experts || m->inter < 1 ||
        ol_const_dims(second)[0] != m->experts || ol_const_dims(second)[1] != m->hidden)
        return "scores, experts and rows do not fit";
    return NULL;
}

ol_verdict ol_tr_moe(ol_translate *tr, const ol_node *n) {
    ol_value *x = ol_tr_rows(tr, n, 0), *scores = ol_tr_rows(tr, n, 1), *chosen = NULL;
    moe m;
    if (!x || !scores) return ol_tr_pass(tr, n, "an input is unknown");
    const char *why = read_form(tr, n, &m, x, scores);
    if (why) return ol_tr_pass(tr, n, "%s", why);
    ol_value *weights = m.quantized && ol_tr_given(n, m.weights) ? ol_tr_rows(tr, n, m.weights) : NULL;
    if (m.quantized && ol_tr_given(n, m.weights) && (!weights || ol_tr_width(weights) != m.experts))
        return ol_tr_pass(tr, n, "router weights are unknown");
    ol_value *w = route(tr, &m, scores, weights, &chosen);
    if (!w) return OL_FAILED;
    ol_value *y = product(tr, &m, x, chosen, m.first, m.first_bias, 2 * m.inter, m.hidden);
    y = product(tr, &m, y ? activate(tr, &m, y) : NULL, chosen, m.second, m.second_bias, m.hidden, m.inter);
    y = op2(tr, "Mul", y, reshape(tr, w, (const int64_t[]){0, m.top_k, 1}, 3));
    return ol_tr_set_rows(tr, n, 0, reduce_sum(tr, y, 1, false), 0);
}
