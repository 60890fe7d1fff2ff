/* SPDX-License-Identifier: Apache-2.0 */
/* TopK, ArgMax and ArgMin along an axis. Equal values: the lower index first. */
#include "ops/ops.h"
#include <stdlib.h>

typedef struct item {
    double v;
    int64_t exact; /* of integers */
    int64_t index;
} item;

static int by_value(const item *a, const item *b) {
    if (a->v != b->v || isnan(a->v) || isnan(b->v)) {
        bool na = isnan(a->v), nb = isnan(b->v); /* NaN counts as the largest */
        if (na || nb) return na - nb;
        return a->v < b->v ? -1 : 1;
    }
    return (a->exact > b->exact) - (a->exact < b->exact);
}
static int by_index(const item *a, const item *b) { return (a->index > b->index) - (a->index < b->index); }
static int rising(const void *a, const void *b) {
    int r = by_value(a, b);
    return r ? r : by_index(a, b);
}
static int falling(const void *a, const void *b) {
    int r = by_value(b, a);
    return r ? r : by_index(a, b);
}
static int positions(const void *a, const void *b) { return by_index(a, b); }

static void fill(const ol_tensor *x, int64_t at, int64_t step, int64_t n, item *items) {
    bool is_int = ol_is_int(x->dtype);
    for (int64_t i = 0; i < n; i++)
        items[i] = (item){ol_tensor_get(x, at + i * step), is_int ? ol_tensor_i64(x, at + i * step) : 0, i};
}

static olv_status eval_topk(ol_eval *c, olv_error *err) {
    const ol_tensor *x, *kt;
    ol_tensor *y, *ix;
    int axis;
    int64_t dims[OL_MAX_RANK];
    OL_TRY(ol_eval_need(c, 0, &x, err));
    OL_TRY(ol_eval_need(c, 1, &kt, err));
    OL_TRY(ol_axis(ol_node_int(c->node, "axis", -1), x->rank, false, &axis, err));
    int64_t k = ol_tensor_count(kt) == 1 ? ol_tensor_i64(kt, 0) : -1, n = x->dims[axis];
    if (k < 0 || k > n) return ol_fail(err, OLV_SHAPE, "k = %lld found for %lld elements", (long long)k, (long long)n);
    memcpy(dims, x->dims, sizeof dims);
    dims[axis] = k;
    OL_TRY(ol_eval_out(c, 0, x->dtype, x->rank, dims, &y, err));
    OL_TRY(ol_eval_out(c, 1, OL_I64, x->rank, dims, &ix, err));
    bool largest = ol_node_int(c->node, "largest", 1) != 0, sorted = ol_node_int(c->node, "sorted", 1) != 0;
    int64_t outer = ol_dims_count(dims, 0, axis), inner = ol_dims_count(dims, axis + 1, x->rank);
    item *items = ol_calloc((size_t)n + 1, sizeof *items);
    if (!items) return ol_fail(err, OLV_NOMEM, "no memory to sort %lld elements", (long long)n);
    for (int64_t o = 0; o < outer; o++)
        for (int64_t i = 0; i < inner; i++) {
            fill(x, o * n * inner + i, inner, n, items);
            qsort(items, (size_t)n, sizeof *items, largest ? falling : rising);
            if (!sorted) qsort(items, (size_t)k, sizeof *items, positions);
            for (int64_t j = 0; j < k; j++) {
                int64_t to = (o * k + j) * inner + i;
                ol_elems_copy(y, to, x, (o * n + items[j].index) * inner + i, 1);
                ol_tensor_set_i64(ix, to, items[j].index);
            }
        }
    ol_free(items);
    return OLV_OK;
}

static olv_status infer_topk(ol_infer *c, olv_error *err) {
    const ol_type *x = ol_infer_in(c, 0);
    ol_dim k[1];
    int axis;
    for (int i = 0; i < c->node->n_outputs; i++) c->out[i] = *x;
    if (c->node->n_outputs > 1) c->out[1].dtype = OL_I64;
    if (x->rank < 0) return OLV_OK;
    OL_TRY(ol_axis(ol_node_int(c->node, "axis", -1), x->rank, false, &axis, err));
    ol_dim d = ol_infer_ints(c, 1, k, 1) == 1 ? k[0] : ol_infer_fresh(c);
    if (ol_infer_is_negative(d)) return ol_fail(err, OLV_SHAPE, "k is negative");
    for (int i = 0; i < c->node->n_outputs; i++) c->out[i].dims[axis] = d;
    return OLV_OK;
}

