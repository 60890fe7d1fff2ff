/* SPDX-License-Identifier: Apache-2.0 */
/* Type inference, and the tracing of small integer values (shapes) as symbolic dims. */
#include "base/alloc.h"
#include "base/error.h"
#include "graph/private.h"

#define MAX_TRACED 64      /* elements of a traced value */
#define MAX_TRACE_DEPTH 48 /* producers behind one another */
#define MAX_TRACE_STEPS 512

const ol_type *ol_infer_in(const ol_infer *c, int i) {
    return i < c->node->n_inputs && c->node->inputs[i] ? &c->node->inputs[i]->type : NULL;
}

typedef struct tracer {
    ol_dim_table *dims;
    int steps;
} tracer;

static int trace(tracer *t, const ol_value *v, ol_dim *out, int depth);

static int trace_const(tracer *t, const ol_const *c, ol_dim *out) {
    ol_dtype d = ol_const_dtype(c);
    char cls = ol_dtype_class(d);
    ol_tensor x;
    if ((cls != 's' && cls != 'u') || ol_const_rank(c) > 1) return -1;
    olv_status s = ol_const_materialize(c, MAX_TRACED * 8, &x, NULL);
    if (s == OLV_NOMEM) ol_dim_starve(t->dims);
    if (s != OLV_OK) return -1;
    int64_t n = ol_tensor_count(&x);
    int count = n <= MAX_TRACED ? (int)n : -1;
    for (int i = 0; i < count; i++) {
        out[i] = ol_infer_code(d == OL_I64 ? ((const int64_t *)x.data)[i] : ol_f64_to_i64(ol_elem_get(d, x.data, (uint64_t)i)));
    }
    ol_tensor_deinit(&x);
    return count;
}

static int trace_shape(const ol_node *n, ol_dim *out) {
    const ol_type *x = &n->inputs[0]->type;
    if (x->rank < 0) return -1;
    int64_t start = ol_node_int(n, "start", 0), end = ol_node_int(n, "end", x->rank);
    if (start < 0) start += x->rank;
    if (end < 0) end += x->rank;
    start = start < 0 ? 0 : start;
    end = end > x->rank ? x->rank : end;
    int count = 0;
    for (int64_t i = start; i < end; i++) out[count++] = x->dims[i];
    return count;
}

static int trace_size(tracer *t, const ol_node *n, ol_dim *out) {
    const ol_type *x = &n->inputs[0]->type;
    if (x->rank < 0) return -1;
    out[0] = 1;
    for (int i = 0; i < x->rank; i++)
        if ((out[0] = ol_dim_mul(t->dims, out[0], x->dims[i])) == OL_DIM_NONE) return -1;
    return 1;
}

static const ol_value *input(const ol_node *n, int i) { return i < n->n_inputs ? n->inputs[i] : NULL; }

static int trace_gather(tracer *t, const ol_node *n, ol_dim *out, int depth) {
    ol_dim data[MAX_TRACED], index[MAX_TRACED];
    const ol_value *ix = input(n, 1);
    if (!ix || !ix->constant || ix->type.rank > 1) return -1;
    int nd = trace(t, n->inputs[0], data, depth), ni = trace_const(t, ix->constant, index);
    for (int i = 0; i < ni; i++) {
        int64_t k = ol_infer_decode(index[i]);
        if (k < 0) k += nd;
        if (k < 0 || k >= nd) return -1;
        out[i] = data[k];
    }
    return nd < 0 ? -1 : ni;
}

static int trace_concat(tracer *t, const ol_node *n, ol_dim *out, int depth) {
    int count = 0;
    for (int i = 0; i < n->n_inputs; i++) {
        ol_dim part[MAX_TRACED];
        int k = n->inputs[i] ? trace(t, n->inputs[i], part, depth) : -1;
        if (k < 0 || count + k > MAX_TRACED) return -1;
        memcpy(out + count, part, (size_t)k * sizeof *part);
        count += k;
    }
    return count;
}

