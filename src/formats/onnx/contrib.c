/* SPDX-License-Identifier: Apache-2.0 */
/* Fused floating-point operators of onnxruntime, and its blocked layouts. */
#include "formats/onnx/contrib.h"
#include "base/cpu.h"
#include "base/error.h"

#define COUNT(a) ((int)(sizeof(a) / sizeof *(a)))

/* ---- building ---- */

void ol_contrib_fail(ol_contrib *t, olv_status s, const char *what) {
    if (t->status == OLV_OK) t->status = ol_fail(t->err, s, "%s", what);
}

static void latch(ol_contrib *t) {
    if (t->status == OLV_OK) t->status = t->err && t->err->status != OLV_OK ? t->err->status : OLV_NOMEM;
}

ol_value *ol_contrib_in(const ol_contrib *t, int i) { return i < t->d->n_in ? t->d->in[i] : NULL; }

ol_value *ol_contrib_need(ol_contrib *t, int i) {
    ol_value *v = ol_contrib_in(t, i);
    if (!v && t->status == OLV_OK) t->status = ol_fail(t->err, OLV_FORMAT, "input %d is missing", i);
    return v;
}

ol_node *ol_contrib_node(ol_contrib *t, const char *op, ol_value *const *in, int n_in, const char *const *names, int n_out,
                    const ol_attr *attrs, int n_attrs) {
    if (t->status != OLV_OK) return NULL;
    while (n_in > 0 && !in[n_in - 1]) n_in--;
    ol_node *n = ol_graph_add_node(t->d->g, NULL, ol_op_find("", op), t->d->name, in, n_in, names, n_out, attrs, n_attrs, t->err);
    if (!n) latch(t);
    return n;
}

ol_value *ol_contrib_op(ol_contrib *t, const char *op, ol_value *const *in, int n_in, const ol_attr *attrs, int n_attrs) {
    const ol_node *n = ol_contrib_node(t, op, in, n_in, NULL, 1, attrs, n_attrs);
    return n ? n->outputs[0] : NULL;
}

void ol_contrib_result(ol_contrib *t, int i, const char *op, ol_value *const *in, int n_in, const ol_attr *attrs, int n_attrs) {
    if (i >= t->d->n_outs || !*t->d->outs[i]) return;
    const ol_node *n = ol_contrib_node(t, op, in, n_in, &t->d->outs[i], 1, attrs, n_attrs);
    if (n) t->d->results[i] = n->outputs[0];
}

ol_value *ol_contrib_binary(ol_contrib *t, const char *op, ol_value *a, ol_value *b) {
    return ol_contrib_op(t, op, (ol_value *[]){a, b}, 2, NULL, 0);
}

ol_value *ol_contrib_ints(ol_contrib *t, const int64_t *v, int n) {
    if (t->status != OLV_OK) return NULL;
    ol_value *r = ol_graph_add_i64(t->d->g, NULL, v, n, t->err);
    if (!r) latch(t);
    return r;
}

ol_value *ol_contrib_number(ol_contrib *t, double v, const ol_value *like) {
    ol_tensor x;
    if (t->status != OLV_OK) return NULL;
    ol_dtype type = like && like->type.dtype != OL_DTYPE_NONE ? like->type.dtype : OL_F32;
    if (ol_tensor_init(&x, type, 0, NULL, t->err) != OLV_OK) return latch(t), NULL;
    ol_elem_set(type, x.data, 0, v);
    ol_const *c = ol_const_tensor(&x, t->err);
    ol_tensor_deinit(&x);
    ol_value *r = c ? ol_graph_add_constant(t->d->g, NULL, c, t->err) : NULL;
    if (!r) latch(t);
    return r;
}

ol_value *ol_contrib_cast(ol_contrib *t, ol_value *v, ol_dtype to) {
    ol_attr a = ol_attr_int("to", ol_dtype_onnx(to));
    return ol_contrib_op(t, "Cast", &v, 1, &a, 1);
}