static olv_status eval_arg(ol_eval *c, bool max, olv_error *err) {
    const ol_tensor *x;
    ol_tensor *y;
    int axis, rank = 0;
    int64_t dims[OL_MAX_RANK];
    OL_TRY(ol_eval_need(c, 0, &x, err));
    OL_TRY(ol_axis(ol_node_int(c->node, "axis", 0), x->rank, false, &axis, err));
    bool keep = ol_node_int(c->node, "keepdims", 1) != 0, last = ol_node_int(c->node, "select_last_index", 0) != 0;
    for (int i = 0; i < x->rank; i++)
        if (i != axis || keep) dims[rank++] = i == axis ? 1 : x->dims[i];
    int64_t n = x->dims[axis], outer = ol_dims_count(x->dims, 0, axis);
    int64_t inner = ol_dims_count(x->dims, axis + 1, x->rank);
    if (n == 0 && outer * inner > 0) return ol_fail(err, OLV_SHAPE, "no elements along the axis");
    OL_TRY(ol_eval_out(c, 0, OL_I64, rank, dims, &y, err));
    for (int64_t o = 0; o < outer; o++)
        for (int64_t i = 0; i < inner; i++) {
            item best = {0, 0, 0}, next;
            for (int64_t j = 0; j < n; j++) {
                fill(x, (o * n + j) * inner + i, 1, 1, &next);
                int r = j ? by_value(&next, &best) * (max ? 1 : -1) : 1;
                if (r > 0 || (r == 0 && last)) {
                    best = next;
                    best.index = j;
                }
            }
            ol_tensor_set_i64(y, o * inner + i, best.index);
        }
    return OLV_OK;
}

static olv_status infer_arg(ol_infer *c, olv_error *err) {
    const ol_type *x = ol_infer_in(c, 0);
    int axis;
    c->out[0].dtype = OL_I64;
    if (x->rank < 0) return OLV_OK;
    OL_TRY(ol_axis(ol_node_int(c->node, "axis", 0), x->rank, false, &axis, err));
    ol_type t = {.dtype = OL_I64, .rank = 0};
    for (int i = 0; i < x->rank; i++)
        if (i != axis || ol_node_int(c->node, "keepdims", 1)) t.dims[t.rank++] = i == axis ? 1 : x->dims[i];
    c->out[0] = t;
    return OLV_OK;
}

static olv_status eval_max(ol_eval *c, olv_error *err) { return eval_arg(c, true, err); }
static olv_status eval_min(ol_eval *c, olv_error *err) { return eval_arg(c, false, err); }

static const ol_attr_spec topk_attrs[] = {{"axis", OL_ATTR_INT, false}, {"largest", OL_ATTR_INT, false},
                                          {"sorted", OL_ATTR_INT, false}};
static const ol_attr_spec arg_attrs[] = {{"axis", OL_ATTR_INT, false}, {"keepdims", OL_ATTR_INT, false},
                                         {"select_last_index", OL_ATTR_INT, false}};
extern const ol_op ol_op_TopK, ol_op_ArgMax, ol_op_ArgMin;
const ol_op ol_op_TopK = {"", "TopK", "the k largest or smallest elements along an axis, and their indices", 2, 2, 1, 2,
                          topk_attrs, 3, infer_topk, eval_topk, NULL, false, false};
const ol_op ol_op_ArgMax = {"", "ArgMax", "index of the largest element", 1, 1, 1, 1, arg_attrs, 3, infer_arg, eval_max,
                            NULL, false, false};
const ol_op ol_op_ArgMin = {"", "ArgMin", "index of the smallest element", 1, 1, 1, 1, arg_attrs, 3, infer_arg, eval_min,
                            NULL, false, false};
