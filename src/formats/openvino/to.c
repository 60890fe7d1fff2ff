/* SPDX-License-Identifier: Apache-2.0 */
/* The walk over a graph's nodes, and what the functions of the families read from nodes and give for them. */
#include "formats/openvino/to.h"
#include "base/alloc.h"
#include "base/error.h"
#include <stdio.h>

static const ol_to_rule rules[] = {
#define OL_TO(domain, op, fn, type, version) {domain, op, ol_to_##fn, type, version},
#include "formats/openvino/to.def"
#undef OL_TO
};

void ol_to_refuse(ol_to *t, const char *fmt, ...) {
    ol_ir_file *f = ol_ir_file_of(t->e);
    char text[400];
    va_list ap;
    if (ol_ir_status(f) != OLV_OK) return;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    ol_ir_latch(f, ol_fail(ol_ir_error(f), OLV_UNSUPPORTED, "%s", text));
}

/* ---- types and names ---- */

ol_ir_type ol_to_ir_type(ol_to *t, const ol_type *x) {
    if (x->kind != OL_VALUE_TENSOR || x->map_key != OL_DTYPE_NONE) ol_to_refuse(t, "OpenVINO has tensors alone, no sequences, optionals or maps");
    ol_ir_type r = ol_ir_type_of(x->dtype, x->rank, x->dims);
    if (x->dtype != OL_DTYPE_NONE && r.element->dtype == OL_DTYPE_NONE) ol_to_refuse(t, "OpenVINO has no type %s", ol_dtype_name(x->dtype));
    return r;
}

typedef struct aliases {
    const ol_value *v;
    const char *names[16];
    int n;
} aliases;

static void add_aliases(aliases *a, const ol_value *v);

/* A node that gives its input under another name. */
static bool is_alias(const ol_node *n) { return !*n->op->domain && !strcmp(n->op->name, "Identity"); }

static bool add_alias(void *ctx, ol_node *user, int input) {
    aliases *a = ctx;
    if (user && input == 0 && is_alias(user) && user->graph == a->v->graph) {
        const ol_value *keep = a->v;
        add_aliases(a, user->outputs[0]);
        a->v = keep;
    }
    return true;
}

static void add_aliases(aliases *a, const ol_value *v) {
    if (a->n == sizeof a->names / sizeof *a->names) return;
    a->names[a->n++] = v->name;
    a->v = v;
    ol_value_each_use(v, add_alias, a);
}

/* Names that OpenVINO and this writer give to Result layers, of which the reader makes other names of the output. */
static bool is_result_name(const char *name) {
    ol_str s = ol_str_of(name);
    return ol_str_starts(s, "Result_") || ol_str_ends(s, "/result") || ol_str_ends(s, "/sink_port_0");
}

/* Other names of a port of the model, from its metadata; those that only its layer has are no names of the tensor. */
static void add_port_names(aliases *a, const ol_graph *g, const ol_value *v) {
    size_t n = strlen(OL_ALIAS);
    const char *layer = v->producer ? v->producer->name : "";
    for (int i = 0; i < g->n_meta && a->n < (int)(sizeof a->names / sizeof *a->names); i++)
        if (!strncmp(g->meta_keys[i], OL_ALIAS, n) && !strcmp(g->meta_values[i], v->name) && strcmp(g->meta_keys[i] + n, layer) && !is_result_name(g->meta_keys[i] + n))
            a->names[a->n++] = g->meta_keys[i] + n;
}

const char *ol_to_names(ol_to *t, const ol_value *v) {
    aliases a = {NULL, {NULL}, 0};
    add_aliases(&a, v);
    if (!t->g->parent && t->g->n_meta) add_port_names(&a, t->g, v);
    return ol_ir_names(t->e, a.names, a.n);
}

/* ---- reading nodes ---- */

