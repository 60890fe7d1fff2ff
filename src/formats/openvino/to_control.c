/* SPDX-License-Identifier: Apache-2.0 */
/* Layers with bodies. Bodies see nothing outside: what they use of the graphs around them comes in as inputs of the layer. */
#include "formats/openvino/to.h"
#include "base/alloc.h"
#include <stdio.h>
#include <string.h>

#define MAX_PORTS 256

static const char *text_of(ol_to *t, int64_t v) { return ol_ir_say_int(t->e, "", v).text; }

/* ---- captured values ---- */

typedef struct captures {
    const ol_value *values[MAX_PORTS];
    int n;
    bool full;
} captures;

/* Whether v belongs to g or to a graph inside of it. */
static bool is_inside(const ol_value *v, const ol_graph *g) {
    for (const ol_graph *x = v->graph; x; x = x->parent)
        if (x == g) return true;
    return false;
}

static void add_capture(captures *c, const ol_graph *body, const ol_value *v) {
    if (!v || is_inside(v, body) || (v->constant && !v->is_input)) return;
    for (int i = 0; i < c->n; i++)
        if (c->values[i] == v) return;
    if (c->n == MAX_PORTS) c->full = true;
    else c->values[c->n++] = v;
}

/* What `g`, a part of `body`, uses from outside of body. */
static void collect(captures *c, const ol_graph *body, const ol_graph *g) {
    for (const ol_node *n = g->first; n; n = n->next) {
        for (int i = 0; i < n->n_inputs; i++) add_capture(c, body, n->inputs[i]);
        for (int i = 0; i < n->n_attrs; i++)
            if (n->attrs[i].type == OL_ATTR_GRAPH) collect(c, body, n->attrs[i].v.graph);
    }
    for (int i = 0; i < g->n_outputs; i++) add_capture(c, body, g->outputs[i]);
}

/* ---- bodies ---- */

/* A body under way: parameters first, then the nodes, then the results. */
typedef struct body {
    ol_to to;
    captures in;
    int captured_layer[MAX_PORTS]; /* parameters of the captured values */
} body;

static bool begin_body(ol_to *t, const ol_graph *g, body *b) {
    memset(b, 0, sizeof *b);
    collect(&b->in, g, g);
    b->to = (ol_to){.e = ol_ir_body(t->e), .g = g, .outer = t};
    b->to.place = ol_calloc((size_t)g->n_values + 1, sizeof *b->to.place);
    if (b->in.full) ol_to_refuse(t, "a body with more than %d inputs", MAX_PORTS);
    if (!b->to.e || !b->to.place) ol_ir_latch(ol_ir_file_of(t->e), OLV_NOMEM);
    for (int i = 0; b->to.place && i < g->n_values; i++) b->to.place[i] = OL_IR_NONE;
    return ol_ir_status(ol_ir_file_of(t->e)) == OLV_OK;
}

static ol_ir_out parameter(body *b, const ol_value *v, const ol_ir_type *as) {
    ol_ir_type own = as ? *as : ol_to_ir_type(&b->to, &v->type);
    return ol_ir_add_parameter(b->to.e, v->name, NULL, &own);
}

/* Parameters for the captured values, which the walk finds through the table of the body. */
static void put_captured(body *b) {
    ol_arena *a = ol_ir_arena(b->to.e);
    int n = b->in.n;
    b->to.cap_captured = n + 16;
    b->to.captured = ol_arena_calloc(a, (size_t)n + 16, sizeof *b->to.captured);
    b->to.captured_place = ol_arena_calloc(a, (size_t)n + 16, sizeof *b->to.captured_place);
    if (!b->to.captured || !b->to.captured_place) {
        ol_ir_latch(ol_ir_file_of(b->to.e), OLV_NOMEM);
        return;
    }
    for (int i = 0; i < n; i++) {
        ol_ir_out p = parameter(b, b->in.values[i], NULL);
        b->captured_layer[i] = p.layer;
        b->to.captured[i] = b->in.values[i];
        b->to.captured_place[i] = p;
        b->to.n_captured = i + 1;
    }
}

static void end_body(body *b) {
    ol_free(b->to.place);
    b->to.place = NULL;
}

/* The place of a value that a body uses, in the graph around it. */
static ol_ir_out outer_value(ol_to *t, const ol_value *v) { return ol_to_value(t, v); }

static int indent_of(ol_buf *b, int depth) {
    for (int i = 0; i < depth; i++) ol_buf_putc(b, '\t');
    return depth;
}

