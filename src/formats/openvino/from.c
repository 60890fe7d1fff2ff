/* SPDX-License-Identifier: Apache-2.0 */
/* What translators of layers use: inputs, nodes, constants, attributes. */
#include "base/alloc.h"
#include "base/error.h"
#include "formats/openvino/reader.h"
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

olv_status ol_ir_fail(ol_ir *t, olv_status s, const char *fmt, ...) {
    char text[500];
    va_list ap;
    if (t->status != OLV_OK) return t->status;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    return t->status = ol_fail(t->err, s, "%s", text);
}

static void *latch(ol_ir *t) {
    if (t->status == OLV_OK) t->status = t->err->status != OLV_OK ? t->err->status : OLV_NOMEM;
    return NULL;
}

/* ---- inputs ---- */

bool ol_ir_has(const ol_ir *t, int i) { return i < t->l->n_in && t->l->in[i].layer; }

ol_value *ol_ir_in(ol_ir *t, int i) {
    ol_const *c;
    if (!ol_ir_has(t, i) || t->status != OLV_OK) return NULL;
    ol_ir_layer *from = t->l->in[i].layer;
    int port = t->l->in[i].port;
    if (from->out[port]) return from->out[port];
    if (!ol_ir_is(from, "Const")) {
        ol_ir_fail(t, OLV_UNSUPPORTED, "input %d takes output %d of layer '%.100s' (%.60s), which is not made", i, port, from->name, from->type);
        return NULL;
    }
    olv_status s = ol_ir_const_read(t->r, from, &c, t->err);
    if (s != OLV_OK) {
        t->status = ol_ir_at(from, t->err);
        return NULL;
    }
    const char *name = ol_graph_find_value(t->g, from->name) ? NULL : from->name;
    from->out[port] = ol_graph_add_constant(t->g, name, c, t->err);
    return from->out[port] ? from->out[port] : latch(t);
}

ol_value *ol_ir_need(ol_ir *t, int i) {
    ol_value *v = ol_ir_in(t, i);
    if (!v && t->status == OLV_OK) ol_ir_fail(t, OLV_FORMAT, "input %d is not connected", i);
    return v;
}

/* ---- nodes ---- */

ol_node *ol_ir_node(ol_ir *t, const char *op, ol_value *const *in, int n_in, const char *const *names, int n_out, const ol_attr *attrs,
                    int n_attrs) {
    bool own = !strncmp(op, "olivine.", 8);
    if (t->status != OLV_OK) return NULL;
    while (n_in > 0 && !in[n_in - 1]) n_in--;
    ol_node *n = ol_graph_add_node(t->g, NULL, ol_op_find(own ? "olivine" : "", own ? op + 8 : op), t->l->name, in, n_in, names, n_out,
                                   attrs, n_attrs, t->err);
    return n ? n : latch(t);
}

ol_value *ol_ir_op(ol_ir *t, const char *op, ol_value *const *in, int n_in, const ol_attr *attrs, int n_attrs) {
    const ol_node *n = ol_ir_node(t, op, in, n_in, NULL, 1, attrs, n_attrs);
    return n ? n->outputs[0] : NULL;
}

const char *ol_ir_output_name(ol_ir *t, int i) {
    const char *name = i < t->l->n_out ? ol_ir_port_name(t->g->arena, t->l->out_ports[i].names, 0) : NULL;
    if (!name && t->l->n_out == 1) name = t->l->name;
    for (const ol_graph *g = t->g; name && g; g = g->parent)
        if (ol_graph_find_value(g, name)) name = NULL;
    return name;
}

ol_value *ol_ir_result(ol_ir *t, int i, const char *op, ol_value *const *in, int n_in, const ol_attr *attrs, int n_attrs) {
    const char *name = ol_ir_output_name(t, i);
    const ol_node *n = ol_ir_node(t, op, in, n_in, &name, 1, attrs, n_attrs);
    if (n) ol_ir_set(t, i, n->outputs[0]);
    return n ? n->outputs[0] : NULL;
}

void ol_ir_set(ol_ir *t, int i, ol_value *v) {
    if (v && i < t->l->n_out) t->l->out[i] = v;
}

ol_value *ol_ir_unary(ol_ir *t, const char *op, ol_value *x) { return ol_ir_op(t, op, &x, 1, NULL, 0); }

ol_value *ol_ir_binary(ol_ir *t, const char *op, ol_value *a, ol_value *b) {
    return ol_ir_op(t, op, (ol_value *[]){a, b}, 2, NULL, 0);
}

ol_value *ol_ir_ints(ol_ir *t, const int64_t *v, int n) {
    if (t->status != OLV_OK) return NULL;
    ol_value *r = ol_graph_add_i64(t->g, NULL, v, n, t->err);
    return r ? r : latch(t);
}

ol_value *ol_ir_int1(ol_ir *t, int64_t v) { return ol_ir_ints(t, &v, 1); }

