/* SPDX-License-Identifier: Apache-2.0 */
/* If, Loop and TensorIterator. The bodies see values of the graph around them; what a body is given unchanged is not passed. */
#include "base/error.h"
#include "formats/openvino/reader.h"

#define MAX_LINKS 256 /* carried values and results of a loop */

static ol_ir_layer *body_layer(ol_ir *t, const ol_ir_body *b, const ol_xml *e, const char *attr, const char *type) {
    int64_t id;
    olv_status s = ol_xml_int(e, attr, 0, INT64_MAX, &id, t->err);
    if (s != OLV_OK) {
        t->status = s;
        return NULL;
    }
    ol_ir_layer *l = ol_ir_body_find(b, id);
    if (!ol_ir_is(l, type)) ol_ir_fail(t, OLV_FORMAT, "line %d: layer %lld of the body is no %s", e->line, (long long)id, type);
    return t->status == OLV_OK ? l : NULL;
}

static int port_of(ol_ir *t, const ol_xml *e, bool output) {
    int64_t id;
    const ol_ir_port *p = output ? t->l->out_ports : t->l->in_ports;
    int n = output ? t->l->n_out : t->l->n_in;
    olv_status s = ol_xml_int(e, "external_port_id", -1, INT32_MAX, &id, t->err);
    if (s != OLV_OK) t->status = s;
    for (int i = 0; s == OLV_OK && i < n; i++)
        if (p[i].id == id) return i;
    if (s == OLV_OK && id != -1) ol_ir_fail(t, OLV_FORMAT, "line %d: port %lld of a port_map, which the layer has not", e->line, (long long)id);
    return -1;
}

static bool read_body(ol_ir *t, const char *name, ol_ir_body *b, ol_graph **g) {
    const ol_xml *e = ol_xml_child(t->l->xml, name);
    if (!e) ol_ir_fail(t, OLV_FORMAT, "no <%s>", name);
    olv_status s = e ? ol_ir_body_read(t->r, e, b, t->err) : t->status;
    if (s == OLV_OK && !(*g = ol_graph_create_sub(t->g, name))) s = ol_fail(t->err, OLV_NOMEM, "no memory for a body");
    if (s != OLV_OK) t->status = s;
    return s == OLV_OK;
}

/* A value that the body makes itself, as outputs of a body must be. */
static ol_value *made_in(ol_ir *t, ol_value *v) {
    if (!v || (v->graph == t->g && v->producer)) {
        for (int i = 0; v && i < t->g->n_outputs; i++)
            if (t->g->outputs[i] == v) return ol_ir_unary(t, "Identity", v);
        return v;
    }
    return ol_ir_unary(t, "Identity", v);
}

static void add_output(ol_ir *t, ol_value *v) {
    v = made_in(t, v);
    if (v && t->status == OLV_OK) t->status = ol_graph_add_output(t->g, v, t->err);
}

static ol_value *result_of(ol_ir *t, ol_ir_body *b, ol_ir_layer *l, ol_graph *g) {
    ol_value *v = NULL;
    if (t->status == OLV_OK) t->status = ol_ir_result_of(t->r, b, l, g, &v, t->err);
    return v;
}

/* ---- If ---- */

