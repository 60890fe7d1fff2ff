/* SPDX-License-Identifier: Apache-2.0 */
/* The reductions over axes (second input; none: all axes, or none at all with noop_with_empty_axes). */
#include "ops/ops.h"

typedef enum kind { SUM, MEAN, PROD, MAX, MIN, L1, L2, LOG_SUM, LOG_SUM_EXP, SUM_SQUARE } kind;

static olv_status mark(const int64_t *axes, int64_t n, int rank, bool noop, bool *r, olv_error *err) {
    for (int i = 0; i < rank; i++) r[i] = n == 0 && !noop;
    for (int64_t i = 0; i < n; i++) {
        int a;
        OL_TRY(ol_axis(axes[i], rank, false, &a, err));
        r[a] = true;
    }
    return OLV_OK;
}

static double start_of(kind k) { return k == PROD ? 1 : k == MAX || k == LOG_SUM_EXP ? -INFINITY : k == MIN ? INFINITY : 0; }

static double step(kind k, double acc, double v) {
    switch (k) {
    case PROD: return acc * v;
    case MAX: return isnan(acc) ? acc : isnan(v) || v > acc ? v : acc;
    case MIN: return isnan(acc) ? acc : isnan(v) || v < acc ? v : acc;
    case L1: return acc + fabs(v);
    case L2:
    case SUM_SQUARE: return acc + v * v;
    case LOG_SUM_EXP: { /* log(e^acc + e^v) */
        double m = fmax(acc, v);
        return isinf(m) ? m : m + log(exp(acc - m) + exp(v - m));
    }
    default: return acc + v;
    }
}

static double finish(kind k, double acc, int64_t n) {
    return k == MEAN ? acc / (double)n : k == L2 ? sqrt(acc) : k == LOG_SUM ? log(acc) : acc;
}

static int64_t int_start(kind k, ol_dtype t) {
    if (k == PROD) return 1;
    if (k != MAX && k != MIN) return 0;
    if (t == OL_BOOL) return k == MIN;
    ol_tensor x;
    if (ol_tensor_init(&x, t, 0, NULL, NULL) != OLV_OK) return 0;
    ol_elem_set(t, x.data, 0, k == MAX ? -1e30 : 1e30);
    int64_t v = ol_tensor_i64(&x, 0);
    ol_tensor_deinit(&x);
    return v;
}

static int64_t int_step(kind k, int64_t acc, int64_t v, bool u) {
    switch (k) {
    case PROD: return (int64_t)((uint64_t)acc * (uint64_t)v);
    case MAX: return (u ? (uint64_t)v > (uint64_t)acc : v > acc) ? v : acc;
    case MIN: return (u ? (uint64_t)v < (uint64_t)acc : v < acc) ? v : acc;
    case L1: return acc + (v < 0 && !u ? -v : v);
    case SUM_SQUARE: return (int64_t)((uint64_t)acc + (uint64_t)v * (uint64_t)v);
    default: return (int64_t)((uint64_t)acc + (uint64_t)v);
    }
}

static olv_status run(const ol_tensor *x, const bool *reduced, kind k, ol_tensor *y, olv_error *err) {
    int64_t stride[OL_MAX_RANK], index[OL_MAX_RANK] = {0}, s = 1, n = ol_tensor_count(x), m = ol_tensor_count(y), at = 0;
    bool exact = !ol_is_float(x->dtype) && k != L2 && k != LOG_SUM && k != LOG_SUM_EXP && k != MEAN;
    for (int i = x->rank - 1; i >= 0; i--) {
        stride[i] = reduced[i] ? 0 : s;
        if (!reduced[i]) s *= x->dims[i];
    }
    double *acc = ol_calloc((size_t)m, sizeof *acc);
    int64_t *sum = ol_calloc((size_t)m, sizeof *sum);
    for (int64_t i = 0; acc && sum && i < m; i++) {
        acc[i] = start_of(k);
        sum[i] = exact ? int_start(k, x->dtype) : 0;
    }
    for (int64_t i = 0; acc && sum && i < n; i++) {
        if (exact) sum[at] = int_step(k, sum[at], ol_tensor_i64(x, i), x->dtype == OL_U64);
        else acc[at] = step(k, acc[at], ol_tensor_get(x, i));
        for (int d = x->rank - 1; d >= 0; d--) {
            at += stride[d];
            if (++index[d] < x->dims[d]) break;
            at -= stride[d] * x->dims[d];
            index[d] = 0;
        }
    }
    for (int64_t i = 0; acc && sum && i < m; i++) {
        if (exact) ol_tensor_set_i64(y, i, sum[i]);
        else ol_tensor_set(y, i, finish(k, acc[i], m ? n / m : 0));
    }
    bool ok = acc && sum;
    ol_free(acc);
    ol_free(sum);
    return ok ? OLV_OK : ol_fail(err, OLV_NOMEM, "no memory to reduce");
}

