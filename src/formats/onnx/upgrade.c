/* SPDX-License-Identifier: Apache-2.0 */
/* Operators of older opsets in terms of OL_OPSET: attributes that became inputs, old broadcasting, old axes. */
#include "base/alloc.h"
#include "base/error.h"
#include "formats/onnx/reader.h"

static olv_status failed(olv_error *err) { return err ? err->status : OLV_NOMEM; }

static bool is_op(const ol_onnx_draft *d, const char *name) { return !strcmp(d->op, name); }

/* Attribute `name` (ints or int) becomes input `index`, an i64 vector (a scalar attribute: of one element). */
static olv_status ints_to_input(ol_onnx_draft *d, const char *name, int index, olv_error *err) {
    ol_attr *a = ol_onnx_draft_attr(d, name);
    if (!a) return OLV_OK;
    if (a->type != OL_ATTR_INTS && a->type != OL_ATTR_INT) return ol_fail(err, OLV_FORMAT, "attribute '%s' is no integer", name);
    bool list = a->type == OL_ATTR_INTS;
    ol_value *v = ol_graph_add_i64(d->g, NULL, list ? a->v.ints : &a->v.i, list ? (int)a->count : 1, err);
    if (!v) return failed(err);
    if (!ol_onnx_draft_set_input(d, index, v)) return ol_fail(err, OLV_NOMEM, "no memory");
    ol_onnx_draft_drop(d, name);
    return OLV_OK;
}

/* A float attribute becomes a scalar input of the type of input 0. */
static olv_status float_to_input(ol_onnx_draft *d, const char *name, int index, olv_error *err) {
    ol_attr *a = ol_onnx_draft_attr(d, name);
    if (!a || a->type != OL_ATTR_FLOAT) return OLV_OK;
    ol_dtype t = d->n_in && d->in[0] && d->in[0]->type.dtype != OL_DTYPE_NONE ? d->in[0]->type.dtype : OL_F32;
    ol_tensor x;
    OL_TRY(ol_tensor_init(&x, t, 0, NULL, err));
    ol_elem_set(t, x.data, 0, (double)a->v.f);
    ol_const *c = ol_const_tensor(&x, err);
    ol_tensor_deinit(&x);
    ol_value *v = c ? ol_graph_add_constant(d->g, NULL, c, err) : NULL;
    if (!v) return failed(err);
    if (!ol_onnx_draft_set_input(d, index, v)) return ol_fail(err, OLV_NOMEM, "no memory");
    ol_onnx_draft_drop(d, name);
    return OLV_OK;
}

static ol_value *node1(ol_onnx_draft *d, const char *op, ol_value *const *in, int n_in, const ol_attr *attrs, int n_attrs,
                       olv_error *err) {
    const ol_op *o = ol_op_find("", op);
    if (!o) {
        ol_fail(err, OLV_UNSUPPORTED, "operator '%s'", op);
        return NULL;
    }
    ol_node *n = ol_graph_add_node(d->g, NULL, o, NULL, in, n_in, NULL, 1, attrs, n_attrs, err);
    return n ? n->outputs[0] : NULL;
}

/* Before opset 7, `broadcast`=1 with `axis` aligned the second input with the dims of the first from `axis` on. */
static olv_status old_broadcast(ol_onnx_draft *d, olv_error *err) {
    static const char *const ops[] = {"Add", "Sub", "Mul", "Div", "Pow", "And", "Or", "Xor", "Equal", "Less", "Greater"};
    bool mine = false;
    for (size_t i = 0; i < sizeof ops / sizeof *ops; i++) mine |= is_op(d, ops[i]);
    const ol_attr *a = ol_onnx_draft_attr(d, "axis");
    if (!mine || d->version >= 7 || d->n_in != 2 || !d->in[0] || !d->in[1]) return OLV_OK;
    if (a && a->type == OL_ATTR_INT) {
        const ol_type *x = &d->in[0]->type, *y = &d->in[1]->type;
        if (x->rank < 0 || y->rank < 0) return ol_fail(err, OLV_UNSUPPORTED, "old broadcasting of unknown ranks");
        int64_t axis = a->v.i < 0 ? a->v.i + x->rank : a->v.i, more = x->rank - axis - y->rank, axes[OL_MAX_RANK];
        if (more < 0 || axis < 0) return ol_fail(err, OLV_SHAPE, "axis %lld found", (long long)a->v.i);
        for (int64_t i = 0; i < more; i++) axes[i] = y->rank + i;
        if (more) {
            ol_value *in[2] = {d->in[1], ol_graph_add_i64(d->g, NULL, axes, (int)more, err)};
            d->in[1] = in[1] ? node1(d, "Unsqueeze", in, 2, NULL, 0, err) : NULL;
            if (!d->in[1]) return failed(err);
        }
    }
    ol_onnx_draft_drop(d, "axis");
    ol_onnx_draft_drop(d, "broadcast");
    return OLV_OK;
}

