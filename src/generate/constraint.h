/* SPDX-License-Identifier: Apache-2.0 */
/* Constrained decoding: the grammar of one generation, followed token by token. */
#ifndef OL_GENERATE_CONSTRAINT_H
#define OL_GENERATE_CONSTRAINT_H

#include "generate/pipeline.h"

typedef struct ol_constraint ol_constraint;

/* Compiles what the settings ask for; *out is NULL when they ask for nothing. The pipeline keeps the vocabulary's form
 * for later generations. */
OLV_MUST_USE olv_status ol_constraint_create(olv_pipeline *p, const olv_generation_config *cfg, ol_constraint **out,
                                             olv_error *err);
/* Gives it back: the pipeline keeps the last few with all that they found out. NULL accepted. */
void ol_constraint_release(olv_pipeline *p, ol_constraint *c);
/* Drops what the pipeline keeps of constraints. */
void ol_constraint_forget(olv_pipeline *p);
/* Tokens that may come next, borrowed until the next call. OLV_STATE when the vocabulary has none. */
OLV_MUST_USE olv_status ol_constraint_mask(ol_constraint *c, const uint32_t **mask, olv_error *err);
/* The allowed token (of the last mask) with the highest score. */
int64_t ol_constraint_best(const ol_constraint *c, const float *scores);
/* Follows a token that the last mask allowed and that is no end token. */
OLV_MUST_USE olv_status ol_constraint_accept(ol_constraint *c, int64_t token, olv_error *err);
/* Nothing can follow any more. */
bool ol_constraint_finished(ol_constraint *c);

#endif
