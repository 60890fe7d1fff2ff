/* SPDX-License-Identifier: Apache-2.0 */
/* Conv, ConvInteger, QLinearConv, ConvTranspose over any number of spatial dims, in double. */
#include "ops/window.h"

typedef struct conv {
    const ol_tensor *x, *w;
    double xz; /* zero point of x, also of its padding */
    const ol_tensor *wz; /* of w: one, or per output channel */
    int64_t group, m, cg; /* output channels; input channels of a group */
    ol_window win;
    int64_t in_count, out_count, taps;
} conv;

static olv_status conv_init(conv *v, const ol_node *node, const ol_tensor *x, const ol_tensor *w, olv_error *err) {
    *v = (conv){.x = x, .w = w, .group = ol_node_int(node, "group", 1)};
    if (x->rank < 3 || w->rank != x->rank || v->group < 1) return ol_fail(err, OLV_SHAPE, "input of rank %d, weights of rank %d", x->rank, w->rank);
    v->m = w->dims[0];
    v->cg = w->dims[1];
    if (v->cg * v->group != x->dims[1] || v->m % v->group)
        return ol_fail(err, OLV_SHAPE, "%lld channels in %lld groups found for weights of %lld", (long long)x->dims[1], (long long)v->group, (long long)v->cg);
    int n = x->rank - 2;
    OL_TRY(ol_window_init(&v->win, node, n, x->dims + 2, w->dims + 2, err));
    v->in_count = ol_dims_count(v->win.in, 0, n);
    v->out_count = ol_dims_count(v->win.out, 0, n);
    v->taps = ol_dims_count(v->win.kernel, 0, n);
    return OLV_OK;
}

/* Source places of every (output, tap). */
static int64_t *conv_places(const conv *v, olv_error *err) {
    int64_t *p = ol_calloc((size_t)v->out_count + 1, (size_t)v->taps * sizeof *p + 1), o[OL_MAX_RANK] = {0}, at = 0;
    if (!p) {
        ol_fail(err, OLV_NOMEM, "no memory for a convolution");
        return NULL;
    }
    if (v->out_count == 0) return p;
    do {
        int64_t k[OL_MAX_RANK] = {0};
        do p[at++] = ol_window_tap(&v->win, o, k);
        while (ol_index_next(k, v->win.kernel, v->win.n));
    } while (ol_index_next(o, v->win.out, v->win.n));
    return p;
}

static void conv_channel(const conv *v, const double *x, const double *w, const int64_t *places, double *y) {
    for (int64_t o = 0; o < v->out_count; o++) {
        double sum = 0;
        for (int64_t k = 0; k < v->taps; k++) {
            int64_t p = places[o * v->taps + k];
            for (int64_t c = 0; p >= 0 && c < v->cg; c++) sum += x[c * v->in_count + p] * w[c * v->taps + k];
        }
        y[o] = sum;
    }
}

/* The convolution in double, [N, M, ...]; freed by the caller. */
static olv_status conv_run(const conv *v, double **out, olv_error *err) {
    int64_t n = v->x->dims[0], nz = v->wz ? ol_tensor_count(v->wz) : 0, per = v->cg * v->taps;
    double *x = NULL, *w = NULL, *y = ol_calloc((size_t)(n * v->m), (size_t)v->out_count * sizeof *y);
    int64_t *places = y ? conv_places(v, err) : NULL;
    olv_status s = places ? ol_tensor_f64(v->x, &x, err) : OLV_NOMEM;
    if (s == OLV_OK) s = ol_tensor_f64(v->w, &w, err);
    if (s == OLV_OK && v->wz && nz != 1 && nz != v->m) s = ol_fail(err, OLV_SHAPE, "zero points do not fit");
    if (s == OLV_OK) {
        for (int64_t i = 0, c = ol_tensor_count(v->x); i < c; i++) x[i] -= v->xz;
        for (int64_t i = 0, c = ol_tensor_count(v->w); v->wz && i < c; i++) w[i] -= ol_tensor_get(v->wz, nz == 1 ? 0 : i / per);
        for (int64_t b = 0; b < n; b++)
            for (int64_t m = 0; m < v->m; m++) {
                int64_t g = m / (v->m / v->group);
                conv_channel(v, x + (b * v->x->dims[1] + g * v->cg) * v->in_count, w + m * per, places, y + (b * v->m + m) * v->out_count);
            }
        *out = y;
        y = NULL;
    }
    ol_free(x);
    ol_free(w);
    ol_free(y);
    ol_free(places);
    return s;
}

