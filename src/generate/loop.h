/* SPDX-License-Identifier: Apache-2.0 */
/* One running generation: what draws tokens, what becomes of them. */
#ifndef OL_GENERATE_LOOP_H
#define OL_GENERATE_LOOP_H

#include "generate/constraint.h"
#include "generate/guidance.h"
#include "generate/pipeline.h"
#include "generate/stop.h"

typedef struct ol_loop {
    olv_pipeline *p;
    const olv_generation_config *cfg;
    ol_sampler *sampler;
    ol_constraint *constraint; /* NULL: none */
    ol_sequence *seq;
    olv_detokenizer *detok;
    ol_stop stop;
    ol_buf text, piece; /* all text; text of this step */
    ol_buf ids;         /* int64: the prompt, then the new tokens */
    int64_t n_prompt, limit; /* new tokens at most */
    olv_text_fn *on_text;
    void *ctx;
    olv_finish_reason reason;
    ol_guidance *guidance;   /* NULL: none */
    int64_t dropped;         /* tokens that have left the context, behind the first ol_loop_keep */
    double deadline_ms;      /* 0: none */
} ol_loop;

static inline const int64_t *ol_loop_ids(const ol_loop *l) { return (const int64_t *)(const void *)l->ids.data; }
static inline int64_t ol_loop_count(const ol_loop *l) { return (int64_t)(l->ids.len / sizeof(int64_t)); }
static inline int64_t ol_loop_made(const ol_loop *l) { return ol_loop_count(l) - l->n_prompt; }

/* Sampler, constraint and text parts for a prompt. */
OLV_MUST_USE olv_status ol_loop_start(ol_loop *l, const int64_t *prompt, int64_t n, olv_error *err);
void ol_loop_deinit(ol_loop *l);
/* Draws a token from a row of scores, delivers its text; sets l->reason when it ends the generation. */
OLV_MUST_USE olv_status ol_loop_draw(ol_loop *l, const float *scores, int64_t *token, olv_error *err);
/* Takes a token that was chosen otherwise. */
OLV_MUST_USE olv_status ol_loop_take(ol_loop *l, int64_t token, olv_error *err);
/* Ends the generation when its time is over. */
void ol_loop_check_time(ol_loop *l);
/* Tokens at the beginning that never leave the context. */
int64_t ol_loop_keep(const ol_loop *l);
/* Delivers what was held back. */
OLV_MUST_USE olv_status ol_loop_finish(ol_loop *l, olv_error *err);
/* A sampler as the settings ask for, with the prompt as its history. */
OLV_MUST_USE olv_status ol_sampler_for(const olv_pipeline *p, const olv_generation_config *cfg, const int64_t *prompt,
                                       int64_t n, ol_sampler **out, olv_error *err);

#endif
