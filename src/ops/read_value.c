/* SPDX-License-Identifier: Apache-2.0 */
/* olivine.ReadValue(state, fresh, init?): `init` at the start of a sequence of runs (fresh is true), else what the last
 * run left, which the caller gives as `state`. Without init the start is zeros, of the least shape that the state's type has. */
#include "ops/ops.h"

static olv_status infer(ol_infer *c, olv_error *err) {
    (void)err;
    c->out[0] = *ol_infer_in(c, 0);
    for (int i = 0; i < c->out[0].rank; i++) /* the start may have another size than what is left of the last run */
        if (!ol_dim_known(c->out[0].dims[i])) c->out[0].dims[i] = ol_infer_fresh(c);
    return OLV_OK;
}

static olv_status eval(ol_eval *c, olv_error *err) {
    const ol_tensor *state, *fresh, *init = ol_eval_in(c, 2);
    const ol_type *type = &c->node->inputs[0]->type;
    ol_tensor *y;
    int64_t dims[OL_MAX_RANK];
    OL_TRY(ol_eval_need(c, 0, &state, err));
    OL_TRY(ol_eval_need(c, 1, &fresh, err));
    if (fresh->dtype != OL_BOOL || ol_tensor_count(fresh) != 1) return ol_fail(err, OLV_SHAPE, "`fresh` is no bool");
    bool start = ol_tensor_i64(fresh, 0) != 0;
    if (start && !init) {
        for (int i = 0; i < type->rank; i++) dims[i] = ol_dim_known(type->dims[i]) ? type->dims[i] : 0;
        return ol_eval_out(c, 0, state->dtype, type->rank < 0 ? 0 : type->rank, dims, &y, err);
    }
    const ol_tensor *from = start ? init : state;
    if (from->dtype != state->dtype) return ol_fail(err, OLV_SHAPE, "a state and its start have two element types");
    OL_TRY(ol_eval_out(c, 0, from->dtype, from->rank, from->dims, &y, err));
    ol_elems_copy(y, 0, from, 0, ol_tensor_count(from));
    return ol_tensor_own_strings(y, err);
}

extern const ol_op ol_op_olivine_ReadValue;
const ol_op ol_op_olivine_ReadValue = {"olivine", "ReadValue", "a state, or its start", 2, 3, 1, 1, NULL, 0, infer, eval, NULL, false, false};