static olv_status conv_out(ol_eval *c, const conv *v, ol_dtype t, ol_tensor **y, olv_error *err) {
    int64_t dims[OL_MAX_RANK] = {v->x->dims[0], v->m};
    memcpy(dims + 2, v->win.out, (size_t)v->win.n * sizeof *dims);
    return ol_eval_out(c, 0, t, v->x->rank, dims, y, err);
}

static olv_status eval_conv(ol_eval *c, olv_error *err) {
    const ol_tensor *x, *w, *bias = ol_eval_in(c, 2);
    ol_tensor *y;
    conv v;
    double *r;
    OL_TRY(ol_eval_need(c, 0, &x, err));
    OL_TRY(ol_eval_need(c, 1, &w, err));
    OL_TRY(conv_init(&v, c->node, x, w, err));
    if (bias && ol_tensor_count(bias) != v.m) return ol_fail(err, OLV_SHAPE, "bias does not fit");
    OL_TRY(conv_out(c, &v, x->dtype, &y, err));
    OL_TRY(conv_run(&v, &r, err));
    for (int64_t i = 0, n = ol_tensor_count(y); i < n; i++) ol_tensor_set(y, i, r[i] + (bias ? ol_tensor_get(bias, i / v.out_count % v.m) : 0));
    ol_free(r);
    return OLV_OK;
}

static olv_status eval_conv_integer(ol_eval *c, olv_error *err) {
    const ol_tensor *x, *w, *xz = ol_eval_in(c, 2);
    ol_tensor *y;
    conv v;
    double *r;
    OL_TRY(ol_eval_need(c, 0, &x, err));
    OL_TRY(ol_eval_need(c, 1, &w, err));
    OL_TRY(conv_init(&v, c->node, x, w, err));
    v.xz = xz && ol_tensor_count(xz) ? ol_tensor_get(xz, 0) : 0;
    v.wz = ol_eval_in(c, 3);
    OL_TRY(conv_out(c, &v, OL_I32, &y, err));
    OL_TRY(conv_run(&v, &r, err));
    ol_tensor_store(y, r);
    ol_free(r);
    return OLV_OK;
}

/* Inputs: x, scale, zero, w, scale, zero, y scale, zero, bias (i32 in units of x scale times w scale). */
static olv_status eval_qlinear_conv(ol_eval *c, olv_error *err) {
    const ol_tensor *t[8], *bias = ol_eval_in(c, 8);
    ol_tensor *y;
    conv v;
    double *r;
    for (int i = 0; i < 8; i++) {
        OL_TRY(ol_eval_need(c, i, &t[i], err));
        if (i != 0 && i != 3 && ol_tensor_count(t[i]) < 1) return ol_fail(err, OLV_SHAPE, "input %d is empty", i);
    }
    OL_TRY(conv_init(&v, c->node, t[0], t[3], err));
    int64_t ns = ol_tensor_count(t[4]);
    if ((ns != 1 && ns != v.m) || (bias && ol_tensor_count(bias) != v.m) || !ol_is_int(t[7]->dtype)) return ol_fail(err, OLV_SHAPE, "scales or bias do not fit");
    v.xz = ol_tensor_get(t[2], 0);
    v.wz = t[5];
    OL_TRY(conv_out(c, &v, t[7]->dtype, &y, err));
    OL_TRY(conv_run(&v, &r, err));
    bool sign = ol_dtype_class(t[7]->dtype) == 's';
    double lo = sign ? -128 : 0, hi = sign ? 127 : 255;
    for (int64_t i = 0, n = ol_tensor_count(y); i < n; i++) {
        int64_t m = i / v.out_count % v.m;
        double q = r[i] + (bias ? ol_tensor_get(bias, m) : 0);
        q = nearbyint(q * ol_tensor_get(t[1], 0) * ol_tensor_get(t[4], ns == 1 ? 0 : m) / ol_tensor_get(t[6], 0)) + ol_tensor_get(t[7], 0);
        ol_tensor_set(y, i, q < lo ? lo : q > hi ? hi : q);
    }
    ol_free(r);
    return OLV_OK;
}

