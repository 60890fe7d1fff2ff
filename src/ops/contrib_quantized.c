/* SPDX-License-Identifier: Apache-2.0 */
/* com.microsoft MatMulNBits, GatherBlockQuantized, FusedMatMul. Blocked weights: B [N, blocks, block * bits / 8], low bits
 * first; scales [N * blocks]; zero points packed per row, or floats; default zero 2^(bits-1). */
#include "ops/blocked_codes.h"
#include "ops/matmul.h"

static olv_status infer_nbits(ol_infer *c, olv_error *err) {
    const ol_type *x = ol_infer_in(c, 0);
    OL_TRY(ol_infer_rank(c, 0, 1, OL_MAX_RANK, err));
    c->out[0] = *x;
    if (x->rank < 1) return OLV_OK;
    int64_t k = ol_node_int(c->node, "K", 0);
    if (ol_dim_known(x->dims[x->rank - 1]) && x->dims[x->rank - 1] != k)
        return ol_fail(err, OLV_SHAPE, "rows of %lld found, K is %lld", (long long)x->dims[x->rank - 1], (long long)k);
    c->out[0].dims[x->rank - 1] = ol_node_int(c->node, "N", 0);
    return OLV_OK;
}

static olv_status eval_nbits(ol_eval *c, olv_error *err) {
    const ol_tensor *x, *b, *scale, *zero = ol_eval_in(c, 3), *bias = ol_eval_in(c, 5);
    ol_tensor *y;
    int64_t dims[OL_MAX_RANK];
    OL_TRY(ol_eval_need(c, 0, &x, err));
    OL_TRY(ol_eval_need(c, 1, &b, err));
    OL_TRY(ol_eval_need(c, 2, &scale, err));
    int64_t n = ol_node_int(c->node, "N", 0), k = ol_node_int(c->node, "K", 0), bits = ol_node_int(c->node, "bits", 4);
    int64_t block = ol_node_int(c->node, "block_size", 32);
    if (n < 1 || k < 1 || block < 1 || block > 1 << 20 || (bits != 2 && bits != 4 && bits != 8) || x->rank < 1 ||
        x->dims[x->rank - 1] != k)
        return ol_fail(err, OLV_SHAPE, "input and N, K, bits, block_size do not fit");
    int64_t blocks = (k + block - 1) / block, row_bytes = blocks * block * bits / 8;
    if (b->dtype != OL_U8 || ol_tensor_count(b) != n * row_bytes || ol_tensor_count(scale) != n * blocks ||
        (zero && ol_tensor_count(zero) != n * (zero->dtype == OL_U8 ? (blocks * bits + 7) / 8 : blocks)) ||
        (bias && ol_tensor_count(bias) != n))
        return ol_fail(err, OLV_SHAPE, "codes, scales, zero points or bias do not fit");
    if (ol_node_int(c->node, "weight_prepacked", 0)) return ol_fail(err, OLV_UNSUPPORTED, "prepacked weights");
    if (ol_eval_in(c, 4)) return ol_fail(err, OLV_UNSUPPORTED, "g_idx");
    memcpy(dims, x->dims, sizeof dims);
    dims[x->rank - 1] = n;
    OL_TRY(ol_eval_out(c, 0, x->dtype, x->rank, dims, &y, err));
    double *w = ol_alloc((size_t)k * sizeof *w);
    if (!w) return ol_fail(err, OLV_NOMEM, "no memory for a row");
    for (int64_t j = 0, rows = ol_tensor_count(x) / k; j < n; j++) {
        const uint8_t *p = (const uint8_t *)b->data + j * row_bytes;
        for (int64_t i = 0; i < k; i++)
            w[i] = (ol_code_at(p, i, bits) - ol_zero_at(zero, j, i / block, blocks, bits)) *
                   ol_tensor_get(scale, j * blocks + i / block);
        for (int64_t r = 0; r < rows; r++) {
            double sum = bias ? ol_tensor_get(bias, j) : 0;
            for (int64_t i = 0; i < k; i++) sum += w[i] * ol_tensor_get(x, r * k + i);
            ol_tensor_set(y, r * n + j, sum);
        }
    }
    ol_free(w);
    return OLV_OK;
}

