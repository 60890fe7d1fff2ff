/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/states.h"
#include "base/alloc.h"
#include "base/error.h"
#include "formats/openvino/openvino.h"

int ol_states_count(const ol_graph *g) {
    const char *list = ol_graph_get_meta(g, "states"), *at = list;
    int n = list && *list ? 1 : 0;
    for (; at && *at; at++) n += *at == '\n';
    if (!n || n + 1 > g->n_inputs || n > g->n_outputs || strcmp(g->inputs[g->n_inputs - n - 1]->name, OL_IR_FRESH)) return 0;
    at = list;
    for (int i = 0; i < n; i++) {
        size_t len = strcspn(at, "\n");
        const char *name = g->inputs[g->n_inputs - n + i]->name;
        if (strlen(name) != len || memcmp(name, at, len)) return 0;
        at += len + (at[len] != 0);
    }
    return n;
}

size_t ol_states_visible_inputs(const ol_graph *g) {
    int n = ol_states_count(g);
    return (size_t)(g->n_inputs - n - (n > 0));
}

size_t ol_states_visible_outputs(const ol_graph *g) { return (size_t)(g->n_outputs - ol_states_count(g)); }

olv_status ol_states_init(ol_states *s, const ol_graph *g, olv_error *err) {
    *s = (ol_states){.graph = g, .n = ol_states_count(g)};
    s->first_input = g->n_inputs - s->n;
    s->first_output = g->n_outputs - s->n;
    s->held = ol_calloc((size_t)s->n + 1, sizeof *s->held);
    if (!s->held) return ol_fail(err, OLV_NOMEM, "no memory for states");
    return ol_states_reset(s, err);
}

static void drop(ol_states *s) {
    for (int i = 0; s->held && i < s->n; i++) {
        ol_datum_deinit(&s->held[i]);
        s->held[i] = (ol_datum){.kind = OL_VALUE_TENSOR};
    }
}

void ol_states_deinit(ol_states *s) {
    drop(s);
    ol_free(s->held);
    s->held = NULL;
}

/* Stands for a state that is not there yet: the smallest tensor of its type. */
olv_status ol_states_reset(ol_states *s, olv_error *err) {
    drop(s);
    s->begun = false;
    for (int i = 0; i < s->n; i++) {
        const ol_type *t = &s->graph->inputs[s->first_input + i]->type;
        int64_t dims[OL_MAX_RANK] = {0};
        for (int d = 0; d < t->rank; d++) dims[d] = ol_dim_known(t->dims[d]) ? t->dims[d] : 0;
        OL_TRY(ol_tensor_init(&s->held[i].tensor, t->dtype, t->rank < 0 ? 0 : t->rank, dims, err));
        s->held[i].present = true;
    }
    return OLV_OK;
}

void ol_states_begin(ol_states *s) {
    s->fresh_data = !s->begun;
    s->fresh = (ol_datum){.kind = OL_VALUE_TENSOR, .present = true, .tensor = {.dtype = OL_BOOL, .data = &s->fresh_data, .bytes = 1}};
}

olv_status ol_states_keep(ol_states *s, const ol_datum *const *outputs, olv_error *err) {
    for (int i = 0; i < s->n; i++) {
        ol_datum copy;
        OL_TRY(ol_datum_copy(&copy, outputs[i], err));
        ol_datum_deinit(&s->held[i]);
        s->held[i] = copy;
    }
    s->begun = true;
    return OLV_OK;
}
