/* SPDX-License-Identifier: Apache-2.0 */
/* AveragePool, MaxPool, LpPool and their global forms. */
#include "ops/window.h"

typedef enum kind { AVERAGE, MAX, LP } kind;

static olv_status kernel_of(const ol_node *n, const int64_t **kernel, int count, olv_error *err) {
    size_t have;
    *kernel = ol_node_ints(n, "kernel_shape", &have);
    return *kernel && (count < 0 || have == (size_t)count) ? OLV_OK : ol_fail(err, OLV_SHAPE, "kernel_shape of %zu", have);
}

static olv_status infer(ol_infer *c, olv_error *err) {
    const ol_type *x = ol_infer_in(c, 0);
    const int64_t *kernel;
    OL_TRY(kernel_of(c->node, &kernel, x->rank < 0 ? -1 : x->rank - 2, err));
    OL_TRY(ol_window_infer(c, x, kernel, x->rank > 1 ? x->dims[1] : 0, &c->out[0], err));
    if (c->node->n_outputs > 1) {
        c->out[1] = c->out[0];
        c->out[1].dtype = OL_I64;
    }
    return OLV_OK;
}

/* Elements of a window that lie within data and padding: windows of ceil_mode reach beyond it. */
static int64_t padded_taps(const ol_window *w, const int64_t *o) {
    int64_t n = 1;
    for (int i = 0; i < w->n; i++) {
        int64_t k = 0;
        for (int64_t t = 0; t < w->kernel[i]; t++) k += o[i] * w->stride[i] - w->begin[i] + t * w->dilation[i] < w->in[i] + w->end[i];
        n *= k;
    }
    return n;
}

/* Index of a spatial place with the first dim running fastest. */
static int64_t column_major(const ol_window *w, int64_t at) {
    int64_t r = 0, index[OL_MAX_RANK];
    for (int i = w->n - 1; i >= 0; i--) {
        index[i] = at % w->in[i];
        at /= w->in[i];
    }
    for (int i = w->n - 1; i >= 0; i--) r = r * w->in[i] + index[i];
    return r;
}

static olv_status eval_kind(ol_eval *c, kind kd, olv_error *err) {
    const ol_tensor *x;
    ol_tensor *y, *ix = NULL;
    const int64_t *kernel;
    ol_window w;
    int64_t dims[OL_MAX_RANK];
    OL_TRY(ol_eval_need(c, 0, &x, err));
    if (x->rank < 3) return ol_fail(err, OLV_SHAPE, "rank %d", x->rank);
    int n = x->rank - 2;
    OL_TRY(kernel_of(c->node, &kernel, n, err));
    OL_TRY(ol_window_init(&w, c->node, n, x->dims + 2, kernel, err));
    memcpy(dims, x->dims, sizeof dims);
    memcpy(dims + 2, w.out, (size_t)n * sizeof *dims);
    OL_TRY(ol_eval_out(c, 0, x->dtype, x->rank, dims, &y, err));
    if (kd == MAX && c->node->n_outputs > 1) OL_TRY(ol_eval_out(c, 1, OL_I64, x->rank, dims, &ix, err));
    int64_t in = ol_dims_count(w.in, 0, n), out = ol_dims_count(w.out, 0, n), planes = x->dims[0] * x->dims[1];
    bool include = ol_node_int(c->node, "count_include_pad", 0) != 0, columns = ol_node_int(c->node, "storage_order", 0) != 0;
    double p = (double)ol_node_int(c->node, "p", 2);
    for (int64_t b = 0; b < planes && out > 0; b++) {
        int64_t o[OL_MAX_RANK] = {0}, at = 0;
        do {
            int64_t k[OL_MAX_RANK] = {0}, count = 0, best = -1;
            double acc = kd == MAX ? -INFINITY : 0;
            do {
                int64_t place = ol_window_tap(&w, o, k);
                if (place < 0) continue;
                double v = ol_tensor_get(x, b * in + place);
                if (kd == MAX && (best < 0 || v > acc)) best = place;
                acc = kd == MAX ? (v > acc || isnan(v) ? v : acc) : kd == LP ? acc + pow(fabs(v), p) : acc + v;
                count++;
            } while (ol_index_next(k, w.kernel, n));
            if (kd == AVERAGE) acc /= (double)(include ? padded_taps(&w, o) : count ? count : 1);
            if (kd == LP) acc = pow(acc, 1 / p);
            ol_tensor_set(y, b * out + at, acc);
            if (ix) ol_tensor_set_i64(ix, b * out + at, b * in + (columns ? column_major(&w, best) : best));
            at++;
        } while (ol_index_next(o, w.out, n));
    }
    return OLV_OK;
}

