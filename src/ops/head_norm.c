/* SPDX-License-Identifier: Apache-2.0 */
/* olivine.HeadNorm: normalizes each head's values; weights are per head value or for all heads, plus `offset`. */
#include "ops/ops.h"

static olv_status infer(ol_infer *c, olv_error *err) {
    const ol_type *x = ol_infer_in(c, 0);
    int64_t heads = ol_node_int(c->node, "heads", 1);
    OL_TRY(ol_infer_rank(c, 0, 1, OL_MAX_RANK, err));
    if (heads < 1) return ol_fail(err, OLV_SHAPE, "%lld heads found", (long long)heads);
    if (x->rank > 0 && ol_dim_known(x->dims[x->rank - 1]) && x->dims[x->rank - 1] % heads)
        return ol_fail(err, OLV_SHAPE, "rows of %lld found for %lld heads", (long long)x->dims[x->rank - 1],
                       (long long)heads);
    return ol_infer_same(c, err);
}

static olv_status eval(ol_eval *c, olv_error *err) {
    const ol_tensor *x, *w, *b = ol_eval_in(c, 2);
    ol_tensor *y;
    OL_TRY(ol_eval_need(c, 0, &x, err));
    OL_TRY(ol_eval_need(c, 1, &w, err));
    int64_t heads = ol_node_int(c->node, "heads", 1), width = x->rank ? x->dims[x->rank - 1] : 0;
    if (heads < 1 || width % heads) return ol_fail(err, OLV_SHAPE, "rows do not divide into heads");
    int64_t d = width / heads, nw = ol_tensor_count(w);
    if ((nw != d && nw != width) || (b && ol_tensor_count(b) != nw))
        return ol_fail(err, OLV_SHAPE, "%lld weights found, %lld or %lld expected", (long long)nw, (long long)d,
                       (long long)width);
    bool layer = ol_str_is(ol_node_string(c->node, "kind", "rms"), "layer");
    double eps = (double)ol_node_float(c->node, "epsilon", 1e-5f), offset = (double)ol_node_float(c->node, "offset", 0);
    OL_TRY(ol_eval_out(c, 0, x->dtype, x->rank, x->dims, &y, err));
    for (int64_t h = 0, n = d ? ol_tensor_count(x) / d : 0; h < n; h++) {
        double mean = 0, sq = 0;
        for (int64_t i = 0; layer && i < d; i++) mean += ol_tensor_get(x, h * d + i);
        mean /= (double)d;
        for (int64_t i = 0; i < d; i++) sq += pow(ol_tensor_get(x, h * d + i) - mean, 2);
        double inv = 1 / sqrt(sq / (double)d + eps);
        int64_t at = nw == d ? 0 : h % heads * d;
        for (int64_t i = 0; i < d; i++) {
            double v = (ol_tensor_get(x, h * d + i) - mean) * inv * (ol_tensor_get(w, at + i) + offset);
            ol_tensor_set(y, h * d + i, b ? v + ol_tensor_get(b, at + i) : v);
        }
    }
    return OLV_OK;
}

static const ol_attr_spec attrs[] = {{"heads", OL_ATTR_INT, true}, {"epsilon", OL_ATTR_FLOAT, false},
                                     {"kind", OL_ATTR_STRING, false}, {"offset", OL_ATTR_FLOAT, false}};
extern const ol_op ol_op_olivine_HeadNorm;
const ol_op ol_op_olivine_HeadNorm = {"olivine", "HeadNorm", "RMS or layer norm of each head's values", 2, 3, 1, 1,
                                      attrs, 4, infer, eval, NULL, false, false};
