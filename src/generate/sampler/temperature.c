/* SPDX-License-Identifier: Apache-2.0 */
/* Divides the scores; also makes the first weights, since every later stage looks at probabilities. */
#include "generate/sampler/stage.h"

static olv_status check(const ol_sampler_params *p, olv_error *err) {
    if (p->temperature >= 0 && isfinite(p->temperature)) return OLV_OK;
    return ol_fail(err, OLV_ARG, "temperature is %g; expected a number above 0 (or 0 for greedy)", p->temperature);
}

static bool wanted(const ol_sampler_params *p) {
    (void)p;
    return true;
}

static void apply(ol_sampler *s) {
    s->temperature = s->p.temperature;
    ol_sampler_weigh(s);
}

const ol_sampler_stage ol_sampler_temperature = {"temperature", check, wanted, apply, NULL};