static ol_graph *branch(ol_ir *t, const char *map, const char *body) {
    ol_ir_body b;
    ol_graph *g;
    const ol_xml *ports = ol_xml_child(t->l->xml, map);
    ol_ir_layer *results[OL_IR_MAX_INTS] = {NULL};
    if (!read_body(t, body, &b, &g)) return NULL;
    for (const ol_xml *e = ports ? ports->first : NULL; e && t->status == OLV_OK; e = e->next) {
        bool out = !strcmp(e->name, "output");
        int port = port_of(t, e, out);
        ol_ir_layer *l = body_layer(t, &b, e, "internal_layer_id", out ? "Result" : "Parameter");
        if (port < 0 || port >= OL_IR_MAX_INTS) ol_ir_fail(t, OLV_FORMAT, "line %d: no port is meant", e->line);
        if (l && !out && l->n_out == 1) l->out[0] = ol_ir_need(t, port);
        if (l && out && port >= 0 && port < OL_IR_MAX_INTS) results[port] = l;
    }
    if (t->status == OLV_OK) t->status = ol_ir_body_translate(t->r, &b, g, t->err);
    ol_ir in = *t;
    in.g = g;
    for (int i = 0; i < t->l->n_out && in.status == OLV_OK; i++) {
        if (i >= OL_IR_MAX_INTS || !results[i]) ol_ir_fail(&in, OLV_FORMAT, "<%s> gives no output %d", map, i);
        else add_output(&in, result_of(&in, &b, results[i], g));
    }
    t->status = in.status;
    return g;
}

static void make_results(ol_ir *t, const ol_node *n, int n_names) {
    for (int i = 0; n && i < n_names; i++) ol_ir_set(t, i, n->outputs[i]);
}

static void if_else(ol_ir *t) {
    const char *names[OL_IR_MAX_INTS];
    ol_value *cond = ol_ir_need(t, 0);
    int n = t->l->n_out;
    if (n < 1 || n > OL_IR_MAX_INTS) ol_ir_fail(t, OLV_LIMIT, "%d outputs, 1 to %d expected", n, OL_IR_MAX_INTS);
    if (t->status != OLV_OK) return;
    ol_attr a[2] = {{.name = "then_branch", .type = OL_ATTR_GRAPH, .count = 1}, {.name = "else_branch", .type = OL_ATTR_GRAPH, .count = 1}};
    a[0].v.graph = branch(t, "then_port_map", "then_body");
    if (t->status == OLV_OK) a[1].v.graph = branch(t, "else_port_map", "else_body");
    for (int i = 0; i < n; i++) names[i] = ol_ir_output_name(t, i);
    make_results(t, ol_ir_node(t, "If", &cond, 1, names, n, a, 2), n);
}

/* ---- loops ---- */

/* How a sliced input or a concatenated output runs through an axis. */
typedef struct run {
    bool sliced;
    int64_t axis, start, end, stride, part;
} run;

typedef struct result {
    ol_ir_layer *l;
    int port;
    run r;
} result;

typedef struct loop {
    ol_ir_body b;
    ol_graph *g;
    ol_value *in[MAX_LINKS]; /* of the Loop: count, condition, initial values */
    ol_ir_layer *to[MAX_LINKS], *from[MAX_LINKS]; /* carried: Parameter and Result, by place */
    int n_carried;
    result outs[MAX_LINKS];
    int n_outs;
    ol_ir_layer *condition;
    ol_value *count; /* of iterations, from a sliced input */
} loop;

static void read_run(ol_ir *t, const ol_xml *e, run *r) {
    static const char *const names[] = {"axis", "start", "end", "stride", "part_size"};
    int64_t v[5] = {-1, 0, -1, 1, 1};
    for (int i = 0; i < 5 && t->status == OLV_OK; i++)
        if (ol_xml_get(e, names[i])) t->status = ol_xml_int(e, names[i], INT32_MIN, INT32_MAX, &v[i], t->err);
    *r = (run){ol_xml_get(e, "axis") && v[0] != -1, v[0], v[1], v[2], v[3], v[4]};
    if (r->sliced && (r->axis < 0 || r->part < 1 || (r->stride != r->part && r->stride != -r->part)))
        ol_ir_fail(t, OLV_UNSUPPORTED, "line %d: parts of %lld along axis %lld with stride %lld", e->line, (long long)r->part,
                   (long long)r->axis, (long long)r->stride);
    bool whole = r->stride > 0 ? r->start == 0 && r->end == -1 : r->start == -1 && r->end == 0;
    if (r->sliced && !whole) ol_ir_fail(t, OLV_UNSUPPORTED, "line %d: a part of an axis", e->line);
}

