/* SPDX-License-Identifier: Apache-2.0 */
/* Gelu: x/2 (1 + erf(x / sqrt 2)), or with approximate="tanh" x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))). */
#include "ops/ops.h"

static double gelu(double x, bool approximate) {
    if (approximate) return 0.5 * x * (1 + tanh(sqrt(2 / M_PI) * (x + 0.044715 * x * x * x)));
    return 0.5 * x * (1 + erf(x * M_SQRT1_2));
}

static olv_status eval(ol_eval *c, olv_error *err) {
    const ol_tensor *x;
    ol_tensor *y;
    OL_TRY(ol_eval_need(c, 0, &x, err));
    if (!ol_is_float(x->dtype)) return ol_fail(err, OLV_UNSUPPORTED, "elements of type %s", ol_dtype_name(x->dtype));
    OL_TRY(ol_eval_out(c, 0, x->dtype, x->rank, x->dims, &y, err));
    bool approximate = ol_str_is(ol_node_string(c->node, "approximate", "none"), "tanh");
    for (int64_t i = 0, n = ol_tensor_count(x); i < n; i++) ol_tensor_set(y, i, gelu(ol_tensor_get(x, i), approximate));
    return OLV_OK;
}

static const ol_attr_spec attrs[] = {{"approximate", OL_ATTR_STRING, false}};
extern const ol_op ol_op_Gelu;
const ol_op ol_op_Gelu = {"", "Gelu", "Gaussian error linear unit", 1, 1, 1, 1, attrs, 1, ol_infer_same, eval,
                          NULL, false, true};
