/* SPDX-License-Identifier: Apache-2.0 */
#include "formats/openvino/lm_read.h"

/* Norm of rows (of heads where they are shown so) with weights of one. */
static ol_verdict make_norm(ol_translate *tr, const ol_node *n, const ol_lmr_form *f) {
    int64_t width = ol_tr_width(f->x), d = f->split ? f->split : width;
    ol_value *in[] = {f->x, ol_lmr_ones(tr, d)}, *y;
    const char *kind = f->centered ? "layer" : "rms";
    if (!in[1]) return OL_FAILED;
    if (d != width) {
        ol_attr attrs[] = {ol_attr_int("heads", width / d), ol_attr_float("epsilon", (float)f->eps), ol_attr_string("kind", kind),
                           ol_attr_float("offset", 0)};
        y = ol_tr_node(tr, "olivine", "HeadNorm", in, 2, attrs, 4);
    } else {
        ol_attr attrs[] = {ol_attr_int("axis", -1), ol_attr_float("epsilon", (float)f->eps)};
        y = ol_tr_node(tr, "", f->centered ? "LayerNormalization" : "RMSNormalization", in, 2, attrs, 2);
    }
    return ol_tr_set_rows(tr, n, 0, y, f->split);
}

/* The rows (or rows less their mean) that input i holds; kind NONE: neither. */
static ol_lmr_form subject(ol_translate *tr, const ol_node *n, int i) {
    const ol_lmr_form *f = ol_lmr_in(tr, n, i);
    if (f->kind == OL_LMR_CENTERED) return *f;
    const ol_old *o = ol_tr_in(tr, n, i);
    bool rows = o->kind == OL_OLD_ROWS && !o->cached && o->v->type.dtype == OL_F32;
    return (ol_lmr_form){.kind = rows ? OL_LMR_CENTERED : OL_LMR_NONE, .x = rows ? o->v : NULL, .split = o->split};
}

static bool same_subject(const ol_lmr_form *a, const ol_lmr_form *b) {
    return a->kind != OL_LMR_NONE && a->x == b->x && a->split == b->split && a->centered == b->centered;
}

static ol_verdict step(ol_translate *tr, const ol_node *n, const ol_lmr_form *from, ol_lmr_kind kind) {
    ol_lmr_form f = *from;
    f.kind = kind;
    return ol_lmr_set(tr, n, 0, &f);
}

/* x^2 may be a piece or what is meant: as rows it is there too. */
static ol_verdict squares(ol_translate *tr, const ol_node *n) {
    ol_lmr_form f = subject(tr, n, 0);
    if (f.kind == OL_LMR_NONE) return OL_PASSED;
    if (!f.centered) {
        ol_value *in[] = {f.x, f.x};
        if (ol_tr_set_rows(tr, n, 0, ol_tr_node(tr, "", "Mul", in, 2, NULL, 0), f.split) != OL_DONE) return OL_FAILED;
    }
    return step(tr, n, &f, OL_LMR_SQUARES);
}

static ol_verdict power(ol_translate *tr, const ol_node *n) {
    double e;
    const ol_lmr_form *f = ol_lmr_in(tr, n, 0);
    if (!ol_tr_scalar(tr, n, 1, &e)) return OL_PASSED;
    if (e == 2) return squares(tr, n);
    if (f->kind == OL_LMR_STABLE && e == 0.5) return step(tr, n, f, OL_LMR_ROOT);
    if (f->kind == OL_LMR_STABLE && e == -0.5) return step(tr, n, f, OL_LMR_INVERSE);
    return OL_PASSED;
}

static ol_verdict mean(ol_translate *tr, const ol_node *n) {
    int64_t axis;
    const ol_lmr_form *f = ol_lmr_in(tr, n, 0);
    if (ol_tr_ints(tr, n, 1, &axis, 1) != 1 || !ol_lmr_last_axis(n, axis)) return OL_PASSED;
    if (f->kind == OL_LMR_SQUARES) return step(tr, n, f, OL_LMR_MEAN);
    ol_lmr_form s = subject(tr, n, 0);
    if (s.kind == OL_LMR_NONE || s.centered) return OL_PASSED;
    return step(tr, n, &s, OL_LMR_AVERAGE);
}

static ol_verdict add(ol_translate *tr, const ol_node *n) {
    int at = ol_lmr_find(tr, n, OL_LMR_MEAN);
    double eps;
    if (at < 0 || !ol_tr_scalar(tr, n, 1 - at, &eps)) return OL_PASSED;
    ol_lmr_form f = *ol_lmr_in(tr, n, at);
    f.kind = OL_LMR_STABLE;
    f.eps = eps;
    return ol_lmr_set(tr, n, 0, &f);
}

static ol_verdict subtract(ol_translate *tr, const ol_node *n) {
    const ol_lmr_form *f = ol_lmr_in(tr, n, 1);
    ol_lmr_form s = subject(tr, n, 0);
    if (f->kind != OL_LMR_AVERAGE || !same_subject(&s, f)) return OL_PASSED;
    s.centered = true;
    return step(tr, n, &s, OL_LMR_CENTERED);
}