static olv_status infer_at(ol_infer *c, int weight, olv_error *err) {
    const ol_type *x = ol_infer_in(c, 0), *w = ol_infer_in(c, weight);
    int64_t kernel[OL_MAX_RANK];
    bool known = w->rank > 2 && x->rank == w->rank;
    if (x->rank >= 0 && w->rank >= 0 && x->rank != w->rank) return ol_fail(err, OLV_SHAPE, "input of rank %d, weights of rank %d", x->rank, w->rank);
    for (int i = 2; known && i < w->rank; i++) {
        known = ol_dim_known(w->dims[i]);
        kernel[i - 2] = w->dims[i];
    }
    if (known && ol_dim_known(x->dims[1]) && ol_dim_known(w->dims[1]) && x->dims[1] != w->dims[1] * ol_node_int(c->node, "group", 1))
        return ol_fail(err, OLV_SHAPE, "%lld channels found for weights of %lld", (long long)x->dims[1], (long long)w->dims[1]);
    return ol_window_infer(c, x, known ? kernel : NULL, w->rank > 0 ? w->dims[0] : ol_infer_fresh(c), &c->out[0], err);
}
static olv_status infer_conv(ol_infer *c, olv_error *err) { return infer_at(c, 1, err); }
static olv_status infer_conv_integer(ol_infer *c, olv_error *err) {
    OL_TRY(infer_at(c, 1, err));
    c->out[0].dtype = OL_I32;
    return OLV_OK;
}
static olv_status infer_qlinear_conv(ol_infer *c, olv_error *err) {
    OL_TRY(infer_at(c, 3, err));
    c->out[0].dtype = ol_infer_in(c, 7)->dtype;
    return OLV_OK;
}

/* ---- ConvTranspose: every input element adds its kernel into the output ---- */

static int64_t scatter_place(const ol_window *w, const int64_t *i, const int64_t *k) {
    int64_t at = 0;
    for (int d = 0; d < w->n; d++) {
        int64_t p = i[d] * w->stride[d] + k[d] * w->dilation[d] - w->begin[d];
        if (p < 0 || p >= w->out[d]) return -1;
        at = at * w->out[d] + p;
    }
    return at;
}

