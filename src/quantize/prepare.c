/* SPDX-License-Identifier: Apache-2.0 */
#include "base/alloc.h"
#include "base/error.h"
#include "passes/passes.h"
#include "quantize/emit.h"
#include "quantize/steps.h"
#include <math.h>
#include <string.h>

static olv_status run_passes(ol_graph *g, olv_error *err) {
    static const char *const names[] = {"remove-identities", "fold-constants", "remove-dead"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        bool changed = false;
        const ol_pass *p = ol_pass_find(names[i]);
        if (!p) return ol_fail(err, OLV_INTERNAL, "there is no pass '%s'", names[i]);
        OL_TRY(p->run(g, &changed, err));
        if (changed) OL_TRY(ol_graph_infer(g, err));
    }
    return OLV_OK;
}

/* ---- y = (conv(x) - mean) gain / sqrt(variance + epsilon) + shift: into weights and bias ---- */

typedef struct normalization {
    float *factor, *shift; /* by channel: y = conv(x) factor + shift */
    int64_t n;
} normalization;

static bool read_vector(const ol_value *v, int64_t n, ol_tensor *out) {
    if (!v || !ol_value_const_tensor(v, SIZE_MAX, out)) return false;
    if (out->dtype == OL_F32 && ol_tensor_count(out) == n) return true;
    ol_tensor_deinit(out);
    return false;
}

static olv_status read_normalization(const ol_node *bn, int64_t n, normalization *out, bool *known, olv_error *err) {
    ol_tensor parts[4];
    int read = 0;
    while (read < 4 && read_vector(bn->inputs[read + 1], n, &parts[read])) read++;
    *known = read == 4;
    olv_status s = OLV_OK;
    if (*known) {
        *out = (normalization){ol_alloc((size_t)n * sizeof(float)), ol_alloc((size_t)n * sizeof(float)), n};
        if (!out->factor || !out->shift) s = ol_fail(err, OLV_NOMEM, "no memory to fold a normalization");
        const float *gain = parts[0].data, *shift = parts[1].data, *mean = parts[2].data, *variance = parts[3].data;
        for (int64_t i = 0; s == OLV_OK && i < n; i++) {
            double f = (double)gain[i] / sqrt((double)variance[i] + (double)ol_node_float(bn, "epsilon", 1e-5f));
            out->factor[i] = (float)f;
            out->shift[i] = (float)((double)shift[i] - (double)mean[i] * f);
        }
    }
    while (read) ol_tensor_deinit(&parts[--read]);
    return s;
}

/* New weights and bias of the layer; its node is replaced, for it may have had no bias. */
static olv_status fold_into(ol_graph *g, ol_node *conv, ol_node *bn, int axis, const normalization *z, olv_error *err) {
    ol_tensor w, b;
    ol_value *inputs[3] = {conv->inputs[0]};
    int64_t inner = 1;
    OL_TRY(ol_const_materialize(conv->inputs[1]->constant, SIZE_MAX, &w, err));
    for (int i = axis + 1; i < w.rank; i++) inner *= w.dims[i];
    for (int64_t i = 0, n = ol_tensor_count(&w); i < n; i++) ((float *)w.data)[i] *= z->factor[i / inner % z->n];
    olv_status s = ol_quantize_constant(g, conv->inputs[1]->name, "_folded", OL_F32, w.rank, w.dims, w.data, &inputs[1], err);
    ol_tensor_deinit(&w);
    if (s != OLV_OK) return s;
    OL_TRY(ol_tensor_init(&b, OL_F32, 1, &z->n, err));
    float *bias = b.data;
    ol_tensor old;
    bool had = conv->n_inputs > 2 && read_vector(conv->inputs[2], z->n, &old);
    for (int64_t i = 0; i < z->n; i++) bias[i] = (had ? ((const float *)old.data)[i] * z->factor[i] : 0) + z->shift[i];
    if (had) ol_tensor_deinit(&old);
    s = ol_quantize_constant(g, had ? conv->inputs[2]->name : conv->inputs[1]->name, "_folded_bias", OL_F32, 1, &z->n, bias, &inputs[2], err);
    ol_tensor_deinit(&b);
    if (s != OLV_OK) return s;
    const ol_node *made = ol_graph_add_node(g, conv, conv->op, conv->name, inputs, 3, NULL, 1, conv->attrs, conv->n_attrs, err);
    OL_TRY(ol_made(made, err));
    ol_value_supersede(bn->outputs[0], made->outputs[0]);
    return OLV_OK;
}

static olv_status fold_normalization(ol_graph *g, ol_node *bn, bool *folded, olv_error *err) {
    ol_node *conv = ol_node_is(bn, "BatchNormalization") && bn->inputs[0] ? bn->inputs[0]->producer : NULL;
    normalization z = {NULL, NULL, 0};
    int axis;
    bool known = false;
    *folded = false;
    if (!conv || conv->graph != g || ol_value_only_user(conv->outputs[0]) != bn || ol_node_int(bn, "training_mode", 0)) return OLV_OK;
    if (!(ol_node_is(conv, "Conv") || ol_node_is(conv, "ConvTranspose")) || ol_quant_weight_input(conv, &axis) != 1) return OLV_OK;
    if (conv->n_inputs > 2 && conv->inputs[2] && (!conv->inputs[2]->constant || conv->inputs[2]->type.dtype != OL_F32)) return OLV_OK;
    olv_status s = read_normalization(bn, conv->inputs[1]->type.dims[axis], &z, &known, err);
    if (s == OLV_OK && known) s = fold_into(g, conv, bn, axis, &z, err);
    *folded = s == OLV_OK && known;
    ol_free(z.factor), ol_free(z.shift);
    return s;
}

olv_status ol_quantize_prepare(ol_graph *g, olv_error *err) {
    bool any = false, folded;
    OL_TRY(run_passes(g, err));
    for (ol_node *n = g->first; n; n = n->next) {
        OL_TRY(fold_normalization(g, n, &folded, err));
        any |= folded;
    }
    if (any) ol_graph_prune(g);
    return OLV_OK;
}
