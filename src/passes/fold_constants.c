/* SPDX-License-Identifier: Apache-2.0 */
/* Nodes of constants become constants. Transposes of matrices, reshapes, casts and row slices of any size become views;
 * everything else is evaluated, when inputs and results are known to be at most 1 MiB. Shape and Size of known shapes are
 * constants too. */
#include "base/alloc.h"
#include "base/error.h"
#include "passes/passes.h"

#define MAX_BYTES ((size_t)1 << 20)
#define MAX_INPUTS 64

static bool is_const(const ol_value *v) { return v && v->constant && !v->is_input; }

static bool known_dims(const ol_type *t, int64_t *dims) {
    for (int i = 0; i < t->rank; i++) {
        if (!ol_dim_known(t->dims[i])) return false;
        dims[i] = t->dims[i];
    }
    return t->rank >= 0;
}

static bool small_type(const ol_type *t) {
    int64_t dims[OL_MAX_RANK];
    size_t bytes;
    int64_t n = 1;
    if (t->kind != OL_VALUE_TENSOR || t->dtype == OL_DTYPE_NONE || !known_dims(t, dims)) return false;
    for (int i = 0; i < t->rank; i++)
        if (__builtin_mul_overflow(n, dims[i], &n)) return false;
    return ol_dtype_bytes(t->dtype, (uint64_t)n, &bytes) && bytes <= MAX_BYTES;
}

/* The node as a view over its constant input, or NULL when it is none. */
static ol_const *as_view(const ol_node *n) {
    ol_const *c = n->inputs[0]->constant;
    const char *op = n->op->name;
    int64_t dims[OL_MAX_RANK];
    const ol_type *y = &n->outputs[0]->type;
    if (!known_dims(y, dims)) return NULL;
    if (!strcmp(op, "Transpose") && ol_const_rank(c) == 2) {
        size_t count;
        const int64_t *perm = ol_node_ints(n, "perm", &count);
        return !perm || (count == 2 && perm[0] == 1) ? ol_const_transpose(c, NULL) : NULL;
    }
    if (!strcmp(op, "Reshape") || !strcmp(op, "Squeeze") || !strcmp(op, "Unsqueeze") || !strcmp(op, "Flatten"))
        return ol_const_reshape(c, y->rank, dims, NULL);
    if (!strcmp(op, "Cast") && ol_dtype_class(y->dtype) == 'f' && ol_dtype_class(ol_const_dtype(c)) == 'f' &&
        ol_dtype_bits(y->dtype) >= 16 && ol_dtype_bits(ol_const_dtype(c)) >= 16 && y->dtype != OL_F64 && ol_const_dtype(c) != OL_F64)
        return ol_const_cast(c, y->dtype, NULL);
    if (!strcmp(op, "Identity")) return ol_const_retain(c);
    return NULL;
}

/* Inputs of the evaluation; the count that was loaded, or -1. */
static int load(const ol_node *n, ol_datum *data, const ol_datum **in) {
    for (int i = 0; i < n->n_inputs; i++) {
        in[i] = NULL;
        data[i] = (ol_datum){.kind = OL_VALUE_TENSOR};
        if (!n->inputs[i]) continue;
        if (!ol_value_const_tensor(n->inputs[i], MAX_BYTES, &data[i].tensor)) {
            for (int k = 0; k < i; k++) ol_datum_deinit(&data[k]);
            return -1;
        }
        data[i].present = true;
        in[i] = &data[i];
    }
    return n->n_inputs;
}

static ol_const *evaluate(const ol_node *n) {
    ol_datum data[MAX_INPUTS], out = {.kind = OL_VALUE_TENSOR};
    const ol_datum *in[MAX_INPUTS + 1];
    ol_const *c = NULL;
    if (n->n_inputs > MAX_INPUTS || load(n, data, in) < 0) return NULL;
    ol_eval e = {n, in, &out, NULL, NULL, NULL};
    if (n->op->eval(&e, NULL) == OLV_OK && out.kind == OL_VALUE_TENSOR && out.tensor.bytes <= MAX_BYTES)
        c = ol_const_tensor(&out.tensor, NULL);
    ol_datum_deinit(&out);
    for (int i = 0; i < n->n_inputs; i++) ol_datum_deinit(&data[i]);
    return c;
}

