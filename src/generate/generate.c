/* SPDX-License-Identifier: Apache-2.0 */
/* The generation loop: prompt, sample, stream, stop. */
#include "base/alloc.h"
#include "base/error.h"
#include "base/json.h"
#include "generate/pipeline.h"
#include "generate/sampler/sampler.h"
#include "generate/stop.h"
#include <string.h>

const char *olv_finish_reason_name(olv_finish_reason r) {
    static const char *const names[] = {"none", "stop", "length", "cancelled"};
    return names[r];
}

void olv_generation_deinit(olv_generation *g) {
    ol_free(g->ids);
    ol_free(g->text);
    memset(g, 0, sizeof *g);
}

static olv_status ids_of_text(olv_pipeline *p, const char *text, bool add_special, int64_t **ids, size_t *n,
                              olv_error *err) {
    return olv_pipeline_encode(p, text, add_special, ids, n, err);
}

static olv_status ids_of_messages(olv_pipeline *p, const char *messages, int64_t **ids, size_t *n, olv_error *err) {
    char *text;
    OL_TRY(olv_pipeline_render(p, messages, &text, err));
    olv_status s = ids_of_text(p, text, false, ids, n, err);
    ol_free(text);
    return s;
}

olv_status ol_prompt_ids(olv_pipeline *p, const olv_prompt *prompt, const olv_generation_config *cfg, int64_t **ids,
                         size_t *n, olv_error *err) {
    if (prompt->messages) {
        if (p->chat || !cfg->apply_chat_template) return ids_of_messages(p, prompt->messages, ids, n, err);
        return ol_fail(err, OLV_UNSUPPORTED, "the model has no chat template; give a plain prompt");
    }
    if (prompt->text) return ids_of_text(p, prompt->text, true, ids, n, err);
    if (!prompt->ids || !prompt->n_ids) return ol_fail(err, OLV_ARG, "an empty prompt");
    *ids = ol_alloc(prompt->n_ids * sizeof **ids);
    if (!*ids) return ol_fail(err, OLV_NOMEM, "no memory for a prompt");
    memcpy(*ids, prompt->ids, prompt->n_ids * sizeof **ids);
    *n = prompt->n_ids;
    return OLV_OK;
}

/* One running generation. */
typedef struct loop {
    olv_pipeline *p;
    const olv_generation_config *cfg;
    ol_sampler *sampler;
    ol_sequence *seq;
    olv_detokenizer *detok;
    ol_stop stop;
    ol_buf text, piece, ids; /* all text; text of this step; int64 ids */
    olv_text_fn *on_text;
    void *ctx;
    olv_finish_reason reason;
} loop;

static olv_status deliver(loop *l, const char *piece, size_t len, int64_t token, olv_error *err) {
    ol_buf_clear(&l->piece);
    bool stopped = ol_stop_push(&l->stop, piece, len, &l->piece);
    ol_buf_append(&l->text, l->piece.data ? l->piece.data : "", l->piece.len);
    if (l->text.failed || l->piece.failed || l->stop.held.failed) return ol_fail(err, OLV_NOMEM, "no memory for the text");
    if (stopped) l->reason = OLV_FINISH_STOP;
    if (l->on_text && !l->on_text(l->ctx, l->piece.data ? l->piece.data : "", l->piece.len, token))
        l->reason = OLV_FINISH_CANCELLED;
    return OLV_OK;
}

static bool is_eos(const olv_generation_config *cfg, int64_t token) {
    for (int i = 0; i < cfg->n_eos && !cfg->ignore_eos; i++)
        if (cfg->eos_token_id[i] == token) return true;
    return false;
}

static olv_status take_token(loop *l, int64_t token, olv_error *err) {
    ol_buf_append(&l->ids, &token, sizeof token);
    if (l->ids.failed) return ol_fail(err, OLV_NOMEM, "no memory for the tokens");
    if (is_eos(l->cfg, token)) l->reason = OLV_FINISH_STOP;
    const char *piece = "";
    size_t len = 0;
    if (l->detok && !(l->reason == OLV_FINISH_STOP && l->cfg->skip_special_tokens))
        OL_TRY(olv_detokenizer_push(l->detok, (uint32_t)token, &piece, &len, err));
    return deliver(l, piece, len, token, err);
}