static olv_status eval_kind(ol_eval *c, kind k, olv_error *err) {
    const ol_tensor *x, *t = ol_eval_in(c, 1);
    ol_tensor *y;
    bool reduced[OL_MAX_RANK], keep = ol_node_int(c->node, "keepdims", 1) != 0;
    int64_t *axes = NULL, n = 0, dims[OL_MAX_RANK];
    int rank = 0;
    OL_TRY(ol_eval_need(c, 0, &x, err));
    if (t) OL_TRY(ol_tensor_i64s(t, &axes, &n, err));
    olv_status s = mark(axes, n, x->rank, ol_node_int(c->node, "noop_with_empty_axes", 0) != 0, reduced, err);
    ol_free(axes);
    OL_TRY(s);
    for (int i = 0; i < x->rank; i++)
        if (!reduced[i] || keep) dims[rank++] = reduced[i] ? 1 : x->dims[i];
    OL_TRY(ol_eval_out(c, 0, x->dtype, rank, dims, &y, err));
    return run(x, reduced, k, y, err);
}

static olv_status infer(ol_infer *c, olv_error *err) {
    const ol_type *x = ol_infer_in(c, 0), *t = ol_infer_in(c, 1);
    bool keep = ol_node_int(c->node, "keepdims", 1) != 0, reduced[OL_MAX_RANK];
    ol_dim axes[OL_MAX_RANK];
    c->out[0].dtype = x->dtype;
    int n = t ? ol_infer_ints(c, 1, axes, OL_MAX_RANK) : 0;
    if (x->rank < 0) return OLV_OK;
    if (n < 0) {
        if (keep) ol_infer_set(c, 0, x->dtype, x->rank);
        return OLV_OK;
    }
    for (int i = 0; i < n; i++) axes[i] = ol_infer_decode(axes[i]);
    OL_TRY(mark(axes, n, x->rank, ol_node_int(c->node, "noop_with_empty_axes", 0) != 0, reduced, err));
    ol_type y = {.dtype = x->dtype, .rank = 0};
    for (int i = 0; i < x->rank; i++)
        if (!reduced[i] || keep) y.dims[y.rank++] = reduced[i] ? 1 : x->dims[i];
    c->out[0] = y;
    return OLV_OK;
}

static const ol_attr_spec attrs[] = {{"keepdims", OL_ATTR_INT, false}, {"noop_with_empty_axes", OL_ATTR_INT, false}};
#define REDUCE(X)                                                                                          \
    X(ReduceSum, SUM, "sum over axes") X(ReduceMean, MEAN, "mean over axes")                               \
    X(ReduceProd, PROD, "product over axes") X(ReduceMax, MAX, "largest over axes")                        \
    X(ReduceMin, MIN, "smallest over axes") X(ReduceL1, L1, "sum of magnitudes over axes")                 \
    X(ReduceL2, L2, "root of the sum of squares over axes")                                                \
    X(ReduceLogSum, LOG_SUM, "logarithm of the sum over axes")                                             \
    X(ReduceLogSumExp, LOG_SUM_EXP, "logarithm of the sum of exponentials over axes")                      \
    X(ReduceSumSquare, SUM_SQUARE, "sum of squares over axes")
#define DEFINE(Name, k, text)                                                                              \
    static olv_status eval_##Name(ol_eval *c, olv_error *err) { return eval_kind(c, k, err); }             \
    extern const ol_op ol_op_##Name;                                                                       \
    const ol_op ol_op_##Name = {"", #Name, text, 1, 2, 1, 1, attrs, 2, infer, eval_##Name, NULL, false, false};
REDUCE(DEFINE)
