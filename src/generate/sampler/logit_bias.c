/* SPDX-License-Identifier: Apache-2.0 */
/* Adds given amounts to given tokens. */
#include "generate/sampler/stage.h"

static olv_status check(const ol_sampler_params *p, olv_error *err) {
    for (size_t i = 0; i < p->n_logit_bias; i++)
        if (isnan(p->logit_bias[i].bias) || p->logit_bias[i].token < 0)
            return ol_fail(err, OLV_ARG, "logit_bias: token %lld with bias %g; expected a token id and a number",
                           (long long)p->logit_bias[i].token, p->logit_bias[i].bias);
    return OLV_OK;
}

static bool wanted(const ol_sampler_params *p) { return p->n_logit_bias > 0; }

static void apply(ol_sampler *s) {
    for (size_t i = 0; i < s->p.n_logit_bias; i++) {
        const ol_logit_bias *b = &s->p.logit_bias[i];
        if (b->token < s->vocab) s->row[b->token] = (float)((double)s->row[b->token] + b->bias);
    }
}

const ol_sampler_stage ol_sampler_logit_bias = {"logit_bias", check, wanted, apply, NULL};
