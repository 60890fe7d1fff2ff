/* SPDX-License-Identifier: Apache-2.0 */
#include "generate/beam.h"
#include "base/alloc.h"
#include "base/checked.h"
#include "base/error.h"
#include "generate/beam_result.h"
#include "generate/scores.h"
#include <math.h>
#include <string.h>

enum { MAX_BEAMS = OL_DECODE_ROWS, MAX_KEEP = MAX_BEAMS * 17 };
#define RULED_OUT (-1e9f) /* added to scores that must lose against every real one */

/* One token more on one beam. */
typedef struct candidate {
    float score;
    int beam;
    int64_t token;
    bool ended;
} candidate;

/* Texts of `n` beams: ids [n][limit]. */
typedef struct texts {
    float score[MAX_BEAMS];
    int64_t length[MAX_BEAMS];
    bool complete[MAX_BEAMS];
    int64_t *ids;
} texts;

typedef struct search {
    ol_loop *l;
    int n, n_live, keep; /* beams; those that differ so far; candidates looked at */
    int64_t limit, made, vocab;
    ol_sequence *seqs[MAX_BEAMS];
    texts running, running_next, done, done_next;
    candidate best[MAX_KEEP];
    int n_best;
    float *row;
    bool improvable;
} search;

olv_status ol_beam_check(const ol_loop *l, olv_error *err) {
    const olv_generation_config *c = l->cfg;
    if (l->constraint) return ol_fail(err, OLV_UNSUPPORTED, "beam search does not go with constrained decoding; set num_beams to 1");
    if (c->n_stop_strings) return ol_fail(err, OLV_UNSUPPORTED, "beam search does not go with stop strings; set num_beams to 1");
    if (l->cfg->context_shift) return ol_fail(err, OLV_UNSUPPORTED, "beam search does not go with context_shift; set num_beams to 1");
    int64_t at = l->p->rope_switch;
    if (at > 0 && l->n_prompt <= at && l->n_prompt + l->limit > at)
        return ol_fail(err, OLV_UNSUPPORTED, "beam search cannot cross position %lld, where this model's rotation changes; "
                       "set max_new_tokens", (long long)at);
    return OLV_OK;
}

static void deinit(search *s) {
    for (int i = 0; i < s->n; i++)
        if (s->seqs[i] != s->l->seq) ol_sequence_destroy(s->seqs[i]);
    ol_free(s->running.ids);
    ol_free(s->running_next.ids);
    ol_free(s->done.ids);
    ol_free(s->done_next.ids);
    ol_free(s->row);
}

static olv_status init(search *s, ol_loop *l, olv_error *err) {
    texts *all[] = {&s->running, &s->running_next, &s->done, &s->done_next};
    int n_eos = l->cfg->ignore_eos ? 0 : l->cfg->n_eos;
    *s = (search){.l = l, .n = (int)l->cfg->num_beams, .n_live = 1, .limit = l->limit, .vocab = l->p->vocab_size, .improvable = true};
    s->keep = (n_eos < 1 ? 2 : 1 + n_eos) * s->n;
    size_t count;
    if (!ol_mul_size((size_t)s->n, (size_t)s->limit, &count)) return ol_fail(err, OLV_LIMIT, "too many tokens for beam search");
    s->row = ol_calloc((size_t)s->vocab, sizeof *s->row);
    for (int i = 0; i < 4; i++) all[i]->ids = ol_calloc(count + 1, sizeof(int64_t));
    if (!s->row || !s->running.ids || !s->running_next.ids || !s->done.ids || !s->done_next.ids)
        return ol_fail(err, OLV_NOMEM, "no memory for %d beams of %lld tokens", s->n, (long long)s->limit);
    for (int i = 0; i < s->n; i++) s->done.score[i] = RULED_OUT;
    s->seqs[0] = l->seq;
    for (int i = 1; i < s->n; i++) OL_TRY(ol_sequence_fork(l->seq, &s->seqs[i], err));
    return OLV_OK;
}

