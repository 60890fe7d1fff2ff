/* SPDX-License-Identifier: Apache-2.0 */
/* Quantizers as olivine.FakeQuantize, which OpenVINO's IR spells so too: activations alone: weights
 * are i8 constants behind DequantizeLinear; what only rearranges elements passes the grid on and has no quantizer of its own. */
#include "base/alloc.h"
#include "base/error.h"
#include "quantize/emit.h"
#include "quantize/steps.h"
#include "quantize/weights.h"

typedef struct writer {
    const ol_placement *pl;
    const ol_lowering_options *o;
    ol_graph *g;
    const ol_op *fake;
    ol_value **read; /* by quantizer: what readers read; NULL: the value itself */
} writer;

static olv_status add_fake(writer *w, ol_node *before, ol_value *const inputs[5], int levels, ol_value **out, olv_error *err) {
    const ol_attr a = ol_attr_int("levels", levels);
    ol_buf name = OL_BUF_INIT;
    ol_buf_printf(&name, "%s/fq", inputs[0]->name);
    const char *fresh = name.failed ? NULL : ol_graph_fresh_name(w->g, name.data);
    const ol_node *n = ol_graph_add_node(w->g, before, w->fake, fresh, inputs, 5, NULL, 1, &a, 1, err);
    ol_buf_deinit(&name);
    if (n) *out = n->outputs[0];
    return ol_made(n, err);
}

/* Sizes of limits for each channel of an axis of `rank` dimensions. */
static void channel_dims(int64_t *dims, int rank, int axis, int64_t n) {
    for (int i = 0; i < rank; i++) dims[i] = i == axis ? n : 1;
}

static olv_status write_quantizer(writer *w, size_t i, olv_error *err) {
    const ol_quantizer *q = &w->pl->quantizers[i];
    const ol_grid *g = &w->pl->grids[q->grid];
    ol_value *inputs[5] = {q->value};
    int64_t dims[OL_MAX_RANK];
    int rank = g->per_channel ? q->value->type.rank : 0;
    if (q->echo) return OLV_OK;
    channel_dims(dims, rank, 1, g->n);
    OL_TRY(ol_quantize_constant(w->g, q->value->name, "/low", OL_F32, rank, dims, g->low, &inputs[1], err));
    OL_TRY(ol_quantize_constant(w->g, q->value->name, "/high", OL_F32, rank, dims, g->high, &inputs[2], err));
    inputs[3] = inputs[1], inputs[4] = inputs[2];
    ol_node *before = q->value->producer ? q->value->producer->next : w->g->first;
    return add_fake(w, before, inputs, 256, &w->read[i], err);
}

static olv_status write_layer(writer *w, ol_node *n, olv_error *err) {
    int axis, input = ol_quant_weight_input(n, &axis);
    ol_weight_codes c;
    ol_value *scale;
    OL_TRY(ol_weight_codes_make(&c, n->inputs[input], axis, w->o->half[n->id], err));
    olv_status s = ol_quantize_write_weights(w->g, n, input, &c, false, &scale, err);
    ol_weight_codes_deinit(&c);
    return s;
}

static void rewire(writer *w) {
    const ol_placement *pl = w->pl;
    for (size_t i = 0; i < pl->n_nodes; i++) {
        ol_node *n = pl->nodes[i];
        for (int k = 0; k < n->n_inputs; k++) {
            int q = n->inputs[k] && n->inputs[k]->graph == w->g && ol_placement_mark(pl, n, k) ? pl->by_value[n->inputs[k]->id] : -1;
            if (q >= 0 && w->read[q]) ol_node_set_input(n, k, w->read[q]);
        }
    }
    for (size_t i = 0; i < pl->n_quantizers; i++) {
        const ol_quantizer *q = &pl->quantizers[i];
        if (!q->at_output || !w->read[i]) continue;
        ol_node *fake = w->read[i]->producer;
        ol_value_supersede(q->value, w->read[i]);
        ol_node_set_input(fake, 0, q->value);
    }
}

olv_status ol_quantize_lower_fake(const ol_placement *pl, const ol_lowering_options *o, olv_error *err) {
    ol_graph *g = pl->graph;
    writer w = {pl, o, g, ol_graph_find_op(g, "olivine", "FakeQuantize"), ol_calloc(pl->n_quantizers + 1, sizeof *w.read)};
    olv_status s = w.read ? OLV_OK : ol_fail(err, OLV_NOMEM, "no memory to write quantizers");
    for (size_t i = 0; s == OLV_OK && i < pl->n_nodes; i++)
        if (ol_placement_has_weights(pl, pl->nodes[i])) s = write_layer(&w, pl->nodes[i], err);
    for (size_t i = 0; s == OLV_OK && !o->weights_only && i < pl->n_quantizers; i++) s = write_quantizer(&w, i, err);
    if (s == OLV_OK && !o->weights_only) rewire(&w);
    ol_free(w.read);
    if (s == OLV_OK) ol_graph_prune(g);
    return s;
}
