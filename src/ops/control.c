/* SPDX-License-Identifier: Apache-2.0 */
/* If and Loop: subgraphs by condition. Scan outputs of Loop are stacked along a new first dim. */
#include "ops/ops.h"

#define MAX_TRIPS 1000000

static olv_status infer_if(ol_infer *c, olv_error *err) {
    const ol_graph *t = ol_node_attr(c->node, "then_branch")->v.graph, *e = ol_node_attr(c->node, "else_branch")->v.graph;
    int n = c->node->n_outputs;
    if (t->n_outputs < n || e->n_outputs < n || t->n_inputs || e->n_inputs)
        return ol_fail(err, OLV_SHAPE, "branches with %d and %d outputs, %d expected", t->n_outputs, e->n_outputs, n);
    for (int i = 0; i < n; i++) c->out[i] = ol_infer_join(c, &t->outputs[i]->type, &e->outputs[i]->type);
    return OLV_OK;
}

static olv_status eval_if(ol_eval *c, olv_error *err) {
    const ol_tensor *cond;
    OL_TRY(ol_eval_need(c, 0, &cond, err));
    if (!c->run_graph || ol_tensor_count(cond) != 1) return ol_fail(err, OLV_UNSUPPORTED, "condition that is no scalar");
    ol_graph *g = ol_node_attr(c->node, ol_tensor_i64(cond, 0) ? "then_branch" : "else_branch")->v.graph;
    ol_datum *out = ol_calloc((size_t)g->n_outputs + 1, sizeof *out);
    if (!out) return ol_fail(err, OLV_NOMEM, "no memory");
    olv_status s = c->run_graph(c, g, NULL, 0, out, g->n_outputs, err);
    for (int i = 0; s == OLV_OK && i < g->n_outputs; i++) {
        if (i < c->node->n_outputs) c->out[i] = out[i];
        else ol_datum_deinit(&out[i]);
    }
    ol_free(out);
    return s;
}

static olv_status infer_loop(ol_infer *c, olv_error *err) {
    ol_graph *b = ol_node_attr(c->node, "body")->v.graph;
    int carried = c->node->n_inputs - 2;
    if (carried < 0) carried = 0;
    if (b->n_inputs != carried + 2 || b->n_outputs < carried + 1 || c->node->n_outputs > b->n_outputs - 1)
        return ol_fail(err, OLV_SHAPE, "body with %d inputs and %d outputs, %d carried values", b->n_inputs, b->n_outputs, carried);
    bool news = false;
    ol_infer_give(b, 0, &(ol_type){.dtype = OL_I64}, true, &news);
    ol_infer_give(b, 1, &(ol_type){.dtype = OL_BOOL}, true, &news);
    for (int i = 0; i < carried; i++) /* shapes may change from one iteration to the next */
        if (ol_infer_in(c, i + 2)) ol_infer_give(b, i + 2, ol_infer_in(c, i + 2), false, &news);
    if (news) OL_TRY(ol_graph_infer(b, err));
    for (int i = 0; i < c->node->n_outputs; i++) {
        ol_type t = b->outputs[i + 1]->type;
        if (i < carried) {
            const ol_type *init = ol_infer_in(c, i + 2);
            if (init) t = t.dtype == OL_DTYPE_NONE ? *init : ol_infer_join(c, &t, init);
        } else if (t.rank >= 0 && t.rank < OL_MAX_RANK) {
            memmove(t.dims + 1, t.dims, (size_t)t.rank * sizeof *t.dims);
            t.dims[0] = ol_infer_fresh(c);
            t.rank++;
        }
        c->out[i] = t;
    }
    return OLV_OK;
}

/* Appends one iteration's tensor to a stack along a new first dim. */
static olv_status push(ol_tensor *stack, const ol_tensor *x, olv_error *err) {
    ol_tensor next;
    int64_t dims[OL_MAX_RANK + 1], have = stack->dtype == OL_DTYPE_NONE ? 0 : stack->dims[0];
    dims[0] = have + 1;
    memcpy(dims + 1, x->dims, (size_t)x->rank * sizeof *dims);
    if (have && (stack->rank != x->rank + 1 || memcmp(stack->dims + 1, x->dims, (size_t)x->rank * sizeof *dims)))
        return ol_fail(err, OLV_SHAPE, "iterations give different shapes");
    OL_TRY(ol_tensor_init(&next, x->dtype, x->rank + 1, dims, err));
    if (have) ol_elems_copy(&next, 0, stack, 0, ol_tensor_count(stack));
    ol_elems_copy(&next, have ? ol_tensor_count(stack) : 0, x, 0, ol_tensor_count(x));
    olv_status s = ol_tensor_own_strings(&next, err);
    ol_tensor_deinit(stack);
    *stack = next;
    return s;
}

typedef struct loop {
    ol_graph *body;
    int carried, scans;
    ol_datum *state; /* carried values */
    ol_tensor *stacks;
    ol_datum *out;
    const ol_datum **in;
} loop;

static olv_status scalar(ol_datum *d, ol_dtype t, int64_t v, olv_error *err) {
    *d = (ol_datum){.kind = OL_VALUE_TENSOR, .present = true};
    OL_TRY(ol_tensor_init(&d->tensor, t, 0, NULL, err));
    ol_tensor_set_i64(&d->tensor, 0, v);
    return OLV_OK;
}

