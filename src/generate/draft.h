/* SPDX-License-Identifier: Apache-2.0 */
/* Guessing the next tokens, so that the model checks several of them in one run: from the text so far (prompt lookup), or
 * with a smaller model. Guesses never change what is generated, only how fast. */
#ifndef OL_GENERATE_DRAFT_H
#define OL_GENERATE_DRAFT_H

#include "generate/loop.h"

typedef struct ol_draft ol_draft;

/* *out is NULL when the settings ask for no guesses. */
OLV_MUST_USE olv_status ol_draft_create(ol_loop *l, ol_draft **out, olv_error *err);
void ol_draft_destroy(ol_draft *d); /* NULL accepted */
/* At most `most` guesses of what follows the loop's tokens; the count is returned in *n. */
OLV_MUST_USE olv_status ol_draft_guess(ol_draft *d, const ol_loop *l, int64_t most, int64_t *guesses, int64_t *n,
                                       olv_error *err);
/* OLV_ARG unless both models have the same tokens. */
OLV_MUST_USE olv_status ol_draft_check(const olv_pipeline *target, const olv_pipeline *draft, olv_error *err);

#endif