static olv_status eval_transpose(ol_eval *c, olv_error *err) {
    const ol_tensor *x, *w, *bias = ol_eval_in(c, 2);
    ol_tensor *y;
    ol_window v;
    OL_TRY(ol_eval_need(c, 0, &x, err));
    OL_TRY(ol_eval_need(c, 1, &w, err));
    int64_t group = ol_node_int(c->node, "group", 1);
    if (x->rank < 3 || w->rank != x->rank || group < 1 || w->dims[0] != x->dims[1] || x->dims[1] % group) return ol_fail(err, OLV_SHAPE, "input and weights do not fit");
    int n = x->rank - 2;
    OL_TRY(ol_window_init_transposed(&v, c->node, n, x->dims + 2, w->dims + 2, err));
    int64_t mg = w->dims[1], m = mg * group, cg = x->dims[1] / group, dims[OL_MAX_RANK] = {x->dims[0], m};
    if (bias && ol_tensor_count(bias) != m) return ol_fail(err, OLV_SHAPE, "bias does not fit");
    memcpy(dims + 2, v.out, (size_t)n * sizeof *dims);
    OL_TRY(ol_eval_out(c, 0, x->dtype, x->rank, dims, &y, err));
    int64_t in = ol_dims_count(v.in, 0, n), out = ol_dims_count(v.out, 0, n), taps = ol_dims_count(v.kernel, 0, n);
    double *acc = ol_calloc((size_t)(x->dims[0] * m), (size_t)out * sizeof *acc);
    if (!acc) return ol_fail(err, OLV_NOMEM, "no memory");
    int64_t i[OL_MAX_RANK] = {0}, ia = 0;
    if (in > 0) do {
        int64_t k[OL_MAX_RANK] = {0}, ka = 0;
        do {
            int64_t p = scatter_place(&v, i, k);
            for (int64_t b = 0; p >= 0 && b < x->dims[0]; b++)
                for (int64_t ch = 0; ch < x->dims[1]; ch++) {
                    double xv = ol_tensor_get(x, (b * x->dims[1] + ch) * in + ia);
                    for (int64_t o = 0; o < mg; o++)
                        acc[(b * m + ch / cg * mg + o) * out + p] += xv * ol_tensor_get(w, (ch * mg + o) * taps + ka);
                }
            ka++;
        } while (ol_index_next(k, v.kernel, n));
        ia++;
    } while (ol_index_next(i, v.in, n));
    for (int64_t k = 0, count = ol_tensor_count(y); k < count; k++) ol_tensor_set(y, k, acc[k] + (bias ? ol_tensor_get(bias, k / out % m) : 0));
    ol_free(acc);
    return OLV_OK;
}

static olv_status infer_transpose(ol_infer *c, olv_error *err) {
    const ol_type *x = ol_infer_in(c, 0), *w = ol_infer_in(c, 1);
    ol_window v;
    ol_infer_set(c, 0, x->dtype, x->rank);
    if (x->rank < 3 || w->rank != x->rank) return x->rank < 0 || w->rank < 0 ? OLV_OK : ol_fail(err, OLV_SHAPE, "ranks %d and %d", x->rank, w->rank);
    c->out[0].dims[0] = x->dims[0];
    c->out[0].dims[1] = ol_dim_mul(c->graph->dims, w->dims[1], ol_node_int(c->node, "group", 1));
    for (int i = 2; i < x->rank; i++)
        if (!ol_dim_known(x->dims[i]) || !ol_dim_known(w->dims[i])) return OLV_OK;
    OL_TRY(ol_window_init_transposed(&v, c->node, x->rank - 2, x->dims + 2, w->dims + 2, err));
    memcpy(c->out[0].dims + 2, v.out, (size_t)v.n * sizeof(int64_t));
    return OLV_OK;
}

#define FORM {"auto_pad", OL_ATTR_STRING, false}, {"dilations", OL_ATTR_INTS, false}, {"group", OL_ATTR_INT, false}, \
    {"kernel_shape", OL_ATTR_INTS, false}, {"pads", OL_ATTR_INTS, false}, {"strides", OL_ATTR_INTS, false}
static const ol_attr_spec attrs[] = {FORM};
static const ol_attr_spec transpose_attrs[] = {FORM, {"output_padding", OL_ATTR_INTS, false}, {"output_shape", OL_ATTR_INTS, false}};
extern const ol_op ol_op_Conv, ol_op_ConvInteger, ol_op_QLinearConv, ol_op_ConvTranspose;
const ol_op ol_op_Conv = {"", "Conv", "convolution", 2, 3, 1, 1, attrs, 6, infer_conv, eval_conv, NULL, false, false};
const ol_op ol_op_ConvInteger = {"", "ConvInteger", "convolution of integers", 2, 4, 1, 1, attrs, 6, infer_conv_integer, eval_conv_integer, NULL, false, false};
const ol_op ol_op_QLinearConv = {"", "QLinearConv", "quantized convolution", 8, 9, 1, 1, attrs, 6, infer_qlinear_conv, eval_qlinear_conv, NULL, false, false};
const ol_op ol_op_ConvTranspose = {"", "ConvTranspose", "transposed convolution", 2, 3, 1, 1, transpose_attrs, 8, infer_transpose, eval_transpose, NULL, false, false};