/* Part `iteration` of an outer value, taken inside of the body. */
static ol_value *part_of(ol_ir *in, ol_value *x, const run *r, ol_value *iteration) {
    ol_value *at = ol_ir_binary(in, "Mul", ol_ir_vector(in, iteration), ol_ir_int1(in, r->part)), *part = ol_ir_int1(in, r->part);
    if (r->stride < 0) at = ol_ir_binary(in, "Sub", ol_ir_binary(in, "Sub", ol_ir_size(in, x, r->axis), part), at);
    return ol_ir_op(in, "Slice", (ol_value *[]){x, at, ol_ir_binary(in, "Add", at, part), ol_ir_int1(in, r->axis)}, 4, NULL, 0);
}

static ol_ir_layer *carried_from(ol_ir *t, const loop *p, const ol_ir_layer *param) {
    const ol_xml *edges = ol_xml_child(t->l->xml, "back_edges");
    for (const ol_xml *e = ol_xml_child(edges, "edge"); e && t->status == OLV_OK; e = ol_xml_next(e)) {
        ol_ir_layer *to = body_layer(t, &p->b, e, "to-layer", "Parameter");
        if (to == param) return body_layer(t, &p->b, e, "from-layer", "Result");
    }
    return NULL;
}

static bool carry(ol_ir *t, loop *p, ol_ir_layer *param, ol_ir_layer *from, ol_value *initial) {
    if (p->n_carried + 2 >= MAX_LINKS) ol_ir_fail(t, OLV_LIMIT, "more than %d carried values", MAX_LINKS - 2);
    if (t->status != OLV_OK) return false;
    p->to[p->n_carried] = param;
    p->from[p->n_carried] = from;
    p->in[2 + p->n_carried++] = initial;
    return true;
}

/* The value that the body sees for a mapped input. */
static void map_input(ol_ir *t, loop *p, const ol_xml *e, ol_value *iteration) {
    ol_ir_layer *l = body_layer(t, &p->b, e, "internal_layer_id", "Parameter");
    const char *purpose = ol_xml_get(e, "purpose");
    run r;
    ol_ir in = *t;
    in.g = p->g;
    if (!l || l->n_out != 1) {
        ol_ir_fail(t, OLV_FORMAT, "line %d: a Parameter without output", e->line);
        return;
    }
    if (purpose && !strcmp(purpose, "current_iteration")) {
        ol_type want;
        t->status = ol_ir_declared(l, "element_type", "shape", t->g->dims, &want, t->err);
        ol_value *v = t->status == OLV_OK && want.rank == 1 ? ol_ir_vector(&in, iteration) : iteration;
        l->out[0] = ol_ir_cast(&in, v, want.dtype);
        if (in.status != OLV_OK) t->status = in.status;
        return;
    }
    int port = port_of(t, e, false);
    if (port < 0) {
        ol_ir_fail(t, OLV_FORMAT, "line %d: no port is meant", e->line);
        return;
    }
    read_run(t, e, &r);
    ol_value *x = ol_ir_need(t, port);
    ol_ir_layer *from = r.sliced ? NULL : carried_from(t, p, l);
    if (t->status != OLV_OK) return;
    if (r.sliced) {
        if (!p->count) p->count = ol_ir_binary(t, "Div", ol_ir_size(t, x, r.axis), ol_ir_int1(t, r.part));
        in.status = t->status;
        l->out[0] = part_of(&in, x, &r, iteration);
        t->status = in.status;
    } else if (from) {
        carry(t, p, l, from, x);
    } else {
        l->out[0] = x;
    }
}

