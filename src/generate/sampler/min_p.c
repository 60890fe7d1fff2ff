/* SPDX-License-Identifier: Apache-2.0 */
/* Tokens with at least min_p times the best one's probability. */
#include "generate/sampler/stage.h"

static olv_status check(const ol_sampler_params *p, olv_error *err) {
    if (p->min_p >= 0 && p->min_p < 1) return OLV_OK;
    return ol_fail(err, OLV_ARG, "min_p is %g; expected a number from 0 to below 1", p->min_p);
}

static bool wanted(const ol_sampler_params *p) { return p->min_p > 0; }

/* The best token's weight is 1 exactly. */
static bool keep(const ol_sampler *s, int64_t i, double min_p) { return s->weight[i] >= min_p; }

static void apply(ol_sampler *s) { ol_sampler_filter(s, keep, s->p.min_p); }

const ol_sampler_stage ol_sampler_min_p = {"min_p", check, wanted, apply, NULL};