ol_value *ol_contrib_unsqueeze(ol_contrib *t, ol_value *v, const int64_t *axes, int n) {
    return ol_contrib_binary(t, "Unsqueeze", v, ol_contrib_ints(t, axes, n));
}

ol_value *ol_contrib_transpose(ol_contrib *t, ol_value *v, const int64_t *perm, int n) {
    ol_attr a = ol_attr_ints("perm", perm, (size_t)n);
    return ol_contrib_op(t, "Transpose", &v, 1, &a, 1);
}

ol_value *ol_contrib_size(ol_contrib *t, ol_value *v, int64_t axis) {
    ol_attr a[2] = {ol_attr_int("start", axis), ol_attr_int("end", axis + 1)};
    return ol_contrib_op(t, "Shape", &v, 1, a, 2);
}

ol_value *ol_contrib_slice(ol_contrib *t, ol_value *x, int64_t axis, int64_t from, int64_t to) {
    ol_value *in[4] = {x, ol_contrib_ints(t, &from, 1), ol_contrib_ints(t, &to, 1), ol_contrib_ints(t, &axis, 1)};
    return ol_contrib_op(t, "Slice", in, 4, NULL, 0);
}

int64_t ol_contrib_int(const ol_contrib *t, const char *name, int64_t def) {
    const ol_attr *a = ol_onnx_draft_attr(t->d, name);
    return a && a->type == OL_ATTR_INT ? a->v.i : def;
}

float ol_contrib_float(const ol_contrib *t, const char *name, float def) {
    const ol_attr *a = ol_onnx_draft_attr(t->d, name);
    return a && a->type == OL_ATTR_FLOAT ? a->v.f : def;
}

bool ol_contrib_is(const ol_contrib *t, const char *name, const char *text) {
    const ol_attr *a = ol_onnx_draft_attr(t->d, name);
    return a && a->type == OL_ATTR_STRING && ol_str_is(a->v.s, text);
}

int ol_contrib_pick(const ol_contrib *t, const char *const *names, int n, ol_attr *out) {
    int found = 0;
    for (int i = 0; i < n; i++) {
        const ol_attr *a = ol_onnx_draft_attr(t->d, names[i]);
        if (a) out[found++] = *a;
    }
    return found;
}

/* ---- activations ---- */

/* Parameter k of a fused activation: of the list `activation_params`, or of an attribute of its own. */
static float parameter(const ol_contrib *t, int k, const char *own, float def) {
    const ol_attr *a = ol_onnx_draft_attr(t->d, "activation_params");
    if (a && a->type == OL_ATTR_FLOATS && (size_t)k < a->count) return a->v.floats[k];
    return ol_contrib_float(t, own, def);
}

/* Result 0 is the activation of what `op` makes: attribute `activation`, none when absent. */
static void activated(ol_contrib *t, const char *op, ol_value *const *in, int n_in, const ol_attr *attrs, int n_attrs) {
    const ol_attr *a = ol_onnx_draft_attr(t->d, "activation");
    char name[32] = "";
    if (a && a->type == OL_ATTR_STRING && a->v.s.len < sizeof name) memcpy(name, a->v.s.ptr, a->v.s.len);
    else if (a) ol_contrib_fail(t, OLV_FORMAT, "attribute 'activation' is no name");
    if (!*name) {
        ol_contrib_result(t, 0, op, in, n_in, attrs, n_attrs);
        return;
    }
    ol_value *x = ol_contrib_op(t, op, in, n_in, attrs, n_attrs);
    ol_attr p[2] = {ol_attr_float("alpha", parameter(t, 0, "activation_alpha", 0.01f)),
                    ol_attr_float("beta", parameter(t, 1, "activation_beta", 0.5f))};
    if (!strcmp(name, "Clip")) {
        ol_value *clip[3] = {x, ol_contrib_number(t, (double)parameter(t, 0, "activation_alpha", 0), x),
                             ol_contrib_number(t, (double)parameter(t, 1, "activation_beta", 0), x)};
        ol_contrib_result(t, 0, "Clip", clip, 3, NULL, 0);
    } else if (!strcmp(name, "LeakyRelu")) {
        ol_contrib_result(t, 0, name, &x, 1, p, 1);
    } else if (!strcmp(name, "HardSigmoid")) {
        ol_contrib_result(t, 0, name, &x, 1, p, 2);
    } else if (!strcmp(name, "Relu") || !strcmp(name, "Tanh") || !strcmp(name, "Sigmoid") || !strcmp(name, "Softplus") ||
               !strcmp(name, "HardSwish") || !strcmp(name, "Softsign")) {
        ol_contrib_result(t, 0, name, &x, 1, NULL, 0);
    } else if (!strcmp(name, "Elu") || !strcmp(name, "ThresholdedRelu")) {
        ol_contrib_result(t, 0, name, &x, 1, p, 1);
    } else if (t->status == OLV_OK) {
        t->status = ol_fail(t->err, OLV_UNSUPPORTED, "activation '%s'", name);
    }
}

