/* SPDX-License-Identifier: Apache-2.0 */
#include "compress/plan.h"
#include "base/alloc.h"
#include "base/error.h"
#include <string.h>

void ol_compress_plan_deinit(ol_compress_plan *p) {
    for (size_t i = 0; i < p->n; i++) {
        ol_free(p->entries[i].name);
        ol_const_release(p->entries[i].source);
        ol_const_release(p->entries[i].result);
    }
    ol_free(p->entries);
    *p = (ol_compress_plan){NULL, 0};
}

ol_compress_entry *ol_compress_plan_find(const ol_compress_plan *p, const char *name) {
    for (size_t i = 0; i < p->n; i++)
        if (p->entries[i].name && !strcmp(p->entries[i].name, name)) return &p->entries[i];
    return NULL;
}

static double bits_of(const ol_const *c) {
    const ol_qconst *q = ol_const_quant_form(c);
    return q ? ol_qconst_bits(q) : ol_dtype_bits(ol_const_dtype(c));
}

/* Subgraphs see the constants of the graph around them as values of their own. */
static void put_in_graph(ol_graph *g, const ol_const *old, ol_const *made, int depth) {
    for (int i = 0; i < g->n_values; i++) {
        ol_value *v = g->values[i];
        if (v && v->constant == old) ol_value_set_constant(v, ol_const_retain(made));
    }
    for (ol_node *n = g->first; n && depth < 32; n = n->next)
        for (int a = 0; a < n->n_attrs; a++) {
            const ol_attr *at = &n->attrs[a];
            if (at->type == OL_ATTR_GRAPH) put_in_graph(at->v.graph, old, made, depth + 1);
            for (size_t i = 0; at->type == OL_ATTR_GRAPHS && i < at->count; i++) put_in_graph(at->v.graphs[i], old, made, depth + 1);
        }
}

/* Takes `made`. */
static void set_result(ol_graph *g, ol_compress_entry *e, ol_const *made) {
    put_in_graph(g, e->result, made, 0);
    ol_const_release(e->result);
    e->result = made;
    e->bits_after = bits_of(made);
    e->method = NULL;
}

olv_status ol_compress_decide(ol_graph *g, ol_compress_entry *e, const olv_weight_spec *spec, uint64_t cpu, olv_error *err) {
    ol_const *made = ol_compress_const(e->source, spec, cpu, err);
    if (!made) return ol_error_at(err, "%s", e->name);
    set_result(g, e, made);
    e->spec = *spec;
    return OLV_OK;
}

static bool same_form(const ol_qconst *a, const ol_qconst *b) {
    return a->code == b->code && a->rows == b->rows && a->k == b->k && a->group == b->group && a->scale_dtype == b->scale_dtype &&
           a->zero_dtype == b->zero_dtype && !a->perm && !a->input_scale && a->min_dtype == OL_DTYPE_NONE;
}

olv_status ol_compress_give(ol_graph *g, ol_compress_entry *e, ol_const *made, const char *method, double error, double energy,
                            olv_error *err) {
    ol_qconst want = ol_compress_form(&e->spec, e->rows, e->k);
    const ol_qconst *have = ol_const_quant_form(made);
    if (e->kept || !have || !same_form(have, &want)) return ol_fail(err, OLV_INTERNAL, "%s: codes of another form than planned", e->name);
    set_result(g, e, ol_const_retain(made));
    e->method = method;
    e->error = error;
    e->energy = energy;
    return OLV_OK;
}

olv_status ol_compress_rescale(ol_graph *g, ol_compress_entry *e, ol_const *source, uint64_t cpu, olv_error *err) {
    if (ol_const_rows(source) != e->rows || ol_const_width(source) != e->k)
        return ol_fail(err, OLV_INTERNAL, "%s: weights of another shape than planned", e->name);
    ol_const_retain(source);
    ol_const_release(e->source);
    e->source = source;
    return ol_compress_decide(g, e, &e->spec, cpu, err);
}

bool ol_compress_entry_stats(const ol_compress_entry *e, double *error, double *energy) {
    ol_compress_stats s;
    if (e->method) {
        *error = e->error;
        *energy = e->energy;
        return true;
    }
    if (!e->result || !ol_compress_const_stats(e->result, &s) || s.rows_done != s.rows) return false;
    *error = s.error;
    *energy = s.energy;
    return true;
}
