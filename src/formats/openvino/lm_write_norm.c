/* SPDX-License-Identifier: Apache-2.0 */
/* Normalizations, spelled out in the layers that exports from PyTorch have. */
#include "base/alloc.h"
#include "base/error.h"
#include "formats/openvino/lm_write.h"

/* x / sqrt(mean(x^2) + eps) over the last axis. */
static ol_ir_out root_mean_square(ol_lmw *w, ol_ir_out x, double eps) {
    ol_ir_out square = ol_ir_add_binary(w->e, "Power", NULL, x, ol_lmw_number(w, 2));
    const ol_ir_type *t = ol_ir_get_type(w->e, square);
    if (!t) return OL_IR_NONE;
    ol_ir_type one = *t;
    one.dims[one.rank - 1] = 1;
    const ol_ir_out in[] = {square, ol_lmw_list(w, -1)};
    const ol_ir_attr keep = ol_ir_say_bool("keep_dims", true);
    ol_ir_out y = ol_lmw_add(w, "ReduceMean", NULL, NULL, in, 2, &keep, 1, &one);
    y = ol_ir_add_binary(w->e, "Add", NULL, y, ol_lmw_number(w, eps));
    y = ol_ir_add_unary(w->e, "Sqrt", NULL, y);
    y = ol_ir_add_binary(w->e, "Divide", NULL, ol_lmw_number(w, 1), y);
    return ol_ir_add_binary(w->e, "Multiply", NULL, x, y);
}

static ol_ir_out mean_variance(ol_lmw *w, ol_ir_out x, double eps) {
    const ol_ir_type *t = ol_ir_get_type(w->e, x);
    if (!t) return OL_IR_NONE;
    ol_ir_type out = *t;
    const ol_ir_out in[] = {x, ol_lmw_list(w, -1)};
    const ol_ir_attr attrs[] = {ol_ir_say_float(w->e, "eps", eps), ol_ir_say_bool("normalize_variance", true), ol_ir_say_text("eps_mode", "INSIDE_SQRT")};
    return ol_lmw_add(w, "MVN", "opset6", NULL, in, 2, attrs, 3, &out);
}

/* The weights of a norm plus an offset, [heads, d] where they differ by head, else [d]. */
static ol_ir_out weights(ol_lmw *w, const ol_node *n, int input, int64_t d, double offset) {
    ol_value *v = n->inputs[input];
    ol_tensor t;
    if (!v->constant || !ol_value_const_tensor(v, (size_t)64 << 20, &t)) {
        ol_lmw_fail(w, n, OLV_UNSUPPORTED, "weights that are no constants");
        return OL_IR_NONE;
    }
    int64_t count = ol_tensor_count(&t), rows = count / d;
    if (count != rows * d || rows < 1) {
        ol_tensor_deinit(&t);
        ol_lmw_fail(w, n, OLV_SHAPE, "found %lld weights, expected %lld for each head", (long long)count, (long long)d);
        return OL_IR_NONE;
    }
    float *f = ol_calloc((size_t)count, sizeof *f);
    for (int64_t i = 0; f && i < count; i++) f[i] = (float)(ol_elem_get(t.dtype, t.data, (uint64_t)i) + offset);
    ol_tensor_deinit(&t);
    const int64_t dims[] = {rows, d};
    ol_ir_type type = ol_ir_type_of(OL_F32, rows > 1 ? 2 : 1, rows > 1 ? dims : dims + 1);
    ol_ir_out c = OL_IR_NONE;
    if (f) c = ol_ir_const_raw(w->e, ol_lmw_text(w, "self.%.500s", v->name), NULL, &type, f, (size_t)count * sizeof *f);
    else ol_lmw_fail(w, n, OLV_NOMEM, "out of memory");
    ol_free(f);
    return c;
}

static ol_ir_out normalize(ol_lmw *w, const ol_node *n, ol_ir_out x, int64_t d, bool layer, double eps, double offset) {
    ol_ir_out y = layer ? mean_variance(w, x, eps) : root_mean_square(w, x, eps);
    y = ol_ir_add_binary(w->e, "Multiply", NULL, y, weights(w, n, 1, d, offset));
    if (n->n_inputs > 2 && n->inputs[2]) y = ol_ir_add_binary(w->e, "Add", NULL, y, weights(w, n, 2, d, 0));
    return y;
}

void ol_lmw_norm(ol_lmw *w, ol_node *n) {
    bool layer = strcmp(n->op->name, "LayerNormalization") == 0;
    int64_t axis = ol_node_int(n, "axis", -1), rank = n->inputs[0]->type.rank;
    if (axis != -1 && axis != rank - 1) {
        ol_lmw_fail(w, n, OLV_UNSUPPORTED, "axis %lld, expected the last one", (long long)axis);
        return;
    }
    double eps = (double)ol_node_float(n, "epsilon", 1e-5f);
    ol_ir_out y = normalize(w, n, ol_lmw_rows(w, n->inputs[0]), ol_lmw_width(n->inputs[0]), layer, eps, 0);
    ol_lmw_set(w, n, 0, y, OL_LMW_ROWS, 0);
}

void ol_lmw_head_norm(ol_lmw *w, ol_node *n) {
    int64_t heads = ol_node_int(n, "heads", 1), width = ol_lmw_width(n->inputs[0]);
    bool layer = ol_str_is(ol_node_string(n, "kind", "rms"), "layer");
    double eps = (double)ol_node_float(n, "epsilon", 1e-6f), offset = (double)ol_node_float(n, "offset", 0);
    if (heads < 1 || width % heads) {
        ol_lmw_fail(w, n, OLV_SHAPE, "rows of %lld values in %lld heads", (long long)width, (long long)heads);
        return;
    }
    ol_ir_out y = normalize(w, n, ol_lmw_split(w, n->inputs[0], heads), width / heads, layer, eps, offset);
    ol_lmw_set(w, n, 0, y, OL_LMW_SPLIT, heads);
}
