/* SPDX-License-Identifier: Apache-2.0 */
/* MatMul (numpy rules) and Gemm, accumulated in double. */
#include "ops/matmul.h"

/* Sizes of a product of a [.., m, k] and b [.., k, n]; 1-d inputs act as a row or a column. */
olv_status ol_matmul_shape_init(ol_matmul_shape *s, const ol_tensor *a, const ol_tensor *b, olv_error *err) {
    if (a->rank < 1 || b->rank < 1) return ol_fail(err, OLV_SHAPE, "scalar found, rank 1 or more expected");
    s->m = a->rank > 1 ? a->dims[a->rank - 2] : 1;
    s->k = a->dims[a->rank - 1];
    s->n = b->rank > 1 ? b->dims[b->rank - 1] : 1;
    int64_t kb = b->dims[b->rank > 1 ? b->rank - 2 : 0];
    if (kb != s->k)
        return ol_fail(err, OLV_SHAPE, "inner sizes %lld and %lld differ", (long long)s->k, (long long)kb);
    s->a = (ol_tensor){.rank = a->rank > 2 ? a->rank - 2 : 0};
    s->b = (ol_tensor){.rank = b->rank > 2 ? b->rank - 2 : 0};
    memcpy(s->a.dims, a->dims, (size_t)s->a.rank * sizeof(int64_t));
    memcpy(s->b.dims, b->dims, (size_t)s->b.rank * sizeof(int64_t));
    OL_TRY(ol_walk_init(&s->batch, (const ol_tensor *[]){&s->a, &s->b}, 2, err));
    s->rank = s->batch.rank;
    memcpy(s->dims, s->batch.dims, (size_t)s->rank * sizeof(int64_t));
    if (a->rank > 1) s->dims[s->rank++] = s->m;
    if (b->rank > 1) s->dims[s->rank++] = s->n;
    return OLV_OK;
}

static void product(const double *a, const double *b, double *y, int64_t m, int64_t k, int64_t n) {
    for (int64_t i = 0; i < m; i++) {
        double *row = y + i * n;
        for (int64_t j = 0; j < n; j++) row[j] = 0;
        for (int64_t p = 0; p < k; p++) {
            double v = a[i * k + p];
            for (int64_t j = 0; j < n; j++) row[j] += v * b[p * n + j];
        }
    }
}

olv_status ol_matmul_f64(ol_matmul_shape *s, const double *a, const double *b, double **out, olv_error *err) {
    double *y = ol_calloc((size_t)s->batch.count, (size_t)(s->m * s->n) * sizeof *y);
    if (!y) return ol_fail(err, OLV_NOMEM, "no memory for a product");
    for (int64_t i = 0; i < s->batch.count; i++, ol_walk_next(&s->batch))
        product(a + s->batch.at[0] * s->m * s->k, b + s->batch.at[1] * s->k * s->n, y + i * s->m * s->n, s->m, s->k,
                s->n);
    *out = y;
    return OLV_OK;
}

static olv_status eval_int(ol_eval *c, ol_matmul_shape *s, const ol_tensor *a, const ol_tensor *b, ol_tensor *y) {
    (void)c;
    for (int64_t o = 0, at = 0; o < s->batch.count; o++, ol_walk_next(&s->batch))
        for (int64_t i = 0; i < s->m; i++)
            for (int64_t j = 0; j < s->n; j++) {
                uint64_t sum = 0;
                for (int64_t p = 0; p < s->k; p++)
                    sum += (uint64_t)ol_tensor_i64(a, (s->batch.at[0] * s->m + i) * s->k + p) *
                           (uint64_t)ol_tensor_i64(b, (s->batch.at[1] * s->k + p) * s->n + j);
                ol_tensor_set_i64(y, at++, (int64_t)sum);
            }
    return OLV_OK;
}

static olv_status eval_matmul(ol_eval *c, olv_error *err) {
    const ol_tensor *a, *b;
    ol_tensor *y;
    ol_matmul_shape s;
    double *va = NULL, *vb = NULL, *vy = NULL;
    OL_TRY(ol_eval_need(c, 0, &a, err));
    OL_TRY(ol_eval_need(c, 1, &b, err));
    OL_TRY(ol_matmul_shape_init(&s, a, b, err));
    OL_TRY(ol_eval_out(c, 0, a->dtype, s.rank, s.dims, &y, err));
    if (ol_is_int(a->dtype)) return eval_int(c, &s, a, b, y);
    olv_status st = ol_tensor_f64(a, &va, err);
    if (st == OLV_OK) st = ol_tensor_f64(b, &vb, err);
    if (st == OLV_OK) st = ol_matmul_f64(&s, va, vb, &vy, err);
    if (st == OLV_OK) ol_tensor_store(y, vy);
    ol_free(va);
    ol_free(vb);
    ol_free(vy);
    return st;
}

static bool differ(ol_dim a, ol_dim b) { return ol_dim_known(a) && ol_dim_known(b) && a != b; }

