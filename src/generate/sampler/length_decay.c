/* SPDX-License-Identifier: Apache-2.0 */
/* exponential_decay_length_penalty: n tokens behind the start, an end token's score s grows by |s| (factor^n - 1). */
#include "generate/sampler/stage.h"

static olv_status check(const ol_sampler_params *p, olv_error *err) {
    if (p->length_decay == 1) return OLV_OK;
    if (p->length_decay > 0 && isfinite(p->length_decay) && p->length_decay_start >= 0) return OLV_OK;
    return ol_fail(err, OLV_ARG, "exponential_decay_length_penalty is (%lld, %g); expected a start of 0 or more and a factor above 0",
                   (long long)p->length_decay_start, p->length_decay);
}

static bool wanted(const ol_sampler_params *p) { return p->length_decay != 1 && p->n_eos > 0; }

static void apply(ol_sampler *s) {
    uint64_t made = ol_sampler_generated(s), start = (uint64_t)s->p.length_decay_start;
    if (made <= start) return;
    double grown = ol_exp_repro((double)(made - start) * ol_log_repro(s->p.length_decay)) - 1;
    for (size_t i = 0; i < s->p.n_eos; i++) {
        int64_t t = s->p.eos_ids[i];
        if (t >= 0 && t < s->vocab) s->row[t] = (float)((double)s->row[t] + fabs((double)s->row[t]) * grown);
    }
}

const ol_sampler_stage ol_sampler_length_decay = {"exponential_decay_length_penalty", check, wanted, apply, NULL};