ol_value *ol_ir_number(ol_ir *t, double v, ol_dtype type) {
    ol_tensor x;
    if (t->status != OLV_OK) return NULL;
    if (type == OL_DTYPE_NONE) type = OL_F32;
    if (ol_tensor_init(&x, type, 0, NULL, t->err) != OLV_OK) return latch(t);
    ol_elem_set(type, x.data, 0, v);
    ol_const *c = ol_const_tensor(&x, t->err);
    ol_tensor_deinit(&x);
    ol_value *r = c ? ol_graph_add_constant(t->g, NULL, c, t->err) : NULL;
    return r ? r : latch(t);
}

ol_value *ol_ir_cast(ol_ir *t, ol_value *v, ol_dtype to) {
    if (!v || t->status != OLV_OK || v->type.dtype == to) return v;
    ol_attr a = ol_attr_int("to", ol_dtype_onnx(to));
    return ol_ir_op(t, "Cast", &v, 1, &a, 1);
}

int ol_ir_value_ints(const ol_value *v, int64_t *out, int max) {
    ol_tensor x;
    if (!v || !v->constant || v->is_input || !strchr("su", ol_dtype_class(v->type.dtype)) ||
        !ol_value_const_tensor(v, (size_t)max * sizeof(int64_t), &x))
        return -1;
    int64_t n = ol_tensor_count(&x);
    if (n > max) n = -1;
    for (int64_t i = 0; i < n; i++) out[i] = x.dtype == OL_I64 ? ((const int64_t *)x.data)[i] : ol_f64_to_i64(ol_elem_get(x.dtype, x.data, (uint64_t)i));
    ol_tensor_deinit(&x);
    return (int)n;
}

int ol_ir_const_ints(ol_ir *t, int i, int64_t *out, int max) { return ol_ir_value_ints(ol_ir_in(t, i), out, max); }

bool ol_ir_const_real(ol_ir *t, int i, double *out) {
    const ol_value *v = ol_ir_in(t, i);
    ol_tensor x;
    if (!v || !v->constant || v->is_input || v->type.dtype == OL_STRING || !ol_value_const_tensor(v, 64, &x)) return false;
    bool one = ol_tensor_count(&x) == 1;
    if (one) *out = ol_elem_get(x.dtype, x.data, 0);
    ol_tensor_deinit(&x);
    return one;
}

ol_value *ol_ir_i64(ol_ir *t, ol_value *v) {
    int64_t n[OL_IR_MAX_INTS];
    if (!v || v->type.dtype == OL_I64) return v;
    int count = v->type.rank <= 1 ? ol_ir_value_ints(v, n, OL_IR_MAX_INTS) : -1;
    return count >= 0 ? ol_ir_ints(t, n, v->type.rank ? count : -1) : ol_ir_cast(t, v, OL_I64);
}

ol_value *ol_ir_vector(ol_ir *t, ol_value *v) {
    int64_t n[OL_IR_MAX_INTS];
    if (!v || t->status != OLV_OK) return NULL;
    int count = v->type.rank == 0 ? ol_ir_value_ints(v, n, 1) : -1;
    if (count == 1) return ol_ir_ints(t, n, 1);
    v = ol_ir_i64(t, v);
    return v && v->type.rank == 1 ? v : ol_ir_binary(t, "Reshape", v, ol_ir_int1(t, -1));
}

ol_value *ol_ir_transpose(ol_ir *t, ol_value *v, const int64_t *perm, int n) {
    ol_attr a = ol_attr_ints("perm", perm, (size_t)n);
    return ol_ir_op(t, "Transpose", &v, 1, &a, 1);
}

ol_value *ol_ir_unsqueeze(ol_ir *t, ol_value *v, int64_t axis) { return ol_ir_binary(t, "Unsqueeze", v, ol_ir_int1(t, axis)); }
ol_value *ol_ir_squeeze(ol_ir *t, ol_value *v, int64_t axis) { return ol_ir_binary(t, "Squeeze", v, ol_ir_int1(t, axis)); }

ol_value *ol_ir_size(ol_ir *t, ol_value *v, int64_t axis) {
    ol_attr a[2] = {ol_attr_int("start", axis), ol_attr_int("end", axis + 1)};
    return ol_ir_op(t, "Shape", &v, 1, a, axis == -1 ? 1 : 2);
}

int ol_ir_rank(ol_ir *t, const ol_value *v) {
    if (v && v->type.rank < 0) ol_ir_fail(t, OLV_UNSUPPORTED, "an input of unknown rank");
    return v && t->status == OLV_OK ? v->type.rank : 0;
}

int64_t ol_ir_axis(ol_ir *t, int i, const ol_value *x) {
    int64_t axis = 0;
    int rank = ol_ir_rank(t, x);
    if (t->status == OLV_OK && ol_ir_const_ints(t, i, &axis, 1) != 1) ol_ir_fail(t, OLV_UNSUPPORTED, "an axis that is no constant");
    if (axis < 0) axis += rank;
    if (t->status == OLV_OK && (axis < 0 || (axis >= rank && axis > 0))) ol_ir_fail(t, OLV_SHAPE, "axis out of range of rank %d", rank);
    return t->status == OLV_OK ? axis : 0;
}

