/* SPDX-License-Identifier: Apache-2.0 */
/* Pieces of type inference that many operators use. */
#include "ops/ops.h"

olv_status ol_infer_same(ol_infer *c, olv_error *err) {
    (void)err;
    const ol_type *x = ol_infer_in(c, 0);
    if (x)
        for (int i = 0; i < c->node->n_outputs; i++) c->out[i] = *x;
    return OLV_OK;
}

/* Broadcast of two dims; a symbol beside a size other than 1 is taken to be that size or one. */
static ol_dim broadcast_dim(ol_infer *c, ol_dim a, ol_dim b) {
    if (ol_dim_known(a) && ol_dim_known(b)) return a == b || b == 1 ? a : a == 1 ? b : OL_DIM_NONE;
    if (ol_dim_known(a)) return a == 1 ? b : a;
    if (ol_dim_known(b)) return b == 1 ? a : b;
    ol_dim m = ol_dim_joint(c->graph->dims, a, b);
    return m == OL_DIM_NONE ? ol_infer_fresh(c) : m;
}

olv_status ol_infer_broadcast(ol_infer *c, ol_type *out, const ol_type *in, olv_error *err) {
    if (out->rank < 0 || in->rank < 0) {
        out->rank = -1;
        return OLV_OK;
    }
    ol_type r = *out;
    r.rank = out->rank > in->rank ? out->rank : in->rank;
    for (int i = 0; i < r.rank; i++) {
        int ia = i - (r.rank - out->rank), ib = i - (r.rank - in->rank);
        ol_dim a = ia < 0 ? 1 : out->dims[ia], b = ib < 0 ? 1 : in->dims[ib];
        r.dims[i] = broadcast_dim(c, a, b);
        if (r.dims[i] == OL_DIM_NONE)
            return ol_fail(err, OLV_SHAPE, "sizes %lld and %lld of dimension %d do not broadcast", (long long)a,
                           (long long)b, i);
    }
    *out = r;
    return OLV_OK;
}

olv_status ol_infer_elementwise(ol_infer *c, olv_error *err) {
    ol_type t = {.kind = OL_VALUE_TENSOR, .rank = 0};
    for (int i = 0; i < c->node->n_inputs; i++) {
        const ol_type *x = ol_infer_in(c, i);
        if (!x) continue;
        if (t.dtype == OL_DTYPE_NONE) t.dtype = x->dtype;
        OL_TRY(ol_infer_broadcast(c, &t, x, err));
    }
    for (int i = 0; i < c->node->n_outputs; i++) c->out[i] = t;
    return OLV_OK;
}

olv_status ol_infer_compare(ol_infer *c, olv_error *err) {
    OL_TRY(ol_infer_elementwise(c, err));
    c->out[0].dtype = OL_BOOL;
    return OLV_OK;
}

ol_type ol_infer_join(ol_infer *c, const ol_type *a, const ol_type *b) {
    ol_type t = *a;
    if (a->dtype != b->dtype) t.dtype = OL_DTYPE_NONE;
    if (a->rank != b->rank || a->kind != b->kind) t.rank = -1;
    for (int i = 0; i < t.rank; i++)
        if (a->dims[i] != b->dims[i]) t.dims[i] = ol_infer_fresh(c);
    return t;
}

void ol_infer_give(ol_graph *body, int i, const ol_type *t, bool shape, bool *news) {
    ol_type *have = &body->inputs[i]->type;
    if (have->kind != t->kind) return;
    if (have->dtype == OL_DTYPE_NONE && t->dtype != OL_DTYPE_NONE) {
        have->dtype = t->dtype;
        *news = true;
    }
    if (!shape || t->rank < 0 || (have->rank >= 0 && have->rank != t->rank)) return;
    for (int d = 0; d < t->rank; d++) {
        if (have->rank >= 0 && (ol_dim_known(have->dims[d]) || !ol_dim_known(t->dims[d]))) continue;
        have->dims[d] = t->dims[d];
        *news = true;
    }
    *news |= have->rank < 0;
    have->rank = t->rank;
}

ol_dim ol_infer_fresh(ol_infer *c) { return ol_dim_fresh(c->graph->dims, "d"); }

void ol_infer_set(ol_infer *c, int i, ol_dtype dtype, int rank) {
    if (i >= c->node->n_outputs) return;
    c->out[i] = (ol_type){.kind = OL_VALUE_TENSOR, .dtype = dtype, .rank = rank};
    for (int k = 0; k < rank && k < OL_MAX_RANK; k++) c->out[i].dims[k] = ol_infer_fresh(c);
}

olv_status ol_axis(int64_t axis, int rank, bool past, int *out, olv_error *err) {
    int64_t n = rank + (past ? 1 : 0);
    if (axis < -rank || axis >= n)
        return ol_fail(err, OLV_SHAPE, "axis %lld found for rank %d", (long long)axis, rank);
    *out = (int)(axis < 0 ? axis + rank : axis);
    return OLV_OK;
}

olv_status ol_infer_rank(const ol_infer *c, int i, int min, int max, olv_error *err) {
    const ol_type *x = ol_infer_in(c, i);
    if (!x || x->rank < 0 || (x->rank >= min && x->rank <= max)) return OLV_OK;
    return ol_fail(err, OLV_SHAPE, "input %d of rank %d found, %d to %d expected", i, x->rank, min, max);
}
