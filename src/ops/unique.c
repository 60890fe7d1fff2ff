/* SPDX-License-Identifier: Apache-2.0 */
/* Unique: the different elements, or the different slices along an axis, sorted or in the order of
 * their first places; with the first place, the number of each, and which of them each item is.
 * NaN is equal to NaN and greater than all numbers. */
#include "ops/ops.h"

typedef struct items {
    const ol_tensor *x;
    int64_t n, outer, inner; /* items; item i has elements (o * n + i) * inner + k */
    int64_t *order, *room;
} items;

static int compare_elements(const ol_tensor *x, int64_t a, int64_t b) {
    char class = ol_dtype_class(x->dtype);
    if (class == 'z') {
        const ol_str *s = (const ol_str *)x->data;
        size_t least = s[a].len < s[b].len ? s[a].len : s[b].len;
        int r = least ? memcmp(s[a].ptr, s[b].ptr, least) : 0;
        return r ? r : (s[a].len > s[b].len) - (s[a].len < s[b].len);
    }
    if (class == 'f') {
        double u = ol_tensor_get(x, a), v = ol_tensor_get(x, b);
        if (isnan(u) || isnan(v)) return (isnan(u) != 0) - (isnan(v) != 0);
        return (u > v) - (u < v);
    }
    int64_t u = ol_tensor_i64(x, a), v = ol_tensor_i64(x, b);
    if (class == 'u') return ((uint64_t)u > (uint64_t)v) - ((uint64_t)u < (uint64_t)v);
    return (u > v) - (u < v);
}

static int compare(const items *t, int64_t a, int64_t b) {
    for (int64_t o = 0; o < t->outer; o++)
        for (int64_t k = 0; k < t->inner; k++) {
            int64_t at = o * t->n * t->inner + k;
            int r = compare_elements(t->x, at + a * t->inner, at + b * t->inner);
            if (r) return r;
        }
    return 0;
}

/* Stable sort of the order by merging runs. */
static void sort(items *t) {
    for (int64_t run = 1; run < t->n; run *= 2) {
        for (int64_t from = 0; from < t->n; from += 2 * run) {
            int64_t mid = from + run < t->n ? from + run : t->n;
            int64_t end = mid + run < t->n ? mid + run : t->n, a = from, b = mid;
            for (int64_t to = from; to < end; to++) {
                bool left = b == end || (a < mid && compare(t, t->order[a], t->order[b]) <= 0);
                t->room[to] = left ? t->order[a++] : t->order[b++];
            }
        }
        int64_t *p = t->order;
        t->order = t->room;
        t->room = p;
    }
}

/* What is asked for, each of n entries: group of an item; first place and count of a group. */
typedef struct groups {
    int64_t n;
    int64_t *of, *first, *count, *renamed;
} groups;

static void find_groups(items *t, groups *g, bool sorted) {
    for (int64_t i = 0; i < t->n; i++) t->order[i] = i;
    sort(t);
    for (int64_t i = 0; i < t->n; i++) {
        int64_t item = t->order[i];
        if (i == 0 || compare(t, t->order[i - 1], item)) {
            g->first[g->n] = item; /* the sort is stable: the first place of its value */
            g->count[g->n++] = 0;
        }
        g->of[item] = g->n - 1;
        g->count[g->n - 1]++;
    }
    if (sorted) return;
    int64_t n = 0;
    int64_t *first = t->order, *count = t->room;
    for (int64_t i = 0; i < t->n; i++) {
        int64_t old = g->of[i];
        if (g->first[old] == i) {
            g->renamed[old] = n;
            first[n] = i;
            count[n++] = g->count[old];
        }
        g->of[i] = g->renamed[old];
    }
    memcpy(g->first, first, (size_t)n * sizeof *first);
    memcpy(g->count, count, (size_t)n * sizeof *count);
}