static ol_ir_out captured(ol_to *t, const ol_value *v) {
    for (int i = 0; i < t->n_captured; i++)
        if (t->captured[i] == v) return t->captured_place[i];
    if (!v->constant || v->is_input) {
        ol_to_refuse(t, "value '%.200s' of an outer graph has no place in the body", v->name);
        return OL_IR_NONE;
    }
    if (t->n_captured == t->cap_captured) {
        ol_arena *a = ol_ir_arena(t->e);
        int cap = t->cap_captured ? t->cap_captured * 2 : 16;
        const ol_value **values = ol_arena_calloc(a, (size_t)cap, sizeof *values);
        ol_ir_out *places = ol_arena_calloc(a, (size_t)cap, sizeof *places);
        if (!values || !places) {
            ol_ir_latch(ol_ir_file_of(t->e), OLV_NOMEM);
            return OL_IR_NONE;
        }
        if (t->n_captured) memcpy(values, t->captured, (size_t)t->n_captured * sizeof *values);
        if (t->n_captured) memcpy(places, t->captured_place, (size_t)t->n_captured * sizeof *places);
        t->captured = values;
        t->captured_place = places;
        t->cap_captured = cap;
    }
    ol_ir_out o = ol_ir_const(t->e, v->name, NULL, v->constant);
    t->captured[t->n_captured] = v;
    t->captured_place[t->n_captured++] = o;
    return o;
}

ol_const *ol_to_const(const ol_value *v, int rank, const int64_t *dims) {
    const ol_value *from = v;
    for (int depth = 0; depth < 8 && from->producer && !*from->producer->op->domain && !strcmp(from->producer->op->name, "Reshape"); depth++) from = from->producer->inputs[0];
    if (!from->constant || from->is_input || from->type.dtype == OL_STRING) return NULL;
    for (int i = 0; rank < 0 && i < v->type.rank; i++)
        if (!ol_dim_known(v->type.dims[i])) return NULL;
    if (rank < 0 && v->type.rank < 0) return NULL;
    return ol_const_reshape(from->constant, rank < 0 ? v->type.rank : rank, rank < 0 ? v->type.dims : dims, NULL);
}

static bool is_scale(void *ctx, ol_node *user, int input) {
    bool *found = ctx;
    if (user && input > 0 && (!strcmp(user->op->name, "QuantizeLinear") || !strcmp(user->op->name, "DequantizeLinear"))) *found = true;
    return !*found;
}

/* Scales of codes stay as they are: with rounded ones the codes would be others. */
static ol_ir_out constant(ol_to *t, const ol_value *v, const char *names) {
    bool scale = false;
    ol_value_each_use(v, is_scale, &scale);
    return scale ? ol_ir_const_exact(t->e, v->name, names, v->constant) : ol_ir_const(t->e, v->name, names, v->constant);
}

ol_ir_out ol_to_value(ol_to *t, const ol_value *v) {
    if (v->graph != t->g) return captured(t, v);
    ol_ir_out *o = &t->place[v->id];
    if (o->layer < 0 && v->constant && !v->is_input) *o = constant(t, v, ol_to_names(t, v));
    if (o->layer >= 0) return *o;
    ol_const *c = ol_to_const(v, -1, NULL);
    if (c) *o = ol_ir_const(t->e, v->name, ol_to_names(t, v), c);
    else ol_to_refuse(t, "value '%.200s' has no layer", v->name);
    ol_const_release(c);
    return *o;
}

bool ol_to_has(const ol_node *n, int i) { return i < n->n_inputs && n->inputs[i]; }
ol_ir_out ol_to_in(ol_to *t, const ol_node *n, int i) { return ol_to_has(n, i) ? ol_to_value(t, n->inputs[i]) : OL_IR_NONE; }
const ol_type *ol_to_type(const ol_node *n, int i) { return ol_to_has(n, i) ? &n->inputs[i]->type : NULL; }
ol_dtype ol_to_dtype(const ol_node *n, int i) { return ol_to_has(n, i) ? n->inputs[i]->type.dtype : OL_DTYPE_NONE; }

int ol_to_rank(ol_to *t, const ol_node *n, int i) {
    int rank = ol_to_has(n, i) ? n->inputs[i]->type.rank : -1;
    if (rank < 0) ol_to_refuse(t, "the rank of input %d is not known", i);
    return rank;
}