static void map_output(ol_ir *t, loop *p, const ol_xml *e) {
    const char *purpose = ol_xml_get(e, "purpose");
    ol_ir_layer *l = body_layer(t, &p->b, e, "internal_layer_id", "Result");
    if (purpose && !strcmp(purpose, "execution_condition")) p->condition = l;
    int port = port_of(t, e, true);
    if (port < 0 || t->status != OLV_OK) return;
    if (p->n_outs == MAX_LINKS) ol_ir_fail(t, OLV_LIMIT, "more than %d results", MAX_LINKS);
    else p->outs[p->n_outs++] = (result){.l = l, .port = port};
    if (t->status == OLV_OK) read_run(t, e, &p->outs[p->n_outs - 1].r);
}

static void map_ports(ol_ir *t, loop *p, ol_value *iteration) {
    const ol_xml *map = ol_xml_child(t->l->xml, "port_map");
    for (const ol_xml *e = map ? map->first : NULL; e && t->status == OLV_OK; e = e->next) {
        if (!strcmp(e->name, "input")) map_input(t, p, e, iteration);
        else if (!strcmp(e->name, "output")) map_output(t, p, e);
    }
    /* A last value that is not carried is carried from nothing. */
    for (int i = 0; i < p->n_outs && t->status == OLV_OK; i++) {
        bool known = p->outs[i].r.sliced;
        for (int k = 0; k < p->n_carried; k++) known |= p->from[k] == p->outs[i].l;
        const ol_ir_element *type = t->l->out_ports[p->outs[i].port].element;
        if (!known) carry(t, p, NULL, p->outs[i].l, ol_ir_number(t, 0, type ? type->dtype : OL_F32));
    }
}

static bool add_body_inputs(ol_ir *t, loop *p) {
    for (int i = 0; i < p->n_carried && t->status == OLV_OK; i++) {
        ol_type type = p->in[2 + i]->type;
        if (p->to[i]) t->status = ol_ir_declared(p->to[i], "element_type", "shape", t->g->dims, &type, t->err);
        else type.rank = -1;
        ol_value *v = t->status == OLV_OK ? ol_graph_add_input(p->g, NULL, &type, t->err) : NULL;
        if (!v && t->status == OLV_OK) t->status = t->err->status;
        if (v && p->to[i]) p->to[i]->out[0] = v;
    }
    return t->status == OLV_OK;
}

/* Stacked parts [n, .., part, ..] become one axis of n * part. */
static ol_value *joined(ol_ir *t, ol_value *x, const run *r) {
    int64_t perm[OL_MAX_RANK], minus = -1, far = INT64_MIN, zero = 0;
    int rank = ol_ir_rank(t, x);
    if (t->status != OLV_OK) return NULL;
    if (r->axis + 1 >= rank) {
        ol_ir_fail(t, OLV_SHAPE, "axis %lld of results of rank %d", (long long)r->axis, rank - 1);
        return NULL;
    }
    if (r->stride < 0)
        x = ol_ir_op(t, "Slice", (ol_value *[]){x, ol_ir_ints(t, &minus, 1), ol_ir_ints(t, &far, 1), ol_ir_ints(t, &zero, 1), ol_ir_ints(t, &minus, 1)}, 5, NULL, 0);
    for (int i = 0; i < rank; i++) perm[i] = i < r->axis ? i + 1 : i == r->axis ? 0 : i;
    if (r->axis) x = ol_ir_transpose(t, x, perm, rank);
    if (r->part == 1) return ol_ir_squeeze(t, x, r->axis + 1);
    ol_attr join = ol_attr_int("axis", 0), before[2] = {ol_attr_int("start", 0), ol_attr_int("end", r->axis)}, after = ol_attr_int("start", r->axis + 2);
    ol_value *sizes[3] = {ol_ir_op(t, "Shape", &x, 1, before, 2), ol_ir_int1(t, -1), ol_ir_op(t, "Shape", &x, 1, &after, 1)};
    return ol_ir_binary(t, "Reshape", x, ol_ir_op(t, "Concat", sizes, 3, &join, 1));
}

