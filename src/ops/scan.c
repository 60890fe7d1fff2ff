/* SPDX-License-Identifier: Apache-2.0 */
/* Scan (opset 9 and later): a subgraph over slices of the scan inputs, with carried states; results are stacked. */
#include "ops/ops.h"

typedef struct scan {
    ol_graph *body;
    int n_scan, n_state, n_out; /* scan inputs, states, scan outputs */
    int64_t steps;
} scan;

static olv_status form(const ol_node *n, scan *s, olv_error *err) {
    s->body = ol_node_attr(n, "body")->v.graph;
    int64_t count = ol_node_int(n, "num_scan_inputs", 0);
    if (count < 1 || count > n->n_inputs) return ol_fail(err, OLV_SHAPE, "num_scan_inputs %lld", (long long)count);
    s->n_scan = (int)count;
    s->n_state = n->n_inputs - s->n_scan;
    s->n_out = s->body->n_outputs - s->n_state;
    if (s->body->n_inputs != n->n_inputs || s->n_out < 0 || n->n_outputs > s->body->n_outputs) return ol_fail(err, OLV_SHAPE, "body does not fit");
    return OLV_OK;
}

static int64_t listed(const ol_node *n, const char *name, int i, int64_t def) {
    size_t k;
    const int64_t *v = ol_node_ints(n, name, &k);
    return v && (size_t)i < k ? v[i] : def;
}

/* Tells the body the types of the states and of the slices. */
static olv_status give_types(ol_infer *c, const scan *s, olv_error *err) {
    bool news = false;
    for (int i = 0; i < c->node->n_inputs; i++) {
        const ol_type *x = ol_infer_in(c, i);
        if (!x) continue;
        ol_type t = *x;
        int axis;
        if (i >= s->n_state && t.rank > 0) {
            OL_TRY(ol_axis(listed(c->node, "scan_input_axes", i - s->n_state, 0), t.rank, false, &axis, err));
            memmove(t.dims + axis, t.dims + axis + 1, (size_t)(t.rank - axis - 1) * sizeof *t.dims);
            t.rank--;
        }
        ol_infer_give(s->body, i, &t, true, &news);
    }
    return news ? ol_graph_infer(s->body, err) : OLV_OK;
}

/* How many steps there are, as a dim: the length of a scan input. */
static ol_dim steps_of(ol_infer *c, const scan *s) {
    for (int i = 0; i < s->n_scan; i++) {
        const ol_type *x = ol_infer_in(c, s->n_state + i);
        int axis;
        if (x && x->rank > 0 && ol_axis(listed(c->node, "scan_input_axes", i, 0), x->rank, false, &axis, NULL) == OLV_OK)
            return x->dims[axis];
    }
    return ol_infer_fresh(c);
}

static olv_status infer(ol_infer *c, olv_error *err) {
    scan s;
    OL_TRY(form(c->node, &s, err));
    OL_TRY(give_types(c, &s, err));
    for (int i = 0; i < c->node->n_outputs; i++) {
        ol_type t = s.body->outputs[i]->type;
        int axis;
        if (i < s.n_state && ol_infer_in(c, i)) t = *ol_infer_in(c, i);
        else if (t.rank >= 0 && t.rank < OL_MAX_RANK) {
            OL_TRY(ol_axis(listed(c->node, "scan_output_axes", i - s.n_state, 0), t.rank + 1, false, &axis, err));
            memmove(t.dims + axis + 1, t.dims + axis, (size_t)(t.rank - axis) * sizeof *t.dims);
            t.dims[axis] = steps_of(c, &s);
            t.rank++;
        }
        c->out[i] = t;
    }
    return OLV_OK;
}

/* Slice k of x along `axis`, without it. */
static olv_status slice(const ol_tensor *x, int axis, int64_t k, ol_datum *out, olv_error *err) {
    int64_t dims[OL_MAX_RANK], n = x->dims[axis], inner = ol_dims_count(x->dims, axis + 1, x->rank), outer = ol_dims_count(x->dims, 0, axis);
    for (int i = 0, to = 0; i < x->rank; i++)
        if (i != axis) dims[to++] = x->dims[i];
    *out = (ol_datum){.kind = OL_VALUE_TENSOR, .present = true};
    OL_TRY(ol_tensor_init(&out->tensor, x->dtype, x->rank - 1, dims, err));
    for (int64_t o = 0; o < outer; o++) ol_elems_copy(&out->tensor, o * inner, x, (o * n + k) * inner, inner);
    return OLV_OK;
}