/* ---- convolutions ---- */

static const char *const conv_attrs[] = {"auto_pad", "dilations", "group", "kernel_shape", "pads", "strides"};
static const char *const pool_attrs[] = {"auto_pad", "dilations", "kernel_shape", "pads", "strides", "ceil_mode", "count_include_pad", "storage_order"};

/* activation(conv(x, w, bias) + sum) */
static void convolve(ol_contrib *t, ol_value *w) {
    ol_attr attrs[COUNT(conv_attrs)];
    int n = ol_contrib_pick(t, conv_attrs, COUNT(conv_attrs), attrs);
    ol_value *in[3] = {ol_contrib_need(t, 0), w, ol_contrib_in(t, 2)}, *sum = ol_contrib_in(t, 3);
    if (!sum) {
        activated(t, "Conv", in, 3, attrs, n);
        return;
    }
    ol_value *both[2] = {ol_contrib_op(t, "Conv", in, 3, attrs, n), sum};
    activated(t, "Add", both, 2, NULL, 0);
}

static void fused_conv(ol_contrib *t) { convolve(t, ol_contrib_need(t, 1)); }

static const int64_t to_last[] = {0, 2, 3, 1}, to_first[] = {0, 3, 1, 2};

/* Channels last in and out, around an operator of channels first. */
static void nhwc_conv(ol_contrib *t) {
    ol_value *x = ol_contrib_transpose(t, ol_contrib_need(t, 0), to_first, 4), *sum = ol_contrib_in(t, 3);
    ol_attr attrs[COUNT(conv_attrs)], perm = ol_attr_ints("perm", to_last, 4);
    int n = ol_contrib_pick(t, conv_attrs, COUNT(conv_attrs), attrs);
    ol_value *w = ol_contrib_transpose(t, ol_contrib_need(t, 1), to_first, 4);
    ol_value *y = ol_contrib_op(t, "Conv", (ol_value *[]){x, w, ol_contrib_in(t, 2)}, 3, attrs, n);
    if (!sum) {
        activated(t, "Transpose", &y, 1, &perm, 1);
        return;
    }
    ol_value *both[2] = {ol_contrib_op(t, "Transpose", &y, 1, &perm, 1), sum};
    activated(t, "Add", both, 2, NULL, 0);
}

static void nhwc_pool(ol_contrib *t) {
    ol_attr attrs[COUNT(pool_attrs)], perm = ol_attr_ints("perm", to_last, 4);
    int n = ol_contrib_pick(t, pool_attrs, COUNT(pool_attrs), attrs);
    ol_value *x = ol_contrib_transpose(t, ol_contrib_need(t, 0), to_first, 4);
    ol_value *y = ol_contrib_op(t, "MaxPool", &x, 1, attrs, n);
    ol_contrib_result(t, 0, "Transpose", &y, 1, &perm, 1);
}

/* ---- com.microsoft.nchwc: channels in blocks. Between ReorderInput and ReorderOutput values are seen in plain NCHW;
 * what differs is the order of constant filters. ---- */

