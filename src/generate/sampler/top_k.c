/* SPDX-License-Identifier: Apache-2.0 */
/* The k best; tokens that tie with the last of them stay (transformers' rule). Runs before the temperature, which
 * does not change the order, so that only k exponentials are taken. */
#include "generate/sampler/stage.h"

static olv_status check(const ol_sampler_params *p, olv_error *err) {
    if (p->top_k >= 0) return OLV_OK;
    return ol_fail(err, OLV_ARG, "top_k is %lld; expected 0 (off) or more", (long long)p->top_k);
}

static bool wanted(const ol_sampler_params *p) { return p->top_k > 0; }

static bool keep(const ol_sampler *s, int64_t i, double limit) { return (double)s->logit[i] >= limit; }

static void apply(ol_sampler *s) {
    if (s->n <= s->p.top_k) return;
    for (int64_t i = 0; i < s->n; i++) s->key[i] = -s->logit[i];
    double limit = -(double)ol_select_key(s->key, NULL, s->n, (double)s->p.top_k, NULL);
    ol_sampler_filter(s, keep, limit);
}

const ol_sampler_stage ol_sampler_top_k = {"top_k", check, wanted, apply, NULL};