olv_status ol_infer_matmul(ol_infer *c, olv_error *err) {
    const ol_type *a = ol_infer_in(c, 0), *b = ol_infer_in(c, 1);
    c->out[0].dtype = a->dtype;
    if (a->rank < 0 || b->rank < 0) return OLV_OK;
    if (a->rank < 1 || b->rank < 1) return ol_fail(err, OLV_SHAPE, "scalar found, rank 1 or more expected");
    ol_dim ka = a->dims[a->rank - 1], kb = b->dims[b->rank > 1 ? b->rank - 2 : 0];
    if (differ(ka, kb))
        return ol_fail(err, OLV_SHAPE, "inner sizes %lld and %lld differ", (long long)ka, (long long)kb);
    ol_type t = *a, tb = *b;
    t.rank = a->rank > 2 ? a->rank - 2 : 0;
    tb.rank = b->rank > 2 ? b->rank - 2 : 0;
    OL_TRY(ol_infer_broadcast(c, &t, &tb, err));
    if (a->rank > 1) t.dims[t.rank++] = a->dims[a->rank - 2];
    if (b->rank > 1) t.dims[t.rank++] = b->dims[b->rank - 1];
    c->out[0] = t;
    return OLV_OK;
}

static olv_status infer_gemm(ol_infer *c, olv_error *err) {
    const ol_type *a = ol_infer_in(c, 0), *b = ol_infer_in(c, 1);
    int ta = ol_node_int(c->node, "transA", 0) != 0, tb = ol_node_int(c->node, "transB", 0) != 0;
    OL_TRY(ol_infer_rank(c, 0, 2, 2, err));
    OL_TRY(ol_infer_rank(c, 1, 2, 2, err));
    ol_infer_set(c, 0, a->dtype, 2);
    if (a->rank == 2) c->out[0].dims[0] = a->dims[ta];
    if (b->rank == 2) c->out[0].dims[1] = b->dims[!tb];
    if (a->rank == 2 && b->rank == 2 && differ(a->dims[!ta], b->dims[tb]))
        return ol_fail(err, OLV_SHAPE, "inner sizes %lld and %lld differ", (long long)a->dims[!ta],
                       (long long)b->dims[tb]);
    return OLV_OK;
}

static olv_status eval_gemm(ol_eval *c, olv_error *err) {
    const ol_tensor *a, *b, *add = ol_eval_in(c, 2);
    ol_tensor *y;
    ol_walk w;
    OL_TRY(ol_eval_need(c, 0, &a, err));
    OL_TRY(ol_eval_need(c, 1, &b, err));
    if (a->rank != 2 || b->rank != 2) return ol_fail(err, OLV_SHAPE, "matrices expected");
    int ta = ol_node_int(c->node, "transA", 0) != 0, tb = ol_node_int(c->node, "transB", 0) != 0;
    int64_t m = a->dims[ta], k = a->dims[!ta], n = b->dims[!tb];
    if (b->dims[tb] != k)
        return ol_fail(err, OLV_SHAPE, "inner sizes %lld and %lld differ", (long long)k, (long long)b->dims[tb]);
    double alpha = (double)ol_node_float(c->node, "alpha", 1), beta = (double)ol_node_float(c->node, "beta", 1);
    OL_TRY(ol_eval_out(c, 0, a->dtype, 2, (int64_t[]){m, n}, &y, err));
    OL_TRY(ol_walk_init(&w, (const ol_tensor *[]){y, add ? add : y}, 2, err));
    if (w.count != m * n) return ol_fail(err, OLV_SHAPE, "the added matrix does not fit");
    for (int64_t i = 0; i < m; i++)
        for (int64_t j = 0; j < n; j++, ol_walk_next(&w)) {
            double sum = 0;
            for (int64_t p = 0; p < k; p++)
                sum += ol_tensor_get(a, ta ? p * m + i : i * k + p) * ol_tensor_get(b, tb ? j * k + p : p * n + j);
            sum *= alpha;
            ol_tensor_set(y, i * n + j, add ? sum + beta * ol_tensor_get(add, w.at[1]) : sum);
        }
    return OLV_OK;
}

static const ol_attr_spec gemm_attrs[] = {{"alpha", OL_ATTR_FLOAT, false}, {"beta", OL_ATTR_FLOAT, false},
                                          {"transA", OL_ATTR_INT, false}, {"transB", OL_ATTR_INT, false}};
extern const ol_op ol_op_MatMul, ol_op_Gemm;
const ol_op ol_op_MatMul = {"", "MatMul", "matrix product with broadcast leading dims", 2, 2, 1, 1, NULL, 0,
                            ol_infer_matmul, eval_matmul, NULL, false, false};
const ol_op ol_op_Gemm = {"", "Gemm", "alpha A B + beta C, with optional transposes", 2, 3, 1, 1, gemm_attrs, 4,
                          infer_gemm, eval_gemm, NULL, false, false};