static bool const_int(tracer *t, const ol_value *v, int64_t def, int64_t *out) {
    ol_dim d[MAX_TRACED];
    *out = def;
    if (!v) return true;
    if (!v->constant || trace_const(t, v->constant, d) != 1) return false;
    *out = ol_infer_decode(d[0]);
    return true;
}

static int trace_slice(tracer *t, const ol_node *n, ol_dim *out, int depth) {
    ol_dim data[MAX_TRACED];
    int count = 0, nd = trace(t, n->inputs[0], data, depth);
    int64_t start, end, step;
    if (nd < 0 || !const_int(t, input(n, 1), 0, &start) || !const_int(t, input(n, 2), nd, &end) ||
        !const_int(t, input(n, 4), 1, &step) || step < 1)
        return -1;
    if (start < 0) start += nd;
    if (end < 0) end += nd;
    for (int64_t i = start < 0 ? 0 : start; i < end && i < nd; i += step) {
        out[count++] = data[i];
        if (step > nd) break;
    }
    return count;
}

typedef ol_dim (*dim_op)(ol_dim_table *, ol_dim, ol_dim);

static bool is_coded(ol_dim d) { return ol_infer_decode(d) != d; }

/* op on elements of which some may be negative constants. */
static ol_dim combine(tracer *t, dim_op op, ol_dim a, ol_dim b) {
    if (a == OL_DIM_NONE || b == OL_DIM_NONE) return OL_DIM_NONE;
    if (!is_coded(a) && !is_coded(b)) {
        if (op == ol_dim_sub && a >= 0 && b > a) return ol_infer_code(a - b);
        return op(t->dims, a, b);
    }
    int64_t x = ol_infer_decode(a), y = ol_infer_decode(b), r;
    bool plain_a = a >= 0 || is_coded(a), plain_b = b >= 0 || is_coded(b);
    if (op == ol_dim_max && plain_a != plain_b) return plain_a ? b : a; /* sizes are not negative */
    if (!plain_a && op == ol_dim_add) return ol_dim_sub(t->dims, a, -y);
    if (!plain_b && op == ol_dim_add) return ol_dim_sub(t->dims, b, -x);
    if (!plain_a && op == ol_dim_sub) return ol_dim_add(t->dims, a, -y);
    if (!plain_a || !plain_b) return OL_DIM_NONE;
    if (op == ol_dim_add) return __builtin_add_overflow(x, y, &r) ? OL_DIM_NONE : ol_infer_code(r);
    if (op == ol_dim_sub) return __builtin_sub_overflow(x, y, &r) ? OL_DIM_NONE : ol_infer_code(r);
    if (op == ol_dim_mul) return __builtin_mul_overflow(x, y, &r) ? OL_DIM_NONE : ol_infer_code(r);
    if (op == ol_dim_max) return ol_infer_code(x > y ? x : y);
    if (op == ol_dim_min) return ol_infer_code(x < y ? x : y);
    return y ? ol_infer_code(x / y) : OL_DIM_NONE;
}

static int trace_binary(tracer *t, const ol_node *n, dim_op op, ol_dim *out, int depth) {
    ol_dim a[MAX_TRACED], b[MAX_TRACED];
    if (n->n_inputs != 2) return -1;
    int na = trace(t, n->inputs[0], a, depth), nb = na < 0 ? -1 : trace(t, n->inputs[1], b, depth);
    if (nb < 0 || (na != nb && na != 1 && nb != 1)) return -1;
    int count = na > nb ? na : nb;
    for (int i = 0; i < count; i++) out[i] = combine(t, op, a[na == 1 ? 0 : i], b[nb == 1 ? 0 : i]);
    return count;
}

static int trace_product(tracer *t, const ol_node *n, ol_dim *out, int depth) {
    ol_dim a[MAX_TRACED];
    int na = trace(t, n->inputs[0], a, depth);
    if (na < 0) return -1;
    out[0] = 1;
    for (int i = 0; i < na; i++) out[0] = combine(t, ol_dim_mul, out[0], a[i]);
    return 1;
}

