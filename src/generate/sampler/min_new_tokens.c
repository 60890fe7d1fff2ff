/* SPDX-License-Identifier: Apache-2.0 */
/* No end token before min_new_tokens tokens. */
#include "generate/sampler/stage.h"

static olv_status check(const ol_sampler_params *p, olv_error *err) {
    if (p->min_new_tokens >= 0) return OLV_OK;
    return ol_fail(err, OLV_ARG, "min_new_tokens is %lld; expected 0 or more", (long long)p->min_new_tokens);
}

static bool wanted(const ol_sampler_params *p) { return p->min_new_tokens > 0 && p->n_eos > 0; }

static void apply(ol_sampler *s) {
    if (ol_sampler_generated(s) >= (uint64_t)s->p.min_new_tokens) return;
    for (size_t i = 0; i < s->p.n_eos; i++)
        if (s->p.eos_ids[i] >= 0 && s->p.eos_ids[i] < s->vocab) s->row[s->p.eos_ids[i]] = -INFINITY;
}

const ol_sampler_stage ol_sampler_min_new_tokens = {"min_new_tokens", check, wanted, apply, NULL};
