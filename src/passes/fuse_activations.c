/* SPDX-License-Identifier: Apache-2.0 */
/* Activations that exporters write in parts become one node again: Gelu (by Erf, and by Tanh), Swish (x times Sigmoid of
 * x), HardSwish (x times HardSigmoid of x). Constants may differ from the exact ones by rounding to half precision. */
#include "base/error.h"
#include "passes/passes.h"
#include <math.h>

static bool is_op(const ol_node *n, const char *name) { return n && !*n->op->domain && !strcmp(n->op->name, name); }

/* The number that v is everywhere; false when it is none. */
static bool number_of(const ol_value *v, double *out) {
    ol_tensor t;
    if (!v || v->is_input || !ol_value_const_tensor(v, 64, &t)) return false;
    bool one = ol_tensor_count(&t) == 1 && ol_dtype_class(t.dtype) == 'f';
    if (one) *out = ol_elem_get(t.dtype, t.data, 0);
    ol_tensor_deinit(&t);
    return one;
}
static bool near(double a, double b) { return fabs(a - b) <= 1e-3 * fabs(b); }

/* n = x op c in either order (only the given one when `ordered`); gives x. */
static ol_value *other_of_number(const ol_node *n, const char *op, double c, bool ordered) {
    double v;
    if (!is_op(n, op) || n->n_inputs != 2) return NULL;
    if (number_of(n->inputs[1], &v) && near(v, c)) return n->inputs[0];
    return !ordered && number_of(n->inputs[0], &v) && near(v, c) ? n->inputs[1] : NULL;
}

/* The node behind v, when v goes to one place alone. */
static ol_node *only_source(const ol_value *v) { return v && v->n_uses == 1 ? v->producer : NULL; }
static ol_value *partner(const ol_node *n, const ol_value *v) { return n->inputs[n->inputs[0] == v]; }

/* v = 1 + erf(x / sqrt 2): gives x. */
static ol_value *erf_part(const ol_value *v) {
    ol_value *e = other_of_number(only_source(v), "Add", 1, false);
    ol_node *erf = only_source(e);
    if (!is_op(erf, "Erf")) return NULL;
    ol_node *scaled = only_source(erf->inputs[0]);
    ol_value *x = other_of_number(scaled, "Div", 1.4142135623730951, true);
    return x ? x : other_of_number(scaled, "Mul", 0.7071067811865476, false);
}

/* v = x^3, by Pow or by products. */
static bool is_cube(const ol_value *v, const ol_value *x) {
    const ol_node *n = v->producer;
    if (other_of_number(n, "Pow", 3, true) == x) return true;
    if (!is_op(n, "Mul") || (n->inputs[0] != x && n->inputs[1] != x)) return false;
    const ol_node *square = partner(n, x)->producer;
    return is_op(square, "Mul") && square->inputs[0] == x && square->inputs[1] == x;
}

/* v = 1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3)): gives x. */
static ol_value *tanh_part(const ol_value *v) {
    ol_value *t = other_of_number(only_source(v), "Add", 1, false);
    ol_node *tanh = only_source(t);
    if (!is_op(tanh, "Tanh")) return NULL;
    ol_value *inner = other_of_number(only_source(tanh->inputs[0]), "Mul", 0.7978845608028654, false);
    ol_node *sum = only_source(inner);
    if (!is_op(sum, "Add")) return NULL;
    for (int i = 0; i < 2; i++) {
        ol_value *cube = other_of_number(only_source(sum->inputs[i]), "Mul", 0.044715, false);
        if (cube && is_cube(cube, sum->inputs[1 - i])) return sum->inputs[1 - i];
    }
    return NULL;
}

/* n = x / 2 * part(x), its three factors in any grouping: gives x. */
static ol_value *halved_product(const ol_node *n, ol_value *(*part)(const ol_value *)) {
    ol_value *product = other_of_number(n, "Mul", 0.5, false), *x;
    if (!is_op(n, "Mul")) return NULL;
    ol_node *m = only_source(product);
    if (is_op(m, "Mul")) /* (x * part) * 0.5 */
        for (int i = 0; i < 2; i++)
            if ((x = part(m->inputs[i])) && x == m->inputs[1 - i]) return x;
    for (int i = 0; i < 2; i++) {
        ol_node *half = only_source(n->inputs[1 - i]);
        if ((x = part(n->inputs[i])) && other_of_number(half, "Mul", 0.5, false) == x) return x; /* (x * 0.5) * part */
        ol_value *inner = other_of_number(only_source(n->inputs[i]), "Mul", 0.5, false); /* x * (part * 0.5) */
        if (inner && (x = part(inner)) && x == n->inputs[1 - i]) return x;
    }
    return NULL;
}

/* n = x * op(x): the node of op. */
static const ol_node *gated_by(const ol_node *n, const char *op) {
    for (int i = 0; is_op(n, "Mul") && i < 2; i++) {
        const ol_node *g = only_source(n->inputs[i]);
        if (is_op(g, op) && g->inputs[0] == n->inputs[1 - i]) return g;
    }
    return NULL;
}

static olv_status replace(ol_graph *g, ol_node *n, const char *op, ol_value *x, const ol_attr *attr, bool *changed, olv_error *err) {
    ol_node *m = ol_graph_add_node(g, n, ol_op_find("", op), n->name, &x, 1, NULL, 1, attr, attr ? 1 : 0, err);
    if (!m) return err ? err->status : OLV_NOMEM;
    ol_value_supersede(n->outputs[0], m->outputs[0]);
    *changed = true;
    return OLV_OK;
}

static olv_status visit(ol_graph *g, ol_node *n, bool *changed, olv_error *err) {
    ol_value *x;
    const ol_node *gate;
    if (!is_op(n, "Mul") || n->n_inputs != 2 || n->outputs[0]->n_uses == 0) return OLV_OK;
    if ((x = halved_product(n, erf_part))) return replace(g, n, "Gelu", x, NULL, changed, err);
    if ((x = halved_product(n, tanh_part))) {
        ol_attr how = ol_attr_string("approximate", "tanh");
        return replace(g, n, "Gelu", x, &how, changed, err);
    }
    if ((gate = gated_by(n, "Sigmoid"))) return replace(g, n, "Swish", gate->inputs[0], NULL, changed, err);
    if ((gate = gated_by(n, "HardSigmoid")) && near((double)ol_node_float(gate, "alpha", 0.2f), 1.0 / 6) &&
        near((double)ol_node_float(gate, "beta", 0.5f), 0.5))
        return replace(g, n, "HardSwish", gate->inputs[0], NULL, changed, err);
    return OLV_OK;
}

/* The parts stay behind without uses, and go with remove-dead. */
static olv_status run(ol_graph *g, bool *changed, olv_error *err) {
    for (ol_node *n = g->first; n; n = n->next) OL_TRY(visit(g, n, changed, err));
    return OLV_OK;
}

extern const ol_pass ol_pass_fuse_activations;
const ol_pass ol_pass_fuse_activations = {"fuse-activations", "Gelu, Swish and HardSwish from their parts", run};
