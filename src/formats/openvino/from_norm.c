/* SPDX-License-Identifier: Apache-2.0 */
/* Normalizations, attention, Fourier transforms. */
#include "base/alloc.h"
#include "base/error.h"
#include "formats/openvino/reader.h"
#include <math.h>
#include <strings.h>

static ol_value *over(ol_ir *t, const char *op, ol_value *x, ol_value *axes) {
    ol_attr keep = ol_attr_int("keepdims", 1);
    return ol_ir_op(t, op, (ol_value *[]){x, axes}, 2, &keep, 1);
}

/* True when the axes are the last ones and their sizes are known: as LayerNormalization has it. */
static bool trailing(const ol_value *x, const int64_t *axes, int n, int64_t *first) {
    int rank = x->type.rank;
    bool seen[OL_MAX_RANK] = {false};
    if (n < 1 || rank < n) return false;
    for (int i = 0; i < n; i++) {
        int64_t a = axes[i] < 0 ? axes[i] + rank : axes[i];
        if (a < rank - n || a >= rank || seen[a] || !ol_dim_known(x->type.dims[a])) return false;
        seen[a] = true;
    }
    *first = -n;
    return true;
}

static ol_value *ones(ol_ir *t, const ol_value *x, int n) {
    ol_tensor one;
    int64_t dims[OL_MAX_RANK];
    for (int i = 0; i < n; i++) dims[i] = x->type.dims[x->type.rank - n + i];
    if (ol_tensor_init(&one, x->type.dtype, n, dims, t->err) != OLV_OK) {
        t->status = t->err->status;
        return NULL;
    }
    int64_t count = ol_tensor_count(&one);
    for (int64_t i = 0; i < count; i++) ol_elem_set(one.dtype, one.data, (uint64_t)i, 1);
    ol_const *c = ol_const_tensor(&one, t->err);
    ol_tensor_deinit(&one);
    ol_value *v = c ? ol_graph_add_constant(t->g, NULL, c, t->err) : NULL;
    if (!v) t->status = t->err->status;
    return v;
}

/* (x - mean) / sqrt(variance + eps), or over sqrt(variance) + eps. */
static void mvn_over(ol_ir *t, ol_value *x, ol_value *axes, bool variance, double eps, bool inside) {
    int64_t list[OL_MAX_RANK], first;
    int n = ol_ir_value_ints(axes, list, OL_MAX_RANK);
    if (t->status != OLV_OK) return;
    if (variance && inside && trailing(x, list, n, &first) && ol_dtype_class(x->type.dtype) == 'f') {
        ol_attr a[2] = {ol_attr_int("axis", first), ol_attr_float("epsilon", (float)eps)};
        ol_ir_result(t, 0, "LayerNormalization", (ol_value *[]){x, ones(t, x, n)}, 2, a, 2);
        return;
    }
    ol_value *d = ol_ir_binary(t, "Sub", x, over(t, "ReduceMean", x, axes));
    if (!variance) {
        ol_ir_set(t, 0, d);
        return;
    }
    ol_value *v = over(t, "ReduceMean", ol_ir_binary(t, "Mul", d, d), axes), *e = ol_ir_number(t, eps, x->type.dtype);
    v = inside ? ol_ir_unary(t, "Sqrt", ol_ir_binary(t, "Add", v, e)) : ol_ir_binary(t, "Add", ol_ir_unary(t, "Sqrt", v), e);
    ol_ir_result(t, 0, "Div", (ol_value *[]){d, v}, 2, NULL, 0);
}

/* Opset 2 has no input for the axes: all but the batch, and the channels too unless across_channels. */
static void mvn(ol_ir *t) {
    ol_value *x = ol_ir_need(t, 0), *axes;
    bool inside = ol_ir_text_is(t, "eps_mode", "inside_sqrt", "inside_sqrt");
    if (ol_ir_has(t, 1)) {
        axes = ol_ir_vector(t, ol_ir_in(t, 1));
    } else {
        int64_t list[OL_MAX_RANK];
        int rank = ol_ir_rank(t, x), n = 0;
        for (int i = ol_ir_flag(t, "across_channels", true) ? 1 : 2; i < rank; i++) list[n++] = i;
        axes = ol_ir_ints(t, list, n);
    }
    mvn_over(t, x, axes, ol_ir_flag(t, "normalize_variance", true), ol_ir_attr_real(t, "eps", 0), inside);
}