/* n equal elements, as many as a traced size says. */
static int trace_filled(tracer *t, const ol_node *n, ol_dim *out, int depth) {
    ol_dim size[MAX_TRACED], value[MAX_TRACED] = {0};
    const ol_attr *a = ol_node_attr(n, "value");
    if (trace(t, n->inputs[0], size, depth) != 1 || !ol_dim_known(size[0]) || size[0] > MAX_TRACED) return -1;
    if (a && (a->type != OL_ATTR_TENSOR || trace_const(t, a->v.tensor, value) != 1)) return -1;
    for (int64_t i = 0; i < size[0]; i++) out[i] = value[0];
    return (int)size[0];
}

/* Whether two elements are equal: 0, 1, or -1 when that depends on sizes. A size is never negative. */
static int same_element(ol_dim a, ol_dim b) {
    if (a == OL_DIM_NONE || b == OL_DIM_NONE) return -1;
    if (a == b) return 1;
    bool plain_a = a >= 0 || is_coded(a), plain_b = b >= 0 || is_coded(b);
    return (plain_a && plain_b) || is_coded(a) || is_coded(b) ? 0 : -1;
}

/* A choice between elements by the equality of others, as exports of Expand make it for sizes of -1. */
static int trace_where(tracer *t, const ol_node *n, ol_dim *out, int depth) {
    ol_dim part[4][MAX_TRACED];
    const ol_node *equal = n->inputs[0]->producer;
    if (n->n_inputs != 3 || !equal || equal->op->domain[0] || strcmp(equal->op->name, "Equal") || equal->n_inputs != 2) return -1;
    const ol_value *from[4] = {equal->inputs[0], equal->inputs[1], n->inputs[1], n->inputs[2]};
    int counts[4], count = 1;
    for (int k = 0; k < 4; k++) {
        counts[k] = from[k] ? trace(t, from[k], part[k], depth) : -1;
        if (counts[k] < 0 || (counts[k] != 1 && count != 1 && counts[k] != count)) return -1;
        if (counts[k] != 1) count = counts[k];
    }
    for (int i = 0; i < count; i++) {
        ol_dim e[4];
        for (int k = 0; k < 4; k++) e[k] = part[k][counts[k] == 1 ? 0 : i];
        int same = same_element(e[0], e[1]);
        out[i] = same < 0 && e[2] != e[3] ? OL_DIM_NONE : e[same > 0 ? 2 : 3];
    }
    return count;
}

static int trace_node(tracer *t, const ol_node *n, ol_dim *out, int depth) {
    static const struct {
        const char *name;
        dim_op op;
    } arithmetic[] = {{"Add", ol_dim_add}, {"Sub", ol_dim_sub}, {"Mul", ol_dim_mul},
                      {"Div", ol_dim_div_floor}, {"Max", ol_dim_max}, {"Min", ol_dim_min}};
    const char *op = n->op->name;
    if (n->op->domain[0]) return -1;
    if (!strcmp(op, "Constant")) {
        const ol_attr *a = ol_node_attr(n, "value");
        return a && a->type == OL_ATTR_TENSOR ? trace_const(t, a->v.tensor, out) : -1;
    }
    if (n->n_inputs < 1 || !n->inputs[0]) return -1;
    if (!strcmp(op, "Shape")) return trace_shape(n, out);
    if (!strcmp(op, "Size")) return trace_size(t, n, out);
    if (!strcmp(op, "Gather")) return trace_gather(t, n, out, depth);
    if (!strcmp(op, "Concat")) return trace_concat(t, n, out, depth);
    if (!strcmp(op, "Slice")) return trace_slice(t, n, out, depth);
    if (!strcmp(op, "ConstantOfShape")) return trace_filled(t, n, out, depth);
    if (!strcmp(op, "Where")) return trace_where(t, n, out, depth);
    if (!strcmp(op, "ReduceProd")) return trace_product(t, n, out, depth);
    static const char *const same[] = {"Unsqueeze", "Squeeze", "Identity", "Cast", "Reshape"};
    for (size_t i = 0; i < sizeof same / sizeof *same; i++)
        if (!strcmp(op, same[i])) {
            char cls = ol_dtype_class(n->inputs[0]->type.dtype);
            return cls == 's' || cls == 'u' ? trace(t, n->inputs[0], out, depth) : -1;
        }
    for (size_t i = 0; i < sizeof arithmetic / sizeof *arithmetic; i++)
        if (!strcmp(op, arithmetic[i].name)) return trace_binary(t, n, arithmetic[i].op, out, depth);
    return -1;
}