/* Keeps the best candidates, best first; the earlier of equal ones stays before. */
static void offer(search *s, float score, int beam, int64_t token) {
    if (s->n_best == s->keep && !(score > s->best[s->keep - 1].score)) return;
    int at = s->n_best < s->keep ? s->n_best++ : s->keep - 1;
    for (; at > 0 && score > s->best[at - 1].score; at--) s->best[at] = s->best[at - 1];
    s->best[at] = (candidate){score, beam, token, false};
}

/* Penalties see the beam's own text. */
static olv_status look_at(search *s, int beam, const float *scores, olv_error *err) {
    ol_sampler *sampler = s->l->sampler;
    const int64_t *own = s->running.ids + beam * s->limit;
    OL_TRY(ol_sampler_prompt(sampler, ol_loop_ids(s->l), (size_t)s->l->n_prompt, err));
    for (int64_t i = 0; i < s->made; i++) ol_sampler_accept(sampler, own[i]);
    ol_scores_log_softmax(scores, s->vocab, s->row);
    const float *row = ol_sampler_row(sampler, s->row);
    if (s->l->cfg->renormalize_logits) {
        ol_scores_log_softmax(row, s->vocab, s->row);
        row = s->row;
    }
    for (int64_t t = 0; t < s->vocab; t++)
        if (row[t] > -INFINITY) offer(s, row[t] + s->running.score[beam], beam, t);
    return OLV_OK;
}

static void copy_text(const search *s, texts *to, int i, const texts *from, int k, int64_t length) {
    if (length) memcpy(to->ids + i * s->limit, from->ids + k * s->limit, (size_t)length * sizeof(int64_t));
    to->length[i] = length;
}

static void add_candidate(const search *s, texts *to, int i, const candidate *c, float score) {
    copy_text(s, to, i, &s->running, c->beam, s->made);
    to->ids[i * s->limit + to->length[i]++] = c->token;
    to->score[i] = score;
}

/* The beams to go on with: the best candidates, ended ones only when there are no others. */
static void choose_running(search *s, int *from) {
    int n = 0;
    for (int pass = 0; pass < 2; pass++)
        for (int i = 0; i < s->n_best && n < s->n; i++) {
            const candidate *c = &s->best[i];
            if (c->ended != (pass == 1)) continue;
            add_candidate(s, &s->running_next, n, c, c->score + (c->ended ? RULED_OUT : 0));
            from[n++] = c->beam;
        }
    for (; n < s->n; n++) { /* fewer candidates than beams */
        add_candidate(s, &s->running_next, n, &s->best[0], RULED_OUT);
        from[n] = s->best[0].beam;
    }
}

static bool all_complete(const search *s) {
    for (int i = 0; i < s->n; i++)
        if (!s->done.complete[i]) return false;
    return true;
}

/* Takes in candidates that ended among the first n; a finished text counts by its mean score (length_penalty). */
static void choose_done(search *s) {
    float score[MAX_BEAMS + MAX_KEEP], by = (float)pow((double)(s->made + 1), s->l->cfg->length_penalty);
    bool closed = (s->l->cfg->early_stopping == 1 && all_complete(s)) || !s->improvable;
    bool taken[MAX_BEAMS + MAX_KEEP] = {false};
    int total = s->n + s->n_best;
    for (int i = 0; i < s->n; i++) score[i] = s->done.score[i];
    for (int i = 0; i < s->n_best; i++) {
        score[s->n + i] = s->best[i].score / by + (closed ? RULED_OUT : 0);
        if (!s->best[i].ended || i >= s->n) score[s->n + i] += RULED_OUT;
    }
    for (int n = 0; n < s->n; n++) {
        int top = -1;
        for (int i = 0; i < total; i++)
            if (!taken[i] && (top < 0 || score[i] > score[top])) top = i;
        taken[top] = true;
        if (top < s->n) {
            copy_text(s, &s->done_next, n, &s->done, top, s->done.length[top]);
            s->done_next.score[n] = score[top];
            s->done_next.complete[n] = s->done.complete[top];
        } else {
            add_candidate(s, &s->done_next, n, &s->best[top - s->n], score[top]);
            s->done_next.complete[n] = s->best[top - s->n].ended && top - s->n < s->n;
        }
    }
}

