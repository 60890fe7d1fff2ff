/* SPDX-License-Identifier: Apache-2.0 */
/* Nucleus sampling (Holtzman et al., 2019): the fewest best tokens whose probabilities reach top_p; of equal ones at
 * the border those with the lowest ids. */
#include "generate/sampler/stage.h"

static olv_status check(const ol_sampler_params *p, olv_error *err) {
    if (p->top_p > 0 && p->top_p <= 1) return OLV_OK;
    return ol_fail(err, OLV_ARG, "top_p is %g; expected a number above 0 and at most 1", p->top_p);
}

static bool wanted(const ol_sampler_params *p) { return p->top_p < 1; }

static bool keep(const ol_sampler *s, int64_t i, double arg) {
    (void)arg;
    return s->key[i] != 0;
}

static void apply(ol_sampler *s) {
    double want = s->p.top_p * s->sum, have;
    for (int64_t i = 0; i < s->n; i++) s->key[i] = -s->logit[i];
    float limit = ol_select_key(s->key, s->weight, s->n, want, &have);
    for (int64_t i = 0; i < s->n; i++) {
        bool in = s->key[i] < limit;
        if (s->key[i] == limit && have < want) {
            in = true;
            have += s->weight[i];
        }
        s->key[i] = in;
    }
    ol_sampler_filter(s, keep, 0);
}

const ol_sampler_stage ol_sampler_top_p = {"top_p", check, wanted, apply, NULL};
