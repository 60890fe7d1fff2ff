/* SPDX-License-Identifier: Apache-2.0 */
/* Expand, Tile, Pad, Trilu: copies with repetition, borders or blanks. */
#include "ops/ops.h"

static olv_status shape_of(const ol_tensor *s, ol_tensor *shape, olv_error *err) {
    int64_t n = ol_tensor_count(s);
    if (n > OL_MAX_RANK) return ol_fail(err, OLV_LIMIT, "rank %lld", (long long)n);
    *shape = (ol_tensor){.rank = (int)n};
    for (int64_t i = 0; i < n; i++) {
        shape->dims[i] = ol_tensor_i64(s, i);
        if (shape->dims[i] < 0) return ol_fail(err, OLV_SHAPE, "size %lld", (long long)shape->dims[i]);
    }
    return OLV_OK;
}

static olv_status eval_expand(ol_eval *c, olv_error *err) {
    const ol_tensor *x, *s;
    ol_tensor *y, shape;
    ol_walk w;
    OL_TRY(ol_eval_need(c, 0, &x, err));
    OL_TRY(ol_eval_need(c, 1, &s, err));
    OL_TRY(shape_of(s, &shape, err));
    OL_TRY(ol_walk_init(&w, (const ol_tensor *[]){x, &shape}, 2, err));
    OL_TRY(ol_eval_out(c, 0, x->dtype, w.rank, w.dims, &y, err));
    for (int64_t i = 0; i < w.count; i++, ol_walk_next(&w)) ol_elems_copy(y, i, x, w.at[0], 1);
    return ol_tensor_own_strings(y, err);
}

static olv_status infer_expand(ol_infer *c, olv_error *err) {
    const ol_type *x = ol_infer_in(c, 0);
    ol_type t = {.rank = 0};
    bool open[OL_MAX_RANK] = {false}; /* sizes that are not known: one, or that of the input, or any for an input of one */
    c->out[0].dtype = x->dtype;
    int n = t.rank = ol_infer_sizes(c, 1, t.dims, OL_MAX_RANK);
    if (n < 0 || x->rank < 0) return OLV_OK;
    for (int i = 0; i < n; i++)
        if (t.dims[i] == OL_DIM_NONE) open[i] = true, t.dims[i] = 1;
        else if (ol_infer_is_negative(t.dims[i])) return ol_fail(err, OLV_SHAPE, "size %lld", (long long)ol_infer_decode(t.dims[i]));
    OL_TRY(ol_infer_broadcast(c, &t, x, err));
    for (int i = 0; i < n; i++) {
        ol_dim *d = &t.dims[t.rank - n + i];
        if (open[i] && (!ol_dim_known(*d) || *d == 1)) *d = ol_infer_fresh(c);
    }
    t.kind = OL_VALUE_TENSOR;
    t.dtype = x->dtype;
    c->out[0] = t;
    return OLV_OK;
}

static olv_status eval_tile(ol_eval *c, olv_error *err) {
    const ol_tensor *x, *r;
    ol_tensor *y, times = {0};
    int64_t dims[OL_MAX_RANK], index[OL_MAX_RANK] = {0};
    OL_TRY(ol_eval_need(c, 0, &x, err));
    OL_TRY(ol_eval_need(c, 1, &r, err));
    OL_TRY(shape_of(r, &times, err));
    if (times.rank != x->rank) return ol_fail(err, OLV_SHAPE, "%d repeats for rank %d", times.rank, x->rank);
    for (int i = 0; i < x->rank; i++)
        if (!ol_mul_i64(x->dims[i], times.dims[i], &dims[i])) return ol_fail(err, OLV_LIMIT, "tile too large");
    OL_TRY(ol_eval_out(c, 0, x->dtype, x->rank, dims, &y, err));
    for (int64_t i = 0, n = ol_tensor_count(y); i < n; i++) {
        int64_t from = 0;
        for (int d = 0; d < x->rank; d++) from = from * x->dims[d] + index[d] % x->dims[d];
        ol_elems_copy(y, i, x, from, 1);
        for (int d = x->rank - 1; d >= 0 && ++index[d] == dims[d]; d--) index[d] = 0;
    }
    return ol_tensor_own_strings(y, err);
}

