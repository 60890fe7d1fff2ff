/* SPDX-License-Identifier: Apache-2.0 */
/* BitCast and StringConcat of the default domain; windows (Hann, Hamming, Blackman); Det. */
#include "ops/ops.h"

static olv_status eval_bitcast(ol_eval *c, olv_error *err) {
    const ol_tensor *x;
    ol_tensor *y;
    OL_TRY(ol_eval_need(c, 0, &x, err));
    ol_dtype to = ol_dtype_from_onnx(ol_node_int(c->node, "to", 0));
    if (to == OL_DTYPE_NONE || to == OL_STRING || x->dtype == OL_STRING || ol_dtype_bits(to) != ol_dtype_bits(x->dtype))
        return ol_fail(err, OLV_SHAPE, "bits of %s as %s", ol_dtype_name(x->dtype), ol_dtype_name(to));
    OL_TRY(ol_eval_out(c, 0, to, x->rank, x->dims, &y, err));
    if (x->bytes) memcpy(y->data, x->data, x->bytes);
    return OLV_OK;
}

static olv_status infer_bitcast(ol_infer *c, olv_error *err) {
    c->out[0] = *ol_infer_in(c, 0);
    c->out[0].dtype = ol_dtype_from_onnx(ol_node_int(c->node, "to", 0));
    return c->out[0].dtype == OL_DTYPE_NONE ? ol_fail(err, OLV_FORMAT, "element type") : OLV_OK;
}

static olv_status eval_concat(ol_eval *c, olv_error *err) {
    const ol_tensor *t[2];
    ol_tensor *y;
    ol_walk w;
    size_t total = 0;
    for (int i = 0; i < 2; i++) {
        OL_TRY(ol_eval_need(c, i, &t[i], err));
        if (t[i]->dtype != OL_STRING) return ol_fail(err, OLV_SHAPE, "strings expected");
    }
    OL_TRY(ol_walk_init(&w, t, 2, err));
    OL_TRY(ol_eval_out(c, 0, OL_STRING, w.rank, w.dims, &y, err));
    ol_walk again = w;
    for (int64_t i = 0; i < w.count; i++, ol_walk_next(&w))
        if (!ol_add_size(total, ((const ol_str *)t[0]->data)[w.at[0]].len + ((const ol_str *)t[1]->data)[w.at[1]].len, &total)) return ol_fail(err, OLV_LIMIT, "strings too long");
    char *p = y->strings = ol_alloc(total);
    if (!p) return ol_fail(err, OLV_NOMEM, "no memory for strings");
    for (int64_t i = 0; i < again.count; i++, ol_walk_next(&again)) {
        char *from = p;
        for (int k = 0; k < 2; k++) {
            ol_str s = ((const ol_str *)t[k]->data)[again.at[k]];
            if (s.len) memcpy(p, s.ptr, s.len);
            p += s.len;
        }
        ((ol_str *)y->data)[i] = (ol_str){from, (size_t)(p - from)};
    }
    return OLV_OK;
}

static olv_status eval_window(ol_eval *c, double a0, double a1, double a2, olv_error *err) {
    const ol_tensor *s;
    ol_tensor *y;
    OL_TRY(ol_eval_need(c, 0, &s, err));
    int64_t n = ol_tensor_count(s) == 1 ? ol_tensor_i64(s, 0) : -1;
    if (n < 0 || n > 1 << 28) return ol_fail(err, OLV_SHAPE, "window of %lld", (long long)n);
    ol_dtype t = ol_dtype_from_onnx(ol_node_int(c->node, "output_datatype", 1));
    double period = (double)(ol_node_int(c->node, "periodic", 1) ? n : n - 1);
    OL_TRY(ol_eval_out(c, 0, t, 1, &n, &y, err));
    for (int64_t i = 0; i < n; i++) {
        double x = 2 * M_PI * (double)i / period;
        ol_tensor_set(y, i, n == 1 ? 1 : a0 - a1 * cos(x) + a2 * cos(2 * x));
    }
    return OLV_OK;
}
static olv_status eval_hann(ol_eval *c, olv_error *err) { return eval_window(c, 0.5, 0.5, 0, err); }
static olv_status eval_hamming(ol_eval *c, olv_error *err) { return eval_window(c, 25.0 / 46, 21.0 / 46, 0, err); }
static olv_status eval_blackman(ol_eval *c, olv_error *err) { return eval_window(c, 0.42, 0.5, 0.08, err); }

