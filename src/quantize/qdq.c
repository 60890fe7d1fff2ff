/* SPDX-License-Identifier: Apache-2.0 */
/* Quantizers as QuantizeLinear and DequantizeLinear, the form that runtimes of ONNX look for: every reader of a quantized
 * value reads the output of DequantizeLinear; weights are i8 constants behind one; a bias is i32 with the product of both
 * scales; what only rearranges elements stands between such pairs too. */
#include "base/alloc.h"
#include "base/error.h"
#include "quantize/emit.h"
#include "quantize/steps.h"
#include "quantize/weights.h"
#include <math.h>
#include <string.h>

typedef struct writer {
    const ol_placement *pl;
    const ol_lowering_options *o;
    ol_graph *g;
    ol_value **scales, **zeros; /* by grid */
    ol_value **read;            /* by quantizer: what readers read */
} writer;

/* ---- activations ---- */

static olv_status grid_constants(writer *w, int grid, const char *stem, olv_error *err) {
    const ol_grid *g = &w->pl->grids[grid];
    if (w->scales[grid]) return OLV_OK;
    int64_t n = g->n;
    uint8_t *zeros = ol_alloc((size_t)n + 1);
    if (!zeros) return ol_fail(err, OLV_NOMEM, "no memory to write quantizers");
    for (int i = 0; i < g->n; i++) zeros[i] = (uint8_t)g->zero[i];
    int rank = g->per_channel ? 1 : 0;
    olv_status s = ol_quantize_constant(w->g, stem, "_scale", OL_F32, rank, &n, g->scale, &w->scales[grid], err);
    if (s == OLV_OK) s = ol_quantize_constant(w->g, stem, "_zero_point", g->is_signed ? OL_I8 : OL_U8, rank, &n, zeros, &w->zeros[grid], err);
    ol_free(zeros);
    return s;
}

static olv_status write_quantizer(writer *w, size_t i, olv_error *err) {
    const ol_quantizer *q = &w->pl->quantizers[i];
    ol_value *v = q->value, *codes;
    int axis = w->pl->grids[q->grid].per_channel ? 1 : -1;
    ol_node *before = v->producer ? v->producer->next : w->g->first;
    OL_TRY(grid_constants(w, q->grid, v->name, err));
    OL_TRY(ol_quantize_node(w->g, before, "QuantizeLinear", v, w->scales[q->grid], w->zeros[q->grid], axis, &codes, err));
    return ol_quantize_node(w->g, before, "DequantizeLinear", codes, w->scales[q->grid], w->zeros[q->grid], axis, &w->read[i], err);
}

/* The pair follows the value, and the marked edges read it. */
static void rewire(writer *w) {
    const ol_placement *pl = w->pl;
    for (size_t i = 0; i < pl->n_nodes; i++) {
        ol_node *n = pl->nodes[i];
        for (int k = 0; k < n->n_inputs; k++) {
            int q = n->inputs[k] && n->inputs[k]->graph == w->g && ol_placement_mark(pl, n, k) ? pl->by_value[n->inputs[k]->id] : -1;
            if (q >= 0) ol_node_set_input(n, k, w->read[q]);
        }
    }
    for (size_t i = 0; i < pl->n_quantizers; i++) {
        const ol_quantizer *q = &pl->quantizers[i];
        if (!q->at_output) continue;
        ol_node *quantize = w->read[i]->producer->inputs[0]->producer;
        ol_value_supersede(q->value, w->read[i]);
        ol_node_set_input(quantize, 0, q->value);
    }
}

/* ---- weights and biases ---- */

