/* SPDX-License-Identifier: Apache-2.0 */
/* Locally typical sampling (Meister et al., 2022): the tokens whose surprise is nearest to the entropy, until their
 * probabilities reach typical_p. */
#include "generate/sampler/stage.h"

static olv_status check(const ol_sampler_params *p, olv_error *err) {
    if (p->typical_p > 0 && p->typical_p <= 1) return OLV_OK;
    return ol_fail(err, OLV_ARG, "typical_p is %g; expected a number above 0 and at most 1", p->typical_p);
}

static bool wanted(const ol_sampler_params *p) { return p->typical_p < 1; }

static void apply(ol_sampler *s) {
    double h = ol_sampler_entropy(s), sum = 0;
    int64_t n = 0;
    for (int64_t i = 0; i < s->n; i++) {
        double p = ol_sampler_probability(s, i);
        s->key[i] = p > 0 ? (float)fabs(-ol_log_repro(p) - h) : INFINITY;
    }
    float limit = ol_select_key(s->key, s->weight, s->n, s->p.typical_p * s->sum, NULL);
    /* Not the shared filter: the most probable token may well be no typical one. */
    for (int64_t i = 0; i < s->n; i++) {
        if (s->key[i] > limit) continue;
        sum += s->weight[i];
        s->ids[n] = s->ids[i];
        s->logit[n] = s->logit[i];
        s->weight[n++] = s->weight[i];
    }
    s->n = n;
    s->sum = sum;
}

const ol_sampler_stage ol_sampler_typical = {"typical_p", check, wanted, apply, NULL};
