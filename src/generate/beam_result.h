/* SPDX-License-Identifier: Apache-2.0 */
/* What a search over several texts hands out. */
#ifndef OL_GENERATE_BEAM_RESULT_H
#define OL_GENERATE_BEAM_RESULT_H

#include "generate/loop.h"

typedef struct ol_found_text {
    const int64_t *ids;
    int64_t length;
    double score;
} ol_found_text;

bool ol_beam_is_end(const ol_loop *l, int64_t token);
/* Fills the beams of out and, with the first text, ids, text and finish reason of the loop. */
OLV_MUST_USE olv_status ol_beam_fill(ol_loop *l, const ol_found_text *texts, size_t n, olv_generation *out, olv_error *err);

#endif