/* The bias as i32 on the grid of the products; in float when that grid is too fine for it, or has a scale for each channel. */
static olv_status write_bias(writer *w, ol_node *n, const ol_weight_codes *c, int grid, olv_error *err) {
    ol_node *at;
    int input;
    ol_value *b = ol_quant_bias_of(n, &at, &input), *codes, *scale, *zero, *back;
    ol_tensor t;
    if (!b || at != n || grid < 0 || w->pl->grids[grid].per_channel || b->type.rank != 1) return OLV_OK;
    OL_TRY(ol_const_materialize(b->constant, SIZE_MAX, &t, err));
    int32_t *q = ol_calloc((size_t)c->n + 1, 2 * sizeof *q);
    float *s = ol_calloc((size_t)c->n + 1, sizeof *s);
    olv_status st = q && s ? OLV_OK : ol_fail(err, OLV_NOMEM, "no memory to write a bias");
    bool fits = ol_tensor_count(&t) == c->n;
    for (int64_t i = 0; st == OLV_OK && fits && i < c->n; i++) {
        s[i] = w->pl->grids[grid].scale[0] * c->scale[i];
        double v = nearbyint((double)((const float *)t.data)[i] / (double)s[i]);
        fits = fabs(v) <= 2147483000.0;
        q[i] = fits ? (int32_t)v : 0;
    }
    if (st == OLV_OK && fits) st = ol_quantize_constant(w->g, b->name, "_quantized", OL_I32, 1, &c->n, q, &codes, err);
    if (st == OLV_OK && fits) st = ol_quantize_constant(w->g, b->name, "_scale", OL_F32, 1, &c->n, s, &scale, err);
    if (st == OLV_OK && fits) st = ol_quantize_constant(w->g, b->name, "_zero_point", OL_I32, 1, &c->n, q + c->n + 1, &zero, err);
    if (st == OLV_OK && fits) st = ol_quantize_node(w->g, n, "DequantizeLinear", codes, scale, zero, 0, &back, err);
    if (st == OLV_OK && fits) ol_node_set_input(n, input, back);
    ol_free(q), ol_free(s);
    ol_tensor_deinit(&t);
    return st;
}

static olv_status write_layer(writer *w, ol_node *n, olv_error *err) {
    int axis, input = ol_quant_weight_input(n, &axis), grid = -1;
    ol_weight_codes c;
    ol_value *scale;
    if (ol_quant_is_activation(n, 0) && n->inputs[0]->graph == w->g && ol_placement_mark(w->pl, n, 0)) {
        int q = w->pl->by_value[n->inputs[0]->id];
        grid = q >= 0 ? w->pl->quantizers[q].grid : -1;
    }
    OL_TRY(ol_weight_codes_make(&c, n->inputs[input], axis, w->o->half[n->id], err));
    olv_status s = ol_quantize_write_weights(w->g, n, input, &c, true, &scale, err);
    if (s == OLV_OK && !w->o->weights_only) s = write_bias(w, n, &c, grid, err);
    ol_weight_codes_deinit(&c);
    return s;
}

static olv_status write_all(writer *w, olv_error *err) {
    const ol_placement *pl = w->pl;
    for (size_t i = 0; i < pl->n_nodes; i++)
        if (ol_placement_has_weights(pl, pl->nodes[i])) OL_TRY(write_layer(w, pl->nodes[i], err));
    if (w->o->weights_only) return OLV_OK;
    for (size_t i = 0; i < pl->n_quantizers; i++) OL_TRY(write_quantizer(w, i, err));
    rewire(w);
    return OLV_OK;
}

olv_status ol_quantize_lower_qdq(const ol_placement *pl, const ol_lowering_options *o, olv_error *err) {
    ol_graph *g = pl->graph;
    writer w = {pl, o, g, ol_calloc((size_t)pl->n_grids + 1, sizeof *w.scales), ol_calloc((size_t)pl->n_grids + 1, sizeof *w.zeros),
                ol_calloc(pl->n_quantizers + 1, sizeof *w.read)};
    olv_status s = w.scales && w.zeros && w.read ? write_all(&w, err) : ol_fail(err, OLV_NOMEM, "no memory to write quantizers");
    ol_free(w.scales), ol_free(w.zeros), ol_free(w.read);
    if (s == OLV_OK) ol_graph_prune(g);
    return s;
}
