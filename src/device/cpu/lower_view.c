/* SPDX-License-Identifier: Apache-2.0 */
/* Operators that only give the same bytes another shape: the output lives in the input's buffer. */
#include "base/error.h"
#include "device/cpu/cpu.h"
#include "graph/op.h"

olv_status ol_lower_view(ol_lowering *l, ol_node *n, olv_error *err) {
    int b = ol_lower_input(l, n->inputs[0], err);
    if (b < 0) return err ? err->status : OLV_INTERNAL;
    ol_lower_alias(l, n->outputs[0], b);
    return OLV_OK;
}

/* Values of float types are f32 here whatever their type says (a table's rows are widened as they are gathered). */
olv_status ol_lower_cast(ol_lowering *l, ol_node *n, olv_error *err) {
    if (ol_dtype_class(n->inputs[0]->type.dtype) != 'f' || n->outputs[0]->type.dtype != OL_F32)
        return ol_fail(err, OLV_UNSUPPORTED, "only casts of float types to f32");
    return ol_lower_view(l, n, err);
}
