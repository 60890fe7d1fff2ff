/* SPDX-License-Identifier: Apache-2.0 */
/* Adds an amount to the last token of a given sequence where the text ends in the tokens before it (transformers'
 * sequence_bias; bad_words_ids are sequences with -INFINITY). */
#include "generate/sampler/stage.h"

static olv_status check(const ol_sampler_params *p, olv_error *err) {
    for (size_t i = 0; i < p->n_sequence_bias; i++) {
        const ol_sequence_bias *b = &p->sequence_bias[i];
        if (b->n < 1 || isnan(b->bias)) return ol_fail(err, OLV_ARG, "sequence_bias: entry %zu has %zu tokens and bias %g; expected tokens and a number", i, b->n, b->bias);
        for (size_t k = 0; k < b->n; k++)
            if (b->ids[k] < 0 || b->ids[k] > INT32_MAX)
                return ol_fail(err, OLV_ARG, "sequence_bias: entry %zu has token %lld; expected token ids", i, (long long)b->ids[k]);
    }
    return OLV_OK;
}

static bool wanted(const ol_sampler_params *p) { return p->n_sequence_bias > 0; }

/* Sequences that are longer than the text so far do not count, even where all but their last token stand there: the rule of
 * transformers. */
static bool stands(const ol_sampler *s, const ol_sequence_bias *b) {
    if (b->n == 1) return true;
    if (b->n > s->n_history) return false;
    for (size_t k = 0; k + 1 < b->n; k++)
        if (s->history[s->n_history - (b->n - 1) + k] != b->ids[k]) return false;
    return true;
}

static void apply(ol_sampler *s) {
    for (size_t i = 0; i < s->p.n_sequence_bias; i++) {
        const ol_sequence_bias *b = &s->p.sequence_bias[i];
        int64_t t = b->ids[b->n - 1];
        if (t < s->vocab && stands(s, b)) s->row[t] = (float)((double)s->row[t] + b->bias);
    }
}

const ol_sampler_stage ol_sampler_sequence_bias = {"sequence_bias", check, wanted, apply, NULL};