/* Before opset 13 these flattened the input to a matrix at `axis` (1 by default). */
static olv_status old_softmax(ol_onnx_draft *d, olv_error *err) {
    const ol_attr *a = ol_onnx_draft_attr(d, "axis");
    int64_t axis = a && a->type == OL_ATTR_INT ? a->v.i : 1;
    const ol_type *x = d->n_in && d->in[0] ? &d->in[0]->type : NULL;
    if (!x) return OLV_OK;
    if (axis < 0 && x->rank >= 0) axis += x->rank;
    ol_onnx_draft_drop(d, "axis");
    if (x->rank >= 0 && axis == x->rank - 1) return ol_onnx_draft_add(d, ol_attr_int("axis", -1)) ? OLV_OK : failed(err);
    ol_attr flat = ol_attr_int("axis", axis), last = ol_attr_int("axis", -1);
    ol_value *shape = node1(d, "Shape", d->in, 1, NULL, 0, err);
    ol_value *m = shape ? node1(d, "Flatten", d->in, 1, &flat, 1, err) : NULL;
    ol_value *y = m ? node1(d, d->op, &m, 1, &last, 1, err) : NULL;
    if (!y) return failed(err);
    strcpy(d->op, "Reshape");
    if (!ol_onnx_draft_add(d, ol_attr_int("allowzero", 1)) || !ol_onnx_draft_set_input(d, 1, shape)) return ol_fail(err, OLV_NOMEM, "no memory");
    d->in[0] = y;
    return OLV_OK;
}

/* Upsample, and Resize of opset 10: asymmetric coordinates, rounding down. */
static olv_status old_resize(ol_onnx_draft *d, olv_error *err) {
    ol_value *scales = d->n_in > 1 ? d->in[1] : NULL;
    const ol_attr *a = ol_onnx_draft_attr(d, "scales");
    if (a && a->type == OL_ATTR_FLOATS) scales = ol_graph_add_f32(d->g, NULL, a->v.floats, (int)a->count, err);
    ol_attr *w = ol_onnx_draft_attr(d, "width_scale"), *h = ol_onnx_draft_attr(d, "height_scale");
    if (w && h && w->type == OL_ATTR_FLOAT && h->type == OL_ATTR_FLOAT)
        scales = ol_graph_add_f32(d->g, NULL, (float[]){1, 1, h->v.f, w->v.f}, 4, err);
    if (!scales) return ol_fail(err, OLV_FORMAT, "no scales");
    ol_onnx_draft_drop(d, "scales");
    ol_attr *mode = ol_onnx_draft_attr(d, "mode");
    if (mode && mode->type == OL_ATTR_STRING && ol_str_is(mode->v.s, "bilinear")) mode->v.s = ol_str_of("linear");
    strcpy(d->op, "Resize");
    if (!ol_onnx_draft_set_input(d, 1, NULL) || !ol_onnx_draft_set_input(d, 2, scales) ||
        !ol_onnx_draft_add(d, ol_attr_string("coordinate_transformation_mode", "asymmetric")) ||
        !ol_onnx_draft_add(d, ol_attr_string("nearest_mode", "floor")))
        return ol_fail(err, OLV_NOMEM, "no memory");
    return OLV_OK;
}

