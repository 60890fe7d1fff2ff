/* SPDX-License-Identifier: Apache-2.0 */
/* QuantizeLinear, DequantizeLinear (per tensor, axis or block), DynamicQuantizeLinear, MatMulInteger, QLinearMatMul.
 * q = saturate(round half even(x / scale) + zero); x = (q - zero) scale. */
#include "ops/matmul.h"

/* Which scale belongs to an element. */
typedef struct scaling {
    int64_t inner, size, block, groups, scale_inner; /* of the axis */
    bool one;
} scaling;

static olv_status scaling_init(scaling *s, const ol_node *n, const ol_tensor *x, const ol_tensor *scale, olv_error *err) {
    int axis;
    *s = (scaling){.one = ol_tensor_count(scale) == 1 && scale->rank <= 1 && !(x->rank && scale->rank == x->rank && ol_node_int(n, "block_size", 0))};
    if (s->one) return OLV_OK;
    OL_TRY(ol_axis(ol_node_int(n, "axis", 1), x->rank, false, &axis, err));
    s->size = x->dims[axis];
    s->inner = ol_dims_count(x->dims, axis + 1, x->rank);
    if (scale->rank == 1 && scale->dims[0] == s->size) {
        s->block = 1;
        s->groups = s->size;
        s->scale_inner = 0;
        return OLV_OK;
    }
    bool fits = scale->rank == x->rank;
    for (int i = 0; fits && i < x->rank; i++) fits = i == axis || scale->dims[i] == x->dims[i];
    if (!fits || scale->dims[axis] < 1) return ol_fail(err, OLV_SHAPE, "scales do not fit");
    s->groups = scale->dims[axis];
    s->block = ol_node_int(n, "block_size", 0);
    if (s->block < 1) s->block = (s->size + s->groups - 1) / s->groups;
    if ((s->size + s->block - 1) / s->block != s->groups) return ol_fail(err, OLV_SHAPE, "blocks of %lld do not fit", (long long)s->block);
    s->scale_inner = 1;
    return OLV_OK;
}

static int64_t scale_at(const scaling *s, int64_t i) {
    if (s->one) return 0;
    int64_t k = i / s->inner % s->size / s->block;
    return s->scale_inner ? (i / (s->inner * s->size) * s->groups + k) * s->inner + i % s->inner : k;
}

static void bounds(ol_dtype t, double *lo, double *hi) {
    int bits = ol_dtype_bits(t);
    bool s = ol_dtype_class(t) == 's';
    *lo = s ? -ldexp(1, bits - 1) : 0;
    *hi = ldexp(1, s ? bits - 1 : bits) - 1;
}

static double narrow(ol_dtype t, double v) { /* through a float type */
    if (t == OL_F16) return (double)ol_f16_to_f32(ol_f32_to_f16((float)v));
    if (t == OL_BF16) return (double)ol_bf16_to_f32(ol_f32_to_bf16((float)v));
    return (double)(float)v;
}

static ol_dtype quantized_type(const ol_node *n, ol_dtype zero) {
    int64_t code = ol_node_int(n, "output_dtype", 0);
    return code ? ol_dtype_from_onnx(code) : zero != OL_DTYPE_NONE ? zero : OL_U8;
}

static olv_status eval_quantize(ol_eval *c, olv_error *err) {
    const ol_tensor *x, *scale, *zero = ol_eval_in(c, 2);
    ol_tensor *y;
    scaling s;
    double lo = 0, hi = 0;
    OL_TRY(ol_eval_need(c, 0, &x, err));
    OL_TRY(ol_eval_need(c, 1, &scale, err));
    OL_TRY(scaling_init(&s, c->node, x, scale, err));
    ol_dtype t = quantized_type(c->node, zero ? zero->dtype : OL_DTYPE_NONE);
    if (zero && ol_tensor_count(zero) != ol_tensor_count(scale)) return ol_fail(err, OLV_SHAPE, "zero points do not fit");
    OL_TRY(ol_eval_out(c, 0, t, x->rank, x->dims, &y, err));
    if (ol_is_int(t)) bounds(t, &lo, &hi);
    ol_dtype p = ol_node_int(c->node, "precision", 0) ? ol_dtype_from_onnx(ol_node_int(c->node, "precision", 0)) : scale->dtype;
    for (int64_t i = 0, n = ol_tensor_count(x); i < n; i++) {
        int64_t k = scale_at(&s, i);
        double v = narrow(p == OL_F8E8M0 ? OL_F32 : p, ol_tensor_get(x, i) / ol_tensor_get(scale, k)), z = zero ? ol_tensor_get(zero, k) : 0;
        if (ol_is_int(t)) {
            v = nearbyint(v) + z;
            v = isnan(v) ? 0 : v < lo ? lo : v > hi ? hi : v;
        } else {
            v += z;
        }
        ol_tensor_set(y, i, v);
    }
    return OLV_OK;
}

