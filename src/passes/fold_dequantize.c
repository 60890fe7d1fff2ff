/* SPDX-License-Identifier: Apache-2.0 */
/* DequantizeLinear of a constant matrix of 8 bits becomes a quantized constant, which keeps its codes: where they lie when
 * scales go by rows, or there is one for all; transposed when they go by columns. */
#include "base/alloc.h"
#include "base/error.h"
#include "passes/passes.h"

#define MAX_BYTES ((size_t)1 << 31)

/* What the constant owns: scales, then zero points, then codes that could not stay where they are. */
typedef struct holder {
    float *scales;
    uint8_t *zeros, *codes;
} holder;

static bool is_matrix_of_codes(const ol_node *n) {
    const ol_value *x = n->inputs[0];
    return !*n->op->domain && !strcmp(n->op->name, "DequantizeLinear") && x->constant && !x->is_input && x->type.rank == 2 &&
           (x->type.dtype == OL_I8 || x->type.dtype == OL_U8) && n->outputs[0]->type.dtype == OL_F32 && !ol_node_int(n, "block_size", 0) &&
           x->type.dims[0] > 0 && x->type.dims[1] > 0;
}

/* The i-th of one or n constants. */
static bool read_numbers(const ol_value *v, int64_t n, bool is_float, ol_tensor *t) {
    if (!v || v->is_input || v->type.rank > 1 || !ol_value_const_tensor(v, MAX_BYTES, t)) return false;
    bool good = (ol_tensor_count(t) == n || ol_tensor_count(t) == 1) && (!is_float || t->dtype == OL_F32);
    if (!good) ol_tensor_deinit(t);
    return good;
}
static double number_at(const ol_tensor *t, int64_t i) { return ol_elem_get(t->dtype, t->data, (uint64_t)(ol_tensor_count(t) == 1 ? 0 : i)); }

static void *make_holder(int64_t rows, bool zeros, size_t codes, holder *h) {
    h->scales = ol_calloc(1, (size_t)rows * (sizeof(float) + 1) + codes);
    h->zeros = h->scales ? (uint8_t *)(h->scales + rows) : NULL;
    h->codes = h->scales && codes ? h->zeros + rows : NULL;
    if (!zeros) h->zeros = NULL;
    return h->scales;
}

/* The constant with `rows` scales, or NULL. codes: in memory, [dims]. */
static ol_const *make(const ol_node *n, const ol_tensor *scale, const ol_tensor *zero, const uint8_t *codes, bool in_place, bool by_columns) {
    const ol_value *x = n->inputs[0];
    int64_t d[2] = {x->type.dims[0], x->type.dims[1]}, dims[2] = {d[by_columns], d[!by_columns]};
    holder h;
    int n_files;
    ol_file *const *files = ol_const_files(x->constant, &n_files);
    if (!make_holder(dims[0], zero != NULL, in_place ? 0 : (size_t)(d[0] * d[1]), &h)) return NULL;
    for (int64_t i = 0; i < dims[0]; i++) {
        h.scales[i] = (float)number_at(scale, i);
        if (zero) h.zeros[i] = (uint8_t)(int)number_at(zero, i);
    }
    for (int64_t i = 0; h.codes && i < d[0]; i++)
        for (int64_t j = 0; j < d[1]; j++) h.codes[by_columns ? j * d[0] + i : i * d[1] + j] = codes[i * d[1] + j];
    bool is_signed = x->type.dtype == OL_I8;
    ol_qconst q = {.code = is_signed ? OL_Q_I8 : OL_Q_U8, .rows = dims[0], .k = dims[1], .group = dims[1], .n_groups = 1, .codes = in_place ? codes : h.codes,
                   .row_bytes = (size_t)dims[1], .scale_dtype = OL_F32, .scales = h.scales, .zero_dtype = zero ? is_signed ? OL_I8 : OL_U8 : OL_DTYPE_NONE,
                   .zeros = h.zeros, .zero_row_bytes = zero ? 1 : 0, .global_scale = 1};
    ol_const *c = ol_const_quant(2, dims, &q, in_place ? files : NULL, in_place ? n_files : 0, ol_free, h.scales, NULL), *turned;
    if (!c) ol_free(h.scales);
    if (!c || !by_columns) return c;
    turned = ol_const_transpose(c, NULL);
    ol_const_release(c);
    return turned;
}

/* NULL: it stays as it is. Without a zero point unsigned codes have 0, which quantized constants must be told. */
static ol_const *fold(const ol_node *n) {
    const ol_value *x = n->inputs[0], *zp = n->n_inputs > 2 ? n->inputs[2] : NULL;
    int64_t axis = ol_node_int(n, "axis", 1);
    ol_tensor scale, zero, codes;
    size_t bytes;
    int n_files;
    if (axis < 0) axis += 2;
    if (axis < 0 || axis > 1 || (!zp && x->type.dtype == OL_U8) || !read_numbers(n->inputs[1], x->type.dims[axis], true, &scale)) return NULL;
    bool by_columns = ol_tensor_count(&scale) > 1 && axis == 1;
    ol_const *c = NULL;
    ol_const_files(x->constant, &n_files);
    const void *data = by_columns || !n_files ? NULL : ol_const_data(x->constant, &bytes);
    if (!zp || read_numbers(zp, x->type.dims[axis], false, &zero)) {
        if (data) c = make(n, &scale, zp ? &zero : NULL, data, true, false);
        else if (ol_value_const_tensor(x, MAX_BYTES, &codes)) {
            c = make(n, &scale, zp ? &zero : NULL, codes.data, false, by_columns);
            ol_tensor_deinit(&codes);
        }
        if (zp) ol_tensor_deinit(&zero);
    }
    ol_tensor_deinit(&scale);
    return c;
}

static olv_status run(ol_graph *g, bool *changed, olv_error *err) {
    for (ol_node *n = g->first, *next; n; n = next) {
        next = n->next;
        bool is_output = false;
        for (int i = 0; i < g->n_outputs; i++) is_output |= n->n_outputs == 1 && g->outputs[i] == n->outputs[0];
        ol_const *c = !is_output && is_matrix_of_codes(n) ? fold(n) : NULL;
        if (!c) continue;
        ol_value *v = ol_graph_add_constant(g, NULL, c, err);
        if (!v) return err ? err->status : OLV_NOMEM;
        ol_value_replace_uses(n->outputs[0], v);
        ol_graph_remove_node(g, n);
        *changed = true;
    }
    return OLV_OK;
}

extern const ol_pass ol_pass_fold_dequantize;
const ol_pass ol_pass_fold_dequantize = {"fold-dequantize", "quantized constants of DequantizeLinear of matrices", run};