static olv_status infer_tile(ol_infer *c, olv_error *err) {
    const ol_type *x = ol_infer_in(c, 0);
    ol_dim r[OL_MAX_RANK];
    (void)err;
    if (x->rank < 0) {
        c->out[0].dtype = x->dtype;
        return OLV_OK;
    }
    ol_infer_set(c, 0, x->dtype, x->rank);
    if (ol_infer_ints(c, 1, r, OL_MAX_RANK) != x->rank) return OLV_OK;
    for (int i = 0; i < x->rank; i++) {
        ol_dim d = ol_infer_is_negative(r[i]) ? OL_DIM_NONE : ol_dim_mul(c->graph->dims, x->dims[i], r[i]);
        if (d != OL_DIM_NONE) c->out[0].dims[i] = d;
    }
    return OLV_OK;
}

typedef enum pad_mode { CONSTANT, EDGE, REFLECT, WRAP, BAD } pad_mode;

static pad_mode mode_of(const ol_node *n) {
    static const char *const names[] = {"constant", "edge", "reflect", "wrap"};
    ol_str m = ol_node_string(n, "mode", "constant");
    for (int i = 0; i < 4; i++)
        if (ol_str_is(m, names[i])) return (pad_mode)i;
    return BAD;
}

/* Source index of place i, -1 for the constant. */
static int64_t source(pad_mode m, int64_t i, int64_t n) {
    if (i >= 0 && i < n) return i;
    if (m == CONSTANT || n == 0) return -1;
    if (m == EDGE) return i < 0 ? 0 : n - 1;
    if (m == WRAP) return ((i % n) + n) % n;
    if (n == 1) return 0;
    int64_t period = 2 * (n - 1), r = ((i % period) + period) % period;
    return r < n ? r : period - r;
}

static olv_status get_pads(ol_eval *c, const ol_tensor *x, int64_t *before, int64_t *dims, olv_error *err) {
    const ol_tensor *p, *axes = ol_eval_in(c, 3);
    OL_TRY(ol_eval_need(c, 1, &p, err));
    int64_t n = axes ? ol_tensor_count(axes) : x->rank;
    if (ol_tensor_count(p) != 2 * n || n > x->rank) return ol_fail(err, OLV_SHAPE, "pads do not fit");
    for (int i = 0; i < x->rank; i++) {
        before[i] = 0;
        dims[i] = x->dims[i];
    }
    for (int i = 0; i < (int)n; i++) {
        int a = i;
        if (axes) OL_TRY(ol_axis(ol_tensor_i64(axes, i), x->rank, false, &a, err));
        before[a] = ol_tensor_i64(p, i);
        if (!ol_add_i64(dims[a], before[a], &dims[a]) || !ol_add_i64(dims[a], ol_tensor_i64(p, i + n), &dims[a]) || dims[a] < 0)
            return ol_fail(err, OLV_SHAPE, "pads of dimension %d leave no valid size", a);
    }
    return OLV_OK;
}

static olv_status eval_pad(ol_eval *c, olv_error *err) {
    const ol_tensor *x, *value = ol_eval_in(c, 2);
    ol_tensor *y;
    int64_t before[OL_MAX_RANK], dims[OL_MAX_RANK], index[OL_MAX_RANK] = {0};
    pad_mode m = mode_of(c->node);
    OL_TRY(ol_eval_need(c, 0, &x, err));
    if (m == BAD) return ol_fail(err, OLV_UNSUPPORTED, "mode of Pad");
    OL_TRY(get_pads(c, x, before, dims, err));
    if (value && value->dtype != x->dtype) return ol_fail(err, OLV_SHAPE, "value of another type");
    OL_TRY(ol_eval_out(c, 0, x->dtype, x->rank, dims, &y, err));
    for (int64_t i = 0, n = ol_tensor_count(y); i < n; i++) {
        int64_t from = 0;
        for (int d = 0; d < x->rank && from >= 0; d++) {
            int64_t k = source(m, index[d] - before[d], x->dims[d]);
            from = k < 0 ? -1 : from * x->dims[d] + k;
        }
        if (from >= 0) ol_elems_copy(y, i, x, from, 1);
        else if (value) ol_elems_copy(y, i, value, 0, 1);
        for (int d = x->rank - 1; d >= 0 && ++index[d] == dims[d]; d--) index[d] = 0;
    }
    return ol_tensor_own_strings(y, err);
}

