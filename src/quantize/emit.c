/* SPDX-License-Identifier: Apache-2.0 */
#include "quantize/emit.h"
#include "graph/op.h"
#include <string.h>
#include "base/alloc.h"
#include "base/error.h"

/* Layers that share weights share their codes. */
static bool is_same(const ol_value *v, const ol_tensor *t) {
    size_t bytes;
    const void *data = v && v->constant && !v->is_input ? ol_const_data(v->constant, &bytes) : NULL;
    if (!data || bytes != t->bytes || ol_const_dtype(v->constant) != t->dtype || ol_const_rank(v->constant) != t->rank) return false;
    return !memcmp(ol_const_dims(v->constant), t->dims, (size_t)t->rank * sizeof *t->dims) && !memcmp(data, t->data, bytes);
}

olv_status ol_quantize_constant(ol_graph *g, const char *stem, const char *what, ol_dtype dtype, int rank, const int64_t *dims, const void *data,
                                ol_value **out, olv_error *err) {
    ol_tensor t;
    size_t bytes = 0;
    ol_buf name = OL_BUF_INIT;
    int64_t count = 1;
    for (int i = 0; i < rank; i++) count *= dims[i];
    if (!ol_dtype_bytes(dtype, (uint64_t)count, &bytes)) return ol_fail(err, OLV_LIMIT, "a constant is too large");
    OL_TRY(ol_tensor_view(&t, dtype, rank, dims, data, bytes, err));
    ol_buf_printf(&name, "%s%s", stem, what);
    ol_value *there = name.failed ? NULL : ol_graph_find_value(g, name.data);
    const char *fresh = name.failed ? NULL : there ? ol_graph_fresh_name(g, name.data) : name.data;
    ol_const *c = NULL;
    if (is_same(there, &t)) *out = there;
    else *out = (c = ol_const_tensor(&t, err)) ? ol_graph_add_constant(g, fresh, c, err) : NULL;
    ol_buf_deinit(&name);
    return ol_made(*out, err);
}

olv_status ol_quantize_node(ol_graph *g, ol_node *before, const char *op, ol_value *x, ol_value *scale, ol_value *zero, int axis, ol_value **out,
                            olv_error *err) {
    ol_value *inputs[3] = {x, scale, zero};
    const ol_attr a = ol_attr_int("axis", axis);
    ol_buf name = OL_BUF_INIT;
    ol_buf_printf(&name, "%s_%s", x->name, op);
    const char *fresh = name.failed ? NULL : ol_graph_fresh_name(g, name.data);
    const ol_node *n = ol_graph_add_node(g, before, ol_graph_find_op(g, "", op), fresh, inputs, zero ? 3 : 2, NULL, 1, &a, axis >= 0, err);
    ol_buf_deinit(&name);
    if (n) *out = n->outputs[0];
    return ol_made(n, err);
}

olv_status ol_quantize_write_weights(ol_graph *g, ol_node *n, int input, const ol_weight_codes *c, bool zeros, ol_value **scale, olv_error *err) {
    ol_value *codes, *zero = NULL, *back;
    const char *stem = n->inputs[input]->name;
    int8_t *none = ol_calloc((size_t)c->n + 1, 1);
    if (!none) return ol_fail(err, OLV_NOMEM, "no memory to write weights");
    olv_status s = ol_quantize_constant(g, stem, "_quantized", OL_I8, c->weights.rank, c->weights.dims, c->codes, &codes, err);
    if (s == OLV_OK) s = ol_quantize_constant(g, stem, "_scale", OL_F32, 1, &c->n, c->scale, scale, err);
    if (s == OLV_OK && zeros) s = ol_quantize_constant(g, stem, "_zero_point", OL_I8, 1, &c->n, none, &zero, err);
    ol_free(none);
    if (s == OLV_OK) s = ol_quantize_node(g, n, "DequantizeLinear", codes, *scale, zero, c->axis, &back, err);
    if (s == OLV_OK) ol_node_set_input(n, input, back);
    return s;
}