static olv_status infer_quantize(ol_infer *c, olv_error *err) {
    const ol_type *z = ol_infer_in(c, 2);
    c->out[0] = *ol_infer_in(c, 0);
    c->out[0].dtype = quantized_type(c->node, z ? z->dtype : OL_DTYPE_NONE);
    return c->out[0].dtype == OL_DTYPE_NONE && !z ? ol_fail(err, OLV_FORMAT, "output_dtype") : OLV_OK;
}

static ol_dtype float_type(const ol_node *n, ol_dtype scale) {
    int64_t code = ol_node_int(n, "output_dtype", 0);
    return code ? ol_dtype_from_onnx(code) : scale == OL_F8E8M0 ? OL_F32 : scale;
}

static olv_status eval_dequantize(ol_eval *c, olv_error *err) {
    const ol_tensor *x, *scale, *zero = ol_eval_in(c, 2);
    ol_tensor *y;
    scaling s;
    OL_TRY(ol_eval_need(c, 0, &x, err));
    OL_TRY(ol_eval_need(c, 1, &scale, err));
    OL_TRY(scaling_init(&s, c->node, x, scale, err));
    if (zero && ol_tensor_count(zero) != ol_tensor_count(scale)) return ol_fail(err, OLV_SHAPE, "zero points do not fit");
    OL_TRY(ol_eval_out(c, 0, float_type(c->node, scale->dtype), x->rank, x->dims, &y, err));
    for (int64_t i = 0, n = ol_tensor_count(x); i < n; i++) {
        int64_t k = scale_at(&s, i);
        ol_tensor_set(y, i, (ol_tensor_get(x, i) - (zero ? ol_tensor_get(zero, k) : 0)) * ol_tensor_get(scale, k));
    }
    return OLV_OK;
}

static olv_status infer_dequantize(ol_infer *c, olv_error *err) {
    (void)err;
    c->out[0] = *ol_infer_in(c, 0);
    c->out[0].dtype = float_type(c->node, ol_infer_in(c, 1)->dtype);
    return OLV_OK;
}

static olv_status eval_dynamic(ol_eval *c, olv_error *err) {
    const ol_tensor *x;
    ol_tensor *y, *scale, *zero;
    OL_TRY(ol_eval_need(c, 0, &x, err));
    float lo = 0, hi = 0;
    int64_t n = ol_tensor_count(x);
    for (int64_t i = 0; i < n; i++) {
        float v = (float)ol_tensor_get(x, i);
        lo = v < lo ? v : lo;
        hi = v > hi ? v : hi;
    }
    float s = (hi - lo) / 255;
    if (s == 0) s = 1;
    double z = nearbyint((double)(-lo / s));
    z = z < 0 ? 0 : z > 255 ? 255 : z;
    OL_TRY(ol_eval_out(c, 0, OL_U8, x->rank, x->dims, &y, err));
    OL_TRY(ol_eval_out(c, 1, OL_F32, 0, NULL, &scale, err));
    OL_TRY(ol_eval_out(c, 2, OL_U8, 0, NULL, &zero, err));
    ol_tensor_set(scale, 0, (double)s);
    ol_tensor_set(zero, 0, z);
    for (int64_t i = 0; i < n; i++) {
        double v = nearbyint((double)((float)ol_tensor_get(x, i) / s)) + z;
        ol_tensor_set(y, i, v < 0 ? 0 : v > 255 ? 255 : v);
    }
    return OLV_OK;
}

static olv_status infer_dynamic(ol_infer *c, olv_error *err) {
    (void)err;
    c->out[0] = *ol_infer_in(c, 0);
    c->out[0].dtype = OL_U8;
    ol_infer_set(c, 1, OL_F32, 0);
    ol_infer_set(c, 2, OL_U8, 0);
    return OLV_OK;
}

/* All elements less their zero point: one, or one per row (a) or column (b). */
static olv_status centered(const ol_tensor *x, const ol_tensor *zero, const ol_tensor *scale, bool rows, double **out, olv_error *err) {
    OL_TRY(ol_tensor_f64(x, out, err));
    int64_t n = x->rank ? x->dims[x->rank - 1] : 1, m = x->rank > 1 ? x->dims[x->rank - 2] : 1;
    int64_t nz = zero ? ol_tensor_count(zero) : 1, ns = scale ? ol_tensor_count(scale) : 1;
    int64_t many = rows ? m : n;
    if ((nz != 1 && nz % many) || (ns != 1 && ns % many)) {
        ol_free(*out);
        return ol_fail(err, OLV_SHAPE, "zero points or scales do not fit");
    }
    for (int64_t i = 0, count = ol_tensor_count(x); i < count; i++) {
        int64_t k = rows ? i / n % m : i % n;
        if (zero) (*out)[i] -= ol_tensor_get(zero, nz == 1 ? 0 : k % nz);
        if (scale) (*out)[i] *= ol_tensor_get(scale, ns == 1 ? 0 : k % ns);
    }
    return OLV_OK;
}