static void put_map(ol_to *t, ol_buf *b, const char *tag, int64_t external, int layer, const ol_ir_attr *more, int n_more) {
    ol_ir_attr a[10] = {ol_ir_say_text("external_port_id", text_of(t, external)), ol_ir_say_text("internal_layer_id", text_of(t, layer))};
    for (int i = 0; i < n_more && i < 8; i++) a[2 + i] = more[i];
    indent_of(b, 4);
    ol_ir_put_element(b, tag, a, 2 + n_more);
}

/* ---- If ---- */

static const ol_graph *branch(const ol_node *n, const char *name) {
    const ol_attr *a = ol_node_attr(n, name);
    return a && a->type == OL_ATTR_GRAPH ? a->v.graph : NULL;
}

void ol_to_if_node(ol_to *t, const ol_node *n, const ol_to_rule *r) {
    (void)r;
    static const char *const attrs[2] = {"then_branch", "else_branch"}, *const maps[2] = {"then_port_map", "else_port_map"}, *const tags[2] = {"then_body", "else_body"};
    ol_buf tail = OL_BUF_INIT, bodies = OL_BUF_INIT;
    ol_ir_out in[2 * MAX_PORTS + 1];
    int n_in = 1;
    in[0] = ol_to_in(t, n, 0);
    if (n->inputs[0]->type.rank != 0) in[0] = ol_ir_add_reshape(t->e, NULL, in[0], NULL, 0, false);
    body *b = ol_calloc(2, sizeof *b);
    bool ok = b && branch(n, attrs[0]) && branch(n, attrs[1]);
    for (int i = 0; ok && i < 2; i++) {
        ok = begin_body(t, branch(n, attrs[i]), &b[i]);
        for (int k = 0; ok && k < b[i].in.n; k++) in[n_in++] = outer_value(t, b[i].in.values[k]);
    }
    for (int i = 0, from = 1; ok && i < 2; from += b[i].in.n, i++) {
        put_captured(&b[i]);
        ol_to_nodes(&b[i].to);
        ol_buf_printf(&tail, "\t\t\t<%s>\n", maps[i]);
        for (int k = 0; k < b[i].in.n; k++) put_map(t, &tail, "input", from + k, b[i].captured_layer[k], NULL, 0);
        for (int k = 0; k < b[i].to.g->n_outputs; k++)
            put_map(t, &tail, "output", n_in + k, ol_ir_add_result(b[i].to.e, NULL, ol_to_value(&b[i].to, b[i].to.g->outputs[k])), NULL, 0);
        ol_buf_printf(&tail, "\t\t\t</%s>\n", maps[i]);
        ol_ir_put_body(b[i].to.e, tags[i], &bodies);
    }
    if (ok) ol_buf_append(&tail, bodies.data, bodies.len);
    ol_ir_type types[OL_MAX_RANK];
    const char *names[OL_MAX_RANK];
    if (n->n_outputs > OL_MAX_RANK) ol_to_refuse(t, "%d outputs", n->n_outputs);
    for (int i = 0; ok && i < n->n_outputs && i < OL_MAX_RANK; i++) {
        types[i] = ol_to_ir_type(t, &n->outputs[i]->type);
        names[i] = ol_to_names(t, n->outputs[i]);
    }
    if (bodies.failed || !b) ol_ir_latch(ol_ir_file_of(t->e), OLV_NOMEM);
    ol_ir_out o = OL_IR_NONE;
    if (ok && n->n_outputs <= OL_MAX_RANK)
        o = ol_ir_add(t->e, &(ol_ir_layer){.type = "If", .version = "opset8", .name = n->name, .in = in, .n_in = n_in, .out = types, .n_out = n->n_outputs, .names = names, .tail = &tail});
    for (int i = 0; i < n->n_outputs && o.layer >= 0; i++) t->place[n->outputs[i]->id] = ol_ir_nth(o, i);
    for (int i = 0; b && i < 2; i++) end_body(&b[i]);
    ol_free(b);
    ol_buf_deinit(&tail);
    ol_buf_deinit(&bodies);
}

/* ---- Loop and Scan ---- */

/* A layer with one body under way: its inputs, and the two maps as they grow. */
typedef struct repeat {
    ol_to *t;
    const ol_node *n;
    body b;
    ol_ir_out in[2 * MAX_PORTS];
    int n_in;
    ol_buf inputs, outputs, back;
    const ol_value *out[MAX_PORTS]; /* of the node, for each output of the layer */
    int n_out;
} repeat;

