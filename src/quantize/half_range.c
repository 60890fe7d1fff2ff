/* SPDX-License-Identifier: Apache-2.0 */
/* Processors without dot products of bytes add two products of bytes in 16 bits, which saturate. Codes that keep to half of
 * the range cannot; the first convolutions, whose inputs fill their range, are the ones that need it. */
#include "base/alloc.h"
#include "base/error.h"
#include "quantize/steps.h"

static bool behind_layer(const ol_node *n, const bool *behind) {
    for (int i = 0; i < n->n_inputs; i++) {
        const ol_node *p = n->inputs[i] ? n->inputs[i]->producer : NULL;
        if (p && p->graph == n->graph && behind[p->id]) return true;
    }
    return false;
}

olv_status ol_quantize_half_range(const ol_placement *pl, const olv_quantize_params *p, bool **out, olv_error *err) {
    bool *half = ol_calloc(pl->n_nodes + 1, sizeof *half), *behind = ol_calloc(pl->n_nodes + 1, sizeof *behind);
    if (!half || !behind) {
        ol_free(half), ol_free(behind);
        return ol_fail(err, OLV_NOMEM, "no memory for codes");
    }
    bool needed = p->overflow_fix != OLV_OVERFLOW_DISABLE && (p->target == OLV_TARGET_ANY || p->target == OLV_TARGET_CPU);
    for (size_t i = 0; needed && i < pl->n_nodes; i++) {
        const ol_node *n = pl->nodes[i];
        bool layer = ol_quant_role_of(n) == OL_QUANT_WEIGHTED, late = behind_layer(n, behind);
        behind[i] = late || layer;
        half[i] = ol_placement_has_weights(pl, n) && (p->overflow_fix == OLV_OVERFLOW_ENABLE || (ol_node_is(n, "Conv") && !late));
    }
    ol_free(behind);
    *out = half;
    return OLV_OK;
}