static olv_status finish_text(loop *l, olv_error *err) {
    const char *piece = "";
    size_t len = 0;
    if (l->detok) OL_TRY(olv_detokenizer_flush(l->detok, &piece, &len, err));
    if (len) OL_TRY(deliver(l, piece, len, -1, err));
    ol_buf_clear(&l->piece);
    ol_stop_flush(&l->stop, &l->piece);
    ol_buf_append(&l->text, l->piece.data ? l->piece.data : "", l->piece.len);
    if (l->piece.len && l->on_text) l->on_text(l->ctx, l->piece.data, l->piece.len, -1);
    return OLV_OK;
}

/* How many tokens may be made at most. */
static int64_t token_limit(const olv_pipeline *p, const olv_generation_config *cfg, int64_t n_prompt) {
    int64_t room = p->context_length - n_prompt, limit = room;
    if (cfg->max_new_tokens >= 0) limit = cfg->max_new_tokens;
    else if (cfg->max_length >= 0) limit = cfg->max_length - n_prompt;
    return limit < room ? limit : room;
}

/* One more token into the model. A longrope model that grows past its original length rotates all keys with other factors
 * from then on, so its cache is made anew. */
static olv_status step(loop *l, const int64_t *prompt, int64_t n, int64_t token, const float **scores, int64_t *width,
                       olv_error *err) {
    olv_pipeline *p = l->p;
    if (p->rope_switch <= 0 || ol_sequence_length(l->seq) != p->rope_switch) {
        ol_run_item it = {l->seq, &token, 1, 1, 0};
        return ol_session_run(p->session, OL_ENTRY_DECODE, &it, 1, scores, width, err);
    }
    size_t made = l->ids.len / sizeof(int64_t);
    int64_t *all = ol_alloc(((size_t)n + made) * sizeof *all);
    if (!all) return ol_fail(err, OLV_NOMEM, "no memory for %zu tokens", (size_t)n + made);
    memcpy(all, prompt, (size_t)n * sizeof *all);
    memcpy(all + n, l->ids.data, made * sizeof *all);
    olv_status s = ol_sequence_truncate(l->seq, 0, err);
    if (s == OLV_OK) s = ol_session_prompt(p->session, l->seq, all, n + (int64_t)made, &p->cancel, scores, width, err);
    ol_free(all);
    return s;
}

static olv_status generate_tokens(loop *l, const int64_t *prompt, int64_t n, olv_generation *out, double start,
                                  olv_error *err) {
    olv_pipeline *p = l->p;
    const float *scores;
    int64_t width, limit = token_limit(p, l->cfg, n);
    double t0 = ol_now_ms();
    OL_TRY(ol_session_prompt(p->session, l->seq, prompt, n, &p->cancel, &scores, &width, err));
    double t1 = ol_now_ms();
    out->prefill_tokens_per_s = 1e3 * (double)n / (t1 - t0);
    for (int64_t made = 0; made < limit; made++) {
        int64_t token = ol_sampler_sample(l->sampler, scores);
        if (made == 0) out->ttft_ms = ol_now_ms() - start;
        OL_TRY(take_token(l, token, err));
        if (l->reason != OLV_FINISH_NONE) break;
        if (p->cancel) return ol_fail(err, OLV_CANCELLED, "cancelled");
        if (made + 1 == limit) break;
        OL_TRY(step(l, prompt, n, token, &scores, &width, err));
    }
    if (l->reason == OLV_FINISH_NONE) l->reason = OLV_FINISH_LENGTH;
    double t2 = ol_now_ms();
    size_t made = l->ids.len / sizeof(int64_t);
    out->decode_tokens_per_s = made > 1 ? 1e3 * (double)(made - 1) / (t2 - t1) : 0;
    return finish_text(l, err);
}