/* Before opset 6, Cast names its type by text. */
static olv_status old_cast(ol_onnx_draft *d, olv_error *err) {
    static const char *const names[] = {"", "FLOAT", "UINT8", "INT8", "UINT16", "INT16", "INT32", "INT64", "STRING",
                                        "BOOL", "FLOAT16", "DOUBLE", "UINT32", "UINT64"};
    ol_attr *a = ol_onnx_draft_attr(d, "to");
    if (!a || a->type != OL_ATTR_STRING) return OLV_OK;
    for (size_t i = 1; i < sizeof names / sizeof *names; i++)
        if (ol_str_is(a->v.s, names[i])) {
            *a = ol_attr_int("to", (int64_t)i);
            return OLV_OK;
        }
    return ol_fail(err, OLV_UNSUPPORTED, "cast to '%.*s'", (int)(a->v.s.len > 40 ? 40 : a->v.s.len), a->v.s.ptr);
}

/* Before opset 7 a slope of one value per channel stood for dimension 1. */
static olv_status old_prelu(ol_onnx_draft *d, olv_error *err) {
    if (d->n_in != 2 || !d->in[0] || !d->in[1] || d->in[1]->type.rank != 1 || d->in[0]->type.rank <= 2) return OLV_OK;
    if (d->in[1]->type.dims[0] == 1) return OLV_OK;
    int64_t axes[OL_MAX_RANK];
    int n = d->in[0]->type.rank - 2;
    for (int i = 0; i < n; i++) axes[i] = i + 1;
    ol_value *in[2] = {d->in[1], ol_graph_add_i64(d->g, NULL, axes, n, err)};
    ol_value *v = in[1] ? node1(d, "Unsqueeze", in, 2, NULL, 0, err) : NULL;
    if (!v) return failed(err);
    d->in[1] = v;
    return OLV_OK;
}

/* Scan of opset 8 runs over batches: every value has a leading batch dim. It becomes a Scan over that dim whose body
 * is the Scan over the sequence. */
static olv_status old_scan(ol_onnx_draft *d, olv_error *err) {
    ol_attr *body = ol_onnx_draft_attr(d, "body"), *directions = ol_onnx_draft_attr(d, "directions");
    ol_attr *count = ol_onnx_draft_attr(d, "num_scan_inputs");
    int n = d->n_in - 1;
    if (!body || body->type != OL_ATTR_GRAPH || !count || count->type != OL_ATTR_INT || n < 1 || body->v.graph->n_inputs != n)
        return ol_fail(err, OLV_FORMAT, "body, num_scan_inputs and inputs do not fit");
    if (d->in[0]) return ol_fail(err, OLV_UNSUPPORTED, "Scan of opset 8 with sequence_lens");
    ol_graph *outer = ol_graph_create_sub(d->g, ""), *inner = body->v.graph;
    if (!outer) return ol_fail(err, OLV_NOMEM, "no memory for a graph");
    inner->parent = outer;
    memmove(d->in, d->in + 1, (size_t)n * sizeof *d->in);
    d->n_in = n;
    ol_value **in = ol_calloc((size_t)n + 1, sizeof *in);
    if (!in) return ol_fail(err, OLV_NOMEM, "no memory for a node");
    olv_status s = OLV_OK;
    for (int i = 0; i < n && s == OLV_OK; i++) {
        ol_type t = d->in[i] ? d->in[i]->type : inner->inputs[i]->type;
        if (d->in[i] && t.rank > 0) memmove(t.dims, t.dims + 1, (size_t)--t.rank * sizeof *t.dims);
        else if (d->in[i]) t.rank = -1;
        in[i] = ol_graph_add_input(outer, NULL, &t, err);
        if (!in[i]) s = failed(err);
    }
    ol_attr attrs[3] = {ol_attr_int("num_scan_inputs", count->v.i), *body};
    if (directions) {
        attrs[2] = *directions;
        attrs[2].name = "scan_input_directions";
    }
    ol_node *scan = s == OLV_OK ? ol_graph_add_node(outer, NULL, ol_op_find("", "Scan"), NULL, in, n, NULL, inner->n_outputs, attrs, directions ? 3 : 2, err) : NULL;
    ol_free(in);
    if (!scan) return failed(err);
    for (int i = 0; i < scan->n_outputs; i++) OL_TRY(ol_graph_add_output(outer, scan->outputs[i], err));
    body->v.graph = outer;
    count->v.i = n;
    ol_onnx_draft_drop(d, "directions");
    return OLV_OK;
}