static olv_status infer_gather(ol_infer *c, olv_error *err) {
    const ol_type *x = ol_infer_in(c, 0), *ix = ol_infer_in(c, 1), *s = ol_infer_in(c, 2);
    OL_TRY(ol_infer_rank(c, 0, 2, 2, err));
    c->out[0].dtype = s->dtype;
    if (x->rank != 2 || ix->rank < 0 || ix->rank >= OL_MAX_RANK) return OLV_OK;
    c->out[0] = *ix;
    c->out[0].dtype = s->dtype;
    int64_t per = x->dtype == OL_U8 ? 8 / ol_node_int(c->node, "bits", 4) : 1;
    c->out[0].dims[c->out[0].rank++] = ol_dim_mul(c->graph->dims, x->dims[1], per);
    return OLV_OK;
}

static olv_status eval_gather(ol_eval *c, olv_error *err) {
    const ol_tensor *x, *ix, *scale, *zero = ol_eval_in(c, 3);
    ol_tensor *y;
    int64_t dims[OL_MAX_RANK + 1];
    OL_TRY(ol_eval_need(c, 0, &x, err));
    OL_TRY(ol_eval_need(c, 1, &ix, err));
    OL_TRY(ol_eval_need(c, 2, &scale, err));
    int64_t bits = x->dtype == OL_U8 ? ol_node_int(c->node, "bits", 4) : 4, block = ol_node_int(c->node, "block_size", 128);
    if (x->rank != 2 || (bits != 2 && bits != 4 && bits != 8) || block < 1 || ol_node_int(c->node, "gather_axis", 0) != 0 ||
        (ol_node_int(c->node, "quantize_axis", 1) != 1 && ol_node_int(c->node, "quantize_axis", 1) != -1))
        return ol_fail(err, OLV_UNSUPPORTED, "tables that are not [rows, packed columns], or other axes");
    int64_t rows = x->dims[0], k = x->dims[1] * (x->dtype == OL_U8 ? 8 / bits : 1), blocks = (k + block - 1) / block;
    bool bytes = x->dtype == OL_U8;
    if (ol_tensor_count(scale) != rows * blocks) return ol_fail(err, OLV_SHAPE, "scales do not fit");
    if (zero && ol_tensor_count(zero) != rows * (bytes ? (blocks * bits + 7) / 8 : blocks))
        return ol_fail(err, OLV_SHAPE, "zero points do not fit");
    memcpy(dims, ix->dims, sizeof ix->dims);
    dims[ix->rank] = k;
    OL_TRY(ol_eval_out(c, 0, scale->dtype, ix->rank + 1, dims, &y, err));
    for (int64_t i = 0, n = ol_tensor_count(ix); i < n; i++) {
        int64_t r = ol_tensor_i64(ix, i);
        if (r < -rows || r >= rows) return ol_fail(err, OLV_ARG, "index %lld found for %lld rows", (long long)r, (long long)rows);
        if (r < 0) r += rows;
        for (int64_t j = 0; j < k; j++) {
            double q = bytes ? ol_code_at((const uint8_t *)x->data + r * x->dims[1], j, bits) : ol_tensor_get(x, r * k + j);
            double z = bytes ? ol_zero_at(zero, r, j / block, blocks, bits)
                             : zero ? ol_tensor_get(zero, r * blocks + j / block) : 0;
            ol_tensor_set(y, i * k + j, (q - z) * ol_tensor_get(scale, r * blocks + j / block));
        }
    }
    return OLV_OK;
}

/* ---- FusedMatMul: alpha op(A) op(B) ---- */

static void swap_last(ol_type *t) {
    if (t->rank < 2) return;
    ol_dim d = t->dims[t->rank - 1];
    t->dims[t->rank - 1] = t->dims[t->rank - 2];
    t->dims[t->rank - 2] = d;
}

static olv_status infer_fused(ol_infer *c, olv_error *err) {
    ol_type a = *ol_infer_in(c, 0), b = *ol_infer_in(c, 1);
    if (ol_node_int(c->node, "transBatchA", 0) || ol_node_int(c->node, "transBatchB", 0))
        return ol_fail(err, OLV_UNSUPPORTED, "transposed batches");
    if (ol_node_int(c->node, "transA", 0)) swap_last(&a);
    if (ol_node_int(c->node, "transB", 0)) swap_last(&b);
    c->out[0].dtype = a.dtype;
    if (a.rank < 2 || b.rank < 2) return OLV_OK;
    ol_type t = a, tb = b;
    t.rank -= 2;
    tb.rank -= 2;
    OL_TRY(ol_infer_broadcast(c, &t, &tb, err));
    t.dims[t.rank++] = a.dims[a.rank - 2];
    t.dims[t.rank++] = b.dims[b.rank - 1];
    c->out[0] = t;
    return OLV_OK;
}