/* x / sqrt(sum of squares + eps), or over the larger of sum and eps. */
static void normalize_l2(ol_ir *t) {
    ol_value *x = ol_ir_need(t, 0), *sum = over(t, "ReduceSum", ol_ir_binary(t, "Mul", x, x), ol_ir_vector(t, ol_ir_need(t, 1)));
    ol_value *e = ol_ir_number(t, ol_ir_attr_real(t, "eps", 0), x ? x->type.dtype : OL_F32);
    sum = ol_ir_binary(t, ol_ir_text_is(t, "eps_mode", "add", "max") ? "Max" : "Add", sum, e);
    ol_ir_result(t, 0, "Div", (ol_value *[]){x, ol_ir_unary(t, "Sqrt", sum)}, 2, NULL, 0);
}

/* Opset 1 names the data third. */
static void batch_norm(ol_ir *t) {
    bool old = !strcmp(t->l->version, "opset1");
    static const int first[5] = {2, 0, 1, 3, 4};
    ol_value *in[5];
    for (int i = 0; i < 5; i++) in[i] = ol_ir_need(t, old ? first[i] : i);
    ol_attr a = ol_attr_float("epsilon", (float)ol_ir_attr_real(t, "epsilon", ol_ir_attr_real(t, "eps", 0)));
    ol_ir_result(t, 0, "BatchNormalization", in, 5, &a, 1);
}

static void group_norm(ol_ir *t) {
    ol_attr a[2] = {ol_attr_int("num_groups", ol_ir_attr_int(t, "num_groups", 1)), ol_attr_float("epsilon", (float)ol_ir_attr_real(t, "epsilon", 1e-5))};
    ol_ir_result(t, 0, "GroupNormalization", (ol_value *[]){ol_ir_need(t, 0), ol_ir_need(t, 1), ol_ir_need(t, 2)}, 3, a, 2);
}

static void lrn(ol_ir *t) {
    ol_value *x = ol_ir_need(t, 0);
    int64_t axes[OL_MAX_RANK];
    if (ol_ir_const_ints(t, 1, axes, OL_MAX_RANK) != 1 || axes[0] != 1) ol_ir_fail(t, OLV_UNSUPPORTED, "axes other than the channels");
    ol_attr a[4] = {ol_attr_float("alpha", (float)ol_ir_attr_real(t, "alpha", 1e-4)), ol_attr_float("beta", (float)ol_ir_attr_real(t, "beta", 0.75)),
                    ol_attr_float("bias", (float)ol_ir_attr_real(t, "bias", 1)), ol_attr_int("size", ol_ir_attr_int(t, "size", 1))};
    ol_ir_result(t, 0, "LRN", &x, 1, a, 4);
}

/* ---- attention ---- */

/* softmax(q k^T scale + mask) v of any equal rank. */
static void attend_plainly(ol_ir *t, ol_value *q, ol_value *k, ol_value *v, ol_value *mask, ol_value *scale) {
    int rank = ol_ir_rank(t, k);
    int64_t perm[OL_MAX_RANK];
    for (int i = 0; i < rank; i++) perm[i] = i;
    if (rank < 2) {
        ol_ir_fail(t, OLV_SHAPE, "keys of rank %d", rank);
        return;
    }
    perm[rank - 1] = rank - 2;
    perm[rank - 2] = rank - 1;
    ol_value *s = ol_ir_binary(t, "MatMul", ol_ir_binary(t, "Mul", q, scale), ol_ir_transpose(t, k, perm, rank));
    if (t->status != OLV_OK) return;
    if (mask && mask->type.dtype == OL_BOOL)
        s = ol_ir_op(t, "Where", (ol_value *[]){mask, s, ol_ir_number(t, -INFINITY, s->type.dtype)}, 3, NULL, 0);
    else if (mask) s = ol_ir_binary(t, "Add", s, mask);
    ol_attr a = ol_attr_int("axis", -1);
    ol_ir_result(t, 0, "MatMul", (ol_value *[]){ol_ir_op(t, "Softmax", &s, 1, &a, 1), v}, 2, NULL, 0);
}

