/* SPDX-License-Identifier: Apache-2.0 */
/* Operators that only give the same bytes another shape: the output lives in the input's buffer. */
#include "base/error.h"
#include "device/cpu/cpu.h"

olv_status ol_lower_view(ol_lowering *l, ol_node *n, olv_error *err) {
    int b = ol_lower_input(l, n->inputs[0], err);
    if (b < 0) return err ? err->status : OLV_INTERNAL;
    ol_lower_alias(l, n->outputs[0], b);
    return OLV_OK;
}