static olv_status infer_window(ol_infer *c, olv_error *err) {
    ol_dtype t = ol_dtype_from_onnx(ol_node_int(c->node, "output_datatype", 1));
    ol_dim n;
    ol_infer_set(c, 0, t, 1);
    if (ol_infer_ints(c, 0, &n, 1) == 1 && n != OL_DIM_NONE && !ol_infer_is_negative(n)) c->out[0].dims[0] = n;
    return t == OL_DTYPE_NONE ? ol_fail(err, OLV_FORMAT, "output_datatype") : OLV_OK;
}

/* Elimination with the largest pivot of each column. */
static double determinant(double *m, int64_t n) {
    double det = 1;
    for (int64_t k = 0; k < n; k++) {
        int64_t best = k;
        for (int64_t i = k + 1; i < n; i++)
            if (fabs(m[i * n + k]) > fabs(m[best * n + k])) best = i;
        if (m[best * n + k] == 0) return 0;
        for (int64_t j = 0; best != k && j < n; j++) {
            double t = m[k * n + j];
            m[k * n + j] = m[best * n + j];
            m[best * n + j] = t;
        }
        det *= best == k ? m[k * n + k] : -m[k * n + k];
        for (int64_t i = k + 1; i < n; i++) {
            double f = m[i * n + k] / m[k * n + k];
            for (int64_t j = k; j < n; j++) m[i * n + j] -= f * m[k * n + j];
        }
    }
    return det;
}

static olv_status eval_det(ol_eval *c, olv_error *err) {
    const ol_tensor *x;
    ol_tensor *y;
    double *v;
    OL_TRY(ol_eval_need(c, 0, &x, err));
    if (x->rank < 2 || x->dims[x->rank - 1] != x->dims[x->rank - 2]) return ol_fail(err, OLV_SHAPE, "square matrices expected");
    int64_t n = x->dims[x->rank - 1];
    OL_TRY(ol_eval_out(c, 0, x->dtype, x->rank - 2, x->dims, &y, err));
    OL_TRY(ol_tensor_f64(x, &v, err));
    for (int64_t i = 0, count = ol_tensor_count(y); i < count; i++) ol_tensor_set(y, i, determinant(v + i * n * n, n));
    ol_free(v);
    return OLV_OK;
}

static olv_status infer_det(ol_infer *c, olv_error *err) {
    OL_TRY(ol_infer_rank(c, 0, 2, OL_MAX_RANK, err));
    c->out[0] = *ol_infer_in(c, 0);
    if (c->out[0].rank >= 2) c->out[0].rank -= 2;
    return OLV_OK;
}

static const ol_attr_spec to_attrs[] = {{"to", OL_ATTR_INT, true}};
static const ol_attr_spec window_attrs[] = {{"output_datatype", OL_ATTR_INT, false}, {"periodic", OL_ATTR_INT, false}};
#define OP(Name, text, in, at, n, inf, ev)                                                                  \
    extern const ol_op ol_op_##Name;                                                                        \
    const ol_op ol_op_##Name = {"", #Name, text, in, in, 1, 1, at, n, inf, ev, NULL, false, false};
OP(BitCast, "the same bits as another type", 1, to_attrs, 1, infer_bitcast, eval_bitcast)
OP(StringConcat, "strings joined by element", 2, NULL, 0, ol_infer_elementwise, eval_concat)
OP(HannWindow, "Hann window", 1, window_attrs, 2, infer_window, eval_hann)
OP(HammingWindow, "Hamming window", 1, window_attrs, 2, infer_window, eval_hamming)
OP(BlackmanWindow, "Blackman window", 1, window_attrs, 2, infer_window, eval_blackman)
OP(Det, "determinants", 1, NULL, 0, infer_det, eval_det)
