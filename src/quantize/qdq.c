/* SPDX-License-Identifier: Apache-2.0 */
/* Quantizers as QuantizeLinear and DequantizeLinear, the form that runtimes of ONNX look for: every reader of a quantized
 * value reads the output of DequantizeLinear; weights are i8 constants behind one; a bias is i32 with the product of both
 * scales; what only rearranges elements stands between such pairs too. */
#include "base/alloc.h"
#include "base/error.h"
#include "quantize/steps.h"
#include "quantize/weights.h"
#include <math.h>
#include <string.h>

typedef struct writer {
    const ol_placement *pl;
    const ol_lowering_options *o;
    ol_graph *g;
    const ol_op *quantize, *dequantize;
    ol_value **scales, **zeros; /* by grid */
    ol_value **read;            /* by quantizer: what readers read */
} writer;

static olv_status status_of(const void *made, olv_error *err) { return made ? OLV_OK : err ? err->status : OLV_NOMEM; }

/* A constant named after `stem`. `data` is copied. */
static olv_status add_constant(ol_graph *g, const char *stem, const char *what, ol_dtype dtype, int rank, const int64_t *dims, const void *data,
                               ol_value **out, olv_error *err) {
    ol_tensor t;
    size_t bytes = 0;
    ol_buf name = OL_BUF_INIT;
    int64_t count = 1;
    for (int i = 0; i < rank; i++) count *= dims[i];
    if (!ol_dtype_bytes(dtype, (uint64_t)count, &bytes)) return ol_fail(err, OLV_LIMIT, "a constant is too large");
    OL_TRY(ol_tensor_view(&t, dtype, rank, dims, data, bytes, err));
    ol_const *c = ol_const_tensor(&t, err);
    OL_TRY(status_of(c, err));
    ol_buf_printf(&name, "%s%s", stem, what);
    const char *fresh = name.failed ? NULL : ol_graph_find_value(g, name.data) ? ol_graph_fresh_name(g, name.data) : name.data;
    *out = ol_graph_add_constant(g, fresh, c, err);
    ol_buf_deinit(&name);
    return status_of(*out, err);
}

static olv_status add_node(writer *w, ol_node *before, const ol_op *op, ol_value *x, ol_value *scale, ol_value *zero, int axis, ol_value **out,
                           olv_error *err) {
    ol_value *inputs[3] = {x, scale, zero};
    const ol_attr a = ol_attr_int("axis", axis);
    ol_buf name = OL_BUF_INIT;
    ol_buf_printf(&name, "%s_%s", x->name, op->name);
    const char *fresh = name.failed ? NULL : ol_graph_fresh_name(w->g, name.data);
    const ol_node *n = ol_graph_add_node(w->g, before, op, fresh, inputs, 3, NULL, 1, &a, axis >= 0, err);
    ol_buf_deinit(&name);
    if (n) *out = n->outputs[0];
    return status_of(n, err);
}

/* ---- activations ---- */

static olv_status grid_constants(writer *w, int grid, const char *stem, olv_error *err) {
    const ol_grid *g = &w->pl->grids[grid];
    if (w->scales[grid]) return OLV_OK;
    int64_t n = g->n;
    uint8_t *zeros = ol_alloc((size_t)n + 1);
    if (!zeros) return ol_fail(err, OLV_NOMEM, "no memory to write quantizers");
    for (int i = 0; i < g->n; i++) zeros[i] = (uint8_t)g->zero[i];
    int rank = g->per_channel ? 1 : 0;
    olv_status s = add_constant(w->g, stem, "_scale", OL_F32, rank, &n, g->scale, &w->scales[grid], err);
    if (s == OLV_OK) s = add_constant(w->g, stem, "_zero_point", g->is_signed ? OL_I8 : OL_U8, rank, &n, zeros, &w->zeros[grid], err);
    ol_free(zeros);
    return s;
}

static olv_status write_quantizer(writer *w, size_t i, olv_error *err) {
    const ol_quantizer *q = &w->pl->quantizers[i];
    ol_value *v = q->value, *codes;
    int axis = w->pl->grids[q->grid].per_channel ? 1 : -1;
    ol_node *before = v->producer ? v->producer->next : w->g->first;
    OL_TRY(grid_constants(w, q->grid, v->name, err));
    OL_TRY(add_node(w, before, w->quantize, v, w->scales[q->grid], w->zeros[q->grid], axis, &codes, err));
    return add_node(w, before, w->dequantize, codes, w->scales[q->grid], w->zeros[q->grid], axis, &w->read[i], err);
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

static olv_status write_weights(writer *w, ol_node *n, const ol_weight_codes *c, int input, ol_value **scale, olv_error *err) {
    ol_value *codes, *zero, *back;
    const char *stem = n->inputs[input]->name;
    int8_t *zeros = ol_calloc((size_t)c->n + 1, 1);
    if (!zeros) return ol_fail(err, OLV_NOMEM, "no memory to write weights");
    olv_status s = add_constant(w->g, stem, "_quantized", OL_I8, c->weights.rank, c->weights.dims, c->codes, &codes, err);
    if (s == OLV_OK) s = add_constant(w->g, stem, "_scale", OL_F32, 1, &c->n, c->scale, scale, err);
    if (s == OLV_OK) s = add_constant(w->g, stem, "_zero_point", OL_I8, 1, &c->n, zeros, &zero, err);
    ol_free(zeros);
    if (s == OLV_OK) s = add_node(w, n, w->dequantize, codes, *scale, zero, c->axis, &back, err);
    if (s == OLV_OK) ol_node_set_input(n, input, back);
    return s;
}

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
    if (st == OLV_OK && fits) st = add_constant(w->g, b->name, "_quantized", OL_I32, 1, &c->n, q, &codes, err);
    if (st == OLV_OK && fits) st = add_constant(w->g, b->name, "_scale", OL_F32, 1, &c->n, s, &scale, err);
    if (st == OLV_OK && fits) st = add_constant(w->g, b->name, "_zero_point", OL_I32, 1, &c->n, q + c->n + 1, &zero, err);
    if (st == OLV_OK && fits) st = add_node(w, n, w->dequantize, codes, scale, zero, 0, &back, err);
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
    olv_status s = write_weights(w, n, &c, input, &scale, err);
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
    writer w = {pl, o, g, ol_graph_find_op(g, "", "QuantizeLinear"), ol_graph_find_op(g, "", "DequantizeLinear"),
                ol_calloc((size_t)pl->n_grids + 1, sizeof *w.scales), ol_calloc((size_t)pl->n_grids + 1, sizeof *w.zeros),
                ol_calloc(pl->n_quantizers + 1, sizeof *w.read)};
    olv_status s = w.scales && w.zeros && w.read ? write_all(&w, err) : ol_fail(err, OLV_NOMEM, "no memory to write quantizers");
    ol_free(w.scales), ol_free(w.zeros), ol_free(w.read);
    if (s == OLV_OK) ol_graph_prune(g);
    return s;
}