/* Matrices of t in double, transposed when asked; *shape gets the dims. */
static olv_status load(const ol_tensor *t, bool transpose, double **out, ol_tensor *shape, olv_error *err) {
    double *v;
    OL_TRY(ol_tensor_f64(t, &v, err));
    *shape = *t;
    *out = v;
    if (!transpose || t->rank < 2) return OLV_OK;
    int64_t m = t->dims[t->rank - 2], n = t->dims[t->rank - 1], count = ol_tensor_count(t);
    double *r = ol_alloc((size_t)count * sizeof *r);
    if (!r) {
        ol_free(v);
        return ol_fail(err, OLV_NOMEM, "no memory");
    }
    for (int64_t i = 0; i < count; i++) r[i / (m * n) * m * n + i % n * m + i / n % m] = v[i];
    ol_free(v);
    shape->dims[t->rank - 2] = n;
    shape->dims[t->rank - 1] = m;
    *out = r;
    return OLV_OK;
}

static olv_status eval_fused(ol_eval *c, olv_error *err) {
    const ol_tensor *a, *b;
    ol_tensor *y, sa, sb;
    ol_matmul_shape s;
    double *va = NULL, *vb = NULL, *vy = NULL, alpha = (double)ol_node_float(c->node, "alpha", 1);
    OL_TRY(ol_eval_need(c, 0, &a, err));
    OL_TRY(ol_eval_need(c, 1, &b, err));
    olv_status st = load(a, ol_node_int(c->node, "transA", 0) != 0, &va, &sa, err);
    if (st == OLV_OK) st = load(b, ol_node_int(c->node, "transB", 0) != 0, &vb, &sb, err);
    if (st == OLV_OK) st = ol_matmul_shape_init(&s, &sa, &sb, err);
    if (st == OLV_OK) st = ol_eval_out(c, 0, a->dtype, s.rank, s.dims, &y, err);
    if (st == OLV_OK) st = ol_matmul_f64(&s, va, vb, &vy, err);
    for (int64_t i = 0, n = st == OLV_OK ? ol_tensor_count(y) : 0; i < n; i++) ol_tensor_set(y, i, alpha * vy[i]);
    ol_free(va);
    ol_free(vb);
    ol_free(vy);
    return st;
}

static const ol_attr_spec nbits_attrs[] = {{"K", OL_ATTR_INT, true}, {"N", OL_ATTR_INT, true},
    {"bits", OL_ATTR_INT, false}, {"block_size", OL_ATTR_INT, true}, {"accuracy_level", OL_ATTR_INT, false},
    {"weight_prepacked", OL_ATTR_INT, false}};
static const ol_attr_spec gather_attrs[] = {{"gather_axis", OL_ATTR_INT, false}, {"quantize_axis", OL_ATTR_INT, false},
    {"block_size", OL_ATTR_INT, false}, {"bits", OL_ATTR_INT, false}};
static const ol_attr_spec fused_attrs[] = {{"alpha", OL_ATTR_FLOAT, false}, {"transA", OL_ATTR_INT, false},
    {"transB", OL_ATTR_INT, false}, {"transBatchA", OL_ATTR_INT, false}, {"transBatchB", OL_ATTR_INT, false}};
extern const ol_op ol_op_microsoft_MatMulNBits, ol_op_microsoft_GatherBlockQuantized, ol_op_microsoft_FusedMatMul;
const ol_op ol_op_microsoft_MatMulNBits = {"com.microsoft", "MatMulNBits", "x times blocked 2, 4 or 8-bit weights", 3, 6,
    1, 1, nbits_attrs, 6, infer_nbits, eval_nbits, NULL, false, false};
const ol_op ol_op_microsoft_GatherBlockQuantized = {"com.microsoft", "GatherBlockQuantized", "rows of a quantized table", 3,
    4, 1, 1, gather_attrs, 4, infer_gather, eval_gather, NULL, false, false};
const ol_op ol_op_microsoft_FusedMatMul = {"com.microsoft", "FusedMatMul", "alpha A B with optional transposes", 2, 2, 1, 1,
    fused_attrs, 5, infer_fused, eval_fused, NULL, false, false};