/* Channels of a block: as onnxruntime takes them on this machine, unless the filter says otherwise. A file does not say;
 * it is meant for the machine that wrote it. */
static int64_t block_of(int64_t outputs) {
    return outputs % 16 == 0 && (ol_cpu_probe() & OL_CPU_(AVX512F)) ? 16 : 8;
}

/* The filter [O, I, h, w] in order. In the file: [O/b, I, h, w, b] for up to b input channels, else [O/b, I/b, h, w, b of I, b of O]. */
static ol_value *plain_filter(ol_contrib *t, ol_value *w) {
    if (!w || t->status != OLV_OK) return NULL;
    if (!w->constant || w->type.rank != 4) {
        ol_contrib_fail(t, OLV_UNSUPPORTED, "a blocked filter that is no constant of rank 4");
        return NULL;
    }
    const int64_t *d = ol_const_dims(w->constant);
    int64_t o = d[0], i = d[1], b = block_of(o);
    if (o % b) {
        ol_contrib_fail(t, OLV_FORMAT, "a blocked filter whose outputs are no multiple of 8");
        return NULL;
    }
    bool both = i >= b;
    if (both && i % b) {
        ol_contrib_fail(t, OLV_FORMAT, "a blocked filter whose inputs are no multiple of the block");
        return NULL;
    }
    const int64_t one[5] = {o / b, i, d[2], d[3], b}, two[6] = {o / b, i / b, d[2], d[3], b, b};
    ol_value *x = ol_contrib_binary(t, "Reshape", w, ol_contrib_ints(t, both ? two : one, both ? 6 : 5));
    x = ol_contrib_transpose(t, x, both ? (const int64_t[]){0, 5, 1, 4, 2, 3} : (const int64_t[]){0, 4, 1, 2, 3}, both ? 6 : 5);
    return ol_contrib_binary(t, "Reshape", x, ol_contrib_ints(t, d, 4));
}

static void nchwc_conv(ol_contrib *t) { convolve(t, plain_filter(t, ol_contrib_need(t, 1))); }

static void nchwc_pool(ol_contrib *t) {
    ol_attr attrs[COUNT(pool_attrs)];
    int n = ol_contrib_pick(t, pool_attrs, COUNT(pool_attrs), attrs);
    ol_value *x = ol_contrib_need(t, 0);
    if (!strncmp(t->d->op, "Global", 6)) n = 0;
    ol_contrib_result(t, 0, t->d->op, &x, 1, attrs, n);
}

static void nchwc_upsample(ol_contrib *t) {
    const ol_attr *s = ol_onnx_draft_attr(t->d, "scales");
    static const char *const names[] = {"mode", "coordinate_transformation_mode", "nearest_mode"};
    ol_attr attrs[3];
    int n = ol_contrib_pick(t, names, 3, attrs);
    float v[8] = {0};
    if (!s || s->type != OL_ATTR_INTS || s->count > 8) {
        ol_contrib_fail(t, OLV_FORMAT, "attribute 'scales' is no list of integers");
        return;
    }
    for (size_t i = 0; i < s->count; i++) v[i] = (float)s->v.ints[i];
    ol_value *scales = ol_graph_add_f32(t->d->g, NULL, v, (int)s->count, t->err);
    if (!scales) {
        latch(t);
        return;
    }
    ol_contrib_result(t, 0, "Resize", (ol_value *[]){ol_contrib_need(t, 0), NULL, scales}, 3, attrs, n);
}

static void reorder_input(ol_contrib *t) {
    ol_value *x = ol_contrib_need(t, 0);
    ol_attr perm = ol_attr_ints("perm", to_first, 4);
    bool last = ol_contrib_int(t, "channels_last", 0) != 0;
    ol_contrib_result(t, 0, last ? "Transpose" : "Identity", &x, 1, &perm, last);
}

