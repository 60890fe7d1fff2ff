/* SPDX-License-Identifier: Apache-2.0 */
#include "ops/fixed_state.h"

/* Fixed states stand where no position is. */
#define NO_POSITION (-1)

olv_status ol_fixed_state_check(const ol_eval *c, int64_t rows, olv_error *err) {
    if (!c->state)
        return ol_fail(err, OLV_UNSUPPORTED,
                       "a recurrent operator runs only where sequences are known");
    if (c->state->n_rows != rows)
        return ol_fail(err, OLV_ARG, "%lld rows found, the run has %lld", (long long)rows,
                       (long long)c->state->n_rows);
    return OLV_OK;
}

float *ol_fixed_state(const ol_eval *c, int64_t row, int64_t width, olv_error *err) {
    const ol_state_access *s = c->state;
    float *v = s->slot(s->ctx, ol_node_int(c->node, "state", 0), s->sequence[row], NO_POSITION,
                       width, true);
    if (!v) ol_fail(err, OLV_NOMEM, "no room for a state of %lld values", (long long)width);
    return v;
}

olv_status ol_eval_matrix(const ol_eval *c, int i, int64_t rows, int64_t width,
                          const ol_tensor **out, olv_error *err) {
    OL_TRY(ol_eval_need(c, i, out, err));
    const ol_tensor *t = *out;
    if (t->rank == 2 && (rows < 0 || t->dims[0] == rows) && (width < 0 || t->dims[1] == width))
        return OLV_OK;
    return ol_fail(err, OLV_SHAPE, "input %d: found rank %d of %lld values, expected rows of %lld",
                   i, t->rank, (long long)ol_tensor_count(t), (long long)width);
}

olv_status ol_infer_rows(ol_infer *c, ol_dim width, olv_error *err) {
    const ol_type *x = ol_infer_in(c, 0);
    OL_TRY(ol_infer_rank(c, 0, 2, 2, err));
    ol_infer_set(c, 0, x->dtype, 2);
    if (x->rank == 2) c->out[0].dims[0] = x->dims[0];
    if (width >= 0) c->out[0].dims[1] = width;
    return OLV_OK;
}
