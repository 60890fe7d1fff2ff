/* SPDX-License-Identifier: Apache-2.0 */
/* Codes of weights: symmetric, -127 to 127, a scale for each channel of an axis. */
#ifndef OL_QUANTIZE_WEIGHTS_H
#define OL_QUANTIZE_WEIGHTS_H

#include "graph/graph.h"

typedef struct ol_weight_codes {
    ol_tensor weights; /* f32, as they were */
    int axis;
    int64_t n, inner;  /* channels; elements behind the axis */
    float *scale;      /* [n] */
    int8_t *codes;
} ol_weight_codes;

/* half: codes keep to -64..64. Deinit it when all is well. OLV_FORMAT when a weight is no finite number. */
OLV_MUST_USE olv_status ol_weight_codes_make(ol_weight_codes *w, const ol_value *v, int axis, bool half, olv_error *err);
void ol_weight_codes_deinit(ol_weight_codes *w);
static inline int64_t ol_weight_channel(const ol_weight_codes *w, int64_t i) { return i / w->inner % w->n; }

#endif