static olv_status start_sampler(loop *l, const int64_t *prompt, int64_t n, olv_error *err) {
    const olv_generation_config *c = l->cfg;
    ol_sampler_params sp;
    ol_sampler_params_init(&sp);
    sp.do_sample = c->do_sample;
    sp.temperature = c->temperature;
    sp.top_k = c->top_k;
    sp.top_p = c->top_p;
    sp.min_p = c->min_p;
    sp.typical_p = c->typical_p;
    sp.epsilon_cutoff = c->epsilon_cutoff;
    sp.eta_cutoff = c->eta_cutoff;
    sp.top_n_sigma = c->top_n_sigma;
    sp.repetition_penalty = c->repetition_penalty;
    sp.presence_penalty = c->presence_penalty;
    sp.frequency_penalty = c->frequency_penalty;
    sp.no_repeat_ngram_size = c->no_repeat_ngram_size;
    sp.min_new_tokens = c->min_new_tokens;
    sp.eos_ids = c->eos_token_id;
    sp.n_eos = (size_t)c->n_eos;
    if (c->ignore_eos) { /* ORT-GenAI folders: the end token is left out, as that runtime's min_length does; else it is a
                          * token like others */
        if (l->p->bundle->kind == OL_BUNDLE_ORT_GENAI) sp.min_new_tokens = INT32_MAX;
        else sp.n_eos = 0;
    }
    sp.seed = c->seed;
    OL_TRY(ol_sampler_create(&sp, l->p->vocab_size, &l->sampler, err));
    return ol_sampler_prompt(l->sampler, prompt, (size_t)n, err);
}

static olv_status run_loop(loop *l, const int64_t *prompt, size_t n, olv_generation *out, double start, olv_error *err) {
    olv_pipeline *p = l->p;
    if ((int64_t)n >= p->context_length)
        return ol_fail(err, OLV_LIMIT, "the prompt has %zu tokens, the model's context holds %lld; shorten the prompt", n,
                       (long long)p->context_length);
    OL_TRY(start_sampler(l, prompt, (int64_t)n, err));
    OL_TRY(ol_sequence_create(p->pool, &l->seq, err));
    if (p->tokenizer) OL_TRY(olv_detokenizer_create(p->tokenizer, l->cfg->skip_special_tokens, &l->detok, err));
    return generate_tokens(l, prompt, (int64_t)n, out, start, err);
}

static olv_status fill_result(loop *l, olv_generation *out, olv_error *err) {
    size_t n = l->ids.len / sizeof(int64_t);
    out->ids = ol_alloc(l->ids.len + 1);
    if (!out->ids) return ol_fail(err, OLV_NOMEM, "no memory for the tokens");
    if (n) memcpy(out->ids, l->ids.data, l->ids.len);
    out->n_ids = n;
    if (l->detok) {
        ol_buf_puts(&l->text, "");
        out->text = ol_buf_take(&l->text, &out->text_len);
        if (!out->text) return ol_fail(err, OLV_NOMEM, "no memory for the text");
    }
    out->finish_reason = l->reason;
    return OLV_OK;
}

olv_status olv_generate(olv_pipeline *p, const olv_prompt *prompt, const olv_generation_config *cfg,
                        olv_text_fn *on_text, void *ctx, olv_generation *out, olv_error *err) {
    olv_generation local = {0};
    double start = ol_now_ms();
    int64_t *ids = NULL;
    size_t n = 0;
    OL_TRY(olv_generation_config_check(cfg, err));
    OL_TRY(ol_prompt_ids(p, prompt, cfg, &ids, &n, err));
    loop l = {.p = p, .cfg = cfg, .on_text = on_text, .ctx = ctx, .text = OL_BUF_INIT, .piece = OL_BUF_INIT,
              .ids = OL_BUF_INIT};
    ol_stop_init(&l.stop, cfg->stop_strings, cfg->n_stop_strings, cfg->include_stop_str_in_output);
    local.n_prompt = n;
    olv_status s = run_loop(&l, ids, n, &local, start, err);
    if (s == OLV_OK && out) s = fill_result(&l, &local, err);
    if (s == OLV_OK && out) *out = local;
    else olv_generation_deinit(&local);
    ol_sampler_destroy(l.sampler);
    ol_sequence_destroy(l.seq);
    olv_detokenizer_destroy(l.detok);
    ol_stop_deinit(&l.stop);
    ol_buf_deinit(&l.text);
    ol_buf_deinit(&l.piece);
    ol_buf_deinit(&l.ids);
    ol_free(ids);
    return s;
}