/* ---- attributes ---- */

const char *ol_ir_text(const ol_ir *t, const char *name, const char *def) {
    const char *s = ol_xml_get(t->l->data, name);
    return s ? s : def;
}

bool ol_ir_text_is(const ol_ir *t, const char *name, const char *def, const char *text) { return !strcasecmp(ol_ir_text(t, name, def), text); }

bool ol_ir_flag(ol_ir *t, const char *name, bool def) {
    const char *s = ol_ir_text(t, name, def ? "true" : "false");
    if (!strcasecmp(s, "true") || !strcmp(s, "1")) return true;
    if (strcasecmp(s, "false") && strcmp(s, "0")) ol_ir_fail(t, OLV_FORMAT, "%s=\"%.40s\" found, true or false expected", name, s);
    return false;
}

int64_t ol_ir_attr_int(ol_ir *t, const char *name, int64_t def) {
    const char *s = ol_ir_text(t, name, NULL);
    if (s && !ol_xml_parse_int(s, strlen(s), &def)) ol_ir_fail(t, OLV_FORMAT, "%s=\"%.40s\" found, a number expected", name, s);
    return def;
}

double ol_ir_attr_real(ol_ir *t, const char *name, double def) {
    const char *s = ol_ir_text(t, name, NULL);
    char *end;
    if (!s) return def;
    double v = strtod(s, &end);
    if (end == s || *end) ol_ir_fail(t, OLV_FORMAT, "%s=\"%.40s\" found, a number expected", name, s);
    return v;
}

int ol_ir_attr_ints(ol_ir *t, const char *name, int64_t *out, int max) {
    const char *s = ol_ir_text(t, name, "");
    int n = 0;
    while (*s == ' ') s++;
    while (*s && t->status == OLV_OK) {
        size_t len = strcspn(s, ",");
        if (n == max) ol_ir_fail(t, OLV_LIMIT, "%s with more than %d numbers", name, max);
        else if (!ol_xml_parse_int(s, len, &out[n++])) ol_ir_fail(t, OLV_FORMAT, "%s=\"%.60s\" found, numbers expected", name, s);
        s += len;
        if (*s == ',') s++;
    }
    return t->status == OLV_OK ? n : 0;
}

ol_dtype ol_ir_attr_type(ol_ir *t, const char *name, ol_dtype def) {
    const char *s = ol_ir_text(t, name, NULL);
    const ol_ir_element *e = s ? ol_ir_element_named(s) : NULL;
    if (s && (!e || e->dtype == OL_DTYPE_NONE)) ol_ir_fail(t, OLV_UNSUPPORTED, "%s=\"%.40s\"", name, s);
    return e ? e->dtype : def;
}

ol_dtype ol_ir_out_type(ol_ir *t, int i) {
    const ol_ir_element *e = i < t->l->n_out ? t->l->out_ports[i].element : NULL;
    if (!e) ol_ir_fail(t, OLV_FORMAT, "output %d without a precision", i);
    else if (e->dtype == OL_DTYPE_NONE) ol_ir_fail(t, OLV_UNSUPPORTED, "an output of element type %s", e->name);
    return e ? e->dtype : OL_DTYPE_NONE;
}

/* ---- the tables ---- */

static const ol_ir_operation *find(const char *type) {
    static const ol_ir_operation *const tables[] = {ol_ir_math,  ol_ir_shapes, ol_ir_indexing, ol_ir_filters,
                                                    ol_ir_norms, ol_ir_rnns,   ol_ir_controls, ol_ir_states};
    for (size_t k = 0; k < sizeof tables / sizeof *tables; k++)
        for (const ol_ir_operation *o = tables[k]; o->type; o++)
            if (!strcasecmp(o->type, type)) return o;
    return NULL;
}

void ol_ir_translate(ol_ir *t) {
    ol_value *in[OL_IR_MAX_INTS];
    const ol_ir_operation *o = find(t->l->type);
    if (!o) {
        ol_ir_fail(t, OLV_UNSUPPORTED, "there is no such operation here");
        return;
    }
    if (ol_ir_text_is(t, "auto_broadcast", "numpy", "pdpd")) ol_ir_fail(t, OLV_UNSUPPORTED, "auto_broadcast=\"pdpd\"");
    if (o->run) {
        o->run(t);
    } else if (t->l->n_in > OL_IR_MAX_INTS) {
        ol_ir_fail(t, OLV_LIMIT, "%d inputs", t->l->n_in);
    } else {
        for (int i = 0; i < t->l->n_in; i++) in[i] = ol_ir_need(t, i);
        ol_ir_result(t, 0, o->op, in, t->l->n_in, NULL, 0);
    }
}
