/* SPDX-License-Identifier: Apache-2.0 */
/* Contrastive search (Su et al., "A contrastive framework for neural text generation", 2022): of the top_k most probable
 * tokens, the one with the highest (1 - alpha) p - alpha max cos, where the cosine is that of the last hidden state behind the
 * token with those of all tokens before it. As transformers does it, probabilities are those after penalties. */
#ifndef OL_GENERATE_CONTRAST_H
#define OL_GENERATE_CONTRAST_H

#include "generate/loop.h"

/* Whether the settings ask for it. */
bool ol_contrast_wanted(const olv_generation_config *cfg);
/* Gives the graph a second output, what the head reads: the last hidden states after their normalization. */
OLV_MUST_USE olv_status ol_contrast_add_output(ol_graph *g, olv_error *err);
OLV_MUST_USE olv_status ol_contrast_search(ol_loop *l, double start_ms, olv_generation *out, olv_error *err);

#endif