static void put_back_edge(repeat *w, int result, int param) {
    const ol_ir_attr a[2] = {ol_ir_say_text("from-layer", text_of(w->t, result)), ol_ir_say_text("to-layer", text_of(w->t, param))};
    indent_of(&w->back, 4);
    ol_ir_put_element(&w->back, "edge", a, 2);
}

/* One step along an axis, forwards or backwards. */
static int slices(ol_to *t, int64_t axis, bool reverse, ol_ir_attr *a) {
    a[0] = ol_ir_say_int(t->e, "axis", axis);
    a[1] = ol_ir_say_text("start", reverse ? "-1" : "0");
    a[2] = ol_ir_say_text("end", reverse ? "0" : "-1");
    a[3] = ol_ir_say_text("stride", reverse ? "-1" : "1");
    a[4] = ol_ir_say_text("part_size", "1");
    return 5;
}

static int add_input(repeat *w, ol_ir_out x) {
    if (w->n_in == 2 * MAX_PORTS) {
        ol_to_refuse(w->t, "more than %d inputs", 2 * MAX_PORTS);
        return 0;
    }
    w->in[w->n_in] = x;
    return w->n_in++;
}

static void map_captured(repeat *w) {
    for (int i = 0; i < w->b.in.n; i++) put_map(w->t, &w->inputs, "input", add_input(w, outer_value(w->t, w->b.in.values[i])), w->b.captured_layer[i], NULL, 0);
}

static ol_ir_out result_value(repeat *w, int i) { return ol_to_value(&w->b.to, w->b.to.g->outputs[i]); }

/* An output of the layer that is the last value, or all of them one after the other along the axis. */
static void map_output(repeat *w, int node_output, int result, const ol_ir_attr *more, int n_more) {
    if (w->n_out == MAX_PORTS || node_output >= w->n->n_outputs) return;
    put_map(w->t, &w->outputs, "output", w->n_in + w->n_out, result, more, n_more);
    w->out[w->n_out++] = w->n->outputs[node_output];
}

static void put_repeat(repeat *w, const char *type, const char *version) {
    ol_to *t = w->t;
    ol_buf tail = OL_BUF_INIT;
    ol_ir_type *types = ol_arena_calloc(ol_ir_arena(t->e), (size_t)w->n_out + 1, sizeof *types);
    const char **names = ol_arena_calloc(ol_ir_arena(t->e), (size_t)w->n_out + 1, sizeof *names);
    for (int i = 0; types && names && i < w->n_out; i++) {
        types[i] = w->out[i] ? ol_to_ir_type(t, &w->out[i]->type) : ol_ir_type_of(OL_DTYPE_NONE, -1, NULL);
        names[i] = w->out[i] ? ol_to_names(t, w->out[i]) : NULL;
    }
    ol_buf_puts(&tail, "\t\t\t<port_map>\n");
    ol_buf_append(&tail, w->inputs.data, w->inputs.len);
    ol_buf_append(&tail, w->outputs.data, w->outputs.len);
    ol_buf_puts(&tail, "\t\t\t</port_map>\n\t\t\t<back_edges>\n");
    ol_buf_append(&tail, w->back.data, w->back.len);
    ol_buf_puts(&tail, "\t\t\t</back_edges>\n");
    ol_ir_put_body(w->b.to.e, "body", &tail);
    if (!types || !names || w->inputs.failed || w->outputs.failed || w->back.failed) ol_ir_latch(ol_ir_file_of(t->e), OLV_NOMEM);
    ol_ir_out o = ol_ir_add(t->e, &(ol_ir_layer){.type = type, .version = version, .name = w->n->name, .in = w->in, .n_in = w->n_in, .out = types, .n_out = w->n_out, .names = names, .tail = &tail});
    for (int i = 0; i < w->n_out; i++)
        if (w->out[i]) t->place[w->out[i]->id] = ol_ir_nth(o, i);
    ol_buf_deinit(&tail);
}

static void end_repeat(repeat *w) {
    end_body(&w->b);
    ol_buf_deinit(&w->inputs);
    ol_buf_deinit(&w->outputs);
    ol_buf_deinit(&w->back);
    ol_free(w);
}

/* A value of one element as a scalar of i64 or bool, or what stands for one left out. */
static ol_ir_out scalar_input(ol_to *t, const ol_node *n, int i, ol_dtype type, double missing) {
    if (!ol_to_has(n, i)) return ol_ir_const_number(t->e, type, missing);
    ol_ir_out x = ol_to_cast(t, ol_to_in(t, n, i), type);
    return n->inputs[i]->type.rank == 0 ? x : ol_ir_add_reshape(t->e, NULL, x, NULL, 0, false);
}

