/* SPDX-License-Identifier: Apache-2.0 */
/* MatMul and Gemm with a constant matrix become olivine.Linear, which devices have their best kernels and fusions for. The
 * matrix of a MatMul is seen transposed, as a view; a constant that is then added along the last axis becomes the bias. */
#include "base/error.h"
#include "passes/passes.h"

static bool is_float_matrix(const ol_value *v) {
    return v && v->constant && v->type.rank == 2 && ol_dtype_class(v->type.dtype) == 'f' && v->type.dtype != OL_F64 &&
           ol_dtype_bits(v->type.dtype) >= 16;
}

/* A constant with one element for each of n outputs, that broadcasting puts along the last axis. */
static bool is_bias(const ol_value *v, int64_t n) {
    if (!v || !v->constant || v->is_input || v->type.rank < 1 || ol_dtype_class(v->type.dtype) != 'f') return false;
    for (int i = 0; i + 1 < v->type.rank; i++)
        if (v->type.dims[i] != 1) return false;
    return v->type.dims[v->type.rank - 1] == n;
}

static ol_value *as_vector(ol_graph *g, ol_value *v, int64_t n, olv_error *err) {
    if (v->type.rank == 1) return v;
    ol_const *c = ol_const_reshape(v->constant, 1, &n, err);
    return c ? ol_graph_add_constant(g, NULL, c, err) : NULL;
}

/* Puts a Linear in the place of the node whose output is `result`. */
static olv_status replace(ol_graph *g, ol_node *n, ol_value *x, ol_const *w, ol_value *bias, ol_value *result, olv_error *err) {
    ol_value *matrix = w ? ol_graph_add_constant(g, NULL, w, err) : NULL;
    if (!matrix) return err ? err->status : OLV_NOMEM;
    ol_value *in[3] = {x, matrix, bias};
    ol_node *linear = ol_graph_add_node(g, n, ol_op_find("olivine", "Linear"), n->name, in, bias ? 3 : 2, NULL, 1, NULL, 0, err);
    if (!linear) return err ? err->status : OLV_NOMEM;
    ol_value_supersede(result, linear->outputs[0]);
    return OLV_OK;
}

/* The Add that gives x W its bias: the only use of v. */
static ol_node *following_add(const ol_value *v, int64_t n, ol_value **bias) {
    ol_node *add = ol_value_only_user(v);
    if (!add || add->graph != v->graph || *add->op->domain || strcmp(add->op->name, "Add")) return NULL;
    *bias = add->inputs[add->inputs[0] == v];
    return *bias != v && is_bias(*bias, n) && (*bias)->type.rank <= v->type.rank ? add : NULL;
}

static olv_status raise_matmul(ol_graph *g, ol_node *n, bool *changed, olv_error *err) {
    ol_value *w = n->inputs[1], *bias = NULL, *result = n->outputs[0];
    if (!is_float_matrix(w) || w->is_input || n->inputs[0]->type.rank < 2 || n->inputs[0]->type.dtype != w->type.dtype)
        return OLV_OK;
    int64_t columns = w->type.dims[1];
    ol_node *add = following_add(result, columns, &bias);
    if (add) result = add->outputs[0];
    if (add && !(bias = as_vector(g, bias, columns, err))) return err ? err->status : OLV_NOMEM;
    if (!add) bias = NULL;
    OL_TRY(replace(g, n, n->inputs[0], ol_const_transpose(w->constant, err), bias, result, err));
    if (add) ol_graph_remove_node(g, add);
    ol_graph_remove_node(g, n);
    *changed = true;
    return OLV_OK;
}

static olv_status raise_gemm(ol_graph *g, ol_node *n, bool *changed, olv_error *err) {
    ol_value *w = n->inputs[1], *c = n->n_inputs > 2 ? n->inputs[2] : NULL;
    bool turned = ol_node_int(n, "transB", 0) != 0;
    if (!is_float_matrix(w) || w->is_input || ol_node_int(n, "transA", 0) || ol_node_float(n, "alpha", 1) != 1 ||
        n->inputs[0]->type.rank != 2 || n->inputs[0]->type.dtype != w->type.dtype)
        return OLV_OK;
    int64_t columns = w->type.dims[turned ? 0 : 1];
    if (c && (!is_bias(c, columns) || ol_node_float(n, "beta", 1) != 1)) return OLV_OK;
    if (c && !(c = as_vector(g, c, columns, err))) return err ? err->status : OLV_NOMEM;
    ol_const *m = turned ? ol_const_retain(w->constant) : ol_const_transpose(w->constant, err);
    OL_TRY(replace(g, n, n->inputs[0], m, c, n->outputs[0], err));
    ol_graph_remove_node(g, n);
    *changed = true;
    return OLV_OK;
}

/* The root graph alone: subgraphs are evaluated by definition. */
static olv_status run(ol_graph *g, bool *changed, olv_error *err) {
    for (ol_node *n = g->last, *before; n; n = before) { /* backwards: an Add behind a node may go with it */
        before = n->prev;
        if (*n->op->domain || n->n_inputs < 2 || !n->inputs[0] || !n->inputs[1]) continue;
        if (!strcmp(n->op->name, "MatMul")) OL_TRY(raise_matmul(g, n, changed, err));
        else if (!strcmp(n->op->name, "Gemm")) OL_TRY(raise_gemm(g, n, changed, err));
    }
    return OLV_OK;
}

extern const ol_pass ol_pass_raise_linear;
const ol_pass ol_pass_raise_linear = {"raise-linear", "MatMul and Gemm with constants to olivine.Linear", run};
