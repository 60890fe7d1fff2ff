/* SPDX-License-Identifier: Apache-2.0 */
/* Diverse beam search (Vijayakumar et al., "Diverse beam search", 2018), by the rules of transformers' group beam search:
 * groups of beams choose one after the other, and a token loses diversity_penalty for each time that a group before chose it
 * in the same step. */
#ifndef OL_GENERATE_DIVERSE_H
#define OL_GENERATE_DIVERSE_H

#include "generate/loop.h"

/* As ol_beam_search. */
OLV_MUST_USE olv_status ol_diverse_search(ol_loop *l, const float *scores, olv_generation *out, olv_error *err);

#endif
