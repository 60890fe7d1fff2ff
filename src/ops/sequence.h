/* SPDX-License-Identifier: Apache-2.0 */
/* Building sequences while evaluating. */
#ifndef OL_OPS_SEQUENCE_H
#define OL_OPS_SEQUENCE_H

#include "ops/ops.h"

/* *out becomes an empty sequence. */
static inline void ol_sequence_start(ol_datum *out) {
    *out = (ol_datum){.kind = OL_VALUE_SEQUENCE, .present = true};
}
/* Appends a copy of a tensor. */
OLV_MUST_USE olv_status ol_datum_append(ol_datum *seq, const ol_datum *item, olv_error *err);

#endif
