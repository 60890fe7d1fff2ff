/* SPDX-License-Identifier: Apache-2.0 */
/* An operator of one's own: example::Clamp(x) with the attributes `low` and `high`, for elements of type f32.
 *
 *     cc -shared -fPIC extension.c -o extension.so
 *     olivine infer model.onnx --extension ./extension.so --input x=x.npy */
#include <olivine/extension.h>

olv_status olv_extension_init(olv_core *core, olv_error *err);

/* The output is like input 0, whatever its sizes are. */
static olv_status infer(olv_op_call *c, void *ctx, olv_error *err) {
    (void)ctx;
    olv_port x;
    if (!olv_op_get_type(c, 0, &x) || x.dtype != OLV_F32) return olv_op_fail(err, OLV_SHAPE, "Clamp takes a tensor of type f32");
    if (olv_op_float(c, "low", 0) > olv_op_float(c, "high", 1)) return olv_op_fail(err, OLV_ARG, "Clamp: low is above high");
    return olv_op_set_output_like(c, 0, 0, err);
}

static olv_status eval(olv_op_call *c, void *ctx, olv_error *err) {
    (void)ctx;
    const olv_tensor *x = olv_op_get_input(c, 0);
    float low = (float)olv_op_float(c, "low", 0), high = (float)olv_op_float(c, "high", 1);
    olv_tensor *y;
    olv_status s = olv_op_make_output(c, 0, OLV_F32, olv_tensor_get_rank(x), olv_tensor_get_dims(x), &y, err);
    if (s != OLV_OK) return s;
    const float *from = olv_tensor_get_data(x);
    float *to = olv_tensor_get_data(y);
    for (int64_t i = 0; i < olv_tensor_get_count(x); i++) to[i] = from[i] < low ? low : from[i] > high ? high : from[i];
    return OLV_OK;
}

OLV_API olv_status olv_extension_init(olv_core *core, olv_error *err) {
    const olv_op clamp = {.struct_size = sizeof clamp, .domain = "example", .name = "Clamp", .min_inputs = 1, .max_inputs = 1,
                          .min_outputs = 1, .max_outputs = 1, .infer = infer, .eval = eval};
    return olv_register_op(core, &clamp, err);
}
