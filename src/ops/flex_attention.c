/* SPDX-License-Identifier: Apache-2.0 */
/* FlexAttention of ai.onnx.preview: softmax(score_mod(scale q k^T)) through prob_mod, times v. The
 * subgraphs change whole tensors [B, heads, S, L] of the type that softmax_precision says. */
#include "ops/ops.h"

typedef struct flex {
    const ol_tensor *q, *k, *v;
    int64_t b, heads, kv, s, l, d, dv;
    ol_dtype dtype; /* of scores and probabilities */
    double scale;
} flex;

static ol_dtype precision(const ol_node *n, ol_dtype input) {
    int64_t code = ol_node_int(n, "softmax_precision", 0);
    if (code) return ol_dtype_from_onnx(code);
    return input == OL_F64 ? OL_F64 : OL_F32;
}

static olv_status init(ol_eval *c, flex *f, olv_error *err) {
    OL_TRY(ol_eval_need(c, 0, &f->q, err));
    OL_TRY(ol_eval_need(c, 1, &f->k, err));
    OL_TRY(ol_eval_need(c, 2, &f->v, err));
    if (f->q->rank != 4 || f->k->rank != 4 || f->v->rank != 4)
        return ol_fail(err, OLV_SHAPE, "ranks %d, %d and %d found, 4 expected", f->q->rank,
                       f->k->rank, f->v->rank);
    const int64_t *q = f->q->dims, *k = f->k->dims, *v = f->v->dims;
    *f = (flex){f->q, f->k, f->v, q[0], q[1], k[1], q[2], k[2], q[3], v[3],
                precision(c->node, f->q->dtype), 0};
    if (k[0] != q[0] || v[0] != q[0] || v[1] != k[1] || v[2] != k[2] || k[3] != q[3] ||
        f->kv < 1 || f->heads % f->kv || !ol_is_float(f->dtype))
        return ol_fail(err, OLV_SHAPE, "q, k, v, heads or softmax_precision do not fit");
    f->scale = 1 / sqrt((double)f->d);
    if (ol_node_attr(c->node, "scale")) f->scale = (double)ol_node_float(c->node, "scale", 0);
    return OLV_OK;
}

static void scores(const flex *f, ol_tensor *out) {
    int64_t group = f->heads / f->kv;
    for (int64_t i = 0, n = ol_tensor_count(out); i < n; i++) {
        int64_t p = i % f->l, row = i / f->l, h = row / f->s;
        int64_t key = ((h / f->heads * f->kv + h % f->heads / group) * f->l + p) * f->d;
        double sum = 0;
        for (int64_t k = 0; k < f->d; k++)
            sum += ol_tensor_get(f->q, row * f->d + k) * ol_tensor_get(f->k, key + k);
        ol_tensor_set(out, i, sum * f->scale);
    }
}

static void softmax(ol_tensor *x, int64_t width) {
    for (int64_t at = 0, n = ol_tensor_count(x); at < n; at += width) {
        double max = -INFINITY, sum = 0;
        for (int64_t i = 0; i < width; i++) max = fmax(max, ol_tensor_get(x, at + i));
        for (int64_t i = 0; i < width; i++) sum += exp(ol_tensor_get(x, at + i) - max);
        for (int64_t i = 0; i < width; i++)
            ol_tensor_set(x, at + i, exp(ol_tensor_get(x, at + i) - max) / sum);
    }
}

/* Replaces *d by what the subgraph of that name makes of it. */
static olv_status modify(ol_eval *c, const char *name, ol_datum *d, olv_error *err) {
    const ol_attr *a = ol_node_attr(c->node, name);
    ol_datum out = {.kind = OL_VALUE_TENSOR};
    if (!a) return OLV_OK;
    if (!c->run_graph) return ol_fail(err, OLV_UNSUPPORTED, "subgraphs");
    OL_TRY(c->run_graph(c, a->v.graph, (const ol_datum *const[]){d}, 1, &out, 1, err));
    bool same = out.kind == OL_VALUE_TENSOR && out.tensor.dtype == d->tensor.dtype &&
                out.tensor.rank == 4 &&
                !memcmp(out.tensor.dims, d->tensor.dims, 4 * sizeof *d->tensor.dims);
    ol_datum_deinit(same ? d : &out);
    if (!same) return ol_fail(err, OLV_SHAPE, "%s changes shape or type", name);
    *d = out;
    return OLV_OK;
}

static void weigh(const flex *f, const ol_tensor *p, ol_tensor *y) {
    int64_t group = f->heads / f->kv;
    for (int64_t i = 0, n = ol_tensor_count(y); i < n; i++) {
        int64_t j = i % f->dv, row = i / f->dv, h = row / f->s;
        int64_t value = (h / f->heads * f->kv + h % f->heads / group) * f->l;
        double sum = 0;
        for (int64_t k = 0; k < f->l; k++)
            sum += ol_tensor_get(p, row * f->l + k) * ol_tensor_get(f->v, (value + k) * f->dv + j);
        ol_tensor_set(y, i, sum);
    }
}

static olv_status eval(ol_eval *c, olv_error *err) {
    flex f;
    ol_tensor *y;
    ol_datum d = {.kind = OL_VALUE_TENSOR, .present = true};
    OL_TRY(init(c, &f, err));
    OL_TRY(ol_eval_out(c, 0, f.q->dtype, 4, (int64_t[]){f.b, f.heads, f.s, f.dv}, &y, err));
    OL_TRY(ol_tensor_init(&d.tensor, f.dtype, 4, (int64_t[]){f.b, f.heads, f.s, f.l}, err));
    scores(&f, &d.tensor);
    olv_status s = modify(c, "score_mod", &d, err);
    if (s == OLV_OK) softmax(&d.tensor, f.l);
    if (s == OLV_OK) s = modify(c, "prob_mod", &d, err);
    if (s == OLV_OK) weigh(&f, &d.tensor, y);
    ol_datum_deinit(&d);
    return s;
}

static olv_status infer(ol_infer *c, olv_error *err) {
    const ol_type *q = ol_infer_in(c, 0), *v = ol_infer_in(c, 2);
    for (int i = 0; i < 3; i++) OL_TRY(ol_infer_rank(c, i, 4, 4, err));
    ol_infer_set(c, 0, q->dtype, 4);
    for (int i = 0; q->rank == 4 && i < 3; i++) c->out[0].dims[i] = q->dims[i];
    if (v->rank == 4) c->out[0].dims[3] = v->dims[3];
    return OLV_OK;
}

static const ol_attr_spec attrs[] = {{"prob_mod", OL_ATTR_GRAPH, false},
                                     {"score_mod", OL_ATTR_GRAPH, false},
                                     {"scale", OL_ATTR_FLOAT, false},
                                     {"softmax_precision", OL_ATTR_INT, false}};
extern const ol_op ol_op_preview_FlexAttention;
const ol_op ol_op_preview_FlexAttention = {
    .domain = "ai.onnx.preview", .name = "FlexAttention",
    .summary = "attention with subgraphs that change scores and probabilities",
    .min_inputs = 3, .max_inputs = 3, .min_outputs = 1, .max_outputs = 1, OL_ATTRS(attrs),
    .infer = infer, .eval = eval};
