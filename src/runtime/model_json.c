/* SPDX-License-Identifier: Apache-2.0 */
/* Models as JSON: what is in them, and their graphs. */
#include "runtime/model_json.h"
#include "base/alloc.h"
#include "base/error.h"
#include "runtime/core.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

static void put_port(ol_buf *b, const ol_graph *g, const ol_value *v) {
    static const char *const kinds[] = {"tensor", "sequence", "optional"};
    ol_buf_puts(b, "{\"name\": ");
    ol_buf_json_string(b, v->name, strlen(v->name));
    ol_buf_printf(b, ", \"kind\": \"%s\", \"type\": \"%s\"", kinds[v->type.kind], ol_dtype_name(v->type.dtype));
    if (v->type.rank >= 0) {
        ol_buf_puts(b, ", \"shape\": [");
        for (int i = 0; i < v->type.rank; i++) {
            char d[96];
            ol_dim_format(g->dims, v->type.dims[i], d, sizeof d);
            if (i) ol_buf_puts(b, ", ");
            if (ol_dim_known(v->type.dims[i])) ol_buf_puts(b, d);
            else ol_buf_json_string(b, d, strlen(d));
        }
        ol_buf_putc(b, ']');
    }
    ol_buf_puts(b, !v->constant ? "}" : v->is_input ? ", \"default\": true}" : ", \"constant\": true}");
}

static void put_ports(ol_buf *b, const char *key, const ol_graph *g, ol_value *const *v, int n) {
    ol_buf_printf(b, "\"%s\": [", key);
    for (int i = 0; i < n; i++) {
        if (i) ol_buf_puts(b, ", ");
        put_port(b, g, v[i]);
    }
    ol_buf_puts(b, "],\n ");
}

static int by_domain_and_name(const void *a, const void *b) {
    const ol_op *x = *(const ol_op *const *)a, *y = *(const ol_op *const *)b;
    int d = strcmp(x->domain, y->domain);
    return d ? d : strcmp(x->name, y->name);
}

static bool put_operators(ol_buf *b, const ol_graph *g) {
    const ol_op **ops = ol_calloc((size_t)g->n_nodes + 1, sizeof *ops);
    int n = 0;
    if (!ops) return false;
    for (const ol_node *m = g->first; m; m = m->next) ops[n++] = m->op;
    qsort(ops, (size_t)n, sizeof *ops, by_domain_and_name);
    ol_buf_puts(b, "\"operators\": {");
    for (int i = 0, k; i < n; i = k) {
        for (k = i; k < n && ops[k] == ops[i];) k++;
        ol_buf_printf(b, "%s\"%s%s%s\": %d", i ? ", " : "", ops[i]->domain, *ops[i]->domain ? "." : "", ops[i]->name, k - i);
    }
    ol_buf_puts(b, "},\n ");
    ol_free(ops);
    return true;
}

static void put_weights(ol_buf *b, const ol_graph *g) {
    uint64_t elements[OL_N_DTYPES] = {0}, bytes[OL_N_DTYPES] = {0}, all = 0;
    for (int i = 0; i < g->n_values; i++) {
        const ol_const *c = g->values[i]->constant;
        size_t size;
        if (!c) continue;
        ol_dtype t = ol_const_dtype(c);
        uint64_t n = (uint64_t)ol_const_rows(c) * (uint64_t)ol_const_width(c);
        elements[t] += n;
        if (ol_dtype_bytes(t, n, &size)) bytes[t] += size;
        all += n;
    }
    ol_buf_puts(b, "\"weights\": {");
    bool first = true;
    for (int t = 1; t < OL_N_DTYPES; t++) {
        if (!elements[t]) continue;
        ol_buf_printf(b, "%s\"%s\": {\"elements\": %llu, \"bytes\": %llu}", first ? "" : ", ", ol_dtype_name((ol_dtype)t),
                      (unsigned long long)elements[t], (unsigned long long)bytes[t]);
        first = false;
    }
    ol_buf_printf(b, "},\n \"parameters\": %llu}\n", (unsigned long long)all);
}

olv_status olv_model_describe(const olv_model *m, char **json, olv_error *err) {
    const ol_graph *g = m->graph;
    ol_buf b = OL_BUF_INIT;
    ol_buf_puts(&b, "{\"name\": ");
    ol_buf_json_string(&b, g->name, strlen(g->name));
    ol_buf_puts(&b, ",\n \"metadata\": {");
    for (int i = 0; i < g->n_meta; i++) {
        if (i) ol_buf_puts(&b, ", ");
        ol_buf_json_string(&b, g->meta_keys[i], strlen(g->meta_keys[i]));
        ol_buf_puts(&b, ": ");
        ol_buf_json_string(&b, g->meta_values[i], strlen(g->meta_values[i]));
    }
    ol_buf_puts(&b, "},\n ");
    put_ports(&b, "inputs", g, g->inputs, g->n_inputs);
    put_ports(&b, "outputs", g, g->outputs, g->n_outputs);
    ol_buf_printf(&b, "\"nodes\": %d,\n ", g->n_nodes);
    b.failed |= !put_operators(&b, g);
    put_weights(&b, g);
    *json = ol_buf_take(&b, NULL);
    ol_buf_deinit(&b);
    return *json ? OLV_OK : ol_fail(err, OLV_NOMEM, "no memory to describe a model");
}

