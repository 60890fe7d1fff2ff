/* SPDX-License-Identifier: Apache-2.0 */
/* Patterns whose inside stays in float: activation functions and normalizations spelled out by simple operators, the
 * gates of squeeze-and-excitation blocks, and, in transformers, attention's second product and all that is no product. */
#include "base/alloc.h"
#include "base/error.h"
#include "quantize/placement.h"
#include <string.h>

#define MAX_CHAIN 24

/* Values from v upwards through operators that read one activation. */
typedef struct chain {
    const ol_value *values[MAX_CHAIN];
    int n;
} chain;

static bool is_in(const ol_node *n, const char *const *names) {
    for (; *names; names++)
        if (ol_node_is(n, *names)) return true;
    return false;
}

static bool is_mean(const ol_node *n) { return ol_node_is(n, "ReduceMean") || ol_node_is(n, "GlobalAveragePool"); }

static bool is_weighted(const ol_node *n) {
    int axis;
    return ol_quant_weight_input(n, &axis) == 1;
}

/* The one activation that a node reads, NULL when there are others; `roots` holds what functions spelled out read. */
static const ol_value *only_source(const ol_node *n, const ol_value *const *roots) {
    static const char *const shapes[] = {"Reshape", "Flatten", "Squeeze", "Unsqueeze", "Transpose", NULL};
    if (roots[n->id]) return roots[n->id];
    if (!n->op->elementwise && !is_mean(n) && !is_weighted(n) && !is_in(n, shapes)) return NULL;
    const ol_value *found = NULL;
    for (int i = 0; i < n->n_inputs; i++) {
        const ol_value *v = n->inputs[i];
        if (!v || v->constant || v == found) continue;
        if (found) return NULL;
        found = v;
    }
    return found;
}

static void walk(chain *c, const ol_value *v, const ol_value *const *roots) {
    c->n = 0;
    while (v && c->n < MAX_CHAIN) {
        c->values[c->n++] = v;
        v = v->producer && v->graph == v->producer->graph ? only_source(v->producer, roots) : NULL;
    }
}

/* Where two chains meet first: places in each; false: nowhere. */
static bool meet(const chain *a, const chain *b, int *at_a, int *at_b) {
    for (*at_a = 0; *at_a < a->n; ++*at_a)
        for (*at_b = 0; *at_b < b->n; ++*at_b)
            if (a->values[*at_a] == b->values[*at_b]) return true;
    return false;
}

/* A layer on the way is allowed behind a mean alone: the gate of a block, not a residual sum. */
static bool is_function(const chain *c, int n, const ol_node *top) {
    bool mean = false, weighted = false;
    for (int i = 0; i < n; i++) {
        mean |= is_mean(c->values[i]->producer);
        weighted |= is_weighted(c->values[i]->producer);
    }
    return !weighted || (mean && ol_node_is(top, "Mul"));
}

static void keep_chain(ol_placement *pl, const chain *c, int n, const char *why) {
    for (int i = 0; i < n; i++) {
        int id = c->values[i]->producer->id;
        if (!pl->reasons[id]) pl->reasons[id] = why;
    }
}

static bool has_layer(const chain *c, int n) {
    for (int i = 0; i < n; i++)
        if (is_weighted(c->values[i]->producer)) return true;
    return false;
}

/* x * sigmoid(x), 0.5 x (1 + erf(x / c)), (x - mean(x)) / deviation(x), x * sigmoid(layers(mean(x))). */
static void find_function(ol_placement *pl, const ol_node *n, const ol_value **roots) {
    if (ol_quant_role_of(n) != OL_QUANT_COMBINING || n->n_inputs != 2 || n->inputs[0] == n->inputs[1]) return;
    if (!ol_quant_is_activation(n, 0) || !ol_quant_is_activation(n, 1)) return;
    chain a, b;
    int at_a, at_b;
    walk(&a, n->inputs[0], roots);
    walk(&b, n->inputs[1], roots);
    if (!meet(&a, &b, &at_a, &at_b) || !is_function(&a, at_a, n) || !is_function(&b, at_b, n)) return;
    const char *why = has_layer(&a, at_a) || has_layer(&b, at_b) ? "gate of channels" : "part of a function";
    roots[n->id] = a.values[at_a];
    pl->reasons[n->id] = pl->reasons[n->id] ? pl->reasons[n->id] : why;
    keep_chain(pl, &a, at_a, why);
    keep_chain(pl, &b, at_b, why);
}

/* Softmax, rearranged perhaps, times the values. */
static bool is_attention_output(const ol_node *n) {
    if (!ol_node_is(n, "MatMul") || !ol_quant_is_activation(n, 1)) return false;
    const ol_value *v = n->inputs[0];
    for (int step = 0; v && v->producer && step < MAX_CHAIN; step++) {
        if (ol_node_is(v->producer, "Softmax")) return true;
        ol_quant_role r = ol_quant_role_of(v->producer);
        v = r == OL_QUANT_PASSING || ol_node_is(v->producer, "Dropout") ? v->producer->inputs[0] : NULL;
    }
    return false;
}

/* Scores plus a mask, whose far numbers would stretch the grid over all others. */
static void keep_masked_scores(ol_placement *pl, const ol_node *n) {
    const ol_node *user = ol_node_is(n, "Add") || ol_node_is(n, "Where") ? ol_value_only_user(n->outputs[0]) : NULL;
    if (user && ol_node_is(user, "Softmax") && !pl->reasons[n->id]) pl->reasons[n->id] = "mask of softmax";
}

static void keep_in_transformer(ol_placement *pl, const ol_node *n) {
    ol_quant_role r = (ol_quant_role)pl->roles[n->id];
    if (pl->reasons[n->id]) return;
    if (is_attention_output(n)) pl->reasons[n->id] = "second product of attention";
    else if (r == OL_QUANT_COMBINING || (r == OL_QUANT_INPUTS && !ol_node_is(n, "Resize")) || ol_node_is(n, "Squeeze"))
        pl->reasons[n->id] = "no product, in a transformer";
}

olv_status ol_patterns_apply(ol_placement *pl, const olv_quantize_params *p, olv_error *err) {
    const ol_value **roots = ol_calloc(pl->n_nodes + 1, sizeof *roots);
    if (!roots) return ol_fail(err, OLV_NOMEM, "no memory to place quantizers");
    for (const ol_node *n = pl->graph->first; n; n = n->next) {
        find_function(pl, n, roots);
        keep_masked_scores(pl, n);
    }
    for (const ol_node *n = pl->graph->first; n && p->model_type == OLV_QUANTIZE_TRANSFORMER; n = n->next) keep_in_transformer(pl, n);
    ol_free(roots);
    return OLV_OK;
}