/* SwiGLU (opset 28) is Swish of the first input, times the second. */
static olv_status split_swiglu(ol_onnx_draft *d, olv_error *err) {
    ol_attr *alpha = ol_onnx_draft_attr(d, "alpha");
    if (d->n_in != 2 || !d->in[0]) return ol_fail(err, OLV_FORMAT, "%d inputs found, 2 expected", d->n_in);
    ol_value *gate = node1(d, "Swish", d->in, 1, alpha, alpha != NULL, err);
    if (!gate) return failed(err);
    ol_onnx_draft_drop(d, "alpha");
    d->in[0] = gate;
    strcpy(d->op, "Mul");
    return OLV_OK;
}

/* Tile of opset 1 repeats one axis: inputs `tiles` and `axis`, scalars of the type of the data. */
static olv_status old_tile(ol_onnx_draft *d, olv_error *err) {
    const ol_type *x = d->n_in == 3 && d->in[0] ? &d->in[0]->type : NULL;
    if (!x || !d->in[1] || !d->in[2] || x->rank < 0) return ol_fail(err, OLV_UNSUPPORTED, "Tile of opset 1 of an unknown rank");
    ol_attr i64 = ol_attr_int("to", ol_dtype_onnx(OL_I64)), axis0 = ol_attr_int("axis", 0);
    int64_t one = 1, rank = x->rank, all = -1;
    ol_value *flat = ol_graph_add_i64(d->g, NULL, &all, 1, err);
    ol_value *tiles = flat ? node1(d, "Cast", &d->in[1], 1, &i64, 1, err) : NULL;
    ol_value *axis = tiles ? node1(d, "Cast", &d->in[2], 1, &i64, 1, err) : NULL;
    if (axis) tiles = node1(d, "Reshape", (ol_value *[]){tiles, flat}, 2, NULL, 0, err);
    if (tiles) axis = node1(d, "Reshape", (ol_value *[]){axis, flat}, 2, NULL, 0, err);
    ol_value *values = axis && tiles ? ol_graph_add_i64(d->g, NULL, &one, 1, err) : NULL;
    if (values) values = node1(d, "Concat", (ol_value *[]){values, tiles}, 2, &axis0, 1, err);
    ol_value *depth = values ? ol_graph_add_i64(d->g, NULL, &rank, -1, err) : NULL;
    ol_value *rows = depth ? node1(d, "OneHot", (ol_value *[]){axis, depth, values}, 3, NULL, 0, err) : NULL;
    if (rows) rows = node1(d, "Reshape", (ol_value *[]){rows, flat}, 2, NULL, 0, err);
    if (!rows) return failed(err);
    d->in[1] = rows;
    d->n_in = 2;
    return OLV_OK;
}

/* Before opset 2 the exponent of LpPool and GlobalLpPool was a float. */
static olv_status old_exponent(ol_onnx_draft *d, olv_error *err) {
    ol_attr *a = ol_onnx_draft_attr(d, "p");
    if (!a || a->type != OL_ATTR_FLOAT) return OLV_OK;
    if (!(a->v.f >= 1 && a->v.f <= 1000) || a->v.f != (float)(int)a->v.f)
        return ol_fail(err, OLV_UNSUPPORTED, "exponent %g found, a whole number expected", (double)a->v.f);
    *a = ol_attr_int("p", (int64_t)a->v.f);
    return OLV_OK;
}

static olv_status rename_string(ol_onnx_draft *d, const char *attr, const char *from, const char *to) {
    ol_attr *a = ol_onnx_draft_attr(d, attr);
    if (a && a->type == OL_ATTR_STRING && ol_str_is(a->v.s, from)) a->v.s = ol_str_of(to);
    return OLV_OK;
}

