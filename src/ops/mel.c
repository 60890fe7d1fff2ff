/* SPDX-License-Identifier: Apache-2.0 */
/* MelWeightMatrix: triangles over the bins of a spectrum, evenly spaced on the mel scale
 * 2595 log10(1 + f / 700). */
#include "ops/ops.h"

#define MAX_BINS (1 << 20)

static olv_status number(ol_eval *c, int i, double *out, olv_error *err) {
    const ol_tensor *t;
    OL_TRY(ol_eval_need(c, i, &t, err));
    if (ol_tensor_count(t) != 1) return ol_fail(err, OLV_SHAPE, "input %d is no scalar", i);
    *out = ol_tensor_get(t, 0);
    return OLV_OK;
}

/* One filter: it rises from place a to b and falls to d. */
static void triangle(ol_tensor *y, int64_t bins, int64_t n, int64_t i, const int64_t *place) {
    int64_t a = place[0], b = place[1], d = place[2];
    if (a == b && b < bins) ol_tensor_set(y, b * n + i, 1);
    for (int64_t j = a; a < b && j <= b && j < bins; j++)
        ol_tensor_set(y, j * n + i, (double)(j - a) / (double)(b - a));
    for (int64_t j = b; j < d && j < bins; j++)
        ol_tensor_set(y, j * n + i, (double)(d - j) / (double)(d - b));
}

static olv_status eval(ol_eval *c, olv_error *err) {
    double v[5];
    ol_tensor *y;
    for (int i = 0; i < 5; i++) OL_TRY(number(c, i, &v[i], err));
    if (!(v[0] >= 1 && v[0] <= MAX_BINS && v[1] >= 1 && v[1] <= MAX_BINS && v[2] >= 1 &&
          v[3] >= 0 && v[4] > v[3] && v[4] <= v[2]))
        return ol_fail(err, OLV_ARG, "%g bins of %g from %g to %g of %g hertz", v[0], v[1], v[3],
                       v[4], v[2]);
    int64_t n = (int64_t)v[0], length = (int64_t)v[1], bins = length / 2 + 1, place[3];
    ol_dtype t = ol_dtype_from_onnx(ol_node_int(c->node, "output_datatype", 1));
    OL_TRY(ol_eval_out(c, 0, t, 2, (int64_t[]){bins, n}, &y, err));
    double low = 2595 * log10(1 + v[3] / 700), high = 2595 * log10(1 + v[4] / 700);
    double step = (high - low) / (double)(n + 2);
    for (int64_t i = 0; i < n; i++) {
        for (int k = 0; k < 3; k++) {
            double hertz = 700 * (pow(10, (low + step * (double)(i + k)) / 2595) - 1);
            place[k] = ol_f64_to_i64(floor((double)(length + 1) * hertz / v[2]));
        }
        triangle(y, bins, n, i, place);
    }
    return OLV_OK;
}

static olv_status infer(ol_infer *c, olv_error *err) {
    ol_dim n, length;
    ol_dtype t = ol_dtype_from_onnx(ol_node_int(c->node, "output_datatype", 1));
    if (t == OL_DTYPE_NONE || t == OL_STRING) return ol_fail(err, OLV_FORMAT, "output_datatype");
    ol_infer_set(c, 0, t, 2);
    if (ol_infer_ints(c, 1, &length, 1) == 1 && length >= 0) c->out[0].dims[0] = length / 2 + 1;
    if (ol_infer_ints(c, 0, &n, 1) == 1 && n >= 0) c->out[0].dims[1] = n;
    return OLV_OK;
}

static const ol_attr_spec attrs[] = {{"output_datatype", OL_ATTR_INT, false}};
extern const ol_op ol_op_MelWeightMatrix;
const ol_op ol_op_MelWeightMatrix = {
    .domain = "", .name = "MelWeightMatrix", .summary = "filters of the mel scale over a spectrum",
    .min_inputs = 5, .max_inputs = 5, .min_outputs = 1, .max_outputs = 1, OL_ATTRS(attrs),
    .infer = infer, .eval = eval};
