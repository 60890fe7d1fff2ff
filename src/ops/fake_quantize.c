/* SPDX-License-Identifier: Apache-2.0 */
/* olivine.FakeQuantize(x, in_low, in_high, out_low, out_high): x is brought to one of `levels` numbers that divide in_low to
 * in_high evenly, and these are stretched to out_low to out_high. As OpenVINO has it, in single precision:
 * round((x - in_low) / (in_high - in_low) (levels - 1)) / (levels - 1) (out_high - out_low) + out_low, halves to even. */
#include "ops/ops.h"

static olv_status infer(ol_infer *c, olv_error *err) {
    ol_type t = *ol_infer_in(c, 0);
    for (int i = 1; i < 5; i++) OL_TRY(ol_infer_broadcast(c, &t, ol_infer_in(c, i), err));
    c->out[0] = t;
    return OLV_OK;
}

static float quantized(float x, float lo, float hi, float to_lo, float to_hi, float steps) {
    if (x <= fminf(lo, hi)) return to_lo;
    if (x > fmaxf(lo, hi)) return to_hi;
    return nearbyintf((x - lo) / (hi - lo) * steps) / steps * (to_hi - to_lo) + to_lo;
}

static olv_status eval(ol_eval *c, olv_error *err) {
    const ol_tensor *t[5];
    ol_tensor *y;
    ol_walk in, out;
    int64_t levels = ol_node_int(c->node, "levels", 256);
    for (int i = 0; i < 5; i++) OL_TRY(ol_eval_need(c, i, &t[i], err));
    if (levels < 2) return ol_fail(err, OLV_ARG, "%lld levels, 2 at least expected", (long long)levels);
    OL_TRY(ol_walk_init(&in, t, 3, err));
    OL_TRY(ol_walk_init(&out, (const ol_tensor *[]){t[0], t[3], t[4]}, 3, err));
    if (in.rank != out.rank || memcmp(in.dims, out.dims, (size_t)in.rank * sizeof *in.dims))
        return ol_fail(err, OLV_SHAPE, "limits of the input and of the output do not fit");
    OL_TRY(ol_eval_out(c, 0, t[0]->dtype, in.rank, in.dims, &y, err));
    for (int64_t i = 0; i < in.count; i++, ol_walk_next(&in), ol_walk_next(&out))
        ol_tensor_set(y, i, (double)quantized((float)ol_tensor_get(t[0], in.at[0]), (float)ol_tensor_get(t[1], in.at[1]), (float)ol_tensor_get(t[2], in.at[2]),
                                              (float)ol_tensor_get(t[3], out.at[1]), (float)ol_tensor_get(t[4], out.at[2]), (float)(levels - 1)));
    return OLV_OK;
}

extern const ol_op ol_op_olivine_FakeQuantize;
static const ol_attr_spec attrs[] = {{"levels", OL_ATTR_INT, false}};
const ol_op ol_op_olivine_FakeQuantize = {"olivine", "FakeQuantize", "brings values to one of some levels, as quantizing and dequantizing would", 5, 5, 1, 1,
                                          OL_ATTRS(attrs), infer, eval, NULL, false, false};