static olv_status product(ol_eval *c, int a, int az, int as, int b, int bz, int bs, ol_dtype t, double **out, ol_tensor **y, olv_error *err) {
    const ol_tensor *x, *w;
    ol_matmul_shape s;
    double *va = NULL, *vb = NULL;
    OL_TRY(ol_eval_need(c, a, &x, err));
    OL_TRY(ol_eval_need(c, b, &w, err));
    OL_TRY(ol_matmul_shape_init(&s, x, w, err));
    OL_TRY(ol_eval_out(c, 0, t, s.rank, s.dims, y, err));
    OL_TRY(centered(x, ol_eval_in(c, az), as < 0 ? NULL : ol_eval_in(c, as), true, &va, err));
    olv_status st = centered(w, ol_eval_in(c, bz), bs < 0 ? NULL : ol_eval_in(c, bs), false, &vb, err);
    if (st == OLV_OK) {
        st = ol_matmul_f64(&s, va, vb, out, err);
        ol_free(vb);
    }
    ol_free(va);
    return st;
}

static olv_status eval_matmul_integer(ol_eval *c, olv_error *err) {
    ol_tensor *y;
    double *v;
    OL_TRY(product(c, 0, 2, -1, 1, 3, -1, OL_I32, &v, &y, err));
    ol_tensor_store(y, v);
    ol_free(v);
    return OLV_OK;
}

static olv_status infer_matmul_integer(ol_infer *c, olv_error *err) {
    OL_TRY(ol_infer_matmul(c, err));
    c->out[0].dtype = OL_I32;
    return OLV_OK;
}

static olv_status eval_qlinear_matmul(ol_eval *c, olv_error *err) {
    const ol_tensor *scale, *zero;
    ol_tensor *y;
    double *v, lo, hi;
    OL_TRY(ol_eval_need(c, 6, &scale, err));
    OL_TRY(ol_eval_need(c, 7, &zero, err));
    OL_TRY(product(c, 0, 2, 1, 3, 5, 4, zero->dtype, &v, &y, err));
    if (!ol_is_int(zero->dtype)) {
        ol_free(v);
        return ol_fail(err, OLV_UNSUPPORTED, "results of type %s", ol_dtype_name(zero->dtype));
    }
    bounds(zero->dtype, &lo, &hi);
    int64_t n = y->rank ? y->dims[y->rank - 1] : 1, m = y->rank > 1 ? y->dims[y->rank - 2] : 1, ns = ol_tensor_count(scale);
    for (int64_t i = 0, count = ol_tensor_count(y); i < count; i++) {
        int64_t k = ns == 1 ? 0 : i / n % m % ns;
        double q = nearbyint(v[i] / ol_tensor_get(scale, k)) + ol_tensor_get(zero, ol_tensor_count(zero) == 1 ? 0 : k);
        ol_tensor_set(y, i, q < lo ? lo : q > hi ? hi : q);
    }
    ol_free(v);
    return OLV_OK;
}

static olv_status infer_qlinear_matmul(ol_infer *c, olv_error *err) {
    const ol_type *a = ol_infer_in(c, 0), *b = ol_infer_in(c, 3);
    c->out[0].dtype = ol_infer_in(c, 7)->dtype;
    if (a->rank < 2 || b->rank < 2) return OLV_OK;
    ol_type t = *a, tb = *b;
    t.rank -= 2;
    tb.rank -= 2;
    OL_TRY(ol_infer_broadcast(c, &t, &tb, err));
    t.dims[t.rank++] = a->dims[a->rank - 2];
    t.dims[t.rank++] = b->dims[b->rank - 1];
    t.dtype = c->out[0].dtype;
    c->out[0] = t;
    return OLV_OK;
}

static const ol_attr_spec attrs[] = {{"axis", OL_ATTR_INT, false}, {"block_size", OL_ATTR_INT, false},
    {"output_dtype", OL_ATTR_INT, false}, {"precision", OL_ATTR_INT, false}, {"saturate", OL_ATTR_INT, false}};
extern const ol_op ol_op_QuantizeLinear, ol_op_DequantizeLinear, ol_op_DynamicQuantizeLinear, ol_op_MatMulInteger, ol_op_QLinearMatMul;
const ol_op ol_op_QuantizeLinear = {"", "QuantizeLinear", "saturate(round(x / scale) + zero)", 2, 3, 1, 1, attrs, 5, infer_quantize, eval_quantize, NULL, false, false};
const ol_op ol_op_DequantizeLinear = {"", "DequantizeLinear", "(q - zero) scale", 2, 3, 1, 1, attrs, 5, infer_dequantize, eval_dequantize, NULL, false, false};
const ol_op ol_op_DynamicQuantizeLinear = {"", "DynamicQuantizeLinear", "u8 by the range of the data", 1, 1, 3, 3, NULL, 0, infer_dynamic, eval_dynamic, NULL, false, false};
const ol_op ol_op_MatMulInteger = {"", "MatMulInteger", "integer matrix product", 2, 4, 1, 1, NULL, 0, infer_matmul_integer, eval_matmul_integer, NULL, false, false};
const ol_op ol_op_QLinearMatMul = {"", "QLinearMatMul", "quantized matrix product", 8, 8, 1, 1, NULL, 0, infer_qlinear_matmul, eval_qlinear_matmul, NULL, false, false};
