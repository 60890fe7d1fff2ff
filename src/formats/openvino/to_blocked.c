/* SPDX-License-Identifier: Apache-2.0 */
/* com.microsoft's products and tables of weights in blocks: their constants as one quantized constant. */
#include "base/error.h"
#include "formats/openvino/to.h"

/* The bytes of a constant input that lies in memory; NULL otherwise. */
static const void *bytes_of(const ol_node *n, int i, size_t *bytes) {
    if (!ol_to_has(n, i) || !n->inputs[i]->constant || n->inputs[i]->is_input) return NULL;
    return ol_const_data(n->inputs[i]->constant, bytes);
}

/* Inputs `codes`, then scales and zero points, as [rows, k]; NULL with a failure latched. */
static ol_const *weights(ol_to *t, const ol_node *n, int codes, int scales, int64_t rows, int64_t k, int64_t bits) {
    int64_t block = ol_node_int(n, "block_size", 32), dims[2] = {rows, k};
    size_t code_bytes = 0, scale_bytes = 0, zero_bytes = 0;
    ol_qconst q = {.code = bits == 8 ? OL_Q_U8 : bits == 4 ? OL_Q_U4 : OL_Q_U2, .rows = rows, .k = k, .group = block, .global_scale = 1};
    q.codes = bytes_of(n, codes, &code_bytes);
    q.scales = bytes_of(n, scales, &scale_bytes);
    bool zero = ol_to_has(n, scales + 1);
    q.zeros = zero ? bytes_of(n, scales + 1, &zero_bytes) : NULL;
    if (rows < 1 || k < 1 || block < 1 || !q.codes || !q.scales || (zero && !q.zeros) || (bits != 2 && bits != 4 && bits != 8)) {
        ol_to_refuse(t, "codes, scales or zero points that are no constants, or %lld bits", (long long)bits);
        return NULL;
    }
    q.n_groups = (k + block - 1) / block;
    q.row_bytes = (size_t)(q.n_groups * block * bits / 8);
    q.scale_dtype = ol_to_dtype(n, scales);
    if (zero && ol_to_dtype(n, scales + 1) == OL_U8) {
        q.zero_dtype = bits == 8 ? OL_U8 : bits == 4 ? OL_U4 : OL_U2;
        q.zero_row_bytes = (size_t)((q.n_groups * bits + 7) / 8);
    } else if (zero) {
        q.zero_dtype = ol_to_dtype(n, scales + 1);
        q.zero_row_bytes = (size_t)(q.n_groups * ol_dtype_bits(q.zero_dtype) / 8);
    }
    olv_error *err = ol_ir_error(ol_ir_file_of(t->e));
    olv_status s = ol_qconst_check(&q, code_bytes, scale_bytes, zero_bytes, err);
    ol_const *c = s == OLV_OK ? ol_const_quant(2, dims, &q, NULL, 0, NULL, NULL, err) : NULL;
    if (!c) ol_ir_latch(ol_ir_file_of(t->e), s == OLV_OK ? OLV_NOMEM : s);
    return c;
}

void ol_to_matmul_nbits(ol_to *t, const ol_node *n, const ol_to_rule *r) {
    (void)r;
    if (ol_to_has(n, 4) || ol_node_int(n, "weight_prepacked", 0)) {
        ol_to_refuse(t, "g_idx, or prepacked weights");
        return;
    }
    ol_const *c = weights(t, n, 1, 2, ol_node_int(n, "N", 0), ol_node_int(n, "K", 0), ol_node_int(n, "bits", 4));
    if (!c) return;
    ol_ir_out x = ol_to_in(t, n, 0), w = ol_ir_const(t->e, n->inputs[1]->name, NULL, c);
    ol_ir_out y = ol_to_matmul(t, x, ol_to_cast(t, w, ol_to_dtype_of(t, x)), false, true);
    if (ol_to_has(n, 5)) y = ol_to_two(t, "Add", y, ol_to_in(t, n, 5));
    ol_to_give(t, n, 0, y);
    ol_const_release(c);
}

/* Rows of a table: codes packed in bytes, or of a type of their own. */
void ol_to_gather_quantized(ol_to *t, const ol_node *n, const ol_to_rule *r) {
    (void)r;
    const ol_type *x = ol_to_type(n, 0);
    int64_t bits = x->dtype == OL_U8 ? ol_node_int(n, "bits", 4) : 4, last = ol_node_int(n, "quantize_axis", 1);
    if (x->rank != 2 || x->dtype != OL_U8 || ol_node_int(n, "gather_axis", 0) || (last != 1 && last != -1)) {
        ol_to_refuse(t, "a table that is not [rows, packed columns]");
        return;
    }
    ol_const *c = weights(t, n, 0, 2, ol_to_dim(x, 0), ol_to_dim(x, 1) * 8 / bits, bits);
    if (!c) return;
    ol_ir_out y = ol_to_gather(t, ol_ir_const(t->e, n->inputs[0]->name, NULL, c), ol_to_in(t, n, 1), 0);
    ol_to_give(t, n, 0, ol_to_cast(t, y, n->outputs[0]->type.dtype));
    ol_const_release(c);
}
