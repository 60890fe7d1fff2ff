/* SPDX-License-Identifier: Apache-2.0 */
#include "generate/loop.h"
#include "base/alloc.h"
#include "base/error.h"
#include <string.h>

static olv_status deliver(ol_loop *l, const char *piece, size_t len, int64_t token, olv_error *err) {
    ol_buf_clear(&l->piece);
    bool stopped = ol_stop_push(&l->stop, piece, len, &l->piece);
    ol_buf_append(&l->text, l->piece.data ? l->piece.data : "", l->piece.len);
    if (l->text.failed || l->piece.failed || l->stop.held.failed) return ol_fail(err, OLV_NOMEM, "no memory for the text");
    if (stopped) l->reason = OLV_FINISH_STOP;
    if (l->on_text && !l->on_text(l->ctx, l->piece.data ? l->piece.data : "", l->piece.len, token))
        l->reason = OLV_FINISH_CANCELLED;
    return OLV_OK;
}

/* A text that matches its grammar is over with its end token, ignore_eos or not. */
static bool ends(const ol_loop *l, int64_t token) {
    for (int i = 0; i < l->cfg->n_eos && (l->constraint || !l->cfg->ignore_eos); i++)
        if (l->cfg->eos_token_id[i] == token) return true;
    return false;
}

static olv_status take_token(ol_loop *l, int64_t token, olv_error *err) {
    ol_buf_append(&l->ids, &token, sizeof token);
    if (l->ids.failed) return ol_fail(err, OLV_NOMEM, "no memory for the tokens");
    if (ends(l, token)) l->reason = OLV_FINISH_STOP;
    const char *piece = "";
    size_t len = 0;
    if (l->detok && !(l->reason == OLV_FINISH_STOP && l->cfg->skip_special_tokens))
        OL_TRY(olv_detokenizer_push(l->detok, (uint32_t)token, &piece, &len, err));
    return deliver(l, piece, len, token, err);
}

/* Penalties and cuts may rule out all that the grammar allows; the grammar goes first then. */
static olv_status draw_allowed(ol_loop *l, const float *scores, int64_t *token, olv_error *err) {
    const uint32_t *mask;
    OL_TRY(ol_constraint_mask(l->constraint, &mask, err));
    ol_sampler_set_mask(l->sampler, mask);
    int64_t t = ol_sampler_draw(l->sampler, scores);
    if (!(mask[t / 32] >> (t % 32) & 1)) t = ol_constraint_best(l->constraint, scores);
    *token = t;
    return ends(l, t) ? OLV_OK : ol_constraint_accept(l->constraint, t, err);
}

olv_status ol_loop_take(ol_loop *l, int64_t token, olv_error *err) {
    ol_sampler_accept(l->sampler, token);
    return take_token(l, token, err);
}

void ol_loop_check_time(ol_loop *l) {
    if (l->deadline_ms > 0 && l->reason == OLV_FINISH_NONE && ol_now_ms() > l->deadline_ms) l->reason = OLV_FINISH_LENGTH;
}

/* Two tokens at least must be able to come and go. */
int64_t ol_loop_keep(const ol_loop *l) {
    int64_t keep = l->cfg->keep < 0 ? l->n_prompt : l->cfg->keep, most = l->p->context_length - 2;
    if (keep > l->n_prompt) keep = l->n_prompt;
    return keep < most ? keep : most > 0 ? most : 0;
}

olv_status ol_loop_draw(ol_loop *l, const float *scores, int64_t *token, olv_error *err) {
    if (l->guidance) OL_TRY(ol_guidance_apply(l->guidance, ol_loop_ids(l)[ol_loop_count(l) - 1], &scores, err));
    if (l->constraint) OL_TRY(draw_allowed(l, scores, token, err));
    else *token = ol_sampler_draw(l->sampler, scores);
    OL_TRY(ol_loop_take(l, *token, err));
    ol_loop_check_time(l);
    if (l->constraint && l->reason == OLV_FINISH_NONE && l->cfg->n_eos == 0 && ol_constraint_finished(l->constraint))
        l->reason = OLV_FINISH_STOP;
    return OLV_OK;
}

olv_status ol_loop_finish(ol_loop *l, olv_error *err) {
    const char *piece = "";
    size_t len = 0;
    if (l->detok) OL_TRY(olv_detokenizer_flush(l->detok, &piece, &len, err));
    if (len) OL_TRY(deliver(l, piece, len, -1, err));
    ol_buf_clear(&l->piece);
    ol_stop_flush(&l->stop, &l->piece);
    ol_buf_append(&l->text, l->piece.data ? l->piece.data : "", l->piece.len);
    if (l->text.failed || l->piece.failed) return ol_fail(err, OLV_NOMEM, "no memory for the text");
    if (l->piece.len && l->on_text) l->on_text(l->ctx, l->piece.data, l->piece.len, -1);
    return OLV_OK;
}

/* How many tokens may be made at most. */
static int64_t token_limit(const olv_pipeline *p, const olv_generation_config *cfg, int64_t n_prompt) {
    bool asked = cfg->max_new_tokens >= 0 || cfg->max_length >= 0;
    int64_t room = cfg->context_shift && asked ? INT64_MAX : p->context_length - n_prompt, limit = room;
    if (cfg->max_new_tokens >= 0) limit = cfg->max_new_tokens;
    else if (cfg->max_length >= 0) limit = cfg->max_length - n_prompt;
    return limit < room ? limit : room;
}

