/* SPDX-License-Identifier: Apache-2.0 */
#ifndef OL_QUANTIZE_REPORT_H
#define OL_QUANTIZE_REPORT_H

#include "base/json.h"
#include "quantize/placement.h"

/* Fills an object: "quantizers", "layers" and "float" say what was placed where, and what was not, and why. */
OLV_MUST_USE olv_status ol_quantize_report(json_t *report, const ol_placement *pl, const bool *half, olv_error *err);

#endif
