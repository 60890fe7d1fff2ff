/* SPDX-License-Identifier: Apache-2.0 */
/* MatMulInteger of what DynamicQuantizeLinear makes, by a constant matrix, times the scales of both, is the product of two
 * DequantizeLinear: the same sums, in a form that becomes olivine.Linear. */
#include "base/error.h"
#include "passes/passes.h"

static bool is_op(const ol_node *n, const char *name) { return n && !*n->op->domain && !strcmp(n->op->name, name); }

static bool is_number(const ol_value *v) { return v && (v->type.rank == 0 || (v->type.rank == 1 && v->type.dims[0] == 1)); }

/* The scale of the weights: a number, or one for each of n outputs. */
static bool is_scale(const ol_value *v, int64_t n) {
    return v->constant && !v->is_input && v->type.dtype == OL_F32 && (is_number(v) || (v->type.rank == 1 && v->type.dims[0] == n));
}

/* What a match found. */
typedef struct product {
    ol_node *quantize, *result; /* DynamicQuantizeLinear; the Mul by both scales */
    ol_value *scale;            /* of the weights */
} product;

/* The other factor of scale = quantize's scale times it. */
static ol_value *weight_scale(const ol_node *mul, const ol_node *quantize) {
    if (!is_op(mul, "Mul")) return NULL;
    for (int i = 0; i < 2; i++)
        if (mul->inputs[i] == quantize->outputs[1]) return mul->inputs[1 - i];
    return NULL;
}

static bool match(const ol_node *n, product *p) {
    const ol_value *b = n->inputs[1], *bz = n->n_inputs > 3 ? n->inputs[3] : NULL;
    p->quantize = n->inputs[0]->producer;
    if (!is_op(p->quantize, "DynamicQuantizeLinear") || p->quantize->outputs[0] != n->inputs[0] || n->n_inputs < 3 || n->inputs[2] != p->quantize->outputs[2])
        return false;
    if (!b->constant || b->is_input || b->type.rank != 2 || (bz && (!bz->constant || bz->is_input || bz->type.rank > 1))) return false;
    const ol_node *cast = ol_value_only_user(n->outputs[0]);
    if (!is_op(cast, "Cast") || cast->outputs[0]->type.dtype != OL_F32) return false;
    p->result = ol_value_only_user(cast->outputs[0]);
    if (!is_op(p->result, "Mul") || p->result->graph != n->graph) return false;
    const ol_value *scale = p->result->inputs[p->result->inputs[0] == cast->outputs[0]];
    p->scale = weight_scale(scale->producer, p->quantize);
    return p->scale && is_scale(p->scale, b->type.dims[1]);
}

static ol_node *add(ol_graph *g, ol_node *before, const char *op, ol_value *const *in, int n_in, const ol_attr *attr, olv_error *err) {
    return ol_graph_add_node(g, before, ol_op_find("", op), before->name, in, n_in, NULL, 1, attr, attr ? 1 : 0, err);
}

static olv_status rewrite(ol_graph *g, ol_node *n, const product *p, olv_error *err) {
    ol_attr axis = ol_attr_int("axis", 1);
    ol_value *bz = n->n_inputs > 3 ? n->inputs[3] : NULL;
    ol_node *x = add(g, n, "DequantizeLinear", p->quantize->outputs, 3, NULL, err);
    ol_node *w = x ? add(g, n, "DequantizeLinear", (ol_value *[]){n->inputs[1], p->scale, bz}, bz ? 3 : 2, &axis, err) : NULL;
    ol_node *y = w ? add(g, n, "MatMul", (ol_value *[]){x->outputs[0], w->outputs[0]}, 2, NULL, err) : NULL;
    if (!y) return err ? err->status : OLV_NOMEM;
    ol_value_supersede(p->result->outputs[0], y->outputs[0]);
    return OLV_OK;
}

/* What it replaces stays behind without uses, and goes with remove-dead. */
static olv_status run(ol_graph *g, bool *changed, olv_error *err) {
    for (ol_node *n = g->first; n; n = n->next) {
        product p;
        if (!is_op(n, "MatMulInteger") || n->outputs[0]->n_uses == 0 || !match(n, &p) || p.result->outputs[0]->n_uses == 0) continue;
        OL_TRY(rewrite(g, n, &p, err));
        *changed = true;
    }
    return OLV_OK;
}

extern const ol_pass ol_pass_raise_integer_products;
const ol_pass ol_pass_raise_integer_products = {"raise-integer-products", "MatMulInteger with scales to a product of dequantized matrices", run};
