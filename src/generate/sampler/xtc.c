/* SPDX-License-Identifier: Apache-2.0 */
/* XTC ("exclude top choices"): with probability xtc_probability, of the tokens that have at least xtc_threshold only
 * the least probable stays (the lowest id of equal ones), when there are two or more. */
#include "generate/sampler/stage.h"

static olv_status check(const ol_sampler_params *p, olv_error *err) {
    if (!(p->xtc_probability >= 0 && p->xtc_probability <= 1))
        return ol_fail(err, OLV_ARG, "xtc_probability is %g; expected a number from 0 to 1", p->xtc_probability);
    if (p->xtc_threshold > 0 && p->xtc_threshold <= 1) return OLV_OK;
    return ol_fail(err, OLV_ARG, "xtc_threshold is %g; expected a number above 0 and at most 1", p->xtc_threshold);
}

/* Above one half no two tokens reach the threshold. */
static bool wanted(const ol_sampler_params *p) { return p->xtc_probability > 0 && p->xtc_threshold <= 0.5; }

static void apply(ol_sampler *s) {
    double least = s->p.xtc_threshold * s->sum, sum = 0;
    int64_t last = -1, above = 0, n = 0;
    if (ol_sampler_uniform(s, 1) >= s->p.xtc_probability) return;
    for (int64_t i = 0; i < s->n; i++) {
        if (s->weight[i] < least) continue;
        above++;
        if (last < 0 || s->weight[i] < s->weight[last]) last = i;
    }
    if (above < 2) return;
    for (int64_t i = 0; i < s->n; i++) {
        if (s->weight[i] >= least && i != last) continue;
        sum += s->weight[i];
        s->ids[n] = s->ids[i];
        s->logit[n] = s->logit[i];
        s->weight[n++] = s->weight[i];
    }
    s->n = n;
    s->sum = sum;
}

const ol_sampler_stage ol_sampler_xtc = {"xtc", check, wanted, apply, NULL};
