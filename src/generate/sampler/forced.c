/* SPDX-License-Identifier: Apache-2.0 */
/* forced_bos_token_id behind a text of one token, and forced_eos_token_id as the last token that the length allows. */
#include "generate/sampler/stage.h"

static olv_status check(const ol_sampler_params *p, olv_error *err) {
    if (p->forced_bos >= -1 && p->forced_eos >= -1) return OLV_OK;
    return ol_fail(err, OLV_ARG, "forced_bos_token_id is %lld and forced_eos_token_id %lld; expected token ids or -1 (none)",
                   (long long)p->forced_bos, (long long)p->forced_eos);
}

static bool wanted(const ol_sampler_params *p) { return p->forced_bos >= 0 || p->forced_eos >= 0; }

static void force(ol_sampler *s, int64_t token) {
    if (token < 0 || token >= s->vocab) return;
    for (int64_t i = 0; i < s->vocab; i++) s->row[i] = i == token ? 0 : -INFINITY;
}

static void apply(ol_sampler *s) {
    if (s->n_history == 1) force(s, s->p.forced_bos);
    if (s->p.max_new_tokens > 0 && ol_sampler_generated(s) + 1 == (uint64_t)s->p.max_new_tokens) force(s, s->p.forced_eos);
}

const ol_sampler_stage ol_sampler_forced = {"forced", check, wanted, apply, NULL};