static olv_status iterate(ol_eval *c, loop *l, int64_t trip, bool *go, olv_error *err) {
    ol_datum number, cond;
    OL_TRY(scalar(&number, OL_I64, trip, err));
    olv_status s = scalar(&cond, OL_BOOL, 1, err);
    if (s == OLV_OK) {
        l->in[0] = &number;
        l->in[1] = &cond;
        for (int i = 0; i < l->carried; i++) l->in[i + 2] = &l->state[i];
        s = c->run_graph(c, l->body, l->in, l->carried + 2, l->out, l->body->n_outputs, err);
        ol_datum_deinit(&cond);
    }
    ol_datum_deinit(&number);
    OL_TRY(s);
    *go = ol_tensor_count(&l->out[0].tensor) == 1 && ol_tensor_i64(&l->out[0].tensor, 0) != 0;
    ol_datum_deinit(&l->out[0]);
    for (int i = 0; i < l->carried; i++) {
        ol_datum_deinit(&l->state[i]);
        l->state[i] = l->out[i + 1];
        l->out[i + 1] = (ol_datum){.kind = OL_VALUE_TENSOR};
    }
    for (int i = 0; i < l->scans; i++) {
        if (s == OLV_OK) s = push(&l->stacks[i], &l->out[l->carried + 1 + i].tensor, err);
        ol_datum_deinit(&l->out[l->carried + 1 + i]);
    }
    return s;
}

/* A stack of no iterations: sizes that are not known become 0. */
static olv_status empty_stack(ol_tensor *t, const ol_type *type, olv_error *err) {
    int64_t dims[OL_MAX_RANK] = {0};
    int rank = type->rank < 0 || type->rank >= OL_MAX_RANK ? 0 : type->rank;
    for (int i = 0; i < rank; i++) dims[i + 1] = ol_dim_known(type->dims[i]) ? type->dims[i] : 0;
    return ol_tensor_init(t, type->dtype == OL_DTYPE_NONE ? OL_F32 : type->dtype, rank + 1, dims, err);
}

static olv_status run_loop(ol_eval *c, loop *l, olv_error *err) {
    const ol_tensor *m = c->node->n_inputs > 0 ? ol_eval_in(c, 0) : NULL, *cond = c->node->n_inputs > 1 ? ol_eval_in(c, 1) : NULL;
    int64_t trips = m && ol_tensor_count(m) == 1 ? ol_tensor_i64(m, 0) : INT64_MAX;
    bool go = !cond || (ol_tensor_count(cond) == 1 && ol_tensor_i64(cond, 0) != 0);
    for (int i = 0; i < l->carried; i++) {
        if (!c->in[i + 2]) return ol_fail(err, OLV_ARG, "carried value %d is missing", i);
        OL_TRY(ol_datum_copy(&l->state[i], c->in[i + 2], err));
    }
    for (int64_t i = 0; i < trips && go; i++) {
        if (i == MAX_TRIPS) return ol_fail(err, OLV_LIMIT, "more than %d iterations", MAX_TRIPS);
        OL_TRY(iterate(c, l, i, &go, err));
    }
    for (int i = 0; i < c->node->n_outputs; i++) {
        if (i < l->carried) {
            c->out[i] = l->state[i];
            l->state[i] = (ol_datum){.kind = OL_VALUE_TENSOR};
            continue;
        }
        ol_tensor *t = &l->stacks[i - l->carried];
        if (t->dtype == OL_DTYPE_NONE) OL_TRY(empty_stack(t, &l->body->outputs[i + 1]->type, err));
        c->out[i] = (ol_datum){.kind = OL_VALUE_TENSOR, .present = true, .tensor = *t};
        *t = (ol_tensor){.dtype = OL_DTYPE_NONE};
    }
    return OLV_OK;
}

static olv_status eval_loop(ol_eval *c, olv_error *err) {
    if (!c->run_graph) return ol_fail(err, OLV_UNSUPPORTED, "subgraphs");
    loop l = {.body = ol_node_attr(c->node, "body")->v.graph, .carried = c->node->n_inputs > 2 ? c->node->n_inputs - 2 : 0};
    l.scans = l.body->n_outputs - 1 - l.carried;
    if (l.scans < 0) return ol_fail(err, OLV_SHAPE, "body with too few outputs");
    l.state = ol_calloc((size_t)l.carried + 1, sizeof *l.state);
    l.stacks = ol_calloc((size_t)l.scans + 1, sizeof *l.stacks);
    l.out = ol_calloc((size_t)l.body->n_outputs + 1, sizeof *l.out);
    l.in = ol_calloc((size_t)l.carried + 3, sizeof *l.in);
    olv_status s = l.state && l.stacks && l.out && l.in ? run_loop(c, &l, err) : ol_fail(err, OLV_NOMEM, "no memory");
    for (int i = 0; l.state && i < l.carried; i++) ol_datum_deinit(&l.state[i]);
    for (int i = 0; l.stacks && i < l.scans; i++) ol_tensor_deinit(&l.stacks[i]);
    for (int i = 0; l.out && i < l.body->n_outputs; i++) ol_datum_deinit(&l.out[i]);
    ol_free(l.state);
    ol_free(l.stacks);
    ol_free(l.out);
    ol_free(l.in);
    return s;
}

static const ol_attr_spec if_attrs[] = {{"then_branch", OL_ATTR_GRAPH, true}, {"else_branch", OL_ATTR_GRAPH, true}};
static const ol_attr_spec loop_attrs[] = {{"body", OL_ATTR_GRAPH, true}};
extern const ol_op ol_op_If, ol_op_Loop;
const ol_op ol_op_If = {"", "If", "one of two subgraphs by a condition", 1, 1, 1, -1, if_attrs, 2, infer_if, eval_if, NULL, false, false};
const ol_op ol_op_Loop = {"", "Loop", "a subgraph repeated while a condition holds", 0, -1, 1, -1, loop_attrs, 1, infer_loop, eval_loop, NULL, false, false};