/* A lower triangle [L, S] of bools, from the first position of both. */
static ol_value *causal_mask(ol_ir *t, ol_value *q, ol_value *k) {
    ol_attr join = ol_attr_int("axis", 0), lower = ol_attr_int("upper", 0);
    ol_value *sizes[2] = {ol_ir_size(t, q, -2), ol_ir_size(t, k, -2)};
    ol_value *all = ol_ir_binary(t, "Expand", ol_ir_number(t, 1, OL_BOOL), ol_ir_op(t, "Concat", sizes, 2, &join, 1));
    return ol_ir_op(t, "Trilu", &all, 1, &lower, 1);
}

static void attention(ol_ir *t) {
    ol_value *q = ol_ir_need(t, 0), *k = ol_ir_need(t, 1), *v = ol_ir_need(t, 2), *mask = ol_ir_has(t, 3) ? ol_ir_in(t, 3) : NULL;
    bool causal = ol_ir_flag(t, "causal", false);
    int rank = ol_ir_rank(t, q);
    double number = 0;
    if (t->status != OLV_OK) return;
    if (causal || (mask && mask->type.rank == 0)) mask = NULL; /* a scalar stands for no mask */
    bool known = !ol_ir_has(t, 4) || ol_ir_const_real(t, 4, &number);
    if (rank == 4 && known) {
        ol_attr a[2] = {ol_attr_int("is_causal", causal), ol_attr_float("scale", (float)number)};
        ol_ir_result(t, 0, "Attention", (ol_value *[]){q, k, v, mask}, 4, a, ol_ir_has(t, 4) ? 2 : 1);
        return;
    }
    ol_value *scale = ol_ir_has(t, 4) ? ol_ir_in(t, 4) : NULL;
    if (!scale) scale = ol_ir_unary(t, "Reciprocal", ol_ir_unary(t, "Sqrt", ol_ir_cast(t, ol_ir_size(t, q, -1), q->type.dtype)));
    attend_plainly(t, q, k, v, causal ? causal_mask(t, q, k) : mask, scale);
}

/* ---- Fourier ---- */

/* One axis after the other. The last one of a real transform has one side of the spectrum: first when that is the result,
 * last when it is given. */
static void fourier(ol_ir *t) {
    ol_value *x = ol_ir_need(t, 0);
    int64_t axes[OL_MAX_RANK], sizes[OL_MAX_RANK];
    bool inverse = !strcasecmp(t->l->type, "IDFT") || !strcasecmp(t->l->type, "IRDFT"), to_one = !strcasecmp(t->l->type, "RDFT");
    bool one_sided = to_one || !strcasecmp(t->l->type, "IRDFT");
    int n = ol_ir_const_ints(t, 1, axes, OL_MAX_RANK), m = ol_ir_has(t, 2) ? ol_ir_const_ints(t, 2, sizes, OL_MAX_RANK) : 0, rank = ol_ir_rank(t, x);
    if (n < 1 || m < 0 || (m && m != n)) ol_ir_fail(t, OLV_UNSUPPORTED, "axes or sizes that are no constants");
    if (to_one) x = ol_ir_unsqueeze(t, x, rank++); /* the last dim holds real and imaginary parts */
    for (int k = 0; k < n && t->status == OLV_OK; k++) {
        int i = to_one ? n - 1 - k : k;
        bool half = one_sided && i == n - 1;
        int64_t axis = axes[i] < 0 ? axes[i] + rank - 1 : axes[i];
        ol_attr a[2] = {ol_attr_int("inverse", inverse), ol_attr_int("onesided", half)};
        ol_value *size = m && sizes[i] >= 0 ? ol_ir_ints(t, &sizes[i], -1) : NULL;
        x = ol_ir_op(t, "DFT", (ol_value *[]){x, size, ol_ir_ints(t, &axis, -1)}, 3, a, 2);
    }
    if (one_sided && inverse) x = ol_ir_squeeze(t, x, rank - 1);
    ol_ir_set(t, 0, x);
}

const ol_ir_operation ol_ir_norms[] = {
    {"MVN", mvn, NULL}, {"NormalizeL2", normalize_l2, NULL}, {"BatchNormInference", batch_norm, NULL}, {"GroupNormalization", group_norm, NULL},
    {"LRN", lrn, NULL}, {"ScaledDotProductAttention", attention, NULL}, {"DFT", fourier, NULL}, {"IDFT", fourier, NULL}, {"RDFT", fourier, NULL},
    {"IRDFT", fourier, NULL}, {NULL, NULL, NULL}};
