/* SPDX-License-Identifier: Apache-2.0 */
/* The inside of public values. */
#ifndef OL_RUNTIME_TENSOR_H
#define OL_RUNTIME_TENSOR_H

#include "base/json.h"
#include "graph/op.h"
#include <olivine/tensor.h>

struct olv_tensor {
    ol_datum datum; /* alone: the items of a sequence are seen as olv_tensor too */
};

/* ranges: what an input takes; NULL: whatever its type says. */
void ol_port_of(const ol_value *v, const olv_range *ranges, olv_port *out);
/* The type that a port describes, without symbols. */
ol_type ol_type_of_port(const olv_port *p);
/* A tensor from nested arrays of numbers, truth values or strings, with the element type of `like` (may be NULL). */
OLV_MUST_USE olv_status ol_tensor_of_json(const json_t *j, const olv_port *like, olv_tensor **out, olv_error *err);

#endif