static void swap(texts *a, texts *b) {
    texts t = *a;
    *a = *b;
    *b = t;
}

/* Whether a running beam may still beat the worst finished text, by transformers' estimate. */
static bool may_improve(const search *s) {
    const olv_generation_config *c = s->l->cfg;
    int64_t length = c->early_stopping == 2 && c->length_penalty > 0 ? s->limit : s->made;
    float best = s->running.score[0] / (float)pow((double)length, c->length_penalty), worst = INFINITY;
    bool any = false;
    for (int i = 0; i < s->n; i++) worst = s->done.score[i] < worst ? s->done.score[i] : worst;
    for (int i = 0; i < s->n; i++) any |= best > (s->done.complete[i] ? worst : RULED_OUT);
    return s->improvable && any;
}

/* One token more on every beam. Sets *over when the search has ended. */
static olv_status advance(search *s, const float *scores, bool *over, olv_error *err) {
    int from[MAX_BEAMS];
    bool open = false;
    s->n_best = 0;
    for (int b = 0; b < s->n_live; b++) OL_TRY(look_at(s, b, scores + b * s->vocab, err));
    if (!s->n_best) return ol_fail(err, OLV_STATE, "the settings rule out every token");
    for (int i = 0; i < s->n_best; i++) {
        s->best[i].ended = s->made + 1 == s->limit || ol_beam_is_end(s->l, s->best[i].token);
        open |= !s->best[i].ended;
    }
    choose_running(s, from);
    choose_done(s);
    swap(&s->running, &s->running_next);
    swap(&s->done, &s->done_next);
    s->made++;
    s->n_live = s->n;
    s->improvable = may_improve(s);
    *over = !open || !s->improvable || (s->l->cfg->early_stopping == 1 && all_complete(s));
    return *over ? OLV_OK : ol_sequence_reorder(s->seqs, from, s->n, err);
}

static olv_status run_beams(search *s, const float **scores, olv_error *err) {
    ol_run_item items[MAX_BEAMS];
    int64_t width, token[MAX_BEAMS];
    for (int i = 0; i < s->n; i++) {
        token[i] = s->running.ids[i * s->limit + s->made - 1];
        items[i] = (ol_run_item){.sequence = s->seqs[i], .ids = &token[i], .count = 1, .n_outputs = 1};
    }
    return ol_session_run(s->l->p->session, OL_ENTRY_DECODE, items, s->n, scores, &width, err);
}

static olv_status fill_result(const search *s, olv_generation *out, olv_error *err) {
    ol_found_text found[MAX_BEAMS];
    int n = (int)s->l->cfg->num_return_sequences;
    for (int i = 0; i < n; i++) found[i] = (ol_found_text){s->done.ids + i * s->limit, s->done.length[i], (double)s->done.score[i]};
    return ol_beam_fill(s->l, found, (size_t)n, out, err);
}

static olv_status search_all(search *s, const float *scores, olv_generation *out, olv_error *err) {
    bool over = s->limit == 0;
    while (!over) {
        OL_TRY(advance(s, scores, &over, err));
        if (over) break;
        if (s->l->p->cancel) return ol_fail(err, OLV_CANCELLED, "cancelled");
        out->n_steps++;
        OL_TRY(run_beams(s, &scores, err));
    }
    return fill_result(s, out, err);
}

olv_status ol_beam_search(ol_loop *l, const float *scores, olv_generation *out, olv_error *err) {
    search *s = ol_calloc(1, sizeof *s);
    if (!s) return ol_fail(err, OLV_NOMEM, "no memory for beam search");
    olv_status st = init(s, l, err);
    if (st == OLV_OK) st = search_all(s, scores, out, err);
    deinit(s);
    ol_free(s);
    return st;
}
