/* SPDX-License-Identifier: Apache-2.0 */
/* Prompts that need not be computed again: the last prompt of a pipeline, kept in memory for the next one that begins
 * alike, and a prompt's state in a file.
 *
 * Only positions that the prefill entry computed are kept, and they are used only for prompts that run in that entry: what
 * is generated is bitwise the same as without (docs/decisions/0002). Recurrent states, which cannot go back, serve only
 * prompts that go on where the kept one ended; rotations that depend on a sequence's length are left out. */
#ifndef OL_GENERATE_PROMPT_CACHE_H
#define OL_GENERATE_PROMPT_CACHE_H

#include "generate/loop.h"

/* Makes l->seq with the loop's prompt in it; the scores of its last token. *reused: positions not computed again. */
OLV_MUST_USE olv_status ol_prompt_run(ol_loop *l, const float **scores, int64_t *width, int64_t *reused, olv_error *err);
/* Hands l->seq to the pipeline for the next prompt, where that may help. */
void ol_prompt_keep(ol_loop *l);
void ol_prompt_forget(olv_pipeline *p);

#endif
