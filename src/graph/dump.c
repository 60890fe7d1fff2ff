/* SPDX-License-Identifier: Apache-2.0 */
/* The text form of graphs: docs/graph-text.md. */
#include "base/alloc.h"
#include "base/hash.h"
#include "graph/private.h"
#include <math.h>
#include <stdio.h>

#define MAX_SHOWN 64 /* elements of a constant that are written out */

static bool is_bare(const char *s) {
    if (!*s || (*s >= '0' && *s <= '9') || !strcmp(s, "_")) return false;
    for (; *s; s++)
        if (!((*s >= 'a' && *s <= 'z') || (*s >= 'A' && *s <= 'Z') || (*s >= '0' && *s <= '9') || *s == '_' || *s == '.'))
            return false;
    return true;
}

static void put_name(ol_buf *b, const char *s) {
    if (is_bare(s)) ol_buf_puts(b, s);
    else ol_buf_json_string(b, s, strlen(s));
}

static void put_type(ol_buf *b, const ol_graph *g, const ol_type *t) {
    if (t->kind == OL_VALUE_SEQUENCE) ol_buf_puts(b, "seq ");
    if (t->kind == OL_VALUE_OPTIONAL) ol_buf_puts(b, t->sequence_inside ? "opt seq " : "opt ");
    ol_buf_puts(b, ol_dtype_name(t->dtype));
    if (t->rank < 0) {
        ol_buf_puts(b, "[*]");
        return;
    }
    ol_buf_putc(b, '[');
    for (int i = 0; i < t->rank; i++) {
        char text[256];
        ol_dim_format(g->dims, t->dims[i], text, sizeof text);
        ol_buf_printf(b, "%s%s", i ? ", " : "", text);
    }
    ol_buf_putc(b, ']');
}

static void put_float(ol_buf *b, double v, int digits) {
    if (isnan(v)) ol_buf_puts(b, "nan");
    else if (isinf(v)) ol_buf_puts(b, v < 0 ? "-inf" : "inf");
    else {
        char text[48];
        snprintf(text, sizeof text, "%.*g", digits, v);
        ol_buf_puts(b, text);
        if (!strpbrk(text, ".e")) ol_buf_puts(b, ".0");
    }
}

static void put_element(ol_buf *b, const ol_tensor *t, uint64_t i) {
    switch (ol_dtype_class(t->dtype)) {
    case 'z': {
        const ol_str *s = (const ol_str *)t->data + i;
        ol_buf_json_string(b, s->ptr, s->len);
        break;
    }
    case 'f': put_float(b, ol_elem_get(t->dtype, t->data, i), t->dtype == OL_F64 ? 17 : 9); break;
    case 'c': {
        bool wide = t->dtype == OL_C128;
        for (uint64_t k = 2 * i; k < 2 * i + 2; k++) {
            if (k & 1) ol_buf_puts(b, ", ");
            put_float(b, wide ? ((const double *)t->data)[k] : (double)((const float *)t->data)[k], wide ? 17 : 9);
        }
        break;
    }
    default:
        if (t->dtype == OL_I64) ol_buf_printf(b, "%lld", (long long)((const int64_t *)t->data)[i]);
        else if (t->dtype == OL_U64) ol_buf_printf(b, "%llu", (unsigned long long)((const uint64_t *)t->data)[i]);
        else ol_buf_printf(b, "%.0f", ol_elem_get(t->dtype, t->data, i));
    }
}

/* Hash over the values of a constant, by rows: never holds it whole. */
static uint64_t hash_const(const ol_const *c) {
    size_t bytes;
    const void *p = ol_const_data(c, &bytes);
    if (p) return ol_hash64(p, bytes, 0);
    uint64_t h = 0;
    size_t width = (size_t)ol_const_width(c);
    float *row = ol_alloc(width * sizeof *row);
    for (int64_t r = 0; row && r < ol_const_rows(c); r++)
        if (ol_const_rows_f32(c, r, 1, row, NULL) == OLV_OK) h = ol_hash64(row, width * sizeof *row, h);
    ol_free(row);
    return h;
}

