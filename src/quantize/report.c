/* SPDX-License-Identifier: Apache-2.0 */
#include "quantize/report.h"
#include "base/error.h"

static json_t *quantizer_of(const ol_placement *pl, const ol_quantizer *q) {
    const ol_grid *g = &pl->grids[q->grid];
    json_t *j = json_pack("{s:s, s:s, s:b, s:s, s:s}", "value", q->value->name, "reader", q->asker ? q->asker->name : "output", "rearranged", q->echo, "scheme",
                          g->symmetric ? "symmetric" : "asymmetric", "type", g->is_signed ? "i8" : "u8");
    if (!g->low) return j;
    if (g->per_channel) json_object_set_new(j, "channels", json_integer(g->n));
    float low = g->low[0], high = g->high[0];
    for (int i = 1; i < g->n; i++) {
        if (g->low[i] < low) low = g->low[i];
        if (g->high[i] > high) high = g->high[i];
    }
    json_object_set_new(j, "low", json_real((double)low));
    json_object_set_new(j, "high", json_real((double)high));
    return j;
}

olv_status ol_quantize_report(json_t *report, const ol_placement *pl, const bool *half, olv_error *err) {
    json_t *quantizers = json_array(), *layers = json_array(), *kept = json_array();
    for (size_t i = 0; i < pl->n_quantizers; i++) json_array_append_new(quantizers, quantizer_of(pl, &pl->quantizers[i]));
    for (size_t i = 0; i < pl->n_nodes; i++) {
        const ol_node *n = pl->nodes[i];
        if (ol_placement_has_weights(pl, n))
            json_array_append_new(layers, json_pack("{s:s, s:s, s:s}", "node", n->name, "operator", n->op->name, "weights", half[i] ? "i8, half range" : "i8"));
        else if (pl->reasons[i] && ol_quant_role_of(n) != OL_QUANT_FLOAT)
            json_array_append_new(kept, json_pack("{s:s, s:s, s:s}", "node", n->name, "operator", n->op->name, "why", pl->reasons[i]));
    }
    int failed = json_object_set_new(report, "quantizers", quantizers) | json_object_set_new(report, "layers", layers) |
                 json_object_set_new(report, "float", kept);
    return failed ? ol_fail(err, OLV_NOMEM, "no memory for a report") : OLV_OK;
}