static olv_status put_list(ol_eval *c, int i, int64_t n, const int64_t *v, olv_error *err) {
    ol_tensor *y;
    if (i >= c->node->n_outputs || !c->node->outputs[i]) return OLV_OK;
    OL_TRY(ol_eval_out(c, i, OL_I64, 1, &n, &y, err));
    if (n) memcpy(y->data, v, (size_t)n * sizeof *v);
    return OLV_OK;
}

static olv_status put_all(ol_eval *c, const items *t, const groups *g, int axis, olv_error *err) {
    ol_tensor *y;
    int64_t dims[OL_MAX_RANK];
    memcpy(dims, t->x->dims, sizeof dims);
    if (axis < 0) dims[0] = g->n;
    else dims[axis] = g->n;
    OL_TRY(ol_eval_out(c, 0, t->x->dtype, axis < 0 ? 1 : t->x->rank, dims, &y, err));
    for (int64_t o = 0; o < t->outer; o++)
        for (int64_t i = 0; i < g->n; i++)
            ol_elems_copy(y, (o * g->n + i) * t->inner, t->x,
                          (o * t->n + g->first[i]) * t->inner, t->inner);
    OL_TRY(ol_tensor_own_strings(y, err));
    OL_TRY(put_list(c, 1, g->n, g->first, err));
    OL_TRY(put_list(c, 2, t->n, g->of, err));
    return put_list(c, 3, g->n, g->count, err);
}

static olv_status eval(ol_eval *c, olv_error *err) {
    items t = {.outer = 1, .inner = 1};
    groups g = {0};
    int axis = -1;
    OL_TRY(ol_eval_need(c, 0, &t.x, err));
    if (ol_dtype_class(t.x->dtype) == 'c') return ol_fail(err, OLV_UNSUPPORTED, "complex numbers");
    t.n = ol_tensor_count(t.x);
    if (ol_node_attr(c->node, "axis")) {
        OL_TRY(ol_axis(ol_node_int(c->node, "axis", 0), t.x->rank, false, &axis, err));
        t.n = t.x->dims[axis];
        t.outer = ol_dims_count(t.x->dims, 0, axis);
        t.inner = ol_dims_count(t.x->dims, axis + 1, t.x->rank);
    }
    int64_t *p = ol_calloc((size_t)t.n + 1, 6 * sizeof *p);
    if (!p) return ol_fail(err, OLV_NOMEM, "no memory for %lld items", (long long)t.n);
    t.order = p;
    t.room = p + t.n;
    g = (groups){0, p + 2 * t.n, p + 3 * t.n, p + 4 * t.n, p + 5 * t.n};
    find_groups(&t, &g, ol_node_int(c->node, "sorted", 1) != 0);
    olv_status s = put_all(c, &t, &g, axis, err);
    ol_free(p);
    return s;
}

static olv_status infer(ol_infer *c, olv_error *err) {
    const ol_type *x = ol_infer_in(c, 0);
    int axis;
    ol_infer_set(c, 0, x->dtype, 1);
    for (int i = 1; i < c->node->n_outputs; i++) ol_infer_set(c, i, OL_I64, 1);
    if (!ol_node_attr(c->node, "axis")) return OLV_OK;
    c->out[0].rank = -1;
    if (x->rank < 0) return OLV_OK;
    OL_TRY(ol_axis(ol_node_int(c->node, "axis", 0), x->rank, false, &axis, err));
    c->out[0] = *x;
    c->out[0].dims[axis] = ol_infer_fresh(c);
    if (c->node->n_outputs > 2) c->out[2].dims[0] = x->dims[axis];
    return OLV_OK;
}

static const ol_attr_spec attrs[] = {{"axis", OL_ATTR_INT, false}, {"sorted", OL_ATTR_INT, false}};
extern const ol_op ol_op_Unique;
const ol_op ol_op_Unique = {.domain = "", .name = "Unique", .summary = "different elements or slices",
                            .min_inputs = 1, .max_inputs = 1, .min_outputs = 1, .max_outputs = 4,
                            OL_ATTRS(attrs), .infer = infer, .eval = eval};
