/* SPDX-License-Identifier: Apache-2.0 */
/* Segments of a language model as graphs of their own. */
#include "base/error.h"
#include "compress/calibrate.h"
#include "graph/op.h"
#include <stdio.h>
#include <string.h>

/* Attention without state sees the rows of its own text in this run, which is all there is. */
static olv_status take_states_away(ol_graph *g, olv_error *err) {
    for (ol_node *n = g->first; n; n = n->next)
        for (int a = 0; a < n->n_attrs; a++) {
            if (strcmp(n->attrs[a].name, "state")) continue;
            if (strcmp(n->op->name, "Attention"))
                return ol_fail(err, OLV_UNSUPPORTED, "compression with data does not know recurrent layers (%s) yet; compress without data", n->op->name);
            memmove(&n->attrs[a], &n->attrs[a + 1], (size_t)(n->n_attrs - a - 1) * sizeof n->attrs[0]);
            n->n_attrs--;
            break;
        }
    g->n_states = 0;
    return OLV_OK;
}

static void keep_all_rows(ol_graph *g) {
    const ol_value *rows = ol_graph_find_value(g, "output_rows");
    if (!rows) return;
    for (ol_node *n = g->first; n; n = n->next)
        if (!strcmp(n->op->name, "Gather") && n->inputs[1] == rows) ol_value_replace_uses(n->outputs[0], n->inputs[0]);
}

static void use_sources(ol_graph *g, const ol_compress_plan *plan) {
    for (int i = 0; i < g->n_values; i++) {
        ol_value *v = g->values[i];
        for (size_t k = 0; v && v->constant && k < plan->n; k++) {
            const ol_compress_entry *e = &plan->entries[k];
            if (v->constant != e->result || e->method || e->kept) continue;
            ol_value_set_constant(v, ol_const_retain(e->source));
            break;
        }
    }
}

static void drop_outputs(ol_graph *g) {
    for (int i = 0; i < g->n_outputs; i++) g->outputs[i]->n_uses--;
    g->n_outputs = 0;
}

static olv_status find(const ol_graph *g, const ol_value *v, ol_value **out, olv_error *err) {
    *out = ol_graph_find_value(g, v->name);
    return *out ? OLV_OK : ol_fail(err, OLV_INTERNAL, "value '%s' was lost in a copy of the graph", v->name);
}

static olv_status feed(ol_graph *g, const ol_value *v, int index, int *input, olv_error *err) {
    ol_value *old;
    char name[32];
    OL_TRY(find(g, v, &old, err));
    snprintf(name, sizeof name, "calibration.%d", index);
    ol_value *fresh = ol_graph_add_input(g, name, &old->type, err);
    if (!fresh) return OLV_NOMEM;
    ol_value_replace_uses(old, fresh);
    *input = g->n_inputs - 1;
    return OLV_OK;
}

olv_status ol_calibrate_segment(const ol_graph *g, const ol_compress_plan *plan, const ol_value *const *fed, int n_fed, int *fed_input,
                                const ol_value *const *wanted, int n_wanted, ol_graph **out, olv_error *err) {
    ol_graph *c;
    OL_TRY(ol_graph_clone(g, NULL, &c, err));
    olv_status s = take_states_away(c, err);
    if (s == OLV_OK) {
        use_sources(c, plan);
        keep_all_rows(c);
        s = ol_graph_infer(c, err);
    }
    for (int i = 0; s == OLV_OK && i < n_fed; i++) s = feed(c, fed[i], i, &fed_input[i], err);
    if (s == OLV_OK) drop_outputs(c);
    for (int i = 0; s == OLV_OK && i < n_wanted; i++) {
        ol_value *v;
        s = find(c, wanted[i], &v, err);
        if (s == OLV_OK) s = ol_graph_add_output(c, v, err);
    }
    if (s == OLV_OK) {
        ol_graph_prune(c);
        s = ol_graph_infer(c, err);
    }
    if (s != OLV_OK) ol_graph_destroy(c);
    else *out = c;
    return s;
}