static void collect(ol_ir *t, const loop *p, const ol_node *n) {
    int scan = p->n_carried;
    for (int i = 0; i < p->n_outs; i++) {
        if (p->outs[i].r.sliced) {
            ol_ir_set(t, p->outs[i].port, joined(t, n->outputs[scan++], &p->outs[i].r));
            continue;
        }
        for (int k = 0; k < p->n_carried; k++)
            if (p->from[k] == p->outs[i].l) ol_ir_set(t, p->outs[i].port, n->outputs[k]);
    }
}

static void build_loop(ol_ir *t, loop *p, bool counted) {
    ol_ir in = *t;
    in.g = p->g;
    ol_value *iteration = ol_graph_add_input(p->g, NULL, &(ol_type){.dtype = OL_I64}, t->err);
    ol_value *cond = iteration ? ol_graph_add_input(p->g, NULL, &(ol_type){.dtype = OL_BOOL}, t->err) : NULL;
    if (!cond) {
        t->status = t->err->status;
        return;
    }
    map_ports(t, p, iteration);
    if (t->status != OLV_OK || !add_body_inputs(t, p)) return;
    in.status = ol_ir_body_translate(t->r, &p->b, p->g, t->err);
    ol_value *again = p->condition ? result_of(&in, &p->b, p->condition, p->g) : cond;
    if (again && again->type.rank == 1) again = ol_ir_squeeze(&in, again, 0);
    add_output(&in, again);
    for (int i = 0; i < p->n_carried && in.status == OLV_OK; i++) add_output(&in, result_of(&in, &p->b, p->from[i], p->g));
    int n_out = p->n_carried;
    for (int i = 0; i < p->n_outs && in.status == OLV_OK; i++)
        if (p->outs[i].r.sliced) add_output(&in, result_of(&in, &p->b, p->outs[i].l, p->g)), n_out++;
    if ((t->status = in.status) != OLV_OK) return;
    int64_t trips = INT64_MAX;
    if (counted) { /* -1: as long as the condition holds */
        ol_value *c = ol_ir_i64(t, ol_ir_need(t, 0)), *first = ol_ir_need(t, 1);
        int64_t v;
        if (ol_ir_value_ints(c, &v, 1) == 1) c = v < 0 ? ol_ir_ints(t, &trips, -1) : ol_ir_ints(t, &v, -1);
        else if (c && c->type.rank == 1) c = ol_ir_squeeze(t, c, 0);
        p->in[0] = c;
        p->in[1] = first && first->type.rank == 1 ? ol_ir_squeeze(t, first, 0) : first;
    } else {
        if (!p->count) ol_ir_fail(t, OLV_FORMAT, "no sliced input gives the number of iterations");
        p->in[0] = ol_ir_squeeze(t, p->count, 0);
        p->in[1] = ol_ir_number(t, 1, OL_BOOL);
    }
    ol_attr a = {.name = "body", .type = OL_ATTR_GRAPH, .count = 1, .v.graph = p->g};
    const ol_node *n = ol_ir_node(t, "Loop", p->in, 2 + p->n_carried, NULL, n_out, &a, 1);
    if (n) collect(t, p, n);
}

static void any_loop(ol_ir *t, bool counted) {
    loop *p = ol_arena_calloc(t->r->arena, 1, sizeof *p);
    if (!p) ol_ir_fail(t, OLV_NOMEM, "no memory for a loop");
    else if (read_body(t, "body", &p->b, &p->g)) build_loop(t, p, counted);
}

static void loop_op(ol_ir *t) { any_loop(t, true); }
static void tensor_iterator(ol_ir *t) { any_loop(t, false); }

const ol_ir_operation ol_ir_controls[] = {{"If", if_else, NULL}, {"Loop", loop_op, NULL}, {"TensorIterator", tensor_iterator, NULL}, {NULL, NULL, NULL}};
