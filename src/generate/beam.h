/* SPDX-License-Identifier: Apache-2.0 */
/* Beam search over forked sequences, all beams in one run, with the rules of transformers' generate(). */
#ifndef OL_GENERATE_BEAM_H
#define OL_GENERATE_BEAM_H

#include "generate/loop.h"

/* Settings that beam search cannot keep are OLV_UNSUPPORTED. */
OLV_MUST_USE olv_status ol_beam_check(const ol_loop *l, olv_error *err);
/* l->seq holds the prompt, scores are those of its last token. Fills ids, text, finish reason and beams of out. */
OLV_MUST_USE olv_status ol_beam_search(ol_loop *l, const float *scores, olv_generation *out, olv_error *err);

#endif
