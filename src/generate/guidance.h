/* SPDX-License-Identifier: Apache-2.0 */
/* Classifier-free guidance (Sanchez et al., "Stay on topic with classifier-free guidance", 2023), by transformers' rule: a
 * second text begins with the prompt's last token alone, and with u its log-probabilities and c those of the real text,
 * scores are u + guidance_scale (c - u). */
#ifndef OL_GENERATE_GUIDANCE_H
#define OL_GENERATE_GUIDANCE_H

#include "generate/pipeline.h"

typedef struct ol_guidance ol_guidance;

/* *out is NULL when the scale is 1. */
OLV_MUST_USE olv_status ol_guidance_create(olv_pipeline *p, const olv_generation_config *cfg, ol_guidance **out, olv_error *err);
void ol_guidance_destroy(ol_guidance *g); /* NULL accepted */
/* Runs the newest token of the text through the second one; *scores becomes the guided row, valid until the next call. */
OLV_MUST_USE olv_status ol_guidance_apply(ol_guidance *g, int64_t newest, const float **scores, olv_error *err);

#endif
