/* SPDX-License-Identifier: Apache-2.0 */
#include "generate/draft.h"
#include "base/alloc.h"
#include "base/error.h"
#include "generate/scores.h"
#include <string.h>

struct ol_draft {
    olv_pipeline *p; /* the smaller model; NULL: lookup alone */
    ol_sequence *seq;
    ol_sampler *sampler; /* draws as the loop's does, with the same numbers: likelier to agree */
    ol_buf fed;          /* int64: the tokens that seq holds */
    int64_t told;        /* new tokens of the loop that the sampler knows */
    int64_t lookup, ngram, per_step;
    double least; /* no guess follows a token that the small model finds less probable */
};

static olv_status start_model(ol_draft *d, ol_loop *l, olv_error *err) {
    OL_TRY(ol_sequence_create(d->p->pool, &d->seq, err));
    return ol_sampler_for(d->p, l->cfg, ol_loop_ids(l), l->n_prompt, &d->sampler, err);
}

olv_status ol_draft_create(ol_loop *l, ol_draft **out, olv_error *err) {
    const olv_generation_config *c = l->cfg;
    bool model = l->p->draft && c->num_assistant_tokens > 0;
    *out = NULL;
    if (l->guidance || (!model && c->prompt_lookup_num_tokens < 1)) return OLV_OK;
    ol_draft *d = ol_calloc(1, sizeof *d);
    if (!d) return ol_fail(err, OLV_NOMEM, "no memory for guesses");
    d->lookup = c->prompt_lookup_num_tokens;
    d->ngram = c->max_ngram_size;
    d->per_step = c->num_assistant_tokens;
    d->least = c->assistant_confidence_threshold;
    d->p = model ? l->p->draft : NULL;
    olv_status s = model ? start_model(d, l, err) : OLV_OK;
    if (s == OLV_OK) *out = d;
    else ol_draft_destroy(d);
    return s;
}

void ol_draft_destroy(ol_draft *d) {
    if (!d) return;
    ol_sequence_destroy(d->seq);
    ol_sampler_destroy(d->sampler);
    ol_buf_deinit(&d->fed);
    ol_free(d);
}

/* What followed the latest earlier place where the longest end of the text (of at most `ngram` tokens) stood. */
static int64_t look_up(const int64_t *ids, int64_t n, int64_t ngram, int64_t most, int64_t *guesses) {
    for (int64_t size = ngram < n - 1 ? ngram : n - 1; size > 0; size--)
        for (int64_t at = n - size - 1; at >= 0; at--) {
            if (memcmp(ids + at, ids + n - size, (size_t)size * sizeof *ids)) continue;
            int64_t k = 0;
            for (; k < most && at + size + k < n; k++) guesses[k] = ids[at + size + k];
            return k;
        }
    return 0;
}

/* Brings the small model's sequence to the loop's tokens; the scores after the last of them. */
static olv_status catch_up(ol_draft *d, const ol_loop *l, const float **scores, olv_error *err) {
    const int64_t *ids = ol_loop_ids(l), *fed = (const int64_t *)(const void *)d->fed.data;
    int64_t n = ol_loop_count(l), have = (int64_t)(d->fed.len / sizeof *fed), same = 0, width;
    while (same < have && same < n - 1 && fed[same] == ids[same]) same++;
    OL_TRY(ol_sequence_truncate(d->seq, same, err));
    d->fed.len = (size_t)same * sizeof *fed;
    OL_TRY(ol_session_prompt(d->p->session, d->seq, ids + same, n - same, &l->p->cancel, scores, &width, err));
    ol_buf_append(&d->fed, ids + same, (size_t)(n - same) * sizeof *ids);
    ol_sampler_truncate(d->sampler, (size_t)d->told);
    for (; d->told < ol_loop_made(l); d->told++) ol_sampler_accept(d->sampler, ids[l->n_prompt + d->told]);
    return d->fed.failed ? ol_fail(err, OLV_NOMEM, "no memory for guesses") : OLV_OK;
}

static olv_status ask_model(ol_draft *d, const ol_loop *l, int64_t most, int64_t *guesses, int64_t *n, olv_error *err) {
    const float *scores;
    int64_t width, room = d->p->context_length - ol_loop_count(l);
    if (most > d->per_step) most = d->per_step;
    if (most > room) most = room;
    *n = 0;
    if (most < 1) return OLV_OK;
    OL_TRY(catch_up(d, l, &scores, err));
    for (;;) {
        int64_t token = ol_sampler_sample(d->sampler, scores);
        guesses[(*n)++] = token;
        if (*n == most || (d->least > 0 && ol_scores_probability(scores, d->p->vocab_size, token) < d->least)) return OLV_OK;
        const ol_run_item it = {.sequence = d->seq, .ids = &token, .count = 1, .n_outputs = 1};
        OL_TRY(ol_session_run(d->p->session, OL_ENTRY_DECODE, &it, 1, &scores, &width, err));
        ol_buf_append(&d->fed, &token, sizeof token);
        if (d->fed.failed) return ol_fail(err, OLV_NOMEM, "no memory for guesses");
    }
}

olv_status ol_draft_guess(ol_draft *d, const ol_loop *l, int64_t most, int64_t *guesses, int64_t *n, olv_error *err) {
    *n = 0;
    if (most < 1) return OLV_OK;
    int64_t lookup = d->lookup < most ? d->lookup : most;
    if (lookup > 0) *n = look_up(ol_loop_ids(l), ol_loop_count(l), d->ngram, lookup, guesses);
    return *n == 0 && d->p ? ask_model(d, l, most, guesses, n, err) : OLV_OK;
}

olv_status ol_draft_check(const olv_pipeline *target, const olv_pipeline *draft, olv_error *err) {
    if (ol_plan_states(draft->plan)->fixed_floats)
        return ol_fail(err, OLV_UNSUPPORTED, "a draft model with recurrent states cannot take tokens back; choose another one");
    if (target->vocab_size != draft->vocab_size)
        return ol_fail(err, OLV_ARG, "the draft model has %lld tokens, the model %lld; they must have the same tokenizer",
                       (long long)draft->vocab_size, (long long)target->vocab_size);
    for (int64_t id = 0; target->tokenizer && draft->tokenizer && id < target->vocab_size; id++) {
        size_t na = 0, nb = 0;
        const char *a = olv_tokenizer_id_to_token(target->tokenizer, (uint32_t)id, &na);
        const char *b = olv_tokenizer_id_to_token(draft->tokenizer, (uint32_t)id, &nb);
        if (!a != !b || na != nb || (a && memcmp(a, b, na)))
            return ol_fail(err, OLV_ARG, "token %lld of the draft model is another one than the model's; they must have the "
                           "same tokenizer", (long long)id);
    }
    return OLV_OK;
}