int64_t ol_to_axis(int64_t axis, int rank) { return axis < 0 ? axis + rank : axis; }
int64_t ol_to_dim(const ol_type *x, int axis) { return x && axis >= 0 && axis < x->rank && ol_dim_known(x->dims[axis]) ? x->dims[axis] : -1; }

bool ol_to_ints(const ol_node *n, int i, int64_t *out, int max, int *count) {
    ol_tensor x;
    if (!ol_to_has(n, i) || !n->inputs[i]->constant || n->inputs[i]->is_input || !ol_value_const_tensor(n->inputs[i], (size_t)max * 8, &x)) return false;
    int64_t k = ol_tensor_count(&x);
    bool ok = k >= 0 && k <= max && x.dtype != OL_STRING;
    for (int64_t j = 0; ok && j < k; j++) out[j] = x.dtype == OL_I64 ? ((const int64_t *)x.data)[j] : ol_f64_to_i64(ol_elem_get(x.dtype, x.data, (uint64_t)j));
    *count = (int)k;
    ol_tensor_deinit(&x);
    return ok;
}

/* ---- giving ---- */

void ol_to_give(ol_to *t, const ol_node *n, int i, ol_ir_out o) {
    const ol_value *v = i < n->n_outputs ? n->outputs[i] : NULL;
    if (!v || o.layer < 0) return;
    if (ol_ir_has_names(t->e, o) && v->type.dtype != OL_STRING) o = ol_ir_add_convert(t->e, NULL, o, ol_ir_get_type(t->e, o)->element);
    ol_ir_give_names(t->e, o, i == 0 ? n->name : NULL, ol_ir_has_names(t->e, o) ? NULL : ol_to_names(t, v));
    t->place[v->id] = o;
}

ol_ir_out ol_to_put(ol_to *t, const ol_node *n, const char *type, const char *version, const ol_ir_out *in, int n_in, const ol_ir_attr *attrs,
                    int n_attrs, int n_out) {
    ol_ir_type types[OL_MAX_RANK];
    const char *names[OL_MAX_RANK] = {NULL};
    if (n_out < n->n_outputs) n_out = n->n_outputs;
    if (n_out > OL_MAX_RANK) {
        ol_to_refuse(t, "%d outputs, %d at most", n_out, OL_MAX_RANK);
        return OL_IR_NONE;
    }
    for (int i = 0; i < n_out; i++) {
        const ol_value *v = i < n->n_outputs ? n->outputs[i] : NULL;
        types[i] = v ? ol_to_ir_type(t, &v->type) : ol_ir_type_of(OL_I64, -1, NULL);
        names[i] = v ? ol_to_names(t, v) : NULL;
    }
    ol_ir_out o = ol_ir_add(t->e, &(ol_ir_layer){.type = type, .version = version, .name = n->name, .in = in, .n_in = n_in, .attrs = attrs, .n_attrs = n_attrs,
                                                 .out = types, .n_out = n_out, .names = names});
    for (int i = 0; i < n->n_outputs; i++)
        if (n->outputs[i]) t->place[n->outputs[i]->id] = ol_ir_nth(o, i);
    return o;
}

/* ---- the walk ---- */

static const ol_to_rule *rule_of(const ol_op *op) {
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++)
        if (!strcmp(rules[i].op, op->name) && !strcmp(rules[i].domain, op->domain)) return &rules[i];
    return NULL;
}

void ol_to_nodes(ol_to *t) {
    ol_ir_file *f = ol_ir_file_of(t->e);
    for (const ol_node *n = t->g->first; n && ol_ir_status(f) == OLV_OK; n = n->next) {
        const ol_to_rule *r = rule_of(n->op);
        if (r) r->fn(t, n, r);
        else ol_to_refuse(t, "OpenVINO has no form of this operator");
        if (ol_ir_status(f) != OLV_OK) ol_error_at(ol_ir_error(f), "node '%.200s' (%s)", n->name, n->op->name);
    }
}
