/* SPDX-License-Identifier: Apache-2.0 */
/* Scores of tokens of the prompt or the text: divided by the penalty when positive, else multiplied (Keskar et al.,
 * "CTRL", 2019; transformers' rule). */
#include "generate/sampler/stage.h"

static olv_status check(const ol_sampler_params *p, olv_error *err) {
    if (p->repetition_penalty > 0 && isfinite(p->repetition_penalty)) return OLV_OK;
    return ol_fail(err, OLV_ARG, "repetition_penalty is %g; expected a number above 0", p->repetition_penalty);
}

static bool wanted(const ol_sampler_params *p) { return p->repetition_penalty != 1; }

static void apply(ol_sampler *s) {
    float penalty = (float)s->p.repetition_penalty;
    for (int64_t i = 0; i < s->vocab; i++)
        if (s->count_all[i]) s->row[i] = s->row[i] < 0 ? s->row[i] * penalty : s->row[i] / penalty;
}

const ol_sampler_stage ol_sampler_repetition_penalty = {"repetition_penalty", check, wanted, apply, NULL};
