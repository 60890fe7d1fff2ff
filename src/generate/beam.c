/* SPDX-License-Identifier: Apache-2.0 */
#include "generate/beam.h"
#include "base/alloc.h"
#include "base/checked.h"
#include "base/error.h"
#include "generate/beams.h"
#include <math.h>
#include <string.h>

#define RULED_OUT (-1e9f) /* added to scores that must lose against every real one */

/* Texts of `n` beams: ids [n][limit]. */
typedef struct texts {
    float score[OL_MAX_BEAMS];
    int64_t length[OL_MAX_BEAMS];
    bool complete[OL_MAX_BEAMS];
    int64_t *ids;
} texts;

typedef struct search {
    ol_beams b;
    int n_live; /* beams that differ so far */
    texts running, running_next, done, done_next;
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
    ol_beams_deinit(&s->b);
    ol_free(s->running.ids);
    ol_free(s->running_next.ids);
    ol_free(s->done.ids);
    ol_free(s->done_next.ids);
}

static olv_status init(search *s, ol_loop *l, olv_error *err) {
    texts *all[] = {&s->running, &s->running_next, &s->done, &s->done_next};
    size_t count;
    s->n_live = 1;
    s->improvable = true;
    OL_TRY(ol_beams_init(&s->b, l, (int)l->cfg->num_beams, err));
    if (!ol_mul_size((size_t)s->b.n, (size_t)s->b.limit, &count)) return ol_fail(err, OLV_LIMIT, "too many tokens for beam search");
    for (int i = 0; i < 4; i++)
        if (!(all[i]->ids = ol_calloc(count + 1, sizeof(int64_t))))
            return ol_fail(err, OLV_NOMEM, "no memory for %d beams of %lld tokens", s->b.n, (long long)s->b.limit);
    for (int i = 0; i < s->b.n; i++) s->done.score[i] = RULED_OUT;
    return OLV_OK;
}

static void copy_text(const search *s, texts *to, int i, const texts *from, int k, int64_t length) {
    if (length) memcpy(to->ids + i * s->b.limit, from->ids + k * s->b.limit, (size_t)length * sizeof(int64_t));
    to->length[i] = length;
}

static void add_candidate(const search *s, texts *to, int i, const ol_candidate *c, float score) {
    copy_text(s, to, i, &s->running, c->beam, s->b.made);
    to->ids[i * s->b.limit + to->length[i]++] = c->token;
    to->score[i] = score;
}

/* The beams to go on with: the best candidates, ended ones only when there are no others. */
static void choose_running(search *s, int *from) {
    int n = 0;
    for (int pass = 0; pass < 2; pass++)
        for (int i = 0; i < s->b.n_best && n < s->b.n; i++) {
            const ol_candidate *c = &s->b.best[i];
            if (c->ended != (pass == 1)) continue;
            add_candidate(s, &s->running_next, n, c, c->score + (c->ended ? RULED_OUT : 0));
            from[n++] = c->beam;
        }
    for (; n < s->b.n; n++) { /* fewer candidates than beams */
        add_candidate(s, &s->running_next, n, &s->b.best[0], RULED_OUT);
        from[n] = s->b.best[0].beam;
    }
}

static bool all_complete(const search *s) {
    for (int i = 0; i < s->b.n; i++)
        if (!s->done.complete[i]) return false;
    return true;
}