typedef struct axes_rule {
    const char *op, *attr;
    int input;
    int64_t before; /* the attribute became an input in this opset */
} axes_rule;
static const axes_rule rules[] = {
    {"Reshape", "shape", 1, 5},       {"Slice", "starts", 1, 10},       {"Slice", "ends", 2, 10},
    {"Slice", "axes", 3, 10},         {"Squeeze", "axes", 1, 13},       {"Unsqueeze", "axes", 1, 13},
    {"ReduceSum", "axes", 1, 13},     {"ReduceMean", "axes", 1, 18},    {"ReduceProd", "axes", 1, 18},
    {"ReduceMax", "axes", 1, 18},     {"ReduceMin", "axes", 1, 18},     {"ReduceL1", "axes", 1, 18},
    {"ReduceL2", "axes", 1, 18},      {"ReduceLogSum", "axes", 1, 18},  {"ReduceLogSumExp", "axes", 1, 18},
    {"ReduceSumSquare", "axes", 1, 18}, {"Split", "split", 1, 13},      {"TopK", "k", 1, 10},
    {"Pad", "pads", 1, 11},           {"Pad", "paddings", 1, 2},        {"Tile", "repeats", 1, 6}};

olv_status ol_onnx_upgrade(ol_onnx_draft *d, olv_error *err) {
    if (d->domain[0]) return OLV_OK;
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++)
        if (is_op(d, rules[i].op) && d->version < rules[i].before)
            OL_TRY(ints_to_input(d, rules[i].attr, rules[i].input, err));
    if (d->version < 7) OL_TRY(old_broadcast(d, err));
    if (d->version < 11 && is_op(d, "Clip")) {
        OL_TRY(float_to_input(d, "min", 1, err));
        OL_TRY(float_to_input(d, "max", 2, err));
    }
    if (d->version < 11 && is_op(d, "Pad")) OL_TRY(float_to_input(d, "value", 2, err));
    if (d->version < 13 && (is_op(d, "Softmax") || is_op(d, "LogSoftmax") || is_op(d, "Hardmax"))) OL_TRY(old_softmax(d, err));
    if (is_op(d, "Upsample") || (is_op(d, "Resize") && d->version < 11)) OL_TRY(old_resize(d, err));
    if (d->version < 6 && is_op(d, "Cast")) OL_TRY(old_cast(d, err));
    if (d->version < 7 && is_op(d, "PRelu")) OL_TRY(old_prelu(d, err));
    if (d->version < 4 && is_op(d, "Concat") && !ol_onnx_draft_attr(d, "axis") && !ol_onnx_draft_add(d, ol_attr_int("axis", 1)))
        return ol_fail(err, OLV_NOMEM, "no memory");
    if (d->version < 9 && is_op(d, "Scan")) OL_TRY(old_scan(d, err));
    if (d->version < 6 && is_op(d, "Tile")) OL_TRY(old_tile(d, err));
    if (d->version < 2 && (is_op(d, "LpPool") || is_op(d, "GlobalLpPool"))) OL_TRY(old_exponent(d, err));
    if (is_op(d, "SwiGLU")) OL_TRY(split_swiglu(d, err));
    if (is_op(d, "Scatter")) strcpy(d->op, "ScatterElements");
    if (d->version < 12 && is_op(d, "Dropout")) ol_onnx_draft_drop(d, "ratio");
    if (d->version < 20 && is_op(d, "GridSample")) {
        OL_TRY(rename_string(d, "mode", "bilinear", "linear"));
        OL_TRY(rename_string(d, "mode", "bicubic", "cubic"));
    }
    if (d->version < 20 && is_op(d, "DFT")) {
        const ol_attr *a = ol_onnx_draft_attr(d, "axis");
        int64_t axis = a && a->type == OL_ATTR_INT ? a->v.i : 1;
        ol_value *v = ol_graph_add_i64(d->g, NULL, &axis, -1, err);
        if (!v || !ol_onnx_draft_set_input(d, 2, v)) return failed(err);
        ol_onnx_draft_drop(d, "axis");
    }
    if (d->version < 16 && is_op(d, "RoiAlign") && !ol_onnx_draft_attr(d, "coordinate_transformation_mode") &&
        !ol_onnx_draft_add(d, ol_attr_string("coordinate_transformation_mode", "output_half_pixel")))
        return ol_fail(err, OLV_NOMEM, "no memory");
    return OLV_OK;
}

