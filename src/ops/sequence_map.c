/* SPDX-License-Identifier: Apache-2.0 */
/* SequenceMap: a subgraph over the items of a sequence. Further inputs are sequences of the same
 * length, of which it gets the item at the same place, or tensors, which it gets whole. */
#include "ops/sequence.h"

static olv_status one_item(ol_eval *c, ol_graph *body, size_t i, const ol_datum **in, ol_datum *out,
                           olv_error *err) {
    for (int k = 0; k < c->node->n_inputs; k++) {
        in[k] = c->in[k];
        if (in[k]->kind == OL_VALUE_SEQUENCE) in[k] = &in[k]->items[i];
    }
    OL_TRY(c->run_graph(c, body, in, c->node->n_inputs, out, body->n_outputs, err));
    olv_status s = OLV_OK;
    for (int k = 0; k < body->n_outputs; k++) {
        if (s == OLV_OK && k < c->node->n_outputs) s = ol_datum_append(&c->out[k], &out[k], err);
        ol_datum_deinit(&out[k]);
    }
    return s;
}

static olv_status check(const ol_eval *c, const ol_graph *body, olv_error *err) {
    if (!c->run_graph) return ol_fail(err, OLV_UNSUPPORTED, "subgraphs");
    for (int k = 0; k < c->node->n_inputs; k++) {
        const ol_datum *d = c->in[k];
        if (!d || (k == 0 && d->kind != OL_VALUE_SEQUENCE))
            return ol_fail(err, OLV_ARG, "input %d is missing or no sequence", k);
        if (d->kind == OL_VALUE_SEQUENCE && d->n_items < c->in[0]->n_items)
            return ol_fail(err, OLV_SHAPE, "sequences of %zu and %zu items", c->in[0]->n_items, d->n_items);
    }
    if (body->n_outputs < c->node->n_outputs)
        return ol_fail(err, OLV_SHAPE, "body with %d outputs, %d expected", body->n_outputs, c->node->n_outputs);
    return OLV_OK;
}

static olv_status eval(ol_eval *c, olv_error *err) {
    ol_graph *body = ol_node_attr(c->node, "body")->v.graph;
    OL_TRY(check(c, body, err));
    const ol_datum **in = ol_calloc((size_t)c->node->n_inputs + 1, sizeof *in);
    ol_datum *out = ol_calloc((size_t)body->n_outputs + 1, sizeof *out);
    olv_status s = in && out ? OLV_OK : ol_fail(err, OLV_NOMEM, "no memory");
    for (int k = 0; k < c->node->n_outputs; k++) ol_sequence_start(&c->out[k]);
    for (size_t i = 0; s == OLV_OK && i < c->in[0]->n_items; i++) s = one_item(c, body, i, in, out, err);
    ol_free(in);
    ol_free(out);
    return s;
}

static olv_status infer(ol_infer *c, olv_error *err) {
    ol_graph *body = ol_node_attr(c->node, "body")->v.graph;
    if (body->n_inputs != c->node->n_inputs || body->n_outputs < c->node->n_outputs)
        return ol_fail(err, OLV_SHAPE, "body with %d inputs and %d outputs", body->n_inputs, body->n_outputs);
    bool news = false;
    for (int i = 0; i < c->node->n_inputs; i++) {
        const ol_type *x = ol_infer_in(c, i);
        ol_type t = x ? *x : (ol_type){.rank = -1};
        if (t.kind == OL_VALUE_SEQUENCE) t.kind = OL_VALUE_TENSOR;
        ol_infer_give(body, i, &t, true, &news);
    }
    if (news) OL_TRY(ol_graph_infer(body, err));
    for (int i = 0; i < c->node->n_outputs; i++) {
        c->out[i] = body->outputs[i]->type;
        c->out[i].kind = OL_VALUE_SEQUENCE;
    }
    return OLV_OK;
}

static const ol_attr_spec attrs[] = {{"body", OL_ATTR_GRAPH, true}};
extern const ol_op ol_op_SequenceMap;
const ol_op ol_op_SequenceMap = {.domain = "", .name = "SequenceMap",
                                 .summary = "a subgraph over the items of sequences",
                                 .min_inputs = 1, .max_inputs = -1, .min_outputs = 1,
                                 .max_outputs = -1, OL_ATTRS(attrs), .infer = infer, .eval = eval};