/* Takes in candidates that ended among the first n; a finished text counts by its mean score (length_penalty). */
static void choose_done(search *s) {
    float score[OL_MAX_BEAMS + OL_MAX_CANDIDATES], by = (float)pow((double)(s->b.made + 1), s->b.l->cfg->length_penalty);
    bool closed = (s->b.l->cfg->early_stopping == 1 && all_complete(s)) || !s->improvable;
    bool taken[OL_MAX_BEAMS + OL_MAX_CANDIDATES] = {false};
    int total = s->b.n + s->b.n_best;
    for (int i = 0; i < s->b.n; i++) score[i] = s->done.score[i];
    for (int i = 0; i < s->b.n_best; i++) {
        score[s->b.n + i] = s->b.best[i].score / by + (closed ? RULED_OUT : 0);
        if (!s->b.best[i].ended || i >= s->b.n) score[s->b.n + i] += RULED_OUT;
    }
    for (int n = 0; n < s->b.n; n++) {
        int top = -1;
        for (int i = 0; i < total; i++)
            if (!taken[i] && (top < 0 || score[i] > score[top])) top = i;
        taken[top] = true;
        if (top < s->b.n) {
            copy_text(s, &s->done_next, n, &s->done, top, s->done.length[top]);
            s->done_next.score[n] = score[top];
            s->done_next.complete[n] = s->done.complete[top];
        } else {
            add_candidate(s, &s->done_next, n, &s->b.best[top - s->b.n], score[top]);
            s->done_next.complete[n] = s->b.best[top - s->b.n].ended && top - s->b.n < s->b.n;
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
    const olv_generation_config *c = s->b.l->cfg;
    int64_t length = c->early_stopping == 2 && c->length_penalty > 0 ? s->b.limit : s->b.made;
    float best = s->running.score[0] / (float)pow((double)length, c->length_penalty), worst = INFINITY;
    bool any = false;
    for (int i = 0; i < s->b.n; i++) worst = s->done.score[i] < worst ? s->done.score[i] : worst;
    for (int i = 0; i < s->b.n; i++) any |= best > (s->done.complete[i] ? worst : RULED_OUT);
    return s->improvable && any;
}

/* One token more on every beam. Sets *over when the search has ended. */
static olv_status advance(void *ctx, const float *scores, bool *over, olv_error *err) {
    search *s = ctx;
    int from[OL_MAX_BEAMS];
    bool open = false;
    s->b.n_best = 0;
    for (int b = 0; b < s->n_live; b++)
        OL_TRY(ol_beams_look_at(&s->b, b, s->running.ids + b * s->b.limit, s->running.score[b], scores + b * s->b.vocab, NULL, NULL, err));
    if (!s->b.n_best) return ol_fail(err, OLV_STATE, "the settings rule out every token");
    for (int i = 0; i < s->b.n_best; i++) {
        s->b.best[i].ended = s->b.made + 1 == s->b.limit || ol_beam_is_end(s->b.l, s->b.best[i].token);
        open |= !s->b.best[i].ended;
    }
    choose_running(s, from);
    choose_done(s);
    swap(&s->running, &s->running_next);
    swap(&s->done, &s->done_next);
    s->b.made++;
    s->n_live = s->b.n;
    s->improvable = may_improve(s);
    *over = !open || !s->improvable || (s->b.l->cfg->early_stopping == 1 && all_complete(s));
    return *over ? OLV_OK : ol_sequence_reorder(s->b.seqs, from, s->b.n, err);
}

static int64_t newest(const void *ctx, int beam) {
    const search *s = ctx;
    return s->running.ids[beam * s->b.limit + s->b.made - 1];
}

static olv_status fill(void *ctx, olv_generation *out, olv_error *err) {
    const search *s = ctx;
    ol_found_text found[OL_MAX_BEAMS];
    int n = (int)s->b.l->cfg->num_return_sequences;
    for (int i = 0; i < n; i++) found[i] = (ol_found_text){s->done.ids + i * s->b.limit, s->done.length[i], (double)s->done.score[i]};
    return ol_beams_fill(s->b.l, found, (size_t)n, out, err);
}

static const ol_beam_rules rules = {advance, newest, fill};

olv_status ol_beam_search(ol_loop *l, const float *scores, olv_generation *out, olv_error *err) {
    search *s = ol_calloc(1, sizeof *s);
    if (!s) return ol_fail(err, OLV_NOMEM, "no memory for beam search");
    olv_status st = init(s, l, err);
    if (st == OLV_OK) st = ol_beams_search(&s->b, &rules, s, scores, out, err);
    deinit(s);
    ol_free(s);
    return st;
}
