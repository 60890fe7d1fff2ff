/* SPDX-License-Identifier: Apache-2.0 */
/* Operators that only give the same bytes another shape: the output lives in the input's buffer. */
#include "base/error.h"
#include "device/cpu/broadcast.h"
#include "graph/op.h"

olv_status ol_lower_view(ol_lowering *l, ol_node *n, olv_error *err) {
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