static olv_status infer_pad(ol_infer *c, olv_error *err) {
    const ol_type *x = ol_infer_in(c, 0);
    ol_dim p[2 * OL_MAX_RANK], axes[OL_MAX_RANK];
    c->out[0].dtype = x->dtype;
    if (x->rank < 0) return OLV_OK;
    ol_infer_set(c, 0, x->dtype, x->rank);
    int n = ol_infer_ints(c, 1, p, 2 * OL_MAX_RANK), na = ol_infer_in(c, 3) ? ol_infer_ints(c, 3, axes, OL_MAX_RANK) : x->rank;
    if (n < 0 || na < 0) return OLV_OK;
    if (n != 2 * na || na > x->rank) return ol_fail(err, OLV_SHAPE, "%d pads for rank %d", n, x->rank);
    for (int i = 0; i < x->rank; i++) c->out[0].dims[i] = x->dims[i];
    for (int i = 0; i < na; i++) {
        int a = i;
        if (ol_infer_in(c, 3)) OL_TRY(ol_axis(ol_infer_decode(axes[i]), x->rank, false, &a, err));
        ol_dim d = x->dims[a];
        for (int k = i; k < n; k += na) {
            int64_t v = ol_infer_decode(p[k]);
            if (d == OL_DIM_NONE) break;
            d = ol_infer_is_negative(p[k]) ? ol_dim_sub(c->graph->dims, d, -v) : ol_dim_add(c->graph->dims, d, p[k]);
        }
        c->out[0].dims[a] = d == OL_DIM_NONE ? ol_infer_fresh(c) : d;
    }
    return OLV_OK;
}

static olv_status eval_trilu(ol_eval *c, olv_error *err) {
    const ol_tensor *x, *kt = ol_eval_in(c, 1);
    ol_tensor *y;
    OL_TRY(ol_eval_need(c, 0, &x, err));
    if (x->rank < 2 || (kt && ol_tensor_count(kt) != 1)) return ol_fail(err, OLV_SHAPE, "matrices expected");
    int64_t k = kt ? ol_tensor_i64(kt, 0) : 0, m = x->dims[x->rank - 2], n = x->dims[x->rank - 1];
    bool upper = ol_node_int(c->node, "upper", 1) != 0;
    OL_TRY(ol_eval_out(c, 0, x->dtype, x->rank, x->dims, &y, err));
    for (int64_t i = 0, count = ol_tensor_count(x); i < count; i++) {
        int64_t d = i % n - i / n % m;
        if (upper ? d >= k : d <= k) ol_elems_copy(y, i, x, i, 1);
    }
    return OLV_OK;
}

static const ol_attr_spec pad_attrs[] = {{"mode", OL_ATTR_STRING, false}};
static const ol_attr_spec trilu_attrs[] = {{"upper", OL_ATTR_INT, false}};
extern const ol_op ol_op_Expand, ol_op_Tile, ol_op_Pad, ol_op_Trilu;
const ol_op ol_op_Expand = {"", "Expand", "broadcast to a shape", 2, 2, 1, 1, NULL, 0, infer_expand, eval_expand, NULL, false, false};
const ol_op ol_op_Tile = {"", "Tile", "repeats along each dim", 2, 2, 1, 1, NULL, 0, infer_tile, eval_tile, NULL, false, false};
const ol_op ol_op_Pad = {"", "Pad", "borders, or crops where negative", 2, 4, 1, 1, pad_attrs, 1, infer_pad, eval_pad, NULL, false, false};
const ol_op ol_op_Trilu = {"", "Trilu", "upper or lower triangle", 1, 2, 1, 1, trilu_attrs, 1, ol_infer_same, eval_trilu, NULL, false, false};