/* Channels that only fill the last block go. */
static void reorder_output(ol_contrib *t) {
    ol_value *x = ol_contrib_need(t, 0);
    int64_t channels = ol_contrib_int(t, "channels", 0), from = 0, axis = 1;
    ol_attr perm = ol_attr_ints("perm", to_last, 4);
    bool last = ol_contrib_int(t, "channels_last", 0) != 0;
    ol_value *in[4] = {x, ol_contrib_ints(t, &from, 1), ol_contrib_ints(t, &channels, 1), ol_contrib_ints(t, &axis, 1)};
    if (!last) {
        ol_contrib_result(t, 0, "Slice", in, 4, NULL, 0);
        return;
    }
    x = ol_contrib_op(t, "Slice", in, 4, NULL, 0);
    ol_contrib_result(t, 0, "Transpose", &x, 1, &perm, 1);
}

/* ---- matrix products ---- */

static void fused_gemm(ol_contrib *t) {
    static const char *const names[] = {"alpha", "beta", "transA", "transB"};
    ol_attr attrs[4];
    int n = ol_contrib_pick(t, names, 4, attrs);
    activated(t, "Gemm", (ol_value *[]){ol_contrib_need(t, 0), ol_contrib_need(t, 1), ol_contrib_in(t, 2)}, 3, attrs, n);
}

/* A matrix operand: its batch dims rotated behind the rows (trans_batch: [rows, batch.., k] is meant), its last two swapped. */
static ol_value *operand(ol_contrib *t, ol_value *x, bool swap, bool batch) {
    int64_t perm[OL_MAX_RANK];
    int r = x ? x->type.rank : -1;
    if (r < 2 || (!swap && !batch)) return x;
    for (int i = 0; i < r; i++) perm[i] = i;
    if (batch) {
        for (int i = 0; i + 2 < r; i++) perm[i] = i + 1;
        perm[r - 2] = 0;
    }
    if (swap) {
        int64_t p = perm[r - 1];
        perm[r - 1] = perm[r - 2];
        perm[r - 2] = p;
    }
    return ol_contrib_transpose(t, x, perm, r);
}

static void fused_matmul(ol_contrib *t) {
    ol_value *a = ol_contrib_need(t, 0), *b = ol_contrib_need(t, 1);
    bool ta = ol_contrib_int(t, "transA", 0) != 0, tb = ol_contrib_int(t, "transB", 0) != 0;
    bool ba = ol_contrib_int(t, "transBatchA", 0) != 0, bb = ol_contrib_int(t, "transBatchB", 0) != 0;
    double alpha = (double)ol_contrib_float(t, "alpha", 1);
    if (t->status != OLV_OK) return;
    if (((ta || ba) && a->type.rank < 0) || ((tb || bb) && b->type.rank < 0)) {
        t->left = true;
        return;
    }
    ol_value *in[2] = {operand(t, a, ta, ba), operand(t, b, tb, bb)};
    if (alpha != 1) {
        ol_value *product = ol_contrib_op(t, "MatMul", in, 2, NULL, 0);
        activated(t, "Mul", (ol_value *[]){product, ol_contrib_number(t, alpha, product)}, 2, NULL, 0);
    } else {
        activated(t, "MatMul", in, 2, NULL, 0);
    }
}

/* ---- one to one ---- */

/* The same operator in the default domain. */
static void same(ol_contrib *t) {
    ol_attr a[16];
    const char *names[16];
    const ol_op *op = ol_op_find("", t->d->op);
    int n = 0;
    for (int i = 0; op && i < op->n_attrs && n < 16; i++) names[n++] = op->attrs[i].name;
    n = ol_contrib_pick(t, names, n, a);
    const ol_node *node = ol_contrib_node(t, t->d->op, t->d->in, t->d->n_in, t->d->outs, t->d->n_outs, a, n);
    for (int i = 0; node && i < t->d->n_outs; i++) t->d->results[i] = node->outputs[i];
}

static void expand_dims(ol_contrib *t) {
    ol_value *shape = ol_contrib_ints(t, (const int64_t[]){-1}, 1);
    ol_value *axes = ol_contrib_binary(t, "Reshape", ol_contrib_cast(t, ol_contrib_need(t, 1), OL_I64), shape);
    ol_contrib_result(t, 0, "Unsqueeze", (ol_value *[]){ol_contrib_need(t, 0), axes}, 2, NULL, 0);
}

