/* SPDX-License-Identifier: Apache-2.0 */
/* Operators that only give the same bytes another shape: the output lives in the input's buffer. */
#include "base/error.h"
#include "device/cpu/broadcast.h"
#include "graph/op.h"

static ol_dim count_of(ol_lowering *l, const ol_value *v) {
    ol_dim n = 1;
    for (int i = 0; i < v->type.rank; i++) n = ol_dim_mul(l->graph->dims, n, v->type.dims[i]);
    return v->type.rank < 0 ? OL_DIM_NONE : n;
}

/* The sizes must be equal whatever the run's are; otherwise the reference evaluation looks at each run. */
olv_status ol_lower_view(ol_lowering *l, ol_node *n, olv_error *err) {
    ol_dim from = count_of(l, n->inputs[0]);
    if (from == OL_DIM_NONE || from != count_of(l, n->outputs[0]))
        return ol_fail(err, OLV_UNSUPPORTED, "the output's size is not known to be the input's");
    int b = ol_lower_input(l, n->inputs[0], err);
    if (b < 0) return err ? err->status : OLV_INTERNAL;
    ol_lower_alias(l, n->outputs[0], b);
    return OLV_OK;
}

/* Values of float types are f32 here whatever their type says (a table's rows are widened as they are gathered). */
olv_status ol_lower_cast(ol_lowering *l, ol_node *n, olv_error *err) {
    ol_dtype from = n->inputs[0]->type.dtype, to = n->outputs[0]->type.dtype;
    if (to == OL_F32 && ol_dtype_class(from) == 'f') return ol_lower_view(l, n, err);
    if (from == to || (from == OL_BOOL && to == OL_I64) || (to == OL_I64 && ol_dtype_class(from) == 's'))
        return ol_lower_view(l, n, err);
    return ol_cpu_lower_broadcast(l, n, err);
}
