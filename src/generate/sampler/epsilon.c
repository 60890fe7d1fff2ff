/* SPDX-License-Identifier: Apache-2.0 */
/* Tokens with a probability of at least epsilon_cutoff (Hewitt et al., 2022). */
#include "generate/sampler/stage.h"

static olv_status check(const ol_sampler_params *p, olv_error *err) {
    if (p->epsilon_cutoff >= 0 && p->epsilon_cutoff < 1) return OLV_OK;
    return ol_fail(err, OLV_ARG, "epsilon_cutoff is %g; expected a number from 0 to below 1", p->epsilon_cutoff);
}

static bool wanted(const ol_sampler_params *p) { return p->epsilon_cutoff > 0; }

static bool keep(const ol_sampler *s, int64_t i, double least) { return s->weight[i] >= least; }

static void apply(ol_sampler *s) { ol_sampler_filter(s, keep, s->p.epsilon_cutoff * s->sum); }

const ol_sampler_stage ol_sampler_epsilon = {"epsilon_cutoff", check, wanted, apply, NULL};
