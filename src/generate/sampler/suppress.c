/* SPDX-License-Identifier: Apache-2.0 */
/* Tokens that never come (suppress_tokens), or not as the first one (begin_suppress_tokens; as the second one where the
 * first is forced). */
#include "generate/sampler/stage.h"

static bool wanted(const ol_sampler_params *p) { return p->n_suppress > 0 || p->n_begin_suppress > 0; }

static void ban(ol_sampler *s, const int64_t *ids, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (ids[i] >= 0 && ids[i] < s->vocab) s->row[ids[i]] = -INFINITY;
}

static void apply(ol_sampler *s) {
    uint64_t begin = s->n_prompt > 1 || s->p.forced_bos < 0 ? 0 : 1;
    ban(s, s->p.suppress, s->p.n_suppress);
    if (ol_sampler_generated(s) == begin) ban(s, s->p.begin_suppress, s->p.n_begin_suppress);
}

const ol_sampler_stage ol_sampler_suppress = {"suppress_tokens", NULL, wanted, apply, NULL};
