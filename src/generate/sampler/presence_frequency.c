/* SPDX-License-Identifier: Apache-2.0 */
/* OpenAI's penalties: presence once, frequency for each time a token was generated. */
#include "generate/sampler/stage.h"

static olv_status check_one(const char *name, double v, olv_error *err) {
    if (v >= -2 && v <= 2) return OLV_OK;
    return ol_fail(err, OLV_ARG, "%s is %g; expected a number from -2 to 2", name, v);
}

static olv_status check(const ol_sampler_params *p, olv_error *err) {
    OL_TRY(check_one("presence_penalty", p->presence_penalty, err));
    return check_one("frequency_penalty", p->frequency_penalty, err);
}

static bool wanted(const ol_sampler_params *p) { return p->presence_penalty != 0 || p->frequency_penalty != 0; }

static void apply(ol_sampler *s) {
    for (int64_t i = 0; i < s->vocab; i++)
        if (s->count_new[i])
            s->row[i] = (float)((double)s->row[i] - s->p.presence_penalty - s->p.frequency_penalty * s->count_new[i]);
}

const ol_sampler_stage ol_sampler_presence_frequency = {"presence_frequency", check, wanted, apply, NULL};