/* ---- graphs ---- */

static void put_string(ol_buf *b, const char *s) { ol_buf_json_string(b, s, strlen(s)); }

static void put_real(ol_buf *b, double v) {
    if (isfinite(v)) ol_buf_printf(b, "%.9g", v);
    else ol_buf_puts(b, isnan(v) ? "\"nan\"" : v > 0 ? "\"inf\"" : "\"-inf\"");
}

static void put_constant_type(ol_buf *b, const ol_const *c) {
    ol_buf_printf(b, "\"%s[", ol_dtype_name(ol_const_dtype(c)));
    for (int i = 0; i < ol_const_rank(c); i++) ol_buf_printf(b, "%s%lld", i ? "," : "", (long long)ol_const_dims(c)[i]);
    ol_buf_puts(b, "]\"");
}

static void put_attribute_item(ol_buf *b, const ol_attr *a, size_t i) {
    switch (a->type) {
    case OL_ATTR_INT: ol_buf_printf(b, "%lld", (long long)a->v.i); break;
    case OL_ATTR_INTS: ol_buf_printf(b, "%lld", (long long)a->v.ints[i]); break;
    case OL_ATTR_FLOAT: put_real(b, (double)a->v.f); break;
    case OL_ATTR_FLOATS: put_real(b, (double)a->v.floats[i]); break;
    case OL_ATTR_STRING: ol_buf_json_string(b, a->v.s.ptr, a->v.s.len); break;
    case OL_ATTR_STRINGS: ol_buf_json_string(b, a->v.strings[i].ptr, a->v.strings[i].len); break;
    case OL_ATTR_TENSOR: put_constant_type(b, a->v.tensor); break;
    case OL_ATTR_TENSORS: put_constant_type(b, a->v.tensors[i]); break;
    case OL_ATTR_GRAPH: ol_graph_write_json(a->v.graph, b); break;
    case OL_ATTR_GRAPHS: ol_graph_write_json(a->v.graphs[i], b); break;
    case OL_ATTR_TYPE: ol_buf_printf(b, "\"%s\"", ol_dtype_name(a->v.type_proto->dtype)); break;
    }
}

static void put_attributes(ol_buf *b, const ol_node *n) {
    ol_buf_puts(b, "{");
    for (int i = 0; i < n->n_attrs; i++) {
        const ol_attr *a = &n->attrs[i];
        bool list = a->type >= OL_ATTR_INTS && a->type <= OL_ATTR_GRAPHS;
        if (i) ol_buf_puts(b, ", ");
        put_string(b, a->name);
        ol_buf_puts(b, list ? ": [" : ": ");
        for (size_t k = 0; k < a->count; k++) {
            if (k) ol_buf_puts(b, ", ");
            put_attribute_item(b, a, k);
        }
        if (list) ol_buf_puts(b, "]");
    }
    ol_buf_puts(b, "}");
}

static void put_names(ol_buf *b, const char *key, ol_value *const *v, int n) {
    ol_buf_printf(b, ", \"%s\": [", key);
    for (int i = 0; i < n; i++) {
        if (i) ol_buf_puts(b, ", ");
        put_string(b, v[i] ? v[i]->name : "");
    }
    ol_buf_puts(b, "]");
}

static void put_node(ol_buf *b, const ol_node *n) {
    ol_buf_puts(b, "{\"name\": ");
    put_string(b, n->name);
    ol_buf_puts(b, ", \"op\": ");
    put_string(b, n->op->name);
    if (*n->op->domain) {
        ol_buf_puts(b, ", \"domain\": ");
        put_string(b, n->op->domain);
    }
    put_names(b, "inputs", n->inputs, n->n_inputs);
    put_names(b, "outputs", n->outputs, n->n_outputs);
    ol_buf_puts(b, ", \"attributes\": ");
    put_attributes(b, n);
    ol_buf_puts(b, "}");
}

void ol_graph_write_json(const ol_graph *g, ol_buf *b) {
    ol_buf_puts(b, "{\"name\": ");
    put_string(b, g->name);
    put_names(b, "inputs", g->inputs, g->n_inputs);
    put_names(b, "outputs", g->outputs, g->n_outputs);
    ol_buf_puts(b, ",\n \"values\": [");
    for (int i = 0, n = 0; i < g->n_values; i++) {
        const ol_value *v = g->values[i];
        if (!v->is_input && !v->producer && !v->constant) continue;
        ol_buf_puts(b, n++ ? ",\n  " : "\n  ");
        put_port(b, g, v);
    }
    ol_buf_puts(b, "],\n \"nodes\": [");
    for (const ol_node *n = g->first; n; n = n->next) {
        ol_buf_puts(b, n == g->first ? "\n  " : ",\n  ");
        put_node(b, n);
    }
    ol_buf_puts(b, "]}");
}
