/* SPDX-License-Identifier: Apache-2.0 */
/* The generation loop: prompt, sample, stream, stop. */
#include "base/alloc.h"
#include "base/error.h"
#include "base/json.h"
#include "generate/beam.h"
#include "generate/contrast.h"
#include "generate/diverse.h"
#include "generate/draft.h"
#include "generate/prompt_cache.h"
#include <string.h>

const char *olv_finish_reason_name(olv_finish_reason r) {
    static const char *const names[] = {"none", "stop", "length", "cancelled"};
    return names[r];
}

void olv_generation_deinit(olv_generation *g) {
    ol_free(g->ids);
    ol_free(g->text);
    for (size_t i = 0; i < g->n_beams; i++) {
        ol_free(g->beams[i].ids);
        ol_free(g->beams[i].text);
    }
    ol_free(g->beams);
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

/* Rows that may run together when the sequence holds `length` positions: all rotate as one row alone would. */
static int64_t rows_at(const olv_pipeline *p, int64_t length) {
    int64_t bound = p->rope_switch > length ? p->rope_switch - length : INT64_MAX;
    if (p->dynamic_length > 0) bound = p->dynamic_length > length ? p->dynamic_length - length : 1;
    return bound < OL_DECODE_ROWS ? bound : OL_DECODE_ROWS;
}

/* The tokens that the model is to see, all at once, into an empty sequence. */
static olv_status run_seen(ol_loop *l, const float **scores, int64_t *width, olv_error *err) {
    const int64_t *ids = ol_loop_ids(l);
    int64_t keep = ol_loop_keep(l), n = ol_loop_count(l) - l->dropped;
    OL_TRY(ol_sequence_truncate(l->seq, 0, err));
    if (l->dropped == 0) return ol_session_prompt(l->p->session, l->seq, ids, n, &l->p->cancel, scores, width, err);
    int64_t *seen = ol_alloc((size_t)n * sizeof *seen);
    if (!seen) return ol_fail(err, OLV_NOMEM, "no memory for %lld tokens", (long long)n);
    memcpy(seen, ids, (size_t)keep * sizeof *seen);
    memcpy(seen + keep, ids + keep + l->dropped, (size_t)(n - keep) * sizeof *seen);
    olv_status s = ol_session_prompt(l->p->session, l->seq, seen, n, &l->p->cancel, scores, width, err);
    ol_free(seen);
    return s;
}

/* Drops half of what follows the kept tokens and computes the rest anew: positions, rotations and all that earlier layers
 * made of the dropped tokens are those of a text without them, in any kind of model and cache. */
static olv_status shift_context(ol_loop *l, const float **scores, int64_t *width, olv_error *err) {
    int64_t drop = (ol_sequence_length(l->seq) - ol_loop_keep(l)) / 2;
    l->dropped += drop > 0 ? drop : 1;
    return run_seen(l, scores, width, err);
}

static bool is_full(const ol_loop *l) { return l->cfg->context_shift && ol_sequence_length(l->seq) >= l->p->context_length; }

/* The newest token into the model. A longrope model that grows past its original length rotates all keys with other factors
 * from then on, so its cache is made anew. */
static olv_status step(ol_loop *l, const float **scores, int64_t *width, olv_error *err) {
    olv_pipeline *p = l->p;
    const int64_t *ids = ol_loop_ids(l);
    int64_t n = ol_loop_count(l);
    if (is_full(l)) return shift_context(l, scores, width, err);
    if (p->rope_switch <= 0 || ol_sequence_length(l->seq) != p->rope_switch) {
        const ol_run_item it = {.sequence = l->seq, .ids = ids + n - 1, .count = 1, .n_outputs = 1};
        return ol_session_run(p->session, OL_ENTRY_DECODE, &it, 1, scores, width, err);
    }
    return run_seen(l, scores, width, err);
}

/* Keeps the first n of the last run's rows. Recurrent states go back to where the run began, and take those rows again. */
static olv_status go_back(ol_loop *l, const int64_t *row, int64_t before, int64_t n, int64_t of, olv_error *err) {
    if (n == of) return OLV_OK;
    if (!ol_plan_states(l->p->plan)->fixed_floats) return ol_sequence_truncate(l->seq, before + n, err);
    const float *scores;
    int64_t width;
    OL_TRY(ol_sequence_truncate(l->seq, before, err));
    const ol_run_item it = {.sequence = l->seq, .ids = row, .count = n};
    return ol_session_run(l->p->session, OL_ENTRY_DECODE, &it, 1, &scores, &width, err);
}

/* The newest token and guesses of what follows it run together; tokens are drawn from the rows in turn for as long as
 * they are the guessed ones. The sampler sees the rows that it would see without guesses. The last token drawn is the
 * newest one again: not yet in the sequence. */
static olv_status advance(ol_loop *l, ol_draft *draft, olv_generation *out, olv_error *err) {
    int64_t row[OL_DECODE_ROWS], before = ol_sequence_length(l->seq), guesses = 0, width, i = 0, token;
    const float *scores;
    out->n_steps++;
    if (draft && before != l->p->rope_switch) {
        int64_t most = rows_at(l->p, before) - 1, left = l->limit - ol_loop_made(l) - 1, room = l->p->context_length - before - 1;
        if (room < left) left = room;
        OL_TRY(ol_draft_guess(draft, l, most < left ? most : left, row + 1, &guesses, err));
    }
    if (guesses == 0) {
        OL_TRY(step(l, &scores, &width, err));
        return ol_loop_draw(l, scores, &token, err);
    }
    row[0] = ol_loop_ids(l)[ol_loop_count(l) - 1];
    const ol_run_item it = {.sequence = l->seq, .ids = row, .count = 1 + guesses, .n_outputs = 1 + guesses};
    OL_TRY(ol_session_run(l->p->session, OL_ENTRY_DECODE, &it, 1, &scores, &width, err));
    for (;; i++) {
        OL_TRY(ol_loop_draw(l, scores + i * width, &token, err));
        if (i == guesses || token != row[1 + i]) break;
        out->n_accepted++;
        if (l->reason != OLV_FINISH_NONE) break;
    }
    out->n_drafted += (size_t)guesses;
    return go_back(l, row, before, (i < guesses ? i : guesses) + 1, 1 + guesses, err);
}

static olv_status generate_tokens(ol_loop *l, ol_draft *draft, olv_generation *out, double start, olv_error *err) {
    olv_pipeline *p = l->p;
    const float *scores;
    int64_t width, token, reused;
    double t0 = ol_now_ms();
    OL_TRY(ol_prompt_run(l, &scores, &width, &reused, err));
    double t1 = ol_now_ms();
    out->prefill_tokens_per_s = 1e3 * (double)(l->n_prompt - reused) / (t1 - t0);
    out->n_reused = (size_t)reused;
    if (l->cfg->num_beams > 1) {
        OL_TRY((l->cfg->num_beam_groups > 1 ? ol_diverse_search : ol_beam_search)(l, scores, out, err));
        out->ttft_ms = ol_now_ms() - start;
        out->decode_tokens_per_s = 1e3 * (double)ol_loop_made(l) / (ol_now_ms() - t1);
        return OLV_OK;
    }
    if (l->limit > 0) OL_TRY(ol_loop_draw(l, scores, &token, err));
    out->ttft_ms = ol_now_ms() - start;
    while (l->reason == OLV_FINISH_NONE && ol_loop_made(l) < l->limit) {
        if (p->cancel) return ol_fail(err, OLV_CANCELLED, "cancelled");
        OL_TRY(advance(l, draft, out, err));
    }
    if (l->reason == OLV_FINISH_NONE) l->reason = OLV_FINISH_LENGTH;
    out->n_dropped = (size_t)l->dropped;
    double t2 = ol_now_ms();
    int64_t made = ol_loop_made(l);
    out->decode_tokens_per_s = made > 1 ? 1e3 * (double)(made - 1) / (t2 - t1) : 0;
    return ol_loop_finish(l, err);
}

static olv_status run_loop(ol_loop *l, const int64_t *prompt, size_t n, olv_generation *out, double start, olv_error *err) {
    olv_pipeline *p = l->p;
    if ((int64_t)n >= p->context_length)
        return ol_fail(err, OLV_LIMIT, "the prompt has %zu tokens, the model's context holds %lld; shorten the prompt", n,
                       (long long)p->context_length);
    OL_TRY(ol_loop_start(l, prompt, (int64_t)n, err));
    ol_draft *draft;
    if (l->cfg->max_time > 0) l->deadline_ms = start + 1e3 * l->cfg->max_time;
    if (ol_contrast_wanted(l->cfg)) {
        OL_TRY(ol_contrast_search(l, start, out, err));
        ol_prompt_keep(l);
        return OLV_OK;
    }
    if (l->cfg->num_beams > 1) OL_TRY(ol_beam_check(l, err));
    OL_TRY(ol_draft_create(l, &draft, err));
    olv_status s = generate_tokens(l, draft, out, start, err);
    ol_draft_destroy(draft);
    if (s == OLV_OK) ol_prompt_keep(l);
    return s;
}

static olv_status fill_result(ol_loop *l, olv_generation *out, olv_error *err) {
    size_t n = (size_t)ol_loop_made(l);
    out->ids = ol_alloc(n * sizeof *out->ids + 1);
    if (!out->ids) return ol_fail(err, OLV_NOMEM, "no memory for the tokens");
    if (n) memcpy(out->ids, ol_loop_ids(l) + l->n_prompt, n * sizeof *out->ids);
    out->n_ids = n;
    if (l->detok) {
        ol_buf_puts(&l->text, "");
        out->text = ol_buf_take(&l->text, &out->text_len);
        if (!out->text) return ol_fail(err, OLV_NOMEM, "no memory for the text");
    }
    out->finish_reason = l->reason;
    return OLV_OK;
}

static olv_status one_text(olv_pipeline *p, const olv_prompt *prompt, const olv_generation_config *cfg, olv_text_fn *on_text,
                           void *ctx, olv_generation *out, olv_error *err) {
    olv_generation local = {0};
    double start = ol_now_ms();
    int64_t *ids = NULL;
    size_t n = 0;
    OL_TRY(ol_prompt_ids(p, prompt, cfg, &ids, &n, err));
    ol_loop l = {.p = p, .cfg = cfg, .on_text = on_text, .ctx = ctx, .text = OL_BUF_INIT, .piece = OL_BUF_INIT,
                 .ids = OL_BUF_INIT};
    ol_stop_init(&l.stop, cfg->stop_strings, cfg->n_stop_strings, cfg->include_stop_str_in_output);
    local.n_prompt = n;
    olv_status s = run_loop(&l, ids, n, &local, start, err);
    if (s == OLV_OK && out) s = fill_result(&l, &local, err);
    if (s == OLV_OK && out) *out = local;
    else olv_generation_deinit(&local);
    ol_loop_deinit(&l);
    ol_free(ids);
    return s;
}

/* Several sampled texts: each what its own seed gives. The first one is streamed, and is the result itself, too. */
static olv_status several_texts(olv_pipeline *p, const olv_prompt *prompt, const olv_generation_config *cfg, olv_text_fn *on_text,
                                void *ctx, olv_generation *out, olv_error *err) {
    size_t n = (size_t)cfg->num_return_sequences;
    olv_generation first = {0};
    olv_beam *beams = ol_calloc(n, sizeof *beams);
    olv_status s = beams ? OLV_OK : ol_fail(err, OLV_NOMEM, "no memory for the texts");
    for (size_t i = 0; s == OLV_OK && i < n; i++) {
        olv_generation one = {0};
        olv_generation_config c = *cfg;
        c.seed += i;
        c.num_return_sequences = 1;
        s = one_text(p, prompt, &c, i ? NULL : on_text, ctx, &one, err);
        if (s != OLV_OK) break;
        beams[i] = (olv_beam){one.ids, one.n_ids, one.text, 0, one.finish_reason};
        if (i == 0) first = one;
    }
    first.beams = beams;
    first.n_beams = beams ? n : 0;
    if (s == OLV_OK) { /* the first text stands in both places */
        first.ids = ol_alloc(beams[0].n_ids * sizeof *first.ids + 1);
        if (first.ids && beams[0].n_ids) memcpy(first.ids, beams[0].ids, beams[0].n_ids * sizeof *first.ids);
        first.text = beams[0].text ? ol_alloc(first.text_len + 1) : NULL;
        if (first.text) memcpy(first.text, beams[0].text, first.text_len + 1);
        if (!first.ids || (beams[0].text && !first.text)) s = ol_fail(err, OLV_NOMEM, "no memory for the texts");
    } else first.ids = NULL, first.text = NULL;
    if (s == OLV_OK && out) *out = first;
    else olv_generation_deinit(&first);
    return s;
}

olv_status olv_generate(olv_pipeline *p, const olv_prompt *prompt, const olv_generation_config *cfg,
                        olv_text_fn *on_text, void *ctx, olv_generation *out, olv_error *err) {
    OL_TRY(olv_generation_config_check(cfg, err));
    bool several = cfg->num_return_sequences > 1 && cfg->num_beams == 1;
    return (several ? several_texts : one_text)(p, prompt, cfg, on_text, ctx, out, err);
}