/* Puts the result of step k into its output; the output is made at the first. */
static olv_status stack(ol_eval *c, const scan *s, int i, int64_t k, const ol_tensor *t, olv_error *err) {
    int axis;
    ol_tensor *y = &c->out[i].tensor;
    OL_TRY(ol_axis(listed(c->node, "scan_output_axes", i - s->n_state, 0), t->rank + 1, false, &axis, err));
    if (y->dtype == OL_DTYPE_NONE) {
        int64_t dims[OL_MAX_RANK + 1];
        for (int d = 0, from = 0; d <= t->rank; d++) dims[d] = d == axis ? s->steps : t->dims[from++];
        OL_TRY(ol_eval_out(c, i, t->dtype, t->rank + 1, dims, &y, err));
    }
    if (ol_tensor_count(y) != ol_tensor_count(t) * s->steps || y->dtype != t->dtype || t->dtype == OL_STRING) return ol_fail(err, OLV_SHAPE, "steps give different shapes");
    if (listed(c->node, "scan_output_directions", i - s->n_state, 0)) k = s->steps - 1 - k;
    int64_t inner = ol_dims_count(t->dims, axis, t->rank), outer = ol_dims_count(t->dims, 0, axis);
    for (int64_t o = 0; o < outer; o++) ol_elems_copy(y, (o * s->steps + k) * inner, t, o * inner, inner);
    return OLV_OK;
}

static olv_status one_step(ol_eval *c, const scan *s, int64_t k, ol_datum *in, const ol_datum **ptr, ol_datum *out, olv_error *err) {
    for (int i = 0; i < s->n_scan; i++) {
        const ol_tensor *x = ol_eval_in(c, s->n_state + i);
        int axis;
        OL_TRY(ol_axis(listed(c->node, "scan_input_axes", i, 0), x->rank, false, &axis, err));
        ol_datum_deinit(&in[s->n_state + i]);
        OL_TRY(slice(x, axis, listed(c->node, "scan_input_directions", i, 0) ? s->steps - 1 - k : k, &in[s->n_state + i], err));
    }
    for (int i = 0; i < c->node->n_inputs; i++) ptr[i] = &in[i];
    OL_TRY(c->run_graph(c, s->body, ptr, c->node->n_inputs, out, s->body->n_outputs, err));
    olv_status st = OLV_OK;
    for (int i = 0; i < s->body->n_outputs; i++) {
        if (i < s->n_state) {
            ol_datum_deinit(&in[i]);
            in[i] = out[i];
            out[i] = (ol_datum){.kind = OL_VALUE_TENSOR};
            continue;
        }
        if (st == OLV_OK && i < c->node->n_outputs) st = stack(c, s, i, k, &out[i].tensor, err);
        ol_datum_deinit(&out[i]);
    }
    return st;
}

static olv_status run(ol_eval *c, scan *s, ol_datum *in, const ol_datum **ptr, ol_datum *out, olv_error *err) {
    for (int i = 0; i < s->n_state; i++) {
        if (!c->in[i]) return ol_fail(err, OLV_ARG, "state %d is missing", i);
        OL_TRY(ol_datum_copy(&in[i], c->in[i], err));
    }
    for (int i = 0; i < s->n_scan; i++) {
        const ol_tensor *x;
        int axis;
        OL_TRY(ol_eval_need(c, s->n_state + i, &x, err));
        OL_TRY(ol_axis(listed(c->node, "scan_input_axes", i, 0), x->rank, false, &axis, err));
        if (i && x->dims[axis] != s->steps) return ol_fail(err, OLV_SHAPE, "scan inputs of different lengths");
        s->steps = x->dims[axis];
    }
    if (s->steps == 0) return ol_fail(err, OLV_UNSUPPORTED, "scan of no steps");
    for (int64_t k = 0; k < s->steps; k++) OL_TRY(one_step(c, s, k, in, ptr, out, err));
    for (int i = 0; i < s->n_state && i < c->node->n_outputs; i++) {
        c->out[i] = in[i];
        in[i] = (ol_datum){.kind = OL_VALUE_TENSOR};
    }
    return OLV_OK;
}

static olv_status eval(ol_eval *c, olv_error *err) {
    scan s = {NULL};
    if (!c->run_graph) return ol_fail(err, OLV_UNSUPPORTED, "subgraphs");
    OL_TRY(form(c->node, &s, err));
    size_t n_in = (size_t)c->node->n_inputs, n_out = (size_t)s.body->n_outputs;
    ol_datum *in = ol_calloc(n_in + 1, sizeof *in), *out = ol_calloc(n_out + 1, sizeof *out);
    const ol_datum **ptr = ol_calloc(n_in + 1, sizeof *ptr);
    olv_status st = in && out && ptr ? run(c, &s, in, ptr, out, err) : ol_fail(err, OLV_NOMEM, "no memory");
    for (size_t i = 0; in && i < n_in; i++) ol_datum_deinit(&in[i]);
    for (size_t i = 0; out && i < n_out; i++) ol_datum_deinit(&out[i]);
    ol_free(in);
    ol_free(out);
    ol_free(ptr);
    return st;
}

static const ol_attr_spec attrs[] = {{"body", OL_ATTR_GRAPH, true}, {"num_scan_inputs", OL_ATTR_INT, true}, {"scan_input_axes", OL_ATTR_INTS, false},
    {"scan_input_directions", OL_ATTR_INTS, false}, {"scan_output_axes", OL_ATTR_INTS, false}, {"scan_output_directions", OL_ATTR_INTS, false}};
extern const ol_op ol_op_Scan;
const ol_op ol_op_Scan = {"", "Scan", "a subgraph over slices, with carried states", 1, -1, 1, -1, attrs, 6, infer, eval, NULL, false, false};
