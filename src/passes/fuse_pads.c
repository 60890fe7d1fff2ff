/* SPDX-License-Identifier: Apache-2.0 */
/* A Pad with zeros before a Conv becomes part of the convolution's own pads. */
#include "base/error.h"
#include "passes/passes.h"

/* The pads of a Pad node that fills with zeros along the dims from 2 on alone; their number is 2 (rank - 2). */
static bool zero_pads(const ol_node *n, int64_t *pads) {
    int rank = n->inputs[0]->type.rank;
    ol_tensor t;
    bool good;
    if (rank < 3 || n->n_inputs < 2 || (n->n_inputs > 3 && n->inputs[3]) || !ol_str_is(ol_node_string(n, "mode", "constant"), "constant")) return false;
    if (n->n_inputs > 2 && n->inputs[2]) {
        if (n->inputs[2]->is_input || !ol_value_const_tensor(n->inputs[2], 64, &t)) return false;
        good = ol_tensor_count(&t) == 1 && ol_elem_get(t.dtype, t.data, 0) == 0;
        ol_tensor_deinit(&t);
        if (!good) return false;
    }
    if (!n->inputs[1] || n->inputs[1]->is_input || !ol_value_const_tensor(n->inputs[1], 64 * 8, &t)) return false;
    good = t.dtype == OL_I64 && ol_tensor_count(&t) == 2 * rank;
    for (int i = 0; good && i < 2 * rank; i++) {
        int64_t v = ((const int64_t *)t.data)[i];
        int axis = i % rank;
        good = v >= 0 && (axis >= 2 || v == 0);
        if (good && axis >= 2) pads[(i < rank ? 0 : rank - 2) + axis - 2] = v;
    }
    ol_tensor_deinit(&t);
    return good;
}

static olv_status fuse(ol_graph *g, ol_node *pad, ol_node *conv, int64_t *pads, olv_error *err) {
    size_t n = 0, want = 2 * (size_t)(pad->inputs[0]->type.rank - 2);
    const int64_t *own = ol_node_ints(conv, "pads", &n);
    ol_attr *attrs = ol_arena_calloc(g->arena, (size_t)conv->n_attrs + 1, sizeof *attrs);
    ol_value **in = ol_arena_calloc(g->arena, (size_t)conv->n_inputs + 1, sizeof *in);
    int count = 0;
    if (!attrs || !in) return ol_fail(err, OLV_NOMEM, "no memory to fuse a pad");
    for (size_t i = 0; own && n == want && i < n; i++) pads[i] += own[i];
    for (int i = 0; i < conv->n_attrs; i++)
        if (strcmp(conv->attrs[i].name, "pads") && strcmp(conv->attrs[i].name, "auto_pad")) attrs[count++] = conv->attrs[i];
    attrs[count++] = ol_attr_ints("pads", pads, want);
    memcpy(in, conv->inputs, (size_t)conv->n_inputs * sizeof *in);
    in[0] = pad->inputs[0];
    ol_node *m = ol_graph_add_node(g, conv, conv->op, conv->name, in, conv->n_inputs, NULL, 1, attrs, count, err);
    if (!m) return err ? err->status : OLV_NOMEM;
    ol_value_supersede(conv->outputs[0], m->outputs[0]);
    ol_graph_remove_node(g, conv);
    return OLV_OK;
}

static olv_status run(ol_graph *g, bool *changed, olv_error *err) {
    for (ol_node *n = g->first; n; n = n->next) {
        int64_t pads[2 * OL_MAX_RANK] = {0};
        if (*n->op->domain || strcmp(n->op->name, "Pad") || !zero_pads(n, pads)) continue;
        ol_node *conv = ol_value_only_user(n->outputs[0]);
        if (!conv || conv->graph != g || *conv->op->domain || strcmp(conv->op->name, "Conv") || conv->inputs[0] != n->outputs[0]) continue;
        ol_str how = ol_node_string(conv, "auto_pad", "NOTSET");
        if (!ol_str_is(how, "NOTSET") && !ol_str_is(how, "VALID")) continue;
        OL_TRY(fuse(g, n, conv, pads, err));
        *changed = true;
    }
    return OLV_OK;
}

extern const ol_pass ol_pass_fuse_pads;
const ol_pass ol_pass_fuse_pads = {"fuse-pads", "Pad with zeros into the pads of Conv", run};