static olv_status eval_average(ol_eval *c, olv_error *err) { return eval_kind(c, AVERAGE, err); }
static olv_status eval_max(ol_eval *c, olv_error *err) { return eval_kind(c, MAX, err); }
static olv_status eval_lp(ol_eval *c, olv_error *err) { return eval_kind(c, LP, err); }

static olv_status eval_global(ol_eval *c, kind kd, olv_error *err) {
    const ol_tensor *x;
    ol_tensor *y;
    int64_t dims[OL_MAX_RANK];
    OL_TRY(ol_eval_need(c, 0, &x, err));
    if (x->rank < 2) return ol_fail(err, OLV_SHAPE, "rank %d", x->rank);
    for (int i = 0; i < x->rank; i++) dims[i] = i < 2 ? x->dims[i] : 1;
    OL_TRY(ol_eval_out(c, 0, x->dtype, x->rank, dims, &y, err));
    int64_t n = ol_dims_count(x->dims, 2, x->rank);
    double p = (double)ol_node_int(c->node, "p", 2);
    for (int64_t b = 0, m = ol_tensor_count(y); b < m; b++) {
        double acc = kd == MAX ? -INFINITY : 0;
        for (int64_t i = 0; i < n; i++) {
            double v = ol_tensor_get(x, b * n + i);
            acc = kd == MAX ? fmax(acc, v) : kd == LP ? acc + pow(fabs(v), p) : acc + v / (double)n;
        }
        ol_tensor_set(y, b, kd == LP ? pow(acc, 1 / p) : acc);
    }
    return OLV_OK;
}

static olv_status infer_global(ol_infer *c, olv_error *err) {
    (void)err;
    c->out[0] = *ol_infer_in(c, 0);
    for (int i = 2; i < c->out[0].rank; i++) c->out[0].dims[i] = 1;
    return OLV_OK;
}
static olv_status global_average(ol_eval *c, olv_error *err) { return eval_global(c, AVERAGE, err); }
static olv_status global_max(ol_eval *c, olv_error *err) { return eval_global(c, MAX, err); }
static olv_status global_lp(ol_eval *c, olv_error *err) { return eval_global(c, LP, err); }

/* MaxUnpool: values go back to their places in the larger tensor. */
static olv_status eval_unpool(ol_eval *c, olv_error *err) {
    const ol_tensor *x, *ix, *shape = ol_eval_in(c, 2);
    ol_tensor *y;
    size_t nk, ns, np;
    const int64_t *k = ol_node_ints(c->node, "kernel_shape", &nk), *st = ol_node_ints(c->node, "strides", &ns), *pads = ol_node_ints(c->node, "pads", &np);
    int64_t dims[OL_MAX_RANK], small[OL_MAX_RANK];
    OL_TRY(ol_eval_need(c, 0, &x, err));
    OL_TRY(ol_eval_need(c, 1, &ix, err));
    size_t n = (size_t)x->rank - 2;
    if (x->rank < 3 || nk != n || (st && ns != n) || (pads && np != 2 * n) || ol_tensor_count(ix) != ol_tensor_count(x) || (shape && ol_tensor_count(shape) != x->rank))
        return ol_fail(err, OLV_SHAPE, "indices or kernel do not fit");
    for (int i = 0; i < x->rank; i++) {
        size_t d = (size_t)(i - 2);
        small[i] = i < 2 ? x->dims[i] : (x->dims[i] - 1) * (st ? st[d] : 1) + k[d] - (pads ? pads[d] + pads[n + d] : 0);
        dims[i] = shape ? ol_tensor_i64(shape, i) : small[i];
    }
    OL_TRY(ol_eval_out(c, 0, x->dtype, x->rank, dims, &y, err));
    for (int64_t i = 0, m = ol_tensor_count(x), total = ol_dims_count(small, 0, x->rank); i < m; i++) {
        int64_t at = ol_tensor_i64(ix, i), to = 0, step = 1;
        if (at < 0 || at >= total) return ol_fail(err, OLV_ARG, "index %lld", (long long)at);
        bool inside = true;
        for (int d = x->rank - 1; d >= 0; d--) {
            int64_t p = at % small[d];
            at /= small[d];
            inside &= p < dims[d];
            to += p * step;
            step *= dims[d];
        }
        if (inside) ol_elems_copy(y, to, x, i, 1);
    }
    return OLV_OK;
}