/* What goes around must keep its type: sizes that the body changes are open. */
static ol_ir_type carried_type(ol_to *t, const ol_value *in, const ol_value *initial, const ol_value *next) {
    ol_ir_type a = ol_to_ir_type(t, &in->type);
    const ol_type *x = &initial->type, *y = &next->type;
    if (a.element->dtype == OL_DTYPE_NONE) a.element = ol_ir_element_of(x->dtype);
    if (a.rank < 0 && x->rank >= 0 && x->rank == y->rank) a = ol_ir_type_of(x->dtype, x->rank, x->dims);
    if (a.rank >= 0 && x->rank >= 0 && (x->rank != a.rank || (y->rank >= 0 && y->rank != a.rank))) a.rank = -1;
    for (int i = 0; i < a.rank; i++)
        if (ol_to_dim(x, i) != a.dims[i] || ol_to_dim(y, i) != a.dims[i]) a.dims[i] = -1;
    return a;
}

void ol_to_loop(ol_to *t, const ol_node *n, const ol_to_rule *r) {
    (void)r;
    const ol_graph *g = branch(n, "body");
    repeat *w = ol_calloc(1, sizeof *w);
    if (!w || !g || g->n_inputs != n->n_inputs || g->n_inputs < 2 || g->n_inputs > MAX_PORTS || g->n_outputs < 1) {
        if (!w) ol_ir_latch(ol_ir_file_of(t->e), OLV_NOMEM);
        else ol_to_refuse(t, "a body with other inputs than the node");
        ol_free(w);
        return;
    }
    w->t = t;
    w->n = n;
    int carried = g->n_inputs - 2, params[MAX_PORTS], results[MAX_PORTS];
    if (!begin_body(t, g, &w->b)) {
        end_repeat(w);
        return;
    }
    add_input(w, scalar_input(t, n, 0, OL_I64, 9223372036854775807.0));
    add_input(w, scalar_input(t, n, 1, OL_BOOL, 1));
    const ol_ir_attr turn = ol_ir_say_text("purpose", "current_iteration"), condition = ol_ir_say_text("purpose", "execution_condition");
    for (int i = 0; i < g->n_inputs; i++) {
        const ol_value *v = g->inputs[i];
        ol_ir_type type = i < 2 ? ol_ir_type_of(i ? OL_BOOL : OL_I64, v->type.rank > 0 ? 1 : 0, (const int64_t[]){1})
                                : carried_type(t, v, n->inputs[i], g->outputs[i - 1]);
        ol_ir_out p = parameter(&w->b, v, &type);
        params[i] = p.layer;
        w->b.to.place[v->id] = p;
    }
    put_map(t, &w->inputs, "input", -1, params[0], &turn, 1);
    put_map(t, &w->inputs, "input", 1, params[1], NULL, 0);
    for (int i = 0; i < carried; i++) put_map(t, &w->inputs, "input", add_input(w, ol_to_in(t, n, i + 2)), params[i + 2], NULL, 0);
    put_captured(&w->b);
    map_captured(w);
    ol_to_nodes(&w->b.to);
    const int64_t front = 0;
    for (int i = 0; i < g->n_outputs && i < MAX_PORTS; i++) {
        ol_ir_out x = result_value(w, i);
        if (i == 0 && g->outputs[0]->type.rank > 0) x = ol_ir_add_reshape(w->b.to.e, NULL, x, NULL, 0, false);
        if (i > carried) x = ol_ir_add_unsqueeze(w->b.to.e, NULL, x, &front, 1);
        results[i] = ol_ir_add_result(w->b.to.e, NULL, x);
    }
    put_map(t, &w->outputs, "output", -1, results[0], &condition, 1);
    put_back_edge(w, results[0], params[1]);
    for (int i = 0; i < carried; i++) put_back_edge(w, results[i + 1], params[i + 2]);
    ol_ir_attr axis[8];
    int n_axis = slices(t, 0, false, axis);
    for (int i = 1; i < g->n_outputs && i < MAX_PORTS; i++) map_output(w, i - 1, results[i], axis, i > carried ? n_axis : 0);
    put_repeat(w, "Loop", "opset5");
    end_repeat(w);
}

static int64_t nth(const ol_node *n, const char *name, int i, int64_t def) {
    size_t k;
    const int64_t *v = ol_node_ints(n, name, &k);
    return v && (size_t)i < k ? v[i] : def;
}

