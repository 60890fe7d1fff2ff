/* SPDX-License-Identifier: Apache-2.0 */
/* Bans each token that would complete a run of n tokens that stands in the history already. */
#include "generate/sampler/stage.h"

static olv_status check(const ol_sampler_params *p, olv_error *err) {
    if (p->no_repeat_ngram_size >= 0) return OLV_OK;
    return ol_fail(err, OLV_ARG, "no_repeat_ngram_size is %lld; expected 0 (off) or more",
                   (long long)p->no_repeat_ngram_size);
}

static bool wanted(const ol_sampler_params *p) { return p->no_repeat_ngram_size > 0; }

static void apply(ol_sampler *s) {
    size_t n = s->n_history, tail = (size_t)s->p.no_repeat_ngram_size - 1;
    if (n < tail + 1) return;
    const int32_t *end = s->history + n - tail;
    for (size_t i = 0; i + tail < n; i++)
        if (memcmp(s->history + i, end, tail * sizeof *end) == 0) s->row[s->history[i + tail]] = -INFINITY;
}

const ol_sampler_stage ol_sampler_no_repeat_ngram = {"no_repeat_ngram", check, wanted, apply, NULL};