static olv_status infer_unpool(ol_infer *c, olv_error *err) {
    const ol_type *x = ol_infer_in(c, 0);
    size_t nk, ns, np;
    const int64_t *k = ol_node_ints(c->node, "kernel_shape", &nk), *st = ol_node_ints(c->node, "strides", &ns), *pads = ol_node_ints(c->node, "pads", &np);
    ol_infer_set(c, 0, x->dtype, x->rank);
    for (int i = 0; i < 2 && i < x->rank; i++) c->out[0].dims[i] = x->dims[i];
    if (x->rank < 3 || (c->node->n_inputs > 2 && ol_infer_in(c, 2))) return OLV_OK;
    size_t n = (size_t)x->rank - 2;
    if (nk != n || (st && ns != n) || (pads && np != 2 * n)) return ol_fail(err, OLV_SHAPE, "kernel, strides or pads do not fit");
    for (size_t d = 0; d < n; d++) {
        ol_dim size = x->dims[d + 2];
        int64_t more = k[d] - (pads ? pads[d] + pads[n + d] : 0);
        if (ol_dim_known(size) && size > 0 && size < INT32_MAX && (size = (size - 1) * (st ? st[d] : 1) + more) >= 0)
            c->out[0].dims[d + 2] = size;
    }
    return OLV_OK;
}

#define FORM {"auto_pad", OL_ATTR_STRING, false}, {"ceil_mode", OL_ATTR_INT, false}, {"dilations", OL_ATTR_INTS, false}, \
    {"kernel_shape", OL_ATTR_INTS, true}, {"pads", OL_ATTR_INTS, false}, {"strides", OL_ATTR_INTS, false}
static const ol_attr_spec average_attrs[] = {FORM, {"count_include_pad", OL_ATTR_INT, false}};
static const ol_attr_spec max_attrs[] = {FORM, {"storage_order", OL_ATTR_INT, false}};
static const ol_attr_spec lp_attrs[] = {FORM, {"p", OL_ATTR_INT, false}};
static const ol_attr_spec p_attrs[] = {{"p", OL_ATTR_INT, false}};
static const ol_attr_spec unpool_attrs[] = {{"kernel_shape", OL_ATTR_INTS, true}, {"pads", OL_ATTR_INTS, false}, {"strides", OL_ATTR_INTS, false}};
extern const ol_op ol_op_AveragePool, ol_op_MaxPool, ol_op_LpPool, ol_op_GlobalAveragePool, ol_op_GlobalMaxPool, ol_op_GlobalLpPool, ol_op_MaxUnpool;
const ol_op ol_op_AveragePool = {"", "AveragePool", "mean of each window", 1, 1, 1, 1, average_attrs, 7, infer, eval_average, NULL, false, false};
const ol_op ol_op_MaxPool = {"", "MaxPool", "largest of each window, and its index", 1, 1, 1, 2, max_attrs, 7, infer, eval_max, NULL, false, false};
const ol_op ol_op_LpPool = {"", "LpPool", "p-norm of each window", 1, 1, 1, 1, lp_attrs, 7, infer, eval_lp, NULL, false, false};
const ol_op ol_op_GlobalAveragePool = {"", "GlobalAveragePool", "mean of each channel", 1, 1, 1, 1, NULL, 0, infer_global, global_average, NULL, false, false};
const ol_op ol_op_GlobalMaxPool = {"", "GlobalMaxPool", "largest of each channel", 1, 1, 1, 1, NULL, 0, infer_global, global_max, NULL, false, false};
const ol_op ol_op_GlobalLpPool = {"", "GlobalLpPool", "p-norm of each channel", 1, 1, 1, 1, p_attrs, 1, infer_global, global_lp, NULL, false, false};
const ol_op ol_op_MaxUnpool = {"", "MaxUnpool", "values of MaxPool back at their places", 2, 3, 1, 1, unpool_attrs, 3, infer_unpool, eval_unpool, NULL, false, false};