static bool has_scan(const ol_graph *g) {
    for (const ol_node *n = g->first; n; n = n->next)
        if (!strcmp(n->op->name, "Scan")) return true;
    return false;
}

/* Scanned inputs are cut along an axis, which the body does not see. A TensorIterator, or, where the body holds another one
 * (which OpenVINO refuses), a Loop over the known number of turns. */
void ol_to_scan(ol_to *t, const ol_node *n, const ol_to_rule *r) {
    (void)r;
    const ol_graph *g = branch(n, "body");
    int scanned = (int)ol_node_int(n, "num_scan_inputs", 1), carried = n->n_inputs - scanned, params[MAX_PORTS];
    repeat *w = ol_calloc(1, sizeof *w);
    if (!w || !g || g->n_inputs != n->n_inputs || g->n_inputs > MAX_PORTS || carried < 0) {
        if (!w) ol_ir_latch(ol_ir_file_of(t->e), OLV_NOMEM);
        else ol_to_refuse(t, "a body with other inputs than the node");
        ol_free(w);
        return;
    }
    w->t = t;
    w->n = n;
    if (!begin_body(t, g, &w->b)) {
        end_repeat(w);
        return;
    }
    bool nested = has_scan(g);
    if (nested) {
        int64_t axis = nth(n, "scan_input_axes", 0, 0);
        add_input(w, scanned ? ol_to_size(t, ol_to_in(t, n, carried), axis, true) : OL_IR_NONE);
        add_input(w, ol_ir_const_number(t->e, OL_BOOL, 1));
    }
    for (int i = 0; i < g->n_inputs; i++) {
        const ol_value *v = g->inputs[i];
        if (i < carried) {
            ol_ir_type type = carried_type(t, v, n->inputs[i], g->outputs[i]);
            ol_ir_out p = parameter(&w->b, v, &type);
            params[i] = p.layer;
            w->b.to.place[v->id] = p;
            put_map(t, &w->inputs, "input", add_input(w, ol_to_in(t, n, i)), p.layer, NULL, 0);
            continue;
        }
        int rank = ol_to_rank(t, n, i);
        int64_t axis = ol_to_axis(nth(n, "scan_input_axes", i - carried, 0), rank);
        ol_ir_type type = ol_to_ir_type(t, &n->inputs[i]->type);
        if (rank < 1 || axis < 0 || axis >= rank) continue;
        type.dims[axis] = 1;
        ol_ir_out p = parameter(&w->b, v, &type);
        params[i] = p.layer;
        ol_ir_attr cut[8];
        int k = slices(t, axis, nth(n, "scan_input_directions", i - carried, 0) != 0, cut);
        put_map(t, &w->inputs, "input", add_input(w, ol_to_in(t, n, i)), p.layer, cut, k);
        w->b.to.place[v->id] = p;
    }
    put_captured(&w->b);
    map_captured(w);
    for (int i = carried; i < g->n_inputs; i++) { /* parameters are all there: the axis goes */
        const ol_value *v = g->inputs[i];
        int64_t axis = ol_to_axis(nth(n, "scan_input_axes", i - carried, 0), n->inputs[i]->type.rank);
        w->b.to.place[v->id] = ol_ir_add_squeeze(w->b.to.e, NULL, w->b.to.place[v->id], &axis, 1);
    }
    ol_to_nodes(&w->b.to);
    const ol_ir_attr condition = ol_ir_say_text("purpose", "execution_condition");
    if (nested) put_map(t, &w->outputs, "output", -1, ol_ir_add_result(w->b.to.e, NULL, ol_ir_const_number(w->b.to.e, OL_BOOL, 1)), &condition, 1);
    for (int i = 0; i < g->n_outputs && i < MAX_PORTS; i++) {
        ol_ir_out x = result_value(w, i);
        ol_ir_attr cut[8];
        int64_t axis = nth(n, "scan_output_axes", i - carried, 0);
        if (i < carried) {
            int result = ol_ir_add_result(w->b.to.e, NULL, x);
            put_back_edge(w, result, params[i]);
            map_output(w, i, result, NULL, 0);
            continue;
        }
        if (axis < 0) axis += g->outputs[i]->type.rank + 1;
        int result = ol_ir_add_result(w->b.to.e, NULL, ol_ir_add_unsqueeze(w->b.to.e, NULL, x, &axis, 1));
        int k = slices(t, axis, nth(n, "scan_output_directions", i - carried, 0) != 0, cut);
        map_output(w, i, result, cut, k);
    }
    put_repeat(w, nested ? "Loop" : "TensorIterator", nested ? "opset5" : NULL);
    end_repeat(w);
}