static void put_const(ol_buf *b, const ol_graph *g, const ol_const *c) {
    ol_type t = {.dtype = ol_const_dtype(c), .rank = ol_const_rank(c)};
    for (int i = 0; i < t.rank; i++) t.dims[i] = ol_const_dims(c)[i];
    put_type(b, g, &t);
    ol_tensor x;
    int64_t rows = ol_const_rows(c), width = ol_const_width(c);
    bool is_small = rows <= MAX_SHOWN && width <= MAX_SHOWN && rows * width <= MAX_SHOWN;
    if (is_small && !ol_const_quant_form(c) && ol_const_materialize(c, 1 << 16, &x, NULL) == OLV_OK) {
        int64_t n = ol_tensor_count(&x);
        ol_buf_puts(b, " {");
        for (int64_t i = 0; i < n; i++) {
            if (i) ol_buf_puts(b, ", ");
            put_element(b, &x, (uint64_t)i);
        }
        ol_buf_putc(b, '}');
        ol_tensor_deinit(&x);
        return;
    }
    if (ol_const_quant_form(c)) {
        char text[64];
        ol_qconst_describe(ol_const_quant_form(c), text, sizeof text);
        ol_buf_puts(b, " quant ");
        ol_buf_json_string(b, text, strlen(text));
    }
    ol_buf_printf(b, " hash %016llx", (unsigned long long)hash_const(c));
}

static void indent(ol_buf *b, int depth) {
    for (int i = 0; i < depth; i++) ol_buf_puts(b, "  ");
}

static void put_graph(ol_buf *b, const ol_graph *g, int depth);

static void put_attr_item(ol_buf *b, const ol_graph *g, const ol_attr *a, size_t i, int depth) {
    switch (a->type) {
    case OL_ATTR_INT: ol_buf_printf(b, "%lld", (long long)a->v.i); break;
    case OL_ATTR_FLOAT: put_float(b, (double)a->v.f, 9); break;
    case OL_ATTR_STRING: ol_buf_json_string(b, a->v.s.ptr, a->v.s.len); break;
    case OL_ATTR_TENSOR: put_const(b, g, a->v.tensor); break;
    case OL_ATTR_GRAPH: put_graph(b, a->v.graph, depth); break;
    case OL_ATTR_INTS: ol_buf_printf(b, "%lld", (long long)a->v.ints[i]); break;
    case OL_ATTR_FLOATS: put_float(b, (double)a->v.floats[i], 9); break;
    case OL_ATTR_STRINGS: ol_buf_json_string(b, a->v.strings[i].ptr, a->v.strings[i].len); break;
    case OL_ATTR_TENSORS: put_const(b, g, a->v.tensors[i]); break;
    case OL_ATTR_GRAPHS: put_graph(b, a->v.graphs[i], depth); break;
    case OL_ATTR_TYPE: put_type(b, g, a->v.type_proto); break;
    }
}

static void put_attr(ol_buf *b, const ol_graph *g, const ol_attr *a, int depth) {
    static const char *const words[] = {[OL_ATTR_TENSOR] = "tensor ", [OL_ATTR_TYPE] = "type ",
                                        [OL_ATTR_INTS] = "ints", [OL_ATTR_FLOATS] = "floats",
                                        [OL_ATTR_STRINGS] = "strings", [OL_ATTR_TENSORS] = "tensors",
                                        [OL_ATTR_GRAPHS] = "graphs"};
    ol_buf_putc(b, ' ');
    put_name(b, a->name);
    ol_buf_putc(b, '=');
    const char *w = (size_t)a->type < sizeof words / sizeof *words ? words[a->type] : NULL;
    if (w) ol_buf_puts(b, w);
    bool is_list = a->type >= OL_ATTR_INTS && a->type <= OL_ATTR_GRAPHS;
    if (!is_list) {
        put_attr_item(b, g, a, 0, depth);
        return;
    }
    ol_buf_putc(b, '[');
    for (size_t i = 0; i < a->count; i++) {
        if (i) ol_buf_puts(b, ", ");
        put_attr_item(b, g, a, i, depth);
    }
    ol_buf_putc(b, ']');
}