/* A Constant node becomes a constant of the graph. */
static olv_status add_constant(ol_onnx_draft *d, olv_error *err) {
    if (d->n_attrs != 1 || d->n_outs != 1) return ol_fail(err, OLV_FORMAT, "malformed Constant");
    ol_attr *a = &d->attrs[0];
    if (a->type == OL_ATTR_TENSOR) {
        d->results[0] = ol_graph_add_constant(d->g, d->outs[0], ol_const_retain(a->v.tensor), err);
        return d->results[0] ? OLV_OK : failed(err);
    }
    if (a->type == OL_ATTR_INT || a->type == OL_ATTR_INTS) {
        bool list = a->type == OL_ATTR_INTS;
        d->results[0] = ol_graph_add_i64(d->g, d->outs[0], list ? a->v.ints : &a->v.i, list ? (int)a->count : -1, err);
        return d->results[0] ? OLV_OK : failed(err);
    }
    if (a->type == OL_ATTR_FLOAT || a->type == OL_ATTR_FLOATS) {
        bool list = a->type == OL_ATTR_FLOATS;
        d->results[0] = ol_graph_add_f32(d->g, d->outs[0], list ? a->v.floats : &a->v.f, list ? (int)a->count : -1, err);
        return d->results[0] ? OLV_OK : failed(err);
    }
    if (a->type == OL_ATTR_STRING || a->type == OL_ATTR_STRINGS) {
        bool list = a->type == OL_ATTR_STRINGS;
        int64_t n = list ? (int64_t)a->count : 1;
        ol_tensor t;
        OL_TRY(ol_tensor_view(&t, OL_STRING, list, &n, list ? a->v.strings : &a->v.s, (size_t)n * sizeof(ol_str), err));
        ol_const *c = ol_const_tensor(&t, err);
        d->results[0] = c ? ol_graph_add_constant(d->g, d->outs[0], c, err) : NULL;
        return d->results[0] ? OLV_OK : failed(err);
    }
    return ol_fail(err, OLV_UNSUPPORTED, "Constant with attribute '%.100s'", a->name);
}

static void drop_unknown(ol_onnx_draft *d, const ol_op *op) {
    if (op->n_attrs < 0) return;
    for (int i = d->n_attrs - 1; i >= 0; i--) {
        bool known = false;
        for (int k = 0; k < op->n_attrs; k++) known |= !strcmp(op->attrs[k].name, d->attrs[i].name);
        if (!known) ol_onnx_draft_drop(d, d->attrs[i].name);
    }
}

olv_status ol_onnx_add_draft(ol_onnx_draft *d, olv_error *err) {
    if (!d->domain[0] && is_op(d, "Constant")) return add_constant(d, err);
    const ol_op *op = ol_graph_find_op(d->g, d->domain, d->op);
    if (!op) {
        const char *near = ol_op_nearest(d->op);
        return ol_fail(err, OLV_UNSUPPORTED, "operator '%s%s%s' is not supported%s%s%s", d->domain, d->domain[0] ? "::" : "",
                       d->op, near ? " (nearest: '" : "", near ? near : "", near ? "')" : "");
    }
    drop_unknown(d, op);
    while (d->n_in > op->min_inputs && !d->in[d->n_in - 1]) d->n_in--;
    while (d->n_outs > op->min_outputs && !*d->outs[d->n_outs - 1]) d->n_outs--;
    ol_node *n = ol_graph_add_node(d->g, NULL, op, d->name, d->in, d->n_in, d->outs, d->n_outs, d->attrs, d->n_attrs, err);
    if (!n) return failed(err);
    for (int i = 0; i < d->n_outs; i++) d->results[i] = n->outputs[i];
    return OLV_OK;
}