/* Elements of a value as dims. Of a vector whose length alone is known, and wherever an element is not, OL_DIM_NONE. */
static int trace(tracer *t, const ol_value *v, ol_dim *out, int depth) {
    int n = -1;
    if (depth <= 0 || --t->steps <= 0) return -1;
    if (v->constant && !v->is_input) return trace_const(t, v->constant, out);
    char cls = ol_dtype_class(v->type.dtype);
    if ((cls != 's' && cls != 'u') || v->type.kind != OL_VALUE_TENSOR || v->type.rank > 1 || v->type.rank < 0) return -1;
    if (v->producer) n = trace_node(t, v->producer, out, depth - 1);
    ol_dim length = v->type.rank ? v->type.dims[0] : 1;
    if (n >= 0 || length < 0 || length > MAX_TRACED) return n;
    for (n = 0; n < (int)length; n++) out[n] = OL_DIM_NONE;
    return n;
}

int ol_infer_sizes(const ol_infer *c, int i, ol_dim *dims, int max) {
    if (i >= c->node->n_inputs || !c->node->inputs[i]) return -1;
    tracer t = {c->graph->dims, MAX_TRACE_STEPS};
    ol_dim all[MAX_TRACED];
    int n = trace(&t, c->node->inputs[i], all, MAX_TRACE_DEPTH);
    if (n < 0 || n > max) return -1;
    memcpy(dims, all, (size_t)n * sizeof *dims);
    return n;
}

int ol_infer_ints(const ol_infer *c, int i, ol_dim *dims, int max) {
    int n = ol_infer_sizes(c, i, dims, max);
    for (int k = 0; k < n; k++)
        if (dims[k] == OL_DIM_NONE) return -1;
    return n;
}

static bool check_type(const ol_type *t) {
    if (t->rank > OL_MAX_RANK) return false;
    for (int i = 0; i < t->rank; i++)
        if (t->dims[i] == OL_DIM_NONE) return false;
    return true;
}

static olv_status no_memory(olv_error *err) { return ol_fail(err, OLV_NOMEM, "no memory for shapes"); }

olv_status ol_node_infer(ol_node *n, ol_type *out, olv_error *err) {
    for (int i = 0; i < n->n_outputs; i++) out[i] = (ol_type){.kind = OL_VALUE_TENSOR, .rank = -1};
    if (!n->op->infer) return OLV_OK;
    ol_infer c = {n->graph, n, out};
    OL_TRY(n->op->infer(&c, err));
    for (int i = 0; i < n->n_outputs; i++)
        if (!check_type(&out[i]))
            return ol_dim_starved(n->graph->dims) ? no_memory(err) : ol_fail(err, OLV_LIMIT, "shape of output %d has no valid size", i);
    return ol_dim_starved(n->graph->dims) ? no_memory(err) : OLV_OK;
}

static olv_status infer_graph(ol_graph *g, olv_error *err) {
    for (ol_node *n = g->first; n; n = n->next) {
        ol_graph *sub;
        OL_EACH_SUBGRAPH(n, sub) OL_TRY(infer_graph(sub, err));
        ol_type *types = ol_calloc((size_t)n->n_outputs + 1, sizeof *types);
        if (!types) return ol_fail(err, OLV_NOMEM, "no memory to infer types");
        olv_status s = ol_node_infer(n, types, err);
        for (int i = 0; s == OLV_OK && i < n->n_outputs; i++)
            if (n->outputs[i]) n->outputs[i]->type = types[i];
        ol_free(types);
        if (s != OLV_OK) return ol_error_at(err, "node '%.200s' (%s)", n->name, n->op->name);
    }
    return OLV_OK;
}

olv_status ol_graph_infer(ol_graph *g, olv_error *err) { return infer_graph(g, err); }