static void put_node(ol_buf *b, const ol_graph *g, const ol_node *n, int depth) {
    indent(b, depth);
    for (int i = 0; i < n->n_outputs; i++) {
        if (i) ol_buf_puts(b, ", ");
        if (!n->outputs[i]) {
            ol_buf_putc(b, '_');
            continue;
        }
        put_name(b, n->outputs[i]->name);
        ol_buf_puts(b, ": ");
        put_type(b, g, &n->outputs[i]->type);
    }
    ol_buf_puts(b, n->n_outputs ? " = " : "= ");
    if (n->op->domain[0]) ol_buf_printf(b, "%s::", n->op->domain);
    ol_buf_printf(b, "%s(", n->op->name);
    for (int i = 0; i < n->n_inputs; i++) {
        if (i) ol_buf_puts(b, ", ");
        if (n->inputs[i]) put_name(b, n->inputs[i]->name);
        else ol_buf_putc(b, '_');
    }
    ol_buf_putc(b, ')');
    for (int i = 0; i < n->n_attrs; i++) put_attr(b, g, &n->attrs[i], depth);
    ol_buf_puts(b, " @");
    put_name(b, n->name);
    ol_buf_putc(b, '\n');
}

static void put_state(ol_buf *b, const ol_state_decl *s, int depth) {
    static const char *const kinds[] = {"kv", "fixed", "once"};
    indent(b, depth);
    ol_buf_puts(b, "state ");
    put_name(b, s->name);
    ol_buf_printf(b, " %s heads=%d k=%d v=%d window=%lld elements=%lld\n", kinds[s->kind], s->kv_heads, s->k_dim,
                  s->v_dim, (long long)s->window, (long long)s->elements);
}

static void put_graph(ol_buf *b, const ol_graph *g, int depth) {
    ol_buf_puts(b, "graph ");
    ol_buf_json_string(b, g->name, strlen(g->name));
    ol_buf_puts(b, " {\n");
    for (int i = 0; i < g->n_meta; i++) {
        indent(b, depth + 1);
        ol_buf_puts(b, "meta ");
        ol_buf_json_string(b, g->meta_keys[i], strlen(g->meta_keys[i]));
        ol_buf_puts(b, " = ");
        ol_buf_json_string(b, g->meta_values[i], strlen(g->meta_values[i]));
        ol_buf_putc(b, '\n');
    }
    for (int i = 0; i < g->n_states; i++) put_state(b, &g->states[i], depth + 1);
    for (int i = 0; i < g->n_inputs; i++) {
        const ol_value *v = g->inputs[i];
        indent(b, depth + 1);
        ol_buf_puts(b, "input ");
        put_name(b, v->name);
        ol_buf_puts(b, ": ");
        put_type(b, g, &v->type);
        if (v->constant) {
            ol_buf_puts(b, " = ");
            put_const(b, g, v->constant);
        }
        ol_buf_putc(b, '\n');
    }
    for (int i = 0; i < g->n_values; i++) {
        const ol_value *v = g->values[i];
        if (v->producer || v->is_input || !v->constant) continue;
        indent(b, depth + 1);
        ol_buf_puts(b, "const ");
        put_name(b, v->name);
        ol_buf_puts(b, ": ");
        put_const(b, g, v->constant);
        ol_buf_putc(b, '\n');
    }
    for (const ol_node *n = g->first; n; n = n->next) put_node(b, g, n, depth + 1);
    for (int i = 0; i < g->n_outputs; i++) {
        indent(b, depth + 1);
        ol_buf_puts(b, "output ");
        put_name(b, g->outputs[i]->name);
        ol_buf_putc(b, '\n');
    }
    indent(b, depth);
    ol_buf_putc(b, '}');
}

void ol_graph_dump(const ol_graph *g, ol_buf *out) {
    put_graph(out, g, 0);
    ol_buf_putc(out, '\n');
}