static ol_sequence_bias *sequences_of(const olv_generation_config *c) {
    ol_sequence_bias *b = ol_calloc((size_t)c->n_sequence_bias + 1, sizeof *b);
    for (int i = 0; b && i < c->n_sequence_bias; i++)
        b[i] = (ol_sequence_bias){c->sequence_bias[i].ids, c->sequence_bias[i].n_ids, c->sequence_bias[i].bias};
    return b;
}

static ol_logit_bias *biases_of(const olv_generation_config *c) {
    ol_logit_bias *b = ol_calloc((size_t)c->n_logit_bias + 1, sizeof *b);
    for (int i = 0; b && i < c->n_logit_bias; i++) b[i] = (ol_logit_bias){c->logit_bias[i].token, c->logit_bias[i].bias};
    return b;
}

static void fill_params(const olv_generation_config *c, ol_sampler_params *sp) {
    ol_sampler_params_init(sp);
    sp->do_sample = c->do_sample;
    sp->temperature = c->temperature;
    sp->top_k = c->top_k;
    sp->top_p = c->top_p;
    sp->min_p = c->min_p;
    sp->typical_p = c->typical_p;
    sp->epsilon_cutoff = c->epsilon_cutoff;
    sp->eta_cutoff = c->eta_cutoff;
    sp->top_n_sigma = c->top_n_sigma;
    sp->xtc_probability = c->xtc_probability;
    sp->xtc_threshold = c->xtc_threshold;
    sp->mirostat = (int)c->mirostat;
    sp->mirostat_tau = c->mirostat_tau;
    sp->mirostat_eta = c->mirostat_eta;
    sp->repetition_penalty = c->repetition_penalty;
    sp->presence_penalty = c->presence_penalty;
    sp->frequency_penalty = c->frequency_penalty;
    sp->dry_multiplier = c->dry_multiplier;
    sp->dry_base = c->dry_base;
    sp->dry_allowed_length = c->dry_allowed_length;
    sp->dry_breakers = c->dry_breakers;
    sp->n_dry_breakers = (size_t)c->n_dry_breakers;
    sp->no_repeat_ngram_size = c->no_repeat_ngram_size;
    sp->min_new_tokens = c->min_new_tokens;
    sp->eos_ids = c->eos_token_id;
    sp->n_eos = (size_t)c->n_eos;
    sp->suppress = c->suppress_tokens;
    sp->n_suppress = (size_t)c->n_suppress_tokens;
    sp->begin_suppress = c->begin_suppress_tokens;
    sp->n_begin_suppress = (size_t)c->n_begin_suppress_tokens;
    sp->forced_bos = c->forced_bos_token_id;
    sp->forced_eos = c->forced_eos_token_id;
    sp->length_decay = c->length_decay;
    sp->length_decay_start = c->length_decay_start;
    sp->remove_invalid_values = c->remove_invalid_values;
    sp->seed = c->seed;
}

olv_status ol_sampler_for(const olv_pipeline *p, const olv_generation_config *c, const int64_t *prompt, int64_t n,
                          ol_sampler **out, olv_error *err) {
    ol_sampler_params sp;
    fill_params(c, &sp);
    if (c->min_length - n > sp.min_new_tokens) sp.min_new_tokens = c->min_length - n;
    sp.max_new_tokens = token_limit(p, c, n);
    if (c->ignore_eos) { /* ORT-GenAI folders: the end token is left out, as that runtime's min_length does; else it is a
                          * token like others */
        if (p->bundle->kind == OL_BUNDLE_ORT_GENAI) sp.min_new_tokens = INT32_MAX;
        else sp.n_eos = 0;
    }
    ol_logit_bias *bias = biases_of(c);
    ol_sequence_bias *sequences = sequences_of(c);
    sp.logit_bias = bias;
    sp.n_logit_bias = (size_t)c->n_logit_bias;
    sp.sequence_bias = sequences;
    sp.n_sequence_bias = (size_t)c->n_sequence_bias;
    olv_status s = bias && sequences ? ol_sampler_create(&sp, p->vocab_size, out, err) : ol_fail(err, OLV_NOMEM, "no memory for biases");
    ol_free(bias);
    ol_free(sequences);
    return s == OLV_OK ? ol_sampler_prompt(*out, prompt, (size_t)n, err) : s;
}

olv_status ol_loop_start(ol_loop *l, const int64_t *prompt, int64_t n, olv_error *err) {
    olv_pipeline *p = l->p;
    l->n_prompt = n;
    l->limit = token_limit(p, l->cfg, n);
    ol_buf_append(&l->ids, prompt, (size_t)n * sizeof *prompt);
    if (l->ids.failed) return ol_fail(err, OLV_NOMEM, "no memory for the tokens");
    OL_TRY(ol_sampler_for(p, l->cfg, prompt, n, &l->sampler, err));
    OL_TRY(ol_constraint_create(p, l->cfg, &l->constraint, err));
    OL_TRY(ol_guidance_create(p, l->cfg, &l->guidance, err));
    return p->tokenizer ? olv_detokenizer_create(p->tokenizer, l->cfg->skip_special_tokens, &l->detok, err) : OLV_OK;
}

void ol_loop_deinit(ol_loop *l) {
    ol_sampler_destroy(l->sampler);
    ol_constraint_release(l->p, l->constraint);
    ol_guidance_destroy(l->guidance);
    ol_sequence_destroy(l->seq);
    olv_detokenizer_destroy(l->detok);
    ol_stop_deinit(&l->stop);
    ol_buf_deinit(&l->text);
    ol_buf_deinit(&l->piece);
    ol_buf_deinit(&l->ids);
}