static ol_verdict divide(ol_translate *tr, const ol_node *n) {
    const ol_lmr_form *f = ol_lmr_in(tr, n, 1);
    double one;
    if (f->kind != OL_LMR_ROOT) return OL_PASSED;
    if (ol_tr_scalar(tr, n, 0, &one)) return one == 1 ? step(tr, n, f, OL_LMR_INVERSE) : OL_PASSED;
    ol_lmr_form s = subject(tr, n, 0);
    return same_subject(&s, f) ? make_norm(tr, n, f) : OL_PASSED;
}

static ol_verdict multiply(ol_translate *tr, const ol_node *n) {
    int at = ol_lmr_find(tr, n, OL_LMR_INVERSE);
    if (at >= 0) {
        const ol_lmr_form *f = ol_lmr_in(tr, n, at);
        ol_lmr_form s = subject(tr, n, 1 - at);
        return same_subject(&s, f) ? make_norm(tr, n, f) : OL_PASSED;
    }
    return n->n_inputs == 2 && n->inputs[0] == n->inputs[1] ? squares(tr, n) : OL_PASSED;
}

ol_verdict ol_lmr_norm_piece(ol_translate *tr, const ol_node *n) {
    static const struct {
        const char *op;
        ol_node_handler *run;
    } steps[] = {{"Pow", power}, {"ReduceMean", mean}, {"Add", add}, {"Sub", subtract}, {"Div", divide}, {"Mul", multiply}};
    const ol_lmr_form *f = ol_lmr_in(tr, n, 0);
    if (f->kind == OL_LMR_STABLE && strcmp(n->op->name, "Sqrt") == 0) return step(tr, n, f, OL_LMR_ROOT);
    if (f->kind == OL_LMR_ROOT && strcmp(n->op->name, "Reciprocal") == 0) return step(tr, n, f, OL_LMR_INVERSE);
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++)
        if (strcmp(steps[i].op, n->op->name) == 0) return steps[i].run(tr, n);
    return OL_PASSED;
}

/* A norm with the weights (input 1) or the bias (input 2) put in. */
static ol_verdict with_vector(ol_translate *tr, const ol_node *n, const ol_node *norm, int rows_at, int input) {
    const ol_value *have = norm->inputs[1];
    ol_value *in[3] = {norm->inputs[0], norm->inputs[1], NULL};
    int64_t d = have->type.dims[0];
    const ol_const *c = ol_tr_const(tr, n, 1 - rows_at);
    if (!c || ol_const_rows(c) * ol_const_width(c) != d) return OL_PASSED;
    in[input] = ol_tr_vector(tr, n, 1 - rows_at, d);
    if (!in[input]) return OL_FAILED;
    ol_value *y = ol_tr_node(tr, norm->op->domain, norm->op->name, in, input + 1, norm->attrs, norm->n_attrs);
    return ol_tr_set_rows(tr, n, 0, y, ol_tr_in(tr, n, rows_at)->split);
}

static bool is_norm(const ol_node *n, bool *layer) {
    bool head = n && strcmp(n->op->name, "HeadNorm") == 0;
    *layer = n && (strcmp(n->op->name, "LayerNormalization") == 0 || (head && ol_str_is(ol_node_string(n, "kind", "rms"), "layer")));
    return head || *layer || (n && strcmp(n->op->name, "RMSNormalization") == 0);
}

/* norm(x) * w, norm(x) + b. */
ol_verdict ol_lmr_norm_scale(ol_translate *tr, const ol_node *n) {
    bool mul = strcmp(n->op->name, "Mul") == 0, add_op = strcmp(n->op->name, "Add") == 0, layer;
    if (!mul && !add_op) return OL_PASSED;
    int at = ol_tr_rows(tr, n, 0) ? 0 : 1;
    ol_value *x = ol_tr_rows(tr, n, at);
    const ol_node *norm = x ? x->producer : NULL;
    if (!is_norm(norm, &layer)) return OL_PASSED;
    bool has_bias = norm->n_inputs > 2 && norm->inputs[2];
    if (mul && ol_lmr_is_ones(norm->inputs[1]) && !has_bias) return with_vector(tr, n, norm, at, 1);
    if (add_op && layer && !has_bias) return with_vector(tr, n, norm, at, 2);
    return OL_PASSED;
}

/* LayerNormalization whose weights are ones, of rows or heads: the true ones follow. */
ol_verdict ol_lmr_layer_norm(ol_translate *tr, const ol_node *n) {
    const ol_old *o = ol_tr_in(tr, n, 0);
    const ol_const *c = ol_tr_const(tr, n, 1);
    ol_tensor t;
    if (strcmp(n->op->name, "LayerNormalization") != 0 || o->kind != OL_OLD_ROWS || !c || ol_tr_given(n, 2)) return OL_PASSED;
    if (ol_const_materialize(c, (size_t)64 << 20, &t, NULL) != OLV_OK) return OL_PASSED;
    bool ones = true;
    for (int64_t i = 0; ones && i < ol_tensor_count(&t); i++) ones = ol_elem_get(t.dtype, t.data, (uint64_t)i) == 1;
    ol_tensor_deinit(&t);
    if (!ones) return OL_PASSED;
    ol_lmr_form f = {.x = o->v, .split = o->split, .centered = true, .eps = (double)ol_node_float(n, "epsilon", 1e-5f)};
    return make_norm(tr, n, &f);
}