static ol_const *shape_of(const ol_node *n) {
    const ol_type *x = &n->inputs[0]->type;
    int64_t dims[OL_MAX_RANK], count = 1;
    ol_tensor t;
    if (n->op->domain[0] || !known_dims(x, dims)) return NULL;
    if (!strcmp(n->op->name, "Size")) {
        for (int i = 0; i < x->rank; i++)
            if (__builtin_mul_overflow(count, dims[i], &count)) return NULL;
        return ol_tensor_view(&t, OL_I64, 0, NULL, &count, 8, NULL) == OLV_OK ? ol_const_tensor(&t, NULL) : NULL;
    }
    if (strcmp(n->op->name, "Shape")) return NULL;
    int64_t start = ol_node_int(n, "start", 0), end = ol_node_int(n, "end", x->rank);
    start = start < 0 ? start + x->rank : start;
    end = end < 0 ? end + x->rank : end;
    start = start < 0 ? 0 : start > x->rank ? x->rank : start;
    end = end > x->rank ? x->rank : end < start ? start : end;
    int64_t size = end - start;
    return ol_tensor_view(&t, OL_I64, 1, &size, dims + start, (size_t)size * 8, NULL) == OLV_OK ? ol_const_tensor(&t, NULL) : NULL;
}

static bool has_one_scale(const ol_node *n) {
    const ol_type *t = &n->inputs[1]->type;
    return is_const(n->inputs[1]) && (t->rank == 0 || (t->rank == 1 && t->dims[0] == 1));
}

/* Weights of a convolution of activations that are quantized by one scale keep their codes. */
static bool are_codes_of_conv(const ol_node *n) {
    if (*n->op->domain || strcmp(n->op->name, "DequantizeLinear") || n->inputs[0]->type.rank < 3) return false;
    ol_dtype t = n->inputs[0]->type.dtype;
    const ol_node *user = ol_value_only_user(n->outputs[0]), *x = user && user->n_inputs > 1 && user->inputs[0] ? user->inputs[0]->producer : NULL;
    return (t == OL_I8 || t == OL_U8) && x && !*user->op->domain && !strcmp(user->op->name, "Conv") && user->inputs[1] == n->outputs[0] &&
           !*x->op->domain && !strcmp(x->op->name, "DequantizeLinear") && has_one_scale(x);
}

static ol_const *fold(const ol_node *n) {
    if (are_codes_of_conv(n) || n->op->stochastic || !n->op->eval || n->n_outputs != 1 || !n->outputs[0] || ol_node_attr(n, "state")) return NULL;
    if (n->n_inputs && n->inputs[0] && !is_const(n->inputs[0])) return shape_of(n);
    for (int i = 0; i < n->n_inputs; i++)
        if (n->inputs[i] && !is_const(n->inputs[i])) return NULL;
    for (int i = 0; i < n->n_attrs; i++)
        if (n->attrs[i].type == OL_ATTR_GRAPH || n->attrs[i].type == OL_ATTR_GRAPHS) return NULL;
    ol_const *c = n->n_inputs && n->inputs[0] && !n->op->domain[0] ? as_view(n) : NULL;
    return c ? c : small_type(&n->outputs[0]->type) ? evaluate(n) : NULL;
}

static olv_status visit(ol_graph *g, bool *changed, olv_error *err) {
    for (ol_node *n = g->first, *next; n; n = next) {
        next = n->next;
        for (int i = 0; i < n->n_attrs; i++)
            if (n->attrs[i].type == OL_ATTR_GRAPH) OL_TRY(visit(n->attrs[i].v.graph, changed, err));
        bool is_output = false;
        for (int i = 0; i < g->n_outputs; i++) is_output |= n->n_outputs == 1 && g->outputs[i] == n->outputs[0];
        ol_const *c = is_output ? NULL : fold(n);
        if (!c) continue;
        ol_value *v = ol_graph_add_constant(g, NULL, c, err);
        if (!v) return err ? err->status : OLV_NOMEM;
        ol_value_replace_uses(n->outputs[0], v);
        ol_graph_remove_node(g, n);
        *changed = true;
    }
    return OLV_OK;
}

static olv_status run(ol_graph *g, bool *changed, olv_error *err) { return visit(g, changed, err); }

extern const ol_pass ol_pass_fold_constants;
const ol_pass ol_pass_fold_constants = {"fold-constants", "replaces nodes of constants by constants", run};