static const struct {
    const char *domain, *op;
    ol_contrib_fn *run;
} translators[] = {
    {"com.microsoft", "FusedConv", fused_conv}, {"com.microsoft", "FusedGemm", fused_gemm},
    {"com.microsoft", "FusedMatMul", fused_matmul}, {"com.microsoft", "TransposeMatMul", fused_matmul},
    {"com.microsoft", "FusedMatMulActivation", fused_matmul}, {"com.microsoft", "ExpandDims", expand_dims},
    {"com.microsoft", "NhwcConv", nhwc_conv}, {"com.microsoft", "NhwcFusedConv", nhwc_conv},
    {"com.microsoft", "NhwcMaxPool", nhwc_pool},
    {"com.microsoft", "QuantizeLinear", same}, {"com.microsoft", "DequantizeLinear", same}, {"com.microsoft", "Trilu", same},
    {"com.microsoft", "Pad", same}, {"com.microsoft", "GatherND", same}, {"com.microsoft", "Range", same},
    {"com.microsoft", "GridSample", same}, {"com.microsoft", "Unique", same},
    {"com.microsoft.nchwc", "Conv", nchwc_conv}, {"com.microsoft.nchwc", "MaxPool", nchwc_pool},
    {"com.microsoft.nchwc", "AveragePool", nchwc_pool}, {"com.microsoft.nchwc", "GlobalMaxPool", nchwc_pool},
    {"com.microsoft.nchwc", "GlobalAveragePool", nchwc_pool}, {"com.microsoft.nchwc", "Upsample", nchwc_upsample},
    {"com.microsoft.nchwc", "ReorderInput", reorder_input}, {"com.microsoft.nchwc", "ReorderOutput", reorder_output},
    {"com.microsoft", "QLinearAdd", ol_contrib_qlinear_binary}, {"com.microsoft", "QLinearMul", ol_contrib_qlinear_binary},
    {"com.microsoft", "QLinearSigmoid", ol_contrib_qlinear_unary}, {"com.microsoft", "QLinearLeakyRelu", ol_contrib_qlinear_unary},
    {"com.microsoft", "QLinearAveragePool", ol_contrib_qlinear_pool}, {"com.microsoft", "QLinearGlobalAveragePool", ol_contrib_qlinear_pool},
    {"com.microsoft", "QLinearConcat", ol_contrib_qlinear_concat}, {"com.microsoft", "QLinearSoftmax", ol_contrib_qlinear_softmax},
    {"com.microsoft", "QLinearWhere", ol_contrib_qlinear_where}, {"com.microsoft", "QLinearReduceMean", ol_contrib_qlinear_reduce},
    {"com.microsoft", "QGemm", ol_contrib_qgemm}, {"com.microsoft", "QLinearConv", ol_contrib_qlinear_conv},
    {"com.microsoft", "MatMulIntegerToFloat", ol_contrib_matmul_to_float}, {"com.microsoft", "DynamicQuantizeMatMul", ol_contrib_dynamic_matmul},
    {"com.microsoft", "DynamicQuantizeLSTM", ol_contrib_dynamic_lstm}, {"com.microsoft", "Attention", ol_contrib_attention},
    {"com.microsoft", "QAttention", ol_contrib_qattention}, {"com.microsoft", "EmbedLayerNormalization", ol_contrib_embed_norm}};

olv_status ol_onnx_translate(ol_onnx_draft *d, bool *done, olv_error *err) {
    olv_error own = {.status = OLV_OK};
    *done = false;
    for (int i = 0; *d->domain && i < COUNT(translators); i++) {
        if (strcmp(d->op, translators[i].op) || strcmp(d->domain, translators[i].domain)) continue;
        ol_contrib t = {.d = d, .err = err ? err : &own};
        translators[i].run(&t);
        *done = !t.left;
        return t.status;
    }
    return OLV_OK;
}
